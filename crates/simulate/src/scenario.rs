//! What is simulated: engines with their models on devices, and who sends requests to which.

use localrig_facts::unit::{Bytes, Seconds, Watts};

use crate::engine::Engine;
use crate::sharing::Sharing;
use crate::step::StepTable;

/// A machine with its engines.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The engines.
    pub servers: Vec<Server>,
    /// The devices.
    pub devices: Vec<DeviceFacts>,
    /// How engines share a device.
    pub sharing: Sharing,
    /// For every role of the workload the servers that serve it: more than one are replicas, and a
    /// request goes to the one with least to do.
    pub routes: Vec<Vec<u32>>,
}

/// An engine with a model.
#[derive(Clone, Debug)]
pub struct Server {
    /// What it is, for people.
    pub label: String,
    /// How it schedules.
    pub engine: Engine,
    /// How long its steps take.
    pub steps: StepTable,
    /// Devices it runs on, all of them in every step.
    pub devices: Vec<u32>,
    /// For engines that load models when they are asked: what that takes.
    pub load: Option<Load>,
}

/// What it takes to load a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Memory it fills.
    pub memory: Bytes,
    /// Time until it is there.
    pub time: Seconds,
}

/// A device, as far as a simulation needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceFacts {
    /// What it is called.
    pub name: String,
    /// Memory that models may fill.
    pub usable: Bytes,
    /// Whether power is that of the whole machine at the wall; else it is the device's own.
    pub at_wall: bool,
    /// Power when nothing runs, if known.
    pub idle: Option<Watts>,
    /// Power while a step runs, if known.
    pub busy: Option<Watts>,
}
