//! Whether a model with its contexts fits a machine, term by term.

use localrig_facts::engine::{Allocation, RuntimeMemory};
use localrig_facts::machine::{Device, Machine};
use localrig_facts::model::Model;
use localrig_facts::unit::{Bytes, Gib};
use localrig_facts::{Basis, Estimate, Id};
use serde::Serialize;

use crate::architecture::Layout;
use crate::context::{
    KvType, LlamaContext, bytes_for_tokens, grown_context, llama_context, state_bytes,
};
use crate::graph::{GraphAsk, llama_graph};
use crate::placement::Offload;
use crate::setup::Setup;
use crate::term::Term;
use crate::weights::Weights;

mod derivation;
mod reserve;
mod setting;
mod spread;

pub use reserve::Reserve;
pub use setting::Setting;
pub use spread::{Limit, Limits, Offloaded, PlaceMemory, Spread};

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
    /// The tokens of a block of the cache are not known.
    #[error("missing fact: scheduler.block_tokens of {engine}")]
    BlockTokens {
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
    /// The size of the vision tower is not known.
    #[error("missing fact: vision.mmproj_f16_bytes of {model}")]
    Vision {
        /// The model.
        model: String,
    },
    /// Nothing can be put on accelerators where there are none.
    #[error("{machine} has no accelerator: all of a model lies in its memory")]
    NoAccelerator {
        /// The machine.
        machine: String,
    },
    /// Layers cannot be kept on a host that is the device.
    #[error("{machine} shares one memory between CPU and GPU: no layer can be kept out of it")]
    OneMemory {
        /// The machine.
        machine: String,
    },
    /// More streams than a server of the engine runs at a time.
    #[error("{engine} runs at most {most} streams at a time, {asked} were asked for")]
    TooManyStreams {
        /// The engine.
        engine: String,
        /// The most.
        most: u64,
        /// The streams asked for.
        asked: u64,
    },
    /// The engine has no such setting: it takes what it needs.
    #[error("{engine} takes no share of a card that could be set")]
    NoShare {
        /// The engine.
        engine: String,
    },
    /// The engine does not spread layers as llama.cpp does.
    #[error("{engine} keeps everything on accelerators: layers cannot be spread by hand")]
    NotSpread {
        /// The engine.
        engine: String,
    },
    /// As many shares as devices are needed.
    #[error("{given} shares were given for {devices} device{}", if *devices == 1 { "" } else { "s" })]
    Shares {
        /// How many were given.
        given: usize,
        /// How many devices there are.
        devices: usize,
    },
    /// Only experts can be kept on the host apart from their layer.
    #[error("{model} has no routed experts that could stay on the host")]
    NoExperts {
        /// The model.
        model: String,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// The part of them that lies in two places: an embedding matrix that serves as output matrix
    /// too, held as a table on the host and as a matrix on the accelerator.
    pub held_twice_bytes: Bytes,
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
    /// Sum of what is on the accelerators; in the machine's memory where it has none.
    pub total_bytes: Estimate<Bytes>,
    /// What the accelerators offer, or the machine's memory; `None` when that is not known.
    pub usable_bytes: Option<Bytes>,
    /// Kept free: the larger of 0.5 GiB and 3 %; a tenth of a machine's memory.
    pub margin_bytes: Option<Bytes>,
    /// Whether it fits; `None` when it is not known how much there is.
    pub verdict: Option<Verdict>,
    /// Longest context per stream that still fits, up to the model's own limit.
    pub largest_context_tokens: Option<u64>,
    /// Streams of this context that fit at once; `None` when it is not known how much memory there is.
    pub streams_that_fit: Option<u64>,
    /// What lies where, under engines that deal layers out between host and devices.
    pub spread: Option<Spread>,
    /// The pool of blocks, under engines that take a share of the device at start.
    pub pool: Option<Reserve>,
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
    /// What the engine is told.
    pub setting: &'a Setting,
}

impl Holding<'_> {
    /// Memory of the model with the contexts asked for.
    ///
    /// # Errors
    /// When a fact about the engine or the machine is missing.
    pub fn memory(&self, ask: Ask) -> Result<Memory, MemoryError> {
        let unified = self.machine.is_unified();
        let allocation = self.allocation()?;
        let placed = self.setting.spreads() || self.setting.device_share.is_some();
        if self.machine.cpu.is_some() && placed {
            return Err(MemoryError::NoAccelerator { machine: self.machine.name.clone() });
        }
        if self.setting.spreads() {
            if allocation != Allocation::Cells {
                return Err(MemoryError::NotSpread { engine: self.setup.engine.name.clone() });
            }
            if unified {
                return Err(MemoryError::OneMemory { machine: self.machine.name.clone() });
            }
        }
        if let Some(most) = self.setup.engine.memory.most_streams.filter(|most| ask.streams > *most)
        {
            let engine = self.setup.engine.name.clone();
            return Err(MemoryError::TooManyStreams { engine, most, asked: ask.streams });
        }
        let setting = self.setting;
        let shared = setting.device_share.is_some() && allocation == Allocation::Cells && !unified;
        if shared || (setting.batched_tokens.is_some() && allocation != Allocation::Pool) {
            return Err(MemoryError::NoShare { engine: self.setup.engine.name.clone() });
        }
        match allocation {
            Allocation::Cells if !unified => self.spread(ask),
            Allocation::Pool if self.device_share().is_some() => self.reserve(ask),
            _ => self.whole(ask),
        }
    }

    /// Most streams that are tried when it is asked how many fit: what the engine runs, or more than
    /// any machine at home serves.
    fn most_streams(&self) -> u64 {
        self.setup.engine.memory.most_streams.unwrap_or(1024)
    }

    /// Memory counted for the machine as a whole.
    fn whole(&self, ask: Ask) -> Result<Memory, MemoryError> {
        let usable = self.usable()?;
        let margin = margin(usable);
        let parts = self.parts(ask)?;
        let total = parts.total();
        let fits = |ask: Ask| {
            self.parts(ask)
                .is_ok_and(|parts| verdict(parts.total(), usable, margin) == Verdict::Fits)
        };
        let limit = self.model.context_tokens;
        let largest = largest(limit, |context| fits(Ask { context, ..ask }));
        let streams_that_fit =
            largest_count(self.most_streams(), |streams| fits(Ask { streams, ..ask }));
        Ok(Memory {
            weights_bytes: self.weights.loaded,
            device_weights_bytes: parts.weights,
            held_twice_bytes: self.second_embedding(self.weights.loaded),
            kv_cache_bytes: parts.kv,
            recurrent_state_bytes: parts.state,
            graph_bytes: parts.graph,
            runtime_bytes: parts.runtime,
            vision_bytes: ask.vision.then_some(parts.vision),
            total_bytes: total,
            usable_bytes: Some(usable),
            margin_bytes: Some(margin),
            verdict: Some(verdict(total, usable, margin)),
            largest_context_tokens: largest,
            streams_that_fit: Some(streams_that_fit),
            spread: None,
            pool: None,
            terms: self.terms(ask, &parts, usable, margin),
        })
    }

    /// The embedding matrix, where weights that take `held` bytes have a second copy of it because it
    /// is the output matrix too. Small tables that lie on every device are not meant.
    fn second_embedding(&self, held: Bytes) -> Bytes {
        let tensors = || self.layout.tensors.iter().zip(&self.weights.tensors);
        let once: u64 =
            tensors().filter(|(tensor, _)| tensor.loaded).map(|(_, bytes)| *bytes).sum();
        let embedding = tensors().find(|(tensor, _)| &*tensor.name == "token_embd.weight");
        let embedding = Bytes::new(embedding.map_or(0.0, |(_, bytes)| *bytes as f64));
        let has_copy = self.layout.tied && held - Bytes::new(once as f64) >= embedding;
        if has_copy { embedding } else { Bytes::ZERO }
    }

    fn allocation(&self) -> Result<Allocation, MemoryError> {
        let engine = || self.setup.engine_id.clone();
        self.setup
            .engine
            .memory
            .allocation
            .ok_or_else(|| MemoryError::Allocation { engine: engine() })
    }

    /// The share of each device that the engine takes by itself.
    fn device_share(&self) -> Option<f64> {
        self.setting.device_share.or(self.setup.engine.memory.device_share)
    }

    /// What all devices offer under the settings.
    fn usable(&self) -> Result<Bytes, MemoryError> {
        let devices = self.machine.devices.iter();
        devices
            .map(|device| Ok(self.usable_on(device)? * f64::from(device.count)))
            .sum::<Result<Bytes, MemoryError>>()
    }

    /// What one device offers under the settings.
    fn usable_on(&self, device: &Device<'_>) -> Result<Bytes, MemoryError> {
        let Some(share) = self.setting.device_share else { return usable_of(self.setup, device) };
        let pooled = self.setup.engine.memory.allocation == Some(Allocation::Pool);
        // A share of unified memory moves the platform's own limit; engines with a pool take a share
        // of what the driver shows.
        match device.usable() {
            Some(usable) if pooled || !device.is_unified() => Ok(usable * share),
            _ => Ok(device.memory * share),
        }
    }

    /// Context and libraries of the stack on one device.
    fn runtime(&self) -> Result<Estimate<Bytes>, MemoryError> {
        let stack = self.setup.stack;
        let known = self.setup.engine.memory.runtime.iter().find(|one| one.stack == stack);
        known.map(runtime_estimate).ok_or_else(|| MemoryError::Runtime {
            engine: self.setup.engine_id.clone(),
            stack: crate::setup::stack_word(stack),
        })
    }

    /// How llama.cpp is asked to hold so many streams.
    fn cells(&self, ask: Ask) -> LlamaContext {
        let shared = LlamaContext::server(ask.context, ask.streams, ask.kv);
        LlamaContext { unified: !self.setup.engine.memory.own_buffers, ..shared }
    }

    /// What the model takes on the accelerators, without the search for what else would fit.
    ///
    /// # Errors
    /// As [`Holding::memory`].
    pub fn size(&self, ask: Ask) -> Result<Size, MemoryError> {
        self.size_with(ask, self.buffers(ask)?)
    }

    /// [`Holding::size`] with caches and compute buffers that are known.
    ///
    /// # Errors
    /// As [`Holding::memory`].
    pub fn size_with(&self, ask: Ask, buffers: Buffers) -> Result<Size, MemoryError> {
        let parts = self.parts_with(ask, buffers)?;
        let total = parts.total();
        let exact = parts.weights + parts.kv + parts.state;
        Ok(Size {
            weights: parts.weights,
            context: parts.kv + parts.state,
            overhead: total.map(|one| one - exact),
            vision: parts.vision,
        })
    }

    fn parts(&self, ask: Ask) -> Result<Parts, MemoryError> {
        self.parts_with(ask, self.buffers(ask)?)
    }

    /// What contexts take and computing with them. Of engines that allocate cells it depends on the
    /// machine in one thing only, whether its memory is unified.
    ///
    /// # Errors
    /// As [`Holding::memory`].
    pub fn buffers(&self, ask: Ask) -> Result<Buffers, MemoryError> {
        let engine = self.setup.engine;
        let allocation = self.allocation()?;
        let llama = self.cells(ask);
        let (context, graph) = match allocation {
            Allocation::Cells => {
                let asked = GraphAsk { context: llama, outputs: ask.streams };
                let graph = if self.machine.is_unified() {
                    llama_graph(self.layout, asked, &Offload::none()).host
                } else {
                    llama_graph(self.layout, asked, &Offload::full()).devices[0]
                };
                (llama_context(self.layout, llama), graph_estimate(graph))
            }
            Allocation::Pool | Allocation::Grown => {
                let batch = engine.memory.batched_tokens(self.smallest_device());
                let one = match (allocation, batch) {
                    (Allocation::Grown, Some(batch)) => {
                        grown_context(self.layout, ask.context, batch, ask.kv)
                    }
                    (Allocation::Grown, None) => {
                        bytes_for_tokens(self.layout, ask.context, 256, ask.kv)
                    }
                    _ => bytes_for_tokens(self.layout, ask.context, 16, ask.kv),
                };
                let [low, high] = gib_range(engine.memory.activation_gib);
                let graph =
                    Estimate { value: (low + high) / 2.0, low, high, basis: Basis::Assumed };
                (one * ask.streams as f64, graph)
            }
        };
        Ok(Buffers { context, graph })
    }

    fn parts_with(&self, ask: Ask, buffers: Buffers) -> Result<Parts, MemoryError> {
        let Buffers { context, graph } = buffers;
        let allocation = self.allocation()?;
        let unified = self.machine.is_unified();
        let devices: u32 = self.machine.devices.iter().map(|device| device.count).sum();
        // llama.cpp looks embeddings up on the host; on unified memory that is the same memory.
        let weights = match allocation {
            Allocation::Cells if !unified => self.weights.loaded - self.weights.lookup,
            _ => self.weights.loaded,
        };
        let state = Bytes::new((state_bytes(self.layout) * ask.streams) as f64);
        let runtime = self.runtime()?;
        let count = f64::from(devices);
        let vision = self.vision(ask)?;
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

    fn smallest_device(&self) -> Bytes {
        let devices = self.machine.devices.iter().map(|device| device.memory);
        devices.reduce(Bytes::min).unwrap_or(Bytes::ZERO)
    }

    /// The vision tower as a 16-bit projector file.
    fn vision(&self, ask: Ask) -> Result<Estimate<Bytes>, MemoryError> {
        if !ask.vision {
            return Ok(Estimate::exact(Bytes::ZERO));
        }
        let known = self.model.vision.as_ref().and_then(|vision| vision.mmproj_f16_bytes);
        let missing = || MemoryError::Vision { model: self.model.name.clone() };
        let bytes = Bytes::new(known.ok_or_else(missing)? as f64);
        // The encoder's activations are not known; half the tower is allowed for.
        Ok(Estimate { value: bytes * 1.25, low: bytes, high: bytes * 1.5, basis: Basis::Modelled })
    }
}

/// What contexts take, and computing with them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buffers {
    /// KV cache and recurrent state of all streams.
    context: Bytes,
    /// Compute buffer of one device.
    graph: Estimate<Bytes>,
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
    /// Of that, the vision tower.
    pub vision: Estimate<Bytes>,
}

impl Size {
    /// Everything together.
    pub fn value(&self) -> Bytes {
        self.weights + self.context + self.overhead.value
    }

    /// The most that it may come to.
    pub fn high(&self) -> Bytes {
        self.weights + self.context + self.overhead.high
    }
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

/// A graph buffer: exact for plain models, up to a third off for hybrids.
fn graph_estimate(graph: Bytes) -> Estimate<Bytes> {
    Estimate { value: graph, low: graph * 0.75, high: graph * 1.35, basis: Basis::Modelled }
}

/// A range of a fact, nothing where it is not given.
fn gib_range(range: Option<[Gib; 2]>) -> [Bytes; 2] {
    range.map_or([Bytes::ZERO; 2], |range| range.map(Bytes::from))
}

/// What all devices of a machine offer an engine.
///
/// # Errors
/// When the share of unified memory is not known.
pub fn usable(setup: &Setup<'_>, machine: &Machine<'_>) -> Result<Bytes, MemoryError> {
    let devices = machine.devices.iter();
    devices
        .map(|device| Ok(usable_of(setup, device)? * f64::from(device.count)))
        .sum::<Result<Bytes, MemoryError>>()
}

/// What one device offers an engine.
fn usable_of(setup: &Setup<'_>, device: &Device<'_>) -> Result<Bytes, MemoryError> {
    let usable =
        device.usable().ok_or_else(|| MemoryError::Usable { device: device.id.clone() })?;
    // An engine that reserves a share of the device reckons with all that the driver shows.
    Ok(setup.engine.memory.device_share.map_or(usable, |share| usable * share))
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
pub(crate) fn largest(limit: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if limit > 0 && fits(limit) {
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
