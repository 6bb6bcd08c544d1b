//! The commands: one file each with its arguments and what it does.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use localrig_facts::catalog::Observed;
use localrig_facts::region::Region;
use localrig_facts::{Catalog, Date, lint};
use localrig_plan::price::Market;
use localrig_plan::requirement::Requirement;
use localrig_world::store::{Store, StoreError};

use crate::failure::{Failure, INPUT};
use crate::output::Format;

/// The requirement when none is named.
const DEFAULT_REQUIREMENT: &str = "home-office";

pub(crate) mod accuracy;
pub(crate) mod audit;
pub(crate) mod build;
pub(crate) mod catalog;
pub(crate) mod compare;
pub(crate) mod estimate;
pub(crate) mod fit;
pub(crate) mod model;
pub(crate) mod need;
pub(crate) mod plan;
pub(crate) mod price;
pub(crate) mod report;
pub(crate) mod simulate;
pub(crate) mod skill;
pub(crate) mod survey;

/// Which machine to buy to run language models at home, what it costs in Switzerland, and how fast
/// it will be. Works offline; every figure has a source.
#[derive(Debug, Parser)]
#[command(
    name = "localrig",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done; 1 a bug in localrig; 2 wrong usage; 3 an unknown name or a \
                  broken file; 4 a fact is missing; 5 nothing fits, the nearest miss is shown; \
                  6 what was checked does not hold; 7 a server could not be reached; 130 \
                  interrupted."
)]
pub(crate) struct Cli {
    /// Folder with catalog files that add to or replace those inside the program; may be repeated,
    /// later ones win. `$XDG_DATA_HOME/localrig/catalog` always counts, first
    #[arg(long, global = true, value_name = "DIR", env = "LOCALRIG_CATALOG")]
    pub(crate) catalog: Vec<PathBuf>,
    /// How the answer is written; JSON has the whole answer with units in its keys
    #[arg(long, global = true, value_enum, default_value_t, env = "LOCALRIG_FORMAT")]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Rank the machines that meet a requirement within a budget
    Plan(plan::Args),
    /// Memory and speed of one model on one machine
    Estimate(estimate::Args),
    /// The models a machine can run, best first
    Fit(fit::Args),
    /// The cheapest machines that run a model
    Need(need::Args),
    /// Check what documents say about hardware and models
    Audit(audit::Args),
    /// Every platform considered, and why it is in or out
    Survey(survey::Args),
    /// Machines, or models, side by side
    Compare(compare::Args),
    /// Write the research repository: decision, benchmarks, survey, a folder per platform
    Report(report::Args),
    /// Print or install the skill that lets coding agents answer with localrig
    Skill(skill::Args),
    /// One machine in full: parts, prices, checks, growth, running costs
    Build(build::Args),
    /// Prices: fetch, show, history, drift, import, set, review
    Price(price::Args),
    /// Speeds while everything runs: agents, sub-agents, images, users on one machine
    Simulate(simulate::Args),
    /// List, show and check the facts behind the answers
    Catalog(catalog::Args),
    /// Read the headers of real model files
    Model(model::Args),
    /// Predictions beside measurements
    Accuracy(accuracy::Args),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The catalog with the user's overlay, the ones named, and the prices in the store.
fn facts(overlays: &[PathBuf]) -> Result<Catalog, Failure> {
    let catalog = files(overlays)?;
    let Some(path) = localrig_world::config::store_path() else { return Ok(catalog) };
    match Store::open_existing(&path).and_then(|store| observed(store.as_ref())) {
        Ok(observed) => Ok(catalog.with_observed(observed)),
        // The catalog's own prices still give an answer.
        Err(error) => {
            warn(&format!("stored prices are left out: {error}"));
            Ok(catalog)
        }
    }
}

fn observed(store: Option<&Store>) -> Result<Observed, StoreError> {
    store.map_or_else(|| Ok(Observed::default()), localrig_world::price::observed)
}

/// The catalog with what the store has now.
fn with_store(catalog: Catalog, store: &Store) -> Result<Catalog, Failure> {
    Ok(catalog.with_observed(observed(Some(store))?))
}

/// The store, to write to.
fn store() -> Result<Store, Failure> {
    let path = localrig_world::config::store_path().ok_or_else(|| {
        Failure::new(INPUT, "there is no folder to keep prices in")
            .hint("set LOCALRIG_DATA to a folder")
    })?;
    Ok(Store::open(&path)?)
}

/// Tells something on standard error that does not stop the answer.
fn warn(text: &str) {
    use std::io::Write as _;
    // Nothing is left to tell when standard error is closed.
    let _ = writeln!(anstream::stderr(), "warning: {text}");
}

/// The catalog with the user's overlay and the ones named, which must obey the catalog's rules.
fn files(overlays: &[PathBuf]) -> Result<Catalog, Failure> {
    let folders = folders(overlays);
    let catalog = localrig_world::catalog(&folders)?;
    if !folders.is_empty() {
        let own = |path: &str| folders.iter().any(|folder| Path::new(path).starts_with(folder));
        let findings: Vec<String> = lint::lint(&catalog)
            .into_iter()
            .filter(|finding| {
                own(&finding.path) || finding.file(&catalog).is_some_and(|file| own(&file.path))
            })
            .map(|finding| finding.to_string())
            .collect();
        if !findings.is_empty() {
            return Err(Failure::new(INPUT, "an overlay breaks rules of the catalog")
                .details(findings)
                .hint("`localrig catalog check` lists findings; fix or remove the files"));
        }
    }
    Ok(catalog)
}

/// The user's overlay and the ones named.
fn folders(overlays: &[PathBuf]) -> Vec<PathBuf> {
    localrig_world::user_overlay().into_iter().chain(overlays.iter().cloned()).collect()
}

/// A requirement: from a file, by the name of a shipped one, or the default.
fn requirement(catalog: &Catalog, given: Option<&str>) -> Result<Requirement, Failure> {
    let given = given.unwrap_or(DEFAULT_REQUIREMENT);
    if let Some(text) = localrig_world::requirement(given) {
        return Ok(Requirement::read(catalog, &format!("requirements/{given}.toml"), text)?);
    }
    let path = Path::new(given);
    if path.extension().is_none() && !given.contains('/') {
        let shipped = localrig_world::requirements().join(", ");
        return Err(Failure::new(INPUT, format!("no requirement called `{given}`"))
            .hint(format!("shipped ones: {shipped}; or give the path of a file")));
    }
    let text = localrig_world::read_text(path)?;
    Ok(Requirement::read(catalog, given, &text)?)
}

/// Refuses a task that models are not judged by.
fn check_task(catalog: &Catalog, task: &str) -> Result<(), Failure> {
    let names: Vec<&str> = catalog.tasks()?.iter().map(|one| one.name.as_str()).collect();
    if names.contains(&task) {
        return Ok(());
    }
    Err(Failure::new(INPUT, format!("no task called `{task}`"))
        .hint(format!("tasks: {}", names.join(", "))))
}

/// The market of a requirement's region on a day.
fn market<'a>(
    catalog: &'a Catalog,
    requirement: &'a Requirement,
    date: Option<Date>,
) -> Result<Market<'a>, Failure> {
    let (_, region) = catalog.get_in::<Region>(&requirement.region)?;
    let date = date.unwrap_or_else(localrig_world::today);
    Ok(Market { catalog, region_id: &requirement.region, region, date })
}
