//! Settings of a network server and of the traffic of its devices.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::lorawan::McSessionKeys;
use crate::radio::Modulation;
use crate::sim::server::windows::Windows;

/// A real network server whose behaviour is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// ChirpStack: a refused RX1 is tried again in RX2 at once; Class C goes as `imme`; no `ncrc`.
    ChirpStack,
    /// The Things Stack: what is refused is lost; Class C is timed by the counter, 530 ms ahead, never `imme`.
    TheThingsStack,
}

/// A downlink to a multicast address that the server should know nothing of.
#[derive(Clone, Debug)]
pub struct Multicast {
    /// DevAddr to which it is sent.
    pub dev_addr: u32,
    /// The first one after so many microseconds, and one more each time they passed again; at least 1.
    pub every_us: u64,
    /// The group's keys; without them its MIC is a fixed pattern, which is wrong.
    pub keys: Option<McSessionKeys>,
}

/// Settings of a network server.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The real server whose behaviour it follows.
    pub manner: Manner,
    /// Its Class A devices, by DevAddr.
    pub class_a: BTreeSet<u32>,
    /// Its Class C devices, by DevAddr; they are answered as Class A devices are.
    pub class_c: BTreeSet<u32>,
    /// JoinEUIs whose join-requests it accepts.
    pub join_euis: BTreeSet<u64>,
    /// Part of the unconfirmed uplinks of its devices that get an answer, in millionths; a confirmed uplink and a
    /// join-request always get one.
    pub answered_ppm: u32,
    /// Class C downlinks an hour, to one of [`ServerSettings::class_c`] each.
    pub class_c_per_hour: u32,
    /// Where its devices listen.
    pub windows: Windows,
    /// `powe` of its downlinks, dBm.
    pub power_dbm: u8,
    /// Bytes of FRMPayload of its downlinks, at most 222.
    pub payload_bytes: u8,
    /// From an uplink's arrival to its answer, microseconds: other gateways are awaited meanwhile.
    pub thinks_us: u64,
    /// Downlinks to an address that is not its own.
    pub multicast: Option<Multicast>,
}

/// ChirpStack with one device, all of whose uplinks are answered in 300 ms.
impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            manner: Manner::ChirpStack,
            class_a: BTreeSet::from([0x0100_0001]),
            class_c: BTreeSet::new(),
            join_euis: BTreeSet::from([JOIN_EUI]),
            answered_ppm: 1_000_000,
            class_c_per_hour: 0,
            windows: Windows::default(),
            power_dbm: 14,
            payload_bytes: 12,
            thinks_us: 300_000,
            multicast: None,
        }
    }
}

/// The JoinEUI that joins use by default.
const JOIN_EUI: u64 = 0x70b3_d57e_d000_0000;

/// Settings of the devices that send uplinks.
#[derive(Clone, Debug)]
pub struct TrafficSettings {
    /// DevAddrs, each as likely as the others to be the next to talk.
    pub devices: Vec<u32>,
    /// Data uplinks an hour of all devices together.
    pub uplinks_per_hour: u32,
    /// Join-requests an hour of all devices together.
    pub joins_per_hour: u32,
    /// Part of the data uplinks that are confirmed, in millionths.
    pub confirmed_ppm: u32,
    /// JoinEUI of the join-requests.
    pub join_eui: u64,
    /// Uplink channels, each as likely: centre in Hz and the data rates used on it.
    pub channels: BTreeMap<u32, Vec<Modulation>>,
    /// Least and most bytes of FRMPayload, at most 222.
    pub payload_bytes: (u8, u8),
    /// Where the devices listen afterwards: as the server believes.
    pub windows: Windows,
}

/// One device on the three EU868 channels at DR0..DR5, once a minute.
impl Default for TrafficSettings {
    fn default() -> Self {
        let rates = || (7..=12).map(|sf| Modulation::LoRa { sf, bw_hz: 125_000 }).collect::<Vec<_>>();
        TrafficSettings {
            devices: vec![0x0100_0001],
            uplinks_per_hour: 60,
            joins_per_hour: 0,
            confirmed_ppm: 100_000,
            join_eui: JOIN_EUI,
            channels: [868_100_000, 868_300_000, 868_500_000].map(|hz| (hz, rates())).into(),
            payload_bytes: (4, 40),
            windows: Windows::default(),
        }
    }
}
