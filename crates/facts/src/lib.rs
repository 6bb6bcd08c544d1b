//! Facts: units, ids, sources, and the catalog of hardware, models, engines, shops and prices.
//!
//! This crate knows the shape of the catalog and how to find things in it. It does not know where
//! files lie, and it contains no formula about speed, memory or money.

pub mod amount;
mod basis;
pub mod calibration;
pub mod catalog;
pub mod claim;
mod date;
pub mod document;
pub mod engine;
pub mod figure;
pub mod format;
pub mod generation;
pub mod gpu;
pub mod head;
mod id;
pub mod lint;
pub mod machine;
pub mod measured;
pub mod model;
pub mod model_file;
mod money;
pub mod noise;
pub mod part;
pub mod price;
pub mod quality;
pub mod region;
pub mod rent;
pub mod resolve;
pub mod schema;
pub mod shop;
mod source;
pub mod survey;

pub mod system;
pub mod tier;
pub mod unit;

pub use basis::{Basis, Estimate};
pub use catalog::{Catalog, CatalogError};
pub use date::{Date, DateError, PartialDate};
pub use id::Id;
pub use money::{Currency, Money, Rate, exchange};
pub use source::{Note, Source, SourceKind, Sources, witness};
