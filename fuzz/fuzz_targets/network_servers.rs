//! See `fuotad_fuzz::network_servers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuotad_fuzz::network_servers::run(data));
