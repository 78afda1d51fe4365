//! Tokens of our requests.

/// All 65536 tokens in an order of our own before one comes again: an answer to somebody else's request, or to
/// one of an earlier life, seldom fits.
#[derive(Debug)]
pub(super) struct Tokens {
    next: u16,
    factor: u16,
}

impl Tokens {
    pub fn new(seed: u64) -> Self {
        Tokens { next: (seed >> 16) as u16, factor: seed as u16 | 1 }
    }

    pub fn next(&mut self) -> u16 {
        let token = self.next.wrapping_mul(self.factor);
        self.next = self.next.wrapping_add(1);
        token
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_token_comes_again_before_all_have_come() {
        for seed in [0, 1, 0x1234_5678_9ABC_DEF0, u64::MAX] {
            let mut tokens = Tokens::new(seed);
            let seen: BTreeSet<u16> = (0..=u16::MAX).map(|_| tokens.next()).collect();
            assert_eq!(seen.len(), 1 << 16);
        }
    }
}
