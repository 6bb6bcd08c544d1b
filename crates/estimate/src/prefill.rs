//! Time to read a prompt.
//!
//! The prompt goes through in chunks; each chunk reads the weights once and multiplies them with
//! all its tokens, so arithmetic dominates. Attention over what is already there grows with depth:
//! a cached prefix costs nothing but that.

use crate::parameter::{Constants, Parameter};
use crate::run::Run;
use crate::{link, offload, power};

/// The parts of reading a prompt, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prefill {
    /// Matrix products.
    pub products: f64,
    /// Reading weights, once per chunk.
    pub memory: f64,
    /// Attention scores and values.
    pub attention: f64,
    /// Scan of recurrent layers.
    pub scan: f64,
    /// Launches of the layers and fixed cost.
    pub fixed: f64,
    /// Devices talking to each other.
    pub link: f64,
    /// All of it: products and memory overlap.
    pub total: f64,
}

/// Reading `tokens` of prompt after `depth` tokens that are cached already.
pub fn prefill(run: &Run<'_>, constants: &Constants, tokens: f64, depth: f64) -> Prefill {
    let width = f64::from(run.split.tensor);
    let chunk = run.chunk_tokens.min(tokens).max(1.0);
    let chunks = (tokens / chunk).max(1.0);
    let products = products(run, constants, chunk) / width;
    let memory = memory(run, constants, chunk) / width;
    let launches = run.work.layers.all * constants[Parameter::ChunkLayerUs] * 1e-6;
    let weights = offload::prefill(run, constants, products.hypot(memory));
    let attention = attention(run, constants, tokens, depth) / width;
    let scan = scan(run, constants, tokens) / width;
    let fixed = chunks * launches + constants[Parameter::PromptMs] * 1e-3;
    let link =
        link::all_reduce(run, constants, chunk) * chunks + link::handover(run, constants, chunk);
    let device = (chunks * weights + attention + scan) / power::prefill(run, constants);
    Prefill {
        products: chunks * products,
        memory: chunks * memory,
        attention,
        scan,
        fixed,
        link,
        total: device / pipeline(run, constants, chunks) + fixed + link,
    }
}

/// What a cached context adds to a prompt, on a device that no power limit holds back and no host
/// helps.
pub(crate) fn context(run: &Run<'_>, constants: &Constants, tokens: f64, depth: f64) -> f64 {
    let at = |depth: f64| attention(run, constants, tokens, depth);
    let chunk = run.chunk_tokens.min(tokens).max(1.0);
    let chunks = (tokens / chunk).max(1.0);
    (at(depth) - at(0.0)) / f64::from(run.split.tensor) / pipeline(run, constants, chunks)
}

/// Chunks pass the stages of a layer split like parts on a line: with `n` stages and `m` chunks the
/// line is busy `n m / (n + m - 1)` times one stage's share, of which an engine reaches a part.
fn pipeline(run: &Run<'_>, constants: &Constants, chunks: f64) -> f64 {
    let stages = f64::from(run.split.stages);
    let ideal = stages * chunks / (stages + chunks - 1.0);
    1.0 + (ideal - 1.0) * constants[Parameter::PipelineShare].min(1.0)
}

/// Matrix products of one chunk. The head multiplies the last position only. Few tokens per expert
/// leave matrix units half empty.
fn products(run: &Run<'_>, constants: &Constants, chunk: f64) -> f64 {
    let work = run.work;
    let used = work.used_share();
    let experts = if work.is_mixture() {
        let per_expert = chunk * used;
        let filled = per_expert / (per_expert + constants[Parameter::ExpertHalfTokens]);
        used / filled / constants[Parameter::ExpertMatrix]
    } else {
        0.0
    };
    let mut operations = 0.0;
    for (kernel, own) in work.kernels.iter().enumerate() {
        let parameters = own.base_parameters + own.expert_parameters * experts;
        if parameters > 0.0 {
            let speed = constants[Parameter::MatrixFloat16.for_kernel(kernel)];
            operations += 2.0 * chunk * parameters / speed;
        }
    }
    operations / (run.rates.matrix * constants[Parameter::MatrixShare])
}

/// Reading the weights of one chunk: all but the head, and the experts that any token picks.
fn memory(run: &Run<'_>, constants: &Constants, chunk: f64) -> f64 {
    let work = run.work;
    let touched = 1.0 - (1.0 - work.used_share()).powf(chunk);
    let bytes = work.weights.base - work.weights.head + work.weights.experts * touched;
    bytes.get() / (run.rates.bandwidth * constants[Parameter::PrefillRead])
}

/// Attention: each query multiplies with every key and value it sees (Dao et al. 2022, arXiv
/// 2205.14135: kernels reach a share of the matrix rate that grows with the length).
fn attention(run: &Run<'_>, constants: &Constants, tokens: f64, depth: f64) -> f64 {
    let latent = if run.work.latent { constants[Parameter::LatentAttention] } else { 1.0 };
    let pairs: f64 = run
        .work
        .attention
        .iter()
        .map(|one| f64::from(one.layers) * one.pair * positions_seen(one.limit(), tokens, depth))
        .sum();
    let length = depth + tokens / 2.0;
    let filled = length / (length + constants[Parameter::AttentionHalfTokens]);
    let share = constants[Parameter::AttentionShare] * filled;
    let device = 2.0 * pairs * latent / (run.rates.attention * share.max(1e-6));
    offload::prefill_attention(run, constants, device, pairs)
}

/// The chunked scan of recurrent layers.
fn scan(run: &Run<'_>, constants: &Constants, tokens: f64) -> f64 {
    let share = constants[Parameter::MatrixShare] * constants[Parameter::ScanShare];
    2.0 * run.work.scan * tokens / (run.rates.matrix * share)
}

/// Pairs of query and key positions: each of `tokens` queries sees what is before it, at most
/// `limit` positions.
pub(crate) fn positions_seen(limit: f64, tokens: f64, depth: f64) -> f64 {
    if depth + tokens <= limit {
        return tokens * depth + tokens * tokens / 2.0;
    }
    // Queries up to the limit see all, the others the limit.
    let growing = (limit - depth).clamp(0.0, tokens);
    growing * (depth + growing / 2.0) + (tokens - growing) * limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_bounds_what_a_query_sees() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let all = f64::INFINITY;
        assert!(near(positions_seen(all, 100.0, 0.0), 5_000.0));
        assert!(near(positions_seen(all, 100.0, 1_000.0), 105_000.0));
        assert!(near(positions_seen(128.0, 100.0, 1_000.0), 12_800.0));
        assert!(near(positions_seen(128.0, 100.0, 0.0), 5_000.0));
        assert!(near(positions_seen(60.0, 100.0, 0.0), 1_800.0 + 2_400.0));
    }
}
