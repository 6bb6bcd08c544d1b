//! The plan: every machine that could be bought, judged against a requirement.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::unit::Bytes;
use localrig_facts::{Date, Id, Money};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::workload::Workload;

use crate::answer::{ServedRole, served_role};
use crate::assign::{Assignment, Served};
use crate::candidate::{Candidate, candidates};
use crate::check::{self, Check, Outcome};
use crate::group::{Groups, key};
use crate::option::{Bar, ModelOption, OptionError, options};
use crate::price::Market;
use crate::reason::Reason;
use crate::requirement::Requirement;
use crate::score::{ScoreTerm, terms};
use crate::shift::{Shift, shifts};
use crate::shortlist::{Placements, Trials, placements};
use crate::trial::SimulationNote;
use crate::verdict::{Line, Mark, lines};

/// Everything that was considered.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The requirement.
    pub requirement: &'a Requirement,
    /// The day prices are as of.
    pub date: Date,
    /// How speeds were simulated.
    pub simulation: SimulationNote,
    /// Machines within all hard limits, best first.
    pub ranked: Vec<Ranked<'a>>,
    /// Machines that would serve but have no price: not ranked, with what is missing.
    pub unpriced: Vec<Unpriced<'a>>,
    /// Machines outside a hard limit.
    pub rejected: Vec<Rejected<'a>>,
}

/// A machine within all hard limits.
#[derive(Debug)]
pub struct Ranked<'a> {
    /// The machine.
    pub candidate: &'a Candidate<'a>,
    /// What it costs.
    pub cost: Money,
    /// What runs on it.
    pub assignment: Assignment<'a>,
    /// Every line of the requirement, met or missed.
    pub lines: Vec<Line>,
    /// Points, 0 to 100.
    pub score: f64,
    /// The terms they come from.
    pub terms: Vec<ScoreTerm>,
    /// Whether no ranked machine with other accelerators is at least as good in price, main speed,
    /// main quality and memory.
    pub on_front: bool,
}

/// A machine without a price.
#[derive(Debug)]
pub struct Unpriced<'a> {
    /// The machine.
    pub candidate: &'a Candidate<'a>,
    /// What is missing.
    pub missing: Vec<String>,
}

/// A machine outside a hard limit.
#[derive(Debug)]
pub struct Rejected<'a> {
    /// The machine.
    pub candidate: &'a Candidate<'a>,
    /// What it costs, if that is known.
    pub cost: Option<Money>,
    /// The limit.
    pub reason: Reason,
    /// What would run on it; absent when it is out whatever runs, or nothing can be placed.
    pub assignment: Option<Assignment<'a>>,
}

/// What could be bought and what could run on it.
pub struct Planner<'a> {
    pub(crate) market: Market<'a>,
    pub(crate) requirement: &'a Requirement,
    /// Name of the workload that says what roles do.
    habits: String,
    shifts: Vec<Shift>,
    options: Vec<Vec<ModelOption<'a>>>,
    /// The least ability of every role.
    pub(crate) bars: Vec<Option<Bar<'a>>>,
    candidates: Vec<Candidate<'a>>,
    /// How models share a device.
    sharing: Sharing,
}

impl<'a> Planner<'a> {
    /// Gathers what could be bought and what could run; the roles behave as those of `habits`.
    ///
    /// # Errors
    /// When a catalog file is broken, or the requirement names something that is not in the catalog
    /// or cannot do what is asked of it.
    pub fn new(
        market: Market<'a>,
        requirement: &'a Requirement,
        habits: &Workload,
    ) -> Result<Self, OptionError> {
        let (options, candidates) = rayon::join(
            || options(market.catalog, requirement, market.date),
            || candidates(&market, requirement),
        );
        let shifts = shifts(requirement, habits);
        let (options, bars) = options?.into_iter().map(|role| (role.options, role.bar)).unzip();
        Ok(Self {
            sharing: Sharing::time_slice(market.catalog.machine_constants()?),
            market,
            requirement,
            habits: habits.name.clone(),
            shifts,
            options,
            bars,
            candidates: candidates?,
        })
    }

    /// Every machine that was considered, by key.
    pub fn candidates(&self) -> &[Candidate<'a>] {
        &self.candidates
    }

    /// What would run on a machine, by its key, simulated as a plan does.
    ///
    /// # Errors
    /// Why nothing was placed on it, when it was not considered, is outside a limit, or lacks a
    /// price.
    pub fn roles_on(&'a self, key: &str) -> Result<Vec<ServedRole>, String> {
        let said = |reason: &Reason| format!("{}: {}", reason.kind(), reason.decided_by());
        let named = self.candidates.iter().find(|one| one.key == key);
        let candidate = named.ok_or(
            "a plan does not consider such machines; `localrig simulate --on … --place …` runs models of your choice on one",
        )?;
        if let Some(reason) = self.outside(candidate) {
            return Err(said(&reason));
        }
        let placements = self.placed(&[candidate], |_| true);
        match self.judge(candidate, &placements) {
            Judged::Ranked(one) => {
                let served = one.assignment.served.iter();
                Ok(served
                    .map(|role| served_role(self.requirement, &one.assignment, role))
                    .collect())
            }
            Judged::Rejected(one) => Err(said(&one.reason)),
            Judged::Unpriced(_) => Err("without a price nothing is simulated".to_owned()),
        }
    }

    /// Judges every machine.
    pub fn plan(&'a self) -> Plan<'a> {
        let limits: Vec<Option<Reason>> =
            self.candidates.iter().map(|candidate| self.outside(candidate)).collect();
        let within: Vec<&Candidate<'a>> = self
            .candidates
            .iter()
            .zip(&limits)
            .filter(|(_, reason)| reason.is_none())
            .map(|(candidate, _)| candidate)
            .collect();
        let near = |served: &Served<'_>| self.too_slow(served).is_none();
        let placements = self.placed(&within, |assignment| assignment.served.iter().all(near));
        let judged: Vec<Judged<'a>> = self
            .candidates
            .iter()
            .zip(limits)
            .map(|(candidate, reason)| match reason {
                Some(reason) => Judged::Rejected(Rejected {
                    candidate,
                    cost: candidate.cost,
                    reason,
                    assignment: None,
                }),
                None => self.judge(candidate, &placements),
            })
            .collect();
        let (mut ranked, mut unpriced, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for one in judged {
            match one {
                Judged::Ranked(one) => ranked.push(*one),
                Judged::Unpriced(one) => unpriced.push(one),
                Judged::Rejected(one) => rejected.push(one),
            }
        }
        ranked.sort_by(better);
        settle_draws(&mut ranked);
        mark_front(&mut ranked);
        Plan {
            requirement: self.requirement,
            date: self.market.date,
            simulation: SimulationNote::new(&self.habits, &self.shifts),
            ranked,
            unpriced,
            rejected,
        }
    }

    /// The first limit a machine is outside of, whatever runs on it.
    fn outside(&self, candidate: &Candidate<'_>) -> Option<Reason> {
        self.limits(candidate).into_iter().next()
    }

    /// Every limit a machine is outside of, whatever runs on it.
    pub(crate) fn limits(&self, candidate: &Candidate<'_>) -> Vec<Reason> {
        let requirement = self.requirement;
        let mut found = Vec::new();
        let vendor = candidate.platform();
        if requirement.platform.hard && !requirement.platform.accepted.contains(&vendor) {
            found.push(Reason::Platform { vendor });
        }
        let most = requirement.budget.most();
        let over = candidate.cost.filter(|cost| cost.minor > most.minor);
        found.extend(
            over.filter(|_| requirement.budget.hard).map(|cost| Reason::OverBudget { cost, most }),
        );
        let (has, minimum) = (candidate.memory(), requirement.memory.minimum_gib.quantity());
        if requirement.memory.hard && has < minimum {
            found.push(Reason::MemoryMinimum { has, minimum });
        }
        let (form, wish) = (candidate.form, &requirement.form);
        if wish.hard && !wish.accepted.contains(&form) {
            found.push(Reason::Shape { shape: form.word() });
        }
        let counts = |one: &&Check| requirement.power.hard || one.rule != check::WALL_SOCKET;
        let failed = candidate.checks.iter().filter(|one| one.outcome == Outcome::Fail);
        let failed = failed.filter(counts);
        found.extend(failed.map(|failed| Reason::Incompatible {
            rule: format!("{}: {}", failed.rule, failed.reason),
        }));
        let class = candidate.noise.class.filter(|class| *class > requirement.noise.limit);
        let loud = class.filter(|_| requirement.noise.hard);
        found.extend(loud.map(|class| Reason::TooLoud { class: class.word() }));
        found
    }

    /// That a role is below its minimum speed.
    pub(crate) fn too_slow(&self, served: &Served<'_>) -> Option<Reason> {
        let role = &self.requirement.roles[served.role];
        let minimum = role.speed_minimum_tok_per_s?;
        (served.busy.value < minimum).then(|| Reason::TooSlow {
            role: role.name.clone(),
            speed: served.busy.value.get(),
            minimum: minimum.get(),
        })
    }

    /// What runs on some machines: the first of them with a price are simulated, as far as they are
    /// `worth` it.
    pub(crate) fn placed(
        &'a self,
        candidates: &[&'a Candidate<'a>],
        worth: impl Fn(&Assignment<'a>) -> bool,
    ) -> Placements<'a> {
        let catalog = self.market.catalog;
        let (requirement, shifts) = (self.requirement, &self.shifts);
        let groups =
            Groups::new(catalog, requirement, shifts, &self.options, candidates, self.sharing);
        let mut placements = placements(&groups, candidates);
        let trials = Trials { catalog, requirement, shifts };
        trials.settle(&mut placements, candidates, |candidate, assignment| {
            let cost = candidate.cost?;
            let all = terms(requirement, candidate, assignment, cost);
            worth(assignment).then(|| all.iter().map(ScoreTerm::points).sum())
        });
        placements
    }

    /// Every line of the requirement against a machine.
    pub(crate) fn lines(
        &self,
        candidate: &Candidate<'_>,
        assignment: &Assignment<'_>,
        cost: Money,
    ) -> Vec<Line> {
        lines(self.requirement, &self.bars, candidate, assignment, cost, self.market.catalog)
    }

    fn judge(&'a self, candidate: &'a Candidate<'a>, placements: &Placements<'a>) -> Judged<'a> {
        let requirement = self.requirement;
        let cost = candidate.cost;
        let reject =
            |reason, assignment| Judged::Rejected(Rejected { candidate, cost, reason, assignment });
        let assignment = match placements.get(&key(&candidate.machine)) {
            Some(Ok(placed)) => placed.best.clone(),
            Some(Err(why)) => return reject(why.clone().into(), None),
            // Every machine within the limits has a placement.
            None => {
                let none = Reason::TooSmall { usable: Bytes::ZERO, needed: Bytes::ZERO };
                return reject(none, None);
            }
        };
        let slow = assignment.served.iter().find_map(|served| self.too_slow(served));
        if let Some(slow) = slow {
            return reject(slow, Some(assignment));
        }
        let Some(cost) = cost else {
            let missing = candidate.missing_prices().map(ToString::to_string).collect();
            return Judged::Unpriced(Unpriced { candidate, missing });
        };
        let terms = terms(requirement, candidate, &assignment, cost);
        let score = terms.iter().map(ScoreTerm::points).sum();
        let lines = self.lines(candidate, &assignment, cost);
        Judged::Ranked(Box::new(Ranked {
            candidate,
            cost,
            assignment,
            lines,
            score,
            terms,
            on_front: false,
        }))
    }
}

enum Judged<'a> {
    Ranked(Box<Ranked<'a>>),
    Unpriced(Unpriced<'a>),
    Rejected(Rejected<'a>),
}

fn better(a: &Ranked<'_>, b: &Ranked<'_>) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| a.cost.minor.cmp(&b.cost.minor))
        .then_with(|| a.candidate.key.cmp(&b.candidate.key))
}

/// Points within which machines with different numbers of the same accelerators are a draw: far less
/// than the errors of their speeds come to.
const DRAW: f64 = 0.5;

/// Puts the cheapest first of those that are a draw: nobody should pay for one more box that adds
/// nothing.
fn settle_draws(ranked: &mut [Ranked<'_>]) {
    let accelerators = |one: &Ranked<'_>| -> BTreeSet<Id> {
        one.candidate.machine.devices.iter().map(|device| device.id.clone()).collect()
    };
    for place in 0..ranked.len() {
        // The one that moves up may be a draw with a cheaper one still.
        loop {
            let first = &ranked[place];
            let own = accelerators(first);
            let draws = (place + 1..ranked.len()).filter(|other| {
                let other = &ranked[*other];
                (first.score - other.score).abs() <= DRAW
                    && other.cost.minor < first.cost.minor
                    && accelerators(other) == own
                    && !first.candidate.has_same_accelerators(other.candidate)
            });
            let Some(cheapest) = draws.min_by_key(|other| ranked[*other].cost.minor) else { break };
            ranked[place..=cheapest].rotate_right(1);
        }
    }
}

/// Marks machines that no other beats or equals in everything and beats in something.
fn mark_front(ranked: &mut [Ranked<'_>]) {
    let values: Vec<[f64; 4]> = ranked
        .iter()
        .map(|one| {
            let main = &one.assignment.served[0];
            [
                -(one.cost.minor as f64),
                main.busy.value.get(),
                main.option.quality(),
                one.candidate.memory().get(),
            ]
        })
        .collect();
    // A dearer box with the same accelerators is the same choice, not a worse one.
    let beaten: Vec<bool> = (0..ranked.len())
        .map(|index| {
            let own = values[index];
            ranked.iter().zip(&values).any(|(other, theirs)| {
                theirs.iter().zip(own).all(|(theirs, ours)| *theirs >= ours)
                    && theirs.iter().zip(own).any(|(theirs, ours)| *theirs > ours)
                    && !other.candidate.has_same_accelerators(ranked[index].candidate)
            })
        })
        .collect();
    for (one, beaten) in ranked.iter_mut().zip(beaten) {
        one.on_front = !beaten;
    }
}

impl Plan<'_> {
    /// Rejected machines by kind of reason, in a fixed order.
    pub fn rejected_by_reason(&self) -> Vec<(&'static str, Vec<&Rejected<'_>>)> {
        let mut groups: BTreeMap<(u8, &'static str), Vec<&Rejected<'_>>> = BTreeMap::new();
        for one in &self.rejected {
            groups.entry((one.reason.order(), one.reason.kind())).or_default().push(one);
        }
        groups.into_iter().map(|((_, kind), all)| (kind, all)).collect()
    }
}

impl<'a> Plan<'a> {
    /// The same machines, the cheapest first whatever their points.
    #[must_use]
    pub fn cheapest_first(mut self) -> Self {
        self.ranked.sort_by(|a, b| {
            a.cost.amount().total_cmp(&b.cost.amount()).then(b.score.total_cmp(&a.score))
        });
        self
    }

    /// Ranked machines with the same accelerators in the same shape, as the best of them and the
    /// others, best first.
    pub fn by_accelerators(&self) -> Vec<(&Ranked<'a>, Vec<&Ranked<'a>>)> {
        let mut groups: Vec<(&Ranked<'a>, Vec<&Ranked<'a>>)> = Vec::new();
        for one in &self.ranked {
            let same = |(first, _): &&mut (&Ranked<'a>, Vec<&Ranked<'a>>)| {
                first.candidate.has_same_accelerators(one.candidate)
            };
            match groups.iter_mut().find(same) {
                Some((_, others)) => others.push(one),
                None => groups.push((one, Vec::new())),
            }
        }
        groups
    }
}

impl Ranked<'_> {
    /// Lines of the requirement that are missed.
    pub fn misses(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.mark == Mark::Miss)
    }
}
