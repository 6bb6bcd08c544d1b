//! What a CPU can do, beside a device and alone, against the measured rows.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may panic; numbers of cores and sequences are whole"
)]

mod constants;
mod estimates;

use std::sync::LazyLock;

use localrig_facts::Catalog;
use localrig_facts::document::from_csv;
use serde::Deserialize;
use serde::de::DeserializeOwned;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| localrig_world::catalog(&[]).unwrap());

/// Generation or a prompt with llama.cpp's benchmark: `measured/processor_speed.csv`.
#[derive(Deserialize)]
struct SpeedRow {
    model: String,
    quant: String,
    params_total: f64,
    params_active: f64,
    active_bytes_per_token: f64,
    threads: u32,
    test: String,
    n_prompt: u64,
    depth: u64,
    avg_ts: f64,
    #[serde(rename = "bw_before_GBs")]
    before: f64,
    #[serde(rename = "bw_after_GBs")]
    after: f64,
}

/// Generation of several sequences at a time: `measured/processor_batch.csv`.
#[derive(Deserialize)]
struct BatchRow {
    model: String,
    quant: String,
    threads: u32,
    n_prompt_each: u64,
    n_parallel: u64,
    pp_tok_s: f64,
    tg_tok_s_total: f64,
}

fn rows<T: DeserializeOwned>(name: &str) -> Vec<T> {
    from_csv(name, &CATALOG.file(name).unwrap().text).unwrap()
}
