//! The simulated place: virtual time, one queue of events, and everybody who is there.

use super::concentrator::Concentrator;
use super::concentrator::Output as RadioOutput;
use super::concentrator::Settings as ConcentratorSettings;
use super::concentrator::Socket;
use super::concentrator::Transmission;
use super::device::State;
use super::event::Event;
use super::event::Events;
use super::event::ProcessEvent;
use super::faulty_link::FaultyLink;
use super::gateway::Gateway;
use super::gateway::GatewayEffect;
use super::listeners::Listeners;
use super::lns::Field;
use super::lns::FieldEffect;
use super::network::Network;
use super::operator::Operator;
use super::operator::OperatorEffect;
use super::random::Random;
use super::referee::Referee;
use super::results::GroupResult;
use super::results::Results;
use super::script::Script;
use super::spoiled::Spoil;
use super::summary::DeviceResult;
use super::summary::SentFrame;
use super::summary::Summary;
use super::uplinks;
use super::wall::TrueClock;
use crate::answers::Roll;
use crate::broadcast::TaskSource;
use crate::broadcast::TaskState;
use crate::engine::Input;
use crate::lns::Event as Told;
use crate::radio::UplinkMix;
use crate::report::Event as Happened;
use crate::report::Planned;
use crate::report::Report;
use crate::store::Recovered;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// A datagram on the loopback interface needs this, microseconds.
const LOOPBACK_US: u64 = 50;
/// A LoRaWAN frame around a payload, bytes.
const FRAME_BYTES: usize = 13;
/// A world that ends when its devices are not asked any more goes on for so long, microseconds.
const AFTER_ANSWERS_US: u64 = 5_000_000;
/// Reports that are kept.
const REPORTS_MAX: usize = 10_000;
/// Frames that are kept: as many as one key has counters.
const FRAMES_MAX: usize = 65_536;

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

    fn happen(&mut self, event: Event) {
        let awake_at = self.concentrator.awake_at(self.now);
        if awake_at > self.now && event.is_for_our_process() {
            return self.at(awake_at, event);
        }
        match event {
            Event::ToUs(socket, generation, bytes) => {
                let port = 40_000 + 2 * (generation % 10_000) as u16 + u16::from(socket == Socket::Pull);
                let from = SocketAddr::from(([127, 0, 0, 1], port));
                self.tell(Input::Datagram { from, bytes: &bytes });
            }
            Event::ToForwarder(socket, bytes) => {
                self.concentrator.datagram(self.now, socket, &bytes);
                self.drain_concentrator();
            }
            Event::ToServer(bytes) => {
                if let Some(network) = &mut self.network {
                    network.at_server(self.now, &bytes);
                }
                self.drain_server();
            }
            Event::FromServer(bytes) => self.tell(Input::FromServer { server: 0, bytes: &bytes }),
            Event::FrameEnds(transmission) => self.heard(&transmission),
            Event::Uplink => self.uplink(),
            Event::OfProcess(incarnation, _) if incarnation != self.gateway.incarnation() => {}
            Event::OfProcess(_, event) => self.happen_to_process(event),
            Event::Task(index) => {
                let task = self.operator.tasks()[index].clone();
                let (document, stem) = (task.document.as_bytes(), task.stem.as_str());
                self.tell(Input::Task { document, stem, source: TaskSource::File });
            }
            Event::Gone(task) => self.tell(Input::Cancel(task)),
            Event::Verb(index) => {
                self.gateway.command(self.now, index);
                self.drain_gateway();
            }
            Event::Retell(task) => {
                self.operator.retell(self.now, &task);
                self.drain_operator();
            }
            Event::Setup(device, command) => self.listeners.command(self.true_clock(), device, &command),
            Event::Field(link, event) => {
                let now = self.true_clock();
                self.fields[link].happen(now, event);
                self.drain_field(link);
            }
            Event::Report { link, place, device } => {
                let uplinks = self.listeners.take_uplinks(self.true_clock(), device);
                self.fields[link].answered(place, uplinks);
                self.drain_field(link);
            }
            Event::ForwarderDies => {
                self.concentrator.kill(self.now);
                self.drain_concentrator();
            }
            Event::ForwarderRestarts => self.restart_concentrator(),
            Event::Boot { after_power_cut } => {
                if after_power_cut {
                    self.restart_concentrator();
                }
                self.referee.power_cycle();
                self.fields.iter_mut().for_each(Field::died);
                self.gateway.boot(self.now, after_power_cut);
                self.drain_gateway();
                self.scan_folder();
            }
        }
    }

    fn happen_to_process(&mut self, event: ProcessEvent) {
        match event {
            ProcessEvent::Killed => {
                self.gateway.kill();
                self.drain_gateway();
            }
            ProcessEvent::Saved(save) => {
                self.fields.iter_mut().for_each(Field::kept);
                self.tell(Input::Saved(save, Ok(())));
            }
            ProcessEvent::Image(task) => {
                let script = self.operator.tasks().iter().find(|script| script.is_of(task.as_str()));
                match script.map(|script| script.image.clone()) {
                    Some(image) => self.tell(Input::Image(task, image, None)),
                    None => self.tell(Input::ImageFailed(task, "the script has no such image".to_owned())),
                }
            }
        }
    }

    /// A new process sees every task that was put into the folder so far.
    fn scan_folder(&mut self) {
        let is_here = |at_us: u64| Instant::ZERO.plus_us(at_us) <= self.now;
        let tasks = self.operator.tasks().iter().enumerate();
        let here: Vec<usize> =
            tasks.filter(|(_, task)| is_here(task.at_us)).map(|(index, _)| index).collect();
        for index in here {
            self.after(0, Event::Task(index));
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        self.gateway.tell(self.now, input);
        self.drain_gateway();
    }

    fn drain_gateway(&mut self) {
        while let Some(effect) = self.gateway.poll() {
            match effect {
                GatewayEffect::Sends(socket, bytes) => self.travel(Event::ToForwarder(socket, bytes)),
                GatewayEffect::Delivers(socket, bytes) => {
                    self.concentrator.datagram(self.now, socket, &bytes);
                    self.drain_concentrator();
                }
                GatewayEffect::SendsToServer(bytes) => {
                    if let Some(backhaul_us) = self.network.as_ref().map(Network::backhaul_us) {
                        self.after(backhaul_us, Event::ToServer(bytes));
                    }
                }
                GatewayEffect::Publishes(link, push) => {
                    let now = self.true_clock();
                    self.fields.get_mut(link).into_iter().for_each(|field| field.publish(now, &push));
                    self.drain_field(link);
                }
                GatewayEffect::Reports(report) => self.reported(report),
                // What the concentrator still held never reaches the air.
                GatewayEffect::LosesPower => self.restart_concentrator(),
                GatewayEffect::Later(us, event) => self.after(us, event),
            }
        }
    }

    /// What the application side of a network server does.
    fn drain_field(&mut self, link: usize) {
        while let Some(effect) = self.fields.get_mut(link).and_then(Field::poll) {
            match effect {
                FieldEffect::Later(us, event) => self.after(us, Event::Field(link, event)),
                FieldEffect::Uplink(payload_len, airtime_us) => {
                    let phy = vec![0x40; payload_len + FRAME_BYTES];
                    self.concentrator.uplink(self.now, uplinks::of_device(self.now, airtime_us, &phy));
                    self.drain_concentrator();
                }
                FieldEffect::Opens { mc_addr, start, exponent } => {
                    let start = self.true_clock().instant_of(start).unwrap_or(self.now);
                    let end = start.plus_us(1_000_000 << exponent.min(15));
                    self.referee.session(mc_addr.as_u32(), start, end);
                }
                FieldEffect::Tells(event) => self.tell(Input::Lns { link, event }),
                FieldEffect::Commands { device, place, f_port, payload } => {
                    let answers = self.listeners.unicast(self.true_clock(), device, f_port, &payload);
                    self.fields[link].answered(place, answers);
                }
            }
        }
    }

    fn drain_operator(&mut self) {
        while let Some(effect) = self.operator.poll() {
            match effect {
                OperatorEffect::Opens { mc_addr, start, end } => self.referee.session(mc_addr, start, end),
                OperatorEffect::Serves { device, task } => self.listeners.serve(device, task),
                OperatorEffect::Later(us, event) => self.after(us, event),
                OperatorEffect::IsDone => self.ends_at = self.ends_at.min(self.now.plus_us(self.epilogue_us)),
            }
        }
    }

    fn restart_concentrator(&mut self) {
        self.concentrator.restart(self.now);
        self.drain_concentrator();
    }

    fn drain_concentrator(&mut self) {
        while let Some(output) = self.concentrator.poll() {
            let generation = self.concentrator.port_generation();
            match output {
                RadioOutput::Push(bytes) => {
                    self.come(&bytes, |bytes| Event::ToUs(Socket::Push, generation, bytes));
                }
                RadioOutput::Pull(bytes) => {
                    self.come(&bytes, |bytes| Event::ToUs(Socket::Pull, generation, bytes));
                }
                RadioOutput::OnAir(mut transmission) => {
                    if let Some(tamper) = &mut self.tamper {
                        tamper(&mut transmission);
                    }
                    self.referee.on_air(&transmission);
                    if let Some(network) = &mut self.network {
                        network.hear(&transmission);
                    }
                    let ends = transmission.start.plus_us(transmission.airtime_us);
                    self.at(ends, Event::FrameEnds(transmission));
                }
                RadioOutput::Exited { .. } => {}
            }
        }
    }

    /// What is due at the server and at its devices.
    fn wake_network(&mut self) {
        let now = self.now;
        if let Some(network) = &mut self.network {
            network.wake(now);
        }
        while let Some(uplink) = self.network.as_mut().and_then(|network| network.uplink(now)) {
            self.concentrator.uplink(now, uplink.reception());
            self.drain_concentrator();
        }
        self.drain_server();
    }

    fn drain_server(&mut self) {
        let now = self.now;
        let sent = self.network.as_mut().map(|network| network.send_to_gateway(now));
        for (at, bytes) in sent.unwrap_or_default() {
            self.at(at, Event::FromServer(bytes));
        }
    }

    /// Somebody else's uplink ends, and another will come.
    fn uplink(&mut self) {
        if let Some(rate) = uplinks::rate(&self.uplink_mix, self.uplinks_sent) {
            self.concentrator.uplink(self.now, uplinks::reception(self.now, rate));
        }
        self.uplinks_sent += 1;
        self.drain_concentrator();
        self.schedule_uplink();
    }

    fn schedule_uplink(&mut self) {
        if let Some(wait_us) = uplinks::wait_us(self.uplinks_per_hour, &mut self.rng) {
            self.after(wait_us, Event::Uplink);
        }
    }

    fn heard(&mut self, transmission: &Transmission) {
        let tasks = self.operator.tasks();
        for completed in self.listeners.hear(self.truth.read(self.now), transmission) {
            let task = completed.task.and_then(|task| tasks.get(task));
            self.completions += u64::from(task.is_some_and(|task| task.image == completed.image));
            self.referee.device_complete(completed.device, self.now, completed.image);
        }
        for (link, field) in self.fields.iter().enumerate() {
            for (place, device) in field.devices().enumerate() {
                if let Some(due) = self.listeners.new_report(device) {
                    self.events.put(due, Event::Report { link, place, device });
                }
            }
        }
    }

    fn reported(&mut self, report: Report) {
        if let Happened::Sent { frame_no, fcnt, start } = report.event {
            if self.frames.len() < FRAMES_MAX {
                self.frames.push(SentFrame { frame_no, fcnt, start });
            }
            return;
        }
        if report.event == Happened::Began {
            self.fields.iter_mut().for_each(Field::begin);
        }
        self.operator.read(self.now, &report);
        self.drain_operator();
        self.results.read(&report);
        let is_answered = matches!(report.event, Happened::Answered { .. });
        if is_answered && self.ends_when_answered && self.operator.is_done() && self.results.are_final() {
            self.ends_at = self.ends_at.min(self.now.plus_us(AFTER_ANSWERS_US));
        }
        if self.reports.len() < REPORTS_MAX {
            self.reports.push(report);
        }
    }

    /// A datagram on its way to us, as the wire lets it through.
    fn come(&mut self, bytes: &[u8], event: impl Fn(Vec<u8>) -> Event) {
        for (at, bytes) in self.wire.pass(self.now, bytes) {
            self.at(at, event(bytes));
        }
    }

    /// A datagram on its way, unless it is lost.
    fn travel(&mut self, event: Event) {
        if self.datagram_loss_ppm == 0 || !self.rng.chance_ppm(self.datagram_loss_ppm) {
            self.after(LOOPBACK_US, event);
        }
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
