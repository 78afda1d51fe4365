//! A broker that loses, doubles and reorders.

use super::script::BrokerScript;
use crate::sim::random::Random;

/// A message needs at least and at most so long, microseconds.
const TRANSIT_US: (u64, u64) = (5_000, 30_000);
/// A late one needs so much more at most, microseconds.
const LATE_US: u64 = 10_000_000;

/// One direction of a broker.
#[derive(Debug)]
pub(super) struct Broker {
    script: BrokerScript,
    random: Random,
    /// No ordinary message overtakes another.
    last_us: u64,
}

impl Broker {
    pub(super) fn new(script: BrokerScript, random: Random) -> Broker {
        Broker { script, random, last_us: 0 }
    }

    /// When a message that is published now arrives: never, once or twice.
    pub(super) fn arrivals(&mut self, now_us: u64) -> Vec<u64> {
        if self.random.chance_ppm(self.script.drops_ppm) {
            return Vec::new();
        }
        let transit_us = self.random.range(TRANSIT_US.0, TRANSIT_US.1);
        let ordinary_us = (now_us + transit_us).max(self.last_us + 1);
        let mut arrivals = vec![if self.random.chance_ppm(self.script.delays_ppm) {
            now_us + transit_us + self.random.below(LATE_US)
        } else {
            self.last_us = ordinary_us;
            ordinary_us
        }];
        if self.random.chance_ppm(self.script.doubles_ppm) {
            arrivals.push(arrivals[0] + self.random.below(LATE_US));
        }
        arrivals
    }
}
