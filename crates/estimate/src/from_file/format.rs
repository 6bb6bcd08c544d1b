//! How a file stores its weights: a format of the catalog, or one of its own.

use std::collections::BTreeMap;

use localrig_facts::Source;
use localrig_facts::format::{Container, Format, Precision, TensorType};
use localrig_facts::model_file::{FileKind, ModelFile, Value};
use localrig_facts::{Catalog, Id};

use super::{FileFormat, FromFileError};
use crate::architecture::Layout;
use crate::recipe::Recipe;

pub(super) fn of(
    catalog: &Catalog,
    file: &ModelFile,
    layout: &Layout,
    stem: &str,
    source: Source,
) -> Result<FileFormat, FromFileError> {
    match file.kind {
        FileKind::Gguf => gguf(catalog, file, layout, stem, source),
        FileKind::Safetensors => checkpoint(catalog, file),
    }
}

/// The recipe that gives every tensor the type it has, else the types themselves.
fn gguf(
    catalog: &Catalog,
    file: &ModelFile,
    layout: &Layout,
    stem: &str,
    source: Source,
) -> Result<FileFormat, FromFileError> {
    let kinds: BTreeMap<&str, &str> =
        file.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.kind.as_str())).collect();
    let mut same_types: Vec<(&Format, &Id)> = Vec::new();
    for (id, format) in catalog.all::<Format>()? {
        if format.container != Container::Gguf || format.default.is_none() {
            continue;
        }
        let Ok(recipe) = Recipe::new(catalog, id, format) else { continue };
        let types = recipe.types(layout);
        let same = layout.tensors.iter().zip(types).all(|(tensor, kind)| {
            let own = kinds.get(tensor.full_name().as_str());
            own.is_none_or(|own| kind.name.eq_ignore_ascii_case(own))
        });
        if same {
            same_types.push((format, id));
        }
    }
    // A recipe for experts does to a dense model what a plainer one does, and one whose blocks the
    // rows do not fill falls back to another's type: what the bulk is called names it better.
    let by_type = file.by_type();
    let bulk = by_type.first().map_or("f16", |total| total.kind.as_str());
    let plainest = same_types.into_iter().min_by_key(|(format, _)| {
        let other = format.default.as_deref() != Some(bulk);
        (other, format.rules.contains_key("stacked"), format.rules.len())
    });
    if let Some((_, id)) = plainest {
        return Ok(FileFormat::Known(id.clone()));
    }
    let known = catalog.all::<TensorType>()?;
    for kind in kinds.values() {
        if !known.contains_key(format!("tensor_type/{kind}").as_str()) {
            return Err(FromFileError::UnknownFormat {
                location: file.location.clone(),
                method: (*kind).to_owned(),
            });
        }
    }
    let elements: u64 = layout.tensors.iter().map(crate::architecture::Tensor::elements).sum();
    let bits = file.tensor_bytes() as f64 * 8.0 / elements.max(1) as f64;
    let format = Format {
        name: format!("weights of {stem}"),
        aliases: Vec::new(),
        container: Container::Gguf,
        precision: precision(bits),
        default: Some(bulk.to_owned()),
        rules: BTreeMap::new(),
        tensors: tensor_lists(file),
        nominal_bits: None,
        like: None,
        native: None,
        published_in: None,
        keeps: Vec::new(),
        sole: false,
        stands_in: false,
        notes: Vec::new(),
        sources: BTreeMap::from([("file".to_owned(), source)]),
    };
    Ok(FileFormat::Own(Id::new(format!("format/file/{stem}")), Box::new(format)))
}

/// The storage class of so many bits per weight.
fn precision(bits: f64) -> Precision {
    match bits {
        bits if bits < 3.6 => Precision::BelowFourBit,
        bits if bits < 5.2 => Precision::FourBit,
        bits if bits < 7.4 => Precision::SixBit,
        bits if bits < 12.0 => Precision::EightBit,
        bits if bits < 24.0 => Precision::SixteenBit,
        _ => Precision::ThirtyTwoBit,
    }
}

/// Type → tensors: `attn_v.weight 0-3,7` for layers, the plain name for what is outside.
fn tensor_lists(file: &ModelFile) -> BTreeMap<String, Vec<String>> {
    let mut lists: BTreeMap<&str, BTreeMap<&str, Vec<u32>>> = BTreeMap::new();
    for tensor in &file.tensors {
        let layer = tensor
            .name
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(layer, name)| Some((name, layer.parse().ok()?)));
        let list = lists.entry(&tensor.kind).or_default();
        match layer {
            Some((name, layer)) => list.entry(name).or_default().push(layer),
            None => {
                list.entry(&tensor.name).or_default();
            }
        }
    }
    let written = |(name, mut layers): (&str, Vec<u32>)| {
        layers.sort_unstable();
        if layers.is_empty() { name.to_owned() } else { format!("{name} {}", ranges(&layers)) }
    };
    lists
        .into_iter()
        .map(|(kind, names)| (kind.to_owned(), names.into_iter().map(written).collect()))
        .collect()
}

/// `0-3,7` of 0, 1, 2, 3, 7.
fn ranges(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let words = runs.into_iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    words.collect::<Vec<_>>().join(",")
}

/// The catalog's format for a checkpoint, by `quantization_config` or the bulk of its bytes.
fn checkpoint(catalog: &Catalog, file: &ModelFile) -> Result<FileFormat, FromFileError> {
    let text = |key: &str| {
        let nested = format!("text_config.{key}");
        file.text(key).or_else(|| file.text(&nested)).map(str::to_lowercase)
    };
    let number = |key: &str| file.get(key).and_then(Value::count);
    let quantization = "quantization_config";
    let method = text(&format!("{quantization}.quant_method"));
    let bits = number(&format!("{quantization}.bits"));
    let algorithm = text(&format!("{quantization}.quant_algo")).unwrap_or_default();
    let packed = text(&format!("{quantization}.format")).unwrap_or_default();
    let group = number(&format!("{quantization}.config_groups.group_0.weights.group_size"));
    let blocks = file.get(&format!("{quantization}.weight_block_size")).is_some();
    let name = match (method.as_deref(), bits) {
        (Some("awq"), Some(4) | None) => Some("awq-int4".to_owned()),
        (Some("gptq"), Some(4)) => Some("gptq-int4".to_owned()),
        (Some("gptq"), Some(8)) => Some("gptq-int8".to_owned()),
        (Some("fp8"), _) if blocks => Some("fp8-block".to_owned()),
        (Some("fp8" | "fbgemm_fp8"), _) => Some("fp8".to_owned()),
        (Some("mxfp4"), _) => Some("mxfp4".to_owned()),
        (Some("modelopt"), _) if algorithm.contains("nvfp4") => Some("nvfp4".to_owned()),
        (Some("modelopt"), _) if algorithm.contains("fp8") => Some("fp8".to_owned()),
        (Some("auto-round"), Some(4)) => Some("autoround-int4".to_owned()),
        (Some("compressed-tensors"), _) => match packed.as_str() {
            "float-quantized" => Some("fp8".to_owned()),
            "nvfp4-pack-quantized" => Some("nvfp4".to_owned()),
            "int-quantized" => Some("int8-w8a8".to_owned()),
            "pack-quantized" if group == Some(32) => Some("ct-int4-g32".to_owned()),
            "pack-quantized" => Some("gptq-int4".to_owned()),
            _ => None,
        },
        // ExLlama writes its own bits per weight into the same table.
        (Some(own @ ("exl2" | "exl3")), _) => {
            let bits = file.get(&format!("{quantization}.bits"));
            let bits = match bits {
                Some(Value::Float(bits)) => Some(*bits),
                Some(other) => other.count().map(|bits| bits as f64),
                None => None,
            };
            bits.map(|bits| format!("{own}-{bits:.1}"))
        }
        // MLX has a table of its own; group 64 is what its formats in the catalog stand for.
        (None, _) if number("quantization.bits").is_some() => {
            number("quantization.bits").map(|bits| format!("mlx-{bits}bit"))
        }
        (None, _) => match file.by_type().first().map(|total| total.kind.as_str()) {
            Some("BF16" | "F16") => Some("safetensors-bf16".to_owned()),
            Some("F8_E4M3") => Some("fp8".to_owned()),
            _ => None,
        },
        _ => None,
    };
    let method = || {
        method.clone().or_else(|| text("torch_dtype")).unwrap_or_else(|| {
            file.by_type().first().map_or_else(|| "nothing".to_owned(), |total| total.kind.clone())
        })
    };
    name.and_then(|name| catalog.get_in::<Format>(&name).ok())
        .map(|(id, _)| FileFormat::Known(id.clone()))
        .ok_or_else(|| FromFileError::UnknownFormat {
            location: file.location.clone(),
            method: method(),
        })
}
