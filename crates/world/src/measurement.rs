//! The user's own measurements: rows in the data folder, and what they say as a catalog overlay.
//!
//! `$XDG_DATA_HOME/localrig/measured.csv` keeps the rows; `…/localrig/catalog/calibration/own.toml`
//! what the fit makes of them. The second is part of the user's overlay, so every estimate uses it.

use std::path::{Path, PathBuf};

use localrig_facts::measured::SpeedRow;

use crate::WorldError;

/// The folder that keeps the user's data, whether or not it exists.
pub fn data_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folder = etcetera::base_strategy::choose_native_strategy().ok()?.data_dir();
    Some(folder.join("localrig"))
}

/// The rows kept in a data folder; none if it has no file.
///
/// # Errors
/// When the file cannot be read or is not such a CSV.
pub fn rows(folder: &Path) -> Result<Vec<SpeedRow>, WorldError> {
    let path = folder.join(ROWS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_path(&path).map_err(|source| table(&path, source))?;
    reader.deserialize().map(|row| row.map_err(|source| table(&path, source))).collect()
}

/// Adds rows, each under a number of its own, and gives all that are kept now. A row that is there
/// already, number aside, is not added again.
///
/// # Errors
/// When the file cannot be read or written.
pub fn add(folder: &Path, new: Vec<SpeedRow>) -> Result<Vec<SpeedRow>, WorldError> {
    let mut all = rows(folder)?;
    for mut row in new {
        row.row_id = format!("own-{}", all.len() + 1);
        let same = |one: &SpeedRow| SpeedRow { row_id: row.row_id.clone(), ..one.clone() } == row;
        if !all.iter().any(same) {
            all.push(row);
        }
    }
    replace(folder, &all)?;
    Ok(all)
}

/// Keeps exactly these rows: to forget some, leave them out.
///
/// # Errors
/// When the file cannot be written.
pub fn replace(folder: &Path, rows: &[SpeedRow]) -> Result<(), WorldError> {
    let path = folder.join(ROWS);
    make(folder)?;
    let mut writer = csv::Writer::from_path(&path).map_err(|source| table(&path, source))?;
    for row in rows {
        writer.serialize(row).map_err(|source| table(&path, source))?;
    }
    writer.flush().map_err(|source| WorldError::Write { path, source })
}

/// Keeps what the rows say: the text of `calibration/own.toml` in the user's overlay.
///
/// # Errors
/// When the file cannot be written.
pub fn keep_fit(folder: &Path, text: &str) -> Result<(), WorldError> {
    let into = folder.join("catalog").join("calibration");
    make(&into)?;
    let path = into.join("own.toml");
    std::fs::write(&path, text).map_err(|source| WorldError::Write { path, source })
}

/// File of the rows in the data folder.
const ROWS: &str = "measured.csv";

fn make(folder: &Path) -> Result<(), WorldError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| WorldError::Write { path: folder.to_owned(), source })
}

fn table(path: &Path, source: csv::Error) -> WorldError {
    WorldError::Table { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_kept_and_the_same_row_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let row = SpeedRow {
            hardware_id: "rtx-5090".to_owned(),
            engine: "llama.cpp".to_owned(),
            model_id: "qwen/qwen3-8b".to_owned(),
            quant: "q4_k_m".to_owned(),
            tok_s_total: Some(187.5),
            notes: "a, \"b\"".to_owned(),
            ..SpeedRow::default()
        };
        let other = SpeedRow { tok_s_total: Some(180.0), ..row.clone() };
        add(folder.path(), vec![row.clone(), other]).unwrap();
        let kept = add(folder.path(), vec![row.clone()]).unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(rows(folder.path()).unwrap(), kept);
        assert_eq!(kept[0], SpeedRow { row_id: "own-1".to_owned(), ..row });
    }

    #[test]
    fn a_folder_without_rows_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(rows(folder.path()).unwrap(), []);
    }
}
