//! What holds for every run: tokens are kept, caches are never over-full, runs repeat.

use std::collections::BTreeMap;

use localrig_facts::unit::{Bytes, BytesPerSec, Seconds};
use localrig_simulate::engine::{Engine, llama, mlx, vllm};
use localrig_simulate::record::Record;
use localrig_simulate::run::{Run, run};
use localrig_simulate::scenario::{DeviceFacts, Load, Scenario, Server};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::step::{StepTable, Uncertainty};
use localrig_simulate::time::Nanos;
use localrig_simulate::workload::Workload;
use proptest::prelude::*;

fn table(weights_us: f64, token_us: f64) -> StepTable {
    let decode = |depth: f64, streams: f64| {
        Seconds::us(weights_us + 30.0 * streams + 0.02 * depth * streams)
    };
    let prefill = |tokens: f64, depth: f64| {
        Seconds::us(1_500.0 + token_us * tokens + tokens * depth / 2_000.0)
    };
    let uncertainty = Uncertainty { decode: 1.2, single: 1.2, prefill: 1.5 };
    StepTable::new(256, uncertainty, Seconds::us(token_us), &(decode, prefill))
}

fn engines() -> [Engine; 4] {
    [
        vllm_of(1_200),
        llama_of(3, 20_000),
        // As Ollama has them: slots of their own, nothing in main memory.
        Engine::Llama(llama::Options {
            slots: 2,
            cells: 18_000,
            unified: false,
            batch: 512,
            similarity: 0.0,
            host_tokens: 0,
            token_bytes: Bytes::ZERO,
            copy: BytesPerSec::ZERO,
            cuts: true,
        }),
        Engine::Mlx(mlx::Options {
            tokens: 24_000,
            decode: 32,
            prompts: 8,
            chunk: 2_048,
            kept: 10,
        }),
    ]
}

fn vllm_of(blocks: u32) -> Engine {
    Engine::Vllm(vllm::Options {
        blocks,
        block: 16,
        extra_blocks: 0,
        budget: 512,
        sequences: 256,
        caching: true,
        asynchronous: true,
    })
}

fn llama_of(slots: u32, cells: u32) -> Engine {
    Engine::Llama(llama::Options {
        slots,
        cells,
        unified: true,
        batch: 2_048,
        similarity: 0.1,
        host_tokens: 85_899,
        token_bytes: Bytes::new(100_000.0),
        copy: BytesPerSec::gb_per_s(12.0),
        cuts: true,
    })
}

fn server(engine: Engine, devices: Vec<u32>) -> Server {
    Server { label: "one".to_owned(), engine, steps: table(9_000.0, 80.0), devices, load: None }
}

fn device() -> DeviceFacts {
    DeviceFacts {
        name: "device".to_owned(),
        usable: Bytes::gib(24.0),
        at_wall: false,
        idle: None,
        busy: None,
    }
}

fn alone(engine: Engine, roles: usize) -> Scenario {
    Scenario {
        servers: vec![server(engine, vec![0])],
        devices: vec![device()],
        sharing: Sharing::TimeSlice { loss: 0.035 },
        routes: vec![vec![0]; roles],
    }
}

fn workload(text: &str) -> Workload {
    Workload::parse("test", text, &BTreeMap::new()).expect("a workload that makes sense")
}

/// A finite workload: users with conversations, and requests that come by themselves.
fn finite(users: u32, rate: f64, requests: u32) -> Workload {
    workload(&format!(
        r#"
name = "finite"
[run]
[[role]]
name = "chat"
context_tokens = 8000
system_tokens = 700
[role.closed]
streams = {users}
think_s = {{ exponential_mean = 1 }}
prompt_tokens = {{ median = 200, mean = 400, most = 3000 }}
output_tokens = {{ median = 40, mean = 60, most = 400 }}
turns = {{ low = 1, high = 6 }}
requests = {requests}
[[role]]
name = "open"
context_tokens = 4000
[role.open]
arrival = "poisson"
rate_per_s = {rate}
requests = {requests}
prompt_tokens = {{ median = 200, mean = 400, most = 3000 }}
output_tokens = {{ median = 40, mean = 60, most = 400 }}
"#
    ))
}

/// Two users who each wait for their own model.
fn pair() -> Workload {
    let role = |name: &str| {
        format!(
            "[[role]]\nname = \"{name}\"\ncontext_tokens = 4000\n[role.closed]\nstreams = 1\nrequests = 30\n\
             think_s = {{ exponential_mean = 0.5 }}\nprompt_tokens = {{ median = 200, mean = 400, most = 3000 }}\n\
             output_tokens = {{ median = 40, mean = 60, most = 400 }}\n"
        )
    };
    workload(&format!("name = \"pair\"\n[run]\n{}{}", role("one"), role("two")))
}

fn agents() -> Workload {
    let text = include_str!("../../../workloads/home-office.toml");
    let mut workload = workload(text);
    workload.run.duration_s = Some(200.0);
    workload
}

fn tokens_are_kept(run: &Run, requests: u32) {
    for role in &run.meter.roles {
        assert_eq!(role.answered + role.refused, u64::from(requests));
        assert_eq!(role.asked, u64::from(requests));
        assert_eq!(role.wanted_tokens, role.given_tokens, "tokens in, tokens out");
        // What is given up on the way has had some tokens.
        assert!(role.output_tokens >= role.given_tokens);
        assert!(role.refused > 0 || role.output_tokens == role.given_tokens);
        assert!(role.cached_tokens <= role.prompt_tokens);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_token_that_is_asked_for_is_given_and_no_cache_is_over_full(
        seed in 0_u64..1_000, users in 1_u32..12, rate in 0.2..20.0_f64,
    ) {
        for engine in engines() {
            let pool = engine.pool_tokens();
            let run = run(&alone(engine, 2), &finite(users, rate, 60), seed, 0, None);
            tokens_are_kept(&run, 60);
            prop_assert!(run.servers[0].high_water <= pool);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run(seed in 0_u64..1_000) {
        for engine in engines() {
            let scenario = alone(engine, 3);
            let [one, two] = [0; 2].map(|_| run(&scenario, &agents(), seed, 0, Some(Record::new(Nanos::ZERO, 1_000))));
            prop_assert_eq!(one, two);
        }
    }

    #[test]
    fn steps_that_are_looked_at_one_by_one_for_a_record_give_the_same_run(
        seed in 0_u64..1_000, users in 1_u32..12, rate in 0.2..20.0_f64, share in any::<bool>(),
    ) {
        let step_by_step = |scenario: &Scenario, workload: &Workload| {
            let all = Record::new(Nanos::ZERO, 1_000);
            let mut recorded = run(scenario, workload, seed, 0, Some(all));
            prop_assert!(!recorded.record.take().unwrap().steps.is_empty());
            prop_assert_eq!(recorded, run(scenario, workload, seed, 0, None));
            Ok(())
        };
        for engine in engines() {
            step_by_step(&alone(engine.clone(), 2), &finite(users, rate, 40))?;
            // Several engines on one device, and one beside them.
            let beside = [vec![0], vec![0], vec![1]].map(|devices| server(engine.clone(), devices));
            let sharing = if share { Sharing::Mps { together: 0.93 } } else { Sharing::TimeSlice { loss: 0.035 } };
            let scenario = Scenario {
                servers: beside.to_vec(),
                devices: vec![device(), device()],
                sharing,
                routes: vec![vec![0], vec![1], vec![2]],
            };
            step_by_step(&scenario, &agents())?;
        }
        for blocks in [150, 300] {
            step_by_step(&alone(vllm_of(blocks), 2), &finite(users, rate, 40))?;
        }
    }

    #[test]
    fn another_replica_never_lowers_goodput(seed in 0_u64..1_000, rate in 0.2..12.0_f64) {
        let text = format!(
            "name = \"open\"\n[run]\nduration_s = 120\n[[role]]\nname = \"open\"\ncontext_tokens = 4000\n\
             [role.open]\narrival = \"poisson\"\nrate_per_s = {rate}\n\
             prompt_tokens = {{ median = 200, mean = 400, most = 3000 }}\n\
             output_tokens = {{ median = 40, mean = 60, most = 400 }}\n\
             [role.limit]\nttft_s = 2\nspeed_minimum_tok_per_s = 20\n"
        );
        let workload = workload(&text);
        for engine in engines() {
            let good = |replicas: u32| {
                let scenario = Scenario {
                    servers: (0..replicas).map(|one| server(engine.clone(), vec![one])).collect(),
                    devices: vec![device(); replicas as usize],
                    sharing: Sharing::TimeSlice { loss: 0.035 },
                    routes: vec![(0..replicas).collect()],
                };
                run(&scenario, &workload, seed, 0, None).meter.roles[0].good
            };
            // One request more or less may miss its limit because it met other company.
            let never_lower = |fewer: u64, more: u64| more as f64 >= fewer as f64 * 0.99 - 1.0;
            let (one, two, three) = (good(1), good(2), good(3));
            prop_assert!(never_lower(one, two) && never_lower(two, three), "{one} {two} {three}");
        }
    }

    #[test]
    fn sharing_a_device_never_makes_anybody_faster(seed in 0_u64..1_000) {
        for sharing in [Sharing::TimeSlice { loss: 0.035 }, Sharing::Mps { together: 0.93 }] {
            let scenario = |devices: [u32; 2]| Scenario {
                servers: vec![
                    server(engines()[1].clone(), vec![devices[0]]),
                    server(engines()[0].clone(), vec![devices[1]]),
                ],
                devices: vec![device(), device()],
                sharing,
                routes: vec![vec![0], vec![1]],
            };
            let workload = pair();
            let [apart, together] = [[0, 1], [0, 0]].map(|devices| run(&scenario(devices), &workload, seed, 0, None));
            tokens_are_kept(&together, 30);
            prop_assert!(together.window >= apart.window);
            prop_assert!(together.busy[0] <= together.window);
        }
    }
}

#[test]
fn a_cache_that_is_too_small_preempts_and_still_answers() {
    let tight = vllm_of(300);
    let run = run(&alone(tight, 2), &finite(10, 50.0, 80), 3, 0, None);
    tokens_are_kept(&run, 80);
    assert!(run.servers[0].preemptions > 0);
}

#[test]
fn what_never_fits_is_given_up_and_the_rest_goes_on() {
    let small = llama_of(2, 900);
    let run = run(&alone(small, 2), &finite(2, 2.0, 40), 3, 0, None);
    tokens_are_kept(&run, 40);
    let refused: u64 = run.meter.roles.iter().map(|role| role.refused).sum();
    let answered: u64 = run.meter.roles.iter().map(|role| role.answered).sum();
    assert!(refused > 0 && answered > 0, "{refused} {answered}");
}

#[test]
fn models_that_do_not_fit_together_take_turns() {
    let load = Some(Load { memory: Bytes::gib(16.0), time: Seconds::new(5.0) });
    let swapped = |load| Scenario {
        servers: [2, 3]
            .map(|engine: usize| Server { load, ..server(engines()[engine].clone(), vec![0]) })
            .to_vec(),
        devices: vec![device()],
        sharing: Sharing::TimeSlice { loss: 0.035 },
        routes: vec![vec![0], vec![1]],
    };
    let there = run(&swapped(None), &finite(1, 0.2, 20), 1, 0, None);
    let swapping = run(&swapped(load), &finite(1, 0.2, 20), 1, 0, None);
    tokens_are_kept(&swapping, 20);
    assert_eq!(there.servers[0].loads, 0);
    assert!(swapping.servers[0].loads > 1 && swapping.servers[1].loads > 1);
    let first = |run: &Run| run.meter.roles[0].ttft.mean().unwrap();
    assert!(first(&swapping).get() > first(&there).get() + 1.0);
}

#[test]
fn more_streams_of_one_role_do_not_change_the_draws_of_another() {
    let one = |users| run(&alone(engines()[1].clone(), 2), &finite(users, 2.0, 40), 5, 0, None);
    let wanted = |users| one(users).meter.roles[1].wanted_tokens;
    assert_eq!(wanted(1), wanted(7));
}
