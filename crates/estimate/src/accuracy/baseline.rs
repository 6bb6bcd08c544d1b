//! Two simple rules that others use, for comparison.

use localrig_facts::measured::Phase;

use crate::case::Case;

/// Share of the bandwidth that the rule of thumb takes.
const RULE_SHARE: f64 = 0.65;

/// Share of the matrix peak that the rule of thumb takes for prompts.
const RULE_PREFILL: f64 = 0.25;

/// Bandwidth over the bytes of the active weights, times 0.65; prompts: a quarter of the matrix peak
/// over two operations per active parameter. Streams and devices multiply it.
pub(super) fn bandwidth_rule(case: &Case) -> f64 {
    let work = &case.work;
    match case.phase {
        Phase::Decode => {
            let one = RULE_SHARE * case.rates.bandwidth / work.active_bytes().get();
            one * f64::from(case.split.tensor) * case.load.streams
        }
        Phase::Prefill => {
            RULE_PREFILL * case.rates.matrix / (2.0 * work.active_parameters())
                * f64::from(case.split.tensor)
        }
    }
}

/// llmfit 1.1.18, `fit.rs::estimate_tps`: dense models `bandwidth / (parameters * bytes per
/// parameter) * 0.55` with nominal bytes (0.5 for 4 bits); mixtures `bandwidth / (active FFN *
/// bytes per parameter + fixed * 3.2)`, 1.43 instead of 3.2 for MXFP4 experts; tensor parallel times
/// 0.9. No depth and no batch. Prompts: `0.35 * peak / (2 * active)`.
pub(super) fn llmfit(case: &Case) -> f64 {
    let work = &case.work;
    if case.phase == Phase::Prefill {
        return 0.35 * case.rates.attention / (2.0 * work.active_parameters());
    }
    let parameters = work.weights.base_parameters
        + work.weights.head_parameters
        + work.weights.expert_parameters;
    let bytes = match work.weights.file.get() * 8.0 / parameters {
        bits if bits < 2.8 => 0.3,
        bits if bits < 3.8 => 0.4,
        bits if bits < 5.2 => 0.5,
        bits if bits < 7.5 => 0.75,
        bits if bits < 10.0 => 1.0,
        _ => 2.0,
    };
    let one = if work.is_mixture() {
        let fixed = work.weights.base_parameters + work.weights.head_parameters;
        let per_fixed = if work.native.as_deref() == Some("fp4") { 1.43 } else { 3.2 };
        case.rates.bandwidth / (work.active_expert_parameters() * bytes + fixed * per_fixed)
    } else {
        0.55 * case.rates.bandwidth / (parameters * bytes)
    };
    let devices = case.split.tensor;
    if devices > 1 { one * f64::from(devices) * 0.9 } else { one }
}
