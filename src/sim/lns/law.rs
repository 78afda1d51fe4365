//! EU868's duty cycle at the gateway (ETSI EN 300 220-2, annex B), in every hour: 1 % in each of the two sub-bands of its
//! eight uplink channels, 10 % in that of RX2.

use std::collections::VecDeque;

const HOUR_US: u64 = 3_600_000_000;
const BUDGETS_US: [u64; 3] = [HOUR_US / 100, HOUR_US / 100, HOUR_US / 10];

/// What a gateway sent in the last hour, by sub-band.
#[derive(Clone, Debug, Default)]
pub(super) struct Law {
    sent: [VecDeque<(u64, u64)>; 3],
}

impl Law {
    /// Books a downlink; `false` if it is one too many.
    pub(super) fn book(&mut self, sub_band: usize, now_us: u64, airtime_us: u64) -> bool {
        let sent = &mut self.sent[sub_band];
        while sent.front().is_some_and(|(at_us, _)| at_us + HOUR_US <= now_us) {
            sent.pop_front();
        }
        let used_us: u64 = sent.iter().map(|(_, airtime_us)| airtime_us).sum();
        if used_us + airtime_us > BUDGETS_US[sub_band] {
            return false;
        }
        sent.push_back((now_us, airtime_us));
        true
    }
}
