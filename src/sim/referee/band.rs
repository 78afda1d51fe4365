//! Time on air in sliding windows, exact (EN 300 220-1, duty cycle: cumulative on-time in the observation interval).

use std::collections::VecDeque;

use crate::region::SubBand;
use crate::time::Instant;

/// `duty_ppm` from which on a sub-band has no limit.
const WHOLE_PPM: u32 = 1_000_000;

/// What was radiated in one sub-band.
#[derive(Debug)]
pub(super) struct Band {
    pub(super) sub_band: &'static SubBand,
    pub(super) window: SlidingWindow,
}

impl Band {
    pub(super) fn new(sub_band: &'static SubBand) -> Self {
        Band { sub_band, window: SlidingWindow::new(sub_band.window_us) }
    }

    /// The most microseconds any window may hold; `None` without a limit.
    pub(super) fn budget_us(&self) -> Option<u64> {
        let SubBand { duty_ppm, window_us, .. } = *self.sub_band;
        // On-time is whole microseconds: cutting the fraction off a budget forbids nothing that is legal.
        (duty_ppm < WHOLE_PPM).then(|| window_us * u64::from(duty_ppm) / u64::from(WHOLE_PPM))
    }

    /// Whether the occupied bandwidth lies strictly inside: an edge that equals a border does not.
    pub(super) fn holds(&self, frequency_hz: u32, bandwidth_hz: u32) -> bool {
        // In halves of a hertz, so that half of an odd bandwidth is exact.
        let centre = 2 * u64::from(frequency_hz);
        let reach = u64::from(bandwidth_hz);
        2 * u64::from(self.sub_band.min_hz) + reach < centre
            && centre + reach < 2 * u64::from(self.sub_band.max_hz)
    }

    /// How long nothing was on the air here before `at`, in microseconds; `None` when nothing ever
    /// was, or something is.
    pub(super) fn silence_us(&self, at: Instant) -> Option<u64> {
        self.window.busy_until.filter(|&end| end <= at).map(|end| at.us_since(end))
    }

    /// How far a centre frequency is from this sub-band, in Hz.
    pub(super) fn distance_hz(&self, frequency_hz: u32) -> u32 {
        frequency_hz.abs_diff(frequency_hz.clamp(self.sub_band.min_hz, self.sub_band.max_hz))
    }
}

/// The on-time in every window of one length, streamed.
///
/// A window that slides to the right gains where its right edge is on the air and loses where its left edge
/// is. So it can stop gaining before it begins to lose only where the right edge leaves the air: the fullest
/// window of all ends with some transmission. It is enough to look at those. The queue holds what touches the
/// latest one; physics bounds it, because its entries do not overlap and none is shorter than a frame.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    window_us: u64,
    /// Start and end of what the radio sent, ascending and disjoint.
    on: VecDeque<(Instant, Instant)>,
    /// Sum of all entries of `on`.
    queued_us: u64,
    busy_until: Option<Instant>,
    total_us: u64,
    worst_us: u64,
}

impl SlidingWindow {
    fn new(window_us: u64) -> Self {
        SlidingWindow {
            window_us,
            on: VecDeque::new(),
            queued_us: 0,
            busy_until: None,
            total_us: 0,
            worst_us: 0,
        }
    }

    /// Takes in a transmission, not before the previous one, and answers the on-time in microseconds of the
    /// window that ends with it. A moment that two transmissions share counts once.
    pub(super) fn add(&mut self, start: Instant, end: Instant) -> u64 {
        let start = self.busy_until.map_or(start, |busy_until| busy_until.max(start));
        let end = end.max(start);
        self.busy_until = Some(end);
        if start < end {
            self.on.push_back((start, end));
            self.queued_us += end.us_since(start);
            self.total_us = self.total_us.saturating_add(end.us_since(start));
        }

        let window_start = end.minus_us(self.window_us);
        while let Some(&(first_start, first_end)) = self.on.front()
            && first_end <= window_start
        {
            self.queued_us -= first_end.us_since(first_start);
            self.on.pop_front();
        }
        let cut_us = self.on.front().map_or(0, |&(first_start, _)| window_start.us_since(first_start));
        let used_us = self.queued_us - cut_us;
        self.worst_us = self.worst_us.max(used_us);
        used_us
    }

    /// On-time since the beginning, in microseconds.
    pub(super) fn total_us(&self) -> u64 {
        self.total_us
    }

    /// On-time of the fullest window so far, in microseconds.
    pub(super) fn worst_us(&self) -> u64 {
        self.worst_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(us: i64) -> Instant {
        Instant::from_us(us)
    }

    /// Slides over a drawing of the air, one pixel a microsecond.
    fn fullest_window(frames: &[(i64, i64)], window_us: usize) -> u64 {
        let end = frames.iter().map(|&(_, end)| end).max().unwrap_or(0);
        let margin = window_us as i64;
        let air: Vec<bool> = (-margin..end + margin)
            .map(|us| frames.iter().any(|&(start, end)| (start..end).contains(&us)))
            .collect();
        air.windows(window_us).map(|window| window.iter().filter(|&&on| on).count() as u64).max().unwrap()
    }

    proptest! {
        #[test]
        fn the_fullest_window_is_what_a_drawing_of_the_air_shows(
            gaps_and_lengths in prop::collection::vec((0_i64..40, 1_i64..30), 1..40),
            window_us in 1_usize..120,
        ) {
            let mut frames = Vec::new();
            let mut now = 0;
            for (gap, length) in gaps_and_lengths {
                frames.push((now + gap, now + gap + length));
                now += gap + length;
            }
            let mut window = SlidingWindow::new(window_us as u64);
            for &(start, end) in &frames {
                window.add(at(start), at(end));
            }
            prop_assert_eq!(window.worst_us(), fullest_window(&frames, window_us));
            prop_assert_eq!(window.total_us(), frames.iter().map(|&(start, end)| (end - start) as u64).sum::<u64>());
        }

        #[test]
        fn it_is_also_when_transmissions_overlap(
            steps_and_lengths in prop::collection::vec((0_i64..20, 1_i64..40), 1..40),
            window_us in 1_usize..120,
        ) {
            let mut frames = Vec::new();
            let mut start = 0;
            for (step, length) in steps_and_lengths {
                start += step;
                frames.push((start, start + length));
            }
            let mut window = SlidingWindow::new(window_us as u64);
            for &(start, end) in &frames {
                window.add(at(start), at(end));
            }
            prop_assert_eq!(window.worst_us(), fullest_window(&frames, window_us));
        }
    }

    #[test]
    fn a_transmission_counts_with_the_part_that_is_inside_the_window() {
        let mut window = SlidingWindow::new(100);
        assert_eq!(window.add(at(0), at(30)), 30);
        assert_eq!(window.add(at(90), at(110)), 40);
        assert_eq!(window.add(at(129), at(130)), 21);
        assert_eq!(window.add(at(500), at(900)), 100);
        assert_eq!((window.worst_us(), window.total_us()), (100, 451));
    }

    #[test]
    fn only_what_touches_the_window_is_kept() {
        let mut window = SlidingWindow::new(1000);
        for k in 0..100_000 {
            window.add(at(k * 50), at(k * 50 + 5));
            assert!(window.on.len() <= 21);
        }
        assert_eq!(window.worst_us(), 100);
    }
}
