//! What a device that is known to miss fragments still needs.

use super::binomial::Binomial;
use super::completion::EXCESS_MAX;
use super::search::least;
use crate::fragment::MAX_FRAGMENTS;

/// The smallest number of fresh coded fragments with which a device that misses `missing` independent ones completes
/// with the probability `wanted` (below 1), losing each frame with `loss` (0 to 1), independently. Lines are taken as
/// random ones. At most [`MAX_FRAGMENTS`], which is also the answer where no number does.
pub fn coded_to_complete(missing: u16, loss: f64, wanted: f64) -> u16 {
    if missing == 0 {
        return 0;
    }
    let missing = u32::from(missing);
    // So many random lines more than columns have full rank: (1 - 2^-(excess+1)) ... (1 - 2^-(excess+columns)).
    let columns = missing.min(64);
    let full_rank = |excess: u32| (1..=columns).map(|i| 1.0 - 0.5_f64.powi((i + excess) as i32)).product();
    let full_ranks: Vec<f64> = (0..EXCESS_MAX).map(full_rank).collect();
    let suffices = |coded: u16| {
        let heard = Binomial::new(u32::from(coded), 1.0 - loss);
        let enough = |(heard_of_them, enough): (u32, &f64)| heard.exactly(heard_of_them) * enough;
        let mended = (missing..).zip(&full_ranks).map(enough).sum::<f64>();
        mended + heard.at_least(missing + EXCESS_MAX) >= wanted
    };
    least(missing.min(u32::from(MAX_FRAGMENTS)) as u16, MAX_FRAGMENTS, suffices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_more_than_the_missing_ones_do_and_losses_are_added() {
        assert_eq!(coded_to_complete(0, 0.3, 0.9), 0);
        // One of n random lines over one column is 1 with 1 - 2^-n: 4 for nine in ten.
        assert_eq!(coded_to_complete(1, 0.0, 0.9), 4);
        // Three beyond many columns do in 88 of 100 cases, four in 94.
        assert_eq!(coded_to_complete(100, 0.0, 0.9), 104);
        // 72 of 100 come in half of the cases where 28 in 100 are lost; a deviation of 4.5 more for nine in ten.
        let lossy = coded_to_complete(70, 0.28, 0.9);
        assert!((104..=112).contains(&lossy), "{lossy}");
        assert_eq!(coded_to_complete(1, 1.0, 0.9), MAX_FRAGMENTS);
    }
}
