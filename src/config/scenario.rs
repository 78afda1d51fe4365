//! A scenario: a configuration with a world around it, for `fuotad simulate`.

use super::error::ConfigError;
use super::file::Config;
use super::group::GroupConfig;
use super::lns::LnsConfig;
use super::read::read;
use crate::campaign::SessionRule;
use crate::fragment::Ts004Version;
use crate::lorawan::RootKey;
use crate::lorawan::Secret;
use crate::sim::DeviceScript;
use crate::sim::Fault;
use crate::sim::Loss;
use crate::sim::Script;
use crate::sim::TaskScript;
use crate::sim::concentrator;
use crate::sim::device;
use crate::task::gps_from_rfc3339;
use serde::Deserialize;
use sha2::Digest as _;
use sha2::Sha256;
use std::collections::BTreeMap;

/// Devices in one scenario, at most.
const DEVICES_MAX: usize = 10_000;
/// Uplinks an hour, at most: ten a second is more than a busy gateway hears.
const UPLINKS_PER_HOUR_MAX: u32 = 36_000;
/// The longest mean burst: longer ones cannot be told from a dead device.
const BURST_MAX_FRAMES: f64 = 1000.0;
/// Devices behind an `[[lns]]` are asked what they hold for as long as `give-up` says, and answer for so long, microseconds.
const AFTER_QUESTIONS_US: u64 = 60_000_000;
/// No crystal is off by more, parts per million either way.
const DRIFT_MAX_PPM: f64 = 1000.0;

/// A scenario file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// One line on what it shows.
    #[serde(default)]
    pub title: String,
    /// The place and time.
    pub world: WorldSection,
    /// `[image]`: the image that is broadcast.
    pub image: ImageSection,
    /// As in a configuration.
    pub gateway: super::file::Gateway,
    /// As in a configuration.
    #[serde(default)]
    pub radio: super::radio::Radio,
    /// As in a configuration, with its `mc-key` in the text: the keys of a scenario are nobody's.
    pub group: Vec<GroupConfig>,
    /// As in a configuration: groups that name one have their devices set up through it, the others beforehand. Nobody
    /// connects to its broker.
    #[serde(default)]
    pub lns: Vec<LnsConfig>,
    /// `[[task]]`: the tasks that are ordered.
    pub task: Vec<TaskSection>,
    /// `[[device]]`: the devices of the world.
    #[serde(default)]
    pub device: Vec<DeviceSection>,
    /// What must come out of it.
    #[serde(default)]
    pub expect: Expect,
}

/// `[world]`: place, time and seed of the simulation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorldSection {
    /// RFC 3339 time at the world's zero.
    pub start: String,
    /// Where luck comes from; `--seed` wins.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// The world ends at the latest after so many hours.
    #[serde(default = "two_days_h")]
    pub limit_h: u64,
    /// Uplinks of other devices.
    #[serde(default = "one_a_minute")]
    pub uplinks_per_hour: u32,
    /// Drift of the concentrator's clock, parts per million.
    #[serde(default)]
    pub concentrator_drift_ppm: f64,
    /// The power of the gateway goes when this frame (1 is the first) is handed over, for `boot-s`.
    #[serde(default)]
    pub power_cut_at_frame: Option<u64>,
    /// How long the gateway needs to come back.
    #[serde(default = "half_a_minute_s")]
    pub boot_s: u64,
}

/// `[image]`: bytes made by a generator that anybody can rebuild.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageSection {
    /// "lcg": x = x * 1664525 + 1013904223 mod 2^32 from `seed`, each byte x >> 24.
    pub generator: String,
    /// The first x of the generator.
    pub seed: u32,
    /// Length of the image in bytes.
    pub bytes: usize,
}

/// `[[task]]`: one task document and its arrival.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TaskSection {
    /// File name in the task folder, and its Id where the document has none.
    pub name: String,
    /// When it is put there, seconds after the world's zero.
    #[serde(default)]
    pub at_s: u64,
    /// The document: the members of GetFuotaTask's answer.
    pub document: toml::Table,
}

/// `[[device]]`: some devices of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeviceSection {
    /// Their name; numbered when there are several.
    pub name: String,
    /// Number of devices of this kind, 1 to 10000 in all.
    #[serde(default = "one_device")]
    pub count: usize,
    /// Their group; it may be left out where there is only one.
    #[serde(default)]
    pub group: Option<String>,
    /// "loramac-node", "lbm", "lora-rs" or "ideal".
    pub stack: String,
    /// Part of the frames lost on the air.
    #[serde(default)]
    pub loss: f64,
    /// Losses in bursts of this mean length instead of one by one.
    #[serde(default)]
    pub burst_frames: Option<f64>,
    /// Largest NbFrag of their decoder; default: the stack's stock value.
    #[serde(default)]
    pub max_fragments: Option<u16>,
    /// Largest FragSize of their decoder.
    #[serde(default)]
    pub max_fragment_size: Option<u8>,
    /// Uncoded fragments that may be lost.
    #[serde(default)]
    pub max_lost: Option<u16>,
    /// Deaf after an uncoded frame, milliseconds.
    #[serde(default)]
    pub deaf_after_uncoded_ms: Option<u64>,
    /// Deaf after a coded frame, milliseconds.
    #[serde(default)]
    pub deaf_after_coded_ms: Option<u64>,
    /// Their clock is ahead by so much, milliseconds.
    #[serde(default)]
    pub clock_error_ms: i64,
    /// Behind an [[lns]]: distance of their uplinks, seconds.
    #[serde(default = "one_hour_s")]
    pub uplink_interval_s: u64,
    /// Behind an [[lns]]: part of the uplinks and unicast downlinks that are lost.
    #[serde(default)]
    pub uplink_loss: f64,
    /// Whether anybody tells them about the campaign.
    #[serde(default = "yes")]
    pub told: bool,
}

/// `[expect]`: the outcome that the scenario must have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expect {
    /// How many devices complete; default: all.
    pub complete: Option<usize>,
}

impl WorldSection {
    /// A world that begins at `start`, RFC 3339, with nothing else said of it.
    pub(super) fn at(start: String) -> WorldSection {
        WorldSection {
            start,
            seed: first_seed(),
            limit_h: two_days_h(),
            uplinks_per_hour: one_a_minute(),
            concentrator_drift_ppm: 0.0,
            power_cut_at_frame: None,
            boot_s: half_a_minute_s(),
        }
    }
}

impl DeviceSection {
    /// Devices of `group` without the limits of any stack, which lose a part `loss` of the frames one by one.
    pub(super) fn ideal(group: String, count: usize, loss: f64) -> DeviceSection {
        DeviceSection {
            name: group.clone(),
            count,
            group: Some(group),
            stack: "ideal".to_owned(),
            loss,
            burst_frames: None,
            max_fragments: None,
            max_fragment_size: None,
            max_lost: None,
            deaf_after_uncoded_ms: None,
            deaf_after_coded_ms: None,
            clock_error_ms: 0,
            uplink_interval_s: one_hour_s(),
            uplink_loss: 0.0,
            told: true,
        }
    }
}

impl Scenario {
    /// Reads a scenario text.
    ///
    /// # Errors
    /// One line: where, what, and what was probably meant.
    pub fn from_text(text: &str) -> Result<Scenario, ConfigError> {
        read(text, &BTreeMap::new())
    }

    /// The world's script. `image` replaces the generated one.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn script(&self, seed: Option<u64>, image: Option<Vec<u8>>) -> Result<Script, ConfigError> {
        let start = gps_from_rfc3339(&self.world.start).ok_or_else(|| {
            ConfigError::value("world.start", format!("{:?} is no RFC 3339 time", self.world.start))
        })?;
        let world = &self.world;
        if world.uplinks_per_hour > UPLINKS_PER_HOUR_MAX {
            let message = format!("{} is over {UPLINKS_PER_HOUR_MAX}", world.uplinks_per_hour);
            return Err(ConfigError::value("world.uplinks-per-hour", message));
        }
        if !(-DRIFT_MAX_PPM..=DRIFT_MAX_PPM).contains(&world.concentrator_drift_ppm) {
            let message =
                format!("{} is outside -{DRIFT_MAX_PPM}..={DRIFT_MAX_PPM}", world.concentrator_drift_ppm);
            return Err(ConfigError::value("world.concentrator-drift-ppm", message));
        }
        if world.power_cut_at_frame == Some(0) {
            return Err(ConfigError::value("world.power-cut-at-frame", "0 is no frame: the first is 1"));
        }
        let mut settings = self.settings()?;
        let image = match image {
            Some(image) => image,
            None => self.image.generate()?,
        };
        let seed = seed.unwrap_or(world.seed);
        let mut devices = Vec::new();
        for section in &self.device {
            section.add(&settings, seed, &mut devices)?;
        }
        let drift_ppb = (world.concentrator_drift_ppm * 1000.0).round() as i32;
        let (fleets, fields) = self.through_servers(&settings, &devices)?;
        super::fleet::hear_answers(&mut settings.groups, &fleets, settings.region);
        super::fleet::keep_canary_fcnts(&mut settings.groups, &fleets);
        let asked_us = fleets.iter().map(|fleet| fleet.rules.give_up.answers_us).max();
        let script = Script::of_gateway(settings);
        Ok(Script {
            start,
            seed,
            concentrator: concentrator::Settings { drift_ppb, ..script.concentrator },
            tasks: self.task.iter().map(|task| task.script(&image)).collect::<Result<_, _>>()?,
            devices,
            fleets,
            fields,
            uplinks_per_hour: world.uplinks_per_hour,
            limit_us: world.limit_h.saturating_mul(3_600_000_000),
            faults: world.power_cut_at_frame.map(Fault::AfterSend).into_iter().collect(),
            is_retold: true,
            epilogue_us: asked_us.map_or(script.epilogue_us, |us| us.saturating_add(AFTER_QUESTIONS_US)),
            ends_when_answered: true,
            boot_us: world.boot_s.saturating_mul(1_000_000),
            ..script
        })
    }

    fn settings(&self) -> Result<crate::engine::Settings, ConfigError> {
        let config = Config {
            gateway: self.gateway.clone(),
            radio: self.radio.clone(),
            forwarder: super::file::Forwarder::default(),
            network_server: Vec::new(),
            lns: self.lns.clone(),
            control: super::file::Control::default(),
            state: super::file::State::default(),
            tasks: super::file::Tasks::default(),
            aws: None,
            ota: BTreeMap::new(),
            status: super::file::Status::default(),
            web: None,
            clock: super::file::Clock::default(),
            gps: None,
            log: super::file::Log::default(),
            group: self.group.clone(),
        };
        config.engine(&mut |_| Err("a scenario reads no key file: write its key into mc-key".to_owned()))
    }
}

impl ImageSection {
    fn generate(&self) -> Result<Vec<u8>, ConfigError> {
        if self.generator != "lcg" {
            return Err(ConfigError::value(
                "image.generator",
                format!("{:?} is unknown: use \"lcg\"", self.generator),
            ));
        }
        if self.bytes > crate::image::MAX_IMAGE_BYTES {
            let message = format!("{} is over {}", self.bytes, crate::image::MAX_IMAGE_BYTES);
            return Err(ConfigError::value("image.bytes", message));
        }
        let step = |x: &u32| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let bytes = std::iter::successors(step(&self.seed), step).map(|x| (x >> 24) as u8);
        Ok(bytes.take(self.bytes).collect())
    }
}

impl TaskSection {
    fn script(&self, image: &[u8]) -> Result<TaskScript, ConfigError> {
        let document = serde_json::to_string(&self.document)
            .map_err(|error| ConfigError::value(format!("task {}.document", self.name), error))?;
        let (at_us, stem) = (self.at_s.saturating_mul(1_000_000), self.name.clone());
        Ok(TaskScript { at_us, stem, document, image: image.to_vec() })
    }
}

impl DeviceSection {
    fn add(
        &self,
        settings: &crate::engine::Settings,
        seed: u64,
        devices: &mut Vec<DeviceScript>,
    ) -> Result<(), ConfigError> {
        let wrong =
            |key: &str, message: String| ConfigError::value(format!("device {}.{key}", self.name), message);
        let stack: device::Stack = self.stack.parse().map_err(|error| wrong("stack", format!("{error}")))?;
        if devices.len() + self.count > DEVICES_MAX {
            return Err(wrong("count", format!("{} are too many: at most {DEVICES_MAX} in all", self.count)));
        }
        let group = match (&self.group, settings.groups.as_slice()) {
            (Some(name), groups) => {
                let own = groups.iter().find(|group| group.name == *name);
                Some(own.ok_or_else(|| wrong("group", format!("there is no group {name:?}")))?)
            }
            (None, [_, _, ..]) => {
                return Err(wrong("group", "there are several groups: say which one it is in".to_owned()));
            }
            (None, groups) => groups.first(),
        };
        for number in 1..=self.count {
            let name = if self.count == 1 { self.name.clone() } else { format!("{}-{number:02}", self.name) };
            let mut device =
                device::Settings::stock(stack, name.clone(), root_key(&name, seed), settings.region);
            device.ts004_version = group.map_or(Ts004Version::V1, |group| group.ts004_version);
            device.max_fragments = self.max_fragments.unwrap_or(device.max_fragments);
            device.max_fragment_size = self.max_fragment_size.unwrap_or(device.max_fragment_size);
            device.max_lost = self.max_lost.unwrap_or(device.max_lost);
            let us = |ms: Option<u64>, stock_us: u64| ms.map_or(stock_us, |ms| ms.saturating_mul(1000));
            device.deaf_after_uncoded_us = us(self.deaf_after_uncoded_ms, device.deaf_after_uncoded_us);
            device.deaf_after_coded_us = us(self.deaf_after_coded_ms, device.deaf_after_coded_us);
            device.clock_error_us = self.clock_error_ms.saturating_mul(1000);
            if let Some(group) = group.filter(|group| group.session == SessionRule::Always) {
                let rate = settings
                    .region
                    .data_rate(group.data_rate)
                    .map_err(|error| wrong("count", error.to_string()))?;
                device.permanent_class_c = Some((group.frequency_hz, rate.modulation));
            }
            devices.push(DeviceScript {
                settings: device,
                group: self.group.clone(),
                loss: self.loss()?,
                is_told: self.told,
            });
        }
        Ok(())
    }

    fn loss(&self) -> Result<Loss, ConfigError> {
        let wrong = |key: &str, message: String| {
            Err(ConfigError::value(format!("device {}.{key}", self.name), message))
        };
        if !(0.0..=1.0).contains(&self.loss) {
            return wrong("loss", format!("{} is outside 0..=1", self.loss));
        }
        let ppm = (self.loss * 1_000_000.0).round() as u32;
        let Some(frames) = self.burst_frames else { return Ok(Loss::Random { ppm }) };
        // In the long run enter / (enter + leave) of the frames fall into bursts, and all of them are lost.
        let leave = 1.0 / frames;
        let enter = leave * self.loss / (1.0 - self.loss);
        if !(1.0..=BURST_MAX_FRAMES).contains(&frames) || !(0.0..=1.0).contains(&enter) {
            let message = format!(
                "bursts of {frames} frames cannot lose {} of them: use 1 to {BURST_MAX_FRAMES} and a smaller loss",
                self.loss
            );
            return wrong("burst-frames", message);
        }
        let ppm_of = |part: f64| (part * 1_000_000.0).round() as u32;
        Ok(Loss::Bursty {
            enter_ppm: ppm_of(enter),
            leave_ppm: ppm_of(leave),
            lost_ppm_in_burst: 1_000_000,
            lost_ppm_outside: 0,
        })
    }
}

/// A key that is nobody's, different for every device.
fn root_key(name: &str, seed: u64) -> RootKey {
    let mut hash = Sha256::new();
    hash.update(b"simulated device");
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    RootKey::GenAppKey(Secret::from_bytes(key))
}

fn first_seed() -> u64 {
    1
}

fn two_days_h() -> u64 {
    48
}

fn one_a_minute() -> u32 {
    60
}

fn half_a_minute_s() -> u64 {
    30
}

fn one_hour_s() -> u64 {
    3600
}

fn one_device() -> usize {
    1
}

fn yes() -> bool {
    true
}
