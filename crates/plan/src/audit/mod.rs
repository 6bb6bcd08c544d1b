//! The audit: what documents say about hardware and models, and what holds.
//!
//! The claims of the catalog's documents are data, with their figures recomputed. Any other text is
//! read for statements of the same kinds, and for claims that the catalog already knows.

mod judge;
mod lexicon;
mod read;

use std::collections::BTreeMap;

use localrig_facts::CatalogError;
use localrig_facts::claim::{Document, Quantity, Statement, Verdict};
use serde::Serialize;

pub use judge::{Judgement, judge};
pub use lexicon::Lexicon;
pub use read::{Said, read};

use crate::price::Market;

/// The claims of all documents of the catalog.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimsAudit {
    /// The day prices are as of.
    pub as_of: String,
    /// Documents with their claims.
    pub documents: Vec<DocumentAudit>,
}

/// The claims of one document.
#[derive(Clone, Debug, Serialize)]
pub struct DocumentAudit {
    /// Name.
    pub name: String,
    /// When it was written.
    pub dated: String,
    /// Claims, in the order of the document.
    pub claims: Vec<ClaimAudit>,
}

/// One claim.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimAudit {
    /// Key, the same for the same claim in other documents.
    pub key: String,
    /// Where it stands.
    pub place: String,
    /// What is said.
    pub claim: String,
    /// How that stands.
    pub verdict: Verdict,
    /// What holds.
    pub fact: String,
    /// What that changes.
    pub effect: Option<String>,
    /// Its figures, computed anew.
    pub recomputed: Vec<Judgement>,
    /// Who says what holds.
    pub sources: Vec<String>,
}

/// What a text says.
#[derive(Clone, Debug, Serialize)]
pub struct TextAudit {
    /// The file.
    pub file: String,
    /// The day prices are as of.
    pub as_of: String,
    /// Lines read.
    pub lines: usize,
    /// Statements, in the order of the text.
    pub findings: Vec<Finding>,
}

/// A statement with how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Line, from 1.
    pub line: usize,
    /// What is said, as understood.
    pub said: String,
    /// What kind of figure it is; absent for a claim recognised by its words.
    pub quantity: Option<Quantity>,
    /// How it stands.
    pub verdict: Verdict,
    /// What holds.
    pub holds: String,
    /// Who says so.
    pub source: String,
}

/// Every claim of the catalog's documents, their figures recomputed for the market's day.
///
/// # Errors
/// When a catalog file is broken.
pub fn claims(market: &Market<'_>) -> Result<ClaimsAudit, CatalogError> {
    let documents = market.catalog.all::<Document>()?.values();
    let audited = |document: &Document| DocumentAudit {
        name: document.name.clone(),
        dated: document.dated.to_string(),
        claims: document
            .claims
            .iter()
            .map(|claim| ClaimAudit {
                key: claim.key.clone(),
                place: document.place(claim),
                claim: claim.claim.clone(),
                verdict: claim.verdict,
                fact: claim.fact.clone(),
                effect: claim.effect.clone(),
                recomputed: claim.checks.iter().map(|check| judge(market, check)).collect(),
                sources: claim
                    .sources
                    .iter()
                    .filter_map(|name| document.sources.get(name))
                    .map(localrig_facts::Source::describe)
                    .collect(),
            })
            .collect(),
    };
    Ok(ClaimsAudit { as_of: market.date.to_string(), documents: documents.map(audited).collect() })
}

/// What a Markdown text says about hardware and models, judged.
///
/// # Errors
/// When a catalog file is broken.
pub fn text(market: &Market<'_>, file: &str, text: &str) -> Result<TextAudit, CatalogError> {
    let lexicon = Lexicon::new(market.catalog)?;
    let mut findings = known(market, text)?;
    let mut cache: BTreeMap<String, Judgement> = BTreeMap::new();
    for said in read(&lexicon, text) {
        let all = said.statements.iter().map(|one| {
            let key = format!("{one:?}");
            cache.entry(key).or_insert_with(|| judge(market, one)).clone()
        });
        let judged = together(all.collect());
        findings.push(Finding {
            line: said.line,
            said: said.words.clone(),
            quantity: said.statements.first().map(|one| one.quantity),
            verdict: judged.verdict,
            holds: judged.holds,
            source: judged.source,
        });
    }
    findings.sort_by(|a, b| (a.line, a.verdict, &a.said).cmp(&(b.line, b.verdict, &b.said)));
    findings.dedup();
    Ok(TextAudit {
        file: file.to_owned(),
        as_of: market.date.to_string(),
        lines: text.lines().count(),
        findings,
    })
}

/// One verdict on what was said of a family: right of all, wrong of all, or true of some only.
fn together(mut all: Vec<Judgement>) -> Judgement {
    all.sort_by_key(|one| one.verdict);
    let right = all.iter().filter(|one| one.verdict == Verdict::Right).count();
    let misleading = all.iter().filter(|one| one.verdict.misleads()).count();
    if right > 0 && misleading > 0 {
        let holds: Vec<&str> = all.iter().map(|one| one.holds.as_str()).collect();
        return Judgement {
            verdict: Verdict::Imprecise,
            holds: format!("true of some only: {}", holds.join("; ")),
            source: all[0].source.clone(),
        };
    }
    // A family with prices of several kinds: the nearest counts.
    let best = if right > 0 { all.len() - 1 } else { 0 };
    all.swap_remove(best.min(all.len().saturating_sub(1)))
}

/// Claims that the catalog knows by their words.
fn known(market: &Market<'_>, text: &str) -> Result<Vec<Finding>, CatalogError> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut seen: Vec<(usize, &str)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for document in market.catalog.all::<Document>()?.values() {
            for claim in document.claims.iter().filter(|claim| claim.verdict.misleads()) {
                let told = |words: &Vec<String>| words.iter().all(|word| lower.contains(word));
                let again = seen.contains(&(index, claim.key.as_str()));
                if again || !claim.phrases.iter().any(told) {
                    continue;
                }
                seen.push((index, &claim.key));
                let describe = |name: &String| {
                    document.sources.get(name).map(localrig_facts::Source::describe)
                };
                findings.push(Finding {
                    line: index + 1,
                    said: claim.claim.clone(),
                    quantity: None,
                    verdict: claim.verdict,
                    holds: claim.fact.clone(),
                    source: claim
                        .sources
                        .iter()
                        .filter_map(describe)
                        .collect::<Vec<_>>()
                        .join("; "),
                });
            }
        }
    }
    Ok(findings)
}

/// How many statements have a verdict.
pub fn tally<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> BTreeMap<Verdict, usize> {
    let mut counts = BTreeMap::new();
    for verdict in verdicts {
        *counts.entry(*verdict).or_default() += 1;
    }
    counts
}

impl TextAudit {
    /// Whether anything in the text misleads.
    pub fn misleads(&self) -> bool {
        self.findings.iter().any(|one| one.verdict.misleads())
    }
}

/// A statement in words: `RTX 5090: memory 32 GB`.
pub(crate) fn words(names: &str, said: &Statement) -> String {
    let [low, high] = said.says;
    let plain = |value: f64| {
        if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value}") }
    };
    let range = if low < high { format!("{} to {}", plain(low), plain(high)) } else { plain(low) };
    match said.quantity {
        Quantity::Nvlink => {
            let has = if high > 0.0 { "has" } else { "has no" };
            format!("{names} {has} NVLink")
        }
        Quantity::KvCache => {
            let context = said.context_tokens.unwrap_or_default();
            format!("{names}: KV cache of {context} tokens {range} GB")
        }
        Quantity::Size => {
            format!("{names}: {} {range} GB", said.format.as_deref().unwrap_or_default())
        }
        quantity => format!("{names}: {} {range} {}", quantity.words(), quantity.unit()),
    }
}
