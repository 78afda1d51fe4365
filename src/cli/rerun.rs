//! `fuotad rerun`: a task that is over is sent once more under a name of its own, as an order of the same image.

use super::args::DEFAULT_DEVICES;
use super::args::PlanArgs;
use super::exit::Failure;
use super::exit::warn;
use super::files;
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
use crate::fragment::MAX_FRAGMENTS;
use crate::image::Digest;
use crate::image::MAX_IMAGE_BYTES;
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

/// Finds the task, plans what is left of it, asks and places it.
pub fn run(args: &RerunArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let config = files::config(&args.config)?;
    let folder = StateFolder::read(&config.state.dir).map_err(Failure::from)?;
    let folder = folder.ok_or_else(|| Failure::data("the state folder is empty: no task is over"))?;
    let former = Former::find(&folder, &args.name)?;
    let image = former.image(args.image.as_deref())?;
    let name = former.next_name(&folder)?;
    let placing = Placing::new(&config, &name, &image)?;
    let plan_args = PlanArgs {
        task: placing.document.clone(),
        config: args.config.clone(),
        image: None,
        setup: false,
        svg: None,
        devices: PathBuf::from(DEFAULT_DEVICES),
        compare: false,
        server: None,
        json: false,
    };
    let mut warnings = Vec::new();
    let planned = (|| -> Result<Vec<u8>, Failure> {
        let (settings, _) = plan::settings(&config, &plan_args, &mut warnings)?;
        let group = former.group(&settings)?;
        let coded_from = if args.whole { None } else { former.coded_from(args, group, &mut warnings) };
        let wanted = former.document(args, (&config, group), &placing, coded_from, args.start.clone())?;
        let mut shown = wanted.clone();
        if args.start.is_none() && do_devices_decide(&config, group) {
            let begin = wall_clock().unwrap_or(order::NO_CLOCK).plus_us(DAY_US);
            let begin = Some(to_second(&rfc3339_from_gps(begin)));
            shown = former.document(args, (&config, group), &placing, coded_from, begin)?;
            warnings.push(
                "it begins when enough devices are ready (start-when); shown as if that were in a day"
                    .to_owned(),
            );
        }
        let order = plan::Order::new(&placing.document, shown, image.clone())?;
        plan::plan(&plan_args, &order, &mut warnings, out)?;
        Ok(wanted)
    })();
    warnings.iter().for_each(warn);
    let document = planned?;
    if !args.yes && !order::is_wanted(out)? {
        return Err(Failure::usage("nothing was ordered"));
    }
    out.flush()?;
    let told = placing.put(&image, &document)?;
    Ok(writeln!(out, "ordered {name}: {told}")?)
}

fn do_devices_decide(config: &Config, group: &Group) -> bool {
    config.group.iter().any(|known| known.name == group.name && known.start_when.is_some())
}

/// A task that is over, as the state folder has it.
struct Former {
    task: Task,
    record: Record,
    /// The member `planned` of its report; `Null` without one.
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
        let report = reports.rfind(|report| report["task"] == name);
        Ok(Former { task, record, planned: report.map_or(Value::Null, |report| report["planned"].clone()) })
    }

    /// The very image that was sent.
    fn image(&self, given: Option<&Path>) -> Result<Vec<u8>, Failure> {
        let path = match (given, &self.task.image) {
            (Some(path), _) => path,
            (None, ImageRef::File(path)) if Path::new(path).exists() => Path::new(path),
            (None, image) => {
                return Err(Failure::usage(format!(
                    "its image {image} is not kept here: give it with --image FILE"
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

    /// The first coded fragment that was certainly not sent before; `None`, with the reason, where the whole image has to be.
    fn coded_from(&self, args: &RerunArgs, group: &Group, warnings: &mut Vec<String>) -> Option<u16> {
        let number = |name: &str| self.planned[name].as_u64().and_then(|number| u32::try_from(number).ok());
        let mut whole = |why: &str| {
            warnings.push(format!("the whole image is sent: {why}"));
            None
        };
        if group.answer_window.is_some() {
            return whole("devices behind an lns are set up anew, which clears what they hold");
        }
        let (Some(nb_frag), Some(first), Some(end)) =
            (number("fragments"), number("first-fcnt"), number("end-fcnt"))
        else {
            return whole("no report of the task is left, so nobody knows which coded fragments were sent");
        };
        if self.planned["key"] != group.keys.fingerprint().to_string() {
            return whole("its group has another key now");
        }
        let sequence = Sequence::new(u16::try_from(nb_frag).ok()?);
        let began_at = self.task.coded_from.map_or(0, |coded| sequence.k_of_coded(coded));
        let next = sequence.coded_from(began_at + end.saturating_sub(first));
        let percent = args.redundancy.unwrap_or(self.task.redundancy_percent);
        let last = next + redundancy_fragments(u16::try_from(nb_frag).ok()?, percent) + nb_frag;
        match u16::try_from(next) {
            Ok(next) if last <= u32::from(MAX_FRAGMENTS) => Some(next),
            _ => whole("TS004 can number no more coded fragments of this image"),
        }
    }

    fn document(
        &self,
        args: &RerunArgs,
        (config, group): (&Config, &Group),
        placing: &Placing,
        coded_from: Option<u16>,
        start: Option<String>,
    ) -> Result<Vec<u8>, Failure> {
        let is_always = group.session == SessionRule::Always;
        let mut ours = json!({ "MulticastGroups": [group.name], "Sha256": self.record.digest });
        let descriptor = self.task.descriptor.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes));
        for (name, value) in [
            ("Start", start.or(is_always.then(|| "at-once".to_owned())).map(Value::from)),
            ("CodedFrom", coded_from.map(Value::from)),
            ("SessionTimeoutExponent", self.task.session_timeout_exponent.map(Value::from)),
            ("Descriptor", descriptor.map(Value::from)),
        ] {
            if let Some(value) = value {
                ours[name] = value;
            }
        }
        let mut document = json!({
            "FirmwareUpdateImage": format!("file://{}", placing.image.display()),
            "RedundancyPercent": args.redundancy.unwrap_or(self.task.redundancy_percent),
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
