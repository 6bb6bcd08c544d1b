//! The derivation of a number: every term with its formula, value and origin.

use localrig_facts::Basis;
use serde::Serialize;

/// One term of a sum or product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// What it is.
    pub name: String,
    /// How it is computed, in words and names of facts.
    pub formula: String,
    /// The value with its unit, ready to print.
    pub value: String,
    /// How it came about.
    pub basis: Basis,
    /// Ids of the catalog entries it rests on.
    pub facts: Vec<String>,
}

impl Term {
    /// A term.
    pub fn new(
        name: impl Into<String>,
        formula: impl Into<String>,
        value: impl Into<String>,
        basis: Basis,
        facts: &[&str],
    ) -> Self {
        Self {
            name: name.into(),
            formula: formula.into(),
            value: value.into(),
            basis,
            facts: facts.iter().map(|fact| (*fact).to_owned()).collect(),
        }
    }
}
