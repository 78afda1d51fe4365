//! What a link tells: verdicts, what it heard, and what it knows.

use core::fmt;
use std::net::SocketAddr;

use crate::radio::Dbm;
use crate::radio::Modulation;
use crate::radio::uplink_airtime_us;
use crate::time::Instant;
use crate::time::Tmst;

use super::obstacle::Obstacle;
use super::other_senders::OtherSender;
use super::rxpk::Stat;
use super::settings::GatewayId;
use super::settings::PullAddress;
use super::txnb_audit::Accounted;

/// The name the caller gave an emission; verdicts carry it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmissionId(pub u64);

/// One wish of the link, taken with [`super::Link::poll`].
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send these bytes from the socket the forwarder talks to.
    Datagram {
        /// Address and port of the forwarder's socket.
        to: SocketAddr,
        /// Header and JSON, as they go out.
        bytes: Vec<u8>,
    },
    /// Something the layers above may want to know.
    Event(Event),
}

/// What happened on the link.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Our forwarder asked for downlinks: for the first time, after a silence, or from a new address.
    Online {
        /// EUI of the gateway in its header.
        gateway: GatewayId,
        /// Where downlinks go from now on.
        from: SocketAddr,
        /// Version of the protocol: one of version 1 never acknowledges a downlink, so no campaign runs on it.
        version: u8,
    },
    /// Somebody else sends here: neither acknowledged nor relayed.
    OtherSender {
        /// Its EUI and address.
        sender: OtherSender,
        /// EUI of the gateway that is served instead.
        served: Option<GatewayId>,
        /// The operator named that gateway; else it is the first one that was heard.
        is_configured: bool,
    },
    /// Three keepalives are missing; nothing is sent until one comes.
    Offline {
        /// Since the last PULL_DATA, in microseconds.
        silent_us: u64,
    },
    /// What became of an emission: exactly one for each that was sent.
    Verdict {
        /// The emission that was given to [`Link::send`](super::link::Link::send).
        id: EmissionId,
        /// Queued, refused, or without an answer.
        verdict: Verdict,
    },
    /// The concentrator's counter is known: emissions go out by timestamp.
    CounterKnown {
        /// How wrong it may be, in microseconds.
        error_us: u64,
    },
    /// The counter is unknown again; what was queued by it may never go out, or at another time.
    CounterLost {
        /// What showed that the old estimate is void.
        why: CounterLoss,
    },
    /// The forwarder's own statistics (PROTOCOL.TXT 4, `stat`).
    Stat(Stat),
    /// What became of frames that were acknowledged.
    Accounted(Accounted),
    /// A packet was received from the air.
    Uplink(Uplink),
    /// A datagram that is not as it should be. It was counted, and acknowledged if its header allowed.
    Malformed {
        /// What was wrong with it.
        kind: MalformedKind,
    },
    /// The forwarder radiates less than was asked for.
    PowerReduced {
        /// The emission that goes out too weak.
        id: EmissionId,
        /// Conducted power asked for: `powe` minus the forwarder's antenna gain.
        asked: Dbm,
        /// Conducted power as the forwarder said.
        granted: Dbm,
    },
    /// The forwarder's answer to a network server's downlink, to be passed on.
    Answered {
        /// The downlink that was given to [`Link::relay`](super::link::Link::relay).
        id: EmissionId,
        /// The JSON of its TX_ACK as it came; empty means queued.
        body: Vec<u8>,
        /// It will not be radiated.
        is_refused: bool,
    },
    /// The forwarder radiates MORE than was asked for: below the lowest step of its gain table it takes that
    /// step. A limit of law may be broken.
    PowerExceeded {
        /// The emission that goes out too strong.
        id: EmissionId,
        /// Conducted power asked for: `powe` minus the forwarder's antenna gain.
        asked: Dbm,
        /// Conducted power as the forwarder said.
        granted: Dbm,
    },
}

/// What the forwarder said of an emission (TX_ACK, PROTOCOL.TXT 5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the forwarder's queue: not yet on the air.
    Queued {
        /// When it goes on the air, as well as it is known.
        start: Instant,
        /// Conducted power in dBm, when the forwarder changed it (warning TX_POWER).
        power: Option<Dbm>,
    },
    /// It will not go on the air.
    Refused(Refusal),
    /// No answer came: it may or may not go on the air.
    Silent {
        /// It was sent without a timestamp, so it was not repeated: a second copy would be a second emission.
        immediate: bool,
    },
}

/// Why the forwarder will not send (PROTOCOL.TXT 6, `txpk_ack.error`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too late to program it.
    TooLate,
    /// Its timestamp is past, or more than 512 s ahead.
    TooEarly,
    /// Another packet is there, or the queue is full.
    CollisionPacket,
    /// A beacon is there.
    CollisionBeacon,
    /// The frequency is outside of the chain's range.
    TxFreq,
    /// The power is not supported (forwarders for the SX1301).
    TxPower,
    /// GPS time was asked for without a GPS.
    GpsUnlocked,
    /// Any other text, cut to 64 bytes.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::TooLate => "TOO_LATE",
            Refusal::TooEarly => "TOO_EARLY",
            Refusal::CollisionPacket => "COLLISION_PACKET",
            Refusal::CollisionBeacon => "COLLISION_BEACON",
            Refusal::TxFreq => "TX_FREQ",
            Refusal::TxPower => "TX_POWER",
            Refusal::GpsUnlocked => "GPS_UNLOCKED",
            Refusal::Other(text) => text,
        })
    }
}

/// Why the counter is unknown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterLoss {
    /// An uplink's timestamp is off the prediction: the concentrator was started anew.
    Jumped {
        /// By how much, in microseconds; positive is ahead.
        by_us: i64,
    },
    /// PULL_DATA came from a new address: the forwarder was started anew.
    NewSource,
    /// Another gateway was adopted because the one before fell silent.
    OtherGateway,
    /// The forwarder called something planned ahead TOO_EARLY, so our idea of its counter is wrong.
    TooEarly,
    /// No uplink came for so long that drift made the estimate useless.
    Aged,
}

impl fmt::Display for CounterLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CounterLoss::Jumped { by_us } => write!(f, "it jumped by {by_us} us: the forwarder restarted"),
            CounterLoss::NewSource => f.write_str("the forwarder sends from a new port: it restarted"),
            CounterLoss::OtherGateway => {
                f.write_str("another packet forwarder is served, because the one before fell silent")
            }
            CounterLoss::TooEarly => f.write_str("the forwarder answered TOO_EARLY: our model is wrong"),
            CounterLoss::Aged => f.write_str("no uplink has confirmed it for minutes"),
        }
    }
}

/// A look at one received packet, enough to keep the air free for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// When the datagram came.
    pub received: Instant,
    /// When the reception ended, by the counter; `received` while the counter is unknown.
    pub ended: Instant,
    /// The counter at the end of the reception.
    pub tmst: Tmst,
    /// GPS milliseconds at the end of the reception as the forwarder says. It may be 2^32 us wrong when the
    /// packet came before the GPS pulse it was compared with.
    pub gps_ms: Option<u64>,
    /// Centre frequency in Hz.
    pub frequency_hz: Option<u32>,
    /// How it was modulated.
    pub modulation: Option<Modulation>,
    /// Bytes of the payload.
    pub size: Option<u16>,
    /// First byte of the payload.
    pub first_byte: Option<u8>,
    /// The four bytes after it: DevAddr, if it is a data frame.
    pub dev_addr: Option<u32>,
    /// False when the forwarder says the CRC is bad or missing.
    pub crc_ok: bool,
}

impl Uplink {
    /// How it was modulated and how long it was on the air, microseconds, if the forwarder says that.
    pub fn on_air(&self) -> Option<(Modulation, u64)> {
        let (modulation, size) = self.modulation.zip(self.size)?;
        Some((modulation, uplink_airtime_us(modulation, usize::from(size))))
    }
}

/// In what respect a datagram is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedKind {
    /// Too short for its header.
    Short {
        /// Length of the datagram, bytes.
        bytes: usize,
    },
    /// Neither version 1 nor 2.
    Version(u8),
    /// Not something a packet forwarder sends to its server.
    Identifier(u8),
    /// PUSH_DATA whose JSON cannot be read; it was acknowledged.
    Json,
    /// TX_ACK whose JSON cannot be read; it answers nothing.
    TxAckBody {
        /// Token of that TX_ACK, which is thrown away.
        token: u16,
    },
    /// TX_ACK that nobody waits for: late, a duplicate, or from a wrong place.
    UnknownAck {
        /// Token that no pending downlink has.
        token: u16,
    },
}

/// How early an emission should be handed over, and how far apart they must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long before its start an emission should be handed over, in microseconds.
    pub lead_us: u64,
    /// How long before its start it must be handed over at the latest, in microseconds.
    pub lead_min_us: u64,
    /// From the end of one emission to the start of the next, at least, in microseconds.
    pub gap_us: u64,
}

/// What is known of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterEstimate {
    /// How wrong it may be, in microseconds.
    pub error_us: u64,
}

/// How often things happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// PUSH_DATA of our gateway, each acknowledged.
    pub pushes: u64,
    /// Uplinks in them: packets whose CRC is good, or is not said to be bad.
    pub uplinks: u64,
    /// PULL_DATA of our gateway, each acknowledged.
    pub pulls: u64,
    /// Datagrams that cannot be read, see [`MalformedKind`]; unknown TX_ACKs are counted apart.
    pub malformed: u64,
    /// TX_ACKs that nobody waited for.
    pub unknown_acks: u64,
    /// Datagrams of other gateways, or in our gateway's name from another host; none is acknowledged.
    pub foreign: u64,
    /// Datagrams dropped unread because outputs were not taken.
    pub dropped: u64,
    /// Frames that the forwarder acknowledged and never gave to its radio, as far as that shows.
    pub silently_dropped: u64,
}

/// The link at a glance, for status pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkState {
    /// Our forwarder, once it is known.
    pub gateway: Option<GatewayId>,
    /// Where downlinks go while it is online.
    pub online: Option<SocketAddr>,
    /// Why nothing can be handed over, while there is a reason.
    pub obstacle: Option<Obstacle>,
    /// What the next life of the process should know of that.
    pub pull_address: Option<PullAddress>,
    /// The counter, while it is usable.
    pub counter: Option<CounterEstimate>,
    /// The newest `stat` object (PROTOCOL.TXT 4), if any came.
    pub stat: Option<Stat>,
    /// How often things happened.
    pub counts: Counts,
}
