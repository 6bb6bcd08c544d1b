//! Asking the sources: every offer that came back is stored, and a source that fails stops nothing.

use jiff::Timestamp;
use localrig_facts::shop::Shop;
use localrig_facts::{Catalog, CatalogError, Id};
use serde::Serialize;

use super::error::SourceError;
use super::judge::judge;
use super::matching::{Match, Matcher, Target};
use super::offer::{Offer, PriceSource, Wanted};
use crate::store::{Recorded, Seen, State, Store, StoreError, Verdict};

/// Why asking the sources could not go on at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of one item.
#[derive(Clone, Debug, Serialize)]
pub struct Fetched {
    /// The item.
    pub item: Id,
    /// The variant of a system.
    pub variant: Option<String>,
    /// Key of the source that answered; absent when none did.
    pub source: Option<String>,
    /// What was stored.
    pub recorded: Recorded,
    /// The lowest offer that counts, of this answer.
    pub lowest: Option<Seen>,
    /// What could not be used of the answer.
    pub remarks: Vec<String>,
}

/// A source that gave nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// Key of the source.
    pub source: String,
    /// What was asked for.
    pub item: Id,
    /// Why it gave nothing.
    pub reason: String,
    /// Whether it was not asked for anything further.
    pub stopped: bool,
}

/// What asking the sources gave.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FetchReport {
    /// One entry for each item asked for.
    pub items: Vec<Fetched>,
    /// Sources that gave nothing, in the order of asking.
    pub failed: Vec<Failed>,
}

/// Asks the sources for each item, in their order until one answers, and stores what they say.
///
/// # Errors
/// When the catalog or the store cannot be used; a source that fails is reported instead.
pub fn fetch(
    catalog: &Catalog,
    store: &mut Store,
    sources: &mut [Box<dyn PriceSource>],
    wanted: &[Wanted],
    now: impl Fn() -> Timestamp,
) -> Result<FetchReport, FetchError> {
    let matcher = Matcher::new(catalog, store.aliases()?)?;
    let mut report = FetchReport::default();
    let mut stopped = vec![false; sources.len()];
    for one in wanted {
        let mut fetched = Fetched {
            item: one.item.clone(),
            variant: one.variant.clone(),
            source: None,
            recorded: Recorded::default(),
            lowest: None,
            remarks: Vec::new(),
        };
        for (source, stopped) in sources.iter_mut().zip(&mut stopped) {
            if *stopped {
                continue;
            }
            match source.offers(one, now()) {
                Ok(answer) => {
                    fetched.remarks.extend(answer.remarks);
                    let time = now();
                    let (key, region) = (source.key(), source.region());
                    let mut seen = matched(&matcher, catalog, &answer.offers, key, region, time);
                    let unclear = seen.iter().filter(|seen| seen.item.is_none()).count();
                    if unclear > 0 {
                        fetched.remarks.push(format!("{unclear} products that are not clear"));
                    }
                    judge(catalog, &mut seen, time);
                    fetched.recorded = store.record(&seen)?;
                    fetched.source = Some(key.to_owned());
                    let target: Target = (one.item.clone(), one.variant.clone());
                    fetched.lowest = seen
                        .into_iter()
                        .filter(|seen| seen.verdict.state == State::Accepted)
                        .filter(|seen| is_of(seen, &target))
                        .min_by(|a, b| a.offer.amount.total_cmp(&b.offer.amount));
                    break;
                }
                Err(SourceError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    *stopped = error.is_final();
                    report.failed.push(Failed {
                        source: source.key().to_owned(),
                        item: one.item.clone(),
                        reason: error.to_string(),
                        stopped: *stopped,
                    });
                }
            }
        }
        report.items.push(fetched);
    }
    Ok(report)
}

fn is_of(seen: &Seen, (item, variant): &Target) -> bool {
    seen.item.as_ref() == Some(item) && seen.variant == *variant
}

/// Offers with the items they belong to; offers of products the catalog does not have are left out.
///
/// Of a product that is not clear, only the lowest offer waits for a decision: one look decides for
/// all of its shops.
pub fn matched(
    matcher: &Matcher,
    catalog: &Catalog,
    offers: &[Offer],
    source: &str,
    region: &str,
    taken: Timestamp,
) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    for offer in offers {
        let (target, verdict) = match matcher.item_of(offer) {
            Match::One(target) => (Some(target), Verdict::accepted()),
            Match::Unclear(candidates, reason) => {
                (None, Verdict { candidates, ..Verdict::held(reason) })
            }
            Match::None => continue,
        };
        let (item, variant) = target.map_or((None, None), |(item, variant)| (Some(item), variant));
        let mut offer = offer.clone();
        offer.shop = shop_id(catalog, &offer.shop);
        let seen = Seen {
            id: 0,
            source: source.to_owned(),
            region: region.to_owned(),
            item,
            variant,
            offer,
            taken,
            verdict,
        };
        let same = |other: &&mut Seen| {
            seen.item.is_none()
                && other.item.is_none()
                && other.offer.product == seen.offer.product
                && other.offer.link == seen.offer.link
        };
        match all.iter_mut().find(same) {
            Some(other) if other.offer.amount <= seen.offer.amount => {}
            Some(other) => *other = seen,
            None => all.push(seen),
        }
    }
    all
}

/// The short id of a shop that the catalog knows by exactly this name, else the name as it is.
pub fn shop_id(catalog: &Catalog, name: &str) -> String {
    let plain = |text: &str| -> String {
        let text = text.to_lowercase();
        let text = text.trim_end_matches(".ch").trim_end_matches(".com");
        text.chars().filter(|c| c.is_alphanumeric()).collect()
    };
    let wanted = plain(name);
    let Ok(shops) = catalog.all::<Shop>() else { return name.to_owned() };
    shops
        .iter()
        .find(|(id, shop)| {
            let names =
                std::iter::once(shop.name.as_str()).chain(shop.aliases.iter().map(String::as_str));
            id.short() == name || names.into_iter().any(|known| plain(known) == wanted)
        })
        .map_or_else(|| name.to_owned(), |(id, _)| id.short().to_owned())
}
