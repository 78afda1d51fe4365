//! See `fuotad_fuzz::documents`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuotad_fuzz::documents::run(data));
