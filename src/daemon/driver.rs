//! The loop: wait for one fact, hand it to the engine, carry out its wishes until it says when to wake.

mod asks;

use super::clock::Clock;
use super::clock_log::ClockLog;
use super::control::Ask;
use super::control::PendingAnswers;
use super::end_report::EndReports;
use super::error::StartError;
use super::fact::Fact;
use super::fact::FetchOrder;
use super::fact::Fetched;
use super::fact::ImageWish;
use super::fact::TASKS_MAX;
use super::images::Images;
use super::lns::LnsLinks;
use super::log::Place;
use super::log::Reporter;
use super::notes::Notes;
use super::notes::in_order;
use super::pull_memory::PullMemory;
use super::server_sockets::Found;
use super::server_sockets::ServerSockets;
use super::signals::Signal;
use super::signals::Signals;
use super::socket::Socket;
use super::store_thread::StoreThread;
use super::systemd::Systemd;
use super::view;
use crate::answers::End;
use crate::broadcast::NotSaved;
use crate::engine::Engine;
use crate::engine::Input;
use crate::engine::Output;
use crate::lns;
use crate::region::Parameters;
use crate::report::Event;
use crate::report::Report;
use crate::store::Change;
use crate::task::ImageRef;
use crate::task::TaskId;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// Datagrams taken in one turn before everybody else gets theirs.
const BATCH: usize = 64;
/// The loop turns at least this often, microseconds: it looks at the clock and feeds the watchdog.
const TICK_US: u64 = 1_000_000;
/// From the signal to the end at the latest, microseconds: what is not stored by then never will be.
const STOP_US: u64 = 900_000;

/// Everything the loop touches.
pub struct Driver {
    pub(super) engine: Engine,
    pub(super) region: &'static Parameters,
    pub(super) listen: String,
    pub(super) clock: Clock,
    pub(super) socket: Socket,
    pub(super) server_sockets: ServerSockets,
    pub(super) found: mpsc::Receiver<Found>,
    pub(super) pull_memory: Option<PullMemory>,
    pub(super) store: StoreThread,
    pub(super) signals: Signals,
    pub(super) images: Images,
    pub(super) facts: mpsc::Receiver<Fact>,
    pub(super) fetcher: Option<mpsc::Sender<ImageWish>>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) groups: Vec<String>,
    pub(super) lns: LnsLinks,
    pub(super) systemd: Systemd,
    pub(super) memory: Memory,
    pub(super) started: Instant,
    pub(super) state_dir: PathBuf,
    /// Tasks that are over and whose report is kept are told here.
    pub(super) over: mpsc::Sender<TaskId>,
}

/// What the loop remembers from turn to turn.
#[derive(Default)]
pub struct Memory {
    wake_at: Option<Instant>,
    tick_at: Instant,
    fed_at: Option<Instant>,
    stop_by: Option<Instant>,
    is_stopped: bool,
    /// Whether the engine was told that a server's queue is full.
    are_full: bool,
    clock_log: ClockLog,
    reporter: Reporter,
    notes: Notes,
    end_reports: EndReports,
    /// Answers of the control socket that wait for the disk.
    pending: PendingAnswers,
    /// Tasks whose image is not needed any more, while the cloud's side is not told yet.
    unneeded: BTreeSet<TaskId>,
    /// Facts that arose while the engine's wishes were carried out.
    next: VecDeque<Next>,
}

impl Memory {
    /// What a former run left for people to read.
    pub fn after(reports: &[(String, Vec<u8>)]) -> Memory {
        let mut memory = Memory::default();
        let reports = in_order(reports);
        memory.notes.restore(&reports);
        memory.end_reports.restore(&reports);
        memory
    }
}

enum Next {
    NotSaved(u64, NotSaved),
    ImageFailed(TaskId, String),
}

/// What ended a wait.
enum Turn {
    Signal(Signal),
    Readable,
    ServerReadable,
    Found(Found),
    Saved(Option<(u64, Result<(), NotSaved>)>),
    Fact(Fact),
    Ask(Ask),
    Lns(usize, lns::Event),
    Time,
}

impl Driver {
    /// Runs until a signal has stopped the engine and all is stored.
    ///
    /// # Errors
    /// [`StartError::Broken`] when the store's thread is gone.
    pub async fn run(mut self) -> Result<(), StartError> {
        let now = self.clock.now();
        self.tell(now, Input::Time);
        self.systemd.ready();
        tracing::info!(listen = self.listen, region = %self.region.region, "ready");
        while !self.memory.is_stopped {
            let turn = self.wait().await;
            let now = self.clock.now();
            match turn {
                Turn::Signal(Signal::Stop) => self.stop(now),
                Turn::Signal(Signal::Reload) => {
                    tracing::info!("SIGHUP: nothing to reload, tasks are looked for by themselves")
                }
                Turn::Readable => self.datagrams(),
                Turn::ServerReadable => self.downlinks(),
                Turn::Found(found) => self.server_sockets.settle(now.mono, found),
                Turn::Saved(Some((save, result))) => {
                    self.memory.pending.saved(save, &result);
                    self.tell(now, Input::Saved(save, result));
                }
                Turn::Saved(None) => return Err(StartError::Broken("store's thread")),
                Turn::Fact(fact) => self.fact(now, fact),
                Turn::Ask(ask) => self.answer(now, ask),
                Turn::Lns(link, event) => self.tell(now, Input::Lns { link, event }),
                Turn::Time => {}
            }
            self.due();
        }
        let waiting: usize = self.server_sockets.states().map(|state| state.waiting).sum();
        if waiting > 0 {
            tracing::warn!(waiting, "{waiting} datagrams are lost that waited for their network server");
        }
        self.systemd.status("stopped");
        // What is left to store are reports; the stopping mark is durable.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.store.close()).await;
        Ok(())
    }

    async fn wait(&mut self) -> Turn {
        let until = self.deadline();
        let now = self.clock.now().mono;
        let patience = tokio::time::sleep(Duration::from_micros(until.us_since(now)));
        tokio::select! {
            signal = self.signals.next() => Turn::Signal(signal),
            () = self.socket.readable() => Turn::Readable,
            () = self.server_sockets.readable() => Turn::ServerReadable,
            Some(found) = self.found.recv() => Turn::Found(found),
            saved = self.store.answer() => Turn::Saved(saved),
            Some(fact) = self.facts.recv() => Turn::Fact(fact),
            (task, fetched) = self.images.answer() => Turn::Fact(Fact::Image(task, fetched)),
            Some(ask) = self.asks.recv() => Turn::Ask(ask),
            (link, event) = self.lns.event() => Turn::Lns(link, event),
            () = patience => Turn::Time,
        }
    }

    fn deadline(&self) -> Instant {
        let memory = &self.memory;
        [memory.wake_at, memory.stop_by].into_iter().flatten().fold(memory.tick_at, Instant::min)
    }

    /// Does what has become due while the turn was made.
    fn due(&mut self) {
        let now = self.clock.now();
        if self.memory.wake_at.is_some_and(|at| at <= now.mono) {
            self.tell(now, Input::Time);
        }
        if self.memory.tick_at <= now.mono {
            self.memory.tick_at = now.mono.plus_us(TICK_US);
            self.tick();
        }
        if self.memory.stop_by.is_some_and(|at| at <= now.mono) && !self.memory.is_stopped {
            tracing::warn!(
                "the disk did not answer in time: ending without the last mark, as after a power cut"
            );
            self.memory.is_stopped = true;
        }
    }

    /// Once a second: the socket is read whatever the runtime says, time passes, the watchdog is fed.
    fn tick(&mut self) {
        self.datagrams();
        self.downlinks();
        let now = self.clock.now();
        self.server_sockets.time(now.mono);
        self.tell(now, Input::Time);
        if let Some((memory, address)) = self.pull_memory.as_mut().zip(self.engine.link().pull_address) {
            memory.learn(address);
        }
        self.tell_unneeded();
        self.memory.clock_log.tell(now.mono, &mut self.clock, &mut self.memory.reporter);
        let headline = view::headline(&self.snapshot(now));
        self.systemd.status(&headline);
        let every_us = self.systemd.feed_every().map(|every| every.as_micros() as u64);
        let is_hungry =
            |every_us| self.memory.fed_at.is_none_or(|fed| now.mono.us_since(fed) + TICK_US > every_us);
        if every_us.is_some_and(is_hungry) {
            self.memory.fed_at = Some(now.mono);
            self.systemd.alive();
        }
    }

    fn datagrams(&mut self) {
        for _ in 0..BATCH {
            let Some((from, length)) = self.socket.receive() else { return };
            // The concentrator's counter is learned from this moment.
            let now = self.clock.now();
            self.tell_if_full(now);
            self.engine.handle(now, Input::Datagram { from, bytes: self.socket.bytes(length) });
            self.carry_out(now);
        }
    }

    /// What the next uplink would push out of a server's queue was acknowledged; so the next one is not.
    fn tell_if_full(&mut self, now: Now) {
        let are_full = self.server_sockets.are_full();
        if self.memory.are_full != are_full {
            self.memory.are_full = are_full;
            self.tell(now, Input::ServersFull(are_full));
        }
    }

    /// What network servers sent.
    fn downlinks(&mut self) {
        for _ in 0..BATCH {
            let now = self.clock.now();
            let Some((server, length)) = self.server_sockets.receive(now.mono) else { return };
            self.engine.handle(now, Input::FromServer { server, bytes: self.server_sockets.bytes(length) });
            self.carry_out(now);
        }
    }

    fn fact(&mut self, now: Now, fact: Fact) {
        match fact {
            Fact::Task { document, stem, source } => {
                self.tell(now, Input::Task { document: &document, stem: &stem, source });
            }
            Fact::Missing(task) => self.tell(now, Input::Hold(task)),
            Fact::Gone(task) => self.tell(now, Input::Cancel(task)),
            Fact::Withdrawn(task) => self.tell(now, Input::Withdraw(task)),
            Fact::Image(task, Fetched::Image(bytes, evidence)) => {
                self.memory.notes.image_came(&task);
                self.tell(now, Input::Image(task, bytes, evidence));
            }
            Fact::Image(task, Fetched::Missing(reason)) => {
                tracing::warn!(task = task.as_str(), "task {task}: {reason}; tried again and again");
                self.memory.notes.image_is_missing(task, reason);
            }
            Fact::Image(task, Fetched::Failed(reason)) => self.tell(now, Input::ImageFailed(task, reason)),
        }
    }

    fn stop(&mut self, now: Now) {
        if self.memory.stop_by.is_none() {
            tracing::info!("stopping: no new frame; the last answers are awaited and the mark is written");
            self.systemd.stopping();
            self.memory.stop_by = Some(now.mono.plus_us(STOP_US));
            self.tell(now, Input::Stop);
        }
    }

    /// Hands one fact to the engine and carries out its wishes.
    fn tell(&mut self, now: Now, input: Input<'_>) {
        self.engine.handle(now, input);
        self.carry_out(now);
    }

    fn carry_out(&mut self, now: Now) {
        loop {
            match self.engine.poll() {
                Output::Datagram { to, bytes } => self.socket.send(to, &bytes),
                Output::ToServer { server, bytes } => self.server_sockets.send(now.mono, server, bytes),
                Output::LnsPush { link, push } => self.lns.push(link, push),
                Output::Fetch(order) => match &order.image {
                    ImageRef::File(path) => self.images.fetch(order.task.clone(), path.clone()),
                    _ => self.order(order),
                },
                Output::Save(save, change) => {
                    self.memory.end_reports.saves(&change);
                    if let Err(why) = self.store.save(save, change) {
                        self.memory.next.push_back(Next::NotSaved(save, why));
                    }
                }
                Output::Report(report) => self.report(now, &report),
                Output::Stopped => self.memory.is_stopped = true,
                Output::WakeAt(at) => {
                    self.memory.wake_at = at;
                    match self.memory.next.pop_front() {
                        None => return,
                        Some(Next::NotSaved(save, why)) => {
                            let result = Err(why);
                            self.memory.pending.saved(save, &result);
                            self.engine.handle(now, Input::Saved(save, result));
                        }
                        Some(Next::ImageFailed(task, reason)) => {
                            self.engine.handle(now, Input::ImageFailed(task, reason));
                        }
                    }
                }
            }
        }
    }

    /// An image that only the cloud's side can bring.
    fn order(&mut self, order: FetchOrder) {
        let task = order.task.clone();
        let reason = match &self.fetcher {
            None => format!(
                "{} is not on this disk and no cloud is configured: download it and name it as file:///path",
                order.image
            ),
            Some(fetcher) => match fetcher.try_send(ImageWish::Fetch(order)) {
                Ok(()) => {
                    self.memory.unneeded.remove(&task);
                    return;
                }
                Err(error) => format!("too many images are being fetched already: {error}"),
            },
        };
        self.memory.next.push_back(Next::ImageFailed(task, reason));
    }

    fn report(&mut self, now: Now, report: &Report) {
        let account =
            |task: &TaskId| Some(self.engine.progress().find(|(open, _)| *open == task)?.1?.account);
        self.memory.end_reports.hear(now, report, account);
        if let Some(task) = &report.task {
            match &report.event {
                // What was refused may be a change of a task that goes on.
                Event::Refused { .. } if self.engine.progress().any(|(open, _)| open == task) => {}
                Event::Refused { .. } | Event::Over(_) => self.ended(now, report, task),
                Event::Answered { questions, end, .. } => self.answered(task, (*questions, *end)),
                Event::Sent { .. } | Event::Resumed { .. } if self.memory.reporter.wants_place(task) => {
                    self.learn_place(task);
                }
                _ => {}
            }
        }
        if let Event::Refused { reason } = &report.event {
            self.memory.notes.refused(report.task.as_ref(), reason);
        }
        self.memory.reporter.line(report);
    }

    /// The results of a campaign's devices are final: its report gets them.
    fn answered(&mut self, task: &TaskId, how: (u16, End)) {
        let reports = &mut self.memory.end_reports;
        let Some(change) = reports.answered(task, how, |group| self.engine.answers(group)) else { return };
        if let Change::Report { report, .. } = &change {
            self.memory.notes.answered(report);
        }
        self.store.amend(change);
    }

    fn learn_place(&mut self, task: &TaskId) {
        let state = self.engine.tasks().find(|state| state.task == *task);
        if let Some(campaign) = state.and_then(|state| state.campaign) {
            let sub_band = view::sub_band(self.region, campaign.channel.sub_band.0);
            let (group, frames) = (campaign.group, campaign.frames);
            self.memory.reporter.place(task.clone(), Place { group, sub_band, frames, tenths: None });
        }
    }

    /// A task is over: what it leaves is a report on disk and a line on the status page.
    fn ended(&mut self, now: Now, report: &Report, task: &TaskId) {
        self.images.forget(task);
        self.memory.unneeded.insert(task.clone());
        self.tell_unneeded();
        match &report.event {
            Event::Over(outcome) => {
                self.memory.notes.ended(task, Some(outcome.to_string()));
                let reports = &mut self.memory.end_reports;
                let devices = reports.group(task).and_then(|group| self.engine.fleet(group));
                let change = reports.end(now, task, outcome, devices);
                if let Change::Report { report, .. } = &change {
                    self.memory.notes.answered(report);
                }
                self.store.note(change, task.clone(), self.over.clone());
            }
            _ => {
                self.memory.notes.ended(task, None);
                self.memory.end_reports.forget(task);
            }
        }
    }

    /// Tells the cloud's side whose images are not needed any more; what does not fit now is told later.
    fn tell_unneeded(&mut self) {
        let unneeded = &mut self.memory.unneeded;
        match &self.fetcher {
            None => unneeded.clear(),
            Some(fetcher) => {
                while let Some(task) = unneeded.pop_first() {
                    if fetcher.try_send(ImageWish::Over(task.clone())).is_err() {
                        // Who is not told keeps some images too long.
                        if unneeded.len() < TASKS_MAX {
                            unneeded.insert(task);
                        }
                        return;
                    }
                }
            }
        }
    }
}
