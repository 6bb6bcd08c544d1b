//! Catalog entries from the headers of model files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use localrig_estimate::architecture::{Layout, layout};
use localrig_estimate::from_file::{FileFormat, model_of_file};
use localrig_estimate::recipe::Recipe;
use localrig_estimate::weights::weights;
use localrig_facts::format::Format;
use localrig_facts::model::{Architecture, Model};
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

/// The header a converter would write for a model of the catalog.
fn header(layout: &Layout, architecture: &Architecture, model: &Model) -> ModelFile {
    let name = &architecture.gguf[usize::from(layout.experts() > 0 && architecture.gguf.len() > 1)];
    let mut keys: BTreeMap<String, Value> = BTreeMap::new();
    keys.insert("general.architecture".to_owned(), Value::Text(name.clone()));
    let mut set = |key: &str, value: Value| keys.insert(format!("{name}.{key}"), value);
    let whole = |name: &str| Value::Whole(i128::from(layout.dim(name)));
    set("context_length", Value::Whole(i128::from(model.context_tokens)));
    set("block_count", Value::Whole(layout.layers.len() as i128));
    for (key, dim) in [
        ("embedding_length", "hidden"),
        ("attention.head_count", "heads"),
        ("attention.head_count_kv", "kv_heads"),
        ("attention.key_length", "head_dim"),
        ("nextn_predict_layers", "mtp_layers"),
        ("expert_count", "experts"),
        ("expert_used_count", "experts_used"),
        ("leading_dense_block_count", "dense_layers"),
        ("interleave_moe_layer_step", "moe_every"),
        ("ssm.conv_kernel", "conv"),
    ] {
        set(key, whole(dim));
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

#[test]
fn models_of_plain_families_survive_the_way_through_a_header() {
    let catalog: Catalog = localrig_world::catalog(&[]).unwrap();
    let plain =
        ["llama", "qwen2", "qwen3", "qwen3moe", "glm4moe", "minimax-m2", "phi3", "seed-oss"];
    let mut count = 0;
    for (id, model) in catalog.all::<Model>().unwrap() {
        let Some(family) = model.architecture.as_deref().filter(|one| plain.contains(one)) else {
            continue;
        };
        let own = layout(&catalog, id, model).unwrap();
        let (_, architecture) = catalog.get_in::<Architecture>(family).unwrap();
        let file = header(&own, architecture, model);
        let found = model_of_file(&catalog, &file, "2026-11-21".parse().unwrap()).unwrap();
        assert_eq!(found.differences, Vec::<String>::new(), "{id}");
        let again = layout(&catalog, &found.id, &found.model).unwrap();
        assert!(again.tensors == own.tensors && again.caches == own.caches, "{id}");
        count += 1;
    }
    assert!(count > 80, "{count}");
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
