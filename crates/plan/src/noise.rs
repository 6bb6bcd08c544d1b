//! Noise class of a machine: measured where somebody measured, else by rule from its cards.
//!
//! No consistent measurements of cards exist, so the rule is a proxy and says so: a level per card
//! from its cooler and power, and what a damped case takes away (`calibration/machine.toml`); sources
//! add in power.

use localrig_facts::calibration::NoiseRule;
use localrig_facts::gpu::Gpu;
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

/// Noise of a build by rule.
pub fn of_cards(cards: &[&Gpu], case: &Case, rule: &NoiseRule) -> MachineNoise {
    let level = |gpu: &&Gpu| rule.level(gpu.board.cooling?, gpu.board.tdp_w?).map(Decibels::get);
    let Some(levels) = cards.iter().map(level).collect::<Option<Vec<f64>>>() else {
        return MachineNoise {
            class: None,
            basis: "cooler or power of a card not recorded".to_owned(),
        };
    };
    // Incoherent sources add in power.
    let sum: f64 = levels.iter().map(|level| 10_f64.powf(level / 10.0)).sum();
    let is_damped = case.sound_damped == Some(true);
    let damping = if is_damped { rule.damped_case_db.get() } else { 0.0 };
    let level = 10.0 * sum.log10() - damping;
    let damped = if is_damped { ", damped case" } else { "" };
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
        let rule = &catalog.machine_constants().unwrap().noise;
        let mut case: Case = of(&catalog, "define-7");
        let card: Gpu = of(&catalog, "nvidia/rtx-3090");
        let mut said = String::new();
        for (damped, cards) in [(false, 1), (false, 2), (true, 2), (false, 4)] {
            case.sound_damped = Some(damped);
            let noise = of_cards(&vec![&card; cards], &case, rule);
            said += &format!("{:?}, {}\n", noise.class, noise.basis);
        }
        let mut unknown = card.clone();
        unknown.board.cooling = None;
        let noise = of_cards(&[&card, &unknown], &case, rule);
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
