//! The header of a real model file.

use std::collections::BTreeMap;

use localrig_estimate::from_file::FileModel;
use localrig_facts::figure::in_gib;
use localrig_facts::model_file::{ModelFile, Value};
use localrig_facts::unit::Bytes;
use serde::Serialize;

use crate::number::{billions, count, gib_words_fine};
use crate::page::{Page, Table, Text};

/// What a header says, and what it amounts to.
#[derive(Clone, Debug, Serialize)]
pub struct Inspected {
    /// The header.
    pub file: ModelFile,
    /// The name the model gives itself.
    pub name: Option<String>,
    /// Family of the catalog.
    pub architecture: Option<String>,
    /// All parameters.
    pub parameters: Option<u64>,
    /// Parameters read per token; absent = all, or not known.
    pub active_parameters: Option<u64>,
    /// Longest context it is made for.
    pub context_tokens: Option<u64>,
    /// Format of the catalog, or the file's own mixture.
    pub format: Option<String>,
    /// Tensors by storage type.
    pub types: Vec<TypeSum>,
    /// Tensors that are not as the family's rules expect them.
    pub differences: Vec<String>,
    /// Why nothing can be computed from it.
    pub problem: Option<String>,
}

/// Tensors of one storage type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeSum {
    /// The type.
    pub kind: String,
    /// Tensors.
    pub tensors: usize,
    /// Elements.
    pub elements: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Inspected {
    /// A header with the model it amounts to, or why it is none.
    pub fn new(file: ModelFile, model: Result<&FileModel, String>) -> Self {
        let mut sums: BTreeMap<&str, TypeSum> = BTreeMap::new();
        for tensor in &file.tensors {
            let sum = sums.entry(&tensor.kind).or_insert_with(|| TypeSum {
                kind: tensor.kind.clone(),
                tensors: 0,
                elements: 0,
                bytes: 0,
            });
            sum.tensors += 1;
            sum.elements = sum.elements.saturating_add(
                tensor.shape.iter().fold(1, |product: u64, one| product.saturating_mul(*one)),
            );
            sum.bytes = sum.bytes.saturating_add(tensor.bytes);
        }
        let mut types: Vec<TypeSum> = sums.into_values().collect();
        types.sort_by_key(|sum| std::cmp::Reverse(sum.bytes));
        let text = |key: &str| file.keys.get(key).and_then(Value::text).map(str::to_owned);
        let own_name = text("general.name").or_else(|| text("_name_or_path"));
        let own_family = text("general.architecture").or_else(|| text("model_type"));
        let known = model.as_ref().ok();
        Self {
            name: known.map(|one| one.model.name.clone()).or(own_name),
            architecture: own_family,
            parameters: known.map(|one| one.model.parameters.total),
            active_parameters: known.and_then(|one| one.model.parameters.active),
            context_tokens: known.map(|one| one.model.context_tokens),
            format: known.map(|one| one.format.id().to_string()),
            types,
            differences: known.map(|one| one.differences.clone()).unwrap_or_default(),
            problem: model.err(),
            file,
        }
    }
}

/// The page of a header; every tensor on request.
pub fn page(inspected: &Inspected, tensors: bool) -> Page {
    let file = &inspected.file;
    let unknown = || "not in the header".to_owned();
    let mut page = Page::default();
    page.heading(1, inspected.name.clone().unwrap_or_else(|| file.location.clone()));
    let mut table = Table::new(&["header", "value"]);
    let mut add = |name: &str, value: String| table.row([name.into(), value.into()]);
    add("read from", file.location.clone());
    add("parts", file.parts.to_string());
    add("architecture", inspected.architecture.clone().unwrap_or_else(unknown));
    add("parameters", inspected.parameters.map_or_else(unknown, billions));
    if let Some(active) = inspected.active_parameters {
        add("read per token", billions(active));
    }
    add(
        "context limit",
        inspected.context_tokens.map_or_else(unknown, |tokens| format!("{} tokens", count(tokens))),
    );
    add("format", inspected.format.clone().unwrap_or_else(|| "unknown".to_owned()));
    add("size of all parts", gib_words_fine(Bytes::new(file.file_bytes as f64)));
    add(
        "header",
        format!("{} bytes, {} bytes were read", count(file.header_bytes), count(file.read_bytes)),
    );
    page.table(table);
    page.heading(2, "Tensors by type");
    let mut table = Table::new(&["type", ">tensors", ">elements", ">GiB", ">bits each"]);
    for sum in &inspected.types {
        table.row([
            sum.kind.clone().into(),
            sum.tensors.to_string().into(),
            billions(sum.elements).into(),
            in_gib(Bytes::new(sum.bytes as f64), 3).into(),
            format!("{:.2}", sum.bytes as f64 * 8.0 / (sum.elements as f64).max(1.0)).into(),
        ]);
    }
    page.table(table);
    if let Some(problem) = &inspected.problem {
        page.paragraph(format!("Memory and speed cannot be computed from it: {problem}."));
    }
    if !inspected.differences.is_empty() {
        page.heading(2, "Tensors that are not as the family's rules expect them");
        page.list(inspected.differences.iter().map(|one| Text::from(one.clone())).collect());
    }
    if tensors {
        page.heading(2, "Tensors");
        let mut table = Table::new(&["name", ">shape", "type", ">bytes"]);
        for tensor in &file.tensors {
            let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
            table.row([
                tensor.name.clone().into(),
                shape.join(" x ").into(),
                tensor.kind.clone().into(),
                count(tensor.bytes).into(),
            ]);
        }
        page.table(table);
    }
    page
}

/// One tensor for CSV.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    shape: String,
    kind: &'a str,
    bytes: u64,
}

/// Every tensor as CSV.
///
/// # Errors
/// Never for these rows; the writer's signature.
pub fn csv(inspected: &Inspected) -> Result<String, csv::Error> {
    crate::rows(inspected.file.tensors.iter().map(|tensor| Row {
        name: &tensor.name,
        shape: tensor.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
        kind: &tensor.kind,
        bytes: tensor.bytes,
    }))
}
