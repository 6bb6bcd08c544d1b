//! Figures in words: as many digits as they are good for, thousands apart.

pub use localrig_facts::figure::grouped;

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
        assert_eq!([grouped(7), grouped(1_000), grouped(131_072)], ["7", "1,000", "131,072"]);
        assert_eq!(grouped(-1_234_567), "-1,234,567");
    }
}
