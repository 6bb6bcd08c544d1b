//! The model speaks of what nobody measured: every model of the catalog on every accelerator that
//! software for language models runs on, and names it was never told.

use localrig_estimate::accuracy::judge_rows;
use localrig_facts::gpu::{Gpu, Stack};
use localrig_facts::measured::{MemoryRow, Phase, SpeedRow};
use localrig_facts::model::Model;

fn row(hardware: &str, engine: &str, model: &str, quant: &str) -> SpeedRow {
    SpeedRow {
        row_id: format!("{hardware} {engine} {model} {quant}"),
        hardware_id: hardware.to_owned(),
        engine: engine.to_owned(),
        model_id: model.to_owned(),
        quant: quant.to_owned(),
        depth: Some(4096.0),
        gen_tokens: Some(128.0),
        ..SpeedRow::default()
    }
}

#[test]
fn every_model_has_a_speed_on_a_card_and_every_accelerator_with_a_model() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut rows = Vec::new();
    for id in catalog.all::<Model>().unwrap().keys() {
        let model = id.as_str().trim_start_matches("model/");
        rows.push(row("rtx-5090", "llama.cpp", model, "q4_k_m"));
        rows.push(SpeedRow { phase: Phase::Prefill, ..row("rtx-5090", "vllm", model, "bf16") });
    }
    for (id, gpu) in catalog.all::<Gpu>().unwrap() {
        let engine = match gpu.stacks.first() {
            Some(Stack::Cuda | Stack::Rocm | Stack::Vulkan | Stack::Metal | Stack::Sycl) => {
                "llama.cpp"
            }
            _ => continue,
        };
        if gpu.memory.bandwidth_gb_per_s.is_some() {
            rows.push(row(id.short(), engine, "qwen/qwen3-8b", "q4_k_m"));
        }
    }
    let judged = judge_rows(&catalog, &rows).unwrap();
    let refused: Vec<_> =
        judged.iter().filter_map(|one| Some((&one.row_id, one.outcome.as_ref().err()?))).collect();
    assert!(refused.is_empty(), "{} of {}: {refused:#?}", refused.len(), rows.len());
    for one in &judged {
        let own = one.outcome.as_ref().unwrap();
        let sound = own.low > 0.0 && own.low < own.total && own.total < own.high;
        assert!(sound && own.total < 1e6, "{}: {own:?}", one.row_id);
    }
}

#[test]
fn prompts_of_a_tool_that_counts_otherwise_are_as_long_as_the_server_saw_them() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let of = |tokens: f64, notes: &str| SpeedRow {
        phase: Phase::Prefill,
        prompt_tokens: Some(tokens),
        depth: Some(0.0),
        notes: notes.to_owned(),
        ..row("dgx-spark", "vllm", "qwen/qwen3-8b", "bf16")
    };
    let rows = [
        of(20_000.0, "llama-benchy closed loop"),
        of(18_100.0, "llama-benchy closed loop; asked for 20000 prompt tokens"),
        of(18_100.0, ""),
        of(20_000.0, ""),
    ];
    let judged = judge_rows(&catalog, &rows).unwrap();
    let speeds: Vec<f64> = judged.iter().map(|one| one.outcome.as_ref().unwrap().total).collect();
    assert!((speeds[0] / speeds[1] - 1.0).abs() < 1e-9, "{speeds:?}");
    assert!((speeds[1] / speeds[2] - 1.0).abs() < 1e-9, "{speeds:?}");
    assert!((speeds[3] / speeds[2] - 1.0).abs() > 1e-3, "{speeds:?}");
}

#[test]
fn the_measured_memory_rows_can_be_read() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let rows = catalog.rows::<MemoryRow>("measured/memory.csv").unwrap();
    assert_eq!(rows.len(), 363);
    assert!(rows.iter().all(|row| !row.source.is_empty() && row.total_mib != Some(0.0)));
}

#[test]
fn names_are_read_forgivingly_and_what_was_taken_for_granted_is_said() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let cases = [
        row("NVIDIA GeForce RTX 4090", "llama.cpp", "Qwen/Qwen3-8B", "Q4_K_M"),
        row("RTX 4090", "LM Studio", "qwen/qwen3-8b-abliterated", "UD-Q4_K_XL"),
        row("rtx-4090", "some-new-engine", "acme/wonder-13b-chat", "Q5_K_M"),
        row("apple-m3-ultra", "mlx", "acme/wonder-80b-a3b", "4bit"),
        row("rtx-4090", "vllm", "acme/unheard-of", "fp8"),
    ];
    let judged = judge_rows(&catalog, &cases).unwrap();
    let text: String = judged
        .iter()
        .map(|one| match &one.outcome {
            Ok(own) => format!("{}: {} {:?}\n", one.row_id, own.basis.word(), own.remarks),
            Err(error) => format!("{}: refused: {error}\n", one.row_id),
        })
        .collect();
    insta::assert_snapshot!(text, @r#"
    NVIDIA GeForce RTX 4090 llama.cpp Qwen/Qwen3-8B Q4_K_M: modelled []
    RTX 4090 LM Studio qwen/qwen3-8b-abliterated UD-Q4_K_XL: modelled ["model `qwen/qwen3-8b-abliterated` is not in the catalog: taken as model/qwen/qwen3-8b"]
    rtx-4090 some-new-engine acme/wonder-13b-chat Q5_K_M: assumed ["engine `some-new-engine` is not in the catalog: taken as llama.cpp", "model `acme/wonder-13b-chat` is not in the catalog: an outline of 13.0 B parameters"]
    apple-m3-ultra mlx acme/wonder-80b-a3b 4bit: assumed ["model `acme/wonder-80b-a3b` is not in the catalog: an outline of 80.0 B parameters"]
    rtx-4090 vllm acme/unheard-of fp8: refused: no model called `acme/unheard-of`
    "#);
}
