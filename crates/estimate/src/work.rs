//! What one model asks of a device per token: bytes to read, arithmetic to do, layers to launch.
//!
//! Gathered once per model, format and KV type; the step formulas in [`crate::decode`] and
//! [`crate::prefill`] only combine these numbers with a device's.

use localrig_facts::calibration::SharedConstants;
use localrig_facts::format::Precision;
use localrig_facts::model::{AttentionScheme, Recurrence};
use localrig_facts::unit::Bytes;

use crate::architecture::Layout;
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
    /// Experts of a mixture layer, and how many a token uses; zeros for dense models.
    pub experts: u64,
    /// Experts a token uses.
    pub experts_used: u64,
    /// Layers in units of plain ones: launches and small kernels.
    pub layer_weight: f64,
    /// Layers as such.
    pub layers: u32,
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
    /// Efficiency of reading the weights relative to k-quants, averaged over bytes read.
    pub decode_cost: f64,
    /// Arithmetic operations per weight to unpack it, averaged over parameters read.
    pub operations: f64,
    /// Speed of matrix products in prefill relative to the class, averaged over parameters.
    pub prefill_cost: f64,
    /// Number format that matrix units could compute in natively: `fp8`, `fp4`, `int8`.
    pub native: Option<String>,
    /// Storage class of the format.
    pub precision: Precision,
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
        let mut positions = depth;
        for limit in [self.window, self.selects].into_iter().flatten() {
            positions = positions.min(limit as f64);
        }
        positions
    }
}

impl Work {
    /// The demands of a model under a recipe.
    pub fn new(
        constants: &SharedConstants,
        layout: &Layout,
        recipe: &Recipe<'_>,
        kv: KvType,
    ) -> Self {
        let types = recipe.types(layout);
        let weights = weights_of(layout, recipe, &types);
        let (experts, used) = (layout.experts(), layout.dim("experts_used"));
        let share = if experts == 0 { 0.0 } else { used as f64 / experts as f64 };
        let mut read = Mean::default();
        let mut operations = Mean::default();
        let mut products = Mean::default();
        for (tensor, kind) in layout.tensors.iter().zip(types) {
            let main = tensor.layer.is_none_or(|layer| layer < layout.main_layers);
            let looked_up =
                tensor.is_lookup() && !(layout.tied && &*tensor.name == "token_embd.weight");
            if !main || tensor.table || looked_up || !tensor.loaded {
                continue;
            }
            let part = if tensor.is_routed_expert() { share } else { 1.0 };
            let elements = tensor.elements() as f64 * part;
            // The linter holds every tensor type to a known kernel.
            let Some(cost) = constants.kernels.get(&kind.kernel) else {
                continue;
            };
            let bytes = elements * kind.bits_per_weight() / 8.0;
            // Times add, so efficiencies average harmonically.
            read.add(bytes, 1.0 / cost.decode);
            operations.add(elements, cost.operations);
            products.add(elements, 1.0 / cost.prefill);
        }
        Self {
            kv,
            experts,
            experts_used: used,
            layer_weight: layer_weight(constants, layout),
            layers: layout.main_layers,
            hidden: layout.dim("hidden"),
            state: Bytes::new(state_bytes(layout) as f64),
            latent: layout.attention == AttentionScheme::Mla,
            attention: attention(layout, kv),
            scan: scan(constants, layout),
            decode_cost: 1.0 / read.value(),
            operations: operations.value(),
            prefill_cost: 1.0 / products.value(),
            native: recipe.format.native.clone(),
            precision: recipe.format.precision,
            weights,
        }
    }

    /// Whether it is a mixture of experts.
    pub fn is_mixture(&self) -> bool {
        self.experts > 0
    }

    /// Experts touched by a step of `tokens` tokens, per layer.
    ///
    /// Independent routing would give `E (1 - (1 - k/E)^tokens)`. Tokens of related text agree, so
    /// the exponent is `tokens^correlation`; one token touches `k`.
    pub fn experts_touched(&self, tokens: f64, correlation: f64) -> f64 {
        if self.experts == 0 {
            return 0.0;
        }
        let (all, used) = (self.experts as f64, self.experts_used as f64);
        all * (1.0 - (1.0 - used / all).powf(tokens.powf(correlation)))
    }

    /// Parameters that take part in one token, the head included.
    pub fn active_parameters(&self) -> f64 {
        self.weights.base_parameters
            + self.weights.head_parameters
            + self.active_expert_parameters()
    }

    /// Parameters of the routed experts that one token uses.
    pub fn active_expert_parameters(&self) -> f64 {
        if self.experts == 0 {
            return 0.0;
        }
        self.weights.expert_parameters * self.experts_used as f64 / self.experts as f64
    }

    /// Bytes of weights one token reads.
    pub fn active_bytes(&self) -> Bytes {
        if self.experts == 0 {
            return self.weights.base;
        }
        self.weights.base + self.weights.experts * (self.experts_used as f64 / self.experts as f64)
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

#[derive(Default)]
struct Mean {
    weight: f64,
    sum: f64,
}

impl Mean {
    fn add(&mut self, weight: f64, value: f64) {
        self.weight += weight;
        self.sum += weight * value;
    }

    fn value(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 1.0 }
    }
}

/// Layers in units of plain ones. A layer is half mixing, half feed-forward; a block that is only
/// one of the two counts half.
fn layer_weight(constants: &SharedConstants, layout: &Layout) -> f64 {
    let decode = &constants.decode;
    let latent = layout.attention == AttentionScheme::Mla;
    let main = &layout.layers[..layout.main_layers as usize];
    main.iter()
        .map(|layer| {
            let mut weight = 0.0;
            if layer.is("recurrent") {
                weight += decode.recurrent_layer - 0.5;
            }
            if layer.is("full") || layer.is("sliding") || layer.is("chunked") {
                weight += if latent { decode.latent_layer - 0.5 } else { 0.5 };
            }
            if layer.is("moe") {
                weight += decode.mixture_layer - 0.5;
            } else if layer.is("dense") {
                weight += 0.5;
            }
            weight
        })
        .sum()
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

fn scan(constants: &SharedConstants, layout: &Layout) -> f64 {
    let per_layer = match layout.recurrence {
        Some(Recurrence::GatedDeltaNet) => {
            constants.prefill.scan_work
                * (layout.dim("key_head_dim") * layout.dim("value_width")) as f64
        }
        Some(Recurrence::Mamba2) => {
            constants.prefill.scan_work / 2.0 * (layout.dim("state") * layout.dim("inner")) as f64
        }
        Some(Recurrence::ShortConvolution) | None => 0.0,
    };
    let main = &layout.layers[..layout.main_layers as usize];
    per_layer * main.iter().filter(|layer| layer.is("recurrent")).count() as f64
}
