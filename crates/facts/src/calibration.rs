//! Constants of the speed model: data, with their origin. The formulas that use them are in
//! `localrig_estimate::{decode, prefill}`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gpu::Stack;
use crate::source::{Note, Sources};

/// Constants that hold for every engine and device: `catalog/calibration.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedConstants {
    /// Generating tokens.
    pub decode: SharedDecode,
    /// Reading prompts.
    pub prefill: SharedPrefill,
    /// Reading packed weights costs more or less than plain bytes: by the kernels that unpack them.
    #[serde(rename = "kernel")]
    pub kernels: BTreeMap<String, KernelCost>,
    /// Half-widths of 80 % intervals, as factors.
    pub interval: Intervals,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// Shared constants of generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedDecode {
    /// Efficiency of reading scattered experts, relative to one long read.
    pub expert_gather: f64,
    /// Cost of a layer with experts, in plain layers.
    pub mixture_layer: f64,
    /// Cost of a recurrent layer, in plain layers.
    pub recurrent_layer: f64,
    /// Cost of a layer with latent attention, in plain layers.
    pub latent_layer: f64,
    /// Fixed cost of a step in microseconds.
    pub step_us: f64,
    /// Exponent of the batch size in the number of experts touched: 1 = tokens choose experts
    /// independently, less = they agree.
    pub routing_correlation: f64,
    /// Efficiency of reading and writing recurrent state, relative to weights.
    pub state_efficiency: f64,
    /// How memory time and arithmetic time combine for one stream: `(a^p + b^p)^(1/p)`.
    pub overlap_single: f64,
    /// The same for batches.
    pub overlap_batch: f64,
    /// KV read efficiency grows with the batch size to this power.
    pub batch_kv_growth: f64,
    /// … up to this share of the bandwidth.
    pub batch_kv_limit: f64,
}

/// Shared constants of prefill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedPrefill {
    /// Tokens per expert below which expert matrices are half used.
    pub expert_half_tokens: f64,
    /// Efficiency of expert matrices relative to dense ones at many tokens per expert.
    pub expert_efficiency: f64,
    /// Share of the bandwidth that weights are read with.
    pub weight_read_efficiency: f64,
    /// Fixed cost of a layer per chunk in microseconds.
    pub layer_us: f64,
    /// Fixed cost of a prompt in milliseconds.
    pub prompt_ms: f64,
    /// Efficiency of the chunked scan of recurrent layers relative to matrix products.
    pub scan_efficiency: f64,
    /// Multiply-adds of that scan per state element and token.
    pub scan_work: f64,
    /// Cost of latent attention beside its multiply-adds.
    pub latent_attention: f64,
}

/// What the kernels of a tensor type cost beside its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelCost {
    /// Efficiency of reading it in generation, relative to k-quants.
    pub decode: f64,
    /// Arithmetic operations per weight to unpack and use it.
    pub operations: f64,
    /// Speed of its matrix products in prefill, relative to the class.
    pub prefill: f64,
}

/// Half-widths of 80 % intervals: a value may be off by this factor either way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// Generation, dense model, class with many measurements.
    pub decode_dense: f64,
    /// Generation, mixture of experts, class with many measurements.
    pub decode_mixture: f64,
    /// Prefill, class with many measurements.
    pub prefill: f64,
    /// Factor on top for a class with few measurements.
    pub thin_class: f64,
    /// Factor on top for several streams at once.
    pub streams: f64,
    /// Factor on top for several devices.
    pub devices: f64,
}

/// Constants of one engine on one class of devices: `catalog/calibration/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Name for people: `llama.cpp on NVIDIA cards with GDDR memory`.
    pub name: String,
    /// Engines: short ids.
    pub engines: Vec<String>,
    /// Accelerator stack.
    pub stack: Stack,
    /// Chip generations: short ids.
    pub generations: Vec<String>,
    /// Generating tokens.
    pub decode: ClassDecode,
    /// Reading prompts.
    pub prefill: Option<ClassPrefill>,
    /// Measured rows behind it; 0 = taken over from a similar class.
    pub rows: u32,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// Constants of generation for one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassDecode {
    /// Share of the nominal bandwidth that weights are read with.
    pub bandwidth_share: f64,
    /// Fixed cost of a plain layer in microseconds.
    pub layer_us: f64,
    /// Share of the nominal bandwidth that the KV cache is read with, one stream.
    pub kv_share: f64,
    /// Latent-attention caches cost this many times their bytes.
    pub latent_kv: f64,
    /// Arithmetic cost of unpacking weights, relative to the FP32 rate.
    pub unpack: f64,
    /// Share of the matrix rate that small batches reach.
    pub batch_matrix_share: f64,
    /// Cost of each further stream per step in microseconds.
    pub stream_us: f64,
}

/// Constants of prefill for one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassPrefill {
    /// The rate that shares refer to.
    pub peak: Peak,
    /// Share of it that matrix products reach.
    pub matrix_share: f64,
    /// Share of it that attention reaches.
    pub attention_share: f64,
    /// Tokens computed at once.
    pub chunk_tokens: u64,
}

/// An arithmetic rate of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Peak {
    /// Half the dense INT8 rate: what llama.cpp's integer kernels run at on NVIDIA.
    HalfInt8,
    /// FP16 or BF16 matrix rate with FP32 accumulation; FP8 and FP4 rates for native formats.
    Fp16,
    /// The FP16 rate of devices without separate matrix units.
    Fp16Any,
}
