//! Time of one generation step.
//!
//! A step reads the weights it needs once for all streams, reads every stream's KV cache, does the
//! arithmetic, and pays a fixed price per layer and per step:
//!
//! ```text
//! step   = (memory^p + arithmetic^p)^(1/p) + kv + state + layers + fixed + streams
//! memory = (base + experts(B) / gather) / (share * packing * bandwidth)
//! ```
//!
//! Constants are data: `catalog/calibration.toml` for all, `catalog/calibration/*.toml` by engine
//! and device class. `docs/design/estimates.md` explains each term and where it was measured.

use localrig_facts::calibration::{Class, SharedConstants};
use localrig_facts::unit::{BytesPerSec, FlopsPerSec, Seconds, Tokens, TokensPerSec};

use crate::work::Work;

/// Rates of one device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Nominal memory bandwidth.
    pub bandwidth: BytesPerSec,
    /// FP32 shader rate.
    pub shader: FlopsPerSec,
    /// Matrix rate that the class's shares refer to; `None` when the data sheet lacks it, which
    /// only one stream can do without.
    pub matrix: Option<FlopsPerSec>,
}

/// The parts of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Reading weights.
    pub memory: Seconds,
    /// Unpacking weights, or matrix products of a batch.
    pub arithmetic: Seconds,
    /// Reading the KV cache of all streams.
    pub kv: Seconds,
    /// Reading and writing recurrent state.
    pub state: Seconds,
    /// Launches and small kernels of the layers.
    pub layers: Seconds,
    /// Fixed cost of a step.
    pub fixed: Seconds,
    /// Cost of further streams.
    pub streams: Seconds,
    /// All of it: memory and arithmetic overlap.
    pub total: Seconds,
}

impl Step {
    /// Speed of one stream.
    pub fn speed(self) -> TokensPerSec {
        Tokens::new(1.0) / self.total
    }
}

/// A step of `streams` streams, each with `depth` tokens of context, on one device.
pub fn step(
    constants: &SharedConstants,
    class: &Class,
    rates: Rates,
    work: &Work,
    depth: f64,
    streams: f64,
) -> Step {
    let shared = &constants.decode;
    let own = &class.decode;

    let touched = work.experts_touched(streams, shared.routing_correlation);
    let expert_share = if work.experts == 0 { 0.0 } else { touched / work.experts as f64 };
    let bytes = work.weights.base + work.weights.experts * (expert_share / shared.expert_gather);
    let memory: Seconds = bytes / (rates.bandwidth * (own.bandwidth_share * work.decode_cost));

    let active = work.active_parameters();
    let unpack = active * work.operations * own.unpack / rates.shader.get();
    let products = match rates.matrix {
        Some(matrix) if streams > 1.0 => {
            2.0 * active * streams / (matrix.get() * own.batch_matrix_share)
        }
        _ => 0.0,
    };
    let arithmetic = Seconds::new(unpack.max(products));
    let overlap = if streams > 1.0 { shared.overlap_batch } else { shared.overlap_single };
    let busy = (memory.get().powf(overlap) + arithmetic.get().powf(overlap)).powf(1.0 / overlap);

    let kv_share = (own.kv_share * streams.powf(shared.batch_kv_growth))
        .min(shared.batch_kv_limit.max(own.kv_share));
    let latent = if work.latent { own.latent_kv } else { 1.0 };
    let kv: Seconds = work.kv_read(depth) * (streams * latent) / (rates.bandwidth * kv_share);

    let state_share = shared.state_efficiency * own.bandwidth_share;
    let state: Seconds = work.state * (2.0 * streams) / (rates.bandwidth * state_share);

    let layers = Seconds::us(own.layer_us * work.layer_weight);
    let fixed = Seconds::us(shared.step_us);
    let further = Seconds::us(own.stream_us * (streams - 1.0));
    Step {
        memory,
        arithmetic,
        kv,
        state,
        layers,
        fixed,
        streams: further,
        total: Seconds::new(busy) + kv + state + layers + fixed + further,
    }
}
