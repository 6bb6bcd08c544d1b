//! The figures of `docs/compare.md`: memory of seven cases beside the engine's own planner.

use std::fmt::Write;

use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KvType, LlamaContext};
use localrig_estimate::graph::GraphAsk;
use localrig_estimate::placement::Offload;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::room::Load;
use localrig_estimate::weights::tensor_sizes;
use localrig_facts::format::Format;
use localrig_facts::model::Model;

/// A case and what `llama-fit-params -fa on -np 1 --no-repack -fitp on` says of it, in MiB.
struct Case {
    name: &'static str,
    model: &'static str,
    format: &'static str,
    tokens: u64,
    kv: &'static str,
    micro_batch: u64,
    slots: u64,
    weights: f64,
    context: f64,
    graph: f64,
}

/// What most cases have in common.
const PLAIN: Case = Case {
    name: "",
    model: "",
    format: "q4_k_m",
    tokens: 8_192,
    kv: "f16",
    micro_batch: 512,
    slots: 1,
    weights: 0.0,
    context: 0.0,
    graph: 0.0,
};
const LLAMA: Case =
    Case { model: "meta-llama/llama-3.3-70b-instruct", weights: 40_543.0, graph: 282.0, ..PLAIN };
const OSS: Case = Case {
    model: "openai/gpt-oss-120b",
    format: "mxfp4_moe",
    tokens: 131_072,
    weights: 60_438.0,
    context: 4_635.0,
    graph: 409.0,
    ..PLAIN
};
const QWEN: Case = Case {
    model: "qwen/qwen3-coder-30b-a3b-instruct",
    tokens: 200_000,
    weights: 17_691.0,
    context: 18_768.0,
    graph: 304.0,
    ..PLAIN
};

const CASES: [Case; 7] = [
    Case { name: "a) Llama-3.3-70B Q4_K_M, 8,192", context: 2_560.0, ..LLAMA },
    Case { name: "a') 32,768", tokens: 32_768, context: 10_240.0, ..LLAMA },
    Case {
        name: "b) gpt-oss-120b MXFP4, 8,192",
        tokens: 8_192,
        context: 315.0,
        graph: 435.0,
        ..OSS
    },
    Case { name: "b') 131,072", ..OSS },
    // The planner's note gives the graph of this case and the context of the next.
    Case { name: "b') -ub 2048", micro_batch: 2048, context: 4_689.0, graph: 1_638.0, ..OSS },
    Case { name: "b') -np 4, a buffer for each", slots: 4, context: 4_716.0, ..OSS },
    Case { name: "c) Qwen3-Coder-30B-A3B Q4_K_M, 200,000", ..QWEN },
];

#[test]
fn every_total_is_within_half_a_per_cent_of_the_engines_own() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut table = String::new();
    for case in CASES {
        let (id, model) = catalog.get_in::<Model>(case.model).unwrap();
        let layout = layout(&catalog, id, model).unwrap();
        let (id, format) = catalog.get_in::<Format>(case.format).unwrap();
        let sizes = tensor_sizes(&layout, &Recipe::new(&catalog, id, format).unwrap());
        let context = LlamaContext {
            sequences: case.slots,
            unified: case.slots == 1,
            micro_batch: case.micro_batch,
            ..LlamaContext::server(case.tokens, 1, KvType::of(case.kv).unwrap())
        };
        // The planner reckons with the logits of a whole micro-batch.
        let ask = GraphAsk { context, outputs: 0 };
        let load = Load { layout: &layout, sizes: &sizes, ask, offload: Offload::none() };
        let need = load.needs().host;
        let mib = |bytes: localrig_facts::unit::Bytes| bytes.get() / f64::from(1 << 20);
        let ours = [need.weights_bytes, need.context_bytes, need.graph_bytes].map(mib);
        let near = |ours: f64, theirs: f64| (ours / theirs - 1.0).abs() < 0.005;
        assert!(near(ours[0], case.weights), "{}: weights {}", case.name, ours[0]);
        assert!(near(ours[1], case.context), "{}: context {}", case.name, ours[1]);
        let theirs = case.weights + case.context + case.graph;
        let total: f64 = ours.iter().sum();
        assert!(near(total, theirs), "{}: total {total} instead of {theirs}", case.name);
        writeln!(
            table,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {theirs:.0} | {:+.2} % |",
            case.name,
            ours[0],
            ours[1],
            ours[2],
            total,
            (total / theirs - 1.0) * 100.0
        )
        .unwrap();
    }
    let text = include_str!("../../../docs/compare.md");
    assert!(text.contains(&table), "docs/compare.md should contain\n{table}");
}
