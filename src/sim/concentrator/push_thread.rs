//! The forwarder's upstream thread: what was heard and reported waits here until it is pushed.

use std::collections::VecDeque;

use jiff::Timestamp;
use semtech_udp::push_data::Stat;

use crate::sim::concentrator::counts::Counts;
use crate::sim::concentrator::upstream::Heard;
use crate::time::GpsTime;
use crate::time::Instant;

/// An unacknowledged PUSH_DATA holds back the next one so long: 100 ms of waiting and a fetch (measured).
const PUSH_WAIT_US: u64 = 112_000;
/// Receptions waiting to be pushed, and in one datagram; what is heard beyond is lost.
const HEARD_MAX: usize = 255;

/// Where the gateway is, in `stat` with a GPS receiver: latitude and longitude in degrees, altitude in metres.
const PLACE: (f64, f64, i64) = (46.24, 3.2523, 145);

#[derive(Clone, Debug, Default)]
pub(super) struct PushThread {
    heard: VecDeque<Heard>,
    report: Option<(Instant, Stat)>,
    /// The token that is waited for, and until when.
    waits: Option<(u16, Instant)>,
    /// The counts of the last report.
    reported: Counts,
}

impl PushThread {
    /// Another process: nothing waits, and the next report counts from here.
    pub(super) fn restart(&mut self, counts: Counts) {
        *self = PushThread { reported: counts, ..PushThread::default() };
    }

    pub(super) fn is_full(&self) -> bool {
        self.heard.len() >= HEARD_MAX
    }

    /// A reception that a fetch finds at `heard.ready_at`, or with the one before it: one fetch brings all there is, in
    /// the order it was heard.
    pub(super) fn hear(&mut self, mut heard: Heard) {
        heard.ready_at = self.heard.back().map_or(heard.ready_at, |last| last.ready_at.max(heard.ready_at));
        self.heard.push_back(heard);
    }

    /// When there is something to push and nothing to wait for.
    pub(super) fn push_at(&self) -> Option<Instant> {
        let heard_at = self.heard.front().map(|heard| heard.ready_at);
        let reported_at = self.report.as_ref().map(|&(at, _)| at);
        let ready_at = heard_at.into_iter().chain(reported_at).min()?;
        Some(self.waits.map_or(ready_at, |(_, until)| ready_at.max(until)))
    }

    /// All that is ready goes in one datagram, and nothing more until `token` is acknowledged or given up.
    pub(super) fn push(&mut self, at: Instant, token: u16) -> (Vec<Heard>, Option<Stat>) {
        let ready = self.heard.partition_point(|heard| heard.ready_at <= at);
        self.waits = Some((token, at.plus_us(PUSH_WAIT_US)));
        (self.heard.drain(..ready).collect(), self.report.take().map(|(_, stat)| stat))
    }

    /// A PUSH_ACK; whether it was waited for.
    pub(super) fn acknowledged(&mut self, now: Instant, token: u16) -> bool {
        let is_awaited = self.waits.is_some_and(|(awaited, until)| awaited == token && now < until);
        if is_awaited {
            self.waits = None;
        }
        is_awaited
    }

    /// Writes the status report of the interval that ends now; one not yet sent is lost.
    pub(super) fn report(&mut self, at: Instant, clock: GpsTime, has_fix: bool, now: Counts) {
        let then = self.reported;
        let (pushed, acked) = (now.pushed - then.pushed, now.push_acked - then.push_acked);
        let place = has_fix.then_some(PLACE);
        let stat = Stat {
            time: system_clock(clock),
            lati: place.map(|(lati, _, _)| lati),
            long: place.map(|(_, long, _)| long),
            alti: place.map(|(_, _, alti)| alti),
            rxnb: now.rxnb - then.rxnb,
            rxok: now.rxnb - then.rxnb,
            rxfw: now.rxnb - then.rxnb,
            ackr: Some((1000 * acked).checked_div(pushed).unwrap_or(0) as f64 / 10.0),
            dwnb: now.dwnb - then.dwnb,
            txnb: now.txnb - then.txnb,
            temp: Some(25.0),
        };
        self.reported = now;
        self.report = Some((at, stat));
    }
}

fn system_clock(gps: GpsTime) -> String {
    let timestamp = Timestamp::from_microsecond(gps.to_unix_us()).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.strftime("%Y-%m-%d %H:%M:%S GMT").to_string()
}
