//! What a machine can run.

use localrig_facts::Estimate;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_plan::fit::{Fits, Miss, Named, Nearest, Running};
use localrig_plan::requirement::Role;
use serde::Serialize;

use crate::number::{billions, count, gib, gib_words, speed};
use crate::page::{Page, Table, Text};

/// What a machine can run, as an answer.
#[derive(Clone, Debug, Serialize)]
pub struct FitAnswer {
    /// The machines asked about; a model must run on all of them.
    pub machines: Vec<String>,
    /// What was asked: task, streams, context, least speed.
    pub asked: Role,
    /// The day that releases are as of.
    pub as_of: String,
    /// Models with scores for the task, best first.
    pub scored: Vec<RunningModel>,
    /// Models without scores for the task, largest first.
    pub unscored: Vec<RunningModel>,
    /// What came nearest, when nothing runs.
    pub nearest_miss: Option<String>,
    /// What comes of the models asked about by name.
    pub named: Vec<NamedModel>,
    /// Models that were not considered: the catalog has facts about them, but no architecture.
    pub facts_only_models: usize,
}

/// A model asked about by name.
#[derive(Clone, Debug, Serialize)]
pub struct NamedModel {
    /// Model.
    pub model: String,
    /// How it runs; absent when it does not run as asked.
    pub runs: Option<RunningModel>,
    /// Why not, in the format that came nearest.
    pub nearest_miss: Option<String>,
}

/// A model that runs, in its best format that does.
#[derive(Clone, Debug, Serialize)]
pub struct RunningModel {
    /// Model id.
    pub model_id: String,
    /// Model.
    pub model: String,
    /// All parameters.
    pub parameters: u64,
    /// Parameters read per token; absent = not recorded.
    pub active_parameters: Option<u64>,
    /// Format.
    pub format: String,
    /// Engine.
    pub engine: String,
    /// Ability at the task, 0 to 100; absent = not scored.
    pub quality_index: Option<Estimate<f64>>,
    /// Index points lost to the format.
    pub format_loss_points: f64,
    /// Memory it takes with the context asked for.
    pub total_bytes: Estimate<Bytes>,
    /// What the machine with the least room offers.
    pub usable_bytes: Option<Bytes>,
    /// Largest context that fits; absent = none.
    pub largest_context_tokens: Option<u64>,
    /// Speed of each stream with half-full contexts, on each machine.
    pub per_stream_tok_per_s: Vec<Estimate<TokensPerSec>>,
}

impl FitAnswer {
    /// The answer of a fit.
    pub fn new(machines: Vec<String>, asked: Role, as_of: String, fits: &Fits<'_>) -> Self {
        Self {
            machines,
            asked,
            as_of,
            scored: fits.scored.iter().map(model).collect(),
            unscored: fits.unscored.iter().map(model).collect(),
            nearest_miss: fits.nearest.as_ref().map(miss),
            named: fits.named.iter().map(named).collect(),
            facts_only_models: fits.facts_only,
        }
    }
}

fn miss(nearest: &Nearest) -> String {
    let why = match &nearest.miss {
        Miss::Memory { needed, usable, context_tokens } => {
            let shorter = context_tokens.map_or_else(String::new, |tokens| {
                format!("; it fits with {} tokens of context", count(tokens))
            });
            format!("{} needed, {} usable{shorter}", gib_words(*needed), gib_words(*usable))
        }
        Miss::Speed { speed, minimum } => {
            format!("{:.1} tok/s, at least {:.1} asked for", speed.get(), minimum.get())
        }
        Miss::Other { reason } => reason.clone(),
    };
    format!("{}: {why}", nearest.label)
}

fn named(asked: &Named<'_>) -> NamedModel {
    NamedModel {
        model: asked.model.name.clone(),
        runs: asked.result.as_ref().ok().map(model),
        nearest_miss: asked.result.as_ref().err().map(miss),
    }
}

/// The models asked about by name: a table of those that run, and why the others do not.
pub(crate) fn by_name(page: &mut Page, named: &[NamedModel]) {
    let runs: Vec<RunningModel> = named.iter().filter_map(|one| one.runs.clone()).collect();
    let title = "Models that people ask about here";
    list(page, title, &runs, (runs.len(), ""));
    let missed: Vec<Text> =
        named.iter().filter_map(|one| one.nearest_miss.clone()).map(Text::from).collect();
    if runs.is_empty() && !missed.is_empty() {
        page.heading(2, title);
    }
    if !missed.is_empty() {
        page.paragraph("Not as asked, in the format that comes nearest:");
        page.list(missed);
    }
}

fn model(running: &Running<'_>) -> RunningModel {
    let option = &running.option;
    RunningModel {
        model_id: option.id.to_string(),
        model: option.model.name.clone(),
        parameters: option.model.parameters.total,
        active_parameters: option.model.parameters.active,
        format: option.format.name.clone(),
        engine: option.engine.name.clone(),
        quality_index: option.ability.as_ref().map(|ability| ability.index),
        format_loss_points: option.format_loss,
        total_bytes: running.memory.total_bytes,
        usable_bytes: running.memory.usable_bytes,
        largest_context_tokens: running.memory.largest_context_tokens,
        per_stream_tok_per_s: running.speeds.clone(),
    }
}

/// The page of a fit; `rows` models of each list.
pub fn page(answer: &FitAnswer, rows: usize) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("What runs on {}", answer.machines.join(" and ")));
    let role = &answer.asked;
    let least = role
        .speed_minimum_tok_per_s
        .map_or_else(String::new, |least| format!(", at least {:.0} tok/s each", least.get()));
    page.paragraph(format!(
        "For {}: {} of {} tokens{least}; models released by {}.",
        role.task,
        if role.streams == 1 { "1 stream".to_owned() } else { format!("{} streams", role.streams) },
        count(role.context_tokens),
        answer.as_of
    ));
    if let Some(nearest) = &answer.nearest_miss {
        page.paragraph(
            Text::default().strong("Nothing fits.").plain(format!(" Nearest: {nearest}.")),
        );
    }
    if let Some(best) = answer.scored.first() {
        page.paragraph(
            Text::default()
                .plain("Best: ")
                .strong(format!("{} {}", best.model, best.format))
                .plain(format!(
                    " on {}, {} tok/s per stream at half the context, {} of {}.",
                    best.engine,
                    slowest(best),
                    gib_words(best.total_bytes.value),
                    best.usable_bytes.map_or_else(|| "an unknown amount".to_owned(), gib_words)
                )),
        );
    }
    if answer.machines.len() > 1 {
        page.paragraph("A model is listed when it runs on all of them; speeds are of the slowest.");
    }
    list(&mut page, "Best at the task first", &answer.scored, (rows, "with `--all`"));
    if !answer.scored.is_empty() {
        page.paragraph(
            "By the lower end of the index, less what the format costs: a model with few scores has \
             a wide interval and must not win by luck.",
        );
    }
    let title = "Without scores for the task, largest first";
    list(&mut page, title, &answer.unscored, (rows, "with `--all`"));
    by_name(&mut page, &answer.named);
    if answer.facts_only_models > 0 {
        page.paragraph(format!(
            "{} more models are in the catalog without their architecture: nothing can be computed \
             for them.",
            answer.facts_only_models
        ));
    }
    page
}

/// A table of models: so many rows, and what is said of the rest.
pub(crate) fn list(
    page: &mut Page,
    title: &str,
    models: &[RunningModel],
    (rows, rest): (usize, &str),
) {
    if models.is_empty() {
        return;
    }
    page.heading(2, title);
    let mut table = Table::new(&[
        "model",
        ">parameters",
        "format",
        "engine",
        ">index",
        ">GiB",
        ">largest context",
        ">tok/s per stream",
    ]);
    for one in models.iter().take(rows) {
        let size = match one.active_parameters.filter(|active| *active < one.parameters) {
            Some(active) => format!("{} (A{})", billions(one.parameters), billions(active)),
            None => billions(one.parameters),
        };
        let index = one.quality_index.map_or_else(
            || "-".to_owned(),
            |index| format!("{:.0} ({:.0} to {:.0})", index.value, index.low, index.high),
        );
        table.row([
            one.model.clone().into(),
            size.into(),
            one.format.clone().into(),
            one.engine.clone().into(),
            index.into(),
            gib(one.total_bytes.value).into(),
            one.largest_context_tokens.map_or_else(|| "-".to_owned(), count).into(),
            slowest(one).into(),
        ]);
    }
    page.table(table);
    let more = models.len().saturating_sub(rows);
    if more > 0 {
        page.paragraph(format!("{more} more {rest}"));
    }
}

/// The speed on the slowest of the machines asked about.
fn slowest(model: &RunningModel) -> String {
    let speeds = model.per_stream_tok_per_s.iter();
    let slowest = speeds.min_by(|a, b| a.value.get().total_cmp(&b.value.get()));
    slowest.map_or_else(|| "-".to_owned(), speed)
}

/// One model for CSV.
#[derive(Serialize)]
struct Row<'a> {
    model_id: &'a str,
    parameters: u64,
    active_parameters: Option<u64>,
    format: &'a str,
    engine: &'a str,
    quality_index: Option<f64>,
    quality_index_low: Option<f64>,
    format_loss_points: f64,
    total_bytes: f64,
    usable_bytes: Option<f64>,
    largest_context_tokens: Option<u64>,
    tok_per_s: f64,
    tok_per_s_low: f64,
    tok_per_s_high: f64,
    basis: &'static str,
}

/// The models as CSV, the slowest machine's speed.
///
/// # Errors
/// Never in practice: the rows go to memory.
pub fn csv(answer: &FitAnswer) -> Result<String, csv::Error> {
    let all = answer.scored.iter().chain(&answer.unscored);
    crate::rows(all.filter_map(|one| {
        let slowest = one
            .per_stream_tok_per_s
            .iter()
            .min_by(|a, b| a.value.get().total_cmp(&b.value.get()))?;
        Some(Row {
            model_id: &one.model_id,
            parameters: one.parameters,
            active_parameters: one.active_parameters,
            format: &one.format,
            engine: &one.engine,
            quality_index: one.quality_index.map(|index| index.value),
            quality_index_low: one.quality_index.map(|index| index.low),
            format_loss_points: one.format_loss_points,
            total_bytes: one.total_bytes.value.get(),
            usable_bytes: one.usable_bytes.map(Bytes::get),
            largest_context_tokens: one.largest_context_tokens,
            tok_per_s: slowest.value.get(),
            tok_per_s_low: slowest.low.get(),
            tok_per_s_high: slowest.high.get(),
            basis: slowest.basis.word(),
        })
    }))
}
