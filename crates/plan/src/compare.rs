//! Machines or models side by side.

use std::collections::BTreeSet;

use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KvType, bytes_for_tokens};
use localrig_estimate::memory::usable;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::{Pace, faster};
use localrig_estimate::work::Work;
use localrig_facts::engine::{Planned, first_planned};
use localrig_facts::format::Format;
use localrig_facts::gpu::Status;
use localrig_facts::machine::{Machine, MachineError, parse_machine};
use localrig_facts::model::Model;
use localrig_facts::noise::NoiseClass;
use localrig_facts::unit::{Bytes, BytesPerSec, TokensPerSec, Watts};
use localrig_facts::{Catalog, CatalogError, Estimate, Id, Money};
use serde::Serialize;

use crate::candidate::{Wall, WallBasis, wall_of_system};
use crate::fit::{FitQuestion, Running, best_format, fit, options_of};
use crate::option::usual_format;
use crate::price::{Market, NoPrice, Price};
use crate::quality::abilities;
use crate::requirement::{FormatWish, Role};

/// Machines side by side.
#[derive(Clone, Debug, Serialize)]
pub struct MachinesCompared {
    /// The day prices are as of.
    pub as_of: String,
    /// The task that models are chosen for.
    pub task: String,
    /// Context of each stream; speeds are with half of it filled.
    pub context_tokens: u64,
    /// Streams at the same time; speeds are of each.
    pub streams: u64,
    /// Least speed of a model that counts as running; absent = any.
    pub least_tok_per_s: Option<TokensPerSec>,
    /// The engine whose usable memory is told.
    pub usable_with: String,
    /// The machines, in the order asked.
    pub machines: Vec<ComparedMachine>,
    /// The model asked for, or those that are the best of some machine, with their speed on each.
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
    /// Power of all accelerators, or of the system at the wall; absent = not recorded.
    pub power: Option<Wall>,
    /// Whether it is a system bought whole, not cards.
    pub is_system: bool,
    /// Noise class of a system; cards depend on their case.
    pub noise: Option<NoiseClass>,
    /// What the accelerators or the systems cost together; absent when a price is missing. The cards
    /// alone make no machine.
    pub cost: Option<Money>,
    /// The price of each kind of them.
    pub prices: Vec<Several>,
    /// What has no price, and why.
    pub no_price: Vec<String>,
    /// Best model for the task that runs on it.
    pub best: Option<String>,
    /// Models with scores for the task that run on it.
    pub runs: usize,
}

/// So many of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Several {
    /// How many.
    pub count: u32,
    /// The price of one.
    pub price: Price,
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
    /// How sure it is which of two machines is the faster, for every two that run it.
    pub paired: Vec<Paired>,
}

/// Two machines with the same model, each in the format and on the engine given for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// One machine.
    pub one: String,
    /// The other.
    pub other: String,
    /// Probability that the one is faster. Errors that both share cancel: see
    /// [`localrig_estimate::speed::faster`].
    pub one_is_faster: f64,
}

/// The model to compare machines by, in place of the best of each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Its name.
    pub model: Option<&'a str>,
    /// Format. Absent: the best that fits on each machine, or one of these on all where all run it.
    pub format: Option<&'a str>,
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
    /// KV cache of one stream by context, as far as the model goes.
    pub kv_by_context: Vec<KvAt>,
    /// KV cache of the longest context in FP16.
    pub kv_longest_bytes: Option<Bytes>,
    /// Ability at the task, 0 to 100; absent = not scored.
    pub quality_index: Option<Estimate<f64>>,
}

/// Size of the KV cache of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct KvAt {
    /// Tokens in the context.
    pub context_tokens: u64,
    /// In FP16.
    pub f16_bytes: Bytes,
    /// In Q8_0: 8 bits and a scale for every 32 elements.
    pub q8_0_bytes: Bytes,
}

/// Contexts that caches are shown for: 8K, 32K, 128K and 200K.
pub const KV_CONTEXTS: [u64; 4] = [8_192, 32_768, 131_072, 204_800];

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
    /// The model is made for shorter contexts.
    #[error("{model} is made for at most {limit} tokens of context, {asked} were asked for")]
    ContextTooLong {
        /// The model.
        model: String,
        /// Its limit.
        limit: u64,
        /// The context asked for.
        asked: u64,
    },
    /// Nobody offers the model in the format.
    #[error("{model} is not to be had in {format}; it is in {offered}")]
    NotOffered {
        /// The model.
        model: String,
        /// The format asked for.
        format: String,
        /// The formats there are.
        offered: String,
    },
}

/// Compares machines by the models that suit the role on them, or by the one wanted.
///
/// # Errors
/// When a name leads to no machine or model, the model cannot be had as wanted, or a catalog file is
/// broken.
pub fn machines(
    market: &Market<'_>,
    names: &[String],
    role: &Role,
    wish: &FormatWish,
    wanted: Wanted<'_>,
) -> Result<MachinesCompared, CompareError> {
    let catalog = market.catalog;
    let mut all: Vec<(Machine<'_>, Vec<Running<'_>>)> = Vec::new();
    for name in names {
        let machine = parse_machine(catalog, name)?;
        let question = question(market, &machine, role, wish);
        all.push((machine, fit(catalog, &question)?.scored));
    }
    let mut models: Vec<ModelAcross> = Vec::new();
    // Unlike formats say little about machines: one of them for all, if all run it.
    let alike = |role: &Role, name: &str, format: Option<&str>| {
        let run = |format: Option<&str>| {
            let mut on: Vec<Option<Running<'_>>> = Vec::new();
            for (machine, _) in &all {
                let question = question(market, machine, role, wish);
                on.push(one_model(catalog, &question, name, format)?);
            }
            Ok::<_, CompareError>(on)
        };
        let on = run(format)?;
        let formats: BTreeSet<String> =
            on.iter().flatten().map(|one| one.option.format_id.short().to_owned()).collect();
        if formats.len() > 1 {
            let count = on.iter().flatten().count();
            for format in formats {
                match run(Some(&format)) {
                    Ok(alike) if alike.iter().flatten().count() == count => return Ok(alike),
                    Ok(_) | Err(CompareError::NotOffered { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(on)
    };
    let across = |name: &str, on: &[Option<Running<'_>>]| {
        let machines = all.iter().map(|(machine, _)| machine);
        let on: Vec<_> = machines.zip(on.iter().map(Option::as_ref)).collect();
        across(catalog, name, &on, role)
    };
    if let Some(name) = wanted.model {
        // Whoever names the model wants to know its speed even where that is low.
        let unhurried = Role { speed_minimum_tok_per_s: None, ..role.clone() };
        let (_, model) = catalog.find::<Model>(name)?;
        models.push(across(&model.name, &alike(&unhurried, name, wanted.format)?));
    } else {
        for (_, running) in &all {
            for best in running.iter().take(2) {
                let name = &best.option.model.name;
                if models.iter().any(|one| one.model == *name) {
                    continue;
                }
                models.push(across(name, &alike(role, best.option.id.short(), None)?));
            }
        }
    }
    let compared = all.iter().map(|(machine, running)| compared(market, machine, running));
    Ok(MachinesCompared {
        as_of: market.date.to_string(),
        task: role.task.clone(),
        context_tokens: role.context_tokens,
        streams: role.streams,
        least_tok_per_s: role.speed_minimum_tok_per_s,
        usable_with: first_planned(market.catalog)?.engine.name.clone(),
        machines: compared.collect::<Result<_, _>>()?,
        models,
    })
}

fn question<'a>(
    market: &Market<'_>,
    machine: &Machine<'a>,
    role: &Role,
    format: &FormatWish,
) -> FitQuestion<'a> {
    FitQuestion {
        machines: vec![machine.clone()],
        role: role.clone(),
        format: format.clone(),
        date: market.date,
        named: Vec::new(),
    }
}

/// One model on a machine, in the format named or the best that fits; `None` when it does not run.
fn one_model<'a>(
    catalog: &'a Catalog,
    question: &FitQuestion<'a>,
    name: &str,
    format: Option<&str>,
) -> Result<Option<Running<'a>>, CompareError> {
    let (id, model) = catalog.find::<Model>(name)?;
    let asked = question.role.context_tokens;
    if asked > model.context_tokens {
        let (model, limit) = (model.name.clone(), model.context_tokens);
        return Err(CompareError::ContextTooLong { model, limit, asked });
    }
    let mut options = options_of(catalog, question, (id, model))?;
    if let Some(format) = format {
        let (wanted, _) = catalog.find::<Format>(format)?;
        let offered: BTreeSet<&str> = options.iter().map(|one| one.format_id.short()).collect();
        let offered = offered.into_iter().collect::<Vec<_>>().join(", ");
        options.retain(|one| one.format_id == wanted);
        if options.is_empty() {
            let (model, format) = (model.name.clone(), wanted.short().to_owned());
            return Err(CompareError::NotOffered { model, format, offered });
        }
    }
    Ok(best_format(catalog, question, &options).and_then(Result::ok))
}

/// A model on every machine, with how sure it is which is faster.
fn across(
    catalog: &Catalog,
    model: &str,
    on: &[(&Machine<'_>, Option<&Running<'_>>)],
    role: &Role,
) -> ModelAcross {
    let speed = |running: &Running<'_>| {
        Some(ModelSpeed {
            format: running.option.format_id.short().to_owned(),
            engine: running.option.engine_id.short().to_owned(),
            tok_per_s: *running.speeds.first()?,
        })
    };
    let paces: Vec<(&Machine<'_>, Pace<'_>)> = on
        .iter()
        .filter_map(|(machine, running)| {
            let option = &(*running)?.option;
            let engine = (option.engine_id, option.engine);
            let setup = Setup::new(catalog, engine.0, engine.1, machine, option.format).ok()?;
            Some((*machine, Pace::new(catalog, &setup, machine, &option.work).ok()?))
        })
        .collect();
    let depth = role.context_tokens / 2;
    let mut paired = Vec::new();
    for (index, (one, pace)) in paces.iter().enumerate() {
        let own = pace.decode(depth, role.streams).per_stream_tok_per_s;
        for (other, theirs) in &paces[index + 1..] {
            let speed = theirs.decode(depth, role.streams).per_stream_tok_per_s;
            paired.push(Paired {
                one: one.name.clone(),
                other: other.name.clone(),
                one_is_faster: faster(&own, &speed, pace.common(theirs, role.streams)),
            });
        }
    }
    let best = on.iter().find_map(|(_, running)| running.as_ref());
    ModelAcross {
        model: model.to_owned(),
        quality_index: best.and_then(|one| one.option.ability.as_ref()).map(|one| one.index),
        speeds: on.iter().map(|(_, running)| running.and_then(speed)).collect(),
        paired,
    }
}

fn compared(
    market: &Market<'_>,
    machine: &Machine<'_>,
    running: &[Running<'_>],
) -> Result<ComparedMachine, CatalogError> {
    let catalog = market.catalog;
    let (mut prices, mut no_price) = (Vec::new(), Vec::new());
    let mut ask = |count: u32, offer: Result<Price, NoPrice>| match offer {
        Ok(price) => prices.push(Several { count, price }),
        Err(error) => no_price.push(error.to_string()),
    };
    let mut power = Some(Wall { power_w: Watts::ZERO, basis: WallBasis::Limits, note: None });
    if let Some((id, system, variant)) = machine.system {
        ask(machine.units, market.offer_of(id, system, variant, true));
        let one = wall_of_system(catalog, system)?;
        power = one.map(|one| Wall { power_w: one.power_w * f64::from(machine.units), ..one });
    } else {
        for device in &machine.devices {
            let sold_new = device.gpu.status.contains(&Status::Retail);
            ask(device.count, market.offer(device.id, None, sold_new, true));
            let more = device.gpu.board.tdp_w.map(|one| one * f64::from(device.count));
            power = power.and_then(|sum| Some(Wall { power_w: sum.power_w + more?, ..sum }));
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
        usable_bytes: usable_with_first(catalog, machine)?,
        bandwidth_bytes_per_s: bandwidth.map(localrig_facts::unit::GbPerS::quantity),
        power,
        is_system: machine.system.is_some(),
        noise: machine
            .system
            .and_then(|(_, system, _)| system.noise.as_ref())
            .and_then(localrig_facts::noise::Noise::class),
        cost: no_price.is_empty().then(|| {
            let amounts = prices.iter().map(|one: &Several| one.price.of(one.count));
            amounts.fold(Money::zero(market.region.currency), |sum, one| sum + one)
        }),
        prices,
        no_price,
        best: running.first().map(|one| one.option.label()),
        runs: running.len(),
    })
}

fn usable_with_first(
    catalog: &Catalog,
    machine: &Machine<'_>,
) -> Result<Option<Bytes>, CatalogError> {
    let Planned { id, engine, .. } = first_planned(catalog)?;
    let Some(made) = &engine.usual_format else { return Ok(None) };
    let (_, format) = catalog.get_in::<Format>(&made.format)?;
    let setup = Setup::new(catalog, id, engine, machine, format);
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
    let engine_id = first_planned(catalog)?.id;
    let mut compared = Vec::new();
    for name in names {
        let (id, model) = catalog.find::<Model>(name)?;
        let layout = layout(catalog, id, model).ok();
        let format = usual_format(catalog, model, engine_id)?.map(|usual| usual.id);
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
            kv_by_context: layout.as_ref().map_or_else(Vec::new, |layout| {
                let reached = KV_CONTEXTS.into_iter().filter(|one| *one <= model.context_tokens);
                let of = |tokens, kv| bytes_for_tokens(layout, tokens, 1, kv);
                let at = |context_tokens| KvAt {
                    context_tokens,
                    f16_bytes: of(context_tokens, KvType::F16),
                    q8_0_bytes: of(context_tokens, KvType::Q8_0),
                };
                reached.map(at).collect()
            }),
            kv_longest_bytes: kv(model.context_tokens),
            quality_index: known.get(id.within_folder()).map(|one| one.index),
        });
    }
    Ok(ModelsCompared { task: task.to_owned(), models: compared })
}
