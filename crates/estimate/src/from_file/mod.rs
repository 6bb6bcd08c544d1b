//! A catalog entry from the header of a real model file.
//!
//! Keys and shapes give the dimensions of a family of the catalog; the family's rules then list the
//! tensors the model should have, and every one is compared with the file. So a file either is
//! understood, or the answer says which tensors are not as expected.

mod checkpoint;
mod config;
mod format;
mod gguf;
mod layers;
mod shape;

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::format::Format;
use localrig_facts::model::{Architecture, Modality, Model, Parameters};
use localrig_facts::model_file::{FileKind, ModelFile};
use localrig_facts::{Catalog, CatalogError, Id, PartialDate, Source, SourceKind};
use serde::Serialize;

use crate::architecture::expression::ExpressionError;
use crate::architecture::{LayoutError, layout};

/// Why a file does not become a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FromFileError {
    /// The catalog is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The header names no architecture.
    #[error("{location} names no architecture: key `{key}` is missing")]
    NoArchitecture {
        /// The file.
        location: String,
        /// The key.
        key: &'static str,
    },
    /// No family of the catalog describes it.
    #[error("{location}: architecture `{architecture}` is not in the catalog; known are {known}")]
    UnknownArchitecture {
        /// The file.
        location: String,
        /// Its architecture.
        architecture: String,
        /// What the catalog has.
        known: String,
    },
    /// A dimension the family needs is not in the header.
    #[error("{location}: no {dimension} in the header (looked for {looked_for})")]
    MissingDimension {
        /// The file.
        location: String,
        /// The dimension.
        dimension: String,
        /// Keys that could hold it, and tensors that could show it.
        looked_for: String,
    },
    /// The family's rules do not work out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The layers differ in a way the family has no word for.
    #[error("{location}: {problem}")]
    Layers {
        /// The file.
        location: String,
        /// What is wrong.
        problem: String,
    },
    /// The file's weights are stored in a way no format of the catalog describes.
    #[error("{location}: weights are stored as {method}, which no format of the catalog describes")]
    UnknownFormat {
        /// The file.
        location: String,
        /// How.
        method: String,
    },
}

/// A model and the format of its weights, as a file has them.
#[derive(Clone, Debug)]
pub struct FileModel {
    /// Id that the entry would have: `model/file/<name>`.
    pub id: Id,
    /// The entry.
    pub model: Model,
    /// How its weights are stored.
    pub format: FileFormat,
    /// Tensors that are not as the family's rules expect them, with both shapes; empty when the
    /// file is understood completely.
    pub differences: Vec<String>,
}

/// How a file's weights are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum FileFormat {
    /// Exactly as a format of the catalog has it.
    Known(Id),
    /// In a mixture of its own, type by type.
    Own(Id, Box<Format>),
}

impl FileFormat {
    /// Its id.
    pub const fn id(&self) -> &Id {
        match self {
            Self::Known(id) | Self::Own(id, _) => id,
        }
    }
}

impl FileModel {
    /// The entry as catalog files: path below `catalog/` and text. A format of its own comes with it.
    ///
    /// # Errors
    /// When a number in it has no place in TOML.
    pub fn files(&self) -> Result<Vec<(String, String)>, toml::ser::Error> {
        let mut files = vec![(format!("{}.toml", self.id), toml::to_string_pretty(&self.model)?)];
        if let FileFormat::Own(id, format) = &self.format {
            files.push((format!("{id}.toml"), toml::to_string_pretty(format)?));
        }
        Ok(files)
    }
}

/// What a header says of a model, in the catalog's terms.
#[derive(Clone, Debug, Default, Serialize)]
struct Header {
    dims: BTreeMap<String, u64>,
    flags: BTreeSet<String>,
    /// Tags of each main layer; empty where the family's own pattern holds.
    layers: Vec<String>,
    name: Option<String>,
    context_tokens: Option<u64>,
}

/// The catalog entry a file's header amounts to. `accessed` is the day it was read.
///
/// # Errors
/// When the architecture is unknown or the header lacks what its family needs.
pub fn model_of_file(
    catalog: &Catalog,
    file: &ModelFile,
    accessed: PartialDate,
) -> Result<FileModel, FromFileError> {
    let (family, architecture) = family(catalog, file)?;
    let mut header = match file.kind {
        FileKind::Gguf => gguf::header(file, architecture)?,
        FileKind::Safetensors => config::header(file, architecture)?,
    };
    // A family reads the dimensions its rules speak of; others would be refused as misspelt.
    let known = names(architecture);
    // Nought means that there is none; but latent attention without rotary positions is a model's own.
    header
        .dims
        .retain(|name, value| known.contains(name.as_str()) && (*value > 0 || name == "rope_dim"));
    header.flags.retain(|flag| architecture.flags.contains_key(flag));
    let stem = stem(file, header.name.as_deref());
    let id = Id::new(format!("model/file/{stem}"));
    let main = header.dims.get("layers").copied().unwrap_or(0);
    let own_layers = layers::written(&header.layers, &architecture.layers, main)
        .map_err(|problem| FromFileError::Layers { location: file.location.clone(), problem })?;
    let source = Source {
        url: Some(file.location.clone()).filter(|place| place.starts_with("http")),
        title: Some(format!("header of {}", file.location)),
        // A file on disk has no address others could read it at.
        kind: if file.location.starts_with("http") {
            SourceKind::Vendor
        } else {
            SourceKind::Derived
        },
        accessed,
        upstream: None,
        covers: vec!["*".to_owned()],
    };
    let mut model = Model {
        name: header.name.unwrap_or_else(|| stem.clone()),
        aliases: Vec::new(),
        repository: file.location.clone(),
        model_type: file.architecture().unwrap_or_default().to_owned(),
        architecture: Some(family.to_owned()),
        not_computed: None,
        released: None,
        licence: file.text("general.license").map(str::to_owned),
        modality: vec![Modality::Text],
        context_tokens: header.context_tokens.ok_or_else(|| FromFileError::MissingDimension {
            location: file.location.clone(),
            dimension: "context length".to_owned(),
            looked_for: "context_length, max_position_embeddings".to_owned(),
        })?,
        native_precision: None,
        gguf_repositories: Vec::new(),
        published_as: BTreeMap::new(),
        parameters: Parameters {
            total: 0,
            published: None,
            active: None,
            active_note: None,
            active_in_name_b: None,
            vision_and_other: None,
            agreement: None,
        },
        layers: own_layers,
        flags: header.flags.into_iter().collect(),
        dims: header.dims,
        rope: None,
        vision: None,
        notes: Vec::new(),
        sources: BTreeMap::from([("file".to_owned(), source.clone())]),
    };
    let layout = layout(catalog, &id, &model).map_err(|error| match &error {
        LayoutError::Expression { source: ExpressionError::MissingDimension { name }, .. } => {
            FromFileError::MissingDimension {
                location: file.location.clone(),
                looked_for: match file.kind {
                    FileKind::Gguf => gguf::looked_for(
                        file.architecture().unwrap_or_default(),
                        architecture,
                        name,
                    ),
                    FileKind::Safetensors => config::looked_for(name),
                },
                dimension: format!("dimension `{name}`"),
            }
        }
        _ => FromFileError::Layout(error),
    })?;
    model.parameters.total = layout.parameters().total;
    let differences = match file.kind {
        FileKind::Gguf => gguf::differences(file, &layout),
        FileKind::Safetensors => checkpoint::differences(file, &layout),
    };
    let format = format::of(catalog, file, &layout, &stem, source)?;
    Ok(FileModel { id, model, format, differences })
}

/// The family that describes a file.
fn family<'a>(
    catalog: &'a Catalog,
    file: &ModelFile,
) -> Result<(&'a str, &'a Architecture), FromFileError> {
    let key = match file.kind {
        FileKind::Gguf => "general.architecture",
        FileKind::Safetensors => "model_type of config.json",
    };
    let name = file
        .architecture()
        .ok_or_else(|| FromFileError::NoArchitecture { location: file.location.clone(), key })?;
    let of = |architecture: &'a Architecture| match file.kind {
        FileKind::Gguf => &architecture.gguf,
        FileKind::Safetensors => &architecture.model_types,
    };
    let all = catalog.all::<Architecture>()?;
    // The language model of a multimodal one is called after it: `qwen3_vl_text`.
    let outer = file.text("model_type").unwrap_or(name);
    [name, name.trim_end_matches("_text"), outer]
        .into_iter()
        .find_map(|name| all.iter().find(|(_, one)| of(one).iter().any(|own| own == name)))
        .map(|(id, architecture)| (id.short(), architecture))
        .ok_or_else(|| FromFileError::UnknownArchitecture {
            location: file.location.clone(),
            architecture: name.to_owned(),
            known: all.values().flat_map(of).map(String::as_str).collect::<Vec<_>>().join(", "),
        })
}

/// Every word in the rules of a family, and what every family knows.
fn names(architecture: &Architecture) -> BTreeSet<&str> {
    let rules = architecture.cache.values().flat_map(|rule| {
        [
            Some(&rule.k),
            Some(&rule.pair),
            rule.v.as_ref(),
            rule.window.as_ref(),
            rule.selects.as_ref(),
            rule.unless.as_ref(),
        ]
    });
    let texts = [&architecture.global_tensors, &architecture.layer_tensors]
        .into_iter()
        .chain(architecture.derived.values())
        .chain(architecture.state.values())
        .chain(rules.flatten());
    let is_part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    texts
        .flat_map(|text| text.split(is_part))
        .chain(crate::architecture::GENERAL_DIMS)
        .filter(|word| !word.is_empty())
        .collect()
}

/// A name for files: the model's own or the file's, in lower case.
fn stem(file: &ModelFile, name: Option<&str>) -> String {
    let place = file.location.trim_end_matches('/').rsplit(['/', ':', '\\']).next();
    let place = place.unwrap_or_default().trim_end_matches(".gguf");
    let place = place.trim_end_matches(".safetensors");
    let raw = if file.kind == FileKind::Gguf { place } else { name.unwrap_or(place) };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let text: String =
        raw.to_lowercase().chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let text = text.trim_matches(['-', '.']);
    if text.is_empty() { "model".to_owned() } else { text.to_owned() }
}
