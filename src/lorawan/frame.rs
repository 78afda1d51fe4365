//! Multicast data frames: LoRaWAN TS001-1.0.4 4, unconfirmed data down without MAC commands.

use core::ops::Range;

use aes::cipher::Block;
use aes::cipher::BlockCipherEncrypt;
use cmac::Mac;
use thiserror::Error;

use crate::lorawan::address::McAddr;
use crate::lorawan::encoding;
use crate::lorawan::keys::McSessionKeys;

/// The most bytes of FRMPayload that a frame of any region carries (RP002-1.0.4, N without repeater).
pub const MAX_PAYLOAD: usize = 242;

/// Bytes of a frame that are not FRMPayload: MHDR, FHDR without FOpts, FPort, MIC.
pub const FRAME_OVERHEAD: usize = 13;

/// Lowest FPort of applications (TS001-1.0.4 4.3.2).
pub const FPORT_MIN: u8 = 1;

/// Highest FPort of applications (TS001-1.0.4 4.3.2).
pub const FPORT_MAX: u8 = 223;

/// MHDR of unconfirmed data down, LoRaWAN R1.
const UNCONFIRMED_DOWN: u8 = 0x60;
const FCTRL_ACK: u8 = 0x20;
const FCTRL_BIT_6: u8 = 0x40;
const FOPTS_LEN: u8 = 0x0f;
/// Bytes of MHDR, DevAddr, FCtrl and FCnt together.
const HEADER_LEN: usize = 8;
const MIC_LEN: usize = 4;
const PHY_MIN: usize = HEADER_LEN + MIC_LEN;
const PHY_MAX: usize = MAX_PAYLOAD + FRAME_OVERHEAD;
const BLOCK_LEN: usize = 16;
/// Keystream blocks of the longest payload.
const MAX_BLOCKS: usize = MAX_PAYLOAD.div_ceil(BLOCK_LEN);

/// The unencrypted head of a data frame (TS001-1.0.4 4.2, 4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MulticastHeader {
    /// DevAddr of the frame: the group's address.
    pub mc_addr: McAddr,
    /// FCnt: the low 16 bits of the frame counter.
    pub fcnt16: u16,
    /// FPort; `None` when the frame ends before it.
    pub fport: Option<u8>,
    /// FCtrl: ADR, ACK, FPending, FOptsLen and one more bit (RFU in downlinks).
    pub fctrl: u8,
    /// MHDR: message type and major version.
    pub mhdr: u8,
}

/// The content of a frame that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// FPort of the frame, 1..=223.
    pub fport: u8,
    /// FRMPayload after decryption, 0..=242 bytes.
    pub payload: Vec<u8>,
}

/// Reasons why a frame cannot be built, or why a device drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The payload is empty or longer than [`MAX_PAYLOAD`]; holds its length in bytes.
    #[error("a payload of {0} bytes cannot be sent; take 1 to 242 bytes (MAX_PAYLOAD)")]
    PayloadLength(usize),
    /// The FPort is not one of an application, 1..=223.
    #[error("FPort {0} is not for applications; take 1 to 223")]
    FPort(u8),
    /// The frame is shorter or longer than a data frame can be; holds its length in bytes.
    #[error("a frame of {0} bytes is not a data frame, which has 12 to 255 bytes")]
    PhyLength(usize),
    /// The MHDR is not unconfirmed data down.
    #[error("MHDR {0:#04x} is not unconfirmed data down (0x60), the only kind allowed in multicast")]
    MType(u8),
    /// FOptsLen points beyond the frame, or is not zero in a multicast frame.
    #[error("{0} bytes of FOpts; a multicast frame carries no MAC commands")]
    FOpts(u8),
    /// The ACK bit of FCtrl is set, which a multicast frame never has.
    #[error("the ACK bit is set; a multicast frame acknowledges nothing")]
    Ack,
    /// Bit 6 of FCtrl is set, ADRACKReq in uplinks.
    #[error("bit 6 of FCtrl is set; it is reserved in downlinks")]
    FCtrlBit6,
    /// The frame has no FPort and therefore no payload.
    #[error("the frame ends before its FPort; a multicast frame has a payload")]
    NoFPort,
    /// The frame is addressed to another group.
    #[error("the frame is for {found}, not for {expected}")]
    Address {
        /// Address of the group whose keys are used.
        expected: McAddr,
        /// DevAddr in the frame.
        found: McAddr,
    },
    /// The FCnt in the frame is not the low half of the assumed counter.
    #[error("the frame carries the low counter half {found}, but FCnt {fcnt} was expected")]
    FCnt {
        /// The assumed 32-bit counter.
        fcnt: u32,
        /// The 16-bit FCnt in the frame.
        found: u16,
    },
    /// The MIC does not match: wrong keys, wrong upper half of the counter, or a damaged frame.
    #[error("the MIC does not match; check the keys and the upper half of the counter")]
    Mic,
}

/// Builds the frame with counter `fcnt` for the group `mc_addr` (TS001-1.0.4 4).
///
/// The same `fcnt` must never be used for two payloads under the same keys.
///
/// # Errors
///
/// [`FrameError::PayloadLength`] unless `payload` has 1..=[`MAX_PAYLOAD`] bytes, and [`FrameError::FPort`]
/// unless `fport` is 1..=223.
pub fn multicast_frame(
    keys: &McSessionKeys,
    mc_addr: McAddr,
    fcnt: u32,
    fport: u8,
    payload: &[u8],
) -> Result<Vec<u8>, FrameError> {
    if payload.is_empty() || payload.len() > MAX_PAYLOAD {
        return Err(FrameError::PayloadLength(payload.len()));
    }
    check_fport(fport)?;
    Ok(encoding::data_down(keys, mc_addr, fcnt, fport, payload))
}

/// Reads the unencrypted head of any data frame, up or down, without keys.
///
/// # Errors
///
/// [`FrameError::PhyLength`] unless there are 12 to 255 bytes, [`FrameError::MType`] unless it is a data frame of
/// LoRaWAN R1, and [`FrameError::FOpts`] when FOpts would reach into the MIC.
pub fn parse_header(phy: &[u8]) -> Result<MulticastHeader, FrameError> {
    if !(PHY_MIN..=PHY_MAX).contains(&phy.len()) {
        return Err(FrameError::PhyLength(phy.len()));
    }
    let mhdr = phy[0];
    // Message types 2 to 5 are data, confirmed or not; the two lowest bits are the major version.
    if !(2..=5).contains(&(mhdr >> 5)) || mhdr & 0x03 != 0 {
        return Err(FrameError::MType(mhdr));
    }
    let fctrl = phy[5];
    let fopts_len = fctrl & FOPTS_LEN;
    let after_fopts = HEADER_LEN + usize::from(fopts_len);
    let mic_at = phy.len() - MIC_LEN;
    if after_fopts > mic_at {
        return Err(FrameError::FOpts(fopts_len));
    }
    Ok(MulticastHeader {
        mc_addr: McAddr::new(u32::from_le_bytes([phy[1], phy[2], phy[3], phy[4]])),
        fcnt16: u16::from_le_bytes([phy[6], phy[7]]),
        fport: phy[after_fopts..mic_at].first().copied(),
        fctrl,
        mhdr,
    })
}

/// Opens a frame as a device of the group does, with `fcnt` as the full counter that it inferred. ADR and FPending
/// are ignored, as devices ignore them.
///
/// # Errors
///
/// The first reason, in this order, for which a device drops the frame: length, kind, ACK, bit 6, FOpts,
/// FPort, address, counter, MIC.
pub fn open_multicast(
    keys: &McSessionKeys,
    mc_addr: McAddr,
    fcnt: u32,
    phy: &[u8],
) -> Result<Opened, FrameError> {
    let header = parse_header(phy)?;
    let fport = check_multicast(&header)?;
    if header.mc_addr != mc_addr {
        return Err(FrameError::Address { expected: mc_addr, found: header.mc_addr });
    }
    if header.fcnt16 != (fcnt & 0xffff) as u16 {
        return Err(FrameError::FCnt { fcnt, found: header.fcnt16 });
    }
    if !is_authentic(keys, mc_addr, fcnt, phy) {
        return Err(FrameError::Mic);
    }
    let mut payload = phy[HEADER_LEN + 1..phy.len() - MIC_LEN].to_vec();
    apply_keystream(keys, mc_addr, fcnt, &mut payload);
    Ok(Opened { fport, payload })
}

/// The full counter of a data frame down to `mc_addr` whose MIC is right under McNwkSKey, whatever else is in it. The
/// upper half of the counter is not in the frame: those of `upper_halves` are tried in turn.
pub fn authentic_fcnt(
    keys: &McSessionKeys,
    mc_addr: McAddr,
    phy: &[u8],
    upper_halves: Range<u16>,
) -> Option<u32> {
    let header = parse_header(phy).ok().filter(|header| header.mc_addr == mc_addr)?;
    let fcnts = upper_halves.map(|upper| u32::from(upper) << 16 | u32::from(header.fcnt16));
    fcnts.into_iter().find(|fcnt| is_authentic(keys, mc_addr, *fcnt, phy))
}

/// Whether the MIC of a data frame down is right (TS001-1.0.4 4.4); `phy` has 12 to 255 bytes.
fn is_authentic(keys: &McSessionKeys, mc_addr: McAddr, fcnt: u32, phy: &[u8]) -> bool {
    let (message, mic) = phy.split_at(phy.len() - MIC_LEN);
    let mut mac = keys.nwk_mac();
    mac.update(&helper_block(0x49, mc_addr, fcnt, message.len() as u8));
    mac.update(message);
    mac.verify_truncated_left(mic).is_ok()
}

fn check_multicast(header: &MulticastHeader) -> Result<u8, FrameError> {
    if header.mhdr != UNCONFIRMED_DOWN {
        return Err(FrameError::MType(header.mhdr));
    }
    if header.fctrl & FCTRL_ACK != 0 {
        return Err(FrameError::Ack);
    }
    if header.fctrl & FCTRL_BIT_6 != 0 {
        return Err(FrameError::FCtrlBit6);
    }
    if header.fctrl & FOPTS_LEN != 0 {
        return Err(FrameError::FOpts(header.fctrl & FOPTS_LEN));
    }
    check_fport(header.fport.ok_or(FrameError::NoFPort)?)
}

fn check_fport(fport: u8) -> Result<u8, FrameError> {
    if (FPORT_MIN..=FPORT_MAX).contains(&fport) { Ok(fport) } else { Err(FrameError::FPort(fport)) }
}

/// Deciphers a payload of at most [`MAX_PAYLOAD`] bytes (TS001-1.0.4 4.3.3).
fn apply_keystream(keys: &McSessionKeys, mc_addr: McAddr, fcnt: u32, payload: &mut [u8]) {
    // All blocks in one call: the cipher works on several at a time.
    let mut blocks = [Block::<aes::Aes128Enc>::default(); MAX_BLOCKS];
    let used = &mut blocks[..payload.len().div_ceil(BLOCK_LEN)];
    for (counter, block) in (1..).zip(used.iter_mut()) {
        *block = helper_block(0x01, mc_addr, fcnt, counter).into();
    }
    keys.app_cipher().encrypt_blocks(used);
    for (bytes, block) in payload.chunks_mut(BLOCK_LEN).zip(used.iter()) {
        for (byte, key) in bytes.iter_mut().zip(block) {
            *byte ^= key;
        }
    }
}

/// A_i (first byte 0x01, last the block's number) and B0 (0x49, the message's length) for downlinks.
fn helper_block(first: u8, mc_addr: McAddr, fcnt: u32, last: u8) -> [u8; 16] {
    let mut block = [0; 16];
    block[0] = first;
    block[5] = 1;
    block[6..10].copy_from_slice(&mc_addr.as_u32().to_le_bytes());
    block[10..14].copy_from_slice(&fcnt.to_le_bytes());
    block[15] = last;
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lorawan::secret::Secret;

    const MC_ADDR: McAddr = McAddr::new(0x01c0_ffee);

    fn keys() -> McSessionKeys {
        McSessionKeys::derive(&Secret::from_bytes([7; 16]), MC_ADDR)
    }

    #[test]
    fn what_was_sealed_can_be_opened_at_every_length() {
        let keys = keys();
        for len in 1..=MAX_PAYLOAD {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let phy = multicast_frame(&keys, MC_ADDR, 70_000, 201, &payload).unwrap();
            assert_eq!(phy.len(), len + FRAME_OVERHEAD);
            assert_eq!(open_multicast(&keys, MC_ADDR, 70_000, &phy), Ok(Opened { fport: 201, payload }));
        }
    }

    #[test]
    fn a_payload_that_fits_no_frame_is_refused_before_anything_is_built() {
        let seal = |fport, len| multicast_frame(&keys(), MC_ADDR, 2, fport, &vec![0; len]);
        assert_eq!(seal(201, 0), Err(FrameError::PayloadLength(0)));
        assert_eq!(seal(201, 243), Err(FrameError::PayloadLength(243)));
        assert_eq!(seal(201, 100_000), Err(FrameError::PayloadLength(100_000)));
        assert_eq!(seal(0, 1), Err(FrameError::FPort(0)));
        assert_eq!(seal(224, 1), Err(FrameError::FPort(224)));
        assert!(seal(223, 242).is_ok());
    }

    #[test]
    fn the_upper_half_of_the_counter_is_guarded_by_the_mic_alone() {
        let phy = multicast_frame(&keys(), MC_ADDR, 65_538, 201, b"x").unwrap();
        assert_eq!(parse_header(&phy).unwrap().fcnt16, 2);
        assert_eq!(open_multicast(&keys(), MC_ADDR, 2, &phy), Err(FrameError::Mic));
        let expected = FrameError::FCnt { fcnt: 65_539, found: 2 };
        assert_eq!(open_multicast(&keys(), MC_ADDR, 65_539, &phy), Err(expected));
    }

    #[test]
    fn a_right_mic_names_the_counter_and_a_wrong_one_none() {
        let phy = multicast_frame(&keys(), MC_ADDR, 3 << 16 | 7, 10, b"x").unwrap();
        assert_eq!(authentic_fcnt(&keys(), MC_ADDR, &phy, 0..4), Some(3 << 16 | 7));
        assert_eq!(authentic_fcnt(&keys(), MC_ADDR, &phy, 0..3), None);
        let others = McSessionKeys::derive(&Secret::from_bytes([8; 16]), MC_ADDR);
        assert_eq!(authentic_fcnt(&others, MC_ADDR, &phy, 0..4), None);
        let mut forged = phy.clone();
        forged[10..].fill(0);
        assert_eq!(authentic_fcnt(&keys(), MC_ADDR, &forged, 0..64), None);
        assert_eq!(authentic_fcnt(&keys(), MC_ADDR, &phy[..11], 0..4), None);
    }

    #[test]
    fn a_frame_of_another_group_is_told_from_a_damaged_one() {
        let other = McAddr::new(0x01c0_ffef);
        let phy = multicast_frame(&keys(), other, 2, 201, b"x").unwrap();
        let expected = FrameError::Address { expected: MC_ADDR, found: other };
        assert_eq!(open_multicast(&keys(), MC_ADDR, 2, &phy), Err(expected));
    }

    #[test]
    fn every_flipped_bit_makes_a_device_drop_the_frame() {
        let keys = keys();
        let phy = multicast_frame(&keys, MC_ADDR, 2, 201, b"fragment").unwrap();
        for bit in 0..phy.len() * 8 {
            let mut damaged = phy.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open_multicast(&keys, MC_ADDR, 2, &damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn messages_that_are_not_data_have_no_header_to_read() {
        for mhdr in [0x00, 0x20, 0xc0, 0xe0, 0x61] {
            let mut phy = [0; 20];
            phy[0] = mhdr;
            assert_eq!(parse_header(&phy), Err(FrameError::MType(mhdr)));
        }
        assert_eq!(parse_header(&[0x60; 11]), Err(FrameError::PhyLength(11)));
        assert_eq!(parse_header(&[0x60; 256]), Err(FrameError::PhyLength(256)));
    }

    #[test]
    fn fopts_that_reach_into_the_mic_are_refused() {
        let mut phy = [0; 12];
        phy[0] = 0x60;
        phy[5] = 0x01;
        assert_eq!(parse_header(&phy), Err(FrameError::FOpts(1)));
    }
}
