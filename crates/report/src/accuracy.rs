//! Predictions beside measurements.

use localrig_estimate::memory_accuracy::MemoryAccuracy;

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
