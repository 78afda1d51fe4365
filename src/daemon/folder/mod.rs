//! The task folder: what is in it is ordered, what was taken out of it is cancelled.
//!
//! A file that cannot be read or is no task is told once and disturbs nobody; the task that it named before goes on, and
//! is cancelled when the file is removed. A folder that cannot be read says nothing about its tasks.
//!
//! [`TaskFolder`] compares what lies there with what lay there; [`watch`] looks when something happens there, and
//! every few seconds, for file systems that do not tell.

mod listing;
mod notices;
mod task_folder;
#[cfg(test)]
pub(super) mod tests;
mod watching;

pub(super) use listing::read_regular;
pub use task_folder::TaskFolder;
pub use watching::watch;
