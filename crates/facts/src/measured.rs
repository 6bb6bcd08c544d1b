//! Measurements of speed, as rows of a CSV file: `catalog/measured/speed.csv` and files like it.

use serde::{Deserialize, Serialize};

/// One measurement. Only what names the stack is required; everything else may be empty or absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpeedRow {
    /// Key of the row.
    pub row_id: String,
    /// Accelerator or machine: a short id of the catalog or any spelling of its name.
    pub hardware_id: String,
    /// Memory of one device, in GB as its maker counts them.
    #[serde(default)]
    pub hardware_memory_gb: Option<f64>,
    /// Devices, or machines for boxes bought whole; absent = 1.
    #[serde(default)]
    pub hardware_count: Option<f64>,
    /// `single`, `tensor`, `layer`, `expert`, `data`, `rpc`, `unknown`.
    #[serde(default)]
    pub parallelism: String,
    /// Engine.
    pub engine: String,
    /// Accelerator stack: `cuda`, `rocm`, `vulkan`, `metal`, `sycl`, `xpu`, `cpu`.
    #[serde(default)]
    pub backend: String,
    /// Version of the engine.
    #[serde(default)]
    pub engine_version: String,
    /// Model: `organisation/name`, lower case.
    pub model_id: String,
    /// Format (quantization) as the catalog or its source names it.
    pub quant: String,
    /// Size of the weight file.
    #[serde(default)]
    pub weights_gib: Option<f64>,
    /// What was measured.
    pub phase: Phase,
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: Option<f64>,
    /// Tokens in the context when generation starts, or already cached before the prompt.
    #[serde(default)]
    pub depth: Option<f64>,
    /// Tokens generated.
    #[serde(default)]
    pub gen_tokens: Option<f64>,
    /// Requests in flight; absent = 1.
    #[serde(default)]
    pub concurrency: Option<f64>,
    /// Speed of all streams together.
    #[serde(default)]
    pub tok_s_total: Option<f64>,
    /// Speed of one stream.
    #[serde(default)]
    pub tok_s_per_stream: Option<f64>,
    /// KV cache type.
    #[serde(default)]
    pub kv_type: String,
    /// Flash attention: 1, 0, or not stated.
    #[serde(default)]
    pub flash_attn: Option<f64>,
    /// Power limit, where the source states one.
    #[serde(default)]
    pub power_limit_w: Option<f64>,
    /// 1 with speculative decoding.
    #[serde(default)]
    pub speculative: Option<f64>,
    /// 1 with weights outside the accelerator.
    #[serde(default)]
    pub cpu_offload: Option<f64>,
    /// `A`: a controlled tool with raw output; `B`: a table with partly stated settings.
    #[serde(default)]
    pub tier: String,
    /// Date of the measurement, as precise as known.
    #[serde(default)]
    pub date: String,
    /// Page it was read from.
    #[serde(default)]
    pub source_url: String,
    /// Remarks of whoever collected it.
    #[serde(default)]
    pub notes: String,
    /// Whose measurement it is: rows of one source are not independent.
    #[serde(default)]
    pub source: String,
    /// Width of tensor parallelism.
    #[serde(default)]
    pub tp: Option<f64>,
    /// Independent copies of the model.
    #[serde(default)]
    pub replicas: Option<f64>,
    /// What `tok_s_total` counts.
    #[serde(default)]
    pub total_basis: String,
    /// What `tok_s_per_stream` counts.
    #[serde(default)]
    pub stream_basis: String,
    /// Tokens computed at once in prefill, where stated.
    #[serde(default)]
    pub n_ubatch: Option<f64>,
    /// Requests that the server computes at once, where the source states it; the others wait.
    #[serde(default)]
    pub slots: Option<f64>,
    /// 1 where the prompts were the same and came from the server's prefix cache, by the source's own
    /// times to the first token.
    #[serde(default)]
    pub prompt_cached: Option<f64>,
    /// PCIe generation of the slots that the cards sit in, where the source states it; absent = what
    /// the card can do.
    #[serde(default)]
    pub pcie_generation: Option<f64>,
    /// Lanes of those slots, where the source states them; absent = as many as the card has.
    #[serde(default)]
    pub pcie_lanes: Option<f64>,
    /// GPU cores, where the source states them.
    #[serde(default)]
    pub gpu_cores: Option<f64>,
    /// Engine as printed by the source.
    #[serde(default)]
    pub engine_raw: String,
    /// Model as printed by the source.
    #[serde(default)]
    pub model_raw: String,
    /// Format as printed by the source.
    #[serde(default)]
    pub quant_raw: String,
    /// Kind of model in words.
    #[serde(default)]
    pub model_kind: String,
}

/// What a row measures.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Generating tokens.
    #[default]
    Decode,
    /// Reading a prompt.
    Prefill,
}

impl Phase {
    /// The word in files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Prefill => "prefill",
        }
    }
}

/// One measurement of memory: `catalog/measured/memory.csv`. Sizes in MiB as engines print them;
/// absent = the log does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryRow {
    /// Key of the row.
    pub row_id: String,
    /// Accelerator or machine: short id, empty where the log does not name it.
    #[serde(default)]
    pub hardware_id: String,
    /// Devices.
    #[serde(default)]
    pub hardware_count: Option<f64>,
    /// Engine.
    pub engine: String,
    /// Accelerator stack.
    #[serde(default)]
    pub backend: String,
    /// Model: `organisation/name`, lower case.
    pub model_id: String,
    /// Format (quantization).
    pub quant: String,
    /// Size of the weight file.
    #[serde(default)]
    pub file_gib: Option<f64>,
    /// Context in tokens, all sequences together.
    #[serde(default)]
    pub context: Option<f64>,
    /// `allocated`, or `pool capacity` (vLLM).
    #[serde(default)]
    pub kv_basis: String,
    /// Tokens that the pool holds.
    #[serde(default)]
    pub kv_pool_tokens: Option<f64>,
    /// Whether figures are of one `gpu` or of `all devices`.
    #[serde(default)]
    pub figures_per: String,
    /// Sequences.
    #[serde(default)]
    pub n_seq_max: Option<f64>,
    /// KV cache type.
    #[serde(default)]
    pub kv_type: String,
    /// Weights.
    #[serde(default)]
    pub weights_mib: Option<f64>,
    /// KV cache.
    #[serde(default)]
    pub kv_mib: Option<f64>,
    /// Recurrent state.
    #[serde(default)]
    pub recurrent_state_mib: Option<f64>,
    /// Compute buffers.
    #[serde(default)]
    pub compute_buffer_mib: Option<f64>,
    /// All of it.
    #[serde(default)]
    pub total_mib: Option<f64>,
    /// Page it was read from.
    #[serde(default)]
    pub source_url: String,
    /// Whose measurement it is.
    #[serde(default)]
    pub source: String,
}
