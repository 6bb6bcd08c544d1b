//! Lints a catalog folder: `cargo run -p localrig-world --example lint -- catalog`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::allow_attributes)]
fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let catalog = localrig_world::catalog_in(std::path::Path::new(&folder)).expect("readable");
    let findings = localrig_facts::lint::lint(&catalog);
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} files, {} findings", catalog.files().count(), findings.len());
}
