//! Money as exact minor units of one currency. Sums across currencies need a dated rate.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::Date;

/// A currency the catalog has prices in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Swiss franc.
    Chf,
    /// Euro.
    Eur,
    /// Pound sterling.
    Gbp,
    /// Polish złoty.
    Pln,
    /// US dollar.
    Usd,
}

impl Currency {
    /// The ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Chf => "CHF",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Pln => "PLN",
            Self::Usd => "USD",
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// An amount in hundredths of its currency; in JSON `{"amount": 462.41, "currency": "CHF"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Money {
    /// Hundredths of the currency unit.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Money as it stands in JSON.
#[derive(Serialize, Deserialize)]
struct Written {
    amount: f64,
    currency: Currency,
}

impl From<Money> for Written {
    fn from(money: Money) -> Self {
        Self { amount: money.amount(), currency: money.currency }
    }
}

impl From<Written> for Money {
    fn from(written: Written) -> Self {
        Self::of(written.amount, written.currency)
    }
}

impl Money {
    /// No money.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// An amount in whole units and fractions of them, rounded to the nearest hundredth.
    pub fn of(amount: f64, currency: Currency) -> Self {
        Self { minor: (amount * 100.0).round() as i64, currency }
    }

    /// The amount in units of the currency.
    pub fn amount(self) -> f64 {
        self.minor as f64 / 100.0
    }

    /// The amount without cents, for figures that are no better than that.
    #[must_use]
    pub const fn whole(self) -> Self {
        let half = if self.minor < 0 { -50 } else { 50 };
        Self { minor: (self.minor + half) / 100 * 100, currency: self.currency }
    }

    /// The amount times a dimensionless factor, rounded to the nearest hundredth.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { minor: (self.minor as f64 * factor).round() as i64, ..self }
    }

    /// The amount times a count.
    #[must_use]
    pub const fn times(self, count: u32) -> Self {
        Self { minor: self.minor * count as i64, currency: self.currency }
    }
}

impl fmt::Display for Money {
    /// `CHF 7,691` or `CHF 462.41`: separators for thousands, cents only when there are some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = (self.minor / 100).unsigned_abs().to_string();
        let mut grouped = String::new();
        for (place, digit) in units.chars().enumerate() {
            if place > 0 && (units.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let sign = if self.minor < 0 { "-" } else { "" };
        let cents = (self.minor % 100).abs();
        let text = if cents == 0 {
            format!("{} {sign}{grouped}", self.currency)
        } else {
            format!("{} {sign}{grouped}.{cents:02}", self.currency)
        };
        f.pad(&text)
    }
}

impl Add for Money {
    type Output = Self;

    /// # Panics
    /// When the currencies differ: convert first, with a dated [`Rate`].
    fn add(self, other: Self) -> Self {
        assert_eq!(self.currency, other.currency, "a sum across currencies needs a dated rate");
        Self { minor: self.minor + other.minor, ..self }
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;

    /// # Panics
    /// When the currencies differ.
    fn sub(self, other: Self) -> Self {
        assert_eq!(self.currency, other.currency, "a difference across currencies needs a rate");
        Self { minor: self.minor - other.minor, ..self }
    }
}

/// A dated exchange rate: one unit of `base` buys `rate` units of `quote`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The day of the fixing.
    pub date: Date,
    /// What is sold.
    pub base: Currency,
    /// What is bought.
    pub quote: Currency,
    /// Units of `quote` for one unit of `base`.
    pub rate: f64,
    /// Key into the rate file's sources.
    pub source: String,
}

/// Units of `to` for one unit of `from` by the newest fixings up to a day, over one common currency
/// at most, and the older of their days; `None` where no fixing leads there.
pub fn exchange(rates: &[Rate], from: Currency, to: Currency, by: Date) -> Option<(f64, Date)> {
    /// What currencies are fixed against, the most usual first.
    const COMMON: [Currency; 4] = [Currency::Eur, Currency::Usd, Currency::Chf, Currency::Gbp];
    if from == to {
        return Some((1.0, by));
    }
    let direct = |base: Currency, quote: Currency| {
        let known = rates.iter().filter(|rate| rate.date <= by);
        let fixings = known.filter_map(|rate| {
            if (rate.base, rate.quote) == (base, quote) {
                Some((rate.rate, rate.date))
            } else if (rate.quote, rate.base) == (base, quote) {
                Some((1.0 / rate.rate, rate.date))
            } else {
                None
            }
        });
        fixings.max_by_key(|(_, date)| *date)
    };
    let over = |middle: Currency| {
        let (first, date) = direct(from, middle)?;
        let (second, other) = direct(middle, to)?;
        Some((first * second, date.min(other)))
    };
    direct(from, to).or_else(|| COMMON.into_iter().find_map(over))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_like_a_price_tag() {
        let tags = [
            Money::of(7691.0, Currency::Chf),
            Money::of(462.41, Currency::Chf),
            Money::of(-20.5, Currency::Eur),
            Money::of(999.999, Currency::Usd),
            Money::of(1_234_567.0, Currency::Gbp),
        ]
        .map(|money| money.to_string())
        .join(" · ");
        insta::assert_snapshot!(tags, @"CHF 7,691 · CHF 462.41 · EUR -20.50 · USD 1,000 · GBP 1,234,567");
    }

    #[test]
    fn rates_lead_there_and_back_and_over_one_common_currency() {
        let rate = |day: &str, base, quote, rate| {
            let (date, source) = (day.parse().unwrap(), String::new());
            Rate { date, base, quote, rate, source }
        };
        let rates = [
            rate("2026-07-09", Currency::Eur, Currency::Chf, 0.9),
            rate("2026-08-09", Currency::Eur, Currency::Chf, 0.8),
            rate("2026-09-18", Currency::Eur, Currency::Pln, 4.0),
        ];
        let on = |from, to, day: &str| {
            let (rate, date) = exchange(&rates, from, to, day.parse().unwrap())?;
            Some(format!("{rate:.3} of {date}"))
        };
        let said = |found: Option<String>| found.unwrap_or_else(|| "none".to_owned());
        let all = [
            on(Currency::Chf, Currency::Chf, "2026-01-01"),
            on(Currency::Eur, Currency::Chf, "2026-08-08"),
            on(Currency::Eur, Currency::Chf, "2026-08-09"),
            on(Currency::Chf, Currency::Eur, "2026-11-01"),
            // The older day of the two counts.
            on(Currency::Pln, Currency::Chf, "2026-11-01"),
            on(Currency::Pln, Currency::Chf, "2026-09-17"),
            on(Currency::Gbp, Currency::Chf, "2026-11-01"),
        ];
        insta::assert_snapshot!(all.map(said).join("\n"), @"
        1.000 of 2026-01-01
        0.900 of 2026-07-09
        0.800 of 2026-08-09
        1.250 of 2026-08-09
        0.200 of 2026-08-09
        none
        none
        ");
    }

    #[test]
    #[should_panic(expected = "a sum across currencies needs a dated rate")]
    fn francs_and_euros_do_not_add_up() {
        let _ = Money::of(1.0, Currency::Chf) + Money::of(1.0, Currency::Eur);
    }
}
