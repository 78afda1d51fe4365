//! Code signing against the openssl program, in every form and with everything that can be wrong.

use crate::support::openssl::CODE_SIGNING;
use crate::support::openssl::KEYS;
use crate::support::openssl::Pki;
use crate::support::openssl::SERVER;
use crate::support::small_world;
use crate::support::small_world::image;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::broadcast::SignatureWish;
use fuotad::broadcast::TaskSource;
use fuotad::campaign::Group;
use fuotad::cloud::JobFile;
use fuotad::cloud::job_evidence;
use fuotad::engine::Engine;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::engine::Settings;
use fuotad::report::Event;
use fuotad::signing::Algorithm;
use fuotad::signing::Evidence;
use fuotad::signing::Hash;
use fuotad::signing::SigningError;
use fuotad::signing::SigningTrust;
use fuotad::signing::Validity;
use fuotad::signing::open_signed_object;
use fuotad::signing::verify;
use fuotad::store::Change;
use fuotad::task::TaskId;
use fuotad::task::gps_from_rfc3339;
use fuotad::time::GpsTime;
use fuotad::time::Instant;
use fuotad::time::Now;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;
use std::process::Command;

/// Every bit is flipped when this is in the environment; else a sample.
const EXHAUSTIVE: &str = "FUOTAD_TEST_EXHAUSTIVE";
/// A day in microseconds.
const DAY_US: u64 = 86_400_000_000;

/// The time at which `name` was made, and a day more.
fn tomorrow(pki: &Pki, name: &str) -> GpsTime {
    let said = pki.openssl(&format!("x509 -in {name}.pem -noout -startdate -dateopt iso_8601"));
    let text = said.trim().trim_start_matches("notBefore=").replace(' ', "T");
    gps_from_rfc3339(&text).unwrap().plus_us(DAY_US)
}

fn trusting(pki: &Pki, names: &[&str]) -> SigningTrust {
    let mut trust = SigningTrust::default();
    for name in names {
        trust.add_anchors(&pki.read(&format!("{name}.pem"))).unwrap();
    }
    trust
}

/// A signer under an authority, what it signed, and who trusts the authority.
struct Signed {
    pki: Pki,
    image: Vec<u8>,
    evidence: Evidence,
    trust: SigningTrust,
    now: GpsTime,
}

impl Signed {
    fn new(name: &str, key: &str, bytes: usize) -> Signed {
        let pki = Pki::new(name);
        pki.authority("ca", "P-256");
        pki.signer("signer", key, "ca", CODE_SIGNING, 30);
        let image = image(bytes);
        let signature = pki.sign("signer", "sha256", &image);
        let evidence = Evidence::detached("test", signature).with_certificates(&pki.read("signer.pem"));
        let (trust, now) = (trusting(&pki, &["ca"]), tomorrow(&pki, "signer"));
        Signed { pki, image, evidence, trust, now }
    }

    fn check(&self) -> Result<(), SigningError> {
        self.check_of(&self.evidence)
    }

    fn check_of(&self, evidence: &Evidence) -> Result<(), SigningError> {
        verify(&self.image, evidence, &self.trust, Some(self.now)).map(|_| ())
    }

    fn error_of(&self, evidence: &Evidence) -> String {
        self.check_of(evidence).unwrap_err().to_string()
    }
}

#[test]
fn fuotad_verify_and_openssl_agree_over_every_key_and_hash_good_and_bad() {
    let pki = Pki::new("agree");
    let image = image(10_000);
    let mut flipped = image.clone();
    flipped[5000] ^= 1;
    let (mut compared, mut accepted) = (0, 0);
    for key in KEYS {
        pki.signer(key, key, key, CODE_SIGNING, 30);
        for hash in ["sha256", "sha1"] {
            let signature = pki.sign(key, hash, &image);
            let mut last = signature.clone();
            *last.last_mut().unwrap() ^= 1;
            let mut middle = signature.clone();
            let at = middle.len() / 2;
            middle[at] ^= 0x80;
            let other_hash = pki.sign(key, if hash == "sha1" { "sha256" } else { "sha1" }, &image);
            for (what, bytes, signature) in [
                ("as it was signed", &image, &signature),
                ("one bit of the image", &flipped, &signature),
                ("one bit at the end of the signature", &image, &last),
                ("one bit in the middle of the signature", &image, &middle),
                ("a byte too few of the signature", &image, &signature[..signature.len() - 1].to_vec()),
                ("a signature over another hash", &image, &other_hash),
                ("an empty signature", &image, &Vec::new()),
            ] {
                pki.write("image.bin", bytes);
                pki.write("image.sig", signature);
                let run = Command::new(env!("CARGO_BIN_EXE_fuotad"))
                    .args(["verify", "image.bin", "--signature", "image.sig", "--sha1", "--json"])
                    .args(["--certificate", &format!("{key}.pem"), "--hash", hash])
                    .current_dir(pki.dir())
                    .output()
                    .unwrap();
                let said: Value = serde_json::from_slice(&run.stdout).unwrap();
                let theirs = pki.agrees(key, hash, bytes, signature);
                assert_eq!(said["vouched"], theirs, "{key} {hash} {what}: {said}, openssl says {theirs}");
                assert_eq!(run.status.code(), Some(if theirs { 0 } else { 65 }), "{key} {hash} {what}");
                compared += 1;
                accepted += u32::from(theirs);
            }
        }
    }
    println!("{compared} verdicts compared with openssl, {accepted} of them good, 0 different");
    assert_eq!((compared, accepted), (56, 8));
}

#[test]
fn not_one_flipped_bit_of_a_signed_image_is_accepted() {
    let signed = Signed::new("flips", "P-256", 64 * 1024);
    signed.check().unwrap();
    let is_exhaustive = std::env::var_os(EXHAUSTIVE).is_some();
    // A stride without a common divisor with 8 meets every bit of a byte.
    let stride = if is_exhaustive { 1 } else { 61 };
    let bits: Vec<usize> = (0..signed.image.len() * 8).step_by(stride).collect();
    let accepted: usize = std::thread::scope(|scope| {
        let halves = bits.chunks(bits.len().div_ceil(2)).map(|bits| {
            let signed = &signed;
            scope.spawn(move || {
                let mut image = signed.image.clone();
                let mut accepted = 0;
                for bit in bits {
                    image[bit / 8] ^= 1 << (bit % 8);
                    let checked = verify(&image, &signed.evidence, &signed.trust, Some(signed.now));
                    accepted += usize::from(checked.is_ok());
                    image[bit / 8] ^= 1 << (bit % 8);
                }
                accepted
            })
        });
        halves.collect::<Vec<_>>().into_iter().map(|half| half.join().unwrap()).sum()
    });
    println!("{accepted} of {} flipped images accepted (all with {EXHAUSTIVE}=1: 524288)", bits.len());
    assert_eq!(accepted, 0);
    assert_eq!(bits.len(), if is_exhaustive { 524_288 } else { 8595 });
}

#[test]
fn not_one_flipped_bit_of_a_signature_is_accepted() {
    for key in ["P-256", "RSA-2048"] {
        let signed = Signed::new(&format!("flipped-{key}"), key, 1000);
        signed.check().unwrap();
        for bit in 0..signed.evidence.signature.len() * 8 {
            let mut evidence = signed.evidence.clone();
            evidence.signature[bit / 8] ^= 1 << (bit % 8);
            assert!(signed.check_of(&evidence).is_err(), "{key}: bit {bit}");
        }
    }
}

#[test]
fn no_edit_of_the_certificate_lets_another_signer_in() {
    let signed = Signed::new("certificate-bits", "P-256", 1000);
    let der = signed.pki.try_openssl("x509 -in signer.pem -outform DER -out signer.der");
    assert!(der.0);
    let der = signed.pki.read("signer.der");
    let good = Evidence::detached("test", signed.evidence.signature.clone()).with_certificates(&der);
    signed.check_of(&good).unwrap();
    for bit in 0..der.len() * 8 {
        let mut edited = der.clone();
        edited[bit / 8] ^= 1 << (bit % 8);
        let evidence = good.clone().with_certificates(&edited);
        assert!(signed.check_of(&evidence).is_err(), "bit {bit} of the certificate");
    }
}

#[test]
fn the_signature_is_taken_in_every_form_in_which_services_and_people_hand_it_on() {
    let signed = Signed::new("forms", "P-384", 5000);
    let der = signed.evidence.signature.clone();
    let once = BASE64_STANDARD.encode(&der);
    let twice = BASE64_STANDARD.encode(&once);
    let pem = signed.pki.text("signer.pem");
    let inline = |signature: &[u8]| Evidence::inline(signature.to_vec(), &pem, "SHA256", "ECDSA");
    for evidence in [inline(&der), inline(once.as_bytes()), inline(twice.as_bytes())] {
        signed.check_of(&evidence).unwrap();
    }
    let chain = BASE64_STANDARD.encode(&pem);
    signed.check_of(&Evidence::inline(der.clone(), &chain, "sha-256", "ecdsa")).unwrap();

    let job = json!({"afr_ota": {"files": [
        {"filepath": "a", "fileid": 0, "filesize": 5000, "certfile": "signer.pem", "sig-sha256-ecdsa": once},
        {"filepath": "b", "fileid": 1, "filesize": 5000, "sig-sha256-ecdsa": BASE64_STANDARD.encode(b"0000")},
    ]}});
    let job = |id| {
        let file = JobFile { id: Some(id), path: None };
        job_evidence(&job.to_string(), file).unwrap().with_certificates(pem.as_bytes())
    };
    signed.check_of(&job(0)).unwrap();
    assert!(signed.check_of(&job(1)).is_err());

    let signer = |payload: &[u8]| {
        json!({"rawPayloadSize": 5000, "signature": once, "signatureAlgorithm": "SHA256withECDSA",
               "payload": BASE64_STANDARD.encode(payload)})
        .to_string()
    };
    let (opened, evidence) = open_signed_object("o", signer(&signed.image).as_bytes()).unwrap().unwrap();
    assert_eq!(opened, signed.image);
    signed.check_of(&evidence.with_certificates(pem.as_bytes())).unwrap();
    let detached =
        json!({"rawPayloadSize": 5000, "signature": once, "signatureAlgorithm": "SHA256withECDSA"});
    let detached = Evidence::detached("o", detached.to_string().into_bytes());
    signed.check_of(&detached.with_certificates(pem.as_bytes())).unwrap();
    let mut other = signed.image.clone();
    other[0] ^= 1;
    let (opened, evidence) = open_signed_object("o", signer(&other).as_bytes()).unwrap().unwrap();
    let evidence = evidence.with_certificates(pem.as_bytes());
    assert!(verify(&opened, &evidence, &signed.trust, Some(signed.now)).is_err());
}

#[test]
fn each_signature_that_is_none_is_refused_by_name() {
    let signed = Signed::new("none", "P-256", 1000);
    let with = |signature: Vec<u8>| Evidence { signature, ..signed.evidence.clone() };
    let named = |hash: &str, algorithm: &str| Evidence {
        hash: Some(hash.to_owned()),
        algorithm: Some(algorithm.to_owned()),
        ..signed.evidence.clone()
    };
    let sha1 = signed.pki.sign("signer", "sha1", &signed.image);
    for (evidence, said) in [
        (with(vec![7; 64]), "the ECDSA signature is not DER (64 bytes)"),
        // openssl itself reads no further than a signature can be long.
        (with([signed.evidence.signature.as_slice(), &[0]].concat()), "the ECDSA signature is not DER"),
        (with(b"hello".to_vec()), "neither DER nor RSA nor base64"),
        (with(br#"{"signature":7}"#.to_vec()), "AWS Signer's document cannot be read"),
        (with(sha1.clone()), "the signature does not fit the image"),
        (Evidence { hash: Some("SHA1".to_owned()), ..with(sha1.clone()) }, "over SHA-1, which can be forged"),
        (named("MD5", "ECDSA"), "hash \"MD5\" is unknown"),
        (named("SHA256", "DSA"), "signature algorithm \"DSA\" is unknown"),
        (named("SHA256", "RSA"), "said to be RSA, but no certificate has such a key"),
        (Evidence { size: Some(999), ..signed.evidence.clone() }, "1000 bytes, but 999 were signed"),
        (
            signed.evidence.clone().with_certificates(b"-----BEGIN CERTIFICATE-----\nAAAA"),
            "the PEM is damaged",
        ),
        (signed.evidence.clone().with_certificates(b"\x30\x03\x02\x01\x01"), "it is not DER of X.509"),
    ] {
        let error = signed.error_of(&evidence);
        assert!(error.contains(said) && !error.contains('\n'), "{said:?}: {error}");
    }
    let mut lenient = signed.trust.clone();
    lenient.accepts_sha1 = true;
    let evidence = Evidence { hash: Some("SHA1".to_owned()), ..with(sha1) };
    let vouched = verify(&signed.image, &evidence, &lenient, Some(signed.now)).unwrap();
    assert_eq!((vouched.hash, vouched.algorithm), (Hash::Sha1, Algorithm::Ecdsa));
}

#[test]
fn a_certificate_that_is_foreign_expired_weak_or_for_something_else_is_refused_by_name() {
    let pki = Pki::new("bad");
    let image = image(1000);
    pki.authority("ca", "P-256");
    pki.authority("stranger", "P-256");
    pki.signer("good", "P-256", "ca", CODE_SIGNING, 30);
    pki.signer("foreign", "P-256", "stranger", CODE_SIGNING, 30);
    pki.signer("server", "P-256", "ca", SERVER, 30);
    pki.signer("bare", "P-256", "ca", "", 30);
    pki.signer("agreeing", "P-256", "ca", "keyUsage=keyAgreement\nextendedKeyUsage=codeSigning\n", 30);
    pki.signer("short", "RSA-1024", "ca", CODE_SIGNING, 30);
    pki.signer("odd", "secp256k1", "ca", CODE_SIGNING, 30);
    pki.key("old", "P-256");
    pki.certify("old", "ca", CODE_SIGNING, 30, "-sha1");
    let now = tomorrow(&pki, "good");
    let check = |name: &str, at: GpsTime| {
        let evidence = Evidence::detached("test", pki.sign(name, "sha256", &image));
        let evidence = evidence.with_certificates(&pki.read(&format!("{name}.pem")));
        verify(&image, &evidence, &trusting(&pki, &["ca"]), Some(at)).map(|_| ())
    };
    assert_eq!(check("good", now), Ok(()));
    for (name, at, said) in [
        ("foreign", now, "certificate CN=foreign (SHA-256 "),
        ("foreign", now, "leads to no configured anchor"),
        ("good", now.plus_us(30 * DAY_US), "certificate CN=good expired at"),
        ("good", GpsTime::from_us(now.as_us() - 2 * DAY_US), "is valid only from"),
        ("server", now, "is not for code signing"),
        ("bare", now, "codeSigning (1.3.6.1.5.5.7.3.3) and the key usage digitalSignature"),
        ("agreeing", now, "needs the key usage digitalSignature"),
        ("short", now, "too weak or unknown (RSA of 1024 bits)"),
        ("odd", now, "too weak or unknown (curve 1.3.132.0.10)"),
        ("old", now, "the chain of certificate CN=old is not good"),
    ] {
        let error = check(name, at).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains('\n'), "{name}: {said:?}: {error}");
    }
}

#[test]
fn the_recipe_of_the_documentation_makes_what_the_service_takes() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/signing.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let recipe = blocks.collect::<Vec<_>>().join("\n");
    assert!(
        recipe.matches("openssl ").count() >= 6 && recipe.matches("fuotad verify").count() == 2,
        "{recipe}"
    );
    let pki = Pki::new("recipe");
    pki.write("meters-1.4.2.bin", image(50_000));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_fuotad")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let run =
        Command::new("sh").args(["-e", "-c", &recipe]).current_dir(pki.dir()).env("PATH", path).output();
    let run = run.unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    assert_eq!(said.matches("good: signed by CN=Example firmware signer").count(), 2, "{said}");
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn a_chain_is_followed_in_any_order_and_openssl_agrees_at_every_time() {
    let pki = Pki::new("chain");
    let image = image(1000);
    pki.authority("root", "P-384");
    pki.intermediate("middle", "RSA-2048", "root");
    pki.signer("signer", "P-256", "middle", CODE_SIGNING, 30);
    pki.authority("stranger", "P-256");
    let signature = pki.sign("signer", "sha256", &image);
    let (signer, middle) = (pki.text("signer.pem"), pki.text("middle.pem"));
    let with = |chain: &str| Evidence::inline(signature.clone(), chain, "SHA256", "ECDSA");
    let now = tomorrow(&pki, "signer");
    let root = trusting(&pki, &["root"]);
    for chain in
        [format!("{signer}{middle}"), format!("{middle}{signer}"), format!("{middle}{signer}{middle}")]
    {
        let vouched = verify(&image, &with(&chain), &root, Some(now)).unwrap();
        assert_eq!(vouched.signer, "CN=signer");
    }
    let missing = verify(&image, &with(&signer), &root, Some(now)).unwrap_err();
    assert!(matches!(missing, SigningError::Untrusted { .. }), "{missing}");
    // The middle may also be configured.
    verify(&image, &with(&signer), &trusting(&pki, &["middle"]), Some(now)).unwrap();
    let long = middle.repeat(9);
    assert_eq!(verify(&image, &with(&long), &root, Some(now)), Err(SigningError::TooManyCertificates));
    let mut compared = 0;
    for (anchor, untrusted) in [("root", true), ("root", false), ("stranger", true)] {
        for day in [-3_i64, 0, 20, 28, 30] {
            let at = GpsTime::from_us(now.as_us().checked_add_signed(day * DAY_US as i64).unwrap());
            let unix_s = at.to_unix_us() / 1_000_000;
            let between = if untrusted { "-untrusted middle.pem" } else { "" };
            let theirs = pki
                .try_openssl(&format!("verify -attime {unix_s} -CAfile {anchor}.pem {between} signer.pem"))
                .0;
            let chain = if untrusted { format!("{signer}{middle}") } else { signer.clone() };
            let ours = verify(&image, &with(&chain), &trusting(&pki, &[anchor]), Some(at));
            assert_eq!(ours.is_ok(), theirs, "{anchor} {untrusted} day {day}: {ours:?}");
            compared += 1;
        }
    }
    println!("{compared} chains judged as openssl does");
}

#[test]
fn a_pinned_certificate_or_key_needs_no_authority_and_pins_nobody_else() {
    let pki = Pki::new("pin");
    let image = image(1000);
    pki.signer("own", "RSA-2048", "own", CODE_SIGNING, 30);
    pki.signer("other", "RSA-2048", "other", CODE_SIGNING, 30);
    let now = tomorrow(&pki, "own");
    let fingerprint = pki.openssl("x509 -in own.pem -noout -fingerprint -sha256");
    let fingerprint = fingerprint.trim().rsplit('=').next().unwrap().to_owned();
    let der = pki.openssl("pkey -pubin -in own.pub -outform DER -out own.spki");
    assert!(der.is_empty());
    let key = fuotad::image::Digest::of(&pki.read("own.spki")).to_string();
    for pin in [fingerprint, key] {
        let mut trust = SigningTrust::default();
        trust.add_pin(&pin).unwrap();
        let check = |name: &str, with: bool| {
            let evidence = Evidence::detached("test", pki.sign(name, "sha256", &image));
            let certificate = pki.read(&format!("{name}.pem"));
            let evidence = if with { evidence.with_certificates(&certificate) } else { evidence };
            verify(&image, &evidence, &trust, Some(now)).map(|_| ())
        };
        assert_eq!(check("own", true), Ok(()), "{pin}");
        assert!(matches!(check("other", true), Err(SigningError::Untrusted { .. })));
        assert_eq!(check("own", false), Err(SigningError::NoCertificate));
    }
    // A configured certificate serves signatures that come without one.
    let evidence = Evidence::detached("test", pki.sign("own", "sha256", &image));
    verify(&image, &evidence, &trusting(&pki, &["other", "own"]), Some(now)).unwrap();
    let mut trust = SigningTrust::default();
    assert!(trust.add_pin("beef").unwrap_err().to_string().contains("64 hexadecimal digits"));
}

#[test]
fn validity_is_judged_now_by_a_trusted_clock_or_at_the_creation_of_the_order() {
    let mut signed = Signed::new("validity", "P-256", 1000);
    assert_eq!(verify(&signed.image, &signed.evidence, &signed.trust, None), Err(SigningError::NoClock));
    signed.trust.validity = Validity::Creation;
    assert_eq!(signed.check(), Err(SigningError::NoCreation));
    let created = signed.now.to_unix_us();
    signed.evidence.created_unix_us = Some(created);
    verify(&signed.image, &signed.evidence, &signed.trust, None).unwrap();
    signed.now = signed.now.plus_us(1000 * DAY_US);
    signed.check().unwrap();
    signed.evidence.created_unix_us = Some(created - 3 * DAY_US as i64);
    assert!(matches!(signed.check(), Err(SigningError::NotYetValid { .. })));
}

/// The engine with a cloud task, and what it did.
struct Gateway {
    engine: Engine,
    at: i64,
    request: Option<SignatureWish>,
    saves: usize,
    datagrams: usize,
    planned: bool,
    told: Vec<String>,
}

const TASK: &str = "6d2f0c1e-0000-4000-8000-000000000001";

/// Steps at one instant, more than any plan here takes.
const STEPS_MAX: u32 = 1000;

impl Gateway {
    /// A gateway whose only group trusts `trust`; `gps` is its clock.
    fn new(
        trust: SigningTrust,
        of_task: Option<SigningTrust>,
        gps: Option<GpsTime>,
        fuotad: &str,
    ) -> Gateway {
        let document = format!(
            r#"{{"Id":"{TASK}","Status":"In_FuotaSession","FirmwareUpdateImage":"s3://b/k","FragmentSizeBytes":48,
                "LoRaWAN":{{"RfRegion":"EU868"}}{fuotad}}}"#
        );
        Gateway::with(trust, of_task, gps, &document)
    }

    /// The same with any order.
    fn with(
        trust: SigningTrust,
        of_task: Option<SigningTrust>,
        gps: Option<GpsTime>,
        document: &str,
    ) -> Gateway {
        let settings = Settings {
            groups: vec![Group { trust, ..small_world::group() }],
            trust_by_task: of_task.map(|trust| (TASK.to_owned(), trust)).into_iter().collect(),
            ..small_world::settings()
        };
        let now = Now { mono: Instant::from_us(0), gps };
        let engine = Engine::new(settings, small_world::enrolled(), 7, now);
        let mut gateway = Gateway {
            engine,
            at: 0,
            request: None,
            saves: 0,
            datagrams: 0,
            planned: false,
            told: Vec::new(),
        };
        let (document, source) = (document.as_bytes(), TaskSource::Cloud);
        gateway.tell(gps, Input::Task { document, stem: TASK, source });
        gateway
    }

    fn tell(&mut self, gps: Option<GpsTime>, input: Input<'_>) {
        self.at += 1_000_000;
        let now = Now { mono: Instant::from_us(self.at), gps };
        self.engine.handle(now, input);
        let (mut saved, mut marks, mut steps) = (Vec::new(), Vec::new(), 0);
        loop {
            match self.engine.poll() {
                // Before a plan is written down its frames are decoded, some at a time.
                Output::WakeAt(Some(at)) if at <= now.mono && steps < STEPS_MAX => {
                    steps += 1;
                    self.engine.handle(now, Input::Time);
                }
                Output::WakeAt(_) => break,
                Output::Fetch(fetch) => self.request = Some(fetch.signature),
                Output::Save(save, Change::Mark(_)) => marks.push(save),
                Output::Save(save, _) => saved.push(save),
                Output::Datagram { .. } | Output::ToServer { .. } => self.datagrams += 1,
                Output::Report(report) => match report.event {
                    Event::Planned(_) => self.planned = true,
                    Event::Refused { reason } | Event::Waiting { reason } => self.told.push(reason),
                    _ => {}
                },
                Output::Stopped | Output::LnsPush { .. } => {}
            }
        }
        self.saves += saved.len();
        for save in saved.into_iter().chain(marks) {
            self.tell(gps, Input::Saved(save, Ok(())));
        }
    }

    fn deliver(&mut self, gps: Option<GpsTime>, image: &[u8], evidence: Option<Evidence>) {
        self.tell(gps, Input::Image(TaskId::new(TASK).unwrap(), image.to_vec(), evidence));
    }

    /// A datagram of the forwarder, of the kind with this identifier (PROTOCOL.TXT 3 to 5).
    fn datagram(&mut self, gps: Option<GpsTime>, identifier: u8, json: &str) {
        let header = [2, 0, 0, identifier, 0x00, 0x16, 0xc0, 0x01, 0xf1, 0x50, 0x08, 0x12];
        let bytes = [&header[..], json.as_bytes()].concat();
        let from = SocketAddr::from(([127, 0, 0, 1], 40_000));
        self.tell(gps, Input::Datagram { from, bytes: &bytes });
    }

    /// An uplink whose reception ends as it is told; our clock says `ours` then, the forwarder's GPS `theirs`.
    fn uplink(&mut self, ours: GpsTime, theirs: GpsTime) {
        let (tmst, tmms) = (self.at + 1_000_000, theirs.as_us() / 1000);
        let json = format!(r#"{{"rxpk":[{{"tmst":{tmst},"tmms":{tmms},"stat":1,"data":"QA=="}}]}}"#);
        self.datagram(Some(ours), 0, &json);
    }

    /// It is refused for good: nothing was written down, nothing sent, and the reason is this.
    fn assert_refused(&self, said: &str) {
        assert_eq!((self.planned, self.saves, self.datagrams), (false, 0, 0), "{:?}", self.told);
        assert!(self.told.last().unwrap().contains(said), "{said:?}: {:?}", self.told);
    }
}

/// How a signature comes.
type Form<'a> = &'a dyn Fn(&[u8]) -> Evidence;

fn one_wrong(bytes: &[u8]) -> Vec<u8> {
    let mut wrong = bytes.to_vec();
    let at = wrong.len() / 2;
    wrong[at] ^= 1;
    wrong
}

#[test]
fn a_campaign_is_armed_by_a_good_signature_however_it_comes_and_refused_with_one_wrong_byte_anywhere() {
    let signed = Signed::new("engine", "P-256", 2000);
    let (now, pem) = (Some(signed.now), signed.pki.text("signer.pem"));
    let der = signed.evidence.signature.clone();
    let job = |signature: &[u8]| {
        let signature = BASE64_STANDARD.encode(signature);
        let file = json!({"filepath": "app", "fileid": 0, "filesize": 2000, "sig-sha256-ecdsa": signature});
        let job = json!({"afr_ota": {"files": [file]}}).to_string();
        job_evidence(&job, JobFile::default()).unwrap().with_certificates(pem.as_bytes())
    };
    let inline = |signature: &[u8]| {
        let twice = BASE64_STANDARD.encode(BASE64_STANDARD.encode(signature));
        Evidence::inline(twice.into_bytes(), &pem, "SHA256", "ECDSA")
    };
    let beside = |signature: &[u8]| {
        let evidence = Evidence::detached("s3://b/k.sig", signature.to_vec());
        evidence.with_certificates(pem.as_bytes())
    };
    // In the middle of the certificate is its key.
    let wrong_pem = |evidence: &Evidence| {
        signed.pki.openssl("x509 -in signer.pem -outform DER -out signer.der");
        evidence.clone().with_certificates(&one_wrong(&signed.pki.read("signer.der")))
    };
    let forms: [(&str, Form<'_>); 3] =
        [("beside the object", &beside), ("inline", &inline), ("in the job document", &job)];
    for (form, evidence) in forms {
        let gateway = || Gateway::new(signed.trust.clone(), None, now, "");
        let mut good = gateway();
        good.deliver(now, &signed.image, Some(evidence(&der)));
        assert!(good.planned && good.saves > 0, "{form}: {:?}", good.told);
        let mut image = gateway();
        image.deliver(now, &one_wrong(&signed.image), Some(evidence(&der)));
        image.assert_refused("the signature does not fit the image");
        let mut signature = gateway();
        signature.deliver(now, &signed.image, Some(evidence(&one_wrong(&der))));
        signature.assert_refused("the signature");
        let mut certificate = gateway();
        certificate.deliver(now, &signed.image, Some(wrong_pem(&evidence(&der))));
        certificate.assert_refused("the signature");
    }
}

/// An OTA update as the cloud side gives it to the engine, with its signature in one of the places.
fn update(place: &str, signature: &[u8], chain: &str) -> String {
    let mut file = json!({"fileName": "app", "fileLocation": {"s3Location": {"bucket": "b", "key": "k"}}});
    let mut cloud = json!({});
    let base64 = BASE64_STANDARD.encode(signature);
    let mut custom = json!({"certificateChain": {"inlineDocument": chain}, "hashAlgorithm": "SHA256",
        "signatureAlgorithm": "ECDSA"});
    match place {
        "job document" => {
            let entry = json!({"filepath": "app", "fileid": 0, "filesize": 2000, "sig-sha256-ecdsa": base64});
            cloud["JobDocument"] = json!(json!({"afr_ota": {"files": [entry]}}).to_string());
        }
        _ => custom["signature"] = json!({ "inlineDocument": base64 }),
    }
    if place == "stream" {
        file["fileLocation"] = json!({"stream": {"streamId": "s", "fileId": 0}});
        let files = json!([{"fileId": 0, "s3Location": {"bucket": "b", "key": "k"}}]);
        cloud["Stream"] = json!({"streamId": "s", "files": files});
    }
    file["codeSigning"] = json!({ "customCodeSigning": custom });
    let info = json!({"otaUpdateId": TASK, "otaUpdateStatus": "CREATE_COMPLETE", "otaUpdateFiles": [file]});
    json!({"otaUpdateInfo": info, "Cloud": cloud, "Fuotad": {"FragmentSizeBytes": 48}}).to_string()
}

#[test]
fn an_ota_update_that_brings_its_signature_is_armed_by_it_and_refused_with_one_wrong_byte_anywhere() {
    let signed = Signed::new("update", "P-256", 2000);
    let (now, pem, der) =
        (Some(signed.now), signed.pki.text("signer.pem"), signed.evidence.signature.clone());
    signed.pki.openssl("x509 -in signer.pem -outform DER -out signer.der");
    let wrong_pem = BASE64_STANDARD.encode(one_wrong(&signed.pki.read("signer.der")));
    for place in ["inline", "stream", "job document"] {
        let delivered = |signature: &[u8], chain: &str, image: &[u8]| {
            let order = update(place, signature, chain);
            let mut gateway = Gateway::with(signed.trust.clone(), None, now, &order);
            assert_eq!(gateway.request, Some(SignatureWish::No), "{place}: the order brings it");
            gateway.deliver(now, image, None);
            gateway
        };
        let good = delivered(&der, &pem, &signed.image);
        assert!(good.planned && good.saves > 0, "{place}: {:?}", good.told);
        // The tools of AWS encode what the service encodes again.
        let twice = delivered(BASE64_STANDARD.encode(&der).as_bytes(), &pem, &signed.image);
        assert!(twice.planned, "{place}: {:?}", twice.told);
        delivered(&der, &pem, &one_wrong(&signed.image))
            .assert_refused("the signature does not fit the image");
        delivered(&one_wrong(&der), &pem, &signed.image).assert_refused("the signature");
        delivered(&der, &wrong_pem, &signed.image).assert_refused("the signature");
    }
    // One that nobody trusts vouches for nothing; the update's own signers count instead of its group's.
    let order = update("inline", &der, &pem);
    let mut nobody = Gateway::with(SigningTrust::default(), None, now, &order);
    nobody.deliver(now, &signed.image, None);
    nobody.assert_refused("nothing vouches for an image from a cloud");
    let mut own = Gateway::with(SigningTrust::default(), Some(signed.trust.clone()), now, &order);
    own.deliver(now, &signed.image, None);
    assert!(own.planned, "{:?}", own.told);
}

/// The wait for the clock that judges a certificate, brought about and ended.
pub fn walked_certificate() -> Option<&'static str> {
    let signed = Signed::new("wait", "P-256", 2000);
    let mut gateway = Gateway::new(signed.trust.clone(), None, None, "");
    gateway.deliver(None, &signed.image, Some(signed.evidence.clone()));
    let kind = |gateway: &Gateway| Some(gateway.engine.tasks().next()?.wait?.0.reason.kind());
    let without_clock = kind(&gateway);
    gateway.tell(Some(signed.now), Input::Time);
    assert_ne!(kind(&gateway), without_clock);
    without_clock
}

#[test]
fn a_signature_waits_for_the_clock_and_the_campaign_begins_when_it_is_trusted() {
    let signed = Signed::new("clock", "P-256", 2000);
    let mut gateway = Gateway::new(signed.trust.clone(), None, None, "");
    gateway.deliver(None, &signed.image, Some(signed.evidence.clone()));
    gateway.assert_refused("before the clock is trusted");
    assert_eq!(gateway.engine.tasks().next().unwrap().phase.as_str(), "waiting");
    gateway.tell(None, Input::Time);
    assert!(!gateway.planned);
    // The image waits on the disk; the signature that came with it is not asked for again.
    gateway.tell(Some(signed.now), Input::Time);
    assert_eq!(gateway.request, Some(SignatureWish::No));
    gateway.deliver(Some(signed.now), &signed.image, None);
    assert!(gateway.planned, "{:?}", gateway.told);
    let mut late = Gateway::new(signed.trust.clone(), None, None, "");
    late.deliver(None, &signed.image, Some(signed.evidence.clone()));
    let later = Some(signed.now.plus_us(60 * DAY_US));
    late.tell(later, Input::Time);
    late.deliver(later, &signed.image, None);
    late.assert_refused("expired at");
}

#[test]
fn a_clock_that_the_forwarders_gps_disputes_judges_no_certificate() {
    let signed = Signed::new("disputed", "P-256", 1000);
    let now = Some(signed.now);
    let mut gateway = Gateway::new(signed.trust.clone(), None, now, "");
    gateway.datagram(now, 2, "");
    gateway.uplink(signed.now, signed.now.plus_us(5_000_000));
    gateway.deliver(now, &signed.image, Some(signed.evidence.clone()));
    assert!(!gateway.planned && gateway.saves == 0, "{:?}", gateway.told);
    assert!(gateway.told.last().unwrap().contains("before the clock is trusted"), "{:?}", gateway.told);
    gateway.uplink(signed.now, signed.now);
    gateway.deliver(now, &signed.image, None);
    assert!(gateway.planned, "{:?}", gateway.told);
}

#[test]
fn a_signature_is_asked_for_where_somebody_is_trusted_and_must_be_good_where_there_is_one() {
    let signed = Signed::new("wish", "P-256", 2000);
    let digest = format!(r#","Fuotad":{{"Sha256":"{}"}}"#, fuotad::image::Digest::of(&signed.image));
    let now = Some(signed.now);
    let nobody = Gateway::new(SigningTrust::default(), None, now, "");
    assert_eq!(nobody.request, None, "what nobody can vouch for is not fetched");
    nobody.assert_refused("nothing vouches for an image from a cloud");
    let mut needed = Gateway::new(signed.trust.clone(), None, now, "");
    assert_eq!(needed.request, Some(SignatureWish::Needed));
    needed.deliver(now, &signed.image, None);
    needed.assert_refused("nothing vouches for an image from a cloud");
    let mut pinned = Gateway::new(signed.trust.clone(), None, now, &digest);
    assert_eq!(pinned.request, Some(SignatureWish::IfThere));
    pinned.deliver(now, &signed.image, None);
    assert!(pinned.planned);
    let mut both = Gateway::new(signed.trust.clone(), None, now, &digest);
    let wrong = Evidence { signature: one_wrong(&signed.evidence.signature), ..signed.evidence.clone() };
    both.deliver(now, &signed.image, Some(wrong));
    both.assert_refused("the signature");
    // A task's own trust counts instead of its group's.
    signed.pki.authority("stranger", "P-256");
    let stranger = trusting(&signed.pki, &["stranger"]);
    let mut own = Gateway::new(stranger.clone(), Some(signed.trust.clone()), now, "");
    own.deliver(now, &signed.image, Some(signed.evidence.clone()));
    assert!(own.planned, "{:?}", own.told);
    let mut foreign = Gateway::new(signed.trust.clone(), Some(stranger), now, "");
    foreign.deliver(now, &signed.image, Some(signed.evidence.clone()));
    foreign.assert_refused("leads to no configured anchor");
}

#[test]
fn check_tells_whether_the_signers_of_a_group_can_be_read() {
    let pki = Pki::new("check");
    pki.signer("signer", "P-256", "signer", CODE_SIGNING, 30);
    pki.write("nothing.pem", "no certificate");
    let check = |anchor: &str| {
        let dir = pki.dir().display();
        let text = format!(
            "[gateway]\nregion = \"EU868\"\n[[group]]\nname = \"meters\"\nmc-addr = \"01c0ffee\"\nsession = \"windows\"\n\
             mc-key-file = \"{dir}/no-key\"\n[group.signing]\nanchors = [\"{dir}/{anchor}\"]\n"
        );
        pki.write("fuotad.toml", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        let run = command.args(["check", "fuotad.toml"]).current_dir(pki.dir()).output().unwrap();
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    };
    let (code, told) = check("signer.pem");
    assert!(code == Some(0) && !told.contains("signer.pem"), "{told}");
    let (code, told) = check("missing.pem");
    assert!(code == Some(0) && told.contains("missing.pem is not here"), "{told}");
    let (code, told) = check("nothing.pem");
    assert!(code == Some(78) && told.contains("group meters.signing.anchors[0]: "), "{told}");
    assert!(told.contains("certificate 1 cannot be read"), "{told}");
}
