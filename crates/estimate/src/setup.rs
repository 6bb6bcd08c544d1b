//! How a machine would run a model: engine, stack, and the constants that hold for them.

use localrig_facts::calibration::Class;
use localrig_facts::engine::Engine;
use localrig_facts::format::{Container, Format};
use localrig_facts::gpu::{Gpu, Stack};
use localrig_facts::machine::{Device, Machine};
use localrig_facts::{Basis, Catalog, CatalogError, Id};

use crate::decode::Rates;
use crate::rate::{self, MissingFact};

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
    /// Nobody has measured this engine on this kind of device.
    #[error(
        "missing fact: no calibration for {engine} with {stack} on generation {generation} ({device})"
    )]
    NoClass {
        /// The engine.
        engine: String,
        /// The stack.
        stack: &'static str,
        /// The chip generation.
        generation: String,
        /// The device.
        device: String,
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
        let readable = format.container.word();
        let reads = engine.weight_formats.iter().any(|one| one == readable)
            // MLX engines list their own container only.
            || (format.container == Container::Mlx && engine.stacks == [Stack::Mlx]);
        if !reads {
            return Err(SetupError::NotRead {
                engine: engine.name.clone(),
                format: format.name.clone(),
                container: readable,
            });
        }
        for device in &machine.devices {
            check_age(engine, device.gpu)?;
        }
        let runs = |stack: &Stack| {
            engine.stacks.contains(stack)
                && machine.devices.iter().all(|device| device.gpu.stacks.contains(stack))
        };
        let possible: Vec<Stack> = PREFERENCE.into_iter().filter(runs).collect();
        let measured = possible.iter().copied().find(|stack| {
            machine
                .devices
                .iter()
                .all(|device| class(catalog, engine_id, engine, *stack, device).is_ok())
        });
        let Some(stack) = measured.or_else(|| possible.first().copied()) else {
            let words = |stacks: &[Stack]| {
                stacks.iter().map(|stack| stack_word(*stack)).collect::<Vec<_>>().join(", ")
            };
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
        Ok(Self { engine_id, engine, stack })
    }

    /// The constants for a device.
    ///
    /// # Errors
    /// When there are none.
    pub fn class(
        &self,
        catalog: &'a Catalog,
        device: &Device<'_>,
    ) -> Result<(&'a Id, &'a Class), SpeedError> {
        class(catalog, self.engine_id, self.engine, self.stack, device)
    }

    /// The rates of a device, with the matrix rate the class refers to.
    ///
    /// # Errors
    /// When the bandwidth or the shader rate is not in the catalog.
    pub fn rates(
        &self,
        catalog: &Catalog,
        class: &Class,
        device: &Device<'_>,
        native: Option<&str>,
    ) -> Result<(Rates, Result<Basis, MissingFact>), SpeedError> {
        let peak = class.prefill.as_ref().map_or(
            Err(MissingFact { id: device.id.clone(), key: "prefill constants".to_owned() }),
            |prefill| rate::peak(catalog, device.id, device.gpu, prefill.peak, native),
        );
        let rates = Rates {
            bandwidth: rate::bandwidth(device.id, device.gpu)?,
            shader: rate::shader(device.id, device.gpu)?,
            matrix: peak.as_ref().ok().map(|(rate, _)| *rate),
        };
        Ok((rates, peak.map(|(_, basis)| basis)))
    }
}

fn class<'a>(
    catalog: &'a Catalog,
    engine_id: &Id,
    engine: &Engine,
    stack: Stack,
    device: &Device<'_>,
) -> Result<(&'a Id, &'a Class), SpeedError> {
    let generation = device.gpu.generation.as_deref().unwrap_or_default();
    catalog
        .all::<Class>()?
        .iter()
        .find(|(_, class)| {
            class.stack == stack
                && class.engines.iter().any(|one| one == engine_id.short())
                && class.generations.iter().any(|one| one == generation)
        })
        .ok_or_else(|| SpeedError::NoClass {
            engine: engine.name.clone(),
            stack: stack_word(stack),
            generation: if generation.is_empty() { "(not given)" } else { generation }.to_owned(),
            device: device.gpu.name.clone(),
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
