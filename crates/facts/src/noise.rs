//! Noise: measured levels where somebody measured, else a class by rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::unit::Decibels;

/// A noise class at 1 m under load.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum NoiseClass {
    /// At most 25 dB(A): not heard in a quiet room.
    Silent,
    /// At most 35 dB(A): heard, does not disturb.
    Quiet,
    /// At most 45 dB(A): like a busy desktop.
    Moderate,
    /// More: like a server or hair dryer; not beside a desk.
    Loud,
}

impl NoiseClass {
    /// The class of a level.
    pub fn of(level: Decibels) -> Self {
        match level.get() {
            level if level <= 25.0 => Self::Silent,
            level if level <= 35.0 => Self::Quiet,
            level if level <= 45.0 => Self::Moderate,
            _ => Self::Loud,
        }
    }

    /// The word used in answers and requirements.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Quiet => "quiet",
            Self::Moderate => "moderate",
            Self::Loud => "loud",
        }
    }
}

/// What is known about the noise of a machine or part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Measured level under load, lowest and highest, where there is one.
    pub load_dba: Option<[Decibels; 2]>,
    /// Class, where there is no measured level: what reviewers and makers say of it.
    pub class: Option<NoiseClass>,
}

impl Noise {
    /// The class: from the louder end of the measured level, else as stated.
    pub fn class(&self) -> Option<NoiseClass> {
        self.load_dba.map(|[_, loudest]| NoiseClass::of(loudest)).or(self.class)
    }
}
