//! What must hold of every speed, whatever the constants.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::LazyLock;

use localrig_estimate::architecture::layout;
use localrig_estimate::calibration::{Calibration, place};
use localrig_estimate::context::KvType;
use localrig_estimate::decode::step;
use localrig_estimate::parameter::{Constants, Parameter};
use localrig_estimate::prefill::prefill;
use localrig_estimate::rate::{Rates, rates};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::run::{Host, HostBandwidth, Link, Run, Split};
use localrig_estimate::serving;
use localrig_estimate::speculative::{Draft, time_per_token};
use localrig_estimate::speed::faster;
use localrig_estimate::work::Work;
use localrig_facts::format::Format;
use localrig_facts::gpu::{BoxLink, Gpu, Protocol, Stack};
use localrig_facts::machine::{Device, PcieSlot};
use localrig_facts::model::Model;
use localrig_facts::unit::{Bytes, BytesPerSec, GbPerS, TokensPerSec};
use localrig_facts::{Basis, Catalog, Estimate};
use proptest::prelude::*;

struct Bench {
    works: Vec<Work>,
    stacks: Vec<(Rates, Constants)>,
}

/// Dense, windowed, recurrent, mixture and latent models on stacks of every kind.
static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let calibration = Calibration::of(&catalog).unwrap();
    let work = |model: &str, format: &str| {
        let (id, model) = catalog.get_in::<Model>(model).unwrap();
        let layout = layout(&catalog, id, model).unwrap();
        let (format_id, format) = catalog.get_in::<Format>(format).unwrap();
        let recipe = Recipe::new(&catalog, format_id, format).unwrap();
        Work::new(&layout, &recipe, KvType::F16)
    };
    let stack = |engine: &str, stack: Stack, gpu: &str| {
        stack_of(&catalog, &calibration, engine, stack, gpu)
    };
    Bench {
        works: vec![
            work("qwen/qwen3-8b", "q4_k_m"),
            work("google/gemma-3-12b-it", "q8_0"),
            work("qwen/qwen3-30b-a3b", "q4_k_m"),
            work("openai/gpt-oss-20b", "mxfp4_moe"),
            work("qwen/qwen3.6-27b", "safetensors-bf16"),
            work("zai-org/glm-4.7-flash", "q8_0"),
        ],
        stacks: vec![
            stack("llama.cpp", Stack::Cuda, "nvidia/rtx-5090"),
            stack("vllm", Stack::Cuda, "nvidia/rtx-3090"),
            stack("llama.cpp", Stack::Metal, "apple/apple-m2-ultra"),
            stack("mlx-lm", Stack::Mlx, "apple/apple-m4-max"),
            stack("llama.cpp", Stack::Vulkan, "amd/strix-halo-apu"),
            stack("sglang", Stack::Rocm, "amd/instinct-mi300x"),
        ],
    }
});

fn stack_of(
    catalog: &Catalog,
    calibration: &Calibration,
    engine: &str,
    stack: Stack,
    gpu: &str,
) -> (Rates, Constants) {
    let (id, gpu) = catalog.get_in::<Gpu>(gpu).unwrap();
    let placed = place(catalog, engine, stack, id, gpu, "").unwrap();
    let device = Device { id, gpu, memory: Bytes::ZERO, count: 1, slot: PcieSlot::default() };
    let rates = rates(catalog, &device, placed.peak).unwrap();
    (rates, calibration.constants(&placed.site))
}

const fn run<'a>(work: &'a Work, rates: &'a Rates, split: Split) -> Run<'a> {
    Run { work, rates, split, host: None, chunk_tokens: 512.0, power_limit: None, memory: None }
}

fn any_stack() -> impl Strategy<Value = (usize, usize)> {
    (0..BENCH.works.len(), 0..BENCH.stacks.len())
}

proptest! {
    #[test]
    fn more_bandwidth_is_never_slower(
        (model, stack) in any_stack(),
        factor in 1.0..8.0f64,
        depth in 0.0..200_000.0f64,
        streams in 1.0..128.0f64,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let wide = Rates { bandwidth: rates.bandwidth * factor, ..*rates };
        let time = |rates| step(&run(work, rates, Split::SINGLE), constants, depth, streams).total;
        prop_assert!(time(&wide) <= time(rates));
        let prompt = |rates| prefill(&run(work, rates, Split::SINGLE), constants, 2048.0, depth).total;
        prop_assert!(prompt(&wide) <= prompt(rates));
    }

    #[test]
    fn more_depth_or_streams_never_raise_a_streams_speed(
        (model, stack) in any_stack(),
        depth in 0.0..200_000.0f64,
        more_depth in 0.0..100_000.0f64,
        streams in 1u32..256,
        more_streams in 0u32..256,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let run = run(work, rates, Split::SINGLE);
        let time = |depth, streams: u32| step(&run, constants, depth, f64::from(streams)).total;
        let here = time(depth, streams);
        prop_assert!(time(depth + more_depth, streams) >= here);
        // Where an engine goes over to sharing experts a larger batch may be done sooner.
        let alone = constants[Parameter::ExpertColumns].round();
        let own = |streams: u32| work.is_mixture() && f64::from(streams) <= alone;
        if own(streams) == own(streams + more_streams) {
            prop_assert!(time(depth, streams + more_streams) >= here * (1.0 - 1e-12));
        }
        let prompt = |depth| prefill(&run, constants, 1024.0, depth).total;
        prop_assert!(prompt(depth + more_depth) >= prompt(depth) * (1.0 - 1e-12));
    }

    #[test]
    fn tensor_parallel_over_a_perfect_link_divides_all_but_the_layers(
        (model, stack) in any_stack(),
        width in 1u32..9,
        depth in 0.0..100_000.0f64,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let mut constants = *constants;
        constants_without_layers(&mut constants);
        let time = |tensor| {
            let split = Split { tensor, link: Link::Ideal, ..Split::SINGLE };
            step(&run(work, rates, split), &constants, depth, 1.0).total
        };
        prop_assert!((time(width) * f64::from(width) / time(1) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_real_link_never_beats_a_perfect_one_and_a_layer_split_never_one_device(
        (model, stack) in any_stack(),
        width in 2u32..9,
        streams in 1.0..64.0f64,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let time = |split| step(&run(work, rates, split), constants, 4096.0, streams).total;
        let tensor = |link| Split { tensor: width, link, ..Split::SINGLE };
        let perfect = time(tensor(Link::Ideal));
        let rate = BytesPerSec::gb_per_s(30.0);
        let boxes = [Protocol::Roce, Protocol::ThunderboltRdma, Protocol::Tcp].map(|protocol| {
            Link::Boxes(BoxLink { protocol, gb_per_s_per_direction: GbPerS::new(10.0) })
        });
        let inside = [Link::PciePeer(rate), Link::PcieHost(rate), Link::NvLink(rate)];
        for link in inside.into_iter().chain(boxes) {
            prop_assert!(time(tensor(link)) > perfect);
        }
        let layers = Split { stages: width, link: Link::PcieHost(rate), ..Split::SINGLE };
        prop_assert!(time(layers) > time(Split::SINGLE));
    }

    #[test]
    fn a_lower_power_limit_or_more_weights_on_the_host_never_help(
        (model, stack) in any_stack(),
        watts in 50.0..600.0f64,
        less in 0.0..50.0f64,
        share in 0.0..1.0f64,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let plain = run(work, rates, Split::SINGLE);
        let limited = |power_limit| Run { power_limit: Some(power_limit), ..plain };
        let time = |run: &Run<'_>| step(run, constants, 1000.0, 1.0).total;
        prop_assert!(time(&limited(watts - less)) >= time(&limited(watts)));
        let slow_host = |share| Run { host: Some(Host { experts: share, base: share, attention: share, bandwidth: Some(HostBandwidth::Nominal(BytesPerSec::gb_per_s(20.0))), cores: Some(4.0) }), ..plain };
        // A host slower than the device: what is there costs more.
        prop_assert!(time(&slow_host(share)) >= time(&slow_host(share / 2.0)));
    }

    #[test]
    fn tokens_touch_no_more_experts_than_they_use_and_fewer_the_more_they_agree(
        tokens in 1u32..400,
        more in 1u32..400,
        concentration in 1.0..200.0f64,
        agreeing in 0.05..1.0f64,
    ) {
        let work = &BENCH.works[2];
        let (all, used) = (work.experts as f64, work.experts_used as f64);
        let touched = |tokens: u32, concentration| {
            work.experts_touched(f64::from(tokens), concentration)
        };
        let here = touched(tokens, concentration);
        let least = used * (1.0 - 1e-9);
        prop_assert!(here >= least && here <= (used * f64::from(tokens)).min(all) * (1.0 + 1e-9));
        prop_assert!(touched(tokens + more, concentration) >= here * (1.0 - 1e-9));
        prop_assert!(touched(tokens, concentration * agreeing) <= here * (1.0 + 1e-9));
        // Tokens that have nothing in common choose independently.
        let independent = all * (1.0 - (1.0 - used / all).powi(tokens.cast_signed()));
        prop_assert!((touched(tokens, 1e7) / independent - 1.0).abs() < 1e-3);
    }

    #[test]
    fn requests_beyond_the_slots_wait_and_add_nothing(
        (model, stack) in any_stack(),
        slots in 1u32..32,
        waiting in 1u32..64,
        prompt in 1.0..8_000.0f64,
        generated in 2.0..1_000.0f64,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let run = run(work, rates, Split::SINGLE);
        let load = |streams: u32, slots: Option<u32>| serving::Load {
            prompt_tokens: prompt,
            depth: prompt,
            generated,
            streams: f64::from(streams),
            slots: slots.map(f64::from),
            cached: false,
        };
        for served in [serving::generation, serving::wall, serving::wave] {
            let of = |streams, slots| served(&run, constants, load(streams, slots));
            let full = of(slots, None);
            prop_assert_eq!(of(slots + waiting, Some(slots)), full);
            // Slots that nobody waits for change nothing either.
            prop_assert_eq!(of(slots, Some(slots + waiting)), full);
        }
    }

    #[test]
    fn prompts_that_lie_in_the_cache_are_never_slower(
        (model, stack) in any_stack(),
        streams in 1u32..64,
        prompt in 1.0..16_000.0f64,
        generated in 2.0..1_000.0f64,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let run = run(work, rates, Split::SINGLE);
        let load = |cached| serving::Load {
            prompt_tokens: prompt,
            depth: prompt,
            generated,
            streams: f64::from(streams),
            slots: None,
            cached,
        };
        let total = |cached| serving::wall(&run, constants, load(cached)).total;
        prop_assert!(total(true) >= total(false) * (1.0 - 1e-12));
        // A long prompt costs time, and one in the cache does not.
        if prompt > 1_000.0 {
            prop_assert!(total(true) > total(false));
        }
    }

    #[test]
    fn a_draft_that_is_always_right_and_free_is_never_slower(
        (model, stack) in any_stack(),
        tokens in 1u32..6,
    ) {
        let (work, (rates, constants)) = (&BENCH.works[model], &BENCH.stacks[stack]);
        let run = run(work, rates, Split::SINGLE);
        let draft = |acceptance| Draft { tokens, acceptance, cost: 0.0 };
        let time = |acceptance| time_per_token(&run, constants, draft(acceptance), 2000.0, 1.0);
        prop_assert!(time(0.9) < time(0.5));
        prop_assert!(time(0.0) >= step(&run, constants, 2000.0, 1.0).total * (1.0 - 1e-9));
    }

    #[test]
    fn the_faster_of_two_is_more_likely_faster(
        a in 1.0..500.0f64,
        b in 1.0..500.0f64,
        width in 1.05..3.0f64,
        common in 0.0..0.95f64,
    ) {
        let speed = |value| Estimate::within_factor(TokensPerSec::new(value), width, Basis::Modelled);
        let ahead = faster(&speed(a), &speed(b), common);
        prop_assert_eq!(ahead > 0.5, a > b);
        let behind = faster(&speed(b), &speed(a), common);
        prop_assert!((ahead + behind - 1.0).abs() < 1e-6);
        // What two machines have in common does not blur which is faster.
        prop_assert!((ahead - 0.5).abs() <= (faster(&speed(a), &speed(b), 0.99) - 0.5).abs() + 1e-9);
    }
}

/// Costs that tensor parallelism does not divide.
fn constants_without_layers(constants: &mut Constants) {
    for parameter in [Parameter::LayerUs, Parameter::StepUs, Parameter::StreamUs] {
        constants[parameter] = 0.0;
    }
}

/// What llama.cpp reads for a batch, by its source: projections of recurrent layers once for each
/// sequence, everything twice for 8 streams on Metal, and every token's own experts below 5 and 32.
#[test]
fn weights_are_read_as_often_as_llama_cpp_reads_them() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let calibration = Calibration::of(&catalog).unwrap();
    let memory = |model: &str, engine: &str, stack: Stack, gpu: &str, streams: f64| {
        let (id, model) = catalog.get_in::<Model>(model).unwrap();
        let layout = layout(&catalog, id, model).unwrap();
        let (format_id, format) = catalog.get_in::<Format>("q8_0").unwrap();
        let recipe = Recipe::new(&catalog, format_id, format).unwrap();
        let work = Work::new(&layout, &recipe, KvType::F16);
        let (rates, constants) = stack_of(&catalog, &calibration, engine, stack, gpu);
        step(&run(&work, &rates, Split::SINGLE), &constants, 0.0, streams).memory
    };
    let growth = |model: &str, engine: &str, stack: Stack, gpu: &str, streams: f64| {
        let time = |streams| memory(model, engine, stack, gpu, streams);
        format!("{:.2}", time(streams) / time(1.0))
    };
    let hybrid = "nvidia/nvidia-nemotron-3-nano-4b-bf16";
    let (spark, mac) = ("nvidia/gb10", "apple/apple-m2-ultra");
    let mixture = "qwen/qwen3-coder-30b-a3b-instruct";
    let found = [
        growth(hybrid, "llama.cpp", Stack::Cuda, spark, 8.0),
        growth(hybrid, "vllm", Stack::Cuda, spark, 8.0),
        growth("qwen/qwen3-8b", "llama.cpp", Stack::Cuda, spark, 8.0),
        growth("qwen/qwen3-8b", "llama.cpp", Stack::Metal, mac, 5.0),
        growth("qwen/qwen3-8b", "llama.cpp", Stack::Metal, mac, 8.0),
        growth("qwen/qwen3-8b", "llama.cpp", Stack::Metal, mac, 9.0),
        growth(mixture, "llama.cpp", Stack::Metal, mac, 16.0),
        growth(mixture, "llama.cpp", Stack::Metal, mac, 32.0),
        growth(mixture, "llama.cpp", Stack::Cuda, spark, 4.0),
    ];
    assert_eq!(found.join(" "), "4.25 1.00 1.00 1.00 2.00 1.00 10.52 6.94 2.79");
}

#[test]
fn what_joins_devices_is_read_and_never_guessed() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let in_slot = |gpu: &str, slot: PcieSlot| {
        let (id, gpu) = catalog.get_in::<Gpu>(gpu).unwrap();
        Link::between(&Device { id, gpu, memory: Bytes::ZERO, count: 2, slot })
    };
    let between = |gpu: &str| in_slot(gpu, PcieSlot::default());
    let boxes = |protocol, gb_per_s: f64| {
        let gb_per_s_per_direction = GbPerS::new(gb_per_s);
        Ok(Link::Boxes(BoxLink { protocol, gb_per_s_per_direction }))
    };
    assert_eq!(between("nvidia/gb10"), boxes(Protocol::Roce, 25.0));
    assert_eq!(between("apple/apple-m3-ultra"), boxes(Protocol::ThunderboltRdma, 10.0));
    assert_eq!(between("apple/apple-m2-ultra"), boxes(Protocol::Tcp, 5.0));
    // PCIe 4.0 x16 of the card, PCIe 3.0 and x4 of the slot: a lane of PCIe 3.0 carries 0.985 GB/s.
    let pcie = |gb_per_s: f64| Ok(Link::PcieHost(BytesPerSec::gb_per_s(gb_per_s)));
    assert_eq!(between("nvidia/rtx-3090"), pcie(31.52));
    let slot =
        |generation: f64, lanes| PcieSlot { generation: Some(generation), lanes: Some(lanes) };
    assert_eq!(in_slot("nvidia/rtx-3090", slot(3.0, 16)), pcie(15.76));
    assert_eq!(in_slot("nvidia/rtx-3090", slot(5.0, 4)), pcie(7.88));
    let error = |gpu: &str| between(gpu).unwrap_err().to_string();
    assert_eq!(error("amd/strix-halo-apu"), "missing fact: link.boxes of gpu/amd/strix-halo-apu");
    assert_eq!(error("amd/rx-9070"), "missing fact: link.pcie_gen of gpu/amd/rx-9070");
    let words = |gpu: &str| between(gpu).unwrap().to_string();
    assert_eq!(words("nvidia/gb10"), "by RDMA over Ethernet at 25.0 GB/s each way");
    assert_eq!(words("apple/apple-m2-ultra"), "by TCP at 5.0 GB/s each way");
    assert_eq!(words("nvidia/rtx-3090"), "by PCIe through host memory at 31.5 GB/s each way");
}
