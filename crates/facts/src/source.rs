//! Who says so: the sources of a catalog file and what each of them vouches for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;

/// The sources of one file, by the short name that notes refer to.
pub type Sources = BTreeMap<String, Source>;

/// What kind of witness a source is, strongest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The maker or seller of the thing itself.
    Vendor,
    /// Somebody measured it and shows how.
    Measured,
    /// A database, review or repository that names its own origin.
    ThirdParty,
    /// A public compilation whose own address is not known; the weakest kind, to be replaced.
    Secondary,
    /// Computed from other facts; the title says how.
    Derived,
}

/// One source of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where it was read. Absent only for `secondary` and `derived` sources.
    pub url: Option<String>,
    /// What it is, for a reader; required when there is no `url`.
    pub title: Option<String>,
    /// What kind of witness it is.
    pub kind: SourceKind,
    /// When it was read.
    pub accessed: PartialDate,
    /// The page the source itself names as its origin; not read.
    pub upstream: Option<String>,
    /// Key paths of this file that it vouches for. `*` stands for every fact of the file: either it
    /// is the only source, or it was not recorded which fact came from which of the sources.
    #[serde(default)]
    pub covers: Vec<String>,
}

/// The source that vouches for a key path: one that names it or a table around it, else one that
/// covers the whole file; of several the strongest.
pub fn witness<'a>(sources: &'a Sources, key: &str) -> Option<(&'a str, &'a Source)> {
    let named = |source: &Source| {
        source.covers.iter().any(|covered| {
            covered == key
                || key.strip_prefix(covered.as_str()).is_some_and(|rest| rest.starts_with('.'))
        })
    };
    let whole = |source: &Source| source.covers.iter().any(|covered| covered == "*");
    let strongest = |fits: &dyn Fn(&Source) -> bool| {
        let fitting = sources.iter().filter(|(_, source)| fits(source));
        fitting
            .min_by_key(|(name, source)| (source.kind, *name))
            .map(|(name, one)| (name.as_str(), one))
    };
    strongest(&named).or_else(|| strongest(&whole))
}

impl Source {
    /// One line for a reader: title and address.
    pub fn describe(&self) -> String {
        match (&self.title, &self.url) {
            (Some(title), Some(url)) => format!("{title} <{url}>"),
            (Some(title), None) => title.clone(),
            (None, Some(url)) => url.clone(),
            (None, None) => String::from("(unnamed source)"),
        }
    }
}

/// A remark that does not fit a field: what a source adds, where sources disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The key path or topic the remark belongs to.
    pub about: String,
    /// The remark, one or two sentences.
    pub text: String,
    /// Name of the source in this file's `sources`.
    pub source: Option<String>,
}
