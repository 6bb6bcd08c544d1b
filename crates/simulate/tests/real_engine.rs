//! The real engine: a llama.cpp server answers requests that come at the same time, and so does the
//! simulated one.
//!
//! `scripts/test` installs the engine. Where it cannot, it sets `LOCALRIG_ENGINE_SKIP` to the reason,
//! which these tests repeat; without either they fail. Times are compared on request only
//! (`scripts/engine-check`): machines that run tests are never quiet.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may panic; it runs the engine"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use localrig_estimate::calibration::Calibration;
use localrig_estimate::offload::batch;
use localrig_facts::unit::{Bytes, BytesPerSec, Seconds};
use localrig_simulate::engine::{Engine, llama};
use localrig_simulate::run::run;
use localrig_simulate::scenario::{DeviceFacts, Scenario, Server};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::step::{StepTable, Uncertainty};
use localrig_simulate::workload::distribution::Distribution;
use localrig_simulate::workload::{Closed, Extent, Limit, Role, Workload};
use serde::Deserialize;

/// One request, as the server answered it.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Answer {
    sent_s: f64,
    first_s: f64,
    end_s: f64,
    prompt_tokens: u32,
    output_tokens: u32,
    slot: u32,
}

/// Sends requests to a real server, the path of whose python is given.
fn ask(
    python: &Path,
    size: &str,
    slots: u32,
    streams: u32,
    [prompt, output]: [u32; 2],
) -> Vec<Answer> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/engine/streams.py");
    let numbers = [slots, streams, prompt, output].map(|one| one.to_string());
    let done = Command::new(python).arg(script).arg(size).args(numbers).output();
    let done = done.expect("the engine starts");
    let text = String::from_utf8_lossy(&done.stdout);
    let answers: Vec<Answer> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("an answer"))
        .collect();
    let log = String::from_utf8_lossy(&done.stderr);
    assert_eq!(answers.len(), streams as usize, "{text}\n{log}");
    answers
}

/// The engine's python; `None` with the reason on stderr when it is not to be had.
fn python() -> Option<PathBuf> {
    if let Ok(reason) = std::env::var("LOCALRIG_ENGINE_SKIP") {
        eprintln!("SKIPPED: nothing is compared with the real engine: {reason}");
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var("LOCALRIG_ENGINE_PYTHON")
        .map_or_else(|_| root.join(".venv/engine/bin/python"), PathBuf::from);
    assert!(python.is_file(), "no engine: run scripts/engine-env, or set LOCALRIG_ENGINE_SKIP");
    Some(python)
}

/// A server like the real one, whose steps take what two times say: a step of one stream, and a
/// token of a prompt. Batches are those of any CPU.
fn scenario(slots: u32, context: u32, single: f64, token: f64) -> Scenario {
    let catalog = localrig_world::catalog(&[]).expect("a catalog");
    let calibration = Calibration::prior(catalog.priors().expect("priors")).expect("constants");
    let constants = calibration.general();
    let uncertainty = Uncertainty { decode: 1.2, single: 1.2, prefill: 1.2 };
    let decode = |_: f64, streams: f64| Seconds::new(batch(single, token, &constants, streams));
    let prefill = |tokens: f64, _: f64| Seconds::new(single.max(tokens * token));
    let steps = StepTable::new(slots, uncertainty, Seconds::ZERO, &(decode, prefill));
    let options = llama::Options {
        slots,
        cells: slots * context,
        unified: false,
        batch: 2_048,
        similarity: 0.1,
        host_tokens: 858_993,
        token_bytes: Bytes::new(1e4),
        copy: BytesPerSec::gb_per_s(12.0),
        cuts: true,
    };
    Scenario {
        servers: vec![Server {
            label: "llama.cpp".to_owned(),
            engine: Engine::Llama(options),
            steps,
            devices: vec![0],
            load: None,
        }],
        devices: vec![DeviceFacts {
            name: "processor".to_owned(),
            usable: Bytes::gib(1.0),
            at_wall: false,
            idle: None,
            busy: None,
        }],
        sharing: Sharing::TimeSlice { loss: 0.035 },
        routes: vec![vec![0]],
    }
}

/// As many requests as streams, all at the start.
fn workload(streams: u32, [prompt, output]: [u32; 2]) -> Workload {
    Workload {
        name: "streams".to_owned(),
        run: Extent { warm_up_s: 0.0, duration_s: None },
        roles: vec![Role {
            name: "stream".to_owned(),
            context_tokens: prompt + output + 16,
            system_tokens: 0,
            agent: None,
            closed: Some(Closed {
                streams,
                think_s: Distribution::fixed(0.0),
                prompt_tokens: Distribution::fixed(f64::from(prompt)),
                output_tokens: Distribution::fixed(f64::from(output)),
                image_tokens: None,
                turns: None,
                requests: Some(streams),
            }),
            open: None,
            limit: Limit::default(),
        }],
    }
}

#[test]
fn slots_order_and_tokens_are_those_of_the_real_server() {
    const SHAPE: [u32; 2] = [32, 48];
    const SLOTS: u32 = 2;
    const STREAMS: u32 = 4;
    let Some(python) = python() else { return };
    let answers = ask(&python, "tiny", SLOTS, STREAMS, SHAPE);
    for answer in &answers {
        assert_eq!([answer.prompt_tokens, answer.output_tokens], SHAPE, "{answer:?}");
        assert!(answer.slot < SLOTS, "{answer:?}");
        assert!(answer.sent_s < answer.first_s && answer.first_s < answer.end_s, "{answer:?}");
    }
    // No more are answered at a time than there are slots, and never two in one slot.
    for (index, one) in answers.iter().enumerate() {
        let beside = answers.iter().enumerate().filter(|(other, another)| {
            *other != index && another.first_s <= one.first_s && one.first_s < another.end_s
        });
        let beside: Vec<u32> = beside.map(|(_, another)| another.slot).collect();
        assert!(beside.len() < SLOTS as usize, "{answers:?}");
        assert!(!beside.contains(&one.slot), "{answers:?}");
    }
    // First come, first served.
    assert!(answers.is_sorted_by(|one, next| one.first_s < next.first_s), "{answers:?}");

    // The simulated server: the same tokens, in twice the time of one pair, because two wait.
    let context = SHAPE[0] + SHAPE[1] + 16;
    let all = |streams| {
        let scenario = scenario(SLOTS, context, 0.01, 0.001);
        run(&scenario, &workload(streams, SHAPE), 1, 0, None)
    };
    let (pair, four) = (all(SLOTS), all(STREAMS));
    let counts = &four.meter.roles[0];
    assert_eq!(counts.answered, u64::from(STREAMS));
    assert_eq!(counts.prompt_tokens, u64::from(SHAPE[0] * STREAMS));
    let generated: u32 = answers.iter().map(|answer| answer.output_tokens).sum();
    assert_eq!(counts.output_tokens, u64::from(generated));
    let ratio = four.window.seconds() / pair.window.seconds();
    assert!((ratio - 2.0).abs() < 0.1, "{ratio}");
}

/// Tokens per second: of all streams together, and of the median stream after its first token.
fn measured(answers: &[Answer]) -> [f64; 2] {
    let tokens: u32 = answers.iter().map(|answer| answer.output_tokens).sum();
    let end = answers.iter().map(|answer| answer.end_s).fold(0.0, f64::max);
    let mut own: Vec<f64> = answers
        .iter()
        .map(|one| f64::from(one.output_tokens - 1) / (one.end_s - one.first_s))
        .collect();
    own.sort_by(f64::total_cmp);
    [f64::from(tokens) / end, f64::midpoint(own[(own.len() - 1) / 2], own[own.len() / 2])]
}

#[test]
#[ignore = "times need a quiet machine: scripts/engine-check"]
fn several_streams_are_as_fast_as_one_says() {
    const SHAPE: [u32; 2] = [256, 128];
    /// Most that a ratio may be off.
    const OFF: f64 = 0.25;
    /// Repeats of which the fastest counts: whatever else runs makes it slower only.
    const REPEATS: usize = 3;
    let Some(python) = python() else { return };
    let best = |streams: u32| -> (Vec<Answer>, [f64; 2]) {
        let all = (0..REPEATS).map(|_| ask(&python, "small", 4, streams, SHAPE));
        let all = all.map(|answers| (answers.clone(), measured(&answers)));
        all.max_by(|a, b| a.1[0].total_cmp(&b.1[0])).expect("some repeats")
    };
    let (alone, one) = best(1);
    // Two constants from the run of one stream.
    let token = (alone[0].first_s - alone[0].sent_s) / f64::from(SHAPE[0]);
    let single = 1.0 / one[1];
    let simulated = |streams: u32| -> [f64; 2] {
        let scenario = scenario(4, SHAPE[0] + SHAPE[1] + 16, single, token);
        let run = run(&scenario, &workload(streams, SHAPE), 1, 0, None);
        let role = &run.meter.roles[0];
        let own = role.mean_gaps.quantile(0.5).expect("an answer");
        [role.output_tokens as f64 / run.window.seconds().get(), 1.0 / own.get()]
    };
    println!("one stream: prompt {:.1} tok/s, {:.1} tok/s", 1.0 / token, one[1]);
    let alone = simulated(1);
    let mut worst: f64 = 0.0;
    for streams in [2, 4] {
        let (_, several) = best(streams);
        let expected = simulated(streams);
        for (what, index) in [("total", 0), ("per stream", 1)] {
            let (real, ours) = (several[index] / one[index], expected[index] / alone[index]);
            println!(
                "{what}({streams}) / {what}(1): measured {real:.2}, simulated {ours:.2}, {:+.0} %",
                (ours / real - 1.0) * 100.0
            );
            worst = worst.max((ours / real - 1.0).abs());
        }
    }
    assert!(worst < OFF, "off by {:.0} %: is the machine quiet?", worst * 100.0);
}
