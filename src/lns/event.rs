//! What a network server tells of a device.

use crate::lns::item_id::ItemId;
use crate::lorawan::Eui64;
use crate::radio::Modulation;

/// Where a device is found at its network server: learned from an event, given back with a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// DevEUI of the device.
    pub dev_eui: Eui64,
    /// The application as it stands in topics: a UUID (ChirpStack) or `app@tenant` (The Things Stack).
    pub application: String,
    /// The device as it stands in topics: its DevEUI (ChirpStack) or its device_id (The Things Stack).
    pub device: String,
}

/// One message of a network server about one of our devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The device that it is about.
    pub device: Address,
    /// What happened to the device.
    pub kind: EventKind,
}

/// What happened. `item` is `None` for an item that no fuotad queued.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// The device sent a frame. A server or a broker may tell of one frame twice.
    Up(Up),
    /// The server took a downlink into the device's queue; ChirpStack does not tell.
    Queued {
        /// The item that was queued.
        item: Option<ItemId>,
    },
    /// A gateway took the downlink for transmission (`txack` of ChirpStack, `down/sent` of The Things Stack).
    Sent {
        /// The item that was sent.
        item: Option<ItemId>,
        /// Frequency (Hz) and modulation that it was sent with; The Things Stack does not tell them.
        on: Option<(u32, Modulation)>,
    },
    /// The device acknowledged a confirmed downlink: another application's, ours are unconfirmed.
    Ack {
        /// The item that was acknowledged.
        item: Option<ItemId>,
    },
    /// The device did not acknowledge a confirmed downlink.
    Nack {
        /// The item without an acknowledgement.
        item: Option<ItemId>,
    },
    /// The server gave a downlink up.
    Failed {
        /// The item, where the server names it.
        item: Option<ItemId>,
        /// Why, as far as we know the server's word for it.
        code: FailureCode,
        /// The server's own sentence.
        text: String,
    },
    /// The device joined: it has new session keys, and probably it was restarted.
    Join,
    /// A line of the server's log about the device.
    Log {
        /// How grave it is.
        level: LogLevel,
        /// The server's code, for example `OTAA`; empty without one.
        code: String,
        /// The server's own sentence.
        text: String,
    },
}

/// One uplink of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Up {
    /// FCnt of the uplink, 32 bits as the server counts.
    pub f_cnt: u32,
    /// FPort; 0 for a frame without payload.
    pub f_port: u8,
    /// FRMPayload, decrypted by the server.
    pub data: Vec<u8>,
    /// Data rate index of the region, where the server tells it.
    pub data_rate: Option<u8>,
    /// The modulation of the frame, where the server tells it.
    pub modulation: Option<Modulation>,
    /// Frequency of the uplink in Hz, where the server tells it.
    pub frequency_hz: Option<u32>,
    /// Whether the uplink was confirmed.
    pub confirmed: bool,
    /// The ADR bit of the uplink; The Things Stack does not tell it.
    pub adr: Option<bool>,
    /// The gateways that received it; those without an EUI (another network's) are left out.
    pub receptions: Vec<Reception>,
    /// Whether a TS011 relay passed the frame on.
    pub via_relay: bool,
}

/// How one gateway received an uplink.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reception {
    /// EUI of the gateway.
    pub gateway_eui: Eui64,
    /// RSSI of the channel, dBm.
    pub rssi_dbm: f32,
    /// Signal to noise ratio, dB.
    pub snr_db: f32,
}

/// Why a server gave a downlink up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureCode {
    /// It is longer than the data rate allows.
    TooLong,
    /// Its time was over before it could be sent.
    Expired,
    /// A gateway refused or could not send it.
    Gateway,
    /// The device has no session: it must join first.
    NoSession,
    /// Another reason, in the server's own word.
    Other(String),
}

/// How grave a line of a server's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing is wrong (`INFO`).
    Info,
    /// Something may go wrong.
    Warning,
    /// Something went wrong (`ERROR`).
    Error,
}
