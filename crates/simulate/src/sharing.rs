//! Several engines on one device: how fast each of their steps goes on.

use localrig_facts::calibration::MachineConstants;

use crate::step::Cost;

/// How engines share a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sharing {
    /// In turns: the usual case of several processes, whose kernels do not overlap.
    TimeSlice {
        /// Share of its solo speed that switching between processes costs, per further process.
        loss: f64,
    },
    /// At the same time (NVIDIA MPS), as far as bandwidth and arithmetic go.
    Mps {
        /// Share of the bandwidth that engines reach together.
        together: f64,
    },
}

impl Sharing {
    /// In turns, with the loss that the catalog knows.
    pub fn time_slice(constants: &MachineConstants) -> Self {
        Self::TimeSlice { loss: constants.switch_loss_share }
    }

    /// At the same time, with the bandwidth that the catalog knows.
    pub fn mps(constants: &MachineConstants) -> Self {
        Self::Mps { together: constants.together_share }
    }
}

/// Speed of each engine relative to running alone, when `active` engines share a device and all
/// are busy all the time.
///
/// Time slicing: each gets an equal share of the device's time, and every further engine makes all
/// of them take longer by the `loss`. One engine keeps its whole speed; an idle engine costs nothing
/// but memory.
pub fn share_time(active: u32, loss: f64) -> f64 {
    let further = f64::from(active.max(1)) - 1.0;
    1.0 / ((1.0 + further) * (1.0 + loss * further))
}

/// Speeds of steps that share one device, relative to running alone.
pub(crate) fn rates(sharing: Sharing, steps: &[Cost], rates: &mut Vec<f64>) {
    rates.clear();
    match (sharing, steps) {
        (_, [] | [_]) => rates.resize(steps.len(), 1.0),
        (Sharing::TimeSlice { loss }, _) => {
            rates.resize(steps.len(), share_time(steps.len() as u32, loss));
        }
        (Sharing::Mps { together }, _) => fill(steps, together, rates),
    }
}

/// Raises all speeds alike until bandwidth or arithmetic is used up, holds those that need it, and
/// goes on with the others: nobody could go faster without slowing down somebody who is slower.
fn fill(steps: &[Cost], together: f64, rates: &mut Vec<f64>) {
    rates.resize(steps.len(), 0.0);
    let demand = |step: &Cost, which: usize| [step.bandwidth, step.arithmetic][which];
    let mut left = [together, 1.0];
    let mut rising: Vec<usize> = (0..steps.len()).collect();
    let mut level = 0.0;
    while !rising.is_empty() {
        let sum = |which| rising.iter().map(|one| demand(&steps[*one], which)).sum::<f64>();
        let sums = [sum(0), sum(1)];
        let until = |which: usize| {
            if sums[which] > 0.0 { left[which] / sums[which] } else { f64::INFINITY }
        };
        let rise = until(0).min(until(1)).min(1.0 - level);
        level += rise;
        for which in [0, 1] {
            left[which] = (left[which] - rise * sums[which]).max(0.0);
        }
        for one in &rising {
            rates[*one] = level;
        }
        let spent = |which: usize| left[which] < 1e-9;
        let before = rising.len();
        rising.retain(|one| {
            level < 1.0 && !(0..2).any(|which| spent(which) && demand(&steps[*one], which) > 0.0)
        });
        if rising.len() == before {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use localrig_facts::unit::Seconds;
    use proptest::prelude::*;

    const TIME_SLICE: Sharing = Sharing::TimeSlice { loss: 0.035 };
    const MPS: Sharing = Sharing::Mps { together: 0.93 };

    fn cost(bandwidth: f64, arithmetic: f64) -> Cost {
        Cost { duration: Seconds::ms(10.0), bandwidth, arithmetic }
    }

    fn shared(sharing: Sharing, steps: &[Cost]) -> Vec<f64> {
        let mut out = Vec::new();
        rates(sharing, steps, &mut out);
        out
    }

    #[test]
    fn one_engine_alone_keeps_its_speed() {
        assert_eq!(shared(TIME_SLICE, &[cost(1.0, 1.0)]), [1.0]);
        assert_eq!(shared(MPS, &[cost(1.0, 1.0)]), [1.0]);
    }

    #[test]
    fn two_that_read_memory_get_what_was_measured_together_and_unlike_ones_overlap() {
        let alike = shared(MPS, &[cost(1.0, 0.2), cost(1.0, 0.2)]);
        assert!((alike.iter().sum::<f64>() - 0.93).abs() < 1e-9, "{alike:?}");
        let unlike = shared(MPS, &[cost(0.9, 0.3), cost(0.35, 0.95)]);
        let sum: f64 = unlike.iter().sum();
        assert!((1.3..1.6).contains(&sum), "{unlike:?}");
    }

    proptest! {
        #[test]
        fn engines_together_never_do_more_than_one_alone(active in 2_u32..100) {
            prop_assert!(share_time(active, 0.035) * f64::from(active) < 1.0);
            prop_assert!(share_time(active + 1, 0.035) < share_time(active, 0.035));
        }

        #[test]
        fn nothing_is_used_beyond_what_there_is(
            demands in proptest::collection::vec((0.05..1.0_f64, 0.05..1.0_f64), 2..8),
        ) {
            let steps: Vec<Cost> = demands.iter().map(|(b, f)| cost(*b, *f)).collect();
            let got = shared(MPS, &steps);
            let used = |which: fn(&Cost) -> f64| -> f64 {
                steps.iter().zip(&got).map(|(step, rate)| which(step) * rate).sum()
            };
            prop_assert!(used(|step| step.bandwidth) <= 0.93 + 1e-6);
            prop_assert!(used(|step| step.arithmetic) <= 1.0 + 1e-6);
            prop_assert!(got.iter().all(|rate| *rate > 0.0 && *rate <= 1.0));
        }
    }
}
