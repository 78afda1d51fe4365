//! What is prepared for one device at a desk: no root key comes to a gateway.

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
    /// TS004-2.0.0: MICs of one image, by ascending SessionCnt; empty for devices of version 1.
    pub session_mics: Vec<SessionMic>,
}

/// The MIC of an image for one session count of one device (TS004-2.0.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionMic {
    /// SessionCnt of FragSessionSetupReq.
    pub session_cnt: u16,
    /// MIC of the data block with that count.
    pub mic: [u8; 4],
    /// Bytes of the image that the MIC was made of.
    pub image_bytes: u32,
}
