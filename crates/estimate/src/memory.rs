//! Whether a model with its contexts fits a machine, term by term.

use localrig_facts::engine::{Allocation, RuntimeMemory};
use localrig_facts::machine::{Device, Machine};
use localrig_facts::model::Model;
use localrig_facts::unit::Bytes;
use localrig_facts::{Basis, Estimate, Id};
use serde::Serialize;

use crate::architecture::Layout;
use crate::context::{KvType, LlamaContext, bytes_for_tokens, llama_context, state_bytes};
use crate::graph::{GraphAsk, llama_graph};
use crate::placement::Offload;
use crate::setup::Setup;
use crate::term::Term;
use crate::weights::Weights;

/// Why memory cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// How the engine allocates is not known.
    #[error("missing fact: memory.allocation of {engine}")]
    Allocation {
        /// The engine.
        engine: Id,
    },
    /// The share of unified memory the GPU may use is not known.
    #[error("missing fact: memory.usable of {device}")]
    Usable {
        /// The device.
        device: Id,
    },
    /// What the engine takes beside the model is not known for the stack.
    #[error("missing fact: memory.runtime of {engine} for {stack}")]
    Runtime {
        /// The engine.
        engine: Id,
        /// The stack.
        stack: &'static str,
    },
}

/// What is to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Tokens of context for each stream.
    pub context: u64,
    /// Streams held at once.
    pub streams: u64,
    /// KV cache type.
    pub kv: KvType,
    /// Whether images are to be understood: loads the vision tower.
    pub vision: bool,
}

/// Whether it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// With the margin to spare.
    Fits,
    /// Inside the margin or the uncertainty: it may or may not load.
    Tight,
    /// It does not fit.
    No,
}

impl Verdict {
    /// The words used in answers.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Tight => "tight",
            Self::No => "does not fit",
        }
    }
}

/// Memory of a model on a machine.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// All weights the engine loads.
    pub weights_bytes: Bytes,
    /// The part of them on the accelerator.
    pub device_weights_bytes: Bytes,
    /// KV cache of all streams, recurrent state not counted.
    pub kv_cache_bytes: Bytes,
    /// Recurrent state of all streams.
    pub recurrent_state_bytes: Bytes,
    /// Graph buffers and activations.
    pub graph_bytes: Estimate<Bytes>,
    /// What the engine and its stack take beside.
    pub runtime_bytes: Estimate<Bytes>,
    /// Vision tower, when images are asked for.
    pub vision_bytes: Option<Estimate<Bytes>>,
    /// Sum of what is on the accelerators.
    pub total_bytes: Estimate<Bytes>,
    /// What the accelerators offer.
    pub usable_bytes: Bytes,
    /// Kept free: the larger of 0.5 GiB and 3 %.
    pub margin_bytes: Bytes,
    /// Whether it fits.
    pub verdict: Verdict,
    /// Longest context per stream that still fits, up to the model's own limit.
    pub largest_context_tokens: Option<u64>,
    /// Streams of this context that fit at once.
    pub streams_that_fit: u64,
    /// The derivation.
    #[serde(skip)]
    pub terms: Vec<Term>,
}

/// Everything memory depends on but the context.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    /// Engine and stack.
    pub setup: &'a Setup<'a>,
    /// The machine.
    pub machine: &'a Machine<'a>,
    /// The model.
    pub model: &'a Model,
    /// Its tensors.
    pub layout: &'a Layout,
    /// Its weights.
    pub weights: &'a Weights,
}

impl Holding<'_> {
    /// Memory of the model with the contexts asked for.
    ///
    /// # Errors
    /// When a fact about the engine or the machine is missing.
    pub fn memory(&self, ask: Ask) -> Result<Memory, MemoryError> {
        let usable = usable(self.setup, self.machine)?;
        let margin = margin(usable);
        let parts = self.parts(ask)?;
        let total = parts.total();
        let fits = |ask: Ask| {
            self.parts(ask)
                .is_ok_and(|parts| verdict(parts.total(), usable, margin) == Verdict::Fits)
        };
        let limit = self.model.context_tokens;
        let largest = largest(limit, |context| fits(Ask { context, ..ask }));
        let streams_that_fit = largest_count(1024, |streams| fits(Ask { streams, ..ask }));
        Ok(Memory {
            weights_bytes: self.weights.loaded,
            device_weights_bytes: parts.weights,
            kv_cache_bytes: parts.kv,
            recurrent_state_bytes: parts.state,
            graph_bytes: parts.graph,
            runtime_bytes: parts.runtime,
            vision_bytes: ask.vision.then_some(parts.vision),
            total_bytes: total,
            usable_bytes: usable,
            margin_bytes: margin,
            verdict: verdict(total, usable, margin),
            largest_context_tokens: largest,
            streams_that_fit,
            terms: self.terms(ask, &parts, usable, margin),
        })
    }

    /// What the model takes on the accelerators, without the search for what else would fit.
    ///
    /// # Errors
    /// As [`Holding::memory`].
    pub fn size(&self, ask: Ask) -> Result<Size, MemoryError> {
        let parts = self.parts(ask)?;
        let total = parts.total();
        let exact = parts.weights + parts.kv + parts.state;
        Ok(Size {
            weights: parts.weights,
            context: parts.kv + parts.state,
            overhead: total.map(|one| one - exact),
        })
    }

    fn parts(&self, ask: Ask) -> Result<Parts, MemoryError> {
        let engine = self.setup.engine;
        let id = || self.setup.engine_id.clone();
        let allocation =
            engine.memory.allocation.ok_or_else(|| MemoryError::Allocation { engine: id() })?;
        let unified = self.machine.devices.iter().all(Device::is_unified);
        let devices: u32 = self.machine.devices.iter().map(|device| device.count).sum();
        // llama.cpp looks embeddings up on the host; on unified memory that is the same memory.
        let weights = match allocation {
            Allocation::Cells if !unified => self.weights.loaded - self.weights.lookup,
            _ => self.weights.loaded,
        };
        let state = Bytes::new((state_bytes(self.layout) * ask.streams) as f64);
        let llama = LlamaContext::server(ask.context, ask.streams, ask.kv);
        let (context, graph) = match allocation {
            Allocation::Cells => {
                let asked = GraphAsk { context: llama, outputs: ask.streams };
                let graph = if unified {
                    llama_graph(self.layout, asked, &Offload::none()).host
                } else {
                    llama_graph(self.layout, asked, &Offload::full()).devices[0]
                };
                // Exact for plain models, up to a third off for hybrids.
                let graph = Estimate {
                    value: graph,
                    low: graph * 0.75,
                    high: graph * 1.35,
                    basis: Basis::Modelled,
                };
                (llama_context(self.layout, llama), graph)
            }
            Allocation::Pool | Allocation::Grown => {
                let block = if allocation == Allocation::Pool { 16 } else { 256 };
                let one = bytes_for_tokens(self.layout, ask.context, block, ask.kv);
                let [low, high] = engine
                    .memory
                    .activation_gib
                    .map_or([Bytes::ZERO; 2], |range| range.map(Bytes::from));
                let graph =
                    Estimate { value: (low + high) / 2.0, low, high, basis: Basis::Assumed };
                (one * ask.streams as f64, graph)
            }
        };
        let runtime = engine
            .memory
            .runtime
            .iter()
            .find(|one| one.stack == self.setup.stack)
            .map(runtime_estimate)
            .ok_or_else(|| MemoryError::Runtime {
                engine: id(),
                stack: crate::setup::stack_word(self.setup.stack),
            })?;
        let count = f64::from(devices);
        let vision = self.vision(ask);
        // Layers are not cut: each further device wastes half a layer on average, at worst one.
        let layer = self.weights.loaded / f64::from(self.layout.main_layers.max(1));
        let uneven = Estimate {
            value: layer * (0.5 * (count - 1.0)),
            low: Bytes::ZERO,
            high: layer * (count - 1.0),
            basis: Basis::Modelled,
        };
        Ok(Parts {
            weights,
            kv: context - state,
            state,
            graph: graph.map(|one| one * count),
            runtime: runtime.map(|one| one * count),
            vision,
            uneven,
        })
    }

    /// The vision tower as a 16-bit projector file.
    fn vision(&self, ask: Ask) -> Estimate<Bytes> {
        let bytes = self.model.vision.as_ref().and_then(|vision| vision.mmproj_f16_bytes);
        match bytes.filter(|_| ask.vision) {
            Some(bytes) => {
                let bytes = Bytes::new(bytes as f64);
                // The encoder's activations are not known; half the tower is allowed for.
                Estimate {
                    value: bytes * 1.25,
                    low: bytes,
                    high: bytes * 1.5,
                    basis: Basis::Modelled,
                }
            }
            None => Estimate {
                value: Bytes::ZERO,
                low: Bytes::ZERO,
                high: Bytes::ZERO,
                basis: Basis::Exact,
            },
        }
    }

    fn terms(&self, ask: Ask, parts: &Parts, usable: Bytes, margin: Bytes) -> Vec<Term> {
        let gib = |bytes: Bytes| format!("{:.2} GiB", bytes.to_gib());
        let range = |one: &Estimate<Bytes>| {
            format!(
                "{:.2} GiB ({:.2} to {:.2})",
                one.value.to_gib(),
                one.low.to_gib(),
                one.high.to_gib()
            )
        };
        let model = self.layout.id.as_str();
        let engine = self.setup.engine_id.as_str();
        let family = format!("architecture/{}", self.layout.family);
        let by_type: Vec<String> = self
            .weights
            .by_type
            .iter()
            .map(|(kind, bytes)| format!("{kind} {:.2} GiB", bytes.to_gib()))
            .collect();
        let mut terms = vec![
            Term::new(
                "weights loaded",
                format!(
                    "sum over {} tensors of elements / block * bytes, each padded to 32 ({})",
                    self.layout.tensors.len(),
                    by_type.join(", ")
                ),
                gib(self.weights.loaded),
                Basis::Exact,
                &[model, &family],
            ),
            Term::new(
                "weights on the accelerator",
                "loaded weights less the embedding table, which stays on the host unless memory is shared",
                gib(parts.weights),
                Basis::Exact,
                &[engine],
            ),
            Term::new(
                "KV cache",
                format!(
                    "sum over caching layers of cells * (K row + V row) in {}, {} stream(s) of {} tokens",
                    ask.kv.name, ask.streams, ask.context
                ),
                gib(parts.kv),
                Basis::Exact,
                &[model, &family, engine],
            ),
        ];
        if parts.state > Bytes::ZERO {
            terms.push(Term::new(
                "recurrent state",
                "32-bit floats per recurrent layer and stream, whatever the context",
                gib(parts.state),
                Basis::Exact,
                &[model, &family],
            ));
        }
        terms.push(Term::new(
            "graph buffer",
            "scratch memory of the widest moment of a micro-batch",
            range(&parts.graph),
            parts.graph.basis,
            &[engine],
        ));
        terms.push(Term::new(
            "runtime",
            "context and libraries of the stack, per device",
            range(&parts.runtime),
            parts.runtime.basis,
            &[engine],
        ));
        if ask.vision {
            terms.push(Term::new(
                "vision tower",
                "16-bit projector file and a quarter of it for activations",
                range(&parts.vision),
                parts.vision.basis,
                &[model],
            ));
        }
        if parts.uneven.high > Bytes::ZERO {
            terms.push(Term::new(
                "uneven split",
                "layers are not cut: half a layer for each further device",
                range(&parts.uneven),
                parts.uneven.basis,
                &[model],
            ));
        }
        let devices: Vec<&str> =
            self.machine.devices.iter().map(|device| device.id.as_str()).collect();
        terms.push(Term::new(
            "usable",
            "what the driver or platform lets the accelerator use",
            gib(usable),
            Basis::Exact,
            &devices,
        ));
        terms.push(Term::new(
            "margin",
            "the larger of 0.5 GiB and 3 % of usable memory",
            gib(margin),
            Basis::Assumed,
            &[],
        ));
        terms
    }
}

/// What a model takes, in three parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Weights on the accelerators.
    pub weights: Bytes,
    /// KV cache and recurrent state of all streams.
    pub context: Bytes,
    /// Graph buffers, runtime, vision tower, uneven split.
    pub overhead: Estimate<Bytes>,
}

struct Parts {
    weights: Bytes,
    kv: Bytes,
    state: Bytes,
    graph: Estimate<Bytes>,
    runtime: Estimate<Bytes>,
    vision: Estimate<Bytes>,
    uneven: Estimate<Bytes>,
}

impl Parts {
    fn total(&self) -> Estimate<Bytes> {
        let exact = self.weights + self.kv + self.state;
        let rough = [&self.graph, &self.runtime, &self.vision, &self.uneven];
        let sum =
            |pick: fn(&Estimate<Bytes>) -> Bytes| exact + rough.iter().map(|one| pick(one)).sum();
        let basis = rough.iter().filter(|one| one.high > Bytes::ZERO).map(|one| one.basis).max();
        Estimate {
            value: sum(|one| one.value),
            low: sum(|one| one.low),
            high: sum(|one| one.high),
            basis: basis.unwrap_or(Basis::Exact),
        }
    }
}

fn runtime_estimate(runtime: &RuntimeMemory) -> Estimate<Bytes> {
    let (low, high) = (runtime.low_gib.quantity(), runtime.high_gib.quantity());
    Estimate { value: (low + high) / 2.0, low, high, basis: Basis::Assumed }
}

/// What all devices of a machine offer an engine.
///
/// # Errors
/// When the share of unified memory is not known.
pub fn usable(setup: &Setup<'_>, machine: &Machine<'_>) -> Result<Bytes, MemoryError> {
    let share = setup.engine.memory.device_share;
    let mut sum = Bytes::ZERO;
    for device in &machine.devices {
        let one =
            device.usable().ok_or_else(|| MemoryError::Usable { device: device.id.clone() })?;
        // An engine that reserves a share of the device reckons with the whole of it.
        let one = share.map_or(one, |share| one.min(device.memory * share));
        sum += one * f64::from(device.count);
    }
    Ok(sum)
}

/// What is kept free of the memory an engine may use: the larger of 0.5 GiB and 3 %.
pub fn margin(usable: Bytes) -> Bytes {
    Bytes::gib(0.5).max(usable * 0.03)
}

fn verdict(total: Estimate<Bytes>, usable: Bytes, margin: Bytes) -> Verdict {
    if total.value > usable {
        Verdict::No
    } else if total.value + margin <= usable && total.high <= usable {
        Verdict::Fits
    } else {
        Verdict::Tight
    }
}

/// The largest multiple of 256 up to `limit` for which `fits` holds; `fits` must not start to hold
/// again once it failed.
fn largest(limit: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if fits(limit) {
        return Some(limit);
    }
    let steps = largest_count(limit / 256, |steps| fits(steps * 256));
    (steps > 0).then_some(steps * 256)
}

pub(crate) fn largest_count(most: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most + 1);
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_that_fits_is_found() {
        assert_eq!(largest(131_072, |context| context <= 100_000), Some(99_840));
        assert_eq!(largest(131_072, |_| true), Some(131_072));
        assert_eq!(largest(131_072, |_| false), None);
        assert_eq!(largest_count(1_024, |streams| streams <= 7), 7);
    }

    #[test]
    fn a_total_inside_the_margin_is_tight_not_a_fit() {
        let total = |gib: f64| Estimate::within_factor(Bytes::gib(gib), 1.01, Basis::Modelled);
        let say = |gib| verdict(total(gib), Bytes::gib(24.0), Bytes::gib(0.72));
        assert_eq!([say(23.0), say(23.5), say(24.5)], [Verdict::Fits, Verdict::Tight, Verdict::No]);
    }
}
