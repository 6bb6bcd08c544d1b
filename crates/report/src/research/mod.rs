//! The research repository: documents to read before buying, all made from the same answers, so
//! that they cannot disagree.

mod chart;
mod document;
mod guide;
mod inputs;
mod models;
mod platform;
mod site;

use std::collections::BTreeMap;

use localrig_facts::{Catalog, CatalogError, Date};
use localrig_plan::answer::{PlanAnswer, RankedMachine, RejectedMachine, UnpricedMachine};
use localrig_plan::audit::ClaimsAudit;
use localrig_plan::compare::ModelsCompared;
use localrig_plan::detail::{Detail, HANDLED};
use localrig_plan::measured::Measurements;
use localrig_plan::near_miss::NearMiss;
use localrig_plan::platform::folder;
use localrig_plan::requirement::Requirement;
use localrig_plan::survey::SurveyAnswer;

use crate::fit::FitAnswer;
use crate::page::Page;

pub use inputs::Inputs;
pub use site::{Change, Form, changes, files, merge};

/// The answers that the repository is written from.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// The facts.
    pub catalog: &'a Catalog,
    /// The requirement.
    pub requirement: &'a Requirement,
    /// The day that prices, releases and measurements are as of.
    pub as_of: Date,
    /// The plan for it.
    pub plan: &'a PlanAnswer,
    /// More about its ranked machines, by key.
    pub details: &'a BTreeMap<String, Detail>,
    /// Of platforms without a ranked machine, the nearest miss, by folder.
    pub near_misses: &'a BTreeMap<String, NearMiss>,
    /// The survey for it.
    pub survey: &'a SurveyAnswer,
    /// What each tier runs, with the tier's name.
    pub tiers: &'a [(String, FitAnswer)],
    /// What the machine ranked first runs, each model alone with a context of usual length.
    pub on_best: Option<&'a FitAnswer>,
    /// Every model with scores for the main task, side by side.
    pub models: &'a ModelsCompared,
    /// Claims of earlier documents.
    pub claims: &'a ClaimsAudit,
}

/// A document of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Path from the root, with `.md`.
    pub path: String,
    /// Title in lists.
    pub title: String,
    /// What it is for.
    pub purpose: &'static str,
    /// What it says.
    pub page: Page,
}

/// A chart of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Path from the root, with `.svg`.
    pub path: String,
    /// The picture.
    pub svg: String,
}

/// Machines in full per platform.
const MACHINES_PER_PLATFORM: usize = HANDLED;

/// Machines in the tables of a platform.
const MACHINES_IN_TABLES: usize = 12;

/// A platform with its machines, best first, those that lack a price, and those that are out.
struct Platform<'a> {
    folder: String,
    machines: Vec<&'a RankedMachine>,
    unpriced: Vec<&'a UnpricedMachine>,
    rejected: Vec<Out<'a>>,
    /// The machine to look at where none is ranked.
    near: Option<&'a NearMiss>,
}

impl Platform<'_> {
    /// Whether there is a machine to write a build guide for.
    fn has_guide(&self) -> bool {
        !self.machines.is_empty() || self.near.is_some()
    }
}

/// A machine outside a limit: the kind of limit, and the machine.
type Out<'a> = (&'static str, &'a RejectedMachine);

/// Every document, the overview first, and the charts they show.
///
/// # Errors
/// When a catalog file is broken.
pub fn documents(answers: Answers<'_>) -> Result<(Vec<Document>, Vec<Chart>), CatalogError> {
    let platforms = platforms(answers)?;
    let mut all = vec![
        document::requirements(answers),
        document::decision(answers, &platforms),
        document::benchmarks(answers, &platforms)?,
        document::quality(answers),
        document::alternatives(answers),
        document::tiers(answers),
        document::claims(answers),
    ];
    let (ranked, leaders) = (document::ranked(answers), document::leaders(&platforms));
    let mut charts = vec![chart::price_speed(answers), chart::memory(answers)];
    charts.extend(ranked.cost(answers));
    charts.extend(leaders.speed_curves(answers));
    charts.extend(leaders.price_history(answers));
    let measurements = Measurements::new(answers.catalog)?;
    for platform in &platforms {
        let (documents, more) = platform::documents(answers, platform, &measurements)?;
        all.extend(documents);
        charts.extend(more);
    }
    all.insert(0, document::overview(answers, &platforms, &all));
    Ok((all, charts))
}

/// Machines by platform: those with a ranked machine in the order of their best, then those without
/// one.
fn platforms(answers: Answers<'_>) -> Result<Vec<Platform<'_>>, CatalogError> {
    fn of<'l, 'a>(found: &'l mut Vec<Platform<'a>>, folder: String) -> &'l mut Platform<'a> {
        let known = found.iter().position(|one| one.folder == folder);
        let at = known.unwrap_or(found.len());
        if known.is_none() {
            found.push(Platform {
                folder,
                machines: Vec::new(),
                unpriced: Vec::new(),
                rejected: Vec::new(),
                near: None,
            });
        }
        &mut found[at]
    }
    let mut found: Vec<Platform<'_>> = Vec::new();
    for machine in &answers.plan.ranked {
        let folder = folder(answers.catalog, &machine.key)?;
        of(&mut found, folder).machines.push(machine);
    }
    for group in &answers.plan.rejected {
        for machine in &group.machines {
            let folder = folder(answers.catalog, &machine.key)?;
            of(&mut found, folder).rejected.push((group.reason, machine));
        }
    }
    for machine in &answers.plan.unpriced {
        let folder = folder(answers.catalog, &machine.key)?;
        of(&mut found, folder).unpriced.push(machine);
    }
    for platform in found.iter_mut().filter(|one| one.machines.is_empty()) {
        platform.near = answers.near_misses.get(&platform.folder);
    }
    Ok(found)
}
