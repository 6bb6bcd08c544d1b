//! One estimate, and a million.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use localrig_estimate::accuracy::judge_rows;
use localrig_estimate::architecture::layout;
use localrig_estimate::context::KvType;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::engine::Engine;
use localrig_facts::format::Format;
use localrig_facts::machine::parse_machine;
use localrig_facts::measured::SpeedRow;
use localrig_facts::model::Model;
use rayon::prelude::*;

fn estimates(criterion: &mut Criterion) {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let (format_id, format) = catalog.get_in::<Format>("q4_k_m").unwrap();
    let recipe = Recipe::new(&catalog, format_id, format).unwrap();
    let works: Vec<Work> = catalog
        .all::<Model>()
        .unwrap()
        .iter()
        .filter_map(|(id, model)| layout(&catalog, id, model).ok())
        .map(|layout| Work::new(&layout, &recipe, KvType::F16))
        .collect();
    let machine = parse_machine(&catalog, "RTX 5090").unwrap();
    let (engine_id, engine) = catalog.get_in::<Engine>("llama.cpp").unwrap();
    let setup = Setup::new(&catalog, engine_id, engine, &machine, format).unwrap();
    let paces: Vec<Pace<'_>> =
        works.iter().map(|work| Pace::new(&catalog, &setup, &machine, work).unwrap()).collect();
    criterion.bench_function("one estimate", |bencher| {
        bencher.iter(|| black_box(&paces[0]).decode(black_box(8192), black_box(4)));
    });
    let mut group = criterion.benchmark_group("many");
    group.sample_size(10);
    group.bench_function("a million estimates", |bencher| {
        bencher.iter(|| {
            (0..1_000_000u64)
                .into_par_iter()
                .map(|index| {
                    let pace = &paces[index as usize % paces.len()];
                    let streams = 1 + index % 16;
                    pace.decode(index % 131_072, streams).total_tok_per_s.value.get()
                })
                .sum::<f64>()
        });
    });
    let rows: Vec<SpeedRow> = catalog.rows("measured/speed.csv").unwrap();
    let rows: Vec<SpeedRow> = rows.iter().cycle().take(10_000).cloned().collect();
    group.bench_function("ten thousand rows judged", |bencher| {
        bencher.iter(|| judge_rows(&catalog, &rows).unwrap().len());
    });
    group.finish();
}

criterion_group!(benches, estimates);
criterion_main!(benches);
