//! Price observations: what somebody asked for something on some day.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::{Date, PartialDate};
use crate::id::Id;
use crate::money::{Currency, Money};
use crate::shop::Vat;

/// One row of `catalog/price/<region>/<year-month>.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// What was priced: a catalog id.
    pub item: Id,
    /// The variant of a system: its `key`.
    pub variant: Option<String>,
    /// The product as the source names it.
    pub product: String,
    /// The amount, or the lower end of a quoted range.
    pub amount: f64,
    /// The upper end of a quoted range.
    pub amount_high: Option<f64>,
    /// Currency of the amount.
    pub currency: Currency,
    /// New or used.
    pub condition: Condition,
    /// What kind of figure it is.
    pub kind: PriceKind,
    /// What tax the amount contains.
    pub vat: Vat,
    /// Who asked it: short id under `shop/`.
    pub shop: String,
    /// When it was seen, as precisely as the source says.
    pub date: PartialDate,
    /// The day by which it had been seen for certain: when the source itself was read.
    pub read: Date,
    /// The product's page.
    pub link: Option<String>,
    /// Key into `catalog/price/source.toml`.
    pub source: String,
    /// Remark.
    pub note: Option<String>,
}

impl PriceRow {
    /// The amount, or the lower end of the range.
    pub fn money(&self) -> Money {
        Money::of(self.amount, self.currency)
    }

    /// Whether the observation had certainly been made by `day`.
    ///
    /// A row dated `2026-02` counts from the last day of February, or from the day its source was
    /// read if that was earlier: an answer as of a date must not look into its future.
    pub fn known_by(&self, day: Date) -> bool {
        self.date.latest().min(self.read) <= day
    }

    /// Its greatest possible age in days on `day`.
    pub fn age_days(&self, day: Date) -> i32 {
        day.days_since(self.date.earliest())
    }
}

/// A price observation with the region of its file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Observation {
    /// Short id under `region/`.
    pub region: String,
    /// The row.
    #[serde(flatten)]
    pub row: PriceRow,
}

/// The number of a toppreise.ch product page or collection in a link: `p833823`, `s82250`.
pub fn page_number(link: &str) -> Option<String> {
    if !link.contains("toppreise.ch/") {
        return None;
    }
    let path = link.split(['?', '#']).next()?.trim_end_matches('/');
    let last = path.rsplit('-').next()?;
    let (kind, digits) = last.split_at_checked(1)?;
    let numbered = matches!(kind, "p" | "s")
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then(|| last.to_owned())
}

/// New or used.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// New, with the maker's warranty.
    New,
    /// Refurbished, with a seller's warranty.
    Refurbished,
    /// An average over new and used listings.
    Mixed,
    /// Used.
    Used,
    /// Modified or imported outside the maker's channels.
    Grey,
}

impl Condition {
    /// The word used in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Refurbished => "refurbished",
            Self::Mixed => "new or used",
            Self::Used => "used",
            Self::Grey => "grey market",
        }
    }
}

/// What kind of figure a price is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PriceKind {
    /// Somebody offered it at this price.
    Offer,
    /// An average or median over offers or sales.
    Market,
    /// The maker's list price; street prices differ.
    List,
    /// A rounded figure of an article or study.
    Estimate,
    /// The source says only that it cost more.
    LowerBound,
    /// The source says only that it cost up to this.
    UpperBound,
    /// Asked once, but not to be had at that price by then: sold out, or out of date when its source
    /// wrote it down.
    Gone,
    /// The sum of a whole configuration, as a source adds it up.
    Total,
}

impl PriceKind {
    /// The words used in answers.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Market => "market average",
            Self::List => "list price",
            Self::Estimate => "rounded figure",
            Self::LowerBound => "more than this",
            Self::UpperBound => "up to this",
            Self::Gone => "not to be had",
            Self::Total => "whole build",
        }
    }
}

/// A row that cannot be used, kept with the reason: `catalog/price/unusable.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnusableRow {
    /// The product as the source names it.
    pub product: String,
    /// The amount.
    pub amount: f64,
    /// Currency of the amount.
    pub currency: Currency,
    /// Who asked it, in the source's words.
    pub seller: String,
    /// When, in the source's words.
    pub date: String,
    /// Key into `catalog/price/source.toml`.
    pub source: String,
    /// Why it cannot be used.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(date: &str, read: &str) -> PriceRow {
        PriceRow {
            item: Id::new("gpu/x/y"),
            variant: None,
            product: String::new(),
            amount: 1.0,
            amount_high: None,
            currency: Currency::Chf,
            condition: Condition::New,
            kind: PriceKind::Offer,
            vat: Vat::Included,
            shop: String::new(),
            date: date.parse().unwrap(),
            read: read.parse().unwrap(),
            link: None,
            source: String::new(),
            note: None,
        }
    }

    #[test]
    fn a_price_of_some_day_in_a_month_is_known_only_when_the_month_is_over() {
        let february = row("2026-02", "2026-11-20");
        let on = |day: &str| february.known_by(day.parse().unwrap());
        assert_eq!([on("2026-02-17"), on("2026-02-27"), on("2026-02-28")], [false, false, true]);
    }

    #[test]
    fn a_price_of_some_day_in_a_year_is_known_when_its_source_was_read() {
        let this_year = row("2026", "2026-11-20");
        let on = |day: &str| this_year.known_by(day.parse().unwrap());
        assert_eq!([on("2026-11-19"), on("2026-11-20")], [false, true]);
        assert_eq!(this_year.age_days("2026-11-20".parse().unwrap()), 323);
    }

    #[test]
    fn a_product_page_is_known_by_its_number() {
        let number = |link: &str| page_number(link);
        assert_eq!(
            number(
                "https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823?x=1#y"
            ),
            Some("p833823".to_owned())
        );
        assert_eq!(
            number("https://www.toppreise.ch/productcollection/GeForce_RTX_5090-pc-s82250"),
            Some("s82250".to_owned())
        );
        assert_eq!(number("https://www.digitec.ch/en/s1/product/x-p123"), None);
        assert_eq!(number("https://www.toppreise.ch/"), None);
    }
}
