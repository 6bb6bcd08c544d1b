//! Parts of a PC build with the attributes that decide whether they fit together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gpu::Connector;
use crate::source::{Note, Sources};
use crate::unit::{Decibels, Gib, Millimetres, Watts};

/// A processor: `catalog/cpu/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Socket: `AM5`, `sTR5`, `LGA1851`, `SP5`.
    pub socket: String,
    /// Platform, which decides memory type and lanes within one socket: `AM5`, `TRX50`, `WRX90`.
    pub platform: String,
    /// Cores.
    pub cores: u32,
    /// Threads.
    pub threads: u32,
    /// Rated power.
    pub tdp_w: Watts,
    /// Sustained package power limit.
    pub ppt_w: Option<Watts>,
    /// PCIe 5.0 lanes it offers.
    pub pcie5_lanes: Option<u32>,
    /// Memory channels.
    pub memory_channels: u32,
    /// Most memory it takes.
    pub memory_max_gib: Option<Gib>,
    /// Memory it takes, where narrower than the board's: `DDR5 RDIMM`.
    pub memory_type: Option<String>,
    /// Whether it supports ECC memory.
    pub ecc: Option<bool>,
    /// Whether it has graphics of its own, so that a headless machine can still be looked at.
    pub igpu: Option<bool>,
    /// How many cards it reasonably feeds; a judgement from lanes.
    #[serde(default)]
    pub suits_gpus: Vec<u32>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// A motherboard: `catalog/board/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Motherboard {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Socket.
    pub socket: String,
    /// Chipset.
    pub chipset: String,
    /// Platforms of processors that it takes, where its socket carries several. Empty = all of the
    /// socket.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Size standard: `ATX`, `EATX`, `SSI CEB`, `EEB`.
    pub form_factor: Option<String>,
    /// Memory it takes: `DDR5 UDIMM`, `DDR5 RDIMM`.
    pub memory_type: String,
    /// Memory slots.
    pub memory_slots: Option<u32>,
    /// Most memory it takes.
    pub memory_max_gib: Option<Gib>,
    /// Expansion slots from the top, those that take a card.
    #[serde(default, rename = "slot")]
    pub slots: Vec<Slot>,
    /// Where each of `slots` is, in slot pitches from the first, which is 1. Empty = not known.
    #[serde(default)]
    pub slot_positions: Vec<u32>,
    /// M.2 sockets.
    pub m2_slots: Option<u32>,
    /// Whether it has a management controller for headless use.
    pub bmc: Option<bool>,
    /// How many cards it reasonably carries; a judgement from slots and lanes.
    #[serde(default)]
    pub suits_gpus: Vec<u32>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// An expansion slot of a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// PCIe generation.
    pub pcie_gen: f64,
    /// Lanes wired to it when it is used alone. Absent = not known.
    pub lanes: Option<u32>,
    /// Lanes left when the other long slot it shares with is used too.
    pub lanes_shared: Option<u32>,
    /// Slots of this kind in a row.
    #[serde(default = "one")]
    pub count: u32,
}

const fn one() -> u32 {
    1
}

/// A memory kit: `catalog/memory/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part number. Absent = any kit of this description.
    pub part_number: Option<String>,
    /// Technology with module kind: `DDR5 UDIMM`, `DDR5 RDIMM`, `DDR4 RDIMM`.
    pub memory_type: String,
    /// Capacity of the kit.
    pub capacity_gib: Gib,
    /// Modules in the kit.
    pub modules: u32,
    /// Rated speed.
    pub speed_mt_per_s: Option<u32>,
    /// CAS latency.
    pub cas_latency: Option<u32>,
    /// Platforms it is listed for.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// A power supply: `catalog/psu/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Psu {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Rated output.
    pub output_w: Watts,
    /// Efficiency certificate.
    pub efficiency: Option<String>,
    /// Size standard.
    pub form_factor: Option<String>,
    /// Length.
    pub length_mm: Option<Millimetres>,
    /// ATX version: 3.0 and later promise to ride out card transients.
    pub atx_version: Option<String>,
    /// Plugs for cards and CPU. Absent plug type = not known, not none.
    #[serde(default)]
    pub connectors: Vec<Connector>,
    /// Whether the fan stops at low load.
    pub semi_fanless: Option<bool>,
    /// How many cards it reasonably feeds; a judgement from rating and plugs.
    #[serde(default)]
    pub suits_gpus: Vec<u32>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// A case: `catalog/case/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Expansion slots.
    pub expansion_slots: u32,
    /// Longest card.
    pub max_gpu_length_mm: Option<Millimetres>,
    /// Tallest CPU cooler.
    pub max_cooler_height_mm: Option<Millimetres>,
    /// Outer dimensions.
    pub dimensions_mm: Option<[Millimetres; 3]>,
    /// Volume.
    pub volume_l: Option<f64>,
    /// Board sizes it is listed for.
    #[serde(default)]
    pub boards: Vec<String>,
    /// Side panel.
    pub side_panel: Option<String>,
    /// Whether it has sound-damping mats.
    pub sound_damped: Option<bool>,
    /// How many cards it reasonably carries; a judgement from slots and airflow.
    #[serde(default)]
    pub suits_gpus: Vec<u32>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// A CPU cooler: `catalog/cooler/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cooler {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Sockets it mounts on.
    pub sockets: Vec<String>,
    /// Whether it is a liquid cooler.
    pub liquid: bool,
    /// Height of an air cooler.
    pub height_mm: Option<Millimetres>,
    /// Radiator length of a liquid cooler.
    pub radiator_mm: Option<Millimetres>,
    /// Heat it is rated for.
    pub rated_w: Option<Watts>,
    /// Lowest level the maker states.
    pub noise_min_dba: Option<Decibels>,
    /// Highest level the maker states.
    pub noise_max_dba: Option<Decibels>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// An SSD: `catalog/storage/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Capacity, decimal as drives are sold.
    pub capacity_gb: f64,
    /// Form factor: `M.2-2280`.
    pub form_factor: Option<String>,
    /// Interface: `M.2 PCIe 4.0 x4`.
    pub interface: Option<String>,
    /// Sequential read rate.
    pub read_mb_per_s: Option<f64>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// A cable that joins two machines: `catalog/cable/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cable {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Makers' part numbers of what is sold under that name.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Plug at both ends: `QSFP112`.
    pub plug: String,
    /// Length.
    pub length_mm: Option<Millimetres>,
    /// What it carries at most, in one direction.
    pub gbit_per_s: Option<f64>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// A network switch that joins machines: `catalog/switch/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Ports that two machines share by a splitter.
    pub split_ports: u32,
    /// Most that it draws.
    pub max_w: Option<Watts>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// A workstation or server a vendor sells as a base for cards: `catalog/prebuilt/<vendor>/*.toml`.
///
/// Kept for prices and for vendor comparisons; without cards in it, it is no machine to rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prebuilt {
    /// Product name.
    pub name: String,
    /// Other spellings; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Shop that sells it: short id under `shop/`.
    pub shop: String,
    /// What the base price includes, or what this adds to a base.
    pub includes: String,
    /// Most cards it is offered with.
    pub cards_max: Option<u32>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}
