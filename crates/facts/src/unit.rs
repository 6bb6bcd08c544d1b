//! Physical quantities as newtypes, so that a wrong formula does not compile.
//!
//! The value inside is in base units (bytes, bytes per second, FLOP per second, seconds, watts).
//! Constructors carry the human unit: [`Bytes::gib`], [`BytesPerSec::gb_per_s`]. Card and unified
//! memory is binary (GiB), bandwidth and file sizes are decimal (GB).
//!
//! Data files write human units under keys that name them (`memory_gib`, `bandwidth_gb_per_s`).
//! The types for such keys ([`Gib`], [`GbPerS`], [`Tflops`]) convert on the way in and out.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Bytes in one GiB.
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $symbol:literal $(, $unit:ident => $get:ident = $factor:expr)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(f64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);

            /// A value in the base unit.
            pub const fn new(value: f64) -> Self {
                Self(value)
            }

            /// The value in the base unit.
            pub const fn get(self) -> f64 {
                self.0
            }

            /// The smaller of the two.
            #[must_use]
            pub fn min(self, other: Self) -> Self {
                Self(self.0.min(other.0))
            }

            /// The larger of the two.
            #[must_use]
            pub fn max(self, other: Self) -> Self {
                Self(self.0.max(other.0))
            }

            $(
                #[doc = concat!("A value given in ", stringify!($unit), ".")]
                pub const fn $unit(value: f64) -> Self {
                    Self(value * $factor)
                }

                #[doc = concat!("The value in ", stringify!($unit), ".")]
                pub const fn $get(self) -> f64 {
                    self.0 / $factor
                }
            )*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)?;
                f.write_str(concat!(" ", $symbol))
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }

        impl Div<f64> for $name {
            type Output = Self;
            fn div(self, divisor: f64) -> Self {
                Self(self.0 / divisor)
            }
        }

        impl Div for $name {
            type Output = f64;
            fn div(self, other: Self) -> f64 {
                self.0 / other.0
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                Self(items.map(|item| item.0).sum())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "number", "description": concat!("in ", $symbol) })
            }
        }
    };
}

/// `quotient!(A / B = C)` gives `A / B = C`, `A / C = B`, `B * C = A` and `C * B = A`.
macro_rules! quotient {
    ($a:ident / $b:ident = $c:ident) => {
        impl Div<$b> for $a {
            type Output = $c;
            fn div(self, other: $b) -> $c {
                $c(self.0 / other.0)
            }
        }

        impl Div<$c> for $a {
            type Output = $b;
            fn div(self, other: $c) -> $b {
                $b(self.0 / other.0)
            }
        }

        impl Mul<$c> for $b {
            type Output = $a;
            fn mul(self, other: $c) -> $a {
                $a(self.0 * other.0)
            }
        }

        impl Mul<$b> for $c {
            type Output = $a;
            fn mul(self, other: $b) -> $a {
                $a(self.0 * other.0)
            }
        }
    };
}

quantity!(
    /// Memory, traffic or a file size. Whole byte counts stay exact up to 2^53.
    Bytes, "B", gib => to_gib = GIB, gb => to_gb = 1e9, mib => to_mib = 1024.0 * 1024.0
);
quantity!(
    /// Bandwidth, in one direction.
    BytesPerSec, "B/s", gb_per_s => to_gb_per_s = 1e9
);
quantity!(
    /// Arithmetic work; one multiply-add counts as two.
    Flops, "FLOP"
);
quantity!(
    /// Arithmetic rate, dense (without structured sparsity).
    FlopsPerSec, "FLOP/s", tflops => to_tflops = 1e12
);
quantity!(
    /// Elapsed or predicted time.
    Seconds, "s", ms => to_ms = 1e-3, us => to_us = 1e-6
);
quantity!(
    /// A number of tokens, or their mean.
    Tokens, "tok"
);
quantity!(
    /// Generation or prefill speed.
    TokensPerSec, "tok/s"
);
quantity!(
    /// Electrical power.
    Watts, "W"
);
quantity!(
    /// Electrical energy.
    Joules, "J", kwh => to_kwh = 3.6e6
);
quantity!(
    /// A length or clearance.
    Millimetres, "mm"
);
quantity!(
    /// A-weighted sound pressure level at 1 m unless a note says otherwise.
    Decibels, "dB(A)"
);

quotient!(Bytes / Seconds = BytesPerSec);
quotient!(Flops / Seconds = FlopsPerSec);
quotient!(Tokens / Seconds = TokensPerSec);
quotient!(Joules / Seconds = Watts);

/// A key of a data file that holds a quantity in a human unit.
macro_rules! written {
    ($(#[$doc:meta])* $name:ident, $quantity:ident, $unit:ident, $get:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub struct $name($quantity);

        impl $name {
            /// A value in the unit of the key.
            pub const fn new(value: f64) -> Self {
                Self($quantity::$unit(value))
            }

            /// The quantity.
            pub const fn quantity(self) -> $quantity {
                self.0
            }

            /// The number as the file writes it.
            pub fn written(self) -> f64 {
                // Undo the conversion noise of the last bits: data files carry few digits.
                let value = self.0.$get();
                let rounded = (value * 1e6).round() / 1e6;
                if (value - rounded).abs() < 1e-9 * value.abs().max(1.0) { rounded } else { value }
            }
        }

        impl From<$name> for $quantity {
            fn from(written: $name) -> Self {
                written.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.written())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                f64::deserialize(deserializer).map(Self::new)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "number", "minimum": 0, "description": $text })
            }
        }
    };
}

written!(
    /// Memory under a key that ends in `_gib`: binary, as cards and unified memory are sold.
    Gib, Bytes, gib, to_gib, "GiB (2^30 bytes)"
);
written!(
    /// Bandwidth under a key that ends in `_gb_per_s`: decimal, as vendors quote it.
    GbPerS, BytesPerSec, gb_per_s, to_gb_per_s, "GB/s (10^9 bytes per second)"
);
written!(
    /// Arithmetic rate under a key that ends in `_tflops` or `_tops`: dense.
    Tflops, FlopsPerSec, tflops, to_tflops, "TFLOP/s or TOP/s (10^12 per second), dense"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_decode_step_is_bounded_by_the_slower_of_compute_and_memory() {
        let weights = Bytes::gib(16.0);
        let work = Flops::new(2.0 * 32e9);
        let by_memory: Seconds = weights / BytesPerSec::gb_per_s(1008.0);
        let by_compute: Seconds = work / FlopsPerSec::tflops(165.2);
        let step = by_memory.max(by_compute);
        insta::assert_snapshot!(
            format!("{step:.4} -> {:.1}", Tokens::new(1.0) / step),
            @"0.0170 s -> 58.7 tok/s"
        );
    }

    #[test]
    fn card_memory_is_binary_and_bandwidth_decimal() {
        assert_eq!(Bytes::gib(96.0).get().to_bits(), 103_079_215_104_f64.to_bits());
        assert_eq!(BytesPerSec::gb_per_s(1792.0).get().to_bits(), 1.792e12_f64.to_bits());
    }

    proptest! {
        #[test]
        fn a_written_number_survives_the_round_trip(value in 0.0..1e5_f64) {
            let value = (value * 1000.0).round() / 1000.0;
            prop_assert!((GbPerS::new(value).written() - value).abs() < 1e-9);
            prop_assert!((Gib::new(value).written() - value).abs() < 1e-9);
            prop_assert!((Tflops::new(value).written() - value).abs() < 1e-9);
        }

        #[test]
        fn a_quotient_times_its_divisor_gives_the_dividend(bytes in 1.0..1e12_f64, secs in 1e-6..1e3_f64) {
            let rate = Bytes::new(bytes) / Seconds::new(secs);
            let back = rate * Seconds::new(secs);
            prop_assert!((back.get() - bytes).abs() <= 1e-9 * bytes);
        }
    }
}
