//! See `fuotad_fuzz::fragments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuotad_fuzz::fragments::run(data));
