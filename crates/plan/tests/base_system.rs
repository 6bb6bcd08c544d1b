//! The base system around cards against an integer program: two searches that share nothing but the
//! rules must find the same cost.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::OnceLock;

use good_lp::{
    Expression, ProblemVariables, ResolutionError, Solution, SolverModel, Variable, constraint,
    microlp, variable,
};
use localrig_facts::catalog::Entry;
use localrig_facts::gpu::{Gpu, GpuKind};
use localrig_facts::part::{Case, Cooler, Cpu, Memory, Motherboard, Psu, Storage};
use localrig_facts::region::Region;
use localrig_facts::{Catalog, Id};
use localrig_plan::build::{BaseNeeds, COMMODITY_DAYS, Line, Shelf};
use localrig_plan::check::{self, Outcome};
use localrig_plan::price::{Goods, Market};
use proptest::prelude::*;
use proptest::sample::select;

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| localrig_world::catalog(&[]).unwrap())
}

fn market(date: &str) -> Market<'static> {
    let (_, region) = catalog().get_in::<Region>("ch").unwrap();
    Market { catalog: catalog(), region_id: "ch", region, date: date.parse().unwrap() }
}

/// A part that may be chosen.
struct Offer<T: 'static> {
    part: &'static T,
    /// Francs of one, what of it a parcel costs, and days since it was seen; absent without a price.
    price: Option<(f64, f64, i32)>,
    chosen: Variable,
}

impl<T> Offer<T> {
    /// A part without a price costs more than any with one.
    fn cost(&self, count: u32) -> f64 {
        self.price.map_or(WITHOUT_PRICE, |(amount, parcel, _)| {
            amount * f64::from(count) - parcel * f64::from(count - 1)
        })
    }
}

const WITHOUT_PRICE: f64 = 1e6;

/// Every part of a kind as a variable that is 0 or 1.
fn offers<T: Entry>(market: &Market<'_>, variables: &mut ProblemVariables) -> Vec<Offer<T>> {
    let offer = |(id, part): (&Id, &'static T)| {
        let price = market.price(id, None, Goods::New).ok();
        Offer {
            part,
            price: price.map(|price| {
                let parcel = price.parcel.map_or(0.0, |parcel| parcel.amount.amount());
                (price.amount.amount(), parcel, price.age_days)
            }),
            chosen: variables.add(variable().binary()),
        }
    };
    catalog().all::<T>().unwrap().iter().map(offer).collect()
}

/// Old prices of parts that replace one another, raised to what a gigabyte costs by the newest.
fn raised<T>(offers: &mut [Offer<T>], kind: impl Fn(&T) -> String, gb: impl Fn(&T) -> f64) {
    let seen: Vec<(String, f64, f64, i32)> = offers
        .iter()
        .filter_map(|one| {
            one.price.map(|(amount, _, age)| (kind(one.part), gb(one.part), amount, age))
        })
        .collect();
    for one in offers {
        let Some((amount, _, age)) = &mut one.price else { continue };
        let alike: Vec<_> = seen.iter().filter(|other| other.0 == kind(one.part)).collect();
        let newest = alike.iter().map(|other| other.3).min().unwrap();
        if *age - newest > COMMODITY_DAYS {
            let fresh = alike.iter().filter(|other| other.3 - newest <= COMMODITY_DAYS);
            let rate = fresh.map(|other| other.2 / other.1).fold(f64::INFINITY, f64::min);
            *amount = amount.max((rate * gb(one.part) * 100.0 - 1e-6).ceil() / 100.0);
        }
    }
}

fn fails(check: &check::Check) -> bool {
    check.outcome == Outcome::Fail
}

/// The least cost of a base system, by integer programming; `None` where nothing fits.
fn least(market: &Market<'_>, cards: &[&Gpu], needs: BaseNeeds) -> Option<f64> {
    let mut variables = ProblemVariables::new();
    let cpus = offers::<Cpu>(market, &mut variables);
    let boards = offers::<Motherboard>(market, &mut variables);
    let mut kits = offers::<Memory>(market, &mut variables);
    let psus = offers::<Psu>(market, &mut variables);
    let cases = offers::<Case>(market, &mut variables);
    let coolers = offers::<Cooler>(market, &mut variables);
    let mut disks = offers::<Storage>(market, &mut variables);
    raised(&mut kits, |kit| kit.memory_type.clone(), |kit| kit.capacity_gib.written());
    raised(&mut disks, |_| String::new(), |disk| disk.capacity_gb);

    let count = |kit: &Memory| (needs.memory_gib / kit.capacity_gib.written()).ceil() as u32;
    let mut cost = Expression::default();
    let mut excluded: Vec<Variable> = Vec::new();
    let mut conflicts: Vec<[Variable; 2]> = Vec::new();

    for board in &boards {
        let outcome = check::slots(cards, board.part).outcome;
        if outcome == Outcome::Fail || (needs.full_lanes && outcome != Outcome::Pass) {
            excluded.push(board.chosen);
        }
        for cpu in &cpus {
            if fails(&check::socket(cpu.part, board.part)) {
                conflicts.push([cpu.chosen, board.chosen]);
            }
        }
        let unfit =
            kits.iter().filter(|kit| fails(&check::memory(kit.part, count(kit.part), board.part)));
        conflicts.extend(unfit.map(|kit| [kit.chosen, board.chosen]));
        for case in &cases {
            if fails(&check::board_size(board.part, case.part))
                || fails(&check::width(cards, board.part, case.part))
            {
                conflicts.push([board.chosen, case.chosen]);
            }
        }
    }
    for case in &cases {
        if fails(&check::length(cards, case.part)) {
            excluded.push(case.chosen);
        }
        for cooler in &coolers {
            // The rule of the two, whatever the processor is.
            let tall = matches!(
                (cooler.part.height_mm, case.part.max_cooler_height_mm),
                (Some(height), Some(room)) if !cooler.part.liquid && height > room
            );
            if tall {
                conflicts.push([case.chosen, cooler.chosen]);
            }
        }
    }
    let constants = market.catalog.machine_constants().unwrap();
    for cpu in &cpus {
        for cooler in &coolers {
            if !cooler.part.sockets.contains(&cpu.part.socket) {
                conflicts.push([cpu.chosen, cooler.chosen]);
            }
        }
        // A supply with headroom goes first unless it costs more than three times one without.
        let outcome = |psu: &Psu| {
            check::supply(cards, cpu.part, constants.rest_w, psu)
                .outcome
                .max(check::plugs(cards, psu, &constants.adapters).outcome)
        };
        let cheapest = |least: Outcome| {
            let fitting = psus.iter().filter(|psu| outcome(psu.part) <= least);
            fitting.map(|psu| psu.cost(1)).min_by(f64::total_cmp)
        };
        let roomy = cheapest(Outcome::NotChecked).zip(cheapest(Outcome::Warn));
        let worth = roomy.is_some_and(|(roomy, tight)| roomy <= tight * 3.0);
        let allowed = if worth { Outcome::NotChecked } else { Outcome::Warn };
        let unfit = psus.iter().filter(|psu| outcome(psu.part) > allowed);
        conflicts.extend(unfit.map(|psu| [psu.chosen, cpu.chosen]));
    }
    let small = disks.iter().filter(|disk| disk.part.capacity_gb < needs.storage_gb);
    excluded.extend(small.map(|disk| disk.chosen));

    let mut roles: Vec<Vec<Variable>> = Vec::new();
    macro_rules! role {
        ($($offers:ident),*) => {$(
            cost += $offers.iter().map(|one| one.chosen * one.cost(1)).sum::<Expression>();
            roles.push($offers.iter().map(|one| one.chosen).collect());
        )*};
    }
    role!(cpus, boards, psus, cases, coolers, disks);
    cost += kits.iter().map(|one| one.chosen * one.cost(count(one.part))).sum::<Expression>();
    roles.push(kits.iter().map(|one| one.chosen).collect());

    let mut model = variables.minimise(cost.clone()).using(microlp);
    for role in roles {
        model = model.with(constraint!(role.into_iter().sum::<Expression>() == 1.0));
    }
    for one in excluded {
        model = model.with(constraint!(one == 0.0));
    }
    for [a, b] in conflicts {
        model = model.with(constraint!(a + b <= 1.0));
    }
    match model.solve() {
        Ok(solution) => Some(solution.eval(cost)),
        Err(ResolutionError::Infeasible) => None,
        Err(error) => panic!("{error}"),
    }
}

fn cards() -> Vec<&'static Gpu> {
    let all = catalog().all::<Gpu>().unwrap().iter();
    all.filter(|(_, gpu)| gpu.kind == GpuKind::Card).map(|(_, gpu)| gpu).collect()
}

/// The cost of the search's answer, checked against the integer program.
fn agreed(group: &[&Gpu], needs: BaseNeeds, date: &str) -> Result<Option<f64>, String> {
    let market = market(date);
    let found = Shelf::new(&market).unwrap().cheapest(group, needs);
    let cost = found.ok().map(|base| {
        let amount =
            |line: &Line| line.amount().map_or(WITHOUT_PRICE, |amount| amount.minor as f64 / 100.0);
        base.lines.iter().map(amount).sum::<f64>()
    });
    match (cost, least(&market, group, needs)) {
        (None, None) => Ok(None),
        (Some(cost), Some(least)) if (cost - least).abs() < 0.01 => Ok(Some(cost)),
        (cost, least) => Err(format!("found {cost:?}, the integer program {least:?}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_cheaper_base_system_exists(
        first in select(cards()),
        second in select(cards()),
        count in select(vec![[1, 0], [2, 0], [4, 0], [1, 1]]),
        date in select(vec!["2026-02-17", "2026-06-30", "2026-11-21"]),
        memory_gib in select(vec![32.0, 64.0, 128.0]),
        storage_gb in select(vec![1000.0, 2000.0, 4000.0]),
        full_lanes in any::<bool>(),
    ) {
        let mut group = vec![first; count[0]];
        group.extend(vec![second; count[1]]);
        let needs = BaseNeeds { memory_gib, storage_gb, full_lanes };
        agreed(&group, needs, date).map_err(TestCaseError::fail)?;
    }
}

/// The random cases above say nothing where no system fits; here most of them do.
#[test]
fn both_searches_find_a_system_for_most_single_cards() {
    let bases = &catalog().machine_constants().unwrap().bases;
    let (all, needs) = (cards(), BaseNeeds::for_cards(bases, 1).unwrap());
    let found = all.iter().filter(|card| agreed(&[card], needs, "2026-11-21").unwrap().is_some());
    let count = found.count();
    assert!(count * 2 > all.len(), "{count} of {}", all.len());
}
