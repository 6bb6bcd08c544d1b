//! Why a machine is out: the limit, how far it is from it, and what would let it in.

use localrig_facts::Money;
use localrig_facts::unit::Bytes;

use crate::assign::Unplaced;
use crate::figure::grouped;

/// Why a machine is out.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// It costs more than may be spent.
    OverBudget {
        /// The cost.
        cost: Money,
        /// The limit.
        most: Money,
    },
    /// The maker is not wanted.
    Platform {
        /// The maker.
        vendor: String,
    },
    /// The models do not fit.
    TooSmall {
        /// What it offers.
        usable: Bytes,
        /// The least that is needed.
        needed: Bytes,
    },
    /// Its memory is below the minimum.
    MemoryMinimum {
        /// What it has.
        has: Bytes,
        /// The minimum.
        minimum: Bytes,
    },
    /// A role cannot run on it.
    NoOption {
        /// The role.
        role: String,
        /// Why.
        reason: String,
    },
    /// A role is below its minimum speed whatever is chosen.
    TooSlow {
        /// The role.
        role: String,
        /// Its speed in tok/s.
        speed: f64,
        /// The minimum in tok/s.
        minimum: f64,
    },
    /// The parts do not go together.
    Incompatible {
        /// The rule that failed, with its reason.
        rule: String,
    },
    /// It is louder than the limit.
    TooLoud {
        /// Its class.
        class: &'static str,
    },
    /// Its shape is not wanted.
    Shape {
        /// Its shape.
        shape: &'static str,
    },
}

impl Reason {
    /// How far outside the limit a machine is, in no particular unit: for sorting one kind.
    pub fn distance(&self) -> f64 {
        match self {
            Self::OverBudget { cost, most } => cost.amount() / most.amount(),
            Self::TooSmall { usable, needed } => needed.get() / usable.get().max(1.0),
            Self::MemoryMinimum { has, minimum } => minimum.get() / has.get().max(1.0),
            Self::TooSlow { speed, minimum, .. } => minimum / speed.max(1e-9),
            _ => 0.0,
        }
    }

    /// Whether the limit is a number, which [`Self::distance`] is a ratio to.
    pub(crate) const fn is_number(&self) -> bool {
        matches!(
            self,
            Self::OverBudget { .. }
                | Self::TooSmall { .. }
                | Self::MemoryMinimum { .. }
                | Self::TooSlow { .. }
        )
    }

    /// Kinds that money or patience can change come first.
    pub(crate) const fn order(&self) -> u8 {
        match self {
            Self::OverBudget { .. } => 0,
            Self::TooSlow { .. } => 1,
            Self::TooSmall { .. } => 2,
            Self::MemoryMinimum { .. } => 3,
            Self::TooLoud { .. } => 4,
            Self::Incompatible { .. } => 5,
            Self::NoOption { .. } => 6,
            Self::Platform { .. } => 7,
            Self::Shape { .. } => 8,
        }
    }

    /// The kind of reason, for grouping.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OverBudget { .. } => "over budget",
            Self::Platform { .. } => "platform not wanted",
            Self::TooSmall { .. } => "too little memory for all roles",
            Self::MemoryMinimum { .. } => "memory below the minimum",
            Self::NoOption { .. } => "a role cannot run",
            Self::TooSlow { .. } => "too slow",
            Self::Incompatible { .. } => "parts do not fit",
            Self::TooLoud { .. } => "too loud",
            Self::Shape { .. } => "shape not wanted",
        }
    }

    /// What would have to change for this limit to let the machine in.
    pub fn remedy(&self) -> String {
        match self {
            Self::OverBudget { cost, most } => {
                let cost = cost.amount().ceil();
                let currency = most.currency;
                format!(
                    "a budget of up to {}, or a price of at most {most}",
                    Money::of(cost, currency)
                )
            }
            Self::Platform { vendor } => format!("a requirement that accepts {vendor}"),
            Self::TooSmall { usable, needed } => {
                let [usable, needed] = apart([*usable, *needed]);
                format!(
                    "smaller models, shorter contexts or fewer streams: together at most {usable} \
                     instead of {needed} GiB"
                )
            }
            Self::MemoryMinimum { has, .. } => {
                format!("a minimum of memory of at most {:.0} GiB", has.to_gib())
            }
            Self::NoOption { role, .. } => {
                format!("an engine that runs a model for {role} on it, or {role} left out")
            }
            Self::TooSlow { role, speed, minimum } => format!(
                "a minimum of at most {} instead of {minimum:.0} tok/s for {role}, or fewer or \
                 shorter requests at a time",
                rounded_down(*speed)
            ),
            Self::Incompatible { rule } => format!("parts that meet the rule on {rule}"),
            Self::TooLoud { class } => format!("a noise limit of {class}"),
            Self::Shape { shape } => format!("a requirement that accepts a {shape}"),
        }
    }

    /// The number or rule that decided.
    pub fn decided_by(&self) -> String {
        match self {
            Self::OverBudget { cost, most } => {
                // Without cents, unless it is they that decide.
                let cost = if cost.whole().minor > most.minor { cost.whole() } else { *cost };
                format!("{cost}, at most {most}")
            }
            Self::Platform { vendor } => vendor.clone(),
            Self::TooSmall { usable, needed } => {
                let [usable, needed] = apart([*usable, *needed]);
                format!("{usable} GiB usable, {needed} GiB needed")
            }
            Self::MemoryMinimum { has, minimum } => {
                format!("{:.0} GiB, at least {:.0} GiB", has.to_gib(), minimum.to_gib())
            }
            Self::NoOption { role, reason } => format!("{role}: {reason}"),
            Self::TooSlow { role, speed, minimum } => format!(
                "{role} {} tok/s while everything runs, at least {}",
                below(*speed, *minimum),
                grouped(minimum.round() as i64)
            ),
            Self::Incompatible { rule } => rule.clone(),
            Self::TooLoud { class } => (*class).to_owned(),
            Self::Shape { shape } => (*shape).to_owned(),
        }
    }
}

impl From<Unplaced> for Reason {
    fn from(why: Unplaced) -> Self {
        match why {
            Unplaced::NoOption { role, reason } => Self::NoOption { role, reason },
            Unplaced::TooSmall { usable, needed } => Self::TooSmall { usable, needed },
        }
    }
}

/// A speed with two digits or more, rounded down: what a minimum may be for it to be met.
fn rounded_down(speed: f64) -> String {
    if speed < 10.0 {
        format!("{:.1}", (speed * 10.0).floor() / 10.0)
    } else {
        format!("{:.0}", speed.floor())
    }
}

/// A number below a limit that is still below it as it is written.
fn below(value: f64, limit: f64) -> String {
    let fine = (0..3).map(|digits| format!("{value:.digits$}"));
    let mut told = fine.filter(|text| text.parse::<f64>().is_ok_and(|told| told < limit));
    let told = told.next().unwrap_or_else(|| value.to_string());
    told.parse::<i64>().map_or(told, grouped)
}

/// Two sizes in GiB with one decimal, or as many as it takes to tell them apart.
fn apart(sizes: [Bytes; 2]) -> [String; 2] {
    let written = |digits: usize| sizes.map(|one| format!("{:.digits$}", one.to_gib()));
    let told = (1..=3).map(written).find(|[one, other]| one != other);
    told.unwrap_or_else(|| written(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_missing_shows_in_the_figures() {
        let said = [(12.04, 12.21), (15.98, 16.02), (16.0, 16.001)].map(|(usable, needed)| {
            let [usable, needed] = [usable, needed].map(Bytes::gib);
            Reason::TooSmall { usable, needed }.decided_by()
        });
        insta::assert_snapshot!(said.join("\n"), @"
        12.0 GiB usable, 12.2 GiB needed
        15.98 GiB usable, 16.02 GiB needed
        16.000 GiB usable, 16.001 GiB needed
        ");
    }

    #[test]
    fn a_speed_below_its_minimum_is_told_below_it_and_the_remedy_would_be_met() {
        let said: Vec<String> = [29.97, 9.96, 8.6, 0.04]
            .map(|speed| Reason::TooSlow { role: "main".to_owned(), speed, minimum: 30.0 })
            .iter()
            .map(|one| format!("{}; {}", one.decided_by(), one.remedy()))
            .collect();
        insta::assert_snapshot!(said.join("\n"), @"
        main 29.97 tok/s while everything runs, at least 30; a minimum of at most 29 instead of 30 tok/s for main, or fewer or shorter requests at a time
        main 10 tok/s while everything runs, at least 30; a minimum of at most 9.9 instead of 30 tok/s for main, or fewer or shorter requests at a time
        main 9 tok/s while everything runs, at least 30; a minimum of at most 8.6 instead of 30 tok/s for main, or fewer or shorter requests at a time
        main 0 tok/s while everything runs, at least 30; a minimum of at most 0.0 instead of 30 tok/s for main, or fewer or shorter requests at a time
        ");
    }
}
