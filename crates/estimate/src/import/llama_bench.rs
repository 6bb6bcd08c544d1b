//! llama-bench: one test a row, speed of the kernels alone.

use std::collections::BTreeMap;

use localrig_facts::measured::{Phase, SpeedRow};
use serde_json::{Map, Value};

use super::{number, text};

/// Tests of `llama-bench -o json`.
pub(super) fn json(report: &Value) -> Vec<SpeedRow> {
    report.as_array().into_iter().flatten().filter_map(row).collect()
}

/// Tests of `llama-bench -o csv`: the same names as columns.
pub(super) fn csv(report: &str) -> Result<Vec<SpeedRow>, csv::Error> {
    let mut reader = csv::Reader::from_reader(report.as_bytes());
    let tests = reader.deserialize::<BTreeMap<String, String>>();
    let rows = tests.map(|test| {
        let cells: Map<String, Value> =
            test?.into_iter().map(|(key, cell)| (key, Value::String(cell))).collect();
        Ok(row(&Value::Object(cells)))
    });
    Ok(rows.collect::<Result<Vec<_>, csv::Error>>()?.into_iter().flatten().collect())
}

/// One test: `avg_ts` tokens per second of `n_prompt` or `n_gen` tokens after `n_depth`. Tests of
/// both at once mix two speeds and are left out.
fn row(test: &Value) -> Option<SpeedRow> {
    let count = |key| number(test, &[key]).unwrap_or(0.0);
    let (prompt, generated) = (count("n_prompt"), count("n_gen"));
    let phase = match (prompt > 0.0, generated > 0.0) {
        (true, false) => Phase::Prefill,
        (false, true) => Phase::Decode,
        _ => return None,
    };
    let speed = number(test, &["avg_ts"])?;
    let file = text(test, &["model_filename"]);
    let stem = file.rsplit(['/', '\\']).next().unwrap_or_default().trim_end_matches(".gguf");
    let (model, quant) = split_stem(stem);
    let bytes = number(test, &["model_size"]);
    let basis = if phase == Phase::Prefill { "prefill_timer" } else { "decode_only" };
    let backend = text(test, &["backends"]).to_lowercase();
    Some(SpeedRow {
        hardware_id: text(test, &["gpu_info"])
            .split(',')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned(),
        engine: "llama.cpp".to_owned(),
        engine_version: text(test, &["build_commit"]),
        backend: backend.split(',').next().unwrap_or_default().to_owned(),
        model_id: model.to_owned(),
        quant: quant.to_owned(),
        weights_gib: bytes.map(|bytes| bytes / 1_073_741_824.0),
        phase,
        prompt_tokens: Some(prompt),
        depth: Some(count("n_depth")),
        gen_tokens: Some(generated),
        concurrency: Some(1.0),
        tok_s_total: Some(speed),
        tok_s_per_stream: Some(speed),
        kv_type: text(test, &["type_k"]),
        n_ubatch: number(test, &["n_ubatch"]),
        date: text(test, &["test_time"]).chars().take(10).collect(),
        total_basis: basis.to_owned(),
        stream_basis: "total/C".to_owned(),
        model_raw: text(test, &["model_type"]),
        ..SpeedRow::default()
    })
}

/// `Qwen3-8B-Q4_K_M` as model and format: quantizers put the format last, after `-` or `.`.
fn split_stem(stem: &str) -> (&str, &str) {
    let is_format = |word: &str| {
        let upper = word.to_ascii_uppercase();
        ["Q", "IQ", "F16", "F32", "BF16", "MXFP4", "UD"].iter().any(|start| {
            upper.strip_prefix(start).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit() || c == '_')
            })
        })
    };
    let cuts = stem.char_indices().filter(|(_, c)| matches!(c, '-' | '.'));
    let words = cuts.map(|(at, _)| at);
    // `UD-Q4_K_XL` is one format: the first cut whose next word is one starts it.
    for at in words {
        let rest = &stem[at + 1..];
        let word = rest.split(['-', '.']).next().unwrap_or_default();
        let whole_quantity = word.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        if is_format(word) && (word.len() > 2 || whole_quantity || word == "UD") {
            return (&stem[..at], rest);
        }
    }
    (stem, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_cut_where_the_format_begins() {
        assert_eq!(split_stem("Qwen3-8B-Q4_K_M"), ("Qwen3-8B", "Q4_K_M"));
        assert_eq!(split_stem("gemma-3-12b-it-UD-Q4_K_XL"), ("gemma-3-12b-it", "UD-Q4_K_XL"));
        assert_eq!(
            split_stem("Llama-3.1-8B-Instruct.IQ2_XXS"),
            ("Llama-3.1-8B-Instruct", "IQ2_XXS")
        );
        assert_eq!(split_stem("model"), ("model", ""));
    }
}
