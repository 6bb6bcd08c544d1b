//! From the format a row names to a recipe whose bytes can be counted.

use localrig_facts::engine::Engine;
use localrig_facts::format::{Container, Format};
use localrig_facts::{Catalog, CatalogError, Id};

/// A format as far as a row's words tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedFormat<'a> {
    /// Its id.
    pub id: &'a Id,
    /// The recipe that is counted.
    pub format: &'a Format,
    /// Bits per weight of the real files, where the recipe only stands in for another.
    pub nominal_bits: Option<f64>,
    /// What was taken for granted.
    pub remark: Option<String>,
}

/// The format of a name, in the kind of files that the engine prefers.
///
/// # Errors
/// When nothing in the name tells how many bits a weight takes.
pub fn format_of<'a>(
    catalog: &'a Catalog,
    engine: &Engine,
    name: &str,
) -> Result<NamedFormat<'a>, CatalogError> {
    let formats = catalog.all::<Format>()?;
    let wanted = plain(name);
    // `BF16 (safetensors)` and `BF16 GGUF` are both BF16, each in its own kind of file.
    let first_word = |text: &str| plain(text.split([' ', '(']).next().unwrap_or_default());
    let precise = |id: &Id, format: &Format| {
        plain(id.short()) == wanted
            || plain(&format.name) == wanted
            || format.aliases.iter().any(|alias| plain(alias) == wanted)
    };
    let loose = |format: &Format| {
        first_word(&format.name) == wanted
            || format.aliases.iter().any(|alias| first_word(alias) == wanted)
    };
    let found = formats
        .iter()
        .filter(|(id, format)| precise(id, format) || loose(format))
        .min_by_key(|(id, format)| {
            (engine.preference(format.container).unwrap_or(usize::MAX), !precise(id, format))
        });
    if let Some((id, format)) = found {
        return computable(catalog, id, format, None);
    }
    if let Some((id, bits)) = guess(engine, &wanted) {
        let (id, format) = catalog.get_in::<Format>(id)?;
        let remark = format!("format `{name}` is not in the catalog: counted as {}", format.name);
        let named = computable(catalog, id, format, Some(remark))?;
        return Ok(NamedFormat { nominal_bits: bits.or(named.nominal_bits), ..named });
    }
    catalog.find::<Format>(name).and_then(|(id, format)| computable(catalog, id, format, None))
}

fn plain(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '_'], "-")
}

/// The format itself, or the recipe that stands in for it.
fn computable<'a>(
    catalog: &'a Catalog,
    id: &'a Id,
    format: &'a Format,
    remark: Option<String>,
) -> Result<NamedFormat<'a>, CatalogError> {
    let mut counted = (id, format);
    if let Some(like) = &format.like {
        counted = catalog.get_in::<Format>(like)?;
    }
    Ok(NamedFormat { id: counted.0, format: counted.1, nominal_bits: format.nominal_bits, remark })
}

/// A catalog format by the words quantizers use in names, and the bits per weight if they say so.
fn guess(engine: &Engine, name: &str) -> Option<(&'static str, Option<f64>)> {
    let has = |part: &str| name.contains(part);
    let prefers = |container| engine.preference(container) == Some(0);
    let sixteen = has("bf16") || has("fp16") || has("f16") || has("16bit") || has("16-bit");
    if prefers(Container::Gguf) {
        let known = match name.trim_start_matches("ud-").trim_start_matches("i1-") {
            _ if has("bf16") => "bf16",
            _ if sixteen => "f16",
            _ if has("mxfp4") => "mxfp4_moe",
            one if one.starts_with("iq4-nl") => "iq4_nl",
            one if one.starts_with("iq4") => "iq4_xs",
            one => match whole_bits(one)? {
                1 | 2 => "q2_k",
                3 => "q3_k_m",
                4 => "q4_k_m",
                5 => "q5_k_m",
                6 => "q6_k",
                8 => "q8_0",
                _ => return None,
            },
        };
        return Some((known, None));
    }
    if prefers(Container::Mlx) {
        let known = match whole_bits(name) {
            _ if sixteen => "mlx-bf16",
            Some(2) => "mlx-2bit",
            Some(3) => "mlx-3bit",
            Some(4) => "mlx-4bit",
            Some(5) => "mlx-5bit",
            Some(6) => "mlx-6bit",
            Some(8) => "mlx-8bit",
            _ => return None,
        };
        return Some((known, None));
    }
    if prefers(Container::Exl3) || prefers(Container::Exl2) {
        let bits = exact_bits(name)?;
        let known = match bits {
            ..2.5 => "exl3-2.0",
            ..3.5 => "exl3-3.0",
            ..4.5 => "exl3-4.0",
            ..5.5 => "exl3-5.0",
            ..7.0 => "exl3-6.0",
            _ => "exl3-8.0",
        };
        return Some((known, Some(bits)));
    }
    let known = match name {
        _ if has("mxfp4") => "mxfp4",
        _ if has("fp4") || has("nvf4") => "nvfp4",
        _ if has("fp8") || has("float8") => "fp8",
        _ if sixteen => "safetensors-bf16",
        _ if has("w8a8") => "int8-w8a8",
        _ if has("awq") => "awq-int4",
        _ if has("w4") || has("int4") || has("4bit") || has("4-bit") || has("nf4") => "gptq-int4",
        _ if has("w8") || has("int8") || has("8bit") || has("8-bit") => "gptq-int8",
        _ if has("gptq") => "gptq-int4",
        _ => return None,
    };
    Some((known, None))
}

/// The first digit of a name: `q4-k-m` → 4.
fn whole_bits(name: &str) -> Option<u32> {
    name.chars().find(char::is_ascii_digit).and_then(|digit| digit.to_digit(10))
}

/// The bits at the end of a name: `exl2-4.65` → 4.65, `4.0bpw` → 4.
fn exact_bits(name: &str) -> Option<f64> {
    let number = |c: char| c.is_ascii_digit() || c == '.';
    let words = name.split(|c: char| !number(c)).filter(|word| !word.is_empty());
    words.rev().filter_map(|word| word.parse().ok()).find(|bits| (1.0..=16.0).contains(bits))
}
