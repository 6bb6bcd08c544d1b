//! The server of mlx-lm: prompts and generation take turns, a part of the prompts in one step, one
//! token of every stream in the next.
//!
//! Source: `mlx_lm/server.py` and `mlx_lm/generate.py`.

use std::collections::VecDeque;

use crate::engine::prompt_cache::PromptCache;
use crate::engine::{Policy, Steady, in_step};
use crate::meter::Meter;
use crate::request::{Request, Sequence};
use crate::step::{Batch, Chunk};
use crate::time::Nanos;

/// Settings of mlx-lm's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Tokens that fit into memory, kept prompts included.
    pub tokens: u32,
    /// Streams that generate together.
    pub decode: u32,
    /// Prompts that are computed together.
    pub prompts: u32,
    /// Tokens of each prompt in a step.
    pub chunk: u32,
    /// Prompts that are kept.
    pub kept: u32,
}

/// mlx-lm's server at work.
#[derive(Clone, Debug)]
pub struct Mlx {
    options: Options,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    refused: Vec<Request>,
    kept: PromptCache,
    /// Whether the last step was for prompts.
    prompted: bool,
}

impl Mlx {
    /// The server before its first request.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            waiting: VecDeque::new(),
            running: Vec::new(),
            refused: Vec::new(),
            kept: PromptCache::new(u64::from(options.tokens), options.kept as usize),
            prompted: false,
        }
    }

    /// Tokens that running sequences will have come to when they end.
    fn promised(&self) -> u64 {
        let whole = |one: &Sequence| u64::from(one.request.content.tokens + one.request.output);
        self.running.iter().map(whole).sum()
    }

    fn admit(&mut self) {
        while let Some(mut next) = self.waiting.pop_front() {
            let reading = self.running.iter().filter(|one| !one.decodes()).count();
            let whole = u64::from(next.request.content.tokens + next.request.output);
            if self.running.len() >= self.options.decode as usize
                || reading >= self.options.prompts as usize
                || self.promised() + whole > u64::from(self.options.tokens)
            {
                self.waiting.push_front(next);
                break;
            }
            if let Some(found) = self.kept.load(next.request.content) {
                next.reuse(found.common(&next.request.content));
            }
            self.running.push(next);
        }
        // Kept prompts give way to running ones.
        let free = u64::from(self.options.tokens) - self.promised();
        self.kept.trim(free);
    }
}

impl Policy for Mlx {
    fn submit(&mut self, request: Request) {
        if request.content.tokens + request.output > self.options.tokens {
            self.refused.push(request);
        } else {
            self.waiting.push_back(Sequence::new(request));
        }
    }

    fn schedule(&mut self, _: Nanos, batch: &mut Batch) {
        self.admit();
        let reading = self.running.iter().any(|one| !one.decodes());
        let generating = self.running.iter().any(Sequence::decodes);
        let prompts = reading && (!self.prompted || !generating);
        for one in self.running.iter_mut().filter(|one| one.decodes() != prompts) {
            one.scheduled = if prompts { one.rest().min(self.options.chunk) } else { 1 };
            if prompts {
                batch.chunks.push(Chunk { tokens: one.scheduled, depth: one.computed });
                batch.image_tokens += if one.encoded { 0 } else { one.request.image_tokens };
            } else {
                batch.decode.push(one.known);
            }
        }
        self.prompted = prompts;
    }

    fn complete(&mut self, now: Nanos, meter: &mut Meter, answered: &mut Vec<Sequence>) {
        let mut index = 0;
        while index < self.running.len() {
            let one = &mut self.running[index];
            if one.scheduled > 0 && one.advance(now, Nanos::ZERO, meter) {
                let done = self.running.remove(index);
                self.kept.save(done.content());
                answered.push(done);
            } else {
                index += 1;
            }
        }
    }

    fn steady(&self, roles: &mut Vec<(u32, u64)>) -> Option<Steady> {
        // What waits has not been admitted beside these streams and will not be before one ends.
        let (seen, steps) = in_step(self.running.iter(), roles)?;
        Some(Steady { steps, seen, lags: false })
    }

    fn catch_up(&mut self, steps: u32, seen: Nanos, _: Nanos) {
        for one in &mut self.running {
            one.generate(steps, seen);
        }
    }

    fn refused(&mut self) -> Option<Request> {
        self.refused.pop()
    }

    fn outstanding(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn cached_tokens(&self) -> u64 {
        self.running.iter().map(|one| u64::from(one.computed + one.scheduled)).sum()
    }

    fn preemptions(&self) -> u64 {
        0
    }
}
