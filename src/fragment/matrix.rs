//! The parity matrix of TS004 and its product with the data block, shared by encoder and decoder.

use super::layout::Layout;
use super::layout::MAX_FRAGMENTS;
use serde::Deserialize;
use serde::Serialize;

/// The version of the fragmentation package a device answered in `PackageVersionAns`. The two draw different
/// parity lines, so one multicast session serves devices of one version only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Ts004Version {
    /// TS004-1.0.0: a column may be drawn twice, so a line has about 0.39 M ones.
    V1,
    /// TS004-2.0.0: drawn columns are distinct, so a line has exactly floor(M/2) ones.
    V2,
}

impl Ts004Version {
    /// The `PackageVersion` of this version, 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Ts004Version::V1 => 1,
            Ts004Version::V2 => 2,
        }
    }
}

impl TryFrom<u8> for Ts004Version {
    type Error = String;

    fn try_from(number: u8) -> Result<Ts004Version, String> {
        match number {
            1 => Ok(Ts004Version::V1),
            2 => Ok(Ts004Version::V2),
            _ => Err(format!("{number} is no version of TS004: use 1 or 2")),
        }
    }
}

impl From<Ts004Version> for u8 {
    fn from(version: Ts004Version) -> u8 {
        version.number()
    }
}

/// The parity lines for M uncoded fragments (TS004-1.0.0 and TS004-2.0.0, annex "Fragmentation error coding").
/// Nothing is stored: a line is drawn when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ParityMatrix {
    nb_frag: u16,
    version: Ts004Version,
    divisor: u32,
    reciprocal: u64,
}

/// The generator's states stay below 2^24 and divisors below 2^14, so 38 bits make the reciprocal exact: its
/// rounding error, below one divisor, times any state stays below 2^38.
const RECIPROCAL_BITS: u32 = 38;

impl ParityMatrix {
    /// The matrix for the `nb_frag` uncoded fragments of `layout`.
    pub fn new(layout: Layout, version: Ts004Version) -> ParityMatrix {
        let nb_frag = layout.nb_frag();
        // The papers add one to a power of two, lest the draws repeat with the generator.
        let divisor = u32::from(nb_frag) + u32::from(nb_frag.is_power_of_two());
        let reciprocal = (1_u64 << RECIPROCAL_BITS).div_ceil(u64::from(divisor));
        ParityMatrix { nb_frag, version, divisor, reciprocal }
    }

    /// Length of a parity line in 64-bit words.
    pub fn line_words(&self) -> usize {
        usize::from(self.nb_frag).div_ceil(64)
    }

    /// Draws parity line `n`, that of fragment M + n, into `line`: column i (uncoded fragment i + 1) is bit
    /// i mod 64 of word i / 64, all other bits are cleared. `line` has [`ParityMatrix::line_words`] words and
    /// `n` is 1 to [`MAX_FRAGMENTS`].
    pub fn line(&self, n: u16, line: &mut [u64]) {
        debug_assert_eq!(line.len(), self.line_words());
        debug_assert!((1..=MAX_FRAGMENTS).contains(&n));
        line.fill(0);
        let mut state = 1 + 1001 * u32::from(n);
        let mut wanted = self.nb_frag / 2;
        while wanted > 0 {
            state = prbs23(state);
            let column = self.column(state);
            if column >= self.nb_frag {
                continue;
            }
            let word = &mut line[usize::from(column / 64)];
            let bit = 1 << (column % 64);
            wanted -= match self.version {
                Ts004Version::V1 => 1,
                Ts004Version::V2 => u16::from(*word & bit == 0),
            };
            *word |= bit;
        }
    }

    /// `state` mod divisor without a division.
    fn column(&self, state: u32) -> u16 {
        let quotient = ((u64::from(state) * self.reciprocal) >> RECIPROCAL_BITS) as u32;
        (state - quotient * self.divisor) as u16
    }
}

/// One step of the papers' generator. Seeds of n > 8380 have more than 23 bits, hence the sum, which carries,
/// and no mask: both are part of what devices compute.
fn prbs23(state: u32) -> u32 {
    (state >> 1) + (((state ^ (state >> 5)) & 1) << 22)
}

/// The columns that `line` selects, ascending.
pub(super) fn columns(line: &[u64]) -> impl Iterator<Item = usize> {
    line.iter().enumerate().flat_map(|(index, &word)| {
        let mut left = word;
        core::iter::from_fn(move || {
            let bit = left.trailing_zeros() as usize;
            left &= left.checked_sub(1)?;
            Some(index * 64 + bit)
        })
    })
}

/// Rows added in one pass, so that the sum is loaded and stored once for all of them.
const ROWS_A_PASS: usize = 8;

/// Adds (XOR) onto `sum` every row of `block` that `line` selects. Rows are `sum.len()` bytes; the last may be
/// cut short where the image ends, and counts as filled up with zeros.
pub(super) fn add_rows(line: &[u64], block: &[u8], sum: &mut [u8]) {
    let size = sum.len();
    let mut rows = [[].as_slice(); ROWS_A_PASS];
    let mut held = 0;
    for column in columns(line) {
        let rest = &block[column * size..];
        if rest.len() < size {
            add_row(rest, sum);
            continue;
        }
        rows[held] = &rest[..size];
        held += 1;
        if held == ROWS_A_PASS {
            add_eight_rows(rows, sum);
            held = 0;
        }
    }
    for row in &rows[..held] {
        add_row(row, sum);
    }
}

fn add_row(row: &[u8], sum: &mut [u8]) {
    for (to, from) in sum.iter_mut().zip(row) {
        *to ^= from;
    }
}

/// One plain loop over slices of one length: the compiler makes vector instructions of it.
fn add_eight_rows(rows: [&[u8]; ROWS_A_PASS], sum: &mut [u8]) {
    let [a, b, c, d, e, f, g, h] = rows.map(|row| &row[..sum.len()]);
    for (i, to) in sum.iter_mut().enumerate() {
        *to ^= a[i] ^ b[i] ^ c[i] ^ d[i] ^ e[i] ^ f[i] ^ g[i] ^ h[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(nb_frag: usize, version: Ts004Version) -> ParityMatrix {
        ParityMatrix::new(Layout::new(nb_frag, 1).unwrap(), version)
    }

    /// The remainder is exact if it is for the largest states, where the reciprocal's error weighs most, and
    /// around multiples of the divisor, where it would tip over.
    #[test]
    fn the_reciprocal_gives_the_same_remainder_as_a_division() {
        for nb_frag in 1..=MAX_FRAGMENTS {
            let matrix = matrix(usize::from(nb_frag), Ts004Version::V1);
            let last_multiple = (1 << 24) / matrix.divisor * matrix.divisor;
            for state in
                [1, matrix.divisor - 1, matrix.divisor, last_multiple - 1, last_multiple, (1 << 24) - 1]
            {
                assert_eq!(u32::from(matrix.column(state)), state % matrix.divisor, "{state} M {nb_frag}");
            }
        }
    }

    #[test]
    fn version_2_draws_exactly_half_the_columns_and_version_1_fewer() {
        for nb_frag in [4_usize, 10, 64, 65, 1000, 1024, 16_383] {
            for n in [1, 2, 700, MAX_FRAGMENTS] {
                let mut line = vec![u64::MAX; nb_frag.div_ceil(64)];
                matrix(nb_frag, Ts004Version::V2).line(n, &mut line);
                assert_eq!(columns(&line).count(), nb_frag / 2);
                matrix(nb_frag, Ts004Version::V1).line(n, &mut line);
                assert!(columns(&line).count() <= nb_frag / 2);
                assert!(columns(&line).all(|column| column < nb_frag));
            }
        }
    }

    /// The seed of n = 8384 is the first that carries; the foreign vectors end at 8383, whose first steps do not.
    #[test]
    fn the_generator_adds_and_carries_where_a_seed_has_more_than_23_bits() {
        let seed = 1 + 1001 * 8384;
        assert_eq!(prbs23(seed), seed / 2 + (1 << 22));
        assert!(prbs23(seed) > 1 << 23);
    }

    #[test]
    fn a_line_over_a_single_fragment_is_empty() {
        let mut line = [u64::MAX];
        matrix(1, Ts004Version::V1).line(1, &mut line);
        assert_eq!(line, [0]);
    }

    #[test]
    fn rows_are_added_eight_at_a_time_or_alone_and_a_short_last_one_too() {
        let block: Vec<u8> = (0..65 * 3 - 2).map(|i| (i * 31 % 251) as u8).collect();
        for line in [[0, 0], [1, 0], [0xff, 0], [0x5555_5555_5555_5555, 1], [u64::MAX, 1]] {
            let mut expected = [7, 8, 9];
            for column in columns(&line) {
                for (i, byte) in expected.iter_mut().enumerate() {
                    *byte ^= block.get(column * 3 + i).unwrap_or(&0);
                }
            }
            let mut sum = [7, 8, 9];
            add_rows(&line, &block, &mut sum);
            assert_eq!(sum, expected, "{line:x?}");
        }
    }

    #[test]
    fn version_numbers_are_those_of_the_package() {
        for version in [Ts004Version::V1, Ts004Version::V2] {
            assert_eq!(Ts004Version::try_from(version.number()), Ok(version));
        }
        assert!([0, 3, 255].map(Ts004Version::try_from).iter().all(Result::is_err));
    }
}
