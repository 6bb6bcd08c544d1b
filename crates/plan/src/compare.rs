//! Machines or models side by side.

use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KvType, bytes_for_tokens};
use localrig_estimate::memory::usable;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::setup::Setup;
use localrig_estimate::work::Work;
use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::machine::{Machine, MachineError, parse_machine};
use localrig_facts::model::Model;
use localrig_facts::noise::NoiseClass;
use localrig_facts::unit::{Bytes, BytesPerSec, TokensPerSec, Watts};
use localrig_facts::{Catalog, CatalogError, Estimate, Id};
use serde::Serialize;

use crate::fit::{FitQuestion, Running, fit};
use crate::option::usual_format;
use crate::price::{Goods, Market, Price};
use crate::quality::abilities;
use crate::requirement::{FormatWish, Role};

/// Machines side by side.
#[derive(Clone, Debug, Serialize)]
pub struct MachinesCompared {
    /// The day prices are as of.
    pub as_of: String,
    /// The task that models are chosen for.
    pub task: String,
    /// Context of the stream whose speed is given.
    pub context_tokens: u64,
    /// The machines, in the order asked.
    pub machines: Vec<ComparedMachine>,
    /// Models that are the best of some machine, with their speed on each.
    pub models: Vec<ModelAcross>,
}

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedMachine {
    /// Name.
    pub name: String,
    /// Accelerators.
    pub accelerators: u32,
    /// Installed accelerator memory.
    pub memory_bytes: Bytes,
    /// What llama.cpp may use of it; absent when a fact is missing.
    pub usable_bytes: Option<Bytes>,
    /// Bandwidth of the fastest accelerator; absent = not recorded.
    pub bandwidth_bytes_per_s: Option<BytesPerSec>,
    /// Power of all accelerators, or of the system; absent = not recorded.
    pub power_w: Option<Watts>,
    /// Noise class of a system; cards depend on their case.
    pub noise: Option<NoiseClass>,
    /// Prices of the accelerators, or of the system: the cards alone make no machine.
    pub prices: Vec<Price>,
    /// What has no price, and why.
    pub no_price: Vec<String>,
    /// Best model for the task that runs on it.
    pub best: Option<String>,
    /// Models with scores for the task that run on it.
    pub runs: usize,
}

/// A model on every machine.
#[derive(Clone, Debug, Serialize)]
pub struct ModelAcross {
    /// Model.
    pub model: String,
    /// Ability at the task, 0 to 100.
    pub quality_index: Option<Estimate<f64>>,
    /// Format and speed of one stream with a half-full context on each machine, in their order;
    /// absent where it does not run.
    pub speeds: Vec<Option<ModelSpeed>>,
}

/// A model's speed on a machine.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSpeed {
    /// Format, the best that fits.
    pub format: String,
    /// Engine.
    pub engine: String,
    /// Speed of one stream.
    pub tok_per_s: Estimate<TokensPerSec>,
}

/// Models side by side.
#[derive(Clone, Debug, Serialize)]
pub struct ModelsCompared {
    /// The task of the quality index.
    pub task: String,
    /// The models, in the order asked.
    pub models: Vec<ComparedModel>,
}

/// A model.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedModel {
    /// Id.
    pub id: Id,
    /// Name.
    pub name: String,
    /// All parameters.
    pub parameters: u64,
    /// Parameters that work on a token; absent when its tensors are not recorded.
    pub active_parameters: Option<u64>,
    /// Whether only some of its experts work on a token; absent when its tensors are not recorded.
    pub mixture: Option<bool>,
    /// Longest context.
    pub context_tokens: u64,
    /// Release.
    pub released: Option<String>,
    /// Licence.
    pub licence: Option<String>,
    /// Whether it looks at images.
    pub images: bool,
    /// Usual format on llama.cpp.
    pub format: Option<String>,
    /// Size in it.
    pub weights_bytes: Option<Bytes>,
    /// Bytes read per token in it, at an empty context.
    pub read_per_token_bytes: Option<Bytes>,
    /// KV cache of 32,768 tokens in FP16.
    pub kv_32k_bytes: Option<Bytes>,
    /// KV cache of the longest context in FP16.
    pub kv_longest_bytes: Option<Bytes>,
    /// Ability at the task, 0 to 100; absent = not scored.
    pub quality_index: Option<Estimate<f64>>,
}

/// Why there is no comparison.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A machine is not known.
    #[error(transparent)]
    Machine(#[from] MachineError),
}

/// Compares machines by the models that suit the role on them.
///
/// # Errors
/// When a name leads to no machine or a catalog file is broken.
pub fn machines(
    market: &Market<'_>,
    names: &[String],
    role: &Role,
    format: &FormatWish,
) -> Result<MachinesCompared, CompareError> {
    let catalog = market.catalog;
    let mut all: Vec<(Machine<'_>, Vec<Running<'_>>)> = Vec::new();
    for name in names {
        let machine = parse_machine(catalog, name)?;
        let question = FitQuestion {
            machines: vec![machine.clone()],
            role: role.clone(),
            format: format.clone(),
            date: market.date,
        };
        all.push((machine, fit(catalog, &question)?.scored));
    }
    let mut models: Vec<ModelAcross> = Vec::new();
    for (_, running) in &all {
        for best in running.iter().take(2) {
            let name = &best.option.model.name;
            if models.iter().any(|one| one.model == *name) {
                continue;
            }
            let on = |running: &Vec<Running<'_>>| {
                let one = running.iter().find(|one| one.option.id == best.option.id)?;
                Some(ModelSpeed {
                    format: one.option.format_id.short().to_owned(),
                    engine: one.option.engine_id.short().to_owned(),
                    tok_per_s: *one.speeds.first()?,
                })
            };
            models.push(ModelAcross {
                model: name.clone(),
                quality_index: best.option.ability.as_ref().map(|one| one.index),
                speeds: all.iter().map(|(_, running)| on(running)).collect(),
            });
        }
    }
    let compared = all.iter().map(|(machine, running)| compared(market, machine, running));
    Ok(MachinesCompared {
        as_of: market.date.to_string(),
        task: role.task.clone(),
        context_tokens: role.context_tokens,
        machines: compared.collect::<Result<_, _>>()?,
        models,
    })
}

fn compared(
    market: &Market<'_>,
    machine: &Machine<'_>,
    running: &[Running<'_>],
) -> Result<ComparedMachine, CatalogError> {
    let catalog = market.catalog;
    let (mut prices, mut no_price) = (Vec::new(), Vec::new());
    let mut ask = |id: &Id, variant: Option<&str>| {
        let price = market
            .price(id, variant, Goods::New)
            .or_else(|error| market.price(id, variant, Goods::Used).map_err(|_| error));
        match price {
            Ok(price) => prices.push(price),
            Err(error) => no_price.push(error.to_string()),
        }
    };
    let mut power = Some(Watts::ZERO);
    if let Some((id, system, variant)) = machine.system {
        ask(id, Some(&variant.key));
        let known = &system.power;
        let one = known.max_w.or(known.supply_w);
        power = one.map(|one| one * f64::from(machine.units));
    } else {
        for device in &machine.devices {
            ask(device.id, None);
            let more = device.gpu.board.tdp_w.map(|one| one * f64::from(device.count));
            power = power.and_then(|sum| Some(sum + more?));
        }
    }
    let bandwidth = machine
        .devices
        .iter()
        .filter_map(|device| device.gpu.memory.bandwidth_gb_per_s)
        .max_by(|a, b| a.written().total_cmp(&b.written()));
    Ok(ComparedMachine {
        name: machine.name.clone(),
        accelerators: machine.devices.iter().map(|device| device.count).sum(),
        memory_bytes: machine
            .devices
            .iter()
            .map(|device| device.memory * f64::from(device.count))
            .sum(),
        usable_bytes: usable_with_llama(catalog, machine)?,
        bandwidth_bytes_per_s: bandwidth.map(localrig_facts::unit::GbPerS::quantity),
        power_w: power,
        noise: machine
            .system
            .and_then(|(_, system, _)| system.noise.as_ref())
            .and_then(localrig_facts::noise::Noise::class),
        prices,
        no_price,
        best: running.first().map(|one| one.option.label()),
        runs: running.len(),
    })
}

fn usable_with_llama(
    catalog: &Catalog,
    machine: &Machine<'_>,
) -> Result<Option<Bytes>, CatalogError> {
    let (engine_id, engine) = catalog.find::<Engine>("llama.cpp")?;
    let (_, format) = catalog.find::<Format>("q4_k_m")?;
    let setup = Setup::new(catalog, engine_id, engine, machine, format);
    Ok(setup.ok().and_then(|setup| usable(&setup, machine).ok()))
}

/// Compares models.
///
/// # Errors
/// When a name leads to no model or a catalog file is broken.
pub fn models(
    catalog: &Catalog,
    names: &[String],
    task: &str,
) -> Result<ModelsCompared, CatalogError> {
    let known = abilities(catalog, task)?;
    let (engine_id, _) = catalog.find::<Engine>("llama.cpp")?;
    let mut compared = Vec::new();
    for name in names {
        let (id, model) = catalog.find::<Model>(name)?;
        let layout = layout(catalog, id, model).ok();
        let format = usual_format(catalog, model, engine_id)?;
        let mut work = None;
        if let (Some(layout), Some(format_id)) = (&layout, format) {
            let entry = catalog.get::<Format>(format_id.as_str())?;
            if let Ok(recipe) = Recipe::new(catalog, format_id, entry) {
                work = Some(Work::new(layout, &recipe, KvType::F16));
            }
        }
        let kv = |tokens: u64| {
            let layout = layout.as_ref()?;
            Some(bytes_for_tokens(layout, tokens.min(model.context_tokens), 1, KvType::F16))
        };
        let counted = work.as_ref().map(|work| work.active_parameters().round() as u64);
        compared.push(ComparedModel {
            id: id.clone(),
            name: model.name.clone(),
            parameters: model.parameters.total,
            active_parameters: model.parameters.active.or(counted),
            mixture: work.as_ref().map(Work::is_mixture),
            context_tokens: model.context_tokens,
            released: model.released.map(|day| day.to_string()),
            licence: model.licence.clone(),
            images: model.vision.is_some(),
            format: format.map(|id| id.short().to_owned()),
            weights_bytes: work.as_ref().map(|work| work.weights.loaded),
            read_per_token_bytes: work.as_ref().map(Work::active_bytes),
            kv_32k_bytes: kv(32_768),
            kv_longest_bytes: kv(model.context_tokens),
            quality_index: known.get(id.within_folder()).map(|one| one.index),
        });
    }
    Ok(ModelsCompared { task: task.to_owned(), models: compared })
}
