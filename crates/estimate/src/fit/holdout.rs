//! Leave one group out: what the model says of rows whose source it never saw on that hardware.

use rayon::prelude::*;

use super::{Observations, Problem, Solution};
use crate::calibration::{Level, Seen};

/// A row predicted by a fit that did not see its group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOut {
    /// Index of the observation.
    pub observation: usize,
    /// Logarithm of predicted over measured.
    pub error: f64,
    /// What of the stack other groups had measured.
    pub seen: Seen,
}

/// Steps from the full solution to the one without a group.
const STEPS: usize = 3;

impl Problem<'_> {
    /// Every row predicted without its group, in the order of the observations.
    pub fn held_out(&self, full: &Solution) -> Vec<HeldOut> {
        let groups = self.observations.groups.len();
        // Groups are independent of each other, so their order of computing does not matter.
        let of_group = |group| {
            let solution = self.solve(full, Some(group), STEPS);
            self.without(&solution, group)
        };
        let mut found: Vec<HeldOut> =
            (0..groups).into_par_iter().map(of_group).collect::<Vec<_>>().concat();
        found.sort_by_key(|one| one.observation);
        found
    }

    fn without(&self, solution: &Solution, group: usize) -> Vec<HeldOut> {
        let constants = self.constants(solution);
        let own = |one: &(usize, &super::Observation)| one.1.group == group;
        self.observations
            .all
            .iter()
            .enumerate()
            .filter(own)
            .map(|(index, one)| {
                let (total, _) = self.predicted(index, &constants[self.site_of[index]]);
                HeldOut {
                    observation: index,
                    error: total - one.measured,
                    seen: seen_without(self.observations, index, group),
                }
            })
            .collect()
    }
}

fn seen_without(observations: &Observations, index: usize, group: usize) -> Seen {
    let own = &observations.all[index].case;
    let others = |level: Level| {
        observations.all.iter().any(|one| {
            one.group != group
                && (one.case.phase == own.phase)
                && one.case.site.key(level) == own.site.key(level)
        })
    };
    if others(Level::Unit) {
        Seen::Unit
    } else if others(Level::Stack) {
        Seen::Stack
    } else {
        Seen::Neither
    }
}
