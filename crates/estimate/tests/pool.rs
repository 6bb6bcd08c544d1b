//! vLLM's block pool.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use localrig_estimate::architecture::{Layout, layout};
use localrig_estimate::context::KvType;
use localrig_estimate::pool::{PoolAsk, Slice, block_pool, pool_bytes, slice_bytes};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::weights::tensor_sizes;
use localrig_facts::format::Format;
use localrig_facts::model::Model;
use localrig_facts::unit::Bytes;

fn model(name: &str) -> Layout {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (id, model) = catalog.get_in::<Model>(name).unwrap();
    layout(&catalog, id, model).unwrap()
}

/// Requests of `context` tokens under vLLM's own settings on a small card.
const fn asked(context: u64, kv: KvType) -> PoolAsk {
    PoolAsk { kv, context, batched_tokens: 8192, block_tokens: 16, slice: Slice::WHOLE }
}

#[test]
fn a_model_with_one_kind_of_layers_is_one_group() {
    let pool = block_pool(
        &model("meta-llama/llama-3.1-8b-instruct"),
        Bytes::gib(20.0),
        asked(8192, KvType::F16),
    )
    .unwrap();
    // 16 tokens of 32 layers with 8 heads of 128, keys and values: 2 MiB.
    assert_eq!((pool.blocks, pool.groups, pool.tokens), (10_240, 1, 163_840));
    assert_eq!((pool.blocks_per_request, pool.requests), (512, 20.0));
}

#[test]
fn a_window_keeps_itself_and_one_batch() {
    let layout = model("openai/gpt-oss-120b");
    let pool =
        |context| block_pool(&layout, Bytes::gib(20.0), asked(context, KvType::F16)).unwrap();
    let long = pool(131_072);
    assert_eq!((long.groups, long.group_layers), (2, 18));
    // 131,072 tokens of full layers; 127 and 8,192 of the others, and one block more.
    assert_eq!(long.blocks_per_request, 8192 + 521);
    assert!(pool(4096).requests > long.requests * 15.0);
}

#[test]
fn hybrid_pools_have_the_capacity_vllm_reports() {
    // NVIDIA DGX Spark, vLLM 0.19.2rc1: reported tokens of pools of so many MiB.
    for (name, kv, mib, tokens) in [
        ("nvidia/nvidia-nemotron-3-nano-4b-bf16", "fp8", 105_871.4, 1_934_432.0),
        ("qwen/qwen3.6-35b-a3b", "auto", 48_691.2, 623_040.0),
    ] {
        let ask = asked(32_768, KvType::of(kv).unwrap());
        let pool = block_pool(&model(name), Bytes::mib(mib), ask).unwrap();
        let ratio = pool.tokens as f64 / tokens;
        assert!((ratio - 1.0).abs() < 0.01, "{name}: {} instead of {tokens}", pool.tokens);
    }
}

#[test]
fn what_is_left_of_a_card_is_never_negative() {
    let left = |weights| pool_bytes(Bytes::gib(24.0), 0.92, Bytes::gib(weights), Bytes::gib(1.5));
    assert!((left(10.0).to_gib() - 10.58).abs() < 1e-9);
    assert_eq!(left(40.0), Bytes::ZERO);
}

#[test]
fn devices_of_a_tensor_parallel_group_hold_equal_parts() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (id, own) = catalog.get_in::<Model>("qwen/qwen3-32b").unwrap();
    let layout = layout(&catalog, id, own).unwrap();
    let (format_id, format) = catalog.get_in::<Format>("awq-int4").unwrap();
    let sizes = tensor_sizes(&layout, &Recipe::new(&catalog, format_id, format).unwrap());
    let part = |tensor| slice_bytes(&layout, &sizes, Slice { tensor, ..Slice::WHOLE });
    let whole: u64 = sizes.iter().sum();
    assert_eq!(part(1), Bytes::new(whole as f64));
    // Norms lie whole on each: a little more than half, and than a quarter.
    for (tensor, more) in [(2, 1.001), (4, 1.002)] {
        let share = part(tensor) * tensor as f64 / part(1);
        assert!((1.0..more).contains(&share), "{tensor}: {share}");
    }
    let pool = |tensor| {
        let slice = Slice { tensor, ..Slice::WHOLE };
        let ask = PoolAsk { slice, ..asked(8192, KvType::F16) };
        block_pool(&layout, Bytes::gib(10.0), ask).unwrap().tokens
    };
    // Eight KV heads: sixteen devices keep each head twice.
    assert_eq!((pool(2), pool(8), pool(16)), (pool(1) * 2, pool(1) * 8, pool(1) * 8));
}

#[test]
fn pipeline_stages_share_layers_as_vllm_does() {
    let layers = |count, stages| {
        Slice::stages(count, stages).iter().map(|one| one.end - one.first).collect::<Vec<_>>()
    };
    assert_eq!(layers(48, 3), [16, 16, 16]);
    // What is left over goes to the stages before the last.
    assert_eq!(layers(64, 3), [21, 22, 21]);
    assert_eq!(layers(62, 4), [15, 16, 16, 15]);
    assert_eq!(layers(7, 1), [7]);
}
