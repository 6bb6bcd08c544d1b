//! One machine in full: parts, checks, power, what can be added later, what it costs to own.

use localrig_facts::calibration::MachineConstants;
use localrig_facts::machine::Machine;
use localrig_facts::noise::NoiseClass;
use localrig_facts::part::{Cpu, Motherboard};
use localrig_facts::rent::TotalRow;
use localrig_facts::system::Form;
use localrig_facts::unit::{Bytes, Watts};
use localrig_facts::{Catalog, CatalogError, Id, Money};
use serde::Serialize;

use crate::answer::{Part, ServedRole, Twin, cost_range, part};
use crate::build::{FixedPart, Line, PartsError};
use crate::candidate::{Candidate, Idle, Wall, WallBasis, candidate_of_parts, candidates_of};
use crate::check::{Check, Outcome};
use crate::ownership::{Own, Ownership, ownership};
use crate::price::{Market, Price, PriceBasis, share_parcels};
use crate::requirement::Requirement;

/// One machine in full.
#[derive(Clone, Debug, Serialize)]
pub struct Configuration {
    /// Stable key, to ask for it again.
    pub key: String,
    /// Name.
    pub name: String,
    /// Where it is bought.
    pub region: String,
    /// The day of prices.
    pub as_of: String,
    /// Shape.
    pub form: Form,
    /// Accelerator memory.
    pub memory_bytes: Bytes,
    /// What is bought.
    pub parts: Vec<Part>,
    /// What it costs; absent when a price is missing.
    pub cost: Option<Money>,
    /// The least and most it may cost, of the parts that have a price.
    pub cost_range: [Money; 2],
    /// Sum of the parts that have a price.
    pub priced: Money,
    /// Parts without a price and parts whose price is old or from elsewhere, each with the reason.
    pub not_current: Vec<String>,
    /// What build guides add up to for the same machine.
    pub documented: Vec<Documented>,
    /// Rules that were applied.
    pub checks: Vec<Check>,
    /// The rule that rules it out, if one does.
    pub refused_by: Option<String>,
    /// Power.
    pub power: Power,
    /// Noise class under load.
    pub noise: Option<NoiseClass>,
    /// Where the noise class comes from.
    pub noise_basis: String,
    /// What would run on it, for the requirement; empty when nothing was estimated.
    pub roles: Vec<ServedRole>,
    /// Why nothing would run on it; absent when something does, or was not asked.
    pub not_served: Option<String>,
    /// How more can be added later.
    pub growth: String,
    /// The next size up, step by step.
    pub upgrade: Option<Upgrade>,
    /// What to know while putting it together, from the notes of its parts.
    pub assembly: Vec<PartNote>,
    /// What to know for running it without a screen.
    pub headless: Vec<String>,
    /// What it costs to own.
    pub ownership: Ownership,
    /// Other base systems for the same accelerators.
    pub alternatives: Vec<Twin>,
}

/// What a build guide adds up to for the same machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Documented {
    /// The guide's name for it.
    pub product: String,
    /// Its total.
    pub total: Money,
    /// The day it speaks of.
    pub date: String,
    /// Who says so.
    pub source: String,
    /// How far this configuration is from it, in percent of the total; absent without a total here.
    pub difference_percent: Option<f64>,
    /// What makes the difference, as far as that can be told.
    pub reasons: Vec<String>,
}

/// What a machine draws.
#[derive(Clone, Debug, Serialize)]
pub struct Power {
    /// At rest; absent when nobody measured it.
    pub idle: Option<Idle>,
    /// Most at the wall.
    pub wall_w: Option<Watts>,
    /// Heat it puts into the room at that: all of it.
    pub heat_w: Option<Watts>,
    /// Where the figures come from.
    pub basis: String,
}

/// A note of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartNote {
    /// The part.
    pub part: String,
    /// What of it the note is about, in words: `power connectors`.
    pub about: String,
    /// The note.
    pub text: String,
    /// Who says so.
    pub source: String,
}

/// The way to the next size up.
#[derive(Clone, Debug, Serialize)]
pub struct Upgrade {
    /// What it is then.
    pub to: String,
    /// What is bought in addition.
    pub add: Vec<Part>,
    /// What is replaced: the part that goes and the one that comes.
    pub replace: Vec<Replacement>,
    /// Sum of what is bought; absent when a price is missing.
    pub cost: Option<Money>,
    /// The rule that rules the larger machine out, if one does.
    pub refused_by: Option<String>,
}

/// A part that gives way to another.
#[derive(Clone, Debug, Serialize)]
pub struct Replacement {
    /// The part that goes.
    pub old: String,
    /// The part that comes.
    pub new: Part,
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// It is no card for a PC and no system.
    #[error("{name} is not sold as a card for a PC or as a system: nothing can be built around it")]
    NotBuyable {
        /// The machine.
        name: String,
    },
    /// It is not built with the base system that was asked for.
    #[error("no base system makes {key}")]
    NoSuchBase {
        /// What was asked for.
        key: String,
        /// Keys of what it is built as.
        others: Vec<String>,
    },
    /// The parts that were asked for make no machine.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// A catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// What one has to know beside the machine itself.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'r> {
    /// Power, sockets, used goods, shops.
    pub requirement: &'r Requirement,
    /// What would run on it.
    pub roles: &'r [ServedRole],
    /// Why nothing would.
    pub not_served: Option<&'r str>,
    /// Which of several base systems: its key. The first when absent.
    pub key: Option<&'r str>,
    /// Parts beside the cards that are decided on; nothing is searched then.
    pub parts: &'r [FixedPart],
    /// What the asker knows better.
    pub own: Own<'r>,
}

/// A machine in full: the cheapest base system in which a model can be split over its cards.
///
/// # Errors
/// When nothing can be built around it, or a catalog file is broken.
pub fn configuration(
    market: &Market<'_>,
    machine: &Machine<'_>,
    ask: Ask<'_>,
) -> Result<Configuration, ConfigurationError> {
    let found = candidates_of(market, ask.requirement, machine)?;
    let Some(first) = found.first() else {
        return Err(ConfigurationError::NotBuyable { name: machine.name.clone() });
    };
    if !ask.parts.is_empty() {
        let decided = candidate_of_parts(market, ask.requirement, machine, ask.parts)?;
        return Ok(configuration_of(market, &decided, &found, ask)?);
    }
    let candidate = match ask.key {
        None => first,
        Some(key) => found.iter().find(|one| one.key == key).ok_or_else(|| {
            let others = found.iter().map(|one| one.key.clone()).collect();
            ConfigurationError::NoSuchBase { key: key.to_owned(), others }
        })?,
    };
    Ok(configuration_of(market, candidate, &found, ask)?)
}

/// A candidate in full, beside others for the same accelerators.
pub(crate) fn configuration_of(
    market: &Market<'_>,
    candidate: &Candidate<'_>,
    others: &[Candidate<'_>],
    ask: Ask<'_>,
) -> Result<Configuration, CatalogError> {
    let catalog = market.catalog;
    let parts: Vec<Part> =
        candidate.lines.iter().map(|line| part(catalog, ask.requirement, line)).collect();
    let alternatives = others.iter().filter(|one| one.key != candidate.key).map(|one| Twin {
        key: one.key.clone(),
        name: one.machine.name.clone(),
        cost: one.cost.unwrap_or(one.priced),
        score: 0.0,
    });
    Ok(Configuration {
        key: candidate.key.clone(),
        name: candidate.machine.name.clone(),
        region: market.region_id.to_owned(),
        as_of: market.date.to_string(),
        form: candidate.form,
        memory_bytes: candidate.memory(),
        cost: candidate.cost,
        cost_range: cost_range(candidate, candidate.priced),
        priced: candidate.priced,
        not_current: not_current(&candidate.lines),
        documented: documented(market, candidate)?,
        checks: candidate.checks.clone(),
        refused_by: refused_by(candidate),
        power: power(candidate, catalog.machine_constants()?),
        noise: candidate.noise.class,
        noise_basis: candidate.noise.basis.clone(),
        roles: ask.roles.to_vec(),
        not_served: ask.not_served.map(str::to_owned),
        growth: candidate.growth.clone(),
        upgrade: upgrade(market, ask.requirement, candidate)?,
        assembly: assembly(catalog, &candidate.lines)?,
        headless: headless(catalog, candidate)?,
        ownership: ownership(market, candidate, ask.roles.first(), ask.own)?,
        alternatives: alternatives.collect(),
        parts,
    })
}

/// Totals of build guides for the same machine, with what makes the difference.
fn documented(
    market: &Market<'_>,
    candidate: &Candidate<'_>,
) -> Result<Vec<Documented>, CatalogError> {
    const PATH: &str = "price/total.csv";
    if market.catalog.file(PATH).is_none() {
        return Ok(Vec::new());
    }
    let totals: Vec<TotalRow> = market.catalog.rows(PATH)?;
    let is_this = |row: &TotalRow| {
        candidate.key == row.machine
            || candidate.key.strip_prefix(&row.machine).is_some_and(|rest| {
                rest.starts_with(&format!(" ({}", row.platform.as_deref().unwrap_or_default()))
            })
    };
    let sources = market.catalog.price_sources()?;
    let mut found = Vec::new();
    for one in market.catalog.prices()? {
        let row = &one.row;
        let about = totals.iter().any(|total| total.build == row.item && is_this(total));
        if !about || one.region != market.region_id || !row.known_by(market.date) {
            continue;
        }
        let total = row.money();
        let difference = candidate.cost.filter(|cost| cost.currency == total.currency);
        found.push(Documented {
            product: row.product.clone(),
            total,
            date: row.date.to_string(),
            source: sources
                .get(&row.source)
                .map_or_else(|| row.source.clone(), localrig_facts::Source::describe),
            difference_percent: difference
                .map(|cost| (cost.amount() / total.amount() - 1.0) * 100.0),
            reasons: reasons(row.note.as_deref(), candidate),
        });
    }
    Ok(found)
}

/// What is known to make a total differ: what the guide's note says, the rules its parts were not
/// held to, and how far sources are apart on the dearest part.
fn reasons(note: Option<&str>, candidate: &Candidate<'_>) -> Vec<String> {
    let mut said: Vec<String> = note.map(|note| format!("the guide: {note}")).into_iter().collect();
    let supply = candidate.checks.iter().find(|check| check.rule == "power supply");
    let psu = candidate.lines.iter().find(|line| line.role == "power supply");
    if let (Some(check), Some(psu)) = (supply, psu) {
        said.push(format!("the supply is chosen by rule: {} for {}", psu.name, check.reason));
    }
    let dearest = candidate.lines.iter().max_by_key(|line| line.amount().map(|one| one.minor));
    if let Some(Ok(price)) = dearest.map(|line| &line.price) {
        let apart = price.spread.map_or_else(String::new, |[low, high]| {
            format!("; sources say {} to {} at about that time", low.whole(), high.whole())
        });
        let name = dearest.map_or("", |line| line.name.as_str());
        said.push(format!("{name} is {} of {}{apart}", price.amount.whole(), price.date));
    }
    said
}

fn refused_by(candidate: &Candidate<'_>) -> Option<String> {
    let failed = candidate.checks.iter().find(|check| check.outcome == Outcome::Fail)?;
    Some(format!("{}: {}", failed.rule, failed.reason))
}

/// Parts whose price is not one asked in the region lately.
fn not_current(lines: &[Line]) -> Vec<String> {
    lines
        .iter()
        .filter_map(|line| match &line.price {
            Err(error) => Some(format!("{}: {error}", line.name)),
            Ok(price) if price.basis != PriceBasis::Regional => Some(format!(
                "{}: {} price of {}, {} days old",
                line.name,
                price.basis.word(),
                price.date,
                price.age_days
            )),
            Ok(_) => None,
        })
        .collect()
}

fn power(candidate: &Candidate<'_>, constants: &MachineConstants) -> Power {
    let basis = match &candidate.wall {
        None => "not recorded".to_owned(),
        Some(Wall { basis: WallBasis::Alike, note: Some(note), .. }) => note.clone(),
        Some(Wall { basis: WallBasis::Limits, .. }) => {
            let (rest, efficiency) = (constants.rest_w.get(), constants.supply_efficiency * 100.0);
            format!(
                "power limits of cards and processor and {rest} W for the rest, at {efficiency} % \
                 efficiency of the supply"
            )
        }
        Some(Wall { basis, note: Some(note), .. }) => {
            format!("{}; {}", basis.words(), note.trim_end_matches('.'))
        }
        Some(Wall { basis, note: None, .. }) => basis.words().to_owned(),
    };
    let wall = candidate.wall.as_ref().map(|wall| wall.power_w);
    Power { idle: candidate.idle.clone(), wall_w: wall, heat_w: wall, basis }
}

/// Twice the cards, or one unit more: what must be bought and what gives way.
pub(crate) fn upgrade(
    market: &Market<'_>,
    requirement: &Requirement,
    now: &Candidate<'_>,
) -> Result<Option<Upgrade>, CatalogError> {
    let machine = &now.machine;
    let mut larger = machine.clone();
    match machine.system {
        Some((_, system, _)) => {
            let most = system.cluster.as_ref().map_or(1, |cluster| cluster.max_units);
            if machine.units >= most {
                return Ok(None);
            }
            larger.units += 1;
        }
        None => larger.devices.iter_mut().for_each(|device| device.count *= 2),
    }
    let found = candidates_of(market, requirement, &larger)?;
    let Some(then) = found.first() else { return Ok(None) };
    // What is bought, and the part that gives way to it.
    let (mut lines, mut given): (Vec<Line>, Vec<Option<&str>>) = (Vec::new(), Vec::new());
    for line in &then.lines {
        let same = now.lines.iter().find(|old| old.id == line.id);
        let had = same.map_or(0, |old| old.count);
        if had >= line.count {
            continue;
        }
        let old = now.lines.iter().find(|old| same.is_none() && old.role == line.role);
        given.push(old.map(|old| old.name.as_str()));
        // What is there already shares no parcel with what comes later.
        let price = line.price.clone().map(Price::alone);
        lines.push(Line { count: line.count - had, price, ..line.clone() });
    }
    share_parcels(&mut lines);
    let (mut add, mut replace) = (Vec::new(), Vec::new());
    for (line, old) in lines.iter().zip(given) {
        let new = part(market.catalog, requirement, line);
        match old {
            Some(old) => replace.push(Replacement { old: old.to_owned(), new }),
            None => add.push(new),
        }
    }
    let bought = || add.iter().chain(replace.iter().map(|one| &one.new));
    let zero = Money::zero(market.region.currency);
    let sum = bought().filter_map(|part| part.amount).fold(zero, |sum, one| sum + one);
    let cost = bought().all(|part| part.amount.is_some()).then_some(sum);
    let to = then.machine.name.clone();
    Ok(Some(Upgrade { to, refused_by: refused_by(then), cost, add, replace }))
}

/// The notes that the catalog has on the parts.
pub(crate) fn assembly(catalog: &Catalog, lines: &[Line]) -> Result<Vec<PartNote>, CatalogError> {
    let heads = catalog.heads()?;
    let mut notes = Vec::new();
    for line in lines {
        let Some(head) = heads.iter().find(|head| *head.id == line.id) else { continue };
        for note in head.notes {
            let source = note.source.as_ref().and_then(|key| head.sources.get(key));
            notes.push(PartNote {
                part: line.name.clone(),
                about: about_words(&note.about),
                text: note.text.clone(),
                source: source.map_or_else(
                    || "no source recorded".to_owned(),
                    localrig_facts::Source::describe,
                ),
            });
        }
    }
    Ok(notes)
}

/// The key of a fact in words, without its group and its unit: `board.power_limit_w` is `power
/// limit`.
pub fn about_words(key: &str) -> String {
    const UNITS: [&str; 10] =
        ["w", "mm", "gib", "gb", "mib", "s", "tflops", "dba", "per", "direction"];
    let last = key.rsplit('.').next().unwrap_or(key);
    let mut words: Vec<&str> = last.split(['_', '-']).collect();
    while words.len() > 1 && words.last().is_some_and(|word| UNITS.contains(word)) {
        words.pop();
    }
    words.join(" ")
}

/// Screen, remote management and ECC, as far as the parts' facts say.
pub(crate) fn headless(
    catalog: &Catalog,
    candidate: &Candidate<'_>,
) -> Result<Vec<String>, CatalogError> {
    let id = |role: &str| -> Option<&Id> {
        candidate.lines.iter().find(|line| line.role == role).map(|line| &line.id)
    };
    let (Some(cpu), Some(board)) = (id("processor"), id("board")) else {
        return Ok(vec![
            "a system bought whole: reached over the network once it is set up".to_owned(),
        ]);
    };
    let (cpu, board) =
        (catalog.get::<Cpu>(cpu.as_str())?, catalog.get::<Motherboard>(board.as_str())?);
    let say = |fact: Option<bool>, yes: &str, no: &str, unknown: &str| {
        match fact {
            Some(true) => yes,
            Some(false) => no,
            None => unknown,
        }
        .to_owned()
    };
    Ok(vec![
        say(
            cpu.igpu,
            "the processor has graphics of its own: a screen for the installation takes nothing from the cards",
            "the processor has no graphics: the screen for the installation goes to a card, or use the board's management",
            "whether the processor has graphics is not recorded",
        ),
        say(
            board.bmc,
            "the board has a management controller: power, console and media over the network",
            "the board has no management controller: what hangs before the system starts needs a screen",
            "whether the board has a management controller is not recorded",
        ),
        say(
            cpu.ecc,
            "the processor supports ECC memory; whether the kit has it is in the parts list",
            "no ECC memory",
            "whether the processor supports ECC is not recorded",
        ),
    ])
}
