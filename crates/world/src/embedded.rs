//! Data inside the binary.

use std::borrow::Cow;

use include_dir::{Dir, include_dir};
use localrig_facts::catalog::File;

static CATALOG: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../catalog");
static REQUIREMENTS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../requirements");
static SKILL: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../skills/localrig");
static WORKLOADS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../workloads");

/// Every file of the embedded catalog.
pub(crate) fn catalog_files() -> impl Iterator<Item = (String, File)> {
    let mut found = Vec::new();
    collect(&CATALOG, &mut found);
    found.into_iter()
}

fn collect(folder: &Dir<'static>, found: &mut Vec<(String, File)>) {
    for file in folder.files() {
        let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8()) else {
            continue;
        };
        let path = path.replace('\\', "/");
        found.push((path.clone(), File { text: Cow::Borrowed(text), path }));
    }
    for inner in folder.dirs() {
        collect(inner, found);
    }
}

/// Names of the embedded requirements: `home-office`, …
pub fn requirements() -> Vec<&'static str> {
    let mut names: Vec<_> =
        REQUIREMENTS.files().filter_map(|file| file.path().file_stem()?.to_str()).collect();
    names.sort_unstable();
    names
}

/// The text of an embedded requirement.
pub fn requirement(name: &str) -> Option<&'static str> {
    REQUIREMENTS.get_file(format!("{name}.toml"))?.contents_utf8()
}

/// Every file of the agent skill with its path inside the skill's folder.
pub fn skill() -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let mut folders = vec![&SKILL];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8()) {
                found.push((path.replace('\\', "/"), text));
            }
        }
    }
    found.sort_unstable();
    found
}

/// Names of the embedded workloads: `home-office`, …
pub fn workloads() -> Vec<&'static str> {
    let toml = |path: &std::path::Path| path.extension().is_some_and(|kind| kind == "toml");
    let mut names: Vec<_> = WORKLOADS
        .files()
        .filter(|file| toml(file.path()))
        .filter_map(|file| file.path().file_stem()?.to_str())
        .collect();
    names.sort_unstable();
    names
}

/// The text of an embedded workload.
pub fn workload(name: &str) -> Option<&'static str> {
    workload_file(&format!("{name}.toml"))
}

/// The text of an embedded file beside the workloads: a trace.
pub fn workload_file(name: &str) -> Option<&'static str> {
    WORKLOADS.get_file(name)?.contents_utf8()
}
