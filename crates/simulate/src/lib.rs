//! What happens when several models and streams share devices.
//!
//! For now one analytic rule, [`share_time`]; the discrete-event simulator of engines, schedulers
//! and agents grows here. The crate knows neither hardware names nor prices.

/// Share of its solo speed that switching between processes costs, per further process.
///
/// Kernels of different processes on one device do not overlap; the driver switches between them.
/// Source: concurrency study of 2026-11 (time slicing loses 2 to 5 %).
pub const SWITCH_LOSS: f64 = 0.035;

/// Speed of each engine relative to running alone, when `active` engines share a device and all
/// are busy all the time.
///
/// Time slicing: each gets an equal share of the device's time, less the switches. One engine
/// keeps its whole speed; an idle engine costs nothing but memory.
pub fn share_time(active: u32) -> f64 {
    match active {
        0 | 1 => 1.0,
        several => (1.0 - SWITCH_LOSS) / f64::from(several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_engine_alone_keeps_its_speed() {
        assert!((share_time(1) - 1.0).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn engines_together_never_do_more_than_one_alone(active in 2_u32..100) {
            prop_assert!(share_time(active) * f64::from(active) < 1.0);
            prop_assert!(share_time(active + 1) < share_time(active));
        }
    }
}
