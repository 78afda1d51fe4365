//! The plan for programs.

use super::answer::Answer;
use crate::plan::Timetable;
use crate::report::Lean;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use serde_json::Value;
use serde_json::json;

/// The whole answer as one document.
pub fn as_json(answer: &Answer<'_>) -> Value {
    let plan = answer.timetable;
    let planned = &plan.planned;
    let decoded = planned.decoded;
    let time = |gps: GpsTime| plan.is_absolute.then(|| rfc3339_from_gps(gps));
    json!({
        "group": planned.group,
        "nb_frag": planned.nb_frag,
        "coded": planned.coded,
        "lean": planned.lean.map(lean),
        "frag_size": planned.frag_size,
        "padding": planned.padding,
        "frames": plan.frames,
        "first_fcnt": planned.first_fcnt,
        "end_fcnt": planned.end_fcnt,
        "frame_airtime_us": planned.airtime_us,
        "airtime_us": plan.airtime_us,
        "spacing_us": planned.spacing_us,
        "limited_by": planned.limited_by,
        "begin": time(plan.begin),
        "end": time(plan.end),
        "duration_us": plan.end.us_since(plan.begin),
        "listening_us": plan.listening_us,
        "session_s": session_s(plan),
        "sessions": sessions(plan),
        "questions_us": planned.questions_us,
        "bands": bands(plan),
        "hours": plan.hours.iter().map(|hour| json!({
            "frames": hour.frames,
            "airtime_us": hour.airtime_us,
        })).collect::<Vec<_>>(),
        "server_reserve_ppm": plan.server_reserve_ppm,
        "image_mah": planned.image_uah as f64 / 1000.0,
        "battery_ppm": answer.power.part_ppm(planned.image_uah),
        "heard": heard(plan),
        "deaf_ppm": ppm(plan.airtime_us, plan.end.us_since(plan.begin)),
        "knows_journal": answer.knows_journal,
        "decoded": {
            "frames": decoded.frames,
            "lost": decoded.lost,
            "coded_heard": decoded.coded_heard,
            "is_complete": decoded.is_complete,
            "bytes_of_each_fragment": decoded.sampled.map(|(width, _)| width),
        },
        "chances": chances(answer),
        "compared": compared(answer),
        "promises": promises(answer),
        "choices": choices(answer),
        "warnings": answer.warnings,
        "task": answer.said,
    })
}

fn lean(lean: Lean) -> Value {
    let expected = lean.expected;
    json!({
        "coded": lean.coded,
        "ordered": lean.ordered,
        "loss_ppm": expected.map(|expected| expected.loss_ppm),
        "campaigns": expected.map_or(0, |expected| expected.campaigns),
        "is_assumed": expected.is_some_and(|expected| expected.is_assumed),
    })
}

fn sessions(plan: &Timetable) -> Value {
    plan.sessions
        .iter()
        .map(|plan| {
            json!({
                "start": rfc3339_from_gps(plan.session.start),
                "timeout_exponent": plan.session.exponent,
                "first_k": plan.frames.map(|frames| frames.0),
                "last_k": plan.frames.map(|frames| frames.1),
            })
        })
        .collect()
}

fn bands(plan: &Timetable) -> Value {
    plan.bands
        .iter()
        .map(|band| {
            json!({
                "label": band.label,
                "airtime_us": band.airtime_us,
                "worst_window_us": band.worst_window_us,
                "budget_us": band.budget_us,
            })
        })
        .collect()
}

fn heard(plan: &Timetable) -> Value {
    json!({
        "worst_hour_ppm": plan.heard.worst_hour_ppm,
        "joins_ppm": plan.heard.joins_ppm,
        "confirmed_failed_ppm": plan.heard.confirmed_failed_ppm,
        "rates": plan.heard.rates.iter().map(|heard| json!({
            "data_rate": heard.rate.modulation.to_string(),
            "uplink_airtime_us": heard.rate.airtime_us,
            "weight": heard.rate.weight,
            "lost_ppm": heard.lost_ppm,
        })).collect::<Vec<_>>(),
    })
}

fn chances(answer: &Answer<'_>) -> Value {
    answer
        .chances
        .iter()
        .map(|chance| {
            json!({
                "loss_percent": chance.loss_percent,
                "completes": chance.completes,
                "completes_as_shipped": chance.completes_as_shipped,
                "coded_wanted": chance.coded_wanted,
            })
        })
        .collect()
}

fn compared(answer: &Answer<'_>) -> Value {
    answer
        .compared
        .iter()
        .map(|compared| {
            json!({
                "name": compared.name,
                "frames": compared.frames,
                "session_s": compared.sessions_s,
                "duration_us": compared.duration_us,
                "image_mah": compared.image_uah as f64 / 1000.0,
                "worst_hour_ppm": compared.heard.worst_hour_ppm,
                "lost_ppm": compared.heard.rates.iter().map(|heard| heard.lost_ppm).collect::<Vec<_>>(),
                "breaches": compared.breaches,
            })
        })
        .collect()
}

fn promises(answer: &Answer<'_>) -> Value {
    answer
        .promises
        .iter()
        .map(|(min_heard, plan)| {
            json!({
                "min_heard": min_heard,
                "session_s": session_s(plan),
                "duration_us": plan.end.us_since(plan.begin),
                "worst_hour_ppm": plan.heard.worst_hour_ppm,
                "lost_ppm": plan.heard.rates.iter().map(|heard| heard.lost_ppm).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn choices(answer: &Answer<'_>) -> Value {
    answer
        .choices
        .iter()
        .map(|choice| {
            json!({
                "data_rate": choice.data_rate,
                "frag_size": choice.frag_size,
                "nb_frag": choice.nb_frag,
                "redundancy_percent": choice.redundancy_percent,
                "airtime_us": choice.airtime_us,
                "duration_us": choice.duration_us,
                "needs": choice.needs,
            })
        })
        .collect()
}

/// The sum of its session lengths, seconds.
pub fn session_s(plan: &Timetable) -> u64 {
    plan.sessions.iter().map(|plan| plan.session.length_us() / 1_000_000).sum()
}

fn ppm(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 1_000_000 / u128::from(whole.max(1))) as u64
}
