//! The format to expect of a model when none is named.

use localrig_facts::engine::Engine;
use localrig_facts::model::Model;
use localrig_plan::option::{Origin, usual_format};

#[test]
fn published_files_come_first_then_what_the_engine_makes() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let said: String = [
        ("qwen3-30b-a3b", "llama.cpp"),
        ("gpt-oss-20b", "llama.cpp"),
        ("llama-3.1-70b-instruct", "llama.cpp"),
        ("llama-3.1-70b-instruct", "ollama"),
        ("llama-3.1-70b-instruct", "vllm"),
        ("llama-3.1-70b-instruct", "mlx-lm"),
        ("qwen3-vl-4b-instruct", "vllm"),
        ("qwen2.5-7b-instruct", "vllm"),
        ("phi-4-multimodal-instruct", "llama.cpp"),
    ]
    .map(|(model, engine)| {
        let (_, entry) = catalog.find::<Model>(model).unwrap();
        let (engine_id, _) = catalog.find::<Engine>(engine).unwrap();
        let usual = usual_format(&catalog, entry, engine_id).unwrap();
        let text = usual.map_or_else(
            || "none".to_owned(),
            |one| {
                let origin = match one.origin {
                    Origin::Published => "published",
                    Origin::Made(tool) => tool,
                    Origin::Released => "as released",
                };
                format!("{}, {origin}", one.id.short())
            },
        );
        format!("{model} on {engine}: {text}\n")
    })
    .concat();
    insta::assert_snapshot!(said, @"
    qwen3-30b-a3b on llama.cpp: q4_k_m, published
    gpt-oss-20b on llama.cpp: mxfp4_moe, published
    llama-3.1-70b-instruct on llama.cpp: q4_k_m, its llama-quantize
    llama-3.1-70b-instruct on ollama: q4_k_m, `ollama create --quantize`
    llama-3.1-70b-instruct on vllm: fp8-block, published
    llama-3.1-70b-instruct on mlx-lm: mlx-4bit, published
    qwen3-vl-4b-instruct on vllm: safetensors-bf16, as released
    qwen2.5-7b-instruct on vllm: none
    phi-4-multimodal-instruct on llama.cpp: none
    ");
}

#[test]
fn every_computed_model_has_one_on_engines_with_a_tool_for_it() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let engines = catalog.all::<Engine>().unwrap();
    let making: Vec<_> =
        engines.iter().filter(|(_, engine)| engine.usual_format.is_some()).collect();
    assert!(making.len() > 3);
    for (engine_id, _) in making {
        for (id, model) in catalog.all::<Model>().unwrap() {
            let usual = usual_format(&catalog, model, engine_id).unwrap();
            assert!(usual.is_some() || model.architecture.is_none(), "{id} on {engine_id}");
        }
    }
}
