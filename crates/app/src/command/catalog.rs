//! `localrig catalog`

use std::path::PathBuf;

use clap::Subcommand;
use localrig_facts::head::Head;
use localrig_facts::lint::lint;
use localrig_report::catalog::{self as pages, Shown};
use localrig_report::{rows, rows_of};

use crate::command;
use crate::failure::{Failure, INPUT};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The kinds of entries, or the entries of one kind
    List {
        /// The kind, for example gpu, model, shop
        kind: Option<String>,
        /// Only entries whose id or name has this in it
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// One entry in full: facts, notes, prices, sources
    Show {
        /// Its id or name
        name: String,
    },
    /// Write the model of a file into your own catalog, so that every command knows it
    Add {
        /// A GGUF or safetensors file or folder, an http(s) address, or `hf:ORG/REPO[:FILE]`
        location: String,
        /// The folder; when absent `$XDG_DATA_HOME/localrig/catalog`
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Replace an entry of the same name
        #[arg(long)]
        replace: bool,
    },
    /// Check every file against the catalog's rules
    Check {
        /// A folder that holds a whole catalog; when absent the catalog inside the program with
        /// the overlays
        folder: Option<PathBuf>,
    },
}

pub(crate) fn run(args: &Args, overlays: &[PathBuf], output: Output) -> Result<(), Failure> {
    match &args.action {
        Action::List { kind, search } => list(kind.as_deref(), search.as_deref(), overlays, output),
        Action::Show { name } => {
            let catalog = command::facts(overlays)?;
            let shown = Shown::new(&catalog, &catalog.find_any(name)?)?;
            output.answer(&shown, pages::show, |shown| {
                rows_of(["fact", "value"], shown.facts.iter()).map_err(Failure::bug)
            })
        }
        Action::Add { location, to, replace } => {
            let paths = command::model::add(location, to.as_deref(), *replace, overlays)?;
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            output.answer(
                &paths,
                |paths| pages::written(paths),
                |paths| rows_of(["path"], paths.iter().map(|path| [path])).map_err(Failure::bug),
            )
        }
        Action::Check { folder } => {
            let folders = command::folders(overlays);
            let catalog = match folder {
                Some(folder) => localrig_world::catalog_in(folder)?,
                None => localrig_world::catalog(&folders)?,
            };
            let findings = lint(&catalog);
            let files = catalog.files().count();
            output.answer(
                &findings,
                |findings| pages::findings(files, findings),
                |findings| rows(findings.iter()).map_err(Failure::bug),
            )?;
            match findings.len() {
                0 => Ok(()),
                many => Err(Failure::new(INPUT, format!("{many} findings"))),
            }
        }
    }
}

fn list(
    kind: Option<&str>,
    search: Option<&str>,
    overlays: &[PathBuf],
    output: Output,
) -> Result<(), Failure> {
    let catalog = command::facts(overlays)?;
    let mut heads = catalog.heads()?;
    let mut kinds: Vec<&'static str> = heads.iter().map(|head| head.kind).collect();
    kinds.dedup();
    if let Some(kind) = kind {
        let kind = kind.trim_end_matches('/');
        if !kinds.contains(&kind) {
            return Err(Failure::new(INPUT, format!("no kind of entry called `{kind}`"))
                .hint(format!("kinds: {}", kinds.join(", "))));
        }
        heads.retain(|head| head.kind == kind);
    }
    if let Some(search) = search {
        let search = search.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&search);
        heads.retain(|head| {
            has(head.id.as_str()) || has(head.name) || head.aliases.iter().any(|one| has(one))
        });
    }
    if kind.is_none() && search.is_none() {
        let counts: Vec<(&str, usize)> = kinds
            .iter()
            .map(|kind| (*kind, heads.iter().filter(|head| head.kind == *kind).count()))
            .collect();
        return output.answer(
            &counts,
            |counts| pages::kinds(counts),
            |counts| rows_of(["kind", "entries"], counts.iter()).map_err(Failure::bug),
        );
    }
    let title = kind.unwrap_or("catalog");
    output.answer(
        &heads,
        |heads: &Vec<Head<'_>>| pages::list(title, heads),
        |heads| {
            rows_of(["id", "name"], heads.iter().map(|head| (head.id.as_str(), head.name)))
                .map_err(Failure::bug)
        },
    )
}
