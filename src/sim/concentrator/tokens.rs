//! The forwarder's tokens. It never seeds `rand()`, so they are the same after every start: 0x67c6 first.

const ROUND: usize = 31;
const LAG: usize = 3;
const WARM_UP: usize = 310;

/// The C library's additive generator with its default seed 1, shared by both directions.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    ring: [u32; ROUND],
    at: usize,
}

impl Tokens {
    pub(super) fn new() -> Self {
        let mut seed = 1_u64;
        let ring = [(); ROUND].map(|()| {
            let here = seed as u32;
            seed = seed * 16_807 % 2_147_483_647;
            here
        });
        let mut tokens = Tokens { ring, at: 0 };
        for _ in 0..WARM_UP {
            tokens.rand();
        }
        tokens
    }

    /// Two draws: the high byte, then the low one.
    pub(super) fn draw(&mut self) -> u16 {
        let high = self.rand() as u8;
        let low = self.rand() as u8;
        u16::from_be_bytes([high, low])
    }

    fn rand(&mut self) -> u32 {
        let to = (self.at + LAG) % ROUND;
        self.ring[to] = self.ring[to].wrapping_add(self.ring[self.at]);
        self.at = (self.at + 1) % ROUND;
        self.ring[to] >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_draws_are_those_of_an_unseeded_c_program() {
        let mut tokens = Tokens::new();
        assert_eq!(
            [tokens.rand(), tokens.rand(), tokens.rand()],
            [1_804_289_383, 846_930_886, 1_681_692_777]
        );
        assert_eq!(Tokens::new().draw(), 0x67c6);
    }
}
