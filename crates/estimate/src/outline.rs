//! The outline of a model without a tensor list: tensors in the right total, from published facts.
//!
//! Memory to the byte needs the exact list; speed needs only how many bytes a token reads and how
//! many layers it goes through. Attention, embedding and experts follow from the published widths;
//! what the published parameter count leaves over goes to weights that every token reads (shared
//! experts, dense first layers), what it lacks is taken off the feed-forward part. Figures that rest
//! on an outline say so and carry wider intervals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;

use localrig_facts::Id;
use localrig_facts::model::{AttentionScheme, Model};

use crate::architecture::{Layer, LayerCache, Layout, LayoutError, Place, Role, Tensor, pattern};

/// Published widths, with what is missing worked out from the parameter count.
struct Shape {
    layers: u64,
    hidden: u64,
    vocab: u64,
    heads: u64,
    kv_heads: u64,
    head_dim: u64,
    /// Tables of which a token reads a row in every layer: width per layer.
    per_layer_input: u64,
    parameters: f64,
}

/// The outline of a model.
///
/// # Errors
/// When not even the number of layers can be told, or its layer pattern cannot be read.
pub fn outline(id: &Id, model: &Model) -> Result<Layout, LayoutError> {
    let shape = shape(model);
    let pattern_text = model.layers.as_deref().unwrap_or("full");
    let kinds = pattern::expand(pattern_text, shape.layers)
        .map_err(|source| LayoutError::Pattern { place: id.to_string(), source })?;
    let attention = |tags: &[String]| {
        let wide = |tag: &str| tags.iter().any(|own| own == tag);
        if wide("none") { 0.0 } else { attention_parameters(&shape) }
    };
    let in_attention: f64 = kinds.iter().map(|kind| attention(&kind.tags)).sum();
    let table = (shape.hidden * shape.vocab) as f64;
    let looked_up =
        (shape.per_layer_input * shape.layers * shape.vocab) as f64 + shape.per_layer_input as f64;
    let rest = shape.parameters - in_attention - looked_up;
    let ffn = FeedForward::new(model, &shape, rest - table);
    // The count tells whether the output matrix is a second table.
    let tied = ffn.unexplained(rest - table).abs() <= ffn.unexplained(rest - 2.0 * table).abs();
    let ffn = FeedForward::new(model, &shape, rest - if tied { 1.0 } else { 2.0 } * table);
    Ok(assemble(id, model, &shape, &kinds, &ffn, tied))
}

fn shape(model: &Model) -> Shape {
    let dim = |name: &str| model.dims.get(name).copied().unwrap_or(0);
    let vision = model.parameters.vision_and_other.unwrap_or(0);
    let parameters = model.parameters.total.saturating_sub(vision) as f64;
    // Models are about 128 times as wide as they are deep, and a layer has 12 hidden^2 parameters
    // (Kaplan et al. 2020, arXiv 2001.08361, section 2.1), so a count alone gives both.
    let active = model.parameters.active.map_or(parameters, |count| count as f64);
    let depth = (active / (12.0 * 128.0 * 128.0)).cbrt().max(4.0);
    let or = |value: u64, guess: f64| if value > 0 { value } else { guess.round() as u64 };
    let layers = or(dim("layers"), depth);
    let hidden = or(dim("hidden"), 128.0 * depth);
    let head_dim = or(dim("head_dim"), 128.0);
    let heads = or(dim("heads"), (hidden as f64 / head_dim as f64).max(1.0));
    Shape {
        layers,
        hidden,
        vocab: or(dim("vocab"), 128_000.0),
        heads,
        kv_heads: or(dim("kv_heads"), (heads as f64 / 4.0).max(1.0)),
        head_dim,
        per_layer_input: dim("per_layer_input"),
        parameters,
    }
}

fn attention_parameters(shape: &Shape) -> f64 {
    let query = shape.heads * shape.head_dim;
    let key = shape.kv_heads * shape.head_dim;
    (shape.hidden * (2 * query + 2 * key)) as f64
}

/// The feed-forward part: experts of a mixture and what every token reads.
struct FeedForward {
    layers: f64,
    /// Widths from the facts: one expert's parameters, experts, experts used; zero if dense.
    expert: f64,
    experts: u64,
    used: u64,
    /// Dense parameters per layer as published; zero if not.
    dense: f64,
    /// What the count says: routed experts of all layers together, and the rest.
    routed: f64,
    base: f64,
}

impl FeedForward {
    fn new(model: &Model, shape: &Shape, rest: f64) -> Self {
        let dim = |name: &str| model.dims.get(name).copied().unwrap_or(0);
        let layers = shape.layers as f64;
        let active = model
            .parameters
            .active
            .map(|count| count as f64)
            .or(model.parameters.active_in_name_b.map(|billions| billions * 1e9));
        let matrix = 3.0 * shape.hidden as f64;
        let (mut experts, mut used) = (dim("experts"), dim("experts_used"));
        let width = if dim("expert_ffn") > 0 { dim("expert_ffn") } else { dim("ffn") };
        let expert = matrix * width as f64;
        if experts == 0 && expert > 0.0 && rest > 4.0 * expert * layers {
            // A mixture whose experts are not published: as many as the count has room for.
            experts = (rest / layers / expert).floor() as u64;
        }
        if experts == 0 || expert == 0.0 {
            let dense = matrix * dim("ffn") as f64;
            return Self {
                layers,
                expert: 0.0,
                experts: 0,
                used: 0,
                dense,
                routed: 0.0,
                base: rest.max(0.0),
            };
        }
        let stated = expert * experts as f64 * layers;
        let routed = stated.min(rest.max(0.0));
        if used == 0 {
            // Of what a token uses, what is not attention and tables are experts.
            let outside = shape.parameters - stated;
            let share = active.map_or(0.05, |active| (active - outside).max(0.0) / stated);
            used = (share * experts as f64).round().max(1.0) as u64;
        }
        Self { layers, expert, experts, used, dense: 0.0, routed, base: (rest - routed).max(0.0) }
    }

    /// What the published widths leave unexplained of a parameter count.
    fn unexplained(&self, rest: f64) -> f64 {
        let per_layer = self.expert * self.experts as f64 + self.dense;
        rest - per_layer * self.layers
    }
}

fn assemble(
    id: &Id,
    model: &Model,
    shape: &Shape,
    kinds: &[pattern::LayerKind],
    ffn: &FeedForward,
    tied: bool,
) -> Layout {
    let mut tensors =
        vec![tensor("token_embd.weight", None, vec![shape.hidden, shape.vocab], tied)];
    if !tied {
        tensors.push(tensor("output.weight", None, vec![shape.hidden, shape.vocab], tied));
    }
    if shape.per_layer_input > 0 {
        let row = shape.per_layer_input * shape.layers;
        tensors.push(tensor("per_layer_token_embd.weight", None, vec![row, shape.vocab], tied));
    }
    let query = shape.heads * shape.head_dim;
    let key = shape.kv_heads * shape.head_dim;
    let window = model.dims.get("sliding_window").copied();
    let selects = model.dims.get("index_topk").copied();
    let (mut layers, mut caches) = (Vec::new(), Vec::new());
    let widths = |parameters: f64| (parameters / shape.hidden as f64).round().max(0.0) as u64;
    for (index, kind) in kinds.iter().enumerate() {
        let layer = Some(index as u32);
        let mut add = |name: &str, dims: Vec<u64>| {
            if dims.iter().all(|length| *length > 0) {
                tensors.push(tensor(name, layer, dims, tied));
            }
        };
        add("attn_q.weight", vec![shape.hidden, query]);
        add("attn_k.weight", vec![shape.hidden, key]);
        add("attn_v.weight", vec![shape.hidden, key]);
        add("attn_output.weight", vec![query, shape.hidden]);
        let base = widths(ffn.base / ffn.layers);
        if ffn.experts > 0 {
            let each = widths(ffn.routed / ffn.layers / ffn.experts as f64);
            add("ffn_up_exps.weight", vec![shape.hidden, each - each / 3, ffn.experts]);
            add("ffn_down_exps.weight", vec![each / 3, shape.hidden, ffn.experts]);
            add("ffn_up_shexp.weight", vec![shape.hidden, base]);
        } else {
            add("ffn_up.weight", vec![shape.hidden, base - base / 3]);
            add("ffn_down.weight", vec![base / 3, shape.hidden]);
        }
        let mut tags = kind.tags.clone();
        tags.push(if ffn.experts > 0 { "moe" } else { "dense" }.to_owned());
        let has = |tag: &str| kind.tags.iter().any(|own| own == tag);
        let mut cache = Vec::new();
        if has("full") || has("sliding") {
            cache.push(LayerCache {
                k: key,
                v: key,
                window: if has("sliding") { window } else { None },
                selects: if has("full") { selects } else { None },
                pair: 2 * shape.heads * shape.head_dim,
            });
        }
        caches.push(cache);
        layers.push(Layer { tags });
    }
    let mut dims: BTreeMap<String, u64> = model.dims.clone();
    for (name, value) in [
        ("layers", shape.layers),
        ("hidden", shape.hidden),
        ("vocab", shape.vocab),
        ("heads", shape.heads),
        ("kv_heads", shape.kv_heads),
        ("head_dim", shape.head_dim),
        ("experts", ffn.experts),
        ("experts_used", ffn.used),
    ] {
        dims.insert(name.to_owned(), value);
    }
    Layout {
        id: id.clone(),
        family: "outline".to_owned(),
        gguf: Vec::new(),
        attention: AttentionScheme::Gqa,
        recurrence: None,
        order: (0..tensors.len() as u32).collect(),
        tensors,
        main_layers: shape.layers as u32,
        states: vec![0; layers.len()],
        layers,
        caches,
        dims,
        first_group: shape.heads / shape.kv_heads.max(1),
        tied,
        seventy_b: false,
        traits: OnceLock::new(),
    }
}

fn tensor(name: &str, layer: Option<u32>, shape: Vec<u64>, tied: bool) -> Tensor {
    let table = name == "per_layer_token_embd.weight";
    Tensor {
        name: Arc::from(name),
        role: Role::of(name, tied),
        layer,
        place: layer.map_or_else(|| Place::of(name, table, &[]), Place::Layer),
        shape: shape.into(),
        experts: Tensor::names_experts(name),
        f32: false,
        keep: false,
        table,
        loaded: true,
        copies: 1,
    }
}
