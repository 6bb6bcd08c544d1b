//! Reference rates of the European Central Bank.

use jiff::Timestamp;
use localrig_facts::{Currency, Date, Rate};

use super::error::SourceError;
use super::web::Web;
use crate::store::Store;
use localrig_facts::amount;

/// The daily fixing, as XML.
pub const ADDRESS: &str = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml";

/// Key of the source in `catalog/price/source.toml`.
pub const KEY: &str = "ecb";

/// Fetches the newest fixing into the store; how many rates are new.
///
/// # Errors
/// When the file cannot be fetched or read.
pub fn fetch(
    web: &Web,
    address: &str,
    store: &mut Store,
    now: Timestamp,
) -> Result<Vec<Rate>, SourceError> {
    let text = web.call(store, address, None, now)?;
    let rates = parse(&text, address)?;
    store.record_rates(&rates, now)?;
    Ok(rates)
}

/// The rates in a file: `Cube` elements with a currency and its units per euro inside one with the
/// day.
///
/// # Errors
/// When it is no such file, or has no rate for the franc.
pub fn parse(text: &str, address: &str) -> Result<Vec<Rate>, SourceError> {
    let shape = |said: String| SourceError::Shape { path: address.to_owned(), line: None, said };
    let document = roxmltree::Document::parse(text).map_err(|error| shape(error.to_string()))?;
    let mut rates = Vec::new();
    for day in document.descendants().filter(|node| node.has_attribute("time")) {
        let date: Date = day
            .attribute("time")
            .unwrap_or_default()
            .parse()
            .map_err(|error: localrig_facts::DateError| shape(error.to_string()))?;
        for cube in day.children() {
            let (Some(code), Some(rate)) = (cube.attribute("currency"), cube.attribute("rate"))
            else {
                continue;
            };
            let Some(quote) = amount::currency(code) else { continue };
            let rate: f64 = rate.parse().map_err(|_| shape(format!("`{rate}` is no rate")))?;
            if !(rate.is_finite() && rate > 0.0) {
                return Err(shape(format!("{rate} is no rate")));
            }
            rates.push(Rate { date, base: Currency::Eur, quote, rate, source: KEY.to_owned() });
        }
    }
    if rates.iter().any(|rate| rate.quote == Currency::Chf) {
        Ok(rates)
    } else {
        let what = address.to_owned();
        Err(SourceError::NoPrice { what, expected: "a rate of the franc with its day" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
  <gesmes:subject>Reference rates</gesmes:subject>
  <gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
  <Cube><Cube time='2026-07-09'>
    <Cube currency='USD' rate='1.1435'/><Cube currency='JPY' rate='170.1'/>
    <Cube currency='GBP' rate='0.86'/><Cube currency='CHF' rate='0.9227'/>
  </Cube></Cube>
</gesmes:Envelope>"#;

    #[test]
    fn the_daily_file_gives_dated_rates_of_the_currencies_kept() {
        let rates = parse(FILE, "x").unwrap();
        let said: Vec<String> = rates
            .iter()
            .map(|one| format!("{} {}/{} {}", one.date, one.base, one.quote, one.rate))
            .collect();
        assert_eq!(
            said,
            ["2026-07-09 EUR/USD 1.1435", "2026-07-09 EUR/GBP 0.86", "2026-07-09 EUR/CHF 0.9227"]
        );
    }

    #[test]
    fn a_file_without_the_franc_or_cut_off_is_an_error() {
        let without = FILE.replace("CHF", "SEK");
        let errors = [parse(&without, "x"), parse(&FILE[..400], "x"), parse("<html>", "x")]
            .map(|result| result.unwrap_err().to_string());
        assert!(errors[0].contains("no price found"), "{}", errors[0]);
        assert!(errors[1..].iter().all(|error| error.starts_with("x: ")), "{errors:?}");
    }

    #[test]
    fn a_rate_of_zero_is_refused() {
        let zero = FILE.replace("0.9227", "0.0");
        assert_eq!(parse(&zero, "x").unwrap_err().to_string(), "x: 0 is no rate");
    }
}
