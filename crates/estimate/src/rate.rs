//! Rates of a device: bandwidth and arithmetic peaks, read off its data sheet or derived from its
//! generation's ratios. A missing fact is an error that names it.

use localrig_facts::calibration::Peak;
use localrig_facts::generation::Generation;
use localrig_facts::gpu::{Compute, Gpu, Segment};
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
    match kind {
        Peak::HalfInt8 => first(&[compute.int8_tops])
            .map(|rate| read(rate * 0.5))
            .or_else(|| {
                by_ratio(generation.and_then(|g| g.int8_per_fp32)).map(|rate| derived(rate * 0.5))
            })
            // Without integer matrix units its FP16 path is used.
            .or_else(|| fp16(compute, generation, gpu, &by_ratio))
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
                .ok_or_else(|| missing("compute.fp16_tflops"))
        }
        Peak::Fp16Any => {
            first(&[compute.fp16_tflops, compute.fp16_vector_tflops, compute.listed_tflops])
                .map(read)
                // Shader units of these chips do FP16 at the FP32 rate or faster.
                .or_else(|| first(&[compute.fp32_tflops]).map(derived))
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
