//! What an engine schedules by is in the catalog; an engine without such facts is not simulated.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use localrig_estimate::context::KvType;
use localrig_facts::Catalog;
use localrig_facts::machine::parse_machine;
use localrig_plan::placement::{Devices, Place};
use localrig_plan::scenario::{Arrangement, ScenarioError, arrange};
use localrig_simulate::engine::Engine;
use localrig_simulate::sharing::Sharing;
use localrig_simulate::workload::Workload;

/// The engine as it would be simulated with a small model on a machine.
fn scheduled(catalog: &Catalog, engine: &str, machine: &str) -> Result<Engine, ScenarioError> {
    let text = include_str!("../../../workloads/batch.toml");
    let workload = Workload::parse("batch", text, &BTreeMap::new()).unwrap();
    let format = match engine {
        "vllm" => "fp8",
        "mlx-lm" => "mlx-4bit",
        _ => "q4_k_m",
    };
    let place = |role: &str| Place {
        role: role.to_owned(),
        model: "qwen3-8b".to_owned(),
        format: Some(format.to_owned()),
        engine: None,
        kv: None,
        devices: Devices::All,
    };
    let places: Vec<Place> = workload.roles.iter().map(|role| place(&role.name)).collect();
    let arrangement = Arrangement {
        engine,
        kv: KvType::F16,
        faster_kv: false,
        sharing: Sharing::time_slice(catalog.machine_constants().unwrap()),
        link: None,
    };
    let machine = parse_machine(catalog, machine).unwrap();
    let arranged = arrange(catalog, &machine, &workload, &places, arrangement)?;
    Ok(arranged.scenario.servers[0].engine.clone())
}

/// The catalog with a line of a file replaced.
fn with(file: &str, text: &str, line: &str, other: &str) -> Catalog {
    assert!(text.contains(line), "{file} has no line `{line}`");
    localrig_world::catalog_with(&[], vec![(file.to_owned(), text.replace(line, other))]).unwrap()
}

#[test]
fn engines_schedule_by_what_the_catalog_says_of_them() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (large, small) = ("RTX PRO 6000 Workstation", "RTX 4090");
    let all = [
        ("vllm", large),
        ("vllm", small),
        ("llama.cpp", small),
        ("ollama", small),
        ("mlx-lm", "Mac Studio M3 Ultra 96 GB"),
    ];
    // What depends on memory and speed of the machine is left out: the fit may change it.
    let words = |engine| match engine {
        Engine::Vllm(it) => format!(
            "budget {}, sequences {}, blocks of {}, caching {}, asynchronous {}",
            it.budget, it.sequences, it.block, it.caching, it.asynchronous
        ),
        Engine::Llama(it) => format!(
            "slots {}, cells {}, unified {}, batch {}, similarity {}, {} tokens on the host",
            it.slots, it.cells, it.unified, it.batch, it.similarity, it.host_tokens
        ),
        Engine::Mlx(it) => {
            let (decode, prompts, chunk, kept) = (it.decode, it.prompts, it.chunk, it.kept);
            format!("decode {decode}, prompts {prompts}, chunk {chunk}, kept {kept}")
        }
    };
    let said = all.map(|(engine, machine)| {
        let scheduled = scheduled(&catalog, engine, machine).unwrap();
        format!("{engine} on {machine}: {}", words(scheduled))
    });
    insta::assert_snapshot!(said.join("\n"), @"
    vllm on RTX PRO 6000 Workstation: budget 8192, sequences 1024, blocks of 16, caching true, asynchronous true
    vllm on RTX 4090: budget 2048, sequences 256, blocks of 16, caching true, asynchronous true
    llama.cpp on RTX 4090: slots 4, cells 65536, unified true, batch 2048, similarity 0.1, 58254 tokens on the host
    ollama on RTX 4090: slots 4, cells 65536, unified false, batch 512, similarity 0, 0 tokens on the host
    mlx-lm on Mac Studio M3 Ultra 96 GB: decode 32, prompts 8, chunk 2048, kept 10
    ");
}

#[test]
fn a_fork_schedules_as_the_engine_that_stands_for_it() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let on = |engine| scheduled(&catalog, engine, "RTX 4090").unwrap();
    let options = |engine| match on(engine) {
        Engine::Llama(options) => (options.batch, options.unified, options.similarity),
        other => panic!("{other:?}"),
    };
    assert_eq!(options("ik_llama.cpp"), options("llama.cpp"));
}

#[test]
fn a_fact_about_scheduling_that_is_missing_is_named() {
    let vllm = include_str!("../../../catalog/engine/vllm.toml");
    let llama = include_str!("../../../catalog/engine/llama.cpp.toml");
    let mut said = Vec::new();
    for (name, text, line) in [
        ("vllm", vllm, "block_tokens = 16\n"),
        ("vllm", vllm, "policy = \"blocks\"\n"),
        ("vllm", vllm, "prefix_caching = true\n"),
        ("llama.cpp", llama, "step_tokens = 2048\n"),
        ("llama.cpp", llama, "host_cache_gib = 8\n"),
    ] {
        let catalog = with(&format!("engine/{name}.toml"), text, line, "");
        said.push(scheduled(&catalog, name, "RTX 4090").unwrap_err().to_string());
    }
    insta::assert_snapshot!(said.join("\n"), @"
    how vLLM puts steps together is not known: `scheduler.block_tokens` is missing in engine/vllm.toml
    how vLLM puts steps together is not known: `scheduler.policy` is missing in engine/vllm.toml
    how vLLM puts steps together is not known: `scheduler.prefix_caching` is missing in engine/vllm.toml
    how llama.cpp puts steps together is not known: `scheduler.step_tokens` is missing in engine/llama.cpp.toml
    how llama.cpp puts steps together is not known: `scheduler.host_cache_gib` is missing in engine/llama.cpp.toml
    ");
}
