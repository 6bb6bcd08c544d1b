//! The seam to the speed model: how long one step of an engine takes, given what is in it.
//!
//! The simulator asks for millions of steps, so the speed model is asked once, at grid points, and
//! [`StepTable`] answers by linear interpolation:
//!
//! ```text
//! step = max(prefill(tokens + streams), weights(streams)) + sum over streams of cache(depth)
//!        + sum over prompts of tokens * attention(depth)
//! ```
//!
//! Prompt tokens and generating streams go through the weights together, so a mixed step costs
//! about what a prompt of all its tokens costs, and never less than the streams alone.

use localrig_facts::unit::Seconds;

/// Part of a prompt that a step computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// New tokens.
    pub tokens: u32,
    /// Tokens that are in the cache before them.
    pub depth: u32,
}

/// What a step computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Tokens in the context of each stream that generates one token.
    pub decode: Vec<u32>,
    /// Parts of prompts.
    pub chunks: Vec<Chunk>,
    /// Tokens of images that are encoded first.
    pub image_tokens: u32,
    /// Time that is spent beside the model: copying caches.
    pub extra: Seconds,
}

impl Batch {
    /// Makes it empty; its memory stays.
    pub fn clear(&mut self) {
        self.decode.clear();
        self.chunks.clear();
        self.image_tokens = 0;
        self.extra = Seconds::ZERO;
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.decode.is_empty() && self.chunks.is_empty()
    }

    /// Prompt tokens in it.
    pub fn prompt_tokens(&self) -> u32 {
        self.chunks.iter().map(|chunk| chunk.tokens).sum()
    }
}

/// What a step costs when it has the device for itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// How long it takes.
    pub duration: Seconds,
    /// Share of the memory bandwidth it uses, 0 to 1.
    pub bandwidth: f64,
    /// Share of the arithmetic it uses, 0 to 1.
    pub arithmetic: f64,
}

/// A speed model, as far as steps are made of it.
pub trait SpeedModel {
    /// Time of a step of `streams` streams that each have `depth` tokens of context.
    fn decode(&self, depth: f64, streams: f64) -> Seconds;

    /// Time to read a prompt of `tokens` behind `depth` cached ones.
    fn prefill(&self, tokens: f64, depth: f64) -> Seconds;

    /// What their contexts add to a step of `streams` streams.
    fn context(&self, depth: f64, streams: f64) -> Seconds {
        self.decode(depth, streams) - self.decode(0.0, streams)
    }

    /// What a cached context adds to a prompt.
    fn attention(&self, tokens: f64, depth: f64) -> Seconds {
        self.prefill(tokens, depth) - self.prefill(tokens, 0.0)
    }
}

/// The times of steps and of prompts as two functions.
impl<D: Fn(f64, f64) -> Seconds, P: Fn(f64, f64) -> Seconds> SpeedModel for (D, P) {
    fn decode(&self, depth: f64, streams: f64) -> Seconds {
        self.0(depth, streams)
    }

    fn prefill(&self, tokens: f64, depth: f64) -> Seconds {
        self.1(tokens, depth)
    }
}

/// Half-widths of the 80 % intervals of the speed model, as factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uncertainty {
    /// Of generation.
    pub decode: f64,
    /// Of generation by one stream alone.
    pub single: f64,
    /// Of prompts.
    pub prefill: f64,
}

/// Demand on a device for steps that only generate and for those that read prompts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Share of the bandwidth, share of the arithmetic, of a generating step.
    pub decode: [f64; 2],
    /// The same of a step with a prompt.
    pub prefill: [f64; 2],
}

impl Default for Demand {
    /// Generation is bound by memory, prompts by arithmetic.
    fn default() -> Self {
        Self { decode: [0.9, 0.3], prefill: [0.35, 0.95] }
    }
}

/// Times of the steps of one model on its devices.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTable {
    /// Time of a step without context by number of streams: `streams`, nanoseconds.
    weights: Vec<[f64; 2]>,
    /// Cost of context in such a step relative to one stream alone, by number of streams.
    crowd: Vec<[f64; 2]>,
    /// Weights and crowd by number of streams, at most up to [`DENSE`], to be looked up.
    dense: Vec<[f64; 2]>,
    /// Time one stream's context takes, at the depths of the grid, and what each token adds from
    /// there to the next.
    cache: Vec<[f64; 2]>,
    /// Time of a prompt without context, by its tokens.
    prompt: Vec<[f64; 2]>,
    /// Time a token of a prompt takes more, likewise.
    attention: Vec<[f64; 2]>,
    /// Time an image token takes in the encoder.
    image: f64,
    /// Demand on the device.
    pub demand: Demand,
    /// How far off the times may be.
    pub uncertainty: Uncertainty,
}

/// Numbers of streams whose times are looked up; above, they are interpolated.
const DENSE: usize = 64;
/// Numbers of streams that are asked for.
const STREAMS: [u32; 25] = [
    1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 512,
    1_024,
];
/// Lengths of prompts that are asked for.
const PROMPTS: [u32; 16] =
    [1, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 1_024, 2_048, 4_096, 8_192, 16_384];
/// Prompt whose time at depth tells what attention costs.
const PROBE: u32 = 512;
/// First step of the grid of depths is empty, then it doubles from here.
const SHALLOW: u32 = 128;
/// Depths of the grid: 0, 128, 256, … 2^21.
const DEPTHS: usize = 16;

impl StepTable {
    /// Tabulates a speed model for at most `streams` streams together; `image` is the time of the
    /// encoder per image token.
    pub fn new(
        streams: u32,
        uncertainty: Uncertainty,
        image: Seconds,
        speed: &impl SpeedModel,
    ) -> Self {
        let nanos = |time: Seconds| time.get() * 1e9;
        let depth = |index: usize| f64::from(grid_depth(index));
        // More context never takes less time: runs that skip over like steps rest on it.
        let mut cache = vec![0.0; DEPTHS];
        for index in 1..DEPTHS {
            cache[index] = nanos(speed.context(depth(index), 1.0)).max(cache[index - 1]);
        }
        let (far, far_cost) = (depth(DEPTHS - 1), cache[DEPTHS - 1]);
        let (mut weights, mut crowd) = (Vec::new(), Vec::new());
        for count in STREAMS {
            let own = f64::from(count);
            let at_depth = nanos(speed.context(far, own));
            weights.push([own, nanos(speed.decode(0.0, own))]);
            let relative = if far_cost > 0.0 { at_depth / (own * far_cost) } else { 1.0 };
            crowd.push([own, relative.max(0.0)]);
            if count >= streams {
                break;
            }
        }
        let prompt = PROMPTS
            .into_iter()
            .map(|tokens| [f64::from(tokens), nanos(speed.prefill(f64::from(tokens), 0.0))])
            .collect();
        let probe = f64::from(PROBE);
        let attention: Vec<f64> = (0..DEPTHS)
            .map(|index| nanos(speed.attention(probe, depth(index))).max(0.0) / probe)
            .collect();
        // One beyond the last, for means that lie between two numbers.
        let most = weights.last().map_or(0, |[count, _]| *count as usize + 1).min(DENSE);
        let dense = (0..=most)
            .map(|count| [line(&weights, count as f64), line(&crowd, count as f64)])
            .collect();
        Self {
            weights,
            crowd,
            dense,
            cache: sloped(&cache),
            prompt,
            attention: sloped(&attention),
            image: nanos(image),
            demand: Demand::default(),
            uncertainty,
        }
    }

    /// The same model, slower by these factors: generation, prompts.
    #[must_use]
    pub fn scaled(&self, decode: f64, prefill: f64) -> Self {
        let points = |all: &[[f64; 2]], factor: f64| {
            all.iter().map(|[at, value]| [*at, value * factor]).collect()
        };
        let values = |all: &[[f64; 2]], factor: f64| {
            all.iter().map(|one| one.map(|part| part * factor)).collect()
        };
        Self {
            weights: points(&self.weights, decode),
            dense: points_both(&self.dense, decode),
            cache: values(&self.cache, decode),
            prompt: points(&self.prompt, prefill),
            attention: values(&self.attention, prefill),
            image: self.image * prefill,
            ..self.clone()
        }
    }

    /// The same model with what a run of one stream says of it: a step of one stream takes `decode`
    /// times as long, what further streams and their contexts add stays, and prompts take `prefill`
    /// times as long.
    #[must_use]
    pub fn calibrated(&self, decode: f64, prefill: f64) -> Self {
        let single = self.weights_and_crowd(1)[0];
        let more = (decode - 1.0) * single;
        let shifted =
            |all: &[[f64; 2]]| all.iter().map(|[at, value]| [*at, value + more]).collect();
        Self {
            weights: shifted(&self.weights),
            dense: self.dense.iter().map(|[weights, crowd]| [weights + more, *crowd]).collect(),
            ..self.scaled(1.0, prefill)
        }
    }

    /// Time of a step of `streams` streams with `depth` tokens of context each.
    pub fn decode(&self, depth: u32, streams: u32) -> Seconds {
        self.at(depth).decode(streams)
    }

    /// Times of steps of streams with `depth` tokens of context each, by their number.
    pub(crate) fn at(&self, depth: u32) -> StepsAt<'_> {
        StepsAt { table: self, context: on_grid(&self.cache, depth) }
    }

    /// Time to read a prompt of `tokens` behind `depth` cached ones in one step.
    pub fn prefill(&self, tokens: u32, depth: u32) -> Seconds {
        let attention = f64::from(tokens) * on_grid(&self.attention, depth);
        Seconds::new((line(&self.prompt, f64::from(tokens)) + attention) * 1e-9)
    }

    /// Time to read a prompt of `tokens` in steps of at most `step` tokens, as an engine does that has
    /// nothing else to do.
    pub fn prompt(&self, tokens: u32, step: u32) -> Seconds {
        let step = step.max(1);
        let chunks = (0..tokens).step_by(step as usize);
        let of = |depth: u32| self.prefill(step.min(tokens - depth), depth).get();
        Seconds::new(chunks.map(of).sum())
    }

    /// Time to encode an image.
    pub fn image(&self, tokens: u32) -> Seconds {
        Seconds::new(f64::from(tokens) * self.image * 1e-9)
    }

    /// Time of a step that gives each of some streams a token, by the tokens in their contexts.
    pub fn generation(&self, depths: &[u32]) -> Seconds {
        let [weights, crowd] = self.weights_and_crowd(depths.len());
        let context: f64 = depths.iter().map(|depth| on_grid(&self.cache, *depth)).sum();
        Seconds::new((context * crowd + weights) * 1e-9)
    }

    /// What a step costs.
    pub fn cost(&self, batch: &Batch) -> Cost {
        let streams = batch.decode.len();
        let [weights, crowd] = self.weights_and_crowd(streams);
        let context: f64 = batch.decode.iter().map(|depth| on_grid(&self.cache, *depth)).sum();
        let mut nanos = context * crowd + if streams > 0 { weights } else { 0.0 };
        let mut demand = self.demand.decode;
        if !batch.chunks.is_empty() {
            let tokens = batch.prompt_tokens() as usize + streams;
            let together = line(&self.prompt, tokens as f64);
            let attention: f64 = batch
                .chunks
                .iter()
                .map(|chunk| f64::from(chunk.tokens) * on_grid(&self.attention, chunk.depth))
                .sum();
            nanos = context * crowd + together.max(weights) + attention;
            demand = self.demand.prefill;
        }
        nanos += f64::from(batch.image_tokens) * self.image + batch.extra.get() * 1e9;
        Cost { duration: Seconds::new(nanos * 1e-9), bandwidth: demand[0], arithmetic: demand[1] }
    }

    fn weights_and_crowd(&self, streams: usize) -> [f64; 2] {
        self.dense.get(streams).copied().unwrap_or_else(|| {
            [line(&self.weights, streams as f64), line(&self.crowd, streams as f64)]
        })
    }
}

/// Times of the steps of streams with the same context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepsAt<'a> {
    table: &'a StepTable,
    /// Time one stream's context takes.
    context: f64,
}

impl StepsAt<'_> {
    /// Time of a step of `streams` streams.
    pub(crate) fn decode(self, streams: u32) -> Seconds {
        let [weights, crowd] = self.table.weights_and_crowd(streams as usize);
        Seconds::new((weights + f64::from(streams) * crowd * self.context) * 1e-9)
    }
}

fn points_both(all: &[[f64; 2]], factor: f64) -> Vec<[f64; 2]> {
    // The second value is a ratio and stays.
    all.iter().map(|[weights, crowd]| [weights * factor, *crowd]).collect()
}

/// Depth at a point of the grid.
fn grid_depth(index: usize) -> u32 {
    if index == 0 { 0 } else { SHALLOW << (index - 1) }
}

/// Values at the depths of the grid, each with the slope to the next one.
fn sloped(values: &[f64]) -> Vec<[f64; 2]> {
    let width = |index: usize| f64::from(grid_depth(index + 1) - grid_depth(index));
    let slopes = values.windows(2).enumerate();
    slopes.map(|(index, pair)| [pair[0], (pair[1] - pair[0]) / width(index)]).collect()
}

/// Value at a depth, between the points of the grid; above the last one the line goes on.
fn on_grid(values: &[[f64; 2]], depth: u32) -> f64 {
    let below = (depth / SHALLOW).checked_ilog2().map_or(0, |log| log as usize + 1);
    let below = below.min(values.len() - 1);
    let [value, slope] = values[below];
    value + f64::from(depth - grid_depth(below)) * slope
}

/// Value on a line through points; beyond the ends the outer pieces go on, never below nothing.
fn line(points: &[[f64; 2]], at: f64) -> f64 {
    let [first, rest @ ..] = points else { return 0.0 };
    if rest.is_empty() || at <= first[0] {
        return first[1];
    }
    let above = points.partition_point(|point| point[0] < at).min(points.len() - 1);
    let ([x0, y0], [x1, y1]) = (points[above - 1], points[above]);
    (y0 + (at - x0) / (x1 - x0) * (y1 - y0)).max(0.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A model that generates a token in `weights + streams * depth * cache`, and reads prompts in
    /// `tokens * token + tokens * depth * attention`; all in microseconds.
    pub(crate) fn simple(weights: f64, cache: f64, token: f64) -> StepTable {
        let uncertainty = Uncertainty { decode: 1.2, single: 1.2, prefill: 1.5 };
        let decode = |depth: f64, streams: f64| {
            Seconds::us(weights + 20.0 * (streams - 1.0) + cache * depth * streams)
        };
        let prefill = |tokens: f64, depth: f64| {
            Seconds::us(2_000.0 + tokens * token + tokens * depth * token / 1e5)
        };
        StepTable::new(1_024, uncertainty, Seconds::us(token), &(decode, prefill))
    }

    proptest! {
        #[test]
        fn a_table_of_a_linear_model_gives_the_model(
            depth in 0_u32..2_000_000, streams in 1_u32..1_500, tokens in 1_u32..20_000,
        ) {
            let table = simple(10_000.0, 0.05, 100.0);
            let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
            let (d, s, t) = (f64::from(depth), f64::from(streams), f64::from(tokens));
            let decode = 10_000.0 + 20.0 * (s - 1.0) + 0.05 * d * s;
            prop_assert!(near(table.decode(depth, streams).to_us(), decode));
            let prefill = 2_000.0 + t * 100.0 + t * d / 1e3;
            prop_assert!(near(table.prefill(tokens, depth).to_us(), prefill));
            let halves = table.prefill(tokens, 0) + table.prefill(tokens, tokens);
            prop_assert!(near(table.prompt(2 * tokens, tokens).to_us(), halves.to_us()));
            let batch = Batch { decode: vec![depth; streams as usize], ..Batch::default() };
            prop_assert!(near(table.cost(&batch).duration.to_us(), decode));
        }

        #[test]
        fn a_run_of_one_stream_moves_the_single_step_and_leaves_what_others_add(
            factor in 0.7..2.0_f64, streams in 2_u32..200, depth in 0_u32..100_000,
        ) {
            let table = simple(10_000.0, 0.05, 100.0);
            let own = table.calibrated(factor, 2.0);
            let near = |a: Seconds, b: Seconds| (a.get() / b.get() - 1.0).abs() < 1e-9;
            prop_assert!(near(own.decode(0, 1), table.decode(0, 1) * factor));
            let more = |table: &StepTable| table.decode(depth, streams) - table.decode(0, 1);
            prop_assert!(near(more(&own), more(&table)));
            prop_assert!(near(own.prefill(512, depth), table.prefill(512, depth) * 2.0));
        }

        #[test]
        fn more_in_a_step_never_takes_less(
            depths in proptest::collection::vec(0_u32..100_000, 1..20), tokens in 1_u32..4_000, depth in 0_u32..100_000,
        ) {
            let table = simple(10_000.0, 0.05, 100.0);
            let mut batch = Batch { decode: depths, ..Batch::default() };
            let alone = table.cost(&batch).duration;
            batch.chunks.push(Chunk { tokens, depth });
            let mixed = table.cost(&batch).duration;
            prop_assert!(mixed >= alone);
            prop_assert!(mixed >= table.prefill(tokens, depth));
            batch.image_tokens = 5;
            prop_assert!(table.cost(&batch).duration > mixed);
        }
    }
}
