//! Weights in host memory: the CPU reads them at its own bandwidth and computes with its own cores,
//! or prefill streams them over PCIe to the device.

use localrig_facts::unit::BytesPerSec;

use crate::parameter::{Constants, Parameter};
use crate::run::{Host, HostBandwidth, Run};
use crate::work::Work;

/// What the CPU does in a generation step, in seconds; one part after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostStep {
    /// Reading its weights once, and recurrent state.
    pub reading: f64,
    /// What further streams cost beside that.
    pub columns: f64,
    /// Attention.
    pub attention: f64,
}

impl HostStep {
    /// All of it.
    pub const fn total(self) -> f64 {
        self.reading + self.columns + self.attention
    }
}

/// Extra time of a generation step for the part in host memory: the CPU computes it while the device
/// waits, and every such layer costs a round trip.
///
/// Published runs of gpt-oss-120b with 25 to 28 of 36 expert layers in memory of 57 GB/s reach 30 to
/// 33 tok/s, three quarters of the bandwidth; the fitted share is less.
pub fn decode(run: &Run<'_>, constants: &Constants, depth: f64, streams: f64) -> f64 {
    let Some(host) = run.host else { return 0.0 };
    let crossings = layers(host) * run.work.layers.all * constants[Parameter::BoundaryUs] * 1e-6;
    step(run.work, host, constants, depth, streams).total() + crossings
}

/// A generation step of the part that the CPU computes.
///
/// `batch(W_host / rate) + attention`
pub fn step(work: &Work, host: Host, constants: &Constants, depth: f64, streams: f64) -> HostStep {
    let mut bytes = work.weights.base.get() * host.base;
    if work.is_mixture() {
        let touched = work.experts_touched(streams, constants[Parameter::RoutingConcentration]);
        bytes += work.weights.experts.get() * touched / work.experts as f64 * host.experts;
    }
    // Recurrent state is read and written once per stream, where its layer is.
    bytes += 2.0 * work.state.get() * host.attention * streams;
    let rate = rate(host, constants);
    let reading = bytes / rate;
    let pairs: f64 = work
        .attention
        .iter()
        .map(|one| f64::from(one.layers) * one.pair * one.positions(depth))
        .sum();
    let arithmetic = attention(host, constants[Parameter::HostAttention], pairs * streams);
    // However many cores there are, every stream's cache is read.
    let cache = work.kv_read(depth).get() * streams * host.attention / rate;
    let column = column(work, host, constants, true);
    HostStep {
        reading,
        columns: batch(reading, column, constants, streams) - reading,
        attention: arithmetic.max(cache),
    }
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

/// Arithmetic of one column in products of many, in seconds: two operations for every active weight;
/// with the output matrix where the column's next token is wanted.
pub fn column(work: &Work, host: Host, constants: &Constants, head: bool) -> f64 {
    let Some(cores) = host.cores else { return 0.0 };
    let head = if head { work.weights.head_parameters } else { 0.0 };
    let base = (work.weights.base_parameters + head) * host.base;
    let experts =
        work.active_expert_parameters() * host.experts / constants[Parameter::HostExperts];
    2.0 * (base + experts) / (cores * constants[Parameter::HostCore] * 1e9)
}

/// Operations that the CPU does for so many multiply-adds in all layers, at `rate` GFLOP/s of a core:
/// bound by arithmetic, not by reading the cache. Counting the cache's bytes at full bandwidth would be
/// two to three times too fast (`catalog/measured/processor_speed.csv`, rows with depth).
fn attention(host: Host, rate: f64, pairs: f64) -> f64 {
    let Some(cores) = host.cores else { return 0.0 };
    2.0 * pairs * host.attention / (cores * rate * 1e9)
}

/// Time of a prompt's chunk whose products take `device` seconds when the part in host memory is
/// streamed over PCIe: the stream and the products overlap.
pub fn prefill(run: &Run<'_>, constants: &Constants, device: f64) -> f64 {
    let Some(host) = run.host else { return device };
    let work = run.work;
    let bytes = work.weights.experts * host.experts + work.weights.base * host.base;
    // Where the host's memory is the device's there is nothing to stream.
    let Some(pcie) = run.rates.pcie else { return device };
    let stream = bytes.get() / (pcie * constants[Parameter::StreamingShare]);
    device.hypot(stream)
}

/// Attention of a prompt in seconds when the device would take `device` for all layers and there are
/// so many multiply-adds: caches in host memory do not move, so the CPU computes theirs.
pub fn prefill_attention(run: &Run<'_>, constants: &Constants, device: f64, pairs: f64) -> f64 {
    let Some(host) = run.host else { return device };
    device * (1.0 - host.attention) + prompt_attention(host, constants, pairs)
}

/// Attention of a prompt on the CPU, in seconds.
pub fn prompt_attention(host: Host, constants: &Constants, pairs: f64) -> f64 {
    attention(host, constants[Parameter::HostPromptAttention], pairs)
}

/// Bytes per second that weights in host memory are read with.
pub fn rate(host: Host, constants: &Constants) -> f64 {
    let share = |bandwidth: BytesPerSec, share| bandwidth.get() * constants[share];
    match host.bandwidth {
        Some(measured @ HostBandwidth::Measured(_)) => share(measured.rate(), Parameter::HostRead),
        Some(nominal) => share(nominal.rate(), Parameter::HostShare),
        None => constants[Parameter::HostBandwidth] * 1e9 * constants[Parameter::HostShare],
    }
}

/// Share of the layers that make a round trip.
fn layers(host: Host) -> f64 {
    host.experts.max(host.base)
}
