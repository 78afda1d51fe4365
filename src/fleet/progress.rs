//! What is known of one device across restarts, and its bytes on disk.

use super::counted::Counted;
use super::habits::Habits;
use super::state::Refusal;
use super::step::Step;
use crate::lorawan::PackageVersion;

/// Bytes of one device's progress on disk.
pub(super) const PROGRESS_BYTES: usize = 80;
/// The same in version 1 of the records, which did not know [`Progress::holds`].
pub(super) const FORMER_BYTES: usize = 72;

/// Why a dialogue does not go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The device cannot take part.
    Refused(Refusal),
    /// Somebody else sets the device up.
    Conflict,
    /// The device lost what it was told after the first fragment.
    LostState,
}

/// A command of ours whose answer did not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The command that was asked.
    pub(super) step: Step,
    /// The number of its item in the device's queue.
    pub(super) item_no: u32,
    /// GPS seconds at which the server has dropped the item; `u32::MAX` where it never does.
    pub(super) expires_s: u32,
}

/// What is known of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The setup that `done`, `ever_asked` and the rest of the dialogue are of.
    pub(super) setup: [u8; 8],
    /// The fragmentation session that it confirmed and has not lost since; zeros for none.
    pub(super) holds: [u8; 8],
    /// PackageVersion of TS004, TS005 and TS003; 0 while it is not known.
    pub(super) ts004: u8,
    pub(super) ts005: u8,
    pub(super) ts003: u8,
    /// The steps that were answered well.
    pub(super) done: u8,
    /// The steps that were asked in this setup.
    pub(super) ever_asked: u8,
    /// How often the step at hand was asked without an answer, and how often it was answered badly.
    pub(super) tries: u8,
    pub(super) bad_answers: u8,
    /// It answered a multicast frame of this key.
    pub(super) is_proved: bool,
    /// An answer said that its clock is wrong.
    pub(super) is_clock_doubted: bool,
    /// It is told a short BlockAckDelay: it may become a canary of its batch.
    pub(super) is_candidate: bool,
    pub(super) stop: Option<Stop>,
    /// The command on its way.
    pub(super) asked: Option<Asked>,
    /// Numbers of items below this are used.
    pub(super) next_item_no: u32,
    /// SessionTime of the session last asked for, and of the one that was confirmed; 0 for none.
    pub(super) session_asked: u32,
    pub(super) session_told: u32,
    /// TimeOut of both sessions, an exponent.
    pub(super) exponent_asked: u8,
    pub(super) exponent_told: u8,
    /// GPS seconds at which the session was confirmed.
    pub(super) told_s: u32,
    /// The SessionCnt last used, and whether there is one.
    pub(super) session_cnt: Option<u16>,
    pub(super) counted: Counted,
    pub(super) habits: Habits,
    /// The day (of GPS time) that `downlinks` is of.
    pub(super) day: u16,
    pub(super) downlinks: u16,
    /// Questions to it alone what it holds, in this setup, and GPS seconds of the last one.
    pub(super) questions: u8,
    pub(super) question_s: u32,
}

impl Progress {
    /// Whether the step was answered well.
    pub(super) fn has_done(&self, step: Step) -> bool {
        self.done & step.bit() != 0
    }

    /// Whether the step was asked in this setup.
    pub(super) fn has_asked(&self, step: Step) -> bool {
        self.ever_asked & step.bit() != 0
    }

    /// Whether the device told this version of TS004 last.
    pub(super) fn has_version(&self, version: PackageVersion) -> bool {
        self.has_done(Step::FragVersion) && self.ts004 == version.number()
    }

    /// Without what changes with every uplink: only the rest is worth a write.
    pub(super) fn lasting(self) -> Progress {
        Progress { counted: Counted::default(), habits: Habits::default(), ..self }
    }

    /// Whether it holds this fragmentation session.
    pub(super) fn holds(&self, session: [u8; 8]) -> bool {
        self.holds == session && session != [0; 8]
    }

    /// What was answered for another setup is over; what the device is stays. The fragmentation session `kept` is as good as
    /// told, where it holds that.
    pub(super) fn begin(&mut self, setup: [u8; 8], kept: Option<[u8; 8]>) {
        let is_kept = kept.is_some_and(|kept| self.holds(kept));
        let lasting = match self.stop {
            Some(Stop::Refused(Refusal::Relay)) => self.stop,
            _ => None,
        };
        *self = Progress {
            setup,
            ts004: self.ts004,
            ts005: self.ts005,
            ts003: self.ts003,
            holds: self.holds,
            done: self.done & Step::FragVersion.bit() | if is_kept { Step::FragSession.bit() } else { 0 },
            is_candidate: self.is_candidate && is_kept,
            is_proved: self.is_proved,
            stop: lasting,
            // An item may still be in the queue.
            asked: self.asked,
            next_item_no: self.next_item_no,
            session_cnt: self.session_cnt,
            counted: self.counted,
            habits: self.habits,
            day: self.day,
            downlinks: self.downlinks,
            ..Progress::default()
        };
    }

    /// Its bytes on disk.
    pub(super) fn to_bytes(self) -> [u8; PROGRESS_BYTES] {
        let mut bytes = Vec::with_capacity(PROGRESS_BYTES);
        let (stop, detail, version) = match self.stop {
            None => (0, 0, 0),
            Some(Stop::Refused(refusal)) => {
                let (number, version) = refusal.number();
                (1, number, version)
            }
            Some(Stop::Conflict) => (2, 0, 0),
            Some(Stop::LostState) => (3, 0, 0),
        };
        let flags = u8::from(self.is_proved)
            | u8::from(self.session_cnt.is_some()) << 1
            | u8::from(self.counted.newest.is_some()) << 2
            | u8::from(self.is_clock_doubted) << 3
            | u8::from(self.is_candidate) << 4;
        let asked = self.asked.map_or(0, |asked| asked.step.number());
        bytes.extend(self.setup);
        bytes.extend([self.ts004, self.ts005, self.ts003, self.done, self.ever_asked, self.tries]);
        bytes.extend([self.bad_answers, flags, stop, detail, version, asked]);
        bytes.extend(self.asked.map_or(0, |asked| asked.item_no).to_le_bytes());
        bytes.extend(self.asked.map_or(0, |asked| asked.expires_s).to_le_bytes());
        for number in [self.next_item_no, self.session_asked, self.session_told, self.told_s] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.counted.newest.unwrap_or(0).to_le_bytes());
        bytes.extend(self.counted.seen.to_le_bytes());
        bytes.extend(self.habits.interval_s.to_le_bytes());
        bytes.extend((self.habits.heard | u16::from(self.habits.known) << 12).to_le_bytes());
        bytes.extend(self.session_cnt.unwrap_or(0).to_le_bytes());
        bytes.extend((u32::from(self.day) << 12 | u32::from(self.downlinks.min(0xfff))).to_le_bytes());
        bytes.extend([self.exponent_asked, self.exponent_told]);
        bytes.extend(self.question_s.to_le_bytes());
        bytes.extend([self.questions, 0]);
        bytes.extend(self.holds);
        bytes.resize(PROGRESS_BYTES, 0);
        let mut array = [0; PROGRESS_BYTES];
        array.copy_from_slice(&bytes);
        array
    }

    /// Reads what [`Progress::to_bytes`] wrote; what no release ever wrote is read as far as it has a meaning.
    pub(super) fn from_bytes(bytes: &[u8; PROGRESS_BYTES]) -> Progress {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut setup = [0; 8];
        setup.copy_from_slice(&bytes[..8]);
        let flags = bytes[15];
        let asked = Step::from_number(bytes[19]);
        let mut holds = [0; 8];
        holds.copy_from_slice(&bytes[FORMER_BYTES..]);
        Progress {
            setup,
            holds,
            ts004: bytes[8],
            ts005: bytes[9],
            ts003: bytes[10],
            done: bytes[11],
            ever_asked: bytes[12],
            tries: bytes[13],
            bad_answers: bytes[14],
            is_proved: flags & 1 != 0,
            is_clock_doubted: flags & 8 != 0,
            is_candidate: flags & 16 != 0,
            stop: match bytes[16] {
                1 => Refusal::from_number(bytes[17], bytes[18]).map(Stop::Refused),
                2 => Some(Stop::Conflict),
                3 => Some(Stop::LostState),
                _ => None,
            },
            asked: asked.map(|step| Asked { step, item_no: u32_at(20), expires_s: u32_at(24) }),
            next_item_no: u32_at(28),
            session_asked: u32_at(32),
            session_told: u32_at(36),
            told_s: u32_at(40),
            counted: Counted { newest: (flags & 4 != 0).then_some(u32_at(44)), seen: u32_at(48) },
            habits: Habits {
                interval_s: u32_at(52),
                heard: u16_at(56) & 0x03ff,
                known: (u16_at(56) >> 12).min(10) as u8,
                last_s: 0,
                short: 0,
            },
            session_cnt: (flags & 2 != 0).then_some(u16_at(58)),
            day: (u32_at(60) >> 12) as u16,
            downlinks: (u32_at(60) & 0xfff) as u16,
            exponent_asked: bytes[64],
            exponent_told: bytes[65],
            question_s: u32_at(66),
            questions: bytes[70],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_the_same_after_it_was_on_disk() {
        let progress = Progress {
            setup: [7; 8],
            holds: [6; 8],
            ts004: 2,
            ts005: 1,
            ts003: 1,
            done: 5,
            ever_asked: 63,
            tries: 3,
            bad_answers: 2,
            is_proved: true,
            is_clock_doubted: true,
            is_candidate: true,
            stop: Some(Stop::Refused(Refusal::FragVersion(2))),
            asked: Some(Asked { step: Step::McSession, item_no: 70_000, expires_s: u32::MAX }),
            next_item_no: 70_001,
            session_asked: 1_400_000_000,
            session_told: 1_300_000_000,
            told_s: 1_200_000_000,
            exponent_asked: 15,
            exponent_told: 14,
            session_cnt: Some(0),
            counted: Counted { newest: Some(0), seen: 1 << 31 },
            habits: Habits { heard: 0x3ff, known: 10, interval_s: 86_400, last_s: 0, short: 0 },
            day: 0xffff,
            downlinks: 4095,
            questions: 3,
            question_s: 1_400_000_001,
        };
        assert_eq!(Progress::from_bytes(&progress.to_bytes()), progress);
        assert_eq!(Progress::from_bytes(&[0; PROGRESS_BYTES]), Progress::default());
    }

    proptest! {
        #[test]
        fn hostile_bytes_become_something_that_stays_the_same(bytes in prop::collection::vec(any::<u8>(), PROGRESS_BYTES)) {
            let progress = Progress::from_bytes(bytes.first_chunk().unwrap());
            prop_assert_eq!(Progress::from_bytes(&progress.to_bytes()), progress);
        }
    }
}
