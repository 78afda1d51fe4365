//! The simulated place: virtual time, one queue of events, and everybody who is there.

mod carrying;

use super::concentrator::Concentrator;
use super::concentrator::Settings as ConcentratorSettings;
use super::concentrator::Transmission;
use super::device::State;
use super::event::Event;
use super::event::Events;
use super::faulty_link::FaultyLink;
use super::gateway::Gateway;
use super::listeners::Listeners;
use super::lns::Field;
use super::network::Network;
use super::operator::Operator;
use super::random::Random;
use super::referee::Referee;
use super::results::GroupResult;
use super::results::Results;
use super::script::Script;
use super::spoiled::Spoil;
use super::summary::DeviceResult;
use super::summary::SentFrame;
use super::summary::Summary;
use super::wall::TrueClock;
use crate::answers::Roll;
use crate::broadcast::TaskState;
use crate::engine::Input;
use crate::lns::Event as Told;
use crate::radio::UplinkMix;
use crate::report::Planned;
use crate::report::Report;
use crate::store::Recovered;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::cell::RefCell;
use std::rc::Rc;

/// Changes what goes on the air, unknown to everybody: for worlds in which something must be caught.
pub type Tamper = Box<dyn FnMut(&mut Transmission)>;

/// The world: it joins the gateway, its concentrator, the operator, the network and the devices, each of which gets
/// events and answers with what it does.
///
/// ```
/// use fuotad::config::Scenario;
/// use fuotad::sim::World;
///
/// let text = r#"
///     [world]
///     start = "2026-11-22T08:00:00Z"
///     [image]
///     generator = "lcg"
///     seed = 1
///     bytes = 1000
///     [gateway]
///     region = "EU868"
///     [[group]]
///     name = "lamps"
///     mc-addr = "01c0ffee"
///     mc-key = "00112233445566778899aabbccddeeff"
///     first-fcnt = 2
///     data-rate = 5
///     session = "always"
///     rx-is-elsewhere = true
///     spacing = "burst"
///     [[task]]
///     name = "lamps-1"
///     document.FirmwareUpdateImage = "file:///lamps-1.bin"
///     document.RedundancyPercent = 100
///     document.FragmentSizeBytes = 100
///     document.Fuotad.Start = "at-once"
///     [[device]]
///     name = "lamp"
///     count = 3
///     stack = "ideal"
///     loss = 0.1
/// "#;
/// let mut world = World::new(Scenario::from_text(text)?.script(None, None)?);
/// while world.step() {}
/// let summary = world.summary();
/// assert_eq!(summary.complete(), 3, "devices have the image");
/// assert!(summary.verdict.is_content(), "and the law was kept: {:?}", summary.verdict.breaches);
/// # Ok::<(), fuotad::config::ConfigError>(())
/// ```
pub struct World {
    truth: TrueClock,
    start: GpsTime,
    seed: u64,
    uplinks_per_hour: u32,
    uplink_mix: UplinkMix,
    uplinks_sent: u64,
    datagram_loss_ppm: u32,
    now: Instant,
    events: Events,
    gateway: Gateway,
    concentrator: Concentrator,
    /// From everybody to us.
    wire: FaultyLink,
    network: Option<Network>,
    /// The application sides of network servers, by the number of the gateway's connection to them.
    fields: Vec<Field>,
    listeners: Listeners,
    operator: Operator,
    referee: Referee,
    reports: Vec<Report>,
    frames: Vec<SentFrame>,
    /// Images that a device completed and that were those of the task it was set up for.
    completions: u64,
    rng: Random,
    tamper: Option<Tamper>,
    ends_at: Instant,
    epilogue_us: u64,
    ends_when_answered: bool,
    results: Results,
}

impl World {
    /// A world at its zero.
    pub fn new(script: Script) -> Self {
        let mut rng = Random::new(script.seed);
        let concentrator = ConcentratorSettings { gps_at_zero: script.start, ..script.concentrator.clone() };
        let concentrator = Concentrator::new(concentrator, rng.split(1), Instant::ZERO);
        let are_asked = script.groups.iter().any(|group| group.answer_window.is_some());
        let listeners = Listeners::new(&script.devices, are_asked, &mut rng);
        let network = script.network.clone();
        let network =
            network.map(|network| Network::new(network, script.faulty_link, &mut rng, Instant::ZERO));
        let truth = TrueClock::new(script.start);
        let mut world = World {
            truth,
            start: script.start,
            seed: script.seed,
            uplinks_per_hour: script.uplinks_per_hour,
            uplink_mix: script.uplink_mix.clone().unwrap_or_else(|| script.region.usual_uplinks()),
            uplinks_sent: 0,
            datagram_loss_ppm: script.datagram_loss_ppm,
            now: Instant::ZERO,
            events: Events::default(),
            gateway: Gateway::new(&script, truth, rng.split(2).split(3)),
            concentrator,
            wire: FaultyLink::new(script.faulty_link, rng.split(6)),
            network,
            fields: script.fields.iter().map(|field| Field::new(field.clone(), &mut rng)).collect(),
            listeners,
            referee: script.referee(),
            reports: Vec::new(),
            frames: Vec::new(),
            completions: 0,
            rng: rng.split(2),
            tamper: None,
            ends_at: Instant::ZERO.plus_us(script.limit_us),
            epilogue_us: script.epilogue_us,
            ends_when_answered: script.ends_when_answered,
            results: Results::new(
                script.fleets.iter().map(|fleet| (fleet.group.clone(), fleet.link)).collect(),
            ),
            operator: Operator::new(script.clone(), truth),
        };
        world.gateway.boot(Instant::ZERO, false);
        world.drain_gateway();
        for (us, event) in script.events() {
            world.after(us, event);
        }
        (0..world.fields.len()).for_each(|link| world.drain_field(link));
        world.schedule_uplink();
        world
    }

    /// Lets `tamper` change every transmission before anybody hears it.
    pub fn tamper(&mut self, tamper: Tamper) {
        self.tamper = Some(tamper);
    }

    /// From its next life on the gateway is wrong in this way.
    pub fn spoil(&mut self, spoil: Rc<RefCell<dyn Spoil>>) {
        self.gateway.spoil(spoil);
    }

    /// From now on the first task's URI leads to another image.
    pub fn replace_image(&mut self, image: Vec<u8>) {
        self.operator.replace_image(image);
    }

    /// Virtual time now, from the world's zero.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// GPS time now, from the world's start.
    pub fn gps(&self) -> GpsTime {
        self.truth.gps(self.now)
    }

    /// Frames accepted by the forwarder so far, the first 65536 of them.
    pub fn frames(&self) -> &[SentFrame] {
        &self.frames
    }

    /// Frames the plan asks for, once there is one.
    pub fn planned(&self) -> Option<&Planned> {
        self.operator.planned()
    }

    /// Lives of the gateway beyond the first.
    pub fn restarts(&self) -> u32 {
        self.gateway.incarnation()
    }

    /// What the gateway's next process would find on its disk now.
    pub fn recovered(&self) -> Recovered {
        self.gateway.found()
    }

    /// How each task that is not over stands, as the gateway would tell it now.
    pub fn tasks(&self) -> Vec<TaskState> {
        self.gateway.tasks()
    }

    /// Devices that hold the image.
    pub fn devices_complete(&self) -> usize {
        self.listeners.complete()
    }

    /// What the devices of the group hold, as the gateway knows it.
    pub fn answers(&self, group: &str) -> Option<Roll> {
        self.gateway.answers(group)
    }

    /// The application side of network server `link` tells this of a device, whoever made it up.
    pub fn publish(&mut self, link: usize, event: Told) {
        self.tell(Input::Lns { link, event });
    }

    /// The result, when the world is over.
    pub fn summary(&self) -> Summary {
        let images: Vec<&[u8]> = self.operator.tasks().iter().map(|task| &task.image[..]).collect();
        let counts = self.concentrator.counts();
        let devices = self.listeners.results(self.true_clock());
        Summary {
            results: self.group_results(&devices),
            zero: self.start,
            seed: self.seed,
            end: self.now,
            planned: self.planned().cloned(),
            reports: self.reports.clone(),
            frames: self.frames.clone(),
            devices,
            verdict: self.referee.verdict_of(&images),
            uplinks: (counts.rxnb + counts.deaf, counts.deaf),
            deaf_to: self.concentrator.deaf_to().clone(),
            network: self.network.as_ref().map(Network::counts),
            fields: self.fields.iter().map(Field::summary).collect(),
            relay: self.gateway.relayed(),
            swallowed: counts.swallowed,
            completions: self.completions,
            over: self.operator.over(),
            restarts: self.gateway.incarnation(),
            disk_bytes: self.gateway.written_bytes(),
        }
    }

    /// What the devices of each group hold by the gateway's word, held against what they really hold.
    fn group_results(&self, devices: &[DeviceResult]) -> Vec<GroupResult> {
        let result = |(group, link): (&str, usize)| {
            let (roll, field) = (self.answers(group)?, self.fields.get(link)?);
            let theirs = field.dev_euis().filter_map(|(dev_eui, at)| {
                let device = devices.get(at)?;
                Some((dev_eui, device.name.as_str(), matches!(device.state, State::Complete { .. })))
            });
            Some(self.results.judge(group, &roll, theirs))
        };
        self.results.groups().filter_map(result).collect()
    }

    /// One event; `false` when the world is over.
    pub fn step(&mut self) -> bool {
        let next_event = self.events.next_at();
        let next_radio = self.concentrator.wake_at();
        let next_network = self.network.as_ref().and_then(Network::wake_at);
        let next_engine = self.gateway.wake_at().map(|at| self.concentrator.awake_at(at.max(self.now)));
        let next = [next_event, next_radio, next_network, next_engine].into_iter().flatten().min();
        let Some(at) = next.map(|at| at.max(self.now)).filter(|at| *at <= self.ends_at) else {
            self.now = self.ends_at.min(next.unwrap_or(self.ends_at)).max(self.now);
            return false;
        };
        self.now = at;
        if next_radio.is_some_and(|wake| wake <= at) {
            self.concentrator.time(at);
            self.drain_concentrator();
        } else if next_engine.is_some_and(|wake| wake <= at) {
            self.tell(Input::Time);
        } else if next_network.is_some_and(|wake| wake <= at) {
            self.wake_network();
        } else if let Some(event) = self.events.take() {
            self.happen(event);
        }
        true
    }

    fn true_clock(&self) -> Now {
        self.truth.read(self.now)
    }

    fn after(&mut self, us: u64, event: Event) {
        self.at(self.now.plus_us(us), event);
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.events.put(at, event);
    }
}
