//! The share of the network server's airtime that commands of ours may take.

use crate::time::Instant;

/// An item must leave so many times its own airtime: where airtime is short, slow data rates come last.
const LEAVES: u64 = 3;
const HOUR_US: u64 = 3_600_000_000;

/// A budget that refills evenly and holds an hour's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct AirtimeShare {
    us_per_hour: Option<u64>,
    left_us: u64,
    at: Instant,
}

impl AirtimeShare {
    /// A full budget; `None`: no limit.
    pub(super) fn new(us_per_hour: Option<u64>, at: Instant) -> AirtimeShare {
        AirtimeShare { us_per_hour, left_us: us_per_hour.unwrap_or(0), at }
    }

    /// Takes `airtime_us` out of the budget; `false` if it has too little.
    pub(super) fn take(&mut self, at: Instant, airtime_us: u64) -> bool {
        let Some(us_per_hour) = self.us_per_hour else { return true };
        let elapsed_us = at.us_since(self.at).min(HOUR_US);
        let refill_us = (u128::from(us_per_hour) * u128::from(elapsed_us) / u128::from(HOUR_US)) as u64;
        self.left_us = (self.left_us + refill_us).min(us_per_hour);
        self.at = at;
        let wanted_us = (airtime_us.saturating_mul(1 + LEAVES)).min(us_per_hour);
        if self.left_us < wanted_us || self.left_us < airtime_us {
            return false;
        }
        self.left_us -= airtime_us;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_airtime_is_short_a_slow_item_waits_and_a_fast_one_goes() {
        let at = |s: i64| Instant::from_us(s * 1_000_000);
        let mut share = AirtimeShare::new(Some(9_000_000), at(0));
        assert!(share.take(at(0), 2_000_000));
        assert!(!share.take(at(0), 2_000_000), "7 s are left: it would leave too little");
        assert!(share.take(at(0), 100_000));
        assert!(!share.take(at(1), 2_000_000));
        assert!(share.take(at(1800), 2_000_000), "half an hour later there is more");
        assert!(AirtimeShare::new(None, at(0)).take(at(0), u64::MAX));
    }
}
