//! Statements about hardware and models in Markdown: sentences and tables.
//!
//! Only what can be attributed is read: a figure with its unit, beside the name it belongs to. What
//! is not recognised is left alone, so a finding is worth looking at.

use std::collections::BTreeSet;

use super::figure::{LABEL, SEVERAL, figure_below, tokens_in};
use super::lexicon::{Lexicon, Mention};
use super::sentence::sentences;
use super::words;
use localrig_facts::Id;
use localrig_facts::claim::{Quantity, Statement};

/// A statement of a text: about one machine or model, or about each of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Line, from 1.
    pub line: usize,
    /// What is said, in words.
    pub words: String,
    /// The statement, once for every machine or model it can mean.
    pub statements: Vec<Statement>,
    /// Whether it is of a class, such as `a 70B`: it holds when it holds of any of them.
    pub of_any: bool,
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
        // A command line says nothing of the machine that it names.
        if fenced && trimmed.starts_with("$ ") {
            continue;
        }
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
        || LABEL.is_match(line)
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
    /// The heading in lower case, which may hold the unit.
    title: String,
}

impl Column {
    fn of(lexicon: &Lexicon, title: &str) -> Self {
        let lower = title.to_lowercase();
        // `VRAM (GB)`, `Bandwidth, GB/s`.
        let bare = lower.split(['(', ',', '[']).next().unwrap_or(&lower).trim();
        let has = |word: &str| lower.contains(word);
        let is = |words: &[&str]| words.contains(&bare);
        let of_many = ["prompt", "prefill", "pp", "total", "aggregate", "batch", "concurren"];
        let speed = ["tok/s", "tokens/s", "token/s", "t/s", "tokens per second"];
        let format = formats(&lower);
        let quantity = if speed.iter().any(|word| has(word)) {
            (!of_many.iter().any(|word| has(word))).then_some(Quantity::Speed)
        } else if (has("kv cache") || has("kv-cache")) && !has("int8") && !has("concurrent") {
            Some(Quantity::KvCache)
        } else if has("nvlink") {
            Some(Quantity::Nvlink)
        } else if has("bandwidth") || has("bandbreite") || is(&["bw", "mem bw", "memory bw"]) {
            Some(Quantity::Bandwidth)
        } else if has("tdp")
            || has("leistungsaufnahme")
            || is(&["tgp", "tbp", "board power", "power", "power limit", "power draw"])
        {
            Some(Quantity::Power)
        } else if is(&["cooling", "cooler", "kühlung"]) {
            Some(Quantity::Passive)
        } else if has("active") || has("aktiv") {
            Some(Quantity::ActiveParameters)
        } else if has("total params")
            || is(&["params", "parameters", "parameter", "total parameters", "gesamtparameter"])
        {
            Some(Quantity::TotalParameters)
        } else if ["size", "grösse", "größe", "weights"].iter().any(|word| has(word))
            && format.is_some()
        {
            Some(Quantity::Size)
        } else if (has("context") || has("kontext"))
            && !["cache", "largest", "fits", "used", "tok", "passt"].iter().any(|word| has(word))
        {
            Some(Quantity::Context)
        } else if is(&MEMORY_TITLES) {
            Some(Quantity::Memory)
        } else if has("chf") {
            Some(Quantity::Price)
        } else {
            None
        };
        let format = format.filter(|_| quantity == Some(Quantity::Size));
        Self { quantity, named: lexicon.mentions(title), format, title: lower }
    }
}

impl Column {
    /// Whether a cell of this column leaves a speed one of generation for one stream.
    fn is_single(&self, cell: &str) -> bool {
        let lower = cell.to_lowercase();
        let prompts = ["prompt", "prefill", "pp5", "pp1", "pp2", "pp4", "pp8"];
        let many = ["streams", "concurren", "users", "batch", "requests"];
        let counted = many.iter().any(|word| self.title.contains(word));
        let one = || cell.trim().parse::<f64>().map_or(true, |number| number <= 1.0);
        !prompts.iter().any(|word| lower.starts_with(word)) && (!counted || one())
    }
}

/// Headings of a card's memory.
const MEMORY_TITLES: [&str; 11] = [
    "vram",
    "memory",
    "mem",
    "gpu memory",
    "video memory",
    "graphics memory",
    "unified memory",
    "memory size",
    "speicher",
    "grafikspeicher",
    "videospeicher",
];

/// The format that a heading names.
fn formats(title: &str) -> Option<&'static str> {
    let known = [
        ("fp16", "f16"),
        ("bf16", "f16"),
        ("q8", "q8_0"),
        ("8-bit", "q8_0"),
        ("q4", "q4_k_m"),
        ("4-bit", "q4_k_m"),
    ];
    known.iter().find(|(word, _)| title.contains(word)).map(|(_, format)| *format)
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
    let row_head = cells.first().map(|cell| Column::of(lexicon, cell));
    let of_row = row_head.as_ref().and_then(|one| one.quantity);
    let single = columns.iter().zip(&cells).all(|(column, cell)| column.is_single(cell));
    for (column, cell) in columns.iter().zip(&cells) {
        // `| VRAM | 32 GB | 24 GB |` below the names of two cards.
        let of_row = if column.named.is_empty() { None } else { of_row };
        let Some(quantity) = column.quantity.or(of_row) else { continue };
        if quantity == Quantity::Speed && !single {
            continue;
        }
        let heading = match (&row_head, column.quantity) {
            (Some(head), None) => &head.title,
            _ => &column.title,
        };
        let of_column = |model: bool| column.named.iter().find(|one| one.is_model() == model);
        // `| Model on RTX 5090 | tok/s |`, or a section about one card.
        let of_table = columns.first().and_then(|one| one.named.iter().find(|it| !it.is_model()));
        let of_speed = || of_table.or(topic.filter(|it| !it.is_model()));
        let machine = of_column(false).or(first(false)).or_else(|| match quantity {
            Quantity::Speed => of_speed(),
            _ => None,
        });
        let model = of_column(true).or(first(true)).or(match quantity {
            Quantity::KvCache => topic.filter(|one| one.is_model()),
            _ => None,
        });
        let Some(says) = figure_below(quantity, heading, cell) else { continue };
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
pub(super) struct About<'m> {
    pub(super) quantity: Quantity,
    pub(super) machine: Option<&'m Mention>,
    pub(super) model: Option<&'m Mention>,
    pub(super) format: Option<&'static str>,
    pub(super) context_tokens: Option<u64>,
}

impl About<'_> {
    /// The statement about every machine or model that can be meant, if it is complete.
    pub(super) fn said(&self, line: usize, says: [f64; 2]) -> Option<Said> {
        use Quantity::{
            Bandwidth, KvCache, Memory, Nvlink, Passive, Power, Price, SoldSingly, Speed,
        };
        let wants_machine = matches!(
            self.quantity,
            Memory | Bandwidth | Power | Nvlink | Passive | SoldSingly | Price | Speed
        );
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
        let written =
            |one: Option<&Mention>| one.map_or_else(String::new, |one| one.written.clone());
        let model = match self.model.and_then(|one| one.class.as_ref()) {
            Some(class) => format!("a dense {class}"),
            None => written(self.model),
        };
        let names = match (wants_machine, wants_model) {
            (true, true) => format!("{model} on {}", written(self.machine)),
            (true, false) => written(self.machine),
            _ => model,
        };
        let words = words(&names, statements.first()?);
        let class = |one: &&Mention| one.class.is_some();
        let of_any = wants_model && self.model.as_ref().is_some_and(class);
        Some(Said { line, words, statements, of_any })
    }
}

/// Whether a text is about several machines at once.
pub(super) fn is_several(text: &str) -> bool {
    SEVERAL.is_match(text) || text.contains(" + ") || text.contains(" vs ")
}
