//! The messages of The Things Stack v3 in JSON. Members that are zero, false or empty are left out.

use serde::Deserialize;
use serde_json::Value;

use crate::lns::document::base64;
use crate::lns::document::dev_eui;
use crate::lns::document::f_port;
use crate::lns::document::lora;
use crate::lns::document::read;
use crate::lns::event::EventKind;
use crate::lns::event::FailureCode;
use crate::lns::event::Reception;
use crate::lns::event::Up;
use crate::lns::item_id::ItemId;
use crate::lns::push::CORRELATION_PREFIX;
use crate::lns::read_error::ReadError;
use crate::lns::topics::Kind;
use crate::lorawan::Eui64;

/// All kinds of message in one: each has `end_device_ids` and one of the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    end_device_ids: EndDeviceIds,
    uplink_message: Uplink,
    downlink_queued: Downlink,
    downlink_sent: Downlink,
    downlink_ack: Downlink,
    downlink_nack: Downlink,
    downlink_failed: Failed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndDeviceIds {
    dev_eui: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Uplink {
    f_cnt: u32,
    f_port: u32,
    frm_payload: String,
    rx_metadata: Vec<RxMetadata>,
    settings: Settings,
    confirmed: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RxMetadata {
    gateway_ids: GatewayIds,
    rssi: f32,
    snr: f32,
    relay: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GatewayIds {
    eui: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    data_rate: DataRate,
    data_rate_index: Option<u8>,
    /// Hz, as a text.
    frequency: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DataRate {
    lora: Lora,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lora {
    bandwidth: u32,
    spreading_factor: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Downlink {
    correlation_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failed {
    downlink: Downlink,
    error: ErrorJson,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorJson {
    name: String,
    message_format: String,
}

/// What happened, and the DevEUI that the message names: those about downlinks may name the device_id only.
pub(super) fn event(kind: Kind, payload: &[u8]) -> Result<(Option<Eui64>, EventKind), ReadError> {
    let message: Message = read(payload)?;
    let named = Some(message.end_device_ids.dev_eui.as_str()).filter(|text| !text.is_empty());
    let dev_eui = named.map(|text| dev_eui("end_device_ids.dev_eui", text)).transpose()?;
    let happened = match kind {
        Kind::Up => EventKind::Up(message.uplink_message.up()?),
        Kind::Queued => EventKind::Queued { item: message.downlink_queued.item() },
        Kind::Sent => EventKind::Sent { item: message.downlink_sent.item(), on: None },
        Kind::Ack => EventKind::Ack { item: message.downlink_ack.item() },
        Kind::Nack => EventKind::Nack { item: message.downlink_nack.item() },
        Kind::Failed | Kind::Log => message.downlink_failed.kind(),
        Kind::Join => EventKind::Join,
    };
    Ok((dev_eui, happened))
}

impl Uplink {
    fn up(self) -> Result<Up, ReadError> {
        let reception = |rx: &RxMetadata| {
            let gateway_eui = rx.gateway_ids.eui.parse().ok()?;
            Some(Reception { gateway_eui, rssi_dbm: rx.rssi, snr_db: rx.snr })
        };
        let is_relayed = |rx: &RxMetadata| rx.relay.as_ref().is_some_and(|relay| !relay.is_null());
        let modulation = &self.settings.data_rate.lora;
        Ok(Up {
            f_cnt: self.f_cnt,
            f_port: f_port("uplink_message.f_port", self.f_port)?,
            data: base64("uplink_message.frm_payload", &self.frm_payload)?,
            data_rate: self.settings.data_rate_index,
            modulation: lora(modulation.spreading_factor, modulation.bandwidth),
            frequency_hz: self.settings.frequency.parse().ok(),
            confirmed: self.confirmed,
            adr: None,
            receptions: self.rx_metadata.iter().filter_map(reception).collect(),
            via_relay: self.rx_metadata.iter().any(is_relayed),
        })
    }
}

impl Downlink {
    /// The server adds correlation ids of its own around ours.
    fn item(&self) -> Option<ItemId> {
        self.correlation_ids.iter().find_map(|id| id.strip_prefix(CORRELATION_PREFIX)?.parse().ok())
    }
}

impl Failed {
    fn kind(self) -> EventKind {
        let code = match self.error.name.as_str() {
            "application_downlink_too_long" => FailureCode::TooLong,
            "downlink_expired" => FailureCode::Expired,
            "no_device_session" | "unknown_session" | "empty_session" => FailureCode::NoSession,
            "no_downlink_path" | "schedule" => FailureCode::Gateway,
            other => FailureCode::Other(other.to_owned()),
        };
        EventKind::Failed { item: self.downlink.item(), code, text: self.error.message_format }
    }
}
