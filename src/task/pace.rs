//! When a task begins, how far apart its fragments are asked to be, and how many are added.

use crate::time::GpsTime;

/// When a campaign may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As soon as it is planned.
    AtOnce,
    /// Not before this GPS time.
    At(GpsTime),
}

/// The least distance that the task asks for from one fragment to the next; law and devices may ask for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// `FragmentIntervalMS` as it was written, in milliseconds, at least 1.
    pub requested_ms: u32,
    /// What it stands for, in microseconds, start to start.
    pub spacing_us: u64,
}

impl Interval {
    /// `FragmentIntervalMS` as the service takes it: rounded to the nearest second. A tie goes up and nothing
    /// goes to 0, on both of which AWS is silent: the longer interval is the one that harms nobody.
    pub fn rounded(requested_ms: u32) -> Interval {
        let seconds = (u64::from(requested_ms) + 500) / 1000;
        Interval { requested_ms, spacing_us: seconds.max(1) * 1_000_000 }
    }

    /// `FragmentIntervalMS` to the letter (`"Interval": "exact"`).
    pub fn exact(requested_ms: u32) -> Interval {
        Interval { requested_ms, spacing_us: u64::from(requested_ms) * 1000 }
    }
}

/// How many coded fragments `percent` % redundancy adds to `nb_frag` uncoded ones, rounded up
/// (GetFuotaTask, `RedundancyPercent`: 10 fragments and 50 % make 15 in all).
pub fn redundancy_fragments(nb_frag: u16, percent: u8) -> u32 {
    (u32::from(nb_frag) * u32::from(percent)).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_api_adds_5_fragments_to_10() {
        let nb_frag = 100_u16.div_ceil(10);
        assert_eq!(u32::from(nb_frag) + redundancy_fragments(nb_frag, 50), 15);
    }

    #[test]
    fn a_part_of_a_redundant_fragment_is_a_whole_one() {
        assert_eq!(redundancy_fragments(10, 0), 0);
        assert_eq!(redundancy_fragments(10, 1), 1);
        assert_eq!(redundancy_fragments(10, 10), 1);
        assert_eq!(redundancy_fragments(10, 11), 2);
        assert_eq!(redundancy_fragments(0, 100), 0);
        assert_eq!(redundancy_fragments(u16::MAX, u8::MAX), 167_115);
    }

    #[test]
    fn an_interval_is_rounded_to_the_nearest_second_a_tie_up_and_never_to_0() {
        for (requested_ms, seconds) in [
            (1, 1),
            (499, 1),
            (500, 1),
            (1000, 1),
            (1499, 1),
            (1500, 2),
            (1501, 2),
            (2500, 3),
            (u32::MAX, 4_294_967),
        ] {
            let interval = Interval::rounded(requested_ms);
            assert_eq!(
                interval,
                Interval { requested_ms, spacing_us: seconds * 1_000_000 },
                "{requested_ms}"
            );
        }
    }

    #[test]
    fn an_exact_interval_is_not_rounded() {
        assert_eq!(Interval::exact(1), Interval { requested_ms: 1, spacing_us: 1000 });
        assert_eq!(Interval::exact(1500).spacing_us, 1_500_000);
    }
}
