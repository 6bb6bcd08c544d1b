//! A second, independent statement of sizes: every computable model of the catalog in ten formats.
//!
//! `data/sizes.csv` and `data/counts.csv` were computed by a separate program that shares no code
//! with this one and whose parameter counts were checked against the published safetensors counts.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may panic; byte counts are whole"
)]

use std::collections::BTreeMap;

use localrig_estimate::architecture::{Tensor, layout};
use localrig_estimate::context::{KvType, LlamaContext, llama_context, state_bytes};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::weights::weights;
use localrig_facts::Catalog;
use localrig_facts::document::from_csv;
use localrig_facts::format::Format;
use localrig_facts::model::Model;

#[derive(serde::Deserialize)]
struct Size {
    model: String,
    format: String,
    file_bytes: f64,
}

#[derive(serde::Deserialize)]
struct Count {
    model: String,
    total_without_prediction: u64,
    active: u64,
    routed_experts: u64,
    token_embedding: u64,
    kv_f16_4096: Option<f64>,
    kv_f16_32768: Option<f64>,
    kv_f16_131072: Option<f64>,
    state_bytes: u64,
}

const MIB: f64 = 1_048_576.0;

fn catalog() -> Catalog {
    localrig_world::catalog(&[]).unwrap()
}

#[test]
fn weights_of_every_model_in_every_format_agree_with_an_independent_program() {
    let catalog = catalog();
    let rows: Vec<Size> = from_csv("sizes.csv", include_str!("data/sizes.csv")).unwrap();
    assert!(rows.len() > 1_400);
    let mut wrong = Vec::new();
    for row in &rows {
        let (id, model) = catalog.get_in::<Model>(&row.model).unwrap();
        let (format_id, format) = catalog.get_in::<Format>(&row.format).unwrap();
        let recipe = Recipe::new(&catalog, format_id, format).unwrap();
        let layout = layout(&catalog, id, model).unwrap();
        // Their figure: tensors of the main layers, each once, without alignment.
        let bytes: u64 = layout
            .tensors
            .iter()
            .zip(recipe.types(&layout))
            .filter(|(tensor, _)| tensor.layer.is_none_or(|layer| layer < layout.main_layers))
            .map(|(tensor, kind)| tensor.elements() / kind.block * kind.bytes)
            .sum();
        if bytes as f64 != row.file_bytes {
            wrong.push(format!(
                "{} {}: {bytes} instead of {}",
                row.model, row.format, row.file_bytes
            ));
        }
        // What the engine loads differs by alignment, second copies and the odd stray tensor only.
        let loaded = weights(&layout, &recipe).loaded.get();
        assert!(
            loaded >= row.file_bytes && loaded < row.file_bytes * 1.15,
            "{} {}",
            row.model,
            row.format
        );
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}

#[test]
fn parameter_counts_and_context_sizes_agree_with_an_independent_program() {
    let catalog = catalog();
    let rows: Vec<Count> = from_csv("counts.csv", include_str!("data/counts.csv")).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let (id, model) = catalog.get_in::<Model>(&row.model).unwrap();
        let layout = layout(&catalog, id, model).unwrap();
        let count = layout.parameters();
        let mut compare = |what: &str, ours: u64, theirs: u64| {
            if ours != theirs {
                wrong.push(format!("{}: {what} {ours} instead of {theirs}", row.model));
            }
        };
        compare("total", count.total - count.prediction, row.total_without_prediction);
        // They count the biases and scales of experts as if every token read all of them.
        let near = |ours: u64, theirs: u64| (ours as f64 / theirs as f64 - 1.0).abs() < 0.007;
        assert!(near(count.active, row.active), "{}", row.model);
        if row.routed_experts > 0 {
            assert!(near(count.routed_experts, row.routed_experts), "{}", row.model);
        }
        compare("state", state_bytes(&layout), row.state_bytes);
        let embedding: u64 = layout
            .tensors
            .iter()
            .filter(|tensor| &*tensor.name == "token_embd.weight")
            .map(Tensor::elements)
            .sum();
        compare("embedding", embedding, row.token_embedding);
        for (cells, bytes) in
            [(4096, row.kv_f16_4096), (32_768, row.kv_f16_32768), (131_072, row.kv_f16_131072)]
        {
            let Some(bytes) = bytes else { continue };
            let ours = llama_context(&layout, LlamaContext::server(cells, 1, KvType::F16)).get();
            compare("context", ours as u64, bytes as u64);
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
}

/// What llama.cpp b11549 said when it loaded a file with these very tensors, allocation off: names
/// and shapes that it did not know would have been refused.
#[derive(serde::Deserialize)]
struct Load {
    model: String,
    cells: u64,
    tensors: usize,
    kv_mib: f64,
    state_mib: f64,
}

#[test]
fn tensors_and_contexts_are_those_the_engine_loads() {
    let catalog = catalog();
    let rows: Vec<Load> =
        from_csv("engine_load.csv", include_str!("data/engine_load.csv")).unwrap();
    assert!(rows.len() > 40);
    let mut wrong = Vec::new();
    for row in &rows {
        let (id, model) = catalog.get_in::<Model>(&row.model).unwrap();
        let layout = layout(&catalog, id, model).unwrap();
        let main = |tensor: &&Tensor| tensor.layer.is_none_or(|one| one < layout.main_layers);
        let tensors = layout.tensors.iter().filter(main).count();
        let state = state_bytes(&layout) as f64 / MIB;
        let ask = LlamaContext::server(row.cells, 1, KvType::F16);
        let kv = llama_context(&layout, ask).get() / MIB - state;
        // The engine prints each of up to three states to the hundredth.
        let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 0.015;
        if tensors != row.tensors || !near(kv, row.kv_mib) || !near(state, row.state_mib) {
            wrong.push(format!(
                "{}: {tensors} tensors, {kv:.2} and {state:.2} MiB instead of {}, {} and {}",
                row.model, row.tensors, row.kv_mib, row.state_mib
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The number of parameters that a remark names: `differs by -2,944`.
fn number_in(remark: &str) -> i64 {
    let word = |word: &&str| word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    let bare = |word: &str| word.trim_matches([':', '.', ';']).replace(',', "");
    remark.split(' ').find(word).and_then(|word| bare(word).parse().ok()).unwrap_or_default()
}

#[test]
fn every_computed_count_comes_to_the_published_one() {
    let catalog = catalog();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (id, model) in catalog.all::<Model>().unwrap() {
        if model.architecture.is_none() {
            continue;
        }
        let known = &model.parameters;
        let count = layout(&catalog, id, model).unwrap().parameters();
        let other = known.vision_and_other.unwrap_or(0);
        let published = known.published.unwrap_or(known.total) as f64;
        // What is not counted is said to the parameter, or is a tower known by subtraction.
        let said = known.agreement.as_deref().map(number_in).unwrap_or_default();
        // Some repositories leave the prediction block out.
        let off = [count.total, count.total - count.prediction]
            .map(|own| (own + other).cast_signed())
            .into_iter()
            .flat_map(|own| [own, own + said])
            .map(|own| (own as f64 / published - 1.0).abs())
            .fold(f64::INFINITY, f64::min);
        if off > 0.005 || (known.published.is_some() && known.agreement.is_none()) {
            wrong.push(format!("{id}: {} and {other} instead of {published}", count.total));
        }
        // Towers are the smaller part: a slip of a dimension must not hide behind one.
        if other as f64 > 0.25 * published {
            wrong.push(format!("{id}: {other} of {published} are not computed"));
        }
        checked += 1;
    }
    assert!(checked > 190, "{checked}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_count_called_exact_equals_the_published_count() {
    let catalog = catalog();
    let mut checked = BTreeMap::new();
    for (id, model) in catalog.all::<Model>().unwrap() {
        if model.parameters.agreement.as_deref() != Some("exact") {
            continue;
        }
        let count = layout(&catalog, id, model).unwrap().parameters();
        checked.insert(
            id.to_string(),
            (count.total, count.total - count.prediction, model.parameters.published.unwrap()),
        );
    }
    assert!(checked.len() > 80);
    // Some repositories leave the prediction block out.
    let wrong: Vec<_> = checked
        .iter()
        .filter(|(_, (total, main, published))| total != published && main != published)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
