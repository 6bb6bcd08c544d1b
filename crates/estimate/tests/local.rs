//! The user's own measurements: read from the reports of tools, and used for their stack.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::borrow::Cow;

use localrig_estimate::accuracy::judge_rows;
use localrig_estimate::fit::local::own;
use localrig_estimate::import::{Given, ImportError, Tool, import};
use localrig_facts::Catalog;
use localrig_facts::catalog::File;
use localrig_facts::measured::{Phase, SpeedRow};

const LLAMA_BENCH: &str = r#"[
 {"build_commit": "d1be2d2", "build_number": 7941, "gpu_info": "NVIDIA GeForce RTX 5090", "backends": "CUDA",
  "model_filename": "/models/Qwen3-8B-Q4_K_M.gguf", "model_type": "qwen3 8B Q4_K - Medium", "model_size": 5022000000,
  "n_ubatch": 512, "type_k": "f16", "flash_attn": true, "n_prompt": 512, "n_gen": 0, "n_depth": 0,
  "test_time": "2026-11-02T10:00:00Z", "avg_ts": 13500.5},
 {"build_commit": "d1be2d2", "build_number": 7941, "gpu_info": "NVIDIA GeForce RTX 5090", "backends": "CUDA",
  "model_filename": "/models/Qwen3-8B-Q4_K_M.gguf", "model_type": "qwen3 8B Q4_K - Medium", "model_size": 5022000000,
  "n_ubatch": 512, "type_k": "f16", "flash_attn": true, "n_prompt": 0, "n_gen": 128, "n_depth": 4096,
  "test_time": "2026-11-02T10:00:00Z", "avg_ts": 190.25}]"#;

const LLAMA_BENCH_CSV: &str = "build_commit,gpu_info,backends,model_filename,model_size,n_ubatch,type_k,n_prompt,n_gen,n_depth,test_time,avg_ts\n\
\"d1be2d2\",\"NVIDIA GeForce RTX 5090\",\"CUDA\",\"Qwen3-8B-Q4_K_M.gguf\",\"5022000000\",\"512\",\"f16\",\"0\",\"128\",\"4096\",\"2026-11-02T10:00:00Z\",\"190.25\"\n";

const VLLM: &str = r#"{"date": "20261102", "backend": "vllm", "model_id": "Qwen/Qwen3-8B", "num_prompts": 64,
 "max_concurrency": 8, "duration": 60.0, "completed": 64, "total_input_tokens": 65536, "total_output_tokens": 16384,
 "output_throughput": 273.1, "median_tpot_ms": 25.0}"#;

const AIPERF: &str = r#"{"output_token_throughput": {"unit": "tokens/sec", "avg": 410.0},
 "inter_token_latency": {"unit": "ms", "avg": 21.0, "p50": 20.0}, "input_sequence_length": {"unit": "tokens", "avg": 2048.0},
 "output_sequence_length": {"unit": "tokens", "avg": 256.0},
 "input_config": {"endpoint": {"model_names": ["Qwen/Qwen3-8B"]}, "loadgen": {"concurrency": 16}}}"#;

const GUIDELLM: &str = r#"{"benchmarks": [{"args": {"backend": {"model": "Qwen/Qwen3-8B"}}, "metrics": {
 "request_concurrency": {"successful": {"mean": 3.97}}, "prompt_token_count": {"successful": {"mean": 512}},
 "output_token_count": {"successful": {"mean": 128}}, "output_tokens_per_second": {"successful": {"mean": 220.0}},
 "inter_token_latency_ms": {"successful": {"median": 16.0}}}}]}"#;

fn given() -> Given {
    Given {
        hardware: "rtx-5090".to_owned(),
        engine: "vllm".to_owned(),
        quant: "bf16".to_owned(),
        ..Given::default()
    }
}

fn brief(row: &SpeedRow) -> String {
    format!(
        "{} {} {} {} {} p{:?} d{:?} g{:?} c{:?} {:?}/{:?} {} {}",
        row.hardware_id,
        row.engine,
        row.model_id,
        row.quant,
        row.phase.word(),
        row.prompt_tokens.unwrap_or_default(),
        row.depth.unwrap_or_default(),
        row.gen_tokens.unwrap_or_default(),
        row.concurrency.unwrap_or_default(),
        row.tok_s_total.unwrap_or_default(),
        row.tok_s_per_stream.unwrap_or_default(),
        row.total_basis,
        row.stream_basis
    )
}

#[test]
fn reports_of_four_tools_become_rows() {
    let reports = [
        (LLAMA_BENCH, Given::default()),
        (LLAMA_BENCH_CSV, Given::default()),
        (VLLM, given()),
        (AIPERF, given()),
        (GUIDELLM, given()),
    ];
    let lines: String = reports
        .iter()
        .flat_map(|(text, given)| {
            let (tool, rows) = import(text, given).unwrap();
            rows.into_iter().map(move |row| format!("{tool:?}: {}\n", brief(&row)))
        })
        .collect();
    insta::assert_snapshot!(lines, @r"
    LlamaBench: NVIDIA GeForce RTX 5090 llama.cpp Qwen3-8B Q4_K_M prefill p512.0 d0.0 g0.0 c1.0 13500.5/13500.5 prefill_timer total/C
    LlamaBench: NVIDIA GeForce RTX 5090 llama.cpp Qwen3-8B Q4_K_M decode p0.0 d4096.0 g128.0 c1.0 190.25/190.25 decode_only total/C
    LlamaBench: NVIDIA GeForce RTX 5090 llama.cpp Qwen3-8B Q4_K_M decode p0.0 d4096.0 g128.0 c1.0 190.25/190.25 decode_only total/C
    VllmBench: rtx-5090 vllm Qwen/Qwen3-8B bf16 decode p1024.0 d1024.0 g256.0 c8.0 273.1/40.0 wall_incl_prefill tpot
    AiPerf: rtx-5090 vllm Qwen/Qwen3-8B bf16 decode p2048.0 d2048.0 g256.0 c16.0 410.0/50.0 wall_incl_prefill tpot
    GuideLlm: rtx-5090 vllm Qwen/Qwen3-8B bf16 decode p512.0 d512.0 g128.0 c4.0 220.0/62.5 wall_incl_prefill tpot
    ");
}

#[test]
fn what_a_report_does_not_say_is_asked_for() {
    let error = import(VLLM, &Given::default()).unwrap_err();
    assert_eq!(error.to_string(), "the report does not say the hardware: give it");
    assert!(matches!(import("{}", &Given::default()), Err(ImportError::UnknownTool)));
    assert!(matches!(import(LLAMA_BENCH, &Given::default()), Ok((Tool::LlamaBench, _))));
}

fn with_own(rows: &[SpeedRow]) -> Catalog {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (fitted, _) = own(&catalog, rows).unwrap();
    let path = "calibration/own.toml".to_owned();
    let text = Cow::Owned(toml::to_string(&fitted).unwrap());
    let files: Vec<(String, File)> =
        catalog.files().map(|(path, file)| (path.to_owned(), file.clone())).collect();
    Catalog::from_files(files.into_iter().chain([(path.clone(), File { text, path })]))
}

fn row(version: &str, model: &str, speed: f64) -> SpeedRow {
    SpeedRow {
        row_id: format!("{version} {model}"),
        hardware_id: "rtx-4090".to_owned(),
        engine: "llama.cpp".to_owned(),
        backend: "cuda".to_owned(),
        engine_version: version.to_owned(),
        model_id: model.to_owned(),
        quant: "q4_k_m".to_owned(),
        phase: Phase::Decode,
        gen_tokens: Some(128.0),
        tok_s_total: Some(speed),
        total_basis: "decode_only".to_owned(),
        ..SpeedRow::default()
    }
}

#[test]
fn own_measurements_pull_the_stack_towards_them_and_narrow_its_interval() {
    let published = localrig_world::catalog(&[]).unwrap();
    let asked = row("b7900", "qwen/qwen3-14b", 1.0);
    let predict = |catalog: &Catalog, row: &SpeedRow| {
        judge_rows(catalog, std::slice::from_ref(row)).unwrap().remove(0).outcome.unwrap()
    };
    let before = predict(&published, &asked);
    let known = predict(&published, &row("b7900", "qwen/qwen3-8b", 1.0));
    // The user's machine is a fifth slower than thought on one model.
    let measured = row("b7900", "qwen/qwen3-8b", known.total * 0.8);
    let one = predict(&with_own(std::slice::from_ref(&measured)), &asked);
    let change = one.total / before.total;
    assert!((0.8..0.93).contains(&change), "{change}");
    assert!(one.high / one.low < before.high / before.low);

    // Another device is none the wiser.
    let elsewhere = SpeedRow { hardware_id: "rtx-5080".to_owned(), ..asked.clone() };
    let same = predict(&with_own(std::slice::from_ref(&measured)), &elsewhere);
    assert!((same.total / predict(&published, &elsewhere).total - 1.0).abs() < 1e-9);
}

#[test]
fn measurements_with_much_older_builds_are_left_out() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let rows = [row("b5000", "qwen/qwen3-8b", 50.0), row("b7900", "qwen/qwen3-14b", 80.0)];
    let (fitted, left_out) = own(&catalog, &rows).unwrap();
    assert_eq!(fitted.rows, 1);
    assert_eq!(left_out[0].0, "b5000 qwen/qwen3-8b");
}
