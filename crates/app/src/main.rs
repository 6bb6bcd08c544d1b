//! The `localrig` program.

fn main() {}
