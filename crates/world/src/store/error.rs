//! What can go wrong with the store.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Its folder cannot be made.
    #[error("could not create {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process holds it for too long.
    #[error("{path} is in use by another process")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// There is no room left; what was being written is not in it, everything before is.
    #[error(
        "no room left to write {path}; nothing of this change was kept, nothing older was lost"
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// It is no store, or damaged.
    #[error("{path} is no price store or is damaged; move it away and prices start anew")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It may not be written.
    #[error("{path} may not be written")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{path} has form {version}; this program knows up to {known}: update it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Form of the file.
        version: u32,
        /// Newest form known.
        known: u32,
    },
    /// Nothing waits for a decision under this number.
    #[error("no observation {id} waits for a decision")]
    NothingHeld {
        /// The number asked for.
        id: i64,
    },
    /// Anything else.
    #[error("could not use {path}")]
    Other {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

impl StoreError {
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            _ => Self::Other { path, source: error },
        }
    }
}
