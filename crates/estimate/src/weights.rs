//! Bytes of a model's weights under a format, and which of them a token reads.

use localrig_facts::format::{Container, TensorType};
use localrig_facts::unit::Bytes;

use crate::architecture::{Layout, Tensor};
use crate::recipe::Recipe;

/// Weights of a model under a format.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// What the engine loads, prediction blocks left out.
    pub loaded: Bytes,
    /// What the file's tensors take, prediction blocks included, the header not.
    pub file: Bytes,
    /// Read for every token: all but tables that are looked up and routed experts.
    pub base: Bytes,
    /// All routed experts.
    pub experts: Bytes,
    /// The output matrix, part of `base`: not read during prefill but for the last position.
    pub head: Bytes,
    /// Embedding tables of which a token reads one row, held on the host by llama.cpp.
    pub lookup: Bytes,
    /// What each tensor takes, in the order of the layout's.
    pub tensors: Vec<u64>,
    /// Bytes by storage type, most first.
    pub by_type: Vec<(String, Bytes)>,
    /// Parameters in `base` without the head, for arithmetic.
    pub base_parameters: f64,
    /// Parameters in routed experts.
    pub expert_parameters: f64,
    /// Parameters in the head.
    pub head_parameters: f64,
}

/// GGUF aligns every tensor to this many bytes.
const GGUF_ALIGNMENT: u64 = 32;

/// The weights of a model under a recipe.
pub fn weights(layout: &Layout, recipe: &Recipe<'_>) -> Weights {
    weights_of(layout, recipe, &recipe.types(layout))
}

/// Bytes of each tensor of a model under a recipe, in the order of `layout.tensors`, as held in
/// memory: GGUF engines align every tensor.
pub fn tensor_sizes(layout: &Layout, recipe: &Recipe<'_>) -> Vec<u64> {
    let types = recipe.types(layout);
    layout.tensors.iter().zip(types).map(|(tensor, kind)| held(recipe, tensor, kind)).collect()
}

fn held(recipe: &Recipe<'_>, tensor: &Tensor, kind: &TensorType) -> u64 {
    let align = match recipe.format.container {
        Container::Gguf => GGUF_ALIGNMENT,
        _ => 1,
    };
    tensor_bytes(tensor, kind).next_multiple_of(align)
}

/// The weights of a model with the type of each tensor given.
pub(crate) fn weights_of(layout: &Layout, recipe: &Recipe<'_>, types: &[&TensorType]) -> Weights {
    let mut sums = Sums::default();
    let mut by_type: Vec<(String, u64)> = Vec::new();
    let mut tensors = Vec::with_capacity(layout.tensors.len());
    for (tensor, kind) in layout.tensors.iter().zip(types.iter().copied()) {
        let bytes = held(recipe, tensor, kind);
        sums.file += bytes;
        tensors.push(bytes);
        if !tensor.loaded {
            continue;
        }
        let held = bytes * u64::from(tensor.copies);
        sums.loaded += held;
        match by_type.iter_mut().find(|(name, _)| *name == kind.name) {
            Some((_, sum)) => *sum += held,
            None => by_type.push((kind.name.clone(), held)),
        }
        let elements = tensor.elements();
        let is_main = tensor.layer.is_none_or(|layer| layer < layout.main_layers);
        if tensor.table || !is_main {
            continue;
        }
        let is_head = &*tensor.name == "output.weight"
            || (layout.tied && &*tensor.name == "token_embd.weight");
        if is_head {
            sums.head += bytes;
            sums.base += bytes;
            sums.head_parameters += elements;
        } else if tensor.is_lookup() {
            sums.lookup += bytes;
        } else if tensor.experts {
            sums.experts += bytes;
            sums.expert_parameters += elements;
        } else {
            sums.base += bytes;
            sums.base_parameters += elements;
        }
    }
    by_type.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let bytes = |count: u64| Bytes::new(count as f64);
    Weights {
        loaded: bytes(sums.loaded),
        file: bytes(sums.file),
        base: bytes(sums.base),
        experts: bytes(sums.experts),
        head: bytes(sums.head),
        lookup: bytes(sums.lookup),
        tensors,
        by_type: by_type.into_iter().map(|(name, count)| (name, bytes(count))).collect(),
        base_parameters: sums.base_parameters as f64,
        expert_parameters: sums.expert_parameters as f64,
        head_parameters: sums.head_parameters as f64,
    }
}

#[derive(Default)]
struct Sums {
    loaded: u64,
    file: u64,
    base: u64,
    experts: u64,
    head: u64,
    lookup: u64,
    base_parameters: u64,
    expert_parameters: u64,
    head_parameters: u64,
}

fn tensor_bytes(tensor: &Tensor, kind: &TensorType) -> u64 {
    let elements = tensor.elements();
    let blocks = elements / kind.block * kind.bytes;
    // Types with blocks larger than a small tensor (safetensors scales) round up.
    blocks + (elements % kind.block * kind.bytes).div_ceil(kind.block)
}
