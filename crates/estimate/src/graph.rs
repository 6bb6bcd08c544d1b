//! The graph buffer: scratch memory of one micro-batch.
//!
//! Approximate. llama.cpp plans the worst-case graph and reuses memory between its nodes, so the
//! buffer is as large as the graph's widest moment. The rules below know the moments that decide:
//! the feed-forward part or the experts, latent attention, the recurrent state of all sequences, the
//! logits. Plain dense and mixture models come out within a per cent, hybrids and latent attention
//! within some ten; `tests/llama_cpp_memory.rs` holds the error of every family.
//! Without flash attention the score matrix comes on top.

use localrig_facts::model::{AttentionScheme, Recurrence};
use localrig_facts::unit::Bytes;

use crate::architecture::Layout;
use crate::context::LlamaContext;
use crate::placement::Offload;

/// What a graph is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphAsk {
    /// The context.
    pub context: LlamaContext,
    /// Positions whose logits are wanted at once; 0 stands for the whole micro-batch.
    pub outputs: u64,
}

/// Graph buffers of the host and of each device.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// In the host's memory.
    pub host: Bytes,
    /// On each device, in the order of [`Offload::shares`].
    pub devices: Vec<Bytes>,
}

/// Where a part of the graph runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Layers on the CPU, embeddings included.
    Cpu,
    /// Layers on a device.
    Device,
    /// The host's share when all layers are on devices: embeddings and masks.
    Inputs,
    /// A device that holds the output matrix alone.
    OutputOnly,
}

/// Graph buffers of llama.cpp.
///
/// Source: closed forms found with the engine's own figures (`catalog/measured/llama_cpp_memory*.csv`)
/// and its allocator `ggml-alloc.c`.
pub fn llama_graph(layout: &Layout, ask: GraphAsk, offload: &Offload) -> Graph {
    let count = layout.layers.len() as u32 + 1;
    let on_devices = if offload.shares.is_empty() { 0 } else { offload.gpu_layers.min(count) };
    let moment = Moment::new(layout, ask, on_devices > 0);
    // Prediction blocks stand last among the layers and are not computed.
    let idle = count - 1 - layout.main_layers;
    let (host, device) = match on_devices {
        0 => (Side::Cpu, None),
        _ if on_devices >= count => (Side::Inputs, Some(Side::Device)),
        few if few <= 1 + idle => (Side::Cpu, Some(Side::OutputOnly)),
        _ => (Side::Cpu, Some(Side::Device)),
    };
    let device = device.map_or(Bytes::ZERO, |side| moment.bytes(side));
    Graph { host: moment.bytes(host), devices: vec![device; offload.shares.len()] }
}

/// A 16-bit mask; sparse attention keeps a second one for what it selected.
const MASK_BYTES: u64 = 2;

/// The widest moments of a graph.
struct Moment<'a> {
    layout: &'a Layout,
    ask: LlamaContext,
    /// Tokens of a micro-batch.
    batch: u64,
    outputs: u64,
    hidden: u64,
    heads: u64,
    /// Positions a query attends to, where a selection step picks them.
    selected: Option<u64>,
    /// Whether the outputs of the experts are wider than their inner layers.
    combines: bool,
    /// Whether a device holds a part of the model.
    offloaded: bool,
}

impl<'a> Moment<'a> {
    fn new(layout: &'a Layout, ask: GraphAsk, offloaded: bool) -> Self {
        let context = ask.context;
        let batch = context.micro_batch.min(context.cells.next_multiple_of(256));
        let (cells, _) = context.buffers();
        let selects = layout.caches.iter().flatten().find_map(|cache| cache.selects);
        let hidden = layout.dim("hidden");
        Self {
            layout,
            ask: context,
            batch,
            outputs: if ask.outputs == 0 { batch } else { ask.outputs },
            hidden,
            heads: layout.dim("heads"),
            selected: selects.map(|top| top.min(cells)),
            offloaded,
            combines: layout.dim("experts_used") > 0 && hidden > 2 * layout.dim("expert_ffn"),
        }
    }

    fn bytes(&self, side: Side) -> Bytes {
        let per_token = match side {
            Side::Inputs => 2 * self.hidden + self.per_layer_input() + 6 + self.rotation(),
            Side::OutputOnly => 0,
            Side::Cpu | Side::Device => {
                self.feed_forward(side).max(self.latent_attention(side)).max(self.recurrence(side))
            }
        };
        let logits = self.outputs * 4 * self.layout.dim("vocab");
        let bytes = match side {
            Side::OutputOnly => logits + self.outputs * 8 * self.hidden,
            Side::Inputs => self.batch * 4 * per_token + self.masks(side),
            Side::Cpu | Side::Device => {
                let main = self.batch * 4 * per_token + self.masks(side) + self.scores();
                // As soon as a device takes a layer, it takes the output matrix too.
                let outputs = side == Side::Device || !self.offloaded;
                let last = logits + 4 * self.hidden * self.batch * self.last_streams(side);
                if outputs { main.max(last) } else { main }
            }
        };
        Bytes::new(bytes as f64)
    }

    /// Hidden streams alive while the logits are computed.
    fn last_streams(&self, side: Side) -> u64 {
        let windows = self.layout.caches.iter().flatten().any(|cache| cache.window.is_some());
        let more = self.layout.recurrence.is_some() || (windows && self.layout.experts() > 0);
        1 + u64::from(more) + u64::from(side == Side::Cpu)
    }

    /// Elements per token while a layer computes its feed-forward part or its experts.
    fn feed_forward(&self, side: Side) -> u64 {
        let (used, expert) = (self.layout.dim("experts_used"), self.layout.dim("expert_ffn"));
        // Up, gate and their product; without a gate the square is taken in place.
        let traits = self.layout.traits();
        let gated = if traits.gated_experts { 3 } else { 1 };
        let dense = 3 * traits.widest_ffn;
        // What the experts take in and give out: the hidden width or a narrower latent one.
        let width = match self.layout.dim("expert_width") {
            0 => self.hidden,
            latent => latent,
        };
        let combined = if self.combines { used * width } else { 0 };
        let weighted = self.layout.dim("weighted_inputs");
        let mixture = if used > 0 { gated * used * expert + combined + weighted } else { 0 };
        let latent_streams = if gated == 1 && used > 0 { 2 * self.hidden } else { 0 };
        let streams = if side == Side::Device { 2 } else { 3 } * self.hidden;
        dense.max(mixture + latent_streams) + streams + self.query(side) + self.constant(side)
    }

    /// The query that outlives its layer's attention.
    fn query(&self, side: Side) -> u64 {
        let wide = match self.layout.recurrence {
            // Recurrent layers have none; only the experts' moment holds one more stream.
            Some(Recurrence::GatedDeltaNet) => {
                return if self.combines { self.hidden } else { 0 };
            }
            Some(Recurrence::ShortConvolution) => return 0,
            _ => self.layout.dim("head_dim"),
        };
        if self.layout.attention == AttentionScheme::Mla {
            return self.heads * self.layout.dim("v_dim");
        }
        // A fused projection needs no separate query.
        if self.layout.recurrence.is_none() && self.layout.traits().fused_attention {
            return 0;
        }
        // A quantised cache takes a rotated copy of the query, and what was as wide as a hidden
        // stream is reused before the feed-forward part.
        let windows = self.layout.caches.iter().flatten().any(|cache| cache.window.is_some());
        let reused = self.heads * wide == self.hidden && !self.combines && !windows;
        if self.ask.kv.block > 1 && reused && self.layout.recurrence.is_none() {
            return 0;
        }
        let global = self.layout.dim("global_head_dim");
        self.heads * if side == Side::Device { wide.max(global) } else { wide }
    }

    /// Latent attention: queries in the latent space, before and after it.
    fn latent_attention(&self, side: Side) -> u64 {
        if self.layout.attention != AttentionScheme::Mla {
            return 0;
        }
        let dim = |name: &str| self.layout.dim(name);
        let (latent, rope, nope) = (dim("kv_lora"), dim("rope_dim"), dim("nope_dim"));
        let (per_head, streams) = match side {
            Side::Device => (2 * latent + rope + 2 * nope, 3),
            _ => (2 * latent + 2 * rope + 2 * nope, 4),
        };
        // Scores of the selected positions, one index head after the other.
        let index = self.selected.unwrap_or(0) * INDEX_SCORES;
        self.heads * per_head + streams * self.hidden + index + 4
    }

    /// Recurrent layers: projections, and the states of all sequences before and after.
    fn recurrence(&self, side: Side) -> u64 {
        let dim = |name: &str| self.layout.dim(name);
        let conv = dim("conv").saturating_sub(1);
        let streams = |more: u64| {
            (if side == Side::Device { more - 1 } else { more }) * self.hidden + self.constant(side)
        };
        // States belong to sequences; spread over the tokens of a micro-batch.
        let spread = |elements: u64| (self.ask.sequences * elements).div_ceil(self.batch.max(1));
        match self.layout.recurrence {
            Some(Recurrence::GatedDeltaNet) => {
                let (key, value) = (dim("key_width"), dim("value_width"));
                let mixed = value + 2 * key;
                let state = conv * mixed + dim("key_head_dim") * value;
                streams(3) + value + 2 * mixed + spread(2 * state)
            }
            Some(Recurrence::Mamba2) => {
                let (inner, groups) = (dim("inner"), dim("groups") * dim("state"));
                let mixed = inner + 2 * groups;
                let projected = 2 * inner + 2 * groups + dim("state_heads");
                let state = dim("state") * inner + 2 * conv * mixed;
                streams(4) + projected + 2 * mixed + inner * 3 / 4 + spread(state)
            }
            _ => 0,
        }
    }

    fn per_layer_input(&self) -> u64 {
        self.layout.dim("per_layer_input") * u64::from(self.layout.main_layers)
    }

    /// Positions, output ids and other inputs of a token.
    fn constant(&self, side: Side) -> u64 {
        let own = if side == Side::Device { 5 } else { 6 };
        own + self.per_layer_input() + self.rotation()
    }

    /// A quantised cache is rotated by small matrices that are inputs of the graph.
    fn rotation(&self) -> u64 {
        if self.ask.kv.block > 1 && self.layout.attention == AttentionScheme::Gqa { 40 } else { 0 }
    }

    /// Attention masks: one over the context, one over the window; with sparse attention one over
    /// what was selected, and 32-bit index scores where layers are computed.
    fn masks(&self, side: Side) -> u64 {
        let per_cell = match (self.selected, side) {
            (None, _) => MASK_BYTES,
            (Some(_), Side::Inputs) => 2 * MASK_BYTES,
            (Some(_), _) => 2 * MASK_BYTES + 4,
        };
        let (cells, _) = self.ask.buffers();
        let window = self.layout.caches.iter().flatten().find_map(|cache| cache.window);
        let windowed = window.map_or(0, |window| self.ask.window_cells(window));
        (cells + windowed) * per_cell * self.batch
    }

    fn scores(&self) -> u64 {
        if self.ask.flash_attention {
            return 0;
        }
        self.heads * self.ask.cells.next_multiple_of(256) * self.batch * 4
    }
}

/// Index heads whose scores are held at once.
const INDEX_SCORES: u64 = 64;
