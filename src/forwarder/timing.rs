//! The forwarder's distances: how far apart, how early and how late a packet may be for its queue. "Measured" is
//! said of the packet forwarder of sx1302_hal 2.1.0, its radio replaced below the HAL.

/// Least free air between two packets with a timestamp, microseconds. Measured: 42.0 to 43.0 ms; the rest is margin.
pub const GAP_US: u64 = 45_000;

/// A packet with a timestamp nearer than this is refused with TOO_LATE, microseconds. Measured: 42.5 ms, from 43.0 ms
/// on it was always taken.
pub const LATEST_US: u64 = 43_000;

/// From a packet without a timestamp ("immediate") to its start on a free radio, microseconds. Measured: 80.2 ms.
pub const IMMEDIATE_LEAD_US: u64 = 80_000;

/// How far the start of an immediate packet may be from [`IMMEDIATE_LEAD_US`], microseconds: its
/// poll of 10 ms and a busy bus.
pub const IMMEDIATE_SLACK_US: u64 = 20_000;

/// From the end of a packet until the next immediate one is safe, microseconds. Measured: from 40 ms on none was lost.
pub const IMMEDIATE_HOLD_US: u64 = 60_000;

/// How early packets with a timestamp are handed over, microseconds: a lost TX_ACK leaves room for a copy.
pub const LEAD_US: u64 = 350_000;

/// How late they may be handed over when nobody shares the radio, microseconds.
pub const LEAD_MIN_US: u64 = 150_000;

/// How early they are handed over beside a network server, microseconds: its downlinks come late and go first, so
/// ours wait as long as the network and a busy bus allow.
pub const LEAD_SHARED_US: u64 = 100_000;

/// Later than this before its start no packet with a timestamp leaves, microseconds: [`LATEST_US`] and a bus that is
/// held for 30 ms.
pub const LEAD_LAST_US: u64 = 80_000;

/// Earlier than this no packet with a timestamp leaves, microseconds: beyond it the counter's drift shows.
pub const LEAD_MAX_US: u64 = 60_000_000;

/// How long a TX_ACK may take, microseconds. Measured: 0.2 ms, 60 ms while the bus is held.
pub const ACK_US: u64 = 200_000;

/// How long the TX_ACK of a network server's downlink is awaited, microseconds: late is better than never for it.
pub const SERVER_ACK_US: u64 = 2_000_000;

/// A copy of an unanswered packet is sent only while its start is further away than this, microseconds.
pub const COPY_LEAD_US: u64 = 60_000;
