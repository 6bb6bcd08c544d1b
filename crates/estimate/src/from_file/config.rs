//! Dimensions from the `config.json` of a checkpoint.
//!
//! Keys are those of the published configurations (`transformers`); where families use different
//! words for one thing, each is tried.

use std::collections::BTreeMap;

use localrig_facts::model::{Architecture, AttentionScheme};
use localrig_facts::model_file::{ModelFile, Value};

use super::{FromFileError, Header, layers};

/// Dimensions and the keys that can hold them, in the order they are tried.
const KEYS: [(&str, &[&str]); 38] = [
    ("layers", &["num_hidden_layers"]),
    ("hidden", &["hidden_size"]),
    ("vocab", &["vocab_size"]),
    ("heads", &["num_attention_heads"]),
    ("kv_heads", &["num_key_value_heads", "num_attention_groups"]),
    ("head_dim", &["head_dim", "attention_head_dim"]),
    ("experts", &["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"]),
    (
        "experts_used",
        &[
            "num_experts_per_tok",
            "num_experts_per_token",
            "top_k_experts",
            "moe_k",
            "moe_topk",
            "moe_top_k",
        ],
    ),
    ("expert_ffn", &["moe_intermediate_size"]),
    ("expert_width", &["routed_expert_hidden_size"]),
    ("dense_layers", &["first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"]),
    ("sliding_heads", &["attention_other_setting.num_attention_heads"]),
    ("sliding_kv_heads", &["swa_num_key_value_heads"]),
    ("moe_every", &["interleave_moe_layer_step"]),
    ("mtp_layers", &["num_nextn_predict_layers", "mtp_num_hidden_layers"]),
    ("sliding_window", &["sliding_window"]),
    ("attention_chunk", &["attention_chunk_size"]),
    ("kv_lora", &["kv_lora_rank"]),
    ("q_lora", &["q_lora_rank"]),
    ("rope_dim", &["qk_rope_head_dim"]),
    ("nope_dim", &["qk_nope_head_dim"]),
    ("v_dim", &["v_head_dim"]),
    ("index_heads", &["index_n_heads"]),
    ("index_dim", &["index_head_dim"]),
    ("index_top_k", &["index_topk"]),
    ("index_pool", &["index_kpool"]),
    ("output_groups", &["o_groups"]),
    ("output_lora", &["o_lora_rank"]),
    ("streams", &["hc_mult"]),
    ("altup_inputs", &["altup_num_inputs"]),
    ("laurel_rank", &["laurel_rank"]),
    ("global_head_dim", &["global_head_dim"]),
    ("global_kv_heads", &["num_global_key_value_heads", "num_key_value_heads"]),
    ("per_layer_input", &["hidden_size_per_layer_input"]),
    (
        "conv",
        &[
            "linear_conv_kernel_dim",
            "mamba_d_conv",
            "conv_kernel",
            "conv_L_cache",
            "linear_attn_config.short_conv_kernel_size",
        ],
    ),
    ("groups", &["mamba_n_groups", "n_groups"]),
    ("state", &["mamba_d_state", "ssm_state_size"]),
    ("state_heads", &["mamba_n_heads", "mamba_num_heads"]),
];

/// Keys of gated delta nets.
const LINEAR: [(&str, &str); 6] = [
    ("key_head_dim", "linear_attn_config.head_dim"),
    ("key_heads", "linear_attn_config.num_heads"),
    ("key_head_dim", "linear_key_head_dim"),
    ("key_heads", "linear_num_key_heads"),
    ("value_head_dim", "linear_value_head_dim"),
    ("value_heads", "linear_num_value_heads"),
];

struct Config<'a> {
    file: &'a ModelFile,
}

pub(super) fn header(
    file: &ModelFile,
    architecture: &Architecture,
) -> Result<Header, FromFileError> {
    let config = Config { file };
    let mut dims = config.dims(architecture)?;
    for (name, value) in &architecture.unstated.config {
        dims.entry(name.clone()).or_insert(*value);
    }
    let main = dims.get("layers").copied().unwrap_or(0);
    let layers = config.layers(architecture, main)?;
    let is = |key: &str| config.get(key).is_some_and(|value| *value == Value::Bool(true));
    let says = |key: &str, text: &str| config.text(key).is_some_and(|own| own == text);
    // Families that always tie have no output matrix in their list.
    let always_tied =
        !architecture.global_tensors.lines().any(|line| line.trim().starts_with("output.weight"));
    let mut header = Header {
        name: file.text("_name_or_path").map(str::to_owned).filter(|name| !name.is_empty()),
        context_tokens: config
            .number("max_position_embeddings")
            .or_else(|| config.number("max_seq_len")),
        dims,
        layers,
        ..Header::default()
    };
    for (flag, holds) in [
        ("tied", is("tie_word_embeddings") || always_tied),
        (
            "rope_freqs",
            says("rope_scaling.rope_type", "llama3") || says("rope_parameters.rope_type", "llama3"),
        ),
        ("routing_bias", says("topk_method", "noaux_tc") || says("scoring_func", "sigmoid")),
        ("qk_norm", is("use_qk_norm")),
        ("attention_bias", is("attention_bias")),
        ("k_is_v", is("attention_k_eq_v")),
        ("state_norm", is("mamba_rms_norm")),
    ] {
        if holds {
            header.flags.insert(flag.to_owned());
        }
    }
    Ok(header)
}

/// Keys that could hold a dimension, for the message that it is missing.
pub(super) fn looked_for(dimension: &str) -> String {
    let keys = KEYS.iter().filter(|(name, _)| *name == dimension).flat_map(|(_, keys)| *keys);
    let linear = LINEAR.iter().filter(|(name, _)| *name == dimension).map(|(_, key)| key);
    let width = (dimension == "ffn").then_some(&"intermediate_size");
    let all: Vec<&str> = keys.chain(linear).chain(width).copied().collect();
    if all.is_empty() { "config.json".to_owned() } else { all.join(", ") }
}

impl Config<'_> {
    /// A key of the language model.
    fn get(&self, key: &str) -> Option<&Value> {
        self.file.get(&format!("text_config.{key}")).or_else(|| self.file.get(key))
    }

    /// A number; of a list with one per layer the one they all are.
    fn number(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::List(list) => {
                let first = list.first()?;
                list.iter().all(|one| one == first).then(|| first.count()).flatten()
            }
            other => other.count(),
        }
    }

    /// The numbers of a list with one per layer.
    fn list(&self, key: &str) -> Option<Vec<u64>> {
        self.get(key)?.list()?.iter().map(Value::count).collect()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    fn words(&self, key: &str) -> Option<Vec<&str>> {
        self.get(key)?.list()?.iter().map(Value::text).collect()
    }

    fn dims(&self, architecture: &Architecture) -> Result<BTreeMap<String, u64>, FromFileError> {
        let mut dims = BTreeMap::new();
        for (name, keys) in KEYS {
            if let Some(value) = keys.iter().find_map(|key| self.number(key)) {
                dims.insert(name.to_owned(), value);
            }
        }
        for (name, key) in LINEAR {
            if let Some(value) = self.number(key) {
                dims.insert(name.to_owned(), value);
            }
        }
        for (dimension, key) in [
            ("layers", "num_hidden_layers"),
            ("hidden", "hidden_size"),
            ("vocab", "vocab_size"),
            ("heads", "num_attention_heads"),
        ] {
            // The pattern of Nemotron-H is the number of layers.
            let by_pattern = self.text("hybrid_override_pattern").map(|text| text.len() as u64);
            match (dims.get(dimension), by_pattern) {
                (_, Some(layers)) if dimension == "layers" => {
                    dims.insert("layers".to_owned(), layers);
                }
                (None, _) => {
                    return Err(FromFileError::MissingDimension {
                        location: self.file.location.clone(),
                        dimension: dimension.to_owned(),
                        looked_for: key.to_owned(),
                    });
                }
                _ => {}
            }
        }
        let of = |dims: &BTreeMap<String, u64>, name: &str| dims.get(name).copied().unwrap_or(0);
        let (hidden, heads) = (of(&dims, "hidden"), of(&dims, "heads"));
        let is_mla = architecture.attention == AttentionScheme::Mla;
        // llama.cpp holds one latent head for all.
        if is_mla {
            dims.insert("kv_heads".to_owned(), 1);
        }
        dims.entry("kv_heads".to_owned()).or_insert(heads);
        dims.entry("head_dim".to_owned()).or_insert(hidden.checked_div(heads).unwrap_or(0));
        if let Some(dense) = self.leading_dense() {
            dims.entry("dense_layers".to_owned()).or_insert(dense);
        }
        self.heads_by_kind(&mut dims);
        self.feed_forward(architecture, &mut dims);
        if let Some(expand) =
            self.number("mamba_expand").filter(|_| self.number("mamba_d_ssm").is_none())
        {
            dims.insert("inner".to_owned(), expand * hidden);
        }
        if let Some(inner) = self.number("mamba_d_ssm") {
            dims.insert("inner".to_owned(), inner);
        }
        if let (Some(heads), Some(width)) =
            (self.number("mamba_num_heads"), self.number("mamba_head_dim"))
        {
            dims.insert("inner".to_owned(), heads * width);
        }
        if let Some(latent) = self.number("moe_latent_size") {
            dims.insert("latent".to_owned(), latent);
        }
        if of(&dims, "experts") > 0 {
            let width = self.number("moe_latent_size").unwrap_or(hidden);
            dims.entry("expert_width".to_owned()).or_insert(width);
        }
        Ok(dims)
    }

    /// Widths of dense parts, experts and shared experts: families name them differently.
    fn feed_forward(&self, architecture: &Architecture, dims: &mut BTreeMap<String, u64>) {
        let experts = dims.get("experts").copied().unwrap_or(0);
        let dense_layers = dims.get("dense_layers").copied().unwrap_or(0);
        let inner = self.number("intermediate_size");
        let has_dense = architecture.layer_tensors.contains("[hidden, ffn]")
            || architecture.layer_tensors.contains("ffn, hidden]")
            || architecture.layer_tensors.contains("2*ffn]");
        let mut set = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                dims.insert(name.to_owned(), value);
            }
        };
        // Cohere gives the width of experts the plain name and that of dense layers another.
        let dense_width = self.number("prefix_dense_intermediate_size");
        let own_expert = self.number("moe_intermediate_size").or(dense_width.and(inner));
        let inner = dense_width.or(inner);
        let shared_units = [
            "n_shared_experts",
            "num_shared_experts",
            "num_shared_expert",
            "moe_num_shared_experts",
        ];
        let shared_units = shared_units.into_iter().find_map(|key| self.number(key));
        let shared = self
            .number("shared_expert_intermediate_size")
            .or_else(|| self.number("moe_shared_expert_intermediate_size"))
            .or_else(|| self.number("share_expert_dim"))
            .or_else(|| self.number("shared_intermediate_size").filter(|_| experts > 0))
            .or_else(|| own_expert.zip(shared_units).map(|(one, units)| one * units));
        match (experts, self.number("intermediate_size_mlp")) {
            (0, _) => {
                let dense = self.number("shared_intermediate_size").or(inner);
                set("ffn", self.adjusted().or(dense));
            }
            // Llama 4: dense parts have a width of their own, experts and the shared one another.
            (_, Some(dense)) => {
                let every = self.number("interleave_moe_layer_step").unwrap_or(1);
                set("ffn", Some(dense).filter(|_| every > 1));
                set("expert_ffn", inner);
                set("shared_ffn", inner);
            }
            (_, None) => {
                set("expert_ffn", own_expert.or(inner));
                set("shared_ffn", shared);
                let some_dense = dense_layers > 0
                    || architecture.layer_tensors.contains("unless wide")
                    || self
                        .text("hybrid_override_pattern")
                        .is_some_and(|pattern| pattern.contains('-'));
                set("ffn", inner.filter(|_| has_dense && some_dense && own_expert.is_some()));
            }
        }
    }

    /// Layers before the first with experts, where a list says which have them.
    fn leading_dense(&self) -> Option<u64> {
        let until = |all: Vec<bool>| all.iter().take_while(|dense| **dense).count() as u64;
        let words = self.words("mlp_layer_types");
        let words = words.map(|all| all.into_iter().map(|word| word == "dense").collect());
        // MiMo: one number per layer. Step: the layers with experts, in one text.
        let numbers = || {
            let all = self.list("moe_layer_freq")?;
            Some(all.into_iter().map(|has| has == 0).collect())
        };
        let first = || self.text("moe_layers_enum")?.split(',').next()?.trim().parse().ok();
        words.or_else(numbers).map(until).or_else(first)
    }

    /// Heads of full and of sliding layers, where a list has one number per layer (Laguna).
    fn heads_by_kind(&self, dims: &mut BTreeMap<String, u64>) {
        let heads = self.list("num_attention_heads_per_layer");
        let (Some(heads), Some(kinds)) = (heads, self.words("layer_types")) else { return };
        for (name, kind) in [("heads", "full_attention"), ("sliding_heads", "sliding_attention")] {
            if let Some((_, own)) = kinds.iter().zip(&heads).find(|(own, _)| **own == kind) {
                dims.insert(name.to_owned(), *own);
            }
        }
    }

    /// LFM2 rounds its width.
    fn adjusted(&self) -> Option<u64> {
        let is = self.get("block_auto_adjust_ff_dim")? == &Value::Bool(true);
        let inner = self.number("intermediate_size").filter(|_| is)?;
        let scaled = (2 * inner / 3) as f64
            * match self.get("block_ffn_dim_multiplier") {
                Some(Value::Float(factor)) => *factor,
                Some(other) => other.count()? as f64,
                None => 1.0,
            };
        let multiple = self.number("block_multiple_of").filter(|own| *own > 0)?;
        Some((scaled as u64).next_multiple_of(multiple))
    }

    /// What each layer is, where the configuration says so.
    fn layers(
        &self,
        architecture: &Architecture,
        count: u64,
    ) -> Result<Vec<String>, FromFileError> {
        let wrong = |problem: String| FromFileError::Layers {
            location: self.file.location.clone(),
            problem,
        };
        if count > 10_000 {
            return Err(wrong(format!("{count} layers are more than any model has")));
        }
        let family = layers::of_family(&architecture.layers, count);
        if let Some(pattern) = self.text("hybrid_override_pattern") {
            return pattern
                .chars()
                .map(|letter| match letter {
                    'M' => Ok("recurrent:none".to_owned()),
                    '*' => Ok("full:none".to_owned()),
                    'E' => Ok("none:moe".to_owned()),
                    '-' => Ok("none:dense".to_owned()),
                    other => {
                        Err(wrong(format!("hybrid_override_pattern: unknown layer `{other}`")))
                    }
                })
                .collect();
        }
        if self.get("block_configs").is_some() {
            return Err(wrong(
                "block_configs describes every layer by itself, which only a GGUF file shows"
                    .to_owned(),
            ));
        }
        let main = count as usize;
        if let Some(ratios) = self.list("compress_ratios") {
            // DeepSeek V4: a window in every layer; latents of 4 or 128 positions beside it.
            let hashed = self.number("num_hash_layers").unwrap_or(0) as usize;
            let tags = ratios.into_iter().take(main).enumerate().map(|(index, ratio)| {
                let kept = match ratio {
                    0 => "sliding",
                    4 => "sliding+quarter+indexer",
                    128 => "sliding+compressed",
                    other => {
                        return Err(wrong(format!("compress_ratios: compressed {other} times")));
                    }
                };
                Ok(if index < hashed { format!("{kept}+hashed") } else { kept.to_owned() })
            });
            return tags.collect();
        }
        if let Some(full) = self.list("linear_attn_config.full_attn_layers") {
            // Kimi counts layers from 1.
            let tag = |layer: u64| if full.contains(&layer) { "full" } else { "recurrent" };
            let indexer = if architecture.cache.contains_key("indexer") { "+indexer" } else { "" };
            let tags = (1..=count).map(|layer| match tag(layer) {
                "full" => format!("full{indexer}"),
                other => other.to_owned(),
            });
            return Ok(tags.collect());
        }
        if let Some(sliding) = self.list("hybrid_layer_pattern") {
            // MiMo: 1 slides.
            let tag = |is: u64| if is == 1 { "sliding" } else { "full" };
            return Ok(sliding.into_iter().take(main).map(|is| tag(is).to_owned()).collect());
        }
        if architecture.cache.contains_key("indexer") {
            let Some(kinds) = self.words("indexer_types") else { return Ok(Vec::new()) };
            let tags = |kind: &str| if kind == "full" { "full+indexer" } else { "full" };
            return Ok(kinds.into_iter().map(|kind| tags(kind).to_owned()).collect());
        }
        let Some(mut kinds) = self.words("layer_types") else { return Ok(Vec::new()) };
        // Step lists its prediction blocks too.
        let mtp = self.number("num_nextn_predict_layers").unwrap_or(0);
        if kinds.len() as u64 == count + mtp {
            kinds.truncate(main);
        }
        if kinds.len() as u64 != count {
            return Err(wrong(format!(
                "layer_types has {} layers, the model {count}",
                kinds.len()
            )));
        }
        let shared = self.number("num_kv_shared_layers").unwrap_or(0);
        let wide = self.get("use_double_wide_mlp") == Some(&Value::Bool(true));
        kinds
            .into_iter()
            .zip(&family)
            .enumerate()
            .map(|(index, (kind, own))| {
                let tag = match kind {
                    "full_attention" | "attention" => "full",
                    "sliding_attention" => "sliding",
                    "chunked_attention" => "chunked",
                    "linear_attention" | "conv" | "mamba" => "recurrent",
                    other => return Err(wrong(format!("layer_types: unknown layer `{other}`"))),
                };
                // A family without such layers has another word for the same: its own.
                let known =
                    architecture.cache.contains_key(tag) || architecture.state.contains_key(tag);
                let mut tags = if known { tag.to_owned() } else { own.clone() };
                if shared > 0 && index as u64 >= count.saturating_sub(shared) {
                    tags.push_str("+shared");
                    if wide {
                        tags.push_str("+wide");
                    }
                }
                Ok(tags)
            })
            .collect()
    }
}
