//! Load testers of servers: `vllm bench serve`, AIPerf, GuideLLM. All report generated tokens over
//! wall time, prompts' prefill included, and the gap between tokens.

use localrig_facts::measured::{Phase, SpeedRow};
use serde_json::Value;

use super::{number, text};

/// What the tools report, in one set of words.
#[derive(Default)]
struct Run {
    model: String,
    engine: String,
    streams: Option<f64>,
    prompt: Option<f64>,
    generated: Option<f64>,
    /// Generated tokens per second, all streams.
    total: Option<f64>,
    /// Gap between tokens in milliseconds.
    gap_ms: Option<f64>,
}

impl Run {
    fn row(self) -> Option<SpeedRow> {
        let total = self.total.filter(|speed| *speed > 0.0)?;
        Some(SpeedRow {
            engine: self.engine,
            model_id: self.model,
            phase: Phase::Decode,
            prompt_tokens: self.prompt,
            depth: self.prompt,
            gen_tokens: self.generated,
            concurrency: self.streams,
            tok_s_total: Some(total),
            tok_s_per_stream: self.gap_ms.filter(|gap| *gap > 0.0).map(|gap| 1e3 / gap),
            total_basis: "wall_incl_prefill".to_owned(),
            stream_basis: "tpot".to_owned(),
            ..SpeedRow::default()
        })
    }
}

/// `vllm bench serve --save-result`.
pub(super) fn vllm(report: &Value) -> Vec<SpeedRow> {
    let get = |key| number(report, &[key]);
    let each = |key| Some(get(key)? / get("completed").filter(|count| *count > 0.0)?);
    let run = Run {
        model: text(report, &["model_id"]),
        engine: text(report, &["backend"]).split('-').next().unwrap_or_default().to_owned(),
        streams: get("max_concurrency").or_else(|| get("num_prompts")),
        prompt: each("total_input_tokens"),
        generated: each("total_output_tokens"),
        total: get("output_throughput"),
        gap_ms: get("median_tpot_ms").or_else(|| get("mean_tpot_ms")),
    };
    run.row().into_iter().collect()
}

/// AIPerf's aggregate: a metric is an object with `avg` and percentiles.
pub(super) fn aiperf(report: &Value) -> Vec<SpeedRow> {
    let get = |metric, statistic| number(report, &[metric, statistic]);
    let config = |path: &[&str]| report.get("input_config").and_then(|one| number(one, path));
    let models = report.pointer("/input_config/endpoint/model_names/0").and_then(Value::as_str);
    let run = Run {
        model: models.unwrap_or_default().to_owned(),
        engine: String::new(),
        streams: config(&["loadgen", "concurrency"]),
        prompt: get("input_sequence_length", "avg"),
        generated: get("output_sequence_length", "avg"),
        total: get("output_token_throughput", "avg"),
        gap_ms: get("inter_token_latency", "p50").or_else(|| get("inter_token_latency", "avg")),
    };
    run.row().into_iter().collect()
}

/// GuideLLM: one row for each benchmark of a sweep.
pub(super) fn guidellm(report: &Value) -> Vec<SpeedRow> {
    let benchmarks = report.get("benchmarks").and_then(Value::as_array);
    let row = |one: &Value| {
        let get = |metric, statistic| number(one, &["metrics", metric, "successful", statistic]);
        let model = ["/args/backend/model", "/worker/backend_model", "/config/backend/model"];
        let found = model.iter().find_map(|path| one.pointer(path).and_then(Value::as_str));
        Run {
            model: found.unwrap_or_default().to_owned(),
            engine: String::new(),
            streams: get("request_concurrency", "mean").map(|count| count.round().max(1.0)),
            prompt: get("prompt_token_count", "mean"),
            generated: get("output_token_count", "mean"),
            total: get("output_tokens_per_second", "mean"),
            gap_ms: get("inter_token_latency_ms", "median"),
        }
        .row()
    };
    benchmarks.into_iter().flatten().filter_map(row).collect()
}
