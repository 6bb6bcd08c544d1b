//! Numbers that know how they came about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a number came about, best first; a sum is only as good as its worst part.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Follows from the definition of a file or data structure; no model, no error.
    Exact,
    /// Read off an instrument or a log, for this very case.
    Measured,
    /// Between measured cases of the same hardware and engine.
    Interpolated,
    /// Computed by a formula whose constants were fitted on other cases.
    Modelled,
    /// Chosen by a stated rule because no measurement was found.
    Assumed,
}

impl Basis {
    /// The word used in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Measured => "measured",
            Self::Interpolated => "interpolated",
            Self::Modelled => "modelled",
            Self::Assumed => "assumed",
        }
    }
}

/// A quantity with the range it is believed to lie in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate<Q> {
    /// The best single value.
    pub value: Q,
    /// Lower end of the 80 % interval.
    pub low: Q,
    /// Upper end of the 80 % interval.
    pub high: Q,
    /// How the value came about.
    pub basis: Basis,
}

impl<Q: Copy> Estimate<Q> {
    /// A value without spread.
    pub const fn exact(value: Q) -> Self {
        Self { value, low: value, high: value, basis: Basis::Exact }
    }

    /// The same estimate in another quantity; `f` must not change the order of values.
    pub fn map<R>(self, f: impl Fn(Q) -> R) -> Estimate<R> {
        Estimate { value: f(self.value), low: f(self.low), high: f(self.high), basis: self.basis }
    }
}

impl<Q: Copy + std::ops::Add<Output = Q>> Estimate<Q> {
    /// Both together; of two bases the weaker holds.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            low: self.low + other.low,
            high: self.high + other.high,
            basis: self.basis.max(other.basis),
        }
    }
}

impl<Q: Copy + std::ops::Mul<f64, Output = Q> + std::ops::Div<f64, Output = Q>> Estimate<Q> {
    /// A value that may be off by the given factor either way (1.2 = 20 % up, 17 % down).
    pub fn within_factor(value: Q, factor: f64, basis: Basis) -> Self {
        Self { value, low: value / factor, high: value * factor, basis }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_basis_is_the_greatest() {
        let parts = [Basis::Exact, Basis::Assumed, Basis::Modelled];
        assert_eq!(parts.into_iter().max(), Some(Basis::Assumed));
    }
}
