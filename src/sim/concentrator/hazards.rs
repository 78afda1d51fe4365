//! What goes wrong at a packet forwarder and at the host it runs on, besides what its configuration makes of it. All
//! moments are microseconds after the world's zero.

use crate::sim::random::Random;
use crate::time::Instant;

/// How long something lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first microsecond, since the world began.
    pub from_us: u64,
    /// The first microsecond after it.
    pub until_us: u64,
}

impl Span {
    /// As long as the world.
    pub const ALWAYS: Span = Span { from_us: 0, until_us: u64::MAX };

    fn holds(self, now: Instant) -> bool {
        now >= Instant::ZERO.plus_us(self.from_us) && now < self.end()
    }

    fn end(self) -> Instant {
        Instant::ZERO.plus_us(self.until_us)
    }
}

/// The hazards of one forwarder; by default there are none.
#[derive(Clone, Debug, Default)]
pub struct Hazards {
    /// Every fetch of receptions holds the bus for so long, microseconds: over 30000 eats packets.
    pub slow_bus: Vec<(Span, u64)>,
    /// The thread that gives packets to the radio comes late, by least to most microseconds. Up to 28 ms do no harm;
    /// later the packet is given to a chip that does not send it any more, or dropped. It was acknowledged long before.
    pub late_jit: Vec<(Span, (u64, u64))>,
    /// The whole host stands still, the gateway's own process included: datagrams wait in the sockets and are read all
    /// at once. The chip goes on: what it was given is sent.
    pub host_stalls: Vec<Span>,
    /// Packets that are acknowledged in the span and never radiated, parts per million: the driver refuses them, and
    /// `txnb` does not count them.
    pub swallowing: Vec<(Span, u32)>,
    /// Every packet in the span is refused with these words, as by a forwarder that keeps a law of its own.
    pub refusing: Vec<(Span, &'static str)>,
    /// A packet that meets a waiting beacon is acknowledged and dropped; else the answer is COLLISION_BEACON.
    pub beacons_swallow: bool,
    /// The process dies at these moments.
    pub deaths_us: Vec<u64>,
    /// A supervisor starts a process that died, for whatever reason, after least to most microseconds; `None`: nobody
    /// does.
    pub supervisor_us: Option<(u64, u64)>,
    /// The last datagram of a process that dies, from its push socket.
    pub last_words: Option<Vec<u8>>,
}

impl Hazards {
    /// The first instant from `at` on at which the host does not stand still.
    pub(super) fn awake_at(&self, at: Instant) -> Instant {
        let end =
            |at: Instant| self.host_stalls.iter().filter(|span| span.holds(at)).map(|span| span.end()).max();
        std::iter::successors(Some(at), |at| end(*at)).last().unwrap_or(at)
    }

    /// How long a fetch holds the bus at `now`; `else_us` outside of every span.
    pub(super) fn bus_hold_us(&self, now: Instant, else_us: u64) -> u64 {
        self.slow_bus.iter().rev().find(|(span, _)| span.holds(now)).map_or(else_us, |(_, hold_us)| *hold_us)
    }

    /// How late a poll that is due at `at` comes, microseconds.
    pub(super) fn late_us(&self, at: Instant, rng: &mut Random) -> u64 {
        let late = self.late_jit.iter().find(|(span, _)| span.holds(at));
        late.map_or(0, |(_, (least_us, most_us))| rng.range(*least_us, *most_us))
    }

    /// Whether a packet that is acknowledged now is never radiated.
    pub(super) fn swallows(&self, now: Instant, rng: &mut Random) -> bool {
        self.swallowing.iter().any(|(span, ppm)| span.holds(now) && rng.chance_ppm(*ppm))
    }

    /// The words with which a packet is refused now, if it is.
    pub(super) fn refuses(&self, now: Instant) -> Option<&'static str> {
        self.refusing.iter().find(|(span, _)| span.holds(now)).map(|(_, words)| *words)
    }

    /// The next moment after `now` at which the bus changes or the process dies.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let ends = self.slow_bus.iter().flat_map(|(span, _)| [span.from_us, span.until_us]);
        let moments = ends.chain(self.deaths_us.iter().copied()).map(|us| Instant::ZERO.plus_us(us));
        moments.filter(|moment| *moment > now).min()
    }

    /// Whether the process dies at `now`.
    pub(super) fn kills(&self, now: Instant) -> bool {
        self.deaths_us.iter().any(|us| Instant::ZERO.plus_us(*us) == now)
    }
}
