//! `DataFragment`, the one command of TS004 that travels in the multicast frames.

use super::layout::FragmentError;
use super::layout::Layout;
use super::layout::MAX_FRAG_SIZE;
use super::layout::MAX_FRAGMENTS;

/// The command identifier of `DataFragment` (TS004-1.0.0, table of commands).
const CID: u8 = 0x08;

/// `DataFragment` (TS004-1.0.0): which session, which fragment, and the fragment. It must be alone in its
/// frame: a device would run trailing bytes as further commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFragment<'a> {
    /// The fragmentation session, 0 to 3.
    pub frag_index: u8,
    /// The fragment's number, 1 to [`MAX_FRAGMENTS`]; above `NbFrag` it is coded.
    pub n: u16,
    /// The fragment itself, exactly `FragSize` bytes.
    pub data: &'a [u8],
}

impl<'a> DataFragment<'a> {
    /// Bytes before the data: the command identifier and `Index&N`.
    pub const HEADER_LEN: usize = 3;

    /// Appends the message to `out`: CID, `Index&N` (b15:14 index, b13:0 N, little endian), data.
    pub fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(self.frag_index <= 3, "FragIndex has two bits");
        debug_assert!(Layout::check_number(self.n).is_ok(), "N has 14 bits and is not 0");
        let index_and_n = u16::from(self.frag_index & 3) << 14 | self.n & MAX_FRAGMENTS;
        out.push(CID);
        out.extend_from_slice(&index_and_n.to_le_bytes());
        out.extend_from_slice(self.data);
    }

    /// Reads a whole application payload as one `DataFragment`.
    ///
    /// # Errors
    /// Another command, no data or more than 255 bytes of it, or N = 0. Whether the data has the session's
    /// `FragSize` is for the decoder to say.
    pub fn parse(bytes: &'a [u8]) -> Result<DataFragment<'a>, FragmentError> {
        let Some((&[cid, low, high], data)) = bytes.split_first_chunk() else {
            return Err(FragmentError::MessageLength { got: bytes.len() });
        };
        if cid != CID {
            return Err(FragmentError::NotDataFragment { cid });
        }
        if data.is_empty() || data.len() > MAX_FRAG_SIZE {
            return Err(FragmentError::MessageLength { got: bytes.len() });
        }
        let index_and_n = u16::from_le_bytes([low, high]);
        let n = index_and_n & MAX_FRAGMENTS;
        Layout::check_number(n)?;
        Ok(DataFragment { frag_index: (index_and_n >> 14) as u8, n, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn index_and_number_share_sixteen_little_endian_bits() {
        let message = DataFragment { frag_index: 2, n: 0x0123, data: &[0xaa, 0xbb] };
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(bytes, [0x08, 0x23, 0x81, 0xaa, 0xbb]);
        assert_eq!(DataFragment::parse(&bytes), Ok(message));
    }

    #[test]
    fn what_is_no_data_fragment_is_refused() {
        assert_eq!(DataFragment::parse(&[]), Err(FragmentError::MessageLength { got: 0 }));
        assert_eq!(DataFragment::parse(&[8, 1, 0]), Err(FragmentError::MessageLength { got: 3 }));
        assert_eq!(DataFragment::parse(&[8; 259]), Err(FragmentError::MessageLength { got: 259 }));
        assert_eq!(DataFragment::parse(&[1, 1, 0, 9]), Err(FragmentError::NotDataFragment { cid: 1 }));
        assert_eq!(DataFragment::parse(&[8, 0, 0xc0, 9]), Err(FragmentError::FragmentNumber { n: 0 }));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_written_back_as_they_came(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), command in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if let (true, Some(first)) = (command, bytes.first_mut()) {
                *first = CID;
            }
            if let Ok(message) = DataFragment::parse(&bytes) {
                let mut written = Vec::new();
                message.write(&mut written);
                prop_assert_eq!(written, bytes);
            }
        }
    }
}
