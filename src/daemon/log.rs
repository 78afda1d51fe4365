//! Log lines. What an operator should see is a report first and becomes a line here, with fields a program can
//! filter by; nobody can flood the log.

use super::journal;
use super::journal::JournalLayer;
use super::journal::to_journal;
use super::log_queue::LogQueue;
use super::log_queue::dropped_line;
use super::log_queue::to_stderr;
use crate::report::Event;
use crate::report::Report;
use crate::report::Severity;
use crate::task::TaskId;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The same message is told once in this time, microseconds; the next line says how many were left out.
const QUIET_US: u64 = 10_000_000;
/// Different messages that are told apart.
const MESSAGES_MAX: usize = 128;
/// Tasks whose group, sub-band and progress are known.
const PLACES_MAX: usize = 64;

/// The log of this process, as far as it begins here.
#[derive(Debug, Default)]
pub struct Log {
    queue: Option<LogQueue>,
    /// What is wrong with the filter. It is no reason to say nothing, or to end: `info` is taken.
    pub fault: Option<String>,
}

impl Log {
    /// What is not written within `patience` never will be.
    pub fn flush(&self, patience: Duration) {
        if let Some(queue) = &self.queue {
            queue.flush(patience);
        }
    }
}

/// Sends log lines to the journal when the service manager reads our stderr into it, else to stderr. Whoever
/// logs waits for neither.
pub fn init(filter: &str) -> Log {
    let (filter, fault) = match targets(filter) {
        Ok(filter) => (filter, None),
        Err(error) => {
            (Targets::new().with_default(LevelFilter::INFO), Some(format!("{error}; taken as info")))
        }
    };
    let lines = tracing_subscriber::registry().with(filter);
    let journal = is_under_journal().then(|| to_journal(Path::new(journal::SOCKET))).and_then(Result::ok);
    // A second initialisation in one process (tests) keeps the first. Without a thread to write there is no log, but a relay.
    let queue = match journal {
        Some(journal) => {
            let queue = LogQueue::start(journal, journal::dropped).ok();
            let _ = lines.with(queue.clone().map(JournalLayer::new)).try_init();
            queue
        }
        None => {
            let queue = LogQueue::start(to_stderr(), dropped_line).ok();
            let is_terminal = std::io::stderr().is_terminal();
            let layer = |queue| tracing_subscriber::fmt::layer().with_writer(queue).with_ansi(is_terminal);
            let _ = lines.with(queue.clone().map(layer)).try_init();
            queue
        }
    };
    Log { queue, fault }
}

/// What is told of each target.
fn targets(filter: &str) -> Result<Targets, String> {
    check_filter(filter)?;
    let plain: String = filter.chars().filter(|c| !c.is_whitespace()).collect();
    plain.parse().map_err(|error| format!("log.filter: {error}"))
}

/// Whether `filter` is one: a single word is a level, and one that is none would mute the service.
///
/// # Errors
/// The word, and what may stand there.
pub fn check_filter(filter: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in filter.split(',').map(str::trim) {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level).to_lowercase();
        if !LEVELS.contains(&level.as_str()) {
            let levels = LEVELS.join(", ");
            return Err(format!(
                "log.filter: {directive:?} is no level ({levels}), nor one for a target (fuotad=debug)"
            ));
        }
    }
    Ok(())
}

/// Whether JOURNAL_STREAM names the file that our stderr is (systemd.exec(5)).
fn is_under_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Turns reports into lines.
#[derive(Debug, Default)]
pub struct Reporter {
    told: BTreeMap<String, Told>,
    places: BTreeMap<TaskId, Place>,
    groups: BTreeMap<TaskId, String>,
}

/// Where a campaign's frames go, and how far it was told.
#[derive(Debug)]
pub struct Place {
    /// Name of its group.
    pub group: String,
    /// Label of its sub-band.
    pub sub_band: &'static str,
    /// Frames that it has in all.
    pub frames: u32,
    /// Tenths of them that were told, once one is behind it.
    pub tenths: Option<u64>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    left_out: u64,
}

impl Reporter {
    /// Whether the place of `task` is still unknown.
    pub fn wants_place(&self, task: &TaskId) -> bool {
        !self.places.contains_key(task)
    }

    /// Where the frames of `task` go.
    pub fn place(&mut self, task: TaskId, place: Place) {
        if self.places.len() < PLACES_MAX {
            self.places.insert(task, place);
        }
    }

    /// Writes the line, unless it was just written. Each stands alone: whoever reads the text sees no fields.
    pub fn line(&mut self, report: &Report) {
        if let (Event::Planned(planned), Some(task)) = (&report.event, &report.task)
            && self.groups.len() < PLACES_MAX
        {
            self.groups.insert(task.clone(), planned.group.clone());
        }
        let task = report.task.as_ref().map(TaskId::as_str);
        // A frame is told at debug, where each of them is wanted.
        let is_frame = matches!(report.event, Event::Sent { .. });
        let admitted = if is_frame { Some(0) } else { self.admit(report.at, &key(report)) };
        let Some(left_out) = admitted else { return };
        let place = report.task.as_ref().and_then(|task| self.places.get(task));
        let sub_band = place.map(|place| place.sub_band);
        let planned = report.task.as_ref().and_then(|task| self.groups.get(task));
        let group = place.map(|place| place.group.as_str()).or(planned.map(String::as_str));
        let text = standing_alone(report, group, left_out);
        let left_out = (left_out > 0).then_some(left_out);
        let (k, fcnt) = match &report.event {
            Event::Sent { frame_no: k, fcnt, .. } => (Some(*k), Some(*fcnt)),
            Event::Unanswered { frame_no: k }
            | Event::Unconfirmed { frame_no: k }
            | Event::Refusal { frame_no: k, .. }
            | Event::Resumed { frame_no: k } => (Some(*k), None),
            _ => (None, None),
        };
        match report.event.severity() {
            _ if is_frame => tracing::debug!(task, group, k, fcnt, sub_band, left_out, "{text}"),
            Severity::Error => tracing::error!(task, group, k, fcnt, sub_band, left_out, "{text}"),
            Severity::Warning => tracing::warn!(task, group, k, fcnt, sub_band, left_out, "{text}"),
            Severity::Info => tracing::info!(task, group, k, fcnt, sub_band, left_out, "{text}"),
        }
        match (&report.event, &report.task) {
            (Event::Over(_), Some(task)) => {
                self.places.remove(task);
                self.groups.remove(task);
            }
            (Event::Sent { frame_no, .. }, Some(id)) => {
                if let Some(text) = self.progress(id, frame_no + 1) {
                    let group = self.places.get(id).map(|place| place.group.as_str());
                    tracing::info!(task, group, k, sub_band, "{text}");
                }
            }
            _ => {}
        }
    }

    /// How far the campaign is, each time that another tenth of it is behind. The end has a line of its own.
    fn progress(&mut self, task: &TaskId, done: u32) -> Option<String> {
        let place = self.places.get_mut(task)?;
        let tenths = u64::from(done) * 10 / u64::from(place.frames.max(1));
        let told = place.tenths.replace(tenths);
        // In the first frame of a life nothing is news.
        let is_news = told.unwrap_or(if done == 1 { 0 } else { tenths }) < tenths && tenths < 10;
        is_news.then(|| {
            let Place { group, frames, .. } = place;
            format!("task {task}, group {group}: {done} of {frames} frames sent ({tenths}0 %)")
        })
    }

    /// How many lines like this were left out since the last one; `None`: leave this one out, too.
    pub fn admit(&mut self, now: Instant, key: &str) -> Option<u64> {
        if self.told.len() >= MESSAGES_MAX {
            self.told.retain(|_, told| now.us_since(told.at) < QUIET_US);
        }
        // So many different messages at once are a flood: what does not fit shares one line.
        let is_flood = self.told.len() >= MESSAGES_MAX && !self.told.contains_key(key);
        let key = if is_flood { "" } else { key };
        match self.told.get_mut(key) {
            Some(told) if now.us_since(told.at) < QUIET_US => {
                told.left_out += 1;
                None
            }
            Some(told) => {
                told.at = now;
                Some(std::mem::take(&mut told.left_out))
            }
            None => {
                self.told.insert(key.to_owned(), Told { at: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

/// A report with its task and its group in the text, as far as it does not name them itself.
fn standing_alone(report: &Report, group: Option<&str>, left_out: u64) -> String {
    let task = report.task.as_ref().map(|task| format!("task {task}"));
    let group = group.map(|group| format!("group {group}"));
    let text = report.to_string();
    let names = task.into_iter().chain(group.filter(|group| !text.contains(group.as_str())));
    let names = names.collect::<Vec<_>>().join(", ");
    let colon = if names.is_empty() { "" } else { ": " };
    let more = match left_out {
        0 => String::new(),
        n => format!(" (and {n} more like this in the meantime)"),
    };
    format!("{names}{colon}{text}{more}")
}

/// What makes two messages the same: the kind of event, its task, and whom it is about. Numbers do not count: they are
/// another one each time.
fn key(report: &Report) -> String {
    let task = report.task.as_ref().map_or("", TaskId::as_str);
    match &report.event {
        Event::Sent { .. } => format!("sent {task}"),
        Event::CounterKnown { .. } => "counter known".to_owned(),
        Event::SecondSender { mc_addr, .. } => format!("second sender {mc_addr:08x}"),
        Event::WrongMic { mc_addr, .. } => format!("wrong MIC {mc_addr:08x}"),
        Event::OtherSender { heard, from, .. } => format!("other sender {heard} {from}"),
        Event::ServerBreach { server, sub_band, .. } => format!("breach {server} {sub_band}"),
        Event::ServerSilent { server } => format!("silent {server}"),
        Event::ServerAnswers { server } => format!("answers {server}"),
        other => {
            let text = other.to_string();
            // A time has letters, too: 2026-11-22T08:00:00Z.
            let is_number = |word: &&str| {
                let digits = word.bytes().filter(u8::is_ascii_digit).count();
                digits > 0 && (!word.contains(char::is_alphabetic) || 2 * digits > word.len())
            };
            let words: Vec<&str> = text.split(' ').filter(|word| !is_number(word)).collect();
            format!("{task}: {}", words.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    #[test]
    fn the_same_message_is_told_once_in_ten_seconds_and_then_with_a_count() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.admit(at(0), "a"), Some(0));
        for second in 1..10 {
            assert_eq!(reporter.admit(at(second), "a"), None);
        }
        assert_eq!(reporter.admit(at(5), "b"), Some(0));
        assert_eq!(reporter.admit(at(10), "a"), Some(9));
        assert_eq!(reporter.admit(at(20), "a"), Some(0));
    }

    #[test]
    fn a_flood_of_different_messages_shares_one_line() {
        let mut reporter = Reporter::default();
        let lines = (0..1_000_000).filter(|n| reporter.admit(at(0), &format!("odd {n}")).is_some()).count();
        assert_eq!(lines, MESSAGES_MAX + 1);
        assert!(reporter.told.len() <= MESSAGES_MAX + 1);
        assert!(reporter.admit(at(10), "another").is_some());
    }

    #[test]
    fn frames_of_one_task_are_one_kind_of_message() {
        let sent = |k| Report {
            at: at(0),
            task: Some(TaskId::new("t").unwrap()),
            event: Event::Sent { frame_no: k, fcnt: k + 2, start: at(0) },
        };
        assert_eq!(key(&sent(1)), key(&sent(2)));
    }

    #[test]
    fn events_of_one_kind_are_one_message_whatever_their_numbers_but_not_whomever_they_are_about() {
        let of = |event: Event| key(&Report { at: at(0), task: None, event });
        let lost = |us: i64| of(Event::CounterLost { reason: format!("it jumped by {us} us") });
        assert_eq!(lost(-29_123_456), lost(7));
        assert_ne!(lost(7), of(Event::CounterLost { reason: "it sends from a new port".to_owned() }));
        let silent = |n: u8| of(Event::ServerSilent { server: format!("lns{n}.example.org") });
        assert_ne!(silent(1), silent(2));
        let warning = |group| of(Event::Warning { text: format!("group {group} is 7 s late") });
        assert_ne!(warning("meters-1"), warning("meters-2"));
        let until = |when| of(Event::Waiting { reason: format!("its turn, until about {when}") });
        assert_eq!(until("2026-11-22T08:00:00Z"), until("2026-11-23T09:10:11Z"));
        let second = |mc_addr| of(Event::SecondSender { mc_addr, fcnt: 1 });
        assert_ne!(second(1), second(2));
    }

    #[test]
    fn a_filter_that_would_mute_the_log_is_none() {
        assert_eq!(
            check_filter("inof").unwrap_err(),
            "log.filter: \"inof\" is no level (off, error, warn, info, debug, trace), nor one for a target (fuotad=debug)"
        );
        for filter in ["a=b=c", "info,fuotad", "", "fuotad=inof"] {
            assert!(check_filter(filter).is_err(), "{filter}");
        }
        for filter in ["info", "WARN", "info, fuotad=debug", "fuotad=DEBUG,info", "off"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
    }

    #[test]
    fn a_target_has_its_own_level_and_all_others_the_bare_one() {
        let told = |filter| {
            let targets = targets(filter).unwrap();
            ["fuotad::store", "hyper"].map(|target| {
                [Level::ERROR, Level::INFO, Level::DEBUG].map(|level| targets.would_enable(target, &level))
            })
        };
        assert_eq!(told("off"), [[false; 3]; 2]);
        assert_eq!(told("WARN"), [[true, false, false]; 2]);
        assert_eq!(told("error, fuotad=debug"), [[true; 3], [true, false, false]]);
    }
}
