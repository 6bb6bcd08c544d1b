//! The folder of one platform.

use std::collections::BTreeSet;

use localrig_facts::part::Prebuilt;
use localrig_facts::shop::Shop;
use localrig_facts::{CatalogError, Id};
use localrig_plan::answer::is_built;
use localrig_plan::configuration::about_words;
use localrig_plan::knowledge::corrections;
use localrig_plan::measured::{HeldOutError, Measured, Measurements, ROWS};
use localrig_plan::platform::accelerators;

use super::chart::{Figures, growth};
use super::guide;
use super::{Answers, Chart, Document, MACHINES_IN_TABLES, MACHINES_PER_PLATFORM, Platform};
use crate::number::{count, money, noise, speed, tokens_per_second};
use crate::page::{Page, Table, Text};
use crate::plan::{correction, metrics, running_speed, simulated, under_load};

pub(super) fn new(
    platform: &Platform<'_>,
    file: &str,
    title: &str,
    purpose: &'static str,
) -> Document {
    let title = format!("{}: {title}", platform.folder);
    let mut page = Page::default();
    page.heading(1, title.clone());
    Document { path: format!("{}/{file}", platform.folder), title, purpose, page }
}

/// Every document of a platform, and its charts.
pub(super) fn documents(
    answers: Answers<'_>,
    platform: &Platform<'_>,
    measurements: &Measurements<'_>,
) -> Result<(Vec<Document>, Vec<Chart>), CatalogError> {
    if platform.machines.is_empty() {
        let mut all = vec![
            overview(answers, platform, false),
            research(answers, platform)?,
            benchmarks(answers, platform, measurements)?,
        ];
        all.extend(platform.near.map(|near| guide::near_miss(platform, near)));
        return Ok((all, Vec::new()));
    }
    let vendors = vendors(answers, platform)?;
    let mut all = vec![
        overview(answers, platform, vendors.is_some()),
        research(answers, platform)?,
        benchmarks(answers, platform, measurements)?,
        guide::build_guide(answers, platform),
    ];
    all.extend(vendors);
    let drawn = figures(platform);
    let mut charts = vec![drawn.speed()];
    charts.extend(drawn.cost(answers));
    charts.extend(drawn.speed_curves(answers));
    charts.extend(drawn.price_history(answers));
    Ok((all, charts))
}

/// The platform's machines as they are drawn in its folder.
pub(super) fn figures<'a>(platform: &Platform<'a>) -> Figures<'a> {
    Figures { folder: format!("{}/", platform.folder), machines: platform.machines.clone() }
}

fn overview(answers: Answers<'_>, platform: &Platform<'_>, vendors: bool) -> Document {
    let mut document = new(platform, "README.md", "overview", "The platform in short");
    let page = &mut document.page;
    if let Some(best) = platform.machines.first() {
        page.paragraph(
            Text::default().plain("Best here: ").strong(best.name.clone()).plain(format!(
                ", place {} of all, {}.",
                best.rank,
                money(best.cost)
            )),
        );
        page.table(metrics(best));
    } else {
        page.paragraph("No machine of this platform is within the hard limits.");
        page.paragraph(match platform.near {
            Some(near) => {
                guide::nearest(near).plain(" ").link("Its build guide", "build-guide.md").plain(".")
            }
            None => guide::none(platform, &answers.plan.as_of).into(),
        });
    }
    let mut table =
        Table::new(&[">#", "machine", ">price", ">GiB", "main model", ">tok/s", "noise"]);
    for one in &platform.machines {
        let main = &one.roles[0];
        table.row([
            one.rank.to_string().into(),
            one.name.clone().into(),
            money(one.cost).into(),
            format!("{:.0}", one.memory_bytes.to_gib()).into(),
            format!("{} {}", main.model, main.format).into(),
            running_speed(main).into(),
            noise(one.noise).into(),
        ]);
    }
    page.table(table);
    let mut roles = platform.machines.iter().flat_map(|one| &one.roles);
    if roles.any(|role| role.simulated.is_none()) {
        page.paragraph(simulated(answers.plan));
    }
    unpriced(page, platform);
    rejected(page, platform);
    let mut links = Text::default();
    if platform.has_guide() {
        links = links.link("Parts, prices and set-up", "build-guide.md").plain(", ");
    }
    links = links.link("research", "research.md").plain(", ").link("speeds", "benchmarks.md");
    if vendors {
        links = links.plain(", ").link("vendors", "vendor-options.md");
    }
    page.paragraph(links.plain(", ").link("all platforms", "../README.md").plain("."));
    document
}

/// Machines that are out or lack a price, shown of each platform.
const REJECTED: usize = 12;

/// What cannot be ranked because nobody was seen selling it.
fn unpriced(page: &mut Page, platform: &Platform<'_>) {
    if platform.unpriced.is_empty() {
        return;
    }
    page.heading(2, "Would do, but a price is missing");
    let mut table = Table::new(&["machine", "missing"]);
    for one in platform.unpriced.iter().take(REJECTED) {
        table.row([one.name.clone().into(), one.missing.join("; ").into()]);
    }
    page.table(table);
    if platform.unpriced.len() > REJECTED {
        page.paragraph(format!(
            "{} more lack a price; `localrig plan --all` lists them.",
            platform.unpriced.len() - REJECTED
        ));
    }
}

/// What is out, and by which number.
fn rejected(page: &mut Page, platform: &Platform<'_>) {
    if platform.rejected.is_empty() {
        return;
    }
    page.heading(2, "Not recommended, and why");
    let mut table = Table::new(&["machine", ">price", "limit", "decided by"]);
    for (reason, one) in platform.rejected.iter().take(REJECTED) {
        table.row([
            one.name.clone().into(),
            one.cost.map_or_else(|| "not known".to_owned(), money).into(),
            (*reason).into(),
            one.decided_by.clone().into(),
        ]);
    }
    page.table(table);
    if platform.rejected.len() > REJECTED {
        let more = platform.rejected.len() - REJECTED;
        let are = if more == 1 { "is" } else { "are" };
        page.paragraph(format!("{more} more {are} out; `localrig plan --all` lists them."));
    }
}

/// Keys of a platform's machines, ranked ones first.
fn keys<'a>(platform: &'a Platform<'_>) -> impl Iterator<Item = &'a str> {
    let ranked = platform.machines.iter().map(|one| one.key.as_str());
    let near = platform.near.iter().map(|one| one.configuration.key.as_str());
    let out = platform.rejected.iter().map(|(_, one)| one.key.as_str());
    ranked.chain(near).chain(platform.unpriced.iter().map(|one| one.key.as_str())).chain(out)
}

/// Accelerators described in full of a platform without a ranked machine.
const DESCRIBED: usize = 6;

fn research(answers: Answers<'_>, platform: &Platform<'_>) -> Result<Document, CatalogError> {
    let mut document =
        new(platform, "research.md", "research", "Facts of every accelerator, with sources");
    let page = &mut document.page;
    let mut told = BTreeSet::new();
    let ranked = platform.machines.len();
    for (place, key) in keys(platform).enumerate() {
        // What is out is told in short elsewhere, where something is in.
        if place >= ranked && (ranked > 0 || told.len() >= DESCRIBED) {
            break;
        }
        for (id, gpu) in accelerators(answers.catalog, key)? {
            if !told.insert(id) {
                continue;
            }
            page.heading(2, gpu.name.clone());
            let mut table = Table::new(&["fact", "value"]);
            let mut add = |what: &str, value: Option<String>| {
                table.row([what.into(), value.unwrap_or_else(|| "not recorded".to_owned()).into()]);
            };
            let sizes = gpu.memory.sizes_gib.iter().map(|one| format!("{:.0}", one.written()));
            add("memory, GiB", Some(sizes.collect::<Vec<_>>().join(", ")));
            let bandwidth = gpu.memory.bandwidth_gb_per_s;
            add("bandwidth, GB/s", bandwidth.map(|one| format!("{:.0}", one.written())));
            add("power, W", gpu.board.tdp_w.map(|one| format!("{:.0}", one.get())));
            add("memory type", gpu.memory.technology.clone());
            add("cooling", gpu.board.cooling.map(|one| one.words().to_owned()));
            add("slots", gpu.board.slots.map(|one| one.to_string()));
            add("length, mm", gpu.board.length_mm.map(|one| format!("{:.0}", one.get())));
            let plugs = gpu.board.power_connectors.iter();
            let plugs: Vec<String> =
                plugs.map(|one| format!("{}x {}", one.count, one.plug.word())).collect();
            add("power plugs", (!plugs.is_empty()).then(|| plugs.join(", ")));
            let lanes = gpu.link.pcie_gen.zip(gpu.link.pcie_lanes);
            add("PCIe", lanes.map(|(generation, lanes)| format!("{generation:.1} x{lanes}")));
            add("NVLink", gpu.link.nvlink.map(|one| one.words().to_owned()));
            add("released", gpu.released.map(|day| day.to_string()));
            page.table(table);
            page.list(
                gpu.notes
                    .iter()
                    .map(|note| {
                        let about = about_words(&note.about);
                        Text::default().strong(format!("{about}: ")).plain(note.text.clone())
                    })
                    .collect(),
            );
            let wrong = corrections(answers.catalog, &BTreeSet::from([id.as_str()]), 1);
            if !wrong.is_empty() {
                page.heading(3, format!("What documents have wrong about {}", gpu.name));
                page.list(wrong.iter().map(correction).collect());
            }
            page.heading(3, format!("Sources for {}", gpu.name));
            page.list(gpu.sources.values().map(|one| one.describe().into()).collect());
        }
    }
    page.paragraph(Text::default().link("Overview", "README.md").plain("."));
    Ok(document)
}

fn benchmarks(
    answers: Answers<'_>,
    platform: &Platform<'_>,
    measurements: &Measurements<'_>,
) -> Result<Document, CatalogError> {
    let mut document = new(
        platform,
        "benchmarks.md",
        "speeds",
        "Predicted speeds with intervals, beside what others measured",
    );
    let page = &mut document.page;
    if !platform.machines.is_empty() {
        page.picture("speed of the main agent", "speed.svg");
    }
    let mut table = Table::new(&[
        "machine",
        "role",
        "model",
        "engine",
        ">streams",
        ">tok/s alone",
        ">tok/s, everything running",
        "basis",
    ]);
    for machine in platform.machines.iter().take(MACHINES_IN_TABLES) {
        for role in &machine.roles {
            table.row([
                machine.name.clone().into(),
                role.role.clone().into(),
                format!("{} {}", role.model, role.format).into(),
                role.engine.clone().into(),
                role.streams.to_string().into(),
                speed(&role.alone_tok_per_s).into(),
                under_load(role).into(),
                role.per_stream_tok_per_s.basis.word().into(),
            ]);
        }
    }
    page.table(table);
    if !platform.machines.is_empty() {
        page.paragraph(format!(
            "Predicted, per stream; 80 % interval in brackets. Alone: one stream with an empty context. {}",
            simulated(answers.plan)
        ));
    }
    growth(page, answers, &figures(platform));
    measured(page, answers, platform, measurements)?;
    page.paragraph(Text::default().link("Overview", "README.md").plain("."));
    Ok(document)
}

/// What others measured on the platform's accelerators, beside our predictions of the same runs.
fn measured(
    page: &mut Page,
    answers: Answers<'_>,
    platform: &Platform<'_>,
    measurements: &Measurements<'_>,
) -> Result<(), CatalogError> {
    let mut accelerators_here: Vec<&Id> = Vec::new();
    let mut models = BTreeSet::new();
    for key in keys(platform) {
        for (id, _) in accelerators(answers.catalog, key)? {
            if !accelerators_here.contains(&id) {
                accelerators_here.push(id);
            }
        }
    }
    // Where nothing is ranked, what runs on the best of all machines is the question.
    let ranked = &answers.plan.ranked;
    let machines =
        platform.machines.iter().copied().chain(ranked.iter().take(MACHINES_PER_PLATFORM));
    models.extend(machines.flat_map(|one| &one.roles).map(|role| &role.model_id));
    let found = measurements.on(&accelerators_here, &models, answers.as_of)?;
    page.heading(2, "Measured by others");
    let cut = left_out(&found, &answers.plan.as_of);
    if found.shown.is_empty() {
        let none = format!(
            "None of the {} measurements in the catalog is on these accelerators{}.",
            grouped_count(found.all_rows),
            if found.later > 0 { " and of that day or before" } else { "" }
        );
        page.paragraph(format!("{none}{cut}"));
        return Ok(());
    }
    page.paragraph(format!(
        "{} of the {} measurements in the catalog (`catalog/{ROWS}`) are on these accelerators.{cut} Shown are {} at the ends of what \
         was varied, of the models above where anybody measured them.",
        grouped_count(found.rows_here),
        grouped_count(found.all_rows),
        found.shown.len(),
    ));
    page.paragraph(
        Text::default()
            .strong("These predictions are no test")
            .plain(format!(
                ": the constants were fitted on these very measurements, among others, whatever their date. {} of {} lie inside the 80 % \
                 interval. What to expect of a measurement by somebody new is in the columns on the right: errors of runs whose source \
                 and hardware were left out of the fit (`docs/accuracy.md`, `catalog/calibration/interval.toml`).",
                found.inside,
                found.shown.len()
            )),
    );
    page.table(held_out_table(&found.held_out));
    let mut table = Table::new(&[
        "accelerator",
        "model",
        "engine",
        "what",
        ">depth",
        ">streams",
        ">measured tok/s",
        ">predicted tok/s",
        "inside",
        "measured by",
    ]);
    for one in &found.shown {
        let what = match (one.phase, one.prompt_tokens) {
            ("prefill", Some(tokens)) => format!("prompt of {}", count(tokens)),
            ("prefill", None) => "prompt".to_owned(),
            _ => "generation".to_owned(),
        };
        let by = Text::default().link(one.source.clone(), one.link.clone());
        table.row([
            one.hardware.clone().into(),
            format!("{} {}", one.model, one.format).into(),
            one.engine.clone().into(),
            what.into(),
            count(one.depth_tokens).into(),
            one.streams.to_string().into(),
            tokens_per_second(one.measured_tok_per_s).into(),
            one.predicted_tok_per_s.as_ref().map_or("a fact is missing".to_owned(), speed).into(),
            match one.is_inside() {
                Some(true) => "yes",
                Some(false) => "no",
                None => "not predicted",
            }
            .into(),
            by.plain(format!(", {}", if one.date.is_empty() { "no date" } else { &one.date })),
        ]);
    }
    page.table(table);
    page.paragraph("All streams together; measurements in two digits like the predictions, in full in the catalog.");
    Ok(())
}

/// What the day of the report leaves out of the measurements, as a sentence with a blank before it.
fn left_out(found: &Measured, as_of: &str) -> String {
    let mut said = String::new();
    if found.later > 0 {
        said.push_str(&format!(
            " {} of them were made after {as_of} and are left out.",
            grouped_count(found.later)
        ));
    }
    if found.undated > 0 {
        said.push_str(&format!(" {} carry no date and are kept.", grouped_count(found.undated)));
    }
    said
}

/// Errors of held-out runs of the kinds shown.
fn held_out_table(all: &[HeldOutError]) -> Table {
    let mut table = Table::new(&[
        "runs",
        "models",
        "basis",
        ">shown",
        ">inside",
        ">held-out rows",
        ">groups",
        ">half within",
        ">80 % within",
    ]);
    let factor = |value: f64| format!("×/÷ {value:.2}");
    for one in all {
        table.row([
            one.run.into(),
            if one.mixture { "mixtures of experts" } else { "dense" }.into(),
            one.seen.into(),
            one.shown.to_string().into(),
            one.inside.to_string().into(),
            count(u64::from(one.rows)).into(),
            one.groups.to_string().into(),
            factor(one.factor_50).into(),
            factor(one.factor_80).into(),
        ]);
    }
    table
}

fn grouped_count(value: usize) -> String {
    count(value as u64)
}

fn vendors(
    answers: Answers<'_>,
    platform: &Platform<'_>,
) -> Result<Option<Document>, CatalogError> {
    let built = platform.machines.iter().any(|one| is_built(&one.parts));
    let bases = answers.catalog.all::<Prebuilt>()?;
    if !built || bases.is_empty() {
        return Ok(None);
    }
    let mut document = new(platform, "vendor-options.md", "vendors", "Who builds such machines");
    let mut table = Table::new(&["vendor", "offer", "includes", ">cards", "prices seen"]);
    for (id, base) in bases {
        let (_, shop) = answers.catalog.get_in::<Shop>(&base.shop)?;
        let seen = answers.catalog.prices_of(id)?;
        let known = seen.iter().filter(|one| one.row.known_by(answers.as_of));
        let prices = known.take(2).map(|one| {
            format!("{} ({}, {})", one.row.money(), one.row.condition.word(), one.row.date)
        });
        let name = match &shop.url {
            Some(url) => Text::default().link(shop.name.clone(), url.clone()),
            None => shop.name.clone().into(),
        };
        table.row([
            name,
            base.name.clone().into(),
            base.includes.clone().into(),
            base.cards_max.map_or_else(String::new, |most| most.to_string()).into(),
            prices.collect::<Vec<_>>().join("; ").into(),
        ]);
    }
    document.page.table(table);
    document.page.paragraph(Text::default().link("Overview", "README.md").plain("."));
    Ok(Some(document))
}
