//! A requirement: what the machine must do, cost and sound like, as data.

mod check;

use localrig_facts::document::{DocumentError, from_toml};
use localrig_facts::format::Precision;
use localrig_facts::noise::NoiseClass;
use localrig_facts::shop::Tier;
use localrig_facts::system::Form;
use localrig_facts::unit::{Gib, TokensPerSec};
use localrig_facts::{Catalog, CatalogError, Currency, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::check::Wrong;

/// A requirement file: `requirements/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// What it is, for people.
    pub name: String,
    /// Where the machine is bought and stands: short id under `region/`.
    pub region: String,
    /// Streams of all roles together.
    pub streams: Streams,
    /// What runs on the machine; the first role is the main one.
    #[serde(rename = "role")]
    pub roles: Vec<Role>,
    /// Accelerator memory.
    pub memory: MemoryWish,
    /// Quantization.
    pub format: FormatWish,
    /// Money.
    pub budget: Budget,
    /// Noise.
    pub noise: NoiseLimit,
    /// Power.
    pub power: PowerLimit,
    /// Shape.
    pub form: FormWish,
    /// Makers of the accelerator.
    pub platform: PlatformWish,
    /// Used goods.
    pub used: UsedPolicy,
    /// Where to buy.
    pub shops: ShopWish,
    /// How it is reached.
    pub access: Access,
    /// What may come later.
    pub growth: Growth,
}

/// Streams that run at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Wanted, from and to.
    pub target: [u32; 2],
    /// Needed.
    pub minimum: u32,
}

/// Something that runs on the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Name.
    pub name: String,
    /// Task its models are judged by: a name in `quality/task.toml`.
    pub task: String,
    /// Streams at the same time.
    pub streams: u64,
    /// Context of each stream.
    pub context_tokens: u64,
    /// Speed of each stream while everything runs: wanted, from and to.
    pub speed_target_tok_per_s: Option<[TokensPerSec; 2]>,
    /// Speed needed.
    pub speed_minimum_tok_per_s: Option<TokensPerSec>,
    /// Size of models considered, in billions of parameters, from and to.
    pub parameters_b: Option<[f64; 2]>,
    /// Models considered; empty = all that are known for the task.
    #[serde(default)]
    pub models: Vec<String>,
    /// A model that this role's must certainly equal at its task: what they rank by, the lower end
    /// of their ability less what the format costs, is at least the middle of this one's. That
    /// model itself always counts, and models that are named under `models` do whatever they can.
    pub at_least_as_good_as: Option<String>,
    /// Whether it looks at images.
    #[serde(default)]
    pub images: bool,
    /// A role it takes turns with: only one of the two is loaded.
    pub instead_of: Option<String>,
}

/// Accelerator memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryWish {
    /// Wanted.
    pub target_gib: Gib,
    /// Needed.
    pub minimum_gib: Gib,
    /// Whether less than the minimum rules a machine out.
    pub hard: bool,
}

/// Quantization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatWish {
    /// Wanted.
    pub preferred: Precision,
    /// Accepted as well.
    pub acceptable: Vec<Precision>,
}

/// Money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Currency; must be the region's.
    pub currency: Currency,
    /// What one expects to spend at least and most. Cheaper machines pass.
    pub range: [f64; 2],
    /// Where one would like to be: up to its lower end, a lower price is worth no more.
    pub sweet_spot: [f64; 2],
    /// Whether more than the range rules a machine out.
    pub hard: bool,
}

impl Budget {
    /// The most that may be spent.
    pub fn most(&self) -> Money {
        Money::of(self.range[1], self.currency)
    }
}

/// Noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseLimit {
    /// Loudest class wanted.
    pub limit: NoiseClass,
    /// Whether a louder machine is ruled out.
    pub hard: bool,
}

/// Power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerLimit {
    /// The wall socket: a type of the region.
    pub socket: String,
    /// Whether a machine that needs more is ruled out.
    pub hard: bool,
}

/// Shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormWish {
    /// Shapes that are welcome.
    pub accepted: Vec<Form>,
    /// Whether others are ruled out.
    pub hard: bool,
}

/// Makers of the accelerator, by their short name in lower case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformWish {
    /// Wanted.
    pub preferred: Vec<String>,
    /// Accepted.
    pub accepted: Vec<String>,
    /// Whether others are ruled out.
    pub hard: bool,
}

/// Used goods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsedPolicy {
    /// Whether used goods are considered where something is not sold new.
    pub accepted: bool,
}

/// Where to buy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShopWish {
    /// Kinds of shops preferred.
    pub preferred: Vec<Tier>,
    /// Kinds of shops accepted.
    pub accepted: Vec<Tier>,
    /// Shops named: short ids under `shop/`.
    #[serde(default)]
    pub named: Vec<String>,
}

/// How the machine is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Whether it runs without monitor and keyboard.
    pub headless: bool,
    /// Ways in: `ssh`, `api`, `web`, `local`.
    pub ways: Vec<String>,
}

/// What may come later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Whether room for more counts.
    pub wanted: bool,
    /// Whether colleagues may share the machine.
    pub share_with_colleagues: bool,
}

/// A requirement that contradicts itself, or names what does not exist.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequirementError {
    /// It does not have its shape, or a value of it makes no sense.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A value that did not come from a file makes no sense.
    #[error("{}: {}", .0.name(), .0.problem)]
    Value(#[from] Wrong),
    /// A catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Role {
    /// How near a speed comes to the minimum: 1 when it meets it or there is none.
    pub fn nearness(&self, speed: TokensPerSec) -> f64 {
        self.speed_minimum_tok_per_s.map_or(1.0, |minimum| (speed / minimum).min(1.0))
    }
}

impl Requirement {
    /// Reads a requirement.
    ///
    /// # Errors
    /// When the text has an unknown key or a value that makes no sense; the error names the place.
    pub fn parse(path: &str, text: &str) -> Result<Self, RequirementError> {
        let requirement: Self = from_toml(path, text)?;
        match requirement.contradiction() {
            Some(wrong) => Err(wrong.at(path, text).into()),
            None => Ok(requirement),
        }
    }

    /// Reads a requirement whose names all stand in a catalog.
    ///
    /// # Errors
    /// As [`Self::parse`], and when a name is in none of the catalog's files.
    pub fn read(catalog: &Catalog, path: &str, text: &str) -> Result<Self, RequirementError> {
        let requirement = Self::parse(path, text)?;
        match requirement.unknown_name(catalog)? {
            Some(wrong) => Err(wrong.at(path, text).into()),
            None => Ok(requirement),
        }
    }

    /// Checks again what the types cannot, after fields were changed.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn check(&self) -> Result<(), RequirementError> {
        match self.contradiction() {
            Some(wrong) => Err(wrong.into()),
            None => Ok(()),
        }
    }

    /// The same circumstances (region, shops, used goods, socket) for one role alone, without
    /// limits on money, noise, shape or maker: what is the least that does it?
    #[must_use]
    pub fn for_one(&self, role: Role, format: FormatWish) -> Self {
        /// Far above any machine: money is no limit here, the order is by price.
        const NO_LIMIT: f64 = 1e9;
        let tiny = Gib::new(f64::MIN_POSITIVE);
        let streams = u32::try_from(role.streams).unwrap_or(u32::MAX);
        Self {
            name: role.name.clone(),
            streams: Streams { target: [streams, streams], minimum: streams },
            roles: vec![role],
            memory: MemoryWish { target_gib: tiny, minimum_gib: tiny, hard: false },
            format,
            budget: Budget {
                range: [1.0, NO_LIMIT],
                sweet_spot: [1.0, NO_LIMIT],
                hard: false,
                ..self.budget.clone()
            },
            noise: NoiseLimit { hard: false, ..self.noise.clone() },
            form: FormWish { hard: false, ..self.form.clone() },
            platform: PlatformWish { hard: false, ..self.platform.clone() },
            ..self.clone()
        }
    }

    /// The same wishes without hard limits: what would run on a machine that is already chosen?
    #[must_use]
    pub fn without_limits(&self) -> Self {
        const NO_LIMIT: f64 = 1e9;
        Self {
            memory: MemoryWish { hard: false, ..self.memory.clone() },
            budget: Budget { range: [1.0, NO_LIMIT], hard: false, ..self.budget.clone() },
            noise: NoiseLimit { hard: false, ..self.noise.clone() },
            form: FormWish { hard: false, ..self.form.clone() },
            platform: PlatformWish { hard: false, ..self.platform.clone() },
            ..self.clone()
        }
    }

    /// The main role.
    pub fn main(&self) -> &Role {
        // `check` holds a requirement to at least one role.
        &self.roles[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME_OFFICE: &str = include_str!("../../../requirements/home-office.toml");

    #[test]
    fn the_shipped_requirements_make_sense() {
        for text in [
            HOME_OFFICE,
            include_str!("../../../requirements/model-stack.toml"),
            include_str!("../../../requirements/small-team.toml"),
        ] {
            Requirement::parse("shipped", text).unwrap();
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_key() {
        let say = |from: &str, to: &str| {
            Requirement::parse("mine.toml", &HOME_OFFICE.replace(from, to)).unwrap_err().to_string()
        };
        let said = [
            say("range = [4000, 15000]", "range = [15000, 4000]"),
            say("streams = 4", "streams = 0"),
            say("minimum_gib = 128", "minimum_gib = 512"),
            say("streams = 4\n", "strems = 4\n"),
            say("speed_minimum_tok_per_s = 30", "speed_minimum_tok_per_s = -5"),
            say("speed_minimum_tok_per_s = 30", "speed_minimum_tok_per_s = nan"),
            say("speed_minimum_tok_per_s = 30", "speed_minimum_tok_per_s = 70"),
            say("target = [5, 10]", "target = [10, 5]"),
            say("minimum = 3", "minimum = 30"),
            say("minimum_gib = 128", "minimum_gib = -5"),
            say("range = [4000, 15000]", "range = [4000, 1e300]"),
            say("streams = 4\n", "streams = 4\ninstead_of = \"vision\"\n"),
        ]
        .join("\n");
        insta::assert_snapshot!(said, @r#"
        mine.toml:60:9: budget.range: must be two positive amounts, the smaller first
           |
        60 | range = [15000, 4000]
           |         ^^^^^^^^^^^^^
        mine.toml:26:11: role sub-agent: streams: must be at least 1
           |
        26 | streams = 0
           |           ^
        mine.toml:49:15: memory.minimum_gib: the minimum is above the target
           |
        49 | minimum_gib = 512
           |               ^^^
        mine.toml:26:1: unknown key `strems`
           |
        26 | strems = 4
           | ^^^^^^
        mine.toml:20:27: role main: speed_minimum_tok_per_s: must be above 0
           |
        20 | speed_minimum_tok_per_s = -5
           |                           ^^
        mine.toml:20:27: role main: speed_minimum_tok_per_s: must be above 0
           |
        20 | speed_minimum_tok_per_s = nan
           |                           ^^^
        mine.toml:20:27: role main: speed_minimum_tok_per_s: the minimum is above the target
           |
        20 | speed_minimum_tok_per_s = 70
           |                           ^^
        mine.toml:8:10: streams.target: must be two positive numbers, the smaller first
          |
        8 | target = [10, 5]
          |          ^^^^^^^
        mine.toml:9:11: streams.minimum: must be at least 1 and no more than the target
          |
        9 | minimum = 30
          |           ^^
        mine.toml:49:15: memory.minimum_gib: must be above 0
           |
        49 | minimum_gib = -5
           |               ^^
        mine.toml:60:9: budget.range: must be at most 1,000,000,000
           |
        60 | range = [4000, 1e300]
           |         ^^^^^^^^^^^^^
        mine.toml:27:14: role sub-agent: instead_of: `vision` must stand before it
           |
        27 | instead_of = "vision"
           |              ^^^^^^^^
        "#);
    }
}
