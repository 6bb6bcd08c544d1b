//! Rates of a device: bandwidth and arithmetic peaks, read off its data sheet or derived from its
//! generation's ratios. A missing fact is an error that names it.

use localrig_facts::calibration::Peak;
use localrig_facts::generation::Generation;
use localrig_facts::gpu::{Compute, Gpu, Segment};
use localrig_facts::machine::Device;
use localrig_facts::unit::{BytesPerSec, FlopsPerSec, Tflops};
use localrig_facts::{Basis, Catalog, Id};

/// A fact that a formula needs and the catalog does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing fact: {key} of {id}")]
pub struct MissingFact {
    /// The catalog file.
    pub id: Id,
    /// Key path in it.
    pub key: String,
}

/// What one device offers, in bytes and operations per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Nominal memory bandwidth.
    pub bandwidth: f64,
    /// FP32 shader rate.
    pub shader: f64,
    /// Matrix rate that the engine's kernels for these weights are measured by.
    pub matrix: f64,
    /// Matrix rate for attention, which computes in 16 bits whatever the weights are.
    pub attention: f64,
    /// PCIe bandwidth in one direction; `None` = not known, or the memory is the host's.
    pub pcie: Option<f64>,
    /// Rated power in watts.
    pub rated_power: Option<f64>,
    /// How the matrix rate came about.
    pub basis: Basis,
}

/// Bytes per second of one PCIe 3.0 lane after encoding (8 GT/s, 128 of 130 bits); every generation
/// doubles it. A definition of the standard, no product's figure: PCI-SIG base specifications.
const PCIE_3_LANE: f64 = 0.985e9;

/// The rates of a device under an engine that computes in `kind`, whatever the weights are.
///
/// # Errors
/// When the data sheet lacks the bandwidth, or every arithmetic rate.
pub fn rates(catalog: &Catalog, device: &Device<'_>, kind: Peak) -> Result<Rates, MissingFact> {
    let (id, gpu) = (device.id, device.gpu);
    let bandwidth = bandwidth(id, gpu)?;
    let of_siblings = |read: &dyn Fn(&Id, &Gpu) -> Option<FlopsPerSec>| {
        sibling_ratio(catalog, id, gpu, read).map(|ratio| FlopsPerSec::new(ratio * bandwidth.get()))
    };
    let matrix_of = |id: &Id, gpu: &Gpu| peak(catalog, id, gpu, kind, None);
    let assumed =
        |rate: Option<FlopsPerSec>, error| rate.map(|rate| (rate, Basis::Assumed)).ok_or(error);
    let (attention, basis) = matrix_of(id, gpu).or_else(|error| {
        assumed(of_siblings(&|id, gpu| Some(matrix_of(id, gpu).ok()?.0)), error)
    })?;
    let shader = shader(id, gpu)
        .or_else(|error| of_siblings(&|id, gpu| shader(id, gpu).ok()).ok_or(error))?;
    Ok(Rates {
        bandwidth: bandwidth.get(),
        shader: shader.get(),
        matrix: attention.get(),
        attention: attention.get(),
        pcie: pcie(device).ok().map(BytesPerSec::get),
        rated_power: gpu.board.tdp_w.map(localrig_facts::unit::Watts::get),
        basis,
    })
}

impl Rates {
    /// The same for weights in a number format that the device may compute in.
    #[must_use]
    pub fn of_weights(
        self,
        catalog: &Catalog,
        device: &Device<'_>,
        kind: Peak,
        native: Option<&str>,
    ) -> Self {
        // Other kinds of engines compute in their own format.
        if native.is_none() || kind != Peak::Fp16 {
            return self;
        }
        match peak(catalog, device.id, device.gpu, kind, native) {
            Ok((matrix, basis)) => Self { matrix: matrix.get(), basis, ..self },
            Err(_) => self,
        }
    }
}

/// Median of a rate over the bandwidth among devices of the same generation: what stands in for a
/// rate that a data sheet lacks, since chips of a generation are scaled as a whole.
fn sibling_ratio(
    catalog: &Catalog,
    id: &Id,
    gpu: &Gpu,
    rate: &dyn Fn(&Id, &Gpu) -> Option<FlopsPerSec>,
) -> Option<f64> {
    let ratios = |alike: &dyn Fn(&Gpu) -> bool| {
        let all = catalog.all::<Gpu>().ok()?;
        let mut found: Vec<f64> = all
            .iter()
            .filter(|(other, one)| *other != id && alike(one))
            .filter_map(|(other, one)| {
                Some(rate(other, one)?.get() / bandwidth(other, one).ok()?.get())
            })
            .collect();
        found.sort_by(f64::total_cmp);
        found.get(found.len() / 2).copied()
    };
    ratios(&|one| one.generation.is_some() && one.generation == gpu.generation)
        .or_else(|| ratios(&|one| one.vendor == gpu.vendor && one.kind == gpu.kind))
}

/// Nominal memory bandwidth.
///
/// # Errors
/// When the catalog does not have it.
pub fn bandwidth(id: &Id, gpu: &Gpu) -> Result<BytesPerSec, MissingFact> {
    gpu.memory
        .bandwidth_gb_per_s
        .map(BytesPerSec::from)
        .ok_or_else(|| MissingFact { id: id.clone(), key: "memory.bandwidth_gb_per_s".to_owned() })
}

/// PCIe bandwidth of a card in its slot in one direction: of the generation and the lanes that both have.
///
/// # Errors
/// When the catalog does not have the generation or the lanes of the card.
pub fn pcie(device: &Device<'_>) -> Result<BytesPerSec, MissingFact> {
    let missing = |key: &str| MissingFact { id: device.id.clone(), key: key.to_owned() };
    let Device { gpu, slot, .. } = device;
    let generation = gpu.link.pcie_gen.ok_or_else(|| missing("link.pcie_gen"))?;
    let lanes = gpu.link.pcie_lanes.ok_or_else(|| missing("link.pcie_lanes"))?;
    let generation = slot.generation.map_or(generation, |of_slot| of_slot.min(generation));
    let lanes = slot.lanes.map_or(lanes, |of_slot| of_slot.min(lanes));
    Ok(BytesPerSec::new(PCIE_3_LANE * f64::from(lanes) * 2f64.powf(generation - 3.0)))
}

/// Shader rate in FP32: unpacking weights runs there.
///
/// # Errors
/// When the catalog has neither it nor an FP16 rate to stand in for it.
pub fn shader(id: &Id, gpu: &Gpu) -> Result<FlopsPerSec, MissingFact> {
    let compute = &gpu.compute;
    first(&[
        compute.fp32_tflops,
        compute.fp16_vector_tflops.map(|rate| Tflops::new(rate.written() / 2.0)),
        // Chips without matrix units list one FP16 rate, which is the shader rate.
        compute.fp16_tflops,
        compute.listed_tflops,
        compute.gemm_fp16_measured_tflops,
    ])
    .ok_or_else(|| MissingFact { id: id.clone(), key: "compute.fp32_tflops".to_owned() })
}

/// The arithmetic peak that a class's shares refer to, and whether it was read or derived.
///
/// `native` is a number format of the weights; where the device computes in it, its own rate counts.
///
/// # Errors
/// When the data sheet lacks the rate and the generation gives no ratio to derive it.
pub fn peak(
    catalog: &Catalog,
    id: &Id,
    gpu: &Gpu,
    kind: Peak,
    native: Option<&str>,
) -> Result<(FlopsPerSec, Basis), MissingFact> {
    let compute = &gpu.compute;
    let generation = gpu
        .generation
        .as_deref()
        .and_then(|name| catalog.get_in::<Generation>(name).ok())
        .map(|(_, generation)| generation);
    let by_ratio = |ratio: Option<f64>| Some(compute.fp32_tflops?.quantity() * ratio?);
    let missing = |key: &str| MissingFact { id: id.clone(), key: key.to_owned() };
    let read = |rate: FlopsPerSec| (rate, Basis::Exact);
    let derived = |rate: FlopsPerSec| (rate, Basis::Modelled);
    // Better a rate of another kind than none: the basis says so.
    let last = || {
        first(&[
            compute.listed_tflops,
            compute.gemm_fp16_measured_tflops,
            compute.fp16_vector_tflops,
            compute.fp32_tflops,
        ])
        .map(|rate| (rate, Basis::Assumed))
    };
    match kind {
        Peak::HalfInt8 => first(&[compute.int8_tops])
            .map(|rate| read(rate * 0.5))
            .or_else(|| {
                by_ratio(generation.and_then(|g| g.int8_per_fp32)).map(|rate| derived(rate * 0.5))
            })
            // Without integer matrix units its FP16 path is used.
            .or_else(|| fp16(compute, generation, gpu, &by_ratio))
            .or_else(last)
            .ok_or_else(|| missing("compute.int8_tops")),
        Peak::Fp16 => {
            let has = |format: &str| {
                native == Some(format)
                    && generation.is_some_and(|g| g.matrix_formats.iter().any(|one| one == format))
            };
            let native_rate = match native {
                Some("fp8") if has("fp8") => first(&[compute.fp8_tflops]),
                Some("fp4") if has("fp4") => first(&[compute.fp4_tflops]),
                Some("int8") if has("int8") => first(&[compute.int8_tops]),
                _ => None,
            };
            native_rate
                .map(read)
                .or_else(|| fp16(compute, generation, gpu, &by_ratio))
                .or_else(last)
                .ok_or_else(|| missing("compute.fp16_tflops"))
        }
        Peak::Fp16Any => {
            first(&[compute.fp16_tflops, compute.fp16_vector_tflops, compute.listed_tflops])
                .map(read)
                // Shader units of these chips do FP16 at the FP32 rate or faster.
                .or_else(|| first(&[compute.fp32_tflops]).map(derived))
                .or_else(last)
                .ok_or_else(|| missing("compute.fp16_tflops"))
        }
    }
}

fn fp16(
    compute: &Compute,
    generation: Option<&Generation>,
    gpu: &Gpu,
    by_ratio: &impl Fn(Option<f64>) -> Option<FlopsPerSec>,
) -> Option<(FlopsPerSec, Basis)> {
    if let Some(rate) = first(&[compute.fp16_tflops]) {
        return Some((rate, Basis::Exact));
    }
    let ratio = generation.and_then(|one| {
        // GeForce cards accumulate FP32 at half the rate of workstation cards.
        if gpu.segment == Some(Segment::Consumer) {
            one.fp16_per_fp32
        } else {
            one.fp16_per_fp32_professional.or(one.fp16_per_fp32)
        }
    });
    by_ratio(ratio)
        .or_else(|| first(&[compute.fp16_vector_tflops]))
        .map(|rate| (rate, Basis::Modelled))
}

fn first(rates: &[Option<Tflops>]) -> Option<FlopsPerSec> {
    rates.iter().flatten().next().map(|rate| rate.quantity())
}
