//! The front door of everything pure: facts go in, wishes come out.
//!
//! After every [`Engine::handle`], call [`Engine::poll`] until it answers [`Output::WakeAt`]; only then handle
//! the next fact. The engine knows no clock, socket, file or randomness, so the simulated world and the
//! daemon drive the very same one. Each `handle` does a bounded amount of work: at most one new emission per
//! campaign.

use crate::broadcast::Broadcaster;
use crate::broadcast::Group;
use crate::broadcast::Handover;
use crate::broadcast::Keep;
use crate::broadcast::KeyRange;
use crate::broadcast::MarkedCampaign;
use crate::broadcast::NotSaved;
use crate::broadcast::Progress;
use crate::broadcast::Refusal;
use crate::broadcast::Restored;
use crate::broadcast::TaskSource;
use crate::broadcast::TaskState;
use crate::broadcast::Transmit;
use crate::broadcast::Verdict;
use crate::broadcast::Want;
use crate::forwarder;
use crate::forwarder::EmissionId;
use crate::forwarder::Link;
use crate::forwarder::LinkState;
use crate::region::Parameters;
use crate::report::Event;
use crate::report::Report;
use crate::schedule::BandUse;
use crate::schedule::MinuteLoad;
use crate::store::CampaignMark;
use crate::store::Change;
use crate::store::LedgerLoad;
use crate::store::Mark;
use crate::store::RangeState;
use crate::store::RecordId;
use crate::store::Recovered;
use crate::store::Reservation;
use crate::store::StoreError;
use crate::store::TaskRecord;
use crate::task::ImageRef;
use crate::task::TaskId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Two sources of time that are further apart than this contradict each other, microseconds.
const CLOCKS_APART_US: u64 = 2_000_000;
/// A forwarder's GPS time can be 2^32 us ahead, when a packet came before the pulse it was compared with.
const GPS_GLITCH_US: u64 = 1 << 32;

/// What the engine is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A task document was seen; `stem` is the task's id where the document has none.
    Task {
        /// The JSON.
        document: &'a [u8],
        /// Name of its source.
        stem: &'a str,
        /// Where it came from: what its Status means depends on it.
        source: TaskSource,
    },
    /// The task was withdrawn, or is not found any more.
    Cancel(TaskId),
    /// The task is being deleted: it is cancelled unless its first frame was sent.
    Withdraw(TaskId),
    /// The bytes that [`Output::Fetch`] asked for.
    Image(TaskId, Vec<u8>),
    /// They cannot be had: one line why.
    ImageFailed(TaskId, String),
    /// A datagram arrived on the packet forwarder's socket.
    Datagram {
        /// Its source.
        from: SocketAddr,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// The answer to [`Output::Save`]: durable, or why not.
    Saved(u64, Result<(), NotSaved>),
    /// No new frame from now on; [`Output::Stopped`] follows.
    Stop,
    /// Only time has passed.
    Time,
}

/// What the engine wishes.
#[derive(Debug)]
pub enum Output {
    /// Send this from the packet forwarder's socket.
    Datagram {
        /// Its destination.
        to: SocketAddr,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Bring the image of a task.
    Fetch(TaskId, ImageRef),
    /// Make this durable, one after the other, and say so.
    Save(u64, Change),
    /// Tell the operator.
    Report(Report),
    /// Everything is on disk: the process may end.
    Stopped,
    /// Nothing more to do before this instant, or before the next fact.
    WakeAt(Option<Instant>),
}

/// What the engine is made of. No Debug: groups hold keys.
pub struct Settings {
    /// The law.
    pub region: &'static Parameters,
    /// The gateway's multicast groups.
    pub groups: Vec<Group>,
    /// Our side of the conversation with the packet forwarder.
    pub forwarder: forwarder::Settings,
    /// The part of every duty budget that is kept for the network server, parts per million.
    pub server_reserve_ppm: u32,
}

/// The pure mind of the daemon.
pub struct Engine {
    link: Link,
    broadcaster: Broadcaster,
    outputs: VecDeque<Output>,
    now: Now,
    /// Our own clock as it was told, disputed or not.
    own_gps: Option<GpsTime>,
    /// How far the forwarder's GPS is from it, while that is too far, microseconds.
    dispute_us: Option<u64>,
}

impl Engine {
    /// An engine with what the last run left on disk. `seed` varies datagram tokens and nothing else.
    pub fn new(settings: Settings, recovered: Recovered, seed: u64, now: Now) -> Self {
        let mut outputs = VecDeque::new();
        for text in &recovered.warnings {
            let event = Event::Warning { text: text.clone() };
            outputs.push_back(Output::Report(Report { at: now.mono, task: None, event }));
        }
        let (region, groups) = (settings.region, settings.groups);
        let broadcaster =
            Broadcaster::new(region, groups, settings.server_reserve_ppm, restored(recovered, now), now);
        Engine {
            link: Link::new(settings.forwarder, seed),
            broadcaster,
            outputs,
            now,
            own_gps: now.gps,
            dispute_us: None,
        }
    }

    /// Takes in one fact.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        // Of two clocks that disagree one is wrong, and nobody knows which.
        self.now = Now { gps: now.gps.filter(|_| self.dispute_us.is_none()), ..now };
        self.own_gps = now.gps;
        match input {
            Input::Task { document, stem, source } => self.broadcaster.task(now, document, stem, source),
            Input::Cancel(task) => self.broadcaster.cancel(now, &task),
            Input::Withdraw(task) => self.broadcaster.withdraw(now, &task),
            Input::Image(task, bytes) => self.broadcaster.image(now, &task, bytes),
            Input::ImageFailed(task, reason) => self.broadcaster.image_failed(now, &task, &reason),
            Input::Datagram { from, bytes } => self.link.datagram(now.mono, from, bytes),
            Input::Saved(save, result) => self.broadcaster.saved(now, save, result),
            Input::Stop => self.broadcaster.stop(),
            Input::Time => self.link.time(now.mono),
        }
        self.settle();
    }

    /// The next wish; [`Output::WakeAt`] is the last one.
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::WakeAt(self.wake_at()))
    }

    /// The packet forwarder as the link sees it.
    pub fn link(&self) -> LinkState {
        self.link.state(self.now.mono)
    }

    /// Airtime used in every sub-band with a limit.
    pub fn bands(&self) -> Vec<BandUse> {
        self.broadcaster.bands(self.now.mono)
    }

    /// How far each task that is not over is; `None` while it is not planned.
    pub fn progress(&self) -> impl Iterator<Item = (&TaskId, Option<Progress>)> {
        self.broadcaster.progress()
    }

    /// How each task that is not over stands.
    pub fn tasks(&self) -> impl Iterator<Item = TaskState> {
        self.broadcaster.tasks(self.now)
    }

    /// Why nothing is sent any more, after storage failed.
    pub fn halted(&self) -> Option<&str> {
        self.broadcaster.halted()
    }

    fn wake_at(&self) -> Option<Instant> {
        match (self.link.wake_at(), self.broadcaster.wake_at()) {
            (Some(link), Some(campaign)) => Some(link.min(campaign)),
            (link, campaign) => link.or(campaign),
        }
    }

    /// Lets link and broadcaster talk until both are content. Each turn ends in a frame handed over, a verdict
    /// taken, or nothing; a refused hand-over puts the campaign off, so this ends.
    fn settle(&mut self) {
        loop {
            let verdicts = self.drain_link();
            self.broadcaster.advance(self.now, self.handover());
            let sent = self.drain_broadcaster();
            if !verdicts && !sent {
                return;
            }
        }
    }

    /// How frames are handed over now; `None` without a forwarder.
    fn handover(&self) -> Option<Handover> {
        self.link.is_online().then(|| {
            let pace = self.link.pace(self.now.mono);
            Handover { lead_us: pace.lead_us, lead_min_us: pace.lead_min_us, gap_us: pace.gap_us }
        })
    }

    /// Carries out what the link wants; whether there was a verdict.
    fn drain_link(&mut self) -> bool {
        let mut verdicts = false;
        while let Some(output) = self.link.poll() {
            match output {
                forwarder::Output::Datagram { to, bytes } => {
                    self.outputs.push_back(Output::Datagram { to, bytes })
                }
                forwarder::Output::Event(forwarder::Event::Verdict { id, verdict }) => {
                    verdicts = true;
                    self.broadcaster.verdict(self.now, id.0, &translate(verdict));
                }
                forwarder::Output::Event(forwarder::Event::PowerExceeded { asked, granted, .. }) => {
                    let reason = format!(
                        "the forwarder radiates {granted} dBm although {asked} dBm were asked for: its gain table has no lower step"
                    );
                    self.broadcaster.abort(self.now, reason);
                }
                forwarder::Output::Event(forwarder::Event::Uplink(uplink)) => self.compare_clocks(&uplink),
                forwarder::Output::Event(event) => {
                    if let Some(event) = worth_reporting(event) {
                        let report = Report { at: self.now.mono, task: None, event };
                        self.outputs.push_back(Output::Report(report));
                    }
                }
            }
        }
        verdicts
    }

    /// Holds the forwarder's GPS, where it has one, against our own clock: a session that is begun at a wrong time
    /// is one that nobody listens to.
    fn compare_clocks(&mut self, uplink: &forwarder::Uplink) {
        let own = Now { gps: self.own_gps, ..self.now };
        let Some((theirs, ours)) = uplink.gps_ms.zip(own.gps_at(uplink.ended)) else { return };
        let apart_us = theirs.saturating_mul(1000).abs_diff(ours.as_us());
        if apart_us.abs_diff(GPS_GLITCH_US) <= CLOCKS_APART_US {
            return;
        }
        let dispute_us = (apart_us > CLOCKS_APART_US).then_some(apart_us);
        if dispute_us.is_some() != self.dispute_us.is_some() {
            let text = match dispute_us {
                Some(us) => format!(
                    "the forwarder's GPS and this gateway's clock are {} s apart: nothing starts at an absolute time until they agree",
                    us / 1_000_000
                ),
                None => "the forwarder's GPS and this gateway's clock agree again".to_owned(),
            };
            let report = Report { at: self.now.mono, task: None, event: Event::Warning { text } };
            self.outputs.push_back(Output::Report(report));
        }
        self.dispute_us = dispute_us;
        self.now.gps = self.own_gps.filter(|_| dispute_us.is_none());
    }

    /// Carries out what the broadcaster wants; whether a frame was handed over.
    fn drain_broadcaster(&mut self) -> bool {
        let mut sent = false;
        while let Some(want) = self.broadcaster.poll() {
            match want {
                Want::Transmit(transmit) => {
                    sent = true;
                    self.transmit(&transmit);
                }
                Want::Fetch(task, image) => self.outputs.push_back(Output::Fetch(task, image)),
                Want::Save(save, keep) => {
                    let change = change(keep, self.now.gps);
                    self.outputs.push_back(Output::Save(save, change));
                }
                Want::Report(report) => self.outputs.push_back(Output::Report(report)),
                Want::Stopped => self.outputs.push_back(Output::Stopped),
            }
        }
        sent
    }

    fn transmit(&mut self, transmit: &Transmit) {
        let id = EmissionId(transmit.id);
        if let Err(not_sent) = self.link.send(self.now.mono, id, &transmit.emission) {
            let verdict = Verdict::Refused(Refusal::NotSent(not_sent.to_string()));
            self.broadcaster.verdict(self.now, transmit.id, &verdict);
        }
    }
}

/// What a store's "no" means for the engine: the journal's own refusals and a full disk cost one task, a disk
/// that failed costs everything.
pub fn not_saved(error: &StoreError) -> NotSaved {
    match error {
        StoreError::Files(_) | StoreError::Halted(_) => NotSaved::Broken(error.to_string()),
        _ => NotSaved::Refused(error.to_string()),
    }
}

/// The forwarder's word in the campaign's terms.
fn translate(verdict: forwarder::Verdict) -> Verdict {
    use forwarder::Refusal as Word;
    match verdict {
        forwarder::Verdict::Queued { start, .. } => Verdict::Queued { start },
        forwarder::Verdict::Silent { .. } => Verdict::Silent,
        forwarder::Verdict::Refused(word) => Verdict::Refused(match word {
            Word::TooLate => Refusal::TooLate,
            Word::TooEarly | Word::GpsUnlocked => Refusal::WrongCounter,
            Word::CollisionPacket => Refusal::Collision,
            Word::CollisionBeacon => Refusal::Beacon,
            Word::TxFreq => Refusal::Channel("TX_FREQ".to_owned()),
            Word::TxPower => Refusal::Channel("TX_POWER".to_owned()),
            Word::Other(text) => Refusal::Other(text),
        }),
    }
}

fn worth_reporting(event: forwarder::Event) -> Option<Event> {
    match event {
        forwarder::Event::Online { .. } => Some(Event::ForwarderOnline),
        forwarder::Event::Offline { .. } => Some(Event::ForwarderOffline),
        forwarder::Event::CounterKnown { error_us } => Some(Event::CounterKnown { error_us }),
        forwarder::Event::CounterLost { why } => Some(Event::CounterLost { reason: why.to_string() }),
        _ => None,
    }
}

fn change(keep: Keep, gps: Option<GpsTime>) -> Change {
    match keep {
        Keep::Record { record, bytes } => Change::Task(TaskRecord { id: RecordId(record), bytes }),
        Keep::Forget { record } => Change::ForgetTask(RecordId(record)),
        Keep::Reserve { key, mc_addr, base, end, plan_hash } => {
            Change::Reserve(Reservation { key, mc_addr, base, next_free: end, plan_hash })
        }
        Keep::Mark { clean, campaigns, minutes } => {
            let campaign = |marked: MarkedCampaign| CampaignMark {
                task: RecordId(marked.record),
                next_k: marked.next_k,
                lost: marked.made_up,
            };
            let load = |minute: MinuteLoad| LedgerLoad {
                sub_band: minute.sub_band,
                age_min: minute.age_min,
                ours_us: minute.ours_us,
                total_us: minute.total_us,
            };
            Change::Mark(Mark {
                clean,
                gps_us: gps.map(GpsTime::as_us),
                campaigns: campaigns.into_iter().map(campaign).collect(),
                ledger: minutes.into_iter().map(load).collect(),
            })
        }
    }
}

fn restored(recovered: Recovered, now: Now) -> Restored {
    let range = |state: RangeState| match state {
        RangeState::Intact(newest) => known(newest, false),
        RangeState::Damaged { newest, .. } => known(newest, true),
        RangeState::Lost(why) => KeyRange::Lost(why),
    };
    // A store without any range never sent anything: there is no ledger to miss. A damaged newest mark was
    // cut while it was written: nothing was sent on its account, so the one before still covers the truth.
    let ledger_lost = recovered.mark.is_none() && !recovered.ranges.is_empty();
    let mark = recovered.mark;
    let campaign =
        |mark: &CampaignMark| MarkedCampaign { record: mark.task.0, next_k: mark.next_k, made_up: mark.lost };
    let minute = |load: &LedgerLoad| MinuteLoad {
        sub_band: load.sub_band,
        age_min: load.age_min,
        ours_us: load.ours_us,
        total_us: load.total_us,
    };
    Restored {
        ranges: recovered.ranges.into_iter().map(|(key, state)| (key, range(state))).collect(),
        records: recovered.tasks.into_iter().map(|record| (record.id.0, record.bytes)).collect(),
        campaigns: mark.iter().flat_map(|mark| mark.campaigns.iter().map(campaign)).collect(),
        ledger: mark.as_ref().map(|mark| {
            // Time without us counts only when both ends have a trusted clock.
            let ends = now.gps.zip(mark.gps_us.map(GpsTime::from_us));
            let elapsed_us = ends.map_or(0, |(now, then)| now.us_since(then));
            (elapsed_us, mark.ledger.iter().map(minute).collect())
        }),
        ledger_lost,
    }
}

fn known(newest: Reservation, damaged: bool) -> KeyRange {
    let Reservation { base, next_free, plan_hash, .. } = newest;
    KeyRange::Known { base, next_free, plan_hash, damaged }
}
