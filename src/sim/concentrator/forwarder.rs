//! The forwarder's threads as one machine in virtual time.

use std::collections::VecDeque;

use jiff::Timestamp;
use semtech_udp::push_data::Stat;
use semtech_udp::tx_ack::Error as TxError;

use crate::radio::Dbm;
use crate::sim::concentrator::airtime::on_air_us;
use crate::sim::concentrator::beacon;
use crate::sim::concentrator::bus::Bus;
use crate::sim::concentrator::counter::Counter;
use crate::sim::concentrator::frame::Transmission;
use crate::sim::concentrator::gps::Gps;
use crate::sim::concentrator::jit_queue::Entry;
use crate::sim::concentrator::jit_queue::JitQueue;
use crate::sim::concentrator::jit_queue::PROGRAM_US;
use crate::sim::concentrator::jit_queue::Refusal;
use crate::sim::concentrator::jit_queue::Start;
use crate::sim::concentrator::jit_queue::TX_START_US;
use crate::sim::concentrator::radio_chip::HandOver;
use crate::sim::concentrator::radio_chip::RadioChip;
use crate::sim::concentrator::settings::Settings;
use crate::sim::concentrator::tokens::Tokens;
use crate::sim::concentrator::txpk;
use crate::sim::concentrator::txpk::Request;
use crate::sim::concentrator::txpk::Unread;
use crate::sim::concentrator::txpk::When;
use crate::sim::concentrator::upstream;
use crate::sim::concentrator::upstream::Answer;
use crate::sim::concentrator::upstream::Heard;
use crate::sim::concentrator::upstream::Reception;
use crate::sim::random::Random;
use crate::time::GpsTime;
use crate::time::Instant;

/// Bytes of a datagram that reach the forwarder; the rest is cut off.
const RECEIVE_MAX: usize = 999;
/// Datagrams the kernel keeps for the forwarder, and what it needs for each: a burst loses what is beyond.
const SOCKET_DEPTH: u64 = 166;
const DATAGRAM_US: u64 = 15;
/// From the start of the process to its first PULL_DATA.
const START_UP_US: u64 = 300;
/// The receive time-out that decides how late a PULL_DATA may be.
const PULL_JITTER_US: u64 = 200_000;
/// An unacknowledged PUSH_DATA holds back the next one so long: 100 ms of waiting and a fetch (measured).
const PUSH_WAIT_US: u64 = 112_000;
/// Receptions waiting to be pushed, and in one datagram; what is heard beyond is lost.
const HEARD_MAX: usize = 255;
/// The downlink thread thinks of beacons whenever its wait for a datagram ends.
const BEACONS_US: u64 = 200_000;
/// The poll of the queue runs every 10 ms, so a packet is found 30-40 ms before its start.
const LEAD_US: (u64, u64) = (30_050, 39_950);

/// Where the gateway is, in `stat` with a GPS receiver: latitude and longitude in degrees, altitude in metres.
const PLACE: (f64, f64, i64) = (46.24, 3.2523, 145);

/// Conducted power asked for beacons.
const BEACON_DBM: i8 = 14;
/// A GPS time can be so much too late.
const GPS_GLITCH_US: u64 = 1 << 32;

/// Which of the forwarder's two sockets a datagram arrived at, that is, to which of its two source ports
/// the server sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// The source of PUSH_DATA: takes PUSH_ACK and nothing else.
    Push,
    /// The source of PULL_DATA: takes PULL_ACK and PULL_RESP and nothing else.
    Pull,
}

/// What the gateway does to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A datagram from the push socket: PUSH_DATA.
    Push(Vec<u8>),
    /// A datagram from the pull socket: PULL_DATA or TX_ACK.
    Pull(Vec<u8>),
    /// A transmission that begins now.
    OnAir(Transmission),
    /// The process ended; nothing happens until [`Concentrator::restart`].
    Exited {
        /// What it died of.
        why: &'static str,
    },
}

/// What happened since the concentrator was made, restarts included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// PULL_RESP that got no TX_ACK: malformed, cut, or lost in a burst.
    pub vanished: u64,
    /// PULL_RESP the codec of `semtech-udp` could not read and the forwarder could.
    pub by_hand: u64,
    /// `dwnb`: PULL_RESP whose JSON was complete, refused ones included.
    pub dwnb: u64,
    /// PULL_RESP that were queued (TX_ACK without an error).
    pub accepted: u64,
    /// PULL_RESP that were answered with an error.
    pub refused: u64,
    /// `txnb`: packets given to the driver with success, overwritten ones included.
    pub txnb: u64,
    /// Packets that were on the air.
    pub on_air: u64,
    /// Packets accepted and never radiated.
    pub swallowed: u64,
    /// Beacons that were on the air; they count in `txnb`, not in `on_air`.
    pub beacons: u64,
    /// Beacons that found the radio sending, were overwritten, or came too late.
    pub beacons_lost: u64,
    /// `rxnb`, `rxok`, `rxfw`: receptions.
    pub rxnb: u64,
    /// Receptions lost because the gateway was sending.
    pub deaf: u64,
    /// PUSH_DATA sent.
    pub pushed: u64,
    /// PUSH_DATA acknowledged in time.
    pub push_acked: u64,
}

/// A gateway in virtual time. Tell it what arrives, call [`Concentrator::time`] at
/// [`Concentrator::wake_at`], and after every call take [`Concentrator::poll`] until it is empty.
#[derive(Clone, Debug)]
pub struct Concentrator {
    settings: Settings,
    random: Random,
    tokens: Tokens,
    counter: Counter,
    queue: JitQueue,
    radio: RadioChip,
    bus: Bus,
    gps: Gps,
    /// GPS seconds of the newest beacon queued, and when the next is thought of.
    beacon_gps_s: Option<u64>,
    beacons_at: Instant,
    is_running: bool,
    port_generation: u32,
    /// When the downlink thread has read all that arrived.
    read_until: Instant,
    pull_at: Instant,
    stat_at: Instant,
    tx_acks: VecDeque<(Instant, Vec<u8>)>,
    heard: VecDeque<Heard>,
    report: Option<(Instant, Stat)>,
    push_waits: Option<(u16, Instant)>,
    counts: Counts,
    reported: Counts,
    outputs: VecDeque<Output>,
}

/// What is next, in the order of what happens first when two fall together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Fire,
    HandOver,
    Beacons,
    TxAck,
    Pull,
    Stat,
    Push,
}

impl Concentrator {
    /// A gateway whose forwarder starts at `now`.
    pub fn new(settings: Settings, mut random: Random, now: Instant) -> Self {
        let bus = Bus::new(settings.bus_hold_us, random.split(1));
        let gps = Gps::new(settings.gps, settings.gps_silences_us.clone(), now);
        let counter = Counter::new(now, settings.counter_at_start, settings.drift_ppb);
        Concentrator {
            random,
            tokens: Tokens::new(),
            counter,
            queue: JitQueue::default(),
            radio: RadioChip::default(),
            bus,
            gps,
            beacon_gps_s: None,
            beacons_at: now,
            is_running: true,
            port_generation: 0,
            read_until: now,
            pull_at: now.plus_us(START_UP_US),
            stat_at: now.plus_us(settings.stat_us),
            tx_acks: VecDeque::new(),
            heard: VecDeque::new(),
            report: None,
            push_waits: None,
            counts: Counts::default(),
            reported: Counts::default(),
            outputs: VecDeque::new(),
            settings,
        }
    }

    /// A datagram from the server arrives at one of the two sockets.
    pub fn datagram(&mut self, now: Instant, socket: Socket, bytes: &[u8]) {
        self.time(now);
        if !self.is_running {
            return;
        }
        match (socket, bytes) {
            (Socket::Push, [2, high, low, 1, ..]) => self.push_ack(now, u16::from_be_bytes([*high, *low])),
            (Socket::Pull, [2, high, low, 3, ..]) => {
                self.pull_resp(now, u16::from_be_bytes([*high, *low]), bytes);
            }
            // Other versions, other types, PULL_ACK: a log line at most.
            _ => {}
        }
        self.time(now);
    }

    /// A packet that arrives at the antenna ends at `now`. `false` when the gateway did not hear it: it was
    /// sending during a part of it, or is not running.
    pub fn uplink(&mut self, now: Instant, reception: Reception<'_>) -> bool {
        self.time(now);
        if !self.is_running {
            return false;
        }
        if self.radio.was_deaf(reception.start, now) {
            self.counts.deaf += 1;
            return false;
        }
        if self.heard.len() >= HEARD_MAX {
            return false;
        }
        let (least_us, most_us) = self.settings.uplink_delay_us;
        let found_at = self.bus.free_at(now.plus_us(self.random.range(least_us, most_us)));
        // One fetch brings all there is, in the order it was heard.
        let ready_at = self.heard.back().map_or(found_at, |last| last.ready_at.max(found_at));
        let gps = self.gps_of_reception(now);
        self.counts.rxnb += 1;
        self.heard.push_back(Heard {
            ready_at,
            tmst: self.counter.tmst(now),
            frequency_hz: reception.frequency_hz,
            modulation: reception.modulation,
            phy_payload: reception.phy_payload.to_vec(),
            rssi: reception.rssi,
            snr_tenths_db: reception.snr_tenths_db,
            gps,
        });
        true
    }

    /// Lets everything happen that is due by `now`.
    pub fn time(&mut self, now: Instant) {
        while let Some((at, event)) = self.next_event() {
            if at > now {
                break;
            }
            match event {
                Event::Fire => self.fire(),
                Event::HandOver => self.hand_over(at),
                Event::Beacons => self.queue_beacons(at),
                Event::TxAck => self.send_tx_ack(),
                Event::Pull => self.send_pull_data(at),
                Event::Stat => self.write_report(at),
                Event::Push => self.send_push_data(at),
            }
        }
    }

    /// When [`Concentrator::time`] must be called next; never after the process ended.
    pub fn wake_at(&self) -> Option<Instant> {
        self.next_event().map(|(at, _)| at)
    }

    /// The next thing that happened, oldest first.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The process starts anew, whether it ended or not: the counter at zero, the queue lost, other source
    /// ports, the same tokens as ever. What is on the air stays there. Take what [`Concentrator::poll`] still
    /// has before: it was sent from the old ports.
    pub fn restart(&mut self, now: Instant) {
        self.time(now);
        self.stop();
        self.gps = Gps::new(self.settings.gps, self.settings.gps_silences_us.clone(), now);
        self.is_running = true;
        self.port_generation += 1;
        self.tokens = Tokens::new();
        self.counter = Counter::new(now, 0, self.settings.drift_ppb);
        self.read_until = now;
        self.pull_at = now.plus_us(START_UP_US);
        self.stat_at = now.plus_us(self.settings.stat_us);
        self.reported = self.counts;
    }

    /// The process is killed: it hears, answers and sends nothing until [`Concentrator::restart`].
    pub fn kill(&mut self, now: Instant) {
        self.time(now);
        self.stop();
    }

    /// From now on every fetch of receptions holds the bus for `hold_us` microseconds; 0 sets it free.
    pub fn hold_bus(&mut self, now: Instant, hold_us: u64) {
        self.time(now);
        self.bus.hold(now, hold_us);
    }

    /// How often it was restarted; with each generation both source ports change.
    pub fn port_generation(&self) -> u32 {
        self.port_generation
    }

    /// What the concentrator's register shows.
    pub fn counter(&self, now: Instant) -> u32 {
        self.counter.tmst(now)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn next_event(&self) -> Option<(Instant, Event)> {
        if !self.is_running {
            return None;
        }
        let hand_over_at = self.queue.soonest().map(|entry| self.hand_over_at(entry));
        [
            self.radio.armed_start().map(|at| (at, Event::Fire)),
            hand_over_at.map(|at| (at, Event::HandOver)),
            self.beacons_at().map(|at| (at, Event::Beacons)),
            self.tx_acks.front().map(|&(at, _)| (at, Event::TxAck)),
            Some((self.pull_at, Event::Pull)),
            Some((self.stat_at, Event::Stat)),
            self.push_at().map(|at| (at, Event::Push)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the poll of the queue finds it.
    fn hand_over_at(&self, entry: &Entry) -> Instant {
        let lead_us = if self.bus.is_idle() { entry.lead_us } else { PROGRAM_US };
        self.bus.poll_at(self.counter.instant_of(entry.start.saturating_sub(lead_us).max(entry.came)))
    }

    /// When beacons can be queued: never without a period or a receiver, not while enough of them wait.
    fn beacons_at(&self) -> Option<Instant> {
        let wants = self.settings.beacon_period_s > 0 && self.settings.gps;
        (wants && self.queue.beacons() < beacon::QUEUED)
            .then(|| self.gps.beacons_ready_at().max(self.beacons_at))
    }

    /// When there is something to push and nothing to wait for.
    fn push_at(&self) -> Option<Instant> {
        let heard_at = self.heard.front().map(|heard| heard.ready_at);
        let reported_at = self.report.as_ref().map(|&(at, _)| at);
        let ready_at = heard_at.into_iter().chain(reported_at).min()?;
        Some(self.push_waits.map_or(ready_at, |(_, until)| ready_at.max(until)))
    }

    fn push_ack(&mut self, now: Instant, token: u16) {
        if self.push_waits.is_some_and(|(awaited, until)| awaited == token && now < until) {
            self.push_waits = None;
            self.counts.push_acked += 1;
        }
    }

    fn pull_resp(&mut self, now: Instant, token: u16, bytes: &[u8]) {
        // The counter is read, and everything judged, when the bus is free.
        let now = self.bus.free_at(now);
        if self.read_until.us_since(now) >= SOCKET_DEPTH * DATAGRAM_US {
            self.counts.vanished += 1;
            return;
        }
        self.read_until = self.read_until.max(now).plus_us(DATAGRAM_US);
        let has_gps = self.gps.is_valid(now);
        let answer = match txpk::read(&bytes[..bytes.len().min(RECEIVE_MAX)], has_gps) {
            Ok(request) if request.rf_chain == self.settings.rf_chain => self.execute(now, request),
            Err(Unread::GpsUnlocked) => Answer::Refused(TxError::GpsUnlocked),
            Err(Unread::Exit) => {
                // Earlier answers had left before this datagram was read.
                self.outputs.extend(self.tx_acks.drain(..).map(|(_, datagram)| Output::Pull(datagram)));
                self.stop();
                self.outputs
                    .push_back(Output::Exited { why: "txpk.data holds a character that is not base64" });
                return;
            }
            Ok(_) | Err(Unread::Silent) => {
                self.counts.vanished += 1;
                return;
            }
        };
        match answer {
            Answer::Refused(_) => self.counts.refused += 1,
            Answer::Queued | Answer::QueuedWithPower(_) => self.counts.accepted += 1,
        }
        let answered_at = self.read_until.plus_us(self.settings.ack_latency_us);
        let datagram = upstream::tx_ack(self.settings.gateway_id, token, answer);
        self.tx_acks.push_back((answered_at, datagram));
    }

    fn execute(&mut self, now: Instant, request: Request) -> Answer {
        self.counts.dwnb += 1;
        self.counts.by_hand += u64::from(request.by_hand);
        let allowed_hz = self.settings.tx_freq_min_hz..=self.settings.tx_freq_max_hz;
        if !allowed_hz.contains(&request.frame.frequency_hz) {
            return Answer::Refused(TxError::InvalidTransmitFrequency);
        }
        let start = match request.when {
            When::Start(start) => start,
            When::GpsMs(gps_ms) => Start::Gps(self.tmst_at_gps(now, gps_ms)),
        };
        // Without `powe` the conducted power is zero, whatever the antenna.
        let asked_dbm = request.power_dbm.map_or(0, |powe| powe.wrapping_sub(self.settings.antenna_gain_db));
        let conducted_dbm = self.conducted_dbm(asked_dbm);
        let lead_us = self.random.range(LEAD_US.0, LEAD_US.1);
        match self.queue.enqueue(self.counter.read(now), start, lead_us, request.frame, conducted_dbm) {
            Ok(()) if conducted_dbm == asked_dbm => Answer::Queued,
            Ok(()) => Answer::QueuedWithPower(conducted_dbm),
            Err(Refusal::TooLate) => Answer::Refused(TxError::TooLate),
            Err(Refusal::TooEarly) => Answer::Refused(TxError::TooEarly),
            Err(Refusal::Collision) => Answer::Refused(TxError::CollisionPacket),
            Err(Refusal::Beacon) => Answer::Refused(TxError::CollisionBeacon),
        }
    }

    /// Keeps beacons waiting, one at every multiple of the period; one that collides is left out.
    fn queue_beacons(&mut self, at: Instant) {
        self.beacons_at = at.plus_us(BEACONS_US);
        if !self.gps.is_valid(at) {
            return;
        }
        let (count, gps) = (self.counter.read(at), self.gps_at(at));
        let period_s = u64::from(self.settings.beacon_period_s);
        for _ in self.queue.beacons()..beacon::QUEUED {
            let gps_s = gps.as_us() / 1_000_000;
            let last_s = self.beacon_gps_s.filter(|last_s| *last_s >= gps_s).unwrap_or(gps_s);
            let next_s = (last_s / period_s + 1) * period_s;
            self.beacon_gps_s = Some(next_s);
            let tmst = self.tmst_at_gps(at, next_s * 1000);
            let start = Start::Beacon(count + u64::from(tmst.wrapping_sub(count as u32)));
            let frame = beacon::frame(next_s, self.settings.beacon_frequency_hz);
            let (dbm, lead_us) = (self.conducted_dbm(BEACON_DBM), self.random.range(LEAD_US.0, LEAD_US.1));
            let queued = self.queue.enqueue(count, start, lead_us, frame, dbm);
            self.counts.beacons_lost += u64::from(queued.is_err());
        }
    }

    fn gps_at(&self, at: Instant) -> GpsTime {
        self.settings.gps_at_zero.plus_us(at.us_since(Instant::ZERO))
    }

    /// GPS time of a reception that ends now, as far as the forwarder knows it.
    fn gps_of_reception(&mut self, now: Instant) -> Option<GpsTime> {
        let is_glitch =
            self.settings.gps_glitch_ppm > 0 && self.random.chance_ppm(self.settings.gps_glitch_ppm);
        let gps = self.gps_at(now).plus_us(if is_glitch { GPS_GLITCH_US } else { 0 });
        self.gps.is_valid(now).then_some(gps)
    }

    /// The register at a GPS time, by the counter's present rate; it wraps as the forwarder's does.
    fn tmst_at_gps(&self, now: Instant, gps_ms: u64) -> u32 {
        let zero_us = i128::from(self.settings.gps_at_zero.as_us());
        let ahead_us = i128::from(gps_ms) * 1000 - zero_us - i128::from(now.as_us());
        let drift_us = ahead_us * i128::from(self.settings.drift_ppb) / 1_000_000_000;
        self.counter(now).wrapping_add((ahead_us + drift_us) as u32)
    }

    /// The entry asked for or the next lower one; below the lowest, the lowest, which is more than asked.
    fn conducted_dbm(&self, asked_dbm: i8) -> i8 {
        let table = &self.settings.gain_table_dbm;
        let lower = table.iter().copied().filter(|&entry_dbm| entry_dbm <= asked_dbm).max();
        lower.or(table.first().copied()).unwrap_or(asked_dbm)
    }

    fn hand_over(&mut self, at: Instant) {
        let Some(entry) = self.queue.hand_over() else {
            return;
        };
        let is_beacon = entry.is_beacon;
        if is_beacon {
            self.beacons_at = self.beacons_at.max(at);
        }
        let lead_us = entry.start.saturating_sub(self.counter.read(at));
        if self.radio.is_emitting(at) || !entry.frame.is_radiatable() || lead_us == 0 {
            self.swallow(is_beacon);
            return;
        }
        self.counts.txnb += 1;
        if lead_us < TX_START_US {
            // The chip compares for equality: it would go a whole turn of its counter later.
            self.swallow(is_beacon);
            return;
        }
        let transmission = self.transmission(entry);
        match self.radio.arm(transmission, is_beacon) {
            HandOver::Armed => {}
            HandOver::Overwrote { beacon } => self.swallow(beacon),
        }
    }

    fn swallow(&mut self, is_beacon: bool) {
        self.counts.swallowed += u64::from(!is_beacon);
        self.counts.beacons_lost += u64::from(is_beacon);
    }

    fn transmission(&self, entry: Entry) -> Transmission {
        let conducted = Dbm::from_whole(i32::from(entry.conducted_dbm));
        Transmission {
            start: self.counter.instant_of(entry.start),
            airtime_us: on_air_us(&entry.frame),
            frequency_hz: entry.frame.frequency_hz,
            modulation: entry.frame.modulation,
            eirp: conducted + self.settings.real_antenna_gain,
            inverted_iq: entry.frame.inverted_iq,
            crc: entry.frame.crc,
            preamble_symbols: entry.frame.preamble_symbols,
            phy_payload: entry.frame.phy_payload,
        }
    }

    fn fire(&mut self) {
        if let Some((transmission, is_beacon)) = self.radio.fire() {
            self.counts.on_air += u64::from(!is_beacon);
            self.counts.beacons += u64::from(is_beacon);
            self.outputs.push_back(Output::OnAir(transmission));
        }
    }

    fn send_tx_ack(&mut self) {
        if let Some((_, datagram)) = self.tx_acks.pop_front() {
            self.outputs.push_back(Output::Pull(datagram));
        }
    }

    fn send_pull_data(&mut self, at: Instant) {
        let datagram = upstream::pull_data(self.settings.gateway_id, self.tokens.draw());
        self.outputs.push_back(Output::Pull(datagram));
        let jitter_us = self.random.below(PULL_JITTER_US);
        self.pull_at = at.plus_us(self.settings.keepalive_us.max(1)).plus_us(jitter_us);
    }

    /// The status report of the interval that ends now; one not yet sent is lost.
    fn write_report(&mut self, at: Instant) {
        let (now, then) = (self.counts, self.reported);
        let (pushed, acked) = (now.pushed - then.pushed, now.push_acked - then.push_acked);
        let place = self.gps.is_valid(at).then_some(PLACE);
        let stat = Stat {
            time: self.system_clock(at),
            lati: place.map(|(lati, _, _)| lati),
            long: place.map(|(_, long, _)| long),
            alti: place.map(|(_, _, alti)| alti),
            rxnb: now.rxnb - then.rxnb,
            rxok: now.rxnb - then.rxnb,
            rxfw: now.rxnb - then.rxnb,
            ackr: Some((1000 * acked).checked_div(pushed).unwrap_or(0) as f64 / 10.0),
            dwnb: now.dwnb - then.dwnb,
            txnb: now.txnb - then.txnb,
            temp: Some(25.0),
        };
        self.reported = now;
        self.report = Some((at, stat));
        self.stat_at = at.plus_us(self.settings.stat_us.max(1));
    }

    fn system_clock(&self, at: Instant) -> String {
        let unix_us = self.settings.gps_at_zero.to_unix_us().saturating_add(at.as_us());
        let timestamp = Timestamp::from_microsecond(unix_us).unwrap_or(Timestamp::UNIX_EPOCH);
        timestamp.strftime("%Y-%m-%d %H:%M:%S GMT").to_string()
    }

    /// All that is ready goes in one datagram, and nothing more until it is acknowledged or given up.
    fn send_push_data(&mut self, at: Instant) {
        let ready = self.heard.partition_point(|heard| heard.ready_at <= at);
        let heard: Vec<Heard> = self.heard.drain(..ready).collect();
        let stat = self.report.take().map(|(_, stat)| stat);
        let token = self.tokens.draw();
        let datagram = upstream::push_data(self.settings.gateway_id, token, &heard, stat);
        self.outputs.push_back(Output::Push(datagram));
        self.counts.pushed += 1;
        self.push_waits = Some((token, at.plus_us(PUSH_WAIT_US)));
    }

    /// The process is gone with all it held.
    fn stop(&mut self) {
        self.is_running = false;
        let armed = u64::from(self.radio.holds_packet());
        self.counts.swallowed += self.queue.packets() as u64 + armed;
        self.queue = JitQueue::default();
        self.beacon_gps_s = None;
        self.radio.reset();
        self.tx_acks.clear();
        self.heard.clear();
        self.report = None;
        self.push_waits = None;
    }
}
