//! Numbers on the command line: tokens with a suffix, ranges of money.

use std::num::IntErrorKind;

use localrig_facts::unit::{Bytes, BytesPerSec};

/// Tokens: `131072`, `200k` (thousand), `128K` (1,024, as vLLM reads it), `1M`.
pub(crate) fn tokens(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k')) => (&text[..at], 1_000),
        Some((at, 'K')) => (&text[..at], 1_024),
        Some((at, 'm')) => (&text[..at], 1_000_000),
        Some((at, 'M')) => (&text[..at], 1_048_576),
        _ => (text, 1),
    };
    let tokens = digits.replace(['_', '\'', ','], "").parse::<u64>();
    match tokens.map(|tokens| tokens.checked_mul(unit)) {
        Ok(Some(0)) => Err("must be at least 1 token".to_owned()),
        Ok(Some(tokens)) => Ok(tokens),
        Ok(None) => Err("is too large".to_owned()),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err("is too large".to_owned()),
        Err(_) => {
            Err("must be a positive number of tokens, for example `131072`, `200k` (200,000) \
                       or `128K` (131,072)"
                .to_owned())
        }
    }
}

/// A budget: from and to, or the most alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: Option<f64>,
    pub(crate) high: f64,
}

/// Money: `4000..15000`, or the most alone: `15000`.
pub(crate) fn range(text: &str) -> Result<Range, String> {
    let amount = |text: &str| {
        let amount = text.replace(['_', '\'', ','], "").parse::<f64>().ok();
        amount.filter(|amount| *amount > 0.0 && amount.is_finite())
    };
    let range = match text.split_once("..") {
        Some((low, high)) => amount(low).zip(amount(high)).map(|(low, high)| (Some(low), high)),
        None => amount(text).map(|high| (None, high)),
    };
    let range = range.filter(|(low, high)| low.is_none_or(|low| low <= *high));
    range.map(|(low, high)| Range { low, high }).ok_or_else(|| {
        "must be an amount, or two, the smaller first, for example `10000` or `4000..15000`"
            .to_owned()
    })
}

/// A count of at least one.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number of at least 1".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// A speed above zero in tokens per second.
pub(crate) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed.is_finite() => Ok(speed),
        _ => Err("must be a number of tokens per second above 0".to_owned()),
    }
}

/// Memory: `64`, `64GB`, `64 GiB`, always binary as memory is sold.
pub(crate) fn memory(text: &str) -> Result<Bytes, String> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches("gib").trim_end_matches("gb").trim();
    positive(number).map(Bytes::gib).ok_or_else(|| {
        "must be an amount of memory above 0 in GiB, for example `64` or `64GB`".to_owned()
    })
}

/// Bandwidth: `89.6`, `89.6GB/s`, decimal as vendors quote it.
pub(crate) fn bandwidth(text: &str) -> Result<BytesPerSec, String> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches("gb/s").trim();
    positive(number)
        .map(BytesPerSec::gb_per_s)
        .ok_or_else(|| "must be a bandwidth above 0 in GB/s, for example `89.6`".to_owned())
}

/// A share between 0 and 1, 0 left out.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    positive(text)
        .filter(|share| *share <= 1.0)
        .ok_or_else(|| "must be a share above 0 and up to 1, for example `0.92`".to_owned())
}

/// A part of a split: 0 or more.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(part) if part >= 0.0 && part.is_finite() => Ok(part),
        _ => Err("must be numbers with commas between them, for example `3,1`".to_owned()),
    }
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_people_write_them() {
        assert_eq!(tokens("131072"), Ok(131_072));
        assert_eq!(tokens("131'072"), Ok(131_072));
        assert_eq!(tokens("200k"), Ok(200_000));
        assert_eq!(tokens("128K"), Ok(131_072));
        assert_eq!(tokens("1M"), Ok(1_048_576));
        for wrong in ["", "k", "-5", "0", "1.5", "99999999999999999999", "18446744073709551615M"] {
            assert!(tokens(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn memory_is_binary_and_bandwidth_decimal() {
        assert_eq!(memory("64GB"), Ok(Bytes::gib(64.0)));
        assert_eq!(memory("64 GiB"), memory("64"));
        assert_eq!(bandwidth("89.6 GB/s"), Ok(BytesPerSec::gb_per_s(89.6)));
        for wrong in ["", "0", "-1", "inf", "NaN", "GB", "many"] {
            assert!(memory(wrong).is_err() && bandwidth(wrong).is_err(), "{wrong}");
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert_eq!((share("0.9"), share("1.1").is_err()), (Ok(0.9), true));
    }

    #[test]
    fn ranges_run_upwards() {
        assert_eq!(range("4000..15'000"), Ok(Range { low: Some(4000.0), high: 15_000.0 }));
        assert_eq!(range("10_000"), Ok(Range { low: None, high: 10_000.0 }));
        for wrong in ["", "0", "5..4", "-1..4", "a..b", "1..inf"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
