//! What was announced to the devices of a group, against what the gateway was told of it. Devices that were set up
//! with one frequency hear nothing on another: a difference is found before the first frame, not after the last.

use super::group::Group;
use super::group::SessionRule;
use crate::task::AnnouncedChannel;
use crate::task::AnnouncedGroup;
use crate::task::Start;
use crate::task::Task;
use crate::task::rfc3339_from_gps;

/// How an announcement writes Class C.
const CLASS_C: &str = "ClassC";

/// Whether the announced session of `group` is the one the gateway would send in.
///
/// # Errors
/// Every difference, in one line, with the way out.
pub fn check(task: &Task, group: &Group) -> Result<(), String> {
    let differences: Vec<String> = ours(task, group).flat_map(|theirs| in_session(theirs, group)).collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the cloud's multicast group and group {} differ: {}; correct the [[group]], or the session in the cloud",
        group.name,
        differences.join("; ")
    ))
}

/// What is not wrong yet: parameters that the cloud would use for a session that it has not begun, a start that
/// only the task names, and devices that nobody can choose.
pub fn warnings(task: &Task, group: &Group) -> Vec<String> {
    let mut warnings = Vec::new();
    if task.devices.is_some() && !group.is_set_up_here {
        warnings.push(format!(
            "Fuotad.Devices: group {} has no lns, so nobody sets its devices up: all that listen hear it",
            group.name
        ));
    }
    for theirs in ours(task, group) {
        if let (None, Some(defaults)) = (theirs.session, theirs.defaults) {
            let differs = in_channel(defaults, group);
            warnings.extend(differs.map(|what| format!("the cloud's DefaultSessionParameters: {what}")));
        }
        let theirs = theirs.session.and_then(|session| session.start);
        if let (Some(theirs), Some(Start::At(start))) = (theirs, task.start)
            && theirs != start
        {
            warnings.push(format!(
                "the cloud's session starts at {}, the task at {}",
                rfc3339_from_gps(theirs),
                rfc3339_from_gps(start)
            ));
        }
    }
    warnings
}

fn ours<'a>(task: &'a Task, group: &'a Group) -> impl Iterator<Item = &'a AnnouncedGroup> {
    task.announced.iter().filter(|theirs| theirs.group == group.name)
}

fn in_session(theirs: &AnnouncedGroup, group: &Group) -> Vec<String> {
    let mut differences = Vec::new();
    if let Some(class) = theirs.class.as_deref().filter(|it| *it != CLASS_C) {
        differences.push(format!("DlClass is {class:?}, and this gateway sends Class C"));
    }
    let Some(session) = theirs.session else { return differences };
    differences.extend(in_channel(session.channel, group));
    if let Some(period) = session.ping_slot_period {
        differences
            .push(format!("PingSlotPeriod is {period}: a Class B session, and this gateway sends Class C"));
    }
    if let SessionRule::Windows { exponent, start } = group.session {
        if let (Some(ours), Some(theirs)) = (exponent, session.timeout_exponent())
            && u32::from(ours) != theirs
        {
            let seconds = session.timeout_s.unwrap_or_default();
            differences.push(format!("SessionTimeout is {seconds} s (2^{theirs}), ours 2^{ours} s"));
        }
        if let (Some(ours), Some(theirs)) = (start, session.start)
            && ours != theirs
        {
            let (theirs, ours) = (rfc3339_from_gps(theirs), rfc3339_from_gps(ours));
            differences.push(format!("SessionStartTime is {theirs}, ours {ours}"));
        }
    }
    differences
}

fn in_channel(theirs: AnnouncedChannel, group: &Group) -> impl Iterator<Item = String> {
    let frequency = differing("DlFreq", theirs.frequency_hz, i64::from(group.frequency_hz));
    frequency.into_iter().chain(differing("DlDr", theirs.data_rate, i64::from(group.data_rate)))
}

fn differing(name: &str, theirs: Option<i64>, ours: i64) -> Option<String> {
    let theirs = theirs.filter(|theirs| *theirs != ours)?;
    Some(format!("{name} is {theirs}, ours {ours}"))
}
