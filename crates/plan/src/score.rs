//! The score that ranks machines which meet every hard limit.
//!
//! A sum of terms between 0 and 1, each with a weight; the weights add up to 100. Speeds saturate
//! at the target, because more than enough does not help. `docs/design/ranking.md` gives the
//! reasons for the weights; `--explain` prints the terms of every machine.

use std::cmp::Ordering;

use localrig_facts::Money;
use localrig_facts::price::Condition;
use localrig_facts::shop::Tier;
use localrig_facts::unit::TokensPerSec;
use serde::Serialize;

use crate::assign::{Assignment, Served};
use crate::candidate::Candidate;
use crate::check::Outcome;
use crate::option::ModelOption;
use crate::price::{FRESH_DAYS, Price, PriceBasis};
use crate::requirement::{Requirement, Role};

/// Weights of the terms; they add up to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Quality of the main model.
    pub main_quality: f64,
    /// Speed of the main model while everything runs.
    pub main_speed: f64,
    /// Quality of all other roles together.
    pub other_quality: f64,
    /// Speed of all other roles together.
    pub other_speed: f64,
    /// 8-bit weights where they are preferred.
    pub format: f64,
    /// Accelerator memory against the target.
    pub memory: f64,
    /// Noise.
    pub noise: f64,
    /// Price against the sweet spot.
    pub price: f64,
    /// Preferred platform.
    pub platform: f64,
    /// Risk: used goods, old prices, unchecked rules.
    pub risk: f64,
    /// Room for more, where it is wanted.
    pub growth: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            main_quality: 28.0,
            main_speed: 19.0,
            other_quality: 8.0,
            other_speed: 8.0,
            format: 2.0,
            memory: 7.0,
            noise: 7.0,
            price: 11.0,
            platform: 3.0,
            risk: 5.0,
            growth: 2.0,
        }
    }
}

/// A term of a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreTerm {
    /// What it judges.
    pub name: &'static str,
    /// Between 0 and 1.
    pub value: f64,
    /// Points it can give.
    pub weight: f64,
    /// Why this value.
    pub reason: String,
}

impl ScoreTerm {
    /// Points it gives.
    pub fn points(&self) -> f64 {
        self.value * self.weight
    }
}

/// Ability index that counts as nothing, and as everything: the range of models one would run.
const QUALITY_RANGE: [f64; 2] = [25.0, 75.0];

/// An ability index as a value between 0 and 1.
pub fn quality_value(index: f64) -> f64 {
    ((index - QUALITY_RANGE[0]) / (QUALITY_RANGE[1] - QUALITY_RANGE[0])).clamp(0.0, 1.0)
}

/// A speed as a value between 0 and 1: 1 at the lower end of the target, 0.4 at the minimum.
///
/// Below the minimum it falls off steeply, so that a model that misses it loses to almost any that
/// does not.
pub fn speed_value(role: &Role, speed: TokensPerSec) -> f64 {
    let Some([target, _]) = role.speed_target_tok_per_s else {
        return match role.speed_minimum_tok_per_s {
            Some(minimum) if speed < minimum => 0.4 * (speed / minimum).powi(3),
            _ => 1.0,
        };
    };
    let minimum = role.speed_minimum_tok_per_s.unwrap_or(target * 0.5).min(target);
    if speed < minimum {
        0.4 * (speed / minimum).powi(3)
    } else if speed < target {
        0.4 + 0.6 * (speed - minimum).get() / (target - minimum).get()
    } else {
        1.0
    }
}

/// Points a role gives with a model at a speed, when this share of its answers comes in time.
pub fn role_value(
    requirement: &Requirement,
    index: usize,
    option: &ModelOption<'_>,
    (speed, in_time): (TokensPerSec, f64),
    weights: &Weights,
) -> f64 {
    let role = &requirement.roles[index];
    let others = (requirement.roles.len() - 1).max(1) as f64;
    let (quality, pace) = if index == 0 {
        (weights.main_quality, weights.main_speed)
    } else {
        (weights.other_quality / others, weights.other_speed / others)
    };
    let format = if index == 0 && option.format.precision >= requirement.format.preferred {
        weights.format
    } else {
        0.0
    };
    quality * quality_value(option.quality()) + pace * speed_value(role, speed) * in_time + format
}

/// The terms of a machine's score.
pub fn terms(
    requirement: &Requirement,
    candidate: &Candidate<'_>,
    assignment: &Assignment<'_>,
    cost: Money,
) -> Vec<ScoreTerm> {
    let weights = Weights::default();
    let main = &assignment.served[0];
    let others = &assignment.served[1..];
    let mean = |values: Vec<f64>| {
        if values.is_empty() { 1.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
    };
    let role = |index: usize| &requirement.roles[index];
    let speed = |one: &Served<'_>| speed_value(role(one.role), one.busy.value) * one.in_time;
    let term = |name, value: f64, weight, reason| ScoreTerm { name, value, weight, reason };
    let memory = candidate.memory();
    let target = requirement.memory.target_gib.quantity();
    let preferred = main.option.format.precision >= requirement.format.preferred;
    let (noise, noise_reason) = noise_value(requirement, candidate);
    let (price, price_reason) = price_value(requirement, cost);
    let (risk, risk_reason) = risk_value(candidate);
    let platform = requirement.platform.preferred.contains(&candidate.platform());
    let grows = candidate.can_grow();
    vec![
        term(
            "main quality",
            quality_value(main.option.quality()),
            weights.main_quality,
            format!(
                "{} {}: index {:.0} at the lower end, format included",
                main.option.model.name,
                main.option.format.name,
                main.option.quality()
            ),
        ),
        term(
            "main speed",
            speed_value(role(0), main.busy.value) * main.in_time,
            weights.main_speed,
            pace(main),
        ),
        term(
            "other roles' quality",
            mean(others.iter().map(|one| quality_value(one.option.quality())).collect()),
            weights.other_quality,
            others.iter().map(|one| one.option.model.name.clone()).collect::<Vec<_>>().join(", "),
        ),
        term(
            "other roles' speed",
            mean(others.iter().map(speed).collect()),
            weights.other_speed,
            others
                .iter()
                .map(|one| format!("{} {}", role(one.role).name, pace(one)))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        term(
            "format",
            if preferred { 1.0 } else { 0.0 },
            weights.format,
            format!(
                "{} where {} is preferred",
                main.option.format.precision.word(),
                requirement.format.preferred.word()
            ),
        ),
        term(
            "memory",
            (memory / target).min(1.0),
            weights.memory,
            format!("{:.0} of {:.0} GiB wanted", memory.to_gib(), target.to_gib()),
        ),
        term("noise", noise, weights.noise, noise_reason),
        term("price", price, weights.price, price_reason),
        term(
            "platform",
            if platform { 1.0 } else { 0.0 },
            weights.platform,
            format!(
                "{} {}",
                candidate.platform(),
                if platform { "is preferred" } else { "is accepted" }
            ),
        ),
        term("risk", risk, weights.risk, risk_reason),
        term(
            "growth",
            if grows || !requirement.growth.wanted { 1.0 } else { 0.0 },
            weights.growth,
            if requirement.growth.wanted {
                candidate.growth.clone()
            } else {
                "not asked for".to_owned()
            },
        ),
    ]
}

/// A role's speed, and how many answers come in time.
fn pace(served: &Served<'_>) -> String {
    let speed = served.busy.value.get();
    match served.simulated {
        Some(one) => format!(
            "{speed:.0} tok/s while everything runs, {} % of answers in time",
            one.in_time_percent()
        ),
        None => format!("{speed:.0} tok/s while everything runs"),
    }
}

/// 1 when quieter than the limit, 0.7 at the limit, 0.2 above, 0.4 when nothing is known.
fn noise_value(requirement: &Requirement, candidate: &Candidate<'_>) -> (f64, String) {
    match candidate.noise.class {
        None => (0.4, format!("not known: {}", candidate.noise.basis)),
        Some(class) => {
            let value = match class.cmp(&requirement.noise.limit) {
                Ordering::Less => 1.0,
                Ordering::Equal => 0.7,
                Ordering::Greater => 0.2,
            };
            (value, format!("{}, limit {}", class.word(), requirement.noise.limit.word()))
        }
    }
}

/// 1 up to the lower end of the sweet spot, 0.7 at its upper end, 0 at the limit of the budget.
fn price_value(requirement: &Requirement, cost: Money) -> (f64, String) {
    let [low, high] = requirement.budget.sweet_spot;
    let most = requirement.budget.range[1].max(high);
    let amount = cost.amount();
    let value = if amount <= low {
        1.0
    } else if amount <= high {
        1.0 - 0.3 * (amount - low) / (high - low)
    } else if amount < most {
        0.7 * (most - amount) / (most - high)
    } else {
        0.0
    };
    let [low, high] =
        requirement.budget.sweet_spot.map(|one| Money::of(one, cost.currency).whole());
    (value, format!("{}, sweet spot {low} to {high}", cost.whole()))
}

/// The most that a machine may cost for its score not to fall by more than its lead over the next,
/// all else the same: at most what may be spent.
pub fn first_up_to(requirement: &Requirement, cost: Money, lead: f64) -> Money {
    let weight = Weights::default().price;
    let points = |minor| weight * price_value(requirement, Money { minor, ..cost }).0;
    let least = points(cost.minor) - lead;
    // Points never rise with the price: halve the range until it is a cent.
    let (mut stays, mut ends) = (cost.minor, requirement.budget.most().minor.saturating_add(1));
    while ends - stays > 1 {
        let middle = stays.midpoint(ends);
        if points(middle) >= least { stays = middle } else { ends = middle }
    }
    Money { minor: stays, ..cost }
}

/// 1 for new goods at fresh prices with every rule passed; less for each doubt.
/// How much recourse a buyer of used goods lacks, by who sells them: a judgement, from a refurbisher
/// with a warranty to a private seller.
const fn recourse_lacks(tier: Option<Tier>) -> f64 {
    match tier {
        Some(Tier::Refurbished) => 0.2,
        Some(Tier::PrimarySwiss) => 0.25,
        Some(Tier::International) => 0.35,
        Some(Tier::Marketplace | Tier::Observer) | None => 0.5,
    }
}

fn by_lack(a: &(f64, &Price), b: &(f64, &Price)) -> Ordering {
    a.0.total_cmp(&b.0)
}

fn risk_value(candidate: &Candidate<'_>) -> (f64, String) {
    let mut value: f64 = 1.0;
    let mut reasons = Vec::new();
    let used = candidate.prices().filter(|price| price.condition != Condition::New);
    let riskiest = used.map(|price| (recourse_lacks(price.tier), price)).max_by(by_lack);
    if let Some((lack, price)) = riskiest {
        value -= lack;
        let from = price.tier.map_or("nobody named", Tier::word);
        reasons.push(format!("{} goods ({from})", price.condition.word()));
    }
    // Of all units of a part: two boxes and a cable are not one and one.
    let sum = |counts: &dyn Fn(&Price) -> bool| -> i64 {
        let priced =
            candidate.lines.iter().filter_map(|line| Some((line, line.price.as_ref().ok()?)));
        priced
            .filter(|(_, price)| counts(price))
            .map(|(line, price)| price.of(line.count).minor)
            .sum()
    };
    let total = sum(&|_| true);
    let doubtful =
        |doubt: &dyn Fn(&Price) -> bool| -> f64 { sum(doubt) as f64 / total.max(1) as f64 };
    // Old is old, wherever it was asked.
    let old = doubtful(&|price| price.age_days >= FRESH_DAYS);
    let derived = doubtful(&|price| price.basis == PriceBasis::Derived);
    if old > 0.0 {
        value -= 0.3 * old;
        reasons.push(format!("{:.0} % of the price is {FRESH_DAYS} days old or more", old * 100.0));
    }
    if derived > 0.0 {
        value -= 0.15 * derived;
        reasons.push(format!("{:.0} % is derived from abroad", derived * 100.0));
    }
    match candidate.worst_check() {
        Outcome::Warn => {
            value -= 0.2;
            reasons.push("a rule warns".to_owned());
        }
        Outcome::NotChecked => {
            value -= 0.1;
            reasons.push("a rule could not be checked".to_owned());
        }
        Outcome::Pass | Outcome::Fail => {}
    }
    let reason = if reasons.is_empty() { "none found".to_owned() } else { reasons.join("; ") };
    (value.max(0.0), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Role {
        Role {
            name: "main".to_owned(),
            task: "coding".to_owned(),
            streams: 1,
            context_tokens: 1,
            speed_target_tok_per_s: Some([60.0, 80.0].map(TokensPerSec::new)),
            speed_minimum_tok_per_s: Some(TokensPerSec::new(30.0)),
            parameters_b: None,
            at_least_as_good_as: None,
            models: Vec::new(),
            images: false,
            instead_of: None,
        }
    }

    #[test]
    fn used_goods_are_the_riskier_the_less_recourse_their_seller_leaves() {
        let tiers = [Tier::Refurbished, Tier::PrimarySwiss, Tier::International, Tier::Marketplace]
            .map(Some);
        let lacks = tiers.map(recourse_lacks);
        assert!(lacks.is_sorted_by(|a, b| a < b), "{lacks:?}");
        assert!(recourse_lacks(None) >= recourse_lacks(Some(Tier::Marketplace)));
    }

    #[test]
    fn speed_saturates_at_the_target_and_falls_steeply_below_the_minimum() {
        let value =
            |speed: f64| (speed_value(&role(), TokensPerSec::new(speed)) * 100.0).round() as i64;
        assert_eq!([value(200.0), value(60.0), value(45.0), value(30.0)], [100, 100, 70, 40]);
        assert_eq!([value(20.0), value(10.0)], [12, 1]);
    }

    #[test]
    fn the_first_stays_first_until_its_price_has_cost_it_its_lead() {
        let text = localrig_world::requirement("home-office").unwrap();
        let requirement = Requirement::parse("home-office", text).unwrap();
        let cost = Money::of(6_000.0, requirement.budget.currency);
        let most = |lead: f64| first_up_to(&requirement, cost, lead).whole().to_string();
        // From CHF 5,000 to 12,000 three tenths of 11 points go, then the rest until 15,000.
        assert_eq!(most(0.0), "CHF 6,000");
        assert_eq!(most(3.3 / 7.0), "CHF 7,000");
        assert_eq!(most(3.3 * 6.0 / 7.0 + 7.7 / 3.0), "CHF 13,000");
        assert_eq!(most(50.0), "CHF 15,000");
    }

    #[test]
    fn the_weights_add_up_to_a_hundred() {
        let w = Weights::default();
        let sum = w.main_quality
            + w.main_speed
            + w.other_quality
            + w.other_speed
            + w.format
            + w.memory
            + w.noise
            + w.price
            + w.platform
            + w.risk
            + w.growth;
        assert!((sum - 100.0).abs() < 1e-9, "{sum}");
    }
}
