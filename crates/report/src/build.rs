//! One machine in full: parts with prices, checks, power, growth, what it costs to own.

use localrig_facts::Money;
use localrig_facts::price::Condition;
use localrig_facts::shop::Tier;
use localrig_facts::unit::Watts;
use localrig_plan::answer::Part;
use localrig_plan::candidate::IdleBasis;
use localrig_plan::check::{Check, Outcome};
use localrig_plan::configuration::{Configuration, PartNote, Upgrade};
use localrig_plan::ownership::{ApiOffer, Ownership};

use crate::number::{from_to, gib_words, grouped, money, noise, two_digits};
use crate::page::{Page, Table, Text};
use crate::plan::{cache_words, part_table, price_remark, under_load};

/// The page of a configuration.
pub fn page(answer: &Configuration) -> Page {
    let mut page = Page::default();
    page.heading(1, answer.name.clone());
    summary(&mut page, answer);
    page.heading(2, "Parts");
    page.table(part_table(&answer.parts));
    page.list(answer.parts.iter().filter_map(price_remark).collect());
    total(&mut page, answer);
    used_goods(&mut page, answer);
    documented(&mut page, answer);
    page.heading(2, "Checks");
    checks(&mut page, answer);
    page.heading(2, "Power, heat, noise");
    power(&mut page, answer);
    page.heading(2, "Room for growth");
    growth(&mut page, &answer.growth, answer.upgrade.as_ref());
    page.heading(2, "What it costs to own");
    cost_of_ownership(&mut page, &answer.ownership);
    assembly(&mut page, &answer.assembly, 2);
    page.heading(2, "Without a screen");
    page.list(answer.headless.iter().map(Into::into).collect());
    if !answer.alternatives.is_empty() {
        page.heading(2, "Other base systems");
        let list = answer
            .alternatives
            .iter()
            .map(|one| Text::from(format!("{}: {} ({})", one.name, money(one.cost), one.key)));
        page.list(list.collect());
    }
    page
}

fn summary(page: &mut Page, answer: &Configuration) {
    if let Some(rule) = &answer.refused_by {
        page.paragraph(Text::default().strong("This does not work: ").plain(rule.clone()));
    }
    let text = Text::default()
        .strong(answer.cost.map_or_else(
            || match answer.priced.minor {
                0 => "No price is known".to_owned(),
                _ => format!("{} for the parts that have a price", money(answer.priced)),
            },
            money,
        ))
        .plain(format!(
            "{}, {} of accelerator memory, {}. Prices in {} as of {}.",
            match answer.cost_range {
                [low, high] if low == high => String::new(),
                [low, high] => format!(" ({})", from_to(money(low), money(high))),
            },
            gib_words(answer.memory_bytes),
            noise_words(answer),
            answer.region.to_uppercase(),
            answer.as_of
        ));
    page.paragraph(text);
    page.list(roles(answer));
    if let Some(reason) = &answer.not_served {
        page.paragraph(format!("No models are placed on it: {reason}."));
    }
}

/// What would run on it, one item for each role.
pub(crate) fn roles(answer: &Configuration) -> Vec<Text> {
    let roles = answer.roles.iter().map(|role| {
        Text::from(format!(
            "{}: {} {}{} on {}, {} tok/s {} while everything runs",
            role.role,
            role.model,
            role.format,
            cache_words(role),
            role.engine,
            under_load(role),
            match role.streams {
                1 => "with one stream".to_owned(),
                several => format!("for each of {several} streams"),
            }
        ))
    });
    roles.collect()
}

fn noise_words(answer: &Configuration) -> String {
    format!("noise {}", noise(answer.noise))
}

/// The rule on the link between boxes where what joins them is not among the parts.
pub(crate) fn unjoined(checks: &[Check]) -> Option<&Check> {
    let link = checks.iter().find(|check| check.rule == "cluster link");
    link.filter(|check| check.outcome == Outcome::NotChecked)
}

pub(crate) fn total(page: &mut Page, answer: &Configuration) {
    let missing = answer.parts.iter().filter(|part| part.price.is_none()).count();
    let sum = match answer.cost {
        Some(cost) => format!("Total {}", money(cost)),
        None if missing == answer.parts.len() => "No price is known".to_owned(),
        None => {
            let parts = if missing == 1 { "part that has" } else { "parts that have" };
            format!("Without {missing} {parts} no price: {}", money(answer.priced))
        }
    };
    let sum = if unjoined(&answer.checks).is_some() {
        format!("{sum}, without what joins the boxes")
    } else {
        sum
    };
    let old = answer.not_current.len();
    if old == 0 {
        page.paragraph(format!("{sum}; every price was asked in the region lately."));
    } else {
        // The table and the remarks below it have basis and age of each.
        let of = answer.parts.len();
        page.paragraph(format!(
            "{sum}. {old} of {of} parts {} no current price in the region: ask again before you \
             order.",
            if old == 1 { "has" } else { "have" }
        ));
    }
}

/// What to ask and to try where parts are not new.
fn used_goods(page: &mut Page, answer: &Configuration) {
    let used = answer.parts.iter().filter_map(|part| {
        let price = part.price.as_ref().filter(|price| price.condition != Condition::New)?;
        let seller = match price.tier {
            Some(Tier::Observer) | None => "no seller is named".to_owned(),
            Some(tier) => format!("from a {}", tier.word()),
        };
        Some(Text::from(format!("{}: {}, {seller}", part.name, price.condition.word())))
    });
    let used: Vec<Text> = used.collect();
    if used.is_empty() {
        return;
    }
    page.heading(2, "Goods that are not new");
    page.list(used);
    page.paragraph(
        "Ask what is left of the maker's warranty, whether it goes over to you, and by when you may \
         give it back; none of that is recorded here. Until then let it run for a day under the load \
         that it is bought for, with its memory filled, and read what the driver counts: errors, \
         throttling, temperatures.",
    );
}

/// What build guides say of the same machine.
fn documented(page: &mut Page, answer: &Configuration) {
    for one in &answer.documented {
        let difference = one.difference_percent.map_or_else(
            || "no total here to compare with".to_owned(),
            |percent| format!("this one is {percent:+.0} %"),
        );
        page.paragraph(format!(
            "{} ({}): {}; {difference}, because",
            one.product,
            if one.source.contains(&one.date) {
                one.source.clone()
            } else {
                format!("{}, {}", one.source, one.date)
            },
            money(one.total)
        ));
        page.list(one.reasons.iter().map(|said| Text::from(said.clone())).collect());
    }
}

pub(crate) fn checks(page: &mut Page, answer: &Configuration) {
    let mut table = Table::new(&["rule", "outcome", "reason", "rests on"]);
    for check in &answer.checks {
        let word = match check.outcome {
            Outcome::Fail | Outcome::Warn => Text::default().strong(check.outcome.word()),
            _ => check.outcome.word().into(),
        };
        let reason = check.reason.clone();
        table.row([check.rule.into(), word, reason.into(), check.source.into()]);
    }
    page.table(table);
}

/// `8 to 25 W`, or `17 W` where both ends are the same.
fn watt_range(range: [Watts; 2]) -> String {
    let [low, high] = range.map(|one| grouped(one.get().round() as i64));
    if low == high { format!("{low} W") } else { format!("{low} to {high} W") }
}

pub(crate) fn power(page: &mut Page, answer: &Configuration) {
    let watts = |value: f64| format!("{} W", grouped(value.round() as i64));
    let power = &answer.power;
    let idle = power.idle.as_ref().map_or_else(
        || "not measured".to_owned(),
        |idle| {
            let note = idle.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
            format!("{} ({}{note})", watt_range(idle.power_w), idle.basis.words())
        },
    );
    let wall = power.wall_w.map_or_else(|| "not recorded".to_owned(), |wall| watts(wall.get()));
    page.list(vec![
        format!("at rest: {idle}").into(),
        format!("at the wall under full load, and as heat into the room: {wall} ({})", power.basis)
            .into(),
        format!("noise: {} ({})", noise(answer.noise), answer.noise_basis).into(),
    ]);
}

/// The notes on the parts, under a heading of this level; nothing where there are none.
pub(crate) fn assembly(page: &mut Page, notes: &[PartNote], level: u8) {
    if notes.is_empty() {
        return;
    }
    page.heading(level, "Notes on the parts");
    let told = notes.iter().map(|one| {
        Text::from(format!("{}, {}: {} ({})", one.part, one.about, one.text, one.source))
    });
    page.list(told.collect());
}

/// What can be added later, and the steps to the next size up.
pub(crate) fn growth(page: &mut Page, room: &str, upgrade: Option<&Upgrade>) {
    page.paragraph(room);
    let Some(upgrade) = upgrade else { return };
    let cost = upgrade.cost.map_or_else(|| "some parts have no price".to_owned(), money);
    page.paragraph(match &upgrade.refused_by {
        None => format!("To {}: {cost}", upgrade.to),
        // Without a whole machine the sum is that of some parts.
        Some(rule) => format!("To {}: refused, {rule}; {cost} for what is listed", upgrade.to),
    });
    page.list(steps(upgrade));
}

fn steps(upgrade: &Upgrade) -> Vec<Text> {
    let bought = |what: String, part: &Part| {
        let amount = part.amount.map_or_else(|| "no price".to_owned(), money);
        let said = format!("{what} {}x {}: {amount}", part.count, part.name);
        let Some(price) = &part.price else { return said.into() };
        let basis = price.basis.word();
        let shared = price.shared.as_ref();
        let parcel =
            shared.map_or_else(String::new, |one| format!(", in one parcel with {}", one.of));
        let text = Text::from(format!("{said} ({}, {}, {basis}{parcel}) ", price.shop, price.date));
        match &price.link {
            Some(link) => text.link("seen there", link),
            None => text.plain("no link"),
        }
    };
    let add = upgrade.add.iter().map(|part| bought("add".to_owned(), part));
    let replace =
        upgrade.replace.iter().map(|one| bought(format!("replace {} by", one.old), &one.new));
    add.chain(replace).collect()
}

pub(crate) fn cost_of_ownership(page: &mut Page, own: &Ownership) {
    let [little, middling, much] = own.load_hours_per_day;
    let mut lines: Vec<Text> = Vec::new();
    if let Some([low, middle, high]) = own.electricity_per_year {
        let (rate, basis) = (per_kwh(own), &own.kwh_basis);
        let (hours, a_year) = if little >= much {
            (format!("{much}"), money(high))
        } else {
            let [low, middle, high] = [low, middle, high].map(money);
            (format!("{little}, {middling} and {much}"), format!("{low}, {middle} and {high}"))
        };
        let said = format!(
            "electricity for {hours} hours of full load a day: {a_year} a year, at {rate} per kWh ({basis})"
        );
        lines.push(said.into());
    } else {
        lines.push(
            "electricity: not known, since what the machine draws is not recorded; so there is no \
             cost per month and none per token either"
                .into(),
        );
    }
    if let Some(rest) = &own.idle_per_year {
        let (cost, power) =
            (from_to(money(rest.cost[0]), money(rest.cost[1])), watt_range(rest.idle.power_w));
        let basis = rest.idle.basis.words();
        // Of a PC only the cards are known: it draws more.
        let least = if rest.idle.basis == IdleBasis::Cards { "at least " } else { "" };
        let said = format!("left on all day: {least}{cost} a year more, {power} at rest ({basis})");
        lines.push(said.into());
    }
    if let Some([low, high]) = own.resale {
        lines.push(
            format!("worth {} after {} years", from_to(money(low), money(high)), own.years).into(),
        );
    }
    if let Some([low, high]) = own.per_month {
        lines.push(
            format!("a month, loss of value and electricity: {}", from_to(money(low), money(high)))
                .into(),
        );
    }
    page.list(lines);
    if let Some(tokens) = &own.tokens {
        let mut table =
            Table::new(&["who", ">1M tokens answered", ">1,000 agent steps", "seen", "where"]);
        for one in &tokens.here {
            table.row([
                format!(
                    "here: {} h a day at {} tok/s, sold for {:.0} %",
                    one.hours_per_day,
                    two_digits(one.tok_per_s),
                    one.resale_share * 100.0
                )
                .into(),
                one.per_million.to_string().into(),
                one.per_thousand_steps.to_string().into(),
                Text::default(),
                Text::default(),
            ]);
        }
        for offer in &tokens.api {
            table.row([
                offer.provider.clone().into(),
                offer.output_per_million.to_string().into(),
                offer.per_thousand_steps.to_string().into(),
                offer.date.clone().into(),
                Text::default().link("price", offer.link.clone()),
            ]);
        }
        page.paragraph(format!(
            "{} with {}, from the best case for the owner to the worst:",
            tokens.model,
            match tokens.streams {
                1 => "one stream".to_owned(),
                several => format!("{several} streams together"),
            }
        ));
        page.table(table);
        let remark = |offer: &ApiOffer| {
            Some(Text::from(format!("{}: {}", offer.provider, offer.note.as_ref()?)))
        };
        page.list(tokens.api.iter().filter_map(remark).collect());
        match tokens.break_even_years {
            Some([best, worst]) => page.paragraph(format!(
                "Paid for against these providers, by agent steps, after {} of such use.",
                from_to(years(best), years(worst))
            )),
            None => page.paragraph("No provider of this model is recorded."),
        }
    }
    if let Some(rent) = &own.rent {
        let paid = match rent.break_even_hours {
            [None, _] => "never paid for: electricity alone costs more".to_owned(),
            [Some(best), None] => format!(
                "paid for after {} hours under load against the dearest, never against the \
                 cheapest: electricity alone costs more",
                two_digits(best)
            ),
            [Some(best), Some(worst)] => format!(
                "paid for after {} hours under load",
                from_to(two_digits(best), two_digits(worst))
            ),
        };
        let mut text = Text::from(format!(
            "The same cards for rent: {} an hour ({}); {paid}; seen at",
            from_to(rent.per_hour[0], rent.per_hour[1]),
            rent.providers.join(", "),
        ));
        for (place, link) in rent.links.iter().enumerate() {
            let host = link.split("://").nth(1).unwrap_or(link).split('/').next().unwrap_or(link);
            text = text.plain(if place == 0 { " " } else { ", " }).link(host, link.clone());
        }
        text = text.plain(".");
        page.paragraph(text);
    }
    page.list(own.assumptions.iter().map(|one| Text::from(one.clone())).collect());
}

/// `CHF 0.277`.
pub(crate) fn per_kwh(own: &Ownership) -> String {
    format!("{} {:.3}", own.currency.code(), own.price_per_kwh)
}

fn years(value: Option<f64>) -> String {
    match value {
        None => "never".to_owned(),
        Some(years) if years > 100.0 => "more than 100 years".to_owned(),
        Some(years) => format!("{} years", two_digits(years)),
    }
}

/// Rows of the parts as CSV.
///
/// # Errors
/// When a row cannot be written.
pub fn csv(answer: &Configuration) -> Result<String, csv::Error> {
    crate::rows_of(
        [
            "role",
            "id",
            "name",
            "count",
            "amount",
            "currency",
            "date",
            "condition",
            "basis",
            "shop",
            "link",
            "source",
        ],
        answer.parts.iter().map(|part| {
            let price = part.price.as_ref();
            (
                part.role,
                &part.id,
                &part.name,
                part.count,
                part.amount.map(Money::amount),
                part.amount.map(|amount| amount.currency.code()),
                price.map(|price| &price.date),
                price.map(|price| price.condition.word()),
                price.map(|price| price.basis.word()),
                price.map(|price| &price.shop),
                price.and_then(|price| price.link.as_ref()),
                price.map(|price| &price.source),
            )
        }),
    )
}
