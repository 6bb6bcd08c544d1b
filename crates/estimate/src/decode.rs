//! Time of one generation step.
//!
//! A step reads the weights it needs once for all streams, reads every stream's KV cache, does the
//! arithmetic, and pays a fixed price per layer and per step:
//!
//! ```text
//! step   = (memory^p + arithmetic^p)^(1/p) + kv + state + layers + fixed + streams + link + host
//! memory = (base * passes(B) + experts(B) / gather) / (share * packing * bandwidth)
//! ```
//!
//! Constants are data: `catalog/calibration/`. Each term is one function that says where its form
//! comes from.

use localrig_facts::format::Kernel;

use crate::parameter::{Constants, Parameter};
use crate::run::{Host, Run};
use crate::work::{KernelWork, Work};
use crate::{link, offload, power};

/// The parts of a step, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Reading weights.
    pub memory: f64,
    /// Unpacking weights, or matrix products of a batch.
    pub arithmetic: f64,
    /// Reading the KV cache of all streams.
    pub kv: f64,
    /// Reading and writing recurrent state.
    pub state: f64,
    /// Launches and small kernels of the layers.
    pub layers: f64,
    /// Fixed cost of a step.
    pub fixed: f64,
    /// Cost of further streams.
    pub streams: f64,
    /// Devices talking to each other.
    pub link: f64,
    /// Weights in host memory.
    pub host: f64,
    /// All of it: memory and arithmetic overlap, and a power limit stretches the device's part.
    pub total: f64,
}

impl Step {
    /// This step's share of a model that is spread over unlike devices.
    #[must_use]
    pub fn scaled(self, share: f64) -> Self {
        self.map(|part| part * share)
    }

    /// The steps of two parts of a model, one after the other.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let theirs = other.parts();
        let mut index = 0;
        self.map(|part| {
            index += 1;
            part + theirs[index - 1]
        })
    }

    const fn parts(&self) -> [f64; 10] {
        [
            self.memory,
            self.arithmetic,
            self.kv,
            self.state,
            self.layers,
            self.fixed,
            self.streams,
            self.link,
            self.host,
            self.total,
        ]
    }

    fn map(self, mut f: impl FnMut(f64) -> f64) -> Self {
        let [memory, arithmetic, kv, state, layers, fixed, streams, link, host, total] =
            self.parts().map(&mut f);
        Self { memory, arithmetic, kv, state, layers, fixed, streams, link, host, total }
    }
}

/// A step of `streams` streams on each copy, each with `depth` tokens of context.
pub fn step(run: &Run<'_>, constants: &Constants, depth: f64, streams: f64) -> Step {
    let width = f64::from(run.split.tensor);
    let memory = memory(run, constants, streams) / width;
    let arithmetic = arithmetic(run, constants, streams) / width;
    let mut overlap = constants[Parameter::OverlapSingle].max(1.0);
    if streams > 1.0 {
        overlap = overlap.min(constants[Parameter::OverlapBatch].max(1.0));
    }
    let busy = norm(memory, arithmetic, overlap);
    let here = resident(run, |host| host.attention);
    let kv = kv(run, constants, depth, streams) * here / width;
    let state = state(run, constants, streams) * here / width;
    let layers = constants[Parameter::LayerUs] * 1e-6 * layer_weight(run, constants);
    let fixed = constants[Parameter::StepUs] * 1e-6;
    let further = constants[Parameter::StreamUs] * 1e-6 * (streams - 1.0);
    let link = link::all_reduce(run, constants, streams) + link::handover(run, constants, streams);
    let host = offload::decode(run, constants, depth, streams);
    let intensity = arithmetic / (arithmetic + memory + kv + state);
    let device = (busy + kv + state) / power::decode(run, constants, intensity);
    Step {
        memory,
        arithmetic,
        kv,
        state,
        layers,
        fixed,
        streams: further,
        link,
        host,
        total: device + layers + fixed + further + link + host,
    }
}

/// What contexts add to a step of a device that no power limit holds back and no host helps.
pub(crate) fn context(run: &Run<'_>, constants: &Constants, depth: f64, streams: f64) -> f64 {
    kv(run, constants, depth, streams) / f64::from(run.split.tensor)
}

/// `(a^p + b^p)^(1/p)`: two kinds of work that overlap the better the larger `p`.
pub(crate) fn norm(a: f64, b: f64, p: f64) -> f64 {
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    if small <= 0.0 {
        return large;
    }
    large * (1.0 + (small / large).powf(p)).powf(1.0 / p)
}

/// Share of some weights that is not on the host.
fn resident(run: &Run<'_>, away: fn(Host) -> f64) -> f64 {
    1.0 - run.host.map_or(0.0, away)
}

/// Reading weights: every byte a step needs, as often as the engine's kernels do (roofline; Williams et
/// al. 2009). Packed types read at their own share of the bandwidth.
fn memory(run: &Run<'_>, constants: &Constants, streams: f64) -> f64 {
    let work = run.work;
    let base = resident(run, |host| host.base);
    let mut experts = 0.0;
    if work.is_mixture() {
        experts = experts_read(work, constants, streams)
            / work.experts as f64
            / constants[Parameter::ExpertGather]
            * resident(run, |host| host.experts);
    }
    let passes = passes(constants, streams);
    let further = (sequence_passes(constants, streams) - passes).max(0.0);
    let mut bytes = 0.0;
    for (kernel, own) in work.kernels.iter().enumerate() {
        let fixed = (own.base + own.head) * passes + own.by_sequence * further;
        let read = fixed * base + own.experts * experts;
        if read > 0.0 {
            bytes += read / constants[Parameter::ReadFloat16.for_kernel(kernel)];
        }
    }
    bytes / (constants[Parameter::BandwidthShare] * run.rates.bandwidth)
}

/// Experts that a step reads per layer, one that is read twice counted twice: every stream's own where
/// an engine multiplies them token by token, each that any of them touches where it gathers them.
pub(crate) fn experts_read(work: &Work, constants: &Constants, streams: f64) -> f64 {
    if streams <= count(constants, Parameter::ExpertColumns) {
        streams * work.experts_used as f64
    } else {
        work.experts_touched(streams, constants[Parameter::RoutingConcentration])
    }
}

/// A constant that counts things: levels are products, which leave 7.999… of 8.
pub(crate) fn count(constants: &Constants, parameter: Parameter) -> f64 {
    constants[parameter].round().max(1.0)
}

/// How often the other weights are read: once, but for kernels of small batches that take fewer columns
/// at once than there are.
pub(crate) fn passes(constants: &Constants, streams: f64) -> f64 {
    if streams <= count(constants, Parameter::VectorColumns) {
        (streams / count(constants, Parameter::VectorPass)).ceil().max(1.0)
    } else {
        1.0
    }
}

/// How often the projections of recurrent layers are read.
pub(crate) fn sequence_passes(constants: &Constants, streams: f64) -> f64 {
    (streams / count(constants, Parameter::ProjectionStreams)).max(1.0)
}

/// Unpacking weights and multiplying them with a batch: column by column on the shader units up to as
/// many columns as an engine has kernels for, beyond that in whole tiles on the matrix units. Experts
/// have kernels of their own, and so have projections that are multiplied sequence by sequence.
fn arithmetic(run: &Run<'_>, constants: &Constants, streams: f64) -> f64 {
    let work = run.work;
    let weights = &work.weights;
    let base = resident(run, |host| host.base);
    let one = |of: fn(&KernelWork) -> f64| unpack(run, constants, of);
    let sequences = sequence_passes(constants, streams);
    let apart = if sequences > 1.0 { 1.0 } else { 0.0 };
    let by_sequence: f64 = work.kernels.iter().map(|own| own.by_sequence_parameters).sum();
    let dense = weights.base_parameters + weights.head_parameters - apart * by_sequence;
    let columns = streams.min(count(constants, Parameter::VectorColumns));
    let mut together = (one(|own| own.base_parameters + own.head_parameters)
        + (sequences - 1.0) * one(|own| own.by_sequence_parameters))
        * base
        + further_columns(run, constants, dense * base, columns);
    if streams > columns {
        let padded = streams.max(constants[Parameter::BatchTile]);
        together = together.max(products(run, constants, dense * base * padded));
    }
    if !work.is_mixture() {
        return together;
    }
    let here = resident(run, |host| host.experts);
    let token = one(|own| own.expert_parameters) * work.used_share() * here;
    let columns = streams.min(count(constants, Parameter::ExpertColumns));
    if streams <= columns {
        return together + token * columns;
    }
    let touched = work.experts_touched(streams, constants[Parameter::RoutingConcentration]);
    let rows = streams * work.experts_used as f64 + constants[Parameter::ExpertTile] * touched;
    let expert = weights.expert_parameters / work.experts as f64 * here;
    together + token.max(products(run, constants, expert * rows))
}

/// Unpacking the weights of one column on the shader units.
fn unpack(run: &Run<'_>, constants: &Constants, parameters: fn(&KernelWork) -> f64) -> f64 {
    let mut operations = 0.0;
    for (kernel, own) in run.work.kernels.iter().enumerate() {
        let active = parameters(own);
        if active > 0.0 {
            operations += active * constants[Parameter::UnpackFloat16.for_kernel(kernel)];
        }
    }
    operations * constants[Parameter::UnpackCost] / run.rates.shader
}

/// Columns after the first one on the shader units, which unpack and multiply `parameters` anew for each
/// of them (llama.cpp: `MMVQ_MAX_BATCH_SIZE` in ggml-cuda/mmvq.cuh).
fn further_columns(run: &Run<'_>, constants: &Constants, parameters: f64, columns: f64) -> f64 {
    parameters * (columns - 1.0).max(0.0) * constants[Parameter::ColumnCost] / run.rates.shader
}

/// Matrix products of so many parameters times rows, on the matrix units.
fn products(run: &Run<'_>, constants: &Constants, parameters: f64) -> f64 {
    2.0 * parameters / (run.rates.matrix * constants[Parameter::BatchMatrixShare])
}

/// Share of the bandwidth that so many caches are read with.
pub(crate) fn kv_share(constants: &Constants, streams: f64) -> f64 {
    let own = constants[Parameter::KvShare];
    let grown = own * streams.powf(constants[Parameter::BatchKvGrowth].min(0.9));
    grown.min(constants[Parameter::BatchKvLimit].max(own))
}

/// Reading the KV cache: every stream's own, better spread over the device the more there are.
fn kv(run: &Run<'_>, constants: &Constants, depth: f64, streams: f64) -> f64 {
    let share = kv_share(constants, streams);
    let mut cost = if run.work.latent { constants[Parameter::LatentKv] } else { 1.0 };
    if run.work.kv.bytes_per_element() < 2.0 {
        cost *= constants[Parameter::QuantizedKv];
    }
    run.work.kv_read(depth).get() * streams * cost / (run.rates.bandwidth * share)
}

/// Reading and writing recurrent state, once per stream; engines differ in how well they do it for
/// several at once.
fn state(run: &Run<'_>, constants: &Constants, streams: f64) -> f64 {
    let share = constants[Parameter::StateShare] * constants[Parameter::BandwidthShare];
    let streams = 1.0 + (streams - 1.0) * constants[Parameter::BatchState];
    2.0 * streams * run.work.state.get() / (run.rates.bandwidth * share)
}

/// Layers in units of plain ones. A layer is half mixing, half feed-forward; a block that is only
/// one of the two counts half.
pub(crate) fn layer_weight(run: &Run<'_>, constants: &Constants) -> f64 {
    let count = &run.work.layers;
    // A kind of layer never costs less than a third of a plain one.
    let half = |parameter| (constants[parameter] - 0.5).max(0.3);
    let mixing = if run.work.latent { half(Parameter::LatentLayer) } else { 0.5 };
    count.attention * mixing
        + count.recurrent * half(Parameter::RecurrentLayer)
        + count.mixture * half(Parameter::MixtureLayer)
        + count.dense * 0.5
        + count.hyper * constants[Parameter::HyperLayer]
}

/// The kinds of kernels that a model's weights need.
pub(crate) fn kernels(run: &Run<'_>) -> impl Iterator<Item = Kernel> {
    let used = |kernel: &Kernel| {
        let own = &run.work.kernels[kernel.index()];
        own.base + own.head + own.experts > 0.0
    };
    Kernel::ALL.into_iter().filter(used)
}
