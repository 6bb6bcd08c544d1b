//! What an item cost here over time, by the same rules as its price today.

use std::collections::BTreeSet;

use localrig_facts::{Date, Id, Money};
use serde::Serialize;

use crate::price::{Goods, Market, NoPrice};

/// What an item cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// The item.
    pub item: Id,
    /// The variant of a system.
    pub variant: Option<String>,
    /// The price of each day that brought an observation, and of the last day; oldest first.
    pub points: Vec<TrendPoint>,
    /// When the price of the last day was seen, as precise as known.
    pub seen: String,
}

/// A price on a day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrendPoint {
    /// The day.
    pub date: Date,
    /// What the item cost landed, tax included, judged by what was known that day.
    pub amount: Money,
}

/// The price of an item on every day that something new was seen of it, up to the market's day.
///
/// # Errors
/// When it has no price on the market's day, or a price file is broken.
pub fn trend(
    market: &Market<'_>,
    item: &Id,
    variant: Option<&str>,
    goods: Goods,
) -> Result<Trend, NoPrice> {
    let today = market.price(item, variant, goods)?;
    let mut days: BTreeSet<Date> = market
        .catalog
        .prices()?
        .iter()
        .filter(|one| one.row.item == *item && one.row.variant.as_deref() == variant)
        .filter(|one| one.row.known_by(market.date))
        .map(|one| one.row.date.earliest())
        .collect();
    days.insert(market.date);
    let mut points: Vec<TrendPoint> = Vec::new();
    for date in days {
        // A day whose observation is of used goods, or lacks a rate, brings no price.
        let then = Market { date, ..*market }.price(item, variant, goods);
        let amount =
            if date == market.date { Some(today.amount) } else { then.ok().map(|it| it.amount) };
        points.extend(amount.map(|amount| TrendPoint { date, amount }));
    }
    Ok(Trend { item: item.clone(), variant: variant.map(str::to_owned), points, seen: today.date })
}
