//! The timetable of a campaign, from a run of the engine.

use super::hearing::Heard;
use crate::campaign::Group;
use crate::campaign::Session;
use crate::campaign::SessionRule;
use crate::campaign::setup;
use crate::campaign::setup::DeviceKeys;
use crate::campaign::setup::SetupCommand;
use crate::campaign::setup::SetupError;
use crate::cloud::task_from_file;
use crate::engine::Settings;
use crate::lorawan::RootKey;
use crate::lorawan::Secret;
use crate::report::Planned;
use crate::sim::BandAir;
use crate::sim::DeviceScript;
use crate::sim::Loss;
use crate::sim::Script;
use crate::sim::SentFrame;
use crate::sim::Summary;
use crate::sim::TaskScript;
use crate::sim::World;
use crate::sim::device;
use crate::store::FCNT_FIRST;
use crate::store::KeyCounters;
use crate::store::RangeState;
use crate::store::RecordId;
use crate::store::Recovered;
use crate::store::TaskRecord;
use crate::task::Start;
use crate::task::Task;
use crate::time::GpsTime;
use crate::time::Instant;

/// Planning begins this long before a task's start, microseconds: time to tell devices.
const BEFORE_US: u64 = 600_000_000;
/// The zero of plans without a start, 2026-01-01 00:00:00 UTC; only differences are shown then.
const NO_START: GpsTime = GpsTime::from_us(1_451_260_818_000_000);
/// A campaign that needs longer than this cannot be planned, microseconds.
const LIMIT_US: u64 = 366 * 24 * 3_600_000_000;

/// The timetable of a campaign.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// Fragments, counters, pace, warnings.
    pub planned: Planned,
    /// Whether the times below are absolute: the task has a start.
    pub is_absolute: bool,
    /// The first frame's start.
    pub begin: GpsTime,
    /// The last frame's end.
    pub end: GpsTime,
    /// Frames of the whole campaign.
    pub frames: u32,
    /// The sessions and what is sent in each.
    pub sessions: Vec<SessionPlan>,
    /// Airtime of the campaign, microseconds.
    pub airtime_us: u64,
    /// Airtime per sub-band against the law.
    pub bands: Vec<BandAir>,
    /// Each hour from the first frame on.
    pub hours: Vec<HourPlan>,
    /// The part of every duty budget that is kept for the network server, parts per million.
    pub server_reserve_ppm: u32,
    /// Uplinks of other devices in the simulation, one a minute: offered to the gateway, and lost because it was sending.
    pub uplinks: (u64, u64),
    /// What the gateway hears meanwhile.
    pub heard: Heard,
    /// How long a device that loses nothing keeps its receiver open, microseconds.
    pub listening_us: u64,
}

/// One session of a timetable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPlan {
    /// Start and length of the session.
    pub session: Session,
    /// First and last frame number sent in it.
    pub frames: Option<(u32, u32)>,
}

/// One hour of a timetable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourPlan {
    /// Frames that begin in it.
    pub frames: u32,
    /// Airtime of these frames, microseconds.
    pub airtime_us: u64,
}

impl Timetable {
    /// Plans `document` with the gateway's `settings`; counters begin at each
    /// group's `first_fcnt` (see [`counters_from`](super::counters_from)). Nothing of it is past.
    ///
    /// # Errors
    /// Why it cannot legally be done, in one line.
    pub fn new(settings: &Settings, document: &str, stem: &str, image: Vec<u8>) -> Result<Timetable, String> {
        Timetable::seen_at(None, None, settings, document, stem, image)
    }

    /// The same as it looks at `gps`, where that is known: what is past by then is not sent. With what the service would
    /// find in its state folder, the airtime in it counts, and of a campaign that has begun the rest is planned.
    ///
    /// # Errors
    /// Why it cannot legally be done, in one line.
    pub fn seen_at(
        gps: Option<GpsTime>,
        recovered: Option<&Recovered>,
        settings: &Settings,
        document: &str,
        stem: &str,
        image: Vec<u8>,
    ) -> Result<Timetable, String> {
        let task = task_from_file(document.as_bytes(), stem).map_err(|error| error.to_string())?;
        let group = task.groups.first().map_or(settings.groups.first(), |name| named(settings, name));
        let start = match (task.start, group.map(|group| group.session)) {
            (Some(Start::At(start)), _) => Some(start),
            (_, Some(SessionRule::Windows { start, .. })) => start,
            _ => None,
        };
        let zero = start.map_or(NO_START, |start| {
            let before = GpsTime::from_us(start.as_us().saturating_sub(BEFORE_US));
            gps.map_or(before, |gps| gps.max(before))
        });
        let recovered = recovered.map(|recovered| of_task(recovered, &task, settings));
        let mut world = World::new(Script { recovered, ..script(settings, &task, document, zero, image) });
        while world.step() {}
        let summary = world.summary();
        if let Some(reason) = summary.refusal() {
            return Err(reason.to_owned());
        }
        let planned = summary.planned.clone().ok_or("the task never got as far as a plan")?;
        let at = |instant: Instant| zero.plus_us(instant.us_since(Instant::ZERO));
        let (Some(first), Some(last)) = (summary.frames.first(), summary.frames.last()) else {
            return Err(waiting_for(&summary));
        };
        if let Some(outcome) = unfinished(&summary, task.groups.len().max(1)) {
            return Err(outcome);
        }
        if !summary.verdict.is_content() {
            let breach = summary.verdict.breaches.first().map(ToString::to_string).unwrap_or_default();
            return Err(format!("the plan would break the law: {breach}"));
        }
        Ok(Timetable {
            is_absolute: start.is_some(),
            begin: at(first.start),
            end: at(last.start.plus_us(planned.airtime_us)),
            frames: u32::try_from(summary.frames.len()).unwrap_or(u32::MAX),
            sessions: sessions(&planned, &summary.frames, &at),
            airtime_us: summary.airtime_us(),
            bands: summary.verdict.bands.clone(),
            hours: hours(&summary.frames, planned.airtime_us),
            server_reserve_ppm: settings.kept.server_reserve_ppm,
            uplinks: summary.uplinks,
            heard: Heard::beside(&summary.frames, planned.airtime_us, &settings.region.usual_uplinks()),
            listening_us: summary.devices.first().map_or(0, |device| device.listening_us),
            planned,
        })
    }

    /// The setup commands of one device; see [`setup::commands`].
    ///
    /// # Errors
    /// The same errors as those of [`setup::commands`].
    pub fn setup(
        &self,
        group: &Group,
        image: &[u8],
        device: &DeviceKeys<'_>,
    ) -> Result<Vec<SetupCommand>, SetupError> {
        setup::commands(&self.planned, group, image, device)
    }
}

/// What of a state folder concerns a task's plan: the airtime, and the task's own record with its counters.
fn of_task(recovered: &Recovered, task: &Task, settings: &Settings) -> Recovered {
    let id = RecordId(task.id.record_id());
    let tasks: Vec<TaskRecord> = recovered.tasks.iter().filter(|record| record.id == id).cloned().collect();
    let mut mark = recovered.mark.clone();
    if let Some(mark) = &mut mark {
        mark.campaigns.retain(|campaign| campaign.task == id);
    }
    let intact = |group: &Group| {
        let key = group.keys.fingerprint();
        let counters =
            KeyCounters { next_free: group.first_fcnt.unwrap_or(FCNT_FIRST), ..KeyCounters::default() };
        let ours = recovered.ranges.get(&key).filter(|_| !tasks.is_empty()).cloned();
        (key, ours.unwrap_or(RangeState::Intact(counters)))
    };
    let ranges = settings.groups.iter().map(intact).collect();
    Recovered { ranges, mark, tasks, ledger_lost: recovered.ledger_lost, ..Recovered::default() }
}

fn named<'a>(settings: &'a Settings, name: &str) -> Option<&'a Group> {
    settings.groups.iter().find(|group| group.name == name)
}

fn script(settings: &Settings, task: &Task, document: &str, zero: GpsTime, image: Vec<u8>) -> Script {
    let group = task.groups.first().and_then(|name| named(settings, name)).or(settings.groups.first());
    let root_key = RootKey::GenAppKey(Secret::from_bytes([1; 16]));
    let mut device =
        device::Settings::stock(device::Stack::Ideal, "listener".to_owned(), root_key, settings.region);
    if let Some(group) = group {
        device.ts004_version = group.ts004_version;
        if let (SessionRule::Always, Ok(rate)) = (group.session, settings.region.data_rate(group.data_rate)) {
            device.permanent_class_c = Some((group.frequency_hz, rate.modulation));
        }
    }
    Script {
        start: zero,
        seed: 0,
        tasks: vec![TaskScript {
            at_us: 0,
            stem: task.id.as_str().to_owned(),
            document: document.to_owned(),
            image,
        }],
        devices: vec![DeviceScript {
            settings: device,
            group: None,
            loss: Loss::Random { ppm: 0 },
            is_told: true,
        }],
        limit_us: LIMIT_US,
        ..Script::of_gateway(settings.clone())
    }
}

fn waiting_for(summary: &Summary) -> String {
    use crate::report::Event;
    let waits = summary.reports.iter().rev().find_map(|report| match &report.event {
        Event::Waiting { reason } => Some(format!("nothing would be sent: it waits for {reason}")),
        Event::Over(outcome) => Some(outcome.to_string()),
        _ => None,
    });
    waits.unwrap_or_else(|| "nothing would be sent".to_owned())
}

/// How the first campaign ended that is not complete; of so many `tasks` each has to be.
fn unfinished(summary: &Summary, tasks: usize) -> Option<String> {
    use crate::report::Event;
    use crate::report::Outcome;
    let over = summary.reports.iter().filter_map(|report| match &report.event {
        Event::Over(outcome) => Some(outcome),
        _ => None,
    });
    let over: Vec<&Outcome> = over.collect();
    let incomplete = over.iter().find(|outcome| !matches!(outcome, Outcome::Complete(_)));
    let endless = || format!("{} of {tasks} campaigns would not end within a year", tasks - over.len());
    incomplete.map(ToString::to_string).or_else(|| (over.len() < tasks).then(endless))
}

fn hours(frames: &[SentFrame], airtime_us: u64) -> Vec<HourPlan> {
    const HOUR_US: u64 = 3_600_000_000;
    let mut hours: Vec<HourPlan> = Vec::new();
    let Some(first) = frames.first() else { return hours };
    for frame in frames {
        let at = (frame.start.us_since(first.start) / HOUR_US) as usize;
        hours.resize(hours.len().max(at + 1), HourPlan::default());
        hours[at].frames += 1;
        hours[at].airtime_us += airtime_us;
    }
    hours
}

fn sessions(planned: &Planned, frames: &[SentFrame], at: &dyn Fn(Instant) -> GpsTime) -> Vec<SessionPlan> {
    let plan = |(start, exponent): &(GpsTime, u8)| {
        let session = Session { start: *start, exponent: *exponent };
        let mut inside = frames
            .iter()
            .filter(|frame| (session.start..session.end()).contains(&at(frame.start)))
            .map(|frame| frame.frame_no);
        let first = inside.next();
        let last = inside.last().or(first);
        SessionPlan { session, frames: first.zip(last) }
    };
    planned.sessions.iter().map(plan).collect()
}
