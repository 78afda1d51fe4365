//! What a gateway usually hears: the data rates of uplinks, how long they last and how often each shows.

use super::modulation::Modulation;

/// One data rate of uplinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkRate {
    /// Modulation with its speed.
    pub modulation: Modulation,
    /// Mean time on air of an uplink at it, microseconds.
    pub airtime_us: u64,
    /// How many of all uplinks it has, in any unit.
    pub weight: u64,
}

/// All data rates of uplinks with their shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkMix {
    rates: Vec<UplinkRate>,
}

/// A data rate is usual when one uplink in so many has it.
const USUAL_ONE_IN: u64 = 100;

impl UplinkMix {
    /// Data rates that nobody uses are left out.
    pub fn new(rates: impl IntoIterator<Item = UplinkRate>) -> Self {
        UplinkMix { rates: rates.into_iter().filter(|rate| rate.weight > 0).collect() }
    }

    /// Each data rate with its share.
    pub fn rates(&self) -> &[UplinkRate] {
        &self.rates
    }

    /// The sum of all weights.
    pub fn weight(&self) -> u64 {
        self.rates.iter().map(|rate| rate.weight).sum()
    }

    /// How long the mean uplink is, none counted for longer than `most_us`, microseconds: so long before a frame it must
    /// begin to be over when the frame begins, in a pause of that length.
    pub fn mean_us(&self, most_us: u64) -> u64 {
        let of = |rate: &UplinkRate| u128::from(rate.airtime_us.min(most_us)) * u128::from(rate.weight);
        let sum: u128 = self.rates.iter().map(of).sum();
        (sum / u128::from(self.weight().max(1))) as u64
    }

    /// The longest uplink of a data rate that one in a hundred uplinks has, microseconds.
    pub fn slowest_us(&self) -> u64 {
        let weight = self.weight();
        let usual = self.rates.iter().filter(|rate| rate.weight * USUAL_ONE_IN >= weight);
        usual.map(|rate| rate.airtime_us).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(rates: &[(u8, u64, u64)]) -> UplinkMix {
        UplinkMix::new(rates.iter().map(|(sf, airtime_us, weight)| UplinkRate {
            modulation: Modulation::LoRa { sf: *sf, bw_hz: 125_000 },
            airtime_us: *airtime_us,
            weight: *weight,
        }))
    }

    #[test]
    fn the_mean_is_weighted_and_no_longer_than_the_pause() {
        let mix = mix(&[(7, 100, 3), (12, 1000, 1), (9, 5000, 0)]);
        assert_eq!(mix.mean_us(u64::MAX), 325);
        assert_eq!(mix.mean_us(200), 125);
        assert_eq!(UplinkMix::default().mean_us(7), 0);
    }

    #[test]
    fn a_data_rate_that_hardly_anybody_has_is_not_the_slowest_usual_one() {
        assert_eq!(mix(&[(7, 100, 990), (12, 1000, 9)]).slowest_us(), 100);
        assert_eq!(mix(&[(7, 100, 990), (12, 1000, 10)]).slowest_us(), 1000);
    }
}
