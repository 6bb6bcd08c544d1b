//! The cheapest machines that run a model.

use localrig_plan::answer::{PlanAnswer, PriceAges, RankedMachine};

use crate::number::{count, gib, money, noise, speed, two_digits};
use crate::page::{Page, Table, Text};
use crate::plan::{Extent, ages, cache_words, nearest_misses, parts, price_remark, sentence_case};

/// The page of a plan for one model whose machines stand in the order of their prices; `rows`
/// machines.
pub fn page(answer: &PlanAnswer, rows: usize) -> Page {
    let mut page = Page::default();
    let role = &answer.roles[0];
    let least = role.speed_minimum_tok_per_s.map_or(String::new(), |least| {
        format!(", at least {} tok/s each with contexts half full", two_digits(least.get()))
    });
    let streams = if role.streams == 1 { "1 stream" } else { "streams" };
    let streams =
        if role.streams == 1 { streams.to_owned() } else { format!("{} {streams}", role.streams) };
    page.heading(1, format!("Machines for {}", answer.requirement));
    page.paragraph(format!(
        "{streams} of {} tokens{least}; 4 to 8 bits per weight. Prices of {} as of {}.",
        count(role.context_tokens),
        answer.region.to_uppercase(),
        answer.as_of
    ));
    let Some(cheapest) = answer.ranked.first() else {
        page.paragraph("No machine with a price does that.");
        page.list(nearest_misses(answer));
        return page;
    };
    let served = &cheapest.roles[0];
    page.paragraph(
        Text::default()
            .plain("Cheapest: ")
            .strong(format!("{}, {}", cheapest.name, money(cheapest.cost)))
            .plain(format!(
                ", with {}{} on {}: {} tok/s per stream. {}.",
                served.format,
                cache_words(served),
                served.engine,
                speed(&served.per_stream_tok_per_s),
                sentence_case(&ages(PriceAges::of(cheapest.parts.iter())))
            )),
    );
    let mut table = Table::new(&[
        ">#",
        "machine",
        ">price",
        ">GiB",
        ">needed GiB",
        "format",
        "engine",
        ">tok/s",
        "noise",
    ]);
    for one in answer.ranked.iter().take(rows) {
        table.row(row(one));
    }
    page.table(table);
    let mut remarks = vec![Text::from(
        "tok/s per stream with contexts half full, 80 % interval in brackets; a machine with \
         dearer twins of the same accelerators stands once",
    )];
    let more = answer.ranked.len().saturating_sub(rows);
    if more > 0 {
        remarks.push(format!("{more} more with `--all`").into());
    }
    if !answer.unpriced.is_empty() {
        remarks.push(
            format!(
                "{} machines would do but lack a price of some part: --format json names them",
                answer.unpriced.len()
            )
            .into(),
        );
    }
    page.list(remarks);
    page.heading(2, format!("Parts of {}", cheapest.name));
    page.table(parts(cheapest, Extent::default()));
    page.list(cheapest.parts.iter().filter_map(price_remark).collect());
    page
}

fn row(one: &RankedMachine) -> [Text; 9] {
    let served = &one.roles[0];
    let needed: f64 = one.memory.iter().map(|group| group.total_bytes.value.to_gib()).sum();
    let memory = &one.memory_bytes;
    [
        one.rank.to_string().into(),
        one.name.clone().into(),
        money(one.cost).into(),
        gib(*memory).into(),
        format!("{needed:.1}").into(),
        format!("{}{}", served.format, cache_words(served)).into(),
        served.engine.clone().into(),
        speed(&served.per_stream_tok_per_s).into(),
        noise(one.noise).into(),
    ]
}
