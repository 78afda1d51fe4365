//! The documents of both dialects, written and read without the room that they are for.

use crate::lns::Dialect;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;

/// EUIs of our gateway and of one further away.
pub(super) const OUR_GATEWAY: &str = "0016c001f1500812";
const OTHER_GATEWAY: &str = "0016c001f15000ff";

/// A message that a server publishes: topic and payload.
pub(super) type Published = (String, Vec<u8>);

/// One uplink as it is told.
pub(super) struct Uplink<'a> {
    pub(super) f_cnt: u32,
    pub(super) f_port: u8,
    pub(super) data: &'a [u8],
    pub(super) sf: u8,
    pub(super) frequency_hz: u32,
    pub(super) is_heard_here: bool,
}

/// What a server tells of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Queued,
    Sent { hz: u32, sf: u8 },
    Expired,
    TooLong,
    Gateway,
}

/// A downlink that an application published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Down {
    pub(super) dev_eui: String,
    /// The id that comes back; empty without one.
    pub(super) id: String,
    pub(super) f_port: u8,
    pub(super) payload: Vec<u8>,
    pub(super) expires_at: Option<String>,
}

/// Writes and reads for one dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Documents(pub(super) Dialect);

impl Documents {
    pub(super) fn application(self) -> &'static str {
        match self.0 {
            Dialect::ChirpStack => "ae4cb3a7-0e2c-4d1c-8c6d-1d0f8c7c2a11",
            Dialect::TheThingsStack => "meters@ttn",
        }
    }

    fn topic(self, dev_eui: &str, end: &str) -> String {
        let application = self.application();
        match self.0 {
            Dialect::ChirpStack => format!("application/{application}/device/{dev_eui}/event/{end}"),
            Dialect::TheThingsStack => format!("v3/{application}/devices/meter-{dev_eui}/{end}"),
        }
    }

    fn ids(self, dev_eui: &str) -> Value {
        match self.0 {
            Dialect::ChirpStack => json!({ "devEui": dev_eui }),
            Dialect::TheThingsStack => {
                json!({ "device_id": format!("meter-{dev_eui}"), "dev_eui": dev_eui.to_uppercase() })
            }
        }
    }

    pub(super) fn up(self, dev_eui: &str, uplink: &Uplink<'_>) -> Published {
        let (data, ids) = (BASE64_STANDARD.encode(uplink.data), self.ids(dev_eui));
        let (f_cnt, f_port) = (uplink.f_cnt, uplink.f_port);
        let document = match self.0 {
            Dialect::ChirpStack => {
                let mut rx_info = vec![json!({ "gatewayId": OTHER_GATEWAY, "rssi": -118, "snr": -18.0 })];
                if uplink.is_heard_here {
                    rx_info.push(json!({ "gatewayId": OUR_GATEWAY, "rssi": -90, "snr": 7.0 }));
                }
                let lora = json!({ "bandwidth": 125_000, "spreadingFactor": uplink.sf });
                json!({
                    "deviceInfo": ids, "fCnt": f_cnt, "fPort": f_port, "data": data, "dr": 12 - uplink.sf,
                    "rxInfo": rx_info, "txInfo": { "frequency": uplink.frequency_hz, "modulation": { "lora": lora } },
                })
            }
            Dialect::TheThingsStack => {
                let gateway = |eui: &str, snr: f64| json!({ "gateway_ids": { "eui": eui.to_uppercase() }, "rssi": -90, "snr": snr });
                let mut rx_metadata = vec![gateway(OTHER_GATEWAY, -18.0)];
                if uplink.is_heard_here {
                    rx_metadata.push(gateway(OUR_GATEWAY, 7.0));
                }
                let lora = json!({ "bandwidth": 125_000, "spreading_factor": uplink.sf });
                json!({
                    "end_device_ids": ids,
                    "uplink_message": {
                        "f_cnt": f_cnt, "f_port": f_port, "frm_payload": data, "rx_metadata": rx_metadata,
                        "settings": {
                            "data_rate": { "lora": lora }, "frequency": uplink.frequency_hz.to_string(),
                        },
                    },
                })
            }
        };
        (self.topic(dev_eui, "up"), document.to_string().into_bytes())
    }

    pub(super) fn join(self, dev_eui: &str) -> Published {
        let ids = self.ids(dev_eui);
        let document = match self.0 {
            Dialect::ChirpStack => json!({ "deviceInfo": ids, "devAddr": "01020304" }),
            Dialect::TheThingsStack => json!({ "end_device_ids": ids, "join_accept": {} }),
        };
        (self.topic(dev_eui, "join"), document.to_string().into_bytes())
    }

    /// What became of an item; `None` where the dialect does not tell.
    pub(super) fn fate(self, dev_eui: &str, id: &str, fate: Fate) -> Option<Published> {
        let ids = self.ids(dev_eui);
        let (end, document) = match self.0 {
            Dialect::ChirpStack => {
                let log = |code: &str| {
                    json!({
                        "deviceInfo": ids, "level": "ERROR", "code": code, "description": code,
                        "context": { "queue_item_id": id },
                    })
                };
                match fate {
                    Fate::Queued => return None,
                    Fate::Sent { hz, sf } => {
                        let lora = json!({ "bandwidth": 125_000, "spreadingFactor": sf });
                        let tx_info = json!({ "frequency": hz, "modulation": { "lora": lora } });
                        let document =
                            json!({ "deviceInfo": ids, "queueItemId": id, "fCntDown": 7, "txInfo": tx_info });
                        ("txack", document)
                    }
                    Fate::Expired => ("log", log("EXPIRED")),
                    Fate::TooLong => ("log", log("DOWNLINK_PAYLOAD_SIZE")),
                    Fate::Gateway => ("log", log("DOWNLINK_GATEWAY")),
                }
            }
            Dialect::TheThingsStack => {
                let item = json!({ "f_cnt": 7, "correlation_ids": ["as:downlink:01", id] });
                let failed = |name: &str| {
                    json!({
                        "end_device_ids": ids,
                        "downlink_failed": { "downlink": item, "error": { "name": name, "message_format": name } },
                    })
                };
                match fate {
                    Fate::Queued => {
                        ("down/queued", json!({ "end_device_ids": ids, "downlink_queued": item }))
                    }
                    Fate::Sent { .. } => {
                        ("down/sent", json!({ "end_device_ids": ids, "downlink_sent": item }))
                    }
                    Fate::Expired => return None,
                    Fate::TooLong => ("down/failed", failed("application_downlink_too_long")),
                    Fate::Gateway => ("down/failed", failed("no_downlink_path")),
                }
            }
        };
        Some((self.topic(dev_eui, end), document.to_string().into_bytes()))
    }

    /// Reads a published downlink as the server would; `Err` is what is wrong with it.
    pub(super) fn read_down(self, topic: &str, payload: &[u8]) -> Result<Down, String> {
        let wrong = |what: &str| format!("{topic}: {what}");
        let document: Value = serde_json::from_slice(payload).map_err(|error| wrong(&error.to_string()))?;
        let levels: Vec<&str> = topic.split('/').collect();
        let (dev_eui, item, f_port, data, id) = match self.0 {
            Dialect::ChirpStack => {
                let ["application", _, "device", dev_eui, "command", "down"] = levels[..] else {
                    return Err(wrong("no topic for a downlink"));
                };
                if document["devEui"] != dev_eui {
                    return Err(wrong("devEui is not the topic's"));
                }
                let id = document["id"].as_str().unwrap_or_default().to_owned();
                (dev_eui.to_owned(), document.clone(), "fPort", "data", id)
            }
            Dialect::TheThingsStack => {
                let ["v3", _, "devices", device_id, "down", "push"] = levels[..] else {
                    return Err(wrong("not `down/push`: it would replace or empty the queue"));
                };
                let Some([item]) = document["downlinks"].as_array().map(Vec::as_slice) else {
                    return Err(wrong("not one downlink"));
                };
                if item["priority"] != "NORMAL" {
                    return Err(wrong("priority is not NORMAL"));
                }
                let dev_eui = device_id.strip_prefix("meter-").ok_or_else(|| wrong("no device_id"))?;
                let id = item["correlation_ids"][0].as_str().unwrap_or_default().to_owned();
                (dev_eui.to_owned(), item.clone(), "f_port", "frm_payload", id)
            }
        };
        if item["confirmed"] != false {
            return Err(wrong("confirmed"));
        }
        let payload = item[data].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
        Ok(Down {
            dev_eui,
            id,
            f_port: item[f_port].as_u64().and_then(|port| u8::try_from(port).ok()).unwrap_or(0),
            payload: payload.ok_or_else(|| wrong("no base64"))?,
            expires_at: item["expiresAt"].as_str().map(str::to_owned),
        })
    }
}
