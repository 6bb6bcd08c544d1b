//! Answers as text: for a terminal, as Markdown, CSV and JSON.
//!
//! Every answer becomes a [`page::Page`] first, so that all formats say the same.

pub mod page;

// What the formats look like.
pub mod html;
pub mod markdown;
pub mod number;
pub mod svg;
pub mod terminal;

// What the answers say.
pub mod accuracy;
pub mod audit;
pub mod build;
pub mod catalog;
pub mod compare;
pub mod estimate;
pub mod fit;
pub mod model;
pub mod need;
pub mod plan;
pub mod price;
pub mod price_chart;
pub mod research;
pub mod simulate;
pub mod survey;
pub mod timeline;

/// Rows as CSV with a header from their field names.
///
/// # Errors
/// When a row has a field that is a list or a table.
pub fn rows<R: serde::Serialize>(rows: impl Iterator<Item = R>) -> Result<String, csv::Error> {
    written(csv::Writer::from_writer(Vec::new()), rows)
}

/// Rows of tuples as CSV with the header given.
///
/// # Errors
/// When a row has a field that is a list or a table.
pub fn rows_of<const N: usize, R: serde::Serialize>(
    header: [&str; N],
    rows: impl Iterator<Item = R>,
) -> Result<String, csv::Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(header)?;
    written(writer, rows)
}

fn written<R: serde::Serialize>(
    mut writer: csv::Writer<Vec<u8>>,
    rows: impl Iterator<Item = R>,
) -> Result<String, csv::Error> {
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    // What was serialized from strings and numbers is UTF-8.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
