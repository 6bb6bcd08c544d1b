//! What tokens and cards cost when somebody else owns the machine, and what owning one is assumed
//! to be like.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::id::Id;
use crate::source::Sources;

/// Prices of a model at a provider: a row of `catalog/price/api.csv`. Amounts are US dollars
/// without tax per million tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiPriceRow {
    /// The provider.
    pub provider: String,
    /// The model as the provider calls it.
    pub model: String,
    /// The model on Hugging Face; absent for closed models.
    pub hf_id: Option<String>,
    /// Tokens sent.
    pub input_usd_per_m: f64,
    /// Tokens answered.
    pub output_usd_per_m: f64,
    /// Tokens sent before and still cached.
    pub cached_input_usd_per_m: Option<f64>,
    /// Whether the weights can be had.
    pub open_weights: bool,
    /// When the price was read.
    pub date: PartialDate,
    /// Where.
    pub url: String,
    /// Remark.
    pub note: Option<String>,
}

/// Which machine a total of somebody's build guide is about: a row of `catalog/price/total.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TotalRow {
    /// The item of the price rows: `build/2x-5090`.
    pub build: Id,
    /// The machine, written as in keys of configurations: `2x gpu/nvidia/rtx-5090`.
    pub machine: String,
    /// Its platform, where the guide is about one.
    pub platform: Option<String>,
}

/// Rent of an accelerator: a row of `catalog/price/cloud.csv`. Amounts are US dollars without tax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudRow {
    /// The provider.
    pub provider: String,
    /// What of it.
    pub tier: String,
    /// The accelerator as the provider calls it.
    pub gpu: String,
    /// The same in the catalog, where that is certain.
    pub item: Option<Id>,
    /// For one accelerator and hour.
    pub usd_per_gpu_hour: f64,
    /// `on-demand`, `spot`, `reserved`.
    pub commitment: Option<String>,
    /// When the price was read.
    pub date: PartialDate,
    /// Where.
    pub url: String,
    /// Remark.
    pub note: Option<String>,
}

/// What owning a machine is assumed to be like: `catalog/price/ownership.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Years it is kept.
    pub years: f64,
    /// Hours a day under load: little, middling, much.
    pub load_hours_per_day: [f64; 3],
    /// Share of its price it is sold for then: least and most.
    pub resale_share: [f64; 2],
    /// One step of a coding agent.
    pub agent_step: AgentStep,
    /// Who says so.
    pub sources: Sources,
}

/// One step of a coding agent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentStep {
    /// Tokens of context.
    pub input_tokens: f64,
    /// Share of them that the step before had already sent.
    pub cached_share: f64,
    /// Tokens answered.
    pub output_tokens: f64,
}
