//! Statements about hardware and models in Markdown: sentences and tables.
//!
//! Only what can be attributed is read: a figure with its unit, beside the name it belongs to. What
//! is not recognised is left alone, so a finding is worth looking at.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use localrig_facts::Id;
use localrig_facts::claim::{Quantity, Statement};
use regex::{Captures, Regex};

use super::lexicon::{Lexicon, Mention};
use super::words;

/// A statement of a text: about one machine or model, or about each of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Line, from 1.
    pub line: usize,
    /// What is said, in words.
    pub words: String,
    /// The statement, once for every machine or model it can mean.
    pub statements: Vec<Statement>,
}

/// Every statement of a Markdown text.
pub fn read(lexicon: &Lexicon, text: &str) -> Vec<Said> {
    let mut found = Vec::new();
    let mut columns: Option<Vec<Column>> = None;
    let mut header: Option<(String, usize)> = None;
    // The model that the paragraph above a table is about.
    let mut topic: Option<Mention> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let trimmed = line.trim();
        if trimmed.starts_with('|') {
            if is_rule(trimmed) {
                let title = header.as_ref().map(|(line, _)| cells(line)).unwrap_or_default();
                columns = Some(title.iter().map(|cell| Column::of(lexicon, cell)).collect());
            } else if let Some(columns) = &columns {
                row(lexicon, columns, topic.as_ref(), number, trimmed, &mut found);
            } else {
                header = Some((trimmed.to_owned(), number));
            }
            continue;
        }
        (columns, header) = (None, None);
        if let Some(model) = lexicon.mentions(line).into_iter().rfind(Mention::is_model) {
            topic = Some(model);
        } else if !trimmed.is_empty() {
            topic = None;
        }
        sentences(lexicon, number, line, &mut found);
    }
    found
}

fn is_rule(line: &str) -> bool {
    line.chars().all(|c| "|-: ".contains(c)) && line.contains('-')
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.replace("**", "").trim().to_owned()).collect()
}

/// What a column of a table tells.
struct Column {
    quantity: Option<Quantity>,
    /// A machine or model that the heading names.
    named: Vec<Mention>,
    /// Format of a size.
    format: Option<&'static str>,
}

impl Column {
    fn of(lexicon: &Lexicon, title: &str) -> Self {
        let lower = title.to_lowercase();
        let has = |word: &str| lower.contains(word);
        let quantity = if has("tok/s") {
            Some(Quantity::Speed)
        } else if has("kv cache") && !has("int8") && !has("concurrent") {
            Some(Quantity::KvCache)
        } else if has("nvlink") {
            Some(Quantity::Nvlink)
        } else if has("bandwidth") {
            Some(Quantity::Bandwidth)
        } else if has("tdp") {
            Some(Quantity::Power)
        } else if has("active") {
            Some(Quantity::ActiveParameters)
        } else if has("total params") || lower == "params" || lower == "parameters" {
            Some(Quantity::TotalParameters)
        } else if has("size") && (has("q4") || has("fp16")) {
            Some(Quantity::Size)
        } else if has("context") && !has("cache") {
            Some(Quantity::Context)
        } else if lower == "vram" || lower == "memory" {
            Some(Quantity::Memory)
        } else if has("chf") {
            Some(Quantity::Price)
        } else {
            None
        };
        let format = match quantity {
            Some(Quantity::Size) if has("fp16") => Some("f16"),
            Some(Quantity::Size) => Some("q4_k_m"),
            _ => None,
        };
        Self { quantity, named: lexicon.mentions(title), format }
    }
}

fn row(
    lexicon: &Lexicon,
    columns: &[Column],
    topic: Option<&Mention>,
    line: usize,
    text: &str,
    found: &mut Vec<Said>,
) {
    let cells = cells(text);
    let named: Vec<Mention> = cells.iter().flat_map(|cell| lexicon.mentions(cell)).collect();
    let first = |model: bool| named.iter().find(|one| one.is_model() == model);
    // The context of this row, for tables of KV caches.
    let context = cells.first().and_then(|cell| tokens_in(cell));
    // A row about several machines at once tells nothing of one of them.
    let several = cells.first().is_some_and(|cell| {
        cell.contains(" + ") || SEVERAL.is_match(cell) || cell.contains(" / ") && named.len() > 1
    });
    if several {
        return;
    }
    for (column, cell) in columns.iter().zip(&cells) {
        let Some(quantity) = column.quantity else { continue };
        let of_column = |model: bool| column.named.iter().find(|one| one.is_model() == model);
        let machine = of_column(false).or(first(false));
        let model = of_column(true).or(first(true)).or(match quantity {
            Quantity::KvCache => topic,
            _ => None,
        });
        let Some(says) = figure_in(quantity, cell) else { continue };
        let about = About {
            quantity,
            machine,
            model,
            format: column.format,
            context_tokens: (quantity == Quantity::KvCache).then_some(context).flatten(),
        };
        found.extend(about.said(line, says));
    }
}

/// What a figure is said of.
struct About<'m> {
    quantity: Quantity,
    machine: Option<&'m Mention>,
    model: Option<&'m Mention>,
    format: Option<&'static str>,
    context_tokens: Option<u64>,
}

impl About<'_> {
    /// The statement about every machine or model that can be meant, if it is complete.
    fn said(&self, line: usize, says: [f64; 2]) -> Option<Said> {
        use Quantity::{Bandwidth, KvCache, Memory, Nvlink, Power, Price, Speed};
        let wants_machine =
            matches!(self.quantity, Memory | Bandwidth | Power | Nvlink | Price | Speed);
        let wants_model = self.quantity == Speed || !wants_machine;
        if self.quantity == KvCache && self.context_tokens.is_none() {
            return None;
        }
        let none = BTreeSet::new();
        let machines = if wants_machine { &self.machine?.ids } else { &none };
        let models = if wants_model { &self.model?.ids } else { &none };
        let options = |ids: &BTreeSet<Id>| -> Vec<Option<String>> {
            if ids.is_empty() {
                vec![None]
            } else {
                ids.iter().map(|id| Some(id.to_string())).collect()
            }
        };
        let mut statements = Vec::new();
        for machine in options(machines) {
            for model in options(models) {
                statements.push(Statement {
                    quantity: self.quantity,
                    machine: machine.clone(),
                    model: model.clone(),
                    format: self.format.map(str::to_owned),
                    context_tokens: self.context_tokens,
                    streams: None,
                    beside: Vec::new(),
                    says,
                });
            }
        }
        let names = |ids: &BTreeSet<Id>| ids.iter().map(Id::short).collect::<Vec<_>>().join(" or ");
        let names = match (wants_machine, wants_model) {
            (true, true) => format!("{} on {}", names(models), names(machines)),
            (true, false) => names(machines),
            _ => names(models),
        };
        let words = words(&names, statements.first()?);
        Some(Said { line, words, statements })
    }
}

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a pattern that compiles"));
    };
}

/// A figure or a range of figures.
const FIGURES: &str = r"~?≈?\s?(\d[\d,.']*\d|\d)(?:\s?(?:-|–|to)\s?~?(\d[\d,.']*\d|\d))?";

pattern!(SEVERAL, r"(?i)\b[2-9]\s?[x×]\s");
pattern!(TOKENS, r"(?i)\b(\d+(?:\.\d+)?)\s?([km])\b");
pattern!(PLAIN, &format!("^{FIGURES}"));
pattern!(BANDWIDTH, &format!(r"{FIGURES}\s?(GB|TB)/s"));
pattern!(MEMORY, &format!(r"{FIGURES}\s?Gi?B\s(?:of\s)?(?:GDDR\w*|HBM\w*|VRAM|unified)"));
pattern!(MEMORY_AFTER_NAME, r"^\W{0,4}\(?(\d+)\s?GB\b(?:\)|,|\s+(?:GDDR|HBM|VRAM|unified|card))");
pattern!(POWER, &format!(r"(?:at|of|TDP|draws|takes)\s{FIGURES}\s?W\b"));
pattern!(
    ACTIVE,
    &format!(r"(?i){FIGURES}\s?B\s(?:parameters\s)?active|activat\w+\s(?:only\s)?{FIGURES}\s?B\b")
);
pattern!(CONTEXT, r"(?i)(?:supports?|max(?:imum)?)\s(?:only\s)?~?(\d+)\s?K\b|\b(\d+)\s?K\smax\b");
pattern!(
    SIZE,
    &format!(r"(?:Q4(?:_K_M)?|MXFP4)\s?(?:≈|is|takes|\(|:|at)?\s?\(?(?:about\s)?{FIGURES}\s?GB")
);
pattern!(SIZE_BEFORE, &format!(r"{FIGURES}\s?GB\s(?:in\s)?(?:Q4(?:_K_M)?)\b"));
pattern!(SPEED, &format!(r"{FIGURES}\+?\s?(?:tok/s|tokens/s|t/s)"));
pattern!(PRICE, r"CHF\s?~?([\d,.']*\d)");

fn number(text: &str) -> Option<f64> {
    text.replace([',', '\''], "").parse().ok()
}

/// The figures of a match whose first two groups, from `at` on, are a range.
fn range(found: &Captures<'_>, at: usize) -> Option<[f64; 2]> {
    let low = number(found.get(at)?.as_str())?;
    let high = found.get(at + 1).and_then(|one| number(one.as_str())).unwrap_or(low);
    (high >= low).then_some([low, high])
}

/// `128K` = 131,072, `200K` = 200,000: powers of two where the figure is one.
fn tokens_in(text: &str) -> Option<u64> {
    let found = TOKENS.captures(text)?;
    let value: f64 = found[1].parse().ok()?;
    let binary = value.fract() == 0.0 && (value as u64).is_power_of_two();
    let unit = match (&found[2].to_lowercase()[..], binary) {
        ("k", true) => 1024.0,
        ("k", false) => 1000.0,
        (_, true) => 1_048_576.0,
        (_, false) => 1_000_000.0,
    };
    Some((value * unit) as u64)
}

/// The figure of a table cell.
fn figure_in(quantity: Quantity, cell: &str) -> Option<[f64; 2]> {
    match quantity {
        Quantity::Nvlink => match cell.to_lowercase().as_str() {
            "yes" | "2-way" | "bridge" => Some([1.0; 2]),
            "no" | "none" | "–" | "-" => Some([0.0; 2]),
            _ => None,
        },
        Quantity::Context => tokens_in(cell).map(|tokens| [tokens as f64; 2]),
        Quantity::Bandwidth => {
            let found = BANDWIDTH.captures(cell)?;
            let unit = if &found[3] == "TB" { 1000.0 } else { 1.0 };
            range(&found, 1).map(|range| range.map(|one| one * unit))
        }
        // `70B (all)` is a dense model; `20B` alone is a count.
        Quantity::ActiveParameters | Quantity::TotalParameters => {
            let found = PLAIN.captures(cell)?;
            let rest = &cell[found.get(0)?.end()..];
            rest.trim_start().starts_with('B').then(|| range(&found, 1)).flatten()
        }
        Quantity::Speed | Quantity::Memory | Quantity::Size | Quantity::KvCache => {
            range(&PLAIN.captures(cell)?, 1)
        }
        Quantity::Power => cell.contains('W').then(|| range(&PLAIN.captures(cell)?, 1)).flatten(),
        Quantity::Price => range(&PLAIN.captures(cell)?, 1),
        // They need more than a table says: how many streams, and what runs beside.
        Quantity::StreamShare | Quantity::LoadedSpeed => None,
    }
}

/// Statements in running text, clause by clause.
fn sentences(lexicon: &Lexicon, line: usize, text: &str, found: &mut Vec<Said>) {
    let named = lexicon.mentions(text);
    if named.is_empty() {
        return;
    }
    let nearest = |model: bool, at: usize| {
        let before = named.iter().rfind(|one| one.is_model() == model && one.at.1 <= at);
        before.or_else(|| {
            let after = named.iter().find(|one| one.is_model() == model && one.at.0 >= at)?;
            // After the figure only in the same clause.
            let gap = &text[at..after.at.0];
            (gap.len() < 60 && !gap.contains(['.', ';', '|'])).then_some(after)
        })
    };
    let several = SEVERAL.is_match(text) || text.contains(" + ") || text.contains(" vs ");
    let mut add = |quantity, says: [f64; 2], at: usize, format| {
        let about = About {
            quantity,
            machine: nearest(false, at),
            model: nearest(true, at),
            format,
            context_tokens: None,
        };
        found.extend(about.said(line, says));
    };
    if !several {
        for one in BANDWIDTH.captures_iter(text) {
            let unit = if &one[3] == "TB" { 1000.0 } else { 1.0 };
            if let Some(says) = range(&one, 1) {
                add(Quantity::Bandwidth, says.map(|one| one * unit), start(&one), None);
            }
        }
        for one in MEMORY.captures_iter(text) {
            if let Some(says) = range(&one, 1) {
                add(Quantity::Memory, says, start(&one), None);
            }
        }
        for mention in named.iter().filter(|one| !one.is_model()) {
            let after = &text[mention.at.1..];
            let value = MEMORY_AFTER_NAME.captures(after).and_then(|one| number(&one[1]));
            if let Some(value) = value {
                add(Quantity::Memory, [value; 2], mention.at.1, None);
            }
        }
        for one in POWER.captures_iter(text) {
            if let Some(says) = range(&one, 1) {
                add(Quantity::Power, says, start(&one), None);
            }
        }
        for one in SPEED.captures_iter(text) {
            // Speeds of many streams are another matter.
            let around = &text[..one.get(0).map_or(0, |all| all.end())];
            if around.contains("concurrent") || around.contains("streams") {
                continue;
            }
            if let Some(says) = range(&one, 1) {
                add(Quantity::Speed, says, start(&one), None);
            }
        }
    }
    for one in ACTIVE.captures_iter(text) {
        let says = range(&one, 1).or_else(|| range(&one, 3));
        if let Some(says) = says {
            add(Quantity::ActiveParameters, says, start(&one), None);
        }
    }
    for one in CONTEXT.captures_iter(text) {
        let value = (1..4)
            .find_map(|group| one.get(group))
            .and_then(|one| tokens_in(&format!("{}K", one.as_str())));
        // What somebody needs is no property of a model.
        let asked = text.contains("need") || text.contains("With") || text.contains("KV");
        if let (Some(tokens), false) = (value, asked) {
            add(Quantity::Context, [tokens as f64; 2], start(&one), None);
        }
    }
    for one in SIZE.captures_iter(text).chain(SIZE_BEFORE.captures_iter(text)) {
        let says = range(&one, 1);
        let at = start(&one);
        // The KV cache has its own figures.
        let after = &text[one.get(0).map_or(0, |all| all.end())..];
        if let (Some(says), false) = (says, after.trim_start().starts_with("KV")) {
            add(Quantity::Size, says, at, Some("q4_k_m"));
        }
    }
    if text.contains("](http") && !several {
        for one in PRICE.captures_iter(text) {
            let value = number(&one[1]);
            if let Some(value) = value {
                add(Quantity::Price, [value; 2], start(&one), None);
            }
        }
    }
    nvlink(text, &named, line, found);
}

fn start(found: &Captures<'_>) -> usize {
    found.get(0).map_or(0, |all| all.start())
}

/// `NVLink` in a sentence: denied, or claimed for the cards beside it.
fn nvlink(text: &str, named: &[Mention], line: usize, found: &mut Vec<Said>) {
    let Some(at) = text.find("NVLink") else { return };
    let before = text[..at].to_lowercase();
    let tail: String = before.chars().rev().take(24).collect::<String>().chars().rev().collect();
    let denied =
        ["no ", "not ", "without ", "lacks ", "n't "].iter().any(|word| tail.contains(word));
    let compared = before.contains("bandwidth") || text.contains("not required");
    if compared {
        return;
    }
    for machine in named.iter().filter(|one| !one.is_model()) {
        let about = About {
            quantity: Quantity::Nvlink,
            machine: Some(machine),
            model: None,
            format: None,
            context_tokens: None,
        };
        found.extend(about.said(line, [f64::from(u8::from(!denied)); 2]));
    }
}
