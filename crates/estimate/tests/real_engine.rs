//! The real engine: llama.cpp loads tiny models of three families and says what they take.
//!
//! `scripts/test` installs the engine. Where it cannot, it sets `LOCALRIG_ENGINE_SKIP` to the reason,
//! which these tests repeat; without either they fail.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may panic; it runs the engine"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KvType, LlamaContext, llama_context};
use localrig_estimate::from_file::model_of_file;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::weights::weights;
use localrig_facts::format::Format;
use localrig_facts::model::Model;
use localrig_world::model_file::{Limits, Location, read};

/// Sum of the buffers a log names, in MiB.
fn buffers(log: &str, name: &str) -> f64 {
    let marker = format!("{name} buffer size =");
    log.lines()
        .filter_map(|line| {
            line.split_once(&marker)?.1.trim().strip_suffix(" MiB")?.parse::<f64>().ok()
        })
        .sum()
}

/// Loads a model of a family; weights and context in MiB, localrig's and the engine's.
fn compare(python: &Path, family: &str, cells: u64, slots: u64) -> [(f64, f64); 2] {
    let folder = std::env::temp_dir().join(format!("localrig-engine-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{family}-{cells}.gguf"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/engine/load.py");
    let output = Command::new(python)
        .arg(script)
        .arg(family)
        .arg(&path)
        .args([cells.to_string(), slots.to_string()])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(log.contains("LOADED"), "{family} does not load:\n{log}");

    let catalog = localrig_world::catalog(&[]).unwrap();
    let file = read(&Location::Path(path), &Limits::default()).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let found = model_of_file(&catalog, &file, "2026-11-21".parse().unwrap()).unwrap();
    assert_eq!(found.differences, Vec::<String>::new());
    let catalog = localrig_world::catalog_with(&[], found.files().unwrap()).unwrap();
    let (id, model) = catalog.get_in::<Model>(found.id.within_folder()).unwrap();
    let layout = layout(&catalog, id, model).unwrap();
    let (id, format) = catalog.get_in::<Format>(found.format.id().within_folder()).unwrap();
    let recipe = Recipe::new(&catalog, id, format).unwrap();
    let ask = LlamaContext { sequences: slots, ..LlamaContext::server(cells, 1, KvType::F16) };
    let mib = |bytes: localrig_facts::unit::Bytes| bytes.get() / f64::from(1 << 20);
    [
        (mib(weights(&layout, &recipe).loaded), buffers(&log, "model")),
        (mib(llama_context(&layout, ask)), buffers(&log, "KV")),
    ]
}

#[test]
fn the_engine_takes_what_localrig_says_for_three_families() {
    if let Ok(reason) = std::env::var("LOCALRIG_ENGINE_SKIP") {
        eprintln!("SKIPPED: nothing is compared with the real engine: {reason}");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var("LOCALRIG_ENGINE_PYTHON")
        .map_or_else(|_| root.join(".venv/engine/bin/python"), PathBuf::from);
    assert!(python.is_file(), "no engine: run scripts/engine-env, or set LOCALRIG_ENGINE_SKIP");
    for (family, cells, slots) in
        [("llama", 4096, 1), ("llama", 8192, 4), ("gemma3", 16_384, 2), ("qwen3moe", 2048, 1)]
    {
        let [(weights, own_weights), (context, own_context)] =
            compare(&python, family, cells, slots);
        // The engine prints two decimals.
        let near = |ours: f64, theirs: f64| theirs > 1.0 && (ours - theirs).abs() < 0.0051;
        assert!(
            near(weights, own_weights),
            "{family}: weights {weights} MiB, engine {own_weights}"
        );
        assert!(
            near(context, own_context),
            "{family}: context {context} MiB, engine {own_context}"
        );
    }
}
