//! `localrig build` as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the tests run the program on files")]

use assert_cmd::Command;
use serde_json::Value;

fn run(folder: &std::path::Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("localrig")
        .unwrap()
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("LOCALRIG_DATA", folder)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [arguments, &["--format", "json"]].concat();
    let (code, out, said) = run(folder.path(), &arguments);
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn the_february_build_costs_about_what_the_documents_say() {
    let build = json(&["build", "RTX PRO 6000 Workstation", "--as-of", "2026-02-17"]);
    let cost = build["cost"]["amount"].as_f64().unwrap();
    // The decision summary of that week gives CHF 9,500 for one such card on AM5.
    assert!((cost / 9500.0 - 1.0).abs() < 0.10, "{cost}");
    let said = &build["documented"][0];
    assert_eq!(said["total"]["amount"], 9500.0);
    let percent = (cost / 9500.0 - 1.0) * 100.0;
    assert!((said["difference_percent"].as_f64().unwrap() - percent).abs() < 1e-9);
    assert!(said["reasons"].as_array().unwrap().len() >= 3, "{said}");
    // Its supply is right for 600 W: the rule passes with headroom.
    let checks = build["checks"].as_array().unwrap();
    let supply = checks.iter().find(|check| check["rule"] == "power supply").unwrap();
    assert_eq!(supply["outcome"], "pass", "{supply}");
    assert_eq!(build["refused_by"], Value::Null);
    // Every price has its amount, currency, date, shop and a place where it was seen.
    for part in build["parts"].as_array().unwrap() {
        let price = &part["price"];
        assert!(price["amount"]["amount"].as_f64().unwrap() > 0.0);
        assert_eq!(price["amount"]["currency"], "CHF");
        for key in ["date", "shop", "source"] {
            assert!(!price[key].as_str().unwrap().is_empty(), "{key} of {part}");
        }
    }
}

#[test]
fn what_has_no_current_price_is_named_beside_the_total() {
    let build = json(&["build", "2x RTX 5090", "--as-of", "2026-11-21"]);
    let stale = build["not_current"].as_array().unwrap();
    let old = build["parts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|part| part["price"].is_null() || part["price"]["basis"] != "regional")
        .count();
    assert_eq!(stale.len(), old);
    assert!(old > 0, "February prices are no longer current in November");
}

#[test]
fn a_second_card_is_an_upgrade_with_steps_and_a_price() {
    let build = json(&["build", "RTX 5090", "--as-of", "2026-02-17"]);
    let upgrade = &build["upgrade"];
    assert!(upgrade["to"].as_str().unwrap().starts_with("2x GeForce RTX 5090"), "{upgrade}");
    let added = &upgrade["add"][0];
    assert_eq!((&added["id"], &added["count"]), (&"gpu/nvidia/rtx-5090".into(), &1.into()));
    let bought: Option<Vec<f64>> = upgrade["add"]
        .as_array()
        .unwrap()
        .iter()
        .chain(upgrade["replace"].as_array().unwrap().iter().map(|one| &one["new"]))
        .map(|part| part["amount"]["amount"].as_f64())
        .collect();
    // A sum is a sum of all its parts, or there is none.
    let sum = bought.map(|all| (all.iter().sum::<f64>() * 100.0).round());
    assert_eq!(upgrade["cost"]["amount"].as_f64().map(|cost| (cost * 100.0).round()), sum);
}

#[test]
fn owning_is_reckoned_in_ranges_with_their_assumptions() {
    let build =
        json(&["build", "RTX 5090", "--as-of", "2026-11-21", "--hours", "8", "--per-kwh", "0.3"]);
    let own = &build["ownership"];
    let wall = build["power"]["wall_w"].as_f64().unwrap();
    let year = own["electricity_per_year"][0]["amount"].as_f64().unwrap();
    assert!((year - wall / 1000.0 * 8.0 * 365.0 * 0.3).abs() < 0.01, "{year}");
    assert_eq!(own["kwh_basis"], "as you said");
    let resale = |at: usize| own["resale"][at]["amount"].as_f64().unwrap();
    assert!(resale(0) < resale(1) && resale(1) < build["cost"]["amount"].as_f64().unwrap());
    assert!(own["rent"]["per_hour"][0]["amount"].as_f64().unwrap() > 0.0);
    assert!(own["assumptions"].as_array().unwrap().len() > 3);
}

#[test]
fn a_locked_build_can_be_priced_anew_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let lock = ["build", "RTX PRO 6000 Workstation", "--as-of", "2026-02-17", "--lock", "my.json"];
    let (code, _, said) = run(folder.path(), &lock);
    assert_eq!(code, 0, "{said}");
    let before = std::fs::read_to_string(folder.path().join("my.json")).unwrap();
    let (code, out, said) =
        run(folder.path(), &["build", "my.json", "--as-of", "2026-11-21", "--format", "json"]);
    assert_eq!(code, 0, "{said}");
    let (old, new): (Value, Value) =
        (serde_json::from_str(&before).unwrap(), serde_json::from_str(&out).unwrap());
    assert_eq!(new["name"], old["configuration"]["name"]);
    assert_eq!(new["as_of"], "2026-11-21");
    let (code, out, said) = run(
        folder.path(),
        &["price", "drift", "my.json", "--as-of", "2026-11-21", "--format", "json"],
    );
    assert_eq!(code, 0, "{said}");
    let drift: Value = serde_json::from_str(&out).unwrap();
    assert!(drift["moved"].as_u64().unwrap() > 0, "the card went up since February: {out}");
    assert_eq!(before, std::fs::read_to_string(folder.path().join("my.json")).unwrap());
}

#[test]
fn a_card_for_servers_is_refused_with_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, said) =
        run(folder.path(), &["build", "RTX PRO 6000 Server", "--as-of", "2026-11-21"]);
    assert_eq!(code, 5);
    assert!(said.contains("airflow: a passive card needs a server chassis"), "{said}");
    assert!(out.contains("This does not work: airflow"), "{out}");
}

#[test]
fn a_system_bought_whole_is_a_configuration_too() {
    let build = json(&["build", "Mac Studio M3 Ultra 96 GB", "--as-of", "2026-02-17"]);
    assert_eq!(build["parts"].as_array().unwrap().len(), 1);
    assert_eq!(build["growth"], "none: memory and accelerator are soldered");
}

#[test]
fn what_cannot_be_built_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("other.json"),
        "{\"localrig_lock\": 7, \"machine\": \"x\", \"key\": \"x\", \"configuration\": {}}",
    )
    .unwrap();
    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    let said: Vec<String> = ["H100 SXM", "no such card", "other.json", "broken.json"]
        .iter()
        .map(|machine| {
            let (code, _, said) = run(folder.path(), &["build", machine]);
            format!("{code}: {said}")
        })
        .collect();
    insta::assert_snapshot!(said.join(""), @r#"
    3: error: NVIDIA H100 SXM5 80 GB is not sold as a card for a PC or as a system: nothing can be built around it
    hint: name cards ("2x RTX 5090") or a system ("Mac Studio M3 Ultra 256 GB")
    3: error: no machine called `no such card`
    hint: `localrig catalog list` shows what there is; is it a machine?
    3: error: other.json: form 7; this program reads form 1
    hint: `localrig build MACHINE --lock FILE` writes such a file
    3: error: broken.json: EOF while parsing an object at line 1 column 1
    hint: `localrig build MACHINE --lock FILE` writes such a file
    "#);
}

/// A locked build with other parts: the id of each role, and the machine.
fn with_parts(lock: &str, machine: &str, parts: &[(&str, &str)]) -> String {
    let mut lock: Value = serde_json::from_str(lock).unwrap();
    lock["machine"] = machine.into();
    let all = lock["configuration"]["parts"].as_array_mut().unwrap();
    all.retain(|part| part["role"] != "card");
    for part in all {
        let role = part["role"].as_str().unwrap();
        if let Some((_, id)) = parts.iter().find(|(of, _)| *of == role) {
            part["id"] = (*id).into();
        }
    }
    lock.to_string()
}

/// A locked configuration with its parts changed.
fn edited(lock: &str, change: &dyn Fn(&mut Vec<Value>)) -> String {
    let mut lock: Value = serde_json::from_str(lock).unwrap();
    change(lock["configuration"]["parts"].as_array_mut().unwrap());
    lock.to_string()
}

#[test]
fn a_locked_build_keeps_its_parts_and_parts_that_do_not_fit_are_refused_by_their_rule() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parts.toml");
    let path = file.to_str().unwrap();
    let lock = |machine: &str, day: &str| {
        run(folder.path(), &["build", machine, "--lock", path, "--as-of", day]);
        std::fs::read_to_string(&file).unwrap()
    };
    let ids = |text: &str, at: &str| -> Vec<String> {
        let answer: Value = serde_json::from_str(text).unwrap();
        let parts = answer.pointer(at).unwrap().as_array().unwrap().clone();
        parts.iter().map(|part| part["id"].as_str().unwrap().to_owned()).collect()
    };
    // Months later other parts are the cheapest; the machine is still the one that was locked.
    let early = lock("2x RTX 5090", "2026-07-15");
    let (_, again, _) = run(folder.path(), &["build", path, "--format", "json"]);
    assert_eq!(ids(&again, "/parts"), ids(&early, "/configuration/parts"));
    let (_, anew, _) = run(folder.path(), &["build", "2x RTX 5090", "--format", "json"]);
    assert_ne!(ids(&anew, "/parts"), ids(&early, "/configuration/parts"));
    let one = lock("RTX PRO 6000 Workstation", "2026-02-17");

    let refused = |text: String| {
        std::fs::write(&file, text).unwrap();
        let (code, _, said) = run(folder.path(), &["build", path]);
        assert_eq!(code, 5, "{said}");
        said
    };
    let two = lock("2x gpu/nvidia/rtx-5090 (TRX50, x16+x16)", "2026-09-15");
    let said = [
        refused(with_parts(&two, "2x RTX 5090", &[("memory", "memory/kf556c40bbk2-64")])),
        refused(with_parts(&one, "4x RTX 3090", &[])),
        refused(with_parts(&two, "2x RTX 5090", &[("power supply", "psu/bq-pure-power-13m-1000")])),
        refused(with_parts(&two, "L40S", &[])),
    ];
    insta::assert_snapshot!(said.join(""), @"
    error: this machine does not work
      memory: DDR5 UDIMM does not work in a board for DDR5 RDIMM
    hint: the rules are listed under Checks
    error: this machine does not work
      slots: 4 cards, 2 slots of at least four lanes
    hint: the rules are listed under Checks
    error: this machine does not work
      power supply: 1,575 of 1,000 W sustained
    hint: the rules are listed under Checks
    error: this machine does not work
      airflow: a passive card needs a server chassis
    hint: the rules are listed under Checks
    ");

    // What is no part, what is not there, and what is no lock is said as such.
    let wrong = |text: String| {
        std::fs::write(&file, text).unwrap();
        let (code, _, said) = run(folder.path(), &["build", path]);
        assert_eq!(code, 3, "{said}");
        said.replace(path, "FILE")
    };
    let said = [
        wrong(with_parts(&two, "2x RTX 5090", &[("case", "case/nothing")])),
        wrong(with_parts(&two, "2x RTX 5090", &[("case", "psu/bq-pure-power-13m-1000")])),
        wrong("[machine]\n".to_owned()),
        wrong(two.replacen("2x gpu/nvidia/rtx-5090", "2x gpu/nvidia/rtx-3090", 1)),
        wrong(edited(&two, &|parts| {
            let again = parts.iter().find(|part| part["role"] == "case").unwrap().clone();
            parts.push(again);
        })),
        wrong(edited(&two, &|parts| {
            parts.iter_mut().find(|part| part["role"] == "memory").unwrap()["count"] = 0.into();
        })),
        wrong(edited(&two, &|parts| {
            parts.iter_mut().find(|part| part["role"] == "board").unwrap()["count"] = 2.into();
        })),
    ];
    insta::assert_snapshot!(said.join(""), @"
    error: `case/nothing` is no part of the catalog
    hint: `localrig catalog list cpu|board|memory|storage|psu|case|cooler` lists parts
    error: power supply: a machine has one kind, the parts have `psu/seasonic-prime-px-2200`, `psu/bq-pure-power-13m-1000`
    hint: `localrig catalog list cpu|board|memory|storage|psu|case|cooler` lists parts
    error: FILE: expected value at line 1 column 2
    hint: `localrig build MACHINE --lock FILE` writes such a file
    error: FILE: `machine` is 2x gpu/nvidia/rtx-3090 (TRX50, x16+x16), its parts have 2x gpu/nvidia/rtx-5090
    hint: write the same into both, or leave the cards out of the parts
    error: case: a machine has one kind, the parts have `case/define-7-xl`, `case/define-7-xl`
    hint: `localrig catalog list cpu|board|memory|storage|psu|case|cooler` lists parts
    error: memory: a machine has at least one, not 0 of `memory/ddr5-rdimm-64gb`
    hint: `localrig catalog list cpu|board|memory|storage|psu|case|cooler` lists parts
    error: board: a machine has one, not 2 of `board/asus-trx50-sage`
    hint: `localrig catalog list cpu|board|memory|storage|psu|case|cooler` lists parts
    ");
}

#[test]
fn a_base_system_that_there_is_not_is_no_other_one() {
    let folder = tempfile::tempdir().unwrap();
    let key = "2x gpu/nvidia/rtx-5090 (AM5, x16+x8)";
    let (code, out, said) = run(folder.path(), &["build", key]);
    assert_eq!((code, out.as_str()), (3, ""));
    insta::assert_snapshot!(said, @r#"
    error: no base system makes 2x gpu/nvidia/rtx-5090 (AM5, x16+x8)
      `localrig build "2x gpu/nvidia/rtx-5090 (AM5, x8+x8)"`
      `localrig build "2x gpu/nvidia/rtx-5090 (AM5, x16+x4)"`
    hint: it is built as listed, or with parts of your own from a file by `--lock`
    "#);
}

#[test]
fn more_boxes_than_the_maker_joins_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, said) = run(folder.path(), &["build", "5x DGX Spark"]);
    assert_eq!(code, 5, "{said}");
    insta::assert_snapshot!(said, @"
    error: this machine does not work
      cluster link: 5 units; 4 are the most in the maker's guides
    hint: the rules are listed under Checks
    ");
}

/// Four boxes are joined by a switch with its splitters; what has no price is named, and the sum says so.
#[test]
fn four_boxes_need_a_switch() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, said) = run(folder.path(), &["build", "4x DGX Spark", "--as-of", "2026-11-22"]);
    assert_eq!(code, 0, "{said}");
    let section = |from: &str, to: &str| {
        let start = out.find(from).unwrap();
        let end = start + out[start..].find(to).unwrap();
        out[start..end].to_owned()
    };
    insta::assert_snapshot!(section("Parts", "[1] http"), @"
    Parts

    part                      price  seen        shop                basis                       where
    ---------------------------------------------------------------------------------------------------
    system: 4x NVIDIA    CHF 19,546  2026-09-30  Geizhals and        derived                     [1]
    DGX Spark Founders                           3DCenter
    Edition (GB10)
    switch: MikroTik       no price                                  no price of
    CRS812 DDQ                                                       switch/mikrotik-crs812-ddq
                                                                     was seen by 2026-11-22
    cable: 4x QSFP112       CHF 744  2026-08     Petronella          derived                     [2]
    400G DAC cable 0.5                           Technology Group
    m
    splitter: 2x NADDOD     CHF 430  2026-08-17  No seller named     derived                     [3]
    Q2Q56-400G-CU1
    splitter
    ");
    insta::assert_snapshot!(section("Checks", "What it costs"), @"
    Checks

    rule          outcome  reason                                                   rests on
    ---------------------------------------------------------------------------------------------------
    wall socket   pass     1,094 W at the wall, T13 gives 1,840 W for hours and     the region's entry
                           2,300 W at most
    cluster link  pass     RoCE over ConnectX-7, 200 Gb/s, through a switch; 4      the maker's guides
                           units of at most 4; the switch, 4 cables and 2
                           splitters are among the parts

    Power, heat, noise

    - at rest: 88 to 180 W (measured at the wall: of each, 22 W without and 25 W with a display since
      the update of February 2026, 37 W before; 40 to 45 W in other tests, and a link in use keeps the
      network card awake; without the switch, of which none is known)
    - at the wall under full load, and as heat into the room: 1,094 W (rating of its supply; and 134 W
      of the switch at most)
    - noise: not known (no figure was found for the switch)

    Room for growth

    none: 4 units are the most in the maker's guides
    ");
}

#[test]
fn used_goods_say_who_sells_them_and_what_to_try() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(folder.path(), &["build", "RTX 3090", "--as-of", "2026-02-17"]);
    assert_eq!(code, 0);
    let from = out.find("Goods that are not new").unwrap();
    let section: Vec<&str> = out[from..].lines().take(8).collect();
    insta::assert_snapshot!(section.join("\n"), @"
    Goods that are not new

    - NVIDIA GeForce RTX 3090: used, no seller is named

    Ask what is left of the maker's warranty, whether it goes over to you, and by when you may give it
    back; none of that is recorded here. Until then let it run for a day under the load that it is
    bought for, with its memory filled, and read what the driver counts: errors, throttling,
    temperatures.
    ");
    let (_, new, _) = run(folder.path(), &["build", "RTX 5090", "--as-of", "2026-02-17"]);
    assert!(!new.contains("Goods that are not new"));
}

#[test]
fn what_is_bought_later_shares_a_parcel_only_with_what_is_bought_then() {
    let folder = tempfile::tempdir().unwrap();
    let mut shared = 0;
    for machine in ["RTX 5090", "2x RTX 5070 Ti", "2x RTX PRO 4000 Blackwell", "DGX Spark"] {
        let (_, answer, _) =
            run(folder.path(), &["build", machine, "--format", "json", "--as-of", "2026-11-21"]);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let Some(upgrade) = answer["upgrade"].as_object() else { continue };
        let replaced = upgrade["replace"].as_array().unwrap().iter().map(|one| &one["new"]);
        let bought: Vec<&Value> =
            upgrade["add"].as_array().unwrap().iter().chain(replaced).collect();
        let names: Vec<&Value> = bought.iter().map(|part| &part["name"]).collect();
        for part in &bought {
            let parcel = &part["price"]["shared"];
            if !parcel.is_null() {
                shared += 1;
                assert!(names.contains(&&parcel["of"]), "{machine}: {part}");
            }
        }
    }
    assert!(shared > 0, "some upgrade has two parts from one shop abroad");
}

/// What is ordered is seldom the reference card: a pass that only holds of that one is none.
#[test]
fn cards_of_board_partners_are_checked_too() {
    let answer = json(&["build", "2x RTX 5090", "--as-of", "2026-11-22"]);
    let checks = answer["checks"].as_array().unwrap().iter();
    let of_size = ["card width", "card length", "gap between cards"];
    let sized = checks.filter(|one| of_size.contains(&one["rule"].as_str().unwrap()));
    let lines: Vec<String> =
        sized.map(|one| format!("{}: {} {}", one["rule"], one["outcome"], one["reason"])).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    "card width": "not-checked" "in slots 1, 4 from the top; cards of board partners are up to 4 slots wide and would not fit: order one that does"
    "card length": "pass" "304, of board partners up to 370 of 467 mm"
    "gap between cards": "not-checked" "the board's slots leave one free between them; cards of board partners are up to 4 wide and would leave none"
    "#);
}
