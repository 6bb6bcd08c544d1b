//! Entries of the catalog: lists, one in full, and what the linter found.

use localrig_facts::document::from_toml;
use localrig_facts::head::Head;
use localrig_facts::lint::Finding;
use localrig_facts::{Catalog, CatalogError, Money, Source};
use serde::Serialize;

use crate::page::{Page, Table, Text};

/// The page of a list of one kind.
pub fn list(kind: &str, entries: &[Head<'_>]) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("{kind}: {} entries", entries.len()));
    let mut table = Table::new(&["id", "name"]);
    for entry in entries {
        table.row([entry.id.to_string().into(), entry.name.into()]);
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
    /// Kind.
    pub kind: &'static str,
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Key paths with their values, in the order of the file.
    pub facts: Vec<(String, serde_json::Value)>,
    /// Remarks: what about, and what.
    pub notes: Vec<(String, String)>,
    /// Sources with what they cover.
    pub sources: Vec<(String, Source)>,
    /// Prices seen of it, newest first.
    pub prices: Vec<PriceSeen>,
    /// Where the file lies.
    pub path: String,
}

/// A price that was seen.
#[derive(Clone, Debug, Serialize)]
pub struct PriceSeen {
    /// Day or month.
    pub date: String,
    /// The price, the lower end where a range was given.
    pub amount: Money,
    /// Whether VAT is in it.
    pub vat: String,
    /// New, used, refurbished.
    pub condition: String,
    /// The variant, where the entry has several.
    pub variant: Option<String>,
    /// Short id of the shop.
    pub shop: String,
    /// The offer.
    pub link: Option<String>,
    /// Who says so.
    pub source: String,
}

impl Shown {
    /// The entry with everything the catalog knows about it.
    ///
    /// # Errors
    /// When its file or a price file does not parse.
    pub fn new(catalog: &Catalog, head: &Head<'_>) -> Result<Self, CatalogError> {
        let missing = || CatalogError::Missing { id: head.id.to_string() };
        let file = catalog.file(&format!("{}.toml", head.id)).ok_or_else(missing)?;
        let raw: toml::Table = from_toml(&file.path, &file.text)?;
        let mut facts = Vec::new();
        let told_elsewhere = ["sources", "note", "name"];
        for (key, value) in raw.iter().filter(|(key, _)| !told_elsewhere.contains(&key.as_str())) {
            flatten(key, value, &mut facts);
        }
        let prices = catalog.prices_of(head.id)?.into_iter().map(|seen| PriceSeen {
            date: seen.row.date.to_string(),
            amount: seen.row.money(),
            vat: word(&seen.row.vat),
            condition: word(&seen.row.condition),
            variant: seen.row.variant.clone(),
            shop: seen.row.shop.clone(),
            link: seen.row.link.clone(),
            source: seen.row.source.clone(),
        });
        Ok(Self {
            kind: head.kind,
            id: head.id.to_string(),
            name: head.name.to_owned(),
            facts,
            notes: head.notes.iter().map(|one| (one.about.clone(), one.text.clone())).collect(),
            sources: head.sources.iter().map(|(key, one)| (key.clone(), one.clone())).collect(),
            prices: prices.collect(),
            path: file.path.clone(),
        })
    }
}

/// The word a value has in the catalog.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Key paths with their values; tables in lists are numbered from 1.
fn flatten(path: &str, value: &toml::Value, facts: &mut Vec<(String, serde_json::Value)>) {
    match value {
        toml::Value::Table(inner) => {
            for (key, value) in inner {
                flatten(&format!("{path}.{key}"), value, facts);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for (number, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{}]", number + 1), item, facts);
            }
        }
        plain => {
            facts.push((path.to_owned(), serde_json::to_value(plain).unwrap_or_default()));
        }
    }
}

/// The page of an entry.
pub fn show(entry: &Shown) -> Page {
    let mut page = Page::default();
    page.heading(1, entry.name.clone());
    page.paragraph(format!("{} ({})", entry.id, entry.path));
    let mut table = Table::new(&["fact", "value"]);
    for (key, value) in &entry.facts {
        table.row([key.clone().into(), plain(value).into()]);
    }
    page.table(table);
    if !entry.prices.is_empty() {
        page.heading(2, "Prices seen");
        let mut table = Table::new(&[
            "date",
            ">amount",
            "VAT",
            "condition",
            "variant",
            "shop",
            "source",
            "link",
        ]);
        for price in &entry.prices {
            table.row([
                price.date.clone().into(),
                price.amount.to_string().into(),
                price.vat.clone().into(),
                price.condition.clone().into(),
                price.variant.clone().unwrap_or_default().into(),
                price.shop.clone().into(),
                price.source.clone().into(),
                price
                    .link
                    .as_ref()
                    .map_or_else(Text::default, |link| Text::default().link("offer", link)),
            ]);
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

/// The page of files that were written.
pub fn written(paths: &[String]) -> Page {
    let mut page = Page::default();
    page.list(paths.iter().map(|path| Text::from(format!("written: {path}"))).collect());
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

/// A value as people read it: text without quotes, lists with commas.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
