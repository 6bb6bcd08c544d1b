use std::path::Path;
use std::process::Command;

use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::shop::Vat;
use localrig_facts::{Currency, Id, Rate};

use super::*;
use crate::price::offer::Offer;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seen(product: &str, amount: f64) -> Seen {
    Seen {
        id: 0,
        source: "manual".to_owned(),
        region: "ch".to_owned(),
        item: Some(Id::new("gpu/nvidia/rtx-5090")),
        variant: None,
        offer: Offer {
            product: product.to_owned(),
            part_number: Some("X-1".to_owned()),
            amount,
            amount_high: Some(amount * 2.0),
            currency: Currency::Chf,
            condition: Condition::Used,
            kind: PriceKind::LowerBound,
            vat: Vat::None,
            shop: "digitec".to_owned(),
            date: "2026-11".parse().unwrap(),
            link: None,
            note: Some("two words".to_owned()),
        },
        taken: time("2026-11-21T10:00:00Z"),
        verdict: Verdict::accepted(),
    }
}

#[test]
fn what_is_written_is_read_back_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let one = seen("RTX 5090", 2345.65);
    let added = store.record(std::slice::from_ref(&one)).unwrap();
    assert_eq!(added, Recorded { accepted: 1, held: 0, known: 0 });
    assert_eq!(store.all().unwrap(), [Seen { id: 1, ..one.clone() }]);
    // The same offer of the same day is one observation; another amount is another.
    let again = store.record(&[one, seen("RTX 5090", 2345.70)]).unwrap();
    assert_eq!(again, Recorded { accepted: 1, held: 0, known: 1 });
    assert_eq!(store.history(&Id::new("gpu/nvidia/rtx-5090")).unwrap().len(), 2);
}

#[test]
fn an_observation_counts_from_the_day_it_was_taken_in() {
    let mut one = seen("RTX 5090", 1.0);
    let read = |one: &Seen| one.observation().map(|seen| seen.row.read.to_string());
    assert_eq!(read(&one).as_deref(), Some("2026-11-21"));
    one.verdict = Verdict::held("absurd");
    assert_eq!(read(&one), None);
}

#[test]
fn a_held_price_counts_once_somebody_accepts_it_and_never_once_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let mut doubtful = seen("RTX 5090 Laptop", 10.0);
    doubtful.item = None;
    doubtful.verdict = Verdict {
        candidates: vec![Id::new("gpu/nvidia/rtx-5090"), Id::new("gpu/nvidia/rtx-4090")],
        ..Verdict::held("says `laptop`")
    };
    let mut other = doubtful.clone();
    other.offer.amount = 11.0;
    assert_eq!(store.record(&[doubtful, other]).unwrap().held, 2);
    let held = store.held().unwrap();
    assert_eq!(held[0].verdict.candidates.len(), 2);
    let item = Id::new("gpu/nvidia/rtx-4090");
    let now = time("2026-11-21T11:00:00Z");
    store.accept(held[0].id, &item, None, &["name x".to_owned()], now).unwrap();
    store.refuse(held[1].id).unwrap();
    assert_eq!(store.held().unwrap(), []);
    assert_eq!(store.history(&item).unwrap().len(), 1);
    assert_eq!(store.aliases().unwrap(), [("name x".to_owned(), item, None)]);
    // Refused is kept, and neither is decided twice.
    assert_eq!(store.all().unwrap().len(), 2);
    let error = store.refuse(held[1].id).unwrap_err();
    assert_eq!(error.to_string(), "no observation 2 waits for a decision");
}

#[test]
fn a_fixing_stays_as_it_was_first_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("price.sqlite")).unwrap();
    let rate = |rate| Rate {
        date: "2026-11-20".parse().unwrap(),
        base: Currency::Eur,
        quote: Currency::Chf,
        rate,
        source: "ecb".to_owned(),
    };
    let now = time("2026-11-21T10:00:00Z");
    assert_eq!(store.record_rates(&[rate(0.93)], now).unwrap(), 1);
    assert_eq!(store.record_rates(&[rate(0.94)], now).unwrap(), 0);
    assert_eq!(store.rates().unwrap(), [rate(0.93)]);
}

#[test]
fn turns_at_a_site_are_spaced_over_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.sqlite");
    let (mut one, mut two) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    let gap = Duration::from_secs(2);
    let now = time("2026-11-21T10:00:00Z");
    let waits = [
        one.take_turn("a", gap, now).unwrap(),
        two.take_turn("a", gap, now).unwrap(),
        one.take_turn("a", gap, now).unwrap(),
        one.take_turn("b", gap, now).unwrap(),
    ];
    assert_eq!(waits.map(|wait| wait.as_secs()), [0, 2, 4, 0]);
    // A clock that was set back an hour does not make anybody wait an hour.
    let earlier = time("2026-11-21T09:00:00Z");
    assert_eq!(two.take_turn("a", gap, earlier).unwrap(), Duration::ZERO);
}

#[test]
fn what_is_no_store_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.sqlite");
    std::fs::write(&path, "this is no database, only some text that is long enough".repeat(50))
        .unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(Store::open_existing(&folder.path().join("none")).unwrap().is_none());
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.sqlite");
    drop(Store::open(&path).unwrap());
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { version: 99, known: 1, .. }), "{error:?}");
}

#[test]
fn a_full_disk_loses_nothing_that_was_written_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.sqlite");
    let mut store = Store::open(&path).unwrap();
    store.record(&[seen("before", 1.0)]).unwrap();
    // SQLite answers with the same error code when a file may not grow as when a disk is full.
    let pages: i64 = store.connection.query_row("pragma page_count", [], |row| row.get(0)).unwrap();
    store.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let many: Vec<Seen> = (1..5000).map(|n| seen(&format!("product {n}"), 1.0)).collect();
    let error = store.record(&many).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    drop(store);
    let products: Vec<String> = Store::open(&path)
        .unwrap()
        .all()
        .unwrap()
        .into_iter()
        .map(|one| one.offer.product)
        .collect();
    assert_eq!(products, ["before"]);
}

#[test]
fn two_writers_take_turns_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.sqlite");
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let path = &path;
            scope.spawn(move || {
                let mut store = Store::open(path).unwrap();
                for number in 0..40 {
                    store.record(&[seen(&format!("{writer} {number}"), 1.0)]).unwrap();
                }
            });
        }
    });
    assert_eq!(Store::open(&path).unwrap().all().unwrap().len(), 80);
}

/// Set for the process that is killed while it writes.
const VICTIM: &str = "LOCALRIG_TEST_STORE_VICTIM";

/// Writes batches of ten for ever, in the process that the next test kills.
#[test]
fn victim_of_the_kill_test() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let mut store = Store::open(Path::new(&path)).unwrap();
    for batch in 0.. {
        let rows: Vec<Seen> = (0..10).map(|row| seen(&format!("{batch} {row}"), 1.0)).collect();
        store.record(&rows).unwrap();
    }
}

#[test]
fn a_kill_while_writing_leaves_only_whole_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("price.sqlite");
    let mut before = 0;
    for _ in 0..3 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::victim_of_the_kill_test", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as it has written something, at whatever point it then is.
        let reached = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            let store = Store::open_existing(&path);
            matches!(store, Ok(Some(store)) if store.all().is_ok_and(|all| all.len() > before))
        });
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(reached, "the victim wrote nothing");
        let store = Store::open(&path).unwrap();
        let whole: String =
            store.run(|sql| sql.query_row("pragma integrity_check", [], |row| row.get(0))).unwrap();
        let count = store.all().unwrap().len();
        assert_eq!((whole.as_str(), count % 10), ("ok", 0));
        assert!(count > before);
        before = count;
        // The next victim must write new rows, not find its old ones.
        drop(store);
        let fresh = Connection::open(&path).unwrap();
        fresh.execute("update observation set product = id || ' kept ' || product", []).unwrap();
    }
}
