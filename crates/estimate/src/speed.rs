//! Speed of a model on a machine, with intervals and the reasons.

use localrig_facts::calibration::{DefaultSplit, Intervals};
use localrig_facts::gpu::GpuKind;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::measured::Phase;
use localrig_facts::unit::{BytesPerSec, Seconds, Tokens, TokensPerSec};
use localrig_facts::{Basis, Catalog, Estimate, Id};
use serde::Serialize;

use crate::architecture::Heads;
use crate::calibration::{Level, Measured, Seen};
use crate::decode::{self, Step, step};
use crate::fit::interval::{Kind, half_width, stratum};
use crate::link::taken_for;
use crate::memory::Offloaded;
use crate::parameter::{Constants, Parameter};
use crate::prefill::{self, prefill};
use crate::processor::{self, whole};
use crate::rate::{MissingFact, Rates, pcie};
use crate::run::{Host, HostBandwidth, Link, Run, Split};
use crate::setup::{OnCpu, Setup, SpeedError};
use crate::work::Work;

mod derivation;

/// Speed of generation at one depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecodeSpeed {
    /// Tokens in the context of each stream.
    pub depth_tokens: u64,
    /// Speed of one stream while all run.
    pub per_stream_tok_per_s: Estimate<TokensPerSec>,
    /// Speed of all streams together.
    pub total_tok_per_s: Estimate<TokensPerSec>,
}

/// Speed of reading a prompt at one depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrefillSpeed {
    /// New tokens.
    pub prompt_tokens: u64,
    /// Tokens already in the cache.
    pub depth_tokens: u64,
    /// Speed.
    pub tok_per_s: Estimate<TokensPerSec>,
    /// Time until the first token comes.
    pub ttft_s: Estimate<Seconds>,
}

/// One kind of device with what the engine makes of it.
#[derive(Clone, Debug)]
struct Stage<'a> {
    device: Device<'a>,
    constants: Constants,
    rates: Rates,
    split: Split,
    chunk_tokens: f64,
    /// Share of the layers.
    share: f64,
    /// What of the model the CPU computes meanwhile.
    host: Option<Host>,
}

impl Stage<'_> {
    const fn run<'b>(&'b self, work: &'b Work) -> Run<'b> {
        Run {
            work,
            rates: &self.rates,
            split: self.split,
            host: self.host,
            chunk_tokens: self.chunk_tokens,
            power_limit: None,
            memory: None,
        }
    }
}

/// A CPU that holds the whole model.
#[derive(Clone, Copy, Debug)]
struct Alone {
    constants: Constants,
    host: Host,
    chunk_tokens: f64,
}

/// A model on a machine, ready to be asked for speeds.
#[derive(Clone, Debug)]
pub struct Pace<'a> {
    work: &'a Work,
    intervals: &'a Intervals,
    /// Empty where a CPU computes alone.
    stages: Vec<Stage<'a>>,
    /// The CPU of a machine without accelerators.
    cpu: Option<Alone>,
    seen: Seen,
    /// What has been measured on each kind of device.
    measured: Vec<Measured>,
    /// The user's own measurements of the least measured device.
    own_rows: u32,
    /// What one of them is worth.
    worth: f64,
    /// Time to hand a step from one kind of device to another.
    handover: Seconds,
    /// The engine would cut layers over the devices if the heads could be shared out.
    uncut: bool,
    /// What lies in host memory, and the host.
    offloaded: Option<(Offloaded, HostFacts)>,
    /// The engine class on the hardware class, of every kind of device.
    stacks: Vec<String>,
}

/// What is known of a host that computes a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostFacts {
    /// Bandwidth of its memory.
    pub bandwidth: HostBandwidth,
    /// Cores of its CPU.
    pub cores: Option<u32>,
}

impl<'a> Pace<'a> {
    /// The pace of a model on the machine's devices. Alike devices are used the way the engine
    /// does by default; over unlike ones layers are spread by memory, and a token goes through
    /// them one after the other.
    ///
    /// # Errors
    /// When a rate is not in the catalog.
    pub fn new(
        catalog: &'a Catalog,
        setup: &Setup<'a>,
        machine: &Machine<'a>,
        work: &'a Work,
    ) -> Result<Self, SpeedError> {
        let memory = |device: &Device<'_>| device.memory.get() * f64::from(device.count);
        let whole: f64 = machine.devices.iter().map(memory).sum();
        let alike = machine.devices.len() == 1;
        let (mut stages, mut uncut) = (Vec::new(), false);
        for (device, place) in machine.devices.iter().zip(&setup.places) {
            let class = place.placed.class;
            let native = work.native.as_deref();
            let rates = place.rates.clone()?;
            let rates = rates.of_weights(catalog, device, place.placed.peak, native);
            let sliced =
                alike && class.parallel == DefaultSplit::Tensor && device.count.is_power_of_two();
            let slices = sliced && work.heads.cut_into(device.count);
            uncut |= sliced && !slices;
            let (stages_here, tensor) = if slices { (1, device.count) } else { (device.count, 1) };
            let link = match device.count {
                1 => Link::Ideal,
                _ => Link::between(device)?,
            };
            stages.push(Stage {
                device: *device,
                constants: place.constants,
                rates,
                split: Split { stages: stages_here, tensor, replicas: 1, link },
                chunk_tokens: class.chunk_tokens as f64,
                share: memory(device) / whole,
                host: None,
            });
        }
        Ok(Self {
            work,
            intervals: catalog.intervals()?,
            handover: Seconds::us(catalog.machine_constants()?.handover_us),
            stages,
            cpu: None,
            seen: setup.places.iter().map(|place| place.seen).max().unwrap_or(Seen::Neither),
            measured: setup.places.iter().map(|place| place.measured).collect(),
            own_rows: setup.places.iter().map(|place| place.own_rows).min().unwrap_or(0),
            worth: catalog.priors()?.local.worth,
            stacks: setup
                .places
                .iter()
                .map(|place| place.placed.site.key(Level::Stack).to_owned())
                .collect(),
            uncut,
            offloaded: None,
        })
    }

    /// The pace of a model on a CPU alone, with the bandwidth of its memory and its cores.
    ///
    /// # Errors
    /// When the calibration is not in the catalog.
    pub fn on_cpu(
        catalog: &'a Catalog,
        on: &OnCpu<'_>,
        work: &'a Work,
        bandwidth: HostBandwidth,
        cores: u32,
    ) -> Result<Self, SpeedError> {
        Ok(Self {
            work,
            intervals: catalog.intervals()?,
            stages: Vec::new(),
            cpu: Some(Alone {
                constants: on.constants,
                host: whole(bandwidth, f64::from(cores)),
                chunk_tokens: on.class.chunk_tokens as f64,
            }),
            seen: Seen::Neither,
            measured: Vec::new(),
            own_rows: 0,
            worth: catalog.priors()?.local.worth,
            uncut: false,
            handover: Seconds::ZERO,
            offloaded: None,
            stacks: vec![on.site.key(Level::Stack).to_owned()],
        })
    }

    /// The same with so many layers on each device, in the machine's order; devices beyond the list
    /// have none.
    #[must_use]
    pub fn with_layers(mut self, layers: &[u32]) -> Self {
        let all: u32 = layers.iter().sum();
        let mut rest = layers.iter().copied();
        for stage in &mut self.stages {
            let own: Vec<u32> = rest.by_ref().take(stage.device.count as usize).collect();
            if stage.split.tensor > 1 || all == 0 {
                continue;
            }
            stage.share = f64::from(own.iter().sum::<u32>()) / f64::from(all);
            stage.split.stages = own.iter().filter(|layers| **layers > 0).count().max(1) as u32;
        }
        self
    }

    /// The same with every layer cut over `ways` devices like the machine's first, joined by `link`;
    /// by what the data sheet says when it is absent.
    ///
    /// # Errors
    /// When the data sheet says nothing of it.
    pub fn cut(mut self, ways: u32, link: Option<Link>) -> Result<Self, MissingFact> {
        self.stages.truncate(1);
        for stage in &mut self.stages {
            let by_data_sheet = || Link::between(&stage.device);
            let link = link.map_or_else(by_data_sheet, Ok)?;
            stage.split = Split { stages: 1, tensor: ways, replicas: 1, link };
            stage.share = 1.0;
        }
        Ok(self)
    }

    /// What the link of cut layers is taken for: latency and bandwidth each way.
    pub fn link(&self) -> Option<(Seconds, BytesPerSec)> {
        let stage = self.stages.first().filter(|stage| stage.split.tensor > 1)?;
        let [latency, bandwidth] = taken_for(&stage.run(self.work), &stage.constants);
        Some((Seconds::new(latency), BytesPerSec::new(bandwidth)))
    }

    /// Rate at which caches are copied to main memory and back: over PCIe, or within memory that is
    /// shared, read and written.
    ///
    /// # Errors
    /// When the PCIe bandwidth of a card is not in the catalog.
    pub fn copy_rate(&self) -> Result<BytesPerSec, MissingFact> {
        let mut slowest = f64::INFINITY;
        for stage in &self.stages {
            let rate = match stage.device.gpu.kind {
                GpuKind::Unified => stage.rates.bandwidth / 2.0,
                _ => pcie(&stage.device)?.get() * stage.constants[Parameter::StreamingShare],
            };
            slowest = slowest.min(rate);
        }
        Ok(BytesPerSec::new(slowest))
    }

    /// Rate at which a model is loaded from disk.
    pub fn load_rate(&self) -> BytesPerSec {
        let rate = |stage: &Stage<'_>| stage.constants[Parameter::LoadRate];
        BytesPerSec::gb_per_s(self.stages.iter().map(rate).fold(f64::INFINITY, f64::min))
    }

    /// Power that a kind of device draws while it generates, of its rated power.
    pub fn generation_power(&self, device: &Id) -> Option<f64> {
        let stage = self.stages.iter().find(|stage| stage.device.id == device)?;
        Some(stage.constants[Parameter::DecodePower].min(1.0))
    }

    /// The same with a part in the memory of a host.
    ///
    /// # Errors
    /// When the PCIe bandwidth of a card, over which prompts take that part, is not in the catalog.
    pub fn with_host(mut self, offloaded: Offloaded, host: HostFacts) -> Result<Self, MissingFact> {
        for stage in &mut self.stages {
            if stage.device.gpu.kind != GpuKind::Unified {
                pcie(&stage.device)?;
            }
            stage.host = Some(offloaded.host(host.bandwidth, host.cores.map(f64::from)));
        }
        self.offloaded = Some((offloaded, host));
        Ok(self)
    }

    /// Whether a CPU of unknown cores computes attention or a recurrence, so that its time is not
    /// known but for an empty context.
    pub fn lacks_attention_of_the_host(&self) -> bool {
        self.offloaded.is_some_and(|(offloaded, host)| {
            offloaded.attention_share > 0.0 && host.cores.is_none()
        })
    }

    /// The share of the squared error of generation that another pace has in common with this one:
    /// that of rows of one group when both run on the same stack, else none.
    pub fn common(&self, other: &Self, streams: u64) -> f64 {
        if self.stacks != other.stacks {
            return 0.0;
        }
        let kind = if streams > 1 { Kind::Batch } else { Kind::Decode };
        let name = stratum(kind, self.work.is_mixture(), self.seen.max(other.seen));
        self.intervals.stratum.get(&name).map_or(0.0, |one| one.common)
    }

    /// The step, summed over devices.
    pub fn step(&self, depth: f64, streams: f64) -> Step {
        if let Some(cpu) = &self.cpu {
            return processor::step(self.work, cpu.host, &cpu.constants, depth, streams);
        }
        let parts = self.stages.iter().map(|stage| {
            let run = stage.run(self.work);
            step(&run, &stage.constants, depth, streams).scaled(stage.share)
        });
        let mut sum = parts.reduce(Step::plus).unwrap_or_default();
        let handover = self.handover.get() * (self.stages.len() as f64 - 1.0).max(0.0);
        sum.link += handover;
        sum.total += handover;
        sum
    }

    /// What the contexts of `streams` streams add to a step of theirs, in seconds.
    pub fn context(&self, depth: f64, streams: f64) -> f64 {
        if self.cpu.is_some() || self.offloaded.is_some() {
            return self.step(depth, streams).total - self.step(0.0, streams).total;
        }
        let parts = self.stages.iter().map(|stage| {
            decode::context(&stage.run(self.work), &stage.constants, depth, streams) * stage.share
        });
        parts.sum()
    }

    /// What a cached context adds to reading a prompt, in seconds.
    pub fn prompt_context(&self, tokens: f64, depth: f64) -> f64 {
        if self.cpu.is_some() || self.offloaded.is_some() {
            return self.prompt(tokens, depth) - self.prompt(tokens, 0.0);
        }
        let parts = self.stages.iter().map(|stage| {
            let run = stage.run(self.work);
            prefill::context(&run, &stage.constants, tokens, depth) * stage.share
        });
        parts.sum()
    }

    /// Generation speed of each of `streams` streams at a depth.
    pub fn decode(&self, depth: u64, streams: u64) -> DecodeSpeed {
        let time = self.step(depth as f64, streams as f64).total;
        let kind = if streams > 1 { Kind::Batch } else { Kind::Decode };
        let speed = TokensPerSec::new(1.0 / time);
        let per_stream =
            Estimate::within_factor(speed, self.factor(kind, depth, streams), self.basis());
        DecodeSpeed {
            depth_tokens: depth,
            per_stream_tok_per_s: per_stream,
            total_tok_per_s: per_stream.map(|speed| speed * streams as f64),
        }
    }

    /// Time to read a prompt of `tokens` after `depth` cached ones, and to give the first token.
    pub fn prefill(&self, tokens: u64, depth: u64) -> PrefillSpeed {
        let time = self.prompt(tokens as f64, depth as f64);
        let worst = self.stages.iter().map(|stage| stage.rates.basis).max();
        let basis = self.basis().max(worst.unwrap_or(Basis::Modelled));
        let factor = self.factor(Kind::Prefill, depth + tokens, 1);
        let first = time + self.step((depth + tokens) as f64, 1.0).total;
        let time = Seconds::new(time);
        PrefillSpeed {
            prompt_tokens: tokens,
            depth_tokens: depth,
            tok_per_s: Estimate::within_factor(Tokens::new(tokens as f64) / time, factor, basis),
            ttft_s: Estimate::within_factor(Seconds::new(first), factor, basis),
        }
    }

    /// Time to read a prompt of `tokens` after `depth` cached ones, without an interval.
    pub fn prompt_time(&self, tokens: f64, depth: f64) -> Seconds {
        Seconds::new(self.prompt(tokens, depth))
    }

    /// Time to read a prompt, in seconds.
    fn prompt(&self, tokens: f64, depth: f64) -> f64 {
        if let Some(cpu) = &self.cpu {
            let Alone { constants, host, chunk_tokens } = cpu;
            let prompt = [tokens, depth];
            return processor::prefill(self.work, *host, constants, *chunk_tokens, prompt).total;
        }
        let stages = self.stages.iter().map(|stage| {
            let run = stage.run(self.work);
            prefill(&run, &stage.constants, tokens, depth).total * stage.share
        });
        stages.sum()
    }

    /// Half-width of the 80 % interval, as a factor.
    fn factor(&self, kind: Kind, depth: u64, streams: u64) -> f64 {
        if self.offloaded.is_some() || self.cpu.is_some() {
            // Channels and sockets of hosts decide, and few have been measured: the widest.
            return half_width(self.intervals, kind, self.work.is_mixture(), Seen::Neither);
        }
        let phase = if kind == Kind::Prefill { Phase::Prefill } else { Phase::Decode };
        let seen = self.measured.iter().map(|one| one.seen(phase, depth, streams)).max();
        let seen = seen.unwrap_or(Seen::Neither);
        let others = half_width(self.intervals, kind, self.work.is_mixture(), seen);
        narrowed(others, self.own_rows, self.worth)
    }

    fn basis(&self) -> Basis {
        let assumed = self.seen == Seen::Neither || self.offloaded.is_some();
        if assumed { Basis::Assumed } else { Basis::Modelled }
    }

    /// What the figures rest on, in one line for people.
    pub fn grounds(&self) -> String {
        if let Some(cpu) = &self.cpu {
            return cpu_grounds(&cpu.host, self.work);
        }
        let mut device = self.device_grounds();
        if self.uncut {
            let Heads { query, key } = self.work.heads;
            device.push_str(&format!(
                "; {query} heads with {key} of keys cannot be cut over {} devices: their layers are spread",
                self.stages.iter().map(|stage| stage.split.stages).sum::<u32>()
            ));
        }
        match self.offloaded {
            None => device,
            Some((offloaded, host)) => {
                let weights = &self.work.weights;
                let read = weights.experts * (offloaded.expert_share * self.work.used_share())
                    + weights.base * offloaded.base_share;
                let cores = host.cores.map_or_else(String::new, |cores| {
                    format!(" and computes with {cores} cores like those of one server that was measured")
                });
                format!(
                    "{device}; the CPU reads {:.2} GB of every token's weights from memory of {:.0} GB/s{cores}",
                    read.to_gb(),
                    host.bandwidth.rate().to_gb_per_s()
                )
            }
        }
    }

    fn device_grounds(&self) -> String {
        let fewest = |rows: &dyn Fn(&Measured) -> u32| self.measured.iter().map(rows).min();
        let here = fewest(&|one| one.unit.decode).unwrap_or(0);
        let alike = fewest(&|one| one.stack.decode).unwrap_or(0) - here;
        match self.seen {
            _ if self.own_rows > 0 => {
                format!("based on {} measurements of yours", self.own_rows)
            }
            Seen::Unit => format!(
                "constants from {here} measured rows of this engine on this device and {alike} on \
                 similar ones"
            ),
            Seen::Stack => format!(
                "no measurement on this device; constants from {alike} measured rows of similar ones"
            ),
            Seen::Neither => {
                "no measured rows of this engine on this kind of device: constants of its parts"
                    .to_owned()
            }
        }
    }
}

/// What figures of a CPU alone rest on.
fn cpu_grounds(host: &Host, work: &Work) -> String {
    let memory = host.bandwidth.map_or_else(String::new, |bandwidth| {
        format!(" from memory {}", bandwidth_words(bandwidth))
    });
    let cores = host.cores.unwrap_or_default();
    format!(
        "two cores of one server, the only CPU that was measured: {:.2} GB of weights are read for every token{memory}, \
         and {cores} cores compute like those two",
        work.active_bytes().to_gb()
    )
}

/// A bandwidth with what it was read off.
fn bandwidth_words(bandwidth: HostBandwidth) -> String {
    let rate = format!("{:.1} GB/s", bandwidth.rate().to_gb_per_s());
    match bandwidth {
        HostBandwidth::Nominal(_) => format!("of {rate} nominal"),
        HostBandwidth::Measured(_) => format!("that was measured to be read at {rate}"),
        HostBandwidth::Channels { channels, mt_per_s } => {
            format!("of {rate} nominal ({channels} channels of 8 bytes at {mt_per_s} MT/s)")
        }
    }
}

/// A half-width after `rows` own measurements: precision adds up, down to half the logarithm, since
/// cases differ from the measured ones.
pub fn narrowed(factor: f64, rows: u32, worth: f64) -> f64 {
    factor.powf((1.0 + worth * f64::from(rows)).sqrt().recip().max(0.5))
}

/// Probability that `a` is faster than `b`, both with 80 % intervals.
///
/// Errors are taken as log-normal. `common` is the share of the squared error that the two have in
/// common and that cancels: 0 for unlike machines, [`localrig_facts::calibration::Stratum::common`]
/// for the same stack.
pub fn faster(a: &Estimate<TokensPerSec>, b: &Estimate<TokensPerSec>, common: f64) -> f64 {
    let spread = |one: &Estimate<TokensPerSec>| {
        (one.high.get() / one.low.get()).ln() / (2.0 * EIGHTY_PERCENT)
    };
    let (own, other) = (spread(a), spread(b));
    let variance = own * own + other * other - 2.0 * common.clamp(0.0, 1.0) * own * other;
    let ahead = (a.value.get() / b.value.get()).ln();
    normal(ahead / variance.sqrt().max(1e-9))
}

/// Standard deviations that 80 % of a normal distribution lie within.
const EIGHTY_PERCENT: f64 = 1.281_551_565_5;

/// The normal distribution function, to 1e-7 (Abramowitz and Stegun 26.2.17).
fn normal(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * poly;
    if x > 0.0 { 1.0 - tail } else { tail }
}
