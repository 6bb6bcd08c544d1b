//! How good the model is on measured rows: predictions beside measurements, errors by what the rows
//! have in common, coverage of the intervals, and two simple rules for comparison.

mod baseline;
pub mod report;
mod table;

use localrig_facts::document::{DocumentError, from_csv};
use localrig_facts::measured::{Phase, SpeedRow};
use localrig_facts::{Basis, Catalog, CatalogError};

use crate::calibration::{Calibration, Seen};
use crate::case::Cases;
use crate::fit::interval::{Kind, half_width};
use crate::speed::narrowed;

pub use table::{Line, Score, table};

/// Why no rows can be judged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccuracyError {
    /// The rows cannot be read.
    #[error(transparent)]
    Rows(#[from] DocumentError),
    /// The calibration cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A row with what the model says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Key of the row.
    pub row_id: String,
    /// What the model says, or why it says nothing.
    pub outcome: Result<Predicted, String>,
    /// Measured speed of all streams, if the row has it.
    pub measured: Option<f64>,
    /// What the row is about, for the table.
    pub about: About,
}

/// A prediction in tokens per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// All streams together, counted as the row counts.
    pub total: f64,
    /// Lower end of the 80 % interval of `total`.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// One stream.
    pub per_stream: f64,
    /// How it came about.
    pub basis: Basis,
    /// What of the stack the calibration has seen.
    pub seen: Seen,
    /// What was taken for granted.
    pub remarks: Vec<String>,
    /// The source documents' rule: bandwidth over bytes, times a constant.
    pub bandwidth_rule: f64,
    /// llmfit's published formula.
    pub llmfit: f64,
}

impl Predicted {
    /// What the prediction rests on, and what was taken for granted.
    fn grounds(&self) -> String {
        let measured = match self.seen {
            Seen::Unit => "this engine on this device was measured",
            Seen::Stack => "measured on similar devices",
            Seen::Neither => "not measured this far",
        };
        let mut text = format!("{}: {measured}", self.basis.word());
        for remark in &self.remarks {
            text.push_str("; ");
            text.push_str(remark);
        }
        text
    }
}

/// What a row is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// What was measured.
    pub phase: Phase,
    /// Kind of model: `dense`, `mixture`, with `recurrent` and `latent` where it holds.
    pub model: String,
    /// Engine class.
    pub engine: String,
    /// Hardware class.
    pub hardware: String,
    /// Tokens in the context.
    pub depth: f64,
    /// Requests in flight.
    pub streams: f64,
}

/// Judges the rows of a CSV text with the columns of `catalog/measured/speed.csv`; `path` is for
/// messages. Rows that cannot be estimated say why; they do not stop the others.
///
/// # Errors
/// When the text is not such a CSV, or the catalog lacks its calibration.
pub fn judge(catalog: &Catalog, path: &str, text: &str) -> Result<Vec<Judged>, AccuracyError> {
    let rows = from_csv::<SpeedRow>(path, text)?;
    Ok(judge_rows(catalog, &rows)?)
}

/// Judges rows.
///
/// # Errors
/// When the catalog lacks its calibration.
pub fn judge_rows(catalog: &Catalog, rows: &[SpeedRow]) -> Result<Vec<Judged>, CatalogError> {
    let calibration = Calibration::of(catalog)?;
    let intervals = catalog.intervals()?;
    let widening = catalog.priors()?.outline_widening;
    let worth = catalog.priors()?.local.worth;
    let mut cases = Cases::new(catalog);
    let judge_one = |row: &SpeedRow| {
        let measured = row.tok_s_total.filter(|speed| *speed > 0.0);
        let mut about = About {
            phase: row.phase,
            depth: row.depth.unwrap_or(0.0),
            streams: row.concurrency.unwrap_or(1.0),
            engine: row.engine.clone(),
            ..About::default()
        };
        let outcome = cases.case(row).map_err(|error| error.to_string()).map(|case| {
            about = About { streams: case.load.streams, ..About::of(&case) };
            let served = case.predict(&calibration.constants(&case.site));
            let (depth, streams) = case.reach();
            let seen = calibration.measured(&case.site).seen(case.phase, depth, streams);
            let kind = Kind::of(case.phase, case.load.streams);
            let mut factor = half_width(intervals, kind, case.work.is_mixture(), seen);
            factor = narrowed(factor, calibration.own_rows(&case.site), worth);
            if case.outlined || !case.remarks.is_empty() {
                factor = factor.powf(widening);
            }
            let assumed = seen == Seen::Neither || case.outlined;
            Predicted {
                total: served.total,
                low: served.total / factor,
                high: served.total * factor,
                per_stream: if row.stream_basis == "total/C" {
                    served.total / case.load.streams
                } else {
                    served.per_stream
                },
                basis: if assumed { Basis::Assumed } else { Basis::Modelled },
                seen,
                bandwidth_rule: baseline::bandwidth_rule(&case),
                llmfit: baseline::llmfit(&case),
                remarks: case.remarks,
            }
        });
        Judged { row_id: row.row_id.clone(), outcome, measured, about }
    };
    Ok(rows.iter().map(judge_one).collect())
}

impl About {
    /// What a case is about.
    pub fn of(case: &crate::case::Case) -> Self {
        use crate::calibration::Level;
        let work = &case.work;
        let mut model = if work.is_mixture() { "mixture" } else { "dense" }.to_owned();
        if work.layers.recurrent > 0.0 {
            model.push_str(" + recurrent");
        }
        if work.latent {
            model.push_str(" + latent");
        }
        Self {
            phase: case.phase,
            model,
            engine: case.site.key(Level::Engine).to_owned(),
            hardware: case.site.key(Level::Hardware).to_owned(),
            depth: case.load.depth,
            streams: case.load.streams,
        }
    }
}

/// The judged rows as CSV: `row_id,tok_s_total,tok_s_total_low,tok_s_total_high,tok_s_per_stream,
/// basis,error`.
pub fn to_csv(judged: &[Judged]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "row_id,tok_s_total,tok_s_total_low,tok_s_total_high,tok_s_per_stream,basis,error\n",
    );
    for one in judged {
        let id = quoted(&one.row_id);
        // Writing to a string cannot fail.
        let _ = match &one.outcome {
            Ok(own) => writeln!(
                text,
                "{id},{:.4},{:.4},{:.4},{:.4},{},",
                own.total,
                own.low,
                own.high,
                own.per_stream,
                quoted(&own.grounds())
            ),
            Err(error) => writeln!(text, "{id},,,,,,{}", quoted(error)),
        };
    }
    text
}

/// A cell of a CSV file (RFC 4180).
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
