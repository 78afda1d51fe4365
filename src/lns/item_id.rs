//! The names of our items in the queues of network servers.

use core::fmt;
use core::str::FromStr;

use sha2::Digest;
use sha2::Sha256;

use crate::lorawan::Eui64;

/// How each of our ids begins: who reads a queue sees whose item it is.
const MARKER: [u8; 4] = [0xf0, 0x07, 0xad, 0x01];

/// The id of one downlink of ours in the queue of a device: a UUID of version 8 (RFC 9562 5.8) that begins with
/// `f007ad01`. The same device, salt and number give the same id, so an item that is pushed again after a power cut
/// is refused by ChirpStack instead of being sent twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId([u8; 16]);

impl ItemId {
    /// The id of the item `number` for the device `dev_eui`. The salt tells gateways and groups apart that share a
    /// network server; a key's fingerprint is a good one. A number is used once per device and salt.
    pub fn new(dev_eui: Eui64, salt: &[u8], number: u64) -> Self {
        let digest = Sha256::new()
            .chain_update(b"fuotad downlink item 1")
            .chain_update(dev_eui.as_bytes())
            .chain_update(number.to_le_bytes())
            .chain_update(salt)
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[..4].copy_from_slice(&MARKER);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        ItemId(bytes)
    }
}

/// Writes the UUID in its ordinary form, in lower case.
impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no id of ours: another application's item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no item id of fuotad: those are UUIDs that begin with f007ad01")]
pub struct ForeignItem;

impl FromStr for ItemId {
    type Err = ForeignItem;

    fn from_str(text: &str) -> Result<Self, ForeignItem> {
        // A sign would be taken by the reader of numbers, so the length after the hyphens is not enough.
        let is_uuid = text.len() == 36 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        let digits = text.replace('-', "");
        if !is_uuid || digits.len() != 32 {
            return Err(ForeignItem);
        }
        let bytes = u128::from_str_radix(&digits, 16).map_err(|_| ForeignItem)?.to_be_bytes();
        if bytes.starts_with(&MARKER) { Ok(ItemId(bytes)) } else { Err(ForeignItem) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8, salt: &[u8], number: u64) -> ItemId {
        ItemId::new(Eui64::from_bytes([0, 0, 0, 0, 0, 0, 0, last]), salt, number)
    }

    #[test]
    fn an_item_keeps_its_id_and_no_two_share_one() {
        assert_eq!(id(1, b"a", 7), id(1, b"a", 7));
        let ids = [id(1, b"a", 7), id(2, b"a", 7), id(1, b"b", 7), id(1, b"a", 8)];
        let different: std::collections::BTreeSet<_> = ids.into_iter().collect();
        assert_eq!(different.len(), ids.len());
    }

    /// Items wait in queues while the program is replaced: a change of the label would make them foreign.
    #[test]
    fn the_id_of_a_known_item_stays_what_it_was_and_is_a_uuid() {
        let text = id(1, b"a", 7).to_string();
        assert_eq!(text, "f007ad01-02f7-879b-9d38-b8f15ebdd8a1");
        assert_eq!((&text[..9], &text[14..15], text.len()), ("f007ad01-", "8", 36));
        assert!(text[19..20].starts_with(['8', '9', 'a', 'b']), "{text}");
        assert_eq!(text.parse(), Ok(id(1, b"a", 7)));
        assert_eq!(text.to_uppercase().parse(), Ok(id(1, b"a", 7)));
    }

    #[test]
    fn another_applications_item_is_foreign() {
        for text in [
            "",
            "5f6a3c1e-0000-4000-8000-000000000000",
            "f007ad01",
            "f007ad01-0000-8000-8000-00000000000",
            "f007ad01-0000-8000-8000-0000000000000000",
            "+007ad01-0000-8000-8000-000000000000",
            "f007ad01-0000-8000-8000-00000000000ä",
        ] {
            assert_eq!(text.parse::<ItemId>(), Err(ForeignItem), "{text}");
        }
    }
}
