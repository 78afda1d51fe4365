//! Signatures, certificates and whom to trust: nothing that comes with an image makes the check fall over, and
//! nobody vouches whom nobody trusts.

use super::feed::Feed;
use super::refusal::checked_short;
use fuotad::cloud::JobFile;
use fuotad::cloud::job_evidence;
use fuotad::signing::Algorithm;
use fuotad::signing::Evidence;
use fuotad::signing::Hash;
use fuotad::signing::SigningTrust;
use fuotad::signing::Validity;
use fuotad::signing::open_signed_object;
use fuotad::signing::verify;
use fuotad::time::GpsTime;

/// 2030-01-01 00:00:00 UTC: certificates of the corpus are valid then.
const NOW: GpsTime = GpsTime::from_us(1_577_491_218_000_000);

/// Reads an image, what came with it and a trust out of `data`, and checks the one by the others.
pub fn run(data: &[u8]) {
    let mut feed = Feed::new(data);
    let flags = feed.u8();
    let is = |bit: u8| flags & 1 << bit != 0;
    let (image, signature) = (feed.chunk(), feed.chunk());
    let (certificates, anchors) = (feed.chunk(), feed.chunk());
    let (pin, hash, algorithm) = (feed.text(), feed.text(), feed.text());
    let validity = if is(0) { Validity::Creation } else { Validity::Now };
    let mut trust = SigningTrust::new(validity, is(1));
    if is(2) {
        checked_short(trust.add_anchors(anchors));
    }
    if is(3) {
        checked_short(trust.add_pin(&pin));
    }
    let now = is(4).then_some(NOW);
    checked_short(Hash::from_name(&hash));
    checked_short(Algorithm::from_name(&algorithm));

    let beside = Evidence::detached("beside", signature.to_vec()).with_certificates(certificates);
    judge(image, &beside, &trust, now);
    let inline =
        Evidence::inline(signature.to_vec(), &String::from_utf8_lossy(certificates), &hash, &algorithm);
    judge(image, &Evidence { created_unix_us: Some(NOW.to_unix_us()), ..inline }, &trust, now);
    let document = String::from_utf8_lossy(signature);
    for file in [JobFile::default(), JobFile { id: Some(0), path: Some("app.bin") }] {
        if let Some(evidence) = checked_short(job_evidence(&document, file)) {
            judge(image, &evidence.with_certificates(certificates), &trust, now);
        }
    }
    if let Some(Some((image, evidence))) = checked_short(open_signed_object("object", signature)) {
        judge(&image, &evidence.with_certificates(certificates), &trust, now);
    }
}

fn judge(image: &[u8], evidence: &Evidence, trust: &SigningTrust, now: Option<GpsTime>) {
    kept(evidence);
    let Some(vouched) = checked_short(verify(image, evidence, trust, now)) else { return };
    assert!(!trust.is_empty(), "nobody vouches whom nobody trusts");
    assert!(trust.accepts_sha1 || vouched.hash == Hash::Sha256, "SHA-1 counts only where it is allowed");
    assert!(
        verify(image, evidence, &SigningTrust::new(trust.validity, true), now).is_err(),
        "trust is needed"
    );
    let other = [image, &[0]].concat();
    assert!(verify(&other, evidence, trust, now).is_err(), "a signature is for one image");
    assert!(trust.validity == Validity::Creation || now.is_some(), "without a clock nothing is valid now");
}

/// Evidence is kept in a task's record and must come back from there.
fn kept(evidence: &Evidence) {
    let Ok(text) = serde_json::to_string(evidence) else { panic!("evidence can be written") };
    let again = serde_json::from_str::<Evidence>(&text);
    assert_eq!(again.ok().as_ref(), Some(evidence), "evidence is the same after it was kept");
}
