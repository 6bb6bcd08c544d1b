//! Engines on one group of devices: whether and how each runs there, what an option takes and how long
//! its steps are, each worked out once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use localrig_estimate::memory::{Ask, Holding, Setting, usable};
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::engine::Engine;
use localrig_facts::machine::Machine;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_simulate::pace::step_table;
use localrig_simulate::step::StepTable;

use super::{Common, Draft, Fit, holds};
use crate::assign::Unplaced;
use crate::option::ModelOption;
use crate::scenario::tower;

/// Engines on one group of devices: whether and how each runs there is worked out once.
pub(super) struct Setups<'m, 'a> {
    common: &'m Common<'m, 'a>,
    machine: &'m Machine<'a>,
    copies: u32,
    known: BTreeMap<*const Engine, Result<(Setup<'a>, Bytes), Unfit>>,
    /// Roles and types of the KV cache have models on engines in common.
    paces: BTreeMap<Ran, Arc<Pace<'a>>>,
    /// The same with the vision tower or without it.
    tables: BTreeMap<(Ran, bool), Arc<StepTable>>,
}

/// What is run: a model in a format, and the engine. Options have both in common, so where they lie
/// tells them apart as well as their names would and in far less time.
type Ran = (*const Work, *const Engine);

/// Why an option does not run on a group.
#[derive(Clone)]
pub(super) enum Unfit {
    /// Its weights alone are larger than what the engine may use of the memory.
    Weights(Bytes),
    /// The engine does not run there.
    Engine(String),
    /// A fact is missing.
    Fact(String),
}

/// Why none of the options of a role runs on a group.
#[derive(Default)]
pub(super) struct Unfits {
    least_weights: Option<Bytes>,
    engines: Vec<String>,
    facts: Vec<String>,
}

impl Unfits {
    pub(super) fn add(&mut self, unfit: Unfit) {
        match unfit {
            Unfit::Weights(weights) => {
                let least = self.least_weights.unwrap_or(weights);
                self.least_weights = Some(least.min(weights));
            }
            Unfit::Engine(reason) if !self.engines.contains(&reason) => self.engines.push(reason),
            Unfit::Fact(reason) if !self.facts.contains(&reason) => self.facts.push(reason),
            Unfit::Engine(_) | Unfit::Fact(_) => {}
        }
    }

    /// A fact that is missing says more than an engine that does not run, and that more than a model
    /// that is too large for it.
    pub(super) fn summary(self, role: &str, usable: Bytes) -> Unplaced {
        let said = if self.facts.is_empty() { self.engines } else { self.facts };
        let reason = match (said.is_empty(), self.least_weights) {
            (true, Some(needed)) => return Unplaced::TooSmall { usable, needed },
            (true, None) => "no model is known that does what is asked of it".to_owned(),
            (false, _) => said.join("; "),
        };
        Unplaced::NoOption { role: role.to_owned(), reason }
    }
}

impl<'m, 'a> Setups<'m, 'a> {
    pub(super) fn new(common: &'m Common<'m, 'a>, machine: &'m Machine<'a>, copies: u32) -> Self {
        let (known, paces, tables) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { common, machine, copies, known, paces, tables }
    }

    /// The most that any engine may use of the group's memory.
    pub(super) fn usable(&self) -> Bytes {
        let known = self.known.values().filter_map(|one| one.as_ref().ok());
        known.map(|(_, usable)| *usable).fold(Bytes::ZERO, Bytes::max)
    }

    /// What an option takes and gives on the group with some of the role's streams, `place` telling
    /// its role and which of the role's options it is; or why it does
    /// not run there; `None` when it does not fit even alone and takes no less than `least`, what
    /// another such one takes.
    pub(super) fn draft(
        &mut self,
        place: (usize, usize),
        option: &'a ModelOption<'a>,
        streams: u64,
        least: f64,
    ) -> Result<Option<Draft<'a>>, Unfit> {
        let (catalog, machine) = (self.common.catalog, self.machine);
        // An engine reads all formats it is offered with, so the format does not matter here.
        let known = self.known.entry(std::ptr::from_ref(option.engine)).or_insert_with(|| {
            let setup =
                Setup::new(catalog, option.engine_id, option.engine, machine, option.format)
                    .map_err(|error| Unfit::Engine(error.to_string()))?;
            let usable = usable(&setup, machine).map_err(other)?;
            Ok((setup, usable))
        });
        let (setup, usable) = known.as_ref().map_err(Unfit::clone)?;
        if option.work.weights.loaded > *usable {
            return Err(Unfit::Weights(option.work.weights.loaded));
        }
        let holding = Holding {
            setup,
            machine,
            model: option.model,
            layout: &option.layout,
            weights: &option.work.weights,
            setting: &Setting::OWN,
        };
        let ask = Ask { streams, ..option.ask };
        let buffers = self.common.buffers.get(place, self.copies, &holding, ask);
        let size = buffers.and_then(|buffers| holding.size_with(ask, buffers)).map_err(other)?;
        let fits = holds(*usable, size.value(), size.high());
        if !fits && size.value().get() >= least {
            return Ok(None);
        }
        let pace = match self.paces.entry(ran(option)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let pace = Pace::new(catalog, setup, machine, &option.work).map_err(other)?;
                place.insert(Arc::new(pace)).clone()
            }
        };
        Ok(Some(Draft { option, size, usable: *usable, pace, fits, worth: 0.0 }))
    }

    /// The fit of a draft, with the times of steps of up to this many streams.
    pub(super) fn fit(&mut self, draft: Draft<'a>, streams: u32) -> Fit<'a> {
        let Draft { option, size, usable, pace, worth, .. } = draft;
        let tower = tower(option.model).filter(|_| option.ask.vision);
        let steps = match self.tables.entry((ran(option), tower.is_some())) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let table = step_table(&pace, &option.work, tower, streams);
                place.insert(Arc::new(table)).clone()
            }
        };
        Fit {
            option,
            weights: size.weights,
            context: size.context,
            overhead: size.overhead,
            vision: size.vision,
            usable,
            load: size.weights / pace.load_rate(),
            steps,
            basis: pace.decode(0, 1).per_stream_tok_per_s.basis,
            solo: (TokensPerSec::ZERO, 0.0),
            near: 1.0,
            worth,
        }
    }
}

fn ran(option: &ModelOption<'_>) -> Ran {
    (Arc::as_ptr(&option.work), std::ptr::from_ref(option.engine))
}

fn other(error: impl std::fmt::Display) -> Unfit {
    Unfit::Fact(error.to_string())
}
