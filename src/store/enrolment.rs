//! How a key comes to send here: somebody says once, by command, from where on its counters are free. A
//! configuration never does, because it stays after everything else is lost.

use crate::lorawan::KeyFingerprint;
use crate::store::error::StoreError;
use crate::store::error::within;
use crate::store::files::Files;
use crate::store::journal::Journal;
use crate::store::new_file::replace;
use crate::store::range::FCNT_FIRST;
use crate::store::range::NEXT_FREE_MAX;
use crate::store::range::RangeState;
use crate::store::record;
use crate::store::record::Kind;
use crate::store::record::RecordId;
use crate::store::recovery::KEYS_MAX;
use crate::store::recovery::key_name;
use crate::store::recovery::read;
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

/// Enrols a key: makes its journal and the record beside it. The state folder's service may run: it takes the key
/// at its next start. An enrolment after a loss needs the folder for itself.
///
/// # Errors
/// [`StoreError::Enrolled`]: it is there; [`StoreError::CounterLost`]: its journal is lost, and only an enrolment
/// after a loss begins again; [`StoreError::CounterUsed`]: that would begin below what is known to be used;
/// [`StoreError::IllegalRange`], [`StoreError::TooMany`], [`StoreError::NewerFormat`] and the disk's.
pub fn enrol<F: Files>(
    files: &mut F,
    key: KeyFingerprint,
    enrolment: &Enrolment,
    boot_id: [u8; 16],
) -> Result<(), StoreError> {
    let first_fcnt = enrolment.first_fcnt;
    if !(FCNT_FIRST..NEXT_FREE_MAX).contains(&first_fcnt) {
        return Err(StoreError::IllegalRange { base: first_fcnt, next_free: first_fcnt.saturating_add(1) });
    }
    let recovered = read(files)?;
    let (state, before) = (recovered.ranges.get(&key), recovered.enrolments.get(&key));
    let known = state.and_then(RangeState::counters).map(|counters| counters.next_free);
    if !enrolment.after_loss {
        match state {
            None => within("keys", recovered.ranges.len() + 1, KEYS_MAX)?,
            Some(RangeState::Lost(reason)) => {
                return Err(StoreError::CounterLost { key, reason: reason.clone() });
            }
            Some(RangeState::Intact(_) | RangeState::Damaged { .. }) => {
                let group = before.and_then(|before| before.group.as_ref());
                return Err(StoreError::Enrolled {
                    key,
                    group: group.map_or(String::new(), |group| format!(" for group {group}")),
                    next_free: known.unwrap_or(first_fcnt),
                });
            }
        }
    }
    let floor = known.max(before.map(|before| before.first_fcnt)).unwrap_or(FCNT_FIRST);
    if first_fcnt < floor {
        return Err(StoreError::CounterUsed { base: first_fcnt, next_free: floor });
    }
    let (name, file) = (key_name(key), enrolment.to_file(key));
    if enrolment.after_loss {
        // The new number first: whatever journal a cut leaves behind it, nothing below is given away.
        replace(files, &name, &file)?;
        Journal::create(files, key, first_fcnt, &boot_id)
    } else {
        Journal::create(files, key, first_fcnt, &boot_id)?;
        replace(files, &name, &file)
    }
}
