//! Prices: what something costs now and cost before, what a fetch brought, what waits for a
//! decision, what has moved since a document was written.

use localrig_facts::Money;
use localrig_facts::price::PriceKind;
use localrig_facts::shop::Tier;
use localrig_plan::drift::{DriftAnswer, DriftLine};
use localrig_plan::price::{Price, PriceBasis};
use serde::Serialize;

use crate::number::{from_to, grouped, money};
use crate::page::{Page, Table, Text};

/// Prices of items.
#[derive(Clone, Debug, Serialize)]
pub struct PriceAnswer {
    /// Where.
    pub region: String,
    /// The day.
    pub as_of: String,
    /// One entry for each item, new and used apart.
    pub items: Vec<ItemPrice>,
}

/// The price of an item.
#[derive(Clone, Debug, Serialize)]
pub struct ItemPrice {
    /// Name.
    pub name: String,
    /// Catalog id.
    pub id: String,
    /// The variant of a system.
    pub variant: Option<String>,
    /// The price; absent when there is none.
    pub price: Option<Price>,
    /// Why there is none.
    pub no_price: Option<String>,
}

/// The page of prices.
pub fn show(answer: &PriceAnswer) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("Prices in {} as of {}", answer.region.to_uppercase(), answer.as_of));
    let mut table =
        Table::new(&["item", ">price", "seen", "age", "condition", "basis", "shop", "where"]);
    for one in &answer.items {
        let name = named(&one.name, one.variant.as_deref());
        let Some(price) = &one.price else {
            let reason = one.no_price.clone().unwrap_or_default();
            let none = || Text::default();
            table.row([
                name.into(),
                "none".into(),
                none(),
                none(),
                none(),
                reason.into(),
                none(),
                none(),
            ]);
            continue;
        };
        table.row([
            name.into(),
            // What was converted or raised is no better than whole units.
            match price.basis {
                PriceBasis::Derived | PriceBasis::Raised => money(price.amount),
                _ => price.amount.to_string(),
            }
            .into(),
            price.date.clone().into(),
            days(price.age_days).into(),
            price.condition.word().into(),
            price.basis.word().into(),
            price.shop.clone().into(),
            place(price.link.as_deref(), &price.source),
        ]);
    }
    page.table(table);
    page.list(answer.items.iter().flat_map(remarks).collect());
    page
}

/// Where a price can be seen: its link, else who reports it.
fn place(link: Option<&str>, source: &str) -> Text {
    match link {
        Some(link) => Text::default().link("offer", link),
        None => source.into(),
    }
}

/// Whether an address is of a page and not of a whole site.
pub(crate) fn is_page(link: &str) -> bool {
    let path = link.split("://").nth(1).and_then(|rest| rest.split_once('/'));
    path.is_some_and(|(_, path)| !path.is_empty())
}

/// What kind of figure a price is, and of whom: a report of prices asks for nothing itself.
pub(crate) fn asked(price: &Price) -> String {
    let what = match price.kind {
        PriceKind::Offer => "asked",
        kind => kind.words(),
    };
    let shop = &price.shop;
    match (price.tier, shop.strip_prefix("No ")) {
        (_, Some(nobody)) => format!("{what}, no {nobody}"),
        (Some(Tier::Observer), _) => format!("{what}, reported by {shop}"),
        (Some(Tier::Marketplace), _) => format!("{what} on {shop}"),
        _ => format!("{what} by {shop}"),
    }
}

fn named(name: &str, variant: Option<&str>) -> String {
    variant.map_or_else(|| name.to_owned(), |variant| format!("{name} ({variant})"))
}

fn days(days: i32) -> String {
    match days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn remarks(one: &ItemPrice) -> Vec<Text> {
    let Some(price) = &one.price else { return Vec::new() };
    let mut said = Vec::new();
    if price.basis == PriceBasis::Stale {
        said.push("no newer price is known".to_owned());
    }
    if let Some(derivation) = &price.derivation {
        said.push(format!("{}: {derivation}", asked(price)));
    }
    if let Some([low, high]) = price.spread {
        said.push(format!("sources say {}", from_to(money(low), money(high))));
    }
    if let Some(stale) = &price.stale_regional {
        said.push(format!("in the region last seen at {} on {}", stale.amount, stale.date));
    }
    if let Some(note) = &price.note {
        said.push(note.clone());
    }
    if price.link.as_deref().is_some_and(|link| !is_page(link)) {
        said.push("the link is the front page: the page of the price was not recorded".to_owned());
    }
    if said.is_empty() {
        return Vec::new();
    }
    vec![format!("{}: {}", named(&one.name, one.variant.as_deref()), said.join("; ")).into()]
}

/// Everything seen of an item.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryAnswer {
    /// Name.
    pub name: String,
    /// Catalog id.
    pub id: String,
    /// Oldest first.
    pub seen: Vec<HistoryRow>,
}

/// A price that was seen.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryRow {
    /// Day, month or year.
    pub date: String,
    /// First day it can mean, for drawing.
    pub day: localrig_facts::Date,
    /// The amount, or the lower end of a range.
    pub amount: Money,
    /// The upper end.
    pub amount_high: Option<Money>,
    /// New or used.
    pub condition: &'static str,
    /// Offer, market, list, …
    pub kind: String,
    /// Region.
    pub region: String,
    /// The variant of a system.
    pub variant: Option<String>,
    /// Who asked it.
    pub shop: String,
    /// The product's page.
    pub link: Option<String>,
    /// Who reports it.
    pub source: String,
}

/// The page of a history, newest first.
pub fn history(answer: &HistoryAnswer) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("Prices seen of {}", answer.name));
    if answer.seen.is_empty() {
        page.paragraph("None yet: `localrig price fetch`, `import` or `set` adds some.");
        return page;
    }
    let mut table = Table::new(&["date", ">price", "region", "condition", "kind", "shop", "where"]);
    for one in answer.seen.iter().rev() {
        let amount = match one.amount_high {
            Some(high) => format!("{} to {high}", one.amount),
            None => one.amount.to_string(),
        };
        table.row([
            one.date.clone().into(),
            amount.into(),
            named(&one.region, one.variant.as_deref()).into(),
            one.condition.into(),
            one.kind.clone().into(),
            one.shop.clone().into(),
            place(one.link.as_deref(), &one.source),
        ]);
    }
    page.table(table);
    page
}

/// What a fetch or an import brought.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FetchAnswer {
    /// One entry for each item asked for.
    pub items: Vec<FetchedItem>,
    /// Everything that went wrong, in order.
    pub failures: Vec<String>,
    /// Other things that were fetched: exchange rates, tariffs.
    pub also: Vec<String>,
    /// How many observations wait for a decision now.
    pub waiting: usize,
}

/// What became of an item.
#[derive(Clone, Debug, Serialize)]
pub struct FetchedItem {
    /// Name.
    pub name: String,
    /// Catalog id.
    pub id: String,
    /// Who answered; absent when nobody did.
    pub source: Option<String>,
    /// Observations that count, new ones.
    pub new: usize,
    /// Observations that wait for a decision, new ones.
    pub held: usize,
    /// Observations that were there already.
    pub known: usize,
    /// The price now, from what was fetched or from before.
    pub price: Option<Price>,
    /// Whether the price was brought by this fetch.
    pub is_fresh: bool,
    /// Why there is no price.
    pub no_price: Option<String>,
    /// What could not be used.
    pub remarks: Vec<String>,
}

/// The page of a price typed in.
pub fn stored(answer: &FetchAnswer) -> Page {
    let mut page = Page::default();
    page.list(answer.also.iter().map(Into::into).collect());
    page
}

/// The page of a fetch.
pub fn fetched(answer: &FetchAnswer) -> Page {
    let mut page = Page::default();
    page.heading(1, "Prices fetched");
    let mut table = Table::new(&[
        "item",
        "source",
        ">new",
        ">held",
        ">known",
        ">price now",
        "seen",
        "shop",
        "where",
    ]);
    for one in &answer.items {
        let source = one.source.clone().unwrap_or_else(|| "nobody answered".to_owned());
        let (amount, seen, shop, link) = match &one.price {
            Some(price) => (
                price.amount.to_string(),
                if one.is_fresh { price.date.clone() } else { format!("{} (stored)", price.date) },
                price.shop.clone(),
                place(price.link.as_deref(), &price.source),
            ),
            None => ("none".to_owned(), String::new(), String::new(), Text::default()),
        };
        table.row([
            one.name.clone().into(),
            source.into(),
            one.new.to_string().into(),
            one.held.to_string().into(),
            one.known.to_string().into(),
            amount.into(),
            seen.into(),
            shop.into(),
            link,
        ]);
    }
    page.table(table);
    page.list(answer.also.iter().map(Into::into).collect());
    if !answer.failures.is_empty() {
        page.heading(2, "What went wrong");
        page.list(answer.failures.iter().map(Into::into).collect());
        page.paragraph("Nothing stored was lost; prices marked `stored` are from before.");
    }
    let remarks: Vec<Text> = answer
        .items
        .iter()
        .flat_map(|one| one.remarks.iter().map(|said| format!("{}: {said}", one.name).into()))
        .collect();
    if !remarks.is_empty() {
        page.heading(2, "Left out");
        page.list(remarks);
    }
    if answer.waiting > 0 {
        page.paragraph(format!(
            "{} wait for your decision: `localrig price review`.",
            answer.waiting
        ));
    }
    page
}

/// What waits for a decision.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewAnswer {
    /// In the order they came in.
    pub held: Vec<HeldPrice>,
}

/// A price that waits for a decision.
#[derive(Clone, Debug, Serialize)]
pub struct HeldPrice {
    /// Its number.
    pub number: i64,
    /// The product as the source names it.
    pub product: String,
    /// The amount.
    pub amount: Money,
    /// The day.
    pub date: String,
    /// Who asks it.
    pub shop: String,
    /// The product's page.
    pub link: Option<String>,
    /// Who reports it.
    pub source: String,
    /// Why it waits.
    pub reason: String,
    /// What it may be.
    pub candidates: Vec<String>,
}

/// The page of what waits.
pub fn review(answer: &ReviewAnswer) -> Page {
    let mut page = Page::default();
    page.heading(1, "Prices that wait for a decision");
    if answer.held.is_empty() {
        page.paragraph("None.");
        return page;
    }
    let mut table =
        Table::new(&[">#", "product", ">price", "date", "shop", "why", "may be", "where"]);
    for one in &answer.held {
        table.row([
            one.number.to_string().into(),
            one.product.clone().into(),
            one.amount.to_string().into(),
            one.date.clone().into(),
            one.shop.clone().into(),
            one.reason.clone().into(),
            one.candidates.join(", ").into(),
            place(one.link.as_deref(), &one.source),
        ]);
    }
    page.table(table);
    page.paragraph(
        "`localrig price review --accept # --item ID` takes one as a price of the item; further \
         offers of that very product then count too. `--refuse #` keeps it out for good.",
    );
    page
}

/// The page of a comparison with the newest prices.
pub fn drift(answer: &DriftAnswer) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("Prices of {} against {}", answer.document, answer.as_of));
    let many = answer.lines.len();
    page.paragraph(
        Text::default().strong(format!("{} of {many} prices moved", answer.moved)).plain(format!(
            " by {} % or more; {} could not be compared. The document was not changed.",
            answer.threshold_percent, answer.not_compared
        )),
    );
    let mut table =
        Table::new(&["", "place", "product", ">then", ">now", ">change", "seen", "shop", "where"]);
    for line in &answer.lines {
        table.row(drift_row(line));
    }
    page.table(table);
    let said = answer.lines.iter().filter_map(|line| {
        let remark = line.remark.as_ref()?;
        Some(Text::from(format!("{}, {}: {remark}", line.then.place, line.then.name)))
    });
    page.list(said.collect());
    if !answer.unread_lines.is_empty() {
        let lines: Vec<String> = answer.unread_lines.iter().map(ToString::to_string).collect();
        page.paragraph(format!(
            "No amount was read beside the links of {} {}: write it as `CHF 439` or `439.-` on the \
             same line.",
            if lines.len() == 1 { "line" } else { "lines" },
            lines.join(", ")
        ));
    }
    page
}

fn drift_row(line: &DriftLine) -> [Text; 9] {
    let change = line.change_percent.map_or_else(
        || "?".to_owned(),
        |change| {
            let sign = if change > 0.0 { "+" } else { "" };
            format!("{sign}{} %", grouped(change.round() as i64))
        },
    );
    let now = |text: &dyn Fn(&Price) -> String| line.now.as_ref().map_or_else(String::new, text);
    [
        if line.moved { "moved" } else { "" }.into(),
        line.then.place.clone().into(),
        line.then.name.clone().into(),
        line.then.amount.to_string().into(),
        now(&|price| price.amount.to_string()).into(),
        if line.moved { Text::default().strong(change) } else { change.into() },
        now(&|price| price.date.clone()).into(),
        now(&|price| price.shop.clone()).into(),
        match (&line.now, &line.then.link) {
            (Some(price), _) => place(price.link.as_deref(), &price.source),
            (None, Some(link)) => Text::default().link("page", link),
            (None, None) => Text::default(),
        },
    ]
}
