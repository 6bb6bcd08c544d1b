//! GGUF headers, versions 2 and 3, whole files and split ones.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::model_file::{FileKind, FileTensor, ModelFile, Value};

use super::reader::{ByteSource, Header};
use super::{Files, Limits, ModelFileError};

/// One GGUF file: the whole model or a part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GgufPart {
    /// Its keys.
    pub keys: BTreeMap<String, Value>,
    /// Its tensors.
    pub tensors: Vec<FileTensor>,
    /// Where its data begins.
    pub header_bytes: u64,
    /// Its length.
    pub file_bytes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
}

/// Storage types by their number in the file: name as in the catalog, weights and bytes of a block.
/// Source: gguf-py `constants.py`, `GGMLQuantizationType` and `GGML_QUANT_SIZES`.
const TYPES: [(u32, &str, u64, u64); 36] = [
    (0, "f32", 1, 4),
    (1, "f16", 1, 2),
    (2, "q4_0", 32, 18),
    (3, "q4_1", 32, 20),
    (6, "q5_0", 32, 22),
    (7, "q5_1", 32, 24),
    (8, "q8_0", 32, 34),
    (9, "q8_1", 32, 40),
    (10, "q2_k", 256, 84),
    (11, "q3_k", 256, 110),
    (12, "q4_k", 256, 144),
    (13, "q5_k", 256, 176),
    (14, "q6_k", 256, 210),
    (15, "q8_k", 256, 292),
    (16, "iq2_xxs", 256, 66),
    (17, "iq2_xs", 256, 74),
    (18, "iq3_xxs", 256, 98),
    (19, "iq1_s", 256, 50),
    (20, "iq4_nl", 32, 18),
    (21, "iq3_s", 256, 110),
    (22, "iq2_s", 256, 82),
    (23, "iq4_xs", 256, 136),
    (24, "i8", 1, 1),
    (25, "i16", 1, 2),
    (26, "i32", 1, 4),
    (27, "i64", 1, 8),
    (28, "f64", 1, 8),
    (29, "iq1_m", 256, 56),
    (30, "bf16", 1, 2),
    (34, "tq1_0", 256, 54),
    (35, "tq2_0", 256, 66),
    (39, "mxfp4", 32, 17),
    (40, "nvfp4", 64, 36),
    (41, "q1_0", 128, 18),
    (42, "q2_0", 64, 18),
    (u32::MAX, "", 1, 1),
];

/// Longest key, and longest name of a tensor.
const NAME: u64 = 4096;
/// Longest text that is kept; longer ones are cut off here.
const TEXT: u64 = 64 << 10;
/// Longest list that is kept: per-layer numbers, not vocabularies.
const LIST: u64 = 4096;
/// Values and bytes of text kept of a whole file.
const KEPT: u64 = 4 << 20;
/// How deeply lists may nest.
const DEPTH: u32 = 4;
/// Most keys.
const KEYS: u64 = 65_536;

/// Reads the header of one GGUF file.
///
/// # Errors
/// When it is none, is cut off, contradicts itself or claims more than any model has.
pub fn parse_gguf(
    source: &mut dyn ByteSource,
    limits: &Limits,
) -> Result<GgufPart, ModelFileError> {
    let mut parser = Parser { header: Header::new(source, limits), kept: KEPT };
    let (keys, tensors_claimed) = parser.keys(limits)?;
    let (tensors, offsets) = parser.tensors(tensors_claimed)?;
    let alignment = match keys.get("general.alignment").map(Value::count) {
        None => 32,
        Some(Some(own)) if own.is_power_of_two() && own <= 1 << 20 => own,
        Some(_) => return Err(parser.malformed("general.alignment", "is no power of two")),
    };
    let header_bytes = parser.header.position().next_multiple_of(alignment);
    parser.check_data(&tensors, &offsets, alignment, header_bytes)?;
    Ok(GgufPart {
        keys,
        tensors,
        header_bytes,
        file_bytes: parser.header.size(),
        read_bytes: parser.header.bytes_read(),
    })
}

struct Parser<'a> {
    header: Header<'a>,
    /// Values and bytes of text that may still be kept.
    kept: u64,
}

impl Parser<'_> {
    /// The keys, and how many tensors the file claims.
    fn keys(&mut self, limits: &Limits) -> Result<(BTreeMap<String, Value>, u64), ModelFileError> {
        let place = self.header.name().to_owned();
        // A file too short to hold even the magic is of another kind.
        let length = self.header.size().min(4);
        let magic = self.header.take(length, "the magic number")?;
        if magic != b"GGUF" {
            let found = match magic {
                [] => "nothing".to_owned(),
                bytes => format!("`{}`", bytes.escape_ascii()),
            };
            return Err(ModelFileError::Magic { place, expected: "GGUF", found });
        }
        let version = self.u32("the version")?;
        if !(2..=3).contains(&version) {
            if (2..=3).contains(&version.swap_bytes()) {
                return Err(self.malformed("the version", "the file is big-endian"));
            }
            return Err(ModelFileError::Version { place, version });
        }
        let tensors = self.u64("the number of tensors")?;
        let keys = self.u64("the number of keys")?;
        // No name, no dimension: the shortest tensor takes 24 bytes, the shortest key 13.
        self.claim("number of tensors", tensors, limits.tensors, 24)?;
        self.claim("number of keys", keys, KEYS, 13)?;
        let mut found = BTreeMap::new();
        for _ in 0..keys {
            let key = self.name("a key")?;
            let kind = self.u32(&key)?;
            let value = self.value(kind, &key, DEPTH)?;
            if found.insert(key.clone(), value).is_some() {
                return Err(self.malformed(&key, "the key appears twice"));
            }
        }
        Ok((found, tensors))
    }

    /// Refuses a count before anything is set aside for it.
    fn claim(
        &self,
        what: &'static str,
        count: u64,
        limit: u64,
        least: u64,
    ) -> Result<(), ModelFileError> {
        let place = || self.header.name().to_owned();
        if count > limit {
            return Err(ModelFileError::TooLarge { place: place(), what, bytes: count, limit });
        }
        let needed = self.header.position().saturating_add(count.saturating_mul(least));
        if needed > self.header.size() {
            let (what, size) = (format!("the claimed {what}, {count},"), self.header.size());
            return Err(ModelFileError::Truncated { place: place(), what, needed, size });
        }
        Ok(())
    }

    fn tensors(&mut self, count: u64) -> Result<(Vec<FileTensor>, Vec<u64>), ModelFileError> {
        let (mut tensors, mut offsets) = (Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for _ in 0..count {
            let name = self.name("the name of a tensor")?;
            let dimensions = self.u32(&name)?;
            if !(1..=4).contains(&dimensions) {
                return Err(self.malformed(&name, "a tensor has one to four dimensions"));
            }
            let mut shape = Vec::new();
            for _ in 0..dimensions {
                shape.push(self.u64(&name)?);
            }
            let number = self.u32(&name)?;
            let offset = self.u64(&name)?;
            let Some((_, kind, block, size)) =
                TYPES.into_iter().find(|(own, ..)| *own == number && *own != u32::MAX)
            else {
                return Err(self.malformed(&name, "has a storage type this version does not know"));
            };
            if shape[0] % block != 0 {
                return Err(
                    self.malformed(&name, "its row is no multiple of the storage type's block")
                );
            }
            let bytes = shape
                .iter()
                .try_fold(1_u64, |product, length| product.checked_mul(*length))
                .and_then(|elements| (elements / block).checked_mul(size));
            let Some(bytes) = bytes.filter(|bytes| *bytes > 0) else {
                return Err(self.malformed(&name, "its shape is empty or overflows"));
            };
            if !names.insert(name.clone()) {
                return Err(self.malformed(&name, "the tensor appears twice"));
            }
            tensors.push(FileTensor { name, shape, kind: kind.to_owned(), bytes });
            offsets.push(offset);
        }
        Ok((tensors, offsets))
    }

    /// Every tensor's data must lie in the file, aligned, apart from all others.
    fn check_data(
        &self,
        tensors: &[FileTensor],
        offsets: &[u64],
        alignment: u64,
        start: u64,
    ) -> Result<(), ModelFileError> {
        let mut order: Vec<usize> = (0..tensors.len()).collect();
        order.sort_by_key(|index| offsets[*index]);
        let mut free = 0;
        for index in order {
            let (tensor, offset) = (&tensors[index], offsets[index]);
            if offset % alignment != 0 {
                return Err(self.malformed(&tensor.name, "its data is not aligned"));
            }
            if offset < free {
                return Err(self.malformed(&tensor.name, "its data overlaps another tensor's"));
            }
            free = offset.saturating_add(tensor.bytes);
            let needed = start.saturating_add(free);
            if needed > self.header.size() {
                return Err(ModelFileError::Truncated {
                    place: self.header.name().to_owned(),
                    what: format!("the data of {}", tensor.name),
                    needed,
                    size: self.header.size(),
                });
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: u32, key: &str, depth: u32) -> Result<Value, ModelFileError> {
        let whole = |number: i128| Ok(Value::Whole(number));
        match kind {
            0 => whole(i128::from(u8::from_le_bytes(self.array(key)?))),
            1 => whole(i128::from(i8::from_le_bytes(self.array(key)?))),
            2 => whole(i128::from(u16::from_le_bytes(self.array(key)?))),
            3 => whole(i128::from(i16::from_le_bytes(self.array(key)?))),
            4 => whole(i128::from(u32::from_le_bytes(self.array(key)?))),
            5 => whole(i128::from(i32::from_le_bytes(self.array(key)?))),
            6 => Ok(Value::Float(f64::from(f32::from_le_bytes(self.array(key)?)))),
            7 => Ok(Value::Bool(self.array::<1>(key)?[0] != 0)),
            8 => {
                let length = self.u64(key)?;
                self.text(length, key)
            }
            9 => self.list(key, depth),
            10 => whole(i128::from(u64::from_le_bytes(self.array(key)?))),
            11 => whole(i128::from(i64::from_le_bytes(self.array(key)?))),
            12 => Ok(Value::Float(f64::from_le_bytes(self.array(key)?))),
            _ => Err(self.malformed(key, "its value has an unknown type")),
        }
    }

    /// A text, cut off where it is longer than anything this program looks at.
    fn text(&mut self, length: u64, key: &str) -> Result<Value, ModelFileError> {
        let keep = length.min(TEXT).min(self.kept);
        let text = String::from_utf8_lossy(self.header.take(keep, key)?).into_owned();
        self.kept -= keep;
        self.header.skip(length - keep, key)?;
        Ok(Value::Text(text))
    }

    fn list(&mut self, key: &str, depth: u32) -> Result<Value, ModelFileError> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(self.malformed(key, "lists nest too deeply"));
        };
        let kind = self.u32(key)?;
        let length = self.u64(key)?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => 0,
            9 => 12,
            _ => return Err(self.malformed(key, "its list has an unknown type")),
        };
        // The shortest text is its length alone.
        let least = if kind == 8 { 8 } else { width };
        let room = self.header.size() - self.header.position();
        if length.saturating_mul(least) > room {
            return Err(ModelFileError::Truncated {
                place: self.header.name().to_owned(),
                what: format!("the list {key} of {length} values"),
                needed: self.header.position().saturating_add(length.saturating_mul(least)),
                size: self.header.size(),
            });
        }
        if length <= LIST && length <= self.kept {
            self.kept -= length;
            let mut list = Vec::new();
            for _ in 0..length {
                list.push(self.value(kind, key, deeper)?);
            }
            return Ok(Value::List(list));
        }
        match kind {
            8 => {
                for _ in 0..length {
                    let text = self.u64(key)?;
                    self.header.skip(text, key)?;
                }
            }
            9 => return Err(self.malformed(key, "a list of lists is too long")),
            _ => self.header.skip(length * width, key)?,
        }
        Ok(Value::Long { length })
    }

    fn name(&mut self, what: &str) -> Result<String, ModelFileError> {
        let length = self.u64(what)?;
        if length > NAME {
            return Err(ModelFileError::TooLarge {
                place: self.header.name().to_owned(),
                what: "a name",
                bytes: length,
                limit: NAME,
            });
        }
        let bytes = self.header.take(length, what)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.malformed(what, "it is not UTF-8"))
    }

    fn u32(&mut self, what: &str) -> Result<u32, ModelFileError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, ModelFileError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ModelFileError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.header.take(N as u64, what)?);
        Ok(bytes)
    }

    fn malformed(&self, what: &str, problem: &'static str) -> ModelFileError {
        ModelFileError::Malformed {
            place: self.header.name().to_owned(),
            what: what.to_owned(),
            problem,
        }
    }
}

/// The number and count in `model-00002-of-00003.gguf`, with what stands before.
pub(super) fn split_name(name: &str) -> Option<(&str, u64, u64)> {
    let stem = name.strip_suffix(".gguf")?;
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (prefix, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| {
        let is = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        is.then(|| text.parse().ok()).flatten()
    };
    Some((prefix, digits(number)?, digits(count)?))
}

/// Reads a model from one of its files; the others lie beside it.
pub(super) fn read_model(
    files: &Files,
    name: &str,
    limits: &Limits,
) -> Result<ModelFile, ModelFileError> {
    let part = parse_gguf(&mut *files.open(name)?, limits)?;
    let count = part.keys.get("split.count").and_then(Value::count).unwrap_or(1);
    if count <= 1 {
        return Ok(join(vec![part]));
    }
    let split =
        |place: &str, problem: String| ModelFileError::Split { place: place.to_owned(), problem };
    if count > limits.parts {
        return Err(ModelFileError::TooLarge {
            place: name.to_owned(),
            what: "number of parts",
            bytes: count,
            limit: limits.parts,
        });
    }
    let Some((prefix, _, in_name)) = split_name(name) else {
        let problem = format!(
            "it is one of {count} parts, so its name must end in -00001-of-{count:05}.gguf"
        );
        return Err(split(name, problem));
    };
    if in_name != count {
        return Err(split(
            name,
            format!("it says it is one of {count} parts, its name says {in_name}"),
        ));
    }
    let mut parts = Vec::new();
    let mut first = Some(part);
    for number in 0..count {
        let sibling = format!("{prefix}-{:05}-of-{count:05}.gguf", number + 1);
        let part = match first.take_if(|_| sibling == name) {
            Some(part) => part,
            None => parse_gguf(&mut *files.open(&sibling)?, limits)?,
        };
        let says = |key: &str| part.keys.get(key).and_then(Value::count);
        if says("split.no") != Some(number) || says("split.count") != Some(count) {
            let own =
                says("split.no").map_or_else(|| "none".to_owned(), |own| (own + 1).to_string());
            let problem =
                format!("it should be part {} of {count} and says it is {own}", number + 1);
            return Err(split(&sibling, problem));
        }
        parts.push(part);
    }
    let claimed = parts[0].keys.get("split.tensors.count").and_then(Value::count);
    let model = join(parts);
    let mut names = BTreeSet::new();
    if let Some(twice) = model.tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
        return Err(split(name, format!("tensor {} is in two parts", twice.name)));
    }
    if claimed.is_some_and(|claimed| claimed != model.tensors.len() as u64) {
        let problem = format!(
            "the first part promises {} tensors, all parts together have {}",
            claimed.unwrap_or(0),
            model.tensors.len()
        );
        return Err(split(name, problem));
    }
    Ok(model)
}

/// Parts as one model: the first part holds the keys.
fn join(parts: Vec<GgufPart>) -> ModelFile {
    let mut model = ModelFile { kind: FileKind::Gguf, ..ModelFile::default() };
    for part in parts {
        if model.parts == 0 {
            model.keys = part.keys;
        }
        model.parts += 1;
        model.tensors.extend(part.tensors);
        model.header_bytes += part.header_bytes;
        model.file_bytes += part.file_bytes;
        model.read_bytes += part.read_bytes;
    }
    model
}
