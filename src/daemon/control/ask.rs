//! What readers of the local sockets ask the driver.

use super::request::Request;
use tokio::sync::oneshot;

/// A question with the way back for its answer. Whoever asked may be gone by then.
#[derive(Debug)]
pub enum Ask {
    /// The status page, a JSON document.
    Status(oneshot::Sender<Vec<u8>>),
    /// A request of the control socket; the answer is a line of JSON.
    Control(Request, oneshot::Sender<Vec<u8>>),
}
