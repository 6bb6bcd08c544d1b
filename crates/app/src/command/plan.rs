//! `localrig plan`

use std::path::PathBuf;

use localrig_facts::Date;
use localrig_facts::noise::NoiseClass;
use localrig_plan::answer::PlanAnswer;
use localrig_plan::plan::Planner;
use localrig_plan::requirement::Requirement;
use localrig_report::plan::{Extent, csv, page};

use crate::command::simulate::habits;
use crate::failure::{Failure, INPUT, NOTHING_FITS};
use crate::output::Output;
use crate::{amount, command};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Requirement: a file, or a shipped one (home-office, model-stack, small-team)
    #[arg(long, value_name = "FILE", env = "LOCALRIG_REQUIRE")]
    require: Option<String>,
    /// What the roles do: a workload file, or a shipped one; the habits of the home office when
    /// absent
    #[arg(long, value_name = "FILE")]
    workload: Option<String>,
    /// Budget in the requirement's currency: from and to, or the most alone, for example 4000..15000
    /// or 10000; what costs less passes too, and below the lower end a lower price is worth no more
    #[arg(long, value_name = "FROM..TO", value_parser = amount::range)]
    budget: Option<amount::Range>,
    /// Context of the main role in tokens, for example 200k
    #[arg(long, value_name = "TOKENS", value_parser = amount::tokens, allow_hyphen_values = true)]
    context: Option<u64>,
    /// Loudest machine accepted
    #[arg(long, value_name = "CLASS", value_parser = noise)]
    noise: Option<NoiseClass>,
    /// Only prices seen and models released up to this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,
    /// Only accelerators of this maker; may be repeated
    #[arg(long, value_name = "MAKER", value_delimiter = ',')]
    only: Vec<String>,
    /// Show how scores, speeds and prices came about
    #[arg(long)]
    explain: bool,
    /// Show every machine, not the first ones only
    #[arg(long)]
    all: bool,
}

/// A noise class by its word.
fn noise(text: &str) -> Result<NoiseClass, String> {
    serde_json::from_value(text.into()).map_err(|error: serde_json::Error| error.to_string())
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let mut requirement = command::requirement(&catalog, args.require.as_deref())?;
    change(&mut requirement, args, &catalog)?;
    let market = command::market(&catalog, &requirement, args.as_of)?;
    let habits = habits(args.workload.as_deref())?;
    let planner = Planner::new(market, &requirement, &habits)?;
    let mut answer = PlanAnswer::new(&catalog, &planner.plan());
    // Flags change what the file says.
    let changed = args.budget.is_some()
        || args.context.is_some()
        || args.noise.is_some()
        || !args.only.is_empty();
    let given = args.require.clone().unwrap_or_else(|| command::DEFAULT_REQUIREMENT.to_owned());
    answer.given = (!changed && args.workload.is_none()).then_some(given);
    let mut extent = Extent { explain: args.explain, ..Extent::default() };
    if args.all {
        (extent.rows, extent.details, extent.rejected) = (usize::MAX, 10, usize::MAX);
    }
    let empty = answer.ranked.is_empty();
    output.answer(
        &answer,
        |answer| page(answer, extent),
        |answer| csv(answer).map_err(Failure::bug),
    )?;
    if empty {
        return Err(Failure::new(NOTHING_FITS, "no machine meets the hard limits").hint(
            "the nearest misses are above; a wider `--budget` or fewer hard limits may help",
        ));
    }
    Ok(())
}

/// Applies the flags.
fn change(
    requirement: &mut Requirement,
    args: &Args,
    catalog: &localrig_facts::Catalog,
) -> Result<(), Failure> {
    if let Some(amount::Range { low, high }) = args.budget {
        let budget = &mut requirement.budget;
        let low = low.unwrap_or(budget.range[0].min(high));
        budget.range = [low, high];
        // The sweet spot stays inside the budget.
        budget.sweet_spot = budget.sweet_spot.map(|one| one.clamp(low, high));
    }
    if let Some(context) = args.context {
        requirement.roles[0].context_tokens = context;
    }
    if let Some(limit) = args.noise {
        requirement.noise.limit = limit;
        requirement.noise.hard = true;
    }
    if !args.only.is_empty() {
        let mut known: Vec<String> = catalog
            .all::<localrig_facts::gpu::Gpu>()?
            .values()
            .map(|gpu| gpu.vendor.to_lowercase())
            .collect();
        known.sort();
        known.dedup();
        let only: Vec<String> = args.only.iter().map(|one| one.to_lowercase()).collect();
        if let Some(unknown) = only.iter().find(|one| !known.contains(one)) {
            return Err(Failure::new(INPUT, format!("no maker called `{unknown}`"))
                .hint(format!("makers in the catalog: {}", known.join(", "))));
        }
        requirement.platform.preferred = only.clone();
        requirement.platform.accepted = only;
        requirement.platform.hard = true;
    }
    requirement.check()?;
    Ok(())
}
