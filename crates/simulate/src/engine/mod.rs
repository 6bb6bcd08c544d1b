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
