//! Exchange rates and electricity tariffs in the store.

use jiff::Timestamp;
use localrig_facts::Rate;
use rusqlite::params;
use serde::Serialize;

use super::observation::parsed;
use super::{Store, StoreError, written};
use localrig_facts::amount;

/// What an operator charges households for electricity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tariff {
    /// Short id of the region.
    pub region: String,
    /// Number of the municipality in the federal register.
    pub municipality: u32,
    /// Year it holds for.
    pub year: i16,
    /// Kind of household: `H4` uses 4,500 kWh a year.
    pub category: String,
    /// Who delivers.
    pub operator: String,
    /// Price per kWh in the region's currency, everything included.
    pub per_kwh: f64,
}

impl Store {
    /// Adds exchange rates; a fixing that is already there stays as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn record_rates(&mut self, rates: &[Rate], now: Timestamp) -> Result<usize, StoreError> {
        self.change(|transaction| {
            let mut added = 0;
            for rate in rates {
                added += transaction.execute(
                    "insert or ignore into rate (date, base, quote, rate, source, taken) \
                     values (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        rate.date.to_string(),
                        rate.base.code(),
                        rate.quote.code(),
                        rate.rate,
                        rate.source,
                        written(now)
                    ],
                )?;
            }
            Ok(added)
        })
    }

    /// Every exchange rate, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rates(&self) -> Result<Vec<Rate>, StoreError> {
        self.run(|connection| {
            let mut query = connection
                .prepare("select date, base, quote, rate, source from rate order by date")?;
            let rows = query.query_map([], |row| {
                let (base, quote): (String, String) = (row.get(1)?, row.get(2)?);
                let (Some(base), Some(quote)) = (amount::currency(&base), amount::currency(&quote))
                else {
                    return Ok(None);
                };
                let (rate, source) = (row.get(3)?, row.get(4)?);
                Ok(Some(Rate { date: parsed(row, 0)?, base, quote, rate, source }))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    /// Adds electricity tariffs; a tariff that was corrected since replaces its earlier figure.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn record_tariffs(&mut self, all: &[Tariff], now: Timestamp) -> Result<usize, StoreError> {
        self.change(|transaction| {
            for one in all {
                transaction.execute(
                    "insert or replace into tariff \
                     (region, municipality, year, category, operator, per_kwh, taken) \
                     values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        one.region,
                        one.municipality,
                        one.year,
                        one.category,
                        one.operator,
                        one.per_kwh,
                        written(now)
                    ],
                )?;
            }
            Ok(all.len())
        })
    }

    /// Electricity tariffs of a municipality, newest year first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tariffs(&self, municipality: u32) -> Result<Vec<Tariff>, StoreError> {
        self.run(|connection| {
            let mut query = connection.prepare(
                "select region, municipality, year, category, operator, per_kwh from tariff \
                 where municipality = ?1 order by year desc, category, operator",
            )?;
            let rows = query.query_map([municipality], |row| {
                Ok(Tariff {
                    region: row.get(0)?,
                    municipality: row.get(1)?,
                    year: row.get(2)?,
                    category: row.get(3)?,
                    operator: row.get(4)?,
                    per_kwh: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }
}
