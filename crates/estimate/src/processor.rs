//! A CPU without an accelerator: what [`crate::offload`] says of a host, for the whole model.

use localrig_facts::part::{Cpu, Memory};

use crate::decode::Step;
use crate::offload;
use crate::parameter::Constants;
use crate::prefill::{Prefill, positions_seen};
use crate::run::{Host, HostBandwidth};
use crate::work::Work;

/// Why a kit of memory says nothing of a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// The kit does not go with the CPU.
    #[error("{kit} is made for {made_for}, not for {platform}")]
    OtherPlatform {
        /// The kit.
        kit: String,
        /// The platforms it is made for.
        made_for: String,
        /// That of the CPU.
        platform: String,
    },
    /// How fast the kit is is not known.
    #[error("missing fact: speed_mt_per_s of {kit}")]
    NoSpeed {
        /// The kit.
        kit: String,
    },
}

/// All of a model on a CPU: bandwidth of its memory, and cores.
pub const fn whole(bandwidth: HostBandwidth, cores: f64) -> Host {
    Host { experts: 1.0, base: 1.0, attention: 1.0, bandwidth: Some(bandwidth), cores: Some(cores) }
}

/// The nominal bandwidth of `count` kits beside a CPU: every channel with a module carries eight bytes
/// a transfer.
///
/// # Errors
/// When the kit is made for other platforms, or its speed is not known.
pub fn kit_bandwidth(cpu: &Cpu, kit: &Memory, count: u32) -> Result<HostBandwidth, KitError> {
    if !kit.platforms.is_empty() && !kit.platforms.contains(&cpu.platform) {
        return Err(KitError::OtherPlatform {
            kit: kit.name.clone(),
            made_for: kit.platforms.join(", "),
            platform: cpu.platform.clone(),
        });
    }
    let mt_per_s = kit.speed_mt_per_s.ok_or_else(|| KitError::NoSpeed { kit: kit.name.clone() })?;
    let channels = cpu.memory_channels.min(kit.modules.saturating_mul(count));
    Ok(HostBandwidth::Channels { channels, mt_per_s })
}

/// A step of `streams` streams, each with `depth` tokens of context.
pub fn step(work: &Work, host: Host, constants: &Constants, depth: f64, streams: f64) -> Step {
    let own = offload::step(work, host, constants, depth, streams);
    Step {
        memory: own.reading,
        streams: own.columns,
        kv: own.attention,
        total: own.total(),
        ..Step::default()
    }
}

/// Reading `tokens` of prompt after `depth` tokens that are cached already, in chunks of at most
/// `chunk_tokens`.
///
/// The head multiplies the last position only. A recurrence's scan is taken to run as fast as
/// attention: nobody measured it.
pub fn prefill(
    work: &Work,
    host: Host,
    constants: &Constants,
    chunk_tokens: f64,
    [tokens, depth]: [f64; 2],
) -> Prefill {
    let chunk = chunk_tokens.min(tokens).max(1.0);
    let chunks = (tokens / chunk).max(1.0);
    let products = chunk * offload::column(work, host, constants, false);
    let touched = 1.0 - (1.0 - work.used_share()).powf(chunk);
    let read = work.weights.base - work.weights.head + work.weights.experts * touched;
    let memory = read.get() / offload::rate(host, constants);
    let pairs: f64 = work
        .attention
        .iter()
        .map(|one| f64::from(one.layers) * one.pair * positions_seen(one.limit(), tokens, depth))
        .sum();
    let attention = offload::prompt_attention(host, constants, pairs);
    let scan = offload::prompt_attention(host, constants, work.scan * tokens);
    Prefill {
        products: chunks * products,
        memory: chunks * memory,
        attention,
        scan,
        total: chunks * products.hypot(memory) + attention + scan,
        ..Prefill::default()
    }
}
