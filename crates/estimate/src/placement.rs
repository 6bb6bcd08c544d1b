//! Which part of a model lies on which device under llama.cpp: `-ngl`, `-ts`, `-sm`, `--n-cpu-moe`.
//!
//! Layers are dealt out whole. With `N` layers (prediction blocks counted) and `-ngl G`, layer `i`
//! goes to a device when `i >= N + 1 - G`; the output matrix counts as layer `N`. Embedding tables
//! stay on the host. The KV cache and the recurrent state of a layer lie with the layer.
//! Source: llama.cpp `llama_model_base::load_tensors`; checked byte for byte against
//! `catalog/measured/llama_cpp_memory_offload.csv`.

use localrig_facts::unit::Bytes;
use serde::Serialize;

use crate::architecture::{Layout, Place, Tensor};
use crate::context::{LlamaContext, layer_context};

/// What is spread, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Offload {
    /// `--gpu-layers`; anything above the number of layers means all.
    pub gpu_layers: u32,
    /// `--tensor-split`: one share per device, of any scale. Without the option llama.cpp takes the
    /// free memory of each device. Empty = no device.
    pub shares: Vec<f64>,
    /// `--split-mode`.
    pub mode: SplitMode,
    /// `--n-cpu-moe`: routed experts of the first so many layers stay on the host.
    pub host_expert_layers: u32,
}

/// `--split-mode`: how devices share a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitMode {
    /// Whole layers.
    #[default]
    Layer,
    /// Everything on the first device.
    None,
    /// Rows of the matrices; routed experts, norms and caches lie with the layer.
    Row,
    /// Every matrix, cut along heads and widths.
    Tensor,
}

impl SplitMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Layer, Self::Row, Self::Tensor, Self::None];

    /// The engine's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::None => "none",
            Self::Row => "row",
            Self::Tensor => "tensor",
        }
    }
}

impl Offload {
    /// Everything on one device.
    pub fn full() -> Self {
        Self::layers(u32::MAX)
    }

    /// So many layers on one device.
    pub fn layers(gpu_layers: u32) -> Self {
        Self { gpu_layers, shares: vec![1.0], mode: SplitMode::Layer, host_expert_layers: 0 }
    }

    /// Everything on several devices in proportion to `shares`.
    pub fn spread(shares: Vec<f64>, mode: SplitMode) -> Self {
        Self { gpu_layers: u32::MAX, shares, mode, host_expert_layers: 0 }
    }

    /// Nothing on a device.
    pub fn none() -> Self {
        Self { gpu_layers: 0, shares: Vec::new(), mode: SplitMode::Layer, host_expert_layers: 0 }
    }
}

/// What one device, or the host, holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// Weights.
    pub weights_bytes: Bytes,
    /// KV cache and recurrent state.
    pub context_bytes: Bytes,
    /// Routed experts among the weights.
    pub expert_bytes: Bytes,
    /// What is read for every token among the weights: neither experts nor looked-up tables.
    pub base_bytes: Bytes,
    /// Layers, the output matrix counted as one.
    pub layers: u32,
}

/// A model spread over the host and devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placement {
    /// What stays in the host's memory.
    pub host: Share,
    /// What each device holds, in the order of [`Offload::shares`].
    pub devices: Vec<Share>,
}

/// Where a layer goes: `None` is the host.
type Home = Option<usize>;

/// Where layer `index` of `count` goes; `count` itself stands for the output matrix.
fn home(offload: &Offload, index: u32, count: u32) -> Home {
    let all = count + 1;
    let on_devices = offload.gpu_layers.min(all);
    let first = all - on_devices;
    if offload.shares.is_empty() || index < first {
        return None;
    }
    if offload.mode == SplitMode::None {
        return Some(0);
    }
    let sum: f32 = offload.shares.iter().map(|share| *share as f32).sum();
    // 32-bit arithmetic as in the engine: a boundary may fall exactly on a layer.
    let at = (index - first) as f32 / on_devices as f32;
    let mut reached = 0.0_f32;
    let place = offload.shares.iter().position(|share| {
        reached += *share as f32;
        reached / sum > at
    });
    Some(place.unwrap_or(offload.shares.len() - 1))
}

/// Spreads a model. `sizes` are the bytes of each tensor, in the order of `layout.tensors`.
pub fn place(layout: &Layout, sizes: &[u64], ask: LlamaContext, offload: &Offload) -> Placement {
    let mut placement = place_weights(layout, sizes, offload);
    place_context(layout, ask, offload, &mut placement);
    placement
}

/// Spreads the weights alone.
pub fn place_weights(layout: &Layout, sizes: &[u64], offload: &Offload) -> Placement {
    let homes = homes(layout, offload);
    let output = homes[homes.len() - 1];
    let mut sums = Sums { parts: Parts { offload }, of: vec![[0; 3]; offload.shares.len() + 1] };
    for (tensor, bytes) in layout.tensors.iter().zip(sizes.iter().copied()) {
        // A tied output matrix is a second copy once the output layer is on a device.
        let tied_copy = layout.tied && &*tensor.name == "token_embd.weight";
        if !tensor.loaded {
            continue;
        }
        match &tensor.place {
            Place::Input => {
                let is_head = tied_copy && output.is_none() && tensor.copies == 1;
                sums.add(layout, tensor, None, bytes, if is_head { BASE } else { TABLE });
                if tied_copy && (output.is_some() || tensor.copies > 1) {
                    sums.add(layout, tensor, output, bytes, BASE);
                }
            }
            Place::Output => sums.add(layout, tensor, output, bytes, BASE),
            Place::Layer(layer) => {
                let home = homes[*layer as usize];
                if tensor.experts {
                    let kept = *layer < offload.host_expert_layers;
                    sums.add(layout, tensor, if kept { None } else { home }, bytes, EXPERTS);
                } else {
                    sums.add(layout, tensor, home, bytes, BASE);
                }
            }
            Place::Beside(tags) => {
                let mut seen: Vec<Home> = Vec::new();
                for (layer, home) in
                    layout.layers.iter().zip(&homes).take(layout.main_layers as usize)
                {
                    let lies_here = tags.iter().all(|tag| layer.is(tag));
                    if lies_here && !seen.contains(home) {
                        seen.push(*home);
                        sums.add(layout, tensor, *home, bytes, TABLE);
                    }
                }
            }
        }
    }
    let host = offload.shares.len();
    let share = |index: usize| {
        let own = (index < host).then_some(index);
        let layers = homes.iter().filter(|home| match offload.mode {
            SplitMode::Layer | SplitMode::None => **home == own,
            SplitMode::Tensor | SplitMode::Row => home.is_some() == own.is_some(),
        });
        let [base, experts, table] = sums.of[index].map(|bytes| Bytes::new(bytes as f64));
        Share {
            weights_bytes: base + experts + table,
            context_bytes: Bytes::ZERO,
            expert_bytes: experts,
            base_bytes: base,
            layers: layers.count() as u32,
        }
    };
    Placement { host: share(host), devices: (0..host).map(share).collect() }
}

/// Spreads the caches and states of a context, which lie with their layers.
pub fn place_context(
    layout: &Layout,
    ask: LlamaContext,
    offload: &Offload,
    placement: &mut Placement,
) {
    let mut sums = vec![0_u64; offload.shares.len() + 1];
    let host = offload.shares.len();
    let homes = homes(layout, offload);
    for (layer, home) in homes.iter().enumerate().take(layout.main_layers as usize) {
        let bytes = layer_context(layout, ask, layer);
        match home {
            None => sums[host] += bytes,
            Some(_) if offload.mode == SplitMode::Tensor => {
                let parts = Parts { offload }.context(layout, layer, bytes, ask);
                for (sum, part) in sums.iter_mut().zip(parts) {
                    *sum += part;
                }
            }
            Some(device) => sums[*device] += bytes,
        }
    }
    let shares = placement.devices.iter_mut().chain([&mut placement.host]);
    for (share, sum) in shares.zip(sums) {
        share.context_bytes = Bytes::new(sum as f64);
    }
}

/// Where every layer goes, the output matrix last.
fn homes(layout: &Layout, offload: &Offload) -> Vec<Home> {
    let count = layout.layers.len() as u32;
    (0..=count).map(|index| home(offload, index, count)).collect()
}

/// Kinds of weights that [`Sums`] counts apart.
const BASE: usize = 0;
const EXPERTS: usize = 1;
const TABLE: usize = 2;

/// Bytes of each kind on each device, then on the host.
struct Sums<'a> {
    parts: Parts<'a>,
    of: Vec<[u64; 3]>,
}

impl Sums<'_> {
    fn add(&mut self, layout: &Layout, tensor: &Tensor, home: Home, bytes: u64, kind: usize) {
        let host = self.of.len() - 1;
        let parts = match (home, self.parts.offload.mode) {
            (None, _) => return self.of[host][kind] += bytes,
            (Some(_), SplitMode::Tensor) => self.parts.tensor(layout, tensor, bytes),
            (Some(_), SplitMode::Row) if is_cut_by_rows(tensor) => {
                self.parts.cut(bytes, tensor.shape[1])
            }
            (Some(device), _) => return self.of[device][kind] += bytes,
        };
        for (sum, part) in self.of.iter_mut().zip(parts) {
            sum[kind] += part;
        }
    }
}

/// Whether `--split-mode row` cuts a tensor: matrices that a plain product uses.
/// Source: llama.cpp `ggml_backend_cuda_device_supports_op` on split buffers.
fn is_cut_by_rows(tensor: &Tensor) -> bool {
    tensor.shape.len() == 2 && !tensor.experts && tensor.place != Place::Input
}

/// Cutting matrices between devices (`--split-mode tensor`).
struct Parts<'a> {
    offload: &'a Offload,
}

/// Matrices that are cut by attention heads, by the width of a feed-forward part, or by rows; all
/// else lies whole on every device. Source: llama.cpp `llama_meta_device_get_split_state`.
const CUT_BY_HEADS: [&str; 5] =
    ["attn_q.", "attn_k.", "attn_v.", "attn_qkv.", "attn_output.weight"];
const CUT_BY_STATE: [&str; 8] = [
    "ssm_out.weight",
    "ssm_conv1d.weight",
    "ssm_alpha.",
    "ssm_beta.",
    "ssm_ba.",
    "ssm_dt.",
    "ssm_a",
    "attn_gate.",
];
const CUT_BY_WIDTH: [&str; 7] = [
    "ffn_up.",
    "ffn_gate.",
    "ffn_down.weight",
    "ffn_up_exps.",
    "ffn_gate_exps.",
    "ffn_gate_up_exps.weight",
    "ffn_down_exps.weight",
];

impl Parts<'_> {
    /// Units `count` dealt to the devices: boundaries rounded down, the rest to the last.
    fn deal(&self, count: u64) -> Vec<u64> {
        let sum: f64 = self.offload.shares.iter().sum();
        let mut reached = 0.0;
        let mut before = 0;
        let last = self.offload.shares.len() - 1;
        let deal = |(index, share): (usize, &f64)| {
            reached += share;
            let end = if index == last { count } else { (count as f64 * reached / sum) as u64 };
            let part = end - before;
            before = end;
            part
        };
        self.offload.shares.iter().enumerate().map(deal).collect()
    }

    /// Bytes of a tensor on each device.
    fn tensor(&self, layout: &Layout, tensor: &Tensor, bytes: u64) -> Vec<u64> {
        let is = |names: &[&str]| names.iter().any(|name| tensor.name.starts_with(name));
        let latent = layout.dim("kv_lora") > 0;
        let recurrent =
            tensor.layer.is_some_and(|layer| layout.layers[layer as usize].is("recurrent"));
        let units =
            if is(&CUT_BY_HEADS) && !latent && !(recurrent && layout.dim("value_heads") == 0) {
                let heads =
                    if recurrent { layout.dim("key_heads") } else { layout.dim("kv_heads") };
                Some(heads)
            } else if is(&CUT_BY_STATE) && layout.dim("key_heads") > 0 {
                Some(layout.dim("key_heads"))
            } else if is(&CUT_BY_WIDTH) {
                // The width must stay a multiple of the largest quantization block.
                let width = if tensor.name.contains("down") {
                    tensor.shape[0]
                } else {
                    tensor.shape[1.min(tensor.shape.len() - 1)]
                };
                Some((width / 256).max(1))
            } else if &*tensor.name == "output.weight" || tensor.place == Place::Input {
                tensor.shape.get(1).copied()
            } else {
                None
            };
        match units.filter(|units| *units > 0) {
            None => vec![bytes; self.offload.shares.len()],
            Some(units) => self.cut(bytes, units),
        }
    }

    /// Bytes of a layer's cache and state on each device: by KV heads, latent caches whole.
    fn context(&self, layout: &Layout, layer: usize, bytes: u64, ask: LlamaContext) -> Vec<u64> {
        let recurrent = layout.layers[layer].is("recurrent");
        let heads = if recurrent { layout.dim("key_heads") } else { layout.dim("kv_heads") };
        if layout.dim("kv_lora") > 0 || heads == 0 || ask.cells == 0 {
            return vec![bytes; self.offload.shares.len()];
        }
        self.cut(bytes, heads)
    }

    fn cut(&self, bytes: u64, units: u64) -> Vec<u64> {
        self.deal(units)
            .into_iter()
            .map(|part| (u128::from(bytes) * u128::from(part) / u128::from(units)) as u64)
            .collect()
    }
}
