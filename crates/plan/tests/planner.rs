//! The planner on the embedded catalog: what must hold whatever the facts are, and the five
//! configurations of the February 2026 decision summary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use localrig_facts::gpu::{Gpu, Status};
use localrig_facts::machine::{Machine, parse_machine};
use localrig_facts::model::Model;
use localrig_facts::region::Region;
use localrig_facts::shop::Tier;
use localrig_facts::system::{Form, System};
use localrig_facts::unit::Watts;
use localrig_facts::{Catalog, PartialDate};
use localrig_plan::answer::{Load, PlanAnswer, RankedMachine};
use localrig_plan::build::Line;
use localrig_plan::candidate::{IdleBasis, WallBasis, candidates, candidates_of};
use localrig_plan::check::{Check, Outcome};
use localrig_plan::compare::{Wanted, machines};
use localrig_plan::plan::Planner;
use localrig_plan::price::Market;
use localrig_plan::requirement::{Requirement, RequirementError, Role};
use localrig_plan::shift::shifts;
use localrig_plan::trial::places;
use localrig_plan::verdict::Mark;
use localrig_simulate::workload::Workload;
use proptest::prelude::*;

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| localrig_world::catalog(&[]).unwrap())
}

fn requirement(name: &str) -> Requirement {
    Requirement::parse(name, localrig_world::requirement(name).unwrap()).unwrap()
}

fn habits() -> Workload {
    let text = localrig_world::workload("home-office").unwrap();
    Workload::parse("home-office", text, &BTreeMap::new()).unwrap()
}

fn market(date: &str) -> Market<'static> {
    let (_, region) = catalog().get_in::<Region>("ch").unwrap();
    Market { catalog: catalog(), region_id: "ch", region, date: date.parse().unwrap() }
}

fn answer(requirement: &Requirement, date: &str) -> PlanAnswer {
    let planner = Planner::new(market(date), requirement, &habits()).unwrap();
    PlanAnswer::new(catalog(), &planner.plan())
}

#[test]
fn every_shipped_requirement_has_an_answer_today() {
    for name in localrig_world::requirements() {
        let answer = answer(&requirement(name), "2026-11-21");
        assert!(!answer.ranked.is_empty(), "{name}");
        for machine in &answer.ranked {
            for part in &machine.parts {
                let price = part.price.as_ref().unwrap();
                assert!(price.amount.minor > 0 && !price.shop.is_empty(), "{name}: {}", part.name);
                assert!(price.age_days >= 0, "{name}: {} is from the future", part.name);
                assert!(!price.source.is_empty(), "{name}: {}", part.name);
            }
        }
    }
}

#[test]
fn the_configurations_of_february_2026_cost_what_they_cost_then() {
    let home = requirement("home-office");
    let planner = Planner::new(market("2026-02-17"), &home, &habits()).unwrap();
    // The totals of that summary whose prices had a source.
    let documented = [
        ("RTX PRO 6000 Blackwell Workstation Edition PC", 9_500.0),
        ("RTX PRO 6000 Blackwell Workstation Edition + GeForce RTX 5090 PC", 11_450.0),
        ("2x ASUS Ascent GX10 (GB10) 128 GB (1 TB)", 4_954.0),
        ("Apple Mac Studio (M3 Ultra, 2025) 256 GB", 6_100.0),
    ];
    let mut differences = Vec::new();
    for (name, then) in documented {
        let near = planner
            .candidates()
            .iter()
            .filter(|one| one.machine.name.starts_with(name))
            .filter_map(|one| Some((one.cost?.amount(), &one.machine.name)))
            .min_by(|a, b| (a.0 - then).abs().total_cmp(&(b.0 - then).abs()));
        let (cost, _) = near.unwrap_or_else(|| panic!("{name} is not considered"));
        differences.push(format!("{name}: {:+.1} %", (cost / then - 1.0) * 100.0));
        assert!((cost / then - 1.0).abs() < 0.10, "{differences:?}");
    }
    // Two RTX 5090: the total of CHF 7,665 stands on a TRX50 board with unbuffered memory, which
    // does not start; the buildable machine has both cards on an AM5 board.
    let pair: Vec<&str> = planner
        .candidates()
        .iter()
        .filter(|one| one.cost.is_some() && one.machine.name.starts_with("2x GeForce RTX 5090 PC"))
        .map(|one| one.machine.name.as_str())
        .collect();
    assert_eq!(pair, ["2x GeForce RTX 5090 PC (AM5, x16+x4)"]);
}

#[test]
fn every_name_and_key_of_a_machine_leads_back_to_it() {
    let home = requirement("home-office");
    let planner = Planner::new(market("2026-11-21"), &home, &habits()).unwrap();
    for candidate in planner.candidates() {
        let own = &candidate.machine;
        let slot = |lanes: Option<u32>, count: u32| lanes.filter(|_| count > 1);
        let devices = |machine: &Machine<'_>| -> Vec<_> {
            let all = machine.devices.iter();
            all.map(|one| (one.id.clone(), one.count, slot(one.slot.lanes, one.count))).collect()
        };
        for name in [&own.name, &candidate.key] {
            let found = parse_machine(catalog(), name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(devices(&found), devices(own), "{name}");
            let system = |machine: &Machine<'_>| {
                machine
                    .system
                    .map(|(id, _, variant)| (id.clone(), variant.memory_gib, machine.units))
            };
            assert_eq!(system(&found), system(own), "{name}");
        }
    }
}

#[test]
fn of_a_draw_between_more_and_fewer_of_the_same_the_cheaper_stands_first() {
    let home = requirement("home-office");
    for date in ["2026-02-17", "2026-11-21"] {
        let planner = Planner::new(market(date), &home, &habits()).unwrap();
        let plan = planner.plan();
        let accelerators = |machine: &Machine<'_>| -> BTreeSet<String> {
            machine.devices.iter().map(|one| one.id.to_string()).collect()
        };
        for (place, one) in plan.ranked.iter().enumerate() {
            for other in &plan.ranked[place + 1..] {
                let (a, b) = (&one.candidate.machine, &other.candidate.machine);
                let draw = (one.score - other.score).abs() <= 0.5
                    && !one.candidate.has_same_accelerators(other.candidate);
                assert!(
                    accelerators(a) != accelerators(b) || !draw || one.cost <= other.cost,
                    "{} before {}",
                    a.name,
                    b.name
                );
            }
        }
    }
}

#[test]
fn nothing_unreleased_is_ranked() {
    for date in ["2026-02-17", "2026-11-21"] {
        let home = requirement("home-office");
        let planner = Planner::new(market(date), &home, &habits()).unwrap();
        let day = date.parse().unwrap();
        let plan = planner.plan();
        for ranked in &plan.ranked {
            for device in &ranked.candidate.machine.devices {
                let gpu = catalog().get::<Gpu>(device.id.as_str()).unwrap();
                // Of some only the year is known: that a price was seen shows they are sold.
                let released = gpu.released.map(PartialDate::earliest);
                assert!(
                    released.is_none_or(|released| released <= day)
                        && !gpu.status.contains(&Status::Announced),
                    "{}: {} was released {released:?}",
                    ranked.candidate.machine.name,
                    device.id
                );
            }
            for role in &ranked.assignment.served {
                let released = role.option.model.released.map(PartialDate::latest);
                assert!(released.is_none_or(|released| released <= day));
            }
        }
    }
}

#[test]
fn hard_limits_hold_for_everything_ranked() {
    let mut home = requirement("home-office");
    home.noise.hard = true;
    home.platform.accepted = vec!["nvidia".to_owned()];
    let answer = answer(&home, "2026-11-21");
    assert!(!answer.ranked.is_empty());
    for machine in &answer.ranked {
        assert!(machine.cost.amount() <= home.budget.range[1], "{}", machine.name);
        for part in machine.parts.iter().filter(|part| part.role == "card") {
            assert_eq!(catalog().get::<Gpu>(part.id.as_str()).unwrap().vendor, "NVIDIA");
        }
        assert!(machine.noise.is_none_or(|noise| noise <= home.noise.limit), "{}", machine.name);
        for role in home.roles.iter().zip(&machine.roles) {
            let least = role.0.speed_minimum_tok_per_s.unwrap();
            assert!(role.1.per_stream_tok_per_s.value >= least, "{}", machine.name);
        }
    }
}

#[test]
fn a_main_model_is_at_least_as_good_as_the_one_named() {
    let home = requirement("home-office");
    for date in ["2026-02-17", "2026-11-21"] {
        let answer = answer(&home, date);
        let lines = answer.ranked.iter().flat_map(|one| &one.verdict);
        let mut quality = lines.filter(|line| line.requirement == "main quality").peekable();
        assert!(quality.peek().is_some(), "{date}");
        assert!(quality.all(|line| line.mark == Mark::Pass), "{date}");
    }
    // Without the bar lesser models let more machines in.
    let mut any = home.clone();
    any.roles[0].at_least_as_good_as = None;
    let date = "2026-11-21";
    assert!(answer(&any, date).ranked.len() > answer(&home, date).ranked.len());
    // A model that is named for the role counts whatever it can.
    let mut named = home.clone();
    named.roles[0].models = vec!["Qwen3.5-2B".to_owned()];
    let answer = answer(&named, date);
    let lines = answer.ranked[0].verdict.iter();
    let marks: Vec<Mark> =
        lines.filter(|line| line.requirement == "main quality").map(|line| line.mark).collect();
    assert_eq!(marks, [Mark::Miss]);
    // The best of all equals itself.
    let mut itself = home.clone();
    itself.roles[0].at_least_as_good_as = Some("Qwen3.6-35B-A3B".to_owned());
    let best = self::answer(&itself, date);
    assert!(best.ranked.iter().all(|one| one.roles[0].model == "Qwen3.6-35B-A3B"));
    assert!(!best.ranked.is_empty());
    // Nobody scored this one at coding.
    let mut unknown = home;
    unknown.roles[0].at_least_as_good_as = Some("SmolLM2-135M-Instruct".to_owned());
    let error = Planner::new(market(date), &unknown, &habits()).err().unwrap();
    insta::assert_snapshot!(error, @"main: nobody is known to have scored SmolLM2-135M-Instruct at coding");
}

#[test]
fn a_machine_asked_for_alone_gets_what_the_plan_gives_it() {
    let home = requirement("home-office");
    let answer = answer(&home, "2026-11-21");
    let open = home.without_limits();
    let planner = Planner::new(market("2026-11-21"), &open, &habits()).unwrap();
    for ranked in answer.ranked.iter().take(6) {
        assert!(ranked.roles.iter().all(|role| role.simulated.is_some()), "{}", ranked.name);
        let alone = serde_json::to_value(planner.roles_on(&ranked.key).unwrap()).unwrap();
        assert_eq!(alone, serde_json::to_value(&ranked.roles).unwrap(), "{}", ranked.name);
    }
}

#[test]
fn cards_of_a_build_are_estimated_in_the_slots_of_its_board() {
    let home = requirement("home-office");
    let market = market("2026-11-21");
    let mut words = BTreeSet::new();
    for one in candidates(&market, &home).unwrap() {
        let Some((_, lanes)) = one.key.split_once(", x") else { continue };
        let lanes = lanes.trim_end_matches(')').split("+x").map(|lanes| lanes.parse::<u32>().ok());
        let lanes: Vec<_> = lanes.collect();
        words.extend(lanes.clone());
        let mut rest = lanes.into_iter();
        for device in &one.machine.devices {
            // Layers that are cut over cards wait for the narrowest of their slots.
            let narrowest = rest.by_ref().take(device.count as usize).flatten().min();
            assert_eq!(device.slot.lanes, narrowest, "{}", one.key);
            assert!(device.slot.generation.is_some(), "{}", one.key);
        }
    }
    assert!(words.is_superset(&BTreeSet::from([Some(4), Some(8), Some(16)])), "{words:?}");
}

#[test]
fn equal_boxes_share_the_streams_of_a_team_by_copies() {
    let team = requirement("small-team");
    let answer = answer(&team, "2026-11-21");
    let pair = answer.ranked.iter().find(|one| one.key.starts_with("2x system/")).unwrap();
    let main = &pair.roles[0];
    assert_eq!((main.copies, &main.device_numbers[..]), (true, &[0, 1][..]));
    // What a copy takes is held against what one box offers.
    assert_eq!(pair.memory.len(), 1);
    assert!(pair.memory[0].usable_bytes < pair.memory_bytes * 0.5);
    assert!(pair.memory[0].devices.starts_with("each of 2x "), "{}", pair.memory[0].devices);
    // The same place as people write it, and simulated it serves at the same speed.
    let place = format!(
        "main={}:{}:{}:{}@0/1",
        main.model_id, main.format_id, main.engine_id, main.kv_type
    );
    let planner = Planner::new(market("2026-11-21"), &team, &habits()).unwrap();
    let plan = planner.plan();
    let ranked = plan.ranked.iter().find(|one| one.candidate.key == pair.key).unwrap();
    let shifts = shifts(&team, &habits());
    let places = places(&team, &shifts[0], &ranked.assignment);
    assert_eq!(places[0].to_string(), place);
}

#[test]
fn the_front_is_what_nothing_beats() {
    let answer = answer(&requirement("home-office"), "2026-11-21");
    let of = |one: &RankedMachine| {
        let main = &one.roles[0];
        let quality = main.quality_index.map_or(0.0, |index| index.value) - main.format_loss_points;
        [-one.cost.amount(), main.per_stream_tok_per_s.value.get(), quality, one.memory_bytes.get()]
    };
    for one in answer.ranked.iter().filter(|one| one.on_pareto_front) {
        for other in &answer.ranked {
            let (own, theirs) = (of(one), of(other));
            let beats = theirs.iter().zip(own).all(|(theirs, own)| *theirs >= own)
                && theirs.iter().zip(own).any(|(theirs, own)| *theirs > own);
            assert!(!beats, "{} beats {}", other.name, one.name);
        }
    }
}

#[test]
fn the_same_question_has_the_same_answer() {
    let home = requirement("home-office");
    let text = || serde_json::to_string(&answer(&home, "2026-11-21")).unwrap();
    assert_eq!(text(), text());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn more_money_never_makes_the_best_machine_worse(low in 5_000.0..9_000.0_f64, more in 0.0..9_000.0_f64) {
        let best = |most: f64| {
            let mut home = requirement("home-office");
            home.budget.range = [4_000.0, most];
            home.budget.sweet_spot = [4_000.0, 5_000.0];
            answer(&home, "2026-11-21").ranked.first().map_or(0.0, |one| one.score)
        };
        prop_assert!(best(low + more) >= best(low));
    }
}

#[test]
fn machines_are_compared_by_one_format_of_a_model() {
    let home = requirement("home-office");
    let role = Role { context_tokens: 16_384, ..home.roles[0].clone() };
    let names = ["RTX 5090", "RTX PRO 6000 Workstation"].map(str::to_owned);
    let wanted = Wanted { model: Some("qwen3-32b"), format: None };
    let found = machines(&market("2026-11-21"), &names, &role, &home.format, wanted).unwrap();
    let formats: Vec<&str> =
        found.models[0].speeds.iter().map(|one| one.as_ref().unwrap().format.as_str()).collect();
    assert_eq!(formats.len(), 2);
    assert_eq!(formats[0], formats[1]);
}

#[test]
fn freight_and_clearance_are_paid_once_for_what_one_shop_sends() {
    let home = requirement("home-office");
    let (mut shared, mut several) = (0, 0);
    // In May SSD and cooler came from one shop abroad; in November boxes and cables are joined.
    for day in ["2026-05-01", "2026-07-15", "2026-11-21"] {
        for one in candidates(&market(day), &home).unwrap() {
            let mut senders = BTreeSet::new();
            for line in &one.lines {
                let Ok(price) = &line.price else { continue };
                let all = price.of(line.count);
                let each = price.amount.times(line.count);
                if let Some(parcel) = price.parcel {
                    assert!(parcel.low.minor <= parcel.amount.minor);
                    assert!(parcel.amount.minor <= parcel.high.minor);
                    assert_eq!((each - all).minor, parcel.amount.times(line.count - 1).minor);
                    several += u32::from(line.count > 1);
                    let named = !matches!(price.tier, None | Some(Tier::Observer));
                    assert!(!named || senders.insert(&price.shop_id), "{}: two parcels", one.key);
                } else {
                    assert_eq!(all, each);
                }
                shared += u32::from(price.shared.is_some());
            }
            let sum = one.lines.iter().filter_map(Line::amount).map(|one| one.minor).sum::<i64>();
            assert_eq!(one.priced.minor, sum, "{}", one.key);
        }
    }
    assert!(shared > 0 && several > 0, "{shared} shared, {several} several");
}

#[test]
fn what_a_machine_draws_at_rest_is_measured_or_said_to_be_of_a_box_alike() {
    let home = requirement("home-office");
    let market = market("2026-11-21");
    let all = candidates(&market, &home).unwrap();
    let of = |name: &str| {
        let one = all.iter().find(|one| one.machine.name.starts_with(name)).unwrap();
        let idle = one.idle.as_ref();
        idle.map(|idle| (idle.power_w.map(Watts::get), idle.basis))
    };
    let spark = market.catalog.get::<System>("system/nvidia/dgx-spark").unwrap();
    let box_w = spark.power.measured_idle_w.unwrap().map(Watts::get);
    assert_eq!(of("3x NVIDIA DGX Spark"), Some((box_w.map(|one| one * 3.0), IdleBasis::Measured)));
    assert_eq!(of("ASUS Ascent GX10"), Some((box_w, IdleBasis::Alike)));
    let card = |id: &str| {
        let gpu = market.catalog.get::<Gpu>(id).unwrap();
        gpu.board.measured_idle_w.unwrap().map(Watts::get)
    };
    let (one, other) = (card("gpu/nvidia/rtx-5090"), card("gpu/nvidia/rtx-3090"));
    let both = [one[0] + other[0], one[1] + other[1]];
    let pair = of("GeForce RTX 5090 + GeForce RTX 3090 PC");
    assert_eq!(pair, Some((both, IdleBasis::Cards)));
    // One card of unknown power leaves the sum unknown.
    assert_eq!(of("GeForce RTX 5090 + RTX PRO 4000 Blackwell PC"), None);
}

#[test]
fn a_ring_of_boxes_can_still_grow_and_a_measured_load_is_no_limit() {
    let home = requirement("home-office");
    let planner = Planner::new(market("2026-11-21"), &home, &habits()).unwrap();
    let of = |name: &str| {
        planner.candidates().iter().find(|one| one.machine.name.starts_with(name)).unwrap()
    };
    assert!(of("3x ASUS Ascent GX10").growth.starts_with("add another unit over RoCE"));
    let wall = |name: &str| of(name).wall.clone().unwrap();
    assert_eq!(wall("Dell Pro Max with GB10").basis, WallBasis::Measured);
    assert_eq!(wall("NVIDIA DGX Spark").basis, WallBasis::Supply);
    // Nobody read it on this box: that of another with the same chip is an assumption, and no
    // rule passes on it.
    let assumed = wall("2x ASUS Ascent GX10");
    assert_eq!((assumed.basis, assumed.power_w.get()), (WallBasis::Alike, 480.0));
    assert_eq!(
        assumed.note.unwrap(),
        "not recorded; NVIDIA DGX Spark Founders Edition (GB10) with the same accelerator: 240 W \
         (rating of its supply)"
    );
    let of_socket = |check: &&Check| check.rule == "wall socket";
    let check = of("2x ASUS Ascent GX10").checks.iter().find(of_socket).unwrap();
    assert_eq!(check.outcome, Outcome::NotChecked);
    assert!(of("Apple MacBook Pro (M5 Max)").wall.is_none(), "another shape, another supply");
}

#[test]
fn names_of_a_requirement_that_lead_nowhere_are_named_with_their_place() {
    let shipped = localrig_world::requirement("home-office").unwrap();
    let catalog = localrig_world::catalog(&[]).unwrap();
    let said = |from: &str, to: &str| {
        assert!(shipped.contains(from), "{from}");
        let text = shipped.replacen(from, to, 1);
        match Requirement::read(&catalog, "mine.toml", &text) {
            Err(RequirementError::Document(error)) => {
                format!("{error}\nnearest: {}\n", error.nearest.as_deref().unwrap_or("none"))
            }
            other => format!("{other:?}"),
        }
    };
    let all = [
        said("region = \"ch\"", "region = \"cz\""),
        said("task = \"coding\"", "task = \"codng\""),
        said("at_least_as_good_as = \"Qwen2.5-72B", "at_least_as_good_as = \"Qwen2.5-27B"),
        said("streams = 4", "models = [\"gpt-oss-20b\", \"gpt-os-120b\"]\nstreams = 4"),
        said("socket = \"T13\"", "socket = \"C13\""),
        said("\"apple\", \"amd\"", "\"appel\", \"amd\""),
        said("\"galaxus\"", "\"galaxis\""),
    ];
    insta::assert_snapshot!(all.concat(), @r#"
    mine.toml:4:10: region: no region called `cz` (one of ch, de, eu, fr, pl, uk, us)
      |
    4 | region = "cz"
      |          ^^^^
    nearest: ch
    mine.toml:15:8: role main: task: no task called `codng` (one of coding, general, vision)
       |
    15 | task = "codng"
       |        ^^^^^^^
    nearest: coding
    mine.toml:16:23: role main: at_least_as_good_as: no model called `Qwen2.5-27B-Instruct`
       |
    16 | at_least_as_good_as = "Qwen2.5-27B-Instruct"
       |                       ^^^^^^^^^^^^^^^^^^^^^^
    nearest: model/qwen/qwen2.5-72b-instruct
    mine.toml:26:26: role sub-agent: models: no model called `gpt-os-120b`
       |
    26 | models = ["gpt-oss-20b", "gpt-os-120b"]
       |                          ^^^^^^^^^^^^^
    nearest: model/openai/gpt-oss-120b
    mine.toml:71:10: power.socket: no socket called `C13` (one of T12, T13, T23)
       |
    71 | socket = "C13"
       |          ^^^^^
    nearest: T13
    mine.toml:82:23: platform.accepted: no maker called `appel`
       |
    82 | accepted = ["nvidia", "appel", "amd", "intel"]
       |                       ^^^^^^^
    nearest: apple
    mine.toml:94:14: shops.named: no shop called `galaxis`
       |
    94 |   "digitec", "galaxis", "brack", "joule-performance", "apple-ch", "toppreise",
       |              ^^^^^^^^^
    nearest: galaxus
    "#);
}

#[test]
fn a_shape_that_is_not_wanted_is_out_only_where_that_is_hard() {
    let mut home = requirement("home-office");
    home.form.accepted = vec![Form::Mini];
    let shapes = |home: &Requirement| -> BTreeSet<&'static str> {
        answer(home, "2026-11-21").ranked.iter().map(|machine| machine.form.word()).collect()
    };
    assert!(shapes(&home).contains("tower"));
    home.form.hard = true;
    assert_eq!(shapes(&home), BTreeSet::from(["mini"]));
}

#[test]
fn a_machine_beyond_the_socket_is_out_only_where_that_is_hard() {
    let mut home = requirement("home-office");
    home.budget.range[1] = 90_000.0;
    let beyond = |home: &Requirement| {
        let answer = answer(home, "2026-11-21");
        let over = |machine: &&RankedMachine| {
            machine
                .checks
                .iter()
                .any(|one| one.rule == "wall socket" && one.outcome == Outcome::Fail)
        };
        answer.ranked.iter().filter(over).count()
    };
    assert_eq!(beyond(&home), 0);
    home.power.hard = false;
    assert!(beyond(&home) > 0);
}

#[test]
fn a_shared_model_brings_its_vision_tower_once() {
    let mut home = requirement("home-office");
    for role in &mut home.roles {
        role.models = vec!["qwen3-vl-8b-instruct".to_owned()];
        role.parameters_b = None;
    }
    // What each shared copy takes beside weights and cache, by machine and roles.
    let shared = |home: &Requirement| -> BTreeMap<(String, Vec<String>), f64> {
        let ranked = answer(home, "2026-11-21").ranked.into_iter();
        let of_machine = |machine: RankedMachine| {
            let loads = machine.memory.into_iter().flat_map(|group| group.loads);
            let several = loads.filter(|load| load.roles.len() > 1);
            let of = move |load: Load| {
                ((machine.key.clone(), load.roles), load.overhead_bytes.value.get())
            };
            several.map(of).collect::<Vec<_>>()
        };
        ranked.flat_map(of_machine).collect()
    };
    let with = shared(&home);
    home.roles[2].images = false;
    let without = shared(&home);
    let (_, model) = catalog().find::<Model>("qwen3-vl-8b-instruct").unwrap();
    let tower = model.vision.as_ref().unwrap().mmproj_f16_bytes.unwrap() as f64;
    let mut told = 0;
    for (of, bytes) in &with {
        let Some(bare) = without.get(of) else { continue };
        let images = of.1.iter().any(|role| role == "vision");
        let expected = if images { 1.25 } else { 0.0 };
        assert!(((bytes - bare) / tower - expected).abs() < 1e-6, "{of:?}: {bytes} {bare}");
        told += usize::from(images);
    }
    assert!(told > 0, "{with:?} {without:?}");
}

#[test]
fn a_mac_that_was_on_sale_costs_the_same_in_every_answer() {
    let home = requirement("home-office");
    let market = market("2026-04-20");
    let planner = Planner::new(market, &home, &habits()).unwrap();
    let mac = "Apple Mac Studio (M3 Ultra, 2025) 512 GB";
    let planned = planner.candidates().iter().find(|one| one.machine.name == mac).unwrap();
    let machine = parse_machine(market.catalog, "Mac Studio M3 Ultra 512 GB").unwrap();
    let built = &candidates_of(&market, &home, &machine).unwrap()[0];
    assert!(planned.cost.is_some());
    assert_eq!(planned.cost, built.cost);
    let names = ["Mac Studio M3 Ultra 512 GB".to_owned(), "2x RTX 3090".to_owned()];
    let wanted = Wanted { model: None, format: None };
    let compared = machines(&market, &names, &home.roles[0], &home.format, wanted).unwrap();
    assert_eq!(compared.machines[0].cost, planned.cost);
    // Two cards cost twice one.
    let pair = &compared.machines[1];
    assert_eq!(pair.cost.unwrap(), pair.prices[0].price.amount.times(2));
}
