//! The decoder: rebuilds the image from the fragments that a device received (TS004-1.0.0 annex).

use super::layout::FragmentError;
use super::layout::Layout;
use super::matrix::ParityMatrix;
use super::matrix::Ts004Version;
use super::matrix::add_rows;
use super::matrix::columns;

/// State of a decoder after a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The fragments received so far do not determine the image yet.
    Incomplete {
        /// Independent fragments still needed, coded or (if lost) uncoded: `MissingFrag` of FragSessionStatusAns, TS004-1.0.0.
        missing: u16,
    },
    /// The image is complete; further fragments are ignored.
    Complete,
    /// More uncoded fragments were lost than this device can solve for. The session is over:
    /// further fragments are ignored.
    LossCapExceeded {
        /// Uncoded fragments missing when the first coded one came.
        lost: u16,
        /// The most lost uncoded fragments that this device can solve for (`max_lost`).
        cap: u16,
    },
}

/// A device's decoder (TS004-1.0.0 annex "Fragmentation error coding", decoding). It takes fragments in any order
/// and more than once, and completes as soon as those it got determine the image.
///
/// Real decoders reserve memory for a number of lost uncoded fragments and give up when more are missing as
/// the first coded fragment comes; so does this one (`max_lost`). Whoever lets coded fragments come early
/// therefore needs a larger cap: what is still to come counts as lost, though it is used when it comes.
///
/// Holds the padded image, a line of M bits and, once coded fragments come, L x L bits for L lost ones. The sum
/// that stands for a lost fragment lies in that fragment's own place in the image until it is solved.
#[derive(Clone, Debug)]
pub struct Decoder {
    layout: Layout,
    matrix: ParityMatrix,
    max_lost: u16,
    block: Vec<u8>,
    have: Vec<u64>,
    have_count: u16,
    received: u32,
    coded_used: u16,
    phase: Phase,
    line: Vec<u64>,
    sum: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Phase {
    Uncoded,
    Coded(Equations),
    Complete { lost: u16 },
    LossCapExceeded { lost: u16 },
}

impl Decoder {
    /// A decoder for images cut as `layout`, sent for TS004 `version`, that can solve for up to
    /// `max_lost` lost uncoded fragments.
    pub fn new(layout: Layout, version: Ts004Version, max_lost: u16) -> Decoder {
        let matrix = ParityMatrix::new(layout, version);
        Decoder {
            layout,
            matrix,
            max_lost,
            block: vec![0; usize::from(layout.nb_frag()) * layout.frag_size()],
            have: vec![0; matrix.line_words()],
            have_count: 0,
            received: 0,
            coded_used: 0,
            phase: Phase::Uncoded,
            line: vec![0; matrix.line_words()],
            sum: vec![0; layout.frag_size()],
        }
    }

    /// Takes fragment `n` with its `data`.
    ///
    /// # Errors
    /// `n` is not 1 to [`MAX_FRAGMENTS`](super::MAX_FRAGMENTS) or `data` is not `FragSize` bytes; the decoder
    /// is as it was.
    pub fn receive(&mut self, n: u16, data: &[u8]) -> Result<Progress, FragmentError> {
        Layout::check_number(n)?;
        self.layout.check_fragment_len(data.len())?;
        if matches!(self.phase, Phase::Complete { .. } | Phase::LossCapExceeded { .. }) {
            return Ok(self.progress());
        }
        self.received = self.received.saturating_add(1);
        match n.checked_sub(self.layout.nb_frag()) {
            None | Some(0) => self.receive_uncoded(usize::from(n - 1), data),
            Some(parity) => self.receive_coded(parity, data),
        }
        Ok(self.progress())
    }

    /// The state after the fragments received so far.
    pub fn progress(&self) -> Progress {
        match &self.phase {
            Phase::Uncoded => Progress::Incomplete { missing: self.layout.nb_frag() - self.have_count },
            Phase::Coded(equations) => Progress::Incomplete { missing: equations.missing() },
            Phase::Complete { .. } => Progress::Complete,
            Phase::LossCapExceeded { lost } => Progress::LossCapExceeded { lost: *lost, cap: self.max_lost },
        }
    }

    /// The image without its padding, once complete.
    pub fn image(&self) -> Option<&[u8]> {
        matches!(self.phase, Phase::Complete { .. }).then(|| &self.block[..self.layout.len()])
    }

    /// Fragments received until the session ended: uncoded, coded and repeated, as `NbFragReceived` of
    /// FragSessionStatusAns of TS004-1.0.0 counts them (where it has 14 bits).
    pub fn received(&self) -> u32 {
        self.received
    }

    /// Coded fragments that were independent of all fragments received before them.
    pub fn coded_used(&self) -> u16 {
        self.coded_used
    }

    /// Uncoded fragments that were missing when the first coded one came; 0 before.
    pub fn lost(&self) -> u16 {
        match &self.phase {
            Phase::Uncoded => 0,
            Phase::Coded(equations) => equations.lost.len() as u16,
            Phase::Complete { lost } | Phase::LossCapExceeded { lost } => *lost,
        }
    }

    fn receive_uncoded(&mut self, column: usize, data: &[u8]) {
        if has(&self.have, column) {
            return;
        }
        if matches!(self.phase, Phase::Coded(_)) {
            self.line.fill(0);
            set(&mut self.line, column);
            self.add_equation(data);
            return;
        }
        set(&mut self.have, column);
        self.have_count += 1;
        self.block[column * data.len()..][..data.len()].copy_from_slice(data);
        if self.have_count == self.layout.nb_frag() {
            self.phase = Phase::Complete { lost: 0 };
        }
    }

    fn receive_coded(&mut self, parity: u16, data: &[u8]) {
        if matches!(self.phase, Phase::Uncoded) {
            let lost = self.layout.nb_frag() - self.have_count;
            if lost > self.max_lost {
                self.phase = Phase::LossCapExceeded { lost };
                return;
            }
            self.phase = Phase::Coded(Equations::new(self.layout.nb_frag(), &self.have));
        }
        self.matrix.line(parity, &mut self.line);
        if self.add_equation(data) {
            self.coded_used += 1;
        }
    }

    /// Adds the equation "the fragments in `line` add up to `data`". `false` when it follows
    /// from those already there.
    fn add_equation(&mut self, data: &[u8]) -> bool {
        let Phase::Coded(equations) = &mut self.phase else {
            return false;
        };
        let Some(column) = equations.add(&mut self.line) else {
            return false;
        };
        self.sum.copy_from_slice(data);
        add_rows(&self.line, &self.block, &mut self.sum);
        self.block[column * data.len()..][..data.len()].copy_from_slice(&self.sum);
        if equations.missing() == 0 {
            equations.solve(&mut self.line, &mut self.sum, &mut self.block);
            self.phase = Phase::Complete { lost: equations.lost.len() as u16 };
        }
        true
    }
}

/// Equations over the lost fragments, in echelon form: the first one of row i, if row i exists, stands at place
/// i. The right-hand side of row i is in the block, at the i-th lost fragment.
#[derive(Clone, Debug)]
struct Equations {
    /// Columns of the lost fragments, ascending.
    lost: Vec<u16>,
    /// One bit for each lost fragment, `row_words` words a row, as many rows as lost fragments.
    rows: Vec<u64>,
    row_words: usize,
    rank: u16,
    /// The row being reduced.
    row: Vec<u64>,
}

impl Equations {
    fn new(nb_frag: u16, have: &[u64]) -> Equations {
        let lost: Vec<u16> = (0..nb_frag).filter(|&column| !has(have, usize::from(column))).collect();
        let row_words = lost.len().div_ceil(64);
        Equations { rows: vec![0; lost.len() * row_words], row: vec![0; row_words], row_words, rank: 0, lost }
    }

    fn missing(&self) -> u16 {
        self.lost.len() as u16 - self.rank
    }

    /// Reduces the equation over the columns in `line` by the rows already here. What remains becomes a new row, and
    /// the column whose place takes its right-hand side is returned; `line` then holds the columns whose places must
    /// be added to that side. `None` when nothing remains: the equation follows from the others.
    fn add(&mut self, line: &mut [u64]) -> Option<usize> {
        self.row.fill(0);
        for (i, &column) in self.lost.iter().enumerate() {
            let column = usize::from(column);
            if has(line, column) {
                clear(line, column);
                set(&mut self.row, i);
            }
        }
        let mut word = 0;
        while word < self.row_words {
            if self.row[word] == 0 {
                word += 1;
                continue;
            }
            let i = word * 64 + self.row[word].trailing_zeros() as usize;
            let stored = &mut self.rows[i * self.row_words..][..self.row_words];
            let column = usize::from(self.lost[i]);
            if !has(stored, i) {
                stored.copy_from_slice(&self.row);
                self.rank += 1;
                return Some(column);
            }
            for (to, from) in self.row[word..].iter_mut().zip(&stored[word..]) {
                *to ^= from;
            }
            set(line, column);
        }
        None
    }

    /// Turns right-hand sides in `block` into fragments, the last one first. All rows must be there; `line` and
    /// `sum` are scratch memory.
    fn solve(&self, line: &mut [u64], sum: &mut [u8], block: &mut [u8]) {
        for (i, row) in self.rows.chunks_exact(self.row_words).enumerate().rev() {
            line.fill(0);
            for later in columns(row) {
                set(line, usize::from(self.lost[later]));
            }
            debug_assert!(has(row, i), "row {i} begins at its own place");
            sum.fill(0);
            add_rows(line, block, sum);
            // The row's own place was among those added: what came out is the fragment.
            block[usize::from(self.lost[i]) * sum.len()..][..sum.len()].copy_from_slice(sum);
        }
    }
}

fn has(bits: &[u64], i: usize) -> bool {
    bits[i / 64] >> (i % 64) & 1 == 1
}

fn set(bits: &mut [u64], i: usize) {
    bits[i / 64] |= 1 << (i % 64);
}

fn clear(bits: &mut [u64], i: usize) {
    bits[i / 64] &= !(1 << (i % 64));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fragment::encoder::Encoder;

    fn image(len: usize) -> Vec<u8> {
        let mut x = 1_u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// The fragments with these numbers.
    fn fragments(
        image: &[u8],
        layout: Layout,
        version: Ts004Version,
        numbers: &[u16],
    ) -> Vec<(u16, Vec<u8>)> {
        let mut encoder = Encoder::new(layout, version);
        let make = |&n: &u16| {
            let mut data = vec![0; layout.frag_size()];
            encoder.fragment(image, n, &mut data).unwrap();
            (n, data)
        };
        numbers.iter().map(make).collect()
    }

    /// The rank of what the fragments say of the image, computed the plain way: whole lines, no order.
    fn rank(layout: Layout, version: Ts004Version, numbers: &[u16]) -> u16 {
        let matrix = ParityMatrix::new(layout, version);
        let mut basis: Vec<Vec<u64>> = Vec::new();
        for &n in numbers {
            let mut line = vec![0; matrix.line_words()];
            match n.checked_sub(layout.nb_frag()) {
                None | Some(0) => set(&mut line, usize::from(n - 1)),
                Some(parity) => matrix.line(parity, &mut line),
            }
            for other in &basis {
                let top = columns(other).last().unwrap();
                if has(&line, top) {
                    line.iter_mut().zip(other).for_each(|(to, from)| *to ^= from);
                }
            }
            if line.iter().any(|&word| word != 0) {
                basis.push(line);
            }
        }
        basis.len() as u16
    }

    #[test]
    fn without_loss_the_image_is_there_with_the_last_uncoded_fragment() {
        let image = image(23);
        let layout = Layout::new(23, 5).unwrap();
        let mut decoder = Decoder::new(layout, Ts004Version::V1, 0);
        for (n, data) in fragments(&image, layout, Ts004Version::V1, &[1, 2, 3, 4]) {
            assert_eq!(decoder.receive(n, &data), Ok(Progress::Incomplete { missing: 5 - n }));
            assert_eq!(decoder.image(), None);
        }
        let (n, data) = fragments(&image, layout, Ts004Version::V1, &[5]).remove(0);
        assert_eq!(decoder.receive(n, &data), Ok(Progress::Complete));
        assert_eq!(decoder.image(), Some(image.as_slice()));
        assert_eq!((decoder.received(), decoder.coded_used(), decoder.lost()), (5, 0, 0));
    }

    #[test]
    fn more_losses_than_the_cap_end_the_session_at_the_first_coded_fragment() {
        let image = image(100);
        let layout = Layout::new(100, 10).unwrap();
        for (cap, survives) in [(2, false), (3, true)] {
            let mut decoder = Decoder::new(layout, Ts004Version::V1, cap);
            for (n, data) in fragments(&image, layout, Ts004Version::V1, &[1, 2, 4, 5, 6, 8, 10]) {
                decoder.receive(n, &data).unwrap();
            }
            let all: Vec<u16> = (11..40).collect();
            let coded = fragments(&image, layout, Ts004Version::V1, &all);
            let first = decoder.receive(coded[0].0, &coded[0].1).unwrap();
            let over = Progress::LossCapExceeded { lost: 3, cap };
            assert_eq!(first == over, !survives, "{first:?}");
            for (n, data) in &coded[1..] {
                decoder.receive(*n, data).unwrap();
            }
            let end = if survives { Progress::Complete } else { over };
            assert_eq!((decoder.progress(), decoder.lost()), (end, 3));
            assert_eq!(decoder.image().is_some(), survives);
        }
    }

    #[test]
    fn fragments_after_the_end_change_nothing() {
        let image = image(10);
        let layout = Layout::new(10, 10).unwrap();
        let mut decoder = Decoder::new(layout, Ts004Version::V2, 5);
        decoder.receive(1, &image).unwrap();
        assert_eq!(decoder.receive(1, &[0; 10]), Ok(Progress::Complete));
        assert_eq!(decoder.receive(2, &[9; 10]), Ok(Progress::Complete));
        assert_eq!((decoder.image(), decoder.received()), (Some(image.as_slice()), 1));
    }

    #[test]
    fn a_fragment_of_the_wrong_size_or_number_is_refused() {
        let mut decoder = Decoder::new(Layout::new(100, 10).unwrap(), Ts004Version::V1, 5);
        assert_eq!(decoder.receive(0, &[0; 10]), Err(FragmentError::FragmentNumber { n: 0 }));
        assert_eq!(decoder.receive(16_384, &[0; 10]), Err(FragmentError::FragmentNumber { n: 16_384 }));
        assert_eq!(decoder.receive(1, &[0; 9]), Err(FragmentError::FragmentLength { got: 9, frag_size: 10 }));
        assert_eq!(decoder.received(), 0);
    }

    /// Only even lines exist when floor(M/2) is even: whoever heard no uncoded fragment stays one short.
    #[test]
    fn version_2_lines_of_even_weight_alone_never_complete() {
        let image = image(200);
        let layout = Layout::new(200, 10).unwrap();
        let coded: Vec<u16> = (21..400).collect();
        let mut decoder = Decoder::new(layout, Ts004Version::V2, 20);
        for (n, data) in fragments(&image, layout, Ts004Version::V2, &coded) {
            decoder.receive(n, &data).unwrap();
        }
        assert_eq!(decoder.progress(), Progress::Incomplete { missing: 1 });
        assert_eq!(decoder.receive(7, &image[60..70]), Ok(Progress::Complete));
        assert_eq!(decoder.image(), Some(image.as_slice()));
        assert_eq!(decoder.coded_used(), 19);
    }

    proptest! {
        /// A decoder must know exactly what the fragments tell, whatever their order and however often they come.
        #[test]
        fn it_completes_exactly_when_the_fragments_determine_the_image_in_any_order(
            len in 1..1500_usize,
            frag_size in 1..40_usize,
            version in prop_oneof![Just(Ts004Version::V1), Just(Ts004Version::V2)],
            heard in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
            spare in 1..40_u16,
            shuffle in any::<u16>(),
        ) {
            let image = image(len);
            let layout = Layout::new(len, frag_size).unwrap();
            let last = layout.nb_frag() + spare;
            // Most uncoded ones, and some of everything with repeats: enough or not.
            let numbers: Vec<u16> = heard
                .iter()
                .map(|index| 1 + index.index(usize::from(last)) as u16)
                .chain(1..=layout.nb_frag() * 4 / 5)
                .collect();
            let missing = layout.nb_frag() - rank(layout, version, &numbers);
            let mut ascending = fragments(&image, layout, version, &numbers);
            ascending.sort();
            let mut places: Vec<usize> = (0..ascending.len()).collect();
            places.sort_by_key(|&place| (place as u16).wrapping_mul(shuffle | 1));
            let any_order = places.iter().map(|&place| ascending[place].clone()).collect();
            for order in [any_order, ascending] {
                let mut decoder = Decoder::new(layout, version, layout.nb_frag());
                for (n, data) in &order {
                    decoder.receive(*n, data).unwrap();
                }
                if missing == 0 {
                    prop_assert_eq!(decoder.progress(), Progress::Complete);
                    prop_assert_eq!(decoder.image(), Some(image.as_slice()));
                } else {
                    prop_assert_eq!(decoder.progress(), Progress::Incomplete { missing });
                    prop_assert_eq!(decoder.image(), None);
                    prop_assert_eq!(decoder.received() as usize, order.len());
                }
            }
        }

        #[test]
        fn hostile_fragments_never_panic(
            len in 1..300_usize,
            frag_size in 1..9_usize,
            cap in 0..300_u16,
            version in prop_oneof![Just(Ts004Version::V1), Just(Ts004Version::V2)],
            hostile in proptest::collection::vec(
                (prop_oneof![any::<u16>(), 0..600_u16], proptest::collection::vec(any::<u8>(), 0..10)), 0..300,
            ),
        ) {
            let mut decoder = Decoder::new(Layout::new(len, frag_size).unwrap(), version, cap);
            for (n, mut data) in hostile {
                // Mostly the right length, or nothing would get past the door.
                if data.len() % 3 != 0 {
                    data.resize(frag_size, 0x5a);
                }
                let _ = decoder.receive(n, &data);
            }
            prop_assert!(decoder.image().is_none_or(|image| image.len() == len));
        }
    }
}
