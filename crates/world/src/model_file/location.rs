//! Where a model file is: a path, an address, or a Hugging Face repository.

use std::fmt;
use std::path::PathBuf;

use super::ModelFileError;

/// A place that holds a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file, or a folder with a safetensors checkpoint.
    Path(PathBuf),
    /// An `http` or `https` address.
    Url(reqwest::Url),
    /// `hf:ORG/REPO[:FILE]`.
    Hub(HubName),
}

/// A file of a Hugging Face repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    /// `ORG/REPO`.
    pub repository: String,
    /// A file, or a part of its name that only it has: `Q4_K_M`.
    pub file: Option<String>,
}

impl Location {
    /// Reads `PATH`, `URL` or `hf:ORG/REPO[:FILE]`.
    ///
    /// # Errors
    /// When the text begins like an address or a repository and is none.
    pub fn parse(text: &str) -> Result<Self, ModelFileError> {
        let error = |problem| ModelFileError::Location { text: text.to_owned(), problem };
        if let Some(rest) = text.strip_prefix("hf:") {
            let (repository, file) = match rest.split_once(':') {
                Some((repository, file)) => (repository, Some(file)),
                None => (rest, None),
            };
            let is_name = |name: &str| {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
            };
            let is_repository =
                repository.split_once('/').is_some_and(|(org, name)| is_name(org) && is_name(name));
            if !is_repository {
                return Err(error("a repository is written hf:ORG/REPO or hf:ORG/REPO:FILE"));
            }
            let is_file = |file: &str| file.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !file.is_none_or(is_file) {
                return Err(error(
                    "a file of a repository is named without `.`, `..` and empty parts",
                ));
            }
            return Ok(Self::Hub(HubName {
                repository: repository.to_owned(),
                file: file.map(str::to_owned),
            }));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            let url = text.parse().map_err(|_| error("not a valid address"))?;
            return Ok(Self::Url(url));
        }
        if text.is_empty() {
            return Err(error("no path, address or repository"));
        }
        Ok(Self::Path(PathBuf::from(text)))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{}", shown(url)),
            Self::Hub(hub) => match &hub.file {
                Some(file) => write!(f, "hf:{}:{file}", hub.repository),
                None => write!(f, "hf:{}", hub.repository),
            },
        }
    }
}

/// An address as it may be shown: without user, password and query, which may hold secrets.
pub(super) fn shown(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_an_address_or_a_repository() {
        let said = [
            "model.gguf",
            "./hf/model.gguf",
            "https://user:secret@example.org/a/model.gguf?token=secret",
            "hf:unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M",
            "hf:openai/gpt-oss-120b",
            "hf:gpt-oss-120b",
            "hf:a/b:../../etc/passwd",
            "hf:../b",
            "http://",
            "",
        ]
        .map(|text| match Location::parse(text) {
            Ok(location) => location.to_string(),
            Err(error) => format!("error: {error}"),
        })
        .join("\n");
        insta::assert_snapshot!(said);
    }
}
