//! Why a price source gave nothing.

use std::path::PathBuf;
use std::time::Duration;

/// Why a price source gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The program is not on PATH.
    #[error("`{program}` is not on PATH")]
    NoProgram {
        /// Its name.
        program: String,
    },
    /// The program could not be started.
    #[error("could not start {program}")]
    Start {
        /// Where it is.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program ended with an error.
    #[error("{program} failed{}: {said}", .code.map_or(String::new(), |code| format!(" with exit code {code}")))]
    Program {
        /// Its name.
        program: String,
        /// Its exit code, if it had one.
        code: Option<i32>,
        /// The last line it said.
        said: String,
    },
    /// It did not answer in time.
    #[error("{what} did not answer within {} s", .limit.as_secs())]
    Timeout {
        /// The program or address.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The site asks to be left alone.
    #[error("{host} answered {status}: no more requests{}", after(*.retry_after))]
    Stop {
        /// The site.
        host: String,
        /// Its HTTP status: 403, 429 or 503.
        status: u16,
        /// For how long, where it says so.
        retry_after: Option<Duration>,
    },
    /// The site asked earlier to be left alone until a time that has not come.
    #[error("{host} asked for no requests until {until}")]
    Paused {
        /// The site.
        host: String,
        /// Until when, in UTC.
        until: String,
    },
    /// Any other HTTP status that is no success.
    #[error("{address} answered {status}")]
    Status {
        /// The page.
        address: String,
        /// HTTP status.
        status: u16,
    },
    /// No connection, or it broke off.
    #[error("could not read {address}: {said}")]
    Connection {
        /// The page.
        address: String,
        /// What went wrong.
        said: String,
    },
    /// The answer is larger than any price page.
    #[error("{address} is larger than {} MiB", .limit >> 20)]
    TooLarge {
        /// The page.
        address: String,
        /// Most bytes that are read.
        limit: u64,
    },
    /// robots.txt forbids the page.
    #[error("robots.txt of {host} forbids {path}")]
    Robots {
        /// The site.
        host: String,
        /// The page.
        path: String,
    },
    /// Something came back, but no price is in it: the form has changed.
    #[error("no price found in {what}: {expected} expected")]
    NoPrice {
        /// What was read.
        what: String,
        /// What should be in it.
        expected: &'static str,
    },
    /// A file does not have its shape.
    #[error("{path}{}: {said}", .line.map_or(String::new(), |line| format!(":{line}")))]
    Shape {
        /// The file or page.
        path: String,
        /// The line, counted from 1.
        line: Option<u64>,
        /// What is wrong.
        said: String,
    },
    /// It is switched off.
    #[error("{what} is off")]
    Off {
        /// What.
        what: &'static str,
    },
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

fn after(retry: Option<Duration>) -> String {
    retry.map_or(String::new(), |retry| format!(" for {} s, as it asks", retry.as_secs()))
}

impl SourceError {
    /// Whether no further item should be asked of this source now.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::NoPrice { .. } | Self::Status { .. } | Self::Robots { .. })
    }
}
