//! What a world of meters is made of.

use crate::fleet::FleetRules;
use crate::fleet::Setup;
use crate::lns::Dialect;
use crate::lorawan::Eui64;
use crate::lorawan::McAddr;
use crate::sim::device::Stack;
use std::collections::BTreeMap;

/// How unreliable the broker is, parts per million of the messages each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerScript {
    /// Messages that are lost.
    pub drops_ppm: u32,
    /// Messages that come twice.
    pub doubles_ppm: u32,
    /// Messages that are late by up to 10 s, so that others overtake them.
    pub delays_ppm: u32,
}

/// Where a server answers in RX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rx2Script {
    /// Uplinks of this spreading factor and slower ones are answered there, others where RX1 is not to be had
    /// (`rx2_prefer_on_rx1_dr_lt` of ChirpStack).
    pub from_sf: u8,
    /// Spreading factor of RX2 at 125 kHz; EU868's own is 12, that of The Things Network 9.
    pub sf: u8,
}

/// The application side of a network server in a world with a radio. The air of its own uplinks and downlinks is no
/// part of it unless that is wanted: what is lost is drawn, and its downlinks take no airtime.
#[derive(Clone, Debug)]
pub struct FieldScript {
    /// Which kind of server it is.
    pub dialect: Dialect,
    /// Uplinks of its devices disturb each other, on three channels and with eight demodulators.
    pub is_air_shared: bool,
    /// The devices behind it.
    pub devices: Vec<FieldDevice>,
}

/// One of these devices.
#[derive(Clone, Debug)]
pub struct FieldDevice {
    /// Its place among the devices of the world.
    pub device: usize,
    /// DevEUI of the device.
    pub dev_eui: Eui64,
    /// McAddr of its group.
    pub mc_addr: McAddr,
    /// Distance of its uplinks, microseconds; each varies by a twentieth.
    pub interval_us: u64,
    /// Uplinks and downlinks that are lost, parts per million.
    pub loss_ppm: u32,
    /// Whether its clock is right within its group's guard.
    pub is_clock_right: bool,
    /// It sends nothing from then on, microseconds after the world's zero.
    pub silent_from_us: Option<u64>,
}

/// A meter with its habits and its faults.
#[derive(Clone, Debug)]
pub struct MeterScript {
    /// The LoRaWAN stack that it runs.
    pub stack: Stack,
    /// TS004 version 2 instead of 1.
    pub is_v2: bool,
    /// Distance of its uplinks, seconds; each varies by a twentieth.
    pub interval_s: u64,
    /// Spreading factor of its uplinks at 125 kHz, 7 to 12.
    pub sf: u8,
    /// Uplinks that are lost, parts per million, in bursts of two on average.
    pub loss_ppm: u32,
    /// Downlinks that are lost, parts per million.
    pub downlink_loss_ppm: u32,
    /// Answers that come with a later uplink instead of at once, parts per million.
    pub late_ppm: u32,
    /// How far its clock is ahead, microseconds.
    pub clock_error_us: i64,
    /// McKey_encrypted was made with another root key.
    pub has_wrong_key: bool,
    /// Whether our gateway hears it; another one always does.
    pub is_in_reach: bool,
    /// It restarts and joins at this second.
    pub rejoins_at_s: Option<u64>,
    /// It answers commands (FPort, CID) with these bytes, whatever it would have said; empty: with nothing.
    pub says: BTreeMap<(u8, u8), Vec<u8>>,
    /// Uplinks before which another application queued a downlink, parts per million.
    pub foreign_ppm: u32,
}

impl MeterScript {
    /// A meter of the ideal stack without any fault that sends every `interval_s` seconds.
    pub fn new(interval_s: u64, sf: u8) -> MeterScript {
        MeterScript {
            stack: Stack::Ideal,
            is_v2: false,
            interval_s,
            sf,
            loss_ppm: 0,
            downlink_loss_ppm: 0,
            late_ppm: 0,
            clock_error_us: 0,
            has_wrong_key: false,
            is_in_reach: true,
            rejoins_at_s: None,
            says: BTreeMap::new(),
            foreign_ppm: 0,
        }
    }
}

/// Everything that a world of meters is made of.
#[derive(Clone, Debug)]
pub struct LnsScript {
    /// All randomness comes from it.
    pub seed: u64,
    /// What limits the dialogues; its dialect is that of the network server.
    pub rules: FleetRules,
    /// What the devices are to be told.
    pub setup: Setup,
    /// The meters, in the order of the results.
    pub meters: Vec<MeterScript>,
    /// How the broker treats messages.
    pub broker: BrokerScript,
    /// The gateway keeps EU868's duty cycle of 1 % in both sub-bands of its uplink channels.
    pub has_law: bool,
    /// Where the server answers in RX2; `None`: it never does.
    pub rx2: Option<Rx2Script>,
    /// The power goes during this changing operation of the disk, counted from the first.
    pub cut_at: Option<u64>,
    /// The process is away for so long after a cut, seconds.
    pub away_s: u64,
}

impl LnsScript {
    /// A world without faults and without law.
    pub fn new(rules: FleetRules, setup: Setup, meters: Vec<MeterScript>) -> LnsScript {
        LnsScript {
            seed: 1,
            rules,
            setup,
            meters,
            broker: BrokerScript::default(),
            has_law: false,
            rx2: None,
            cut_at: None,
            away_s: 30,
        }
    }
}
