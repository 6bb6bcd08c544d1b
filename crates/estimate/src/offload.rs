//! Weights in host memory: the CPU reads them at its own bandwidth and computes with its own cores,
//! or prefill streams them over PCIe to the device.

use localrig_facts::unit::BytesPerSec;

use crate::parameter::{Constants, Parameter};
use crate::run::{Host, Run};

/// Extra time of a generation step for the part in host memory: the CPU computes it while the device
/// waits, and every such layer costs a round trip.
///
/// `batch(W_host / (share * bandwidth)) + attention + layers * boundary`. Published runs of
/// gpt-oss-120b with 25 to 28 of 36 expert layers in memory of 57 GB/s reach 30 to 33 tok/s, three
/// quarters of the bandwidth; the fitted share is less.
pub fn decode(run: &Run<'_>, constants: &Constants, depth: f64, streams: f64) -> f64 {
    let Some(host) = run.host else { return 0.0 };
    let work = run.work;
    let mut bytes = work.weights.base.get() * host.base;
    if work.is_mixture() {
        let touched = work.experts_touched(streams, constants[Parameter::RoutingCorrelation]);
        bytes += work.weights.experts.get() * touched / work.experts as f64 * host.experts;
    }
    // Recurrent state is read and written once per stream, where its layer is.
    bytes += 2.0 * work.state.get() * host.attention * streams;
    let share = constants[Parameter::HostShare];
    let reading = bytes / (bandwidth(host, constants).get() * share);
    let column = column(run, host, constants);
    let crossings = layers(host) * work.layers.all * constants[Parameter::BoundaryUs] * 1e-6;
    let pairs: f64 = work
        .attention
        .iter()
        .map(|one| f64::from(one.layers) * one.pair * one.positions(depth))
        .sum();
    let attention = attention(host, constants, pairs * streams);
    batch(reading, column, constants, streams) + attention + crossings
}

/// Time of a step of `streams` streams on a CPU that reads its weights in `reading` seconds for one
/// and, in products of many columns, takes `column` seconds for each.
///
/// A CPU soon has more arithmetic than it can do while it reads: products of a few columns unpack
/// the weights for every column again. Source: `catalog/measured/processor_batch.csv`, where this is
/// within 20 % everywhere; products of prompts are 1.5 to 3 times as fast per column at 2 to 8 columns.
pub fn batch(reading: f64, column: f64, constants: &Constants, streams: f64) -> f64 {
    let further = (streams - 1.0).max(0.0);
    let again = (constants[Parameter::HostBatchRead] - 1.0).max(0.0) * further.min(1.0);
    reading * (1.0 + again) + column * constants[Parameter::HostBatchColumn] * further
}

/// Arithmetic of one column in products of many, in seconds: two operations for every active weight.
fn column(run: &Run<'_>, host: Host, constants: &Constants) -> f64 {
    let Some(cores) = host.cores else { return 0.0 };
    let work = run.work;
    let base = (work.weights.base_parameters + work.weights.head_parameters) * host.base;
    let experts =
        work.active_expert_parameters() * host.experts / constants[Parameter::HostExperts];
    2.0 * (base + experts) / (cores * constants[Parameter::HostCore] * 1e9)
}

/// Attention that the CPU computes, for so many multiply-adds in all layers: bound by arithmetic, not
/// by reading the cache. Counting the cache's bytes at full bandwidth would be two to three times too
/// fast (`catalog/measured/processor_speed.csv`, rows with depth).
fn attention(host: Host, constants: &Constants, pairs: f64) -> f64 {
    let Some(cores) = host.cores else { return 0.0 };
    2.0 * pairs * host.attention / (cores * constants[Parameter::HostAttention] * 1e9)
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

/// Attention of a prompt in seconds when the device would take `device` for all layers and there are
/// so many multiply-adds: caches in host memory do not move, so the CPU computes theirs.
pub fn prefill_attention(run: &Run<'_>, constants: &Constants, device: f64, pairs: f64) -> f64 {
    let Some(host) = run.host else { return device };
    device * (1.0 - host.attention) + attention(host, constants, pairs)
}

/// Bandwidth of the host's memory, before the share of it that is reached.
fn bandwidth(host: Host, constants: &Constants) -> BytesPerSec {
    BytesPerSec::new(host.bandwidth.unwrap_or(constants[Parameter::HostBandwidth] * 1e9))
}

/// Share of the layers that make a round trip.
fn layers(host: Host) -> f64 {
    host.experts.max(host.base)
}
