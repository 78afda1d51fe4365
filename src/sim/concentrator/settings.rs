//! What an operator wrote into the forwarder's configuration, and what the hardware is like.

use crate::radio::Dbm;
use crate::sim::concentrator::hazards::Hazards;
use crate::time::GpsTime;

/// The forwarder's configuration and the concentrator's nature.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Gateway EUI, big endian as on the wire.
    pub gateway_id: [u8; 8],
    /// `keepalive_interval` in microseconds: PULL_DATA this often, plus 0..200 ms. 10 s in shipped configurations.
    pub keepalive_us: u64,
    /// `stat_interval` in microseconds: how often a `stat` report is pushed.
    pub stat_us: u64,
    /// How fast the counter runs, in parts per 10^9; positive is fast.
    pub drift_ppb: i32,
    /// What the counter shows when the world begins; after a restart it begins at zero.
    pub counter_at_start: u32,
    /// Least and most microseconds from the end of a reception until a fetch finds it.
    pub uplink_delay_us: (u64, u64),
    /// Least centre frequency of a transmission in Hz, inclusive.
    pub tx_freq_min_hz: u32,
    /// Greatest centre frequency of a transmission in Hz, inclusive.
    pub tx_freq_max_hz: u32,
    /// The RF chain with TX enabled; requests for another are dropped without a word.
    pub rf_chain: u8,
    /// `tx_gain_lut`: conducted powers in dBm, lowest first.
    pub gain_table_dbm: Vec<i8>,
    /// `antenna_gain` as configured, in dB: subtracted from `powe`.
    pub antenna_gain_db: i8,
    /// What the antenna truly adds.
    pub real_antenna_gain: Dbm,
    /// Microseconds from a PULL_RESP to its TX_ACK.
    pub ack_latency_us: u64,
    /// Whether a GPS receiver gives a valid reference: `tmms` is answered GPS_UNLOCKED without.
    pub gps: bool,
    /// Its messages stop and come back, microseconds after the world's zero.
    pub gps_silences_us: Vec<(u64, u64)>,
    /// Receptions whose GPS time is 2^32 us too late, because they ended before the pulse that they are
    /// compared with, in millionths.
    pub gps_glitch_ppm: u32,
    /// GPS time at the zero of the world's time: for `stat.time` (the gateway's system clock) and for `tmms`.
    pub gps_at_zero: GpsTime,
    /// `beacon_period` in seconds, 0 for none: beacons need a GPS receiver.
    pub beacon_period_s: u32,
    /// `beacon_freq_hz`: centre frequency of the beacons in Hz.
    pub beacon_frequency_hz: u32,
    /// How long every fetch of receptions holds the bus to the concentrator, microseconds; 0 on a good one. From
    /// 30 ms on packets are lost without a word.
    pub bus_hold_us: u64,
    /// The protocol's version, 2 or 1. One of version 1 has no TX_ACK, and no version takes datagrams of another.
    pub protocol_version: u8,
    /// The second of two boards, where there is one: receptions come from both in turn and name theirs as `brd`, and a
    /// `brd` in `txpk` says which of them sends.
    pub second_board: Option<SecondBoard>,
    /// What goes wrong, and when.
    pub hazards: Hazards,
}

/// A board beside the first one, with the same radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondBoard {
    /// What its counter shows when the world begins and after every restart: the two have nothing to do with each other.
    pub counter_at_start: u32,
    /// How fast it runs, in parts per 10^9; positive is fast.
    pub drift_ppb: i32,
}

/// An EU868 gateway on the bench: 12..27 dBm conducted, no antenna gain, no drift.
impl Default for Settings {
    fn default() -> Self {
        Settings {
            gateway_id: [0x00, 0x16, 0xc0, 0x01, 0xf1, 0x50, 0x08, 0x12],
            keepalive_us: 10_000_000,
            stat_us: 30_000_000,
            drift_ppb: 0,
            counter_at_start: 0,
            uplink_delay_us: (1_000, 14_000),
            tx_freq_min_hz: 863_000_000,
            tx_freq_max_hz: 870_000_000,
            rf_chain: 0,
            gain_table_dbm: (12..=27).collect(),
            antenna_gain_db: 0,
            real_antenna_gain: Dbm::from_whole(0),
            ack_latency_us: 60,
            gps: false,
            gps_silences_us: Vec::new(),
            gps_glitch_ppm: 0,
            // 2026-01-01 00:00:00 UTC.
            gps_at_zero: GpsTime::from_us(1_451_260_818_000_000),
            beacon_period_s: 0,
            beacon_frequency_hz: 869_525_000,
            bus_hold_us: 0,
            protocol_version: 2,
            second_board: None,
            hazards: Hazards::default(),
        }
    }
}
