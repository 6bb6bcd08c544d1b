//! `localrig price`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use localrig_facts::machine::parse_machine;
use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::region::Region;
use localrig_facts::shop::Vat;
use localrig_facts::system::System;
use localrig_facts::{Catalog, Currency, Date, Id, PartialDate, amount};
use localrig_plan::build::present_price;
use localrig_plan::drift::drift;
use localrig_plan::price::{Goods, Market};
use localrig_report::price::{self as pages, HistoryAnswer, ItemPrice, PriceAnswer, ReviewAnswer};
use localrig_report::price_chart;
use localrig_report::{rows, rows_of};
use localrig_world::price::offer::Offer;
use localrig_world::store::{Seen, Store};

use crate::command;
use crate::failure::{Failure, INPUT};
use crate::output::Output;

mod answer;
mod fetch;

use self::answer as answers;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Ask the price sources and keep what they say; the only command that uses the network
    Fetch(fetch::Args),
    /// What items cost, new and used
    Show {
        /// Ids or names; everything that has a price when absent
        items: Vec<String>,
        /// Only prices seen up to this day
        #[arg(long, value_name = "YYYY-MM-DD")]
        as_of: Option<Date>,
        /// Where one buys
        #[arg(long, value_name = "REGION", default_value = "ch")]
        region: String,
    },
    /// Every price seen of an item
    History {
        /// Its id or name
        item: String,
        /// Write a chart to this file instead of a table
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// How far prices moved since a document was written: Markdown with toppreise.ch links and
    /// amounts, a locked build, or the JSON of a plan. The document is not changed
    Drift {
        /// The document
        file: PathBuf,
        /// A smaller change is not flagged, in percent
        #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
        threshold: f64,
        /// Only prices seen up to this day
        #[arg(long, value_name = "YYYY-MM-DD")]
        as_of: Option<Date>,
        /// Where one buys
        #[arg(long, value_name = "REGION", default_value = "ch")]
        region: String,
    },
    /// Add prices from a CSV or JSON file
    Import {
        /// The file; columns product, amount, currency, shop, date, and at will item, variant,
        /// part_number, amount_high, condition, kind, vat, region, link, note
        file: PathBuf,
        /// Where its shops are, where rows do not say
        #[arg(long, value_name = "REGION", default_value = "ch")]
        region: String,
    },
    /// Add one price
    Set(SetArgs),
    /// Prices that could not be believed or matched, and what becomes of them
    Review {
        /// Take this number as a price of `--item`
        #[arg(long, value_name = "NUMBER", conflicts_with = "refuse")]
        accept: Option<i64>,
        /// What it is; may be left out where only one item is possible
        #[arg(long, value_name = "ITEM", requires = "accept")]
        item: Option<String>,
        /// Keep this number out
        #[arg(long, value_name = "NUMBER")]
        refuse: Option<i64>,
    },
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Id or name of the item; `name:variant` for a system
    item: String,
    /// The price, for example 2499 or "CHF 2'499.–"
    amount: String,
    /// Who asks it
    #[arg(long, value_name = "SHOP")]
    shop: String,
    /// Its currency, where the amount does not say
    #[arg(long, value_name = "CODE", default_value = "CHF")]
    currency: String,
    /// The day; today when absent
    #[arg(long, value_name = "DATE")]
    date: Option<PartialDate>,
    /// New, refurbished or used
    #[arg(long, value_name = "CONDITION", default_value = "new", value_parser = condition)]
    condition: Condition,
    /// The product's page
    #[arg(long, value_name = "ADDRESS")]
    link: Option<String>,
    /// Where the shop is
    #[arg(long, value_name = "REGION", default_value = "ch")]
    region: String,
    /// Remark
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// It is right, however far from the last price it is
    #[arg(long)]
    sure: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let value = text.trim_end_matches('%').trim().parse::<f64>().ok();
    value
        .filter(|value| (0.0..=1000.0).contains(value))
        .ok_or_else(|| "must be a percentage, for example `5`".to_owned())
}

fn condition(text: &str) -> Result<Condition, String> {
    serde_json::from_value(text.to_lowercase().into())
        .map_err(|_| "must be one of new, refurbished, used, mixed, grey".to_owned())
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    match &args.action {
        Action::Fetch(args) => fetch::run(args, catalog, output),
        Action::Show { items, as_of, region } => show(&catalog, items, *as_of, region, output),
        Action::History { item, svg } => history(&catalog, item, svg.as_deref(), output),
        Action::Drift { file, threshold, as_of, region } => {
            let text = localrig_world::read_text(file)?;
            let market = market(&catalog, region, *as_of)?;
            let answer = drift(&market, &file.display().to_string(), &text, *threshold)?;
            output.answer(&answer, pages::drift, |answer| {
                rows_of(
                    ["place", "product", "then", "now", "change_percent", "moved"],
                    answer.lines.iter().map(|line| {
                        let now = line.now.as_ref().map(|price| price.amount.amount());
                        let then = &line.then;
                        let amount = then.amount.amount();
                        (&then.place, &then.name, amount, now, line.change_percent, line.moved)
                    }),
                )
                .map_err(Failure::bug)
            })
        }
        Action::Import { file, region } => import(&catalog, file, region, output),
        Action::Set(args) => set(&catalog, args, output),
        Action::Review { accept, item, refuse } => {
            review(&catalog, *accept, item.as_deref(), *refuse, output)
        }
    }
}

fn market<'a>(
    catalog: &'a Catalog,
    region: &'a str,
    date: Option<Date>,
) -> Result<Market<'a>, Failure> {
    let (id, entry) = catalog.get_in::<Region>(region)?;
    let date = date.unwrap_or_else(localrig_world::today);
    Ok(Market { catalog, region_id: id.short(), region: entry, date })
}

/// An item with its variant: `mac-studio-m3-ultra:96gb`, as a machine is called elsewhere (`Mac
/// Studio M3 Ultra 96 GB`), or a name alone.
fn item(catalog: &Catalog, text: &str) -> Result<(Id, String, Option<String>), Failure> {
    let machine = parse_machine(catalog, text).ok().filter(|machine| machine.units == 1);
    if let Some((id, system, variant)) = machine.and_then(|machine| machine.system) {
        return Ok((id.clone(), system.name.clone(), Some(variant.key.clone())));
    }
    let (name, variant) = match text.rsplit_once(':') {
        Some((name, variant)) => (name, Some(variant.to_lowercase())),
        None => (text, None),
    };
    let head = catalog.find_priced(name)?;
    if head.kind != "system" {
        return match variant {
            None => Ok((head.id.clone(), head.name.to_owned(), None)),
            Some(variant) => {
                Err(Failure::new(INPUT, format!("{} has no variant `{variant}`", head.id))
                    .hint("only systems have variants: leave out what follows the colon"))
            }
        };
    }
    let system = catalog.get::<System>(head.id.as_str())?;
    let keys: Vec<&str> = system.variants.iter().map(|one| one.key.as_str()).collect();
    let variant = match variant {
        None if keys.len() == 1 => Some(keys[0].to_owned()),
        Some(variant) if !keys.contains(&variant.as_str()) => {
            return Err(Failure::new(INPUT, format!("{} has no variant `{variant}`", head.id))
                .hint(format!("variants: {}", keys.join(", "))));
        }
        other => other,
    };
    Ok((head.id.clone(), head.name.to_owned(), variant))
}

fn show(
    catalog: &Catalog,
    names: &[String],
    as_of: Option<Date>,
    region: &str,
    output: Output,
) -> Result<(), Failure> {
    let market = market(catalog, region, as_of)?;
    let mut wanted: Vec<(Id, String, Option<String>)> = Vec::new();
    for name in names {
        let (id, name, variant) = item(catalog, name)?;
        let system = catalog.get::<System>(id.as_str()).ok().filter(|_| variant.is_none());
        match system {
            Some(system) => wanted.extend(
                system.variants.iter().map(|one| (id.clone(), name.clone(), Some(one.key.clone()))),
            ),
            None => wanted.push((id, name, variant)),
        }
    }
    if names.is_empty() {
        for head in catalog.heads()? {
            let mut variants: Vec<Option<String>> =
                catalog.prices_of(head.id)?.iter().map(|one| one.row.variant.clone()).collect();
            variants.sort();
            variants.dedup();
            wanted.extend(
                variants.into_iter().map(|one| (head.id.clone(), head.name.to_owned(), one)),
            );
        }
    }
    let mut items = Vec::new();
    for (id, name, variant) in wanted {
        let present = present_price(&market, &id)?;
        let new = present.map_or_else(|| market.price(&id, variant.as_deref(), Goods::New), Ok);
        let prices = [new, market.price(&id, variant.as_deref(), Goods::Used)];
        let any = prices.iter().any(Result::is_ok);
        for price in prices {
            // What was seen only new needs no line that it was not seen used.
            let (price, no_price) = match price {
                Ok(price) => (Some(price), None),
                Err(_) if any => continue,
                Err(error) => (None, Some(error.to_string())),
            };
            // A listing that mixes new and used answers for both.
            let known = |one: &ItemPrice| {
                one.id == id.as_str()
                    && one.variant == variant
                    && (price.is_none()
                        || one.price.as_ref().is_some_and(|other| {
                            price.as_ref().is_some_and(|price| {
                                (price.asked, &price.date, &price.source, price.condition)
                                    == (other.asked, &other.date, &other.source, other.condition)
                            })
                        }))
            };
            if items.iter().any(known) {
                continue;
            }
            items.push(ItemPrice {
                name: name.clone(),
                id: id.to_string(),
                variant: variant.clone(),
                price,
                no_price,
            });
        }
    }
    let answer = PriceAnswer { region: region.to_owned(), as_of: market.date.to_string(), items };
    output.answer(&answer, pages::show, |answer| {
        rows_of(
            [
                "item",
                "variant",
                "amount",
                "currency",
                "date",
                "condition",
                "basis",
                "shop",
                "link",
                "source",
            ],
            answer.items.iter().map(|one| {
                let price = one.price.as_ref();
                (
                    &one.id,
                    &one.variant,
                    price.map(|price| price.amount.amount()),
                    price.map(|price| price.amount.currency.code()),
                    price.map(|price| &price.date),
                    price.map(|price| price.condition.word()),
                    price.map(|price| price.basis.word()),
                    price.map(|price| &price.shop),
                    price.and_then(|price| price.link.as_ref()),
                    price.map(|price| &price.source),
                )
            }),
        )
        .map_err(Failure::bug)
    })
}

fn history(
    catalog: &Catalog,
    name: &str,
    svg: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let (id, name, variant) = item(catalog, name)?;
    let seen = answers::history(catalog, &id, variant.as_deref())?;
    let answer = HistoryAnswer { name, id: id.to_string(), seen };
    if let Some(path) = svg {
        let home = catalog.get_in::<Region>("ch")?.1.currency;
        return Ok(localrig_world::write_text(path, &price_chart::svg(&answer, home))?);
    }
    output.answer(&answer, pages::history, |answer| {
        rows_of(
            [
                "date",
                "amount",
                "amount_high",
                "currency",
                "condition",
                "kind",
                "region",
                "variant",
                "shop",
                "link",
                "source",
            ],
            answer.seen.iter().map(|one| {
                (
                    &one.date,
                    one.amount.amount(),
                    one.amount_high.map(localrig_facts::Money::amount),
                    one.amount.currency.code(),
                    one.condition,
                    &one.kind,
                    &one.region,
                    &one.variant,
                    &one.shop,
                    &one.link,
                    &one.source,
                )
            }),
        )
        .map_err(Failure::bug)
    })
}

fn import(catalog: &Catalog, file: &Path, region: &str, output: Output) -> Result<(), Failure> {
    let text = localrig_world::read_text(file)?;
    let path = file.display().to_string();
    let rows = localrig_world::price::import::rows(&path, &text)?;
    let mut store = command::store()?;
    let matcher = localrig_world::price::matching::Matcher::new(catalog, store.aliases()?)?;
    let now = localrig_world::now();
    let (mut all, mut strangers) = (Vec::new(), Vec::new());
    for row in &rows {
        let region = row.region.as_deref().unwrap_or(region);
        catalog.get_in::<Region>(region)?;
        if let Some(name) = &row.item {
            let name = match &row.variant {
                Some(variant) => format!("{name}:{variant}"),
                None => name.clone(),
            };
            let (id, _, variant) = item(catalog, &name)?;
            all.push(seen("import", region, &id, variant, shop(catalog, row.offer()), now));
        } else {
            let one = localrig_world::price::fetch::matched(
                &matcher,
                catalog,
                &[row.offer()],
                "import",
                region,
                now,
            );
            if one.is_empty() {
                strangers.push(row.product.clone());
            }
            all.extend(one);
        }
    }
    localrig_world::price::judge::judge(catalog, &mut all, now);
    let recorded = store.record(&all)?;
    let answer = answers::imported(&path, recorded, &strangers, store.held()?.len());
    output.answer(&answer, pages::fetched, |answer| {
        rows_of(
            ["file", "new", "held", "known"],
            answer.items.iter().map(|one| (&one.name, one.new, one.held, one.known)),
        )
        .map_err(Failure::bug)
    })
}

fn shop(catalog: &Catalog, mut offer: Offer) -> Offer {
    offer.shop = localrig_world::price::fetch::shop_id(catalog, &offer.shop);
    offer
}

fn seen(
    source: &str,
    region: &str,
    item: &Id,
    variant: Option<String>,
    offer: Offer,
    taken: localrig_world::Timestamp,
) -> Seen {
    Seen {
        id: 0,
        source: source.to_owned(),
        region: region.to_owned(),
        item: Some(item.clone()),
        variant,
        offer,
        taken,
        verdict: localrig_world::store::Verdict::accepted(),
    }
}

const CURRENCIES: &str = "currencies: CHF, EUR, GBP, PLN, USD, as in `CHF 900`";

fn set(catalog: &Catalog, args: &SetArgs, output: Output) -> Result<(), Failure> {
    let (id, name, variant) = item(catalog, &args.item)?;
    if variant.is_none() && id.folder() == "system" {
        let keys: Vec<String> = catalog
            .get::<System>(id.as_str())?
            .variants
            .iter()
            .map(|one| format!("{}:{}", id.short(), one.key))
            .collect();
        return Err(Failure::new(INPUT, format!("{name} is sold in several variants"))
            .hint(format!("say which: {}", keys.join(", "))));
    }
    catalog.get_in::<Region>(&args.region)?;
    let written =
        amount::parse(&args.amount).map_err(|error| Failure::new(INPUT, error.to_string()))?;
    // A word that is no currency must not make the price one in the usual currency.
    let mut code = written.currency.as_deref();
    for word in args.amount.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        let is_currency = amount::currency(&word.to_uppercase()).is_some();
        if code.is_some_and(|code| code != word) || (code.is_none() && !is_currency) {
            let said = format!("`{word}` in `{}` is no currency", args.amount);
            return Err(Failure::new(INPUT, said).hint(CURRENCIES));
        }
        code = Some(word);
    }
    let code = code.unwrap_or(&args.currency);
    let currency: Currency =
        amount::currency(&code.to_uppercase()).or_else(|| amount::currency(code)).ok_or_else(
            || Failure::new(INPUT, format!("no prices in {code} are kept")).hint(CURRENCIES),
        )?;
    let today = localrig_world::today();
    let date = args.date.unwrap_or(PartialDate::Day(today));
    if date.earliest() > today {
        return Err(Failure::new(INPUT, format!("{date} has not come yet")));
    }
    if let Some(link) = &args.link
        && !(link.starts_with("https://") || link.starts_with("http://"))
    {
        return Err(Failure::new(INPUT, format!("`{link}` is no web address")));
    }
    let offer = Offer {
        product: name.clone(),
        part_number: None,
        amount: written.amount,
        amount_high: None,
        currency,
        condition: args.condition,
        kind: PriceKind::Offer,
        vat: if args.condition == Condition::Used { Vat::None } else { Vat::Included },
        shop: args.shop.clone(),
        date,
        link: args.link.clone(),
        note: args.note.clone(),
    };
    let now = localrig_world::now();
    let mut one = [seen("manual", &args.region, &id, variant, shop(catalog, offer), now)];
    if !args.sure {
        // A slip of a finger would be the price of every build from now on.
        localrig_world::price::judge::judge(catalog, &mut one, now);
        if let Some(reason) = &one[0].verdict.reason {
            return Err(Failure::new(INPUT, reason.clone())
                .hint("nothing was stored; `--sure` stores it all the same"));
        }
    }
    let recorded = command::store()?.record(&one)?;
    let answer = answers::set(&name, &one[0], recorded);
    output.answer(&answer, pages::stored, |answer| {
        rows_of(["item", "new"], answer.items.iter().map(|one| (&one.id, one.new)))
            .map_err(Failure::bug)
    })
}

fn review(
    catalog: &Catalog,
    accept: Option<i64>,
    name: Option<&str>,
    refuse: Option<i64>,
    output: Output,
) -> Result<(), Failure> {
    let mut store: Store = command::store()?;
    if let Some(number) = accept {
        let held = store.held()?;
        let one = held.iter().find(|one| one.id == number).ok_or_else(|| {
            Failure::new(INPUT, format!("no price {number} waits for a decision"))
                .hint("`localrig price review` lists what waits")
        })?;
        let (id, variant) = match (name, &one.item, &one.verdict.candidates[..]) {
            (Some(name), ..) => {
                let (id, _, variant) = item(catalog, name)?;
                (id, variant)
            }
            (None, Some(id), _) => (id.clone(), one.variant.clone()),
            (None, None, [only]) => (only.clone(), None),
            _ => {
                let list = one.verdict.candidates.iter().map(ToString::to_string).collect();
                return Err(Failure::new(INPUT, "it may be several items")
                    .details(list)
                    .hint("say which with `--item`"));
            }
        };
        // A price that was held for its amount says nothing new about its name.
        let spellings = match one.item {
            Some(_) => Vec::new(),
            None => localrig_world::price::matching::spellings(&one.offer),
        };
        store.accept(number, &id, variant.as_deref(), &spellings, localrig_world::now())?;
    }
    if let Some(number) = refuse {
        store.refuse(number)?;
    }
    let answer = ReviewAnswer { held: answers::held(&store.held()?) };
    output.answer(&answer, pages::review, |answer| {
        rows(answer.held.iter().map(answers::held_row)).map_err(Failure::bug)
    })
}
