//! See `fuotad_fuzz::commands`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuotad_fuzz::commands::run(data));
