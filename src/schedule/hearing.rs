//! What the gateway hears while it sends: the promise, and its books.
//!
//! A gateway hears nothing while it sends, and it loses every uplink that any frame meets: a frame of T after a pause
//! costs all uplinks that begin in the T, and those that began in the pause and were not over. So frames stand in trains
//! with holes between: the pauses within a train are too short for slow uplinks anyway.

use super::airtime_window::AirtimeWindow;
use super::airtime_window::Load;
use super::airtime_window::Origin;
use super::heard_uplinks::HeardUplinks;
use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::time::Instant;

/// The promise is one for any hour.
const HOUR_US: u64 = 3_600_000_000;
/// A train lasts no longer than the eight tries of a confirmed uplink (TS001-1.0.4, NbTrans and 19.1: at least 2 s and a
/// receive window apart), so one of them finds a hole.
const TRAIN_US: u64 = 20_000_000;
/// Between two tries of a device, without its uplink: RX2, and up to 3 s of random waiting (ACK_TIMEOUT).
const TRIES_APART_US: u64 = 5_000_000;

/// What is kept of the radio for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The part of every duty budget that is left to network servers, parts per million.
    pub server_reserve_ppm: u32,
    /// The part of usual uplinks that the gateway hears in any hour, parts per million; 0 promises nothing.
    pub min_heard_ppm: u32,
}

/// The shape of trains: frames with pauses that are too short for the slowest usual uplink, and then a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// From the first frame's start to the last one's end, at most, microseconds.
    pub longest_us: u64,
    /// For so much of a train and its hole the slowest uplink may begin and is heard, microseconds.
    pub open_us: u64,
    /// How long that uplink is, microseconds.
    pub slowest_us: u64,
}

impl Train {
    /// The hole after a full train of frames of `airtime_us` each `spacing_us`; `None` where the
    /// pauses between them are enough.
    pub fn hole_us(&self, airtime_us: u64, spacing_us: u64) -> Option<u64> {
        let fit = self.fit(airtime_us, spacing_us);
        let open_us = (fit - 1) * self.open_in(spacing_us.saturating_sub(airtime_us));
        (open_us < self.open_us).then(|| self.slowest_us + self.open_us - open_us)
    }

    /// Frames that fit a train.
    pub fn fit(&self, airtime_us: u64, spacing_us: u64) -> u64 {
        self.longest_us.saturating_sub(airtime_us) / spacing_us.max(1) + 1
    }

    /// For how much of a pause the slowest uplink may begin, microseconds.
    pub fn open_in(&self, pause_us: u64) -> u64 {
        pause_us.saturating_sub(self.slowest_us)
    }
}

/// What is promised of hearing, and how much of it this hour's frames have cost.
#[derive(Clone, Debug)]
pub struct Hearing {
    min_heard_ppm: u32,
    usual: UplinkMix,
    heard: HeardUplinks,
    hour: AirtimeWindow,
}

impl Hearing {
    /// Of the mean uplink `min_heard_ppm` parts per million are heard in any hour; 0 promises nothing. `usual` are the
    /// uplinks as long as too few were heard.
    pub fn new(min_heard_ppm: u32, usual: UplinkMix) -> Self {
        Hearing { min_heard_ppm, usual, heard: HeardUplinks::default(), hour: AirtimeWindow::new(HOUR_US) }
    }

    /// The same promise before anything was sent, with what was heard.
    pub fn rested(&self) -> Self {
        Hearing { hour: AirtimeWindow::new(HOUR_US), ..self.clone() }
    }

    /// Counts an uplink that was heard at `now`.
    pub fn hear(&mut self, now: Instant, modulation: Modulation, airtime_us: u64) {
        if self.min_heard_ppm > 0 {
            self.heard.hear(now, modulation, airtime_us);
        }
    }

    /// The uplinks it is about: those of the last day, else the usual ones.
    pub fn uplinks(&self) -> &UplinkMix {
        self.heard.mix().unwrap_or(&self.usual)
    }

    /// The shape of trains that leave the slowest usual uplink `open_us` at the least; `None` where nothing is promised.
    pub fn train(&self, open_us: u64) -> Option<Train> {
        let slowest_us = self.uplinks().slowest_us();
        (self.min_heard_ppm > 0).then_some(Train {
            longest_us: TRAIN_US,
            open_us: open_us.max(TRIES_APART_US),
            slowest_us,
        })
    }

    /// For how much of an hour the mean uplink may be lost, microseconds.
    pub fn limit_us(&self) -> u64 {
        HOUR_US / 1_000_000 * u64::from(1_000_000 - self.min_heard_ppm.min(1_000_000))
    }

    /// For how long the mean uplink is lost through a frame of `airtime_us` after a pause of `pause_us`, microseconds.
    pub fn cost_us(&self, airtime_us: u64, pause_us: u64) -> u64 {
        airtime_us + self.uplinks().mean_us(pause_us)
    }

    /// The first instant from `from` on at which the frame keeps the promise, microseconds of cost as they are there.
    pub fn earliest(&self, from: Instant, cost_us: u64, ours_only: bool) -> Instant {
        if self.min_heard_ppm == 0 {
            return from;
        }
        let limit_us = self.limit_us().max(cost_us);
        self.hour.earliest(from, cost_us, limit_us, ours_only).unwrap_or(from)
    }

    /// What this hour's frames have cost, microseconds.
    pub fn used_us(&self, now: Instant) -> u64 {
        self.hour.used_us(now, None)
    }

    /// The part of usual uplinks that is promised to be heard in any hour, and the part that was heard in this one as far
    /// as frames of the gateway's own let it, parts per million; `None` where nothing is promised.
    pub fn promised_and_kept_ppm(&self, now: Instant) -> Option<(u32, u32)> {
        let lost_ppm = (self.used_us(now) / (HOUR_US / 1_000_000)).min(1_000_000);
        let kept_ppm = 1_000_000 - u32::try_from(lost_ppm).unwrap_or(1_000_000);
        (self.min_heard_ppm > 0).then_some((self.min_heard_ppm, kept_ppm))
    }

    /// Enters a frame that costs so much.
    pub fn add(&mut self, start: Instant, cost_us: u64, origin: Origin) {
        if self.min_heard_ppm > 0 {
            self.hour.add(Load { start, airtime_us: cost_us, origin });
        }
    }

    /// Takes a frame back that was not sent.
    pub fn remove(&mut self, start: Instant, cost_us: u64, origin: Origin) {
        self.hour.remove(Load { start, airtime_us: cost_us, origin });
    }

    /// Forgets what no hour that reaches past `now` holds.
    pub fn forget_before(&mut self, now: Instant) {
        self.hour.forget_before(now);
        self.heard.forget_before(now);
    }
}
