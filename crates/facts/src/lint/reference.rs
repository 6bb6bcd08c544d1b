//! References: what one file says of another exists.

use std::collections::BTreeSet;

use super::{
    Architecture, Cable, Cluster, Engine, Findings, Format, Generation, Gpu, Model, Motherboard,
    Platform, Prebuilt, Region, Shop, Switch, System, TensorType, Tier,
};
use crate::catalog::{Catalog, CatalogError};
use crate::machine::parse_machine;

/// Ids that other entries refer to must exist.
pub(super) fn dangling(catalog: &Catalog, findings: &mut Findings) {
    let mut need = |from: &str, place: &str, found: Result<(), CatalogError>| {
        if let Err(CatalogError::Missing { id }) = found {
            findings.add(from, place, format!("`{id}` is not in the catalog"));
        }
    };
    hardware(catalog, &mut need);
    models(catalog, &mut need);
    for (id, base) in catalog.all::<Prebuilt>().into_iter().flatten() {
        need(id.as_str(), "shop", catalog.get_in::<Shop>(&base.shop).map(drop));
    }
    for (id, region) in catalog.all::<Region>().into_iter().flatten() {
        for freight in region.import.iter().flat_map(|import| &import.freight) {
            let found = catalog.get_in::<Region>(&freight.from).map(drop);
            need(id.as_str(), "import.freight.from", found);
        }
    }
    if let Ok(classes) = catalog.classes() {
        const PLACE: &str = "calibration/class";
        for class in classes.engines.values() {
            for engine in &class.engines {
                need(PLACE, "engines", catalog.get_in::<Engine>(engine).map(drop));
            }
        }
        for class in classes.hardware.values() {
            for generation in &class.generations {
                need(PLACE, "generations", catalog.get_in::<Generation>(generation).map(drop));
            }
        }
    }
    for (id, tier) in catalog.all::<Tier>().into_iter().flatten() {
        for machine in &tier.machines {
            if let Err(error) = parse_machine(catalog, machine) {
                findings.add(id.as_str(), "machines", error.to_string());
            }
        }
        for model in &tier.models {
            if let Err(CatalogError::Missing { id: missing }) = catalog.get::<Model>(model.as_str())
            {
                findings.add(id.as_str(), "models", format!("`{missing}` is not in the catalog"));
            }
        }
    }
}

/// Boards of a socket name the platforms they take, all of them or none: a board that does not would
/// go with every processor of the socket.
pub(super) fn platforms(catalog: &Catalog, findings: &mut Findings) {
    let boards = || catalog.all::<Motherboard>().into_iter().flatten();
    let named: BTreeSet<&str> = boards()
        .filter(|(_, board)| !board.platforms.is_empty())
        .map(|(_, board)| board.socket.as_str())
        .collect();
    for (id, board) in boards() {
        if board.platforms.is_empty() && named.contains(board.socket.as_str()) {
            let message =
                format!("other boards with {} name the platforms they take", board.socket);
            findings.add(id.as_str(), "platforms", message);
        }
    }
}

type Need<'a> = dyn FnMut(&str, &str, Result<(), CatalogError>) + 'a;

fn hardware(catalog: &Catalog, need: &mut Need<'_>) {
    for (id, gpu) in catalog.all::<Gpu>().into_iter().flatten() {
        if let Some(generation) = &gpu.generation {
            let found = catalog.get_in::<Generation>(generation).map(drop);
            need(id.as_str(), "generation", found);
        }
        if let Some(full) = &gpu.bin_of {
            need(id.as_str(), "bin_of", catalog.get::<Gpu>(full.as_str()).map(drop));
        }
    }
    for (id, system) in catalog.all::<System>().into_iter().flatten() {
        let chips = system.variants.iter().filter_map(|variant| variant.accelerator.as_ref());
        if let Some(Cluster { cable, splitter, switch, .. }) = &system.cluster {
            for (key, cable) in [("cluster.cable", cable), ("cluster.splitter", splitter)] {
                if let Some(cable) = cable {
                    need(id.as_str(), key, catalog.get::<Cable>(cable.as_str()).map(drop));
                }
            }
            if let Some(switch) = switch {
                need(
                    id.as_str(),
                    "cluster.switch",
                    catalog.get::<Switch>(switch.as_str()).map(drop),
                );
            }
        }
        for chip in chips.chain([&system.accelerator]) {
            need(id.as_str(), "accelerator", catalog.get::<Gpu>(chip.as_str()).map(drop));
        }
        let chip = catalog.get::<Gpu>(system.accelerator.as_str());
        if system.cluster.is_some() && chip.is_ok_and(|chip| chip.link.boxes.is_none()) {
            let missing = format!("{}: link.boxes", system.accelerator);
            need(id.as_str(), "cluster", Err(CatalogError::Missing { id: missing }));
        }
    }
    for (id, platform) in catalog.all::<Platform>().into_iter().flatten() {
        if let Some(gpu) = &platform.gpu {
            let found = catalog
                .get::<Gpu>(gpu.as_str())
                .map(drop)
                .or_else(|_| catalog.get::<System>(gpu.as_str()).map(drop));
            need(id.as_str(), "gpu", found);
        }
    }
}

fn models(catalog: &Catalog, need: &mut Need<'_>) {
    for (id, model) in catalog.all::<Model>().into_iter().flatten() {
        if let Some(family) = &model.architecture {
            let found = catalog.get_in::<Architecture>(family).map(drop);
            need(id.as_str(), "architecture", found);
        }
    }
    for (id, engine) in catalog.all::<Engine>().into_iter().flatten() {
        if let Some(made) = &engine.usual_format {
            let found = catalog.get_in::<Format>(&made.format).map(drop);
            need(id.as_str(), "usual_format.format", found);
        }
        let plan = engine.plan.iter();
        for format in plan.flat_map(|plan| plan.formats.iter().chain(&plan.smallest)) {
            need(id.as_str(), "plan.formats", catalog.get_in::<Format>(format).map(drop));
        }
        if let Some(like) = &engine.scheduler.like {
            need(id.as_str(), "scheduler.like", catalog.get_in::<Engine>(like).map(drop));
        }
    }
    for (id, kind) in catalog.all::<TensorType>().into_iter().flatten() {
        if let Some(fallback) = &kind.fallback {
            need(id.as_str(), "fallback", catalog.get_in::<TensorType>(fallback).map(drop));
        }
    }
    for (id, format) in catalog.all::<Format>().into_iter().flatten() {
        if let Some(like) = &format.like {
            need(id.as_str(), "like", catalog.get_in::<Format>(like).map(drop));
        }
        let rules = format.rules.values().flatten().filter_map(|rule| rule.split(' ').next());
        for kind in format.default.iter().map(String::as_str).chain(rules) {
            need(id.as_str(), "rules", catalog.get_in::<TensorType>(kind).map(drop));
        }
    }
}
