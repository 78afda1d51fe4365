//! A list where an object is wanted, in every document and at every depth.

use serde_json::Value;
use serde_json::json;

use super::accept::task_from_cloud;
use super::facts::MulticastGroup;
use super::facts::MulticastSession;
use super::facts::SigningJob;
use super::facts::Stream;
use super::facts::WirelessGateway;
use super::fuota_task::FuotaTaskJson;
use super::ota::OtaUpdate;

fn session() -> Value {
    json!({"LoRaWAN": {"DlDr": 0, "DlFreq": 869_525_000, "SessionTimeout": 4096}})
}

fn group() -> Value {
    json!({"Id": "g", "LoRaWAN": {"DlClass": "ClassC", "ParticipatingGateways": {"GatewayList": ["gw"]},
        "DefaultSessionParameters": {"DlDr": 0}}})
}

fn stream() -> Value {
    json!({"streamId": "s", "files": [{"fileId": 0, "s3Location": {"bucket": "b", "key": "k"}}]})
}

fn signing_job() -> Value {
    json!({"jobId": "j", "signedObject": {"s3": {"bucketName": "b", "key": "k"}}})
}

fn update() -> Value {
    json!({"otaUpdateId": "u", "additionalParameters": {"note": "n"}, "errorInfo": {"code": "c"},
        "awsJobPresignedUrlConfig": {"expiresInSec": 1}, "awsJobExecutionsRolloutConfig": {"exponentialRate": {
            "rateIncreaseCriteria": {"numberOfNotifiedThings": 1}}},
        "otaUpdateFiles": [{"attributes": {"mcGroup": "meters"},
            "fileLocation": {"stream": {"streamId": "s"}, "s3Location": {"bucket": "b", "key": "k"}},
            "codeSigning": {"startSigningJobParameter": {"signingProfileParameter": {"platform": "p"},
                "destination": {"s3Destination": {"bucket": "b"}}},
            "customCodeSigning": {"signature": {"inlineDocument": "AA=="}, "certificateChain": {
                "certificateName": "c"}}}}]})
}

fn around() -> Value {
    let mut group = group();
    group["Session"] = session();
    json!({"MulticastGroups": [group], "Gateway": {"Id": "gw"}, "Stream": stream(), "SigningJob": signing_job()})
}

/// The JSON pointers of all objects within `value`, itself included.
fn objects(value: &Value, at: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            into.push(at.to_owned());
            members.iter().for_each(|(name, value)| objects(value, &format!("{at}/{name}"), into));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| objects(item, &format!("{at}/{index}"), into));
        }
        _ => {}
    }
}

/// Makes a list of each object in turn: an empty one, which a derived reader takes for an object without members,
/// and one of as many `null` as an object may have members.
fn assert_refused<E: ToString>(document: &Value, count: usize, read: impl Fn(&Value) -> Result<(), E>) {
    assert!(read(document).is_ok(), "{document}");
    let mut all = Vec::new();
    objects(document, "", &mut all);
    assert_eq!(all.len(), count, "{all:?}");
    for path in all {
        for list in [json!([]), json!(vec![Value::Null; 20])] {
            let mut document = document.clone();
            *document.pointer_mut(&path).unwrap() = list;
            let message = read(&document).expect_err(&format!("{path} is a list")).to_string();
            let leaf = path.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
            assert!(message.contains(leaf) && message.contains("a list"), "{path}: {message}");
            assert!(message.contains("an object"), "{path}: {message}");
        }
    }
}

fn whole(document: &Value) -> Result<(), crate::task::TaskError> {
    task_from_cloud(document.to_string().as_bytes()).map(|_| ())
}

#[test]
fn a_list_is_no_object_in_a_fuota_task() {
    let document = json!({"Id": "t", "FirmwareUpdateImage": "s3://b/k", "LoRaWAN": {"RfRegion": "EU868"},
        "Fuotad": {"Sha256": "00".repeat(32), "File": {"Index": 0}}, "Cloud": around()});
    assert_refused(&document, 18, whole);
    assert_refused(&document, 18, |tree| {
        FuotaTaskJson::from_tree(tree).and_then(FuotaTaskJson::into_cloud_task).map(|_| ())
    });
}

#[test]
fn a_list_is_no_object_in_an_ota_update() {
    let document = json!({"otaUpdateInfo": update(), "Cloud": around()});
    assert_refused(&document, 35, whole);
    assert_refused(&update(), 20, |tree| OtaUpdate::read(tree).map(|_| ()));
}

#[test]
fn a_list_is_no_object_in_what_aws_answers_around_an_order() {
    assert_refused(&group(), 4, |tree| MulticastGroup::read(tree).map(|_| ()));
    assert_refused(&session(), 2, |tree| MulticastSession::read(tree).map(|_| ()));
    assert_refused(&json!({"Id": "gw"}), 1, |tree| WirelessGateway::read(tree).map(|_| ()));
    assert_refused(&stream(), 3, |tree| Stream::read(tree).map(|_| ()));
    assert_refused(&signing_job(), 3, |tree| SigningJob::read(tree).map(|_| ()));
}
