//! Memory of the context: KV cache and recurrent state, by the rules of each engine.

use localrig_facts::unit::Bytes;

use crate::architecture::Layout;

/// A storage type of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvType {
    /// Name in the engine.
    pub name: &'static str,
    /// Elements in a block.
    pub block: u64,
    /// Bytes of a block.
    pub bytes: u64,
}

/// KV cache types by the names engines use (llama.cpp `--cache-type-k`, vLLM `--kv-cache-dtype`).
pub const KV_TYPES: [KvType; 11] = [
    KvType { name: "f32", block: 1, bytes: 4 },
    KvType { name: "f16", block: 1, bytes: 2 },
    KvType { name: "bf16", block: 1, bytes: 2 },
    KvType { name: "fp8", block: 1, bytes: 1 },
    KvType { name: "q8_0", block: 32, bytes: 34 },
    KvType { name: "q5_1", block: 32, bytes: 24 },
    KvType { name: "q5_0", block: 32, bytes: 22 },
    KvType { name: "q4_1", block: 32, bytes: 20 },
    KvType { name: "q4_0", block: 32, bytes: 18 },
    KvType { name: "iq4_nl", block: 32, bytes: 18 },
    KvType { name: "int8", block: 1, bytes: 1 },
];

impl KvType {
    /// 16-bit floats, the default of every engine.
    pub const F16: Self = KV_TYPES[1];
    /// 8 bits, with a scale for every 32 elements.
    pub const Q8_0: Self = KV_TYPES[4];

    /// The type of a name.
    pub fn of(name: &str) -> Option<Self> {
        let wanted = match name.to_ascii_lowercase().as_str() {
            "auto" | "float16" => "f16",
            "bfloat16" => "bf16",
            "fp8_e4m3" | "fp8_e5m2" => "fp8",
            "q8" => "q8_0",
            "q4" => "q4_0",
            other => return KV_TYPES.into_iter().find(|kind| kind.name == other),
        };
        KV_TYPES.into_iter().find(|kind| kind.name == wanted)
    }

    /// Bytes of a row of elements; a row that is no multiple of the block is padded up.
    pub fn row(self, elements: u64) -> u64 {
        elements.div_ceil(self.block) * self.bytes
    }

    /// Bytes per element.
    pub fn bytes_per_element(self) -> f64 {
        self.bytes as f64 / self.block as f64
    }
}

/// How llama.cpp is asked to hold its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LlamaContext {
    /// `--ctx-size`: cells for all sequences together.
    pub cells: u64,
    /// `--parallel`: sequences.
    pub sequences: u64,
    /// `--kv-unified`: sequences share one buffer.
    pub unified: bool,
    /// `--ubatch-size`.
    pub micro_batch: u64,
    /// `--cache-type-k` and `-v`.
    pub kv: KvType,
    /// `--swa-full`: sliding-window layers keep the whole context.
    pub full_windows: bool,
    /// Flash attention; without it V is stored transposed and padded to the widest layer.
    pub flash_attention: bool,
}

impl LlamaContext {
    /// One context of `tokens` for each of `streams`, held the way `llama-server` does by default.
    pub const fn server(tokens: u64, streams: u64, kv: KvType) -> Self {
        Self {
            cells: tokens * streams,
            sequences: streams,
            unified: true,
            micro_batch: 512,
            kv,
            full_windows: false,
            flash_attention: true,
        }
    }

    /// Cells of one buffer, and the number of buffers.
    pub(crate) fn buffers(self) -> (u64, u64) {
        let cells = self.cells.next_multiple_of(CELL_STEP);
        if self.unified {
            (cells, 1)
        } else {
            ((cells / self.sequences).next_multiple_of(CELL_STEP), self.sequences)
        }
    }

    /// Cells that a layer with a sliding window keeps.
    pub(crate) fn window_cells(self, window: u64) -> u64 {
        let (cells, _) = self.buffers();
        if self.full_windows {
            return cells;
        }
        let sequences = if self.unified { self.sequences } else { 1 };
        let micro_batch = self.micro_batch.min(self.cells.next_multiple_of(CELL_STEP));
        (window * sequences + micro_batch).min(cells).next_multiple_of(CELL_STEP)
    }
}

/// Recurrent state is kept in 32-bit floats.
const STATE_BYTES: u64 = 4;

/// llama.cpp rounds the cells of a cache up to this.
const CELL_STEP: u64 = 256;

/// Context memory of llama.cpp: exact, as its own allocation.
///
/// KV cache of every layer by kind, index keys of sparse attention, recurrent state per sequence.
/// Source: llama.cpp `llama-kv-cache.cpp`, `llama-memory-recurrent.cpp`; checked byte for byte
/// against `catalog/measured/llama_cpp_memory.csv`.
pub fn llama_context(layout: &Layout, ask: LlamaContext) -> Bytes {
    let bytes: u64 = (0..layout.caches.len()).map(|layer| layer_context(layout, ask, layer)).sum();
    Bytes::new(bytes as f64)
}

/// Bytes of what one layer keeps: its KV cache and its recurrent state.
pub(crate) fn layer_context(layout: &Layout, ask: LlamaContext, layer: usize) -> u64 {
    let (cells, buffers) = ask.buffers();
    let mut bytes = layout.states[layer] * STATE_BYTES * ask.sequences;
    for cache in &layout.caches[layer] {
        let cells = cache.window.map_or(cells, |window| ask.window_cells(window));
        let v = match (cache.v, ask.flash_attention) {
            (0, _) => 0,
            (own, true) => own,
            (_, false) => widest_v(layout),
        };
        bytes += cells * buffers * (ask.kv.row(cache.k) + ask.kv.row(v));
    }
    bytes
}

/// Without flash attention V is stored transposed, every layer as wide as the widest.
fn widest_v(layout: &Layout) -> u64 {
    layout.caches.iter().flatten().map(|cache| cache.v).max().unwrap_or(0)
}

/// Recurrent state of one sequence: 32-bit floats, whatever the context.
pub fn state_bytes(layout: &Layout) -> u64 {
    layout.states.iter().sum::<u64>() * STATE_BYTES
}

/// Bytes one more token of one sequence takes in an engine that allocates by need (vLLM, MLX):
/// layers with a window stop growing at the window.
pub fn bytes_for_tokens(layout: &Layout, tokens: u64, block: u64, kv: KvType) -> Bytes {
    let mut bytes = 0;
    for cache in layout.caches.iter().flatten() {
        let kept = cache.window.map_or(tokens, |window| tokens.min(window + block));
        bytes += kept.next_multiple_of(block) * (kv.row(cache.k) + kv.row(cache.v));
    }
    Bytes::new((bytes + state_bytes(layout)) as f64)
}

/// Context of one sequence in an engine whose caches grow with the tokens (MLX): layers in steps
/// of 256 tokens, those with a window up to the window and the `batch` of prompt tokens that is being
/// read. Nothing is padded, states are those of every engine.
///
/// Source: mlx-lm `mlx_lm/models/cache.py`, `KVCache` and `RotatingKVCache`.
pub fn grown_context(layout: &Layout, tokens: u64, batch: u64, kv: KvType) -> Bytes {
    let grown = tokens.next_multiple_of(CELL_STEP);
    let mut bytes = state_bytes(layout);
    for cache in layout.caches.iter().flatten() {
        let kept = cache.window.map_or(grown, |window| grown.min(window.max(1) - 1 + batch));
        bytes += kept * (kv.row(cache.k) + kv.row(cache.v));
    }
    Bytes::new(bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_names_of_kv_types_lead_to_the_same_type() {
        assert_eq!(KvType::of("auto"), Some(KvType::F16));
        assert_eq!(KvType::of("Q8_0").map(|kind| kind.row(128)), Some(136));
        assert_eq!(KvType::of("q3"), None);
    }

    #[test]
    fn a_window_keeps_its_tokens_and_one_micro_batch() {
        let ask = LlamaContext::server(131_072, 1, KvType::F16);
        assert_eq!(ask.window_cells(128), 768);
        assert_eq!(LlamaContext { sequences: 4, ..ask }.window_cells(128), 1024);
        assert_eq!(LlamaContext { full_windows: true, ..ask }.window_cells(128), 131_072);
        assert_eq!(LlamaContext { cells: 300, ..ask }.window_cells(4096), 512);
    }
}
