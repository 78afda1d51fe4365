//! Why something that was ordered is not being sent now: the limit, its number, and what ends it.

use crate::forwarder::Obstacle;
use crate::radio::AirLimit;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::ClockDispute;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use core::fmt;

/// A wait of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What is waited for.
    pub reason: WaitReason,
    /// When it ends, as far as that is known now; `None`: with the event that the reason names.
    pub until: Option<Instant>,
}

/// What a task waits for. Display is the object of "it waits for".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The packet forwarder cannot take a frame.
    Forwarder(Obstacle),
    /// Nobody knows what time it is.
    Clock {
        /// What the time is needed for.
        need: ClockNeed,
        /// Two clocks that contradict each other, where that is why.
        dispute: Option<ClockDispute>,
    },
    /// The task has no start.
    NoStart,
    /// More of its devices are to be ready before it gets a start.
    Devices {
        /// Devices that are ready.
        ready: u32,
        /// Devices of the group.
        devices: u32,
        /// How many are waited for, per cent.
        percent: u8,
        /// Root keys of some are probably wrong.
        is_doubted: bool,
    },
    /// Its start is still to come.
    Start(GpsTime),
    /// The session that its devices were told is still to come: its start and end.
    Session(GpsTime, GpsTime),
    /// The sessions that its devices were told are over.
    Missed {
        /// When the last one ended, if there was one.
        ended: Option<GpsTime>,
        /// Frames that are left.
        left: u32,
        /// Frames that the campaign planned.
        planned: u32,
    },
    /// Another task has the air.
    Turn(TaskId),
    /// So many campaigns have begun, and no mark holds more.
    Campaigns(usize),
    /// A limit of the air.
    Air(AirLimit),
    /// The packet forwarder has a frame and did not answer yet.
    Answer {
        /// Frame number in the campaign.
        frame_no: u32,
    },
    /// Its devices were asked what they miss, and their answers come in.
    DeviceAnswers,
    /// All frames went out, and the packet forwarder's report of the last of them is to come: how many.
    Report(u32),
    /// The packet forwarder refused a frame, which is tried again.
    Refusal(Refused),
    /// So many refusals or silences of the packet forwarder in a row.
    Failures(u32),
    /// The process died too often, soon after its start.
    Crashes {
        /// Starts in a row.
        starts: u32,
        /// How long it rests, seconds.
        rest_s: u64,
    },
    /// The image is on its way.
    Image,
    /// The image is another one than the campaign was planned with; why, in one line.
    OtherImage(String),
    /// The frames are being decoded before the first is sent.
    Proof,
    /// The disk did not answer yet.
    Saving(Saving),
    /// The disk is full; its words.
    DiskFull(String),
    /// Storage failed; its words.
    Halted(String),
    /// The task's file was taken away a moment ago.
    File,
    /// A network server sent to the group.
    SecondSender,
    /// The operator paused the task.
    Paused,
}

/// What the time of day is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockNeed {
    /// The start is an absolute time.
    Start,
    /// A certificate is valid for a time; one line.
    Certificate(String),
    /// Which of two tasks of a group is over first.
    Order {
        /// Name of the group.
        group: String,
        /// The task that was ordered before.
        other: TaskId,
    },
}

/// What the packet forwarder said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Frame number in the campaign.
    pub frame_no: u32,
    /// What kind of refusal it was.
    pub cause: RefusalCause,
    /// Words of its TX_ACK.
    pub error: String,
}

/// The kinds of refusals that end in another way each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCause {
    /// It keeps a duty cycle of its own.
    DutyCycle,
    /// It listened before talking, and the channel was taken.
    Listening,
    /// It refused for another cause.
    Other,
}

/// What is being written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// The record of the task.
    Record,
    /// The frame counters that are reserved for it.
    Counters,
    /// The mark that covers its next frames.
    Mark,
}

impl Wait {
    /// A wait that ends with an event.
    pub fn event(reason: WaitReason) -> Wait {
        Wait { reason, until: None }
    }

    /// A wait that ends at an instant.
    pub fn until(reason: WaitReason, until: Instant) -> Wait {
        Wait { reason, until: Some(until) }
    }

    /// The sentence for people: the reason, and how long it lasts from now on.
    pub fn sentence(&self, now: Now) -> String {
        let reason = &self.reason;
        let Some(until) = self.until.filter(|until| *until > now.mono) else { return reason.to_string() };
        let left_s = until.us_since(now.mono).div_ceil(1_000_000);
        match now.gps {
            _ if reason.names_its_end() => format!("{reason} ({left_s} s from now)"),
            Some(gps) => {
                let utc = whole_second(gps.plus_us(until.us_since(now.mono)));
                format!("{reason}, until about {utc} ({left_s} s from now)")
            }
            None => format!("{reason}, for about {left_s} s"),
        }
    }
}

impl WaitReason {
    /// A word for what is waited for, without its numbers.
    pub fn kind(&self) -> &'static str {
        match self {
            WaitReason::Forwarder(Obstacle::NotHeard) => "forwarder-not-heard",
            WaitReason::Forwarder(Obstacle::NoPullData) => "forwarder-no-pull-data",
            WaitReason::Forwarder(Obstacle::Silent) => "forwarder-silent",
            WaitReason::Forwarder(Obstacle::Version1) => "forwarder-version-1",
            WaitReason::Forwarder(Obstacle::Unanswered) => "forwarder-unanswered",
            WaitReason::Clock { dispute: Some(_), .. } => "clock-dispute",
            WaitReason::Clock { need: ClockNeed::Start, .. } => "clock",
            WaitReason::Clock { need: ClockNeed::Certificate(_), .. } => "clock-certificate",
            WaitReason::Clock { need: ClockNeed::Order { .. }, .. } => "clock-order",
            WaitReason::NoStart => "no-start",
            WaitReason::Devices { .. } => "devices",
            WaitReason::Start(_) => "start",
            WaitReason::Session(..) => "session",
            WaitReason::Missed { .. } => "session-missed",
            WaitReason::Turn(_) => "turn",
            WaitReason::Campaigns(_) => "campaigns",
            WaitReason::Air(limit) => limit.kind(),
            WaitReason::Answer { .. } => "answer",
            WaitReason::Report(_) => "report",
            WaitReason::Refusal(Refused { cause: RefusalCause::DutyCycle, .. }) => "refused-duty-cycle",
            WaitReason::Refusal(Refused { cause: RefusalCause::Listening, .. }) => "refused-listening",
            WaitReason::Refusal(Refused { cause: RefusalCause::Other, .. }) => "refused",
            WaitReason::Failures(_) => "failures",
            WaitReason::Crashes { .. } => "crashes",
            WaitReason::Image => "image",
            WaitReason::OtherImage(_) => "other-image",
            WaitReason::Proof => "proof",
            WaitReason::Saving(_) => "saving",
            WaitReason::DiskFull(_) => "disk-full",
            WaitReason::Halted(_) => "storage",
            WaitReason::File => "task-file",
            WaitReason::SecondSender => "second-sender",
            WaitReason::DeviceAnswers => "device-answers",
            WaitReason::Paused => "paused",
        }
    }

    /// Whether the wait is part of a task's course: the gateway works, and a frame that is due could go out.
    pub fn is_in_course(&self) -> bool {
        matches!(
            self,
            WaitReason::Devices { .. }
                | WaitReason::Start(_)
                | WaitReason::Session(..)
                | WaitReason::Turn(_)
                | WaitReason::Answer { .. }
                | WaitReason::DeviceAnswers
                | WaitReason::Paused
                | WaitReason::Report(_)
                | WaitReason::Image
                | WaitReason::Proof
                | WaitReason::Saving(_)
        )
    }

    /// Whether every task waits for it on its way, for a moment.
    pub fn is_usual(&self) -> bool {
        matches!(self, WaitReason::Image | WaitReason::Proof | WaitReason::Saving(_))
    }

    /// Whether it comes and goes with every frame.
    pub fn is_of_the_air(&self) -> bool {
        matches!(self, WaitReason::Air(_))
    }

    /// Whether the sentence has the moment of its end already.
    fn names_its_end(&self) -> bool {
        matches!(self, WaitReason::Start(_) | WaitReason::Session(..))
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitReason::Forwarder(obstacle) => f.write_str(obstacle.as_str()),
            WaitReason::Clock { need, dispute } => clock(f, need, dispute.as_ref()),
            WaitReason::NoStart => f.write_str("a start: the task has no StartTime and no \"Start\""),
            WaitReason::Devices { ready, devices, percent, is_doubted } => {
                let doubt = if *is_doubted { "; root keys are probably wrong" } else { "" };
                write!(f, "its devices: {ready} of {devices} are ready, and it begins with {percent} %{doubt}")
            }
            WaitReason::Start(start) => write!(f, "its start at {}", rfc3339_from_gps(*start)),
            WaitReason::Session(start, end) => write!(
                f,
                "the session from {} to {} that its devices were told",
                rfc3339_from_gps(*start),
                rfc3339_from_gps(*end)
            ),
            WaitReason::Missed { ended, left, planned } => missed(f, *ended, *left, *planned),
            WaitReason::Turn(task) => write!(f, "its turn: task {task} has the air"),
            WaitReason::Campaigns(begun) => {
                write!(f, "the end of a campaign: {begun} have begun, and a mark holds no more")
            }
            WaitReason::Air(limit) => limit.fmt(f),
            WaitReason::Answer { frame_no } => write!(f, "the packet forwarder's answer to frame {frame_no}"),
            WaitReason::Report(frames) => write!(
                f,
                "the packet forwarder's report (`stat`) of the last {frames} frames, so that the end is known to be one"
            ),
            WaitReason::Refusal(refused) => refused.fmt(f),
            WaitReason::Failures(failures) => {
                write!(f, "the end of a pause: the packet forwarder failed {failures} times in a row")
            }
            WaitReason::Crashes { starts, rest_s } => write!(
                f,
                "the end of a rest of {rest_s} s after {starts} starts in a row: only traffic is relayed until then"
            ),
            WaitReason::Image => f.write_str("its image, which is being fetched"),
            WaitReason::OtherImage(error) => write!(
                f,
                "its image: the one it was planned with is gone ({error}); put it back, or cancel the task"
            ),
            WaitReason::Proof => f.write_str("the proof that its frames decode to the image"),
            WaitReason::Saving(saving) => f.write_str(match saving {
                Saving::Record => "the disk, which is writing the record of the task",
                Saving::Counters => "the disk, which is writing the reservation of its frame counters",
                Saving::Mark => "the disk, which is writing the mark that covers its next frames",
            }),
            WaitReason::DiskFull(error) => write!(f, "room on the disk: {error}"),
            WaitReason::Halted(error) => write!(f, "the disk: {error}; nothing is sent before a restart"),
            WaitReason::File => f.write_str(
                "its file in the task folder: it is gone and cancels the task unless it comes back",
            ),
            WaitReason::DeviceAnswers => f.write_str("its devices' answers to what they miss"),
            WaitReason::Paused => f.write_str("`fuotad resume`: it is paused by the operator"),
            WaitReason::SecondSender => f.write_str(
                "the end of somebody else's downlinks to this group: a network server sent to it in the last hour",
            ),
        }
    }
}

fn clock(f: &mut fmt::Formatter<'_>, need: &ClockNeed, dispute: Option<&ClockDispute>) -> fmt::Result {
    match need {
        ClockNeed::Start => f.write_str("a trusted clock: the start is an absolute time")?,
        ClockNeed::Certificate(why) => f.write_str(why)?,
        ClockNeed::Order { group, other } => write!(
            f,
            "a trusted clock: group {group} has task {other}, and without the time nobody knows which of the two is over first"
        )?,
    }
    dispute.map_or(Ok(()), |dispute| write!(f, "; {}", disputed(dispute)))
}

/// Both times of two clocks that contradict each other, and what that looks like.
pub fn disputed(dispute: &ClockDispute) -> String {
    let hint = if dispute.is_utc_for_gps() { ", as where UTC is taken for GPS time" } else { "" };
    format!(
        "the forwarder's GPS says {} and this gateway's clock {}: {} s apart{hint}",
        whole_second(dispute.theirs),
        whole_second(dispute.ours),
        dispute.apart_us() / 1_000_000
    )
}

/// UTC as people read it.
fn whole_second(gps: GpsTime) -> String {
    rfc3339_from_gps(GpsTime::from_us(gps.as_us() / 1_000_000 * 1_000_000))
}

fn missed(f: &mut fmt::Formatter<'_>, ended: Option<GpsTime>, left: u32, planned: u32) -> fmt::Result {
    let ended = ended.map_or(String::new(), |ended| format!(" (the last ended {})", rfc3339_from_gps(ended)));
    write!(
        f,
        "a session that its devices were told{ended}: {left} of {planned} frames are left; give the task a later StartTime and tell the devices (`fuotad plan --setup`)"
    )
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { frame_no, cause, error } = self;
        match cause {
            RefusalCause::DutyCycle => write!(
                f,
                "the packet forwarder's own duty cycle: it refused frame {frame_no} ({error}), which is not lost"
            ),
            RefusalCause::Listening => write!(
                f,
                "a free channel: the packet forwarder listened before talking and refused frame {frame_no} ({error})"
            ),
            RefusalCause::Other => {
                write!(f, "another try with frame {frame_no}: the packet forwarder refused it ({error})")
            }
        }
    }
}

/// All waits of a task for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTotal {
    /// What was waited for, without its numbers.
    pub kind: &'static str,
    /// Number of such waits.
    pub count: u32,
    /// How long in all, microseconds.
    pub total_us: u64,
    /// The longest of them, microseconds.
    pub longest_us: u64,
}

/// As in "max-deaf 3 times, 45 s in all".
impl fmt::Display for WaitTotal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WaitTotal { kind, count, total_us, .. } = self;
        write!(f, "{kind} {count} times, {} s in all", total_us.div_ceil(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPS: GpsTime = GpsTime::from_us(1_479_369_618_000_000);

    fn at(s: i64) -> Instant {
        Instant::from_us(s * 1_000_000)
    }

    #[test]
    fn a_wait_says_when_it_ends_in_utc_or_without_a_clock_how_long_it_lasts() {
        let limit = AirLimit::Law {
            sub_band: "P",
            used_us: 359_500_000,
            budget_us: 360_000_000,
            window_us: 3_600_000_000,
        };
        let wait = Wait::until(WaitReason::Air(limit), at(100));
        let with_clock = wait.sentence(Now { mono: at(40), gps: Some(GPS) });
        assert_eq!(
            with_clock,
            "room in sub-band P: 359.5 s of the 360.0 s that the law leaves it in 3600.0 s are used, until about 2026-11-22T08:01:00Z (60 s from now)"
        );
        assert!(wait.sentence(Now { mono: at(40), gps: None }).ends_with("are used, for about 60 s"));
        assert!(wait.sentence(Now { mono: at(100), gps: Some(GPS) }).ends_with("are used"));
        let start = Wait::until(WaitReason::Start(GPS), at(100));
        let sentence = start.sentence(Now { mono: at(40), gps: None });
        assert_eq!(sentence, "its start at 2026-11-22T08:00:00Z (60 s from now)");
    }

    #[test]
    fn clocks_that_contradict_each_other_are_told_with_both_times_and_18_s_with_what_they_look_like() {
        let dispute = |apart_s: u64| ClockDispute { ours: GPS, theirs: GPS.plus_us(apart_s * 1_000_000) };
        let text = disputed(&dispute(5));
        assert_eq!(
            text,
            "the forwarder's GPS says 2026-11-22T08:00:05Z and this gateway's clock 2026-11-22T08:00:00Z: 5 s apart"
        );
        assert!(disputed(&dispute(18)).ends_with("18 s apart, as where UTC is taken for GPS time"));
        let reason = WaitReason::Clock { need: ClockNeed::Start, dispute: Some(dispute(5)) };
        assert!(reason.to_string().ends_with(&text), "{reason}");
    }
}
