//! `localrig accuracy`

use std::path::PathBuf;

use clap::Subcommand;
use localrig_estimate::accuracy::{judge, to_csv};
use localrig_estimate::fit::local::own;
use localrig_estimate::import::{Given, import};
use localrig_estimate::memory_accuracy::memory_accuracy;
use localrig_report::accuracy::{Imported, SpeedAccuracy, imported_page, memory_page, speed_page};
use localrig_world::measurement;

use crate::command;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Predictions of memory beside what an engine reported, row by row
    Memory {
        /// Rows with the columns of `measured/llama_cpp_memory.csv` or `…_offload.csv`
        #[arg(long, value_name = "FILE.csv")]
        rows: PathBuf,
        /// Where the predictions go
        #[arg(long, value_name = "OUT.csv")]
        out: Option<PathBuf>,
    },
    /// Predictions of speed beside measurements, row by row
    Speed {
        /// Rows with the columns of `catalog/measured/speed.csv`, which `catalog/README.md` explains;
        /// `row_id`, `hardware_id`, `engine`, `model_id`, `quant` and `phase` are required
        #[arg(long, value_name = "FILE.csv")]
        rows: PathBuf,
        /// Where the predictions go
        #[arg(long, value_name = "OUT.csv")]
        out: Option<PathBuf>,
    },
    /// Keep your own measurements, so that estimates of that stack rest on them.
    ///
    /// Reads the reports of llama-bench (JSON, CSV), vLLM bench, AIPerf and GuideLLM. What a report
    /// does not say must be given
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// The report
    file: PathBuf,
    /// The machine or accelerator, for example "RTX 5090"
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    on: String,
    /// Number of them
    #[arg(long, value_name = "N")]
    count: Option<f64>,
    /// Engine, for example llama.cpp
    #[arg(long, default_value = "", hide_default_value = true)]
    engine: String,
    /// Accelerator stack, for example cuda
    #[arg(long, default_value = "", hide_default_value = true)]
    backend: String,
    /// Version of the engine
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    engine_version: String,
    /// Model
    #[arg(long, default_value = "", hide_default_value = true)]
    model: String,
    /// Quantization
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    quant: String,
    /// Day of the measurement
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "", hide_default_value = true)]
    date: String,
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    match &args.action {
        Action::Memory { rows, out } => {
            let text = localrig_world::read_text(rows)?;
            let answer = memory_accuracy(&catalog, &rows.display().to_string(), &text)?;
            if let Some(out) = out {
                localrig_world::write_text(out, &answer.to_csv())?;
            }
            output.answer(&answer, memory_page, |answer| Ok(answer.to_csv()))
        }
        Action::Speed { rows, out } => {
            let text = localrig_world::read_text(rows)?;
            let judged = judge(&catalog, &rows.display().to_string(), &text)?;
            let csv = to_csv(&judged);
            if let Some(out) = out {
                localrig_world::write_text(out, &csv)?;
            }
            output.answer(&SpeedAccuracy::new(&judged), speed_page, |_| Ok(csv.clone()))
        }
        Action::Import(args) => keep(args, &catalog, output),
    }
}

fn keep(
    args: &ImportArgs,
    catalog: &localrig_facts::Catalog,
    output: Output,
) -> Result<(), Failure> {
    let text = localrig_world::read_text(&args.file)?;
    let given = Given {
        hardware: args.on.clone(),
        count: args.count,
        engine: args.engine.clone(),
        backend: args.backend.clone(),
        engine_version: args.engine_version.clone(),
        model: args.model.clone(),
        quant: args.quant.clone(),
        date: args.date.clone(),
    };
    let (tool, rows) = import(&text, &given)?;
    let folder = measurement::data_folder().ok_or(localrig_world::WorldError::NoHome)?;
    let read = rows.len();
    let all = measurement::add(&folder, rows)?;
    let (fitted, left_out) = own(catalog, &all)?;
    let text = toml::to_string_pretty(&fitted).map_err(Failure::bug)?;
    measurement::keep_fit(&folder, &text)?;
    let imported = Imported { tool: format!("{tool:?}"), read, kept: all.len(), left_out };
    output.answer(&imported, imported_page, |imported| {
        localrig_report::rows_of(["row_id", "left_out"], imported.left_out.iter())
            .map_err(Failure::bug)
    })
}
