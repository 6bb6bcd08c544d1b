//! How an engine schedules, from the facts the catalog has about it, and the room of its cache.

use localrig_estimate::architecture::Layout;
use localrig_estimate::context::{bytes_for_tokens, state_bytes};
use localrig_estimate::memory::Ask;
use localrig_facts::engine::{Engine, Policy};
use localrig_facts::machine::Machine;
use localrig_facts::unit::{Bytes, BytesPerSec};
use localrig_facts::{Catalog, Id};
use localrig_simulate::engine as scheduler;
use localrig_simulate::scenario::Server;

use super::ScenarioError;

/// The least cache a pool with blocks of so many tokens must have: one context.
pub(super) fn minimum_pool(layout: &Layout, ask: Ask, block: u32) -> Bytes {
    bytes_for_tokens(layout, ask.context, u64::from(block), ask.kv)
}

/// Bytes a token of context takes in the cache, recurrent state aside.
pub(super) fn token_bytes(layout: &Layout, ask: Ask) -> Bytes {
    let state = Bytes::new(state_bytes(layout) as f64);
    (bytes_for_tokens(layout, ask.context, 1, ask.kv) - state) / ask.context.max(1) as f64
}

/// Bytes of a block of so many tokens.
pub(super) fn block_bytes(layout: &Layout, ask: Ask, block: u32) -> Bytes {
    (token_bytes(layout, ask) * f64::from(block)).max(Bytes::new(1.0))
}

/// How an engine schedules: its own facts, or those of the engine that stands for it.
pub(super) struct Rules<'a> {
    id: &'a Id,
    pub(super) engine: &'a Engine,
}

impl<'a> Rules<'a> {
    pub(super) fn of(
        catalog: &'a Catalog,
        id: &'a Id,
        engine: &'a Engine,
    ) -> Result<Self, ScenarioError> {
        let (id, engine) = match &engine.scheduler.like {
            Some(like) => catalog.get_in::<Engine>(like)?,
            None => (id, engine),
        };
        Ok(Self { id, engine })
    }

    /// A fact, or the error that it is missing.
    fn needed<T>(&self, fact: &'static str, found: Option<T>) -> Result<T, ScenarioError> {
        found.ok_or_else(|| ScenarioError::NoSchedule {
            engine: self.engine.name.clone(),
            id: self.id.short().to_owned(),
            fact,
        })
    }

    /// Tokens of a block of the cache.
    pub(super) fn block(&self) -> Result<u32, ScenarioError> {
        let block = self.engine.scheduler.block_tokens.filter(|block| *block > 0);
        self.needed("scheduler.block_tokens", block)
    }
}

/// What an engine has for its cache.
#[derive(Clone, Copy)]
pub(super) struct Cache {
    /// Tokens it is asked to hold.
    pub(super) cells: u64,
    /// Bytes of a pool.
    pub(super) room: Bytes,
    /// Rate of copies to main memory.
    pub(super) copy: BytesPerSec,
}

/// How the engine schedules, with the room it has.
///
/// # Errors
/// When the catalog lacks a fact about it.
pub(super) fn schedule(
    rules: &Rules<'_>,
    layout: &Layout,
    ask: Ask,
    cache: Cache,
    machine: &Machine<'_>,
) -> Result<scheduler::Engine, ScenarioError> {
    let facts = &rules.engine.scheduler;
    let state = Bytes::new(state_bytes(layout) as f64);
    // The largest device decides.
    let memory = machine.devices.iter().map(|one| one.memory).fold(Bytes::ZERO, Bytes::max);
    let batched = || {
        let tokens = rules.engine.memory.batched_tokens(memory);
        let tokens = tokens.and_then(|tokens| u32::try_from(tokens).ok());
        rules.needed("memory.batched_tokens", tokens)
    };
    Ok(match rules.needed("scheduler.policy", facts.policy)? {
        Policy::Blocks => {
            let tokens = rules.block()?;
            let block = block_bytes(layout, ask, tokens);
            scheduler::Engine::Vllm(scheduler::vllm::Options {
                blocks: (cache.room / block) as u32,
                block: tokens,
                extra_blocks: (state / block).ceil() as u32,
                budget: batched()?,
                sequences: rules.needed("scheduler.running", facts.running(memory))?,
                caching: rules.needed("scheduler.prefix_caching", facts.prefix_caching)?,
                asynchronous: rules.needed("scheduler.asynchronous", facts.asynchronous)?,
            })
        }
        Policy::Turns => scheduler::Engine::Mlx(scheduler::mlx::Options {
            tokens: u32::try_from(cache.cells).unwrap_or(u32::MAX),
            decode: rules.needed("scheduler.decoding", facts.decoding)?,
            prompts: rules.needed("scheduler.prompts", facts.prompts)?,
            chunk: batched()?,
            kept: rules.needed("scheduler.kept_prompts", facts.kept_prompts)?,
        }),
        Policy::Slots => {
            let unified = rules.needed("scheduler.unified", facts.unified)?;
            let host = rules.needed("scheduler.host_cache_gib", facts.host_cache_gib)?.quantity();
            // Slots with cells of their own are all alike.
            let cells = if unified { cache.cells } else { ask.context * ask.streams };
            let token_bytes = token_bytes(layout, ask);
            scheduler::Engine::Llama(scheduler::llama::Options {
                slots: u32::try_from(ask.streams).unwrap_or(u32::MAX),
                cells: u32::try_from(cells).unwrap_or(u32::MAX),
                unified,
                batch: rules.needed("scheduler.step_tokens", facts.step_tokens)?,
                similarity: rules.needed("scheduler.prompt_similarity", facts.prompt_similarity)?,
                host_tokens: (host / token_bytes.max(Bytes::new(1.0))) as u64,
                token_bytes,
                copy: cache.copy,
                cuts: state == Bytes::ZERO,
            })
        }
    })
}

/// A cache that takes what the others leave.
pub(super) struct Pool {
    pub(super) server: usize,
    /// What the engine may use of its devices, less what is kept free.
    pub(super) offered: Bytes,
    /// The least it must have, which is taken already.
    pub(super) least: Bytes,
    /// What its roles ask for.
    pub(super) asked: Bytes,
    /// Bytes of a block.
    pub(super) block: Bytes,
}

/// vLLM fills what its devices have with its cache: what is left is shared out by what was asked.
pub(super) fn fill_pools(pools: &[Pool], held: &[Bytes], servers: &mut [Server]) {
    for pool in pools {
        let devices = servers[pool.server].devices.clone();
        let taken: Bytes = devices.iter().map(|unit| held[*unit as usize]).sum();
        let rivals = pools.iter().filter(|other| {
            servers[other.server].devices.iter().any(|device| devices.contains(device))
        });
        let asked: Bytes = rivals.map(|other| other.asked).sum();
        let left = (pool.offered - taken).max(Bytes::ZERO);
        let room = pool.least + left * (pool.asked / asked.max(Bytes::new(1.0)));
        if let scheduler::Engine::Vllm(options) = &mut servers[pool.server].engine {
            options.blocks = (room / pool.block) as u32;
        }
    }
}
