//! Rows: prices refer to what exists and carry clean links; scores are on their scale.

use super::source::tracking;
use super::{Findings, Region, Shop, System};
use crate::catalog::{Catalog, Entry, File, for_each_entry};
use crate::document::{from_csv, from_toml};
use crate::gpu::Gpu;
use crate::price::PriceRow;
use crate::rent::{ApiPriceRow, CloudRow, Usage};
use crate::source::Sources;

/// `price/<region>/<date>.csv`.
pub(super) fn is_price_file(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["price", _, name] if name.strip_suffix(".csv").is_some())
}

/// Price rows: item, shop and source exist, amounts are amounts, links are clean, dates are past.
pub(super) fn rows(catalog: &Catalog, findings: &mut Findings) {
    let files: Vec<(&str, &File)> =
        catalog.files().filter(|(path, _)| is_price_file(path)).collect();
    if files.is_empty() {
        return;
    }
    let sources = match catalog.price_sources() {
        Ok(sources) => sources,
        Err(error) => return findings.add("price/source.toml", "file", error.to_string()),
    };
    for (path, file) in files {
        let region = path.split('/').nth(1).unwrap_or_default();
        if catalog.get_in::<Region>(region).is_err() {
            findings.add(&file.path, "path", format!("`region/{region}` is not in the catalog"));
        }
        match from_csv::<PriceRow>(&file.path, &file.text) {
            Ok(rows) => {
                for (index, row) in rows.iter().enumerate() {
                    for message in wrong_with(catalog, sources, path, row) {
                        findings.add(&file.path, format!("line {}", index + 2), message);
                    }
                }
            }
            Err(error) => {
                let place =
                    error.line.map_or_else(|| "file".to_owned(), |line| format!("line {line}"));
                findings.add(&file.path, place, error.message);
            }
        }
    }
    rates(catalog, sources, findings);
}

fn wrong_with(catalog: &Catalog, sources: &Sources, path: &str, row: &PriceRow) -> Vec<String> {
    let mut wrong = Vec::new();
    if !item_exists(catalog, row) {
        let variant = row.variant.as_ref().map(|key| format!(" variant `{key}`"));
        let variant = variant.unwrap_or_default();
        wrong.push(format!("item `{}`{variant} is not in the catalog", row.item));
    }
    if catalog.get_in::<Shop>(&row.shop).is_err() {
        wrong.push(format!("`shop/{}` is not in the catalog", row.shop));
    }
    if !sources.contains_key(&row.source) {
        wrong.push(format!("price/source.toml has no source `{}`", row.source));
    }
    if !(row.amount.is_finite() && row.amount > 0.0) {
        wrong.push(format!("{} is no amount", row.amount));
    }
    if row.amount_high.is_some_and(|high| high <= row.amount) {
        wrong.push("amount_high is not above amount".to_owned());
    }
    if row.date.earliest() > row.read {
        wrong.push(format!("dated {} but read {}", row.date, row.read));
    }
    let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(".csv"));
    let stem = name.unwrap_or_default();
    if !row.date.to_string().starts_with(stem) {
        wrong.push(format!("dated {} in the file of {stem}", row.date));
    }
    if let Some(link) = &row.link {
        if !link.starts_with("https://") && !link.starts_with("http://") {
            wrong.push(format!("`{link}` is no link"));
        }
        if let Some(mark) = tracking(link) {
            wrong.push(format!("link with tracking (`{mark}`): cut it off"));
        }
    }
    wrong
}

fn item_exists(catalog: &Catalog, row: &PriceRow) -> bool {
    let id = row.item.as_str();
    match row.item.folder() {
        "system" => catalog.get::<System>(id).is_ok_and(|system| {
            let has = |key: &String| system.variants.iter().any(|one| one.key == *key);
            row.variant.as_ref().is_none_or(has)
        }),
        // Totals of whole builds as a source adds them up have no entry of their own.
        "build" => true,
        folder => {
            fn exists<T: Entry>((catalog, folder, id, found): (&Catalog, &str, &str, &mut bool)) {
                *found |= T::FOLDER == folder && catalog.get::<T>(id).is_ok();
            }
            let mut found = false;
            for_each_entry!(exists((catalog, folder, id, &mut found)));
            found && row.variant.is_none()
        }
    }
}

fn rates(catalog: &Catalog, sources: &Sources, findings: &mut Findings) {
    let rates = match catalog.rates() {
        Ok(rates) => rates,
        Err(error) => return findings.add("price/rate.csv", "file", error.to_string()),
    };
    for (index, rate) in rates.iter().enumerate() {
        let place = format!("line {}", index + 2);
        if !(rate.rate.is_finite() && rate.rate > 0.0) {
            findings.add("price/rate.csv", &place, format!("{} is no rate", rate.rate));
        }
        if !sources.contains_key(&rate.source) {
            let message = format!("price/source.toml has no source `{}`", rate.source);
            findings.add("price/rate.csv", &place, message);
        }
    }
}

/// Rows on tokens and cards for rent: amounts, links, items.
pub(super) fn rents(catalog: &Catalog, findings: &mut Findings) {
    const API: &str = "price/api.csv";
    const CLOUD: &str = "price/cloud.csv";
    const USAGE: &str = "price/ownership.toml";
    let mut add = |path: &str, index: usize, message: String| {
        findings.add(path, format!("line {}", index + 2), message);
    };
    let wrong_link = |url: &str| {
        let tracked =
            tracking(url).map(|mark| format!("link with tracking (`{mark}`): cut it off"));
        if url.starts_with("http") { tracked } else { Some(format!("`{url}` is no link")) }
    };
    let mut broken = Vec::new();
    match catalog.file(API).map(|_| catalog.rows::<ApiPriceRow>(API)) {
        Some(Ok(rows)) => {
            for (index, row) in rows.iter().enumerate() {
                if !(row.input_usd_per_m > 0.0 && row.output_usd_per_m > 0.0) {
                    add(API, index, "a price must be above zero".to_owned());
                }
                if let Some(message) = wrong_link(&row.url) {
                    add(API, index, message);
                }
            }
        }
        Some(Err(error)) => broken.push((API, error)),
        None => {}
    }
    match catalog.file(CLOUD).map(|_| catalog.rows::<CloudRow>(CLOUD)) {
        Some(Ok(rows)) => {
            for (index, row) in rows.iter().enumerate() {
                if row.usd_per_gpu_hour.is_nan() || row.usd_per_gpu_hour <= 0.0 {
                    add(CLOUD, index, "a price must be above zero".to_owned());
                }
                if let Some(item) = &row.item
                    && catalog.get::<Gpu>(item.as_str()).is_err()
                {
                    add(CLOUD, index, format!("item `{item}` is not in the catalog"));
                }
                if let Some(message) = wrong_link(&row.url) {
                    add(CLOUD, index, message);
                }
            }
        }
        Some(Err(error)) => broken.push((CLOUD, error)),
        None => {}
    }
    if let Some(file) = catalog.file(USAGE)
        && let Err(error) = from_toml::<Usage>(&file.path, &file.text)
    {
        broken.push((USAGE, error.into()));
    }
    for (path, error) in broken {
        findings.add(path, "file", error.to_string());
    }
}

/// Score rows: scales and links.
pub(super) fn scores(catalog: &Catalog, findings: &mut Findings) {
    const PATH: &str = "quality/score.csv";
    if catalog.file(PATH).is_none() {
        return;
    }
    let rows = match catalog.scores() {
        Ok(rows) => rows,
        Err(error) => return findings.add(PATH, "file", error.to_string()),
    };
    for (index, row) in rows.iter().enumerate() {
        let place = format!("line {}", index + 2);
        if !row.url.starts_with("http") {
            findings.add(PATH, &place, "no link to where the score is published");
        }
        if let Some(mark) = tracking(&row.url) {
            findings.add(PATH, &place, format!("link with tracking (`{mark}`)"));
        }
        // Elo ratings are the only scores beyond 100.
        if !(0.0..=100.0).contains(&row.score) && !row.benchmark.contains("elo") {
            findings.add(PATH, &place, format!("{} is no percentage", row.score));
        }
    }
}
