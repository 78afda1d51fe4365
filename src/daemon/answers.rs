//! What the devices of campaigns hold, as the status page, the reports and `fuotad history` have it.

use super::snapshot::AnswersSnapshot;
use crate::answers::End;
use crate::answers::Holding;
use crate::answers::Holdings;
use crate::answers::Roll;
use crate::engine::Answering;
use crate::engine::Stage;
use crate::lorawan::Eui64;
use crate::task::rfc3339_from_gps;
use crate::time::Now;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// So many devices that do not hold the image are named in a report.
const REPORTED_MAX: usize = 120;
/// And on the status page, which is written every second.
const SHOWN_MAX: usize = 40;

/// A campaign whose devices are asked, or were last.
pub fn snapshot(answering: &Answering<'_>, now: Now) -> AnswersSnapshot {
    let Answering { task, group, roll, questions, stage, until } = *answering;
    let (stage, end) = match stage {
        Stage::Sending => ("together", None),
        // What one more session brings is still to come.
        Stage::Between(_) => ("between", None),
        Stage::Asking(end) => ("alone", Some(end)),
        Stage::Over(end) => ("over", Some(end)),
    };
    let without = without(roll).take(SHOWN_MAX);
    AnswersSnapshot {
        task: task.to_string(),
        group: group.to_owned(),
        stage: stage.to_owned(),
        end: end.map(|end| end.word().to_owned()),
        questions,
        ends_in_s: until.map(|until| until.us_since(now.mono) / 1_000_000),
        ends_at: until.and_then(|until| now.gps_at(until)).map(rfc3339_from_gps),
        counts: roll.holdings(),
        without: without.collect(),
    }
}

/// The member `results` of a report.
pub fn results(roll: &Roll, questions: u16, end: End) -> Value {
    let without = without(roll).map(|(dev_eui, result)| (dev_eui, result.into()));
    json!({
        "counts": roll.holdings(),
        "questions": questions,
        "end": end.word(),
        "without": without.take(REPORTED_MAX).collect::<Map<_, _>>(),
    })
}

/// What a report says; `None` where nobody heard its devices, or before their results were final.
pub fn of_report(report: &Map<String, Value>) -> Option<AnswersSnapshot> {
    let results = report.get("results")?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let without = results.get("without").and_then(Value::as_object).into_iter().flatten();
    Some(AnswersSnapshot {
        task: text(report.get("task"))?,
        group: text(report.get("planned").and_then(|planned| planned.get("group"))).unwrap_or_default(),
        stage: "over".to_owned(),
        end: text(results.get("end")),
        questions: results.get("questions").and_then(Value::as_u64)?.try_into().ok()?,
        ends_in_s: None,
        ends_at: None,
        counts: serde_json::from_value::<Holdings>(results.get("counts")?.clone()).ok()?,
        without: without
            .filter_map(|(dev_eui, result)| Some((dev_eui.clone(), text(Some(result))?)))
            .take(SHOWN_MAX)
            .collect(),
    })
}

/// The devices that do not hold the image, each with its result in a word and a number.
fn without(roll: &Roll) -> impl Iterator<Item = (String, String)> {
    let is_open = |holding: &Holding| !matches!(holding, Holding::Done | Holding::Probably);
    roll.each().filter(move |(_, holding)| is_open(holding)).map(|(dev_eui, holding): (Eui64, Holding)| {
        let result = match holding {
            Holding::Failed(_) => holding.word().to_owned(),
            other => other.to_string(),
        };
        (dev_eui.to_string(), result)
    })
}
