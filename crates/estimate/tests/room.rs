//! What fits onto devices of a given size.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may panic; byte counts are whole"
)]

use std::sync::LazyLock;

use localrig_estimate::architecture::{Layout, layout};
use localrig_estimate::context::{KvType, LlamaContext};
use localrig_estimate::graph::GraphAsk;
use localrig_estimate::placement::{Offload, SplitMode};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::room::{
    Load, Room, fewest_host_expert_layers, largest_context, most_gpu_layers, most_streams,
};
use localrig_estimate::weights::tensor_sizes;
use localrig_facts::Catalog;
use localrig_facts::format::Format;
use localrig_facts::model::Model;
use localrig_facts::unit::Bytes;
use proptest::prelude::*;

fn model(catalog: &Catalog, name: &str, format: &str) -> (Layout, Vec<u64>) {
    let (id, model) = catalog.get_in::<Model>(name).unwrap();
    let layout = layout(catalog, id, model).unwrap();
    let (id, format) = catalog.get_in::<Format>(format).unwrap();
    let sizes = tensor_sizes(&layout, &Recipe::new(catalog, id, format).unwrap());
    (layout, sizes)
}

fn load(model: &(Layout, Vec<u64>), tokens: u64, offload: Offload) -> Load<'_> {
    let context = LlamaContext::server(tokens, 1, KvType::F16);
    Load { layout: &model.0, sizes: &model.1, ask: GraphAsk { context, outputs: 1 }, offload }
}

fn room(devices: &[f64]) -> Room {
    Room { host: None, devices: devices.iter().map(|gib| Bytes::gib(*gib)).collect() }
}

fn in_room(room: &Room) -> impl Fn(&Load<'_>) -> bool {
    |load| load.fits(room)
}

#[test]
fn a_card_takes_as_many_layers_as_it_has_room_for() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let llama = model(&catalog, "meta-llama/llama-3.3-70b-instruct", "q4_k_m");
    let on = |gib: f64| {
        most_gpu_layers(&load(&llama, 8192, Offload::full()), in_room(&room(&[gib]))).unwrap()
    };
    assert_eq!([on(0.0), on(12.0), on(24.0), on(48.0)], [0, 22, 46, 81]);
    // The next layer would not fit: the search stops exactly at the limit.
    let one_more = load(&llama, 8192, Offload::layers(47));
    assert!(one_more.needs().devices[0].total() > Bytes::gib(24.0));
    let two = load(&llama, 8192, Offload::spread(vec![1.0, 1.0], SplitMode::Layer));
    assert!(two.fits(&room(&[23.0, 23.0])) && !two.fits(&room(&[23.0])));
}

#[test]
fn experts_stay_on_the_host_until_the_rest_fits() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let oss = model(&catalog, "openai/gpt-oss-120b", "mxfp4_moe");
    let load = load(&oss, 8192, Offload::full());
    let fewest = |gib: f64| fewest_host_expert_layers(&load, in_room(&room(&[gib])));
    assert_eq!(fewest(80.0), Some(0));
    let on_16 = fewest(16.0).unwrap();
    assert!((25..36).contains(&on_16), "{on_16}");
    assert_eq!(fewest(1.0), None);
    let small_host = Room { host: Some(Bytes::gib(8.0)), ..room(&[16.0]) };
    assert_eq!(fewest_host_expert_layers(&load, in_room(&small_host)), None);
}

#[test]
fn context_and_streams_share_what_weights_leave() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let qwen = model(&catalog, "qwen/qwen3-30b-a3b", "q4_k_m");
    let load = load(&qwen, 8192, Offload::full());
    let room = room(&[24.0]);
    let context = largest_context(&load, 262_144, in_room(&room)).unwrap();
    assert_eq!(context % 256, 0);
    let streams = most_streams(&load, 8192, in_room(&room));
    // 96 KiB of KV per token: about as many tokens either way.
    let (one, many) = (context as f64, (streams * 8192) as f64);
    assert!(many <= one && many > one * 0.8, "{one} {many}");
    assert_eq!(largest_context(&load, 4096, in_room(&room)), Some(4096));
}

proptest! {
    #[test]
    fn nothing_is_lost_or_counted_twice_when_layers_are_spread(
        layers in 0..100_u32, first in 1..9_u32, second in 0..9_u32, experts in 0..40_u32,
    ) {
        static MODEL: LazyLock<(Layout, Vec<u64>)> = LazyLock::new(|| {
            let catalog = localrig_world::catalog(&[]).unwrap();
            model(&catalog, "qwen/qwen3-30b-a3b", "q4_k_m")
        });
        let qwen = &*MODEL;
        // Not tied, no stray tables: the sum over all places is the whole.
        let shares = vec![f64::from(first), f64::from(second)];
        let offload = Offload {
            gpu_layers: layers, shares, mode: SplitMode::Layer, host_expert_layers: experts,
        };
        let needs = load(qwen, 8192, offload).needs();
        let all = load(qwen, 8192, Offload::none()).needs();
        let sum: f64 = needs.devices.iter().map(|need| need.weights_bytes.get()).sum();
        prop_assert_eq!(needs.host.weights_bytes.get() + sum, all.host.weights_bytes.get());
        let sum: f64 = needs.devices.iter().map(|need| need.context_bytes.get()).sum();
        prop_assert_eq!(needs.host.context_bytes.get() + sum, all.host.context_bytes.get());
    }
}
