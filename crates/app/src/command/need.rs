//! `localrig need`

use std::path::PathBuf;

use localrig_facts::Date;
use localrig_facts::format::Precision;
use localrig_facts::model::Model;
use localrig_facts::unit::TokensPerSec;
use localrig_plan::answer::PlanAnswer;
use localrig_plan::plan::Planner;
use localrig_plan::requirement::{FormatWish, Role};
use localrig_report::need::page;
use localrig_report::plan::csv;

use crate::command::simulate::habits;
use crate::failure::{Failure, NOTHING_FITS};
use crate::output::Output;
use crate::{amount, command};

/// Formats that leave a model its abilities, the best first.
pub(crate) const ANY_FORMAT: [Precision; 3] =
    [Precision::EightBit, Precision::SixBit, Precision::FourBit];
/// Machines when `--all` is not given.
const ROWS: usize = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model, for example qwen3-32b
    model: String,
    /// Context of each stream in tokens
    #[arg(
        long, value_name = "TOKENS", value_parser = amount::tokens, default_value = "32768",
        allow_hyphen_values = true
    )]
    context: u64,
    /// Least speed of each stream in tok/s, contexts half full
    #[arg(long, value_name = "TOK/S", value_parser = amount::speed)]
    speed: Option<f64>,
    /// Streams at the same time
    #[arg(long, value_name = "N", value_parser = amount::count, default_value = "1")]
    streams: u64,
    /// Whether it looks at images
    #[arg(long)]
    vision: bool,
    /// Requirement whose region, shops, used goods and socket count: a file or a shipped one
    #[arg(long, value_name = "FILE", env = "LOCALRIG_REQUIRE")]
    require: Option<String>,
    /// Only prices seen up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
    /// Show every machine, not the first ones only
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let circumstances = command::requirement(&catalog, args.require.as_deref())?;
    let (id, model) = catalog.find::<Model>(&args.model)?;
    let role = Role {
        name: model.name.clone(),
        task: if args.vision { "vision" } else { "coding" }.to_owned(),
        streams: args.streams,
        context_tokens: args.context,
        speed_target_tok_per_s: None,
        speed_minimum_tok_per_s: args.speed.map(TokensPerSec::new),
        parameters_b: None,
        at_least_as_good_as: None,
        models: vec![id.to_string()],
        images: args.vision,
        instead_of: None,
    };
    let format = FormatWish { preferred: ANY_FORMAT[0], acceptable: ANY_FORMAT.to_vec() };
    let requirement = circumstances.for_one(role, format);
    let market = command::market(&catalog, &requirement, args.as_of)?;
    let habits = habits(None)?;
    let planner = Planner::new(market, &requirement, &habits)?;
    let answer = PlanAnswer::new(&catalog, &planner.plan().cheapest_first());
    let rows = if args.all { usize::MAX } else { ROWS };
    let empty = answer.ranked.is_empty();
    output.answer(
        &answer,
        |answer| page(answer, rows),
        |answer| csv(answer).map_err(Failure::bug),
    )?;
    if empty {
        return Err(Failure::new(NOTHING_FITS, "no machine with a price does that")
            .hint("the nearest misses are above"));
    }
    Ok(())
}
