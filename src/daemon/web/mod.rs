//! A page and metrics over HTTP, for reading only, on a thread of its own: whoever reads, and however many, the loop is asked
//! for one document a second at the most.
//!
//! `/` is the page, `/events` what it draws (server-sent events), `/status.json` the document of the status socket and
//! `/metrics` the same for Prometheus. All draw from one [`Snapshot`](super::Snapshot).

mod answer;
mod course;
mod feed;
mod metrics;
mod reply;
mod server;
#[cfg(test)]
mod tests;

pub use server::start;
