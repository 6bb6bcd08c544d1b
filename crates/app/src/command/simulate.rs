//! `localrig simulate`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use localrig_estimate::context::{KV_TYPES, KvType};
use localrig_estimate::run::Link;
use localrig_facts::Catalog;
use localrig_facts::machine::{Machine, parse_machine};
use localrig_facts::unit::{BytesPerSec, Seconds};
use localrig_plan::placement::{Place, parse_places};
use localrig_plan::scenario::{Arranged, Arrangement, arrange};
use localrig_plan::workload::workload_of;
use localrig_report::simulate::{SimulateAnswer, SweepPoint, TakenMemory, csv, page};
use localrig_report::timeline::timeline;
use localrig_simulate::answer::{Options, simulate};
use localrig_simulate::record::Record;
use localrig_simulate::run::run as run_once;
use localrig_simulate::sharing::Sharing;
use localrig_simulate::time::Nanos;
use localrig_simulate::workload::Workload;

use crate::failure::{Failure, INPUT};
use crate::output::Output;
use crate::{amount, command};

/// Steps that a trace keeps.
const TRACE_STEPS: usize = 100_000;
/// What the picture shows.
const PICTURE: Seconds = Seconds::new(120.0);
/// Replicates for each point of a concurrency curve.
const SWEEP_REPLICATES: u32 = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine, for example "2x RTX 5090" or "Mac Studio M3 Ultra 256 GB"
    #[arg(long, value_name = "MACHINE")]
    on: String,
    /// Which model serves which role on which devices: ROLE=MODEL[:FORMAT[:ENGINE[:KV]]][@DEVICES], with
    /// commas between them. DEVICES count from 0: `0`, `0+1` (layers spread over both), `0x1`
    /// (every layer cut), `0/1` (a copy on each); all when absent
    #[arg(long, value_name = "PLACES")]
    place: String,
    /// Workload: a file, or a shipped one (batch, chat-team, home-office,
    /// sharegpt, or a published trace)
    #[arg(long, value_name = "FILE", conflicts_with = "require")]
    workload: Option<String>,
    /// Requirement instead: its roles, streams and contexts, with the habits of the home office
    #[arg(long, value_name = "FILE", env = "LOCALRIG_REQUIRE")]
    require: Option<String>,
    /// Engine of places that name none
    #[arg(long, value_name = "ENGINE", default_value = "llama.cpp")]
    engine: String,
    /// Type of the KV cache
    #[arg(long, value_name = "TYPE", value_parser = kv_type, default_value = "f16")]
    kv_type: KvType,
    /// Engines on one device run at the same time (NVIDIA MPS) instead of in turns
    #[arg(long)]
    mps: bool,
    /// Time of a small all-reduce between devices that cut layers, in microseconds
    #[arg(long, value_name = "US", value_parser = amount::speed, requires = "link_gb_per_s")]
    link_latency_us: Option<f64>,
    /// Bandwidth of that link in GB/s
    #[arg(long, value_name = "GB/S", value_parser = amount::speed, requires = "link_latency_us")]
    link_gb_per_s: Option<f64>,
    /// Concurrency curve: the first role with this many streams, for example streams=1..32
    #[arg(long, value_name = "streams=FROM..TO", value_parser = streams)]
    sweep: Option<[u32; 2]>,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// Runs with other draws of the workload
    #[arg(long, value_name = "N", value_parser = amount::count, default_value = "20")]
    replicates: u64,
    /// Write the first run as a trace for Perfetto or chrome://tracing
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write a picture of the first two minutes of the first run
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn kv_type(text: &str) -> Result<KvType, String> {
    KvType::of(text)
        .ok_or_else(|| format!("known types: {}", KV_TYPES.map(|kind| kind.name).join(", ")))
}

fn streams(text: &str) -> Result<[u32; 2], String> {
    let range = text.strip_prefix("streams=").and_then(|range| {
        let (from, to) = range.split_once("..")?;
        Some([from.parse().ok()?, to.parse().ok()?])
    });
    range
        .filter(|[from, to]| 0 < *from && from <= to && *to <= 1_024)
        .ok_or_else(|| "must be like `streams=1..32`, at most 1024".to_owned())
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let machine = parse_machine(&catalog, &args.on)?;
    let places =
        parse_places(&args.place).map_err(|error| Failure::new(INPUT, error.to_string()))?;
    let workload = workload(&catalog, args)?;
    let Arranged { scenario, taken, notes } =
        arranged(&catalog, &machine, &workload, &places, args)?;
    let replicates = u32::try_from(args.replicates).unwrap_or(u32::MAX);
    let options = Options { seed: args.seed, replicates, ..Options::default() };
    let simulation = simulate(&scenario, &workload, options);
    let sweep = args.sweep.map_or(Ok(Vec::new()), |range| {
        sweep(&catalog, &machine, &workload, &places, args, range)
    })?;
    if args.trace.is_some() || args.svg.is_some() {
        let from = Nanos::of(Seconds::new(workload.run.warm_up_s));
        let record = Record::new(from, TRACE_STEPS);
        let run = run_once(&scenario, &workload, args.seed, 0, Some(record));
        let names: Vec<String> = scenario.servers.iter().map(|one| one.label.clone()).collect();
        let roles: Vec<String> = workload.roles.iter().map(|role| role.name.clone()).collect();
        if let Some(record) = run.record {
            if let Some(path) = &args.trace {
                let trace = record.chrome_trace(&names, &roles);
                localrig_world::write_text(path, &format!("{trace}\n"))?;
            }
            if let Some(path) = &args.svg {
                localrig_world::write_text(path, &timeline(&record, PICTURE, &names, &roles))?;
            }
        }
    }
    let memory = scenario.devices.iter().zip(taken).map(|(device, taken_bytes)| TakenMemory {
        device: device.name.clone(),
        taken_bytes,
        usable_bytes: device.usable,
    });
    let (machine, memory) = (machine.name.clone(), memory.collect());
    let answer = SimulateAnswer { machine, memory, simulation, sweep, notes };
    output.answer(&answer, page, |answer| csv(answer).map_err(Failure::bug))
}

fn arranged<'a>(
    catalog: &'a Catalog,
    machine: &Machine<'a>,
    workload: &Workload,
    places: &[Place],
    args: &Args,
) -> Result<Arranged, Failure> {
    let link =
        args.link_latency_us.zip(args.link_gb_per_s).map(|(latency, bandwidth)| Link::Measured {
            latency: Seconds::us(latency),
            bandwidth: BytesPerSec::gb_per_s(bandwidth),
        });
    let constants = catalog.machine_constants()?;
    let arrangement = Arrangement {
        engine: &args.engine,
        kv: args.kv_type,
        faster_kv: true,
        sharing: if args.mps { Sharing::mps(constants) } else { Sharing::time_slice(constants) },
        link,
    };
    Ok(arrange(catalog, machine, workload, places, arrangement)?)
}

/// The concurrency curve of the first role.
fn sweep(
    catalog: &Catalog,
    machine: &Machine<'_>,
    workload: &Workload,
    places: &[Place],
    args: &Args,
    [from, to]: [u32; 2],
) -> Result<Vec<SweepPoint>, Failure> {
    if workload.roles[0].streams().is_none() {
        let role = &workload.roles[0].name;
        return Err(Failure::new(INPUT, format!("role `{role}` has no streams to be varied"))
            .hint("its requests come by themselves; use a workload whose first role waits for answers"));
    }
    let mut points = Vec::new();
    for streams in steps(from, to) {
        let mut varied = workload.clone();
        varied.roles[0].set_streams(streams);
        let options = Options { seed: args.seed, replicates: SWEEP_REPLICATES, models: 0 };
        let point = match arranged(catalog, machine, &varied, places, args) {
            Ok(arranged) => {
                let answer = simulate(&arranged.scenario, &varied, options);
                SweepPoint { streams, role: answer.roles.into_iter().next(), problem: None }
            }
            Err(failure) => {
                SweepPoint { streams, role: None, problem: Some(failure.message().to_owned()) }
            }
        };
        points.push(point);
    }
    Ok(points)
}

/// 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, … as far as they lie in the range, and its ends.
fn steps(from: u32, to: u32) -> Vec<u32> {
    let mut steps: Vec<u32> = (0..12)
        .flat_map(|power| [1_u32 << power, 3 << power])
        .chain([from, to])
        .filter(|one| (from..=to).contains(one))
        .collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// The workload named, or that of the requirement named, or the home office.
fn workload(catalog: &Catalog, args: &Args) -> Result<Workload, Failure> {
    if let Some(given) = &args.workload {
        return named(given);
    }
    let habits = habits(None)?;
    match &args.require {
        Some(given) => {
            let requirement = command::requirement(catalog, Some(given))?;
            let workload = workload_of(&requirement, &habits);
            workload.check(given)?;
            Ok(workload)
        }
        None => Ok(habits),
    }
}

/// What roles do, by the workload named, or as at home.
pub(crate) fn habits(given: Option<&str>) -> Result<Workload, Failure> {
    named(given.unwrap_or("home-office"))
}

fn named(given: &str) -> Result<Workload, Failure> {
    if let Some(text) = localrig_world::workload(given) {
        let path = format!("workloads/{given}.toml");
        let names = Workload::traces(&path, text)?;
        let traces = names.into_iter().filter_map(|name| {
            let text = localrig_world::workload_file(&name)?.to_owned();
            Some((name, text))
        });
        return Ok(Workload::parse(&path, text, &traces.collect())?);
    }
    let path = Path::new(given);
    if path.extension().is_none() && !given.contains('/') {
        let shipped = localrig_world::workloads().join(", ");
        return Err(Failure::new(INPUT, format!("no workload called `{given}`"))
            .hint(format!("shipped ones: {shipped}; or give the path of a file")));
    }
    let text = localrig_world::read_text(path)?;
    let mut traces = BTreeMap::new();
    for name in Workload::traces(given, &text)? {
        // A trace lies beside the workload that names it.
        let file = path.parent().unwrap_or(Path::new("")).join(&name);
        traces.insert(name, localrig_world::read_text(&file)?);
    }
    Ok(Workload::parse(given, &text, &traces)?)
}
