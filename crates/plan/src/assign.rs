//! Which model serves which role on which devices of a machine.
//!
//! The devices are cut into one group for all roles, or two: the main role alone on the larger,
//! everything else on the smaller. Inside a group every loaded model shares memory and, while all
//! roles are busy, time. Roles that take the same model in the same format share one loaded copy,
//! whose streams are batched.
//!
//! Concurrency is a documented first approximation: equal time slices between models on a group
//! ([`localrig_simulate::share_time`]), batched streams inside a model, contexts half full.

use localrig_facts::Estimate;
use localrig_facts::unit::{Bytes, TokensPerSec};

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
    /// Speed of each of its streams while every role is busy.
    pub busy: Estimate<TokensPerSec>,
    /// Speed of one stream when nothing else runs.
    pub alone: Estimate<TokensPerSec>,
}

/// What a group of devices holds.
#[derive(Clone, Debug)]
pub struct Group {
    /// Names of the devices.
    pub devices: String,
    /// What they offer.
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
