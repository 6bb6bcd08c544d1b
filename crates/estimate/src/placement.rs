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
    /// Every matrix, cut along heads and widths.
    Tensor,
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
    let count = layout.layers.len() as u32;
    let homes: Vec<Home> = (0..=count).map(|index| home(offload, index, count)).collect();
    let mut sums = vec![[0_u64; 2]; offload.shares.len() + 1];
    let host = offload.shares.len();
    let parts = Parts { offload, ask };
    for (tensor, bytes) in layout.tensors.iter().zip(sizes) {
        // A tied output matrix is a second copy once the output layer is on a device.
        let tied_copy = layout.tied && &*tensor.name == "token_embd.weight";
        if !tensor.loaded {
            continue;
        }
        let mut add = |home: Home| match home {
            None => sums[host][0] += bytes,
            Some(device) if offload.mode == SplitMode::Layer => sums[device][0] += bytes,
            Some(_) => {
                for (sum, part) in sums.iter_mut().zip(parts.tensor(layout, tensor, *bytes)) {
                    sum[0] += part;
                }
            }
        };
        let output = homes[count as usize];
        match &tensor.place {
            Place::Input => {
                add(None);
                if tied_copy && (output.is_some() || tensor.copies > 1) {
                    add(output);
                }
            }
            Place::Output => add(output),
            Place::Layer(layer) => {
                let kept = tensor.is_routed_expert() && *layer < offload.host_expert_layers;
                add(if kept { None } else { homes[*layer as usize] });
            }
            Place::Beside(tags) => {
                let mut seen: Vec<Home> = Vec::new();
                for (layer, home) in
                    layout.layers.iter().zip(&homes).take(layout.main_layers as usize)
                {
                    let lies_here = tags.iter().all(|tag| layer.is(tag));
                    if lies_here && !seen.contains(home) {
                        seen.push(*home);
                        add(*home);
                    }
                }
            }
        }
    }
    for (layer, home) in homes.iter().enumerate().take(layout.main_layers as usize) {
        let bytes = layer_context(layout, ask, layer);
        match home {
            None => sums[host][1] += bytes,
            Some(device) if offload.mode == SplitMode::Layer => sums[*device][1] += bytes,
            Some(_) => {
                for (sum, part) in sums.iter_mut().zip(parts.context(layout, layer, bytes)) {
                    sum[1] += part;
                }
            }
        }
    }
    let share = |index: usize| {
        let own = (index < host).then_some(index);
        let layers = homes.iter().filter(|home| match offload.mode {
            SplitMode::Layer => **home == own,
            SplitMode::Tensor => home.is_some() == own.is_some(),
        });
        Share {
            weights_bytes: Bytes::new(sums[index][0] as f64),
            context_bytes: Bytes::new(sums[index][1] as f64),
            layers: layers.count() as u32,
        }
    };
    Placement { host: share(host), devices: (0..host).map(share).collect() }
}

/// Cutting matrices between devices (`--split-mode tensor`).
struct Parts<'a> {
    offload: &'a Offload,
    ask: LlamaContext,
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
    fn context(&self, layout: &Layout, layer: usize, bytes: u64) -> Vec<u64> {
        let recurrent = layout.layers[layer].is("recurrent");
        let heads = if recurrent { layout.dim("key_heads") } else { layout.dim("kv_heads") };
        if layout.dim("kv_lora") > 0 || heads == 0 || self.ask.cells == 0 {
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
