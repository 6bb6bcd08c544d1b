//! From a family's tensor list and a model's dimensions to the exact tensors.
//!
//! The families are data (`catalog/architecture/*.toml`); this module reads their notation:
//! [`expression`] for dimensions, [`pattern`] for the order of layers, [`line`] for tensors.

pub mod expression;
pub mod line;
pub mod pattern;
mod reader;
mod tensor;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use localrig_facts::model::{Architecture, AttentionScheme, Model, Recurrence};
use localrig_facts::{Catalog, CatalogError, Id};

use expression::ExpressionError;
use line::LineError;
use pattern::PatternError;
pub(crate) use reader::GENERAL_DIMS;
use reader::Reader;
pub use tensor::{Place, Role, Tensor};

/// Why a model's tensors cannot be listed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The model has facts only.
    #[error("{model} cannot be computed: {reason}")]
    NotComputed {
        /// The model.
        model: Id,
        /// What is missing.
        reason: String,
    },
    /// The family or the model is not in the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// An expression of the family has no value for this model.
    #[error("{model} as architecture/{family}, {place}: {source}")]
    Expression {
        /// The model.
        model: Id,
        /// Its family.
        family: String,
        /// The tensor or rule.
        place: String,
        /// What is wrong.
        source: ExpressionError,
    },
    /// The family's list cannot be read.
    #[error("architecture/{family}: {source}")]
    Line {
        /// The family.
        family: String,
        /// What is wrong.
        source: LineError,
    },
    /// The layer pattern cannot be read.
    #[error("{place}: {source}")]
    Pattern {
        /// The model or family it stands in.
        place: String,
        /// What is wrong.
        source: PatternError,
    },
    /// A condition, flag or dimension has a name the family does not know.
    #[error("{place}: `{name}` means nothing to architecture/{family}")]
    UnknownName {
        /// Where it is used.
        place: String,
        /// The family.
        family: String,
        /// The name.
        name: String,
    },
}

/// One layer of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What it is: `full`, `sliding`, `recurrent`, `moe`, `dense`, `mtp`, `shared`, …
    pub tags: Vec<String>,
}

impl Layer {
    /// Whether it has a tag.
    pub fn is(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
}

/// What a layer keeps per context cell, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerCache {
    /// Elements of K.
    pub k: u64,
    /// Elements of V; 0 where K serves for both.
    pub v: u64,
    /// Window in tokens.
    pub window: Option<u64>,
    /// Most positions a query attends to.
    pub selects: Option<u64>,
    /// Multiply-adds per pair of query and key position.
    pub pair: u64,
}

/// A model as its engine sees it.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The model.
    pub id: Id,
    /// Short id of its family.
    pub family: String,
    /// `general.architecture` names of the family.
    pub gguf: Vec<String>,
    /// Attention scheme.
    pub attention: AttentionScheme,
    /// Recurrence of its recurrent layers.
    pub recurrence: Option<Recurrence>,
    /// Every tensor, those outside the layers first.
    pub tensors: Vec<Tensor>,
    /// Indices of `tensors` in the order a converter goes through them: by layer, then by name.
    pub order: Vec<u32>,
    /// Layers, prediction blocks last.
    pub layers: Vec<Layer>,
    /// Number of layers without prediction blocks.
    pub main_layers: u32,
    /// What each main layer keeps per context cell: none, one, or one and an indexer.
    pub caches: Vec<Vec<LayerCache>>,
    /// 32-bit floats each main layer keeps per sequence.
    pub states: Vec<u64>,
    /// Dimensions by name, derived ones included.
    pub dims: BTreeMap<String, u64>,
    /// Query heads per KV head in the first layer; 0 where that has no attention. The quantization
    /// recipe looks at it.
    pub first_group: u64,
    /// Whether the output matrix is the embedding matrix.
    pub tied: bool,
    /// Whether it is of the size that llama.cpp's recipes call 70B.
    pub seventy_b: bool,
    /// What the tensors say of the graph; looked up once, on first use.
    pub(crate) traits: OnceLock<GraphTraits>,
}

/// What the names and shapes of a model's tensors say of the graph that computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GraphTraits {
    /// Whether the experts have a gate.
    pub(crate) gated_experts: bool,
    /// Whether queries, keys and values come from one matrix.
    pub(crate) fused_attention: bool,
    /// Width of the widest dense feed-forward part; 0 without one.
    pub(crate) widest_ffn: u64,
}

/// Heads of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Of queries; 0 when there are none.
    pub query: u64,
    /// Of keys and values.
    pub key: u64,
}

impl Heads {
    /// Whether every layer can be cut over so many devices: each takes whole heads of queries, and
    /// whole heads of keys or, with more devices than those, a copy of one (vLLM, `ModelConfig::
    /// verify_with_parallel_config` and `get_num_kv_heads`).
    pub const fn cut_into(self, devices: u32) -> bool {
        let devices = devices as u64;
        let keys =
            self.key == 0 || self.key.is_multiple_of(devices) || devices.is_multiple_of(self.key);
        self.query.is_multiple_of(devices) && keys
    }
}

impl Layout {
    pub(crate) fn traits(&self) -> GraphTraits {
        *self.traits.get_or_init(|| {
            let named = |name: &'static str| {
                self.tensors.iter().filter(move |tensor| &*tensor.name == name)
            };
            let has = |name: &'static str| named(name).next().is_some();
            let widths = named("ffn_down.weight").map(|tensor| tensor.shape[0]);
            GraphTraits {
                gated_experts: has("ffn_gate_exps.weight") || has("ffn_gate_up_exps.weight"),
                fused_attention: has("attn_qkv.weight"),
                widest_ffn: widths.max().unwrap_or(0),
            }
        })
    }

    /// A dimension, 0 when the model does not have it.
    pub fn dim(&self, name: &str) -> u64 {
        self.dims.get(name).copied().unwrap_or(0)
    }

    /// Heads of attention, as far as there are any.
    pub fn heads(&self) -> Heads {
        Heads { query: self.dim("heads"), key: self.dim("kv_heads") }
    }

    /// Experts of a mixture layer; 0 for dense models.
    pub fn experts(&self) -> u64 {
        self.dim("experts")
    }

    /// Parameters, lookup tables not counted: all, prediction blocks, routed experts, embedding.
    pub fn parameters(&self) -> ParameterCount {
        let mut count = ParameterCount::default();
        for tensor in self.tensors.iter().filter(|tensor| !tensor.table) {
            let elements = tensor.elements();
            count.total += elements;
            if tensor.layer.is_some_and(|layer| layer >= self.main_layers) {
                count.prediction += elements;
            } else if tensor.experts {
                count.routed_experts += elements;
            }
            if tensor.is_lookup() {
                count.lookup += elements;
            }
        }
        let main = count.total - count.prediction;
        let (experts, used) = (self.experts(), self.dim("experts_used"));
        let read = count.routed_experts.checked_div(experts).map_or(0, |one| one * used);
        count.active = main - count.routed_experts + read;
        count
    }
}

/// Parameters of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// All of them.
    pub total: u64,
    /// In prediction (MTP) blocks.
    pub prediction: u64,
    /// In routed experts of the main layers.
    pub routed_experts: u64,
    /// In embedding tables.
    pub lookup: u64,
    /// Taking part in one token, embedding tables included.
    pub active: u64,
}

/// The tensors, layers and caches of a model.
///
/// # Errors
/// When the model has facts only, or the family's rules do not work out for its dimensions.
pub fn layout(catalog: &Catalog, id: &Id, model: &Model) -> Result<Layout, LayoutError> {
    let Some(family) = &model.architecture else {
        let reason =
            model.not_computed.clone().unwrap_or_else(|| "no architecture given".to_owned());
        return Err(LayoutError::NotComputed { model: id.clone(), reason });
    };
    let (_, architecture) = catalog.get_in::<Architecture>(family)?;
    Reader::new(id, model, family, architecture)?.read()
}
