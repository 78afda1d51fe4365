//! The vocabulary of reports, and each event in one line.

use super::account::Account;
use super::planned::Planned;
use super::wait::WaitTotal;
use crate::answers::End;
use crate::answers::Holdings;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use crate::time::Instant;
use core::fmt;

/// A report: an event with its time and its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Instant at which it happened.
    pub at: Instant,
    /// The task it belongs to; `None` for the gateway itself.
    pub task: Option<TaskId>,
    /// The event, with its numbers.
    pub event: Event,
}

/// The vocabulary of reports. Display is one line for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The task, its image or its group cannot be used.
    Refused {
        /// One line: the number and the way out.
        reason: String,
    },
    /// Something is unusual but does not stop the task.
    Warning {
        /// Text for the operator, one line.
        text: String,
    },
    /// Fragments, counters and sessions are settled and on disk.
    Planned(Box<Planned>),
    /// The campaign cannot go on yet.
    Waiting {
        /// What it waits for.
        reason: String,
    },
    /// The task is over: what it waited for, the longest first.
    Waited {
        /// Each kind of wait, with count and time.
        waits: Vec<WaitTotal>,
    },
    /// The sessions that devices were told are over, and frames are left: they wait for one that devices are told.
    SessionsMissed {
        /// Name of the group in the configuration.
        group: String,
        /// Frames that are left.
        left: u32,
        /// Frames that the campaign planned.
        planned: u32,
    },
    /// The task has another start than before: these are the sessions that devices must be told instead.
    SessionsMoved {
        /// Name of the group in the configuration.
        group: String,
        /// Start and time-out exponent of each.
        sessions: Vec<(GpsTime, u8)>,
    },
    /// A task without a start has enough devices that are ready: these are the sessions that they are told.
    StartDecided {
        /// Name of the group in the configuration.
        group: String,
        /// Start and time-out exponent of each; none where the devices always listen.
        sessions: Vec<(GpsTime, u8)>,
    },
    /// The sessions are over, and some of the devices miss fragments: they are told one more.
    FurtherSession {
        /// Name of the group in the configuration.
        group: String,
        /// So many devices are told.
        devices: usize,
        /// Its start.
        start: GpsTime,
        /// It lasts 2^exponent seconds.
        exponent: u8,
    },
    /// Canaries of the task's group were asked under its key, before their batch is told the campaign's session.
    CanariesAsked {
        /// The frame counter of the question.
        fcnt: u32,
        /// When the question is over on the air.
        end: Instant,
    },
    /// The first frame was handed to the forwarder.
    Began,
    /// After a restart the campaign goes on here.
    Resumed {
        /// The first frame number that is sent (again).
        frame_no: u32,
    },
    /// A frame was accepted and will not be heard of again.
    Sent {
        /// Frame number in the campaign.
        frame_no: u32,
        /// The frame counter it carries.
        fcnt: u32,
        /// When it goes on the air.
        start: Instant,
    },
    /// The forwarder did not answer a frame: the same bytes go out again when it is heard.
    Unanswered {
        /// Frame number in the campaign.
        frame_no: u32,
    },
    /// A frame's fate is unknown: it counts as sent for the law and the counters, and is made up for.
    Unconfirmed {
        /// Frame number in the campaign.
        frame_no: u32,
    },
    /// The forwarder refused a frame; it is tried again.
    Refusal {
        /// Frame number in the campaign.
        frame_no: u32,
        /// Error of the forwarder's TX_ACK.
        error: String,
    },
    /// The devices of a campaign were asked, and nothing more is sent for them.
    Answered {
        /// What they hold by their answers.
        holdings: Holdings,
        /// Questions that were put to all of them.
        questions: u16,
        /// Why nothing more is sent.
        end: End,
    },
    /// The campaign is over.
    Over(Outcome),
    /// The task is ordered and was over before: it never runs again.
    AlreadyOver {
        /// Outcome of the task, as it was recorded.
        outcome: String,
    },
    /// The forwarder answers again.
    ForwarderOnline,
    /// The forwarder fell silent.
    ForwarderOffline,
    /// Somebody else sends to the packet forwarder's port: neither acknowledged nor relayed.
    OtherSender {
        /// EUI in its datagrams.
        heard: String,
        /// Address and port that it sends from.
        from: String,
        /// EUI of the gateway that is served.
        served: Option<String>,
        /// That gateway stands in the configuration; else it is the first one that was heard.
        is_configured: bool,
    },
    /// Frames go out at exact counter values from now on.
    CounterKnown {
        /// How well the counter is known, microseconds.
        error_us: u64,
    },
    /// Frames go out as "immediate" until the counter is learned again.
    CounterLost {
        /// Reason why the counter is not known any more.
        reason: String,
    },
    /// A network server sends to one of our groups: two senders of one key. The group pauses.
    SecondSender {
        /// McAddr of the group, as a number.
        mc_addr: u32,
        /// The lower half of the frame counter it used.
        fcnt: u16,
    },
    /// A network server's downlinks are more than the law allows.
    ServerBreach {
        /// Address of the server in the configuration.
        server: String,
        /// Label of the sub-band whose limit was exceeded.
        sub_band: &'static str,
        /// Airtime of the downlink that exceeded it, microseconds.
        airtime_us: u64,
        /// Airtime of everything in the window that ends with it, microseconds.
        used_us: u64,
        /// What the law allows in a window, microseconds; `None` where it limits single packets only.
        budget_us: Option<u64>,
    },
    /// A network server sent to one of our groups without its key: no device takes it.
    WrongMic {
        /// Address of the server in the configuration.
        server: String,
        /// McAddr of the group, as a number.
        mc_addr: u32,
        /// The lower half of the frame counter it used.
        fcnt: u16,
    },
    /// A downlink of a network server was not passed on.
    DownlinkRefused {
        /// Address of the server in the configuration.
        server: String,
        /// The member with its value, and what would have been taken.
        reason: String,
    },
    /// A network server leaves our keepalives unanswered.
    ServerSilent {
        /// Address of the server in the configuration.
        server: String,
    },
    /// A network server answers again.
    ServerAnswers {
        /// Address of the server in the configuration.
        server: String,
    },
    /// The forwarder acknowledged frames and never gave them to the radio.
    SilentlyDropped {
        /// Number of such frames, at least.
        frames: u32,
        /// Of these, at most so many of the campaign on the air: they are made up for.
        extra_coded: u32,
    },
    /// Storage failed: no counter can be promised any more, so nothing is sent.
    Halted {
        /// Storage error that ended the service's sending.
        reason: String,
    },
}

/// How a campaign ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every planned frame was accepted by the forwarder, and what it told of them since adds up.
    Complete(Account),
    /// Every planned frame was accepted by the forwarder, some were never radiated, and there was no counter or no
    /// session left to make up for all of them.
    Short(Account),
    /// The sessions were over before all frames were sent.
    OutOfSession {
        /// Frames that the forwarder accepted.
        sent: u32,
        /// Frames that the campaign planned.
        planned: u32,
    },
    /// The task was withdrawn.
    Cancelled {
        /// Frames that the forwarder accepted.
        sent: u32,
    },
    /// The service ended the campaign, because to go on would be wrong.
    Aborted {
        /// Text for the operator, one line.
        reason: String,
    },
}

impl Outcome {
    /// How a campaign ends whose ordered frames went out; reports that did not come will not come any more.
    pub fn of(account: Account) -> Outcome {
        let account = Account { unreported: account.unreported + account.pending(), ..account };
        if account.is_short_by() == 0 { Outcome::Complete(account) } else { Outcome::Short(account) }
    }
}

/// Severity of an event for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Things go as they should.
    Info,
    /// Something is missing, lost or refused for now, or the operator has something to do.
    Warning,
    /// Something that was ordered will not be done.
    Error,
}

impl Event {
    /// How much an operator should care. Every event is named here, so a new one is a decision.
    pub fn severity(&self) -> Severity {
        match self {
            Event::Planned(_)
            | Event::Waiting { .. }
            | Event::Waited { .. }
            | Event::StartDecided { .. }
            | Event::FurtherSession { .. }
            | Event::CanariesAsked { .. }
            | Event::Began
            | Event::Resumed { .. }
            | Event::Sent { .. }
            | Event::Over(Outcome::Complete(_) | Outcome::Cancelled { .. })
            | Event::ForwarderOnline
            | Event::CounterKnown { .. }
            | Event::ServerAnswers { .. } => Severity::Info,
            Event::Answered { end: End::Done, .. } => Severity::Info,
            Event::Warning { .. }
            | Event::Answered { .. }
            | Event::SessionsMissed { .. }
            | Event::SessionsMoved { .. }
            | Event::Unanswered { .. }
            | Event::Unconfirmed { .. }
            | Event::Refusal { .. }
            | Event::Over(Outcome::Short(_) | Outcome::OutOfSession { .. })
            | Event::AlreadyOver { .. }
            | Event::ForwarderOffline
            | Event::OtherSender { .. }
            | Event::CounterLost { .. }
            | Event::SecondSender { .. }
            | Event::ServerBreach { .. }
            | Event::WrongMic { .. }
            | Event::DownlinkRefused { .. }
            | Event::ServerSilent { .. }
            | Event::SilentlyDropped { .. } => Severity::Warning,
            Event::Refused { .. } | Event::Halted { .. } | Event::Over(Outcome::Aborted { .. }) => {
                Severity::Error
            }
        }
    }
}

/// One line for a log: the event, with times as they are from now on.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.event {
            Event::Sent { frame_no, fcnt, start } => {
                let in_s = start.us_since(self.at) as f64 / 1e6;
                write!(f, "frame {frame_no} (FCnt {fcnt}) goes out in {in_s:.1} s")
            }
            event => event.fmt(f),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Refused { reason } => write!(f, "refused: {reason}"),
            Event::Warning { text } => write!(f, "warning: {text}"),
            Event::Planned(plan) => planned(f, plan),
            Event::Waiting { reason } => write!(f, "waiting: {reason}"),
            Event::Waited { waits } => waited(f, waits),
            Event::SessionsMissed { group, left, planned } => write!(
                f,
                "the sessions that the devices of group {group} were told are over with {left} of {planned} frames left: give the task a later StartTime and tell the devices (`fuotad plan --setup`)"
            ),
            Event::SessionsMoved { group, sessions } => write!(
                f,
                "the start moved: the devices of group {group} must be told {} sessions (`fuotad plan --setup`)",
                sessions.len()
            ),
            Event::Answered { holdings, questions, end } => {
                write!(f, "after {questions} questions {holdings}: {end}")
            }
            Event::StartDecided { group, sessions } => start_decided(f, group, sessions),
            Event::FurtherSession { group, devices, start, exponent } => write!(
                f,
                "{devices} devices of group {group} miss fragments: they are told one more session of {} s, from {} on",
                1u32 << exponent,
                rfc3339_from_gps(*start)
            ),
            Event::CanariesAsked { fcnt, .. } => {
                write!(f, "canaries are asked under the group's key (FCnt {fcnt})")
            }
            Event::Began => f.write_str("the first frame is on its way"),
            Event::Resumed { frame_no } => write!(f, "resumed at frame {frame_no}"),
            Event::Sent { frame_no, fcnt, start } => {
                write!(f, "frame {frame_no} (FCnt {fcnt}) goes out at {start}")
            }
            Event::Unanswered { frame_no } => {
                write!(
                    f,
                    "no answer for frame {frame_no}: the same goes out again when the packet forwarder is heard"
                )
            }
            Event::Unconfirmed { frame_no } => {
                write!(f, "no answer for frame {frame_no}: counted as sent, made up for")
            }
            Event::Refusal { frame_no, error } => {
                write!(f, "the forwarder refused frame {frame_no}: {error}")
            }
            Event::Over(outcome) => outcome.fmt(f),
            Event::AlreadyOver { outcome } => write!(
                f,
                "over already ({outcome}): a finished task never runs again; give it another Id or file name to order it anew"
            ),
            Event::ForwarderOnline => f.write_str("the packet forwarder answers"),
            Event::ForwarderOffline => f.write_str("the packet forwarder is silent"),
            Event::OtherSender { heard, from, served, is_configured } => {
                other_sender(f, heard, from, served.as_deref().unwrap_or("none yet"), *is_configured)
            }
            Event::CounterKnown { error_us } => {
                write!(f, "the concentrator's counter is known to +-{} ms", error_us.div_ceil(1000))
            }
            Event::CounterLost { reason } => write!(f, "the concentrator's counter is lost: {reason}"),
            Event::SecondSender { mc_addr, fcnt } => write!(
                f,
                "a network server sends to our group {mc_addr:08x} (FCnt {fcnt}): two senders of one key; take the group out of the network server, or out of this gateway"
            ),
            Event::ServerBreach { server, sub_band, airtime_us, used_us, budget_us } => {
                let budget = budget_us.map_or("no limit".to_owned(), seconds);
                write!(
                    f,
                    "the downlinks of {server} are over the legal limit of sub-band {sub_band}: {} of {budget} in its window, {} of them for the last one; they were passed on, `enforce = true` refuses them",
                    seconds(*used_us),
                    seconds(*airtime_us)
                )
            }
            Event::WrongMic { server, mc_addr, fcnt } => write!(
                f,
                "{server} sent to our group {mc_addr:08x} with a wrong MIC (FCnt {fcnt}): no device takes that, and the campaign goes on; it is counted from now on"
            ),
            Event::DownlinkRefused { server, reason } => {
                write!(f, "a downlink of {server} was refused: {reason}")
            }
            Event::ServerSilent { server } => {
                write!(f, "the network server {server} does not answer: its uplinks may be lost")
            }
            Event::ServerAnswers { server } => write!(f, "the network server {server} answers again"),
            Event::SilentlyDropped { frames, extra_coded } => write!(
                f,
                "the forwarder acknowledged {frames} frames and never gave them to its radio; {extra_coded} are made up for"
            ),
            Event::Halted { reason } => write!(f, "halted: {reason}"),
        }
    }
}

fn start_decided(f: &mut fmt::Formatter<'_>, group: &str, sessions: &[(GpsTime, u8)]) -> fmt::Result {
    write!(f, "enough devices of group {group} are ready: the start is decided")?;
    sessions.first().map_or(Ok(()), |(start, _)| write!(f, ", {}", rfc3339_from_gps(*start)))
}

fn waited(f: &mut fmt::Formatter<'_>, waits: &[WaitTotal]) -> fmt::Result {
    let waits: Vec<String> = waits.iter().map(WaitTotal::to_string).collect();
    write!(f, "it waited: {}", waits.join("; "))
}

fn seconds(us: u64) -> String {
    format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000)
}

fn planned(f: &mut fmt::Formatter<'_>, plan: &Planned) -> fmt::Result {
    write!(
        f,
        "planned for group {}: {} + {} fragments of {} B, FCnt {}..{}, one each {}.{:03} s ({})",
        plan.group,
        plan.nb_frag,
        plan.coded,
        plan.frag_size,
        plan.first_fcnt,
        plan.end_fcnt,
        plan.spacing_us / 1_000_000,
        plan.spacing_us % 1_000_000 / 1000,
        plan.limited_by,
    )?;
    plan.lean.map_or(Ok(()), |lean| write!(f, "; lean: {lean}"))
}

/// Who sends here, who is served instead, and the line that changes it.
fn other_sender(
    f: &mut fmt::Formatter<'_>,
    heard: &str,
    from: &str,
    served: &str,
    is_configured: bool,
) -> fmt::Result {
    if heard == served {
        return write!(
            f,
            "{from} sends in the name of our gateway {served}, which is at another address: it is neither acknowledged nor relayed; give each gateway an EUI of its own (gateway_ID of the packet forwarder)"
        );
    }
    let why = if is_configured { "as `gateway.id` says" } else { "the first one heard" };
    write!(
        f,
        "gateway {heard} sends here from {from} and is neither acknowledged nor relayed: {served} is served, {why}; to serve the other one write `id = \"{heard}\"` under `[gateway]`"
    )
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Complete(account) => write!(f, "complete: {account}"),
            Outcome::Short(account) => {
                write!(f, "incomplete by {} frames: {account}", account.is_short_by())
            }
            Outcome::OutOfSession { sent, planned } => {
                write!(f, "the sessions ended after {sent} of {planned} frames")
            }
            Outcome::Cancelled { sent } => write!(f, "cancelled after {sent} frames"),
            Outcome::Aborted { reason } => write!(f, "aborted: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach() -> Event {
        Event::ServerBreach {
            server: "lns.example.org:1700".to_owned(),
            sub_band: "M",
            airtime_us: 1_318_912,
            used_us: 36_929_536,
            budget_us: Some(36_000_000),
        }
    }

    #[test]
    fn numbers_are_told_as_people_read_them() {
        let breach = breach().to_string();
        assert!(breach.contains("sub-band M: 36.9 s of 36.0 s in its window, 1.3 s of them"), "{breach}");
        let known = Event::CounterKnown { error_us: 15_105 }.to_string();
        assert_eq!(known, "the concentrator's counter is known to +-16 ms");
        let sent = Event::Sent { frame_no: 3, fcnt: 5, start: Instant::from_us(12_192_252) };
        let report = Report { at: Instant::from_us(9_000_000), task: None, event: sent };
        assert_eq!(report.to_string(), "frame 3 (FCnt 5) goes out in 3.2 s");
    }

    #[test]
    fn what_an_operator_must_look_at_is_no_information() {
        let server = || "lns.example.org:1700".to_owned();
        let warnings = [
            Event::SecondSender { mc_addr: 1, fcnt: 2 },
            breach(),
            Event::ServerSilent { server: server() },
            Event::SilentlyDropped { frames: 3, extra_coded: 3 },
            Event::SessionsMissed { group: "meters".to_owned(), left: 2, planned: 9 },
        ];
        for event in warnings {
            assert_eq!(event.severity(), Severity::Warning, "{event}");
        }
        let aborted = Event::Over(Outcome::Aborted { reason: "why".to_owned() });
        assert_eq!(aborted.severity(), Severity::Error);
        let complete = Event::Over(Outcome::Complete(Account::default()));
        assert_eq!(complete.severity(), Severity::Info);
    }
}
