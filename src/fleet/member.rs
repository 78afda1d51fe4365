//! What is prepared for one device at a desk: no root key comes to a gateway.

use super::batch::Batch;
use crate::lorawan::Eui64;

/// One device of a group. No Debug: it holds key material.
#[derive(Clone)]
pub struct Member {
    /// DevEUI of the device.
    pub dev_eui: Eui64,
    /// A name for people.
    pub name: String,
    /// McKey_encrypted of the group for this device (TS005-1.0.0 4.3).
    pub mc_key_encrypted: [u8; 16],
    /// The devices whose root keys came from the same source.
    pub batch: Batch,
    /// What TS004-2.0.0 needs; `None` for devices of version 1.
    pub session_mics: Option<SessionMics>,
}

/// The MICs of one image for session counts of one device (TS004-2.0.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionMics {
    /// SHA-256 of the image without padding.
    pub sha256: [u8; 32],
    /// The descriptor that the MICs cover.
    pub descriptor: [u8; 4],
    /// SessionCnt of the first MIC; the others follow.
    pub first_session_cnt: u16,
    /// The MICs, by ascending SessionCnt.
    pub mics: Vec<[u8; 4]>,
}

impl SessionMics {
    /// Each SessionCnt with its MIC.
    pub(super) fn by_count(&self) -> impl Iterator<Item = (u16, [u8; 4])> {
        (self.first_session_cnt..=u16::MAX).zip(self.mics.iter().copied())
    }
}
