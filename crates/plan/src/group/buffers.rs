//! Caches and compute buffers of options, worked out once for all groups that they are the same on.

use std::sync::OnceLock;

use localrig_estimate::memory::{Ask, Buffers, Holding, MemoryError};
use localrig_facts::engine::Allocation;

use crate::option::ModelOption;

/// Caches and compute buffers of every option of every role, worked out once for all groups that
/// they are the same on: those with as many copies, and unified memory or not.
pub(super) struct KnownBuffers(Vec<Vec<[OnceLock<Buffers>; 2 * MOST_COPIES]>>);

/// Copies up to which buffers are kept: beyond them there are few groups.
const MOST_COPIES: usize = 4;

impl KnownBuffers {
    pub(super) fn new(options: &[Vec<ModelOption<'_>>]) -> Self {
        let none = |_: &ModelOption<'_>| std::array::from_fn(|_| OnceLock::new());
        Self(options.iter().map(|role| role.iter().map(none).collect()).collect())
    }

    /// The buffers of an option, by its role and its place.
    pub(super) fn get(
        &self,
        (role, option): (usize, usize),
        copies: u32,
        holding: &Holding<'_>,
        ask: Ask,
    ) -> Result<Buffers, MemoryError> {
        // Those of other engines depend on more.
        let alike = holding.setup.engine.memory.allocation == Some(Allocation::Cells);
        let kind = 2 * (copies as usize - 1) + usize::from(holding.machine.is_unified());
        let Some(known) = self.0[role][option].get(kind).filter(|_| alike) else {
            return holding.buffers(ask);
        };
        if let Some(buffers) = known.get() {
            return Ok(*buffers);
        }
        let buffers = holding.buffers(ask)?;
        Ok(*known.get_or_init(|| buffers))
    }
}
