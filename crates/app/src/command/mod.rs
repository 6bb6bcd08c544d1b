//! The commands: one file each with its arguments and what it does.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use localrig_facts::region::Region;
use localrig_facts::{Catalog, Date, lint};
use localrig_plan::price::Market;
use localrig_plan::requirement::Requirement;

use crate::failure::{Failure, INPUT};
use crate::output::Format;

pub(crate) mod catalog;
pub(crate) mod estimate;
pub(crate) mod fit;
pub(crate) mod need;
pub(crate) mod plan;
pub(crate) mod simulate;

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
                  130 interrupted."
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
    /// Speeds while everything runs: agents, sub-agents, images, users on one machine
    Simulate(simulate::Args),
    /// List, show and check the facts behind the answers
    Catalog(catalog::Args),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The catalog with the user's overlay and the ones named, which must obey the catalog's rules.
fn facts(overlays: &[PathBuf]) -> Result<Catalog, Failure> {
    let folders: Vec<PathBuf> =
        localrig_world::user_overlay().into_iter().chain(overlays.iter().cloned()).collect();
    let catalog = localrig_world::catalog(&folders)?;
    if !folders.is_empty() {
        let own = |path: &str| folders.iter().any(|folder| Path::new(path).starts_with(folder));
        let findings: Vec<String> = lint::lint(&catalog)
            .into_iter()
            .filter(|finding| {
                let file = catalog.file(&finding.path);
                own(&finding.path) || file.is_some_and(|file| own(&file.path))
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

/// A requirement: from a file, by the name of a shipped one, or the default.
fn requirement(given: Option<&str>) -> Result<Requirement, Failure> {
    let given = given.unwrap_or("home-office");
    if let Some(text) = localrig_world::requirement(given) {
        return Ok(Requirement::parse(&format!("requirements/{given}.toml"), text)?);
    }
    let path = Path::new(given);
    if path.extension().is_none() && !given.contains('/') {
        let shipped = localrig_world::requirements().join(", ");
        return Err(Failure::new(INPUT, format!("no requirement called `{given}`"))
            .hint(format!("shipped ones: {shipped}; or give the path of a file")));
    }
    let text = localrig_world::read_text(path)?;
    Ok(Requirement::parse(given, &text)?)
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
