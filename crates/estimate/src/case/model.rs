//! From the model a row names to an entry of the catalog, or to an outline of what its name says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use localrig_facts::measured::SpeedRow;
use localrig_facts::model::{Modality, Model, Parameters};
use localrig_facts::{Catalog, CatalogError, Id};

/// A model as far as a row's words tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedModel<'a> {
    /// Its id.
    pub id: Id,
    /// The model.
    pub model: Cow<'a, Model>,
    /// What was taken for granted.
    pub remark: Option<String>,
}

/// The model of a row: by id, by name, by the base of a variant, or by the counts in the name.
///
/// # Errors
/// When nothing leads to a model and the name holds no parameter count.
pub fn model_of<'a>(catalog: &'a Catalog, row: &SpeedRow) -> Result<NamedModel<'a>, CatalogError> {
    let models = catalog.all::<Model>()?;
    let found = |id: &Id, model: &'a Model, remark| NamedModel {
        id: id.clone(),
        model: Cow::Borrowed(model),
        remark,
    };
    let wanted = row.model_id.to_lowercase();
    if let Some((id, model)) = models.get_key_value(format!("model/{wanted}").as_str()) {
        return Ok(found(id, model, None));
    }
    let published = |model: &&Model| {
        model.repository.to_lowercase() == wanted
            || model.published_as.values().any(|name| name.to_lowercase() == wanted)
    };
    if let Some((id, model)) = models.iter().find(|(_, model)| published(model)) {
        return Ok(found(id, model, None));
    }
    let short = wanted.rsplit('/').next().unwrap_or_default();
    let raw = row.model_raw.to_lowercase();
    let mut error = None;
    for text in [wanted.as_str(), short, raw.as_str()] {
        if text.is_empty() {
            continue;
        }
        match catalog.find::<Model>(text) {
            Ok((id, model)) => return Ok(found(id, model, None)),
            Err(one) => error = error.or(Some(one)),
        }
    }
    // A variant of a known model: `qwen3-8b-instruct-2507-abliterated` is a `qwen3-8b`.
    let bare = |text: &str| -> String {
        let noise = |word: &&str| !NOISE.contains(word);
        let words = text.split(['-', '_', ' ', ':', '/']).filter(|word| !word.is_empty());
        words.filter(noise).collect::<Vec<_>>().join("-")
    };
    let target = bare(short);
    let alike = models
        .iter()
        .filter(|(id, _)| {
            let own = bare(id.short());
            own == target || (own.len() > 4 && target.starts_with(&format!("{own}-")))
        })
        .max_by_key(|(id, _)| bare(id.short()).len());
    if let Some((id, model)) = alike {
        let remark = format!("model `{}` is not in the catalog: taken as {id}", row.model_id);
        return Ok(found(id, model, Some(remark)));
    }
    if let Some((total, active)) = counts(short).or_else(|| counts(&raw)) {
        let remark = format!(
            "model `{}` is not in the catalog: an outline of {:.1} B parameters",
            row.model_id,
            total / 1e9
        );
        return Ok(NamedModel {
            id: Id::new(format!("model/{wanted}")),
            model: Cow::Owned(nameless(&row.model_id, total, active)),
            remark: Some(remark),
        });
    }
    Err(error.unwrap_or(CatalogError::Missing { id: format!("model/{wanted}") }))
}

/// Words of a model's name that do not change its shape.
const NOISE: [&str; 24] = [
    "instruct",
    "it",
    "chat",
    "base",
    "hf",
    "gguf",
    "thinking",
    "reasoning",
    "preview",
    "latest",
    "abliterated",
    "awq",
    "gptq",
    "fp8",
    "nvfp4",
    "bf16",
    "mxfp4",
    "int4",
    "int8",
    "4bit",
    "8bit",
    "mlx",
    "unsloth",
    "qat",
];

/// Total and active parameters in a name: `qwen3-30b-a3b` → 30e9 and 3e9.
fn counts(name: &str) -> Option<(f64, Option<f64>)> {
    let (mut total, mut active) = (None, None);
    for word in name.to_lowercase().split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')) {
        let (digits, is_active) = match word.strip_prefix('a') {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let scaled = digits
            .strip_suffix('b')
            .map(|number| (number, 1e9))
            .or_else(|| digits.strip_suffix('m').map(|number| (number, 1e6)));
        let Some((number, scale)) = scaled else { continue };
        let value = match number.split_once('x') {
            Some((many, each)) => many.parse::<f64>().ok().zip(each.parse::<f64>().ok()),
            None => number.parse::<f64>().ok().map(|value| (1.0, value)),
        };
        let Some((many, each)) = value else { continue };
        if is_active {
            active = Some(each * scale);
        } else if total.is_none() {
            // Copies of experts share attention and embedding: about nine tenths are copied.
            let shared = if many > 1.0 { 0.87 } else { 1.0 };
            total = Some(many * each * scale * shared);
            if many > 1.0 {
                active = Some(2.0 * each * scale * 0.9);
            }
        }
    }
    total.map(|total| (total, active))
}

fn nameless(name: &str, total: f64, active: Option<f64>) -> Model {
    Model {
        name: name.to_owned(),
        aliases: Vec::new(),
        repository: name.to_owned(),
        model_type: String::new(),
        architecture: None,
        not_computed: None,
        released: None,
        licence: None,
        modality: vec![Modality::Text],
        context_tokens: u64::MAX,
        native_precision: None,
        gguf_repositories: Vec::new(),
        published_as: BTreeMap::new(),
        parameters: Parameters {
            total: total as u64,
            published: None,
            active: active.map(|count| count as u64),
            active_note: None,
            active_in_name_b: None,
            vision_and_other: None,
            agreement: None,
        },
        layers: None,
        flags: Vec::new(),
        dims: BTreeMap::new(),
        rope: None,
        vision: None,
        notes: Vec::new(),
        sources: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_names() {
        assert_eq!(counts("qwen3-30b-a3b"), Some((30e9, Some(3e9))));
        assert_eq!(counts("acme-7.5b-chat"), Some((7.5e9, None)));
        assert_eq!(counts("smollm-360m"), Some((360e6, None)));
        assert_eq!(counts("mixtral-8x7b").map(|both| both.1.is_some()), Some(true));
        assert_eq!(counts("phi"), None);
    }
}
