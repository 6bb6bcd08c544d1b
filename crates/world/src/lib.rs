//! All input and output: the embedded catalog, overlays on disk, prices and their store, today's
//! date.
//!
//! This is the only library crate that may touch files, the environment and the clock.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one crate whose purpose is input and output"
)]

pub mod config;
mod embedded;
mod folder;
pub mod measurement;
pub mod model_file;
mod overlay;
pub mod price;
pub mod store;

use std::path::PathBuf;

use localrig_facts::Catalog;
use localrig_facts::catalog::File;

pub use jiff::Timestamp;

pub use embedded::{requirement, requirements, skill, workload, workload_file, workloads};
pub use folder::{text_in, write_in};

/// Something outside the program that did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// A file or folder could not be read.
    #[error("could not read {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("could not write {path}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The user has no home folder.
    #[error("no home folder is known: set HOME or XDG_DATA_HOME")]
    NoHome,
    /// A file is there already.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A table could not be read or written.
    #[error("{path}: {source}")]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// A file is not text.
    #[error("{path} is not UTF-8 text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// The catalog inside the binary, with the files of `overlays` on top: later ones replace earlier
/// ones path by path.
///
/// # Errors
/// When an overlay folder does not exist or a file in it cannot be read.
pub fn catalog(overlays: &[PathBuf]) -> Result<Catalog, WorldError> {
    let mut files: Vec<(String, File)> = embedded::catalog_files().collect();
    for folder in overlays {
        overlay::files(folder, &mut files)?;
    }
    Ok(Catalog::from_files(files))
}

/// As [`catalog`], with entries that are on no disk on top: path below `catalog/` and text.
///
/// # Errors
/// As [`catalog`].
pub fn catalog_with(
    overlays: &[PathBuf],
    entries: Vec<(String, String)>,
) -> Result<Catalog, WorldError> {
    let mut files: Vec<(String, File)> = embedded::catalog_files().collect();
    for folder in overlays {
        overlay::files(folder, &mut files)?;
    }
    files.extend(entries.into_iter().map(|(path, text)| {
        let file = File { text: text.into(), path: path.clone() };
        (path, file)
    }));
    Ok(Catalog::from_files(files))
}

/// Writes catalog entries into a folder of the user's, made where it is missing. Returns the paths.
///
/// # Errors
/// When a file exists and must not be replaced, or cannot be written.
pub fn save_entries(
    folder: &std::path::Path,
    entries: &[(String, String)],
    replace: bool,
) -> Result<Vec<PathBuf>, WorldError> {
    let paths: Vec<PathBuf> = entries.iter().map(|(path, _)| folder.join(path)).collect();
    if let Some(path) = paths.iter().find(|path| !replace && path.exists()) {
        return Err(WorldError::Exists { path: path.clone() });
    }
    for (path, (_, text)) in paths.iter().zip(entries) {
        let error = |source| WorldError::Write { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(error)?;
        }
        std::fs::write(path, text).map_err(error)?;
    }
    Ok(paths)
}

/// Only the files of one folder, for checking a catalog that is being edited.
///
/// # Errors
/// When the folder does not exist or a file in it cannot be read.
pub fn catalog_in(folder: &std::path::Path) -> Result<Catalog, WorldError> {
    let mut files = Vec::new();
    overlay::files(folder, &mut files)?;
    Ok(Catalog::from_files(files))
}

/// The folder of the user's own overlay, `$XDG_DATA_HOME/localrig/catalog`, whether it exists or not.
///
/// # Errors
/// When the user has no home folder.
pub fn user_catalog() -> Result<PathBuf, WorldError> {
    use etcetera::BaseStrategy;
    let home = etcetera::base_strategy::choose_native_strategy().map_err(|_| WorldError::NoHome)?;
    Ok(home.data_dir().join("localrig").join("catalog"))
}

/// The user's own overlay, if that folder exists.
pub fn user_overlay() -> Option<PathBuf> {
    user_catalog().ok().filter(|folder| folder.is_dir())
}

/// Writes a file, whole or not at all: it appears under its name only when all of it is on disk.
///
/// # Errors
/// When it cannot be written.
pub fn write_text(path: &std::path::Path, text: &str) -> Result<(), WorldError> {
    use std::io::Write as _;
    let failed = |source| WorldError::Write { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
    let mut file = temporary(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Columns of the terminal that standard output goes to, at most 140; 100 when it goes elsewhere.
pub fn terminal_width() -> u16 {
    const ELSEWHERE: u16 = 100;
    const WIDEST: u16 = 140;
    terminal_size::terminal_size().map_or(ELSEWHERE, |(width, _)| width.0.clamp(40, WIDEST))
}

/// Today in the local time zone.
pub fn today() -> localrig_facts::Date {
    jiff::Zoned::now().date().into()
}

/// The folders that programs are looked for in.
pub fn search_path() -> Option<std::ffi::OsString> {
    std::env::var_os("PATH")
}

/// A file that everybody may read, as `std::fs::write` would make one.
fn temporary(folder: &std::path::Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Now.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The text of a file.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &std::path::Path) -> Result<String, WorldError> {
    let bytes =
        std::fs::read(path).map_err(|source| WorldError::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|_| WorldError::NotText { path: path.to_owned() })
}
