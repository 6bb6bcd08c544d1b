//! Names: a spelling leads to one entry.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Architecture, Cable, Case, Cooler, Cpu, Engine, Findings, Format, Generation, Gpu, Memory,
    Model, Motherboard, Platform, Prebuilt, Psu, Region, Shop, Storage, Switch, System, TensorType,
};
use crate::catalog::{Catalog, Entry};

type Names = BTreeMap<String, BTreeSet<String>>;

/// A spelling must lead to one entry among the kinds that people name in the same place.
pub(super) fn duplicates(catalog: &Catalog, findings: &mut Findings) {
    /// One group per line: kinds that are named in the same place.
    macro_rules! groups {
        ($($($kind:ty),+;)*) => {
            vec![$({
                let mut names = Names::new();
                $(collect::<$kind>(catalog, &mut names);)+
                names
            }),*]
        };
    }
    let groups: Vec<Names> = groups! {
        Gpu, System;
        Cpu, Motherboard, Memory, Psu, Case, Cooler, Storage, Cable, Switch;
        Model;
        Architecture;
        Format;
        TensorType;
        Engine;
        Shop;
        Region;
        Platform;
        Prebuilt;
        Generation;
    };
    for (name, ids) in groups.iter().flatten().filter(|(_, ids)| ids.len() > 1) {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        findings.add(ids[0], "name", format!("`{name}` also names {}", ids[1..].join(", ")));
    }
}

fn collect<T: Entry>(catalog: &Catalog, names: &mut Names) {
    for (id, entry) in catalog.all::<T>().into_iter().flatten() {
        let spellings = [id.short(), entry.name()];
        for spelling in spellings.into_iter().chain(entry.aliases().iter().map(String::as_str)) {
            let kept = |c: &char| c.is_alphanumeric() || *c == '+';
            let key: String = spelling.to_lowercase().chars().filter(kept).collect();
            names.entry(key).or_default().insert(id.to_string());
        }
    }
}
