//! How the main model's speed on a machine changes with the depth of its context and with the
//! number of streams.

use localrig_estimate::memory::{Ask, Holding, Setting};
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::{DecodeSpeed, Pace};
use localrig_facts::Catalog;
use localrig_facts::machine::{Device, Machine};
use serde::Serialize;

use crate::group::group;
use crate::plan::Ranked;

/// Speeds of a ranked machine's main model, running alone.
#[derive(Clone, Debug, Serialize)]
pub struct Curves {
    /// The machine's key.
    pub key: String,
    /// Model, format and engine.
    pub label: String,
    /// One stream, from an empty context to the longest that the role asks for.
    pub depth: Vec<DecodeSpeed>,
    /// Streams of [`STREAM_DEPTH`] tokens each, doubling up to as many as fit.
    pub streams: Vec<DecodeSpeed>,
}

/// Depth of the streams of a concurrency curve: the middle of a sub-agent's context.
pub const STREAM_DEPTH: u64 = 16_384;
/// Depths of a depth curve, as far as the context reaches.
const DEPTHS: [u64; 9] = [0, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144];
/// More streams than this say nothing about a machine for a few people.
const MOST_STREAMS: u64 = 64;

/// The curves of a machine; `None` when a fact for its speed is missing.
pub fn curves(catalog: &Catalog, ranked: &Ranked<'_>) -> Option<Curves> {
    let served = ranked.assignment.served.first()?;
    let option = served.option;
    let devices = &ranked.assignment.groups.get(served.group)?.devices;
    let machine = part(&ranked.candidate.machine, devices)?;
    let engine = (option.engine_id, option.engine);
    let setup = Setup::new(catalog, engine.0, engine.1, &machine, option.format).ok()?;
    let pace = Pace::new(catalog, &setup, &machine, &option.work).ok()?;
    let holding = Holding {
        setup: &setup,
        machine: &machine,
        model: option.model,
        layout: &option.layout,
        weights: &option.work.weights,
        setting: &Setting::OWN,
    };
    let context = option.ask.context;
    let mut depths: Vec<u64> = DEPTHS.into_iter().filter(|depth| *depth < context).collect();
    depths.push(context);
    let depth_each = STREAM_DEPTH.min(context);
    let ask = Ask { context: depth_each, streams: 1, ..option.ask };
    let most = holding.memory(ask).ok()?.streams_that_fit?.min(MOST_STREAMS);
    let doubling = (0..7).map(|power| 1_u64 << power).filter(|streams| *streams <= most);
    Some(Curves {
        key: ranked.candidate.key.clone(),
        label: option.label(),
        depth: depths.into_iter().map(|depth| pace.decode(depth, 1)).collect(),
        streams: doubling.map(|streams| pace.decode(depth_each, streams)).collect(),
    })
}

/// The devices of a machine that are called so together: neighbours, as a group is.
fn part<'a>(machine: &Machine<'a>, name: &str) -> Option<Machine<'a>> {
    let units: Vec<Device<'a>> = machine
        .devices
        .iter()
        .flat_map(|one| std::iter::repeat_n(Device { count: 1, ..*one }, one.count as usize))
        .collect();
    let runs = (0..units.len()).flat_map(|from| (from + 1..=units.len()).map(move |to| from..to));
    runs.map(|run| group(&units[run])).find(|one| one.name == name)
}
