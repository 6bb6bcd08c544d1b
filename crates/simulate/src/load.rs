//! What can be said without a run: mean speeds under the whole workload, in microseconds.
//!
//! A planner looks at thousands of placements; this ranks them, and a simulation then checks the
//! ones that matter. Means only: a stream spends a cycle of its prompt, its answer and its pause;
//! how long each takes depends on how many others generate, how much time the engine spends on
//! prompts, and how often other engines want the device; and that depends on the cycles. A few
//! rounds of that settle.

use localrig_facts::unit::{Seconds, Tokens, TokensPerSec};

use crate::sharing::Sharing;
use crate::step::{StepTable, StepsAt};
use crate::workload::distribution::Distribution;
use crate::workload::{Role, Workload};

/// What one role asks of the engine that serves it, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// The engine.
    pub server: usize,
    /// Streams at the same time; for requests that come by themselves `None`.
    pub streams: Option<f64>,
    /// Requests per second that come by themselves.
    pub rate_per_s: f64,
    /// Requests that came by themselves and are worked on at the same time, where the engine has
    /// slots; `None` = not limited.
    pub slots: Option<f64>,
    /// Tokens of a prompt that are not cached, images included.
    pub prompt: u32,
    /// Tokens of its images.
    pub image: u32,
    /// Tokens that are cached before them.
    pub depth: u32,
    /// Tokens of an answer.
    pub output: f64,
    /// Time between an answer and the next request.
    pub pause: Seconds,
}

impl Demand {
    /// Requests per second when prompt and answer take so many seconds.
    fn rate(&self, whole: f64) -> f64 {
        match self.streams {
            Some(streams) => streams / (whole + self.pause.get()),
            None => self.rate_per_s,
        }
    }

    /// Streams that generate at a time, with so many requests and seconds between tokens.
    fn generating(&self, rate: f64, gap: f64) -> f64 {
        let limit = self.streams.unwrap_or(f64::INFINITY);
        (rate * self.output * gap).min(limit).min(1_024.0)
    }

    /// What one of several copies of the model sees of it.
    #[must_use]
    pub fn over(self, copies: f64) -> Self {
        Self {
            streams: self.streams.map(|streams| streams / copies),
            rate_per_s: self.rate_per_s / copies,
            slots: self.slots.map(|slots| (slots / copies).ceil()),
            ..self
        }
    }
}

/// An engine, as far as means need it.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Its step times.
    pub steps: &'a StepTable,
    /// Its devices.
    pub devices: &'a [u32],
    /// Whether a request that finds all slots taken waits for one.
    pub has_slots: bool,
}

/// What a role gets on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoleLoad {
    /// Speed of one stream when nothing else runs.
    pub alone: TokensPerSec,
    /// Speed of a stream under the whole workload.
    pub loaded: TokensPerSec,
    /// Speed of a stream while all streams of all roles generate all the time.
    pub crowded: TokensPerSec,
    /// Time from request to first token under the whole workload; without end when more comes than
    /// the engine's slots take.
    pub first: Seconds,
    /// Share of the time its engine has something to do.
    pub busy: f64,
}

/// Most rounds until the cycles have settled.
const ROUNDS: u32 = 30;
/// How far a cycle goes in a round towards what the round finds: most of the way, and where that has
/// not settled it after some rounds, half of the way, because it swings.
const WAY: [f64; 2] = [0.8, 0.5];
/// Rounds after which it is taken to swing.
const PATIENCE: u32 = 8;
/// They have when no gap and no number of generating streams changes by more than this in a round.
const SETTLED: f64 = 4e-3;
/// An engine spends at most this share of its time on prompts before they pile up.
const MOST_PROMPTS: f64 = 0.9;

/// Mean demands of a workload's roles, each on the first server of its route.
///
/// Agents that others start are taken to work all the time: what counts is the speed while
/// everything runs.
pub fn demands(workload: &Workload, routes: &[Vec<u32>]) -> Vec<Demand> {
    workload
        .roles
        .iter()
        .zip(routes)
        .map(|(role, route)| Demand {
            server: route.first().map_or(0, |server| *server as usize),
            ..demand(role).over(route.len().max(1) as f64)
        })
        .collect()
}

fn demand(role: &Role) -> Demand {
    let mean = |one: &Distribution| one.sampler().map_or(0.0, |sampler| sampler.mean());
    let optional = |one: &Option<Distribution>| one.as_ref().map_or(0.0, mean);
    let system = f64::from(role.system_tokens);
    let streams = role.streams().map(f64::from);
    let context = f64::from(role.context_tokens);
    let base = Demand {
        server: 0,
        streams,
        rate_per_s: 0.0,
        slots: None,
        prompt: 1,
        image: 0,
        depth: 0,
        output: 1.0,
        pause: Seconds::ZERO,
    };
    if let Some(agent) = &role.agent {
        let (new, output, steps) =
            (mean(&agent.new_tokens), mean(&agent.output_tokens), mean(&agent.steps).max(1.0));
        let first = mean(&agent.first_tokens);
        // Half of what a task comes to, or half of the way to where it is compacted.
        let end = (system + first + steps * (new + output)).min(context * agent.compact_at);
        let prompt = (first + (steps - 1.0) * new) / steps;
        let pause = (mean(&agent.tool_s) * (steps - 1.0)
            + agent.pause_s.as_ref().map_or_else(|| mean(&agent.tool_s), mean))
            / steps;
        return Demand {
            prompt: prompt as u32,
            depth: f64::midpoint(system + first, end) as u32,
            output,
            pause: Seconds::new(pause),
            ..base
        };
    }
    if let Some(closed) = &role.closed {
        let image = optional(&closed.image_tokens);
        let turns = closed.turns.as_ref().map_or(1.0, mean).max(1.0);
        let (prompt, output) = (mean(&closed.prompt_tokens) + image, mean(&closed.output_tokens));
        return Demand {
            prompt: prompt as u32,
            image: image as u32,
            depth: (system + (turns - 1.0) / 2.0 * (prompt + output)).min(context) as u32,
            output,
            pause: Seconds::new(mean(&closed.think_s)),
            ..base
        };
    }
    let Some(open) = &role.open else { return base };
    let rows = open.rows.len().max(1) as f64;
    let of_rows = |of: fn(&crate::workload::trace::TraceRow) -> u32| -> f64 {
        open.rows.iter().map(|row| f64::from(of(row))).sum::<f64>() / rows
    };
    let image = optional(&open.image_tokens);
    let traced = !open.rows.is_empty();
    let prompt =
        if traced { of_rows(|row| row.prompt_tokens) } else { optional(&open.prompt_tokens) };
    let output =
        if traced { of_rows(|row| row.output_tokens) } else { optional(&open.output_tokens) };
    let last = open.rows.last().map_or(0.0, |row| row.arrival_s);
    let rate = open.rate_per_s.unwrap_or(if last > 0.0 { rows / last } else { 1.0 });
    Demand {
        rate_per_s: rate,
        slots: open.slots.map(f64::from),
        prompt: (prompt + image) as u32,
        image: image as u32,
        depth: role.system_tokens,
        output,
        ..base
    }
}

/// What a role's stream goes through, as far as it is settled.
#[derive(Clone, Copy, Debug)]
struct Cycle<'a> {
    /// Times of its engine's steps at its depth.
    steps: StepsAt<'a>,
    /// Time of a prompt and of a token when the engine has the device for itself.
    prompt: f64,
    gap: f64,
    /// Requests per second.
    rate: f64,
    /// Streams that generate at a time.
    generating: f64,
}

/// Mean speeds of all roles, in their order.
///
/// `servers` are the engines, `demands` the roles. Takes some microseconds per role.
pub fn loads(servers: &[Load<'_>], sharing: Sharing, demands: &[Demand]) -> Vec<RoleLoad> {
    // At first everybody goes on as if alone.
    let mut cycles: Vec<Cycle<'_>> = demands
        .iter()
        .map(|demand| {
            let steps = servers[demand.server].steps;
            let image = steps.image(demand.image).get();
            let prompt = steps.prefill(demand.prompt.max(1), demand.depth).get() + image;
            let steps = steps.at(demand.depth);
            let gap = steps.decode(1).get();
            let rate = demand.rate(prompt + demand.output * gap);
            Cycle { steps, prompt, gap, rate, generating: demand.generating(rate, gap) }
        })
        .collect();
    let mut busy = vec![0.0; servers.len()];
    for done in 0..ROUNDS {
        let way = WAY[usize::from(done >= PATIENCE)];
        if round(servers, sharing, demands, &mut cycles, &mut busy, way) < SETTLED {
            break;
        }
    }
    demands
        .iter()
        .zip(&cycles)
        .map(|(demand, cycle)| {
            let slower = slowdown(servers, sharing, &busy, demand.server);
            let prompts = prompt_share(demands, &cycles, demand.server);
            let speed = |gap: f64| Tokens::new(1.0) / Seconds::new(gap);
            RoleLoad {
                alone: speed(cycle.steps.decode(1).get()),
                loaded: speed(cycle.gap),
                crowded: speed(crowded(servers, sharing, demands, demand, cycle.steps)),
                first: Seconds::new(
                    cycle.prompt * slower / (1.0 - prompts)
                        + wait(servers, sharing, demands, &cycles, &busy, demand),
                ),
                busy: busy[demand.server],
            }
        })
        .collect()
}

/// One round: gaps from how busy everybody is, then how busy everybody is from the gaps. Returns
/// the largest change: of a gap as a part of it, of generating streams, of how busy an engine is.
fn round(
    servers: &[Load<'_>],
    sharing: Sharing,
    demands: &[Demand],
    cycles: &mut [Cycle<'_>],
    busy: &mut [f64],
    way: f64,
) -> f64 {
    let mut moved: f64 = 0.0;
    for index in 0..demands.len() {
        let demand = &demands[index];
        let own = demand.streams.unwrap_or(1.0);
        // A stream that generates sees itself and the mean of all others.
        let others: f64 = (0..demands.len())
            .filter(|other| demands[*other].server == demand.server)
            .map(|other| {
                let part = if other == index && demand.streams.is_some() {
                    (own - 1.0) / own
                } else {
                    1.0
                };
                cycles[other].generating * part
            })
            .sum();
        let step = between(cycles[index].steps, 1.0 + others);
        // Its own prompt is not read while it generates.
        let prompts = prompt_share(demands, cycles, demand.server);
        let own_prompts = cycles[index].rate * cycles[index].prompt / own;
        let left = 1.0 - (prompts - own_prompts).clamp(0.0, MOST_PROMPTS);
        let slower = slowdown(servers, sharing, busy, demand.server);
        let gap = step * slower / left;
        let whole = cycles[index].prompt * slower / left + demand.output * gap;
        let cycle = &mut cycles[index];
        let before = *cycle;
        cycle.gap += way * (gap - cycle.gap);
        cycle.rate += way * (demand.rate(whole) - cycle.rate);
        cycle.generating = demand.generating(cycle.rate, cycle.gap);
        moved = moved.max((cycle.gap / before.gap - 1.0).abs());
        moved = moved.max((cycle.generating - before.generating).abs());
    }
    for (server, busy) in busy.iter_mut().enumerate() {
        let idle: f64 = demands
            .iter()
            .zip(cycles.iter())
            .filter(|(demand, _)| demand.server == server)
            .map(|(demand, cycle)| {
                let work = cycle.rate * (cycle.prompt + demand.output * cycle.gap);
                match demand.streams {
                    Some(streams) => power(1.0 - (work / streams).min(1.0), streams),
                    None => (-work).exp(),
                }
            })
            .product();
        let before = *busy;
        *busy = 1.0 - idle;
        moved = moved.max((*busy - before).abs());
    }
    moved
}

/// Mean time in line for a slot of an engine: that of a queue with exponential times and several
/// servers, in the closed form of Sakasegawa (1977). Streams have slots of their own and never wait.
fn wait(
    servers: &[Load<'_>],
    sharing: Sharing,
    demands: &[Demand],
    cycles: &[Cycle<'_>],
    busy: &[f64],
    demand: &Demand,
) -> f64 {
    let server = demand.server;
    if demand.streams.is_some() || demand.slots.is_none() || !servers[server].has_slots {
        return 0.0;
    }
    let slower = slowdown(servers, sharing, busy, server);
    let left = 1.0 - prompt_share(demands, cycles, server);
    let (mut slots, mut rate, mut taken) = (0.0, 0.0, 0.0);
    for (one, cycle) in demands.iter().zip(cycles).filter(|(one, _)| one.server == server) {
        let own = one.streams.or(one.slots).unwrap_or(1.0);
        let work = cycle.rate * (cycle.prompt * slower / left + one.output * cycle.gap);
        slots += own;
        rate += cycle.rate;
        taken += if one.streams.is_some() { work.min(own) } else { work };
    }
    let used = taken / slots;
    if used >= 1.0 {
        return f64::INFINITY;
    }
    let service = taken / rate.max(1e-12);
    service / slots * used.powf((2.0 * (slots + 1.0)).sqrt() - 1.0) / (1.0 - used)
}

/// Share of its time an engine spends on prompts.
fn prompt_share(demands: &[Demand], cycles: &[Cycle<'_>], server: usize) -> f64 {
    let all = demands.iter().zip(cycles).filter(|(demand, _)| demand.server == server);
    all.map(|(_, cycle)| cycle.rate * cycle.prompt).sum::<f64>().min(MOST_PROMPTS)
}

/// How much longer an engine's steps take because others want its devices.
fn slowdown(servers: &[Load<'_>], sharing: Sharing, busy: &[f64], server: usize) -> f64 {
    let devices = servers[server].devices;
    let others = |device: &u32| -> f64 {
        (0..servers.len())
            .filter(|other| *other != server && servers[*other].devices.contains(device))
            .map(|other| busy[other])
            .sum()
    };
    let most = devices.iter().map(others).fold(0.0, f64::max);
    match sharing {
        Sharing::TimeSlice { loss } => (1.0 + most) * (1.0 + loss * most),
        // Engines that generate are alike: bandwidth runs out, of which each wants its share.
        Sharing::Mps { together } => {
            let wanted = servers[server].steps.demand.decode[0];
            ((1.0 + most) * wanted / together).max(1.0)
        }
    }
}

/// Gap between tokens while every stream generates all the time.
fn crowded(
    servers: &[Load<'_>],
    sharing: Sharing,
    demands: &[Demand],
    demand: &Demand,
    steps: StepsAt<'_>,
) -> f64 {
    let together: f64 = demands
        .iter()
        .filter(|one| one.server == demand.server)
        .map(|one| one.streams.unwrap_or(1.0))
        .sum();
    let used: Vec<f64> = (0..servers.len())
        .map(|server| f64::from(u8::from(demands.iter().any(|one| one.server == server))))
        .collect();
    between(steps, together.max(1.0)) * slowdown(servers, sharing, &used, demand.server)
}

/// `base` to a power that is mostly a whole number, which takes a fraction of the time.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.fract() == 0.0 { base.powi(exponent as i32) } else { base.powf(exponent) }
}

/// Time of a step of a mean number of streams.
fn between(steps: StepsAt<'_>, streams: f64) -> f64 {
    let low = (streams as u32).max(1);
    let [below, above] = [low, low + 1].map(|streams| steps.decode(streams).get());
    below + (streams - f64::from(low)) * (above - below)
}
