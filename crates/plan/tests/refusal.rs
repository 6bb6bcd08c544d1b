//! Machines that must be refused, each by the rule that says why, with the catalog's own parts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use localrig_facts::Catalog;
use localrig_facts::calibration::Adapter;
use localrig_facts::catalog::Entry;
use localrig_facts::gpu::Plug::{Eps8, Pcie6, Pcie8, Pin12, Pin16};
use localrig_facts::gpu::{Connector, Gpu, Plug};
use localrig_facts::part::{Case, Cpu, Memory, Motherboard, Psu};
use localrig_facts::region::Region;
use localrig_facts::unit::Watts;
use localrig_plan::candidate::{Wall, WallBasis};
use localrig_plan::check::{self, Check, Outcome};

fn catalog() -> Catalog {
    localrig_world::catalog(&[]).unwrap()
}

fn of<'a, T: Entry>(catalog: &'a Catalog, within: &str) -> &'a T {
    catalog.get_in::<T>(within).unwrap().1
}

#[track_caller]
fn refused(check: &Check, rule: &str, reason: &str) {
    assert_eq!((check.rule, check.outcome), (rule, Outcome::Fail), "{}", check.reason);
    assert!(check.reason.contains(reason), "{}", check.reason);
}

#[test]
fn unbuffered_memory_in_a_trx50_board_fails_the_memory_rule() {
    let catalog = catalog();
    let kit: &Memory = of(&catalog, "kf556c40bbk2-64");
    for (id, board) in catalog.all::<Motherboard>().unwrap() {
        if board.chipset == "TRX50" {
            let check = check::memory(kit, 1, board);
            refused(&check, "memory", "DDR5 UDIMM does not work in a board for DDR5 RDIMM");
            let registered: &Memory = of(&catalog, "kf556r36rbk4-64");
            let other = check::memory(registered, 1, board).outcome;
            assert!(other != Outcome::Fail, "{id} takes registered memory");
        }
    }
}

#[test]
fn a_passive_card_in_a_tower_fails_the_airflow_rule() {
    let catalog = catalog();
    let card: &Gpu = of(&catalog, "nvidia/rtx-pro-6000-blackwell-server");
    refused(&check::airflow(&[card], heat(&catalog)), "airflow", "needs a server chassis");
}

#[test]
fn cards_that_blow_much_heat_onto_each_other_are_warned_of() {
    let catalog = catalog();
    let of_count = |name: &str, count: usize| {
        let card: &Gpu = of(&catalog, name);
        let said = check::airflow(&vec![card; count], heat(&catalog));
        format!("{count}x {name}, {}: {}\n", said.outcome.word(), said.reason)
    };
    let said = [
        of_count("nvidia/rtx-3090", 1),
        of_count("nvidia/rtx-3090", 2),
        of_count("nvidia/rtx-5060-ti-16gb", 2),
        of_count("nvidia/rtx-5060-ti-16gb", 4),
        of_count("nvidia/rtx-pro-6000-blackwell-maxq", 4),
    ];
    insta::assert_snapshot!(said.concat(), @"
    1x nvidia/rtx-3090, pass: one card blows its heat into the case
    2x nvidia/rtx-3090, warn: 2 cards blow 700 W into the case: the upper ones breathe it
    2x nvidia/rtx-5060-ti-16gb, pass: 2 cards blow 360 W into the case, little enough
    4x nvidia/rtx-5060-ti-16gb, warn: 4 cards blow 720 W into the case: the upper ones breathe it
    4x nvidia/rtx-pro-6000-blackwell-maxq, pass: no card blows its heat into the case
    ");
    let mut unknown = of::<Gpu>(&catalog, "nvidia/rtx-3090").clone();
    unknown.board.cooling = None;
    assert_eq!(check::airflow(&[&unknown, &unknown], heat(&catalog)).outcome, Outcome::NotChecked);
    assert_eq!(check::airflow(&[&unknown], heat(&catalog)).outcome, Outcome::NotChecked);
}

#[test]
fn two_600_w_cards_on_too_small_a_supply_fail_the_supply_rule() {
    let catalog = catalog();
    let card: &Gpu = of(&catalog, "nvidia/rtx-pro-6000-blackwell-ws");
    let cpu: &Cpu = of(&catalog, "9950x");
    let cards = [card, card];
    let small: &Psu = of(&catalog, "bq-straight-power-12-1200");
    refused(
        &check::supply(&cards, cpu, rest(&catalog), small),
        "power supply",
        "1,505 of 1,200 W sustained",
    );
    // A supply with no headroom is named as well, and one with headroom passes.
    let tight: &Psu = of(&catalog, "seasonic-prime-tx-1600");
    assert_eq!(check::supply(&cards, cpu, rest(&catalog), tight).outcome, Outcome::Warn);
    let ample: &Psu = of(&catalog, "superflower-2200");
    assert_eq!(check::supply(&cards, cpu, rest(&catalog), ample).outcome, Outcome::Pass);
    // As ample, but nobody recorded to what version of ATX it is, and so what load steps it rides out.
    let unknown = Psu { atx_version: None, ..ample.clone() };
    let of_two = check::supply(&cards, cpu, rest(&catalog), &unknown);
    assert_eq!(of_two.outcome, Outcome::NotChecked);
    assert!(of_two.reason.ends_with("load steps (ATX 3) is not recorded"), "{}", of_two.reason);
    // One card leaves so much that even a step to twice the power is within the rating.
    let of_one = check::supply(&cards[..1], cpu, rest(&catalog), &unknown);
    assert_eq!(of_one.outcome, Outcome::Pass);
}

#[test]
fn matrices_are_cut_over_as_many_cards_as_divide_the_heads_of_most_models() {
    let heads = [32, 64, 40, 28];
    assert_eq!(check::tensor_split(1, &heads), None);
    assert_eq!(check::tensor_split(4, &heads).unwrap().outcome, Outcome::Pass);
    let three = check::tensor_split(3, &heads).unwrap();
    assert_eq!(three.outcome, Outcome::Warn);
    insta::assert_snapshot!(three.reason, @"heads of 0 of 4 models divide by 3; the others are cut by layers only");
}

/// What a machine draws beside cards and processor.
fn heat(catalog: &Catalog) -> Watts {
    catalog.machine_constants().unwrap().others_heat_w
}

fn adapters(catalog: &Catalog) -> &[Adapter] {
    &catalog.machine_constants().unwrap().adapters
}

fn rest(catalog: &Catalog) -> Watts {
    catalog.machine_constants().unwrap().rest_w
}

#[test]
fn more_than_the_socket_gives_fails_the_socket_rule() {
    let catalog = catalog();
    let card: &Gpu = of(&catalog, "nvidia/rtx-pro-6000-blackwell-ws");
    let cpu: &Cpu = of(&catalog, "9955wx");
    let region: &Region = of(&catalog, "ch");
    let socket = |kind| region.sockets.iter().find(|one| one.kind == kind).unwrap();
    let sustained = check::sustained(&[card; 4], cpu, rest(&catalog)).unwrap();
    let four = Wall { power_w: sustained / 0.9, basis: WallBasis::Limits, note: None };
    refused(
        &check::wall_socket(&four, socket("T13")),
        "wall socket",
        "T13 gives 1,840 W for hours",
    );
    assert_eq!(check::wall_socket(&four, socket("T23")).outcome, Outcome::Warn);
    // What is only assumed is not checked, however little it is.
    let little = Wall { power_w: Watts::new(100.0), basis: WallBasis::Alike, note: None };
    assert_eq!(check::wall_socket(&little, socket("T13")).outcome, Outcome::NotChecked);
}

#[test]
fn a_three_slot_card_over_a_two_slot_gap_fails_the_width_rule() {
    let catalog = catalog();
    let card: &Gpu = of(&catalog, "nvidia/rtx-4090");
    let mut card = card.clone();
    card.board.slots = Some(3.0);
    let mut board: Motherboard = of::<Motherboard>(&catalog, "asus-proart-x870e-creator").clone();
    let case: &Case = of(&catalog, "enthoo-pro-2-server");
    board.slot_positions = vec![1, 3];
    let two = [&card, &card];
    refused(&check::width(&two, &board, case), "card width", "cards of 3, 3 slots do not fit");
    board.slot_positions = vec![1, 4];
    assert_eq!(check::width(&two, &board, case).outcome, Outcome::Pass);
    // The lower card would hang out of a case of seven slots that is wide enough for both.
    board.slot_positions = vec![1, 7];
    let mut short = case.clone();
    short.expansion_slots = 7;
    refused(&check::width(&two, &board, &short), "card width", "reaches to slot 9, the case has 7");
    board.slot_positions = vec![];
    assert_eq!(check::width(&two, &board, case).outcome, Outcome::NotChecked);
}

#[test]
fn cards_stand_in_the_slots_that_those_above_leave_free() {
    let catalog = catalog();
    let blower: &Gpu = of(&catalog, "nvidia/rtx-pro-6000-blackwell-maxq");
    let case: &Case = of(&catalog, "enthoo-pro-2-server");
    let four = [blower; 4];
    let words = |board: &str, cards: &[&Gpu]| {
        let check = check::width(cards, of::<Motherboard>(&catalog, board), case);
        format!("{:?}: {}", check.outcome, check.reason)
    };
    let mut wide = blower.clone();
    wide.board.slots = Some(3.0);
    insta::assert_snapshot!(
        [
            words("gigabyte-mh53-g40", &four),
            words("asus-wrx90e-sage-se", &four),
            words("gigabyte-mh53-g40", &[&wide, &wide]),
            words("gigabyte-mh53-g40", &[&wide, &wide, &wide]),
            words("asrock-x870e-taichi-lite", &[&wide, &wide]),
        ]
        .join("\n"),
        @"
    Pass: in slots 1, 3, 5, 7 from the top
    Pass: in slots 1, 3, 5, 7 from the top
    Pass: in slots 1, 5 from the top
    Fail: cards of 3, 3, 3 slots do not fit in the slots of the board
    Pass: in slots 1, 5 from the top
    "
    );
}

#[test]
fn cards_that_breathe_from_the_case_want_a_free_slot_between_them() {
    let catalog = catalog();
    let card: &Gpu = of(&catalog, "nvidia/rtx-pro-6000-blackwell-ws");
    let blower: &Gpu = of(&catalog, "nvidia/rtx-pro-6000-blackwell-maxq");
    let mut board: Motherboard = of::<Motherboard>(&catalog, "asus-proart-x870e-creator").clone();
    let mut outcome = |cards: &[&Gpu], second: Option<u32>| {
        board.slot_positions = second.map_or_else(Vec::new, |second| vec![1, second]);
        check::gap(cards, &board).map(|check| check.outcome)
    };
    assert_eq!(outcome(&[card], Some(3)), None);
    assert_eq!(outcome(&[card, card], Some(4)), Some(Outcome::Pass));
    assert_eq!(outcome(&[card, card], Some(3)), Some(Outcome::Warn));
    assert_eq!(outcome(&[card, card], None), Some(Outcome::NotChecked));
    assert_eq!(outcome(&[blower, blower], Some(3)), Some(Outcome::Pass));
}

#[test]
fn a_card_with_a_cpu_plug_leaves_one_for_the_board() {
    let catalog = catalog();
    let card: &Gpu = of(&catalog, "nvidia/rtx-a6000");
    let psu: &Psu = of(&catalog, "bq-dark-power-14-1200");
    assert_eq!(check::plugs(&[card], psu, adapters(&catalog)).outcome, Outcome::Pass);
    refused(
        &check::plugs(&[card, card], psu, adapters(&catalog)),
        "plugs",
        "3 EPS 8-pin needed, 2 there",
    );
}

#[test]
fn plugs_are_booked_once_over_all_cards() {
    let catalog = catalog();
    let base: &Gpu = of(&catalog, "nvidia/rtx-3090");
    let card = |plugs: &[(Plug, u32)]| {
        let mut card = base.clone();
        let connector = |(plug, count): &(Plug, u32)| Connector { plug: *plug, count: *count };
        card.board.power_connectors = plugs.iter().map(connector).collect();
        card
    };
    let supply = |plugs: &[(Plug, u32)]| {
        let mut supply = of::<Psu>(&catalog, "bq-dark-power-14-1200").clone();
        let connector = |(plug, count): &(Plug, u32)| Connector { plug: *plug, count: *count };
        supply.connectors = plugs.iter().map(connector).collect();
        supply
    };
    let said = |cards: &[&[(Plug, u32)]], plugs: &[(Plug, u32)]| {
        let cards: Vec<Gpu> = cards.iter().map(|plugs| card(plugs)).collect();
        let cards: Vec<&Gpu> = cards.iter().collect();
        let check = check::plugs(&cards, &supply(plugs), adapters(&catalog));
        format!("{}: {}\n", check.outcome.word(), check.reason)
    };
    let all = [
        // One plug of 6 and one of 8 pins take two of the supply's.
        said(&[&[(Pcie6, 1), (Pcie8, 1)]], &[(Pcie8, 1)]),
        said(&[&[(Pcie6, 1), (Pcie8, 1)]], &[(Pcie8, 2)]),
        // Adapters from 12 pins add to what other cards take.
        said(&[&[(Pin12, 1)], &[(Pin12, 1)], &[(Pcie8, 1)], &[(Pcie8, 1)]], &[(Pcie8, 4)]),
        said(&[&[(Pin12, 1)], &[(Pin12, 1)], &[(Pcie8, 1)], &[(Pcie8, 1)]], &[(Pcie8, 6)]),
        // So do those for 16 pins, and what fails is told before what warns.
        said(&[&[(Pin16, 1)], &[(Pin16, 1)]], &[(Pin16, 1), (Pcie8, 3)]),
        said(&[&[(Pin16, 1)], &[(Pin16, 1)], &[(Pcie8, 2)]], &[(Pin16, 1), (Pcie8, 3)]),
        said(&[&[(Pin16, 1)], &[(Pin16, 1)]], &[(Pin16, 1), (Pcie8, 3), (Eps8, 1)]),
        // What is not recorded is not checked.
        said(&[&[(Pcie8, 1)]], &[(Pin16, 2)]),
        said(&[&[(Pin16, 2)]], &[(Pin16, 1)]),
    ];
    insta::assert_snapshot!(all.concat(), @"
    fail: 2 PCIe 8-pin needed, 1 there
    pass: 2x PCIe 8-pin
    fail: 6 PCIe 8-pin needed, 4 there
    pass: 6x PCIe 8-pin
    warn: 1 of 2 12V-2x6 plugs: adapters for 8-pin plugs are needed
    fail: 5 PCIe 8-pin needed, 3 there
    warn: 1 of 2 12V-2x6 plugs: adapters for 8-pin plugs are needed
    not checked: number of PCIe 8-pin plugs of the supply not recorded
    warn: 1 of 2 12V-2x6 plugs: adapters for 8-pin plugs are needed
    ");
}

#[test]
fn a_supply_with_another_inlet_asks_for_its_cord() {
    let catalog = catalog();
    let region: &Region = of(&catalog, "ch");
    let cord = |psu: &str| check::cord(of(&catalog, psu), region.c19_above_w.unwrap());
    let large = cord("asus-prows-3000");
    assert_eq!((large.rule, large.outcome), ("cord", Outcome::Warn));
    assert!(large.reason.contains("3,000 W: a C19 inlet"), "{}", large.reason);
    assert_eq!(cord("asrock-pg-1600g").outcome, Outcome::Pass);
}

#[test]
fn four_cards_on_any_am5_board_fail_the_slots_rule() {
    let catalog = catalog();
    let card: &Gpu = of(&catalog, "nvidia/rtx-3090");
    let mut boards = 0;
    for (id, board) in catalog.all::<Motherboard>().unwrap() {
        if board.socket == "AM5" {
            let check = check::slots(&[card; 4], board);
            assert_eq!(
                (check.rule, check.outcome),
                ("slots", Outcome::Fail),
                "{id}: {}",
                check.reason
            );
            boards += 1;
        }
    }
    assert!(boards >= 3, "{boards}");
}

#[test]
fn the_platforms_have_parts_to_choose_from() {
    let catalog = catalog();
    let boards = catalog.all::<Motherboard>().unwrap();
    let cpus = catalog.all::<Cpu>().unwrap();
    let count = |platform: &str| {
        let fits = |board: &&Motherboard| match platform {
            "AM5" => board.socket == "AM5",
            chipset => board.chipset == chipset,
        };
        let processors = cpus.values().filter(|cpu| cpu.platform == platform).count();
        format!(
            "{platform}: {} boards, {processors} processors",
            boards.values().filter(fits).count()
        )
    };
    insta::assert_snapshot!(["AM5", "TRX50", "WRX90"].map(count).join("\n"), @"
    AM5: 12 boards, 4 processors
    TRX50: 3 boards, 3 processors
    WRX90: 3 boards, 5 processors
    ");
    let outputs: Vec<f64> =
        catalog.all::<Psu>().unwrap().values().map(|psu| psu.output_w.get()).collect();
    let within = |low: f64, high: f64| outputs.iter().any(|watts| (low..=high).contains(watts));
    assert!(within(1000.0, 1000.0) && within(1200.0, 1300.0) && within(1500.0, 1600.0));
    for cards in [1, 2, 4] {
        let cases = catalog.all::<Case>().unwrap();
        let fitting = cases.values().filter(|case| case.expansion_slots >= 2 * cards).count();
        assert!(fitting >= 3, "{fitting} cases for {cards} cards of two slots");
    }
}
