//! Benchmark scores of models and the measured loss of quantization.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;

/// One row of `catalog/quality/score.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreRow {
    /// The model: its id without `model/`, or the name of a model that is not in the catalog.
    pub model: String,
    /// Benchmark with version, as labelled by whoever ran it.
    pub benchmark: String,
    /// The score, on the benchmark's own scale.
    pub score: f64,
    /// Scaffold, harness or setting: only rows with the same one compare.
    pub setting: Option<String>,
    /// Reasoning mode or effort.
    pub effort: Option<String>,
    /// Format the model was run in.
    pub format: Option<String>,
    /// `independent` or `vendor`.
    pub reported_by: Reporter,
    /// When.
    pub date: Option<PartialDate>,
    /// Where it is published.
    pub url: String,
}

/// Who reports a score.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Reporter {
    /// Somebody without an interest in the model.
    Independent,
    /// The maker of the model.
    Vendor,
}

/// One row of `catalog/quality/format_loss.csv`: what a format costs in quality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatLossRow {
    /// Format or KV cache type as the source labels it.
    pub format: String,
    /// Family: `gguf`, `kv-cache`, `nvfp4`, …
    pub family: String,
    /// Model it was measured on, as the source labels it.
    pub model: String,
    /// What was measured: `ppl`, `mean_kld`, `delta_ppl`, …
    pub metric: String,
    /// The value; absent where the source gives a finding in words only.
    pub value: Option<f64>,
    /// What it is compared with.
    pub baseline: Option<String>,
    /// Difference or remark of the source.
    pub remark: Option<String>,
    /// How it was measured.
    pub method: Option<String>,
    /// When.
    pub date: Option<PartialDate>,
    /// Where it is published.
    pub url: String,
}

/// Which benchmarks say something about which task: `catalog/quality/task.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tasks {
    /// The tasks.
    #[serde(rename = "task")]
    pub tasks: Vec<Task>,
}

/// A task and its benchmarks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Name, as requirements use it.
    pub name: String,
    /// Benchmarks by the beginning of their label; the first that fits counts.
    pub benchmarks: Vec<BenchmarkWeight>,
}

/// How much a benchmark says about a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkWeight {
    /// Beginning of the benchmark's label.
    pub prefix: String,
    /// 1 = the task itself, 0 = nothing.
    pub weight: f64,
}

impl Task {
    /// Weight of a benchmark, 0 when it says nothing about the task.
    pub fn weight(&self, benchmark: &str) -> f64 {
        self.benchmarks
            .iter()
            .find(|one| benchmark.starts_with(&one.prefix))
            .map_or(0.0, |one| one.weight)
    }
}
