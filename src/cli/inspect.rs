//! `fuotad inspect`: what we make, as JSON lines, to be compared with what others make.

use super::exit::Failure;
use super::files;
use super::group_args::AirtimeArgs;
use super::group_args::FrameArgs;
use super::group_args::InspectCommand;
use crate::fragment::Encoder;
use crate::fragment::FragmentError;
use crate::fragment::Layout;
use crate::fragment::MAX_FRAGMENTS;
use crate::fragment::Ts004Version;
use crate::image::MAX_IMAGE_BYTES;
use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::RootKey;
use crate::lorawan::Secret;
use crate::lorawan::encrypt_mc_key;
use crate::lorawan::mc_ke_key;
use crate::lorawan::multicast_frame;
use crate::radio::LoRaPacket;
use crate::radio::gfsk_airtime_us;
use crate::radio::lora_airtime_us;
use std::io::Write;
use std::path::Path;

/// GFSK preamble of LoRaWAN, bytes (RP002 preamble format).
const GFSK_PREAMBLE_BYTES: u16 = 5;

/// Runs one of the forms.
pub fn run(command: InspectCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        InspectCommand::Fragments { ts004, frag_size, coded, image } => {
            fragments(ts004, frag_size, coded, &image, out)
        }
        InspectCommand::Frames(args) => frames(&args, out),
        InspectCommand::Airtime(args) => airtime(&args, out),
        InspectCommand::Keys { mc_key, mc_addr, gen_app_key, app_key } => {
            keys(&mc_key, mc_addr, gen_app_key, app_key, out)
        }
    }
}

fn fragments(
    ts004: u8,
    frag_size: usize,
    coded: u16,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let version = Ts004Version::try_from(ts004)
        .map_err(|_| Failure::usage(format!("--ts004 {ts004}: the versions are 1 and 2")))?;
    let wrong = |error: FragmentError| match error {
        FragmentError::FragSize { .. } => Failure::usage(format!("--frag-size: {error}")),
        error => Failure::data(format!("{}: {error}", path.display())),
    };
    let image = files::bytes(path, MAX_IMAGE_BYTES)?;
    let layout = Layout::new(image.len(), frag_size).map_err(wrong)?;
    let last = u32::from(layout.nb_frag()) + u32::from(coded);
    let last = u16::try_from(last).ok().filter(|last| *last <= MAX_FRAGMENTS).ok_or_else(|| {
        let (nb_frag, most) = (layout.nb_frag(), MAX_FRAGMENTS - layout.nb_frag());
        Failure::usage(format!("--coded {coded} is too many: {nb_frag} uncoded fragments leave {most}"))
    })?;
    let mut encoder = Encoder::new(layout, version);
    let mut fragment = vec![0; layout.frag_size()];
    for n in 1..=last {
        encoder.fragment(&image, n, &mut fragment).map_err(wrong)?;
        writeln!(out, "{{\"n\":{n},\"hex\":\"{}\"}}", hex(&fragment))?;
    }
    Ok(())
}

fn frames(args: &FrameArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let keys = match (&args.mc_key, &args.mc_nwk_s_key, &args.mc_app_s_key) {
        (Some(mc_key), _, _) => McSessionKeys::derive(&secret("--mc-key", mc_key)?, args.mc_addr),
        (None, Some(nwk), Some(app)) => {
            McSessionKeys::from_parts(secret("--mc-nwk-s-key", nwk)?, secret("--mc-app-s-key", app)?)
        }
        _ => return Err(Failure::usage("give --mc-key, or --mc-nwk-s-key and --mc-app-s-key")),
    };
    let payload = unhex(&args.payload).ok_or_else(|| {
        let odd = args.payload.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit());
        let found = match odd {
            Some((index, c)) => {
                format!("character {} of --payload is {c:?}, which is no hex digit", index + 1)
            }
            None => format!("--payload has {} hex digits", args.payload.len()),
        };
        Failure::usage(format!("{found}: write two hex digits (0 to 9, a to f) for each byte"))
    })?;
    let frame =
        multicast_frame(&keys, args.mc_addr, args.fcnt, args.fport, &payload).map_err(Failure::usage)?;
    writeln!(out, "{{\"fcnt\":{},\"hex\":\"{}\"}}", args.fcnt, hex(&frame))?;
    Ok(())
}

fn airtime(args: &AirtimeArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let airtime_us = match (args.fsk_bps, args.sf, args.bw_hz) {
        (Some(bit_rate_bps), _, _) => gfsk_airtime_us(bit_rate_bps, GFSK_PREAMBLE_BYTES, args.len, true),
        (None, Some(sf), Some(bw_hz)) => lora_airtime_us(&LoRaPacket {
            sf,
            bw_hz,
            cr: args.cr,
            preamble_symbols: args.preamble.unwrap_or(if sf <= 6 { 12 } else { 8 }),
            explicit_header: !args.implicit,
            crc: args.crc,
            low_data_rate: None,
            phy_len: args.len,
        }),
        _ => return Err(Failure::usage("give --sf and --bw-hz, or --fsk-bps")),
    };
    writeln!(out, "{{\"airtime_us\":{}}}", airtime_us.map_err(Failure::usage)?)?;
    Ok(())
}

/// The only place that ever prints a key.
fn keys(
    mc_key: &str,
    mc_addr: McAddr,
    gen_app_key: Option<String>,
    app_key: Option<String>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mc_key = secret("--mc-key", mc_key)?;
    let session = McSessionKeys::derive(&mc_key, mc_addr);
    let root = match (gen_app_key, app_key) {
        (Some(key), _) => Some(RootKey::GenAppKey(secret("--gen-app-key", &key)?)),
        (None, Some(key)) => Some(RootKey::AppKey(secret("--app-key", &key)?)),
        (None, None) => None,
    };
    let root_key = root.map(|root| root.mc_root_key());
    let ke_key = root_key.as_ref().map(mc_ke_key);
    let encrypted = ke_key.as_ref().map(|ke_key| encrypt_mc_key(ke_key, &mc_key));
    let text = |key: Option<&[u8; 16]>| key.map_or("null".to_owned(), |key| format!("\"{}\"", hex(key)));
    writeln!(
        out,
        "{{\"mc_app_s_key\":{},\"mc_nwk_s_key\":{},\"mc_root_key\":{},\"mc_ke_key\":{},\"mc_key_encrypted\":{}}}",
        text(Some(session.mc_app_s_key().expose())),
        text(Some(session.mc_nwk_s_key().expose())),
        text(root_key.as_ref().map(Secret::expose)),
        text(ke_key.as_ref().map(Secret::expose)),
        text(encrypted.as_ref()),
    )?;
    Ok(())
}

fn secret(option: &str, text: &str) -> Result<Secret, Failure> {
    Secret::from_hex(text).map_err(|error| Failure::usage(format!("{option}: {error}")))
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
