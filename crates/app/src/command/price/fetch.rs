//! `localrig price fetch`

use localrig_facts::Catalog;
use localrig_facts::head::PRICED;
use localrig_report::price::{self as pages, FetchAnswer};
use localrig_report::rows_of;
use localrig_world::price::fetch::{FetchReport, fetch};
use localrig_world::price::matching::Matcher;
use localrig_world::price::offer::{PriceSource, Wanted};
use localrig_world::price::toppreise_cli::ToppreiseCli;
use localrig_world::price::toppreise_site::{SITE, ToppreiseSite};
use localrig_world::price::web::Web;
use localrig_world::price::{rate, tariff};
use localrig_world::store::Store;

use super::answer as answers;
use crate::command;
use crate::failure::{Failure, INPUT, UNREACHABLE};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ids or names; when absent everything whose page at toppreise.ch is known
    items: Vec<String>,
    /// Only the exchange rates and the electricity tariff
    #[arg(long, conflicts_with = "items")]
    rates: bool,
}

pub(super) fn run(args: &Args, catalog: Catalog, output: Output) -> Result<(), Failure> {
    let config = localrig_world::config::config()?.price;
    let wanted = if args.rates { Vec::new() } else { wanted(&catalog, &args.items)? };
    let mut store = command::store()?;
    let web = Web::new(config.contact.as_deref());
    let mut answer = FetchAnswer::default();

    let ecb = config.ecb_address.as_deref().unwrap_or(rate::ADDRESS);
    match rate::fetch(&web, ecb, &mut store, localrig_world::now()) {
        Ok(rates) => answer.also.extend(answers::rates(&rates)),
        Err(error) => answer.failures.push(format!("exchange rates: {error}")),
    }
    if let Some(municipality) = config.municipality {
        let elcom = config.elcom_address.as_deref().unwrap_or(tariff::ADDRESS);
        match tariff::fetch(&web, elcom, municipality, &mut store, localrig_world::now()) {
            Ok(tariffs) => answer.also.extend(answers::tariff(&tariffs)),
            Err(error) => answer.failures.push(format!("electricity tariff: {error}")),
        }
    }

    let mut sources: Vec<Box<dyn PriceSource>> = Vec::new();
    if config.toppreise_cli {
        match ToppreiseCli::find(localrig_world::search_path().as_deref()) {
            Ok(cli) => sources.push(Box::new(cli)),
            Err(error) => answer.failures.push(format!("toppreise-cli: {error}")),
        }
    }
    if config.toppreise_site {
        let base = config.toppreise_address.as_deref().unwrap_or(SITE);
        // Its own connection: what it keeps of pages has nothing to do with the prices.
        let pages = Store::open(store.path())?;
        sources.push(Box::new(ToppreiseSite::new(web, base, pages)));
    }
    let without_source = sources.is_empty() && !wanted.is_empty();
    let report = if without_source {
        FetchReport::default()
    } else {
        fetch(&catalog, &mut store, &mut sources, &wanted, localrig_world::now)?
    };
    let nobody = !report.items.is_empty() && report.items.iter().all(|one| one.source.is_none());
    answer.waiting = store.held()?.len();
    let catalog = command::with_store(catalog, &store)?;
    answers::fetched(&catalog, report, localrig_world::today(), &mut answer)?;
    output.answer(&answer, pages::fetched, |answer| {
        rows_of(
            ["item", "source", "new", "held", "known", "price", "currency", "date"],
            answer.items.iter().map(|one| {
                let price = one.price.as_ref();
                (
                    &one.id,
                    &one.source,
                    one.new,
                    one.held,
                    one.known,
                    price.map(|price| price.amount.amount()),
                    price.map(|price| price.amount.currency.code()),
                    price.map(|price| &price.date),
                )
            }),
        )
        .map_err(Failure::bug)
    })?;
    if without_source {
        return Err(Failure::new(UNREACHABLE, "no price source can be asked").hint(
            "put `toppreise-cli` on PATH, or write `[price]` and `toppreise_site = true` into \
             `config.toml` in your configuration folder",
        ));
    }
    if nobody {
        return Err(Failure::new(UNREACHABLE, "no price source answered; stored prices stand"));
    }
    Ok(())
}

fn wanted(catalog: &Catalog, names: &[String]) -> Result<Vec<Wanted>, Failure> {
    let mut wanted = Vec::new();
    if names.is_empty() {
        for head in catalog.heads()? {
            let pages = Matcher::pages_of(catalog, head.id, None)?;
            if PRICED.contains(&head.kind) && !pages.is_empty() {
                let (item, query) = (head.id.clone(), head.name.to_owned());
                wanted.push(Wanted { item, variant: None, query, pages });
            }
        }
        return Ok(wanted);
    }
    for name in names {
        let (item, query, variant) = super::item(catalog, name)?;
        let pages = Matcher::pages_of(catalog, &item, variant.as_deref())?;
        wanted.push(Wanted { item, variant, query, pages });
    }
    if wanted.is_empty() {
        return Err(Failure::new(INPUT, "nothing to fetch"));
    }
    Ok(wanted)
}
