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

use crate::architecture::Layout;
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
}

impl PoolAsk {
    /// Requests of `context` tokens with vLLM's own defaults.
    pub const fn new(context: u64, kv: KvType) -> Self {
        Self { kv, context, batched_tokens: 8192, block_tokens: 16 }
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
    let kinds = kinds(layout, ask.kv);
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
fn kinds(layout: &Layout, kv: KvType) -> Vec<Kind> {
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
    for (caches, state) in layout.caches.iter().zip(&layout.states) {
        if let Some(first) = caches.first() {
            let bytes: u64 = caches.iter().map(|cache| kv.row(cache.k) + kv.row(cache.v)).sum();
            add(first.window, false, bytes);
        }
        if *state > 0 {
            add(None, true, state * STATE_BYTES);
        }
    }
    kinds
}

/// vLLM keeps recurrent states in 32-bit floats unless told otherwise.
const STATE_BYTES: u64 = 4;
