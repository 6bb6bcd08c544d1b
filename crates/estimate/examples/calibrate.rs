//! Fits the constants of the speed model on the measured rows of the catalog and writes
//! `catalog/calibration/fitted.toml`, `interval.toml` and `docs/accuracy.md`; prints the held-out errors.
//!
//! ```text
//! cargo run --release -p localrig-estimate --example calibrate [errors.csv]
//! ```
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a program, not the library")]

use std::fmt::Write as _;
use std::path::Path;

use localrig_estimate::accuracy::report::{document, held_out_scores, markdown};
use localrig_estimate::fit::{calibrate, files};
use localrig_facts::measured::SpeedRow;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog"));
    let catalog = localrig_world::catalog_in(folder)?;
    let rows = catalog.rows::<SpeedRow>("measured/speed.csv")?;
    let found = calibrate(&catalog, &rows)?;
    for (row, reason) in &found.observations.left_out {
        println!("left out {row}: {reason}");
    }
    for (name, text) in files(&found)? {
        std::fs::write(folder.join("calibration").join(name), text)?;
    }
    let scores = held_out_scores(&found.observations, &found.held_out);
    let document = document(&found, &scores);
    std::fs::write(folder.join("../docs/accuracy.md"), document)?;
    println!("{}", markdown(&scores));
    if let Some(path) = std::env::args().nth(1) {
        let mut lines = String::from("row_id,group,fit,held,seen\n");
        for one in &found.held_out {
            let own = &found.observations.all[one.observation];
            let constants = found.calibration.constants(&own.case.site);
            let fit = own.case.predict(&constants).total.ln() - own.measured;
            writeln!(
                lines,
                "{},\"{}\",{fit:.4},{:.4},{}",
                rows[own.row].row_id,
                found.observations.groups[own.group],
                one.error,
                one.seen.key()
            )?;
        }
        std::fs::write(path, lines)?;
    }
    Ok(())
}
