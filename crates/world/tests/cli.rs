//! `toppreise-cli` by recorded answers: a program of that name on PATH that plays them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests of the crate that does input and output")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use jiff::Timestamp;
use localrig_facts::Id;
use localrig_world::price::offer::{PriceSource as _, Wanted};
use localrig_world::price::toppreise_cli::{ToppreiseCli, products};

const SEARCH: &str = include_str!("data/cli_search.md");
const OFFERS: &str = include_str!("data/cli_offers.md");

/// A program that answers by its first argument and writes down how it was called.
fn fake(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toppreise-cli");
    std::fs::write(folder.path().join("search.md"), SEARCH).unwrap();
    std::fs::write(folder.path().join("offers.md"), OFFERS).unwrap();
    let head = "#!/bin/sh\nhere=$(dirname \"$0\")\necho \"$@\" >> \"$here/calls\"\n";
    std::fs::write(&path, format!("{head}{script}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

const PLAYS: &str =
    "case \"$1\" in search) cat \"$here/search.md\";; *) cat \"$here/offers.md\";; esac\n";

fn wanted(pages: &[&str]) -> Wanted {
    Wanted {
        item: Id::new("gpu/nvidia/rtx-pro-6000-blackwell-ws"),
        variant: None,
        query: "RTX PRO 6000".to_owned(),
        pages: pages.iter().map(|page| (*page).to_owned()).collect(),
    }
}

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn cli(folder: &tempfile::TempDir) -> ToppreiseCli {
    ToppreiseCli::find(Some(folder.path().as_os_str())).unwrap()
}

fn calls(folder: &tempfile::TempDir) -> String {
    std::fs::read_to_string(folder.path().join("calls")).unwrap()
}

#[test]
fn a_search_gives_products_with_their_pages() {
    let found: Vec<String> =
        products(SEARCH).iter().map(|one| format!("{} | {}", one.name, one.page)).collect();
    insta::assert_snapshot!(found.join("\n"), @"
    NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) | https://www.toppreise.ch/price-comparison/Graphics-cards/NVIDIA-RTX-Pro-6000-Blackwell-Workstation-900-5G144-2200-000-p833823
    PNY RTX PRO 6000 Blackwell Max-Q | https://www.toppreise.ch/price-comparison/Graphics-cards/PNY-RTX-PRO-6000-Blackwell-Max-Q-p900001
    PNY RTX PRO 6000 Blackwell Server Edition | https://www.toppreise.ch/price-comparison/Graphics-cards/PNY-RTX-PRO-6000-Server-p900002
    ");
}

#[test]
fn a_known_page_is_asked_for_directly() {
    let folder = fake(PLAYS);
    let page = "https://www.toppreise.ch/price-comparison/Graphics-cards/X-p833823";
    let answer = cli(&folder).offers(&wanted(&[page]), now()).unwrap();
    let offers: Vec<String> = answer
        .offers
        .iter()
        .map(|one| {
            let note = one.note.as_deref().unwrap_or("-");
            format!(
                "{} | {} {} | {} | {} | {note}",
                one.product, one.amount, one.currency, one.shop, one.date
            )
        })
        .collect();
    insta::assert_snapshot!(offers.join("\n"), @"
    NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) | 7691 CHF | digitec | 2026-11-20 | plus 9.90 shipping
    NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) | 8744 CHF | BRACK.CH | 2026-11-20 | 8744.00 with shipping
    ");
    insta::assert_snapshot!(answer.remarks.join("\n"), @"
    Later AG: on request
    Odd GmbH: no amount in `on request`
    ");
    assert_eq!(calls(&folder), "product p833823 --section offers\n");
}

#[test]
fn what_has_no_page_is_searched_for_with_the_documented_options() {
    let folder = fake(PLAYS);
    cli(&folder).offers(&wanted(&[]), now()).unwrap();
    let calls = calls(&folder);
    let first = calls.lines().next().unwrap();
    assert_eq!(first, "search RTX PRO 6000 --sort price-asc --limit 20");
    assert_eq!(calls.lines().count(), 1 + products(SEARCH).len());
}

#[test]
fn its_failures_are_told_apart() {
    let cases = [
        ("exit code", "echo 'Error: HTTP 429 Too Many Requests' >&2; exit 3\n"),
        ("nothing", "exit 0\n"),
        ("another form", "echo '{\"offers\": []}'\n"),
        ("a table without prices", "printf '| Shop | Rating |\\n|---|---|\\n| digitec | 5 |\\n'\n"),
        ("half a table", "head -c 180 \"$here/offers.md\"\n"),
        ("another currency", "sed 's/CHF/JPY/g' \"$here/offers.md\"\n"),
        ("silence", "exec sleep 30\n"),
        ("not a program", "exec /nowhere/at/all\n"),
    ];
    let page = "https://www.toppreise.ch/x/X-p833823";
    let mut said = Vec::new();
    for (name, script) in cases {
        let folder = fake(script);
        // A fresh process may take a while on a busy machine; silence lasts longer than this.
        let mut cli = cli(&folder).within(Duration::from_secs(5));
        let result = cli.offers(&wanted(&[page]), now());
        said.push(match result {
            Ok(answer) => {
                format!("{name}: {} offers; {}", answer.offers.len(), answer.remarks.join("; "))
            }
            Err(error) => format!(
                "{name}: {}",
                error.to_string().replace(folder.path().to_str().unwrap(), "PATH")
            ),
        });
    }
    insta::assert_snapshot!(said.join("\n"), @"
    exit code: toppreise-cli failed with exit code 3: Error: HTTP 429 Too Many Requests
    nothing: no price found in the offers of RTX PRO 6000 from toppreise-cli: a table with shop and price expected
    another form: no price found in the offers of RTX PRO 6000 from toppreise-cli: a table with shop and price expected
    a table without prices: no price found in the offers of RTX PRO 6000 from toppreise-cli: a table with shop and price expected
    half a table: no price found in the offers of NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) from toppreise-cli: a table with shop and price expected
    another currency: no price found in the offers of NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) from toppreise-cli (digitec: no prices in JPY are kept): a table with shop and price expected
    silence: `toppreise-cli` did not answer within 5 s
    not a program: toppreise-cli failed with exit code 127: PATH/toppreise-cli: 4: exec: /nowhere/at/all: not found
    ");
}

#[test]
fn a_search_that_finds_nothing_is_an_answer() {
    let folder = fake("echo 'No products found.'; echo 'Data from: 2026-11-21'\n");
    let answer = cli(&folder).offers(&wanted(&[]), now()).unwrap();
    assert_eq!(answer.offers, []);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = ToppreiseCli::find(Some(folder.path().as_os_str())).unwrap_err();
    assert_eq!(error.to_string(), "`toppreise-cli` is not on PATH");
    assert!(ToppreiseCli::find(None).is_err());
}
