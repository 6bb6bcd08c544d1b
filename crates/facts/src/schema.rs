//! JSON Schemas of the catalog's files, generated from the types that read them.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use crate::calibration::{Classes, Fitted, Intervals, MachineConstants, Priors};
use crate::catalog::{Entry, SourceList, for_each_entry};
use crate::money::Rate;
use crate::price::{PriceRow, UnusableRow};
use crate::quality::{FormatLossRow, ScoreRow, Tasks};

/// Every schema with its file name below `schemas/`.
pub fn schemas() -> Vec<(String, Schema)> {
    let mut all = Vec::new();
    for_each_entry!(add_entry(&mut all));
    add::<SourceList>(&mut all, "source");
    add::<Priors>(&mut all, "prior");
    add::<MachineConstants>(&mut all, "machine_constants");
    add::<Classes>(&mut all, "class");
    add::<Fitted>(&mut all, "fitted");
    add::<Intervals>(&mut all, "interval");
    add::<Tasks>(&mut all, "tasks");
    add::<PriceRow>(&mut all, "price_row");
    add::<UnusableRow>(&mut all, "unusable_price_row");
    add::<Rate>(&mut all, "rate_row");
    add::<ScoreRow>(&mut all, "score_row");
    add::<FormatLossRow>(&mut all, "format_loss_row");
    all
}

fn add_entry<T: Entry + JsonSchema>(all: &mut Vec<(String, Schema)>) {
    add::<T>(all, T::FOLDER);
}

fn add<T: JsonSchema>(all: &mut Vec<(String, Schema)>, name: &str) {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    all.push((format!("{name}.schema.json"), schema));
}
