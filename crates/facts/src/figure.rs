//! Figures of memory for people: gibibytes, unless those would say nothing; thousands apart.

use crate::unit::Bytes;

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

/// Memory with its unit: `12.5 GiB`, and `3.2 MiB` or `640.0 KiB` where so many decimals of a GiB
/// would show nothing but noughts.
pub fn memory(bytes: Bytes, decimals: usize) -> String {
    smaller(bytes, decimals).unwrap_or_else(|| format!("{} GiB", whole_gib(bytes, decimals)))
}

/// Memory for a place that says GiB already: `12.5`; what would be nothing but noughts comes with
/// its own unit, as in [`memory`].
pub fn in_gib(bytes: Bytes, decimals: usize) -> String {
    smaller(bytes, decimals).unwrap_or_else(|| whole_gib(bytes, decimals))
}

fn whole_gib(bytes: Bytes, decimals: usize) -> String {
    let text = format!("{:.decimals$}", bytes.to_gib());
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let dot = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{dot}{part}")
}

/// In a unit below, what rounds to no GiB at all although it is something.
fn smaller(bytes: Bytes, decimals: usize) -> Option<String> {
    let amount = bytes.get().abs();
    let shown = format!("{:.decimals$}", bytes.to_gib());
    if amount == 0.0 || shown.contains(|c: char| ('1'..='9').contains(&c)) || amount.is_nan() {
        return None;
    }
    let [kib, mib] = [1024.0, 1024.0 * 1024.0];
    Some(match bytes.get() {
        one if amount >= mib => format!("{:.1} MiB", one / mib),
        one if amount >= kib => format!("{:.1} KiB", one / kib),
        one => format!("{one:.0} bytes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([grouped(7), grouped(1_000), grouped(131_072)], ["7", "1,000", "131,072"]);
        assert_eq!(grouped(-1_234_567), "-1,234,567");
    }

    #[test]
    fn what_is_little_has_a_unit_in_which_it_is_something() {
        let said = [0.0, 512.0, 655_360.0, 3.4e6, 5.3e6, 5.4e6, 2.0e9, 1.3e12, -3.4e6]
            .map(|bytes| memory(Bytes::new(bytes), 2))
            .join("\n");
        insta::assert_snapshot!(said, @"
        0.00 GiB
        512 bytes
        640.0 KiB
        3.2 MiB
        5.1 MiB
        0.01 GiB
        1.86 GiB
        1,210.72 GiB
        -3.2 MiB
        ");
        assert_eq!(in_gib(Bytes::gib(12.5), 1), "12.5");
        assert_eq!(in_gib(Bytes::mib(20.0), 1), "20.0 MiB");
    }

    proptest! {
        #[test]
        fn nothing_that_is_something_is_shown_as_nought(bytes in 1.0..1e13_f64, decimals in 0..4_usize) {
            let text = memory(Bytes::new(bytes), decimals);
            prop_assert!(text.contains(|c: char| ('1'..='9').contains(&c)), "{text}");
        }
    }
}
