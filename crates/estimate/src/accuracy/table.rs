//! Errors by what rows have in common.

use std::collections::BTreeMap;

use localrig_facts::measured::Phase;

use super::About;

/// A prediction beside its measurement, in logarithms.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// What the row is about.
    pub about: About,
    /// Logarithm of predicted over measured.
    pub error: f64,
    /// Logarithm of the interval's half-width.
    pub half_width: f64,
    /// The same for the bandwidth rule.
    pub bandwidth_rule: f64,
    /// The same for llmfit's formula.
    pub llmfit: f64,
}

/// Errors of rows that have something in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What they have in common: `decode`, `decode, mixture`.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Median absolute error in percent.
    pub median: f64,
    /// 90th percentile of it.
    pub p90: f64,
    /// Share of rows inside their 80 % interval, in percent.
    pub coverage: f64,
    /// Median error of the bandwidth rule.
    pub bandwidth_rule: f64,
    /// Median error of llmfit's formula.
    pub llmfit: f64,
}

/// The table: by phase, and within a phase by kind of model, engine, hardware, depth, streams.
pub fn table(scores: &[Score]) -> Vec<Line> {
    let mut lines = Vec::new();
    for phase in [Phase::Decode, Phase::Prefill] {
        let of_phase: Vec<&Score> = scores.iter().filter(|one| one.about.phase == phase).collect();
        if of_phase.is_empty() {
            continue;
        }
        lines.push(line(phase.word().to_owned(), &of_phase));
        let cuts: [fn(&About) -> String; 5] = [
            |about| about.model.clone(),
            |about| about.engine.clone(),
            |about| about.hardware.clone(),
            |about| format!("depth {}", range(about.depth, &[0.0, 4096.0, 16384.0, 65536.0])),
            |about| format!("streams {}", range(about.streams, &[1.0, 4.0, 16.0, 64.0])),
        ];
        for cut in cuts {
            let mut parts: BTreeMap<String, Vec<&Score>> = BTreeMap::new();
            for one in &of_phase {
                parts.entry(cut(&one.about)).or_default().push(one);
            }
            for (name, part) in parts {
                lines.push(line(format!("{}, {name}", phase.word()), &part));
            }
        }
    }
    lines
}

/// The range between two bounds that a value lies in; each bound belongs to what is below it.
fn range(value: f64, bounds: &[f64]) -> String {
    match bounds.iter().position(|bound| value <= *bound) {
        Some(0) => format!("{:.0}", bounds[0]),
        Some(index) => format!("{:.0} to {:.0}", bounds[index - 1] + 1.0, bounds[index]),
        None => format!("over {:.0}", bounds[bounds.len() - 1]),
    }
}

fn line(name: String, scores: &[&Score]) -> Line {
    let percent = |errors: Vec<f64>, share| quantile(errors, share);
    let own = || scores.iter().map(|one| one.error).collect::<Vec<_>>();
    let inside = scores.iter().filter(|one| one.error.abs() <= one.half_width).count();
    Line {
        name,
        rows: scores.len(),
        median: percent(own(), 0.5),
        p90: percent(own(), 0.9),
        coverage: 100.0 * inside as f64 / scores.len() as f64,
        bandwidth_rule: percent(scores.iter().map(|one| one.bandwidth_rule).collect(), 0.5),
        llmfit: percent(scores.iter().map(|one| one.llmfit).collect(), 0.5),
    }
}

/// A quantile of absolute relative errors in percent, from logarithms.
pub(super) fn quantile(errors: Vec<f64>, share: f64) -> f64 {
    let mut all: Vec<f64> = errors.into_iter().map(|error| (error.exp() - 1.0).abs()).collect();
    all.sort_by(f64::total_cmp);
    let last = all.len().saturating_sub(1) as f64;
    all.get((share * last).round() as usize).map_or(f64::NAN, |value| value * 100.0)
}
