//! One Gauss-Newton step: derivatives, normal equations, Cholesky.

use super::{Observation, Problem, SCALE, SECOND};
use crate::parameter::Parameter;

/// Step of the numeric derivatives, in the logarithm of a constant.
const NUDGE: f64 = 1e-4;

/// The change that a step makes to every unknown.
pub(super) fn solve(
    problem: &Problem<'_>,
    solution: &[f64],
    held_out: &dyn Fn(&Observation) -> bool,
) -> Vec<f64> {
    let mut system = System::new(&firsts(problem));
    for (index, value) in solution.iter().enumerate() {
        let precision = problem.unknowns[index].precision();
        system.add_diagonal(index, precision);
        system.right[index] -= precision * value;
    }
    let all = problem.constants(solution);
    let mut derivatives: Vec<(usize, f64)> = Vec::new();
    for (index, one) in problem.observations.all.iter().enumerate() {
        if held_out(one) || one.weight <= 0.0 {
            continue;
        }
        let site = problem.site_of[index];
        let mut constants = all[site];
        let columns = &problem.columns[site];
        let (total, between) = problem.predicted(index, &constants);
        let second = one.between_tokens.map(|measured| between - measured);
        let residuals = [
            Some((total - one.measured, one.weight)),
            second.map(|residual| (residual, one.weight * SECOND)),
        ];
        let mut slopes = [[0.0; Parameter::COUNT]; 2];
        for (parameter, own) in columns.iter().enumerate() {
            if own.is_empty() {
                continue;
            }
            let before = constants.0[parameter];
            constants.0[parameter] = before * NUDGE.exp();
            let (moved, moved_between) = problem.predicted(index, &constants);
            constants.0[parameter] = before;
            slopes[0][parameter] = (moved - total) / NUDGE;
            slopes[1][parameter] = (moved_between - between) / NUDGE;
        }
        for (residual, slopes) in residuals.iter().zip(&slopes) {
            let Some((residual, weight)) = residual else { continue };
            derivatives.clear();
            for (parameter, own) in columns.iter().enumerate() {
                let slope = slopes[parameter];
                if slope.abs() > 1e-7 {
                    derivatives.extend(own.iter().map(|column| (*column, slope)));
                }
            }
            derivatives.sort_unstable_by_key(|(column, _)| *column);
            let scaled = residual / SCALE;
            let robust = weight / (1.0 + scaled * scaled).sqrt() / (SCALE * SCALE);
            system.add(&derivatives, robust, *residual);
        }
    }
    system.solve()
}

/// The first column that each row of the system may have an entry in: unknowns meet where they hold
/// for the same site.
fn firsts(problem: &Problem<'_>) -> Vec<usize> {
    let mut firsts: Vec<usize> = (0..problem.unknowns.len()).collect();
    for site in &problem.columns {
        let own = || site.iter().flatten().copied();
        if let Some(least) = own().min() {
            for column in own() {
                firsts[column] = firsts[column].min(least);
            }
        }
    }
    firsts
}

/// Normal equations `A x = b`: the lower triangle of `A` by rows, from each row's first entry on.
/// Unknowns of few sites come first, so most rows are short and stay so (George and Liu 1981,
/// chapter 4: the profile of a matrix holds its Cholesky factor).
struct System {
    rows: Vec<Row>,
    right: Vec<f64>,
}

/// A row from column `first` to the diagonal.
#[derive(Clone, Debug)]
struct Row {
    first: usize,
    values: Vec<f64>,
}

impl System {
    fn new(firsts: &[usize]) -> Self {
        let row = |(index, first): (usize, &usize)| Row {
            first: *first,
            values: vec![0.0; index + 1 - first],
        };
        Self { rows: firsts.iter().enumerate().map(row).collect(), right: vec![0.0; firsts.len()] }
    }

    fn add_diagonal(&mut self, index: usize, value: f64) {
        if let Some(last) = self.rows[index].values.last_mut() {
            *last += value;
        }
    }

    /// Adds a weighted residual with its derivatives, sorted by column.
    fn add(&mut self, derivatives: &[(usize, f64)], weight: f64, residual: f64) {
        for (place, (row, slope)) in derivatives.iter().enumerate() {
            let scaled = weight * slope;
            self.right[*row] -= scaled * residual;
            let into = &mut self.rows[*row];
            for (column, other) in &derivatives[..=place] {
                into.values[column - into.first] += scaled * other;
            }
        }
    }

    /// Cholesky: priors make the matrix positive definite.
    fn solve(mut self) -> Vec<f64> {
        let count = self.rows.len();
        for index in 0..count {
            let (above, rest) = self.rows.split_at_mut(index);
            let row = &mut rest[0];
            for (column, other) in above.iter().enumerate().skip(row.first) {
                let from = row.first.max(other.first);
                let known = if from < column {
                    dot(
                        &other.values[from - other.first..column - other.first],
                        &row.values[from - row.first..column - row.first],
                    )
                } else {
                    0.0
                };
                let pivot = other.values[column - other.first];
                let entry = &mut row.values[column - row.first];
                *entry = (*entry - known) / pivot;
            }
            let length = row.values.len() - 1;
            let known = dot(&row.values[..length], &row.values[..length]);
            row.values[length] = (row.values[length] - known).max(1e-12).sqrt();
        }
        let mut x = self.right;
        for (index, row) in self.rows.iter().enumerate() {
            let length = row.values.len() - 1;
            let known = dot(&row.values[..length], &x[row.first..index]);
            x[index] = (x[index] - known) / row.values[length];
        }
        for (index, row) in self.rows.iter().enumerate().rev() {
            let length = row.values.len() - 1;
            x[index] /= row.values[length];
            let value = x[index];
            for (into, factor) in x[row.first..index].iter_mut().zip(&row.values) {
                *into -= factor * value;
            }
        }
        x
    }
}

/// Eight sums side by side, so that the compiler can use vector instructions; the order of
/// additions is fixed.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (x, y) in whole_a.iter().zip(whole_b) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}
