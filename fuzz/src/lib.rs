//! What must hold whatever comes in. Each module drives one part of `fuotad` with any bytes: `run` returns, or panics
//! with the sentence that did not hold.
//!
//! Two worlds use these modules: the programs in `fuzz_targets`, and the property tests in `tests/fuzzed.rs` of the
//! main crate, which also read the corpus.
#![forbid(unsafe_code)]

pub mod commands;
#[cfg(feature = "daemon")]
pub mod configurations;
pub mod datagrams;
pub mod documents;
pub mod engine;
pub mod feed;
pub mod fragments;
pub mod gateway;
pub mod network_servers;
pub mod refusal;
pub mod signatures;
pub mod state_files;
