//! Enrolment of a key in the state folder.

use crate::lorawan::KeyFingerprint;
use crate::store::enrolment::Enrolment;
use crate::store::error::StoreError;
use crate::store::error::within;
use crate::store::files::Files;
use crate::store::journal::Journal;
use crate::store::new_file::replace;
use crate::store::range::FCNT_FIRST;
use crate::store::range::NEXT_FREE_MAX;
use crate::store::range::RangeState;
use crate::store::recovery::KEYS_MAX;
use crate::store::recovery::key_name;
use crate::store::recovery::read;

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
