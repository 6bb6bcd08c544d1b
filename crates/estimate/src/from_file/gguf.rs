//! Dimensions from the keys and tensors of a GGUF file.
//!
//! Keys: gguf-py `constants.py` and `conversion/*.py` of llama.cpp. Where a number is not among the
//! keys (vocabulary, shared experts, which layers attend), the shapes of the tensors give it.

use std::collections::BTreeMap;

use localrig_facts::model::{Architecture, AttentionScheme, Recurrence};
use localrig_facts::model_file::{FileTensor, ModelFile, Value};

use super::{FromFileError, Header, layers, names, shape};
use crate::architecture::Layout;

/// Keys with one number, after the architecture's name, and the dimension each is.
const KEYS: [(&str, &str); 22] = [
    ("embedding_length", "hidden"),
    ("attention.head_count", "heads"),
    ("expert_count", "experts"),
    ("expert_used_count", "experts_used"),
    ("expert_feed_forward_length", "expert_ffn"),
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
    ("ssm.conv_kernel", "conv"),
    ("shortconv.l_cache", "conv"),
    ("moe_latent_size", "latent"),
    // Qwen 4 writes the positions that share an entry of the indexer per layer, GLM 5 once.
    ("attention.compress_ratios", "index_pool"),
    ("attention.indexer.kpool", "index_pool"),
    ("kda.head_dim", "key_head_dim"),
];

/// Parts of the full feed-forward width by the tag that stands for each: numerator, denominator.
const PARTS: [(&str, u64, u64); 3] = [("half", 1, 2), ("quarter", 1, 4), ("five_eighths", 5, 8)];

struct Reader<'a> {
    file: &'a ModelFile,
    prefix: String,
    shapes: BTreeMap<&'a str, &'a FileTensor>,
}

pub(super) fn header(
    file: &ModelFile,
    architecture: &Architecture,
) -> Result<Header, FromFileError> {
    let prefix = file.architecture().unwrap_or_default().to_owned();
    let shapes = file.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let reader = Reader { file, prefix, shapes };
    let mut header = Header {
        dims: reader.dims(architecture)?,
        name: file.text("general.name").map(str::to_owned),
        context_tokens: reader.number("context_length"),
        ..Header::default()
    };
    let main = header.dims["layers"];
    header.layers = reader.layers(architecture, main, &mut header.dims)?;
    let has = |name: &str| reader.shapes.contains_key(name);
    let any = |part: &str| reader.shapes.keys().any(|name| name.contains(part));
    let lacks_v = (0..main).any(|layer| {
        has(&format!("blk.{layer}.attn_k.weight")) && !has(&format!("blk.{layer}.attn_v.weight"))
    });
    for (flag, holds) in [
        ("tied", !has("output.weight")),
        ("rope_freqs", has("rope_freqs.weight")),
        ("routing_bias", any("exp_probs_b")),
        ("qk_norm", any("attn_q_norm")),
        ("attention_bias", any("attn_q.bias")),
        ("state_norm", any("ssm_norm")),
        ("k_is_v", lacks_v),
    ] {
        if holds {
            header.flags.insert(flag.to_owned());
        }
    }
    reader.heads(architecture, &header.layers, &mut header.dims);
    let known = shape::Known {
        architecture,
        shapes: &reader.shapes,
        layers: &header.layers,
        flags: &header.flags,
    };
    shape::solve(&known, &mut header.dims);
    Ok(header)
}

/// Keys and tensors that could hold a dimension, for the message that it is missing.
pub(super) fn looked_for(prefix: &str, architecture: &Architecture, dimension: &str) -> String {
    let keys = KEYS.iter().filter(|(_, name)| *name == dimension);
    let keys = keys.map(|(key, _)| format!("{prefix}.{key}"));
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let lines = architecture.global_tensors.lines().chain(architecture.layer_tensors.lines());
    let tensors = lines.filter_map(|line| {
        let (name, rest) = line.trim().split_once('[')?;
        let (shape, _) = rest.split_once(']')?;
        let has = shape.split(|c| !is_word(c)).any(|word| word == dimension);
        has.then(|| format!("the shape of {}", name.trim()))
    });
    let all: Vec<String> = keys.chain(tensors.take(1)).collect();
    if all.is_empty() { format!("a key of {prefix}") } else { all.join(", ") }
}

impl Reader<'_> {
    fn value(&self, key: &str) -> Option<&Value> {
        self.file.get(&format!("{}.{key}", self.prefix))
    }

    /// A number, or the largest of a list with one per layer.
    fn number(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::List(list) => list.iter().filter_map(Value::count).max(),
            other => other.count(),
        }
    }

    /// The numbers of a list with one per layer.
    fn list(&self, key: &str) -> Option<Vec<u64>> {
        self.value(key)?.list()?.iter().map(Value::count).collect()
    }

    /// A dimension of a tensor.
    fn shape(&self, name: &str, index: usize) -> Option<u64> {
        self.shapes.get(name)?.shape.get(index).copied()
    }

    /// A dimension of the first block's tensor that has this name.
    fn block_shape(&self, name: &str, index: usize) -> Option<u64> {
        let found = |(full, _): &(&&str, _)| {
            full.strip_prefix("blk.")
                .and_then(|rest| rest.split_once('.'))
                .is_some_and(|(_, own)| own == name)
        };
        self.shapes.iter().find(found)?.1.shape.get(index).copied()
    }

    fn needed(&self, dimension: &str, key: &str, found: Option<u64>) -> Result<u64, FromFileError> {
        found.filter(|value| *value > 0).ok_or_else(|| FromFileError::MissingDimension {
            location: self.file.location.clone(),
            dimension: dimension.to_owned(),
            looked_for: format!("{}.{key}", self.prefix),
        })
    }

    fn dims(&self, architecture: &Architecture) -> Result<BTreeMap<String, u64>, FromFileError> {
        let mut dims = BTreeMap::new();
        let mut set = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                dims.insert(name.to_owned(), value);
            }
        };
        for (key, name) in KEYS {
            set(name, self.number(key));
        }
        let blocks = self.needed("number of layers", "block_count", self.number("block_count"))?;
        let hidden = self.needed("width", "embedding_length", self.number("embedding_length"))?;
        let heads = self.needed(
            "number of heads",
            "attention.head_count",
            self.number("attention.head_count"),
        )?;
        let vocab = self.shape("token_embd.weight", 1).or_else(|| self.number("vocab_size"));
        set("vocab", Some(self.needed("vocabulary", "vocab_size", vocab)?));
        let mtp = self.number("nextn_predict_layers").unwrap_or(0);
        set("layers", Some(blocks.saturating_sub(mtp)));
        set("attention_chunk", self.number("attention.chunk_size"));
        // Keys of sliding layers stand apart where the layers' heads differ.
        let key = self.number("attention.key_length").unwrap_or(hidden / heads);
        set("head_dim", Some(self.number("attention.key_length_swa").unwrap_or(key)));
        set("global_head_dim", Some(key));
        // One width of all layers without experts, or the one that others are parts of.
        let has_experts = self.block_shape("ffn_down_exps.weight", 0).is_some();
        let ffn = self.number("feed_forward_length").filter(|_| !has_experts);
        set("ffn", self.down(architecture).or(ffn));
        if architecture.attention == AttentionScheme::Mla {
            let rope = self.number("rope.dimension_count");
            set("rope_dim", rope);
            let key = self.number("attention.key_length_mla");
            set("nope_dim", key.zip(rope).and_then(|(key, rope)| key.checked_sub(rope)));
        }
        let ssm = |key: &str| self.number(&format!("ssm.{key}"));
        match architecture.recurrence {
            Some(Recurrence::GatedDeltaNet) => {
                set("key_head_dim", ssm("state_size"));
                set("key_heads", ssm("group_count"));
                set("value_heads", ssm("time_step_rank"));
                let width = ssm("inner_size").zip(ssm("time_step_rank"));
                set("value_head_dim", width.and_then(|(inner, heads)| inner.checked_div(heads)));
            }
            Some(Recurrence::Mamba2) => {
                set("inner", ssm("inner_size"));
                set("state", ssm("state_size"));
                set("state_heads", ssm("time_step_rank"));
                set("groups", ssm("group_count"));
            }
            _ => {}
        }
        for (name, value) in &architecture.unstated.gguf {
            dims.entry(name.clone()).or_insert(*value);
        }
        Ok(dims)
    }

    /// Inner width of the dense feed-forward parts. Where layers differ: the widest if the family
    /// speaks of parts of it, else the narrowest (others are twice as wide).
    fn down(&self, architecture: &Architecture) -> Option<u64> {
        let widths = self
            .shapes
            .iter()
            .filter(|(name, _)| name.ends_with(".ffn_down.weight"))
            .filter_map(|(_, tensor)| tensor.shape.first().copied());
        if has_parts(architecture) { widths.max() } else { widths.min() }
    }

    /// Heads of queries and keys. Lists have one number per layer; the kinds of layers differ, and
    /// a layer without attention has none.
    fn heads(
        &self,
        architecture: &Architecture,
        layers: &[String],
        dims: &mut BTreeMap<String, u64>,
    ) {
        let known = names(architecture);
        let of = |key: &str, kind: &str| {
            let list = self.list(key);
            let of_kind = list.iter().flatten().zip(layers);
            let mut of_kind = of_kind
                .filter(|(_, tags)| tags.split(['+', ':']).any(|tag| tag == kind))
                .map(|(heads, _)| *heads);
            of_kind.find(|heads| *heads > 0).or_else(|| self.number(key))
        };
        for (key, full, sliding) in [
            ("attention.head_count", "heads", "sliding_heads"),
            ("attention.head_count_kv", "kv_heads", "sliding_kv_heads"),
            ("attention.head_count_kv", "global_kv_heads", "kv_heads"),
        ] {
            if known.contains(full) && known.contains(sliding) {
                for (name, kind) in [(full, "full"), (sliding, "sliding")] {
                    dims.extend(of(key, kind).map(|heads| (name.to_owned(), heads)));
                }
            }
        }
        // Without the key there are as many heads of keys as of queries.
        let heads = dims.get("heads").copied().unwrap_or(0);
        dims.entry("kv_heads".to_owned())
            .or_insert_with(|| self.number("attention.head_count_kv").unwrap_or(heads));
    }

    /// What each layer is: by the family's pattern, the file's own, and the tensors it has.
    fn layers(
        &self,
        architecture: &Architecture,
        count: u64,
        dims: &mut BTreeMap<String, u64>,
    ) -> Result<Vec<String>, FromFileError> {
        let wrong = |problem: String| FromFileError::Layers {
            location: self.file.location.clone(),
            problem,
        };
        if count > 10_000 {
            return Err(wrong(format!("{count} layers are more than any model has")));
        }
        let family = layers::of_family(&architecture.layers, count);
        let one_part_each = architecture.layers.contains(':');
        let speaks_of = |tag: &str| names(architecture).contains(tag);
        let (speaks_of_shared, speaks_of_wide) = (speaks_of("shared"), speaks_of("wide"));
        let ratios = self.list("attention.compress_ratios").filter(|_| speaks_of("compressed"));
        let ffn = dims.get("ffn").copied().unwrap_or(0);
        let width = |index: u64| self.shape(&format!("blk.{index}.ffn_down.weight"), 0);
        let parts = has_parts(architecture);
        let odd = (0..count).filter_map(width).filter(|own| part(*own, ffn).is_none()).max();
        if let Some(odd) = odd.filter(|_| parts) {
            dims.insert("ffn_narrow".to_owned(), odd);
        }
        let mut found = Vec::new();
        for (index, own) in (0..count).zip(&family) {
            let has = |name: &str| self.shapes.contains_key(format!("blk.{index}.{name}").as_str());
            // Kimi delta attention has a convolution for each of Q, K and V, which it projects
            // as attention does.
            let delta = has("ssm_conv1d_q.weight");
            let recurrent = delta || has("ssm_conv1d.weight") || has("shortconv.conv.weight");
            let attends = has("attn_kv_a_mqa.weight")
                || has("attn_kv.weight")
                || (has("attn_k.weight") && !delta)
                || ((has("attn_qkv.weight") || has("attn_q.weight")) && !recurrent);
            let attention = self.attention(index, own, &family);
            let mut tags: Vec<&str> = match (attends, recurrent) {
                (true, true) => vec![attention, "recurrent"],
                (true, false) => vec![attention],
                (false, true) => vec!["recurrent"],
                (false, false) => vec!["none"],
            };
            match ratios.as_ref().and_then(|all| all.get(index as usize)) {
                None | Some(0) => {}
                Some(4) => tags.push("quarter"),
                Some(128) => tags.push("compressed"),
                Some(other) => {
                    let key = format!("{}.attention.compress_ratios", self.prefix);
                    return Err(wrong(format!("{key}: layers compressed {other} times")));
                }
            }
            let block = format!("blk.{index}.indexer");
            if self.shapes.keys().any(|name| name.starts_with(&block)) {
                tags.push("indexer");
            }
            if has("ffn_gate_tid2eid.weight") {
                tags.push("hashed");
            }
            if has("ple_key.weight") {
                tags.push("ngram");
            }
            // Layers that reuse an earlier cache: the last ones, where the file says how many.
            let reuses = self.number("attention.shared_kv_layers").map_or_else(
                || attends && has("attn_q.weight") && !has("attn_k.weight"),
                |shared| index >= count.saturating_sub(shared),
            );
            if speaks_of_shared && reuses {
                tags.push("shared");
            }
            let up = self.shape(&format!("blk.{index}.ffn_up.weight"), 1);
            if speaks_of_wide && ffn > 0 && up == Some(2 * ffn) {
                tags.push("wide");
            }
            if let Some(own) = width(index).filter(|own| parts && *own != ffn) {
                tags.push(match part(own, ffn) {
                    Some(tag) => tag,
                    None if Some(own) == odd => "narrow",
                    None if odd == Some(2 * own) => "half_narrow",
                    None => {
                        let name = format!("blk.{index}.ffn_down.weight");
                        return Err(wrong(format!("{name}: no word for a width of {own}")));
                    }
                });
            }
            let mut text = tags.join("+");
            if one_part_each {
                text.push_str(match (has("ffn_down_exps.weight"), has("ffn_down.weight")) {
                    (true, _) => ":moe",
                    (false, true) => ":dense",
                    (false, false) => ":none",
                });
            }
            found.push(text);
        }
        Ok(found)
    }

    /// The kind of attention of a layer: as the file has it, else as the family does.
    fn attention<'b>(&self, index: u64, own: &'b str, family: &[String]) -> &'b str {
        let kind = own.split([':', '+']).next().unwrap_or("full");
        let is_sliding = match self.value("attention.sliding_window_pattern") {
            Some(Value::List(all)) => {
                all.get(index as usize).and_then(Value::count).map(|is| is > 0)
            }
            // One number: every so many layers one is full, the last of them or the first.
            Some(Value::Whole(every)) => {
                u64::try_from(*every).ok().filter(|every| *every > 0).map(|every| {
                    let first = family.first().is_some_and(|tags| tags.starts_with("full"));
                    index % every != if first { 0 } else { every - 1 }
                })
            }
            _ => None,
        };
        match is_sliding {
            Some(true) => "sliding",
            Some(false) => "full",
            None if matches!(kind, "recurrent" | "none") => "full",
            // Members of a sliding family without a window look at everything.
            None if kind == "sliding"
                && self.number("attention.sliding_window").is_none_or(|own| own == 0) =>
            {
                "full"
            }
            None => kind,
        }
    }
}

/// Whether layers of a family have parts of its feed-forward width.
fn has_parts(architecture: &Architecture) -> bool {
    names(architecture).contains("five_eighths")
}

/// The tag for a width that is a part of the full one; an empty one for the full width itself.
fn part(own: u64, full: u64) -> Option<&'static str> {
    let of = |(_, up, down): &(&str, u64, u64)| own * down == full * up;
    PARTS.iter().find(|one| of(one)).map(|(tag, _, _)| *tag).or_else(|| (own == full).then_some(""))
}

fn is_scale(name: &str) -> bool {
    matches!(name.rsplit('.').next(), Some("scale" | "input_scale"))
}

/// Tensors that the rules and the file do not agree on.
pub(super) fn differences(file: &ModelFile, layout: &Layout) -> Vec<String> {
    let trimmed = |shape: &[u64]| {
        let ones = shape.iter().rev().take_while(|length| **length == 1).count();
        shape[..(shape.len() - ones).max(1).min(shape.len())].to_vec()
    };
    let mut expected: BTreeMap<String, Vec<u64>> =
        layout.tensors.iter().map(|tensor| (tensor.full_name(), trimmed(&tensor.shape))).collect();
    let mut found = Vec::new();
    for tensor in &file.tensors {
        let shape = trimmed(&tensor.shape);
        match expected.remove(&tensor.name) {
            Some(own) if own == shape => {}
            Some(own) => found.push(format!("{}: {own:?} expected, {shape:?} found", tensor.name)),
            // Scales of quantised checkpoints come beside the tensors they belong to.
            None if is_scale(&tensor.name) => {}
            None => found.push(format!("{}: {shape:?} found, not expected", tensor.name)),
        }
    }
    // A file without prediction blocks is complete: the engine does not load them.
    let is_main = |name: &String| {
        let block = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next());
        block
            .and_then(|block| block.parse().ok())
            .is_none_or(|block: u32| block < layout.main_layers)
    };
    found.extend(
        expected
            .into_iter()
            .filter(|(name, _)| is_main(name))
            .map(|(name, shape)| format!("{name}: {shape:?} expected, not found")),
    );
    found
}
