//! `fuotad verify`: would this signature let this image on the air?

use super::args::VerifyArgs;
use super::exit::Failure;
use super::exit::warn;
use super::files;
use crate::daemon::wall_clock;
use crate::image::Digest;
use crate::image::MAX_IMAGE_BYTES;
use crate::signing::Evidence;
use crate::signing::MAX_EVIDENCE_BYTES;
use crate::signing::SigningTrust;
use crate::signing::Validity;
use crate::signing::open_signed_object;
use crate::signing::verify;
use crate::task::gps_from_rfc3339;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

/// Checks, says who signed, and fails when nobody who is trusted did.
pub fn run(args: &VerifyArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let object = files::bytes(&args.image, MAX_IMAGE_BYTES)?;
    let (trust, evidence) = (trust(args)?, evidence(args)?);
    let now = match &args.at {
        None => wall_clock(),
        Some(text) => Some(gps_from_rfc3339(text).ok_or_else(|| {
            Failure::usage(format!("--at {text:?} is no RFC 3339 time like 2026-11-22T08:00:00Z"))
        })?),
    };
    let origin = args.image.display().to_string();
    let checked = match evidence {
        Some(evidence) => Ok((object, evidence)),
        None => match open_signed_object(&origin, &object) {
            Ok(Some(opened)) => Ok(opened),
            Ok(None) => {
                return Err(Failure::usage(format!(
                    "{origin} is no signed object of AWS Signer: give its signature with --signature FILE"
                )));
            }
            Err(error) => Err(error),
        },
    };
    let checked = checked.and_then(|(image, evidence)| {
        let evidence = Evidence {
            hash: args.hash.clone().or(evidence.hash),
            algorithm: args.algorithm.clone().or(evidence.algorithm),
            ..evidence
        };
        verify(&image, &evidence, &trust, now).map(|vouched| (image, vouched))
    });
    let (image, vouched) = match checked {
        Ok(checked) => checked,
        Err(error) if args.json => {
            writeln!(out, "{}", json!({"vouched": false, "reason": error.to_string()}))?;
            return Ok(ExitCode::from(65));
        }
        Err(error) => return Err(Failure::data(format!("{origin}: {error}"))),
    };
    let digest = Digest::of(&image).to_string();
    if args.json {
        let document = json!({
            "vouched": true, "image_bytes": image.len(), "sha256": digest, "signer": vouched.signer,
            "certificate_sha256": vouched.fingerprint.to_string(),
            "hash": vouched.hash.to_string(), "algorithm": vouched.algorithm.to_string(),
        });
        writeln!(out, "{document}")?;
    } else {
        writeln!(out, "{origin}: good: signed by {}", vouched.signer)?;
        writeln!(out, "  image        {} bytes, SHA-256 {digest}", image.len())?;
        writeln!(out, "  signature    {} over {}", vouched.algorithm, vouched.hash)?;
        writeln!(out, "  certificate  SHA-256 {}", vouched.fingerprint)?;
    }
    if args.anchor.is_empty() && args.pin.is_empty() {
        warn("without --anchor or --pin every certificate in --certificate was taken as trusted");
    }
    Ok(ExitCode::SUCCESS)
}

fn evidence(args: &VerifyArgs) -> Result<Option<Evidence>, Failure> {
    let Some(path) = &args.signature else { return Ok(None) };
    let bytes = files::bytes(path, MAX_EVIDENCE_BYTES)?;
    let evidence = Evidence::detached(&path.display().to_string(), bytes);
    Ok(Some(match &args.certificate {
        None => evidence,
        Some(path) => evidence.with_certificates(&files::bytes(path, MAX_EVIDENCE_BYTES)?),
    }))
}

/// The anchors and pins; where there are none, the certificates that are said to be the signer's.
fn trust(args: &VerifyArgs) -> Result<SigningTrust, Failure> {
    let mut trust = SigningTrust::new(Validity::Now, args.sha1);
    let mut anchors: Vec<_> = args.anchor.iter().collect();
    if anchors.is_empty() && args.pin.is_empty() {
        anchors.extend(&args.certificate);
    }
    for path in anchors {
        let bytes = files::bytes(path, MAX_EVIDENCE_BYTES)?;
        let read = trust.add_anchors(&bytes);
        read.map_err(|error| Failure::data(format!("{}: {error}", path.display())))?;
    }
    for pin in &args.pin {
        trust.add_pin(pin).map_err(|error| Failure::usage(format!("--pin {error}")))?;
    }
    if trust.is_empty() {
        return Err(Failure::usage("whom to trust? Give --certificate, --anchor or --pin"));
    }
    Ok(trust)
}
