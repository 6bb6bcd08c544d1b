//! Leave one group out: what the model says of rows whose source it never saw on that hardware.

use rayon::prelude::*;

use localrig_facts::calibration::Fitted;

use super::{Observation, Observations, Problem, Solution};
use crate::calibration::{Level, Measured, Seen};

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

/// Parts that the models are cut into, each held out in turn.
const FOLDS: usize = 6;

impl Problem<'_> {
    /// Every row predicted without its group, in the order of the observations.
    pub fn held_out(&self, full: &Solution) -> Vec<HeldOut> {
        let group = |one: &Observation| one.group;
        self.without_each(full, self.observations.groups.len(), &group)
    }

    /// The constants without a group, `source hardware`; those of all rows when there is no such group.
    pub fn fitted_without(&self, full: &Solution, group: &str) -> Fitted {
        let index = self.observations.groups.iter().position(|one| one == group);
        self.fitted(&self.solve(full, &|one| Some(one.group) == index, STEPS))
    }

    /// Every row predicted without the rows of its model and of some others: what to expect of a
    /// new model on a stack that is known.
    pub fn known_stack(&self, full: &Solution) -> Vec<HeldOut> {
        let mut models: Vec<&str> =
            self.observations.all.iter().map(|one| one.model.as_str()).collect();
        models.sort_unstable();
        models.dedup();
        let fold = |one: &Observation| {
            models.binary_search(&one.model.as_str()).unwrap_or_default() % FOLDS
        };
        self.without_each(full, FOLDS, &fold)
    }

    /// Every row predicted by a fit without the rows of its part.
    fn without_each(
        &self,
        full: &Solution,
        parts: usize,
        part_of: &(dyn Fn(&Observation) -> usize + Sync),
    ) -> Vec<HeldOut> {
        // Parts are independent of each other, so their order of computing does not matter.
        let of_part = |part| {
            let solution = self.solve(full, &|one| part_of(one) == part, STEPS);
            let constants = self.constants(&solution);
            let own = self.observations.all.iter().enumerate();
            own.filter(|(_, one)| part_of(one) == part)
                .map(|(index, one)| {
                    let (total, _) = self.predicted(index, &constants[self.site_of[index]]);
                    HeldOut {
                        observation: index,
                        error: total - one.measured,
                        seen: seen_without(self.observations, index, &|other| {
                            part_of(other) == part
                        }),
                    }
                })
                .collect::<Vec<_>>()
        };
        let mut found = (0..parts).into_par_iter().map(of_part).collect::<Vec<_>>().concat();
        found.sort_by_key(|one: &HeldOut| one.observation);
        found
    }
}

fn seen_without(
    observations: &Observations,
    index: usize,
    held_out: &dyn Fn(&Observation) -> bool,
) -> Seen {
    let own = &observations.all[index].case;
    let mut measured = Measured::default();
    for one in observations.all.iter().filter(|one| !held_out(one)) {
        let (site, (depth, streams)) = (&one.case.site, one.case.reach());
        for (level, rows) in
            [(Level::Unit, &mut measured.unit), (Level::Stack, &mut measured.stack)]
        {
            if site.key(level) == own.site.key(level) {
                rows.count(one.case.phase, depth, streams);
            }
        }
    }
    let (depth, streams) = own.reach();
    measured.seen(own.phase, depth, streams)
}
