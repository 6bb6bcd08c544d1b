//! What the header of a model file says: keys, tensors, sizes. Reading one is `world`'s work.

use std::collections::BTreeMap;

use serde::Serialize;

/// The header of a model file, of all its parts together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelFile {
    /// Where it was read: a path, an address, or `hf:ORG/REPO:FILE`.
    pub location: String,
    /// Kind of file.
    pub kind: FileKind,
    /// GGUF: `general.architecture` and so on. Safetensors: `config.json`, nested keys joined by
    /// dots. Long lists hold their length only.
    pub keys: BTreeMap<String, Value>,
    /// Every tensor, in the order of the file.
    pub tensors: Vec<FileTensor>,
    /// Parts the model is split into.
    pub parts: u32,
    /// Bytes of all headers.
    pub header_bytes: u64,
    /// Bytes of all parts, headers included.
    pub file_bytes: u64,
    /// Bytes that were read to learn this.
    pub read_bytes: u64,
}

/// A kind of model file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// GGUF version 2 or 3.
    #[default]
    Gguf,
    /// Safetensors with `config.json`.
    Safetensors,
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileTensor {
    /// Its name in the file.
    pub name: String,
    /// Dimensions as the file orders them: GGUF row length first, safetensors row length last.
    pub shape: Vec<u64>,
    /// Storage type: `q4_k` in GGUF, `BF16` in safetensors.
    pub kind: String,
    /// Bytes of its data.
    pub bytes: u64,
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Whole(i128),
    /// A fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A short list.
    List(Vec<Value>),
    /// A list too long to keep.
    Long {
        /// Its length.
        length: u64,
    },
}

impl Value {
    /// The value as a count.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => u64::try_from(*number).ok(),
            Self::Bool(flag) => Some(u64::from(*flag)),
            _ => None,
        }
    }

    /// The value as a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a list.
    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }
}

impl ModelFile {
    /// A key's value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key)
    }

    /// A key's value as a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// `general.architecture` or the `model_type` of the language model.
    pub fn architecture(&self) -> Option<&str> {
        match self.kind {
            FileKind::Gguf => self.text("general.architecture"),
            FileKind::Safetensors => {
                self.text("text_config.model_type").or_else(|| self.text("model_type"))
            }
        }
    }

    /// Bytes and number of tensors by storage type, most bytes first.
    pub fn by_type(&self) -> Vec<TypeTotal> {
        let mut totals: BTreeMap<&str, TypeTotal> = BTreeMap::new();
        for tensor in &self.tensors {
            let total = totals.entry(&tensor.kind).or_insert_with(|| TypeTotal {
                kind: tensor.kind.clone(),
                tensors: 0,
                bytes: 0,
            });
            total.tensors += 1;
            total.bytes += tensor.bytes;
        }
        let mut totals: Vec<_> = totals.into_values().collect();
        totals.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.kind.cmp(&b.kind)));
        totals
    }

    /// Bytes of all tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }
}

/// What a storage type takes in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeTotal {
    /// The type.
    pub kind: String,
    /// Tensors of it.
    pub tensors: u64,
    /// Their bytes.
    pub bytes: u64,
}
