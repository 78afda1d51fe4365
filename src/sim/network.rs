//! The gateway's normal traffic: devices that talk, and the network server that answers them through the engine.

use super::event::Event;
use super::faulty_link::FaultyLink;
use super::faulty_link::FaultyLinkSettings;
use super::random::Random;
use super::server::Server;
use super::server::ServerCounts;
use super::server::ServerSettings;
use super::server::Traffic;
use super::server::TrafficCounts;
use super::server::TrafficSettings;
use super::world::World;
use crate::engine::Input;
use crate::time::Instant;

/// Who else uses the gateway.
#[derive(Clone, Debug, Default)]
pub struct NetworkScript {
    /// Manners of the network server.
    pub server: ServerSettings,
    /// Uplinks and ears of its devices.
    pub traffic: TrafficSettings,
    /// A datagram between the gateway and the server needs this, microseconds.
    pub backhaul_us: u64,
}

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
    pub(super) server: Server,
    pub(super) traffic: Traffic,
    backhaul_us: u64,
    /// From the server to us.
    wire: FaultyLink,
}

impl Network {
    pub(super) fn new(
        script: NetworkScript,
        chaos: FaultyLinkSettings,
        rng: &mut Random,
        now: Instant,
    ) -> Self {
        let chaos = FaultyLinkSettings { delay_us: (script.backhaul_us, script.backhaul_us), ..chaos };
        Network {
            wire: FaultyLink::new(chaos, rng.split(7)),
            server: Server::new(script.server, rng.split(4), now),
            traffic: Traffic::new(script.traffic, rng.split(5), now),
            backhaul_us: script.backhaul_us,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.server.wake_at().into_iter().chain(self.traffic.next_at()).min()
    }

    pub(super) fn counts(&self) -> NetworkCounts {
        NetworkCounts { server: self.server.counts().clone(), traffic: self.traffic.counts() }
    }
}

impl World {
    /// What is due at the server and at its devices.
    pub(super) fn wake_network(&mut self) {
        let now = self.now;
        let Some(network) = &mut self.network else { return };
        network.server.wake(now);
        while let Some(uplink) = self.network.as_mut().and_then(|network| network.traffic.take(now)) {
            self.concentrator.uplink(now, uplink.reception());
            self.drain_concentrator();
        }
        self.drain_server();
    }

    /// The engine sends to its network server.
    pub(super) fn send_to_server(&mut self, bytes: Vec<u8>) {
        if let Some(network) = &self.network {
            self.after(network.backhaul_us, Event::ToServer(bytes));
        }
    }

    pub(super) fn at_server(&mut self, bytes: &[u8]) {
        if let Some(network) = &mut self.network {
            network.server.datagram(self.now, bytes);
        }
        self.drain_server();
    }

    pub(super) fn at_gateway(&mut self, bytes: &[u8]) {
        self.tell(Input::FromServer { server: 0, bytes });
    }

    fn drain_server(&mut self) {
        let now = self.now;
        while let Some(arrivals) = self.network.as_mut().and_then(|network| {
            let bytes = network.server.take()?;
            Some(network.wire.pass(now, &bytes))
        }) {
            for (at, bytes) in arrivals {
                self.at(at, Event::FromServer(bytes));
            }
        }
    }
}
