//! Accelerators: discrete cards, modules, and the chips of unified-memory machines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::id::Id;
use crate::source::{Note, Sources};
use crate::unit::{Bytes, GbPerS, Gib, Millimetres, Tflops, Watts};

/// One accelerator: `catalog/gpu/<vendor>/<short>.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Product name with vendor.
    pub name: String,
    /// Maker of the silicon or card.
    pub vendor: String,
    /// Other spellings people use; unique in the catalog.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it is as a thing one handles.
    pub kind: GpuKind,
    /// Which buyers it is made for; decides some matrix rates.
    pub segment: Option<Segment>,
    /// Where it can be had, and whether it is out yet.
    pub status: Vec<Status>,
    /// Chip generation: decides the calibration class and which number formats run natively.
    pub generation: Option<String>,
    /// NVIDIA compute capability, `12.0`.
    pub compute_capability: Option<String>,
    /// Software stacks that run language models on it.
    #[serde(default)]
    pub stacks: Vec<Stack>,
    /// First day of sale, or announcement for what is not out yet.
    pub released: Option<PartialDate>,
    /// The full chip this is a cut-down bin of: fewer cores or a narrower bus at some memory sizes.
    pub bin_of: Option<Id>,
    /// Maker's part numbers.
    #[serde(default)]
    pub part_numbers: Vec<String>,
    /// Memory.
    #[serde(default)]
    pub memory: GpuMemory,
    /// Arithmetic rates, dense unless the key says otherwise.
    #[serde(default)]
    pub compute: Compute,
    /// The board that carries it.
    #[serde(default)]
    pub board: Board,
    /// How it talks to the host and to its siblings.
    #[serde(default)]
    pub link: Link,
    /// Remarks.
    #[serde(default, rename = "note")]
    pub notes: Vec<Note>,
    /// Who says so.
    pub sources: Sources,
}

/// What an accelerator is as a thing one handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GpuKind {
    /// A PCIe card that goes into a PC or server.
    Card,
    /// A module (SXM, OAM, compute module) that needs a matching carrier.
    Module,
    /// A chip whose memory is the machine's memory.
    Unified,
    /// Reached over the network only.
    Cloud,
}

/// Which buyers an accelerator is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Segment {
    /// Gaming and home: GeForce accumulates FP32 at half rate.
    Consumer,
    /// Workstations.
    Professional,
    /// Servers.
    Datacentre,
    /// Robots and edge devices.
    Embedded,
}

/// Where a product can be had.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// New, from shops that sell to private customers.
    Retail,
    /// On the used market.
    Used,
    /// Refurbished by the maker or a specialised shop.
    Refurbished,
    /// No longer made; what is left is old stock or used.
    Discontinued,
    /// Through system integrators and distributors only.
    Enterprise,
    /// Shown but not sold yet: never ranked.
    Announced,
    /// Not sold where export rules apply: never ranked.
    ExportRestricted,
    /// Imported or modified outside the maker's channels.
    GreyMarket,
    /// For rent in a cloud as well.
    Cloud,
    /// For rent in a cloud only.
    CloudOnly,
    /// Sold only inside a system.
    InSystem,
}

impl Status {
    /// Whether a private buyer can get it today, new or used.
    pub const fn is_buyable(self) -> bool {
        matches!(self, Self::Retail | Self::Used | Self::Refurbished)
    }

    /// Whether it must never appear in a ranking, whatever else is said of it.
    pub const fn is_unreleased(self) -> bool {
        matches!(self, Self::Announced)
    }
}

/// A software stack.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// NVIDIA CUDA.
    Cuda,
    /// AMD ROCm.
    Rocm,
    /// Vulkan.
    Vulkan,
    /// Apple Metal (llama.cpp).
    Metal,
    /// Apple MLX.
    Mlx,
    /// Intel SYCL / oneAPI.
    Sycl,
    /// Intel XPU builds of vLLM.
    Xpu,
    /// Intel OpenVINO.
    Openvino,
    /// Intel Gaudi software.
    Gaudi,
    /// Tenstorrent software.
    Tenstorrent,
    /// Huawei CANN.
    Cann,
    /// Google XLA / JAX.
    Xla,
    /// AWS Neuron.
    Neuron,
    /// Any other maker-specific stack.
    Proprietary,
    /// No accelerator: the CPU computes. No data sheet lists it.
    #[serde(skip)]
    Cpu,
}

/// Memory of an accelerator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GpuMemory {
    /// Sizes it is sold with, smallest first. Binary: a 96 GB card has 98,304 MiB.
    #[serde(default)]
    pub sizes_gib: Vec<Gib>,
    /// Memory technology as the maker writes it: `GDDR7`, `HBM3e`, `LPDDR5X`.
    #[serde(rename = "type")]
    pub technology: Option<String>,
    /// Bus width.
    pub bus_bits: Option<u32>,
    /// Nominal bandwidth.
    pub bandwidth_gb_per_s: Option<GbPerS>,
    /// Bandwidth read by a copy or read benchmark.
    pub bandwidth_measured_gb_per_s: Option<GbPerS>,
    /// What the driver shows of a discrete card, in MiB.
    pub visible_mib: Option<f64>,
    /// How much of unified memory the GPU may take by default; the first rule that fits holds.
    #[serde(default, rename = "usable")]
    pub usable: Vec<UsableRule>,
    /// What of the machine's memory the GPU can address at most.
    pub gpu_addressable_gib: Option<Gib>,
    /// CPU memory that is coherent with the accelerator's own, together with it.
    pub coherent_gib: Option<Gib>,
}

/// A share of unified memory that the GPU may use, up to a machine size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsableRule {
    /// The rule holds for machines of at most this size; absent = for all larger ones.
    pub up_to_gib: Option<Gib>,
    /// Share of the machine's memory.
    pub fraction: f64,
}

impl GpuMemory {
    /// What of a unit with `installed` memory a model and its buffers may fill, before any margin.
    ///
    /// Discrete cards: what the driver shows, where known, else the nominal size. Unified memory:
    /// the platform's default share, or what the GPU can address. `None`: the share is not known.
    pub fn usable(&self, installed: Bytes, kind: GpuKind) -> Option<Bytes> {
        if let Some(limit) = self.gpu_addressable_gib {
            return Some(limit.quantity().min(installed));
        }
        if let Some(mib) = self.visible_mib {
            return Some(Bytes::mib(mib).min(installed));
        }
        let rule = self
            .usable
            .iter()
            .find(|rule| rule.up_to_gib.is_none_or(|limit| installed <= limit.quantity()));
        match (rule, kind) {
            (Some(rule), _) => Some(installed * rule.fraction),
            (None, GpuKind::Unified) => None,
            (None, _) => Some(installed),
        }
    }
}

/// Arithmetic rates. Tensor or matrix units where the name says nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// FP32 on the shader units.
    pub fp32_tflops: Option<Tflops>,
    /// FP16/BF16 matrix rate with FP32 accumulation.
    pub fp16_tflops: Option<Tflops>,
    /// FP16 matrix rate with FP16 accumulation.
    pub fp16_acc16_tflops: Option<Tflops>,
    /// FP16 on the shader units: a lower bound of the matrix rate.
    pub fp16_vector_tflops: Option<Tflops>,
    /// FP16 with 2:4 sparsity, as vendors advertise it.
    pub fp16_sparse_tflops: Option<Tflops>,
    /// FP8 with FP32 accumulation.
    pub fp8_tflops: Option<Tflops>,
    /// FP8 with FP16 accumulation.
    pub fp8_acc16_tflops: Option<Tflops>,
    /// Block-scaled FP8 (Tenstorrent).
    pub block_fp8_tflops: Option<Tflops>,
    /// FP4.
    pub fp4_tflops: Option<Tflops>,
    /// FP4 with 2:4 sparsity, as vendors advertise it.
    pub fp4_sparse_tflops: Option<Tflops>,
    /// INT8.
    pub int8_tops: Option<Tflops>,
    /// A rate a list gives without saying which kind.
    pub listed_tflops: Option<Tflops>,
    /// INT8 rate a list gives without saying whether it is dense.
    pub listed_tops: Option<Tflops>,
    /// FP16 matrix multiplication as measured.
    pub gemm_fp16_measured_tflops: Option<Tflops>,
    /// FP32 matrix multiplication as measured.
    pub gemm_fp32_measured_tflops: Option<Tflops>,
    /// FP32 input on tensor units (TF32) as measured.
    pub gemm_tf32_measured_tflops: Option<Tflops>,
}

/// The board that carries an accelerator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Power limit as shipped.
    pub tdp_w: Option<Watts>,
    /// Lowest and highest limit the driver accepts.
    pub power_limit_w: Option<[Watts; 2]>,
    /// Lowest and highest power mode a module is sold for.
    pub power_range_w: Option<[Watts; 2]>,
    /// Lowest and highest power that its own sensor showed at rest, in its resting state.
    pub measured_idle_w: Option<[Watts; 2]>,
    /// Width in expansion slots.
    pub slots: Option<f64>,
    /// Least and most width of cards that board partners make, where those above are of one of them.
    pub partner_slots: Option<[f64; 2]>,
    /// Length.
    pub length_mm: Option<Millimetres>,
    /// Least and most length of cards that board partners make.
    pub partner_length_mm: Option<[Millimetres; 2]>,
    /// Height.
    pub height_mm: Option<Millimetres>,
    /// Shape of what is not a card: `SXM`, `OAM`.
    pub form_factor: Option<String>,
    /// How it is cooled.
    pub cooling: Option<Cooling>,
    /// Power plugs.
    #[serde(default)]
    pub power_connectors: Vec<Connector>,
}

/// How a board sheds its heat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cooling {
    /// Axial fans; the heat stays in the case.
    OpenAir,
    /// Axial fans blowing through the board; the heat stays in the case.
    FlowThrough,
    /// A radial fan that blows out through the bracket.
    Blower,
    /// Fans, of a kind the source does not name.
    Active,
    /// No fan of its own: needs a server's airflow.
    Passive,
    /// Liquid.
    Liquid,
    /// Depends on the board partner.
    Partner,
    /// Part of a whole machine.
    System,
}

impl Cooling {
    /// How people say it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::OpenAir => "axial fans",
            Self::FlowThrough => "flow-through fans",
            Self::Blower => "a blower",
            Self::Active => "fans",
            Self::Passive => "no fan of its own: it needs the airflow of a server",
            Self::Liquid => "liquid",
            Self::Partner => "depends on the maker of the board",
            Self::System => "by the machine it is in",
        }
    }
}

/// Power plugs of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Plug type.
    #[serde(rename = "type")]
    pub plug: Plug,
    /// How many.
    pub count: u32,
}

/// A power plug.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Plug {
    /// 16-pin 12VHPWR or 12V-2x6.
    #[serde(rename = "12v-2x6")]
    Pin16,
    /// NVIDIA's 12-pin of the RTX 30 Founders Edition.
    #[serde(rename = "12-pin")]
    Pin12,
    /// PCIe 8-pin.
    #[serde(rename = "pcie-8-pin")]
    Pcie8,
    /// PCIe 6-pin.
    #[serde(rename = "pcie-6-pin")]
    Pcie6,
    /// EPS (CPU) 8-pin.
    #[serde(rename = "eps-8-pin")]
    Eps8,
}

impl Plug {
    /// The plug as people write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pin16 => "12V-2x6",
            Self::Pin12 => "12-pin",
            Self::Pcie8 => "PCIe 8-pin",
            Self::Pcie6 => "PCIe 6-pin",
            Self::Eps8 => "EPS 8-pin",
        }
    }
}

/// Connections of an accelerator. Bandwidths are per direction; vendors often quote the sum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// PCIe generation.
    pub pcie_gen: Option<f64>,
    /// PCIe lanes of the edge connector.
    pub pcie_lanes: Option<u32>,
    /// NVLink: none, or what it needs. Absent = not known.
    pub nvlink: Option<NvLink>,
    /// NVLink bandwidth in one direction.
    pub nvlink_gb_per_s_per_direction: Option<GbPerS>,
    /// What joins machines with this chip that run a model together. Absent = not known, or it differs
    /// between the machines.
    pub boxes: Option<BoxLink>,
    /// Any other port between units, as the maker describes it.
    pub ports: Option<String>,
}

/// What joins machines that run a model together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoxLink {
    /// How messages travel, which decides their latency.
    pub protocol: Protocol,
    /// Nominal bandwidth in one direction.
    pub gb_per_s_per_direction: GbPerS,
}

/// How messages travel between machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// RDMA over converged Ethernet.
    Roce,
    /// RDMA over Thunderbolt.
    ThunderboltRdma,
    /// TCP, over Ethernet or over Thunderbolt without RDMA.
    Tcp,
}

impl Protocol {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Roce => "RDMA over Ethernet",
            Self::ThunderboltRdma => "RDMA over Thunderbolt",
            Self::Tcp => "TCP",
        }
    }
}

/// How NVLink is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NvLink {
    /// The card has none.
    None,
    /// A bridge joins two cards.
    Bridge,
    /// The carrier board joins the modules.
    Carrier,
}

impl NvLink {
    /// How people say it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "no NVLink",
            Self::Bridge => "NVLink by a bridge between two",
            Self::Carrier => "NVLink on a carrier board",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_memory_follows_the_first_rule_that_fits() {
        let memory = GpuMemory {
            usable: vec![
                UsableRule { up_to_gib: Some(Gib::new(32.0)), fraction: 0.667 },
                UsableRule { up_to_gib: None, fraction: 0.75 },
            ],
            ..GpuMemory::default()
        };
        let usable = |gib| memory.usable(Bytes::gib(gib), GpuKind::Unified).map(Bytes::to_gib);
        assert_eq!(usable(256.0), Some(192.0));
        assert!((usable(32.0).unwrap() - 21.344).abs() < 1e-9);
    }

    #[test]
    fn an_unknown_share_of_unified_memory_is_not_guessed() {
        let memory = GpuMemory::default();
        assert_eq!(memory.usable(Bytes::gib(64.0), GpuKind::Unified), None);
        assert_eq!(memory.usable(Bytes::gib(24.0), GpuKind::Card), Some(Bytes::gib(24.0)));
    }
}
