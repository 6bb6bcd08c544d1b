//! Catalog files in a folder on disk.

use std::borrow::Cow;
use std::path::Path;

use localrig_facts::catalog::File;

use crate::{WorldError, read_text};

/// Adds every TOML and CSV file below `root` under its path inside it.
pub(crate) fn files(root: &Path, found: &mut Vec<(String, File)>) -> Result<(), WorldError> {
    walk(root, "", found)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, File)>) -> Result<(), WorldError> {
    let error = |source| WorldError::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let inside = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        // `metadata` follows links, so a linked folder counts; a loop of links ends in an error.
        if std::fs::metadata(&path).map_err(error)?.is_dir() {
            walk(&path, &inside, found)?;
        } else if path.extension().is_some_and(|kind| kind == "toml" || kind == "csv") {
            let text = Cow::Owned(read_text(&path)?);
            found.push((inside, File { text, path: path.display().to_string() }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_path_inside_the_folder() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("gpu/me")).unwrap();
        std::fs::write(root.path().join("gpu/me/card.toml"), "name = \"x\"").unwrap();
        std::fs::write(root.path().join("gpu/me/notes.txt"), "not data").unwrap();
        std::fs::write(root.path().join(".hidden.toml"), "not data").unwrap();
        let mut found = Vec::new();
        files(root.path(), &mut found).unwrap();
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["gpu/me/card.toml"]);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_it() {
        let error = files(Path::new("/nowhere/at/all"), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "could not read /nowhere/at/all");
    }
}
