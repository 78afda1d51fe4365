//! The report that stays when a campaign is over.

use super::answers::results;
use crate::answers::End;
use crate::answers::Roll;
use crate::broadcast::Record;
use crate::fleet::DeviceState;
use crate::fleet::DeviceView;
use crate::fleet::Fleet;
use crate::report::Account;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Planned;
use crate::report::Report;
use crate::report::WaitTotal;
use crate::store::Change;
use crate::store::RecordId;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use crate::time::Now;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// What is gathered of the campaigns that are not over, for their reports.
#[derive(Debug, Default)]
pub struct EndReports {
    open: BTreeMap<TaskId, Notes>,
    /// The newest report of each group, to which its devices' results are added.
    newest: BTreeMap<String, (TaskId, Map<String, Value>)>,
    /// The record that was written last, and the digest of its image.
    recorded: Option<(RecordId, String)>,
}

/// One campaign, as far as this run of the service saw it.
#[derive(Debug, Default)]
struct Notes {
    planned: Option<Planned>,
    /// When the first frame was handed over, where that was in this run and the clock was trusted.
    begin: Option<GpsTime>,
    account: Option<Account>,
    /// What it waited for, the longest first.
    waits: Vec<WaitTotal>,
    /// What its devices hold, where that was final before its end.
    results: Option<Value>,
}

impl EndReports {
    /// Something happened; `account` is what the engine says became of a task's frames.
    pub fn hear(&mut self, now: Now, report: &Report, account: impl Fn(&TaskId) -> Option<Account>) {
        let Some(task) = &report.task else {
            // What the forwarder did not send may be anybody's.
            for (task, notes) in &mut self.open {
                notes.account = account(task).or(notes.account);
            }
            return;
        };
        if let Event::Planned(planned) = &report.event {
            self.open.entry(task.clone()).or_default().planned = Some((**planned).clone());
        }
        let Some(notes) = self.open.get_mut(task) else { return };
        match &report.event {
            Event::Began => notes.begin = now.gps,
            Event::Waited { waits } => notes.waits.clone_from(waits),
            _ => {}
        }
        notes.account = account(task).or(notes.account);
    }

    /// A task's record is written once more when its campaign is over; it names the image.
    pub fn saves(&mut self, change: &Change) {
        if let Change::Task(task) = change {
            let record = Record::from_bytes(&task.bytes).ok();
            self.recorded = record.map(|record| (task.id, record.digest));
        }
    }

    /// The group of an open task that was planned.
    pub fn group(&self, task: &TaskId) -> Option<&str> {
        Some(self.open.get(task)?.planned.as_ref()?.group.as_str())
    }

    /// The task was refused: it leaves no report.
    pub fn forget(&mut self, task: &TaskId) {
        self.open.remove(task);
    }

    /// The report that stays: `report-<task>` in the state folder. `devices` are those of the task's group, where they are set up here.
    pub fn end(&mut self, now: Now, task: &TaskId, outcome: &Outcome, devices: Option<&Fleet>) -> Change {
        let notes = self.open.remove(task).unwrap_or_default();
        let account = match outcome {
            Outcome::Complete(account) | Outcome::Short(account) => Some(*account),
            Outcome::OutOfSession { .. } | Outcome::Cancelled { .. } | Outcome::Aborted { .. } => {
                notes.account
            }
        };
        let number = |number: fn(&Account) -> u32| account.as_ref().map(number).into();
        let end = now.gps.map(rfc3339_from_gps);
        let image = self.recorded.take().filter(|(record, _)| record.0 == task.record_id());
        let mut report = Map::new();
        let members: [(&str, Value); 14] = [
            ("task", task.as_str().into()),
            ("outcome", outcome.to_string().into()),
            ("begin", notes.begin.map(rfc3339_from_gps).into()),
            ("end", end.clone().into()),
            // The name of `end` in earlier releases.
            ("utc", end.into()),
            ("sent", number(|account| account.sent)),
            ("before-restart", number(|account| account.earlier)),
            ("radiated", number(|account| account.radiated)),
            ("unconfirmed", number(Account::unconfirmed)),
            ("unanswered", number(|account| account.unanswered)),
            ("made-up", number(|account| account.extra_coded)),
            ("swallowed", number(|account| account.not_radiated)),
            ("image-sha256", image.map(|(_, digest)| digest).into()),
            ("planned", notes.planned.as_ref().map(planned).into()),
        ];
        report.extend(members.map(|(name, value)| (name.to_owned(), value)));
        report.extend(devices.map(|fleet| ("devices".to_owned(), told(fleet, now))));
        report.insert("waits".to_owned(), notes.waits.iter().map(wait).collect());
        report.extend(notes.results.map(|results| (RESULTS.to_owned(), results)));
        self.keep(task.clone(), &report);
        Change::Report { name: name(task), report }
    }

    /// What earlier runs left, the newest last: the results of their devices may still be open.
    pub fn restore(&mut self, reports: &[Map<String, Value>]) {
        for report in reports {
            let task = report.get("task").and_then(Value::as_str).and_then(|task| TaskId::new(task).ok());
            if let Some(task) = task {
                self.keep(task, report);
            }
        }
    }

    /// Keeps a report until its devices' results are final, or another campaign of its group is over.
    fn keep(&mut self, task: TaskId, report: &Map<String, Value>) {
        if let Some(group) = group_of(report) {
            self.newest.insert(group.to_owned(), (task, report.clone()));
        }
    }

    /// The results of a campaign's devices are final, after so many questions and for this reason: its report once more,
    /// with them; `None` where there is none any more, or none yet: then it has them from the beginning.
    pub fn answered<'a>(
        &mut self,
        task: &TaskId,
        (questions, end): (u16, End),
        answers: impl Fn(&str) -> Option<&'a Roll>,
    ) -> Option<Change> {
        // Where everybody said that he is done, that is known before the campaign is told to be over.
        if let Some(notes) = self.open.get_mut(task) {
            let group = &notes.planned.as_ref()?.group;
            notes.results = Some(results(answers(group)?, questions, end));
            return None;
        }
        let (group, (_, report)) = self.newest.iter_mut().find(|(_, (known, _))| known == task)?;
        report.insert(RESULTS.to_owned(), results(answers(group)?, questions, end));
        Some(Change::Report { name: name(task), report: report.clone() })
    }
}

/// The member of a report that has what its devices hold.
const RESULTS: &str = "results";

fn group_of(report: &Map<String, Value>) -> Option<&str> {
    report.get("planned")?.get("group")?.as_str()
}

/// So many devices that were not told are named: a report has room for no more.
const DEVICES_MAX: usize = 40;

fn name(task: &TaskId) -> String {
    let letters = task.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let digest: String = task.record_id()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{digest}", letters.take(48).collect::<String>())
}

/// How many devices were told, and those that were not.
fn told(fleet: &Fleet, now: Now) -> Value {
    let is_told = |view: &DeviceView<'_>| matches!(view.state, DeviceState::Told | DeviceState::Proved);
    let is_meant = |view: &DeviceView<'_>| view.state != DeviceState::NotNeeded;
    let others = fleet.devices(now).filter(|view| is_meant(view) && !is_told(view)).take(DEVICES_MAX);
    let other = |view: DeviceView<'_>| {
        json!({
            "dev-eui": view.dev_eui.to_string(), "state": view.state, "aws": view.aws, "reason": view.reason,
        })
    };
    json!({ "counts": fleet.readiness(now), "not-told": others.map(other).collect::<Vec<_>>() })
}

/// All waits for one thing.
fn wait(total: &WaitTotal) -> Value {
    json!({
        "reason": total.kind,
        "count": total.count,
        "seconds": total.total_us.div_ceil(1_000_000),
        "longest-s": total.longest_us.div_ceil(1_000_000),
    })
}

fn planned(planned: &Planned) -> Value {
    json!({
        "group": planned.group,
        "key": planned.key,
        "fragments": planned.nb_frag,
        "fragment-size": planned.frag_size,
        "coded": planned.coded,
        "first-fcnt": planned.first_fcnt,
        "end-fcnt": planned.end_fcnt,
        "airtime-us": planned.airtime_us,
        "image-mah": planned.image_uah as f64 / 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::AnswerWindow;
    use crate::answers::Habit;
    use crate::answers::Sent;
    use crate::answers::Session;
    use crate::answers::Whom;
    use crate::broadcast::TaskSource;
    use crate::daemon::answers::of_report;
    use crate::lorawan::Eui64;
    use crate::lorawan::PackageVersion;
    use crate::report::Decoded;
    use crate::store::TaskRecord;
    use crate::time::Instant;

    fn gps(second: u64) -> GpsTime {
        GpsTime::from_us((1_400_000_000 + second) * 1_000_000)
    }

    fn now(second: u64) -> Now {
        Now { mono: Instant::from_us(second as i64 * 1_000_000), gps: Some(gps(second)) }
    }

    fn task() -> TaskId {
        TaskId::new("lamps-1").unwrap()
    }

    fn plan() -> Planned {
        Planned {
            group: "lamps".to_owned(),
            key: "00".to_owned(),
            nb_frag: 30,
            frag_size: 40,
            padding: 0,
            descriptor: [0; 4],
            crc32: None,
            sha256: None,
            coded: 4,
            lean: None,
            is_coded_only: false,
            coded_before: 0,
            only: None,
            first_fcnt: 2,
            canary_fcnts: 0,
            end_fcnt: 60,
            airtime_us: 100_000,
            spacing_us: 1_000_000,
            limited_by: "devices".to_owned(),
            image_uah: 3_200,
            sessions: Vec::new(),
            questions_us: 0,
            decoded: Decoded::default(),
            warnings: Vec::new(),
        }
    }

    /// What the report says after `events`, one a second, the record `recorded`, and the end at second 60.
    fn report_after(events: Vec<Event>, outcome: &Outcome, recorded: [u8; 16]) -> Map<String, Value> {
        let mut reports = EndReports::default();
        for (second, event) in (0..).zip(events) {
            let task = (!matches!(event, Event::SilentlyDropped { .. })).then(task);
            let account =
                Account { sent: second as u32, not_radiated: 5, extra_coded: 3, ..Account::default() };
            reports.hear(now(second), &Report { at: now(second).mono, task, event }, |_| Some(account));
        }
        let record = Record::from_bytes(
            br#"{"version":1,"document":"{}","stem":"t","source":"File","group":"lamps","digest":"abcd",
                "base":2,"state":"Armed"}"#,
        )
        .unwrap();
        assert_eq!(record.source, TaskSource::File);
        reports.saves(&Change::Task(TaskRecord { id: RecordId(recorded), bytes: record.to_bytes() }));
        match reports.end(now(60), &task(), outcome, None) {
            Change::Report { report, .. } => report,
            other => panic!("{other:?}"),
        }
    }

    fn sent(frame_no: u32) -> Event {
        Event::Sent { frame_no, fcnt: frame_no + 2, start: Instant::ZERO }
    }

    #[test]
    fn a_report_says_begin_and_end_what_was_sent_and_what_became_of_it() {
        let dropped = Event::SilentlyDropped { frames: 5, extra_coded: 3 };
        let unconfirmed = Event::Unconfirmed { frame_no: 1 };
        let events = vec![Event::Planned(Box::new(plan())), Event::Began, sent(0), unconfirmed, dropped];
        let report = report_after(events.clone(), &Outcome::Cancelled { sent: 7 }, task().record_id());
        assert_eq!(
            (&report["sent"], &report["swallowed"]),
            (&4.into(), &5.into()),
            "as the engine counted last"
        );
        let account = Account {
            sent: 104,
            earlier: 40,
            radiated: 50,
            not_radiated: 5,
            unreported: 9,
            unanswered: 1,
            extra_coded: 6,
        };
        let report = report_after(events, &Outcome::Complete(account), task().record_id());
        let said = |name: &str| report[name].clone();
        assert_eq!(said("begin"), rfc3339_from_gps(gps(1)));
        assert_eq!(said("end"), rfc3339_from_gps(gps(60)));
        assert_eq!(said("utc"), said("end"));
        let numbers =
            ["sent", "before-restart", "radiated", "unconfirmed", "unanswered", "made-up", "swallowed"];
        assert_eq!(numbers.map(said), [104, 40, 50, 10, 1, 6, 5].map(Value::from));
        assert_eq!((said("image-sha256"), said("task")), ("abcd".into(), "lamps-1".into()));
        assert_eq!((&report["planned"]["key"], &report["planned"]["end-fcnt"]), (&"00".into(), &60.into()));
        assert_eq!(report["planned"]["image-mah"], 3.2);
    }

    #[test]
    fn a_report_says_what_was_waited_for_how_often_and_how_long() {
        let total = |kind, total_us| WaitTotal { kind, count: 2, total_us, longest_us: 3_000_001 };
        let waits = vec![total("receive-windows", 45_000_000), total("max-deaf", 5_500_000)];
        let events = vec![Event::Planned(Box::new(plan())), Event::Began, Event::Waited { waits }];
        let report = report_after(events, &Outcome::Cancelled { sent: 7 }, task().record_id());
        let wait = |reason: &str, seconds: u64| json!({"reason": reason, "count": 2, "seconds": seconds, "longest-s": 4});
        assert_eq!(report["waits"], json!([wait("receive-windows", 45), wait("max-deaf", 6)]));
    }

    #[test]
    fn what_happened_before_this_run_of_the_service_is_not_known() {
        let events = vec![Event::Planned(Box::new(plan())), Event::Resumed { frame_no: 9 }, sent(9)];
        let report = report_after(events, &Outcome::Aborted { reason: "why".to_owned() }, [9; 16]);
        assert_eq!(
            (&report["begin"], &report["sent"]),
            (&Value::Null, &2.into()),
            "as the engine counted last"
        );
        let report = report_after(Vec::new(), &Outcome::Aborted { reason: "why".to_owned() }, [9; 16]);
        let unknown = ["sent", "made-up", "planned", "image-sha256"].map(|name| &report[name]);
        assert_eq!(unknown, [&Value::Null; 4], "the record is another task's");
    }

    /// Three devices: one is done, one misses five fragments, one was not told.
    fn roll() -> Roll {
        let session = Session {
            frag_index: 0,
            nb_frag: 100,
            version: PackageVersion::V1,
            habit: Habit::AsMeant,
            crc32: None,
            window: AnswerWindow::default(),
        };
        let devices = [1, 2, 3].map(|byte| Eui64::from_bytes([byte; 8]));
        let mut roll = Roll::new(session, devices);
        devices[..2].iter().for_each(|device| roll.tell(*device));
        roll.set_sent(Sent { last_n: 130, frames: 130 });
        roll.ask(Whom::All);
        roll.hear(devices[0], 1, &[0x01, 104, 0, 0, 0]).unwrap();
        roll.hear(devices[1], 1, &[0x01, 95, 0, 5, 0]).unwrap();
        roll
    }

    #[test]
    fn the_report_is_written_once_more_with_what_each_device_holds() {
        let mut reports = EndReports::default();
        let planned = Event::Planned(Box::new(plan()));
        let at = now(0).mono;
        reports.hear(now(0), &Report { at, task: Some(task()), event: planned }, |_| None);
        let outcome = Outcome::Complete(Account::default());
        reports.end(now(60), &task(), &outcome, None);
        let roll = roll();
        let how = (3, End::Session);
        assert!(reports.answered(&TaskId::new("other").unwrap(), how, |_| Some(&roll)).is_none());
        let Some(Change::Report { report, .. }) =
            reports.answered(&task(), how, |group| (group == "lamps").then_some(&roll))
        else {
            panic!("there is no report")
        };
        let results = &report["results"];
        assert_eq!((&results["counts"]["done"], &results["counts"]["not-told"]), (&1.into(), &1.into()));
        let wanted = json!({ "0202020202020202": "missing 5", "0303030303030303": "not-told" });
        assert_eq!((&results["without"], &report["outcome"]), (&wanted, &outcome.to_string().into()));
        assert_eq!((&results["questions"], &results["end"]), (&3.into(), &"session".into()));
        let shown = of_report(&report).unwrap();
        assert_eq!((shown.counts, shown.questions), (roll.holdings(), 3));
        assert_eq!(
            (shown.task.as_str(), shown.group.as_str(), shown.stage.as_str()),
            ("lamps-1", "lamps", "over")
        );
        assert_eq!(json!(shown.without), wanted);
    }

    #[test]
    fn results_that_are_final_before_the_end_are_in_the_report_from_the_beginning() {
        let mut reports = EndReports::default();
        let planned = Event::Planned(Box::new(plan()));
        reports.hear(now(0), &Report { at: now(0).mono, task: Some(task()), event: planned }, |_| None);
        let roll = roll();
        let answered = reports.answered(&task(), (3, End::Done), |group| (group == "lamps").then_some(&roll));
        assert_eq!(answered, None, "there is no report yet");
        let Change::Report { report, .. } =
            reports.end(now(60), &task(), &Outcome::Complete(Account::default()), None)
        else {
            panic!("there is no report")
        };
        assert_eq!(of_report(&report).map(|shown| shown.counts), Some(roll.holdings()));
    }

    #[test]
    fn a_report_of_an_earlier_run_gets_what_its_devices_hold_while_it_is_the_newest_of_its_group() {
        let report = |task: &str, group: &str| {
            let report = json!({ "task": task, "outcome": "complete", "planned": { "group": group } });
            report.as_object().unwrap().clone()
        };
        let mut earlier: Vec<Map<String, Value>> =
            (0..20).map(|number| report(&format!("other-{number}"), &format!("group-{number}"))).collect();
        earlier.insert(0, report("old", "lamps"));
        earlier.insert(1, report("lamps-1", "lamps"));
        let mut reports = EndReports::default();
        reports.restore(&earlier);
        let roll = roll();
        let how = (1, End::Done);
        let old = TaskId::new("old").unwrap();
        assert!(reports.answered(&old, how, |_| Some(&roll)).is_none(), "another campaign was over since");
        let Some(Change::Report { name: written, report }) = reports.answered(&task(), how, |_| Some(&roll))
        else {
            panic!("there is no report")
        };
        assert_eq!((written, &report["outcome"]), (name(&task()), &"complete".into()));
        assert_eq!(report["results"]["counts"]["not-told"], 1);
    }
}
