//! Binomial distributions, cut off where their probabilities are negligible.

/// Probabilities below this part of the greatest one are left out.
const NEGLIGIBLE: f64 = 1e-15;

/// Distribution of how many of n independent events happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Binomial {
    first: u32,
    weights: Vec<f64>,
    /// For each number, the probability of that number or a greater one.
    from: Vec<f64>,
}

impl Binomial {
    /// The distribution for `n` events, each with `probability` (0..=1).
    pub fn new(n: u32, probability: f64) -> Binomial {
        if probability <= 0.0 || n == 0 {
            return Binomial::certainly(0);
        }
        if probability >= 1.0 {
            return Binomial::certainly(n);
        }
        // From the most likely number to both sides; the sum is known to be 1, so no factorial is needed.
        let odds = probability / (1.0 - probability);
        let mode = ((f64::from(n) + 1.0) * probability).floor().min(f64::from(n)) as u32;
        let mut below = Vec::new();
        let mut weight = 1.0;
        for k in (1..=mode).rev() {
            weight *= f64::from(k) / (f64::from(n - k + 1) * odds);
            if weight < NEGLIGIBLE {
                break;
            }
            below.push(weight);
        }
        let first = mode - below.len() as u32;
        let mut weights: Vec<f64> = below.into_iter().rev().collect();
        weights.push(1.0);
        weight = 1.0;
        for k in mode..n {
            weight *= f64::from(n - k) * odds / f64::from(k + 1);
            if weight < NEGLIGIBLE {
                break;
            }
            weights.push(weight);
        }
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let mut from = weights.clone();
        for at in (1..from.len()).rev() {
            from[at - 1] += from[at];
        }
        Binomial { first, weights, from }
    }

    fn certainly(first: u32) -> Binomial {
        Binomial { first, weights: vec![1.0], from: vec![1.0] }
    }

    /// The numbers with more than negligible probability, ascending, with their probabilities.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f64)> {
        (self.first..).zip(self.weights.iter().copied())
    }

    /// The probability of exactly `k`.
    pub fn exactly(&self, k: u32) -> f64 {
        k.checked_sub(self.first).and_then(|at| self.weights.get(at as usize)).copied().unwrap_or(0.0)
    }

    /// The probability of `k` or more.
    pub fn at_least(&self, k: u32) -> f64 {
        let at = (k.saturating_sub(self.first) as usize).min(self.weights.len());
        self.from.get(at).copied().unwrap_or(0.0)
    }

    /// The least number that, together with all smaller ones, has the probability `part` (0..=1); for 1 the
    /// greatest number with more than negligible probability.
    pub fn quantile(&self, part: f64) -> u32 {
        let above = self.from.partition_point(|from| *from > 1.0 - part);
        let last = self.weights.len() as u32 - 1;
        self.first + (above as u32).saturating_sub(1).min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_distribution_is_the_schoolbook_one() {
        let binomial = Binomial::new(4, 0.25);
        for (k, expected) in [(0, 81.0), (1, 108.0), (2, 54.0), (3, 12.0), (4, 1.0)] {
            assert!((binomial.exactly(k) - expected / 256.0).abs() < 1e-12, "{k}");
        }
        assert!((binomial.at_least(3) - 13.0 / 256.0).abs() < 1e-12);
    }

    #[test]
    fn a_quantile_has_its_part_of_the_distribution_up_to_itself() {
        // 0.316, 0.738, 0.949, 0.996, 1 up to 0, 1, 2, 3, 4.
        let binomial = Binomial::new(4, 0.25);
        for (part, expected) in
            [(0.0, 0), (0.3, 0), (0.32, 1), (0.73, 1), (0.75, 2), (0.97, 3), (0.999, 4), (1.0, 4)]
        {
            assert_eq!(binomial.quantile(part), expected, "{part}");
        }
    }

    #[test]
    fn the_edges_are_certain() {
        assert_eq!(Binomial::new(9, 0.0).exactly(0), 1.0);
        assert_eq!(Binomial::new(9, 1.0).exactly(9), 1.0);
        assert_eq!(Binomial::new(0, 0.5).at_least(1), 0.0);
    }

    #[test]
    fn a_large_distribution_has_its_mean_and_its_sum() {
        let binomial = Binomial::new(16_383, 0.3);
        let mean: f64 = binomial.iter().map(|(k, weight)| f64::from(k) * weight).sum();
        assert!((mean - 4914.9).abs() < 1e-6, "{mean}");
        assert!((binomial.at_least(0) - 1.0).abs() < 1e-12);
    }
}
