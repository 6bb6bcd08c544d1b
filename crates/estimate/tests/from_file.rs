//! Catalog entries from the headers of model files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

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
        shape: tensor.shape.clone(),
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
        if own.dim(name) != found.dim(name) && !unused {
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
