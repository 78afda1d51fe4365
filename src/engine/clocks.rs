//! The clocks of a gateway: its own, and the GPS receiver of its packet forwarder. Two that agree are believed, one
//! that is alone when it is steady, and of two that contradict each other none.

use super::session_clock::SessionClock;
use crate::report::disputed;
use crate::time::ClockDispute;
use crate::time::GpsLine;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

/// The clocks, and which of them is believed.
#[derive(Debug)]
pub(super) struct Clocks {
    session: SessionClock,
    forwarder: GpsLine,
    /// Our own clock against the last uplink, while they contradict each other.
    dispute: Option<ClockDispute>,
}

/// The clocks at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// The forwarder's GPS time, while it is steady.
    pub forwarder: Option<GpsTime>,
    /// Two clocks that contradict each other, at the moment of the last uplink.
    pub dispute: Option<ClockDispute>,
}

impl Clocks {
    /// Goes on from what a former process of this boot believed.
    pub(super) fn new(held: Option<(Instant, GpsTime)>) -> Clocks {
        Clocks { session: SessionClock::new(held), forwarder: GpsLine::default(), dispute: None }
    }

    /// What counts as the time where our own clock says `own`, and whether the time line is a new one.
    pub(super) fn believed(&mut self, own: Now, is_in_session: impl Fn(Now) -> bool) -> (Now, bool) {
        let gps = match own.gps {
            Some(gps) => Some(gps).filter(|_| self.dispute.is_none()),
            None => self.forwarder.gps_at(own.mono),
        };
        self.session.filter(Now { gps, ..own }, is_in_session)
    }

    /// The forwarder named the time at which an uplink ended; what the operator is told of it, if it is news.
    pub(super) fn hear(&mut self, own: Now, ended: Instant, theirs: GpsTime) -> Option<String> {
        self.forwarder.hear(ended, theirs);
        let ours = own.gps_at(ended)?;
        let dispute = ClockDispute::between(ours, theirs);
        // The known glitch says nothing for either.
        if dispute.is_none() && ClockDispute::is_glitch(ours, theirs) {
            return None;
        }
        let is_news = dispute.is_some() != self.dispute.is_some();
        self.dispute = dispute;
        is_news.then(|| match &self.dispute {
            Some(dispute) => {
                format!("{}: nothing starts at an absolute time until they agree", disputed(dispute))
            }
            None => "the forwarder's GPS and this gateway's clock agree again".to_owned(),
        })
    }

    pub(super) fn state(&self, now: Instant) -> ClockState {
        ClockState { forwarder: self.forwarder.gps_at(now), dispute: self.dispute }
    }
}
