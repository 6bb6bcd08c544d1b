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
    use localrig_facts::Catalog;
    use localrig_facts::catalog::Entry;

    use super::*;

    fn of<T: Entry + Clone>(catalog: &Catalog, within: &str) -> T {
        catalog.get_in::<T>(within).unwrap().1.clone()
    }

    #[test]
    fn equal_cards_add_three_decibels_and_a_damped_case_takes_them_away() {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let mut case: Case = of(&catalog, "define-7");
        let card: Gpu = of(&catalog, "nvidia/rtx-3090");
        let mut said = String::new();
        for (damped, cards) in [(false, 1), (false, 2), (true, 2), (false, 4)] {
            case.sound_damped = Some(damped);
            let noise = of_cards(&vec![&card; cards], &case);
            said += &format!("{:?}, {}\n", noise.class, noise.basis);
        }
        let mut unknown = card.clone();
        unknown.board.cooling = None;
        let noise = of_cards(&[&card, &unknown], &case);
        said += &format!("{:?}, {}\n", noise.class, noise.basis);
        insta::assert_snapshot!(said, @"
        Some(Moderate), proxy: about 41 dB(A) from cooler and power of the cards
        Some(Moderate), proxy: about 44 dB(A) from cooler and power of the cards
        Some(Moderate), proxy: about 41 dB(A) from cooler and power of the cards, damped case
        Some(Loud), proxy: about 47 dB(A) from cooler and power of the cards
        None, cooler or power of a card not recorded
        ");
    }
}
