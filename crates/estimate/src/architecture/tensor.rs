//! One tensor: what it is called, how large it is, what it does and where it lies.

use std::sync::Arc;

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name without `blk.N.`.
    pub name: Arc<str>,
    /// What it does.
    pub role: Role,
    /// Layer it belongs to, prediction blocks after the last; `None` for what is outside.
    pub layer: Option<u32>,
    /// Dimensions, row length first; the same for all layers.
    pub shape: Arc<[u64]>,
    /// Holds weights of experts of which each token uses a few.
    pub experts: bool,
    /// Stays in 32-bit floats.
    pub f32: bool,
    /// Stays in the source's 16-bit type.
    pub keep: bool,
    /// A lookup table that is no parameter.
    pub table: bool,
    /// Loaded by the engine when it does no speculation.
    pub loaded: bool,
    /// Copies in memory.
    pub copies: u32,
    /// Which device holds it.
    pub place: Place,
}

/// Where a tensor lies when layers are spread over devices.
///
/// Source: llama.cpp `LLM_TENSOR_INFOS` and `llama_model_base::load_tensors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Embedding tables: always on the host.
    Input,
    /// Output matrix and norm: with the last layer.
    Output,
    /// With a layer.
    Layer(u32),
    /// A copy on every device that holds a layer with these tags; without tags, any layer.
    Beside(Vec<String>),
}

impl Place {
    /// The place a name outside the layers has.
    pub(crate) fn of(name: &str, table: bool, beside: &[String]) -> Self {
        match name {
            "token_embd.weight" | "per_layer_token_embd.weight" => Self::Input,
            _ if name.starts_with("output") || name.starts_with("token_embd_norm") => Self::Output,
            _ if table => Self::Beside(beside.to_vec()),
            // The projection to per-layer inputs is listed with the first layer.
            _ => Self::Layer(0),
        }
    }
}

impl Tensor {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Name as in a GGUF file: `blk.3.attn_k.weight`.
    pub fn full_name(&self) -> String {
        match self.layer {
            Some(layer) => format!("blk.{layer}.{}", self.name),
            None => self.name.to_string(),
        }
    }

    /// Dimensions without trailing ones, as ggml counts them.
    pub fn dimensions(&self) -> usize {
        let trailing = self.shape.iter().rev().take_while(|length| **length == 1).count();
        (self.shape.len() - trailing).max(1)
    }

    /// Whether a name is that of weights of experts of which each token uses a few.
    pub(crate) fn names_experts(name: &str) -> bool {
        name.contains("_exps.")
    }

    /// Whether it is a projection of a recurrent layer that llama.cpp multiplies with the tokens of one
    /// sequence after the other, so that it is read once for each of them: the activations have their
    /// sequences in a third dimension there. Source: llama.cpp `build_mamba_layer`, `build_mamba2_layer`
    /// (src/models/mamba-base.cpp), `build_shortconv_block` (lfm2.cpp) and `build_layer_attn_linear`
    /// (qwen3next.cpp), whose other projections are before the sequences are told apart.
    pub fn is_read_by_sequence(&self) -> bool {
        ["ssm_in.", "ssm_out.", "shortconv.in_proj.", "shortconv.out_proj."]
            .iter()
            .any(|name| self.name.starts_with(name))
    }

    /// Whether one row per token is looked up in it instead of all of it being read.
    pub fn is_lookup(&self) -> bool {
        matches!(&*self.name, "token_embd.weight" | "per_layer_token_embd.weight")
    }
}

/// What a tensor does; quantization rules speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Output matrix, or the embedding matrix that serves as one.
    Output,
    /// Embedding tables.
    TokenEmbedding,
    /// V projection, or a projection that contains it.
    AttentionV,
    /// K projection.
    AttentionK,
    /// Output projection of attention.
    AttentionOutput,
    /// Down projection of a feed-forward part or of experts.
    FfnDown,
    /// Expert router.
    Router,
    /// Anything else.
    Other,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] = [
        Self::Output,
        Self::TokenEmbedding,
        Self::AttentionV,
        Self::AttentionK,
        Self::AttentionOutput,
        Self::FfnDown,
        Self::Router,
        Self::Other,
    ];

    /// The key under `rules` of a format.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::TokenEmbedding => "token_embedding",
            Self::AttentionV => "attention_v",
            Self::AttentionK => "attention_k",
            Self::AttentionOutput => "attention_output",
            Self::FfnDown => "ffn_down",
            Self::Router => "router",
            Self::Other => "other",
        }
    }

    /// The role a tensor's name gives it, as the converter decides.
    pub(crate) fn of(name: &str, tied: bool) -> Self {
        let has = |part: &str| name.contains(part);
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" | "per_layer_token_embd.weight" if tied => Self::Output,
            "token_embd.weight" | "per_layer_token_embd.weight" => Self::TokenEmbedding,
            "ffn_gate_inp.weight" => Self::Router,
            _ if has("attn_qkv.weight") || has("attn_v.weight") => Self::AttentionV,
            _ if has("attn_k.weight") => Self::AttentionK,
            _ if has("attn_output.weight") => Self::AttentionOutput,
            _ if has("ffn_down") && !has("ffn_down_exps.scale") => Self::FfnDown,
            _ => Self::Other,
        }
    }
}
