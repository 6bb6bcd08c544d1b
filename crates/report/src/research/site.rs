//! The repository as files: Markdown or a static site, what a later writing would change, and how
//! text of people beside the generated parts survives it.

use std::collections::BTreeMap;

use localrig_plan::answer::PlanAnswer;
use serde::{Deserialize, Serialize};

use super::{Chart, Document};
use crate::html::{Frame, SEARCH, STYLE, framed};
use crate::markdown::markdown;

/// How the repository is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Markdown files.
    Markdown,
    /// A static site.
    Site,
}

/// What the repository was written from, kept beside it to say later why it would change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Version of localrig.
    pub version: String,
    /// The day prices are as of.
    pub as_of: String,
    /// Price of every part of the ranked machines, as printed.
    pub prices: BTreeMap<String, String>,
    /// Models that serve a role somewhere.
    pub models: Vec<String>,
    /// Ranked machines, best first.
    pub machines: Vec<String>,
}

impl Inputs {
    /// The inputs of a plan.
    pub fn new(plan: &PlanAnswer, version: &str) -> Self {
        let mut prices = BTreeMap::new();
        let mut models: Vec<String> = Vec::new();
        for machine in &plan.ranked {
            for part in &machine.parts {
                if let Some(price) = &part.price {
                    let key = match &price.variant {
                        Some(variant) => format!("{}:{variant}", part.id),
                        None => part.id.to_string(),
                    };
                    prices.insert(key, price.amount.to_string());
                }
            }
            models.extend(machine.roles.iter().map(|role| role.model_id.to_string()));
        }
        models.sort();
        models.dedup();
        Self {
            version: version.to_owned(),
            as_of: plan.as_of.clone(),
            prices,
            models,
            machines: plan.ranked.iter().map(|one| one.key.clone()).collect(),
        }
    }

    /// Why a repository written from these inputs differs from one written from earlier ones.
    pub fn reasons(&self, earlier: &Self) -> Vec<String> {
        let mut reasons = Vec::new();
        for (item, now) in &self.prices {
            match earlier.prices.get(item) {
                Some(then) if then != now => {
                    reasons.push(format!("price moved: {item} from {then} to {now}"));
                }
                None => reasons.push(format!("price added: {item} {now}")),
                Some(_) => {}
            }
        }
        let gone = earlier.prices.keys().filter(|item| !self.prices.contains_key(*item));
        reasons.extend(gone.map(|item| format!("no longer in a ranked machine: {item}")));
        let new = |now: &[String], then: &[String]| -> Vec<String> {
            now.iter().filter(|one| !then.contains(one)).cloned().collect()
        };
        for (what, now, then) in [
            ("model", &self.models, &earlier.models),
            ("machine", &self.machines, &earlier.machines),
        ] {
            reasons.extend(new(now, then).into_iter().map(|one| format!("{what} added: {one}")));
            reasons.extend(new(then, now).into_iter().map(|one| format!("{what} dropped: {one}")));
        }
        if self.version != earlier.version {
            reasons.push(format!(
                "formulas may have changed: localrig {} was {}",
                self.version, earlier.version
            ));
        }
        if self.as_of != earlier.as_of {
            reasons.push(format!("another day: {} was {}", self.as_of, earlier.as_of));
        }
        reasons
    }
}

const BEGIN: &str = "<!-- localrig: generated from here; write before or after, it is kept -->";
const END: &str = "<!-- localrig: generated up to here -->";

/// Every file of the repository: path and content.
pub fn files(documents: &[Document], charts: &[Chart], form: Form) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = match form {
        Form::Markdown => documents
            .iter()
            .map(|one| (one.path.clone(), format!("{BEGIN}\n\n{}\n{END}\n", markdown(&one.page))))
            .collect(),
        Form::Site => site(documents),
    };
    all.extend(charts.iter().map(|one| (one.path.clone(), one.svg.clone())));
    all
}

/// `README.md` is the site's start page.
fn address(path: &str) -> String {
    path.strip_suffix(".md").map_or_else(|| path.to_owned(), |stem| format!("{stem}.html"))
}

fn site(documents: &[Document]) -> Vec<(String, String)> {
    let pages: Vec<(String, String)> =
        documents.iter().map(|one| (one.title.clone(), address(&one.path))).collect();
    let mut all: Vec<(String, String)> = documents
        .iter()
        .map(|one| {
            let depth = one.path.matches('/').count();
            let here = address(&one.path);
            let root = "../".repeat(depth);
            let frame = Frame { root, here: here.clone(), pages: pages.clone() };
            (here, framed(&one.page, &frame))
        })
        .collect();
    let index: Vec<[String; 3]> = documents
        .iter()
        .map(|one| [one.title.clone(), address(&one.path), words(&markdown(&one.page))])
        .collect();
    // A list of texts always has a JSON form.
    let index = serde_json::to_string(&index).unwrap_or_default();
    all.push(("index.js".to_owned(), format!("const PAGES = {index};\n")));
    all.push(("search.js".to_owned(), SEARCH.to_owned()));
    all.push(("style.css".to_owned(), format!("{STYLE}\n")));
    all.push((
        "index.html".to_owned(),
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>localrig</title>\n\
         <meta http-equiv=\"refresh\" content=\"0; url=README.html\">\n</head>\n<body>\n\
         <p><a href=\"README.html\">Start here</a></p>\n</body>\n</html>\n"
            .to_owned(),
    ));
    all
}

/// The different words of a text, for the search.
fn words(text: &str) -> String {
    let mut all: Vec<String> = text
        .to_lowercase()
        .split(|c: char| !(c.is_alphanumeric() || "+-.".contains(c)))
        .filter(|word| word.len() > 1)
        .map(str::to_owned)
        .collect();
    all.sort();
    all.dedup();
    all.join(" ")
}

/// A generated file over one that is already there: what people wrote around the generated part is
/// kept. `None` when the file there has no generated part: it is somebody's own.
pub fn merge(there: &str, generated: &str) -> Option<String> {
    if !generated.starts_with(BEGIN) {
        // Pictures and pages of a site are generated whole.
        return Some(generated.to_owned());
    }
    let start = there.find(BEGIN)?;
    let end = there[start..].find(END)? + start + END.len();
    Some(format!("{}{}{}", &there[..start], generated.trim_end_matches('\n'), &there[end..]))
}

/// What a writing would do to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Path from the root.
    pub path: String,
    /// Lines that would be new.
    pub added: usize,
    /// Lines that would go.
    pub removed: usize,
    /// Whether somebody's own file is in the way: it is never overwritten.
    pub kept: bool,
    /// The content after the writing.
    #[serde(skip)]
    pub content: String,
}

/// What writing these files would change, given what is there.
pub fn changes(files: &[(String, String)], there: impl Fn(&str) -> Option<String>) -> Vec<Change> {
    let mut all = Vec::new();
    for (path, generated) in files {
        let Some(old) = there(path) else {
            all.push(Change {
                path: path.clone(),
                added: generated.lines().count(),
                removed: 0,
                kept: false,
                content: generated.clone(),
            });
            continue;
        };
        let Some(content) = merge(&old, generated) else {
            all.push(Change { path: path.clone(), added: 0, removed: 0, kept: true, content: old });
            continue;
        };
        if content == old {
            continue;
        }
        let (added, removed) = differing(&old, &content);
        all.push(Change { path: path.clone(), added, removed, kept: false, content });
    }
    all
}

/// Lines of the new text that the old has not, and the other way round, as multisets.
fn differing(old: &str, new: &str) -> (usize, usize) {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in new.lines() {
        *counts.entry(line).or_default() += 1;
    }
    for line in old.lines() {
        *counts.entry(line).or_default() -= 1;
    }
    let added = counts.values().filter(|count| **count > 0).sum::<i64>();
    let removed = -counts.values().filter(|count| **count < 0).sum::<i64>();
    (usize::try_from(added).unwrap_or(0), usize::try_from(removed).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_around_the_generated_part_is_kept() {
        let old = format!("My remark\n\n{BEGIN}\nold\n{END}\n\nMore\n");
        let new = format!("{BEGIN}\nnew\n{END}\n");
        let merged = merge(&old, &new).unwrap();
        assert_eq!(merged, format!("My remark\n\n{BEGIN}\nnew\n{END}\n\nMore\n"));
        assert_eq!(merge("somebody's own file", &new), None);
    }

    #[test]
    fn a_change_says_how_many_lines_come_and_go() {
        let files = [
            ("a.md".to_owned(), format!("{BEGIN}\nx\nz\n{END}\n")),
            ("b.svg".to_owned(), "<svg/>".to_owned()),
        ];
        let old = format!("{BEGIN}\nx\ny\n{END}\n");
        let found = changes(&files, |path| (path == "a.md").then(|| old.clone()));
        let told: Vec<_> =
            found.iter().map(|one| (&one.path[..], one.added, one.removed)).collect();
        assert_eq!(told, [("a.md", 1, 1), ("b.svg", 1, 0)]);
        assert!(changes(&files[..1], |_| Some(files[0].1.clone())).is_empty());
    }

    #[test]
    fn the_reasons_name_what_moved() {
        let then = Inputs {
            prices: [("gpu/x".to_owned(), "CHF 1".to_owned())].into(),
            ..Inputs::default()
        };
        let now = Inputs {
            prices: [("gpu/x".to_owned(), "CHF 2".to_owned())].into(),
            models: vec!["model/y".to_owned()],
            ..Inputs::default()
        };
        assert_eq!(
            now.reasons(&then),
            ["price moved: gpu/x from CHF 1 to CHF 2", "model added: model/y"]
        );
    }
}
