//! The cloud side against a double of AWS on loopback, through everything a backhaul and a service can do.

use std::time::Duration;

use crate::support::cloud_side::Cloud;
use crate::support::cloud_side::firmware;
use crate::support::cloud_side::write_credentials;
use crate::support::fake_aws::FakeAws;
use crate::support::fake_aws::Fault;
use crate::support::fake_aws::Op;
use fuotad::cloud::FuotadJson;
use fuotad::daemon::Fact;
use fuotad::daemon::aws::Settings;
use fuotad::task::TaskId;
use fuotad::task::TaskStatus;
use fuotad::task::gps_from_rfc3339;
use serde_json::json;

const TASK: &str = "6d2f0c1e-0000-4000-8000-000000000001";
const IMAGE: &str = "s3://fw-bucket/meters/app-1.4.2.bin";
const OBJECT: &str = "fw-bucket/meters/app-1.4.2.bin";

fn task_id() -> TaskId {
    TaskId::new(TASK).unwrap()
}

fn groups(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_status_of_a_task_is_told_once_and_in_order() {
    let mut cloud = Cloud::start("order", |fake, _| fake.put_task(TASK, "Pending", None, IMAGE));
    let task = cloud.task();
    assert_eq!((&task.status, task.id.as_str()), (&TaskStatus::Pending, TASK));
    assert_eq!((task.redundancy_percent, task.fragment_size_bytes), (50, Some(10)));
    assert_eq!(task.descriptor, Some(vec![1, 4, 2, 0]));
    assert_eq!(task.created_at.unwrap().to_unix_us(), 1_732_233_600_123_000);
    cloud.fake.wait(Op::GetTask, 3);
    cloud.assert_no_fact();

    let start = Some("2026-11-22T02:00:00Z");
    cloud.fake.put_task(TASK, "FuotaSession_Waiting", start, IMAGE);
    let task = cloud.task();
    assert_eq!(task.status, TaskStatus::Armed);
    assert!(task.start.is_some());
    cloud.fake.wait(Op::GetTask, 3);
    cloud.assert_no_fact();

    cloud.fake.put_task(TASK, "In_FuotaSession", start, IMAGE);
    assert_eq!(cloud.task().status, TaskStatus::InSession);
    cloud.fake.wait(Op::GetTask, 3);
    cloud.assert_no_fact();
    let log = cloud.log();
    assert_eq!(log.lines().count(), 3, "a line per change, not per look:\n{log}");
}

#[test]
fn a_task_that_is_deleted_is_told_as_such_and_then_as_gone_once() {
    let mut cloud = Cloud::start("deleted", |fake, _| fake.put_task(TASK, "Pending", None, IMAGE));
    cloud.task();
    cloud.fake.put_task(TASK, "Delete_Waiting", None, IMAGE);
    assert_eq!(cloud.task().status, TaskStatus::Deleting);
    cloud.fake.world().tasks.clear();
    assert!(matches!(cloud.fact(), Fact::Gone(id) if id == task_id()));
    cloud.fake.wait(Op::GetTask, 4);
    cloud.assert_no_fact();
    cloud.fake.put_task(TASK, "Pending", None, IMAGE);
    assert_eq!(cloud.task().status, TaskStatus::Pending);
}

#[test]
fn a_deletion_counts_even_where_the_task_cannot_be_read_any_more() {
    let mut cloud = Cloud::start("deleted-odd", |fake, _| fake.put_task(TASK, "Pending", None, IMAGE));
    cloud.task();
    cloud.fake.put_task(TASK, "Delete_Waiting", None, "not an address");
    assert!(matches!(cloud.fact(), Fact::Gone(_)));
}

#[test]
fn a_task_that_this_process_never_saw_is_gone_at_the_second_look() {
    let mut cloud = Cloud::start("never", |_, _| {});
    assert!(matches!(cloud.fact(), Fact::Gone(id) if id == task_id()));
    assert!(cloud.fake.count(Op::GetTask) >= 2);
    cloud.fake.wait(Op::GetTask, 4);
    cloud.assert_no_fact();
}

#[test]
fn a_control_plane_that_fails_throttles_or_refuses_changes_nothing_for_what_runs() {
    let mut cloud = Cloud::start("trouble", |fake, _| fake.put_task(TASK, "In_FuotaSession", None, IMAGE));
    cloud.task();
    for (fault, said) in [
        (Fault::Error(429, "ThrottlingException"), "throttled (ThrottlingException)"),
        (Fault::Error(400, "ThrottlingException"), "throttled (ThrottlingException)"),
        (Fault::Error(500, "InternalServerException"), "answered 500"),
        (Fault::Error(403, "AccessDeniedException"), "allow iotwireless:GetFuotaTask in the policy"),
        (Fault::Error(400, "ValidationException"), "refused as invalid (ValidationException); check the id"),
        (Fault::Skewed(3600), "the clock is wrong"),
        (Fault::Body("<html>"), "cannot be read"),
        (Fault::Error(403, "UnrecognizedClientException"), "not accepted (UnrecognizedClientException)"),
        (Fault::Error(403, "ExpiredTokenException"), "expired (ExpiredTokenException)"),
        (Fault::Error(403, "RequestTimeTooSkewed"), "the clock is wrong"),
        (Fault::Html(502), "answered 502"),
        (Fault::Empty(503), "answered 503"),
        (Fault::Reset, "no answer"),
        (Fault::Cut(40), "cannot be read"),
        (Fault::Truncated, "cannot be read"),
    ] {
        let before = cloud.log().len();
        // More than the SDK's own attempts in one call.
        cloud.fake.fail(Op::GetTask, vec![fault.clone(); 6]);
        cloud.fake.wait(Op::GetTask, 7);
        // The look after the faults is over when the next one begins.
        cloud.fake.wait(Op::GetTask, 1);
        let log = cloud.log().split_off(before);
        assert!(log.contains(said), "{fault:?} is not {said:?} but:\n{log}");
        cloud.assert_no_fact();
    }
    cloud.fake.put_task(TASK, "FuotaDone", None, IMAGE);
    assert_eq!(cloud.task().status, TaskStatus::Done);
}

#[test]
fn the_groups_of_the_cloud_become_ours_by_their_ids() {
    let mut cloud = Cloud::start("groups", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.put_group("g-1", 1);
        fake.put_group("g-2", 0);
        fake.world().page = 1;
        let theirs = groups(&["g-1", "elsewhere", "g-2"]);
        fake.world().task_groups.insert(TASK.to_owned(), theirs);
        settings.groups.insert("g-1".to_owned(), "meters".to_owned());
        settings.groups.insert("g-2".to_owned(), "valves".to_owned());
    });
    assert_eq!(cloud.task().groups, ["meters", "valves"]);
    assert_eq!(cloud.fake.requests(Op::ListGroups)[1].target.split("nextToken=").nth(1), Some("n%2B%2F%3D1"));
    assert!(cloud.fake.requests(Op::GetGroup).iter().all(|request| !request.target.contains("elsewhere")));
}

#[test]
fn a_group_with_a_second_gateway_is_refused_with_the_reason_until_it_has_left() {
    let mut cloud = Cloud::start("gateways", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.put_group("g-1", 2);
        fake.world().task_groups.insert(TASK.to_owned(), groups(&["g-1"]));
        settings.groups.insert("g-1".to_owned(), "meters".to_owned());
    });
    cloud.fake.wait(Op::GetGroup, 2);
    cloud.assert_no_fact();
    let said = "multicast group g-1 has 2 participating gateways, this one is number 1";
    assert!(cloud.log().contains(said), "{}", cloud.log());
    cloud.fake.put_group("g-1", 1);
    assert_eq!(cloud.task().groups, ["meters"]);
}

/// A group of ours in which so many gateways take part.
fn with_group(fake: &FakeAws, settings: &mut Settings, gateways: usize) {
    fake.put_task(TASK, "Pending", None, IMAGE);
    fake.put_group("g-1", gateways);
    fake.world().task_groups.insert(TASK.to_owned(), groups(&["g-1"]));
    settings.groups.insert("g-1".to_owned(), "meters".to_owned());
}

#[test]
fn a_single_participating_gateway_that_is_another_one_is_noticed() {
    let mut cloud = Cloud::start("other-gateway", |fake, settings| {
        with_group(fake, settings, 1);
        settings.wireless_gateway = None;
        settings.gateway_eui = Some("0016c001f1500812".to_owned());
        fake.put_gateway("0016c001f1500812", "gateway-9");
    });
    cloud.fake.wait(Op::GetGateway, 2);
    cloud.assert_no_fact();
    let said =
        "multicast group g-1 names its participating gateways (gateway-0), and this one, gateway-9, is not";
    assert!(cloud.log().contains(said), "{}", cloud.log());
    let asked = &cloud.fake.requests(Op::GetGateway)[0].target;
    assert!(asked.starts_with("/wireless-gateways/0016c001f1500812?identifierType=GatewayEui"), "{asked}");
    cloud.fake.put_gateway("0016c001f1500812", "gateway-0");
    let (task, around) = cloud.task_and_cloud();
    assert_eq!(task.groups, ["meters"]);
    assert_eq!(around["Gateway"]["Id"], "gateway-0", "its own entry is kept");
}

#[test]
fn a_gateway_that_cannot_know_whether_it_takes_part_says_what_would_tell_it() {
    for (fault, eui, said) in [
        (None, None, "set gateway.id to its EUI, or aws.wireless-gateway"),
        (None, Some("ff"), "AWS knows no gateway with the EUI ff"),
        (
            Some(Fault::Error(403, "AccessDeniedException")),
            Some("ff"),
            "allow iotwireless:GetWirelessGateway in the policy of the gateway's credentials, or set aws.wireless-gateway",
        ),
        (Some(Fault::Body("{}")), Some("ff"), "answers without an Id"),
        (Some(Fault::Body("{\"Id\": 7}")), Some("ff"), "GetWirelessGateway.Id: invalid type"),
    ] {
        let mut cloud = Cloud::start("unknown-gateway", |fake, settings| {
            with_group(fake, settings, 1);
            settings.wireless_gateway = None;
            settings.gateway_eui = eui.map(str::to_owned);
            fake.fail(Op::GetGateway, fault.into_iter().cycle().take(1000));
        });
        cloud.fake.wait_for(Op::GetGroup, 2);
        cloud.assert_no_fact();
        assert!(cloud.log().contains(said), "{}", cloud.log());
    }
}

#[test]
fn the_session_of_a_group_comes_with_the_task() {
    let mut cloud = Cloud::start("session", |fake, settings| {
        with_group(fake, settings, 0);
        fake.put_session(
            "g-1",
            json!({"DlDr": 3, "DlFreq": 869_525_000, "SessionTimeout": 4096,
            "SessionStartTime": "2026-11-22T02:00:00Z", "Future": 1}),
        );
    });
    let (task, around) = cloud.task_and_cloud();
    assert_eq!(around["MulticastGroups"][0]["Id"], "g-1");
    let group = &task.announced[0];
    assert_eq!(group.group, "meters");
    let session = group.session.unwrap();
    assert_eq!(
        (session.channel.data_rate, session.channel.frequency_hz, session.timeout_exponent()),
        (Some(3), Some(869_525_000), Some(12))
    );
    assert_eq!(session.start, gps_from_rfc3339("2026-11-22T02:00:00Z"));
    assert_eq!(task.warnings, ["Cloud.MulticastGroups.0.Session.LoRaWAN.Future is unknown and ignored"]);
}

#[test]
fn a_session_that_cannot_be_read_stops_its_task_and_one_that_may_not_be_looked_at_does_not() {
    let mut cloud = Cloud::start("session-odd", |fake, settings| {
        with_group(fake, settings, 0);
        fake.put_session("g-1", json!({"DlFreq": "869.525 MHz"}));
    });
    cloud.fake.wait(Op::GetSession, 2);
    cloud.assert_no_fact();
    let said = "multicast group g-1: GetMulticastGroupSession.LoRaWAN.DlFreq: invalid type";
    assert!(cloud.log().contains(said), "{}", cloud.log());
    cloud.fake.fail(Op::GetSession, vec![Fault::Error(403, "AccessDeniedException"); 1000]);
    assert!(cloud.task().announced[0].session.is_none());
}

#[test]
fn a_task_for_groups_of_others_is_not_taken() {
    let mut cloud = Cloud::start("others", |fake, _| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.world().task_groups.insert(TASK.to_owned(), groups(&["g-9"]));
    });
    cloud.fake.wait(Op::ListGroups, 2);
    cloud.assert_no_fact();
    assert!(cloud.log().contains("set aws-multicast-group of a [[group]] to g-9"), "{}", cloud.log());
}

#[test]
fn the_configuration_has_the_last_word_about_groups_and_needs_no_right_to_list_them() {
    let mut cloud = Cloud::start("overlay", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.fail(Op::ListGroups, vec![Fault::Error(403, "AccessDeniedException"); 1000]);
        let overlay = FuotadJson {
            multicast_groups: Some(groups(&["taps"])),
            start: Some("at-once".to_owned()),
            ..FuotadJson::default()
        };
        settings.overlays.insert(TASK.to_owned(), overlay);
    });
    let task = cloud.task();
    assert_eq!(task.groups, ["taps"]);
    assert!(task.start.is_some());
}

#[test]
fn pages_without_end_are_given_up() {
    for (fault, said) in [
        (Fault::EndlessPages, "its pages do not end: a token repeats"),
        (Fault::ManyPages, "it has too many pages"),
    ] {
        let mut cloud = Cloud::start("pages", |fake, _| {
            fake.put_task(TASK, "Pending", None, IMAGE);
            fake.fail(Op::ListGroups, vec![fault; 20]);
        });
        cloud.task();
        assert!(cloud.log().contains(said), "{}", cloud.log());
    }
}

#[test]
fn all_tasks_of_the_account_for_a_group_of_ours_are_found_page_by_page() {
    let mut cloud = Cloud::start("all", |fake, settings| {
        settings.fuota_tasks.clear();
        settings.all = true;
        settings.groups.insert("g-1".to_owned(), "meters".to_owned());
        fake.world().page = 1;
        fake.put_group("g-1", 0);
        for id in ["elsewhere", "nobody", TASK] {
            fake.put_task(id, "Pending", None, IMAGE);
        }
        fake.world().task_groups.insert(TASK.to_owned(), groups(&["g-1"]));
        fake.world().task_groups.insert("elsewhere".to_owned(), groups(&["g-9"]));
    });
    assert_eq!(cloud.task().groups, ["meters"]);
    cloud.fake.wait(Op::GetTask, 6);
    cloud.assert_no_fact();
    let log = cloud.log();
    assert!(log.contains("FUOTA task nobody: not taken: it has no multicast group"), "{log}");
    assert!(log.contains("FUOTA task elsewhere: not taken: none of its multicast groups"), "{log}");
    let asked = cloud.fake.requests(Op::ListTasks)[1].target.clone();
    assert!(asked.contains("maxResults=100") && asked.contains("nextToken=n%2B%2F%3D1"), "{asked}");
    // One that comes later is found, one that goes is told as gone.
    cloud.fake.world().tasks.remove(TASK);
    assert!(matches!(cloud.fact(), Fact::Gone(id) if id == task_id()));
    cloud.fake.put_task(TASK, "Pending", None, IMAGE);
    assert_eq!(cloud.task().groups, ["meters"]);
}

#[test]
fn a_list_of_tasks_that_does_not_end_or_is_not_allowed_is_told_once() {
    for (fault, said) in [
        (Fault::EndlessPages, "iotwireless:ListFuotaTasks: the answer cannot be read: its pages do not end"),
        (Fault::Error(403, "AccessDeniedException"), "allow iotwireless:ListFuotaTasks"),
        (Fault::Error(429, "ThrottlingException"), "iotwireless:ListFuotaTasks: throttled"),
    ] {
        let cloud = Cloud::start("all-odd", |fake, settings| {
            settings.fuota_tasks.clear();
            settings.all = true;
            fake.put_task("t", "Pending", None, IMAGE);
            fake.fail(Op::ListTasks, vec![fault; 100_000]);
        });
        cloud.fake.wait_for(Op::ListTasks, 12);
        assert_eq!(cloud.log().matches(said).count(), 1, "{}", cloud.log());
        assert_eq!(cloud.fake.count(Op::GetTask), 0);
    }
}

#[test]
fn an_answer_of_any_emptiness_is_a_task_without_or_a_named_refusal() {
    for (body, said) in [
        ("{}", "FirmwareUpdateImage is missing"),
        ("{\"FirmwareUpdateImage\": null}", "FirmwareUpdateImage is missing"),
        ("{\"FirmwareUpdateImage\": {}}", "FirmwareUpdateImage is an object"),
        ("{\"RedundancyPercent\": 5000000000}", "cannot be read|RedundancyPercent|FirmwareUpdateImage"),
        (
            "{\"FirmwareUpdateImage\": \"s3://b/k\", \"RedundancyPercent\": \"50\"}",
            "RedundancyPercent is \"50\"",
        ),
        ("{\"FirmwareUpdateImage\": \"s3://b/k\", \"FragmentSizeBytes\": 0}", "FragmentSizeBytes is 0"),
        ("{\"Id\": \"another\"}", "it is about another task"),
        ("{\"Status\": \"Pending\", \"Status\": \"FuotaDone\"}", "Status stands here twice"),
        ("[]", "cannot be read"),
        ("null", "cannot be read"),
        ("", "cannot be read"),
    ] {
        let mut cloud = Cloud::start("empty", |fake, _| {
            fake.put_task(TASK, "Pending", None, IMAGE);
            fake.fail(Op::GetTask, vec![Fault::Body(body); 100_000]);
        });
        cloud.fake.wait_for(Op::GetTask, 3);
        cloud.assert_no_fact();
        assert!(said.split('|').any(|said| cloud.log().contains(said)), "{body}:\n{}", cloud.log());
    }
}

#[test]
fn members_and_values_that_aws_invents_are_kept_with_the_task() {
    let mut cloud = Cloud::start("invented", |fake, _| {
        fake.put_task(TASK, "Paused", None, IMAGE);
        let mut world = fake.world();
        let task = world.tasks.get_mut(TASK).unwrap();
        task["Future"] = json!({"deep": 1});
        task["CreatedAt"] = json!("2024-11-22T00:00:00.123Z");
    });
    let task = cloud.task();
    assert_eq!(task.status, TaskStatus::Unknown("Paused".to_owned()));
    assert!(task.warnings.iter().any(|warning| warning.contains("Future")), "{:?}", task.warnings);
}

#[test]
fn who_waits_for_the_cloud_is_awake_when_the_network_returns() {
    // Which way out there is follows from a file, as a function of the settings cannot hold anything.
    const WAY: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/way-out");
    let _ = std::fs::remove_file(WAY);
    let mut cloud = Cloud::start("network", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.fail(Op::GetTask, vec![Fault::Error(503, ""); 3]);
        settings.timeouts.poll_first = Duration::from_secs(3600);
        settings.timeouts.longest = Duration::from_secs(3600);
        settings.timeouts.network = Duration::from_millis(5);
        settings.routes = || {
            std::path::Path::new(WAY)
                .exists()
                .then_some(std::net::Ipv4Addr::LOCALHOST.into())
                .into_iter()
                .collect()
        };
    });
    cloud.fake.wait_for(Op::GetTask, 3);
    while cloud.log().is_empty() {
        std::thread::yield_now();
    }
    cloud.assert_no_fact();
    std::fs::write(WAY, "").unwrap();
    cloud.task();
    assert!(cloud.log().contains("there is another way out"), "{}", cloud.log());
    let _ = std::fs::remove_file(WAY);
}

#[test]
fn a_task_from_the_cloud_may_not_name_a_file_of_the_gateway() {
    let mut cloud =
        Cloud::start("file", |fake, _| fake.put_task(TASK, "Pending", None, "file:///etc/shadow"));
    cloud.fake.wait(Op::GetTask, 2);
    cloud.assert_no_fact();
    assert!(cloud.log().contains("in a task from the cloud"), "{}", cloud.log());
}

#[test]
fn the_image_comes_whole_through_every_fault() {
    let bytes = firmware(300_000);
    let mut cloud = Cloud::start("image", |fake, _| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.put_object(OBJECT, &bytes, true);
    });
    for (op, faults) in [
        (Op::Head, vec![Fault::Empty(503); 7]),
        (Op::Head, vec![Fault::Reset; 4]),
        (Op::Get, vec![Fault::Error(500, "InternalError"); 7]),
        (Op::Get, vec![Fault::Error(503, "SlowDown"); 7]),
        (Op::Get, vec![Fault::Html(502); 4]),
        (Op::Get, vec![Fault::Error(400, "RequestTimeout"); 4]),
        (Op::Get, vec![Fault::Error(403, "RequestTimeTooSkewed"); 4]),
        (Op::Get, vec![Fault::Error(400, "ExpiredToken"); 4]),
        (Op::Get, [0, 1, 1023, 70_000, 131_071].map(Fault::Cut).to_vec()),
        (Op::Get, vec![Fault::Reset; 4]),
        (Op::Get, vec![Fault::Drip(10_000, Duration::from_millis(2)); 2]),
        (Op::Get, vec![Fault::Truncated; 2]),
        (Op::Get, vec![Fault::Cut(50_000), Fault::IgnoreRange]),
        (Op::Get, vec![Fault::OtherRange, Fault::Longer]),
    ] {
        cloud.fake.fail(op, faults.clone());
        cloud.fetch(IMAGE);
        assert!(cloud.image() == Ok(bytes.clone()), "{op:?} {faults:?}:\n{}", cloud.log());
        assert!(cloud.fake.is_spent(op), "{op:?} {faults:?} did not strike");
    }
}

#[test]
fn a_download_that_stalls_is_resumed_where_it_stopped() {
    let bytes = firmware(400);
    let mut cloud = Cloud::start("stall", |fake, settings| {
        fake.put_object(OBJECT, &bytes, false);
        fake.fail(Op::Get, [Fault::Stall]);
        settings.timeouts.answer = Duration::from_millis(200);
        settings.fuota_tasks.clear();
    });
    cloud.fetch(IMAGE);
    assert!(cloud.image() == Ok(bytes));
    let gets = cloud.fake.requests(Op::Get);
    assert_eq!(gets[0].headers["range"], "bytes=0-399");
    assert_eq!(gets.last().unwrap().headers["range"], "bytes=200-399");
}

#[test]
fn every_range_is_of_the_version_that_was_seen_first() {
    let bytes = firmware(200_000);
    let mut cloud = Cloud::start("pin", |fake, settings| {
        settings.fuota_tasks.clear();
        fake.put_object(OBJECT, &bytes, true);
    });
    cloud.fetch(IMAGE);
    assert!(cloud.image() == Ok(bytes));
    let world = cloud.fake.world().objects[OBJECT].clone();
    let gets = cloud.fake.requests(Op::Get);
    assert_eq!(gets.len(), 2);
    for get in gets {
        assert_eq!(get.headers["if-match"], world.etag);
        assert!(
            get.target.contains(&format!("versionId={}", world.version.clone().unwrap())),
            "{}",
            get.target
        );
    }
}

#[test]
fn an_object_that_is_replaced_meanwhile_is_fetched_anew_and_never_mixed() {
    let (old, new) = (firmware(300_000), firmware(290_001).into_iter().rev().collect::<Vec<_>>());
    let mut cloud = Cloud::start("changed", |fake, settings| {
        settings.fuota_tasks.clear();
        fake.put_object(OBJECT, &old, false);
        fake.fail(Op::Get, [Fault::Cut(1000), Fault::Swap(new.clone())]);
    });
    cloud.fetch(IMAGE);
    assert!(cloud.image() == Ok(new));
}

#[test]
fn an_object_that_changes_all_the_time_is_given_up() {
    let mut cloud = Cloud::start("changing", |fake, settings| {
        settings.fuota_tasks.clear();
        fake.put_object(OBJECT, &firmware(5000), false);
        fake.fail(Op::Get, (1..9).map(|round| Fault::Swap(firmware(5000 + round))));
    });
    cloud.fetch(IMAGE);
    let reason = cloud.image().unwrap_err();
    assert!(reason.starts_with(IMAGE) && reason.contains("it changed 4 times"), "{reason}");
}

#[test]
fn what_time_does_not_cure_ends_a_download_with_the_way_out() {
    let mut cloud = Cloud::start("final", |fake, settings| {
        settings.fuota_tasks.clear();
        settings.max_image_bytes = 1000;
        fake.put_object("b/small", &firmware(10), false);
        fake.put_object("b/large", &firmware(1001), false);
        fake.put_object("b/empty", &[], false);
    });
    cloud.fetch("s3://b/large");
    let reason = cloud.image().unwrap_err();
    assert!(reason.contains("1001 bytes are over the limit of 1000"), "{reason}");
    cloud.fetch("s3://b/empty");
    assert!(cloud.image().unwrap_err().contains("the object is empty"));
}

#[test]
fn an_image_that_is_missing_or_denied_is_told_as_such_once_and_fetched_when_it_is_there() {
    let bytes = firmware(1000);
    let mut cloud = Cloud::start("patient", |_, settings| settings.fuota_tasks.clear());
    cloud.fetch(IMAGE);
    let reason = cloud.missing();
    assert!(reason.contains("not found") && reason.contains("correct FirmwareUpdateImage"), "{reason}");
    cloud.fake.wait(Op::Head, 5);
    cloud.assert_no_fact();
    cloud.fake.fail(Op::Head, [Fault::Empty(403), Fault::Empty(403)]);
    let reason = cloud.missing();
    assert!(reason.contains("denied (403)") && reason.contains("arn:aws:s3:::fw-bucket/"), "{reason}");
    assert!(cloud.missing().contains("not found"));
    cloud.fake.fail(Op::Get, [Fault::Error(403, "AccessDenied")]);
    cloud.fake.put_object(OBJECT, &bytes, false);
    let reason = cloud.missing();
    assert!(reason.contains("denied (AccessDenied)") && reason.contains("s3:GetObject"), "{reason}");
    assert!(cloud.image() == Ok(bytes));
}

#[test]
fn a_key_is_taken_to_the_letter() {
    let bytes = firmware(100);
    let mut cloud = Cloud::start("key", |fake, settings| {
        settings.fuota_tasks.clear();
        fake.put_object("b/dir a//app+1.4.2 (é)=%41?x#y.bin", &bytes, false);
    });
    cloud.fetch("s3://b/dir a//app+1.4.2 (é)=%41?x#y.bin");
    assert!(cloud.image() == Ok(bytes));
}

#[test]
fn a_bucket_in_another_region_is_asked_there() {
    let bytes = firmware(100);
    let mut cloud = Cloud::start("region", |fake, settings| {
        settings.fuota_tasks.clear();
        fake.put_object(OBJECT, &bytes, false);
        fake.world().objects.get_mut(OBJECT).unwrap().region = Some("us-west-2");
    });
    cloud.fetch(IMAGE);
    assert!(cloud.image() == Ok(bytes));
}

#[test]
fn credentials_that_come_later_are_found_without_a_restart() {
    let mut cloud = Cloud::start("later", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        std::fs::remove_file(settings.credentials_file.as_ref().unwrap()).unwrap();
    });
    while cloud.log().is_empty() {
        std::thread::yield_now();
    }
    assert!(cloud.log().contains("credentials: "), "{}", cloud.log());
    assert_eq!(cloud.fake.count(Op::GetTask), 0);
    write_credentials(&cloud.credentials());
    cloud.task();
}

#[test]
fn no_secret_is_in_any_text_even_when_a_server_repeats_it() {
    let mut cloud = Cloud::start("canary", |fake, _| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.put_object(OBJECT, &firmware(100), false);
    });
    cloud.task();
    for code in ["SignatureDoesNotMatch", "AccessDeniedException", "InvalidSignatureException", "Other"] {
        for status in [400, 403, 500] {
            cloud.fake.fail(Op::GetTask, vec![Fault::Echo(status, code); 4]);
            cloud.fake.wait(Op::GetTask, 6);
        }
    }
    cloud
        .fake
        .fail(Op::Get, vec![Fault::Echo(400, "SignatureDoesNotMatch"), Fault::Echo(403, "AccessDenied")]);
    cloud.fetch(IMAGE);
    let reason = cloud.missing();
    assert!(reason.contains("AccessDenied") && !reason.contains("CANARY"), "{reason}");
    assert!(cloud.image().is_ok());
    // That the requests had something to repeat, and that no line of the log has it, see `Cloud::drop`.
    assert!(cloud.fake.requests(Op::Get)[0].headers["x-amz-security-token"].contains("CANARY"));
    assert!(cloud.log().contains("SignatureDoesNotMatch"), "{}", cloud.log());
}

#[test]
fn a_download_ends_with_its_task() {
    let mut cloud = Cloud::start("over", |fake, _| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        fake.put_object(OBJECT, &firmware(100), false);
    });
    cloud.task();
    cloud.fake.fail(Op::Head, vec![Fault::Empty(503); 100_000]);
    cloud.fetch(IMAGE);
    while cloud.fake.count(Op::Head) == 0 {
        std::thread::yield_now();
    }
    cloud.fake.world().tasks.clear();
    assert!(matches!(cloud.fact(), Fact::Gone(_)));
    // Whoever is still patient would ask again and again.
    let before = cloud.fake.count(Op::Head);
    cloud.fake.wait(Op::GetTask, 20);
    assert!(cloud.fake.count(Op::Head) <= before + 3, "the download outlives its task");
}

#[test]
fn a_second_order_for_a_task_replaces_the_first() {
    let (first, second) = (firmware(100), firmware(50));
    let mut cloud = Cloud::start("replace", |fake, settings| {
        settings.fuota_tasks.clear();
        settings.timeouts.answer = Duration::from_millis(300);
        fake.put_object(OBJECT, &first, false);
        fake.put_object("b/second", &second, false);
        fake.fail(Op::Get, [Fault::Stall]);
    });
    cloud.fetch(IMAGE);
    while cloud.fake.count(Op::Get) == 0 {
        std::thread::yield_now();
    }
    cloud.fetch("s3://b/second");
    assert!(cloud.image() == Ok(second));
    cloud.fetch("s3://b/none");
    assert!(cloud.missing().contains("s3://b/none"), "the first order is still at work");
    assert!(cloud.fake.requests(Op::Get).iter().filter(|get| get.target.contains("fw-bucket")).count() == 1);
}

#[test]
fn stopping_waits_for_nobody() {
    let mut cloud = Cloud::start("stop", |fake, settings| {
        fake.put_object(OBJECT, &firmware(100), false);
        fake.fail(Op::Get, [Fault::Stall]);
        fake.fail(Op::GetTask, vec![Fault::Reset; 1000]);
        settings.timeouts.answer = Duration::from_secs(3600);
    });
    cloud.fetch(IMAGE);
    while cloud.fake.count(Op::Get) == 0 {
        std::thread::yield_now();
    }
    drop(cloud.stop.take());
    cloud.thread.take().unwrap().join().unwrap();
    cloud.thread = Some(std::thread::spawn(|| {}));
}
