//! What a state folder remembers of a key beside its journal. A key that was used and has no journal is lost, not
//! new, whatever its operator believes.

use super::record::Record;
use super::record::RecordState;
use crate::lorawan::KeyFingerprint;
use crate::store::Recovered;

/// Proof that counters of a key were used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Name of the file that tells it.
    pub what: String,
    /// No counter below this is free, as far as it says.
    pub next_free: u32,
}

/// The strongest proof in what was recovered and in the reports (name and text) that the key of a group was used.
pub fn trace_of_use(
    recovered: &Recovered,
    reports: &[(String, Vec<u8>)],
    key: KeyFingerprint,
    group: &str,
) -> Option<Trace> {
    let enrolled = recovered
        .enrolments
        .get(&key)
        .map(|enrolment| Trace { what: "its enrolment".to_owned(), next_free: enrolment.first_fcnt });
    let records =
        recovered.tasks.iter().filter_map(|task| Some((task.id, Record::from_bytes(&task.bytes).ok()?)));
    let records: Vec<_> = records.collect();
    let of_records = records.iter().filter(|(_, record)| is_its(key, group, &record.key, &record.group));
    let of_records = of_records.map(|(_, record)| Trace {
        what: match &record.state {
            RecordState::Armed => format!("the record of task {}", record.stem),
            RecordState::Over { outcome, .. } => format!("the record of task {} ({outcome})", record.stem),
        },
        next_free: record.base.saturating_add(1),
    });
    let of_reports = reports.iter().filter_map(|(name, text)| of_report(name, text, key, group));
    // A mark names tasks; one whose record is gone and whose counters no journal holds may be this key's.
    let is_known = |task: &crate::store::RecordId| {
        let mut held = recovered.ranges.values().filter_map(|range| range.counters());
        records.iter().any(|(id, _)| id == task)
            || held.any(|counters| counters.reservations.iter().any(|held| held.task == *task))
    };
    let marked = recovered.mark.iter().flat_map(|mark| &mark.campaigns);
    let of_marks = marked.filter(|marked| !is_known(&marked.task)).map(|marked| Trace {
        what: format!("a mark of a campaign whose record is gone ({} frames)", marked.next_frame),
        next_free: marked.next_frame.saturating_add(1),
    });
    enrolled
        .into_iter()
        .chain(of_records)
        .chain(of_reports)
        .chain(of_marks)
        .max_by_key(|trace| trace.next_free)
}

/// Records and reports of earlier releases do not name the key: the group's name has to do.
fn is_its(key: KeyFingerprint, group: &str, its_key: &str, its_group: &str) -> bool {
    match its_key {
        "" => its_group == group,
        its_key => its_key == key.to_string(),
    }
}

fn of_report(name: &str, text: &[u8], key: KeyFingerprint, group: &str) -> Option<Trace> {
    let report: serde_json::Value = serde_json::from_slice(text).ok()?;
    let planned = report.get("planned")?;
    let its = |member: &str| planned.get(member).and_then(|it| it.as_str()).unwrap_or_default();
    let end = planned.get("end-fcnt").and_then(serde_json::Value::as_u64).unwrap_or(0);
    is_its(key, group, its("key"), its("group"))
        .then(|| Trace { what: name.to_owned(), next_free: u32::try_from(end).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CampaignMark;
    use crate::store::Mark;
    use crate::store::RecordId;
    use crate::store::TaskRecord;

    const KEY: KeyFingerprint = KeyFingerprint::from_bytes([7; 16]);

    fn record(key: &str, group: &str) -> Recovered {
        let text = format!(
            r#"{{"version":1,"document":"{{}}","stem":"t","source":"File","group":"{group}","digest":"00",
                "base":40,"key":"{key}","state":"Armed"}}"#
        );
        let task = TaskRecord { id: RecordId([1; 16]), bytes: text.into_bytes() };
        Recovered { tasks: vec![task], ..Recovered::default() }
    }

    fn next_free(recovered: &Recovered, reports: &[(String, Vec<u8>)]) -> Option<u32> {
        trace_of_use(recovered, reports, KEY, "meters").map(|trace| trace.next_free)
    }

    #[test]
    fn an_empty_folder_proves_nothing() {
        assert_eq!(next_free(&Recovered::default(), &[]), None);
    }

    #[test]
    fn a_record_proves_the_use_of_its_own_key_and_an_old_one_that_of_its_groups() {
        let (own, another) = (KEY.to_string(), KeyFingerprint::from_bytes([8; 16]).to_string());
        assert_eq!(next_free(&record(&own, "renamed"), &[]), Some(41));
        assert_eq!(next_free(&record(&another, "meters"), &[]), None);
        assert_eq!(next_free(&record("", "meters"), &[]), Some(41));
        assert_eq!(next_free(&record("", "lamps"), &[]), None);
    }

    #[test]
    fn a_report_proves_all_counters_of_its_plan() {
        let report = |text: &str| [("report-t".to_owned(), text.as_bytes().to_vec())];
        let old = report(r#"{"task":"t","planned":{"group":"meters","first-fcnt":2,"end-fcnt":700}}"#);
        assert_eq!(next_free(&Recovered::default(), &old), Some(700));
        let other = report(r#"{"task":"t","planned":{"group":"meters","key":"00","end-fcnt":700}}"#);
        assert_eq!(next_free(&Recovered::default(), &other), None);
        assert_eq!(next_free(&Recovered::default(), &report("no json")), None);
    }

    #[test]
    fn a_mark_of_a_campaign_that_nothing_else_knows_proves_a_use() {
        let campaign = CampaignMark { task: RecordId([1; 16]), next_frame: 90, extra_coded: 0 };
        let mark = Some(Mark { campaigns: vec![campaign], ..Mark::default() });
        assert_eq!(next_free(&Recovered { mark: mark.clone(), ..Recovered::default() }, &[]), Some(91));
        let another = KeyFingerprint::from_bytes([8; 16]).to_string();
        assert_eq!(next_free(&Recovered { mark, ..record(&another, "lamps") }, &[]), None);
    }
}
