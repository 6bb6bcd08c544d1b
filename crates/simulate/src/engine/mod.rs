//! Engines as policies: what each puts into its next step, and what it keeps in its cache.

pub mod llama;
pub mod mlx;
pub mod pool;
pub mod prompt_cache;
pub mod vllm;

use crate::meter::Meter;
use crate::request::{Request, Sequence};
use crate::step::Batch;
use crate::time::Nanos;

/// An engine.
pub trait Policy {
    /// A request comes in.
    fn submit(&mut self, request: Request);

    /// Puts together the next step into an empty batch; it stays empty when there is nothing to do.
    fn schedule(&mut self, now: Nanos, batch: &mut Batch);

    /// The step is done: tokens come out, `answered` takes those whose
    /// answer is complete.
    fn complete(&mut self, now: Nanos, meter: &mut Meter, answered: &mut Vec<Sequence>);

    /// How the engine goes on from the step it has just scheduled if that gives every stream one
    /// token and does nothing else; `None` when it does anything else. `roles` takes the roles with
    /// their numbers of streams.
    fn steady(&self, roles: &mut Vec<(u32, u64)>) -> Option<Steady>;

    /// As many steps as [`Policy::steady`] promised or fewer have been done, the tokens of the last
    /// seen at `seen`; another one like them has begun, at `began`.
    fn catch_up(&mut self, steps: u32, seen: Nanos, began: Nanos);

    /// Takes a request that the engine gave up: its cache cannot hold it.
    fn refused(&mut self) -> Option<Request>;

    /// Requests that are not answered yet, running or waiting.
    fn outstanding(&self) -> usize;

    /// Requests that wait to be admitted.
    fn waiting(&self) -> usize;

    /// Tokens of cache in use.
    fn cached_tokens(&self) -> u64;

    /// Sequences that lost their cache to others so far.
    fn preemptions(&self) -> u64;
}

/// Steps that are all alike: one token for each of the same streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// How many further steps are certain to be like the one just scheduled, if nothing is asked of
    /// the engine meanwhile.
    pub steps: u32,
    /// When the tokens before were seen.
    pub seen: Nanos,
    /// Whether tokens are seen a step after they are computed.
    pub lags: bool,
}

/// When the tokens before were seen, and how many more end no answer, of sequences that all
/// generate a token in this step; `None` when one of them does not. `roles` takes their roles.
fn in_step<'a>(
    running: impl Iterator<Item = &'a Sequence>,
    roles: &mut Vec<(u32, u64)>,
) -> Option<(Nanos, u32)> {
    roles.clear();
    let mut found: Option<(Nanos, u32)> = None;
    for one in running {
        if one.scheduled != 1 || !one.decodes() {
            return None;
        }
        // The step in flight gives one of the tokens that are left, and the last is no like step.
        let left = (one.request.output - one.generated).saturating_sub(1);
        let (seen, least) = found.unwrap_or((one.last, left));
        if seen != one.last {
            return None;
        }
        found = Some((seen, least.min(left)));
        match roles.iter_mut().find(|(role, _)| *role == one.request.role) {
            Some((_, streams)) => *streams += 1,
            None => roles.push((one.request.role, 1)),
        }
    }
    found
}

/// Which engine, with the settings that decide its schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// vLLM V1.
    Vllm(vllm::Options),
    /// llama.cpp's server, and Ollama's runners of it.
    Llama(llama::Options),
    /// The server of mlx-lm.
    Mlx(mlx::Options),
}

impl Engine {
    /// Most tokens of a prompt in a step.
    pub const fn prompt_step(&self) -> u32 {
        match self {
            Self::Vllm(options) => options.budget,
            Self::Llama(options) => options.batch,
            Self::Mlx(options) => options.chunk,
        }
    }

    /// The policy, ready to start.
    pub fn policy(&self) -> Box<dyn Policy> {
        match self {
            Self::Vllm(options) => Box::new(vllm::Vllm::new(*options)),
            Self::Llama(options) => Box::new(llama::Llama::new(*options)),
            Self::Mlx(options) => Box::new(mlx::Mlx::new(*options)),
        }
    }

    /// Tokens its cache holds.
    pub fn pool_tokens(&self) -> u64 {
        match self {
            Self::Vllm(options) => u64::from(options.blocks) * u64::from(options.block),
            Self::Llama(options) => u64::from(options.cells),
            Self::Mlx(options) => u64::from(options.tokens),
        }
    }
}
