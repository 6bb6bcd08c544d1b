//! Prices from CSV and JSON files.

use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::shop::Vat;
use localrig_facts::{Currency, PartialDate};
use serde::Deserialize;

use super::error::SourceError;
use super::offer::Offer;

/// One row of a file. `product`, `amount`, `currency`, `shop` and `date` are asked for; the catalog's
/// own price files are rows of this kind as well.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRow {
    /// Catalog id or name; without it the product's part number or name must say what it is.
    pub item: Option<String>,
    /// The variant of a system.
    pub variant: Option<String>,
    /// The product.
    pub product: String,
    /// Maker's part number.
    #[serde(default)]
    pub part_number: Option<String>,
    /// The amount.
    pub amount: f64,
    /// The upper end of a range.
    #[serde(default)]
    pub amount_high: Option<f64>,
    /// Its currency.
    pub currency: Currency,
    /// New unless it says something else.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// An offer unless it says something else.
    #[serde(default)]
    pub kind: Option<PriceKind>,
    /// Included unless it says something else.
    #[serde(default)]
    pub vat: Option<Vat>,
    /// Who asked it.
    pub shop: String,
    /// When.
    pub date: PartialDate,
    /// The region; the one of the command unless it says something else.
    #[serde(default)]
    pub region: Option<String>,
    /// When the source was read. Not used: a row counts from when it was imported.
    #[serde(default)]
    pub read: Option<String>,
    /// The product's page.
    #[serde(default)]
    pub link: Option<String>,
    /// Who reports it.
    #[serde(default)]
    pub source: Option<String>,
    /// Remark.
    #[serde(default)]
    pub note: Option<String>,
}

impl ImportRow {
    /// What the row says, as a source would.
    pub fn offer(&self) -> Offer {
        let source = self.source.as_ref().map(|source| format!("source: {source}"));
        Offer {
            product: self.product.clone(),
            part_number: self.part_number.clone(),
            amount: self.amount,
            amount_high: self.amount_high,
            currency: self.currency,
            condition: self.condition.unwrap_or(Condition::New),
            kind: self.kind.unwrap_or(PriceKind::Offer),
            vat: self.vat.unwrap_or(Vat::Included),
            shop: self.shop.clone(),
            date: self.date,
            link: self.link.clone(),
            note: match (&self.note, source) {
                (Some(note), Some(source)) => Some(format!("{note}; {source}")),
                (note, source) => note.clone().or(source),
            },
        }
    }
}

/// The rows of a file: JSON when its name ends so, else CSV.
///
/// # Errors
/// When a row does not have its shape; the line is named and nothing of the file is used.
pub fn rows(path: &str, text: &str) -> Result<Vec<ImportRow>, SourceError> {
    let json = path.to_lowercase().ends_with(".json");
    let rows: Vec<(u64, ImportRow)> = if json {
        let rows: Vec<ImportRow> =
            serde_json::from_str(text).map_err(|error| SourceError::Shape {
                path: path.to_owned(),
                line: Some(error.line() as u64),
                said: error.to_string(),
            })?;
        (1..).zip(rows).collect()
    } else {
        let rows =
            localrig_facts::document::from_csv::<ImportRow>(path, text).map_err(|error| {
                SourceError::Shape {
                    path: path.to_owned(),
                    line: error.line.map(|line| line as u64),
                    said: error.message,
                }
            })?;
        (2..).zip(rows).collect()
    };
    for (line, row) in &rows {
        let wrong = if !(row.amount.is_finite() && row.amount > 0.0) {
            Some(format!("{} is no price", row.amount))
        } else if row.amount_high.is_some_and(|high| high <= row.amount) {
            Some("amount_high is not above amount".to_owned())
        } else if row.product.trim().is_empty() || row.shop.trim().is_empty() {
            Some("product and shop must not be empty".to_owned())
        } else {
            None
        };
        if let Some(said) = wrong {
            return Err(SourceError::Shape { path: path.to_owned(), line: Some(*line), said });
        }
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_csv_is_enough() {
        let text = "item,variant,product,amount,currency,shop,date\n\
                    rtx-5090,,RTX 5090,2499.00,CHF,digitec,2026-11-20\n";
        let rows = rows("x.csv", text).unwrap();
        let offer = rows[0].offer();
        assert_eq!(
            (offer.amount, offer.condition, offer.vat),
            (2499.0, Condition::New, Vat::Included)
        );
    }

    #[test]
    fn json_rows_are_read_as_well() {
        let text = r#"[{"product": "X", "part_number": "900-1", "amount": 5, "currency": "EUR",
            "shop": "a", "date": "2026-11", "condition": "used"}]"#;
        let rows = rows("x.JSON", text).unwrap();
        assert_eq!(rows[0].offer().condition, Condition::Used);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let head = "product,amount,currency,shop,date\n";
        let said = |rest: &str| rows("x.csv", &format!("{head}{rest}")).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                said("A,0,CHF,s,2026-11-20\n"),
                said("A,1,CHF,s,2026-11-20\nB,-3,CHF,s,2026-11-20\n"),
                said("A,1,JPY,s,2026-11-20\n"),
                said("A,1,CHF,s,yesterday\n"),
                said("A,NaN,CHF,s,2026\n"),
            ]
            .join("\n"),
            @"
        x.csv:2: 0 is no price
        x.csv:3: -3 is no price
        x.csv:2: unknown value `JPY` (one of CHF, EUR, GBP, PLN, USD)
        x.csv:2: `yesterday` is not a date; write YYYY-MM-DD, YYYY-MM or YYYY
        x.csv:2: NaN is no price
        "
        );
        let typo = rows("x.csv", "product,amont,currency,shop,date\nA,1,CHF,s,2026\n").unwrap_err();
        insta::assert_snapshot!(typo, @"x.csv:2: unknown key `amont`");
    }
}
