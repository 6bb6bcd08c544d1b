//! Predictions beside measurements.

use localrig_estimate::accuracy::report::scores;
use localrig_estimate::accuracy::{Judged, Line, table};
use localrig_estimate::memory_accuracy::MemoryAccuracy;
use serde::Serialize;

use crate::page::{Page, Table, Text};

/// The page of memory predictions: errors by architecture, then the rows without a prediction.
pub fn memory_page(answer: &MemoryAccuracy) -> Page {
    let mut page = Page::default();
    page.heading(1, "Memory: predicted beside measured");
    let failed = answer.rows.iter().filter(|row| row.error.is_some()).count();
    page.paragraph(format!("{} rows, {failed} without a prediction.", answer.rows.len()));
    let mut table = Table::new(&[
        "architecture",
        ">rows",
        ">compared",
        ">weights exact",
        ">context exact",
        ">compute median",
        ">p90",
        ">largest",
    ]);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    for one in &answer.table {
        table.row([
            one.architecture.clone().into(),
            one.rows.to_string().into(),
            one.compared.to_string().into(),
            one.weights_exact.to_string().into(),
            one.context_exact.to_string().into(),
            percent(one.compute_median).into(),
            percent(one.compute_p90).into(),
            percent(one.compute_max).into(),
        ]);
    }
    page.table(table);
    if failed > 0 {
        page.heading(2, "Rows without a prediction");
        let rows = answer.rows.iter().filter_map(|row| {
            row.error.as_ref().map(|error| Text::from(format!("{}: {error}", row.row_id)))
        });
        page.list(rows.collect());
    }
    page
}

/// Predictions of speed beside measurements: errors by what rows have in common.
#[derive(Clone, Debug, Serialize)]
pub struct SpeedAccuracy {
    /// Rows given.
    pub rows: usize,
    /// Rows without a prediction, with the reason.
    pub refused: Vec<(String, String)>,
    /// The table.
    pub table: Vec<Errors>,
}

/// Errors of rows that have something in common, in percent of the measured speed.
#[derive(Clone, Debug, Serialize)]
pub struct Errors {
    /// What they have in common.
    pub rows_of: String,
    /// Rows with a prediction and a measurement.
    pub rows: usize,
    /// Median absolute error.
    pub median_percent: f64,
    /// Nine of ten rows have a smaller one.
    pub p90_percent: f64,
    /// Rows inside their 80 % interval.
    pub inside_80_percent_interval_percent: f64,
    /// Median error of the bandwidth rule.
    pub bandwidth_rule_median_percent: f64,
    /// Median error of llmfit's formula.
    pub llmfit_median_percent: f64,
}

impl SpeedAccuracy {
    /// The errors of judged rows.
    pub fn new(judged: &[Judged]) -> Self {
        let refused = judged.iter().filter_map(|one| {
            one.outcome.as_ref().err().map(|reason| (one.row_id.clone(), reason.clone()))
        });
        let errors = |line: Line| Errors {
            rows_of: line.name,
            rows: line.rows,
            median_percent: line.median,
            p90_percent: line.p90,
            inside_80_percent_interval_percent: line.coverage,
            bandwidth_rule_median_percent: line.bandwidth_rule,
            llmfit_median_percent: line.llmfit,
        };
        Self {
            rows: judged.len(),
            refused: refused.collect(),
            table: table(&scores(judged)).into_iter().map(errors).collect(),
        }
    }
}

/// The page of speed predictions.
pub fn speed_page(answer: &SpeedAccuracy) -> Page {
    let mut page = Page::default();
    page.heading(1, "Speed: predicted beside measured");
    page.paragraph(format!(
        "{} rows, {} without a prediction. Error: |predicted / measured - 1|.",
        answer.rows,
        answer.refused.len()
    ));
    let mut table = Table::new(&[
        "rows",
        ">n",
        ">median",
        ">p90",
        ">inside 80 % interval",
        ">bandwidth rule",
        ">llmfit's formula",
    ]);
    let percent = |value: f64| format!("{value:.1} %");
    for one in &answer.table {
        table.row([
            one.rows_of.clone().into(),
            one.rows.to_string().into(),
            percent(one.median_percent).into(),
            percent(one.p90_percent).into(),
            percent(one.inside_80_percent_interval_percent).into(),
            percent(one.bandwidth_rule_median_percent).into(),
            percent(one.llmfit_median_percent).into(),
        ]);
    }
    page.table(table);
    left_out(&mut page, "Rows without a prediction", &answer.refused);
    page
}

/// What an import of the user's own measurements did.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// The tool that wrote the report.
    pub tool: String,
    /// Rows in the report.
    pub read: usize,
    /// Rows kept now, earlier ones included.
    pub kept: usize,
    /// Rows that estimates do not rest on, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// The page of an import.
pub fn imported_page(imported: &Imported) -> Page {
    let mut page = Page::default();
    page.paragraph(format!(
        "{} rows read from {}; {} of your measurements are kept now, and estimates of their stacks \
         rest on {} of them.",
        imported.read,
        imported.tool,
        imported.kept,
        imported.kept.saturating_sub(imported.left_out.len())
    ));
    left_out(&mut page, "Not used", &imported.left_out);
    page
}

fn left_out(page: &mut Page, title: &str, rows: &[(String, String)]) {
    if !rows.is_empty() {
        page.heading(2, title);
        let item = |(id, reason): &(String, String)| Text::from(format!("{id}: {reason}"));
        page.list(rows.iter().map(item).collect());
    }
}
