//! What to know before buying: facts of the parts and models that people often have wrong.

use std::collections::BTreeSet;

use localrig_facts::claim::{Document, Verdict};
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

/// Something that documents say about a machine, its parts or its models and that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Correction {
    /// Where it is said: `002, lines 190 and 203`.
    pub places: Vec<String>,
    /// What is said.
    pub claim: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What holds.
    pub fact: String,
    /// What that changes.
    pub effect: String,
    /// Who says what holds.
    pub sources: Vec<String>,
}

/// What documents have wrong about a machine of these parts and models with so many accelerators,
/// worst first. A claim made in several documents is one correction with several places.
pub fn corrections(catalog: &Catalog, ids: &BTreeSet<&str>, cards: u32) -> Vec<Correction> {
    let mut found: Vec<(&str, Correction)> = Vec::new();
    for document in catalog.all::<Document>().into_iter().flatten().map(|(_, one)| one) {
        for claim in &document.claims {
            let among = |list: &[Id]| list.iter().any(|id| ids.contains(id.as_str()));
            let concerned = among(&claim.about)
                && (claim.with.is_empty() || among(&claim.with))
                && claim.cards.is_none_or(|wanted| wanted == cards);
            let Some(effect) = claim.effect.as_ref().filter(|_| claim.verdict.misleads()) else {
                continue;
            };
            if !concerned {
                continue;
            }
            let place = document.place(claim);
            if let Some((_, same)) = found.iter_mut().find(|(key, _)| *key == claim.key) {
                same.places.push(place);
                continue;
            }
            let describe =
                |name: &String| document.sources.get(name).map(localrig_facts::Source::describe);
            let correction = Correction {
                places: vec![place],
                claim: claim.claim.clone(),
                verdict: claim.verdict,
                fact: claim.fact.clone(),
                effect: effect.clone(),
                sources: claim.sources.iter().filter_map(describe).collect(),
            };
            found.push((&claim.key, correction));
        }
    }
    let mut found: Vec<Correction> = found.into_iter().map(|(_, one)| one).collect();
    found.sort_by_key(|one| one.verdict);
    found
}

/// What documents have wrong about a candidate and the models assigned to it.
pub(crate) fn corrections_of(
    catalog: &Catalog,
    candidate: &Candidate<'_>,
    assignment: &Assignment<'_>,
) -> Vec<Correction> {
    let devices = &candidate.machine.devices;
    let mut ids: BTreeSet<&str> = devices.iter().map(|device| device.id.as_str()).collect();
    ids.extend(candidate.lines.iter().map(|line| line.id.as_str()));
    ids.extend(assignment.served.iter().map(|served| served.option.id.as_str()));
    corrections(catalog, &ids, devices.iter().map(|device| device.count).sum())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ids: &[&str], cards: u32) -> Vec<String> {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let found = corrections(&catalog, &ids.iter().copied().collect(), cards);
        found
            .iter()
            .map(|one| format!("{}: {} [{}]", one.verdict.word(), one.claim, one.places.join("; ")))
            .collect()
    }

    #[test]
    fn two_5090_are_told_that_the_listed_machine_does_not_boot() {
        let catalog = localrig_world::catalog(&[]).unwrap();
        let ids = BTreeSet::from(["gpu/nvidia/rtx-5090"]);
        let boots = |cards| {
            let all = corrections(&catalog, &ids, cards);
            all.iter().any(|one| one.fact.contains("does not boot"))
        };
        assert!(boots(2));
        assert!(!boots(1));
    }

    #[test]
    fn one_claim_in_two_documents_is_one_correction() {
        insta::assert_snapshot!(said(&["model/openai/gpt-oss-20b"], 1).join("\n"), @"
        wrong: gpt-oss-120b has about 20B active parameters [002, lines 33, 42, 57, 218, 221 and 290; 004, line 31]
        wrong: gpt-oss-20b has about 5B active parameters [002, line 219; 004, line 32]
        imprecise: gpt-oss-20b takes about 14 GB [004, line 32]
        ");
    }

    #[test]
    fn the_edition_decides_whether_its_power_is_wrong() {
        let power = |id| said(&[id], 1).iter().any(|one| one.contains("300 W with a blower"));
        assert!(power("gpu/nvidia/rtx-pro-6000-blackwell-ws"));
        assert!(!power("gpu/nvidia/rtx-pro-6000-blackwell-maxq"));
    }

    #[test]
    fn a_claim_about_a_pair_of_parts_needs_both() {
        let minimax = |ids: &[&str]| said(ids, 2).iter().any(|one| one.contains("MiniMax"));
        let pro = "gpu/nvidia/rtx-pro-6000-blackwell-maxq";
        assert!(minimax(&[pro, "gpu/nvidia/rtx-5090"]));
        assert!(!minimax(&[pro]));
    }
}
