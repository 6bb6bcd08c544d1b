//! The repository as files: Markdown or a static site, what a later writing would change, and how
//! text of people beside the generated parts survives it.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

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
            (here, format!("{BEGIN}\n{}\n{END}\n", framed(&one.page, &frame).trim_end()))
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
        // Pictures are generated whole.
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
    /// Those lines of a document with their numbers, `- 12: old` before `+ 12: new`; pictures and
    /// scripts have none.
    pub lines: Vec<String>,
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
                lines: Vec::new(),
                kept: false,
                content: generated.clone(),
            });
            continue;
        };
        let Some(content) = merge(&old, generated) else {
            let (path, lines) = (path.clone(), Vec::new());
            all.push(Change { path, added: 0, removed: 0, lines, kept: true, content: old });
            continue;
        };
        if content == old {
            continue;
        }
        let (added, removed, mut lines) = differing(&old, &content);
        let kind = path.rsplit_once('.').map_or("", |(_, kind)| kind);
        if !["md", "html"].contains(&kind) {
            lines.clear();
        }
        all.push(Change { path: path.clone(), added, removed, lines, kept: false, content });
    }
    all
}

/// How many lines come and go, and which.
fn differing(old: &str, new: &str) -> (usize, usize, Vec<String>) {
    let diff = TextDiff::from_lines(old, new);
    let (mut added, mut removed, mut lines) = (0, 0, Vec::new());
    for change in diff.iter_all_changes() {
        let text = change.value().trim_end();
        match change.tag() {
            ChangeTag::Equal => {}
            ChangeTag::Insert => {
                added += 1;
                lines.push(format!("+ {}: {text}", change.new_index().map_or(0, |at| at + 1)));
            }
            ChangeTag::Delete => {
                removed += 1;
                lines.push(format!("- {}: {text}", change.old_index().map_or(0, |at| at + 1)));
            }
        }
    }
    (added, removed, lines)
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
        assert_eq!(found[0].lines, ["- 3: y", "+ 3: z"]);
        assert!(changes(&files[..1], |_| Some(files[0].1.clone())).is_empty());
    }
}
