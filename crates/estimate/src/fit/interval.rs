//! Conformal intervals from held-out rows.
//!
//! Half-widths are quantiles of the absolute logarithm of predicted over measured, of rows whose
//! (source, hardware) group the fit did not see, every group with the weight of the square root of
//! its rows: rows of one group share errors, so counting rows alone promises too much (Barber et
//! al. 2023, Annals of Statistics 51(2), on exchangeability; leave-group-out residuals).

use std::collections::BTreeMap;

use localrig_facts::calibration::{Intervals, Stratum};
use localrig_facts::measured::Phase;

use super::Observations;
use super::holdout::HeldOut;
use crate::calibration::Seen;

/// Groups that a stratum needs for quantiles of its own.
const ENOUGH_GROUPS: usize = 6;

/// What kind of speed an interval is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Generation of one stream.
    Decode,
    /// Generation of several streams, or through a server.
    Batch,
    /// Prompts.
    Prefill,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Decode, Self::Batch, Self::Prefill];

    /// The word in data files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Batch => "batch",
            Self::Prefill => "prefill",
        }
    }

    /// The kind of a phase with a number of streams.
    pub fn of(phase: Phase, streams: f64) -> Self {
        match phase {
            Phase::Prefill => Self::Prefill,
            Phase::Decode if streams > 1.0 => Self::Batch,
            Phase::Decode => Self::Decode,
        }
    }
}

/// The key of a stratum: `decode/mixture/unit`.
pub fn stratum(kind: Kind, mixture: bool, seen: Seen) -> String {
    let model = if mixture { "mixture" } else { "dense" };
    format!("{}/{model}/{}", kind.key(), seen.key())
}

/// Half-width of the 80 % interval of a stratum, as a factor. A file without the stratum gives the
/// widest it has.
pub fn half_width(intervals: &Intervals, kind: Kind, mixture: bool, seen: Seen) -> f64 {
    let known = intervals.stratum.get(&stratum(kind, mixture, seen)).map(|one| one.factor_80);
    known.unwrap_or_else(|| {
        intervals.stratum.values().fold(1.0, |widest: f64, one| widest.max(one.factor_80))
    })
}

/// Half-widths of every stratum; one with few groups borrows from its neighbours and is never
/// narrower than the stratum that saw more.
pub fn intervals(observations: &Observations, held_out: &[HeldOut]) -> Intervals {
    let mut strata = BTreeMap::new();
    for kind in Kind::ALL {
        for mixture in [false, true] {
            let mut narrowest: Option<Stratum> = None;
            for seen in [Seen::Unit, Seen::Stack, Seen::Neither] {
                let of = |one: &&HeldOut, same_model: bool, same_seen: bool| {
                    let case = &observations.all[one.observation].case;
                    Kind::of(case.phase, case.load.streams) == kind
                        && (!same_model || case.work.is_mixture() == mixture)
                        && (!same_seen || one.seen == seen)
                };
                let pools = [(true, true), (false, true), (true, false), (false, false)];
                let pool = pools
                    .iter()
                    .map(|(model, saw)| {
                        held_out.iter().filter(|one| of(one, *model, *saw)).collect::<Vec<_>>()
                    })
                    .find(|pool| groups(observations, pool) >= ENOUGH_GROUPS)
                    .unwrap_or_else(|| held_out.iter().collect());
                let mut own = widths(observations, &pool);
                if let Some(least) = &narrowest {
                    own.factor_50 = own.factor_50.max(least.factor_50);
                    own.factor_80 = own.factor_80.max(least.factor_80);
                    own.factor_90 = own.factor_90.max(least.factor_90);
                }
                narrowest = Some(own.clone());
                strata.insert(stratum(kind, mixture, seen), own);
            }
        }
    }
    Intervals { stratum: strata }
}

/// Half-widths that the other groups give.
pub fn intervals_without(
    observations: &Observations,
    held_out: &[HeldOut],
    group: usize,
) -> Intervals {
    let others: Vec<HeldOut> = held_out
        .iter()
        .filter(|one| observations.all[one.observation].group != group)
        .copied()
        .collect();
    intervals(observations, &others)
}

fn groups(observations: &Observations, rows: &[&HeldOut]) -> usize {
    by_group(observations, rows).len()
}

fn by_group(observations: &Observations, rows: &[&HeldOut]) -> BTreeMap<usize, Vec<f64>> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for one in rows {
        groups.entry(observations.all[one.observation].group).or_default().push(one.error);
    }
    groups
}

fn widths(observations: &Observations, rows: &[&HeldOut]) -> Stratum {
    let groups = by_group(observations, rows);
    let mut weighted: Vec<(f64, f64)> = groups
        .values()
        .flat_map(|errors| {
            let weight = (errors.len() as f64).powf(-0.5);
            errors.iter().map(move |error| (error.abs(), weight))
        })
        .collect();
    weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let whole: f64 = weighted.iter().map(|one| one.1).sum();
    let quantile = |share: f64| {
        let mut sum = 0.0;
        let found = weighted.iter().find(|(_, weight)| {
            sum += weight;
            sum >= share * whole
        });
        round(found.map_or(0.0, |one| one.0).exp())
    };
    let all: f64 = groups.values().flatten().map(|error| error * error).sum();
    let together: f64 = groups
        .values()
        .map(|errors| {
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            mean * mean * errors.len() as f64
        })
        .sum();
    Stratum {
        rows: rows.len() as u32,
        groups: groups.len() as u32,
        factor_50: quantile(0.5),
        factor_80: quantile(0.8),
        factor_90: quantile(0.9),
        common: if all > 0.0 { round(together / all) } else { 0.0 },
    }
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
