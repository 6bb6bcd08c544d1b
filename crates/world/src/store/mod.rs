//! The store: everything that was fetched, imported or typed in, in one SQLite file.
//!
//! Nothing is ever overwritten: an observation that turns out wrong is refused, not removed. The
//! file is in WAL mode, every change is one transaction, and a second process waits for its turn,
//! so neither a kill nor two programs at once can leave half a change behind.

mod error;
mod observation;
mod rate;
mod site;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

pub use error::StoreError;
pub use observation::{Recorded, Seen, State, Verdict};
pub use rate::Tariff;

/// How long a writer waits for another process.
const BUSY: Duration = Duration::from_secs(10);

/// Changes of the file's form, oldest first; the file knows how many it has been through.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// The store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the store, and creates it where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened or created, is no store, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::with(path, flags)
    }

    /// Opens the store if there is one.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.is_file() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::with(path, flags).map(Some)
    }

    fn with(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let failed = |error| StoreError::of(path, error);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        let mut store = Self { connection, path: path.to_owned() };
        store.prepare()?;
        Ok(store)
    }

    /// Sets the mode and brings an older file up to date.
    fn prepare(&mut self) -> Result<(), StoreError> {
        let version = self.version()?;
        let newest = MIGRATIONS.len() as u32;
        if version > newest {
            return Err(StoreError::Newer { path: self.path.clone(), version, known: newest });
        }
        if version == newest {
            return Ok(());
        }
        // The mode is kept in the file, so it is set once; it cannot change inside a transaction.
        self.run(|connection| {
            use_log(connection)?;
            connection.pragma_update(None, "synchronous", "full")
        })?;
        self.change(|transaction| {
            // Another process may have been faster.
            let version: u32 =
                transaction.query_row("pragma user_version", [], |row| row.get(0))?;
            for (number, migration) in (1_u32..).zip(MIGRATIONS).skip(version as usize) {
                transaction.execute_batch(migration)?;
                transaction.pragma_update(None, "user_version", number)?;
            }
            Ok(())
        })
    }

    fn version(&self) -> Result<u32, StoreError> {
        self.run(|connection| connection.query_row("pragma user_version", [], |row| row.get(0)))
    }

    /// Reads.
    fn run<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        read(&self.connection).map_err(|error| StoreError::of(&self.path, error))
    }

    /// Changes, all or nothing: a writer takes its turn at the start.
    fn change<T>(
        &mut self,
        write: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let changed = (|| {
            let behavior = TransactionBehavior::Immediate;
            let transaction = self.connection.transaction_with_behavior(behavior)?;
            let result = write(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })();
        changed.map_err(|error| StoreError::of(&self.path, error))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A time as it stands in the store: whole seconds in UTC, so that text order is time order.
fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Switches to the write-ahead log. SQLite does not wait for another process here, whatever the
/// busy timeout says, so this does.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut tries = BUSY.as_millis() / PAUSE.as_millis();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if tries > 0 && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) =>
            {
                tries -= 1;
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
