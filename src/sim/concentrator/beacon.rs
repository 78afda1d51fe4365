//! Class B beacons as the forwarder makes them (`beacon_period`, EU868's form: TS001-1.0.4 13.1, RP002-1.0.4).

use crate::radio::Modulation;
use crate::sim::concentrator::frame::Frame;
use crate::sim::concentrator::gps::Gps;
use crate::sim::concentrator::settings::Settings;
use crate::time::GpsTime;
use crate::time::Instant;

/// Beacons kept in the queue.
pub(super) const QUEUED: usize = 3;
/// The downlink thread thinks of beacons whenever its wait for a datagram ends.
const THINKS_US: u64 = 200_000;

/// Which beacon is next, and when the downlink thread thinks of it.
#[derive(Clone, Debug)]
pub(super) struct Beacons {
    period_s: u64,
    frequency_hz: u32,
    /// GPS seconds of the newest that was queued.
    last_s: Option<u64>,
    thinks_at: Instant,
}

impl Beacons {
    pub(super) fn new(settings: &Settings, now: Instant) -> Beacons {
        let (period_s, frequency_hz) = (u64::from(settings.beacon_period_s), settings.beacon_frequency_hz);
        Beacons { period_s, frequency_hz, last_s: None, thinks_at: now }
    }

    /// The process is gone, and what it had queued.
    pub(super) fn stop(&mut self) {
        self.last_s = None;
    }

    /// When they are thought of: never without a period or a receiver, not while enough of them wait.
    pub(super) fn thinks_at(&self, gps: &Gps, queued: usize) -> Option<Instant> {
        let wants = self.period_s > 0 && gps.is_there();
        (wants && queued < QUEUED).then(|| gps.beacons_ready_at().max(self.thinks_at))
    }

    pub(super) fn think_again(&mut self, at: Instant) {
        self.thinks_at = at.plus_us(THINKS_US);
    }

    /// One was given to the radio: they are not thought of before.
    pub(super) fn handed_over(&mut self, at: Instant) {
        self.thinks_at = self.thinks_at.max(at);
    }

    /// The next one: one at every multiple of the period, GPS seconds, and its frame.
    pub(super) fn next(&mut self, now: GpsTime) -> (u64, Frame) {
        let now_s = now.as_us() / 1_000_000;
        let last_s = self.last_s.filter(|last_s| *last_s >= now_s).unwrap_or(now_s);
        let next_s = (last_s / self.period_s + 1) * self.period_s;
        self.last_s = Some(next_s);
        (next_s, frame(next_s, self.frequency_hz))
    }
}

/// The frame of the beacon at `gps_s`: 17 bytes at SF9, implicit header, no CRC, not inverted.
fn frame(gps_s: u64, frequency_hz: u32) -> Frame {
    let mut phy_payload = vec![0; 2];
    phy_payload.extend((gps_s as u32).to_le_bytes());
    phy_payload.resize(17, 0);
    Frame {
        frequency_hz,
        modulation: Modulation::LoRa { sf: 9, bw_hz: 125_000 },
        coding_rate: 1,
        deviation_khz: 0,
        preamble_symbols: 10,
        inverted_iq: false,
        crc: false,
        implicit_header: true,
        size: 17,
        phy_payload,
        is_swallowed: false,
    }
}
