//! The simulated concentrator on two real UDP sockets, with devices that listen and a referee.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuotad::campaign::setup;
use fuotad::campaign::setup::DeviceKeys;
use fuotad::engine::Settings;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::plan::Timetable;
use fuotad::radio::Dbm;
use fuotad::radio::Modulation;
use fuotad::region::Parameters;
use fuotad::sim::concentrator;
use fuotad::sim::concentrator::Concentrator;
use fuotad::sim::concentrator::Output;
use fuotad::sim::concentrator::Reception;
use fuotad::sim::concentrator::Socket;
use fuotad::sim::concentrator::Transmission;
use fuotad::sim::device;
use fuotad::sim::device::Device;
use fuotad::sim::random::Random;
use fuotad::sim::referee::Referee;
use fuotad::sim::referee::Verdict;
use fuotad::sim::server::Traffic;
use fuotad::sim::server::TrafficCounts;
use fuotad::sim::server::TrafficSettings;
use fuotad::sim::server::Uplink;
use fuotad::time::GpsTime;
use fuotad::time::Instant;
use fuotad::time::Now;
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// GPS time at the zero of the radio's clock.
const ZERO: GpsTime = GpsTime::from_us(1_451_260_818_000_000);
const KEEPALIVE_US: u64 = 300_000;
/// Campaigns end with a report, and tests wait for ends, microseconds.
const STAT_US: u64 = 2_000_000;
/// Somebody's uplink comes this often: it teaches the counter.
const UPLINK_EVERY_US: u64 = 250_000;
/// PROTOCOL.TXT 5.4.
const PULL_RESP: u8 = 3;
/// PROTOCOL.TXT 5.5.
const TX_ACK: u8 = 5;
const UPLINK_PHY: [u8; 23] = [0x40; 23];
/// Nothing on the air for this long: the queue is empty.
const QUIET_US: u64 = 700_000;

/// Who hears what is on the air.
struct Air {
    referee: Referee,
    devices: Vec<Device>,
    /// Its antenna is off.
    deaf: Option<usize>,
    /// Not over yet.
    flying: Vec<Transmission>,
    frames: u64,
    last: Instant,
    /// Which life of the process is on, and what each life handed over that is not on the air yet: what was queued
    /// before a kill is still sent, and is none of the new life's.
    life: u32,
    handed_over: VecDeque<HandedOver>,
    last_life: u32,
    traffic: Option<Traffic>,
}

/// A frame that the forwarder was given.
struct HandedOver {
    life: u32,
    token: [u8; 2],
    phy_payload: Vec<u8>,
}

impl Air {
    /// A PULL_RESP reached the forwarder.
    fn handed_over(&mut self, datagram: &[u8]) {
        let json: Value = serde_json::from_slice(&datagram[4..]).unwrap();
        let data = json["txpk"]["data"].as_str().unwrap();
        self.handed_over.push_back(HandedOver {
            life: self.life,
            token: [datagram[1], datagram[2]],
            phy_payload: STANDARD.decode(data).unwrap(),
        });
    }

    /// The forwarder answers: what it refused, as late where this machine is busy, is never on the air. A later life may
    /// hand over the same bytes, and these are not the refused ones.
    fn answered(&mut self, datagram: &[u8]) {
        let Ok(json) = serde_json::from_slice::<Value>(datagram.get(12..).unwrap_or_default()) else {
            return;
        };
        if matches!(json["txpk_ack"]["error"].as_str(), None | Some("NONE")) {
            return;
        }
        let is_its = |frame: &HandedOver| frame.token == datagram[1..3];
        if let Some(position) = self.handed_over.iter().rposition(is_its) {
            self.handed_over.remove(position);
        }
    }

    fn on_air(&mut self, transmission: Transmission) {
        let is_its = |frame: &HandedOver| frame.phy_payload == transmission.phy_payload;
        let position = self.handed_over.iter().position(is_its).unwrap();
        let life = self.handed_over.remove(position).unwrap().life;
        // Only a new life may begin below where the last one was, and only once.
        if life > self.last_life {
            self.last_life = life;
            self.referee.power_cycle();
        }
        self.referee.on_air(&transmission);
        if let Some(traffic) = &mut self.traffic {
            traffic.hear(&transmission);
        }
        self.frames += 1;
        self.last = transmission.end();
        self.flying.push(transmission);
    }
}

/// A running radio; dropped, it stops.
pub struct Radio {
    air: Arc<Mutex<Air>>,
    ends: Arc<AtomicBool>,
    started: std::time::Instant,
    zero: GpsTime,
    thread: Option<JoinHandle<()>>,
}

impl Radio {
    /// Starts a forwarder that sends to `server`, and devices that are set up for `plan`.
    pub fn start(
        server: SocketAddr,
        settings: &Settings,
        plan: &Timetable,
        image: &[u8],
        devices: usize,
        traffic: Option<TrafficSettings>,
    ) -> Radio {
        let group = &settings.groups[0];
        let mut referee = Referee::new(settings.region);
        referee.group(group.mc_addr.as_u32());
        referee.always(group.mc_addr.as_u32());
        if traffic.is_some() {
            referee.share();
        }
        let listener = |number: usize| {
            let root_key = RootKey::GenAppKey(Secret::from_bytes([number as u8; 16]));
            let keys = DeviceKeys::Root { root_key: &root_key, session_cnt: 0 };
            let commands = setup::commands(&plan.planned, group, image, &keys).unwrap();
            let mut own = device::Settings::stock(
                device::Stack::Ideal,
                format!("lamp {number}"),
                root_key,
                settings.region,
            );
            let rate = settings.region.data_rate(group.data_rate).unwrap();
            own.permanent_class_c = Some((group.frequency_hz, rate.modulation));
            let mut device = Device::new(own, Random::new(number as u64));
            for command in commands {
                device.unicast(now(ZERO, Instant::ZERO), command.fport, &command.payload);
            }
            device
        };
        let devices = (0..devices).map(listener).collect();
        Radio::among(server, referee, devices, settings.region, traffic, ZERO)
    }

    /// Starts a forwarder among these devices; `zero` is GPS time now.
    pub fn among(
        server: SocketAddr,
        referee: Referee,
        devices: Vec<Device>,
        region: &Parameters,
        traffic: Option<TrafficSettings>,
        zero: GpsTime,
    ) -> Radio {
        let started = std::time::Instant::now();
        let (flying, last) = (Vec::new(), Instant::ZERO);
        let traffic = traffic.map(|traffic| Traffic::new(traffic, Random::new(9), Instant::ZERO));
        let handed_over = VecDeque::new();
        let air = Air {
            referee,
            devices,
            deaf: None,
            flying,
            frames: 0,
            last,
            life: 0,
            handed_over,
            last_life: 0,
            traffic,
        };
        let air = Arc::new(Mutex::new(air));
        let ends = Arc::new(AtomicBool::new(false));
        let own = concentrator::Settings {
            keepalive_us: KEEPALIVE_US,
            stat_us: STAT_US,
            tx_freq_min_hz: region.freq_min_hz,
            tx_freq_max_hz: region.freq_max_hz,
            drift_ppb: 3_000,
            ..concentrator::Settings::default()
        };
        let world = World {
            concentrator: Concentrator::new(own, Random::new(7), Instant::ZERO),
            push: UdpSocket::bind("127.0.0.1:0").unwrap(),
            pull: UdpSocket::bind("127.0.0.1:0").unwrap(),
            server,
            started,
            zero,
            air: Arc::clone(&air),
            next_uplink: Instant::from_us(100_000),
        };
        let is_over = Arc::clone(&ends);
        let thread = std::thread::spawn(move || world.run(&is_over));
        Radio { air, ends, started, zero, thread: Some(thread) }
    }

    /// Frames that were on the air.
    pub fn frames(&self) -> u64 {
        self.air.lock().unwrap().frames
    }

    /// Whether nothing is queued any more.
    pub fn is_quiet(&self) -> bool {
        let air = self.air.lock().unwrap();
        air.flying.is_empty() && elapsed(self.started).us_since(air.last) > QUIET_US
    }

    /// From now on this device hears nothing of the group, and everybody else does.
    pub fn deafen(&self, device: Option<usize>) {
        self.air.lock().unwrap().deaf = device;
    }

    /// The process is about to start anew: its counters may fall once, to bytes that were sent before.
    pub fn process_starts(&self) {
        self.air.lock().unwrap().life += 1;
    }

    /// What became of the devices' uplinks.
    pub fn traffic(&self) -> TrafficCounts {
        self.air.lock().unwrap().traffic.as_ref().unwrap().counts()
    }

    /// A downlink of a network server reaches a device: its answers.
    pub fn unicast(&self, device: usize, f_port: u8, payload: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let now = now(self.zero, elapsed(self.started));
        self.air.lock().unwrap().devices[device].unicast(now, f_port, payload)
    }

    /// What a device sends by now because it was asked by multicast.
    pub fn reports(&self, device: usize) -> Vec<(u8, Vec<u8>)> {
        let now = now(self.zero, elapsed(self.started));
        let mut air = self.air.lock().unwrap();
        std::iter::from_fn(|| air.devices[device].take_uplink(now)).collect()
    }

    /// The image of each device that has one.
    pub fn images(&self) -> Vec<Option<Vec<u8>>> {
        let air = self.air.lock().unwrap();
        air.devices.iter().map(|device| device.image().map(<[u8]>::to_vec)).collect()
    }

    /// How long each device has listened for its groups by now, microseconds.
    pub fn listening_us(&self) -> Vec<u64> {
        let now = now(self.zero, elapsed(self.started));
        self.air.lock().unwrap().devices.iter().map(|device| device.listening_us(now)).collect()
    }

    /// What the referee says, when this is the image.
    pub fn verdict(&self, image: &[u8]) -> Verdict {
        let mut air = self.air.lock().unwrap();
        let at = elapsed(self.started);
        let Air { referee, devices, .. } = &mut *air;
        for device in devices {
            if let Some(image) = device.image() {
                referee.device_complete(&device.settings().name, at, image);
            }
        }
        referee.verdict(image)
    }
}

impl Drop for Radio {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct World {
    concentrator: Concentrator,
    push: UdpSocket,
    pull: UdpSocket,
    server: SocketAddr,
    started: std::time::Instant,
    zero: GpsTime,
    air: Arc<Mutex<Air>>,
    next_uplink: Instant,
}

impl World {
    fn run(mut self, ends: &AtomicBool) {
        let mut buffer = vec![0; 65_536];
        self.push.set_nonblocking(true).unwrap();
        // The wait of the loop: datagrams for the pull socket end it at once.
        self.pull.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        while !ends.load(Ordering::Relaxed) {
            if let Ok((length, _)) = self.pull.recv_from(&mut buffer) {
                if buffer[3] == PULL_RESP {
                    self.air.lock().unwrap().handed_over(&buffer[..length]);
                }
                self.concentrator.datagram(elapsed(self.started), Socket::Pull, &buffer[..length]);
            }
            while let Ok((length, _)) = self.push.recv_from(&mut buffer) {
                self.concentrator.datagram(elapsed(self.started), Socket::Push, &buffer[..length]);
            }
            let at = elapsed(self.started);
            if at >= self.next_uplink {
                self.next_uplink = at.plus_us(UPLINK_EVERY_US);
                self.uplink(at);
            }
            while let Some(uplink) = self.talk(at) {
                // Its devices count from the end of their uplink, however late this loop is.
                self.concentrator.uplink(uplink.end, uplink.reception());
            }
            self.concentrator.time(at);
            self.drain();
            self.land(at);
        }
    }

    fn talk(&self, at: Instant) -> Option<Uplink> {
        self.air.lock().unwrap().traffic.as_mut()?.take(at)
    }

    fn uplink(&mut self, at: Instant) {
        let reception = Reception {
            start: at.minus_us(61_696),
            frequency_hz: 902_300_000,
            modulation: Modulation::LoRa { sf: 7, bw_hz: 125_000 },
            phy_payload: &UPLINK_PHY,
            rssi: Dbm::from_whole(-90),
            snr_tenths_db: 70,
        };
        self.concentrator.uplink(at, reception);
    }

    fn drain(&mut self) {
        while let Some(output) = self.concentrator.poll() {
            // Nobody listens while the process is down.
            let _ = match output {
                Output::Push(bytes) => self.push.send_to(&bytes, self.server),
                Output::Pull(bytes) => {
                    if bytes[3] == TX_ACK {
                        self.air.lock().unwrap().answered(&bytes);
                    }
                    self.pull.send_to(&bytes, self.server)
                }
                Output::OnAir(transmission) => {
                    self.air.lock().unwrap().on_air(transmission);
                    Ok(0)
                }
                Output::Exited { why } => panic!("the forwarder died of {why}"),
            };
        }
    }

    /// Frames that are over are heard.
    fn land(&mut self, at: Instant) {
        let mut air = self.air.lock().unwrap();
        let Air { devices, deaf, flying, .. } = &mut *air;
        flying.retain(|transmission| {
            if transmission.end() > at {
                return true;
            }
            for (index, device) in devices.iter_mut().enumerate() {
                if *deaf != Some(index) {
                    device.hear(now(self.zero, transmission.end()), transmission);
                }
            }
            false
        });
    }
}

fn elapsed(started: std::time::Instant) -> Instant {
    Instant::from_us(started.elapsed().as_micros() as i64)
}

fn now(zero: GpsTime, mono: Instant) -> Now {
    Now { mono, gps: Some(zero.plus_us(mono.us_since(Instant::ZERO))) }
}
