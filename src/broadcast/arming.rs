//! The questions between a task and its campaign: which image, which group, which counters, which start.
//! Every "no" is one line with the way out.

use super::Group;
use super::KeyRange;
use super::Plan;
use super::Record;
use super::SessionRule;
use super::TaskSource;
use super::order::Order;
use super::step::Begin;
use crate::image::Digest;
use crate::task::ImageRef;
use crate::task::Start;
use crate::task::Task;
use crate::task::TaskStatus;

/// The digest that the image must have: the one pinned by a former run, the operator's, or, for a local file,
/// the one it has now.
pub fn expected_digest(order: &Order, group: &Group, bytes: &[u8]) -> Result<Digest, String> {
    if let Some(record) = &order.resumed {
        return record.digest.parse().map_err(|error| format!("the task record's digest: {error}"));
    }
    let task = &order.task;
    if let (Some(digest), Some(hinted)) = (task.sha256, task.hinted_sha256)
        && digest != hinted
    {
        return Err(format!(
            "the attribute sha256 of the update is {hinted}, and the configuration expects {digest}: correct one"
        ));
    }
    match (task.sha256, &task.image) {
        (Some(digest), _) => Ok(digest),
        (None, ImageRef::File(_)) => Ok(task.hinted_sha256.unwrap_or_else(|| Digest::of(bytes))),
        (None, _) if group.accepts_unsigned => Ok(task.hinted_sha256.unwrap_or_else(|| Digest::of(bytes))),
        (None, _) if task.signature.is_present() => Err(format!(
            "the image is signed, and this version cannot verify that: add its \"Sha256\", or set unsigned = \"accept\" on group {}",
            group.name
        )),
        (None, _) => Err(format!(
            "an image from a cloud needs its digest: add \"Sha256\" to the task's \"Fuotad\", or set unsigned = \"accept\" on group {}",
            group.name
        )),
    }
}

/// The group that the task names, the recorded one, or the only one there is.
pub fn group_of<'a>(task: &Task, resumed: Option<&Record>, groups: &'a [Group]) -> Result<&'a Group, String> {
    let known = || groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ");
    let named = match (resumed, task.groups.as_slice()) {
        (Some(record), _) => Some(&record.group),
        (None, []) => None,
        (None, [name]) => Some(name),
        (None, names) => {
            return Err(format!("the task names {} groups: order one task per group", names.len()));
        }
    };
    match (named, groups) {
        (Some(name), _) => groups.iter().find(|group| group.name == *name).ok_or_else(|| {
            format!("multicast group {name:?} is not configured: the gateway has {}", known())
        }),
        (None, [only]) => Ok(only),
        (None, []) => Err("no [[group]] is configured: `fuotad group new` makes one".to_owned()),
        (None, _) => Err(format!("the task names no group: set \"MulticastGroups\" to one of {}", known())),
    }
}

/// The first counter that a new campaign of the group may use.
pub fn first_free(range: Option<&KeyRange>, group: &Group) -> Result<u32, String> {
    let name = &group.name;
    match range {
        Some(KeyRange::Known { next_free, damaged: false, .. }) => Ok(*next_free),
        Some(KeyRange::Known { .. }) => Err(format!(
            "the counter journal of group {name} is damaged and may hide a used range: give the group a new key (`fuotad group new`)"
        )),
        Some(KeyRange::Lost(why)) => Err(format!(
            "the counter journal of group {name} is lost ({why}): give the group a new key (`fuotad group new`)"
        )),
        None => group.first_fcnt.ok_or_else(|| {
            format!("no journal knows the key of group {name}: set its `first-fcnt` (2 for a key that was never used)")
        }),
    }
}

/// Whether the journal holds the plan's range already.
pub fn is_reserved(range: Option<&KeyRange>, plan: &Plan) -> Result<bool, String> {
    match range {
        Some(KeyRange::Known { plan_hash, next_free, .. }) if *plan_hash == plan.hash => {
            Ok(*next_free >= plan.end)
        }
        Some(KeyRange::Known { next_free, .. }) if plan.base < *next_free => Err(format!(
            "the plan wants frame counters from {} on, but the journal has given away all below {next_free} to another plan: order the task under a new id",
            plan.base
        )),
        Some(KeyRange::Lost(why)) => Err(format!("the counter journal is lost ({why})")),
        _ => Ok(false),
    }
}

/// When the campaign may begin.
pub fn begin_of(task: &Task, source: TaskSource, group: &Group, plan: &Plan) -> Result<Begin, String> {
    let (exponent, group_start) = match group.session {
        SessionRule::Always => {
            let is_called = source == TaskSource::Cloud && task.status == TaskStatus::InFuotaSession;
            return Ok(match task.start {
                None if is_called => Begin::AtOnce,
                None => Begin::Unknown,
                Some(Start::AtOnce) => Begin::AtOnce,
                Some(Start::At(start)) => Begin::At(start),
            });
        }
        SessionRule::Windows { exponent, start } => (exponent, start),
    };
    let start = match task.start {
        Some(Start::At(start)) => Some(start),
        Some(Start::AtOnce) => {
            return Err(format!(
                "group {} listens in sessions, so \"at-once\" is too late to tell its devices: give a StartTime",
                group.name
            ));
        }
        None => group_start,
    };
    let Some(start) = start else { return Ok(Begin::Unknown) };
    let exponent = task.session_timeout_exponent.or(exponent);
    let sessions = plan.sessions(start, group.guard_us, exponent);
    if sessions.is_empty() {
        return Err(format!(
            "a session of 2^{} s has no room between guards of {} s: use a larger session-timeout-exponent",
            exponent.unwrap_or(0),
            group.guard_us / 1_000_000
        ));
    }
    Ok(Begin::Sessions(sessions))
}
