//! `localrig audit`

use std::path::PathBuf;

use localrig_facts::Date;
use localrig_plan::audit;
use localrig_report::audit as pages;

use crate::command;
use crate::failure::{Failure, MISLEADING};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Markdown files to check; without any, the claims of the documents that the catalog knows
    files: Vec<PathBuf>,
    /// Prices seen up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
    /// Show what is right as well
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let requirement = command::requirement(&catalog, None)?;
    let market = command::market(&catalog, &requirement, args.as_of)?;
    if args.files.is_empty() {
        let answer = audit::claims(&market)?;
        return output.answer(
            &answer,
            |answer| pages::claims(answer, args.all),
            |answer| pages::claims_csv(answer).map_err(Failure::bug),
        );
    }
    let mut answer = Vec::new();
    for path in &args.files {
        let text = localrig_world::read_text(path)?;
        answer.push(audit::text(&market, &path.display().to_string(), &text)?);
    }
    let misleading: usize =
        answer.iter().flat_map(|text| &text.findings).filter(|one| one.verdict.misleads()).count();
    output.answer(
        &answer,
        |answer| pages::texts(answer, args.all),
        |answer| pages::texts_csv(answer).map_err(Failure::bug),
    )?;
    match misleading {
        0 => Ok(()),
        1 => Err(Failure::new(MISLEADING, "1 statement does not hold")),
        many => Err(Failure::new(MISLEADING, format!("{many} statements do not hold"))),
    }
}
