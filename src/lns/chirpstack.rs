//! The events of ChirpStack v4 in JSON. Members that are zero, false or empty are left out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::lns::document::base64;
use crate::lns::document::dev_eui;
use crate::lns::document::f_port;
use crate::lns::document::lora;
use crate::lns::document::read;
use crate::lns::event::EventKind;
use crate::lns::event::FailureCode;
use crate::lns::event::LogLevel;
use crate::lns::event::Reception;
use crate::lns::event::Up;
use crate::lns::item_id::ItemId;
use crate::lns::read_error::ReadError;
use crate::lns::topics::Kind;
use crate::lorawan::Eui64;
use crate::radio::Modulation;

/// All kinds of event in one: each has `deviceInfo` and some of the others.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EventJson {
    device_info: DeviceInfo,
    adr: bool,
    dr: u32,
    f_cnt: u32,
    f_port: u32,
    confirmed: bool,
    data: String,
    rx_info: Vec<RxInfo>,
    tx_info: TxInfo,
    relay_rx_info: Option<Value>,
    queue_item_id: String,
    acknowledged: bool,
    level: String,
    code: String,
    description: String,
    context: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeviceInfo {
    dev_eui: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RxInfo {
    gateway_id: String,
    rssi: f32,
    snr: f32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TxInfo {
    frequency: u32,
    modulation: ModulationJson,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModulationJson {
    lora: LoraJson,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LoraJson {
    bandwidth: u32,
    spreading_factor: u32,
}

/// The DevEUI that a message names, and what happened.
pub(super) fn event(kind: Kind, payload: &[u8]) -> Result<(Eui64, EventKind), ReadError> {
    let event: EventJson = read(payload)?;
    let dev_eui = dev_eui("deviceInfo.devEui", &event.device_info.dev_eui)?;
    let item = event.queue_item_id.parse::<ItemId>().ok();
    let happened = match kind {
        Kind::Up => EventKind::Up(event.up()?),
        Kind::Queued => EventKind::Queued { item },
        Kind::Sent => EventKind::Sent { item, on: event.tx_info.on() },
        Kind::Ack if event.acknowledged => EventKind::Ack { item },
        Kind::Ack | Kind::Nack => EventKind::Nack { item },
        Kind::Join => EventKind::Join,
        Kind::Failed | Kind::Log => event.log(),
    };
    Ok((dev_eui, happened))
}

impl TxInfo {
    /// Frequency and modulation, where both are told.
    fn on(&self) -> Option<(u32, Modulation)> {
        let LoraJson { spreading_factor, bandwidth } = self.modulation.lora;
        Some((self.frequency, lora(spreading_factor, bandwidth)?)).filter(|(hz, _)| *hz > 0)
    }
}

impl EventJson {
    fn up(self) -> Result<Up, ReadError> {
        let reception = |rx: &RxInfo| {
            let gateway_eui = rx.gateway_id.parse().ok()?;
            Some(Reception { gateway_eui, rssi_dbm: rx.rssi, snr_db: rx.snr })
        };
        let modulation = &self.tx_info.modulation.lora;
        Ok(Up {
            f_cnt: self.f_cnt,
            f_port: f_port("fPort", self.f_port)?,
            data: base64("data", &self.data)?,
            data_rate: u8::try_from(self.dr).ok(),
            modulation: lora(modulation.spreading_factor, modulation.bandwidth),
            frequency_hz: Some(self.tx_info.frequency).filter(|hz| *hz > 0),
            confirmed: self.confirmed,
            adr: Some(self.adr),
            receptions: self.rx_info.iter().filter_map(reception).collect(),
            via_relay: self.relay_rx_info.is_some_and(|info| !info.is_null()),
        })
    }

    /// A line of the log: the end of an item, where its code says so.
    fn log(self) -> EventKind {
        let failure = match self.code.as_str() {
            "DOWNLINK_PAYLOAD_SIZE" => FailureCode::TooLong,
            "EXPIRED" => FailureCode::Expired,
            "DOWNLINK_GATEWAY" => FailureCode::Gateway,
            _ => {
                let level = match self.level.as_str() {
                    "ERROR" => LogLevel::Error,
                    "WARNING" => LogLevel::Warning,
                    _ => LogLevel::Info,
                };
                return EventKind::Log { level, code: self.code, text: self.description };
            }
        };
        let item = self.context.get("queue_item_id").and_then(|id| id.parse().ok());
        EventKind::Failed { item, code: failure, text: self.description }
    }
}
