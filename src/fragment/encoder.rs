//! The encoder: makes any fragment of an image on demand.

use super::layout::FragmentError;
use super::layout::Layout;
use super::matrix::ParityMatrix;
use super::matrix::Ts004Version;
use super::matrix::add_rows;

/// Makes fragment n of an image, for any n in any order: a fragment is a pure function of the image, the
/// layout, the version and n (TS004-1.0.0, DataFragment and annex "Fragmentation error coding"). Holds one parity line
/// and nothing else; no fragment is stored and making one allocates nothing.
#[derive(Clone, Debug)]
pub struct Encoder {
    layout: Layout,
    matrix: ParityMatrix,
    line: Vec<u64>,
}

impl Encoder {
    /// An encoder for images cut as `layout`, for devices of TS004 `version`.
    pub fn new(layout: Layout, version: Ts004Version) -> Encoder {
        let matrix = ParityMatrix::new(layout, version);
        Encoder { layout, matrix, line: vec![0; matrix.line_words()] }
    }

    /// Writes fragment `n` of `image` to `out`, `FragSize` bytes: the uncoded fragment for n up to `NbFrag` (the
    /// last one filled up with zeros), a coded one above.
    ///
    /// # Errors
    /// `n` is not 1 to [`MAX_FRAGMENTS`](super::MAX_FRAGMENTS), or `image` or `out` has not the layout's length.
    pub fn fragment(&mut self, image: &[u8], n: u16, out: &mut [u8]) -> Result<(), FragmentError> {
        Layout::check_number(n)?;
        self.layout.check_fragment_len(out.len())?;
        if image.len() != self.layout.len() {
            return Err(FragmentError::ImageLength { got: image.len(), len: self.layout.len() });
        }
        out.fill(0);
        match n.checked_sub(self.layout.nb_frag()) {
            None | Some(0) => {
                let rest = &image[usize::from(n - 1) * out.len()..];
                let len = rest.len().min(out.len());
                out[..len].copy_from_slice(&rest[..len]);
            }
            Some(parity) => {
                self.matrix.line(parity, &mut self.line);
                add_rows(&self.line, image, out);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncoded_fragments_are_the_image_and_zeros_after_it() {
        let layout = Layout::new(5, 2).unwrap();
        let mut encoder = Encoder::new(layout, Ts004Version::V1);
        let mut out = [9; 2];
        for (n, expected) in [(1, [1, 2]), (2, [3, 4]), (3, [5, 0])] {
            encoder.fragment(&[1, 2, 3, 4, 5], n, &mut out).unwrap();
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_fragment_is_the_same_whatever_was_made_before_it() {
        let image: Vec<u8> = (0..997_u32).map(|i| (i * 7 % 256) as u8).collect();
        let layout = Layout::new(image.len(), 10).unwrap();
        let mut used = Encoder::new(layout, Ts004Version::V2);
        let (mut out, mut again) = ([0; 10], [0xff; 10]);
        for n in [500, 1, 16_383, 100, 101, 500, 99] {
            used.fragment(&image, n, &mut out).unwrap();
            Encoder::new(layout, Ts004Version::V2).fragment(&image, n, &mut again).unwrap();
            assert_eq!(out, again, "fragment {n}");
        }
    }

    #[test]
    fn what_does_not_fit_the_layout_is_refused() {
        let mut encoder = Encoder::new(Layout::new(5, 2).unwrap(), Ts004Version::V1);
        let image = [0; 5];
        assert_eq!(encoder.fragment(&image, 0, &mut [0; 2]), Err(FragmentError::FragmentNumber { n: 0 }));
        assert_eq!(
            encoder.fragment(&image, 16_384, &mut [0; 2]),
            Err(FragmentError::FragmentNumber { n: 16_384 })
        );
        assert_eq!(
            encoder.fragment(&image, 1, &mut [0; 3]),
            Err(FragmentError::FragmentLength { got: 3, frag_size: 2 })
        );
        assert_eq!(
            encoder.fragment(&image[..4], 1, &mut [0; 2]),
            Err(FragmentError::ImageLength { got: 4, len: 5 })
        );
    }
}
