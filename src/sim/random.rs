//! Random numbers from a seed: xoshiro256** seeded by SplitMix64, integers only.

/// A small seeded generator. Every actor of the world gets its own by [`Random::split`], so that one more
/// actor does not change what the others draw.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: [u64; 4],
}

impl Random {
    /// The generator that `seed` stands for; every seed is good, zero included.
    pub fn new(seed: u64) -> Self {
        let mut walk = seed;
        let state = [(); 4].map(|()| split_mix(&mut walk));
        Random { seed, state }
    }

    /// The generator of the actor `label`. It depends on this generator's seed and on `label` only, neither
    /// on what was drawn nor on what was split off before; the same label twice gives the same generator twice.
    pub fn split(&mut self, label: u64) -> Random {
        let mut walk = label;
        let mut mixed = self.seed.rotate_left(32) ^ split_mix(&mut walk);
        Random::new(split_mix(&mut mixed))
    }

    /// 64 even bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let answer = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let c = c ^ a;
        let d = d ^ b;
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        answer
    }

    /// Evenly one of `0..n`; zero when `n` is zero.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // Multiply and keep the high half; the few low halves that would favour some answers are drawn anew.
        let unfair = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            if wide as u64 >= unfair {
                return (wide >> 64) as u64;
            }
        }
    }

    /// True `ppm` times in a million.
    pub fn chance_ppm(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }

    /// Evenly one of `low..=high`; `low` when `high` is not above it.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        match high.saturating_sub(low).checked_add(1) {
            Some(n) => low + self.below(n),
            None => self.next_u64(),
        }
    }

    /// A waiting time whose mean is `mean`, as between events that know nothing of each other (an exponential
    /// distribution). Von Neumann's way: comparisons only, so that it is the same on every machine.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let mut whole = 0_u64;
        loop {
            let first = self.next_u64();
            let (mut last, mut run) = (first, 1_u32);
            loop {
                let next = self.next_u64();
                if next >= last {
                    break;
                }
                (last, run) = (next, run + 1);
            }
            if run % 2 == 1 {
                let part = (u128::from(first) * u128::from(mean)) >> 64;
                return whole.saturating_mul(mean).saturating_add(part as u64);
            }
            whole += 1;
        }
    }
}

fn split_mix(walk: &mut u64) -> u64 {
    *walk = walk.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*walk ^ (*walk >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_is_the_published_split_mix() {
        let mut walk = 1_234_567;
        assert_eq!(split_mix(&mut walk), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut walk), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_generator_is_the_published_xoshiro() {
        let mut random = Random { seed: 0, state: [1, 2, 3, 4] };
        let drawn = [(); 6].map(|()| random.next_u64());
        assert_eq!(
            drawn,
            [
                11520,
                0,
                1_509_978_240,
                1_215_971_899_390_074_240,
                1_216_172_134_540_287_360,
                607_988_272_756_665_600
            ]
        );
    }

    #[test]
    fn one_more_actor_does_not_change_what_the_others_draw() {
        let mut world = Random::new(7);
        let alone = world.split(3).next_u64();
        world.next_u64();
        assert_ne!(world.split(2).next_u64(), alone);
        assert_eq!(world.split(3).next_u64(), alone);
        assert_ne!(Random::new(8).split(3).next_u64(), alone);
    }

    #[test]
    fn below_is_even_and_stays_below() {
        let mut random = Random::new(1);
        let mut hits = [0_u32; 7];
        for _ in 0..70_000 {
            hits[random.below(7) as usize] += 1;
        }
        assert!(hits.iter().all(|&n| (9_600..10_400).contains(&n)), "{hits:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn a_chance_of_a_tenth_is_a_tenth() {
        let mut random = Random::new(2);
        let hits = (0..100_000).filter(|_| random.chance_ppm(100_000)).count();
        assert!((9_600..10_400).contains(&hits), "{hits}");
        assert!(!random.chance_ppm(0));
        assert!(random.chance_ppm(1_000_000));
    }

    #[test]
    fn a_range_holds_both_its_ends() {
        let mut random = Random::new(3);
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| random.range(4, 6)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!(random.range(9, 2), 9);
        random.range(0, u64::MAX);
    }

    #[test]
    fn waiting_times_are_exponential() {
        let mut random = Random::new(4);
        let drawn: Vec<u64> = (0..200_000).map(|_| random.exponential(1_000_000)).collect();
        let mean = drawn.iter().sum::<u64>() / drawn.len() as u64;
        assert!((990_000..1_010_000).contains(&mean), "{mean}");
        // Of 1: e^-1 = 0.3679 wait longer than the mean, e^-3 = 0.0498 longer than three times the mean.
        for (more_than, share) in [(1_000_000, 73_576), (3_000_000, 9_957)] {
            let longer = drawn.iter().filter(|us| **us > more_than).count();
            assert!(longer.abs_diff(share) < share / 20, "{longer}");
        }
        assert_eq!(random.exponential(0), 0);
    }
}
