//! Why an emission was not handed to the packet forwarder.

use thiserror::Error;

use crate::time::Instant;

/// An emission did not leave for the forwarder; nothing of it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotSent {
    /// No packet forwarder has asked for downlinks lately, so there is no address to send to.
    #[error("no packet forwarder is online; check that its server_address leads here")]
    Offline,
    /// PROTOCOL.TXT version 1 has no TX_ACK: nobody would ever learn what became of the emission.
    #[error("protocol v1 has no TX_ACK; use a packet forwarder that speaks version 2")]
    ProtocolV1,
    /// The start is too near, or past, for the forwarder's queue.
    #[error("its start is {lead_us} us away, {needed_us} us are needed; plan it later")]
    TooLate {
        /// From now to the planned start in microseconds, 0 when that is past.
        lead_us: u64,
        /// What is needed in microseconds.
        needed_us: u64,
    },
    /// The start is too far away: an emission without a timestamp would go out before its time, one with a
    /// timestamp would rest on a counter that drifts.
    #[error("its start is {lead_us} us away, {allowed_us} us are allowed; hand it over later")]
    TooEarly {
        /// From now to the planned start in microseconds.
        lead_us: u64,
        /// What is allowed in microseconds.
        allowed_us: u64,
    },
    /// Too much is under way already.
    #[error("{outstanding} emissions are under way; the next may follow at {free_at}")]
    Busy {
        /// Emissions that are unanswered, queued or on the air.
        outstanding: usize,
        /// When to try again, at the latest known.
        free_at: Instant,
    },
    /// The forwarder would drop it without a word, radiate something else, or die of it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A value that must not reach a packet forwarder.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// Not a gateway id.
    #[error("a gateway id has 16 hexadecimal digits, this has {length} characters")]
    GatewayId {
        /// Bytes of the text.
        length: usize,
    },
    /// The forwarder indexes its tables with it unchecked.
    #[error("rf chain {rf_chain} does not exist; it is 0 or 1")]
    RfChain {
        /// The chain that was set.
        rf_chain: u8,
    },
    /// The radio takes 1 to 255 bytes.
    #[error("a payload of {bytes} bytes cannot be sent; 1 to 255 can")]
    Size {
        /// Bytes of the PHYPayload.
        bytes: usize,
    },
    /// Outside of what the concentrators reach, or between the steps of LoRaWAN frequencies.
    #[error("{frequency_hz} Hz cannot be asked for; it must be 100 to 1100 MHz in steps of 100 Hz")]
    Frequency {
        /// The centre frequency that was asked for, Hz.
        frequency_hz: u32,
    },
    /// The forwarder drops others silently.
    #[error(
        "modulation {datr} is unknown to packet forwarders; SF5 to SF12 at 125, 250, 500 kHz or GFSK are not"
    )]
    Modulation {
        /// `txpk.datr` as it would have been.
        datr: String,
    },
    /// The forwarder keeps `powe` in 8 bits and wraps it.
    #[error("powe would be {powe} dBm; it must be -20 to 50, check eirp and antenna gains")]
    Power {
        /// `txpk.powe` in whole dBm.
        powe: i32,
    },
}
