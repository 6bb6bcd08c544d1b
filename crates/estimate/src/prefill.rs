//! Time to read a prompt.
//!
//! The prompt goes through in chunks; each chunk reads the weights once and multiplies them with
//! all its tokens, so arithmetic dominates. Attention over what is already there grows with depth.

use localrig_facts::calibration::{ClassPrefill, SharedConstants};
use localrig_facts::unit::{BytesPerSec, FlopsPerSec, Seconds};

use crate::work::Work;

/// The parts of reading a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prefill {
    /// Matrix products.
    pub products: Seconds,
    /// Reading weights, once per chunk.
    pub memory: Seconds,
    /// Attention scores and values.
    pub attention: Seconds,
    /// Scan of recurrent layers.
    pub scan: Seconds,
    /// Launches of the layers and fixed cost.
    pub fixed: Seconds,
    /// All of it: products and memory overlap.
    pub total: Seconds,
}

/// Reading `tokens` of prompt after `depth` tokens that are cached already.
pub fn prefill(
    constants: &SharedConstants,
    class: &ClassPrefill,
    bandwidth: BytesPerSec,
    matrix: FlopsPerSec,
    work: &Work,
    tokens: f64,
    depth: f64,
) -> Prefill {
    let shared = &constants.prefill;
    let rate = matrix.get() * class.matrix_share;
    let chunk = (class.chunk_tokens as f64).min(tokens.max(1.0));
    let chunks = tokens / chunk;
    let used_share =
        if work.experts == 0 { 0.0 } else { work.experts_used as f64 / work.experts as f64 };

    // Few tokens per expert leave matrix units half empty.
    let per_expert = chunk * used_share;
    let expert_parameters = if work.experts == 0 {
        0.0
    } else {
        work.active_expert_parameters() * (per_expert + shared.expert_half_tokens)
            / per_expert
            / shared.expert_efficiency
    };
    // The head multiplies the last position only.
    let parameters = work.weights.base_parameters + expert_parameters;
    let products = 2.0 * chunk * parameters / (rate * work.prefill_cost);

    let touched = 1.0 - (1.0 - used_share).powf(chunk);
    let body = work.weights.base - work.weights.head;
    let read: Seconds =
        (body + work.weights.experts * touched) / (bandwidth * shared.weight_read_efficiency);
    let launches = f64::from(work.layers) * shared.layer_us * 1e-6;
    let per_chunk = products.hypot(read.get()) + launches;

    let latent = if work.latent { shared.latent_attention } else { 1.0 };
    let pairs: f64 = work
        .attention
        .iter()
        .map(|one| {
            f64::from(one.layers)
                * one.pair
                * positions_seen(one.window, one.selects, tokens, depth)
        })
        .sum();
    let attention = 2.0 * pairs * latent / (matrix.get() * class.attention_share);
    let scan = work.scan * tokens / (rate * shared.scan_efficiency);
    let fixed = chunks * launches + shared.prompt_ms * 1e-3;
    Prefill {
        products: Seconds::new(chunks * products),
        memory: read * chunks,
        attention: Seconds::new(attention),
        scan: Seconds::new(scan),
        fixed: Seconds::new(fixed),
        total: Seconds::new(chunks * per_chunk + attention + scan + shared.prompt_ms * 1e-3),
    }
}

/// Pairs of query and key positions: each of `tokens` queries sees what is before it, at most a
/// window.
fn positions_seen(window: Option<u64>, selects: Option<u64>, tokens: f64, depth: f64) -> f64 {
    let all = tokens * depth + tokens * tokens / 2.0;
    let limits = [window, selects].into_iter().flatten().map(|limit| limit as f64);
    match limits.fold(f64::INFINITY, f64::min) {
        limit if limit.is_finite() => tokens * limit.min(depth + tokens / 2.0),
        _ => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_bounds_what_a_query_sees() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(positions_seen(None, None, 100.0, 0.0), 5_000.0));
        assert!(near(positions_seen(None, None, 100.0, 1_000.0), 105_000.0));
        assert!(near(positions_seen(Some(128), None, 100.0, 1_000.0), 12_800.0));
        assert!(near(positions_seen(Some(128), None, 100.0, 0.0), 5_000.0));
    }
}
