//! The adapter to the speed model of `localrig_estimate`: the only file that knows it.

use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::Estimate;
use localrig_facts::unit::Seconds;

use crate::step::{SpeedModel, StepTable, Uncertainty};

/// The vision tower of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tower {
    /// Its parameters.
    pub parameters: f64,
    /// Patches that become one token.
    pub patches: f64,
}

/// The step times of a model on a group of devices, for at most `streams` streams.
pub fn step_table(pace: &Pace<'_>, work: &Work, tower: Option<Tower>, streams: u32) -> StepTable {
    let uncertainty = Uncertainty {
        decode: factor(&pace.decode(0, u64::from(streams.max(1))).per_stream_tok_per_s),
        single: factor(&pace.decode(0, 1).per_stream_tok_per_s),
        prefill: factor(&pace.prefill(512, 0).tok_per_s),
    };
    // The encoder computes at the rate that prompts show the device to reach.
    let image = match tower {
        Some(tower) => {
            let per_token = pace.prompt_time(512.0, 0.0) / 512.0;
            per_token * (tower.parameters * tower.patches / work.active_parameters())
        }
        None => Seconds::ZERO,
    };
    StepTable::new(streams, uncertainty, image, pace)
}

impl SpeedModel for Pace<'_> {
    fn decode(&self, depth: f64, streams: f64) -> Seconds {
        Seconds::new(self.step(depth, streams).total)
    }

    fn prefill(&self, tokens: f64, depth: f64) -> Seconds {
        self.prompt_time(tokens, depth)
    }

    fn context(&self, depth: f64, streams: f64) -> Seconds {
        Seconds::new(Pace::context(self, depth, streams))
    }

    fn attention(&self, tokens: f64, depth: f64) -> Seconds {
        Seconds::new(self.prompt_context(tokens, depth))
    }
}

fn factor<Q: std::ops::Div<Q, Output = f64> + Copy>(estimate: &Estimate<Q>) -> f64 {
    (estimate.high / estimate.value).max(1.0)
}
