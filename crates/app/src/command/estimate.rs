//! `localrig estimate`

use std::path::PathBuf;

use localrig_estimate::answer::{Answer, EstimateError, Question, estimate, usual_context};
use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KV_TYPES, KvType};
use localrig_estimate::memory::{Ask, Limit, Setting, Verdict};
use localrig_estimate::placement::SplitMode;
use localrig_estimate::processor::kit_bandwidth;
use localrig_estimate::run::HostBandwidth;
use localrig_estimate::setup::Setup;
use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::machine::{Machine, parse_machine_or_cpu, split_count};
use localrig_facts::model::Model;
use localrig_facts::part::Memory;
use localrig_facts::unit::{Bytes, BytesPerSec};
use localrig_facts::{Catalog, Id};
use localrig_plan::option::{Origin, usual_format};
use localrig_report::estimate::{csv, page};

use crate::failure::{Failure, INPUT, MISSING_FACT, NOTHING_FITS};
use crate::output::Output;
use crate::{amount, command};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model, for example gpt-oss-120b
    #[arg(required_unless_present = "model_file", conflicts_with = "model_file")]
    model: Option<String>,
    /// A real model instead: a GGUF or safetensors file or folder, an http(s) address, or
    /// `hf:ORG/REPO[:FILE]`; only its header is read
    #[arg(long, value_name = "LOCATION")]
    model_file: Option<String>,
    /// The machine, for example "RTX 5090", "2x RTX 3090" or "Mac Studio M3 Ultra 256 GB"; a CPU
    /// without a card, for example "Ryzen 9 9950X", with --memory-kit or --host-bandwidth
    #[arg(long, value_name = "MACHINE")]
    on: String,
    /// Quantization, for example q4_k_m; when absent the usual one for model and engine, and the
    /// answer says which
    #[arg(long, value_name = "FORMAT")]
    quant: Option<String>,
    /// Context of each stream in tokens; when absent the engine's own default (Ollama) or 32,768,
    /// at most the model's limit
    #[arg(long, value_name = "TOKENS", value_parser = amount::tokens, allow_hyphen_values = true)]
    context: Option<u64>,
    /// Streams at the same time
    #[arg(long, value_name = "N", value_parser = amount::count, default_value = "1")]
    streams: u64,
    /// Type of the KV cache
    #[arg(long, value_name = "TYPE", value_parser = kv_type, default_value = "f16")]
    kv_type: KvType,
    /// The engine
    #[arg(long, value_name = "ENGINE", default_value = "llama.cpp")]
    engine: String,
    /// Number of such machines or cards
    #[arg(long, value_name = "N", value_parser = amount::count, default_value = "1")]
    count: u64,
    /// Load the vision tower as well
    #[arg(long)]
    vision: bool,
    /// Show every term with its formula and sources
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    devices: Devices,
}

/// What the engine is told about devices and host.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Devices and host")]
struct Devices {
    /// Layers on the devices, the output matrix counted as one, the rest on the host (llama.cpp
    /// `-ngl`); all when absent
    #[arg(long, visible_alias = "ngl", value_name = "N", allow_negative_numbers = true)]
    gpu_layers: Option<u32>,
    /// Keep the routed experts of the first N layers on the host (llama.cpp)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    n_cpu_moe: Option<u32>,
    /// Keep all routed experts on the host (llama.cpp)
    #[arg(long, conflicts_with = "n_cpu_moe")]
    cpu_moe: bool,
    /// How several devices share the model (llama.cpp)
    #[arg(long, value_name = "MODE", value_parser = split_mode)]
    split_mode: Option<SplitMode>,
    /// Shares of the devices, for example 3,1 (llama.cpp); by their memory when absent
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = amount::part)]
    tensor_split: Vec<f64>,
    /// Share of each device the engine may take (vLLM, SGLang `--mem-fraction-static`, macOS
    /// `iogpu.wired_limit_mb`); the engine's or platform's own when absent
    #[arg(long, value_name = "SHARE", value_parser = amount::share)]
    gpu_memory_utilization: Option<f64>,
    /// Prompt tokens computed at once (vLLM); its default for the device when absent
    #[arg(long, value_name = "TOKENS", value_parser = amount::tokens)]
    max_num_batched_tokens: Option<u64>,
    /// Memory installed beside the devices, or of a CPU without a card, in GiB; without it nothing is
    /// said of whether the host's part fits
    #[arg(long, value_name = "GIB", value_parser = amount::memory)]
    host_memory: Option<Bytes>,
    /// Nominal bandwidth of that memory in GB/s (two channels of DDR5-5600: 89.6); without it there
    /// is no speed when the CPU computes a part
    #[arg(long, value_name = "GB/S", value_parser = amount::bandwidth)]
    host_bandwidth: Option<BytesPerSec>,
    /// Bandwidth in GB/s that a test of reading that memory reached, instead of the nominal one
    #[arg(long, value_name = "GB/S", value_parser = amount::bandwidth, conflicts_with = "host_bandwidth")]
    host_read_bandwidth: Option<BytesPerSec>,
    /// Memory of a CPU without a card, for example "CP2K48G56C46U5" or "4x ddr5-rdimm-64gb": says how
    /// much there is and, with the CPU's channels, its nominal bandwidth
    #[arg(long, value_name = "KIT", conflicts_with_all = ["host_memory", "host_bandwidth"])]
    memory_kit: Option<String>,
    /// Cores of the host's CPU, without hyper-threads; without them there is no speed for several
    /// streams or with a context when the CPU computes a part of that. Those of a CPU without a card
    /// when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    host_cores: Option<u32>,
}

impl Devices {
    fn setting(&self, catalog: &Catalog, machine: &Machine<'_>) -> Result<Setting, Failure> {
        let nominal = self.host_bandwidth.map(HostBandwidth::Nominal);
        let measured = self.host_read_bandwidth.map(HostBandwidth::Measured);
        let (kit_memory, kit_bandwidth) = match &self.memory_kit {
            Some(kit) => {
                memory_kit(catalog, machine, kit).map(|(gib, rate)| (Some(gib), Some(rate)))?
            }
            None => (None, None),
        };
        Ok(Setting {
            gpu_layers: self.gpu_layers,
            host_expert_layers: if self.cpu_moe { Some(u32::MAX) } else { self.n_cpu_moe },
            split: self.split_mode,
            shares: self.tensor_split.clone(),
            device_share: self.gpu_memory_utilization,
            batched_tokens: self.max_num_batched_tokens,
            host_memory: self.host_memory.or(kit_memory),
            host_bandwidth: measured.or(nominal).or(kit_bandwidth),
            host_cores: self.host_cores,
        })
    }
}

/// Size and nominal bandwidth of memory beside a CPU.
fn memory_kit(
    catalog: &Catalog,
    machine: &Machine<'_>,
    text: &str,
) -> Result<(Bytes, HostBandwidth), Failure> {
    let Some((_, cpu)) = machine.cpu else {
        return Err(Failure::new(INPUT, "`--memory-kit` is for a CPU without a card")
            .hint("say what the host of a card has with `--host-memory` and `--host-bandwidth`"));
    };
    let (count, name) = split_count(text.trim())?;
    let (_, kit) = catalog.find::<Memory>(name)?;
    let bandwidth = kit_bandwidth(cpu, kit, count)?;
    Ok((kit.capacity_gib.quantity() * f64::from(count), bandwidth))
}

fn split_mode(text: &str) -> Result<SplitMode, String> {
    let mode = SplitMode::ALL.into_iter().find(|mode| mode.word() == text);
    mode.ok_or_else(|| format!("known modes: {}", SplitMode::ALL.map(SplitMode::word).join(", ")))
}

fn kv_type(text: &str) -> Result<KvType, String> {
    KvType::of(text)
        .ok_or_else(|| format!("known types: {}", KV_TYPES.map(|kind| kind.name).join(", ")))
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let (catalog, file) = match &args.model_file {
        Some(location) => {
            let (catalog, file) = command::model::with_file(location, overlays)?;
            (catalog, Some(file))
        }
        None => (command::facts(overlays)?, None),
    };
    let model = match (&file, &args.model) {
        (Some(file), _) => catalog.get_in::<Model>(file.id.within_folder())?,
        (None, name) => catalog.find::<Model>(name.as_deref().unwrap_or_default())?,
    };
    let machine_text =
        if args.count == 1 { args.on.clone() } else { format!("{}x {}", args.count, args.on) };
    let machine = parse_machine_or_cpu(&catalog, &machine_text)?;
    let engine = catalog.find::<Engine>(&args.engine)?;
    let mut origin = Origin::Published;
    let format = match (&args.quant, &file) {
        (Some(quant), _) => catalog.find::<Format>(quant)?,
        (None, Some(file)) => catalog.get_in::<Format>(file.format.id().within_folder())?,
        (None, None) => {
            let Some(usual) = usual_format(&catalog, model.1, engine.0)? else {
                // No format would help a model whose tensors are not known.
                layout(&catalog, model.0, model.1)?;
                return Err(no_format(&catalog, model.1, &machine, engine));
            };
            origin = usual.origin;
            (usual.id, catalog.get::<Format>(usual.id.as_str())?)
        }
    };
    let ask = Ask {
        context: args.context.unwrap_or_else(|| usual_context(model.1, &machine, engine.1)),
        streams: args.streams,
        kv: args.kv_type,
        vision: args.vision,
    };
    let setting = args.devices.setting(&catalog, &machine)?;
    let question = Question { model, machine: &machine, engine, format, ask, setting: &setting };
    let mut answer = estimate(&catalog, question)?;
    let [engine, format] = [&engine.1.name, &format.1.name];
    answer.asked.format_reason = match origin {
        Origin::Published => None,
        Origin::Made(tool) => Some(format!(
            "The catalog knows no files of this model for {engine}; {format} is taken because {tool} makes it of any \
             model the engine reads."
        )),
        Origin::Released => Some(format!(
            "The catalog knows no quantized files of this model for {engine}; {format} is taken, as its maker released it."
        )),
    };
    let missing = answer.speed.is_none().then(|| answer.missing.join("; "));
    output.answer(
        &answer,
        |answer| page(answer, args.explain),
        |answer| csv(answer).map_err(Failure::bug),
    )?;
    if answer.memory.verdict == Some(Verdict::No) {
        return Err(too_large(&answer));
    }
    // Memory is known and printed; that speed is not must not pass unnoticed.
    let Some(missing) = missing else { return Ok(()) };
    let message = format!("no speed: {missing}");
    let spread = answer.memory.spread.as_ref();
    let on_host = spread.is_some_and(|spread| spread.offloaded.is_some());
    if machine.cpu.is_some() {
        return Err(Failure::new(MISSING_FACT, message)
            .hint("two channels of DDR5-5600 are `--host-bandwidth 89.6`; `localrig catalog list memory` lists kits"));
    }
    Err(match (on_host, setting.host_bandwidth, setting.host_cores) {
        (true, None, _) => Failure::new(MISSING_FACT, message)
            .hint("two channels of DDR5-5600 are `--host-bandwidth 89.6`"),
        (true, _, None) => {
            Failure::new(MISSING_FACT, message).hint("for example `--host-cores 16`")
        }
        _ => Failure::missing(message),
    })
}

/// That a format must be named, and which the engine reads best; or that none would help.
fn no_format(
    catalog: &Catalog,
    model: &Model,
    machine: &Machine<'_>,
    (engine_id, engine): (&Id, &Engine),
) -> Failure {
    let formats = match catalog.all::<Format>() {
        Ok(formats) => formats,
        Err(error) => return error.into(),
    };
    let place = |one: &Format| engine.preference(one.container);
    let best = formats.values().filter_map(place).min();
    let read: Vec<_> = formats.iter().filter(|(_, one)| place(one) == best).collect();
    let runs = read.first().map(|(_, one)| Setup::new(catalog, engine_id, engine, machine, one));
    if let Some(Err(error)) = runs {
        return EstimateError::from(error).into();
    }
    let names: Vec<&str> = read.iter().map(|(id, _)| id.within_folder()).collect();
    let message = format!("no usual format is known for {} on {}", model.name, engine.name);
    Failure::new(INPUT, message).hint(format!(
        "say `--quant FORMAT`: {} reads {}",
        engine.name,
        names.join(", ")
    ))
}

/// What is too large, and what would help.
fn too_large(answer: &Answer) -> Failure {
    let memory = &answer.memory;
    let gib = |bytes: Bytes| localrig_facts::figure::memory(bytes, 1);
    let places =
        memory.spread.iter().flat_map(|spread| spread.devices.iter().chain([&spread.host]));
    let details: Vec<String> = places
        .filter(|place| place.verdict == Some(Verdict::No))
        .filter_map(|place| {
            let (needed, usable) = (gib(place.total_bytes.value), gib(place.usable_bytes?));
            Some(format!("{}: {needed} needed, {usable} usable", place.name))
        })
        .collect();
    let needed = gib(memory.total_bytes.value);
    let usable = memory.usable_bytes.map_or_else(|| "an unknown amount".to_owned(), gib);
    // Of several places the full ones are named, else the one there is.
    let several = memory.spread.as_ref().is_some_and(|spread| !spread.is_plain());
    let failure = if several {
        Failure::new(NOTHING_FITS, "it does not fit").details(details)
    } else {
        let message = format!("it does not fit: {needed} needed, {usable} usable");
        Failure::new(NOTHING_FITS, message)
    };
    let limits = answer.limits.as_ref();
    let ways: Vec<String> = limits
        .into_iter()
        .flat_map(|limits| [&limits.host_expert_layers, &limits.gpu_layers])
        .flatten()
        .filter(|limit| limit.layers > 0)
        .map(|limit: &Limit| {
            format!("`{}` and {} on the host", limit.setting, gib(limit.host_bytes))
        })
        .collect();
    let failure = match &ways[..] {
        [] => failure,
        _ => failure.hint(format!("it fits with {}", ways.join(", or with "))),
    };
    failure.hint("a smaller `--quant` or `--context` may fit; `localrig need` finds a machine")
}
