//! The control socket: one JSON request a line, one answer a line. docs/control.md has the requests.
//!
//! Requests are read and answers are written beside the driver, which is asked one thing at a time through a bounded
//! channel. Connections, the length of a line and the time that a reader takes have limits: nobody delays the radio.

mod answer;
mod ask;
mod client;
mod devices;
mod order_request;
mod orders;
mod refusal;
mod request;
mod serve;
mod verbs;

pub(super) use answer::answer;
pub(super) use ask::Ask;
pub(super) use ask::Standing;
pub use client::ControlClient;
pub use client::ControlError;
pub(super) use devices::devices;
pub(super) use orders::Orders;
pub(super) use orders::folder_of;
pub(super) use orders::is_of_socket;
pub use request::PAGE_MAX;
pub(super) use request::What;
pub(super) use serve::serve;
pub(super) use verbs::PendingAnswers;
pub(super) use verbs::command;
