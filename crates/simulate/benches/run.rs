//! Steps per second of a run like that of a llama.cpp server with four busy slots, and the time the
//! means of a placement take.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use localrig_facts::unit::{Bytes, BytesPerSec, Seconds};
use localrig_simulate::engine::{Engine, llama};
use localrig_simulate::load::{Load, demands, loads};
use localrig_simulate::run::run;
use localrig_simulate::scenario::{DeviceFacts, Scenario, Server};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::step::{StepTable, Uncertainty};
use localrig_simulate::workload::Workload;

fn table() -> StepTable {
    let decode =
        |depth: f64, streams: f64| Seconds::us(6_000.0 + 200.0 * streams + 0.02 * depth * streams);
    let prefill =
        |tokens: f64, depth: f64| Seconds::us(2_000.0 + 150.0 * tokens + tokens * depth / 5_000.0);
    let uncertainty = Uncertainty { decode: 1.2, single: 1.2, prefill: 1.5 };
    StepTable::new(4, uncertainty, Seconds::ZERO, &(decode, prefill))
}

fn scenario() -> Scenario {
    Scenario {
        servers: vec![Server {
            label: "llama.cpp".to_owned(),
            engine: Engine::Llama(llama::Options {
                slots: 4,
                cells: 65_536,
                unified: true,
                batch: 2_048,
                similarity: 0.1,
                host_tokens: 171_798,
                token_bytes: Bytes::new(50_000.0),
                copy: BytesPerSec::gb_per_s(12.0),
                cuts: true,
            }),
            steps: table(),
            devices: vec![0],
            load: None,
        }],
        devices: vec![DeviceFacts {
            name: "device".to_owned(),
            usable: Bytes::gib(24.0),
            at_wall: false,
            idle: None,
            busy: None,
        }],
        sharing: Sharing::TimeSlice { loss: 0.035 },
        routes: vec![vec![0]],
    }
}

const CLOSED: &str = "name = \"closed\"\n[run]\nduration_s = 1000\n[[role]]\nname = \"chat\"\n\
context_tokens = 16384\nsystem_tokens = 500\n[role.closed]\nstreams = 4\nthink_s = { fixed = 0.1 }\n\
prompt_tokens = { median = 200, mean = 400, most = 4000 }\n\
output_tokens = { median = 250, mean = 350, most = 2000 }\nturns = { low = 1, high = 8 }\n";

fn bench(criterion: &mut Criterion) {
    let scenario = scenario();
    let workload =
        Workload::parse("closed", CLOSED, &BTreeMap::new()).expect("the workload makes sense");
    let steps = run(&scenario, &workload, 1, 0, None).servers[0].steps;
    let mut group = criterion.benchmark_group("run");
    group.throughput(Throughput::Elements(steps));
    group.bench_function("llama.cpp, four slots, steps", |bencher| {
        bencher.iter(|| run(black_box(&scenario), &workload, 1, 0, None));
    });
    group.finish();
    let demands = demands(&workload, &scenario.routes);
    criterion.bench_function("means of a placement", |bencher| {
        bencher.iter(|| {
            let steps = table();
            let servers = [Load { steps: &steps, devices: &[0], has_slots: true }];
            loads(black_box(&servers), Sharing::TimeSlice { loss: 0.035 }, &demands)
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
