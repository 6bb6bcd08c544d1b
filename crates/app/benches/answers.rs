//! How long the answers take, from the texts of the catalog to the answer, without start-up and
//! printing: `cargo bench -p localrig`. `scripts/benchmark` adds whole runs and peak memory.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use localrig_estimate::answer::{Question, estimate};
use localrig_estimate::context::KvType;
use localrig_estimate::memory::{Ask, Setting};
use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::gpu::Gpu;
use localrig_facts::machine::parse_machine;
use localrig_facts::model::Model;
use localrig_facts::region::Region;
use localrig_plan::answer::PlanAnswer;
use localrig_plan::build::{BaseNeeds, Shelf};
use localrig_plan::plan::Planner;
use localrig_plan::price::Market;
use localrig_plan::requirement::Requirement;
use localrig_report::catalog::Shown;
use localrig_simulate::workload::Workload;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn plan(bench: &mut Criterion) {
    let text = localrig_world::requirement("home-office").unwrap();
    let home = Requirement::parse("home-office", text).unwrap();
    let habits = localrig_world::workload("home-office").unwrap();
    let habits = Workload::parse("home-office", habits, &BTreeMap::new()).unwrap();
    bench.bench_function("plan", |bench| {
        bench.iter(|| {
            let catalog = localrig_world::catalog(&[]).unwrap();
            let (_, region) = catalog.get_in::<Region>("ch").unwrap();
            let date = "2026-11-21".parse().unwrap();
            let market = Market { catalog: &catalog, region_id: "ch", region, date };
            let planner = Planner::new(market, &home, &habits).unwrap();
            black_box(PlanAnswer::new(&catalog, &planner.plan()));
        });
    });
}

/// The base system around every card, two of each.
fn base_system(bench: &mut Criterion) {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (_, region) = catalog.get_in::<Region>("ch").unwrap();
    let date = "2026-11-21".parse().unwrap();
    let market = Market { catalog: &catalog, region_id: "ch", region, date };
    let shelf = Shelf::new(&market).unwrap();
    let needs = BaseNeeds::for_cards(&catalog.machine_constants().unwrap().bases, 2).unwrap();
    let cards: Vec<&Gpu> = catalog.all::<Gpu>().unwrap().values().collect();
    let mut next = cards.iter().cycle();
    bench.bench_function("base system", |bench| {
        bench.iter(|| {
            let card = next.next().unwrap();
            black_box(shelf.cheapest(&[card, card], needs).ok());
        });
    });
}

fn one_estimate(bench: &mut Criterion) {
    bench.bench_function("estimate", |bench| {
        bench.iter(|| {
            let catalog = localrig_world::catalog(&[]).unwrap();
            let machine = parse_machine(&catalog, "RTX PRO 6000 Workstation").unwrap();
            let question = Question {
                model: catalog.find::<Model>("gpt-oss-120b").unwrap(),
                machine: &machine,
                engine: catalog.get_in::<Engine>("llama.cpp").unwrap(),
                format: catalog.get_in::<Format>("mxfp4_moe").unwrap(),
                ask: Ask { context: 131_072, streams: 1, kv: KvType::F16, vision: false },
                setting: &Setting::OWN,
            };
            black_box(estimate(&catalog, question).unwrap());
        });
    });
}

fn show(bench: &mut Criterion) {
    bench.bench_function("catalog show", |bench| {
        bench.iter(|| {
            let catalog = localrig_world::catalog(&[]).unwrap();
            let head = catalog.find_any("RTX 5090").unwrap();
            black_box(Shown::new(&catalog, &head).unwrap());
        });
    });
}

criterion_group! {
    name = answers;
    config = Criterion::default().sample_size(20);
    targets = plan, base_system, one_estimate, show
}
criterion_main!(answers);
