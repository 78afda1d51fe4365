//! See `fuotad_fuzz::datagrams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuotad_fuzz::datagrams::run(data));
