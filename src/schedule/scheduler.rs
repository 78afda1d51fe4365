//! The arbiter of the one radio.

use super::airtime_window::AirtimeWindow;
use super::airtime_window::Load;
use super::airtime_window::Origin;
use super::hearing::Hearing;
use super::hearing::Kept;
use super::ledger;
use super::ledger::BandUse;
use super::ledger::Ledger;
use super::server_demand::ServerDemand;
use super::spacing::TxPolicy;
use crate::radio::MinuteLoad;
use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::region::Channel;
use crate::region::Parameters;
use crate::region::SubBand;
use crate::region::SubBandIndex;
use crate::time::Instant;
use std::collections::VecDeque;
use thiserror::Error;

/// The window of `max-deaf`: uplinks of a whole minute count together.
const DEAF_US: u64 = 60_000_000;

/// What somebody would like to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxRequest {
    /// Frequency, data rate and sub-band.
    pub channel: Channel,
    /// Exact airtime, counted as duty, microseconds.
    pub airtime_us: u64,
    /// Airtime as the forwarder's queue counts it, kept free of other frames, microseconds.
    pub queue_slot_us: u64,
    /// The earliest start of the frame.
    pub earliest: Instant,
    /// The frame has to be over by then (the end of the devices' session); `None` without an end.
    pub until: Option<Instant>,
    /// With an end: how much sending is still wanted before it, this frame included, microseconds. What the servers are
    /// expected to want slows the campaign no further than that this still fits.
    pub need_us: u64,
    /// Free time the forwarder needs before and after a frame, microseconds.
    pub gap_us: u64,
    /// How long before its start the frame has to be handed over, microseconds.
    pub lead_us: u64,
    /// For how much of a train of frames and its hole the slowest usual uplink is to be heard, microseconds; see
    /// [`Scheduler::open_us`]. Never less than a few seconds.
    pub open_us: u64,
    /// The limits that we set ourselves, beside the law.
    pub policy: TxPolicy,
}

/// The answer to a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The first instant at which everything agrees.
    At(Instant),
    /// It cannot be done.
    Refused(Refused),
}

/// Why a frame can not be sent at all, with the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// One frame alone is longer than the budget of its sub-band or our share of it.
    #[error(
        "one frame of {airtime_us} us is over our share of {share_us} us in sub-band {sub_band}: use a faster data rate or a larger duty-share"
    )]
    NeverFits {
        /// Airtime of the frame, microseconds.
        airtime_us: u64,
        /// What our share of a window is, microseconds.
        share_us: u64,
        /// Position of the sub-band.
        sub_band: u8,
    },
    /// The frame is longer than one transmission may be.
    #[error(
        "one frame of {airtime_us} us is longer than the {limit_us} us that one transmission may last in sub-band {label} ({clause}): use a faster data rate or smaller fragments"
    )]
    Dwell {
        /// Airtime of the frame, microseconds.
        airtime_us: u64,
        /// The longest transmission that the sub-band allows, microseconds.
        limit_us: u64,
        /// The name of the sub-band.
        label: &'static str,
        /// Where the limit is written.
        clause: &'static str,
    },
    /// The first legal instant is after the devices' session.
    #[error("the first legal start {start} would end after the session's end {until}")]
    SessionOver {
        /// The first legal start.
        start: Instant,
        /// The end of the session.
        until: Instant,
    },
}

/// Proof of a frame's place in the table, to take it back when the forwarder refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booking {
    sub_band: u8,
    load: Load,
    /// What the frame costs of hearing, microseconds.
    cost_us: u64,
    queue_slot_us: u64,
}

impl Booking {
    /// Airtime of the frame, microseconds.
    pub fn airtime_us(&self) -> u64 {
        self.load.airtime_us
    }
}

/// A window in which a network server may still want to send:
/// kept free of our frames until it is too late to claim it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxWindow {
    /// When the devices' receive window opens.
    pub start: Instant,
    /// From then on the forwarder would refuse a frame for it.
    pub claimable_until: Instant,
}

/// A frame that is not over, with its end by the forwarder's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OnAir {
    start: Instant,
    end: Instant,
    origin: Origin,
}

/// What is kept beside the law and what is on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// Receive windows, the servers' demand, and the gateway's hearing.
    Full,
    /// The gateway's hearing, as far as campaigns take it.
    Law,
}

/// Windows that are kept free, at most: some seconds of uplinks on eight channels.
const PROTECTED_MAX: usize = 256;

/// One radio, one table of what is on the air, one ledger.
#[derive(Clone, Debug)]
pub struct Scheduler {
    sub_bands: &'static [SubBand],
    reserve_ppm: u32,
    ledger: Ledger,
    server_demand: ServerDemand,
    deaf: AirtimeWindow,
    hearing: Hearing,
    /// Start and end (by the forwarder's count) of frames that are not over.
    on_air: VecDeque<OnAir>,
    /// None of them is longer, microseconds.
    longest_slot_us: u64,
    protected: VecDeque<RxWindow>,
}

impl Scheduler {
    /// A radio that has sent nothing yet. `reserve_ppm` of every budget is kept for the network server
    /// (0 when there is none).
    pub fn new(sub_bands: &'static [SubBand], reserve_ppm: u32) -> Self {
        Scheduler {
            sub_bands,
            reserve_ppm,
            ledger: Ledger::new(sub_bands),
            server_demand: ServerDemand::new(sub_bands),
            deaf: AirtimeWindow::new(DEAF_US),
            hearing: Hearing::new(0, UplinkMix::default()),
            on_air: VecDeque::new(),
            longest_slot_us: 0,
            protected: VecDeque::new(),
        }
    }

    /// A radio of `region` that has sent nothing yet and keeps so much of it for others.
    pub fn of(region: &'static Parameters, kept: Kept) -> Self {
        let hearing = Hearing::new(kept.min_heard_ppm, region.usual_uplinks());
        Scheduler { hearing, ..Scheduler::new(region.sub_bands, kept.server_reserve_ppm) }
    }

    /// Counts an uplink that the gateway heard.
    pub fn hear(&mut self, now: Instant, modulation: Modulation, airtime_us: u64) {
        self.hearing.hear(now, modulation, airtime_us);
    }

    /// What is promised of hearing.
    pub fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    /// The first instant at which the wish is legal, polite and free of conflicts.
    pub fn place(&mut self, now: Instant, request: &TxRequest) -> Placement {
        self.forget_before(now);
        self.search(now, request, Manners::Full)
    }

    /// The same for a frame that waited long enough at `floor`: from then on only the law, what is on the air and the
    /// gateway's hearing as far as campaigns take it count. Receive windows and forecasts give way.
    pub fn place_at_floor(&mut self, now: Instant, request: &TxRequest, floor: Instant) -> Placement {
        let polite = self.place(now, request);
        if matches!(polite, Placement::At(start) if start <= floor) {
            return polite;
        }
        let request = &TxRequest { earliest: request.earliest.max(floor), ..*request };
        match (polite, self.search(now, request, Manners::Law)) {
            (Placement::At(polite), Placement::At(lawful)) => Placement::At(polite.min(lawful)),
            (polite @ Placement::At(_), Placement::Refused(_)) => polite,
            (Placement::Refused(_), lawful) => lawful,
        }
    }

    fn search(&self, now: Instant, request: &TxRequest, manners: Manners) -> Placement {
        let sub_band = request.channel.sub_band.0;
        let refused = Placement::Refused;
        if let Err(why) = self.check_dwell(sub_band, request.airtime_us) {
            return refused(why);
        }
        let request = &TxRequest { gap_us: request.gap_us.max(self.legal_gap_us(sub_band)), ..*request };
        let full_ppm = request.policy.duty_share_ppm;
        let share_ppm = match manners {
            Manners::Full => self.share_beside_servers(now, request),
            Manners::Law => full_ppm,
        };
        let slowed = self.first_start(now, request, manners, share_ppm);
        let need_us = request.need_us.max(request.airtime_us);
        let is_late = |start: Instant| request.until.is_some_and(|until| start.plus_us(need_us) > until);
        // The servers' demand is a forecast: it slows a campaign and does not end a session that devices were told.
        let start = match slowed {
            Ok(start) if is_late(start) && share_ppm < full_ppm => {
                self.first_start(now, request, manners, full_ppm)
            }
            slowed => slowed,
        };
        match (start, request.until) {
            (Ok(start), Some(until)) if start.plus_us(request.airtime_us) > until => {
                refused(Refused::SessionOver { start, until })
            }
            (Ok(start), _) => Placement::At(start),
            (Err(why), _) => refused(why),
        }
    }

    /// The first start at which a frame of ours disturbs nobody and our part of the sub-band stays within `share_ppm`.
    fn first_start(
        &self,
        now: Instant,
        request: &TxRequest,
        manners: Manners,
        share_ppm: u32,
    ) -> Result<Instant, Refused> {
        let sub_band = request.channel.sub_band.0;
        let mut start = request.earliest.max(now);
        // Each rule moves the start forward past something in a finite table, so this settles.
        loop {
            let before = start;
            start = self.past_conflicts(start, request);
            if manners == Manners::Full {
                start = self.past_protected(now, start, request);
            }
            start = self.past_deafness(start, request, manners);
            start = self.past_cost(start, request, manners);
            let lawful =
                self.ledger.earliest(sub_band, start, request.airtime_us, share_ppm, self.reserve_ppm);
            let Some(lawful) = lawful else {
                let share_us = self.share_us(sub_band, share_ppm).unwrap_or(0);
                return Err(Refused::NeverFits { airtime_us: request.airtime_us, share_us, sub_band });
            };
            start = lawful;
            if start == before {
                return Ok(start);
            }
        }
    }

    /// The same radio before it sent anything: what plans are made with, which no traffic changes.
    #[must_use]
    pub fn empty(&self) -> Scheduler {
        Scheduler { hearing: self.hearing.rested(), ..Scheduler::new(self.sub_bands, self.reserve_ppm) }
    }

    /// The observation period of the channel's sub-band as it is counted, microseconds; 0 where the law sets no limit.
    pub fn window_us(&self, channel: Channel) -> u64 {
        let band = self.sub_band(channel.sub_band.0).filter(|band| ledger::budget_us(band).is_some());
        band.map_or(0, ledger::counted_window_us)
    }

    /// A copy to look ahead with, in which the servers go on as they did in the last hour.
    #[must_use]
    pub fn foreseen(&self, now: Instant) -> Scheduler {
        let mut ahead = self.clone();
        for (sub_band, load) in self.server_demand.foreseen(now) {
            ahead.ledger.charge(sub_band, load);
            ahead.hearing.add(load.start, ahead.cost_us(load.start, load.airtime_us), load.origin);
            ahead.deaf.add(load);
        }
        ahead
    }

    /// Enters a frame of ours at `start` into the table and the ledger.
    pub fn commit(&mut self, start: Instant, request: &TxRequest) -> Booking {
        self.enter(request.channel.sub_band.0, start, request.airtime_us, request.queue_slot_us, Origin::Ours)
    }

    /// Enters a network server's frame: it counts for the law, for deafness and for conflicts. Outside every
    /// sub-band of the region (`None`) the law is the server's own affair.
    pub fn enter_other(
        &mut self,
        now: Instant,
        sub_band: Option<u8>,
        start: Instant,
        airtime_us: u64,
        queue_slot_us: u64,
    ) -> Booking {
        // A gateway that only relays places nothing, and remembers no more than the law asks for all the same.
        self.forget_before(now);
        self.protected.retain(|window| window.start != start);
        let booking =
            self.enter(sub_band.unwrap_or(u8::MAX), start, airtime_us, queue_slot_us, Origin::Others);
        self.server_demand.add(booking.sub_band, booking.load);
        booking
    }

    /// Keeps a window free until it can no longer be claimed.
    pub fn protect(&mut self, window: RxWindow) {
        if self.protected.len() == PROTECTED_MAX {
            self.protected.pop_front();
        }
        self.protected.push_back(window);
    }

    /// Whose frame is on the air, or handed over, too near to a frame at `start`; ours, if several are.
    pub fn taken_by(&self, start: Instant, queue_slot_us: u64, gap_us: u64) -> Option<Origin> {
        let mut in_the_way =
            self.on_air.iter().filter(|frame| frame.meets(start, queue_slot_us, gap_us)).peekable();
        let first = in_the_way.peek()?.origin;
        Some(if in_the_way.any(|frame| frame.origin == Origin::Ours) { Origin::Ours } else { first })
    }

    /// The first start from `from` on that is clear of everything on the air or handed over.
    pub fn first_gap(&self, from: Instant, queue_slot_us: u64, gap_us: u64) -> Instant {
        let mut start = from;
        let longest_us = self.longest_slot_us + gap_us;
        let first = self.on_air.partition_point(|frame| frame.start.plus_us(longest_us) <= from);
        for frame in self.on_air.range(first..) {
            if frame.meets(start, queue_slot_us, gap_us) {
                start = frame.end.plus_us(gap_us);
            }
        }
        start
    }

    /// Whether the law leaves room for a network server's frame at `start`: its length, and the transmitter's
    /// total without any reserve.
    pub fn is_lawful(&self, sub_band: u8, start: Instant, airtime_us: u64) -> bool {
        let earliest = self.ledger.earliest(sub_band, start, airtime_us, 1_000_000, 0);
        self.check_dwell(sub_band, airtime_us).is_ok() && earliest == Some(start)
    }

    /// Takes back a frame that the forwarder provably did not accept.
    pub fn refund(&mut self, booking: Booking) {
        self.ledger.refund(booking.sub_band, booking.load);
        self.server_demand.remove(booking.sub_band, booking.load);
        self.deaf.remove(booking.load);
        let Load { start, origin, .. } = booking.load;
        self.hearing.remove(start, booking.cost_us, origin);
        let frame = OnAir { start, end: start.plus_us(booking.queue_slot_us), origin };
        if let Some(at) = self.on_air.iter().position(|other| *other == frame) {
            self.on_air.remove(at);
        }
    }

    /// What of every duty budget is kept for network servers, parts per million.
    pub fn reserve_ppm(&self) -> u32 {
        self.reserve_ppm
    }

    /// Airtime in every sub-band with a limit.
    pub fn bands(&self, now: Instant) -> Vec<BandUse> {
        self.ledger.bands(now)
    }

    /// The ledger as a mark keeps it; see [`Ledger::minutes`].
    pub fn minutes(&self, now: Instant) -> Vec<MinuteLoad> {
        self.ledger.minutes(now)
    }

    /// The ledger as a mark left it; see [`Ledger::restore`].
    pub fn restore(&mut self, now: Instant, elapsed_us: u64, minutes: &[MinuteLoad]) {
        self.ledger.restore(now, elapsed_us, minutes);
    }

    /// Counts every budget as spent now; see [`Ledger::assume_spent`].
    pub fn assume_spent(&mut self, now: Instant) {
        self.ledger.assume_spent(now);
    }

    /// The law's name of a sub-band.
    pub fn label(&self, sub_band: SubBandIndex) -> &'static str {
        self.sub_band(sub_band.0).map_or("?", |band| band.label)
    }

    fn sub_band(&self, sub_band: u8) -> Option<&'static SubBand> {
        self.sub_bands.get(usize::from(sub_band))
    }

    fn legal_gap_us(&self, sub_band: u8) -> u64 {
        self.sub_band(sub_band).map_or(0, SubBand::gap_us)
    }

    fn check_dwell(&self, sub_band: u8, airtime_us: u64) -> Result<(), Refused> {
        match self.sub_band(sub_band) {
            Some(&SubBand { max_tx_us: Some(limit_us), label, clause, .. }) if airtime_us > limit_us => {
                Err(Refused::Dwell { airtime_us, limit_us, label, clause })
            }
            _ => Ok(()),
        }
    }

    /// Our share in parts per million, less what the servers will want of the budget beside their reserve;
    /// a frame at a time always stays ours.
    fn share_beside_servers(&self, now: Instant, request: &TxRequest) -> u32 {
        let share_ppm = request.policy.duty_share_ppm;
        let sub_band = request.channel.sub_band.0;
        let Some(band) = self.sub_band(sub_band) else { return share_ppm };
        let Some(budget_us) = ledger::budget_us(band).filter(|budget_us| *budget_us > 0) else {
            return share_ppm;
        };
        let ppm_of =
            |us: u64| u32::try_from(us.saturating_mul(1_000_000).div_ceil(budget_us)).unwrap_or(u32::MAX);
        let servers_ppm = ppm_of(self.server_demand.expected_us(sub_band, band.window_us, now));
        if servers_ppm == 0 {
            return share_ppm;
        }
        let left_ppm = 1_000_000u32.saturating_sub(self.reserve_ppm).saturating_sub(servers_ppm);
        left_ppm.max(ppm_of(request.airtime_us)).min(share_ppm)
    }

    fn share_us(&self, sub_band: u8, share_ppm: u32) -> Option<u64> {
        let budget_us = ledger::budget_us(self.sub_band(sub_band)?)?;
        Some(ledger::part(budget_us, share_ppm.min(1_000_000 - self.reserve_ppm)))
    }

    fn enter(
        &mut self,
        sub_band: u8,
        start: Instant,
        airtime_us: u64,
        queue_slot_us: u64,
        origin: Origin,
    ) -> Booking {
        let load = Load { start, airtime_us, origin };
        let cost_us = self.cost_us(start, airtime_us);
        self.ledger.charge(sub_band, load);
        self.hearing.add(start, cost_us, origin);
        self.deaf.add(load);
        self.longest_slot_us = self.longest_slot_us.max(queue_slot_us);
        let at = self.on_air.partition_point(|other| other.start <= start);
        self.on_air.insert(at, OnAir { start, end: start.plus_us(queue_slot_us), origin });
        Booking { sub_band, load, cost_us, queue_slot_us }
    }

    fn past_conflicts(&self, from: Instant, request: &TxRequest) -> Instant {
        self.first_gap(from, request.queue_slot_us, request.gap_us)
    }

    /// Past every window that may still be claimed: a frame of ours that would be on the air in it, or would have to
    /// be handed over before it is known whether it is claimed, waits.
    fn past_protected(&self, now: Instant, from: Instant, request: &TxRequest) -> Instant {
        let mut start = from;
        for window in self.protected.iter().filter(|window| window.claimable_until > now) {
            let is_before = start.plus_us(request.queue_slot_us + request.gap_us) <= window.start;
            let is_after = start >= window.claimable_until.plus_us(request.lead_us);
            if !is_before && !is_after {
                start = window.claimable_until.plus_us(request.lead_us);
            }
        }
        start
    }

    fn forget_before(&mut self, now: Instant) {
        self.ledger.forget_before(now);
        self.server_demand.forget_before(now);
        self.deaf.forget_before(now);
        self.hearing.forget_before(now);
        // A second is far more than any gap: what ended earlier cannot touch a new frame.
        self.protected.retain(|window| window.claimable_until > now);
        while self.on_air.front().is_some_and(|frame| frame.end.plus_us(1_000_000) < now) {
            self.on_air.pop_front();
        }
    }
}

impl OnAir {
    /// Whether a frame at `start` that lasts for `queue_slot_us` would be nearer than `gap_us`.
    fn meets(&self, start: Instant, queue_slot_us: u64, gap_us: u64) -> bool {
        start.plus_us(queue_slot_us + gap_us) > self.start && start < self.end.plus_us(gap_us)
    }
}

mod deafness;
mod limits;
mod pacing;
#[cfg(test)]
mod tests;
