//! Which model serves which role on which devices of a machine.
//!
//! The devices are cut into one group for all roles, or two: the main role alone on the larger,
//! everything else on the smaller. Inside a group every loaded model shares memory and, while all
//! roles are busy, time. Roles that take the same model in the same format share one loaded copy,
//! whose streams are batched.
//!
//! Concurrency is a documented first approximation: equal time slices between models on a group
//! ([`localrig_simulate::share_time`]), batched streams inside a model, contexts half full.

use std::collections::BTreeMap;

use localrig_estimate::memory::{Holding, usable};
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::Pace;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Basis, Catalog, Estimate, Id};
use localrig_simulate::share_time;
use rayon::prelude::*;

use crate::candidate::Candidate;
use crate::option::ModelOption;
use crate::requirement::Requirement;
use crate::score::{Weights, role_value};

/// A role with the model that serves it.
#[derive(Clone, Debug)]
pub struct Served<'a> {
    /// Index of the role in the requirement.
    pub role: usize,
    /// The model, format and engine.
    pub option: &'a ModelOption<'a>,
    /// Group of devices it runs on.
    pub group: usize,
    /// Whether its weights are shared with an earlier role.
    pub shares_weights: bool,
    /// Speed of each of its streams while every role is busy.
    pub busy: Estimate<TokensPerSec>,
    /// Speed of one stream when nothing else runs.
    pub alone: Estimate<TokensPerSec>,
}

/// What a group of devices holds.
#[derive(Clone, Debug)]
pub struct Group {
    /// Names of the devices.
    pub devices: String,
    /// What they offer.
    pub usable: Bytes,
    /// What is kept free.
    pub margin: Bytes,
    /// Loaded models: label and bytes by part.
    pub loads: Vec<Load>,
    /// Sum of the loads.
    pub total: Estimate<Bytes>,
}

/// A loaded model in a group.
#[derive(Clone, Debug)]
pub struct Load {
    /// Roles it serves.
    pub roles: Vec<usize>,
    /// What it is: model, format, engine.
    pub label: String,
    /// Weights on the accelerator.
    pub weights: Bytes,
    /// KV cache and recurrent state of its streams.
    pub context: Bytes,
    /// Graph buffers, runtime, vision tower.
    pub overhead: Estimate<Bytes>,
}

/// A complete assignment.
#[derive(Clone, Debug)]
pub struct Assignment<'a> {
    /// Every role, in the order of the requirement.
    pub served: Vec<Served<'a>>,
    /// The groups of devices.
    pub groups: Vec<Group>,
    /// How well the roles are served; see [`crate::score`].
    pub value: f64,
}

/// Why the roles cannot be placed on a machine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Unplaced {
    /// No option of a role runs there at all.
    NoOption {
        /// The role.
        role: String,
        /// Why, for the option tried last.
        reason: String,
    },
    /// The models do not fit together.
    TooSmall {
        /// What the machine offers.
        usable: Bytes,
        /// What the least demanding choice of models takes.
        needed: Bytes,
    },
}

/// What one option takes and gives on one group.
struct Fit<'a> {
    option: &'a ModelOption<'a>,
    weights: Bytes,
    context: Bytes,
    overhead: Estimate<Bytes>,
    /// What the engine may use of the group's memory.
    usable: Bytes,
    /// One stream with a half-full context.
    alone: Estimate<TokensPerSec>,
    /// Each of the role's streams with half-full contexts.
    busy: Estimate<TokensPerSec>,
    /// Points it would give if nothing else ran beside it.
    worth: f64,
    pace: Pace<'a>,
}

impl Fit<'_> {
    fn value(&self) -> f64 {
        self.weights.get() + self.context.get() + self.overhead.value.get()
    }

    fn high(&self) -> f64 {
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
struct GroupFits<'a> {
    machine: Machine<'a>,
    /// Options of each role, best first; empty for roles it does not serve.
    fits: Vec<Vec<Fit<'a>>>,
    /// Why a role has no option.
    lacking: Option<(String, String)>,
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
        if let Some((role, reason)) = groups.iter().find_map(|group| group.lacking.clone()) {
            return Err(Unplaced::NoOption { role, reason });
        }
        let last = groups.len() - 1;
        let fits: Vec<&[Fit<'a>]> = (0..self.requirement.roles.len())
            .map(|role| &groups[if role == 0 { 0 } else { last }].fits[role][..])
            .collect();
        let most = |role: &&[Fit<'a>]| role.iter().map(|fit| fit.worth).fold(0.0, f64::max);
        let hopes: Vec<f64> =
            (0..=fits.len()).map(|from| fits[from..].iter().map(most).sum()).collect();
        Search { requirement: self.requirement, groups, fits: &fits, weights: &self.weights, hopes }
            .best()
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

fn group<'a>(units: &[Device<'a>]) -> Machine<'a> {
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
            let (mut own, mut last) = (Vec::new(), String::new());
            if serves.has(index) {
                for option in &options[index] {
                    match setups.fit(option) {
                        Ok(mut fit) => {
                            let speed = fit.busy.value;
                            fit.worth =
                                role_value(requirement, role, index, option, speed, weights);
                            own.push(fit);
                        }
                        Err(error) => last = error,
                    }
                }
                if own.is_empty() && lacking.is_none() {
                    let reason = match last.as_str() {
                        "" => "no model is known for the task".to_owned(),
                        _ => last,
                    };
                    lacking = Some((role.name.clone(), reason));
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

impl<'m, 'a> Setups<'m, 'a> {
    fn new(catalog: &'a Catalog, machine: &'m Machine<'a>) -> Self {
        let devices = machine.devices.iter();
        let installed = devices.map(|device| device.memory * f64::from(device.count)).sum();
        Self { catalog, machine, installed, known: BTreeMap::new() }
    }

    /// What an option takes and gives on the group, or why it does not run there.
    fn fit(&mut self, option: &'a ModelOption<'a>) -> Result<Fit<'a>, String> {
        if option.work.weights.loaded > self.installed {
            return Err("the weights alone exceed its memory".to_owned());
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
        let (setup, usable) = known.as_ref().map_err(Clone::clone)?;
        let pace = Pace::new(catalog, setup, machine, &option.work).map_err(|e| e.to_string())?;
        let holding = Holding {
            setup,
            machine,
            model: option.model,
            layout: &option.layout,
            weights: &option.work.weights,
        };
        let size = holding.size(option.ask).map_err(|error| error.to_string())?;
        let half = option.ask.context / 2;
        let speed = |streams| pace.decode(half, streams).map_err(|error| error.to_string());
        let (alone, busy) = (speed(1)?, speed(option.ask.streams)?);
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

/// More points than all terms together can give.
const ENOUGH: f64 = 1000.0;

/// Kept free of a group's memory.
fn margin(usable: f64) -> f64 {
    (usable * 0.03).max(Bytes::gib(0.5).get())
}

impl GroupFits<'_> {
    /// What the group offers the engine that may use most of it.
    fn offers(&self) -> Bytes {
        self.fits.iter().flatten().map(|fit| fit.usable).fold(Bytes::ZERO, Bytes::max)
    }
}

struct Search<'s, 'a> {
    requirement: &'s Requirement,
    groups: &'s [&'s GroupFits<'a>],
    fits: &'s [&'s [Fit<'a>]],
    weights: &'s Weights,
    /// The most that the roles from an index on can give.
    hopes: Vec<f64>,
}

/// A choice for every role: index of the option, or the earlier role whose model it shares.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    Own(usize),
    SharedWith(usize),
}

impl<'a> Search<'_, 'a> {
    fn best(&self) -> Result<Assignment<'a>, Unplaced> {
        let mut choice = Vec::new();
        let mut best: Option<(f64, Vec<Choice>)> = None;
        let mut least = f64::INFINITY;
        self.go(&mut choice, 0.0, &mut best, &mut least);
        match best {
            Some((value, choice)) => Ok(self.assignment(&choice, value)),
            None => Err(Unplaced::TooSmall {
                usable: self.groups.iter().map(|group| group.offers()).sum(),
                needed: Bytes::new(least),
            }),
        }
    }

    /// Depth-first over the roles; `hope` is the most that the choices so far can give. Branches
    /// that cannot beat the best are cut.
    fn go(
        &self,
        choice: &mut Vec<Choice>,
        hope: f64,
        best: &mut Option<(f64, Vec<Choice>)>,
        least: &mut f64,
    ) {
        let role = choice.len();
        if role == self.fits.len() {
            let value = self.value(choice);
            if best.as_ref().is_none_or(|(most, _)| value > *most) {
                *best = Some((value, choice.clone()));
            }
            return;
        }
        // Sharing an earlier role's model costs no weights.
        let shareable: Vec<usize> =
            (0..role).filter(|earlier| self.can_share(*earlier, role, choice)).collect();
        let shared = shareable.into_iter().map(Choice::SharedWith);
        let own = (0..self.fits[role].len()).map(Choice::Own);
        for one in shared.chain(own) {
            let worth = match one {
                Choice::Own(option) => self.fits[role][option].worth,
                // Its own options may have been thinned out: hope for the best of the role.
                Choice::SharedWith(_) => self.hopes[role] - self.hopes[role + 1],
            };
            let hope = hope + worth;
            if best.as_ref().is_some_and(|(most, _)| hope + self.hopes[role + 1] + ENOUGH <= *most)
            {
                continue;
            }
            choice.push(one);
            let mut fits = true;
            for group in 0..self.groups.len() {
                let (value, high) = self.taken(choice, group);
                if role + 1 == self.fits.len() && self.groups.len() == 1 {
                    *least = least.min(value);
                }
                let usable = self.usable(choice, group);
                fits &= value + margin(usable) <= usable && high <= usable;
            }
            if fits {
                self.go(choice, hope, best, least);
            }
            choice.pop();
        }
    }

    /// The main role has the first group, everything else the last.
    const fn group_of(&self, role: usize) -> usize {
        if role == 0 { 0 } else { self.groups.len() - 1 }
    }

    /// What the engines chosen may use of a group: the smallest of their shares.
    fn usable(&self, choice: &[Choice], group: usize) -> f64 {
        (0..choice.len())
            .filter(|role| self.group_of(*role) == group)
            .map(|role| self.fit_of(choice, role).usable.get())
            .fold(f64::INFINITY, f64::min)
    }

    /// Whether a role may use an earlier role's loaded model: it must be among its own options.
    fn can_share(&self, earlier: usize, role: usize, choice: &[Choice]) -> bool {
        let Choice::Own(option) = choice[earlier] else { return false };
        let other = self.fits[earlier][option].option;
        self.group_of(earlier) == self.group_of(role) && self.shared_option(role, other).is_some()
    }

    fn shared_option(&self, role: usize, other: &ModelOption<'_>) -> Option<&Fit<'a>> {
        self.fits[role].iter().find(|fit| fit.option.is_same_model(other))
    }

    fn fit_of(&self, choice: &[Choice], role: usize) -> &Fit<'a> {
        match choice[role] {
            Choice::Own(option) => &self.fits[role][option],
            Choice::SharedWith(earlier) => {
                let other = self.fit_of(choice, earlier).option;
                self.shared_option(role, other).unwrap_or(&self.fits[role][0])
            }
        }
    }

    /// The role that takes turns with this one and is placed before it.
    fn turn_of(&self, role: usize) -> Option<usize> {
        let other = self.requirement.roles[role].instead_of.as_ref()?;
        let other = self.requirement.roles.iter().position(|one| one.name == *other)?;
        (other < role).then_some(other)
    }

    /// Bytes taken in a group: value and high end.
    fn taken(&self, choice: &[Choice], group: usize) -> (f64, f64) {
        let mut sizes: Vec<(f64, f64)> = Vec::new();
        for role in 0..choice.len() {
            let fit = self.fit_of(choice, role);
            let size = match choice[role] {
                _ if self.group_of(role) != group => (0.0, 0.0),
                Choice::Own(_) => (fit.value(), fit.high()),
                // Streams and images come on top; weights and runtime are there already.
                Choice::SharedWith(_) => (fit.context.get(), fit.context.get()),
            };
            match self.turn_of(role) {
                // Only one of the two is loaded: the larger counts.
                Some(other) if self.group_of(other) == group => {
                    let kept: &mut (f64, f64) = &mut sizes[other];
                    *kept = (kept.0.max(size.0), kept.1.max(size.1));
                    sizes.push((0.0, 0.0));
                }
                _ => sizes.push(size),
            }
        }
        sizes.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Loaded models of a group that are busy at the same time.
    fn active(&self, choice: &[Choice], group: usize) -> u32 {
        let own = (0..choice.len()).filter(|role| {
            matches!(choice[*role], Choice::Own(_))
                && self.group_of(*role) == group
                && self.turn_of(*role).is_none()
        });
        own.count() as u32
    }

    /// Speed of a role's streams while everything is busy.
    fn busy(&self, choice: &[Choice], role: usize) -> Estimate<TokensPerSec> {
        let fit = self.fit_of(choice, role);
        let share = share_time(self.active(choice, self.group_of(role)));
        let owner = match choice[role] {
            Choice::Own(_) => role,
            Choice::SharedWith(earlier) => earlier,
        };
        let sharers: Vec<usize> = (0..choice.len())
            .filter(|one| *one == owner || choice[*one] == Choice::SharedWith(owner))
            .collect();
        let speed = if sharers.len() == 1 {
            fit.busy
        } else {
            // One batch over all roles of the model, at their mean depth.
            let streams: u64 =
                sharers.iter().map(|one| self.fit_of(choice, *one).option.ask.streams).sum();
            let tokens: u64 = sharers
                .iter()
                .map(|one| self.fit_of(choice, *one).option.ask)
                .map(|ask| ask.streams * ask.context / 2)
                .sum();
            fit.pace
                .decode(tokens / streams.max(1), streams)
                .map_or(fit.busy, |speed| speed.per_stream_tok_per_s)
        };
        Estimate {
            basis: speed.basis.max(if share < 1.0 { Basis::Modelled } else { Basis::Exact }),
            ..speed.map(|speed| speed * share)
        }
    }

    /// Points of a complete choice; a choice that meets every minimum speed beats any that does not.
    fn value(&self, choice: &[Choice]) -> f64 {
        let (mut sum, mut enough) = (0.0, true);
        for (index, role) in self.requirement.roles.iter().enumerate() {
            let option = self.fit_of(choice, index).option;
            let speed = self.busy(choice, index).value;
            enough &= role.speed_minimum_tok_per_s.is_none_or(|minimum| speed >= minimum);
            sum += role_value(self.requirement, role, index, option, speed, self.weights);
        }
        if enough { sum + ENOUGH } else { sum }
    }

    fn assignment(&self, choice: &[Choice], value: f64) -> Assignment<'a> {
        let served: Vec<Served<'a>> = (0..choice.len())
            .map(|role| {
                let fit = self.fit_of(choice, role);
                Served {
                    role,
                    option: fit.option,
                    group: self.group_of(role),
                    shares_weights: matches!(choice[role], Choice::SharedWith(_)),
                    busy: self.busy(choice, role),
                    alone: fit.alone,
                }
            })
            .collect();
        let groups = self.groups.iter().enumerate().map(|(index, own)| {
            let mut loads: BTreeMap<usize, Load> = BTreeMap::new();
            for role in (0..choice.len()).filter(|role| self.group_of(*role) == index) {
                let fit = self.fit_of(choice, role);
                match choice[role] {
                    Choice::Own(_) => {
                        let label = format!(
                            "{} {} on {}",
                            fit.option.model.name, fit.option.format.name, fit.option.engine.name
                        );
                        let load = Load {
                            roles: vec![role],
                            label,
                            weights: fit.weights,
                            context: fit.context,
                            overhead: fit.overhead,
                        };
                        loads.insert(role, load);
                    }
                    Choice::SharedWith(owner) => {
                        if let Some(load) = loads.get_mut(&owner) {
                            load.roles.push(role);
                            load.context += fit.context;
                        }
                    }
                }
            }
            let (value, high) = self.taken(choice, index);
            let usable = self.usable(choice, index);
            Group {
                devices: own.machine.name.clone(),
                usable: Bytes::new(usable),
                margin: Bytes::new(margin(usable)),
                loads: loads.into_values().collect(),
                total: Estimate {
                    value: Bytes::new(value),
                    low: Bytes::new(value),
                    high: Bytes::new(high),
                    basis: Basis::Modelled,
                },
            }
        });
        Assignment { groups: groups.collect(), served, value }
    }
}
