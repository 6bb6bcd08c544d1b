//! Counts of durations with a resolution of 1.1 % at every magnitude.

use localrig_facts::unit::Seconds;

use crate::time::Nanos;

/// Buckets of an octave, as a power of two.
const FINE: u32 = 6;

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u128,
}

impl Histogram {
    /// Counts a duration so many times.
    pub fn add(&mut self, value: Nanos, times: u64) {
        let index = bucket(value.get());
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += times;
        self.total += times;
        self.sum += u128::from(value.get()) * u128::from(times);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.total += other.total;
        self.sum += other.sum;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Their mean; `None` when there are none.
    pub fn mean(&self) -> Option<Seconds> {
        (self.total > 0).then(|| Seconds::new(self.sum as f64 / self.total as f64 * 1e-9))
    }

    /// The value below which `part` of them lie, 0 to 1; `None` when there are none.
    pub fn quantile(&self, part: f64) -> Option<Seconds> {
        let rank = part * self.total as f64;
        let mut below = 0.0;
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let here = *count as f64;
            if below + here >= rank {
                let [low, high] = bounds(index);
                let inside = ((rank - below) / here).clamp(0.0, 1.0);
                return Some(Seconds::new((low + inside * (high - low)) * 1e-9));
            }
            below += here;
        }
        None
    }
}

/// Values below 2^FINE have a bucket each; above, every octave has 2^FINE of them.
fn bucket(value: u64) -> usize {
    let magnitude = (value | 1).ilog2();
    if magnitude < FINE {
        return value as usize;
    }
    let shift = magnitude - FINE;
    ((shift as usize + 1) << FINE) + ((value >> shift) as usize - (1 << FINE))
}

fn bounds(index: usize) -> [f64; 2] {
    let (octave, place) = (index >> FINE, index & ((1 << FINE) - 1));
    if octave == 0 {
        return [place as f64, place as f64];
    }
    let width = (1_u64 << (octave - 1)) as f64;
    let low = ((1 << FINE) + place) as f64 * width;
    [low, low + width]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quantile_is_that_of_the_sorted_values_within_a_bucket(
            values in proptest::collection::vec(1_u64..1_u64 << 50, 1..200), part in 0.01..1.0_f64,
        ) {
            let mut histogram = Histogram::default();
            for value in &values {
                histogram.add(Nanos::new(*value), 1);
            }
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = ((part * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = sorted[rank - 1] as f64 * 1e-9;
            let got = histogram.quantile(part).unwrap().get();
            prop_assert!((got / exact - 1.0).abs() <= 0.016, "{got} {exact}");
        }

        #[test]
        fn a_value_lies_in_its_bucket(value in 0_u64..1_u64 << 60) {
            let [low, high] = bounds(bucket(value));
            prop_assert!(low <= value as f64 && value as f64 <= high);
        }
    }
}
