//! The workload of a requirement: its roles with the habits of a known workload.

use localrig_simulate::workload::{Limit, Role as Habit, Workload};

use crate::requirement::{Requirement, Role};

/// What a requirement's roles do when they behave as those of `habits`: a role with the name of one
/// there does as that one; of the others the first does as the first, those that look at images as
/// the one that does, and the rest as the second. Streams, contexts and the least speed are the
/// requirement's own. Roles that take turns with another are left out: only one is loaded.
#[must_use]
pub fn workload_of(requirement: &Requirement, habits: &Workload) -> Workload {
    let roles = requirement.roles.iter().enumerate();
    let kept = roles.filter(|(_, role)| role.instead_of.is_none());
    let mut roles: Vec<Habit> =
        kept.map(|(index, role)| role_of(role, habit(habits, role, index))).collect();
    // Sub-agents that nobody starts work on their own.
    let started: Vec<String> = roles
        .iter()
        .filter_map(|role| role.agent.as_ref()?.spawn.as_ref())
        .map(|spawn| spawn.role.clone())
        .collect();
    let names: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
    for role in &mut roles {
        let Some(agent) = &mut role.agent else { continue };
        agent.spawned &= started.contains(&role.name);
        agent.spawn = agent.spawn.take().filter(|spawn| names.contains(&spawn.role));
    }
    Workload { name: requirement.name.clone(), run: habits.run.clone(), roles }
}

fn habit<'w>(habits: &'w Workload, role: &Role, index: usize) -> &'w Habit {
    let roles = &habits.roles;
    let named = roles.iter().find(|one| one.name == role.name);
    let images = || roles.iter().find(|one| role.images && one.has_images());
    let text = || roles.iter().filter(|one| one.has_images() == role.images).nth(index.min(1));
    named.or_else(images).or_else(text).unwrap_or(&roles[0])
}

fn role_of(role: &Role, habit: &Habit) -> Habit {
    let mut own = Habit {
        name: role.name.clone(),
        context_tokens: u32::try_from(role.context_tokens).unwrap_or(u32::MAX),
        limit: Limit { speed_minimum_tok_per_s: role.speed_minimum_tok_per_s, ..habit.limit },
        ..habit.clone()
    };
    // A short context leaves room for something beside the system prompt.
    own.system_tokens = own.system_tokens.min(own.context_tokens / 4);
    let streams = u32::try_from(role.streams).unwrap_or(u32::MAX);
    own.set_streams(streams);
    if let Some(open) = &mut own.open {
        open.slots = Some(streams);
    }
    own
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn roles_of_every_shipped_requirement_find_their_habits() {
        let habits = localrig_world::workload("home-office").unwrap();
        let habits = Workload::parse("home-office", habits, &BTreeMap::default()).unwrap();
        let mut said = Vec::new();
        for name in localrig_world::requirements() {
            let text = localrig_world::requirement(name).unwrap();
            let requirement = Requirement::parse(name, text).unwrap();
            let workload = workload_of(&requirement, &habits);
            workload.check(name).unwrap();
            for role in &workload.roles {
                said.push(format!(
                    "{name}: {} streams {:?}, context {}, images {}, on its own {}",
                    role.name,
                    role.streams(),
                    role.context_tokens,
                    role.has_images(),
                    role.agent.as_ref().is_none_or(|agent| !agent.spawned),
                ));
            }
        }
        insta::assert_snapshot!(said.join("\n"), @"
        home-office: main streams Some(1), context 131072, images false, on its own true
        home-office: sub-agent streams Some(4), context 32768, images false, on its own false
        home-office: vision streams None, context 16384, images true, on its own true
        model-stack: coder streams Some(1), context 16384, images false, on its own true
        small-team: main streams Some(5), context 65536, images false, on its own true
        small-team: vision streams None, context 16384, images true, on its own true
        ");
    }
}
