//! Catalog entries from the headers of model files.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test may panic; the keys of all families stand in one place"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use localrig_estimate::architecture::{Layout, layout};
use localrig_estimate::from_file::{FileFormat, model_of_file};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::weights::weights;
use localrig_facts::format::Format;
use localrig_facts::model::{Architecture, AttentionScheme, Model, Recurrence};
use localrig_facts::model_file::{FileKind, FileTensor, ModelFile, Value};
use localrig_facts::{Catalog, Id};
use localrig_world::model_file::{Limits, Location, read};

fn tiny() -> ModelFile {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../world/tests/data/tiny.gguf");
    read(&Location::Path(PathBuf::from(path)), &Limits::default()).unwrap()
}

/// The weights that a file's entry gives, by way of the catalog files it is written as.
fn loaded(file: &ModelFile) -> f64 {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let found = model_of_file(&catalog, file, "2026-11-21".parse().unwrap()).unwrap();
    let catalog = localrig_world::catalog_with(&[], found.files().unwrap()).unwrap();
    let (id, model) = catalog.get_in::<Model>(found.id.within_folder()).unwrap();
    let layout = layout(&catalog, id, model).unwrap();
    let (id, format) = catalog.get_in::<Format>(found.format.id().within_folder()).unwrap();
    weights(&layout, &Recipe::new(&catalog, id, format).unwrap()).loaded.get()
}

#[test]
fn a_gguf_file_becomes_an_entry_of_its_own() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut found = model_of_file(&catalog, &tiny(), "2026-11-21".parse().unwrap()).unwrap();
    assert_eq!((found.id.as_str(), &found.differences[..]), ("model/file/tiny", &[][..]));
    assert_eq!(found.format, FileFormat::Known(Id::new("format/q8_0")));
    found.model.repository = "(path)".to_owned();
    found.model.sources.get_mut("file").unwrap().title = Some("header".to_owned());
    insta::assert_snapshot!(found.files().unwrap()[0].1);
    let held: u64 = tiny().tensors.iter().map(|tensor| tensor.bytes.next_multiple_of(32)).sum();
    assert!((loaded(&tiny()) - held as f64).abs() < 0.5);
}

#[test]
fn a_mixture_no_recipe_makes_keeps_its_types_tensor_by_tensor() {
    let mut file = tiny();
    for tensor in &mut file.tensors {
        if tensor.name.ends_with("blk.1.ffn_down.weight") {
            "f16".clone_into(&mut tensor.kind);
            tensor.bytes = tensor.shape.iter().product::<u64>() * 2;
        }
    }
    let held: u64 = file.tensors.iter().map(|tensor| tensor.bytes.next_multiple_of(32)).sum();
    assert!((loaded(&file) - held as f64).abs() < 0.5);
}

#[test]
fn a_tensor_that_is_not_as_expected_is_named() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut file = tiny();
    file.tensors[4].shape[1] += 1;
    file.tensors.pop();
    let found = model_of_file(&catalog, &file, "2026-11-21".parse().unwrap()).unwrap();
    assert_eq!(found.differences.len(), 2, "{:?}", found.differences);
    let mut other = tiny();
    other.keys.insert("general.architecture".to_owned(), Value::Text("nobody".to_owned()));
    let error = model_of_file(&catalog, &other, "2026-11-21".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("architecture `nobody` is not in the catalog"), "{error}");
}

/// Whether a layer has a tag.
fn is(layout: &Layout, layer: usize, tag: &str) -> bool {
    layout.layers[layer].is(tag)
}

/// The header a converter of llama.cpp writes for a model of the catalog. Which keys a family has
/// and which of them hold one number per layer is as its `conversion/*.py` writes them.
fn header(layout: &Layout, architecture: &Architecture, model: &Model) -> ModelFile {
    let family = layout.family.as_str();
    let name = &architecture.gguf[usize::from(layout.experts() > 0 && architecture.gguf.len() > 1)];
    let mut keys: BTreeMap<String, Value> = BTreeMap::new();
    keys.insert("general.architecture".to_owned(), Value::Text(name.clone()));
    let mut set = |key: &str, value: Value| keys.insert(format!("{name}.{key}"), value);
    let number = |value: u64| Value::Whole(i128::from(value));
    let dim = |name: &str| layout.dim(name);
    let count = layout.layers.len();
    let per_layer =
        |of: &dyn Fn(usize) -> u64| Value::List((0..count).map(|i| number(of(i))).collect());
    let tagged = |tag: &'static str| move |layer: usize| is(layout, layer, tag);
    let sliding = tagged("sliding");
    set("context_length", number(model.context_tokens));
    set("block_count", number(count as u64));
    for (key, name) in [
        ("embedding_length", "hidden"),
        ("attention.head_count", "heads"),
        ("attention.key_length", "head_dim"),
        ("feed_forward_length", "ffn"),
        ("expert_count", "experts"),
        ("expert_used_count", "experts_used"),
        ("leading_dense_block_count", "dense_layers"),
        ("interleave_moe_layer_step", "moe_every"),
        ("nextn_predict_layers", "mtp_layers"),
        ("attention.sliding_window", "sliding_window"),
        ("attention.kv_lora_rank", "kv_lora"),
        ("attention.q_lora_rank", "q_lora"),
        ("attention.value_length_mla", "v_dim"),
        ("attention.indexer.head_count", "index_heads"),
        ("attention.indexer.key_length", "index_dim"),
        ("attention.indexer.top_k", "index_top_k"),
        ("embedding_length_per_layer_input", "per_layer_input"),
        ("hyper_connection.count", "streams"),
        ("hyper_connection.low_rank", "stream_rank"),
        ("attention.output_group_count", "output_groups"),
        ("attention.output_lora_rank", "output_lora"),
    ] {
        if dim(name) > 0 {
            set(key, number(dim(name)));
        }
    }
    // Mixtral's and Llama 4's experts are as wide as the feed-forward length says.
    if !["llama"].contains(&family) && dim("expert_ffn") > 0 {
        set("expert_feed_forward_length", number(dim("expert_ffn")));
    } else if dim("expert_ffn") > 0 {
        set("feed_forward_length", number(dim("expert_ffn")));
    }
    // Heads of keys: one number, or one per layer with none where nothing attends.
    let attends =
        |layer: usize| ["full", "sliding", "chunked"].iter().any(|tag| is(layout, layer, tag));
    let kv = |layer: usize| match () {
        () if !attends(layer) => 0,
        () if layout.attention == AttentionScheme::Mla => 1,
        () if is(layout, layer, "full") && dim("global_kv_heads") > 0 => dim("global_kv_heads"),
        () if sliding(layer) && dim("sliding_kv_heads") > 0 => dim("sliding_kv_heads"),
        () => dim("kv_heads"),
    };
    let uneven =
        architecture.kv_heads_per_layer || dim("sliding_kv_heads") > 0 || family == "step35";
    set(
        "attention.head_count_kv",
        if uneven {
            per_layer(&kv)
        } else {
            number(if layout.attention == AttentionScheme::Mla { 1 } else { dim("kv_heads") })
        },
    );
    if dim("sliding_heads") > 0 || family == "deci" {
        set(
            "attention.head_count",
            per_layer(&|layer| match () {
                () if !attends(layer) => 0,
                () if sliding(layer) => dim("sliding_heads"),
                () => dim("heads"),
            }),
        );
    }
    match family {
        "gemma4" => {
            set("attention.key_length", number(dim("global_head_dim")));
            set("attention.key_length_swa", number(dim("head_dim")));
            set(
                "feed_forward_length",
                per_layer(&|layer| dim("ffn") * (1 + u64::from(is(layout, layer, "wide")))),
            );
        }
        "gemma3n" => {
            set("feed_forward_length", per_layer(&|_| dim("ffn")));
            set("altup.num_inputs", number(dim("altup_inputs")));
        }
        "deci" => {
            let width = |layer: usize| {
                layout
                    .tensors
                    .iter()
                    .find(|one| one.layer == Some(layer as u32) && &*one.name == "ffn_down.weight")
                    .map_or(0, |one| one.shape[0])
            };
            set("feed_forward_length", per_layer(&width));
        }
        "nemotron-h" => {
            set(
                "feed_forward_length",
                per_layer(&|layer| {
                    if is(layout, layer, "dense") { dim("ffn") } else { 0 }
                }),
            );
            if dim("latent") > 0 {
                set("moe_latent_size", number(dim("latent")));
            }
        }
        "mimo2" => {
            set("attention.value_length", number(dim("v_dim")));
        }
        "kimi-k3" => {
            set("expert_latent_length", number(dim("expert_width")));
        }
        "deepseek4" => {
            set(
                "attention.compress_ratios",
                per_layer(&|layer| match () {
                    () if is(layout, layer, "quarter") => 4,
                    () if is(layout, layer, "compressed") => 128,
                    () => 0,
                }),
            );
            set(
                "hash_layer_count",
                number((0..count).filter(|layer| is(layout, *layer, "hashed")).count() as u64),
            );
        }
        "glm5-next" => {
            set("attention.indexer.kpool", number(dim("index_pool")));
        }
        "qwen4exp" => {
            set(
                "attention.compress_ratios",
                per_layer(&|layer| {
                    if is(layout, layer, "indexer") { dim("index_pool") } else { 0 }
                }),
            );
            set("embedding_length_per_layer_input", number(dim("ngram_dim")));
            let layers = (0..count).filter(|layer| is(layout, *layer, "ngram"));
            set("ple.layers", Value::List(layers.map(|layer| number(layer as u64)).collect()));
        }
        "lfm2" => {
            set("shortconv.l_cache", number(dim("conv")));
        }
        _ => {}
    }
    // Which layers slide, where the converter writes it; elsewhere the family knows.
    if ["gemma3n", "gemma4", "step35", "exaone4", "exaone-moe", "olmo2"].contains(&family)
        && dim("sliding_window") > 0
    {
        set(
            "attention.sliding_window_pattern",
            Value::List((0..count).map(|layer| Value::Bool(sliding(layer))).collect()),
        );
    }
    if family == "mimo2" {
        set("attention.sliding_window_pattern", per_layer(&|layer| u64::from(sliding(layer))));
    }
    let shared = (0..count).filter(|layer| is(layout, *layer, "shared")).count();
    if shared > 0 {
        set("attention.shared_kv_layers", number(shared as u64));
    }
    if dim("kv_lora") > 0 {
        set("attention.key_length", number(dim("kv_lora") + dim("rope_dim")));
        set("attention.key_length_mla", number(dim("nope_dim") + dim("rope_dim")));
        set("rope.dimension_count", number(dim("rope_dim")));
    }
    let kda = layout.tensors.iter().any(|one| &*one.name == "ssm_conv1d_q.weight");
    if dim("conv") > 0 && family != "lfm2" {
        set("ssm.conv_kernel", number(dim("conv")));
    }
    match layout.recurrence {
        _ if kda => {
            set("kda.head_dim", number(dim("key_head_dim")));
        }
        Some(Recurrence::GatedDeltaNet) => {
            set("ssm.state_size", number(dim("key_head_dim")));
            set("ssm.group_count", number(dim("key_heads")));
            set("ssm.time_step_rank", number(dim("value_heads")));
            set("ssm.inner_size", number(dim("value_width")));
        }
        Some(Recurrence::Mamba2) => {
            set("ssm.inner_size", number(dim("inner")));
            set("ssm.state_size", number(dim("state")));
            set("ssm.time_step_rank", number(dim("state_heads")));
            set("ssm.group_count", number(dim("groups")));
        }
        _ => {}
    }
    let tensors = layout.tensors.iter().map(|tensor| FileTensor {
        name: tensor.full_name(),
        shape: tensor.shape.to_vec(),
        kind: "bf16".to_owned(),
        bytes: tensor.elements() * 2,
    });
    let location = "model.gguf".to_owned();
    let tensors = tensors.collect();
    ModelFile { location, kind: FileKind::Gguf, keys, tensors, ..ModelFile::default() }
}

/// What a header's model has other than the catalog's, in a few words.
fn otherwise(own: &Layout, found: &Layout) -> Vec<String> {
    let mut said = Vec::new();
    if found.tensors != own.tensors {
        said.push("tensors".to_owned());
    }
    if found.caches != own.caches {
        said.push("caches".to_owned());
    }
    if found.states != own.states {
        said.push("states".to_owned());
    }
    // The catalog keeps the published number of heads where a converter writes one latent head; no
    // recipe looks at it.
    let latent = own.attention == AttentionScheme::Mla;
    if found.first_group != own.first_group && !latent {
        said.push(format!(
            "query heads per key head {} for {}",
            found.first_group, own.first_group
        ));
    }
    for name in own.dims.keys().chain(found.dims.keys()).collect::<BTreeSet<_>>() {
        // A width that no layer has.
        let has_dense = own.tensors.iter().any(|one| &*one.name == "ffn_down.weight");
        let unused = (name == "kv_heads" && latent) || (name == "ffn" && !has_dense);
        // Every layer, whether it is said or not.
        let [was, is] = [own, found].map(|layout| match name.as_str() {
            "moe_every" => layout.dim(name).max(1),
            _ => layout.dim(name),
        });
        if was != is && !unused {
            said.push(format!("{name} {} for {}", found.dim(name), own.dim(name)));
        }
    }
    said
}

#[test]
fn every_computed_model_survives_the_way_through_a_gguf_header() {
    let catalog: Catalog = localrig_world::catalog(&[]).unwrap();
    let mut failures = Vec::new();
    let mut families = BTreeSet::new();
    for (id, model) in catalog.all::<Model>().unwrap() {
        let Some(family) = model.architecture.as_deref() else { continue };
        families.insert(family);
        let own = layout(&catalog, id, model).unwrap();
        let (_, architecture) = catalog.get_in::<Architecture>(family).unwrap();
        let file = header(&own, architecture, model);
        let said = match model_of_file(&catalog, &file, "2026-11-21".parse().unwrap()) {
            Err(error) => vec![error.to_string()],
            Ok(found) => match layout(&catalog, &found.id, &found.model) {
                Err(error) => vec![error.to_string()],
                Ok(again) => {
                    let mut said = otherwise(&own, &again);
                    said.extend(found.differences);
                    said
                }
            },
        };
        if !said.is_empty() {
            let count = said.len();
            let first: Vec<_> = said.into_iter().take(6).collect();
            failures.push(format!("{family}: {id} ({count}): {}", first.join("; ")));
        }
    }
    assert!(failures.is_empty(), "{} models:\n{}", failures.len(), failures.join("\n"));
    let all = catalog.all::<Architecture>().unwrap();
    let without: Vec<_> = all.keys().filter(|id| !families.contains(id.short())).collect();
    assert!(without.is_empty(), "families without a model to try them with: {without:?}");
}

/// Families whose published configuration is not among what the reader can follow, and why. Their
/// checkpoints end in an error that names what is missing; their GGUF files are read.
const NOT_BY_CONFIG: [&str; 6] = [
    // `block_configs` holds an object per layer, which headers do not keep.
    "deci",
    // Nobody has read the published keys of these.
    "bailingmoe3",
    "glm5-next",
    "hy-v3",
    "minimax-m3",
    "qwen4exp",
];

/// The configuration that a model of the catalog is published with, as far as it decides tensors.
fn config(layout: &Layout, architecture: &Architecture, model: &Model) -> ModelFile {
    let family = layout.family.as_str();
    let mut keys: BTreeMap<String, Value> = BTreeMap::new();
    let mut set = |key: &str, value: Value| {
        keys.insert(key.to_owned(), value);
    };
    let number = |value: u64| Value::Whole(i128::from(value));
    let text = |value: &str| Value::Text(value.to_owned());
    let dim = |name: &str| layout.dim(name);
    let main = layout.main_layers as usize;
    let list = |of: &dyn Fn(usize) -> Value| Value::List((0..main).map(of).collect());
    set("model_type", text(&architecture.model_types[0]));
    set("max_position_embeddings", number(model.context_tokens));
    for (key, name) in [
        ("num_hidden_layers", "layers"),
        ("hidden_size", "hidden"),
        ("vocab_size", "vocab"),
        ("num_attention_heads", "heads"),
        ("num_key_value_heads", "kv_heads"),
        ("head_dim", "head_dim"),
        ("intermediate_size", "ffn"),
        ("num_experts", "experts"),
        ("num_experts_per_tok", "experts_used"),
        ("moe_intermediate_size", "expert_ffn"),
        ("first_k_dense_replace", "dense_layers"),
        ("num_nextn_predict_layers", "mtp_layers"),
        ("sliding_window", "sliding_window"),
        ("kv_lora_rank", "kv_lora"),
        ("q_lora_rank", "q_lora"),
        ("qk_rope_head_dim", "rope_dim"),
        ("qk_nope_head_dim", "nope_dim"),
        ("v_head_dim", "v_dim"),
        ("index_n_heads", "index_heads"),
        ("index_head_dim", "index_dim"),
        ("index_topk", "index_top_k"),
        ("hidden_size_per_layer_input", "per_layer_input"),
    ] {
        if dim(name) > 0 {
            set(key, number(dim(name)));
        }
    }
    if dim("shared_ffn") > 0 {
        set("num_shared_experts", number(dim("shared_ffn") / dim("expert_ffn")));
    }
    for (flag, key, value) in [
        ("tied", "tie_word_embeddings", Value::Bool(true)),
        ("rope_freqs", "rope_scaling.rope_type", text("llama3")),
        ("routing_bias", "topk_method", text("noaux_tc")),
        ("qk_norm", "use_qk_norm", Value::Bool(true)),
        ("attention_bias", "attention_bias", Value::Bool(true)),
        ("k_is_v", "attention_k_eq_v", Value::Bool(true)),
        ("state_norm", "mamba_rms_norm", Value::Bool(true)),
    ] {
        if model.flags.iter().any(|own| own == flag) {
            set(key, value);
        }
    }
    let kind = |layer: usize| match () {
        () if is(layout, layer, "sliding") => "sliding_attention",
        () if is(layout, layer, "chunked") => "chunked_attention",
        () if is(layout, layer, "full") => "full_attention",
        () => "linear_attention",
    };
    if [
        "gemma3n",
        "gemma4",
        "qwen35",
        "qwen3next",
        "gpt-oss",
        "lfm2",
        "olmo2",
        "exaone4",
        "exaone-moe",
        "afmoe",
        "cohere2moe",
        "laguna",
        "granitehybrid",
        "llama4",
    ]
    .contains(&family)
    {
        set("layer_types", list(&|layer| text(kind(layer))));
    }
    let shared = (0..main).filter(|layer| is(layout, *layer, "shared")).count();
    set("num_kv_shared_layers", number(shared as u64));
    match family {
        // The only width there is, of the experts.
        "llama" | "gpt-oss" | "minimax-m2" if layout.experts() > 0 => {
            set("num_local_experts", number(dim("experts")));
            set("intermediate_size", number(dim("expert_ffn")));
        }
        "llama4" => {
            set("num_local_experts", number(dim("experts")));
            set("intermediate_size", number(dim("expert_ffn")));
            set("intermediate_size_mlp", number(dim("ffn").max(16384)));
            set("interleave_moe_layer_step", number(dim("moe_every").max(1)));
            set("attention_chunk_size", number(dim("attention_chunk")));
        }
        "qwen3next" | "qwen35" => {
            set("shared_expert_intermediate_size", number(dim("shared_ffn")));
            set("linear_conv_kernel_dim", number(dim("conv")));
            set("linear_key_head_dim", number(dim("key_head_dim")));
            set("linear_num_key_heads", number(dim("key_heads")));
            set("linear_value_head_dim", number(dim("value_head_dim")));
            set("linear_num_value_heads", number(dim("value_heads")));
        }
        "granitehybrid" => {
            set("shared_intermediate_size", number(dim("shared_ffn").max(dim("ffn"))));
            set("intermediate_size", number(dim("expert_ffn").max(dim("ffn"))));
        }
        "gemma3n" => {
            set("intermediate_size", list(&|_| number(dim("ffn"))));
            set("altup_num_inputs", number(dim("altup_inputs")));
            set("laurel_rank", number(dim("laurel_rank")));
        }
        "gemma4" => {
            set("global_head_dim", number(dim("global_head_dim")));
            set("num_global_key_value_heads", number(dim("global_kv_heads")));
            set(
                "use_double_wide_mlp",
                Value::Bool((0..main).any(|layer| is(layout, layer, "wide"))),
            );
        }
        "deci" => {
            set("block_configs", Value::List(Vec::new()));
        }
        "hunyuan-moe" => {
            set("moe_topk", list(&|_| number(dim("experts_used"))));
            set("moe_intermediate_size", list(&|_| number(dim("expert_ffn"))));
            set("num_shared_expert", list(&|_| number(dim("shared_ffn") / dim("expert_ffn"))));
        }
        "ernie4-5-moe" => {
            set("moe_num_experts", number(dim("experts")));
            set("moe_k", number(dim("experts_used")));
            set("moe_num_shared_experts", number(dim("shared_ffn") / dim("expert_ffn")));
            set("moe_layer_start_index", number(dim("dense_layers")));
        }
        "exaone-moe" => {
            set(
                "mlp_layer_types",
                list(&|layer| text(if is(layout, layer, "dense") { "dense" } else { "sparse" })),
            );
        }
        "cohere2moe" => {
            set("intermediate_size", number(dim("expert_ffn")));
            set("prefix_dense_intermediate_size", number(dim("ffn")));
        }
        "laguna" => {
            set(
                "num_attention_heads_per_layer",
                list(&|layer| {
                    number(if is(layout, layer, "sliding") {
                        dim("sliding_heads")
                    } else {
                        dim("heads")
                    })
                }),
            );
            set(
                "mlp_layer_types",
                list(&|layer| text(if is(layout, layer, "dense") { "dense" } else { "sparse" })),
            );
            set("shared_expert_intermediate_size", number(dim("shared_ffn")));
        }
        "step35" => {
            set("num_attention_groups", number(dim("kv_heads")));
            set("attention_other_setting.num_attention_heads", number(dim("sliding_heads")));
            set("moe_num_experts", number(dim("experts")));
            set("moe_top_k", number(dim("experts_used")));
            set("share_expert_dim", number(dim("shared_ffn")));
            let mixed = (dim("dense_layers")..dim("layers")).map(|layer| layer.to_string());
            set("moe_layers_enum", text(&mixed.collect::<Vec<_>>().join(",")));
            // Prediction blocks are listed too.
            let all = (0..layout.layers.len()).map(|layer| text(kind(layer)));
            set("layer_types", Value::List(all.collect()));
        }
        "mimo2" => {
            set(
                "hybrid_layer_pattern",
                list(&|layer| number(u64::from(is(layout, layer, "sliding")))),
            );
            set("swa_num_key_value_heads", number(dim("sliding_kv_heads")));
            set("n_routed_experts", number(dim("experts")));
            set("moe_layer_freq", list(&|layer| number(u64::from(is(layout, layer, "moe")))));
        }
        "kimi-linear" | "kimi-k3" => {
            let full = (0..main).filter(|layer| is(layout, *layer, "full"));
            set(
                "linear_attn_config.full_attn_layers",
                Value::List(full.map(|layer| number(layer as u64 + 1)).collect()),
            );
            set("linear_attn_config.head_dim", number(dim("key_head_dim")));
            set("linear_attn_config.num_heads", number(dim("key_heads")));
            set("linear_attn_config.short_conv_kernel_size", number(dim("conv")));
            set("num_experts_per_token", number(dim("experts_used")));
            if family == "kimi-k3" {
                set("routed_expert_hidden_size", number(dim("expert_width")));
            }
        }
        "deepseek4" => {
            let mut ratios: Vec<Value> = (0..main)
                .map(|layer| {
                    number(match () {
                        () if is(layout, layer, "quarter") => 4,
                        () if is(layout, layer, "compressed") => 128,
                        () => 0,
                    })
                })
                .collect();
            // One more, for the prediction block.
            ratios.push(number(0));
            set("compress_ratios", Value::List(ratios));
            set(
                "num_hash_layers",
                number((0..main).filter(|layer| is(layout, *layer, "hashed")).count() as u64),
            );
            set("o_groups", number(dim("output_groups")));
            set("o_lora_rank", number(dim("output_lora")));
            set("hc_mult", number(dim("streams")));
        }
        "deepseek-sparse" => {
            set(
                "indexer_types",
                list(&|layer| text(if is(layout, layer, "indexer") { "full" } else { "shared" })),
            );
        }
        "lfm2" => {
            set("conv_L_cache", number(dim("conv")));
            set("num_dense_layers", number(dim("dense_layers")));
        }
        "nemotron-h" => {
            let letter = |layer: usize| match () {
                () if is(layout, layer, "recurrent") => 'M',
                () if is(layout, layer, "full") => '*',
                () if is(layout, layer, "moe") => 'E',
                () => '-',
            };
            set("hybrid_override_pattern", Value::Text((0..main).map(letter).collect()));
            set("moe_shared_expert_intermediate_size", number(dim("shared_ffn")));
            if dim("latent") > 0 {
                set("moe_latent_size", number(dim("latent")));
            }
        }
        _ => {}
    }
    if layout.recurrence == Some(Recurrence::Mamba2) {
        set("mamba_d_conv", number(dim("conv")));
        set("mamba_n_groups", number(dim("groups")));
        set("mamba_d_state", number(dim("state")));
        set("mamba_n_heads", number(dim("state_heads")));
        set("mamba_d_ssm", number(dim("inner")));
    }
    // One matrix says how weights are stored; how checkpoints name the others is not tried here.
    let shape = vec![dim("vocab"), dim("hidden")];
    let bytes = shape.iter().product::<u64>() * 2;
    let name = "model.embed_tokens.weight".to_owned();
    let tensors = vec![FileTensor { name, shape, kind: "BF16".to_owned(), bytes }];
    let location = "checkpoint".to_owned();
    ModelFile { location, kind: FileKind::Safetensors, keys, tensors, ..ModelFile::default() }
}

#[test]
fn every_computed_model_survives_the_way_through_its_configuration() {
    let catalog: Catalog = localrig_world::catalog(&[]).unwrap();
    let mut failures = Vec::new();
    for (id, model) in catalog.all::<Model>().unwrap() {
        let Some(family) = model.architecture.as_deref() else { continue };
        if NOT_BY_CONFIG.contains(&family) {
            continue;
        }
        let own = layout(&catalog, id, model).unwrap();
        let (_, architecture) = catalog.get_in::<Architecture>(family).unwrap();
        let file = config(&own, architecture, model);
        let said = match model_of_file(&catalog, &file, "2026-11-21".parse().unwrap()) {
            Err(error) => vec![error.to_string()],
            Ok(found) => match layout(&catalog, &found.id, &found.model) {
                Err(error) => vec![error.to_string()],
                Ok(again) => otherwise(&own, &again),
            },
        };
        if !said.is_empty() {
            failures.push(format!("{family}: {id}: {}", said.join("; ")));
        }
    }
    assert!(failures.is_empty(), "{} models:\n{}", failures.len(), failures.join("\n"));
}

/// The header of a catalog model, and the model.
fn gguf_of(catalog: &Catalog, name: &str) -> (ModelFile, Layout) {
    let (id, model) = catalog.get_in::<Model>(name).unwrap();
    let own = layout(catalog, id, model).unwrap();
    let family = model.architecture.as_deref().unwrap();
    let (_, architecture) = catalog.get_in::<Architecture>(family).unwrap();
    (header(&own, architecture, model), own)
}

#[test]
fn a_dimension_that_nothing_holds_is_named_with_where_it_was_looked_for() {
    let catalog: Catalog = localrig_world::catalog(&[]).unwrap();
    let said = |file: &ModelFile| {
        let found = model_of_file(&catalog, file, "2026-11-21".parse().unwrap());
        found.map_or_else(|error| error.to_string(), |found| found.differences.join("; "))
    };
    let (mut no_key, _) = gguf_of(&catalog, "deepseek-ai/deepseek-v4-flash");
    no_key.keys.remove("deepseek4.attention.indexer.top_k");
    let (mut no_shape, _) = gguf_of(&catalog, "google/gemma-3n-e2b-it");
    no_shape.tensors.retain(|tensor| !tensor.name.contains("laurel"));
    let (mut odd, _) = gguf_of(&catalog, "deepseek-ai/deepseek-v4-flash");
    let ratios = "deepseek4.attention.compress_ratios".to_owned();
    odd.keys.insert(ratios, Value::List(vec![Value::Whole(16); 43]));
    let mut lines = vec![said(&no_key), said(&no_shape), said(&odd)];
    for family in NOT_BY_CONFIG {
        let all = catalog.all::<Model>().unwrap();
        let mut own = all.iter().filter(|(_, one)| one.architecture.as_deref() == Some(family));
        let (id, model) = own.next().unwrap();
        let (_, architecture) = catalog.get_in::<Architecture>(family).unwrap();
        let mut file = config(&layout(&catalog, id, model).unwrap(), architecture, model);
        // What the published ones call otherwise.
        for key in ["intermediate_size", "index_topk", "index_n_heads", "num_shared_experts"] {
            file.keys.remove(key);
        }
        lines.push(said(&file));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_model_need_not_have_every_kind_of_layer_its_family_knows() {
    let catalog: Catalog = localrig_world::catalog(&[]).unwrap();
    let id = Id::new("model/nvidia/smaller");
    let (_, model) = catalog
        .all::<Model>()
        .unwrap()
        .iter()
        .find(|(_, one)| one.architecture.as_deref() == Some("deci"))
        .unwrap();
    // Llama Nemotron 49B has no layers of five eighths.
    let smaller = Model { layers: Some("full full+half none+quarter".to_owned()), ..model.clone() };
    let own = layout(&catalog, &id, &smaller).unwrap();
    let (_, architecture) = catalog.get_in::<Architecture>("deci").unwrap();
    let file = header(&own, architecture, &smaller);
    let found = model_of_file(&catalog, &file, "2026-11-21".parse().unwrap()).unwrap();
    assert_eq!(found.differences, Vec::<String>::new());
}

#[test]
fn one_number_says_which_layers_are_full_and_no_window_that_all_are() {
    let catalog: Catalog = localrig_world::catalog(&[]).unwrap();
    let (mut file, own) = gguf_of(&catalog, "poolside/laguna-s-2.1");
    let pattern = "laguna.attention.sliding_window_pattern".to_owned();
    let layers = |file: &ModelFile| {
        let found = model_of_file(&catalog, file, "2026-11-21".parse().unwrap()).unwrap();
        let again = layout(&catalog, &found.id, &found.model).unwrap();
        let kind = |layer: usize| if is(&again, layer, "sliding") { 's' } else { 'f' };
        (0..8).map(kind).collect::<String>()
    };
    assert_eq!(layers(&file), "fsssfsss");
    file.keys.insert(pattern.clone(), Value::Whole(2));
    assert_eq!(layers(&file), "fsfsfsfs");
    file.keys.remove(&pattern);
    file.keys.remove("laguna.attention.sliding_window");
    // Laguna M looks at everything in every layer, with one number of heads.
    let heads = Value::Whole(i128::from(own.dim("heads")));
    file.keys.insert("laguna.attention.head_count".to_owned(), heads);
    assert_eq!(layers(&file), "ffffffff");
}

/// A checkpoint as `transformers` writes it: names with shapes, output dimension first; those of a
/// layer for each layer, those of an expert for each expert.
fn checkpoint(config: &[(&str, i128)], kind: &str, tensors: &[(&str, &[u64])]) -> ModelFile {
    let mut keys: BTreeMap<String, Value> =
        config.iter().map(|(key, value)| ((*key).to_owned(), Value::Whole(*value))).collect();
    keys.insert("model_type".to_owned(), Value::Text(kind.to_owned()));
    let of = |key: &str| config.iter().find(|(own, _)| *own == key).map_or(1, |(_, value)| *value);
    let (layers, experts) = (of("num_hidden_layers"), of("num_experts"));
    let mut all = Vec::new();
    for (name, shape) in tensors {
        let layers = if name.contains("{layer}") { layers } else { 1 };
        let experts = if name.contains("{expert}") { experts } else { 1 };
        for layer in 0..layers {
            for expert in 0..experts {
                let name = name.replace("{layer}", &layer.to_string());
                all.push(FileTensor {
                    name: name.replace("{expert}", &expert.to_string()),
                    shape: shape.to_vec(),
                    kind: "BF16".to_owned(),
                    bytes: shape.iter().product::<u64>() * 2,
                });
            }
        }
    }
    let location = "checkpoint".to_owned();
    ModelFile { location, kind: FileKind::Safetensors, keys, tensors: all, ..ModelFile::default() }
}

/// Qwen3-30B-A3B as published.
fn qwen3_moe() -> ModelFile {
    checkpoint(
        &[
            ("num_hidden_layers", 48),
            ("hidden_size", 2048),
            ("vocab_size", 151_936),
            ("num_attention_heads", 32),
            ("num_key_value_heads", 4),
            ("head_dim", 128),
            ("intermediate_size", 6144),
            ("num_experts", 128),
            ("num_experts_per_tok", 8),
            ("moe_intermediate_size", 768),
            ("max_position_embeddings", 40_960),
        ],
        "qwen3_moe",
        &[
            ("model.embed_tokens.weight", &[151_936, 2048]),
            ("model.norm.weight", &[2048]),
            ("lm_head.weight", &[151_936, 2048]),
            ("model.layers.{layer}.input_layernorm.weight", &[2048]),
            ("model.layers.{layer}.post_attention_layernorm.weight", &[2048]),
            ("model.layers.{layer}.self_attn.q_proj.weight", &[4096, 2048]),
            ("model.layers.{layer}.self_attn.k_proj.weight", &[512, 2048]),
            ("model.layers.{layer}.self_attn.v_proj.weight", &[512, 2048]),
            ("model.layers.{layer}.self_attn.o_proj.weight", &[2048, 4096]),
            ("model.layers.{layer}.self_attn.q_norm.weight", &[128]),
            ("model.layers.{layer}.self_attn.k_norm.weight", &[128]),
            ("model.layers.{layer}.mlp.gate.weight", &[128, 2048]),
            ("model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight", &[768, 2048]),
            ("model.layers.{layer}.mlp.experts.{expert}.up_proj.weight", &[768, 2048]),
            ("model.layers.{layer}.mlp.experts.{expert}.down_proj.weight", &[2048, 768]),
        ],
    )
}

fn differences(file: &ModelFile) -> Vec<String> {
    let catalog = localrig_world::catalog(&[]).unwrap();
    model_of_file(&catalog, file, "2026-11-21".parse().unwrap()).unwrap().differences
}

#[test]
fn every_tensor_of_a_checkpoint_is_compared_by_name() {
    let file = qwen3_moe();
    assert_eq!(differences(&file), Vec::<String>::new());
    // The published number of parameters.
    let elements: u64 = file.tensors.iter().map(|one| one.shape.iter().product::<u64>()).sum();
    assert_eq!(elements, 30_532_122_624);
    assert!((loaded(&file) / (2.0 * elements as f64) - 1.0).abs() < 0.01, "{}", loaded(&file));
}

#[test]
fn what_a_checkpoint_lacks_or_has_beside_is_named_once_for_all_layers() {
    let mut file = qwen3_moe();
    file.tensors.retain(|tensor| !tensor.name.ends_with("k_norm.weight"));
    for tensor in &mut file.tensors {
        if tensor.name.ends_with("layers.3.self_attn.o_proj.weight") {
            tensor.shape[1] += 1;
        }
        if tensor.name.ends_with("layers.7.mlp.gate.weight") {
            "model.layers.7.mlp.door.weight".clone_into(&mut tensor.name);
        }
    }
    insta::assert_snapshot!(differences(&file).join("\n"), @"
    attn_k_norm.weight: expected, not found (48 layers)
    attn_output.weight: 8388608 elements expected, 8390656 found
    ffn_gate_inp.weight: expected, not found
    1 tensors with other names, such as model.layers.7.mlp.door.weight
    ");
}

#[test]
fn packed_tensors_are_known_by_their_names() {
    let mut file = qwen3_moe();
    let mut more = Vec::new();
    for tensor in &mut file.tensors {
        if let Some(stem) = tensor.name.strip_suffix("_proj.weight") {
            let stem = format!("{stem}_proj");
            for part in ["qzeros", "scales"] {
                more.push(FileTensor { name: format!("{stem}.{part}"), ..tensor.clone() });
            }
            tensor.name = format!("{stem}.qweight");
            tensor.shape[1] /= 8;
        }
    }
    file.tensors.extend(more);
    let config = "quantization_config";
    file.keys.insert(format!("{config}.quant_method"), Value::Text("awq".to_owned()));
    file.keys.insert(format!("{config}.bits"), Value::Whole(4));
    assert_eq!(differences(&file), Vec::<String>::new());
}

#[test]
fn names_of_fused_and_biased_tensors_are_read() {
    // gpt-oss-20b as published: gate and up of all experts in one tensor, FP4 in blocks.
    let mut file = checkpoint(
        &[
            ("num_hidden_layers", 24),
            ("hidden_size", 2880),
            ("vocab_size", 201_088),
            ("num_attention_heads", 64),
            ("num_key_value_heads", 8),
            ("head_dim", 64),
            ("intermediate_size", 2880),
            ("num_local_experts", 32),
            ("num_experts_per_tok", 4),
            ("sliding_window", 128),
            ("max_position_embeddings", 131_072),
        ],
        "gpt_oss",
        &[
            ("model.embed_tokens.weight", &[201_088, 2880]),
            ("model.norm.weight", &[2880]),
            ("lm_head.weight", &[201_088, 2880]),
            ("model.layers.{layer}.input_layernorm.weight", &[2880]),
            ("model.layers.{layer}.post_attention_layernorm.weight", &[2880]),
            ("model.layers.{layer}.self_attn.q_proj.weight", &[4096, 2880]),
            ("model.layers.{layer}.self_attn.q_proj.bias", &[4096]),
            ("model.layers.{layer}.self_attn.k_proj.weight", &[512, 2880]),
            ("model.layers.{layer}.self_attn.k_proj.bias", &[512]),
            ("model.layers.{layer}.self_attn.v_proj.weight", &[512, 2880]),
            ("model.layers.{layer}.self_attn.v_proj.bias", &[512]),
            ("model.layers.{layer}.self_attn.o_proj.weight", &[2880, 4096]),
            ("model.layers.{layer}.self_attn.o_proj.bias", &[2880]),
            ("model.layers.{layer}.self_attn.sinks", &[64]),
            ("model.layers.{layer}.mlp.router.weight", &[32, 2880]),
            ("model.layers.{layer}.mlp.router.bias", &[32]),
            ("model.layers.{layer}.mlp.experts.gate_up_proj_blocks", &[32, 5760, 90, 16]),
            ("model.layers.{layer}.mlp.experts.gate_up_proj_scales", &[32, 5760, 90]),
            ("model.layers.{layer}.mlp.experts.gate_up_proj_bias", &[32, 5760]),
            ("model.layers.{layer}.mlp.experts.down_proj_blocks", &[32, 2880, 90, 16]),
            ("model.layers.{layer}.mlp.experts.down_proj_scales", &[32, 2880, 90]),
            ("model.layers.{layer}.mlp.experts.down_proj_bias", &[32, 2880]),
        ],
    );
    let method = "quantization_config.quant_method";
    file.keys.insert(method.to_owned(), Value::Text("mxfp4".to_owned()));
    assert_eq!(differences(&file), Vec::<String>::new());
    file.tensors.retain(|tensor| !tensor.name.ends_with("sinks"));
    assert_eq!(differences(&file), ["attn_sinks.weight: expected, not found (24 layers)"]);
}
