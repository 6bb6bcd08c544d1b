//! From places to a machine that can be simulated: engines with caches, step times, devices.

use std::collections::BTreeMap;

use localrig_estimate::architecture::{Heads, Layout, LayoutError, layout};
use localrig_estimate::context::{KvType, bytes_for_tokens, state_bytes};
use localrig_estimate::memory::{Ask, Holding, MemoryError, Setting, margin, usable};
use localrig_estimate::recipe::{Recipe, RecipeError};
use localrig_estimate::run::Link;
use localrig_estimate::setup::{Setup, SetupError, SpeedError};
use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::engine::{Allocation, Engine, Policy};
use localrig_facts::figure::memory;
use localrig_facts::format::Format;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::model::Model;
use localrig_facts::unit::{Bytes, BytesPerSec, GbPerS, Seconds};
use localrig_facts::{Catalog, CatalogError, Id};
use localrig_simulate::engine as scheduler;
use localrig_simulate::pace::{Tower, step_table};
use localrig_simulate::scenario::{DeviceFacts, Load, Scenario, Server};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::workload::{Role, Workload};

use crate::option::usual_format;
use crate::placement::{Devices, Place};

/// Why places make no machine to be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A name leads nowhere, or a catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The model cannot be computed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The format cannot be applied.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The engine does not run there.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A fact about memory is missing.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A fact about speed is missing.
    #[error(transparent)]
    Speed(#[from] SpeedError),
    /// A place is for no role of the workload.
    #[error("the workload has no role `{role}`")]
    NoRole {
        /// The role.
        role: String,
        /// Its roles.
        known: Vec<String>,
    },
    /// A role of the workload has no place.
    #[error("role `{role}` has no model")]
    NoPlace {
        /// The role.
        role: String,
    },
    /// The machine has fewer devices.
    #[error("there is no device {index}: {machine} has {count}, counted from 0")]
    NoDevice {
        /// The number.
        index: u32,
        /// The machine.
        machine: String,
        /// Its devices.
        count: usize,
    },
    /// Its heads cannot be shared out.
    #[error(
        "layers of {model} cannot be cut over {devices} devices: {query} heads with {key} of keys"
    )]
    NotCut {
        /// The model.
        model: String,
        /// Devices.
        devices: u32,
        /// Heads of queries.
        query: u64,
        /// Heads of keys.
        key: u64,
    },
    /// Nobody says in which format the model is used.
    #[error("no usual format is known for {model} on {engine}")]
    NoFormat {
        /// The model.
        model: String,
        /// The engine.
        engine: String,
    },
    /// A role looks at images.
    #[error("{model} takes no images, role `{role}` has some")]
    NoVision {
        /// The model.
        model: String,
        /// The role.
        role: String,
    },
    /// A role's context is longer than the model is made for.
    #[error("{model} is made for at most {limit} tokens of context, role `{role}` has {asked}")]
    ContextTooLong {
        /// The model.
        model: String,
        /// Its limit.
        limit: u64,
        /// The role.
        role: String,
        /// Its context.
        asked: u32,
    },
    /// The catalog does not say how the engine schedules.
    #[error(
        "how {engine} puts steps together is not known: `{fact}` is missing in engine/{id}.toml"
    )]
    NoSchedule {
        /// The engine.
        engine: String,
        /// Its short id.
        id: String,
        /// What is missing.
        fact: &'static str,
    },
    /// The models do not fit.
    #[error("{device}: {} needed, {} usable less {} to be kept free", gib(*needed), gib(*usable), gib(*free))]
    TooSmall {
        /// The device.
        device: String,
        /// What its models take.
        needed: Bytes,
        /// What it offers.
        usable: Bytes,
        /// What is kept free.
        free: Bytes,
    },
}

fn gib(bytes: Bytes) -> String {
    memory(bytes, 1)
}

/// How the machine is set up beside the places.
#[derive(Clone, Copy, Debug)]
pub struct Arrangement<'a> {
    /// Engine of places that name none.
    pub engine: &'a str,
    /// KV cache type.
    pub kv: KvType,
    /// Whether a cache of a smaller type is read faster, as its bytes say; else it only takes less
    /// room.
    pub faster_kv: bool,
    /// How models share a device.
    pub sharing: Sharing,
    /// Link between devices that cut layers; absent = by what the cards have.
    pub link: Option<Link>,
}

/// Requests of an open loop at the same time that a server without a number of slots of its own is
/// given room for: an assumption about users, not about engines.
const OPEN_STREAMS: u32 = 4;

/// A machine to be simulated, with what was assumed on the way.
#[derive(Clone, Debug)]
pub struct Arranged {
    /// What is simulated.
    pub scenario: Scenario,
    /// What was decided without being asked, and assumed without being known.
    pub notes: Vec<String>,
}

/// One loaded model: what several roles and replicas have in common.
struct Loaded<'p> {
    place: &'p Place,
    roles: Vec<usize>,
}

/// The machine with the models of the places, for the roles of a workload.
///
/// Roles with the same model, format, engine and devices share one loaded copy.
///
/// # Errors
/// When a name is unknown, a role has no model, a fact is missing, or the models do not fit.
pub fn arrange<'a>(
    catalog: &'a Catalog,
    machine: &Machine<'a>,
    workload: &Workload,
    places: &[Place],
    arrangement: Arrangement<'_>,
) -> Result<Arranged, ScenarioError> {
    let units: Vec<Device<'a>> = machine
        .devices
        .iter()
        .flat_map(|device| {
            std::iter::repeat_n(Device { count: 1, ..*device }, device.count as usize)
        })
        .collect();
    let mut loaded: Vec<Loaded<'_>> = Vec::new();
    for (index, place) in by_role(workload, places)?.into_iter().enumerate() {
        let same = |one: &&mut Loaded<'_>| {
            Place { role: String::new(), ..one.place.clone() }
                == Place { role: String::new(), ..place.clone() }
        };
        match loaded.iter_mut().find(same) {
            Some(one) => one.roles.push(index),
            None => loaded.push(Loaded { place, roles: vec![index] }),
        }
    }
    let mut arranged = Arranged {
        scenario: Scenario {
            devices: units.iter().map(|unit| device_facts(machine, unit)).collect(),
            sharing: arrangement.sharing,
            servers: Vec::new(),
            routes: vec![Vec::new(); workload.roles.len()],
        },
        notes: Vec::new(),
    };
    let mut held = vec![Bytes::ZERO; units.len()];
    let mut pools = Vec::new();
    for one in &loaded {
        let filling = Filling { held: &mut held, pools: &mut pools, arranged: &mut arranged };
        add(catalog, machine, &units, workload, one, arrangement, filling)?;
    }
    for (unit, (needed, facts)) in held.iter().zip(&arranged.scenario.devices).enumerate() {
        let free = margin(facts.usable);
        if *needed + free > facts.usable && *needed > Bytes::ZERO {
            return Err(ScenarioError::TooSmall {
                device: format!("device {unit} ({})", facts.name),
                needed: *needed,
                usable: facts.usable,
                free,
            });
        }
    }
    fill_pools(&pools, &held, &mut arranged.scenario.servers);
    Ok(arranged)
}

/// What is filled while models are added one after the other.
struct Filling<'f> {
    /// Bytes taken on every device.
    held: &'f mut [Bytes],
    pools: &'f mut Vec<Pool>,
    arranged: &'f mut Arranged,
}

/// A cache that takes what the others leave.
struct Pool {
    server: usize,
    /// What the engine may use of its devices, less what is kept free.
    offered: Bytes,
    /// The least it must have, which is taken already.
    least: Bytes,
    /// What its roles ask for.
    asked: Bytes,
    /// Bytes of a block.
    block: Bytes,
}

/// vLLM fills what its devices have with its cache: what is left is shared out by what was asked.
fn fill_pools(pools: &[Pool], held: &[Bytes], servers: &mut [Server]) {
    for pool in pools {
        let devices = servers[pool.server].devices.clone();
        let taken: Bytes = devices.iter().map(|unit| held[*unit as usize]).sum();
        let rivals = pools.iter().filter(|other| {
            servers[other.server].devices.iter().any(|device| devices.contains(device))
        });
        let asked: Bytes = rivals.map(|other| other.asked).sum();
        let left = (pool.offered - taken).max(Bytes::ZERO);
        let room = pool.least + left * (pool.asked / asked.max(Bytes::new(1.0)));
        if let scheduler::Engine::Vllm(options) = &mut servers[pool.server].engine {
            options.blocks = (room / pool.block) as u32;
        }
    }
}

/// The place of every role, in the order of the workload.
fn by_role<'p>(workload: &Workload, places: &'p [Place]) -> Result<Vec<&'p Place>, ScenarioError> {
    let meant = |place: &Place| -> Option<&str> {
        let names = || workload.roles.iter().map(|role| role.name.as_str());
        let exact = names().find(|name| name.eq_ignore_ascii_case(&place.role));
        let short = place.role.to_lowercase();
        exact.or_else(|| names().find(|name| name.to_lowercase().starts_with(&short)))
    };
    for place in places {
        if meant(place).is_none() {
            return Err(ScenarioError::NoRole {
                role: place.role.clone(),
                known: workload.roles.iter().map(|role| role.name.clone()).collect(),
            });
        }
    }
    workload
        .roles
        .iter()
        .map(|role| {
            let found = places.iter().find(|place| meant(place) == Some(role.name.as_str()));
            found.ok_or_else(|| ScenarioError::NoPlace { role: role.name.clone() })
        })
        .collect()
}

fn device_facts(machine: &Machine<'_>, unit: &Device<'_>) -> DeviceFacts {
    let system = machine.system.map(|(_, system, _)| &system.power);
    let middle = |range: [localrig_facts::unit::Watts; 2]| (range[0] + range[1]) / 2.0;
    let whole = system.filter(|_| machine.devices.iter().all(Device::is_unified));
    let busy = whole.and_then(|power| power.measured_load_w).map(middle);
    DeviceFacts {
        name: unit.gpu.name.clone(),
        usable: unit.usable().unwrap_or(Bytes::ZERO),
        idle: whole.and_then(|power| power.measured_idle_w).map(middle),
        // Where nobody measured it, the models on it say.
        busy,
    }
}

fn add<'a>(
    catalog: &'a Catalog,
    machine: &Machine<'a>,
    units: &[Device<'a>],
    workload: &Workload,
    loaded: &Loaded<'_>,
    arrangement: Arrangement<'_>,
    filling: Filling<'_>,
) -> Result<(), ScenarioError> {
    let Filling { held, pools, arranged } = filling;
    let place = loaded.place;
    let kv = place.kv.unwrap_or(arrangement.kv);
    let (model_id, model) = catalog.find::<Model>(&place.model)?;
    let engine_name = place.engine.as_deref().unwrap_or(arrangement.engine);
    let (engine_id, engine) = catalog.find::<Engine>(engine_name)?;
    let (format_id, format) = if let Some(name) = &place.format {
        readable(catalog, engine, name)?
    } else {
        let usual = usual_format(catalog, model, engine_id)?;
        let id = usual.map(|usual| usual.id).ok_or_else(|| ScenarioError::NoFormat {
            model: model.name.clone(),
            engine: engine.name.clone(),
        })?;
        (id, catalog.get::<Format>(id.as_str())?)
    };
    let roles: Vec<&Role> = loaded.roles.iter().map(|role| &workload.roles[*role]).collect();
    check_roles(model, &roles)?;
    let vision = roles.iter().any(|role| role.has_images());
    let layout = layout(catalog, model_id, model)?;
    let recipe = Recipe::new(catalog, format_id, format)?;
    let work = Work::new(&layout, &recipe, if arrangement.faster_kv { kv } else { KvType::F16 });
    let label = format!("{} {} on {}", model.name, format.name, engine.name);
    let groups = groups(machine, units, &place.devices)?;
    let replicas = groups.len() as u32;
    let rules = Rules::of(catalog, engine_id, engine)?;
    // Slots and contexts, shared out among replicas.
    let open = rules.engine.scheduler.slots.unwrap_or(OPEN_STREAMS);
    let slots = |role: &&Role| role.slots().unwrap_or(open).div_ceil(replicas);
    let streams: u32 = roles.iter().map(slots).sum();
    let cells: u64 =
        roles.iter().map(|role| u64::from(role.context_tokens) * u64::from(slots(role))).sum();
    let context = cells.div_ceil(u64::from(streams));
    let ask = Ask { context, streams: u64::from(streams), kv, vision };
    for group in groups {
        let whole = group_machine(units, &group);
        let setup = Setup::new(catalog, engine_id, engine, &whole, recipe.format)?;
        let holding = Holding {
            setup: &setup,
            machine: &whole,
            model,
            layout: &layout,
            weights: &work.weights,
            setting: &Setting::OWN,
        };
        let size = holding.size(ask)?;
        let fixed = size.weights + size.overhead.value;
        let pool = engine.memory.allocation == Some(Allocation::Pool);
        let block = if pool { rules.block()? } else { 1 };
        let least = minimum_pool(&layout, ask, block);
        let pace = match place.devices {
            // The slowest sets the pace.
            Devices::Tensor(_) if group.len() > 1 => {
                let ways = group.len() as u32;
                if !work.heads.cut_into(ways) {
                    let Heads { query, key } = work.heads;
                    let model = model.name.clone();
                    return Err(ScenarioError::NotCut { model, devices: ways, query, key });
                }
                let one = group_machine(units, &[slowest(units, &group)]);
                let setup = Setup::new(catalog, engine_id, engine, &one, recipe.format)?;
                Pace::new(catalog, &setup, &one, &work)?.cut(ways, arrangement.link)
            }
            _ => Pace::new(catalog, &setup, &whole, &work)?,
        };
        if arrangement.link.is_none() {
            arranged.notes.extend(pace.link().map(link_words));
        }
        let cache = Cache { cells, room: least, copy: pace.copy_rate() };
        let scheduler = schedule(&rules, &layout, ask, cache, &whole)?;
        let most = match &scheduler {
            scheduler::Engine::Vllm(options) => options.sequences.min(256),
            _ => streams,
        };
        let bytes = fixed + if pool { least } else { size.context };
        let tower = tower(model).filter(|_| vision);
        let steps = step_table(&pace, &work, tower, most)?;
        let swaps = rules.engine.scheduler.loads_on_demand;
        let total: Bytes = group.iter().map(|unit| units[*unit as usize].memory).sum();
        for unit in &group {
            let (device, facts) =
                (units[*unit as usize], &mut arranged.scenario.devices[*unit as usize]);
            let drawn = || Some(device.gpu.board.tdp_w? * pace.generation_power(device.id)?);
            facts.busy = facts.busy.or_else(drawn);
            let share = units[*unit as usize].memory / total;
            // Such an engine loads a model when it is asked: never more than fit at the same time.
            let own = if swaps {
                held[*unit as usize].max(bytes * share)
            } else {
                held[*unit as usize] + bytes * share
            };
            held[*unit as usize] = own;
        }
        let index = arranged.scenario.servers.len() as u32;
        if pool {
            let offered = usable(&setup, &whole)?;
            pools.push(Pool {
                server: index as usize,
                offered: offered - margin(offered),
                least,
                asked: size.context,
                block: block_bytes(&layout, ask, block),
            });
        }
        for role in &loaded.roles {
            arranged.scenario.routes[*role].push(index);
        }
        arranged.scenario.servers.push(Server {
            label: label.clone(),
            engine: scheduler,
            steps,
            devices: group,
            load: swaps.then(|| Load { memory: bytes, time: bytes / pace.load_rate() }),
        });
    }
    Ok(())
}

/// The format of a name; when the engine does not read its files, one that it reads and that is
/// called alike: `mxfp4` is `mxfp4_moe` in llama.cpp.
fn readable<'a>(
    catalog: &'a Catalog,
    engine: &Engine,
    name: &str,
) -> Result<(&'a Id, &'a Format), CatalogError> {
    let reads =
        |format: &Format| engine.weight_formats.iter().any(|one| one == format.container.word());
    let found = catalog.find::<Format>(name)?;
    if reads(found.1) {
        return Ok(found);
    }
    let begins = found.0.short().to_lowercase();
    let alike = catalog
        .all::<Format>()?
        .iter()
        .find(|(id, format)| reads(format) && id.short().to_lowercase().starts_with(&begins));
    Ok(alike.unwrap_or(found))
}

fn check_roles(model: &Model, roles: &[&Role]) -> Result<(), ScenarioError> {
    for role in roles {
        if role.has_images() && model.vision.is_none() {
            return Err(ScenarioError::NoVision {
                model: model.name.clone(),
                role: role.name.clone(),
            });
        }
        if u64::from(role.context_tokens) > model.context_tokens {
            return Err(ScenarioError::ContextTooLong {
                model: model.name.clone(),
                limit: model.context_tokens,
                role: role.name.clone(),
                asked: role.context_tokens,
            });
        }
    }
    Ok(())
}

/// The vision tower of a model: 16-bit weights; four patches a token where the merge is not
/// recorded.
pub(crate) fn tower(model: &Model) -> Option<Tower> {
    let vision = model.vision.as_ref()?;
    Some(Tower {
        parameters: vision.mmproj_f16_bytes? as f64 / 2.0,
        patches: vision.merge_size.map_or(4.0, |edge| (edge * edge) as f64),
    })
}

/// The least cache a pool with blocks of so many tokens must have: one context.
fn minimum_pool(layout: &Layout, ask: Ask, block: u32) -> Bytes {
    bytes_for_tokens(layout, ask.context, u64::from(block), ask.kv)
}

/// Bytes a token of context takes in the cache, recurrent state aside.
fn token_bytes(layout: &Layout, ask: Ask) -> Bytes {
    let state = Bytes::new(state_bytes(layout) as f64);
    (bytes_for_tokens(layout, ask.context, 1, ask.kv) - state) / ask.context.max(1) as f64
}

/// Bytes of a block of so many tokens.
fn block_bytes(layout: &Layout, ask: Ask, block: u32) -> Bytes {
    (token_bytes(layout, ask) * f64::from(block)).max(Bytes::new(1.0))
}

/// How an engine schedules: its own facts, or those of the engine that stands for it.
struct Rules<'a> {
    id: &'a Id,
    engine: &'a Engine,
}

impl<'a> Rules<'a> {
    fn of(catalog: &'a Catalog, id: &'a Id, engine: &'a Engine) -> Result<Self, ScenarioError> {
        let (id, engine) = match &engine.scheduler.like {
            Some(like) => catalog.get_in::<Engine>(like)?,
            None => (id, engine),
        };
        Ok(Self { id, engine })
    }

    /// A fact, or the error that it is missing.
    fn needed<T>(&self, fact: &'static str, found: Option<T>) -> Result<T, ScenarioError> {
        found.ok_or_else(|| ScenarioError::NoSchedule {
            engine: self.engine.name.clone(),
            id: self.id.short().to_owned(),
            fact,
        })
    }

    /// Tokens of a block of the cache.
    fn block(&self) -> Result<u32, ScenarioError> {
        let block = self.engine.scheduler.block_tokens.filter(|block| *block > 0);
        self.needed("scheduler.block_tokens", block)
    }
}

/// What an engine has for its cache.
#[derive(Clone, Copy)]
struct Cache {
    /// Tokens it is asked to hold.
    cells: u64,
    /// Bytes of a pool.
    room: Bytes,
    /// Rate of copies to main memory.
    copy: BytesPerSec,
}

/// How the engine schedules, with the room it has.
///
/// # Errors
/// When the catalog lacks a fact about it.
fn schedule(
    rules: &Rules<'_>,
    layout: &Layout,
    ask: Ask,
    cache: Cache,
    machine: &Machine<'_>,
) -> Result<scheduler::Engine, ScenarioError> {
    let facts = &rules.engine.scheduler;
    let state = Bytes::new(state_bytes(layout) as f64);
    // The largest device decides.
    let memory = machine.devices.iter().map(|one| one.memory).fold(Bytes::ZERO, Bytes::max);
    let batched = || {
        let tokens = rules.engine.memory.batched_tokens(memory);
        let tokens = tokens.and_then(|tokens| u32::try_from(tokens).ok());
        rules.needed("memory.batched_tokens", tokens)
    };
    Ok(match rules.needed("scheduler.policy", facts.policy)? {
        Policy::Blocks => {
            let tokens = rules.block()?;
            let block = block_bytes(layout, ask, tokens);
            scheduler::Engine::Vllm(scheduler::vllm::Options {
                blocks: (cache.room / block) as u32,
                block: tokens,
                extra_blocks: (state / block).ceil() as u32,
                budget: batched()?,
                sequences: rules.needed("scheduler.running", facts.running(memory))?,
                caching: rules.needed("scheduler.prefix_caching", facts.prefix_caching)?,
                asynchronous: rules.needed("scheduler.asynchronous", facts.asynchronous)?,
            })
        }
        Policy::Turns => scheduler::Engine::Mlx(scheduler::mlx::Options {
            tokens: u32::try_from(cache.cells).unwrap_or(u32::MAX),
            decode: rules.needed("scheduler.decoding", facts.decoding)?,
            prompts: rules.needed("scheduler.prompts", facts.prompts)?,
            chunk: batched()?,
            kept: rules.needed("scheduler.kept_prompts", facts.kept_prompts)?,
        }),
        Policy::Slots => {
            let unified = rules.needed("scheduler.unified", facts.unified)?;
            let host = rules.needed("scheduler.host_cache_gib", facts.host_cache_gib)?.quantity();
            // Slots with cells of their own are all alike.
            let cells = if unified { cache.cells } else { ask.context * ask.streams };
            let token_bytes = token_bytes(layout, ask);
            scheduler::Engine::Llama(scheduler::llama::Options {
                slots: u32::try_from(ask.streams).unwrap_or(u32::MAX),
                cells: u32::try_from(cells).unwrap_or(u32::MAX),
                unified,
                batch: rules.needed("scheduler.step_tokens", facts.step_tokens)?,
                similarity: rules.needed("scheduler.prompt_similarity", facts.prompt_similarity)?,
                host_tokens: (host / token_bytes.max(Bytes::new(1.0))) as u64,
                token_bytes,
                copy: cache.copy,
                cuts: state == Bytes::ZERO,
            })
        }
    })
}

/// The groups of devices that each hold a copy.
fn groups(
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

fn group_machine<'a>(units: &[Device<'a>], group: &[u32]) -> Machine<'a> {
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
fn slowest(units: &[Device<'_>], group: &[u32]) -> u32 {
    let bandwidth = |one: &&u32| {
        units[**one as usize].gpu.memory.bandwidth_gb_per_s.map_or(0.0, GbPerS::written)
    };
    group.iter().min_by(|a, b| bandwidth(a).total_cmp(&bandwidth(b))).copied().unwrap_or(0)
}

/// What the link between cut layers is taken for, when nobody says.
fn link_words((latency, bandwidth): (Seconds, BytesPerSec)) -> String {
    format!(
        "layers are cut: messages between the devices take {:.0} us and go at {:.0} GB/s each way, as \
         fitted on measured rows",
        latency.to_us(),
        bandwidth.to_gb_per_s()
    )
}
