//! The counters that are left, as the journal of the service knows them.

use crate::broadcast::Record;
use crate::broadcast::RecordState;
use crate::engine::Settings;
use crate::store::FCNT_FIRST;
use crate::store::RangeState;
use crate::store::Recovered;
use crate::task::Task;

/// Lets every group begin where its counters are: at the first free one, or for a task that is armed already at its
/// own. `recovered` is what the service would find; `None` without a state folder. The answer is what is to be said
/// about it, a line each.
///
/// # Errors
/// One line: the counters of the task's group are lost.
pub fn counters_from(
    settings: &mut Settings,
    task: &Task,
    recovered: Option<&Recovered>,
) -> Result<Vec<String>, String> {
    let own = recovered.and_then(|recovered| own_record(recovered, task));
    let mut said = recovered.map_or(Vec::new(), |recovered| recovered.warnings.clone());
    for group in &mut settings.groups {
        let is_ours = task.groups.is_empty() || task.groups.contains(&group.name);
        let state = recovered.and_then(|recovered| recovered.ranges.get(&group.keys.fingerprint()));
        let armed = own.as_ref().filter(|own| own.group == group.name).map(|own| own.base);
        let next_free = match state {
            None => {
                if is_ours && recovered.is_some() {
                    said.push(format!(
                        "the key of group {0} is not enrolled: nothing is sent before `fuotad group enrol {0}`",
                        group.name
                    ));
                }
                group.first_fcnt.unwrap_or(FCNT_FIRST)
            }
            Some(RangeState::Intact(counters)) => counters.next_free,
            Some(_) if !is_ours || armed.is_some() => group.first_fcnt.unwrap_or(FCNT_FIRST),
            Some(state) => {
                let why = match state {
                    RangeState::Lost(why) => why.clone(),
                    _ => "some of its records are damaged".to_owned(),
                };
                return Err(format!(
                    "the counters of group {0} are lost ({why}): give it a new key (`fuotad group new`), or say `fuotad group enrol {0} --after-loss --first-fcnt N`",
                    group.name
                ));
            }
        };
        // What is armed has its own counters for canaries below its base.
        let below = if armed.is_some() { group.canary_fcnts } else { 0 };
        group.first_fcnt = Some(armed.map_or(next_free, |base| base.saturating_sub(below)));
    }
    Ok(said)
}

/// The record of this very task, when it is armed.
fn own_record(recovered: &Recovered, task: &Task) -> Option<Record> {
    let record = recovered.tasks.iter().find(|record| record.id.0 == task.id.record_id())?;
    Record::from_bytes(&record.bytes).ok().filter(|record| record.state == RecordState::Armed)
}
