//! What lies on the host and on each device when layers are dealt out, and the offload that fits.

use localrig_facts::engine::Allocation;
use localrig_facts::unit::Bytes;
use localrig_facts::{Basis, Estimate};
use serde::Serialize;

use super::derivation::{gib, range};
use super::{Ask, Holding, Memory, MemoryError, Verdict, graph_estimate, margin, verdict};
use crate::context::state_bytes;
use crate::graph::GraphAsk;
use crate::placement::{Offload, Placement, SplitMode};
use crate::room::{
    Load, Need, fewest_host_expert_layers, largest_context, most_gpu_layers, most_streams,
};
use crate::run::{Host, HostBandwidth};
use crate::term::Term;

/// A model dealt out between the host and devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Layers on devices, the output matrix counted as one (`--gpu-layers`).
    pub gpu_layers: u32,
    /// All layers, the output matrix counted as one.
    pub layers: u32,
    /// Layers whose routed experts stay on the host (`--n-cpu-moe`).
    pub host_expert_layers: u32,
    /// How devices share the model (`--split-mode`).
    pub split_mode: SplitMode,
    /// Each device in the machine's order.
    pub devices: Vec<PlaceMemory>,
    /// The host.
    pub host: PlaceMemory,
    /// What the host does; `None` when it only looks up embeddings.
    pub offloaded: Option<Offloaded>,
}

impl Spread {
    /// Whether the model lies in one place: on a single device, as if it had been asked for nothing,
    /// or in the memory of a machine without devices.
    pub fn is_plain(&self) -> bool {
        self.is_on_cpu() || (self.offloaded.is_none() && self.devices.len() == 1)
    }

    /// Whether there is no device to deal layers out to.
    pub fn is_on_cpu(&self) -> bool {
        self.devices.is_empty()
    }
}

/// What one place holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceMemory {
    /// Its name.
    pub name: String,
    /// Layers, the output matrix counted as one.
    pub layers: u32,
    /// Weights: exact.
    pub weights_bytes: Bytes,
    /// KV cache and recurrent state: exact.
    pub context_bytes: Bytes,
    /// Graph buffer.
    pub graph_bytes: Estimate<Bytes>,
    /// What the engine and its stack take, and the vision tower on the first device.
    pub runtime_bytes: Estimate<Bytes>,
    /// All of it.
    pub total_bytes: Estimate<Bytes>,
    /// What there is; `None` for a host whose memory is not known.
    pub usable_bytes: Option<Bytes>,
    /// Kept free of that.
    pub margin_bytes: Option<Bytes>,
    /// Whether it fits; `None` when it is not known how much there is.
    pub verdict: Option<Verdict>,
}

/// The part of a model that the CPU computes from host memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Offloaded {
    /// Share of the routed experts.
    pub expert_share: f64,
    /// Share of the other weights that are read for every token.
    pub base_share: f64,
    /// Share of the layers whose attention or recurrence is computed there, from caches that lie there.
    pub attention_share: f64,
}

impl Offloaded {
    /// The run's host with its bandwidth and its cores.
    pub(crate) const fn host(self, bandwidth: HostBandwidth, cores: Option<f64>) -> Host {
        Host {
            experts: self.expert_share,
            base: self.base_share,
            attention: self.attention_share,
            bandwidth: Some(bandwidth),
            cores,
        }
    }
}

/// How far offload has to go for a model to fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// The most layers on devices; `None` when not even the host holds all of it.
    pub gpu_layers: Option<Limit>,
    /// The fewest layers whose routed experts stay on the host; `None` without experts, or when the
    /// rest does not fit either.
    pub host_expert_layers: Option<Limit>,
}

/// A setting with which a model fits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// In the engine's words: `--gpu-layers 46`.
    pub setting: String,
    /// Layers.
    pub layers: u32,
    /// Out of so many.
    pub of: u32,
    /// Whether the output matrix counts as one of them, as it does for `--gpu-layers`.
    pub counts_output: bool,
    /// What the host then holds.
    pub host_bytes: Bytes,
}

/// One device with what it offers.
struct Card {
    name: String,
    usable: Bytes,
    runtime: Estimate<Bytes>,
}

/// The machine as the search sees it.
struct Bench {
    cards: Vec<Card>,
    host: Option<Bytes>,
    /// Share of the host's memory that is left to the system.
    kept_free: f64,
    /// What the host holds beside layers: the vision tower, where there is no card for it.
    beside: Estimate<Bytes>,
}

impl Bench {
    fn device(&self, index: usize, need: Need) -> PlaceMemory {
        let card = &self.cards[index];
        let graph = if need.layers == 0 { Bytes::ZERO } else { need.graph_bytes };
        let usable = Some((card.usable, margin(card.usable)));
        place(card.name.clone(), Need { graph_bytes: graph, ..need }, card.runtime, usable)
    }

    fn host(&self, need: Need) -> PlaceMemory {
        let usable = self.host.map(|memory| (memory, memory * self.kept_free));
        place("host".to_owned(), need, self.beside, usable)
    }

    /// Whether every place has room with its margin to spare.
    fn fits(&self, load: &Load<'_>, weights: &Placement) -> bool {
        let needs = load.needs_beside(weights);
        let fits = |place: &PlaceMemory| place.verdict.is_none_or(|one| one == Verdict::Fits);
        let mut devices = needs.devices.iter().enumerate();
        fits(&self.host(needs.host))
            && devices.all(|(index, need)| fits(&self.device(index, *need)))
    }
}

fn place(
    name: String,
    need: Need,
    runtime_bytes: Estimate<Bytes>,
    usable: Option<(Bytes, Bytes)>,
) -> PlaceMemory {
    let graph_bytes = graph_estimate(need.graph_bytes);
    let exact = need.weights_bytes + need.context_bytes;
    let total_bytes = Estimate {
        value: exact + graph_bytes.value + runtime_bytes.value,
        low: exact + graph_bytes.low + runtime_bytes.low,
        high: exact + graph_bytes.high + runtime_bytes.high,
        basis: graph_bytes.basis.max(runtime_bytes.basis),
    };
    PlaceMemory {
        name,
        layers: need.layers,
        weights_bytes: need.weights_bytes,
        context_bytes: need.context_bytes,
        graph_bytes,
        runtime_bytes,
        total_bytes,
        usable_bytes: usable.map(|(usable, _)| usable),
        margin_bytes: usable.map(|(_, margin)| margin),
        verdict: usable.map(|(usable, margin)| verdict(total_bytes, usable, margin)),
    }
}

impl Holding<'_> {
    /// Memory place by place.
    pub(super) fn spread(&self, ask: Ask) -> Result<Memory, MemoryError> {
        let (bench, load) = self.dealt(ask)?;
        let weights = load.weights();
        let needs = load.needs_beside(&weights);
        let devices: Vec<PlaceMemory> =
            needs.devices.iter().enumerate().map(|(at, need)| bench.device(at, *need)).collect();
        let host = bench.host(needs.host);
        let layers = self.layout.layers.len() as u32 + 1;
        let spread = Spread {
            gpu_layers: load.offload.gpu_layers.min(layers),
            layers,
            host_expert_layers: load.offload.host_expert_layers.min(self.layout.main_layers),
            split_mode: load.offload.mode,
            offloaded: offloaded(&weights),
            devices,
            host,
        };
        let fits = |load: &Load<'_>| bench.fits(load, &weights);
        let limit = self.model.context_tokens;
        let state = Bytes::new((state_bytes(self.layout) * ask.streams) as f64);
        let places = spread.devices.iter().chain([&spread.host]);
        let context: Bytes = places.clone().map(|place| place.context_bytes).sum();
        let worst = places.filter_map(|place| place.verdict).max();
        let host = std::slice::from_ref(&spread.host);
        let devices = if spread.is_on_cpu() { host } else { &spread.devices };
        let known = devices.iter().all(|place| place.usable_bytes.is_some());
        let sum = |pick: fn(&PlaceMemory) -> Estimate<Bytes>| add(devices.iter().map(pick));
        let bytes = |pick: fn(&PlaceMemory) -> Option<Bytes>| devices.iter().filter_map(pick).sum();
        let vision = self.vision(ask)?;
        let runtime = sum(|place| place.runtime_bytes);
        let device_weights: Bytes = devices.iter().map(|place| place.weights_bytes).sum();
        Ok(Memory {
            weights_bytes: self.weights.loaded,
            device_weights_bytes: device_weights,
            held_twice_bytes: self.second_embedding(device_weights + spread.host.weights_bytes),
            kv_cache_bytes: context - state,
            recurrent_state_bytes: state,
            graph_bytes: sum(|place| place.graph_bytes),
            runtime_bytes: Estimate {
                value: runtime.value - vision.value,
                low: runtime.low - vision.low,
                high: runtime.high - vision.high,
                basis: runtime.basis,
            },
            vision_bytes: ask.vision.then_some(vision),
            total_bytes: sum(|place| place.total_bytes),
            usable_bytes: known.then(|| bytes(|place| place.usable_bytes)),
            margin_bytes: known.then(|| bytes(|place| place.margin_bytes)),
            verdict: worst,
            largest_context_tokens: known.then(|| largest_context(&load, limit, fits)).flatten(),
            streams_that_fit: known
                .then(|| most_streams(&load, ask.context, fits).min(self.most_streams())),
            terms: self.spread_terms(ask, &spread, &load.offload),
            spread: Some(spread),
            pool: None,
        })
    }

    /// How far offload has to go: the most layers on the devices, and the fewest layers whose routed
    /// experts stay on the host, with which the contexts asked for fit. `None` for engines that do
    /// not deal layers out.
    ///
    /// # Errors
    /// As [`Holding::memory`].
    pub fn limits(&self, ask: Ask) -> Result<Option<Limits>, MemoryError> {
        let nothing_to_deal = self.machine.is_unified() || self.machine.cpu.is_some();
        if nothing_to_deal || self.allocation()? != Allocation::Cells {
            return Ok(None);
        }
        let (bench, load) = self.dealt(ask)?;
        let fits = |load: &Load<'_>| bench.fits(load, &load.weights());
        let limit = |load: &Load<'_>, flag: &str, layers, of| {
            let host = load.needs().host;
            Limit {
                setting: format!("{flag} {layers}"),
                layers,
                of,
                counts_output: flag == "--gpu-layers",
                host_bytes: host.total(),
            }
        };
        let (all, main) = (self.layout.layers.len() as u32 + 1, self.layout.main_layers);
        let gpu_layers = most_gpu_layers(&load, fits)
            .map(|layers| limit(&load.with_gpu_layers(layers), "--gpu-layers", layers, all));
        let host_expert_layers = (self.layout.experts() > 0)
            .then(|| fewest_host_expert_layers(&load, fits))
            .flatten()
            .map(|layers| limit(&load.with_host_experts(layers), "--n-cpu-moe", layers, main));
        Ok(Some(Limits { gpu_layers, host_expert_layers }))
    }

    /// The devices with what they offer, and the load that is asked for.
    fn dealt(&self, ask: Ask) -> Result<(Bench, Load<'_>), MemoryError> {
        let setting = self.setting;
        if setting.host_expert_layers.is_some_and(|layers| layers > 0) && self.layout.experts() == 0
        {
            return Err(MemoryError::NoExperts { model: self.model.name.clone() });
        }
        let mut cards = Vec::new();
        for device in &self.machine.devices {
            let runtime = self.runtime()?;
            let usable = self.usable_on(device)?;
            for _ in 0..device.count {
                let name = device.gpu.name.clone();
                cards.push(Card { name, usable, runtime });
            }
        }
        let mode = setting.split.unwrap_or_default();
        if mode == SplitMode::None {
            cards.truncate(1);
        }
        if cards.len() > 1 {
            for (index, card) in cards.iter_mut().enumerate() {
                card.name = format!("{}: {}", index, card.name);
            }
        }
        // The vision tower lies on the first device.
        let mut beside = Estimate::exact(Bytes::ZERO);
        let first = cards.first_mut().map_or(&mut beside, |card| &mut card.runtime);
        *first = add([*first, self.vision(ask)?].into_iter());
        let shares = match setting.shares.len() {
            _ if mode == SplitMode::None => vec![1.0],
            given if given != 0 && given != cards.len() => {
                return Err(MemoryError::Shares { given, devices: cards.len() });
            }
            // All zero is the default of llama.cpp as well.
            _ if setting.shares.iter().all(|share| *share == 0.0) => {
                cards.iter().map(|card| card.usable / cards[0].usable).collect()
            }
            _ => setting.shares.clone(),
        };
        let offload = Offload {
            gpu_layers: if cards.is_empty() { 0 } else { setting.gpu_layers.unwrap_or(u32::MAX) },
            shares,
            mode,
            host_expert_layers: setting.host_expert_layers.unwrap_or(0),
        };
        let load = Load {
            layout: self.layout,
            sizes: &self.weights.tensors,
            ask: GraphAsk { context: self.cells(ask), outputs: ask.streams },
            offload,
        };
        let kept_free = self.setup.machine.host_kept_free_share;
        Ok((Bench { cards, host: setting.host_memory, kept_free, beside }, load))
    }

    fn spread_terms(&self, ask: Ask, spread: &Spread, offload: &Offload) -> Vec<Term> {
        let model = self.layout.id.as_str();
        let engine = self.setup.engine_id.as_str();
        let family = format!("architecture/{}", self.layout.family);
        let mut terms = vec![self.loaded_term()];
        if !spread.is_plain() {
            let shares: Vec<String> =
                offload.shares.iter().map(|share| format!("{share:.2}")).collect();
            terms.push(Term::new(
                "layers on devices",
                format!(
                    "layer i goes to a device when i >= {} - {}, dealt out whole by shares {} (split mode {}); experts of the first {} stay on the host",
                    spread.layers,
                    spread.gpu_layers,
                    shares.join(" : "),
                    spread.split_mode.word(),
                    spread.host_expert_layers,
                ),
                format!("{} of {}", spread.gpu_layers, spread.layers),
                Basis::Exact,
                &[engine],
            ));
        }
        let (plain, on_cpu) = (spread.is_plain(), spread.is_on_cpu());
        let host = (on_cpu || !plain).then_some(&spread.host);
        for place in spread.devices.iter().chain(host) {
            let on = |what: &str| {
                if plain { what.to_owned() } else { format!("{what}, {}", place.name) }
            };
            let dealt = if self.layout.tied {
                "tensors of its layers; embedding tables stay on the host, and the one that is the \
                 output matrix too is copied to the last device"
            } else {
                "tensors of its layers; embedding tables stay on the host"
            };
            let (at, which) = match (on_cpu, plain) {
                (true, _) => (
                    "weights in memory".to_owned(),
                    "all tensors; where the engine packs some anew for the CPU, the file's pages can be dropped",
                ),
                (_, true) => ("weights on the accelerator".to_owned(), dealt),
                _ => (on("weights"), dealt),
            };
            terms.push(Term::new(
                at,
                which,
                gib(place.weights_bytes),
                Basis::Exact,
                &[model, engine],
            ));
            terms.push(Term::new(
                on(if plain && state_bytes(self.layout) == 0 { "KV cache" } else { "context" }),
                format!(
                    "sum over its layers of cells * (K row + V row) in {} and recurrent state, {} stream(s) of {} tokens{}",
                    ask.kv.name,
                    ask.streams,
                    ask.context,
                    if self.cells(ask).unified { "" } else { ", a buffer for each" },
                ),
                gib(place.context_bytes),
                Basis::Exact,
                &[model, &family, engine],
            ));
            terms.push(Term::new(
                on("graph buffer"),
                "scratch memory of the widest moment of a micro-batch",
                range(&place.graph_bytes),
                place.graph_bytes.basis,
                &[engine],
            ));
            if place.runtime_bytes.high > Bytes::ZERO {
                terms.push(Term::new(
                    on("runtime"),
                    "context and libraries of the stack, and the vision tower where it is asked for",
                    range(&place.runtime_bytes),
                    place.runtime_bytes.basis,
                    &[engine],
                ));
            }
            if let (Some(usable), Some(margin)) = (place.usable_bytes, place.margin_bytes) {
                terms.push(Term::new(
                    on("usable"),
                    "what the driver lets the accelerator use; of a host, what was given",
                    gib(usable),
                    Basis::Exact,
                    &[],
                ));
                terms.push(Term::new(
                    on("margin"),
                    "the larger of 0.5 GiB and 3 % of usable memory; of a host, a tenth",
                    gib(margin),
                    Basis::Assumed,
                    &[],
                ));
            }
        }
        terms
    }
}

/// The sum of estimates.
pub(super) fn add(all: impl Iterator<Item = Estimate<Bytes>>) -> Estimate<Bytes> {
    all.fold(Estimate::exact(Bytes::ZERO), Estimate::plus)
}

/// What the host computes; `None` when it only looks up embeddings.
fn offloaded(weights: &Placement) -> Option<Offloaded> {
    let host = &weights.host;
    let all = |pick: fn(&crate::placement::Share) -> Bytes| {
        pick(host) + weights.devices.iter().map(pick).sum()
    };
    let share = |pick: fn(&crate::placement::Share) -> Bytes| {
        let whole = all(pick);
        if whole > Bytes::ZERO { pick(host) / whole } else { 0.0 }
    };
    let layers = weights.devices.iter().map(|place| place.layers).sum::<u32>() + host.layers;
    let one = Offloaded {
        expert_share: share(|place| place.expert_bytes),
        base_share: share(|place| place.base_bytes),
        attention_share: f64::from(host.layers) / f64::from(layers.max(1)),
    };
    (one.expert_share > 0.0 || one.base_share > 0.0).then_some(one)
}
