//! What AWS says of a group, against what the gateway was told of it. Devices that were set up with one frequency
//! hear nothing on another: a difference is found before the first frame, not after the last.

use super::group::Group;
use super::group::SessionRule;
use crate::task::MulticastGroup;
use crate::task::SessionLoRaWan;
use crate::task::Start;
use crate::task::Task;
use crate::task::rfc3339_from_gps;

/// What AWS calls Class C.
const CLASS_C: &str = "ClassC";

/// Whether AWS's session of `group` is the one the gateway would send in.
///
/// # Errors
/// Every difference, in one line, with the way out.
pub fn check(task: &Task, group: &Group) -> Result<(), String> {
    let differences: Vec<String> = ours(task, group).flat_map(|theirs| in_session(theirs, group)).collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "AWS's multicast group and group {} differ: {}; correct the [[group]], or the session in AWS",
        group.name,
        differences.join("; ")
    ))
}

/// What is not wrong yet: parameters that AWS would use for a session that it has not begun, and a start that
/// only the task names.
pub fn warnings(task: &Task, group: &Group) -> Vec<String> {
    let mut warnings = Vec::new();
    for theirs in ours(task, group) {
        let lorawan = theirs.lorawan.as_ref();
        let session = session(theirs);
        let defaults = lorawan.and_then(|lorawan| lorawan.default_session_parameters.as_ref());
        if let (None, Some(defaults)) = (session, defaults) {
            let differs = differing("DlFreq", defaults.dl_freq, i64::from(group.frequency_hz))
                .into_iter()
                .chain(differing("DlDr", defaults.dl_dr, i64::from(group.data_rate)));
            warnings.extend(differs.map(|what| format!("AWS's DefaultSessionParameters: {what}")));
        }
        let theirs = session.and_then(|session| session.session_start_time);
        if let (Some(theirs), Some(Start::At(start))) = (theirs, task.start)
            && theirs.0 != start
        {
            warnings.push(format!(
                "AWS's session starts at {}, the task at {}",
                rfc3339_from_gps(theirs.0),
                rfc3339_from_gps(start)
            ));
        }
    }
    warnings
}

fn ours<'a>(task: &'a Task, group: &'a Group) -> impl Iterator<Item = &'a MulticastGroup> {
    let groups = task.cloud.multicast_groups.iter().flatten();
    groups.filter(|theirs| theirs.group.as_ref() == Some(&group.name))
}

fn session(theirs: &MulticastGroup) -> Option<&SessionLoRaWan> {
    theirs.session.as_ref().and_then(|session| session.lorawan.as_ref())
}

fn in_session(theirs: &MulticastGroup, group: &Group) -> Vec<String> {
    let mut differences = Vec::new();
    let lorawan = theirs.lorawan.as_ref();
    if let Some(class) = lorawan.and_then(|lorawan| lorawan.dl_class.as_deref()).filter(|it| *it != CLASS_C) {
        differences.push(format!("DlClass is {class:?}, and this gateway sends Class C"));
    }
    let Some(session) = session(theirs) else { return differences };
    differences.extend(differing("DlFreq", session.dl_freq, i64::from(group.frequency_hz)));
    differences.extend(differing("DlDr", session.dl_dr, i64::from(group.data_rate)));
    if let Some(period) = session.ping_slot_period {
        differences
            .push(format!("PingSlotPeriod is {period}: a Class B session, and this gateway sends Class C"));
    }
    if let SessionRule::Windows { exponent, start } = group.session {
        if let (Some(ours), Some(theirs)) = (exponent, session.timeout_exponent())
            && u32::from(ours) != theirs
        {
            let seconds = session.session_timeout.unwrap_or_default();
            differences.push(format!("SessionTimeout is {seconds} s (2^{theirs}), ours 2^{ours} s"));
        }
        if let (Some(ours), Some(theirs)) = (start, session.session_start_time)
            && ours != theirs.0
        {
            let (theirs, ours) = (rfc3339_from_gps(theirs.0), rfc3339_from_gps(ours));
            differences.push(format!("SessionStartTime is {theirs}, ours {ours}"));
        }
    }
    differences
}

fn differing(name: &str, theirs: Option<i64>, ours: i64) -> Option<String> {
    let theirs = theirs.filter(|theirs| *theirs != ours)?;
    Some(format!("{name} is {theirs}, ours {ours}"))
}
