//! Whether a figure said of a machine or a model holds, by the catalog and the formulas.

use localrig_estimate::architecture::layout;
use localrig_estimate::context::{KvType, bytes_for_tokens};
use localrig_estimate::memory::usable;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::setup::Setup;
use localrig_estimate::speed::Pace;
use localrig_estimate::work::Work;
use localrig_facts::catalog::Entry;
use localrig_facts::claim::{Quantity, Statement, Verdict};
use localrig_facts::engine::{Engine, first_planned, planned};
use localrig_facts::figure::{self, grouped};
use localrig_facts::format::Format;
use localrig_facts::gpu::{Cooling, Gpu, GpuKind, NvLink};
use localrig_facts::machine::{Device, Machine, PcieSlot, parse_machine};
use localrig_facts::model::Model;
use localrig_facts::part::{Case, Cooler, Cpu, Memory, Motherboard, Psu, Storage};
use localrig_facts::price::Condition;
use localrig_facts::system::System;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Catalog, Estimate, Id, witness};
use serde::Serialize;

use super::crowd::crowd;
use crate::option::usual_format;
use crate::price::{Goods, Market};
use crate::survey::word_of;

/// What holds, and how the statement stands to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// How the statement stands.
    pub verdict: Verdict,
    /// What holds, in a sentence.
    pub holds: String,
    /// Where that comes from.
    pub source: String,
}

impl Judgement {
    pub(super) fn unknown(holds: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unverified, holds: holds.into(), source: String::new() }
    }
}

/// A figure further off than this is wrong rather than imprecise.
const FAR: f64 = 0.25;

/// How far a figure may be off and still be right: writers round.
fn tolerance(quantity: Quantity) -> f64 {
    match quantity {
        // Sizes differ by who made the file; 65 and 63.4 GB are the same model.
        Quantity::Size => 0.07,
        Quantity::Power | Quantity::TotalParameters | Quantity::Price => 0.05,
        Quantity::ActiveParameters => 0.12,
        // 128K is 131,072 to one and 128,000 to another.
        Quantity::Context | Quantity::Memory | Quantity::Bandwidth => 0.03,
        Quantity::KvCache => 0.02,
        Quantity::Nvlink
        | Quantity::Passive
        | Quantity::SoldSingly
        | Quantity::Mixture
        | Quantity::Speed
        | Quantity::StreamShare
        | Quantity::LoadedSpeed => 0.0,
    }
}

/// Judges a statement. What cannot be computed or is not in the catalog is
/// [`Verdict::Unverified`], with the reason.
pub fn judge(market: &Market<'_>, said: &Statement) -> Judgement {
    let catalog = market.catalog;
    match said.quantity {
        Quantity::Memory
        | Quantity::Bandwidth
        | Quantity::Power
        | Quantity::Nvlink
        | Quantity::Passive
        | Quantity::SoldSingly => {
            subject(catalog, said).map_or_else(Judgement::unknown, |one| hardware(said, &one))
        }
        Quantity::Price => {
            let judged = match part(catalog, said) {
                Some((id, name)) => Ok(price(market, said, id, name, &[None])),
                None => subject(catalog, said).map(|one| price_of(market, said, &one)),
            };
            judged.unwrap_or_else(Judgement::unknown)
        }
        Quantity::TotalParameters | Quantity::ActiveParameters | Quantity::Context => {
            model(catalog, said).unwrap_or_else(Judgement::unknown)
        }
        Quantity::Mixture => mixture(catalog, said).unwrap_or_else(Judgement::unknown),
        Quantity::Size => size(catalog, said).unwrap_or_else(Judgement::unknown),
        Quantity::KvCache => kv_cache(catalog, said).unwrap_or_else(Judgement::unknown),
        Quantity::Speed => speed(catalog, said).unwrap_or_else(Judgement::unknown),
        Quantity::StreamShare | Quantity::LoadedSpeed => {
            crowd(catalog, said).unwrap_or_else(Judgement::unknown)
        }
    }
}

/// What a statement about hardware is about.
struct Subject<'a> {
    id: &'a Id,
    name: &'a str,
    gpu_id: &'a Id,
    gpu: &'a Gpu,
    system: Option<&'a System>,
}

fn subject<'a>(catalog: &'a Catalog, said: &Statement) -> Result<Subject<'a>, String> {
    let name = said.machine.as_deref().ok_or("no machine is named")?;
    let gpus = catalog.all::<Gpu>().map_err(|error| error.to_string())?;
    if let Some((id, gpu)) = gpus.get_key_value(name) {
        return Ok(Subject { id, name: &gpu.name, gpu_id: id, gpu, system: None });
    }
    let systems = catalog.all::<System>().map_err(|error| error.to_string())?;
    if let Some((id, system)) = systems.get_key_value(name) {
        let chip = gpus.get_key_value(&system.accelerator).ok_or("its chip is not recorded")?;
        let system = Some(system);
        let name = &system.ok_or("no system")?.name;
        return Ok(Subject { id, name, gpu_id: chip.0, gpu: chip.1, system });
    }
    let machine = parse_machine(catalog, name).map_err(|error| error.to_string())?;
    let device = machine.devices.first().ok_or("no accelerator")?;
    Ok(match machine.system {
        Some((id, system, _)) => Subject {
            id,
            name: &system.name,
            gpu_id: device.id,
            gpu: device.gpu,
            system: Some(system),
        },
        None => Subject {
            id: device.id,
            name: &device.gpu.name,
            gpu_id: device.id,
            gpu: device.gpu,
            system: None,
        },
    })
}

/// The verdict on a range against one true value.
fn compare(said: &Statement, holds: f64) -> Verdict {
    let [low, high] = said.says;
    let slack = tolerance(said.quantity);
    if holds >= low * (1.0 - slack) && holds <= high * (1.0 + slack) {
        return Verdict::Right;
    }
    let nearest = if holds < low { low } else { high };
    let off = (nearest / holds - 1.0).abs();
    if off > FAR { Verdict::Wrong } else { Verdict::Imprecise }
}

fn figure(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { grouped(rounded as i64) } else { format!("{rounded:.1}") }
}

fn hardware(said: &Statement, one: &Subject<'_>) -> Judgement {
    let gpu = one.gpu;
    let (key, holds) = match said.quantity {
        Quantity::Bandwidth => (
            "memory.bandwidth_gb_per_s",
            gpu.memory.bandwidth_gb_per_s.map(localrig_facts::unit::GbPerS::written),
        ),
        Quantity::Power => {
            if gpu.kind != GpuKind::Card && gpu.board.tdp_w.is_none() {
                return Judgement::unknown(format!("power of {} is not recorded", one.name));
            }
            ("board.tdp_w", gpu.board.tdp_w.map(localrig_facts::unit::Watts::get))
        }
        Quantity::Nvlink => return nvlink(said, one),
        Quantity::Passive => return passive(said, one),
        Quantity::SoldSingly => return sold_singly(said, one),
        _ => return memory(said, one),
    };
    let Some(holds) = holds else {
        return Judgement::unknown(format!(
            "{} of {} is not recorded",
            said.quantity.words(),
            one.name
        ));
    };
    Judgement {
        verdict: compare(said, holds),
        holds: format!("{}: {} {}", one.name, figure(holds), said.quantity.unit()),
        source: vouched(one.gpu_id, gpu, key),
    }
}

fn vouched(id: &Id, gpu: &Gpu, key: &str) -> String {
    witness(&gpu.sources, key).map_or_else(|| id.to_string(), |(_, source)| source.describe())
}

/// Any size it is sold with is right.
fn memory(said: &Statement, one: &Subject<'_>) -> Judgement {
    let sizes: Vec<f64> = match one.system {
        Some(system) => system.variants.iter().map(|one| one.memory_gib.written()).collect(),
        None => one.gpu.memory.sizes_gib.iter().map(|size| size.written()).collect(),
    };
    let best = sizes.iter().map(|size| compare(said, *size)).max();
    let Some(verdict) = best else {
        return Judgement::unknown(format!("memory of {} is not recorded", one.name));
    };
    // A number of other sizes exists: none of them is near by accident.
    let verdict = if verdict == Verdict::Right { verdict } else { Verdict::Wrong };
    let mut sizes: Vec<String> = sizes.into_iter().map(figure).collect();
    sizes.dedup();
    Judgement {
        verdict,
        holds: format!("{}: {} GB", one.name, sizes.join(", ")),
        source: vouched(one.gpu_id, one.gpu, "memory.sizes_gib"),
    }
}

fn nvlink(said: &Statement, one: &Subject<'_>) -> Judgement {
    let Some(link) = one.gpu.link.nvlink else {
        return Judgement::unknown(format!("NVLink of {} is not recorded", one.name));
    };
    let has = link != NvLink::None;
    let holds = link.words();
    let verdict = if has == (said.says[1] > 0.0) { Verdict::Right } else { Verdict::Wrong };
    let source = vouched(one.gpu_id, one.gpu, "link.nvlink");
    Judgement { verdict, holds: format!("{}: {holds}", one.name), source }
}

fn passive(said: &Statement, one: &Subject<'_>) -> Judgement {
    let Some(cooling) = one.gpu.board.cooling else {
        return Judgement::unknown(format!("cooling of {} is not recorded", one.name));
    };
    if matches!(cooling, Cooling::Partner | Cooling::System) {
        let holds = format!("cooling of {}: {}", one.name, cooling.words());
        return Judgement::unknown(holds);
    }
    let (is, holds) = (cooling == Cooling::Passive, cooling.words());
    let verdict = if is == (said.says[1] > 0.0) { Verdict::Right } else { Verdict::Wrong };
    let source = vouched(one.gpu_id, one.gpu, "board.cooling");
    Judgement { verdict, holds: format!("{}: {holds}", one.name), source }
}

/// Whether private buyers can get it by itself; what is sold inside a machine only cannot.
fn sold_singly(said: &Statement, one: &Subject<'_>) -> Judgement {
    let status = match one.system {
        Some(system) => &system.status,
        None => &one.gpu.status,
    };
    if status.is_empty() {
        return Judgement::unknown(format!("where {} is sold is not recorded", one.name));
    }
    let singly = status.iter().any(|one| one.is_buyable());
    if singly && one.system.is_none() && one.gpu.kind != GpuKind::Card {
        return Judgement::unknown(format!(
            "{} is sold, but is no card: it needs the machine or the board it belongs on",
            one.name
        ));
    }
    let words: Vec<&str> = status.iter().map(|one| word_of(*one)).collect();
    let verdict = if singly == (said.says[1] > 0.0) { Verdict::Right } else { Verdict::Wrong };
    Judgement {
        verdict,
        holds: format!("{}: {}", one.name, words.join(", ")),
        source: vouched(one.gpu_id, one.gpu, "status"),
    }
}

fn mixture(catalog: &Catalog, said: &Statement) -> Result<Judgement, String> {
    let (id, model) = named(catalog, said)?;
    let is = work(catalog, (id, model), "f16")?.is_mixture();
    let verdict = if is == (said.says[1] > 0.0) { Verdict::Right } else { Verdict::Wrong };
    let kind = if is { "a mixture of experts" } else { "dense" };
    Ok(Judgement {
        verdict,
        holds: format!("{} is {kind}", model.name),
        source: "the model's dimensions in the catalog".to_owned(),
    })
}

/// The part of a PC, other than a card, that a statement is about.
fn part<'a>(catalog: &'a Catalog, said: &Statement) -> Option<(&'a Id, &'a str)> {
    fn of<'a, T: Entry + 'a>(catalog: &'a Catalog, id: &str) -> Option<(&'a Id, &'a str)> {
        let (id, part) = catalog.all::<T>().ok()?.get_key_value(id)?;
        Some((id, part.name()))
    }
    let id = said.machine.as_deref()?;
    of::<Cpu>(catalog, id)
        .or_else(|| of::<Motherboard>(catalog, id))
        .or_else(|| of::<Memory>(catalog, id))
        .or_else(|| of::<Psu>(catalog, id))
        .or_else(|| of::<Case>(catalog, id))
        .or_else(|| of::<Cooler>(catalog, id))
        .or_else(|| of::<Storage>(catalog, id))
}

/// The price of a card or of a system in any of its variants.
fn price_of(market: &Market<'_>, said: &Statement, one: &Subject<'_>) -> Judgement {
    let variants: Vec<Option<&str>> = match one.system {
        Some(system) => system.variants.iter().map(|one| Some(one.key.as_str())).collect(),
        None => vec![None],
    };
    price(market, said, one.id, one.name, &variants)
}

/// A price is right while sources of the day still say it, outdated after.
fn price(
    market: &Market<'_>,
    said: &Statement,
    id: &Id,
    name: &str,
    variants: &[Option<&str>],
) -> Judgement {
    let priced = |goods: Goods| -> Vec<crate::price::Price> {
        variants.iter().filter_map(|variant| market.price(id, *variant, goods).ok()).collect()
    };
    let reach = |one: &crate::price::Price| {
        let [low, high] = one.spread.unwrap_or([one.low, one.high]);
        [low.amount().min(one.low.amount()), high.amount().max(one.high.amount())]
    };
    let close = |price: &crate::price::Price| {
        let [low, high] = reach(price);
        let slack = tolerance(Quantity::Price);
        said.says[1] >= low * (1.0 - slack) && said.says[0] <= high * (1.0 + slack)
    };
    let distance = |price: &crate::price::Price| (price.amount.amount() - said.says[0]).abs();
    let nearest = |all: &[crate::price::Price]| {
        all.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).cloned()
    };
    // New goods, as in every other answer; used ones where that is what is asked for them.
    let (new, used) = (nearest(&priced(Goods::New)), nearest(&priced(Goods::Used)));
    let is_used = |used: &crate::price::Price| close(used) && !new.as_ref().is_some_and(&close);
    let Some(nearest) = used.filter(|used| new.is_none() || is_used(used)).or(new) else {
        return Judgement::unknown(format!("no price of {name} by {}", market.date));
    };
    let verdict = if close(&nearest) { Verdict::Right } else { Verdict::Outdated };
    let [low, high] = reach(&nearest);
    let whole = |amount: f64| grouped(amount.round() as i64);
    let range = if high > low * 1.02 {
        format!(" ({} to {})", whole(low), whole(high))
    } else {
        String::new()
    };
    Judgement {
        verdict,
        holds: format!(
            "{}: {}{range}{} as of {}, seen {}",
            nearest.product,
            nearest.amount.whole(),
            if nearest.condition == Condition::New {
                String::new()
            } else {
                format!(", {},", nearest.condition.word())
            },
            market.date,
            nearest.date
        ),
        source: nearest.link.clone().unwrap_or_else(|| nearest.source.clone()),
    }
}

fn named<'a>(catalog: &'a Catalog, said: &Statement) -> Result<(&'a Id, &'a Model), String> {
    let name = said.model.as_deref().ok_or("no model is named")?;
    catalog.find::<Model>(name).map_err(|error| error.to_string())
}

fn model(catalog: &Catalog, said: &Statement) -> Result<Judgement, String> {
    let (id, model) = named(catalog, said)?;
    let (key, holds) = match said.quantity {
        Quantity::TotalParameters => ("parameters", model.parameters.total as f64 / 1e9),
        Quantity::ActiveParameters => ("parameters", active_parameters(catalog, id, model)? / 1e9),
        _ => ("context_tokens", model.context_tokens as f64),
    };
    let source = witness(&model.sources, key);
    let unit = said.quantity.unit();
    Ok(Judgement {
        verdict: compare(said, holds),
        holds: format!("{}: {} {unit}, {}", model.name, figure(holds), said.quantity.words()),
        source: source.map_or_else(|| id.to_string(), |(_, source)| source.describe()),
    })
}

/// Parameters that work on a token: recorded, else counted over the tensors.
fn active_parameters(catalog: &Catalog, id: &Id, model: &Model) -> Result<f64, String> {
    if let Some(active) = model.parameters.active {
        return Ok(active as f64);
    }
    work(catalog, (id, model), "f16").map(|work| work.active_parameters())
}

fn work(catalog: &Catalog, (id, model): (&Id, &Model), format: &str) -> Result<Work, String> {
    let (format_id, format) = catalog.find::<Format>(format).map_err(|error| error.to_string())?;
    let layout = layout(catalog, id, model).map_err(|error| error.to_string())?;
    let recipe = Recipe::new(catalog, format_id, format).map_err(|error| error.to_string())?;
    Ok(Work::new(&layout, &recipe, KvType::F16))
}

const COMPUTED: &str = "computed from the dimensions in the catalog";

fn size(catalog: &Catalog, said: &Statement) -> Result<Judgement, String> {
    let (id, model) = named(catalog, said)?;
    let first = first_planned(catalog).map_err(|error| error.to_string())?;
    let made = first.engine.usual_format.as_ref().map(|made| made.format.as_str());
    let usual = usual_format(catalog, model, first.id).map_err(|error| error.to_string())?;
    // Who says Q4 of a model released in 4 bits means those.
    let format = match said.format.as_deref() {
        Some(asked) if Some(asked) != made => asked,
        _ => usual.map(|usual| usual.id.short()).or(made).ok_or("no format is named")?,
    };
    let bytes = work(catalog, (id, model), format)?.weights.file;
    let gb = bytes.get() / 1e9;
    Ok(Judgement {
        verdict: compare(said, gb),
        holds: format!("{} in {format}: {gb:.1} GB ({:.1} GiB)", model.name, Bytes::to_gib(bytes)),
        source: COMPUTED.to_owned(),
    })
}

fn kv_cache(catalog: &Catalog, said: &Statement) -> Result<Judgement, String> {
    let (id, model) = named(catalog, said)?;
    let tokens = said.context_tokens.ok_or("no context is named")?;
    let layout = layout(catalog, id, model).map_err(|error| error.to_string())?;
    let bytes = bytes_for_tokens(&layout, tokens, 1, KvType::F16);
    let gb = bytes.get() / 1e9;
    Ok(Judgement {
        verdict: compare(said, gb),
        holds: format!(
            "{}, {tokens} tokens in FP16: {gb:.1} GB ({:.1} GiB)",
            model.name,
            bytes.to_gib()
        ),
        source: COMPUTED.to_owned(),
    })
}

/// A speed is right inside the interval of an engine, wrong above what memory can deliver, and
/// otherwise unverified: engines, formats and depths differ.
fn speed(catalog: &Catalog, said: &Statement) -> Result<Judgement, String> {
    let (id, model) = named(catalog, said)?;
    let one = subject(catalog, said)?;
    let memory = match said.machine.as_deref().map(|name| parse_machine(catalog, name)) {
        Some(Ok(machine)) => machine.devices.first().map(|device| device.memory),
        _ => one.gpu.memory.sizes_gib.last().map(|size| size.quantity()),
    };
    let memory = memory.ok_or("its memory is not recorded")?;
    let slot = PcieSlot::default();
    let device = Device { id: one.gpu_id, gpu: one.gpu, memory, count: 1, slot };
    let machine = Machine {
        name: one.name.to_owned(),
        devices: vec![device],
        cpu: None,
        system: None,
        units: 1,
    };
    let mut ceiling: f64 = 0.0;
    let mut found: Vec<(&str, Estimate<TokensPerSec>)> = Vec::new();
    let mut trouble: Option<String> = None;
    // A figure that any of them explains is right.
    let planned = planned(catalog).map_err(|error| error.to_string())?;
    for engine in planned.iter().map(|one| one.id.short()) {
        match pace(catalog, &machine, (id, model), engine) {
            Ok((estimate, most)) => {
                ceiling = ceiling.max(most);
                found.push((engine, estimate));
            }
            // The engine that is looked at first says most.
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    let [low, high] = said.says;
    if found.is_empty() {
        let trouble = trouble.unwrap_or_else(|| "no engine runs it there".to_owned());
        let smallest = planned.iter().find_map(|one| one.plan.smallest.as_deref());
        let smallest = smallest.ok_or("no smallest format is recorded")?;
        let least = work(catalog, (id, model), smallest)?.active_bytes();
        let rate = one.gpu.memory.bandwidth_gb_per_s.ok_or("bandwidth is not recorded")?;
        let most = rate.quantity().get() / least.get();
        if low <= most {
            return Err(trouble);
        }
        return Ok(Judgement {
            verdict: Verdict::Wrong,
            holds: format!(
                "{trouble}; even in {smallest} its memory cannot deliver more than {most:.0} tok/s"
            ),
            source: "estimated with `localrig estimate`".to_owned(),
        });
    }
    let inside =
        |(_, one): &(&str, Estimate<TokensPerSec>)| one.low.get() <= high && low <= one.high.get();
    let verdict = if low > ceiling {
        Verdict::Wrong
    } else if high > ceiling {
        Verdict::Imprecise
    } else if found.iter().any(inside) {
        Verdict::Right
    } else {
        Verdict::Unverified
    };
    let told = found.iter().map(|(engine, one)| {
        format!("{engine} {:.0} ({:.0} to {:.0})", one.value.get(), one.low.get(), one.high.get())
    });
    Ok(Judgement {
        verdict,
        holds: format!(
            "{} on {} with an empty context: {} tok/s; its memory cannot deliver more than {ceiling:.0}",
            model.name,
            one.name,
            told.collect::<Vec<_>>().join(", ")
        ),
        source: "estimated with `localrig estimate`".to_owned(),
    })
}

/// Speed at an empty context in the usual format, and what the bandwidth allows at most.
fn pace<'a>(
    catalog: &'a Catalog,
    machine: &Machine<'a>,
    model: (&'a Id, &'a Model),
    engine: &str,
) -> Result<(Estimate<TokensPerSec>, f64), String> {
    let (engine_id, engine) = catalog.find::<Engine>(engine).map_err(|error| error.to_string())?;
    let format = usual_format(catalog, model.1, engine_id).map_err(|error| error.to_string())?;
    let format = format.ok_or_else(|| format!("no usual format for {}", engine.name))?.id;
    let work = work(catalog, model, format.as_str())?;
    let entry = catalog.get::<Format>(format.as_str()).map_err(|error| error.to_string())?;
    let setup = Setup::new(catalog, engine_id, engine, machine, entry)
        .map_err(|error| error.to_string())?;
    let room = usable(&setup, machine).map_err(|error| error.to_string())?;
    if work.weights.loaded > room {
        return Err(format!(
            "{} takes {} in {}, {} has {}: it needs a smaller format, or a part of it on the host",
            model.1.name,
            figure::memory(work.weights.loaded, 1),
            entry.name,
            machine.name,
            figure::memory(room, 1)
        ));
    }
    let pace = Pace::new(catalog, &setup, machine, &work).map_err(|error| error.to_string())?;
    let decode = pace.decode(0, 1);
    let device = machine.devices.first().ok_or("no accelerator")?;
    let bandwidth = device.gpu.memory.bandwidth_gb_per_s.ok_or("bandwidth is not recorded")?;
    let most = bandwidth.written() * 1e9 / work.active_bytes().get();
    Ok((decode.per_stream_tok_per_s, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use localrig_facts::claim::Document;
    use localrig_facts::region::Region;

    /// Recorded verdicts and recomputed ones may differ in degree, not in direction.
    #[test]
    fn what_is_recorded_as_right_computes_as_right_and_what_misleads_does_not() {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let (_, region) = catalog.get_in::<Region>("ch").unwrap();
        let date = "2026-02-17".parse().unwrap();
        let market = Market { catalog: &catalog, region_id: "ch", region, date };
        let mut against = Vec::new();
        let mut count = 0;
        for document in catalog.all::<Document>().unwrap().values() {
            for claim in &document.claims {
                let all: Vec<Judgement> =
                    claim.checks.iter().map(|check| judge(&market, check)).collect();
                count += all.len();
                // Speeds depend on constants that are refitted; prices on the day.
                let steady = |check: &&Statement| {
                    !matches!(
                        check.quantity,
                        Quantity::Speed
                            | Quantity::StreamShare
                            | Quantity::LoadedSpeed
                            | Quantity::Price
                    )
                };
                let judged: Vec<&Judgement> = claim
                    .checks
                    .iter()
                    .zip(&all)
                    .filter(|(check, _)| steady(check))
                    .map(|(_, one)| one)
                    .collect();
                let misled = judged.iter().any(|one| one.verdict.misleads());
                let good = judged.iter().all(|one| one.verdict == Verdict::Right);
                let fine = match claim.verdict {
                    Verdict::Right => good,
                    Verdict::Wrong => misled || judged.is_empty(),
                    _ => true,
                };
                if !fine {
                    against.push(format!("{} {}: {judged:?}", document.number, claim.key));
                }
            }
        }
        assert!(against.is_empty(), "{}", against.join("\n"));
        assert!(count > 60, "{count} figures are recomputed");
    }
}
