//! Which file of a Hugging Face repository holds the model.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::Deserialize;

use super::ModelFileError;
use super::gguf::split_name;
use super::http::HttpClient;
use super::location::HubName;

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl HttpClient {
    /// The address of a model's file: the one named, or the only one the repository has.
    ///
    /// # Errors
    /// When the repository does not exist, has no model or several.
    pub(super) fn hub_file(&self, hub: &HubName) -> Result<Url, ModelFileError> {
        let place = format!("hf:{}", hub.repository);
        let listing = self.address(&["api", "models", &hub.repository])?;
        let text = self
            .document(&listing)?
            .ok_or_else(|| ModelFileError::Status { place: place.clone(), status: 404 })?;
        let listing: Listing = serde_json::from_slice(&text).map_err(|error| {
            ModelFileError::Json { place: place.clone(), message: error.to_string() }
        })?;
        let names: Vec<&str> =
            listing.siblings.iter().map(|sibling| sibling.rfilename.as_str()).collect();
        let file = choose(&place, &names, hub.file.as_deref())?;
        self.address(&[&hub.repository, "resolve", "main", file])
    }

    fn address(&self, parts: &[&str]) -> Result<Url, ModelFileError> {
        let mut url = self.endpoint().clone();
        let bad = || ModelFileError::Location {
            text: self.endpoint().to_string(),
            problem: "HF_ENDPOINT cannot hold a path",
        };
        url.path_segments_mut()
            .map_err(|()| bad())?
            .pop_if_empty()
            .extend(parts.iter().flat_map(|part| part.split('/')));
        Ok(url)
    }
}

/// The file to read: of a split model its first part.
fn choose<'a>(
    place: &str,
    names: &[&'a str],
    wanted: Option<&str>,
) -> Result<&'a str, ModelFileError> {
    let models = models(names);
    let shown = |found: &[&'a str]| found.iter().take(24).map(|name| (*name).to_owned()).collect();
    if let Some(wanted) = wanted {
        if let Some(exact) = names.iter().find(|name| **name == wanted) {
            return Ok(exact);
        }
        let key = wanted.to_lowercase();
        let found: Vec<&str> =
            models.iter().copied().filter(|name| name.to_lowercase().contains(&key)).collect();
        return match found[..] {
            [one] => Ok(one),
            [] => Err(ModelFileError::NoFile {
                place: place.to_owned(),
                file: wanted.to_owned(),
                close: shown(&models),
            }),
            _ => Err(ModelFileError::SeveralModels {
                place: place.to_owned(),
                candidates: shown(&found),
            }),
        };
    }
    let checkpoint = ["model.safetensors.index.json", "model.safetensors"]
        .into_iter()
        .find_map(|known| names.iter().find(|name| **name == known));
    match (checkpoint, &models[..]) {
        (Some(name), _) => Ok(name),
        (None, [one]) => Ok(one),
        (None, []) => Err(ModelFileError::NoModel { place: place.to_owned() }),
        (None, _) => Err(ModelFileError::SeveralModels {
            place: place.to_owned(),
            candidates: shown(&models),
        }),
    }
}

/// GGUF files, each split model once; vision projectors are no models of their own.
fn models<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    let is_model = |name: &&str| {
        let base = name.rsplit('/').next().unwrap_or_default();
        std::path::Path::new(base).extension().is_some_and(|kind| kind == "gguf")
            && !base.starts_with("mmproj")
    };
    for name in names.iter().copied().filter(is_model) {
        match split_name(name) {
            Some((prefix, 1, _)) => found.insert(prefix, name),
            Some(_) => None,
            None => found.insert(name, name),
        };
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_leads_to_one_file_or_says_what_it_has() {
        let names = [
            "README.md",
            "mmproj-F16.gguf",
            "Q4_K_M/big-Q4_K_M-00001-of-00002.gguf",
            "Q4_K_M/big-Q4_K_M-00002-of-00002.gguf",
            "big-Q8_0.gguf",
        ];
        let said = [None, Some("q4_k_m"), Some("big-Q8_0.gguf"), Some("Q6_K"), Some("big")]
            .map(|wanted| match choose("hf:a/b", &names, wanted) {
                Ok(name) => name.to_owned(),
                Err(error) => format!("error: {error}"),
            })
            .join("\n");
        insta::assert_snapshot!(said);
        let checkpoint = ["config.json", "model.safetensors.index.json", "x.gguf"];
        assert_eq!(choose("", &checkpoint, None).unwrap(), "model.safetensors.index.json");
        assert!(choose("", &["README.md"], None).is_err());
    }
}
