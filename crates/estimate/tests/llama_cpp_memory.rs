//! The oracle: llama.cpp's own memory figures, in bytes, for 30 architectures.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may panic; byte counts are whole"
)]

use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KvType, LlamaContext, llama_context};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::weights::weights;
use localrig_facts::Catalog;
use localrig_facts::Id;
use localrig_facts::format::Format;
use localrig_facts::model::Model;

#[derive(serde::Deserialize)]
struct Row {
    #[serde(rename = "row_id")]
    name: String,
    model_id: String,
    quant: String,
    n_ctx: u64,
    n_parallel: u64,
    kv_unified: u8,
    kv_type: String,
    n_ubatch: u64,
    flash_attn: i8,
    swa_full: u8,
    model_bytes: u64,
    context_bytes: u64,
}

/// The catalog entry of a model id as the rows name it: its own, or the one it was published as.
fn model<'a>(catalog: &'a Catalog, id: &str) -> (&'a Id, &'a Model) {
    let models = catalog.all::<Model>().unwrap();
    if let Some(found) = models.get_key_value(format!("model/{id}").as_str()) {
        return found;
    }
    models
        .iter()
        .find(|(_, model)| model.published_as.values().any(|name| name.to_lowercase() == id))
        .unwrap_or_else(|| panic!("{id} is not in the catalog"))
}

#[test]
fn weights_and_context_of_every_row_are_the_bytes_llama_cpp_reports() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let rows: Vec<Row> = catalog.rows("measured/llama_cpp_memory.csv").unwrap();
    assert!(rows.len() > 1000);
    let mut wrong = Vec::new();
    for row in &rows {
        let (id, model) = model(&catalog, &row.model_id);
        let layout = layout(&catalog, id, model).unwrap();
        let (format_id, format) = catalog.get_in::<Format>(&row.quant).unwrap();
        let recipe = Recipe::new(&catalog, format_id, format).unwrap();
        let loaded = weights(&layout, &recipe).loaded.get();
        let context = llama_context(
            &layout,
            LlamaContext {
                cells: row.n_ctx,
                sequences: row.n_parallel,
                unified: row.kv_unified == 1,
                micro_batch: row.n_ubatch,
                kv: KvType::of(&row.kv_type).unwrap(),
                full_windows: row.swa_full == 1,
                flash_attention: row.flash_attn != 0,
            },
        );
        if loaded != row.model_bytes as f64 {
            wrong.push(format!(
                "{} {} {}: weights {loaded} instead of {}",
                row.name, row.model_id, row.quant, row.model_bytes
            ));
        }
        if context.get() != row.context_bytes as f64 {
            wrong.push(format!(
                "{} {}: context {} instead of {}",
                row.name,
                row.model_id,
                context.get(),
                row.context_bytes
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} figures differ:\n{}",
        wrong.len(),
        rows.len() * 2,
        wrong[..wrong.len().min(40)].join("\n")
    );
}
