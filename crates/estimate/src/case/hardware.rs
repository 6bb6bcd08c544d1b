//! From the hardware a row names to a device.

use localrig_facts::Catalog;
use localrig_facts::machine::{Device, MachineError, PcieSlot, machine_with_memory, parse_machine};
use localrig_facts::unit::Bytes;

/// The device of a name; `count` and memory are the row's.
///
/// # Errors
/// When the name leads nowhere or to several things.
pub fn device_of<'a>(
    catalog: &'a Catalog,
    name: &str,
    memory_gb: Option<f64>,
) -> Result<Device<'a>, MachineError> {
    let first = |machine: localrig_facts::machine::Machine<'a>| machine.devices[0];
    let error = match machine_with_memory(catalog, name, memory_gb) {
        Ok(machine) => return Ok(first(machine)),
        Err(error) => error,
    };
    // Speed depends on the chip, not on how much memory it was sold with: any size will do unless
    // the size tells the chip.
    match &error {
        MachineError::WhichMemory { choices, .. } | MachineError::NoSuchMemory { choices, .. } => {
            let device = choices.last().and_then(|choice| parse_machine(catalog, choice).ok());
            device.map(first).map_or(Err(error.clone()), |device| {
                let memory = memory_gb.map_or(device.memory, Bytes::gib);
                Ok(Device { memory, ..device })
            })
        }
        MachineError::NoMemory { id } => {
            let gpu = catalog.get(id.as_str())?;
            let (id, _) = catalog
                .all::<localrig_facts::gpu::Gpu>()?
                .get_key_value(id)
                .expect("it was found by this id");
            let memory = memory_gb.map_or(Bytes::ZERO, Bytes::gib);
            Ok(Device { id, gpu, memory, count: 1, slot: PcieSlot::default() })
        }
        _ => Err(error),
    }
}
