//! Forgiving names: ids, product names and common spellings all find their entry.
//!
//! A query is matched in three steps, and the first that finds something decides:
//! 1. the id, the short id, the name or an alias, written alike but for case and punctuation;
//! 2. every word of the query is a word of the name; a name without further words wins over
//!    names that say more (`RTX 4080` is not the `RTX 4080 SUPER`);
//! 3. nothing: the nearest names are offered.

use std::collections::BTreeSet;

/// Something that can be found by name.
#[derive(Clone, Debug)]
pub struct Candidate<'a, T> {
    /// What is returned.
    pub value: T,
    /// Its id; the last component counts as a name.
    pub id: &'a str,
    /// Its product name.
    pub name: &'a str,
    /// Other spellings.
    pub aliases: &'a [String],
}

/// A name that does not lead to exactly one entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Nothing is called that.
    #[error("no {what} called `{query}`")]
    Unknown {
        /// What was looked for: `model`, `machine`.
        what: &'static str,
        /// The query.
        query: String,
        /// Ids with similar names, nearest first.
        close: Vec<String>,
    },
    /// Several things are called that.
    #[error("`{query}` can mean {} different {}", .candidates.len(), several(what))]
    Ambiguous {
        /// What was looked for.
        what: &'static str,
        /// The query.
        query: String,
        /// `id (name)` of each.
        candidates: Vec<String>,
    },
}

/// The plural of what may be looked for.
fn several(what: &str) -> String {
    what.strip_suffix('y').map_or_else(|| format!("{what}s"), |stem| format!("{stem}ies"))
}

/// Finds the one entry a query names.
///
/// # Errors
/// When no entry or more than one fits.
pub fn resolve<'a, T: Clone>(
    what: &'static str,
    query: &str,
    candidates: &[Candidate<'a, T>],
) -> Result<T, ResolveError> {
    let key = squeeze(query);
    let exact: Vec<&Candidate<'a, T>> = candidates
        .iter()
        .filter(|candidate| spellings(candidate).any(|spelling| squeeze(spelling) == key))
        .collect();
    if let [one] = exact[..] {
        return Ok(one.value.clone());
    }
    if exact.len() > 1 {
        return Err(ambiguous(what, query, &exact));
    }

    let wanted = words(query);
    let mut matching: Vec<(BTreeSet<String>, &Candidate<'a, T>)> = Vec::new();
    if !wanted.is_empty() {
        for candidate in candidates {
            // The spelling that says least beyond the query counts.
            let fewest = spellings(candidate)
                .map(words)
                .filter(|said| wanted.is_subset(said))
                .min_by_key(BTreeSet::len);
            if let Some(said) = fewest {
                matching.push((said, candidate));
            }
        }
    }
    let plainest = matching.iter().find(|(said, _)| {
        matching.iter().all(|(other, _)| said.is_subset(other))
            && matching.iter().filter(|(other, _)| other == said).count() == 1
    });
    match (plainest, matching.len()) {
        // Another product of the series, which happens to be the only one here.
        (Some((said, sister)), _) if said.difference(&wanted).any(|word| tells_apart(word)) => {
            let close = vec![sister.id.to_owned()];
            Err(ResolveError::Unknown { what, query: query.to_owned(), close })
        }
        (Some((_, one)), _) => Ok(one.value.clone()),
        (None, 0) => Err(unknown(what, query, candidates)),
        (None, _) => {
            let all: Vec<_> = matching.iter().map(|(_, candidate)| *candidate).collect();
            Err(ambiguous(what, query, &all))
        }
    }
}

fn spellings<'a, T>(candidate: &'a Candidate<'_, T>) -> impl Iterator<Item = &'a str> {
    let id = candidate.id;
    let short = id.rsplit_once('/').map_or(id, |(_, short)| short);
    let below = id.split_once('/').map_or(id, |(_, below)| below);
    [id, below, short, candidate.name]
        .into_iter()
        .chain(candidate.aliases.iter().map(String::as_str))
}

fn ambiguous<T>(what: &'static str, query: &str, found: &[&Candidate<'_, T>]) -> ResolveError {
    ResolveError::Ambiguous {
        what,
        query: query.to_owned(),
        candidates: found.iter().map(|one| format!("{} ({})", one.id, one.name)).collect(),
    }
}

fn unknown<T>(what: &'static str, query: &str, candidates: &[Candidate<'_, T>]) -> ResolveError {
    let key = squeeze(query);
    let mut scored: Vec<(f64, &str)> = candidates
        .iter()
        .map(|candidate| {
            let score = spellings(candidate)
                .map(|spelling| strsim::jaro_winkler(&key, &squeeze(spelling)))
                .fold(0.0, f64::max);
            (score, candidate.id)
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let close = scored.iter().take(3).map(|(_, id)| (*id).to_owned()).collect();
    ResolveError::Unknown { what, query: query.to_owned(), close }
}

/// The valid name nearest to a misspelt one, if any is near.
pub fn nearest<'a>(given: &str, valid: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    valid
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Lower case without punctuation: `GPT-OSS 120B` and `gpt_oss-120b` are alike.
fn squeeze(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || *c == '+').flat_map(char::to_lowercase).collect()
}

/// Whether a word makes another product of a number: nobody who leaves it out means that one.
pub fn tells_apart(word: &str) -> bool {
    ["ti", "super", "xt", "xtx", "gre", "sff", "mod"].contains(&word)
}

/// The words of a name, with letters and digits apart: `RTX5090` = {rtx, 5090}. Units stay with
/// nothing; maker and brand words that people leave out or put in at will are dropped.
fn words(text: &str) -> BTreeSet<String> {
    const OPTIONAL: [&str; 10] =
        ["nvidia", "geforce", "amd", "radeon", "intel", "apple", "the", "gb", "gib", "edition"];
    let mut found = BTreeSet::new();
    let mut word = String::new();
    let mut previous = None;
    for c in text.chars().chain([' ']) {
        let class = (c.is_alphabetic(), c.is_ascii_digit());
        if previous != Some(class) && !word.is_empty() {
            found.insert(std::mem::take(&mut word));
        }
        previous = Some(class);
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    for optional in OPTIONAL {
        found.remove(optional);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: [(&str, &str); 8] = [
        (
            "gpu/nvidia/rtx-pro-6000-blackwell-ws",
            "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
        ),
        (
            "gpu/nvidia/rtx-pro-6000-blackwell-maxq",
            "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        ),
        (
            "gpu/nvidia/rtx-pro-6000-blackwell-server",
            "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        ),
        ("gpu/nvidia/rtx-4080", "NVIDIA GeForce RTX 4080"),
        ("gpu/nvidia/rtx-4080-super", "NVIDIA GeForce RTX 4080 SUPER"),
        ("gpu/nvidia/rtx-5090", "NVIDIA GeForce RTX 5090"),
        ("gpu/amd/rx-7900-xt", "AMD Radeon RX 7900 XT"),
        ("gpu/amd/rx-7900-xtx", "AMD Radeon RX 7900 XTX"),
    ];

    fn find(query: &str) -> Result<&'static str, ResolveError> {
        let candidates: Vec<_> = CARDS
            .iter()
            .map(|(id, name)| Candidate { value: *id, id, name, aliases: &[] })
            .collect();
        resolve("machine", query, &candidates)
    }

    #[test]
    fn common_spellings_find_the_card() {
        for (query, id) in [
            ("rtx-5090", "gpu/nvidia/rtx-5090"),
            ("RTX5090", "gpu/nvidia/rtx-5090"),
            ("5090", "gpu/nvidia/rtx-5090"),
            ("geforce rtx 5090", "gpu/nvidia/rtx-5090"),
            ("nvidia/rtx-5090", "gpu/nvidia/rtx-5090"),
            ("RTX 4080", "gpu/nvidia/rtx-4080"),
            ("4080 super", "gpu/nvidia/rtx-4080-super"),
            ("7900 XT", "gpu/amd/rx-7900-xt"),
            ("7900xtx", "gpu/amd/rx-7900-xtx"),
            ("RTX PRO 6000 Workstation", "gpu/nvidia/rtx-pro-6000-blackwell-ws"),
            ("pro 6000 max-q", "gpu/nvidia/rtx-pro-6000-blackwell-maxq"),
        ] {
            assert_eq!(find(query), Ok(id), "{query}");
        }
    }

    #[test]
    fn a_card_that_is_not_there_is_not_taken_for_its_better_sister() {
        let candidates = [("gpu/nvidia/rtx-4070-ti-super", "NVIDIA GeForce RTX 4070 Ti SUPER")]
            .map(|(id, name)| Candidate { value: id, id, name, aliases: &[] });
        for query in ["RTX 4070", "rtx 4070 ti"] {
            let Err(ResolveError::Unknown { close, .. }) = resolve("machine", query, &candidates)
            else {
                panic!("{query}")
            };
            assert_eq!(close, ["gpu/nvidia/rtx-4070-ti-super"]);
        }
        assert!(resolve("machine", "4070 Ti Super", &candidates).is_ok());
    }

    #[test]
    fn a_family_name_lists_its_editions() {
        insta::assert_snapshot!(find("RTX PRO 6000").unwrap_err(), @"`RTX PRO 6000` can mean 3 different machines");
        let Err(ResolveError::Ambiguous { candidates, .. }) = find("pro6000") else {
            panic!("three editions")
        };
        assert_eq!(candidates.len(), 3);
    }

    #[test]
    fn a_misspelt_name_offers_the_nearest() {
        let Err(ResolveError::Unknown { close, .. }) = find("rtx-5900") else {
            panic!("no such card")
        };
        assert_eq!(close[0], "gpu/nvidia/rtx-5090");
    }

    #[test]
    fn a_name_of_nothing_but_brand_words_finds_nothing() {
        assert!(matches!(find("NVIDIA"), Err(ResolveError::Unknown { .. })));
        assert!(matches!(find(""), Err(ResolveError::Unknown { .. })));
    }

    #[test]
    fn only_a_near_name_is_offered() {
        assert_eq!(nearest("strems", ["streams", "speed"].into_iter()), Some("streams"));
        assert_eq!(nearest("banana", ["streams", "speed"].into_iter()), None);
    }
}
