//! One machine in full: parts with prices, checks, power, growth, what it costs to own.

use localrig_facts::Money;
use localrig_plan::answer::Part;
use localrig_plan::check::Outcome;
use localrig_plan::configuration::{Configuration, Upgrade};
use localrig_plan::ownership::Ownership;

use crate::number::{gib, grouped, money, noise, speed, two_digits};
use crate::page::{Page, Table, Text};
use crate::plan::{part_table, price_remark};

/// The page of a configuration.
pub fn page(answer: &Configuration) -> Page {
    let mut page = Page::default();
    page.heading(1, answer.name.clone());
    summary(&mut page, answer);
    page.heading(2, "Parts");
    page.table(part_table(&answer.parts));
    page.list(answer.parts.iter().filter_map(price_remark).collect());
    total(&mut page, answer);
    documented(&mut page, answer);
    checks(&mut page, answer);
    power(&mut page, answer);
    growth(&mut page, answer);
    cost_of_ownership(&mut page, &answer.ownership);
    if !answer.assembly.is_empty() {
        page.heading(2, "Putting it together");
        let notes = answer
            .assembly
            .iter()
            .map(|one| Text::from(format!("{}: {} ({})", one.part, one.text, one.source)));
        page.list(notes.collect());
    }
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
            || format!("{} for the parts that have a price", money(answer.priced)),
            money,
        ))
        .plain(format!(
            " ({} to {}), {} GiB of accelerator memory, {}. Prices in {} as of {}.",
            money(answer.cost_range[0]),
            money(answer.cost_range[1]),
            gib(answer.memory_bytes),
            noise_words(answer),
            answer.region.to_uppercase(),
            answer.as_of
        ));
    page.paragraph(text);
    let roles = answer.roles.iter().map(|role| {
        Text::from(format!(
            "{}: {} {} on {}, {} tok/s per stream with {} streams",
            role.role,
            role.model,
            role.format,
            role.engine,
            speed(&role.per_stream_tok_per_s),
            role.streams
        ))
    });
    page.list(roles.collect());
}

fn noise_words(answer: &Configuration) -> String {
    format!("noise {}", noise(answer.noise))
}

fn total(page: &mut Page, answer: &Configuration) {
    let missing = answer.parts.iter().filter(|part| part.price.is_none()).count();
    let sum = match answer.cost {
        Some(cost) => format!("Total {}", money(cost)),
        None => format!("Without {missing} parts that have no price: {}", money(answer.priced)),
    };
    if answer.not_current.is_empty() {
        page.paragraph(format!("{sum}; every price was asked in the region lately."));
    } else {
        page.paragraph(format!("{sum}. Without a current price in the region:"));
        page.list(answer.not_current.iter().map(Into::into).collect());
    }
}

/// What build guides say of the same machine.
fn documented(page: &mut Page, answer: &Configuration) {
    for one in &answer.documented {
        let difference = one.difference_percent.map_or_else(
            || "no total here to compare with".to_owned(),
            |percent| format!("this one is {percent:+.0} %"),
        );
        page.paragraph(format!(
            "{} ({}, {}): {}; {difference}, because",
            one.product,
            one.source,
            one.date,
            money(one.total)
        ));
        page.list(one.reasons.iter().map(|said| Text::from(said.clone())).collect());
    }
}

fn checks(page: &mut Page, answer: &Configuration) {
    page.heading(2, "Checks");
    let mut table = Table::new(&["rule", "outcome", "reason"]);
    for check in &answer.checks {
        let word = match check.outcome {
            Outcome::Fail | Outcome::Warn => Text::default().strong(check.outcome.word()),
            _ => check.outcome.word().into(),
        };
        table.row([check.rule.into(), word, check.reason.clone().into()]);
    }
    page.table(table);
}

fn power(page: &mut Page, answer: &Configuration) {
    page.heading(2, "Power, heat, noise");
    let watts = |value: f64| format!("{} W", grouped(value.round() as i64));
    let power = &answer.power;
    let idle = power.idle_w.map_or_else(
        || "not measured".to_owned(),
        |[low, high]| format!("{} to {}", watts(low.get()), watts(high.get())),
    );
    let wall = power.wall_w.map_or_else(|| "not recorded".to_owned(), |wall| watts(wall.get()));
    page.list(vec![
        format!("idle: {idle}").into(),
        format!("at most at the wall, and as heat into the room: {wall} ({})", power.basis).into(),
        format!("{}: {}", noise_words(answer), answer.noise_basis).into(),
    ]);
}

fn growth(page: &mut Page, answer: &Configuration) {
    page.heading(2, "Room for growth");
    page.paragraph(answer.growth.clone());
    let Some(upgrade) = &answer.upgrade else { return };
    page.paragraph(format!(
        "To {}: {}{}",
        upgrade.to,
        upgrade.cost.map_or_else(|| "some parts have no price".to_owned(), money),
        upgrade.refused_by.as_ref().map_or(String::new(), |rule| format!("; refused, {rule}"))
    ));
    page.list(steps(upgrade));
}

fn steps(upgrade: &Upgrade) -> Vec<Text> {
    let bought = |part: &Part| {
        let price = part.amount.map_or_else(|| "no price".to_owned(), money);
        let seen = part
            .price
            .as_ref()
            .map_or(String::new(), |price| format!(" ({}, {})", price.shop, price.date));
        format!("{}x {}: {price}{seen}", part.count, part.name)
    };
    let add = upgrade.add.iter().map(|part| format!("add {}", bought(part)));
    let replace =
        upgrade.replace.iter().map(|one| format!("replace {} by {}", one.old, bought(&one.new)));
    add.chain(replace).map(Into::into).collect()
}

fn cost_of_ownership(page: &mut Page, own: &Ownership) {
    page.heading(2, "What it costs to own");
    let [little, middling, much] = own.load_hours_per_day;
    let mut lines: Vec<Text> = Vec::new();
    if let Some([low, middle, high]) = own.electricity_per_year {
        lines.push(
            format!(
                "electricity for {little}, {middling} and {much} hours of full load a day: {}, {} and {} a year, at {} per kWh ({})",
                money(low), money(middle), money(high), two_digits_of(own.price_per_kwh), own.kwh_basis
            )
            .into(),
        );
    }
    if let Some([low, high]) = own.resale {
        lines.push(
            format!("worth {} to {} after {} years", money(low), money(high), own.years).into(),
        );
    }
    if let Some([low, high]) = own.per_month {
        lines.push(
            format!("a month, loss of value and electricity: {} to {}", money(low), money(high))
                .into(),
        );
    }
    page.list(lines);
    if let Some(tokens) = &own.tokens {
        let mut table =
            Table::new(&["who", ">1M tokens answered", ">1,000 agent steps", "seen", "where"]);
        for (name, at) in
            [("here, much use", 0), ("here, middling use", 1), ("here, little use", 2)]
        {
            table.row([
                name.into(),
                tokens.per_million[at].to_string().into(),
                tokens.per_thousand_steps[at].to_string().into(),
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
            "{} at {} tok/s, all streams together:",
            tokens.model,
            two_digits(tokens.tok_per_s)
        ));
        page.table(table);
        match tokens.break_even_years {
            Some([best, worst]) => page.paragraph(format!(
                "Paid for against these providers after {} to {}.",
                years(best),
                years(worst)
            )),
            None => page.paragraph("No provider of this model is recorded."),
        }
    }
    if let Some(rent) = &own.rent {
        let [best, worst] = rent.break_even_hours.map(|hours| {
            hours.map_or_else(
                || "never".to_owned(),
                |hours| format!("{} hours", grouped(hours.round() as i64)),
            )
        });
        let mut text = Text::from(format!(
            "The same cards for rent: {} to {} an hour ({}); paid for after {best} to {worst} under load",
            rent.per_hour[0],
            rent.per_hour[1],
            rent.providers.join(", ")
        ));
        for link in &rent.links {
            text = text.plain(", ").link("prices", link.clone());
        }
        page.paragraph(text);
    }
    page.list(own.assumptions.iter().map(|one| Text::from(one.clone())).collect());
}

fn two_digits_of(per_kwh: f64) -> String {
    format!("{per_kwh:.3}")
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
