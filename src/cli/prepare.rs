//! `fuotad prepare`: at a desk, from a list of devices and root keys to the devices file of a gateway, which has no
//! root key in it.

use super::exit::Failure;
use super::exit::warn;
use super::files;
use super::group::make_secret_file;
use super::prepare_args::PrepareArgs;
use super::prepare_args::RootKind;
use super::prepare_args::SessionCounts;
use crate::config::Hex;
use crate::config::ListedDevice;
use crate::config::batch_name;
use crate::config::listed_devices;
use crate::image::MAX_IMAGE_BYTES;
use crate::lorawan::RootKey;
use crate::lorawan::Secret;
use crate::lorawan::data_block_mic;
use crate::lorawan::encrypt_mc_key;
use crate::lorawan::mc_ke_key;
use crate::lorawan::mc_key_check;
use sha2::Digest;
use sha2::Sha256;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// A list has at most so many bytes: 5000 devices with long names.
const LIST_BYTES_MAX: u64 = 4 << 20;
/// All known decoders hold one fragmentation session; its index is 0.
const FRAG_INDEX: u8 = 0;

/// What the MICs of TS004 v2 are made of.
struct Block {
    image: Vec<u8>,
    counts: SessionCounts,
    descriptor: [u8; 4],
}

/// Reads the list from standard input and writes the devices file.
pub fn run(args: &PrepareArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mc_key = files::key(&args.mc_key_file).map_err(Failure::no_input)?;
    if *mc_key.expose() == [0; 16] {
        return Err(Failure::data(format!(
            "{}: the McKey is all zeros, which is no key",
            args.mc_key_file.display()
        )));
    }
    let block = match (&args.image, args.session_cnt) {
        (Some(path), Some(counts)) => {
            let image = files::bytes(path, MAX_IMAGE_BYTES)?;
            Some(Block { image, counts, descriptor: args.descriptor.0 })
        }
        _ => None,
    };
    let list = list()?;
    let devices =
        listed_devices(&list).map_err(|error| Failure::text(65, Path::new("standard input"), &error))?;
    check_versions(&devices, args.root)?;
    if let Some(device) = shared_key(&devices) {
        warn(format!(
            "line {}: another device has the same root key: whoever reads it out of one reads the downlinks of both",
            device.line
        ));
    }
    let text = Zeroizing::new(devices_file(args, &mc_key, &devices, block.as_ref()));
    match &args.out {
        None => out.write_all(text.as_bytes())?,
        Some(path) => drop(make_secret_file(path, &text, "--out")?),
    }
    let check = Hex(mc_key_check(&mc_key));
    warn(format!("{} devices of group {}; McKey check {check}", devices.len(), args.group));
    Ok(())
}

fn list() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(LIST_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::data(format!("standard input: {error}")))?;
    if text.len() as u64 > LIST_BYTES_MAX {
        return Err(Failure::data(format!("standard input: it is over the limit of {LIST_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// A key of the wrong kind gives a McKey that no device can use, and nothing ever says so.
fn check_versions(devices: &[ListedDevice], root: RootKind) -> Result<(), Failure> {
    for device in devices {
        let Some(version) = &device.lorawan else { continue };
        let fits = match root {
            RootKind::AppKey11 => version.starts_with("1.1"),
            RootKind::GenAppKey | RootKind::AppKey10 => version.starts_with("1.0"),
        };
        if !fits {
            return Err(Failure::data(format!(
                "standard input: line {}: lorawan {version:?} and --root {} do not go together: devices of 1.0.x have gen-app-key (or app-key-1.0), those of 1.1 app-key-1.1; prepare them apart",
                device.line,
                root.name()
            )));
        }
    }
    Ok(())
}

/// The first device whose key another one has, too.
fn shared_key(devices: &[ListedDevice]) -> Option<&ListedDevice> {
    let mut keys = BTreeSet::new();
    devices.iter().find(|device| !keys.insert(device.root_key.expose()))
}

fn devices_file(
    args: &PrepareArgs,
    mc_key: &Secret,
    devices: &[ListedDevice],
    block: Option<&Block>,
) -> String {
    let mut text = String::from("# Made by `fuotad prepare`. There is no root key in it.\n");
    let _ = writeln!(text, "group = {}", quoted(&args.group));
    let _ = writeln!(text, "mc-key-check = \"{}\"", Hex(mc_key_check(mc_key)));
    let encrypted = |device: &ListedDevice| {
        let root = args.root.of(device.root_key.clone());
        encrypt_mc_key(&mc_ke_key(&root.mc_root_key()), mc_key)
    };
    let of_list = || batch_name(devices.iter().map(|device| (device.dev_eui.to_string(), encrypted(device))));
    let batch = args.batch.clone().unwrap_or_else(of_list);
    let _ = writeln!(text, "batch = {}", quoted(&batch));
    if let Some(Block { image, counts, descriptor }) = block {
        let _ = writeln!(text, "\n[image]\nsha256 = \"{}\"", Hex::<32>(Sha256::digest(image).into()));
        let _ = writeln!(text, "bytes = {}\nfirst-session-cnt = {}", image.len(), counts.first);
        let _ = writeln!(text, "descriptor = \"{}\"", Hex(*descriptor));
    }
    for device in devices {
        let _ =
            writeln!(text, "\n[[device]]\nname = {}\ndev-eui = \"{}\"", quoted(&device.name), device.dev_eui);
        for (key, value) in
            [("device-id", &device.device_id), ("lorawan", &device.lorawan), ("hardware", &device.hardware)]
        {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
        let root = args.root.of(device.root_key.clone());
        let _ = writeln!(text, "mc-key-encrypted = \"{}\"", Hex(encrypted(device)));
        if let Some(Block { image, counts, descriptor }) = block {
            let mic = |count| Hex(data_block_mic(&root, count, FRAG_INDEX, *descriptor, image));
            let mics: Vec<String> =
                (counts.first..=counts.last).map(|count| format!("\"{}\"", mic(count))).collect();
            let _ = writeln!(text, "mics = [{}]", mics.join(", "));
        }
        if args.with_integrity_keys {
            let key = Hex(*root.data_block_int_key().expose());
            let _ = writeln!(text, "data-block-int-key = \"{key}\"");
        }
    }
    text
}

/// `text` as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl RootKind {
    fn of(self, key: Secret) -> RootKey {
        match self {
            // Stacks of 1.0.x that take the AppKey for the GenAppKey derive the same way.
            RootKind::GenAppKey | RootKind::AppKey10 => RootKey::GenAppKey(key),
            RootKind::AppKey11 => RootKey::AppKey(key),
        }
    }

    fn name(self) -> &'static str {
        match self {
            RootKind::GenAppKey => "gen-app-key",
            RootKind::AppKey10 => "app-key-1.0",
            RootKind::AppKey11 => "app-key-1.1",
        }
    }
}
