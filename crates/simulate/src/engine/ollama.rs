//! Ollama: runners of llama.cpp with few slots, each with a cache of its own, and without a cache
//! in main memory. Loading and unloading of models is the business of the machine
//! ([`crate::residency`]), because models compete for its memory.

use localrig_facts::unit::{Bytes, BytesPerSec};

use crate::engine::llama::{self, Llama};

/// Settings of Ollama.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Requests at the same time (`OLLAMA_NUM_PARALLEL`, 1 by default).
    pub parallel: u32,
    /// Context of each (`OLLAMA_CONTEXT_LENGTH`).
    pub context: u32,
}

/// Tokens in a step of Ollama's runner.
const BATCH: u32 = 512;

impl Options {
    /// The runner.
    pub fn policy(&self) -> Llama {
        let cells = self.context.saturating_mul(self.parallel);
        Llama::new(llama::Options {
            unified: false,
            batch: BATCH,
            // The runner takes the slot that fits best, however little that is.
            similarity: 0.0,
            // Nothing is kept in main memory, so nothing is copied there.
            host_tokens: 0,
            ..llama::Options::usual(self.parallel, cells, Bytes::ZERO, BytesPerSec::ZERO)
        })
    }
}
