//! Time that devices spend talking to each other.

use localrig_facts::gpu::Protocol;

use crate::parameter::{Constants, Parameter};
use crate::run::{Link, Run};

/// All-reduces per layer of a tensor-parallel model: after attention and after the feed-forward
/// part (Shoeybi et al. 2019, arXiv 1909.08053, section 3).
pub const ALL_REDUCES_PER_LAYER: f64 = 2.0;

/// Bytes of an activation on the wire.
const ACTIVATION_BYTES: f64 = 2.0;

/// Time of the all-reduces of a step that computes `tokens` tokens.
///
/// `layers * 2 * (latency * (n - 1) + message * 2 (n - 1) / n / bandwidth)`: a ring passes every
/// byte twice and takes `n - 1` hops.
pub fn all_reduce(run: &Run<'_>, constants: &Constants, tokens: f64) -> f64 {
    let n = f64::from(run.split.tensor);
    if run.split.tensor < 2 || run.split.link == Link::Ideal {
        return 0.0;
    }
    let message = tokens * run.work.hidden as f64 * ACTIVATION_BYTES;
    let rate = bandwidth(run, constants);
    let one = latency(run.split.link, constants) * (n - 1.0) + message * 2.0 * (n - 1.0) / n / rate;
    run.work.layers.all * ALL_REDUCES_PER_LAYER * one
}

/// Time to hand the activations of `tokens` tokens through the stages of a layer split.
pub fn handover(run: &Run<'_>, constants: &Constants, tokens: f64) -> f64 {
    if run.split.stages < 2 || run.split.link == Link::Ideal {
        return 0.0;
    }
    let message = tokens * run.work.hidden as f64 * ACTIVATION_BYTES;
    let wait = match run.split.link {
        Link::Boxes(_) => latency(run.split.link, constants),
        _ => constants[Parameter::HandoverUs] * 1e-6,
    };
    f64::from(run.split.stages - 1) * (wait + message / bandwidth(run, constants))
}

/// What the link of a run is taken for: latency in seconds and bandwidth in bytes per second.
pub fn taken_for(run: &Run<'_>, constants: &Constants) -> [f64; 2] {
    [latency(run.split.link, constants), bandwidth(run, constants)]
}

fn latency(link: Link, constants: &Constants) -> f64 {
    let parameter = match link {
        Link::Ideal => return 0.0,
        Link::Measured { latency, .. } => return latency.get(),
        Link::PciePeer(_) => Parameter::LatencyPciePeer,
        Link::PcieHost(_) => Parameter::LatencyPcieHost,
        Link::NvLink(_) => Parameter::LatencyNvLink,
        Link::Boxes(link) => match link.protocol {
            Protocol::Roce => Parameter::LatencyRoce,
            Protocol::ThunderboltRdma => Parameter::LatencyThunderbolt,
            Protocol::Tcp => Parameter::LatencyEthernet,
        },
    };
    constants[parameter] * 1e-6
}

/// Bandwidth of a link in one direction that messages reach, in bytes per second.
fn bandwidth(run: &Run<'_>, constants: &Constants) -> f64 {
    // Devices on PCIe share the host's root ports and, without peer access, its memory.
    let crowd = (f64::from(run.split.tensor.max(2)) / 2.0).powf(constants[Parameter::LinkCrowding]);
    let nominal = match run.split.link {
        Link::Ideal => f64::INFINITY,
        Link::Measured { bandwidth, .. } => return bandwidth.get(),
        Link::PciePeer(rate) => rate.get() / crowd,
        // Every byte goes to host memory and back.
        Link::PcieHost(rate) => rate.get() / 2.0 / crowd,
        Link::NvLink(rate) => rate.get(),
        Link::Boxes(link) => link.gb_per_s_per_direction.quantity().get(),
    };
    nominal * constants[Parameter::LinkShare]
}
