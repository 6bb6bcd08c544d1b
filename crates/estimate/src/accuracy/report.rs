//! The accuracy table as text, and the scores it is made of.

use std::fmt::Write as _;

use super::table::quantile;
use super::{About, Judged, Line, Score, baseline, table};
use crate::fit::holdout::HeldOut;
use crate::fit::interval::{Kind, half_width, intervals_without};
use crate::fit::{Found, Observations};

/// Scores of judged rows that were measured.
pub fn scores(judged: &[Judged]) -> Vec<Score> {
    judged
        .iter()
        .filter_map(|one| {
            let (own, measured) = (one.outcome.as_ref().ok()?, one.measured?);
            Some(Score {
                about: one.about.clone(),
                error: (own.total / measured).ln(),
                half_width: (own.high / own.total).ln(),
                bandwidth_rule: (own.bandwidth_rule / measured).ln(),
                llmfit: (own.llmfit / measured).ln(),
            })
        })
        .collect()
}

/// Scores of held-out rows. Each group's intervals come from the other groups, as the constants do.
pub fn held_out_scores(observations: &Observations, held_out: &[HeldOut]) -> Vec<Score> {
    let by_group: Vec<_> = (0..observations.groups.len())
        .map(|group| intervals_without(observations, held_out, group))
        .collect();
    held_out
        .iter()
        .map(|one| {
            let own = &observations.all[one.observation];
            let case = &own.case;
            let kind = Kind::of(case.phase, case.load.streams);
            let mixture = case.work.is_mixture();
            Score {
                about: About::of(case),
                error: one.error,
                half_width: half_width(&by_group[own.group], kind, mixture, one.seen).ln(),
                bandwidth_rule: baseline::bandwidth_rule(case).ln() - own.measured,
                llmfit: baseline::llmfit(case).ln() - own.measured,
            }
        })
        .collect()
}

/// The error table in Markdown.
pub fn markdown(scores: &[Score]) -> String {
    let mut text = String::from(
        "| rows | n | median error | 90 % below | inside the 80 % interval | bandwidth rule | llmfit's formula |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for Line { name, rows, median, p90, coverage, bandwidth_rule, llmfit } in table(scores) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {name} | {rows} | {median:.1} % | {p90:.0} % | {coverage:.0} % | {bandwidth_rule:.0} % | {llmfit:.0} % |",
        );
    }
    text
}

/// Groups of rows by their median error, worst first: name, rows, median error in percent, and the
/// median of predicted over measured.
pub fn worst_groups(
    observations: &Observations,
    held_out: &[HeldOut],
) -> Vec<(String, usize, f64, f64)> {
    let mut groups: Vec<_> = (0..observations.groups.len())
        .map(|group| {
            let mut errors: Vec<f64> = held_out
                .iter()
                .filter(|one| observations.all[one.observation].group == group)
                .map(|one| one.error)
                .collect();
            errors.sort_by(f64::total_cmp);
            let middle = errors.get(errors.len() / 2).map_or(f64::NAN, |error| error.exp());
            (observations.groups[group].clone(), errors.len(), quantile(errors, 0.5), middle)
        })
        .collect();
    groups.sort_by(|a, b| b.2.total_cmp(&a.2));
    groups
}

/// Worst groups that the document names.
const WORST: usize = 15;

/// `docs/accuracy.md`: the method, the table, what is worst.
pub fn document(found: &Found, scores: &[Score]) -> String {
    let observations = &found.observations;
    let mut text = format!(
        "# How accurate the speed figures are\n\n\
         *Written by the test `calibration` of `localrig-estimate`; do not edit.*\n\n\
         {} measured rows (`catalog/measured/speed.csv`) from {} groups, a group being the rows of one \
         source on one kind of hardware. For each group the constants are fitted on all other groups \
         and the group's rows are predicted; the intervals a row is held against come from the other \
         groups as well. So the table says what to expect of a measurement by somebody new.\n\n\
         The error is |predicted / measured - 1|. The bandwidth rule is bandwidth / bytes of active \
         weights * 0.65 (prompts: a quarter of the matrix peak); llmfit's formula is that of its \
         version 1.1.18 with this catalog's facts. Neither knows depth or batches.\n\n\
         How well servers under load are foretold, request by request (closed and open loops, traces, and \
         a real llama.cpp server), is in [simulation.md](simulation.md).\n\n",
        observations.all.len(),
        observations.groups.len(),
    );
    text.push_str(&markdown(scores));
    let known = held_out_scores(observations, &found.known_stack);
    text.push_str(
        "\n## A new model on a known stack\n\nThe same with models held out instead of sources, a sixth of them at a \
         time: the stack was measured, this model was not.\n\n| rows | n | median error | 90 % below |\n\
         |---|---:|---:|---:|\n",
    );
    for Line { name, rows, median, p90, .. } in table(&known) {
        if !name.contains(" depth ") && !name.contains(" streams ") {
            let _ = writeln!(text, "| {name} | {rows} | {median:.1} % | {p90:.0} % |");
        }
    }
    text.push_str(
        "\n## Intervals\n\nAn 80 % interval is the value times and divided by this factor. `unit`: the engine \
         class was measured on this device by somebody else; `stack`: on another device of the class; \
         `unseen`: neither, \
         or far deeper or with far more streams than any row.\n\n| stratum | rows | groups | 50 % | 80 % | 90 % |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for (name, own) in &found.intervals.stratum {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {:.2} | {:.2} | {:.2} |",
            own.rows, own.groups, own.factor_50, own.factor_80, own.factor_90
        );
    }
    text.push_str(
        "\n## Worst groups\n\nSource and hardware with the largest median error while held out, and the middle of \
         predicted over measured. Far from 1 means that this stack is unlike all others: an engine or a \
         backend that no other source measured, a build much older or newer, or labels that are wrong.\n\n\
         | group | rows | median error | predicted / measured |\n|---|---:|---:|---:|\n",
    );
    let groups = worst_groups(observations, &found.held_out);
    for (name, rows, error, ratio) in groups.iter().take(WORST) {
        let _ = writeln!(text, "| {name} | {rows} | {error:.0} % | {ratio:.2} |");
    }
    text
}
