//! `localrig accuracy`

use std::path::PathBuf;

use clap::Subcommand;
use localrig_estimate::memory_accuracy::memory_accuracy;
use localrig_report::accuracy::memory_page;

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
    }
}
