//! Measured rows in the terms of the model: names resolved, what is not said taken from defaults
//! that are written down, everything taken for granted remarked on.

pub mod engine;
pub mod format;
pub mod hardware;
pub mod model;

use std::collections::BTreeMap;
use std::sync::Arc;

use localrig_facts::calibration::DefaultSplit;
use localrig_facts::engine::Engine;
use localrig_facts::gpu::{BoxLink, Protocol};
use localrig_facts::machine::{Device, MachineError, PcieSlot};
use localrig_facts::measured::{Phase, SpeedRow};
use localrig_facts::unit::{Bytes, Gib};
use localrig_facts::{Catalog, CatalogError};

use crate::architecture::{LayoutError, layout};
use crate::calibration::{Placed, Site, place};
use crate::context::KvType;
use crate::outline::outline;
use crate::parameter::{Constants, Parameter};
use crate::prefill::prefill;
use crate::rate::{MissingFact, Rates, rates};
use crate::recipe::{Recipe, RecipeError};
use crate::run::{Host, Link, Run, Split};
use crate::serving::{Load, Served, generation, wall, wave};
use crate::work::Work;

/// Why a row has no estimate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// A name leads nowhere, or a catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The hardware cannot be told.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The CPU computed.
    #[error("measured on a CPU: rows do not say how fast its memory is")]
    Cpu,
    /// A data sheet lacks a figure.
    #[error(transparent)]
    Missing(#[from] MissingFact),
    /// The model's layers cannot be told.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The format cannot be applied.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

/// A row as a run of the model.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where its stack stands in the hierarchy of constants.
    pub site: Site,
    /// What the model asks for.
    pub work: Arc<Work>,
    /// What one device offers.
    pub rates: Rates,
    /// How devices share the work.
    pub split: Split,
    /// Weights in host memory.
    pub host: Option<Host>,
    /// Prompt tokens computed at once.
    pub chunk_tokens: f64,
    /// Power limit of each device in watts.
    pub power_limit: Option<f64>,
    /// Memory of one device in bytes that the engine leaves to weights and caches.
    pub memory: Option<f64>,
    /// What was measured.
    pub phase: Phase,
    /// The load.
    pub load: Load,
    /// What `tok_s_total` of generation counts.
    pub counted: Counted,
    /// Whether the prompt is what a tool asked for whose prompts come out shorter.
    pub asked: bool,
    /// Whether the server had fewer slots than the row has streams, and how many is not known.
    pub queued: bool,
    /// Whether the model's tensors are an outline.
    pub outlined: bool,
    /// What was taken for granted.
    pub remarks: Vec<String>,
}

/// What the total of a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Generation alone.
    Generation,
    /// Tokens over time of a loop that starts a request when one ends: prompts are in it.
    Loop,
    /// Tokens of requests that start together, over the time from the first token of any to the last.
    Wave,
}

impl Case {
    /// The run.
    pub fn run(&self) -> Run<'_> {
        Run {
            work: &self.work,
            rates: &self.rates,
            split: self.split,
            host: self.host,
            chunk_tokens: self.chunk_tokens,
            power_limit: self.power_limit,
            memory: self.memory,
        }
    }

    /// Most tokens of context of the run, and its streams.
    pub fn reach(&self) -> (u64, u64) {
        let load = self.load;
        let tokens = match self.phase {
            Phase::Decode => load.depth + load.generated,
            Phase::Prefill => load.depth + load.prompt_tokens,
        };
        let copies = f64::from(self.split.replicas);
        let streams = load.slots.map_or(load.streams, |slots| load.streams.min(slots * copies));
        (tokens as u64, streams as u64)
    }

    /// What the row should have measured.
    pub fn predict(&self, constants: &Constants) -> Served {
        let run = self.run();
        let share = if self.asked { constants[Parameter::PromptShare] } else { 1.0 };
        let Load { prompt_tokens, depth, .. } = self.load;
        let load = Load { prompt_tokens: prompt_tokens * share, depth: depth * share, ..self.load };
        match self.phase {
            Phase::Decode => match self.counted {
                Counted::Generation => generation(&run, constants, load),
                Counted::Loop => wall(&run, constants, load),
                Counted::Wave => wave(&run, constants, load),
            },
            Phase::Prefill => {
                let time = prefill(&run, constants, load.prompt_tokens, load.depth).total;
                let one = load.prompt_tokens / time;
                // Prompts of several requests follow each other; copies work side by side.
                let copies = load.streams.min(f64::from(self.split.replicas)).max(1.0);
                Served { total: one * copies, per_stream: one * copies / load.streams }
            }
        }
    }
}

/// Key of work that is the same: model, format, size of the file in MiB, KV type.
type WorkKey = (String, String, u64, &'static str);

/// Work with how it came about.
#[derive(Clone, Debug)]
struct Known {
    work: Arc<Work>,
    outlined: bool,
    remark: Option<String>,
}

/// Rows to cases; what rows have in common is worked out once.
#[derive(Debug)]
pub struct Cases<'a> {
    catalog: &'a Catalog,
    works: BTreeMap<WorkKey, Known>,
}

/// The tool whose rows say so in their notes.
const BENCHY: &str = "llama-benchy";

/// Tokens generated where a row does not say: llama-bench's default.
const GENERATED: f64 = 128.0;

/// Prompt where a prefill row does not say: llama-bench's default.
const PROMPT: f64 = 512.0;

impl<'a> Cases<'a> {
    /// A reader of rows.
    pub const fn new(catalog: &'a Catalog) -> Self {
        Self { catalog, works: BTreeMap::new() }
    }

    /// The case of a row.
    ///
    /// # Errors
    /// When a name leads nowhere or a fact that the model needs is missing.
    pub fn case(&mut self, row: &SpeedRow) -> Result<Case, CaseError> {
        let catalog = self.catalog;
        if row.backend.trim().eq_ignore_ascii_case("cpu") {
            return Err(CaseError::Cpu);
        }
        let device = hardware::device_of(catalog, &row.hardware_id, row.hardware_memory_gb)
            .map_err(|error| match error {
                MachineError::NoAccelerator { .. } => CaseError::Cpu,
                other => other.into(),
            })?;
        let slot = PcieSlot {
            generation: row.pcie_generation,
            lanes: row.pcie_lanes.map(|lanes| lanes as u32),
        };
        let device = Device { slot, ..device };
        let named =
            engine::engine_of(catalog, &row.engine, &row.engine_raw, &row.backend, device.gpu)?;
        let format = format::format_of(catalog, named.engine, &row.quant)
            .or_else(|_| format::format_of(catalog, named.engine, &row.quant_raw))?;
        let kv = kv_type(&row.kv_type);
        let mut remarks: Vec<String> = named.remark.iter().chain(&format.remark).cloned().collect();
        let file = row.weights_gib.filter(|gib| *gib > 0.0);
        let key: WorkKey = (
            row.model_id.clone(),
            format!("{}@{}", format.id, format.nominal_bits.unwrap_or(0.0)),
            file.map_or(0, |gib| (gib * 1024.0) as u64),
            kv.name,
        );
        let known = if let Some(known) = self.works.get(&key) {
            known.clone()
        } else {
            let new = new_work(catalog, row, &format, kv)?;
            self.works.entry(key).or_insert(new).clone()
        };
        remarks.extend(known.remark);
        let (work, outlined) = (known.work, known.outlined);
        let placed = place(
            catalog,
            named.id.short(),
            named.stack,
            device.id,
            device.gpu,
            row.date.as_str(),
        )?;
        let rates = rates(catalog, &device, placed.peak)?;
        let native = work.native.as_deref();
        let rates = rates.of_weights(catalog, &device, placed.peak, native);
        let split = split(catalog, row, &device, &placed)?;
        let streams = row.concurrency.unwrap_or(1.0).max(1.0);
        let load = Load {
            prompt_tokens: row
                .prompt_tokens
                .filter(|tokens| *tokens > 0.0)
                .unwrap_or(if row.phase == Phase::Prefill { PROMPT } else { 0.0 }),
            depth: row.depth.unwrap_or(0.0).max(0.0),
            generated: row.gen_tokens.filter(|tokens| *tokens > 0.0).unwrap_or(GENERATED),
            streams,
            slots: row.slots,
            cached: row.prompt_cached == Some(1.0),
        };
        let host = (row.cpu_offload == Some(1.0)).then(|| host(&work, &device, split));
        Ok(Case {
            site: placed.site,
            rates,
            split,
            host,
            chunk_tokens: row.n_ubatch.unwrap_or(placed.class.chunk_tokens as f64),
            power_limit: row.power_limit_w,
            memory: Some(room(named.engine, &device).get()).filter(|bytes| *bytes > 0.0),
            phase: row.phase,
            load,
            counted: counted(row),
            // Rows that say what was asked for have what was counted in their columns.
            asked: row.notes.contains(BENCHY) && !row.notes.contains("asked for"),
            queued: placed.class.slots && row.slots.is_none() && is_queued(row),
            outlined,
            work,
            remarks,
        })
    }
}

fn new_work(
    catalog: &Catalog,
    row: &SpeedRow,
    format: &format::NamedFormat<'_>,
    kv: KvType,
) -> Result<Known, CaseError> {
    let named = model::model_of(catalog, row)?;
    let (layout, outlined) = match layout(catalog, &named.id, &named.model) {
        Ok(layout) => (layout, false),
        Err(_) => (outline(&named.id, &named.model)?, true),
    };
    let recipe = Recipe::new(catalog, format.id, format.format)?;
    let mut work = Work::new(&layout, &recipe, kv);
    // A real file's size beats a recipe; one that is far off is another file than the row's.
    let computed = work.weights.file;
    let stated = row.weights_gib.filter(|gib| *gib > 0.0).map(Bytes::gib);
    let nominal =
        format.nominal_bits.map(|bits| Bytes::new(layout.parameters().total as f64 * bits / 8.0));
    let plausible = |bytes: &Bytes| (0.5..2.0).contains(&(*bytes / computed));
    if let Some(file) = stated.filter(plausible).or(nominal) {
        work = work.scaled_to(file);
    }
    Ok(Known { work: Arc::new(work), outlined, remark: named.remark })
}

/// The KV type of a word; types of single engines by their bits.
fn kv_type(word: &str) -> KvType {
    let known = |name: &str| KvType::of(name).unwrap_or(KvType::F16);
    KvType::of(word).unwrap_or_else(|| match word.to_ascii_lowercase() {
        text if text.contains('8') => known("q8_0"),
        text if text.contains("fp16") || text.contains("bf16") => KvType::F16,
        text if text.contains('4') || text.contains('3') => known("q4_0"),
        _ => KvType::F16,
    })
}

/// What the total of a row counts, by its label and its tool.
fn counted(row: &SpeedRow) -> Counted {
    if row.total_basis != "wall_incl_prefill" || is_same_figure(row) {
        return Counted::Generation;
    }
    // llama-benchy sends one request for each stream, waits for all, and counts from the first token
    // (eugr/llama-benchy, src/llama_benchy/results.py at 2e3e74d).
    if row.notes.contains(BENCHY) { Counted::Wave } else { Counted::Loop }
}

/// Whether the total of a single stream is its speed between tokens after all, whatever its label
/// says: the two columns hold the same figure.
fn is_same_figure(row: &SpeedRow) -> bool {
    let (Some(total), Some(stream)) = (row.tok_s_total, row.tok_s_per_stream) else {
        return false;
    };
    row.stream_basis == "tpot"
        && row.concurrency.unwrap_or(1.0) <= 1.0
        && (total / stream - 1.0).abs() < 1e-3
}

/// Share of a row's streams that must have run at once.
const RUNNING: f64 = 0.6;

/// Whether fewer streams ran at once than the row names: its total holds far fewer of them at their
/// own speed. The others waited for a slot.
fn is_queued(row: &SpeedRow) -> bool {
    let figures = (row.tok_s_total, row.tok_s_per_stream, row.concurrency);
    let (Some(total), Some(one), Some(streams)) = figures else { return false };
    row.stream_basis == "tpot" && total < RUNNING * one * streams
}

fn split(
    catalog: &Catalog,
    row: &SpeedRow,
    device: &Device<'_>,
    placed: &Placed<'_>,
) -> Result<Split, CaseError> {
    let at_least_one = |count: Option<f64>| count.unwrap_or(1.0).max(1.0).round() as u32;
    let devices = at_least_one(row.hardware_count) * device.count;
    let replicas = at_least_one(row.replicas).min(devices);
    let each = devices / replicas;
    let default = placed.class.parallel;
    let tensor = match row.parallelism.as_str() {
        // Labels lie: what the engine cannot do was something else.
        "tensor" | "expert" if placed.class.tensor_parallel => each,
        "" | "unknown" if default == DefaultSplit::Tensor => each,
        _ => 1,
    };
    let stated = row.tp.filter(|width| *width > 1.0).map(|width| (width as u32).min(each));
    let tensor = if tensor > 1 { stated.unwrap_or(tensor) } else { tensor };
    let stages = if row.parallelism == "data" { 1 } else { (each / tensor).max(1) };
    let replicas = if row.parallelism == "data" { devices.max(replicas) } else { replicas };
    let link = if stages * tensor > 1 { link(catalog, row, device)? } else { Link::Ideal };
    Ok(Split { stages, tensor, replicas, link })
}

/// What joins the devices of a copy: what the data sheet says, or the network of those over RPC.
fn link(catalog: &Catalog, row: &SpeedRow, device: &Device<'_>) -> Result<Link, CaseError> {
    if row.parallelism == "rpc" {
        let gb_per_s_per_direction = catalog.machine_constants()?.rpc_network_gb_per_s;
        return Ok(Link::Boxes(BoxLink { protocol: Protocol::Tcp, gb_per_s_per_direction }));
    }
    Ok(Link::between(device)?)
}

/// Memory of a device that an engine leaves to weights and caches.
fn room(engine: &Engine, device: &Device<'_>) -> Bytes {
    let middle = |range: Option<[Gib; 2]>| {
        range.map_or(Bytes::ZERO, |[low, high]| (low.quantity() + high.quantity()) / 2.0)
    };
    let facts = &engine.memory;
    let taken = device.memory * facts.device_share.unwrap_or(1.0);
    (taken - middle(facts.activation_gib) - middle(facts.graphs_gib)).max(Bytes::ZERO)
}

/// Share of a card's memory that weights may fill beside context and buffers.
const ROOM: f64 = 0.85;

/// What of a model that is said to lie partly in host memory does: what does not fit.
fn host(work: &Work, device: &Device<'_>, split: Split) -> Host {
    let room = device.memory.get() * f64::from(split.devices()) * ROOM;
    let moved = if work.is_mixture() { work.weights.experts } else { work.weights.base };
    let over = work.weights.loaded.get() - room;
    // Whoever moves experts moves at least some.
    let share = (over / moved.get()).clamp(0.05, 1.0);
    let (experts, base) = if work.is_mixture() { (share, 0.0) } else { (0.0, share) };
    Host { experts, base, attention: 0.0, bandwidth: None, cores: None }
}
