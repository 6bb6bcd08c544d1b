//! The adapter to the speed model of `localrig_estimate`: the only file that knows it.

use localrig_estimate::setup::SpeedError;
use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::Estimate;
use localrig_facts::unit::{Bytes, BytesPerSec, Seconds, Tokens};

use crate::step::{StepTable, Uncertainty};

/// The link between devices that compute every layer together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Time of an all-reduce of a small message.
    pub latency: Seconds,
    /// Bandwidth of an all-reduce of a large one, each way.
    pub bandwidth: BytesPerSec,
}

/// How the devices of a group work together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Split {
    /// One device, or layers spread over several: what [`Pace`] computes itself.
    Layers,
    /// Every layer cut into as many parts as there are devices; the pace is that of one device with
    /// the whole model.
    Tensor {
        /// Devices.
        ways: u32,
        /// Link between them.
        link: Link,
    },
}

/// The vision tower of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tower {
    /// Its parameters.
    pub parameters: f64,
    /// Patches that become one token.
    pub patches: f64,
}

/// The step times of a model on a group of devices, for at most `streams` streams.
///
/// # Errors
/// When a fact or the calibration that speed needs is missing.
pub fn step_table(
    pace: &Pace<'_>,
    work: &Work,
    split: Split,
    tower: Option<Tower>,
    streams: u32,
) -> Result<StepTable, SpeedError> {
    let prompt = |tokens: f64, depth: f64| -> Result<Seconds, SpeedError> {
        let speed = pace.prefill(tokens as u64, depth as u64);
        Ok(Tokens::new(speed.prompt_tokens as f64) / speed.tok_per_s.value)
    };
    let uncertainty = Uncertainty {
        decode: factor(&pace.decode(0, u64::from(streams.max(1))).per_stream_tok_per_s),
        prefill: factor(&pace.prefill(512, 0).tok_per_s),
    };
    // The encoder computes at the rate that prompts show the device to reach.
    let image = match tower {
        Some(tower) => {
            let per_token = prompt(512.0, 0.0)? / 512.0;
            per_token * (tower.parameters * tower.patches / work.active_parameters())
        }
        None => Seconds::ZERO,
    };
    let Split::Tensor { ways, link } = split else {
        let decode = |depth, streams| Ok(Seconds::new(pace.step(depth, streams).total));
        return StepTable::new(streams, uncertainty, image, decode, prompt);
    };
    let parts = f64::from(ways);
    let reduce = |tokens: f64| all_reduce(work, parts, link, tokens);
    StepTable::new(
        streams,
        uncertainty,
        image / parts,
        |depth, streams| {
            let step = pace.step(depth, streams);
            // Launches are made on every device; everything else is cut.
            let whole = Seconds::new(step.layers + step.fixed + step.streams);
            Ok((Seconds::new(step.total) - whole) / parts + whole + reduce(streams))
        },
        |tokens, depth| Ok(prompt(tokens, depth)? / parts + reduce(tokens)),
    )
}

/// Two all-reduces a layer of the activations of `tokens` tokens in 16 bits; a ring sends
/// `2 (n - 1) / n` of the message over each link.
fn all_reduce(work: &Work, parts: f64, link: Link, tokens: f64) -> Seconds {
    let message = Bytes::new(work.hidden as f64 * 2.0 * tokens * 2.0 * (parts - 1.0) / parts);
    (link.latency + message / link.bandwidth) * (2.0 * work.layers.all)
}

fn factor<Q: std::ops::Div<Q, Output = f64> + Copy>(estimate: &Estimate<Q>) -> f64 {
    (estimate.high / estimate.value).max(1.0)
}
