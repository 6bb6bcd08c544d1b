//! Dimensions that no key of a header holds, from the shapes of its tensors.
//!
//! A family's list writes shapes as expressions: `[hidden, sliding_heads*head_dim] if sliding`. Where
//! a file has that tensor and all but one of the dimensions are known, the shape gives the last one.
//! So a family with a dimension of its own needs no line of code here.

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::model::Architecture;
use localrig_facts::model_file::FileTensor;

use crate::architecture::expression::{Expression, Operator};
use crate::architecture::line::{self, Line};

/// What is known of a file while its shapes are read.
pub(super) struct Known<'a> {
    /// The family.
    pub(super) architecture: &'a Architecture,
    /// Tensors by name.
    pub(super) shapes: &'a BTreeMap<&'a str, &'a FileTensor>,
    /// Tags of each main layer, joined by `+` and `:`.
    pub(super) layers: &'a [String],
    /// Flags of the model.
    pub(super) flags: &'a BTreeSet<String>,
}

/// Adds every dimension that shapes give and `dims` lacks.
pub(super) fn solve(known: &Known<'_>, dims: &mut BTreeMap<String, u64>) {
    let list = |text: &str| line::parse(text).unwrap_or_default();
    let global = list(&known.architecture.global_tensors);
    let per_layer = list(&known.architecture.layer_tensors);
    let derived: BTreeMap<&str, Expression> = known
        .architecture
        .derived
        .iter()
        .filter_map(|(name, text)| Some((name.as_str(), Expression::parse(text).ok()?)))
        .collect();
    loop {
        let before = dims.len();
        for line in &global {
            if let Some(tensor) = known.shapes.get(line.name.as_str()) {
                read(line, &tensor.shape, &derived, dims);
            }
        }
        for (index, tags) in known.layers.iter().enumerate() {
            for line in &per_layer {
                let Some(tensor) = known.shapes.get(format!("blk.{index}.{}", line.name).as_str())
                else {
                    continue;
                };
                if applies(known, line, index, tags, dims) {
                    read(line, &tensor.shape, &derived, dims);
                }
            }
        }
        if dims.len() == before {
            return;
        }
    }
}

/// Whether a line speaks of this layer. A condition on a dimension that is still unknown holds: the
/// tensor is there.
fn applies(
    known: &Known<'_>,
    line: &Line,
    index: usize,
    tags: &str,
    dims: &BTreeMap<String, u64>,
) -> bool {
    let has = |name: &str| known.shapes.contains_key(format!("blk.{index}.{name}").as_str());
    let is_tag = |word: &str| match word {
        "moe" => has("ffn_down_exps.weight"),
        "dense" => has("ffn_down.weight") && !has("ffn_down_exps.weight"),
        _ => tags.split(['+', ':']).any(|tag| tag == word),
    };
    let holds = |word: &str| {
        is_tag(word) || known.flags.contains(word) || dims.get(word).is_some_and(|own| *own > 0)
    };
    let is_unknown = |word: &str| {
        !dims.contains_key(word) && line.shape.iter().any(|expression| names(expression, word))
    };
    line.when.iter().all(|word| holds(word) || is_unknown(word))
        && !line.unless.iter().any(|word| holds(word))
}

fn names(expression: &Expression, word: &str) -> bool {
    let mut found = Vec::new();
    expression.names(&mut found);
    found.contains(&word)
}

/// Reads one tensor's shape against the line that describes it.
fn read(
    line: &Line,
    shape: &[u64],
    derived: &BTreeMap<&str, Expression>,
    dims: &mut BTreeMap<String, u64>,
) {
    // Files leave trailing ones out.
    for (expression, length) in line.shape.iter().zip(shape.iter().chain(std::iter::repeat(&1))) {
        let found = solved(expression, *length, derived, dims);
        if let Some((name, value)) = found {
            dims.insert(name, value);
        }
    }
}

/// A dimension's value, derived ones and the number of layers included.
fn value(
    expression: &Expression,
    derived: &BTreeMap<&str, Expression>,
    dims: &BTreeMap<String, u64>,
) -> Option<u64> {
    expression
        .value(&|name| {
            let name = if name == "layer_count" { "layers" } else { name };
            let inner = || value(derived.get(name)?, derived, dims);
            Ok(dims.get(name).copied().or_else(inner))
        })
        .ok()
}

/// The one name in an expression that is not known, with the value that makes the whole `target`.
fn solved(
    expression: &Expression,
    target: u64,
    derived: &BTreeMap<&str, Expression>,
    dims: &BTreeMap<String, u64>,
) -> Option<(String, u64)> {
    match expression {
        Expression::Number(_) => None,
        Expression::Name(name) => {
            let is_open = !dims.contains_key(name) && !derived.contains_key(name.as_str());
            (is_open && name != "layer_count").then(|| (name.clone(), target))
        }
        Expression::Operation(left, operator, right) => {
            let (a, b) = (value(left, derived, dims), value(right, derived, dims));
            let exact =
                |number: u64, by: u64| (by > 0 && number.is_multiple_of(by)).then(|| number / by);
            match (a, b) {
                (None, Some(b)) => {
                    let left_target = match operator {
                        Operator::Add => target.checked_sub(b)?,
                        Operator::Subtract => target.checked_add(b)?,
                        Operator::Multiply => exact(target, b)?,
                        Operator::Divide => target.checked_mul(b)?,
                    };
                    solved(left, left_target, derived, dims)
                }
                (Some(a), None) => {
                    let right_target = match operator {
                        Operator::Add => target.checked_sub(a)?,
                        Operator::Subtract => a.checked_sub(target)?,
                        Operator::Multiply => exact(target, a)?,
                        Operator::Divide => exact(a, target)?,
                    };
                    solved(right, right_target, derived, dims)
                }
                _ => None,
            }
        }
    }
}
