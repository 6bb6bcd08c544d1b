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
    insta::assert_snapshot!(silent.join("\n"));
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
    insta::assert_snapshot!(missed.join("\n"));
}
