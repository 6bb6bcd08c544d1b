//! The graph buffer: scratch memory of one micro-batch.
//!
//! Approximate. llama.cpp plans the worst-case graph and reuses memory between its nodes; the rule
//! below counts the widest moment of a layer. It is exact for plain dense and mixture models and
//! off by some tens of per cent for hybrids; the error on every measured row is in
//! `docs/accuracy.md`. Without flash attention the score matrix comes on top.

use localrig_facts::model::AttentionScheme;
use localrig_facts::unit::Bytes;

use crate::architecture::Layout;
use crate::context::LlamaContext;

/// Where the graph runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Everything on the CPU.
    CpuOnly,
    /// The device's buffer when all layers are offloaded.
    Device,
    /// The host's buffer when all layers are offloaded.
    Host,
}

/// Graph buffer of llama.cpp for `outputs` positions whose logits are wanted at once.
///
/// Source: closed form fitted to the engine's own figures (`catalog/measured/llama_cpp_memory*.csv`).
pub fn llama_graph(layout: &Layout, ask: LlamaContext, outputs: u64, side: Side) -> Bytes {
    let hidden = layout.dim("hidden");
    let batch = ask.micro_batch.min(ask.cells.next_multiple_of(256));
    // A mask is 16 bits; sparse attention adds 32-bit index scores and their order.
    let sparse = layout.caches.iter().flatten().any(|cache| cache.selects.is_some());
    let masks = ask.mask_cells(layout) * if sparse { 8 } else { 2 } * batch;
    if side == Side::Host {
        return Bytes::new((batch * 4 * (2 * hidden + 6) + masks) as f64);
    }
    let heads = layout.dim("heads");
    let selects = layout.caches.iter().flatten().find_map(|cache| cache.selects);
    let attention = match (layout.attention, selects) {
        // Sparse attention works in the latent space and keeps scores of the selected positions.
        (AttentionScheme::Mla, Some(top)) => {
            heads * (layout.dim("kv_lora") + layout.dim("rope_dim") + layout.dim("v_dim"))
                + 64 * top
        }
        (AttentionScheme::Mla, None) => heads * layout.dim("v_dim"),
        // A fused projection needs no separate Q.
        (AttentionScheme::Gqa, _)
            if layout.recurrence.is_none() && has(layout, "attn_qkv.weight") =>
        {
            0
        }
        (AttentionScheme::Gqa, _) => {
            heads * layout.dim("global_head_dim").max(layout.dim("head_dim"))
        }
    };
    let (used, expert) = (layout.dim("experts_used"), layout.dim("expert_ffn"));
    let widest_dense = if has(layout, "ffn_down.weight") { 3 * widest_ffn(layout) } else { 0 };
    let combine = if used * hidden > 2 * used * expert { used * hidden } else { 0 };
    let mixture = if used > 0 { 3 * used * expert + combine } else { 0 };
    let body = widest_dense.max(mixture);
    let per_token = match side {
        Side::Device => body + 2 * hidden + attention + 5,
        _ => body + 3 * hidden + attention + 6,
    };
    let scores =
        if ask.flash_attention { 0 } else { heads * ask.cells.next_multiple_of(256) * batch * 4 };
    let main = batch * 4 * per_token + masks + scores;
    let logits = outputs * 4 * layout.dim("vocab") + 8 * hidden * batch;
    Bytes::new(main.max(logits) as f64)
}

fn has(layout: &Layout, name: &str) -> bool {
    layout.tensors.iter().any(|tensor| &*tensor.name == name)
}

fn widest_ffn(layout: &Layout) -> u64 {
    let widths = layout.tensors.iter().filter(|tensor| &*tensor.name == "ffn_down.weight");
    widths.map(|tensor| tensor.shape[0]).max().unwrap_or(0)
}

impl LlamaContext {
    /// Cells the attention masks cover: one mask over the context, one over the window.
    fn mask_cells(self, layout: &Layout) -> u64 {
        let (cells, _) = self.buffers();
        let window = layout.caches.iter().flatten().find_map(|cache| cache.window);
        cells + window.map_or(0, |window| self.window_cells(window))
    }
}
