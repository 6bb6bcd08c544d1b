//! Tables of models: those that fit a machine and those that do not, their sizes and their caches.

use localrig_facts::unit::Bytes;
use localrig_facts::{Estimate, Id};
use localrig_plan::answer::RankedMachine;
use localrig_plan::compare::{ComparedModel, KV_CONTEXTS};

use super::Answers;
use crate::fit::FitAnswer;
use crate::number::{billions, count, gib, speed};
use crate::page::{Page, Table, Text};

/// Mixtures that fit the best machine, those that do not, and dense models.
pub(super) fn models(page: &mut Page, answers: Answers<'_>, best: &RankedMachine) {
    let usable = best.memory.iter().map(|group| group.usable_bytes.get()).fold(0.0, f64::max);
    let mixture = |one: &&ComparedModel| one.mixture == Some(true);
    let runs = |id: &Id| {
        let all = answers.on_best.map(|on| on.scored.iter().chain(&on.unscored));
        all.is_some_and(|mut all| all.any(|one| one.model_id == id.as_str()))
    };
    let fits = |one: &&ComparedModel| {
        runs(&one.id) || one.weights_bytes.is_some_and(|size| size.get() < usable)
    };
    let known = || answers.models.models.iter().filter(|one| one.weights_bytes.is_some());
    let groups: [(&str, Vec<&ComparedModel>); 3] = [
        ("Mixtures of experts that fit", known().filter(mixture).filter(fits).collect()),
        (
            "Mixtures of experts that do not fit",
            known().filter(mixture).filter(|one| !fits(one)).collect(),
        ),
        ("Dense models for comparison", known().filter(|one| !mixture(one)).collect()),
    ];
    for (title, list) in groups {
        page.heading(2, title);
        let mut table = models_table(&list, answers.on_best);
        table.rows.truncate(MODELS);
        page.table(table);
    }
    page.paragraph(
        Text::default()
            .plain(format!(
                "A model fits when its weights are smaller than the {} GiB that engines may use of the \
                 largest group of devices in {}, or when it runs spread over all of it. Index: ability at {}, 0 to 100, with its 80 % interval. \
                 The last three columns are of that machine with one stream of 32,768 tokens, the speed with \
                 half of them there. The first {MODELS} of each kind; ",
                gib(Bytes::new(usable)),
                best.name,
                answers.models.task
            ))
            .link("all models", "benchmarks.md")
            .plain("."),
    );
}

/// Models of each kind in the decision summary.
const MODELS: usize = 15;

pub(super) fn index(value: Option<Estimate<f64>>) -> String {
    value
        .map_or_else(String::new, |it| format!("{:.0} ({:.0} to {:.0})", it.value, it.low, it.high))
}

pub(super) fn or_unknown(text: String) -> String {
    if text.is_empty() { unknown() } else { text }
}

pub(super) fn unknown() -> String {
    "not known".to_owned()
}

/// Models side by side; with what each takes and reaches on a machine, where one is given.
pub(super) fn models_table(list: &[&ComparedModel], on: Option<&FitAnswer>) -> Table {
    let mut head = vec![
        "model",
        ">parameters",
        ">active",
        "format",
        ">weights GiB",
        ">read per token GiB",
        ">KV 32K GiB",
        ">context",
        ">index",
    ];
    if on.is_some() {
        head.extend(["best format there", ">takes GiB", ">tok/s alone"]);
    }
    let mut table = Table::new(&head);
    let runs = |id: &Id| {
        let all = on.map(|on| on.scored.iter().chain(&on.unscored));
        all.and_then(|mut all| all.find(|one| one.model_id == id.as_str()))
    };
    let mut list = list.to_vec();
    list.sort_by(|a, b| {
        // By what an index is at least: a wide guess does not stand before a good score.
        let least = |one: &ComparedModel| one.quality_index.map_or(0.0, |it| it.low);
        least(b).total_cmp(&least(a)).then_with(|| a.id.cmp(&b.id))
    });
    for one in list {
        let mut row: Vec<Text> = vec![
            one.name.clone().into(),
            billions(one.parameters).into(),
            one.active_parameters.map_or_else(unknown, billions).into(),
            one.format.clone().unwrap_or_else(unknown).into(),
            one.weights_bytes.map_or_else(unknown, gib).into(),
            one.read_per_token_bytes.map_or_else(unknown, gib).into(),
            one.kv_32k_bytes.map_or_else(unknown, gib).into(),
            count(one.context_tokens).into(),
            index(one.quality_index).into(),
        ];
        if on.is_some() {
            let [format, takes, speed] = match runs(&one.id) {
                None => [unknown(), String::new(), String::new()],
                Some(it) => {
                    let speed = it.per_stream_tok_per_s.first().map_or_else(unknown, speed);
                    [format!("{} on {}", it.format, it.engine), gib(it.total_bytes.value), speed]
                }
            };
            row.extend([format, takes, speed].map(Text::from));
        }
        table.rows.push(row);
    }
    table
}

/// Caches of models by context.
pub(super) fn kv_table(models: &[ComparedModel]) -> Table {
    /// Least index of the models in it.
    const LEAST: f64 = 50.0;
    let mut table = Table::new(&["model", ">8K", ">32K", ">128K", ">200K", ">200K in Q8_0"]);
    let good = |one: &&ComparedModel| one.quality_index.is_some_and(|it| it.value >= LEAST);
    for one in models.iter().filter(good).filter(|one| !one.kv_by_context.is_empty()) {
        let at = |tokens: u64| one.kv_by_context.iter().find(|at| at.context_tokens == tokens);
        let dash = || "-".to_owned();
        let mut row: Vec<Text> = vec![one.name.clone().into()];
        row.extend(
            KV_CONTEXTS.map(|tokens| at(tokens).map_or_else(dash, |at| gib(at.f16_bytes)).into()),
        );
        let longest = KV_CONTEXTS.last().and_then(|tokens| at(*tokens));
        row.push(longest.map_or_else(dash, |at| gib(at.q8_0_bytes)).into());
        table.rows.push(row);
    }
    table
}
