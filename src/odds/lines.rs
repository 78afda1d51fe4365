//! The parity lines of a real code, and how many of them it takes to repair a set of losses.

use crate::fragment::Layout;
use crate::fragment::ParityMatrix;
use crate::fragment::Ts004Version;

/// Lost fragments up to which real parity lines are sampled; above it a formula is used.
pub const SAMPLED_LOSSES_MAX: u16 = 256;
const ROW_WORDS: usize = SAMPLED_LOSSES_MAX as usize / 64;

/// The parity lines of one code, drawn when they are first asked for, with a random generator of fixed seed.
#[derive(Clone, Debug)]
pub struct Lines {
    matrix: ParityMatrix,
    nb_frag: u16,
    lines: Vec<u64>,
    /// Columns of all uncoded fragments but the last, in random order.
    columns: Vec<u16>,
    luck: u64,
    rank: Rank,
}

impl Lines {
    /// The parity lines over the `NbFrag` uncoded fragments of `layout`.
    pub fn new(layout: Layout, version: Ts004Version) -> Lines {
        let nb_frag = layout.nb_frag();
        Lines {
            matrix: ParityMatrix::new(layout, version),
            nb_frag,
            lines: Vec::new(),
            columns: (0..nb_frag - 1).collect(),
            luck: 1,
            rank: Rank::default(),
        }
    }

    /// Loses `lost` fragments by luck, the last one among them or not, and hears lines in the order that `next`
    /// gives (0 is the first; `None` ends it) until they mend the losses; how many that takes.
    pub fn needed(
        &mut self,
        lost: u16,
        with_last: bool,
        mut next: impl FnMut(&mut Luck) -> Option<u16>,
    ) -> Option<u16> {
        let mut luck = Luck(self.luck);
        let others = usize::from(lost) - usize::from(with_last);
        for at in 0..others {
            let other = at + luck.below(self.columns.len() - at);
            self.columns.swap(at, other);
        }
        self.rank.reset(lost);
        let words = self.matrix.line_words();
        let mut heard = 0;
        let mut answer = None;
        while let Some(n) = next(&mut luck) {
            heard += 1;
            while self.lines.len() <= usize::from(n) * words {
                let from = self.lines.len();
                self.lines.resize(from + words, 0);
                self.matrix.line((from / words + 1) as u16, &mut self.lines[from..]);
            }
            let line = &self.lines[usize::from(n) * words..][..words];
            let bit = |column: u16| line[usize::from(column / 64)] >> (column % 64) & 1;
            let mut row = [0; ROW_WORDS];
            for (at, column) in self.columns[..others].iter().enumerate() {
                row[at / 64] |= bit(*column) << (at % 64);
            }
            if with_last {
                row[others / 64] |= bit(self.nb_frag - 1) << (others % 64);
            }
            if self.rank.add(row) == lost {
                answer = Some(heard);
                break;
            }
        }
        self.luck = luck.0;
        answer
    }
}

/// SplitMix64, a pseudo-random generator of 64-bit state (Steele, Lea and Flood 2014).
pub struct Luck(u64);

impl Luck {
    /// A number in `0..n`, close enough to uniform.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.draw()) * n as u128) >> 64) as usize
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64 <= probability
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Independent rows over GF(2), each stored under its highest bit.
#[derive(Clone, Debug, Default)]
struct Rank {
    rows: Vec<[u64; ROW_WORDS]>,
    rank: u16,
    words: usize,
}

impl Rank {
    fn reset(&mut self, columns: u16) {
        self.rows.clear();
        self.rows.resize(usize::from(columns), [0; ROW_WORDS]);
        self.rank = 0;
        self.words = usize::from(columns).div_ceil(64);
    }

    /// Adds a row and returns the rank of all rows added.
    fn add(&mut self, mut row: [u64; ROW_WORDS]) -> u16 {
        for word in (0..self.words).rev() {
            while row[word] != 0 {
                let top = &mut self.rows[word * 64 + row[word].ilog2() as usize];
                if top[word] == 0 {
                    *top = row;
                    self.rank += 1;
                    return self.rank;
                }
                for (to, from) in row[..=word].iter_mut().zip(&*top) {
                    *to ^= from;
                }
            }
        }
        self.rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(nb_frag: usize, version: Ts004Version) -> Lines {
        Lines::new(Layout::new(nb_frag, 1).unwrap(), version)
    }

    fn in_order(count: u16) -> impl FnMut(&mut Luck) -> Option<u16> {
        let mut lines = 0..count;
        move |_| lines.next()
    }

    #[test]
    fn lines_of_a_single_fragment_are_empty_and_mend_nothing() {
        assert_eq!(lines(1, Ts004Version::V1).needed(1, true, in_order(100)), None);
    }

    #[test]
    fn no_fewer_lines_than_losses_mend_them() {
        let mut lines = lines(300, Ts004Version::V2);
        for lost in [1, 2, 63, 64, 65, 128, 200, 256] {
            let needed = lines.needed(lost, false, in_order(1000)).unwrap();
            assert!((lost..lost + 20).contains(&needed), "{lost}: {needed}");
            assert_eq!(lines.needed(lost, true, in_order(lost - 1)), None);
        }
    }

    /// Floor(M/2) is even: so is the weight of every line, and the sum of all columns is nothing.
    #[test]
    fn version_2_lines_of_even_weight_never_mend_the_loss_of_everything() {
        assert_eq!(lines(20, Ts004Version::V2).needed(20, true, in_order(1000)), None);
        assert!(lines(20, Ts004Version::V1).needed(20, true, in_order(1000)).is_some());
        assert!(lines(22, Ts004Version::V2).needed(22, true, in_order(1000)).is_some());
    }
}
