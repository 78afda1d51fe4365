//! The forwarder's threads as one machine in virtual time.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use semtech_udp::tx_ack::Error as TxError;

use crate::radio::Modulation;
use crate::sim::concentrator::beacon;
use crate::sim::concentrator::beacon::Beacons;
use crate::sim::concentrator::board::Board;
use crate::sim::concentrator::counts::Counts;
use crate::sim::concentrator::gps::Gps;
use crate::sim::concentrator::jit_queue::Refusal;
use crate::sim::concentrator::jit_queue::Start;
use crate::sim::concentrator::output::Output;
use crate::sim::concentrator::output::Socket;
use crate::sim::concentrator::push_thread::PushThread;
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
/// The poll of the queue runs every 10 ms, so a packet is found 30-40 ms before its start.
const LEAD_US: (u64, u64) = (30_050, 39_950);

/// Conducted power asked for beacons.
const BEACON_DBM: i8 = 14;

/// A gateway in virtual time. Tell it what arrives, call [`Concentrator::time`] at
/// [`Concentrator::wake_at`], and after every call take [`Concentrator::poll`] until it is empty.
#[derive(Clone, Debug)]
pub struct Concentrator {
    settings: Settings,
    rng: Random,
    tokens: Tokens,
    /// One or two.
    boards: Vec<Board>,
    /// The number of receptions that the boards took in turn.
    turns: usize,
    gps: Gps,
    beacons: Beacons,
    is_running: bool,
    /// When the supervisor starts it again.
    starts_at: Option<Instant>,
    /// When the hazards were looked at last.
    looked_at: Instant,
    /// What came while the host stood still, and when it goes on.
    backlog: VecDeque<(Instant, Socket, Vec<u8>)>,
    port_generation: u32,
    /// When the downlink thread has read all that arrived.
    read_until: Instant,
    pull_at: Instant,
    stat_at: Instant,
    tx_acks: VecDeque<(Instant, Vec<u8>)>,
    push_thread: PushThread,
    counts: Counts,
    /// Receptions lost because the gateway was sending, by data rate.
    deaf_to: BTreeMap<Modulation, u64>,
    outputs: VecDeque<Output>,
}

/// What is next, in the order of what happens first when two fall together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Start,
    Hazard,
    Fire(usize),
    HandOver(usize),
    Backlog,
    Beacons,
    TxAck,
    Pull,
    Stat,
    Push,
}

impl Concentrator {
    /// A gateway whose forwarder starts at `now`.
    pub fn new(settings: Settings, mut rng: Random, now: Instant) -> Self {
        let mut boards = vec![Board::first(&settings, &mut rng, now)];
        boards.extend(Board::second(&settings, &mut rng, now));
        Concentrator {
            boards,
            turns: 0,
            rng,
            tokens: Tokens::new(),
            gps: Gps::new(&settings, now),
            beacons: Beacons::new(&settings, now),
            is_running: true,
            starts_at: None,
            looked_at: now,
            backlog: VecDeque::new(),
            port_generation: 0,
            read_until: now,
            pull_at: now.plus_us(START_UP_US),
            stat_at: now.plus_us(settings.stat_us),
            tx_acks: VecDeque::new(),
            push_thread: PushThread::default(),
            counts: Counts::default(),
            deaf_to: BTreeMap::new(),
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
        let awake_at = self.awake_at(now);
        if awake_at == now {
            self.read(now, socket, bytes);
            self.time(now);
        } else if (self.backlog.len() as u64) < SOCKET_DEPTH {
            self.backlog.push_back((awake_at, socket, bytes.to_vec()));
        }
    }

    fn read(&mut self, now: Instant, socket: Socket, bytes: &[u8]) {
        let &[version, high, low, identifier, ..] = bytes else { return };
        if version != self.settings.protocol_version {
            return;
        }
        match (socket, identifier) {
            (Socket::Push, 1) => self.push_ack(now, u16::from_be_bytes([high, low])),
            (Socket::Pull, 3) => self.pull_resp(now, u16::from_be_bytes([high, low]), bytes),
            // Other types, PULL_ACK: a log line at most.
            _ => {}
        }
    }

    /// A packet that arrives at the antenna ends at `now`. `false` when the gateway did not hear it: it was
    /// sending during a part of it, or is not running.
    pub fn uplink(&mut self, now: Instant, reception: Reception<'_>) -> bool {
        self.time(now);
        if !self.is_running {
            return false;
        }
        let (number, turn) = (self.turns % self.boards.len(), self.turns + 1);
        self.turns = turn;
        let board = &self.boards[number];
        if board.was_deaf(reception.start, now) {
            self.counts.deaf += 1;
            *self.deaf_to.entry(reception.modulation).or_default() += 1;
            return false;
        }
        if self.push_thread.is_full() {
            return false;
        }
        let (least_us, most_us) = self.settings.uplink_delay_us;
        let found_at = board.free_at(now.plus_us(self.rng.range(least_us, most_us)));
        let gps = self.gps.time_of_reception(now, &mut self.rng);
        self.counts.rxnb += 1;
        self.push_thread.hear(Heard {
            ready_at: self.settings.hazards.awake_at(found_at),
            board: (self.boards.len() > 1).then_some(number),
            tmst: board.tmst(now),
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
                Event::Start => self.start(at),
                Event::Hazard => self.meet_hazard(at),
                Event::Fire(board) => {
                    let on_air = self.boards[board].fire(&mut self.counts);
                    self.outputs.extend(on_air.map(Output::OnAir));
                }
                Event::HandOver(board) => {
                    if self.boards[board].hand_over(at, &mut self.counts) {
                        self.beacons.handed_over(at);
                    }
                }
                Event::Backlog => {
                    if let Some((_, socket, bytes)) = self.backlog.pop_front() {
                        self.read(at, socket, &bytes);
                    }
                }
                Event::Beacons => self.queue_beacons(at),
                Event::TxAck => self.send_tx_ack(),
                Event::Pull => self.send_pull_data(at),
                Event::Stat => self.report(at),
                Event::Push => self.send_push_data(at),
            }
        }
    }

    /// When [`Concentrator::time`] must be called next; after the process ended, only if something will start it.
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
        self.start(now);
    }

    fn start(&mut self, now: Instant) {
        self.starts_at = None;
        self.gps = Gps::new(&self.settings, now);
        self.is_running = true;
        self.port_generation += 1;
        self.tokens = Tokens::new();
        for board in &mut self.boards {
            board.reset(now);
        }
        self.read_until = now;
        self.pull_at = now.plus_us(START_UP_US);
        self.stat_at = now.plus_us(self.settings.stat_us);
        self.push_thread.restart(self.counts);
    }

    /// The process is killed: it hears, answers and sends nothing until [`Concentrator::restart`], or until its
    /// supervisor starts it.
    pub fn kill(&mut self, now: Instant) {
        self.time(now);
        self.die(now);
    }

    fn die(&mut self, now: Instant) {
        if !self.is_running {
            return;
        }
        self.outputs.extend(self.settings.hazards.last_words.clone().map(Output::Push));
        self.stop();
        let after_us = self.settings.hazards.supervisor_us;
        self.starts_at = after_us.map(|(least_us, most_us)| now.plus_us(self.rng.range(least_us, most_us)));
    }

    /// Holds or frees the bus, or dies, as the hazards of this moment are.
    fn meet_hazard(&mut self, at: Instant) {
        self.looked_at = at;
        self.hold_bus_from(at, self.settings.hazards.bus_hold_us(at, self.settings.bus_hold_us));
        if self.settings.hazards.kills(at) {
            self.die(at);
        }
    }

    /// From now on every fetch of receptions holds the bus for `hold_us` microseconds; 0 sets it free.
    pub fn hold_bus(&mut self, now: Instant, hold_us: u64) {
        self.time(now);
        self.hold_bus_from(now, hold_us);
    }

    fn hold_bus_from(&mut self, now: Instant, hold_us: u64) {
        for board in &mut self.boards {
            board.hold_bus(now, hold_us);
        }
    }

    /// The first instant from `at` on at which the host does not stand still.
    pub fn awake_at(&self, at: Instant) -> Instant {
        self.settings.hazards.awake_at(at)
    }

    /// How often it was restarted; with each generation both source ports change.
    pub fn port_generation(&self) -> u32 {
        self.port_generation
    }

    /// What the register of the (first) board shows.
    pub fn counter(&self, now: Instant) -> u32 {
        self.boards[0].tmst(now)
    }

    /// Receptions lost because the gateway was sending, by data rate.
    pub fn deaf_to(&self) -> &BTreeMap<Modulation, u64> {
        &self.deaf_to
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn next_event(&self) -> Option<(Instant, Event)> {
        let hazards = &self.settings.hazards;
        let start = self.starts_at.map(|at| (at, Event::Start));
        let hazard = hazards.next_change(self.looked_at).map(|at| (at, Event::Hazard));
        let always = start.into_iter().chain(hazard);
        if !self.is_running {
            return always.min();
        }
        let boards = self.boards.iter().enumerate().flat_map(|(number, board)| {
            let fire = board.fire_at().map(|at| (at, Event::Fire(number)));
            let hand_over = board.hand_over_at(hazards).map(|at| (at, Event::HandOver(number)));
            fire.into_iter().chain(hand_over)
        });
        let backlog = self.backlog.front().map(|&(at, ..)| (at, Event::Backlog));
        let host = [
            self.beacons.thinks_at(&self.gps, self.boards[0].beacons()).map(|at| (at, Event::Beacons)),
            self.tx_acks.front().map(|&(at, _)| (at, Event::TxAck)),
            Some((self.pull_at, Event::Pull)),
            Some((self.stat_at, Event::Stat)),
            self.push_thread.push_at().map(|at| (at, Event::Push)),
        ];
        let host = host.into_iter().flatten().map(|(at, event)| (hazards.awake_at(at), event));
        always.chain(boards).chain(backlog).chain(host).min()
    }

    fn push_ack(&mut self, now: Instant, token: u16) {
        self.counts.push_acked += u64::from(self.push_thread.acknowledged(now, token));
    }

    fn pull_resp(&mut self, now: Instant, token: u16, bytes: &[u8]) {
        // The counter is read, and everything judged, when the bus is free.
        let now = self.boards[0].free_at(now);
        if self.read_until.us_since(now) >= SOCKET_DEPTH * DATAGRAM_US {
            self.counts.vanished += 1;
            return;
        }
        self.read_until = self.read_until.max(now).plus_us(DATAGRAM_US);
        let has_gps = self.gps.is_valid(now);
        let answer = match txpk::read(&bytes[..bytes.len().min(RECEIVE_MAX)], has_gps) {
            Ok(request) if self.has_chain_of(&request) => self.execute(now, request),
            Err(Unread::GpsUnlocked) => Answer::Refused(TxError::GpsUnlocked),
            Err(Unread::Exit) => {
                // Earlier answers had left before this datagram was read.
                self.outputs.extend(self.tx_acks.drain(..).map(|(_, datagram)| Output::Pull(datagram)));
                self.die(now);
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
            Answer::Refused(_) | Answer::RefusedWith(_) => self.counts.refused += 1,
            Answer::Queued | Answer::QueuedWithPower(_) => self.counts.accepted += 1,
        }
        if self.settings.protocol_version > 1 {
            let answered_at = self.read_until.plus_us(self.settings.ack_latency_us);
            let datagram = upstream::tx_ack(self.settings.gateway_id, token, answer);
            self.tx_acks.push_back((answered_at, datagram));
        }
    }

    fn has_chain_of(&self, request: &Request) -> bool {
        request.rf_chain == self.settings.rf_chain && usize::from(request.board) < self.boards.len()
    }

    fn execute(&mut self, now: Instant, mut request: Request) -> Answer {
        self.counts.dwnb += 1;
        self.counts.by_hand += u64::from(request.by_hand);
        if let Some(words) = self.settings.hazards.refuses(now) {
            return Answer::RefusedWith(words);
        }
        let allowed_hz = self.settings.tx_freq_min_hz..=self.settings.tx_freq_max_hz;
        if !allowed_hz.contains(&request.frame.frequency_hz) {
            return Answer::Refused(TxError::InvalidTransmitFrequency);
        }
        let board = &mut self.boards[usize::from(request.board)];
        let start = match request.when {
            When::Start(start) => start,
            When::GpsMs(gps_ms) => Start::Gps(board.tmst_in(now, self.gps.ahead_us(now, gps_ms))),
        };
        // Without `powe` the conducted power is zero, whatever the antenna.
        let asked_dbm = request.power_dbm.map_or(0, |powe| powe.wrapping_sub(self.settings.antenna_gain_db));
        let lead_us = self.rng.range(LEAD_US.0, LEAD_US.1);
        let hazards = &self.settings.hazards;
        request.frame.is_swallowed = hazards.swallows(now, &mut self.rng);
        match board.enqueue(now, start, lead_us, request.frame, asked_dbm) {
            Ok(conducted_dbm) if conducted_dbm == asked_dbm => Answer::Queued,
            Ok(conducted_dbm) => Answer::QueuedWithPower(conducted_dbm),
            Err(Refusal::TooLate) => Answer::Refused(TxError::TooLate),
            Err(Refusal::TooEarly) => Answer::Refused(TxError::TooEarly),
            Err(Refusal::Collision) => Answer::Refused(TxError::CollisionPacket),
            Err(Refusal::Beacon) if hazards.beacons_swallow => {
                self.counts.swallow(false);
                Answer::Queued
            }
            Err(Refusal::Beacon) => Answer::Refused(TxError::CollisionBeacon),
        }
    }

    /// Keeps beacons waiting; one that collides is left out.
    fn queue_beacons(&mut self, at: Instant) {
        self.beacons.think_again(at);
        if !self.gps.is_valid(at) {
            return;
        }
        let board = &mut self.boards[0];
        let (count, gps) = (board.count(at), self.gps.time(at));
        for _ in board.beacons()..beacon::QUEUED {
            let (gps_s, frame) = self.beacons.next(gps);
            let tmst = board.tmst_in(at, self.gps.ahead_us(at, gps_s * 1000));
            let start = Start::Beacon(count + u64::from(tmst.wrapping_sub(count as u32)));
            let lead_us = self.rng.range(LEAD_US.0, LEAD_US.1);
            let queued = board.enqueue(at, start, lead_us, frame, BEACON_DBM);
            self.counts.beacons_lost += u64::from(queued.is_err());
        }
    }

    fn send_tx_ack(&mut self) {
        if let Some((_, datagram)) = self.tx_acks.pop_front() {
            self.outputs.push_back(Output::Pull(datagram));
        }
    }

    fn send_pull_data(&mut self, at: Instant) {
        let datagram = upstream::pull_data(self.settings.gateway_id, self.tokens.draw());
        self.outputs.push_back(Output::Pull(self.versioned(datagram)));
        let jitter_us = self.rng.below(PULL_JITTER_US);
        self.pull_at = at.plus_us(self.settings.keepalive_us.max(1)).plus_us(jitter_us);
    }

    fn report(&mut self, at: Instant) {
        self.push_thread.report(at, self.gps.time(at), self.gps.is_valid(at), self.counts);
        self.stat_at = at.plus_us(self.settings.stat_us.max(1));
    }

    fn send_push_data(&mut self, at: Instant) {
        let token = self.tokens.draw();
        let (heard, stat) = self.push_thread.push(at, token);
        let datagram = upstream::push_data(self.settings.gateway_id, token, &heard, stat);
        self.outputs.push_back(Output::Push(self.versioned(datagram)));
        self.counts.pushed += 1;
    }

    /// The codec writes version 2.
    fn versioned(&self, mut datagram: Vec<u8>) -> Vec<u8> {
        datagram[0] = self.settings.protocol_version;
        datagram
    }

    /// The process is gone with all it held.
    fn stop(&mut self) {
        self.is_running = false;
        for board in &mut self.boards {
            board.stop(&mut self.counts);
        }
        self.backlog.clear();
        self.beacons.stop();
        self.tx_acks.clear();
        self.push_thread.restart(self.counts);
    }
}
