//! The answer to "how does this model do on this machine": memory and speed together.

use localrig_facts::engine::{Allocation, Engine};
use localrig_facts::format::Format;
use localrig_facts::machine::Machine;
use localrig_facts::model::Model;
use localrig_facts::{Catalog, CatalogError, Id};
use serde::Serialize;

use crate::architecture::{LayoutError, layout};
use crate::context::KvType;
use crate::memory::{Ask, Holding, Limits, Memory, MemoryError, Setting};
use crate::placement::SplitMode;
use crate::recipe::{Recipe, RecipeError};
use crate::setup::{Setup, SetupError, SpeedError, stack_word};
use crate::speed::{DecodeSpeed, HostFacts, Pace, PrefillSpeed};
use crate::term::Term;
use crate::work::Work;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// A catalog file is missing or broken.
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
    /// The model does not go that far.
    #[error("{model} is made for at most {limit} tokens of context, {asked} were asked for")]
    ContextTooLong {
        /// The model.
        model: String,
        /// Its limit.
        limit: u64,
        /// The context asked for.
        asked: u64,
    },
    /// Images were asked for.
    #[error("{model} takes no images")]
    NoVision {
        /// The model.
        model: String,
    },
    /// The engine cannot store its cache like this.
    #[error("{engine} has no KV cache of type {kv}: it has {offered}")]
    KvType {
        /// The engine.
        engine: String,
        /// The type asked for.
        kv: &'static str,
        /// The types it has, in its own spelling.
        offered: String,
    },
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The model.
    pub model: (&'a Id, &'a Model),
    /// The machine.
    pub machine: &'a Machine<'a>,
    /// The engine.
    pub engine: (&'a Id, &'a Engine),
    /// The format.
    pub format: (&'a Id, &'a Format),
    /// Contexts and streams.
    pub ask: Ask,
    /// What the engine is told beside.
    pub setting: &'a Setting,
}

/// Context when none is asked for and the engine has no default of its own.
const USUAL_CONTEXT: u64 = 32_768;

/// Context of a stream when none is asked for: the engine's own default on the machine, else 32,768
/// tokens; never more than the model is made for.
pub fn usual_context(model: &Model, machine: &Machine<'_>, engine: &Engine) -> u64 {
    let devices = machine.devices.iter();
    let memory = devices.map(|device| device.memory * f64::from(device.count)).sum();
    engine.memory.default_context(memory).unwrap_or(USUAL_CONTEXT).min(model.context_tokens)
}

/// Memory and speed.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// What was asked, in full: nothing is left to a default unseen.
    pub asked: Asked,
    /// Memory.
    pub memory: Memory,
    /// How far offload has to go, where the engine deals layers out between host and devices.
    pub limits: Option<Limits>,
    /// Speed; absent when a fact for it is missing.
    pub speed: Option<Speed>,
    /// Facts that were missing.
    pub missing: Vec<String>,
    /// The derivation of the speed.
    #[serde(skip)]
    pub speed_terms: Vec<Term>,
}

/// The question as it was understood.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Model id.
    pub model: String,
    /// Model name.
    pub model_name: String,
    /// Machine.
    pub machine: String,
    /// Engine id.
    pub engine: String,
    /// Stack.
    pub stack: &'static str,
    /// Format id.
    pub format: String,
    /// Why this format, where nobody named one and nobody is known to publish the model in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_reason: Option<String>,
    /// KV cache type.
    pub kv_type: &'static str,
    /// Context of each stream.
    pub context_tokens: u64,
    /// Streams.
    pub streams: u64,
}

/// Speed of generation and of prompts.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// Generation at several depths.
    pub decode: Vec<DecodeSpeed>,
    /// Prompts of several lengths.
    pub prefill: Vec<PrefillSpeed>,
    /// What the figures rest on.
    pub grounds: String,
}

/// Answers a question.
///
/// # Errors
/// When memory cannot be computed. A missing fact that only speed needs leaves [`Answer::speed`]
/// empty and is named in [`Answer::missing`].
pub fn estimate<'a>(catalog: &'a Catalog, question: Question<'a>) -> Result<Answer, EstimateError> {
    let (model_id, model) = question.model;
    let ask = question.ask;
    if ask.context > model.context_tokens {
        return Err(EstimateError::ContextTooLong {
            model: model.name.clone(),
            limit: model.context_tokens,
            asked: ask.context,
        });
    }
    if ask.vision && model.vision.is_none() {
        return Err(EstimateError::NoVision { model: model.name.clone() });
    }
    check_kv(question.engine.1, ask.kv)?;
    let layout = layout(catalog, model_id, model)?;
    let recipe = Recipe::new(catalog, question.format.0, question.format.1)?;
    let setup =
        Setup::new(catalog, question.engine.0, question.engine.1, question.machine, recipe.format)?;
    let work = Work::new(&layout, &recipe, ask.kv);
    let holding = Holding {
        setup: &setup,
        machine: question.machine,
        model,
        layout: &layout,
        weights: &work.weights,
        setting: question.setting,
    };
    let memory = holding.memory(ask)?;
    let limits = holding.limits(ask)?;

    let mut missing = Vec::new();
    let facts = &question.engine.1.memory;
    if facts.allocation != Some(Allocation::Cells) && facts.activation_gib.is_none() {
        missing.push(format!(
            "buffers beside the cache: missing fact: memory.activation_gib of {}; they come on top",
            question.engine.0
        ));
    }
    if facts.share_of.is_some() && memory.pool.is_none() {
        missing.push(format!(
            "tokens in the pool: missing fact: memory.device_share of {}; say it with \
             --gpu-memory-utilization",
            question.engine.0
        ));
    }
    let pace = match (&setup.cpu, question.machine.cpu) {
        (Some(on), Some((_, cpu))) => {
            question.setting.host_bandwidth.ok_or(SpeedError::CpuBandwidth).and_then(|bandwidth| {
                let cores = question.setting.host_cores.unwrap_or(cpu.cores);
                Pace::on_cpu(catalog, on, &work, bandwidth, cores)
            })
        }
        _ => Pace::new(catalog, &setup, question.machine, &work)
            .and_then(|pace| dealt(pace, &memory, &setup, question.setting, ask.streams)),
    };
    let (speed, speed_terms) = match pace {
        Ok(pace) => {
            let (speed, terms) = speed(&pace, &setup, ask);
            if pace.lacks_attention_of_the_host() {
                missing.push(
                    "speed with a context: attention of the host's layers is computed by the CPU, \
                     whose cores are not known: give them with --host-cores"
                        .to_owned(),
                );
            }
            (Some(speed), terms)
        }
        Err(error) => {
            missing.push(error.to_string());
            (None, Vec::new())
        }
    };
    Ok(Answer {
        asked: Asked {
            model: model_id.to_string(),
            model_name: model.name.clone(),
            machine: question.machine.name.clone(),
            engine: question.engine.0.short().to_owned(),
            stack: stack_word(setup.stack),
            format: question.format.0.short().to_owned(),
            format_reason: None,
            kv_type: ask.kv.name,
            context_tokens: ask.context,
            streams: ask.streams,
        },
        memory,
        limits,
        speed,
        missing,
        speed_terms,
    })
}

/// Whether the engine has a cache of the type.
fn check_kv(engine: &Engine, kv: KvType) -> Result<(), EstimateError> {
    let types = &engine.kv_cache.types;
    let has = |word: &String| KvType::of(word) == Some(kv) || word.starts_with(kv.name);
    if types.is_empty() || types.iter().any(has) {
        return Ok(());
    }
    Err(EstimateError::KvType {
        engine: engine.name.clone(),
        kv: kv.name,
        offered: types.join(", "),
    })
}

/// The pace of a model that is dealt out between host and devices.
fn dealt<'a>(
    pace: Pace<'a>,
    memory: &Memory,
    setup: &Setup<'_>,
    setting: &Setting,
    streams: u64,
) -> Result<Pace<'a>, SpeedError> {
    let Some(spread) = &memory.spread else { return Ok(pace) };
    let cut = matches!(spread.split_mode, SplitMode::Row | SplitMode::Tensor);
    if cut && spread.devices.len() > 1 {
        return Err(SpeedError::SplitMode {
            engine: setup.engine.name.clone(),
            mode: spread.split_mode.word(),
        });
    }
    let layers: Vec<u32> = spread.devices.iter().map(|place| place.layers).collect();
    let pace = pace.with_layers(&layers);
    match (spread.offloaded, setting.host_bandwidth) {
        (None, _) => Ok(pace),
        (Some(_), Some(_)) if streams > 1 && setting.host_cores.is_none() => {
            Err(SpeedError::HostCores)
        }
        (Some(offloaded), Some(bandwidth)) => {
            Ok(pace.with_host(offloaded, HostFacts { bandwidth, cores: setting.host_cores })?)
        }
        (Some(_), None) => Err(SpeedError::HostBandwidth),
    }
}

fn speed(pace: &Pace<'_>, setup: &Setup<'_>, ask: Ask) -> (Speed, Vec<Term>) {
    let only_empty = pace.lacks_attention_of_the_host();
    let context = if only_empty { 0 } else { ask.context };
    let decode = depths(context).into_iter().map(|depth| pace.decode(depth, ask.streams)).collect();
    let prefill = prompts(context).into_iter().map(|(tokens, depth)| pace.prefill(tokens, depth));
    let speed = Speed { decode, prefill: prefill.collect(), grounds: pace.grounds() };
    (speed, pace.terms(setup, context, ask.streams))
}

/// Depths worth showing for a context: empty, powers between, full.
fn depths(context: u64) -> Vec<u64> {
    let mut depths = vec![0];
    depths.extend([8_192, 32_768, 131_072].into_iter().filter(|depth| *depth < context));
    if context > 0 {
        depths.push(context);
    }
    depths
}

/// Prompts worth showing: a short one, a step of an agent at depth, and the whole context.
fn prompts(context: u64) -> Vec<(u64, u64)> {
    let step = 2_048.min(context);
    let mut prompts = vec![(step, 0)];
    if context > 2 * step {
        prompts.push((step, context - step));
        prompts.push((context, 0));
    }
    prompts.retain(|(tokens, _)| *tokens > 0);
    prompts
}
