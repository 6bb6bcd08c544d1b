//! Entries of all kinds alike: their ids and names, for lists and for finding one by any name.

use serde::Serialize;

use crate::catalog::{Catalog, CatalogError, Entry, for_each_entry};
use crate::id::Id;
use crate::price::Observation;
use crate::resolve::{Candidate, resolve};
use crate::source::{Note, Sources};

/// Folders of what has a price.
pub const PRICED: [&str; 12] = [
    "gpu", "system", "cpu", "board", "memory", "psu", "case", "cooler", "storage", "cable",
    "switch", "prebuilt",
];

/// What every entry has.
#[derive(Clone, Debug, Serialize)]
pub struct Head<'a> {
    /// Folder below `catalog/`.
    pub kind: &'static str,
    /// Id.
    pub id: &'a Id,
    /// Name for people.
    pub name: &'a str,
    /// Other spellings.
    pub aliases: &'a [String],
    /// Remarks.
    #[serde(skip)]
    pub notes: &'a [Note],
    /// Who vouches for it.
    #[serde(skip)]
    pub sources: &'a Sources,
}

type Visit<'v, 'a> = (&'a Catalog, &'v mut Vec<Head<'a>>, &'v mut Option<CatalogError>);

impl Catalog {
    /// Every entry of every kind, kinds in the order of the catalog, ids sorted.
    ///
    /// # Errors
    /// When any file does not parse.
    pub fn heads(&self) -> Result<Vec<Head<'_>>, CatalogError> {
        let (mut heads, mut failed) = (Vec::new(), None);
        for_each_entry!(visit(&mut (self, &mut heads, &mut failed)));
        match failed {
            Some(error) => Err(error),
            None => Ok(heads),
        }
    }

    /// The one entry of any kind that a forgiving name means.
    ///
    /// # Errors
    /// When no entry or several have that name, or a file does not parse.
    pub fn find_any(&self, query: &str) -> Result<Head<'_>, CatalogError> {
        let heads = self.heads()?;
        let candidates: Vec<_> = heads
            .iter()
            .map(|head| Candidate {
                value: head,
                id: head.id.as_str(),
                name: head.name,
                aliases: head.aliases,
            })
            .collect();
        Ok(resolve("entry", query, &candidates)?.clone())
    }

    /// The one thing that has a price and that a forgiving name means: a card, system or part.
    ///
    /// # Errors
    /// When no such entry or several have that name, or a file does not parse.
    pub fn find_priced(&self, query: &str) -> Result<Head<'_>, CatalogError> {
        let heads = self.heads()?;
        let candidates: Vec<_> = heads
            .iter()
            .filter(|head| PRICED.contains(&head.kind))
            .map(|head| Candidate {
                value: head,
                id: head.id.as_str(),
                name: head.name,
                aliases: head.aliases,
            })
            .collect();
        Ok(resolve("item", query, &candidates)?.clone())
    }

    /// Prices seen of an entry, newest first.
    ///
    /// # Errors
    /// When a price file does not parse.
    pub fn prices_of(&self, id: &Id) -> Result<Vec<&Observation>, CatalogError> {
        let mut prices: Vec<_> = self.prices()?.iter().filter(|one| one.row.item == *id).collect();
        prices.sort_by_key(|seen| std::cmp::Reverse(seen.row.date));
        Ok(prices)
    }
}

fn visit<T: Entry>((catalog, heads, failed): &mut Visit<'_, '_>) {
    match catalog.all::<T>() {
        Ok(table) => heads.extend(table.iter().map(|(id, entry)| Head {
            kind: T::FOLDER,
            id,
            name: entry.name(),
            aliases: entry.aliases(),
            notes: entry.notes(),
            sources: entry.sources(),
        })),
        Err(error) => **failed = Some(error),
    }
}
