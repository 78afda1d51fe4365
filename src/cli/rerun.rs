//! `fuotad rerun`: a task that is over is sent once more under a name of its own, as an order of the same image.

use super::args::DEFAULT_DEVICES;
use super::args::PlanArgs;
use super::exit::Failure;
use super::exit::warn;
use super::files;
use super::leftover::Leftover;
use super::operator_args::RerunArgs;
use super::order;
use super::order::Placing;
use super::plan;
use super::table::to_second;
use crate::broadcast::Record;
use crate::broadcast::RecordState;
use crate::campaign::Group;
use crate::campaign::Sequence;
use crate::campaign::SessionRule;
use crate::cloud::task_from_file;
use crate::config::Config;
use crate::daemon::StateFolder;
use crate::daemon::wall_clock;
use crate::engine::Settings;
use crate::fleet::FragSession;
use crate::fragment::MAX_FRAGMENTS;
use crate::fragment::Ts004Version;
use crate::image::Digest;
use crate::image::MAX_IMAGE_BYTES;
use crate::lorawan::Eui64;
use crate::lorawan::PackageVersion;
use crate::odds::coded_to_complete;
use crate::store::RecordId;
use crate::task::ImageRef;
use crate::task::Task;
use crate::task::TaskId;
use crate::task::redundancy_fragments;
use crate::task::rfc3339_from_gps;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

const DAY_US: u64 = 86_400_000_000;
/// Loss that is assumed of devices that miss fragments; the device that misses most completes with this probability before
/// the first question.
const USUAL_LOSS: f64 = 0.15;
const CONFIDENCE: f64 = 0.7;
/// An order for more devices does not fit into one request to the service: it goes by the task folder.
const OVER_SOCKET_MAX: usize = 350;

/// Finds the task, plans what is left of it, asks and places it.
pub fn run(args: &RerunArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let config = files::config(&args.config)?;
    let folder = StateFolder::read(&config.state.dir).map_err(Failure::from)?;
    let folder = folder.ok_or_else(|| Failure::data("the state folder is empty: no task is over"))?;
    let former = Former::find(&folder, &args.name)?;
    let image = former.image(args.image.as_deref())?;
    let name = former.next_name(&folder)?;
    let mut warnings = Vec::new();
    let planned = planned(args, (&config, &folder), &former, (&name, &image), &mut warnings, out);
    warnings.iter().for_each(warn);
    let (placing, document) = planned?;
    if !args.yes && !order::is_wanted(out)? {
        return Err(Failure::usage("nothing was ordered"));
    }
    out.flush()?;
    let told = placing.put(&image, &document)?;
    Ok(writeln!(out, "ordered {name}: {told}")?)
}

/// Plans what is left of the task and shows it: where the order goes, and its document.
fn planned(
    args: &RerunArgs,
    (config, folder): (&Config, &StateFolder),
    former: &Former,
    (name, image): (&str, &[u8]),
    warnings: &mut Vec<String>,
    out: &mut dyn Write,
) -> Result<(Placing, Vec<u8>), Failure> {
    let mut plan_args = PlanArgs {
        task: PathBuf::new(),
        config: args.config.clone(),
        image: None,
        setup: false,
        svg: None,
        devices: PathBuf::from(DEFAULT_DEVICES),
        compare: false,
        server: None,
        json: false,
    };
    let (settings, _) = plan::settings(config, &plan_args, warnings)?;
    let group = former.group(&settings)?;
    let of = Rest::find(args, former, (config, &settings, group), folder, image.len(), warnings)?;
    let placing = match &of.left {
        Some(left) if left.devices().len() > OVER_SOCKET_MAX => Placing::in_folder(config, name)?,
        _ => Placing::new(config, name, image)?,
    };
    plan_args.task.clone_from(&placing.document);
    if let Some(left) = &of.left {
        writeln!(out, "{}", left.sentence())?;
    }
    let wanted = former.document(&of, (config, group), &placing, args.start.clone())?;
    let mut shown = wanted.clone();
    if args.start.is_none() && do_devices_decide(config, group) {
        let begin = wall_clock().unwrap_or(order::NO_CLOCK).plus_us(DAY_US);
        let begin = Some(to_second(&rfc3339_from_gps(begin)));
        shown = former.document(&of, (config, group), &placing, begin)?;
        warnings.push(
            "it begins when enough devices are ready (start-when); shown as if that were in a day".to_owned(),
        );
    }
    let order = plan::Order::new(&placing.document, shown, image.to_vec())?;
    plan::plan(&plan_args, &order, warnings, out)?;
    Ok((placing, wanted))
}

fn do_devices_decide(config: &Config, group: &Group) -> bool {
    config.group.iter().any(|known| known.name == group.name && known.start_when.is_some())
}

/// What of the image is sent, and to whom.
struct Rest {
    /// The first coded fragment, where no other is sent.
    coded_from: Option<u16>,
    /// Coded fragments in percent of the uncoded ones.
    percent: u8,
    /// The devices that are sent to; `None`: all of the group.
    left: Option<Leftover>,
}

impl Rest {
    fn find(
        args: &RerunArgs,
        former: &Former,
        (config, settings, group): (&Config, &Settings, &Group),
        folder: &StateFolder,
        image_bytes: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Rest, Failure> {
        let mut percent = args.redundancy.unwrap_or(former.task.redundancy_percent);
        let is_behind_lns = config.group.iter().any(|known| known.name == group.name && known.lns.is_some());
        if !is_behind_lns {
            let coded_from = if args.whole { None } else { former.coded_from(percent, group, warnings) };
            return Ok(Rest { coded_from, percent, left: None });
        }
        if group.session == SessionRule::Always && args.start.is_none() {
            return Err(Failure::usage(format!(
                "the devices of group {} are told its new counters before the first fragment: give --start with a time that leaves each of them an uplink or two",
                group.name
            )));
        }
        if args.all {
            warnings.push(
                "the whole image is sent: all devices are set up anew, also those that hold it".to_owned(),
            );
            return Ok(Rest { coded_from: None, percent, left: None });
        }
        let key = group.keys.fingerprint();
        let (all, session) =
            (members(args, config, settings, group)?, former.frag_session(group, image_bytes));
        let records = &folder.recovered.fleets;
        let left = Leftover::find(&former.task.id, (key, &all), session.as_ref(), records, &former.report)?;
        let mut coded_from = None;
        match left.needs_whole() {
            _ if args.whole => {}
            Some(why) => warnings.push(format!("the whole image is sent: {why}")),
            None => {
                let nb_frag = session.map_or(1, |session| u32::from(session.nb_frag));
                let wanted = u32::from(coded_to_complete(left.worst(), USUAL_LOSS, CONFIDENCE));
                let enough = (wanted * 100).div_ceil(nb_frag).clamp(1, 100) as u8;
                percent = args.redundancy.unwrap_or(enough);
                coded_from = former.coded_from(percent, group, warnings);
                if coded_from.is_none() {
                    percent = args.redundancy.unwrap_or(former.task.redundancy_percent);
                }
            }
        }
        Ok(Rest { coded_from, percent, left: Some(left) })
    }
}

/// The devices of a group that are set up here.
fn members(
    args: &RerunArgs,
    config: &Config,
    settings: &Settings,
    group: &Group,
) -> Result<Vec<Eui64>, Failure> {
    let wrong = |error| files::refused(&args.config, error);
    let mut settings = settings.clone();
    let mut devices = |path: &Path| files::prepared(path).map(Some);
    let fleets = config.hear_answers(&mut settings, &mut devices).map_err(wrong)?;
    let fleet = fleets.into_iter().find(|fleet| fleet.group == group.name);
    let members = fleet.map(|fleet| fleet.members.iter().map(|member| member.dev_eui).collect());
    members.ok_or_else(|| {
        Failure::config(format!(
            "group {} has an lns and no devices-file: nobody knows its devices",
            group.name
        ))
    })
}

/// A task that is over, as the state folder has it.
struct Former {
    task: Task,
    record: Record,
    /// Its report, and the member `planned` of that; `Null` without one.
    report: Value,
    planned: Value,
}

impl Former {
    fn find(folder: &StateFolder, name: &str) -> Result<Former, Failure> {
        let id = TaskId::new(name).map_err(|error| Failure::usage(format!("{name:?}: {error}")))?;
        let record = RecordId(id.record_id());
        let found = folder.recovered.tasks.iter().find(|task| task.id == record);
        let unknown = || {
            let why = "is no task that is known here: `fuotad history` has them, of several groups with @ and the group";
            Failure::data(format!("{name} {why}"))
        };
        let record = found.and_then(|task| Record::from_bytes(&task.bytes).ok()).ok_or_else(unknown)?;
        if record.state == RecordState::Armed
            && !folder.recovered.ended.iter().any(|ended| ended.task.0 == id.record_id())
        {
            return Err(Failure::data(format!(
                "{name} is not over: `fuotad tasks` shows it, `fuotad cancel {name}` ends it"
            )));
        }
        if record.digest.is_empty() {
            return Err(Failure::data(format!("{name} ended before its image was seen: order it anew")));
        }
        let task = task_from_file(record.document.as_bytes(), &record.stem);
        let task = task
            .and_then(|task| task.for_group(&record.group))
            .map_err(|error| Failure::data(format!("{name}: {error}")))?;
        let mut reports =
            folder.reports.iter().filter_map(|(_, text)| serde_json::from_slice::<Value>(text).ok());
        let report = reports.rfind(|report| report["task"] == name).unwrap_or_default();
        Ok(Former { task, record, planned: report["planned"].clone(), report })
    }

    /// The very image that was sent.
    fn image(&self, given: Option<&Path>) -> Result<Vec<u8>, Failure> {
        let path = match (given, &self.task.image) {
            (Some(path), _) => path,
            (None, ImageRef::File(path)) if Path::new(path).exists() => Path::new(path),
            (None, image) => {
                return Err(Failure::usage(format!(
                    "its image {image} is not kept here, as a finished order's is removed: give it with --image FILE"
                )));
            }
        };
        let image = files::bytes(path, MAX_IMAGE_BYTES)?;
        let found = Digest::of(&image).to_string();
        if found != self.record.digest {
            return Err(Failure::data(format!(
                "{}: its SHA-256 is {found}, and {} was sent: give that image with --image, or order this one as a new task",
                path.display(),
                self.record.digest
            )));
        }
        Ok(image)
    }

    /// TASK~2, or the first number after it that is free.
    fn next_name(&self, folder: &StateFolder) -> Result<String, Failure> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let id = self.task.document_id.as_str();
        let stem = id.rsplit_once('~').filter(|(_, n)| n.parse::<u32>().is_ok()).map_or(id, |(stem, _)| stem);
        let stem: String = stem.chars().map(|c| if is_plain(c) { c } else { '-' }).take(100).collect();
        let is_known = |name: &String| {
            let record = TaskId::new(name).map(|id| RecordId(id.record_id())).ok();
            folder.recovered.tasks.iter().any(|task| Some(task.id) == record)
                || folder.recovered.ended.iter().any(|ended| Some(ended.task) == record)
        };
        let mut names = (2..1000).map(|n| format!("{}~{n}", stem.trim_start_matches(['-', '.', '_'])));
        names
            .find(|name| !is_known(name))
            .ok_or_else(|| Failure::data("it was sent too often: order it anew"))
    }

    fn group<'a>(&self, settings: &'a Settings) -> Result<&'a Group, Failure> {
        let name = &self.record.group;
        let found = settings.groups.iter().find(|group| group.name == *name);
        found.ok_or_else(|| Failure::data(format!("its group {name} is not configured any more")))
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.planned[name].as_u64().and_then(|number| u32::try_from(number).ok())
    }

    /// The fragmentation session that its devices were told, of an image of so many bytes.
    fn frag_session(&self, group: &Group, image_bytes: usize) -> Option<FragSession> {
        let nb_frag = u16::try_from(self.number("fragments")?).ok()?;
        let frag_size = u8::try_from(self.number("fragment-size")?).ok()?;
        let padding = (usize::from(nb_frag) * usize::from(frag_size)).checked_sub(image_bytes)?;
        Some(FragSession {
            version: match group.ts004_version {
                Ts004Version::V1 => PackageVersion::V1,
                Ts004Version::V2 => PackageVersion::V2,
            },
            nb_frag,
            frag_size,
            padding: u8::try_from(padding).ok()?,
            descriptor: self.task.frag_descriptor().unwrap_or_default(),
            sha256: self.record.digest.parse::<Digest>().ok().map(|digest| *digest.as_bytes()),
        })
    }

    /// The first coded fragment that was certainly not sent before; `None`, with the reason, where the whole image has to be.
    fn coded_from(&self, percent: u8, group: &Group, warnings: &mut Vec<String>) -> Option<u16> {
        let mut whole = |why: &str| {
            warnings.push(format!("the whole image is sent: {why}"));
            None
        };
        let (Some(nb_frag), Some(first), Some(end)) =
            (self.number("fragments"), self.number("first-fcnt"), self.number("end-fcnt"))
        else {
            return whole("no report of the task is left, so nobody knows which coded fragments were sent");
        };
        if self.planned["key"] != group.keys.fingerprint().to_string() {
            return whole("its group has another key now");
        }
        let sequence = Sequence::new(u16::try_from(nb_frag).ok()?);
        let began_at = self.task.coded_from.map_or(0, |coded| sequence.k_of_coded(coded));
        let next = sequence.coded_from(began_at + end.saturating_sub(first));
        let last = next + redundancy_fragments(u16::try_from(nb_frag).ok()?, percent) + nb_frag;
        match u16::try_from(next) {
            Ok(next) if last <= u32::from(MAX_FRAGMENTS) => Some(next),
            _ => whole("TS004 can number no more coded fragments of this image"),
        }
    }

    fn document(
        &self,
        of: &Rest,
        (config, group): (&Config, &Group),
        placing: &Placing,
        start: Option<String>,
    ) -> Result<Vec<u8>, Failure> {
        let is_always = group.session == SessionRule::Always;
        let mut ours = json!({ "MulticastGroups": [group.name], "Sha256": self.record.digest });
        let descriptor = self.task.descriptor.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes));
        for (name, value) in [
            ("Start", start.or(is_always.then(|| "at-once".to_owned())).map(Value::from)),
            ("CodedFrom", of.coded_from.map(Value::from)),
            ("Devices", of.left.as_ref().map(|left| left.devices().into())),
            ("SessionTimeoutExponent", self.task.session_timeout_exponent.map(Value::from)),
            ("Descriptor", descriptor.map(Value::from)),
        ] {
            if let Some(value) = value {
                ours[name] = value;
            }
        }
        let mut document = json!({
            "FirmwareUpdateImage": format!("file://{}", placing.image.display()),
            "RedundancyPercent": of.percent,
            "LoRaWAN": { "RfRegion": config.gateway.region },
            "Fuotad": ours,
        });
        let planned = self.planned["fragment-size"].as_u64();
        if let Some(size) = self.task.fragment_size_bytes.map(u64::from).or(planned) {
            document["FragmentSizeBytes"] = size.into();
        }
        Ok(format!("{document:#}\n").into_bytes())
    }
}
