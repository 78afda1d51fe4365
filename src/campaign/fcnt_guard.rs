//! The last look before a multicast frame leaves: one counter, one content. An assertion that stays on in
//! release builds, beneath the journal and the purity of frames.

use std::collections::VecDeque;

/// How many of the last frames are remembered per key.
const REMEMBERED: usize = 64;

/// The last frames that were handed over under one key.
#[derive(Clone, Debug, Default)]
pub struct FcntGuard {
    last: VecDeque<(u32, u32)>,
}

impl FcntGuard {
    /// Whether `fcnt` may carry `bytes`: it was not seen lately, or carried the same.
    pub fn admits(&mut self, fcnt: u32, bytes: &[u8]) -> bool {
        let digest = crc32c::crc32c(bytes);
        if let Some((_, known)) = self.last.iter().find(|(other, _)| *other == fcnt) {
            return *known == digest;
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back((fcnt, digest));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_may_repeat_its_bytes_but_never_carry_others() {
        let mut guard = FcntGuard::default();
        assert!(guard.admits(7, b"one"));
        assert!(guard.admits(7, b"one"));
        assert!(!guard.admits(7, b"two"));
        assert!(guard.admits(8, b"two"));
    }

    #[test]
    fn the_guard_remembers_a_bounded_number_of_frames() {
        let mut guard = FcntGuard::default();
        for fcnt in 0..1000 {
            assert!(guard.admits(fcnt, b"x"));
        }
        assert_eq!(guard.last.len(), REMEMBERED);
    }
}
