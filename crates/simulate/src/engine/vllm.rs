//! vLLM V1: every step has a budget of tokens; running sequences come first, then waiting ones in
//! the order they came; long prompts are computed in parts; when the cache is full, the sequence
//! admitted last loses its blocks and starts again later.
//!
//! Source: `vllm/v1/core/sched/scheduler.py` of vLLM 0.24. With asynchronous scheduling the next
//! step is put together while one runs, so that a request is seen one step late.

use std::collections::VecDeque;

use crate::engine::pool::Pool;
use crate::engine::{Policy, Steady, in_step};
use crate::meter::Meter;
use crate::request::{Request, Sequence};
use crate::step::{Batch, Chunk};
use crate::time::Nanos;

/// Settings of vLLM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Blocks of the cache.
    pub blocks: u32,
    /// Tokens of a block (`--block-size`).
    pub block: u32,
    /// Blocks each running sequence takes beside those of its tokens: recurrent state, windows.
    pub extra_blocks: u32,
    /// Most tokens in a step (`--max-num-batched-tokens`).
    pub budget: u32,
    /// Most running sequences (`--max-num-seqs`).
    pub sequences: u32,
    /// Whether prompts that start alike share their blocks (`--enable-prefix-caching`).
    pub caching: bool,
    /// Whether steps are put together while one runs (`--async-scheduling`).
    pub asynchronous: bool,
}

/// vLLM at work.
#[derive(Clone, Debug)]
pub struct Vllm {
    options: Options,
    pool: Pool,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    refused: Vec<Request>,
    /// When the step in flight was put together, and whether it only generates.
    started: Nanos,
    generating: bool,
    /// How long the last step took that only generated: with asynchronous scheduling tokens are
    /// handed out while the next step runs.
    lag: Nanos,
    admitted: u64,
    preemptions: u64,
}

impl Vllm {
    /// vLLM before its first request.
    pub fn new(options: Options) -> Self {
        let options = Options { block: options.block.max(1), ..options };
        Self {
            options,
            pool: Pool::new(options.blocks, options.block, options.caching),
            waiting: VecDeque::new(),
            running: Vec::new(),
            refused: Vec::new(),
            started: Nanos::ZERO,
            generating: false,
            lag: Nanos::ZERO,
            admitted: 0,
            preemptions: 0,
        }
    }

    /// Frees the sequence admitted last; `false` when there is none after `index`, and then the one
    /// at `index` itself went.
    fn preempt(&mut self, index: usize, budget: &mut u32) -> bool {
        let last = self.running.len() - 1;
        let mut victim = self.running.remove(last);
        *budget += std::mem::take(&mut victim.scheduled);
        self.pool.release(&mut victim, true);
        victim.computed = 0;
        self.preemptions += 1;
        self.waiting.push_front(victim);
        last > index
    }

    fn schedule_running(&mut self, budget: &mut u32) -> bool {
        let mut preempted = false;
        let mut index = 0;
        while index < self.running.len() && *budget > 0 {
            let tokens = self.running[index].rest().min(*budget);
            let reach = self.running[index].computed + tokens;
            let extra = self.options.extra_blocks;
            let mut stays = true;
            while stays && !self.pool.grow(&mut self.running[index], reach, extra) {
                preempted = true;
                stays = self.preempt(index, budget);
            }
            if stays {
                self.running[index].scheduled = tokens;
                *budget -= tokens;
                index += 1;
            }
        }
        preempted
    }

    fn admit(&mut self, budget: &mut u32, seen: Nanos) {
        while *budget > 0 && self.running.len() < self.options.sequences as usize {
            let Some(mut next) = self.waiting.pop_front() else { break };
            if next.request.arrival > seen {
                self.waiting.push_front(next);
                break;
            }
            let block = self.options.block;
            let hit = self.pool.hit(next.request.content).min((next.known - 1) / block * block);
            self.pool.take(&mut next, hit);
            next.computed = hit;
            let tokens = next.rest().min(*budget);
            if !self.pool.grow(&mut next, hit + tokens, self.options.extra_blocks) {
                self.pool.release(&mut next, false);
                next.computed = 0;
                self.waiting.push_front(next);
                break;
            }
            if next.generated == 0 {
                next.cached = hit;
            }
            next.scheduled = tokens;
            next.order = self.admitted;
            self.admitted += 1;
            *budget -= tokens;
            self.running.push(next);
        }
    }
}

impl Policy for Vllm {
    fn submit(&mut self, request: Request) {
        let tokens = request.content.tokens + request.output;
        if tokens.div_ceil(self.options.block) + self.options.extra_blocks > self.pool.capacity() {
            self.refused.push(request);
        } else {
            self.waiting.push_back(Sequence::new(request));
        }
    }

    fn schedule(&mut self, now: Nanos, batch: &mut Batch) {
        let mut budget = self.options.budget;
        let idle = self.running.is_empty();
        let preempted = self.schedule_running(&mut budget);
        if !preempted {
            let seen = if idle || !self.options.asynchronous { now } else { self.started };
            self.admit(&mut budget, seen);
        }
        self.started = now;
        for one in &self.running {
            if one.scheduled == 0 {
                continue;
            }
            if one.decodes() {
                batch.decode.push(one.known);
            } else {
                batch.chunks.push(Chunk { tokens: one.scheduled, depth: one.computed });
                if !one.encoded {
                    batch.image_tokens += one.request.image_tokens;
                }
            }
        }
        self.generating = batch.chunks.is_empty() && !batch.decode.is_empty();
    }

    fn complete(&mut self, now: Nanos, meter: &mut Meter, answered: &mut Vec<Sequence>) {
        if self.generating {
            self.lag = now.since(self.started);
        }
        let lag = if self.options.asynchronous { self.lag } else { Nanos::ZERO };
        let mut index = 0;
        while index < self.running.len() {
            let one = &mut self.running[index];
            if one.scheduled == 0 {
                index += 1;
                continue;
            }
            let was_prompt = one.generated == 0;
            let ended = one.advance(now, lag, meter);
            if was_prompt && one.generated == 1 {
                self.pool.share(&mut self.running[index]);
            }
            if ended {
                let mut done = self.running.remove(index);
                self.pool.release(&mut done, true);
                answered.push(done);
            } else {
                index += 1;
            }
        }
    }

    fn steady(&self, roles: &mut Vec<(u32, u64)>) -> Option<Steady> {
        // What waits may be seen or find room in the next step.
        if !self.waiting.is_empty() {
            return None;
        }
        let (seen, least) = in_step(self.running.iter(), roles)?;
        // As long as every sequence surely gets the blocks it grows into: one that it has begun and
        // its part of those that can be had.
        let each = self.pool.available() / self.running.len() as u32;
        let room = each.saturating_sub(1).saturating_mul(self.options.block);
        Some(Steady { steps: least.min(room), seen, lags: self.options.asynchronous })
    }

    fn catch_up(&mut self, steps: u32, seen: Nanos, began: Nanos) {
        for one in &mut self.running {
            one.generate(steps, seen);
            let had = self.pool.grow(one, one.computed + one.scheduled, self.options.extra_blocks);
            debug_assert!(had, "steady steps have their blocks");
        }
        self.lag = seen.since(began);
        self.started = began;
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
        u64::from(self.pool.used()) * u64::from(self.options.block)
    }

    fn preemptions(&self) -> u64 {
        self.preemptions
    }
}
