//! What documents about hardware for language models say, and what holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::date::PartialDate;
use crate::id::Id;
use crate::source::Sources;

/// The claims of one document: `catalog/claim/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Name.
    pub name: String,
    /// Short number or word that places are written with: `002`.
    pub number: String,
    /// When it was written.
    pub dated: PartialDate,
    /// Its claims, in the order of the document.
    #[serde(rename = "claim")]
    pub claims: Vec<Claim>,
    /// Who says what holds.
    pub sources: Sources,
}

/// One claim and what holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Name, unique in the document. The same key in another document is the same claim.
    pub key: String,
    /// Lines of the document, from 1. None: the document is silent, or its lines are not known.
    #[serde(default)]
    pub lines: Vec<u32>,
    /// File of the document, when it has several.
    pub place: Option<String>,
    /// What the document says, in few words; for `missing`, what it leaves out.
    pub claim: String,
    /// How that stands.
    pub verdict: Verdict,
    /// What holds.
    pub fact: String,
    /// What that changes for who buys or plans.
    pub effect: Option<String>,
    /// The machines, parts and models it is about: it concerns a configuration with any of them.
    #[serde(default)]
    pub about: Vec<Id>,
    /// It concerns a configuration only with one of these as well.
    #[serde(default)]
    pub with: Vec<Id>,
    /// It concerns only configurations with this many accelerators.
    pub cards: Option<u32>,
    /// The figures in it that can be recomputed from the catalog.
    #[serde(default)]
    pub checks: Vec<Statement>,
    /// Words by which the claim is known in other texts: all words of one phrase on one line, in
    /// lower case.
    #[serde(default)]
    pub phrases: Vec<Vec<String>>,
    /// Names of the sources of the fact.
    pub sources: Vec<String>,
}

/// How a claim stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does not hold.
    Wrong,
    /// It can be used only with the correction.
    Imprecise,
    /// It held when it was written.
    Outdated,
    /// No source was found either way.
    Unverified,
    /// The document says nothing about something that matters.
    Missing,
    /// It holds.
    Right,
}

impl Verdict {
    /// Every verdict, worst first.
    pub const ALL: [Self; 6] = [
        Self::Wrong,
        Self::Imprecise,
        Self::Outdated,
        Self::Unverified,
        Self::Missing,
        Self::Right,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Imprecise => "imprecise",
            Self::Outdated => "outdated",
            Self::Unverified => "unverified",
            Self::Missing => "missing",
            Self::Right => "right",
        }
    }

    /// Whether who relies on the claim is misled.
    pub fn misleads(self) -> bool {
        matches!(self, Self::Wrong | Self::Imprecise | Self::Outdated)
    }
}

/// A figure that is said of a machine, a model or both, in the unit of its quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What is said.
    pub quantity: Quantity,
    /// The machine, as one would name it to `estimate`.
    pub machine: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The format, for sizes.
    pub format: Option<String>,
    /// The context, for KV caches.
    pub context_tokens: Option<u64>,
    /// Streams of the model at the same time, for speeds while others run.
    pub streams: Option<u32>,
    /// Models that run beside it on the same machine.
    #[serde(default)]
    pub beside: Vec<Beside>,
    /// The least and most that is said; the same twice for a single figure.
    pub says: [f64; 2],
}

/// A model that runs beside another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The model.
    pub model: String,
    /// Its streams at the same time.
    pub streams: u32,
}

/// What a statement gives a figure of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Memory of a machine, in GB as makers write it (binary).
    Memory,
    /// Memory bandwidth, GB/s.
    Bandwidth,
    /// Power of an accelerator, W.
    Power,
    /// Whether cards can be linked by NVLink: 1 yes, 0 no.
    Nvlink,
    /// Whether a card has no fan of its own: 1 yes, 0 no.
    Passive,
    /// Whether private buyers can get an accelerator by itself, new or used: 1 yes, 0 no.
    SoldSingly,
    /// Whether a model is a mixture of experts: 1 yes, 0 no.
    Mixture,
    /// Parameters of a model, billions.
    TotalParameters,
    /// Parameters that work on a token, billions.
    ActiveParameters,
    /// Longest context, tokens.
    Context,
    /// Size of a model's weights in a format, GB (decimal).
    Size,
    /// KV cache of one request in FP16, GB (decimal).
    KvCache,
    /// Speed of one stream, tok/s.
    Speed,
    /// Share of its speed alone that each of several streams keeps, percent.
    StreamShare,
    /// Speed of each stream while several, and other models, generate on the machine, tok/s.
    LoadedSpeed,
    /// Price of a machine, CHF.
    Price,
}

impl Quantity {
    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Bandwidth => "bandwidth",
            Self::Power => "power",
            Self::Nvlink => "NVLink",
            Self::Passive => "passive cooling",
            Self::SoldSingly => "sold singly",
            Self::Mixture => "mixture of experts",
            Self::TotalParameters => "parameters",
            Self::ActiveParameters => "active parameters",
            Self::Context => "context",
            Self::Size => "size",
            Self::KvCache => "KV cache",
            Self::Speed => "speed",
            Self::StreamShare => "share of the speed alone",
            Self::LoadedSpeed => "speed beside others",
            Self::Price => "price",
        }
    }

    /// Its unit, as written after a figure.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Memory | Self::Size | Self::KvCache => "GB",
            Self::Bandwidth => "GB/s",
            Self::Power => "W",
            Self::Nvlink | Self::Passive | Self::SoldSingly | Self::Mixture => "",
            Self::TotalParameters | Self::ActiveParameters => "B",
            Self::Context => "tokens",
            Self::Speed | Self::LoadedSpeed => "tok/s",
            Self::StreamShare => "%",
            Self::Price => "CHF",
        }
    }
}

impl Document {
    /// Where a claim stands: `002, lines 190 and 203`, or the document alone.
    pub fn place(&self, claim: &Claim) -> String {
        let lines: Vec<String> = claim.lines.iter().map(ToString::to_string).collect();
        match (&claim.place, &lines[..]) {
            (Some(file), _) => file.clone(),
            (None, []) => self.number.clone(),
            (None, [one]) => format!("{}, line {one}", self.number),
            (None, [most @ .., last]) => {
                format!("{}, lines {} and {last}", self.number, most.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::from_toml;

    #[test]
    fn a_place_names_document_and_lines() {
        let text = "name = \"002 skill\"\nnumber = \"002\"\ndated = \"2026-02\"\n\
            [[claim]]\nkey = \"x\"\nlines = [1, 2, 30]\nclaim = \"a\"\nverdict = \"wrong\"\n\
            fact = \"b\"\nsources = [\"s\"]\n[sources]\n";
        let document: Document = from_toml("claim/x.toml", text).unwrap();
        let mut claim = document.claims[0].clone();
        assert_eq!(document.place(&claim), "002, lines 1, 2 and 30");
        claim.lines.truncate(1);
        assert_eq!(document.place(&claim), "002, line 1");
        claim.place = Some("build-guide.md".to_owned());
        assert_eq!(document.place(&claim), "build-guide.md");
    }
}
