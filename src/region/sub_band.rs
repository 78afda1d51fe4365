//! Sub-bands with their limits of law, and the terms under which an operator uses them.

use crate::radio::Dbm;

/// `duty_ppm` of a sub-band without a limit of duty cycle.
pub(super) const NO_DUTY_LIMIT: u32 = 1_000_000;

/// Window of almost every duty cycle, one hour in microseconds.
const HOUR_US: u64 = 3_600_000_000;

/// A sub-band: the half-open range of frequencies `min_hz..max_hz` with its own limits of law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubBand {
    /// Label of the sub-band in the law; several sub-bands may share one.
    pub label: &'static str,
    /// Lower border in Hz, part of the sub-band.
    pub min_hz: u32,
    /// Upper border in Hz, not part of the sub-band.
    pub max_hz: u32,
    /// Duty cycle: part of every sliding window that one transmitter may send, in millionths; 1000000 is no limit.
    pub duty_ppm: u32,
    /// Length of the sliding window in microseconds.
    pub window_us: u64,
    /// Limit of the radiated power, EIRP (ERP + 2.15 dB).
    pub max_eirp: Dbm,
    /// Default power of a gateway, EIRP.
    pub default_eirp: Dbm,
    /// Limit of the power into the antenna; `None` where the law has none.
    pub max_conducted: Option<Dbm>,
    /// Limit of one transmission in microseconds; `None` where the law has none.
    pub max_tx_us: Option<u64>,
    /// Least pause between two transmissions in microseconds; 0 where the law has none.
    pub min_pause_us: u64,
    /// Limit of the occupied bandwidth in Hz; `None` where the law has none.
    pub max_bandwidth_hz: Option<u32>,
    /// Listen before talk, where the law requires it.
    pub listen: Option<Listen>,
    /// The sub-band is used only when the operator names it, because it overlaps a default one, or because only some
    /// equipment or countries may use it.
    pub needs_opt_in: bool,
    /// Document and clause that set the limits.
    pub clause: &'static str,
}

/// Listen before talk (carrier sense).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Received power below which the channel counts as free.
    pub threshold: Dbm,
    /// Time for which the channel must be free, in microseconds.
    pub sense_us: u64,
    /// Width around the centre that must be free, in Hz; `None` where the law leaves it to the channel.
    pub bandwidth_hz: Option<u32>,
}

/// Index of a sub-band in [`Parameters::sub_bands`](crate::region::Parameters::sub_bands).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubBandIndex(pub u8);

/// An operator's declarations about the use of a channel, beyond frequency, data rate and power. The default
/// declares nothing: only sub-bands that need no opt-in, on a transmitter that cannot listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Label of the sub-bands to use, which may need opt-in: naming it is the opt-in. `None`: those that need none.
    pub sub_band: Option<String>,
    /// The transmitter listens before it talks, as the sub-band wants it.
    pub listens_before_talk: bool,
    /// DownlinkDwellTime is on in the devices (TS001-1.0.4, TxParamSetupReq).
    pub downlink_dwell: bool,
    /// Gain of the antenna less cable, in dBi; `None` when unknown: limits of conducted power are not checked then.
    pub antenna_gain: Option<Dbm>,
}

impl Terms {
    /// Whether these terms admit a transmission in `sub_band`.
    pub fn admit(&self, sub_band: &SubBand) -> bool {
        match &self.sub_band {
            Some(label) => sub_band.label == label,
            None => !sub_band.needs_opt_in,
        }
    }
}

impl SubBand {
    /// A sub-band with a duty cycle by the hour, a limit of power that is also the default, and no other limits.
    pub(super) const fn hourly(
        label: &'static str,
        min_hz: u32,
        max_hz: u32,
        duty_ppm: u32,
        max_eirp: Dbm,
        clause: &'static str,
    ) -> SubBand {
        SubBand {
            label,
            min_hz,
            max_hz,
            duty_ppm,
            window_us: HOUR_US,
            max_eirp,
            default_eirp: max_eirp,
            max_conducted: None,
            max_tx_us: None,
            min_pause_us: 0,
            max_bandwidth_hz: None,
            listen: None,
            needs_opt_in: false,
            clause,
        }
    }

    /// Time before a transmission in which the gateway must not send, microseconds: the pause, then the listening.
    pub fn gap_us(&self) -> u64 {
        self.min_pause_us + self.listen.map_or(0, |listen| listen.sense_us)
    }
}
