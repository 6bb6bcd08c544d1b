//! Ranges: values no real thing can have betray a slipped digit or a wrong unit.

use std::collections::BTreeSet;

use super::{Case, Findings, Gpu, Model, Motherboard, Psu, Region, System, TensorType};
use crate::catalog::Catalog;
use crate::gpu::{GpuKind, NvLink};
use crate::unit::{GbPerS, Millimetres, Tflops, Watts};

/// Values outside what exists.
pub(super) fn implausible(catalog: &Catalog, findings: &mut Findings) {
    for (id, gpu) in catalog.all::<Gpu>().into_iter().flatten() {
        accelerator(id.as_str(), gpu, findings);
    }
    for (id, system) in catalog.all::<System>().into_iter().flatten() {
        variants(id.as_str(), system, findings);
    }
    for (id, psu) in catalog.all::<Psu>().into_iter().flatten() {
        Range { path: id.as_str(), findings }.check(
            "output_w",
            Some(psu.output_w.get()),
            200.0,
            4e3,
        );
    }
    for (id, case) in catalog.all::<Case>().into_iter().flatten() {
        let mut range = Range { path: id.as_str(), findings };
        range.check(
            "max_gpu_length_mm",
            case.max_gpu_length_mm.map(Millimetres::get),
            100.0,
            800.0,
        );
        range.check("expansion_slots", Some(f64::from(case.expansion_slots)), 1.0, 16.0);
    }
    for (id, board) in catalog.all::<Motherboard>().into_iter().flatten() {
        let positions = &board.slot_positions;
        let slots: u32 = board.slots.iter().map(|slot| slot.count).sum();
        let downwards = positions.first() == Some(&1) && positions.is_sorted_by(|a, b| a < b);
        let whole = downwards && positions.len() == slots as usize;
        if !(whole || positions.is_empty()) {
            let message = format!(
                "one position for each of the {slots} slots, from 1 at the first downwards"
            );
            findings.add(id.as_str(), "slot_positions", message);
        }
    }
    for (id, kind) in catalog.all::<TensorType>().into_iter().flatten() {
        Range { path: id.as_str(), findings }.check(
            "bytes",
            Some(kind.bits_per_weight()),
            1.0,
            32.0,
        );
    }
    for (id, model) in catalog.all::<Model>().into_iter().flatten() {
        let mut range = Range { path: id.as_str(), findings };
        range.check("parameters.total", Some(model.parameters.total as f64), 1e5, 1e13);
        range.check("context_tokens", Some(model.context_tokens as f64), 256.0, 2e7);
    }
    for (id, region) in catalog.all::<Region>().into_iter().flatten() {
        Range { path: id.as_str(), findings }.check("vat_percent", region.vat_percent, 0.0, 30.0);
    }
}

struct Range<'a> {
    path: &'a str,
    findings: &'a mut Findings,
}

impl Range<'_> {
    fn check(&mut self, key: &str, value: Option<f64>, low: f64, high: f64) {
        if let Some(value) = value.filter(|value| !(low..=high).contains(value)) {
            let message =
                format!("{value} is outside {low} to {high}: wrong unit or slipped digit?");
            self.findings.add(self.path, key, message);
        }
    }
}

fn accelerator(path: &str, gpu: &Gpu, findings: &mut Findings) {
    let mut range = Range { path, findings };
    for size in &gpu.memory.sizes_gib {
        range.check("memory.sizes_gib", Some(size.written()), 1.0, 1024.0);
    }
    let bandwidth = gpu.memory.bandwidth_gb_per_s.map(GbPerS::written);
    range.check("memory.bandwidth_gb_per_s", bandwidth, 10.0, 1e5);
    range.check("memory.bus_bits", gpu.memory.bus_bits.map(f64::from), 32.0, 16_384.0);
    for rule in &gpu.memory.usable {
        range.check("memory.usable.fraction", Some(rule.fraction), 0.3, 1.0);
    }
    range.check("compute.fp32_tflops", gpu.compute.fp32_tflops.map(Tflops::written), 0.1, 1e3);
    range.check("compute.fp16_tflops", gpu.compute.fp16_tflops.map(Tflops::written), 0.5, 2e4);
    range.check("board.tdp_w", gpu.board.tdp_w.map(Watts::get), 2.0, 3e3);
    range.check("board.slots", gpu.board.slots, 1.0, 5.0);
    range.check("board.length_mm", gpu.board.length_mm.map(Millimetres::get), 100.0, 500.0);
    range.check("link.pcie_gen", gpu.link.pcie_gen, 2.0, 7.0);
    range.check("link.pcie_lanes", gpu.link.pcie_lanes.map(f64::from), 1.0, 16.0);
    let nvlink = gpu.link.nvlink_gb_per_s_per_direction.map(GbPerS::written);
    range.check("link.nvlink_gb_per_s_per_direction", nvlink, 10.0, 2e3);
    let boxes = gpu.link.boxes.map(|link| link.gb_per_s_per_direction.written());
    range.check("link.boxes.gb_per_s_per_direction", boxes, 0.1, 200.0);
    if gpu.link.nvlink == Some(NvLink::Carrier) && nvlink.is_none() {
        const KEY: &str = "link.nvlink_gb_per_s_per_direction";
        findings.add(path, KEY, "a module on a carrier needs it: layers are cut over NVLink");
    }

    let share_known = !gpu.memory.usable.is_empty() || gpu.memory.gpu_addressable_gib.is_some();
    let sold = gpu.status.iter().any(|status| status.is_buyable());
    if gpu.kind == GpuKind::Unified && sold && !share_known {
        findings.add(
            path,
            "memory.usable",
            "a unified chip that is sold needs the share of memory its GPU may use, or \
             gpu_addressable_gib",
        );
    }
}

fn variants(path: &str, system: &System, findings: &mut Findings) {
    let mut keys = BTreeSet::new();
    for variant in &system.variants {
        let memory = variant.memory_gib.written();
        Range { path, findings }.check("variant.memory_gib", Some(memory), 4.0, 4096.0);
        if !keys.insert(&variant.key) {
            findings.add(path, "variant.key", format!("`{}` stands twice", variant.key));
        }
    }
    if system.variants.is_empty() {
        findings.add(path, "variant", "no configuration to order");
    }
    let max = system.power.max_w.map(Watts::get);
    Range { path, findings }.check("power.max_w", max, 5.0, 5e3);
}
