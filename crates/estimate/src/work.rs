//! What one model asks of a device per token: bytes to read, arithmetic to do, layers to launch.
//!
//! Gathered once per model, format and KV type; the step formulas in [`crate::decode`] and
//! [`crate::prefill`] only combine these numbers with a device's.

use localrig_facts::format::{Kernel, Precision};
use localrig_facts::model::{AttentionScheme, Recurrence};
use localrig_facts::unit::Bytes;

use crate::architecture::{Heads, Layer, Layout};
use crate::context::{KvType, state_bytes};
use crate::recipe::Recipe;
use crate::weights::{Weights, weights_of};

/// Demands of a model in a format.
#[derive(Clone, Debug)]
pub struct Work {
    /// Weights.
    pub weights: Weights,
    /// KV type the caches below are counted in.
    pub kv: KvType,
    /// Weights by the kernels that unpack them, in the order of [`Kernel::ALL`].
    pub kernels: [KernelWork; Kernel::ALL.len()],
    /// Experts of a mixture layer; 0 for dense models.
    pub experts: u64,
    /// Experts a token uses.
    pub experts_used: u64,
    /// Layers by what they do.
    pub layers: LayerCount,
    /// Heads of attention.
    pub heads: Heads,
    /// Width of the residual stream, for messages between devices.
    pub hidden: u64,
    /// Recurrent state of one sequence.
    pub state: Bytes,
    /// Latent attention: its cache costs more to read than its bytes.
    pub latent: bool,
    /// What each caching layer keeps and does per position.
    pub attention: Vec<Attention>,
    /// Multiply-adds of the recurrent scan per token, all layers.
    pub scan: f64,
    /// Number format that matrix units could compute in natively: `fp8`, `fp4`, `int8`.
    pub native: Option<String>,
    /// Storage class of the format.
    pub precision: Precision,
}

/// Weights that one kind of kernel reads, in bytes and in parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KernelWork {
    /// Bytes read for every token, without the output matrix.
    pub base: f64,
    /// Bytes of the output matrix.
    pub head: f64,
    /// Bytes of all routed experts.
    pub experts: f64,
    /// Bytes in `base` that some engines read for every sequence.
    pub by_sequence: f64,
    /// Parameters in `base`.
    pub base_parameters: f64,
    /// Parameters in `by_sequence`.
    pub by_sequence_parameters: f64,
    /// Parameters in `head`.
    pub head_parameters: f64,
    /// Parameters in `experts`.
    pub expert_parameters: f64,
}

/// Layers by what they do; a layer counts once for mixing tokens and once for its feed-forward part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerCount {
    /// All of them.
    pub all: f64,
    /// With attention.
    pub attention: f64,
    /// With a recurrence.
    pub recurrent: f64,
    /// With routed experts.
    pub mixture: f64,
    /// With a dense feed-forward part.
    pub dense: f64,
    /// With several residual streams.
    pub hyper: f64,
}

/// Attention of layers that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// How many layers.
    pub layers: u32,
    /// Bytes read per position of context, K and V.
    pub bytes_per_position: f64,
    /// Window in positions.
    pub window: Option<u64>,
    /// Most positions that are read.
    pub selects: Option<u64>,
    /// Multiply-adds per pair of query and key position.
    pub pair: f64,
}

impl Attention {
    /// Positions one query reads at a depth.
    pub fn positions(&self, depth: f64) -> f64 {
        depth.min(self.limit())
    }

    /// Most positions a query sees.
    pub fn limit(&self) -> f64 {
        let limits = [self.window, self.selects].into_iter().flatten();
        limits.fold(f64::INFINITY, |least, limit| least.min(limit as f64))
    }
}

impl Work {
    /// The demands of a model under a recipe.
    pub fn new(layout: &Layout, recipe: &Recipe<'_>, kv: KvType) -> Self {
        let types = recipe.types(layout);
        let weights = weights_of(layout, recipe, &types);
        let mut kernels = [KernelWork::default(); Kernel::ALL.len()];
        for (tensor, kind) in layout.tensors.iter().zip(types) {
            let main = tensor.layer.is_none_or(|layer| layer < layout.main_layers);
            let head = &*tensor.name == "output.weight"
                || (layout.tied && &*tensor.name == "token_embd.weight");
            if !main || tensor.table || (tensor.is_lookup() && !head) || !tensor.loaded {
                continue;
            }
            let elements = tensor.elements();
            let bytes = elements as f64 * kind.bits_per_weight() / 8.0;
            let sums = &mut kernels[kind.kernel.index()];
            let (into, count) = if head {
                (&mut sums.head, &mut sums.head_parameters)
            } else if tensor.experts {
                (&mut sums.experts, &mut sums.expert_parameters)
            } else {
                (&mut sums.base, &mut sums.base_parameters)
            };
            *into += bytes;
            *count += elements as f64;
            if tensor.is_read_by_sequence() {
                sums.by_sequence += bytes;
                sums.by_sequence_parameters += elements as f64;
            }
        }
        Self {
            kv,
            kernels,
            experts: layout.experts(),
            experts_used: layout.dim("experts_used"),
            layers: count_layers(layout),
            heads: layout.heads(),
            hidden: layout.dim("hidden"),
            state: Bytes::new(state_bytes(layout) as f64),
            latent: layout.attention == AttentionScheme::Mla,
            attention: attention(layout, kv),
            scan: scan(layout),
            native: recipe.format.native.clone(),
            precision: recipe.format.precision,
            weights,
        }
    }

    /// The same model in a file whose size is known: every part scaled alike, since a dynamic
    /// recipe does not say which tensors differ.
    #[must_use]
    pub fn scaled_to(mut self, file: Bytes) -> Self {
        let factor = file / self.weights.file;
        for one in &mut self.kernels {
            one.base *= factor;
            one.head *= factor;
            one.experts *= factor;
            one.by_sequence *= factor;
        }
        let weights = &mut self.weights;
        for bytes in &mut weights.tensors {
            *bytes = (*bytes as f64 * factor) as u64;
        }
        for bytes in [
            &mut weights.loaded,
            &mut weights.file,
            &mut weights.base,
            &mut weights.experts,
            &mut weights.head,
            &mut weights.lookup,
        ] {
            *bytes = *bytes * factor;
        }
        self
    }

    /// Whether it is a mixture of experts.
    pub fn is_mixture(&self) -> bool {
        self.experts > 0
    }

    /// Share of a layer's experts that one token uses.
    pub fn used_share(&self) -> f64 {
        if self.experts == 0 { 0.0 } else { self.experts_used as f64 / self.experts as f64 }
    }

    /// Experts touched by a step of `tokens` tokens, per layer; one token touches the `k` it uses.
    ///
    /// Experts are not used alike. With the share of tokens that use one spread as
    /// `Beta(k/E s, (1 - k/E) s)`, so many are left out by all of them (beta-binomial distribution;
    /// Skellam 1948): `E B(a, b + tokens) / B(a, b)`. The smaller the concentration `s`, the more tokens
    /// agree; independent tokens would have an infinite one, `E (1 - k/E)^tokens`.
    pub fn experts_touched(&self, tokens: f64, concentration: f64) -> f64 {
        let untouched = (1.0 - self.used_share()) * concentration;
        let left_out = libm::lgamma(untouched + tokens) - libm::lgamma(untouched)
            + libm::lgamma(concentration)
            - libm::lgamma(concentration + tokens);
        self.experts as f64 * (1.0 - left_out.exp())
    }

    /// Parameters that take part in one token, the head included.
    pub fn active_parameters(&self) -> f64 {
        self.weights.base_parameters
            + self.weights.head_parameters
            + self.active_expert_parameters()
    }

    /// Parameters of the routed experts that one token uses.
    pub fn active_expert_parameters(&self) -> f64 {
        self.weights.expert_parameters * self.used_share()
    }

    /// Bytes of weights one token reads.
    pub fn active_bytes(&self) -> Bytes {
        self.weights.base + self.weights.experts * self.used_share()
    }

    /// Bytes of KV cache read by one token of one stream at a depth.
    pub fn kv_read(&self, depth: f64) -> Bytes {
        let bytes = self
            .attention
            .iter()
            .map(|one| f64::from(one.layers) * one.bytes_per_position * one.positions(depth));
        Bytes::new(bytes.sum())
    }
}

fn count_layers(layout: &Layout) -> LayerCount {
    let layers = &layout.layers[..layout.main_layers as usize];
    let count =
        |test: &dyn Fn(&Layer) -> bool| layers.iter().filter(|one| test(one)).count() as f64;
    LayerCount {
        all: layers.len() as f64,
        attention: count(&|one| one.is("full") || one.is("sliding") || one.is("chunked")),
        recurrent: count(&|one| one.is("recurrent")),
        mixture: count(&|one| one.is("moe")),
        dense: count(&|one| one.is("dense") && !one.is("moe")),
        hyper: if layout.dim("streams") > 1 { layers.len() as f64 } else { 0.0 },
    }
}

fn attention(layout: &Layout, kv: KvType) -> Vec<Attention> {
    let mut kinds: Vec<Attention> = Vec::new();
    for cache in layout.caches.iter().flatten() {
        let one = Attention {
            layers: 1,
            bytes_per_position: (kv.row(cache.k) + kv.row(cache.v)) as f64,
            window: cache.window,
            selects: cache.selects,
            pair: cache.pair as f64,
        };
        let alike = |other: &&mut Attention| Attention { layers: 1, ..**other } == one;
        match kinds.iter_mut().find(alike) {
            Some(same) => same.layers += 1,
            None => kinds.push(one),
        }
    }
    kinds
}

/// Multiply-adds of the chunked scan per token: 6 for each element of a delta net's state, 3 for
/// each of a Mamba-2 state (decay, update and read-out of blocks, Yang et al. 2024, arXiv
/// 2412.06464; Dao and Gu 2024, arXiv 2405.21060).
fn scan(layout: &Layout) -> f64 {
    let per_layer = match layout.recurrence {
        Some(Recurrence::GatedDeltaNet) => {
            6.0 * (layout.dim("key_head_dim") * layout.dim("value_width")) as f64
        }
        Some(Recurrence::Mamba2) => 3.0 * (layout.dim("state") * layout.dim("inner")) as f64,
        Some(Recurrence::ShortConvolution) | None => 0.0,
    };
    let main = &layout.layers[..layout.main_layers as usize];
    per_layer * main.iter().filter(|layer| layer.is("recurrent")).count() as f64
}
