//! Memory of a model on a machine under settings of its engine.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may panic; byte counts are whole"
)]

use std::sync::LazyLock;

use localrig_estimate::answer::{Answer, EstimateError, Question, Speed, estimate, usual_context};
use localrig_estimate::context::{KV_TYPES, KvType};
use localrig_estimate::memory::{Ask, MemoryError, Setting, Verdict};
use localrig_estimate::placement::SplitMode;
use localrig_estimate::run::HostBandwidth;
use localrig_facts::Catalog;
use localrig_facts::engine::Engine;
use localrig_facts::format::{Format, TensorType};
use localrig_facts::machine::parse_machine;
use localrig_facts::model::Model;
use localrig_facts::unit::{Bytes, BytesPerSec};
use proptest::prelude::*;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| localrig_world::catalog(&[]).unwrap());

/// One question, in the words of the command line.
#[derive(Clone)]
struct Asked {
    model: &'static str,
    format: &'static str,
    machine: &'static str,
    engine: &'static str,
    context: u64,
    streams: u64,
    setting: Setting,
}

const LLAMA: Asked = Asked {
    model: "llama-3.3-70b-instruct",
    format: "q4_k_m",
    machine: "RTX 3090",
    engine: "llama.cpp",
    context: 8192,
    streams: 1,
    setting: Setting::OWN,
};

const OSS: Asked = Asked {
    model: "gpt-oss-120b",
    format: "mxfp4_moe",
    machine: "RTX 4090",
    engine: "llama.cpp",
    context: 8192,
    streams: 1,
    setting: Setting::OWN,
};

fn answer(asked: &Asked) -> Result<Answer, EstimateError> {
    let machine = parse_machine(&CATALOG, asked.machine).unwrap();
    estimate(
        &CATALOG,
        Question {
            model: CATALOG.find::<Model>(asked.model).unwrap(),
            machine: &machine,
            engine: CATALOG.find::<Engine>(asked.engine).unwrap(),
            format: CATALOG.find::<Format>(asked.format).unwrap(),
            ask: Ask {
                context: asked.context,
                streams: asked.streams,
                kv: KvType::F16,
                vision: false,
            },
            setting: &asked.setting,
        },
    )
}

fn nominal(gb_per_s: f64) -> HostBandwidth {
    HostBandwidth::Nominal(BytesPerSec::gb_per_s(gb_per_s))
}

fn gpu_layers(layers: u32) -> Setting {
    Setting { gpu_layers: Some(layers), ..Setting::OWN }
}

#[test]
fn the_most_layers_named_fit_and_one_more_does_not() {
    let plain = answer(&LLAMA).unwrap();
    assert_eq!(plain.memory.verdict, Some(Verdict::No));
    let limit = plain.limits.unwrap().gpu_layers.unwrap();
    assert_eq!(limit.setting, format!("--gpu-layers {}", limit.layers));
    let verdict = |layers| {
        let setting = gpu_layers(layers);
        answer(&Asked { setting, ..LLAMA }).unwrap().memory.verdict
    };
    assert_eq!(verdict(limit.layers), Some(Verdict::Fits));
    assert_ne!(verdict(limit.layers + 1), Some(Verdict::Fits));
}

#[test]
fn the_fewest_experts_on_the_host_that_are_named_fit_and_one_less_does_not() {
    let plain = answer(&OSS).unwrap();
    let limit = plain.limits.unwrap().host_expert_layers.unwrap();
    let memory = |layers| {
        let setting = Setting { host_expert_layers: Some(layers), ..Setting::OWN };
        answer(&Asked { setting, ..OSS }).unwrap().memory
    };
    let held = memory(limit.layers);
    assert_eq!(held.verdict, Some(Verdict::Fits));
    assert_eq!(held.spread.unwrap().host.total_bytes.value, limit.host_bytes);
    assert_ne!(memory(limit.layers - 1).verdict, Some(Verdict::Fits));
}

#[test]
fn a_host_that_is_too_small_is_said() {
    let asked = |gib: f64| {
        let setting = Setting { host_memory: Some(Bytes::gib(gib)), ..gpu_layers(40) };
        answer(&Asked { setting, ..LLAMA }).unwrap().memory
    };
    let small = asked(16.0);
    assert_eq!(small.verdict, Some(Verdict::No));
    assert_eq!(small.spread.unwrap().host.verdict, Some(Verdict::No));
    assert_eq!(asked(64.0).verdict, Some(Verdict::Fits));
    // Not given is not known: the devices decide, and the host has no verdict.
    let unknown = answer(&Asked { setting: gpu_layers(40), ..LLAMA }).unwrap().memory;
    assert_eq!(
        (unknown.verdict, unknown.spread.unwrap().host.verdict),
        (Some(Verdict::Fits), None)
    );
}

#[test]
fn one_device_holds_what_it_held_without_settings() {
    let all = answer(&Asked { machine: "RTX PRO 6000 Workstation", ..LLAMA }).unwrap().memory;
    let spread = all.spread.as_ref().unwrap();
    assert!(spread.is_plain() && spread.gpu_layers == 81);
    assert_eq!(spread.devices[0].total_bytes, all.total_bytes);
    let by_hand = Asked { machine: "RTX PRO 6000 Workstation", setting: gpu_layers(81), ..LLAMA };
    assert_eq!(answer(&by_hand).unwrap().memory.total_bytes, all.total_bytes);
}

#[test]
fn split_modes_put_the_same_weights_in_other_places() {
    let weights = |mode, shares: &[f64]| {
        let setting = Setting { split: Some(mode), shares: shares.to_vec(), ..Setting::OWN };
        let asked = Asked { machine: "2x RTX 3090", setting, ..LLAMA };
        let spread = answer(&asked).unwrap().memory.spread.unwrap();
        spread.devices.iter().map(|place| place.weights_bytes).collect::<Vec<_>>()
    };
    let layer = weights(SplitMode::Layer, &[]);
    let row = weights(SplitMode::Row, &[]);
    let none = weights(SplitMode::None, &[]);
    let sum = |all: &[Bytes]| all.iter().copied().sum::<Bytes>();
    // A table of RoPE factors lies on every device with a layer.
    assert_eq!((none.len(), none[0]), (1, sum(&layer) - Bytes::new(256.0)));
    // Rounding of cut rows aside.
    assert!((sum(&row) / sum(&layer) - 1.0).abs() < 1e-6);
    assert!((row[0] / row[1] - 1.0).abs() < 0.01 && layer[0] != row[0]);
    let three = weights(SplitMode::Layer, &[3.0, 1.0]);
    assert!((three[0] / sum(&three) - 0.75).abs() < 0.02, "{three:?}");
}

#[test]
fn what_cannot_be_spread_is_refused() {
    let error = |asked: Asked| match answer(&asked) {
        Err(EstimateError::Memory(error)) => error,
        other => panic!("{other:?}"),
    };
    let unified = Asked { machine: "Mac Studio M3 Ultra 96 GB", setting: gpu_layers(4), ..LLAMA };
    assert!(matches!(error(unified), MemoryError::OneMemory { .. }));
    let vllm = Asked { engine: "vllm", format: "awq-int4", setting: gpu_layers(4), ..LLAMA };
    assert!(matches!(error(vllm), MemoryError::NotSpread { .. }));
    let dense = Setting { host_expert_layers: Some(4), ..Setting::OWN };
    assert!(matches!(error(Asked { setting: dense, ..LLAMA }), MemoryError::NoExperts { .. }));
    let shares = Setting { shares: vec![1.0, 2.0], ..Setting::OWN };
    let wrong = error(Asked { setting: shares, ..LLAMA });
    assert_eq!(wrong, MemoryError::Shares { given: 2, devices: 1 });
    // All zero means the default, of as many devices as there are.
    let zeros = |count| Setting { shares: vec![0.0; count], ..Setting::OWN };
    let wrong = error(Asked { setting: zeros(2), ..LLAMA });
    assert_eq!(wrong, MemoryError::Shares { given: 2, devices: 1 });
    let on_two = |setting| {
        let asked = Asked { machine: "2x RTX 3090", setting, ..LLAMA };
        serde_json::to_value(answer(&asked).unwrap().memory).unwrap()
    };
    assert_eq!(on_two(zeros(2)), on_two(Setting::OWN));
    // llama.cpp takes what it needs of a card.
    let share = Setting { device_share: Some(0.9), ..Setting::OWN };
    assert!(matches!(error(Asked { setting: share, ..LLAMA }), MemoryError::NoShare { .. }));
    let batched = Setting { batched_tokens: Some(8192), ..Setting::OWN };
    assert!(matches!(error(Asked { setting: batched, ..LLAMA }), MemoryError::NoShare { .. }));
}

#[test]
fn no_speed_is_given_for_a_host_of_unknown_bandwidth() {
    let offloaded = |bandwidth: Option<f64>| {
        let setting = Setting {
            host_expert_layers: Some(27),
            host_bandwidth: bandwidth.map(nominal),
            ..Setting::OWN
        };
        answer(&Asked { setting, ..OSS }).unwrap()
    };
    let unknown = offloaded(None);
    assert!(unknown.speed.is_none());
    assert!(unknown.missing[0].contains("--host-bandwidth"), "{:?}", unknown.missing);
    // Published: 30 to 33 tok/s with 25 to 28 of 36 layers' experts in memory of 57 GB/s.
    let speed = offloaded(Some(57.0)).speed.unwrap().decode[0].per_stream_tok_per_s;
    assert!(speed.low.get() < 30.0 && speed.high.get() > 33.0, "{speed:?}");
    let faster = offloaded(Some(200.0)).speed.unwrap().decode[0].per_stream_tok_per_s;
    assert!(faster.value > speed.value);
}

#[test]
fn attention_on_the_host_has_a_speed_with_an_empty_context_only() {
    let setting = Setting { host_bandwidth: Some(nominal(90.0)), ..gpu_layers(43) };
    let answer = answer(&Asked { setting, ..LLAMA }).unwrap();
    let speed = answer.speed.unwrap();
    assert_eq!(speed.decode.len(), 1);
    assert_eq!((speed.decode[0].depth_tokens, speed.prefill.len()), (0, 0));
    assert!(answer.missing[0].contains("attention"), "{:?}", answer.missing);
    // Half of 40 GB from memory of 90 GB/s: some two or three tokens a second.
    assert!((1.5..4.5).contains(&speed.decode[0].per_stream_tok_per_s.value.get()));
}

#[test]
fn the_cores_of_the_host_bound_its_attention_and_its_batches() {
    let speed = |cores: u32, streams: u64| {
        let setting = Setting {
            host_bandwidth: Some(nominal(90.0)),
            host_cores: Some(cores),
            ..gpu_layers(43)
        };
        let answer = answer(&Asked { streams, setting, ..LLAMA }).unwrap();
        assert_eq!(answer.missing, [""; 0]);
        answer.speed.unwrap()
    };
    let per_stream = |speed: &Speed| {
        speed.decode.iter().map(|one| one.per_stream_tok_per_s.value.get()).collect::<Vec<_>>()
    };
    let (eight, sixteen) = (speed(8, 1), speed(16, 1));
    let (few, many) = (per_stream(&eight), per_stream(&sixteen));
    // An empty context needs no attention; a full one is computed by the cores.
    assert!((few[0] - many[0]).abs() < 1e-9, "{few:?} {many:?}");
    assert!(few.len() > 1 && few.last().unwrap() < many.last().unwrap(), "{few:?} {many:?}");
    let prompt = |speed: &Speed| speed.prefill.last().unwrap().ttft_s.value;
    assert!(prompt(&eight) > prompt(&sixteen));
    // Several streams share what is read, not what is computed.
    let four = per_stream(&speed(8, 4))[0];
    assert!(four < few[0] / 1.3 && four > few[0] / 4.0, "{four} {few:?}");
    assert!(per_stream(&speed(16, 4))[0] > four);

    let setting = Setting { host_bandwidth: Some(nominal(90.0)), ..gpu_layers(43) };
    let unknown = answer(&Asked { setting, streams: 4, ..LLAMA }).unwrap();
    assert!(unknown.speed.is_none());
    assert!(unknown.missing[0].contains("--host-cores"), "{:?}", unknown.missing);
}

#[test]
fn more_streams_than_a_server_runs_are_refused_whatever_fits() {
    let asked = |streams| Asked { model: "gemma-3-270m-it", streams, context: 1024, ..LLAMA };
    let error = answer(&asked(257)).unwrap_err();
    let most =
        MemoryError::TooManyStreams { engine: "llama.cpp".to_owned(), most: 256, asked: 257 };
    assert_eq!(error, EstimateError::Memory(most));
    assert_eq!(answer(&asked(256)).unwrap().memory.streams_that_fit, Some(256));
    // Nobody says how many vLLM runs: the pool decides.
    let vllm = Asked { engine: "vllm", format: "safetensors-bf16", ..asked(2000) };
    assert!(answer(&vllm).is_ok());
}

#[test]
fn heads_that_cannot_be_shared_out_leave_layers_whole() {
    // 40 heads of queries and 10 of keys: two cards take half of each, four cannot.
    let on = |machine| {
        let asked =
            Asked { model: "phi-4", format: "safetensors-bf16", machine, engine: "vllm", ..LLAMA };
        answer(&asked).unwrap()
    };
    let (two, four) = (on("2x RTX 3090"), on("4x RTX 3090"));
    let speed = |answer: &Answer| answer.speed.as_ref().unwrap().decode[0].per_stream_tok_per_s;
    assert!(speed(&two).value > speed(&four).value * 1.2, "{:?} {:?}", speed(&two), speed(&four));
    let grounds = |answer: &Answer| answer.speed.as_ref().unwrap().grounds.clone();
    assert!(!grounds(&two).contains("cannot be cut"), "{}", grounds(&two));
    let said = "40 heads with 10 of keys cannot be cut over 4 devices: their layers are spread";
    assert!(grounds(&four).contains(said), "{}", grounds(&four));
    // Spread layers hold every head's cache once; cut ones as well, as each has its own heads.
    assert_eq!(two.memory.kv_cache_bytes, four.memory.kv_cache_bytes);
}

#[test]
fn requests_are_admitted_while_the_pool_has_blocks() {
    let asked = Asked {
        model: "qwen3-32b",
        format: "awq-int4",
        machine: "2x RTX 3090",
        engine: "vllm",
        context: 32_768,
        streams: 2,
        setting: Setting::OWN,
    };
    let memory = answer(&asked).unwrap().memory;
    let pool = memory.pool.unwrap();
    assert_eq!((pool.tensor_parallel, pool.stages, pool.device_share), (2, 1, 0.92));
    assert_eq!(
        (memory.verdict, memory.streams_that_fit),
        (Some(Verdict::Fits), Some(pool.requests.low))
    );
    // 64 layers, 4 of 8 heads of 128 on each card, keys and values, 16 bits, 16 tokens.
    let block = 64.0 * 4.0 * 128.0 * 2.0 * 2.0 * 16.0;
    assert_eq!(pool.tokens.value.get(), (pool.pool_bytes.value.get() / block).floor() * 16.0);
    let more = |streams| answer(&Asked { streams, ..asked.clone() }).unwrap().memory.verdict;
    assert_eq!(more(pool.requests.value + 1), Some(Verdict::No));
    let less = Setting { device_share: Some(0.6), ..Setting::OWN };
    let less = answer(&Asked { setting: less, ..asked }).unwrap().memory.pool.unwrap();
    assert!(less.tokens.value < pool.tokens.value);
}

#[test]
fn a_window_admits_fewer_requests_the_more_tokens_are_batched() {
    let requests = |batched| {
        let setting = Setting { batched_tokens: Some(batched), ..Setting::OWN };
        let asked = Asked {
            model: "gpt-oss-20b",
            format: "mxfp4",
            machine: "RTX 5090",
            engine: "vllm",
            context: 16_384,
            setting,
            ..LLAMA
        };
        answer(&asked).unwrap().memory.pool.unwrap().requests.value
    };
    assert!(requests(2048) > requests(8192));
}

#[test]
fn an_engine_whose_share_is_not_known_says_so_until_it_is_given() {
    let sglang =
        Asked { model: "qwen3-8b", format: "bf16", machine: "RTX 5090", engine: "sglang", ..LLAMA };
    let unknown = answer(&sglang).unwrap();
    assert!(unknown.memory.pool.is_none());
    assert!(unknown.missing.iter().any(|one| one.contains("--gpu-memory-utilization")));
    let setting = Setting { device_share: Some(0.85), ..Setting::OWN };
    let known = answer(&Asked { setting, ..sglang }).unwrap().memory.pool.unwrap();
    // Activations lie beside the share: all that weights leave of it is cache.
    let left = Bytes::gib(known.pool_bytes.value.to_gib() + known.device_weights_bytes.to_gib());
    assert!((left.to_gib() / (0.85 * 31.84) - 1.0).abs() < 0.01, "{left}");
}

#[test]
fn each_stream_of_ollama_has_a_buffer_of_its_own() {
    let memory = |engine| {
        let asked = Asked {
            model: "gpt-oss-20b",
            format: "mxfp4_moe",
            machine: "RTX 3090",
            engine,
            streams: 4,
            ..LLAMA
        };
        answer(&asked).unwrap().memory
    };
    // Four windows of 128 tokens share one micro-batch in llama.cpp; in Ollama each has its own.
    let (shared, own) = (memory("llama.cpp"), memory("ollama"));
    let rows = 12.0 * 8.0 * 64.0 * 2.0 * 2.0;
    let more = own.kv_cache_bytes - shared.kv_cache_bytes;
    assert_eq!(more.get(), (4.0 * 768.0 - 1024.0) * rows);
}

#[test]
fn an_engine_may_have_a_default_context_of_its_own() {
    let usual = |engine, machine| {
        let machine = parse_machine(&CATALOG, machine).unwrap();
        let (_, model) = CATALOG.find::<Model>("gpt-oss-20b").unwrap();
        usual_context(model, &machine, CATALOG.find::<Engine>(engine).unwrap().1)
    };
    assert_eq!(usual("llama.cpp", "RTX 5080"), 32_768);
    assert_eq!(usual("ollama", "RTX 5080"), 4096);
    assert_eq!(usual("ollama", "RTX 3090"), 32_768);
    assert_eq!(usual("ollama", "2x RTX 3090"), 131_072);
}

#[test]
fn caches_of_mlx_grow_without_padding() {
    let asked = Asked {
        model: "gpt-oss-20b",
        format: "mlx-mxfp4",
        machine: "Mac Studio M3 Ultra 96 GB",
        engine: "mlx-lm",
        context: 10_000,
        ..LLAMA
    };
    let kv = answer(&asked).unwrap().memory.kv_cache_bytes;
    // 12 full layers in steps of 256 tokens, 12 with a window of 128 and a step of 2,048.
    let row = 8.0 * 64.0 * 2.0 * 2.0;
    assert_eq!(kv.get(), 12.0 * row * (10_240.0 + 127.0 + 2048.0));
    let raised = Setting { device_share: Some(0.9), ..Setting::OWN };
    let usable = answer(&Asked { setting: raised, ..asked }).unwrap().memory.usable_bytes;
    assert!((usable.unwrap().to_gib() - 86.4).abs() < 1e-9);
}

#[test]
fn a_cache_type_the_engine_lacks_is_refused() {
    let machine = parse_machine(&CATALOG, "RTX 3090").unwrap();
    let ask = |kv| Ask { context: 8192, streams: 1, kv: KvType::of(kv).unwrap(), vision: false };
    let asked = |engine, format, kv| {
        estimate(
            &CATALOG,
            Question {
                model: CATALOG.find::<Model>("qwen3-8b").unwrap(),
                machine: &machine,
                engine: CATALOG.find::<Engine>(engine).unwrap(),
                format: CATALOG.find::<Format>(format).unwrap(),
                ask: ask(kv),
                setting: &Setting::OWN,
            },
        )
    };
    assert!(matches!(asked("vllm", "bf16", "q8_0"), Err(EstimateError::KvType { .. })));
    assert!(matches!(asked("ollama", "q4_k_m", "q5_0"), Err(EstimateError::KvType { .. })));
    assert!(asked("ollama", "q4_k_m", "q8_0").is_ok() && asked("vllm", "bf16", "fp8").is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn more_layers_on_devices_never_lower_what_devices_hold(
        layers in 0..81_u32, more in 1..20_u32, shares in proptest::collection::vec(1..5_u32, 2),
    ) {
        let held = |layers| {
            let shares = shares.iter().map(|share| f64::from(*share)).collect();
            let setting = Setting { shares, ..gpu_layers(layers) };
            let asked = Asked { machine: "2x RTX 3090", setting, ..LLAMA };
            let spread = answer(&asked).unwrap().memory.spread.unwrap();
            let places = spread.devices.iter();
            let weights: Bytes = places.clone().map(|place| place.weights_bytes).sum();
            let context: Bytes = places.map(|place| place.context_bytes).sum();
            // Weights and caches are somewhere, once; a table of RoPE factors on every place with a
            // layer.
            let places = spread.devices.iter().chain([&spread.host]);
            let tables = places.filter(|place| place.layers > 0).count().min(3);
            let output_alone = spread.devices.iter().any(|place| place.layers == 1);
            let all = weights + spread.host.weights_bytes - Bytes::new(256.0 * tables as f64);
            (weights, context, (!output_alone).then_some(all), context + spread.host.context_bytes)
        };
        let (fewer, greater) = (held(layers), held(layers + more));
        prop_assert!(greater.0 >= fewer.0 && greater.1 >= fewer.1);
        // The output matrix alone needs no such table.
        if let (Some(fewer), Some(greater)) = (fewer.2, greater.2) {
            prop_assert_eq!(fewer, greater);
        }
        prop_assert_eq!(fewer.3, greater.3);
    }

    #[test]
    fn a_longer_context_never_fits_where_a_shorter_one_does_not(
        context in 1..400_u64, more in 1..100_u64, layers in 20..81_u32, streams in 1..4_u64,
    ) {
        let verdict = |steps: u64| {
            let setting = gpu_layers(layers);
            let asked = Asked {
                machine: "2x RTX 3090", context: steps * 256, streams, setting, ..LLAMA
            };
            answer(&asked).unwrap().memory.verdict
        };
        prop_assert!(verdict(context + more) >= verdict(context));
    }

    #[test]
    fn a_longer_request_is_never_admitted_more_often(
        context in 1..400_u64, more in 1..100_u64, share in 0.3..0.95_f64,
    ) {
        let requests = |steps: u64| {
            let setting = Setting { device_share: Some(share), ..Setting::OWN };
            let asked = Asked {
                model: "gpt-oss-20b", format: "mxfp4", machine: "RTX 3090", engine: "vllm",
                context: steps * 256, setting, ..LLAMA
            };
            answer(&asked).unwrap().memory.pool.unwrap().requests.value
        };
        prop_assert!(requests(context + more) <= requests(context));
    }
}

#[test]
fn an_embedding_that_is_the_output_too_is_said_to_lie_twice_and_nothing_else_is() {
    let twice = |asked: &Asked| answer(asked).unwrap().memory.held_twice_bytes;
    let gemma = Asked { model: "gemma-3-27b-it", machine: "RTX 4090", ..LLAMA };
    let tied = answer(&gemma).unwrap().memory;
    let held: Bytes = tied.spread.as_ref().unwrap().host.weights_bytes;
    // The table is all that the host holds of it.
    assert_eq!(tied.held_twice_bytes, held);
    let without = Asked { setting: gpu_layers(0), ..gemma };
    assert_eq!(twice(&without), Bytes::ZERO);
    // Two cards each hold a table of rotary frequencies; the model has an output matrix.
    assert_eq!(twice(&Asked { machine: "2x RTX 3090", ..LLAMA }), Bytes::ZERO);
}

/// A number format is what it is wherever it stands: the types of the cache are those of tensors.
#[test]
fn types_of_the_cache_are_as_large_as_those_of_tensors() {
    let mut compared = 0;
    for kind in KV_TYPES {
        let Ok((id, tensor)) = CATALOG.get_in::<TensorType>(kind.name) else { continue };
        assert_eq!((kind.block, kind.bytes), (tensor.block, tensor.bytes), "{id}");
        compared += 1;
    }
    assert_eq!(compared, KV_TYPES.len());
}
