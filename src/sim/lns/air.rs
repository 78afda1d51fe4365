//! The air around the gateway: its channels, what it sends, and the law that it keeps.

use super::law::Law;
use super::script::Rx2Script;
use crate::radio::Modulation;
use crate::radio::downlink_airtime_us;

/// The uplink channels: three in 868.0 to 868.6 MHz, the others below.
pub(super) const CHANNELS_HZ: [u32; 8] =
    [868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000];
/// RX1 and RX2 open so long after the uplink, microseconds.
const RX1_US: u64 = 1_000_000;
const RX2_US: u64 = 2_000_000;
/// RX2 of EU868 is in 869.4 to 869.65 MHz.
const RX2_HZ: u32 = 869_525_000;
/// A transmission is remembered for so long, microseconds.
const REMEMBERED_US: u64 = 60_000_000;
/// A LoRaWAN frame around a payload, bytes.
const FRAME_BYTES: usize = 13;

/// Airtime of a frame with this payload, microseconds.
pub(super) fn airtime_us(sf: u8, payload_len: usize) -> u64 {
    downlink_airtime_us(Modulation::LoRa { sf, bw_hz: 125_000 }, payload_len + FRAME_BYTES)
}

/// FRMPayload that fits at this spreading factor in EU868, bytes.
pub(super) fn max_len(sf: u8) -> usize {
    match sf {
        10.. => 51,
        9 => 115,
        _ => 242,
    }
}

/// What the gateway sends, and what it may.
pub(super) struct Air {
    /// `None` where there is no law.
    law: Option<Law>,
    /// `None` where the server answers in RX1 only.
    rx2: Option<Rx2Script>,
    /// When the gateway sent, microseconds.
    on_air: Vec<(u64, u64)>,
}

impl Air {
    pub(super) fn new(has_law: bool, rx2: Option<Rx2Script>) -> Air {
        Air { law: has_law.then(Law::default), rx2, on_air: Vec::new() }
    }

    /// Whether the gateway sends at any time between the two.
    pub(super) fn is_busy(&self, from_us: u64, to_us: u64) -> bool {
        self.on_air.iter().any(|(began_us, ended_us)| *began_us < to_us && from_us < *ended_us)
    }

    /// Sends behind an uplink that ended at `ended_us`, in RX2 where the server prefers that, or where the gateway is busy
    /// or the law forbids RX1; `None` when neither can be had.
    pub(super) fn send(&mut self, ended_us: u64, channel: usize, sf: u8, payload_len: usize) -> Option<Sent> {
        let hz = CHANNELS_HZ[channel];
        let rx1 = Sent { starts_us: ended_us + RX1_US, hz, sf, airtime_us: airtime_us(sf, payload_len) };
        let rx2 = self.rx2.map(|Rx2Script { sf, .. }| Sent {
            starts_us: ended_us + RX2_US,
            hz: RX2_HZ,
            sf,
            airtime_us: airtime_us(sf, payload_len),
        });
        let prefers_rx2 = self.rx2.is_some_and(|rx2| sf >= rx2.from_sf);
        let sent = Some(rx1).filter(|_| !prefers_rx2).into_iter().chain(rx2).find(|sent| self.book(sent))?;
        self.on_air.retain(|(_, to_us)| *to_us + REMEMBERED_US > ended_us);
        self.on_air.push((sent.starts_us, sent.ends_us()));
        Some(sent)
    }

    fn book(&mut self, sent: &Sent) -> bool {
        let sub_band = match sent.hz {
            RX2_HZ => 2,
            ..868_000_000 => 1,
            _ => 0,
        };
        !self.is_busy(sent.starts_us, sent.ends_us())
            && self.law.as_mut().is_none_or(|law| law.book(sub_band, sent.starts_us, sent.airtime_us))
    }
}

/// A downlink that the gateway took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    starts_us: u64,
    pub(super) hz: u32,
    pub(super) sf: u8,
    pub(super) airtime_us: u64,
}

impl Sent {
    /// When it is over, microseconds.
    pub(super) fn ends_us(&self) -> u64 {
        self.starts_us + self.airtime_us
    }
}
