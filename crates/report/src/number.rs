//! Figures for people: as many digits as they are good for.

use localrig_facts::figure;
use localrig_facts::noise::NoiseClass;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Estimate, Money};

pub use localrig_plan::figure::{grouped, two_digits};

/// A speed with its 80 % interval in two significant digits: `180 (130 to 250)`.
pub fn speed(estimate: &Estimate<TokensPerSec>) -> String {
    let [value, low, high] =
        [estimate.value, estimate.low, estimate.high].map(|one| two_digits(one.get()));
    if low == high { value } else { format!("{value} ({low} to {high})") }
}

/// A speed alone, in two significant digits.
pub fn tokens_per_second(speed: TokensPerSec) -> String {
    two_digits(speed.get())
}

/// A count with separators for thousands.
pub fn count(value: u64) -> String {
    grouped(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Memory with its unit and one decimal: `12.5 GiB`; little of it in MiB or KiB.
pub fn gib_words(bytes: Bytes) -> String {
    figure::memory(bytes, 1)
}

/// As [`gib_words`], for a cell under a head that says GiB: `12.5`.
pub fn gib(bytes: Bytes) -> String {
    figure::in_gib(bytes, 1)
}

/// As [`gib_words`] with two decimals.
pub fn gib_words_fine(bytes: Bytes) -> String {
    figure::memory(bytes, 2)
}

/// As [`gib`] with two decimals.
pub fn gib_fine(bytes: Bytes) -> String {
    figure::in_gib(bytes, 2)
}

/// An amount of money without cents: prices of machines are no better than that.
pub fn money(amount: Money) -> String {
    amount.whole().to_string()
}

/// A range in words, `CHF 67 to CHF 256`; one figure where both ends read the same.
pub fn from_to(low: impl std::fmt::Display, high: impl std::fmt::Display) -> String {
    let (low, high) = (low.to_string(), high.to_string());
    if low == high { low } else { format!("{low} to {high}") }
}

/// Billions of parameters: `116.8 B`.
pub fn billions(parameters: u64) -> String {
    format!("{:.1} B", parameters as f64 / 1e9)
}

/// A noise class, or that it is not known.
pub fn noise(class: Option<NoiseClass>) -> &'static str {
    class.map_or("not known", NoiseClass::word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_whose_ends_read_the_same_is_one_figure() {
        assert_eq!(from_to("CHF 67", "CHF 256"), "CHF 67 to CHF 256");
        assert_eq!(from_to("CHF 1.17", "CHF 1.17"), "CHF 1.17");
    }
}
