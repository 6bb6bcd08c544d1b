//! Random numbers: one stream for each agent and quantity, so that another agent or another kind of
//! draw changes nobody else's (common random numbers).
//!
//! Transcendental functions come from `libm`, not from the platform: the same seed gives the same
//! bytes everywhere.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, SeedableRng as _};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(Xoshiro256PlusPlus);

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Quantity {
    /// Gaps between arrivals.
    Arrival = 1,
    /// Lengths of prompts and of what a step adds.
    Prompt,
    /// Lengths of answers.
    Output,
    /// Lengths of images.
    Image,
    /// Time of tools, of thinking, of pauses.
    Pause,
    /// Number of steps or turns.
    Steps,
    /// Whether and how many sub-agents are started.
    Spawn,
    /// Errors of the speed model.
    Model,
}

impl Stream {
    /// The stream of one agent and quantity in one replicate of a seed.
    pub fn new(seed: u64, replicate: u64, role: &str, agent: u64, quantity: Quantity) -> Self {
        let mut key = mix(seed, replicate);
        for byte in role.bytes() {
            key = mix(key, u64::from(byte));
        }
        Self(Xoshiro256PlusPlus::seed_from_u64(mix(mix(key, agent), quantity as u64)))
    }

    /// Evenly between 0 and 1, both excluded.
    pub fn unit(&mut self) -> f64 {
        // 53 bits, moved half a step away from 0.
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.unit())
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(2.0 * self.exponential());
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Gamma with the given shape and mean 1 (Marsaglia and Tsang 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        // Shapes below 1 are drawn one higher and brought down by a power of a uniform number.
        let (raised, correction) = if shape < 1.0 {
            (shape + 1.0, libm::pow(self.unit(), 1.0 / shape))
        } else {
            (shape, 1.0)
        };
        let d = raised - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let x = self.normal();
            let cube = 1.0 + c * x;
            if cube <= 0.0 {
                continue;
            }
            let v = cube * cube * cube;
            if libm::log(self.unit()) < 0.5 * x * x + d * (1.0 - v + libm::log(v)) {
                return d * v * correction / shape;
            }
        }
    }
}

/// Mixes a value into a key (the finaliser of `SplitMix64`).
fn mix(key: u64, value: u64) -> u64 {
    let mut z = key
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(value.wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(agent: u64, quantity: Quantity) -> Stream {
        Stream::new(7, 0, "main", agent, quantity)
    }

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut one = stream(0, Quantity::Output);
        let said: Vec<String> = (0..4).map(|_| format!("{:.12}", one.unit())).collect();
        insta::assert_snapshot!(said.join(" "), @"0.875042872153 0.256747957798 0.202060563574 0.489236295746");
    }

    #[test]
    fn agents_and_quantities_have_streams_of_their_own() {
        let first = |agent, quantity| stream(agent, quantity).unit().to_bits();
        let all = [
            first(0, Quantity::Output),
            first(1, Quantity::Output),
            first(0, Quantity::Prompt),
            Stream::new(7, 1, "main", 0, Quantity::Output).unit().to_bits(),
            Stream::new(8, 0, "main", 0, Quantity::Output).unit().to_bits(),
            Stream::new(7, 0, "sub", 0, Quantity::Output).unit().to_bits(),
        ];
        let different: std::collections::BTreeSet<u64> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        const DRAWS: usize = 200_000;
        let moments = |draw: fn(&mut Stream) -> f64| {
            let mut stream = stream(3, Quantity::Pause);
            let values: Vec<f64> = (0..DRAWS).map(|_| draw(&mut stream)).collect();
            let mean = values.iter().sum::<f64>() / DRAWS as f64;
            let spread = values.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / DRAWS as f64;
            (mean, spread)
        };
        for (draw, mean, variance) in [
            (Stream::unit as fn(&mut Stream) -> f64, 0.5, 1.0 / 12.0),
            (Stream::exponential, 1.0, 1.0),
            (Stream::normal, 0.0, 1.0),
            (|stream| stream.gamma(0.7), 1.0, 1.0 / 0.7),
            (|stream| stream.gamma(4.0), 1.0, 0.25),
        ] {
            let got = moments(draw);
            assert!((got.0 - mean).abs() < 0.02, "mean {} of {mean}", got.0);
            assert!((got.1 - variance).abs() < 0.04, "variance {} of {variance}", got.1);
        }
    }
}
