//! `localrig estimate`

use std::path::PathBuf;

use localrig_estimate::answer::{Question, estimate};
use localrig_estimate::context::{KV_TYPES, KvType};
use localrig_estimate::memory::{Ask, Verdict};
use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::machine::parse_machine;
use localrig_facts::model::Model;
use localrig_plan::option::usual_format;
use localrig_report::estimate::{csv, page};

use crate::failure::{Failure, INPUT, NOTHING_FITS};
use crate::output::Output;
use crate::{amount, command};

/// Context when none is asked for, or the model's limit where that is less.
const USUAL_CONTEXT: u64 = 32_768;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model, for example gpt-oss-120b
    #[arg(required_unless_present = "model_file", conflicts_with = "model_file")]
    model: Option<String>,
    /// A real model instead: a GGUF or safetensors file or folder, an http(s) address, or
    /// `hf:ORG/REPO[:FILE]`; only its header is read
    #[arg(long, value_name = "LOCATION")]
    model_file: Option<String>,
    /// The machine, for example "RTX 5090", "2x RTX 3090" or "Mac Studio M3 Ultra 256 GB"
    #[arg(long, value_name = "MACHINE")]
    on: String,
    /// Quantization, for example q4_k_m; when absent the usual one for model and engine, and the
    /// answer says which
    #[arg(long, value_name = "FORMAT")]
    quant: Option<String>,
    /// Context of each stream in tokens; when absent 32,768 or the model's limit
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
    let machine = parse_machine(&catalog, &machine_text)?;
    let engine = catalog.find::<Engine>(&args.engine)?;
    let format = match (&args.quant, &file) {
        (Some(quant), _) => catalog.find::<Format>(quant)?,
        (None, Some(file)) => catalog.get_in::<Format>(file.format.id().within_folder())?,
        (None, None) => match usual_format(&catalog, model.1, engine.0)? {
            Some(id) => (id, catalog.get::<Format>(id.as_str())?),
            None => {
                return Err(Failure::new(
                    INPUT,
                    format!("no usual format is known for {} on {}", model.1.name, engine.1.name),
                )
                .hint("say `--quant FORMAT`; `localrig catalog list format` lists them"));
            }
        },
    };
    let ask = Ask {
        context: args.context.unwrap_or(USUAL_CONTEXT.min(model.1.context_tokens)),
        streams: args.streams,
        kv: args.kv_type,
        vision: args.vision,
    };
    let question = Question { model, machine: &machine, engine, format, ask };
    let answer = estimate(&catalog, question)?;
    let missing = answer.speed.is_none().then(|| answer.missing.join("; "));
    output.answer(
        &answer,
        |answer| page(answer, args.explain),
        |answer| csv(answer).map_err(Failure::bug),
    )?;
    if answer.memory.verdict == Verdict::No {
        let needed = answer.memory.total_bytes.value.to_gib();
        let usable = answer.memory.usable_bytes.to_gib();
        return Err(Failure::new(
            NOTHING_FITS,
            format!("it does not fit: {needed:.1} GiB needed, {usable:.1} GiB usable"),
        )
        .hint("a smaller `--quant` or `--context` may fit; `localrig need` finds a machine"));
    }
    // Memory is known and printed; that speed is not must not pass unnoticed.
    missing.map_or(Ok(()), |missing| Err(Failure::missing(format!("no speed: {missing}"))))
}
