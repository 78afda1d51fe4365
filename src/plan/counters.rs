//! The counters that are left, as the journal of the service knows them.

use crate::broadcast::Record;
use crate::broadcast::RecordState;
use crate::engine::Settings;
use crate::sim::disk::Disk;
use crate::store::Files;
use crate::store::RangeState;
use crate::store::Recovered;
use crate::store::Store;
use crate::task::Task;

/// Reads the service's files (name and bytes of each) and lets every group begin where its counters are: at the
/// first free one, or for a task that is armed already at its own. The files are read in memory, so the folder
/// stays as it is. The answer is what the store had to say about them.
///
/// # Errors
/// One line: the files cannot be used, or the counters of the task's group are lost.
pub fn counters_from(
    settings: &mut Settings,
    task: &Task,
    files: Vec<(String, Vec<u8>)>,
) -> Result<Vec<String>, String> {
    let mut disk = Disk::new();
    for (name, bytes) in files {
        disk.create(&name, &bytes).map_err(|error| error.to_string())?;
    }
    disk.sync_dir().map_err(|error| error.to_string())?;
    let (_, recovered) = Store::open(disk, [0; 16]).map_err(|error| error.to_string())?;
    let own = own_record(&recovered, task);
    for group in &mut settings.groups {
        let newest = match recovered.ranges.get(&group.keys.fingerprint()) {
            None => continue,
            Some(RangeState::Intact(newest)) => newest,
            Some(state) => {
                let is_ours = task.groups.is_empty() || task.groups.contains(&group.name);
                if is_ours && own.is_none() {
                    let why = match state {
                        RangeState::Lost(why) => why.clone(),
                        _ => "some of its records are damaged".to_owned(),
                    };
                    return Err(format!(
                        "the counters of group {} are lost ({why}): give it a new key (`fuotad group new`)",
                        group.name
                    ));
                }
                continue;
            }
        };
        let armed = own.as_ref().filter(|own| own.group == group.name);
        group.first_fcnt = Some(armed.map_or(newest.next_free, |own| own.base));
    }
    Ok(recovered.warnings)
}

/// The record of this very task, when it is armed.
fn own_record(recovered: &Recovered, task: &Task) -> Option<Record> {
    let record = recovered.tasks.iter().find(|record| record.id.0 == task.id.record_id())?;
    Record::from_bytes(&record.bytes).ok().filter(|record| record.state == RecordState::Armed)
}
