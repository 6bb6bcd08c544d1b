//! The server of llama.cpp: a fixed number of slots, each with its own conversation in the cache.
//!
//! Every step takes one token of each generating slot, then prompt tokens of the slots in order up
//! to `n_batch`. A new request gets the idle slot whose cache starts like it, else the one that has
//! been idle for longest; what that held goes to a cache in main memory. Source:
//! `tools/server/server-context.cpp` of llama.cpp, October 2026.
//!
//! Ollama's runners are the same with few slots, each with a cache of its own, and without a cache
//! in main memory. Loading and unloading of models is the business of the machine
//! ([`crate::residency`]), because models compete for its memory.

use std::collections::VecDeque;

use localrig_facts::unit::{Bytes, BytesPerSec, Seconds};

use crate::engine::prompt_cache::PromptCache;
use crate::engine::{Policy, Steady, in_step};
use crate::meter::Meter;
use crate::request::{Content, Request, Sequence};
use crate::step::{Batch, Chunk};
use crate::time::Nanos;

/// Settings of llama.cpp's server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Slots (`--parallel`).
    pub slots: u32,
    /// Cells of the cache for all slots together (`--ctx-size`).
    pub cells: u32,
    /// Whether slots share the cells (`--kv-unified`) or each has its part.
    pub unified: bool,
    /// Most tokens in a step (`--batch-size`).
    pub batch: u32,
    /// Least part of a prompt that a slot's cache must start with to be chosen for it
    /// (`--slot-prompt-similarity`).
    pub similarity: f64,
    /// Tokens that the cache in main memory holds (`--cache-ram` by bytes per token).
    pub host_tokens: u64,
    /// Bytes of cache per token, for copies to and from main memory.
    pub token_bytes: Bytes,
    /// Speed of such copies.
    pub copy: BytesPerSec,
    /// Whether a cache can be cut back to a shorter prefix; recurrent states cannot.
    pub cuts: bool,
}

/// llama.cpp's server at work.
#[derive(Clone, Debug)]
pub struct Llama {
    options: Options,
    slots: Vec<Slot>,
    waiting: VecDeque<Request>,
    refused: Vec<Request>,
    host: PromptCache,
    copied: Seconds,
    preemptions: u64,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// What its cache contains while it is idle.
    cache: Content,
    /// What it works on.
    task: Option<Sequence>,
    /// When it became idle.
    used: Nanos,
}

impl Slot {
    fn cells(&self) -> u32 {
        self.task.as_ref().map_or(self.cache.tokens, |task| task.computed + task.scheduled)
    }
}

impl Llama {
    /// The server before its first request.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            slots: vec![Slot::default(); options.slots.max(1) as usize],
            waiting: VecDeque::new(),
            refused: Vec::new(),
            host: PromptCache::new(options.host_tokens, usize::MAX),
            copied: Seconds::ZERO,
            preemptions: 0,
        }
    }

    /// Cells one request may take.
    fn most_cells(&self) -> u32 {
        if self.options.unified {
            self.options.cells
        } else {
            self.options.cells / self.options.slots.max(1)
        }
    }

    fn cells(&self) -> u32 {
        self.slots.iter().map(Slot::cells).sum()
    }

    /// Gives waiting requests to idle slots.
    fn assign(&mut self) {
        while let Some(request) = self.waiting.front().copied() {
            let Some(index) = self.choose(request.content) else { break };
            self.waiting.pop_front();
            let mut task = Sequence::new(request);
            let common = self.slots[index].cache.common(&request.content);
            let whole = common == self.slots[index].cache.tokens;
            if self.options.cuts || whole {
                task.reuse(common);
            }
            self.slots[index].cache = Content::default();
            self.slots[index].task = Some(task);
        }
    }

    /// The idle slot for a prompt, its cache made as useful as possible.
    fn choose(&mut self, prompt: Content) -> Option<usize> {
        let idle = || (0..self.slots.len()).filter(|index| self.slots[*index].task.is_none());
        let common = |index: &usize| self.slots[*index].cache.common(&prompt);
        // Of equals the first one.
        let alike = idle().rev().max_by_key(common)?;
        let part = f64::from(common(&alike)) / f64::from(prompt.tokens);
        let (chosen, keep) = if part > self.options.similarity {
            let held = self.slots[alike].cache.tokens;
            (alike, f64::from(common(&alike)) >= 0.5 * f64::from(held))
        } else {
            (idle().min_by_key(|index| self.slots[*index].used)?, false)
        };
        if !keep && self.options.host_tokens > 0 {
            let held = self.slots[chosen].cache;
            let better = self.host.best(prompt) > held.common(&prompt);
            self.host.save(held);
            self.copied += self.copy_time(held.tokens);
            if better && let Some(found) = self.host.load(prompt) {
                self.copied += self.copy_time(found.tokens);
                self.slots[chosen].cache = found;
            }
        }
        Some(chosen)
    }

    fn copy_time(&self, tokens: u32) -> Seconds {
        self.options.token_bytes * f64::from(tokens) / self.options.copy
    }

    /// Makes room for `more` cells of slot `index`: idle slots lose their caches, the longest idle
    /// first. `false` when that is not enough.
    fn make_room(&mut self, more: u32) -> bool {
        if !self.options.unified {
            return true;
        }
        while self.cells() + more > self.options.cells {
            let idle = (0..self.slots.len())
                .filter(|index| {
                    self.slots[*index].task.is_none() && self.slots[*index].cache.tokens > 0
                })
                .min_by_key(|index| self.slots[*index].used);
            let Some(index) = idle else { return false };
            self.slots[index].cache = Content::default();
            self.preemptions += 1;
        }
        true
    }

    /// Schedules `tokens` of a slot, or gives its request up when the cache is full.
    fn put(&mut self, index: usize, tokens: u32) -> bool {
        let fits = self.make_room(tokens);
        let slot = &mut self.slots[index];
        if fits {
            if let Some(task) = &mut slot.task {
                task.scheduled = tokens;
            }
        } else if let Some(task) = slot.task.take() {
            // The server answers "context size has been exceeded" and clears the slot.
            self.refused.push(task.request);
        }
        fits
    }
}

impl Policy for Llama {
    fn submit(&mut self, request: Request) {
        if request.content.tokens + request.output > self.most_cells() {
            self.refused.push(request);
        } else {
            self.waiting.push_back(request);
        }
    }

    fn schedule(&mut self, _: Nanos, batch: &mut Batch) {
        self.assign();
        let mut budget = self.options.batch;
        for index in 0..self.slots.len() {
            let Some(task) = &self.slots[index].task else { continue };
            if task.decodes() && budget > 0 {
                let depth = task.known;
                if self.put(index, 1) {
                    batch.decode.push(depth);
                    budget -= 1;
                }
            }
        }
        for index in 0..self.slots.len() {
            let Some(task) = &self.slots[index].task else { continue };
            if task.decodes() || budget == 0 {
                continue;
            }
            let chunk = Chunk { tokens: task.rest().min(budget), depth: task.computed };
            let image = if task.encoded { 0 } else { task.request.image_tokens };
            if self.put(index, chunk.tokens) {
                batch.chunks.push(chunk);
                batch.image_tokens += image;
                budget -= chunk.tokens;
            }
        }
        batch.extra = std::mem::take(&mut self.copied);
    }

    fn complete(&mut self, now: Nanos, meter: &mut Meter, answered: &mut Vec<Sequence>) {
        for slot in &mut self.slots {
            let Some(task) = &mut slot.task else { continue };
            if task.scheduled > 0 && task.advance(now, Nanos::ZERO, meter) {
                slot.cache = task.content();
                slot.used = now;
                answered.extend(slot.task.take());
            }
        }
    }

    fn steady(&self, roles: &mut Vec<(u32, u64)>) -> Option<Steady> {
        // A slot that has just given its request up takes another one in the next step.
        if !self.waiting.is_empty() && self.slots.iter().any(|slot| slot.task.is_none()) {
            return None;
        }
        let (seen, least) =
            in_step(self.slots.iter().filter_map(|slot| slot.task.as_ref()), roles)?;
        // Until there would have to be room made for one more token each.
        let room = if self.options.unified {
            let busy = self.slots.iter().filter(|slot| slot.task.is_some()).count();
            self.options.cells.saturating_sub(self.cells()) / busy as u32
        } else {
            u32::MAX
        };
        Some(Steady { steps: least.min(room), seen, lags: false })
    }

    fn catch_up(&mut self, steps: u32, seen: Nanos, _: Nanos) {
        for task in self.slots.iter_mut().filter_map(|slot| slot.task.as_mut()) {
            task.generate(steps, seen);
        }
    }

    fn refused(&mut self) -> Option<Request> {
        self.refused.pop()
    }

    fn outstanding(&self) -> usize {
        let busy = self.slots.iter().filter(|slot| slot.task.is_some()).count();
        self.waiting.len() + busy
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn cached_tokens(&self) -> u64 {
        u64::from(self.cells())
    }

    fn preemptions(&self) -> u64 {
        self.preemptions
    }
}
