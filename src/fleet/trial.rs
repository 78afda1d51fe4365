//! The trial of one batch: canaries in a short session, who are asked under the group's key.

use super::batch::BATCH_BYTES;
use super::batch::Batch;
use super::setup::Window;
use crate::lorawan::Eui64;
use crate::time::GpsTime;
use std::collections::BTreeMap;

/// The canaries of a batch, at most; if so many leave their questions unanswered its root keys are doubted.
pub const CANARIES_MAX: usize = 3;
/// So many questions a canary may leave unanswered.
pub(super) const TRIES: u8 = 2;
/// A session has room for so many questions.
pub(super) const QUESTIONS: u8 = 2;

/// A short session of a batch's canaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrialSession {
    pub(super) window: Window,
    /// Who is told the session, at most [`CANARIES_MAX`].
    pub(super) canaries: Vec<Eui64>,
    /// The largest BlockAckDelay of a canary in it.
    pub(super) block_ack_delay: u8,
    /// Questions that were put, or were about to be when an earlier life ended.
    pub(super) questions: u8,
    /// When the newest of them was over on the air; `None` while that is not known.
    pub(super) asked: Option<GpsTime>,
}

/// The trial of one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) session: Option<TrialSession>,
    /// Sessions in which nobody was asked: the next ones are told longer beforehand.
    pub(super) lapses: u8,
    /// The questions that each canary left unanswered.
    pub(super) unanswered: BTreeMap<Eui64, u8>,
    pub(super) is_doubted: bool,
}

impl Trial {
    /// The session, if the device is a canary in it.
    pub(super) fn session_of(&self, dev_eui: Eui64) -> Option<&TrialSession> {
        self.session.as_ref().filter(|session| session.canaries.contains(&dev_eui))
    }

    /// Whether the device left as many questions unanswered as a canary may.
    pub(super) fn has_failed(&self, dev_eui: Eui64) -> bool {
        self.unanswered.get(&dev_eui).is_some_and(|unanswered| *unanswered >= TRIES)
    }

    /// The devices that did.
    pub(super) fn failed(&self) -> impl Iterator<Item = Eui64> {
        self.unanswered.keys().copied().filter(|dev_eui| self.has_failed(*dev_eui))
    }

    /// Its bytes on disk.
    pub(super) fn write(&self, batch: Batch, bytes: &mut Vec<u8>) {
        bytes.extend(batch.to_bytes());
        bytes.extend([u8::from(self.is_doubted), self.lapses]);
        let session = self.session.as_ref();
        bytes.extend(session.map_or(0, |session| session.window.start.as_us()).to_le_bytes());
        let numbers =
            |session: &TrialSession| [session.window.exponent, session.questions, session.block_ack_delay];
        bytes.extend(session.map_or([0; 3], numbers));
        bytes.extend(session.and_then(|session| session.asked).map_or(0, GpsTime::as_us).to_le_bytes());
        let canaries: &[Eui64] = session.map_or(&[], |session| &session.canaries);
        bytes.push(canaries.len() as u8);
        canaries.iter().for_each(|dev_eui| bytes.extend(dev_eui.as_bytes()));
        bytes.push(self.unanswered.len().min(usize::from(u8::MAX)) as u8);
        for (dev_eui, unanswered) in self.unanswered.iter().take(usize::from(u8::MAX)) {
            bytes.extend(dev_eui.as_bytes());
            bytes.push(*unanswered);
        }
    }

    /// Reads what [`Trial::write`] wrote off the head of `bytes`.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<(Batch, Trial)> {
        let batch = Batch::from_bytes(take::<BATCH_BYTES>(bytes)?);
        let [flags, lapses] = take(bytes)?;
        let start_us = u64::from_le_bytes(take(bytes)?);
        let [exponent, questions, block_ack_delay] = take(bytes)?;
        let asked_us = u64::from_le_bytes(take(bytes)?);
        let [count] = take(bytes)?;
        let canaries = (0..count).map(|_| take(bytes).map(Eui64::from_bytes)).collect::<Option<_>>()?;
        let [count] = take(bytes)?;
        let mut unanswered = BTreeMap::new();
        for _ in 0..count {
            let dev_eui = Eui64::from_bytes(take(bytes)?);
            let [questions] = take(bytes)?;
            unanswered.insert(dev_eui, questions);
        }
        let session = (start_us != 0).then(|| TrialSession {
            window: Window { start: GpsTime::from_us(start_us), exponent },
            canaries,
            block_ack_delay,
            questions,
            asked: (asked_us != 0).then(|| GpsTime::from_us(asked_us)),
        });
        Some((batch, Trial { session, lapses, unanswered, is_doubted: flags & 1 != 0 }))
    }
}

/// The first `N` bytes, which are taken off.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}
