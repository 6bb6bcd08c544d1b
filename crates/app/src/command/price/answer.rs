//! What the store and the price sources say, in the words of the report.

use std::path::Path;

use localrig_facts::catalog::Entry as _;
use localrig_facts::price::Observation;
use localrig_facts::region::Region;
use localrig_facts::shop::Shop;
use localrig_facts::{Catalog, CatalogError, Date, Id, Rate};
use localrig_plan::price::{Goods, Market};
use localrig_report::price::{FetchAnswer, FetchedItem, HeldPrice, HistoryRow};
use localrig_world::price::fetch::FetchReport;
use localrig_world::price::offer::Offer;
use localrig_world::store::{Recorded, Seen, Tariff};

/// Everything seen of an item, oldest first.
pub(super) fn history(
    catalog: &Catalog,
    id: &Id,
    variant: Option<&str>,
) -> Result<Vec<HistoryRow>, CatalogError> {
    let mut seen: Vec<&Observation> = catalog.prices_of(id)?;
    seen.retain(|one| variant.is_none() || one.row.variant.as_deref() == variant);
    seen.sort_by_key(|one| one.row.date.earliest());
    let sources = catalog.price_sources()?;
    Ok(seen
        .into_iter()
        .map(|one| {
            let row = &one.row;
            let shop = catalog.get_in::<Shop>(&row.shop);
            HistoryRow {
                date: row.date.to_string(),
                day: row.date.earliest(),
                amount: row.money(),
                amount_high: row
                    .amount_high
                    .map(|high| localrig_facts::Money::of(high, row.currency)),
                condition: row.condition.word(),
                kind: row.kind.words().to_owned(),
                region: one.region.clone(),
                variant: row.variant.clone(),
                shop: shop.map_or_else(|_| row.shop.clone(), |(_, shop)| shop.name().to_owned()),
                link: row.link.clone(),
                source: sources
                    .get(&row.source)
                    .map_or_else(|| row.source.clone(), localrig_facts::Source::describe),
            }
        })
        .collect())
}

/// What an import brought.
pub(super) fn imported(
    path: &str,
    recorded: Recorded,
    strangers: &[String],
    waiting: usize,
) -> FetchAnswer {
    let name =
        Path::new(path).file_name().map_or_else(|| path.into(), |name| name.to_string_lossy());
    let mut item = line(&name, path, recorded);
    item.remarks = strangers
        .iter()
        .map(|product| {
            format!(
                "`{product}` is nothing the catalog has: add a column `item`, or the item itself"
            )
        })
        .collect();
    FetchAnswer { items: vec![item], waiting, ..FetchAnswer::default() }
}

/// What a price typed in brought.
pub(super) fn set(name: &str, seen: &Seen, recorded: Recorded) -> FetchAnswer {
    let Offer { shop, date, condition, .. } = &seen.offer;
    let id = seen.item.as_ref().map_or("", Id::as_str);
    let what = if recorded.accepted > 0 { "Stored" } else { "Known already" };
    let said = format!("{what}: {name}, {} by {shop}, {date}, {}", seen.money(), condition.word());
    let items = vec![line(name, id, recorded)];
    FetchAnswer { items, also: vec![said], ..FetchAnswer::default() }
}

fn line(name: &str, id: &str, recorded: Recorded) -> FetchedItem {
    FetchedItem {
        name: name.to_owned(),
        id: id.to_owned(),
        source: Some("you".to_owned()),
        new: recorded.accepted,
        held: recorded.held,
        known: recorded.known,
        price: None,
        is_fresh: false,
        no_price: None,
        remarks: Vec::new(),
    }
}

/// The rates fetched, in one line.
pub(super) fn rates(rates: &[Rate]) -> Option<String> {
    let date = rates.iter().map(|rate| rate.date).max()?;
    let list: Vec<String> = rates
        .iter()
        .filter(|rate| rate.date == date)
        .map(|rate| format!("{}/{} {}", rate.base, rate.quote, rate.rate))
        .collect();
    Some(format!("ECB reference rates of {date}: {}", list.join(", ")))
}

/// The tariff fetched, in one line.
pub(super) fn tariff(tariffs: &[Tariff]) -> Option<String> {
    let newest = tariffs.iter().max_by_key(|one| one.year)?;
    Some(format!(
        "electricity {}: CHF {:.4} per kWh ({}, {}), from ElCom",
        newest.year, newest.per_kwh, newest.operator, newest.category
    ))
}

/// What asking the sources brought, with the prices as they stand after it.
pub(super) fn fetched(
    catalog: &Catalog,
    report: FetchReport,
    today: Date,
    answer: &mut FetchAnswer,
) -> Result<(), CatalogError> {
    for one in &report.failed {
        let stopped = if one.stopped { "; not asked for anything further" } else { "" };
        answer.failures.push(format!("{} for {}: {}{stopped}", one.source, one.item, one.reason));
    }
    let heads = catalog.heads()?;
    for one in report.items {
        let name = heads.iter().find(|head| *head.id == one.item);
        let name = name.map_or_else(|| one.item.to_string(), |head| head.name.to_owned());
        let region = "ch";
        let (_, entry) = catalog.get_in::<Region>(region)?;
        let market = Market { catalog, region_id: region, region: entry, date: today };
        let variant = one.variant.as_deref();
        let price = market
            .price(&one.item, variant, Goods::New)
            .or_else(|error| market.price(&one.item, variant, Goods::Used).map_err(|_| error));
        let (price, no_price) = match price {
            Ok(price) => (Some(price), None),
            Err(error) => (None, Some(error.to_string())),
        };
        answer.items.push(FetchedItem {
            name,
            id: one.item.to_string(),
            is_fresh: one.lowest.is_some(),
            source: one.source,
            new: one.recorded.accepted,
            held: one.recorded.held,
            known: one.recorded.known,
            price,
            no_price,
            remarks: one.remarks,
        });
    }
    Ok(())
}

/// What waits for a decision.
pub(super) fn held(all: &[Seen]) -> Vec<HeldPrice> {
    all.iter()
        .map(|one| HeldPrice {
            number: one.id,
            product: one.offer.product.clone(),
            amount: one.money(),
            date: one.offer.date.to_string(),
            shop: one.offer.shop.clone(),
            link: one.offer.link.clone(),
            source: one.source.clone(),
            reason: one.verdict.reason.clone().unwrap_or_default(),
            candidates: one.verdict.candidates.iter().map(ToString::to_string).collect(),
        })
        .collect()
}

/// A row of the list of what waits.
#[derive(Debug, serde::Serialize)]
pub(super) struct HeldRow<'a> {
    number: i64,
    product: &'a str,
    amount: f64,
    currency: &'static str,
    date: &'a str,
    shop: &'a str,
    reason: &'a str,
    candidates: String,
    link: Option<&'a str>,
    source: &'a str,
}

/// The row of a price that waits.
pub(super) fn held_row(one: &HeldPrice) -> HeldRow<'_> {
    HeldRow {
        number: one.number,
        product: &one.product,
        amount: one.amount.amount(),
        currency: one.amount.currency.code(),
        date: &one.date,
        shop: &one.shop,
        reason: &one.reason,
        candidates: one.candidates.join(" "),
        link: one.link.as_deref(),
        source: &one.source,
    }
}
