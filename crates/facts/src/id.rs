//! Ids of catalog entries: the path of the file without its extension.

use std::borrow::{Borrow, Cow};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The path of an entry below `catalog/`, without extension: `gpu/nvidia/rtx-5090`.
///
/// The last component is the short id. It is unique among the kinds that people name together
/// (cards, chips and systems; parts; models), so it can stand for the whole id in a command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// An id from its path.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component: `rtx-5090`.
    pub fn short(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, short)| short)
    }

    /// The folder it belongs to: `gpu`.
    pub fn folder(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(folder, _)| folder)
    }

    /// The path below the folder: `nvidia/rtx-5090`.
    pub fn within_folder(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, rest)| rest)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "path of a catalog file below catalog/, without extension",
            "pattern": r"^[a-z0-9_]+(/[a-z0-9._+-]+)+$"
        })
    }
}
