//! What a report says beyond the plan: curves, costs, prices over time, measurements of others.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use localrig_facts::region::Region;
use localrig_facts::{Catalog, Id};
use localrig_plan::answer::PlanAnswer;
use localrig_plan::detail::{Detail, details};
use localrig_plan::measured::Measurements;
use localrig_plan::plan::Planner;
use localrig_plan::price::Market;
use localrig_plan::requirement::Requirement;
use localrig_simulate::workload::Workload;

fn home_office() -> Requirement {
    let text = localrig_world::requirement("home-office").unwrap();
    Requirement::parse("home-office.toml", text).unwrap()
}

fn february(catalog: &Catalog) -> Market<'_> {
    let (_, region) = catalog.get_in::<Region>("ch").unwrap();
    Market { catalog, region_id: "ch", region, date: "2026-02-17".parse().unwrap() }
}

fn habits() -> Workload {
    let text = localrig_world::workload("home-office").unwrap();
    Workload::parse("home-office", text, &BTreeMap::new()).unwrap()
}

fn of_february() -> (PlanAnswer, BTreeMap<String, Detail>) {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (market, requirement) = (february(&catalog), home_office());
    let planner = Planner::new(market, &requirement, &habits()).unwrap();
    let plan = planner.plan();
    let answer = PlanAnswer::new(&catalog, &plan);
    let details = details(&market, &plan, &answer).unwrap();
    (answer, details)
}

#[test]
fn every_ranked_machine_has_curves_that_fall_with_depth_and_grow_with_streams() {
    let (answer, details) = of_february();
    assert!(answer.ranked.len() > 3);
    for machine in &answer.ranked {
        let curves = details[&machine.key].curves.as_ref().unwrap();
        assert!(curves.label.starts_with(&machine.roles[0].model), "{}", curves.label);
        let alone: Vec<f64> =
            curves.depth.iter().map(|one| one.per_stream_tok_per_s.value.get()).collect();
        assert!(alone.is_sorted_by(|a, b| a >= b), "{}: {alone:?}", machine.name);
        assert_eq!(curves.depth[0].depth_tokens, 0);
        assert_eq!(curves.depth.last().unwrap().depth_tokens, machine.roles[0].context_tokens);
        let each: Vec<f64> =
            curves.streams.iter().map(|one| one.per_stream_tok_per_s.value.get()).collect();
        assert!(each.len() > 1 && each.is_sorted_by(|a, b| a >= b), "{}: {each:?}", machine.name);
        let (first, last) = (&curves.streams[0], curves.streams.last().unwrap());
        assert!(last.total_tok_per_s.value > first.total_tok_per_s.value, "{}", machine.name);
    }
}

#[test]
fn the_cost_over_the_years_is_loss_of_value_and_electricity() {
    let (answer, details) = of_february();
    let mut told = 0;
    for machine in &answer.ranked {
        let own = &details[&machine.key].ownership;
        // Nobody recorded what some machines draw: their cost is not told.
        let Some(spent) = own.over_years else {
            assert!(machine.wall.is_none(), "{}", machine.name);
            continue;
        };
        told += 1;
        for case in 0..3 {
            let sum = spent.loss_of_value[case].minor + spent.electricity[case].minor;
            assert_eq!(spent.total[case].minor, sum);
        }
        assert!(spent.total.map(|one| one.minor).is_sorted());
        let month = own.per_month.unwrap()[0].amount();
        assert!((spent.total[0].amount() / (own.years * 12.0) - month).abs() < 0.01);
        let resale = own.resale.unwrap()[1];
        let whole = spent.loss_of_value[0].minor + resale.minor;
        assert!((whole - machine.cost.minor).abs() <= 1, "to the centime");
    }
    assert!(told > 3, "{told}");
}

#[test]
fn prices_over_time_end_with_the_price_that_the_plan_counts() {
    let (answer, details) = of_february();
    let mut trends = 0;
    for machine in &answer.ranked {
        for named in &details[&machine.key].trends {
            let points = &named.trend.points;
            assert!(points.is_sorted_by_key(|one| one.date));
            let part = machine.parts.iter().find(|part| part.id == named.trend.item).unwrap();
            let (last, now) = (points.last().unwrap(), part.price.as_ref().unwrap());
            assert_eq!((last.amount, last.date.to_string()), (now.amount, answer.as_of.clone()));
            trends += 1;
        }
    }
    assert!(trends >= answer.ranked.len(), "{trends}");
}

#[test]
fn the_front_holds_the_cheapest_and_the_fastest_and_nothing_that_is_beaten_in_both() {
    let (answer, details) = of_february();
    let front: Vec<_> =
        answer.ranked.iter().filter(|one| details[&one.key].on_price_speed_front).collect();
    let cheapest = answer.ranked.iter().min_by_key(|one| one.cost.minor).unwrap();
    assert!(front.iter().any(|one| one.cost == cheapest.cost));
    let speed =
        |one: &&localrig_plan::answer::RankedMachine| one.roles[0].per_stream_tok_per_s.value.get();
    let mut by_price = front.clone();
    by_price.sort_by_key(|one| one.cost.minor);
    assert!(by_price.is_sorted_by(|a, b| speed(a) <= speed(b)), "dearer ones are faster");
    assert!(front.len() < answer.ranked.len());
}

#[test]
fn measurements_stand_beside_the_prediction_of_the_same_run() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (id, wanted) = (Id::new("gpu/nvidia/rtx-5090"), Id::new("model/openai/gpt-oss-20b"));
    let measurements = Measurements::new(&catalog).unwrap();
    let day = |text: &str| text.parse().unwrap();
    let on = |date: &str| measurements.on(&[&id], &BTreeSet::from([&wanted]), day(date)).unwrap();
    let found = on("2026-11-21");
    assert!(found.rows_here > found.shown.len() && found.all_rows > found.rows_here);
    assert_eq!(found.shown[0].model, "gpt-oss-20b", "what was asked for comes first");
    for row in &found.shown {
        assert!(row.hardware.contains("RTX 5090") && row.link.starts_with("https://"), "{row:?}");
        assert!(row.measured_tok_per_s.get() > 0.0);
    }
    let models: BTreeSet<&str> = found.shown.iter().map(|row| row.model.as_str()).collect();
    assert!((2..=3).contains(&models.len()), "{models:?}");
    let none = measurements.on(&[], &BTreeSet::new(), day("2026-11-21")).unwrap();
    assert_eq!((none.rows_here, none.shown.len()), (0, 0));

    // Kinds of run with the errors that the calibration records for runs it was not fitted on.
    let predicted = found.shown.iter().filter(|row| row.is_inside().is_some()).count();
    assert_eq!(found.held_out.iter().map(|one| one.shown).sum::<usize>(), predicted);
    assert_eq!(found.held_out.iter().map(|one| one.inside).sum::<usize>(), found.inside);
    for one in &found.held_out {
        assert!(1.0 < one.factor_50 && one.factor_50 <= one.factor_80, "{one:?}");
        assert!(one.rows > 0 && one.groups > 0, "{one:?}");
    }
    assert_eq!(found.later, 0);
    let february = on("2026-02-17");
    assert!(february.later > 0 && february.later < february.rows_here);
    assert_eq!(february.rows_here, found.rows_here);
    assert!(february.shown.iter().all(|row| row.date.as_str() <= "2026-02-17"));
    let early = on("2025-02-01");
    assert_eq!(early.later + early.undated, early.rows_here);
    assert!(early.shown.iter().all(|row| row.date.is_empty()), "what has no date is kept");
}
