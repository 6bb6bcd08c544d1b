//! The answer to "how does this model do on this machine": memory and speed together.

use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::machine::Machine;
use localrig_facts::model::Model;
use localrig_facts::{Catalog, CatalogError, Id};
use serde::Serialize;

use crate::architecture::{LayoutError, layout};
use crate::memory::{Ask, Holding, Memory, MemoryError};
use crate::recipe::{Recipe, RecipeError};
use crate::setup::{Setup, SetupError, SpeedError, stack_word};
use crate::speed::{DecodeSpeed, Pace, PrefillSpeed};
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
}

/// Memory and speed.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// What was asked, in full: nothing is left to a default unseen.
    pub asked: Asked,
    /// Memory.
    pub memory: Memory,
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
    };
    let memory = holding.memory(ask)?;

    let mut missing = Vec::new();
    let (speed, speed_terms) = match speed(catalog, &setup, question.machine, &work, ask) {
        Ok((speed, terms)) => (Some(speed), terms),
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
            kv_type: ask.kv.name,
            context_tokens: ask.context,
            streams: ask.streams,
        },
        memory,
        speed,
        missing,
        speed_terms,
    })
}

fn speed(
    catalog: &Catalog,
    setup: &Setup<'_>,
    machine: &Machine<'_>,
    work: &Work,
    ask: Ask,
) -> Result<(Speed, Vec<Term>), SpeedError> {
    let pace = Pace::new(catalog, setup, machine, work)?;
    let decode =
        depths(ask.context).into_iter().map(|depth| pace.decode(depth, ask.streams)).collect();
    let prefill =
        prompts(ask.context).into_iter().map(|(tokens, depth)| pace.prefill(tokens, depth));
    let speed = Speed { decode, prefill: prefill.collect(), grounds: pace.grounds() };
    Ok((speed, pace.terms(setup, ask.context, ask.streams)))
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
