//! `toppreise-cli`, where it is on PATH.
//!
//! The program answers in Markdown: `search` with a list of products (name, price range, number of
//! offers, id, address), `product … --section offers` with a table of shops; every answer ends with
//! a line `Data from:`. Only that documented form is relied on: columns are found by their
//! headings, products by their page numbers.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil;
use localrig_facts::price::page_number;
use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::shop::Vat;
use localrig_facts::{Date, PartialDate};

use super::error::SourceError;
use super::offer::{Answer, Offer, PriceSource, Wanted};
use localrig_facts::amount;

const PROGRAM: &str = "toppreise-cli";

/// How long one call may take: it waits between its own requests.
const LIMIT: Duration = Duration::from_mins(1);

/// Most products of a search that are looked at.
const PRODUCTS: usize = 5;

/// The program.
#[derive(Clone, Debug)]
pub struct ToppreiseCli {
    program: PathBuf,
    limit: Duration,
}

impl ToppreiseCli {
    /// Finds the program in the folders of a PATH.
    ///
    /// # Errors
    /// When none of them has it.
    pub fn find(path: Option<&std::ffi::OsStr>) -> Result<Self, SourceError> {
        path.map(std::env::split_paths)
            .into_iter()
            .flatten()
            .flat_map(|folder| [folder.join(PROGRAM), folder.join(format!("{PROGRAM}.exe"))])
            .find(|file| file.is_file())
            .map(|program| Self { program, limit: LIMIT })
            .ok_or_else(|| SourceError::NoProgram { program: PROGRAM.to_owned() })
    }

    /// With another limit for one call.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn call(&self, arguments: &[&str]) -> Result<String, SourceError> {
        run(&self.program, arguments, self.limit)
    }
}

impl PriceSource for ToppreiseCli {
    fn key(&self) -> &'static str {
        "toppreise-cli"
    }

    fn region(&self) -> &'static str {
        "ch"
    }

    fn offers(&mut self, wanted: &Wanted, now: Timestamp) -> Result<Answer, SourceError> {
        let mut answer = Answer::default();
        let known = wanted.pages.iter().find_map(|page| Some((page_number(page)?, page)));
        // A page that is known to show the item needs no search; collections have no offers.
        if let Some((number, page)) = known.filter(|(number, _)| number.starts_with('p')) {
            let text = self.call(&["product", &number, "--section", "offers"])?;
            let product = Product {
                name: title(&text).unwrap_or_else(|| wanted.query.clone()),
                page: page.clone(),
            };
            offers(&text, &product, now, &mut answer)?;
            return Ok(answer);
        }
        let text = self.call(&["search", &wanted.query, "--sort", "price-asc", "--limit", "20"])?;
        let found = products(&text);
        if found.is_empty() && !says_nothing_found(&text) {
            let what = format!("`{PROGRAM} search {}`", wanted.query);
            return Err(SourceError::NoPrice { what, expected: "a list of products" });
        }
        for product in found.iter().take(PRODUCTS) {
            let text = self.call(&["product", &product.page, "--section", "offers"])?;
            offers(&text, product, now, &mut answer)?;
        }
        Ok(answer)
    }
}

/// A product of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// Its page.
    pub page: String,
}

/// The products of a search: list items with an address of a product page.
pub fn products(text: &str) -> Vec<Product> {
    let mut found: Vec<Product> = Vec::new();
    let mut name: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let starts_item = trimmed.starts_with(['-', '*', '#'])
            || trimmed.split_once(['.', ')']).is_some_and(|(number, _)| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            });
        // Sub-items of a product are indented; the item itself is not.
        if starts_item && trimmed.len() == line.len() {
            name = item_name(trimmed);
        }
        let page = addresses(trimmed).find(|link| page_number(link).is_some());
        if let (Some(page), Some(name)) = (page, &name) {
            let number = page_number(page);
            if !found.iter().any(|one| page_number(&one.page) == number) {
                found.push(Product { name: name.clone(), page: page.to_owned() });
            }
        }
    }
    found
}

/// The name in a list item: bold text, the text of a link, or what stands before a dash.
fn item_name(item: &str) -> Option<String> {
    let item = item.trim_start_matches(|c: char| {
        matches!(c, '-' | '*' | '#' | '.' | ')') && c != '*'
            || c.is_whitespace()
            || c.is_ascii_digit()
    });
    let plain = |text: &str| {
        let text = text.trim().trim_matches('*').trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    if let Some((_, rest)) = item.split_once("**")
        && let Some((bold, _)) = rest.split_once("**")
    {
        let inner =
            bold.strip_prefix('[').and_then(|rest| rest.split_once("](")).map(|(text, _)| text);
        return plain(inner.unwrap_or(bold));
    }
    if let Some((_, rest)) = item.split_once('[')
        && let Some((text, _)) = rest.split_once("](")
    {
        return plain(text);
    }
    plain(item.split(" — ").next().unwrap_or(item))
}

/// The heading of an answer about one product.
fn title(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with('#'))?;
    let title = line.trim_start_matches('#').trim();
    let title = title.strip_prefix("Offers for ").unwrap_or(title);
    (!title.is_empty() && title.to_lowercase() != "offers").then(|| title.to_owned())
}

/// Web addresses in a text.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("http").filter_map(move |(at, _)| {
        let rest = &text[at..];
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ')' | '>' | '|' | ']' | '"' | '`'))
            .unwrap_or(rest.len());
        rest[..end].contains("://").then_some(&rest[..end])
    })
}

fn says_nothing_found(text: &str) -> bool {
    let text = text.to_lowercase();
    ["no results", "no products", "keine produkte", "keine treffer", "0 results"]
        .iter()
        .any(|said| text.contains(said))
}

/// The day after `Data from:`.
fn data_from(text: &str) -> Option<Date> {
    let line = text.lines().find_map(|line| line.split_once("Data from:"))?.1;
    let line = line.trim().trim_matches(['*', '_', ' ']);
    let iso = line.get(..10).and_then(|day| day.parse::<Date>().ok());
    iso.or_else(|| {
        // 20.11.2026
        let day = line.split(|c: char| c.is_whitespace() || c == ',').next()?;
        let parts: Vec<i16> = day.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [day, month, year] = parts[..] else { return None };
        let (day, month) = (i8::try_from(day).ok()?, i8::try_from(month).ok()?);
        civil::Date::new(year, month, day).ok().map(Into::into)
    })
}

/// Which column says what.
#[derive(Debug, Default)]
struct Columns {
    shop: Option<usize>,
    price: Option<usize>,
    shipping: Option<usize>,
    total: Option<usize>,
    availability: Option<usize>,
}

impl Columns {
    fn of(cells: &[&str]) -> Self {
        let find = |words: &[&str]| {
            cells.iter().position(|cell| {
                let cell = cell.to_lowercase();
                words.iter().any(|word| cell.contains(word))
            })
        };
        Self {
            shop: find(&["shop", "dealer", "händler", "store", "marchand"]),
            price: cells.iter().position(|cell| {
                let cell = cell.to_lowercase();
                matches!(cell.trim_matches('*'), "price" | "preis" | "prix")
                    || cell.starts_with("price (")
                    || cell.starts_with("preis (")
            }),
            shipping: find(&["shipping", "versand", "delivery cost", "livraison"]),
            total: find(&["total"]),
            availability: find(&["availability", "lieferbar", "verfügbar", "stock", "disponib"]),
        }
    }
}

/// Reads the offers of one product.
fn offers(
    text: &str,
    product: &Product,
    now: Timestamp,
    answer: &mut Answer,
) -> Result<(), SourceError> {
    let today: Date = now.to_zoned(jiff::tz::TimeZone::system()).date().into();
    let date = data_from(text).unwrap_or(today);
    let before = answer.offers.len();
    let mut columns: Option<Columns> = None;
    let (mut rows, mut unavailable) = (0, 0);
    for line in text.lines() {
        let line = line.trim();
        let Some(row) = line.strip_prefix('|') else {
            columns = columns.filter(|_| !line.is_empty());
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        if cells.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':' | ' '))) {
            continue;
        }
        let Some(known) = &columns else {
            columns = Some(Columns::of(&cells));
            continue;
        };
        rows += 1;
        let cell = |at: Option<usize>| at.and_then(|at| cells.get(at)).copied().unwrap_or_default();
        let (Some(_), Some(_)) = (known.shop, known.price) else { continue };
        let shop = bare(cell(known.shop));
        match offer(product, &shop, cell(known.price), date) {
            Ok(mut offer) => {
                let available = cell(known.availability).to_lowercase();
                if super::toppreise_page::is_unavailable(&available) {
                    answer.remarks.push(format!("{shop}: {available}"));
                    unavailable += 1;
                    continue;
                }
                offer.note = shipping(cell(known.shipping), cell(known.total));
                answer.offers.push(offer);
            }
            Err(said) => answer.remarks.push(format!("{shop}: {said}")),
        }
    }
    let says_none = rows == 0 && says_no_offers(text);
    // Nobody has it now: an answer. Rows that nobody can read: a form that has changed.
    if answer.offers.len() == before && !says_none && unavailable == 0 {
        let reason = answer.remarks.first().map_or(String::new(), |said| format!(" ({said})"));
        let what = format!("the offers of {} from {PROGRAM}{reason}", product.name);
        return Err(SourceError::NoPrice { what, expected: "a table with shop and price" });
    }
    Ok(())
}

fn says_no_offers(text: &str) -> bool {
    let text = text.to_lowercase();
    ["no offers", "keine angebote", "0 offers"].iter().any(|said| text.contains(said))
}

fn offer(product: &Product, shop: &str, price: &str, date: Date) -> Result<Offer, String> {
    let written = amount::parse(price).map_err(|error| error.to_string())?;
    let code = written.currency.as_deref().unwrap_or("CHF");
    let currency = amount::currency(code).ok_or_else(|| format!("no prices in {code} are kept"))?;
    Ok(Offer {
        product: product.name.clone(),
        part_number: None,
        amount: written.amount,
        amount_high: None,
        currency,
        condition: Condition::New,
        kind: PriceKind::Offer,
        vat: Vat::Included,
        shop: shop.to_owned(),
        date: PartialDate::Day(date),
        link: Some(product.page.clone()),
        note: None,
    })
}

fn shipping(shipping: &str, total: &str) -> Option<String> {
    let figure = |text: &str| amount::parse(text).ok().map(|one| one.amount);
    match (figure(shipping), figure(total)) {
        (Some(shipping), _) => Some(format!("plus {shipping:.2} shipping")),
        (None, Some(total)) => Some(format!("{total:.2} with shipping")),
        _ => None,
    }
}

/// The text of a cell without bold marks and link addresses.
fn bare(cell: &str) -> String {
    let cell = cell.trim_matches('*').trim();
    match cell.strip_prefix('[').and_then(|rest| rest.split_once("](")) {
        Some((text, _)) => text.to_owned(),
        None => cell.to_owned(),
    }
}

/// Runs a program and returns what it wrote, within a time limit.
fn run(program: &Path, arguments: &[&str], limit: Duration) -> Result<String, SourceError> {
    let start = |source| SourceError::Start { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    // Both pipes are emptied while it runs, or a long answer would block it.
    let mut readers = [
        child.stdout.take().map(|pipe| drain(Box::new(pipe))),
        child.stderr.take().map(|pipe| drain(Box::new(pipe))),
    ];
    let status = wait(&mut child, limit).map_err(start)?;
    let Some(status) = status else {
        return Err(SourceError::Timeout { what: format!("`{PROGRAM}`"), limit });
    };
    let mut text = readers.iter_mut().map(|reader| {
        let bytes = reader.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let (answer, complaint) = (text.next().unwrap_or_default(), text.next().unwrap_or_default());
    if !status.success() {
        let last = |text: &str| {
            text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
        };
        let said =
            last(&complaint).or_else(|| last(&answer)).unwrap_or_else(|| "nothing".to_owned());
        let program = PROGRAM.to_owned();
        return Err(SourceError::Program { program, code: status.code(), said });
    }
    Ok(answer)
}

fn drain(mut pipe: Box<dyn std::io::Read + Send>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before a broken pipe still counts.
        let _ = pipe.by_ref().take(8 << 20).read_to_end(&mut bytes);
        bytes
    })
}

/// Waits for the end, or ends it after `limit`: `None`.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
