//! The constants of the speed model, one name each.
//!
//! Values are data: `catalog/calibration/prior.toml` says what each stands for and what is believed
//! before any row is seen, `catalog/calibration/fitted.toml` how engines and chips differ.

use std::ops::{Index, IndexMut};

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident = $key:literal),* $(,)?) => {
        /// A constant of the speed model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Parameter {
            $($(#[$doc])* $name,)*
        }

        impl Parameter {
            /// Every constant, in the order of their indices.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in data files.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)*
                }
            }
        }
    };
}

parameters! {
    /// Share of the nominal bandwidth that weights are read with.
    BandwidthShare = "bandwidth_share",
    /// Efficiency of reading 16-bit weights, relative to `bandwidth_share`.
    ReadFloat16 = "read_float16",
    /// … 8-bit integers.
    ReadInt8 = "read_int8",
    /// … 8-bit floats.
    ReadFp8 = "read_fp8",
    /// … plain 4-bit integers.
    ReadInt4 = "read_int4",
    /// … MXFP4.
    ReadMxfp4 = "read_mxfp4",
    /// … NVFP4.
    ReadNvfp4 = "read_nvfp4",
    /// … k-quants.
    ReadKQuant = "read_k_quant",
    /// … i-quants.
    ReadIQuant = "read_i_quant",
    /// Arithmetic operations per weight to unpack 16-bit floats.
    UnpackFloat16 = "unpack_float16",
    /// … 8-bit integers.
    UnpackInt8 = "unpack_int8",
    /// … 8-bit floats.
    UnpackFp8 = "unpack_fp8",
    /// … plain 4-bit integers.
    UnpackInt4 = "unpack_int4",
    /// … MXFP4.
    UnpackMxfp4 = "unpack_mxfp4",
    /// … NVFP4.
    UnpackNvfp4 = "unpack_nvfp4",
    /// … k-quants.
    UnpackKQuant = "unpack_k_quant",
    /// … i-quants.
    UnpackIQuant = "unpack_i_quant",
    /// Cost of such an operation, relative to the FP32 rate.
    UnpackCost = "unpack_cost",
    /// Efficiency of reading scattered experts, relative to one long read.
    ExpertGather = "expert_gather",
    /// How evenly experts are used: concentration of the beta distribution of their shares of tokens.
    RoutingConcentration = "routing_concentration",
    /// Rows that a touched expert's matrix product is padded to in a batch.
    ExpertTile = "expert_tile",
    /// Cost of a plain layer in microseconds.
    LayerUs = "layer_us",
    /// Cost of a layer with experts, in plain layers.
    MixtureLayer = "mixture_layer",
    /// Cost of a recurrent layer, in plain layers.
    RecurrentLayer = "recurrent_layer",
    /// Cost of a layer with latent attention, in plain layers.
    LatentLayer = "latent_layer",
    /// Cost of mixing the residual streams of a layer that has several, in plain layers.
    HyperLayer = "hyper_layer",
    /// Fixed cost of a step in microseconds.
    StepUs = "step_us",
    /// Cost of each further stream per step in microseconds.
    StreamUs = "stream_us",
    /// Share of the matrix rate that batches of generation reach.
    BatchMatrixShare = "batch_matrix_share",
    /// Columns of a batch that are multiplied one by one on the shader units, at most.
    VectorColumns = "vector_columns",
    /// Columns that one reading of the weights serves there.
    VectorPass = "vector_pass",
    /// Arithmetic operations per weight of each further column there.
    ColumnCost = "column_cost",
    /// Streams that each read their own experts, at most; more of them share those that they touch.
    ExpertColumns = "expert_columns",
    /// Sequences that one reading of a recurrent layer's projections serves.
    ProjectionStreams = "projection_streams",
    /// Rows that a batch's matrix product is padded to.
    BatchTile = "batch_tile",
    /// How memory and arithmetic overlap with one stream: exponent of the norm.
    OverlapSingle = "overlap_single",
    /// The same for batches.
    OverlapBatch = "overlap_batch",
    /// Share of the bandwidth that the KV cache of one stream is read with.
    KvShare = "kv_share",
    /// A latent-attention cache costs this many times its bytes.
    LatentKv = "latent_kv",
    /// A quantized cache costs this many times its bytes.
    QuantizedKv = "quantized_kv",
    /// KV read efficiency grows with the batch size to this power.
    BatchKvGrowth = "batch_kv_growth",
    /// … up to this share of the bandwidth.
    BatchKvLimit = "batch_kv_limit",
    /// Efficiency of reading and writing recurrent state, relative to weights.
    StateShare = "state_share",
    /// Cost of each further stream's recurrent state, relative to that of a single stream.
    BatchState = "batch_state",
    /// Cost of a request beside its steps and its prompt, in milliseconds.
    RequestMs = "request_ms",
    /// Tokens after which answers end by themselves, on average, where the tool lets them.
    AnswerTokens = "answer_tokens",
    /// Tokens of a prompt by the server's count, for each one that a tool asked for.
    PromptShare = "prompt_share",
    /// Share of a batch's prefill that is not hidden behind other streams' steps.
    BatchPrefillShare = "batch_prefill_share",
    /// Share of the matrix rate that prefill reaches.
    MatrixShare = "matrix_share",
    /// Speed of matrix products with 16-bit weights, relative to `matrix_share`.
    MatrixFloat16 = "matrix_float16",
    /// … 8-bit integers.
    MatrixInt8 = "matrix_int8",
    /// … 8-bit floats.
    MatrixFp8 = "matrix_fp8",
    /// … plain 4-bit integers.
    MatrixInt4 = "matrix_int4",
    /// … MXFP4.
    MatrixMxfp4 = "matrix_mxfp4",
    /// … NVFP4.
    MatrixNvfp4 = "matrix_nvfp4",
    /// … k-quants.
    MatrixKQuant = "matrix_k_quant",
    /// … i-quants.
    MatrixIQuant = "matrix_i_quant",
    /// Efficiency of expert matrices relative to dense ones at many tokens per expert.
    ExpertMatrix = "expert_matrix",
    /// Tokens per expert at which expert matrices are half used.
    ExpertHalfTokens = "expert_half_tokens",
    /// Share of the bandwidth that prefill reads weights with.
    PrefillRead = "prefill_read",
    /// Cost of a layer per chunk in microseconds.
    ChunkLayerUs = "chunk_layer_us",
    /// Fixed cost of a prompt in milliseconds.
    PromptMs = "prompt_ms",
    /// Share of the matrix rate that attention reaches.
    AttentionShare = "attention_share",
    /// Tokens of context at which attention reaches half of that share.
    AttentionHalfTokens = "attention_half_tokens",
    /// Cost of latent attention beside its multiply-adds.
    LatentAttention = "latent_attention",
    /// Efficiency of the chunked scan of recurrent layers relative to matrix products.
    ScanShare = "scan_share",
    /// Handing a step from one device to the next, in microseconds.
    HandoverUs = "handover_us",
    /// Share of further devices that a layer split uses in prefill.
    PipelineShare = "pipeline_share",
    /// Latency of a small all-reduce between two cards that reach each other over PCIe, in microseconds.
    LatencyPciePeer = "latency_pcie_peer",
    /// … through the host's memory.
    LatencyPcieHost = "latency_pcie_host",
    /// … over NVLink.
    LatencyNvLink = "latency_nvlink",
    /// … over RoCE between machines.
    LatencyRoce = "latency_roce",
    /// … over Thunderbolt with RDMA.
    LatencyThunderbolt = "latency_thunderbolt",
    /// … over Ethernet with TCP.
    LatencyEthernet = "latency_ethernet",
    /// Share of a link's bandwidth that an all-reduce reaches.
    LinkShare = "link_share",
    /// How the bandwidth of PCIe falls with the devices that talk at the same time: exponent of half
    /// their number.
    LinkCrowding = "link_crowding",
    /// Share of the power limit that a device draws whatever it does, of its rated power.
    StaticPower = "static_power",
    /// Power that generation would draw without a limit, of the rated power.
    DecodePower = "decode_power",
    /// Power that prefill would draw without a limit, of the rated power.
    PrefillPower = "prefill_power",
    /// Share of the nominal bandwidth of a host's memory that weights are read with.
    HostShare = "host_share",
    /// Share of what a test of reading reached that weights are read with.
    HostRead = "host_read",
    /// Host memory bandwidth in GB/s, where it is not given.
    HostBandwidth = "host_bandwidth",
    /// Arithmetic of one core in matrix products of many columns, in GFLOP/s.
    HostCore = "host_core",
    /// … in products of experts, relative to dense ones.
    HostExperts = "host_experts",
    /// … in attention of a generation step, in GFLOP/s.
    HostAttention = "host_attention",
    /// … in attention of a prompt, in GFLOP/s.
    HostPromptAttention = "host_prompt_attention",
    /// Reading weights on the host for several columns, relative to one.
    HostBatchRead = "host_batch_read",
    /// Arithmetic of each further column on the host, relative to one of many.
    HostBatchColumn = "host_batch_column",
    /// Cost of a step's round trip to the host, in microseconds for each layer in host memory.
    BoundaryUs = "boundary_us",
    /// PCIe bandwidth share for streaming weights in prefill.
    StreamingShare = "streaming_share",
    /// Rate in GB/s at which a model is loaded from disk.
    LoadRate = "load_rate",
}

impl Parameter {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The constant of a name in data files.
    pub fn of(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.key() == key)
    }

    /// The constant `kernel` places after the first of a run of eight.
    pub(crate) fn for_kernel(self, kernel: usize) -> Self {
        Self::ALL[self as usize + kernel]
    }
}

/// A value for every constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants(pub(crate) [f64; Parameter::COUNT]);

impl Index<Parameter> for Constants {
    type Output = f64;

    fn index(&self, parameter: Parameter) -> &f64 {
        &self.0[parameter as usize]
    }
}

impl IndexMut<Parameter> for Constants {
    fn index_mut(&mut self, parameter: Parameter) -> &mut f64 {
        &mut self.0[parameter as usize]
    }
}
