//! How long the answers to one question are spread, and how many of them a gateway hears.

use super::habit::Habit;
use crate::lorawan::FRAME_OVERHEAD;
use crate::radio::Modulation;
use crate::radio::UplinkMix;
use crate::radio::UplinkRate;
use crate::radio::uplink_airtime_us;

/// The longest BlockAckDelay (TS004-1.0.0 3.1).
const BLOCK_ACK_DELAY_MAX: u8 = 7;
/// Answers come within 2^(BlockAckDelay + 4) s.
const SHORTEST_US: u64 = 16_000_000;
/// Bytes of FragSessionStatusAns in TS004-2.0.0, the longer one.
const ANSWER_BYTES: usize = 5;
/// A question is put when about one device in so many is expected to miss something.
const MISSING_EACH: usize = 8;
/// An answer needs so long from its device through the network server to us, microseconds.
const ON_ITS_WAY_US: u64 = 5_000_000;

/// The time in which devices answer a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerWindow {
    /// BlockAckDelay, 0 to 7.
    pub block_ack_delay: u8,
    /// Of so many answers in one window at least six in ten are heard at every usual data rate.
    pub answers: u32,
}

impl AnswerWindow {
    /// The shortest window that suits the answers which are expected of `devices` devices with this habit: of the part that
    /// still misses something, or of all where complete ones answer, too. `mix` are the uplinks of the region, on so many
    /// channels, and `session` is the data rate at which the devices are addressed: those of a slow one answer slowly.
    pub fn new(
        devices: usize,
        habit: Habit,
        session: Modulation,
        (mix, channels): (&UplinkMix, u64),
    ) -> AnswerWindow {
        let expected = match habit {
            Habit::LoRaMacNode => devices,
            _ => devices.div_ceil(MISSING_EACH),
        };
        let airtime_us = |modulation| uplink_airtime_us(modulation, FRAME_OVERHEAD + ANSWER_BYTES);
        // Different spreading factors do not disturb each other: the one with the most air is the crowded one.
        let shared = |rate: &UplinkRate| airtime_us(rate.modulation) * rate.weight / mix.weight().max(1);
        let crowded_us = mix.rates().iter().map(shared).max().unwrap_or(0).max(airtime_us(session)).max(1);
        // Pure ALOHA: half an airtime's load on each channel lets e^-0.5 of the answers through.
        let heard = |delay: u8| channels * (SHORTEST_US << delay) / (4 * crowded_us);
        let suits = |delay: &u8| heard(*delay) >= expected as u64;
        let block_ack_delay = (0..BLOCK_ACK_DELAY_MAX).find(suits).unwrap_or(BLOCK_ACK_DELAY_MAX);
        let answers = u32::try_from(heard(block_ack_delay)).unwrap_or(u32::MAX);
        AnswerWindow { block_ack_delay, answers }
    }

    /// From the end of the question until its answers are here, microseconds.
    pub fn us(self) -> u64 {
        (SHORTEST_US << self.block_ack_delay) + ON_ITS_WAY_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(devices: usize, habit: Habit, sf: u8) -> u8 {
        let rates = [(7, 80), (12, 20)].map(|(sf, weight)| {
            let modulation = Modulation::LoRa { sf, bw_hz: 125_000 };
            UplinkRate { modulation, airtime_us: 1, weight }
        });
        let mix = UplinkMix::new(rates);
        AnswerWindow::new(devices, habit, Modulation::LoRa { sf, bw_hz: 125_000 }, (&mix, 3)).block_ack_delay
    }

    #[test]
    fn the_answers_of_those_who_miss_something_are_spread_and_not_those_of_all() {
        let of = |habit| [0, 1, 300, 1200, 10_000, 1_000_000].map(|devices| delay(devices, habit, 7));
        assert_eq!(of(Habit::AsMeant), [0, 0, 0, 2, 5, 7]);
        assert_eq!(of(Habit::LoRaMacNode), [0, 0, 3, 5, 7, 7]);
    }

    #[test]
    fn devices_that_are_addressed_slowly_answer_slowly() {
        assert_eq!([7, 10, 12].map(|sf| delay(300, Habit::Lbm, sf)), [0, 1, 3]);
    }
}
