//! `localrig report`

use std::path::{Path, PathBuf};

use localrig_facts::machine::{Machine, parse_machine};
use localrig_facts::model::Model;
use localrig_facts::tier::Tier;
use localrig_facts::unit::TokensPerSec;
use localrig_facts::{Catalog, Date, Id};
use localrig_plan::answer::PlanAnswer;
use localrig_plan::detail::details;
use localrig_plan::fit::{FitQuestion, fit};
use localrig_plan::near_miss::near_misses;
use localrig_plan::plan::Planner;
use localrig_plan::price::Market;
use localrig_plan::quality::abilities;
use localrig_plan::requirement::{Requirement, Role};
use localrig_plan::{audit, compare, survey};
use localrig_report::fit::FitAnswer;
use localrig_report::page::{Page, Table, Text, Tree};
use localrig_report::research::{Answers, Change, Form, Inputs, changes, documents, files};
use serde::Serialize;

use crate::command;
use crate::command::simulate::habits;
use crate::failure::{Failure, INPUT, MISLEADING};
use crate::output::{Format, Output};

/// What the repository was written from.
const INPUTS: &str = "localrig.json";
const CHANGELOG: &str = "CHANGELOG.md";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write: Markdown, or a static site with `--format html`
    folder: PathBuf,
    /// Requirement: a file, or a shipped one
    #[arg(long, value_name = "FILE", env = "LOCALRIG_REQUIRE")]
    require: Option<String>,
    /// Only prices seen and models released up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
    /// Write nothing: say what would change and why, exit code 6 if anything would
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Rewrite what changed and add to the changelog
    #[arg(long)]
    update: bool,
}

/// What differs when day, prices, models, machines and facts are the same.
const UNEXPLAINED: &str = "nothing it was written from changed: the generated part was edited, or \
                           another build of localrig wrote it";

/// What a writing did or would do.
#[derive(Debug, Serialize)]
struct Written {
    folder: String,
    as_of: String,
    files: usize,
    changes: Vec<Change>,
    reasons: Vec<String>,
    done: bool,
}

impl Written {
    /// Files that are or would be written.
    fn written(&self) -> usize {
        written(&self.changes).count()
    }
}

/// Changes that are or would be written; files of somebody else are kept.
fn written(changes: &[Change]) -> impl Iterator<Item = &Change> {
    changes.iter().filter(|one| !one.kept)
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let requirement = command::requirement(&catalog, args.require.as_deref())?;
    let market = command::market(&catalog, &requirement, args.as_of)?;
    let form = if output.format == Format::Html { Form::Site } else { Form::Markdown };
    let (all, inputs) = repository(&catalog, &requirement, &market, form)?;
    let known = localrig_world::text_in(&args.folder, INPUTS)?;
    if known.is_none() && (args.check || args.update) {
        return Err(Failure::new(INPUT, format!("{} has no report", args.folder.display()))
            .hint("write it first: `localrig report DIR`"));
    }
    let earlier: Option<Inputs> = match &known {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| {
            Failure::new(INPUT, format!("{INPUTS} is broken")).details(vec![error.to_string()])
        })?),
        None => None,
    };
    let changes = against(&args.folder, &all)?;
    let mut reasons = earlier.map_or_else(Vec::new, |earlier| inputs.reasons(&earlier));
    if known.is_some() && reasons.is_empty() && written(&changes).next().is_some() {
        reasons.push(UNEXPLAINED.to_owned());
    }
    if !args.check {
        write(args, &changes, &reasons, &inputs)?;
    }
    let kept: Vec<String> =
        changes.iter().filter(|one| one.kept).map(|one| one.path.clone()).collect();
    let answer = Written {
        folder: args.folder.display().to_string(),
        as_of: market.date.to_string(),
        files: all.len(),
        changes,
        reasons,
        done: !args.check,
    };
    // The form of the files is not the form of this answer.
    let told = Output {
        format: if output.format == Format::Html { Format::Human } else { output.format },
    };
    told.answer(&answer, page, |answer| {
        let row = |one: &Change| (one.path.clone(), one.added, one.removed, one.kept);
        localrig_report::rows_of(
            ["path", "added", "removed", "kept"],
            answer.changes.iter().map(row),
        )
        .map_err(Failure::bug)
    })?;
    let written = answer.written();
    if args.check && written > 0 {
        return Err(Failure::new(MISLEADING, format!("{written} files would change"))
            .hint("`localrig report DIR --update` rewrites them"));
    }
    if !kept.is_empty() {
        return Err(Failure::new(
            INPUT,
            "files that localrig did not write are in the way; they are kept",
        )
        .details(kept));
    }
    Ok(())
}

/// Every file of the repository and what it is made from.
fn repository(
    catalog: &Catalog,
    requirement: &Requirement,
    market: &Market<'_>,
    form: Form,
) -> Result<(Vec<(String, String)>, Inputs), Failure> {
    let habits = habits(None)?;
    let planner = Planner::new(*market, requirement, &habits)?;
    let plan = planner.plan();
    let answer = PlanAnswer::new(catalog, &plan);
    let details = details(market, &plan, &answer)?;
    let near_misses = near_misses(&planner, &plan)?;
    let survey = survey::survey(market, &plan)?;
    let mut by_memory: Vec<(&Tier, Vec<Machine<'_>>)> = Vec::new();
    for tier in catalog.all::<Tier>()?.values() {
        let machines = tier.machines.iter().map(|name| parse_machine(catalog, name));
        by_memory.push((tier, machines.collect::<Result<_, _>>()?));
    }
    let least = |machines: &[Machine<'_>]| {
        let memory = |one: &Machine<'_>| -> f64 {
            one.devices.iter().map(|one| one.memory.get() * f64::from(one.count)).sum()
        };
        machines.iter().map(memory).fold(f64::INFINITY, f64::min)
    };
    by_memory.sort_by(|a, b| least(&a.1).total_cmp(&least(&b.1)));
    let runs =
        |machines: Vec<Machine<'_>>, role: Role, named: &[Id]| -> Result<FitAnswer, Failure> {
            let names = machines.iter().map(|one| one.name.clone()).collect();
            let format = requirement.format.clone();
            let named = named.iter().map(|id| catalog.get_in::<Model>(id.within_folder()));
            let named = named.collect::<Result<_, _>>()?;
            let question = FitQuestion { machines, role, format, date: market.date, named };
            let fits = fit(catalog, &question)?;
            Ok(FitAnswer::new(names, question.role, market.date.to_string(), &fits))
        };
    let mut tiers = Vec::new();
    for (tier, machines) in by_memory {
        let mut role = requirement.main().clone();
        // A tier is shown by what runs at all, with a context that fits the small ones.
        role.context_tokens = role.context_tokens.min(TIER_CONTEXT);
        tiers.push((tier.name.clone(), runs(machines, role, &tier.models)?));
    }
    let best = match answer.ranked.first() {
        // Every model that its memory holds, however slow, as the tables of models show it.
        Some(best) => {
            let mut role = requirement.main().clone();
            role.context_tokens = role.context_tokens.min(TIER_CONTEXT);
            role.speed_minimum_tok_per_s = Some(TokensPerSec::ZERO);
            Some(runs(vec![parse_machine(catalog, &best.machine)?], role, &[])?)
        }
        None => None,
    };
    let task = &requirement.main().task;
    let mut names = Vec::new();
    for name in abilities(catalog, task)?.keys() {
        let id = format!("model/{name}");
        let models = catalog.all::<Model>()?;
        let out = models
            .get(id.as_str())
            .is_some_and(|model| model.released.is_none_or(|day| day.earliest() <= market.date));
        if out {
            names.push(id);
        }
    }
    let models = compare::models(catalog, &names, task)?;
    let claims = audit::claims(market)?;
    let (documents, charts) = documents(Answers {
        catalog,
        requirement,
        as_of: market.date,
        plan: &answer,
        details: &details,
        near_misses: &near_misses,
        survey: &survey,
        tiers: &tiers,
        on_best: best.as_ref(),
        models: &models,
        claims: &claims,
    })?;
    let inputs = Inputs::new(catalog, &answer, env!("CARGO_PKG_VERSION"));
    Ok((files(&documents, &charts, form), inputs))
}

/// Context that tiers are shown with.
const TIER_CONTEXT: u64 = 32_768;

fn against(folder: &Path, all: &[(String, String)]) -> Result<Vec<Change>, Failure> {
    let mut there = std::collections::BTreeMap::new();
    for (path, _) in all {
        if let Some(text) = localrig_world::text_in(folder, path)? {
            there.insert(path.clone(), text);
        }
    }
    Ok(changes(all, |path| there.get(path).cloned()))
}

fn write(
    args: &Args,
    changes: &[Change],
    reasons: &[String],
    inputs: &Inputs,
) -> Result<(), Failure> {
    let folder = &args.folder;
    for one in written(changes) {
        localrig_world::write_in(folder, &one.path, &one.content)?;
    }
    let rewritten = written(changes).count();
    if args.update && rewritten > 0 {
        let old = localrig_world::text_in(folder, CHANGELOG)?;
        let mut text = old.unwrap_or_else(|| "# Changelog\n".to_owned());
        text.push_str(&format!("\n## {}\n\n", inputs.as_of));
        for reason in reasons {
            text.push_str(&format!("- {reason}\n"));
        }
        text.push_str(&format!("- {rewritten} files rewritten\n"));
        localrig_world::write_in(folder, CHANGELOG, &text)?;
    }
    let mut text = serde_json::to_string_pretty(inputs).map_err(Failure::bug)?;
    text.push('\n');
    Ok(localrig_world::write_in(folder, INPUTS, &text)?)
}

fn page(answer: &Written) -> Page {
    let mut page = Page::default();
    page.heading(1, "Report");
    let what = if answer.done { "written" } else { "would change" };
    page.paragraph(
        Text::default()
            .strong(format!("{} of {} files {what}", answer.written(), answer.files))
            .plain(format!(" in {}, prices as of {}.", answer.folder, answer.as_of)),
    );
    page.list(answer.reasons.iter().map(|one| Text::from(one.clone())).collect());
    let mut table = Table::new(&["file", ">lines added", ">removed", ""]);
    for one in &answer.changes {
        table.row([
            one.path.clone().into(),
            one.added.to_string().into(),
            one.removed.to_string().into(),
            if one.kept { "not written by localrig: kept" } else { "" }.into(),
        ]);
    }
    page.table(table);
    // What a writing did is in the files.
    let told = answer.changes.iter().filter(|one| !answer.done && one.removed > 0);
    for one in told.filter(|one| !one.lines.is_empty()) {
        page.tree(Tree { label: one.path.clone(), branches: lines(&one.lines) });
    }
    page
}

/// Changed lines of a document that are shown, and characters of each.
const LINES: usize = 8;
const LINE: usize = 160;

/// The first changed lines, without the padding of tables.
fn lines(all: &[String]) -> Vec<Tree> {
    let compact = |line: &String| {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut: String = words.chars().take(LINE).collect();
        if cut.len() < words.len() { format!("{}…", cut.trim_end()) } else { cut }
    };
    let mut shown: Vec<Tree> = all.iter().take(LINES).map(|one| Tree::leaf(compact(one))).collect();
    if all.len() > LINES {
        let more = format!("… {} more lines; `--format json` has them all", all.len() - LINES);
        shown.push(Tree::leaf(more));
    }
    shown
}
