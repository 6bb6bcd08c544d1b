//! What a repository was written from: kept beside it to say later why it would change.

use std::collections::BTreeMap;

use localrig_facts::Catalog;
use localrig_plan::answer::PlanAnswer;
use serde::{Deserialize, Serialize};

/// What the repository was written from, kept beside it to say later why it would change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Version of localrig.
    pub version: String,
    /// The day prices are as of.
    pub as_of: String,
    /// Price of every part of the ranked machines, as printed.
    pub prices: BTreeMap<String, String>,
    /// Models that serve a role somewhere.
    pub models: Vec<String>,
    /// Ranked machines, best first.
    pub machines: Vec<String>,
    /// A digest of the facts of every kind, prices apart.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

impl Inputs {
    /// The inputs of a plan.
    pub fn new(catalog: &Catalog, plan: &PlanAnswer, version: &str) -> Self {
        let mut prices = BTreeMap::new();
        let mut models: Vec<String> = Vec::new();
        for machine in &plan.ranked {
            for part in &machine.parts {
                if let Some(price) = &part.price {
                    let key = match &price.variant {
                        Some(variant) => format!("{}:{variant}", part.id),
                        None => part.id.to_string(),
                    };
                    prices.insert(key, price.amount.to_string());
                }
            }
            models.extend(machine.roles.iter().map(|role| role.model_id.to_string()));
        }
        models.sort();
        models.dedup();
        Self {
            version: version.to_owned(),
            as_of: plan.as_of.clone(),
            prices,
            models,
            machines: plan.ranked.iter().map(|one| one.key.clone()).collect(),
            facts: digests(catalog),
        }
    }

    /// Why a repository written from these inputs differs from one written from earlier ones.
    pub fn reasons(&self, earlier: &Self) -> Vec<String> {
        let mut reasons = Vec::new();
        for (item, now) in &self.prices {
            match earlier.prices.get(item) {
                Some(then) if then != now => {
                    reasons.push(format!("price moved: {item} from {then} to {now}"));
                }
                None => reasons.push(format!("price added: {item} {now}")),
                Some(_) => {}
            }
        }
        let gone = earlier.prices.keys().filter(|item| !self.prices.contains_key(*item));
        reasons.extend(gone.map(|item| format!("no longer in a ranked machine: {item}")));
        let new = |now: &[String], then: &[String]| -> Vec<String> {
            now.iter().filter(|one| !then.contains(one)).cloned().collect()
        };
        for (what, now, then) in [
            ("model", &self.models, &earlier.models),
            ("machine", &self.machines, &earlier.machines),
        ] {
            reasons.extend(new(now, then).into_iter().map(|one| format!("{what} added: {one}")));
            reasons.extend(new(then, now).into_iter().map(|one| format!("{what} dropped: {one}")));
        }
        if self.version != earlier.version {
            reasons.push(format!(
                "formulas may have changed: localrig {} was {}",
                self.version, earlier.version
            ));
        }
        // A repository of an older version has no digests: nothing can be said then.
        let kinds = self.facts.iter().filter(|_| !earlier.facts.is_empty());
        for (kind, now) in kinds {
            if earlier.facts.get(kind) != Some(now) {
                reasons.push(match kind.as_str() {
                    "calibration" => {
                        "formula changed: constants of the speed model (catalog/calibration)"
                            .to_owned()
                    }
                    kind => format!("facts changed: catalog/{kind}"),
                });
            }
        }
        if self.as_of != earlier.as_of {
            reasons.push(format!("another day: {} was {}", self.as_of, earlier.as_of));
        }
        reasons
    }
}

/// A digest of the files of every folder of the catalog but that of prices, which are told one by
/// one.
fn digests(catalog: &Catalog) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, file) in catalog.files() {
        let kind = path.split('/').next().unwrap_or(path);
        if kind == "price" {
            continue;
        }
        let sum = sums.entry(kind).or_insert(FNV_BASIS);
        for byte in path.bytes().chain(file.text.bytes()) {
            *sum = (*sum ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    sums.into_iter().map(|(kind, sum)| (kind.to_owned(), format!("{sum:016x}"))).collect()
}

/// FNV-1a in 64 bits (Fowler, Noll, Vo): tells changes apart, nothing more.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_name_what_moved() {
        let pairs = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
            list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let then = Inputs {
            prices: pairs(&[("gpu/x", "CHF 1")]),
            facts: pairs(&[("gpu", "1"), ("calibration", "1"), ("model", "1")]),
            ..Inputs::default()
        };
        let now = Inputs {
            prices: pairs(&[("gpu/x", "CHF 2")]),
            models: vec!["model/y".to_owned()],
            facts: pairs(&[("gpu", "2"), ("calibration", "2"), ("model", "1")]),
            ..Inputs::default()
        };
        insta::assert_snapshot!(now.reasons(&then).join("\n"), @r"
        price moved: gpu/x from CHF 1 to CHF 2
        model added: model/y
        formula changed: constants of the speed model (catalog/calibration)
        facts changed: catalog/gpu
        ");
        let older = Inputs { facts: BTreeMap::new(), ..then };
        assert_eq!(now.reasons(&older).len(), 2);
    }
}
