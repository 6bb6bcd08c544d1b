//! Reading TOML and CSV texts with errors that name the place and the nearest valid name.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::resolve::nearest;

/// A text that does not have the shape it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// Path of the document.
    pub path: String,
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// Column, counted from 1.
    pub column: Option<usize>,
    /// The line itself with a caret below the place.
    pub excerpt: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The valid name that comes closest to a misspelt one.
    pub nearest: Option<String>,
}

impl std::error::Error for DocumentError {}

impl DocumentError {
    fn at(path: &str, place: Option<Place>, message: String, nearest: Option<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: place.as_ref().map(|place| place.line),
            column: place.as_ref().map(|place| place.column),
            excerpt: place.map(|place| place.excerpt),
            message,
            nearest,
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        Ok(())
    }
}

/// Reads a TOML document.
///
/// # Errors
/// When the text is no TOML, has an unknown or missing key, or a value of the wrong type.
pub fn from_toml<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, DocumentError> {
    toml::from_str(text).map_err(|error| {
        let (message, nearest) = plain(error.message());
        let place = error.span().map(|span| Place::of(text, span));
        DocumentError::at(path, place, message, nearest)
    })
}

/// The error about a value of a TOML document that has its type but makes no sense. `keys` lead to
/// it, with numbers for the items of a list: `["role", "0", "streams"]`; the place is that of the
/// last of them that stands in the text.
pub fn wrong_value(
    path: &str,
    text: &str,
    keys: &[&str],
    message: String,
    nearest: Option<String>,
) -> DocumentError {
    let place = DeTable::parse(text).ok().map(|table| {
        let mut span = table.span();
        let mut next = keys.split_first().and_then(|(key, rest)| {
            let value = table.get_ref().get(*key)?;
            Some((value, rest))
        });
        while let Some((value, rest)) = next {
            span = value.span();
            next = rest.split_first().and_then(|(key, rest)| {
                let inner = match value.get_ref() {
                    DeValue::Table(table) => table.get(*key)?,
                    DeValue::Array(array) => array.get(key.parse::<usize>().ok()?)?,
                    _ => return None,
                };
                Some((inner, rest))
            });
        }
        Place::of(text, span)
    });
    DocumentError::at(path, place, message, nearest)
}

/// Reads the rows of a CSV document with a header line. Every row must fill its type exactly.
///
/// # Errors
/// When a column is unknown or missing, or a cell does not parse; the error names the line.
pub fn from_csv<T: DeserializeOwned>(path: &str, text: &str) -> Result<Vec<T>, DocumentError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader
        .deserialize()
        .map(|row| {
            row.map_err(|error: csv::Error| {
                let line = error.position().map(|at| usize::try_from(at.line()).unwrap_or(0));
                let said = match error.kind() {
                    csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
                    _ => error.to_string(),
                };
                let (message, nearest) = plain(&said);
                DocumentError {
                    path: path.to_owned(),
                    line,
                    column: None,
                    excerpt: None,
                    message,
                    nearest,
                }
            })
        })
        .collect()
}

/// Where in a text something is.
struct Place {
    line: usize,
    column: usize,
    excerpt: String,
}

impl Place {
    fn of(text: &str, span: std::ops::Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let content = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count() + 1;
        let width = text
            [start..span.end.clamp(start, line_start + content.len().max(start - line_start))]
            .chars()
            .count()
            .max(1);
        let gutter = line.to_string();
        let margin = " ".repeat(gutter.len());
        let excerpt = format!(
            "{margin} |\n{gutter} | {content}\n{margin} | {}{}",
            " ".repeat(column - 1),
            "^".repeat(width)
        );
        Self { line, column, excerpt }
    }
}

/// serde's "unknown field `x`, expected one of `a`, `b`" as a plain sentence and the nearest name.
fn plain(message: &str) -> (String, Option<String>) {
    for (prefix, what) in [("unknown field", "key"), ("unknown variant", "value")] {
        let Some(rest) = message.strip_prefix(prefix) else {
            continue;
        };
        let mut names = rest.split('`').skip(1).step_by(2);
        let Some(given) = names.next() else { continue };
        let valid: Vec<&str> = names.collect();
        let close = nearest(given, valid.iter().copied()).map(str::to_owned);
        // A short list is worth showing whole; a long one buries the answer.
        let list = if !valid.is_empty() && (valid.len() <= 8 || close.is_none()) {
            format!(" (one of {})", valid.join(", "))
        } else {
            String::new()
        };
        return (format!("unknown {what} `{given}`{list}"), close);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return (format!("missing key {rest}"), None);
    }
    (message.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Part {
        tdp_w: f64,
        slots: Option<f64>,
    }

    #[test]
    fn a_misspelt_key_is_reported_with_its_line_and_the_nearest_key() {
        let error = from_toml::<Part>("gpu/x.toml", "slots = 3\ntpd_w = 450\n").unwrap_err();
        insta::assert_snapshot!(error, @r"
        gpu/x.toml:2:1: unknown key `tpd_w` (one of tdp_w, slots)
          |
        2 | tpd_w = 450
          | ^^^^^
        ");
        assert_eq!(error.nearest.as_deref(), Some("tdp_w"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_reported_where_it_stands() {
        let error = from_toml::<Part>("gpu/x.toml", "tdp_w = \"much\"\n").unwrap_err();
        insta::assert_snapshot!(error, @r#"
        gpu/x.toml:1:9: invalid type: string "much", expected f64
          |
        1 | tdp_w = "much"
          |         ^^^^^^
        "#);
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = from_toml::<Part>("gpu/x.toml", "slots = 3\n").unwrap_err();
        assert_eq!(error.message, "missing key `tdp_w`");
    }

    #[test]
    fn a_bad_csv_cell_is_reported_with_its_line() {
        let error = from_csv::<Part>("x.csv", "tdp_w,slots\n450,3\nmuch,3\n").unwrap_err();
        insta::assert_snapshot!(error, @"x.csv:3: field 0: invalid float literal");
    }

    #[test]
    fn text_that_is_not_toml_at_all_is_an_error_with_a_place() {
        let error = from_toml::<Part>("x.toml", "tdp_w = [1,\n\n").unwrap_err();
        assert!(error.line.is_some(), "{error}");
    }
}
