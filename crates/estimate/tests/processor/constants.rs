//! What a host's CPU can do: the constants are what the measured rows say, and the rows are met.

use std::collections::BTreeMap;
use std::fmt::Write;

use localrig_estimate::calibration::Calibration;
use localrig_estimate::offload::batch;
use localrig_estimate::parameter::{Constants, Parameter};

use crate::{BatchRow, CATALOG, SpeedRow, rows};

fn constants() -> Constants {
    Calibration::prior(CATALOG.priors().unwrap()).unwrap().general()
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2])
}

#[test]
fn weights_are_read_with_the_share_that_generation_says() {
    let rows = rows::<SpeedRow>("measured/processor_speed.csv");
    let own = rows.iter().filter(|row| row.test == "tg" && row.depth == 0);
    let share = |row: &SpeedRow| {
        row.avg_ts * row.active_bytes_per_token / f64::midpoint(row.before, row.after) / 1e9
    };
    let share = median(own.map(share));
    assert!(
        (constants()[Parameter::HostRead] - (share * 100.0).round() / 100.0).abs() < 1e-9,
        "{share}"
    );
}

/// Hidden width, and multiply-adds of attention in all layers for each position a query sees: Llama and
/// Qwen2 shapes with a vocabulary of 32,000.
const SHAPES: [(&str, f64, f64); 4] = [
    ("d135m", 576.0, 30.0 * 2.0 * 9.0 * 64.0),
    ("d500m", 896.0, 24.0 * 2.0 * 14.0 * 64.0),
    ("d1b", 2048.0, 16.0 * 2.0 * 32.0 * 64.0),
    ("d3b", 3072.0, 28.0 * 2.0 * 24.0 * 128.0),
];

#[test]
fn attention_of_prompts_is_what_tells_small_models_from_large_ones() {
    let rows = rows::<SpeedRow>("measured/processor_speed.csv");
    // Arithmetic of a core in the products of each row, by format, when attention runs at `rate`.
    let spread = |rate: f64| {
        let mut by_format: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.test == "pp") {
            let Some((_, hidden, pairs)) = SHAPES.iter().find(|one| one.0 == row.model) else {
                continue;
            };
            let attention = 2.0 * pairs * row.n_prompt as f64 / 2.0 / (rate * 1e9);
            let time = f64::from(row.threads) / row.avg_ts - attention;
            let products = 2.0 * (row.params_active - 32_000.0 * hidden);
            by_format.entry(&row.quant).or_default().push((products / time).ln());
        }
        by_format
            .values()
            .flat_map(|all| {
                let middle = median(all.iter().copied());
                all.iter().map(move |one| (one - middle).abs())
            })
            .sum::<f64>()
    };
    let rates = (5..=100).map(f64::from);
    let best = rates.min_by(|a, b| spread(*a).total_cmp(&spread(*b))).unwrap();
    assert!((constants()[Parameter::HostPromptAttention] - best).abs() < 1e-9, "{best}");
}

#[test]
fn arithmetic_of_a_core_is_what_prompts_say() {
    let rows = rows::<SpeedRow>("measured/processor_speed.csv");
    let core = |mixture: bool| {
        let own = rows.iter().filter(|row| row.test == "pp");
        let own = own.filter(|row| row.model.starts_with("moe") == mixture);
        median(own.map(|row| 2.0 * row.params_active * row.avg_ts / f64::from(row.threads) / 1e9))
    };
    let constants = constants();
    let near = |parameter, value: f64| (constants[parameter] - value).abs() < 1e-9;
    assert!(near(Parameter::HostCore, core(false).round()), "{}", core(false));
    let experts = core(true) / core(false);
    assert!(near(Parameter::HostExperts, (experts * 100.0).round() / 100.0), "{experts}");
}

/// One model's batches: what a single stream and a column of a prompt take, and each batch.
struct Curve {
    name: String,
    reading: f64,
    column: f64,
    steps: Vec<[f64; 2]>,
}

fn curves() -> Vec<Curve> {
    let mut of: BTreeMap<String, Vec<BatchRow>> = BTreeMap::new();
    for row in rows::<BatchRow>("measured/processor_batch.csv") {
        of.entry(format!("{} {}", row.model, row.quant)).or_default().push(row);
    }
    let curve = |(name, rows): (String, Vec<BatchRow>)| {
        let step = |row: &BatchRow| row.n_parallel as f64 / row.tg_tok_s_total;
        let single = rows.iter().find(|row| row.n_parallel == 1).unwrap();
        Curve {
            reading: step(single),
            column: 1.0 / median(rows.iter().map(|row| row.pp_tok_s)),
            steps: rows
                .iter()
                .filter(|row| row.n_parallel > 1)
                .map(|row| [row.n_parallel as f64, step(row)])
                .collect(),
            name,
        }
    };
    of.into_iter().map(curve).collect()
}

/// Logarithmic errors of a curve's steps.
fn errors(curve: &Curve, constants: &Constants) -> Vec<f64> {
    let error = |[streams, step]: &[f64; 2]| {
        (batch(curve.reading, curve.column, constants, *streams) / step).ln()
    };
    curve.steps.iter().map(error).collect()
}

/// The two constants of a batch, in steps of 0.05, that leave the least error in sum.
fn fit(curves: &[&Curve]) -> Constants {
    let grid = |from: u32, to: u32| (from..=to).map(|step| f64::from(step) * 0.05);
    let mut best = (f64::INFINITY, constants());
    for read in grid(20, 40) {
        for column in grid(4, 60) {
            let constants = constants_with(best.1, read, column);
            let sum: f64 =
                curves.iter().flat_map(|curve| errors(curve, &constants)).map(f64::abs).sum();
            if sum < best.0 - 1e-12 {
                best = (sum, constants);
            }
        }
    }
    best.1
}

fn constants_with(mut constants: Constants, read: f64, column: f64) -> Constants {
    constants[Parameter::HostBatchRead] = read;
    constants[Parameter::HostBatchColumn] = column;
    constants
}

#[test]
fn batches_cost_what_measured_ones_say() {
    let (curves, own) = (curves(), constants());
    let all = fit(&curves.iter().collect::<Vec<_>>());
    for parameter in [Parameter::HostBatchRead, Parameter::HostBatchColumn] {
        assert!((own[parameter] - all[parameter]).abs() < 1e-9, "{parameter:?} {}", all[parameter]);
    }
    // Each model predicted by the others.
    let mut table = String::new();
    for curve in &curves {
        let others = curves.iter().filter(|other| other.name != curve.name);
        let others = fit(&others.collect::<Vec<_>>());
        write!(table, "{:<12}", curve.name).unwrap();
        for (error, [streams, _]) in errors(curve, &others).iter().zip(&curve.steps) {
            write!(table, "  x{streams:<2} {:+5.0} %", error.exp_m1() * 100.0).unwrap();
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table, @"
    d1b Q4_0      x2     +2 %  x4    -10 %  x8    -20 %  x16    +3 %
    d1b Q8_0      x2     +2 %  x4    +13 %  x8    +14 %  x16    +7 %
    d500m Q4_0    x2    +18 %  x4     -6 %  x8    -15 %  x16    +6 %
    moe64x Q4_0   x2     -2 %  x4     -4 %  x8    -12 %  x16    -5 %
    ");
}
