//! Regions: currency, taxes, import, electricity, sockets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::money::Currency;
use crate::source::{Note, Sources};
use crate::unit::Watts;

/// A region one buys in or from: `catalog/region/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Name.
    pub name: String,
    /// Currency of its shops.
    pub currency: Currency,
    /// Standard rate of VAT or sales tax in percent. Absent = differs within the region.
    pub vat_percent: Option<f64>,
    /// First day of that rate.
    pub vat_since: Option<PartialDate>,
    /// What bringing goods in costs.
    pub import: Option<Import>,
    /// Household electricity prices by year.
    #[serde(default, rename = "electricity")]
    pub electricity: Vec<Electricity>,
    /// Wall sockets.
    #[serde(default, rename = "socket")]
    pub sockets: Vec<Socket>,
    /// Power supplies rated for more than this have a C19 inlet, which takes another cord than the
    /// usual C13. Absent = not known.
    pub c19_above_w: Option<Watts>,
    /// Years of legal warranty on new goods.
    pub warranty_years: Option<f64>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// What bringing goods into a region costs, in its currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Customs duty on computer hardware in percent.
    pub duty_percent: f64,
    /// No VAT is collected when the tax itself is at most this.
    pub tax_free_up_to: f64,
    /// Carrier's clearance fee, lowest and highest seen.
    pub clearance: [f64; 2],
    /// Freight by kind of goods and origin.
    #[serde(rename = "freight")]
    pub freight: Vec<Freight>,
}

/// Freight of one shipment into the region, in its currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freight {
    /// Region of origin: short id.
    pub from: String,
    /// Lowest and highest assumed.
    pub cost: [f64; 2],
}

/// A household electricity price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Electricity {
    /// Year it holds for.
    pub year: i16,
    /// Median household price per kWh in the region's currency.
    pub per_kwh: f64,
    /// What kind of household, and whether tax is in it.
    pub basis: String,
}

/// A wall socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// Standard type: `T13`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Rated current.
    pub amperes: f64,
    /// Most power it may deliver.
    pub max_w: Watts,
    /// Share of that for hours on end, by rule of thumb.
    pub continuous_share: f64,
    /// Whether it is the normal socket of a home.
    pub household: bool,
}
