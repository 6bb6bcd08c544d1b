//! Which model serves which role on which devices of a machine.
//!
//! The devices are cut into one group for all roles, or up to three that share the roles. Inside a group
//! every loaded model shares memory and time. Roles that take the same model in the same format
//! share one loaded copy, whose streams are batched.
//!
//! Speeds are those under the whole workload: first by means ([`localrig_simulate::load`]), which
//! takes microseconds and ranks thousands of choices, then by simulation ([`crate::trial`]) for
//! what is shown and what could still win.

use localrig_facts::Estimate;
use localrig_facts::unit::{Bytes, Seconds, TokensPerSec};
use localrig_simulate::answer::Saturated;
use serde::Serialize;

use crate::option::ModelOption;

/// A role with the model that serves it.
#[derive(Clone, Debug)]
pub struct Served<'a> {
    /// Index of the role in the requirement.
    pub role: usize,
    /// The model, format and engine.
    pub option: &'a ModelOption<'a>,
    /// Group of devices it runs on.
    pub group: usize,
    /// Whether its weights are shared with an earlier role.
    pub shares_weights: bool,
    /// Speed of each of its streams while the whole workload runs: the median answer.
    pub busy: Estimate<TokensPerSec>,
    /// Speed of one stream with an empty context when nothing else runs, as benchmarks measure it.
    pub alone: Estimate<TokensPerSec>,
    /// Share of its answers in time: within the workload's limit on the first token, and when they
    /// are simulated, at least as fast as the role's minimum.
    pub in_time: f64,
    /// How long loading its weights from disk takes.
    pub load: Seconds,
    /// What a simulation says; `None` when `busy` comes from means.
    pub simulated: Option<Simulated>,
}

/// What a role gets in a simulation of the whole workload.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Simulated {
    /// Speed after the first token of the slowest answer in twenty.
    pub slowest_20th_tok_per_s: TokensPerSec,
    /// Time to the first token: median and the slowest in twenty.
    pub first_token_s: [Seconds; 2],
    /// Longest time to the first token that the workload takes for in time; absent = any.
    pub first_token_limit_s: Option<Seconds>,
    /// Share of answers in time: within that limit, and at least as fast as the role's minimum.
    pub in_time_share: f64,
    /// When more comes than can be done: requests per second that come, and that are answered.
    pub saturated: Option<Saturated>,
}

impl Simulated {
    /// Answers in time of a hundred, rounded down: what falls short must not read as enough.
    pub fn in_time_percent(&self) -> u32 {
        (self.in_time_share * 100.0 + 1e-9).floor() as u32
    }
}

/// What a group of devices holds.
#[derive(Clone, Debug)]
pub struct Group {
    /// Names of the devices.
    pub devices: String,
    /// Their numbers in the machine, from 0.
    pub units: Vec<u32>,
    /// Whether each device has a copy of every model; else they hold the models together.
    pub copies: bool,
    /// What they offer together, or each of them where each has a copy.
    pub usable: Bytes,
    /// What is kept free.
    pub margin: Bytes,
    /// Loaded models: label and bytes by part.
    pub loads: Vec<Load>,
    /// Sum of the loads.
    pub total: Estimate<Bytes>,
}

/// A loaded model in a group.
#[derive(Clone, Debug)]
pub struct Load {
    /// Roles it serves.
    pub roles: Vec<usize>,
    /// What it is: model, format, engine.
    pub label: String,
    /// Weights on the accelerator.
    pub weights: Bytes,
    /// KV cache and recurrent state of its streams.
    pub context: Bytes,
    /// Graph buffers, runtime, vision tower.
    pub overhead: Estimate<Bytes>,
}

/// A complete assignment.
#[derive(Clone, Debug)]
pub struct Assignment<'a> {
    /// Every role, in the order of the requirement.
    pub served: Vec<Served<'a>>,
    /// The groups of devices.
    pub groups: Vec<Group>,
    /// How well the roles are served; see [`crate::score`].
    pub value: f64,
}

/// Why the roles cannot be placed on a machine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Unplaced {
    /// No option of a role runs there at all.
    NoOption {
        /// The role.
        role: String,
        /// Why, for every engine that was tried.
        reason: String,
    },
    /// The models do not fit together.
    TooSmall {
        /// What the machine offers.
        usable: Bytes,
        /// What the least demanding choice of models takes, with what is kept free.
        needed: Bytes,
    },
}
