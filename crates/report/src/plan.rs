//! The plan: what to buy and why, the ranking, the best machines in full, what was rejected.

mod machine;
mod parts;
mod rejections;
mod summary;

use localrig_plan::answer::{PlanAnswer, PriceAges, ServedRole};
use localrig_plan::verdict::Mark;
use serde::Serialize;

pub(crate) use self::machine::{
    cache_words, configuration, correction, memory_tree, metrics, verdict_table,
};
pub(crate) use self::parts::{part_table, parts, price_remark};
pub(crate) use self::rejections::rejections;
pub(crate) use self::summary::{ages, nearest_misses, sentence_case, summary};
use crate::number::{money, noise, speed, tokens_per_second, two_digits};
use crate::page::{Page, Table, Text};

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rows of the ranking.
    pub rows: usize,
    /// Machines in full.
    pub details: usize,
    /// Machines of each kind of rejection.
    pub rejected: usize,
    /// Whether the terms of the scores and the conversion of prices are shown.
    pub explain: bool,
    /// Where the rest is shown, after "7 more".
    pub rest: &'static str,
}

impl Default for Extent {
    fn default() -> Self {
        Self { rows: 15, details: 3, rejected: 6, explain: false, rest: "with `--all`" }
    }
}

/// The page of a plan.
pub fn page(answer: &PlanAnswer, extent: Extent) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("Plan: {}", answer.requirement));
    summary(&mut page, answer);
    ranking(&mut page, answer, extent);
    for machine in answer.ranked.iter().take(extent.details) {
        configuration(&mut page, answer, machine, extent);
    }
    rejections(&mut page, answer, extent);
    prices(&mut page, answer, extent);
    page
}

pub(crate) fn ranking(page: &mut Page, answer: &PlanAnswer, extent: Extent) {
    if answer.ranked.is_empty() {
        return;
    }
    page.heading(2, "Ranking");
    let mut table = Table::new(&[
        ">#",
        "machine",
        ">price",
        ">memory GiB",
        "main model",
        ">main tok/s",
        ">others tok/s",
        "noise",
        ">score",
        "front",
    ]);
    for one in answer.ranked.iter().take(extent.rows) {
        let main = &one.roles[0];
        let others: Vec<String> = one.roles[1..].iter().map(running_speed).collect();
        table.row([
            one.rank.to_string().into(),
            Text::from(one.name.clone()),
            money(one.cost).into(),
            format!("{:.0}", one.memory_bytes.to_gib()).into(),
            format!("{} {}", main.model, main.format).into(),
            running_speed(main).into(),
            others.join(" / ").into(),
            noise(one.noise).into(),
            format!("{:.1}", one.score).into(),
            if one.on_pareto_front { "*" } else { "" }.into(),
        ]);
    }
    page.table(table);
    let others: Vec<&str> = answer.roles.iter().skip(1).map(|role| role.name.as_str()).collect();
    let mut remarks = vec![
        simulated(answer),
        format!(
            "Front: * marks machines that no other beats in price, main speed, main quality and \
             memory at once. Others: {}.",
            others.join(" / ")
        ),
    ];
    let more = answer.ranked.len().saturating_sub(extent.rows);
    if more > 0 {
        remarks.push(format!("{more} more {}", extent.rest));
    }
    page.list(remarks.into_iter().map(Text::from).collect());
}

/// A speed under the workload; `~` when it comes from means.
pub(crate) fn running_speed(role: &ServedRole) -> String {
    let sign = if role.simulated.is_some() { "" } else { "~" };
    format!("{sign}{}", tokens_per_second(role.per_stream_tok_per_s.value))
}

/// A speed under the workload with its interval; `~` when it comes from means.
pub(crate) fn under_load(role: &ServedRole) -> String {
    let sign = if role.simulated.is_some() { "" } else { "~" };
    format!("{sign}{}", speed(&role.per_stream_tok_per_s))
}

/// What the speeds are and where they come from.
pub(crate) fn simulated(answer: &PlanAnswer) -> String {
    let note = &answer.simulation;
    let window = note.window_s.map_or_else(String::new, |window| {
        format!(" of {} minutes", two_digits(window.get() / 60.0))
    });
    format!(
        "Speeds are per stream after the first token while the whole workload runs, the median \
         answer of {} simulated runs{window}, the same for all machines; the roles behave as those \
         of \"{}\". Where ~ stands, the speed comes from means of that workload, not from a \
         simulation.",
        note.replicates, note.habits
    )
}

fn prices(page: &mut Page, answer: &PlanAnswer, extent: Extent) {
    if answer.ranked.is_empty() {
        return;
    }
    page.heading(2, "Prices");
    let shown = answer.ranked.iter().take(extent.details.max(1)).flat_map(|one| &one.parts);
    page.paragraph(format!(
        "The machines shown in full use {}. A price is fresh when it was asked in the region within \
         the last 60 days. Otherwise the newest observation anywhere is converted to what it costs \
         landed (net price, freight, VAT, clearance); it says what you would probably pay, not what \
         a shop offers. Look at today's offers before you order.",
        ages(PriceAges::of(shown))
    ));
}

/// One row of the ranking for CSV.
#[derive(Serialize)]
struct Row<'a> {
    rank: usize,
    key: &'a str,
    name: &'a str,
    score: f64,
    on_pareto_front: bool,
    cost: f64,
    cost_low: f64,
    cost_high: f64,
    currency: &'static str,
    memory_gib: f64,
    wall_w: Option<f64>,
    noise: Option<&'static str>,
    main_model: &'a str,
    main_format: &'a str,
    main_engine: &'a str,
    main_tok_per_s: f64,
    main_tok_per_s_low: f64,
    main_tok_per_s_high: f64,
    /// `simulation` or `means`.
    main_speed_by: &'static str,
    lines_missed: usize,
    oldest_price_days: i32,
}

/// The ranking as CSV, with units in the header.
///
/// # Errors
/// Never in practice: the rows go to memory.
pub fn csv(answer: &PlanAnswer) -> Result<String, csv::Error> {
    crate::rows(answer.ranked.iter().map(|one| {
        let main = &one.roles[0];
        let speed = main.per_stream_tok_per_s;
        Row {
            rank: one.rank,
            key: &one.key,
            name: &one.name,
            score: one.score,
            on_pareto_front: one.on_pareto_front,
            cost: one.cost.amount(),
            cost_low: one.cost_range[0].amount(),
            cost_high: one.cost_range[1].amount(),
            currency: one.cost.currency.code(),
            memory_gib: one.memory_bytes.to_gib(),
            wall_w: one.wall.as_ref().map(|wall| wall.power_w.get()),
            noise: one.noise.map(localrig_facts::noise::NoiseClass::word),
            main_model: &main.model,
            main_format: &main.format,
            main_engine: &main.engine,
            main_tok_per_s: speed.value.get(),
            main_tok_per_s_low: speed.low.get(),
            main_tok_per_s_high: speed.high.get(),
            main_speed_by: if main.simulated.is_some() { "simulation" } else { "means" },
            lines_missed: one.verdict.iter().filter(|line| line.mark == Mark::Miss).count(),
            oldest_price_days: PriceAges::of(one.parts.iter()).oldest_days,
        }
    }))
}
