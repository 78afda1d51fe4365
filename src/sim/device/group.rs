//! One multicast group on a device: keys, counter and the sessions it was told (TS005-1.0.0 4.3, 4.5).

use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::Opened;
use crate::lorawan::open_multicast;
use crate::lorawan::parse_header;
use crate::radio::Modulation;
use crate::sim::device::stack::Rules;
use crate::time::Instant;

/// A multicast group as one device knows it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub mc_addr: McAddr,
    pub keys: McSessionKeys,
    pub min_mc_fcount: u32,
    pub max_mc_fcount: u32,
    /// The last counter that was accepted.
    pub last_fcnt: Option<u32>,
    pub timetable: Timetable,
}

impl Group {
    /// Lets sessions begin and end up to `at`, with what the stack then forgets.
    pub fn settle(&mut self, rules: &Rules, at: Instant) {
        let turn = self.timetable.settle(at);
        if !rules.forgets_counter_with_session {
            return;
        }
        if turn.ended {
            (self.min_mc_fcount, self.max_mc_fcount) = (0, u32::MAX);
        }
        if turn.began {
            self.last_fcnt = None;
        }
    }

    /// The content of a frame of this group heard at `at`, its counter taken note of; `None` when the stack drops it.
    ///
    /// LBM looks neither at the ACK bit nor at bit 6 of FCtrl, and counts frames with FOpts before it drops
    /// them; here all stacks drop all of these, as nothing here sends any.
    pub fn open(&mut self, rules: &Rules, at: Instant, phy: &[u8]) -> Option<Opened> {
        let header = parse_header(phy).ok()?;
        let fcnt = self.infer(rules, header.fcnt16)?;
        if !self.is_in_bounds(rules, fcnt) {
            return None;
        }
        let opened = open_multicast(&self.keys, self.mc_addr, fcnt, phy).ok()?;
        if rules.max_ends_session && fcnt >= self.max_mc_fcount {
            self.timetable.end(at);
            return None;
        }
        // Where 0 passes always, it is no step back.
        self.last_fcnt = self.last_fcnt.max(Some(fcnt));
        Some(opened)
    }

    /// The counter that a device believes in; `None` for a duplicate. One that goes back is taken for one that
    /// wrapped, and fails the MIC.
    fn infer(&self, rules: &Rules, fcnt16: u16) -> Option<u32> {
        if rules.counts_16_bits {
            let fcnt = u32::from(fcnt16);
            return (fcnt == 0 || fcnt > self.last_fcnt.unwrap_or(self.min_mc_fcount)).then_some(fcnt);
        }
        let from = match self.last_fcnt {
            Some(last) if last as u16 == fcnt16 => return None,
            Some(last) => last,
            None if rules.first_at_face_value => return Some(u32::from(fcnt16)),
            None => self.min_mc_fcount,
        };
        from.checked_add(u32::from(fcnt16.wrapping_sub(from as u16)))
    }

    fn is_in_bounds(&self, rules: &Rules, fcnt: u32) -> bool {
        let (min, max) = (self.min_mc_fcount, self.max_mc_fcount);
        // With 16 bits the lower bound is where the counter begins, and the upper one is looked at later.
        if rules.counts_16_bits || (min > max && rules.inverted_bounds_are_none) {
            return true;
        }
        min <= fcnt && (fcnt < max || (fcnt == max && rules.max_is_accepted))
    }
}

/// Where and how a device listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub frequency_hz: u32,
    pub modulation: Modulation,
    /// Longer frames are dropped at this data rate, bytes.
    pub max_phy_len: usize,
}

/// A Class C session as the device's own clock has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub start: Instant,
    pub end: Instant,
    pub place: Place,
}

/// The sessions of a group: one that runs and one that was told. A session told while another runs does not
/// end that one before it begins itself; one that was told and has not begun gives way to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timetable {
    running: Option<Session>,
    told: Option<Session>,
    listened_us: u64,
    has_ended: bool,
}

/// What happened while time passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    began: bool,
    ended: bool,
}

/// Where a timetable stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    NothingTold,
    Waiting,
    Running,
    Over,
}

impl Timetable {
    pub fn tell(&mut self, session: Session) {
        self.told = Some(session);
    }

    /// The session that runs, as of the last [`Timetable::settle`].
    pub fn running(&self) -> Option<&Session> {
        self.running.as_ref()
    }

    pub fn stage(&self) -> Stage {
        match (self.running, self.told) {
            (Some(_), _) => Stage::Running,
            (None, Some(_)) => Stage::Waiting,
            (None, None) if self.has_ended => Stage::Over,
            (None, None) => Stage::NothingTold,
        }
    }

    /// Class C time up to `at`, in microseconds; to be asked when settled up to there.
    pub fn listening_us(&self, at: Instant) -> u64 {
        self.listened_us + self.running.map_or(0, |session| at.us_since(session.start))
    }

    pub fn settle(&mut self, at: Instant) -> Turn {
        let mut turn = Turn::default();
        if let Some(told) = self.told.filter(|told| told.start <= at) {
            turn.ended |= self.end(told.start);
            self.told = None;
            self.running = Some(told);
            turn.began = true;
        }
        if self.running.is_some_and(|running| running.end <= at) {
            turn.ended |= self.end(at);
        }
        turn
    }

    /// Ends the session that runs, at `at` or when it would have ended anyway; whether one ran.
    fn end(&mut self, at: Instant) -> bool {
        let Some(session) = self.running.take() else { return false };
        self.listened_us += session.end.min(at).us_since(session.start);
        self.has_ended = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        frequency_hz: 869_525_000,
        modulation: Modulation::LoRa { sf: 9, bw_hz: 125_000 },
        max_phy_len: 128,
    };

    fn session(start_s: i64, end_s: i64) -> Session {
        Session { start: at(start_s), end: at(end_s), place: PLACE }
    }

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    #[test]
    fn a_session_told_while_another_runs_waits_for_its_start() {
        let mut timetable = Timetable::default();
        assert_eq!(timetable.stage(), Stage::NothingTold);
        timetable.tell(session(10, 20));
        assert_eq!((timetable.settle(at(9)), timetable.stage()), (Turn::default(), Stage::Waiting));
        assert_eq!(timetable.settle(at(10)), Turn { began: true, ended: false });
        timetable.tell(session(15, 40));
        assert_eq!((timetable.settle(at(14)), timetable.stage()), (Turn::default(), Stage::Running));
        assert_eq!(timetable.settle(at(15)), Turn { began: true, ended: true });
        assert_eq!(timetable.listening_us(at(16)), 6_000_000);
        assert_eq!(timetable.settle(at(100)), Turn { began: false, ended: true });
        assert_eq!((timetable.listening_us(at(100)), timetable.stage()), (30_000_000, Stage::Over));
    }

    #[test]
    fn a_session_that_came_and_went_unobserved_was_still_listened_to() {
        let mut timetable = Timetable::default();
        timetable.tell(session(10, 20));
        assert_eq!(timetable.settle(at(1000)), Turn { began: true, ended: true });
        assert_eq!(timetable.listening_us(at(1000)), 10_000_000);
    }
}
