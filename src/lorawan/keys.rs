//! The keys of a multicast group and of a data block, by plain AES-128 blocks.

use core::fmt;
use core::str::FromStr;

use aes::Aes128;
use aes::Aes128Enc;
use aes::cipher::BlockCipherDecrypt;
use aes::cipher::BlockCipherEncrypt;
use aes::cipher::KeyInit;
use cmac::Cmac;
use cmac::Mac;
use sha2::Digest;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::lorawan::address::McAddr;
use crate::lorawan::hex;
use crate::lorawan::key_error::KeyError;
use crate::lorawan::secret::Secret;

/// The two session keys of a group, with their round keys expanded once, because a simulation opens about 10^7
/// frames. All copies are overwritten with zeros when dropped.
#[derive(Clone)]
pub struct McSessionKeys {
    mc_nwk_s_key: Secret,
    mc_app_s_key: Secret,
    nwk_mac: Cmac<Aes128Enc>,
    app_cipher: Aes128Enc,
}

impl McSessionKeys {
    /// The session keys of the group `mc_addr` from its McKey (TS005-1.0.0 4.3).
    pub fn derive(mc_key: &Secret, mc_addr: McAddr) -> Self {
        let session_key = |first: u8| {
            let mut block = first_byte(first);
            block[1..5].copy_from_slice(&mc_addr.as_u32().to_le_bytes());
            encrypt_block(mc_key, block)
        };
        McSessionKeys::from_parts(session_key(0x02), session_key(0x01))
    }

    /// Session keys that were derived elsewhere: McNwkSKey (MIC) first, McAppSKey (payload) second.
    pub fn from_parts(mc_nwk_s_key: Secret, mc_app_s_key: Secret) -> Self {
        let nwk_mac = cmac(&mc_nwk_s_key);
        let app_cipher = Aes128Enc::new(mc_app_s_key.expose().into());
        McSessionKeys { mc_nwk_s_key, mc_app_s_key, nwk_mac, app_cipher }
    }

    /// McAppSKey, the key of the payload's encryption.
    pub fn mc_app_s_key(&self) -> &Secret {
        &self.mc_app_s_key
    }

    /// McNwkSKey, the key of the frame's MIC.
    pub fn mc_nwk_s_key(&self) -> &Secret {
        &self.mc_nwk_s_key
    }

    /// A name for this pair of keys that does not reveal them. Counters are stored under it.
    pub fn fingerprint(&self) -> KeyFingerprint {
        // The label keeps this digest apart from any other digest of the same bytes.
        let digest = Sha256::new()
            .chain_update(b"fuotad multicast session keys 1")
            .chain_update(self.mc_nwk_s_key.expose())
            .chain_update(self.mc_app_s_key.expose())
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        KeyFingerprint(bytes)
    }

    /// A CMAC with McNwkSKey that was fed nothing yet.
    pub(super) fn nwk_mac(&self) -> Cmac<Aes128Enc> {
        self.nwk_mac.clone()
    }

    /// The AES-128 cipher with McAppSKey.
    pub(super) fn app_cipher(&self) -> &Aes128Enc {
        &self.app_cipher
    }
}

impl fmt::Debug for McSessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("McSessionKeys([redacted])")
    }
}

/// The first 16 bytes of SHA-256 over a label and both session keys. It tells keys apart and reveals none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFingerprint([u8; 16]);

impl KeyFingerprint {
    /// A fingerprint that was read from a journal.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        KeyFingerprint(bytes)
    }

    /// The 16 bytes, in the order in which a journal stores them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFingerprint({self})")
    }
}

impl FromStr for KeyFingerprint {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 16];
        hex::decode("a key fingerprint", text, &mut bytes)?;
        Ok(KeyFingerprint(bytes))
    }
}

/// The root key that a device shares with the server which sets up its groups and data blocks (TS005-1.0.0 4.3).
#[derive(Clone)]
pub enum RootKey {
    /// GenAppKey of a LoRaWAN 1.0.x device: a key of its own, not its AppKey.
    GenAppKey(Secret),
    /// AppKey of a LoRaWAN 1.1 device.
    AppKey(Secret),
}

impl RootKey {
    /// McRootKey of this device (TS005-1.0.0 4.3).
    pub fn mc_root_key(&self) -> Secret {
        match self {
            RootKey::GenAppKey(key) => encrypt_block(key, first_byte(0x00)),
            RootKey::AppKey(key) => encrypt_block(key, first_byte(0x20)),
        }
    }

    /// DataBlockIntKey of this device (TS004-2.0.0, FragSessionSetupReq): the same block for both kinds.
    pub fn data_block_int_key(&self) -> Secret {
        let (RootKey::GenAppKey(key) | RootKey::AppKey(key)) = self;
        encrypt_block(key, first_byte(0x30))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RootKey::GenAppKey(_) => "GenAppKey([redacted])",
            RootKey::AppKey(_) => "AppKey([redacted])",
        })
    }
}

/// A check value of a McKey: the first 8 bytes of SHA-256 over a label and the key. It tells keys apart, no more.
pub fn mc_key_check(mc_key: &Secret) -> [u8; 8] {
    let digest = Sha256::new().chain_update(b"fuotad McKey check 1").chain_update(mc_key.expose()).finalize();
    let mut check = [0; 8];
    check.copy_from_slice(&digest[..8]);
    check
}

/// McKEKey from McRootKey (TS005-1.0.0 4.3). It encrypts the McKey on its way to one device.
pub fn mc_ke_key(mc_root_key: &Secret) -> Secret {
    encrypt_block(mc_root_key, first_byte(0x00))
}

/// `McKey_encrypted` as it stands in McGroupSetupReq (TS005-1.0.0 4.3). The sender *decrypts*, so that a
/// device needs only the encrypting half of AES.
pub fn encrypt_mc_key(mc_ke_key: &Secret, mc_key: &Secret) -> [u8; 16] {
    let mut block = *mc_key.expose();
    Aes128::new(mc_ke_key.expose().into()).decrypt_block((&mut block).into());
    block
}

/// The McKey from `McKey_encrypted`: the device's side of [`encrypt_mc_key`].
pub fn decrypt_mc_key(mc_ke_key: &Secret, mc_key_encrypted: &[u8; 16]) -> Secret {
    encrypt_block(mc_ke_key, *mc_key_encrypted)
}

/// The MIC of a data block in FragSessionSetupReq version 2 (TS004-2.0.0). It is different for every device.
///
/// `descriptor` is as sent, `image` without padding. Session counters count per device and FragIndex.
pub fn data_block_mic(
    root: &RootKey,
    session_cnt: u16,
    frag_index: u8,
    descriptor: [u8; 4],
    image: &[u8],
) -> [u8; 4] {
    let mut b0 = first_byte(0x49);
    b0[1..3].copy_from_slice(&session_cnt.to_le_bytes());
    b0[3] = frag_index;
    b0[4..8].copy_from_slice(&descriptor);
    // The field has 32 bits; a data block ends at 16383 x 255 bytes.
    b0[12..].copy_from_slice(&(image.len() as u32).to_le_bytes());
    let mut mac = cmac(&root.data_block_int_key());
    mac.update(&b0);
    mac.update(image);
    mic_of(mac)
}

/// The first four bytes of a finished CMAC.
fn mic_of(mac: Cmac<Aes128Enc>) -> [u8; 4] {
    let tag = mac.finalize().into_bytes();
    [tag[0], tag[1], tag[2], tag[3]]
}

fn cmac(key: &Secret) -> Cmac<Aes128Enc> {
    Cmac::new(key.expose().into())
}

fn encrypt_block(key: &Secret, block: [u8; 16]) -> Secret {
    let mut block = Zeroizing::new(block);
    Aes128Enc::new(key.expose().into()).encrypt_block((&mut *block).into());
    Secret::from_bytes(*block)
}

/// A block of one byte and fifteen zeros, the shape of most derivation blocks.
fn first_byte(first: u8) -> [u8; 16] {
    let mut block = [0; 16];
    block[0] = first;
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(nwk: u8, app: u8) -> McSessionKeys {
        McSessionKeys::from_parts(Secret::from_bytes([nwk; 16]), Secret::from_bytes([app; 16]))
    }

    #[test]
    fn a_fingerprint_tells_keys_apart_even_when_the_two_are_swapped() {
        assert_eq!(keys(1, 2).fingerprint(), keys(1, 2).fingerprint());
        assert_ne!(keys(1, 2).fingerprint(), keys(2, 1).fingerprint());
        assert_ne!(keys(1, 2).fingerprint(), keys(1, 3).fingerprint());
    }

    #[test]
    fn a_fingerprint_survives_being_written_down() {
        let fingerprint = keys(1, 2).fingerprint();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(KeyFingerprint::from_bytes(*fingerprint.as_bytes()), fingerprint);
        assert_eq!(KeyFingerprint::from_bytes([1; 16]).to_string(), "01".repeat(16));
    }

    /// Devices files are kept for years: a change of the label would make all of them foreign.
    #[test]
    fn the_check_value_of_a_known_mc_key_stays_what_it_was() {
        let check = [0xa1, 0xec, 0x4d, 0xd4, 0x5b, 0x7c, 0x22, 0xa1];
        assert_eq!(mc_key_check(&Secret::from_bytes([1; 16])), check);
        assert_ne!(mc_key_check(&Secret::from_bytes([1; 16])), mc_key_check(&Secret::from_bytes([2; 16])));
    }

    /// Counters are stored under this name: a change of the label would orphan every journal.
    #[test]
    fn the_fingerprint_of_known_keys_stays_what_it_was() {
        assert_eq!(keys(1, 2).fingerprint().to_string(), "a499b2d4c7903f5189183b7e49fadd10");
    }
}
