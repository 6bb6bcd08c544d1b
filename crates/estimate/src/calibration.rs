//! The constants of one engine on one device: priors, and what the fit found at each level.
//!
//! `constant = prior * exp(all + engine + hardware + generation + device + stack + era + unit)`: what was
//! never measured is left out of the sum, so every combination has constants, the less sure the
//! fewer levels speak of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use localrig_facts::calibration::{Classes, EngineClass, Peak, Priors, Spread};
use localrig_facts::gpu::{Gpu, Stack};
use localrig_facts::measured::Phase;
use localrig_facts::{Catalog, CatalogError, Id};

use crate::parameter::{Constants, Parameter};

/// A level of the hierarchy, from what all have in common to one engine on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Everything.
    All,
    /// An engine class.
    Engine,
    /// A hardware class on an accelerator stack.
    Hardware,
    /// A chip generation on an accelerator stack.
    Generation,
    /// A device on an accelerator stack.
    Device,
    /// An engine class on a hardware class.
    Stack,
    /// An engine class's builds of one year on a hardware class.
    Era,
    /// An engine class on a device.
    Unit,
}

impl Level {
    /// Every level, widest first.
    pub const ALL: [Self; 8] = [
        Self::All,
        Self::Engine,
        Self::Hardware,
        Self::Generation,
        Self::Device,
        Self::Stack,
        Self::Era,
        Self::Unit,
    ];

    /// The word in data files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Engine => "engine",
            Self::Hardware => "hardware",
            Self::Generation => "generation",
            Self::Device => "device",
            Self::Stack => "stack",
            Self::Era => "era",
            Self::Unit => "unit",
        }
    }

    /// How far a constant may differ at this level.
    pub const fn sd(self, spread: &Spread) -> f64 {
        match self {
            Self::All => spread.all,
            Self::Engine => spread.engine,
            Self::Hardware => spread.hardware,
            Self::Generation => spread.generation,
            Self::Device => spread.device,
            Self::Stack => spread.stack,
            Self::Era => spread.era,
            Self::Unit => spread.unit,
        }
    }
}

/// Where an engine on a device stands in the hierarchy: its key at every level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Keys in the order of [`Level::ALL`].
    pub keys: [String; Level::ALL.len()],
}

impl Site {
    /// The key at a level.
    pub fn key(&self, level: Level) -> &str {
        &self.keys[level as usize]
    }

    /// The file and its levels that constants come from, as a derivation names them.
    pub(crate) fn fact(&self) -> String {
        let mut levels: Vec<&str> = Vec::new();
        for key in self.keys.iter().map(String::as_str).filter(|key| !key.is_empty()) {
            if !levels.contains(&key) {
                levels.push(key);
            }
        }
        format!("calibration/fitted: {}", levels.join(", "))
    }
}

/// What of a stack has been measured, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// This engine class on this device.
    Unit,
    /// This engine class on this class of hardware.
    Stack,
    /// Neither.
    Neither,
}

impl Seen {
    /// The word in data files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Stack => "stack",
            Self::Neither => "unseen",
        }
    }
}

/// An engine's class and what it implies.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<'a> {
    /// The engine's class.
    pub class: &'a EngineClass,
    /// The rate its prefill is measured by on this stack.
    pub peak: Peak,
    /// Its place in the hierarchy.
    pub site: Site,
}

/// The class of an engine on a device, for a build of `date` (`2024-05`; empty = current).
///
/// # Errors
/// When the classes are not in the catalog.
pub fn place<'a>(
    catalog: &'a Catalog,
    engine: &str,
    stack: Stack,
    device: &Id,
    gpu: &Gpu,
    date: &str,
) -> Result<Placed<'a>, CatalogError> {
    let classes = catalog.classes()?;
    let (name, class) = class_of(classes, engine)?;
    let era = date.get(..4).unwrap_or(&classes.current_era);
    let generation = gpu.generation.as_deref().unwrap_or("unknown");
    let on_stack = || classes.hardware.iter().filter(|(_, one)| one.stacks.contains(&stack));
    let (hardware, _) = on_stack()
        .find(|(_, one)| one.generations.iter().any(|own| own == generation))
        .or_else(|| on_stack().find(|(_, one)| one.generations.is_empty()))
        .unzip();
    let hardware = hardware.map_or("unknown", String::as_str);
    let word = stack_key(stack);
    let short = device.short();
    Ok(Placed {
        class,
        peak: if stack == Stack::Cuda { class.cuda_peak } else { Peak::Fp16Any },
        site: Site {
            keys: [
                String::new(),
                name.clone(),
                hardware.to_owned(),
                format!("{word} {generation}"),
                format!("{word} {short}"),
                format!("{name} on {hardware}"),
                format!("{name} {era} on {hardware}"),
                format!("{name} on {word} {short}"),
            ],
        },
    })
}

/// The class of an engine on a CPU without an accelerator, and its place in the hierarchy.
///
/// # Errors
/// When the classes are not in the catalog.
pub fn place_on_cpu<'a>(
    catalog: &'a Catalog,
    engine: &str,
    cpu: &Id,
) -> Result<(&'a EngineClass, Site), CatalogError> {
    let classes = catalog.classes()?;
    let (name, class) = class_of(classes, engine)?;
    let (short, era) = (cpu.short(), &classes.current_era);
    let keys = [
        String::new(),
        name.clone(),
        "cpu".to_owned(),
        "cpu".to_owned(),
        format!("cpu {short}"),
        format!("{name} on cpu"),
        format!("{name} {era} on cpu"),
        format!("{name} on cpu {short}"),
    ];
    Ok((class, Site { keys }))
}

fn class_of<'a>(
    classes: &'a Classes,
    engine: &str,
) -> Result<(&'a String, &'a EngineClass), CatalogError> {
    let holds = |class: &EngineClass| class.engines.iter().any(|one| one == engine);
    classes
        .engines
        .iter()
        .find(|(_, class)| holds(class))
        .or_else(|| classes.engines.iter().find(|(name, _)| *name == OTHER))
        .ok_or_else(|| CatalogError::Missing { id: format!("calibration/class: engine.{OTHER}") })
}

/// The class of engines that no class names.
const OTHER: &str = "other";

/// MLX and Metal are two ways to the same chip, as SYCL and XPU are.
const fn stack_key(stack: Stack) -> &'static str {
    match stack {
        Stack::Cuda => "cuda",
        Stack::Rocm => "rocm",
        Stack::Vulkan => "vulkan",
        Stack::Metal => "metal",
        Stack::Mlx => "mlx",
        Stack::Sycl | Stack::Xpu => "sycl",
        _ => "other",
    }
}

/// Measured rows by phase, and how far they reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseRows {
    /// Generation.
    pub decode: u32,
    /// Prompts.
    pub prefill: u32,
    /// Most tokens of context in generation.
    pub decode_depth: u64,
    /// Most streams in generation.
    pub decode_streams: u64,
    /// Most tokens that a prompt ended at.
    pub prefill_depth: u64,
}

/// Rows say something of runs up to this many times the context and the streams they were measured
/// with: the curves bend slowly, but they bend.
const REACH: u64 = 4;

/// Tokens of context that rows of an empty context say something of as well.
const SHALLOW: u64 = 4096;

impl PhaseRows {
    /// Counts a row in.
    pub fn count(&mut self, phase: Phase, depth: u64, streams: u64) {
        match phase {
            Phase::Decode => {
                self.decode += 1;
                self.decode_depth = self.decode_depth.max(depth);
                self.decode_streams = self.decode_streams.max(streams);
            }
            Phase::Prefill => {
                self.prefill += 1;
                self.prefill_depth = self.prefill_depth.max(depth);
            }
        }
    }

    /// Whether the rows say something of a run with so many tokens of context and streams.
    fn covers(self, phase: Phase, depth: u64, streams: u64) -> bool {
        let deep = |measured: u64| depth <= SHALLOW.max(measured.saturating_mul(REACH));
        match phase {
            Phase::Decode => {
                self.decode > 0
                    && deep(self.decode_depth)
                    && streams <= self.decode_streams.saturating_mul(REACH)
            }
            Phase::Prefill => self.prefill > 0 && deep(self.prefill_depth),
        }
    }
}

/// What was measured of an engine on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// On the device itself.
    pub unit: PhaseRows,
    /// On devices of its class.
    pub stack: PhaseRows,
}

impl Measured {
    /// What of it tells something of a run; far beyond what was measured it is as if nothing had
    /// been.
    pub fn seen(self, phase: Phase, depth: u64, streams: u64) -> Seen {
        if self.unit.covers(phase, depth, streams) {
            Seen::Unit
        } else if self.stack.covers(phase, depth, streams) {
            Seen::Stack
        } else {
            Seen::Neither
        }
    }
}

/// Every constant at every level, ready to be summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Logarithms of the priors.
    base: Vec<f64>,
    /// By level and key: logarithms of the factors in which the belief differs.
    beliefs: [BTreeMap<String, Vec<(Parameter, f64)>>; Level::ALL.len()],
    /// By level and key: differences of logarithms.
    levels: [BTreeMap<String, Vec<(Parameter, f64)>>; Level::ALL.len()],
    /// Rows behind a key.
    rows: [BTreeMap<String, PhaseRows>; Level::ALL.len()],
    /// By unit: what the user's own measurements add, and how many there are.
    own: BTreeMap<String, (Vec<(Parameter, f64)>, u32)>,
}

impl Calibration {
    /// The calibration in the catalog, the user's own measurements included.
    ///
    /// # Errors
    /// When a file of it is missing or broken, or lacks a constant.
    pub fn of(catalog: &Catalog) -> Result<Arc<Self>, CatalogError> {
        catalog.derived(Self::with_own)
    }

    fn with_own(catalog: &Catalog) -> Result<Self, CatalogError> {
        let mut calibration = Self::published(catalog)?;
        let units = catalog.own_fit()?.and_then(|own| own.level.get(Level::Unit.key()));
        for (key, differences) in units.into_iter().flatten() {
            let known = differences
                .by_parameter
                .iter()
                .filter_map(|(name, value)| Some((Parameter::of(name)?, *value)));
            let rows = differences.decode_rows + differences.prefill_rows;
            calibration.own.insert(key.clone(), (known.collect(), rows));
        }
        Ok(calibration)
    }

    /// The calibration in the catalog without the user's own measurements.
    ///
    /// # Errors
    /// When a file of it is missing or broken, or lacks a constant.
    pub fn published(catalog: &Catalog) -> Result<Self, CatalogError> {
        let mut own = Self::prior(catalog.priors()?)?;
        let fitted = catalog.fitted()?;
        for level in Level::ALL {
            for (key, differences) in fitted.level.get(level.key()).into_iter().flatten() {
                let known = differences
                    .by_parameter
                    .iter()
                    .filter_map(|(name, value)| Some((Parameter::of(name)?, *value)));
                let rows = PhaseRows {
                    decode: differences.decode_rows,
                    prefill: differences.prefill_rows,
                    decode_depth: differences.decode_depth,
                    decode_streams: differences.decode_streams,
                    prefill_depth: differences.prefill_depth,
                };
                own.set(level, key, known.collect(), rows);
            }
        }
        Ok(own)
    }

    /// The priors alone.
    ///
    /// # Errors
    /// When a constant has no prior.
    pub fn prior(priors: &Priors) -> Result<Self, CatalogError> {
        let base = Parameter::ALL
            .iter()
            .map(|parameter| {
                let missing = || CatalogError::Missing {
                    id: format!("calibration/prior: parameter.{}", parameter.key()),
                };
                priors.parameters.get(parameter.key()).map(|one| one.value.ln()).ok_or_else(missing)
            })
            .collect::<Result<_, _>>()?;
        let mut own = Self { base, ..Self::default() };
        for level in Level::ALL {
            for (key, factors) in priors.factors.get(level.key()).into_iter().flatten() {
                let known = factors
                    .iter()
                    .filter_map(|(name, factor)| Some((Parameter::of(name)?, factor.ln())));
                own.beliefs[level as usize].insert(key.clone(), known.collect());
            }
        }
        Ok(own)
    }

    /// Sets what one key of a level differs by, and the rows behind it.
    pub fn set(&mut self, level: Level, key: &str, values: Vec<(Parameter, f64)>, rows: PhaseRows) {
        self.levels[level as usize].insert(key.to_owned(), values);
        self.rows[level as usize].insert(key.to_owned(), rows);
    }

    /// The constants that hold before anything is known of engine and device.
    pub fn general(&self) -> Constants {
        Constants(std::array::from_fn(|parameter| self.base[parameter].exp()))
    }

    /// The constants of a site.
    pub fn constants(&self, site: &Site) -> Constants {
        let mut sums = [0.0; Parameter::COUNT];
        sums.copy_from_slice(&self.base);
        for level in Level::ALL {
            let key = site.key(level);
            let believed = self.beliefs[level as usize].get(key);
            let found = self.levels[level as usize].get(key);
            for (parameter, value) in believed.into_iter().chain(found).flatten() {
                sums[*parameter as usize] += value;
            }
        }
        let own = self.own.get(site.key(Level::Unit));
        for (parameter, value) in own.into_iter().flat_map(|(values, _)| values) {
            sums[*parameter as usize] += value;
        }
        Constants(sums.map(f64::exp))
    }

    /// Measured rows behind a site at a level.
    pub fn rows(&self, site: &Site, level: Level) -> PhaseRows {
        self.rows[level as usize].get(site.key(level)).copied().unwrap_or_default()
    }

    /// The user's own measurements of a site.
    pub fn own_rows(&self, site: &Site) -> u32 {
        self.own.get(site.key(Level::Unit)).map_or(0, |(_, rows)| *rows)
    }

    /// What of a site has been measured.
    pub fn measured(&self, site: &Site) -> Measured {
        Measured { unit: self.rows(site, Level::Unit), stack: self.rows(site, Level::Stack) }
    }

    /// The levels that say something of a constant at a site, with what each adds to its logarithm.
    pub fn origin(&self, site: &Site, parameter: Parameter) -> Vec<(Level, f64)> {
        Level::ALL
            .into_iter()
            .filter_map(|level| {
                let known = self.levels[level as usize].get(site.key(level))?;
                let (_, value) = known.iter().find(|(one, _)| *one == parameter)?;
                Some((level, *value))
            })
            .collect()
    }
}
