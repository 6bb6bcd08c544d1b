//! Statements about hardware and models in running text.

use localrig_facts::claim::Quantity;
use regex::Captures;

use super::figure::{
    ACTIVE, BANDWIDTH, CONTEXT, CONTEXT_HELD, GIGABYTES, KV_CACHE, KV_CACHE_AT, KV_CACHES, MEMORY,
    MEMORY_AFTER_NAME, MEMORY_VERB, MEMORY_WORD, POWER, PRICE, PRICED, SIZE, SIZE_APART,
    SIZE_BEFORE, SIZES, SPEED, TOTAL, any_range, bandwidth, format_of, items, number, range,
    tokens_in,
};
use super::flag::flags;
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
    let classes = lexicon.classes(text);
    let parts = lexicon.parts(text);
    if named.is_empty() && classes.is_empty() && parts.is_empty() && section.is_none() {
        return;
    }
    let (classes, parts) = (&classes[..], &parts[..]);
    let mut reader = Reader { text, named: &named, classes, parts, section, found };
    reader.hardware();
    reader.speeds();
    reader.models();
    reader.sizes();
    reader.caches();
    reader.prices();
    flags(text, &named, section, found);
}

/// A paragraph that is read.
struct Reader<'t, 'f> {
    text: &'t str,
    named: &'t [Mention],
    /// Models that are named by their size alone: `a 70B`.
    classes: &'t [Mention],
    /// Parts of a PC other than cards.
    parts: &'t [Mention],
    section: Option<&'t Mention>,
    found: &'f mut Vec<Said>,
}

impl<'t> Reader<'t, '_> {
    /// The machine or model that a figure belongs to: the last named before it in its sentence, else
    /// one right after it, else the last named in the sentences before, else what the section is about.
    fn nearest(&self, model: bool, at: (usize, usize)) -> Option<&'t Mention> {
        let kind = |one: &&Mention| one.is_model() == model;
        self.nearest_of(&self.named.iter().filter(kind).collect::<Vec<_>>(), at, true)
            .or(self.section.filter(|one| kind(one) && self.named.is_empty()))
    }

    /// The one of some names, from left to right, that a figure belongs to: of its own sentence, or,
    /// where that may be, of those before.
    fn nearest_of(
        &self,
        named: &[&'t Mention],
        (at, end): (usize, usize),
        may_be_before: bool,
    ) -> Option<&'t Mention> {
        let from = offset(self.text, sentence(self.text, at));
        let before =
            |from: usize| named.iter().copied().rfind(|one| from <= one.at.0 && one.at.1 <= at);
        before(from)
            .or_else(|| {
                let after = named.iter().copied().find(|one| one.at.0 >= at)?;
                // After the figure only in the same clause; or between its words.
                let gap = self.text.get(end..after.at.0).unwrap_or_default();
                (gap.len() < 60 && !gap.contains(['.', ';', '|'])).then_some(after)
            })
            .or_else(|| before(0).filter(|_| may_be_before))
    }

    /// The model or the class of models that a size belongs to.
    fn sized(&self, at: (usize, usize)) -> Option<&'t Mention> {
        let from = offset(self.text, sentence(self.text, at.0));
        let own =
            self.named.iter().rfind(|one| one.is_model() && from <= one.at.0 && one.at.1 <= at.0);
        own.or_else(|| self.classes.iter().rfind(|one| from <= one.at.0 && one.at.1 <= at.0))
            .or_else(|| self.nearest(true, at))
    }

    fn add_size(
        &mut self,
        quantity: Quantity,
        says: [f64; 2],
        at: (usize, usize),
        format: Option<&'static str>,
        context_tokens: Option<u64>,
    ) {
        let model = self.sized(at);
        let about = About { quantity, machine: None, model, format, context_tokens };
        self.found.extend(about.said(at.0, says));
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
            // What a link between cards moves is no bandwidth of memory.
            let said = sentence(text, start(&one)).to_lowercase();
            let link = ["nvlink", "pcie", "infiniband", "roce", "thunderbolt"];
            if link.iter().any(|word| said.contains(word)) && !said.contains("memory") {
                continue;
            }
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
                ["system", "psu", "supply", "wall", "machine", "netzteil", "total", "build", "pc "];
            let after = &text[one.get(0).map_or(0, |all| all.end())..];
            let after = after.trim_start().to_lowercase();
            let measured = ["at the wall", "from the wall", "at the socket", "an der steckdose"];
            if measured.iter().any(|word| after.starts_with(word)) {
                continue;
            }
            // What it draws while it has nothing to do is another figure.
            let said = sentence(text, start(&one)).to_lowercase();
            let idle = ["idle", "at rest", "awake", "state p", "leerlauf", "ruhe", "nothing to do"];
            if idle.iter().any(|word| said.contains(word)) {
                continue;
            }
            // Nor is what somebody set it to.
            let set = [
                "runs the",
                "limited to",
                "lowered",
                "capped",
                "undervolt",
                "begrenzt",
                "gedrosselt",
            ];
            if whole.iter().chain(&set).any(|word| before.contains(word)) {
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
        for one in TOTAL.captures_iter(text) {
            // What works on a token is another figure, and `a 70B model` is some other model.
            let (at, end) = place(&one);
            let after = text[end..].trim_start().to_lowercase();
            let active = ["active", "aktiv", "are active", "per token", "pro token", "of them"];
            if active.iter().any(|word| after.starts_with(word)) {
                continue;
            }
            let said = sentence(text, at);
            let from = offset(text, said);
            let own = self.named.iter().rfind(|name| {
                name.is_model() && from <= name.at.0 && name.at.1 <= at && at - name.at.1 < 40
            });
            if let (Some(_), Some(says)) = (own, range(&one, 1, Quantity::TotalParameters)) {
                self.add(Quantity::TotalParameters, says, (at, end));
            }
        }
        for one in CONTEXT_HELD.captures_iter(text) {
            let tokens = tokens_in(&one[1]).filter(|tokens| *tokens >= 4_096);
            if let Some(tokens) = tokens {
                self.add(Quantity::Context, [tokens as f64; 2], place(&one));
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

    /// Sizes of models.
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
            // A sum of weights and cache is no size of either.
            let whole = one[0].to_lowercase();
            let sum = ["kv", "cache", "context", "kontext"].iter().any(|word| whole.contains(word));
            let cache = sum || after.starts_with("KV") || after.starts_with("of KV");
            if cache || after.starts_with("/s") || before.contains("VK") {
                continue;
            }
            if let Some(says) = range(&one, figure, Quantity::Size) {
                let format = format_of(&one[format]);
                self.add_size(Quantity::Size, says, place(&one), Some(format), None);
            }
        }
        // `Q4 sizes: 72B about 44 GB, 32B about 20 GB`: every figure belongs to the name before it.
        for head in SIZES.captures_iter(text) {
            let (format, list) = (format_of(&head[1]), head.get(2).map_or(0..0, |one| one.range()));
            let from = list.start;
            for one in GIGABYTES.captures_iter(&text[list.clone()]) {
                let at = place(&one);
                let at = (from + at.0, from + at.1);
                let before =
                    |one: &&Mention| one.is_model() && from <= one.at.0 && one.at.1 <= at.0;
                let own = self.named.iter().chain(self.classes).filter(before);
                let model = own.max_by_key(|one| one.at.1);
                let Some(says) = range(&one, 1, Quantity::Size) else { continue };
                let quantity = Quantity::Size;
                let format = Some(format);
                let about = About { quantity, machine: None, model, format, context_tokens: None };
                self.found.extend(about.said(at.0, says));
            }
        }
    }

    /// Sizes of KV caches in FP16.
    fn caches(&mut self) {
        let text = self.text;
        let in_gb = |says: [f64; 2], unit: &str| {
            let unit = if unit.eq_ignore_ascii_case("GiB") { 1.073_741_824 } else { 1.0 };
            says.map(|one| one * unit)
        };
        for one in KV_CACHE.captures_iter(text) {
            let tokens = tokens_in(&one[1]);
            if let (Some(says), Some(_)) = (range(&one, 2, Quantity::KvCache), tokens) {
                let says = in_gb(says, &one[4]);
                self.add_size(Quantity::KvCache, says, place(&one), None, tokens);
            }
        }
        for one in KV_CACHE_AT.captures_iter(text) {
            // Caches of fewer bits are smaller.
            let whole = one[0].to_lowercase();
            let small = ["int8", "fp8", "q8", "q4", "8-bit", "8 bit", "per token", "pro token"];
            let tokens = tokens_in(&one[4]);
            if small.iter().any(|word| whole.contains(word)) {
                continue;
            }
            if let (Some(says), Some(_)) = (range(&one, 1, Quantity::KvCache), tokens) {
                let says = in_gb(says, &one[3]);
                self.add_size(Quantity::KvCache, says, place(&one), None, tokens);
            }
        }
        // `0.8, 3.1 and 12.9 GB of KV cache at 8K, 32K and 128K`: one figure for each context.
        for one in KV_CACHES.captures_iter(text) {
            let figures: Vec<f64> =
                items(&one[1]).filter_map(|figure| number(figure, false)).collect();
            let contexts: Vec<u64> = items(&one[3]).filter_map(tokens_in).collect();
            if figures.len() != contexts.len() {
                continue;
            }
            for (figure, tokens) in figures.into_iter().zip(contexts) {
                let says = in_gb([figure; 2], &one[2]);
                self.add_size(Quantity::KvCache, says, place(&one), None, Some(tokens));
            }
        }
    }

    /// Prices with a link: of a machine or a part that is named, or of what the section is about
    /// where nothing else is linked.
    fn prices(&mut self) {
        let text = self.text;
        if !is_priced(text) {
            return;
        }
        let machines = self.named.iter().filter(|one| !one.is_model());
        let mut goods: Vec<&Mention> = machines.chain(self.parts).collect();
        goods.sort_by_key(|one| one.at);
        let section = self.section.filter(|one| {
            !one.is_model() && goods.is_empty() && self.named.is_empty() && PRICED.is_match(text)
        });
        for one in PRICE.captures_iter(text).filter(|one| is_alone(text, one)) {
            // `CHF 0.17 per GB`, `CHF 30 a month`: a rate is no price.
            let after = text[place(&one).1..].trim_start().to_lowercase();
            let rate = ["per ", "pro ", "je ", "a ", "an ", "/", "im "];
            if rate.iter().any(|word| after.starts_with(word)) {
                continue;
            }
            let machine = self.nearest_of(&goods, place(&one), false).or(section);
            if let Some(says) = any_range(&one, &[1, 2], Quantity::Price) {
                let quantity = Quantity::Price;
                let about =
                    About { quantity, machine, model: None, format: None, context_tokens: None };
                self.found.extend(about.said(start(&one), [says[0]; 2]));
            }
        }
    }
}

/// Whether a text has a price with a link.
pub(super) fn is_priced(text: &str) -> bool {
    (text.contains("](http") || text.contains("<http")) && PRICE.is_match(text)
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
pub(super) fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The sentence around a place.
pub(super) fn sentence(text: &str, at: usize) -> &str {
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
