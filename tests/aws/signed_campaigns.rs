//! The real process with a task from the cloud whose image is signed: the double of AWS on one side, a simulated
//! gateway with devices on the other, openssl as the signer. Real sockets on the loopback, real files, real time.

use crate::support::fake_aws::FakeAws;
use crate::support::fake_aws::Fault;
use crate::support::fake_aws::Op;
use crate::support::openssl::CODE_SIGNING;
use crate::support::openssl::Pki;
use crate::support::site::Site;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::image::Digest;
use serde_json::json;
use std::time::Duration;

const TASK: &str = "6d2f0c1e-0000-4000-8000-000000000001";
const UPDATE: &str = "gw-ota-7";
const IMAGE: &str = "s3://fw-bucket/lamps/app.bin";
const OBJECT: &str = "fw-bucket/lamps/app.bin";
const SIGNATURE: &str = "fw-bucket/lamps/app.bin.sig";
/// More than any test asks for: no call gets through any more.
const FOR_EVER: usize = 10_000;

/// A site with a cloud task; `ca.pem` is trusted, `signer` is under it.
struct Signed {
    fake: FakeAws,
    site: Site,
    pki: Pki,
}

/// Where an OTA update has its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In `codeSigning`, the image in S3.
    Inline,
    /// The same, the image through a stream.
    Stream,
    /// In the job document.
    JobDocument,
}

impl Signed {
    /// Nothing is in the bucket yet. `anchor` is the certificate that the configuration names.
    fn new(name: &str, nb_frag: usize, anchor: &str) -> Signed {
        let (fake, pki) = (FakeAws::start(), Pki::new(&format!("signed-{name}")));
        pki.authority("ca", "P-256");
        pki.signer("signer", "P-256", "ca", CODE_SIGNING, 30);
        pki.signer("other", "P-256", "other", CODE_SIGNING, 30);
        let mut site = Site::new(&format!("signed-{name}"), nb_frag);
        let (url, nothing) = (fake.url(), site.path("nothing").display().to_string());
        let anchor = pki.dir().join(format!("{anchor}.pem"));
        let aws = format!(
            "[group.signing]\nanchors = [\"{}\"]\nvalidity = \"creation\"\n\
             [aws]\nregion = \"eu-west-1\"\nfuota-tasks = [\"{TASK}\"]\nendpoint-url = \"{url}\"\npoll-s = 1\n",
            anchor.display()
        );
        let environment = [
            ("AWS_ACCESS_KEY_ID", "AKIDCANARYEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "SECRET/CANARY+key"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_CONFIG_FILE", nothing.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", nothing.as_str()),
            ("NO_PROXY", "127.0.0.1"),
        ];
        site.extend(&aws, &environment);
        let task = json!({
            "Arn": format!("arn:aws:iotwireless:eu-west-1:123456789012:FuotaTask/{TASK}"), "Id": TASK,
            "Status": "In_FuotaSession", "Name": "lamp-fw", "LoRaWAN": {"RfRegion": "US915"},
            "FirmwareUpdateImage": IMAGE, "FirmwareUpdateRole": "arn:aws:iam::123456789012:role/fuota-read",
            // A minute after the certificates were made.
            "CreatedAt": now_unix_s() + 60, "RedundancyPercent": 30, "FragmentSizeBytes": 232,
        });
        fake.world().tasks.insert(TASK.to_owned(), task);
        Signed { fake, site, pki }
    }

    /// The same gateway, ordered by an OTA update that brings the signer's certificate, and `signature` in this place.
    fn of_update(name: &str, place: Place, signature: impl FnOnce(&Signed) -> Vec<u8>) -> Signed {
        let mut signed = Signed::new(&format!("ota-{name}-{place:?}"), 24, "other");
        let anchor = signed.pki.dir().join("ca.pem");
        let ota = format!(
            "[ota.\"{UPDATE}\"]\nfragment-size-bytes = 232\nredundancy-percent = 30\n\
             [ota.\"{UPDATE}\".signing]\nanchors = [\"{}\"]\nvalidity = \"creation\"\n",
            anchor.display()
        );
        let (task, update) =
            (format!("fuota-tasks = [\"{TASK}\"]\n"), format!("ota-updates = [\"{UPDATE}\"]\n"));
        signed.site.replace(&task, &update);
        signed.site.replace("poll-s = 1\n", &format!("poll-s = 1\n{ota}"));
        signed.fake.put_object(OBJECT, signed.site.image(), true);
        let signature = BASE64_STANDARD.encode(signature(&signed));
        let (bucket, key) = OBJECT.split_once('/').unwrap();
        let mut custom = json!({"hashAlgorithm": "SHA256", "signatureAlgorithm": "ECDSA",
            "certificateChain": {"inlineDocument": signed.pki.text("signer.pem")}});
        if place == Place::JobDocument {
            let entry = json!({"filepath": "app.bin", "fileid": 0, "sig-sha256-ecdsa": signature});
            let document = json!({"afr_ota": {"files": [entry]}}).to_string();
            signed.fake.world().job_documents.insert(format!("AFR_OTA-{UPDATE}"), document);
        } else {
            custom["signature"] = json!({ "inlineDocument": signature });
        }
        let location = if place == Place::Stream {
            signed.fake.put_stream("s-1", 2, bucket, key);
            json!({"stream": {"streamId": "s-1", "fileId": 2}})
        } else {
            json!({"s3Location": {"bucket": bucket, "key": key}})
        };
        let file = json!({"fileName": "app.bin", "codeSigning": {"customCodeSigning": custom},
            "fileLocation": location});
        signed.fake.put_update(UPDATE, "CREATE_COMPLETE", json!([file]));
        signed.fake.world().updates.get_mut(UPDATE).unwrap()["creationDate"] = json!(now_unix_s() + 60);
        signed
    }

    /// Puts an image and a signature into the bucket.
    fn put(&self, image: &[u8], signature: &[u8]) {
        self.fake.put_object(OBJECT, image, true);
        self.fake.put_object(SIGNATURE, signature, true);
    }

    fn signature(&self) -> Vec<u8> {
        self.pki.sign("signer", "sha256", self.site.image())
    }

    /// Every device has the image, bit for bit, and the law was kept.
    fn assert_complete(&mut self, frames: u64) {
        let status = self.site.wait("it is over", 40, |status| !status.finished.is_empty());
        let outcome = &status.finished[0].1;
        assert!(outcome.starts_with("complete: "), "{outcome}");
        self.site.wait_for_the_air();
        let verdict = self.site.verdict();
        assert!(verdict.is_content(), "{:?}", verdict.breaches);
        assert_eq!(verdict.devices_complete, self.site.devices());
        assert_eq!(verdict.frames - verdict.repeated_frames, frames);
    }

    /// The task is refused with these words, and not one byte goes on the air.
    fn assert_refused(&mut self, said: &str) {
        let status = self.site.wait("it is refused", 20, |status| !status.refused.is_empty());
        let (task, reason) = &status.refused[0];
        println!("{reason}");
        assert!([TASK, UPDATE].contains(&task.as_str()), "{task}");
        assert!(reason.contains(said), "{said:?}: {reason}");
        // Long enough for several frames, had there been any.
        self.site.wait_for(Duration::from_secs(1));
        assert_eq!(self.site.frames(), 0);
    }
}

fn now_unix_s() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn one_wrong(bytes: &[u8]) -> Vec<u8> {
    let mut wrong = bytes.to_vec();
    let at = wrong.len() / 2;
    wrong[at] ^= 1;
    wrong
}

#[test]
fn an_image_with_a_good_signature_beside_it_is_broadcast_from_a_signer_that_is_trusted() {
    let mut signed = Signed::new("good", 24, "signer");
    signed.put(signed.site.image(), &signed.signature());
    signed.site.start();
    signed.assert_complete(32);
    assert!(signed.fake.world().complaints.is_empty());
}

#[test]
fn an_ota_update_that_brings_its_signature_is_broadcast_from_a_signer_of_its_own() {
    for place in [Place::Inline, Place::Stream, Place::JobDocument] {
        let mut signed = Signed::of_update("good", place, Signed::signature);
        signed.site.start();
        signed.assert_complete(32);
        let asked = signed.fake.requests(Op::Get);
        assert!(asked.iter().all(|get| !get.target.contains(".sig")), "the order brings its signature");
        assert!(signed.fake.world().complaints.is_empty(), "{place:?}");
    }
}

#[test]
fn an_ota_update_whose_signature_or_image_has_one_wrong_byte_stays_off_the_air() {
    for place in [Place::Inline, Place::Stream, Place::JobDocument] {
        let mut signed = Signed::of_update("wrong", place, |signed| one_wrong(&signed.signature()));
        signed.site.start();
        signed.assert_refused("the signature (");
        let mut image = Signed::of_update("image", place, Signed::signature);
        image.fake.put_object(OBJECT, &one_wrong(image.site.image()), true);
        image.site.start();
        image.assert_refused("the signature does not fit the image");
    }
}

#[test]
fn one_wrong_byte_of_the_image_keeps_it_off_the_air() {
    let mut signed = Signed::new("image", 24, "signer");
    signed.put(&one_wrong(signed.site.image()), &signed.signature());
    signed.site.start();
    signed.assert_refused(
        "the signature (s3://fw-bucket/lamps/app.bin.sig): the signature does not fit the image",
    );
}

#[test]
fn one_wrong_byte_of_the_signature_keeps_it_off_the_air() {
    let mut signed = Signed::new("signature", 24, "signer");
    signed.put(signed.site.image(), &one_wrong(&signed.signature()));
    signed.site.start();
    signed.assert_refused("the signature");
}

#[test]
fn a_signature_of_somebody_else_keeps_it_off_the_air() {
    let mut signed = Signed::new("certificate", 24, "signer");
    signed.put(signed.site.image(), &signed.pki.sign("other", "sha256", signed.site.image()));
    signed.site.start();
    signed
        .assert_refused("the signature does not fit the image: other bytes were signed, or with another key");
}

#[test]
fn a_signature_in_the_metadata_serves_as_well() {
    let mut signed = Signed::new("metadata", 24, "signer");
    signed.put(signed.site.image(), b"nobody looks at this");
    let base64 = {
        signed.pki.write("s.sig", signed.signature());
        signed.pki.openssl("base64 -A -in s.sig")
    };
    let put = |name: &str, value: &str| {
        let mut world = signed.fake.world();
        let object = world.objects.get_mut(OBJECT).unwrap();
        object.metadata.insert(name.to_owned(), value.to_owned());
    };
    put("sig-sha256-ecdsa", &base64);
    signed.site.start();
    signed.assert_complete(32);
    let gets = signed.fake.requests(Op::Get);
    assert!(gets.iter().all(|get| !get.target.contains(".sig")), "no second request is made for it");
}

#[test]
fn an_image_without_its_signature_waits_for_it_and_says_so() {
    let mut signed = Signed::new("waits", 24, "signer");
    signed.fake.put_object(OBJECT, signed.site.image(), true);
    signed.site.start();
    let status = signed.site.wait("it waits", 20, |status| {
        status.tasks.iter().any(|task| task.waiting.as_ref().is_some_and(|why| why.contains("no signature")))
    });
    assert!(status.refused.is_empty());
    assert_eq!(signed.site.frames(), 0);
    signed.fake.put_object(SIGNATURE, &signed.signature(), true);
    signed.assert_complete(32);
}

#[test]
fn a_campaign_that_resumes_checks_the_copy_on_its_disk_and_needs_no_cloud() {
    let mut signed = Signed::new("resume", 74, "signer");
    signed.put(signed.site.image(), &signed.signature());
    signed.site.start();
    signed.site.wait_for_frames(20);
    for op in [Op::GetTask, Op::Head, Op::Get, Op::ListGroups] {
        signed.fake.fail(op, vec![Fault::Error(503, "ServiceUnavailable"); FOR_EVER]);
    }
    signed.site.kill();
    let gets = signed.fake.count(Op::Get);
    signed.site.start();
    signed.assert_complete(97);
    assert_eq!(signed.fake.count(Op::Get), gets, "the image was fetched again");
}

#[test]
fn a_copy_that_changed_on_the_disk_is_never_sent() {
    let mut signed = Signed::new("tamper", 74, "signer");
    signed.put(signed.site.image(), &signed.signature());
    signed.site.start();
    signed.site.wait_for_frames(20);
    signed.site.kill();
    signed.site.wait_for_the_air();
    let frames = signed.site.frames();
    assert!(frames >= 20, "{frames} frames before the kill");
    let copy = signed.site.path("state/images").join(format!("{}.img", Digest::of(signed.site.image())));
    std::fs::write(&copy, one_wrong(signed.site.image())).unwrap();
    // What is in the bucket now is not what was armed, though well signed.
    let other = one_wrong(signed.site.image());
    signed.put(&other, &signed.pki.sign("signer", "sha256", &other));
    signed.site.start();
    let status = signed.site.wait("it is refused", 20, |status| !status.refused.is_empty());
    let reason = &status.refused[0].1;
    assert!(reason.contains(&Digest::of(&other).to_string()), "{reason}");
    signed.site.wait_for(Duration::from_secs(1));
    assert_eq!(signed.site.frames(), frames);
    assert!(signed.site.log().contains("not the image that it was: thrown away"), "{}", signed.site.log());
}

#[test]
fn a_campaign_whose_signer_is_not_trusted_any_more_does_not_resume() {
    let mut signed = Signed::new("revoked", 74, "signer");
    signed.put(signed.site.image(), &signed.signature());
    signed.site.start();
    signed.site.wait_for_frames(20);
    signed.site.kill();
    signed.site.wait_for_the_air();
    let frames = signed.site.frames();
    assert!(frames >= 20, "{frames} frames before the kill");
    std::fs::write(signed.pki.dir().join("signer.pem"), signed.pki.read("other.pem")).unwrap();
    signed.site.start();
    let status = signed.site.wait("it is refused", 20, |status| !status.refused.is_empty());
    assert!(status.refused[0].1.contains("the signature does not fit"), "{}", status.refused[0].1);
    signed.site.wait_for(Duration::from_secs(1));
    assert_eq!(signed.site.frames(), frames);
}
