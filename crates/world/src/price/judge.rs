//! Whether a price can be believed. What cannot is held for a person to look at, never dropped and
//! never used.

use jiff::Timestamp;
use localrig_facts::price::{Condition, Observation, PriceKind};
use localrig_facts::region::Region;
use localrig_facts::{Catalog, Currency, Date, exchange};

use crate::store::{Seen, State, Verdict};

/// How far a price may be from the last one. Memory went up more than fourfold in a year, between
/// two looks a month apart by less than two; a lost decimal point is a factor of ten or more.
const FACTOR: f64 = 4.0;

/// How far below the middle of its fellows an offer may be.
const BELOW_FELLOWS: f64 = 1.0 / 3.0;

/// Nothing in the catalog costs more, in any of its currencies: the złoty is the smallest.
const MOST: f64 = 1_000_000.0;

/// Holds those of `seen`, offers of one fetch or file, that cannot be believed.
///
/// Amounts in other currencies are converted; where no rate leads there, they are no measure.
pub fn judge(catalog: &Catalog, seen: &mut [Seen], now: Timestamp) {
    let today: Date = now.to_zoned(jiff::tz::TimeZone::system()).date().into();
    let reasons: Vec<Option<String>> =
        seen.iter().map(|one| reason(catalog, one, seen, today)).collect();
    for (one, reason) in seen.iter_mut().zip(reasons) {
        if let (Some(reason), State::Accepted) = (reason, one.verdict.state) {
            one.verdict = Verdict::held(reason);
            one.verdict.candidates = one.item.iter().cloned().collect();
        }
    }
}

fn reason(catalog: &Catalog, one: &Seen, all: &[Seen], today: Date) -> Option<String> {
    let offer = &one.offer;
    if offer.amount > MOST {
        return Some(format!("{} is absurd", one.money()));
    }
    // Time zones apart, nobody can have seen tomorrow's price.
    if offer.date.earliest().days_since(today) > 1 {
        return Some(format!("dated {}, but it is {today} here: a clock is wrong", offer.date));
    }
    let home = home_currency(catalog, &one.region);
    if home.is_some_and(|home| home != offer.currency) && one.source.starts_with("toppreise") {
        return Some(format!("in {} on a page of shops in {}", offer.currency, one.region));
    }
    if !is_plain(offer.kind) {
        return None;
    }
    if let Some((last, rate)) = newest(catalog, one, today) {
        let ratio = offer.amount / (last.row.amount * rate);
        if !(1.0 / FACTOR..=FACTOR).contains(&ratio) {
            let times = if ratio > 1.0 {
                format!("{ratio:.1} times")
            } else {
                format!("{:.1} % of", ratio * 100.0)
            };
            return Some(format!(
                "{} is {times} the {} of {}",
                one.money(),
                last.row.money(),
                last.row.date
            ));
        }
    }
    let mut fellows: Vec<f64> = all
        .iter()
        .filter(|other| {
            other.item == one.item
                && other.variant == one.variant
                && other.offer.condition == offer.condition
                && other.offer.currency == offer.currency
                && other.offer.date == offer.date
                && is_plain(other.offer.kind)
        })
        .map(|other| other.offer.amount)
        .collect();
    fellows.sort_by(f64::total_cmp);
    let middle = *fellows.get(fellows.len() / 2)?;
    (fellows.len() >= 3 && offer.amount < middle * BELOW_FELLOWS)
        .then(|| format!("{} is far below the {middle:.2} that others ask", one.money()))
}

const fn is_plain(kind: PriceKind) -> bool {
    matches!(kind, PriceKind::Offer | PriceKind::Market | PriceKind::List)
}

/// The newest price known of the same thing in the same condition, and what a unit of its currency
/// is in that of the offer.
fn newest<'c>(catalog: &'c Catalog, one: &Seen, today: Date) -> Option<(&'c Observation, f64)> {
    let item = one.item.as_ref()?;
    let is_new = |condition: Condition| condition == Condition::New;
    catalog
        .prices()
        .ok()?
        .iter()
        .filter(|known| known.row.item == *item && known.row.variant == one.variant)
        .filter(|known| is_new(known.row.condition) == is_new(one.offer.condition))
        .filter(|known| is_plain(known.row.kind))
        .filter_map(|known| {
            let rates = catalog.rates().ok()?;
            let (rate, _) = exchange(rates, known.row.currency, one.offer.currency, today)?;
            Some((known, rate))
        })
        .max_by_key(|(known, _)| (known.row.date.earliest(), known.region == one.region))
}

fn home_currency(catalog: &Catalog, region: &str) -> Option<Currency> {
    catalog.get_in::<Region>(region).ok().map(|(_, region)| region.currency)
}
