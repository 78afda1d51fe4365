//! What must be known of a campaign after a restart: the task as received, the counters, how it stands.

use super::io::TaskSource;
use crate::campaign::Redundancy;
use crate::report::Decoded;
use crate::report::Outcome;
use crate::signing::Evidence;
use serde::Deserialize;
use serde::Serialize;

/// The version of the record's format.
pub(super) const VERSION: u32 = 1;

/// A campaign as it is kept on disk. Plain text: an operator may read it, and it holds no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub(super) version: u32,
    /// The task document as received.
    pub document: String,
    /// Name of the task's source, which is its id when the document has none.
    pub stem: String,
    /// Where it came from.
    pub source: TaskSource,
    /// Name of the group in the configuration.
    pub group: String,
    /// SHA-256 of the image, pinned when the task was planned.
    pub digest: String,
    /// The signature that was checked when the task was planned; it is checked again after every restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// When that was, Unix time, microseconds: a campaign does not end because a certificate does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_unix_us: Option<i64>,
    /// FCnt of frame 0.
    pub base: u32,
    /// Whose counters it uses: a journal that is gone is missed. Empty in records of earlier releases.
    #[serde(default)]
    pub key: String,
    /// The task's place in the order of arrival.
    #[serde(default)]
    pub number: u64,
    /// The sessions that its devices are told: starts in GPS microseconds, and exponents. Empty in records of earlier
    /// releases, and for devices that always listen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<(u64, u8)>,
    /// Coded fragments before the first question, where they are fewer than the task orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coded: Option<u16>,
    /// What came of decoding its frames.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// Armed, or over with its outcome.
    pub state: RecordState,
}

/// What the preflight of one plan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The plan's hash: another plan has to be decoded anew.
    pub plan_hash: [u8; 32],
    /// What came of it.
    pub decoded: Decoded,
}

/// How a recorded campaign stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordState {
    /// Planned; counters are reserved or about to be.
    Armed,
    /// Over; it never runs again.
    Over {
        /// How it ended, for people.
        outcome: String,
        /// Which of all tasks it was to end.
        order: u64,
    },
}

impl Record {
    /// The same campaign, over.
    pub fn over(self, outcome: &Outcome, order: u64) -> Self {
        Record { state: RecordState::Over { outcome: outcome.to_string(), order }, ..self }
    }

    /// What it sends before its first question, whatever was learned since it was planned.
    pub(super) fn redundancy(&self) -> Redundancy {
        self.coded.map_or(Redundancy::Ordered, Redundancy::Planned)
    }

    /// As bytes for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings and numbers always serialise")
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// One line: what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Record, String> {
        let record: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match record.version {
            VERSION => Ok(record),
            other => {
                Err(format!("record format {other} is newer than {VERSION}: use the fuotad that wrote it"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_signatures_is_read_as_one_without() {
        let text = r#"{"version":1,"document":"{}","stem":"t","source":"Cloud","group":"meters","digest":"00",
                       "base":2,"state":"Armed"}"#;
        let record = Record::from_bytes(text.as_bytes()).unwrap();
        assert_eq!((&record.evidence, record.checked_unix_us), (&None, None));
        assert_eq!(record.redundancy(), Redundancy::Ordered);
        let evidence = Some(Evidence::detached("s3://b/k.sig", vec![0x30, 0xff]));
        let signed = Record { evidence, checked_unix_us: Some(7), ..record };
        assert_eq!(Record::from_bytes(&signed.to_bytes()), Ok(signed));
    }
}
