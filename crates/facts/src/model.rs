//! Models: published facts and the dimensions of their architecture.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::source::{Note, Sources};

/// One model: `catalog/model/<org>/<name>.toml`, path in lower case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name as published, without the organisation.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Hugging Face repository with its exact spelling.
    pub repository: String,
    /// `model_type` of the published `config.json`.
    pub model_type: String,
    /// Family that lists its tensors: short id under `architecture/`. Absent = facts only.
    pub architecture: Option<String>,
    /// Why there is no tensor list, for a model with facts only.
    pub not_computed: Option<String>,
    /// Release date.
    pub released: Option<PartialDate>,
    /// Licence, as the repository tags it.
    pub licence: Option<String>,
    /// What it takes in.
    pub modality: Vec<Modality>,
    /// Longest context it was trained or extended for, as published.
    pub context_tokens: u64,
    /// Precision of the published weights.
    pub native_precision: Option<String>,
    /// Repositories with GGUF files.
    #[serde(default)]
    pub gguf_repositories: Vec<String>,
    /// Other published forms of the same weights: precision → repository.
    #[serde(default)]
    pub published_as: BTreeMap<String, String>,
    /// Parameter counts.
    pub parameters: Parameters,
    /// Layers from the first to the last, repeated when shorter than the model: tags joined by `+`,
    /// an FFN after `:`, runs as `*n`. Absent = the family's own.
    pub layers: Option<String>,
    /// Switches of the family that hold for this model: `tied`, `attention_bias`, …
    #[serde(default)]
    pub flags: Vec<String>,
    /// Dimensions by the names the family uses: `hidden`, `heads`, `kv_heads`, …
    pub dims: BTreeMap<String, u64>,
    /// Rotary embedding.
    pub rope: Option<Rope>,
    /// Vision tower.
    pub vision: Option<Vision>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

impl Model {
    /// Whether its release, or another published form of it, is said to be in a precision.
    pub fn is_published_in(&self, precision: &str) -> bool {
        self.native_precision.as_deref().is_some_and(|native| native.starts_with(precision))
            || self.published_as.keys().any(|key| key.starts_with(precision))
    }
}

/// What a model takes in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// Parameter counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// All of them.
    pub total: u64,
    /// Count of the published safetensors files.
    pub published: Option<u64>,
    /// Read per token, for facts-only models.
    pub active: Option<u64>,
    /// How `active` came about.
    pub active_note: Option<String>,
    /// Read per token in billions, as the model's name says.
    pub active_in_name_b: Option<f64>,
    /// Vision tower, projector and whatever else is not in the language model.
    pub vision_and_other: Option<u64>,
    /// How the count computed from the dimensions and the published count agree: `exact`, or why not.
    pub agreement: Option<String>,
}

/// Rotary position embedding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rope {
    /// Base frequency.
    pub theta: Option<f64>,
    /// Scaling method: `yarn`, `llama3`, `longrope`, …
    pub scaling: Option<String>,
    /// Scaling factor.
    pub factor: Option<f64>,
    /// Context before scaling.
    pub original_context_tokens: Option<u64>,
}

/// Vision tower of a model that looks at images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vision {
    /// Kind of tower.
    pub kind: Option<String>,
    /// Size of the 16-bit projector file (`mmproj`) in bytes, from the parameter count.
    pub mmproj_f16_bytes: Option<u64>,
    /// Layers.
    pub layers: Option<u64>,
    /// Width.
    pub hidden: Option<u64>,
    /// Attention heads.
    pub heads: Option<u64>,
    /// FFN width.
    pub ffn: Option<u64>,
    /// Pixels of a patch edge.
    pub patch_size: Option<u64>,
    /// Patches merged along an edge before they become one token.
    pub merge_size: Option<u64>,
    /// Pixels of the image edge it is built for.
    pub image_size: Option<u64>,
}

/// A family of architectures: `catalog/architecture/*.toml`. It lists the tensors as llama.cpp's
/// converter writes them, in ggml order (first dimension = row length), so that adding a family is
/// a data file. `localrig_estimate::architecture` explains the notation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Name for people.
    pub name: String,
    /// `general.architecture` of the GGUF files it describes.
    pub gguf: Vec<String>,
    /// `model_type` values of `config.json` it stands for.
    pub model_types: Vec<String>,
    /// Attention scheme: decides speed constants.
    pub attention: AttentionScheme,
    /// Recurrence of its `recurrent` layers: decides speed constants.
    pub recurrence: Option<Recurrence>,
    /// Default layer pattern.
    pub layers: String,
    /// Pattern of one extra prediction (MTP) block.
    pub mtp_layer: Option<String>,
    /// Whether GGUF stores the number of KV heads per layer (0 where a layer has no attention):
    /// the quantization recipe looks at the first entry.
    #[serde(default)]
    pub kv_heads_per_layer: bool,
    /// Switches a model of the family can set, and what each means.
    #[serde(default)]
    pub flags: BTreeMap<String, String>,
    /// Values computed from other dimensions: name → expression.
    #[serde(default)]
    pub derived: BTreeMap<String, String>,
    /// The size that llama.cpp's recipes call 70B; absent = they know none of the family.
    pub seventy_b: Option<SeventyB>,
    /// Dimensions that files of the family leave out, with the value that every one of them has.
    #[serde(default)]
    pub unstated: Unstated,
    /// Tensors outside the layers, one a line.
    pub global_tensors: String,
    /// Tensors of a layer, one a line.
    pub layer_tensors: String,
    /// What each kind of layer keeps per context cell: tag → elements.
    #[serde(default)]
    pub cache: BTreeMap<String, CacheRule>,
    /// What each recurrent layer keeps per sequence: tag → number of f32 elements.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// How llama.cpp tells the size of a family that its recipes call 70B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeventyB {
    /// Number of layers.
    pub layers: u32,
    /// Whether several heads of queries must share one of keys, too.
    pub grouped: bool,
}

/// Dimensions that files of a family leave out: name → value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unstated {
    /// Where a GGUF file does not state it.
    #[serde(default)]
    pub gguf: BTreeMap<String, u64>,
    /// Where a `config.json` does not state it.
    #[serde(default)]
    pub config: BTreeMap<String, u64>,
}

/// Attention scheme of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttentionScheme {
    /// Multi-head, grouped-query or multi-query attention.
    Gqa,
    /// Multi-head latent attention.
    Mla,
}

/// Recurrence of linear-attention or state-space layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Recurrence {
    /// Gated delta net (Qwen3-Next and later).
    GatedDeltaNet,
    /// Mamba-2 state space.
    Mamba2,
    /// Short convolution (LFM2).
    ShortConvolution,
}

/// What a layer keeps per context cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheRule {
    /// Elements of K per cell.
    pub k: String,
    /// Elements of V per cell; absent where K serves for both (MLA).
    pub v: Option<String>,
    /// Window in tokens, for sliding-window and chunked layers.
    pub window: Option<String>,
    /// A tag that switches the rule off: layers that reuse another layer's cache.
    pub unless: Option<String>,
    /// Most positions a query attends to, where a selection step picks them (sparse attention).
    pub selects: Option<String>,
    /// Multiply-adds per pair of query and key position, all heads together.
    pub pair: String,
}
