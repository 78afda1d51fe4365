//! A question to canaries, to be sent under the group's key.

use crate::time::GpsTime;

/// FragSessionStatusReq to all of a group's canaries, whose FCnt is reserved on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The FCnt that it carries.
    pub fcnt: u32,
    /// It is on the air not before this.
    pub opens: GpsTime,
    /// It is over on the air by this, or is not sent.
    pub closes: GpsTime,
}
