//! Rebuilds the crate when the embedded data changes: `include_dir` cannot say so itself.

fn main() {
    println!("cargo::rerun-if-changed=../../catalog");
    println!("cargo::rerun-if-changed=../../requirements");
    println!("cargo::rerun-if-changed=../../skills");
    println!("cargo::rerun-if-changed=../../workloads");
}
