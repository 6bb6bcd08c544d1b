//! Simulated time in whole nanoseconds, so that the same run gives the same bytes everywhere.

use std::ops::{Add, AddAssign, Sub};

use localrig_facts::unit::Seconds;
use serde::Serialize;

/// A point in simulated time, or a length of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Nanos(u64);

impl Nanos {
    /// The start.
    pub const ZERO: Self = Self(0);
    /// Later than everything.
    pub const MAX: Self = Self(u64::MAX);

    /// A number of nanoseconds.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The number of nanoseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// A length of time, rounded to the nearest nanosecond; what is negative or no number is none.
    pub fn of(time: Seconds) -> Self {
        // `f64::round` is a call on processors that the binary must still run on, and unsigned numbers
        // take several instructions there; this is one.
        Self::of_signed((time.get() * 1e9 + 0.5) as i64)
    }

    /// A number of nanoseconds that may have a part of one, which counts as a whole.
    pub fn up_to(nanos: f64) -> Self {
        let whole = nanos as i64;
        Self::of_signed(whole + i64::from((whole as f64) < nanos))
    }

    const fn of_signed(nanos: i64) -> Self {
        Self(if nanos < 0 { 0 } else { nanos as u64 })
    }

    /// The same in seconds.
    pub fn seconds(self) -> Seconds {
        Seconds::new(self.0 as f64 * 1e-9)
    }

    /// How much later it is than `other`; nothing when it is earlier.
    #[must_use]
    pub const fn since(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}
