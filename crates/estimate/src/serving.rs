//! From step times to what a benchmark of a server reports.

use localrig_facts::unit::Bytes;

use crate::decode::step;
use crate::parameter::{Constants, Parameter};
use crate::prefill::prefill;
use crate::run::Run;

/// A closed loop of equal requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// New tokens of each prompt.
    pub prompt_tokens: f64,
    /// Tokens of context when generation starts.
    pub depth: f64,
    /// Tokens generated.
    pub generated: f64,
    /// Requests in flight, all copies together.
    pub streams: f64,
    /// Requests that each copy computes at once at most, where that is known; the others wait.
    pub slots: Option<f64>,
    /// Whether all requests have the same prompt and the server finds it in its prefix cache.
    pub cached: bool,
}

impl Load {
    /// Tokens of a prompt that are computed, and those that were computed before. An engine computes at
    /// least the last token of a prompt, which the first answer token follows from.
    fn prompt(self) -> (f64, f64) {
        let before = (self.depth - self.prompt_tokens).max(0.0);
        let new = if self.cached { 1.0 } else { self.prompt_tokens.max(1.0) };
        (new, before + (self.prompt_tokens - new).max(0.0))
    }
}

/// Speeds of a load in tokens per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    /// All streams together, generated tokens only.
    pub total: f64,
    /// One stream between its tokens.
    pub per_stream: f64,
}

/// Generation alone, prompts not counted.
pub fn generation(run: &Run<'_>, constants: &Constants, load: Load) -> Served {
    let streams = running(run, load);
    let middle = load.depth + load.generated / 2.0;
    let per_stream = 1.0 / step(run, constants, middle, streams).total;
    Served { total: per_stream * all_copies(run, load, streams), per_stream }
}

/// Generated tokens over wall time with the prompts' prefill in it: while a request lives, every
/// other stream's prompt passes too, partly beside the steps of those that generate.
pub fn wall(run: &Run<'_>, constants: &Constants, load: Load) -> Served {
    let streams = running(run, load);
    let (new, before) = load.prompt();
    let one = prefill(run, constants, new, before).total;
    let share = constants[Parameter::BatchPrefillShare].min(1.0);
    let prompts = one * (1.0 + (streams - 1.0) * share);
    let per_stream = generation(run, constants, load).per_stream;
    let steps = load.generated / per_stream;
    let request = prompts + steps + constants[Parameter::RequestMs] * 1e-3;
    Served { total: all_copies(run, load, streams) * load.generated / request, per_stream }
}

/// Generated tokens of requests that start together, over the time from the first token of any to the
/// last of all: the first prompt is not in it, the others are, and what is read first generates while
/// they pass, a token with every chunk. Answers end by themselves, so that towards the end fewer run.
pub fn wave(run: &Run<'_>, constants: &Constants, load: Load) -> Served {
    let streams = running(run, load);
    let (new, before) = load.prompt();
    let prompt = prefill(run, constants, new, before).total;
    let chunks = new / run.chunk_tokens;
    let after = (load.generated - 1.0).max(1.0);
    // Of the tokens after the first: those still to come when all prompts are in, by the number of
    // prompts that were read after one's own.
    let left = |behind: f64| (after - behind * chunks).max(0.0);
    let behind = || (0..streams.round().max(1.0) as u32).map(f64::from);
    let ends = after / constants[Parameter::AnswerTokens];
    let alive = -(-ends).exp_m1() / ends;
    let together = alive * behind().map(left).sum::<f64>() / after;
    let middle = load.depth + load.generated / 2.0;
    let step = step(run, constants, middle, together.max(1.0)).total;
    let life = |others: f64| others.min(after / chunks.max(1e-9)) * prompt + left(others) * step;
    let speed = behind().map(|others| after / life(others)).sum::<f64>() / behind().count() as f64;
    let window = (streams - 1.0) * prompt + after * step;
    Served { total: all_copies(run, load, streams) * alive * after / window, per_stream: speed }
}

/// Streams that generate at once on all copies; the others wait.
fn all_copies(run: &Run<'_>, load: Load, streams: f64) -> f64 {
    (streams * f64::from(run.split.replicas)).min(load.streams)
}

/// Streams of one copy of the model that run at once: at least one, at most as many as the server has
/// slots and the memory beside the weights holds the context of. Requests beyond that wait.
fn running(run: &Run<'_>, load: Load) -> f64 {
    let share = (load.streams / f64::from(run.split.replicas)).max(1.0);
    let asked = load.slots.map_or(share, |slots| share.min(slots.max(1.0)));
    let Some(memory) = run.memory else { return asked };
    let whole = run.work.kv_read(load.depth + load.generated) + run.work.state;
    // A cached prompt lies there once for all.
    let common = if load.cached { run.work.kv_read(load.depth) } else { Bytes::ZERO };
    let own = whole - common;
    let devices = f64::from(run.split.devices());
    let room = memory * devices - run.work.weights.loaded.get() - common.get();
    if room <= 0.0 || own.get() <= 0.0 {
        // It runs all the same, so something of this is not as assumed.
        return asked;
    }
    asked.min((room / own.get()).max(1.0))
}
