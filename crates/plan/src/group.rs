//! Groups of devices with what could run on each, worked out once for all machines.

use std::collections::BTreeMap;

use localrig_estimate::memory::{Holding, usable};
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::Pace;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Catalog, Estimate, Id};
use rayon::prelude::*;

use crate::assign::{Assignment, Unplaced};
use crate::candidate::Candidate;
use crate::option::ModelOption;
use crate::requirement::Requirement;
use crate::score::{Weights, role_value};
use crate::search::Search;

/// What one option takes and gives on one group.
pub(crate) struct Fit<'a> {
    pub(crate) option: &'a ModelOption<'a>,
    pub(crate) weights: Bytes,
    pub(crate) context: Bytes,
    pub(crate) overhead: Estimate<Bytes>,
    /// What the engine may use of the group's memory.
    pub(crate) usable: Bytes,
    /// One stream with a half-full context.
    pub(crate) alone: Estimate<TokensPerSec>,
    /// Each of the role's streams with half-full contexts.
    pub(crate) busy: Estimate<TokensPerSec>,
    /// Points it would give if nothing else ran beside it.
    pub(crate) worth: f64,
    pub(crate) pace: Pace<'a>,
}

impl Fit<'_> {
    pub(crate) fn value(&self) -> f64 {
        self.weights.get() + self.context.get() + self.overhead.value.get()
    }

    pub(crate) fn high(&self) -> f64 {
        self.weights.get() + self.context.get() + self.overhead.high.get()
    }
}

/// Options kept per role and group: the best by worth at each size. More never won in practice.
const KEPT_MAIN: usize = 60;
const KEPT_OTHER: usize = 14;

/// Which roles a group serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Serves {
    All,
    Main,
    Others,
}

impl Serves {
    fn has(self, role: usize) -> bool {
        match self {
            Self::All => true,
            Self::Main => role == 0,
            Self::Others => role > 0,
        }
    }
}

/// Devices of a group: id, memory in bytes, count.
type Devices<'a> = Vec<(&'a Id, u64, u32)>;

/// The groups of all machines with what could run on each, worked out once: many machines have
/// groups in common.
pub struct Groups<'a> {
    requirement: &'a Requirement,
    weights: Weights,
    by_key: BTreeMap<(Devices<'a>, Serves), GroupFits<'a>>,
}

/// A group with what could run on it.
pub(crate) struct GroupFits<'a> {
    pub(crate) machine: Machine<'a>,
    /// Options of each role, best first; empty for roles it does not serve.
    pub(crate) fits: Vec<Vec<Fit<'a>>>,
    /// Why a role has no option.
    lacking: Option<Unplaced>,
}

impl<'a> Groups<'a> {
    /// The groups that the machines are cut into.
    pub fn new(
        catalog: &'a Catalog,
        requirement: &'a Requirement,
        options: &'a [Vec<ModelOption<'a>>],
        candidates: &[&Candidate<'a>],
    ) -> Self {
        let weights = Weights::default();
        let mut wanted: BTreeMap<(Devices<'a>, Serves), Machine<'a>> = BTreeMap::new();
        for candidate in candidates {
            for (machine, serves) in cuts(&candidate.machine).into_iter().flatten() {
                wanted.entry((key(&machine), serves)).or_insert(machine);
            }
        }
        let by_key = wanted
            .into_par_iter()
            .map(|(key, machine)| {
                let fits = GroupFits::new(catalog, requirement, options, machine, key.1, &weights);
                (key, fits)
            })
            .collect();
        Self { requirement, weights, by_key }
    }

    /// The best assignment of the roles to a machine.
    ///
    /// # Errors
    /// When no choice of models fits, with the numbers that decided.
    pub fn assign(&self, candidate: &Candidate<'a>) -> Result<Assignment<'a>, Unplaced> {
        let mut best: Option<Assignment<'a>> = None;
        let mut nearest: Option<Unplaced> = None;
        for cut in cuts(&candidate.machine) {
            let groups: Option<Vec<&GroupFits<'a>>> = cut
                .iter()
                .map(|(machine, serves)| self.by_key.get(&(key(machine), *serves)))
                .collect();
            let Some(groups) = groups else { continue };
            match self.place(&groups) {
                Ok(found) if best.as_ref().is_none_or(|best| found.value > best.value) => {
                    best = Some(found);
                }
                Ok(_) => {}
                Err(error) => nearest = Some(closer(nearest, error)),
            }
        }
        best.ok_or_else(|| {
            nearest.unwrap_or(Unplaced::TooSmall { usable: Bytes::ZERO, needed: Bytes::ZERO })
        })
    }

    fn place(&self, groups: &[&GroupFits<'a>]) -> Result<Assignment<'a>, Unplaced> {
        if let Some(lacking) = groups.iter().find_map(|group| group.lacking.clone()) {
            return Err(lacking);
        }
        Search::new(self.requirement, groups, &self.weights).best()
    }
}

fn key<'a>(machine: &Machine<'a>) -> Devices<'a> {
    let devices = machine.devices.iter();
    devices.map(|device| (device.id, device.memory.get() as u64, device.count)).collect()
}

fn closer(known: Option<Unplaced>, new: Unplaced) -> Unplaced {
    let missing = |one: &Unplaced| match one {
        Unplaced::TooSmall { usable, needed } => needed.get() - usable.get(),
        Unplaced::NoOption { .. } => f64::INFINITY,
    };
    match known {
        Some(known) if missing(&known) <= missing(&new) => known,
        _ => new,
    }
}

/// The ways to cut a machine's devices: everything as one group; and, with several devices, every
/// split into a first part for the main role and a second for the rest.
fn cuts<'a>(machine: &Machine<'a>) -> Vec<Vec<(Machine<'a>, Serves)>> {
    let units: Vec<Device<'a>> = machine
        .devices
        .iter()
        .flat_map(|device| {
            std::iter::repeat_n(Device { count: 1, ..*device }, device.count as usize)
        })
        .collect();
    let mut cuts = vec![vec![(group(&units), Serves::All)]];
    for first in 1..units.len() {
        cuts.push(vec![
            (group(&units[..first]), Serves::Main),
            (group(&units[first..]), Serves::Others),
        ]);
    }
    cuts
}

pub(crate) fn group<'a>(units: &[Device<'a>]) -> Machine<'a> {
    let mut devices: Vec<Device<'a>> = Vec::new();
    for unit in units {
        match devices.iter_mut().find(|one| one.id == unit.id && one.memory == unit.memory) {
            Some(same) => same.count += 1,
            None => devices.push(*unit),
        }
    }
    let name = |one: &Device<'_>| match one.count {
        1 => one.gpu.name.clone(),
        count => format!("{count}x {}", one.gpu.name),
    };
    let name = devices.iter().map(name).collect::<Vec<_>>().join(" + ");
    Machine { name, devices, system: None, units: 1 }
}

impl<'a> GroupFits<'a> {
    fn new(
        catalog: &'a Catalog,
        requirement: &Requirement,
        options: &'a [Vec<ModelOption<'a>>],
        machine: Machine<'a>,
        serves: Serves,
        weights: &Weights,
    ) -> Self {
        let mut setups = Setups::new(catalog, &machine);
        let (mut fits, mut lacking) = (Vec::new(), None);
        for (index, role) in requirement.roles.iter().enumerate() {
            let mut own = Vec::new();
            if serves.has(index) {
                let mut unfit = Unfits::default();
                for option in &options[index] {
                    match setups.fit(option) {
                        Ok(mut fit) => {
                            let speed = fit.busy.value;
                            fit.worth =
                                role_value(requirement, role, index, option, speed, weights);
                            own.push(fit);
                        }
                        Err(reason) => unfit.add(reason),
                    }
                }
                if own.is_empty() && lacking.is_none() {
                    lacking = Some(unfit.summary(&role.name, setups.installed));
                }
                keep_best(&mut own, index);
            }
            fits.push(own);
        }
        Self { machine, fits, lacking }
    }
}

/// Engines on one group of devices: whether and how each runs there is worked out once.
struct Setups<'m, 'a> {
    catalog: &'a Catalog,
    machine: &'m Machine<'a>,
    installed: Bytes,
    known: BTreeMap<&'a Id, Result<(Setup<'a>, Bytes), String>>,
}

/// Why an option does not run on a group.
enum Unfit {
    /// Its weights alone are larger than the memory.
    Weights(Bytes),
    /// The engine does not run there, or a fact is missing.
    Other(String),
}

/// Why none of the options of a role runs on a group.
#[derive(Default)]
struct Unfits {
    least_weights: Option<Bytes>,
    others: Vec<String>,
}

impl Unfits {
    fn add(&mut self, unfit: Unfit) {
        match unfit {
            Unfit::Weights(weights) => {
                let least = self.least_weights.unwrap_or(weights);
                self.least_weights = Some(least.min(weights));
            }
            Unfit::Other(reason) if !self.others.contains(&reason) => self.others.push(reason),
            Unfit::Other(_) => {}
        }
    }

    /// An engine that does not run says more than a model that is too large for it.
    fn summary(self, role: &str, installed: Bytes) -> Unplaced {
        let reason = match (self.others.is_empty(), self.least_weights) {
            (true, Some(needed)) => return Unplaced::TooSmall { usable: installed, needed },
            (true, None) => "no model is known for the task".to_owned(),
            (false, _) => self.others.join("; "),
        };
        Unplaced::NoOption { role: role.to_owned(), reason }
    }
}

impl<'m, 'a> Setups<'m, 'a> {
    fn new(catalog: &'a Catalog, machine: &'m Machine<'a>) -> Self {
        let devices = machine.devices.iter();
        let installed = devices.map(|device| device.memory * f64::from(device.count)).sum();
        Self { catalog, machine, installed, known: BTreeMap::new() }
    }

    /// What an option takes and gives on the group, or why it does not run there.
    fn fit(&mut self, option: &'a ModelOption<'a>) -> Result<Fit<'a>, Unfit> {
        if option.work.weights.loaded > self.installed {
            return Err(Unfit::Weights(option.work.weights.loaded));
        }
        let (catalog, machine) = (self.catalog, self.machine);
        // An engine reads all formats it is offered with, so the format does not matter here.
        let known = self.known.entry(option.engine_id).or_insert_with(|| {
            let setup =
                Setup::new(catalog, option.engine_id, option.engine, machine, option.format)
                    .map_err(|error| error.to_string())?;
            let usable = usable(&setup, machine).map_err(|error| error.to_string())?;
            Ok((setup, usable))
        });
        let (setup, usable) = known.as_ref().map_err(|reason| Unfit::Other(reason.clone()))?;
        let pace = Pace::new(catalog, setup, machine, &option.work).map_err(other)?;
        let holding = Holding {
            setup,
            machine,
            model: option.model,
            layout: &option.layout,
            weights: &option.work.weights,
        };
        let size = holding.size(option.ask).map_err(other)?;
        let half = option.ask.context / 2;
        let speed = |streams| pace.decode(half, streams);
        let (alone, busy) = (speed(1), speed(option.ask.streams));
        Ok(Fit {
            option,
            weights: size.weights,
            context: size.context,
            overhead: size.overhead,
            usable: *usable,
            alone: alone.per_stream_tok_per_s,
            busy: busy.per_stream_tok_per_s,
            worth: 0.0,
            pace,
        })
    }
}

fn other(error: impl std::fmt::Display) -> Unfit {
    Unfit::Other(error.to_string())
}

/// Drops options of the other roles that are both larger and worth less than another, then all but
/// the best. The smallest stays whatever it is worth: it tells whether anything fits at all.
fn keep_best(fits: &mut Vec<Fit<'_>>, role: usize) {
    let kept = if role == 0 { KEPT_MAIN } else { KEPT_OTHER };
    fits.sort_by(|a, b| a.value().total_cmp(&b.value()));
    if role > 0 {
        let mut most = f64::NEG_INFINITY;
        fits.retain(|fit| {
            let better = fit.worth > most;
            most = most.max(fit.worth);
            better
        });
    }
    fits.sort_by(|a, b| b.worth.total_cmp(&a.worth));
    let smallest = (0..fits.len()).min_by(|a, b| fits[*a].value().total_cmp(&fits[*b].value()));
    if let Some(smallest) = smallest.filter(|smallest| *smallest >= kept) {
        fits.swap(smallest, kept - 1);
    }
    fits.truncate(kept);
}

impl GroupFits<'_> {
    /// What the group offers the engine that may use most of it.
    pub(crate) fn offers(&self) -> Bytes {
        self.fits.iter().flatten().map(|fit| fit.usable).fold(Bytes::ZERO, Bytes::max)
    }
}
