//! What puts the first machine first, and which machines lead in one respect.

use std::collections::BTreeSet;

use localrig_facts::{Id, Money};
use serde::Serialize;

use crate::answer::RankedMachine;
use crate::figure::two_digits;
use crate::plan::Ranked;
use crate::requirement::Requirement;
use crate::score::first_up_to;

/// Points of one term that a tenth of a point would not show.
const SHOWN_POINTS: f64 = 0.05;

/// The first machine's lead over the first that has no accelerator in common with it: boxes of the
/// same maker become dearer together, so a twin with one more of them says nothing about a price.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lead {
    /// Place of the other in the ranking.
    pub over: usize,
    /// The most that the first may cost and still come before it, all else the same.
    pub up_to: Money,
    /// Points more, in all.
    pub points: f64,
    /// Points more or less by term of the score, the term that matters most first; terms that give
    /// the same are left out.
    pub terms: Vec<TermLead>,
}

/// A term of the score in which two machines differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermLead {
    /// The term.
    pub name: &'static str,
    /// Points that the first has more; less than nothing when it has fewer.
    pub points: f64,
}

impl Lead {
    /// The lead of the first of these machines, each the best of those with its accelerators.
    pub(crate) fn new(requirement: &Requirement, ranked: &[&Ranked<'_>]) -> Option<Self> {
        let (first, others) = ranked.split_first()?;
        let accelerators = |one: &Ranked<'_>| -> BTreeSet<Id> {
            one.candidate.machine.devices.iter().map(|device| device.id.clone()).collect()
        };
        let own = accelerators(first);
        let (index, other) =
            others.iter().enumerate().find(|(_, one)| accelerators(one).is_disjoint(&own))?;
        let points = first.score - other.score;
        let mut terms: Vec<TermLead> = first
            .terms
            .iter()
            .zip(&other.terms)
            .map(|(ours, theirs)| TermLead {
                name: ours.name,
                points: ours.points() - theirs.points(),
            })
            .filter(|term| term.points.abs() >= SHOWN_POINTS)
            .collect();
        terms.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        Some(Self {
            over: index + 2,
            up_to: first_up_to(requirement, first.cost, points),
            points,
            terms,
        })
    }
}

/// Who leads in one respect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leader {
    /// In what: `lowest price`.
    pub respect: &'static str,
    /// Its place in the ranking.
    pub rank: usize,
    /// Its name.
    pub name: String,
    /// The figure, ready to print.
    pub figure: String,
}

/// Who leads in what one may care about most.
pub(crate) fn leaders(ranked: &[RankedMachine]) -> Vec<Leader> {
    let main = |one: &RankedMachine| one.roles.first().cloned();
    let speed =
        |one: &RankedMachine| main(one).map_or(0.0, |role| role.per_stream_tok_per_s.value.get());
    let quality = |one: &RankedMachine| {
        main(one).map_or(0.0, |role| {
            role.quality_index.map_or(0.0, |index| index.low) - role.format_loss_points
        })
    };
    let quiet =
        |one: &RankedMachine| one.noise.map_or(f64::NEG_INFINITY, |class| -f64::from(class as u8));
    let best = |value: &dyn Fn(&RankedMachine) -> f64| {
        // The first of equals: one that no other beats in everything, else the one ranked higher.
        ranked.iter().fold(None::<&RankedMachine>, |best, one| match best {
            Some(best)
                if value(best)
                    .total_cmp(&value(one))
                    .then(best.on_pareto_front.cmp(&one.on_pareto_front))
                    .is_ge() =>
            {
                Some(best)
            }
            _ => Some(one),
        })
    };
    let mut found = Vec::new();
    let mut add =
        |respect, machine: Option<&RankedMachine>, figure: &dyn Fn(&RankedMachine) -> String| {
            if let Some(one) = machine {
                found.push(Leader {
                    respect,
                    rank: one.rank,
                    name: one.name.clone(),
                    figure: figure(one),
                });
            }
        };
    add("lowest price", best(&|one| -(one.cost.minor as f64)), &|one| one.cost.whole().to_string());
    add("fastest main model", best(&speed), &|one| {
        let by_means = main(one).is_some_and(|role| role.simulated.is_none());
        format!("{}{} tok/s", if by_means { "~" } else { "" }, two_digits(speed(one)))
    });
    add("best main model", best(&quality), &|one| {
        main(one).map_or_else(String::new, |role| format!("{} {}", role.model, role.format))
    });
    add("quietest", best(&quiet), &|one| {
        one.noise.map_or_else(|| "not known".to_owned(), |class| class.word().to_owned())
    });
    add("most memory", best(&|one| one.memory_bytes.get()), &|one| {
        format!("{:.0} GiB", one.memory_bytes.to_gib())
    });
    found
}
