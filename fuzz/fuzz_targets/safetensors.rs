//! No bytes make the reader of safetensors headers panic or fill the memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use localrig_world::model_file::{Limits, MemorySource, parse_safetensors};

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_safetensors(&mut MemorySource { bytes }, &Limits::default());
});
