//! Names of machines and models in running text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use localrig_facts::catalog::Entry;
use localrig_facts::gpu::Gpu;
use localrig_facts::model::Model;
use localrig_facts::part::{Case, Cooler, Cpu, Memory, Motherboard, Psu, Storage};
use localrig_facts::resolve::tells_apart;
use localrig_facts::system::System;
use localrig_facts::{Catalog, CatalogError, Id};
use regex::Regex;

/// What a name can mean, by its letters and digits in lower case.
type Names = BTreeMap<String, BTreeSet<Id>>;

/// Spellings of the catalog's machines and models, and of families of them.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    names: Names,
    /// Parts of a PC other than cards: only prices are read of them.
    parts: Names,
    /// Dense models by the size in their names, in lower case: `70b`.
    classes: BTreeMap<String, BTreeSet<Id>>,
}

/// A name that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// First and one past the last byte in the text.
    pub(super) at: (usize, usize),
    /// The name as it is written there.
    pub(super) written: String,
    /// What it can mean.
    pub(super) ids: BTreeSet<Id>,
    /// The size it names instead of a model: `70B`. What is said then holds when it holds of any.
    pub(super) class: Option<String>,
}

impl Mention {
    /// Whether it names a model rather than a machine.
    pub(super) fn is_model(&self) -> bool {
        self.ids.iter().all(|id| id.folder() == "model")
    }
}

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a pattern that compiles"));
    };
}

pattern!(SIZE, r"^\d+(?:\.\d+)?b$");
pattern!(
    CLASS,
    r"(?i)(?:\b(?:an?|any|every|ein|eine|einem|einen|dense)\s|[:,|]\s|^)(\d{1,3}(?:\.\d)?B)\b"
);
pattern!(
    BEFORE_NUMBER,
    r"(?i)\b(?:the|an?|one|used|single|second|die|der|eine[rn]?|gebrauchte)\s$"
);
pattern!(
    AFTER_NUMBER,
    r"(?i)^(?:['’]s\b|[,;:)]|\.(?:\s|$)|$|\s(?:still|only|just|also|has|had|is|gives|offers|draws|pulls|moves|reads|carries|packs|delivers|supports|lacks|dropped|lost|with|hat|ist|bietet|zieht|liefert|mit|hat nur)\b)"
);

/// Words that a name may be written without.
const OPTIONAL: [&str; 12] = [
    "nvidia", "geforce", "amd", "radeon", "intel", "apple", "instruct", "chat", "it", "hf",
    "edition", "founders",
];

/// Longest name in words.
const LONGEST: usize = 8;

type Token = String;

impl Lexicon {
    /// The names of a catalog.
    ///
    /// # Errors
    /// When a file of machines or models is broken.
    pub fn new(catalog: &Catalog) -> Result<Self, CatalogError> {
        let mut own: BTreeMap<String, BTreeSet<Id>> = BTreeMap::new();
        let mut families: BTreeMap<String, BTreeSet<Id>> = BTreeMap::new();
        // `RTX 4070 Ti` is another card than the SUPER, which may be the only one in the catalog.
        let mut sisters: BTreeSet<String> = BTreeSet::new();
        let mut add = |id: &Id, spellings: Vec<&str>| {
            for spelling in spellings {
                let all = tokens(spelling);
                let kept: Vec<&Token> =
                    all.iter().filter(|one| !OPTIONAL.contains(&one.as_str())).collect();
                let whole = |words: &[&Token]| words.iter().map(|one| one.as_str()).collect();
                let every: Vec<&Token> = all.iter().collect();
                // People leave out the generation: `RTX PRO 6000 Workstation`.
                let bare: Vec<&Token> =
                    kept.iter().copied().filter(|one| *one != "blackwell").collect();
                for words in [&every[..], &kept[..], &bare[..]] {
                    own.entry(whole(words)).or_default().insert(id.clone());
                }
                // `RTX PRO 6000` of `RTX PRO 6000 Blackwell Server`, `PRO 6000` of both.
                for start in 0..kept.len().min(2) {
                    for end in start + 1..=kept.len() {
                        let part = &kept[start..end];
                        let digit = |one: &&Token| one.contains(|c: char| c.is_ascii_digit());
                        let model_number = start == 0 && digit(&part[0]);
                        let named = part[0].starts_with(char::is_alphabetic);
                        if named && part.len() >= 2 && part.iter().any(digit)
                            || part.len() == 1 && model_number
                        {
                            families.entry(whole(part)).or_default().insert(id.clone());
                            if kept[end..].iter().any(|word| tells_apart(word)) {
                                sisters.insert(whole(part));
                            }
                        }
                    }
                }
            }
        };
        for (id, gpu) in catalog.all::<Gpu>()? {
            let mut all = vec![gpu.name.as_str(), id.short()];
            all.extend(gpu.aliases.iter().map(String::as_str));
            add(id, all);
        }
        for (id, system) in catalog.all::<System>()? {
            let plain = system.name.split(" (").next().unwrap_or(&system.name);
            let mut all = vec![plain, id.short()];
            all.extend(system.aliases.iter().map(String::as_str));
            add(id, all);
        }
        for (id, model) in catalog.all::<Model>()? {
            let mut all = vec![model.name.as_str(), id.short()];
            all.extend(model.aliases.iter().map(String::as_str));
            add(id, all);
        }
        // A name of its own is never a family: `Qwen3-30B-A3B` is not its later release.
        let mut names = own;
        for (name, ids) in families {
            let sister = ids.len() == 1 && sisters.contains(&name);
            if name.len() >= 4 && !names.contains_key(&name) && !sister {
                names.insert(name, ids);
            }
        }
        names.retain(|name, ids| {
            let kinds: BTreeSet<&str> = ids.iter().map(Id::folder).collect();
            let models = kinds.contains("model");
            // Makers and series alone (`Mac Studio`, `Radeon RX`) name nothing in particular.
            let numbered = name.contains(|c: char| c.is_ascii_digit());
            name.contains(|c: char| c.is_alphabetic())
                && name.len() >= 4
                && ids.len() <= if numbered { 4 } else { 1 }
                && !(models && kinds.len() > 1)
        });
        let mut classes: BTreeMap<String, BTreeSet<Id>> = BTreeMap::new();
        for (id, model) in catalog.all::<Model>()? {
            let all = model.parameters.total;
            let sizes = tokens(id.short());
            let mut sizes = sizes.iter().filter(|one| SIZE.is_match(one));
            // `30b-a3b` is a mixture, whose size says little of what it takes to run.
            if let (Some(size), None) = (sizes.next(), sizes.next())
                && model.parameters.active.is_none_or(|active| active == all)
            {
                classes.entry(size.clone()).or_default().insert(id.clone());
            }
        }
        Ok(Self { names, parts: parts(catalog)?, classes })
    }

    /// Dense models that a text names by their size alone: `a 70B`, `dense 32B`, `: 72B`.
    pub(super) fn classes(&self, text: &str) -> Vec<Mention> {
        let named = self.mentions(text);
        let sized = CLASS.captures_iter(text).filter_map(|one| {
            let (size, after) = (one.get(1)?, text[one.get(0)?.end()..].trim_start());
            let counted = ["active", "total", "param", "aktiv", "token", "of "];
            let inside = named.iter().any(|it| it.at.0 <= size.start() && size.end() <= it.at.1);
            if inside || counted.iter().any(|word| after.to_lowercase().starts_with(word)) {
                return None;
            }
            Some(Mention {
                at: (size.start(), size.end()),
                written: size.as_str().to_owned(),
                ids: self.classes.get(&size.as_str().to_lowercase())?.clone(),
                class: Some(size.as_str().to_owned()),
            })
        });
        sized.collect()
    }

    /// Every part in a text, from left to right.
    pub(super) fn parts(&self, text: &str) -> Vec<Mention> {
        find(&self.parts, text)
    }

    /// Every machine and model in a text, from left to right, the longest at each place.
    pub(super) fn mentions(&self, text: &str) -> Vec<Mention> {
        find(&self.names, text)
    }
}

/// Spellings of parts: whole names only, with the maker or without, and part numbers where a file
/// has them as other names.
fn parts(catalog: &Catalog) -> Result<Names, CatalogError> {
    fn of<T: Entry>(catalog: &Catalog, parts: &mut Names) -> Result<(), CatalogError> {
        for (id, part) in catalog.all::<T>()? {
            let without_brackets = part.name().split(" (").next();
            let names = part.aliases().iter().map(String::as_str).chain([part.name()]);
            for spelling in names.chain(without_brackets) {
                let all = tokens(spelling);
                let kept: Vec<&Token> =
                    all.iter().filter(|one| !OPTIONAL.contains(&one.as_str())).collect();
                let every: Vec<&Token> = all.iter().collect();
                for words in [every, kept] {
                    let whole: String = words.iter().map(|one| one.as_str()).collect();
                    let numbered = whole.contains(|c: char| c.is_ascii_digit());
                    if whole.len() >= 4 && numbered && words.len() > 1 {
                        parts.entry(whole).or_default().insert(id.clone());
                    }
                }
            }
        }
        Ok(())
    }
    let mut parts = BTreeMap::new();
    of::<Cpu>(catalog, &mut parts)?;
    of::<Motherboard>(catalog, &mut parts)?;
    of::<Memory>(catalog, &mut parts)?;
    of::<Psu>(catalog, &mut parts)?;
    of::<Case>(catalog, &mut parts)?;
    of::<Cooler>(catalog, &mut parts)?;
    of::<Storage>(catalog, &mut parts)?;
    Ok(parts)
}

/// Every name in a text, from left to right, the longest at each place.
fn find(names: &Names, text: &str) -> Vec<Mention> {
    let words = spans(text);
    let mut found = Vec::new();
    let mut index = 0;
    while index < words.len() {
        let mut name = String::new();
        let mut best: Option<(usize, &BTreeSet<Id>)> = None;
        for (length, (start, end)) in words[index..].iter().take(2 * LONGEST).enumerate() {
            // Names do not run over commas, bars and brackets.
            if length > 0 {
                let gap = &text[words[index + length - 1].1..*start];
                if gap.chars().any(|c| !" -_*./\u{2011}".contains(c)) {
                    break;
                }
            }
            name.push_str(&text[*start..*end].to_lowercase());
            if let Some(ids) = names.get(&name) {
                best = Some((length, ids));
            }
        }
        let Some((length, ids)) = best else {
            found.extend(by_number(names, text, words[index]));
            index += 1;
            continue;
        };
        let next = words.get(index + length + 1);
        let (ids, more) = narrowed(text, ids, words[index + length].1, next);
        let at = (words[index].0, words[index + length + more].1);
        let mut written = text[at.0..at.1].to_owned();
        // Addresses have hyphens for blanks.
        let before = text[..at.0].rsplit(char::is_whitespace).next().unwrap_or_default();
        if before.contains("://") {
            written = written.replace('-', " ");
        }
        found.push(Mention { at, written, ids, class: None });
        index += length + more + 1;
    }
    found
}

/// A card by its bare number, where the words around it leave no doubt: `a used 3090 draws`.
fn by_number(names: &Names, text: &str, at: (usize, usize)) -> Option<Mention> {
    let number = &text[at.0..at.1];
    let digits = number.trim_end_matches('s');
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fits = BEFORE_NUMBER.is_match(&text[..at.0]) && AFTER_NUMBER.is_match(&text[at.1..]);
    let ids = ["rtx", "rx"].iter().find_map(|series| names.get(&format!("{series}{digits}")));
    let ids = ids.filter(|_| fits)?;
    Some(Mention { at, written: number.to_owned(), ids: ids.clone(), class: None })
}

/// Those of a family that the word right after it means: `H100 SXM` is not the PCIe card. With the
/// number of words that were taken for that.
fn narrowed(
    text: &str,
    ids: &BTreeSet<Id>,
    end: usize,
    next: Option<&(usize, usize)>,
) -> (BTreeSet<Id>, usize) {
    let whole = || (ids.clone(), 0);
    let Some((from, to)) = next.filter(|_| ids.len() > 1).copied() else { return whole() };
    let word = &text[from..to];
    let adjoins = matches!(&text[end..from], " " | "-");
    if !adjoins || word.len() < 3 || !word.starts_with(char::is_uppercase) {
        return whole();
    }
    let lower = word.to_lowercase();
    let meant: BTreeSet<Id> = ids
        .iter()
        .filter(|id| id.short().split('-').any(|part| part.starts_with(&lower)))
        .cloned()
        .collect();
    if meant.is_empty() { whole() } else { (meant, 1) }
}

fn tokens(text: &str) -> Vec<Token> {
    spans(text).into_iter().map(|(start, end)| text[start..end].to_lowercase()).collect()
}

/// Runs of letters, digits, `+` and inner points: `Qwen2.5-Coder` is `Qwen2.5` and `Coder`.
fn spans(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    for (index, (at, c)) in chars.iter().enumerate() {
        let inner = *c == '.'
            && index > 0
            && chars[index - 1].1.is_ascii_digit()
            && chars.get(index + 1).is_some_and(|(_, next)| next.is_ascii_digit());
        if c.is_alphanumeric() || *c == '+' || inner {
            start.get_or_insert(*at);
        } else if let Some(begin) = start.take() {
            found.push((begin, *at));
        }
    }
    if let Some(begin) = start {
        found.push((begin, text.len()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let lexicon = Lexicon::new(&catalog).unwrap();
        let ids = |one: Mention| one.ids.iter().map(Id::short).collect::<Vec<_>>().join("|");
        lexicon.mentions(text).into_iter().map(ids).collect()
    }

    #[test]
    fn names_are_found_as_people_write_them() {
        assert_eq!(
            found("**GPT-OSS-120B** on an RTX 5090, Qwen3-30B-A3B Q4 on a Mac M3 Ultra"),
            ["gpt-oss-120b", "rtx-5090", "qwen3-30b-a3b", "apple-m3-ultra"]
        );
        assert_eq!(
            found("Llama 3.3 70B or LLaMA 3.1 70B"),
            ["llama-3.3-70b-instruct", "llama-3.1-70b-instruct"]
        );
        assert_eq!(found("RTX A6000, Mac Studio M3 Ultra"), ["rtx-a6000", "mac-studio-m3-ultra"]);
    }

    #[test]
    fn a_family_is_all_of_its_editions() {
        let editions =
            "rtx-pro-6000-blackwell-maxq|rtx-pro-6000-blackwell-server|rtx-pro-6000-blackwell-ws";
        assert_eq!(found("RTX PRO 6000 Blackwell and PRO 6000"), [editions, editions]);
        assert_eq!(
            found("the RTX PRO 6000 WS, or RTX PRO 6000 Workstation"),
            ["rtx-pro-6000-blackwell-ws"; 2]
        );
    }

    #[test]
    fn plain_words_and_numbers_are_no_names() {
        assert_eq!(found("It costs 5090 francs for a Mac Studio with 4090 tokens"), [""; 0]);
    }
}
