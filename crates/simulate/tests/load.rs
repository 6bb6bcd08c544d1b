//! Means without a run: bounded by what is possible, and near what a simulation says.

use std::collections::BTreeMap;

use localrig_facts::unit::{Bytes, BytesPerSec, Seconds};
use localrig_simulate::engine::{Engine, llama};
use localrig_simulate::load::{Load, demands, loads};
use localrig_simulate::run::run;
use localrig_simulate::scenario::{DeviceFacts, Scenario, Server};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::step::{StepTable, Uncertainty};
use localrig_simulate::workload::Workload;
use proptest::prelude::*;

fn table(weights_us: f64, stream_us: f64, token_us: f64) -> StepTable {
    let decode = |depth: f64, streams: f64| {
        Seconds::us(weights_us + stream_us * streams + 0.01 * depth * streams)
    };
    let prefill = |tokens: f64, depth: f64| {
        Seconds::us(2_000.0 + token_us * tokens + tokens * depth / 5_000.0)
    };
    let uncertainty = Uncertainty { decode: 1.2, single: 1.2, prefill: 1.5 };
    StepTable::new(64, uncertainty, Seconds::us(token_us), &(decode, prefill))
}

/// The home office with every model on a device of its own or all on one.
fn home_office(together: bool, weights_us: f64, token_us: f64) -> (Scenario, Workload) {
    let text = include_str!("../../../workloads/home-office.toml");
    let mut workload =
        Workload::parse("home-office", text, &BTreeMap::new()).expect("a shipped workload");
    // Means take sub-agents to work all the time; here they do.
    for role in &mut workload.roles {
        if let Some(agent) = &mut role.agent {
            agent.spawned = false;
            agent.spawn = None;
        }
    }
    let devices = if together { 1 } else { 3 };
    let server = |index: u32| Server {
        label: index.to_string(),
        engine: Engine::Llama(llama::Options {
            slots: 4,
            cells: 262_144,
            unified: true,
            batch: 2_048,
            similarity: 0.1,
            host_tokens: 171_798,
            token_bytes: Bytes::new(50_000.0),
            copy: BytesPerSec::gb_per_s(12.0),
            cuts: true,
        }),
        steps: table(weights_us / f64::from(index + 1), 150.0, token_us),
        devices: vec![index % devices],
        load: None,
    };
    let scenario = Scenario {
        servers: (0..3).map(server).collect(),
        devices: (0..devices)
            .map(|_| DeviceFacts {
                name: "device".to_owned(),
                usable: Bytes::gib(96.0),
                at_wall: false,
                idle: None,
                busy: None,
            })
            .collect(),
        sharing: Sharing::TimeSlice { loss: 0.035 },
        routes: vec![vec![0], vec![1], vec![2]],
    };
    (scenario, workload)
}

fn load_of(scenario: &Scenario) -> Vec<Load<'_>> {
    scenario
        .servers
        .iter()
        .map(|server| Load {
            steps: &server.steps,
            devices: &server.devices,
            has_slots: matches!(server.engine, Engine::Llama(_)),
        })
        .collect()
}

proptest! {
    #[test]
    fn a_loaded_stream_is_never_faster_than_alone_and_never_stops(
        weights in 1_000.0..50_000.0_f64, token in 10.0..2_000.0_f64, together: bool,
    ) {
        let (scenario, workload) = home_office(together, weights, token);
        for one in loads(&load_of(&scenario), Sharing::TimeSlice { loss: 0.035 }, &demands(&workload, &scenario.routes)) {
            prop_assert!(one.loaded.get() <= one.alone.get() * 1.000_001);
            prop_assert!(one.crowded.get() <= one.alone.get() * 1.000_001);
            // All streams at once, and nine tenths of the time for prompts, is the worst there is.
            prop_assert!(one.loaded.get() >= one.crowded.get() * 0.0999);
            prop_assert!((0.0..=1.0).contains(&one.busy));
        }
    }

    #[test]
    fn a_faster_model_or_a_device_of_its_own_never_slows_a_role_down(
        weights in 1_000.0..50_000.0_f64, token in 10.0..1_000.0_f64,
    ) {
        let speeds = |together, weights, token| {
            let (scenario, workload) = home_office(together, weights, token);
            let all = loads(&load_of(&scenario), Sharing::TimeSlice { loss: 0.035 }, &demands(&workload, &scenario.routes));
            all.iter().map(|one| one.loaded.get()).collect::<Vec<_>>()
        };
        let shared = speeds(true, weights, token);
        let apart = speeds(false, weights, token);
        let faster = speeds(false, weights * 0.8, token * 0.8);
        for role in 0..3 {
            prop_assert!(apart[role] >= shared[role] * 0.999, "{apart:?} {shared:?}");
            prop_assert!(faster[role] >= apart[role] * 0.999, "{faster:?} {apart:?}");
        }
    }
}

#[test]
fn the_wait_for_a_slot_comes_near_a_simulation() {
    let mut told = Vec::new();
    // Tokens of 36 to 60 ms: 200 of them keep a slot busy for 7 to 12 s, and one request comes in 20.
    for (slots, weights) in [(1, 36_000.0), (1, 60_000.0), (2, 90_000.0)] {
        let (mut scenario, mut workload) = home_office(false, weights * 3.0, 300.0);
        workload.roles.drain(..2);
        scenario.routes = vec![vec![2]];
        let open = workload.roles[0].open.as_mut().expect("images come by themselves");
        open.slots = Some(slots);
        let Engine::Llama(options) = &mut scenario.servers[2].engine else { unreachable!() };
        options.slots = slots;
        let demands = demands(&workload, &scenario.routes);
        let sharing = Sharing::TimeSlice { loss: 0.035 };
        let mean = loads(&load_of(&scenario), sharing, &demands)[0].first.get();
        let runs = (0..40).map(|one| run(&scenario, &workload, 1, one, None));
        let firsts: Vec<f64> =
            runs.filter_map(|run| Some(run.meter.roles[0].ttft.mean()?.get())).collect();
        let simulated = firsts.iter().sum::<f64>() / firsts.len() as f64;
        told.push((mean, simulated));
    }
    for (mean, simulated) in told {
        assert!(
            (0.5..2.0).contains(&(mean / simulated)),
            "{mean} s by means, {simulated} s simulated"
        );
    }
}

#[test]
fn means_come_near_a_simulation() {
    let mut said = Vec::new();
    for (together, weights) in [(false, 12_000.0), (true, 12_000.0), (true, 25_000.0)] {
        let (scenario, workload) = home_office(together, weights, 300.0);
        let means = loads(
            &load_of(&scenario),
            Sharing::TimeSlice { loss: 0.035 },
            &demands(&workload, &scenario.routes),
        );
        let runs: Vec<_> = (0..6).map(|one| run(&scenario, &workload, 1, one, None)).collect();
        for (index, mean) in means.iter().enumerate() {
            let gaps: Vec<f64> = runs
                .iter()
                .filter_map(|run| Some(run.meter.roles[index].gaps.mean()?.get()))
                .collect();
            let simulated = gaps.len() as f64 / gaps.iter().sum::<f64>();
            let ratio = mean.loaded.get() / simulated;
            assert!((0.6..1.6).contains(&ratio), "role {index}, together {together}: {ratio}");
            said.push((ratio - 1.0).abs());
        }
    }
    said.sort_by(f64::total_cmp);
    let median = said[said.len() / 2];
    assert!(median < 0.2, "median deviation {median}, all {said:?}");
}
