//! What a report says of a ranked machine beyond the plan: how its speed changes, what owning it
//! costs, what its main parts cost before.

use std::collections::BTreeMap;

use localrig_facts::price::Condition;
use localrig_facts::{CatalogError, Id};
use serde::Serialize;

use crate::answer::{PlanAnswer, RankedMachine};
use crate::configuration::{PartNote, Upgrade, assembly, headless, upgrade};
use crate::curve::{Curves, curves};
use crate::ownership::{Own, Ownership, ownership};
use crate::plan::Plan;
use crate::platform::folder;
use crate::price::{Goods, Market};
use crate::trend::{Trend, trend};

/// More about a ranked machine.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// Whether no ranked machine is both cheaper and faster with its main model, or as good in one
    /// and better in the other.
    pub on_price_speed_front: bool,
    /// Speeds of its main model; absent when a fact is missing.
    pub curves: Option<Curves>,
    /// What it costs to own.
    pub ownership: Ownership,
    /// How it is put together, run without a screen and made larger; only of the first machines of
    /// each platform.
    pub handling: Option<Handling>,
    /// Prices over time of its accelerators, or of the system; those that were never seen have
    /// none.
    pub trends: Vec<NamedTrend>,
}

/// What to know of a machine from the day it is ordered.
#[derive(Clone, Debug, Serialize)]
pub struct Handling {
    /// The next size up, step by step.
    pub upgrade: Option<Upgrade>,
    /// What to know while putting it together, from the notes of its parts.
    pub assembly: Vec<PartNote>,
    /// What to know for running it without a screen.
    pub headless: Vec<String>,
}

/// Machines of a platform whose handling is told.
pub const HANDLED: usize = 4;

/// A price over time with its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedTrend {
    /// Name of the item, with its variant.
    pub name: String,
    /// Whether it is bought used.
    pub used: bool,
    /// The prices.
    pub trend: Trend,
}

/// Details of every ranked machine that has an entry of its own in the answer, by key.
///
/// # Errors
/// When a catalog file is broken or not there.
pub fn details(
    market: &Market<'_>,
    plan: &Plan<'_>,
    answer: &PlanAnswer,
) -> Result<BTreeMap<String, Detail>, CatalogError> {
    let mut known: BTreeMap<(Id, Option<String>, bool), Option<Trend>> = BTreeMap::new();
    let mut all = BTreeMap::new();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for one in &answer.ranked {
        let Some(ranked) = plan.ranked.iter().find(|it| it.candidate.key == one.key) else {
            continue;
        };
        let mut trends = Vec::new();
        for line in ranked.candidate.lines.iter().filter(|line| is_main(&line.id)) {
            let Ok(price) = &line.price else { continue };
            let used = matches!(price.condition, Condition::Used | Condition::Refurbished);
            let goods = if used { Goods::Used } else { Goods::New };
            let key = (line.id.clone(), price.variant.clone(), used);
            let found = known
                .entry(key)
                .or_insert_with(|| trend(market, &line.id, price.variant.as_deref(), goods).ok());
            let named =
                |trend: &Trend| NamedTrend { name: line.name.clone(), used, trend: trend.clone() };
            trends.extend(found.as_ref().map(named));
        }
        let told = told.entry(folder(market.catalog, &one.key)?).or_default();
        *told += 1;
        let handling = if *told <= HANDLED || answer.leads(one) {
            let (requirement, candidate) = (plan.requirement, ranked.candidate);
            Some(Handling {
                upgrade: upgrade(market, requirement, candidate)?,
                assembly: assembly(market.catalog, &candidate.lines)?,
                headless: headless(market.catalog, candidate)?,
            })
        } else {
            None
        };
        let detail = Detail {
            handling,
            on_price_speed_front: is_on_front(one, &answer.ranked),
            curves: curves(market.catalog, ranked),
            ownership: ownership(market, ranked.candidate, one.roles.first(), Own::default())?,
            trends,
        };
        all.insert(one.key.clone(), detail);
    }
    Ok(all)
}

/// Whether nothing beats a machine in price and main speed together.
fn is_on_front(one: &RankedMachine, all: &[RankedMachine]) -> bool {
    let values = |it: &RankedMachine| (it.cost.minor, it.roles[0].per_stream_tok_per_s.value);
    let (cost, speed) = values(one);
    !all.iter()
        .map(values)
        .any(|(price, fast)| price <= cost && fast >= speed && (price < cost || fast > speed))
}

/// Whether an item is an accelerator or a machine bought whole.
fn is_main(id: &Id) -> bool {
    id.as_str().starts_with("gpu/") || id.as_str().starts_with("system/")
}
