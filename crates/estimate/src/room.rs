//! How much of a model goes onto devices of a given size, and how much context beside it.

use localrig_facts::unit::Bytes;
use serde::Serialize;

use crate::architecture::Layout;
use crate::context::LlamaContext;
use crate::graph::{GraphAsk, llama_graph};
use crate::memory::{largest, largest_count};
use crate::placement::{Offload, Placement, place_context, place_weights};

/// Memory that may be used: what is free, less what the runtime takes and the margin to keep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Room {
    /// On the host; `None` when it is no limit.
    pub host: Option<Bytes>,
    /// On each device, in the order of [`Offload::shares`].
    pub devices: Vec<Bytes>,
}

/// A model held by llama.cpp on the host and devices.
#[derive(Clone, Debug)]
pub struct Load<'a> {
    /// Its tensors.
    pub layout: &'a Layout,
    /// Bytes of each, from [`crate::weights::tensor_sizes`].
    pub sizes: &'a [u64],
    /// Its context and the outputs wanted at once.
    pub ask: GraphAsk,
    /// How it is spread.
    pub offload: Offload,
}

/// What a load takes in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Need {
    /// Weights: exact.
    pub weights_bytes: Bytes,
    /// KV cache and recurrent state: exact.
    pub context_bytes: Bytes,
    /// Graph buffer: approximate, see [`crate::graph`].
    pub graph_bytes: Bytes,
    /// Layers, the output matrix counted as one.
    pub layers: u32,
}

impl Need {
    /// Everything.
    pub fn total(self) -> Bytes {
        self.weights_bytes + self.context_bytes + self.graph_bytes
    }
}

/// What a load takes on the host and on each device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Needs {
    /// On the host.
    pub host: Need,
    /// On each device.
    pub devices: Vec<Need>,
}

impl Load<'_> {
    /// What it takes, place by place.
    pub fn needs(&self) -> Needs {
        self.needs_beside(&self.weights())
    }

    /// Where its weights lie: the same for every context.
    pub fn weights(&self) -> Placement {
        place_weights(self.layout, self.sizes, &self.offload)
    }

    /// What it takes with its weights placed already.
    pub fn needs_beside(&self, weights: &Placement) -> Needs {
        let mut placement = weights.clone();
        place_context(self.layout, self.ask.context, &self.offload, &mut placement);
        let Placement { host, devices } = placement;
        let graph = llama_graph(self.layout, self.ask, &self.offload);
        let need = |share: crate::placement::Share, graph_bytes| Need {
            weights_bytes: share.weights_bytes,
            context_bytes: share.context_bytes,
            graph_bytes,
            layers: share.layers,
        };
        let devices = devices.into_iter().zip(graph.devices);
        Needs {
            host: need(host, graph.host),
            devices: devices.map(|(share, graph)| need(share, graph)).collect(),
        }
    }

    /// Whether every place has room for its part.
    pub fn fits(&self, room: &Room) -> bool {
        let needs = self.needs();
        room.host.is_none_or(|room| needs.host.total() <= room)
            && needs.devices.iter().zip(&room.devices).all(|(need, room)| need.total() <= *room)
            && needs.devices.len() <= room.devices.len()
    }

    /// The same with so many layers on devices.
    #[must_use]
    pub fn with_gpu_layers(&self, gpu_layers: u32) -> Self {
        let offload = Offload { gpu_layers, ..self.offload.clone() };
        Self { offload, ..self.clone() }
    }

    /// The same with the experts of so many layers on the host.
    #[must_use]
    pub fn with_host_experts(&self, host_expert_layers: u32) -> Self {
        let offload = Offload { host_expert_layers, ..self.offload.clone() };
        Self { offload, ..self.clone() }
    }

    /// The same with so many streams of so many tokens each.
    #[must_use]
    pub fn with_streams(&self, streams: u64, tokens: u64) -> Self {
        let context =
            LlamaContext { cells: tokens * streams, sequences: streams, ..self.ask.context };
        // A server wants the logits of one position per stream; a batch of logits stays what it is.
        let outputs = if self.ask.outputs == 0 { 0 } else { streams };
        Self { ask: GraphAsk { context, outputs }, ..self.clone() }
    }
}

/// The largest `-ngl` that fits, the output layer counted; `None` when not even the host holds it.
pub fn most_gpu_layers(load: &Load<'_>, fits: impl Fn(&Load<'_>) -> bool) -> Option<u32> {
    let all = load.layout.layers.len() as u32 + 1;
    (0..=all).rev().find(|layers| fits(&load.with_gpu_layers(*layers)))
}

/// The smallest `--n-cpu-moe` that fits with the `-ngl` given; `None` when none does.
pub fn fewest_host_expert_layers(load: &Load<'_>, fits: impl Fn(&Load<'_>) -> bool) -> Option<u32> {
    (0..=load.layout.main_layers).find(|layers| fits(&load.with_host_experts(*layers)))
}

/// The longest context for each stream that fits, in steps of 256 tokens up to `limit`.
pub fn largest_context(
    load: &Load<'_>,
    limit: u64,
    fits: impl Fn(&Load<'_>) -> bool,
) -> Option<u64> {
    let streams = load.ask.context.sequences;
    largest(limit, |tokens| fits(&load.with_streams(streams, tokens)))
}

/// Streams of `tokens` of context each that fit at once, up to 1,024.
pub fn most_streams(load: &Load<'_>, tokens: u64, fits: impl Fn(&Load<'_>) -> bool) -> u64 {
    largest_count(1024, |streams| fits(&load.with_streams(streams, tokens)))
}
