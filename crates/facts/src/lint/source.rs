//! Sources: every fact is vouched for, every link is clean.

use std::collections::BTreeSet;

use super::Findings;
use crate::source::{Note, SourceKind, Sources};

/// Keys that say nothing about the world and need no witness.
const UNVOUCHED: [&str; 6] = ["sources", "note", "aliases", "layers", "flags", "not_computed"];

/// Every source is complete, and every fact is covered by one.
pub(super) fn vouching(path: &str, sources: &Sources, raw: &toml::Table, findings: &mut Findings) {
    if sources.is_empty() {
        findings.add(path, "sources", "no source: name who says so, or leave the fact out");
    }
    let mut facts = BTreeSet::new();
    leaves(raw, "", &mut facts);
    facts.retain(|fact| !UNVOUCHED.contains(&fact.split('.').next().unwrap_or_default()));
    // Under which folder of the report a chip generation stands is our own order.
    facts.retain(|fact| fact != "platform" || !path.starts_with("generation/"));
    let mut vouched = BTreeSet::new();
    for (key, source) in sources {
        let place = format!("sources.{key}");
        match (source.kind, &source.url, &source.title) {
            (_, None, None) => findings.add(path, &place, "neither url nor title"),
            (SourceKind::Vendor | SourceKind::Measured | SourceKind::ThirdParty, None, _) => {
                findings.add(
                    path,
                    &place,
                    "this kind of source needs a url; a compilation without address is `secondary`",
                );
            }
            _ => {}
        }
        if source.covers.is_empty() {
            findings.add(
                path,
                &place,
                "covers nothing: list key paths, or \"*\" for the whole file",
            );
        }
        for covered in &source.covers {
            if covered == "*" {
                vouched.extend(facts.iter().cloned());
                continue;
            }
            let below = format!("{covered}.");
            let hit = facts.iter().filter(|fact| *fact == covered || fact.starts_with(&below));
            let hit: Vec<String> = hit.cloned().collect();
            if hit.is_empty() {
                findings.add(
                    path,
                    &place,
                    format!("covers `{covered}`, which this file does not have"),
                );
            }
            vouched.extend(hit);
        }
    }
    for fact in facts.difference(&vouched) {
        findings.add(path, fact, "nobody vouches for this fact: add it to a source's covers");
    }
}

/// Key paths of all values; arrays count as one value, arrays of tables by their key.
fn leaves(table: &toml::Table, prefix: &str, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => leaves(inner, &path, found),
            _ => {
                found.insert(path);
            }
        }
    }
}

/// Notes say something and refer to sources that exist.
pub(super) fn notes(path: &str, sources: &Sources, notes: &[Note], findings: &mut Findings) {
    for note in notes {
        if let Some(key) = note.source.as_ref().filter(|key| !sources.contains_key(*key)) {
            findings.add(path, "note.source", format!("no source called `{key}`"));
        }
        if note.text.trim().is_empty() {
            findings.add(path, "note.text", "an empty remark");
        }
    }
}

/// Query parameters that follow people around, and affiliate marks.
const TRACKING: [&str; 13] = [
    "utm_",
    "srsltid=",
    "gclid=",
    "fbclid=",
    "msclkid=",
    "mc_eid=",
    "igshid=",
    "ref_=",
    "tag=",
    "aff=",
    "affiliate",
    "awc=",
    "partnerid=",
];

/// The tracking mark in a link, if it has one. `/ext_` paths count clicks of price comparisons.
pub(super) fn tracking(url: &str) -> Option<&'static str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    TRACKING
        .into_iter()
        .find(|mark| query.contains(mark))
        .or_else(|| url.contains("/ext_").then_some("/ext_"))
}

/// Links with tracking anywhere in a file.
pub(super) fn tracking_links(path: &str, table: &toml::Table, findings: &mut Findings) {
    for (key, value) in table {
        walk(path, key, value, findings);
    }
}

fn walk(path: &str, place: &str, value: &toml::Value, findings: &mut Findings) {
    match value {
        toml::Value::String(text) => {
            for word in text.split_whitespace().filter(|word| word.contains("://")) {
                if let Some(mark) = tracking(word) {
                    findings.add(path, place, format!("link with tracking (`{mark}`): cut it off"));
                }
            }
        }
        toml::Value::Array(items) => {
            for item in items {
                walk(path, place, item, findings);
            }
        }
        toml::Value::Table(inner) => {
            for (key, item) in inner {
                walk(path, &format!("{place}.{key}"), item, findings);
            }
        }
        _ => {}
    }
}
