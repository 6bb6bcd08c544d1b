//! Prices in the store.

use jiff::Timestamp;
use localrig_facts::price::{Observation, PriceRow};
use localrig_facts::{Date, Id, Money};
use rusqlite::types::Type;
use rusqlite::{Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, StoreError, written};
use crate::price::offer::Offer;

/// A price with what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seen {
    /// Its number in the store; 0 before it is there.
    pub id: i64,
    /// Key of the source.
    pub source: String,
    /// Short id of the region.
    pub region: String,
    /// The catalog item; absent while nobody has said what the product is.
    pub item: Option<Id>,
    /// The variant of a system.
    pub variant: Option<String>,
    /// What the source said.
    #[serde(flatten)]
    pub offer: Offer,
    /// When this program took it in.
    pub taken: Timestamp,
    /// Whether it counts.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether a price counts, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether it counts.
    pub state: State,
    /// Why not.
    pub reason: Option<String>,
    /// Items it may be.
    pub candidates: Vec<Id>,
}

impl Verdict {
    /// It counts.
    pub const fn accepted() -> Self {
        Self { state: State::Accepted, reason: None, candidates: Vec::new() }
    }

    /// It waits for a decision.
    pub fn held(reason: impl Into<String>) -> Self {
        Self { state: State::Held, reason: Some(reason.into()), candidates: Vec::new() }
    }
}

/// Whether a price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It counts as a price.
    Accepted,
    /// It waits for a decision.
    Held,
    /// Somebody looked at it and refused it: kept, never used.
    Refused,
}

impl State {
    /// The word in the store and in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }
}

/// What became of observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// New ones that count.
    pub accepted: usize,
    /// New ones that wait for a decision.
    pub held: usize,
    /// Already there.
    pub known: usize,
}

impl Seen {
    /// The observation as the catalog has them, if it counts.
    pub fn observation(&self) -> Option<Observation> {
        if self.verdict.state != State::Accepted {
            return None;
        }
        let offer = &self.offer;
        let read = self.taken.to_zoned(jiff::tz::TimeZone::UTC).date();
        Some(Observation {
            region: self.region.clone(),
            row: PriceRow {
                item: self.item.clone()?,
                variant: self.variant.clone(),
                product: offer.product.clone(),
                amount: offer.amount,
                amount_high: offer.amount_high,
                currency: offer.currency,
                condition: offer.condition,
                kind: offer.kind,
                vat: offer.vat,
                shop: offer.shop.clone(),
                date: offer.date,
                // A price cannot have been read before the day it speaks of.
                read: Date::from(read).max(offer.date.earliest()),
                link: offer.link.clone(),
                source: self.source.clone(),
                note: offer.note.clone(),
            },
        })
    }

    /// The amount.
    pub fn money(&self) -> Money {
        Money::of(self.offer.amount, self.offer.currency)
    }
}

const COLUMNS: &str = "id, taken, source, region, item, variant, product, part_number, amount, \
    amount_high, currency, condition, kind, vat, shop, date, link, note, state, reason, candidates";

impl Store {
    /// Adds observations, all or none; one that is already there stays as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn record(&mut self, all: &[Seen]) -> Result<Recorded, StoreError> {
        self.change(|transaction| {
            let mut recorded = Recorded::default();
            let mut insert = transaction.prepare(
                "insert or ignore into observation (taken, source, region, item, variant, product, \
                 part_number, amount, amount_high, currency, condition, kind, vat, shop, date, \
                 link, note, state, reason, candidates) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
                 ?17, ?18, ?19, ?20)",
            )?;
            for seen in all {
                let offer = &seen.offer;
                let minor = |amount: f64| Money::of(amount, offer.currency).minor;
                let candidates: Vec<&str> =
                    seen.verdict.candidates.iter().map(Id::as_str).collect();
                let added = insert.execute(params![
                    written(seen.taken),
                    seen.source,
                    seen.region,
                    seen.item.as_ref().map(Id::as_str),
                    seen.variant,
                    offer.product,
                    offer.part_number,
                    minor(offer.amount),
                    offer.amount_high.map(minor),
                    offer.currency.code(),
                    word(&offer.condition),
                    word(&offer.kind),
                    word(&offer.vat),
                    offer.shop,
                    offer.date.to_string(),
                    offer.link,
                    offer.note,
                    seen.verdict.state.word(),
                    seen.verdict.reason,
                    candidates.join("\n"),
                ])?;
                match (added, seen.verdict.state) {
                    (0, _) => recorded.known += 1,
                    (_, State::Accepted) => recorded.accepted += 1,
                    _ => recorded.held += 1,
                }
            }
            Ok(recorded)
        })
    }

    /// Every observation, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all(&self) -> Result<Vec<Seen>, StoreError> {
        self.select("1 order by date, id", [])
    }

    /// Observations of an item that count, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history(&self, item: &Id) -> Result<Vec<Seen>, StoreError> {
        self.select("item = ?1 and state = 'accepted' order by date, id", [item.as_str()])
    }

    /// Observations that wait for a decision, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn held(&self) -> Result<Vec<Seen>, StoreError> {
        self.select("state = 'held' order by id", [])
    }

    /// Accepts a held observation as a price of `item`.
    ///
    /// With `remember`, further offers of a product with exactly this name, part number or page
    /// belong to the item as well.
    ///
    /// # Errors
    /// When nothing is held under this number, or the store cannot be written.
    pub fn accept(
        &mut self,
        id: i64,
        item: &Id,
        variant: Option<&str>,
        spellings: &[String],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let changed = self.change(|transaction| {
            let changed = transaction.execute(
                "update observation set state = 'accepted', item = ?2, variant = ?3 \
                 where id = ?1 and state = 'held'",
                params![id, item.as_str(), variant],
            )?;
            if changed > 0 {
                for spelling in spellings {
                    transaction.execute(
                        "insert into alias (spelling, item, variant, taken) \
                         values (?1, ?2, ?3, ?4) on conflict (spelling) do update set \
                         item = excluded.item, variant = excluded.variant, taken = excluded.taken",
                        params![spelling, item.as_str(), variant, written(now)],
                    )?;
                }
            }
            Ok(changed)
        })?;
        if changed == 0 { Err(StoreError::NothingHeld { id }) } else { Ok(()) }
    }

    /// Refuses a held observation: it is kept, but never used.
    ///
    /// # Errors
    /// When nothing is held under this number, or the store cannot be written.
    pub fn refuse(&mut self, id: i64) -> Result<(), StoreError> {
        let changed = self.change(|transaction| {
            transaction.execute(
                "update observation set state = 'refused' where id = ?1 and state = 'held'",
                [id],
            )
        })?;
        if changed == 0 { Err(StoreError::NothingHeld { id }) } else { Ok(()) }
    }

    /// Spellings that people said belong to an item.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn aliases(&self) -> Result<Vec<(String, Id, Option<String>)>, StoreError> {
        self.run(|connection| {
            let mut query = connection.prepare("select spelling, item, variant from alias")?;
            let rows = query.query_map([], |row| {
                Ok((row.get(0)?, Id::new(row.get::<_, String>(1)?), row.get(2)?))
            })?;
            rows.collect()
        })
    }

    fn select(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<Seen>, StoreError> {
        self.run(|connection| {
            let sql = format!("select {COLUMNS} from observation where {condition}");
            let mut query = connection.prepare(&sql)?;
            let rows = query.query_map(parameters, seen)?;
            rows.collect()
        })
    }
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    let money = |minor: i64| minor as f64 / 100.0;
    let candidates: String = row.get(20)?;
    let state = match row.get::<_, String>(18)?.as_str() {
        "accepted" => State::Accepted,
        "held" => State::Held,
        _ => State::Refused,
    };
    Ok(Seen {
        id: row.get(0)?,
        taken: parsed(row, 1)?,
        source: row.get(2)?,
        region: row.get(3)?,
        item: row.get::<_, Option<String>>(4)?.map(Id::new),
        variant: row.get(5)?,
        offer: Offer {
            product: row.get(6)?,
            part_number: row.get(7)?,
            amount: money(row.get(8)?),
            amount_high: row.get::<_, Option<i64>>(9)?.map(money),
            currency: of_word(row, 10)?,
            condition: of_word(row, 11)?,
            kind: of_word(row, 12)?,
            vat: of_word(row, 13)?,
            shop: row.get(14)?,
            date: parsed(row, 15)?,
            link: row.get(16)?,
            note: row.get(17)?,
        },
        verdict: Verdict {
            state,
            reason: row.get(19)?,
            candidates: candidates.lines().map(Id::new).collect(),
        },
    })
}

/// A unit variant by the word serde gives it, so that the store and the catalog's CSV agree.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        // Only unit variants come here, and they serialize to strings.
        _ => String::new(),
    }
}

fn of_word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(text.into()).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}
