//! `localrig model`, and models read from files for other commands.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use localrig_estimate::from_file::{FileModel, model_of_file};
use localrig_facts::model_file::ModelFile;
use localrig_facts::{Catalog, PartialDate};
use localrig_report::model::{Inspected, csv, page};
use localrig_world::model_file::{Limits, Location, read};

use crate::command;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read the header of a model: architecture, context limit, tensors by type, bytes.
    ///
    /// Never downloads weights. `hf:` asks the server in `HF_ENDPOINT`, with the token in `HF_TOKEN`
    Inspect {
        /// A GGUF or safetensors file or folder, an http(s) address, or `hf:ORG/REPO[:FILE]`
        location: String,
        /// List every tensor
        #[arg(long)]
        tensors: bool,
    },
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    let Action::Inspect { location, tensors } = &args.action;
    let file = header(location)?;
    let catalog = command::facts(overlays)?;
    // A file whose architecture is unknown is shown all the same, with the reason.
    let model = model_of_file(&catalog, &file, PartialDate::Day(localrig_world::today()));
    let inspected = Inspected::new(file, model.as_ref().map_err(ToString::to_string));
    output.answer(
        &inspected,
        |inspected| page(inspected, *tensors),
        |inspected| csv(inspected).map_err(Failure::bug),
    )
}

/// The header of the model at a place.
pub(crate) fn header(location: &str) -> Result<ModelFile, Failure> {
    Ok(read(&Location::parse(location)?, &Limits::default())?)
}

/// The catalog with the model of a file in it, and that model.
pub(crate) fn with_file(
    location: &str,
    overlays: &[PathBuf],
) -> Result<(Catalog, FileModel), Failure> {
    let file = header(location)?;
    let catalog = command::facts(overlays)?;
    let model = model_of_file(&catalog, &file, PartialDate::Day(localrig_world::today()))?;
    let entries = model.files().map_err(Failure::bug)?;
    Ok((localrig_world::catalog_with(&command::folders(overlays), entries)?, model))
}

/// Writes the model of a file into the user's catalog; the paths written.
pub(crate) fn add(
    location: &str,
    folder: Option<&Path>,
    replace: bool,
    overlays: &[PathBuf],
) -> Result<Vec<PathBuf>, Failure> {
    let file = header(location)?;
    let catalog = command::facts(overlays)?;
    let model = model_of_file(&catalog, &file, PartialDate::Day(localrig_world::today()))?;
    let entries = model.files().map_err(Failure::bug)?;
    let folder = match folder {
        Some(folder) => folder.to_owned(),
        None => localrig_world::user_catalog()?,
    };
    Ok(localrig_world::save_entries(&folder, &entries, replace)?)
}
