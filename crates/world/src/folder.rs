//! Writing folders of files.

use std::path::Path;

use crate::WorldError;

/// The text of a file below a folder, if there is one.
///
/// # Errors
/// When it is there but cannot be read or is not UTF-8.
pub fn text_in(folder: &Path, path: &str) -> Result<Option<String>, WorldError> {
    let whole = folder.join(path);
    if !whole.exists() {
        return Ok(None);
    }
    crate::read_text(&whole).map(Some)
}

/// Writes a file below a folder, with the folders on the way. The file is complete or not there:
/// it is written beside its place and moved.
///
/// # Errors
/// When a folder or the file cannot be written.
pub fn write_in(folder: &Path, path: &str, text: &str) -> Result<(), WorldError> {
    let whole = folder.join(path);
    let error = |source| WorldError::Write { path: whole.clone(), source };
    if let Some(parent) = whole.parent() {
        std::fs::create_dir_all(parent).map_err(error)?;
    }
    let mut beside = whole.clone().into_os_string();
    beside.push(".part");
    std::fs::write(&beside, text).map_err(error)?;
    std::fs::rename(&beside, &whole).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_read_back_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(text_in(root.path(), "a/b.md").unwrap(), None);
        write_in(root.path(), "a/b.md", "text").unwrap();
        assert_eq!(text_in(root.path(), "a/b.md").unwrap().as_deref(), Some("text"));
        assert_eq!(std::fs::read_dir(root.path().join("a")).unwrap().count(), 1);
    }
}
