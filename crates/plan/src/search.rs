//! The search for the best models for all roles of a requirement on the groups of a machine.

use std::collections::BTreeMap;

use localrig_estimate::memory::margin;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Basis, Estimate};
use localrig_simulate::share_time;

use crate::assign::{Assignment, Group, Load, Served, Unplaced};
use crate::group::{Fit, GroupFits};
use crate::option::ModelOption;
use crate::requirement::Requirement;
use crate::score::{Weights, role_value};

/// More points than all terms together can give.
const ENOUGH: f64 = 1000.0;

pub(crate) struct Search<'s, 'a> {
    requirement: &'s Requirement,
    groups: &'s [&'s GroupFits<'a>],
    /// Options of each role on its group.
    fits: Vec<&'s [Fit<'a>]>,
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

impl<'s, 'a> Search<'s, 'a> {
    /// A search with the main role on the first group and all others on the last.
    pub(crate) fn new(
        requirement: &'s Requirement,
        groups: &'s [&'s GroupFits<'a>],
        weights: &'s Weights,
    ) -> Self {
        let last = groups.len() - 1;
        let fits: Vec<&[Fit<'a>]> = (0..requirement.roles.len())
            .map(|role| &groups[if role == 0 { 0 } else { last }].fits[role][..])
            .collect();
        let most = |role: &&[Fit<'a>]| role.iter().map(|fit| fit.worth).fold(0.0, f64::max);
        let hopes = (0..=fits.len()).map(|from| fits[from..].iter().map(most).sum()).collect();
        Self { requirement, groups, fits, weights, hopes }
    }

    /// The best choice for every role.
    ///
    /// # Errors
    /// When none fits, with what the least demanding one takes.
    pub(crate) fn best(&self) -> Result<Assignment<'a>, Unplaced> {
        let mut best: Option<(f64, Vec<Choice>)> = None;
        self.go(&mut Vec::new(), 0.0, &mut best);
        match best {
            Some((value, choice)) => Ok(self.assignment(&choice, value)),
            None => Err(Unplaced::TooSmall {
                usable: self.groups.iter().map(|group| group.offers()).sum(),
                needed: self.least(),
            }),
        }
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
                let shared = self
                    .shared_option(role, self.fits[0][main].option)
                    .filter(|_| self.can_share(0, role, &choice));
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

    /// Depth-first over the roles; `hope` is the most that the choices so far can give. Branches
    /// that cannot beat the best are cut.
    fn go(&self, choice: &mut Vec<Choice>, hope: f64, best: &mut Option<(f64, Vec<Choice>)>) {
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
                let usable = self.usable(choice, group);
                fits &= value + margin(Bytes::new(usable)).get() <= usable && high <= usable;
            }
            if fits {
                self.go(choice, hope, best);
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
            fit.pace.decode(tokens / streams.max(1), streams).per_stream_tok_per_s
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
                        }
                    }
                }
            }
            let (value, high) = self.taken(choice, index);
            let usable = self.usable(choice, index);
            Group {
                devices: own.machine.name.clone(),
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
