//! The fragmentation session that devices hold, whatever task it was set up for.

use super::records;
use crate::lorawan::Eui64;
use crate::lorawan::KeyFingerprint;
use crate::lorawan::PackageVersion;
use crate::store::FleetRecord;
use sha2::Digest;
use sha2::Sha256;
use std::collections::BTreeSet;

/// All known decoders hold one fragmentation session; its index is 0.
pub(super) const FRAG_INDEX: u8 = 0;

/// What FragSessionSetupReq settles (TS004-1.0.0 3.3), and the image that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragSession {
    /// Version of TS004 that the coded fragments are made for.
    pub version: PackageVersion,
    /// NbFrag: number of uncoded fragments.
    pub nb_frag: u16,
    /// FragSize: bytes of a fragment.
    pub frag_size: u8,
    /// Padding: filler bytes of the last uncoded fragment.
    pub padding: u8,
    /// Descriptor: four bytes for the devices.
    pub descriptor: [u8; 4],
    /// SHA-256 of the image; `None` before it is known.
    pub sha256: Option<[u8; 32]>,
}

impl FragSession {
    /// Its name in the devices' records; zeros, which no device holds, before the image is known.
    pub(super) fn digest(&self) -> [u8; 8] {
        let mut digest = [0; 8];
        if let Some(sha256) = self.sha256 {
            let hash = Sha256::new()
                .chain_update(sha256)
                .chain_update(self.nb_frag.to_le_bytes())
                .chain_update([FRAG_INDEX, self.frag_size, self.padding, self.version.number()])
                .chain_update(self.descriptor)
                .finalize();
            digest.copy_from_slice(&hash[..8]);
        }
        digest
    }

    /// The devices of the group with this key that confirmed it and did not lose it since, by their records.
    pub fn holders(&self, key: KeyFingerprint, records: &[FleetRecord]) -> BTreeSet<Eui64> {
        let session = self.digest();
        let devices = records::read(key, records).into_iter();
        devices.filter(|(_, progress)| progress.holds(session)).map(|(dev_eui, _)| dev_eui).collect()
    }
}
