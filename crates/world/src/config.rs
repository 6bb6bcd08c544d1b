//! The user's settings: `$XDG_CONFIG_HOME/localrig/config.toml`.

use std::path::{Path, PathBuf};

use localrig_facts::document::{DocumentError, from_toml};
use serde::Deserialize;

use crate::{WorldError, read_text};

/// The user's settings. Every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where prices come from.
    pub price: PriceConfig,
}

/// Where prices come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// Whether `toppreise-cli` is asked when it is on PATH.
    pub toppreise_cli: bool,
    /// Whether toppreise.ch is read directly.
    pub toppreise_site: bool,
    /// How a site's owner can reach you: an address of mail or web, sent with every request.
    pub contact: Option<String>,
    /// Number of your municipality in the federal register, for its electricity tariff.
    pub municipality: Option<u32>,
    /// Where toppreise.ch or a mirror of it is.
    pub toppreise_address: Option<String>,
    /// Where the ECB's daily file is.
    pub ecb_address: Option<String>,
    /// Where the SPARQL service with ElCom's tariffs is.
    pub elcom_address: Option<String>,
}

impl Default for PriceConfig {
    fn default() -> Self {
        Self {
            toppreise_cli: true,
            toppreise_site: false,
            contact: None,
            municipality: None,
            toppreise_address: None,
            ecb_address: None,
            elcom_address: None,
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] WorldError),
    /// The file does not have its shape.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// The settings in `$LOCALRIG_CONFIG` or the user's folder; the defaults where there is no file.
///
/// # Errors
/// When there is a file and it cannot be read or has an unknown key.
pub fn config() -> Result<Config, ConfigError> {
    if let Some(path) = std::env::var_os("LOCALRIG_CONFIG") {
        return from(Path::new(&path));
    }
    let Some(path) = folder(etcetera::BaseStrategy::config_dir) else {
        return Ok(Config::default());
    };
    let path = path.join("config.toml");
    if path.is_file() { from(&path) } else { Ok(Config::default()) }
}

fn from(path: &Path) -> Result<Config, ConfigError> {
    Ok(from_toml(&path.display().to_string(), &read_text(path)?)?)
}

/// Where the store lies: in `$LOCALRIG_DATA`, else the user's data folder.
pub fn store_path() -> Option<PathBuf> {
    let folder = match std::env::var_os("LOCALRIG_DATA") {
        Some(path) => Some(PathBuf::from(path)),
        None => folder(etcetera::BaseStrategy::data_dir),
    };
    folder.map(|folder| folder.join("price.sqlite"))
}

fn folder(of: impl FnOnce(&etcetera::base_strategy::Xdg) -> PathBuf) -> Option<PathBuf> {
    let strategy = etcetera::base_strategy::Xdg::new().ok()?;
    Some(of(&strategy).join("localrig"))
}
