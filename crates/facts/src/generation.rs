//! Chip generations: what all accelerators of one generation have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Note, Sources};

/// A chip generation: `catalog/generation/*.toml`.
///
/// The ratios hold for every card of the generation that is not cut down by firmware, so the
/// matrix rate of a card whose data sheet only lists FP32 can be derived instead of left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Name.
    pub name: String,
    /// Maker.
    pub vendor: String,
    /// Number formats the matrix units compute in: `fp16`, `bf16`, `int8`, `fp8`, `fp4`.
    #[serde(default)]
    pub matrix_formats: Vec<String>,
    /// INT8 matrix rate for one unit of FP32 shader rate, dense.
    pub int8_per_fp32: Option<f64>,
    /// FP16 matrix rate with FP16 accumulation for one unit of FP32 shader rate, dense.
    pub fp16_acc16_per_fp32: Option<f64>,
    /// FP16 matrix rate with FP32 accumulation for one unit of FP32 shader rate, dense, on
    /// consumer cards.
    pub fp16_per_fp32: Option<f64>,
    /// The same on workstation and datacentre cards, where it differs.
    pub fp16_per_fp32_professional: Option<f64>,
    /// Folder of the research repository for machines with it; absent = the maker's own.
    pub platform: Option<String>,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}
