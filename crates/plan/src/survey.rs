//! The survey: every platform that was considered, in or out of this requirement, with the number
//! that decides.
//!
//! Nothing is judged by hand: an accelerator stands where the best machine with it stands in the
//! plan, and a platform without one is measured against the requirement's limits.

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::engine::Engine;
use localrig_facts::gpu::{Gpu, GpuKind, Status};
use localrig_facts::survey::Platform;
use localrig_facts::system::System;
use localrig_facts::unit::{GbPerS, Gib};
use localrig_facts::{CatalogError, Currency, Id, Money, exchange};
use serde::Serialize;

use crate::candidate::{Candidate, LEAST_CARD_GIB};
use crate::plan::Plan;
use crate::price::Market;
use crate::reason::Reason;

/// Every platform that was considered for a requirement.
#[derive(Clone, Debug, Serialize)]
pub struct SurveyAnswer {
    /// The requirement.
    pub requirement: String,
    /// The day prices and releases are as of.
    pub as_of: String,
    /// Platforms: those in first, then by reason.
    pub platforms: Vec<Surveyed>,
}

/// One platform.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Surveyed {
    /// Catalog id.
    pub id: Id,
    /// Name.
    pub name: String,
    /// Maker.
    pub vendor: String,
    /// Memory of one unit; the largest it is sold with.
    pub memory_gib: Option<f64>,
    /// Memory bandwidth.
    pub bandwidth_gb_per_s: Option<f64>,
    /// Where it stands.
    pub standing: Standing,
    /// What decides, with the number.
    pub reason: String,
    /// What the February 2026 survey held against it.
    pub noted: Vec<String>,
}

/// Where a platform stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A machine with it meets the hard limits.
    In,
    /// A machine with it would do but has no price.
    NoPrice,
    /// Outside a limit.
    Limit,
    /// Parts, cooling or stack keep it out of a machine at home.
    Unfit,
    /// It cannot be bought singly.
    NotForSale,
    /// It is not out yet.
    Unreleased,
    /// A fact is missing.
    Unknown,
}

impl Standing {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::NoPrice => "would do but lack a price",
            Self::Limit => "out: outside a limit",
            Self::Unfit => "out: not for a machine at home",
            Self::NotForSale => "out: not sold singly",
            Self::Unreleased => "out: not released",
            Self::Unknown => "out: for want of a fact",
        }
    }
}

/// The survey of a plan.
///
/// # Errors
/// When a catalog file is broken.
pub fn survey(market: &Market<'_>, plan: &Plan<'_>) -> Result<SurveyAnswer, CatalogError> {
    let catalog = market.catalog;
    let surveyor = Surveyor { market, plan, best: best(plan), needed: least_needed(plan) };
    let mut platforms = Vec::new();
    let mut told: BTreeSet<&Id> = BTreeSet::new();
    for (id, platform) in catalog.all::<Platform>()? {
        told.extend(&platform.gpu);
        platforms.push(surveyor.platform(id, platform)?);
    }
    for (id, gpu) in catalog.all::<Gpu>()?.iter().filter(|(id, _)| !told.contains(id)) {
        let (standing, reason) = surveyor.accelerator(id, gpu)?;
        platforms.push(Surveyed {
            id: id.clone(),
            name: gpu.name.clone(),
            vendor: gpu.vendor.clone(),
            memory_gib: largest(gpu),
            bandwidth_gb_per_s: gpu.memory.bandwidth_gb_per_s.map(GbPerS::written),
            standing,
            reason,
            noted: Vec::new(),
        });
    }
    platforms
        .sort_by(|a, b| (a.standing, &a.vendor, &a.name).cmp(&(b.standing, &b.vendor, &b.name)));
    Ok(SurveyAnswer {
        requirement: plan.requirement.name.clone(),
        as_of: plan.date.to_string(),
        platforms,
    })
}

struct Surveyor<'s, 'a> {
    market: &'s Market<'a>,
    plan: &'s Plan<'s>,
    best: BTreeMap<String, (Standing, f64, String)>,
    needed: Option<f64>,
}

/// The best outcome of the machines with each accelerator or system.
fn best(plan: &Plan<'_>) -> BTreeMap<String, (Standing, f64, String)> {
    let mut best: BTreeMap<String, (Standing, f64, String)> = BTreeMap::new();
    let mut tell = |candidate: &Candidate<'_>, standing: Standing, order: f64, reason: String| {
        let devices = &candidate.machine.devices;
        // A machine of several kinds says nothing of one of them.
        let single = devices.len() == 1;
        let system = candidate.machine.system.map(|(id, _, _)| id.to_string());
        let ids = devices.iter().map(|device| device.id.to_string()).chain(system);
        for id in ids.filter(|_| single || standing == Standing::In) {
            let better = best.get(&id).is_none_or(|known| (standing, order) < (known.0, known.1));
            if better {
                best.insert(id, (standing, order, format!("{}: {reason}", candidate.machine.name)));
            }
        }
    };
    // Places are those of the plan: machines with the same accelerators are one entry.
    for (index, (first, others)) in plan.by_accelerators().into_iter().enumerate() {
        let place = index + 1;
        let reason = format!("{}, {:.1} points, place {place}", first.cost.whole(), first.score);
        tell(first.candidate, Standing::In, index as f64, reason);
        // Other systems around the same chip stand there as well.
        for one in others {
            let reason =
                format!("{}, {:.1} points, with place {place}", one.cost.whole(), one.score);
            tell(one.candidate, Standing::In, index as f64, reason);
        }
    }
    for one in &plan.unpriced {
        let most = plan.requirement.budget.most();
        let priced = one.candidate.priced;
        if plan.requirement.budget.hard && priced.amount() > most.amount() {
            let reason =
                format!("over budget: its priced parts alone are {priced}, at most {most}");
            tell(one.candidate, Standing::Limit, priced.amount() / most.amount(), reason);
            continue;
        }
        let reason = one.missing.first().cloned().unwrap_or_default();
        tell(one.candidate, Standing::NoPrice, one.missing.len() as f64, reason);
    }
    for one in &plan.rejected {
        let standing = match one.reason {
            Reason::Incompatible { .. } | Reason::NoOption { .. } => Standing::Unfit,
            _ => Standing::Limit,
        };
        let reason = format!("{}: {}", one.reason.kind(), one.reason.decided_by());
        tell(one.candidate, standing, one.reason.distance(), reason);
    }
    best
}

/// The least memory the roles take on any machine that was too small for them, in GiB.
fn least_needed(plan: &Plan<'_>) -> Option<f64> {
    let needed = plan.rejected.iter().filter_map(|one| match &one.reason {
        Reason::TooSmall { needed, .. } => Some(needed.to_gib()),
        _ => None,
    });
    needed.min_by(f64::total_cmp)
}

fn largest(gpu: &Gpu) -> Option<f64> {
    gpu.memory.sizes_gib.iter().map(|size| size.written()).max_by(f64::total_cmp)
}

/// Cards of one kind that a build holds at most.
const MOST_CARDS: f64 = 4.0;

impl Surveyor<'_, '_> {
    fn accelerator(&self, id: &Id, gpu: &Gpu) -> Result<(Standing, String), CatalogError> {
        if let Some((standing, _, reason)) = self.best.get(id.as_str()) {
            return Ok((*standing, reason.clone()));
        }
        let day = self.market.date;
        if gpu.status.contains(&Status::Announced) {
            return Ok((Standing::Unreleased, "announced, not sold".to_owned()));
        }
        if let Some(released) = gpu.released.filter(|released| released.earliest() > day) {
            return Ok((Standing::Unreleased, format!("released {released}, after {day}")));
        }
        if gpu.kind == GpuKind::Unified {
            let systems = self.market.catalog.all::<System>()?;
            let inside = systems.values().find(|one| one.accelerator == *id);
            let reason = match inside {
                Some(system) => format!("{}: not on sale as of {day}", system.name),
                None => "no machine with it is in the catalog as of this day".to_owned(),
            };
            return Ok((Standing::NotForSale, reason));
        }
        if !gpu.status.iter().any(|status| status.is_buyable()) {
            let words: Vec<&str> = gpu.status.iter().copied().map(word_of).collect();
            return Ok((Standing::NotForSale, words.join(", ")));
        }
        if gpu.kind != GpuKind::Card {
            return Ok((Standing::Unfit, "a module: needs its maker's carrier board".to_owned()));
        }
        let Some(memory) = largest(gpu) else {
            return Ok((Standing::Unknown, "memory is not recorded".to_owned()));
        };
        if memory < LEAST_CARD_GIB {
            let reason = format!(
                "{memory:.0} GiB: cards below {LEAST_CARD_GIB:.0} GiB hold no model to plan around"
            );
            return Ok((Standing::Limit, reason));
        }
        if gpu.memory.bandwidth_gb_per_s.is_none() {
            return Ok((Standing::Unknown, "bandwidth is not recorded".to_owned()));
        }
        Ok((Standing::Unknown, "sold with several memory sizes; the plan needs one".to_owned()))
    }

    fn platform(&self, id: &Id, platform: &Platform) -> Result<Surveyed, CatalogError> {
        let catalog = self.market.catalog;
        let gpu = match &platform.gpu {
            Some(gpu) => catalog.all::<Gpu>()?.get_key_value(gpu),
            None => None,
        };
        let told = platform.gpu.as_ref().and_then(|id| self.best.get(id.as_str()));
        let (standing, reason) = match (told, gpu) {
            (Some((standing, _, reason)), _) => (*standing, reason.clone()),
            (None, Some((gpu_id, gpu))) => self.accelerator(gpu_id, gpu)?,
            (None, None) => self.measured(platform)?,
        };
        let recorded = gpu.and_then(|(_, gpu)| gpu.memory.bandwidth_gb_per_s);
        Ok(Surveyed {
            id: id.clone(),
            name: platform.name.clone(),
            vendor: platform.vendor.clone(),
            memory_gib: gpu
                .and_then(|(_, gpu)| largest(gpu))
                .or(platform.memory_gib.map(Gib::written)),
            bandwidth_gb_per_s: recorded.or(platform.bandwidth_gb_per_s).map(GbPerS::written),
            standing,
            reason,
            noted: platform.reasons.clone(),
        })
    }

    /// A platform of which only the survey's own facts are known, against the limits.
    fn measured(&self, platform: &Platform) -> Result<(Standing, String), CatalogError> {
        let access = platform.access.replace('-', " ");
        match platform.access.as_str() {
            "retail" => {}
            "not-shipping" | "none" | "early-access" => {
                return Ok((Standing::Unreleased, format!("access: {access}")));
            }
            _ => return Ok((Standing::NotForSale, format!("access: {access}"))),
        }
        if let Some(memory) = platform.memory_gib.map(Gib::written) {
            let most = memory * MOST_CARDS;
            if let Some(needed) = self.needed.filter(|needed| most < *needed) {
                let reason = format!(
                    "{MOST_CARDS:.0} of them hold {most:.0} GiB, all roles take {needed:.0} GiB"
                );
                return Ok((Standing::Limit, reason));
            }
        }
        if let Some([low, _]) = platform.price_usd
            && let Some(price) = self.in_budget_currency(low)?
        {
            let most = self.plan.requirement.budget.most();
            if price.amount() > most.amount() {
                let reason = format!("{price} for one, at most {most}");
                return Ok((Standing::Limit, reason));
            }
        }
        if let Some([low, _]) = platform.power_w {
            let region = &self.market.region.sockets;
            let wanted = &self.plan.requirement.power.socket;
            let socket = region.iter().find(|one| one.kind == *wanted);
            if let Some(most) = socket.map(|one| one.max_w.get()).filter(|most| low > *most) {
                return Ok((Standing::Limit, format!("{low:.0} W, the socket gives {most:.0} W")));
            }
        }
        let engines = self.market.catalog.all::<Engine>()?.len();
        Ok((Standing::Unfit, format!("none of the catalog's {engines} engines runs on it")))
    }

    fn in_budget_currency(&self, usd: f64) -> Result<Option<Money>, CatalogError> {
        let currency = self.plan.requirement.budget.currency;
        let rates = self.market.catalog.rates()?;
        let rate = exchange(rates, Currency::Usd, currency, self.market.date);
        Ok(rate.map(|(rate, _)| Money::of(usd * rate, currency).whole()))
    }
}

/// Where something is sold, in words.
pub(crate) const fn word_of(status: Status) -> &'static str {
    match status {
        Status::Retail => "in shops",
        Status::Used => "used",
        Status::Refurbished => "refurbished",
        Status::Discontinued => "discontinued",
        Status::Enterprise => "through integrators and distributors only",
        Status::Announced => "announced, not sold yet",
        Status::ExportRestricted => "not sold where export rules apply",
        Status::GreyMarket => "outside the maker's channels",
        Status::Cloud => "for rent",
        Status::CloudOnly => "for rent only",
        Status::InSystem => "inside a system only",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::Planner;
    use localrig_facts::region::Region;
    use localrig_simulate::workload::Workload;

    fn surveyed(change: impl FnOnce(&mut crate::requirement::Requirement)) -> SurveyAnswer {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let text = localrig_world::requirement("home-office").unwrap();
        let mut requirement = crate::requirement::Requirement::parse("x.toml", text).unwrap();
        change(&mut requirement);
        let (_, region) = catalog.get_in::<Region>("ch").unwrap();
        let date = "2026-02-17".parse().unwrap();
        let market = Market { catalog: &catalog, region_id: "ch", region, date };
        let habits = localrig_world::workload("home-office").unwrap();
        let habits = Workload::parse("home-office", habits, &BTreeMap::new()).unwrap();
        let planner = Planner::new(market, &requirement, &habits).unwrap();
        survey(&market, &planner.plan()).unwrap()
    }

    fn standing(answer: &SurveyAnswer, id: &str) -> (Standing, String) {
        let one = answer.platforms.iter().find(|one| one.id.as_str() == id).unwrap();
        (one.standing, one.reason.clone())
    }

    #[test]
    fn every_surveyed_platform_stands_somewhere_with_a_reason() {
        let answer = surveyed(|_| {});
        let catalog = localrig_world::catalog(&[]).unwrap();
        for id in catalog.all::<Platform>().unwrap().keys() {
            assert!(!standing(&answer, id.as_str()).1.is_empty(), "{id}");
        }
        assert!(answer.platforms.len() > 150, "{}", answer.platforms.len());
        assert_eq!(standing(&answer, "survey/groq-groqcard").0, Standing::NotForSale);
        assert_eq!(standing(&answer, "survey/intel-crescent-island").0, Standing::Unreleased);
        assert_eq!(standing(&answer, "gpu/nvidia/rtx-pro-6000-blackwell-ws").0, Standing::In);
    }

    #[test]
    fn another_requirement_gives_another_survey() {
        let poor = surveyed(|requirement| {
            requirement.budget.range = [500.0, 3000.0];
            requirement.budget.sweet_spot = [500.0, 3000.0];
        });
        let (standing, reason) = standing(&poor, "gpu/nvidia/rtx-pro-6000-blackwell-ws");
        assert_eq!(standing, Standing::Limit);
        assert!(reason.contains("over budget") && reason.contains("3,000"), "{reason}");
    }
}
