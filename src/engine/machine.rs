//! The engine itself: the broadcaster, the relay and the forwarder's link. It owns the scheduler and lends it to them.

mod views;

use super::addresses::Addresses;
use super::clocks::Clocks;
use super::fleets::Fleets;
use super::fleets::Wish;
use super::group_loop;
use super::io::Input;
use super::io::Output;
use super::io::Settings;
use super::ledger::recovered_scheduler;
use super::loops::Loops;
use super::verdict::translate;
use super::verdict::worth_reporting;
use crate::broadcast;
use crate::broadcast::Broadcaster;
use crate::broadcast::Done;
use crate::broadcast::Pauses;
use crate::broadcast::Verb;
use crate::broadcast::VerbError;
use crate::campaign::Handover;
use crate::campaign::Refusal;
use crate::campaign::Transmit;
use crate::campaign::Verdict;
use crate::forwarder;
use crate::forwarder::EmissionId;
use crate::forwarder::GatewayId;
use crate::forwarder::Link;
use crate::forwarder::Obstacle;
use crate::lorawan::Eui64;
use crate::relay::Relay;
use crate::relay::RelayOutput;
use crate::report::Event;
use crate::report::Report;
use crate::report::WaitReason;
use crate::schedule::Scheduler;
use crate::store::Change;
use crate::store::RangeState;
use crate::store::Recovered;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::VecDeque;

/// The pure mind of the daemon.
pub struct Engine {
    link: Link,
    broadcaster: Broadcaster,
    /// The arbiter of the one radio, lent to whoever sends through it.
    scheduler: Scheduler,
    relay: Relay,
    fleets: Fleets,
    loops: Loops,
    addresses: Addresses,
    /// What was warned of: at most two lines for each group.
    warned: Vec<String>,
    outputs: VecDeque<Output>,
    now: Now,
    /// Our own clock as it was told, disputed or not.
    own_gps: Option<GpsTime>,
    clocks: Clocks,
}

impl Engine {
    /// An engine with what the last run left on disk. `seed` varies datagram tokens and nothing else.
    pub fn new(settings: Settings, recovered: Recovered, seed: u64, now: Now) -> Self {
        let mut outputs = VecDeque::new();
        for text in &recovered.warnings {
            let event = Event::Warning { text: text.clone() };
            outputs.push_back(Output::Report(Report { at: now.mono, task: None, event }));
        }
        let (region, groups, trust) = (settings.region, settings.groups, settings.trust_by_task);
        let addresses = groups.iter().map(|group| (group.mc_addr, group.keys.clone())).collect();
        let gateway = settings.forwarder.gateway;
        let remembered = settings.forwarder.remembered();
        let mut relay = Relay::new(settings.relay, region, addresses, gateway, seed, now.mono);
        // The servers hear at once who is there again, and may answer what they heard in the last life.
        if let Some(last) = remembered {
            relay.adopt(last.gateway, last.version);
        }
        let clocks = Clocks::new(recovered.believed());
        let scheduler = recovered_scheduler(region, settings.kept, &recovered, now);
        let addresses = Addresses::new(&groups);
        let loops = Loops::new(&settings.fleets, &groups, &recovered.fleets);
        let mut fleets = Fleets::new(settings.fleets, &groups, region, gateway, &recovered.fleets);
        fleets.keep(loops.record_ids().chain([Pauses::id()]));
        let mut broadcaster = Broadcaster::new(
            region,
            groups,
            settings.turns,
            trust,
            settings.means,
            of_this_gateway(recovered, gateway),
            now,
        );
        broadcaster.rest_after_crashes(now, settings.crash_rest_us);
        loops.expected().for_each(|(group, expected)| broadcaster.expect(group, expected));
        Engine {
            link: Link::new(settings.forwarder, seed),
            broadcaster,
            scheduler,
            relay,
            fleets,
            loops,
            addresses,
            warned: Vec::new(),
            outputs,
            now,
            own_gps: now.gps,
            clocks,
        }
    }

    /// Takes in one fact.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.own_gps = now.gps;
        self.now = self.believed(now);
        let (now, scheduler) = (self.now, &mut self.scheduler);
        match input {
            Input::Task { document, stem, source } => {
                self.broadcaster.task(now, scheduler, document, stem, source)
            }
            Input::Hold(task) => self.broadcaster.hold(now, &task),
            Input::Cancel(task) => self.broadcaster.cancel(now, scheduler, &task),
            Input::Withdraw(task) => self.broadcaster.withdraw(now, scheduler, &task),
            Input::Image(task, bytes, evidence) => {
                self.broadcaster.image(now, scheduler, &task, bytes, evidence)
            }
            Input::ImageFailed(task, reason) => self.broadcaster.image_failed(now, scheduler, &task, &reason),
            Input::Datagram { from, bytes } => {
                if self.link.datagram(now.mono, from, bytes) {
                    self.relay.push_data(bytes);
                }
            }
            Input::FromServer { server, bytes } => self.relay.from_server(server, bytes),
            Input::ServersFull(are_full) => self.link.hold_push_acks(are_full),
            Input::Lns { link, event } => self.loops.event(now, link, &event, &mut self.fleets),
            Input::Saved(save, result) if Fleets::is_its(save) => self.fleets.saved(save, result.is_ok()),
            Input::Saved(save, result) => self.broadcaster.saved(now, save, result),
            Input::Stop => self.broadcaster.stop(),
            Input::Time => self.link.time(now.mono),
        }
        self.settle();
        // What goes to the servers is placed before the forwarder reads its ack: whoever is killed between the two has
        // acknowledged nothing that is lost.
        self.outputs.make_contiguous().sort_by_key(|output| matches!(output, Output::Datagram { .. }));
    }

    /// The one time that everybody here is told; inside a session no clock moves.
    fn believed(&mut self, now: Now) -> Now {
        let (now, has_moved) = self.clocks.believed(now, |now| self.broadcaster.is_in_session(now));
        if has_moved {
            // The next life must know the line that was believed in this one.
            self.broadcaster.mark_time(now, &mut self.scheduler);
        }
        now
    }

    /// The next wish; [`Output::WakeAt`] is the last one.
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::WakeAt(self.wake_at()))
    }

    /// Nothing is sent from now on, whatever is ordered: traffic is relayed and no more.
    pub fn halt(&mut self, now: Now, reason: String) {
        self.own_gps = now.gps;
        self.now = self.believed(now);
        self.broadcaster.halt(self.now, reason);
        self.settle();
    }

    /// An operator's word on the task of this id, or on all of this document.
    ///
    /// # Errors
    /// Why nothing changes.
    pub fn command(&mut self, now: Now, verb: Verb, task: &TaskId) -> Result<Done, VerbError> {
        self.own_gps = now.gps;
        self.now = self.believed(now);
        let done = self.broadcaster.command(self.now, &mut self.scheduler, verb, task);
        self.settle();
        done
    }

    /// The device is asked again whatever it answered, or all that is known of it is forgotten; `false` if there
    /// is no such device.
    pub fn begin_anew(&mut self, group: &str, dev_eui: Eui64, is_forgotten: bool) -> bool {
        let has_begun = self.fleets.begin_anew(group, dev_eui, is_forgotten);
        self.drain_fleets();
        has_begun
    }

    /// The devices of the group are asked for their versions although nothing is to be set up.
    pub fn survey(&mut self, group: &str) {
        self.fleets.survey(group);
    }

    fn wake_at(&self) -> Option<Instant> {
        let relay = self.relay.wake_at(self.now.mono, &self.link);
        let fleets = self.fleets.wake_at(self.now);
        let loops = self.loops.wake_at();
        [self.link.wake_at(), self.broadcaster.wake_at(), relay, fleets, loops].into_iter().flatten().min()
    }

    /// Lets link, relay and broadcaster talk until all are content. Each turn hands something on or nothing, and a
    /// refused hand-over puts the campaign off, so this ends.
    fn settle(&mut self) {
        loop {
            let mut heard = self.drain_link();
            self.relay.settle(self.now.mono, &mut self.link, &mut self.scheduler);
            heard |= self.drain_link();
            let relayed = self.drain_relay();
            let handover = self.handover();
            self.broadcaster.advance(self.now, &mut self.scheduler, handover);
            let sent = self.drain_broadcaster();
            let sessions = |task: &TaskId| self.broadcaster.sessions(task);
            self.fleets.follow(sessions, |task| self.loops.listeners(task));
            let has_moved = self.drain_fleets() | self.drain_loops();
            if !heard && !relayed && !sent && !has_moved {
                return;
            }
        }
    }

    /// How frames are handed over now; without a forwarder that answers, what is waited for.
    fn handover(&self) -> Result<Handover, Obstacle> {
        if let Some(obstacle) = self.link.obstacle() {
            return Err(obstacle);
        }
        let pace = self.link.pace(self.now.mono, self.relay.is_shared());
        Ok(Handover { lead_us: pace.lead_us, lead_min_us: pace.lead_min_us, gap_us: pace.gap_us })
    }

    /// Carries out what the link wants; whether it wanted anything.
    fn drain_link(&mut self) -> bool {
        let mut heard = false;
        while let Some(output) = self.link.poll() {
            heard = true;
            match output {
                forwarder::Output::Datagram { to, bytes } => {
                    self.outputs.push_back(Output::Datagram { to, bytes })
                }
                forwarder::Output::Event(forwarder::Event::Verdict { id, verdict }) => {
                    self.broadcaster.verdict(self.now, &mut self.scheduler, id.0, &translate(verdict));
                }
                forwarder::Output::Event(forwarder::Event::PowerExceeded { asked, granted, .. }) => {
                    let reason = format!(
                        "the forwarder radiates {granted} dBm although {asked} dBm were asked for: its gain table has no lower step"
                    );
                    self.broadcaster.abort(self.now, &mut self.scheduler, reason);
                }
                forwarder::Output::Event(forwarder::Event::Uplink(uplink)) => {
                    self.compare_clocks(&uplink);
                    if let Some((modulation, airtime_us)) = uplink.on_air().filter(|_| uplink.crc_ok) {
                        self.scheduler.hear(self.now.mono, modulation, airtime_us);
                    }
                    self.fleets.heard(&uplink);
                    if let Some(text) = self.addresses.heard(&uplink) {
                        self.warn(text);
                    }
                    self.relay.heard(&uplink, &mut self.scheduler);
                }
                forwarder::Output::Event(forwarder::Event::Answered { id, body, is_refused }) => {
                    self.relay.answered(id, &body, is_refused, &mut self.scheduler);
                }
                forwarder::Output::Event(forwarder::Event::Accounted(accounted)) => {
                    let extra_coded = self.broadcaster.settle(&accounted);
                    if accounted.dropped > 0 {
                        let event = Event::SilentlyDropped { frames: accounted.dropped, extra_coded };
                        self.outputs.push_back(Output::Report(Report {
                            at: self.now.mono,
                            task: None,
                            event,
                        }));
                    }
                }
                forwarder::Output::Event(event) => {
                    if let forwarder::Event::Online { gateway, version, .. } = event {
                        self.relay.adopt(gateway, version);
                        self.fleets.adopt(gateway);
                        self.broadcaster.forwarder_is_back();
                    }
                    if let Some(event) = worth_reporting(event) {
                        let report = Report { at: self.now.mono, task: None, event };
                        self.outputs.push_back(Output::Report(report));
                    }
                }
            }
        }
        heard
    }

    /// Carries out what the fleets want; whether a campaign got a start or an end.
    fn drain_fleets(&mut self) -> bool {
        let mut has_moved = false;
        self.fleets.put_off(|task| self.broadcaster.is_put_off(task));
        self.fleets.advance(self.now);
        while let Some(wish) = self.fleets.poll() {
            match wish {
                Wish::Output(output) => self.outputs.push_back(*output),
                Wish::Warn(text) => self.warn(text),
                Wish::Ask(task, question) => {
                    has_moved = true;
                    self.broadcaster.ask(task, question);
                }
                Wish::Start(task, start) => {
                    has_moved = true;
                    self.broadcaster.give_start(self.now, &task, start);
                }
                Wish::End(task, reason) => {
                    has_moved = true;
                    self.broadcaster.give_up(self.now, &mut self.scheduler, &task, reason);
                }
            }
        }
        has_moved
    }

    /// Lets campaigns go on that their devices' answers decide about; whether one does.
    fn drain_loops(&mut self) -> bool {
        let fleets = &self.fleets;
        let (broadcaster, scheduler) = (&mut self.broadcaster, &self.scheduler);
        let has_moved = self.loops.advance(self.now, broadcaster, scheduler, |group| fleets.of_group(group));
        let mut is_news = false;
        while let Some(wish) = self.loops.poll() {
            is_news = true;
            match wish {
                group_loop::Wish::Save(record) => {
                    let save = Output::Save(self.fleets.next_save(), Change::Fleet(record));
                    self.outputs.push_back(save);
                }
                group_loop::Wish::Report(report) => self.outputs.push_back(Output::Report(*report)),
                group_loop::Wish::Expect(group, expected) => self.broadcaster.expect(&group, expected),
            }
        }
        if is_news {
            let loops = &self.loops;
            self.fleets.take_answers(|group| loops.roll(group));
        }
        has_moved | is_news
    }

    /// Carries out what the relay wants; whether it wanted anything.
    fn drain_relay(&mut self) -> bool {
        let mut relayed = false;
        while let Some(output) = self.relay.poll() {
            relayed = true;
            match output {
                RelayOutput::Datagram { server, bytes } => {
                    self.outputs.push_back(Output::ToServer { server, bytes })
                }
                RelayOutput::SecondSender { mc_addr, fcnt } => {
                    self.broadcaster.second_sender(self.now, &mut self.scheduler, mc_addr, fcnt);
                }
                RelayOutput::Report(event) => {
                    let report = Report { at: self.now.mono, task: None, event: *event };
                    self.outputs.push_back(Output::Report(report));
                }
            }
        }
        relayed
    }

    /// Holds the forwarder's GPS, where it has one, against our own clock: a session that is begun at a wrong time
    /// is one that nobody listens to. Without a clock of our own it is one.
    fn compare_clocks(&mut self, uplink: &forwarder::Uplink) {
        let Some(gps_ms) = uplink.gps_ms else { return };
        let theirs = GpsTime::from_us(gps_ms.saturating_mul(1000));
        let own = Now { gps: self.own_gps, ..self.now };
        if let Some(text) = self.clocks.hear(own, uplink.ended, theirs) {
            let report = Report { at: self.now.mono, task: None, event: Event::Warning { text } };
            self.outputs.push_back(Output::Report(report));
        }
        self.now = self.believed(own);
    }

    /// Carries out what the broadcaster wants; whether a frame was handed over.
    fn drain_broadcaster(&mut self) -> bool {
        let mut sent = false;
        while let Some(want) = self.broadcaster.poll() {
            match want {
                broadcast::Output::Transmit(transmit) => {
                    sent = true;
                    self.transmit(&transmit);
                }
                broadcast::Output::Fetch(fetch) => self.outputs.push_back(Output::Fetch(fetch)),
                broadcast::Output::Save(save, change) => self.outputs.push_back(Output::Save(save, change)),
                broadcast::Output::Report(mut report) => {
                    self.fleets.read(self.now, &report);
                    self.loops.read(self.now, &report, &self.fleets);
                    // Where its devices decide about its start, they are what it waits for.
                    if let Event::Waiting { reason } = &mut report.event
                        && *reason == WaitReason::NoStart.to_string()
                        && let Some(task) = &report.task
                        && let Some(devices) = self.fleets.wait(self.now, task)
                    {
                        *reason = devices.to_string();
                    }
                    if let Event::Planned(planned) = &mut report.event {
                        planned.warnings.extend(self.relay.warning(planned.airtime_us));
                        let of_devices = self.fleets.warning(planned);
                        planned.warnings.extend(of_devices);
                    }
                    self.outputs.push_back(Output::Report(report));
                }
                broadcast::Output::Stopped => self.outputs.push_back(Output::Stopped),
            }
        }
        sent
    }

    /// Something of the whole gateway is unusual.
    fn warn(&mut self, text: String) {
        self.warned.push(text.clone());
        let event = Event::Warning { text };
        self.outputs.push_back(Output::Report(Report { at: self.now.mono, task: None, event }));
    }

    fn transmit(&mut self, transmit: &Transmit) {
        let id = EmissionId(transmit.id);
        if let Err(not_sent) = self.link.send(self.now.mono, id, &transmit.emission) {
            let verdict = Verdict::Refused(Refusal::NotSent(not_sent.to_string()));
            self.broadcaster.verdict(self.now, &mut self.scheduler, transmit.id, &verdict);
        }
    }
}

/// A state folder that came with its disk from another gateway: the keys that were enrolled there may still be sent
/// with there, and two senders of one key are one too many.
fn of_this_gateway(mut recovered: Recovered, gateway: Option<GatewayId>) -> Recovered {
    let Some(here) = gateway.map(|id| id.to_string()) else { return recovered };
    for (key, enrolment) in &recovered.enrolments {
        if let Some(there) = enrolment.gateway.as_ref().filter(|there| **there != here) {
            let reason = format!("the key was enrolled on gateway {there}, and this one is {here}");
            recovered.ranges.insert(*key, RangeState::Lost(reason));
        }
    }
    recovered
}
