//! Groups of devices with what could run on each, worked out once for all machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use localrig_estimate::memory::{Size, margin};
use localrig_estimate::speed::Pace;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::unit::{Bytes, Seconds, TokensPerSec};
use localrig_facts::{Basis, Catalog, Estimate, Id};
use localrig_simulate::load::{Demand, Load, loads};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::step::StepTable;
use rayon::prelude::*;

use crate::assign::{Assignment, Unplaced};
use crate::candidate::Candidate;
use crate::option::ModelOption;
use crate::requirement::{Requirement, Role};
use crate::score::{Weights, role_value};
use crate::search::{Best, Known, Search};
use crate::shift::Shift;

mod buffers;
mod cut;
mod setups;

use buffers::KnownBuffers;
use cut::cuts;
pub(crate) use cut::{Cut, GROUPS, group};
use setups::{Setups, Unfits};

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
