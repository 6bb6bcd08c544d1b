//! Inference engines: what they run on, what they read, how they reserve memory.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, CatalogError};
use crate::date::PartialDate;
use crate::format::Container;
use crate::gpu::Stack;
use crate::id::Id;
use crate::source::{Note, Sources};
use crate::unit::{Bytes, Gib};

/// One engine: `catalog/engine/*.toml`.
///
/// Capabilities are short texts in the engine's own terms, because the limits matter as much as
/// the yes. Absent = not found in a source, not "no".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Licence.
    pub licence: Option<String>,
    /// Version the facts were read from, in words.
    pub version: Option<String>,
    /// Date of that version.
    pub version_date: Option<PartialDate>,
    /// Commit the facts were read from.
    pub commit: Option<String>,
    /// Command that starts the server.
    pub executable: String,
    /// How to install it.
    pub install: Option<String>,
    /// Operating systems.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Accelerator stacks it runs on.
    #[serde(default)]
    pub stacks: Vec<Stack>,
    /// Backends in the engine's own words.
    #[serde(default)]
    pub backends: Vec<String>,
    /// Oldest hardware it supports.
    pub min_gpu: Option<String>,
    /// Lowest NVIDIA compute capability, for the check.
    pub min_compute_capability: Option<f64>,
    /// Weight files it reads: `gguf`, `safetensors`, `awq`, `mlx`, `exl3`, …
    #[serde(default)]
    pub weight_formats: Vec<String>,
    /// The format to expect of a model that nobody is known to publish for it.
    pub usual_format: Option<MadeFormat>,
    /// How plans use it; absent = they propose others. A choice of this project, no fact.
    pub plan: Option<EnginePlan>,
    /// KV cache.
    #[serde(default)]
    pub kv_cache: KvCache,
    /// How it reserves memory.
    #[serde(default)]
    pub memory: EngineMemory,
    /// How its server puts steps together.
    #[serde(default)]
    pub scheduler: Scheduler,
    /// Using several devices or machines.
    #[serde(default)]
    pub parallel: BTreeMap<String, String>,
    /// Serving capabilities: `continuous_batching`, `prefix_caching`, `vision`, `tool_calling`, …
    #[serde(default)]
    pub serving: BTreeMap<String, String>,
    /// HTTP endpoints.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// Address it binds to by default.
    pub default_host: Option<String>,
    /// Port it listens on by default.
    pub default_port: Option<u16>,
    /// Container images.
    #[serde(default)]
    pub docker: Vec<String>,
    /// The literal flag, environment variable or key for each setting.
    #[serde(default)]
    pub flags: BTreeMap<String, String>,
    /// Topics a source mentions without proof.
    #[serde(default)]
    pub unverified: Vec<String>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

impl Engine {
    /// How early the engine lists a kind of weight file; `None` = it does not read it.
    pub fn preference(&self, container: Container) -> Option<usize> {
        self.weight_formats.iter().position(|one| one == container.word())
    }

    /// Whether the engine reads a kind of weight file.
    pub fn reads(&self, container: Container) -> bool {
        // MLX engines list their own container only.
        self.preference(container).is_some()
            || (container == Container::Mlx && self.stacks == [Stack::Mlx])
    }
}

/// An engine that plans propose.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    /// Engine id.
    pub id: &'a Id,
    /// The engine.
    pub engine: &'a Engine,
    /// How plans use it.
    pub plan: &'a EnginePlan,
}

/// Engines that plans propose, best known first: those whose entry says so.
///
/// # Errors
/// When a catalog file is broken.
pub fn planned(catalog: &Catalog) -> Result<Vec<Planned<'_>>, CatalogError> {
    let all = catalog.all::<Engine>()?.iter();
    let mut planned: Vec<Planned<'_>> = all
        .filter_map(|(id, engine)| Some(Planned { id, engine, plan: engine.plan.as_ref()? }))
        .collect();
    planned.sort_by_key(|one| (one.plan.place, one.id));
    Ok(planned)
}

/// The engine that plans know best: what is said without an engine is said of it.
///
/// # Errors
/// When a catalog file is broken, or no engine's entry has a place in plans.
pub fn first_planned(catalog: &Catalog) -> Result<Planned<'_>, CatalogError> {
    let missing = || CatalogError::Missing { id: "engine with `plan`".to_owned() };
    planned(catalog)?.into_iter().next().ok_or_else(missing)
}

/// A format that a tool makes of any model an engine reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MadeFormat {
    /// Format: short id under `format/`.
    pub format: String,
    /// What makes it, in the words of an answer: `its llama-quantize`.
    pub tool: String,
}

/// How plans use an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnginePlan {
    /// Its place among the engines of plans: what is known best goes first.
    pub place: u32,
    /// Why plans propose it.
    pub reason: String,
    /// Formats that they consider with it, the largest first: short ids under `format/`.
    pub formats: Vec<String>,
    /// Whether its own converter makes these formats of any model, so that nobody has to publish them.
    #[serde(default)]
    pub makes_files: bool,
    /// The smallest format that people run a model in with it to make it fit: short id.
    pub smallest: Option<String>,
}

/// KV cache of an engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvCache {
    /// Types it offers, in its own spelling.
    #[serde(default)]
    pub types: Vec<String>,
    /// The default.
    pub default: Option<String>,
    /// Limits.
    pub remark: Option<String>,
}

/// How an engine reserves memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineMemory {
    /// How it allocates the context. Absent = not known: memory cannot be computed.
    pub allocation: Option<Allocation>,
    /// Activations of the largest batch beside the graph buffer, lowest and highest seen.
    pub activation_gib: Option<[Gib; 2]>,
    /// Recorded graphs of the device (CUDA graphs), lowest and highest seen.
    pub graphs_gib: Option<[Gib; 2]>,
    /// Share of the device it takes by itself; the rest after weights is KV cache (vLLM, SGLang).
    pub device_share: Option<f64>,
    /// What the share is of: everything, or weights and cache only, activations beside it.
    pub share_of: Option<ShareOf>,
    /// Prompt tokens computed at once, by the memory of a device, largest first.
    #[serde(default)]
    pub batched_tokens: Vec<ByMemory>,
    /// Most streams that one server runs at a time, whatever fits.
    pub most_streams: Option<u64>,
    /// Each stream has a buffer of its own instead of all sharing one.
    #[serde(default)]
    pub own_buffers: bool,
    /// Context when none is asked for, by the memory of all devices, largest first.
    #[serde(default)]
    pub default_context: Vec<ByMemory>,
    /// Memory beside weights, KV cache and graph buffers, by stack.
    #[serde(default)]
    pub runtime: Vec<RuntimeMemory>,
}

impl EngineMemory {
    /// Prompt tokens computed at once on a device of so much memory.
    pub fn batched_tokens(&self, device: Bytes) -> Option<u64> {
        ByMemory::of(&self.batched_tokens, device)
    }

    /// Tokens of context when none are asked for, on devices of so much memory together.
    pub fn default_context(&self, devices: Bytes) -> Option<u64> {
        ByMemory::of(&self.default_context, devices)
    }
}

/// How an engine's server puts the steps of several requests together, as it is started without
/// options. Prompt tokens of a step are `memory.batched_tokens` where memory depends on them too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheduler {
    /// Engine whose scheduler stands for this one: short id. With it nothing else is given.
    pub like: Option<String>,
    /// Kind of scheduler. Absent = not known: the engine cannot be simulated.
    pub policy: Option<Policy>,
    /// Most tokens in a step, prompts and generated ones together.
    pub step_tokens: Option<u32>,
    /// Most requests that run at a time, by the memory of a device, largest first.
    #[serde(default)]
    pub running: Vec<RunningByMemory>,
    /// Tokens of a block of the cache.
    pub block_tokens: Option<u32>,
    /// Whether prompts that start alike share their blocks.
    pub prefix_caching: Option<bool>,
    /// Whether a step is put together while another runs.
    pub asynchronous: Option<bool>,
    /// Slots of a server that nobody gives a number of.
    pub slots: Option<u32>,
    /// Whether slots share the cells of the cache.
    pub unified: Option<bool>,
    /// Part of a prompt that a slot's cache must start with to be chosen for it.
    pub prompt_similarity: Option<f64>,
    /// Main memory for caches of prompts that left their slot; nought = none.
    pub host_cache_gib: Option<Gib>,
    /// Streams that generate together.
    pub decoding: Option<u32>,
    /// Prompts that are computed together.
    pub prompts: Option<u32>,
    /// Prompts whose caches are kept.
    pub kept_prompts: Option<u32>,
    /// Whether models are loaded when they are asked for, and make room for each other.
    #[serde(default)]
    pub loads_on_demand: bool,
}

impl Scheduler {
    /// Most requests at a time on a device of so much memory.
    pub fn running(&self, device: Bytes) -> Option<u32> {
        let holds =
            |rule: &&RunningByMemory| rule.from_gib.is_none_or(|from| device >= from.quantity());
        self.running.iter().find(holds).map(|rule| rule.requests)
    }
}

/// A kind of scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// A budget of tokens a step and a cache of blocks, as vLLM has.
    Blocks,
    /// A fixed number of slots with a conversation each, as llama.cpp's server has.
    Slots,
    /// Prompts and generation take turns, as in mlx-lm.
    Turns,
}

/// A number of requests that depends on memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningByMemory {
    /// From this memory of a device on; absent = any.
    pub from_gib: Option<Gib>,
    /// Requests.
    pub requests: u32,
}

/// A number of tokens that depends on memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByMemory {
    /// From this memory on; absent = any.
    pub from_gib: Option<Gib>,
    /// Tokens.
    pub tokens: u64,
}

impl ByMemory {
    /// The tokens of the first rule that holds.
    fn of(rules: &[Self], memory: Bytes) -> Option<u64> {
        let holds = |rule: &&Self| rule.from_gib.is_none_or(|from| memory >= from.quantity());
        rules.iter().find(holds).map(|rule| rule.tokens)
    }
}

/// What an engine's share of a device holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShareOf {
    /// Weights, cache, activations, graphs and runtime.
    Everything,
    /// Weights and cache; activations, graphs and runtime lie beside it.
    Cache,
}

/// How an engine allocates the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Allocation {
    /// One buffer of cells at start, as llama.cpp does.
    Cells,
    /// Blocks from a pool that takes what weights and activations leave of `device_share`.
    Pool,
    /// Grows with the tokens.
    Grown,
}

/// Memory an engine takes on a stack beside weights, KV cache and graph buffers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuntimeMemory {
    /// The stack.
    pub stack: Stack,
    /// Lowest seen.
    pub low_gib: Gib,
    /// Highest seen.
    pub high_gib: Gib,
}
