//! Between two sessions of a campaign: devices whose result is open are asked alone, and those who miss something are told
//! one more session, only when the one before is over at them.

use super::course::Course;
use super::course::Stage;
use super::rest::Rest;
use crate::answers::End;
use crate::answers::GiveUp;
use crate::broadcast::Broadcaster;
use crate::campaign::Pause;
use crate::campaign::Session;
use crate::fleet::Fleet;
use crate::fleet::rounded;
use crate::lorawan::Eui64;
use crate::schedule::Scheduler;
use crate::time::GpsTime;
use crate::time::Now;
use std::collections::BTreeSet;

/// What becomes of a campaign that rests.
pub(super) enum Next {
    /// Nothing happens to it yet.
    Wait,
    /// So many devices are told one more session.
    Session(usize, Session),
    /// One more session runs.
    Sending,
    /// Nothing more is sent, and why.
    End(End),
}

impl Course {
    /// Whether somebody may miss something that one more session could bring, after this end.
    pub(super) fn may_go_on(&self, end: End, pause: &Pause, give_up: &GiveUp) -> bool {
        let is_asked_out = self.rounds.questions >= give_up.questions;
        let is_open = || self.roll.each().any(|(dev_eui, _)| self.roll.is_open(dev_eui));
        matches!(end, End::Session | End::Done | End::Alone)
            && self.may_get_one(pause, give_up)
            && !is_asked_out
            && is_open()
    }

    /// Nothing more is sent in the session.
    pub(super) fn rest(&mut self, end: End, pause: &Pause) {
        self.stage = Stage::Between(end);
        self.rest = Rest { is_open: !pause.is_shut, further: pause.further.unwrap_or(0), ..Rest::default() };
    }

    /// What comes of it at `now`. `is_due`: somebody was heard since it was looked at; `is_wanted`: no other
    /// campaign of the group waits.
    pub(super) fn rest_on(
        &mut self,
        now: Now,
        pause: &Pause,
        (fleet, give_up): (&Fleet, &GiveUp),
        (broadcaster, scheduler): (&mut Broadcaster, &Scheduler),
        (is_due, is_wanted): (bool, bool),
    ) -> Next {
        let Stage::Between(end) = self.stage else { return Next::Wait };
        self.rest.further = pause.further.unwrap_or(0);
        if !pause.is_shut {
            return self.next_session(broadcaster, pause, fleet, give_up);
        }
        if self.rest.decide_at.is_none() {
            self.ask_each(now, pause, fleet, give_up);
        }
        let is_late = self.rest.decide_at.is_some_and(|at| at <= now.mono);
        // Nobody holds the image while frames of it are left.
        let is_early = !pause.is_cut && !is_late && (!is_due || self.is_anybody_left(fleet));
        if is_wanted && is_early {
            if let Some(at) = self.rest.decide_at {
                broadcaster.await_answers(&self.task, at);
            }
            return Next::Wait;
        }
        let behind = self.behind(pause, give_up);
        if behind.is_empty() {
            return Next::End(if self.roll.is_anybody_open() || end == End::Alone { end } else { End::Done });
        }
        let Some(gps) = now.gps.filter(|_| is_wanted && self.may_get_one(pause, give_up)) else {
            return Next::End(End::Session);
        };
        let start = rounded(gps.plus_us(fleet.lead_us(behind.iter().copied())));
        let fragments = self.roll.demand(give_up.max_behind).max(1);
        let Some(session) = broadcaster.extend(now, scheduler, &self.task, start, fragments) else {
            return Next::End(End::Session);
        };
        self.rounds.begin_session(pause.is_cut);
        let devices = behind.len();
        (self.rest.listeners, self.rest.decide_at) = (Some(behind), None);
        Next::Session(devices, session)
    }

    /// One more session comes, or runs: whoever was told it is sent what it misses.
    fn next_session(
        &mut self,
        broadcaster: &Broadcaster,
        pause: &Pause,
        fleet: &Fleet,
        give_up: &GiveUp,
    ) -> Next {
        if self.rest.is_open {
            return Next::Wait;
        }
        if pause.opens.is_some() {
            // An earlier life chose the same ones.
            if self.rest.listeners.is_none() {
                self.rest.listeners = Some(self.behind(pause, give_up));
            }
            return Next::Wait;
        }
        let sessions = broadcaster.sessions(&self.task).unwrap_or_default();
        if let Some(session) = sessions.last() {
            self.roll.open_session(|dev_eui| fleet.is_told_session(dev_eui, session.start));
        }
        (self.stage, self.asking_since_s) = (Stage::Sending, 0);
        Next::Sending
    }

    /// The session is over: devices whose result is open are asked alone, each at one of its next uplinks.
    fn ask_each(&mut self, now: Now, pause: &Pause, fleet: &Fleet, give_up: &GiveUp) {
        self.rest = Rest { further: pause.further.unwrap_or(0), ..Rest::default() };
        self.roll.close_session();
        self.roll.ask_each();
        let now_s = now.gps.map_or(0, GpsTime::session_time);
        if self.asking_since_s == 0 {
            self.asking_since_s = now_s;
        }
        let spent_us = u64::from(now_s.saturating_sub(self.asking_since_s)) * 1_000_000;
        let open = self.roll.each().map(|(dev_eui, _)| dev_eui).filter(|dev_eui| self.roll.is_open(*dev_eui));
        let patience_us = fleet.lead_us(open).min(give_up.answers_us);
        self.rest.decide_at = Some(now.mono.plus_us(patience_us.saturating_sub(spent_us)));
    }

    /// Who is told one more session.
    fn behind(&self, pause: &Pause, give_up: &GiveUp) -> BTreeSet<Eui64> {
        match pause.is_cut {
            true => self.roll.open_ones().collect(),
            false => self.roll.behind_ones(give_up.max_behind).collect(),
        }
    }

    fn is_anybody_left(&self, fleet: &Fleet) -> bool {
        let is_left = |dev_eui: Eui64| !fleet.is_asked_out(dev_eui, self.questions(dev_eui));
        self.roll.each().any(|(dev_eui, _)| is_left(dev_eui))
    }

    fn may_get_one(&self, pause: &Pause, give_up: &GiveUp) -> bool {
        let is_allowed = pause.further.is_some_and(|further| further < usize::from(give_up.further_sessions));
        is_allowed && pause.room > 0
    }
}
