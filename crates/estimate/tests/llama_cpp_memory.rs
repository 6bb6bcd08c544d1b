//! The oracle: llama.cpp's own memory figures, in bytes, for 30 architectures.
//!
//! `catalog/measured/llama_cpp_memory*.csv` are the rows the formulas were made with. The rows in
//! `data/` are of other models of the same families: llama.cpp loaded files with an exact header and
//! no data, with allocation switched off, on the host alone, beside one device and beside several.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write;

use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KvType, LlamaContext};
use localrig_estimate::memory_accuracy::{ArchitectureError, MemoryAccuracy, memory_accuracy};
use localrig_estimate::placement::{Offload, SplitMode, place};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::weights::tensor_sizes;
use localrig_facts::Catalog;
use localrig_facts::document::from_csv;
use localrig_facts::format::Format;
use localrig_facts::model::Model;

fn catalog() -> Catalog {
    localrig_world::catalog(&[]).unwrap()
}

fn accuracy(path: &str, text: &str) -> MemoryAccuracy {
    let accuracy = memory_accuracy(&catalog(), path, text).unwrap();
    let failed: Vec<_> = accuracy.rows.iter().filter_map(|row| row.error.as_ref()).collect();
    assert!(failed.is_empty(), "{path}: {failed:?}");
    accuracy
}

fn measured(name: &str) -> MemoryAccuracy {
    let catalog = catalog();
    let path = format!("measured/{name}");
    accuracy(&path, &catalog.file(&path).unwrap().text)
}

/// Weights and context to the byte on every row; the graph buffer by its bounds.
fn check(accuracy: &MemoryAccuracy, rows: usize) {
    let all = accuracy.table.last().unwrap();
    assert!(all.compared >= rows, "{} rows", all.compared);
    let wrong: Vec<_> = accuracy
        .rows
        .iter()
        .filter(|row| {
            let (Some(ours), Some(theirs)) = (row.predicted, row.measured) else { return true };
            let exact = |figures: localrig_estimate::memory_accuracy::Figures| {
                let both = [figures.host, figures.device.unwrap_or_default()];
                both.map(|split| (split.weights_bytes, split.context_bytes))
            };
            exact(ours) != exact(theirs)
        })
        .collect();
    assert!(wrong.is_empty(), "{} rows differ, first {:?}", wrong.len(), wrong[0]);
    assert!(all.compute_median < 0.05 && all.compute_p90 < 0.20, "{all:?}");
    if let (Some(median), Some(p90)) = (all.host_compute_median, all.host_compute_p90) {
        assert!(median < 0.05 && p90 < 0.20, "{all:?}");
    }
}

fn lines(table: &[ArchitectureError]) -> String {
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let mut text = String::new();
    for one in table {
        let host = one.host_compute_median.zip(one.host_compute_p90);
        let host = host.map_or(String::new(), |(median, p90)| {
            format!("  host {:>5} {:>5}", percent(median), percent(p90))
        });
        writeln!(
            text,
            "{:<15} {:>4} rows  {:>4} {:>4} exact  graph {:>5} {:>5} {:>5}{host}",
            one.architecture,
            one.rows,
            one.weights_exact,
            one.context_exact,
            percent(one.compute_median),
            percent(one.compute_p90),
            percent(one.compute_max),
        )
        .unwrap();
    }
    text
}

#[test]
fn every_row_on_the_host_is_reproduced() {
    let accuracy = measured("llama_cpp_memory.csv");
    check(&accuracy, 1041);
    insta::assert_snapshot!(lines(&accuracy.table));
}

#[test]
fn every_row_beside_a_device_is_reproduced() {
    let accuracy = measured("llama_cpp_memory_offload.csv");
    check(&accuracy, 290);
    insta::assert_snapshot!(lines(&accuracy.table));
}

#[test]
fn rows_of_models_the_rules_were_not_made_with_are_reproduced() {
    let host = accuracy("data/llama_cpp_memory.csv", include_str!("data/llama_cpp_memory.csv"));
    check(&host, 1911);
    let beside = accuracy(
        "data/llama_cpp_memory_offload.csv",
        include_str!("data/llama_cpp_memory_offload.csv"),
    );
    check(&beside, 1270);
    insta::assert_snapshot!(format!("{}\n{}", lines(&host.table), lines(&beside.table)));
}

#[derive(serde::Deserialize)]
struct SplitRow {
    row_id: u32,
    model_id: String,
    quant: String,
    n_ctx: u64,
    n_gpu_layers: u32,
    tensor_split: String,
    n_cpu_moe: u32,
    place: String,
    model_bytes: f64,
    context_bytes: f64,
    #[serde(rename = "compute_bytes")]
    _compute_bytes: f64,
}

#[test]
fn weights_and_context_lie_on_the_devices_llama_cpp_puts_them_on() {
    let catalog = catalog();
    let path = "data/llama_cpp_memory_split.csv";
    let rows: Vec<SplitRow> =
        from_csv(path, include_str!("data/llama_cpp_memory_split.csv")).unwrap();
    let mut cases: BTreeMap<u32, Vec<&SplitRow>> = BTreeMap::new();
    for row in &rows {
        cases.entry(row.row_id).or_default().push(row);
    }
    assert!(cases.len() > 400, "{}", cases.len());
    let mut wrong = Vec::new();
    for rows in cases.values() {
        let first = rows[0];
        let (id, model) = find(&catalog, &first.model_id);
        let layout = layout(&catalog, id, model).unwrap();
        let (format_id, format) = catalog.get_in::<Format>(&first.quant).unwrap();
        let recipe = Recipe::new(&catalog, format_id, format).unwrap();
        let shares = first.tensor_split.split(' ').map(|share| share.parse().unwrap()).collect();
        let offload = Offload {
            gpu_layers: first.n_gpu_layers,
            shares,
            mode: SplitMode::Layer,
            host_expert_layers: first.n_cpu_moe,
        };
        let ask = LlamaContext { cells: first.n_ctx, ..LlamaContext::server(1, 1, KvType::F16) };
        let placed = place(&layout, &tensor_sizes(&layout, &recipe), ask, &offload);
        for row in rows {
            let share = match row.place.strip_prefix('G') {
                None => placed.host,
                Some(device) => placed.devices[device.parse::<usize>().unwrap()],
            };
            let ours = (share.weights_bytes.get(), share.context_bytes.get());
            let theirs = (row.model_bytes, row.context_bytes);
            if ours != theirs {
                wrong.push(format!(
                    "{} -ngl {} -ts {} --n-cpu-moe {}, {}: {ours:?} instead of {theirs:?}",
                    row.model_id, row.n_gpu_layers, row.tensor_split, row.n_cpu_moe, row.place
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
}

fn find<'a>(catalog: &'a Catalog, id: &str) -> (&'a localrig_facts::Id, &'a Model) {
    let models = catalog.all::<Model>().unwrap();
    models.get_key_value(format!("model/{id}").as_str()).unwrap_or_else(|| {
        let named =
            |model: &&Model| model.published_as.values().any(|name| name.to_lowercase() == id);
        models.iter().find(|(_, model)| named(model)).unwrap()
    })
}

#[test]
fn a_row_that_cannot_be_predicted_keeps_its_place_and_says_why() {
    let text = "row_id,model_id,quant,n_ctx,n_parallel,kv_unified,kv_type,n_ubatch,n_gpu_layers\n\
        a,meta-llama/llama-3.1-8b-instruct,q4_k_m,4096,1,1,f16,512,0\n\
        b,nobody/nothing-7b,q4_k_m,4096,1,1,f16,512,0\n\
        c,meta-llama/llama-3.1-8b-instruct,q9_z,4096,1,1,f16,512,0\n\
        d,meta-llama/llama-3.1-8b-instruct,q4_k_m,many,1,1,f16,512,0\n\
        e,meta-llama/llama-3.1-8b-instruct,q4_k_m,4096,0,1,f16,512,0\n\
        f,meta-llama/llama-3.1-8b-instruct,q4_k_m,4096,1,1,q3,512,0\n\
        g,meta-llama/llama-3.1-8b-instruct,q4_k_m,4096,1,1,f16,512,7\n\
        h,meta-llama/llama-3.1-8b-instruct\n";
    let accuracy = memory_accuracy(&catalog(), "rows.csv", text).unwrap();
    insta::assert_snapshot!(accuracy.to_csv());
    let missing = memory_accuracy(&catalog(), "rows.csv", "row_id,model_id\n").unwrap_err();
    insta::assert_snapshot!(missing, @"rows.csv: column `quant` is missing; the columns are those of measured/llama_cpp_memory.csv");
}
