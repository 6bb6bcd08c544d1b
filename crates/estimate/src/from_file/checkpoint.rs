//! The tensors of a safetensors checkpoint beside those its family's rules expect.
//!
//! Checkpoints name tensors as `transformers` does, an expert at a time; the rules name them as GGUF
//! does, all experts of a layer in one. Names are translated, elements counted and compared. What is
//! packed (AWQ, GPTQ, MLX, FP4) is known by its name alone: its elements lie several to a number.

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::model_file::{FileTensor, ModelFile};

use crate::architecture::Layout;

/// Modules of a layer by their names in checkpoints and in GGUF files.
/// Source: gguf-py `tensor_mapping.py`.
const MODULES: [(&str, &str); 37] = [
    ("input_layernorm", "attn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.sinks", "attn_sinks"),
    ("self_attn.q_a_proj", "attn_q_a"),
    ("self_attn.q_a_layernorm", "attn_q_a_norm"),
    ("self_attn.q_b_proj", "attn_q_b"),
    ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    ("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
    ("self_attn.kv_b_proj", KV_B),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.router", "ffn_gate_inp"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("mlp.gate.e_score_correction_bias", "exp_probs_b"),
    ("block_sparse_moe.e_score_correction_bias", "exp_probs_b"),
    ("mlp.experts.gate_proj", "ffn_gate_exps"),
    ("mlp.experts.up_proj", "ffn_up_exps"),
    ("mlp.experts.down_proj", "ffn_down_exps"),
    ("block_sparse_moe.experts.w1", "ffn_gate_exps"),
    ("block_sparse_moe.experts.w3", "ffn_up_exps"),
    ("block_sparse_moe.experts.w2", "ffn_down_exps"),
    ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
    ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
    ("mlp.experts.gate_up_proj", GATE_UP),
];

/// The projection out of the latent space, which a converter takes apart into K and V.
const KV_B: &str = "attn_kv_b";
/// Gate and up of all experts in one tensor, which a converter takes apart.
const GATE_UP: &str = "ffn_gate_up_exps";

/// Tensors outside the layers.
const OUTSIDE: [(&str, &str); 3] =
    [("embed_tokens", "token_embd"), ("norm", "output_norm"), ("lm_head", "output")];

/// Parts of packed tensors beside the numbers themselves.
const PACKED: [&str; 7] =
    ["qweight", "weight_packed", "scales", "qzeros", "g_idx", "biases", "trellis"];

/// Parts that come beside numbers which are not packed: scales of FP8 weights and of caches.
const BESIDE: [&str; 7] = [
    "weight_scale",
    "weight_scale_inv",
    "weight_scale_2",
    "weight_shape",
    "weight_zero_point",
    "input_scale",
    "weight_global_scale",
];

/// What a checkpoint holds of one expected tensor.
#[derive(Default)]
struct Found {
    elements: u64,
    packed: bool,
}

/// Tensors that the rules and the checkpoint do not agree on, layers that are alike in one line.
pub(super) fn differences(file: &ModelFile, layout: &Layout) -> Vec<String> {
    let fused = file.tensors.iter().any(|tensor| tensor.name.contains("experts.gate_up_proj"));
    let expected = expected(layout, fused);
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let mut unknown: BTreeSet<&str> = BTreeSet::new();
    let packed = packed_modules(file);
    for tensor in &file.tensors {
        match translate(tensor, layout) {
            Name::Beside => {}
            Name::Unknown => {
                unknown.insert(&tensor.name);
            }
            Name::Is(name) => {
                let own = found.entry(name).or_default();
                own.elements += tensor.shape.iter().product::<u64>();
                own.packed |= packed.contains(module(&tensor.name).0);
            }
        }
    }
    let mut said: BTreeMap<String, u64> = BTreeMap::new();
    for (name, elements) in &expected {
        let what = match found.get(name) {
            None => format!("{}: expected, not found", bare(name)),
            Some(own) if !own.packed && own.elements != *elements => {
                format!("{}: {elements} elements expected, {} found", bare(name), own.elements)
            }
            Some(_) => continue,
        };
        *said.entry(what).or_default() += 1;
    }
    for name in found.keys().filter(|name| !expected.contains_key(*name)) {
        *said.entry(format!("{}: found, not expected", bare(name))).or_default() += 1;
    }
    let lines = said.into_iter().map(|(what, count)| match count {
        1 => what,
        count => format!("{what} ({count} layers)"),
    });
    let mut lines: Vec<String> = lines.collect();
    if let Some(first) = unknown.first() {
        lines.push(format!("{} tensors with other names, such as {first}", unknown.len()));
    }
    lines
}

/// Elements of the tensors a checkpoint should have, by their GGUF names; what it holds in one
/// counts as one.
fn expected(layout: &Layout, fused: bool) -> BTreeMap<String, u64> {
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for tensor in &layout.tensors {
        // Tables are the converter's own; prediction blocks are not compared.
        if tensor.table || tensor.layer.is_some_and(|layer| layer >= layout.main_layers) {
            continue;
        }
        let name = tensor.full_name();
        let joined = |name: String, parts: [&str; 2], whole: &str| {
            parts
                .into_iter()
                .fold(name, |name, part| name.replace(&format!(".{part}."), &format!(".{whole}.")))
        };
        let name = joined(name, ["attn_k_b", "attn_v_b"], KV_B);
        let name =
            if fused { joined(name, ["ffn_gate_exps", "ffn_up_exps"], GATE_UP) } else { name };
        *expected.entry(name).or_default() += tensor.elements();
    }
    expected
}

/// Modules of which some part shows that their numbers are packed.
fn packed_modules(file: &ModelFile) -> BTreeSet<&str> {
    let parts = file.tensors.iter().map(|tensor| module(&tensor.name));
    let is_packed = |part: &str| {
        // FP4 of the model optimizer: two numbers to a byte under the plain name.
        let packed = PACKED.contains(&part) || part == "weight_scale_2";
        packed || part.ends_with("_blocks") || part.ends_with("_scales")
    };
    parts.filter(|(_, part)| is_packed(part)).map(|(module, _)| module).collect()
}

/// A tensor's module and part: `…q_proj` and `weight`.
fn module(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}

/// A name without the layer's number.
fn bare(name: &str) -> &str {
    let rest = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    rest.map_or(name, |(_, rest)| rest)
}

enum Name {
    /// As GGUF calls it.
    Is(String),
    /// Something that belongs to another tensor, or to another part of the model.
    Beside,
    Unknown,
}

fn translate(tensor: &FileTensor, layout: &Layout) -> Name {
    let name = tensor.name.as_str();
    let other = ["visual", "vision", "audio", "multi_modal", "embed_vision", "mtp."];
    let mut rest = name;
    for prefix in ["model.", "language_model.", "text_model.", "model."] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    if other.iter().any(|one| rest.starts_with(one)) || rest.ends_with("rotary_emb.inv_freq") {
        return Name::Beside;
    }
    let (layer, rest) = match rest.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) {
        Some((number, rest)) => match number.parse::<u32>() {
            Ok(layer) if layer >= layout.main_layers => return Name::Beside,
            Ok(layer) => (Some(layer), rest),
            Err(_) => return Name::Unknown,
        },
        None => (None, rest),
    };
    let (path, part) = match module(rest) {
        // Parameters of the module itself: `self_attn.sinks`, `mlp.experts.gate_up_proj_blocks`.
        (path, part) if is_part(part) => (path.to_owned(), part),
        _ => (rest.to_owned(), "weight"),
    };
    if BESIDE.contains(&part) {
        return Name::Beside;
    }
    let path = path.trim_end_matches("_blocks").trim_end_matches("_scales");
    let (path, part) = match path.strip_suffix("_bias") {
        Some(stem) if !stem.ends_with("correction") => (stem, "bias"),
        _ => (path, part),
    };
    let path = without_expert(path);
    let known = match layer {
        None => OUTSIDE.into_iter().find(|(own, _)| *own == path).map(|(_, gguf)| gguf),
        Some(layer) => in_layer(&path, layer, layout),
    };
    let Some(gguf) = known else { return Name::Unknown };
    let part = match (gguf, part) {
        ("exp_probs_b", _) | (_, "bias") => "bias",
        _ => "weight",
    };
    Name::Is(match layer {
        Some(layer) => format!("blk.{layer}.{gguf}.{part}"),
        None => format!("{gguf}.{part}"),
    })
}

fn is_part(word: &str) -> bool {
    word == "weight" || word == "bias" || PACKED.contains(&word) || BESIDE.contains(&word)
}

/// `mlp.experts.17.up_proj` → `mlp.experts.up_proj`, and the words of most for those of few.
fn without_expert(path: &str) -> String {
    let parts = path.split('.').filter(|part| part.parse::<u32>().is_err());
    let words = parts.map(|part| match part {
        "feed_forward" => "mlp",
        "shared_expert" => "shared_experts",
        "switch_mlp" => "experts",
        other => other,
    });
    words.collect::<Vec<_>>().join(".")
}

fn in_layer(path: &str, layer: u32, layout: &Layout) -> Option<&'static str> {
    let has = |name: &str| {
        layout.tensors.iter().any(|one| one.layer == Some(layer) && &*one.name == name)
    };
    if path == "post_attention_layernorm" {
        // The norm before the feed-forward part, unless there is one more for that.
        let after = has("post_attention_norm.weight");
        return Some(if after { "post_attention_norm" } else { "ffn_norm" });
    }
    MODULES.into_iter().find(|(own, _)| *own == path).map(|(_, gguf)| gguf)
}
