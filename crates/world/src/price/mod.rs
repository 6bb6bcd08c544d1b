//! Prices from outside: the sources, what their offers belong to, and what goes into the store.

pub mod error;
pub mod fetch;
pub mod import;
pub mod judge;
pub mod matching;
pub mod offer;
pub mod rate;
pub mod robots;
pub mod tariff;
pub mod toppreise_cli;
pub mod toppreise_page;
pub mod toppreise_site;
pub mod web;

use localrig_facts::catalog::Observed;
use localrig_facts::price::Observation;
use localrig_facts::{PartialDate, Source, SourceKind, Sources};

use crate::store::{Store, StoreError};

/// What the store adds to the catalog: prices that count, exchange rates, and who said so.
///
/// # Errors
/// When the store cannot be read.
pub fn observed(store: &Store) -> Result<Observed, StoreError> {
    let all = store.all()?;
    let rates = store.rates()?;
    let taken = all.iter().map(|seen| seen.taken.to_zoned(jiff::tz::TimeZone::UTC).date().into());
    // Without a row nothing is known, and nothing names a source.
    let Some(accessed) = taken.chain(rates.iter().map(|rate| rate.date)).max() else {
        return Ok(Observed::default());
    };
    let prices: Vec<Observation> = all.iter().filter_map(crate::store::Seen::observation).collect();
    Ok(Observed { prices, rates, sources: sources(PartialDate::Day(accessed)) })
}

/// The sources that rows of the store can name.
fn sources(accessed: PartialDate) -> Sources {
    let source = |url: Option<&str>, title: &str, kind| Source {
        url: url.map(str::to_owned),
        title: Some(title.to_owned()),
        kind,
        accessed,
        upstream: None,
        covers: Vec::new(),
    };
    let site = Some(toppreise_site::SITE);
    [
        ("toppreise-cli", source(site, "toppreise.ch, by toppreise-cli", SourceKind::ThirdParty)),
        ("toppreise", source(site, "toppreise.ch", SourceKind::ThirdParty)),
        (rate::KEY, source(Some(rate::ADDRESS), "ECB reference rates", SourceKind::Vendor)),
        ("import", source(None, "imported by you", SourceKind::Secondary)),
        ("manual", source(None, "typed in by you", SourceKind::Secondary)),
    ]
    .into_iter()
    .map(|(key, source)| (key.to_owned(), source))
    .collect()
}
