//! A gateway site for tests of the real process: a state folder, a task folder, and a simulated concentrator with
//! devices around it, on real UDP sockets and in real time.

mod lns;
pub mod radio;

use super::scratch::Scratch;
use super::small_world;
use fuotad::config::Config;
use fuotad::config::KeySource;
use fuotad::daemon::Snapshot;
use fuotad::daemon::read_status;
use fuotad::lorawan::Secret;
use fuotad::plan::Timetable;
use fuotad::radio::Modulation;
use fuotad::sim::referee::Verdict;
use fuotad::sim::server::Rx1;
use fuotad::sim::server::ServerCounts;
use fuotad::sim::server::ServerSettings;
use fuotad::sim::server::TrafficCounts;
use fuotad::sim::server::TrafficSettings;
use fuotad::sim::server::Windows;
use lns::Lns;
use radio::Radio;
use rustix::process::Pid;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::Signal;
use rustix::process::kill_process;
use rustix::process::prlimit;
use std::collections::BTreeMap;
use std::fs::File;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// The key of the only group.
pub const MC_KEY: &str = "00112233445566778899aabbccddeeff";
const FRAG_SIZE: usize = 232;
const DEVICES: usize = 2;

/// A folder with everything, a radio, and the process while it runs.
pub struct Site {
    scratch: Scratch,
    listen: SocketAddr,
    image: Vec<u8>,
    radio: Option<Radio>,
    child: Option<Child>,
    lns: Option<Lns>,
    traffic: Option<TrafficSettings>,
    environment: Vec<(String, String)>,
    held: Option<UdpSocket>,
}

impl Site {
    /// A site named `name` with an image of `nb_frag` fragments; the radio is on, the process is not.
    pub fn new(name: &str, nb_frag: usize) -> Site {
        let scratch = Scratch::new(&format!("site-{name}"));
        let dir = scratch.dir();
        std::fs::create_dir_all(dir.join("tasks")).unwrap();
        let listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(dir.join("key"), MC_KEY).unwrap();
        std::fs::set_permissions(dir.join("key"), Permissions::from_mode(0o600)).unwrap();
        let image = small_world::lcg(1, nb_frag * FRAG_SIZE);
        let mut site = Site {
            scratch,
            listen,
            image,
            radio: None,
            child: None,
            lns: None,
            traffic: None,
            environment: Vec::new(),
            held: None,
        };
        let image = site.image.clone();
        site.put_image(&image);
        std::fs::write(site.path("fuotad.toml"), site.config_text()).unwrap();
        site.radio_on();
        site
    }

    fn config_text(&self) -> String {
        let dir = self.scratch.dir().display();
        let listen = self.listen;
        // A gateway that always sends hears no uplink, and nobody would be answered.
        let (max_deaf, spacing) = if self.traffic.is_some() { (0.3, "even") } else { (1.0, "burst") };
        format!(
            r#"
            [gateway]
            region = "US915"
            [radio]
            frequency-hz = 923_300_000
            data-rate = 13
            eirp-dbm = 26
            max-deaf = {max_deaf}
            duty-share = 1.0
            spacing = "{spacing}"
            [forwarder]
            listen = "{listen}"
            [state]
            dir = "{dir}/state"
            crash-rest-s = 0
            [tasks]
            folder = "{dir}/tasks"
            scan-s = 1
            [status]
            socket = "{dir}/status.sock"
            [clock]
            trust = "never"
            [[group]]
            name = "lamps"
            mc-addr = "01c0ffee"
            mc-key-file = "{dir}/key"
            first-fcnt = 2
            session = "always"
            rx-is-elsewhere = true
            device-profile = "fast"
            "#
        )
    }

    fn document(&self, more: &str) -> String {
        let image = self.path("image.bin");
        let start = if more.contains("Start") { "" } else { r#","Fuotad":{"Start":"at-once"}"# };
        let image = if more.contains("Image") {
            String::new()
        } else {
            format!(r#","FirmwareUpdateImage":"file://{}""#, image.display())
        };
        format!(
            r#"{{"Status":"Pending","RedundancyPercent":30,"FragmentSizeBytes":{FRAG_SIZE}{image}{start}{more}}}"#
        )
    }

    /// Puts a task into the folder; `more` are further members.
    pub fn order(&self, stem: &str, more: &str) {
        let file = self.path("tasks").join(format!("{stem}.json"));
        std::fs::write(file, self.document(more)).unwrap();
    }

    /// Takes the image away.
    pub fn take_image(&self) -> Vec<u8> {
        std::fs::remove_file(self.path("image.bin")).unwrap();
        self.image.clone()
    }

    /// Puts it there.
    pub fn put_image(&self, image: &[u8]) {
        std::fs::write(self.path("image.tmp"), image).unwrap();
        std::fs::rename(self.path("image.tmp"), self.path("image.bin")).unwrap();
    }

    /// A path in the site's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    /// The configuration file.
    pub fn config(&self) -> String {
        self.path("fuotad.toml").display().to_string()
    }

    /// The status socket.
    pub fn socket(&self) -> String {
        self.path("status.sock").display().to_string()
    }

    /// Where the process listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Switches the forwarder off.
    pub fn no_radio(&mut self) {
        self.radio = None;
    }

    /// Switches it on; its devices are set up for the campaign.
    pub fn radio_on(&mut self) {
        let config = Config::from_text(&self.config_text(), &BTreeMap::new()).unwrap();
        let key = |_: KeySource<'_>| Ok(Secret::from_hex(MC_KEY).unwrap());
        let settings = config.engine(&mut { key }).unwrap();
        let plan = Timetable::new(&settings, &self.document(""), "plan", self.image.clone()).unwrap();
        self.radio =
            Some(Radio::start(self.listen, &settings, &plan, &self.image, DEVICES, self.traffic.clone()));
    }

    /// Puts a network server behind the process, with devices that talk so often.
    pub fn network(&mut self, uplinks_per_hour: u32) {
        let windows = Windows {
            rx_delay_s: 1,
            rx1: Rx1::Plan64 { first_uplink_hz: 902_300_000 },
            rx2_frequency_hz: 923_300_000,
            rx2_modulation: Modulation::LoRa { sf: 12, bw_hz: 500_000 },
        };
        let devices: Vec<u32> = (0..20).map(|n| 0x2601_1000 + n).collect();
        let rates = || [7, 8, 9].map(|sf| Modulation::LoRa { sf, bw_hz: 125_000 }).to_vec();
        let server = ServerSettings {
            class_a: devices.iter().copied().collect(),
            answered_ppm: 600_000,
            windows,
            ..ServerSettings::default()
        };
        let lns = Lns::start(server);
        self.lns = Some(lns);
        self.traffic = Some(TrafficSettings {
            devices,
            uplinks_per_hour,
            confirmed_ppm: 100_000,
            channels: [902_300_000, 902_500_000, 902_700_000].map(|hz| (hz, rates())).into(),
            windows,
            ..TrafficSettings::default()
        });
        self.extend(
            &format!("[[network-server]]\naddress = \"{}\"\n", self.lns.as_ref().unwrap().address()),
            &[],
        );
        self.radio_on();
    }

    /// What the network server and its devices counted.
    pub fn network_counts(&self) -> (ServerCounts, TrafficCounts) {
        (self.lns.as_ref().unwrap().counts(), self.radio.as_ref().unwrap().traffic())
    }

    /// How many devices listen.
    pub fn devices(&self) -> usize {
        DEVICES
    }

    /// Gives the process `more` configuration and these variables.
    pub fn extend(&mut self, more: &str, environment: &[(&str, &str)]) {
        std::fs::write(self.path("fuotad.toml"), self.config_text() + more).unwrap();
        let owned = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.extend(owned);
    }

    /// Puts other text into the configuration's file; it must be there.
    pub fn replace(&mut self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(old), "{old} is not in {text}");
        std::fs::write(self.config(), text.replacen(old, new, 1)).unwrap();
    }

    /// The image that the devices are to have.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// Frames that were on the air.
    pub fn frames(&self) -> u64 {
        self.radio.as_ref().unwrap().frames()
    }

    /// Opens the port and holds it for every process to come, as a service manager does.
    pub fn hold_port(&mut self) {
        self.held = Some(UdpSocket::bind(self.listen).unwrap());
    }

    /// The program as it is started: with the socket that is held for it as descriptor 3 (sd_listen_fds(3)).
    fn program(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_fuotad");
        let Some(held) = &self.held else { return Command::new(program) };
        let mut shell = Command::new("sh");
        let pass = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
        shell.args(["-c", pass, program]).stdin(OwnedFd::from(held.try_clone().unwrap()));
        shell
    }

    /// Starts the process and waits until it answers.
    pub fn start(&mut self) {
        if let Some(radio) = &self.radio {
            // What the last life sent has been read by then: the forwarder's loop turns each millisecond.
            std::thread::sleep(Duration::from_millis(20));
            radio.process_starts();
        }
        if !self.path("state").exists() {
            self.cli(&["group", "enrol", "lamps", "--config", &self.config()]);
        }
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut program = self.program();
        if self.held.is_none() {
            program.stdin(Stdio::null());
        }
        let child = program
            .args(["run", "--config", &self.config()])
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Limits the descriptors of the process, as a unit does.
    pub fn limit_descriptors(&self, most: u64) {
        let pid = self.child.as_ref().map(Pid::from_child).unwrap();
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(pid), Resource::Nofile, limit).unwrap();
    }

    /// Memory of the process, kB.
    pub fn memory_kb(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Polls the status until `is_so`.
    pub fn wait(&mut self, what: &str, patience_s: u64, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let mut last = None;
        let found = poll(Duration::from_secs(patience_s), || {
            assert!(self.is_running(), "the process ended: {}", self.log());
            let text = read_status(Path::new(&self.socket())).ok()?;
            let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
            last = Some(text);
            is_so(&snapshot).then_some(snapshot)
        });
        found.unwrap_or_else(|| panic!("{what}: not within {patience_s} s: {last:?}\n{}", self.log()))
    }

    /// Waits until `more` frames have been on the air from now on.
    pub fn wait_for_frames(&mut self, more: u64) {
        let from = self.frames();
        let is_there = self.wait_for_frames_if_any_are_left(more);
        assert!(is_there, "{more} frames were promised, {} came:\n{}", self.frames() - from, self.log());
    }

    /// Waits until `more` frames have been on the air from now on, or the process has nothing left to send. Whether
    /// they came.
    pub fn wait_for_frames_if_any_are_left(&mut self, more: u64) -> bool {
        let radio = self.radio.as_ref().unwrap();
        let from = radio.frames();
        poll(Duration::from_secs(20), || (radio.frames() >= from + more).then_some(())).is_some()
    }

    /// Lets real time pass: for moments that are meant to be random.
    pub fn wait_for(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Waits until the forwarder's queue is empty.
    pub fn wait_for_the_air(&self) {
        let radio = self.radio.as_ref().unwrap();
        poll(Duration::from_secs(5), || radio.is_quiet().then_some(())).unwrap();
    }

    /// SIGTERM; the exit code and how long it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let mut child = self.child.take().unwrap();
        let started = Instant::now();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = poll(Duration::from_secs(10), || child.try_wait().unwrap()).unwrap();
        (status.code(), started.elapsed())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What the referee says.
    pub fn verdict(&self) -> Verdict {
        self.radio.as_ref().unwrap().verdict(&self.image)
    }

    /// What was logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The report of `task` in the state folder, which is plain JSON.
    pub fn report(&self, task: &str) -> serde_json::Value {
        let names = std::fs::read_dir(self.path("state")).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let prefix = format!("report-{task}");
        let name = names.find(|name| name.starts_with(&prefix)).expect("a report stays in the state folder");
        serde_json::from_slice(&std::fs::read(self.path("state").join(name)).unwrap()).unwrap()
    }

    /// How `status` with these words ends.
    pub fn status_code(&self, words: &[&str]) -> Option<i32> {
        let mut status = Command::new(env!("CARGO_BIN_EXE_fuotad"));
        status.args(["status", "--socket", &self.socket()]).args(words).output().unwrap().status.code()
    }

    /// What a command of the program says when it refuses: one line, and its exit code.
    pub fn refuses(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_fuotad")).args(words).output().unwrap();
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// What a command of the program prints.
    pub fn cli(&self, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_fuotad")).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks every 10 ms until there is an answer, or patience runs out.
fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if started.elapsed() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
