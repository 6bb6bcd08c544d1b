//! How a machine would run a model: engine, stack, and the constants that hold for them.

use localrig_facts::calibration::{EngineClass, MachineConstants};
use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::gpu::{Gpu, Stack};
use localrig_facts::machine::{Device, Machine};
use localrig_facts::measured::Phase;
use localrig_facts::{Catalog, CatalogError, Id};

use crate::calibration::{Calibration, Measured, Placed, Seen, Site, place, place_on_cpu};
use crate::parameter::Constants;
use crate::rate::{MissingFact, Rates, rates};

/// Why a machine cannot run a model this way.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A catalog file is missing or broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The engine has no backend for the device.
    #[error("{engine} does not run on {device}: it supports {supported}, the device {offered}")]
    NoStack {
        /// The engine.
        engine: String,
        /// The device.
        device: String,
        /// Stacks of the engine.
        supported: String,
        /// Stacks of the device.
        offered: String,
    },
    /// What software runs on the device is not recorded.
    #[error("missing fact: stacks of {device}")]
    NoStacks {
        /// The device.
        device: Id,
    },
    /// The engine has no backend for a CPU alone.
    #[error("{engine} does not run on {cpu} without an accelerator: it supports {supported}")]
    NoCpuBackend {
        /// The engine.
        engine: String,
        /// The CPU.
        cpu: String,
        /// Stacks of the engine.
        supported: String,
    },
    /// The engine has such a backend, and nobody measured it.
    #[error("nobody measured the CPU backend of {engine}")]
    NotMeasuredOnCpu {
        /// The engine.
        engine: String,
    },
    /// The engine does not read the format's files.
    #[error("{engine} does not read {format} ({container} files)")]
    NotRead {
        /// The engine.
        engine: String,
        /// The format.
        format: String,
        /// The kind of file.
        container: &'static str,
    },
    /// The device is older than the engine supports.
    #[error("{engine} needs compute capability {needed}, {device} has {own}")]
    TooOld {
        /// The engine.
        engine: String,
        /// The device.
        device: String,
        /// Lowest it supports.
        needed: f64,
        /// What the device has.
        own: String,
    },
}

/// Why there is no speed figure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpeedError {
    /// A catalog file is missing or broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A data sheet lacks a figure.
    #[error(transparent)]
    Missing(#[from] MissingFact),
    /// The CPU computes a part, and how fast its memory is was not said.
    #[error("the bandwidth of the host's memory is not known: give it with --host-bandwidth")]
    HostBandwidth,
    /// The CPU is the machine, and how fast its memory is was not said.
    #[error(
        "the bandwidth of the memory is not known: name the memory with --memory-kit, or give its bandwidth \
         with --host-bandwidth"
    )]
    CpuBandwidth,
    /// The CPU computes a part for several streams, and how many cores it has was not said.
    #[error("the cores of the host's CPU are not known: give them with --host-cores")]
    HostCores,
    /// Nobody measured this way of sharing a model.
    #[error("nobody measured {engine} with split mode {mode}")]
    SplitMode {
        /// The engine.
        engine: String,
        /// The mode.
        mode: &'static str,
    },
}

/// An engine on a machine.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// Short id of the engine.
    pub engine_id: &'a Id,
    /// The engine.
    pub engine: &'a Engine,
    /// The stack it uses.
    pub stack: Stack,
    /// Its constants on each kind of device, in the machine's order.
    pub places: Vec<Place<'a>>,
    /// What holds of any machine.
    pub machine: &'a MachineConstants,
    /// What it makes of a CPU, where there is no device.
    pub cpu: Option<OnCpu<'a>>,
    /// Tokens of a block of its cache, where it has blocks.
    pub block_tokens: Option<u32>,
}

/// An engine on a CPU without an accelerator.
#[derive(Clone, Debug)]
pub struct OnCpu<'a> {
    /// Catalog id of the CPU.
    pub id: Id,
    /// The engine's class.
    pub class: &'a EngineClass,
    /// Its place in the hierarchy of constants.
    pub site: Site,
    /// The constants.
    pub constants: Constants,
}

/// An engine on one kind of device.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// Its class and where it stands in the hierarchy of constants.
    pub placed: Placed<'a>,
    /// The constants.
    pub constants: Constants,
    /// What the device offers it, or what of that is not known.
    pub rates: Result<Rates, MissingFact>,
    /// What of it has been measured.
    pub measured: Measured,
    /// Whether any of its generation has, with one stream and an empty context.
    pub seen: Seen,
    /// The user's own measurements among them.
    pub own_rows: u32,
}

/// Stacks in the order engines are best served by.
const PREFERENCE: [Stack; 8] = [
    Stack::Cuda,
    Stack::Mlx,
    Stack::Metal,
    Stack::Rocm,
    Stack::Sycl,
    Stack::Vulkan,
    Stack::Xpu,
    Stack::Openvino,
];

/// The stack's word.
pub const fn stack_word(stack: Stack) -> &'static str {
    match stack {
        Stack::Cuda => "CUDA",
        Stack::Rocm => "ROCm",
        Stack::Vulkan => "Vulkan",
        Stack::Metal => "Metal",
        Stack::Mlx => "MLX",
        Stack::Sycl => "SYCL",
        Stack::Xpu => "XPU",
        Stack::Openvino => "OpenVINO",
        Stack::Gaudi => "Gaudi",
        Stack::Tenstorrent => "Tenstorrent",
        Stack::Cann => "CANN",
        Stack::Xla => "XLA",
        Stack::Neuron => "Neuron",
        Stack::Proprietary => "its own stack",
        Stack::Cpu => "the CPU",
    }
}

impl<'a> Setup<'a> {
    /// The engine on the machine, with the best stack that all devices share; stacks that have
    /// been measured on the device's generation come first.
    ///
    /// # Errors
    /// When the engine does not run on a device or does not read the format.
    pub fn new(
        catalog: &'a Catalog,
        engine_id: &'a Id,
        engine: &'a Engine,
        machine: &Machine<'_>,
        format: &Format,
    ) -> Result<Self, SetupError> {
        if !engine.reads(format.container) {
            return Err(SetupError::NotRead {
                engine: engine.name.clone(),
                format: format.name.clone(),
                container: format.container.word(),
            });
        }
        if let Some((id, cpu)) = machine.cpu {
            return Self::on_cpu(catalog, engine_id, engine, id, &cpu.name);
        }
        for device in &machine.devices {
            if device.gpu.stacks.is_empty() {
                return Err(SetupError::NoStacks { device: device.id.clone() });
            }
            check_age(engine, device.gpu)?;
        }
        let runs = |stack: &Stack| {
            engine.stacks.contains(stack)
                && machine.devices.iter().all(|device| device.gpu.stacks.contains(stack))
        };
        let possible: Vec<Stack> = PREFERENCE.into_iter().filter(runs).collect();
        let calibration = Calibration::of(catalog)?;
        let places = |stack: Stack| {
            machine
                .devices
                .iter()
                .map(|device| place_on(catalog, &calibration, engine_id, stack, device))
                .collect::<Result<Vec<_>, CatalogError>>()
        };
        // What has been measured on all devices, then the order of preference.
        let mut best: Option<(Seen, Stack, Vec<Place<'a>>)> = None;
        for stack in possible {
            let found = places(stack)?;
            let seen = found.iter().map(|one| one.seen).max().unwrap_or(Seen::Neither);
            if best.as_ref().is_none_or(|(known, ..)| seen < *known) {
                best = Some((seen, stack, found));
            }
        }
        let Some((_, stack, places)) = best else {
            let device = machine.devices.iter().find(|device| {
                !engine.stacks.iter().any(|stack| device.gpu.stacks.contains(stack))
            });
            let gpu = device.or(machine.devices.first()).map(|device| device.gpu);
            return Err(SetupError::NoStack {
                engine: engine.name.clone(),
                device: gpu.map_or_else(String::new, |gpu| gpu.name.clone()),
                supported: words(&engine.stacks),
                offered: gpu.map_or_else(String::new, |gpu| words(&gpu.stacks)),
            });
        };
        let machine = catalog.machine_constants()?;
        let scheduler = match &engine.scheduler.like {
            Some(like) => &catalog.get_in::<Engine>(like)?.1.scheduler,
            None => &engine.scheduler,
        };
        let block_tokens = scheduler.block_tokens;
        Ok(Self { engine_id, engine, stack, places, machine, cpu: None, block_tokens })
    }

    /// The engine on a CPU alone.
    fn on_cpu(
        catalog: &'a Catalog,
        engine_id: &'a Id,
        engine: &'a Engine,
        id: &Id,
        name: &str,
    ) -> Result<Self, SetupError> {
        if !engine.backends.iter().any(|backend| backend.starts_with("cpu")) {
            return Err(SetupError::NoCpuBackend {
                engine: engine.name.clone(),
                cpu: name.to_owned(),
                supported: words(&engine.stacks),
            });
        }
        let (class, site) = place_on_cpu(catalog, engine_id.short(), id)?;
        if !class.measured_on_cpu {
            return Err(SetupError::NotMeasuredOnCpu { engine: engine.name.clone() });
        }
        let constants = Calibration::of(catalog)?.constants(&site);
        let cpu = Some(OnCpu { id: id.clone(), class, site, constants });
        let machine = catalog.machine_constants()?;
        Ok(Self {
            engine_id,
            engine,
            stack: Stack::Cpu,
            places: Vec::new(),
            machine,
            cpu,
            block_tokens: None,
        })
    }
}

fn words(stacks: &[Stack]) -> String {
    stacks.iter().map(|stack| stack_word(*stack)).collect::<Vec<_>>().join(", ")
}

fn place_on<'a>(
    catalog: &'a Catalog,
    calibration: &Calibration,
    engine: &Id,
    stack: Stack,
    device: &Device<'_>,
) -> Result<Place<'a>, CatalogError> {
    let placed = place(catalog, engine.short(), stack, device.id, device.gpu, "")?;
    let measured = calibration.measured(&placed.site);
    let seen = measured.seen(Phase::Decode, 0, 1);
    Ok(Place {
        constants: calibration.constants(&placed.site),
        rates: rates(catalog, device, placed.peak),
        own_rows: calibration.own_rows(&placed.site),
        measured,
        seen,
        placed,
    })
}

fn check_age(engine: &Engine, gpu: &Gpu) -> Result<(), SetupError> {
    let (Some(needed), Some(own)) = (engine.min_compute_capability, &gpu.compute_capability) else {
        return Ok(());
    };
    match own.parse::<f64>() {
        Ok(value) if value < needed => Err(SetupError::TooOld {
            engine: engine.name.clone(),
            device: gpu.name.clone(),
            needed,
            own: own.clone(),
        }),
        _ => Ok(()),
    }
}
