//! Electricity tariffs of Swiss municipalities from ElCom, by SPARQL.

use jiff::Timestamp;

use super::error::SourceError;
use super::web::Web;
use crate::store::{Store, Tariff};

/// The federal linked-data service.
pub const ADDRESS: &str = "https://lindas.admin.ch/query";

/// The household the catalog's median stands for: 4,500 kWh a year.
pub const CATEGORY: &str = "H4";

/// The question for a municipality: standard product, all years on record.
pub fn query(municipality: u32) -> String {
    format!(
        "PREFIX cube: <https://cube.link/>\n\
         PREFIX dim: <https://energy.ld.admin.ch/elcom/electricityprice/dimension/>\n\
         PREFIX schema: <http://schema.org/>\n\
         SELECT ?year ?operator ?total FROM <https://lindas.admin.ch/elcom/electricityprice> WHERE {{\n\
         <https://energy.ld.admin.ch/elcom/electricityprice> cube:observationSet/cube:observation ?o .\n\
         ?o dim:municipality <https://ld.admin.ch/municipality/{municipality}> ;\n\
         dim:category <https://energy.ld.admin.ch/elcom/electricityprice/category/{CATEGORY}> ;\n\
         dim:product <https://energy.ld.admin.ch/elcom/electricityprice/product/standard> ;\n\
         dim:period ?year ; dim:operator/schema:name ?operator ; dim:total ?total .\n\
         }} ORDER BY DESC(?year)"
    )
}

/// Fetches the tariffs of a municipality into the store.
///
/// # Errors
/// When the service cannot be asked, or says nothing about the municipality.
pub fn fetch(
    web: &Web,
    address: &str,
    municipality: u32,
    store: &mut Store,
    now: Timestamp,
) -> Result<Vec<Tariff>, SourceError> {
    let form = reqwest::Url::parse_with_params("http://q/", [("query", query(municipality))])
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default();
    let text = web.call(store, address, Some(&form), now)?;
    let tariffs = parse(&text, address, municipality)?;
    store.record_tariffs(&tariffs, now)?;
    Ok(tariffs)
}

/// Rows of the answer.
#[derive(serde::Deserialize)]
struct Row {
    year: String,
    operator: String,
    /// Centimes per kWh.
    total: f64,
}

/// The tariffs in a CSV answer.
///
/// # Errors
/// When the columns are others, or there is no row.
pub fn parse(text: &str, address: &str, municipality: u32) -> Result<Vec<Tariff>, SourceError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut tariffs = Vec::new();
    for row in reader.deserialize() {
        let shape = |line: Option<u64>, said: String| SourceError::Shape {
            path: address.to_owned(),
            line,
            said,
        };
        let row: Row = row.map_err(|error: csv::Error| {
            shape(error.position().map(csv::Position::line), error.to_string())
        })?;
        // The year comes as `2026` or as the address of a year.
        let year = row.year.rsplit('/').next().unwrap_or_default();
        let year = year.get(..4).unwrap_or(year);
        let year = year.parse().map_err(|_| shape(None, format!("`{}` is no year", row.year)))?;
        // Far outside of every Swiss tariff since 2009: 5 to 100 centimes.
        if !(5.0..=100.0).contains(&row.total) {
            return Err(shape(None, format!("{} Rp./kWh is no tariff", row.total)));
        }
        tariffs.push(Tariff {
            region: "ch".to_owned(),
            municipality,
            year,
            category: CATEGORY.to_owned(),
            operator: row.operator,
            per_kwh: row.total / 100.0,
        });
    }
    if tariffs.is_empty() {
        let what = format!("the answer of {address} for municipality {municipality}");
        return Err(SourceError::NoPrice { what, expected: "tariffs" });
    }
    Ok(tariffs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_tariffs_in_francs() {
        let text =
            "year,operator,total\n2026,ewz,26.11\nhttps://ld.admin.ch/time/year/2025,ewz,29.4\n";
        let read = parse(text, "x", 261).unwrap();
        let said: Vec<String> = read
            .iter()
            .map(|one| format!("{} {} {:.4}", one.year, one.operator, one.per_kwh))
            .collect();
        assert_eq!(said, ["2026 ewz 0.2611", "2025 ewz 0.2940"]);
    }

    #[test]
    fn an_answer_without_rows_or_with_an_absurd_tariff_is_an_error() {
        let none = parse("year,operator,total\n", "x", 1).unwrap_err().to_string();
        assert_eq!(none, "no price found in the answer of x for municipality 1: tariffs expected");
        let absurd = parse("year,operator,total\n2026,a,2700\n", "x", 1).unwrap_err().to_string();
        assert_eq!(absurd, "x: 2700 Rp./kWh is no tariff");
        assert!(parse("<html>busy</html>\n<p>\n", "x", 1).is_err());
    }
}
