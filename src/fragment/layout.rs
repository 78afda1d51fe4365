//! The cut of an image: `NbFrag`, `FragSize` and `Padding` of a fragmentation session; and this room's errors.

use thiserror::Error;

/// The highest fragment number: N has 14 bits in `DataFragment` (TS004-1.0.0), and uncoded and
/// coded fragments share them.
pub const MAX_FRAGMENTS: u16 = 16_383;

/// The largest `FragSize` the 8-bit field of `FragSessionSetupReq` can carry, in bytes (TS004-1.0.0).
pub const MAX_FRAG_SIZE: usize = 255;

/// Errors of an image's cut, a fragment's number or a received fragment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// `FragSize` must fit its 8-bit field and not be zero.
    #[error("a fragment size of {frag_size} bytes is impossible: choose 1 to {MAX_FRAG_SIZE}")]
    FragSize {
        /// The size asked for, in bytes.
        frag_size: usize,
    },
    /// The image has no bytes: there is nothing to send.
    #[error("the image is empty: nothing can be fragmented")]
    EmptyImage,
    /// The image needs more fragments of this size than there are numbers.
    #[error(
        "{len} bytes in fragments of {frag_size} are more than {MAX_FRAGMENTS} fragments: \
         use at least {smallest_frag_size} bytes a fragment"
    )]
    TooManyFragments {
        /// The image's length in bytes.
        len: usize,
        /// The size asked for, in bytes.
        frag_size: usize,
        /// The smallest size that would do, in bytes.
        smallest_frag_size: usize,
    },
    /// No fragment size is large enough for this image.
    #[error("an image of {len} bytes cannot be fragmented: one session carries at most {max} bytes")]
    ImageTooLong {
        /// The image's length in bytes.
        len: usize,
        /// The longest image a session can carry, in bytes.
        max: usize,
    },
    /// Fragment numbers start at 1 and have 14 bits.
    #[error("there is no fragment {n}: numbers are 1 to {MAX_FRAGMENTS}")]
    FragmentNumber {
        /// The number asked for or received.
        n: u16,
    },
    /// A fragment, or the room for one, is not exactly `FragSize` bytes.
    #[error("a fragment of {got} bytes in a session of {frag_size}-byte fragments: it must be exact")]
    FragmentLength {
        /// Length of the fragment given, in bytes.
        got: usize,
        /// Bytes of every fragment of the session.
        frag_size: usize,
    },
    /// The image is not the one the layout was made for.
    #[error("an image of {got} bytes where the layout was made for {len}: make a new layout")]
    ImageLength {
        /// Length of the image given, in bytes.
        got: usize,
        /// Bytes the layout was made for.
        len: usize,
    },
    /// A `DataFragment` is its 3-byte header and 1 to 255 bytes of data.
    #[error("a DataFragment of {got} bytes: it has 4 to 258")]
    MessageLength {
        /// Bytes given, the header included.
        got: usize,
    },
    /// The message is another command of TS004.
    #[error("command {cid:#04x} is not a DataFragment (0x08)")]
    NotDataFragment {
        /// The command identifier found.
        cid: u8,
    },
}

/// The cut of one image (TS004-1.0.0, FragSessionSetupReq): image length = `NbFrag` x `FragSize` - `Padding`. A value of this
/// type is always possible on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    nb_frag: u16,
    frag_size: u8,
    padding: u8,
    len: u32,
}

impl Layout {
    /// The cut of an image of `len_bytes` into fragments of `frag_size` bytes.
    ///
    /// # Errors
    /// A size that is not 1 to 255, an empty image, or an image that needs more than [`MAX_FRAGMENTS`]
    /// fragments (the error names the smallest size that would do).
    pub fn new(len_bytes: usize, frag_size: usize) -> Result<Layout, FragmentError> {
        let size = match u8::try_from(frag_size) {
            Ok(size) if size > 0 => size,
            _ => return Err(FragmentError::FragSize { frag_size }),
        };
        if len_bytes == 0 {
            return Err(FragmentError::EmptyImage);
        }
        let max_fragments = usize::from(MAX_FRAGMENTS);
        let max = max_fragments * MAX_FRAG_SIZE;
        if len_bytes > max {
            return Err(FragmentError::ImageTooLong { len: len_bytes, max });
        }
        let nb_frag = len_bytes.div_ceil(frag_size);
        if nb_frag > max_fragments {
            let smallest_frag_size = len_bytes.div_ceil(max_fragments);
            return Err(FragmentError::TooManyFragments { len: len_bytes, frag_size, smallest_frag_size });
        }
        Ok(Layout {
            nb_frag: nb_frag as u16,
            frag_size: size,
            padding: (nb_frag * frag_size - len_bytes) as u8,
            len: len_bytes as u32,
        })
    }

    /// M: how many uncoded fragments the image makes, 1 to [`MAX_FRAGMENTS`].
    pub fn nb_frag(&self) -> u16 {
        self.nb_frag
    }

    /// Bytes of every fragment, 1 to 255.
    pub fn frag_size(&self) -> usize {
        usize::from(self.frag_size)
    }

    /// Zero bytes at the end of the last uncoded fragment that are no part of the image.
    pub fn padding(&self) -> u8 {
        self.padding
    }

    /// The image's length in bytes, never zero.
    #[expect(clippy::len_without_is_empty, reason = "an empty image has no layout")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Refuses an `n` that is no fragment number: 0, or over [`MAX_FRAGMENTS`].
    pub(super) fn check_number(n: u16) -> Result<(), FragmentError> {
        if n == 0 || n > MAX_FRAGMENTS { Err(FragmentError::FragmentNumber { n }) } else { Ok(()) }
    }

    /// Refuses a length in bytes that is not the layout's `FragSize`.
    pub(super) fn check_fragment_len(&self, got: usize) -> Result<(), FragmentError> {
        let frag_size = self.frag_size();
        if got == frag_size { Ok(()) } else { Err(FragmentError::FragmentLength { got, frag_size }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_cover_the_image_and_padding_is_less_than_one() {
        for (len, frag_size, nb_frag, padding) in [
            (1, 1, 1, 0),
            (1, 255, 1, 254),
            (100, 10, 10, 0),
            (101, 10, 11, 9),
            (16_383 * 255, 255, 16_383, 0),
        ] {
            let layout = Layout::new(len, frag_size).unwrap();
            assert_eq!((layout.nb_frag(), layout.padding()), (nb_frag, padding), "{len} by {frag_size}");
            assert_eq!((layout.len(), layout.frag_size()), (len, frag_size));
        }
    }

    #[test]
    fn an_impossible_cut_is_refused_with_the_way_out() {
        assert_eq!(Layout::new(9, 0), Err(FragmentError::FragSize { frag_size: 0 }));
        assert_eq!(Layout::new(9, 256), Err(FragmentError::FragSize { frag_size: 256 }));
        assert_eq!(Layout::new(0, 9), Err(FragmentError::EmptyImage));
        assert_eq!(
            Layout::new(4_177_666, 255),
            Err(FragmentError::ImageTooLong { len: 4_177_666, max: 4_177_665 })
        );
        let refused = Layout::new(500_000, 30).unwrap_err();
        assert!(refused.to_string().ends_with("use at least 31 bytes a fragment"), "{refused}");
        assert!(Layout::new(500_000, 31).is_ok());
    }

    #[test]
    fn the_smallest_size_named_is_the_smallest_that_works() {
        for len in [16_384, 16_385, 99_999, 163_830, 163_831, 4_177_665] {
            let Err(FragmentError::TooManyFragments { smallest_frag_size, .. }) = Layout::new(len, 1) else {
                panic!("{len} bytes fit 16383 one-byte fragments");
            };
            assert!(Layout::new(len, smallest_frag_size).is_ok());
            assert!(Layout::new(len, smallest_frag_size - 1).is_err());
        }
    }
}
