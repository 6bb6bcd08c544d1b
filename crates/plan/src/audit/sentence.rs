//! Statements about hardware and models in running text.

use std::collections::BTreeSet;

use localrig_facts::claim::Quantity;
use regex::Captures;

use super::figure::{
    ACTIVE, BANDWIDTH, CONTEXT, KV_CACHE, MEMORY, MEMORY_AFTER_NAME, MEMORY_VERB, MEMORY_WORD,
    POWER, PRICE, SIZE, SIZE_APART, SIZE_BEFORE, SPEED, any_range, bandwidth, format_of, number,
    range, tokens_in,
};
use super::lexicon::{Lexicon, Mention};
use super::read::{About, Said, is_several};

/// Statements in running text. Each is given the place of its figure as its line; the caller knows
/// which line that is.
pub(super) fn sentences(
    lexicon: &Lexicon,
    section: Option<&Mention>,
    text: &str,
    found: &mut Vec<Said>,
) {
    let named = lexicon.mentions(text);
    if named.is_empty() && section.is_none() {
        return;
    }
    let mut reader = Reader { text, named: &named, section, found };
    reader.hardware();
    reader.speeds();
    reader.models();
    reader.sizes();
    reader.prices();
    nvlink(text, &named, section, found);
}

/// A paragraph that is read.
struct Reader<'t, 'f> {
    text: &'t str,
    named: &'t [Mention],
    section: Option<&'t Mention>,
    found: &'f mut Vec<Said>,
}

impl<'t> Reader<'t, '_> {
    /// The machine or model that a figure belongs to: the last named before it, else one right
    /// after it, else what the section is about.
    fn nearest(&self, model: bool, (at, end): (usize, usize)) -> Option<&'t Mention> {
        let kind = |one: &&Mention| one.is_model() == model;
        let before = self.named.iter().rfind(|one| kind(one) && one.at.1 <= at);
        before
            .or_else(|| {
                let after = self.named.iter().find(|one| kind(one) && one.at.0 >= at)?;
                // After the figure only in the same clause; or between its words.
                let gap = self.text.get(end..after.at.0).unwrap_or_default();
                (gap.len() < 60 && !gap.contains(['.', ';', '|'])).then_some(after)
            })
            .or(self.section.filter(|one| kind(one) && self.named.is_empty()))
    }

    fn add(&mut self, quantity: Quantity, says: [f64; 2], at: (usize, usize)) {
        self.add_with(quantity, says, at, None, None);
    }

    fn add_with(
        &mut self,
        quantity: Quantity,
        says: [f64; 2],
        at: (usize, usize),
        format: Option<&'static str>,
        context_tokens: Option<u64>,
    ) {
        let about = About {
            quantity,
            machine: self.nearest(false, at),
            model: self.nearest(true, at),
            format,
            context_tokens,
        };
        self.found.extend(about.said(at.0, says));
    }

    /// Bandwidth, memory and power of machines.
    fn hardware(&mut self) {
        let text = self.text;
        for one in BANDWIDTH.captures_iter(text).filter(|one| is_alone(text, one)) {
            if let Some(says) = bandwidth(&one) {
                self.add(Quantity::Bandwidth, says, place(&one));
            }
        }
        for one in MEMORY
            .captures_iter(text)
            .chain(MEMORY_WORD.captures_iter(text))
            .filter(|one| is_alone(text, one))
        {
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
                self.add(Quantity::Memory, says, place(&one));
            }
        }
        for mention in self.named.iter().filter(|one| !one.is_model()) {
            let after = &text[mention.at.1..];
            let value = MEMORY_AFTER_NAME
                .captures(after)
                .or_else(|| MEMORY_VERB.captures(after).filter(|one| !is_rate(after, one)))
                .filter(|_| !is_several(sentence(text, mention.at.1)))
                .and_then(|one| number(&one[1], true));
            if let Some(value) = value {
                self.add_with(
                    Quantity::Memory,
                    [value; 2],
                    (mention.at.1, mention.at.1),
                    None,
                    None,
                );
            }
        }
        for one in POWER.captures_iter(text).filter(|one| is_alone(text, one)) {
            // What a machine or its supply takes is not what its card takes.
            let before = clause_before(text, start(&one)).to_lowercase();
            let whole =
                ["system", "psu", "supply", "wall", "machine", "netzteil", "total", "build"];
            if whole.iter().any(|word| before.contains(word)) {
                continue;
            }
            if let Some(says) = any_range(&one, &[1, 3], Quantity::Power) {
                self.add(Quantity::Power, says, place(&one));
            }
        }
    }

    /// Speeds of one stream.
    fn speeds(&mut self) {
        let text = self.text;
        for one in SPEED.captures_iter(text).filter(|one| is_alone(text, one)) {
            // Speeds of many streams are another matter.
            let said = sentence(text, start(&one));
            let end = one.get(0).map_or(0, |all| all.end());
            let rest = &text[end..];
            let clause = &rest[..rest.find([',', ';', '.', ')', '|']).unwrap_or(rest.len())];
            let around = [&text[offset(text, said)..end], clause];
            let many = ["concurrent", "streams", "users", "batch", "requests", "gleichzeitig"];
            if many.iter().any(|word| around.iter().any(|part| part.contains(word))) {
                continue;
            }
            if let Some(says) = range(&one, 1, Quantity::Speed) {
                self.add(Quantity::Speed, says, place(&one));
            }
        }
    }

    /// Active parameters and contexts of models.
    fn models(&mut self) {
        let text = self.text;
        for one in ACTIVE.captures_iter(text) {
            if let Some(says) = any_range(&one, &[1, 3, 5], Quantity::ActiveParameters) {
                self.add(Quantity::ActiveParameters, says, place(&one));
            }
        }
        for one in CONTEXT.captures_iter(text) {
            // What somebody needs is no property of a model.
            let said = sentence(text, start(&one));
            let before = clause_before(text, start(&one)).trim_end().to_lowercase();
            let asked = ["need", "With", "KV", "Mit ", "brauch"]
                .iter()
                .any(|word| said.contains(word))
                || [" at", " at a", " with", " with a", " bei", " bei einem", " mit", " mit einem"]
                    .iter()
                    .any(|word| before.ends_with(word));
            let figure = (1..5).find_map(|group| one.get(group)).map_or("", |one| one.as_str());
            // Small whole numbers are versions, streams or gigabytes.
            let tokens = tokens_in(figure).filter(|tokens| *tokens >= 4_096);
            let bytes =
                text[one.get(0).map_or(0, |all| all.end())..].trim_start().starts_with("GB");
            if let (Some(tokens), false, false) = (tokens, asked, bytes) {
                self.add_with(Quantity::Context, [tokens as f64; 2], place(&one), None, None);
            }
        }
    }

    /// Sizes of models and of their KV caches.
    fn sizes(&mut self) {
        let text = self.text;
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
                self.add_with(
                    Quantity::Size,
                    says,
                    place(&one),
                    Some(format_of(&one[format])),
                    None,
                );
            }
        }
        for one in KV_CACHE.captures_iter(text) {
            let unit = if one[4].eq_ignore_ascii_case("GiB") { 1.073_741_824 } else { 1.0 };
            let tokens = tokens_in(&one[1]);
            if let (Some(says), Some(tokens)) = (range(&one, 2, Quantity::KvCache), tokens) {
                self.add_with(
                    Quantity::KvCache,
                    says.map(|one| one * unit),
                    place(&one),
                    None,
                    Some(tokens),
                );
            }
        }
    }

    /// Prices with a link.
    fn prices(&mut self) {
        let text = self.text;
        if text.contains("](http") || text.contains("<http") {
            for one in PRICE.captures_iter(text).filter(|one| is_alone(text, one)) {
                if let Some(says) = any_range(&one, &[1, 2], Quantity::Price) {
                    self.add_with(Quantity::Price, [says[0]; 2], place(&one), None, None);
                }
            }
        }
    }
}

/// Whether a figure is not in a sentence about several machines at once: of those nothing is said of
/// one.
fn is_alone(text: &str, one: &Captures<'_>) -> bool {
    !is_several(sentence(text, start(one)))
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
    let ends = [". ", "! ", "? "].into_iter().filter_map(|mark| text[at..].find(mark));
    let to = ends.min().map_or(text.len(), |end| at + end + 1);
    &text[from..to]
}

/// What stands before a place in its clause.
fn clause_before(text: &str, at: usize) -> &str {
    let from = text[..at].rfind([',', ';', ':', '(', '.']).map_or(0, |end| end + 1);
    &text[from..at]
}

/// Words that deny what follows, and what precedes.
const DENIED_BEFORE: [&str; 12] = [
    "no ", "not ", "without ", "lacks ", "n't ", "kein ", "keine ", "ohne ", "nicht ", "neither ",
    "never ", "nie ",
];
const DENIED_AFTER: [&str; 9] = [
    ": no",
    "is not",
    "is missing",
    "was dropped",
    "is gone",
    "fehlt",
    "gibt es nicht",
    ": nein",
    ": none",
];

/// `NVLink` in a sentence: denied, or claimed for the cards beside it.
fn nvlink(text: &str, named: &[Mention], section: Option<&Mention>, found: &mut Vec<Said>) {
    let mut told = BTreeSet::new();
    for (at, _) in text.match_indices("NVLink") {
        let said = sentence(text, at);
        let from = offset(text, said);
        if !told.insert(from) {
            continue;
        }
        let before = text[from..at].to_lowercase();
        let tail: String =
            before.chars().rev().take(40).collect::<String>().chars().rev().collect();
        let after = text[at..].to_lowercase();
        let after = &after[..after.find(['.', ';', ',']).unwrap_or(after.len())];
        let denied = DENIED_BEFORE.iter().any(|word| tail.contains(word))
            || DENIED_AFTER.iter().any(|word| after.contains(word));
        let compared = before.contains("bandwidth")
            || said.contains("not required")
            || said.trim_end().ends_with('?');
        if compared {
            continue;
        }
        let within = |one: &&Mention| from <= one.at.0 && one.at.1 <= from + said.len();
        let own = named.iter().filter(|one| !one.is_model()).filter(within);
        let alone = section.filter(|one| !one.is_model() && named.is_empty());
        for machine in own.chain(alone) {
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
}
