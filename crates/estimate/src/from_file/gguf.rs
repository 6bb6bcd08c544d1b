//! Dimensions from the keys and tensors of a GGUF file.
//!
//! Keys: gguf-py `constants.py` of llama.cpp. Where a number is not among the keys (vocabulary,
//! shared experts, which layers attend), the shapes of the tensors give it.

use std::collections::BTreeMap;

use localrig_facts::model::{Architecture, AttentionScheme, Recurrence};
use localrig_facts::model_file::{FileTensor, ModelFile, Value};

use super::{FromFileError, Header, layers};
use crate::architecture::Layout;

/// Keys with one number, after the architecture's name, and the dimension each is.
const KEYS: [(&str, &str); 19] = [
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
];

/// Tokens of a chunk of Llama 4, which llama.cpp holds as a constant.
const CHUNK: u64 = 8192;

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
    header.layers = reader.layers(architecture, main, &header.dims)?;
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
    Ok(header)
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

    fn needed(
        &self,
        dimension: &'static str,
        key: &str,
        found: Option<u64>,
    ) -> Result<u64, FromFileError> {
        found.filter(|value| *value > 0).ok_or_else(|| FromFileError::MissingDimension {
            location: self.file.location.clone(),
            dimension,
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
        set("attention_chunk", Some(self.number("attention.chunk_size").unwrap_or(CHUNK)));
        // Keys of sliding layers stand apart where the layers' heads differ.
        let key = self.number("attention.key_length").unwrap_or(hidden / heads);
        set("head_dim", Some(self.number("attention.key_length_swa").unwrap_or(key)));
        set("global_head_dim", Some(key));
        let per_layer = self.list("attention.head_count_kv");
        let sliding = self.list("attention.sliding_window_pattern");
        let kv_of = |wanted: u64| {
            let (kv, sliding) = (per_layer.as_ref()?, sliding.as_ref()?);
            kv.iter().zip(sliding).find(|(_, is)| **is == wanted).map(|(kv, _)| *kv)
        };
        let kv = self.number("attention.head_count_kv").unwrap_or(heads);
        set("kv_heads", Some(kv_of(1).unwrap_or(kv)));
        set("global_kv_heads", Some(kv_of(0).unwrap_or(kv)));
        let ffns = self.list("feed_forward_length");
        let narrowest = ffns.and_then(|all| all.into_iter().filter(|one| *one > 0).min());
        let ffn = narrowest.or_else(|| self.number("feed_forward_length"));
        // Families without an own key for experts give them the only width there is.
        let expert = self.block_shape("ffn_down_exps.weight", 0);
        set("expert_ffn", expert.or_else(|| self.number("expert_feed_forward_length")));
        set("ffn", self.narrowest_down().or(ffn.filter(|_| expert.is_none())));
        set("expert_width", expert.and_then(|_| self.block_shape("ffn_up_exps.weight", 0)));
        set("shared_ffn", self.block_shape("ffn_up_shexp.weight", 1));
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
        Ok(dims)
    }

    /// Inner width of the dense feed-forward parts; where layers differ, the narrow one.
    fn narrowest_down(&self) -> Option<u64> {
        let widths = self
            .shapes
            .iter()
            .filter(|(name, _)| name.ends_with(".ffn_down.weight"))
            .filter_map(|(_, tensor)| tensor.shape.first().copied());
        widths.min()
    }

    /// What each layer is: by the family's pattern, the file's own, and the tensors it has.
    fn layers(
        &self,
        architecture: &Architecture,
        count: u64,
        dims: &BTreeMap<String, u64>,
    ) -> Result<Vec<String>, FromFileError> {
        if count > 10_000 {
            let problem = format!("{count} layers are more than any model has");
            return Err(FromFileError::Layers { location: self.file.location.clone(), problem });
        }
        let family = layers::of_family(&architecture.layers, count);
        let one_part_each = architecture.layers.contains(':');
        let pattern = self.list("attention.sliding_window_pattern");
        let ffn = dims.get("ffn").copied().unwrap_or(0);
        let mut found = Vec::new();
        for (index, own) in family.iter().enumerate() {
            let has = |name: &str| self.shapes.contains_key(format!("blk.{index}.{name}").as_str());
            let recurrent = has("ssm_conv1d.weight") || has("shortconv.conv.weight");
            let attends = has("attn_k.weight") || has("attn_kv_a_mqa.weight");
            let attends = attends || (has("attn_qkv.weight") && !recurrent);
            let attends = attends || (has("attn_q.weight") && !recurrent);
            let kind = own.split([':', '+']).next().unwrap_or("full");
            let attention = match pattern.as_ref().and_then(|all| all.get(index)) {
                Some(1) => "sliding",
                Some(_) => "full",
                None if matches!(kind, "recurrent" | "none") => "full",
                None => kind,
            };
            let mut tags = match (attends, recurrent) {
                (true, true) => format!("{attention}+recurrent"),
                (true, false) => attention.to_owned(),
                (false, true) => "recurrent".to_owned(),
                (false, false) => "none".to_owned(),
            };
            if has("indexer.attn_k.weight") {
                tags.push_str("+indexer");
            }
            if attends
                && !has("attn_k.weight")
                && has("attn_q.weight")
                && !has("attn_kv_a_mqa.weight")
            {
                tags.push_str("+shared");
            }
            let up = self.shape(&format!("blk.{index}.ffn_up.weight"), 1);
            if ffn > 0 && up == Some(2 * ffn) && architecture.layer_tensors.contains(" wide") {
                tags.push_str("+wide");
            }
            if one_part_each {
                tags.push_str(match (has("ffn_down_exps.weight"), has("ffn_down.weight")) {
                    (true, _) => ":moe",
                    (false, true) => ":dense",
                    (false, false) => ":none",
                });
            }
            found.push(tags);
        }
        Ok(found)
    }
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
