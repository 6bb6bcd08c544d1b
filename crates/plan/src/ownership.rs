//! What a machine costs to own: electricity, loss of value, and the same tokens from an API or on
//! rented cards.

use localrig_facts::document::from_toml;
use localrig_facts::rent::{ApiPriceRow, CloudRow, Usage};
use localrig_facts::unit::Watts;
use localrig_facts::{CatalogError, Currency, Money};
use serde::Serialize;

use crate::answer::ServedRole;
use crate::candidate::{Candidate, Idle};
use crate::figure::grouped;
use crate::price::Market;

/// What a machine costs to own. Every range is from the best to the worst case for the owner.
#[derive(Clone, Debug, Serialize)]
pub struct Ownership {
    /// Price per kWh in the currency of the region.
    pub price_per_kwh: f64,
    /// That currency.
    pub currency: Currency,
    /// Where that price comes from.
    pub kwh_basis: String,
    /// Hours a day under load: little, middling, much.
    pub load_hours_per_day: [f64; 3],
    /// Electricity of a year under load, for those hours. Absent when the power is not recorded.
    pub electricity_per_year: Option<[Money; 3]>,
    /// What a year costs more if it is left on all day: its hours without load, least and most.
    pub idle_per_year: Option<Rest>,
    /// Years it is kept.
    pub years: f64,
    /// What it is sold for then, least and most.
    pub resale: Option<[Money; 2]>,
    /// What it costs over those years.
    pub over_years: Option<Spent>,
    /// Price less resale, which is known where the power is not: least, middling and most.
    pub loss_of_value: Option<[Money; 3]>,
    /// Price less resale and electricity, for a month: least and most.
    pub per_month: Option<[Money; 2]>,
    /// The main model's tokens; absent when nothing was estimated for this machine.
    pub tokens: Option<TokenCost>,
    /// Its cards for rent; absent when nobody was seen renting them out.
    pub rent: Option<Rent>,
    /// What the figures assume.
    pub assumptions: Vec<String>,
}

/// Electricity of the hours without load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rest {
    /// Least: lowest power, most hours under load. Most: highest power, fewest hours under load.
    pub cost: [Money; 2],
    /// What was measured: the machine, a box alike or the cards alone.
    pub idle: Idle,
}

/// What owning a machine costs until it is sold: least, middling and most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// Price less resale.
    pub loss_of_value: [Money; 3],
    /// Electricity under load.
    pub electricity: [Money; 3],
    /// Both.
    pub total: [Money; 3],
}

/// What the main model's tokens cost.
#[derive(Clone, Debug, Serialize)]
pub struct TokenCost {
    /// The model.
    pub model: String,
    /// Streams that answer at the same time.
    pub streams: u64,
    /// Here, from the best to the worst case.
    pub here: [Use; 3],
    /// The same model from providers: cheapest, middle and dearest.
    pub api: Vec<ApiOffer>,
    /// Years until the machine has paid for itself against the dearest and the cheapest of them,
    /// with much and with little use; `None` = never, electricity alone costs more.
    pub break_even_years: Option<[Option<f64>; 2]>,
}

/// What tokens cost on the machine in one case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Use {
    /// Hours a day under load.
    pub hours_per_day: f64,
    /// Tokens answered in a second by all streams together: the upper end of the interval, the
    /// middle, the lower end.
    pub tok_per_s: f64,
    /// What the machine is sold for in the end, as a share of its price.
    pub resale_share: f64,
    /// A million tokens answered.
    pub per_million: Money,
    /// A thousand steps of an agent.
    pub per_thousand_steps: Money,
}

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApiOffer {
    /// The provider.
    pub provider: String,
    /// A million tokens answered.
    pub output_per_million: Money,
    /// A thousand agent steps.
    pub per_thousand_steps: Money,
    /// When it was seen.
    pub date: String,
    /// Where.
    pub link: String,
    /// Remark.
    pub note: Option<String>,
}

/// The cards of a machine for rent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rent {
    /// All of them for an hour, from and to.
    pub per_hour: [Money; 2],
    /// Hours under load until the machine has paid for itself against the dearest and the cheapest;
    /// `None` = never.
    pub break_even_hours: [Option<f64>; 2],
    /// Who rents them out, with the day.
    pub providers: Vec<String>,
    /// Where the prices were seen.
    pub links: Vec<String>,
}

/// What the asker knows better than the catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own<'a> {
    /// Price per kWh and where it comes from.
    pub per_kwh: Option<(f64, &'a str)>,
    /// Hours a day under load.
    pub hours: Option<f64>,
}

/// What a machine costs to own.
///
/// # Errors
/// When a catalog file is broken or not there.
pub fn ownership(
    market: &Market<'_>,
    candidate: &Candidate<'_>,
    main: Option<&ServedRole>,
    own: Own<'_>,
) -> Result<Ownership, CatalogError> {
    const PATH: &str = "price/ownership.toml";
    let missing = || CatalogError::Missing { id: PATH.to_owned() };
    let file = market.catalog.file(PATH).ok_or_else(missing)?;
    let usage: Usage = from_toml(&file.path, &file.text)?;
    let home = market.region.currency;
    let (price_per_kwh, kwh_basis) = match own.per_kwh {
        Some((price, basis)) => (price, basis.to_owned()),
        None => tariff(market)?,
    };
    let hours = own.hours.map_or(usage.load_hours_per_day, |hours| [hours; 3]);
    let electricity_per_year =
        candidate.wall.as_ref().map(|wall| wall.power_w).map(|wall| {
            hours.map(|hours| Money::of(kwh(wall, hours * 365.0) * price_per_kwh, home))
        });
    let idle_per_year = candidate.idle.clone().map(|idle| {
        let [low, high] = idle.power_w;
        let year = |power: Watts, busy: f64| {
            Money::of(kwh(power, (24.0 - busy).max(0.0) * 365.0) * price_per_kwh, home)
        };
        Rest { cost: [year(low, hours[2]), year(high, hours[0])], idle }
    });
    let resale = candidate.cost.map(|cost| usage.resale_share.map(|share| cost.scaled(share)));
    let loss_of_value = candidate.cost.map(|cost| {
        let [worst, best] = usage.resale_share;
        [best, f64::midpoint(worst, best), worst].map(|share| cost.scaled(1.0 - share))
    });
    let over_years = loss_of_value.zip(electricity_per_year).map(|(loss_of_value, a_year)| {
        let electricity = a_year.map(|a_year| a_year.scaled(usage.years));
        let total = std::array::from_fn(|case| loss_of_value[case] + electricity[case]);
        Spent { loss_of_value, electricity, total }
    });
    let months = usage.years * 12.0;
    let per_month = over_years
        .map(|spent| [spent.total[0], spent.total[2]].map(|one| one.scaled(1.0 / months)));
    let tokens = match (main, candidate.cost, electricity_per_year) {
        (Some(main), Some(cost), Some(electricity)) => {
            Some(token_cost(market, &usage, main, cost, hours, electricity)?)
        }
        _ => None,
    };
    let rent = match (candidate.cost, &candidate.wall) {
        (Some(cost), Some(wall)) => {
            rent(market, candidate, cost, kwh(wall.power_w, 1.0) * price_per_kwh)?
        }
        _ => None,
    };
    let known = (resale.is_some(), electricity_per_year.is_some());
    let assumptions = assumptions(&usage, own, known, tokens.as_ref(), rent.as_ref());
    Ok(Ownership {
        price_per_kwh,
        currency: home,
        kwh_basis,
        load_hours_per_day: hours,
        electricity_per_year,
        idle_per_year,
        years: usage.years,
        resale,
        over_years,
        loss_of_value,
        per_month,
        tokens,
        rent,
        assumptions,
    })
}

/// What the figures that are there rest on.
fn assumptions(
    usage: &Usage,
    own: Own<'_>,
    (resale, load): (bool, bool),
    tokens: Option<&TokenCost>,
    rent: Option<&Rent>,
) -> Vec<String> {
    let sold = || {
        format!(
            "sold after {} years for {:.0} to {:.0} % of its price (assumed, not measured)",
            usage.years,
            usage.resale_share[0] * 100.0,
            usage.resale_share[1] * 100.0
        )
    };
    let [little, middling, much] = usage.load_hours_per_day;
    let hours = || format!("{little}, {middling} and {much} hours a day under load (assumed)");
    let step = || {
        let step = &usage.agent_step;
        format!(
            "an agent step sends {} tokens, {:.0} % of them cached, and gets {:.0} (assumed)",
            grouped(step.input_tokens.round() as i64),
            step.cached_share * 100.0,
            step.output_tokens
        )
    };
    let rest = || {
        "hours without load are not in the totals: one may switch it off or let it sleep".to_owned()
    };
    let together = || {
        "tokens of all streams together; reading prompts takes time of its own that is not counted"
            .to_owned()
    };
    let offered = tokens.is_some_and(|tokens| !tokens.api.is_empty());
    let elsewhere = match (offered, rent.is_some()) {
        (true, _) => Some("providers' prices without tax, converted; break-even without resale"),
        (false, true) => Some("rents without tax, converted; break-even without resale"),
        (false, false) => None,
    };
    [
        resale.then(sold),
        (load && own.hours.is_none()).then(hours),
        tokens.map(|_| step()),
        load.then(rest),
        tokens.map(|_| together()),
        elsewhere.map(str::to_owned),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn kwh(power: Watts, hours: f64) -> f64 {
    power.get() * hours / 1000.0
}

/// The region's newest household price that is not of a later year.
fn tariff(market: &Market<'_>) -> Result<(f64, String), CatalogError> {
    let year = market.date.year();
    let known = market.region.electricity.iter().filter(|one| one.year <= year);
    let newest = known.max_by_key(|one| one.year).ok_or_else(|| CatalogError::Missing {
        id: format!("region/{}.toml: electricity up to {year}", market.region_id),
    })?;
    Ok((
        newest.per_kwh,
        format!(
            "{}, median of {}: {}",
            market.region.name,
            newest.year,
            newest.basis.replace(", median", "")
        ),
    ))
}

fn token_cost(
    market: &Market<'_>,
    usage: &Usage,
    main: &ServedRole,
    cost: Money,
    hours: [f64; 3],
    electricity: [Money; 3],
) -> Result<TokenCost, CatalogError> {
    let speed = &main.per_stream_tok_per_s;
    let streams = main.streams as f64;
    let [worst, best] = usage.resale_share;
    // Much use at high speed and good resale is the best case, and so on.
    let cases = [
        (best, speed.high, hours[2], electricity[2]),
        (f64::midpoint(worst, best), speed.value, hours[1], electricity[1]),
        (worst, speed.low, hours[0], electricity[0]),
    ];
    let step = &usage.agent_step;
    // A thousand steps answer a thousandth of a million times their length.
    let thousand_steps = step.output_tokens * 1000.0 / 1e6;
    let here = cases.map(|(resale_share, speed, hours_per_day, electricity)| {
        let tok_per_s = speed.get() * streams;
        let loss_of_value = cost.scaled((1.0 - resale_share) / usage.years);
        let millions = millions_a_year(tok_per_s, hours_per_day);
        let per_million = (loss_of_value + electricity).scaled(1.0 / millions);
        let per_thousand_steps = per_million.scaled(thousand_steps);
        Use { hours_per_day, tok_per_s, resale_share, per_million, per_thousand_steps }
    });

    let factor = market.factor(Currency::Usd);
    let name = main.model_id.within_folder().to_lowercase();
    let mut offers: Vec<(f64, ApiPriceRow)> = market
        .catalog
        .rows::<ApiPriceRow>("price/api.csv")?
        .into_iter()
        .filter(|row| row.date.earliest() <= market.date)
        .filter(|row| row.hf_id.as_ref().is_some_and(|id| id.to_lowercase() == name))
        .map(|row| {
            let cached = row.cached_input_usd_per_m.unwrap_or(row.input_usd_per_m);
            let input =
                step.cached_share * cached + (1.0 - step.cached_share) * row.input_usd_per_m;
            let thousand =
                (step.input_tokens * input + step.output_tokens * row.output_usd_per_m) / 1000.0;
            (thousand, row)
        })
        .collect();
    offers.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.provider.cmp(&b.1.provider)));
    let home = market.region.currency;
    let picked: Vec<usize> = match offers.len() {
        0 => Vec::new(),
        1 => vec![0],
        2 => vec![0, 1],
        many => vec![0, many / 2, many - 1],
    };
    let api: Vec<ApiOffer> = factor
        .into_iter()
        .flat_map(|(factor, _)| {
            picked
                .iter()
                .map(|at| &offers[*at])
                .map(move |(thousand, row)| ApiOffer {
                    provider: row.provider.clone(),
                    output_per_million: Money::of(row.output_usd_per_m * factor, home),
                    per_thousand_steps: Money::of(thousand * factor, home),
                    date: row.date.to_string(),
                    link: row.url.clone(),
                    note: row.note.clone(),
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let break_even_years = api.first().zip(api.last()).map(|(cheapest, dearest)| {
        let years = |offer: &ApiOffer, here: &Use, electricity: Money| {
            let millions = millions_a_year(here.tok_per_s, here.hours_per_day);
            let thousands_of_steps = millions / thousand_steps;
            let saved =
                offer.per_thousand_steps.amount() * thousands_of_steps - electricity.amount();
            (saved > 0.0).then(|| cost.amount() / saved)
        };
        [years(dearest, &here[0], electricity[2]), years(cheapest, &here[2], electricity[0])]
    });
    Ok(TokenCost {
        model: format!("{} {}", main.model, main.format),
        streams: main.streams,
        here,
        api,
        break_even_years,
    })
}

/// Millions of tokens that so many in a second are in a year of such days.
fn millions_a_year(tok_per_s: f64, hours_per_day: f64) -> f64 {
    tok_per_s * 3600.0 * hours_per_day * 365.0 / 1e6
}

fn rent(
    market: &Market<'_>,
    candidate: &Candidate<'_>,
    cost: Money,
    electricity_per_hour: f64,
) -> Result<Option<Rent>, CatalogError> {
    let (Some((factor, _)), [device]) =
        (market.factor(Currency::Usd), &candidate.machine.devices[..])
    else {
        return Ok(None);
    };
    let mut rows: Vec<CloudRow> = market.catalog.rows("price/cloud.csv")?;
    rows.retain(|row| {
        row.item.as_ref() == Some(device.id)
            && row.date.earliest() <= market.date
            && row.commitment.as_deref() == Some("on-demand")
    });
    rows.sort_by(|a, b| a.usd_per_gpu_hour.total_cmp(&b.usd_per_gpu_hour));
    let (Some(low), Some(high)) = (rows.first(), rows.last()) else { return Ok(None) };
    let hour = |row: &CloudRow| row.usd_per_gpu_hour * factor * f64::from(device.count);
    let even = |row: &CloudRow| {
        let saved = hour(row) - electricity_per_hour;
        (saved > 0.0).then(|| cost.amount() / saved)
    };
    let home = market.region.currency;
    let mut links: Vec<String> = rows.iter().map(|row| row.url.clone()).collect();
    links.dedup();
    Ok(Some(Rent {
        per_hour: [low, high].map(|row| Money::of(hour(row), home)),
        break_even_hours: [even(high), even(low)],
        providers: rows.iter().map(lessor).collect(),
        links,
    }))
}

/// Who rents it out, with the kind of offer and the day.
fn lessor(row: &CloudRow) -> String {
    match row.tier.as_str() {
        "" => format!("{} ({})", row.provider, row.date),
        tier => format!("{} ({tier}, {})", row.provider, row.date),
    }
}
