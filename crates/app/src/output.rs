//! Where answers go: standard output, in the format asked for.

use std::io::{self, Write as _};

use clap::ValueEnum;
use localrig_report::html::html;
use localrig_report::markdown::markdown;
use localrig_report::page::Page;
use localrig_report::terminal::terminal;
use serde::Serialize;

use crate::failure::Failure;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people at a terminal
    #[default]
    Human,
    /// The whole answer, units in the keys
    Json,
    /// For documents
    Markdown,
    /// The rows of the main table
    Csv,
    /// A web page that needs nothing else
    Html,
}

/// Prints answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// How.
    pub(crate) format: Format,
}

impl Output {
    /// Prints an answer: `page` and `csv` are made only when they are asked for.
    pub(crate) fn answer<T: Serialize>(
        self,
        answer: &T,
        page: impl FnOnce(&T) -> Page,
        csv: impl FnOnce(&T) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Human => terminal(&page(answer), localrig_world::terminal_width()),
            Format::Markdown => markdown(&page(answer)),
            Format::Json => {
                let mut text = serde_json::to_string_pretty(answer).map_err(Failure::bug)?;
                text.push('\n');
                text
            }
            Format::Csv => csv(answer)?,
            Format::Html => html(&page(answer)),
        };
        self.bytes(text.as_bytes())
    }

    /// Writes to standard output; codes for bold and colour go only where they are understood.
    #[expect(clippy::unused_self, reason = "output goes through `Output` whatever its format")]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // The reader has seen enough: `localrig plan | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::new(crate::failure::BUG, "could not write the answer")
                .details(vec![error.to_string()])),
            Ok(()) => Ok(()),
        }
    }
}
