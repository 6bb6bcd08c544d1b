//! Asking sources: what is stored, what is held, and that a failing source stops nothing.
#![expect(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "a test fails by panicking; a played answer has the type of a real one"
)]

use std::collections::VecDeque;

use jiff::Timestamp;
use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::shop::Vat;
use localrig_facts::{Catalog, Currency, Id};
use localrig_world::price::error::SourceError;
use localrig_world::price::fetch::fetch;
use localrig_world::price::offer::{Answer, Offer, PriceSource, Wanted};
use localrig_world::store::Store;

/// A source that plays what it is given.
struct Played {
    key: &'static str,
    answers: VecDeque<Result<Answer, SourceError>>,
}

impl Played {
    fn boxed(key: &'static str, answers: Vec<Result<Answer, SourceError>>) -> Box<dyn PriceSource> {
        Box::new(Self { key, answers: answers.into() })
    }
}

impl PriceSource for Played {
    fn key(&self) -> &'static str {
        self.key
    }

    fn region(&self) -> &'static str {
        "ch"
    }

    fn offers(&mut self, _: &Wanted, _: Timestamp) -> Result<Answer, SourceError> {
        self.answers.pop_front().expect("asked no more often than it has answers")
    }
}

fn offer(amount: f64, shop: &str) -> Offer {
    Offer {
        product: "GeForce RTX 5090".to_owned(),
        part_number: None,
        amount,
        amount_high: None,
        currency: Currency::Chf,
        condition: Condition::New,
        kind: PriceKind::Offer,
        vat: Vat::Included,
        shop: shop.to_owned(),
        date: "2026-11-20".parse().unwrap(),
        link: None,
        note: None,
    }
}

fn wanted(item: &str) -> Wanted {
    let query = "GeForce RTX 5090".to_owned();
    Wanted { item: Id::new(item), variant: None, query, pages: Vec::new() }
}

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn catalog() -> Catalog {
    localrig_world::catalog(&[]).unwrap()
}

fn answer(offers: Vec<Offer>) -> Result<Answer, SourceError> {
    Ok(Answer { offers, remarks: Vec::new() })
}

#[test]
fn offers_are_stored_and_the_lowest_that_counts_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let offers =
        vec![offer(2999.0, "Digitec"), offer(2899.0, "BRACK.CH"), offer(3100.0, "Unheard of")];
    let mut sources = vec![Played::boxed("toppreise-cli", vec![answer(offers)])];
    let report =
        fetch(&catalog(), &mut store, &mut sources, &[wanted("gpu/nvidia/rtx-5090")], now).unwrap();
    let one = &report.items[0];
    assert_eq!((one.recorded.accepted, one.recorded.held), (3, 0));
    assert_eq!(one.lowest.as_ref().unwrap().money().to_string(), "CHF 2,899");
    // Shops that the catalog knows go by its ids.
    let mut shops: Vec<String> =
        store.all().unwrap().into_iter().map(|seen| seen.offer.shop).collect();
    shops.sort();
    assert_eq!(shops, ["Unheard of", "brack", "digitec"]);
    // And the prices now stand beside the catalog's own.
    let catalog = catalog().with_observed(localrig_world::price::observed(&store).unwrap());
    let newest = catalog.prices_of(&Id::new("gpu/nvidia/rtx-5090")).unwrap()[0];
    assert_eq!(newest.row.date.to_string(), "2026-11-20");
}

#[test]
fn what_cannot_be_believed_is_held_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let mut future = offer(2950.0, "tomorrow");
    future.date = "2027-05-01".parse().unwrap();
    let mut euro = offer(2950.0, "euro");
    euro.currency = Currency::Eur;
    let offers = vec![
        offer(2999.0, "a"),
        offer(2998.0, "b"),
        offer(2997.0, "c"),
        offer(29.99, "lost point"),
        offer(299_900.0, "in cents"),
        offer(5e9, "absurd"),
        offer(990.0, "too good"),
        future,
        euro,
    ];
    let mut sources = vec![Played::boxed("toppreise", vec![answer(offers)])];
    let report =
        fetch(&catalog(), &mut store, &mut sources, &[wanted("gpu/nvidia/rtx-5090")], now).unwrap();
    assert_eq!(report.items[0].recorded.accepted, 3);
    let held: Vec<String> = store
        .held()
        .unwrap()
        .iter()
        .map(|one| format!("{}: {}", one.offer.shop, one.verdict.reason.as_deref().unwrap()))
        .collect();
    insta::with_settings!({filters => vec![(r"but it is \d{4}-\d\d-\d\d", "but it is TODAY")]}, {
        insta::assert_snapshot!(held.join("\n"), @"
        lost point: CHF 29.99 is 0.5 % of the PLN 30,390 of 2026-10-04
        in cents: CHF 299,900 is 46.7 times the PLN 30,390 of 2026-10-04
        absurd: CHF 5,000,000,000 is absurd
        too good: CHF 990 is 15.4 % of the PLN 30,390 of 2026-10-04
        tomorrow: dated 2027-05-01, but it is TODAY here: a clock is wrong
        euro: in EUR on a page of shops in ch
        ");
    });
}

#[test]
fn a_source_that_fails_gives_way_to_the_next_and_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let stop = SourceError::Stop { host: "h".to_owned(), status: 429, retry_after: None };
    let no_price = || Err(SourceError::NoPrice { what: "x".to_owned(), expected: "offers" });
    let mut sources = vec![
        Played::boxed("toppreise-cli", vec![Err(stop)]),
        Played::boxed(
            "toppreise",
            vec![answer(vec![offer(2999.0, "a")]), no_price(), answer(vec![offer(3000.0, "b")])],
        ),
    ];
    let asked = ["gpu/nvidia/rtx-5090"; 3].map(wanted);
    let report = fetch(&catalog(), &mut store, &mut sources, &asked, now).unwrap();
    let sources: Vec<Option<&str>> = report.items.iter().map(|one| one.source.as_deref()).collect();
    assert_eq!(sources, [Some("toppreise"), None, Some("toppreise")]);
    let failed: Vec<String> = report
        .failed
        .iter()
        .map(|one| format!("{}: {} (stopped: {})", one.source, one.reason, one.stopped))
        .collect();
    insta::assert_snapshot!(failed.join("\n"), @"
    toppreise-cli: h answered 429: no more requests (stopped: true)
    toppreise: no price found in x: offers expected (stopped: false)
    ");
    assert_eq!(store.all().unwrap().len(), 2);
}

#[test]
fn one_decision_is_asked_for_each_product_that_is_not_clear() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let named =
        |name: &str, amount, shop| Offer { product: name.to_owned(), ..offer(amount, shop) };
    let offers = vec![
        named("ASUS ROG Strix GeForce RTX 5090 OC", 3100.0, "a"),
        named("ASUS ROG Strix GeForce RTX 5090 OC", 3050.0, "b"),
        named("Razer Blade RTX 5090 Laptop", 4000.0, "a"),
        named("USB cable", 9.0, "a"),
    ];
    let mut sources = vec![Played::boxed("toppreise", vec![answer(offers)])];
    let report =
        fetch(&catalog(), &mut store, &mut sources, &[wanted("gpu/nvidia/rtx-5090")], now).unwrap();
    let held: Vec<(String, f64)> = store
        .held()
        .unwrap()
        .into_iter()
        .map(|one| (one.offer.product, one.offer.amount))
        .collect();
    assert_eq!(
        held,
        [
            ("ASUS ROG Strix GeForce RTX 5090 OC".to_owned(), 3050.0),
            ("Razer Blade RTX 5090 Laptop".to_owned(), 4000.0)
        ]
    );
    assert_eq!(report.items[0].lowest, None);
    assert_eq!(report.items[0].remarks, ["2 products that are not clear"]);
}
