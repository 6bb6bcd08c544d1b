//! Statements in running text that are held against a fact without a figure: whether there is NVLink,
//! a fan, a private sale; whether a model is a mixture of experts.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use localrig_facts::claim::Quantity;
use regex::Regex;

use super::lexicon::Mention;
use super::read::{About, Said};
use super::sentence::{offset, sentence};

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a pattern that compiles"));
    };
}

pattern!(NVLINK, r"(?i)\bNV-?Link\b");
pattern!(
    PASSIVE,
    r"(?i)\b(?:passively[\s-]cooled|passive(?:ly)?[\s-](?:cooling|cooled|heat\s?sink|card|design)|fanless|passiv(?:e|er)?[\s-](?:gekühlt\w*|Kühlung|Karte)|lüfterlos\w*)"
);
pattern!(
    ACTIVE,
    r"(?i)\b(?:actively[\s-]cooled|active(?:ly)?[\s-]cooling|aktiv[\s-]gekühlt\w*|aktive Kühlung|blower[\s-](?:fan|cooler|card|style))"
);
pattern!(
    SINGLY,
    r"(?i)\b(?:sold|bought|buy|available|purchased?|ordered|verkauft|gekauft|kaufen|erhältlich)\s(?:\w+\s){0,2}?(?:singly|individually|separately|one by one|on its own|by itself|einzeln)\b|\beinzeln(?:\s\w+){0,2}?\s(?:verkauft|gekauft|kaufen|erhältlich)\b"
);
// Right after a model's name: `… is a dense model`, `… (MoE)`.
pattern!(
    KIND,
    r"(?i)^\s?(?:,\s|\(|:\s)?(?:(?:is|are|ist|sind)\s(?:(?:not|no|kein|nicht)\s)?)?(?:an?\s|ein\s|eine\s|the\s)?(?:\d+B[\s-])?(?:(?:sparse|large|big|open|pure|grosses|großes)\s)?(mixture[\s-]of[\s-]experts|MoE\b|dense\b|dichtes\b)"
);

/// What a pattern says: the quantity, and whether it is claimed or denied by the words themselves.
fn patterns() -> [(&'static LazyLock<Regex>, Quantity, bool); 4] {
    [
        (&NVLINK, Quantity::Nvlink, true),
        (&PASSIVE, Quantity::Passive, true),
        (&ACTIVE, Quantity::Passive, false),
        (&SINGLY, Quantity::SoldSingly, true),
    ]
}

/// Words that deny what follows, and what precedes.
const DENIED_BEFORE: [&str; 17] = [
    "no ", "not ", "without ", "lacks ", "n't ", "n’t ", "cannot ", "kein ", "keine ", "ohne ",
    "nicht ", "neither ", "never ", "nie ", "dropped ", "lost ", "removed ",
];
/// Words that deny whatever follows in their clause.
const DENIED_ALL: [&str; 4] = ["neither ", "none of ", "weder ", "keine der "];
const DENIED_AFTER: [&str; 11] = [
    "has none",
    "hat keine",
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

/// Words that set one machine against another: what follows up to the next comma is the other.
const AGAINST: [&str; 9] = [
    "unlike ",
    "in contrast to ",
    "as opposed to ",
    "compared to ",
    "compared with ",
    "than ",
    "anders als ",
    "im gegensatz zu",
    "verglichen mit ",
];

/// Statements without a figure in running text.
pub(super) fn flags(
    text: &str,
    named: &[Mention],
    section: Option<&Mention>,
    found: &mut Vec<Said>,
) {
    for (pattern, quantity, claimed) in patterns() {
        hardware(text, named, section, found, (pattern, quantity, claimed));
    }
    models(text, named, found);
}

/// A property of the machines in a sentence: denied, or claimed.
fn hardware(
    text: &str,
    named: &[Mention],
    section: Option<&Mention>,
    found: &mut Vec<Said>,
    (pattern, quantity, claimed): (&Regex, Quantity, bool),
) {
    let mut told = BTreeSet::new();
    for hit in pattern.find_iter(text) {
        let at = hit.start();
        let said = clause(text, at);
        let from = offset(text, said);
        if !told.insert(from) {
            continue;
        }
        let before = text[from..at].to_lowercase();
        let tail: String =
            before.chars().rev().take(40).collect::<String>().chars().rev().collect();
        let after = text[hit.end()..].to_lowercase();
        let after = &after[..after.find(['.', ';', ',']).unwrap_or(after.len())];
        let denied = DENIED_BEFORE.iter().any(|word| tail.contains(word))
            || DENIED_ALL.iter().any(|word| before.contains(word))
            || DENIED_AFTER.iter().any(|word| after.contains(word));
        let compared = quantity == Quantity::Nvlink && before.contains("bandwidth")
            || said.contains("not required")
            || said.trim_end().ends_with('?');
        if compared {
            continue;
        }
        let within = |one: &&Mention| from <= one.at.0 && one.at.1 <= from + said.len();
        let own = named.iter().filter(|one| !one.is_model()).filter(within);
        let own = own.filter(|one| !is_other(text, from, one.at.0));
        // What comes after a comma is spoken of in its own right.
        let end = hit.end();
        let own = own.filter(|one| one.at.0 < end || !text[end..one.at.0].contains(','));
        let alone = section.filter(|one| !one.is_model() && named.is_empty());
        let says = [f64::from(u8::from(denied != claimed)); 2];
        for machine in own.chain(alone) {
            found.extend(about(quantity, Some(machine), None).said(at, says));
        }
    }
}

/// The part of a sentence around a place, between semicolons.
fn clause(text: &str, at: usize) -> &str {
    let said = sentence(text, at);
    let here = at - offset(text, said);
    let from = said[..here].rfind("; ").map_or(0, |end| end + 2);
    let to = said[here..].find("; ").map_or(said.len(), |end| here + end);
    &said[from..to]
}

/// Whether a name is the one that a sentence sets its subject against.
fn is_other(text: &str, from: usize, at: usize) -> bool {
    let before = text[from..at].to_lowercase();
    AGAINST
        .iter()
        .any(|word| before.rfind(word).is_some_and(|found| !before[found..].contains([',', ';'])))
}

/// `… is a dense model`, `… (MoE)`.
fn models(text: &str, named: &[Mention], found: &mut Vec<Said>) {
    for model in named.iter().filter(|one| one.is_model()) {
        let after = &text[model.at.1..];
        let Some(hit) = KIND.captures(after) else { continue };
        let said = sentence(text, model.at.0).to_lowercase();
        // `dense or mixture` says neither.
        let word = hit[1].to_lowercase();
        let dense = word.starts_with("den") || word.starts_with("dich");
        let both = said.contains("dense") && (said.contains("moe") || said.contains("mixture"));
        if both || said.trim_end().ends_with('?') {
            continue;
        }
        let whole = hit[0].to_lowercase();
        let denied = [" not ", " no ", " kein ", " nicht "].iter().any(|one| whole.contains(one));
        let says = [f64::from(u8::from(dense == denied)); 2];
        found.extend(about(Quantity::Mixture, None, Some(model)).said(model.at.1, says));
    }
}

fn about<'m>(
    quantity: Quantity,
    machine: Option<&'m Mention>,
    model: Option<&'m Mention>,
) -> About<'m> {
    About { quantity, machine, model, format: None, context_tokens: None }
}
