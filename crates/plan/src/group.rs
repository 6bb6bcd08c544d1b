//! Groups of devices with what could run on each, worked out once for all machines.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use localrig_estimate::memory::{
    Ask, Buffers, Holding, MemoryError, Setting, Size, margin, usable,
};
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::engine::{Allocation, Engine};
use localrig_facts::machine::{Device, Machine};
use localrig_facts::unit::{Bytes, Seconds, TokensPerSec};
use localrig_facts::{Basis, Catalog, Estimate, Id};
use localrig_simulate::load::{Demand, Load, loads};
use localrig_simulate::pace::step_table;
use localrig_simulate::sharing::Sharing;
use localrig_simulate::step::StepTable;
use rayon::prelude::*;

use crate::assign::{Assignment, Unplaced};
use crate::candidate::Candidate;
use crate::option::ModelOption;
use crate::requirement::{Requirement, Role};
use crate::scenario::tower;
use crate::score::{Weights, role_value};
use crate::search::{Best, Known, Search};
use crate::shift::Shift;

/// What one option takes and gives on one group.
pub(crate) struct Fit<'a> {
    pub(crate) option: &'a ModelOption<'a>,
    pub(crate) weights: Bytes,
    pub(crate) context: Bytes,
    pub(crate) overhead: Estimate<Bytes>,
    /// Of that, the vision tower; nothing for a role without images.
    pub(crate) vision: Estimate<Bytes>,
    /// What the engine may use of the group's memory.
    pub(crate) usable: Bytes,
    /// How long loading its weights takes.
    pub(crate) load: Seconds,
    /// How long its steps take.
    pub(crate) steps: Arc<StepTable>,
    /// What they rest on.
    pub(crate) basis: Basis,
    /// What its role gets if nothing else runs beside it, and the share of answers in time: the
    /// most it can get.
    pub(crate) solo: (TokensPerSec, f64),
    /// How near that comes to the role's minimum: 1 when it meets it.
    pub(crate) near: f64,
    /// Points it would give then: the most it can give.
    pub(crate) worth: f64,
}

impl Fit<'_> {
    pub(crate) fn value(&self) -> f64 {
        self.weights.get() + self.context.get() + self.overhead.value.get()
    }

    pub(crate) fn high(&self) -> f64 {
        self.weights.get() + self.context.get() + self.overhead.high.get()
    }
}

/// A cache of 16 bits that takes less than this part of the memory is not worth making smaller.
const LITTLE_CACHE: f64 = 0.02;

/// A fit before its step times are worked out: most are dropped before that.
struct Draft<'a> {
    option: &'a ModelOption<'a>,
    size: Size,
    usable: Bytes,
    pace: Arc<Pace<'a>>,
    /// Whether it fits when nothing else is there.
    fits: bool,
    /// Points it would give with all streams of the role generating all the time.
    worth: f64,
}

impl Draft<'_> {
    fn value(&self) -> f64 {
        self.size.value().get()
    }
}

/// Whether what takes so much, at most so much, fits into what may be used.
pub(crate) fn holds(usable: Bytes, value: Bytes, high: Bytes) -> bool {
    value + margin(usable) <= usable && high <= usable
}

/// Options kept per role and group: the best by worth at each size. More never won in practice.
const KEPT_MAIN: usize = 60;
const KEPT_OTHER: usize = 14;

/// Devices of a group: id, memory in bytes, count, and for several the lanes of their slots and tenths of
/// the PCIe generation: what one alone sits in does not matter.
pub(crate) type Devices<'a> = Vec<(&'a Id, u64, u32, Option<(u32, u32)>)>;

/// A group: the devices that hold a model, and how many such sets there are, each with a copy.
type GroupKey<'a> = (Devices<'a>, u32);

/// The groups of all machines with what could run on each, worked out once: many machines have
/// groups in common.
pub struct Groups<'a> {
    requirement: &'a Requirement,
    shifts: &'a [Shift],
    weights: Weights,
    by_key: BTreeMap<GroupKey<'a>, GroupFits<'a>>,
}

/// A group with what could run on it.
pub(crate) struct GroupFits<'a> {
    /// The devices that hold one copy.
    pub(crate) machine: Machine<'a>,
    /// Copies, each on devices like these.
    pub(crate) copies: u32,
    /// Options of each role, best first.
    pub(crate) fits: Vec<Vec<Fit<'a>>>,
    /// How models share a device.
    pub(crate) sharing: Sharing,
    /// For each role and each option of an earlier role, by the earlier role and the place of its
    /// option: the place of the same among the role's own options, if it is one of them.
    pub(crate) shared: Vec<Vec<Vec<Option<usize>>>>,
    /// Why a role has no option.
    lacking: Vec<Option<Unplaced>>,
    /// What choices of models on it come to.
    pub(crate) known: Known,
}

impl<'a> Groups<'a> {
    /// The groups that the machines are cut into.
    pub fn new(
        catalog: &'a Catalog,
        requirement: &'a Requirement,
        shifts: &'a [Shift],
        options: &'a [Vec<ModelOption<'a>>],
        candidates: &[&Candidate<'a>],
        sharing: Sharing,
    ) -> Self {
        let weights = Weights::default();
        let mut wanted: BTreeMap<GroupKey<'a>, Machine<'a>> = BTreeMap::new();
        for candidate in candidates {
            for cut in cuts(&candidate.machine, &requirement.roles) {
                for (machine, copies) in cut.groups {
                    wanted.entry((key(&machine), copies)).or_insert(machine);
                }
            }
        }
        let common = Common {
            catalog,
            requirement,
            shifts,
            options,
            weights: &weights,
            sharing,
            buffers: KnownBuffers::new(options),
        };
        let by_key = wanted
            .into_par_iter()
            .map(|(key, machine)| {
                let fits = GroupFits::new(&common, machine, key.1);
                (key, fits)
            })
            .collect();
        Self { requirement, shifts, weights, by_key }
    }

    /// The best assignments of the roles to a machine, by what means say of their speeds; the best
    /// first.
    ///
    /// # Errors
    /// When no choice of models fits, with the numbers that decided.
    pub fn assign(&self, machine: &Machine<'a>) -> Result<Vec<Assignment<'a>>, Unplaced> {
        let mut best = Best::default();
        let mut nearest: Option<Unplaced> = None;
        for cut in cuts(machine, &self.requirement.roles) {
            let groups: Option<Vec<&GroupFits<'a>>> = cut
                .groups
                .iter()
                .map(|(machine, copies)| self.by_key.get(&(key(machine), *copies)))
                .collect();
            let Some(groups) = groups else { continue };
            if let Err(error) = self.place(&groups, &cut, &mut best) {
                nearest = Some(closer(nearest, error));
            }
        }
        if best.found.is_empty() {
            let nothing = Unplaced::TooSmall { usable: Bytes::ZERO, needed: Bytes::ZERO };
            return Err(nearest.unwrap_or(nothing));
        }
        Ok(best.found)
    }

    fn place(
        &self,
        groups: &[&GroupFits<'a>],
        cut: &Cut<'a>,
        best: &mut Best<'a>,
    ) -> Result<(), Unplaced> {
        let mut roles = cut.group_of.iter().enumerate();
        let lacking = roles.find_map(|(role, group)| groups[*group].lacking[role].clone());
        if let Some(lacking) = lacking {
            return Err(lacking);
        }
        Search::new(self.requirement, self.shifts, groups, cut, &self.weights).run(best)
    }
}

pub(crate) fn key<'a>(machine: &Machine<'a>) -> Devices<'a> {
    let slot = |device: &Device<'_>| {
        let lanes = device.slot.lanes.filter(|_| device.count > 1)?;
        Some((lanes, device.slot.generation.map_or(0, |one| (one * 10.0) as u32)))
    };
    let of = |one: &Device<'a>| (one.id, one.memory.get() as u64, one.count, slot(one));
    machine.devices.iter().map(of).collect()
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

/// A way to cut a machine's devices into groups that each serve some of the roles.
pub(crate) struct Cut<'a> {
    /// The groups: the devices that hold a model, and how many such sets there are.
    pub(crate) groups: Vec<(Machine<'a>, u32)>,
    /// Devices of each group, counted from 0 over the whole machine.
    pub(crate) units: Vec<Vec<u32>>,
    /// The group of each role.
    pub(crate) group_of: Vec<usize>,
}

/// Most groups a machine is cut into.
pub(crate) const GROUPS: usize = 3;

/// The ways to cut a machine's devices: everything as one group for all roles; and, with several
/// devices, every split into two or three parts with every way to share out the roles. Equal
/// devices of a group hold its models together or each a copy, where several streams can be
/// shared out among copies.
fn cuts<'a>(machine: &Machine<'a>, roles: &[Role]) -> Vec<Cut<'a>> {
    let units: Vec<Device<'a>> = machine
        .devices
        .iter()
        .flat_map(|device| {
            std::iter::repeat_n(Device { count: 1, ..*device }, device.count as usize)
        })
        .collect();
    let all = units.len();
    let mut bounds: Vec<Vec<usize>> = vec![vec![0, all]];
    bounds.extend((1..all).map(|first| vec![0, first, all]));
    let thirds = (1..all).flat_map(|first| (first + 1..all).map(move |second| [first, second]));
    bounds.extend(thirds.map(|[first, second]| vec![0, first, second, all]));
    let mut seen = BTreeSet::new();
    let mut cuts = Vec::new();
    for bounds in bounds {
        let parts = bounds.windows(2).map(|part| (part[0], part[1]));
        let together: Vec<Machine<'a>> =
            parts.clone().map(|(from, to)| group(&units[from..to])).collect();
        for group_of in shares(together.len(), roles.len()) {
            let several = |group: usize| {
                roles.iter().zip(&group_of).any(|(role, own)| *own == group && role.streams > 1)
            };
            for groups in arrangements(&together, several) {
                // Equal devices in equal numbers are the same, whichever of them are meant.
                let of = |group: &usize| (key(&groups[*group].0), groups[*group].1);
                let devices: Vec<GroupKey<'a>> = group_of.iter().map(of).collect();
                let shared: Vec<usize> = group_of
                    .iter()
                    .map(|group| group_of.iter().position(|one| one == group).unwrap_or(0))
                    .collect();
                if seen.insert((devices, shared)) {
                    let units = parts.clone().map(|(from, to)| (from as u32..to as u32).collect());
                    let group_of = group_of.clone();
                    cuts.push(Cut { groups, units: units.collect(), group_of });
                }
            }
        }
    }
    cuts
}

/// Every way the devices of some groups work: together, or, where they are alike and `several`
/// streams come, each with a copy of the models.
fn arrangements<'a>(
    groups: &[Machine<'a>],
    several: impl Fn(usize) -> bool,
) -> Vec<Vec<(Machine<'a>, u32)>> {
    let mut ways: Vec<Vec<(Machine<'a>, u32)>> = vec![Vec::new()];
    for (index, machine) in groups.iter().enumerate() {
        let mut own = vec![(machine.clone(), 1)];
        if let [device] = machine.devices[..]
            && device.count > 1
            && several(index)
        {
            own.push((group(&[Device { count: 1, ..device }]), device.count));
        }
        ways = ways
            .iter()
            .flat_map(|way| {
                own.iter().map(move |one| [&way[..], std::slice::from_ref(one)].concat())
            })
            .collect();
    }
    ways
}

/// Every way to share out roles among groups so that each group has some.
///
/// Of many roles only the first is ever separated from the others: the ways grow as a power.
fn shares(groups: usize, roles: usize) -> Vec<Vec<usize>> {
    const MANY: usize = 5;
    if roles > MANY {
        return match groups {
            1 => vec![vec![0; roles]],
            2 => vec![(0..roles).map(|role| role.min(1)).collect()],
            _ => Vec::new(),
        };
    }
    let mut ways: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..roles {
        ways = ways
            .iter()
            .flat_map(|way| (0..groups).map(|group| [&way[..], &[group]].concat()))
            .collect();
    }
    ways.retain(|way| (0..groups).all(|group| way.contains(&group)));
    ways
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
    Machine { name, devices, cpu: None, system: None, units: 1 }
}

/// What all groups have in common.
struct Common<'s, 'a> {
    catalog: &'a Catalog,
    requirement: &'s Requirement,
    shifts: &'s [Shift],
    options: &'a [Vec<ModelOption<'a>>],
    weights: &'s Weights,
    sharing: Sharing,
    buffers: KnownBuffers,
}

/// Caches and compute buffers of every option of every role, worked out once for all groups that
/// they are the same on: those with as many copies, and unified memory or not.
struct KnownBuffers(Vec<Vec<[OnceLock<Buffers>; 2 * MOST_COPIES]>>);

/// Copies up to which buffers are kept: beyond them there are few groups.
const MOST_COPIES: usize = 4;

impl KnownBuffers {
    fn new(options: &[Vec<ModelOption<'_>>]) -> Self {
        let none = |_: &ModelOption<'_>| std::array::from_fn(|_| OnceLock::new());
        Self(options.iter().map(|role| role.iter().map(none).collect()).collect())
    }

    /// The buffers of an option, by its role and its place.
    fn get(
        &self,
        (role, option): (usize, usize),
        copies: u32,
        holding: &Holding<'_>,
        ask: Ask,
    ) -> Result<Buffers, MemoryError> {
        // Those of other engines depend on more.
        let alike = holding.setup.engine.memory.allocation == Some(Allocation::Cells);
        let kind = 2 * (copies as usize - 1) + usize::from(holding.machine.is_unified());
        let Some(known) = self.0[role][option].get(kind).filter(|_| alike) else {
            return holding.buffers(ask);
        };
        if let Some(buffers) = known.get() {
            return Ok(*buffers);
        }
        let buffers = holding.buffers(ask)?;
        Ok(*known.get_or_init(|| buffers))
    }
}

impl<'a> GroupFits<'a> {
    fn new(common: &Common<'_, 'a>, machine: Machine<'a>, copies: u32) -> Self {
        let Common { requirement, shifts, options, weights, sharing, .. } = *common;
        let of_copy = |role: &Role| role.streams.div_ceil(u64::from(copies));
        let streams: u64 = requirement.roles.iter().map(of_copy).sum();
        let mut setups = Setups::new(common, &machine, copies);
        let (mut fits, mut lacking) = (Vec::new(), Vec::new());
        for (index, role) in requirement.roles.iter().enumerate() {
            let (mut own, mut unfit) = (Vec::new(), Unfits::default());
            let (shift, place) = place_of(shifts, index);
            let demand = Demand { server: 0, ..shift.demands[place].over(f64::from(copies)) };
            // Larger caches first: a smaller type is worth a look only where that takes much.
            let mut small: Option<&ModelOption<'a>> = None;
            // Of those that do not fit even alone, the one that takes least: it says what is missing.
            let mut too_large: Option<Draft<'a>> = None;
            for (place, option) in options[index].iter().enumerate() {
                if small.is_some_and(|other| option.is_same_but_cache(other)) {
                    continue;
                }
                let least = too_large.as_ref().map_or(f64::INFINITY, Draft::value);
                match setups.draft((index, place), option, of_copy(role), least) {
                    Ok(None) => {}
                    Ok(Some(mut draft)) => {
                        let little = draft.size.context < draft.usable * LITTLE_CACHE;
                        small = little.then_some(option);
                        let crowded =
                            draft.pace.step(f64::from(demand.depth), of_copy(role) as f64);
                        let speed = TokensPerSec::new(1.0 / crowded.total);
                        draft.worth = role_value(requirement, index, option, (speed, 1.0), weights);
                        if draft.fits {
                            own.push(draft);
                        } else {
                            too_large = Some(draft);
                        }
                    }
                    Err(reason) => unfit.add(reason),
                }
            }
            if own.is_empty() {
                own.extend(too_large);
            }
            keep_best(&mut own, index);
            let streams = u32::try_from(streams).unwrap_or(u32::MAX);
            let mut kept: Vec<Fit<'a>> = Vec::with_capacity(own.len());
            for draft in own {
                let mut fit = setups.fit(draft, streams);
                let has_slots = fit.option.has_slots();
                let server = [Load { steps: &fit.steps, devices: &[0], has_slots }];
                let load = loads(&server, sharing, &[demand])[0];
                fit.solo = (load.loaded, shift.in_time(place, load.first));
                fit.near = role.nearness(load.loaded);
                fit.worth = role_value(requirement, index, fit.option, fit.solo, weights);
                kept.push(fit);
            }
            kept.sort_by(|a, b| b.worth.total_cmp(&a.worth));
            lacking.push(kept.is_empty().then(|| unfit.summary(&role.name, setups.usable())));
            fits.push(kept);
        }
        let shared = (0..fits.len()).map(|role| shared_with(&fits[..role], &fits[role])).collect();
        Self { machine, copies, fits, sharing, shared, lacking, known: Known::default() }
    }
}

/// For each option of each earlier role the place of the same among the own ones.
fn shared_with(earlier: &[Vec<Fit<'_>>], own: &[Fit<'_>]) -> Vec<Vec<Option<usize>>> {
    let of = |other: &Fit<'_>| own.iter().position(|fit| fit.option.is_same_model(other.option));
    earlier.iter().map(|others| others.iter().map(of).collect()).collect()
}

/// The first shift a role works in, and its place there.
fn place_of(shifts: &[Shift], role: usize) -> (&Shift, usize) {
    let at = |shift: &'_ Shift| shift.roles.iter().position(|one| *one == role);
    // Every role works in some shift.
    shifts.iter().find_map(|shift| Some((shift, at(shift)?))).unwrap_or((&shifts[0], 0))
}

/// Engines on one group of devices: whether and how each runs there is worked out once.
struct Setups<'m, 'a> {
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
enum Unfit {
    /// Its weights alone are larger than what the engine may use of the memory.
    Weights(Bytes),
    /// The engine does not run there.
    Engine(String),
    /// A fact is missing.
    Fact(String),
}

/// Why none of the options of a role runs on a group.
#[derive(Default)]
struct Unfits {
    least_weights: Option<Bytes>,
    engines: Vec<String>,
    facts: Vec<String>,
}

impl Unfits {
    fn add(&mut self, unfit: Unfit) {
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
    fn summary(self, role: &str, usable: Bytes) -> Unplaced {
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
    fn new(common: &'m Common<'m, 'a>, machine: &'m Machine<'a>, copies: u32) -> Self {
        let (known, paces, tables) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { common, machine, copies, known, paces, tables }
    }

    /// The most that any engine may use of the group's memory.
    fn usable(&self) -> Bytes {
        let known = self.known.values().filter_map(|one| one.as_ref().ok());
        known.map(|(_, usable)| *usable).fold(Bytes::ZERO, Bytes::max)
    }

    /// What an option takes and gives on the group with some of the role's streams, `place` telling
    /// its role and which of the role's options it is; or why it does
    /// not run there; `None` when it does not fit even alone and takes no less than `least`, what
    /// another such one takes.
    fn draft(
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
    fn fit(&mut self, draft: Draft<'a>, streams: u32) -> Fit<'a> {
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

/// Drops options of the other roles that are both larger and worth less than another, then all but
/// the best. The smallest stays whatever it is worth: it tells whether anything fits at all.
fn keep_best(fits: &mut Vec<Draft<'_>>, role: usize) {
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
