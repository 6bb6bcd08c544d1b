//! A CPU without an accelerator: the whole way of an estimate against measured rows, and what must hold.

use std::collections::BTreeMap;
use std::fmt::Write;

use localrig_estimate::accuracy::judge;
use localrig_estimate::answer::{Answer, EstimateError, Question, estimate};
use localrig_estimate::architecture::layout;
use localrig_estimate::context::KvType;
use localrig_estimate::memory::{Ask, MemoryError, Setting, Verdict};
use localrig_estimate::processor::{KitError, kit_bandwidth};
use localrig_estimate::run::HostBandwidth;
use localrig_estimate::setup::SetupError;
use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::machine::{Machine, parse_machine_or_cpu};
use localrig_facts::model::Model;
use localrig_facts::part::{Cpu, Memory};
use localrig_facts::unit::{Bytes, BytesPerSec, TokensPerSec};
use localrig_facts::{Basis, Id};
use proptest::prelude::*;

use crate::{BatchRow, CATALOG, SpeedRow, rows};

/// A published model with other dimensions.
fn with(name: &str, dims: &[(&str, u64)]) -> (&'static Id, Model) {
    let (id, model) = CATALOG.find::<Model>(name).unwrap();
    let mut model = model.clone();
    if !model.flags.iter().any(|flag| flag == "tied") {
        model.flags.push("tied".to_owned());
    }
    model.dims.extend(dims.iter().map(|(key, value)| ((*key).to_owned(), *value)));
    (id, model)
}

/// The measured models: published shapes with a vocabulary of 32,000, and mixtures of Qwen3's kind. Their
/// parameters are those of the rows exactly. `None` = the shape is not known.
fn model(name: &str) -> Option<(&'static Id, Model)> {
    let small = ("vocab", 32_000);
    let mixture = [small, ("layers", 16), ("hidden", 1024), ("heads", 16), ("head_dim", 64)];
    let mixture = |more: &[(&str, u64)]| with("qwen3-30b-a3b", &[&mixture, more].concat());
    Some(match name {
        "d135m" => with("smollm2-135m-instruct", &[small]),
        "d500m" => with("qwen2.5-0.5b-instruct", &[small]),
        "d1b" => with("llama-3.2-1b-instruct", &[small]),
        "d3b" => with("llama-3.2-3b-instruct", &[small]),
        "moe8x" => mixture(&[("experts", 8), ("experts_used", 2), ("expert_ffn", 1792)]),
        "moe64x" => mixture(&[("experts", 64), ("experts_used", 8), ("expert_ffn", 512)]),
        _ => return None,
    })
}

fn cpu(name: &str) -> Machine<'static> {
    parse_machine_or_cpu(&CATALOG, name).unwrap()
}

/// The estimate of a measured model on a CPU with the bandwidth and the cores of its row.
fn asked(
    name: &str,
    quant: &str,
    [context, streams]: [u64; 2],
    setting: &Setting,
) -> Option<Answer> {
    let (id, model) = model(name)?;
    let machine = cpu("EPYC 9124");
    let question = Question {
        model: (id, &model),
        machine: &machine,
        engine: CATALOG.find::<Engine>("llama.cpp").unwrap(),
        format: CATALOG.find::<Format>(&quant.to_lowercase()).unwrap(),
        ask: Ask { context, streams, kv: KvType::F16, vision: false },
        setting,
    };
    Some(estimate(&CATALOG, question).unwrap())
}

fn measured(gb_per_s: f64, cores: u32) -> Setting {
    Setting {
        host_bandwidth: Some(HostBandwidth::Measured(BytesPerSec::gb_per_s(gb_per_s))),
        host_cores: Some(cores),
        ..Setting::OWN
    }
}

/// Signed median, median size and the share inside an interval, of logarithms of predicted over measured.
#[derive(Default)]
struct Errors {
    all: Vec<f64>,
    inside: usize,
}

impl Errors {
    fn add(&mut self, predicted: [f64; 3], measured: f64) {
        let [value, low, high] = predicted;
        self.all.push((value / measured).ln());
        self.inside += usize::from((low..=high).contains(&measured));
    }

    fn line(&self) -> String {
        let percent = |log: f64| log.exp_m1() * 100.0;
        format!(
            "{:>2} rows  median {:+5.1} %  median error {:4.1} %  {:3.0} % inside the interval",
            self.all.len(),
            percent(median(self.all.clone())),
            percent(median(self.all.iter().map(|one| one.abs()))),
            self.inside as f64 / self.all.len() as f64 * 100.0,
        )
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2])
}

#[test]
fn the_shapes_of_measured_models_have_the_parameters_of_their_rows() {
    for row in rows::<SpeedRow>("measured/processor_speed.csv") {
        let Some((id, model)) = model(&row.model) else {
            assert_eq!(row.model, "moe128x");
            continue;
        };
        let layout = layout(&CATALOG, id, &model).unwrap();
        assert_eq!(layout.parameters().total as f64, row.params_total, "{}", row.model);
    }
}

#[test]
fn measured_rows_are_met() {
    let mut errors: BTreeMap<String, Errors> = BTreeMap::new();
    for row in rows::<SpeedRow>("measured/processor_speed.csv") {
        let context = row.n_prompt + row.depth;
        let bandwidth = f64::midpoint(row.before, row.after);
        let setting = measured(bandwidth, row.threads);
        let Some(answer) = asked(&row.model, &row.quant, [context, 1], &setting) else { continue };
        let speed = answer.speed.unwrap();
        let (what, found) = if row.test == "pp" {
            let prompt = &speed.prefill[0];
            assert_eq!((prompt.prompt_tokens, prompt.depth_tokens), (row.n_prompt, 0));
            ("prompts", prompt.tok_per_s)
        } else {
            let step = speed.decode.last().unwrap();
            assert_eq!(step.depth_tokens, row.depth);
            (
                if row.depth > 0 { "generation with context" } else { "generation" },
                step.per_stream_tok_per_s,
            )
        };
        assert_eq!(found.basis, Basis::Assumed);
        let kind = if row.model.starts_with("moe") { "mixture" } else { "dense" };
        let own = errors.entry(format!("{kind}, {what}")).or_default();
        own.add([found.value, found.low, found.high].map(TokensPerSec::get), row.avg_ts);
    }
    // The bandwidth of these runs was not recorded: that with which the single stream is met.
    let batches = rows::<BatchRow>("measured/processor_batch.csv");
    let mut bandwidth = BTreeMap::new();
    for row in &batches {
        let total = |gb_per_s: f64| {
            let setting = measured(gb_per_s, row.threads);
            let ask = [row.n_prompt_each, row.n_parallel];
            let speed = asked(&row.model, &row.quant, ask, &setting).unwrap().speed.unwrap();
            speed.decode[0].total_tok_per_s
        };
        let key = (&row.model, &row.quant);
        if row.n_parallel == 1 {
            bandwidth.insert(key, 10.0 * row.tg_tok_s_total / total(10.0).value.get());
            continue;
        }
        let found = total(bandwidth[&key]);
        let own = errors.entry("several streams".to_owned()).or_default();
        own.add([found.value, found.low, found.high].map(TokensPerSec::get), row.tg_tok_s_total);
    }
    let mut table = String::new();
    for (what, one) in errors {
        assert!(one.inside * 10 >= one.all.len() * 8, "{what}: {}", one.line());
        writeln!(table, "{what:<32} {}", one.line()).unwrap();
    }
    insta::assert_snapshot!(table, @"
    dense, generation                26 rows  median  -4.4 %  median error 13.0 %   88 % inside the interval
    dense, generation with context    5 rows  median  -2.1 %  median error  2.2 %  100 % inside the interval
    dense, prompts                   25 rows  median  +2.5 %  median error 20.1 %  100 % inside the interval
    mixture, generation              12 rows  median  +7.0 %  median error 15.8 %  100 % inside the interval
    mixture, generation with context  1 rows  median +19.1 %  median error 19.1 %  100 % inside the interval
    mixture, prompts                 12 rows  median +22.1 %  median error 22.1 %   83 % inside the interval
    several streams                  16 rows  median  -9.6 %  median error 10.8 %   81 % inside the interval
    ");
}

/// A published model on a CPU.
fn on(cpu_name: &str, engine: &str, setting: &Setting) -> Result<Answer, EstimateError> {
    let machine = cpu(cpu_name);
    estimate(
        &CATALOG,
        Question {
            model: CATALOG.find::<Model>("llama-3.1-8b-instruct").unwrap(),
            machine: &machine,
            engine: CATALOG.find::<Engine>(engine).unwrap(),
            format: CATALOG.find::<Format>("q4_k_m").unwrap(),
            ask: Ask { context: 4096, streams: 1, kv: KvType::F16, vision: false },
            setting,
        },
    )
}

#[test]
fn all_of_a_model_lies_in_the_memory_of_the_machine() {
    // Row m00000 of measured/llama_cpp_memory.csv: nothing on a device.
    let asked = |gib: Option<f64>| {
        let setting = Setting { host_memory: gib.map(Bytes::gib), ..measured(60.0, 8) };
        on("Ryzen 7 9700X", "llama.cpp", &setting).unwrap().memory
    };
    let memory = asked(Some(16.0));
    assert_eq!(memory.device_weights_bytes, Bytes::new(4_912_898_304.0));
    assert_eq!(memory.kv_cache_bytes, Bytes::new(536_870_912.0));
    let spread = memory.spread.as_ref().unwrap();
    assert_eq!((spread.gpu_layers, spread.devices.len(), spread.host.layers), (0, 0, 33));
    assert!((memory.graph_bytes.value / Bytes::new(125_841_440.0) - 1.0).abs() < 1e-6);
    assert_eq!(
        (memory.verdict, memory.usable_bytes),
        (Some(Verdict::Fits), Some(Bytes::gib(16.0)))
    );
    assert!(memory.streams_that_fit > Some(1) && memory.largest_context_tokens > Some(4096));
    assert_eq!(asked(Some(5.0)).verdict, Some(Verdict::No));
    // Not given is not known.
    let unknown = asked(None);
    assert_eq!((unknown.verdict, unknown.usable_bytes, unknown.margin_bytes), (None, None, None));
    assert_eq!((unknown.streams_that_fit, unknown.largest_context_tokens), (None, None));
    assert_eq!(unknown.total_bytes, memory.total_bytes);
}

#[test]
fn without_a_bandwidth_there_is_no_speed_and_the_cores_are_the_cpus_own() {
    let none = on("9700X", "llama.cpp", &Setting::OWN).unwrap();
    assert!(none.speed.is_none());
    assert!(none.missing[0].contains("--host-bandwidth"), "{:?}", none.missing);
    let nominal = HostBandwidth::Nominal(BytesPerSec::gb_per_s(80.0));
    let setting = Setting { host_bandwidth: Some(nominal), ..Setting::OWN };
    let own = on("9700X", "llama.cpp", &setting).unwrap().speed.unwrap();
    let eight = Setting { host_cores: Some(8), ..setting.clone() };
    assert_eq!(on("9950X", "llama.cpp", &eight).unwrap().speed.unwrap().prefill, own.prefill);
    // Twice the cores read no faster, but compute twice as fast.
    let sixteen = on("9950X", "llama.cpp", &setting).unwrap().speed.unwrap();
    assert_eq!(sixteen.decode[0], own.decode[0]);
    let prompt = |speed: &localrig_estimate::answer::Speed| speed.prefill[0].tok_per_s.value.get();
    assert!((1.9..2.01).contains(&(prompt(&sixteen) / prompt(&own))));
    assert!(own.grounds.contains("one server"), "{}", own.grounds);
}

#[test]
fn what_a_cpu_alone_cannot_do_is_refused() {
    let error = |engine: &str| on("9950X", engine, &Setting::OWN).unwrap_err();
    for engine in ["ik_llama.cpp", "lm-studio"] {
        assert!(matches!(
            error(engine),
            EstimateError::Setup(
                SetupError::NotMeasuredOnCpu { .. } | SetupError::NoCpuBackend { .. }
            )
        ));
    }
    assert!(matches!(
        error("ik_llama.cpp"),
        EstimateError::Setup(SetupError::NotMeasuredOnCpu { .. })
    ));
    assert!(matches!(error("lm-studio"), EstimateError::Setup(SetupError::NoCpuBackend { .. })));
    for setting in [
        Setting { gpu_layers: Some(0), ..Setting::OWN },
        Setting { host_expert_layers: Some(1), ..Setting::OWN },
        Setting { shares: vec![1.0], ..Setting::OWN },
        Setting { device_share: Some(0.9), ..Setting::OWN },
    ] {
        let refused = on("9950X", "llama.cpp", &setting).unwrap_err();
        let expected = MemoryError::NoAccelerator { machine: "AMD Ryzen 9 9950X".to_owned() };
        assert_eq!(refused, EstimateError::Memory(expected));
    }
}

#[test]
fn a_kit_says_how_fast_the_memory_is() {
    let kit = |cpu: &str, name: &str, count| {
        let (_, cpu) = CATALOG.find::<Cpu>(cpu).unwrap();
        kit_bandwidth(cpu, CATALOG.find::<Memory>(name).unwrap().1, count)
            .map(|bandwidth| bandwidth.rate().to_gb_per_s())
    };
    // Two channels, eight bytes, 5,600 million transfers a second.
    assert_eq!(kit("9950X", "CP2K48G56C46U5", 1), Ok(89.6));
    // Modules beyond the channels add nothing, channels without a module neither.
    assert_eq!(kit("9950X", "CP2K48G56C46U5", 2), Ok(89.6));
    assert_eq!(kit("EPYC 9124", "ddr5-rdimm-8x32gb-5600", 1), Ok(8.0 * 44.8));
    assert!(matches!(kit("EPYC 9124", "CP2K48G56C46U5", 1), Err(KitError::OtherPlatform { .. })));
}

#[test]
fn a_row_of_a_cpu_is_refused_with_the_reason() {
    let header = "row_id,hardware_id,engine,backend,model_id,quant,phase,prompt_tokens,tok_s_total";
    let text = format!(
        "{header}\n\
         a,epyc-9124,llama.cpp,cpu,meta-llama/llama-3.1-8b-instruct,q4_k_m,decode,0,20\n\
         b,AMD EPYC 9654,llama.cpp,CPU,meta-llama/llama-3.1-8b-instruct,q4_k_m,prefill,512,200\n\
         c,Ryzen 9 9950X,llama.cpp,,meta-llama/llama-3.1-8b-instruct,q4_k_m,decode,0,11\n"
    );
    let judged = judge(&CATALOG, "rows.csv", &text).unwrap();
    let reasons: Vec<String> = judged.into_iter().map(|one| one.outcome.unwrap_err()).collect();
    assert_eq!(reasons, vec!["measured on a CPU: rows do not say how fast its memory is"; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn more_to_do_takes_longer_and_more_to_do_it_with_is_faster(
        gb_per_s in 20.0..800.0_f64,
        cores in 1..128_u32,
        context in 1..20_000_u64,
        streams in 1..64_u64,
        mixture: bool,
    ) {
        let name = if mixture { "moe64x" } else { "d1b" };
        let speeds = |gb_per_s: f64, cores: u32, context: u64, streams: u64| {
            let setting = measured(gb_per_s, cores);
            let speed = asked(name, "Q4_0", [context, streams], &setting).unwrap().speed.unwrap();
            let step = speed.decode.last().unwrap().per_stream_tok_per_s.value.get();
            [step, speed.prefill.last().unwrap().ttft_s.value.get().recip()]
        };
        let own = speeds(gb_per_s, cores, context, streams);
        prop_assert!(own.iter().all(|speed| speed.is_finite() && *speed > 0.0));
        let not_slower = |other: [f64; 2]| {
            other.iter().zip(own).all(|(other, own)| *other >= own * (1.0 - 1e-9))
        };
        prop_assert!(not_slower(speeds(gb_per_s * 1.5, cores, context, streams)));
        prop_assert!(not_slower(speeds(gb_per_s, cores + 1, context, streams)));
        let deeper = speeds(gb_per_s, cores, context * 2, streams);
        prop_assert!(deeper[0] <= own[0] && deeper[1] <= own[1]);
        prop_assert!(speeds(gb_per_s, cores, context, streams + 1)[0] <= own[0]);
    }
}
