//! What an engine is told about memory and devices.

use localrig_facts::unit::Bytes;

use crate::placement::SplitMode;
use crate::run::HostBandwidth;

/// Settings of an engine; what is not set is its own default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setting {
    /// llama.cpp `--gpu-layers`: layers on devices, the output matrix counted as one; all when not
    /// set.
    pub gpu_layers: Option<u32>,
    /// llama.cpp `--n-cpu-moe`: routed experts of the first so many layers stay on the host.
    pub host_expert_layers: Option<u32>,
    /// llama.cpp `--split-mode`.
    pub split: Option<SplitMode>,
    /// llama.cpp `--tensor-split`: one share per device, of any scale; by their memory when empty.
    pub shares: Vec<f64>,
    /// Share of each device's memory that the engine may take: vLLM `--gpu-memory-utilization`,
    /// SGLang `--mem-fraction-static`, macOS `iogpu.wired_limit_mb`.
    pub device_share: Option<f64>,
    /// vLLM `--max-num-batched-tokens`.
    pub batched_tokens: Option<u64>,
    /// Memory installed beside the devices.
    pub host_memory: Option<Bytes>,
    /// Bandwidth of that memory.
    pub host_bandwidth: Option<HostBandwidth>,
    /// Cores of the CPU, where it is not the machine: there they are a fact, and this stands before it.
    pub host_cores: Option<u32>,
}

impl Setting {
    /// The engine's own defaults.
    pub const OWN: Self = Self {
        gpu_layers: None,
        host_expert_layers: None,
        split: None,
        shares: Vec::new(),
        device_share: None,
        batched_tokens: None,
        host_memory: None,
        host_bandwidth: None,
        host_cores: None,
    };

    /// Whether layers are dealt out by hand.
    pub const fn spreads(&self) -> bool {
        self.gpu_layers.is_some()
            || self.host_expert_layers.is_some()
            || self.split.is_some()
            || !self.shares.is_empty()
    }
}
