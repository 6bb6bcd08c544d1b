//! `localrig fit`

use std::path::PathBuf;

use localrig_facts::Date;
use localrig_facts::machine::parse_machine;
use localrig_facts::model::Model;
use localrig_facts::tier::Tier;
use localrig_facts::unit::TokensPerSec;
use localrig_plan::fit::{FitQuestion, fit};
use localrig_plan::requirement::{FormatWish, Role};
use localrig_report::fit::{FitAnswer, csv, page};

use crate::command::need::ANY_FORMAT;
use crate::failure::{Failure, NOTHING_FITS};
use crate::output::Output;
use crate::{amount, command};

/// Models of each list when `--all` is not given.
const ROWS: usize = 15;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine, for example "RTX 3090"
    #[arg(required_unless_present = "tier", conflicts_with = "tier")]
    machine: Option<String>,
    /// A class of machines instead: 8gb, 16gb, 24gb, 48gb, 96gb, 128gb-unified, ...
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// What the models are judged by: coding, vision, ...
    #[arg(long, value_name = "TASK", default_value = "coding")]
    task: String,
    /// Context of each stream in tokens
    #[arg(
        long, value_name = "TOKENS", value_parser = amount::tokens, default_value = "32768",
        allow_hyphen_values = true
    )]
    context: u64,
    /// Streams at the same time
    #[arg(long, value_name = "N", value_parser = amount::count, default_value = "1")]
    streams: u64,
    /// Least speed of each stream in tok/s, contexts half full
    #[arg(long, value_name = "TOK/S", value_parser = amount::speed)]
    speed: Option<f64>,
    /// Only models released up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
    /// Show every model, not the first ones only
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    command::check_task(&catalog, &args.task)?;
    // `fit 16gb`: the class is meant, not one of the machines with that in their names.
    let class = |name: &str| {
        let bare = |text: &str| text.to_lowercase().replace([' ', '-'], "");
        let tiers = catalog.all::<Tier>().ok()?.iter();
        tiers.into_iter().find(|(id, _)| bare(id.short()) == bare(name)).map(|(_, tier)| tier)
    };
    let (names, named) = match (&args.machine, &args.tier) {
        (Some(machine), _) => match class(machine) {
            Some(tier) => (tier.machines.clone(), &tier.models[..]),
            None => (vec![machine.clone()], &[][..]),
        },
        (None, tier) => {
            let (_, tier) = catalog.find::<Tier>(tier.as_deref().unwrap_or_default())?;
            (tier.machines.clone(), &tier.models[..])
        }
    };
    let named = named.iter().map(|id| catalog.get_in::<Model>(id.within_folder()));
    let named = named.collect::<Result<_, _>>()?;
    let machines =
        names.iter().map(|name| parse_machine(&catalog, name)).collect::<Result<Vec<_>, _>>()?;
    let role = Role {
        name: args.task.clone(),
        task: args.task.clone(),
        streams: args.streams,
        context_tokens: args.context,
        speed_target_tok_per_s: None,
        speed_minimum_tok_per_s: args.speed.map(TokensPerSec::new),
        parameters_b: None,
        at_least_as_good_as: None,
        models: Vec::new(),
        images: args.task == "vision",
        instead_of: None,
    };
    let date = args.as_of.unwrap_or_else(localrig_world::today);
    let names = machines.iter().map(|machine| machine.name.clone()).collect();
    let format = FormatWish { preferred: ANY_FORMAT[0], acceptable: ANY_FORMAT.to_vec() };
    let question = FitQuestion { machines, role, format, date, named };
    let fits = fit(&catalog, &question)?;
    let answer = FitAnswer::new(names, question.role, date.to_string(), &fits);
    let miss = (answer.scored.is_empty() && answer.unscored.is_empty())
        .then(|| answer.nearest_miss.clone().unwrap_or_else(|| "no model was near".to_owned()));
    let rows = if args.all { usize::MAX } else { ROWS };
    output.answer(
        &answer,
        |answer| page(answer, rows),
        |answer| csv(answer).map_err(Failure::bug),
    )?;
    miss.map_or(Ok(()), |miss| {
        Err(Failure::new(NOTHING_FITS, "no model runs there as asked")
            .details(vec![format!("nearest miss: {miss}")]))
    })
}
