//! Why a model file could not be read.

/// Why a model file could not be read. Every variant names the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The location cannot be understood.
    #[error("`{text}`: {problem}")]
    Location {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A local file cannot be read.
    #[error("could not read {place}")]
    Read {
        /// The file.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// The folder or repository has no model this reader knows.
    #[error("{place} has neither GGUF files nor model.safetensors")]
    NoModel {
        /// The folder or repository.
        place: String,
    },
    /// The repository has several models.
    #[error("{place} has several models; name one: {}", .candidates.join(", "))]
    SeveralModels {
        /// The repository.
        place: String,
        /// Its files.
        candidates: Vec<String>,
    },
    /// The repository has no such file.
    #[error("{place} has no file `{file}`{}", nearest(.close))]
    NoFile {
        /// The repository.
        place: String,
        /// The file.
        file: String,
        /// Files it has.
        close: Vec<String>,
    },
    /// The file is of another kind.
    #[error("{place} is not a {expected} file: it begins with {found}")]
    Magic {
        /// The file.
        place: String,
        /// What was expected.
        expected: &'static str,
        /// Its first bytes.
        found: String,
    },
    /// The version of the format is not known.
    #[error("{place} is GGUF version {version}; versions 2 and 3 can be read")]
    Version {
        /// The file.
        place: String,
        /// Its version.
        version: u32,
    },
    /// The file ends within its header, or before the data its header speaks of.
    #[error("{place} is cut off: {what} ends at byte {needed}, the file at {size}")]
    Truncated {
        /// The file.
        place: String,
        /// What goes beyond the end.
        what: String,
        /// Where that ends.
        needed: u64,
        /// Where the file ends.
        size: u64,
    },
    /// A claim of the header is beyond what any model has.
    #[error("{place}: {what} of {bytes} is beyond the limit of {limit}")]
    TooLarge {
        /// The file.
        place: String,
        /// What.
        what: &'static str,
        /// How much.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The header contradicts itself or the format.
    #[error("{place}: {what}: {problem}")]
    Malformed {
        /// The file.
        place: String,
        /// Which key or tensor.
        what: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The header is no JSON.
    #[error("{place} is not the JSON it should be: {message}")]
    Json {
        /// The file.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A part of a split model does not belong to it.
    #[error("{place}: {problem}")]
    Split {
        /// The part.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The server sends whole files only.
    #[error(
        "{place}: the server ignores range requests; reading the header would download the whole file"
    )]
    NoRange {
        /// The address.
        place: String,
    },
    /// The server sends more than it was asked for.
    #[error("{place}: the server sends more than the {limit} bytes that are read of {what}")]
    TooMuch {
        /// The address.
        place: String,
        /// What was asked for.
        what: &'static str,
        /// Most that is read.
        limit: u64,
    },
    /// The server says no.
    #[error("{place}: the server answers {status}{}", hint(*.status))]
    Status {
        /// The address.
        place: String,
        /// HTTP status.
        status: u16,
    },
    /// The server cannot be reached, or stopped answering.
    #[error("{place} could not be reached in {tries} tries: {message}")]
    Unreachable {
        /// The address.
        place: String,
        /// Tries that were made.
        tries: u32,
        /// Why the last one failed.
        message: String,
    },
    /// Redirects lead nowhere.
    #[error("{place}: more than {limit} redirects")]
    Redirects {
        /// The address.
        place: String,
        /// Most that are followed.
        limit: u32,
    },
}

impl ModelFileError {
    /// Whether the server is the trouble, rather than what was asked of it or what it sent.
    pub const fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Redirects { .. } => true,
            Self::Status { status, .. } => !matches!(*status, 401 | 403 | 404),
            _ => false,
        }
    }
}

fn nearest(close: &[String]) -> String {
    if close.is_empty() { String::new() } else { format!("; it has {}", close.join(", ")) }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => " (a gated or private repository needs HF_TOKEN, and its terms accepted)",
        404 => " (no such file or repository)",
        429 => " (too many requests; HF_TOKEN raises the limit)",
        _ => "",
    }
}
