//! See `fuotad_fuzz::configurations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuotad_fuzz::configurations::run(data));
