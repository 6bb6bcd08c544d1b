//! Power limits: how far a limit below the natural draw slows a device.
//!
//! Above what it draws whatever it does, a device's clock follows the power it may take; work
//! bound by memory draws less than work bound by arithmetic, so the same limit costs it less.

use crate::parameter::{Constants, Parameter};
use crate::run::Run;

/// Exponent of prefill's loss: the clock falls more slowly than the power (six 3090 at 350 to
/// 150 W, themarkymark on ecency.com).
const PREFILL_EXPONENT: f64 = 0.75;

/// Share of its speed that generation keeps under the run's power limit.
///
/// `(limit - static) / (natural - static)`, at most 1; what it would draw lies between a pure read of
/// memory and a prompt's products, by the share of arithmetic in the step (`intensity`, 0 to 1).
/// Devices of a layer split idle in turn, so each may draw more while it works.
pub fn decode(run: &Run<'_>, constants: &Constants, intensity: f64) -> f64 {
    let reading = constants[Parameter::DecodePower];
    let natural = reading + (constants[Parameter::PrefillPower] - reading).max(0.0) * intensity;
    share(run, constants, natural).powf(1.0 - (1.0 - PREFILL_EXPONENT) * intensity)
}

/// Share of its speed that prefill keeps under the run's power limit.
pub fn prefill(run: &Run<'_>, constants: &Constants) -> f64 {
    share(run, constants, constants[Parameter::PrefillPower]).powf(PREFILL_EXPONENT)
}

/// The share for a draw of `natural`, in parts of the rated power.
fn share(run: &Run<'_>, constants: &Constants, natural: f64) -> f64 {
    let (Some(limit), Some(rated)) = (run.power_limit, run.rates.rated_power) else {
        return 1.0;
    };
    let fixed = constants[Parameter::StaticPower] * rated;
    let busy = (natural * rated - fixed).max(1.0) / f64::from(run.split.stages);
    // Below the static draw a driver lowers the memory clock as well; it does not stop.
    ((limit - fixed) / busy).clamp(0.1, 1.0)
}
