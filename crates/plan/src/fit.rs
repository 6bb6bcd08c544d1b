//! What a machine can run: every model in its best format that fits, best at the task first.

use std::cmp::Ordering;

use localrig_estimate::context::KvType;
use localrig_estimate::memory::{Ask, Holding, Memory, Setting, Verdict};
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::Pace;
use localrig_facts::format::Precision;
use localrig_facts::machine::Machine;
use localrig_facts::model::Model;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Catalog, CatalogError, Date, Estimate, Id};
use rayon::prelude::*;

use crate::option::{ModelOption, expand, serves};
use crate::quality::abilities;
use crate::requirement::{FormatWish, Role};

/// What is asked of a machine.
#[derive(Clone, Debug)]
pub struct FitQuestion<'a> {
    /// The machine; or several that stand for a class of machines, all of which must do.
    pub machines: Vec<Machine<'a>>,
    /// The task, streams, context, least speed and whether images are looked at.
    pub role: Role,
    /// Formats considered.
    pub format: FormatWish,
    /// Only models released by then.
    pub date: Date,
    /// Models asked about by name, beside the best.
    pub named: Vec<(&'a Id, &'a Model)>,
}

/// What a machine can run.
#[derive(Clone, Debug)]
pub struct Fits<'a> {
    /// Models with scores for the task, best first.
    pub scored: Vec<Running<'a>>,
    /// Models without scores for the task, largest first.
    pub unscored: Vec<Running<'a>>,
    /// What came nearest, when nothing runs.
    pub nearest: Option<Nearest>,
    /// Models that were not considered because their architecture is not recorded.
    pub facts_only: usize,
    /// What comes of the models asked about by name.
    pub named: Vec<Named<'a>>,
}

/// A model that runs, in its best format that does.
#[derive(Clone, Debug)]
pub struct Running<'a> {
    /// Model, format and engine.
    pub option: ModelOption<'a>,
    /// Memory on the machine that has the least room.
    pub memory: Memory,
    /// Speed of each stream with half-full contexts, on every machine asked about.
    pub speeds: Vec<Estimate<TokensPerSec>>,
}

/// A model asked about by name.
#[derive(Clone, Debug)]
pub struct Named<'a> {
    /// The model.
    pub model: &'a Model,
    /// How it runs in its best format that does, or what came nearest.
    pub result: Result<Running<'a>, Nearest>,
}

/// The model that came nearest to running.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// Model, format and engine.
    pub label: String,
    /// Why it does not run.
    pub miss: Miss,
}

/// Why a model does not run as asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Miss {
    /// It does not fit.
    Memory {
        /// What it takes with the margin.
        needed: Bytes,
        /// What the machine offers.
        usable: Bytes,
        /// The longest context with which it would fit; `None` when not even an empty one does.
        context_tokens: Option<u64>,
    },
    /// It is too slow.
    Speed {
        /// Its speed.
        speed: TokensPerSec,
        /// The least asked for.
        minimum: TokensPerSec,
    },
    /// It does not run there at all, or a fact is missing.
    Other {
        /// Why.
        reason: String,
    },
}

impl Miss {
    /// Smaller is nearer: a speed that is a little short is nearer than any lack of memory.
    fn distance(&self) -> f64 {
        match self {
            Self::Speed { speed, minimum } => 1.0 - *speed / *minimum,
            Self::Memory { needed, usable, .. } => 1.0 + *needed / *usable,
            Self::Other { .. } => f64::INFINITY,
        }
    }
}

/// Finds what runs on a machine.
///
/// # Errors
/// When a catalog file is broken or there is no such task.
pub fn fit<'a>(catalog: &'a Catalog, question: &FitQuestion<'a>) -> Result<Fits<'a>, CatalogError> {
    let role = &question.role;
    let known = abilities(catalog, &role.task)?;
    let all = catalog.all::<Model>()?;
    let facts_only = all.values().filter(|model| model.architecture.is_none()).count();
    let models = all.iter().filter(|(_, model)| serves(model, role, question.date)).collect();
    let asked = [(role, models, &known)];
    let mut options = expand(catalog, &asked, &question.format)?.pop().unwrap_or_default();
    // What fits only with a compressed cache is the plan's concern.
    options.retain(|option| option.ask.kv == KvType::F16);
    let by_model: Vec<&[ModelOption<'a>]> = options.chunk_by(|a, b| a.id == b.id).collect();
    let judged: Vec<Result<Running<'a>, Nearest>> =
        by_model.into_par_iter().filter_map(|same| best_format(catalog, question, same)).collect();
    let mut fits = Fits {
        scored: Vec::new(),
        unscored: Vec::new(),
        nearest: None,
        facts_only,
        named: named(catalog, question)?,
    };
    for one in judged {
        match one {
            Ok(running) if running.option.ability.is_some() => fits.scored.push(running),
            Ok(running) => fits.unscored.push(running),
            Err(miss) => {
                let nearer = |known: &Nearest| miss.miss.distance() < known.miss.distance();
                if fits.nearest.as_ref().is_none_or(nearer) {
                    fits.nearest = Some(miss);
                }
            }
        }
    }
    let total = |one: &Running<'_>| one.option.model.parameters.total;
    fits.scored.sort_by(|a, b| {
        b.option.quality().total_cmp(&a.option.quality()).then_with(|| a.option.id.cmp(b.option.id))
    });
    fits.unscored
        .sort_by(|a, b| total(b).cmp(&total(a)).then_with(|| a.option.id.cmp(b.option.id)));
    if !(fits.scored.is_empty() && fits.unscored.is_empty()) {
        fits.nearest = None;
    }
    Ok(fits)
}

/// What comes of the models asked about by name: released or not yet, and whatever the task.
fn named<'a>(
    catalog: &'a Catalog,
    question: &FitQuestion<'a>,
) -> Result<Vec<Named<'a>>, CatalogError> {
    let mut found = Vec::new();
    if question.named.is_empty() {
        return Ok(found);
    }
    let known = abilities(catalog, &question.role.task)?;
    for (id, model) in question.named.iter().copied() {
        let asked = [(&question.role, vec![(id, model)], &known)];
        let mut options = expand(catalog, &asked, &question.format)?.pop().unwrap_or_default();
        options.retain(|option| option.ask.kv == KvType::F16);
        let nothing = || {
            let reason = "no format of the kinds asked for is known of it".to_owned();
            Err(Nearest { label: model.name.clone(), miss: Miss::Other { reason } })
        };
        let result = best_format(catalog, question, &options).unwrap_or_else(nothing);
        found.push(Named { model, result });
    }
    Ok(found)
}

/// A model in every format it is to be had in, for the role asked about.
///
/// # Errors
/// When a catalog file is broken or there is no such task.
pub(crate) fn options_of<'a>(
    catalog: &'a Catalog,
    question: &FitQuestion<'a>,
    model: (&'a Id, &'a Model),
) -> Result<Vec<ModelOption<'a>>, CatalogError> {
    let known = abilities(catalog, &question.role.task)?;
    let any = FormatWish {
        preferred: Precision::EightBit,
        acceptable: vec![Precision::SixteenBit, Precision::SixBit, Precision::FourBit],
    };
    let asked = [(&question.role, vec![model], &known)];
    Ok(expand(catalog, &asked, &any)?.pop().unwrap_or_default())
}

/// The format of a model that loses least among those that run; of equals the faster.
pub(crate) fn best_format<'a>(
    catalog: &'a Catalog,
    question: &FitQuestion<'a>,
    same: &[ModelOption<'a>],
) -> Option<Result<Running<'a>, Nearest>> {
    let mut best: Option<Running<'a>> = None;
    let mut nearest: Option<Nearest> = None;
    for option in same {
        match runs(catalog, question, option) {
            Ok(running) => {
                if best.as_ref().is_none_or(|best| preference(&running, best).is_gt()) {
                    best = Some(running);
                }
            }
            Err(miss) => {
                let nearer = |known: &Nearest| miss.distance() < known.miss.distance();
                if nearest.as_ref().is_none_or(nearer) {
                    nearest = Some(Nearest { label: option.label(), miss });
                }
            }
        }
    }
    best.map(Ok).or(nearest.map(Err))
}

fn preference(a: &Running<'_>, b: &Running<'_>) -> Ordering {
    let slowest = |one: &Running<'_>| {
        one.speeds.iter().map(|speed| speed.value.get()).fold(f64::INFINITY, f64::min)
    };
    let order = a.option.quality().total_cmp(&b.option.quality());
    order.then_with(|| slowest(a).total_cmp(&slowest(b)))
}

fn runs<'a>(
    catalog: &'a Catalog,
    question: &FitQuestion<'a>,
    option: &ModelOption<'a>,
) -> Result<Running<'a>, Miss> {
    let other = |error: String| Miss::Other { reason: error };
    let role = &question.role;
    let ask = Ask {
        context: role.context_tokens,
        streams: role.streams,
        kv: KvType::F16,
        vision: role.images,
    };
    let (mut tightest, mut speeds): (Option<Memory>, Vec<Estimate<TokensPerSec>>) =
        (None, Vec::new());
    for machine in &question.machines {
        let setup = Setup::new(catalog, option.engine_id, option.engine, machine, option.format)
            .map_err(|error| other(error.to_string()))?;
        let holding = Holding {
            setup: &setup,
            machine,
            model: option.model,
            layout: &option.layout,
            weights: &option.work.weights,
            setting: &Setting::OWN,
        };
        let memory = holding.memory(ask).map_err(|error| other(error.to_string()))?;
        if memory.verdict != Some(Verdict::Fits) {
            let (Some(usable), Some(margin)) = (memory.usable_bytes, memory.margin_bytes) else {
                return Err(other(format!("how much memory {} has is not known", machine.name)));
            };
            let needed = memory.total_bytes.high.max(memory.total_bytes.value + margin);
            let context_tokens = memory.largest_context_tokens.filter(|tokens| *tokens > 0);
            return Err(Miss::Memory { needed, usable, context_tokens });
        }
        let pace = Pace::new(catalog, &setup, machine, &option.work)
            .map_err(|error| other(error.to_string()))?;
        let speed = pace.decode(ask.context / 2, ask.streams).per_stream_tok_per_s;
        if let Some(minimum) = role.speed_minimum_tok_per_s.filter(|least| speed.value < *least) {
            return Err(Miss::Speed { speed: speed.value, minimum });
        }
        speeds.push(speed);
        if tightest.as_ref().is_none_or(|known| memory.usable_bytes < known.usable_bytes) {
            tightest = Some(memory);
        }
    }
    let memory = tightest.ok_or_else(|| other("no machine".to_owned()))?;
    Ok(Running { option: option.clone(), memory, speeds })
}
