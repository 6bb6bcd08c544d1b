//! How long a prompt, an answer or a pause is: a number or a distribution, as data.

use localrig_facts::unit::Seconds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random::Stream;
use crate::time::Nanos;

/// A distribution as a file writes it: exactly one of
/// `{ fixed }`, `{ low, high }` (even), `{ median, mean }`, `{ median, p90 }`, `{ median, p95 }`
/// (log-normal), `{ exponential_mean }`; and, if wanted, `most`, above which it is cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Always this.
    pub fixed: Option<f64>,
    /// Evenly from here …
    pub low: Option<f64>,
    /// … to there.
    pub high: Option<f64>,
    /// Median of a log-normal distribution.
    pub median: Option<f64>,
    /// Its mean.
    pub mean: Option<f64>,
    /// Its 90th percentile.
    pub p90: Option<f64>,
    /// Its 95th percentile.
    pub p95: Option<f64>,
    /// Mean of an exponential distribution.
    pub exponential_mean: Option<f64>,
    /// Greater values are cut to this.
    pub most: Option<f64>,
}

/// A distribution that can be drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    shape: Shape,
    most: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Fixed(f64),
    Even { low: f64, high: f64 },
    LogNormal { location: f64, scale: f64 },
    Exponential { mean: f64 },
}

/// Standard normal quantiles.
const Z90: f64 = 1.281_551_565_544_6;
const Z95: f64 = 1.644_853_626_951_473;

impl Distribution {
    /// Always the same value.
    pub fn fixed(value: f64) -> Self {
        Self { fixed: Some(value), ..Self::default() }
    }

    /// The sampler, or what is wrong.
    ///
    /// # Errors
    /// When the keys do not make one distribution, or a value is negative or no number.
    pub fn sampler(&self) -> Result<Sampler, &'static str> {
        let values = [
            self.fixed,
            self.low,
            self.high,
            self.median,
            self.mean,
            self.p90,
            self.p95,
            self.exponential_mean,
            self.most,
        ];
        if values.into_iter().flatten().any(|value| !(value >= 0.0 && value.is_finite())) {
            return Err("values must be numbers of at least 0");
        }
        let shape = match (
            (self.fixed, self.exponential_mean),
            (self.low, self.high),
            (self.median, self.mean, self.p90, self.p95),
        ) {
            ((Some(value), None), (None, None), (None, None, None, None)) => Shape::Fixed(value),
            ((None, Some(mean)), (None, None), (None, None, None, None)) => {
                Shape::Exponential { mean }
            }
            ((None, None), (Some(low), Some(high)), (None, None, None, None)) => {
                if low > high {
                    return Err("`low` is above `high`");
                }
                Shape::Even { low, high }
            }
            ((None, None), (None, None), (Some(median), Some(mean), None, None)) => {
                // mean = median * exp(scale^2 / 2)
                log_normal(median, mean, |ratio| libm::sqrt(2.0 * ratio))?
            }
            ((None, None), (None, None), (Some(median), None, Some(p90), None)) => {
                log_normal(median, p90, |ratio| ratio / Z90)?
            }
            ((None, None), (None, None), (Some(median), None, None, Some(p95))) => {
                log_normal(median, p95, |ratio| ratio / Z95)?
            }
            _ => {
                return Err("must be one of { fixed }, { low, high }, { median, mean }, \
                            { median, p90 }, { median, p95 }, { exponential_mean }");
            }
        };
        Ok(Sampler { shape, most: self.most.unwrap_or(f64::INFINITY) })
    }
}

fn log_normal(median: f64, other: f64, scale: fn(f64) -> f64) -> Result<Shape, &'static str> {
    if median <= 0.0 || other < median {
        return Err("the median must be above 0 and not above the mean or percentile");
    }
    Ok(Shape::LogNormal { location: libm::log(median), scale: scale(libm::log(other / median)) })
}

impl Sampler {
    /// Draws a value.
    pub fn draw(&self, stream: &mut Stream) -> f64 {
        let value = match self.shape {
            // A draw is made all the same, so that the stream stays in step.
            Shape::Fixed(value) => {
                stream.unit();
                value
            }
            Shape::Even { low, high } => low + (high - low) * stream.unit(),
            Shape::LogNormal { location, scale } => libm::exp(location + scale * stream.normal()),
            Shape::Exponential { mean } => mean * stream.exponential(),
        };
        value.min(self.most)
    }

    /// Draws a whole number of at least `least`.
    pub fn count(&self, stream: &mut Stream, least: u32) -> u32 {
        (self.draw(stream).round() as u32).max(least)
    }

    /// Draws a length of time.
    pub fn time(&self, stream: &mut Stream) -> Nanos {
        Nanos::of(Seconds::new(self.draw(stream)))
    }

    /// The mean, `most` left aside.
    pub fn mean(&self) -> f64 {
        let mean = match self.shape {
            Shape::Fixed(value) => value,
            Shape::Even { low, high } => f64::midpoint(low, high),
            Shape::LogNormal { location, scale } => libm::exp(location + scale * scale / 2.0),
            Shape::Exponential { mean } => mean,
        };
        mean.min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Quantity;

    #[test]
    fn draws_meet_what_the_file_says() {
        let tool = Distribution { median: Some(1.0), p95: Some(30.0), ..Distribution::default() };
        let prompt =
            Distribution { median: Some(1_500.0), mean: Some(6_400.0), ..Distribution::default() };
        let draws = |one: Distribution| {
            let sampler = one.sampler().unwrap();
            let mut stream = Stream::new(1, 0, "x", 0, Quantity::Prompt);
            let mut values: Vec<f64> = (0..100_000).map(|_| sampler.draw(&mut stream)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.05;
        let tool = draws(tool);
        assert!(
            near(tool[50_000], 1.0) && near(tool[95_000], 30.0),
            "{} {}",
            tool[50_000],
            tool[95_000]
        );
        let prompt = draws(prompt);
        assert!(near(prompt[50_000], 1_500.0), "{}", prompt[50_000]);
        assert!(near(prompt.iter().sum::<f64>() / 1e5, 6_400.0));
    }

    #[test]
    fn keys_that_make_no_distribution_are_refused() {
        let bad = [
            Distribution::default(),
            Distribution { fixed: Some(1.0), low: Some(1.0), ..Distribution::default() },
            Distribution { low: Some(2.0), high: Some(1.0), ..Distribution::default() },
            Distribution { median: Some(2.0), mean: Some(1.0), ..Distribution::default() },
            Distribution::fixed(-1.0),
            Distribution::fixed(f64::NAN),
        ];
        for one in bad {
            assert!(one.sampler().is_err(), "{one:?}");
        }
    }
}
