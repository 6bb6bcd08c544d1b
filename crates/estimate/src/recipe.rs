//! Which storage type each tensor gets under a format.
//!
//! A format lists rules by tensor role, the first that holds wins (`catalog/format/*.toml`). The
//! conditions are those of llama.cpp's `llama-quant.cpp`; formats of other engines use plain roles.

use std::collections::BTreeMap;

use localrig_facts::format::{Container, Format, TensorType};
use localrig_facts::{Catalog, CatalogError, Id};

use crate::architecture::{Layout, Role, Tensor};

/// Why a format cannot be applied to a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The format or one of its types is not in the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The format's sizes depend on the file.
    #[error("{name} is a dynamic recipe: its sizes are those of the real file, not a rule")]
    NotComputable {
        /// The format.
        name: String,
    },
    /// A rule cannot be read.
    #[error("{format}: rules.{role}: `{rule}`: {problem}")]
    Rule {
        /// The format.
        format: Id,
        /// The role the rule belongs to.
        role: String,
        /// The rule.
        rule: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// A condition of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    /// The layer is among those that get more bits: first and last eighth, every third between.
    MoreBits,
    FirstTwo,
    FirstFour,
    FirstEighth,
    FirstSixteenth,
    /// At least four query heads share a KV head in the first layer.
    GroupOfFour,
    /// The model has exactly eight experts (Mixtral).
    EightExperts,
    /// A Llama or Qwen2 with 80 layers and grouped queries: the 70B class.
    Llama70b,
    /// The row length is no multiple of the default type's block.
    Ragged,
}

/// A rule: a type under a condition.
#[derive(Clone, Copy, Debug)]
struct Rule<'a> {
    kind: &'a TensorType,
    condition: Condition,
}

/// A format ready to be applied.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// Its id.
    pub id: &'a Id,
    /// The format.
    pub format: &'a Format,
    default: &'a TensorType,
    rules: Vec<(&'a str, Vec<Rule<'a>>)>,
    /// Type of what is never quantised, and of what keeps the source's precision.
    f32: &'a TensorType,
    keep: &'a TensorType,
    f16: &'a TensorType,
    fallback: BTreeMap<&'a str, &'a TensorType>,
    /// Types of single tensors by full name.
    single: BTreeMap<String, &'a TensorType>,
}

impl<'a> Recipe<'a> {
    /// Reads the rules of a format.
    ///
    /// # Errors
    /// When the format's sizes are no rule, or a rule cannot be read.
    pub fn new(catalog: &'a Catalog, id: &'a Id, format: &'a Format) -> Result<Self, RecipeError> {
        let kind = |name: &str| catalog.get_in::<TensorType>(name).map(|(_, kind)| kind);
        let Some(default) = &format.default else {
            return Err(RecipeError::NotComputable { name: format.name.clone() });
        };
        let mut rules = Vec::new();
        for (role, texts) in &format.rules {
            let parsed = texts
                .iter()
                .map(|text| {
                    let error = |problem| RecipeError::Rule {
                        format: id.clone(),
                        role: role.clone(),
                        rule: text.clone(),
                        problem,
                    };
                    let (name, condition) = match text.split_once(" if ") {
                        None => (text.as_str(), Condition::Always),
                        Some((name, word)) => {
                            (name, condition(word).ok_or_else(|| error("unknown condition"))?)
                        }
                    };
                    Ok(Rule { kind: kind(name)?, condition })
                })
                .collect::<Result<Vec<_>, RecipeError>>()?;
            if role != "stacked" && !Role::ALL.iter().any(|one| one.key() == role) {
                return Err(RecipeError::Rule {
                    format: id.clone(),
                    role: role.clone(),
                    rule: texts.join(", "),
                    problem: "unknown role",
                });
            }
            rules.push((role.as_str(), parsed));
        }
        let gguf = format.container == Container::Gguf;
        // GGUF keeps norms in 32 bits; checkpoints of other engines keep them in 16.
        let (f32, keep) = match (gguf, default.as_str()) {
            (true, "f16") => (kind("f32")?, kind("f16")?),
            (true, "f32") => (kind("f32")?, kind("f32")?),
            (true, _) => (kind("f32")?, kind("bf16")?),
            (false, _) => (kind("bf16")?, kind("bf16")?),
        };
        let fallback = catalog
            .all::<TensorType>()?
            .values()
            .filter_map(|one| Some((one.name.as_str(), one.fallback.as_deref()?)))
            .map(|(name, other)| Ok((name, kind(other)?)))
            .collect::<Result<_, CatalogError>>()?;
        let mut single = BTreeMap::new();
        for (name, entries) in &format.tensors {
            let kind = kind(name)?;
            for entry in entries {
                let names = single_names(entry).ok_or_else(|| RecipeError::Rule {
                    format: id.clone(),
                    role: format!("tensors.{name}"),
                    rule: entry.clone(),
                    problem: "after a name come layers: `attn_v.weight 0-3,7`",
                })?;
                single.extend(names.into_iter().map(|name| (name, kind)));
            }
        }
        Ok(Self {
            id,
            format,
            single,
            default: kind(default)?,
            rules,
            f32,
            keep,
            f16: kind("f16")?,
            fallback,
        })
    }

    /// The type of every tensor of a model, in the order of `layout.tensors`.
    pub fn types(&self, layout: &Layout) -> Vec<&'a TensorType> {
        if !self.single.is_empty() {
            let of = |tensor: &Tensor| self.single.get(&tensor.full_name()).copied();
            return layout.tensors.iter().map(|one| of(one).unwrap_or(self.default)).collect();
        }
        let is_v = |tensor: &&Tensor| tensor.role == Role::AttentionV;
        let total_v = layout.tensors.iter().filter(is_v).count() as u64;
        let facts = ModelFacts::of(layout);
        let (mut seen_v, mut seen_down) = (0, 0);
        let mut types = vec![self.default; layout.tensors.len()];
        for index in layout.order.iter().map(|index| *index as usize) {
            let tensor = &layout.tensors[index];
            let role = tensor.role;
            let place = match role {
                Role::AttentionV => (seen_v, total_v),
                // Expert models count by layer, since a layer has several down projections.
                Role::FfnDown if facts.experts > 1 => {
                    (tensor.layer.map_or(0, u64::from), facts.layers)
                }
                Role::FfnDown => (seen_down, facts.layers),
                _ => (0, 1),
            };
            types[index] = self.kind_of(tensor, role, place, &facts);
            if types[index].name != self.f32.name {
                match role {
                    Role::AttentionV => seen_v += 1,
                    Role::FfnDown => seen_down += 1,
                    _ => {}
                }
            }
        }
        types
    }

    fn kind_of(
        &self,
        tensor: &Tensor,
        role: Role,
        place: (u64, u64),
        facts: &ModelFacts,
    ) -> &'a TensorType {
        if tensor.f32 {
            return self.f32;
        }
        if tensor.keep {
            return self.keep;
        }
        let row = tensor.shape[0];
        let stacked = tensor.shape.get(2).is_some_and(|length| *length > 1);
        let holds = |rule: &&Rule<'a>| rule.condition.holds(place, facts, row, self.default.block);
        let rules_of = |key: &str| {
            self.rules
                .iter()
                .find(|(role, _)| *role == key)
                .map_or(&[][..], |(_, rules)| &rules[..])
        };
        let by_shape = if stacked && role != Role::Output { rules_of("stacked") } else { &[] };
        let chosen = by_shape
            .iter()
            .find(holds)
            .or_else(|| rules_of(role.key()).iter().find(holds))
            .map_or(self.default, |rule| rule.kind);
        self.fitted(chosen, row)
    }

    /// The type, or its fallback where the row is no multiple of the block; 16 bits as last resort.
    fn fitted(&self, kind: &'a TensorType, row: u64) -> &'a TensorType {
        if self.format.container != Container::Gguf || row.is_multiple_of(kind.block) {
            return kind;
        }
        match self.fallback.get(kind.name.as_str()) {
            Some(other) if row.is_multiple_of(other.block) => other,
            _ => self.f16,
        }
    }
}

/// What conditions ask of a model.
struct ModelFacts {
    layers: u64,
    experts: u64,
    group: u64,
    seventy_b: bool,
}

impl ModelFacts {
    fn of(layout: &Layout) -> Self {
        Self {
            layers: layout.layers.len() as u64,
            experts: layout.experts(),
            group: layout.first_group,
            seventy_b: layout.seventy_b,
        }
    }
}

/// The most layers an entry may list: a guard against a slipped digit.
const MOST_LAYERS: u32 = 10_000;

/// Full names of `attn_v.weight 0-3,7` or `output.weight`.
fn single_names(entry: &str) -> Option<Vec<String>> {
    let Some((name, layers)) = entry.split_once(' ') else {
        return Some(vec![entry.to_owned()]);
    };
    let mut names = Vec::new();
    for range in layers.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last > MOST_LAYERS {
            return None;
        }
        names.extend((first..=last).map(|layer| format!("blk.{layer}.{name}")));
    }
    Some(names)
}

fn condition(word: &str) -> Option<Condition> {
    Some(match word {
        "more_bits" => Condition::MoreBits,
        "first_two" => Condition::FirstTwo,
        "first_four" => Condition::FirstFour,
        "first_eighth" => Condition::FirstEighth,
        "first_sixteenth" => Condition::FirstSixteenth,
        "gqa_4" => Condition::GroupOfFour,
        "eight_experts" => Condition::EightExperts,
        "llama_70b" => Condition::Llama70b,
        "ragged" => Condition::Ragged,
        _ => return None,
    })
}

impl Condition {
    /// `place` is the tensor's position among those of its role, and how many there are.
    fn holds(self, (at, count): (u64, u64), facts: &ModelFacts, row: u64, block: u64) -> bool {
        match self {
            Self::Always => true,
            Self::MoreBits => at < count / 8 || at >= 7 * count / 8 || (at - count / 8) % 3 == 2,
            Self::FirstTwo => at < 2,
            Self::FirstFour => at < 4,
            Self::FirstEighth => at < count / 8,
            Self::FirstSixteenth => at < count / 16,
            Self::GroupOfFour => facts.group >= 4,
            Self::EightExperts => facts.experts == 8,
            Self::Llama70b => facts.seventy_b,
            Self::Ragged => !row.is_multiple_of(block),
        }
    }
}
