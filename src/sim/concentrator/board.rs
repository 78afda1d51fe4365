//! One board: the chip with its counter, the bus to it, and the queue of what waits for it.

use crate::radio::Dbm;
use crate::sim::concentrator::airtime::on_air_us;
use crate::sim::concentrator::bus::Bus;
use crate::sim::concentrator::counter::Counter;
use crate::sim::concentrator::counts::Counts;
use crate::sim::concentrator::frame::Frame;
use crate::sim::concentrator::frame::Transmission;
use crate::sim::concentrator::hazards::Hazards;
use crate::sim::concentrator::jit_queue::Entry;
use crate::sim::concentrator::jit_queue::JitQueue;
use crate::sim::concentrator::jit_queue::PROGRAM_US;
use crate::sim::concentrator::jit_queue::Refusal;
use crate::sim::concentrator::jit_queue::Start;
use crate::sim::concentrator::jit_queue::TX_START_US;
use crate::sim::concentrator::radio_chip::HandOver;
use crate::sim::concentrator::radio_chip::RadioChip;
use crate::sim::concentrator::settings::SecondBoard;
use crate::sim::concentrator::settings::Settings;
use crate::sim::random::Random;
use crate::time::Instant;

#[derive(Clone, Debug)]
pub(super) struct Board {
    counter: Counter,
    /// What the counter shows after a reset.
    at_reset: u32,
    drift_ppb: i32,
    queue: JitQueue,
    radio: RadioChip,
    bus: Bus,
    /// How late the polls of the queue come.
    late: Random,
    gain_table_dbm: Vec<i8>,
    real_antenna_gain: Dbm,
}

impl Board {
    /// The board that is there from the start.
    pub(super) fn first(settings: &Settings, rng: &mut Random, now: Instant) -> Board {
        Board {
            counter: Counter::new(now, settings.counter_at_start, settings.drift_ppb),
            at_reset: 0,
            drift_ppb: settings.drift_ppb,
            queue: JitQueue::default(),
            radio: RadioChip::default(),
            bus: Bus::new(settings.hazards.bus_hold_us(now, settings.bus_hold_us), rng.split(1)),
            late: rng.split(2),
            gain_table_dbm: settings.gain_table_dbm.clone(),
            real_antenna_gain: settings.real_antenna_gain,
        }
    }

    /// The second board, where there is one.
    pub(super) fn second(settings: &Settings, rng: &mut Random, now: Instant) -> Option<Board> {
        let SecondBoard { counter_at_start, drift_ppb } = settings.second_board?;
        let counter = Counter::new(now, counter_at_start, drift_ppb);
        let first = Board::first(settings, &mut rng.split(3), now);
        Some(Board { counter, at_reset: counter_at_start, drift_ppb, ..first })
    }

    /// The chip is reset: its counter begins anew.
    pub(super) fn reset(&mut self, now: Instant) {
        self.counter = Counter::new(now, self.at_reset, self.drift_ppb);
    }

    /// The process in front of it is gone: what waited is lost. What is on the air stays there.
    pub(super) fn stop(&mut self, counts: &mut Counts) {
        let armed = u64::from(self.radio.holds_packet());
        counts.swallowed += self.queue.packets() as u64 + armed;
        self.queue = JitQueue::default();
        self.radio.reset();
    }

    /// From now on every fetch of receptions holds the bus for `hold_us`.
    pub(super) fn hold_bus(&mut self, now: Instant, hold_us: u64) {
        self.bus.hold(now, hold_us);
    }

    /// The first instant from `now` on at which the bus is free.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        self.bus.free_at(now)
    }

    /// The unrolled count at `now`.
    pub(super) fn count(&self, now: Instant) -> u64 {
        self.counter.read(now)
    }

    /// What the register shows at `now`.
    pub(super) fn tmst(&self, now: Instant) -> u32 {
        self.counter.tmst(now)
    }

    /// What it will show (or showed) so many true microseconds later, by its present rate; it wraps as the forwarder's
    /// reckoning does.
    pub(super) fn tmst_in(&self, now: Instant, ahead_us: i128) -> u32 {
        let drift_us = ahead_us * i128::from(self.drift_ppb) / 1_000_000_000;
        self.tmst(now).wrapping_add((ahead_us + drift_us) as u32)
    }

    /// Whether any part of `from..to` fell into a transmission of its own.
    pub(super) fn was_deaf(&self, from: Instant, to: Instant) -> bool {
        self.radio.was_deaf(from, to)
    }

    /// Beacons that wait for their moment.
    pub(super) fn beacons(&self) -> usize {
        self.queue.beacons()
    }

    /// Queues a packet for the entry of the gain table that is asked for or the next lower one; below the lowest it is
    /// the lowest, which is more than asked. `lead_us`: how long before its start the poll of an idle bus finds it.
    ///
    /// # Errors
    /// Why the queue refuses it. Else the conducted power in dBm.
    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        start: Start,
        lead_us: u64,
        frame: Frame,
        asked_dbm: i8,
    ) -> Result<i8, Refusal> {
        let table = &self.gain_table_dbm;
        let lower = table.iter().copied().filter(|&entry_dbm| entry_dbm <= asked_dbm).max();
        let conducted_dbm = lower.or(table.first().copied()).unwrap_or(asked_dbm);
        self.queue.enqueue(self.counter.read(now), start, lead_us, frame, conducted_dbm)?;
        Ok(conducted_dbm)
    }

    /// When the armed packet goes on the air.
    pub(super) fn fire_at(&self) -> Option<Instant> {
        self.radio.armed_start()
    }

    /// When the poll of the queue finds the soonest packet.
    pub(super) fn hand_over_at(&self, hazards: &Hazards) -> Option<Instant> {
        let entry = self.queue.soonest()?;
        let lead_us = if self.bus.is_idle() { entry.lead_us } else { PROGRAM_US };
        let wanted = entry.start.saturating_sub(lead_us).max(entry.came);
        let due_at = self.bus.poll_at(self.counter.instant_of(wanted));
        let late_us = hazards.late_us(due_at, &mut self.late.clone().split(entry.start));
        Some(hazards.awake_at(due_at.plus_us(late_us)))
    }

    /// The soonest packet is given to the radio, which may swallow it; whether it was a beacon.
    pub(super) fn hand_over(&mut self, at: Instant, counts: &mut Counts) -> bool {
        let Some(entry) = self.queue.hand_over() else { return false };
        let is_beacon = entry.is_beacon;
        let lead_us = entry.start.saturating_sub(self.counter.read(at));
        if self.radio.is_emitting(at) || !entry.frame.is_radiatable() || lead_us == 0 {
            counts.swallow(is_beacon);
            return is_beacon;
        }
        counts.txnb += 1;
        if lead_us < TX_START_US {
            // The chip compares for equality: it would go a whole turn of its counter later.
            counts.swallow(is_beacon);
            return is_beacon;
        }
        let transmission = self.transmission(entry);
        match self.radio.arm(transmission, is_beacon) {
            HandOver::Armed => {}
            HandOver::Overwrote { beacon } => counts.swallow(beacon),
        }
        is_beacon
    }

    fn transmission(&self, entry: Entry) -> Transmission {
        let conducted = Dbm::from_whole(i32::from(entry.conducted_dbm));
        Transmission {
            start: self.counter.instant_of(entry.start),
            airtime_us: on_air_us(&entry.frame),
            frequency_hz: entry.frame.frequency_hz,
            modulation: entry.frame.modulation,
            eirp: conducted + self.real_antenna_gain,
            inverted_iq: entry.frame.inverted_iq,
            crc: entry.frame.crc,
            preamble_symbols: entry.frame.preamble_symbols,
            phy_payload: entry.frame.phy_payload,
        }
    }

    /// The armed packet goes on the air.
    pub(super) fn fire(&mut self, counts: &mut Counts) -> Option<Transmission> {
        let (transmission, is_beacon) = self.radio.fire()?;
        counts.on_air += u64::from(!is_beacon);
        counts.beacons += u64::from(is_beacon);
        Some(transmission)
    }
}
