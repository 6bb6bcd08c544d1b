//! What happens when a workload runs on a machine.

use localrig_facts::unit::{Bytes, Seconds, TokensPerSec};
use localrig_simulate::answer::{Figure, RoleAnswer, SimulationAnswer};
use serde::Serialize;

use crate::number::{count, two_digits};
use crate::page::{Page, Table, Text};

/// A workload on a machine, as an answer.
#[derive(Clone, Debug, Serialize)]
pub struct SimulateAnswer {
    /// The machine.
    pub machine: String,
    /// What the models take, by device.
    pub memory: Vec<TakenMemory>,
    /// What the simulation says.
    pub simulation: SimulationAnswer,
    /// The concurrency curve, when one was asked for.
    pub sweep: Vec<SweepPoint>,
    /// What was decided without being asked, and assumed without being known.
    pub notes: Vec<String>,
}

/// Memory of a device with every model on it loaded.
#[derive(Clone, Debug, Serialize)]
pub struct TakenMemory {
    /// The device.
    pub device: String,
    /// What models, contexts and buffers take of it.
    pub taken_bytes: Bytes,
    /// What they can have.
    pub usable_bytes: Bytes,
}

/// A point of the concurrency curve.
#[derive(Clone, Debug, Serialize)]
pub struct SweepPoint {
    /// Streams of the first role.
    pub streams: u32,
    /// What its streams get; absent when it does not fit.
    pub role: Option<RoleAnswer>,
    /// Why it does not.
    pub problem: Option<String>,
}

/// The page of a simulation.
pub fn page(answer: &SimulateAnswer) -> Page {
    let simulation = &answer.simulation;
    let mut page = Page::default();
    page.heading(1, format!("{} on {}", simulation.workload, answer.machine));
    page.paragraph(summary(simulation));
    page.list(answer.memory.iter().map(memory).collect());
    roles(&mut page, simulation);
    machine(&mut page, simulation);
    if !answer.sweep.is_empty() {
        page.heading(2, "Concurrency");
        page.table(sweep(&answer.sweep));
    }
    page.list(answer.notes.iter().map(|note| note.as_str().into()).collect());
    page.paragraph(format!(
        "{} replicates of {} s and {} draws of the speed model's errors, seed {}. Ranges hold 80 % \
         of the runs: the first is what differs from hour to hour, the second how far off the speed \
         model may be.",
        simulation.replicates,
        two_digits(simulation.window_s.get()),
        simulation.model_draws,
        simulation.seed
    ));
    page
}

fn memory(one: &TakenMemory) -> Text {
    let [taken, usable] = [one.taken_bytes, one.usable_bytes].map(Bytes::to_gib);
    format!("memory: {taken:.1} of {usable:.1} GiB usable on {}", one.device).into()
}

fn summary(simulation: &SimulationAnswer) -> Text {
    let mut text = Text::default();
    for (index, role) in simulation.roles.iter().enumerate() {
        text = text.plain(if index == 0 { "While everything runs, " } else { "; " });
        text = match (&role.saturated, &role.tok_per_s) {
            (Some(saturated), _) => text.strong(format!(
                "{} is saturated: {} requests a second come, {} can be answered",
                role.role,
                two_digits(saturated.offered_per_s),
                two_digits(saturated.sustainable_per_s)
            )),
            (None, Some(speed)) => text.strong(format!(
                "{} gets {} tok/s per stream",
                role.role,
                two_digits(speed.value.get())
            )),
            (None, None) => text.plain(format!("{} answers nothing", role.role)),
        };
    }
    text.plain(".")
}

fn roles(page: &mut Page, simulation: &SimulationAnswer) {
    page.heading(2, "Roles");
    let mut table = Table::new(&[
        "role",
        ">streams",
        ">tok/s per stream",
        ">slowest 5 %",
        ">tok/s in all",
        ">first token s",
        ">p95",
        ">gap ms",
        ">p99",
        ">cached",
        ">within limits",
    ]);
    for role in &simulation.roles {
        let saturated = role.saturated.is_some();
        let time = |time: Option<Seconds>| match time {
            _ if saturated => "saturated".to_owned(),
            Some(time) => two_digits(time.get()),
            None => "-".to_owned(),
        };
        let ms = |time: Option<Seconds>| {
            time.map_or_else(|| "-".to_owned(), |time| two_digits(time.to_ms()))
        };
        let speed = |speed: Option<TokensPerSec>| {
            speed.map_or_else(|| "-".to_owned(), |speed| two_digits(speed.get()))
        };
        table.row([
            role.role.clone().into(),
            role.streams.map_or_else(|| "open".to_owned(), |one| one.to_string()).into(),
            figure(role.tok_per_s.as_ref()).into(),
            speed(role.tok_per_s_p5).into(),
            two_digits(role.total_tok_per_s.value.get()).into(),
            time(role.ttft_s.p50).into(),
            time(role.ttft_s.p95).into(),
            ms(role.itl_s.p50).into(),
            ms(role.itl_s.p99).into(),
            share(role.cache_hit_share).into(),
            in_time(role.goodput_share).into(),
        ]);
    }
    page.table(table);
    let refused: Vec<Text> = simulation
        .roles
        .iter()
        .filter(|role| role.refused > 0)
        .map(|role| {
            format!(
                "{}: {} requests do not fit the cache and were given up",
                role.role, role.refused
            )
            .into()
        })
        .collect();
    page.list(refused);
}

fn machine(page: &mut Page, simulation: &SimulationAnswer) {
    page.heading(2, "Machine");
    let mut table =
        Table::new(&["engine", "devices", ">cache used", ">of tokens", ">cut off", ">loads"]);
    for server in &simulation.servers {
        let tokens = server.cache_tokens.max(1) as f64;
        table.row([
            server.server.clone().into(),
            server.devices.join(" + ").into(),
            share(Some(server.cache_high_water_tokens as f64 / tokens)).into(),
            count(server.cache_tokens).into(),
            two_digits(server.preemptions).into(),
            two_digits(server.loads).into(),
        ]);
    }
    page.table(table);
    let devices = simulation.devices.iter().enumerate().map(|(index, device)| {
        let power = match (device.power_w, device.busy_w) {
            (Some(mean), _) => format!(
                "{} W on average {}",
                two_digits(mean),
                if device.at_wall { "at the wall" } else { "(the accelerator alone)" }
            ),
            (None, Some(busy)) => {
                format!("about {} W while busy, idle power not recorded", two_digits(busy.get()))
            }
            (None, None) => "power not known".to_owned(),
        };
        format!(
            "device {index}, {}: busy {}, {power}",
            device.device,
            share(Some(device.busy_share))
        )
        .into()
    });
    page.list(devices.collect());
    if let Some(energy) = simulation.energy_per_token_j {
        let at_wall = simulation.devices.iter().all(|device| device.at_wall);
        page.paragraph(format!(
            "{} J per token generated, {} kWh per million{}.",
            two_digits(energy.get()),
            two_digits(energy.to_kwh() * 1e6),
            if at_wall { "" } else { ", by the accelerators alone" }
        ));
    }
}

fn sweep(points: &[SweepPoint]) -> Table {
    let mut table = Table::new(&[
        ">streams",
        ">tok/s per stream",
        ">tok/s in all",
        ">first token s",
        ">gap ms",
        "",
    ]);
    for point in points {
        let of = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), two_digits);
        let role = point.role.as_ref();
        table.row([
            point.streams.to_string().into(),
            of(role.and_then(|role| role.tok_per_s.map(|speed| speed.value.get()))).into(),
            of(role.map(|role| role.total_tok_per_s.value.get())).into(),
            of(role.and_then(|role| role.ttft_s.p50.map(Seconds::get))).into(),
            of(role.and_then(|role| role.itl_s.p50.map(Seconds::to_ms))).into(),
            point.problem.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

/// `62 (58 to 66; 50 to 77)`: value, spread of the workload, spread of the model.
fn figure(figure: Option<&Figure<TokensPerSec>>) -> String {
    let Some(figure) = figure else { return "-".to_owned() };
    let digits = |one: TokensPerSec| two_digits(one.get());
    let range = |[low, high]: [TokensPerSec; 2]| format!("{} to {}", digits(low), digits(high));
    format!("{} ({}; {})", digits(figure.value), range(figure.workload), range(figure.model))
}

/// Rounded down, as a plan does: what falls short must not read as enough.
fn in_time(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", (share * 100.0 + 1e-9).floor()))
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// A role for CSV.
#[derive(Serialize)]
struct Row<'a> {
    streams_of_first_role: Option<u32>,
    role: &'a str,
    streams: Option<u32>,
    tok_per_s: Option<f64>,
    tok_per_s_model_low: Option<f64>,
    tok_per_s_model_high: Option<f64>,
    total_tok_per_s: f64,
    ttft_p50_s: Option<f64>,
    ttft_p95_s: Option<f64>,
    itl_p50_s: Option<f64>,
    itl_p99_s: Option<f64>,
    goodput_share: Option<f64>,
    cache_hit_share: Option<f64>,
    saturated: bool,
}

/// The roles as CSV, and those of the points of the curve.
///
/// # Errors
/// Never in practice: the rows go to memory.
pub fn csv(answer: &SimulateAnswer) -> Result<String, csv::Error> {
    let row = |streams_of_first_role, role| row(streams_of_first_role, role);
    let own = answer.simulation.roles.iter().map(|role| row(None, role));
    let points = answer
        .sweep
        .iter()
        .filter_map(|point| Some(row(Some(point.streams), point.role.as_ref()?)));
    crate::rows(own.chain(points))
}

fn row(streams_of_first_role: Option<u32>, role: &RoleAnswer) -> Row<'_> {
    let seconds = |time: Option<Seconds>| time.map(Seconds::get);
    Row {
        streams_of_first_role,
        role: &role.role,
        streams: role.streams,
        tok_per_s: role.tok_per_s.map(|one| one.value.get()),
        tok_per_s_model_low: role.tok_per_s.map(|one| one.model[0].get()),
        tok_per_s_model_high: role.tok_per_s.map(|one| one.model[1].get()),
        total_tok_per_s: role.total_tok_per_s.value.get(),
        ttft_p50_s: seconds(role.ttft_s.p50),
        ttft_p95_s: seconds(role.ttft_s.p95),
        itl_p50_s: seconds(role.itl_s.p50),
        itl_p99_s: seconds(role.itl_s.p99),
        goodput_share: role.goodput_share,
        cache_hit_share: role.cache_hit_share,
        saturated: role.saturated.is_some(),
    }
}
