//! Batches of devices: those whose root keys came from one source, and are right or wrong together.

use sha2::Digest;
use sha2::Sha256;

/// Bytes of a batch on disk.
pub(super) const BATCH_BYTES: usize = 8;

/// The devices whose root keys came from one source, by the digest of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Batch([u8; BATCH_BYTES]);

impl Batch {
    /// The batch of this name.
    pub fn named(name: &str) -> Batch {
        let hash = Sha256::new().chain_update(b"fuotad batch").chain_update(name).finalize();
        let mut batch = [0; BATCH_BYTES];
        batch.copy_from_slice(&hash[..BATCH_BYTES]);
        Batch(batch)
    }

    pub(super) const fn from_bytes(bytes: [u8; BATCH_BYTES]) -> Batch {
        Batch(bytes)
    }

    pub(super) const fn to_bytes(self) -> [u8; BATCH_BYTES] {
        self.0
    }
}
