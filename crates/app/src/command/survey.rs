//! `localrig survey`

use std::path::PathBuf;

use localrig_facts::Date;
use localrig_plan::plan::Planner;
use localrig_plan::survey::survey;
use localrig_report::survey::{csv, page};

use crate::command;
use crate::command::simulate::habits;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Requirement: a file, or a shipped one
    #[arg(long, value_name = "FILE", env = "LOCALRIG_REQUIRE")]
    require: Option<String>,
    /// Only prices seen and models released up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let requirement = command::requirement(&catalog, args.require.as_deref())?;
    let market = command::market(&catalog, &requirement, args.as_of)?;
    let habits = habits(None)?;
    let planner = Planner::new(market, &requirement, &habits)?;
    let answer = survey(&market, &planner.plan())?;
    output.answer(&answer, page, |answer| csv(answer).map_err(Failure::bug))
}
