//! `localrig price` as a user runs it, with a data folder and a configuration of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the tests run the program on files")]

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// A home with nothing in it but what a test puts there.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        // No source can be reached: nothing listens on port 9 of this machine.
        home.write("config.toml", "[price]\necb_address = \"http://127.0.0.1:9/daily.xml\"\n");
        home
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::cargo_bin("localrig")
            .unwrap()
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("HOME", self.0.path())
            .env("LOCALRIG_DATA", self.path("data"))
            .env("LOCALRIG_CONFIG", self.path("config.toml"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Standard output of a command that must succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code and standard error of a command that must fail.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let code = output.status.code().unwrap();
        assert_ne!(code, 0, "{arguments:?}");
        format!("{code}: {}", String::from_utf8(output.stderr).unwrap())
    }

    #[cfg(unix)]
    fn program(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::create_dir_all(self.path("bin")).unwrap();
        self.write("bin/toppreise-cli", &format!("#!/bin/sh\n{script}"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path("bin/toppreise-cli"), mode).unwrap();
    }
}

#[test]
fn a_price_typed_in_counts_in_the_next_answer() {
    let home = Home::new();
    let set =
        ["price", "set", "rtx 5090", "CHF 2'499.–", "--shop", "Digitec", "--date", "2026-11-20"];
    home.ok(&set);
    let shown = home.ok(&["price", "show", "5090", "--as-of", "2026-11-21", "--format", "csv"]);
    // A price counts from the day it was taken in, which is today, whatever day that is.
    let today = home.ok(&["price", "show", "5090", "--format", "csv"]);
    assert!(today.contains("gpu/nvidia/rtx-5090,,2499.0,CHF,2026-11-20,new"), "{today}");
    assert!(shown.starts_with("item,variant,amount,currency,date,condition,basis"), "{shown}");
    let history = home.ok(&["price", "history", "5090", "--format", "csv"]);
    assert!(
        history.contains("2026-11-20,2499.0,,CHF,new,offer,ch,,Digitec,,typed in by you"),
        "{history}"
    );
}

#[test]
fn a_history_can_be_drawn() {
    let home = Home::new();
    home.ok(&["price", "history", "rtx-5090", "--svg", "history.svg"]);
    let svg = std::fs::read_to_string(home.path("history.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("CHF 2,224"), "{svg}");
}

#[test]
fn wrong_input_is_named_and_nothing_is_stored() {
    let home = Home::new();
    home.write("broken.csv", "product,amount,currency,shop,date\nX,0,CHF,s,2026-11-20\n");
    let set = |item, amount| vec!["price", "set", item, amount, "--shop", "s"];
    let mut future = set("5090", "2000");
    future.extend(["--date", "2999-01-01"]);
    let said = [
        home.fails(&set("5090", "0")),
        home.fails(&set("5090", "JPY 2000")),
        home.fails(&set("pro6000", "2000")),
        home.fails(&set("mac-studio-m3-ultra", "4000")),
        home.fails(&set("mac-studio-m3-ultra:7gb", "4000")),
        home.fails(&future),
        home.fails(&["price", "import", "broken.csv"]),
        home.fails(&["price", "drift", "broken.csv"]),
        home.fails(&["price", "review", "--refuse", "7"]),
    ];
    insta::assert_snapshot!(said.join(""), @"
    3: error: `0` is no price
    3: error: no prices in JPY are kept
    hint: currencies: CHF, EUR, GBP, PLN, USD, as in `CHF 900`
    3: error: `pro6000` can mean 3 different items
      gpu/nvidia/rtx-pro-6000-blackwell-maxq (NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition)
      gpu/nvidia/rtx-pro-6000-blackwell-server (NVIDIA RTX PRO 6000 Blackwell Server Edition)
      gpu/nvidia/rtx-pro-6000-blackwell-ws (NVIDIA RTX PRO 6000 Blackwell Workstation Edition)
    hint: use one of these ids, or more words of the name
    3: error: Apple Mac Studio (M3 Ultra, 2025) is sold in several variants
    hint: say which: mac-studio-m3-ultra:96gb, mac-studio-m3-ultra:256gb, mac-studio-m3-ultra:512gb
    3: error: system/apple/mac-studio-m3-ultra has no variant `7gb`
    hint: variants: 96gb, 256gb, 512gb
    3: error: 2999-01-01 has not come yet
    3: error: broken.csv:2: 0 is no price
    3: error: broken.csv states no price beside a toppreise.ch link, and no parts with prices
    3: error: no observation 7 waits for a decision
    ");
    assert_eq!(home.ok(&["price", "review"]), "PRICES THAT WAIT FOR A DECISION\n\nNone.\n");
}

#[test]
fn an_import_sorts_into_accepted_held_and_unknown() {
    let home = Home::new();
    home.write(
        "prices.csv",
        "item,product,part_number,amount,currency,shop,date\n\
         rtx-5090,some 5090,,2400,CHF,digitec,2026-11-19\n\
         ,RTX Pro 6000,900-5G144-2200-000,7900,CHF,brack,2026-11-19\n\
         ,ASUS TUF GeForce RTX 5090 OC,,2650,CHF,brack,2026-11-19\n\
         rtx-5090,far too cheap,,24,CHF,digitec,2026-11-19\n\
         ,a lamp,,20,CHF,digitec,2026-11-19\n",
    );
    insta::assert_snapshot!(home.ok(&["price", "import", "prices.csv"]), @"
    PRICES FETCHED

    item        source  new  held  known  price  seen  shop  where
                                            now
    ---------------------------------------------------------------
    prices.csv  you       2     2      0   none

    Left out

    - prices.csv: `a lamp` is nothing the catalog has: add a column `item`, or the item itself

    2 wait for your decision: `localrig price review`.
    ");
    insta::assert_snapshot!(home.ok(&["price", "review"]), @"
    PRICES THAT WAIT FOR A DECISION

    #  product               price  date        shop     why               may be               where
    ---------------------------------------------------------------------------------------------------
    3  ASUS TUF GeForce  CHF 2,650  2026-11-19  brack    only its name     gpu/nvidia/rtx-5090  import
       RTX 5090 OC                                       looks alike: no
                                                         part number,
                                                         alias or page
                                                         says what it is
    4  far too cheap        CHF 24  2026-11-19  digitec  CHF 24 is 0.4 %   gpu/nvidia/rtx-5090  import
                                                         of the PLN
                                                         30,390 of
                                                         2026-10-04

    `localrig price review --accept # --item ID` takes one as a price of the item; further offers of
    that very product then count too. `--refuse #` keeps it out for good.
    ");
    // A decision about a product holds for its next offer.
    home.ok(&["price", "review", "--accept", "3"]);
    home.ok(&["price", "review", "--refuse", "4"]);
    home.write(
        "more.csv",
        "product,amount,currency,shop,date\nASUS TUF GeForce RTX 5090 OC,2600,CHF,steg,2026-11-20\n",
    );
    let more = home.ok(&["price", "import", "more.csv", "--format", "csv"]);
    assert_eq!(more, "file,new,held,known\nmore.csv,1,0,0\n");
    // The same file again adds nothing.
    let again = home.ok(&["price", "import", "more.csv", "--format", "csv"]);
    assert_eq!(again, "file,new,held,known\nmore.csv,0,0,1\n");
}

#[test]
fn drift_compares_a_document_with_the_newest_prices_and_leaves_it_alone() {
    let home = Home::new();
    let text = "# Buy\n\n- RTX PRO 6000 from CHF 5,000 ([toppreise.ch](https://www.toppreise.ch/price-comparison/Graphics-cards/NVIDIA-RTX-Pro-6000-Blackwell-Workstation-900-5G144-2200-000-p833823))\n\
                - [Define 7](https://www.toppreise.ch/price-comparison/Computer-cases/FRACTAL-DESIGN-Define-7-Black-FD-C-DEF7A-01-p601634): CHF 137.–\n\
                - [a lamp](https://www.toppreise.ch/x/Lamp-p1): CHF 20\n";
    home.write("plan.md", text);
    let said = home.ok(&["price", "drift", "plan.md", "--as-of", "2026-02-20"]);
    insta::assert_snapshot!(said, @"
    PRICES OF PLAN.MD AGAINST 2026-02-20

    1 of 3 prices moved by 5 % or more; 1 could not be compared. The document was not changed.

           place   product                       then        now  change  seen        shop       where
    ---------------------------------------------------------------------------------------------------
    moved  line 3  NVIDIA RTX Pro 6000      CHF 5,000  CHF 7,848   +57 %  2026-02-17  Toppreise  [1]
                   Blackwell Workstation
                   900 5G144 2200 000
           line 4  Define 7                   CHF 137    CHF 137     0 %  2026-02-17  Toppreise  [2]
           line 5  a lamp                      CHF 20                  ?                         [3]

    [1] https://www.toppreise.ch/price-comparison/Graphics-cards/PNY-Nvidia-RTX-Pro-6000-Blackwell-WS-Nvidia-VCNRTXPRO6000-PB-p804716
    [2] https://www.toppreise.ch/price-comparison/Computer-cases/FRACTAL-DESIGN-Define-7-Black-FD-C-DEF7A-01-p601634
    [3] https://www.toppreise.ch/x/Lamp-p1

    - line 5, a lamp: no item of the catalog has this page
    ");
    assert_eq!(std::fs::read_to_string(home.path("plan.md")).unwrap(), text);
}

#[cfg(unix)]
#[test]
fn a_fetch_that_fails_falls_back_to_stored_prices_and_says_so() {
    let home = Home::new();
    home.program("echo 'Error: HTTP 503' >&2; exit 1\n");
    let output = home.run(&["price", "fetch", "define-7"]);
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8(output.stdout).unwrap();
    insta::with_settings!({filters => vec![(r"\d+ days", "N days"), (r"error sending[^\n]*(\n    [^\n]*)*", "no connection")]}, {
        insta::assert_snapshot!(said, @"
        PRICES FETCHED

        item               source           new  held  known    price  seen               shop       where
                                                                  now
        ---------------------------------------------------------------------------------------------------
        Fractal Design     nobody answered    0     0      0  CHF 137  2026-02-17         Toppreise  [1]
        Define 7                                                       (stored)

        [1] https://www.toppreise.ch/price-comparison/Computer-cases/FRACTAL-DESIGN-Define-7-Black-FD-C-DEF7A-01-p601634

        What went wrong

        - exchange rates: could not read http://127.0.0.1:9/daily.xml: no connection
          (http://127.0.0.1:9/daily.xml): client error (Connect): tcp connect error: Connection refused (os
          error 111)
        - toppreise-cli for case/define-7: toppreise-cli failed with exit code 1: Error: HTTP 503; not asked
          for anything further

        Nothing stored was lost; prices marked `stored` are from before.
        ");
    });
}

#[cfg(unix)]
#[test]
fn a_fetch_stores_what_toppreise_cli_says() {
    let home = Home::new();
    home.program(
        "printf '# FRACTAL DESIGN Define 7\\n\\n| Shop | Price |\\n|---|---|\\n| digitec | CHF 149.– |\\n| BRACK.CH | CHF 145.50 |\\n\\nData from: 2026-11-20\\n'\n",
    );
    let csv = home.ok(&["price", "fetch", "define-7", "--format", "csv"]);
    assert!(csv.contains("case/define-7,toppreise-cli,2,0,0,145.5,CHF,2026-11-20"), "{csv}");
}

#[test]
fn without_a_source_a_fetch_says_how_to_get_one() {
    let home = Home::new();
    let said = home.fails(&["price", "fetch", "define-7"]);
    insta::assert_snapshot!(said, @"
    7: error: no price source can be asked
    hint: put `toppreise-cli` on PATH, or write `[price]` and `toppreise_site = true` into `config.toml` in your configuration folder
    ");
}

#[test]
fn a_damaged_store_does_not_stop_an_answer() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("data")).unwrap();
    home.write("data/price.sqlite", &"no database".repeat(500));
    let output = home.run(&["price", "show", "define-7", "--format", "csv"]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("warning: stored prices are left out: "), "{said}");
    assert!(Path::new(&home.path("data/price.sqlite")).is_file(), "it is not thrown away");
    let said = home.fails(&["price", "set", "5090", "1", "--shop", "s"]);
    assert!(said.contains("is no price store or is damaged"), "{said}");
}

#[test]
fn an_unknown_key_in_the_configuration_is_named() {
    let home = Home::new();
    home.write("config.toml", "[price]\ntopreise_site = true\n");
    let said = home.fails(&["price", "fetch", "define-7"]);
    assert!(said.contains("unknown key `topreise_site`"), "{said}");
}

#[test]
fn a_word_that_is_no_currency_makes_no_price() {
    let home = Home::new();
    let set = |amount: &str| {
        ["price", "set", "rtx 3090", amount, "--shop", "s", "--date", "2026-11-20"]
            .map(str::to_owned)
    };
    let fails = |amount: &str| home.fails(&set(amount).each_ref().map(String::as_str));
    let said = ["Ft 900", "900 Kč", "about 900", "CHF 900 each"].map(fails);
    insta::assert_snapshot!(said.concat(), @r"
    3: error: `Ft` in `Ft 900` is no currency
    hint: currencies: CHF, EUR, GBP, PLN, USD, as in `CHF 900`
    3: error: `Kč` in `900 Kč` is no currency
    hint: currencies: CHF, EUR, GBP, PLN, USD, as in `CHF 900`
    3: error: `about` in `about 900` is no currency
    hint: currencies: CHF, EUR, GBP, PLN, USD, as in `CHF 900`
    3: error: `each` in `CHF 900 each` is no currency
    hint: currencies: CHF, EUR, GBP, PLN, USD, as in `CHF 900`
    ");
    let said = home.ok(&set("usd 900").each_ref().map(String::as_str));
    assert!(said.contains("USD 900"), "{said}");
}

#[test]
fn a_slip_of_a_finger_is_held_and_stored_only_when_it_is_sure() {
    let home = Home::new();
    let set = ["price", "set", "rtx 5090", "2,5", "--shop", "digitec"];
    insta::assert_snapshot!(home.fails(&set), @"
    3: error: CHF 2.50 is 0.0 % of the PLN 30,390 of 2026-10-04
    hint: nothing was stored; `--sure` stores it all the same
    ");
    let shown = home.ok(&["price", "show", "rtx 5090"]);
    assert!(!shown.contains("CHF 2.50"), "{shown}");
    let said = home.ok(&[&set[..], &["--sure", "--date", "2026-11-20"]].concat());
    insta::assert_snapshot!(said, @"- Stored: NVIDIA GeForce RTX 5090, CHF 2.50 by digitec, 2026-11-20, new");
}
