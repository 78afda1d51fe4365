//! What each of those who are there does, carried to the others.

use super::World;
use crate::broadcast::TaskSource;
use crate::engine::Input;
use crate::report::Event as Happened;
use crate::report::Report;
use crate::sim::concentrator::Output as RadioOutput;
use crate::sim::concentrator::Socket;
use crate::sim::concentrator::Transmission;
use crate::sim::event::Event;
use crate::sim::event::ProcessEvent;
use crate::sim::gateway::GatewayEffect;
use crate::sim::lns::Field;
use crate::sim::lns::FieldEffect;
use crate::sim::network::Network;
use crate::sim::operator::OperatorEffect;
use crate::sim::summary::SentFrame;
use crate::sim::uplinks;
use crate::time::Instant;
use std::net::SocketAddr;

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

impl World {
    pub(super) fn happen(&mut self, event: Event) {
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

    pub(super) fn tell(&mut self, input: Input<'_>) {
        self.gateway.tell(self.now, input);
        self.drain_gateway();
    }

    pub(super) fn drain_gateway(&mut self) {
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
    pub(super) fn drain_field(&mut self, link: usize) {
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

    pub(super) fn drain_concentrator(&mut self) {
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
    pub(super) fn wake_network(&mut self) {
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

    pub(super) fn schedule_uplink(&mut self) {
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
}
