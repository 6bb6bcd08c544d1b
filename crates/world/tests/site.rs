//! The reader of toppreise.ch against pages served on this machine, well-formed and not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the tests of the crate that does input and output")]
#![expect(clippy::disallowed_types, reason = "pages are served on this machine")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use localrig_facts::Id;
use localrig_world::price::error::SourceError;
use localrig_world::price::offer::{PriceSource as _, Wanted};
use localrig_world::price::toppreise_site::ToppreiseSite;
use localrig_world::price::web::Web;
use localrig_world::price::{rate, tariff};
use localrig_world::store::Store;

/// What a path answers: the whole response, head and body.
type Pages = BTreeMap<&'static str, String>;

/// A server that keeps what it was asked.
struct Site {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn serve(pages: Pages) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                answer(stream, &pages, &log);
            }
        });
        Self { base, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, pages: &Pages, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    if reader.read_line(&mut request).is_err() {
        return;
    }
    let mut agent = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("user-agent:") {
            value.trim().clone_into(&mut agent);
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(format!("{path} [{agent}]"));
    let known = pages.get(path.as_str()).cloned();
    let response =
        known.unwrap_or_else(|| "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned());
    if response == "SILENCE" {
        std::thread::sleep(Duration::from_secs(30));
        return;
    }
    let _ = stream.write_all(response.as_bytes());
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const PRODUCT: &str = "/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823";

const OFFERS: &str = include_str!("data/product.html");
const JSON_LD: &str = include_str!("data/product_json_ld.html");
const SEARCH: &str = include_str!("data/search.html");

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn wanted(page: Option<&str>) -> Wanted {
    Wanted {
        item: Id::new("gpu/nvidia/rtx-pro-6000-blackwell-ws"),
        variant: None,
        query: "RTX PRO 6000".to_owned(),
        pages: page.map(|page| format!("https://www.toppreise.ch{page}")).into_iter().collect(),
    }
}

/// Waits are what `Web` is told; the pacing itself is tested in the store.
fn web() -> Web {
    let mut web = Web::new(Some("mailto:me@home.example"));
    (web.gap, web.timeout) = (Duration::ZERO, Duration::from_millis(500));
    web
}

fn reader(site: &Site, folder: &tempfile::TempDir) -> ToppreiseSite {
    let store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    ToppreiseSite::new(web(), &site.base, store)
}

fn said(pages: Pages) -> String {
    let site = Site::serve(pages);
    let folder = tempfile::tempdir().unwrap();
    match reader(&site, &folder).offers(&wanted(Some(PRODUCT)), now()) {
        Ok(answer) => format!("{} offers", answer.offers.len()),
        Err(error) => {
            error.to_string().replace(&site.base, "SITE").replace(&site.base[7..], "SITE")
        }
    }
}

#[test]
fn the_documented_markup_gives_offers_with_shop_price_and_page() {
    let site = Site::serve([(PRODUCT, ok(OFFERS))].into());
    let folder = tempfile::tempdir().unwrap();
    let answer = reader(&site, &folder).offers(&wanted(Some(PRODUCT)), now()).unwrap();
    let offers: Vec<String> = answer
        .offers
        .iter()
        .map(|one| {
            format!(
                "{} | {} {} | {} | {} | {}",
                one.product,
                one.amount,
                one.currency,
                one.shop,
                one.note.as_deref().unwrap_or("-"),
                one.link.as_deref().unwrap_or("-"),
            )
        })
        .collect();
    insta::assert_snapshot!(offers.join("\n"), @"
    NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) | 7691 CHF | digitec | 7700.90 with shipping | https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823
    NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) | 8744 CHF | BRACK.CH | - | https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823
    NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) | 9120.5 CHF | Steg | - | https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823
    ");
    insta::assert_snapshot!(answer.remarks.join("\n"), @"
    Later AG: auf anfrage
    Dash GmbH: no amount in `CHF –.–`
    ");
    // It says who it is, and it asks for the rules first.
    let agent = "[localrig/0.1.0 (personal price check; mailto:me@home.example)]";
    assert_eq!(site.asked(), [format!("/robots.txt {agent}"), format!("{PRODUCT} {agent}")]);
}

#[test]
fn json_ld_is_preferred_to_markup() {
    let site = Site::serve([(PRODUCT, ok(JSON_LD))].into());
    let folder = tempfile::tempdir().unwrap();
    let answer = reader(&site, &folder).offers(&wanted(Some(PRODUCT)), now()).unwrap();
    let offers: Vec<String> = answer
        .offers
        .iter()
        .map(|one| {
            let number = one.part_number.as_deref().unwrap_or("-");
            format!("{} | {number} | {} {} | {}", one.product, one.amount, one.currency, one.shop)
        })
        .collect();
    insta::assert_snapshot!(offers.join("\n"), @"
    NVIDIA RTX Pro 6000 Blackwell Workstation | 900-5G144-2200-000 | 7691 CHF | digitec
    NVIDIA RTX Pro 6000 Blackwell Workstation | 900-5G144-2200-000 | 8744 CHF | BRACK.CH
    ");
    insta::assert_snapshot!(answer.remarks.join("\n"), @"
    JSON-LD: EOF while parsing a value at line 1 column 12
    JSON-LD: 0 is no price
    no prices in JPY are kept
    JSON-LD: an offer without a currency
    ");
}

#[test]
fn a_search_leads_to_products_and_never_to_shops() {
    let site =
        Site::serve([("/produktsuche?q=RTX+PRO+6000", ok(SEARCH)), (PRODUCT, ok(OFFERS))].into());
    let folder = tempfile::tempdir().unwrap();
    let answer = reader(&site, &folder).offers(&wanted(None), now()).unwrap();
    assert_eq!(answer.offers.len(), 3);
    let asked: Vec<String> =
        site.asked().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["/robots.txt", "/produktsuche?q=RTX+PRO+6000", PRODUCT]);
}

#[test]
fn a_page_is_asked_for_once_a_week() {
    let site = Site::serve([(PRODUCT, ok(OFFERS))].into());
    let folder = tempfile::tempdir().unwrap();
    let mut reader = reader(&site, &folder);
    let after = |hours: i64| now() + jiff::SignedDuration::from_hours(hours);
    let pages = |site: &Site| site.asked().iter().filter(|line| line.starts_with(PRODUCT)).count();
    reader.offers(&wanted(Some(PRODUCT)), now()).unwrap();
    let again = reader.offers(&wanted(Some(PRODUCT)), after(6 * 24)).unwrap();
    assert_eq!(pages(&site), 1);
    // A kept page speaks of the day it was read.
    assert_eq!(again.offers[0].date.to_string(), "2026-11-21");
    reader.offers(&wanted(Some(PRODUCT)), after(8 * 24)).unwrap();
    assert_eq!(pages(&site), 2);
}

#[test]
fn a_page_that_could_not_be_read_is_asked_for_again() {
    let site = Site::serve([(PRODUCT, ok("<html><h1>Changed</h1></html>"))].into());
    let folder = tempfile::tempdir().unwrap();
    let mut reader = reader(&site, &folder);
    for _ in 0..2 {
        assert!(reader.offers(&wanted(Some(PRODUCT)), now()).is_err());
    }
    assert_eq!(site.asked().iter().filter(|line| line.starts_with(PRODUCT)).count(), 2);
}

#[test]
fn a_site_that_says_no_is_left_alone() {
    let too_many = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 120\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let site = Site::serve([(PRODUCT, too_many.to_owned())].into());
    let folder = tempfile::tempdir().unwrap();
    let mut reader = reader(&site, &folder);
    let first = reader.offers(&wanted(Some(PRODUCT)), now()).unwrap_err();
    assert!(
        matches!(&first, SourceError::Stop { status: 429, retry_after: Some(wait), .. } if wait.as_secs() == 120),
        "{first}"
    );
    assert!(first.is_final());
    let after = |seconds: i64| now() + jiff::SignedDuration::from_secs(seconds);
    let second = reader.offers(&wanted(Some(PRODUCT)), after(60)).unwrap_err();
    assert!(matches!(second, SourceError::Paused { .. }), "{second}");
    assert_eq!(site.asked().iter().filter(|line| line.starts_with(PRODUCT)).count(), 1);
    // After the time it asked for, it is asked again.
    let third = reader.offers(&wanted(Some(PRODUCT)), after(121)).unwrap_err();
    assert!(matches!(third, SourceError::Stop { .. }), "{third}");
}

#[test]
fn everything_else_that_goes_wrong_is_an_error_and_never_a_price() {
    let status =
        |line: &str| format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let robots = "User-agent: *\nDisallow: /price-comparison/\n";
    let truncated = &OFFERS[..OFFERS.find("Plugin_Price").unwrap()];
    let short =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 90000\r\nconnection: close\r\n\r\n{truncated}");
    let moved = "HTTP/1.1 302 Found\r\nlocation: /ext_shop/1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let cases: Vec<(&str, Pages)> = vec![
        ("500", [(PRODUCT, status("500 Internal Server Error"))].into()),
        ("403", [(PRODUCT, status("403 Forbidden"))].into()),
        ("503", [(PRODUCT, status("503 Service Unavailable"))].into()),
        ("gone", Pages::new()),
        ("silence", [("/robots.txt", ok("")), (PRODUCT, "SILENCE".to_owned())].into()),
        ("cut off", [(PRODUCT, short)].into()),
        ("cut off, but whole", [(PRODUCT, ok(truncated))].into()),
        ("changed markup", [(PRODUCT, ok(&OFFERS.replace("Plugin_Price", "NewPrice")))].into()),
        ("no page at all", [(PRODUCT, ok(""))].into()),
        ("prices of zero", [(PRODUCT, ok(&zero_prices()))].into()),
        ("another currency", [(PRODUCT, ok(&OFFERS.replace("CHF", "JPY")))].into()),
        ("forbidden", [("/robots.txt", ok(robots)), (PRODUCT, ok(OFFERS))].into()),
        ("click-out", [(PRODUCT, moved.to_owned())].into()),
    ];
    let lines: Vec<String> =
        cases.into_iter().map(|(name, pages)| format!("{name}: {}", said(pages))).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    500: SITE/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 answered 500
    403: SITE answered 403: no more requests
    503: SITE answered 503: no more requests
    gone: SITE/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 answered 404
    silence: SITE/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 did not answer within 0 s
    cut off: could not read SITE/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823: error decoding response body: request or response body error: error reading a body from connection: end of file before message length reached
    cut off, but whole: no price found in https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 (digitec: no price): JSON-LD offers or `.Plugin_Offer` expected
    changed markup: no price found in https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 (digitec: no price): JSON-LD offers or `.Plugin_Offer` expected
    no page at all: no price found in https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823: JSON-LD offers or `.Plugin_Offer` expected
    prices of zero: no price found in https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 (digitec: `CHF 0.00` is no price): JSON-LD offers or `.Plugin_Offer` expected
    another currency: no price found in https://www.toppreise.ch/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 (digitec: no prices in JPY are kept): JSON-LD offers or `.Plugin_Offer` expected
    forbidden: robots.txt of SITE forbids /price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823
    click-out: SITE/price-comparison/Graphics-cards/X-900-5G144-2200-000-p833823 answered 302
    ");
}

fn zero_prices() -> String {
    OFFERS.replace("7'691.00", "0.00").replace("8’744.–", "0.–").replace("9'120.50", "–.–")
}

#[test]
fn a_site_without_a_server_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let site = Site { base, asked: Arc::default() };
    let folder = tempfile::tempdir().unwrap();
    let error = reader(&site, &folder).offers(&wanted(Some(PRODUCT)), now()).unwrap_err();
    assert!(matches!(error, SourceError::Connection { .. }), "{error}");
}

#[test]
fn rates_and_tariffs_are_fetched_into_the_store() {
    let xml = r#"<e xmlns="x"><Cube><Cube time="2026-11-20"><Cube currency="CHF" rate="0.93"/></Cube></Cube></e>"#;
    let csv = "year,operator,total\n2026,ewz,26.11\n";
    let site = Site::serve([("/daily.xml", ok(xml)), ("/query", ok(csv))].into());
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let daily = format!("{}/daily.xml", site.base);
    rate::fetch(&web(), &daily, &mut store, now()).unwrap();
    tariff::fetch(&web(), &format!("{}/query", site.base), 261, &mut store, now()).unwrap();
    assert_eq!(store.rates().unwrap()[0].date.to_string(), "2026-11-20");
    assert_eq!(store.tariffs(261).unwrap()[0].operator, "ewz");
    let missing = format!("{}/none", site.base);
    let error = rate::fetch(&web(), &missing, &mut store, now()).unwrap_err();
    assert!(matches!(error, SourceError::Status { status: 404, .. }), "{error}");
    assert_eq!(store.rates().unwrap().len(), 1);
}
