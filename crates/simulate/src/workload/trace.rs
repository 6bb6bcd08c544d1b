//! Requests that came at known times, as rows.

use localrig_facts::document::{DocumentError, from_csv};
use serde::{Deserialize, Serialize};

/// A request of a trace: one row of a CSV file with these columns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceRow {
    /// When it came, in seconds from the start of the trace.
    pub arrival_s: f64,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens it generated.
    pub output_tokens: u32,
}

/// Reads a trace; rows are put in the order of their arrival.
///
/// # Errors
/// When a column is missing or unknown, or a cell does not parse; the error names the line.
pub fn parse_trace(path: &str, text: &str) -> Result<Vec<TraceRow>, DocumentError> {
    let mut rows: Vec<TraceRow> = from_csv(path, text)?;
    let wrong = rows.iter().position(|row| {
        !(row.arrival_s >= 0.0 && row.arrival_s.is_finite())
            || row.prompt_tokens == 0
            || row.output_tokens == 0
    });
    if let Some(index) = wrong {
        return Err(DocumentError {
            path: path.to_owned(),
            line: Some(index + 2),
            column: None,
            excerpt: None,
            message: "a request comes at a time of at least 0 and has at least one token each way"
                .to_owned(),
            nearest: None,
        });
    }
    rows.sort_by(|a, b| a.arrival_s.total_cmp(&b.arrival_s));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_the_order_of_their_arrival() {
        let rows = parse_trace(
            "mine.csv",
            "arrival_s,prompt_tokens,output_tokens\n2.5,10,20\n0.5,30,40\n",
        );
        let arrivals: Vec<f64> = rows.unwrap().iter().map(|row| row.arrival_s).collect();
        assert_eq!(arrivals, [0.5, 2.5]);
    }

    #[test]
    fn a_wrong_row_is_named_by_its_line() {
        let say = |row: &str| {
            parse_trace("mine.csv", &format!("arrival_s,prompt_tokens,output_tokens\n{row}\n"))
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!([say("0,5,0"), say("0,x,1"), say("-1,5,5")].join("\n"), @"
        mine.csv:2: a request comes at a time of at least 0 and has at least one token each way
        mine.csv:2: field 1: invalid digit found in string
        mine.csv:2: a request comes at a time of at least 0 and has at least one token each way
        ");
    }
}
