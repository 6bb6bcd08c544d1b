//! The user's own measurements: what a few rows say of one stack, on top of everybody else's.
//!
//! Maximum a posteriori of the constants that a few runs can tell (bandwidth share, cost of a
//! layer, KV share, matrix and attention share), with the published constants as the prior. One
//! measurement takes a quarter off the held-out error, five take half (15.6 % to 11.5 % to 7.7 %).

use std::collections::BTreeMap;

use localrig_facts::calibration::{Differences, Fitted, Priors, Spread};
use localrig_facts::measured::SpeedRow;
use localrig_facts::{Catalog, CatalogError};

use super::{Observations, Problem, SCALE};
use crate::calibration::{Calibration, Level};

/// Steps of the update: it starts close to its end.
const STEPS: usize = 12;

/// Minor versions after which a measurement of an older build is no longer used.
const EXPIRED: f64 = 6.0;

/// What the user's rows say, as the file `calibration/own.toml` keeps it: differences of units, and
/// how many rows each rests on. Rows of older engine versions count less, and those of much older
/// ones not at all; `left_out` says which rows were not used and why.
///
/// # Errors
/// When the catalog's calibration cannot be read.
pub fn own(
    catalog: &Catalog,
    rows: &[SpeedRow],
) -> Result<(Fitted, Vec<(String, String)>), CatalogError> {
    let priors = catalog.priors()?;
    let mut observations = Observations::new(catalog, rows);
    let mut newest: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for row in rows {
        let version = version(&row.engine_version);
        let known = newest.entry(row.engine.as_str()).or_default();
        if version > *known {
            *known = version;
        }
    }
    let noise = priors.local.noise;
    let mut left_out = std::mem::take(&mut observations.left_out);
    observations.all.retain_mut(|one| {
        let row = &rows[one.row];
        let age = newest
            .get(row.engine.as_str())
            .map_or(0.0, |latest| minor_versions(&version(&row.engine_version), latest));
        let spread = noise.hypot(priors.local.aging * age);
        // The fit's loss is scaled for other people's rows; the user's own are less noisy.
        one.weight = (SCALE / spread).powi(2);
        if age >= EXPIRED {
            left_out.push((row.row_id.clone(), "measured with a much older build".to_owned()));
        }
        age < EXPIRED
    });
    if observations.all.is_empty() {
        return Ok((Fitted::default(), left_out));
    }
    let mut of_unit = Priors { parameters: priors.parameters.clone(), ..priors.clone() };
    for (name, prior) in &mut of_unit.parameters {
        let unit = priors.local.sd.get(name).copied().unwrap_or(0.0);
        prior.sd = Spread { unit, ..Spread::default() };
    }
    let base = Calibration::published(catalog)?;
    let problem = Problem::with_base(base, &of_unit, &observations);
    let solution = problem.solve(&vec![0.0; problem.unknowns()], &|_| false, STEPS);
    let mut fitted = problem.fitted(&solution);
    let level = Level::Unit.key();
    fitted.level.retain(|one, _| one == level);
    let units = fitted.level.entry(level.to_owned()).or_default();
    units.retain(|_, own: &mut Differences| own.decode_rows + own.prefill_rows > 0);
    Ok((fitted, left_out))
}

/// The numbers in a version: `0.24.1` → 0, 24, 1; `b7941 (11fb327)` → 7941.
fn version(text: &str) -> Vec<u64> {
    let first =
        text.split([' ', '(', '+']).find(|word| word.contains(|c: char| c.is_ascii_digit()));
    let numbers = first.unwrap_or_default().split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// llama.cpp numbers every build; about this many make what others call a minor version.
const BUILDS_PER_MINOR: f64 = 300.0;

/// Minor versions between two versions; a new major version counts as expired.
fn minor_versions(old: &[u64], new: &[u64]) -> f64 {
    match (old, new) {
        ([old], [new]) => (*new as f64 - *old as f64).max(0.0) / BUILDS_PER_MINOR,
        ([a, old, ..], [b, new, ..]) if a == b => (*new as f64 - *old as f64).max(0.0),
        ([_, _, ..], [_, _, ..]) => EXPIRED,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_minor_number() {
        let between = |a: &str, b: &str| minor_versions(&version(a), &version(b));
        assert!((between("0.24.1", "0.27.0") - 3.0).abs() < 1e-12);
        assert!((between("b7000", "b7600") - 2.0).abs() < 1e-12);
        assert!(between("0.9", "1.0") >= EXPIRED);
        assert!(between("", "0.27.0") < 1e-12);
    }
}
