//! Data rates, and the rows of their tables that several regions share.

use crate::radio::Modulation;

/// MACPayload bytes that are not FRMPayload: FHDR without FOpts (7) and FPort (TS001-1.0.4 4.3).
const MAC_OVERHEAD: usize = 8;

/// Bytes before the fragment in a DataFragment: command, index and session (TS004-1.0.0, DataFragment).
pub(super) const FRAGMENT_OVERHEAD: usize = 3;

/// The revision of RP002 that introduced SF5 and SF6 for downlinks.
const RP002_1_0_5: &str = "RP002-1.0.5";

/// Reason of [`UplinkOnly`] rows in several regions.
pub(super) const LR_FHSS: &str = "LR-FHSS, which devices only send";
/// Reason of [`UplinkOnly`] rows in the two regions with 500 kHz downlinks.
pub(super) const UPLINK_125_KHZ: &str = "a 125 kHz rate of the uplink channels";

/// A data rate of downlinks, with the payload sizes of RP002.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRate {
    /// Number of the data rate, 0 to 15.
    pub dr: u8,
    /// Modulation with its speed.
    pub modulation: Modulation,
    /// M of RP002: the longest MACPayload in bytes, for a device that is not behind a repeater.
    pub max_mac_payload: usize,
    /// M while DownlinkDwellTime is on, 0 when nothing fits; `None` in a region without downlink dwell time.
    pub max_mac_payload_dwell: Option<usize>,
    /// The revision of RP002 that introduced the data rate, if later than 1.0.3; few devices have it then.
    pub since: Option<&'static str>,
}

/// A data rate that exists for uplinks, or for nothing, but not for downlinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkOnly {
    /// Number of the data rate, 0 to 15.
    pub dr: u8,
    /// What the data rate is instead, for the error's text.
    pub reason: &'static str,
}

impl DataRate {
    /// N of RP002: the longest FRMPayload in bytes with a port and without FOpts, while DownlinkDwellTime is
    /// on (`dwell`) or off. In a region without downlink dwell time it is the same either way.
    pub const fn max_payload(&self, dwell: bool) -> usize {
        let max_mac_payload = match self.max_mac_payload_dwell {
            Some(with_dwell) if dwell => with_dwell,
            _ => self.max_mac_payload,
        };
        max_mac_payload.saturating_sub(MAC_OVERHEAD)
    }

    /// The largest fragment in bytes that a TS004 DataFragment can carry;
    /// `dwell` as in [`max_payload`](Self::max_payload).
    pub const fn max_fragment_size(&self, dwell: bool) -> usize {
        self.max_payload(dwell).saturating_sub(FRAGMENT_OVERHEAD)
    }

    /// A LoRa row of a table without dwell time.
    pub(super) const fn lora(dr: u8, sf: u8, bw_hz: u32, max_mac_payload: usize) -> Self {
        let modulation = Modulation::LoRa { sf, bw_hz };
        DataRate { dr, modulation, max_mac_payload, max_mac_payload_dwell: None, since: None }
    }

    /// DR7 of every region that has GFSK: 50 kbit/s, M 250.
    pub(super) const fn gfsk() -> Self {
        let modulation = Modulation::Gfsk { bit_rate_bps: 50_000 };
        DataRate { dr: 7, modulation, max_mac_payload: 250, max_mac_payload_dwell: None, since: None }
    }

    /// The same row with M while DownlinkDwellTime is on.
    pub(super) const fn dwell(self, max_mac_payload: usize) -> Self {
        DataRate { max_mac_payload_dwell: Some(max_mac_payload), ..self }
    }

    /// The same row, new in RP002-1.0.5.
    pub(super) const fn new_in_1_0_5(self) -> Self {
        DataRate { since: Some(RP002_1_0_5), ..self }
    }
}

/// SF12 to SF7 at 125 kHz as EU868 has them. DR4 is 250 like its neighbours: one network server prints 230,
/// which is the value behind a repeater.
pub(super) const DR0: DataRate = DataRate::lora(0, 12, 125_000, 59);
pub(super) const DR1: DataRate = DataRate::lora(1, 11, 125_000, 59);
pub(super) const DR2: DataRate = DataRate::lora(2, 10, 125_000, 59);
pub(super) const DR3: DataRate = DataRate::lora(3, 9, 125_000, 123);
pub(super) const DR4: DataRate = DataRate::lora(4, 8, 125_000, 250);
pub(super) const DR5: DataRate = DataRate::lora(5, 7, 125_000, 250);
pub(super) const DR6: DataRate = DataRate::lora(6, 7, 250_000, 250);
pub(super) const DR7: DataRate = DataRate::gfsk();
pub(super) const DR12: DataRate = DataRate::lora(12, 6, 125_000, 250).new_in_1_0_5();
pub(super) const DR13: DataRate = DataRate::lora(13, 5, 125_000, 250).new_in_1_0_5();

/// EU868, EU433 and RU864: RP002-1.0.5 3.4, 3.7 and 3.13; unless marked the same since 1.0.3.
pub(super) const EU868_LIKE: &[DataRate] = &[DR0, DR1, DR2, DR3, DR4, DR5, DR6, DR7, DR12, DR13];

/// US915 and AU915: RP002-1.0.5 3.5 and 3.8; unless marked the same since 1.0.3. Several of the numbers mean
/// other things in uplinks.
pub(super) const US915_LIKE: &[DataRate] = &[
    DataRate::lora(0, 5, 500_000, 250).new_in_1_0_5(),
    DataRate::lora(8, 12, 500_000, 61),
    DataRate::lora(9, 11, 500_000, 137),
    DataRate::lora(10, 10, 500_000, 250),
    DataRate::lora(11, 9, 500_000, 250),
    DataRate::lora(12, 8, 500_000, 250),
    DataRate::lora(13, 7, 500_000, 250),
    DataRate::lora(14, 6, 500_000, 250).new_in_1_0_5(),
];
