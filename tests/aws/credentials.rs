//! Where credentials come from, what they are renewed and refused by, and `fuotad check --online`.

use std::path::PathBuf;
use std::process::Command;

use crate::support::cloud_side::Cloud;
use crate::support::cloud_side::firmware;
use crate::support::credential_provider::CredentialProvider;
use crate::support::credential_provider::Reply;
use crate::support::credential_provider::tls_file;
use crate::support::fake_aws::FakeAws;
use crate::support::fake_aws::Fault;
use crate::support::fake_aws::Op;
use crate::support::scratch::Scratch;
use fuotad::cloud::image_ref;
use fuotad::daemon::aws::IotCredentialSettings;
use fuotad::daemon::aws::Settings;
use fuotad::task::ImageRef;
use serde_json::Value;
use serde_json::json;

const TASK: &str = "6d2f0c1e-0000-4000-8000-000000000001";
const IMAGE: &str = "s3://fw-bucket/app.bin";
const OBJECT: &str = "fw-bucket/app.bin";
const ROLE: &str = "arn:aws:iam::123456789012:role/fuota-read";

fn with_iot(fake: &FakeAws, settings: &mut Settings, iot: IotCredentialSettings) {
    fake.put_task(TASK, "Pending", None, IMAGE);
    settings.credentials_file = None;
    settings.profile = None;
    settings.iot_credentials = Some(iot);
}

/// The access key that the last request of `op` was signed with.
fn key_of_last(cloud: &Cloud, op: Op) -> String {
    let authorization = cloud.fake.requests(op).last().unwrap().headers["authorization"].clone();
    authorization.split(['=', '/']).nth(1).unwrap().to_owned()
}

fn wait_for_log(cloud: &Cloud, said: &str) {
    let begin = std::time::Instant::now();
    while !cloud.log().contains(said) {
        assert!(begin.elapsed().as_secs() < 10, "the log does not say {said:?}:\n{}", cloud.log());
        std::thread::yield_now();
    }
}

#[test]
fn a_device_certificate_gives_credentials_that_are_used_and_kept() {
    let provider = CredentialProvider::start(Reply::Credentials(3600));
    let mut cloud = Cloud::start("iot", |fake, settings| with_iot(fake, settings, provider.settings()));
    cloud.task();
    cloud.fake.wait(Op::GetTask, 5);
    assert_eq!(key_of_last(&cloud, Op::GetTask), "AKIDIOT1");
    let requests = provider.requests();
    assert_eq!(requests.len(), 1, "asked once for an hour");
    assert!(requests[0].starts_with("GET /role-aliases/fuotad-read/credentials HTTP/1.1"), "{}", requests[0]);
    assert!(requests[0].contains("x-amzn-iot-thingname: gw1"), "{}", requests[0]);
    let token = cloud.fake.requests(Op::GetTask)[0].headers["x-amz-security-token"].clone();
    assert_eq!(token, "TOKEN/CANARY+iot==");
}

#[test]
fn credentials_are_renewed_at_half_life_and_kept_while_the_link_is_down() {
    let provider = CredentialProvider::start(Reply::Credentials(6));
    let mut cloud =
        Cloud::start("iot-renewed", |fake, settings| with_iot(fake, settings, provider.settings()));
    cloud.task();
    let begin = std::time::Instant::now();
    while key_of_last(&cloud, Op::GetTask) == "AKIDIOT1" {
        assert!(begin.elapsed().as_millis() < 5900, "not before their end");
        cloud.fake.wait(Op::GetTask, 1);
    }
    provider.answer_with(Reply::Nothing);
    wait_for_log(&cloud, "temporary credentials cannot be renewed; the old ones are used to their end");
    cloud.fake.wait(Op::GetTask, 2);
    assert!(key_of_last(&cloud, Op::GetTask).starts_with("AKIDIOT"));
    cloud.assert_no_fact();
}

#[test]
fn what_the_credential_provider_refuses_is_told_apart_and_cured_without_a_restart() {
    let provider = CredentialProvider::start(Reply::Nothing);
    for (reply, said) in [
        (
            Reply::Other(403, "{\"message\":\"CANARY\"}"),
            "allow iot:AssumeRoleWithCertificate in the certificate's policy",
        ),
        (Reply::Other(404, "{}"), "knows no role alias \"fuotad-read\""),
        (Reply::Other(500, "<html>CANARY</html>"), "the credential provider answered 500"),
        (Reply::Other(200, "{}"), "is not its documented JSON"),
        (Reply::Other(200, "{\"credentials\":{\"accessKeyId\":\"CANARY\"}}"), "is not its documented JSON"),
        (Reply::Nothing, "no answer"),
    ] {
        provider.answer_with(reply);
        let mut cloud =
            Cloud::start("iot-refused", |fake, settings| with_iot(fake, settings, provider.settings()));
        wait_for_log(&cloud, said);
        assert_eq!(cloud.fake.count(Op::GetTask), 0);
        provider.answer_with(Reply::Credentials(3600));
        cloud.task();
    }
}

#[test]
fn a_file_that_is_missing_or_no_pem_is_named_and_a_strange_server_is_not_believed() {
    let provider = CredentialProvider::start(Reply::Credentials(3600));
    let good = provider.settings();
    let missing = PathBuf::from("/nonexistent/device.pem");
    for (iot, said) in [
        (
            IotCredentialSettings { certificate_file: missing.clone(), ..good.clone() },
            "/nonexistent/device.pem: ",
        ),
        (IotCredentialSettings { key_file: missing, ..good.clone() }, "see aws.iot-credentials"),
        (IotCredentialSettings { key_file: tls_file("device.pem"), ..good.clone() }, "device.pem: "),
        (IotCredentialSettings { key_file: tls_file("server.key"), ..good.clone() }, "device.pem: "),
        (IotCredentialSettings { ca_file: Some(tls_file("device.pem")), ..good.clone() }, "no answer: "),
        (IotCredentialSettings { ca_file: None, ..good.clone() }, "no answer: "),
    ] {
        let cloud = Cloud::start("iot-files", |fake, settings| with_iot(fake, settings, iot));
        wait_for_log(&cloud, said);
        assert_eq!(cloud.fake.count(Op::GetTask), 0);
        assert!(!cloud.log().contains("BEGIN"), "{}", cloud.log());
    }
    assert!(provider.requests().is_empty(), "nothing was asked of it");
}

#[test]
fn credentials_that_a_service_does_not_accept_are_fetched_anew() {
    let provider = CredentialProvider::start(Reply::Credentials(3600));
    let mut cloud =
        Cloud::start("iot-expired", |fake, settings| with_iot(fake, settings, provider.settings()));
    cloud.task();
    cloud.fake.fail(Op::GetTask, vec![Fault::Error(403, "ExpiredTokenException"); 3]);
    cloud.fake.wait(Op::GetTask, 6);
    assert!(provider.requests().len() > 1);
    assert_ne!(key_of_last(&cloud, Op::GetTask), "AKIDIOT1");
}

#[test]
fn a_profile_may_say_which_program_has_the_credentials() {
    let scratch = Scratch::new("credential-process");
    let script = scratch.path("credential-process.sh");
    let answer = json!({"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "SECRET/CANARY+process",
        "SessionToken": "TOKEN/CANARY+process", "Expiration": "2099-01-01T00:00:00Z"});
    std::fs::write(&script, format!("echo '{answer}'\n")).unwrap();
    let mut cloud = Cloud::start("process", |fake, settings| {
        fake.put_task(TASK, "Pending", None, IMAGE);
        let profile = format!("[gateway]\ncredential_process = /bin/sh {}\n", script.display());
        std::fs::write(settings.credentials_file.as_ref().unwrap(), profile).unwrap();
    });
    cloud.task();
    assert_eq!(key_of_last(&cloud, Op::GetTask), "AKIDPROCESS");
}

fn image_with_role(role: &str) -> ImageRef {
    match image_ref(IMAGE).unwrap() {
        ImageRef::S3 { bucket, key, version, .. } => {
            ImageRef::S3 { bucket, key, version, role: Some(role.to_owned()) }
        }
        other => other,
    }
}

#[test]
fn a_role_on_the_list_is_assumed_for_its_one_object_only() {
    let bytes = firmware(1000);
    let mut cloud = Cloud::start("role", |fake, settings| {
        settings.fuota_tasks.clear();
        settings.assume_roles = vec![ROLE.to_owned()];
        settings.gateway_eui = Some("0016c001f1500812".to_owned());
        fake.put_object(OBJECT, &bytes, true);
        let mut world = fake.world();
        world.roles = vec![ROLE.to_owned(), format!("{ROLE}-other")];
        world.keys_for.insert(OBJECT.to_owned(), "AKIDASSUMED".to_owned());
    });
    cloud.fetch_ref(image_with_role(ROLE));
    assert!(cloud.image() == Ok(bytes));
    let form = cloud.fake.world().forms[0].clone();
    for said in [
        "DurationSeconds=3600",
        "RoleSessionName=0016c001f1500812",
        "arn%3Aaws%3As3%3A%3A%3Afw-bucket%2Fapp.bin%22",
        "arn%3Aaws%3As3%3A%3A%3Afw-bucket%2Fapp.bin.sig%22",
    ] {
        assert!(form.contains(said), "{said}: {form}");
    }
    // A role that the operator did not list is not assumed, whatever the task says.
    cloud.fetch_ref(image_with_role(&format!("{ROLE}-other")));
    let reason = cloud.missing();
    assert!(reason.contains("denied"), "{reason}");
    assert_eq!(cloud.fake.world().forms.len(), 1);
}

#[test]
fn a_role_that_cannot_be_assumed_is_named() {
    let cloud = Cloud::start("role-refused", |fake, settings| {
        settings.fuota_tasks.clear();
        settings.assume_roles = vec![ROLE.to_owned()];
        fake.put_object(OBJECT, &firmware(10), true);
    });
    cloud.fetch_ref(image_with_role(ROLE));
    wait_for_log(&cloud, "sts:AssumeRole of FirmwareUpdateRole: denied (AccessDenied)");
    assert_eq!(cloud.fake.count(Op::Head), 0);
}

/// Runs `fuotad check --online --json` with this [aws] and what follows: exit code and findings by what.
fn check(name: &str, fake: &FakeAws, aws: &str) -> (i32, Vec<(String, String, String)>) {
    let scratch = Scratch::new(name);
    let path = scratch.path("online.toml");
    let key = path.with_extension("key");
    std::fs::write(&key, "00112233445566778899aabbccddeeff").unwrap();
    let text = format!(
        "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nsession = \"windows\"\nmc-key-file = {key:?}\n\
         aws-multicast-group = \"g-1\"\n[aws]\nregion = \"eu-west-1\"\nendpoint-url = \"{}\"\n{aws}",
        fake.url()
    );
    std::fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fuotad"))
        .args(["check", "--online", "--json"])
        .arg(&path)
        .env("AWS_ACCESS_KEY_ID", "AKIDCANARYEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "SECRET/CANARY+key")
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("CANARY") && !errors.contains("CANARY"), "{text}{errors}");
    let findings = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = |name: &str| line[name].as_str().unwrap().to_owned();
        (of("what"), of("verdict"), of("text"))
    });
    let findings = findings.collect();
    (output.status.code().unwrap(), findings)
}

fn assert_found(findings: &[(String, String, String)], what: &str, verdict: &str, said: &str) {
    let found = findings.iter().any(|(w, v, t)| w == what && v == verdict && t.contains(said));
    assert!(found, "{what} {verdict} {said}: {findings:#?}");
}

#[test]
fn check_online_says_that_all_is_well_or_what_is_not() {
    let fake = FakeAws::start();
    fake.put_task("t", "Pending", None, IMAGE);
    fake.put_group("g-1", 0);
    fake.world().task_groups.insert("t".to_owned(), vec!["g-1".to_owned()]);
    fake.put_object(OBJECT, &firmware(1000), true);
    let file =
        json!({"fileName": "a", "fileLocation": {"s3Location": {"bucket": "fw-bucket", "key": "gone.bin"}}});
    fake.put_update("u", "CREATE_COMPLETE", json!([file]));
    let digest = "00".repeat(32);
    let aws = format!("fuota-tasks = [\"t\"]\n[[aws.task]]\nid = \"t\"\nsha256 = \"{digest}\"\n");
    let (code, found) = check("well", &fake, &aws);
    assert_eq!(code, 0, "{found:#?}");
    assert_found(&found, "credentials", "good", "arn:aws:sts::123456789012:assumed-role/gateway/gw1");
    assert_found(&found, "clock", "good", "s from AWS's");
    assert_found(&found, "task t", "good", "Pending");
    assert_found(&found, "task t: object", "good", "s3://fw-bucket/app.bin: 1000 bytes");
    assert_found(&found, "task t: anchor", "good", &digest);
    assert_found(&found, "task t: campaign", "unsure", "fuota-read\" is not in assume-roles");
    assert_found(&found, "task t: campaign", "unsure", "nothing would be sent: it waits for a start");

    let aws = "fuota-tasks = [\"t\", \"none\"]\nota-updates = [\"u\"]\nall = true\nmax-image-bytes = 999\n";
    let (code, found) = check("ill", &fake, aws);
    assert_eq!(code, 69, "{found:#?}");
    assert_found(&found, "tasks", "good", "1 FUOTA tasks");
    assert_found(&found, "task none", "bad", "not found: check the id");
    assert_found(
        &found,
        "task t: object",
        "bad",
        "1000 bytes, which is not 1 to 999; see aws.max-image-bytes",
    );
    assert_found(&found, "task t: anchor", "bad", "nothing vouches for the image: give its sha256");
    assert_found(&found, "update u", "good", "CREATE_COMPLETE");
    assert_found(
        &found,
        "update u: object",
        "bad",
        "s3://fw-bucket/gone.bin: s3:GetObject (HEAD): not found",
    );
    assert!(fake.world().complaints.is_empty(), "{:#?}", fake.world().complaints);
}

#[test]
fn check_online_judges_a_task_for_two_groups_and_one_that_comes_too_late_as_the_service_does() {
    let fake = FakeAws::start();
    fake.put_task("t", "FuotaSession_Waiting", Some("2099-11-22T08:30:00Z"), IMAGE);
    fake.put_task("late", "FuotaSession_Waiting", Some("2024-11-22T08:30:00Z"), IMAGE);
    fake.put_group("g-1", 0);
    fake.put_group("g-2", 0);
    let both = vec!["g-1".to_owned(), "g-2".to_owned()];
    fake.world().task_groups.insert("t".to_owned(), both);
    fake.world().task_groups.insert("late".to_owned(), vec!["g-1".to_owned()]);
    fake.put_object(OBJECT, &firmware(1000), true);
    let digest = "00".repeat(32);
    let task = |id: &str| format!("[[aws.task]]\nid = \"{id}\"\nsha256 = \"{digest}\"\n");
    let aws = format!(
        "fuota-tasks = [\"t\", \"late\"]\n{}{}[[group]]\nname = \"valves\"\nmc-addr = \"01c0fffe\"\n\
         mc-key-file = \"/nowhere/key\"\naws-multicast-group = \"g-2\"\nsession = \"windows\"\n",
        task("t"),
        task("late")
    );
    let (code, found) = check("judged", &fake, &aws);
    assert_eq!(code, 0, "{found:#?}");
    for group in ["meters", "valves"] {
        let said = "its first session opens at 2099-11-22T08:30:00Z";
        assert_found(&found, &format!("task t: campaign {group}"), "good", said);
    }
    assert_found(
        &found,
        "task late: campaign",
        "unsure",
        "the start, 2024-11-22T08:30:00Z, is past (it is 2",
    );
    let said = "nothing would be sent: it waits for a session that its devices were told";
    assert_found(&found, "task late: campaign", "unsure", said);
}

#[test]
fn check_online_tells_a_wrong_clock_and_wrong_credentials_apart() {
    let fake = FakeAws::start();
    fake.fail(Op::Sts, vec![Fault::Skewed(7200); 9]);
    let (code, found) = check("clock", &fake, "");
    assert_eq!(code, 69, "{found:#?}");
    assert_found(&found, "clock", "bad", "s behind AWS: set it (NTP or GPS)");
    let fake = FakeAws::start();
    fake.fail(Op::Sts, vec![Fault::Error(403, "InvalidClientTokenId"); 9]);
    let (code, found) = check("credentials", &fake, "fuota-tasks = [\"t\"]\n");
    assert_eq!(code, 69, "{found:#?}");
    assert_found(&found, "credentials", "bad", "not accepted (InvalidClientTokenId); check key, secret");
    assert_eq!(fake.count(Op::GetTask), 0, "nothing more is asked with them");
}
