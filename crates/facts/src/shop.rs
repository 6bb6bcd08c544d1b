//! Shops, vendors, and the price observers that are no shops.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Note, Sources};

/// Somebody who sells, or who reports what others charge: `catalog/shop/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// Name as people know it.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its site.
    pub url: Option<String>,
    /// Search address with `{query}` where the words go.
    pub search_url: Option<String>,
    /// ISO country code of the seller, lower case.
    pub country: Option<String>,
    /// What kind of seller it is; decides the risk of buying there.
    pub tier: Tier,
    /// Whether it delivers to Switzerland. Absent = not known.
    pub ships_to_ch: Option<bool>,
    /// What its prices contain.
    pub vat: Option<Vat>,
    /// Whether it invoices without its own country's VAT for export.
    pub exports_net: Option<bool>,
    /// Warranty in years on new goods.
    pub warranty_years: Option<f64>,
    /// What it sells that matters here.
    #[serde(default)]
    pub sells: Vec<String>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// What kind of seller a shop is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Swiss shop or a comparison of Swiss shops: local warranty and support.
    PrimarySwiss,
    /// Shop abroad.
    International,
    /// Refurbished goods with a warranty.
    Refurbished,
    /// Private sellers and unknown dealers: little recourse.
    Marketplace,
    /// No seller: a tracker, list or article that reports prices.
    Observer,
}

impl Tier {
    /// The words used in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PrimarySwiss => "Swiss shop",
            Self::International => "shop abroad",
            Self::Refurbished => "refurbisher",
            Self::Marketplace => "marketplace",
            Self::Observer => "price report",
        }
    }
}

/// What a price contains.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Vat {
    /// The VAT of the region of the price.
    Included,
    /// No tax yet.
    Excluded,
    /// No VAT is due: private sale.
    None,
}
