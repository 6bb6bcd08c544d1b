//! The audit on texts in many phrasings: no false alarm on what holds, nothing missed of what does
//! not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use localrig_facts::Catalog;
use localrig_facts::claim::{Document, Verdict};
use localrig_facts::region::Region;
use localrig_plan::audit::{Finding, text};
use localrig_plan::price::Market;

fn findings(catalog: &Catalog, document: &str) -> Vec<Finding> {
    let (_, region) = catalog.get_in::<Region>("ch").unwrap();
    let date = "2026-02-17".parse().unwrap();
    let market = Market { catalog, region_id: "ch", region, date };
    text(&market, "x.md", document).unwrap().findings
}

fn told(one: &Finding) -> String {
    format!("{} {}: {} ({})", one.line, one.verdict.word(), one.said, one.holds)
}

#[test]
fn what_holds_raises_no_alarm_in_any_phrasing_and_is_recognised() {
    let document = include_str!("audit/right.md");
    let found = findings(&localrig_world::catalog(&[]).unwrap(), document);
    let alarms: Vec<String> =
        found.iter().filter(|one| one.verdict != Verdict::Right).map(told).collect();
    assert_eq!(alarms, [""; 0]);
    let lines: BTreeSet<usize> = found.iter().map(|one| one.line).collect();
    // All but the headings, the rows above figures, and what is said of nothing in particular.
    let silent: Vec<&str> = document
        .lines()
        .zip(1..)
        .filter(|(line, number)| {
            line.contains(|c: char| c.is_ascii_digit())
                && !line.starts_with('#')
                && !line.starts_with("|  ")
                && !lines.contains(number)
        })
        .map(|(line, _)| line)
        .collect();
    insta::assert_snapshot!(silent.join("\n"), @r#"
    KV-Cache bei 128K mit Qwen3-Coder-30B-A3B: siehe oben.
    On an RTX 5090 a 70B model needs 43 GB VRAM. With an RTX 5090 the system draws 850 W at the wall.
    Does the RTX 5090 have NVLink?
    A PSU of 1,600 W feeds two RTX 5090.
    At a context of 32K gpt-oss-120b answers well, and 8 users share one RTX PRO 6000.
    "#);
}

#[test]
fn what_does_not_hold_is_found_in_every_phrasing() {
    let document = include_str!("audit/wrong.md");
    let found = findings(&localrig_world::catalog(&[]).unwrap(), document);
    let misleading: BTreeSet<usize> =
        found.iter().filter(|one| one.verdict.misleads()).map(|one| one.line).collect();
    let mut first = 0;
    for (line, number) in document.lines().zip(1..) {
        if line.is_empty() {
            first = number + 1;
            continue;
        }
        // A sentence may run over several lines; the figure stands on one of them.
        let hit = (first..number + 2).any(|line| misleading.contains(&line));
        assert!(hit || line.starts_with('#'), "{number}: {line}");
    }
}

#[test]
fn no_claim_recorded_as_right_raises_an_alarm_when_it_is_read() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut read = 0;
    for document in catalog.all::<Document>().unwrap().values() {
        for claim in document.claims.iter().filter(|claim| claim.verdict == Verdict::Right) {
            let found = findings(&catalog, &claim.claim);
            let alarms: Vec<String> =
                found.iter().filter(|one| one.verdict.misleads()).map(told).collect();
            assert_eq!(alarms, [""; 0], "{} {}: {}", document.number, claim.key, claim.claim);
            read += found.len();
        }
    }
    assert!(read > 15, "{read}");
}

#[test]
fn claims_with_figures_that_do_not_hold_are_found_in_other_words() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut missed = Vec::new();
    for document in catalog.all::<Document>().unwrap().values() {
        let misleading = document.claims.iter().filter(|claim| claim.verdict.misleads());
        for claim in misleading {
            if !findings(&catalog, &claim.claim).iter().any(|one| one.verdict.misleads()) {
                missed.push(format!("{} {}: {}", document.number, claim.key, claim.claim));
            }
        }
    }
    insta::assert_snapshot!(missed.join("\n"), @r#"
    000 prices-of-february: The market of February 2026 is the market to buy from
    001 datacenter-singly: Datacenter accelerators are not sold one by one
    001 mlx-only: Outside CUDA only MLX is ready for production
    002 no-coder-72b: Qwen2.5-Coder comes as a 72B, 128K long and 1M with YaRN
    002 glm-kind: GLM-4.7 and GLM-5: 200K, dense or mixture of experts
    002 glm-5-local: GLM-5 is a local option for 200K once deployment is checked
    002 kv-70b-table: A 70B needs 2.5, 10, 40 and 65 GB of KV cache at 8K, 32K, 128K and 200K
    002 kv-qwen3-coder-table: Qwen3-Coder-30B needs 0.8, 3.1, 12.6 and 19.7 GB of KV cache at 8K, 32K, 128K and 200K
    002 kv-total-70b: A 70B in Q4 with 200K of INT8 KV cache takes 67 to 68 GB
    002 apple-available: Macs with 256 to 512 GB can be bought
    002 kv-quantization: INT8 or FP8 KV cache loses next to nothing on every model
    002 apple-all-usable: All of a Mac's 256 GB serve the model
    002 throughput-logic: Total throughput grows with the streams while each stream slows in proportion
    002 prices-of-february: Prices of February 2026: RTX PRO 6000 CHF 6,400–7,700, RTX 5090 from 2,100, used RTX 3090 550–650
    002 supply-rule: 1.5 times the system's power: 850 to 1,000 W for one card, 1,600 W for two
    002 gigabytes: Memory of cards and size of files are both called GB
    004 q4-size: Dense Q4 sizes: 72B about 36 GB, 32B about 20 GB, 70B about 34 GB
    004 no-coder-72b: Qwen2.5-Coder comes as a 72B
    004 three-models-96gb: Three models of 88 GB leave 8 GB for KV cache on 96 GB
    004 prices-of-february: Totals of February 2026
    "#);
}
