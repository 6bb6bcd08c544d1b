//! Classes of machines by memory, as buyers name them: "a 24 GB card", "128 GB unified".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::source::{Note, Sources};

/// One class: `catalog/tier/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Machines that stand for the class, as one would name them to `estimate`. A model belongs to
    /// the class when it runs on all of them.
    pub machines: Vec<String>,
    /// Models that people ask about for this class: shown with what comes of them whatever their rank.
    #[serde(default)]
    pub models: Vec<Id>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}
