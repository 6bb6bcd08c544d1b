//! Which machines are worth a simulation: the first of the ranking, until none of them is ranked by
//! means alone.
//!
//! Means rank every machine, each where it may come to stand when it is simulated. The first ones
//! are; that moves them, others come up, and they are simulated in turn. Of each machine the best
//! assignment is simulated, and the next that could still be better if the means were that far off
//! to its disadvantage.

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::Catalog;
use rayon::prelude::*;

use crate::assign::{Assignment, Unplaced};
use crate::candidate::Candidate;
use crate::group::{Devices, Groups, key};
use crate::platform::folder;
use crate::requirement::Requirement;
use crate::score::Weights;
use crate::search::{ENOUGH, value};
use crate::shift::Shift;
use crate::trial::trial;

/// Sets of devices at the top of the ranking that are simulated: as many as a page shows. Beyond
/// them the first of every platform is, which documents show in full.
const FIRST: usize = 15;
/// Most sets that are simulated.
const MOST: usize = 30;
/// Assignments of a set of devices that are simulated; more only until one meets every minimum.
const TRIALS: usize = 2;
/// How much faster than by means a simulated speed may be: means come near a simulation, in the
/// median within a fifth, and are too low by up to two fifths where one device has everything.
const DOUBT: f64 = 1.5;

/// What runs on a set of devices.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'a> {
    /// The best assignment that is known.
    pub(crate) best: Assignment<'a>,
    /// Others, the best first, as far as they were not simulated.
    others: Vec<Assignment<'a>>,
    /// Whether it was simulated, or could not be.
    tried: bool,
}

/// What runs on every set of devices.
pub(crate) type Placements<'a> = BTreeMap<Devices<'a>, Result<Placed<'a>, Unplaced>>;

/// What runs on the devices of every candidate, by means.
pub(crate) fn placements<'a>(
    groups: &Groups<'a>,
    candidates: &[&'a Candidate<'a>],
) -> Placements<'a> {
    let sets: BTreeMap<Devices<'a>, &'a Candidate<'a>> =
        candidates.iter().map(|one| (key(&one.machine), *one)).collect();
    sets.into_par_iter()
        .map(|(devices, candidate)| {
            let placed = groups.assign(&candidate.machine).map(|mut found| {
                let best = found.remove(0);
                Placed { best, others: found, tried: false }
            });
            (devices, placed)
        })
        .collect()
}

/// What a trial needs to know beside the machine.
#[derive(Clone, Copy)]
pub(crate) struct Trials<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) requirement: &'a Requirement,
    pub(crate) shifts: &'a [Shift],
}

impl<'a> Trials<'a> {
    /// Simulates the machines that come first by `score`, and the cheapest; of machines without a
    /// price there is no score.
    pub(crate) fn settle(
        self,
        placements: &mut Placements<'a>,
        candidates: &[&'a Candidate<'a>],
        score: impl Fn(&Candidate<'a>, &Assignment<'a>) -> Option<f64>,
    ) {
        let mut count = 0;
        while count < MOST {
            let mut next = first(self.catalog, placements, candidates, &score);
            next.truncate(MOST - count);
            if next.is_empty() {
                return;
            }
            count += next.len();
            let settled: Vec<(Devices<'a>, Placed<'a>)> = next
                .into_par_iter()
                .map(|(devices, candidate, placed)| (devices, self.settled(candidate, placed)))
                .collect();
            for (devices, placed) in settled {
                placements.insert(devices, Ok(placed));
            }
        }
    }

    /// The better of the assignments of a set of devices, simulated.
    fn settled(self, candidate: &Candidate<'a>, placed: Placed<'a>) -> Placed<'a> {
        let try_one = |one: &Assignment<'a>| {
            trial(self.catalog, &candidate.machine, self.requirement, self.shifts, one)
        };
        let mut best = try_one(&placed.best);
        let mut count = usize::from(best.is_some());
        for other in &placed.others {
            // As long as a minimum speed is missed, everything is tried.
            if count >= TRIALS && best.as_ref().is_some_and(|best| best.value >= ENOUGH) {
                break;
            }
            let least = best.as_ref().map_or(f64::NEG_INFINITY, |best| best.value);
            if self.at_most(other) <= least {
                continue;
            }
            let tried = try_one(other);
            count += usize::from(tried.is_some());
            best = tried.filter(|tried| tried.value > least).or(best);
        }
        Placed { best: best.unwrap_or(placed.best), others: Vec::new(), tried: true }
    }

    /// The most that an assignment may be worth.
    fn at_most(self, assignment: &Assignment<'a>) -> f64 {
        let served = assignment
            .served
            .iter()
            .map(|one| (one.option, (one.alone.value.min(one.busy.value * DOUBT), one.in_time)));
        value(self.requirement, served, &Weights::default())
    }
}

/// An assignment with speeds as far above the means as a simulation may find them.
fn hopeful<'a>(assignment: &Assignment<'a>) -> Assignment<'a> {
    let mut hopeful = assignment.clone();
    for served in &mut hopeful.served {
        served.busy.value = served.alone.value.min(served.busy.value * DOUBT);
    }
    hopeful
}

/// The sets of devices at the top of the ranking, and of every platform's, that were not simulated,
/// each with a machine; what was not simulated stands where it may come to stand.
fn first<'a>(
    catalog: &Catalog,
    placements: &Placements<'a>,
    candidates: &[&'a Candidate<'a>],
    score: impl Fn(&Candidate<'a>, &Assignment<'a>) -> Option<f64>,
) -> Vec<(Devices<'a>, &'a Candidate<'a>, Placed<'a>)> {
    let mut best: BTreeMap<Devices<'a>, (f64, &'a Candidate<'a>)> = BTreeMap::new();
    for candidate in candidates {
        let devices = key(&candidate.machine);
        let Some(Ok(placed)) = placements.get(&devices) else { continue };
        let hopeful = if placed.tried { placed.best.clone() } else { hopeful(&placed.best) };
        let Some(score) = score(candidate, &hopeful) else { continue };
        if best.get(&devices).is_none_or(|(known, _)| score > *known) {
            best.insert(devices, (score, candidate));
        }
    }
    let mut ranked: Vec<_> = best.into_iter().collect();
    ranked.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    // The cheapest is named on every page: it must do what is said of it.
    let costs = ranked.iter().filter_map(|(devices, (_, one))| Some((one.cost?.minor, devices)));
    let cheapest = costs.min_by_key(|(cost, _)| *cost).map(|(_, devices)| devices.clone());
    let mut platforms: BTreeSet<String> = BTreeSet::new();
    ranked
        .into_iter()
        .enumerate()
        .filter(|(place, (devices, (_, candidate)))| {
            let platform = folder(catalog, &candidate.key).unwrap_or_default();
            platforms.insert(platform) || *place < FIRST || cheapest.as_ref() == Some(devices)
        })
        .filter_map(|(_, (devices, (_, candidate)))| {
            let placed = placements.get(&devices)?.as_ref().ok()?;
            (!placed.tried).then(|| (devices, candidate, placed.clone()))
        })
        .collect()
}
