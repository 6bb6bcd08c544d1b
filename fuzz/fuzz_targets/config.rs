//! No bytes make the readers of `config.json` and of an index panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use localrig_world::model_file::{Limits, parse_config, parse_index};

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_config("config.json", bytes);
    let _ = parse_index("index", bytes, &Limits::default());
});
