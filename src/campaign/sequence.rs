//! Which fragment frame number k carries. The numbering is frozen: frame k of a campaign has FCnt = base + k
//! for ever, so after any power cut a repeated counter repeats its bytes.

use crate::answers::Whom;

/// Positions kept for repeats of the last uncoded fragment.
pub const REPEATS: u32 = 2;
/// Coded fragments between two control positions.
const BLOCK: u32 = 32;

/// What a frame number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Uncoded fragment n (1-based).
    Uncoded(u16),
    /// The last uncoded fragment again; the argument says which repeat, 1 or 2. A device that lost the tail
    /// must be able to count its losses before the first coded frame (real decoders overrun otherwise).
    Repeat(u8),
    /// Coded fragment number r (1-based): TS004 index M + r.
    Coded(u16),
    /// Kept for a control frame; until one is sent its counter is skipped.
    Control,
}

impl Position {
    /// The fragment's number (TS004 N) in a code of `nb_frag` uncoded ones.
    pub fn fragment(self, nb_frag: u16) -> u16 {
        match self {
            Position::Uncoded(n) => n,
            Position::Coded(r) => nb_frag + r,
            Position::Repeat(_) | Position::Control => nb_frag,
        }
    }
}

/// The order of a campaign with `nb_frag` uncoded fragments: k = 0..M-1 uncoded ascending, two positions for
/// repeats of fragment M, then blocks of 32 coded fragments, each followed by one control position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    nb_frag: u16,
}

impl Sequence {
    /// The order for `nb_frag` uncoded fragments.
    pub fn new(nb_frag: u16) -> Self {
        Sequence { nb_frag }
    }

    /// What frame number `frame_no` carries.
    pub fn position(self, frame_no: u32) -> Position {
        let nb_frag = u32::from(self.nb_frag);
        if frame_no < nb_frag {
            return Position::Uncoded(narrow(frame_no + 1));
        }
        let after = frame_no - nb_frag;
        if after < REPEATS {
            return Position::Repeat(narrow(after + 1) as u8);
        }
        let (block, place) = ((after - REPEATS) / (BLOCK + 1), (after - REPEATS) % (BLOCK + 1));
        if place == BLOCK { Position::Control } else { Position::Coded(narrow(block * BLOCK + place + 1)) }
    }

    /// The frame number of coded fragment `r` (1-based).
    pub fn k_of_coded(self, r: u16) -> u32 {
        let before = u32::from(r.saturating_sub(1));
        u32::from(self.nb_frag) + REPEATS + before + before / BLOCK
    }

    /// Who is to answer the question in frame number `frame_no`, which is a control position: only devices that miss
    /// something in the first, third and so on, all in the others.
    pub fn whom(self, frame_no: u32) -> Whom {
        let control = frame_no.saturating_sub(u32::from(self.nb_frag) + REPEATS) / (BLOCK + 1);
        if control.is_multiple_of(2) { Whom::Missing } else { Whom::All }
    }

    /// The first control position from frame number `from` on whose question is for `whom`.
    pub fn question(self, from: u32, whom: Whom) -> u32 {
        let first = u32::from(self.nb_frag) + REPEATS + BLOCK;
        let control = from.saturating_sub(first).div_ceil(BLOCK + 1);
        let at = |control: u32| first + control * (BLOCK + 1);
        if self.whom(at(control)) == whom { at(control) } else { at(control + 1) }
    }

    /// The number of the first coded fragment from frame number `from` on.
    pub fn coded_from(self, from: u32) -> u32 {
        let after = from.saturating_sub(u32::from(self.nb_frag) + REPEATS);
        let (block, place) = (after / (BLOCK + 1), after % (BLOCK + 1));
        block * BLOCK + place.min(BLOCK) + 1
    }

    /// How many positions hold `coded` coded fragments, the control position after the last block included.
    pub fn len(self, coded: u16) -> u32 {
        u32::from(self.nb_frag) + REPEATS + u32::from(coded) + u32::from(coded).div_ceil(BLOCK)
    }
}

/// Frame numbers stay below 2^16 because frame counters do.
fn narrow(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbering_is_frozen() {
        let sequence = Sequence::new(100);
        assert_eq!(sequence.position(0), Position::Uncoded(1));
        assert_eq!(sequence.position(99), Position::Uncoded(100));
        assert_eq!(sequence.position(100), Position::Repeat(1));
        assert_eq!(sequence.position(101), Position::Repeat(2));
        assert_eq!(sequence.position(102), Position::Coded(1));
        assert_eq!(sequence.position(133), Position::Coded(32));
        assert_eq!(sequence.position(134), Position::Control);
        assert_eq!(sequence.position(135), Position::Coded(33));
        assert_eq!(sequence.position(167), Position::Control);
    }

    #[test]
    fn questions_alternate_and_come_at_or_after_where_they_are_looked_for() {
        let sequence = Sequence::new(100);
        let questions = |from: u32| [Whom::Missing, Whom::All].map(|whom| sequence.question(from, whom));
        assert_eq!(questions(0), [134, 167]);
        assert_eq!(questions(134), [134, 167]);
        assert_eq!(questions(135), [200, 167]);
        assert_eq!(questions(168), [200, 233]);
        assert_eq!(questions(200).map(|frame_no| sequence.position(frame_no)), [Position::Control; 2]);
        assert_eq!([102, 133, 134, 135].map(|from| sequence.coded_from(from)), [1, 32, 33, 33]);
    }

    #[test]
    fn every_coded_fragment_has_exactly_one_place() {
        for nb_frag in [1, 2, 33, 893, 8000] {
            let sequence = Sequence::new(nb_frag);
            for r in 1..=8000 {
                assert_eq!(sequence.position(sequence.k_of_coded(r)), Position::Coded(r));
            }
            assert_eq!(sequence.len(0), u32::from(nb_frag) + 2);
            assert_eq!(sequence.len(33), sequence.k_of_coded(33) + 2);
        }
    }
}
