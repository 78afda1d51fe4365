//! Building of frames by `lorawan-encoding`. Frames are opened by our own code in `frame`, so the two
//! implementations check each other.
#![expect(
    deprecated,
    reason = "generic-array 0.14, in the signatures of lorawan 0.9.0, deprecates all of itself"
)]

use aes::Aes128;
use aes::Aes128Enc;
use aes::cipher::BlockCipherDecrypt;
use aes::cipher::BlockCipherEncrypt;
use aes::cipher::KeyInit;
use cmac::Cmac;
use generic_array::GenericArray;
use generic_array::typenum::U16;
use lorawan_encoding::creator::DataPayloadCreator;
use lorawan_encoding::keys::AES128;
use lorawan_encoding::keys::AppSKey;
use lorawan_encoding::keys::CryptoFactory;
use lorawan_encoding::keys::Decrypter;
use lorawan_encoding::keys::Encrypter;
use lorawan_encoding::keys::Mac;
use lorawan_encoding::keys::NewSKey;
use lorawan_encoding::parser::DevAddr;
use lorawan_encoding::parser::FCtrl;

use crate::lorawan::address::McAddr;
use crate::lorawan::keys::McSessionKeys;

/// Size of the creator's buffer in bytes; it panics when a payload outgrows it.
const BUFFER_LEN: usize = 256;

/// Builds an unconfirmed data down frame. `payload` has 1..=242 bytes and `fport` is not 0: the caller checks,
/// the creator would panic or take the other key.
pub(super) fn data_down(
    keys: &McSessionKeys,
    mc_addr: McAddr,
    fcnt: u32,
    fport: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut creator = DataPayloadCreator::with_options([0; BUFFER_LEN], SessionCrypto(Some(keys)))
        .expect("the creator wants 255 bytes and has 256");
    creator
        .set_uplink(false)
        .set_confirmed(false)
        .set_dev_addr(DevAddr::from(mc_addr.as_u32().to_le_bytes()))
        .set_fctrl(&FCtrl::new(0, false))
        .set_fcnt(fcnt)
        .set_f_port(fport);
    // Its key types print their bytes, so they get none: the factory knows the ciphers.
    let (no_nwk_key, no_app_key) = (NewSKey::from([0; 16]), AppSKey::from([0; 16]));
    let phy = creator.build(payload, &[], &no_nwk_key, &no_app_key);
    phy.expect("a payload of at most 242 bytes with an FPort and no MAC commands fits").to_vec()
}

/// The AES ciphers of the session keys, handed out whatever key is asked for. `None` exists only because the creator
/// requires a `Default`, which it never calls.
#[derive(Default)]
struct SessionCrypto<'a>(Option<&'a McSessionKeys>);

impl<'a> SessionCrypto<'a> {
    fn keys(&self) -> &'a McSessionKeys {
        self.0.expect("the creator uses the factory it was given")
    }
}

impl<'a> CryptoFactory for SessionCrypto<'a> {
    type E = PayloadCipher<'a>;
    type D = JoinCipher;
    type M = FrameMac;

    fn new_enc(&self, _key: &AES128) -> PayloadCipher<'a> {
        PayloadCipher(self.keys().app_cipher())
    }

    fn new_dec(&self, key: &AES128) -> JoinCipher {
        JoinCipher(Aes128::new((&key.0).into()))
    }

    fn new_mac(&self, _key: &AES128) -> FrameMac {
        FrameMac(self.keys().nwk_mac())
    }
}

struct PayloadCipher<'a>(&'a Aes128Enc);

impl Encrypter for PayloadCipher<'_> {
    fn encrypt_block(&self, block: &mut GenericArray<u8, U16>) {
        let block: &mut [u8; 16] = block.as_mut();
        self.0.encrypt_block(block.into());
    }
}

/// A cipher for join messages, which are not built here; the factory trait requires one.
struct JoinCipher(Aes128);

impl Decrypter for JoinCipher {
    fn decrypt_block(&self, block: &mut GenericArray<u8, U16>) {
        let block: &mut [u8; 16] = block.as_mut();
        self.0.decrypt_block(block.into());
    }
}

struct FrameMac(Cmac<Aes128Enc>);

impl Mac for FrameMac {
    fn input(&mut self, data: &[u8]) {
        cmac::Mac::update(&mut self.0, data);
    }

    fn reset(&mut self) {
        cmac::Mac::reset(&mut self.0);
    }

    fn result(self) -> GenericArray<u8, U16> {
        let tag: [u8; 16] = cmac::Mac::finalize(self.0).into_bytes().into();
        GenericArray::from(tag)
    }
}
