//! How a key comes to send here: somebody says once, by command, from where on its counters are free. A
//! configuration never does, because it stays after everything else is lost.

use crate::lorawan::KeyFingerprint;
use crate::store::record;
use crate::store::record::Kind;
use crate::store::record::RecordId;
use serde::Deserialize;
use serde::Serialize;

const VERSION: u32 = 1;

/// What is remembered of a key's enrolment, beside its journal: a journal that is gone is missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Enrolment {
    version: u32,
    /// The group it was enrolled for; `None` for a key that an earlier release used.
    pub group: Option<String>,
    /// The gateway (EUI-64, 16 hex digits) it was enrolled on, where the configuration named it.
    pub gateway: Option<String>,
    /// The first FCnt that may be given away.
    pub first_fcnt: u32,
    /// What was known of its counters before was lost or is not to be relied on.
    pub after_loss: bool,
}

impl Enrolment {
    /// The enrolment of a key for `group`.
    pub fn new(group: &str, gateway: Option<String>, first_fcnt: u32, after_loss: bool) -> Enrolment {
        Enrolment { version: VERSION, group: Some(group.to_owned()), gateway, first_fcnt, after_loss }
    }

    /// What is written down for a key whose journal was there before enrolments were.
    pub(super) fn of_journal(next_free: u32) -> Enrolment {
        Enrolment { version: VERSION, group: None, gateway: None, first_fcnt: next_free, after_loss: false }
    }

    pub(super) fn to_file(&self, key: KeyFingerprint) -> Vec<u8> {
        let text = serde_json::to_vec_pretty(self).expect("strings and numbers always serialise");
        record::close(Kind::Key, RecordId(*key.as_bytes()), 0, &text)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Enrolment> {
        serde_json::from_slice(bytes).ok().filter(|read: &Enrolment| read.version == VERSION)
    }
}
