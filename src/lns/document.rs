//! From the bytes of a message to a type of ours.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;

use crate::json::Node;
use crate::json::tree;
use crate::lns::read_error::MAX_DOCUMENT_BYTES;
use crate::lns::read_error::ReadError;
use crate::lorawan::Eui64;
use crate::radio::Modulation;

/// How much of a path or of a reason is shown, in characters: both may quote the message.
const SHOWN_CHARS_MAX: usize = 160;

/// The message as a `T`; members that `T` does not know are passed over, because servers add them freely.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ReadError> {
    if payload.len() > MAX_DOCUMENT_BYTES {
        return Err(ReadError::TooLarge { bytes: payload.len() });
    }
    let value = tree(payload).map_err(|error| ReadError::Syntax { reason: error.to_string() })?;
    serde_path_to_error::deserialize(Node(&value)).map_err(|error| {
        let printable =
            |text: String| text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
        let path: String = printable(error.path().to_string());
        let path = if path == "." { "the message".to_owned() } else { path };
        let reason = printable(error.inner().to_string());
        ReadError::Member { path, reason }
    })
}

/// The bytes of a base64 text that stands at `path`.
pub(super) fn base64(path: &str, text: &str) -> Result<Vec<u8>, ReadError> {
    let reason = |error: base64::DecodeError| ReadError::Member {
        path: path.to_owned(),
        reason: format!("no base64: {error}"),
    };
    BASE64_STANDARD.decode(text).map_err(reason)
}

/// The DevEUI that stands at `path`.
pub(super) fn dev_eui(path: &str, text: &str) -> Result<Eui64, ReadError> {
    text.parse().map_err(|error: crate::lorawan::KeyError| ReadError::Member {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// The FPort at `path`; an uplink has 0 to 255 there.
pub(super) fn f_port(path: &str, number: u32) -> Result<u8, ReadError> {
    u8::try_from(number).map_err(|_| ReadError::Member {
        path: path.to_owned(),
        reason: format!("{number} is no FPort: it has one byte"),
    })
}

/// LoRa with this spreading factor and bandwidth; `None` where either is missing or strange.
pub(super) fn lora(spreading_factor: u32, bandwidth_hz: u32) -> Option<Modulation> {
    let sf = u8::try_from(spreading_factor).ok().filter(|sf| (5..=12).contains(sf))?;
    (bandwidth_hz > 0).then_some(Modulation::LoRa { sf, bw_hz: bandwidth_hz })
}
