//! Weights in host memory: the CPU reads them at its own bandwidth, or prefill streams them over
//! PCIe to the device.

use crate::parameter::{Constants, Parameter};
use crate::run::Run;

/// Extra time of a generation step for the part in host memory: the CPU computes it from its own
/// memory while the device waits, and every such layer costs a round trip.
///
/// `W_host / (share * bandwidth) + layers * boundary`; gpt-oss-120b with 27 of 36 expert layers in
/// dual-channel DDR4 gives 31 tok/s, measured 30 to 33.
pub fn decode(run: &Run<'_>, constants: &Constants, streams: f64) -> f64 {
    let Some(host) = run.host else { return 0.0 };
    let work = run.work;
    let bytes = if work.is_mixture() {
        let touched = work.experts_touched(streams, constants[Parameter::RoutingCorrelation]);
        work.weights.experts.get() * touched / work.experts as f64
    } else {
        work.weights.base.get()
    };
    let bandwidth = host.bandwidth.unwrap_or(constants[Parameter::HostBandwidth] * 1e9);
    let crossings = host.share * work.layers.all * constants[Parameter::BoundaryUs] * 1e-6;
    bytes * host.share / (bandwidth * constants[Parameter::HostShare]) + crossings
}

/// Time of a prompt's chunk whose products take `device` seconds when the part in host memory is
/// streamed over PCIe: the stream and the products overlap.
pub fn prefill(run: &Run<'_>, constants: &Constants, device: f64) -> f64 {
    let Some(host) = run.host else { return device };
    let work = run.work;
    let bytes = if work.is_mixture() { work.weights.experts } else { work.weights.base };
    let stream = bytes.get() * host.share / (run.rates.pcie * constants[Parameter::StreamingShare]);
    device.hypot(stream)
}
