//! Entries of the catalog: lists, one in full, and what the linter found.

use localrig_facts::Source;
use localrig_facts::lint::Finding;
use serde::Serialize;

use crate::page::{Page, Table, Text};

/// An entry in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
}

/// The page of a list of one kind.
pub fn list(kind: &str, entries: &[Listed]) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("{kind}: {} entries", entries.len()));
    let mut table = Table::new(&["id", "name"]);
    for entry in entries {
        table.row([entry.id.clone().into(), entry.name.clone().into()]);
    }
    page.table(table);
    page
}

/// The page of all kinds with how many entries each has.
pub fn kinds(counts: &[(&str, usize)]) -> Page {
    let mut page = Page::default();
    page.heading(1, "Catalog");
    let mut table = Table::new(&["kind", ">entries"]);
    for (kind, count) in counts {
        table.row([(*kind).into(), count.to_string().into()]);
    }
    page.table(table);
    page.paragraph(
        "`localrig catalog list KIND` lists one, `localrig catalog show NAME` shows an entry.",
    );
    page
}

/// An entry as its file says it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Key paths with their values, in the order of the file.
    pub facts: Vec<(String, String)>,
    /// Remarks: what about, and what.
    pub notes: Vec<(String, String)>,
    /// Sources with what they cover.
    pub sources: Vec<(String, Source)>,
    /// Figures that follow from the facts, with their unit.
    pub derived: Vec<(String, String)>,
    /// Prices known of it: date, amount, condition, shop, link.
    pub prices: Vec<[String; 5]>,
    /// Where the file lies.
    pub path: String,
}

/// The page of an entry.
pub fn show(entry: &Shown) -> Page {
    let mut page = Page::default();
    page.heading(1, entry.name.clone());
    page.paragraph(format!("{} ({})", entry.id, entry.path));
    let pairs = |pairs: &[(String, String)], titles: &[&str]| {
        let mut table = Table::new(titles);
        for (key, value) in pairs {
            table.row([key.clone().into(), value.clone().into()]);
        }
        table
    };
    page.table(pairs(&entry.facts, &["fact", "value"]));
    if !entry.derived.is_empty() {
        page.heading(2, "Computed from them");
        page.table(pairs(&entry.derived, &["figure", "value"]));
    }
    if !entry.prices.is_empty() {
        page.heading(2, "Prices seen");
        let mut table = Table::new(&["date", ">amount", "condition", "shop", "link"]);
        for price in &entry.prices {
            let [date, amount, condition, shop, link] = price.clone();
            table.row([date.into(), amount.into(), condition.into(), shop.into(), link.into()]);
        }
        page.table(table);
    }
    if !entry.notes.is_empty() {
        page.heading(2, "Notes");
        page.list(
            entry
                .notes
                .iter()
                .map(|(about, text)| Text::from(format!("{about}: {text}")))
                .collect(),
        );
    }
    page.heading(2, "Sources");
    let source = |(name, source): &(String, Source)| {
        Text::from(format!("{name}: {} [covers {}]", source.describe(), source.covers.join(", ")))
    };
    page.list(entry.sources.iter().map(source).collect());
    page
}

/// The page of a check.
pub fn findings(files: usize, findings: &[Finding]) -> Page {
    let mut page = Page::default();
    page.paragraph(format!(
        "{files} files, {} {}",
        findings.len(),
        if findings.len() == 1 { "finding" } else { "findings" }
    ));
    page.list(findings.iter().map(|finding| Text::from(finding.to_string())).collect());
    page
}
