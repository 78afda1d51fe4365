//! Decisions out of bytes. When the bytes are used up every answer is zero or empty, so that each input means
//! something.

use serde_json::Value;

/// The bytes that are not yet used.
#[derive(Clone, Debug)]
pub struct Feed<'a> {
    rest: &'a [u8],
}

impl<'a> Feed<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Feed<'a> {
        Feed { rest: bytes }
    }

    /// Whether all are used.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes, or as many as there are.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A number of two bytes, and that many bytes.
    pub fn chunk(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16());
        self.take(len)
    }

    /// The same as text; what is not UTF-8 is replaced.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.chunk()).into_owned()
    }

    /// A number.
    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// A number, little endian.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// A number, little endian.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// A number, little endian.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// One of `choices`.
    pub fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[usize::from(self.u8()) % choices.len()]
    }

    /// The next bytes, zeros where there are none.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }
}

/// The first JSON value in `bytes`, whatever stands behind it: packet forwarders read so. Null if there is none.
pub fn first_json(bytes: &[u8]) -> Value {
    serde_json::Deserializer::from_slice(bytes).into_iter().next().and_then(Result::ok).unwrap_or_default()
}

/// `len` bytes that look like an image and follow from `seed`.
pub fn image(seed: u8, len: usize) -> Vec<u8> {
    let step = |x: &u32| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(step(&u32::from(seed)), step).map(|x| (x >> 24) as u8).take(len).collect()
}
