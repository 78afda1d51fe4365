//! Documents of tasks, of OTA updates and what AWS says around them.

use super::refusal::check;
use super::refusal::checked_short;
use fuotad::cloud::FuotaTaskJson;
use fuotad::cloud::LoRaWanJson;
use fuotad::cloud::MulticastGroup;
use fuotad::cloud::MulticastSession;
use fuotad::cloud::OtaFileChoice;
use fuotad::cloud::OtaStatus;
use fuotad::cloud::OtaUpdate;
use fuotad::cloud::SigningJob;
use fuotad::cloud::Stream;
use fuotad::cloud::WirelessGateway;
use fuotad::cloud::image_ref;
use fuotad::cloud::json_tree;
use fuotad::cloud::status_from_aws;
use fuotad::cloud::status_to_aws;
use fuotad::cloud::task_from_file;
use fuotad::task::ImageRef;
use fuotad::task::MAX_ID_CHARS;
use fuotad::task::MAX_TASK_BYTES;
use fuotad::task::MAX_WARNINGS;
use fuotad::task::TaskId;
use fuotad::task::gps_from_rfc3339;
use fuotad::task::rfc3339_from_gps;
use std::collections::BTreeMap;

/// Gives `data` to every reader of documents, and as text to every reader of their members.
pub fn run(data: &[u8]) {
    task(data);
    answers(data);
    members(&String::from_utf8_lossy(data));
}

fn task(data: &[u8]) {
    let json = checked_short(FuotaTaskJson::from_slice(data));
    let task = checked_short(task_from_file(data, "stem"));
    assert!(json.is_some() || task.is_none(), "an order is made of a document that was read");
    let Some(json) = json else { return };
    again(&json);
    let from_cloud = checked_short(json.into_cloud_task());
    if let Some(from_cloud) = &from_cloud {
        let is_file = matches!(from_cloud.image, ImageRef::File(_));
        assert!(!is_file, "no cloud names a file of this gateway");
        assert_eq!(task.as_ref(), Some(from_cloud), "an order is the same from a file and from a cloud");
    }
    let Some(task) = task else { return };
    task.announced.iter().filter_map(|group| group.session).for_each(|session| {
        let _ = session.timeout_exponent();
    });
    assert!(task.redundancy_percent <= 100, "redundancy is a part of the image");
    assert!(task.fragment_size_bytes != Some(0), "no fragment is empty");
    assert!(task.warnings.len() <= MAX_WARNINGS + 1, "warnings are not endless");
    task.warnings.iter().for_each(|warning| check(warning));
    assert!(task.same_order(&task) && !task.status_only_change(&task), "an order is itself");
}

/// What the service's model has is written as it was read. What it has not is kept as it is, but for the last digits
/// of fractions.
fn again(json: &FuotaTaskJson) {
    let lorawan = json.lorawan.clone().map(|known| LoRaWanJson { unknown: BTreeMap::new(), ..known });
    let unknown = BTreeMap::new();
    let known = FuotaTaskJson { lorawan, cloud: None, ota_update: None, unknown, ..json.clone() };
    let Ok(text) = serde_json::to_vec(&known) else { panic!("what was read as JSON can be written as JSON") };
    if text.len() <= MAX_TASK_BYTES {
        assert_eq!(FuotaTaskJson::from_slice(&text), Ok(known), "a document is read as it was written");
    }
}

fn answers(data: &[u8]) {
    let Some(tree) = checked_short(json_tree(data)) else { return };
    // GetOTAUpdate's answer has the update within it.
    for value in [&tree, &tree["otaUpdateInfo"]] {
        if let Some(update) = checked_short(OtaUpdate::read(value)) {
            checked_short(update.chosen(&OtaFileChoice::default()));
            for file in update.ota_update_files.iter().flatten() {
                let _ = (file.stream(), file.s3_location(), file.signer_job());
            }
        }
        checked_short(MulticastGroup::read(value)).iter().for_each(|group| {
            let _ = group.gateways();
        });
        checked_short(MulticastSession::read(value)).iter().for_each(|session| {
            let _ = session.lorawan.as_ref().map(|lorawan| lorawan.session_timeout);
        });
        checked_short(WirelessGateway::read(value));
        checked_short(Stream::read(value)).iter().for_each(|stream| {
            let _ = stream.location(0);
        });
        checked_short(SigningJob::read(value));
    }
}

fn members(text: &str) {
    if let Some(image) = checked_short(image_ref(text)) {
        assert!(image.is_same_place(&image), "a place is itself");
    }
    if let Some(id) = checked_short(TaskId::new(text)) {
        assert_eq!(id.as_str(), text, "an id stays as it is");
        assert!(text.chars().count() <= MAX_ID_CHARS, "no id is endless");
    }
    assert!(!OtaStatus::from_aws(Some(text)).to_string().contains('\n'), "a status is a word on a line");
    assert_eq!(status_to_aws(&status_from_aws(text)), text, "a status keeps AWS's word");
    if let Some(gps) = gps_from_rfc3339(text) {
        assert_eq!(gps_from_rfc3339(&rfc3339_from_gps(gps)), Some(gps), "a time is written as it was read");
    }
}
