//! What stands on a page of toppreise.ch: JSON-LD first, then the markup of the page.
//!
//! Markup as documented in September 2026: offers are `div.Plugin_Offer` with
//! `.priceContainer.productPrice .Plugin_Price`, the shop's name in `.Plugin_ShopLogo img[alt]`, the
//! availability in the `title` of `.AbstractTooltip_AvailabilityInformationTooltip`; products of a
//! search are elements with `data-entity-id`. Pure functions over a text, so that every malformed
//! page is a test.

use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::shop::Vat;
use localrig_facts::{Date, PartialDate};
use scraper::{ElementRef, Html, Selector};
use serde_json::Value;

use super::error::SourceError;
use super::offer::{Answer, Offer};
use localrig_facts::amount;

/// A product on a search page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its name.
    pub name: String,
    /// Its page, relative or absolute.
    pub page: String,
}

/// The products of a search page, in its order.
///
/// # Errors
/// When there is no product and the page does not say that there is none: its form has changed.
pub fn hits(page: &str) -> Result<Vec<Hit>, SourceError> {
    let document = Html::parse_document(page);
    let mut hits: Vec<Hit> = Vec::new();
    for card in document.select(&selector("[data-entity-id]")) {
        let link = if card.value().name() == "a" {
            card.value().attr("href")
        } else {
            card.select(&selector("a[href]"))
                .filter_map(|link| link.value().attr("href"))
                .find(|href| is_product(href))
        };
        let name = first_text(card, ".product-name")
            .or_else(|| card.value().attr("title").map(str::to_owned));
        if let (Some(page), Some(name)) = (link.filter(|href| is_product(href)), name)
            && !hits.iter().any(|hit| hit.page == page)
        {
            hits.push(Hit { name, page: page.to_owned() });
        }
    }
    let count = document.select(&selector("span.f_hits")).next().map(text_of);
    let says_none = count.is_some_and(|count| count.trim().starts_with('0'));
    if hits.is_empty() && !says_none {
        return Err(SourceError::NoPrice {
            what: "the search page".to_owned(),
            expected: "products with their pages",
        });
    }
    Ok(hits)
}

fn is_product(href: &str) -> bool {
    let path = href.split(['?', '#']).next().unwrap_or_default();
    path.rsplit_once("-p")
        .is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The offers on a product page.
///
/// # Errors
/// When no offer with a price can be read: a page without prices is an error, never a price of
/// zero.
pub fn offers(page: &str, address: &str, today: Date) -> Result<Answer, SourceError> {
    let document = Html::parse_document(page);
    let mut answer = Answer::default();
    let title = document.select(&selector("h1")).next().map(text_of);
    let product = title.filter(|title| !title.is_empty());
    from_json(&document, product.as_deref(), address, today, &mut answer);
    if answer.offers.is_empty() {
        from_markup(&document, product.as_deref(), address, today, &mut answer);
    }
    if answer.offers.is_empty() {
        let what = match answer.remarks.first() {
            Some(remark) => format!("{address} ({remark})"),
            None => address.to_owned(),
        };
        return Err(SourceError::NoPrice { what, expected: "JSON-LD offers or `.Plugin_Offer`" });
    }
    Ok(answer)
}

/// Offers of schema.org in `<script type="application/ld+json">`.
fn from_json(
    document: &Html,
    title: Option<&str>,
    address: &str,
    today: Date,
    answer: &mut Answer,
) {
    for script in document.select(&selector("script[type=\"application/ld+json\"]")) {
        let text: String = script.text().collect();
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => walk(&value, title, None, address, today, answer),
            Err(error) => answer.remarks.push(format!("JSON-LD: {error}")),
        }
    }
}

/// Looks for products and their offers at any depth; `number` is the part number of the product
/// around.
fn walk(
    value: &Value,
    name: Option<&str>,
    number: Option<&str>,
    address: &str,
    today: Date,
    answer: &mut Answer,
) {
    match value {
        Value::Array(all) => {
            for one in all {
                walk(one, name, number, address, today, answer);
            }
        }
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str);
            let is = |kind: &str| match fields.get("@type") {
                Some(Value::String(one)) => one == kind,
                Some(Value::Array(all)) => all.iter().any(|one| one == kind),
                _ => false,
            };
            if is("Offer") {
                // An offer without an amount may hold others: fall through to them.
                if let Some(price) = fields.get("price") {
                    let offer = json_offer(fields, price, name, number, address, today);
                    match offer {
                        Ok(Some(offer)) => answer.offers.push(offer),
                        Ok(None) => {}
                        Err(said) => answer.remarks.push(said),
                    }
                    return;
                }
            }
            let (name, number) = if is("Product") {
                (text("name").or(name), text("mpn").or_else(|| text("sku")).or(number))
            } else {
                (name, number)
            };
            for key in ["@graph", "mainEntity", "offers", "itemOffered", "hasVariant"] {
                if let Some(inner) = fields.get(key) {
                    walk(inner, name, number, address, today, answer);
                }
            }
        }
        _ => {}
    }
}

fn json_offer(
    fields: &serde_json::Map<String, Value>,
    price: &Value,
    name: Option<&str>,
    number: Option<&str>,
    address: &str,
    today: Date,
) -> Result<Option<Offer>, String> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    if text("availability").is_some_and(|state| {
        ["OutOfStock", "Discontinued", "SoldOut"].iter().any(|word| state.ends_with(word))
    }) {
        return Ok(None);
    }
    let amount = match price {
        Value::Number(number) => number.as_f64().unwrap_or_default(),
        // schema.org asks for a plain decimal point; pages do not always obey.
        Value::String(text) => match text.parse::<f64>() {
            Ok(amount) => amount,
            Err(_) => amount::parse(text).map_err(|error| error.to_string())?.amount,
        },
        other => return Err(format!("JSON-LD: `{other}` is no price")),
    };
    if !(amount.is_finite() && amount > 0.0) {
        return Err(format!("JSON-LD: {amount} is no price"));
    }
    let code = text("priceCurrency").ok_or("JSON-LD: an offer without a currency")?;
    let currency = amount::currency(code).ok_or_else(|| format!("no prices in {code} are kept"))?;
    let shop = match fields.get("seller") {
        Some(Value::Object(seller)) => seller.get("name").and_then(Value::as_str),
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    };
    let condition = match text("itemCondition") {
        Some(state) if state.ends_with("UsedCondition") => Condition::Used,
        Some(state) if state.ends_with("RefurbishedCondition") => Condition::Refurbished,
        _ => Condition::New,
    };
    let Some(product) = text("name").or(name) else {
        return Err("JSON-LD: an offer without a product".to_owned());
    };
    Ok(Some(Offer {
        product: product.to_owned(),
        part_number: number.map(str::to_owned),
        amount,
        amount_high: None,
        currency,
        condition,
        kind: PriceKind::Offer,
        vat: Vat::Included,
        shop: shop.unwrap_or("toppreise").to_owned(),
        date: PartialDate::Day(today),
        link: Some(address.to_owned()),
        note: None,
    }))
}

fn from_markup(
    document: &Html,
    title: Option<&str>,
    address: &str,
    today: Date,
    answer: &mut Answer,
) {
    for row in document.select(&selector("div.Plugin_Offer")) {
        let shop = row
            .select(&selector(".Plugin_ShopLogo img[alt]"))
            .next()
            .and_then(|logo| logo.value().attr("alt"))
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let Some(shop) = shop else {
            answer.remarks.push("an offer without a shop".to_owned());
            continue;
        };
        let available = row
            .select(&selector(".AbstractTooltip_AvailabilityInformationTooltip"))
            .find_map(|tip| tip.value().attr("title"))
            .unwrap_or_default()
            .to_lowercase();
        if is_unavailable(&available) {
            answer.remarks.push(format!("{shop}: {available}"));
            continue;
        }
        let price = first_text(row, ".priceContainer.productPrice .Plugin_Price");
        let total = first_text(row, ".priceContainer.shippingPrice .Plugin_Price");
        let Some(price) = price else {
            answer.remarks.push(format!("{shop}: no price"));
            continue;
        };
        let written = match amount::parse(&price) {
            Ok(written) => written,
            Err(error) => {
                answer.remarks.push(format!("{shop}: {error}"));
                continue;
            }
        };
        let code = written.currency.as_deref().unwrap_or("CHF");
        let Some(currency) = amount::currency(code) else {
            answer.remarks.push(format!("{shop}: no prices in {code} are kept"));
            continue;
        };
        let offered = first_text(row, "a.offer-name");
        let Some(product) = title.map(str::to_owned).or(offered) else {
            answer.remarks.push(format!("{shop}: no product name"));
            continue;
        };
        answer.offers.push(Offer {
            product,
            part_number: None,
            amount: written.amount,
            amount_high: None,
            currency,
            condition: Condition::New,
            kind: PriceKind::Offer,
            vat: Vat::Included,
            shop: shop.to_owned(),
            date: PartialDate::Day(today),
            link: Some(address.to_owned()),
            note: total
                .and_then(|total| amount::parse(&total).ok())
                .map(|total| format!("{:.2} with shipping", total.amount)),
        });
    }
}

/// Whether the words on availability say that nobody can have it now.
pub(super) fn is_unavailable(words: &str) -> bool {
    ["nicht lieferbar", "auf anfrage", "nicht verfügbar", "not available", "on request", "sold out"]
        .iter()
        .any(|said| words.contains(said))
}

fn first_text(element: ElementRef<'_>, css: &str) -> Option<String> {
    let text = element.select(&selector(css)).next().map(text_of)?;
    (!text.is_empty()).then_some(text)
}

/// The text of an element with its white space in single spaces.
fn text_of(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect::<Vec<_>>().join(" ");
    // Hard spaces inside amounts must stay: `split_whitespace` would break figures apart.
    text.split([' ', '\n', '\t', '\r'])
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("selectors are constants of this file")
}
