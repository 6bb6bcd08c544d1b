//! vLLM's pool of KV blocks: how many tokens and requests the memory left over holds.
//!
//! vLLM takes `gpu_memory_utilization` of a card, loads the weights, measures its activations and
//! cuts what is left into blocks. Layers of one kind form groups of equal size, so that one block of
//! any group takes the same bytes; a model of one kind is one group. Recurrent layers keep their
//! state in a block of their own, and the attention block grows until it is as large.
//! Source: vLLM `vllm/v1/core/kv_cache_utils.py` (`get_kv_cache_groups`, `get_kv_cache_configs`) and
//! `vllm/v1/kv_cache_interface.py`; checked against the capacity it reports for hybrid models.

use localrig_facts::unit::Bytes;
use serde::Serialize;

use crate::architecture::{Layout, Place, Tensor};
use crate::context::KvType;

/// How vLLM is asked to hold its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolAsk {
    /// `--kv-cache-dtype`.
    pub kv: KvType,
    /// `--max-model-len`: tokens of a request.
    pub context: u64,
    /// `--max-num-batched-tokens`: what a sliding window must hold beside itself.
    pub batched_tokens: u64,
    /// `--block-size`: tokens of a block, before hybrids raise it.
    pub block_tokens: u64,
    /// The part of the model that the device holds.
    pub slice: Slice,
}

/// The part of a model that one device of several holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// `--tensor-parallel-size`: devices that share every layer.
    pub tensor: u64,
    /// First layer of its pipeline stage.
    pub first: u32,
    /// The layer after its last.
    pub end: u32,
}

impl Slice {
    /// Everything.
    pub const WHOLE: Self = Self { tensor: 1, first: 0, end: u32::MAX };

    /// The slices of `stages` pipeline stages: layers dealt out evenly, the earlier stages but the
    /// first get what is left over. Source: vLLM `vllm/distributed/utils.py`, `get_pp_indices`.
    pub fn stages(layers: u32, stages: u32) -> Vec<Self> {
        let (each, left) = (layers / stages, layers % stages);
        let mut first = 0;
        let stage = |index: u32| {
            // The last stage has the output matrix, the first the embeddings.
            let more = u32::from(index + 1 < stages && index + 1 + left >= stages);
            let end = if index + 1 == stages { layers } else { first + each + more };
            let slice = Self { tensor: 1, first, end };
            first = end;
            slice
        };
        (0..stages).map(stage).collect()
    }
}

/// The pool.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pool {
    /// Blocks in the pool.
    pub blocks: u64,
    /// Tokens of a block.
    pub block_tokens: u64,
    /// Bytes of a block: all layers of one group.
    pub block_bytes: Bytes,
    /// Groups that each request takes blocks of.
    pub groups: u64,
    /// Layers of a group.
    pub group_layers: u64,
    /// Blocks a request of the asked length takes: it is admitted when they are free.
    pub blocks_per_request: u64,
    /// Tokens the pool holds, as vLLM reports it (`GPU KV cache size`).
    pub tokens: u64,
    /// Requests of the asked length held at once, as vLLM reports it (`Maximum concurrency`).
    pub requests: f64,
}

/// Memory left for the pool: the share of the card, less weights and what runs beside them.
pub fn pool_bytes(memory: Bytes, utilization: f64, weights: Bytes, beside: Bytes) -> Bytes {
    (memory * utilization - weights - beside).max(Bytes::ZERO)
}

/// Bytes of the weights that one device of several holds.
///
/// Matrices are cut into equal parts. Vectors, routers and latent projections lie whole on every
/// device; keys and values are cut no further than into their heads. `sizes` are the bytes of each
/// tensor, in the order of `layout.tensors`.
pub fn slice_bytes(layout: &Layout, sizes: &[u64], slice: Slice) -> Bytes {
    let last = slice.end >= layout.main_layers;
    let bytes = layout.tensors.iter().zip(sizes).filter(|(tensor, _)| tensor.loaded).map(
        |(tensor, bytes)| {
            let copies = match tensor.place {
                Place::Input if slice.first == 0 => 1,
                // A tied output matrix is the embedding, once more on the last of several stages.
                Place::Input => u64::from(layout.tied && last),
                Place::Output => u64::from(last),
                Place::Layer(layer) => u64::from((slice.first..slice.end).contains(&layer)),
                Place::Beside(_) => 1,
            };
            copies * bytes.div_ceil(parts(layout, tensor, slice.tensor))
        },
    );
    Bytes::new(bytes.sum::<u64>() as f64)
}

/// Tensors that every device of a tensor-parallel group holds whole: routers and the projections
/// into a latent space, whose result all heads need.
const WHOLE: [&str; 4] = ["ffn_gate_inp", "attn_q_a", "attn_kv_a", "indexer"];

/// Into how many parts a tensor is cut between `devices`.
fn parts(layout: &Layout, tensor: &Tensor, devices: u64) -> u64 {
    let whole = tensor.shape.len() < 2 || WHOLE.iter().any(|name| tensor.name.starts_with(name));
    let keys = ["attn_k.", "attn_v."].iter().any(|name| tensor.name.starts_with(name));
    match (whole, keys) {
        (true, _) => 1,
        (false, true) => devices.min(layout.dim("kv_heads").max(1)),
        (false, false) => devices,
    }
}

/// A kind of layers with equal needs.
struct Kind {
    window: Option<u64>,
    recurrent: bool,
    /// Bytes of a token, or of a sequence's state.
    bytes: u64,
    layers: u64,
}

/// The pool that `available` bytes make; `None` for a model that keeps nothing.
pub fn block_pool(layout: &Layout, available: Bytes, ask: PoolAsk) -> Option<Pool> {
    let kinds = kinds(layout, ask.kv, ask.slice);
    let token = kinds.iter().filter(|kind| !kind.recurrent).map(|kind| kind.bytes).max();
    let state = kinds.iter().filter(|kind| kind.recurrent).map(|kind| kind.bytes).max();
    let block_tokens = match (token, state) {
        // The attention block grows in steps until a state fits into it.
        (Some(token), Some(state)) => {
            state.div_ceil(token).max(ask.block_tokens).next_multiple_of(ask.block_tokens)
        }
        _ => ask.block_tokens,
    };
    let page = token.map_or(0, |token| token * block_tokens).max(state.unwrap_or(0));
    let (fewest, most) =
        (kinds.iter().map(|kind| kind.layers).min()?, kinds.iter().map(|kind| kind.layers).max()?);
    // Nearly equal kinds are padded to the larger one instead of being cut into many groups.
    let group_layers = if (most as f64) < fewest as f64 * 1.25 { most } else { fewest };
    let groups_of = |kind: &Kind| kind.layers.div_ceil(group_layers);
    let groups: u64 = kinds.iter().map(groups_of).sum();
    let block = page * group_layers;
    let blocks = (available.get() as u64).checked_div(block)?;
    let needed = |kind: &Kind| match (kind.recurrent, kind.window) {
        (true, _) => 1,
        (false, None) => ask.context.div_ceil(block_tokens),
        // A window may begin inside a block.
        (false, Some(window)) => {
            let kept = (window.saturating_sub(1) + ask.batched_tokens).min(ask.context);
            kept.div_ceil(block_tokens) + 1
        }
    };
    let blocks_per_request: u64 = kinds.iter().map(|kind| groups_of(kind) * needed(kind)).sum();
    Some(Pool {
        blocks,
        block_tokens,
        block_bytes: Bytes::new(block as f64),
        groups,
        group_layers,
        blocks_per_request,
        tokens: blocks / groups * block_tokens,
        requests: blocks as f64 / blocks_per_request.max(1) as f64,
    })
}

/// Layers by what they keep. A layer with attention and a state beside it counts as both.
fn kinds(layout: &Layout, kv: KvType, slice: Slice) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    let mut add = |window, recurrent, bytes| {
        let same = |kind: &&mut Kind| kind.window == window && kind.recurrent == recurrent;
        match kinds.iter_mut().find(same) {
            Some(kind) => {
                kind.layers += 1;
                kind.bytes = kind.bytes.max(bytes);
            }
            None => kinds.push(Kind { window, recurrent, bytes, layers: 1 }),
        }
    };
    let layers = slice.first as usize..slice.end as usize;
    let heads = |window: Option<u64>| match (window, layout.dim("global_kv_heads")) {
        (None, own @ 1..) => own,
        _ => layout.dim("kv_heads").max(1),
    };
    let layer_count = layout.caches.len();
    for layer in layers.start..layers.end.min(layer_count) {
        let (caches, state) = (&layout.caches[layer], layout.states[layer]);
        if let Some(first) = caches.first() {
            let bytes = caches.iter().map(|cache| {
                // Latent rows and index keys serve all heads.
                let parts = if cache.v == 0 { 1 } else { slice.tensor.min(heads(cache.window)) };
                kv.row(cache.k / parts) + kv.row(cache.v / parts)
            });
            add(first.window, false, bytes.sum());
        }
        if state > 0 {
            add(None, true, state.div_ceil(slice.tensor) * STATE_BYTES);
        }
    }
    kinds
}

/// vLLM keeps recurrent states in 32-bit floats unless told otherwise.
const STATE_BYTES: u64 = 4;
