//! `plan --setup`: the commands of each device, for somebody to queue by hand.

use super::text::NEEDS_CLOCK;
use crate::campaign::Group;
use crate::campaign::setup::DeviceKeys;
use crate::campaign::setup::SetupCommand;
use crate::cli::args::PlanArgs;
use crate::cli::exit::Failure;
use crate::cli::files;
use crate::cli::inspect::hex;
use crate::config::Config;
use crate::config::DeviceConfig;
use crate::config::Devices;
use crate::config::Hex;
use crate::lns::Address;
use crate::lns::Dialect;
use crate::lns::ItemId;
use crate::lns::Push;
use crate::lns::Topics;
use crate::lorawan::Eui64;
use crate::lorawan::mc_key_check;
use crate::plan::Timetable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use std::io::Write;

/// What the devices of a group are set up for.
pub struct ForDevices<'a> {
    pub config: &'a Config,
    pub plan: &'a Timetable,
    pub group: &'a Group,
    pub image: &'a [u8],
}

/// Prints the commands of all devices, or none: half of them would be half a campaign.
pub fn setup(
    of: &ForDevices<'_>,
    args: &PlanArgs,
    warnings: &mut Vec<String>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let path = args.devices.display();
    let wrong = |error: String| Failure::data(format!("{path}: {error}"));
    let devices = files::devices(&args.devices)?;
    check_key(&devices, of.group).map_err(wrong)?;
    let server = args.server.map(|kind| server(of, kind)).transpose()?;
    let mut lines = Vec::new();
    for device in &devices.device {
        let commands = commands(of, &devices, device).map_err(wrong)?;
        for (number, command) in commands.iter().enumerate() {
            let line = match &server {
                None => Ok(plain(device, command)),
                Some(server) => server.line(of.group, device, number, command),
            };
            lines.push(line.map_err(wrong)?);
        }
    }
    warnings.extend(files::open_to_the_world(&args.devices));
    if !of.plan.sessions.is_empty() {
        warnings.push(NEEDS_CLOCK.to_owned());
    }
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

/// A file that was prepared with another McKey sets up devices that nobody can send to.
fn check_key(devices: &Devices, group: &Group) -> Result<(), String> {
    let ours = group.mc_key.as_ref().map(|mc_key| Hex(mc_key_check(mc_key)));
    match devices.mc_key_check.zip(ours) {
        Some((made_with, ours)) if made_with != ours => Err(format!(
            "mc-key-check {made_with} is of another McKey than that of group {}, which has {ours}",
            group.name
        )),
        _ => Ok(()),
    }
}

fn commands(
    of: &ForDevices<'_>,
    devices: &Devices,
    device: &DeviceConfig,
) -> Result<Vec<SetupCommand>, String> {
    let made = match device.mc_key_encrypted {
        Some(Hex(mc_key_encrypted)) => {
            let mic = mic(of, devices, device);
            of.plan.setup(of.group, of.image, &DeviceKeys::Prepared { mc_key_encrypted, mic })
        }
        None => {
            let root_key = &device.root_key().map_err(|error| error.to_string())?;
            let session_cnt = device.session_cnt;
            of.plan.setup(of.group, of.image, &DeviceKeys::Root { root_key, session_cnt })
        }
    };
    made.map_err(|error| format!("device {}: {error}", device.name))
}

/// The device's next session count and the MIC with it, where the file has one of this image.
fn mic(of: &ForDevices<'_>, devices: &Devices, device: &DeviceConfig) -> Option<(u16, [u8; 4])> {
    let image = devices.image.as_ref()?;
    let is_of_this = image.sha256 == Hex(Sha256::digest(of.image).into())
        && image.descriptor == Hex(of.plan.planned.descriptor);
    let session_cnt = device.session_cnt.max(image.first_session_cnt);
    let mic = device.mics.get(usize::from(session_cnt - image.first_session_cnt));
    mic.filter(|_| is_of_this).map(|Hex(mic)| (session_cnt, *mic))
}

fn plain(device: &DeviceConfig, command: &SetupCommand) -> Value {
    json!({
        "device": device.name,
        "dev_eui": device.dev_eui,
        "command": command.name,
        "fport": command.fport,
        "hex": hex(&command.payload),
        "base64": STANDARD.encode(&command.payload),
        "session": command.session.map(|session| session + 1),
    })
}

/// A network server that the lines are written for.
struct Server {
    topics: Topics,
    application: String,
}

/// The network server of this kind that the configuration has.
fn server(of: &ForDevices<'_>, kind: Dialect) -> Result<Server, Failure> {
    let named =
        of.config.group.iter().find(|group| group.name == of.group.name).and_then(|group| group.lns.as_ref());
    let mut of_kind = of.config.lns.iter().filter(|lns| lns.kind == kind);
    let lns = match named {
        Some(name) => of_kind.find(|lns| lns.name == *name),
        None => of_kind.next(),
    };
    let lns = lns.ok_or_else(|| {
        let group = &of.group.name;
        Failure::config(format!("--for {kind}: group {group} has no [[lns]] of this kind, and its applications stand in the topics"))
    })?;
    let topics = lns.topics().map_err(Failure::config)?;
    let application = topics.applications().first().cloned().unwrap_or_default();
    Ok(Server { topics, application })
}

impl Server {
    /// The line of one command: where to publish what.
    fn line(
        &self,
        group: &Group,
        device: &DeviceConfig,
        number: usize,
        command: &SetupCommand,
    ) -> Result<Value, String> {
        let missing = || {
            format!("device {}: dev-eui is missing, and a network server knows no other name", device.name)
        };
        let dev_eui: Eui64 =
            device.dev_eui.as_ref().and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        let in_topic = match self.topics.dialect() {
            Dialect::ChirpStack => dev_eui.to_string(),
            // What The Things Stack proposes where nobody chose another.
            Dialect::TheThingsStack => device.device_id.clone().unwrap_or_else(|| format!("eui-{dev_eui}")),
        };
        let push = Push {
            device: Address { dev_eui, application: self.application.clone(), device: in_topic },
            item: ItemId::new(dev_eui, group.keys.fingerprint().as_bytes(), number as u64),
            f_port: command.fport,
            payload: command.payload.clone(),
            expires_at: None,
        };
        let payload: Value =
            serde_json::from_str(&push.document(self.topics.dialect())).map_err(|error| error.to_string())?;
        Ok(json!({
            "device": device.name,
            "dev_eui": dev_eui.to_string(),
            "command": command.name,
            "session": command.session.map(|session| session + 1),
            "topic": self.topics.push(&push.device),
            "payload": payload,
        }))
    }
}
