//! Figures for people: as many digits as they are good for.

use localrig_facts::noise::NoiseClass;
use localrig_facts::unit::{Bytes, TokensPerSec};
use localrig_facts::{Estimate, Money};

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

/// A number in two significant digits: `0.12`, `3.4`, `12`, `180`, `1,300`.
pub fn two_digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor() as i32;
    let unit = 10_f64.powi(magnitude - 1);
    let rounded = (value / unit).round() * unit;
    // Rounding may reach the next magnitude: 9.96 is 10, not 10.0.
    let magnitude = rounded.abs().log10().floor() as i32;
    let decimals = usize::try_from((1 - magnitude).max(0)).unwrap_or(0);
    if decimals > 0 { format!("{rounded:.decimals$}") } else { grouped(rounded.round() as i64) }
}

/// A whole number with separators for thousands: `131,072`.
pub fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0 { format!("-{out}") } else { out }
}

/// A count with separators for thousands.
pub fn count(value: u64) -> String {
    grouped(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Memory in GiB with one decimal.
pub fn gib(bytes: Bytes) -> String {
    format!("{:.1}", bytes.to_gib())
}

/// An amount of money without cents: prices of machines are no better than that.
pub fn money(amount: Money) -> String {
    amount.whole().to_string()
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
    fn figures_have_two_significant_digits() {
        let said: Vec<String> = [0.123, 3.44, 9.96, 12.4, 99.6, 184.0, 1_312.0, 0.0]
            .into_iter()
            .map(two_digits)
            .collect();
        assert_eq!(said, ["0.12", "3.4", "10", "12", "100", "180", "1,300", "0"]);
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!([count(7), count(1_000), count(131_072)], ["7", "1,000", "131,072"]);
        assert_eq!(grouped(-1_234_567), "-1,234,567");
    }
}
