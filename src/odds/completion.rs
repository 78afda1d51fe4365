//! The probability that one device completes, and the redundancy it takes.

use super::binomial::Binomial;
use super::lines::Lines;
use super::lines::Luck;
use super::lines::SAMPLED_LOSSES_MAX;
use super::search::least;
use crate::fragment::FragmentError;
use crate::fragment::Layout;
use crate::fragment::MAX_FRAGMENTS;
use crate::fragment::Ts004Version;

/// Work that one answer may cost, in bits read; it decides the number of samples.
const WORK: u64 = 15_000_000;
/// Samples for odds, at least and at most.
const SAMPLES: (u64, u64) = (2_000, 20_000);
/// Samples for a redundancy, at least and at most: one in a thousand may fail.
const TRIALS: (u64, u64) = (4_000, 20_000);
/// Probability below which the loss of the last fragment, all repeats included, is neglected.
const RARE: f64 = 1e-4;
/// Coded fragments beyond the losses that are told apart, at most: the probability left, 2^-40, is neglected.
pub(super) const EXCESS_MAX: u32 = 40;

/// The properties of a decoder that decide its odds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// The most uncoded fragments it can solve for; `None`: as many as there are.
    pub max_lost: Option<u16>,
    /// The decoder finishes on a coded fragment only, even when nothing was lost.
    pub finishes_on_coded: bool,
}

/// The odds of one code: M uncoded fragments, the last of them repeated.
#[derive(Clone, Debug)]
pub struct Odds {
    nb_frag: u16,
    repeats: u8,
    lines: Lines,
}

impl Odds {
    /// The odds of `nb_frag` uncoded fragments, the last of them repeated `repeats` times.
    ///
    /// # Errors
    /// `nb_frag` is 0 or over [`MAX_FRAGMENTS`].
    pub fn new(nb_frag: u16, version: Ts004Version, repeats: u8) -> Result<Odds, FragmentError> {
        let layout = Layout::new(usize::from(nb_frag), 1)?;
        Ok(Odds { nb_frag, repeats, lines: Lines::new(layout, version) })
    }

    /// The probability that a device completes when it loses each frame with `loss` (0..=1), independently, and
    /// `coded` coded fragments are sent.
    pub fn completes(&mut self, coded: u16, receiver: Receiver, loss: f64) -> f64 {
        let heard = Binomial::new(u32::from(coded), 1.0 - loss);
        let (others, last) = self.losses(loss);
        if others.quantile(1.0) > u32::from(SAMPLED_LOSSES_MAX) {
            return by_formula(&others, last, &heard, receiver);
        }
        let last = if last > RARE { last } else { 0.0 };
        let samples = self.samples(loss, SAMPLES);
        let mut order: Vec<u16> = (0..coded).collect();
        let mut sum = 0.0;
        for sample in 0..samples {
            // Evenly through the distribution of losses; only which ones they are is luck.
            let others = others.quantile((sample as f64 + 0.5) / samples as f64) as u16;
            // The rarely lost last one is weighed where it weighs something.
            let with_and_without = [(false, 1.0 - last), (true, last)];
            for (with_last, weight) in with_and_without.into_iter().filter(|(_, weight)| *weight > 0.0) {
                let lost = others + u16::from(with_last);
                if lost > receiver.max_lost.unwrap_or(MAX_FRAGMENTS) {
                    continue;
                }
                let needed = match lost {
                    0 => Some(u16::from(receiver.finishes_on_coded)),
                    _ => self.lines.needed(lost, with_last, shuffled(&mut order)),
                };
                sum += weight * needed.map_or(0.0, |needed| heard.at_least(u32::from(needed)));
            }
        }
        (sum / samples as f64).min(1.0)
    }

    /// The smallest number of coded fragments with which a device completes with the probability `wanted`;
    /// `None` when no number does, because its decoder cannot hold the losses or the code has no more numbers.
    pub fn coded_needed(&mut self, receiver: Receiver, loss: f64, wanted: f64) -> Option<u16> {
        let most = MAX_FRAGMENTS - self.nb_frag;
        let (others, last) = self.losses(loss);
        if others.quantile(1.0) > u32::from(SAMPLED_LOSSES_MAX) {
            return needed_by_formula(&others, last, receiver, loss, wanted, most);
        }
        // Each trial hears the lines as they are sent and says with which of them it was complete.
        let trials = self.samples(loss, TRIALS);
        let mut completed_by: Vec<u16> = Vec::new();
        for trial in 0..trials {
            let others = others.quantile((trial as f64 + 0.5) / trials as f64) as u16;
            let is_last_lost = trial % 1000 < (last * 1000.0).round() as u64;
            let lost = others + u16::from(is_last_lost);
            if lost > receiver.max_lost.unwrap_or(MAX_FRAGMENTS) {
                continue;
            }
            if lost == 0 && !receiver.finishes_on_coded {
                completed_by.push(0);
                continue;
            }
            let mut sent = 0;
            let heard = self.lines.needed(lost, is_last_lost, |luck| {
                while sent < most {
                    sent += 1;
                    if !luck.happens(loss) {
                        return Some(sent - 1);
                    }
                }
                None
            });
            completed_by.extend(heard.map(|_| sent));
        }
        completed_by.sort_unstable();
        let rank = (wanted * trials as f64).ceil() as usize;
        completed_by.get(rank.max(1) - 1).copied()
    }

    /// How many of all uncoded fragments but the last are lost, and the probability that the last one is.
    fn losses(&self, loss: f64) -> (Binomial, f64) {
        let last = (0..=self.repeats).map(|_| loss).product();
        (Binomial::new(u32::from(self.nb_frag) - 1, loss), last)
    }

    fn samples(&self, loss: f64, (least, most): (u64, u64)) -> u64 {
        let lost = (f64::from(self.nb_frag) * loss) as u64 + 4;
        (WORK / (lost * (lost + 16))).clamp(least, most)
    }
}

/// Yields each element of `order` once, in random order.
fn shuffled(order: &mut [u16]) -> impl FnMut(&mut Luck) -> Option<u16> {
    let mut at = 0;
    move |luck| {
        let left = order.len() - at;
        if left == 0 {
            return None;
        }
        order.swap(at, at + luck.below(left));
        at += 1;
        Some(order[at - 1])
    }
}

/// The probability that a device completes by the time `coded` coded fragments were sent, when it loses each frame with
/// `loss` (0..=1), for lines as good as random ones: for pictures, as it costs no sampling.
pub fn completes_by_formula(nb_frag: u16, coded: u16, loss: f64) -> f64 {
    let Some(others) = nb_frag.checked_sub(1) else { return 0.0 };
    let receiver = Receiver { max_lost: None, finishes_on_coded: false };
    let heard = Binomial::new(u32::from(coded), 1.0 - loss);
    by_formula(&Binomial::new(u32::from(others), loss), loss, &heard, receiver).min(1.0)
}

fn by_formula(others: &Binomial, last: f64, heard: &Binomial, receiver: Receiver) -> f64 {
    let cap = receiver.max_lost.unwrap_or(MAX_FRAGMENTS);
    let both =
        others.iter().flat_map(|(lost, weight)| [(lost, weight * (1.0 - last)), (lost + 1, weight * last)]);
    let full_ranks: Vec<f64> = (0..EXCESS_MAX).map(full_rank).collect();
    let mended = |lost: u32| {
        if lost == 0 && !receiver.finishes_on_coded {
            return 1.0;
        }
        let enough = |(heard_of_them, enough): (u32, &f64)| heard.exactly(heard_of_them) * enough;
        (lost..).zip(&full_ranks).map(enough).sum::<f64>() + heard.at_least(lost + EXCESS_MAX)
    };
    both.filter(|(lost, _)| *lost <= u32::from(cap)).map(|(lost, weight)| weight * mended(lost)).sum()
}

fn needed_by_formula(
    others: &Binomial,
    last: f64,
    receiver: Receiver,
    loss: f64,
    wanted: f64,
    most: u16,
) -> Option<u16> {
    let suffices = |coded: u16| {
        by_formula(others, last, &Binomial::new(u32::from(coded), 1.0 - loss), receiver) >= wanted
    };
    suffices(most).then(|| least(0, most, suffices))
}

/// The probability that `excess` random lines more than there are columns have full rank, for many columns:
/// (1 - 2^-(excess+1)) (1 - 2^-(excess+2)) ...
fn full_rank(excess: u32) -> f64 {
    (1..=64).map(|i| 1.0 - 0.5_f64.powi((i + excess) as i32)).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Receiver = Receiver { max_lost: None, finishes_on_coded: false };

    #[test]
    fn the_formula_for_pictures_is_close_to_the_true_lines() {
        let mut odds = Odds::new(100, Ts004Version::V1, 0).unwrap();
        for (coded, loss) in [(0, 0.01), (10, 0.05), (20, 0.1), (30, 0.2), (40, 0.2)] {
            let (by_formula, true_one) =
                (completes_by_formula(100, coded, loss), odds.completes(coded, PLAIN, loss));
            assert!((by_formula - true_one).abs() < 0.08, "{coded} {loss}: {by_formula} {true_one}");
        }
        assert_eq!(completes_by_formula(0, 7, 0.1), 0.0);
        assert_eq!(completes_by_formula(50, 0, 0.0), 1.0);
    }

    fn odds(nb_frag: u16) -> Odds {
        Odds::new(nb_frag, Ts004Version::V1, 1).unwrap()
    }

    #[test]
    fn without_loss_everybody_completes_and_with_total_loss_nobody() {
        assert_eq!(odds(100).completes(0, PLAIN, 0.0), 1.0);
        assert_eq!(odds(100).completes(100, PLAIN, 1.0), 0.0);
        assert_eq!(odds(1000).completes(1000, PLAIN, 1.0), 0.0);
    }

    #[test]
    fn without_redundancy_every_fragment_must_be_heard_and_the_last_may_be_heard_twice() {
        let heard = 0.9_f64.powi(9) * (1.0 - 0.1 * 0.1);
        let odds = odds(10).completes(0, PLAIN, 0.1);
        assert!((odds - heard).abs() < 1e-3, "{odds} {heard}");
    }

    #[test]
    fn a_decoder_that_finishes_on_coded_ones_needs_one_even_without_losses() {
        let waits = Receiver { finishes_on_coded: true, ..PLAIN };
        assert_eq!(odds(10).completes(0, waits, 0.0), 0.0);
        assert_eq!(odds(10).completes(1, waits, 0.0), 1.0);
        assert!(odds(10).coded_needed(waits, 0.0, 0.999) == Some(1));
        assert!(odds(10).coded_needed(PLAIN, 0.0, 0.999) == Some(0));
    }

    #[test]
    fn a_decoder_that_can_hold_few_losses_completes_when_few_are_lost() {
        let few = Receiver { max_lost: Some(5), ..PLAIN };
        // At 10 % of 100 fragments 5 or fewer are lost in 5.8 % of the cases.
        let capped = odds(100).completes(100, few, 0.1);
        assert!((0.04..0.075).contains(&capped), "{capped}");
        assert!(odds(100).completes(100, PLAIN, 0.1) > 0.999);
        assert_eq!(odds(100).coded_needed(few, 0.1, 0.999), None);
        assert_eq!(odds(10_000).coded_needed(few, 0.1, 0.999), None);
    }

    /// Whether 28 or 30 of its lines are sent makes ten times the failures at M = 100: which lines they are counts.
    #[test]
    fn the_true_lines_of_a_small_redundancy_leave_losses_open_that_random_ones_would_close() {
        let (with_28, with_30) = (odds(100).completes(28, PLAIN, 0.1), odds(100).completes(30, PLAIN, 0.1));
        assert!((0.985..0.993).contains(&with_28), "{with_28}");
        assert!((0.9975..0.9999).contains(&with_30), "{with_30}");
    }

    #[test]
    fn the_redundancy_found_is_about_the_smallest_that_does() {
        for (nb_frag, loss) in [(10, 0.1), (21, 0.3), (100, 0.1), (1000, 0.1), (3000, 0.05), (8000, 0.2)] {
            let mut odds = odds(nb_frag);
            let needed = odds.coded_needed(PLAIN, loss, 0.999).unwrap();
            let with = odds.completes(needed, PLAIN, loss);
            let with_less = odds.completes(needed - needed.div_ceil(20), PLAIN, loss);
            assert!(with >= 0.9975, "M {nb_frag}: {needed} give {with}");
            assert!(with_less < 0.9993, "M {nb_frag}: a twentieth less than {needed} gives {with_less}");
        }
    }

    /// Where sampling ends and the formula begins, both must say the same.
    #[test]
    fn with_many_losses_the_formula_and_the_true_lines_agree() {
        for version in [Ts004Version::V1, Ts004Version::V2] {
            for (nb_frag, loss, coded) in [(1000, 0.15, 180), (2000, 0.08, 180), (600, 0.3, 260)] {
                let mut odds = Odds::new(nb_frag, version, 1).unwrap();
                let sampled = odds.completes(coded, PLAIN, loss);
                let (others, last) = odds.losses(loss);
                let heard = Binomial::new(u32::from(coded), 1.0 - loss);
                let formula = by_formula(&others, last, &heard, PLAIN);
                assert!((sampled - formula).abs() < 0.01, "{version:?} M {nb_frag}: {sampled} {formula}");
            }
        }
    }

    #[test]
    fn a_code_without_fragments_has_no_odds() {
        assert!(Odds::new(0, Ts004Version::V1, 1).is_err());
        assert!(Odds::new(16_384, Ts004Version::V1, 1).is_err());
    }
}
