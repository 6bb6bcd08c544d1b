//! Statements about hardware and models in Markdown: sentences and tables.
//!
//! Only what can be attributed is read: a figure with its unit, beside the name it belongs to. What
//! is not recognised is left alone, so a finding is worth looking at.

use std::collections::BTreeSet;

use localrig_facts::Id;
use localrig_facts::claim::{Quantity, Statement};
use regex::Captures;

use super::figure::{
    ACTIVE, BANDWIDTH, CONTEXT, KV_CACHE, MEMORY, MEMORY_AFTER_NAME, MEMORY_VERB, MEMORY_WORD,
    POWER, PRICE, SEVERAL, SIZE, SIZE_APART, SIZE_BEFORE, SPEED, any_range, bandwidth, figure_in,
    format_of, number, range, tokens_in,
};
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
    // What the section is about, and the model that the paragraph above a table is about.
    let mut section: Option<Mention> = None;
    let mut topic: Option<Mention> = None;
    let mut paragraph = Paragraph::default();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let trimmed = line.trim();
        let is_table = trimmed.starts_with('|');
        if is_table || starts_anew(trimmed) || fenced {
            paragraph.read(lexicon, section.as_ref(), &mut found);
        }
        if is_table {
            if is_rule(trimmed) {
                let title = header.as_ref().map(|(line, _)| cells(line)).unwrap_or_default();
                columns = Some(title.iter().map(|cell| Column::of(lexicon, cell)).collect());
            } else if let Some(columns) = &columns {
                row(
                    lexicon,
                    columns,
                    topic.as_ref().or(section.as_ref()),
                    number,
                    trimmed,
                    &mut found,
                );
            } else {
                header = Some((trimmed.to_owned(), number));
            }
            continue;
        }
        (columns, header) = (None, None);
        fenced ^= trimmed.starts_with("```");
        let named = lexicon.mentions(line);
        if trimmed.starts_with('#') {
            section = match &named[..] {
                [one] if !is_several(trimmed) => Some(one.clone()),
                _ => None,
            };
        }
        if let Some(model) = named.into_iter().rfind(Mention::is_model) {
            topic = Some(model);
        } else if !trimmed.is_empty() {
            topic = None;
        }
        paragraph.push(number, line);
    }
    paragraph.read(lexicon, section.as_ref(), &mut found);
    found
}

/// Whether a line does not go on from the one before: headings, items of lists, quotations, fences
/// and blank lines.
fn starts_anew(line: &str) -> bool {
    let item = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.is_empty()
        || line.starts_with(['#', '>', '├', '└', '│'])
        || line.starts_with("```")
        || ["- ", "* ", "+ ", "•"].iter().any(|mark| line.starts_with(mark))
        || item.len() < line.len() && (item.starts_with(". ") || item.starts_with(") "))
}

/// Lines that belong together, joined by blanks.
#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    /// Where each line begins, with its number.
    lines: Vec<(usize, usize)>,
}

impl Paragraph {
    fn push(&mut self, number: usize, line: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.lines.push((self.text.len(), number));
        self.text.push_str(line.trim_end());
    }

    /// Reads what has come together and starts anew.
    fn read(&mut self, lexicon: &Lexicon, section: Option<&Mention>, found: &mut Vec<Said>) {
        let Self { text, lines } = std::mem::take(self);
        let first = found.len();
        sentences(lexicon, section, &text, found);
        // A statement was given the place of its figure: that is the line people look for.
        for said in &mut found[first..] {
            let line = lines.iter().rfind(|(start, _)| *start <= said.line);
            said.line = line.map_or(0, |(_, number)| *number);
        }
    }
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
        } else if (has("kv cache") || has("kv-cache")) && !has("int8") && !has("concurrent") {
            Some(Quantity::KvCache)
        } else if has("nvlink") {
            Some(Quantity::Nvlink)
        } else if has("bandwidth") || has("bandbreite") {
            Some(Quantity::Bandwidth)
        } else if has("tdp") || has("leistungsaufnahme") {
            Some(Quantity::Power)
        } else if has("active") || has("aktive") {
            Some(Quantity::ActiveParameters)
        } else if has("total params") || lower == "params" || lower == "parameters" {
            Some(Quantity::TotalParameters)
        } else if has("size") && (has("q4") || has("fp16")) {
            Some(Quantity::Size)
        } else if (has("context") || has("kontext")) && !has("cache") {
            Some(Quantity::Context)
        } else if ["vram", "memory", "speicher", "grafikspeicher"].contains(&lower.as_str()) {
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
    let of_row = cells.first().and_then(|cell| Column::of(lexicon, cell).quantity);
    for (column, cell) in columns.iter().zip(&cells) {
        // `| VRAM | 32 GB | 24 GB |` below the names of two cards.
        let of_row = if column.named.is_empty() { None } else { of_row };
        let Some(quantity) = column.quantity.or(of_row) else { continue };
        let of_column = |model: bool| column.named.iter().find(|one| one.is_model() == model);
        let machine = of_column(false).or(first(false));
        let model = of_column(true).or(first(true)).or(match quantity {
            Quantity::KvCache => topic.filter(|one| one.is_model()),
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

/// Statements in running text. Each is given the place of its figure as its line; the caller knows
/// which line that is.
fn sentences(lexicon: &Lexicon, section: Option<&Mention>, text: &str, found: &mut Vec<Said>) {
    let named = lexicon.mentions(text);
    if named.is_empty() && section.is_none() {
        return;
    }
    let nearest = |model: bool, (at, end): (usize, usize)| {
        let before = named.iter().rfind(|one| one.is_model() == model && one.at.1 <= at);
        before
            .or_else(|| {
                let after = named.iter().find(|one| one.is_model() == model && one.at.0 >= at)?;
                // After the figure only in the same clause; or between its words.
                let gap = text.get(end..after.at.0).unwrap_or_default();
                (gap.len() < 60 && !gap.contains(['.', ';', '|'])).then_some(after)
            })
            .or(section.filter(|one| one.is_model() == model && named.is_empty()))
    };
    let mut add = |quantity, says: [f64; 2], at: (usize, usize), format, context_tokens| {
        let about = About {
            quantity,
            machine: nearest(false, at),
            model: nearest(true, at),
            format,
            context_tokens,
        };
        found.extend(about.said(at.0, says));
    };
    // Of several machines at once nothing is said of one.
    let alone = |one: &Captures<'_>| !is_several(sentence(text, start(one)));
    for one in BANDWIDTH.captures_iter(text).filter(&alone) {
        if let Some(says) = bandwidth(&one) {
            add(Quantity::Bandwidth, says, place(&one), None, None);
        }
    }
    for one in MEMORY.captures_iter(text).chain(MEMORY_WORD.captures_iter(text)).filter(&alone) {
        // What a model takes, or leaves free, is not what the card has.
        let before = clause_before(text, start(&one)).to_lowercase();
        let after = &text[one.get(0).map_or(0, |all| all.end())..];
        let taken = [
            "need", "requir", "takes", "uses", "fits", "leav", "least", "brauch", "belegt",
            "mindest",
        ]
        .iter()
        .any(|word| before.contains(word))
            || [" free", " left", " used", " needed", " frei"]
                .iter()
                .any(|word| after.starts_with(word));
        if taken {
            continue;
        }
        if let Some(says) = range(&one, 1, Quantity::Memory) {
            add(Quantity::Memory, says, place(&one), None, None);
        }
    }
    for mention in named.iter().filter(|one| !one.is_model()) {
        let after = &text[mention.at.1..];
        let value = MEMORY_AFTER_NAME
            .captures(after)
            .or_else(|| MEMORY_VERB.captures(after).filter(|one| !is_rate(after, one)))
            .filter(|_| !is_several(sentence(text, mention.at.1)))
            .and_then(|one| number(&one[1], true));
        if let Some(value) = value {
            add(Quantity::Memory, [value; 2], (mention.at.1, mention.at.1), None, None);
        }
    }
    for one in POWER.captures_iter(text).filter(&alone) {
        // What a machine or its supply takes is not what its card takes.
        let before = clause_before(text, start(&one)).to_lowercase();
        let whole = ["system", "psu", "supply", "wall", "machine", "netzteil", "total", "build"];
        if whole.iter().any(|word| before.contains(word)) {
            continue;
        }
        if let Some(says) = any_range(&one, &[1, 3], Quantity::Power) {
            add(Quantity::Power, says, place(&one), None, None);
        }
    }
    for one in SPEED.captures_iter(text).filter(&alone) {
        // Speeds of many streams are another matter.
        let said = sentence(text, start(&one));
        let end = one.get(0).map_or(0, |all| all.end());
        let around = &text[offset(text, said)..end];
        if ["concurrent", "streams", "users", "batch", "gleichzeitig"]
            .iter()
            .any(|word| around.contains(word))
        {
            continue;
        }
        if let Some(says) = range(&one, 1, Quantity::Speed) {
            add(Quantity::Speed, says, place(&one), None, None);
        }
    }
    for one in ACTIVE.captures_iter(text) {
        if let Some(says) = any_range(&one, &[1, 3, 5], Quantity::ActiveParameters) {
            add(Quantity::ActiveParameters, says, place(&one), None, None);
        }
    }
    for one in CONTEXT.captures_iter(text) {
        // What somebody needs is no property of a model.
        let said = sentence(text, start(&one));
        let before = clause_before(text, start(&one)).trim_end().to_lowercase();
        let asked = ["need", "With", "KV", "Mit ", "brauch"].iter().any(|word| said.contains(word))
            || [" at", " at a", " with", " with a", " bei", " bei einem", " mit", " mit einem"]
                .iter()
                .any(|word| before.ends_with(word));
        let figure = (1..5).find_map(|group| one.get(group)).map_or("", |one| one.as_str());
        // Small whole numbers are versions, streams or gigabytes.
        let tokens = tokens_in(figure).filter(|tokens| *tokens >= 4_096);
        let bytes = text[one.get(0).map_or(0, |all| all.end())..].trim_start().starts_with("GB");
        if let (Some(tokens), false, false) = (tokens, asked, bytes) {
            add(Quantity::Context, [tokens as f64; 2], place(&one), None, None);
        }
    }
    for (one, [figure, format]) in SIZE
        .captures_iter(text)
        .map(|one| (one, [2, 1]))
        .chain(SIZE_APART.captures_iter(text).map(|one| (one, [2, 1])))
        .chain(SIZE_BEFORE.captures_iter(text).map(|one| (one, [1, 3])))
    {
        // The KV cache has its own figures, and so has a bandwidth.
        let end = one.get(0).map_or(0, |all| all.end());
        let after = text[end..].trim_start();
        let before: String = text[..start(&one)].chars().rev().take(40).collect();
        if after.starts_with("KV") || after.starts_with("/s") || before.contains("VK") {
            continue;
        }
        if let Some(says) = range(&one, figure, Quantity::Size) {
            add(Quantity::Size, says, place(&one), Some(format_of(&one[format])), None);
        }
    }
    for one in KV_CACHE.captures_iter(text) {
        let unit = if one[4].eq_ignore_ascii_case("GiB") { 1.073_741_824 } else { 1.0 };
        let tokens = tokens_in(&one[1]);
        if let (Some(says), Some(tokens)) = (range(&one, 2, Quantity::KvCache), tokens) {
            add(Quantity::KvCache, says.map(|one| one * unit), place(&one), None, Some(tokens));
        }
    }
    if text.contains("](http") || text.contains("<http") {
        for one in PRICE.captures_iter(text).filter(&alone) {
            if let Some(says) = any_range(&one, &[1, 2], Quantity::Price) {
                add(Quantity::Price, [says[0]; 2], place(&one), None, None);
            }
        }
    }
    nvlink(text, &named, section, found);
}

/// Whether a text is about several machines at once.
fn is_several(text: &str) -> bool {
    SEVERAL.is_match(text) || text.contains(" + ") || text.contains(" vs ")
}

/// Whether a figure goes on as a rate: `32 GB/s` is no memory.
fn is_rate(after: &str, found: &Captures<'_>) -> bool {
    after[found.get(0).map_or(0, |all| all.end())..].starts_with('/')
}

fn start(found: &Captures<'_>) -> usize {
    place(found).0
}

/// First and one past the last byte of a match.
fn place(found: &Captures<'_>) -> (usize, usize) {
    found.get(0).map_or((0, 0), |all| (all.start(), all.end()))
}

/// Where a part of a text begins in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The sentence around a place.
fn sentence(text: &str, at: usize) -> &str {
    let ends = [". ", "! ", "? "].into_iter().filter_map(|mark| text[..at].rfind(mark));
    let from = ends.max().map_or(0, |end| end + 2);
    let to = text[at..].find(". ").map_or(text.len(), |end| at + end + 1);
    &text[from..to]
}

/// What stands before a place in its clause.
fn clause_before(text: &str, at: usize) -> &str {
    let from = text[..at].rfind([',', ';', ':', '(', '.']).map_or(0, |end| end + 1);
    &text[from..at]
}

/// `NVLink` in a sentence: denied, or claimed for the cards beside it.
fn nvlink(text: &str, named: &[Mention], section: Option<&Mention>, found: &mut Vec<Said>) {
    let Some(at) = text.find("NVLink") else { return };
    let said = sentence(text, at);
    let from = offset(text, said);
    let before = text[from..at].to_lowercase();
    let tail: String = before.chars().rev().take(40).collect::<String>().chars().rev().collect();
    let after = text[at..].to_lowercase();
    let after = &after[..after.find(['.', ';', ',']).unwrap_or(after.len())];
    let denied = [
        "no ", "not ", "without ", "lacks ", "n't ", "kein ", "keine ", "ohne ", "nicht ",
        "neither ", "never ",
    ]
    .iter()
    .any(|word| tail.contains(word))
        || [
            ": no",
            "is not",
            "is missing",
            "was dropped",
            "is gone",
            "fehlt",
            "gibt es nicht",
            ": nein",
            ": none",
        ]
        .iter()
        .any(|word| after.contains(word));
    let compared = before.contains("bandwidth")
        || text.contains("not required")
        || said.trim_end().ends_with('?');
    if compared {
        return;
    }
    let own: Vec<&Mention> = named
        .iter()
        .filter(|one| !one.is_model() && from <= one.at.0 && one.at.1 <= from + said.len())
        .collect();
    let alone = section.filter(|one| !one.is_model() && named.is_empty());
    for machine in own.into_iter().chain(alone) {
        let about = About {
            quantity: Quantity::Nvlink,
            machine: Some(machine),
            model: None,
            format: None,
            context_tokens: None,
        };
        found.extend(about.said(at, [f64::from(u8::from(!denied)); 2]));
    }
}
