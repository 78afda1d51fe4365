//! The engine and the devices of a group behind a network server: which campaign they are told, and when.

use crate::support::small_world;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuotad::broadcast::TaskSource;
use fuotad::broadcast::Verb;
use fuotad::campaign::CANARY_FCNTS;
use fuotad::campaign::Group;
use fuotad::campaign::SessionRule;
use fuotad::engine;
use fuotad::engine::Engine;
use fuotad::engine::FleetSettings;
use fuotad::engine::Input;
use fuotad::engine::Output;
use fuotad::fleet::Batch;
use fuotad::fleet::DeviceState;
use fuotad::fleet::FleetRules;
use fuotad::fleet::Member;
use fuotad::fleet::StartWhen;
use fuotad::lns;
use fuotad::lns::Dialect;
use fuotad::lns::EventKind;
use fuotad::lns::Push;
use fuotad::lns::Up;
use fuotad::lorawan::Eui64;
use fuotad::lorawan::KeyFingerprint;
use fuotad::lorawan::RootKey;
use fuotad::lorawan::Secret;
use fuotad::lorawan::encrypt_mc_key;
use fuotad::lorawan::mc_ke_key;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::report::Event;
use fuotad::sim::device::Device;
use fuotad::sim::device::Settings;
use fuotad::sim::device::Stack;
use fuotad::sim::device::State;
use fuotad::sim::random::Random;
use fuotad::store::Change;
use fuotad::store::FleetRecord;
use fuotad::store::KeyCounters;
use fuotad::store::RangeState;
use fuotad::store::RecordId;
use fuotad::store::Recovered;
use fuotad::store::Reservation;
use fuotad::store::TaskRecord;
use fuotad::task::TaskId;
use fuotad::time::GpsTime;
use fuotad::time::Instant;
use fuotad::time::Now;
use std::collections::BTreeMap;

const DEVICE: Eui64 = Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 1]);
const LINK: usize = 3;

fn root_key() -> RootKey {
    RootKey::GenAppKey(Secret::from_bytes([7; 16]))
}

fn group() -> Group {
    let session = SessionRule::Windows { exponent: None, start: None };
    Group { session, ..small_world::group() }
}

fn settings(start_when: Option<StartWhen>) -> engine::Settings {
    let member = Member {
        dev_eui: DEVICE,
        name: "meter-1".to_owned(),
        mc_key_encrypted: encrypt_mc_key(&mc_ke_key(&root_key().mc_root_key()), &small_world::mc_key()),
        batch: Batch::default(),
        session_mics: None,
    };
    let rules = FleetRules { start_when, ..FleetRules::new(Dialect::ChirpStack) };
    let fleet = FleetSettings { group: "meters".to_owned(), link: LINK, rules, members: vec![member] };
    engine::Settings { groups: vec![group()], fleets: vec![fleet], ..small_world::settings() }
}

fn now(s: u64) -> Now {
    let gps = small_world::START.plus_us(s * 1_000_000);
    Now { mono: Instant::from_us((s * 1_000_000).cast_signed()), gps: Some(gps) }
}

struct Bench {
    engine: Engine,
    device: Device,
    f_cnt: u32,
    pushes: Vec<(usize, Push)>,
    records: BTreeMap<RecordId, FleetRecord>,
    forgotten: Vec<RecordId>,
    sessions: Vec<(GpsTime, u8)>,
    /// First counter of the last plan, and how many are for canaries below it.
    planned: (u32, u32),
    reserved: Option<Reservation>,
    task: Option<TaskRecord>,
    /// Counters of questions to canaries.
    questions: Vec<u32>,
    /// Those of the start that was decided.
    decided: Vec<(GpsTime, u8)>,
    /// What tasks waited for, and what was warned of.
    waits: Vec<String>,
    warnings: Vec<String>,
    /// How the last task ended.
    over: String,
    /// Whether the disk answers, and the saves of devices that it was given.
    has_disk: bool,
    /// Whether it answers that counters are reserved.
    reserves: bool,
    is_clock_trusted: bool,
    unanswered: Vec<u64>,
}

impl Bench {
    fn new(recovered: Recovered) -> Bench {
        Bench::with(recovered, None)
    }

    fn with(recovered: Recovered, start_when: Option<StartWhen>) -> Bench {
        Bench::of(settings(start_when), recovered)
    }

    fn of(settings: engine::Settings, recovered: Recovered) -> Bench {
        let region = parameters(RfRegion::Eu868).unwrap();
        let settings_of = Settings::stock(Stack::Ideal, "meter-1".to_owned(), root_key(), region);
        let mut bench = Bench {
            engine: Engine::new(settings, recovered, 1, now(0)),
            device: Device::new(settings_of, Random::new(1)),
            f_cnt: 0,
            pushes: Vec::new(),
            records: BTreeMap::new(),
            forgotten: Vec::new(),
            sessions: Vec::new(),
            planned: (0, 0),
            reserved: None,
            task: None,
            questions: Vec::new(),
            decided: Vec::new(),
            waits: Vec::new(),
            warnings: Vec::new(),
            over: String::new(),
            has_disk: true,
            reserves: true,
            is_clock_trusted: true,
            unanswered: Vec::new(),
        };
        let pull_data = [2, 0, 7, 2, 0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
        bench.tell(0, Input::Datagram { from: ([127, 0, 0, 1], 40_000).into(), bytes: &pull_data });
        bench
    }

    fn tell(&mut self, s: u64, input: Input<'_>) {
        let Now { mono, gps } = now(s);
        self.engine.handle(Now { mono, gps: gps.filter(|_| self.is_clock_trusted) }, input);
        let mut saves = Vec::new();
        loop {
            match self.engine.poll() {
                Output::WakeAt(_) => break,
                Output::LnsPush { link, push } => self.pushes.push((link, push)),
                Output::Fetch(fetch) => {
                    self.tell(s, Input::Image(fetch.task, small_world::image(1000), None));
                }
                Output::Save(save, change) => {
                    match change {
                        Change::Fleet(record) => {
                            self.records.insert(record.id, record);
                            if !self.has_disk {
                                self.unanswered.push(save);
                                continue;
                            }
                        }
                        Change::Reserve { .. } if !self.reserves => {
                            self.unanswered.push(save);
                            continue;
                        }
                        Change::Reserve { wanted, .. } => self.reserved = Some(wanted),
                        Change::Task(task) => self.task = Some(task),
                        Change::ForgetFleet(id) => self.forgotten.push(id),
                        _ => {}
                    }
                    saves.push(save);
                }
                Output::Report(report) => match report.event {
                    Event::Planned(planned) => {
                        self.planned = (planned.first_fcnt, planned.canary_fcnts);
                        self.sessions = planned.sessions;
                    }
                    Event::CanariesAsked { fcnt, .. } => self.questions.push(fcnt),
                    Event::Waiting { reason } => self.waits.push(reason),
                    Event::Warning { text } => self.warnings.push(text),
                    Event::StartDecided { sessions, .. } => self.decided = sessions,
                    Event::Over(outcome) => self.over = outcome.to_string(),
                    _ => {}
                },
                _ => {}
            }
        }
        saves.into_iter().for_each(|save| self.tell(s, Input::Saved(save, Ok(()))));
    }

    fn order(&mut self, stem: &str, s: u64) {
        self.order_document(stem, s, &small_world::document(30, "").replace("08:00:30Z", "10:00:00Z"));
    }

    fn order_document(&mut self, stem: &str, s: u64, document: &str) {
        self.tell(s, Input::Task { document: document.as_bytes(), stem, source: TaskSource::File });
        (1..=20).for_each(|_| self.tell(s, Input::Time));
    }

    fn event(&mut self, s: u64, kind: EventKind) {
        let device =
            lns::Address { dev_eui: DEVICE, application: "app".to_owned(), device: DEVICE.to_string() };
        self.tell(s, Input::Lns { link: LINK, event: lns::Event { device, kind } });
    }

    fn up(&mut self, s: u64, f_port: u8, data: Vec<u8>) {
        let up = Up {
            f_cnt: self.f_cnt,
            f_port,
            data,
            data_rate: None,
            modulation: None,
            frequency_hz: None,
            confirmed: false,
            adr: None,
            receptions: vec![lns::Reception {
                gateway_eui: Eui64::from_bytes([0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12]),
                rssi_dbm: -90.0,
                snr_db: 7.0,
            }],
            via_relay: false,
        };
        self.f_cnt += 1;
        self.event(s, EventKind::Up(up));
    }

    /// The device sends, and obeys whatever is queued for it, until nothing is. The FPort and CID of each command.
    fn converse(&mut self, s: u64) -> Vec<(u8, u8)> {
        let mut commands = Vec::new();
        let mut uplink = (2, vec![0; 4]);
        for step in 0.. {
            let at = s + 3 * step;
            self.up(at, uplink.0, uplink.1);
            let Some((link, push)) = self.pushes.pop() else { return commands };
            assert!(self.pushes.is_empty() && link == LINK);
            self.event(at + 1, EventKind::Sent { item: Some(push.item), on: None });
            commands.push((push.f_port, push.payload[0]));
            uplink = self.device.unicast(now(at + 2), push.f_port, &push.payload).remove(0);
        }
        commands
    }

    fn state(&self, s: u64) -> DeviceState {
        self.engine.fleet("meters").unwrap().device(now(s), DEVICE).unwrap().state
    }
}

/// The group behind PackageVersionReq of TS005, fragments behind that of TS004, session.
const WHOLE: [(u8, u8); 3] = [(200, 0x00), (201, 0x00), (200, 0x04)];

#[test]
fn the_devices_of_a_planned_campaign_are_told_its_group_fragments_and_first_session() {
    let mut bench = Bench::new(small_world::enrolled());
    assert_eq!(bench.converse(10), [], "nothing is ordered");
    bench.order("task-1", 20);
    assert_eq!(bench.state(20), DeviceState::Initial);
    assert_eq!(bench.converse(30), WHOLE);
    assert_eq!(bench.state(60), DeviceState::Told);
    let (start, exponent) = bench.sessions[0];
    assert_eq!(bench.device.status(now(60)).state, State::Waiting);
    let elapsed_s = start.us_since(small_world::START) / 1_000_000;
    let during = now(elapsed_s + (1 << exponent) - 1);
    assert_eq!(bench.device.status(now(elapsed_s + 1)).state, State::Listening);
    assert_eq!(bench.device.status(during).state, State::Listening);
}

#[test]
fn no_command_is_published_before_its_record_is_on_disk() {
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    bench.has_disk = false;
    bench.up(30, 2, vec![0]);
    assert_eq!(bench.pushes, []);
    let save = bench.unanswered[0];
    bench.tell(31, Input::Saved(save, Ok(())));
    assert_eq!(bench.pushes.len(), 1);
    // A disk without room keeps the command back, and the next uplink is another chance.
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    bench.has_disk = false;
    bench.up(30, 2, vec![0]);
    let save = bench.unanswered[0];
    bench.tell(31, Input::Saved(save, Err(fuotad::broadcast::NotSaved::NoRoom("full".to_owned()))));
    assert_eq!(bench.pushes, []);
    bench.has_disk = true;
    assert_eq!(bench.converse(3600), WHOLE);
}

#[test]
fn after_a_restart_nothing_that_was_answered_is_asked_again() {
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    assert_eq!(bench.converse(30), WHOLE);
    let fleets: Vec<FleetRecord> = bench.records.values().cloned().collect();
    let stale = FleetRecord { id: RecordId([9; 16]), bytes: vec![1, 2, 3] };
    let all = fleets.iter().cloned().chain([stale]).collect();
    let mut next = Bench::new(Recovered { fleets: all, ..small_world::enrolled() });
    assert_eq!(next.forgotten, [RecordId([9; 16])], "no group has it");
    next.f_cnt = bench.f_cnt;
    next.order("task-1", 20);
    assert_eq!(next.converse(90), []);
    assert_eq!(next.state(90), DeviceState::Told);
    // Another key's devices are others.
    let key = KeyFingerprint::from_bytes([1; 16]);
    assert_ne!(next.engine.fleet("meters").unwrap().key(), key);
}

#[test]
fn a_withdrawn_campaign_is_told_to_nobody_and_the_next_one_of_the_group_is() {
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    bench.up(30, 2, vec![0]);
    let (_, push) = bench.pushes.pop().unwrap();
    bench.event(31, EventKind::Sent { item: Some(push.item), on: None });
    bench.tell(40, Input::Cancel(TaskId::new("task-1").unwrap()));
    assert_eq!(bench.converse(3600), []);
    bench.order("task-2", 3700);
    assert_eq!(bench.converse(3800), WHOLE);
}

#[test]
fn an_operator_can_have_a_device_asked_anew() {
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    assert_eq!(bench.converse(30), WHOLE);
    assert!(bench.engine.begin_anew("meters", DEVICE, false));
    assert!(!bench.engine.begin_anew("lamps", DEVICE, false));
    assert!(!bench.engine.begin_anew("meters", Eui64::from_bytes([0; 8]), true));
    // It has the version of TS005 that it had.
    assert_eq!(bench.converse(100), [(200, 0x02), (201, 0x00), (200, 0x04)]);
    assert!(bench.engine.begin_anew("meters", DEVICE, true));
    assert_eq!(bench.state(200), DeviceState::Initial);
    assert_eq!(bench.converse(200), WHOLE);
}

#[test]
fn without_a_trusted_clock_a_task_waits_for_that_and_not_for_its_devices() {
    let start_when = StartWhen { ready_percent: 100, min_ready_percent: 100, at_latest_us: 86_400_000_000 };
    let mut bench = Bench::with(small_world::enrolled(), Some(start_when));
    bench.is_clock_trusted = false;
    bench.order_document("task-1", 20, &without_a_start());
    assert_eq!(bench.waits, ["a trusted clock: the start is an absolute time"]);
    assert_eq!(bench.converse(30), WHOLE[..2], "the devices are made ready meanwhile");
    bench.is_clock_trusted = true;
    bench.tell(40, Input::Time);
    let waiting = bench.engine.tasks().next().and_then(|task| task.waiting);
    assert_eq!(waiting.as_deref(), Some("its devices: 1 of 1 are ready, and it begins with 100 %"));
}

/// A document without any start.
fn without_a_start() -> String {
    small_world::document(30, "").replace(r#","Fuotad":{"Start":"2026-11-22T08:00:30Z"}"#, "")
}

/// The kinds of waits that are walked here.
pub fn walks() -> Vec<&'static str> {
    let start_when = StartWhen { ready_percent: 100, min_ready_percent: 100, at_latest_us: 86_400_000_000 };
    let mut bench = Bench::with(small_world::enrolled(), Some(start_when));
    bench.order_document("task-1", 20, &without_a_start());
    bench.engine.tasks().filter_map(|task| Some(task.wait?.0.reason.kind())).collect()
}

#[test]
fn a_task_without_a_start_waits_for_its_devices_and_begins_when_they_can_be_told() {
    let start_when = StartWhen { ready_percent: 100, min_ready_percent: 100, at_latest_us: 86_400_000_000 };
    let mut bench = Bench::with(small_world::enrolled(), Some(start_when));
    bench.order_document("task-1", 20, &without_a_start());
    let waits = |bench: &Bench| bench.engine.tasks().next().and_then(|task| task.waiting);
    assert_eq!(waits(&bench).as_deref(), Some("its devices: 0 of 1 are ready, and it begins with 100 %"));
    assert_eq!(bench.waits, ["its devices: 0 of 1 are ready, and it begins with 100 %"], "so says the log");
    assert_eq!(bench.converse(30), WHOLE[..2], "there is no session yet");
    // The second uplink tells how often it sends, so the third can bring its session.
    assert_eq!(bench.converse(1830), []);
    assert_eq!(bench.converse(3630), WHOLE[2..]);
    assert_eq!(
        (bench.state(3700), bench.device.status(now(3700)).state),
        (DeviceState::Told, State::Waiting)
    );
    let start = bench.engine.fleet("meters").unwrap().setup().unwrap().windows[0].start;
    assert_eq!(bench.decided.iter().map(|(start, _)| *start).collect::<Vec<_>>(), [start], "it is told");
    // Two and a half times the half hour.
    let lead_s = start.us_since(small_world::START) / 1_000_000 - 1830;
    assert!((4400..=4620).contains(&lead_s), "{lead_s}");
    assert_eq!(bench.engine.shortest_interval_s(LINK), Some(1800));
    assert_eq!(bench.engine.shortest_interval_s(LINK + 1), None);
    // The next life finds what was decided, whatever else begins with the same bytes.
    let mut fleets: Vec<FleetRecord> = bench.records.values().cloned().collect();
    fleets.sort_by_key(|record| core::cmp::Reverse(record.bytes.len()));
    assert!(fleets.iter().all(|record| record.bytes[0] == 2), "devices and start");
    let mut next = Bench::with(Recovered { fleets, ..small_world::enrolled() }, Some(start_when));
    assert_eq!(next.engine.shortest_interval_s(LINK), Some(1800), "so long it is not silent");
    next.order_document("task-1", 3750, &without_a_start());
    assert_eq!(next.engine.fleet("meters").unwrap().setup().unwrap().windows[0].start, start);
}

#[test]
fn a_task_whose_devices_are_not_ready_at_the_latest_moment_ends_as_too_few_ready() {
    let start_when = StartWhen { ready_percent: 100, min_ready_percent: 100, at_latest_us: 3_600_000_000 };
    let mut bench = Bench::with(small_world::enrolled(), Some(start_when));
    bench.order_document("task-1", 20, &without_a_start());
    bench.tell(3000, Input::Time);
    assert_eq!(bench.engine.tasks().count(), 1);
    bench.tell(3700, Input::Time);
    assert_eq!(bench.engine.tasks().count(), 0);
    assert!(bench.over.contains("too-few-ready: 0 of 1 devices are ready"), "{}", bench.over);
}

#[test]
fn a_device_with_the_address_of_a_group_is_warned_of_once() {
    let mut bench = Bench::new(small_world::enrolled());
    let mut hear = |s: u64, mhdr: u8, mc_addr: u32| {
        let [a, b, c, d] = mc_addr.to_le_bytes();
        let data = BASE64_STANDARD.encode([mhdr, a, b, c, d, 0, 1, 0, 2, 9, 9, 9, 9]);
        let mut bytes = vec![2, s as u8, 9, 0, 0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
        bytes.extend(
            format!(
                r#"{{"rxpk":[{{"tmst":{},"freq":868.1,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-90,"lsnr":7.0,"size":13,"data":"{data}"}}]}}"#,
                s * 1_000_000
            )
            .bytes(),
        );
        bench.tell(s, Input::Datagram { from: ([127, 0, 0, 1], 40_000).into(), bytes: &bytes });
        bench.warnings.len()
    };
    let mc_addr = group().mc_addr.as_u32();
    // A join's bytes are no address, and a downlink of a gateway nearby is no device.
    assert_eq!([hear(1, 0x00, mc_addr), hear(2, 0x60, mc_addr), hear(3, 0x40, mc_addr + 1)], [0; 3]);
    assert_eq!([hear(4, 0x40, mc_addr), hear(5, 0x80, mc_addr)], [1, 1]);
    assert_eq!(bench.engine.warned(), bench.warnings, "so says the status page");
    let text = &bench.warnings[0];
    assert!(text.starts_with("group meters: a device with DevAddr 01c0ffee was heard here"), "{text}");
}

#[test]
fn somebody_else_who_answers_questions_for_the_time_is_warned_of_where_we_answer_them() {
    for (answers_time, expected) in [(true, 1), (false, 0)] {
        let mut settings = settings(None);
        settings.fleets[0].rules.answers_time = answers_time;
        let mut bench = Bench::of(settings, small_world::enrolled());
        for n in 0..4 {
            assert_eq!(bench.warnings.len(), if n >= 3 { expected } else { 0 }, "{n}");
            let time = now(100 * n).gps.unwrap().session_time().to_le_bytes();
            bench.up(100 * n, 202, [&[0x01][..], &time, &[0x11]].concat());
            bench.event(100 * n + 1, EventKind::Sent { item: None, on: None });
            // What goes after another uplink is no answer to it.
            bench.up(100 * n + 50, 2, vec![0]);
            bench.event(100 * n + 51, EventKind::Sent { item: None, on: None });
        }
        assert!(
            bench.warnings.iter().all(|text| text.contains("answers-time = false")),
            "{:?}",
            bench.warnings
        );
    }
}

#[test]
fn nobody_is_told_of_counters_that_are_not_on_disk() {
    let mut bench = Bench::new(small_world::enrolled());
    bench.reserves = false;
    bench.order("task-1", 20);
    assert_eq!(bench.converse(30), []);
    let save = bench.unanswered[0];
    bench.tell(40, Input::Saved(save, Ok(())));
    assert_eq!(bench.converse(50), WHOLE);
}

/// The same gateway, which proves new lists with canaries.
fn proving(start_when: Option<StartWhen>) -> engine::Settings {
    let mut settings = settings(start_when);
    settings.groups[0].canary_fcnts = CANARY_FCNTS;
    settings.fleets[0].rules.canaries = 3;
    settings
}

#[test]
fn root_keys_that_are_probably_wrong_are_said_in_log_status_and_end() {
    let start_when = StartWhen { ready_percent: 100, min_ready_percent: 100, at_latest_us: 3_600_000_000 };
    let mut settings = proving(Some(start_when));
    settings.fleets[0].members[0].mc_key_encrypted = [9; 16];
    let mut bench = Bench::of(settings, small_world::enrolled());
    bench.order_document("task-1", 20, &without_a_start());
    assert_eq!(bench.converse(30), WHOLE, "a canary is told a session although the campaign has no start");
    let pull_data = [2, 0, 7, 2, 0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
    for s in 40..300 {
        bench.tell(s, Input::Datagram { from: ([127, 0, 0, 1], 40_000).into(), bytes: &pull_data });
    }
    let doubt = "root keys are probably wrong";
    assert_eq!(bench.questions.len(), 2, "two tries");
    assert!(bench.questions.iter().all(|fcnt| (2..2 + CANARY_FCNTS).contains(fcnt)), "{:?}", bench.questions);
    assert_eq!(bench.warnings.len(), 1);
    assert!(
        bench.warnings[0].contains(doubt) && bench.warnings[0].contains("meter-1"),
        "{:?}",
        bench.warnings
    );
    assert_eq!(bench.engine.warned(), bench.warnings, "so says the status page");
    let waiting = bench.engine.tasks().next().and_then(|task| task.waiting).unwrap();
    assert!(waiting.contains(doubt), "{waiting}");
    let device = bench.engine.fleet("meters").unwrap().device(now(300), DEVICE).unwrap().reason;
    assert!(device.starts_with(doubt), "{device}");
    assert_eq!(bench.converse(1000), [], "it is told no other session");
    bench.tell(3700, Input::Time);
    assert!(bench.over.contains("too-few-ready: 0 of 1") && bench.over.contains(doubt), "{}", bench.over);
}

#[test]
fn a_campaign_keeps_its_counters_whether_or_not_it_was_planned_with_some_for_canaries() {
    for (before, after) in [(0, CANARY_FCNTS), (CANARY_FCNTS, 0), (CANARY_FCNTS, CANARY_FCNTS)] {
        let of = |canary_fcnts: u32, recovered: Recovered| {
            let mut settings = settings(None);
            settings.groups[0].canary_fcnts = canary_fcnts;
            let mut bench = Bench::of(settings, recovered);
            bench.order("task-1", 20);
            bench
        };
        let first = of(before, small_world::enrolled());
        assert_eq!(first.planned, (2 + before, before));
        let (wanted, task) = (first.reserved.unwrap(), first.task.unwrap());
        assert_eq!(wanted.base, 2, "the counters for canaries are reserved with it");
        let counters = KeyCounters { next_free: wanted.next_free, reservations: vec![wanted] };
        let ranges = [(wanted.key, RangeState::Intact(counters))].into();
        let next = of(after, Recovered { ranges, tasks: vec![task], ..Recovered::default() });
        assert_eq!(next.planned, first.planned, "{before} before, {after} now");
        assert_eq!(next.reserved, None, "nothing more is given away");
    }
}

/// A document of the same image that sends coded fragments alone.
fn coded_only() -> String {
    small_world::document(30, "").replace("08:00:30Z\"", "10:00:00Z\",\"CodedFrom\":100")
}

/// A record of devices as the release before wrote it: without the session that a device holds.
fn former_record(record: &FleetRecord) -> FleetRecord {
    let (head, devices) = record.bytes.split_at(17);
    // Start and proofs have layouts of their own.
    if head[0] != 2 || devices.len() % 88 != 0 {
        return record.clone();
    }
    let devices = devices.chunks(88).flat_map(|device| &device[..80]).copied();
    FleetRecord {
        id: record.id,
        bytes: [1].into_iter().chain(head[1..].iter().copied()).chain(devices).collect(),
    }
}

#[test]
fn a_device_that_holds_the_fragmentation_session_is_not_set_up_again_and_one_that_lost_it_is_told_nothing() {
    // The group with its new counters, and the session.
    const REST: [(u8, u8); 2] = [(200, 0x02), (200, 0x04)];
    for (happens, expected) in [
        ("nothing", &REST[..]),
        ("restart", &REST),
        ("upgrade", &REST),
        ("join", &[]),
        ("other image", &[]),
        ("perhaps another image", &[]),
    ] {
        let mut bench = Bench::new(small_world::enrolled());
        bench.order("task-1", 20);
        assert_eq!(bench.converse(30), WHOLE);
        bench.tell(60, Input::Cancel(TaskId::new("task-1").unwrap()));
        match happens {
            "restart" => {
                let fleets = bench.records.values().cloned().collect();
                let mut next = Bench::new(Recovered { fleets, ..small_world::enrolled() });
                (next.f_cnt, next.device) = (bench.f_cnt, bench.device);
                bench = next;
            }
            // The records of the release before, which goes on with the task.
            "upgrade" => {
                let former = bench.records.values().map(former_record).collect();
                let mut next = Bench::new(Recovered { fleets: former, ..small_world::enrolled() });
                (next.f_cnt, next.device) = (bench.f_cnt, bench.device);
                bench = next;
                bench.order("task-1", 70);
                assert_eq!(bench.converse(80), []);
                bench.tell(90, Input::Cancel(TaskId::new("task-1").unwrap()));
            }
            "join" => bench.event(70, EventKind::Join),
            // The command went out, and its answer is lost.
            "perhaps another image" => {
                let other = small_world::document(30, "").replace("08:00:30Z", "10:00:00Z");
                bench.order_document("task-2", 80, &other.replace(":48", ":40"));
                bench.up(90, 2, vec![0]);
                let (_, push) = bench.pushes.pop().unwrap();
                bench.event(91, EventKind::Sent { item: Some(push.item), on: None });
                let (f_port, answer) = bench.device.unicast(now(92), push.f_port, &push.payload).remove(0);
                bench.up(93, f_port, answer);
                let (_, push) = bench.pushes.pop().unwrap();
                assert_eq!((push.f_port, push.payload[0]), (201, 0x02));
                bench.event(94, EventKind::Sent { item: Some(push.item), on: None });
                bench.tell(110, Input::Cancel(TaskId::new("task-2").unwrap()));
            }
            // It is set up for something else in between.
            "other image" => {
                let other = small_world::document(30, "").replace("08:00:30Z", "10:00:00Z");
                bench.order_document("task-2", 80, &other.replace(":48", ":40"));
                assert_eq!(bench.converse(90), [(200, 0x02), (201, 0x02), (200, 0x04)]);
                bench.tell(110, Input::Cancel(TaskId::new("task-2").unwrap()));
            }
            _ => {}
        }
        bench.order_document("task-1~2", 200, &coded_only());
        assert_eq!(bench.converse(210), expected, "{happens}");
        let view = bench.engine.fleet("meters").unwrap().device(now(240), DEVICE).unwrap();
        let wanted = if expected.is_empty() { DeviceState::LostState } else { DeviceState::Told };
        assert_eq!(view.state, wanted, "{happens}");
        assert_eq!(view.reason.contains("it needs the whole image"), expected.is_empty(), "{}", view.reason);
    }
}

impl Bench {
    fn says(&mut self, s: u64, verb: Verb, task: &str) {
        self.engine.command(now(s), verb, &TaskId::new(task).unwrap()).unwrap();
        self.tell(s, Input::Time);
    }
}

#[test]
fn a_paused_tasks_devices_are_told_nothing_new_until_it_is_resumed() {
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    bench.up(30, 2, vec![0]);
    let (_, push) = bench.pushes.pop().unwrap();
    bench.says(31, Verb::Pause, "task-1");
    // What waited in the server's queue goes, and its answer counts.
    bench.event(32, EventKind::Sent { item: Some(push.item), on: None });
    let (f_port, answer) = bench.device.unicast(now(33), push.f_port, &push.payload).remove(0);
    bench.up(34, f_port, answer);
    assert_eq!(bench.converse(600), []);
    let view = bench.engine.fleet("meters").unwrap().device(now(620), DEVICE).unwrap();
    assert!(view.reason.contains("its task is paused"), "{}", view.reason);
    // Not even by the next life, which does not know whether a command went out.
    bench.says(650, Verb::Resume, "task-1");
    assert_eq!(bench.converse(660), WHOLE[1..], "the group is not asked again");
    assert_eq!(bench.state(700), DeviceState::Told);
}

#[test]
fn what_a_life_before_may_not_have_published_waits_while_its_task_is_paused() {
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    bench.up(30, 2, vec![0]);
    let fleets: Vec<FleetRecord> = bench.records.values().cloned().collect();
    let mut next = Bench::new(Recovered { fleets, ..small_world::enrolled() });
    next.f_cnt = bench.f_cnt;
    next.order("task-1", 40);
    next.says(45, Verb::Pause, "task-1");
    next.up(50, 2, vec![0]);
    assert_eq!(next.pushes, []);
    next.says(55, Verb::Resume, "task-1");
    next.up(60, 2, vec![0]);
    assert_eq!(next.pushes.len(), 1);
}

#[test]
fn no_canary_is_asked_for_a_paused_task() {
    let mut bench = Bench::of(proving(None), small_world::enrolled());
    bench.order("task-1", 20);
    bench.says(25, Verb::Pause, "task-1");
    assert_eq!(bench.converse(30), []);
    bench.says(35, Verb::Resume, "task-1");
    assert_eq!(bench.converse(40), WHOLE, "it is told the session of a canary");
    bench.says(60, Verb::Pause, "task-1");
    (61..300).for_each(|s| bench.tell(s, Input::Time));
    assert!(bench.questions.is_empty(), "{:?}", bench.questions);
}

#[test]
fn a_session_that_passes_while_its_task_is_paused_is_lost_and_said() {
    let pull_data = [2, 0, 7, 2, 0, 0x16, 0xc0, 1, 0xf1, 0x50, 8, 0x12];
    let mut bench = Bench::new(small_world::enrolled());
    bench.order("task-1", 20);
    bench.says(30, Verb::Pause, "task-1");
    let (start, exponent) = bench.sessions[0];
    let end_s = start.us_since(small_world::START) / 1_000_000 + (1 << exponent);
    bench.tell(end_s + 60, Input::Time);
    bench.says(end_s + 90, Verb::Resume, "task-1");
    for s in 91..120 {
        bench.tell(end_s + s, Input::Datagram { from: ([127, 0, 0, 1], 40_000).into(), bytes: &pull_data });
    }
    let waiting = bench.engine.tasks().next().and_then(|task| task.waiting).unwrap();
    let lost = "a session that its devices were told (the last ended 2026-11-22T10:02:08Z): 28 of 28 frames are left";
    assert!(waiting.starts_with(lost), "{waiting}");
    assert!(bench.waits.last().unwrap().starts_with(lost), "so says the log: {:?}", bench.waits);
    assert_eq!(bench.converse(end_s + 130), [], "no session is left that it could be told");
}

#[test]
fn no_start_is_decided_while_a_task_is_held_or_paused() {
    let start_when = StartWhen { ready_percent: 100, min_ready_percent: 100, at_latest_us: 86_400_000_000 };
    for is_held in [true, false] {
        let mut bench = Bench::with(small_world::enrolled(), Some(start_when));
        bench.order_document("task-1", 20, &without_a_start());
        assert_eq!(bench.converse(30), WHOLE[..2]);
        match is_held {
            true => bench.tell(60, Input::Hold(TaskId::new("task-1").unwrap())),
            false => bench.says(60, Verb::Pause, "task-1"),
        }
        // The second uplink tells how often it sends; that decided it before.
        assert_eq!((bench.converse(1830), bench.converse(3630)), (vec![], vec![]));
        bench.tell(80_000, Input::Time);
        assert_eq!(bench.decided, [], "{is_held}");
        match is_held {
            true => bench.order_document("task-1", 80_010, &without_a_start()),
            false => bench.says(80_010, Verb::Resume, "task-1"),
        }
        bench.tell(80_020, Input::Time);
        assert_eq!(bench.decided.len(), 1, "{is_held}");
    }
}
