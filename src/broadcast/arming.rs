//! The questions between a task and its campaign: which image, which group, which counters, which start.
//! Every "no" is one line with the way out.

use super::io::SignatureWish;
use super::io::TaskSource;
use super::open_task::OpenTask;
use super::stage::Signed;
use crate::campaign::Begin;
use crate::campaign::Group;
use crate::campaign::Plan;
use crate::campaign::Session;
use crate::campaign::SessionRule;
use crate::cloud::enclosed_evidence;
use crate::image::Digest;
use crate::signing::Evidence;
use crate::signing::SigningError;
use crate::signing::SigningTrust;
use crate::signing::verify;
use crate::store::RangeState;
use crate::task::ImageRef;
use crate::task::Start;
use crate::task::Task;
use crate::task::TaskStatus;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;

const DAY_US: u64 = 86_400_000_000;
/// LoRaMac-node counts the milliseconds to a session's start in 31 bits.
const START_TIMER_US: u64 = 24 * DAY_US;

/// Why an image does not go on the air.
pub enum ProvenanceError {
    /// Its signer's certificate can be judged when the clock is trusted.
    NoClock(SigningError),
    /// It never does: one line.
    Refused(String),
}

/// The digest of an image that is vouched for, and the signature that did it, if one did: the operator gave the
/// digest, or somebody whom `trust` names signed it, or it is a local file, or the group takes everything. A
/// signature that is there must be good, whatever else vouches. After a restart the image must be the one of the
/// record as well, and its signature is checked again.
pub fn check_provenance(
    open_task: &OpenTask,
    group: &Group,
    trust: &SigningTrust,
    bytes: &[u8],
    gps: Option<GpsTime>,
) -> Result<(Digest, Option<Signed>), ProvenanceError> {
    let refuse = |reason: String| Err(ProvenanceError::Refused(reason));
    let found = Digest::of(bytes);
    let task = open_task.task();
    // A hint vouches for nothing, and yet an image that differs is not the one that was meant.
    let mut expected = task.sha256.or(task.hinted_sha256);
    let (mut evidence, mut at) = (open_task.delivered().cloned(), gps);
    if let Some(record) = open_task.resumed() {
        match record.digest.parse() {
            Ok(digest) => expected = Some(digest),
            Err(error) => return refuse(format!("the task record's digest: {error}")),
        }
        evidence = record.evidence.clone();
        at = record.checked_unix_us.and_then(GpsTime::from_unix_us).or(gps);
    } else if evidence.is_none() && !trust.is_empty() {
        evidence = enclosed_evidence(task);
    }
    if open_task.resumed().is_none()
        && let Some((digest, hinted)) = task.sha256.zip(task.hinted_sha256)
        && digest != hinted
    {
        return refuse(format!(
            "the attribute sha256 of the update is {hinted}, and the configuration expects {digest}: correct one"
        ));
    }
    if let Some(digest) = expected.filter(|digest| *digest != found) {
        // Whoever asks for the image itself says so with both digests.
        return Ok((digest, None));
    }
    if let Some(evidence) = evidence.filter(|_| !trust.is_empty()) {
        let created_unix_us = task.created_at.map(GpsTime::to_unix_us);
        let evidence = Evidence { created_unix_us: evidence.created_unix_us.or(created_unix_us), ..evidence };
        return match verify(bytes, &evidence, trust, at) {
            Ok(_) => {
                let checked_unix_us = at.map(GpsTime::to_unix_us);
                Ok((found, Some(Signed { evidence, checked_unix_us })))
            }
            Err(error @ SigningError::NoClock) => Err(ProvenanceError::NoClock(error)),
            Err(error) => refuse(format!("the signature ({}): {error}", evidence.origin)),
        };
    }
    let is_local = matches!(task.image, ImageRef::File(_));
    if task.sha256.is_some() || is_local || group.accepts_unsigned {
        return Ok((found, None));
    }
    refuse(nothing_vouches(group))
}

/// Whether the signature of the image is to be fetched with it.
pub fn signature_wish(task: &Task, group: &Group, trust: &SigningTrust) -> SignatureWish {
    let is_enclosed = task.signature.enclosed.is_some();
    match &task.image {
        ImageRef::File(_) => SignatureWish::No,
        _ if trust.is_empty() => SignatureWish::No,
        // What a signing service made may have the image within it.
        _ if is_enclosed && task.signature.is_signed_object => SignatureWish::IfThere,
        _ if is_enclosed => SignatureWish::No,
        _ if task.sha256.is_some() || group.accepts_unsigned => SignatureWish::IfThere,
        _ => SignatureWish::Needed,
    }
}

/// The first counter that a new campaign of the group may use.
pub fn first_free(range: Option<&RangeState>, group: &Group) -> Result<u32, String> {
    let name = &group.name;
    let way_out = format!(
        "give the group a new key (`fuotad group new`), or say `fuotad group enrol {name} --after-loss --first-fcnt N` with an N beyond every counter the key ever used"
    );
    match range {
        Some(RangeState::Intact(counters)) => Ok(counters.next_free),
        Some(RangeState::Damaged { unreadable, .. }) => Err(format!(
            "the counter journal of group {name} is damaged ({unreadable} slots) and may hide a used range: {way_out}"
        )),
        Some(RangeState::Lost(why)) => {
            Err(format!("the counters of group {name} are lost ({why}): {way_out}"))
        }
        None => Err(format!(
            "the key of group {name} is not enrolled on this gateway: say `fuotad group enrol {name}` once, as root, and restart the service (`--first-fcnt N` for a key that was used elsewhere before)"
        )),
    }
}

/// What device stacks make of these sessions, a sentence each.
pub fn session_warnings(group: &Group, begin: &Begin, gps: Option<GpsTime>) -> Vec<String> {
    let sessions = begin.sessions();
    let mut warnings = Vec::new();
    if !group.profile.has_one_start_timer {
        return warnings;
    }
    if sessions.len() > 1 {
        warnings.push(format!(
            "{} keeps one start timer: of the {} sessions tell its devices each only after the one before has ended",
            group.profile,
            sessions.len()
        ));
    }
    let ahead_us = sessions.first().zip(gps).map_or(0, |(first, gps)| first.start.us_since(gps));
    if ahead_us > START_TIMER_US {
        warnings.push(format!(
            "the start timer of {} holds 24 days, and the first session is {} days ahead: tell its devices later",
            group.profile,
            ahead_us / DAY_US
        ));
    }
    warnings
}

/// When an order may begin, where its document says so by itself; `None`: nobody says yet. The start of a session, for a
/// group that listens in sessions.
///
/// # Errors
/// One line: its devices cannot be told in time.
pub fn check_start(task: &Task, source: TaskSource, group: &Group) -> Result<Option<Begin>, String> {
    let SessionRule::Windows { start: group_start, .. } = group.session else {
        let is_called = source == TaskSource::Cloud && task.status == TaskStatus::InSession;
        return Ok(match task.start {
            None => is_called.then_some(Begin::AtOnce),
            Some(Start::AtOnce) => Some(Begin::AtOnce),
            Some(Start::At(start)) => Some(Begin::At(start)),
        });
    };
    match task.start {
        Some(Start::At(start)) => Ok(Some(Begin::At(start))),
        Some(Start::AtOnce) => Err(format!(
            "group {} listens in sessions, so \"at-once\" is too late to tell its devices: give a StartTime (or write session = \"always\" where they always listen)",
            group.name
        )),
        None => Ok(group_start.map(Begin::At)),
    }
}

/// When the campaign of an open task may begin.
///
/// # Errors
/// One line: the order's sessions cannot be what they should be.
pub fn begin_of(open_task: &OpenTask, group: &Group, plan: &Plan) -> Result<Begin, String> {
    let (task, source) = (open_task.task(), open_task.source());
    let begin = match (check_begin(task, source, group, plan)?, open_task.given_start()) {
        (Begin::Unknown, Some(start)) => {
            let task = Task { start: Some(Start::At(start)), ..task.clone() };
            check_begin(&task, source, group, plan)?
        }
        (begin, _) => begin,
    };
    // Sessions that devices were told stay what they are, whatever would be planned today.
    let told = open_task.resumed().map_or(Vec::new(), |record| {
        let session =
            |(start, exponent): &(u64, u8)| Session { start: GpsTime::from_us(*start), exponent: *exponent };
        record.sessions.iter().map(session).collect()
    });
    let is_the_same =
        told.first().map(|first| first.start) == begin.sessions().first().map(|first| first.start);
    let begin = if is_the_same && !told.is_empty() { Begin::Sessions(told) } else { begin };
    Ok(match begin {
        Begin::Sessions(mut sessions) => {
            for further in open_task.further() {
                if sessions.last().is_none_or(|last| last.end() < further.start) {
                    sessions.push(*further);
                }
            }
            Begin::Sessions(sessions)
        }
        begin => begin,
    })
}

/// Whether the last frame is out when the task wants it to be, as far as its start is known.
///
/// # Errors
/// One line: when it would be, and what would help.
pub fn check_finish(task: &Task, plan: &Plan, begin: &Begin, gps: Option<GpsTime>) -> Result<(), String> {
    let Some(finish_by) = task.finish_by else { return Ok(()) };
    let end = match begin {
        Begin::Unknown => None,
        Begin::AtOnce => gps.map(|gps| gps.plus_us(plan.duration_us())),
        Begin::At(start) => Some(start.plus_us(plan.duration_us())),
        Begin::Sessions(sessions) => sessions.last().map(|last| last.end()),
    };
    match end.filter(|end| *end > finish_by) {
        None => Ok(()),
        Some(end) => Err(format!(
            "Fuotad.FinishBy {} is too soon: the law and the devices let it end at {} at the earliest; write that, a faster data rate, or an earlier start",
            rfc3339_from_gps(finish_by),
            rfc3339_from_gps(whole_s(end.plus_us(999_999)))
        )),
    }
}

/// When the campaign of an order may begin.
///
/// # Errors
/// One line: the order's sessions cannot be what they should be.
pub fn check_begin(task: &Task, source: TaskSource, group: &Group, plan: &Plan) -> Result<Begin, String> {
    let (start, exponent) = match (check_start(task, source, group)?, group.session) {
        (None, _) => return Ok(Begin::Unknown),
        (Some(Begin::At(start)), SessionRule::Windows { exponent, .. }) => (start, exponent),
        (Some(begin), _) => return Ok(begin),
    };
    let exponent = task.session_timeout_exponent.or(exponent);
    let sessions = plan.sessions(start);
    if sessions.is_empty() {
        return Err(format!(
            "a session of 2^{} s has no room between guards of {} s: use a larger session-timeout-exponent",
            exponent.unwrap_or(0),
            group.guard_us / 1_000_000
        ));
    }
    let room_us = sessions[0].length_us().saturating_sub(2 * group.guard_us);
    if room_us < plan.airtime_us {
        return Err(format!(
            "a session of 2^{} s has {room_us} us between its guards, and one frame lasts {} us: use a larger session-timeout-exponent",
            sessions[0].exponent, plan.airtime_us
        ));
    }
    Ok(Begin::Sessions(sessions))
}

/// How a campaign stands to the time at which it is looked at.
pub enum Late {
    /// Its start is still to come, or it has none, or the time is not known.
    No,
    /// Its start is past: what is to be said of that.
    Begun(String),
    /// All its sessions are over, the last one since then: what is to be said of that.
    Missed(String, GpsTime),
}

/// Whether the campaign's start is past at `gps`.
pub fn lateness(group: &Group, begin: &Begin, gps: Option<GpsTime>) -> Late {
    let (Some(gps), Some(start)) = (gps, begin.start()) else { return Late::No };
    if gps <= start {
        return Late::No;
    }
    let past =
        format!("the start, {}, is past (it is {})", rfc3339_from_gps(start), rfc3339_from_gps(whole_s(gps)));
    match begin.sessions().last() {
        None => Late::Begun(format!("{past}: it begins at once")),
        Some(last) if gps < last.usable(group.guard_us).1 => Late::Begun(format!(
            "{past}: devices that were not told before hear nothing, and what the sessions do not hold waits for another start"
        )),
        Some(last) => Late::Missed(
            format!(
                "{past}, and so are its sessions: give a later StartTime, and have the devices told (`fuotad plan --setup`)"
            ),
            last.end(),
        ),
    }
}

fn whole_s(gps: GpsTime) -> GpsTime {
    GpsTime::from_us(gps.as_us() / 1_000_000 * 1_000_000)
}

/// Whether somebody vouches for the image, or may yet.
///
/// # Errors
/// One line: nobody does, whatever the image is.
pub fn check_vouched(task: &Task, group: &Group, trust: &SigningTrust) -> Result<(), String> {
    let is_local = matches!(task.image, ImageRef::File(_));
    if task.sha256.is_some() || is_local || group.accepts_unsigned || !trust.is_empty() {
        return Ok(());
    }
    Err(nothing_vouches(group))
}

fn nothing_vouches(group: &Group) -> String {
    format!(
        "nothing vouches for an image from a cloud: configure the signer's certificate in [group.signing] of group {}, add \"Sha256\" to the task's \"Fuotad\", or set unsigned = \"accept\"",
        group.name
    )
}
