//! Inference engines: what they run on, what they read, how they reserve memory.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::format::Container;
use crate::gpu::Stack;
use crate::source::{Note, Sources};
use crate::unit::Gib;

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
    /// KV cache.
    #[serde(default)]
    pub kv_cache: KvCache,
    /// How it reserves memory.
    #[serde(default)]
    pub memory: EngineMemory,
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
    /// Share of the device it takes for everything (vLLM); the rest after weights is KV cache.
    pub device_share: Option<f64>,
    /// Memory beside weights, KV cache and graph buffers, by stack.
    #[serde(default)]
    pub runtime: Vec<RuntimeMemory>,
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
