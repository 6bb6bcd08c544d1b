//! How good models are at a task: one scale from many benchmarks.
//!
//! Scores of different benchmarks, scaffolds and reporters do not compare, so each such group gets
//! its own offset and slope and only differences inside a group count:
//!
//! ```text
//! logit(score) = offset(group) + slope(group) * ability(model)
//! ```
//!
//! fitted by alternating least squares with priors (slope near 1, ability near the mean). Makers'
//! own scores form groups of their own with half the weight, because they run up to twice as high
//! as independent ones. The ability is shown as an index from 0 to 100: the score to expect on the
//! average benchmark, 50 = the mean of all scored models. A model with one score has a wide
//! interval and ranks by the lower end of it.

use std::collections::BTreeMap;

use localrig_facts::quality::{Reporter, ScoreRow};
use localrig_facts::{Basis, Catalog, CatalogError, Estimate};
use serde::Serialize;

/// What is known of a model's ability at a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ability {
    /// Index from 0 to 100 with its 80 % interval.
    pub index: Estimate<f64>,
    /// Groups of scores it rests on.
    pub groups: u32,
    /// How many of them are independent.
    pub independent: u32,
}

/// Prior weight of a slope of 1, in rows.
const SLOPE_PRIOR: f64 = 3.0;

/// Prior weight of the mean ability, in rows.
const ABILITY_PRIOR: f64 = 0.5;

/// Weight of a maker's own score.
const VENDOR_WEIGHT: f64 = 0.5;

/// Spread of a score around its group's line, in logits: the median residual of the fit.
const RESIDUAL: f64 = 0.45;

/// Half-width of an 80 % interval in standard deviations.
const EIGHTY: f64 = 1.2816;

struct Group {
    weight: f64,
    vendor: bool,
    /// Best score of each model, as logit.
    scores: Vec<(usize, f64)>,
    offset: f64,
    slope: f64,
}

/// The ability of every model that has scores for the task, by model id without `model/`.
///
/// # Errors
/// When the score rows or the task list do not parse, or no task has this name.
pub fn abilities(catalog: &Catalog, task: &str) -> Result<BTreeMap<String, Ability>, CatalogError> {
    let task =
        catalog.tasks()?.iter().find(|one| one.name == task).ok_or_else(|| {
            CatalogError::Missing { id: format!("quality/task.toml: task {task}") }
        })?;
    let rows = catalog.scores()?;
    let mut names: Vec<&str> = rows.iter().map(|row| row.model.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut groups = group(rows, &names, |benchmark| task.weight(benchmark));
    let abilities = fit(&mut groups, names.len());
    Ok(names
        .iter()
        .enumerate()
        .filter_map(|(model, name)| {
            let own: Vec<&Group> = groups
                .iter()
                .filter(|group| group.scores.iter().any(|(other, _)| *other == model))
                .collect();
            if own.is_empty() {
                return None;
            }
            let information: f64 =
                own.iter().map(|group| group.weight * group.slope * group.slope).sum();
            let sd = RESIDUAL / (information + ABILITY_PRIOR).sqrt();
            let ability = abilities[model];
            let ability = Ability {
                index: Estimate {
                    value: index(ability),
                    low: index(ability - EIGHTY * sd),
                    high: index(ability + EIGHTY * sd),
                    basis: Basis::Modelled,
                },
                groups: own.len() as u32,
                independent: own.iter().filter(|group| !group.vendor).count() as u32,
            };
            Some(((*name).to_owned(), ability))
        })
        .collect())
}

/// Logit to a share of 100.
fn index(ability: f64) -> f64 {
    100.0 / (1.0 + (-ability).exp())
}

fn group(rows: &[ScoreRow], names: &[&str], weight: impl Fn(&str) -> f64) -> Vec<Group> {
    let mut found: BTreeMap<(&str, String), BTreeMap<usize, f64>> = BTreeMap::new();
    for row in rows {
        // Elo ratings are on another scale.
        if weight(&row.benchmark) <= 0.0 || row.benchmark.contains("elo") {
            continue;
        }
        let setting = match row.reported_by {
            Reporter::Vendor => String::from("(vendor)"),
            // What stands in brackets differs from row to row of one harness.
            Reporter::Independent => {
                let setting = row.setting.as_deref().unwrap_or_default();
                setting.split(" [").next().unwrap_or_default().to_owned()
            }
        };
        let Ok(model) = names.binary_search(&row.model.as_str()) else { continue };
        let share = row.score.clamp(0.8, 99.2) / 100.0;
        let logit = (share / (1.0 - share)).ln();
        // Of several efforts the best counts: that is how one would run the model.
        let best = found
            .entry((row.benchmark.as_str(), setting))
            .or_default()
            .entry(model)
            .or_insert(f64::NEG_INFINITY);
        *best = best.max(logit);
    }
    found
        .into_iter()
        .filter(|(_, scores)| scores.len() > 1)
        .map(|((benchmark, setting), scores)| {
            let vendor = setting == "(vendor)";
            Group {
                weight: weight(benchmark) * if vendor { VENDOR_WEIGHT } else { 1.0 },
                vendor,
                scores: scores.into_iter().collect(),
                offset: 0.0,
                slope: 1.0,
            }
        })
        .collect()
}

/// Alternates between the groups' lines and the models' abilities until neither moves.
fn fit(groups: &mut [Group], models: usize) -> Vec<f64> {
    let mut abilities = vec![0.0; models];
    for _ in 0..500 {
        for group in groups.iter_mut() {
            line(group, &abilities);
        }
        let mut sums = vec![(0.0, 0.0); models];
        for group in groups.iter() {
            for (model, logit) in &group.scores {
                sums[*model].0 += group.weight * group.slope * (logit - group.offset);
                sums[*model].1 += group.weight * group.slope * group.slope;
            }
        }
        let scored = sums.iter().filter(|(_, information)| *information > 0.0).count() as f64;
        let mut next: Vec<f64> =
            sums.iter().map(|(sum, information)| sum / (information + ABILITY_PRIOR)).collect();
        let mean: f64 = next.iter().sum::<f64>() / scored.max(1.0);
        for (ability, (_, information)) in next.iter_mut().zip(&sums) {
            if *information > 0.0 {
                *ability -= mean;
            }
        }
        let moved = next.iter().zip(&abilities).map(|(a, b): (&f64, &f64)| (a - b).abs());
        let moved = moved.fold(0.0, f64::max);
        abilities = next;
        if moved < 1e-6 {
            break;
        }
    }
    abilities
}

/// The line of one group through its models, the slope pulled towards 1.
fn line(group: &mut Group, abilities: &[f64]) {
    let count = group.scores.len() as f64;
    let mean_x = group.scores.iter().map(|(model, _)| abilities[*model]).sum::<f64>() / count;
    let mean_y = group.scores.iter().map(|(_, logit)| logit).sum::<f64>() / count;
    let (mut xy, mut xx) = (SLOPE_PRIOR, SLOPE_PRIOR);
    for (model, logit) in &group.scores {
        let x = abilities[*model] - mean_x;
        xy += x * (logit - mean_y);
        xx += x * x;
    }
    group.slope = xy / xx;
    group.offset = mean_y - group.slope * mean_x;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(model: &str, benchmark: &str, score: f64, reported_by: Reporter) -> ScoreRow {
        ScoreRow {
            model: model.to_owned(),
            benchmark: benchmark.to_owned(),
            score,
            setting: None,
            effort: None,
            format: None,
            reported_by,
            date: None,
            url: "https://example.org".to_owned(),
        }
    }

    fn ranked(rows: &[ScoreRow]) -> Vec<(String, f64)> {
        let mut names: Vec<&str> = rows.iter().map(|row| row.model.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut groups = group(rows, &names, |_| 1.0);
        let abilities = fit(&mut groups, names.len());
        let mut ranked: Vec<_> =
            names.iter().zip(abilities).map(|(name, one)| ((*name).to_owned(), one)).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked
    }

    #[test]
    fn a_makers_higher_scores_do_not_lift_its_model_above_an_independent_result() {
        let rows = [
            row("a", "bench", 60.0, Reporter::Independent),
            row("b", "bench", 40.0, Reporter::Independent),
            row("c", "bench", 20.0, Reporter::Independent),
            row("b", "bench", 80.0, Reporter::Vendor),
            row("c", "bench", 70.0, Reporter::Vendor),
        ];
        let order: Vec<String> = ranked(&rows).into_iter().map(|(name, _)| name).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }

    #[test]
    fn a_hard_benchmark_does_not_count_against_those_who_took_it() {
        let rows = [
            row("a", "hard", 20.0, Reporter::Independent),
            row("b", "hard", 10.0, Reporter::Independent),
            row("b", "easy", 90.0, Reporter::Independent),
            row("c", "easy", 80.0, Reporter::Independent),
        ];
        let order: Vec<String> = ranked(&rows).into_iter().map(|(name, _)| name).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
