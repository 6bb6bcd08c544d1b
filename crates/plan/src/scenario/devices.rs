//! Devices of a machine one by one, and groups of them.

use std::collections::BTreeMap;

use localrig_facts::Id;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::unit::{Bytes, BytesPerSec, GbPerS, Seconds, Watts};
use localrig_simulate::scenario::DeviceFacts;

use super::ScenarioError;
use crate::placement::Devices;

/// The devices of a machine one by one, numbered from 0.
pub(super) fn units<'a>(machine: &Machine<'a>) -> Vec<Device<'a>> {
    let one = |device: &Device<'a>| Device { count: 1, ..*device };
    let devices = machine.devices.iter();
    devices.flat_map(|device| std::iter::repeat_n(one(device), device.count as usize)).collect()
}

/// What a simulation needs to know about a device.
pub(super) fn device_facts(machine: &Machine<'_>, unit: &Device<'_>) -> DeviceFacts {
    let system = machine.system.map(|(_, system, _)| &system.power);
    let middle = |range: [Watts; 2]| (range[0] + range[1]) / 2.0;
    let whole = system.filter(|_| machine.devices.iter().all(Device::is_unified));
    let busy = whole.and_then(|power| power.measured_load_w).map(middle);
    // Power at rest and under load must be of the same thing: of the box, or of the card.
    let idle = match (whole, busy) {
        (Some(power), Some(_)) => power.measured_idle_w,
        (Some(_), None) => None,
        (None, _) => unit.gpu.board.measured_idle_w,
    };
    DeviceFacts {
        name: unit.gpu.name.clone(),
        usable: unit.usable().unwrap_or(Bytes::ZERO),
        idle: idle.map(middle),
        at_wall: busy.is_some(),
        // Where nobody measured it, the models on it say.
        busy,
    }
}

/// The groups of devices that each hold a copy.
pub(super) fn groups(
    machine: &Machine<'_>,
    units: &[Device<'_>],
    devices: &Devices,
) -> Result<Vec<Vec<u32>>, ScenarioError> {
    let groups = match devices {
        Devices::All => vec![(0..units.len() as u32).collect()],
        Devices::Layers(all) | Devices::Tensor(all) => vec![all.clone()],
        Devices::Replicas(all) => all.iter().map(|one| vec![*one]).collect(),
    };
    match groups.iter().flatten().find(|index| **index as usize >= units.len()) {
        Some(index) => Err(ScenarioError::NoDevice {
            index: *index,
            machine: machine.name.clone(),
            count: units.len(),
        }),
        None => Ok(groups),
    }
}

/// A group of devices as a machine of its own.
pub(super) fn group_machine<'a>(units: &[Device<'a>], group: &[u32]) -> Machine<'a> {
    let mut kinds: BTreeMap<(&Id, u64), Device<'a>> = BTreeMap::new();
    for unit in group.iter().map(|one| units[*one as usize]) {
        kinds
            .entry((unit.id, unit.memory.get() as u64))
            .and_modify(|one| one.count += 1)
            .or_insert(unit);
    }
    let devices: Vec<Device<'a>> = kinds.into_values().collect();
    let names = devices.iter().map(|one| match one.count {
        1 => one.gpu.name.clone(),
        count => format!("{count}x {}", one.gpu.name),
    });
    Machine {
        name: names.collect::<Vec<_>>().join(" + "),
        devices,
        cpu: None,
        system: None,
        units: 1,
    }
}

/// The device of a group with the least bandwidth: it sets the pace of layers that are cut.
pub(super) fn slowest(units: &[Device<'_>], group: &[u32]) -> u32 {
    let bandwidth = |one: &&u32| {
        units[**one as usize].gpu.memory.bandwidth_gb_per_s.map_or(0.0, GbPerS::written)
    };
    group.iter().min_by(|a, b| bandwidth(a).total_cmp(&bandwidth(b))).copied().unwrap_or(0)
}

/// What the link between cut layers is taken for, when nobody says.
pub(super) fn link_words((latency, bandwidth): (Seconds, BytesPerSec)) -> String {
    format!(
        "layers are cut: messages between the devices take {:.0} us and go at {:.0} GB/s each way, as \
         fitted on measured rows",
        latency.to_us(),
        bandwidth.to_gb_per_s()
    )
}
