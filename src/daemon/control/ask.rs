//! What readers of the local sockets ask the driver.

use super::request::Request;
use crate::task::TaskId;
use crate::time::GpsTime;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// A question with the way back for its answer. Whoever asked may be gone by then.
#[derive(Debug)]
pub enum Ask {
    /// The status page, a JSON document.
    Status(oneshot::Sender<Vec<u8>>),
    /// A request of the control socket; the answer is a line of JSON.
    Control(Request, oneshot::Sender<Vec<u8>>),
    /// How these tasks stand.
    Standing(Vec<TaskId>, oneshot::Sender<Standing>),
}

/// How some tasks stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Those that are known and not over.
    pub open: Vec<TaskId>,
    /// Those that are over, as far as that is remembered.
    pub over: Vec<TaskId>,
    /// All others that are not over.
    pub others: Vec<TaskId>,
    /// Groups that nothing can be sent to, as before their keys are enrolled, and why: one line.
    pub unusable: BTreeMap<String, String>,
    /// The time, when it is trusted.
    pub gps: Option<GpsTime>,
}
