//! Stretches of spectrum with limits of law, and what an operator declares about his use of them.

use crate::radio::Dbm;

/// `duty_ppm` of a sub-band without a duty cycle limit.
pub(super) const NO_DUTY_LIMIT: u32 = 1_000_000;

/// The window of almost every duty cycle, in microseconds.
const HOUR_US: u64 = 3_600_000_000;

/// A stretch of spectrum with its own limits of law, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubBand {
    /// The law's own name for it; several stretches may share one.
    pub label: &'static str,
    /// Lower border in Hz, inside.
    pub min_hz: u32,
    /// Upper border in Hz, outside.
    pub max_hz: u32,
    /// Share of every sliding window that one transmitter may send, in millionths; 1000000 is no limit.
    pub duty_ppm: u32,
    /// The window in microseconds.
    pub window_us: u64,
    /// The most that may leave the antenna, EIRP (ERP + 2.15 dB).
    pub max_eirp: Dbm,
    /// What we send when nobody says otherwise, EIRP.
    pub default_eirp: Dbm,
    /// The most that may enter the antenna, where the law has such a limit too.
    pub max_conducted: Option<Dbm>,
    /// The longest single transmission in microseconds, where the law has one.
    pub max_tx_us: Option<u64>,
    /// The shortest silence between two transmissions in microseconds; 0 where the law has none.
    pub min_pause_us: u64,
    /// The widest occupied bandwidth in Hz, where the law has one.
    pub max_bandwidth_hz: Option<u32>,
    /// How the transmitter has to listen before it talks, where it has to.
    pub listen: Option<Listen>,
    /// Used only when the operator names it: overlaps a default one, or needs equipment or a country for it.
    pub needs_opt_in: bool,
    /// Where this is written.
    pub clause: &'static str,
}

/// Listen before talk (carrier sense).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The channel is free below this.
    pub threshold: Dbm,
    /// How long it must be, microseconds.
    pub sense_us: u64,
    /// In this width around the centre, Hz; `None` where the law leaves it to the channel.
    pub bandwidth_hz: Option<u32>,
}

/// The place of a sub-band in [`Parameters::sub_bands`](crate::region::Parameters::sub_bands).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubBandIndex(pub u8);

/// What an operator declares about the use of a channel, beyond frequency, data rate and power. The default
/// declares nothing: only the sub-bands that anybody may use, on a transmitter that cannot listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Only the sub-bands with this label, which may need opt-in: naming it is the opt-in.
    pub sub_band: Option<String>,
    /// The transmitter listens before it talks, as the sub-band wants it.
    pub listens_before_talk: bool,
    /// DownlinkDwellTime is on in the devices (TS001-1.0.4, TxParamSetupReq).
    pub downlink_dwell: bool,
    /// Gain of the antenna less cable; `None`: unknown, and limits of conducted power are not looked at.
    pub antenna_gain: Option<Dbm>,
}

impl Terms {
    /// Whether these terms lead into `sub_band`.
    pub fn admit(&self, sub_band: &SubBand) -> bool {
        match &self.sub_band {
            Some(label) => sub_band.label == label,
            None => !sub_band.needs_opt_in,
        }
    }
}

impl SubBand {
    /// A sub-band that is sent in at its limit of power, by the hour, with no other limits.
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

    /// The silence that the law needs before a transmission, microseconds: its pause, then its listening.
    pub fn gap_us(&self) -> u64 {
        self.min_pause_us + self.listen.map_or(0, |listen| listen.sense_us)
    }
}
