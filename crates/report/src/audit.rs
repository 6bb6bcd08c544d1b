//! The audit: claims of the documents, and what any text says.

use localrig_facts::claim::Verdict;
use localrig_plan::audit::{ClaimAudit, ClaimsAudit, Finding, TextAudit, tally};
use serde::Serialize;

use crate::page::{Page, Table, Text};

/// The page of the documents' claims; all of them, or those that mislead, are unverified or missing.
pub fn claims(answer: &ClaimsAudit, all: bool) -> Page {
    let mut page = Page::default();
    page.heading(1, "Claims of earlier documents, checked");
    let every = || answer.documents.iter().flat_map(|one| &one.claims);
    page.paragraph(
        Text::default()
            .strong(format!(
                "{} claims: {}",
                every().count(),
                counts(every().map(|one| &one.verdict))
            ))
            .plain(format!(". Figures computed anew with prices as of {}.", answer.as_of)),
    );
    page.paragraph(format!(
        "{} documents about hardware for local models are held against the catalog. In square brackets: \
         number and line of the document, then who says what holds. \"Computed\" is what the catalog says \
         of a figure by itself: a figure may compute as right in a claim that has no source or leaves \
         something out.",
        answer.documents.len()
    ));
    let mut shown = 0;
    for document in &answer.documents {
        let wanted = |one: &&ClaimAudit| all || one.verdict != Verdict::Right;
        let claims: Vec<&ClaimAudit> = document.claims.iter().filter(wanted).collect();
        shown += claims.len();
        if claims.is_empty() {
            continue;
        }
        page.heading(2, format!("{} ({})", document.name, document.dated));
        for verdict in Verdict::ALL {
            page.list(
                claims.iter().filter(|one| one.verdict == verdict).map(|one| claim(one)).collect(),
            );
        }
    }
    let hidden = every().count() - shown;
    if hidden > 0 {
        page.paragraph(format!("{hidden} right claims are not shown; `--all` shows them"));
    }
    page
}

fn counts<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> String {
    let counts = tally(verdicts);
    let told: Vec<String> =
        counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.word())).collect();
    told.join(", ")
}

fn claim(one: &ClaimAudit) -> Text {
    let mut text = Text::default()
        .strong(format!("{}: ", one.verdict.word()))
        .plain(format!("{} [{}]. {}.", one.claim, one.place, one.fact));
    if let Some(effect) = &one.effect {
        text = text.plain(format!(" {effect}."));
    }
    if !one.recomputed.is_empty() {
        let told: Vec<String> = one
            .recomputed
            .iter()
            .map(|judged| format!("{} ({})", judged.holds, judged.verdict.word()))
            .collect();
        text = text.plain(format!(" Computed: {}.", told.join("; ")));
    }
    text.plain(format!(" [{}]", one.sources.join("; ")))
}

/// The page of what texts say.
pub fn texts(answer: &[TextAudit], all: bool) -> Page {
    let mut page = Page::default();
    page.heading(1, "Audit");
    for text in answer {
        if answer.len() > 1 {
            page.heading(2, text.file.clone());
        }
        if text.findings.is_empty() {
            page.paragraph(format!(
                "{}: {}, nothing about hardware or models that could be checked.",
                text.file,
                match text.lines {
                    1 => "1 line".to_owned(),
                    many => format!("{many} lines"),
                }
            ));
            unread(&mut page, text);
            continue;
        }
        page.paragraph(
            Text::default()
                .plain(format!("{}, prices as of {}: ", text.file, text.as_of))
                .strong(counts(text.findings.iter().map(|one| &one.verdict)))
                .plain("."),
        );
        let mut table = Table::new(&[">line", "verdict", "said", "holds", "source"]);
        for one in text.findings.iter().filter(|one| all || one.verdict != Verdict::Right) {
            table.row([
                one.line.to_string().into(),
                one.verdict.word().into(),
                one.said.clone().into(),
                one.holds.clone().into(),
                one.source.clone().into(),
            ]);
        }
        page.table(table);
        unread(&mut page, text);
    }
    page
}

/// Lines of a text that would have been checked if they said it in a way that is read.
fn unread(page: &mut Page, text: &TextAudit) {
    /// Lines that are listed.
    const SHOWN: usize = 20;
    let (shown, more) = text.unread_lines.split_at(text.unread_lines.len().min(SHOWN));
    if shown.is_empty() {
        return;
    }
    let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    page.paragraph(format!(
        "Not checked, though they have a figure beside a name or a linked price: {} {}{more}. Read are \
         memory, bandwidth, power of cards, NVLink, cooling, parameters, context, sizes of formats, \
         KV caches, speeds on a machine, and prices with a link.",
        if shown.len() == 1 { "line" } else { "lines" },
        shown.join(", ")
    ));
}

/// One claim as a row.
#[derive(Clone, Debug, Serialize)]
struct ClaimRow<'a> {
    place: &'a str,
    verdict: &'a str,
    claim: &'a str,
    fact: &'a str,
    effect: Option<&'a str>,
    source: String,
}

/// The claims as CSV.
///
/// # Errors
/// When a row cannot be written.
pub fn claims_csv(answer: &ClaimsAudit) -> Result<String, csv::Error> {
    let rows = answer.documents.iter().flat_map(|one| &one.claims).map(|one| ClaimRow {
        place: &one.place,
        verdict: one.verdict.word(),
        claim: &one.claim,
        fact: &one.fact,
        effect: one.effect.as_deref(),
        source: one.sources.join("; "),
    });
    crate::rows(rows)
}

/// What texts say as CSV.
///
/// # Errors
/// When a row cannot be written.
pub fn texts_csv(answer: &[TextAudit]) -> Result<String, csv::Error> {
    let rows = answer.iter().flat_map(|text| {
        let row = |one: &Finding| {
            let line = one.line.to_string();
            let verdict = one.verdict.word().to_owned();
            [
                text.file.clone(),
                line,
                verdict,
                one.said.clone(),
                one.holds.clone(),
                one.source.clone(),
            ]
        };
        text.findings.iter().map(row).collect::<Vec<_>>()
    });
    crate::rows_of(["file", "line", "verdict", "said", "holds", "source"], rows)
}
