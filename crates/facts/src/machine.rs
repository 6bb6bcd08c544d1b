//! Machines named on a command line: a card, several cards, a chip with its memory, a system, a CPU.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, CatalogError};
use crate::gpu::{Gpu, GpuKind};
use crate::id::Id;
use crate::part::Cpu;
use crate::resolve::{Candidate, ResolveError, resolve};
use crate::system::{System, Variant};
use crate::unit::Bytes;

/// Accelerators of one kind in a machine.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Catalog id.
    pub id: &'a Id,
    /// The accelerator.
    pub gpu: &'a Gpu,
    /// Installed memory of one unit.
    pub memory: Bytes,
    /// How many units.
    pub count: u32,
    /// The PCIe slot that each of them sits in.
    pub slot: PcieSlot,
}

/// What a PCIe slot gives a card; a figure that is not known is what the card can use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PcieSlot {
    /// PCIe generation.
    pub generation: Option<f64>,
    /// Lanes.
    pub lanes: Option<u32>,
}

impl PcieSlot {
    /// What cards in both slots can count on: the lesser of every figure that is known.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        let generation = self.generation.into_iter().chain(other.generation).reduce(f64::min);
        Self { generation, lanes: self.lanes.into_iter().chain(other.lanes).min() }
    }
}

/// A machine to estimate on.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// What it is called in answers: `2x NVIDIA GeForce RTX 5090`.
    pub name: String,
    /// Its accelerators, in the order given; none where the CPU computes.
    pub devices: Vec<Device<'a>>,
    /// The CPU that computes, of a machine without accelerators.
    pub cpu: Option<(&'a Id, &'a Cpu)>,
    /// The system and the variant of it, for machines bought whole.
    pub system: Option<(&'a Id, &'a System, &'a Variant)>,
    /// How many such systems work together; 1 for everything else.
    pub units: u32,
}

/// A machine that cannot be told from its name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The name, or a file behind it, is the trouble.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// It is sold with several sizes of memory.
    #[error("`{name}` is sold in several configurations: say which")]
    WhichMemory {
        /// The machine.
        name: String,
        /// What to write instead.
        choices: Vec<String>,
    },
    /// It is not sold with this memory.
    #[error("`{name}` is not sold with {asked}")]
    NoSuchMemory {
        /// The machine.
        name: String,
        /// The memory or variant asked for.
        asked: String,
        /// What it is sold with.
        choices: Vec<String>,
    },
    /// The number before `x` is no count.
    #[error("`{text}` is not a number of devices: write for example `2x RTX 5090`")]
    Count {
        /// What was written.
        text: String,
    },
    /// What stands in the brackets of a PC is no base system of its cards.
    #[error("`{base}` is no base of {cards}: write a platform and the lanes of each card")]
    Base {
        /// The cards.
        cards: String,
        /// What stands there.
        base: String,
        /// What could: a base of so many cards on every platform.
        choices: Vec<String>,
    },
    /// A CPU where accelerators are asked for.
    #[error("{name} is a CPU, not an accelerator")]
    NoAccelerator {
        /// The CPU.
        name: String,
    },
    /// A CPU with a memory size, a count, or a card beside it.
    #[error("{name} is a machine by itself: `{text}` says more than its name")]
    CpuByItself {
        /// The CPU.
        name: String,
        /// What was written.
        text: String,
    },
    /// The memory size is not in the catalog.
    #[error("missing fact: memory.sizes_gib of {id}")]
    NoMemory {
        /// The accelerator.
        id: Id,
    },
}

#[derive(Clone, Copy)]
enum Found<'a> {
    Gpu(&'a Id, &'a Gpu),
    System(&'a Id, &'a System),
    Cpu(&'a Id, &'a Cpu),
}

/// The cards and the base of a PC as answers write it, by name or by key: of
/// `2x GeForce RTX 5090 PC (AM5, x8+x8)` and `2x gpu/nvidia/rtx-5090 (AM5, x8+x8)` what stands before
/// and in the brackets; nothing for the base of a PC that has none.
pub fn cards_of_pc(text: &str) -> Option<(&str, &str)> {
    if let Some(cards) = text.strip_suffix(" PC") {
        return Some((cards, ""));
    }
    let by_name = text.split_once(" PC (");
    let (cards, base) = by_name.or_else(|| {
        text.split_once(" (").filter(|(cards, _)| cards.contains("gpu/") && !cards.contains(" PC"))
    })?;
    Some((cards, base.strip_suffix(')')?))
}

/// Lanes of the cards of a PC by its base: `AM5, x8+x4` gives 8 and 4, and nothing for lanes that are
/// not known; of a single card only the platform is written.
///
/// # Errors
/// When no processor of the catalog is of the platform, or the lanes are not those of so many cards.
fn lanes_of(
    catalog: &Catalog,
    cards: &str,
    base: &str,
    count: u32,
) -> Result<Vec<Option<u32>>, MachineError> {
    let platforms: BTreeSet<&str> =
        catalog.all::<Cpu>()?.values().map(|cpu| cpu.platform.as_str()).collect();
    let (platform, lanes) = base.split_once(", ").unwrap_or((base, ""));
    let read = |one: &str| match one.strip_prefix('x')? {
        "?" => Some(None),
        lanes => lanes.parse().ok().map(Some),
    };
    let lanes: Option<Vec<Option<u32>>> =
        if lanes.is_empty() { Some(Vec::new()) } else { lanes.split('+').map(read).collect() };
    let wanted = if count > 1 { count as usize } else { 0 };
    match lanes.filter(|lanes| lanes.len() == wanted && platforms.contains(platform)) {
        Some(lanes) => Ok(lanes),
        None if base.is_empty() => Ok(Vec::new()),
        None => {
            let some = vec!["x8"; wanted].join("+");
            let of = |platform: &str| match wanted {
                0 => format!("{cards} PC ({platform})"),
                _ => format!("{cards} PC ({platform}, {some})"),
            };
            Err(MachineError::Base {
                cards: cards.to_owned(),
                base: base.to_owned(),
                choices: platforms.into_iter().map(of).collect(),
            })
        }
    }
}

/// Reads a machine: `RTX 5090`, `2x RTX 3090`, `RTX PRO 6000 Workstation + RTX 5090`,
/// `Mac Studio M3 Ultra 256 GB`, `apple-m4-max:64gb`, `ASUS Ascent GX10:2tb`, and a PC as answers
/// write it, `2x GeForce RTX 5090 PC (AM5, x8+x8)`.
///
/// # Errors
/// When a name is unknown or ambiguous, or the memory size is open.
pub fn parse_machine<'a>(catalog: &'a Catalog, text: &str) -> Result<Machine<'a>, MachineError> {
    if let Some((cards, base)) = cards_of_pc(text)
        && let Ok(mut machine) = parse_machine(catalog, cards)
        && machine.system.is_none()
    {
        let count = machine.devices.iter().map(|device| device.count).sum();
        let mut lanes = lanes_of(catalog, cards, base, count)?.into_iter();
        for device in &mut machine.devices {
            let own = lanes.by_ref().take(device.count as usize);
            let slots = own.map(|lanes| PcieSlot { generation: None, lanes });
            device.slot = slots.reduce(PcieSlot::both).unwrap_or_default();
        }
        return Ok(machine);
    }
    let mut devices: Vec<Device<'a>> = Vec::new();
    let mut names = Vec::new();
    let (mut system, mut units) = (None, 1);
    let parts: Vec<&str> = text.split(" + ").collect();
    for part in &parts {
        let (count, name) = split_count(part.trim())?;
        if !matches!(split_count(name), Ok((1, _))) {
            // Twice: `2x 2x RTX 5090`.
            return Err(MachineError::Count { text: (*part).to_owned() });
        }
        let machine = parse_one(catalog, name)?;
        names.push(if count == 1 { machine.name } else { format!("{count}x {}", machine.name) });
        devices.extend(
            machine.devices.into_iter().map(|one| Device { count: one.count * count, ..one }),
        );
        if parts.len() == 1 && machine.system.is_some() {
            (system, units) = (machine.system, count);
        }
    }
    Ok(Machine { name: names.join(" + "), devices, cpu: None, system, units })
}

/// Reads a machine as [`parse_machine`] does, or the name of a CPU that computes without accelerators:
/// `Ryzen 9 9950X`.
///
/// # Errors
/// As [`parse_machine`]; and when something is added to the name of a CPU.
pub fn parse_machine_or_cpu<'a>(
    catalog: &'a Catalog,
    text: &str,
) -> Result<Machine<'a>, MachineError> {
    let error = match parse_machine(catalog, text) {
        Err(error @ MachineError::NoAccelerator { .. }) => error,
        other => return other,
    };
    match (find(catalog, text), error) {
        (Ok(Found::Cpu(id, cpu)), _) => Ok(Machine {
            name: cpu.name.clone(),
            devices: Vec::new(),
            cpu: Some((id, cpu)),
            system: None,
            units: 1,
        }),
        (_, MachineError::NoAccelerator { name }) => {
            Err(MachineError::CpuByItself { name, text: text.to_owned() })
        }
        (_, error) => Err(error),
    }
}

/// A card, chip or system as one machine with the memory given in GiB, as measured rows name it.
///
/// # Errors
/// When the name is unknown or ambiguous, or it is not sold with this memory.
pub fn machine_with_memory<'a>(
    catalog: &'a Catalog,
    name: &str,
    memory_gib: Option<f64>,
) -> Result<Machine<'a>, MachineError> {
    match find(catalog, name)? {
        Found::Gpu(id, gpu) => of_gpu(catalog, id, gpu, memory_gib),
        Found::System(id, system) => of_system(catalog, id, system, None, memory_gib),
        Found::Cpu(_, cpu) => Err(no_accelerator(cpu)),
    }
}

/// The machine a variant of a system is.
///
/// # Errors
/// When the accelerator it names is not in the catalog.
pub fn machine_of_variant<'a>(
    catalog: &'a Catalog,
    id: &'a Id,
    system: &'a System,
    variant: &'a Variant,
) -> Result<Machine<'a>, MachineError> {
    let chip = variant.accelerator.as_ref().unwrap_or(&system.accelerator);
    let (chip_id, gpu) = catalog
        .all::<Gpu>()?
        .get_key_value(chip)
        .ok_or_else(|| CatalogError::Missing { id: chip.to_string() })?;
    let device = Device {
        id: chip_id,
        gpu,
        memory: variant.memory_gib.quantity() / f64::from(system.accelerator_count),
        count: system.accelerator_count,
        slot: PcieSlot::default(),
    };
    let several = system.variants.len() > 1;
    let memory = format!("{} GB", variant.memory_gib.written());
    let name = if several && !system.name.contains(&memory) {
        format!("{} {memory}", system.name)
    } else {
        system.name.clone()
    };
    let system = Some((id, system, variant));
    Ok(Machine { name, devices: vec![device], cpu: None, system, units: 1 })
}

fn no_accelerator(cpu: &Cpu) -> MachineError {
    MachineError::NoAccelerator { name: cpu.name.clone() }
}

/// `2x RTX 5090` → 2 and the name; 1 where no count is written.
///
/// # Errors
/// When the number before `x` is no count.
pub fn split_count(text: &str) -> Result<(u32, &str), MachineError> {
    let Some((before, after)) = text.split_once(['x', 'X', '×']) else {
        return Ok((1, text));
    };
    let before = before.trim();
    // `9950X` is a name.
    let nothing_follows = before.is_empty() || after.trim().is_empty();
    if nothing_follows || !before.chars().all(|c| c.is_ascii_digit() || c == '-') {
        return Ok((1, text));
    }
    // `2x RTX 5090` or `2 x RTX 5090`, but not a product whose name goes on: `8x16`.
    match before.parse::<u32>() {
        Ok(count @ 1..=64) => Ok((count, after.trim())),
        _ => Err(MachineError::Count { text: before.to_owned() }),
    }
}

fn parse_one<'a>(catalog: &'a Catalog, text: &str) -> Result<Machine<'a>, MachineError> {
    // The name as a whole first: many product names contain their memory size.
    let (name, size) = match find(catalog, text) {
        Ok(_) => (text, None),
        Err(error) => match split_size(text) {
            Some((name, size)) if find(catalog, name).is_ok() => (name, Some(size)),
            _ => match split_variant(catalog, text) {
                Some((name, size)) => (name, Some(size)),
                None => return Err(error),
            },
        },
    };
    match (find(catalog, name)?, size) {
        (Found::Gpu(id, gpu), None) => of_gpu(catalog, id, gpu, None),
        (Found::Gpu(id, gpu), Some(size)) => {
            let gib = size_in_gib(size).ok_or_else(|| MachineError::NoSuchMemory {
                name: gpu.name.clone(),
                asked: size.to_owned(),
                choices: size_choices(catalog, id, gpu),
            })?;
            of_gpu(catalog, id, gpu, Some(gib))
        }
        (Found::System(id, system), size) => of_system(catalog, id, system, size, None),
        (Found::Cpu(_, cpu), _) => Err(no_accelerator(cpu)),
    }
}

/// `NAME:256gb`, `NAME 256 GB`, `NAME 256GB` → the name and the size as written.
fn split_size(text: &str) -> Option<(&str, &str)> {
    if let Some((name, size)) = text.rsplit_once(':') {
        return Some((name.trim(), size.trim()));
    }
    let trimmed = text.trim_end();
    let digits_end = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end().len();
    let unit = trimmed[digits_end..].trim();
    if !["gb", "gib"].contains(&unit.to_ascii_lowercase().as_str()) {
        return None;
    }
    let name = trimmed[..digits_end].trim_end_matches(|c: char| c.is_ascii_digit());
    (name.len() < digits_end).then(|| (name.trim(), trimmed[name.len()..].trim()))
}

/// `NAME (1 TB)`, `NAME 128 GB (1 TB)` as answers write variants → the name and what is in brackets.
fn split_variant<'t>(catalog: &Catalog, text: &'t str) -> Option<(&'t str, &'t str)> {
    let (name, variant) = text.strip_suffix(')')?.rsplit_once(" (")?;
    let without_size = || split_size(name).map(|(name, _)| name);
    let name = [Some(name), without_size()].into_iter().flatten();
    Some((name.into_iter().find(|name| find(catalog, name).is_ok())?, variant))
}

fn size_in_gib(size: &str) -> Option<f64> {
    let lower = size.to_ascii_lowercase();
    let digits = lower.trim_end_matches("gib").trim_end_matches("gb").trim();
    digits.parse().ok().filter(|gib: &f64| gib.is_finite() && *gib > 0.0)
}

fn find<'a>(catalog: &'a Catalog, query: &str) -> Result<Found<'a>, MachineError> {
    let gpus = catalog.all::<Gpu>()?;
    let systems = catalog.all::<System>()?;
    let mut candidates: Vec<_> = gpus
        .iter()
        .map(|(id, gpu)| Candidate {
            value: Found::Gpu(id, gpu),
            id: id.as_str(),
            name: &gpu.name,
            aliases: &gpu.aliases,
        })
        .chain(systems.iter().map(|(id, system)| Candidate {
            value: Found::System(id, system),
            id: id.as_str(),
            name: &system.name,
            aliases: &system.aliases,
        }))
        .collect();
    let found = match resolve("machine", query, &candidates) {
        // A name is a CPU's only when no accelerator is called that.
        Err(ResolveError::Unknown { .. }) => {
            candidates.extend(catalog.all::<Cpu>()?.iter().map(|(id, cpu)| Candidate {
                value: Found::Cpu(id, cpu),
                id: id.as_str(),
                name: &cpu.name,
                aliases: &cpu.aliases,
            }));
            resolve("machine", query, &candidates)
        }
        found => found,
    };
    Ok(found.map_err(CatalogError::from)?)
}

fn of_gpu<'a>(
    catalog: &'a Catalog,
    id: &'a Id,
    gpu: &'a Gpu,
    memory_gib: Option<f64>,
) -> Result<Machine<'a>, MachineError> {
    let one = |id: &'a Id, gpu: &'a Gpu, memory: Bytes| {
        let name = if gpu.memory.sizes_gib.len() > 1 {
            format!("{} {} GB", gpu.name, memory.to_gib())
        } else {
            gpu.name.clone()
        };
        Machine {
            name,
            devices: vec![Device { id, gpu, memory, count: 1, slot: PcieSlot::default() }],
            cpu: None,
            system: None,
            units: 1,
        }
    };
    let bins = || bins_of(catalog, id);
    match (memory_gib, &gpu.memory.sizes_gib[..]) {
        (None, []) => Err(MachineError::NoMemory { id: id.clone() }),
        (None, [only]) => Ok(one(id, gpu, only.quantity())),
        (None, _) => Err(MachineError::WhichMemory {
            name: gpu.name.clone(),
            choices: size_choices(catalog, id, gpu),
        }),
        (Some(gib), sizes) => {
            let has = |sizes: &[crate::unit::Gib]| {
                sizes.iter().any(|size| (size.written() - gib).abs() < 0.5)
            };
            if has(sizes) {
                return Ok(one(id, gpu, Bytes::gib(gib)));
            }
            // A memory size may exist on a cut-down bin of the chip only.
            if let Some((bin_id, bin)) = bins()?.find(|(_, bin)| has(&bin.memory.sizes_gib)) {
                return Ok(one(bin_id, bin, Bytes::gib(gib)));
            }
            Err(MachineError::NoSuchMemory {
                name: gpu.name.clone(),
                asked: format!("{gib} GB"),
                choices: size_choices(catalog, id, gpu),
            })
        }
    }
}

fn bins_of<'a>(
    catalog: &'a Catalog,
    id: &'a Id,
) -> Result<impl Iterator<Item = (&'a Id, &'a Gpu)>, CatalogError> {
    Ok(catalog.all::<Gpu>()?.iter().filter(move |(_, gpu)| gpu.bin_of.as_ref() == Some(id)))
}

fn size_choices(catalog: &Catalog, id: &Id, gpu: &Gpu) -> Vec<String> {
    let mut sizes: Vec<f64> = gpu.memory.sizes_gib.iter().map(|size| size.written()).collect();
    if let Ok(bins) = bins_of(catalog, id) {
        sizes.extend(bins.flat_map(|(_, bin)| bin.memory.sizes_gib.iter().map(|s| s.written())));
    }
    sizes.sort_by(f64::total_cmp);
    sizes.into_iter().map(|size| format!("{}:{size}gb", id.short())).collect()
}

fn of_system<'a>(
    catalog: &'a Catalog,
    id: &'a Id,
    system: &'a System,
    key: Option<&str>,
    memory_gib: Option<f64>,
) -> Result<Machine<'a>, MachineError> {
    let choices = || {
        system.variants.iter().map(|variant| format!("{}:{}", id.short(), variant.key)).collect()
    };
    let normal =
        |text: &str| text.to_ascii_lowercase().replace([' ', '-'], "").replace("gib", "gb");
    let fits = |variant: &&Variant| {
        let by_memory = |gib: f64| (variant.memory_gib.written() - gib).abs() < 0.5;
        match (key, memory_gib) {
            (Some(key), _) => {
                normal(&variant.key) == normal(key) || size_in_gib(key).is_some_and(by_memory)
            }
            (None, Some(gib)) => by_memory(gib),
            (None, None) => true,
        }
    };
    let matching: Vec<&Variant> = system.variants.iter().filter(fits).collect();
    let Some(first) = matching.first() else {
        return Err(MachineError::NoSuchMemory {
            name: system.name.clone(),
            asked: key
                .map_or_else(|| format!("{} GB", memory_gib.unwrap_or_default()), str::to_owned),
            choices: choices(),
        });
    };
    // Variants that differ in their SSD only are one machine to an estimate.
    let alike = |variant: &&Variant| {
        variant.memory_gib == first.memory_gib && variant.accelerator == first.accelerator
    };
    if !matching.iter().all(alike) {
        return Err(MachineError::WhichMemory { name: system.name.clone(), choices: choices() });
    }
    machine_of_variant(catalog, id, system, first)
}

impl Machine<'_> {
    /// Whether every accelerator shares its memory with the CPU.
    pub fn is_unified(&self) -> bool {
        !self.devices.is_empty() && self.devices.iter().all(Device::is_unified)
    }
}

impl Device<'_> {
    /// Memory of one unit that a model and its buffers may fill; `None` when the share of unified
    /// memory is not known.
    pub fn usable(&self) -> Option<Bytes> {
        self.gpu.memory.usable(self.memory, self.gpu.kind)
    }

    /// Whether the unit shares its memory with the CPU.
    pub fn is_unified(&self) -> bool {
        self.gpu.kind == GpuKind::Unified
    }
}
