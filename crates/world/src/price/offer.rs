//! What a price source gives, and what a price source is.

use jiff::Timestamp;
use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::shop::Vat;
use localrig_facts::{Currency, Id, PartialDate};
use serde::{Deserialize, Serialize};

use super::error::SourceError;

/// One price, as its source words it; not yet known to belong to anything in the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The product as the source names it.
    pub product: String,
    /// Maker's part number, where the source states one.
    pub part_number: Option<String>,
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
    /// Who asks it, as the source writes the name.
    pub shop: String,
    /// The day the source speaks of.
    pub date: PartialDate,
    /// The product's page.
    pub link: Option<String>,
    /// Remark: shipping, availability.
    pub note: Option<String>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The catalog item.
    pub item: Id,
    /// The variant of a system.
    pub variant: Option<String>,
    /// What to type into a search.
    pub query: String,
    /// Pages known to show exactly this item, newest first.
    pub pages: Vec<String>,
}

/// What a source answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Offers that could be read.
    pub offers: Vec<Offer>,
    /// What could not be read, one line each.
    pub remarks: Vec<String>,
}

/// Somewhere prices come from.
pub trait PriceSource {
    /// Key that rows carry: `toppreise-cli`.
    fn key(&self) -> &'static str;

    /// Short id of the region whose shops it lists.
    fn region(&self) -> &'static str;

    /// Offers for an item, as of `now`.
    ///
    /// # Errors
    /// When nothing usable came back; the reason says whether asking again later makes sense.
    fn offers(&mut self, wanted: &Wanted, now: Timestamp) -> Result<Answer, SourceError>;
}
