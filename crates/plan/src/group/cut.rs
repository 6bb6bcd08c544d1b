//! The ways to cut a machine's devices into groups that each serve some of the roles.

use std::collections::BTreeSet;

use localrig_facts::machine::{Device, Machine};

use super::{GroupKey, key};
use crate::requirement::Role;

/// A way to cut a machine's devices into groups that each serve some of the roles.
pub(crate) struct Cut<'a> {
    /// The groups: the devices that hold a model, and how many such sets there are.
    pub(crate) groups: Vec<(Machine<'a>, u32)>,
    /// Devices of each group, counted from 0 over the whole machine.
    pub(crate) units: Vec<Vec<u32>>,
    /// The group of each role.
    pub(crate) group_of: Vec<usize>,
}

/// Most groups a machine is cut into.
pub(crate) const GROUPS: usize = 3;

/// The ways to cut a machine's devices: everything as one group for all roles; and, with several
/// devices, every split into two or three parts with every way to share out the roles. Equal
/// devices of a group hold its models together or each a copy, where several streams can be
/// shared out among copies.
pub(super) fn cuts<'a>(machine: &Machine<'a>, roles: &[Role]) -> Vec<Cut<'a>> {
    let units: Vec<Device<'a>> = machine
        .devices
        .iter()
        .flat_map(|device| {
            std::iter::repeat_n(Device { count: 1, ..*device }, device.count as usize)
        })
        .collect();
    let all = units.len();
    let mut bounds: Vec<Vec<usize>> = vec![vec![0, all]];
    bounds.extend((1..all).map(|first| vec![0, first, all]));
    let thirds = (1..all).flat_map(|first| (first + 1..all).map(move |second| [first, second]));
    bounds.extend(thirds.map(|[first, second]| vec![0, first, second, all]));
    let mut seen = BTreeSet::new();
    let mut cuts = Vec::new();
    for bounds in bounds {
        let parts = bounds.windows(2).map(|part| (part[0], part[1]));
        let together: Vec<Machine<'a>> =
            parts.clone().map(|(from, to)| group(&units[from..to])).collect();
        for group_of in shares(together.len(), roles.len()) {
            let several = |group: usize| {
                roles.iter().zip(&group_of).any(|(role, own)| *own == group && role.streams > 1)
            };
            for groups in arrangements(&together, several) {
                // Equal devices in equal numbers are the same, whichever of them are meant.
                let of = |group: &usize| (key(&groups[*group].0), groups[*group].1);
                let devices: Vec<GroupKey<'a>> = group_of.iter().map(of).collect();
                let shared: Vec<usize> = group_of
                    .iter()
                    .map(|group| group_of.iter().position(|one| one == group).unwrap_or(0))
                    .collect();
                if seen.insert((devices, shared)) {
                    let units = parts.clone().map(|(from, to)| (from as u32..to as u32).collect());
                    let group_of = group_of.clone();
                    cuts.push(Cut { groups, units: units.collect(), group_of });
                }
            }
        }
    }
    cuts
}

/// Every way the devices of some groups work: together, or, where they are alike and `several`
/// streams come, each with a copy of the models.
fn arrangements<'a>(
    groups: &[Machine<'a>],
    several: impl Fn(usize) -> bool,
) -> Vec<Vec<(Machine<'a>, u32)>> {
    let mut ways: Vec<Vec<(Machine<'a>, u32)>> = vec![Vec::new()];
    for (index, machine) in groups.iter().enumerate() {
        let mut own = vec![(machine.clone(), 1)];
        if let [device] = machine.devices[..]
            && device.count > 1
            && several(index)
        {
            own.push((group(&[Device { count: 1, ..device }]), device.count));
        }
        ways = ways
            .iter()
            .flat_map(|way| {
                own.iter().map(move |one| [&way[..], std::slice::from_ref(one)].concat())
            })
            .collect();
    }
    ways
}

/// Every way to share out roles among groups so that each group has some.
///
/// Of many roles only the first is ever separated from the others: the ways grow as a power.
fn shares(groups: usize, roles: usize) -> Vec<Vec<usize>> {
    const MANY: usize = 5;
    if roles > MANY {
        return match groups {
            1 => vec![vec![0; roles]],
            2 => vec![(0..roles).map(|role| role.min(1)).collect()],
            _ => Vec::new(),
        };
    }
    let mut ways: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..roles {
        ways = ways
            .iter()
            .flat_map(|way| (0..groups).map(|group| [&way[..], &[group]].concat()))
            .collect();
    }
    ways.retain(|way| (0..groups).all(|group| way.contains(&group)));
    ways
}

pub(crate) fn group<'a>(units: &[Device<'a>]) -> Machine<'a> {
    let mut devices: Vec<Device<'a>> = Vec::new();
    for unit in units {
        match devices.iter_mut().find(|one| one.id == unit.id && one.memory == unit.memory) {
            Some(same) => same.count += 1,
            None => devices.push(*unit),
        }
    }
    let name = |one: &Device<'_>| match one.count {
        1 => one.gpu.name.clone(),
        count => format!("{count}x {}", one.gpu.name),
    };
    let name = devices.iter().map(name).collect::<Vec<_>>().join(" + ");
    Machine { name, devices, cpu: None, system: None, units: 1 }
}
