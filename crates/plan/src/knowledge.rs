//! What to know before buying: facts of the parts and models that people often have wrong.

use localrig_facts::gpu::{Cooling, Gpu, NvLink};
use localrig_facts::model::Model;
use localrig_facts::{Catalog, Id, Sources, witness};
use serde::Serialize;

use crate::assign::Assignment;
use crate::candidate::Candidate;

/// A fact with who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// The entry it is a fact of.
    pub id: Id,
    /// The fact, in a sentence.
    pub text: String,
    /// Who says so.
    pub source: String,
}

/// The facts of a machine's accelerators and models.
pub fn facts(
    catalog: &Catalog,
    candidate: &Candidate<'_>,
    assignment: &Assignment<'_>,
) -> Vec<Fact> {
    let mut found = Vec::new();
    let cards = candidate.machine.devices.iter().map(|device| device.count).sum::<u32>();
    for device in &candidate.machine.devices {
        if candidate.machine.system.is_none() {
            found.extend(power(catalog, device.id, device.gpu));
            found.extend(link(device.id, device.gpu, cards));
        }
    }
    for served in &assignment.served {
        let fact = active(served.option.id, served.option.model);
        found.extend(fact.filter(|fact| !found.contains(fact)));
    }
    found
}

fn fact(id: &Id, sources: &Sources, key: &str, text: String) -> Fact {
    let source = witness(sources, key).map(|(_, source)| source.describe());
    Fact { id: id.clone(), text, source: source.unwrap_or_else(|| "no source recorded".to_owned()) }
}

/// Power and cooling, beside the editions of the same card that differ in them.
fn power(catalog: &Catalog, id: &Id, gpu: &Gpu) -> Option<Fact> {
    let say = |gpu: &Gpu| -> Option<String> {
        let cooling = match gpu.board.cooling {
            Some(Cooling::Passive) => ", passive",
            Some(Cooling::Blower) => ", blower",
            Some(Cooling::FlowThrough) => ", flow-through cooler",
            Some(Cooling::OpenAir) => ", open-air cooler",
            Some(Cooling::Liquid) => ", liquid cooler",
            _ => "",
        };
        Some(format!("{:.0} W{cooling}", gpu.board.tdp_w?.get()))
    };
    let own = say(gpu)?;
    let editions: Vec<String> = catalog
        .all::<Gpu>()
        .into_iter()
        .flatten()
        .filter(|(other, one)| *other != id && is_edition(gpu, one))
        .filter_map(|(_, one)| Some(format!("{}: {}", one.name, say(one)?)))
        .collect();
    let others = if editions.is_empty() {
        String::new()
    } else {
        format!("; not to be mixed up with {}", editions.join(", "))
    };
    Some(fact(id, &gpu.sources, "board.tdp_w", format!("{} takes {own}{others}", gpu.name)))
}

/// Whether two cards are editions of one: same chip generation, memory and bandwidth, other power.
fn is_edition(gpu: &Gpu, other: &Gpu) -> bool {
    gpu.vendor == other.vendor
        && gpu.segment == other.segment
        && gpu.generation == other.generation
        && gpu.memory.sizes_gib == other.memory.sizes_gib
        && gpu.memory.bandwidth_gb_per_s == other.memory.bandwidth_gb_per_s
        && gpu.board.tdp_w != other.board.tdp_w
}

/// How cards talk to each other, and to a card that may be added.
fn link(id: &Id, gpu: &Gpu, cards: u32) -> Option<Fact> {
    let text = match gpu.link.nvlink? {
        NvLink::None => {
            let bus = match (gpu.link.pcie_gen, gpu.link.pcie_lanes) {
                (Some(generation), Some(lanes)) => format!("PCIe {generation:.1} x{lanes}"),
                _ => "PCIe".to_owned(),
            };
            let whom = if cards > 1 { "the cards talk" } else { "a second card would talk" };
            format!("{} has no NVLink: {whom} over {bus}", gpu.name)
        }
        NvLink::Bridge if cards > 1 => {
            format!("{} takes an NVLink bridge, not priced here", gpu.name)
        }
        NvLink::Bridge | NvLink::Carrier => return None,
    };
    Some(fact(id, &gpu.sources, "link.nvlink", text))
}

/// How much of a mixture of experts works on a token.
fn active(id: &Id, model: &Model) -> Option<Fact> {
    let active = model.parameters.active.filter(|active| *active < model.parameters.total)?;
    let billions = |count: u64| count as f64 / 1e9;
    let text = format!(
        "{} activates {:.1} B of its {:.1} B parameters per token",
        model.name,
        billions(active),
        billions(model.parameters.total)
    );
    Some(fact(id, &model.sources, "parameters.active", text))
}
