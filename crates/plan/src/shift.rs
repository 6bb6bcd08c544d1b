//! Who works at the same time: the workload of a requirement, once for every way to take turns.

use localrig_facts::unit::Seconds;
use localrig_simulate::load::{Demand, demands};
use localrig_simulate::workload::Workload;

use crate::requirement::{Requirement, Role};
use crate::workload::workload_of;

/// Roles that are loaded together, with what they do.
#[derive(Clone, Debug)]
pub struct Shift {
    /// What they do.
    pub workload: Workload,
    /// Index in the requirement of each role of the workload.
    pub roles: Vec<usize>,
    /// What each asks of its engine on average.
    pub(crate) demands: Vec<Demand>,
}

impl Shift {
    /// Share of the answers of the role at a place of the shift whose first token comes within the
    /// workload's limit, when it takes this long on average: times that are spread like an
    /// exponential distribution.
    pub(crate) fn in_time(&self, place: usize, first: Seconds) -> f64 {
        let limit = self.workload.roles[place].limit.ttft_s;
        limit.map_or(1.0, |limit| 1.0 - (-limit / first.get().max(1e-9)).exp())
    }
}

/// The shifts of a requirement: all roles that take turns with none; and for each role that does,
/// the same with it in place of the other. Every role is in one of them.
pub fn shifts(requirement: &Requirement, habits: &Workload) -> Vec<Shift> {
    let usual: Vec<usize> =
        (0..requirement.roles.len()).filter(|role| partner(requirement, *role).is_none()).collect();
    let turns = (0..requirement.roles.len()).filter_map(|role| {
        let other = partner(requirement, role)?;
        Some(usual.iter().map(|one| if *one == other { role } else { *one }).collect())
    });
    std::iter::once(usual.clone())
        .chain(turns)
        .map(|roles: Vec<usize>| {
            let alone =
                |role: &usize| Role { instead_of: None, ..requirement.roles[*role].clone() };
            let together =
                Requirement { roles: roles.iter().map(alone).collect(), ..requirement.clone() };
            let workload = workload_of(&together, habits);
            let routes: Vec<Vec<u32>> = (0..roles.len() as u32).map(|role| vec![role]).collect();
            let demands = demands(&workload, &routes);
            Shift { workload, roles, demands }
        })
        .collect()
}

/// The role of the usual shift that a role takes turns with: an earlier one that takes turns with
/// none before it, as a requirement is held to.
pub(crate) fn partner(requirement: &Requirement, role: usize) -> Option<usize> {
    let other = requirement.roles[role].instead_of.as_ref()?;
    requirement.roles[..role].iter().position(|one| one.name == *other)
}

/// Names of the roles that a role takes turns with: only one of them is loaded at a time.
pub(crate) fn turns(requirement: &Requirement, role: usize) -> Vec<String> {
    let usual = |role: usize| partner(requirement, role).unwrap_or(role);
    let others = requirement.roles.iter().enumerate();
    others
        .filter(|(other, _)| *other != role && usual(*other) == usual(role))
        .map(|(_, other)| other.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_role_works_in_some_shift_and_turns_are_never_taken_together() {
        let habits = localrig_world::workload("home-office").unwrap();
        let habits = Workload::parse("home-office", habits, &BTreeMap::default()).unwrap();
        let said = localrig_world::requirements().into_iter().map(|name| {
            let text = localrig_world::requirement(name).unwrap();
            let requirement = Requirement::parse(name, text).unwrap();
            let shifts = shifts(&requirement, &habits);
            let names = shifts.iter().map(|shift| {
                let names = shift.workload.roles.iter().map(|role| role.name.as_str());
                names.collect::<Vec<_>>().join(" + ")
            });
            format!("{name}: {}", names.collect::<Vec<_>>().join("; "))
        });
        insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"), @"
        home-office: main + sub-agent + vision
        model-stack: coder; reasoner
        small-team: main + vision
        ");
    }
}
