//! Noise class of a machine: measured where somebody measured, else by rule from its cards.
//!
//! No consistent measurements of cards exist, so the rule is a proxy and says so: a level per card
//! from its cooler and power, two equal sources add 3 dB(A), a damped case takes 3 away. The levels
//! are the middles of what was found: 40 to 50 dB(A) for one air-cooled 450 to 575 W card, 45 to 55
//! for two (region/ch, notes on noise).

use localrig_facts::gpu::{Cooling, Gpu};
use localrig_facts::noise::NoiseClass;
use localrig_facts::part::Case;
use localrig_facts::unit::Decibels;
use serde::Serialize;

/// Noise of a machine under load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineNoise {
    /// The class; absent when nothing is known.
    pub class: Option<NoiseClass>,
    /// Where it comes from.
    pub basis: String,
}

/// Level of one card under load at 1 m, by rule.
fn card_level(gpu: &Gpu) -> Option<f64> {
    let power = gpu.board.tdp_w?.get();
    let level = match gpu.board.cooling? {
        Cooling::Passive => 60.0,
        Cooling::Blower if power > 200.0 => 50.0,
        Cooling::Blower => 43.0,
        Cooling::Liquid => 37.0,
        Cooling::System => return None,
        Cooling::OpenAir | Cooling::FlowThrough | Cooling::Active | Cooling::Partner => match power
        {
            power if power > 400.0 => 45.0,
            power if power > 250.0 => 41.0,
            power if power > 150.0 => 38.0,
            _ => 35.0,
        },
    };
    Some(level)
}

/// Noise of a build by rule.
pub fn of_cards(cards: &[&Gpu], case: &Case) -> MachineNoise {
    let Some(levels) = cards.iter().map(|gpu| card_level(gpu)).collect::<Option<Vec<f64>>>() else {
        return MachineNoise {
            class: None,
            basis: "cooler or power of a card not recorded".to_owned(),
        };
    };
    // Incoherent sources add in power.
    let sum: f64 = levels.iter().map(|level| 10_f64.powf(level / 10.0)).sum();
    let damping = if case.sound_damped == Some(true) { 3.0 } else { 0.0 };
    let level = 10.0 * sum.log10() - damping;
    let damped = if damping > 0.0 { ", damped case" } else { "" };
    MachineNoise {
        class: Some(NoiseClass::of(Decibels::new(level))),
        basis: format!("proxy: about {level:.0} dB(A) from cooler and power of the cards{damped}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_equal_sources_add_three_decibels() {
        let sum: f64 = [45.0_f64, 45.0].iter().map(|level| 10_f64.powf(level / 10.0)).sum();
        assert!((10.0 * sum.log10() - 48.01).abs() < 0.01);
    }
}
