//! Uplinks that share the air: which of them a gateway with eight demodulators hears.

use std::collections::VecDeque;

/// A frame is heard beside others of its data rate on its channel when it is so much stronger than each, dB.
const CAPTURE_DB: i32 = 6;
/// Frames that a gateway receives at a time.
const DEMODULATORS: usize = 8;
/// No frame is on the air for longer, microseconds.
const LONGEST_US: u64 = 5_000_000;

/// A frame on its way to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// When it begins to be sent, microseconds.
    pub start_us: u64,
    /// How long it is on the air, microseconds.
    pub airtime_us: u64,
    /// The channel by its number.
    pub channel: u8,
    /// Its spreading factor: different ones do not disturb each other.
    pub sf: u8,
    /// How strong it arrives, dBm.
    pub rssi_dbm: i32,
}

impl Uplink {
    /// When it is over, microseconds.
    pub fn end_us(self) -> u64 {
        self.start_us + self.airtime_us
    }

    fn overlaps(self, other: Uplink) -> bool {
        self.start_us < other.end_us() && other.start_us < self.end_us()
    }
}

/// The air around a gateway.
#[derive(Clone, Debug, Default)]
pub struct Ether {
    /// The newest frames, and whether a demodulator was free for each.
    on_air: VecDeque<(Uplink, bool)>,
}

impl Ether {
    /// A frame begins; they begin in the order of their starts.
    pub fn begin(&mut self, uplink: Uplink) {
        self.on_air.retain(|(other, _)| other.end_us() + LONGEST_US > uplink.start_us);
        let is_taken =
            |(other, has_demodulator): &&(Uplink, bool)| *has_demodulator && other.overlaps(uplink);
        let has_demodulator = self.on_air.iter().filter(is_taken).count() < DEMODULATORS;
        self.on_air.push_back((uplink, has_demodulator));
    }

    /// Whether a frame was heard, at its end.
    pub fn is_heard(&self, uplink: Uplink) -> bool {
        let at = self.on_air.iter().position(|(known, _)| *known == uplink);
        let disturbs = |(at_other, (other, _)): (usize, &(Uplink, bool))| {
            let is_like = other.channel == uplink.channel && other.sf == uplink.sf;
            Some(at_other) != at
                && is_like
                && other.overlaps(uplink)
                && uplink.rssi_dbm < other.rssi_dbm + CAPTURE_DB
        };
        at.is_some_and(|at| self.on_air[at].1) && !self.on_air.iter().enumerate().any(disturbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uplink = Uplink { start_us: 1000, airtime_us: 100, channel: 0, sf: 7, rssi_dbm: -100 };

    fn heard(uplinks: &[Uplink]) -> Vec<bool> {
        let mut ether = Ether::default();
        uplinks.iter().for_each(|uplink| ether.begin(*uplink));
        uplinks.iter().map(|uplink| ether.is_heard(*uplink)).collect()
    }

    #[test]
    fn only_a_frame_of_the_same_rate_on_the_same_channel_at_the_same_time_disturbs() {
        let near = Uplink { start_us: 1099, ..ONE };
        assert_eq!(heard(&[ONE, near]), [false, false]);
        assert_eq!(heard(&[ONE, Uplink { start_us: 1100, ..ONE }]), [true, true]);
        assert_eq!(heard(&[ONE, Uplink { sf: 8, ..near }]), [true, true]);
        assert_eq!(heard(&[ONE, Uplink { channel: 1, ..near }]), [true, true]);
    }

    #[test]
    fn six_decibels_win_and_the_ninth_frame_finds_no_demodulator() {
        let near = Uplink { start_us: 1099, ..ONE };
        assert_eq!(heard(&[ONE, Uplink { rssi_dbm: -94, ..near }]), [false, true]);
        assert_eq!(heard(&[ONE, Uplink { rssi_dbm: -95, ..near }]), [false, false]);
        let nine: Vec<Uplink> = (0..9).map(|channel| Uplink { channel, ..ONE }).collect();
        assert_eq!(heard(&nine), [[true; 8].as_slice(), &[false]].concat());
    }
}
