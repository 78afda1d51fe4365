//! The gateway's normal traffic: devices that talk, and the network server that answers them through the engine.

use super::concentrator::Transmission;
use super::faulty_link::FaultyLink;
use super::faulty_link::FaultyLinkSettings;
use super::random::Random;
use super::script::NetworkScript;
use super::server::Server;
use super::server::ServerCounts;
use super::server::Traffic;
use super::server::TrafficCounts;
use super::server::Uplink;
use crate::time::Instant;

/// What became of the normal traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounts {
    /// As the server saw it.
    pub server: ServerCounts,
    /// As the devices saw it.
    pub traffic: TrafficCounts,
}

/// The server, its devices and the way to them.
pub(super) struct Network {
    server: Server,
    traffic: Traffic,
    backhaul_us: u64,
    /// From the server to us.
    wire: FaultyLink,
}

impl Network {
    /// The network of a script, on a wire with these faults.
    pub(super) fn new(
        script: NetworkScript,
        faults: FaultyLinkSettings,
        rng: &mut Random,
        now: Instant,
    ) -> Self {
        let faults = FaultyLinkSettings { delay_us: (script.backhaul_us, script.backhaul_us), ..faults };
        Network {
            wire: FaultyLink::new(faults, rng.split(7)),
            server: Server::new(script.server, rng.split(4), now),
            traffic: Traffic::new(script.traffic, rng.split(5), now),
            backhaul_us: script.backhaul_us,
        }
    }

    /// When [`Network::wake`] and [`Network::uplink`] are due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.server.wake_at().into_iter().chain(self.traffic.next_at()).min()
    }

    /// A datagram to the server needs this, microseconds.
    pub(super) fn backhaul_us(&self) -> u64 {
        self.backhaul_us
    }

    pub(super) fn counts(&self) -> NetworkCounts {
        NetworkCounts { server: self.server.counts().clone(), traffic: self.traffic.counts() }
    }

    /// The server does what is due.
    pub(super) fn wake(&mut self, now: Instant) {
        self.server.wake(now);
    }

    /// The next uplink of a device that has ended by `now`.
    pub(super) fn uplink(&mut self, now: Instant) -> Option<Uplink> {
        self.traffic.take(now)
    }

    /// Its devices hear what is on the air.
    pub(super) fn hear(&mut self, transmission: &Transmission) {
        self.traffic.hear(transmission);
    }

    /// A datagram of the gateway reaches the server.
    pub(super) fn at_server(&mut self, now: Instant, bytes: &[u8]) {
        self.server.datagram(now, bytes);
    }

    /// What the server sends: when it reaches the gateway, and as what; to be asked after every call.
    pub(super) fn send_to_gateway(&mut self, now: Instant) -> Vec<(Instant, Vec<u8>)> {
        let mut arrivals = Vec::new();
        while let Some(bytes) = self.server.take() {
            arrivals.extend(self.wire.pass(now, &bytes));
        }
        arrivals
    }
}
