//! What the air takes away between the gateway's antenna and a device's.

use crate::sim::random::Random;

/// How frames are lost on the way to one device. Every share is in millionths; more than a million is always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Each frame by itself.
    Random {
        /// Share of frames lost.
        ppm: u32,
    },
    /// In bursts, a model of two states by Gilbert and Elliott: before each frame the air may turn bad or good
    /// again, and either state loses frames at its own rate.
    Bursty {
        /// Chance that a burst begins before a frame.
        enter_ppm: u32,
        /// Chance that it ends before a frame.
        leave_ppm: u32,
        /// Share of frames lost inside bursts.
        lost_ppm_in_burst: u32,
        /// Share of frames lost outside.
        lost_ppm_outside: u32,
    },
}

/// The way from the gateway to one device.
#[derive(Clone, Debug)]
pub struct Channel {
    loss: Loss,
    rng: Random,
    in_burst: bool,
}

impl Channel {
    /// A way that loses frames as `loss` says, with random numbers of its own; it begins outside a burst.
    pub fn new(loss: Loss, rng: Random) -> Channel {
        Channel { loss, rng, in_burst: false }
    }

    /// Whether the next frame arrives. To be asked once a frame.
    pub fn hears(&mut self) -> bool {
        let lost_ppm = match self.loss {
            Loss::Random { ppm } => ppm,
            Loss::Bursty { enter_ppm, leave_ppm, lost_ppm_in_burst, lost_ppm_outside } => {
                let turn_ppm = if self.in_burst { leave_ppm } else { enter_ppm };
                self.in_burst ^= self.rng.chance_ppm(turn_ppm);
                if self.in_burst { lost_ppm_in_burst } else { lost_ppm_outside }
            }
        };
        !self.rng.chance_ppm(lost_ppm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: usize = 200_000;

    fn fates(loss: Loss) -> Vec<bool> {
        let mut channel = Channel::new(loss, Random::new(7));
        (0..FRAMES).map(|_| channel.hears()).collect()
    }

    fn lost_ppm(fates: &[bool]) -> usize {
        fates.iter().filter(|&&hears| !hears).count() * 1_000_000 / fates.len()
    }

    /// How many of the frames after a lost one are lost too, in millionths.
    fn lost_after_lost_ppm(fates: &[bool]) -> usize {
        let after: Vec<bool> = fates.windows(2).filter(|pair| !pair[0]).map(|pair| pair[1]).collect();
        lost_ppm(&after)
    }

    #[test]
    fn random_loss_has_its_share_and_no_memory() {
        assert_eq!(lost_ppm(&fates(Loss::Random { ppm: 0 })), 0);
        assert_eq!(lost_ppm(&fates(Loss::Random { ppm: 1_000_000 })), 1_000_000);
        let fates = fates(Loss::Random { ppm: 200_000 });
        assert!(lost_ppm(&fates).abs_diff(200_000) < 5_000, "{}", lost_ppm(&fates));
        assert!(lost_after_lost_ppm(&fates).abs_diff(200_000) < 10_000);
    }

    #[test]
    fn bursts_take_many_frames_in_a_row_and_leave_the_rest_alone() {
        let loss = Loss::Bursty {
            enter_ppm: 10_000,
            leave_ppm: 100_000,
            lost_ppm_in_burst: 900_000,
            lost_ppm_outside: 0,
        };
        let fates = fates(loss);
        // One frame in eleven lies in a burst: 0.01 / (0.01 + 0.1).
        assert!(lost_ppm(&fates).abs_diff(81_800) < 8_000, "{}", lost_ppm(&fates));
        assert!(lost_after_lost_ppm(&fates).abs_diff(810_000) < 20_000, "{}", lost_after_lost_ppm(&fates));
    }

    #[test]
    fn the_same_seed_loses_the_same_frames() {
        let loss = Loss::Random { ppm: 500_000 };
        assert_eq!(fates(loss), fates(loss));
    }
}
