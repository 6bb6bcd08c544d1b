//! All input and output: the embedded catalog, overlays on disk, today's date.
//!
//! This is the only library crate that may touch files, the environment and the clock.
#![expect(clippy::disallowed_methods, reason = "the one crate whose purpose is input and output")]

mod embedded;
mod overlay;

use std::path::PathBuf;

use localrig_facts::Catalog;
use localrig_facts::catalog::File;

pub use embedded::{requirement, requirements, workload, workload_file, workloads};

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
    /// A file could not be written.
    #[error("could not write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
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

/// Only the files of one folder, for checking a catalog that is being edited.
///
/// # Errors
/// When the folder does not exist or a file in it cannot be read.
pub fn catalog_in(folder: &std::path::Path) -> Result<Catalog, WorldError> {
    let mut files = Vec::new();
    overlay::files(folder, &mut files)?;
    Ok(Catalog::from_files(files))
}

/// The user's own overlay, `$XDG_DATA_HOME/localrig/catalog`, if that folder exists.
pub fn user_overlay() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folder = etcetera::base_strategy::choose_native_strategy().ok()?.data_dir();
    let folder = folder.join("localrig").join("catalog");
    folder.is_dir().then_some(folder)
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

/// The text of a file.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &std::path::Path) -> Result<String, WorldError> {
    let bytes =
        std::fs::read(path).map_err(|source| WorldError::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|_| WorldError::NotText { path: path.to_owned() })
}

/// Writes a file that a command was told to write.
///
/// # Errors
/// When it cannot be written.
pub fn write_text(path: &std::path::Path, text: &str) -> Result<(), WorldError> {
    std::fs::write(path, text).map_err(|source| WorldError::Write { path: path.to_owned(), source })
}
