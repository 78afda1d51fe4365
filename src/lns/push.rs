//! One downlink for the queue of a device.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::lns::dialect::Dialect;
use crate::lns::event::Address;
use crate::lns::item_id::ItemId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;

/// What stands before an item's id among the correlation ids of The Things Stack.
pub(super) const CORRELATION_PREFIX: &str = "fuotad:";

/// One unconfirmed downlink for the queue of a device. It is added to the queue: what is there stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Where the device is found, as an event of it told.
    pub device: Address,
    /// The item's id, new for each downlink.
    pub item: ItemId,
    /// FPort, 1 to 223.
    pub f_port: u8,
    /// FRMPayload, which the server encrypts.
    pub payload: Vec<u8>,
    /// ChirpStack drops the item then; The Things Stack knows no such time and keeps it.
    pub expires_at: Option<GpsTime>,
}

impl Push {
    /// The document to publish at [`Topics::push`](crate::lns::Topics::push): one line of JSON.
    pub fn document(&self, dialect: Dialect) -> String {
        let data = BASE64_STANDARD.encode(&self.payload);
        match dialect {
            Dialect::ChirpStack => {
                let mut command = json!({
                    "id": self.item.to_string(),
                    "devEui": self.device.dev_eui.to_string(),
                    "confirmed": false,
                    "fPort": self.f_port,
                    "data": data,
                });
                if let Some(expires_at) = self.expires_at {
                    command["expiresAt"] = rfc3339_from_gps(expires_at).into();
                }
                command.to_string()
            }
            Dialect::TheThingsStack => json!({
                "downlinks": [{
                    "f_port": self.f_port,
                    "frm_payload": data,
                    "priority": "NORMAL",
                    "confirmed": false,
                    "correlation_ids": [format!("{CORRELATION_PREFIX}{}", self.item)],
                }]
            })
            .to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lorawan::Eui64;
    use serde_json::Value;

    fn push() -> Push {
        let dev_eui = Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 1]);
        Push {
            device: Address { dev_eui, application: "app1@ttn".to_owned(), device: "meter-1".to_owned() },
            item: ItemId::new(dev_eui, b"salt", 1),
            f_port: 200,
            payload: vec![0, 0xfb, 0xff],
            expires_at: GpsTime::from_unix_us(1_800_000_000_000_000),
        }
    }

    fn document(push: &Push, dialect: Dialect) -> Value {
        serde_json::from_str(&push.document(dialect)).unwrap()
    }

    #[test]
    fn a_command_of_chirpstack_is_unconfirmed_and_has_id_and_expiry() {
        let whole = json!({
            "id": push().item.to_string(),
            "devEui": "70b3d57ed0000001",
            "confirmed": false,
            "fPort": 200,
            "data": "APv/",
            "expiresAt": "2027-01-15T08:00:00Z",
        });
        assert_eq!(document(&push(), Dialect::ChirpStack), whole);
        let endless = Push { expires_at: None, ..push() };
        assert_eq!(document(&endless, Dialect::ChirpStack).get("expiresAt"), None);
    }

    #[test]
    fn a_push_of_the_things_stack_is_one_unconfirmed_item_of_normal_priority() {
        let whole = json!({"downlinks": [{
            "f_port": 200,
            "frm_payload": "APv/",
            "priority": "NORMAL",
            "confirmed": false,
            "correlation_ids": [format!("fuotad:{}", push().item)],
        }]});
        assert_eq!(document(&push(), Dialect::TheThingsStack), whole);
    }
}
