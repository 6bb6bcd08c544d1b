//! Platforms that were looked at and cannot be recommended, with the reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::id::Id;
use crate::source::{Note, Sources};
use crate::unit::{GbPerS, Gib};

/// One platform: `catalog/survey/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Name.
    pub name: String,
    /// Maker.
    pub vendor: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Class of hardware: `datacenter`, `workstation`, `unified`, `developer-card`, `edge`, …
    pub category: String,
    /// The accelerator's own entry, where the catalog has one.
    pub gpu: Option<Id>,
    /// Memory of one unit.
    pub memory_gib: Option<Gib>,
    /// Memory technology.
    pub memory_type: Option<String>,
    /// Memory bandwidth.
    pub bandwidth_gb_per_s: Option<GbPerS>,
    /// Lowest and highest price quoted in US dollars.
    pub price_usd: Option<[f64; 2]>,
    /// How one gets at it: `retail`, `cloud-only`, `enterprise`, `not-shipping`, …
    pub access: String,
    /// Why it is out, one code each.
    pub reasons: Vec<String>,
    /// Power figure that counts against it, lowest and highest.
    pub power_w: Option<[f64; 2]>,
    /// When this was found.
    pub as_of: PartialDate,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}
