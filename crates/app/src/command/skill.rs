//! `localrig skill`

use std::path::PathBuf;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of skills to install it into, for example ~/.claude/skills; when absent the skill is
    /// printed
    #[arg(long, value_name = "DIR")]
    install: Option<PathBuf>,
}

/// The skill's folder must be called what its front matter says.
const NAME: &str = "localrig";

pub(crate) fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let files = localrig_world::skill();
    let Some(folder) = &args.install else {
        let skill = files.iter().find(|(path, _)| path == "SKILL.md").map_or("", |(_, text)| text);
        return output.bytes(skill.as_bytes());
    };
    let mut told = String::new();
    for (path, text) in &files {
        let inside = format!("{NAME}/{path}");
        localrig_world::write_in(folder, &inside, text)?;
        told.push_str(&format!("{}\n", folder.join(inside).display()));
    }
    output.bytes(told.as_bytes())
}
