//! The nearest miss of a platform that has no machine within the hard limits: what one would buy
//! there, by which numbers it is out, and what would let it in.

use std::collections::BTreeMap;

use localrig_facts::{CatalogError, Money};
use serde::Serialize;

use crate::answer::{MemoryGroup, memory_group, served_role};
use crate::assign::Assignment;
use crate::candidate::Candidate;
use crate::configuration::{Ask, Configuration, configuration_of};
use crate::group::key;
use crate::ownership::Own;
use crate::plan::{Plan, Planner, Rejected};
use crate::platform::folder;
use crate::reason::Reason;
use crate::verdict::Line;

/// The machine of a platform that comes nearest to the hard limits.
#[derive(Clone, Debug, Serialize)]
pub struct NearMiss {
    /// The limits it is outside of, at least one.
    pub misses: Vec<Miss>,
    /// What it costs.
    pub cost: Money,
    /// Every line of the requirement, met or missed; empty where nothing can be placed on it.
    pub verdict: Vec<Line>,
    /// What fills the memory of each group of devices; empty where nothing can be placed on it.
    pub memory: Vec<MemoryGroup>,
    /// The machine in full.
    pub configuration: Configuration,
}

/// A limit that a machine is outside of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The kind of limit.
    pub limit: &'static str,
    /// The number or rule that decided.
    pub decided_by: String,
    /// What would have to change to let the machine in.
    pub remedy: String,
}

/// Machines of a platform that are looked at more closely: those nearest by the first limit that
/// each was held against.
const CLOSER: usize = 3;

/// A machine with everything that is against it, and what would run on it.
struct Weighed<'p, 'a> {
    candidate: &'p Candidate<'a>,
    cost: Money,
    reasons: Vec<Reason>,
    assignment: Option<Assignment<'a>>,
}

/// The nearest miss of every platform without a ranked machine, by the platform's folder. A machine
/// counts when all of its parts have a price and go together.
///
/// # Errors
/// When a catalog file is broken or not there.
pub fn near_misses<'a>(
    planner: &'a Planner<'a>,
    plan: &Plan<'a>,
) -> Result<BTreeMap<String, NearMiss>, CatalogError> {
    let catalog = planner.market.catalog;
    let mut platforms: BTreeMap<String, Vec<&Rejected<'a>>> = BTreeMap::new();
    for one in &plan.rejected {
        let buyable = one.cost.is_some() && !matches!(one.reason, Reason::Incompatible { .. });
        if buyable {
            platforms.entry(folder(catalog, &one.candidate.key)?).or_default().push(one);
        }
    }
    for one in &plan.ranked {
        platforms.remove(&folder(catalog, &one.candidate.key)?);
    }
    for all in platforms.values_mut() {
        all.sort_by(|a, b| {
            nearness(&[&a.reason]).total_cmp(&nearness(&[&b.reason])).then_with(|| {
                let known = |one: &Rejected<'_>| {
                    (one.cost.map(|cost| cost.minor), one.candidate.key.clone())
                };
                known(a).cmp(&known(b))
            })
        });
        all.truncate(CLOSER);
    }
    let unplaced: Vec<&'a Candidate<'a>> = platforms
        .values()
        .flatten()
        .filter(|one| one.assignment.is_none())
        .map(|one| one.candidate)
        .collect();
    let placements = planner.placed(&unplaced, |_| true);
    let mut found = BTreeMap::new();
    for (name, all) in platforms {
        let weighed = all.into_iter().filter_map(|one| {
            let (candidate, cost) = (one.candidate, one.cost?);
            let mut reasons = planner.limits(candidate);
            let placed = placements.get(&key(&candidate.machine));
            let assignment = match (&one.assignment, placed) {
                (Some(known), _) => Some(known.clone()),
                (None, Some(Ok(placed))) => Some(placed.best.clone()),
                (None, Some(Err(why))) => {
                    reasons.push(why.clone().into());
                    None
                }
                (None, None) => None,
            };
            let served = assignment.iter().flat_map(|one| &one.served);
            reasons.extend(served.filter_map(|one| planner.too_slow(one)));
            Some(Weighed { candidate, cost, reasons, assignment })
        });
        let nearest = weighed.min_by(|a, b| {
            let far = |one: &Weighed<'_, '_>| nearness(&one.reasons.iter().collect::<Vec<_>>());
            far(a).total_cmp(&far(b)).then_with(|| a.cost.minor.cmp(&b.cost.minor))
        });
        if let Some(nearest) = nearest {
            found.insert(name, near_miss(planner, nearest)?);
        }
    }
    Ok(found)
}

/// How far a machine is from being let in: the product of the ratios by which it misses limits that
/// are numbers. A limit that is none is farther than any number.
fn nearness(reasons: &[&Reason]) -> f64 {
    const NO_NUMBER: f64 = 1e6;
    reasons.iter().map(|one| if one.is_number() { one.distance() } else { NO_NUMBER }).product()
}

fn near_miss<'a>(
    planner: &'a Planner<'a>,
    nearest: Weighed<'_, 'a>,
) -> Result<NearMiss, CatalogError> {
    let Weighed { candidate, cost, reasons, assignment } = nearest;
    let (market, requirement) = (&planner.market, planner.requirement);
    let roles: Vec<_> = assignment
        .iter()
        .flat_map(|it| it.served.iter().map(move |one| (it, one)))
        .map(|(it, one)| served_role(requirement, it, one))
        .collect();
    let ask = Ask {
        requirement,
        roles: &roles,
        not_served: None,
        key: Some(&candidate.key),
        parts: &[],
        own: Own::default(),
    };
    Ok(NearMiss {
        misses: reasons
            .iter()
            .map(|one| Miss {
                limit: one.kind(),
                decided_by: one.decided_by(),
                remedy: one.remedy(),
            })
            .collect(),
        cost,
        verdict: assignment.as_ref().map_or_else(Vec::new, |it| planner.lines(candidate, it, cost)),
        memory: assignment.as_ref().map_or_else(Vec::new, |it| {
            it.groups.iter().map(|one| memory_group(requirement, one)).collect()
        }),
        configuration: configuration_of(market, candidate, &[], ask)?,
    })
}
