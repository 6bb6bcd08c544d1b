//! Why places make no machine to be simulated.

use localrig_estimate::architecture::LayoutError;
use localrig_estimate::memory::MemoryError;
use localrig_estimate::recipe::RecipeError;
use localrig_estimate::setup::{SetupError, SpeedError};
use localrig_facts::CatalogError;
use localrig_facts::figure::memory;
use localrig_facts::unit::Bytes;

/// Why places make no machine to be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A name leads nowhere, or a catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The model cannot be computed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The format cannot be applied.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The engine does not run there.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A fact about memory is missing.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A fact about speed is missing.
    #[error(transparent)]
    Speed(#[from] SpeedError),
    /// A place is for no role of the workload.
    #[error("the workload has no role `{role}`")]
    NoRole {
        /// The role.
        role: String,
        /// Its roles.
        known: Vec<String>,
    },
    /// A role of the workload has no place.
    #[error("role `{role}` has no model")]
    NoPlace {
        /// The role.
        role: String,
    },
    /// The machine has fewer devices.
    #[error("there is no device {index}: {machine} has {count}, counted from 0")]
    NoDevice {
        /// The number.
        index: u32,
        /// The machine.
        machine: String,
        /// Its devices.
        count: usize,
    },
    /// Its heads cannot be shared out.
    #[error(
        "layers of {model} cannot be cut over {devices} devices: {query} heads with {key} of keys"
    )]
    NotCut {
        /// The model.
        model: String,
        /// Devices.
        devices: u32,
        /// Heads of queries.
        query: u64,
        /// Heads of keys.
        key: u64,
    },
    /// Nobody says in which format the model is used.
    #[error("no usual format is known for {model} on {engine}")]
    NoFormat {
        /// The model.
        model: String,
        /// The engine.
        engine: String,
    },
    /// A role looks at images.
    #[error("{model} takes no images, role `{role}` has some")]
    NoVision {
        /// The model.
        model: String,
        /// The role.
        role: String,
    },
    /// A role's context is longer than the model is made for.
    #[error("{model} is made for at most {limit} tokens of context, role `{role}` has {asked}")]
    ContextTooLong {
        /// The model.
        model: String,
        /// Its limit.
        limit: u64,
        /// The role.
        role: String,
        /// Its context.
        asked: u32,
    },
    /// The catalog does not say how the engine schedules.
    #[error(
        "how {engine} puts steps together is not known: `{fact}` is missing in engine/{id}.toml"
    )]
    NoSchedule {
        /// The engine.
        engine: String,
        /// Its short id.
        id: String,
        /// What is missing.
        fact: &'static str,
    },
    /// The models do not fit.
    #[error("{device}: {} needed, {} usable less {} to be kept free", memory(*needed, 1), memory(*usable, 1), memory(*free, 1))]
    TooSmall {
        /// The device.
        device: String,
        /// What its models take.
        needed: Bytes,
        /// What it offers.
        usable: Bytes,
        /// What is kept free.
        free: Bytes,
    },
}
