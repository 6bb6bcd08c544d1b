//! Predictions beside an engine's own memory figures, row by row.
//!
//! Rows have the columns of `catalog/measured/llama_cpp_memory.csv` or, with an accelerator beside
//! the host, of `llama_cpp_memory_offload.csv`. The measured columns may be empty or left out. A row
//! that cannot be predicted keeps its place in the answer, with the reason.

use std::collections::BTreeMap;

use localrig_facts::format::Format;
use localrig_facts::model::Model;
use localrig_facts::{Catalog, CatalogError, Id};
use serde::Serialize;

use crate::architecture::{Layout, LayoutError, layout};
use crate::context::{KvType, LlamaContext, llama_context};
use crate::graph::{GraphAsk, llama_graph};
use crate::placement::{Offload, place};
use crate::recipe::{Recipe, RecipeError};
use crate::weights::{tensor_sizes, weights};

/// Why a text holds no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// A column without which nothing can be predicted is not there.
    #[error("{path}: column `{column}` is missing; the columns are those of measured/{example}")]
    Column {
        /// The document.
        path: String,
        /// The column.
        column: &'static str,
        /// A file with all columns.
        example: &'static str,
    },
    /// The text is no CSV.
    #[error("{path}: {message}")]
    Csv {
        /// The document.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// Why one row has no prediction.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// A cell does not parse.
    #[error("column `{column}`: `{text}` is not {expected}")]
    Cell {
        /// Its column.
        column: &'static str,
        /// Its text.
        text: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// The model or format is not in the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The model cannot be computed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The format cannot be applied.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Several catalog models were published under the name.
    #[error("`{name}` can mean {candidates}")]
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids.
        candidates: String,
    },
    /// A row of the form without an accelerator has layers on one.
    #[error(
        "column `n_gpu_layers`: {layers} layers on a device need the columns of the offload form"
    )]
    Offloaded {
        /// Layers.
        layers: u64,
    },
    /// Quantised V needs flash attention, which the row switches off.
    #[error("column `flash_attn`: {kv} needs flash attention")]
    NeedsFlash {
        /// KV cache type.
        kv: &'static str,
    },
}

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Split {
    /// Weights.
    pub weights_bytes: u64,
    /// KV cache and recurrent state.
    pub context_bytes: u64,
    /// Graph buffer.
    pub compute_bytes: u64,
}

/// Figures of one row, predicted or measured. Rows without an accelerator are all host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// On the accelerator; `None` in rows without one.
    pub device: Option<Split>,
    /// In the host's memory.
    pub host: Split,
}

/// One row of the answer.
#[derive(Clone, Debug, Serialize)]
pub struct Prediction {
    /// `row_id` of the row.
    pub row_id: String,
    /// `arch` of the row, else the family that was used.
    pub architecture: String,
    /// What localrig says.
    pub predicted: Option<Figures>,
    /// What the engine said, where the row holds it.
    pub measured: Option<Figures>,
    /// Why there is no prediction.
    pub error: Option<String>,
}

/// Errors of the rows of one architecture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArchitectureError {
    /// `general.architecture`, or `all`.
    pub architecture: String,
    /// Rows.
    pub rows: usize,
    /// Rows without a prediction.
    pub failed: usize,
    /// Rows with a prediction and a measured figure.
    pub compared: usize,
    /// Of these, rows whose weights are right to the byte, on every side.
    pub weights_exact: usize,
    /// Rows whose context is right to the byte, on every side.
    pub context_exact: usize,
    /// Median relative error of the graph buffer (of the device, where there is one).
    pub compute_median: f64,
    /// Nine of ten rows have a smaller one.
    pub compute_p90: f64,
    /// Largest.
    pub compute_max: f64,
    /// Median relative error of the host's graph buffer beside a device.
    pub host_compute_median: Option<f64>,
    /// Nine of ten rows have a smaller one.
    pub host_compute_p90: Option<f64>,
}

/// Every row with its prediction, and the errors by architecture.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryAccuracy {
    /// Whether the rows have an accelerator.
    pub offload: bool,
    /// As many as the input has, in its order.
    pub rows: Vec<Prediction>,
    /// By architecture in alphabetical order, then all.
    pub table: Vec<ArchitectureError>,
}

impl MemoryAccuracy {
    /// The rows as CSV: `row_id`, the predicted bytes, `error`.
    pub fn to_csv(&self) -> String {
        let mut text = String::from(if self.offload {
            "row_id,device_weights_bytes,host_weights_bytes,device_context_bytes,\
             host_context_bytes,device_compute_bytes,host_compute_bytes,error\n"
        } else {
            "row_id,weights_bytes,context_bytes,compute_bytes,error\n"
        });
        for row in &self.rows {
            let columns =
                |split: Split| [split.weights_bytes, split.context_bytes, split.compute_bytes];
            let cells: Vec<String> = match (row.predicted, self.offload) {
                (None, offload) => vec![String::new(); if offload { 6 } else { 3 }],
                (Some(figures), false) => columns(figures.host).map(|n| n.to_string()).to_vec(),
                (Some(figures), true) => columns(figures.device.unwrap_or_default())
                    .into_iter()
                    .zip(columns(figures.host))
                    .flat_map(|(device, host)| [device.to_string(), host.to_string()])
                    .collect(),
            };
            text.push_str(&quoted(&row.row_id));
            for cell in cells {
                text.push(',');
                text.push_str(&cell);
            }
            text.push(',');
            text.push_str(&quoted(row.error.as_deref().unwrap_or_default()));
            text.push('\n');
        }
        text
    }
}

/// A CSV cell, in quotes where it needs them.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The cells of a row by the names of their columns.
struct Row<'a> {
    headers: &'a csv::StringRecord,
    cells: &'a csv::StringRecord,
}

impl Row<'_> {
    /// The cell of a column, empty where the row or the whole text lacks it.
    fn cell(&self, column: &str) -> &str {
        let index = self.headers.iter().position(|header| header.trim() == column);
        index.and_then(|index| self.cells.get(index)).map_or("", str::trim)
    }
}

/// Columns without which no row can be predicted.
const NEEDED: [&str; 9] = [
    "row_id",
    "model_id",
    "quant",
    "n_ctx",
    "n_parallel",
    "kv_unified",
    "kv_type",
    "n_ubatch",
    "n_gpu_layers",
];

/// Predicts every row of a CSV text. `path` names the document in errors.
///
/// # Errors
/// When the text is no CSV or lacks a column that every row needs. What is wrong with a single row
/// stands in its `error`.
pub fn memory_accuracy(
    catalog: &Catalog,
    path: &str,
    text: &str,
) -> Result<MemoryAccuracy, RowsError> {
    let csv_error =
        |error: csv::Error| RowsError::Csv { path: path.to_owned(), message: error.to_string() };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(csv_error)?.clone();
    let has = |name: &str| headers.iter().any(|header| header.trim() == name);
    let offload = has("n_layer") || has("device_model_bytes");
    let example = if offload { "llama_cpp_memory_offload.csv" } else { "llama_cpp_memory.csv" };
    if let Some(column) = NEEDED.into_iter().find(|column| !has(column)) {
        return Err(RowsError::Column { path: path.to_owned(), column, example });
    }
    let mut desk = Desk { catalog, layouts: BTreeMap::new() };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(csv_error)?;
        let row = Row { headers: &headers, cells: &record };
        let predicted = desk.predict(&row, offload);
        rows.push(Prediction {
            architecture: row.cell("arch").to_owned(),
            measured: measured(&row, offload),
            error: predicted.as_ref().err().map(ToString::to_string),
            predicted: predicted.ok(),
            row_id: row.cell("row_id").to_owned(),
        });
    }
    let table = table(&rows);
    Ok(MemoryAccuracy { offload, rows, table })
}

fn measured(row: &Row<'_>, offload: bool) -> Option<Figures> {
    let number = |column: &str| row.cell(column).parse::<u64>().ok();
    let split = |columns: [&str; 3]| {
        let [weights_bytes, context_bytes, compute_bytes] = columns.map(number);
        Some(Split {
            weights_bytes: weights_bytes?,
            context_bytes: context_bytes?,
            compute_bytes: compute_bytes?,
        })
    };
    if !offload {
        let host = split(["model_bytes", "context_bytes", "compute_bytes"])?;
        return Some(Figures { device: None, host });
    }
    let device = split(["device_model_bytes", "device_context_bytes", "device_compute_bytes"])?;
    let host = split(["host_model_bytes", "host_context_bytes", "host_compute_bytes"])?;
    Some(Figures { device: Some(device), host })
}

/// Models that have been laid out: rows come in runs of one model.
struct Desk<'a> {
    catalog: &'a Catalog,
    layouts: BTreeMap<String, Result<Layout, RowError>>,
}

impl Desk<'_> {
    fn predict(&mut self, row: &Row<'_>, offload: bool) -> Result<Figures, RowError> {
        let name = row.cell("model_id").to_lowercase();
        let catalog = self.catalog;
        let layout = self
            .layouts
            .entry(name.clone())
            .or_insert_with(|| {
                let (id, model) = find_model(catalog, &name)?;
                Ok(layout(catalog, id, model)?)
            })
            .as_ref()
            .map_err(Clone::clone)?;
        let (id, format) = catalog.find::<Format>(row.cell("quant"))?;
        let recipe = Recipe::new(catalog, id, format)?;
        let kv = KvType::of(row.cell("kv_type")).ok_or_else(|| RowError::Cell {
            column: "kv_type",
            text: row.cell("kv_type").to_owned(),
            expected: "a KV cache type",
        })?;
        let ask = LlamaContext {
            cells: at_least_one(row, "n_ctx")?,
            sequences: at_least_one(row, "n_parallel")?,
            unified: whole(row, "kv_unified")? != 0,
            micro_batch: at_least_one(row, "n_ubatch")?,
            kv,
            full_windows: !matches!(row.cell("swa_full"), "" | "0"),
            flash_attention: row.cell("flash_attn") != "0",
        };
        if !ask.flash_attention && kv.block > 1 {
            return Err(RowError::NeedsFlash { kv: kv.name });
        }
        let outputs = match row.cell("n_outputs_max") {
            "" => ask.sequences,
            _ => whole(row, "n_outputs_max")?,
        };
        let layers = whole(row, "n_gpu_layers")?;
        let graph = |split| llama_graph(layout, GraphAsk { context: ask, outputs }, split);
        if !offload {
            if layers > 0 {
                return Err(RowError::Offloaded { layers });
            }
            let host = Split {
                weights_bytes: weights(layout, &recipe).loaded.get() as u64,
                context_bytes: llama_context(layout, ask).get() as u64,
                compute_bytes: graph(&Offload::none()).host.get() as u64,
            };
            return Ok(Figures { device: None, host });
        }
        let split = Offload::layers(u32::try_from(layers).unwrap_or(u32::MAX));
        let placed = place(layout, &tensor_sizes(layout, &recipe), ask, &split);
        let graph = graph(&split);
        let side = |share: crate::placement::Share, graph: localrig_facts::unit::Bytes| Split {
            weights_bytes: share.weights_bytes.get() as u64,
            context_bytes: share.context_bytes.get() as u64,
            compute_bytes: graph.get() as u64,
        };
        Ok(Figures {
            device: Some(side(placed.devices[0], graph.devices[0])),
            host: side(placed.host, graph.host),
        })
    }
}

fn whole(row: &Row<'_>, column: &'static str) -> Result<u64, RowError> {
    let text = row.cell(column);
    text.parse().map_err(|_| RowError::Cell {
        column,
        text: text.to_owned(),
        expected: "a whole number",
    })
}

fn at_least_one(row: &Row<'_>, column: &'static str) -> Result<u64, RowError> {
    match whole(row, column)? {
        0 => Err(RowError::Cell { column, text: "0".to_owned(), expected: "a positive number" }),
        number => Ok(number),
    }
}

/// The catalog entry of a model: by its id, by a repository it is published in, else by any name.
fn find_model<'a>(catalog: &'a Catalog, name: &str) -> Result<(&'a Id, &'a Model), RowError> {
    let models = catalog.all::<Model>()?;
    if let Some(found) = models.get_key_value(format!("model/{name}").as_str()) {
        return Ok(found);
    }
    let is_published_as = |model: &Model| {
        std::iter::once(&model.repository)
            .chain(model.published_as.values())
            .any(|repository| repository.to_lowercase() == name)
    };
    let found: Vec<_> = models.iter().filter(|(_, model)| is_published_as(model)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Ok(catalog.find::<Model>(name)?),
        _ => Err(RowError::Ambiguous {
            name: name.to_owned(),
            candidates: found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", "),
        }),
    }
}

fn table(rows: &[Prediction]) -> Vec<ArchitectureError> {
    let mut by_name: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
    for row in rows {
        by_name.entry(&row.architecture).or_default().push(row);
    }
    let mut table: Vec<_> =
        by_name.into_iter().map(|(name, rows)| architecture_error(name, &rows)).collect();
    table.push(architecture_error("all", &rows.iter().collect::<Vec<_>>()));
    table
}

fn architecture_error(name: &str, rows: &[&Prediction]) -> ArchitectureError {
    let pairs: Vec<(Figures, Figures)> =
        rows.iter().filter_map(|row| Some((row.predicted?, row.measured?))).collect();
    let same = |pick: fn(Split) -> u64| {
        let is_same = |(ours, theirs): &&(Figures, Figures)| {
            pick(ours.host) == pick(theirs.host)
                && pick(ours.device.unwrap_or_default()) == pick(theirs.device.unwrap_or_default())
        };
        pairs.iter().filter(is_same).count()
    };
    let relative = |ours: Split, theirs: Split| {
        let (ours, theirs) = (ours.compute_bytes as f64, theirs.compute_bytes as f64);
        if theirs > 0.0 { (ours / theirs - 1.0).abs() } else { f64::from(u8::from(ours > 0.0)) }
    };
    let sorted = |errors: Vec<f64>| {
        let mut errors = errors;
        errors.sort_by(f64::total_cmp);
        errors
    };
    let main = sorted(
        pairs
            .iter()
            .map(|(ours, theirs)| match (ours.device, theirs.device) {
                (Some(ours), Some(theirs)) => relative(ours, theirs),
                _ => relative(ours.host, theirs.host),
            })
            .collect(),
    );
    let beside = sorted(
        pairs
            .iter()
            .filter(|(ours, _)| ours.device.is_some())
            .map(|(ours, theirs)| relative(ours.host, theirs.host))
            .collect(),
    );
    let at = |errors: &[f64], share: f64| {
        errors.get((errors.len() as f64 * share) as usize).copied().unwrap_or(0.0)
    };
    ArchitectureError {
        architecture: name.to_owned(),
        rows: rows.len(),
        failed: rows.iter().filter(|row| row.predicted.is_none()).count(),
        compared: pairs.len(),
        weights_exact: same(|split| split.weights_bytes),
        context_exact: same(|split| split.context_bytes),
        compute_median: at(&main, 0.5),
        compute_p90: at(&main, 0.9),
        compute_max: main.last().copied().unwrap_or(0.0),
        host_compute_median: (!beside.is_empty()).then(|| at(&beside, 0.5)),
        host_compute_p90: (!beside.is_empty()).then(|| at(&beside, 0.9)),
    }
}
