//! No bytes make the reader of gguf headers panic or fill the memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use localrig_world::model_file::{Limits, MemorySource, parse_gguf};

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_gguf(&mut MemorySource { bytes }, &Limits::default());
});
