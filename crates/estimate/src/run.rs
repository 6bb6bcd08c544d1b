//! How a model runs: on how many devices, joined by what, with what limits.

use std::fmt;

use localrig_facts::gpu::{BoxLink, GpuKind, NvLink, Segment};
use localrig_facts::machine::Device;
use localrig_facts::unit::{BytesPerSec, Seconds};

use crate::rate::{MissingFact, Rates, pcie};
use crate::work::Work;

/// A model on devices of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What the model asks for.
    pub work: &'a Work,
    /// What one device offers.
    pub rates: &'a Rates,
    /// How the devices share the work.
    pub split: Split,
    /// Weights in host memory.
    pub host: Option<Host>,
    /// Prompt tokens computed at once.
    pub chunk_tokens: f64,
    /// Power limit of each device in watts, where it is set below the rated power.
    pub power_limit: Option<f64>,
    /// Memory of each device in bytes for weights and caches, where the number of streams may be more
    /// than it holds.
    pub memory: Option<f64>,
}

/// How devices share the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Devices that hold consecutive layers; a token goes through one after the other.
    pub stages: u32,
    /// Devices that hold a slice of every matrix each.
    pub tensor: u32,
    /// Independent copies of the model.
    pub replicas: u32,
    /// What joins the devices.
    pub link: Link,
}

impl Split {
    /// One device.
    pub const SINGLE: Self = Self { stages: 1, tensor: 1, replicas: 1, link: Link::Ideal };

    /// Devices of one copy.
    pub const fn devices(self) -> u32 {
        self.stages * self.tensor
    }
}

/// A connection between devices. Bandwidths are nominal, in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    /// Perfect: no latency, no limit. For reasoning and tests, and where there is but one device.
    Ideal,
    /// PCIe, cards reach each other's memory.
    PciePeer(BytesPerSec),
    /// PCIe through host memory: what GeForce drivers allow.
    PcieHost(BytesPerSec),
    /// NVLink.
    NvLink(BytesPerSec),
    /// What joins machines.
    Boxes(BoxLink),
    /// As somebody measured it.
    Measured {
        /// Time of an all-reduce of a small message.
        latency: Seconds,
        /// Bandwidth of an all-reduce of a large one, each way.
        bandwidth: BytesPerSec,
    },
}

impl fmt::Display for Link {
    /// In the words of an answer: `by PCIe through host memory at 31.5 GB/s each way`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, rate) = match *self {
            Self::Ideal => return f.write_str("by a perfect link"),
            Self::PciePeer(rate) => ("PCIe from card to card", rate),
            Self::PcieHost(rate) => ("PCIe through host memory", rate),
            Self::NvLink(rate) => ("NVLink", rate),
            Self::Boxes(link) => (link.protocol.name(), link.gb_per_s_per_direction.into()),
            Self::Measured { latency, bandwidth } => {
                let (wait, rate) = (latency.get() * 1e6, bandwidth.to_gb_per_s());
                return write!(f, "by a link measured at {wait:.0} us and {rate:.1} GB/s");
            }
        };
        write!(f, "by {by} at {:.1} GB/s each way", rate.to_gb_per_s())
    }
}

impl Link {
    /// What joins devices of a kind: machines over the port that their chip's entry names, modules over
    /// their carrier, cards over PCIe, which reach each other's memory outside GeForce only.
    ///
    /// # Errors
    /// When the data sheet lacks the bandwidth.
    pub fn between(device: &Device<'_>) -> Result<Self, MissingFact> {
        let Device { id, gpu, .. } = *device;
        let missing = |key: &str| MissingFact { id: id.clone(), key: key.to_owned() };
        match (gpu.kind, gpu.link.nvlink, gpu.segment) {
            (GpuKind::Unified, ..) => {
                gpu.link.boxes.map(Self::Boxes).ok_or_else(|| missing("link.boxes"))
            }
            (_, Some(NvLink::Carrier), _) => {
                const KEY: &str = "link.nvlink_gb_per_s_per_direction";
                let rate = gpu.link.nvlink_gb_per_s_per_direction;
                rate.map(|rate| Self::NvLink(rate.into())).ok_or_else(|| missing(KEY))
            }
            (_, _, Some(Segment::Consumer) | None) => pcie(device).map(Self::PcieHost),
            _ => pcie(device).map(Self::PciePeer),
        }
    }
}

/// Bandwidth of a host's memory, and what it was read off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HostBandwidth {
    /// The nominal one.
    Nominal(BytesPerSec),
    /// The nominal one, worked out from what is installed.
    Channels {
        /// Channels with a module.
        channels: u32,
        /// Millions of transfers a second.
        mt_per_s: u32,
    },
    /// What a test of reading reached.
    Measured(BytesPerSec),
}

impl HostBandwidth {
    /// Bytes of one transfer of a channel: 64 bits of data. Source: JEDEC JESD79-4 and JESD79-5, whose
    /// two 32-bit halves of a module count as one channel here.
    const TRANSFER: f64 = 8.0;

    /// The figure.
    pub fn rate(self) -> BytesPerSec {
        match self {
            Self::Nominal(rate) | Self::Measured(rate) => rate,
            Self::Channels { channels, mt_per_s } => {
                BytesPerSec::new(Self::TRANSFER * f64::from(channels) * f64::from(mt_per_s) * 1e6)
            }
        }
    }
}

/// Weights in host memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Host {
    /// Share of the routed experts that lies there.
    pub experts: f64,
    /// Share of all other weights that are read for every token.
    pub base: f64,
    /// Share of the layers whose caches lie there and whose attention the CPU computes.
    pub attention: f64,
    /// Bandwidth of the host's memory; `None` = the constant's value.
    pub bandwidth: Option<HostBandwidth>,
    /// Cores of the CPU; `None` = unknown, and its arithmetic counts nothing.
    pub cores: Option<f64>,
}
