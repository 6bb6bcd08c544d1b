//! Which item of the catalog an offer belongs to.
//!
//! Only three things say so: the maker's part number, a spelling that somebody recorded for exactly
//! this item (a name or alias of the catalog, a decision of the user), or a page that is recorded
//! for it. Names that merely look alike never do: an RTX 5090 Laptop is no RTX 5090, a Max-Q no
//! Workstation card, and one 64 GB kit is not another. What looks alike goes to the review list.

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::catalog::Entry;
use localrig_facts::gpu::Gpu;
use localrig_facts::part::{
    Cable, Case, Cooler, Cpu, Memory, Motherboard, Prebuilt, Psu, Storage, Switch,
};
use localrig_facts::price::page_number;
use localrig_facts::system::System;
use localrig_facts::{Catalog, CatalogError, Id};

use super::offer::Offer;

/// An item, with the variant of a system.
pub type Target = (Id, Option<String>);

/// What an offer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Exactly this.
    One(Target),
    /// It could be one of these; the reason says why it is not clear.
    Unclear(Vec<Id>, String),
    /// Nothing the catalog has.
    None,
}

/// Everything that can have a price, with what names it.
#[derive(Debug, Default)]
pub struct Matcher {
    entries: Vec<Known>,
    /// Page numbers recorded for exactly one item.
    pages: BTreeMap<String, Target>,
    /// Decisions of the user, by [`spelling`].
    aliases: BTreeMap<String, Target>,
}

#[derive(Debug)]
struct Known {
    target: Target,
    name: String,
    /// Names and aliases, written for comparison.
    spellings: Vec<String>,
    /// Part numbers, written for comparison.
    part_numbers: Vec<String>,
    /// Words of all its names.
    words: BTreeSet<String>,
    /// Sizes its name may state, in GB.
    sizes_gb: Vec<f64>,
}

/// Words that make another product of a name. An offer that says one of them is not an item that
/// does not.
const EDITIONS: [&str; 23] = [
    "laptop",
    "notebook",
    "mobile",
    "maxq",
    "workstation",
    "server",
    "super",
    "ti",
    "xt",
    "xtx",
    "gre",
    "d",
    "mod",
    "bundle",
    "waterblock",
    "wasserkühler",
    "wasserblock",
    "backplate",
    "adapter",
    "kabel",
    "cable",
    "bracket",
    "riser",
];

impl Matcher {
    /// The catalog's entries, with the user's decisions as [`spelling`]s.
    ///
    /// # Errors
    /// When a catalog file is broken.
    pub fn new(
        catalog: &Catalog,
        aliases: impl IntoIterator<Item = (String, Id, Option<String>)>,
    ) -> Result<Self, CatalogError> {
        let mut matcher = Self::default();
        for (id, gpu) in catalog.all::<Gpu>()? {
            let sizes = gpu.memory.sizes_gib.iter().map(|size| size.written()).collect();
            matcher.add(id, gpu, &gpu.part_numbers, sizes);
        }
        for (id, kit) in catalog.all::<Memory>()? {
            let number: Vec<String> = kit.part_number.iter().cloned().collect();
            matcher.add(id, kit, &number, vec![kit.capacity_gib.written()]);
        }
        for (id, disk) in catalog.all::<Storage>()? {
            matcher.add(id, disk, &disk.part_numbers, vec![disk.capacity_gb]);
        }
        for (id, one) in catalog.all::<Cpu>()? {
            matcher.add(id, one, &one.part_numbers, Vec::new());
        }
        for (id, one) in catalog.all::<Motherboard>()? {
            matcher.add(id, one, &one.part_numbers, Vec::new());
        }
        for (id, one) in catalog.all::<Psu>()? {
            matcher.add(id, one, &one.part_numbers, Vec::new());
        }
        for (id, one) in catalog.all::<Case>()? {
            matcher.add(id, one, &one.part_numbers, Vec::new());
        }
        for (id, one) in catalog.all::<Cooler>()? {
            matcher.add(id, one, &one.part_numbers, Vec::new());
        }
        for (id, one) in catalog.all::<Cable>()? {
            matcher.add(id, one, &one.part_numbers, Vec::new());
        }
        for (id, one) in catalog.all::<Switch>()? {
            matcher.add(id, one, &one.part_numbers, Vec::new());
        }
        for (id, one) in catalog.all::<Prebuilt>()? {
            matcher.add(id, one, &[], Vec::new());
        }
        for (id, system) in catalog.all::<System>()? {
            // A name of a system with several variants does not say which one is meant.
            if let [only] = &system.variants[..] {
                matcher.add(id, system, &[], Vec::new());
                if let Some(entry) = matcher.entries.last_mut() {
                    entry.target.1 = Some(only.key.clone());
                }
            }
        }
        let mut pages: BTreeMap<String, BTreeSet<Target>> = BTreeMap::new();
        for one in catalog.prices()? {
            if let Some(number) = one.row.link.as_deref().and_then(page_number) {
                let target = (one.row.item.clone(), one.row.variant.clone());
                pages.entry(number).or_default().insert(target);
            }
        }
        matcher.pages = pages
            .into_iter()
            .filter(|(_, targets)| targets.len() == 1)
            .filter_map(|(number, targets)| Some((number, targets.into_iter().next()?)))
            .collect();
        matcher.aliases =
            aliases.into_iter().map(|(text, id, variant)| (text, (id, variant))).collect();
        Ok(matcher)
    }

    fn add<T: Entry>(&mut self, id: &Id, entry: &T, part_numbers: &[String], sizes_gb: Vec<f64>) {
        let names =
            || std::iter::once(entry.name()).chain(entry.aliases().iter().map(String::as_str));
        self.entries.push(Known {
            target: (id.clone(), None),
            name: entry.name().to_owned(),
            spellings: names()
                .flat_map(|name| [dashed(name), dashed(without_maker(name))])
                .collect(),
            part_numbers: part_numbers
                .iter()
                .map(|one| dashed(one))
                .filter(|one| is_telling(one))
                .collect(),
            words: names().flat_map(words).collect(),
            sizes_gb,
        });
    }

    /// What an offer is.
    pub fn item_of(&self, offer: &Offer) -> Match {
        if let Some(target) = spellings(offer).iter().find_map(|text| self.aliases.get(text)) {
            return Match::One(target.clone());
        }
        let mut found: BTreeSet<Target> = BTreeSet::new();
        found.extend(self.by_part_number(offer));
        let page = offer.link.as_deref().and_then(page_number);
        if found.is_empty()
            && let Some(target) = page.and_then(|number| self.pages.get(&number))
        {
            found.insert(target.clone());
        }
        if found.is_empty() {
            let name = dashed(&offer.product);
            let named = self.entries.iter().filter(|one| one.spellings.contains(&name));
            found.extend(named.map(|one| one.target.clone()));
        }
        let ids = || found.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        match found.len() {
            0 => self.near(offer),
            1 => {
                let target = found.first().cloned().expect("there is one");
                match self.contradiction(&target, offer) {
                    Some(reason) => Match::Unclear(ids(), reason),
                    None => Match::One(target),
                }
            }
            several => {
                let reason = format!("its part numbers or names fit {several} items");
                Match::Unclear(ids(), reason)
            }
        }
    }

    /// Items whose part number the offer states: in its own field, its name, or its page's address.
    fn by_part_number(&self, offer: &Offer) -> BTreeSet<Target> {
        let stated = offer.part_number.as_deref().map(dashed);
        let slug = offer.link.as_deref().and_then(|link| link.rsplit('/').next());
        let text = format!("-{}-{}-", dashed(&offer.product), dashed(slug.unwrap_or_default()));
        let fits = |number: &String| {
            stated.as_ref() == Some(number) || text.contains(&format!("-{number}-"))
        };
        let mut found: Vec<(&str, &Target)> = Vec::new();
        for one in &self.entries {
            for number in one.part_numbers.iter().filter(|number| fits(number)) {
                found.push((number, &one.target));
            }
        }
        // A number inside a longer one that fits as well says nothing of its own.
        found
            .iter()
            .filter(|(number, _)| {
                !found.iter().any(|(other, _)| other.len() > number.len() && other.contains(number))
            })
            .map(|(_, target)| (*target).clone())
            .collect()
    }

    /// What the offer says that the item is not.
    fn contradiction(&self, target: &Target, offer: &Offer) -> Option<String> {
        let known = self.entries.iter().find(|one| one.target == *target)?;
        let said = words(&offer.product);
        if let Some(word) =
            EDITIONS.iter().find(|word| said.contains(**word) && !known.words.contains(**word))
        {
            return Some(format!("says `{word}`, which {} is not", known.name));
        }
        let sizes = sizes_gb(&offer.product);
        let fits = |size: &f64| known.sizes_gb.iter().any(|own| (own - size).abs() < 0.01 * own);
        if !known.sizes_gb.is_empty() && !sizes.is_empty() && !sizes.iter().any(fits) {
            let list: Vec<String> = sizes.iter().map(|size| format!("{size} GB")).collect();
            return Some(format!("says {}, which {} is not", list.join(", "), known.name));
        }
        None
    }

    /// Items whose names are contained in the offer's: something to ask about, never a match.
    fn near(&self, offer: &Offer) -> Match {
        let said = words(&offer.product);
        let mut candidates: Vec<Id> = self
            .entries
            .iter()
            .filter(|one| {
                one.spellings.iter().any(|spelling| {
                    // `RTX PRO 6000` may be any of its editions.
                    let mut own = words(spelling);
                    own.retain(|word| !EDITIONS.contains(&word.as_str()));
                    own.len() > 1 && own.is_subset(&said)
                })
            })
            .map(|one| one.target.0.clone())
            .collect();
        candidates.dedup();
        if candidates.is_empty() {
            return Match::None;
        }
        let reason = "only its name looks alike: no part number, alias or page says what it is";
        Match::Unclear(candidates, reason.to_owned())
    }

    /// Pages recorded for an item, newest first.
    ///
    /// # Errors
    /// When a price file of the catalog is broken.
    pub fn pages_of(
        catalog: &Catalog,
        item: &Id,
        variant: Option<&str>,
    ) -> Result<Vec<String>, CatalogError> {
        let mut rows: Vec<_> = catalog
            .prices()?
            .iter()
            .filter(|one| one.row.item == *item && one.row.variant.as_deref() == variant)
            .filter_map(|one| Some((one.row.date.earliest(), one.row.link.clone()?)))
            .filter(|(_, link)| page_number(link).is_some())
            .collect();
        rows.sort_by(|a, b| b.cmp(a));
        rows.dedup_by(|a, b| a.1 == b.1);
        Ok(rows.into_iter().map(|(_, link)| link).collect())
    }
}

/// What a decision about an offer is remembered by: its part number, its page, its exact name.
pub fn spellings(offer: &Offer) -> Vec<String> {
    let number = offer.part_number.as_deref().map(|number| format!("part {}", dashed(number)));
    let page = offer.link.as_deref().and_then(page_number).map(|page| format!("page {page}"));
    let name = format!("name {}", dashed(&offer.product));
    number.into_iter().chain(page).chain([name]).collect()
}

/// A card's name without the maker of its chip, which shops leave out.
fn without_maker(name: &str) -> &str {
    ["NVIDIA ", "AMD ", "Intel "].iter().find_map(|maker| name.strip_prefix(maker)).unwrap_or(name)
}

/// A part number short enough to be a word of something else says nothing.
fn is_telling(number: &str) -> bool {
    number.len() >= 5 && number.bytes().any(|byte| byte.is_ascii_digit())
}

/// Lower case, with single dashes for everything that is no letter or digit.
fn dashed(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '+' {
            out.extend(c.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// Words, with letters and digits apart and spellings of editions made one.
fn words(text: &str) -> BTreeSet<String> {
    let text = text.to_lowercase().replace("max-q", "maxq").replace("max q", "maxq");
    let mut found = BTreeSet::new();
    let mut word = String::new();
    let mut previous = None;
    for c in text.chars().chain([' ']) {
        let class = (c.is_alphabetic(), c.is_ascii_digit());
        if previous != Some(class) && !word.is_empty() {
            let plain = match word.as_str() {
                "ws" => "workstation",
                "mobility" => "mobile",
                other => other,
            };
            found.insert(plain.to_owned());
            word.clear();
        }
        previous = Some(class);
        if c.is_alphanumeric() {
            word.push(c);
        }
    }
    // Maker and brand words that people leave out or put in at will.
    for optional in ["nvidia", "geforce", "amd", "radeon", "gb", "edition", "the", "blackwell"] {
        found.remove(optional);
    }
    found
}

/// Sizes a name states, in GB: `64GB`, `2x32GB` (64), `2TB`.
fn sizes_gb(text: &str) -> Vec<f64> {
    let text: String = text.to_lowercase().replace([' ', '\u{a0}'], "").replace('×', "x");
    let bytes = text.as_bytes();
    let mut sizes = Vec::new();
    for unit in ["gb", "tb"] {
        for (at, _) in text.match_indices(unit) {
            let digits = |end: usize| {
                let start = bytes[..end].iter().rposition(|byte| !byte.is_ascii_digit());
                let start = start.map_or(0, |at| at + 1);
                text.get(start..end).and_then(|text| text.parse::<f64>().ok()).map(|n| (n, start))
            };
            let Some((mut size, start)) = digits(at) else { continue };
            if unit == "tb" {
                size *= 1000.0;
            }
            // `2x32gb`, but not the `x` of a model name: a factor has one digit.
            if start > 0
                && bytes[start - 1] == b'x'
                && let Some((factor, from)) = digits(start - 1)
                && from + 1 == start - 1
            {
                size *= factor;
            }
            sizes.push(size);
        }
    }
    sizes
}
