//! Claims: what they refer to exists, and every correction says what it changes.

use std::collections::BTreeSet;

use super::{Document, Findings, Gpu, Model};
use crate::catalog::Catalog;
use crate::claim::{Claim, Quantity, Statement};
use crate::machine::parse_machine;

/// Every claim of every document.
pub(super) fn claims(catalog: &Catalog, findings: &mut Findings) {
    // What does not parse is a finding of its own.
    let ids: BTreeSet<String> =
        catalog.heads().into_iter().flatten().map(|head| head.id.to_string()).collect();
    for (id, document) in catalog.all::<Document>().into_iter().flatten() {
        let mut keys = BTreeSet::new();
        for claim in &document.claims {
            let place = format!("claim `{}`", claim.key);
            let mut add = |message: String| findings.add(id.as_str(), &place, message);
            if !keys.insert(&claim.key) {
                add("a second claim with this key".to_owned());
            }
            for about in claim.about.iter().chain(&claim.with) {
                if !ids.is_empty() && !ids.contains(about.as_str()) {
                    add(format!("`{about}` is not in the catalog"));
                }
            }
            for source in &claim.sources {
                if !document.sources.contains_key(source) {
                    add(format!("no source called `{source}`"));
                }
            }
            words(claim, &mut add);
            for check in &claim.checks {
                if let Err(message) = subject(catalog, check) {
                    add(format!("check of {}: {message}", check.quantity.words()));
                }
            }
        }
    }
}

fn words(claim: &Claim, add: &mut impl FnMut(String)) {
    if claim.sources.is_empty() {
        add("no source: name who says what holds".to_owned());
    }
    if claim.claim.trim().is_empty() || claim.fact.trim().is_empty() {
        add("an empty claim or fact".to_owned());
    }
    if claim.verdict.misleads() && claim.effect.is_none() {
        add(format!("{} without `effect`: say what it changes", claim.verdict.word()));
    }
    for word in claim.phrases.iter().flatten() {
        if word.is_empty() || *word != word.to_lowercase() {
            add(format!("phrase word `{word}`: lower case, not empty"));
        }
    }
    if !claim.with.is_empty() && claim.about.is_empty() {
        add("`with` narrows `about`, which is empty".to_owned());
    }
}

/// Whether a statement names what its quantity is a figure of, and the catalog has it.
fn subject(catalog: &Catalog, check: &Statement) -> Result<(), String> {
    use Quantity::{
        ActiveParameters, Bandwidth, Context, KvCache, LoadedSpeed, Memory, Nvlink, Power, Price,
        Size, Speed, StreamShare, TotalParameters,
    };
    let loaded = matches!(check.quantity, StreamShare | LoadedSpeed);
    let wants_machine =
        loaded || matches!(check.quantity, Memory | Bandwidth | Power | Nvlink | Price | Speed);
    let wants_model = loaded
        || matches!(
            check.quantity,
            TotalParameters | ActiveParameters | Context | Size | KvCache | Speed
        );
    if wants_machine != check.machine.is_some() || wants_model != check.model.is_some() {
        return Err("names another subject than this quantity has".to_owned());
    }
    if (check.quantity == Size) != check.format.is_some()
        || (check.quantity == KvCache) != check.context_tokens.is_some()
    {
        return Err("sizes have a format, KV caches a context, and nothing else has".to_owned());
    }
    if loaded != check.streams.is_some_and(|streams| streams > 0)
        || (!check.beside.is_empty() && check.quantity != LoadedSpeed)
        || check.beside.iter().any(|other| other.streams == 0)
    {
        return Err("speeds beside others have streams, and nothing else has".to_owned());
    }
    for other in &check.beside {
        catalog.find::<Model>(&other.model).map_err(|error| error.to_string())?;
    }
    let [low, high] = check.says;
    if !(low.is_finite() && high.is_finite() && low >= 0.0 && high >= low) {
        return Err(format!("{low} to {high} is no range"));
    }
    if let Some(machine) = &check.machine {
        let card = catalog.get::<Gpu>(machine).map(drop).map_err(|error| error.to_string());
        card.or_else(|_| parse_machine(catalog, machine).map(drop))
            .map_err(|error| error.to_string())?;
    }
    if let Some(model) = &check.model {
        catalog.find::<Model>(model).map_err(|error| error.to_string())?;
    }
    if let Some(format) = &check.format {
        catalog.find::<crate::format::Format>(format).map_err(|error| error.to_string())?;
    }
    Ok(())
}
