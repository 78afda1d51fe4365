//! The report that stays when a campaign is over.

use crate::report::Planned;
use crate::store::Change;
use crate::task::TaskId;

/// The report that stays: `report-<task>` in the state folder.
pub fn end_report(task: &TaskId, outcome: &str, planned: Option<&Planned>, utc: Option<String>) -> Change {
    let letters = task.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let digest: String = task.record_id()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}-{digest}", letters.take(48).collect::<String>());
    let planned = planned.map(|planned| {
        serde_json::json!({
            "group": planned.group,
            "key": planned.key,
            "fragments": planned.nb_frag,
            "fragment-size": planned.frag_size,
            "coded": planned.coded,
            "first-fcnt": planned.first_fcnt,
            "end-fcnt": planned.end_fcnt,
            "airtime-us": planned.airtime_us,
        })
    });
    let report =
        serde_json::json!({ "task": task.as_str(), "outcome": outcome, "utc": utc, "planned": planned });
    let mut bytes = serde_json::to_vec(&report).expect("strings and numbers always serialise");
    bytes.push(b'\n');
    Change::Report { name, bytes }
}
