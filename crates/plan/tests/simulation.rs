//! The simulator against served runs that others measured: `docs/simulation.md`.
//!
//! `LOCALRIG_UPDATE=1 cargo nextest run -p localrig-plan --test simulation` writes the page anew.
#![expect(clippy::disallowed_methods, reason = "the test reads rows and writes the page")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use localrig_estimate::calibration::Calibration;
use localrig_estimate::context::KvType;
use localrig_estimate::fit::{Observations, Problem, STEPS, Solution};
use localrig_estimate::parameter::Parameter;
use localrig_facts::Catalog;
use localrig_facts::document::from_csv;
use localrig_facts::machine::{PcieSlot, machine_with_memory, parse_machine};
use localrig_facts::measured::SpeedRow;
use localrig_facts::unit::Seconds;
use localrig_plan::placement::{Devices, Place};
use localrig_plan::scenario::{Arrangement, arrange};
use localrig_simulate::engine::Engine;
use localrig_simulate::histogram::Histogram;
use localrig_simulate::run::{Run, run};
use localrig_simulate::scenario::Scenario;
use localrig_simulate::sharing::Sharing;
use localrig_simulate::workload::Workload;
use rayon::prelude::*;
use serde::Deserialize;

/// A row of `measured/concurrency.csv`; what is there for people is left aside.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    hardware: String,
    memory_gb: Option<f64>,
    tensor: u32,
    replicas: u32,
    engine: String,
    model: String,
    format: String,
    kv_type: String,
    slots: Option<u32>,
    prompt_cached: Option<u32>,
    pcie_generation: Option<f64>,
    pcie_lanes: Option<u32>,
    prompt_tokens: u32,
    depth_tokens: u32,
    output_tokens: u32,
    streams: u32,
    basis: String,
    total_tok_per_s: f64,
    itl_ms: Option<f64>,
    single_depth_tokens: Option<u32>,
    single_tok_per_s: Option<f64>,
    single_prompt_tokens: Option<u32>,
    single_prompt_tok_per_s: Option<f64>,
    source: String,
}

/// A row of `measured/open_loop.csv`.
#[derive(Clone, Debug, Deserialize)]
struct OpenRow {
    test: String,
    model: String,
    format: String,
    rate_per_s: f64,
    requests: u32,
    burstiness: f64,
    most_at_once: Option<u32>,
    prompt_tokens: f64,
    output_tokens: f64,
    output_tok_per_s: f64,
    ttft_p50_ms: f64,
    mean_gap_p50_ms: f64,
    single_depth_tokens: Option<u32>,
    single_tok_per_s: Option<f64>,
    single_prompt_tokens: Option<u32>,
    single_prompt_tok_per_s: Option<f64>,
}

/// A row of `measured/trace_*.csv`.
#[derive(Clone, Copy, Debug, Deserialize)]
struct TracedRow {
    arrival_s: f64,
    prompt_tokens: u32,
    output_tokens: u32,
    ttft_s: f64,
    mean_gap_ms: f64,
}

/// What is served and where.
struct Stack<'r> {
    hardware: &'r str,
    memory_gb: Option<f64>,
    tensor: u32,
    replicas: u32,
    engine: &'r str,
    model: &'r str,
    format: &'r str,
    kv_type: &'r str,
    slots: Option<u32>,
    pcie: PcieSlot,
}

/// What a run of one stream on that stack gave: tokens in the context and tok/s, tokens of the
/// prompt and tok/s.
#[derive(Clone, Copy, Debug)]
struct Single {
    decode: Option<(u32, f64)>,
    prompt: Option<(u32, f64)>,
}

/// Deviations of one row: simulated by measured, less one.
#[derive(Clone, Debug, Default)]
struct Deviation {
    throughput: Option<f64>,
    gap: Option<f64>,
    ttft: Option<f64>,
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/simulation.md");

fn rows<T: serde::de::DeserializeOwned>(catalog: &Catalog, path: &str) -> Vec<T> {
    let file = catalog.file(path).expect("a file of the catalog");
    from_csv(path, &file.text).expect("rows of the known shape")
}

fn workload(text: &str) -> Workload {
    Workload::parse("row", text, &BTreeMap::new()).expect("a workload that makes sense")
}

/// The stack of a row: step times as the speed model has them, or with two constants from the run
/// of one stream.
fn scenario(
    catalog: &Catalog,
    stack: &Stack<'_>,
    workload: &Workload,
    single: Option<Single>,
) -> Option<Scenario> {
    let (tensor, replicas) = (stack.tensor.max(1), stack.replicas.max(1));
    // Copies that are cut themselves are one copy with its part of the streams.
    let copies = if tensor > 1 { 1 } else { replicas };
    let mut machine = machine_with_memory(catalog, stack.hardware, stack.memory_gb).ok()?;
    machine.devices[0].count = tensor.max(copies);
    machine.devices[0].slot = stack.pcie;
    let devices = if tensor > 1 {
        Devices::Tensor((0..tensor).collect())
    } else {
        Devices::Replicas((0..copies).collect())
    };
    let place = Place {
        role: "load".to_owned(),
        model: stack.model.to_owned(),
        format: Some(stack.format.to_owned()),
        engine: Some(stack.engine.to_owned()),
        kv: None,
        devices,
    };
    let kv = KvType::of(stack.kv_type)?;
    let arrangement = Arrangement {
        engine: stack.engine,
        kv,
        faster_kv: true,
        sharing: Sharing::time_slice(catalog.machine_constants().ok()?),
        link: None,
    };
    let mut scenario = arrange(catalog, &machine, workload, &[place], arrangement).ok()?.scenario;
    for server in &mut scenario.servers {
        if let (Engine::Llama(options), Some(slots)) = (&mut server.engine, stack.slots) {
            options.slots = slots;
        }
    }
    let Some(single) = single else { return Some(scenario) };
    let (depth, speed) = single.decode?;
    for server in &mut scenario.servers {
        let decode = 1.0 / speed / server.steps.decode(depth, 1).get();
        let prefill = single.prompt.map_or(decode, |(tokens, speed)| {
            let simulated = server.steps.prompt(tokens, server.engine.prompt_step());
            f64::from(tokens) / speed / simulated.get()
        });
        server.steps = server.steps.calibrated(decode, prefill);
    }
    Some(scenario)
}

fn single(decode: (Option<u32>, Option<f64>), prompt: (Option<u32>, Option<f64>)) -> Single {
    let some = |tokens: &u32| *tokens > 0;
    Single { decode: decode.0.zip(decode.1), prompt: prompt.0.filter(some).zip(prompt.1) }
}

/// The catalog as it would be without the rows of a group in the fit.
fn without(catalog: &Catalog, problem: &Problem<'_>, full: &Solution, group: &str) -> Catalog {
    const FITTED: &str = "calibration/fitted.toml";
    let fitted = toml::to_string(&problem.fitted_without(full, group)).expect("a document");
    Catalog::from_files(catalog.files().map(|(path, file)| {
        let mut file = file.clone();
        if path == FITTED {
            file.text = fitted.clone().into();
        }
        (path.to_owned(), file)
    }))
}

/// Catalogs by group, each without what that group measured.
fn held_out(catalog: &Catalog, groups: BTreeSet<String>) -> BTreeMap<String, Catalog> {
    let rows: Vec<SpeedRow> = rows(catalog, "measured/speed.csv");
    let observations = Observations::new(catalog, &rows);
    let priors = catalog.priors().expect("priors");
    let problem = Problem::new(priors, &observations).expect("a problem");
    let full = problem.solve(&vec![0.0; problem.unknowns()], &|_| false, STEPS);
    let of = |group: String| (group.clone(), without(catalog, &problem, &full, &group));
    groups.into_iter().collect::<Vec<_>>().into_par_iter().map(of).collect()
}

fn deviation(catalog: &Catalog, row: &Row, calibrated: bool) -> Option<Deviation> {
    /// Runs of requests that start together: their answers end where they will.
    const RUNS: u64 = 5;
    let wave = row.basis == "wave";
    // A loop goes on for a while; a tool that waits for all starts each stream once.
    let waves = if wave { 1 } else { 2 };
    let output = if wave {
        let mean = answer_tokens(catalog);
        format!("{{ exponential_mean = {mean}, most = {} }}", row.output_tokens)
    } else {
        format!("{{ fixed = {} }}", row.output_tokens)
    };
    let copies = if row.tensor > 1 { row.replicas.max(1) } else { 1 };
    let streams = (row.streams / copies).max(1);
    let whole = row.prompt_tokens.max(row.depth_tokens).max(1);
    // The same prompt again and again is a prefix that all requests share.
    let prompt = if row.prompt_cached == Some(1) { 1 } else { whole };
    let system = match whole - prompt {
        0 => String::new(),
        shared => format!("system_tokens = {shared}\n"),
    };
    let workload = workload(&format!(
        "name = \"row\"\n[run]\n[[role]]\nname = \"load\"\ncontext_tokens = {}\n{system}[role.closed]\n\
         streams = {streams}\nthink_s = {{ fixed = 0 }}\nprompt_tokens = {{ fixed = {prompt} }}\n\
         output_tokens = {output}\nrequests = {}\n",
        whole + row.output_tokens,
        streams * waves,
    ));
    let stack = Stack {
        hardware: &row.hardware,
        memory_gb: row.memory_gb,
        tensor: row.tensor,
        replicas: row.replicas,
        engine: &row.engine,
        model: &row.model,
        format: &row.format,
        kv_type: &row.kv_type,
        slots: row.slots,
        pcie: PcieSlot { generation: row.pcie_generation, lanes: row.pcie_lanes },
    };
    let single = calibrated.then(|| {
        single(
            (row.single_depth_tokens, row.single_tok_per_s),
            (row.single_prompt_tokens, row.single_prompt_tok_per_s),
        )
    });
    let scenario = scenario(catalog, &stack, &workload, single)?;
    if row.basis == "decode" {
        let depth = row.depth_tokens + row.output_tokens / 2;
        let step = scenario.servers[0].steps.decode(depth, streams).get();
        let throughput = Some(f64::from(streams) / step / row.total_tok_per_s - 1.0);
        return Some(Deviation { throughput, ..Deviation::default() });
    }
    if wave {
        let runs: Option<Vec<[f64; 2]>> =
            (0..RUNS).map(|index| one_wave(&run(&scenario, &workload, 1, index, None))).collect();
        let runs = runs?;
        let mean =
            |which: usize| runs.iter().map(|one| one[which]).sum::<f64>() / runs.len() as f64;
        return Some(Deviation {
            throughput: Some(mean(0) / row.total_tok_per_s - 1.0),
            gap: row.itl_ms.map(|measured| 1e3 / mean(1) / measured - 1.0),
            ttft: None,
        });
    }
    let run = run(&scenario, &workload, 1, 0, None);
    let role = &run.meter.roles[0];
    if role.refused > 0 {
        return None;
    }
    let total = f64::from(copies) * role.output_tokens as f64 / run.window.seconds().get();
    // This source's figure is the median of all gaps, the others' the mean speed of answers.
    let median_of_gaps = row.source.starts_with("LottoLottoLotto");
    let gap = if median_of_gaps { role.gaps.quantile(0.5) } else { mean_speed(&role.mean_gaps) };
    Some(Deviation {
        throughput: Some(total / row.total_tok_per_s - 1.0),
        gap: row.itl_ms.zip(gap).map(|(measured, gap)| gap.to_ms() / measured - 1.0),
        ttft: None,
    })
}

/// Tokens after which an answer ends by itself.
fn answer_tokens(catalog: &Catalog) -> f64 {
    let calibration = Calibration::prior(catalog.priors().expect("priors")).expect("constants");
    calibration.general()[Parameter::AnswerTokens]
}

/// What llama-benchy reports of requests that start together: tokens after the first ones over the time
/// from the first of all to the last, and the mean of the requests' own speeds. `None` when one was refused.
fn one_wave(run: &Run) -> Option<[f64; 2]> {
    let role = &run.meter.roles[0];
    let first = role.ttft.quantile(0.0)?.get();
    let after = role.output_tokens as f64 - role.answered as f64;
    let own = 1.0 / mean_speed(&role.mean_gaps)?.get();
    (role.refused == 0).then_some([after / (run.window.seconds().get() - first), own])
}

/// The gap whose speed is the mean of all speeds: slow answers count less than in a mean of gaps.
fn mean_speed(gaps: &Histogram) -> Option<Seconds> {
    const PARTS: u32 = 100;
    let speeds: Option<Vec<f64>> = (0..PARTS)
        .map(|part| gaps.quantile((f64::from(part) + 0.5) / f64::from(PARTS)))
        .map(|gap| gap.map(|gap| 1.0 / gap.get()))
        .collect();
    speeds.map(|speeds| Seconds::new(f64::from(PARTS) / speeds.iter().sum::<f64>()))
}

fn open_deviation(catalog: &Catalog, row: &OpenRow, calibrated: bool) -> Option<Deviation> {
    // Lengths are known by their means and, roughly, their range.
    let even = |mean: f64| format!("{{ low = {:.0}, high = {:.0} }}", mean * 0.1, mean * 1.9);
    let arrivals = match row.most_at_once {
        // More come than can be answered, so that as many as the tool allows are always there.
        Some(most) => format!("[role.closed]\nstreams = {most}\nthink_s = {{ fixed = 0 }}\n"),
        None => format!(
            "[role.open]\narrival = \"gamma\"\nburstiness = {}\nrate_per_s = {}\n",
            row.burstiness, row.rate_per_s
        ),
    };
    let workload = workload(&format!(
        "name = \"row\"\n[run]\n[[role]]\nname = \"load\"\ncontext_tokens = {:.0}\n{arrivals}\
         requests = {}\nprompt_tokens = {}\noutput_tokens = {}\n",
        (row.prompt_tokens + row.output_tokens) * 2.0,
        row.requests,
        even(row.prompt_tokens),
        even(row.output_tokens),
    ));
    let stack = Stack {
        hardware: "dgx-spark",
        memory_gb: Some(128.0),
        tensor: 1,
        replicas: 1,
        engine: "vllm",
        model: &row.model,
        format: &row.format,
        kv_type: "fp8",
        slots: None,
        pcie: PcieSlot::default(),
    };
    let single = calibrated.then(|| {
        single(
            (row.single_depth_tokens, row.single_tok_per_s),
            (row.single_prompt_tokens, row.single_prompt_tok_per_s),
        )
    });
    let scenario = scenario(catalog, &stack, &workload, single)?;
    let run = run(&scenario, &workload, 1, 0, None);
    let role = &run.meter.roles[0];
    let total = role.output_tokens as f64 / run.window.seconds().get();
    // Beyond what the machine can do, waiting times say nothing but how long the test was.
    let saturated = row.output_tok_per_s < 0.8 * row.rate_per_s * row.output_tokens;
    let ttft = role.ttft.quantile(0.5).filter(|_| !saturated);
    Some(Deviation {
        throughput: Some(total / row.output_tok_per_s - 1.0),
        gap: role.mean_gaps.quantile(0.5).map(|gap| gap.to_ms() / row.mean_gap_p50_ms - 1.0),
        ttft: ttft.map(|ttft| ttft.to_ms() / row.ttft_p50_ms - 1.0),
    })
}

/// Median of the magnitudes; `None` when there are none.
fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut all: Vec<f64> = values.flatten().map(f64::abs).collect();
    all.sort_by(f64::total_cmp);
    Some(all[all.len().checked_sub(1)? / 2])
}

fn line(out: &mut String, name: &str, both: &[&[Option<Deviation>; 2]]) {
    let percent = |one: Option<f64>| {
        one.map_or_else(|| "-".to_owned(), |one| format!("{:.0} %", one * 100.0))
    };
    let cells: Vec<String> = [0, 1]
        .into_iter()
        .flat_map(|way| {
            let known = || both.iter().filter_map(move |both| both[way].as_ref());
            [
                percent(median(known().map(|one| one.throughput))),
                percent(median(known().map(|one| one.gap))),
                percent(median(known().map(|one| one.ttft))),
            ]
        })
        .collect();
    let count = |way: usize| both.iter().filter(|both| both[way].is_some()).count();
    let _ = writeln!(out, "| {name} | {} of {} | {} |", count(0), count(1), cells.join(" | "));
}

const HEAD: &str = "| | rows | throughput | gap | first token | throughput | gap | first token |\n\
                    |---|---:|---:|---:|---:|---:|---:|---:|\n";

#[test]
fn the_page_says_how_far_the_simulator_is_off() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut page = String::from(include_str!("simulation.md"));
    let reached = closed_loops(&catalog, &mut page);
    open_loops(&catalog, &mut page);
    page.push_str("\n## Traces\n\n| | | measured | simulated | off |\n|---|---|---:|---:|---:|\n");
    let llama = "meta-llama/llama-3.1-8b-instruct";
    trace(&catalog, &mut page, "Llama 3.1 8B", llama, "llama-3.1-8b", 1);
    let qwen = "qwen/qwen3-30b-a3b-instruct-2507";
    trace(&catalog, &mut page, "Qwen3 30B A3B", qwen, "qwen3-30b-a3b", 2);

    if std::env::var_os("LOCALRIG_UPDATE").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(written == page, "docs/simulation.md is not what this run gives: LOCALRIG_UPDATE=1");
    assert!(reached < 0.20, "2 to 16 streams, calibrated: {reached}");
}

/// Writes the table of closed loops; the median deviation at 2 to 16 streams.
fn closed_loops(catalog: &Catalog, page: &mut String) -> f64 {
    let all: Vec<Row> = rows(catalog, "measured/concurrency.csv");
    let group_of = |row: &Row| format!("{} {}", row.source, row.hardware);
    let without = held_out(catalog, all.iter().map(group_of).collect());
    let both: Vec<[Option<Deviation>; 2]> = all
        .par_iter()
        .map(|row| {
            let catalog = &without[&group_of(row)];
            [true, false].map(|calibrated| deviation(catalog, row, calibrated))
        })
        .collect();
    let of = |keep: &dyn Fn(&Row) -> bool| -> Vec<&[Option<Deviation>; 2]> {
        all.iter().zip(&both).filter(|(row, _)| keep(row)).map(|(_, both)| both).collect()
    };
    page.push_str("\n## Closed loops\n\n");
    page.push_str(HEAD);
    line(page, "all", &of(&|_| true));
    let few = of(&|row| row.streams <= 16);
    line(page, "2 to 16 streams", &few);
    line(page, "2 to 64 streams", &of(&|row| row.streams <= 64));
    line(page, "more than 64 streams", &of(&|row| row.streams > 64));
    let group = |row: &Row| {
        (row.hardware.clone(), row.engine.clone(), row.tensor, row.replicas, row.source.clone())
    };
    let mut groups: Vec<_> = all.iter().map(group).collect();
    groups.sort();
    groups.dedup();
    for one in groups {
        let (hardware, engine, tensor, replicas, source) = &one;
        let several = match (tensor, replicas) {
            (1, 1) => String::new(),
            (ways, 1) => format!(", cut over {ways}"),
            (1, copies) => format!(", {copies} copies"),
            (ways, copies) => format!(", {copies} copies cut over {ways}"),
        };
        let name = format!("{hardware}, {engine}{several} ({source})");
        line(page, &name, &of(&|row| group(row) == one));
    }
    median(few.iter().filter_map(|both| both[0].as_ref()).map(|one| one.throughput))
        .unwrap_or(f64::INFINITY)
}

fn open_loops(catalog: &Catalog, page: &mut String) {
    let all: Vec<OpenRow> = rows(catalog, "measured/open_loop.csv");
    let group = "djangodevreng/dgx-spark-benchmarks dgx-spark".to_owned();
    let without = held_out(catalog, BTreeSet::from([group]));
    let catalog = without.values().next().expect("a group");
    let both: Vec<[Option<Deviation>; 2]> = all
        .par_iter()
        .map(|row| [true, false].map(|calibrated| open_deviation(catalog, row, calibrated)))
        .collect();
    page.push_str("\n## Open loops\n\n");
    page.push_str(HEAD);
    let mut tests: Vec<&str> = all.iter().map(|row| row.test.as_str()).collect();
    tests.sort_unstable();
    tests.dedup();
    for test in std::iter::once(None).chain(tests.into_iter().map(Some)) {
        let kept: Vec<_> = all
            .iter()
            .zip(&both)
            .filter(|(row, _)| test.is_none_or(|test| row.test == test))
            .map(|(_, both)| both)
            .collect();
        line(page, test.unwrap_or("all"), &kept);
    }
}

/// A trace of 300 requests at 10 a second on RTX PRO 6000, vLLM 0.19 with at most 128 sequences and
/// 2,048 tokens a step, without any measurement of that stack.
fn trace(catalog: &Catalog, page: &mut String, name: &str, model: &str, file: &str, copies: u32) {
    let rows: Vec<TracedRow> = rows(catalog, &format!("measured/trace_{file}.csv"));
    let mut csv = "arrival_s,prompt_tokens,output_tokens\n".to_owned();
    for row in &rows {
        let _ = writeln!(csv, "{},{},{}", row.arrival_s, row.prompt_tokens, row.output_tokens);
    }
    let text = "name = \"trace\"\n[run]\n[[role]]\nname = \"load\"\ncontext_tokens = 32768\n\
                [role.open]\narrival = \"trace\"\ntrace = \"t.csv\"\n";
    let traces = BTreeMap::from([("t.csv".to_owned(), csv)]);
    let workload = Workload::parse("trace", text, &traces).expect("a workload that makes sense");
    let machine = format!("{copies}x RTX PRO 6000 Workstation");
    let machine = parse_machine(catalog, &machine).expect("a machine");
    let place = Place {
        role: "load".to_owned(),
        model: model.to_owned(),
        format: Some("safetensors-bf16".to_owned()),
        engine: Some("vllm".to_owned()),
        kv: None,
        devices: Devices::Replicas((0..copies).collect()),
    };
    let arrangement = Arrangement {
        engine: "vllm",
        kv: KvType::F16,
        faster_kv: true,
        sharing: Sharing::time_slice(catalog.machine_constants().expect("it is in the catalog")),
        link: None,
    };
    let mut scenario =
        arrange(catalog, &machine, &workload, &[place], arrangement).expect("it fits").scenario;
    for server in &mut scenario.servers {
        if let Engine::Vllm(options) = &mut server.engine {
            (options.sequences, options.budget) = (128, 2_048);
        }
    }
    let run = run(&scenario, &workload, 1, 0, None);
    let role = &run.meter.roles[0];
    let sorted = |of: fn(&TracedRow) -> f64| {
        let mut all: Vec<f64> = rows.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let (ttft, gaps) = (sorted(|row| row.ttft_s * 1e3), sorted(|row| row.mean_gap_ms));
    let at = |all: &[f64], part: f64| all[((all.len() - 1) as f64 * part) as usize];
    let mut say = |what: &str, measured: f64, simulated: Option<Seconds>| {
        let simulated = simulated.map_or(f64::NAN, Seconds::to_ms);
        let off = (simulated / measured - 1.0) * 100.0;
        let _ = writeln!(
            page,
            "| {name} | {what} | {measured:.0} ms | {simulated:.0} ms | {off:+.0} % |"
        );
    };
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    say("first token, mean", mean(&ttft), role.ttft.mean());
    say("first token, median", at(&ttft, 0.5), role.ttft.quantile(0.5));
    say("first token, p90", at(&ttft, 0.9), role.ttft.quantile(0.9));
    say("mean gap, mean", mean(&gaps), role.mean_gaps.mean());
    say("mean gap, median", at(&gaps, 0.5), role.mean_gaps.quantile(0.5));
    say("mean gap, p90", at(&gaps, 0.9), role.mean_gaps.quantile(0.9));
}
