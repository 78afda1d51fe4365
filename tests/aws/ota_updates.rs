//! OTA updates of AWS IoT through the cloud side, against a double of AWS on loopback.

use crate::support::cloud_side::Cloud;
use crate::support::cloud_side::firmware;
use crate::support::fake_aws::FakeAws;
use crate::support::fake_aws::Fault;
use crate::support::fake_aws::Op;
use fuotad::cloud::FuotadJson;
use fuotad::cloud::OtaFileChoice;
use fuotad::cloud::s3_object;
use fuotad::daemon::Fact;
use fuotad::daemon::aws::OtaSettings;
use fuotad::daemon::aws::Settings;
use fuotad::task::ImageRef;
use fuotad::task::TaskStatus;
use serde_json::Value;
use serde_json::json;

const UPDATE: &str = "gw-ota-7";

/// One file in S3, as an update lists it.
fn in_s3(key: &str, version: Option<&str>) -> Value {
    let mut location = json!({"bucket": "fw-bucket", "key": key});
    if let Some(version) = version {
        location["version"] = json!(version);
    }
    json!({"fileName": key, "fileType": 1, "fileVersion": "1.4.2", "fileLocation": {"s3Location": location},
        "codeSigning": {"customCodeSigning": {}}})
}

fn start(name: &str, prepare: impl FnOnce(&FakeAws, &mut Settings)) -> Cloud {
    Cloud::start(&format!("ota-{name}"), |fake, settings| {
        settings.fuota_tasks.clear();
        settings.ota_updates = vec![UPDATE.to_owned()];
        prepare(fake, settings);
    })
}

/// Until the log says so.
fn wait_for_log(cloud: &mut Cloud, said: &str) {
    let asked = cloud.fake.count(Op::GetOta);
    for looks in 1..50 {
        if cloud.log().contains(said) {
            return;
        }
        cloud.fake.wait_for(Op::GetOta, asked + looks);
    }
    panic!("the log does not say {said:?}:\n{}", cloud.log());
}

#[test]
fn an_update_waits_until_it_is_complete_and_is_told_once() {
    let mut cloud = start("statuses", |fake, _| {
        fake.put_update(UPDATE, "CREATE_PENDING", json!([]));
    });
    wait_for_log(&mut cloud, "OTA update gw-ota-7: CREATE_PENDING");
    cloud.fake.put_update(UPDATE, "CREATE_IN_PROGRESS", json!([]));
    wait_for_log(&mut cloud, "OTA update gw-ota-7: CREATE_IN_PROGRESS");
    cloud.assert_no_fact();
    cloud.fake.put_update(UPDATE, "CREATE_COMPLETE", json!([in_s3("app.bin", Some("v1"))]));
    let task = cloud.task();
    assert_eq!((task.id.as_str(), task.name.as_deref()), (UPDATE, Some("app.bin")));
    assert_eq!(task.status, TaskStatus::InSession);
    assert!(matches!(&task.image, ImageRef::S3 { version: Some(version), .. } if version == "v1"));
    assert!(!task.signature.is_present(), "an empty object signs nothing");
    cloud.fake.wait(Op::GetOta, 3);
    cloud.assert_no_fact();
}

#[test]
fn what_is_not_complete_says_why_and_how_to_go_on() {
    for (status, said) in [
        (
            json!("CREATE_FAILED"),
            "CREATE_FAILED (AccessDeniedException: no s3:GetObject on fw); allowed: CREATE_COMPLETE",
        ),
        (json!("PAUSED"), "not taken: otaUpdateStatus: \"PAUSED\": unknown to this version"),
        (Value::Null, "not taken: otaUpdateStatus: no otaUpdateStatus"),
        (json!(7), "not taken: otaUpdateInfo.otaUpdateStatus: invalid type"),
    ] {
        let mut cloud = start("not-complete", |fake, _| {
            fake.put_update(UPDATE, "", json!([in_s3("app.bin", None)]));
            let mut world = fake.world();
            let info = world.updates.get_mut(UPDATE).unwrap();
            info["otaUpdateStatus"] = status;
            info["errorInfo"] = json!({"code": "AccessDeniedException", "message": "no s3:GetObject on fw"});
        });
        wait_for_log(&mut cloud, said);
        cloud.assert_no_fact();
    }
}

#[test]
fn a_deleted_update_does_not_begin_any_more_and_stops_only_where_that_is_wanted() {
    for (stops, how) in [(false, "DELETE_IN_PROGRESS"), (true, "DELETE_FAILED")] {
        let mut cloud = start("deleted", |fake, settings| {
            fake.put_update(UPDATE, "CREATE_COMPLETE", json!([in_s3("app.bin", None)]));
            let ota = OtaSettings { stops_when_deleted: stops, ..OtaSettings::default() };
            settings.ota.insert(UPDATE.to_owned(), ota);
        });
        cloud.task();
        cloud.fake.put_update(UPDATE, how, json!([]));
        for _ in 0..2 {
            match cloud.fact() {
                Fact::Withdrawn(id) if !stops => assert_eq!(id.as_str(), UPDATE),
                Fact::Gone(id) if stops => assert_eq!(id.as_str(), UPDATE),
                other => panic!("{other:?}"),
            }
        }
        assert!(cloud.log().contains(&format!("{how}: it does not begin any more")), "{}", cloud.log());
        cloud.fake.world().updates.clear();
        wait_for_log(&mut cloud, "not found in this region and account");
    }
}

#[test]
fn a_stream_is_followed_to_its_object_and_a_stream_that_is_gone_is_named() {
    let file = json!({"fileName": "app.bin", "fileLocation": {"stream": {"streamId": "s-1", "fileId": 3}}});
    let mut cloud = start("stream", |fake, _| {
        fake.put_update(UPDATE, "CREATE_COMPLETE", json!([file]));
    });
    wait_for_log(&mut cloud, "stream s-1: iot:DescribeStream: not found");
    cloud.fake.put_stream("s-1", 2, "fw-bucket", "two.bin");
    wait_for_log(&mut cloud, "a file of stream \"s-1\", which has no file 3 in S3");
    cloud.assert_no_fact();
    // What was learned around an answer is asked for anew when the answer changes.
    cloud.fake.put_stream("s-1", 3, "fw-bucket", "three.bin");
    cloud.fake.world().updates.get_mut(UPDATE).unwrap()["lastModifiedDate"] = json!(1_732_233_700);
    let (task, around) = cloud.task_and_cloud();
    assert_eq!(task.image.to_string(), "s3://fw-bucket/three.bin");
    assert_eq!(around["Stream"]["streamVersion"], 1);
}

#[test]
fn everything_about_a_signature_is_kept_for_whoever_verifies_it() {
    let mut file = in_s3("app.bin", None);
    file["codeSigning"] = json!({"awsSignerJobId": "job-1", "startSigningJobParameter": {"signingProfileParameter": {}},
        "customCodeSigning": {"signature": {"inlineDocument": "MEUCIHNpZw=="}, "certificateChain": {
        "certificateName": "signer.pem", "inlineDocument": "LS0t"}, "hashAlgorithm": "SHA256",
        "signatureAlgorithm": "ECDSA"}});
    let document =
        json!({"afr_ota": {"files": [{"filepath": "app.bin", "fileid": 0, "sig-sha256-ecdsa": "TUVZ"}]}});
    let mut cloud = start("signature", |fake, _| {
        fake.put_update(UPDATE, "CREATE_COMPLETE", json!([file]));
        fake.world().job_documents.insert(format!("AFR_OTA-{UPDATE}"), document.to_string());
        let job = json!({"jobId": "job-1", "status": "InProgress"});
        fake.world().signing_jobs.insert("job-1".to_owned(), job);
    });
    wait_for_log(&mut cloud, "its signing job is InProgress");
    cloud.assert_no_fact();
    let job = json!({"jobId": "job-1", "status": "Succeeded", "signatureExpiresAt": 1_900_000_000,
        "signedObject": {"s3": {"bucketName": "fw-bucket", "key": "SignedImages/x"}}});
    cloud.fake.world().signing_jobs.insert("job-1".to_owned(), job);
    let (task, around) = cloud.task_and_cloud();
    assert!(task.signature.is_signed_object);
    let enclosed = task.signature.enclosed.unwrap();
    assert_eq!(
        (enclosed.origin.as_str(), enclosed.signature.as_slice()),
        ("customCodeSigning", &b"0E\x02 sig"[..])
    );
    assert_eq!(enclosed.certificates, "LS0t");
    assert_eq!((enclosed.hash.as_deref(), enclosed.algorithm.as_deref()), (Some("SHA256"), Some("ECDSA")));
    assert!(around["JobDocument"].as_str().unwrap().contains("sig-sha256-ecdsa"));
    let job = &around["SigningJob"];
    assert!(job["status"] == "Succeeded" && job["signatureExpiresAt"] == 1_900_000_000);
}

#[test]
fn a_signing_job_that_failed_or_cannot_be_read_stops_its_update() {
    for (job, said) in [
        (
            json!({"status": "Failed", "statusReason": "no key"}),
            "its signing job failed (no key); sign it anew",
        ),
        (json!({"status": 7}), "DescribeSigningJob.status: invalid type"),
        (json!({"status": "Succeeded"}), "the signedObject of its signing job"),
    ] {
        let mut cloud = start("signing-job", |fake, _| {
            let file = json!({"fileName": "a", "codeSigning": {"awsSignerJobId": "job-1"}});
            fake.put_update(UPDATE, "CREATE_COMPLETE", json!([file]));
            fake.world().signing_jobs.insert("job-1".to_owned(), job);
        });
        wait_for_log(&mut cloud, said);
        cloud.assert_no_fact();
    }
}

#[test]
fn the_configuration_chooses_the_file() {
    let mut cloud = start("choice", |fake, settings| {
        let files = json!([in_s3("a.bin", None), in_s3("b.bin", None)]);
        fake.put_update(UPDATE, "CREATE_COMPLETE", files);
        let file = OtaFileChoice { name: Some("b.bin".to_owned()), ..OtaFileChoice::default() };
        let members = FuotadJson { file: Some(file), fragment_size_bytes: Some(48), ..FuotadJson::default() };
        settings.ota.insert(UPDATE.to_owned(), OtaSettings { members, ..OtaSettings::default() });
    });
    let task = cloud.task();
    assert_eq!(
        (task.image.to_string().as_str(), task.fragment_size_bytes),
        ("s3://fw-bucket/b.bin", Some(48))
    );
    let mut cloud = start("no-choice", |fake, _| {
        fake.put_update(UPDATE, "CREATE_COMPLETE", json!([in_s3("a.bin", None), in_s3("b.bin", None)]));
    });
    wait_for_log(&mut cloud, "more than one fits");
    cloud.assert_no_fact();
}

/// Every exception of GetOTAUpdate in its HTTP form, and those that stand in front of any service.
#[test]
fn every_exception_is_told_apart_and_changes_nothing_for_what_runs() {
    let mut cloud = start("exceptions", |fake, _| {
        fake.put_update(UPDATE, "CREATE_COMPLETE", json!([in_s3("app.bin", None)]));
    });
    cloud.task();
    for (fault, said) in [
        (Fault::Error(400, "InvalidRequestException"), "refused as invalid (InvalidRequestException)"),
        (Fault::Error(400, "ThrottlingException"), "throttled (ThrottlingException)"),
        (
            Fault::Error(401, "UnauthorizedException"),
            "denied (UnauthorizedException); allow iot:GetOTAUpdate",
        ),
        (Fault::Error(403, "AccessDeniedException"), "denied (AccessDeniedException)"),
        (Fault::Error(403, "ForbiddenException"), "denied (ForbiddenException)"),
        (Fault::Error(500, "InternalFailureException"), "the service answered 500"),
        (Fault::Error(503, "ServiceUnavailableException"), "the service answered 503"),
        (Fault::Error(403, "ExpiredTokenException"), "expired (ExpiredTokenException); renew them"),
        (Fault::Skewed(7200), "the clock is wrong"),
        (Fault::Html(502), "the service answered 502"),
        (Fault::Empty(503), "the service answered 503"),
        (Fault::Html(403), "denied (403)"),
        (Fault::Reset, "no answer"),
        (Fault::Truncated, "cannot be read"),
        (Fault::Body("{}"), "it has no otaUpdateInfo"),
        (Fault::Body("{\"otaUpdateInfo\": {}}"), "otaUpdateStatus: no otaUpdateStatus"),
        (Fault::Body("{\"otaUpdateInfo\": []}"), "it has no otaUpdateInfo"),
        (Fault::Body("{\"otaUpdateInfo\": {\"otaUpdateId\": \"another\"}}"), "it is about another update"),
        (Fault::Body("[]"), "cannot be read"),
    ] {
        let before = cloud.log().len();
        // More than the SDK's own attempts in one call.
        cloud.fake.fail(Op::GetOta, vec![fault.clone(); 6]);
        cloud.fake.wait(Op::GetOta, 7);
        cloud.fake.wait(Op::GetOta, 1);
        let log = cloud.log().split_off(before);
        assert!(said.split('|').any(|said| log.contains(said)), "{fault:?} is not {said:?} but:\n{log}");
        cloud.assert_no_fact();
    }
    // ResourceNotFoundException: not at the first sight of it.
    cloud.fake.fail(Op::GetOta, [Fault::Error(404, "ResourceNotFoundException")]);
    assert!(matches!(cloud.fact(), Fact::Withdrawn(_)));
}

#[test]
fn trouble_around_an_update_is_patience_or_a_named_refusal() {
    let file = json!({"fileName": "app.bin", "fileLocation": {"stream": {"streamId": "s-1", "fileId": 0}},
        "codeSigning": {"awsSignerJobId": "job-1"}});
    for (op, fault, said) in [
        (Op::GetStream, Fault::Error(400, "ThrottlingException"), "iot:DescribeStream: throttled"),
        (Op::GetStream, Fault::Error(401, "UnauthorizedException"), "stream s-1: iot:DescribeStream: denied"),
        (Op::GetStream, Fault::Body("{}"), "it has no streamInfo"),
        (Op::GetStream, Fault::Body("{\"streamInfo\": {\"files\": 1}}"), "streamInfo.files: invalid type"),
        (
            Op::GetSigningJob,
            Fault::Error(429, "TooManyRequestsException"),
            "signer:DescribeSigningJob: throttled",
        ),
        (
            Op::GetSigningJob,
            Fault::Error(500, "InternalServiceErrorException"),
            "signer:DescribeSigningJob: the service",
        ),
        (
            Op::GetJobDocument,
            Fault::Error(503, "ServiceUnavailableException"),
            "iot:GetJobDocument: the service",
        ),
    ] {
        let mut cloud = start("around", |fake, _| {
            fake.put_update(UPDATE, "CREATE_COMPLETE", json!([file]));
            fake.put_stream("s-1", 0, "fw-bucket", "app.bin");
            fake.fail(op, vec![fault; 6]);
        });
        // It comes as soon as the trouble is over.
        let task = cloud.task();
        assert_eq!(task.image.to_string(), "s3://fw-bucket/app.bin");
        assert!(cloud.log().contains(said), "{said}:\n{}", cloud.log());
    }
}

#[test]
fn the_version_that_was_ordered_is_the_one_that_is_fetched() {
    let (old, new) = (firmware(1000), firmware(2000));
    let mut cloud = start("version", |fake, settings| {
        settings.ota_updates.clear();
        fake.put_object("fw-bucket/app.bin", &old, true);
    });
    let version = cloud.fake.world().objects["fw-bucket/app.bin"].version.clone();
    cloud.fetch_ref(s3_object("fw-bucket", "app.bin", version.as_deref()).unwrap());
    assert!(cloud.image() == Ok(old));
    assert!(
        cloud.fake.requests(Op::Head)[0].target.contains("versionId="),
        "even the first look is at that version"
    );
    cloud.fake.put_object("fw-bucket/app.bin", &new, true);
    cloud.fetch_ref(s3_object("fw-bucket", "app.bin", version.as_deref()).unwrap());
    let reason = cloud.missing();
    assert!(
        reason.contains(&format!("(version {})", version.unwrap())) && reason.contains("not found"),
        "{reason}"
    );
}
