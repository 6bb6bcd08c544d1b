//! From a family's tensor list and a model's dimensions to the exact tensors.
//!
//! The families are data (`catalog/architecture/*.toml`); this module reads their notation:
//! [`expression`] for dimensions, [`pattern`] for the order of layers, [`line`] for tensors.

pub mod expression;
pub mod line;
pub mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use localrig_facts::model::{Architecture, AttentionScheme, Model, Recurrence};
use localrig_facts::{Catalog, CatalogError, Id};

use expression::{Expression, ExpressionError};
use line::{Line, LineError};
use pattern::{LayerKind, PatternError};

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

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name without `blk.N.`.
    pub name: Arc<str>,
    /// What it does.
    pub role: Role,
    /// Layer it belongs to, prediction blocks after the last; `None` for what is outside.
    pub layer: Option<u32>,
    /// Dimensions, row length first.
    pub shape: Vec<u64>,
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
}

impl Layout {
    /// A dimension, 0 when the model does not have it.
    pub fn dim(&self, name: &str) -> u64 {
        self.dims.get(name).copied().unwrap_or(0)
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
            } else if tensor.is_routed_expert() {
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

impl Tensor {
    /// Whether it holds the weights of experts of which each token uses a few.
    pub fn is_routed_expert(&self) -> bool {
        self.name.contains("_exps.")
    }

    /// Whether one row per token is looked up in it instead of all of it being read.
    pub fn is_lookup(&self) -> bool {
        matches!(&*self.name, "token_embd.weight" | "per_layer_token_embd.weight")
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
    Reader { id, model, family, architecture, derived: derived(architecture, family)? }.read()
}

fn derived(
    architecture: &Architecture,
    family: &str,
) -> Result<BTreeMap<String, Expression>, LayoutError> {
    architecture
        .derived
        .iter()
        .map(|(name, text)| {
            let expression = Expression::parse(text).map_err(|source| LayoutError::Line {
                family: family.to_owned(),
                source: LineError::Dimension { line: 0, source },
            })?;
            Ok((name.clone(), expression))
        })
        .collect()
}

/// A line with its shape worked out.
struct Template {
    name: Arc<str>,
    role: Role,
    shape: Result<Vec<u64>, LayoutError>,
}

struct Reader<'a> {
    id: &'a Id,
    model: &'a Model,
    family: &'a str,
    architecture: &'a Architecture,
    derived: BTreeMap<String, Expression>,
}

impl Reader<'_> {
    fn read(&self) -> Result<Layout, LayoutError> {
        let list = |text: &str| {
            line::parse(text)
                .map_err(|source| LayoutError::Line { family: self.family.to_owned(), source })
        };
        let global = list(&self.architecture.global_tensors)?;
        let per_layer = list(&self.architecture.layer_tensors)?;
        let layers = self.layers()?;
        self.check_names(&layers, global.iter().chain(&per_layer))?;

        let main_layers = self.number("layers")?;
        let tied =
            !global.iter().any(|line| line.name == "output.weight" && self.applies(line, &[]));
        let (global, per_layer) = (self.templates(&global, tied), self.templates(&per_layer, tied));
        let mut tensors = Vec::new();
        self.instantiate(&global, None, &[], &mut tensors)?;
        for (index, layer) in layers.iter().enumerate() {
            self.instantiate(&per_layer, Some(index as u32), &layer.tags, &mut tensors)?;
        }
        let mut order: Vec<u32> = (0..tensors.len() as u32).collect();
        order.sort_by_key(|index| {
            let tensor: &Tensor = &tensors[*index as usize];
            (tensor.layer.map_or(-1, i64::from), Arc::clone(&tensor.name))
        });
        let main = &layers[..main_layers as usize];
        let caches = main.iter().map(|layer| self.caches(layer)).collect::<Result<_, _>>()?;
        let states = main.iter().map(|layer| self.state(layer)).collect::<Result<_, _>>()?;

        let mut dims = self.model.dims.clone();
        for name in self.derived.keys() {
            if let Some(value) = self.lookup(name, 0).map_err(|e| self.at(name, e))? {
                dims.insert(name.clone(), value);
            }
        }
        let first_has_attention =
            ["full", "sliding", "chunked"].iter().any(|tag| layers[0].is(tag));
        let heads = dims.get("heads").copied().unwrap_or(0);
        let kv_heads = match dims.get("kv_heads").copied().unwrap_or(0) {
            _ if self.architecture.kv_heads_per_layer && !first_has_attention => 0,
            // A family whose first layer is of the full kind with heads of its own.
            _ if layers[0].is("full") && dims.contains_key("global_kv_heads") => {
                dims["global_kv_heads"]
            }
            own => own,
        };
        Ok(Layout {
            id: self.id.clone(),
            family: self.family.to_owned(),
            gguf: self.architecture.gguf.clone(),
            attention: self.architecture.attention,
            recurrence: self.architecture.recurrence,
            tied,
            tensors,
            order,
            main_layers: main_layers as u32,
            layers,
            caches,
            states,
            first_group: heads.checked_div(kv_heads).unwrap_or(0),
            dims,
        })
    }

    /// The layers with their tags, feed-forward part and prediction mark included.
    fn layers(&self) -> Result<Vec<Layer>, LayoutError> {
        let (place, text) = match &self.model.layers {
            Some(own) => (self.id.to_string(), own),
            None => (format!("architecture/{}", self.family), &self.architecture.layers),
        };
        let expand = |text: &str, count: u64| {
            pattern::expand(text, count)
                .map_err(|source| LayoutError::Pattern { place: place.clone(), source })
        };
        let count = self.number("layers")?;
        let dim = |name: &str| self.model.dims.get(name).copied().unwrap_or(0);
        let every = dim("moe_every").max(1);
        let is_mixture = |index: u64| {
            dim("experts") > 0 && index >= dim("dense_layers") && (index + 1).is_multiple_of(every)
        };
        let ffn = |kind: &LayerKind, index: u64| {
            let by_numbers = if is_mixture(index) { "moe" } else { "dense" };
            kind.ffn.clone().unwrap_or_else(|| by_numbers.to_owned())
        };
        let mut layers: Vec<Layer> = Vec::new();
        let mut push = |kind: LayerKind, mtp: bool| {
            let part = ffn(&kind, layers.len() as u64);
            let mut tags = kind.tags;
            if part != "none" {
                tags.push(part);
            }
            if mtp {
                tags.push("mtp".to_owned());
            }
            layers.push(Layer { tags });
        };
        for kind in expand(text, count)? {
            push(kind, false);
        }
        if let Some(text) = self.architecture.mtp_layer.as_ref().filter(|_| dim("mtp_layers") > 0) {
            for kind in expand(text, dim("mtp_layers"))? {
                push(kind, true);
            }
        }
        Ok(layers)
    }

    /// The tensors that lines stand for. Shapes do not differ between layers, so each is worked
    /// out once; a line that applies nowhere may lack its dimensions.
    fn templates<'b>(&self, lines: &'b [Line], tied: bool) -> Vec<(&'b Line, Template)> {
        lines
            .iter()
            .map(|line| {
                let shape = line
                    .shape
                    .iter()
                    .map(|expression| self.value(&line.name, expression))
                    .collect::<Result<Vec<_>, _>>();
                let (name, role) = (Arc::from(line.name.as_str()), Role::of(&line.name, tied));
                (line, Template { name, role, shape })
            })
            .collect()
    }

    fn applies(&self, line: &Line, tags: &[String]) -> bool {
        line.when.iter().all(|name| self.holds(name, tags))
            && !line.unless.iter().any(|name| self.holds(name, tags))
    }

    fn instantiate(
        &self,
        lines: &[(&Line, Template)],
        layer: Option<u32>,
        tags: &[String],
        tensors: &mut Vec<Tensor>,
    ) -> Result<(), LayoutError> {
        let mtp = tags.iter().any(|tag| tag == "mtp");
        for (line, template) in lines.iter().filter(|(line, _)| self.applies(line, tags)) {
            tensors.push(Tensor {
                name: Arc::clone(&template.name),
                role: template.role,
                layer,
                shape: template.shape.clone()?,
                f32: line.f32,
                keep: line.keep,
                table: line.table,
                loaded: !mtp || line.loaded,
                copies: if line.twice { 2 } else { 1 },
            });
        }
        Ok(())
    }

    fn caches(&self, layer: &Layer) -> Result<Vec<LayerCache>, LayoutError> {
        let mut found = Vec::new();
        for (tag, rule) in &self.architecture.cache {
            if !layer.is(tag) || rule.unless.as_ref().is_some_and(|off| layer.is(off)) {
                continue;
            }
            let place = format!("cache.{tag}");
            let number = |text: &str| {
                let expression = Expression::parse(text).map_err(|error| self.at(&place, error))?;
                self.value(&place, &expression)
            };
            let option = |text: &Option<String>| text.as_deref().map(number).transpose();
            found.push(LayerCache {
                k: number(&rule.k)?,
                v: option(&rule.v)?.unwrap_or(0),
                window: option(&rule.window)?,
                selects: option(&rule.selects)?,
                pair: number(&rule.pair)?,
            });
        }
        Ok(found)
    }

    fn state(&self, layer: &Layer) -> Result<u64, LayoutError> {
        let mut elements = 0;
        for (tag, text) in self.architecture.state.iter().filter(|(tag, _)| layer.is(tag)) {
            let place = format!("state.{tag}");
            let expression = Expression::parse(text).map_err(|error| self.at(&place, error))?;
            elements += self.value(&place, &expression)?;
        }
        Ok(elements)
    }

    /// Whether a condition holds: a tag of the layer, a flag of the model, or a dimension it has.
    fn holds(&self, name: &str, tags: &[String]) -> bool {
        tags.iter().any(|tag| tag == name)
            || self.model.flags.iter().any(|flag| flag == name)
            || self.model.dims.get(name).is_some_and(|value| *value > 0)
    }

    fn number(&self, name: &str) -> Result<u64, LayoutError> {
        self.value(name, &Expression::Name(name.to_owned()))
    }

    fn value(&self, place: &str, expression: &Expression) -> Result<u64, LayoutError> {
        expression.value(&|name| self.lookup(name, 0)).map_err(|error| self.at(place, error))
    }

    fn lookup(&self, name: &str, depth: u32) -> Result<Option<u64>, ExpressionError> {
        // The list of a family may speak of the number of layers as a width.
        let name = if name == "layer_count" { "layers" } else { name };
        if let Some(value) = self.model.dims.get(name) {
            return Ok(Some(*value));
        }
        match self.derived.get(name) {
            Some(_) if depth > 8 => Err(ExpressionError::Value { text: name.to_owned() }),
            Some(expression) => expression.value(&|inner| self.lookup(inner, depth + 1)).map(Some),
            None => Ok(None),
        }
    }

    fn at(&self, place: &str, source: ExpressionError) -> LayoutError {
        LayoutError::Expression {
            model: self.id.clone(),
            family: self.family.to_owned(),
            place: place.to_owned(),
            source,
        }
    }

    /// Every condition, flag and dimension must mean something: a misspelt one would silently
    /// leave tensors out.
    fn check_names<'b>(
        &self,
        layers: &[Layer],
        lines: impl Iterator<Item = &'b Line>,
    ) -> Result<(), LayoutError> {
        let unknown = |place: &str, name: &str| LayoutError::UnknownName {
            place: place.to_owned(),
            family: self.family.to_owned(),
            name: name.to_owned(),
        };
        let mut dims: BTreeSet<String> = GENERAL_DIMS
            .into_iter()
            .map(str::to_owned)
            .chain(self.derived.keys().cloned())
            .collect();
        let mut add = |expression: &Expression| {
            let mut names = Vec::new();
            expression.names(&mut names);
            dims.extend(names.into_iter().map(str::to_owned));
        };
        self.derived.values().for_each(&mut add);
        let rules = self.architecture.cache.values().flat_map(|rule| {
            [
                Some(&rule.k),
                rule.v.as_ref(),
                rule.window.as_ref(),
                rule.selects.as_ref(),
                Some(&rule.pair),
            ]
        });
        for text in rules.flatten().chain(self.architecture.state.values()) {
            add(&Expression::parse(text).map_err(|error| self.at("cache or state", error))?);
        }
        let mut conditions = Vec::new();
        for line in lines {
            line.shape.iter().for_each(&mut add);
            conditions.extend(line.when.iter().chain(&line.unless).map(|name| (line, name)));
        }
        let tags: BTreeSet<&str> =
            layers.iter().flat_map(|layer| &layer.tags).map(String::as_str).collect();
        let cache_tags = self.architecture.cache.keys().chain(self.architecture.state.keys());
        let off_tags = self.architecture.cache.values().filter_map(|rule| rule.unless.as_ref());
        let cache_tags: BTreeSet<&str> = cache_tags.chain(off_tags).map(String::as_str).collect();
        for (line, name) in conditions {
            let known = GENERAL_TAGS.contains(&name.as_str())
                || tags.contains(name.as_str())
                || cache_tags.contains(name.as_str())
                || dims.contains(name)
                || self.architecture.flags.contains_key(name);
            if !known {
                return Err(unknown(&format!("architecture/{}: {}", self.family, line.name), name));
            }
        }
        for flag in &self.model.flags {
            if !self.architecture.flags.contains_key(flag) {
                return Err(unknown(&format!("{}: flags", self.id), flag));
            }
        }
        for dim in self.model.dims.keys() {
            if !dims.contains(dim) {
                return Err(unknown(&format!("{}: dims", self.id), dim));
            }
        }
        for tag in tags {
            if !GENERAL_TAGS.contains(&tag) && !cache_tags.contains(tag) {
                return Err(unknown(&format!("{}: layers", self.id), tag));
            }
        }
        Ok(())
    }
}

/// Dimensions that mean something to every family.
const GENERAL_DIMS: [&str; 11] = [
    "layers",
    "hidden",
    "vocab",
    "heads",
    "kv_heads",
    "experts",
    "experts_used",
    "dense_layers",
    "moe_every",
    "mtp_layers",
    "layer_count",
];

/// Tags that mean something to every family.
const GENERAL_TAGS: [&str; 8] =
    ["full", "sliding", "chunked", "recurrent", "dense", "moe", "mtp", "wide"];
