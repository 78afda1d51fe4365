//! How a device behaves: how often it sends, and how well this gateway hears it.

use crate::lns::Up;
use crate::lorawan::Eui64;
use crate::radio::Modulation;

/// So many of the last uplinks are looked at.
const LOOKED_AT: u8 = 10;
/// So many of them must be heard here.
const HEARD_MIN: u32 = 3;
/// With so much to spare, dB.
const SPARE_DB: f32 = 5.0;
/// A shorter distance of two uplinks is a burst, seconds, ...
const INTERVAL_MIN_S: u32 = 20;
/// ... unless so many follow each other: then the device sends that often.
const SHORT_MIN: u8 = 4;
/// Before anything is known, seconds.
pub(super) const INTERVAL_UNKNOWN_S: u32 = 3600;

/// How a device behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// Bit n: the n-th last uplink was heard here well enough.
    pub(super) heard: u16,
    /// How many uplinks `heard` knows, at most [`LOOKED_AT`].
    pub(super) known: u8,
    /// The usual distance of two uplinks, seconds; 0 while it is not known.
    pub(super) interval_s: u32,
    /// GPS seconds of the last uplink; 0 before the first, and without a clock.
    pub(super) last_s: u32,
    /// Short distances since the last long one.
    pub(super) short: u8,
}

impl Habits {
    /// Takes in one uplink that ended at `gps_s`, where the time is known. What it sends because we asked `is_answer`.
    pub(super) fn hear(
        &mut self,
        up: &Up,
        gateway: Option<Eui64>,
        session: Option<Modulation>,
        gps_s: u32,
        is_answer: bool,
    ) {
        let is_heard = gateway.is_none_or(|gateway| {
            let needed_db = needed_snr_db(session) + SPARE_DB;
            up.receptions.iter().any(|rx| rx.gateway_eui == gateway && rx.snr_db >= needed_db)
        });
        self.heard = (self.heard << 1 | u16::from(is_heard)) & ((1 << LOOKED_AT) - 1);
        self.known = (self.known + 1).min(LOOKED_AT);
        if gps_s == 0 || is_answer {
            return;
        }
        let distance_s = gps_s.saturating_sub(self.last_s);
        let is_short = distance_s < INTERVAL_MIN_S;
        self.short = if is_short { self.short.saturating_add(1) } else { 0 };
        if self.last_s != 0 && (!is_short || self.short > SHORT_MIN) {
            // A lost uplink doubles a distance: shorter ones count more.
            self.interval_s = match self.interval_s {
                0 => distance_s,
                // What looked like a habit was a long burst.
                known if known < INTERVAL_MIN_S && !is_short => distance_s,
                known if distance_s < known => (known + distance_s) / 2,
                known => (u64::from(known) * 7 / 8 + u64::from(distance_s) / 8) as u32,
            };
        }
        self.last_s = gps_s;
    }

    /// Whether this gateway is heard by the device, as far as uplinks tell.
    pub(super) fn is_in_reach(self) -> bool {
        let heard = self.heard.count_ones();
        let missed = u32::from(self.known) - heard;
        heard > 0 && missed <= u32::from(LOOKED_AT) - HEARD_MIN
    }

    /// Whether enough is known to say that it is not.
    pub(super) fn is_out_of_reach(self) -> bool {
        u32::from(self.known) >= HEARD_MIN && !self.is_in_reach()
    }

    /// The usual distance of two uplinks, seconds.
    pub(super) fn interval_s(self) -> u32 {
        if self.interval_s == 0 { INTERVAL_UNKNOWN_S } else { self.interval_s }
    }
}

/// The lowest SNR at which the modulation is received, dB (SX1276 data sheet 4.1.1.2).
fn needed_snr_db(modulation: Option<Modulation>) -> f32 {
    match modulation {
        Some(Modulation::LoRa { sf, .. }) => -7.5 - 2.5 * (f32::from(sf) - 7.0),
        Some(Modulation::Gfsk { .. }) => 5.0,
        None => -20.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lns::Reception;

    const HERE: Eui64 = Eui64::from_bytes([1; 8]);

    fn up(gateway_eui: Eui64, snr_db: f32) -> Up {
        Up {
            f_cnt: 0,
            f_port: 2,
            data: Vec::new(),
            data_rate: None,
            modulation: None,
            frequency_hz: None,
            confirmed: false,
            adr: None,
            receptions: vec![Reception { gateway_eui, rssi_dbm: -100.0, snr_db }],
            via_relay: false,
        }
    }

    fn after(uplinks: &[Up]) -> Habits {
        let session = Some(Modulation::LoRa { sf: 9, bw_hz: 125_000 });
        let mut habits = Habits::default();
        uplinks.iter().for_each(|up| habits.hear(up, Some(HERE), session, 0, false));
        habits
    }

    #[test]
    fn three_of_the_last_ten_uplinks_must_be_heard_here_with_5_db_to_spare_at_the_sessions_data_rate() {
        // SF9 needs -12.5 dB.
        let (good, weak) = (up(HERE, -7.5), up(HERE, -7.6));
        let elsewhere = up(Eui64::from_bytes([2; 8]), 10.0);
        let mix = |good_ones: usize, bad: &Up| {
            let mut uplinks = vec![bad.clone(); 10 - good_ones];
            uplinks.extend(vec![good.clone(); good_ones]);
            after(&uplinks)
        };
        for bad in [&weak, &elsewhere] {
            assert!(mix(2, bad).is_out_of_reach());
            assert!(mix(3, bad).is_in_reach());
            assert!(after(&[bad.clone(), bad.clone(), bad.clone()]).is_out_of_reach());
        }
        assert!(after(std::slice::from_ref(&good)).is_in_reach(), "the first is enough to ask");
    }

    #[test]
    fn the_usual_distance_of_uplinks_is_not_that_of_answers_and_forgets_a_lost_uplink() {
        let mut habits = Habits::default();
        for gps_s in [1000, 4600, 4606, 4612, 8200, 11800, 19000, 22600] {
            habits.hear(&up(HERE, 0.0), None, None, gps_s, false);
        }
        assert!((3500..4100).contains(&habits.interval_s()), "{}", habits.interval_s());
    }

    #[test]
    fn a_device_that_sends_every_few_seconds_is_known_after_six_uplinks_and_a_burst_until_the_next_uplink() {
        let mut habits = Habits::default();
        let mut hear = |gps_s, is_answer| {
            habits.hear(&up(HERE, 0.0), None, None, gps_s, is_answer);
            habits.interval_s
        };
        assert_eq!([1000, 1005, 1010, 1015, 1020].map(|gps_s| hear(gps_s, false)), [0; 5]);
        assert_eq!([1021, 1022, 1023, 1024].map(|gps_s| hear(gps_s, true)), [0; 4], "these are answers");
        assert_eq!(hear(1025, false), 5);
        assert_eq!(hear(4625, false), 3600);
    }
}
