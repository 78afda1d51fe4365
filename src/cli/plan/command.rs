//! The command itself: what it is given, what it asks, what it prints.

use super::answer::Answer;
use super::json::as_json;
use super::setup::ForDevices;
use super::setup::setup;
use super::text::print;
use crate::broadcast::Foreseen;
use crate::broadcast::Judgement;
use crate::broadcast::KnownImage;
use crate::broadcast::TaskSource;
use crate::campaign::Group;
use crate::cli::args::PlanArgs;
use crate::cli::check;
use crate::cli::exit::Failure;
use crate::cli::exit::warn;
use crate::cli::files;
use crate::cli::picture;
use crate::cli::picture::Line;
use crate::cli::picture::Picture;
use crate::cloud::FuotaTaskJson;
use crate::config::Config;
use crate::config::KeySource;
use crate::daemon::StartError;
use crate::daemon::StateFolder;
use crate::daemon::wall_clock;
use crate::engine::Settings;
use crate::image::MAX_IMAGE_BYTES;
use crate::lorawan::Secret;
use crate::plan::SessionPlan;
use crate::plan::Timetable;
use crate::plan::chances;
use crate::plan::choices;
use crate::plan::compare;
use crate::plan::counters_from;
use crate::plan::learned_from;
use crate::schedule::Kept;
use crate::signing::SigningTrust;
use crate::store::Recovered;
use crate::task::ImageRef;
use crate::task::MAX_TASK_BYTES;
use crate::task::Task;
use std::fmt;
use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

/// The promises of hearing that are compared.
const MIN_HEARD: [f64; 4] = [0.9, 0.8, 0.6, 0.0];

/// Colours of the lines of a picture, one for each group.
const COLOURS: [&str; 4] = ["#1769aa", "#1b7f3b", "#b3261e", "#8a5a00"];
const HOUR_US: u64 = 3_600_000_000;

/// Plans, prints, and fails when it cannot legally be done, or when nothing would come of it. What is to be said of the
/// order is said whatever comes of it.
pub fn run(args: &PlanArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let mut warnings = Vec::new();
    let planned = Order::read(args).and_then(|order| plan(args, &order, &mut warnings, out));
    warnings.iter().for_each(warn);
    planned.map(|()| ExitCode::SUCCESS)
}

/// Plans an order and prints it.
pub fn plan(
    args: &PlanArgs,
    order: &Order<'_>,
    warnings: &mut Vec<String>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let config = files::config(&args.config)?;
    let (settings, are_keys_seen) = settings(&config, args, warnings)?;
    let tasks = order.said.clone().into_task(&order.stem).and_then(Task::per_group);
    let tasks = tasks.map_err(|error| order.wrong(&error))?;
    let mut journal = Journal::read(&config, are_keys_seen, warnings);
    let judge = settings.judge();
    for task in &tasks {
        let image = KnownImage::Bytes(&order.image);
        let Judgement { warnings: more, outcome } = judge.judge(task, TaskSource::File, image, wall_clock());
        add(warnings, more);
        if !matches!(outcome, Foreseen::Sent(_)) {
            return Err(order.wrong(&outcome));
        }
    }
    if tasks.len() > 1 {
        // Each is shown alone below; whether they fit in beside each other is asked of all together.
        order.timetable(&settings, None, &order.document)?;
        warnings.push(format!("{} groups share the air: each is shown as if it were alone", tasks.len()));
    }
    let mut planned = Vec::new();
    for task in &tasks {
        let mut settings = settings.clone();
        add(warnings, journal.counters(&mut settings, task)?);
        learned_from(&mut settings, journal.recovered.as_ref());
        let timetable = order.timetable(&settings, journal.recovered.as_ref(), &order.document_of(task)?)?;
        add(warnings, timetable.planned.warnings.clone());
        let unheard =
            |what: String| format!("the gateway is not promised to hear: {what}: make max-deaf smaller");
        add(warnings, timetable.heard.broken().into_iter().map(unheard).collect());
        planned.push((task, settings, timetable));
    }
    let of_gateway: Vec<String> = check::no_server(&config).into_iter().chain(config.remarks()).collect();
    let all = [warnings.as_slice(), &of_gateway].concat();
    if let Some(path) = &args.svg {
        let timetables: Vec<&Timetable> = planned.iter().map(|(.., timetable)| timetable).collect();
        picture::write(path, &drawn(&order.stem, &timetables))?;
    }
    for (task, settings, timetable) in planned {
        let of_plan = |group: &&Group| group.name == timetable.planned.group;
        let group = settings.groups.iter().find(of_plan);
        let group = group.ok_or_else(|| Failure::config("the plan's group is not configured"))?;
        if args.setup {
            let of = ForDevices { config: &config, plan: &timetable, group, image: &order.image };
            setup(&of, args, warnings, out)?;
            continue;
        }
        let (mut compared, mut promises) = (Vec::new(), Vec::new());
        if args.compare {
            compared = compare(&settings, group, &timetable, order.image.len());
            promises = order.promises(&settings, &order.document_of(task)?);
        }
        let answer = Answer {
            compared: &compared,
            promises: &promises,
            name: task.id.as_str(),
            said: &order.said,
            timetable: &timetable,
            chances: &chances(&timetable.planned, group),
            choices: &choices(&settings, task, group, &order.image),
            data_rate: group.data_rate,
            power: group.power,
            knows_journal: journal.recovered.is_some(),
            warnings: &all,
        };
        match args.json {
            true => writeln!(out, "{}", as_json(&answer))?,
            false => print(&answer, out)?,
        }
    }
    warnings.extend(of_gateway);
    Ok(())
}

/// Frames over time, a line for each group.
fn drawn(name: &str, timetables: &[&Timetable]) -> Picture {
    let line = |(timetable, colour): (&&Timetable, &&'static str)| {
        let mut points = vec![(timetable.begin, 0)];
        for (index, hour) in timetable.hours.iter().enumerate() {
            let so_far = points.last().map_or(0, |(_, frames)| *frames) + u64::from(hour.frames);
            let at = timetable.begin.plus_us((index as u64 + 1) * HOUR_US).min(timetable.end);
            points.push((at, so_far));
        }
        let what = format!("frames to {}", timetable.planned.group);
        Line { what, colour, most: u64::from(timetable.frames), points }
    };
    let sessions = timetables.iter().flat_map(|timetable| timetable.sessions.iter());
    let span = |plan: &SessionPlan| {
        let session = plan.session;
        (session.start, session.start.plus_us(1_000_000 << session.exponent))
    };
    Picture {
        title: name.to_owned(),
        is_absolute: timetables.iter().all(|timetable| timetable.is_absolute),
        spans: sessions.map(span).collect(),
        lines: timetables.iter().zip(COLOURS.iter().cycle()).map(line).collect(),
    }
}

/// What is not said yet.
fn add(warnings: &mut Vec<String>, more: Vec<String>) {
    for warning in more {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

/// The service's settings; and whether all its keys could be seen.
pub fn settings(
    config: &Config,
    args: &PlanArgs,
    warnings: &mut Vec<String>,
) -> Result<(Settings, bool), Failure> {
    let mut are_keys_seen = true;
    let mut read_key = |source: KeySource<'_>| match source {
        // Only the service is passed it, and a timetable needs no key.
        KeySource::Credential(name) if !args.setup && files::credential(name)?.is_none() => {
            are_keys_seen = false;
            warnings.push(format!(
                "credential {name}: {}; it cannot be seen from here, so counters are shown as for a key that was never used",
                files::where_credentials_are(name)
            ));
            Ok(Secret::from_bytes([0; 16]))
        }
        source => files::key_from(source),
    };
    let wrong = |error| files::refused(&args.config, error);
    let mut settings = config.engine(&mut read_key).map_err(wrong)?;
    let mut certificates = |path: &Path| match path.exists() {
        true => files::certificates(path).map(Some),
        false => Ok(None),
    };
    config.trust(&mut settings, &mut certificates).map_err(wrong)?;
    let mut devices = |path: &Path| match path.exists() {
        true => files::prepared(path).map(Some),
        false => Ok(None),
    };
    config.hear_answers(&mut settings, &mut devices).map_err(wrong)?;
    Ok((settings, are_keys_seen))
}

/// What was ordered, with its image.
pub struct Order<'a> {
    path: &'a Path,
    stem: String,
    document: String,
    said: FuotaTaskJson,
    image: Vec<u8>,
}

impl<'a> Order<'a> {
    /// The document that lies, or will lie, at `path`, with its image.
    ///
    /// # Errors
    /// It is no task.
    pub fn new(path: &'a Path, document: Vec<u8>, image: Vec<u8>) -> Result<Order<'a>, Failure> {
        let wrong = |error: &dyn fmt::Display| Failure::data(format!("{}: {error}", path.display()));
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("task").to_owned();
        let said = FuotaTaskJson::from_slice(&document).map_err(|error| wrong(&error))?;
        let document = String::from_utf8(document).map_err(|error| wrong(&error))?;
        Ok(Order { path, stem, document, said, image })
    }

    fn read(args: &'a PlanArgs) -> Result<Order<'a>, Failure> {
        let path = args.task.as_path();
        let order = Order::new(path, files::bytes(path, MAX_TASK_BYTES)?, Vec::new())?;
        let task = order.task()?;
        let image = match (&args.image, &task.image) {
            (Some(path), _) => path.clone(),
            (None, ImageRef::File(path)) => PathBuf::from(path),
            (None, other) => {
                return Err(Failure::usage(format!(
                    "{other} is not on this disk: download it and give --image FILE"
                )));
            }
        };
        Ok(Order { image: files::bytes(&image, MAX_IMAGE_BYTES)?, ..order })
    }

    /// The task that is ordered.
    ///
    /// # Errors
    /// A value that no task can have.
    pub fn task(&self) -> Result<Task, Failure> {
        self.said.clone().into_task(&self.stem).map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &dyn fmt::Display) -> Failure {
        Failure::data(format!("{}: {error}", self.path.display()))
    }

    /// The document as if it were for the group of `task` alone.
    fn document_of(&self, task: &Task) -> Result<String, Failure> {
        if task.id == task.document_id {
            return Ok(self.document.clone());
        }
        let mut said = self.said.clone();
        said.fuotad.get_or_insert_default().multicast_groups = Some(task.groups.clone());
        serde_json::to_string(&said).map_err(|error| self.wrong(&error))
    }

    /// The same with other promises of hearing; those that law and devices do not let keep are left out.
    fn promises(&self, settings: &Settings, document: &str) -> Vec<(f64, Timetable)> {
        let with = |min_heard: f64| {
            let min_heard_ppm = (min_heard * 1e6).round() as u32;
            let settings = Settings { kept: Kept { min_heard_ppm, ..settings.kept }, ..settings.clone() };
            Some((min_heard, self.timetable(&settings, None, document).ok()?))
        };
        MIN_HEARD.into_iter().filter_map(with).collect()
    }

    /// Who vouches for the image was judged before, as far as it can be without what comes with it.
    fn timetable(
        &self,
        settings: &Settings,
        recovered: Option<&Recovered>,
        document: &str,
    ) -> Result<Timetable, Failure> {
        let mut settings = settings.clone();
        for group in &mut settings.groups {
            (group.accepts_unsigned, group.trust) = (true, SigningTrust::default());
        }
        let planned =
            Timetable::seen_at(wall_clock(), recovered, &settings, document, &self.stem, self.image.clone());
        planned.map_err(|error| self.wrong(&error))
    }
}

/// What the service's journal has of the counters.
struct Journal<'a> {
    dir: &'a Path,
    recovered: Option<Recovered>,
}

impl Journal<'_> {
    fn read<'a>(config: &'a Config, are_keys_seen: bool, warnings: &mut Vec<String>) -> Journal<'a> {
        let folder = StateFolder::read(&config.state.dir).unwrap_or_else(|error| {
            let why = match &error {
                StartError::StateDir { error, .. } if error.kind() == ErrorKind::PermissionDenied => {
                    "only root and the service read the state folder".to_owned()
                }
                other => other.to_string(),
            };
            warnings.push(format!("counters as for keys that were never used: {why}"));
            None
        });
        // Of a key that nobody saw the journal cannot be asked.
        let recovered = folder.map(|folder| folder.recovered).filter(|_| are_keys_seen);
        Journal { dir: &config.state.dir, recovered }
    }

    /// Lets each group begin where its counters are; what is to be said about it.
    fn counters(&mut self, settings: &mut Settings, task: &Task) -> Result<Vec<String>, Failure> {
        let dir = self.dir.display();
        let said = counters_from(settings, task, self.recovered.as_ref());
        let said = said.map_err(|error| Failure::data(format!("{dir}: {error}")))?;
        Ok(said.into_iter().map(|text| format!("{dir}: {text}")).collect())
    }
}
