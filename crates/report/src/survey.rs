//! The survey of platforms.

use localrig_plan::survey::{Standing, SurveyAnswer, Surveyed};
use serde::Serialize;

use crate::page::{Page, Table, Text};

/// The page of a survey.
pub fn page(answer: &SurveyAnswer) -> Page {
    let mut page = Page::default();
    page.heading(1, "Survey of platforms");
    let of = |standing| answer.platforms.iter().filter(move |one| one.standing == standing);
    let vendors: Vec<&str> = {
        let mut all: Vec<&str> = of(Standing::In).map(|one| one.vendor.as_str()).collect();
        all.dedup();
        all
    };
    page.paragraph(
        Text::default()
            .strong(format!(
                "{} of {} platforms are in: {}",
                of(Standing::In).count(),
                answer.platforms.len(),
                if vendors.is_empty() { "none".to_owned() } else { vendors.join(", ") }
            ))
            .plain(format!(
                ". For \"{}\" as of {}; each stands where the best machine with it stands in the plan.",
                answer.requirement, answer.as_of
            )),
    );
    let order = [
        Standing::In,
        Standing::NoPrice,
        Standing::Limit,
        Standing::Unfit,
        Standing::NotForSale,
        Standing::Unreleased,
        Standing::Unknown,
    ];
    for standing in order {
        if of(standing).next().is_none() {
            continue;
        }
        let words = standing.words();
        page.heading(2, format!("{}{}", words[..1].to_uppercase(), &words[1..]));
        let mut table =
            Table::new(&["platform", ">GiB", ">GB/s", "what decides", "noted in February 2026"]);
        for one in of(standing) {
            table.row(row(one));
        }
        page.table(table);
    }
    page
}

fn row(one: &Surveyed) -> [Text; 5] {
    let figure = |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.0}"));
    [
        one.name.clone().into(),
        figure(one.memory_gib).into(),
        figure(one.bandwidth_gb_per_s).into(),
        one.reason.clone().into(),
        one.noted.join(", ").replace('-', " ").into(),
    ]
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    vendor: &'a str,
    memory_gib: Option<f64>,
    bandwidth_gb_per_s: Option<f64>,
    standing: &'a str,
    reason: &'a str,
}

/// The survey as CSV.
///
/// # Errors
/// When a row cannot be written.
pub fn csv(answer: &SurveyAnswer) -> Result<String, csv::Error> {
    crate::rows(answer.platforms.iter().map(|one| Row {
        id: one.id.as_str(),
        name: &one.name,
        vendor: &one.vendor,
        memory_gib: one.memory_gib,
        bandwidth_gb_per_s: one.bandwidth_gb_per_s,
        standing: one.standing.words(),
        reason: &one.reason,
    }))
}
