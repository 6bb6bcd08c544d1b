//! The plan as an answer: owned, in the order people read it, with units in the keys. What every
//! interface prints, sends or draws is made from it.

use localrig_facts::noise::NoiseClass;
use localrig_facts::shop::Shop;
use localrig_facts::system::Form;
use localrig_facts::unit::{Bytes, Seconds, TokensPerSec};
use localrig_facts::{Catalog, Estimate, Id, Money};
use serde::Serialize;

use crate::assign::{Assignment, Group, Served, Simulated};
use crate::build::Line;
use crate::candidate::{Candidate, Wall};
use crate::check::Check;
use crate::knowledge::{Correction, Fact, corrections_of, facts};
use crate::lead::{Lead, Leader, leaders};
use crate::plan::{Plan, Ranked, Rejected};
use crate::price::{NoPrice, Parcel, Price, PriceBasis};
use crate::requirement::{Requirement, Role};
use crate::score::ScoreTerm;
use crate::shift::turns;
use crate::trial::SimulationNote;
use crate::verdict;

/// Which machine to buy for a requirement.
#[derive(Clone, Debug, Serialize)]
pub struct PlanAnswer {
    /// The requirement's name.
    pub requirement: String,
    /// How the requirement was given: a file, or the name of a shipped one; absent when it was
    /// changed after it was read.
    pub given: Option<String>,
    /// Where the machine is bought.
    pub region: String,
    /// The day that prices and releases are as of.
    pub as_of: String,
    /// What has to run.
    pub roles: Vec<Role>,
    /// How speeds were simulated.
    pub simulation: SimulationNote,
    /// What may be spent, from and to.
    pub budget: [Money; 2],
    /// Where one would like to be.
    pub sweet_spot: [Money; 2],
    /// Machines within all hard limits, best first; machines with the same accelerators are one
    /// entry.
    pub ranked: Vec<RankedMachine>,
    /// What puts the first before the first that is built from other accelerators; absent when
    /// there is none.
    pub lead: Option<Lead>,
    /// Who leads in one respect, among the ranked.
    pub leaders: Vec<Leader>,
    /// Machines that would do but lack a price.
    pub unpriced: Vec<UnpricedMachine>,
    /// Machines outside a hard limit, by kind of limit.
    pub rejected: Vec<RejectedGroup>,
}

/// A machine within all hard limits.
#[derive(Clone, Debug, Serialize)]
pub struct RankedMachine {
    /// Place, from 1.
    pub rank: usize,
    /// Stable key.
    pub key: String,
    /// The machine alone, without what a build is made of around its cards: as `--on` reads it.
    pub machine: String,
    /// Name.
    pub name: String,
    /// Shape.
    pub form: Form,
    /// Points out of 100.
    pub score: f64,
    /// Whether no other machine is at least as good in price, main speed, main quality and memory.
    pub on_pareto_front: bool,
    /// What it costs.
    pub cost: Money,
    /// The least and most it may cost, from the spread of every part's price.
    pub cost_range: [Money; 2],
    /// Accelerator memory.
    pub memory_bytes: Bytes,
    /// Most it draws at the wall; absent when nothing is known.
    pub wall: Option<Wall>,
    /// Noise class under load; absent when nothing is known.
    pub noise: Option<NoiseClass>,
    /// Where the noise class comes from.
    pub noise_basis: String,
    /// What runs on it.
    pub roles: Vec<ServedRole>,
    /// What fills the memory of each group of devices.
    pub memory: Vec<MemoryGroup>,
    /// Every line of the requirement, met or missed.
    pub verdict: Vec<verdict::Line>,
    /// What is bought.
    pub parts: Vec<Part>,
    /// Rules that were applied.
    pub checks: Vec<Check>,
    /// How more can be added later.
    pub growth: String,
    /// What to know before buying, from the facts of its parts and models.
    pub know: Vec<Fact>,
    /// What documents have wrong about it, worst first.
    pub corrections: Vec<Correction>,
    /// The terms of the score.
    pub score_terms: Vec<ScoreTerm>,
    /// Machines with the same accelerators that came out lower.
    pub also: Vec<Twin>,
}

/// A role with the model that serves it.
#[derive(Clone, Debug, Serialize)]
pub struct ServedRole {
    /// The role.
    pub role: String,
    /// Streams.
    pub streams: u64,
    /// Context of each stream.
    pub context_tokens: u64,
    /// Model id.
    pub model_id: Id,
    /// Model.
    pub model: String,
    /// All parameters.
    pub parameters: u64,
    /// Parameters read per token; absent = not recorded.
    pub active_parameters: Option<u64>,
    /// Format id.
    pub format_id: Id,
    /// Format.
    pub format: String,
    /// Engine id.
    pub engine_id: Id,
    /// Engine.
    pub engine: String,
    /// Type of the KV cache.
    pub kv_type: &'static str,
    /// Devices it runs on.
    pub devices: String,
    /// Numbers of these devices in the machine, from 0.
    pub device_numbers: Vec<u32>,
    /// Whether each device has a copy of the model; else they hold it together.
    pub copies: bool,
    /// Whether it is the same loaded model as an earlier role's.
    pub shares_weights: bool,
    /// With whom it takes turns; absent when it is always loaded.
    pub turn: Option<Turn>,
    /// Speed of each stream after its first token while the whole workload runs: the median
    /// answer, with the 80 % interval of the speed model.
    pub per_stream_tok_per_s: Estimate<TokensPerSec>,
    /// What the simulation says beside; absent when the speed comes from means, for machines far
    /// down the ranking.
    pub simulated: Option<Simulated>,
    /// Speed of one stream with an empty context when nothing else runs.
    pub alone_tok_per_s: Estimate<TokensPerSec>,
    /// Ability at the role's task, 0 to 100; absent = not scored.
    pub quality_index: Option<Estimate<f64>>,
    /// Index points lost to the format and the type of the KV cache.
    pub format_loss_points: f64,
}

/// Roles whose models are never loaded together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// The other roles.
    pub with: Vec<String>,
    /// How long it takes to load the model when its turn comes, from a disk as the calibration
    /// assumes it.
    pub load_s: Seconds,
}

impl Turn {
    fn of(requirement: &Requirement, served: &Served<'_>) -> Option<Self> {
        let with = turns(requirement, served.role);
        (!with.is_empty()).then_some(Self { with, load_s: served.load })
    }
}

/// What fills the memory of a group of devices.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryGroup {
    /// The devices.
    pub devices: String,
    /// What the engines may use of them.
    pub usable_bytes: Bytes,
    /// What is kept free of that.
    pub margin_bytes: Bytes,
    /// Sum of what is loaded.
    pub total_bytes: Estimate<Bytes>,
    /// Loaded models.
    pub loads: Vec<Load>,
}

/// A loaded model.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Roles it serves.
    pub roles: Vec<String>,
    /// Whether it takes turns with others, so that not all of them are loaded at a time.
    pub in_turn: bool,
    /// Model, format and engine.
    pub label: String,
    /// Weights.
    pub weights_bytes: Bytes,
    /// KV cache and recurrent state.
    pub context_bytes: Bytes,
    /// Graph buffers, runtime, vision tower.
    pub overhead_bytes: Estimate<Bytes>,
}

/// A part that is bought.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What it is for.
    pub role: &'static str,
    /// Catalog id.
    pub id: Id,
    /// Name.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Price of all of them; absent when there is none.
    pub amount: Option<Money>,
    /// Price of one.
    pub price: Option<Price>,
    /// Why there is no price.
    pub no_price: Option<NoPrice>,
    /// Where to look for today's offers: a search in the first shop wanted that has one.
    pub search: Option<String>,
}

/// Whether parts are put together, and not a machine that is bought whole, with its cables.
pub fn is_built(parts: &[Part]) -> bool {
    parts.iter().any(|part| part.role == "board")
}

/// A machine with the same accelerators as a better one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Twin {
    /// Stable key.
    pub key: String,
    /// Name.
    pub name: String,
    /// What it costs.
    pub cost: Money,
    /// Points out of 100.
    pub score: f64,
}

/// A machine that would do but lacks a price.
#[derive(Clone, Debug, Serialize)]
pub struct UnpricedMachine {
    /// Stable key.
    pub key: String,
    /// Name.
    pub name: String,
    /// Sum of the parts that have a price.
    pub priced_parts: Money,
    /// What is missing, one reason per part.
    pub missing: Vec<String>,
}

/// Machines outside one kind of limit.
#[derive(Clone, Debug, Serialize)]
pub struct RejectedGroup {
    /// The kind of limit.
    pub reason: &'static str,
    /// The machines, nearest to the limit first.
    pub machines: Vec<RejectedMachine>,
}

/// A machine outside a limit.
#[derive(Clone, Debug, Serialize)]
pub struct RejectedMachine {
    /// Stable key.
    pub key: String,
    /// Name.
    pub name: String,
    /// What it costs, if that is known.
    pub cost: Option<Money>,
    /// The number or rule that decided.
    pub decided_by: String,
    /// Key of a machine before it in the group that has the same accelerators and is out for the
    /// same reason.
    pub same_as: Option<String>,
}

impl PlanAnswer {
    /// Whether a machine is the first by some view of its own.
    pub fn leads(&self, machine: &RankedMachine) -> bool {
        self.leaders.iter().any(|leader| leader.rank == machine.rank)
    }

    /// The answer of a plan.
    pub fn new(catalog: &Catalog, plan: &Plan<'_>) -> Self {
        let requirement = plan.requirement;
        let money = |range: [f64; 2]| range.map(|one| Money::of(one, requirement.budget.currency));
        let by_accelerators = plan.by_accelerators();
        let mut ranked: Vec<RankedMachine> = Vec::new();
        for (first, others) in &by_accelerators {
            let rank = ranked.len() + 1;
            ranked.push(machine(catalog, requirement, rank, first, others));
        }
        let unpriced = plan.unpriced.iter().map(|one| UnpricedMachine {
            key: one.candidate.key.clone(),
            name: one.candidate.machine.name.clone(),
            priced_parts: one.candidate.priced,
            missing: one.missing.clone(),
        });
        let rejected = plan.rejected_by_reason().into_iter().map(|(reason, mut all)| {
            let cost = |one: &Rejected<'_>| one.cost.map_or(i64::MAX, |cost| cost.minor);
            all.sort_by(|a, b| {
                let distance = a.reason.distance().total_cmp(&b.reason.distance());
                distance.then(cost(a).cmp(&cost(b)))
            });
            let machines = all.iter().enumerate().map(|(index, one)| {
                let first = all[..index].iter().find(|first| {
                    first.candidate.has_same_accelerators(one.candidate)
                        && first.reason.decided_by() == one.reason.decided_by()
                });
                RejectedMachine {
                    key: one.candidate.key.clone(),
                    name: one.candidate.machine.name.clone(),
                    cost: one.cost,
                    decided_by: one.reason.decided_by(),
                    same_as: first.map(|first| first.candidate.key.clone()),
                }
            });
            RejectedGroup { reason, machines: machines.collect() }
        });
        Self {
            requirement: requirement.name.clone(),
            given: None,
            region: requirement.region.clone(),
            as_of: plan.date.to_string(),
            roles: requirement.roles.clone(),
            simulation: plan.simulation.clone(),
            budget: money(requirement.budget.range),
            sweet_spot: money(requirement.budget.sweet_spot),
            leaders: leaders(&ranked),
            lead: {
                let firsts: Vec<&Ranked<'_>> = by_accelerators.iter().map(|one| one.0).collect();
                Lead::new(requirement, &firsts)
            },
            ranked,
            unpriced: unpriced.collect(),
            rejected: rejected.collect(),
        }
    }
}

fn machine(
    catalog: &Catalog,
    requirement: &Requirement,
    rank: usize,
    ranked: &Ranked<'_>,
    others: &[&Ranked<'_>],
) -> RankedMachine {
    let candidate = ranked.candidate;
    let twin = |one: &&Ranked<'_>| Twin {
        key: one.candidate.key.clone(),
        name: one.candidate.machine.name.clone(),
        cost: one.cost,
        score: one.score,
    };
    let assignment = &ranked.assignment;
    RankedMachine {
        rank,
        key: candidate.key.clone(),
        machine: candidate.machine_key().to_owned(),
        name: candidate.machine.name.clone(),
        form: candidate.form,
        score: ranked.score,
        on_pareto_front: ranked.on_front,
        cost: ranked.cost,
        cost_range: cost_range(candidate, ranked.cost),
        memory_bytes: candidate.memory(),
        wall: candidate.wall.clone(),
        noise: candidate.noise.class,
        noise_basis: candidate.noise.basis.clone(),
        roles: assignment
            .served
            .iter()
            .map(|one| served_role(requirement, assignment, one))
            .collect(),
        memory: assignment.groups.iter().map(|one| memory_group(requirement, one)).collect(),
        verdict: ranked.lines.clone(),
        parts: candidate.lines.iter().map(|line| part(catalog, requirement, line)).collect(),
        checks: candidate.checks.clone(),
        growth: candidate.growth.clone(),
        know: facts(catalog, candidate, assignment),
        corrections: corrections_of(catalog, candidate, assignment),
        score_terms: ranked.terms.clone(),
        also: others.iter().map(twin).collect(),
    }
}

/// The spread of every part added up: what sources disagree on, and the range of freight.
pub(crate) fn cost_range(candidate: &Candidate<'_>, cost: Money) -> [Money; 2] {
    let (mut low, mut high) = (Money::zero(cost.currency), Money::zero(cost.currency));
    for line in &candidate.lines {
        let Ok(price) = &line.price else { continue };
        let [least, most] = price.spread.unwrap_or([price.low, price.high]);
        let least = if least.minor < price.low.minor { least } else { price.low };
        let most = if most.minor > price.high.minor { most } else { price.high };
        // What another source says bears freight of its own, or none.
        let once = |own: bool, share: fn(&Parcel) -> Money| {
            let parcel = price.parcel.as_ref().filter(|_| own);
            let paid = parcel.map_or(Money::zero(cost.currency), share);
            paid.times(line.count.saturating_sub(1))
        };
        low += least.times(line.count) - once(least == price.low, |parcel| parcel.low);
        high += most.times(line.count) - once(most == price.high, |parcel| parcel.high);
    }
    [
        if low.minor < cost.minor { low } else { cost },
        if high.minor > cost.minor { high } else { cost },
    ]
}

pub(crate) fn served_role(
    requirement: &Requirement,
    assignment: &Assignment<'_>,
    served: &Served<'_>,
) -> ServedRole {
    let (role, option) = (&requirement.roles[served.role], served.option);
    ServedRole {
        role: role.name.clone(),
        streams: role.streams,
        context_tokens: role.context_tokens,
        model_id: option.id.clone(),
        model: option.model.name.clone(),
        parameters: option.model.parameters.total,
        active_parameters: option.model.parameters.active,
        format_id: option.format_id.clone(),
        format: option.format.name.clone(),
        engine_id: option.engine_id.clone(),
        engine: option.engine.name.clone(),
        kv_type: option.ask.kv.name,
        devices: assignment.groups[served.group].devices.clone(),
        device_numbers: assignment.groups[served.group].units.clone(),
        copies: assignment.groups[served.group].copies,
        simulated: served.simulated,
        shares_weights: served.shares_weights,
        turn: Turn::of(requirement, served),
        per_stream_tok_per_s: served.busy,
        alone_tok_per_s: served.alone,
        quality_index: option.ability.as_ref().map(|ability| ability.index),
        format_loss_points: option.format_loss,
    }
}

pub(crate) fn memory_group(requirement: &Requirement, group: &Group) -> MemoryGroup {
    let loads = group.loads.iter().map(|load| Load {
        roles: load.roles.iter().map(|role| requirement.roles[*role].name.clone()).collect(),
        in_turn: load.roles.iter().any(|role| !turns(requirement, *role).is_empty()),
        label: load.label.clone(),
        weights_bytes: load.weights,
        context_bytes: load.context,
        overhead_bytes: load.overhead,
    });
    MemoryGroup {
        devices: group.devices.clone(),
        usable_bytes: group.usable,
        margin_bytes: group.margin,
        total_bytes: group.total,
        loads: loads.collect(),
    }
}

pub(crate) fn part(catalog: &Catalog, requirement: &Requirement, line: &Line) -> Part {
    Part {
        role: line.role,
        id: line.id.clone(),
        name: line.name.clone(),
        count: line.count,
        amount: line.amount(),
        price: line.price.as_ref().ok().cloned(),
        no_price: line.price.as_ref().err().cloned(),
        search: search(catalog, requirement, &searched(&line.name)),
    }
}

/// What to search for: a name without what stands in brackets, which no shop writes.
fn searched(name: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0_u32;
    for c in name.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = kept.split_whitespace().collect();
    words.join(" ").replace(", any make", "")
}

/// A search for a product in the first shop the requirement names that has one.
fn search(catalog: &Catalog, requirement: &Requirement, name: &str) -> Option<String> {
    let shops = requirement.shops.named.iter();
    let template = shops
        .filter_map(|shop| catalog.get_in::<Shop>(shop).ok())
        .find_map(|(_, shop)| shop.search_url.as_ref())?;
    let mut query = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                query.push(char::from(byte));
            }
            b' ' => query.push('+'),
            _ => query.extend(format!("%{byte:02X}").chars()),
        }
    }
    Some(template.replace("{query}", &query))
}

/// How old the prices of some machines are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PriceAges {
    /// Parts whose price was asked in the region recently.
    pub regional: u32,
    /// Parts whose regional price is old.
    pub stale: u32,
    /// Parts whose price was converted from elsewhere.
    pub derived: u32,
    /// Parts whose old price was raised to what such goods cost now.
    pub raised: u32,
    /// Age of the newest price in days.
    pub newest_days: i32,
    /// Age of the oldest.
    pub oldest_days: i32,
}

impl PriceAges {
    /// The ages of the prices of parts.
    pub fn of<'p>(parts: impl Iterator<Item = &'p Part>) -> Self {
        let mut ages = Self { newest_days: i32::MAX, ..Self::default() };
        for price in parts.filter_map(|part| part.price.as_ref()) {
            match price.basis {
                PriceBasis::Regional => ages.regional += 1,
                PriceBasis::Stale => ages.stale += 1,
                PriceBasis::Derived => ages.derived += 1,
                PriceBasis::Raised => ages.raised += 1,
            }
            ages.newest_days = ages.newest_days.min(price.age_days);
            ages.oldest_days = ages.oldest_days.max(price.age_days);
        }
        ages
    }
}
