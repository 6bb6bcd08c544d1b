//! How a speed came about, term by term.

use localrig_facts::Basis;

use super::{Alone, Pace, Stage, bandwidth_words};
use crate::decode::{
    Step, count, experts_read, kernels, kv_share, layer_weight, passes, sequence_passes,
};
use crate::fit::interval::Kind;
use crate::link::ALL_REDUCES_PER_LAYER;
use crate::parameter::{Constants, Parameter};
use crate::run::{HostBandwidth, Link, Split};
use crate::setup::{Setup, stack_word};
use crate::term::Term;
use crate::work::Work;

impl Pace<'_> {
    /// The derivation of a step: each term with its formula, value, and where its constants come
    /// from.
    pub fn terms(&self, setup: &Setup<'_>, depth: u64, streams: u64) -> Vec<Term> {
        let step = self.step(depth as f64, streams as f64);
        if let (Some(cpu), Some(on)) = (&self.cpu, &setup.cpu) {
            let site = on.site.fact();
            return self.cpu_terms(cpu, &step, [on.id.as_str(), &site], [depth, streams]);
        }
        let Some((stage, place)) = self.stages.first().zip(setup.places.first()) else {
            return Vec::new();
        };
        let constants = &stage.constants;
        let value = |parameter: Parameter| constants[parameter];
        let device = stage.device.id.as_str();
        let site = place.placed.site.fact();
        let own = site.as_str();
        let basis = self.basis();
        let ms = |time: f64| format!("{:.3} ms", time * 1e3);
        let run = stage.run(self.work);
        let read = self.work.active_bytes();
        let [weights_here, caches_here] = self.on_devices();
        let memory = memory(stage, self.work, streams) + &weights_here;
        let batch = batch_words(constants, streams);
        let mut terms = vec![
            Term::new(
                "weights read per token",
                "all but looked-up embeddings, and the experts a token uses",
                format!("{:.2} GB", read.to_gb()),
                Basis::Exact,
                &[],
            ),
            Term::new("memory", memory, ms(step.memory), basis, &[device, own]),
            Term::new(
                "arithmetic",
                format!(
                    "unpacking {:.2} G active parameters at {:.2} / FP32 rate {:.1} TFLOP/s{batch}{weights_here}",
                    self.work.active_parameters() / 1e9,
                    value(Parameter::UnpackCost),
                    stage.rates.shader / 1e12
                ),
                ms(step.arithmetic),
                basis,
                &[device, own],
            ),
            Term::new(
                "KV cache",
                format!(
                    "{:.2} GB read for {streams} stream(s) at depth {depth} / (bandwidth * share {:.2}){caches_here}",
                    self.work.kv_read(depth as f64).to_gb() * streams as f64,
                    kv_share(constants, streams as f64)
                ),
                ms(step.kv),
                basis,
                &[device, own],
            ),
            Term::new(
                "layers",
                format!(
                    "{:.1} plain layers * {:.1} us",
                    layer_weight(&run, constants),
                    value(Parameter::LayerUs)
                ),
                ms(step.layers),
                basis,
                &[own],
            ),
            Term::new("fixed", "cost of a step", ms(step.fixed), basis, &[own]),
        ];
        let mut add = |name: &str, formula: String, time: f64, facts: &[&str]| {
            if time > 0.0 {
                terms.push(Term::new(name, formula, ms(time), basis, facts));
            }
        };
        add("recurrent state", "read and written once per stream".to_owned(), step.state, &[own]);
        let further = format!("{:.0} us for each after the first", value(Parameter::StreamUs));
        add("further streams", further, step.streams, &[own]);
        if let Some(formula) = self.host_formula(constants) {
            add("host", formula, step.host, &[own]);
        }
        add("devices", devices_words(stage), step.link, &[device, own]);
        terms.push(Term::new(
            "step",
            "memory and arithmetic overlapped, plus the rest",
            format!("{} = {:.1} tok/s per stream", ms(step.total), 1.0 / step.total),
            basis,
            &[],
        ));
        let kind = if streams > 1 { Kind::Batch } else { Kind::Decode };
        terms.push(Term::new(
            "interval",
            if self.offloaded.is_some() {
                "the widest of all stacks: hosts differ, and few runs with a part on one were measured"
                    .to_owned()
            } else {
                format!(
                    "80 % of held-out measurements lie within this factor ({} on {})",
                    setup.engine.name,
                    stack_word(setup.stack)
                )
            },
            format!("x/÷ {:.2}", self.factor(kind, depth, streams)),
            basis,
            &["calibration/interval"],
        ));
        terms
    }

    /// The derivation of a step and of a prompt on a CPU alone.
    fn cpu_terms(
        &self,
        cpu: &Alone,
        step: &Step,
        [id, site]: [&str; 2],
        [depth, streams]: [u64; 2],
    ) -> Vec<Term> {
        let Alone { constants, host, chunk_tokens } = cpu;
        let basis = self.basis();
        let cores = host.cores.unwrap_or_default();
        let ms = |time: f64| format!("{:.3} ms", time * 1e3);
        let prior = ["calibration/prior", site];
        let with_cores = [id, "calibration/prior", site];
        let touched =
            self.work.experts_touched(streams as f64, constants[Parameter::RoutingConcentration]);
        let experts = if self.work.is_mixture() {
            format!(
                " + {touched:.1} of {} experts, {:.2} GB in all",
                self.work.experts,
                self.work.weights.experts.to_gb()
            )
        } else {
            String::new()
        };
        let state = if self.work.state.get() > 0.0 {
            format!(" + recurrent state of {streams} stream(s), read and written")
        } else {
            String::new()
        };
        let (bandwidth, share) = match host.bandwidth {
            Some(one @ HostBandwidth::Measured(_)) => (bandwidth_words(one), Parameter::HostRead),
            Some(one) => (bandwidth_words(one), Parameter::HostShare),
            None => (String::new(), Parameter::HostShare),
        };
        let mut terms = vec![Term::new(
            "memory",
            format!(
                "(base {:.2} GB{experts}{state}) / (memory {bandwidth}, share {:.2})",
                self.work.weights.base.to_gb(),
                constants[share],
            ),
            ms(step.memory),
            basis,
            &prior,
        )];
        if streams > 1 {
            terms.push(Term::new(
                "further streams",
                format!(
                    "{:.0} % of the reading again, and {:.2} times the column of a prompt for each of {}",
                    (constants[Parameter::HostBatchRead] - 1.0) * 100.0,
                    constants[Parameter::HostBatchColumn],
                    streams - 1
                ),
                ms(step.streams),
                basis,
                &with_cores,
            ));
        }
        terms.push(Term::new(
            "attention",
            format!(
                "multiply-adds at depth {depth} on {cores} cores at {:.1} GFLOP/s each, or reading {:.2} GB of cache if longer",
                constants[Parameter::HostAttention],
                self.work.kv_read(depth as f64).to_gb() * streams as f64,
            ),
            ms(step.kv),
            basis,
            &with_cores,
        ));
        terms.push(Term::new(
            "step",
            "one after the other",
            format!("{} = {:.1} tok/s per stream", ms(step.total), 1.0 / step.total),
            basis,
            &[],
        ));
        let mixture = if self.work.is_mixture() {
            format!(", experts at {:.2} of that", constants[Parameter::HostExperts])
        } else {
            String::new()
        };
        terms.push(Term::new(
            "prompt",
            format!(
                "chunks of {chunk_tokens} tokens: 2 operations for every active weight but the output matrix on {cores} cores at {:.0} GFLOP/s each{mixture}, overlapped with reading the weights; attention at {:.0} GFLOP/s",
                constants[Parameter::HostCore],
                constants[Parameter::HostPromptAttention],
            ),
            format!("{:.1} s for {depth} tokens", self.prompt(depth.max(1) as f64, 0.0)),
            basis,
            &with_cores,
        ));
        let kind = if streams > 1 { Kind::Batch } else { Kind::Decode };
        terms.push(Term::new(
            "interval",
            "the widest of all stacks: one server was measured",
            format!("x/÷ {:.2}", self.factor(kind, depth, streams)),
            basis,
            &["calibration/interval"],
        ));
        terms
    }

    /// The parts of weights and caches that devices hold, where a host holds others.
    fn on_devices(&self) -> [String; 2] {
        let Some((offloaded, _)) = self.offloaded else { return [String::new(), String::new()] };
        let percent = |away: f64| (1.0 - away) * 100.0;
        let experts = if self.work.is_mixture() {
            format!(" and {:.0} % of the experts", percent(offloaded.expert_share))
        } else {
            String::new()
        };
        [
            format!(
                "; of this {:.0} % of the weights{experts} on devices",
                percent(offloaded.base_share)
            ),
            format!("; of this {:.0} % on devices", percent(offloaded.attention_share)),
        ]
    }

    /// How the time of the part in host memory comes about.
    fn host_formula(&self, constants: &Constants) -> Option<String> {
        let (offloaded, host) = self.offloaded?;
        let share = match host.bandwidth {
            HostBandwidth::Measured(_) => Parameter::HostRead,
            _ => Parameter::HostShare,
        };
        let reading = format!(
            "{:.0} % of the experts a token uses and {:.0} % of the other weights / ({:.0} GB/s * share {:.2}), and {:.0} us for each such layer",
            offloaded.expert_share * 100.0,
            offloaded.base_share * 100.0,
            host.bandwidth.rate().to_gb_per_s(),
            constants[share],
            constants[Parameter::BoundaryUs],
        );
        let Some(cores) = host.cores else { return Some(reading) };
        Some(format!(
            "{reading}; {cores} cores: attention of {:.0} % of the layers at {:.1} GFLOP/s each, \
             further streams at {:.0} GFLOP/s each * {:.2} and {:.0} % of the reading again",
            offloaded.attention_share * 100.0,
            constants[Parameter::HostAttention],
            constants[Parameter::HostCore],
            1.0 / constants[Parameter::HostBatchColumn],
            (constants[Parameter::HostBatchRead] - 1.0) * 100.0,
        ))
    }
}

/// How devices share the work and what joins them.
fn devices_words(stage: &Stage<'_>) -> String {
    let Split { stages, tensor, link, .. } = stage.split;
    let shared = match (stages, tensor) {
        (_, 1) => format!("activations handed on by {} of {stages} devices", stages - 1),
        (1, _) => format!("{ALL_REDUCES_PER_LAYER} all-reduces a layer among {tensor} devices"),
        _ => format!(
            "{ALL_REDUCES_PER_LAYER} all-reduces a layer among {tensor} devices of each of {stages} \
             stages"
        ),
    };
    let slot = stage.device.slot;
    let over_pcie = matches!(link, Link::PciePeer(_) | Link::PcieHost(_));
    // Said because the slots of a machine may be slower, and nobody named them.
    let assumed = if over_pcie && (slot.generation.is_none() || slot.lanes.is_none()) {
        "; slots not given, taken to be as fast as the cards"
    } else {
        ""
    };
    format!("{shared}, {link}{assumed}")
}

/// What several streams add to unpacking.
fn batch_words(constants: &Constants, streams: u64) -> String {
    let columns = count(constants, Parameter::VectorColumns);
    match streams {
        0 | 1 => String::new(),
        few if few as f64 <= columns => format!(
            ", and {:.1} operations per weight for each further stream",
            constants[Parameter::ColumnCost]
        ),
        _ => format!(
            ", or matrix products of the batch in tiles of {:.0} rows if longer",
            constants[Parameter::BatchTile]
        ),
    }
}

/// Reading weights: what is read, over the bandwidth as far as it is reached.
fn memory(stage: &Stage<'_>, work: &Work, streams: u64) -> String {
    let constants = &stage.constants;
    let run = stage.run(work);
    let bandwidth = stage.rates.bandwidth / 1e9;
    let packing: Vec<String> = kernels(&run)
        .map(|kernel| {
            let own = constants[Parameter::ReadFloat16.for_kernel(kernel.index())];
            format!("{kernel:?} {own:.2}")
        })
        .collect();
    let share = format!(
        "(bandwidth {bandwidth:.0} GB/s * share {:.2} * packing {})",
        constants[Parameter::BandwidthShare],
        packing.join(", ")
    );
    let passes = passes(constants, streams as f64);
    let times = |times: f64| if times > 1.0 { format!(" * {times:.0}") } else { String::new() };
    let further = sequence_passes(constants, streams as f64) - passes;
    let by_sequence: f64 = work.kernels.iter().map(|own| own.by_sequence).sum();
    let projections = if further > 0.0 && by_sequence > 0.0 {
        format!(
            " + projections of recurrent layers {:.2} GB for each of {further:.0} further sequences",
            by_sequence / 1e9
        )
    } else {
        String::new()
    };
    if work.is_mixture() {
        format!(
            "(base {:.2} GB{}{projections} + {:.1} of {} experts, {:.2} GB in all, / gather {:.2}) / {share}",
            work.weights.base.to_gb(),
            times(passes),
            experts_read(work, constants, streams as f64),
            work.experts,
            work.weights.experts.to_gb(),
            constants[Parameter::ExpertGather],
        )
    } else if projections.is_empty() {
        format!("weights {:.2} GB{} / {share}", work.active_bytes().to_gb(), times(passes))
    } else {
        format!(
            "(weights {:.2} GB{}{projections}) / {share}",
            work.active_bytes().to_gb(),
            times(passes)
        )
    }
}
