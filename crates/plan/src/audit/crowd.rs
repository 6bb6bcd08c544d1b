//! Whether a figure said of several streams, or of several models on one machine, holds: by
//! simulation.

use localrig_estimate::context::KvType;
use localrig_facts::Catalog;
use localrig_facts::claim::{Quantity, Statement, Verdict};
use localrig_facts::engine::planned;
use localrig_facts::machine::{Machine, parse_machine};
use localrig_facts::model::Model;
use localrig_facts::unit::TokensPerSec;
use localrig_simulate::answer::{Options, simulate};
use localrig_simulate::sharing::Sharing;
use localrig_simulate::workload::distribution::Distribution;
use localrig_simulate::workload::{Closed, Extent, Limit, Role, Workload};

use super::judge::Judgement;
use crate::placement::{Devices, Place};
use crate::scenario::{Arrangement, arrange};

/// What every stream asks, again and again without a pause: it generates nearly all the time.
const PROMPT: f64 = 1_000.0;
const OUTPUT: f64 = 500.0;
/// Room for that.
const CONTEXT: u32 = 4_096;

/// Judges a statement on streams beside others. It holds when an engine gives what is said.
///
/// # Errors
/// When it names no machine or model, or no engine runs them there; in words.
pub(super) fn crowd(catalog: &Catalog, said: &Statement) -> Result<Judgement, String> {
    let name = said.machine.as_deref().ok_or("no machine is named")?;
    let machine = parse_machine(catalog, name).map_err(|error| error.to_string())?;
    let model = said.model.as_deref().ok_or("no model is named")?;
    let streams = said.streams.ok_or("no streams are named")?;
    let mut models = vec![(model, streams)];
    models.extend(said.beside.iter().map(|other| (other.model.as_str(), other.streams)));
    let mut found: Vec<(&str, f64)> = Vec::new();
    let mut trouble = "no engine runs it there".to_owned();
    let planned = planned(catalog).map_err(|error| error.to_string())?;
    for engine in planned.iter().map(|one| one.id.short()) {
        let figure = || -> Result<f64, String> {
            let loaded = speed(catalog, &machine, &models, engine)?;
            if said.quantity == Quantity::LoadedSpeed {
                return Ok(loaded.get());
            }
            let alone = speed(catalog, &machine, &[(model, 1)], engine)?;
            Ok(loaded / alone * 100.0)
        };
        match figure() {
            Ok(figure) => found.push((engine, figure)),
            Err(error) => trouble = error,
        }
    }
    if found.is_empty() {
        return Err(trouble);
    }
    let unit = said.quantity.unit();
    let told: Vec<String> =
        found.iter().map(|(engine, figure)| format!("{engine} {figure:.0} {unit}")).collect();
    let named = |name: &str| -> String {
        catalog.find::<Model>(name).map_or_else(|_| name.to_owned(), |(_, one)| one.name.clone())
    };
    let others: Vec<String> = said
        .beside
        .iter()
        .map(|other| format!("{} x {}", other.streams, named(&other.model)))
        .collect();
    let beside =
        if others.is_empty() { String::new() } else { format!(" beside {}", others.join(", ")) };
    Ok(Judgement {
        verdict: verdict(said, &found),
        holds: format!(
            "{streams} x {}{beside} on {}, all generating: {}",
            named(model),
            machine.name,
            told.join(", ")
        ),
        source: format!(
            "simulated: answers of {OUTPUT:.0} tokens to prompts of {PROMPT:.0}, without pause"
        ),
    })
}

/// Right where an engine gives what is said within a fifth, which is how far the simulator is off
/// in the median; wrong where none comes near.
fn verdict(said: &Statement, found: &[(&str, f64)]) -> Verdict {
    const OFF: f64 = 1.2;
    let [low, high] = said.says;
    let inside = |slack: f64| {
        let inside = |(_, one): &(&str, f64)| *one >= low / slack && *one <= high * slack;
        found.iter().filter(|one| inside(one)).count()
    };
    match (inside(OFF), inside(OFF * OFF)) {
        (all, _) if all == found.len() => Verdict::Right,
        (_, 0) => Verdict::Wrong,
        _ => Verdict::Imprecise,
    }
}

/// Speed of a stream of the first model while all streams of all models generate.
fn speed(
    catalog: &Catalog,
    machine: &Machine<'_>,
    models: &[(&str, u32)],
    engine: &str,
) -> Result<TokensPerSec, String> {
    let role = |(index, (_, streams)): (usize, &(&str, u32))| Role {
        name: index.to_string(),
        context_tokens: CONTEXT,
        system_tokens: 0,
        agent: None,
        closed: Some(Closed {
            streams: *streams,
            think_s: Distribution::fixed(0.0),
            prompt_tokens: Distribution::fixed(PROMPT),
            output_tokens: Distribution::fixed(OUTPUT),
            image_tokens: None,
            turns: None,
            requests: None,
        }),
        open: None,
        limit: Limit::default(),
    };
    let workload = Workload {
        name: "streams".to_owned(),
        run: Extent { warm_up_s: 60.0, duration_s: Some(300.0) },
        roles: models.iter().enumerate().map(role).collect(),
    };
    let place = |(index, (model, _)): (usize, &(&str, u32))| Place {
        role: index.to_string(),
        model: (*model).to_owned(),
        format: None,
        engine: None,
        kv: None,
        devices: Devices::All,
    };
    let places: Vec<Place> = models.iter().enumerate().map(place).collect();
    let arrangement = Arrangement {
        engine,
        kv: KvType::F16,
        faster_kv: true,
        sharing: Sharing::time_slice(
            catalog.machine_constants().map_err(|error| error.to_string())?,
        ),
        link: None,
    };
    let arranged = arrange(catalog, machine, &workload, &places, arrangement)
        .map_err(|error| error.to_string())?;
    let options = Options { seed: 1, replicates: 1, models: 0 };
    let answer = simulate(&arranged.scenario, &workload, options);
    let first = answer.roles.first().and_then(|role| role.tok_per_s);
    first.map(|speed| speed.value).ok_or_else(|| "nothing is answered".to_owned())
}
