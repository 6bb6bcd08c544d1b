//! How far prices have moved since a document was written: a Markdown text with links and amounts,
//! or the JSON of a plan, a build or a lock. The document itself is never changed.

use localrig_facts::amount;
use localrig_facts::price::{Condition, page_number};
use localrig_facts::{CatalogError, Currency, Id, Money};
use serde::Serialize;
use serde_json::Value;

use crate::build::present_price;
use crate::price::{Goods, Market, Price, PriceBasis};

/// A price that a document states.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mention {
    /// Where: `line 12`, `parts of 2x RTX 5090 PC`.
    pub place: String,
    /// What the document calls it.
    pub name: String,
    /// The catalog item, where the document names it.
    pub item: Option<Id>,
    /// The variant of a system.
    pub variant: Option<String>,
    /// The page it links to.
    pub link: Option<String>,
    /// The amount for one.
    pub amount: Money,
    /// The day of the price, where the document says it.
    pub date: Option<String>,
    /// New or used, where the document says it.
    pub condition: Option<Condition>,
}

/// A stated price beside the newest.
#[derive(Clone, Debug, Serialize)]
pub struct DriftLine {
    /// What the document states.
    #[serde(flatten)]
    pub then: Mention,
    /// The newest price; absent when there is none.
    pub now: Option<Price>,
    /// Change in percent of the stated price.
    pub change_percent: Option<f64>,
    /// Whether it moved beyond the threshold.
    pub moved: bool,
    /// What keeps the two from being compared.
    pub remark: Option<String>,
}

/// How far the prices of a document have moved.
#[derive(Clone, Debug, Serialize)]
pub struct DriftAnswer {
    /// The document.
    pub document: String,
    /// The day of the newest prices.
    pub as_of: String,
    /// A smaller change is not flagged, in percent.
    pub threshold_percent: f64,
    /// Every stated price, in the order of the document.
    pub lines: Vec<DriftLine>,
    /// How many moved beyond the threshold.
    pub moved: usize,
    /// How many could not be compared.
    pub not_compared: usize,
    /// Lines with links to product pages beside which no amount was read.
    pub unread_lines: Vec<usize>,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DriftError {
    /// It is no JSON, though it looks like it.
    #[error("{path}:{line}: {message}")]
    Json {
        /// The document.
        path: String,
        /// The line.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It states no price that could be compared.
    #[error("{path} states no price beside a toppreise.ch link, and no parts with prices{}", unread(.lines))]
    Nothing {
        /// The document.
        path: String,
        /// Lines with such links beside which no amount was read.
        lines: Vec<usize>,
    },
    /// A catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Where amounts were looked for in vain, and how to write one.
fn unread(lines: &[usize]) -> String {
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    match &lines[..] {
        [] => String::new(),
        _ => format!(
            "; lines with links and no amount like `CHF 439` or `439.-`: {}",
            lines.join(", ")
        ),
    }
}

/// Compares the prices of a document with the newest ones of the market.
///
/// # Errors
/// When the document states no price, or a catalog file is broken.
pub fn drift(
    market: &Market<'_>,
    path: &str,
    text: &str,
    threshold_percent: f64,
) -> Result<DriftAnswer, DriftError> {
    let (mentions, unread_lines) = stated(path, text)?;
    if mentions.is_empty() {
        return Err(DriftError::Nothing { path: path.to_owned(), lines: unread_lines });
    }
    let lines = mentions
        .into_iter()
        .map(|mention| compare(market, mention, threshold_percent))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(DriftAnswer {
        document: path.to_owned(),
        as_of: market.date.to_string(),
        threshold_percent,
        moved: lines.iter().filter(|line| line.moved).count(),
        not_compared: lines.iter().filter(|line| line.change_percent.is_none()).count(),
        unread_lines,
        lines,
    })
}

/// The prices that a document states.
///
/// # Errors
/// When it looks like JSON and is not.
pub fn mentions(path: &str, text: &str) -> Result<Vec<Mention>, DriftError> {
    stated(path, text).map(|(mentions, _)| mentions)
}

/// The prices that a document states, and the lines whose prices were not read.
fn stated(path: &str, text: &str) -> Result<(Vec<Mention>, Vec<usize>), DriftError> {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    // A Markdown file may begin with a link.
    let is_text = ["md", "markdown", "txt"].contains(&ending.as_str());
    if is_text || !text.trim_start().starts_with(['{', '[']) {
        return Ok(markdown(text));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| DriftError::Json {
        path: path.to_owned(),
        line: error.line(),
        message: error.to_string(),
    })?;
    let mut found = Vec::new();
    walk(&value, "document", &mut found);
    Ok((found, Vec::new()))
}

/// Parts with prices anywhere in a JSON answer: of a plan, a build, a lock.
fn walk(value: &Value, place: &str, found: &mut Vec<Mention>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| walk(one, place, found)),
        Value::Object(fields) => {
            if let Some(mention) = part(fields, place) {
                if !found.contains(&mention) {
                    found.push(mention);
                }
                return;
            }
            let name = fields.get("name").and_then(Value::as_str);
            let place = name.unwrap_or(place);
            // What one might add one day is not what was bought.
            let own = fields.iter().filter(|(key, _)| *key != "upgrade");
            own.for_each(|(_, inner)| walk(inner, place, found));
        }
        _ => {}
    }
}

fn part(fields: &serde_json::Map<String, Value>, place: &str) -> Option<Mention> {
    let price = fields.get("price")?.as_object()?;
    let text = |of: &serde_json::Map<String, Value>, key: &str| {
        of.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    let id = text(fields, "id")?;
    Some(Mention {
        place: format!("parts of {place}"),
        name: text(fields, "name").unwrap_or_else(|| id.clone()),
        item: Some(Id::new(id)),
        variant: text(price, "variant"),
        link: text(price, "link"),
        amount: serde_json::from_value(price.get("amount")?.clone()).ok()?,
        date: text(price, "date"),
        condition: price.get("condition").and_then(|one| serde_json::from_value(one.clone()).ok()),
    })
}

/// Links to product pages of toppreise.ch with the amount that stands nearest to each on its line,
/// or in the column of its table that is headed by a currency, or on the lines beside it; and the
/// lines, from 1, with links beside which no amount was read.
fn markdown(text: &str) -> (Vec<Mention>, Vec<usize>) {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    let mut header: Option<&str> = None;
    for (index, line) in lines.iter().enumerate() {
        let is_row = line.trim_start().starts_with('|');
        if !is_row {
            header = None;
        } else if header.is_none() {
            header = Some(line);
        }
        for (number, (at, link)) in links(line).into_iter().enumerate() {
            let near = beside(line, number)
                .or_else(|| header.filter(|_| is_row).and_then(|head| in_column(head, line)))
                .or_else(|| {
                    // A list item or paragraph may run over two lines; a table row does not.
                    let around = [Some(index + 1), index.checked_sub(1)].into_iter().flatten();
                    let around = around.filter_map(|at| lines.get(at)).filter(|_| !is_row);
                    let plain = |other: &&&str| links(other).is_empty() && !other.starts_with('|');
                    around.filter(plain).find_map(|other| amounts(other).first().copied())
                });
            let Some(amount) = near else {
                unread.push(index + 1);
                continue;
            };
            found.push(Mention {
                place: format!("line {}", index + 1),
                name: name_of(line, at, link),
                item: None,
                variant: None,
                link: Some(link.to_owned()),
                amount,
                date: None,
                condition: None,
            });
        }
    }
    unread.dedup();
    (found, unread)
}

/// Links to product pages in a line, with where they start.
fn links(line: &str) -> Vec<(usize, &str)> {
    line.match_indices("http")
        .filter_map(|(at, _)| {
            let rest = &line[at..];
            let stop = |c: char| c.is_whitespace() || matches!(c, ')' | '>' | '|' | ']' | '"');
            let link = &rest[..rest.find(stop).unwrap_or(rest.len())];
            page_number(link).map(|_| (at, link))
        })
        .collect()
}

/// The amount that belongs to a link of a line, counted from 0.
///
/// A line states its amounts before the links (`from CHF 10 ([shop](…))`) or behind them
/// (`[A](…): CHF 10, [B](…): CHF 20`); what stands before the first link tells which.
fn beside(line: &str, number: usize) -> Option<Money> {
    let mut pieces: Vec<Vec<Money>> = Vec::new();
    let mut from = 0;
    for (start, link) in links(line) {
        pieces.push(amounts(&line[from..start]));
        from = start + link.len();
    }
    pieces.push(amounts(&line[from..]));
    let before = pieces.get(number).and_then(|piece| piece.last());
    let behind = pieces.get(number + 1).and_then(|piece| piece.first());
    let states_before = pieces.first().is_some_and(|piece| !piece.is_empty());
    if states_before { before.or(behind).copied() } else { behind.copied() }
}

fn amounts(text: &str) -> Vec<Money> {
    let kept = |one: amount::Written| {
        let currency = one.currency.as_deref().and_then(amount::currency)?;
        Some(Money::of(one.amount, currency))
    };
    amount::with_currency(text).into_iter().filter_map(kept).collect()
}

/// The figure in the column whose heading names a currency.
fn in_column(header: &str, row: &str) -> Option<Money> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let (heads, row) = (cells(header), cells(row));
    let by_word = |of: &dyn Fn(&str) -> Option<Currency>| {
        heads.iter().enumerate().find_map(|(at, head)| {
            let mut words = head.split(|c: char| !c.is_ascii_alphabetic());
            words.find_map(of).map(|currency| (at, currency))
        })
    };
    // toppreise.ch has prices in francs alone.
    let francs = |word: &str| {
        ["price", "preis"].contains(&word.to_lowercase().as_str()).then_some(Currency::Chf)
    };
    let (column, currency) = by_word(&amount::currency).or_else(|| by_word(&francs))?;
    let figure = amount::parse(row.get(column)?).ok()?;
    Some(Money::of(figure.amount, currency))
}

/// What the document calls the product: the link's text, else the words before it.
fn name_of(line: &str, at: usize, link: &str) -> String {
    let before = &line[..at];
    let text = before
        .strip_suffix("](")
        .and_then(|before| before.rsplit_once('['))
        .map(|(_, text)| text.trim())
        .filter(|text| !text.is_empty() && !text.to_lowercase().contains("toppreise"));
    if let Some(text) = text {
        return text.to_owned();
    }
    // The page's own name is in its address.
    let page = link.split(['?', '#']).next().unwrap_or(link);
    let slug = page.rsplit('/').next().unwrap_or(page);
    let slug = slug.rsplit_once('-').map_or(slug, |(name, _)| name);
    slug.trim_end_matches("-pc").replace(['-', '_'], " ")
}

fn compare(
    market: &Market<'_>,
    mut mention: Mention,
    threshold: f64,
) -> Result<DriftLine, CatalogError> {
    if mention.item.is_none()
        && let Some(number) = mention.link.as_deref().and_then(page_number)
    {
        let prices = market.catalog.prices()?;
        let same =
            |link: &Option<String>| link.as_deref().and_then(page_number).as_ref() == Some(&number);
        // Of rows that speak of this page the newest says what it shows.
        let row = prices
            .iter()
            .filter(|one| same(&one.row.link))
            .max_by_key(|one| one.row.date.earliest());
        if let Some(one) = row {
            mention.item = Some(one.row.item.clone());
            mention.variant.clone_from(&one.row.variant);
        }
    }
    let line = |mention, now, change_percent, moved, remark: Option<String>| DriftLine {
        then: mention,
        now,
        change_percent,
        moved,
        remark,
    };
    let Some(item) = mention.item.clone() else {
        let remark = "no item of the catalog has this page".to_owned();
        return Ok(line(mention, None, None, false, Some(remark)));
    };
    let goods = match mention.condition {
        Some(Condition::Used | Condition::Refurbished) => Goods::Used,
        _ => Goods::New,
    };
    let present =
        (goods == Goods::New).then(|| present_price(market, &item)).transpose()?.flatten();
    let price = present.map_or_else(|| market.price(&item, mention.variant.as_deref(), goods), Ok);
    let price = match price {
        Ok(price) => price,
        Err(error) => return Ok(line(mention, None, None, false, Some(error.to_string()))),
    };
    if price.amount.currency != mention.amount.currency {
        let remark = format!("stated in {}", mention.amount.currency);
        return Ok(line(mention, Some(price), None, false, Some(remark)));
    }
    let change = (price.amount.amount() / mention.amount.amount() - 1.0) * 100.0;
    let remark = match price.basis {
        PriceBasis::Regional => None,
        basis => {
            Some(format!("the newest price is {} and {} days old", basis.word(), price.age_days))
        }
    };
    Ok(line(mention, Some(price), Some(change), change.abs() >= threshold, remark))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# Machines

1. **RTX PRO 6000** from CHF 7,691 ([toppreise.ch](https://www.toppreise.ch/price-comparison/Graphics-cards/NVIDIA-RTX-Pro-6000-Blackwell-Workstation-900-5G144-2200-000-p833823)).
- [Define 7](https://www.toppreise.ch/x/FRACTAL-DESIGN-Define-7-Black-FD-C-DEF7A-01-p601634): CHF 137.–, formerly CHF 150
- [RTX 5090](https://www.toppreise.ch/productcollection/GeForce_RTX_5090-pc-s82250)
  about CHF 2’224.–
- [A](https://www.toppreise.ch/x/A-p4): CHF 10, [B](https://www.toppreise.ch/x/B-p5): CHF 20
- [not theirs](https://example.org/x-p12) CHF 5

| part | price (CHF) | link |
|---|---:|---|
| board | 277 | [page](https://www.toppreise.ch/x/ASUS-TUF-p809177) |
| two | CHF 1'000 | [a](https://www.toppreise.ch/x/A-p1), CHF 20 [b](https://www.toppreise.ch/x/B-p2) |
| none | | [c](https://www.toppreise.ch/x/C-p3) |
";

    #[test]
    fn a_documents_links_are_found_with_the_amounts_they_stand_by() {
        let said: Vec<String> = mentions("x.md", DOCUMENT)
            .unwrap()
            .iter()
            .map(|one| format!("{} | {} | {}", one.place, one.name, one.amount))
            .collect();
        insta::assert_snapshot!(said.join("\n"), @"
        line 3 | NVIDIA RTX Pro 6000 Blackwell Workstation 900 5G144 2200 000 | CHF 7,691
        line 4 | Define 7 | CHF 137
        line 5 | RTX 5090 | CHF 2,224
        line 7 | A | CHF 10
        line 7 | B | CHF 20
        line 12 | page | CHF 277
        line 13 | a | CHF 1,000
        line 13 | b | CHF 20
        ");
    }

    #[test]
    fn amounts_are_read_in_swiss_ways_and_what_is_not_read_is_told() {
        let page = |name: &str| format!("(https://www.toppreise.ch/x/{name})");
        let said = ["Fr. 439.–", "SFr. 439.-", "439.-", "439 Franken", "CHF 1.299.-", "CHF 1 299"];
        let mut text = said.map(|one| format!("[A]{}: {one}\n\n", page("A-p1"))).concat();
        text.push_str(&format!("[B]{}: on request\n\n| Teil | Preis |\n|---|---|\n", page("B-p2")));
        text.push_str(&format!("| [C]{} | 1'234 |\n", page("C-p3")));
        // It begins with a bracket and is no JSON all the same.
        let (found, unread) = stated("offer.md", &text).unwrap();
        let amounts: Vec<String> = found.iter().map(|one| one.amount.to_string()).collect();
        insta::assert_snapshot!(format!("{}; not read: {unread:?}", amounts.join(", ")), @"CHF 439, CHF 439, CHF 439, CHF 439, CHF 1,299, CHF 1,299, CHF 1,234; not read: [13]");
        assert!(stated("offer.json", &text).is_err());
    }

    #[test]
    fn parts_are_found_wherever_an_answer_has_them() {
        let text = r#"{"ranked": [{"name": "A PC", "parts": [
            {"id": "gpu/a/b", "name": "B", "price": {"amount": {"amount": 10.5, "currency": "CHF"},
             "variant": null, "date": "2026-02-17", "condition": "used", "link": null}},
            {"id": "gpu/a/c", "name": "C", "price": null}]}]}"#;
        let found = mentions("plan.json", text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "parts of A PC");
        assert_eq!(found[0].condition, Some(Condition::Used));
        let error = mentions("plan.json", "{\n\"ranked\": [").unwrap_err().to_string();
        assert!(error.starts_with("plan.json:2: "), "{error}");
    }
}
