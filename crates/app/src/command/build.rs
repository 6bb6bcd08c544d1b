//! `localrig build`

use std::path::{Path, PathBuf};

use localrig_facts::machine::{Machine, cards_of_pc, parse_machine};
use localrig_facts::{Date, Id};
use localrig_plan::build::FixedPart;
use localrig_plan::configuration::{Ask, configuration};
use localrig_plan::ownership::Own;
use localrig_plan::plan::Planner;
use localrig_report::build::{csv, page};
use serde::{Deserialize, Serialize};

use crate::command;
use crate::command::simulate::habits;
use crate::failure::{Failure, INPUT, NOTHING_FITS};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine: "2x RTX 5090", "Mac Studio M3 Ultra 256 GB", a key from `localrig plan`, or a
    /// file written by `--lock`, whose parts are taken as they stand there
    machine: String,
    /// Only prices seen up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
    /// Requirement: where it stands, on which socket, what runs on it
    #[arg(long, value_name = "FILE", env = "LOCALRIG_REQUIRE")]
    require: Option<String>,
    /// Hours a day under load, instead of a range
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    hours: Option<f64>,
    /// Your price of electricity per kWh, instead of the median
    #[arg(long, value_name = "AMOUNT", value_parser = per_kwh)]
    per_kwh: Option<f64>,
    /// Write the configuration with its prices to this file; `localrig build FILE` prices it anew,
    /// `localrig price drift FILE` compares
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
}

fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse::<f64>().ok().filter(|hours| *hours > 0.0 && *hours <= 24.0);
    hours.ok_or_else(|| "must be hours of a day, for example `6`".to_owned())
}

fn per_kwh(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| *price > 0.0 && *price < 10.0);
    price.ok_or_else(|| "must be a price per kWh, for example `0.27`".to_owned())
}

/// A configuration on file.
#[derive(Debug, Serialize, Deserialize)]
struct Lock<T> {
    /// Form of the file.
    #[serde(rename = "localrig_lock")]
    form: u32,
    /// The machine, as `localrig build` takes it.
    machine: String,
    /// Which of its base systems.
    key: String,
    /// The configuration on the day it was written.
    configuration: T,
}

/// Form of files that this program writes and reads.
const LOCK_FORM: u32 = 1;

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let requirement = command::requirement(&catalog, args.require.as_deref())?.without_limits();
    let market = command::market(&catalog, &requirement, args.as_of)?;
    let Named { machine: text, key, whole, parts } = named(&args.machine)?;
    let machine = parse_machine(&catalog, &text)?;
    let key = key.or_else(|| {
        let (_, base) = cards_of_pc(&text)
            .filter(|(_, base)| whole.is_empty() && parts.is_empty() && !base.is_empty())?;
        let ids = machine.devices.iter().map(|one| match one.count {
            1 => one.id.to_string(),
            count => format!("{count}x {}", one.id),
        });
        Some(format!("{} ({base})", ids.collect::<Vec<_>>().join(" + ")))
    });
    agree(args, &text, &machine, whole)?;
    let tariff = tariff(args.per_kwh, market.date);
    let own = Own {
        per_kwh: tariff.as_ref().map(|(price, basis)| (*price, basis.as_str())),
        hours: args.hours,
    };
    let ask = Ask {
        requirement: &requirement,
        roles: &[],
        not_served: None,
        key: key.as_deref(),
        parts: &parts,
        own,
    };
    let plain = configuration(&market, &machine, ask)?;
    let habits = habits(None)?;
    let planner = Planner::new(market, &requirement, &habits)?;
    let served = planner.roles_on(&plain.key);
    let (roles, not_served) = match &served {
        Ok(roles) => (roles.as_slice(), None),
        Err(reason) => (&[][..], Some(reason.as_str())),
    };
    let answer = configuration(&market, &machine, Ask { roles, not_served, ..ask })?;
    if let Some(path) = &args.lock {
        let (machine, key) = (text, answer.key.clone());
        let lock = Lock { form: LOCK_FORM, machine, key, configuration: &answer };
        let mut text = serde_json::to_string_pretty(&lock).map_err(Failure::bug)?;
        text.push('\n');
        localrig_world::write_text(path, &text)?;
    }
    output.answer(&answer, page, |answer| csv(answer).map_err(Failure::bug))?;
    match answer.refused_by {
        None => Ok(()),
        Some(rule) => Err(Failure::new(NOTHING_FITS, "this machine does not work")
            .details(vec![rule])
            .hint("the rules are listed under Checks")),
    }
}

/// What the argument names.
struct Named {
    machine: String,
    /// Which of its base systems.
    key: Option<String>,
    /// The cards or the system, where parts are decided on.
    whole: Vec<FixedPart>,
    /// The parts of the base system, where they are decided on.
    parts: Vec<FixedPart>,
}

/// What is read of a configuration on file: the parts.
#[derive(Debug, Deserialize)]
struct Locked {
    parts: Vec<LockedPart>,
}

#[derive(Debug, Deserialize)]
struct LockedPart {
    role: String,
    id: Id,
    count: u32,
}

/// The machine and the base system of it that the argument names.
fn named(text: &str) -> Result<Named, Failure> {
    let path = Path::new(text);
    let is_lock = path.extension().is_some_and(|kind| kind == "json" || kind == "lock");
    if is_lock || path.is_file() {
        let json = localrig_world::read_text(path)?;
        let wrong = |said: String| {
            Failure::new(INPUT, format!("{text}: {said}"))
                .hint("`localrig build MACHINE --lock FILE` writes such a file")
        };
        let lock: Lock<serde_json::Value> =
            serde_json::from_str(&json).map_err(|error| wrong(error.to_string()))?;
        if lock.form != LOCK_FORM {
            let form = lock.form;
            return Err(wrong(format!("form {form}; this program reads form {LOCK_FORM}")));
        }
        let locked: Locked = serde_json::from_value(lock.configuration)
            .map_err(|error| wrong(format!("configuration: {error}")))?;
        let (whole, parts): (Vec<LockedPart>, Vec<LockedPart>) =
            locked.parts.into_iter().partition(|part| ["card", "system"].contains(&&*part.role));
        let fixed = |all: Vec<LockedPart>| {
            all.into_iter().map(|part| FixedPart { id: part.id, count: part.count }).collect()
        };
        let key = parts.is_empty().then_some(lock.key);
        return Ok(Named { machine: lock.machine, key, whole: fixed(whole), parts: fixed(parts) });
    }
    Ok(Named { machine: text.to_owned(), key: None, whole: Vec::new(), parts: Vec::new() })
}

/// Cards or a system among locked parts are those that the file's `machine` names: one of the two
/// was edited without the other otherwise, and which is meant is not for this program to say.
fn agree(
    args: &Args,
    text: &str,
    machine: &Machine<'_>,
    mut whole: Vec<FixedPart>,
) -> Result<(), Failure> {
    let mut own: Vec<FixedPart> = match machine.system {
        Some((id, ..)) => vec![FixedPart { id: id.clone(), count: machine.units }],
        None => machine
            .devices
            .iter()
            .map(|one| FixedPart { id: one.id.clone(), count: one.count })
            .collect(),
    };
    own.sort();
    whole.sort();
    if whole.is_empty() || whole == own {
        return Ok(());
    }
    let list: Vec<String> = whole.iter().map(|one| format!("{}x {}", one.count, one.id)).collect();
    let said =
        format!("{}: `machine` is {text}, its parts have {}", args.machine, list.join(" + "));
    Err(Failure::new(INPUT, said)
        .hint("write the same into both, or leave the cards out of the parts"))
}

/// The price of electricity: as given, else the tariff of the configured municipality.
fn tariff(given: Option<f64>, day: Date) -> Option<(f64, String)> {
    if let Some(price) = given {
        return Some((price, "as you said".to_owned()));
    }
    let municipality = localrig_world::config::config().ok()?.price.municipality?;
    let store = localrig_world::config::store_path()?;
    let store = localrig_world::store::Store::open_existing(&store).ok()??;
    let tariffs = store.tariffs(municipality).ok()?;
    let newest = tariffs.iter().find(|one| one.year <= day.year())?;
    let basis = format!("{} of {}, {}, from ElCom", newest.operator, newest.year, newest.category);
    Some((newest.per_kwh, basis))
}
