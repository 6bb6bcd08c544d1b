//! Engines that take a share of each device at start: what is left of it for the cache, and how many
//! tokens and requests that holds.

use localrig_facts::calibration::DefaultSplit;
use localrig_facts::engine::ShareOf;
use localrig_facts::unit::{Bytes, Tokens};
use localrig_facts::{Basis, Estimate};
use serde::Serialize;

use super::derivation::{gib, range};
use super::spread::add;
use super::{Ask, Holding, Memory, MemoryError, Verdict, gib_range, largest, largest_count};
use crate::context::state_bytes;
use crate::pool::{Pool, PoolAsk, Slice, block_pool, pool_bytes, slice_bytes};
use crate::term::Term;

/// The pool of KV blocks, for each of the devices alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reserve {
    /// Share of each device that the engine takes (`--gpu-memory-utilization`).
    pub device_share: f64,
    /// Devices.
    pub devices: u32,
    /// Devices that share every layer (`--tensor-parallel-size`).
    pub tensor_parallel: u64,
    /// Pipeline stages.
    pub stages: u32,
    /// Weights on the fullest device.
    pub device_weights_bytes: Bytes,
    /// Activations, graphs and runtime of one device.
    pub beside_bytes: Estimate<Bytes>,
    /// What is left for blocks on the fullest device.
    pub pool_bytes: Estimate<Bytes>,
    /// Prompt tokens computed at once (`--max-num-batched-tokens`).
    pub batched_tokens: u64,
    /// Tokens of a block.
    pub block_tokens: u64,
    /// Groups of layers that each take blocks.
    pub groups: u64,
    /// Blocks that a request of the asked length needs free to be admitted.
    pub blocks_per_request: u64,
    /// Tokens the pool holds.
    pub tokens: Estimate<Tokens>,
    /// Whole requests of the asked length held at once.
    pub requests: Estimate<u64>,
}

/// What one pipeline stage holds.
struct Stage {
    slice: Slice,
    weights: Bytes,
}

/// The devices before any context.
struct Ground {
    share: f64,
    devices: u32,
    stages: Vec<Stage>,
    /// What the smallest device shows.
    memory: Bytes,
    /// What takes from the share before the cache.
    beside: Estimate<Bytes>,
    /// What runs on a device beside weights and cache, inside the share or not.
    running: Estimate<Bytes>,
    batched_tokens: u64,
    /// Tokens of a block, before hybrids raise it.
    block_tokens: u64,
}

impl Ground {
    /// What is left on a device of a stage when beside it takes so much.
    fn left(&self, stage: &Stage, beside: Bytes) -> Bytes {
        pool_bytes(self.memory, self.share, stage.weights, beside)
    }

    /// The pool of the stage that holds the fewest tokens.
    fn pool(&self, holding: &Holding<'_>, ask: Ask, beside: Bytes) -> Option<Pool> {
        let pools = self.stages.iter().filter_map(|stage| {
            let asked = PoolAsk {
                kv: ask.kv,
                context: ask.context,
                batched_tokens: self.batched_tokens,
                block_tokens: self.block_tokens,
                slice: stage.slice,
            };
            block_pool(holding.layout, self.left(stage, beside), asked)
        });
        pools.min_by(|a, b| a.requests.total_cmp(&b.requests))
    }

    fn requests(&self, holding: &Holding<'_>, ask: Ask) -> u64 {
        self.pool(holding, ask, self.beside.high).map_or(0, |pool| pool.requests as u64)
    }
}

impl Holding<'_> {
    /// Memory under an engine that takes its share at start.
    pub(super) fn reserve(&self, ask: Ask) -> Result<Memory, MemoryError> {
        let ground = self.ground(ask)?;
        let fullest = ground.stages.iter().map(|one| one.weights).reduce(Bytes::max);
        let weights = fullest.unwrap_or(Bytes::ZERO);
        let stage = ground.stages.iter().find(|stage| stage.weights == weights);
        let left = |beside: Bytes| stage.map_or(Bytes::ZERO, |stage| ground.left(stage, beside));
        let basis = ground.running.basis;
        let ends = [ground.beside.value, ground.beside.high, ground.beside.low];
        let pools = ends.map(|beside| ground.pool(self, ask, beside));
        let [value, low, high] = pools;
        let tokens = |pool: Option<Pool>| Tokens::new(pool.map_or(0, |pool| pool.tokens) as f64);
        let requests = |pool: Option<Pool>| pool.map_or(0, |pool| pool.requests as u64);
        let count = f64::from(ground.devices);
        let tensor = stage.map_or(1, |stage| stage.slice.tensor);
        let reserve = Reserve {
            device_share: ground.share,
            devices: ground.devices,
            tensor_parallel: tensor,
            stages: ground.stages.len() as u32,
            device_weights_bytes: weights,
            beside_bytes: ground.running,
            pool_bytes: Estimate {
                value: left(ends[0]),
                low: left(ends[1]),
                high: left(ends[2]),
                basis,
            },
            batched_tokens: ground.batched_tokens,
            block_tokens: value.map_or(0, |pool| pool.block_tokens),
            groups: value.map_or(0, |pool| pool.groups),
            blocks_per_request: value.map_or(0, |pool| pool.blocks_per_request),
            tokens: Estimate { value: tokens(value), low: tokens(low), high: tokens(high), basis },
            requests: Estimate {
                value: requests(value),
                low: requests(low),
                high: requests(high),
                basis,
            },
        };
        let verdict = match reserve.requests {
            one if one.low >= ask.streams => Verdict::Fits,
            one if one.value >= ask.streams => Verdict::Tight,
            _ => Verdict::No,
        };
        let fits = |ask: Ask| ground.requests(self, ask) >= ask.streams;
        let all_weights: Bytes =
            ground.stages.iter().map(|stage| stage.weights * stage.slice.tensor as f64).sum();
        // Blocks that requests of this length hold, on all devices.
        let blocks = value.map_or(Bytes::ZERO, |pool| pool.block_bytes);
        let held = blocks * (reserve.blocks_per_request * ask.streams) as f64 * count;
        let state = Bytes::new((state_bytes(self.layout) * ask.streams) as f64).min(held);
        let runtime = self.runtime()?;
        let running = ground.running.map(|one| one * count);
        let (runtime_all, vision) = (runtime.map(|one| one * count), self.vision(ask)?);
        let graph = Estimate {
            value: running.value - runtime_all.value - vision.value * count,
            low: running.low - runtime_all.low - vision.low * count,
            high: running.high - runtime_all.high - vision.high * count,
            basis: ground.running.basis,
        };
        let exact = Estimate::exact(all_weights + held);
        Ok(Memory {
            weights_bytes: self.weights.loaded,
            device_weights_bytes: all_weights,
            held_twice_bytes: Bytes::ZERO,
            kv_cache_bytes: held - state,
            recurrent_state_bytes: state,
            graph_bytes: graph,
            runtime_bytes: runtime_all,
            vision_bytes: ask.vision.then_some(vision),
            total_bytes: add([exact, running].into_iter()),
            usable_bytes: Some(ground.memory * ground.share * count),
            margin_bytes: Some(Bytes::ZERO),
            verdict: Some(verdict),
            largest_context_tokens: largest(self.model.context_tokens, |context| {
                fits(Ask { context, ..ask })
            }),
            streams_that_fit: Some(largest_count(self.most_streams(), |streams| {
                fits(Ask { streams, ..ask })
            })),
            spread: None,
            terms: self.reserve_terms(ask, &reserve, value),
            pool: Some(reserve),
        })
    }

    fn ground(&self, ask: Ask) -> Result<Ground, MemoryError> {
        let facts = &self.setup.engine.memory;
        let devices: u32 = self.machine.devices.iter().map(|device| device.count).sum();
        let alike = self.machine.devices.len() == 1;
        let place = self.setup.places.first();
        let slices = alike
            && devices.is_power_of_two()
            && self.layout.heads().cut_into(devices)
            && place.is_some_and(|place| place.placed.class.parallel == DefaultSplit::Tensor);
        let slices = if slices {
            vec![Slice { tensor: u64::from(devices), ..Slice::WHOLE }]
        } else if devices == 1 {
            vec![Slice::WHOLE]
        } else {
            Slice::stages(self.layout.main_layers, devices)
        };
        let stages = slices.into_iter().map(|slice| Stage {
            slice,
            weights: slice_bytes(self.layout, &self.weights.tensors, slice),
        });
        let mut memory = None;
        for device in &self.machine.devices {
            let one =
                device.usable().ok_or_else(|| MemoryError::Usable { device: device.id.clone() })?;
            memory = Some(memory.map_or(one, |known: Bytes| known.min(one)));
        }
        let spread = |range| {
            let [low, high] = gib_range(range);
            Estimate { value: (low + high) / 2.0, low, high, basis: Basis::Assumed }
        };
        let rough = [
            spread(facts.activation_gib),
            spread(facts.graphs_gib),
            self.runtime()?,
            self.vision(ask)?,
        ];
        let running = add(rough.into_iter());
        let beside = match facts.share_of {
            // What lies beside the share does not take from the cache.
            Some(ShareOf::Cache) => Estimate::exact(Bytes::ZERO),
            Some(ShareOf::Everything) | None => running,
        };
        let memory = memory.unwrap_or(Bytes::ZERO);
        let batched = facts.batched_tokens(self.smallest_device());
        let block = self.setup.block_tokens.map(u64::from);
        let no_block = || MemoryError::BlockTokens { engine: self.setup.engine_id.clone() };
        Ok(Ground {
            share: self.device_share().unwrap_or(1.0),
            devices,
            stages: stages.collect(),
            memory,
            beside,
            running,
            // Without a limit of its own an engine reads a whole prompt at once.
            batched_tokens: self.setting.batched_tokens.or(batched).unwrap_or(ask.context),
            block_tokens: block.ok_or_else(no_block)?,
        })
    }

    fn reserve_terms(&self, ask: Ask, reserve: &Reserve, pool: Option<Pool>) -> Vec<Term> {
        let model = self.layout.id.as_str();
        let engine = self.setup.engine_id.as_str();
        let family = format!("architecture/{}", self.layout.family);
        let cut = if reserve.tensor_parallel > 1 {
            format!("cut between {} devices, vectors and routers whole", reserve.tensor_parallel)
        } else {
            format!("layers dealt out between {} device(s)", reserve.devices)
        };
        let block = pool.map_or(Bytes::ZERO, |pool| pool.block_bytes);
        let layers = pool.map_or(0, |pool| pool.group_layers);
        vec![
            Term::new(
                "weights, each device",
                format!("{} tensors as stored, {cut}", self.layout.tensors.len()),
                gib(reserve.device_weights_bytes),
                Basis::Exact,
                &[model, &family],
            ),
            Term::new(
                "beside, each device",
                "activations of the largest batch, recorded graphs, runtime, vision tower",
                range(&reserve.beside_bytes),
                reserve.beside_bytes.basis,
                &[engine],
            ),
            Term::new(
                "pool, each device",
                format!("{} of the device - weights - beside", reserve.device_share),
                range(&reserve.pool_bytes),
                reserve.pool_bytes.basis,
                &[engine],
            ),
            Term::new(
                "block",
                format!(
                    "{} tokens of {layers} layer(s) of a group, {} group(s), {}",
                    reserve.block_tokens, reserve.groups, ask.kv.name
                ),
                format!("{:.1} KiB", block.get() / 1024.0),
                Basis::Exact,
                &[model, engine],
            ),
            Term::new(
                "blocks of a request",
                format!(
                    "{} tokens in full layers; window - 1 + {} batched tokens and one block more in windowed ones; one for a recurrent state",
                    ask.context, reserve.batched_tokens
                ),
                reserve.blocks_per_request.to_string(),
                Basis::Exact,
                &[model, engine],
            ),
            Term::new(
                "requests at once",
                "blocks of the pool / blocks of a request, whole ones",
                format!(
                    "{} ({} to {})",
                    reserve.requests.value, reserve.requests.low, reserve.requests.high
                ),
                reserve.requests.basis,
                &[],
            ),
        ]
    }
}
