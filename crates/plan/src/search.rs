//! The search for the best models for all roles of a requirement on the groups of a machine.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use localrig_estimate::memory::margin;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Basis, Estimate};
use localrig_simulate::load::{Demand, Load as Serving, RoleLoad, loads};
use localrig_simulate::step::StepTable;

use crate::assign::{Assignment, Group, Load, Served, Unplaced};
use crate::group::{Cut, Fit, GROUPS, GroupFits, holds};
use crate::option::ModelOption;
use crate::requirement::Requirement;
use crate::score::{Weights, role_value};
use crate::shift::{Shift, partner};

/// What a choice that meets every minimum speed is worth beside its points: more than any other.
pub(crate) const ENOUGH: f64 = 1000.0;

/// Worth of a choice with some points that comes this near to all minimum speeds together.
fn worth_of(points: f64, near: f64) -> f64 {
    if near < 1.0 { near * ENOUGH } else { ENOUGH + points }
}

/// Assignments kept for a machine: a simulation decides between them.
const KEPT: usize = 4;

/// The best assignments found so far, the best first.
#[derive(Default)]
pub(crate) struct Best<'a> {
    pub(crate) found: Vec<Assignment<'a>>,
}

impl<'a> Best<'a> {
    /// What a further assignment must be worth more than.
    fn floor(&self) -> f64 {
        self.found.get(KEPT - 1).map_or(f64::NEG_INFINITY, |last| last.value)
    }

    fn add(&mut self, assignment: Assignment<'a>) {
        let place = self.found.partition_point(|one| one.value >= assignment.value);
        self.found.insert(place, assignment);
        self.found.truncate(KEPT);
    }
}

pub(crate) struct Search<'s, 'a> {
    requirement: &'s Requirement,
    shifts: &'s [Shift],
    groups: &'s [&'s GroupFits<'a>],
    cut: &'s Cut<'a>,
    /// Options of each role on its group.
    fits: Vec<&'s [Fit<'a>]>,
    weights: &'s Weights,
    /// The most that the roles from an index on can give.
    hopes: Vec<f64>,
    /// How near the roles from an index on can come to their minimum speeds: the product.
    nears: Vec<f64>,
}

/// What choices of the roles on a group of devices come to, whatever else there is: worked out once.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<BTreeMap<Key, Vec<(TokensPerSec, f64)>>>);

/// A shift, and the choices of the roles on the group.
type Key = (usize, Vec<(usize, Choice)>);

impl Known {
    fn get_or(
        &self,
        key: Key,
        work_out: impl FnOnce() -> Vec<(TokensPerSec, f64)>,
    ) -> Vec<(TokensPerSec, f64)> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(&key).cloned();
        found.unwrap_or_else(|| {
            let speeds = work_out();
            known().insert(key, speeds.clone());
            speeds
        })
    }
}

/// A choice for every role: index of the option, or the earlier role whose model it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Choice {
    Own(usize),
    SharedWith(usize),
}

impl<'s, 'a> Search<'s, 'a> {
    pub(crate) fn new(
        requirement: &'s Requirement,
        shifts: &'s [Shift],
        groups: &'s [&'s GroupFits<'a>],
        cut: &'s Cut<'a>,
        weights: &'s Weights,
    ) -> Self {
        let fits: Vec<&[Fit<'a>]> = (0..requirement.roles.len())
            .map(|role| &groups[cut.group_of[role]].fits[role][..])
            .collect();
        let most = |role: &&[Fit<'a>]| role.iter().map(|fit| fit.worth).fold(0.0, f64::max);
        let hopes = (0..=fits.len()).map(|from| fits[from..].iter().map(most).sum()).collect();
        let near = |role: &&[Fit<'a>]| role.iter().map(|fit| fit.near).fold(0.0, f64::max);
        let nears = (0..=fits.len()).map(|from| fits[from..].iter().map(near).product()).collect();
        Self { requirement, shifts, groups, cut, fits, weights, hopes, nears }
    }

    /// Adds the best choices: of each option of the main role the best one.
    ///
    /// # Errors
    /// When none fits, with what the least demanding one takes.
    pub(crate) fn run(&self, best: &mut Best<'a>) -> Result<(), Unplaced> {
        let mut any = false;
        for main in 0..self.fits[0].len() {
            let (mut own, floor) = (None, best.floor());
            self.go_on(&mut Vec::new(), (0.0, 1.0), Choice::Own(main), &mut own, floor);
            if let Some((value, choice)) = own {
                any = true;
                best.add(self.assignment(&choice, value));
            }
        }
        if any || !best.found.is_empty() {
            return Ok(());
        }
        Err(Unplaced::TooSmall {
            usable: self.groups.iter().map(|group| group.offers()).sum(),
            needed: self.least(),
        })
    }

    /// The least that any choice takes: every option of the main role with, for each other role,
    /// its smallest option or a share in the main role's model.
    fn least(&self) -> Bytes {
        let smallest = |role: usize| {
            let sizes = self.fits[role].iter().map(Fit::value).enumerate();
            sizes.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
        };
        let needed = |main: usize| -> f64 {
            let mut choice = vec![Choice::Own(main)];
            for role in 1..self.fits.len() {
                let own = smallest(role);
                let shared = self.shared(0, &choice, role).map(|own| &self.fits[role][own]);
                let own_value = self.fits[role][own].value();
                choice.push(match shared {
                    Some(shared) if shared.context.get() < own_value => Choice::SharedWith(0),
                    _ => Choice::Own(own),
                });
            }
            let of_group = |group: usize| {
                let (value, high) = self.taken(&choice, group);
                high.max(value + margin(Bytes::new(self.usable(&choice, group))).get())
            };
            (0..self.groups.len()).map(of_group).sum()
        };
        Bytes::new((0..self.fits[0].len()).map(needed).fold(f64::INFINITY, f64::min))
    }

    /// Depth-first over the roles; `hope` is the most points that the choices so far can give, and how
    /// near they can come to their minimum speeds. Branches that cannot beat the best, or the floor,
    /// are cut.
    fn go(
        &self,
        choice: &mut Vec<Choice>,
        mut hope: (f64, f64),
        best: &mut Option<(f64, Vec<Choice>)>,
        floor: f64,
    ) {
        let role = choice.len();
        if role == self.fits.len() {
            let value = self.value(choice);
            if value > best.as_ref().map_or(floor, |(most, _)| *most) {
                *best = Some((value, choice.clone()));
            }
            return;
        }
        // The roles so far slow each other down, and further ones do not make them faster: less than
        // each would have for itself, this often leaves nothing to hope for.
        if role > 1 {
            hope = self.so_far(choice);
            if !self.is_open(hope, role, best.as_ref(), floor) {
                return;
            }
        }
        // Sharing an earlier role's model costs no weights.
        let shareable: Vec<usize> =
            (0..role).filter(|earlier| self.shared(*earlier, choice, role).is_some()).collect();
        for earlier in shareable {
            self.go_on(choice, hope, Choice::SharedWith(earlier), best, floor);
        }
        for option in 0..self.fits[role].len() {
            self.go_on(choice, hope, Choice::Own(option), best, floor);
        }
    }

    /// Points of the roles decided so far while only they work, and how near they come to all of
    /// their minimum speeds together.
    fn so_far(&self, choice: &[Choice]) -> (f64, f64) {
        let speeds = self.speeds(choice).into_iter().enumerate();
        speeds.fold((0.0, 1.0), |(points, near), (role, speed)| {
            let option = self.fit_of(choice, role).option;
            let worth = role_value(self.requirement, role, option, speed, self.weights);
            (points + worth, near * self.requirement.roles[role].nearness(speed.0))
        })
    }

    /// Goes on with one more role decided, if that can still win and fits.
    fn go_on(
        &self,
        choice: &mut Vec<Choice>,
        hope: (f64, f64),
        one: Choice,
        best: &mut Option<(f64, Vec<Choice>)>,
        floor: f64,
    ) {
        let role = choice.len();
        choice.push(one);
        // What a model gives a role that has it to itself is the most that it gives it among others.
        let fit = self.fit_of(choice, role);
        let hope = (hope.0 + fit.worth, hope.1 * fit.near);
        if !self.is_open(hope, role + 1, best.as_ref(), floor) {
            choice.pop();
            return;
        }
        let fits = (0..self.groups.len()).all(|group| {
            let (value, high) = self.taken(choice, group);
            let usable = Bytes::new(self.usable(choice, group));
            holds(usable, Bytes::new(value), Bytes::new(high))
        });
        if fits {
            self.go(choice, hope, best, floor);
        }
        choice.pop();
    }

    /// Whether the roles from `next` on can make something better of what those before them may give.
    fn is_open(
        &self,
        (points, near): (f64, f64),
        next: usize,
        best: Option<&(f64, Vec<Choice>)>,
        floor: f64,
    ) -> bool {
        let most = best.map_or(floor, |(most, _)| *most);
        worth_of(points + self.hopes[next], near * self.nears[next]) > most
    }

    fn group_of(&self, role: usize) -> usize {
        self.cut.group_of[role]
    }

    /// What the engines chosen may use of a group: the smallest of their shares.
    fn usable(&self, choice: &[Choice], group: usize) -> f64 {
        (0..choice.len())
            .filter(|role| self.group_of(*role) == group)
            .map(|role| self.fit_of(choice, role).usable.get())
            .fold(f64::INFINITY, f64::min)
    }

    /// An earlier role's loaded model among a role's own options, if the role may use it.
    fn shared(&self, earlier: usize, choice: &[Choice], role: usize) -> Option<usize> {
        let Choice::Own(option) = choice[earlier] else { return None };
        let group = self.group_of(role);
        let known = || self.groups[group].shared[role][earlier][option];
        (self.group_of(earlier) == group).then(known).flatten()
    }

    fn fit_of(&self, choice: &[Choice], role: usize) -> &Fit<'a> {
        let own = match choice[role] {
            Choice::Own(option) => option,
            Choice::SharedWith(earlier) => self.shared(earlier, choice, role).unwrap_or(0),
        };
        &self.fits[role][own]
    }

    /// Bytes taken in a group: value and high end.
    fn taken(&self, choice: &[Choice], group: usize) -> (f64, f64) {
        let mut sizes: Vec<(f64, f64)> = Vec::new();
        for role in 0..choice.len() {
            let fit = self.fit_of(choice, role);
            let size = match choice[role] {
                _ if self.group_of(role) != group => (0.0, 0.0),
                Choice::Own(_) => (fit.value(), fit.high()),
                // Streams come on top, and the vision tower with the first that looks at images;
                // weights and runtime are there already.
                Choice::SharedWith(owner) => {
                    let context = fit.context.get();
                    let tower = if self.brings_tower(choice, owner, role) {
                        (fit.vision.value.get(), fit.vision.high.get())
                    } else {
                        (0.0, 0.0)
                    };
                    (context + tower.0, context + tower.1)
                }
            };
            match partner(self.requirement, role) {
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

    /// Whether a role that shares a loaded model is the first of its users to look at images.
    fn brings_tower(&self, choice: &[Choice], owner: usize, role: usize) -> bool {
        let looks = |role: usize| self.requirement.roles[role].images;
        let users = (owner..role).filter(|other| Self::owner(choice, *other) == owner);
        looks(role) && !users.into_iter().any(looks)
    }

    /// The role whose loaded model serves a role.
    fn owner(choice: &[Choice], role: usize) -> usize {
        match choice[role] {
            Choice::Own(_) => role,
            Choice::SharedWith(earlier) => earlier,
        }
    }

    /// What some roles of a shift get on average while no others work, with the step times of
    /// their owners.
    fn loads_of<'t>(
        &self,
        choice: &[Choice],
        shift: &Shift,
        roles: &[usize],
        steps: &impl Fn(usize) -> &'t StepTable,
    ) -> Vec<RoleLoad> {
        const DEVICES: [[u32; 1]; GROUPS] = [[0], [1], [2]];
        let (mut owners, mut servers) = (Vec::new(), Vec::new());
        let mut demands: Vec<Demand> = Vec::with_capacity(roles.len());
        for (place, role) in shift.roles.iter().enumerate() {
            if !roles.contains(role) {
                continue;
            }
            let owner = Self::owner(choice, *role);
            let server = owners.iter().position(|one| *one == owner).unwrap_or_else(|| {
                owners.push(owner);
                let devices = &DEVICES[self.group_of(owner)][..];
                let has_slots = self.fit_of(choice, owner).option.has_slots();
                servers.push(Serving { steps: steps(owner), devices, has_slots });
                owners.len() - 1
            });
            let copies = f64::from(self.groups[self.group_of(owner)].copies);
            demands.push(Demand { server, ..shift.demands[place].over(copies) });
        }
        loads(&servers, self.groups[0].sharing, &demands)
    }

    /// What every role gets on average while its shift works, with the step times of its owner.
    fn loaded<'t>(
        &self,
        choice: &[Choice],
        steps: impl Fn(usize) -> &'t StepTable,
    ) -> Vec<RoleLoad> {
        let mut all: Vec<Option<RoleLoad>> = vec![None; choice.len()];
        for shift in self.shifts {
            let loads = self.loads_of(choice, shift, &shift.roles, &steps);
            for (role, load) in shift.roles.iter().zip(loads) {
                all[*role].get_or_insert(load);
            }
        }
        // Every role works in some shift.
        all.into_iter().flatten().collect()
    }

    /// Speed of every role decided while its shift works, and its share of answers in time. Groups share
    /// nothing: each is looked at alone, and a role that has one to itself is known.
    fn speeds(&self, choice: &[Choice]) -> Vec<(TokensPerSec, f64)> {
        let mut all: Vec<Option<(TokensPerSec, f64)>> = vec![None; choice.len()];
        for (index, shift) in self.shifts.iter().enumerate() {
            for group in 0..self.groups.len() {
                let here = |role: &usize| *role < choice.len() && self.group_of(*role) == group;
                let together: Vec<usize> = shift.roles.iter().copied().filter(here).collect();
                if together.iter().all(|role| all[*role].is_some()) {
                    continue;
                }
                if let [role] = together[..] {
                    all[role].get_or_insert(self.fit_of(choice, role).solo);
                    continue;
                }
                let speeds = if self.groups.len() == 1 {
                    self.together(choice, shift, &together)
                } else {
                    // The same card stands beside many others, with the same roles on it.
                    let own = (0..choice.len()).filter(here).map(|role| (role, choice[role]));
                    let known = &self.groups[group].known;
                    known.get_or((index, own.collect()), || self.together(choice, shift, &together))
                };
                for (role, speed) in together.iter().zip(speeds) {
                    all[*role].get_or_insert(speed);
                }
            }
        }
        // Every role works in some shift.
        all.into_iter().flatten().collect()
    }

    /// Speed of the roles of a group in a shift, in the shift's order, and their shares in time.
    fn together(
        &self,
        choice: &[Choice],
        shift: &Shift,
        roles: &[usize],
    ) -> Vec<(TokensPerSec, f64)> {
        let steps = |owner: usize| &*self.fit_of(choice, owner).steps;
        let loads = self.loads_of(choice, shift, roles, &steps);
        let places = (0..shift.roles.len()).filter(|place| roles.contains(&shift.roles[*place]));
        places
            .zip(loads)
            .map(|(place, load)| (load.loaded, shift.in_time(place, load.first)))
            .collect()
    }

    /// Points of a complete choice; see [`value`].
    fn value(&self, choice: &[Choice]) -> f64 {
        let speeds = self.speeds(choice);
        let served = speeds.iter().enumerate();
        let served = served.map(|(role, speed)| (self.fit_of(choice, role).option, *speed));
        value(self.requirement, served, self.weights)
    }

    fn assignment(&self, choice: &[Choice], value: f64) -> Assignment<'a> {
        let steps = |role: usize| &*self.fit_of(choice, role).steps;
        let usual = self.loaded(choice, steps);
        // How far off the speed model may be: everything slower, everything faster.
        let width = |role: usize| steps(role).uncertainty;
        let tables = |sign: i32| -> Vec<StepTable> {
            let table = |role: usize| {
                steps(role).scaled(width(role).decode.powi(sign), width(role).prefill.powi(sign))
            };
            (0..choice.len()).map(table).collect()
        };
        let in_time: Vec<f64> = self.speeds(choice).into_iter().map(|(_, share)| share).collect();
        let (slower, faster) = (tables(1), tables(-1));
        let low = self.loaded(choice, |role| &slower[role]);
        let high = self.loaded(choice, |role| &faster[role]);
        let served: Vec<Served<'a>> = (0..choice.len())
            .map(|role| {
                let fit = self.fit_of(choice, role);
                let basis = fit.basis.max(Basis::Modelled);
                let empty = TokensPerSec::new(1.0 / fit.steps.decode(0, 1).get());
                Served {
                    role,
                    option: fit.option,
                    group: self.group_of(role),
                    shares_weights: matches!(choice[role], Choice::SharedWith(_)),
                    busy: Estimate {
                        value: usual[role].loaded,
                        low: low[role].loaded,
                        high: high[role].loaded,
                        basis,
                    },
                    alone: Estimate::within_factor(empty, fit.steps.uncertainty.single, basis),
                    in_time: in_time[role],
                    load: fit.load,
                    simulated: None,
                }
            })
            .collect();
        let groups = self.groups.iter().enumerate().map(|(index, own)| {
            let mut loads: BTreeMap<usize, Load> = BTreeMap::new();
            for role in (0..choice.len()).filter(|role| self.group_of(*role) == index) {
                let fit = self.fit_of(choice, role);
                match choice[role] {
                    Choice::Own(_) => {
                        let label = fit.option.label();
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
                            if self.brings_tower(choice, owner, role) {
                                load.overhead = load.overhead.plus(fit.vision);
                            }
                        }
                    }
                }
            }
            let (value, high) = self.taken(choice, index);
            let usable = self.usable(choice, index);
            let copies = own.copies > 1;
            Group {
                devices: if copies {
                    format!("each of {}x {}", own.copies, own.machine.name)
                } else {
                    own.machine.name.clone()
                },
                units: self.cut.units[index].clone(),
                copies,
                usable: Bytes::new(usable),
                margin: margin(Bytes::new(usable)),
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

/// Points of models with speeds and the share of answers in time, in the order of the roles. Those
/// that meet every minimum speed beat any that do not; of these the nearest to the minimums wins.
pub(crate) fn value<'o, 'a: 'o>(
    requirement: &Requirement,
    served: impl Iterator<Item = (&'o ModelOption<'a>, (TokensPerSec, f64))>,
    weights: &Weights,
) -> f64 {
    let (mut sum, mut near) = (0.0, 1.0);
    for (index, (option, (speed, in_time))) in served.enumerate() {
        let role = &requirement.roles[index];
        near *= role.nearness(speed);
        sum += role_value(requirement, index, option, (speed, in_time), weights);
    }
    worth_of(sum, near)
}
