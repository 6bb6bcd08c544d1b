//! The user's own measurements: reports of benchmark tools as rows.
//!
//! Reports rarely say on which hardware and with which format they were made; [`Given`] adds what
//! the user says. Parsing only: reading files is for `localrig_world`.

mod llama_bench;
mod serving;

use localrig_facts::measured::SpeedRow;
use serde_json::Value;

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is no CSV.
    #[error("not CSV: {0}")]
    Csv(#[from] csv::Error),
    /// It is JSON, but of no tool that is known.
    #[error("not a report of llama-bench, vllm bench serve, AIPerf or GuideLLM")]
    UnknownTool,
    /// The report lacks something that only the user can add.
    #[error("the report does not say the {what}: give it")]
    NotSaid {
        /// What is missing.
        what: &'static str,
    },
    /// No row in it holds a speed.
    #[error("no speed in the report")]
    Empty,
}

/// What the user says beside the report; empty = what the report says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// Hardware: a name or id.
    pub hardware: String,
    /// Devices.
    pub count: Option<f64>,
    /// Engine.
    pub engine: String,
    /// Accelerator stack: `cuda`, `metal`, …
    pub backend: String,
    /// Version of the engine.
    pub engine_version: String,
    /// Model: a name or id.
    pub model: String,
    /// Format (quantization).
    pub quant: String,
    /// Day of the measurement.
    pub date: String,
}

/// The tool that wrote a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `llama-bench -o json` or `-o csv`.
    LlamaBench,
    /// `vllm bench serve --save-result`.
    VllmBench,
    /// AIPerf: `profile_export_aiperf.json`.
    AiPerf,
    /// GuideLLM: `benchmarks.json`.
    GuideLlm,
}

/// The rows of a report, whatever tool wrote it.
///
/// # Errors
/// When the tool cannot be told, the report holds no speed, or something is missing that
/// [`Given`] does not add.
pub fn import(text: &str, given: &Given) -> Result<(Tool, Vec<SpeedRow>), ImportError> {
    let trimmed = text.trim_start();
    let (tool, rows) = if trimmed.starts_with(['{', '[']) {
        let report: Value = serde_json::from_str(trimmed)?;
        let tool = tool_of(&report).ok_or(ImportError::UnknownTool)?;
        let rows = match tool {
            Tool::LlamaBench => llama_bench::json(&report),
            Tool::VllmBench => serving::vllm(&report),
            Tool::AiPerf => serving::aiperf(&report),
            Tool::GuideLlm => serving::guidellm(&report),
        };
        (tool, rows)
    } else {
        (Tool::LlamaBench, llama_bench::csv(trimmed)?)
    };
    if rows.is_empty() {
        return Err(ImportError::Empty);
    }
    let rows = rows
        .into_iter()
        .enumerate()
        .map(|(index, row)| complete(row, index, given))
        .collect::<Result<_, _>>()?;
    Ok((tool, rows))
}

fn tool_of(report: &Value) -> Option<Tool> {
    let has = |key: &str| report.get(key).is_some();
    match report {
        Value::Array(tests) if tests.first()?.get("avg_ts").is_some() => Some(Tool::LlamaBench),
        Value::Object(_) if has("benchmarks") => Some(Tool::GuideLlm),
        Value::Object(_) if has("output_throughput") => Some(Tool::VllmBench),
        Value::Object(_) if has("output_token_throughput") => Some(Tool::AiPerf),
        _ => None,
    }
}

fn complete(mut row: SpeedRow, index: usize, given: &Given) -> Result<SpeedRow, ImportError> {
    let put = |into: &mut String, said: &str, what: &'static str| {
        if !said.is_empty() {
            said.clone_into(into);
        }
        if into.is_empty() { Err(ImportError::NotSaid { what }) } else { Ok(()) }
    };
    put(&mut row.hardware_id, &given.hardware, "hardware")?;
    put(&mut row.engine, &given.engine, "engine")?;
    put(&mut row.model_id, &given.model, "model")?;
    put(&mut row.quant, &given.quant, "format")?;
    // Optional ones stay empty where nobody says them.
    let _ = put(&mut row.backend, &given.backend, "backend");
    let _ = put(&mut row.engine_version, &given.engine_version, "version");
    let _ = put(&mut row.date, &given.date, "date");
    row.hardware_count = given.count.or(row.hardware_count);
    row.row_id = format!("own-{}", index + 1);
    "own".clone_into(&mut row.source);
    "A".clone_into(&mut row.tier);
    Ok(row)
}

/// A number at a path of keys.
fn number(value: &Value, path: &[&str]) -> Option<f64> {
    let at = path.iter().try_fold(value, |value, key| value.get(key))?;
    at.as_f64().or_else(|| at.as_str()?.parse().ok())
}

/// A text at a path of keys.
fn text(value: &Value, path: &[&str]) -> String {
    let at = path.iter().try_fold(value, |value, key| value.get(key));
    at.and_then(Value::as_str).unwrap_or_default().to_owned()
}
