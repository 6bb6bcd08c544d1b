//! `localrig compare`

use std::path::PathBuf;

use localrig_facts::Date;
use localrig_facts::machine::parse_machine;
use localrig_facts::model::Model;
use localrig_plan::compare::{self, CompareError, Wanted};
use localrig_report::compare as pages;

use crate::failure::{Failure, INPUT};
use crate::output::Output;
use crate::{amount, command};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Machines, or models, at least two
    #[arg(required = true, num_args = 2..)]
    names: Vec<String>,
    /// Requirement whose main role chooses the models
    #[arg(long, value_name = "FILE", env = "LOCALRIG_REQUIRE")]
    require: Option<String>,
    /// Model to compare machines by, instead of the best of each
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Its quantization; the best that fits when absent
    #[arg(long, value_name = "FORMAT", requires = "model")]
    quant: Option<String>,
    /// Context of each stream in tokens instead of the main role's, for example 32k
    #[arg(long, value_name = "TOKENS", value_parser = amount::tokens)]
    context: Option<u64>,
    /// Streams at the same time instead of the main role's
    #[arg(long, value_name = "N", value_parser = amount::count)]
    streams: Option<u64>,
    /// Only prices seen and models released up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
    /// Print a chart instead
    #[arg(long)]
    svg: bool,
}

impl From<CompareError> for Failure {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Catalog(error) => error.into(),
            CompareError::Machine(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let requirement = command::requirement(&catalog, args.require.as_deref())?;
    let market = command::market(&catalog, &requirement, args.as_of)?;
    let mut role = requirement.main().clone();
    // A model asked for by name is shown at its own limit where the role asks for more.
    let limit = match &args.model {
        Some(name) => catalog.find::<Model>(name)?.1.context_tokens,
        None => u64::MAX,
    };
    role.context_tokens = args.context.unwrap_or(role.context_tokens.min(limit));
    role.streams = args.streams.unwrap_or(role.streams);
    let is_model = |name: &String| {
        parse_machine(&catalog, name).is_err() && catalog.find::<Model>(name).is_ok()
    };
    let count = args.names.iter().filter(|name| is_model(name)).count();
    if count == args.names.len() {
        let answer = compare::models(&catalog, &args.names, &role.task)?;
        if args.svg {
            return output.bytes(pages::models_svg(&answer).as_bytes());
        }
        return output.answer(&answer, pages::models, |answer| {
            pages::csv(&pages::models(answer)).map_err(Failure::bug)
        });
    }
    if count > 0 {
        return Err(Failure::new(INPUT, "machines and models do not compare with each other")
            .hint("`localrig estimate MODEL --on MACHINE` says how one does on the other"));
    }
    let wanted = Wanted { model: args.model.as_deref(), format: args.quant.as_deref() };
    let answer = compare::machines(&market, &args.names, &role, &requirement.format, wanted)?;
    if args.svg {
        return output.bytes(pages::machines_svg(&answer).as_bytes());
    }
    output.answer(&answer, pages::machines, |answer| {
        pages::csv(&pages::machines(answer)).map_err(Failure::bug)
    })
}
