//! The application side of a network server as far as a gateway's campaign sees it: uplinks come up, downlinks go down
//! in the window behind the next uplink, and some answers are lost on the air.

use super::event::Event;
use super::random::Random;
use super::script::ApplicationScript;
use crate::lns::Address;
use crate::lns::Event as Told;
use crate::lns::EventKind;
use crate::lns::Push;
use crate::lns::Reception;
use crate::lns::Up;
use crate::lorawan::Eui64;
use crate::radio::Modulation;
use std::collections::VecDeque;

/// A device looks so often whether it has something to send, microseconds.
const TICK_US: u64 = 2_000_000;
/// The server fills the window behind an uplink after so long, microseconds.
const FILL_US: u64 = 100_000;
/// FPort of what a device sends by itself.
const OWN_FPORT: u8 = 2;

/// One device at its network server.
#[derive(Default)]
struct Place {
    queue: VecDeque<Push>,
    /// What it is about to send: FPort and FRMPayload.
    outbox: VecDeque<(u8, Vec<u8>)>,
    f_cnt: u32,
    ticks: u64,
}

/// The server and its devices, in the script's order.
pub(super) struct Application {
    script: ApplicationScript,
    places: Vec<Place>,
    rng: Random,
}

impl Application {
    pub(super) fn new(script: ApplicationScript, rng: Random) -> Application {
        let places = script.fleet.members.iter().map(|_| Place::default()).collect();
        Application { script, places, rng }
    }

    /// What happens first.
    pub(super) fn begin(&mut self) -> Vec<(u64, Event)> {
        let mut begin = |device| (self.rng.below(TICK_US), Event::Tick(device));
        (0..self.places.len()).map(&mut begin).collect()
    }

    /// A push for a device's queue.
    pub(super) fn push(&mut self, push: Push) {
        if let Some(device) = self.device(push.device.dev_eui) {
            self.places[device].queue.push_back(push);
        }
    }

    /// A device may send; `own` is what it sends of its own accord. The message about it, unless the air took it, and
    /// what happens then.
    pub(super) fn tick(
        &mut self,
        device: usize,
        own: Option<(u8, Vec<u8>)>,
    ) -> (Option<Told>, Vec<(u64, Event)>) {
        let place = &mut self.places[device];
        place.outbox.extend(own);
        place.ticks += 1;
        let every = (self.script.uplink_interval_s * 1_000_000 / TICK_US).max(1);
        let is_regular = (place.ticks + device as u64).is_multiple_of(every);
        let next = (TICK_US, Event::Tick(device));
        let uplink = place.outbox.pop_front().or_else(|| is_regular.then(|| (OWN_FPORT, vec![0x2a; 4])));
        let Some((f_port, data)) = uplink else { return (None, vec![next]) };
        place.f_cnt += 1;
        let f_cnt = place.f_cnt;
        if self.rng.chance_ppm(self.script.uplinks_lost_ppm) {
            return (None, vec![next]);
        }
        let up = Up {
            f_cnt,
            f_port,
            data,
            data_rate: Some(5),
            modulation: Some(Modulation::LoRa { sf: 7, bw_hz: 125_000 }),
            frequency_hz: Some(868_100_000),
            confirmed: false,
            adr: None,
            receptions: self
                .script
                .fleet
                .rules
                .gateway_eui
                .map(|gateway_eui| Reception { gateway_eui, rssi_dbm: -80.0, snr_db: 9.0 })
                .into_iter()
                .collect(),
            via_relay: false,
        };
        (Some(self.told(device, EventKind::Up(up))), vec![next, (FILL_US, Event::Fill(device))])
    }

    /// The window behind an uplink opens: what goes to the device in it, and the message about it.
    pub(super) fn fill(&mut self, device: usize) -> Option<(Push, Told)> {
        let push = self.places[device].queue.pop_front()?;
        let f_cnt_down = self.places[device].f_cnt;
        let sent = EventKind::Sent { item: Some(push.item), f_cnt_down };
        Some((push, self.told(device, sent)))
    }

    /// A device answers with its next uplinks.
    pub(super) fn answer(&mut self, device: usize, answers: Vec<(u8, Vec<u8>)>) {
        self.places[device].outbox.extend(answers);
    }

    fn told(&self, device: usize, kind: EventKind) -> Told {
        let dev_eui = self.script.fleet.members[device].dev_eui;
        let device = Address { dev_eui, application: "meters".to_owned(), device: dev_eui.to_string() };
        Told { device, kind }
    }

    fn device(&self, dev_eui: Eui64) -> Option<usize> {
        self.script.fleet.members.iter().position(|member| member.dev_eui == dev_eui)
    }
}
