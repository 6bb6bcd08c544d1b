//! Constants of the speed model: data, with their origin. The formulas that use them are in
//! `localrig_estimate`, the fit that writes them is `localrig_estimate::fit`.
//!
//! People write `calibration/prior.toml` (what is believed before any row is seen) and
//! `calibration/class.toml` (which engines and which chips behave alike), and
//! `calibration/machine.toml` (what holds of any machine and is not fitted); the fit writes
//! `calibration/fitted.toml` and `calibration/interval.toml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gpu::{Cooling, Plug, Stack};
use crate::source::{Note, Sources};
use crate::unit::{Decibels, GbPerS, Gib, Watts};

/// What is believed of every constant before any measured row is seen: `calibration/prior.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Priors {
    /// By the name of the constant.
    #[serde(rename = "parameter")]
    pub parameters: BTreeMap<String, Prior>,
    /// Intervals of a model whose tensors are an outline are wider by this factor (of logarithms).
    pub outline_widening: f64,
    /// How the user's own measurements are used.
    pub local: Local,
    /// Where the belief differs from the common value: level, thing, constant → factor.
    #[serde(default, rename = "factor")]
    pub factors: BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// What holds of any machine and is not fitted: `calibration/machine.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MachineConstants {
    /// Draw of everything beside cards and processor: board, memory, SSD, fans.
    pub rest_w: Watts,
    /// Share of wall power that a modern supply passes on.
    pub supply_efficiency: f64,
    /// Share of the host's memory that is left to the system.
    pub host_kept_free_share: f64,
    /// Time to hand a step from one kind of device to another, in microseconds.
    pub handover_us: f64,
    /// Share of what processes reach together that switching costs, for every further process.
    pub switch_loss_share: f64,
    /// Share of the bandwidth that processes reach together when they run at the same time.
    pub together_share: f64,
    /// Nominal bandwidth in one direction of the network that rows measured over RPC are taken to have
    /// run on, in GB/s: they do not say theirs.
    pub rpc_network_gb_per_s: GbPerS,
    /// Heat of other cards that a card may have to breathe without getting too hot.
    pub others_heat_w: Watts,
    /// Noise of a build by its cards, where nobody measured it.
    pub noise: NoiseRule,
    /// What the base of a build has, fewest cards first; the first that fits holds.
    #[serde(rename = "base")]
    pub bases: Vec<BaseRule>,
    /// Plugs that adapters make of others.
    #[serde(rename = "adapter")]
    pub adapters: Vec<Adapter>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// What the base of a build has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseRule {
    /// For at most so many cards; absent = any number.
    pub up_to_cards: Option<u32>,
    /// System memory: models are loaded through it, and prompt caches live there.
    pub memory_gib: Gib,
    /// Room for models.
    pub storage_gb: f64,
}

/// An adapter that comes with cards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// The plug it makes.
    pub makes: Plug,
    /// The plugs of the supply it takes.
    pub of: Plug,
    /// How many of them.
    pub count: u32,
    /// Whether supplies have no such plug of their own, so that it is always used.
    #[serde(default)]
    pub always: bool,
}

/// Noise of a build by rule: levels of its cards, added up, less what a damped case takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseRule {
    /// What a damped case takes off, in dB.
    pub damped_case_db: Decibels,
    /// Levels of single cards; the first that fits a card holds.
    #[serde(rename = "card")]
    pub cards: Vec<CardNoise>,
}

/// Level of a card under load at 1 m.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardNoise {
    /// Coolers it is about.
    pub cooling: Vec<Cooling>,
    /// Cards of more than this power limit; absent = any.
    pub above_w: Option<Watts>,
    /// The level in dB(A).
    pub dba: Decibels,
}

impl NoiseRule {
    /// Level of a card with so much power; `None` = the rule says nothing of its cooler.
    pub fn level(&self, cooling: Cooling, power: Watts) -> Option<Decibels> {
        let fits = |one: &&CardNoise| {
            one.cooling.contains(&cooling) && one.above_w.is_none_or(|least| power > least)
        };
        self.cards.iter().find(fits).map(|one| one.dba)
    }
}

/// How far the user's own stack may differ from what others measured, and what a measurement of it
/// is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// Spread of a measurement around the model, of the logarithm.
    pub noise: f64,
    /// Spread that every minor version of the engine since adds.
    pub aging: f64,
    /// What one own measurement adds to the precision of a speed, relative to what is known without.
    pub worth: f64,
    /// How far a constant may differ, as a standard deviation of the logarithm.
    pub sd: BTreeMap<String, f64>,
}

/// One constant before the fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// What it stands for, with its unit.
    pub about: String,
    /// Its value everywhere, in the unit of `about`.
    pub value: f64,
    /// How far it may differ, as a standard deviation of the logarithm.
    #[serde(default)]
    pub sd: Spread,
}

/// How far a constant may differ between things, as standard deviations of the logarithm;
/// 0 = not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spread {
    /// The value common to all, from `value`.
    pub all: f64,
    /// An engine class from the common value.
    pub engine: f64,
    /// A hardware class from the common value.
    pub hardware: f64,
    /// A chip generation from its hardware class.
    pub generation: f64,
    /// A device from its generation, whatever engine runs.
    pub device: f64,
    /// An engine class on a hardware class from what the two give alone.
    pub stack: f64,
    /// Builds of one year on that hardware class from the engine class on it.
    pub era: f64,
    /// An engine class on a device from all of the above.
    pub unit: f64,
}

/// Engines and chips that behave alike: `calibration/class.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// Engine classes.
    #[serde(rename = "engine")]
    pub engines: BTreeMap<String, EngineClass>,
    /// Year of builds that are current: what has no date is taken for one of them.
    pub current_era: String,
    /// Hardware classes.
    pub hardware: BTreeMap<String, HardwareClass>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// Engines that share kernels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineClass {
    /// Engines: short ids.
    pub engines: Vec<String>,
    /// The arithmetic rate on CUDA that shares of prefill refer to.
    pub cuda_peak: Peak,
    /// Prompt tokens computed at once by default.
    pub chunk_tokens: u64,
    /// How several devices are used by default.
    pub parallel: DefaultSplit,
    /// Whether it cuts matrices over devices at all.
    pub tensor_parallel: bool,
    /// Whether its server runs a fixed number of requests at once, set when it starts.
    #[serde(default)]
    pub slots: bool,
    /// Whether it computes on a CPU with llama.cpp's kernels, the only ones that were measured there.
    #[serde(default)]
    pub measured_on_cpu: bool,
}

/// How an engine uses several devices unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultSplit {
    /// Layers one after the other.
    Layer,
    /// Every matrix cut into slices.
    Tensor,
}

/// Chips that behave alike on an accelerator stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HardwareClass {
    /// Accelerator stacks.
    pub stacks: Vec<Stack>,
    /// Chip generations: short ids; empty = all that no other class of the stack names.
    #[serde(default)]
    pub generations: Vec<String>,
}

/// An arithmetic rate of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Peak {
    /// Half the dense INT8 rate: what llama.cpp's integer kernels run at on NVIDIA.
    HalfInt8,
    /// FP16 or BF16 matrix rate with FP32 accumulation; FP8 and FP4 rates for native formats.
    Fp16,
    /// The FP16 rate of devices without separate matrix units.
    Fp16Any,
}

/// What the fit found: `calibration/fitted.toml`, written by `calibrate`.
///
/// A constant is `prior * exp(all + engine + hardware + generation + device + stack + era + unit)`;
/// what is not listed is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// Measured rows the fit used.
    pub rows: u32,
    /// Sources times hardware: groups of rows that are not independent.
    pub groups: u32,
    /// Month of the newest row.
    pub newest: String,
    /// Differences of logarithms by level: `engine`, `hardware`, …; then by thing; then by constant.
    pub level: BTreeMap<String, BTreeMap<String, Differences>>,
}

/// Differences of one thing from the level above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Differences {
    /// Measured rows of it: generation.
    pub decode_rows: u32,
    /// Measured rows of it: prompts.
    pub prefill_rows: u32,
    /// Most tokens of context that generation was measured with.
    #[serde(default)]
    pub decode_depth: u64,
    /// Most streams that generation was measured with.
    #[serde(default)]
    pub decode_streams: u64,
    /// Most tokens that prompts were measured up to, those already cached included.
    #[serde(default)]
    pub prefill_depth: u64,
    /// Difference of the logarithm, by constant.
    #[serde(flatten)]
    pub by_parameter: BTreeMap<String, f64>,
}

/// Half-widths of intervals from held-out rows: `calibration/interval.toml`, written by `calibrate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// By stratum, `decode/moe/unit`: phase, kind of model, and what of the stack was seen.
    pub stratum: BTreeMap<String, Stratum>,
}

/// Held-out errors of rows that are alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// Rows.
    pub rows: u32,
    /// Independent groups.
    pub groups: u32,
    /// Half the held-out rows lie within this factor.
    pub factor_50: f64,
    /// 80 % lie within this factor.
    pub factor_80: f64,
    /// 90 % lie within this factor.
    pub factor_90: f64,
    /// Share of the squared error that all rows of a group have in common: it cancels between
    /// machines that share a stack.
    pub common: f64,
}
