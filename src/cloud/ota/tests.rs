//! OTA updates: what is read, chosen, refused and kept.

use serde_json::Value;
use serde_json::json;

use crate::cloud::fuota_task::FuotaTaskJson;
use crate::image::Digest;
use crate::task::ImageRef;
use crate::task::Interval;
use crate::task::Task;
use crate::task::TaskStatus;

/// An answer as AWS's guides print it: empty objects for what was not used, a number out of its own range.
fn full() -> Value {
    json!({"otaUpdateInfo": {
        "otaUpdateId": "gw-ota-7", "otaUpdateArn": "arn:aws:iot:eu-west-1:123456789012:otaupdate/gw-ota-7",
        "creationDate": 1_732_233_600.123, "lastModifiedDate": 1_732_233_605.5, "description": "d",
        "targets": ["arn:aws:iot:eu-west-1:123456789012:thing/gw1"], "protocols": ["HTTP", "MQTT"],
        "awsJobExecutionsRolloutConfig": {"maximumPerMinute": 0, "exponentialRate": {"baseRatePerMinute": 1,
            "incrementFactor": 1.5, "rateIncreaseCriteria": {"numberOfNotifiedThings": 1,
            "numberOfSucceededThings": 2}}},
        "awsJobPresignedUrlConfig": {"expiresInSec": 1800}, "targetSelection": "SNAPSHOT",
        "otaUpdateFiles": [{
            "fileName": "app.bin", "fileType": 1, "fileVersion": "1.4.2",
            "fileLocation": {"stream": {}, "s3Location": {"bucket": "fw-bucket", "key": "meters/app.bin", "version": "v7"}},
            "codeSigning": {"awsSignerJobId": "", "startSigningJobParameter": {"signingProfileParameter": {
                "certificateArn": null, "platform": null, "certificatePathOnDevice": null},
                "signingProfileName": null, "destination": {"s3Destination": {"bucket": null, "prefix": null}}},
                "customCodeSigning": {"signature": {"inlineDocument": "MEUCIHNpZw=="},
                "certificateChain": {"certificateName": "signer.pem", "inlineDocument": "LS0tLS1CRUdJTg=="},
                "hashAlgorithm": "SHA256", "signatureAlgorithm": "ECDSA"}},
            "attributes": {"mcGroup": "meters", "fragSize": "48", "redundancy": "10", "intervalMs": "1500",
                "descriptor": "AQQCAA==", "sha256": "00".repeat(32)}}],
        "otaUpdateStatus": "CREATE_COMPLETE", "awsIotJobId": "AFR_OTA-gw-ota-7",
        "awsIotJobArn": "arn:aws:iot:eu-west-1:123456789012:job/AFR_OTA-gw-ota-7",
        "errorInfo": {"code": null, "message": null}, "additionalParameters": {"redundancy": "99", "note": "n"}}})
}

/// The least that is an order.
fn least() -> Value {
    json!({"otaUpdateInfo": {"otaUpdateId": "u", "otaUpdateStatus": "CREATE_COMPLETE", "otaUpdateFiles": [
        {"fileName": "a.bin", "fileLocation": {"s3Location": {"bucket": "b", "key": "k"}}}]}})
}

fn read(document: &Value) -> Result<Task, String> {
    FuotaTaskJson::from_slice(document.to_string().as_bytes())
        .and_then(FuotaTaskJson::into_cloud_task)
        .map_err(|error| error.to_string())
}

fn s3(bucket: &str, key: &str, version: Option<&str>) -> ImageRef {
    let version = version.map(str::to_owned);
    ImageRef::S3 { bucket: bucket.to_owned(), key: key.to_owned(), version, role: None }
}

/// Every path of a member within `value`, as a JSON pointer.
fn paths(value: &Value, at: &str, into: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (name, child) in children {
        let path = format!("{at}/{name}");
        paths(child, &path, into);
        into.push(path);
    }
}

#[test]
fn an_update_says_what_it_says_and_its_attributes_are_hints() {
    let task = read(&full()).unwrap();
    assert_eq!(task.warnings, [""; 0]);
    assert_eq!((task.id.as_str(), task.name.as_deref()), ("gw-ota-7", Some("app.bin")));
    assert_eq!(task.status, TaskStatus::InSession, "it is called");
    assert_eq!(task.image, s3("fw-bucket", "meters/app.bin", Some("v7")));
    assert_eq!((task.redundancy_percent, task.fragment_size_bytes), (10, Some(48)));
    assert_eq!(task.fragment_interval, Some(Interval::rounded(1500)));
    assert_eq!(
        (task.groups.as_slice(), task.frag_descriptor()),
        (["meters".to_owned()].as_slice(), Some([1, 4, 2, 0]))
    );
    assert_eq!(task.created_at.unwrap().to_unix_us(), 1_732_233_600_123_000);
    assert_eq!((task.sha256, task.hinted_sha256), (None, Some("00".repeat(32).parse::<Digest>().unwrap())));
    let signature = &task.signature;
    assert!(signature.is_present() && !signature.is_signed_object);
    let enclosed = signature.enclosed.clone().unwrap();
    assert_eq!(
        (enclosed.origin.as_str(), enclosed.signature.as_slice()),
        ("customCodeSigning", &b"0E\x02 sig"[..])
    );
    assert_eq!((enclosed.certificates.as_str(), enclosed.size), ("LS0tLS1CRUdJTg==", None));
    let algorithms = (enclosed.hash.as_deref(), enclosed.algorithm.as_deref());
    assert_eq!(algorithms, (Some("SHA256"), Some("ECDSA")));
}

#[test]
fn the_configuration_comes_before_the_hints() {
    let mut document = full();
    document["Fuotad"] = json!({"MulticastGroups": ["taps"], "FragmentSizeBytes": 50, "RedundancyPercent": 20,
        "FragmentIntervalMS": 300, "Interval": "exact", "Descriptor": "AA==", "Start": "at-once"});
    let task = read(&document).unwrap();
    assert_eq!(
        (task.groups.as_slice(), task.fragment_size_bytes),
        (["taps".to_owned()].as_slice(), Some(50))
    );
    assert_eq!((task.redundancy_percent, task.fragment_interval), (20, Some(Interval::exact(300))));
    assert_eq!(task.descriptor, Some(vec![0]));
    // A hint that is nonsense hurts nobody who does not need it … but is still told of.
    document["otaUpdateInfo"]["otaUpdateFiles"][0]["attributes"]["fragSize"] = json!("large");
    let message = read(&document).unwrap_err();
    assert!(message.contains("attributes.fragSize is \"large\""), "{message}");
}

#[test]
fn a_hint_out_of_range_is_named() {
    for (name, value, said) in [
        ("fragSize", "0", "attributes.fragSize is 0; allowed: a whole number from 1 to 255"),
        ("redundancy", "101", "attributes.redundancy is 101"),
        ("intervalMs", "-1", "attributes.intervalMs is -1"),
        ("descriptor", "%", "Descriptor is \"%\""),
        ("sha256", "beef", "attributes.sha256 is \"beef\""),
        ("mcGroup", "", "Fuotad.MulticastGroups[0] is \"\""),
    ] {
        let mut document = least();
        document["otaUpdateInfo"]["additionalParameters"] = json!({ name: value });
        let message = read(&document).unwrap_err();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn of_several_files_the_configuration_means_one() {
    let mut document = least();
    let file = |name: &str, file_type: i64| json!({"fileName": name, "fileType": file_type, "fileLocation": {"s3Location": {"bucket": "b", "key": name}}});
    document["otaUpdateInfo"]["otaUpdateFiles"] = json!([file("a", 1), file("b", 2), file("b", 3)]);
    let message = read(&document).unwrap_err();
    assert!(message.contains("a list of 3 (0: \"a\" of type 1, 1: \"b\" of type 2"), "{message}");
    assert!(
        message.contains("file-name, file-type, file-index") && message.contains("more than one"),
        "{message}"
    );
    for (choice, key) in [
        (json!({"Name": "a"}), "a"),
        (json!({"Type": 3}), "b"),
        (json!({"Index": 1}), "b"),
        (json!({"Name": "b", "Type": 2}), "b"),
    ] {
        document["Fuotad"] = json!({"File": choice});
        assert_eq!(read(&document).unwrap().image, s3("b", key, None), "{choice}");
    }
    for choice in
        [json!({"Name": "c"}), json!({"Type": 4}), json!({"Index": 3}), json!({"Name": "a", "Type": 2})]
    {
        document["Fuotad"] = json!({"File": choice});
        assert!(read(&document).unwrap_err().contains("none fits"), "{choice}");
    }
    document["Fuotad"] = json!({"File": {"Name": "b"}});
    assert!(read(&document).unwrap_err().contains("more than one fits"));
    document["Fuotad"] = json!({"File": {"Indx": 1}});
    assert!(read(&document).unwrap_err().contains("did you mean Fuotad.File.Index?"));
    document["Fuotad"] = json!({"File": {"Type": 256}});
    assert!(read(&document).unwrap_err().contains("Fuotad.File.Type is 256"));
}

#[test]
fn a_stream_leads_to_the_object_with_the_same_file_id() {
    let mut document = least();
    document["otaUpdateInfo"]["otaUpdateFiles"][0]["fileLocation"] = json!({"stream": {"streamId": "s", "fileId": 2},
        "s3Location": {}});
    let message = read(&document).unwrap_err();
    assert!(
        message.contains("fileLocation is missing; it is stream \"s\": what DescribeStream says"),
        "{message}"
    );
    document["Cloud"] = json!({"Stream": {"streamId": "s", "streamVersion": 1, "files": [
        {"fileId": 1, "s3Location": {"bucket": "b", "key": "one"}},
        {"fileId": 2, "s3Location": {"bucket": "b", "key": "two", "version": ""}}]}});
    assert_eq!(read(&document).unwrap().image, s3("b", "two", None));
    document["Cloud"]["Stream"]["files"][1]["fileId"] = json!(3);
    assert!(read(&document).unwrap_err().contains("which has no file 2 in S3"));
}

#[test]
fn a_signed_object_is_where_the_signer_put_it() {
    let mut document = least();
    let file = &mut document["otaUpdateInfo"]["otaUpdateFiles"][0];
    *file = json!({"fileName": "a", "codeSigning": {"awsSignerJobId": "job-1"}});
    assert!(read(&document).unwrap_err().contains("the signedObject of its signing job"));
    document["Cloud"] = json!({"SigningJob": {"status": "Succeeded", "signedObject": {"s3": {"bucketName": "b",
        "key": "SignedImages/x"}}}});
    let task = read(&document).unwrap();
    assert_eq!(task.image, s3("b", "SignedImages/x", None));
    assert!(task.signature.is_signed_object && task.signature.enclosed.is_none());
}

#[test]
fn the_job_document_brings_the_signature_of_the_file_that_was_chosen() {
    let job = json!({"afr_ota": {"protocols": ["MQTT"], "streamname": "s", "files": [
        {"filepath": "a.bin", "fileid": 0, "filesize": 10, "sig-sha256-ecdsa": "AAAA", "certfile": "c"},
        {"filepath": "b.bin", "fileid": 1, "sig-sha1-rsa": "BBBB", "sig-odd": 7}]}});
    let mut document = least();
    document["Cloud"] = json!({"JobDocument": job.to_string()});
    let enclosed = |document: &Value| read(document).unwrap().signature.enclosed;
    let first = enclosed(&document).unwrap();
    assert_eq!((first.origin.as_str(), first.signature.as_slice()), ("the job document", &b"AAAA"[..]));
    assert_eq!((first.hash.as_deref(), first.algorithm.as_deref()), (Some("sha256"), Some("ecdsa")));
    assert_eq!(first.size, Some(10));
    let b = json!({"fileName": "b.bin", "fileLocation": {"s3Location": {"bucket": "b", "key": "b"}}});
    document["otaUpdateInfo"]["otaUpdateFiles"].as_array_mut().unwrap().push(b);
    document["Fuotad"] = json!({"File": {"Index": 1}});
    assert_eq!(enclosed(&document).unwrap().signature, b"BBBB");
    let unsigned = r#"{"afr_ota": {"files": [{"filepath": "b.bin", "fileid": 1, "sig-odd": 7}]}}"#;
    for odd in [unsigned, "", "no json", "[]", "{\"afr_ota\": 1}", "{\"afr_ota\": {\"files\": [1, {}]}}"] {
        document["Cloud"] = json!({ "JobDocument": odd });
        assert!(enclosed(&document).is_none(), "{odd}");
    }
}

#[test]
fn a_job_document_that_says_two_things_of_one_file_is_refused() {
    let entry = r#"{"filepath": "a.bin", "fileid": 0, "sig-sha256-ecdsa": "AAAA"}"#;
    let doubled = entry.replace("AAAA\"", "AAAA\", \"sig-sha256-ecdsa\": \"BBBB\"");
    for (files, said) in [
        (format!("{entry}, {entry}"), "Cloud.JobDocument: the job document has several files"),
        (doubled, "Cloud.JobDocument: line 1 column "),
    ] {
        let mut document = least();
        document["Cloud"] = json!({"JobDocument": format!(r#"{{"afr_ota": {{"files": [{files}]}}}}"#)});
        let message = read(&document).unwrap_err();
        assert!(message.starts_with(said), "{message}");
    }
}

#[test]
fn a_status_that_is_not_complete_is_not_eligible() {
    let with = |status: &Value| {
        let mut document = least();
        document["otaUpdateInfo"]["otaUpdateStatus"] = status.clone();
        read(&document)
    };
    for status in [json!("PAUSED"), Value::Null] {
        assert!(matches!(with(&status).unwrap().status, TaskStatus::Unknown(_)), "{status}");
    }
    for status in [json!("DELETE_IN_PROGRESS"), json!("DELETE_FAILED")] {
        assert_eq!(with(&status).unwrap().status, TaskStatus::Deleting, "{status}");
    }
    for status in [json!("CREATE_PENDING"), json!("CREATE_IN_PROGRESS")] {
        let message = with(&status).unwrap_err();
        assert!(message.contains(status.as_str().unwrap()) && message.contains("save get-ota-update again"));
    }
}

#[test]
fn an_update_that_aws_could_not_make_says_why() {
    let mut document = least();
    document["otaUpdateInfo"]["otaUpdateStatus"] = json!("CREATE_FAILED");
    document["otaUpdateInfo"]["otaUpdateFiles"] = json!([]);
    assert!(read(&document).unwrap_err().contains("CREATE_FAILED (without an errorInfo)"));
    document["otaUpdateInfo"]["errorInfo"] = json!({"code": "AccessDenied", "message": "no\ns3:GetObject"});
    assert_eq!(
        read(&document).unwrap_err(),
        "otaUpdateInfo.otaUpdateStatus is CREATE_FAILED (AccessDenied: nos3:GetObject); \
         allowed: CREATE_COMPLETE, so create the update anew under another id"
    );
}

/// Each member in turn missing, null, of every wrong type, out of its range.
#[test]
fn whatever_stands_in_a_member_the_order_is_refused_by_name_or_is_an_order() {
    let mut all = Vec::new();
    paths(&full()["otaUpdateInfo"], "/otaUpdateInfo", &mut all);
    assert!(all.len() > 50, "{}", all.len());
    let odd = [
        json!(null),
        json!(true),
        json!("x"),
        json!(""),
        json!(-1),
        json!(1e300),
        json!(9_999_999_999_i64),
        json!([]),
        json!([1]),
        json!({}),
        json!({"x": {"y": 1}}),
    ];
    for path in &all {
        for value in &odd {
            let mut document = full();
            *document.pointer_mut(path).unwrap() = value.clone();
            match read(&document) {
                Ok(task) => assert!(!task.id.as_str().is_empty()),
                Err(message) => {
                    let leaf = path.rsplit('/').next().unwrap();
                    let is_named = message.contains(leaf)
                        || message.contains("otaUpdate")
                        || message.contains("Fuotad")
                        || message.contains("Id ")
                        || message.contains("s3Location")
                        || message.contains("Descriptor");
                    assert!(
                        is_named && message.len() < 600 && !message.contains('\n'),
                        "{path} = {value}: {message}"
                    );
                }
            }
        }
        let mut document = full();
        let (parent, name) = path.rsplit_once('/').unwrap();
        if let Some(object) = document.pointer_mut(parent).unwrap().as_object_mut() {
            object.remove(name);
            if let Err(message) = read(&document) {
                assert!(
                    message.contains("missing")
                        || message.contains("Files")
                        || message.contains("s3Location"),
                    "{path}: {message}"
                );
            }
        }
    }
}

#[test]
fn a_wrong_type_is_named_by_its_path() {
    for (path, value, said) in [
        ("/otaUpdateInfo", json!(7), "otaUpdateInfo: invalid type"),
        ("/otaUpdateInfo/targets", json!("t"), "otaUpdateInfo.targets: invalid type"),
        (
            "/otaUpdateInfo/otaUpdateFiles/0/fileType",
            json!("1"),
            "otaUpdateInfo.otaUpdateFiles[0].fileType: ",
        ),
        ("/otaUpdateInfo/creationDate", json!("soon"), "otaUpdateInfo.creationDate: \"soon\" is no time"),
        (
            "/otaUpdateInfo/awsJobExecutionsRolloutConfig/exponentialRate/incrementFactor",
            json!("x"),
            "exponentialRate.incrementFactor: ",
        ),
        (
            "/otaUpdateInfo/otaUpdateFiles/0/codeSigning/customCodeSigning/signature/inlineDocument",
            json!([1]),
            "customCodeSigning.signature.inlineDocument: ",
        ),
    ] {
        let mut document = full();
        *document.pointer_mut(path).unwrap() = value;
        let message = read(&document).unwrap_err();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn what_aws_invents_one_day_is_kept_and_told_of() {
    let mut document = full();
    document["otaUpdateInfo"]["future"] = json!({"deep": [1, null]});
    document["otaUpdateInfo"]["otaUpdateFiles"][0]["odd\nname"] = json!(1);
    document["Other"] = json!(1);
    let task = read(&document).unwrap();
    assert_eq!(task.warnings.len(), 3, "{:?}", task.warnings);
    assert!(task.warnings.iter().all(|warning| !warning.contains('\n')));
    let kept = FuotaTaskJson::from_slice(document.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(kept).unwrap(), document, "nothing added, nothing lost");
}

#[test]
fn a_bucket_that_is_no_bucket_becomes_no_host_name() {
    for (bucket, key) in [("", "k"), ("b", ""), ("b/x", "k"), ("u:p@h", "k"), ("b c", "k")] {
        let mut document = least();
        document["otaUpdateInfo"]["otaUpdateFiles"][0]["fileLocation"]["s3Location"] =
            json!({"bucket": bucket, "key": key});
        let message = read(&document).unwrap_err();
        assert!(
            message.contains("s3Location") || message.contains("fileLocation"),
            "{bucket} {key}: {message}"
        );
    }
}
