//! When a campaign's devices listen, and in which of its sessions it is.

use super::session::Session;
use super::step::Begin;
use crate::report::ClockNeed;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

/// The sessions of a campaign, or whatever else says when it may begin.
#[derive(Clone, Debug)]
pub struct Calendar {
    begin: Begin,
    guard_us: u64,
    /// The session that runs or comes next.
    session: usize,
}

/// Why nothing can be sent whatever the time is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Something is missing without which nothing begins.
    Blocked(WaitReason),
    /// The sessions that devices were told are over; the last one ended then. `None`: there was none.
    Missed(Option<GpsTime>),
}

impl Calendar {
    /// Nobody knows yet; frames keep `guard_us` away from both edges of a session.
    pub fn new(guard_us: u64) -> Self {
        Calendar { begin: Begin::Unknown, guard_us, session: 0 }
    }

    /// When the campaign may begin.
    pub fn begin(&self) -> &Begin {
        &self.begin
    }

    /// Now that it is known or has changed.
    pub fn set_begin(&mut self, begin: Begin) {
        if self.begin != begin {
            *self = Calendar { begin, ..Calendar::new(self.guard_us) };
        }
    }

    /// Whether all sessions that devices were told are over.
    pub fn is_missed(&self, now: Now) -> bool {
        let sessions = self.begin.sessions();
        let is_over = |session: &Session| now.gps.is_some_and(|gps| session.usable(self.guard_us).1 <= gps);
        !sessions.is_empty() && (self.session >= sessions.len() || sessions.iter().all(is_over))
    }

    /// Whether the devices listen now, as far as anybody knows.
    pub fn is_open(&self, now: Now) -> bool {
        match (&self.begin, now.gps) {
            (Begin::AtOnce, _) => true,
            (Begin::At(start), Some(gps)) => *start <= gps,
            (Begin::Sessions(sessions), Some(gps)) => sessions.iter().any(|session| {
                let (opens, closes) = session.usable(self.guard_us);
                (opens..closes).contains(&gps)
            }),
            _ => false,
        }
    }

    /// The session that runs or comes next.
    pub fn session(&self) -> Option<Session> {
        self.begin.sessions().get(self.session).copied()
    }

    /// When the devices of a campaign with a start or sessions begin to listen, or began.
    pub fn opens(&self, now: Now) -> Option<Instant> {
        match &self.begin {
            Begin::At(start) => now.instant_of(*start),
            _ => now.instant_of(self.session()?.usable(self.guard_us).0),
        }
    }

    /// What is waited for until the devices listen, which is then.
    pub fn wait(&self, opens: Instant) -> Option<Wait> {
        let reason = match (&self.begin, self.session()) {
            (Begin::At(start), _) => WaitReason::Start(*start),
            (_, session) => session.map(|session| WaitReason::Session(session.start, session.end()))?,
        };
        Some(Wait::until(reason, opens))
    }

    /// When frames may no longer go out in the session that runs or comes next.
    pub fn closes(&self, now: Now) -> Option<Instant> {
        now.instant_of(self.session()?.usable(self.guard_us).1)
    }

    /// From when to when the devices listen from now on, one entry for each session; `None` while nobody knows.
    pub fn windows(&self, now: Now) -> Option<Vec<(Instant, Option<Instant>)>> {
        match &self.begin {
            Begin::Unknown => None,
            Begin::AtOnce => Some(vec![(now.mono, None)]),
            Begin::At(start) => Some(vec![(now.instant_of(*start)?, None)]),
            Begin::Sessions(sessions) => {
                let window = |session: &Session| {
                    let (opens, closes) = session.usable(self.guard_us);
                    Some((now.instant_of(opens)?, Some(now.instant_of(closes)?)))
                };
                sessions.get(self.session..)?.iter().map(window).collect()
            }
        }
    }

    /// From when to when the devices listen, as far as that is bounded.
    ///
    /// # Errors
    /// Why there is no such time.
    pub fn window(&mut self, now: Now) -> Result<(Option<Instant>, Option<Instant>), Closed> {
        const NO_CLOCK: Closed = Closed::Blocked(WaitReason::Clock { need: ClockNeed::Start, dispute: None });
        let sessions = match &self.begin {
            Begin::Unknown => {
                return Err(Closed::Blocked(WaitReason::NoStart));
            }
            Begin::AtOnce => return Ok((None, None)),
            Begin::At(start) => return Ok((Some(now.instant_of(*start).ok_or(NO_CLOCK)?), None)),
            Begin::Sessions(sessions) => sessions,
        };
        let gps = now.gps.ok_or(NO_CLOCK)?;
        let is_over = |session: &Session| session.usable(self.guard_us).1 <= gps;
        while sessions.get(self.session).is_some_and(is_over) {
            self.session += 1;
        }
        let missed = Closed::Missed(sessions.last().map(|session| session.end()));
        let (opens, closes) = self.session().ok_or(missed)?.usable(self.guard_us);
        Ok((now.instant_of(opens), now.instant_of(closes)))
    }
}
