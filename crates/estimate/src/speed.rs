//! Speed of a model on a machine, with intervals and the reasons.

use localrig_facts::calibration::Class;
use localrig_facts::machine::{Device, Machine};
use localrig_facts::unit::{Seconds, Tokens, TokensPerSec};
use localrig_facts::{Basis, Catalog, Estimate, Id};
use serde::Serialize;

use crate::decode::{Rates, Step, step};
use crate::prefill::prefill;
use crate::rate::MissingFact;
use crate::setup::{Setup, SpeedError, stack_word};
use crate::term::Term;
use crate::work::Work;

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
    class_id: &'a Id,
    class: &'a Class,
    rates: Rates,
    peak: Result<Basis, MissingFact>,
    /// Share of the layers.
    share: f64,
}

/// A model on a machine, ready to be asked for speeds.
#[derive(Clone, Debug)]
pub struct Pace<'a> {
    catalog: &'a Catalog,
    work: &'a Work,
    stages: Vec<Stage<'a>>,
    devices: u32,
}

/// Handing the stream of activations from one device to the next.
const HANDOVER: Seconds = Seconds::us(20.0);

impl<'a> Pace<'a> {
    /// The pace of a model on the machine's devices: layers are spread by memory, and a token goes
    /// through the devices one after the other.
    ///
    /// # Errors
    /// When a rate or the calibration class is not in the catalog.
    pub fn new(
        catalog: &'a Catalog,
        setup: &Setup<'a>,
        machine: &Machine<'a>,
        work: &'a Work,
    ) -> Result<Self, SpeedError> {
        let memory = |device: &Device<'_>| device.memory.get() * f64::from(device.count);
        let whole: f64 = machine.devices.iter().map(memory).sum();
        let mut stages = Vec::new();
        for device in &machine.devices {
            let (class_id, class) = setup.class(catalog, device)?;
            let (rates, peak) = setup.rates(catalog, class, device, work.native.as_deref())?;
            let share = memory(device) / whole;
            stages.push(Stage { device: *device, class_id, class, rates, peak, share });
        }
        let devices = machine.devices.iter().map(|device| device.count).sum();
        Ok(Self { catalog, work, stages, devices })
    }

    /// The step as a sum over devices.
    ///
    /// # Errors
    /// When the shared constants are not in the catalog, or a batch needs a matrix rate that is not.
    pub fn step(&self, depth: f64, streams: f64) -> Result<Step, SpeedError> {
        let constants = self.catalog.constants()?;
        let mut sum = Step::default();
        for stage in &self.stages {
            if let (true, Err(missing)) = (streams > 1.0, &stage.peak) {
                return Err(missing.clone().into());
            }
            let one = step(constants, stage.class, stage.rates, self.work, depth, streams);
            let mut add = |into: fn(&mut Step) -> &mut Seconds, value: Seconds| {
                *into(&mut sum) += value * stage.share;
            };
            add(|s| &mut s.memory, one.memory);
            add(|s| &mut s.arithmetic, one.arithmetic);
            add(|s| &mut s.kv, one.kv);
            add(|s| &mut s.state, one.state);
            add(|s| &mut s.layers, one.layers);
            add(|s| &mut s.fixed, one.fixed);
            add(|s| &mut s.streams, one.streams);
            add(|s| &mut s.total, one.total);
        }
        let handover = HANDOVER * f64::from(self.devices - 1);
        sum.fixed += handover;
        sum.total += handover;
        Ok(sum)
    }

    /// Generation speed of each of `streams` streams at a depth.
    ///
    /// # Errors
    /// As [`Pace::step`].
    pub fn decode(&self, depth: u64, streams: u64) -> Result<DecodeSpeed, SpeedError> {
        let step = self.step(depth as f64, streams as f64)?;
        let factor = self.decode_factor(streams)?;
        let per_stream = Estimate::within_factor(step.speed(), factor, self.basis());
        Ok(DecodeSpeed {
            depth_tokens: depth,
            per_stream_tok_per_s: per_stream,
            total_tok_per_s: per_stream.map(|speed| speed * streams as f64),
        })
    }

    /// Time to read a prompt of `tokens` after `depth` cached ones, and to give the first token.
    ///
    /// # Errors
    /// When a matrix rate is not in the catalog or the class has no prefill constants.
    pub fn prefill(&self, tokens: u64, depth: u64) -> Result<PrefillSpeed, SpeedError> {
        let constants = self.catalog.constants()?;
        let mut time = Seconds::ZERO;
        let mut worst = self.basis();
        for stage in &self.stages {
            let peak = stage.peak.clone()?;
            let missing = || MissingFact { id: stage.class_id.clone(), key: "prefill".to_owned() };
            let class = stage.class.prefill.as_ref().ok_or_else(missing)?;
            let matrix = stage.rates.matrix.ok_or_else(missing)?;
            worst = worst.max(peak);
            let one = prefill(
                constants,
                class,
                stage.rates.bandwidth,
                matrix,
                self.work,
                tokens as f64,
                depth as f64,
            );
            time += one.total * stage.share;
        }
        let factor = constants.interval.prefill * self.thin_factor(constants.interval.thin_class);
        let first = time + self.step((depth + tokens) as f64, 1.0)?.total;
        Ok(PrefillSpeed {
            prompt_tokens: tokens,
            depth_tokens: depth,
            tok_per_s: Estimate::within_factor(Tokens::new(tokens as f64) / time, factor, worst),
            ttft_s: Estimate::within_factor(first, factor, worst),
        })
    }

    /// Half-width of the 80 % interval of generation, as a factor.
    fn decode_factor(&self, streams: u64) -> Result<f64, SpeedError> {
        let interval = &self.catalog.constants()?.interval;
        let base =
            if self.work.is_mixture() { interval.decode_mixture } else { interval.decode_dense };
        let streams = if streams > 1 { interval.streams } else { 1.0 };
        let devices = if self.devices > 1 { interval.devices } else { 1.0 };
        Ok(base * self.thin_factor(interval.thin_class) * streams * devices)
    }

    fn thin_factor(&self, factor: f64) -> f64 {
        if self.stages.iter().any(|stage| stage.class.rows < THIN) { factor } else { 1.0 }
    }

    fn basis(&self) -> Basis {
        if self.stages.iter().any(|stage| stage.class.rows == 0) {
            Basis::Assumed
        } else {
            Basis::Modelled
        }
    }

    /// What the figures rest on, in one line for people.
    pub fn grounds(&self) -> String {
        let stage = &self.stages[0];
        match stage.class.rows {
            0 => format!(
                "{}: no measured rows, constants taken over from a similar class",
                stage.class.name
            ),
            rows => format!("{}: constants from {rows} measured rows", stage.class.name),
        }
    }

    /// The derivation of a step.
    ///
    /// # Errors
    /// As [`Pace::step`].
    pub fn terms(
        &self,
        setup: &Setup<'_>,
        depth: u64,
        streams: u64,
    ) -> Result<Vec<Term>, SpeedError> {
        let constants = self.catalog.constants()?;
        let step = self.step(depth as f64, streams as f64)?;
        let stage = &self.stages[0];
        let own = &stage.class.decode;
        let class = stage.class_id.as_str();
        let device = stage.device.id.as_str();
        let ms = |time: Seconds| format!("{:.3} ms", time.to_ms());
        let touched =
            self.work.experts_touched(streams as f64, constants.decode.routing_correlation);
        let read = self.work.active_bytes();
        let bandwidth = stage.rates.bandwidth.to_gb_per_s();
        let memory = if self.work.is_mixture() {
            format!(
                "(base {:.2} GB + {touched:.1} of {} experts, {:.2} GB in all, / gather {}) / (bandwidth {bandwidth:.0} GB/s * share {} * packing {:.2})",
                self.work.weights.base.to_gb(),
                self.work.experts,
                self.work.weights.experts.to_gb(),
                constants.decode.expert_gather,
                own.bandwidth_share,
                self.work.decode_cost
            )
        } else {
            format!(
                "weights {:.2} GB / (bandwidth {bandwidth:.0} GB/s * share {} * packing {:.2})",
                read.to_gb(),
                own.bandwidth_share,
                self.work.decode_cost
            )
        };
        let basis = self.basis();
        let mut terms = vec![
            Term::new(
                "weights read per token",
                "all but looked-up embeddings, and the experts a token uses",
                format!("{:.2} GB", read.to_gb()),
                Basis::Exact,
                &[],
            ),
            Term::new("memory", memory, ms(step.memory), basis, &[device, class, "calibration"]),
            Term::new(
                "arithmetic",
                format!(
                    "active parameters {:.2} G * {:.1} operations * {} / FP32 rate {:.1} TFLOP/s, or matrix products of the batch if longer",
                    self.work.active_parameters() / 1e9,
                    self.work.operations,
                    own.unpack,
                    stage.rates.shader.to_tflops()
                ),
                ms(step.arithmetic),
                basis,
                &[device, class],
            ),
            Term::new(
                "KV cache",
                format!(
                    "{:.2} GB read for {streams} stream(s) at depth {depth} / (bandwidth * share {})",
                    self.work.kv_read(depth as f64).to_gb() * streams as f64,
                    own.kv_share
                ),
                ms(step.kv),
                basis,
                &[device, class],
            ),
            Term::new(
                "layers",
                format!("{:.1} plain layers * {} us", self.work.layer_weight, own.layer_us),
                ms(step.layers),
                basis,
                &[class],
            ),
            Term::new(
                "fixed",
                "cost of a step, and of handing over between devices",
                ms(step.fixed),
                basis,
                &["calibration"],
            ),
        ];
        if step.state > Seconds::ZERO {
            terms.push(Term::new(
                "recurrent state",
                "read and written once per stream",
                ms(step.state),
                basis,
                &[class],
            ));
        }
        if streams > 1 {
            terms.push(Term::new(
                "further streams",
                format!("{} us for each after the first", own.stream_us),
                ms(step.streams),
                basis,
                &[class],
            ));
        }
        terms.push(Term::new(
            "step",
            "memory and arithmetic overlapped, plus the rest",
            format!("{} = {:.1} tok/s per stream", ms(step.total), step.speed().get()),
            basis,
            &[],
        ));
        terms.push(Term::new(
            "interval",
            format!(
                "80 % of held-out measurements lie within this factor ({} on {})",
                setup.engine.name,
                stack_word(setup.stack)
            ),
            format!("x/÷ {:.2}", self.decode_factor(streams)?),
            basis,
            &["calibration"],
        ));
        Ok(terms)
    }
}

/// Classes with fewer measured rows get wider intervals.
const THIN: u32 = 30;
