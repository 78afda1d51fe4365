//! Answers of other implementations in `tests/vectors`, and the shipped examples, against ours.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]
#![expect(clippy::disallowed_methods, reason = "a test reads its vectors and examples")]

mod airtime;
mod fragments;
mod frames;
mod task_examples;
