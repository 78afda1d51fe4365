//! The real process with `[aws]`: a double of AWS on one side, a simulated gateway with devices on the other. Real
//! sockets on the loopback, real files, real time.

use crate::support::fake_aws::FakeAws;
use crate::support::fake_aws::Fault;
use crate::support::fake_aws::Op;
use crate::support::site;
use crate::support::site::Site;
use fuotad::daemon::Snapshot;
use fuotad::daemon::read_status;
use fuotad::image::Digest;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const TASK: &str = "6d2f0c1e-0000-4000-8000-000000000001";
const IMAGE: &str = "s3://fw-bucket/lamps/app.bin";
const OBJECT: &str = "fw-bucket/lamps/app.bin";
/// It must be seen nowhere.
const SECRET: &str = "SECRET/CANARY+key";
/// Frames that the daemon may have handed to the forwarder before they are due.
const HANDED_OVER_MAX: u64 = 3;
/// More than any test asks for: no call gets through any more.
const FOR_EVER: usize = 10_000;

/// How the process is told where AWS is.
enum Endpoint {
    /// `endpoint-url`, looked at every second.
    Configured,
    /// The variables of the SDK; the configuration's poll is that for AWS.
    Environment,
}

/// A site whose tasks come from the double.
struct Cloud {
    fake: FakeAws,
    site: Site,
}

impl Cloud {
    /// The task is `status` and its image is there; `digest` is what the configuration expects of it.
    fn new(name: &str, nb_frag: usize, status: &str, endpoint: &Endpoint, digest: Option<Digest>) -> Cloud {
        let fake = FakeAws::start();
        let mut site = Site::new(&format!("cloud-{name}"), nb_frag);
        let digest = digest.unwrap_or_else(|| Digest::of(site.image()));
        let (url, nothing) = (fake.url(), site.path("nothing").display().to_string());
        let where_to = match endpoint {
            Endpoint::Configured => format!("endpoint-url = \"{url}\"\npoll-s = 1"),
            Endpoint::Environment => "poll-s = 30".to_owned(),
        };
        let aws = format!(
            "\n[aws]\nregion = \"eu-west-1\"\nfuota-tasks = [\"{TASK}\"]\n{where_to}\n\
             [[aws.task]]\nid = \"{TASK}\"\nsha256 = \"{digest}\"\nmulticast-groups = [\"lamps\"]\n"
        );
        let mut environment = vec![
            ("AWS_ACCESS_KEY_ID", "AKIDCANARYEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "eu-west-1"),
            // Nothing of the machine that the test runs on.
            ("AWS_CONFIG_FILE", nothing.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", nothing.as_str()),
            ("NO_PROXY", "127.0.0.1"),
        ];
        if matches!(endpoint, Endpoint::Environment) {
            environment.push(("AWS_ENDPOINT_URL_IOT_WIRELESS", &url));
            environment.push(("AWS_ENDPOINT_URL_S3", &url));
        }
        site.extend(&aws, &environment);
        fake.put_object(OBJECT, site.image(), true);
        let cloud = Cloud { fake, site };
        cloud.put(status);
        cloud
    }

    /// The same gateway, ordered by an OTA update whose only file is `file`.
    fn of_update(name: &str, nb_frag: usize, file: &Value, more: &str) -> Cloud {
        let fake = FakeAws::start();
        let mut site = Site::new(&format!("cloud-ota-{name}"), nb_frag);
        let (url, digest) = (fake.url(), Digest::of(site.image()));
        let aws = format!(
            "\n[aws]\nregion = \"eu-west-1\"\nota-updates = [\"{TASK}\"]\nendpoint-url = \"{url}\"\npoll-s = 1\n\
             [ota.\"{TASK}\"]\nsha256 = \"{digest}\"\nfragment-size-bytes = 232\n{more}\n"
        );
        let nothing = site.path("nothing").display().to_string();
        let environment = [
            ("AWS_ACCESS_KEY_ID", "AKIDCANARYEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_CONFIG_FILE", nothing.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", nothing.as_str()),
            ("NO_PROXY", "127.0.0.1"),
        ];
        site.extend(&aws, &environment);
        fake.put_object(OBJECT, site.image(), true);
        fake.put_update(TASK, "CREATE_COMPLETE", json!([file]));
        Cloud { fake, site }
    }

    /// The task as AWS would answer with it.
    fn put(&self, status: &str) {
        let task = json!({
            "Arn": format!("arn:aws:iotwireless:eu-west-1:123456789012:FuotaTask/{TASK}"), "Id": TASK,
            "Status": status, "Name": "lamp-fw", "LoRaWAN": {"RfRegion": "US915"},
            "FirmwareUpdateImage": IMAGE, "FirmwareUpdateRole": "arn:aws:iam::123456789012:role/fuota-read",
            "CreatedAt": 1_732_233_600.123, "RedundancyPercent": 30, "FragmentSizeBytes": 232,
        });
        self.fake.world().tasks.insert(TASK.to_owned(), task);
    }

    fn wait_for_phase(&mut self, phase: &str) -> Snapshot {
        self.site.wait(phase, 20, |status| {
            status.tasks.iter().any(|task| task.task == TASK && task.phase == phase)
        })
    }

    /// The outcome of the campaign.
    fn outcome(&mut self) -> String {
        let status = self.site.wait("it is over", 30, |status| !status.finished.is_empty());
        assert_eq!(status.finished[0].0, TASK);
        status.finished[0].1.clone()
    }

    /// Every device has the image, bit for bit, and the law was kept.
    fn assert_complete(&mut self, frames: u64) {
        let outcome = self.outcome();
        assert!(outcome.starts_with(&format!("complete: {frames} frames sent")), "{outcome}");
        self.site.wait_for_the_air();
        let verdict = self.site.verdict();
        assert!(verdict.is_content(), "{:?}", verdict.breaches);
        let counted = (verdict.devices_complete, verdict.frames, verdict.repeated_frames);
        assert_eq!(counted, (self.site.devices(), frames, 0));
    }

    /// The campaign ends early: what follows was handed over before.
    fn assert_cancelled(&mut self, frames: u64) {
        let outcome = self.outcome();
        let at_the_end = self.site.frames();
        assert!(outcome.starts_with("cancelled after"), "{outcome}");
        self.site.wait_for_the_air();
        let verdict = self.site.verdict();
        println!("{outcome}; {at_the_end} on the air by then, {} in all", verdict.frames);
        assert!(verdict.is_content(), "{:?}", verdict.breaches);
        assert!(verdict.frames <= at_the_end + HANDED_OVER_MAX, "{} after {at_the_end}", verdict.frames);
        assert!((5..frames).contains(&verdict.frames), "it had begun and was not done: {}", verdict.frames);
        assert_eq!(verdict.devices_complete, 0);
    }

    /// Ends the process; nothing it said or left shows the secret, and AWS would have taken each request.
    fn end(mut self) {
        let status = read_status(Path::new(&self.site.socket())).unwrap();
        assert_eq!(self.site.terminate().0, Some(0));
        let log = self.site.log();
        assert!(log.contains(TASK), "a log that says nothing hides nothing: {log}");
        for hidden in [SECRET, "CANARY", site::MC_KEY] {
            assert!(!log.contains(hidden), "{hidden} is in the log: {log}");
            assert!(!status.contains(hidden), "{hidden} is in the status: {status}");
        }
        let complaints = self.fake.world().complaints.clone();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    /// All calls fail from now on.
    fn go_down(&self, fault: &Fault) {
        for op in [Op::GetTask, Op::ListGroups, Op::GetGroup, Op::Head, Op::Get] {
            self.fake.fail(op, std::iter::repeat_n(fault.clone(), FOR_EVER));
        }
    }
}

#[test]
fn a_task_from_the_cloud_goes_through_its_statuses_to_the_devices() {
    let mut cloud = Cloud::new("statuses", 24, "Pending", &Endpoint::Configured, None);
    cloud.site.start();
    cloud.wait_for_phase("waiting");
    assert!(cloud.fake.count(Op::Get) > 0, "the image is fetched ahead of the session");
    cloud.put("FuotaSession_Waiting");
    cloud.fake.wait(Op::GetTask, 2);
    cloud.wait_for_phase("waiting");
    assert_eq!(cloud.site.frames(), 0, "nothing before the session");
    cloud.put("In_FuotaSession");
    cloud.assert_complete(32);
    assert_eq!(cloud.site.report(TASK)["task"], TASK);
    let log = cloud.site.log();
    let told = ["Pending", "FuotaSession_Waiting", "In_FuotaSession"]
        .map(|status| log.find(&format!("FUOTA task {TASK}: {status}")));
    assert!(told.iter().all(Option::is_some) && told.is_sorted(), "{told:?}: {log}");
    cloud.end();
}

/// The image as the file of an OTA update in S3.
fn in_s3() -> Value {
    let (bucket, key) = OBJECT.split_once('/').unwrap();
    json!({"fileName": "app.bin", "fileType": 1, "fileLocation": {"s3Location": {"bucket": bucket, "key": key}},
        "codeSigning": {"customCodeSigning": {}}, "attributes": {"redundancy": "30"}})
}

#[test]
fn an_ota_update_with_its_image_in_s3_reaches_the_devices() {
    let mut cloud = Cloud::of_update("s3", 24, &in_s3(), "");
    let version = cloud.fake.world().objects[OBJECT].version.clone().unwrap();
    let mut file = in_s3();
    file["fileLocation"]["s3Location"]["version"] = json!(version);
    cloud.fake.put_update(TASK, "CREATE_COMPLETE", json!([file]));
    cloud.site.start();
    cloud.assert_complete(32);
    let fetched = cloud.fake.requests(Op::Get);
    assert!(
        !fetched.is_empty() && fetched.iter().all(|get| get.target.contains(&version)),
        "the version ordered"
    );
    assert!(
        cloud.site.log().contains(&format!("OTA update {TASK}: CREATE_COMPLETE")),
        "{}",
        cloud.site.log()
    );
    cloud.end();
}

#[test]
fn an_ota_update_through_a_stream_reaches_the_devices() {
    let file = json!({"fileName": "app.bin", "attributes": {"redundancy": "30"},
        "fileLocation": {"stream": {"streamId": "s-1", "fileId": 2}}});
    let mut cloud = Cloud::of_update("stream", 24, &file, "");
    let (bucket, key) = OBJECT.split_once('/').unwrap();
    cloud.fake.put_stream("s-1", 2, bucket, key);
    cloud.site.start();
    cloud.assert_complete(32);
    cloud.end();
}

#[test]
fn an_ota_update_that_is_deleted_on_the_air_goes_on() {
    let mut cloud = Cloud::of_update("deleted", 74, &in_s3(), "");
    cloud.site.start();
    cloud.site.wait_for_frames(5);
    cloud.fake.put_update(TASK, "DELETE_IN_PROGRESS", json!([]));
    cloud.fake.wait(Op::GetOta, 2);
    cloud.fake.world().updates.clear();
    cloud.assert_complete(97);
    assert!(cloud.site.log().contains("DELETE_IN_PROGRESS: it does not begin any more"));
    cloud.end();
}

#[test]
fn an_ota_update_that_is_to_stop_when_deleted_gets_no_further_fragment() {
    let mut cloud = Cloud::of_update("stopped", 74, &in_s3(), "on-delete = \"stop\"");
    cloud.site.start();
    cloud.site.wait_for_frames(5);
    cloud.fake.put_update(TASK, "DELETE_IN_PROGRESS", json!([]));
    cloud.assert_cancelled(97);
    cloud.end();
}

#[test]
fn an_ota_update_that_is_deleted_before_its_start_is_cancelled() {
    let mut cloud = Cloud::of_update("early", 24, &in_s3(), "start = \"2099-01-01T00:00:00Z\"");
    cloud.site.start();
    cloud.wait_for_phase("waiting");
    cloud.fake.put_update(TASK, "DELETE_IN_PROGRESS", json!([]));
    let outcome = cloud.outcome();
    assert!(outcome.starts_with("cancelled"), "{outcome}");
    assert_eq!(cloud.site.frames(), 0);
    cloud.end();
}

#[test]
fn a_session_of_aws_that_is_not_ours_is_found_before_the_first_frame() {
    let mut cloud = Cloud::new("session", 24, "In_FuotaSession", &Endpoint::Configured, None);
    cloud.fake.put_group("g-1", 0);
    cloud.fake.put_session("g-1", json!({"DlDr": 8, "DlFreq": 923_900_000, "SessionTimeout": 4096}));
    cloud.fake.world().task_groups.insert(TASK.to_owned(), vec!["g-1".to_owned()]);
    cloud.site.start();
    let status = cloud.site.wait("it is refused", 20, |status| !status.refused.is_empty());
    let reason = &status.refused[0].1;
    assert!(reason.contains("DlFreq is 923900000, ours 923300000; DlDr is 8, ours 13"), "{reason}");
    assert_eq!(cloud.site.frames(), 0);
    assert!(status.tasks.is_empty(), "{:?}", status.tasks);
    cloud.end();
}

#[test]
fn a_task_that_waits_to_be_deleted_gets_no_further_fragment() {
    let mut cloud = Cloud::new("delete", 74, "In_FuotaSession", &Endpoint::Configured, None);
    cloud.site.start();
    cloud.site.wait_for_frames(5);
    cloud.put("Delete_Waiting");
    cloud.assert_cancelled(97);
    cloud.end();
}

#[test]
fn a_task_that_is_not_found_any_more_gets_no_further_fragment() {
    let mut cloud = Cloud::new("gone", 74, "In_FuotaSession", &Endpoint::Configured, None);
    cloud.site.start();
    cloud.site.wait_for_frames(5);
    cloud.fake.world().tasks.remove(TASK);
    cloud.assert_cancelled(97);
    assert!(cloud.site.log().contains("not found in this region and account"));
    cloud.end();
}

#[test]
fn a_cloud_that_fails_during_the_whole_broadcast_changes_nothing() {
    let mut cloud = Cloud::new("down", 74, "FuotaSession_Waiting", &Endpoint::Configured, None);
    cloud.site.start();
    cloud.wait_for_phase("waiting");
    cloud.put("In_FuotaSession");
    cloud.wait_for_phase("sending");
    cloud.go_down(&Fault::Error(503, "ServiceUnavailableException"));
    cloud.fake.world().tasks.clear();
    cloud.assert_complete(97);
    assert!(cloud.site.log().contains("the service answered 503"), "it was asked: {}", cloud.site.log());
    cloud.end();
}

#[test]
fn a_cloud_whose_door_is_shut_during_the_whole_broadcast_changes_nothing() {
    let mut cloud = Cloud::new("shut", 74, "In_FuotaSession", &Endpoint::Configured, None);
    cloud.site.start();
    cloud.wait_for_phase("sending");
    // Its port is closed; connections that are open end without an answer.
    cloud.go_down(&Fault::Reset);
    let complaints = cloud.fake.world().complaints.clone();
    let shut = std::mem::replace(&mut cloud.fake, FakeAws::start());
    drop(shut);
    cloud.assert_complete(97);
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(cloud.site.log().contains("no answer"), "it was asked: {}", cloud.site.log());
    cloud.end();
}

#[test]
fn a_task_outlives_throttling_while_it_waits() {
    let mut cloud = Cloud::new("throttled", 24, "Pending", &Endpoint::Configured, None);
    cloud.site.start();
    cloud.wait_for_phase("waiting");
    // As many as a call with its own retries needs to fail.
    cloud.fake.fail(Op::GetTask, std::iter::repeat_n(Fault::Error(429, "ThrottlingException"), 3));
    cloud.fake.wait(Op::GetTask, 3);
    let status = cloud.site.wait("the daemon", 5, |_| true);
    assert!(status.tasks.iter().any(|task| task.phase == "waiting"), "{:?}", status.tasks);
    cloud.put("In_FuotaSession");
    cloud.assert_complete(32);
    let log = cloud.site.log();
    assert!(log.contains("throttled (ThrottlingException)"), "{log}");
    cloud.end();
}

#[test]
fn the_image_of_a_task_is_needed_until_the_task_is_over() {
    let mut cloud = Cloud::new("needed", 74, "In_FuotaSession", &Endpoint::Configured, None);
    cloud.site.replace("[tasks]", "[log]\nfilter = \"info,fuotad=debug\"\n[tasks]");
    let unneeded = format!("image of task {TASK}: not needed any more");
    cloud.site.start();
    cloud.site.wait_for_frames(5);
    // A change that comes too late is refused, and the task goes on.
    cloud.fake.world().tasks.get_mut(TASK).unwrap()["RedundancyPercent"] = json!(40);
    cloud.site.wait("the change is refused", 20, |status| !status.refused.is_empty());
    assert!(!cloud.site.log().contains(&unneeded), "{}", cloud.site.log());
    cloud.assert_complete(97);
    assert!(cloud.site.log().contains(&unneeded), "{}", cloud.site.log());
    cloud.end();
}

#[test]
fn an_image_with_another_digest_is_never_sent() {
    let other = Digest::of(b"another image");
    let mut cloud = Cloud::new("digest", 24, "In_FuotaSession", &Endpoint::Environment, Some(other));
    cloud.site.start();
    let status = cloud.site.wait("it is refused", 20, |status| !status.refused.is_empty());
    let (task, reason) = &status.refused[0];
    assert_eq!(task, TASK);
    println!("{reason}");
    assert!(reason.contains(&other.to_string()), "the digest that was expected: {reason}");
    assert!(reason.contains(&Digest::of(cloud.site.image()).to_string()), "the one that came: {reason}");
    // Long enough for several frames, had there been any.
    cloud.site.wait_for(Duration::from_secs(1));
    assert_eq!(cloud.site.frames(), 0);
    assert!(cloud.site.verdict().is_content());
    assert!(status.tasks.is_empty(), "{:?}", status.tasks);
    cloud.end();
}
