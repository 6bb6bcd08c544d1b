//! Data inside the binary.

use std::borrow::Cow;

use include_dir::{Dir, include_dir};
use localrig_facts::catalog::File;

static CATALOG: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../catalog");
static REQUIREMENTS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../requirements");
static SKILL: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../skills/localrig");

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
