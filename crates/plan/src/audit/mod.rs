//! The audit: what documents say about hardware and models, and what holds.
//!
//! The claims of the catalog's documents are data, with their figures recomputed. Any other text is
//! read for statements of the same kinds, and for claims that the catalog already knows.

mod crowd;
mod figure;
mod flag;
mod judge;
mod lexicon;
mod read;
mod sentence;

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::CatalogError;
use localrig_facts::claim::{Document, Quantity, Statement, Verdict};
use serde::Serialize;

pub use judge::{Judgement, judge};
pub use lexicon::Lexicon;
pub use read::{Said, read};
use sentence::is_priced;

use crate::figure::grouped;
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
    /// Lines that name hardware or models beside a figure, or have a price with a link, and say
    /// nothing of a kind that is read.
    pub unread_lines: Vec<usize>,
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
    let (mut findings, told) = known(market, text)?;
    let mut cache: BTreeMap<String, Judgement> = BTreeMap::new();
    for said in read(&lexicon, text) {
        // A claim that is known by its words has been answered, with more than its figure.
        let answered =
            |one: &Statement| told.iter().any(|(line, check)| *line == said.line && one == *check);
        if said.statements.iter().any(answered) {
            continue;
        }
        let all = said.statements.iter().map(|one| {
            let key = format!("{one:?}");
            cache.entry(key).or_insert_with(|| judge(market, one)).clone()
        });
        let judged = together(all.collect(), said.of_any);
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
    let read: BTreeSet<usize> = findings.iter().map(|one| one.line).collect();
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let unread = numbered.filter(|(line, said)| !read.contains(line) && has_figure(&lexicon, said));
    let unread_lines = unread.map(|(line, _)| line).collect();
    Ok(TextAudit {
        file: file.to_owned(),
        as_of: market.date.to_string(),
        lines: text.lines().count(),
        findings,
        unread_lines,
    })
}

/// Findings, and the figures that they answer with their lines.
type Known<'a> = (Vec<Finding>, Vec<(usize, &'a Statement)>);

/// Whether a line names hardware or a model and has a figure beside the name, or has a price with a
/// link.
fn has_figure(lexicon: &Lexicon, line: &str) -> bool {
    if is_priced(line) {
        return true;
    }
    let mut named = lexicon.mentions(line);
    named.extend(lexicon.parts(line));
    let inside = |at: usize| named.iter().any(|one| one.at.0 <= at && at < one.at.1);
    !named.is_empty() && line.char_indices().any(|(at, c)| c.is_ascii_digit() && !inside(at))
}

/// One verdict on what was said of a family: right of all, wrong of all, or true of some only. What
/// is said of a class of models holds when it holds of any of them.
fn together(mut all: Vec<Judgement>, of_any: bool) -> Judgement {
    all.sort_by_key(|one| one.verdict);
    if of_any {
        // What cannot be computed of one says nothing of the class.
        let known = all.iter().rposition(|one| one.verdict != Verdict::Unverified);
        return all.swap_remove(known.unwrap_or(0));
    }
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

/// Claims that the catalog knows by their words, and the figures in them with their lines.
fn known<'a>(market: &Market<'a>, text: &str) -> Result<Known<'a>, CatalogError> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut figures: Vec<(usize, &Statement)> = Vec::new();
    let mut seen: Vec<(usize, &str)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let lower = plain(line);
        for document in market.catalog.all::<Document>()?.values() {
            for claim in document.claims.iter().filter(|claim| claim.verdict.misleads()) {
                let told =
                    |words: &Vec<String>| words.iter().all(|word| lower.contains(&plain(word)));
                let again = seen.contains(&(index, claim.key.as_str()));
                if again || !claim.phrases.iter().any(told) {
                    continue;
                }
                seen.push((index, &claim.key));
                figures.extend(claim.checks.iter().map(|check| (index + 1, check)));
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
    Ok((findings, figures))
}

/// A text in lower case with one way to write ranges, shares and rough figures: `~25 – 35 %` and
/// `25 to 35%` are `25-35%`.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase().replace(['~', '≈', '*'], "").replace(['–', '—'], "-");
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut out = String::new();
    let mut rest = lower.as_str();
    while let Some(c) = rest.chars().next() {
        let between = [" to ", " bis ", " - "].into_iter().find(|mark| {
            let after = rest.strip_prefix(mark).and_then(|after| after.chars().next());
            is_digit(out.chars().next_back()) && is_digit(after)
        });
        if let Some(mark) = between {
            out.push('-');
            rest = &rest[mark.len()..];
        } else if rest.starts_with(" %") {
            rest = &rest[1..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
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
        if value.fract() == 0.0 { grouped(value as i64) } else { format!("{value}") }
    };
    let range = if low < high { format!("{} to {}", plain(low), plain(high)) } else { plain(low) };
    match said.quantity {
        Quantity::Nvlink => {
            let has = if high > 0.0 { "has" } else { "has no" };
            format!("{names} {has} NVLink")
        }
        Quantity::Passive => {
            let is = if high > 0.0 { "has no fan" } else { "has a fan" };
            format!("{names} {is} of its own")
        }
        Quantity::SoldSingly => {
            let is = if high > 0.0 { "is" } else { "is not" };
            format!("{names} {is} sold singly")
        }
        Quantity::Mixture => {
            let is = if high > 0.0 { "is a mixture of experts" } else { "is dense" };
            format!("{names} {is}")
        }
        Quantity::KvCache => {
            let context = grouped(said.context_tokens.unwrap_or_default().cast_signed());
            format!("{names}: KV cache of {context} tokens {range} GB")
        }
        Quantity::Size => {
            format!("{names}: {} {range} GB", said.format.as_deref().unwrap_or_default())
        }
        quantity => format!("{names}: {} {range} {}", quantity.words(), quantity.unit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use localrig_facts::Catalog;
    use localrig_facts::region::Region;

    fn audited(catalog: &Catalog, document: &str) -> TextAudit {
        let (_, region) = catalog.get_in::<Region>("ch").unwrap();
        let date = "2026-02-17".parse().unwrap();
        let market = Market { catalog, region_id: "ch", region, date };
        text(&market, "x.md", document).unwrap()
    }

    /// Verdict and words of every statement with its line.
    fn told(document: &str) -> String {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let findings = audited(&catalog, document).findings;
        let line = |one: &Finding| format!("{} {}: {}", one.line, one.verdict.word(), one.said);
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_table_of_cards_is_judged_cell_by_cell() {
        let table = "| GPU | VRAM | Bandwidth | TDP | NVLink |\n|---|---|---|---|---|\n\
            | RTX 5090 | 32 GB GDDR7 | 1,792 GB/s | 575W | No |\n\
            | RTX PRO 6000 WS | 96 GB | 1,792 GB/s | 300W | Yes |\n\
            | RTX 3090 | 24 GB | 1,936 GB/s | 350W | 2-way |\n";
        insta::assert_snapshot!(told(table), @"
        3 right: RTX 5090 has no NVLink
        3 right: RTX 5090: bandwidth 1,792 GB/s
        3 right: RTX 5090: memory 32 GB
        3 right: RTX 5090: power 575 W
        4 wrong: RTX PRO 6000 WS has NVLink
        4 wrong: RTX PRO 6000 Workstation takes 300 W with a blower, about 400 W for the machine
        4 right: RTX PRO 6000 WS: bandwidth 1,792 GB/s
        4 right: RTX PRO 6000 WS: memory 96 GB
        5 wrong: RTX 3090: bandwidth 1,936 GB/s
        5 right: RTX 3090 has NVLink
        5 right: RTX 3090: memory 24 GB
        5 right: RTX 3090: power 350 W
        ");
    }

    #[test]
    fn a_table_of_models_is_judged_cell_by_cell() {
        let table = "| Model | Total Params | Active Params | Q4 Size | Max Context |\n|---|---|---|---|---|\n\
            | gpt-oss-120b | 120B | ~20B | ~65 GB | 128K |\n\
            | LLaMA 3.3 70B | 70B | 70B (all) | ~34 GB | 200K |\n\
            | Qwen3-Coder-30B-A3B | 30B | 3.3B | ~18 GB | 256K |\n";
        insta::assert_snapshot!(told(table), @"
        3 wrong: gpt-oss-120b: active parameters 20 B
        3 right: gpt-oss-120b: context 131,072 tokens
        3 right: gpt-oss-120b: parameters 120 B
        3 right: gpt-oss-120b: q4_k_m 65 GB
        4 wrong: LLaMA 3.3 70B: context 200,000 tokens
        4 imprecise: LLaMA 3.3 70B: q4_k_m 34 GB
        4 right: LLaMA 3.3 70B: active parameters 70 B
        4 right: LLaMA 3.3 70B: parameters 70 B
        5 right: Qwen3-Coder-30B-A3B: active parameters 3.3 B
        5 right: Qwen3-Coder-30B-A3B: context 262,144 tokens
        5 right: Qwen3-Coder-30B-A3B: parameters 30 B
        5 right: Qwen3-Coder-30B-A3B: q4_k_m 18 GB
        ");
    }

    #[test]
    fn kv_caches_are_those_of_the_model_above_the_table() {
        let table = "KV cache of Qwen3-Coder-30B-A3B:\n\n| Context | KV cache (FP16) |\n|---|---|\n\
            | 32K | 3.2 GB |\n| 128K | 25 GB |\n";
        insta::assert_snapshot!(told(table), @"
        5 right: Qwen3-Coder-30B-A3B: KV cache of 32,768 tokens 3.2 GB
        6 wrong: Qwen3-Coder-30B-A3B: KV cache of 131,072 tokens 25 GB
        ");
    }

    #[test]
    fn the_machine_of_a_figures_own_sentence_beats_one_named_before() {
        let text = "The RTX 5090 is too dear. gpt-oss-20b runs at 300 tok/s on an RTX 3090.\n";
        insta::assert_snapshot!(told(text), @"1 unverified: gpt-oss-20b on RTX 3090: speed 300 tok/s");
    }

    #[test]
    fn sentences_are_read_where_figure_and_name_belong_together() {
        let text = "The RTX 4090 moves 1,008 GB/s.\nAn RTX 4090 with 48 GB VRAM is usual.\n\
            gpt-oss-20b has 3.6B active parameters.\nThe RTX 5090 has no NVLink; two are joined by PCIe.\n\
            Link the RTX 5090 by NVLink.\nLlama 3.3 70B runs at 400 tok/s on an RTX 5090.\n\
            gpt-oss-120b only supports 128K.\nQwen3-Coder-30B-A3B Q4 (~18 GB weights) and more.\n";
        insta::assert_snapshot!(told(text), @"
        1 right: RTX 4090: bandwidth 1,008 GB/s
        2 wrong: RTX 4090: memory 48 GB
        3 right: gpt-oss-20b: active parameters 3.6 B
        4 right: RTX 5090 has no NVLink
        5 wrong: RTX 5090 has NVLink
        6 wrong: Llama 3.3 70B on RTX 5090: speed 400 tok/s
        7 right: gpt-oss-120b: context 131,072 tokens
        8 right: Qwen3-Coder-30B-A3B: q4_k_m 18 GB
        ");
    }

    #[test]
    fn what_is_not_read_is_told_and_other_products_are_not_judged() {
        let text = "The RTX 5090 costs CHF 2,000.\nThe RTX 4070 Ti has 12 GB.\n\
            A PC with an RTX 5090 draws 700 W at the wall.\nAn RTX 5090 draws 575 W.\n\
            DeepSeek-R1 runs at 30 tok/s on an RTX 5090.\nThe RTX 5090 is large.\n";
        let catalog = localrig_world::catalog(&[]).unwrap();
        let audit = audited(&catalog, text);
        assert_eq!(audit.unread_lines, [1, 3]);
        insta::assert_snapshot!(told(text), @"
        4 right: RTX 5090: power 575 W
        5 unverified: DeepSeek-R1 on RTX 5090: speed 30 tok/s
        ");
    }

    #[test]
    fn known_claims_are_recognised_by_their_words() {
        let text = "At 8 concurrent streams each gets ~25 to 35 % of the speed.\n\
            Buy Qwen2.5-Coder 72B for it.\nA TRX50 board for NVLink.\n";
        insta::assert_snapshot!(told(text), @"
        1 wrong: At 8 streams each gets 25 to 35 % of the single-stream speed
        2 wrong: Qwen2.5-Coder comes as a 72B, 128K long and 1M with YaRN
        3 wrong: A TRX50 board or a Threadripper 7960X brings NVLink
        ");
    }

    #[test]
    fn a_known_claim_and_the_figure_in_it_are_one_finding() {
        let text = "gpt-oss-120b has 20B active parameters.\n\n\
            gpt-oss-120b has 20B active parameters, and gpt-oss-20b 9B active parameters.\n";
        insta::assert_snapshot!(told(text), @"
        1 wrong: gpt-oss-120b has about 20B active parameters
        3 wrong: gpt-oss-120b has about 20B active parameters
        3 wrong: gpt-oss-20b: active parameters 9 B
        ");
    }

    #[test]
    fn text_about_other_things_says_nothing() {
        let text = "# Notes\n\nOur office has 24 chairs, 5090 francs are left, and the printer takes 300 W.\n\
            The model railway runs at 80 km/h with 128 K of luck. 16GB is a size.\n";
        assert_eq!(told(text), "");
    }

    #[test]
    fn a_price_holds_on_its_day_and_is_outdated_later() {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let text = "RTX 5090 from CHF 2,224 ([shop](https://www.toppreise.ch/x)).\n";
        assert_eq!(audited(&catalog, text).findings[0].verdict, Verdict::Right);
        let wrong = "RTX 5090 from CHF 900 ([shop](https://www.toppreise.ch/x)).\n";
        assert_eq!(audited(&catalog, wrong).findings[0].verdict, Verdict::Outdated);
    }

    #[test]
    fn a_price_belongs_to_what_is_linked_beside_it_and_to_nothing_else() {
        let text = "## RTX 5090 build\n\n\
            GPU: RTX 5090 for CHF 2,224 ([shop](https://www.toppreise.ch/p1))\n\
            CPU: [AMD Ryzen 9 9950X](https://www.toppreise.ch/p2) CHF 499\n\
            SSD: [Samsung 990 PRO 2TB](https://www.toppreise.ch/p3) CHF 12\n\
            Case: [Some Tower](https://www.toppreise.ch/p4) CHF 180\n\n\
            - **Cooler:** [Other Maker](https://www.toppreise.ch/p5), CHF 90\n\n\
            Price: [CHF 900](https://www.toppreise.ch/p6)\n\n\
            The RTX 5090 is nice. A kit is CHF 12 per GB, seen [here](https://www.toppreise.ch/p7).\n\n\
            An RTX 5090 that is kept awake draws 65 to 106 W.\n";
        let catalog = localrig_world::catalog(&[]).unwrap();
        assert_eq!(audited(&catalog, text).unread_lines, [6, 8, 12, 14]);
        insta::assert_snapshot!(told(text), @"
        3 right: RTX 5090: price 2,224 CHF
        4 outdated: AMD Ryzen 9 9950X: price 499 CHF
        5 outdated: Samsung 990 PRO 2TB: price 12 CHF
        10 outdated: RTX 5090: price 900 CHF
        ");
    }

    #[test]
    fn every_misleading_claim_with_lines_is_recognised_by_phrase_or_figure() {
        let catalog = localrig_world::catalog(&[]).unwrap();
        for document in catalog.all::<Document>().unwrap().values() {
            for claim in &document.claims {
                let recognised = !claim.phrases.is_empty() || !claim.checks.is_empty();
                let fine = recognised || claim.lines.is_empty() || !claim.verdict.misleads();
                assert!(fine, "{} {}", document.number, claim.key);
            }
        }
    }
}
