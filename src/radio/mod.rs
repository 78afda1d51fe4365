//! Modulation, power, time on air and emissions.
//!
//! The documents are Semtech's AN1200.13 and SX126x data sheet 6.1.4 (time on air), TS001-1.0.4 and
//! RP002-1.0.4, physical layer (preambles, coding rate, CRC of LoRaWAN frames). This room knows no region, no
//! law and no frame format: a payload is bytes.

mod air_limit;
mod airtime;
mod emission;
mod minute_load;
mod modulation;
mod power;
mod uplinks;

pub use air_limit::AirLimit;
pub use airtime::AirtimeError;
pub use airtime::LoRaPacket;
pub use airtime::MAX_PHY_LEN;
pub use airtime::NOT_SENDABLE_US;
pub use airtime::downlink_airtime_us;
pub use airtime::forwarder_airtime_us;
pub use airtime::gfsk_airtime_us;
pub use airtime::lora_airtime_us;
pub use airtime::uplink_airtime_us;
pub use emission::Emission;
pub use minute_load::MinuteLoad;
pub use modulation::Modulation;
pub use modulation::UnknownDatr;
pub use power::Dbm;
pub use uplinks::UplinkMix;
pub use uplinks::UplinkRate;
