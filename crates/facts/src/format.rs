//! Formats (quantizations): what a weight file stores for each kind of tensor.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Note, Sources};

/// A storage type of one tensor: `catalog/tensor_type/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TensorType {
    /// Name in the engine's source.
    pub name: String,
    /// Weights in a block; a row must be a multiple of it.
    pub block: u64,
    /// Bytes of a block.
    pub bytes: u64,
    /// Kernels that unpack it.
    pub kernel: Kernel,
    /// Type the converter takes instead when a row is no multiple of the block: short id.
    pub fallback: Option<String>,
    /// Who says so.
    pub sources: Sources,
}

/// Kernels that unpack and multiply a storage type: types of one kind cost alike beside their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// 16- and 32-bit floats.
    Float16,
    /// 8-bit integers with scales.
    Int8,
    /// 8-bit floats.
    Fp8,
    /// Plain 4-bit integers with a scale (and a minimum) per block.
    Int4,
    /// 4-bit floats with a shared exponent.
    Mxfp4,
    /// 4-bit floats with an 8-bit scale.
    Nvfp4,
    /// Blocks of blocks with packed scales (llama.cpp's k-quants).
    KQuant,
    /// Codebooks (llama.cpp's i-quants below 4 bits).
    IQuant,
}

impl Kernel {
    /// Every kind, in the order of their indices.
    pub const ALL: [Self; 8] = [
        Self::Float16,
        Self::Int8,
        Self::Fp8,
        Self::Int4,
        Self::Mxfp4,
        Self::Nvfp4,
        Self::KQuant,
        Self::IQuant,
    ];

    /// Place in [`Kernel::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl TensorType {
    /// Bits per weight, scales included.
    pub fn bits_per_weight(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.block as f64
    }
}

/// A format of a whole model: `catalog/format/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// Name as people write it: `Q4_K_M`.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Kind of file: decides which engines read it.
    pub container: Container,
    /// Storage class that requirements speak of.
    pub precision: Precision,
    /// Type of a tensor no rule speaks of: short id of a tensor type. Absent = not computable from
    /// the name alone; give the file.
    pub default: Option<String>,
    /// Rules by tensor role, the first that holds wins: `"q6_k if more_bits"`.
    #[serde(default)]
    pub rules: BTreeMap<String, Vec<String>>,
    /// Types of single tensors, for the mixture of a real file: short id of a type → names, with the
    /// layers of those inside layers (`attn_v.weight 0-3,7`). They win over the rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tensors: BTreeMap<String, Vec<String>>,
    /// Nominal bits per weight, for formats that are not computable.
    pub nominal_bits: Option<f64>,
    /// Format whose mix of types stands in where the exact one is not a rule: short id. Its bytes
    /// are scaled to the real file or to the nominal bits; good for speed, not for memory.
    pub like: Option<String>,
    /// Arithmetic unit it runs on at full speed: `fp4` needs hardware for it.
    pub native: Option<String>,
    /// What the released precision of a model (`native_precision`), or the key of another published form
    /// of it (`published_as`), begins with when the model is to be had in this format. Absent = its
    /// name tells nothing: such files are made of any release.
    pub published_in: Option<String>,
    /// Released precisions that it keeps: what `native_precision` begins with. Nothing is lost then.
    #[serde(default)]
    pub keeps: Vec<String>,
    /// Whether a model released in what it keeps is considered in no other format: they save nothing.
    #[serde(default)]
    pub sole: bool,
    /// Whether its measured loss stands in for formats of its storage class that nobody measured.
    #[serde(default)]
    pub stands_in: bool,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

impl Format {
    /// Whether it keeps what a model was released in, so that nothing is lost.
    pub fn keeps(&self, native: Option<&str>) -> bool {
        native.is_some_and(|native| self.keeps.iter().any(|one| native.starts_with(one.as_str())))
    }
}

/// A kind of weight file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// GGUF: llama.cpp, Ollama, LM Studio.
    Gguf,
    /// Safetensors: vLLM, SGLang, TensorRT-LLM.
    Safetensors,
    /// MLX safetensors.
    Mlx,
    /// ExLlamaV2.
    Exl2,
    /// ExLlamaV3.
    Exl3,
}

impl Container {
    /// The word engines list under `weight_formats`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Mlx => "mlx",
            Self::Exl2 => "exl2",
            Self::Exl3 => "exl3",
        }
    }
}

/// Storage class of the bulk of the weights.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Below 4 bits per weight.
    BelowFourBit,
    /// About 4 bits per weight.
    FourBit,
    /// 5 to 7 bits per weight.
    SixBit,
    /// 8 bits per weight.
    EightBit,
    /// 16 bits per weight.
    SixteenBit,
    /// 32 bits per weight.
    ThirtyTwoBit,
}

impl Precision {
    /// The words used in answers and requirements.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BelowFourBit => "below 4 bit",
            Self::FourBit => "4 bit",
            Self::SixBit => "5-7 bit",
            Self::EightBit => "8 bit",
            Self::SixteenBit => "16 bit",
            Self::ThirtyTwoBit => "32 bit",
        }
    }
}
