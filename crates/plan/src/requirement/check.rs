//! What the types of a requirement cannot hold it to.

use std::collections::BTreeSet;

use localrig_facts::document::{DocumentError, wrong_value};
use localrig_facts::gpu::Gpu;
use localrig_facts::model::Model;
use localrig_facts::region::Region;
use localrig_facts::resolve::{ResolveError, nearest};
use localrig_facts::shop::Shop;
use localrig_facts::unit::TokensPerSec;
use localrig_facts::{Catalog, CatalogError, Id};

use super::{Requirement, Role};

/// More money than any machine costs; above it sums of minor units would not be exact.
const MOST_MONEY: f64 = 1e9;

/// A value that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {problem}", self.name())]
pub struct Wrong {
    /// Keys that lead to it; items of a list by their number.
    pub keys: Vec<String>,
    /// The role it belongs to, by name.
    pub role: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// The valid name that comes closest.
    pub nearest: Option<String>,
}

impl Wrong {
    fn of(keys: &[&str], problem: impl Into<String>) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Self { keys, role: None, problem: problem.into(), nearest: None }
    }

    fn in_role(index: usize, role: &Role, field: &str, problem: impl Into<String>) -> Self {
        let number = index.to_string();
        Self { role: Some(role.name.clone()), ..Self::of(&["role", &number, field], problem) }
    }

    fn near(self, nearest: Option<&str>) -> Self {
        Self { nearest: nearest.map(str::to_owned), ..self }
    }

    /// The value's name for people: `budget.range`, `role main: streams`.
    pub fn name(&self) -> String {
        let names = self.keys.iter().map(String::as_str);
        let names: Vec<&str> = names.filter(|key| key.parse::<usize>().is_err()).collect();
        match &self.role {
            Some(role) => format!("role {role}: {}", names[1..].join(".")),
            None => names.join("."),
        }
    }

    /// The same with its place in the text it was read from.
    pub(super) fn at(self, path: &str, text: &str) -> DocumentError {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        let message = format!("{}: {}", self.name(), self.problem);
        wrong_value(path, text, &keys, message, self.nearest)
    }
}

impl Requirement {
    /// The first value that makes no sense beside the others.
    pub(super) fn contradiction(&self) -> Option<Wrong> {
        let positive = |one: f64| one > 0.0 && one.is_finite();
        let ordered = |[low, high]: [f64; 2]| positive(low) && positive(high) && high >= low;
        if self.roles.is_empty() {
            return Some(Wrong::of(&["role"], "at least one role is needed"));
        }
        let amounts = "must be two positive amounts, the smaller first";
        if !ordered(self.budget.range) {
            return Some(Wrong::of(&["budget", "range"], amounts));
        }
        if !ordered(self.budget.sweet_spot) {
            return Some(Wrong::of(&["budget", "sweet_spot"], amounts));
        }
        for (key, amount) in
            [("range", self.budget.range[1]), ("sweet_spot", self.budget.sweet_spot[1])]
        {
            if amount > MOST_MONEY {
                return Some(Wrong::of(&["budget", key], "must be at most 1,000,000,000"));
            }
        }
        let [low, high] = self.streams.target;
        if low == 0 || high < low {
            let problem = "must be two positive numbers, the smaller first";
            return Some(Wrong::of(&["streams", "target"], problem));
        }
        if self.streams.minimum == 0 || self.streams.minimum > high {
            let problem = "must be at least 1 and no more than the target";
            return Some(Wrong::of(&["streams", "minimum"], problem));
        }
        for (key, memory) in
            [("target_gib", self.memory.target_gib), ("minimum_gib", self.memory.minimum_gib)]
        {
            if !positive(memory.written()) {
                return Some(Wrong::of(&["memory", key], "must be above 0"));
            }
        }
        if self.memory.minimum_gib > self.memory.target_gib {
            return Some(Wrong::of(&["memory", "minimum_gib"], "the minimum is above the target"));
        }
        let numbers = "must be two positive numbers, the smaller first";
        for (index, role) in self.roles.iter().enumerate() {
            let wrong =
                |field: &str, problem: &str| Some(Wrong::in_role(index, role, field, problem));
            if role.streams == 0 {
                return wrong("streams", "must be at least 1");
            }
            if role.context_tokens == 0 {
                return wrong("context_tokens", "must be at least 1");
            }
            if role.parameters_b.is_some_and(|range| !ordered(range)) {
                return wrong("parameters_b", numbers);
            }
            let target = role.speed_target_tok_per_s.map(|range| range.map(TokensPerSec::get));
            if target.is_some_and(|range| !ordered(range)) {
                return wrong("speed_target_tok_per_s", numbers);
            }
            if let Some(minimum) = role.speed_minimum_tok_per_s.map(TokensPerSec::get) {
                if !positive(minimum) {
                    return wrong("speed_minimum_tok_per_s", "must be above 0");
                }
                if target.is_some_and(|[low, _]| minimum > low) {
                    return wrong("speed_minimum_tok_per_s", "the minimum is above the target");
                }
            }
            if let Some(other) = &role.instead_of {
                let names = || self.roles.iter().map(|one| one.name.as_str());
                if !names().any(|name| name == other && name != role.name) {
                    let problem = format!("there is no role `{other}`");
                    let others = names().filter(|name| *name != role.name);
                    let wrong = Wrong::in_role(index, role, "instead_of", problem);
                    return Some(wrong.near(nearest(other, others)));
                }
                // One role of those that take turns is the usual one; it stands first.
                match self.roles[..index].iter().find(|one| one.name == *other) {
                    None => {
                        let problem = format!("`{other}` must stand before it");
                        return wrong("instead_of", &problem);
                    }
                    Some(Role { instead_of: Some(usual), .. }) => {
                        let problem = format!("`{other}` is itself loaded in place of `{usual}`");
                        let wrong = Wrong::in_role(index, role, "instead_of", problem);
                        return Some(wrong.near(Some(usual)));
                    }
                    Some(_) => {}
                }
            }
            if self.roles[..index].iter().any(|one| one.name == role.name) {
                return wrong("name", "stands twice");
            }
        }
        None
    }

    /// The first name that is in none of the catalog's files.
    pub(super) fn unknown_name(&self, catalog: &Catalog) -> Result<Option<Wrong>, CatalogError> {
        let one_of = |keys: &[&str], what: &str, given: &str, valid: &BTreeSet<&str>| {
            let list = valid.iter().copied().collect::<Vec<_>>().join(", ");
            let short = if valid.len() <= 8 { format!(" (one of {list})") } else { String::new() };
            let wrong = Wrong::of(keys, format!("no {what} called `{given}`{short}"));
            (!valid.contains(given)).then(|| wrong.near(nearest(given, valid.iter().copied())))
        };
        let regions = catalog.all::<Region>()?;
        let valid = regions.keys().map(Id::within_folder).collect();
        if let Some(wrong) = one_of(&["region"], "region", &self.region, &valid) {
            return Ok(Some(wrong));
        }
        let (_, region) = catalog.get_in::<Region>(&self.region)?;
        let sockets: BTreeSet<&str> = region.sockets.iter().map(|one| one.kind.as_str()).collect();
        if let Some(wrong) = one_of(&["power", "socket"], "socket", &self.power.socket, &sockets)
            && !sockets.is_empty()
        {
            return Ok(Some(wrong));
        }
        let vendors: BTreeSet<String> =
            catalog.all::<Gpu>()?.values().map(|gpu| gpu.vendor.to_lowercase()).collect();
        let vendors = vendors.iter().map(String::as_str).collect();
        let platform = &self.platform;
        for (key, list) in [("preferred", &platform.preferred), ("accepted", &platform.accepted)] {
            for (item, given) in list.iter().enumerate() {
                let keys = ["platform", key, &item.to_string()];
                if let Some(wrong) = one_of(&keys, "maker", given, &vendors) {
                    return Ok(Some(wrong));
                }
            }
        }
        let shops = catalog.all::<Shop>()?.keys().map(Id::within_folder).collect();
        for (item, given) in self.shops.named.iter().enumerate() {
            let keys = ["shops", "named", &item.to_string()];
            if let Some(wrong) = one_of(&keys, "shop", given, &shops) {
                return Ok(Some(wrong));
            }
        }
        let tasks = catalog.tasks()?.iter().map(|task| task.name.as_str()).collect();
        for (index, role) in self.roles.iter().enumerate() {
            let number = index.to_string();
            let of_role = |wrong: Wrong| Wrong { role: Some(role.name.clone()), ..wrong };
            let keys = ["role", &number, "task"];
            if let Some(wrong) = one_of(&keys, "task", &role.task, &tasks) {
                return Ok(Some(of_role(wrong)));
            }
            let bar =
                role.at_least_as_good_as.iter().map(|name| (vec!["at_least_as_good_as"], name));
            let numbers: Vec<String> =
                (0..role.models.len()).map(|item| item.to_string()).collect();
            let listed = numbers.iter().map(|item| vec!["models", item]).zip(&role.models);
            for (field, name) in bar.chain(listed) {
                if let Err(CatalogError::Resolve(error)) = catalog.find::<Model>(name) {
                    let close = match &error {
                        ResolveError::Unknown { close, .. } => close.first(),
                        ResolveError::Ambiguous { candidates, .. } => candidates.first(),
                        _ => None,
                    };
                    let keys = [&["role", &number], field.as_slice()].concat();
                    let wrong = of_role(Wrong::of(&keys, error.to_string()));
                    return Ok(Some(wrong.near(close.map(String::as_str))));
                }
            }
        }
        Ok(None)
    }
}
