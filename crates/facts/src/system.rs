//! Machines bought whole: Mac Studio, GB10 boxes, Strix Halo boxes, developer kits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::gpu::Status;
use crate::id::Id;
use crate::noise::Noise;
use crate::source::{Note, Sources};
use crate::unit::{Gib, Millimetres, Watts};

/// One machine: `catalog/system/<vendor>/<short>.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Product name with vendor.
    pub name: String,
    /// Who sells it.
    pub vendor: String,
    /// Other spellings people use; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The accelerator inside.
    pub accelerator: Id,
    /// How many of them, each with its own memory.
    #[serde(default = "one")]
    pub accelerator_count: u32,
    /// Where it can be had.
    pub status: Vec<Status>,
    /// First day of sale.
    pub released: Option<PartialDate>,
    /// Its shape.
    pub form: Form,
    /// Configurations it is ordered in.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
    /// Power.
    #[serde(default)]
    pub power: SystemPower,
    /// Noise.
    pub noise: Option<Noise>,
    /// Network ports that matter for serving or clustering.
    pub network: Option<String>,
    /// Running several of them as one.
    pub cluster: Option<Cluster>,
    /// Width, depth and height in any order the maker gives.
    pub dimensions_mm: Option<Vec<Millimetres>>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

const fn one() -> u32 {
    1
}

/// Shape of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Palm-sized to shoebox-sized desktop box.
    Mini,
    /// Tower or workstation.
    Tower,
    /// Rack-mounted.
    Rack,
    /// Laptop.
    Laptop,
    /// Developer board.
    DeveloperKit,
}

impl Form {
    /// The word used in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mini => "mini",
            Self::Tower => "tower",
            Self::Rack => "rack",
            Self::Laptop => "laptop",
            Self::DeveloperKit => "developer kit",
        }
    }
}

/// A configuration one can order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Short name, unique in the file: `256gb`, `128gb-4tb`.
    pub key: String,
    /// Memory of the whole machine.
    pub memory_gib: Gib,
    /// SSD size.
    pub storage_tb: Option<f64>,
    /// The accelerator of this variant, where it is a cut-down bin of the machine's.
    pub accelerator: Option<Id>,
    /// Where this variant can be had, if it differs from the machine.
    pub status: Option<Vec<Status>>,
    /// Last day it was sold new.
    pub withdrawn: Option<PartialDate>,
    /// First day of sale, if later than the machine's.
    pub released: Option<PartialDate>,
}

/// Power of a machine, at the wall.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemPower {
    /// Maker's maximum rating.
    pub max_w: Option<Watts>,
    /// What the supply can deliver.
    pub supply_w: Option<Watts>,
    /// Lowest and highest wall power measured while generating.
    pub measured_load_w: Option<[Watts; 2]>,
    /// Lowest and highest wall power measured at rest.
    pub measured_idle_w: Option<[Watts; 2]>,
}

/// Several machines run as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Most units a published guide covers.
    pub max_units: u32,
    /// The link, in words; its bandwidth is a fact of the chip (`link.boxes`).
    pub link: String,
    /// The cable that joins two units. Two take one; three make a ring, with one between every two; on
    /// a switch every unit has its own.
    pub cable: Option<Id>,
    /// Most units that cables alone join: more need the switch. Absent: all of them.
    pub direct_units: Option<u32>,
    /// The switch.
    pub switch: Option<Id>,
    /// The cable that makes one port of the switch two, each for a unit's own cable.
    pub splitter: Option<Id>,
}
