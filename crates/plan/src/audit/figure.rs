//! Figures in running text and in table cells: patterns of what people say, in English and German,
//! and numbers in the ways of both.

use std::sync::LazyLock;

use localrig_facts::claim::Quantity;
use regex::{Captures, Regex};

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        pub(super) static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a pattern that compiles"));
    };
}

/// A figure or a range of figures; separators of thousands and of decimals of both languages.
const FIGURES: &str = r"(?:~|≈|about |around |roughly |rund |etwa |ca\. ?)?\s?(\d[\d.,'’\x{a0}\x{202f}]*\d|\d)(?:\s?(?:-|–|to|bis)\s?~?(\d[\d.,'’\x{a0}\x{202f}]*\d|\d))?";

pattern!(
    SEVERAL,
    r"(?i)\b[2-9]\s?[x×]\s|\b(?:two|three|four|both|dual|pair of|zwei|drei|vier|beide)\s(?:\w+\s)?(?:RTX|GeForce|Radeon|Quadro|Tesla|DGX|GB10|Arc|cards?\b|GPUs?\b|Karten\b|\d{4}s?\b)"
);
pattern!(TOKENS, r"(?i)\b(\d+(?:[.,]\d+)?)\s?([km])\b");
pattern!(WHOLE_TOKENS, r"(?i)\b(\d{1,3}(?:[.,'’\x{202f}]\d{3})+|\d{4,7})\b");
pattern!(PLAIN, &format!("^{FIGURES}"));
pattern!(BANDWIDTH, &format!(r"{FIGURES}\s?(GB|TB)(?:/s|ps| per second| pro Sekunde)"));
// `32 GB of GDDR7`, `24 GB Grafikspeicher`; and after a word, `VRAM: 32 GB`.
pattern!(
    MEMORY,
    &format!(
        r"(?i){FIGURES}[\s-]?(?:Gi?B|gigs?|gigabytes?)\s(?:of\s)?(?:fast\s)?(?:GDDR\w*|HBM\w*|LPDDR\w*|VRAM|unified|video memory|graphics memory|Grafikspeicher|Videospeicher)"
    )
);
pattern!(
    MEMORY_WORD,
    &format!(
        r"(?i)\b(?:VRAM|video memory|Grafikspeicher|memory size|memory|Speicher)(?:\*\*)?:?(?:\*\*)?\s(?:is\s|of\s|von\s|ist\s|beträgt\s)?{FIGURES}\s?Gi?B\b"
    )
);
pattern!(
    MEMORY_AFTER_NAME,
    r"^\W{0,4}\(?(\d+)[\s-]?GB\b(?:\)|,|\s+(?:GDDR|HBM|LPDDR|VRAM|unified|card|Karte))"
);
// `… has 32 GB`, `… mit 32 GB`, right after a machine's name.
pattern!(
    MEMORY_VERB,
    r"^\s(?:card\s)?(?:(?:only\s|just\s)?(?:has|carries|offers|packs|comes with|ships with|holds|hat|bietet|besitzt)(?:\s(?:only|just|nur|a full|all of))?)\s(\d+)\s?Gi?B\b"
);
pattern!(
    POWER,
    &format!(
        r"(?:(?i:at|of|TDP|TGP|TBP|draws|consumes|uses|takes|pulls|rated at|rated for|up to|bei|zieht|verbraucht|braucht|nimmt|power draw|power limit|board power|Leistungsaufnahme|Verbrauch))\W{{0,4}}\s?(?:(?:is|of|up to|von|bis zu|is about|only|just|nur)\s)?{FIGURES}\s?(?:W\b|(?i:watts?\b))|{FIGURES}[\s-]?(?:W|(?i:watts?))\s(?:TDP|TGP|TBP)"
    )
);
pattern!(
    ACTIVE,
    &format!(
        r"(?i)(?:^|[\s(*]){FIGURES}\s?(?:B|bn|billion|Mrd\.?|Milliarden)\s(?:parameters\s|of them\s|are\s|aktive?n?\b|davon\s)?(?:active\b|activated\b|aktiv\w*|per token|pro Token|Parameter aktiv)|(?:activat\w+|aktiviert)\s(?:only\s|just\s|nur\s)?{FIGURES}\s?(?:B|bn|billion|Mrd\.?|Milliarden)\b|(?:active|aktive) param\w*\W{{0,4}}\s?{FIGURES}\s?(?:B|bn|billion|Mrd\.?|Milliarden)\b"
    )
);
// All parameters: `117B total`, `has 117 billion parameters`, `mit 117 Mrd. Parametern`.
pattern!(
    TOTAL,
    &format!(
        r"(?i)(?:\b(?:has|have|with|of|packs|counts|hat|mit|besitzt|zählt)\s|\(|[:,]\s){FIGURES}\s?(?:B|bn|billion|Mrd\.?|Milliarden)[\s-](?:total\b|parameters?\b|params?\b|Parametern?\b|insgesamt\b)"
    )
);
// `has a 256k context window`, `handles a 262K context`, `bietet 128K Kontext`.
pattern!(
    CONTEXT_HELD,
    r"(?i)\b(?:has|have|offers|provides|features|supports|handles|takes|comes with|ships with|hat|bietet|besitzt|unterstützt)\s(?:only\s|just\s|nur\s)?(?:an?\s|ein(?:en?)?\s)?(?:native\s|maximum\s|full\s|natives?\s)?~?(\d[\d.,'’]*\s?[KM])(?:[\s-]tokens?)?[\s-](?:of context|context|Kontext)"
);
// A limit that is said of a model, not a length that somebody wants.
pattern!(
    CONTEXT,
    r"(?i)(?:supports?|max(?:imum|imal)?|limited to|limit of|limit is|stops at|tops out at|unterstützt|reicht bis)\s(?:only\s|just\s|nur\s|up to\s|bis\s)?~?(\d+\s?[KM])\b|(?:supports?|handles|accepts|up to|limited to|stops at|tops out at|unterstützt|reicht bis|bis zu|höchstens)\s(?:only\s|just\s|nur\s|up to\s)?~?(\d[\d.,'’]*\s?[KM]?)\s?(?:tokens?\b|of context|context\b|Kontext\b)|\b(\d+\s?[KM])\s(?:max|maximum|native)\b|(?:context (?:window|length|limit|size)|max(?:imum)? context|native context|Kontextfenster|Kontextlänge|context:|Kontext:)(?:\s(?:of|von|for)\s[^,;:]{1,40}?\s(?:is|ist|beträgt))?\W{0,4}\s?(?:is\s|of\s|von\s|ist\s|beträgt\s)?~?(\d[\d.,'’]*\s?[KM]?)\b"
);
pattern!(
    SIZE,
    &format!(
        r"(?i)\b(Q4(?:_K_M)?|MXFP4|Q8(?:_0)?|Q6_K|Q5_K_M|FP16|BF16|4[\s-]?bit|8[\s-]?bit)(?:\s(?:quant\w*|version|file|GGUF|weights?|Quantisierung|Datei))?\s?(?:≈|is|are|takes|needs|weighs|comes to|ist|sind|braucht|belegt|wiegt|\(|:|at|=)?\s?\(?(?:about\s)?{FIGURES}\s?GB\b"
    )
);
pattern!(
    SIZE_BEFORE,
    &format!(
        r"(?i){FIGURES}\s?GB\s(?:in|at|as|with|als|bei)?\s?(?:a\s)?(Q4(?:_K_M)?|MXFP4|Q8(?:_0)?|Q6_K|Q5_K_M|FP16|BF16|4[\s-]?bit|8[\s-]?bit)\b"
    )
);
// With the model's name between format and size.
pattern!(
    SIZE_APART,
    &format!(
        r"(?i)\b(Q4(?:_K_M)?|MXFP4|Q8(?:_0)?|Q6_K|Q5_K_M|FP16|BF16|4[\s-]?bit|8[\s-]?bit)\b[^;:|]{{1,40}}?\s(?:takes|needs|weighs|comes to|braucht|belegt|wiegt)\s(?:only\s|just\s|nur\s)?{FIGURES}\s?GB\b"
    )
);
// `Q4 sizes: 72B about 44 GB, 32B about 20 GB`; and a size in it.
pattern!(
    SIZES,
    r"(?i)\b(Q4(?:_K_M)?|MXFP4|Q8(?:_0)?|Q6_K|Q5_K_M|FP16|BF16|4[\s-]?bit|8[\s-]?bit)[\s-](?:file\s|weight\s|model\s)?(?:sizes?|weights|Grössen?|Größen?)[^:|.;]{0,30}:\s([^|;]*)"
);
pattern!(GIGABYTES, &format!(r"{FIGURES}\s?GB\b"));
// The figure first: `the KV cache grows to 42.9 GB at 128K`; and lists of both.
pattern!(
    KV_CACHE_AT,
    &format!(
        r"(?i)KV[\s-]?cache\b[^.;:|]{{0,40}}?\s{FIGURES}\s?(Gi?B)\s(?:at|for|with|bei|für|mit)\s(?:a\s)?(\d[\d.,'’]*\s?[KM])\b"
    )
);
pattern!(
    KV_CACHES,
    r"(?i)((?:\d[\d.]*(?:, | and |, and | und )){0,8}\d[\d.]*)\s?(Gi?B)\s(?:of\s|an\s)?KV[\s-]?cache\s(?:at|for|with|bei|für|mit)\s((?:\d[\d.]*\s?[KM](?:, | and |, and | und )){0,8}\d[\d.]*\s?[KM])\b"
);
pattern!(
    KV_CACHE,
    &format!(
        r"(?i)KV[\s-]?cache\s(?:of|at|for|with|bei|für|mit|von)\s(?:a\s)?(\d[\d.,'’]*\s?[KM]?)\s?(?:tokens?|context|Token|Kontext)?\W{{0,3}}\s?(?:\(?(?:FP16|f16)\)?\s?)?(?:of context\s)?(?:is|takes|needs|costs|comes to|ist|braucht|belegt|sind|≈|=|:)?\s?{FIGURES}\s?(Gi?B)\b"
    )
);
pattern!(
    SPEED,
    &format!(
        r"{FIGURES}\+?\s?(?:tok/s|[Tt]okens?/s(?:ec)?|t/s|tps\b|tok/sec|tokens per second|tokens a second|Token/s|Tokens?\spro\sSekunde)"
    )
);
// `**SSD:** …` begins something else than the line before it.
pattern!(LABEL, r"^[*_\s]{0,4}\w[\w /+-]{0,23}(?:\*\*|__)?:(?:\*\*|__)?\s");
const AMOUNT: &str = r"(\d[\d.,'’\x{a0}\x{202f}]*\d)";
pattern!(
    // `Price: …`, `Preis`, or nothing at all but the figure with its link.
    PRICED,
    r"(?i)^\W*(?:\[?(?:CHF|SFr|Fr\.|\d)|(?:\w+\s){0,2}(?:price|preis|cost|kostet|kosten)\b)"
);
pattern!(
    PRICE,
    &format!(
        r"(?:CHF|SFr\.?|Fr\.)\s?~?{AMOUNT}|{AMOUNT}(?:\.[-–—])?\s?(?:CHF|Franken|francs|Fr\.)"
    )
);

/// A number as people write it: `1,792`, `1'792`, `1’792`, `1 792`; `3.6` and `3,6`. A point before
/// three digits is one of thousands where `thousands` says that no such decimals are written.
pub(super) fn number(text: &str, thousands: bool) -> Option<f64> {
    let plain: String =
        text.chars().filter(|c| !['\'', '’', '\u{a0}', '\u{202f}'].contains(c)).collect();
    let groups = |mark: char| {
        let mut parts = plain.split(mark);
        let first = parts.next().is_some_and(|one| (1..=3).contains(&one.len()) && one != "0");
        first && parts.all(|one| one.len() == 3)
    };
    let (comma, point) = (plain.rfind(','), plain.rfind('.'));
    let written = match (comma, point) {
        // The last of both is the decimal mark.
        (Some(comma), Some(point)) if comma > point => plain.replace('.', "").replace(',', "."),
        (Some(_), Some(_)) => plain.replace(',', ""),
        (Some(_), None) if groups(',') => plain.replace(',', ""),
        (Some(_), None) => plain.replace(',', "."),
        (None, Some(_)) if groups('.') && (thousands || plain.matches('.').count() > 1) => {
            plain.replace('.', "")
        }
        _ => plain,
    };
    written.parse().ok()
}

/// The items of a list in words: `8K, 32K and 128K`.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(", ")
        .flat_map(|part| part.split(" and "))
        .flat_map(|part| part.split(" und "))
        .map(|part| part.trim().trim_start_matches("and ").trim_start_matches("und "))
        .filter(|part| !part.is_empty())
}

/// Whether figures of a quantity are large and whole: `1.792 GB/s` is a German 1,792 then.
fn is_whole(quantity: Quantity) -> bool {
    matches!(
        quantity,
        Quantity::Bandwidth
            | Quantity::Power
            | Quantity::Price
            | Quantity::Context
            | Quantity::Memory
    )
}

/// The figures of a match whose first two groups, from `at` on, are a range.
pub(super) fn range(found: &Captures<'_>, at: usize, quantity: Quantity) -> Option<[f64; 2]> {
    let whole = is_whole(quantity);
    let low = number(found.get(at)?.as_str(), whole)?;
    let high = found.get(at + 1).and_then(|one| number(one.as_str(), whole)).unwrap_or(low);
    (high >= low).then_some([low, high])
}

/// The first range among several groups that alternatives of a pattern leave.
pub(super) fn any_range(
    found: &Captures<'_>,
    groups: &[usize],
    quantity: Quantity,
) -> Option<[f64; 2]> {
    groups.iter().find_map(|at| range(found, *at, quantity))
}

/// A bandwidth in GB/s.
pub(super) fn bandwidth(found: &Captures<'_>) -> Option<[f64; 2]> {
    let tera = &found[3] == "TB";
    // Terabytes have decimals.
    let quantity = if tera { Quantity::Speed } else { Quantity::Bandwidth };
    range(found, 1, quantity).map(|range| range.map(|one| if tera { one * 1000.0 } else { one }))
}

/// `128K` = 131,072, `200K` = 200,000: powers of two where the figure is one; `131,072` as it
/// stands.
pub(super) fn tokens_in(text: &str) -> Option<u64> {
    let Some(found) = TOKENS.captures(text) else {
        return number(&WHOLE_TOKENS.captures(text)?[1], true).map(|value| value as u64);
    };
    let value = number(&found[1], false)?;
    let binary = value.fract() == 0.0 && (value as u64).is_power_of_two();
    let unit = match (&found[2].to_lowercase()[..], binary) {
        ("k", true) => 1024.0,
        ("k", false) => 1000.0,
        (_, true) => 1_048_576.0,
        (_, false) => 1_000_000.0,
    };
    Some((value * unit) as u64)
}

/// The catalog's format of a word: what people mean by `Q4` and `4-bit`.
pub(super) fn format_of(word: &str) -> &'static str {
    match word.to_lowercase().replace([' ', '-'], "").as_str() {
        "fp16" | "bf16" => "f16",
        "q8" | "q8_0" | "8bit" => "q8_0",
        "q6_k" => "q6_k",
        "q5_k_m" => "q5_k_m",
        _ => "q4_k_m",
    }
}

/// The figure of a table cell.
pub(super) fn figure_in(quantity: Quantity, cell: &str) -> Option<[f64; 2]> {
    match quantity {
        Quantity::Nvlink => match cell.to_lowercase().as_str() {
            "yes" | "2-way" | "bridge" | "ja" => Some([1.0; 2]),
            "no" | "none" | "–" | "-" | "nein" | "kein" | "keine" => Some([0.0; 2]),
            _ => None,
        },
        Quantity::Passive => {
            let lower = cell.to_lowercase();
            let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
            if has(&["passiv", "fanless", "lüfterlos"]) {
                Some([1.0; 2])
            } else if has(&["fan", "blower", "activ", "aktiv", "axial", "lüfter"]) {
                Some([0.0; 2])
            } else {
                None
            }
        }
        Quantity::Mixture => match cell.to_lowercase().as_str() {
            "moe" | "mixture" | "mixture of experts" | "mixture-of-experts" => Some([1.0; 2]),
            "dense" | "dicht" => Some([0.0; 2]),
            _ => None,
        },
        Quantity::Context => tokens_in(cell).map(|tokens| [tokens as f64; 2]),
        Quantity::Bandwidth => bandwidth(&BANDWIDTH.captures(cell)?),
        // `70B (all)` is a dense model; `20B` alone is a count.
        Quantity::ActiveParameters | Quantity::TotalParameters => {
            let found = PLAIN.captures(cell)?;
            let rest = cell[found.get(0)?.end()..].trim_start();
            let counted = ["B", "bn", "billion", "Mrd", "Milliarden"];
            let counted = counted.iter().any(|unit| rest.starts_with(unit));
            counted.then(|| range(&found, 1, quantity)).flatten()
        }
        Quantity::Power => {
            cell.contains('W').then(|| range(&PLAIN.captures(cell)?, 1, quantity)).flatten()
        }
        Quantity::Speed | Quantity::Memory | Quantity::Size | Quantity::KvCache => {
            range(&PLAIN.captures(cell)?, 1, quantity)
        }
        Quantity::Price => {
            let bare = cell.trim_start_matches("CHF").trim_start_matches("Fr.").trim_start();
            range(&PLAIN.captures(bare)?, 1, quantity)
        }
        // They need more than a table says: how many streams, and what runs beside.
        Quantity::StreamShare | Quantity::LoadedSpeed | Quantity::SoldSingly => None,
    }
}

/// The figure of a cell below a heading that may hold the unit: `TDP (W)`, `Bandwidth, GB/s`.
pub(super) fn figure_below(quantity: Quantity, heading: &str, cell: &str) -> Option<[f64; 2]> {
    let bare = || range(&PLAIN.captures(cell)?, 1, quantity);
    figure_in(quantity, cell).or_else(|| match quantity {
        Quantity::Bandwidth if heading.contains("gb/s") => bare(),
        Quantity::Bandwidth if heading.contains("tb/s") => {
            range(&PLAIN.captures(cell)?, 1, Quantity::Speed).map(|says| says.map(|it| it * 1000.0))
        }
        Quantity::Power if heading.contains("(w)") || heading.ends_with(", w") => bare(),
        Quantity::ActiveParameters | Quantity::TotalParameters if heading.contains("(b)") => bare(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_the_ways_of_both_languages() {
        let plain = [
            "1,792",
            "1'792",
            "1’792",
            "1\u{202f}792",
            "3.6",
            "3,6",
            "1.792,5",
            "1,792.5",
            "0,125",
        ];
        let said: Vec<f64> = plain.iter().filter_map(|text| number(text, false)).collect();
        assert_eq!(said, [1792.0, 1792.0, 1792.0, 1792.0, 3.6, 3.6, 1792.5, 1792.5, 0.125]);
        assert_eq!([number("1.792", false), number("1.792", true)], [Some(1.792), Some(1792.0)]);
        assert_eq!(number("1.048.576", false), Some(1_048_576.0));
    }

    #[test]
    fn tokens_are_powers_of_two_where_the_figure_is_one() {
        let said: Vec<_> = ["128K", "200k tokens", "1M", "131,072", "131.072 Token", "262144"]
            .into_iter()
            .map(tokens_in)
            .collect();
        let said: Vec<u64> = said.into_iter().flatten().collect();
        assert_eq!(said, [131_072, 200_000, 1_048_576, 131_072, 131_072, 262_144]);
    }
}
