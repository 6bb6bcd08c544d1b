//! Safetensors headers, their index and `config.json`.
//!
//! Format: <https://huggingface.co/docs/safetensors/index#format>: eight bytes with the length of
//! the header, the header as JSON, the data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use localrig_facts::model_file::{FileKind, FileTensor, ModelFile, Value};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::reader::{ByteSource, Header};
use super::{Files, Limits, ModelFileError};

/// Longest header that the format allows.
const HEADER: u64 = 100_000_000;
/// Longest list of `config.json` that is kept.
const LIST: usize = 4096;
/// How deeply objects of `config.json` are followed.
const DEPTH: u32 = 6;

/// One safetensors file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SafetensorsPart {
    /// Its tensors.
    pub tensors: Vec<FileTensor>,
    /// Where its data begins.
    pub header_bytes: u64,
    /// Its length.
    pub file_bytes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
}

/// Bits of an element by the format's name of the type.
fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => 8,
        "U16" | "I16" | "F16" | "BF16" => 16,
        "U32" | "I32" | "F32" => 32,
        "U64" | "I64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// Reads the header of one safetensors file.
///
/// # Errors
/// When it is none, is cut off or contradicts itself.
pub fn parse_safetensors(
    source: &mut dyn ByteSource,
    limits: &Limits,
) -> Result<SafetensorsPart, ModelFileError> {
    let mut header = Header::new(source, limits);
    let place = header.name().to_owned();
    let mut length = [0; 8];
    length.copy_from_slice(header.take(8, "the length of the header")?);
    let length = u64::from_le_bytes(length);
    let limit = HEADER.min(limits.header);
    if length > limit {
        return Err(ModelFileError::TooLarge { place, what: "a header", bytes: length, limit });
    }
    let entries: Entries = {
        let json = header.take(length, "the header")?;
        if json.first() != Some(&b'{') {
            let found = format!("`{}`", json[..json.len().min(8)].escape_ascii());
            return Err(ModelFileError::Magic { place, expected: "safetensors", found });
        }
        serde_json::from_slice(json).map_err(|error| ModelFileError::Json {
            place: place.clone(),
            message: error.to_string(),
        })?
    };
    if entries.0.len() as u64 > limits.tensors {
        return Err(ModelFileError::TooLarge {
            place,
            what: "number of tensors",
            bytes: entries.0.len() as u64,
            limit: limits.tensors,
        });
    }
    let malformed = |what: &str, problem| ModelFileError::Malformed {
        place: place.clone(),
        what: what.to_owned(),
        problem,
    };
    let start = header.position();
    let size = header.size();
    let mut tensors = Vec::new();
    let mut free = 0;
    let mut entries = entries.0;
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    for (name, entry) in entries {
        let [begin, end] = entry.data_offsets;
        let Some(bits) = bits(&entry.dtype) else {
            return Err(malformed(&name, "has a type this version does not know"));
        };
        let bytes = entry
            .shape
            .iter()
            .try_fold(bits, |product, length| product.checked_mul(*length))
            .map(|bits| bits.div_ceil(8));
        if end < begin || Some(end - begin) != bytes {
            return Err(malformed(&name, "its shape and its data have different sizes"));
        }
        if begin < free {
            return Err(malformed(&name, "its data overlaps another tensor's"));
        }
        free = end;
        let needed = start.saturating_add(end);
        if needed > size {
            return Err(ModelFileError::Truncated {
                place,
                what: format!("the data of {name}"),
                needed,
                size,
            });
        }
        tensors.push(FileTensor {
            name,
            shape: entry.shape,
            kind: entry.dtype,
            bytes: end - begin,
        });
    }
    Ok(SafetensorsPart {
        tensors,
        header_bytes: start,
        file_bytes: size,
        read_bytes: header.bytes_read(),
    })
}

/// A tensor as the header writes it.
#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Tensors by name, each once; the file's own remarks are left out.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
                let (mut entries, mut names) = (Vec::new(), BTreeSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    if !names.insert(name.clone()) {
                        let message = format!("tensor {name} appears twice");
                        return Err(serde::de::Error::custom(message));
                    }
                    entries.push((name, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(All)
    }
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files of `model.safetensors.index.json`, in order, with the tensors each must hold.
///
/// # Errors
/// When the text is no index, or a file lies elsewhere than beside it.
pub fn parse_index(
    place: &str,
    text: &[u8],
    limits: &Limits,
) -> Result<BTreeMap<String, BTreeSet<String>>, ModelFileError> {
    let index: Index = serde_json::from_slice(text).map_err(|error| ModelFileError::Json {
        place: place.to_owned(),
        message: error.to_string(),
    })?;
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, file) in index.weight_map {
        if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', ':', '\0']) {
            return Err(ModelFileError::Split {
                place: place.to_owned(),
                problem: format!("part `{}` is not a file beside the index", file.escape_debug()),
            });
        }
        files.entry(file).or_default().insert(tensor);
    }
    if files.is_empty() {
        let problem = "it names no parts".to_owned();
        return Err(ModelFileError::Split { place: place.to_owned(), problem });
    }
    if files.len() as u64 > limits.parts {
        return Err(ModelFileError::TooLarge {
            place: place.to_owned(),
            what: "number of parts",
            bytes: files.len() as u64,
            limit: limits.parts,
        });
    }
    Ok(files)
}

/// The keys of `config.json`, nested ones joined by dots.
///
/// # Errors
/// When the text is no JSON object.
pub fn parse_config(place: &str, text: &[u8]) -> Result<BTreeMap<String, Value>, ModelFileError> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&without_infinities(text)).map_err(|error| {
            ModelFileError::Json { place: place.to_owned(), message: error.to_string() }
        })?;
    let mut keys = BTreeMap::new();
    flatten("", object, DEPTH, &mut keys);
    Ok(keys)
}

/// Python writes `Infinity` and `NaN`, which JSON does not have: they become `null`, "not given".
fn without_infinities(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = text.get(at) {
        let rest = &text[at..];
        if !quoted {
            let word = ["-Infinity", "Infinity", "NaN"]
                .into_iter()
                .find(|word| rest.starts_with(word.as_bytes()));
            if let Some(word) = word {
                plain.extend_from_slice(b"null");
                at += word.len();
                continue;
            }
        }
        // An escaped character never ends a text.
        let length = if quoted && *byte == b'\\' { 2.min(rest.len()) } else { 1 };
        quoted ^= *byte == b'"';
        plain.extend_from_slice(&rest[..length]);
        at += length;
    }
    plain
}

fn flatten(
    prefix: &str,
    object: serde_json::Map<String, serde_json::Value>,
    depth: u32,
    keys: &mut BTreeMap<String, Value>,
) {
    for (name, value) in object {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            serde_json::Value::Object(inner) if depth > 0 => flatten(&key, inner, depth - 1, keys),
            other => {
                if let Some(value) = plain(other) {
                    keys.insert(key, value);
                }
            }
        }
    }
}

/// A value without objects; `None` for null, which stands for "not given".
fn plain(value: serde_json::Value) -> Option<Value> {
    match value {
        serde_json::Value::Null | serde_json::Value::Object(_) => None,
        serde_json::Value::Bool(flag) => Some(Value::Bool(flag)),
        serde_json::Value::Number(number) => Some(
            number
                .as_i128()
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Whole),
        ),
        serde_json::Value::String(text) => Some(Value::Text(text)),
        serde_json::Value::Array(list) if list.len() > LIST => {
            Some(Value::Long { length: list.len() as u64 })
        }
        serde_json::Value::Array(list) => {
            Some(Value::List(list.into_iter().filter_map(plain).collect()))
        }
    }
}

/// Reads a checkpoint from its index or its only file; `config.json` lies beside it.
pub(super) fn read_model(
    files: &Files,
    name: &str,
    limits: &Limits,
) -> Result<ModelFile, ModelFileError> {
    let mut model = ModelFile { kind: FileKind::Safetensors, ..ModelFile::default() };
    let mut part_of_index = None;
    if !name.ends_with(".index.json") {
        // A part of a split checkpoint leads to the whole.
        let index = "model.safetensors.index.json";
        if name.contains("-of-") {
            part_of_index = files.document(index, limits)?.map(|text| (index, text));
        }
    } else if let Some(text) = files.document(name, limits)? {
        part_of_index = Some((name, text));
    } else {
        return Err(ModelFileError::NoModel { place: name.to_owned() });
    }
    let parts = match &part_of_index {
        Some((index, text)) => {
            model.read_bytes += text.len() as u64;
            parse_index(index, text, limits)?
        }
        None => BTreeMap::from([(name.to_owned(), BTreeSet::new())]),
    };
    for (file, expected) in parts {
        let part = parse_safetensors(&mut *files.open(&file)?, limits)?;
        let held: BTreeSet<&str> = part.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        if let Some(lost) = expected.iter().find(|name| !held.contains(name.as_str())) {
            let problem = format!("the index places tensor {lost} in it, it is not there");
            return Err(ModelFileError::Split { place: file, problem });
        }
        model.parts += 1;
        model.tensors.extend(part.tensors);
        model.header_bytes += part.header_bytes;
        model.file_bytes += part.file_bytes;
        model.read_bytes += part.read_bytes;
    }
    if let Some(text) = files.document("config.json", limits)? {
        model.read_bytes += text.len() as u64;
        model.keys = parse_config("config.json", &text)?;
    }
    Ok(model)
}
