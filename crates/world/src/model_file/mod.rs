//! Headers of model files: GGUF and safetensors, on disk, by HTTP range requests, from Hugging Face.
//!
//! Only headers are read, never weights: at most [`Limits::chunk`] bytes beyond a header. What a
//! file claims is checked before memory is set aside for it.

mod error;
mod gguf;
mod http;
mod hub;
mod location;
mod reader;
mod safetensors;

use std::path::Path;
use std::time::Duration;

use localrig_facts::model_file::ModelFile;

pub use error::ModelFileError;
pub use gguf::{GgufPart, parse_gguf};
pub use http::HttpClient;
pub use location::Location;
pub use reader::{ByteSource, FileSource, Header, MemorySource};
pub use safetensors::{parse_config, parse_index, parse_safetensors};

/// Bounds on what a file may make the reader do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest header: a tokenizer of a million words takes some 30 MB.
    pub header: u64,
    /// Bytes asked for at once; no more than this is read beyond a header.
    pub chunk: u64,
    /// Longest `config.json`, index or listing.
    pub document: u64,
    /// Most tensors.
    pub tensors: u64,
    /// Most parts of a split model.
    pub parts: u64,
    /// Longest wait for an answer, and longest pause within one.
    pub patience: Duration,
    /// How often a request that failed for a passing reason is made.
    pub tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: 256 << 20,
            chunk: 512 << 10,
            document: 32 << 20,
            tensors: 200_000,
            parts: 1_000,
            patience: Duration::from_secs(20),
            tries: 3,
        }
    }
}

/// Reads the header of a model: all parts of a split one, `config.json` with safetensors.
///
/// Blocks; inside an async runtime call it from a thread that may.
///
/// # Errors
/// When a part cannot be had or is not what it should be; the error names it.
pub fn read(location: &Location, limits: &Limits) -> Result<ModelFile, ModelFileError> {
    let files = match location {
        Location::Path(path) => Files::Folder(path.parent().unwrap_or(Path::new("")).to_owned()),
        Location::Url(url) => Files::Web(Box::new(HttpClient::new(limits)?), url.clone()),
        Location::Hub(hub) => {
            let client = HttpClient::for_hub(limits)?;
            let url = client.hub_file(hub)?;
            Files::Web(Box::new(client), url)
        }
    };
    let name = match (&files, location) {
        (Files::Web(_, url), _) => {
            url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or("").to_owned()
        }
        (Files::Folder(_), Location::Path(path)) if path.is_dir() => {
            return read_folder(path, limits);
        }
        (Files::Folder(_), Location::Path(path)) => {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        _ => String::new(),
    };
    let mut file = read_named(&files, &name, limits)?;
    file.location = location.to_string();
    Ok(file)
}

/// A folder with a safetensors checkpoint, as tools download it.
fn read_folder(folder: &Path, limits: &Limits) -> Result<ModelFile, ModelFileError> {
    let files = Files::Folder(folder.to_owned());
    let name = ["model.safetensors.index.json", "model.safetensors"]
        .into_iter()
        .find(|name| folder.join(name).is_file())
        .ok_or_else(|| ModelFileError::NoModel { place: folder.display().to_string() })?;
    let mut file = read_named(&files, name, limits)?;
    file.location = folder.display().to_string();
    Ok(file)
}

fn read_named(files: &Files, name: &str, limits: &Limits) -> Result<ModelFile, ModelFileError> {
    if name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") {
        safetensors::read_model(files, name, limits)
    } else {
        gguf::read_model(files, name, limits)
    }
}

/// Where the parts of a model lie beside each other.
enum Files {
    Folder(std::path::PathBuf),
    Web(Box<HttpClient>, reqwest::Url),
}

impl Files {
    /// A file beside the first one.
    fn open(&self, name: &str) -> Result<Box<dyn ByteSource + '_>, ModelFileError> {
        match self {
            Self::Folder(folder) => Ok(Box::new(FileSource::open(&folder.join(name))?)),
            Self::Web(client, url) => Ok(Box::new(client.open(sibling(url, name)?)?)),
        }
    }

    /// The whole of a small file; `None` when there is none.
    fn document(&self, name: &str, limits: &Limits) -> Result<Option<Vec<u8>>, ModelFileError> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                if !path.is_file() {
                    return Ok(None);
                }
                let mut source = FileSource::open(&path)?;
                let size = source.size();
                if size > limits.document {
                    return Err(ModelFileError::TooLarge {
                        place: source.name().to_owned(),
                        what: "document",
                        bytes: size,
                        limit: limits.document,
                    });
                }
                source.read(0, size).map(Some)
            }
            Self::Web(client, url) => client.document(&sibling(url, name)?),
        }
    }
}

fn sibling(url: &reqwest::Url, name: &str) -> Result<reqwest::Url, ModelFileError> {
    let mut sibling = url.clone();
    let bad = || ModelFileError::Location {
        text: url.to_string(),
        problem: "an address must have a path that ends in a file name",
    };
    sibling.path_segments_mut().map_err(|()| bad())?.pop().push(name);
    Ok(sibling)
}
