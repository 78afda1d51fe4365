//! From the SDK's answer to the task's JSON.

use std::collections::BTreeMap;

use aws_sdk_iotwireless::operation::get_fuota_task::GetFuotaTaskOutput;
use aws_sdk_iotwireless::primitives::DateTime;

use crate::task::FuotaTaskJson;
use crate::task::FuotadJson;
use crate::task::LoRaWanJson;
use crate::time::GpsTime;

/// The answer to `GetFuotaTask` for `id`, with `fuotad` beside it.
pub(super) fn document(id: &str, task: &GetFuotaTaskOutput, fuotad: Option<FuotadJson>) -> FuotaTaskJson {
    let text = |text: Option<&str>| text.map(str::to_owned);
    FuotaTaskJson {
        arn: text(task.arn()),
        // What an answer without an id is about is known: it was asked for by id.
        id: Some(task.id().unwrap_or(id).to_owned()),
        status: task.status().map(|status| status.as_str().to_owned()),
        name: text(task.name()),
        description: text(task.description()),
        lorawan: task.lo_ra_wan().map(|lorawan| LoRaWanJson {
            rf_region: text(lorawan.rf_region()),
            start_time: lorawan.start_time().and_then(gps),
            unknown: BTreeMap::new(),
        }),
        firmware_update_image: text(task.firmware_update_image()),
        firmware_update_role: text(task.firmware_update_role()),
        created_at: task.created_at().and_then(gps),
        redundancy_percent: task.redundancy_percent().map(i64::from),
        fragment_size_bytes: task.fragment_size_bytes().map(i64::from),
        fragment_interval_ms: task.fragment_interval_ms().map(i64::from),
        descriptor: text(task.descriptor()),
        fuotad,
        unknown: BTreeMap::new(),
    }
}

/// To the nearest microsecond: the SDK reads epoch seconds as a double and cuts, so that 0.123 s is
/// 122 999 906 ns.
fn gps(time: &DateTime) -> Option<GpsTime> {
    let us = i64::from(time.subsec_nanos()).saturating_add(500) / 1000;
    GpsTime::from_unix_us(time.secs().checked_mul(1_000_000)?.checked_add(us)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_iotwireless::types::FuotaTaskStatus;
    use aws_sdk_iotwireless::types::LoRaWanFuotaTaskGetInfo;

    #[test]
    fn every_member_of_the_answer_stands_in_the_document_in_the_form_of_the_wire() {
        let start = DateTime::from_secs(1_795_312_800);
        let answer = GetFuotaTaskOutput::builder()
            .arn("arn:aws:iotwireless:eu-west-1:123456789012:FuotaTask/t")
            .id("t")
            .status(FuotaTaskStatus::FuotaSessionWaiting)
            .name("meter-fw")
            .description("d")
            .lo_ra_wan(LoRaWanFuotaTaskGetInfo::builder().rf_region("EU868").start_time(start).build())
            .firmware_update_image("s3://fw/app.bin")
            .firmware_update_role("arn:aws:iam::123456789012:role/r")
            .created_at(DateTime::from_secs_and_nanos(1_732_233_600, 122_999_906))
            .redundancy_percent(50)
            .fragment_size_bytes(10)
            .fragment_interval_ms(1500)
            .descriptor("AQQCAA==")
            .build();
        let json = serde_json::to_value(document("t", &answer, None)).unwrap();
        let expected = serde_json::json!({
            "Arn": "arn:aws:iotwireless:eu-west-1:123456789012:FuotaTask/t", "Id": "t",
            "Status": "FuotaSession_Waiting", "Name": "meter-fw", "Description": "d",
            "LoRaWAN": {"RfRegion": "EU868", "StartTime": "2026-11-22T02:00:00Z"},
            "FirmwareUpdateImage": "s3://fw/app.bin", "FirmwareUpdateRole": "arn:aws:iam::123456789012:role/r",
            "CreatedAt": 1_732_233_600.123, "RedundancyPercent": 50, "FragmentSizeBytes": 10,
            "FragmentIntervalMS": 1500, "Descriptor": "AQQCAA==",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_status_that_aws_invents_one_day_is_passed_on_as_it_is() {
        let answer = GetFuotaTaskOutput::builder().status("Paused".into()).build();
        assert_eq!(document("t", &answer, None).status.as_deref(), Some("Paused"));
    }

    #[test]
    fn an_answer_without_an_id_is_about_the_task_that_was_asked_for() {
        let json = document("t", &GetFuotaTaskOutput::builder().build(), None);
        assert_eq!((json.id.as_deref(), json.created_at), (Some("t"), None));
    }
}
