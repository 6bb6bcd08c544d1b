//! The committed constants are what the fit writes, and `docs/accuracy.md` is what they give.
//!
//! `UPDATE_ACCURACY=1 cargo nextest run -p localrig-estimate calibration` writes the document.
#![expect(clippy::disallowed_methods, reason = "compares files on disk")]

use std::path::{Path, PathBuf};

use localrig_estimate::accuracy::report::{document, held_out_scores};
use localrig_estimate::accuracy::table;
use localrig_estimate::fit::{calibrate, files};
use localrig_facts::measured::SpeedRow;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_committed_constants_and_the_accuracy_document_are_what_the_fit_writes() {
    let catalog = localrig_world::catalog_in(&root().join("catalog")).unwrap();
    let rows = catalog.rows::<SpeedRow>("measured/speed.csv").unwrap();
    let found = calibrate(&catalog, &rows).unwrap();
    assert_eq!(found.observations.left_out, [], "rows that the model cannot read");
    for (name, text) in files(&found).unwrap() {
        let path = root().join("catalog/calibration").join(name);
        let committed = std::fs::read_to_string(&path).unwrap();
        let hint = "run `cargo run --release -p localrig-estimate --example calibrate`";
        assert_alike(&committed, &text, &format!("{name}: {hint}"));
    }

    let scores = held_out_scores(&found.observations, &found.held_out);
    let text = document(&found, &scores);
    let path = root().join("docs/accuracy.md");
    if std::env::var_os("UPDATE_ACCURACY").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert_alike(&committed, &text, "docs/accuracy.md: set UPDATE_ACCURACY=1 to write it");

    // Intervals that promise 80 % hold about that on rows nobody fitted.
    let lines = table(&scores);
    let decode = lines.iter().find(|line| line.name == "decode").unwrap();
    assert!((75.0..=85.0).contains(&decode.coverage), "{decode:?}");
    assert!(decode.median < decode.bandwidth_rule && decode.median < decode.llmfit, "{decode:?}");
}

/// Equal but for the last digits of numbers: another processor's mathematics library may differ.
fn assert_alike(committed: &str, written: &str, what: &str) {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let (old, new) = (words(committed), words(written));
    for (place, (a, b)) in old.iter().zip(&new).enumerate() {
        let near = match (number(a), number(b)) {
            (Some(x), Some(y)) => (x - y).abs() <= 2e-3 + 1e-2 * x.abs(),
            _ => a == b,
        };
        assert!(near, "{what}: word {place} is `{a}`, the fit writes `{b}`");
    }
    assert_eq!(old.len(), new.len(), "{what}: another length");
}

fn number(word: &str) -> Option<f64> {
    word.trim_matches(['%', ',', ';', '(', ')']).parse().ok()
}
