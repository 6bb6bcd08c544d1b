//! Every line of a requirement, met or missed by a machine.

use localrig_facts::shop::{Shop, Tier};
use localrig_facts::{Catalog, Money};
use serde::Serialize;

use crate::assign::{Assignment, Simulated};
use crate::candidate::Candidate;
use crate::check::{Outcome, WALL_SOCKET};
use crate::figure::{grouped, two_digits};
use crate::option::Bar;
use crate::price::PriceBasis;
use crate::quality::Ability;
use crate::requirement::Requirement;

/// Whether a line is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The target is met.
    Pass,
    /// The minimum is met, the target is not.
    Partly,
    /// It is missed.
    Miss,
    /// A fact is missing.
    Unknown,
}

impl Mark {
    /// The word used in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Partly => "partly",
            Self::Miss => "miss",
            Self::Unknown => "unknown",
        }
    }

    fn of(target: bool, minimum: bool) -> Self {
        match (target, minimum) {
            (true, _) => Self::Pass,
            (false, true) => Self::Partly,
            (false, false) => Self::Miss,
        }
    }
}

/// A line of the requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What is asked.
    pub requirement: String,
    /// What was wanted.
    pub wanted: String,
    /// What the machine gives.
    pub given: String,
    /// Whether that is enough.
    pub mark: Mark,
}

fn line(
    requirement: impl Into<String>,
    wanted: impl Into<String>,
    given: impl Into<String>,
    mark: Mark,
) -> Line {
    Line { requirement: requirement.into(), wanted: wanted.into(), given: given.into(), mark }
}

/// Share of answers in time that is enough: the attainment of their limits that studies of serving
/// ask for (`DistServe`, OSDI 2024).
const IN_TIME: f64 = 0.9;
/// Share below which being in time is the exception.
const HARDLY: f64 = 0.5;

/// Every line of the requirement against a machine.
pub fn lines(
    requirement: &Requirement,
    bars: &[Option<Bar<'_>>],
    candidate: &Candidate<'_>,
    assignment: &Assignment<'_>,
    cost: Money,
    catalog: &Catalog,
) -> Vec<Line> {
    let mut all = Vec::new();
    for served in &assignment.served {
        let role = &requirement.roles[served.role];
        let speed = served.busy.value.get();
        let minimum =
            role.speed_minimum_tok_per_s.map_or(0.0, localrig_facts::unit::TokensPerSec::get);
        let target = role
            .speed_target_tok_per_s
            .map(|range| range.map(localrig_facts::unit::TokensPerSec::get));
        let wanted = match target {
            Some([low, high]) => format!("{low:.0} to {high:.0} tok/s, at least {minimum:.0}"),
            None if minimum > 0.0 => format!("at least {minimum:.0} tok/s"),
            None => "at the same time".to_owned(),
        };
        let met = speed >= minimum;
        all.push(line(
            format!("{} speed", role.name),
            wanted,
            format!("{} tok/s per stream, everything running", two_digits(speed)),
            Mark::of(met && target.is_none_or(|[low, _]| speed >= low), met),
        ));
        all.extend(served.simulated.and_then(|one| in_time(&role.name, one)));
        if let Some(bar) = &bars[served.role] {
            let index = |it: &Ability| {
                format!("index {:.0} ({:.0} to {:.0})", it.index.value, it.index.low, it.index.high)
            };
            all.push(line(
                format!("{} quality", role.name),
                format!("as good as {} (index {:.0})", bar.model.name, bar.index),
                served.option.ability.as_ref().map_or_else(|| "not scored".to_owned(), index),
                match served.option.ability {
                    Some(_) => Mark::of(bar.is_met_by(served.option), false),
                    None => Mark::Unknown,
                },
            ));
        }
        let context = served.option.ask.context;
        all.push(line(
            format!("{} context", role.name),
            format!("{} x {} tokens", role.streams, tokens(role.context_tokens)),
            format!(
                "{} x {} tokens held, model goes to {}",
                role.streams,
                tokens(context),
                tokens(served.option.model.context_tokens)
            ),
            Mark::Pass,
        ));
    }
    // Of roles that take turns one is held at a time.
    let together = requirement.roles.iter().filter(|role| role.instead_of.is_none());
    let streams: u64 = together.map(|role| role.streams).sum();
    let [low, high] = requirement.streams.target;
    all.push(line(
        "concurrent streams",
        format!("{low} to {high}, at least {}", requirement.streams.minimum),
        format!("{streams} held and served at once"),
        Mark::of(streams >= u64::from(low), streams >= u64::from(requirement.streams.minimum)),
    ));
    if let Some(vision) = requirement.roles.iter().find(|role| role.images) {
        all.push(line(
            "image recognition",
            "concurrent with code generation",
            format!("{} loaded beside the others", vision.name),
            Mark::Pass,
        ));
    }
    let memory = candidate.memory().to_gib();
    let (target, minimum) =
        (requirement.memory.target_gib.written(), requirement.memory.minimum_gib.written());
    all.push(line(
        "accelerator memory",
        format!("{target:.0} GiB, at least {minimum:.0} GiB"),
        format!("{memory:.0} GiB"),
        Mark::of(memory >= target, memory >= minimum),
    ));
    let main = &assignment.served[0].option;
    let preferred = main.format.precision >= requirement.format.preferred;
    all.push(line(
        "quantization of the main model",
        format!(
            "{} preferred; {} accepted",
            requirement.format.preferred.word(),
            words(requirement.format.acceptable.iter().map(|one| one.word()))
        ),
        format!("{} ({})", main.format.name, main.format.precision.word()),
        Mark::of(preferred, requirement.format.acceptable.contains(&main.format.precision)),
    ));
    money(requirement, cost, &mut all);
    surroundings(requirement, candidate, &mut all);
    buying(requirement, candidate, catalog, &mut all);
    all
}

/// Whether a role's answers come in time; `None` when nothing limits them and none pile up.
fn in_time(role: &str, one: Simulated) -> Option<Line> {
    let limit = one.first_token_limit_s;
    let wanted = limit.map_or_else(
        || "no request left unanswered".to_owned(),
        |limit| {
            let limit = two_digits(limit.get());
            format!(
                "first token within {limit} s and no slower than the minimum, {:.0} in 100",
                IN_TIME * 100.0
            )
        },
    );
    let line = |given, mark| Some(line(format!("{role} answers in time"), wanted, given, mark));
    if let Some(one) = one.saturated {
        let [come, done] = [one.offered_per_s, one.sustainable_per_s].map(|rate| rate * 3_600.0);
        return line(
            format!("saturated: {come:.0} requests an hour come, {done:.0} can be answered"),
            Mark::Miss,
        );
    }
    let (share, late) = (one.in_time_share, two_digits(one.first_token_s[1].get()));
    limit?;
    let hundred = one.in_time_percent();
    line(
        format!("{hundred} in 100; one first token in 20 after {late} s or later"),
        Mark::of(share >= IN_TIME, share >= HARDLY),
    )
}

fn tokens(number: impl Into<u64>) -> String {
    grouped(i64::try_from(number.into()).unwrap_or(i64::MAX))
}

fn words<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn money(requirement: &Requirement, cost: Money, all: &mut Vec<Line>) {
    let budget = &requirement.budget;
    let [low, high] = budget.range.map(|one| Money::of(one, budget.currency));
    all.push(line(
        "budget",
        format!("at most {high} ({low} to {high})"),
        cost.whole().to_string(),
        if cost.minor <= high.minor { Mark::Pass } else { Mark::Miss },
    ));
    let [low, high] = budget.sweet_spot.map(|one| Money::of(one, budget.currency));
    all.push(line(
        "sweet spot",
        format!("at most {high} ({low} to {high})"),
        cost.whole().to_string(),
        Mark::of(cost.minor <= high.minor, true),
    ));
}

fn surroundings(requirement: &Requirement, candidate: &Candidate<'_>, all: &mut Vec<Line>) {
    let limit = requirement.noise.limit;
    let (given, mark) = match candidate.noise.class {
        Some(class) => (
            format!("{} ({})", class.word(), candidate.noise.basis),
            if class <= limit { Mark::Pass } else { Mark::Miss },
        ),
        None => (format!("not known ({})", candidate.noise.basis), Mark::Unknown),
    };
    all.push(line("noise", format!("at most {}", limit.word()), given, mark));
    let wall = candidate.checks.iter().find(|check| check.rule == WALL_SOCKET);
    let (given, mark) = match wall {
        Some(check) => (
            check.reason.clone(),
            match check.outcome {
                Outcome::Pass => Mark::Pass,
                Outcome::Warn => Mark::Partly,
                Outcome::Fail => Mark::Miss,
                Outcome::NotChecked => Mark::Unknown,
            },
        ),
        None => ("socket type not in the region's file".to_owned(), Mark::Unknown),
    };
    all.push(line("power", format!("{} socket", requirement.power.socket), given, mark));
    let form = candidate.form.word();
    let accepted = requirement.form.accepted.contains(&candidate.form);
    all.push(line(
        "form factor",
        words(requirement.form.accepted.iter().map(|one| one.word())),
        form,
        if accepted { Mark::Pass } else { Mark::Miss },
    ));
    let platform = candidate.platform();
    all.push(line(
        "platform",
        format!(
            "{} preferred; {} accepted",
            requirement.platform.preferred.join(", "),
            requirement.platform.accepted.join(", ")
        ),
        platform.clone(),
        Mark::of(
            requirement.platform.preferred.contains(&platform),
            requirement.platform.accepted.contains(&platform),
        ),
    ));
    if requirement.access.headless {
        all.push(line(
            "access",
            format!("headless, by {}", requirement.access.ways.join(", ")),
            "every engine chosen serves HTTP; the operating system brings SSH",
            Mark::Pass,
        ));
    }
    if requirement.growth.wanted {
        all.push(line(
            "growth",
            "room for more",
            candidate.growth.clone(),
            if candidate.can_grow() { Mark::Pass } else { Mark::Miss },
        ));
    }
}

fn buying(
    requirement: &Requirement,
    candidate: &Candidate<'_>,
    catalog: &Catalog,
    all: &mut Vec<Line>,
) {
    let used = candidate.has_used();
    all.push(line(
        "used goods",
        if requirement.used.accepted { "accepted with care" } else { "new only" },
        if used { "contains used or mixed goods" } else { "new only" },
        Mark::of(!used, requirement.used.accepted),
    ));
    let tiers: Vec<Option<Tier>> = candidate
        .prices()
        .map(|price| catalog.get_in::<Shop>(&price.shop_id).ok().map(|(_, shop)| shop.tier))
        .collect();
    let preferred =
        tiers.iter().flatten().filter(|tier| requirement.shops.preferred.contains(tier)).count();
    let reports = tiers.iter().flatten().filter(|tier| **tier == Tier::Observer).count();
    let fresh = candidate.prices().filter(|price| price.basis == PriceBasis::Regional).count();
    let mark = if preferred == tiers.len() {
        Mark::Pass
    } else if reports == 0
        && tiers.iter().flatten().all(|tier| {
            requirement.shops.accepted.contains(tier) || requirement.shops.preferred.contains(tier)
        })
    {
        Mark::Partly
    } else {
        Mark::Unknown
    };
    all.push(line(
        "shops",
        format!("{} first", words(requirement.shops.preferred.iter().map(|tier| tier.word()))),
        format!(
            "{preferred} of {} prices from there, {reports} from price reports that name no shop to order from; {fresh} fresh",
            tiers.len()
        ),
        mark,
    ));
}
