//! The concentrator's microsecond counter, learned from uplinks.
//!
//! An uplink whose reception ended at counter T and that came to us at t says: at t the counter showed at least
//! T. Decoding, polling and the network only ever make t later, so the greatest T - t is the nearest to the
//! truth. Clocks drift apart: a sample loses 50 ppm of its age before it is compared.

use std::collections::VecDeque;

use crate::time::ConcentratorTime;
use crate::time::Instant;
use crate::time::Tmst;

/// Samples kept; only those that may still become the greatest are.
const MAX_SAMPLES: usize = 64;

/// A sample older than this says nothing: its error would reach [`ERROR_MAX_US`].
const WINDOW_US: u64 = 300_000_000;

/// One microsecond of drift in this many: 50 ppm, two crystals and a margin.
const DRIFT_DIVISOR: i64 = 20_000;

/// How late a sample is at most, normally: decoding, the forwarder's 10 ms poll, its bus, the network.
const BIAS_US: u64 = 15_000;

/// An estimate that may be this wrong is of no use.
const ERROR_MAX_US: u64 = 30_000;

/// A sample this far ahead of the estimate, or more, was not counted by the counter we know.
const AHEAD_MAX_US: i64 = 50_000;

/// A sample further behind than this was held up on its way and says nothing.
const BEHIND_USEFUL_US: i64 = 50_000;

/// A sample further behind than this was held up for long, or the counter began anew.
const BEHIND_MAX_US: i64 = 2_000_000;

/// Datagrams that were held up come all at once: what they say is told apart from a new run of the counter by a second
/// sample that came at least this much later, microseconds.
const WITNESS_US: u64 = 1_000_000;

/// A counter that shows less has just begun, microseconds.
const JUST_BEGUN_US: u32 = 60_000_000;

/// The counter as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Counter {
    session: u32,
    /// In order of arrival and of falling key, so the first is the best.
    samples: VecDeque<Sample>,
    /// The best sample there was, kept when it is too old to use: it tells wraps apart.
    anchor: Option<Sample>,
    /// When the first sample of this run came.
    begun: Instant,
    /// The first sample far behind that no other has confirmed yet.
    doubtful: Option<Sample>,
    /// When the newest sample came, and for how long it was held up.
    newest: (Instant, i64),
}

/// What a sample said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The sample fits the line of the counter.
    Fits,
    /// It was held up on its way, or nobody has confirmed it yet; ignored.
    Late,
    /// All that was known had been held up: the counter is further on.
    Corrected,
    /// It belongs to another run of the counter, which it begins. Off by so many microseconds.
    Restarted { by_us: i64 },
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    received: Instant,
    /// Counter minus our clock in microseconds, with the drift of our whole time line added, so that samples
    /// of different age compare directly.
    key: i64,
}

impl Sample {
    fn new(received: Instant, counter_us: i64) -> Self {
        let offset = counter_us.saturating_sub(received.as_us());
        Sample { received, key: offset.saturating_add(received.as_us() / DRIFT_DIVISOR) }
    }

    /// The counter at `instant` as this sample has it, discounted.
    fn counter_us(self, instant: Instant) -> i64 {
        let us = instant.as_us();
        us.saturating_add(self.key).saturating_sub(us / DRIFT_DIVISOR)
    }
}

impl Counter {
    /// Which run of the counter this is.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// Learns that the counter showed `tmst` at `received` or somewhat earlier.
    pub fn hear(&mut self, received: Instant, tmst: Tmst) -> Heard {
        while self.samples.front().is_some_and(|oldest| received.us_since(oldest.received) >= WINDOW_US) {
            self.samples.pop_front();
        }
        let Some(anchor) = self.samples.front().copied().or(self.anchor) else {
            self.begin(received, tmst);
            return Heard::Fits;
        };
        let predicted_us = anchor.counter_us(received);
        let by_us = nearest(predicted_us, tmst);
        // Discounting assumed drift one way; the other way it shows twice.
        let age_us = i64::try_from(received.us_since(anchor.received)).unwrap_or(i64::MAX);
        let drift_us = age_us / (DRIFT_DIVISOR / 2);
        if by_us > AHEAD_MAX_US.saturating_add(drift_us) {
            let is_backlog = received.us_since(self.begun) < WITNESS_US;
            self.begin(received, tmst);
            return if is_backlog { Heard::Corrected } else { Heard::Restarted { by_us } };
        }
        if by_us < -BEHIND_MAX_US
            && (self.is_too_old(received, tmst, by_us) || self.is_witness(received, tmst))
        {
            self.begin(received, tmst);
            return Heard::Restarted { by_us };
        }
        self.newest = (received, -by_us);
        if by_us < -BEHIND_USEFUL_US {
            return Heard::Late;
        }
        self.doubtful = None;
        self.keep(Sample::new(received, predicted_us.saturating_add(by_us)));
        Heard::Fits
    }

    /// Datagrams come in their order: none was held up for longer than the one before it and the time since that came.
    /// A counter that just began and is further behind did begin.
    fn is_too_old(&self, received: Instant, tmst: Tmst, by_us: i64) -> bool {
        let (before, held_up_us) = self.newest;
        let since_us = i64::try_from(received.us_since(before)).unwrap_or(i64::MAX);
        let held_up_us = held_up_us.max(0).saturating_add(since_us).saturating_add(BEHIND_MAX_US);
        tmst.0 < JUST_BEGUN_US && -by_us > held_up_us
    }

    /// Whether a sample far behind says the same as an earlier one of its kind. If there is none it becomes that.
    fn is_witness(&mut self, received: Instant, tmst: Tmst) -> bool {
        let fits = |first: &Sample| {
            let by_us = nearest(first.counter_us(received), tmst);
            (-BEHIND_MAX_US..=AHEAD_MAX_US).contains(&by_us)
        };
        match self.doubtful.filter(fits) {
            Some(first) => received.us_since(first.received) >= WITNESS_US,
            None => {
                self.doubtful = Some(Sample::new(received, i64::from(tmst.0)));
                false
            }
        }
    }

    /// Begins another run of the counter with its first sample.
    fn begin(&mut self, received: Instant, tmst: Tmst) {
        if self.anchor.is_some() {
            self.forget();
        }
        self.begun = received;
        self.newest = (received, 0);
        self.keep(Sample::new(received, i64::from(tmst.0)));
    }

    /// Drops everything: what comes next is another run of the counter.
    pub fn forget(&mut self) {
        self.session = self.session.wrapping_add(1);
        self.samples.clear();
        self.anchor = None;
        self.doubtful = None;
    }

    /// How wrong the estimate may be, in microseconds; `None` when it is of no use.
    pub fn error_us(&self, now: Instant) -> Option<u64> {
        let error_us = |sample: &Sample| BIAS_US + now.us_since(sample.received) / DRIFT_DIVISOR as u64;
        self.samples.iter().map(error_us).find(|&error_us| error_us < ERROR_MAX_US)
    }

    /// From when on the estimate is of no use unless another uplink comes.
    pub fn useless_at(&self) -> Option<Instant> {
        self.samples.back().map(|newest| newest.received.plus_us(WINDOW_US))
    }

    /// What the counter shows at `instant`, judged by what is of use at `now`.
    pub fn at(&self, now: Instant, instant: Instant) -> Option<ConcentratorTime> {
        let us = self.best(now)?.counter_us(instant);
        Some(ConcentratorTime { session: self.session, us: u64::try_from(us).ok()? })
    }

    /// When the counter shows `tmst`, at the time nearest to `near`.
    pub fn instant_of(&self, now: Instant, tmst: Tmst, near: Instant) -> Option<Instant> {
        let by_us = nearest(self.best(now)?.counter_us(near), tmst);
        Some(Instant::from_us(near.as_us().saturating_add(by_us)))
    }

    fn best(&self, now: Instant) -> Option<Sample> {
        self.samples.iter().find(|sample| now.us_since(sample.received) < WINDOW_US).copied()
    }

    fn keep(&mut self, sample: Sample) {
        while self.samples.back().is_some_and(|other| other.key <= sample.key) {
            self.samples.pop_back();
        }
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.anchor = self.samples.front().copied();
    }
}

/// How far `tmst` is from `predicted_us`, at the wrap that is nearest.
fn nearest(predicted_us: i64, tmst: Tmst) -> i64 {
    let predicted = (predicted_us & i64::from(u32::MAX)) as u32;
    i64::from(tmst.0.wrapping_sub(predicted) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRAP_US: i64 = 1 << 32;

    fn at(us: i64) -> Instant {
        Instant::from_us(us)
    }

    fn tmst(us: i64) -> Tmst {
        Tmst(us.rem_euclid(WRAP_US) as u32)
    }

    #[test]
    fn the_least_delayed_sample_decides() {
        let mut counter = Counter::default();
        for (received, delay) in [(1_000_000, 14_000), (2_000_000, 3_000), (3_000_000, 12_000)] {
            assert_eq!(counter.hear(at(received), tmst(received + 500_000_000 - delay)), Heard::Fits);
        }
        let estimate = counter.at(at(3_000_000), at(3_500_000)).unwrap();
        assert_eq!(estimate.us, 503_500_000 - 3_000 - 75);
        assert_eq!(counter.error_us(at(3_000_000)), Some(15_050));
    }

    #[test]
    fn the_unrolled_counter_goes_on_across_many_wraps_in_spite_of_drift() {
        for ppm in [-45, 0, 45] {
            let mut counter = Counter::default();
            let truth = |us: i64| us + us * ppm / 1_000_000 + WRAP_US - 5_000_000;
            let mut received = 0;
            while received < 20 * WRAP_US {
                assert_eq!(counter.hear(at(received), tmst(truth(received) - received % 7_000)), Heard::Fits);
                let ahead = received + 350_000;
                let estimate = counter.at(at(received), at(ahead)).unwrap();
                assert_eq!(estimate.session, 0);
                let error = truth(ahead) - estimate.us as i64;
                assert!((-1_000..=30_000).contains(&error), "{ppm} ppm: {error} us at {received}");
                received += 97_000_000;
            }
        }
    }

    #[test]
    fn a_wrap_between_estimate_and_start_shows_in_the_timestamp_only() {
        let mut counter = Counter::default();
        counter.hear(at(0), Tmst(u32::MAX - 99_999));
        let before = counter.at(at(0), at(50_000)).unwrap();
        let after = counter.at(at(0), at(350_000)).unwrap();
        assert_eq!(after.us - before.us, 300_000 - 15);
        assert_eq!(after.tmst(), Tmst(250_000 - 17));
        assert_eq!(counter.instant_of(at(0), Tmst(250_000 - 17), at(0)), Some(at(349_983)));
    }

    #[test]
    fn a_sample_that_was_held_up_is_ignored_and_one_far_behind_needs_a_witness_a_second_later() {
        let mut counter = Counter::default();
        counter.hear(at(0), tmst(100_000_000));
        assert_eq!(counter.hear(at(1_000_000), tmst(100_900_000)), Heard::Late);
        assert_eq!(counter.hear(at(2_000_000), tmst(100_100_000)), Heard::Late);
        assert_eq!(counter.at(at(2_000_000), at(2_000_000)).unwrap().us, 101_999_900);
        assert_eq!(counter.hear(at(3_000_000), tmst(100_000_000)), Heard::Late, "the first of its kind");
        assert_eq!(counter.hear(at(3_900_000), tmst(100_890_000)), Heard::Late, "too soon after it");
        assert_eq!(counter.hear(at(4_000_000), tmst(101_000_000)), Heard::Restarted { by_us: -2_999_800 });
        assert_eq!(
            counter.at(at(4_000_000), at(4_000_000)),
            Some(ConcentratorTime { session: 1, us: 101_000_000 })
        );
    }

    #[test]
    fn a_backlog_that_is_read_at_once_or_in_seconds_changes_nothing() {
        for each_us in [10, 5_000, 100_000] {
            let mut counter = Counter::default();
            counter.hear(at(0), tmst(3_000_000_000));
            counter.hear(at(5_000_000), tmst(3_005_000_000));
            // 30 s of uplinks, one each 200 ms, are read from 35 s on.
            for n in 0..150 {
                let (received, heard) = (35_000_000 + n * each_us, 5_200_000 + n * 200_000);
                let said = counter.hear(at(received), tmst(3_000_000_000 + heard));
                assert!(matches!(said, Heard::Late | Heard::Fits), "{said:?} at {heard}, each {each_us} us");
            }
            assert_eq!(counter.hear(at(60_000_000), tmst(3_060_000_000)), Heard::Fits);
            assert_eq!(counter.session(), 0);
        }
    }

    #[test]
    fn a_backlog_after_our_own_start_is_corrected_without_a_word() {
        let mut counter = Counter::default();
        assert_eq!(counter.hear(at(0), tmst(0)), Heard::Fits);
        for n in 1..30 {
            assert_eq!(counter.hear(at(n * 10), tmst(n * 1_000_000)), Heard::Corrected);
        }
        assert_eq!(counter.at(at(300), at(300)).unwrap().us, 29_000_010);
    }

    #[test]
    fn a_counter_near_zero_that_no_delay_explains_is_a_restart_at_once() {
        let mut counter = Counter::default();
        for second in 0..100 {
            counter.hear(at(second * 1_000_000), tmst(500_000_000 + second * 1_000_000));
        }
        assert_eq!(counter.hear(at(103_000_000), tmst(2_000_000)), Heard::Restarted { by_us: -600_999_800 });
        let mut young = Counter::default();
        young.hear(at(0), tmst(10_000_000));
        young.hear(at(5_000_000), tmst(15_000_000));
        assert_eq!(young.hear(at(35_000_000), tmst(15_500_000)), Heard::Late, "30 s of silence explain it");
    }

    #[test]
    fn a_sample_ahead_is_a_restart_even_if_the_new_counter_is_close() {
        let mut counter = Counter::default();
        counter.hear(at(0), tmst(100_000_000));
        assert_eq!(counter.hear(at(1_000_000), tmst(101_049_000)), Heard::Fits);
        assert_eq!(counter.hear(at(2_000_000), tmst(102_100_000)), Heard::Restarted { by_us: 51_050 });
        assert_eq!(counter.session(), 1);
    }

    #[test]
    fn an_estimate_without_uplinks_is_of_no_use_after_five_minutes() {
        let mut counter = Counter::default();
        counter.hear(at(0), tmst(0));
        assert_eq!(counter.useless_at(), Some(at(300_000_000)));
        assert_eq!(counter.error_us(at(299_999_999)), Some(29_999));
        assert_eq!(counter.error_us(at(300_000_000)), None);
        assert_eq!(counter.at(at(300_000_000), at(300_000_000)), None);
        // The same run of the counter is known again, wraps and all.
        let later = 3 * WRAP_US + 17;
        assert_eq!(counter.hear(at(later), tmst(later)), Heard::Fits);
        assert_eq!(
            counter.at(at(later), at(later)).unwrap(),
            ConcentratorTime { session: 0, us: later as u64 }
        );
    }

    #[test]
    fn a_sample_that_ages_away_leaves_the_next_best() {
        let mut counter = Counter::default();
        counter.hear(at(0), tmst(100_000_000));
        counter.hear(at(200_000_000), tmst(300_000_000 - 30_000));
        assert_eq!(counter.at(at(250_000_000), at(250_000_000)).unwrap().us, 350_000_000 - 12_500);
        assert_eq!(counter.at(at(350_000_000), at(350_000_000)).unwrap().us, 450_000_000 - 30_000 - 7_500);
        assert_eq!(counter.error_us(at(350_000_000)), Some(22_500));
    }

    #[test]
    fn the_number_of_samples_is_bounded() {
        let mut counter = Counter::default();
        for second in 0..1000 {
            // Each a little worse than drift explains, so that none makes another needless.
            counter.hear(at(second * 1_000_000), tmst(second * 1_000_000 - second * 60));
        }
        assert_eq!(counter.samples.len(), MAX_SAMPLES);
    }
}
