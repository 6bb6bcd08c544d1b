//! From places to a machine that can be simulated: engines with caches, step times, devices.

mod devices;
mod error;
mod schedule;

use localrig_estimate::architecture::{Heads, layout};
use localrig_estimate::context::KvType;
use localrig_estimate::memory::{Ask, Holding, Setting, margin, usable};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::run::Link;
use localrig_estimate::setup::{Setup, SpeedError};
use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::engine::{Allocation, Engine};
use localrig_facts::format::Format;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::model::Model;
use localrig_facts::unit::Bytes;
use localrig_facts::{Catalog, CatalogError, Id};
use localrig_simulate::engine as scheduler;
use localrig_simulate::pace::{Tower, step_table};
use localrig_simulate::scenario::{Load, Scenario, Server};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::workload::{Role, Workload};

use self::devices::{device_facts, group_machine, groups, link_words, slowest, units};
pub use self::error::ScenarioError;
use self::schedule::{Cache, Pool, Rules, block_bytes, fill_pools, minimum_pool, schedule};
use crate::option::usual_format;
use crate::placement::{Devices, Place};

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
    /// Memory that models, contexts and buffers take on every device of it.
    pub taken: Vec<Bytes>,
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
    let units = units(machine);
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
        taken: Vec::new(),
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
    arranged.taken = held;
    Ok(arranged)
}

/// What is filled while models are added one after the other.
struct Filling<'f> {
    /// Bytes taken on every device.
    held: &'f mut [Bytes],
    pools: &'f mut Vec<Pool>,
    arranged: &'f mut Arranged,
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

/// What a place names, looked up.
struct Chosen<'a> {
    model_id: &'a Id,
    model: &'a Model,
    engine_id: &'a Id,
    engine: &'a Engine,
    format_id: &'a Id,
    format: &'a Format,
    kv: KvType,
}

impl<'a> Chosen<'a> {
    fn of(
        catalog: &'a Catalog,
        place: &Place,
        arrangement: Arrangement<'_>,
    ) -> Result<Self, ScenarioError> {
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
        let kv = place.kv.unwrap_or(arrangement.kv);
        Ok(Self { model_id, model, engine_id, engine, format_id, format, kv })
    }

    /// What each of some replicas is asked to hold for the roles, and the tokens of all contexts.
    fn asked(&self, rules: &Rules<'_>, roles: &[&Role], replicas: u32) -> (Ask, u64) {
        // Slots and contexts, shared out among replicas.
        let open = rules.engine.scheduler.slots.unwrap_or(OPEN_STREAMS);
        let slots = |role: &&Role| role.slots().unwrap_or(open).div_ceil(replicas);
        let streams: u32 = roles.iter().map(slots).sum();
        let cells: u64 =
            roles.iter().map(|role| u64::from(role.context_tokens) * u64::from(slots(role))).sum();
        let context = cells.div_ceil(u64::from(streams));
        let vision = roles.iter().any(|role| role.has_images());
        (Ask { context, streams: u64::from(streams), kv: self.kv, vision }, cells)
    }

    /// How fast a group of devices runs the model.
    fn pace(
        &self,
        catalog: &'a Catalog,
        units: &[Device<'a>],
        (group, place): (&[u32], &Place),
        work: &'a Work,
        link: Option<Link>,
    ) -> Result<Pace<'a>, ScenarioError> {
        let pace_on = |machine: &Machine<'a>| -> Result<Pace<'a>, ScenarioError> {
            let setup = Setup::new(catalog, self.engine_id, self.engine, machine, self.format)?;
            Ok(Pace::new(catalog, &setup, machine, work)?)
        };
        match place.devices {
            // The slowest sets the pace.
            Devices::Tensor(_) if group.len() > 1 => {
                let ways = group.len() as u32;
                if !work.heads.cut_into(ways) {
                    let Heads { query, key } = work.heads;
                    let model = self.model.name.clone();
                    return Err(ScenarioError::NotCut { model, devices: ways, query, key });
                }
                let one = group_machine(units, &[slowest(units, group)]);
                Ok(pace_on(&one)?.cut(ways, link).map_err(SpeedError::from)?)
            }
            _ => pace_on(&group_machine(units, group)),
        }
    }
}

/// Adds a loaded model: a server on each group of devices that holds a copy.
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
    let chosen = Chosen::of(catalog, place, arrangement)?;
    let Chosen { model, engine, .. } = chosen;
    let roles: Vec<&Role> = loaded.roles.iter().map(|role| &workload.roles[*role]).collect();
    check_roles(model, &roles)?;
    let layout = layout(catalog, chosen.model_id, model)?;
    let recipe = Recipe::new(catalog, chosen.format_id, chosen.format)?;
    let read = if arrangement.faster_kv { chosen.kv } else { KvType::F16 };
    let work = Work::new(&layout, &recipe, read);
    let groups = groups(machine, units, &place.devices)?;
    let rules = Rules::of(catalog, chosen.engine_id, engine)?;
    let (ask, cells) = chosen.asked(&rules, &roles, groups.len() as u32);
    for group in groups {
        let whole = group_machine(units, &group);
        let setup = Setup::new(catalog, chosen.engine_id, engine, &whole, chosen.format)?;
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
        let pace = chosen.pace(catalog, units, (&group, place), &work, arrangement.link)?;
        if arrangement.link.is_none() {
            arranged.notes.extend(pace.link().map(link_words));
        }
        let cache = Cache { cells, room: least, copy: pace.copy_rate().map_err(SpeedError::from)? };
        let scheduler = schedule(&rules, &layout, ask, cache, &whole)?;
        let most = match &scheduler {
            scheduler::Engine::Vllm(options) => options.sequences.min(256),
            _ => u32::try_from(ask.streams).unwrap_or(u32::MAX),
        };
        let bytes = fixed + if pool { least } else { size.context };
        let steps = step_table(&pace, &work, tower(model).filter(|_| ask.vision), most);
        let swaps = rules.engine.scheduler.loads_on_demand;
        let total: Bytes = group.iter().map(|unit| units[*unit as usize].memory).sum();
        for unit in group.iter().map(|unit| *unit as usize) {
            let device = units[unit];
            let drawn = || Some(device.gpu.board.tdp_w? * pace.generation_power(device.id)?);
            let facts = &mut arranged.scenario.devices[unit];
            facts.busy = facts.busy.or_else(drawn);
            let share = bytes * (device.memory / total);
            // Such an engine loads a model when it is asked: never more than fit at the same time.
            held[unit] = if swaps { held[unit].max(share) } else { held[unit] + share };
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
            label: format!("{} {} on {}", model.name, chosen.format.name, engine.name),
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
    let reads = |format: &Format| engine.reads(format.container);
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
