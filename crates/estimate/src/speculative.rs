//! Speculative decoding: a cheap draft of several tokens, checked in one step.

use crate::decode::step;
use crate::parameter::Constants;
use crate::run::Run;

/// A draft.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draft {
    /// Tokens drafted per step.
    pub tokens: u32,
    /// Share of drafted tokens that is accepted, each independently of the others. It depends on
    /// the text: 0.8 to 0.9 for code, 0.5 to 0.7 for prose.
    pub acceptance: f64,
    /// Time to draft one token, relative to a step of the model itself: 0.02 to 0.1 for a
    /// prediction (MTP) head.
    pub cost: f64,
}

/// Tokens that a step yields on average: `(1 - a^(n+1)) / (1 - a)` (Leviathan et al. 2023, arXiv
/// 2211.17192, equation 1).
pub fn tokens_per_step(draft: Draft) -> f64 {
    let a = draft.acceptance.clamp(0.0, 0.999_999);
    (1.0 - a.powf(f64::from(draft.tokens) + 1.0)) / (1.0 - a)
}

/// Time per token of one stream with a draft, in seconds: the check is a batch of `n + 1` tokens
/// per stream, so a mixture touches more experts for it.
pub fn time_per_token(
    run: &Run<'_>,
    constants: &Constants,
    draft: Draft,
    depth: f64,
    streams: f64,
) -> f64 {
    let drafted = f64::from(draft.tokens);
    let plain = step(run, constants, depth, streams);
    let wide = step(run, constants, depth, streams * (drafted + 1.0));
    // The positions of one stream share its KV cache and its state.
    let check = wide.total - (wide.kv - plain.kv) - (wide.state - plain.state);
    (check + drafted * draft.cost * plain.total) / tokens_per_step(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_is_never_accepted_yields_one_token_a_step() {
        let draft = |acceptance| Draft { tokens: 3, acceptance, cost: 0.05 };
        assert!((tokens_per_step(draft(0.0)) - 1.0).abs() < 1e-12);
        assert!((tokens_per_step(draft(0.5)) - 1.875).abs() < 1e-12);
        assert!(tokens_per_step(draft(1.0)) > 3.99);
    }
}
