//! What many runs say together: speeds by role, what the devices did, and how sure that is.
//!
//! Two kinds of spread are kept apart: replicates differ in the draws of the workload, model draws
//! in how far off the speed model may be.

use std::ops::{Div, Mul};

use localrig_facts::unit::{Joules, Seconds, Tokens, TokensPerSec, Watts};
use rayon::prelude::*;
use serde::Serialize;

use crate::histogram::Histogram;
use crate::meter::RoleCount;
use crate::random::{Quantity, Stream};
use crate::run::{Run, run};
use crate::scenario::Scenario;
use crate::time::Nanos;
use crate::workload::Workload;

/// How often a workload is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Seed of all random numbers.
    pub seed: u64,
    /// Runs with other draws of the workload.
    pub replicates: u32,
    /// Runs with other draws of the errors of the speed model.
    pub models: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, replicates: 20, models: 20 }
    }
}

/// A figure with its two kinds of spread, each the range that holds 80 % of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure<Q> {
    /// Over all replicates.
    pub value: Q,
    /// Spread over replicates: the workload itself differs from hour to hour.
    pub workload: [Q; 2],
    /// Spread over model draws: the speed model may be off.
    pub model: [Q; 2],
}

/// Percentiles of durations in seconds; `None` when nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Mean.
    pub mean: Option<Seconds>,
    /// Median.
    pub p50: Option<Seconds>,
    /// 95th percentile.
    pub p95: Option<Seconds>,
    /// 99th percentile.
    pub p99: Option<Seconds>,
}

/// What a simulation says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationAnswer {
    /// Name of the workload.
    pub workload: String,
    /// Seed.
    pub seed: u64,
    /// Replicates.
    pub replicates: u32,
    /// Model draws.
    pub model_draws: u32,
    /// Simulated time that was counted, of one replicate on average.
    pub window_s: Seconds,
    /// By role, in the order of the workload.
    pub roles: Vec<RoleAnswer>,
    /// By engine.
    pub servers: Vec<ServerAnswer>,
    /// By device.
    pub devices: Vec<DeviceAnswer>,
    /// Energy of all devices per output token; absent when a power is not known.
    pub energy_per_token_j: Option<Joules>,
    /// Steps simulated in all.
    pub steps: u64,
}

/// What a role gets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleAnswer {
    /// The role.
    pub role: String,
    /// Engines that serve it.
    pub servers: Vec<String>,
    /// Streams at the same time; absent for requests that come by themselves.
    pub streams: Option<u32>,
    /// Requests answered in one replicate, on average.
    pub answered: f64,
    /// Requests given up because they do not fit the cache, of all replicates.
    pub refused: u64,
    /// Speed of a stream after its first token, median answer; absent when nothing was answered.
    pub tok_per_s: Option<Figure<TokensPerSec>>,
    /// … of the slowest answer in twenty.
    pub tok_per_s_p5: Option<TokensPerSec>,
    /// … of the slowest answer in a hundred.
    pub tok_per_s_p1: Option<TokensPerSec>,
    /// Tokens generated per second of all streams together, pauses included.
    pub total_tok_per_s: Figure<TokensPerSec>,
    /// Time to the first token.
    pub ttft_s: Percentiles,
    /// Its median with its spread.
    pub ttft_p50_s: Option<Figure<Seconds>>,
    /// Gaps between tokens.
    pub itl_s: Percentiles,
    /// Share of answers within the role's limits.
    pub goodput_share: Option<f64>,
    /// Answers within the limits per second.
    pub goodput_per_s: f64,
    /// Share of prompt tokens that were in the cache.
    pub cache_hit_share: Option<f64>,
    /// When more comes than can be done, what could: then waiting times mean nothing.
    pub saturated: Option<Saturated>,
}

/// More comes than can be done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Saturated {
    /// Requests per second that come.
    pub offered_per_s: f64,
    /// Requests per second that can be answered.
    pub sustainable_per_s: f64,
}

/// What an engine did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerAnswer {
    /// The engine with its model.
    pub server: String,
    /// Names of its devices.
    pub devices: Vec<String>,
    /// Most tokens of cache it used in any replicate.
    pub cache_high_water_tokens: u64,
    /// Tokens its cache holds.
    pub cache_tokens: u64,
    /// Sequences that lost their cache, per replicate.
    pub preemptions: f64,
    /// Times its model was loaded, per replicate.
    pub loads: f64,
}

/// What a device did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceAnswer {
    /// The device.
    pub device: String,
    /// Share of the time it was busy.
    pub busy_share: f64,
    /// Whether its power is that of the whole machine at the wall; else it is the device's own.
    pub at_wall: bool,
    /// Mean power, if known.
    pub power_w: Option<f64>,
    /// Power while it is busy, if known.
    pub busy_w: Option<Watts>,
}

/// Runs a workload often enough to say how it goes.
pub fn simulate(scenario: &Scenario, workload: &Workload, options: Options) -> SimulationAnswer {
    let replicates: Vec<Run> = (0..u64::from(options.replicates.max(1)))
        .into_par_iter()
        .map(|replicate| run(scenario, workload, options.seed, replicate, None))
        .collect();
    // The n-th draw meets the n-th replicate's requests, against which it is held.
    let models: Vec<Run> = (0..u64::from(options.models))
        .into_par_iter()
        .map(|draw| {
            let replicate = draw % u64::from(options.replicates.max(1));
            run(&drawn(scenario, options.seed, draw), workload, options.seed, replicate, None)
        })
        .collect();
    let roles = workload.roles.iter().enumerate().map(|(index, role)| {
        let servers = scenario.routes[index]
            .iter()
            .map(|one| scenario.servers[*one as usize].label.clone())
            .collect();
        role_answer(&role.name, role.streams(), servers, index, &replicates, &models, scenario)
    });
    let roles: Vec<RoleAnswer> = roles.collect();
    let count = replicates.len() as f64;
    let window: f64 = replicates.iter().map(|one| one.window.seconds().get()).sum();
    let devices = devices(scenario, &replicates, window);
    let tokens: u64 =
        replicates.iter().flat_map(|one| &one.meter.roles).map(|role| role.output_tokens).sum();
    let power: Option<f64> = devices.iter().map(|device| device.power_w).sum();
    SimulationAnswer {
        workload: workload.name.clone(),
        seed: options.seed,
        replicates: options.replicates.max(1),
        model_draws: options.models,
        window_s: Seconds::new(window / count),
        servers: servers(scenario, &replicates),
        roles,
        devices,
        energy_per_token_j: power
            .filter(|_| tokens > 0)
            .map(|power| Joules::new(power * window / tokens as f64)),
        steps: replicates
            .iter()
            .chain(&models)
            .flat_map(|one| &one.servers)
            .map(|server| server.steps)
            .sum(),
    }
}

/// The scenario with other errors of the speed model: each engine's generation and prompts are
/// slower or faster by a factor whose 80 % range is the model's own. Draws come in pairs, as much
/// slower as faster, so that few of them say the same of both sides.
fn drawn(scenario: &Scenario, seed: u64, draw: u64) -> Scenario {
    /// Standard normal quantile of 90 %.
    const Z: f64 = 1.281_551_565_544_6;
    let mut drawn = scenario.clone();
    for server in &mut drawn.servers {
        let mut stream = Stream::new(seed, draw / 2, &server.label, 0, Quantity::Model);
        let sign = if draw.is_multiple_of(2) { 1.0 } else { -1.0 };
        let mut factor = |width: f64| libm::exp(sign * stream.normal() * libm::log(width) / Z);
        let uncertainty = server.steps.uncertainty;
        let (decode, prefill) = (factor(uncertainty.decode), factor(uncertainty.prefill));
        server.steps = server.steps.scaled(decode, prefill);
    }
    drawn
}

fn role_answer(
    name: &str,
    streams: Option<u32>,
    servers: Vec<String>,
    index: usize,
    replicates: &[Run],
    models: &[Run],
    scenario: &Scenario,
) -> RoleAnswer {
    let mut all = RoleCount::default();
    for one in replicates {
        all.merge(&one.meter.roles[index]);
    }
    let window: f64 = replicates.iter().map(|one| one.window.seconds().get()).sum();
    let speed = |count: &RoleCount, part| {
        count.mean_gaps.quantile(part).map(|gap: Seconds| Tokens::new(1.0) / gap)
    };
    let total = |run: &Run| {
        let tokens = run.meter.roles[index].output_tokens as f64;
        Some(Tokens::new(tokens) / run.window.seconds().max(Seconds::new(1e-9)))
    };
    let figure = |value: Option<TokensPerSec>, of: &dyn Fn(&Run) -> Option<TokensPerSec>| {
        value.map(|value| Figure {
            value,
            workload: range(replicates.iter().filter_map(of), value),
            model: range(models_over(replicates, models, of, value), value),
        })
    };
    let total_value = Tokens::new(all.output_tokens as f64) / Seconds::new(window.max(1e-9));
    let ttft = all.ttft.quantile(0.5);
    let first = |run: &Run| run.meter.roles[index].ttft.quantile(0.5);
    RoleAnswer {
        role: name.to_owned(),
        servers,
        streams,
        answered: all.answered as f64 / replicates.len() as f64,
        refused: all.refused,
        tok_per_s: figure(speed(&all, 0.5), &|run| speed(&run.meter.roles[index], 0.5)),
        tok_per_s_p5: speed(&all, 0.95),
        tok_per_s_p1: speed(&all, 0.99),
        total_tok_per_s: Figure {
            value: total_value,
            workload: range(replicates.iter().filter_map(total), total_value),
            model: range(models_over(replicates, models, &total, total_value), total_value),
        },
        ttft_s: percentiles(&all.ttft),
        ttft_p50_s: ttft.map(|value| Figure {
            value,
            workload: range(replicates.iter().filter_map(first), value),
            model: range(models_over(replicates, models, &first, value), value),
        }),
        itl_s: percentiles(&all.gaps),
        goodput_share: (all.answered > 0).then(|| all.good as f64 / all.answered as f64),
        goodput_per_s: all.good as f64 / window.max(1e-9),
        cache_hit_share: (all.prompt_tokens > 0)
            .then(|| all.cached_tokens as f64 / all.prompt_tokens as f64),
        saturated: streams
            .is_none()
            .then(|| saturated(&all, &scenario.routes[index], replicates, scenario))
            .flatten(),
    }
}

/// Whether work piles up: over all replicates the requests not answered grow in the second half by
/// more than a twentieth of those that came in it, on devices that are hardly ever idle. On others
/// a few requests more at the end than in the middle are chance.
fn saturated(
    all: &RoleCount,
    servers: &[u32],
    replicates: &[Run],
    scenario: &Scenario,
) -> Option<Saturated> {
    const GROWTH: f64 = 0.05;
    const BUSY: f64 = 0.95;
    let window: f64 = replicates.iter().map(|one| one.window.seconds().get()).sum();
    let busy = |device: u32| -> f64 {
        replicates.iter().map(|one| one.busy[device as usize].seconds().get()).sum()
    };
    let mut devices = servers.iter().flat_map(|one| &scenario.servers[*one as usize].devices);
    if !devices.any(|device| busy(*device) >= BUSY * window) {
        return None;
    }
    let of = |which: fn(&crate::run::ServerCount) -> u64| -> f64 {
        let counts = replicates
            .iter()
            .flat_map(|one| servers.iter().map(|server| which(&one.servers[*server as usize])));
        counts.sum::<u64>() as f64
    };
    let (middle, end) = (of(|count| count.outstanding_middle), of(|count| count.outstanding_end));
    let came = all.asked as f64 / 2.0;
    (end - middle > GROWTH * came + 1.0).then(|| Saturated {
        offered_per_s: all.asked as f64 / window,
        sustainable_per_s: all.answered as f64 / window,
    })
}

fn percentiles(histogram: &Histogram) -> Percentiles {
    Percentiles {
        mean: histogram.mean(),
        p50: histogram.quantile(0.5),
        p95: histogram.quantile(0.95),
        p99: histogram.quantile(0.99),
    }
}

/// What a figure would be under every draw: what the draw makes of its replicate, applied to the
/// figure. So requests that happen to come together in one replicate do not pass for errors of the
/// speed model.
fn models_over<'r, Q>(
    replicates: &'r [Run],
    models: &'r [Run],
    of: &'r dyn Fn(&Run) -> Option<Q>,
    value: Q,
) -> impl Iterator<Item = Q> + 'r
where
    Q: Copy + PartialOrd + Div<Output = f64> + Mul<f64, Output = Q> + 'r,
{
    let pairs = models.iter().zip(replicates.iter().cycle());
    pairs.filter_map(move |(model, replicate)| {
        let ratio = of(model)? / of(replicate)?;
        Some(value * ratio).filter(|_| ratio.is_finite())
    })
}

/// The range that holds 80 % of the runs; the value itself when there are none.
fn range<Q: Copy + PartialOrd>(values: impl Iterator<Item = Q>, value: Q) -> [Q; 2] {
    let mut values: Vec<Q> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let Some(last) = values.len().checked_sub(1) else { return [value; 2] };
    let at = |part: f64| values[(part * last as f64).round() as usize];
    [at(0.1), at(0.9)]
}

fn servers(scenario: &Scenario, replicates: &[Run]) -> Vec<ServerAnswer> {
    let count = replicates.len() as f64;
    let answer = |(index, server): (usize, &crate::scenario::Server)| {
        let all = || replicates.iter().map(move |one| one.servers[index]);
        ServerAnswer {
            server: server.label.clone(),
            devices: server
                .devices
                .iter()
                .map(|one| scenario.devices[*one as usize].name.clone())
                .collect(),
            cache_high_water_tokens: all().map(|one| one.high_water).max().unwrap_or(0),
            cache_tokens: server.engine.pool_tokens(),
            preemptions: all().map(|one| one.preemptions).sum::<u64>() as f64 / count,
            loads: all().map(|one| one.loads).sum::<u64>() as f64 / count,
        }
    };
    scenario.servers.iter().enumerate().map(answer).collect()
}

fn devices(scenario: &Scenario, replicates: &[Run], window: f64) -> Vec<DeviceAnswer> {
    let answer = |(index, device): (usize, &crate::scenario::DeviceFacts)| {
        let busy: Nanos =
            replicates.iter().map(|one| one.busy[index]).fold(Nanos::ZERO, |sum, one| sum + one);
        let share = busy.seconds().get() / window.max(1e-9);
        DeviceAnswer {
            device: device.name.clone(),
            busy_share: share,
            at_wall: device.at_wall,
            busy_w: device.busy,
            power_w: device
                .idle
                .zip(device.busy)
                .map(|(idle, busy)| idle.get() + share * (busy.get() - idle.get())),
        }
    };
    scenario.devices.iter().enumerate().map(answer).collect()
}
