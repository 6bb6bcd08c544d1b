//! Weights in host memory: the CPU reads them at its own bandwidth, or prefill streams them over
//! PCIe to the device.

use localrig_facts::unit::BytesPerSec;

use crate::parameter::{Constants, Parameter};
use crate::run::{Host, Run};

/// Extra time of a generation step for the part in host memory: the CPU computes it from its own
/// memory while the device waits, and every such layer costs a round trip.
///
/// `W_host / (share * bandwidth) + layers * boundary`. Published runs of gpt-oss-120b with 25 to 28 of
/// 36 expert layers in memory of 57 GB/s reach 30 to 33 tok/s, three quarters of the bandwidth; the
/// fitted share is less.
pub fn decode(run: &Run<'_>, constants: &Constants, streams: f64) -> f64 {
    let Some(host) = run.host else { return 0.0 };
    let work = run.work;
    let mut bytes = work.weights.base.get() * host.base;
    if work.is_mixture() {
        let touched = work.experts_touched(streams, constants[Parameter::RoutingCorrelation]);
        bytes += work.weights.experts.get() * touched / work.experts as f64 * host.experts;
    }
    let share = constants[Parameter::HostShare];
    let crossings = layers(host) * work.layers.all * constants[Parameter::BoundaryUs] * 1e-6;
    bytes / (bandwidth(host, constants).get() * share) + crossings
}

/// Time of a prompt's chunk whose products take `device` seconds when the part in host memory is
/// streamed over PCIe: the stream and the products overlap.
pub fn prefill(run: &Run<'_>, constants: &Constants, device: f64) -> f64 {
    let Some(host) = run.host else { return device };
    let work = run.work;
    let bytes = work.weights.experts * host.experts + work.weights.base * host.base;
    let stream = bytes.get() / (run.rates.pcie * constants[Parameter::StreamingShare]);
    device.hypot(stream)
}

/// Bandwidth of the host's memory, before the share of it that is reached.
fn bandwidth(host: Host, constants: &Constants) -> BytesPerSec {
    BytesPerSec::new(host.bandwidth.unwrap_or(constants[Parameter::HostBandwidth] * 1e9))
}

/// Share of the layers that make a round trip.
fn layers(host: Host) -> f64 {
    host.experts.max(host.base)
}
