//! Fragments, questions and answers until every device is complete, against an oracle that sees every decoder.

use crate::support::small_world;
use fuotad::answers::AnswerWindow;
use fuotad::answers::End;
use fuotad::answers::GiveUp;
use fuotad::answers::Habit;
use fuotad::answers::Holding;
use fuotad::answers::Next;
use fuotad::answers::Roll;
use fuotad::answers::Rounds;
use fuotad::answers::Sent;
use fuotad::answers::Session;
use fuotad::answers::Whom;
use fuotad::campaign::Group;
use fuotad::campaign::Plan;
use fuotad::campaign::SessionLimits;
use fuotad::campaign::SessionRule;
use fuotad::cloud::task_from_file;
use fuotad::fragment::Decoder;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::fragment::MAX_FRAGMENTS;
use fuotad::fragment::Progress;
use fuotad::fragment::Ts004Version;
use fuotad::image::Digest;
use fuotad::image::Image;
use fuotad::lorawan::Eui64;
use fuotad::lorawan::PackageVersion;
use fuotad::radio::Modulation;
use fuotad::radio::uplink_airtime_us;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::schedule::Kept;
use fuotad::schedule::Pattern;
use fuotad::schedule::Placement;
use fuotad::schedule::Scheduler;
use fuotad::schedule::TxPolicy;
use fuotad::schedule::TxRequest;
use fuotad::sim::air::Channel;
use fuotad::sim::air::Loss;
use fuotad::sim::ether::Ether;
use fuotad::sim::ether::Uplink;
use fuotad::sim::random::Random;
use fuotad::time::Instant;
use std::collections::BTreeMap;

const ANSWERS_LOST_PPM: u32 = 200_000;
const AIRTIME_US: u64 = 100_000;
/// PHYPayload of an answer, bytes.
const ANSWER_BYTES: usize = 18;
/// A stack that takes BlockAckDelay for milliseconds answers within so long.
const STORM_US: u64 = 16_000;
/// Devices keep a hundredth of the air.
const DUTY: u64 = 100;

/// A device that counts as TS004 says.
struct Listener {
    dev_eui: Eui64,
    air: Channel,
    decoder: Decoder,
    received: u16,
    /// The number of the fragment that completed it.
    complete_at: Option<u16>,
    /// It answers no question.
    is_mute: bool,
    /// How it sends: its spreading factor, and how strong it arrives.
    sf: u8,
    rssi_dbm: i32,
    /// Its duty cycle lets it send again then.
    free_at_us: u64,
}

/// An answer on its way.
struct Answer {
    uplink: Uplink,
    dev_eui: Eui64,
    payload: Vec<u8>,
}

/// A group of devices that hear one campaign.
struct Site {
    draw: Random,
    encoder: Encoder,
    image: Vec<u8>,
    listeners: Vec<Listener>,
    sent: Sent,
    f_cnt: u32,
    window: AnswerWindow,
    ether: Ether,
    answers: Vec<Answer>,
    pub clock_us: u64,
    /// Where it counts: the radio, and what a frame asks of it.
    pub radio: Option<(Scheduler, TxRequest)>,
    /// When its devices stop listening.
    pub closes_us: u64,
    /// All answers come within 16 ms, whatever the window is: the group has a wrong profile.
    is_stormy: bool,
    /// Answers that were on the air, and those of them that were heard.
    counted: (u32, u32),
}

/// When so many devices of a group at EU868 DR5 answer, and how they usually send.
pub fn usual_window(devices: usize) -> AnswerWindow {
    let region = parameters(RfRegion::Eu868).unwrap();
    let session = region.data_rate(5).unwrap().modulation;
    AnswerWindow::new(devices, Habit::AsMeant, session, (&region.usual_uplinks(), region.usual_channels()))
}

impl Site {
    fn new(nb_frag: u16, devices: u32, seed: u64) -> Site {
        let mut draw = Random::new(seed);
        let image = vec![0x5a; usize::from(nb_frag)];
        let layout = Layout::new(image.len(), 1).unwrap();
        let listener = |number: u32| {
            let ppm = draw.range(50_000, 300_000) as u32;
            let bursts = Loss::Bursty {
                enter_ppm: 10_000,
                leave_ppm: 90_000,
                lost_ppm_in_burst: 900_000,
                lost_ppm_outside: ppm / 2,
            };
            let loss = if number.is_multiple_of(3) { bursts } else { Loss::Random { ppm } };
            Listener {
                dev_eui: Eui64::from_bytes((u64::from(number) + 1).to_be_bytes()),
                air: Channel::new(loss, draw.split(u64::from(number))),
                decoder: Decoder::new(layout, Ts004Version::V1, nb_frag),
                received: 0,
                complete_at: None,
                is_mute: false,
                sf: usual_sf(&mut draw),
                rssi_dbm: -(draw.range(60, 125) as i32),
                free_at_us: 0,
            }
        };
        let listeners = (0..devices).map(listener).collect();
        let encoder = Encoder::new(layout, Ts004Version::V1);
        Site {
            draw: draw.split(1 << 40),
            encoder,
            image,
            listeners,
            sent: Sent::default(),
            f_cnt: 0,
            window: usual_window(devices as usize),
            ether: Ether::default(),
            answers: Vec::new(),
            clock_us: 0,
            radio: None,
            closes_us: u64::MAX,
            is_stormy: false,
            counted: (0, 0),
        }
    }

    fn roll(&self) -> Roll {
        let nb_frag = self.image.len() as u16;
        let session = Session {
            frag_index: 0,
            nb_frag,
            version: PackageVersion::V1,
            habit: Habit::AsMeant,
            crc32: None,
            window: self.window,
        };
        let mut roll = Roll::new(session, self.listeners.iter().map(|listener| listener.dev_eui));
        self.listeners.iter().for_each(|listener| roll.tell(listener.dev_eui));
        roll
    }

    /// Sends so many fragments more.
    fn send(&mut self, fragments: u16) {
        for n in self.sent.last_n + 1..=self.sent.last_n + fragments {
            let mut data = [0];
            self.encoder.fragment(&self.image, n, &mut data).unwrap();
            self.sent = self.sent.and(n);
            self.clock_us = end_us(&mut self.radio, self.clock_us);
            if self.clock_us > self.closes_us {
                return;
            }
            for listener in &mut self.listeners {
                if listener.air.hears() && listener.complete_at.is_none() {
                    listener.received += 1;
                    if listener.decoder.receive(n, &data).unwrap() == Progress::Complete {
                        listener.complete_at = Some(n);
                    }
                }
            }
        }
    }

    /// Asks all who hear the question. Their answers collide, keep each device's own duty cycle, and one in five is lost.
    fn ask(&mut self, whom: Whom, roll: &mut Roll) {
        roll.set_sent(self.sent);
        roll.ask(whom);
        for listener in &mut self.listeners {
            let missing = match listener.decoder.progress() {
                Progress::Incomplete { missing } => missing.min(255) as u8,
                _ => 0,
            };
            let hears = listener.air.hears() && !listener.is_mute && self.clock_us < self.closes_us;
            if hears && (missing > 0 || whom == Whom::All) {
                let [low, high] = listener.received.to_le_bytes();
                let spread_us = 16_000_000 << self.window.block_ack_delay;
                let delay_us = self.draw.below(if self.is_stormy { STORM_US } else { spread_us });
                let modulation = Modulation::LoRa { sf: listener.sf, bw_hz: 125_000 };
                let airtime_us = uplink_airtime_us(modulation, ANSWER_BYTES);
                let free_at_us = if self.is_stormy { 0 } else { listener.free_at_us };
                let start_us = (self.clock_us + delay_us).max(free_at_us);
                listener.free_at_us = start_us + DUTY * airtime_us;
                let channel = self.draw.below(3) as u8;
                let (sf, rssi_dbm) = (listener.sf, listener.rssi_dbm);
                self.answers.push(Answer {
                    uplink: Uplink { start_us, airtime_us, channel, sf, rssi_dbm },
                    dev_eui: listener.dev_eui,
                    payload: vec![0x01, low, high, missing, 0],
                });
            }
        }
        self.hear(self.clock_us + self.window.us(), roll);
        roll.close();
    }

    /// Hears answers until then, or until nobody else is waited for.
    fn hear(&mut self, until_us: u64, roll: &mut Roll) {
        let asked_us = self.clock_us;
        self.counted.0 += self.answers.len() as u32;
        let moments = |(number, answer): (usize, &Answer)| {
            [(answer.uplink.start_us, false, number), (answer.uplink.end_us(), true, number)]
        };
        let mut moments: Vec<(u64, bool, usize)> =
            self.answers.iter().enumerate().flat_map(moments).collect();
        moments.sort_unstable();
        let mut over = Vec::new();
        for (at_us, is_over, number) in moments {
            if at_us > until_us || !roll.is_answer_due() {
                break;
            }
            let Answer { uplink, dev_eui, payload } = &self.answers[number];
            self.clock_us = self.clock_us.max(at_us);
            if !is_over {
                self.ether.begin(*uplink);
                continue;
            }
            over.push(number);
            if self.ether.is_heard(*uplink) && !self.draw.chance_ppm(ANSWERS_LOST_PPM) {
                self.f_cnt += 1;
                roll.hear(*dev_eui, self.f_cnt, payload).unwrap();
                roll.came(at_us - asked_us);
                self.counted.1 += 1;
            }
        }
        if roll.is_answer_due() {
            self.clock_us = until_us;
        }
        let mut number = 0;
        self.answers.retain(|_| {
            number += 1;
            !over.contains(&(number - 1))
        });
    }

    fn incomplete(&self) -> usize {
        self.listeners.iter().filter(|listener| listener.complete_at.is_none()).count()
    }

    fn is_everybody_complete(&self) -> bool {
        self.listeners.iter().all(|listener| listener.complete_at.is_some() || listener.is_mute)
    }
}

/// Carries the loop out after `ordered` coded fragments; its end and the questions it took.
fn carry_out(site: &mut Site, roll: &mut Roll, give_up: &GiveUp, ordered: u16, room: u16) -> (End, u16) {
    site.send(site.image.len() as u16 + ordered);
    go_on(site, roll, give_up, room)
}

/// Carries the loop out from a question on.
fn go_on(site: &mut Site, roll: &mut Roll, give_up: &GiveUp, room: u16) -> (End, u16) {
    let mut rounds = Rounds::new();
    loop {
        roll.set_sent(site.sent);
        if site.clock_us >= site.closes_us {
            return (End::Session, rounds.questions);
        }
        match rounds.next(roll, give_up, room - rounds.extra, AIRTIME_US) {
            Next::Send(fragments) => {
                site.send(fragments);
                rounds.sent(fragments);
            }
            Next::Part(fragments) => {
                site.send(fragments);
                rounds.parted(fragments);
            }
            Next::Ask(whom) => {
                site.ask(whom, roll);
                rounds.asked();
            }
            Next::End(end) => return (end, rounds.questions),
        }
    }
}

/// A spreading factor as devices in EU868 usually have it.
fn usual_sf(draw: &mut Random) -> u8 {
    let mix = parameters(RfRegion::Eu868).unwrap().usual_uplinks();
    let mut at = draw.below(mix.weight());
    let mut is_it = |weight: u64| {
        let is_it = at < weight;
        at = at.saturating_sub(weight);
        is_it
    };
    match mix.rates().iter().find(|rate| is_it(rate.weight)).map(|rate| rate.modulation) {
        Some(Modulation::LoRa { sf, .. }) => sf,
        other => panic!("{other:?}"),
    }
}

/// The plan of a campaign with so many fragments at EU868 DR5, in sessions that its devices are told.
fn plan(nb_frag: u16, redundancy_percent: u16, window: Option<AnswerWindow>) -> Plan {
    let region = parameters(RfRegion::Eu868).unwrap();
    let bytes = small_world::image(usize::from(nb_frag) * 200);
    let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
    let task = format!(
        r#"{{"FirmwareUpdateImage":"file:///i","FragmentSizeBytes":200,"RedundancyPercent":{redundancy_percent}}}"#
    );
    let task = task_from_file(task.as_bytes(), "task").unwrap();
    Plan::new(&task, &group(window), &image, region, &scheduler(), 2).unwrap()
}

fn group(window: Option<AnswerWindow>) -> Group {
    Group {
        session: SessionRule::Windows { exponent: None, start: None },
        policy: TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 500_000, pattern: Pattern::Burst },
        answer_window: window,
        sessions: SessionLimits { further: window.is_some(), ..SessionLimits::default() },
        ..small_world::group()
    }
}

fn scheduler() -> Scheduler {
    let region = parameters(RfRegion::Eu868).unwrap();
    Scheduler::of(region, Kept { server_reserve_ppm: 100_000, min_heard_ppm: 800_000 })
}

/// When a frame that is due then is over.
fn end_us(radio: &mut Option<(Scheduler, TxRequest)>, due_us: u64) -> u64 {
    let Some((scheduler, request)) = radio else { return due_us };
    let due = Instant::from_us(due_us as i64);
    let request = TxRequest { earliest: due, ..*request };
    let Placement::At(start) = scheduler.place(due, &request) else { panic!("no place for it") };
    scheduler.commit(start, &request);
    start.plus_us(request.airtime_us).us_since(Instant::ZERO)
}

fn session_s(plan: &Plan) -> u64 {
    plan.bursts.iter().map(|burst| 1 << burst.exponent).sum()
}

/// The shortest session for a burst.
fn powers_s(burst_us: u64) -> u64 {
    (burst_us + 2 * group(None).guard_us).div_ceil(1_000_000).next_power_of_two()
}

#[test]
fn of_a_group_whose_answers_are_all_heard_the_session_itself_tells_who_is_done_of_four_in_five() {
    let mut site = Site::new(100, 100, 31);
    let mut roll = site.roll();
    let (end, questions) = carry_out(&mut site, &mut roll, &GiveUp::default(), 30, MAX_FRAGMENTS / 2);
    println!("{questions} questions: {}", roll.holdings());
    assert_eq!((end, site.incomplete()), (End::Done, 0));
    assert!(roll.holdings().done >= 80, "{}", roll.holdings());
}

#[test]
fn everybody_completes_in_the_shortest_session_with_hardly_more_than_the_worst_one_needs() {
    let mut listened: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
    for (nb_frag, percent, seed) in [
        (100, 30, 1),
        (100, 30, 2),
        (100, 20, 21),
        (100, 20, 22),
        (432, 30, 3),
        (432, 30, 4),
        (432, 20, 5),
        (2000, 30, 6),
    ] {
        let plan = plan(nb_frag, percent, Some(usual_window(300)));
        let mut site = Site::new(nb_frag, 300, seed);
        let policy = group(None).policy;
        site.radio = Some((scheduler(), plan.request(policy)));
        let mut oracles_radio = site.radio.clone();
        site.closes_us = session_s(&plan) * 1_000_000 - 20_000_000;
        let mut roll = site.roll();
        let ordered = plan.coded;
        let (end, questions) =
            carry_out(&mut site, &mut roll, &GiveUp::default(), ordered, MAX_FRAGMENTS / 2);
        // Who misses something when the session is over gets a further one.
        let open = site.incomplete() as u64;
        let mut listened_s = 300 * session_s(&plan);
        if open > 0 {
            let opens_us = site.closes_us;
            (site.clock_us, site.closes_us) = (opens_us, u64::MAX);
            go_on(&mut site, &mut roll, &GiveUp::default(), MAX_FRAGMENTS / 2);
            listened_s += open * powers_s(site.clock_us - opens_us);
        }
        let sent = u32::from(site.sent.last_n);
        let worst = site.listeners.iter().filter_map(|listener| listener.complete_at).max().unwrap();
        let burst_us = (0..worst).fold(0, |clock_us, _| end_us(&mut oracles_radio, clock_us));
        let oracle_s = powers_s(burst_us);
        println!(
            "M {nb_frag} + {ordered}: {sent} fragments, the worst needed {worst}, {questions} questions, {end:?}, {} s of {} s; {open} need a further session; an oracle's session {oracle_s} s ({} s): {}",
            site.clock_us / 1_000_000,
            session_s(&plan),
            burst_us / 1_000_000,
            roll.holdings()
        );
        assert_eq!(site.incomplete(), 0, "M {nb_frag}: {}", roll.holdings());
        assert!(sent * 100 <= u32::from(worst) * 105 + 3200, "M {nb_frag}: {sent} for {worst}");
        let (ours_s, least_s) = listened.entry(nb_frag).or_default();
        (*ours_s, *least_s) = (*ours_s + listened_s, *least_s + 300 * oracle_s);
    }
    for (nb_frag, (ours_s, least_s)) in listened {
        println!("M {nb_frag}: {ours_s} s in session of all devices, with an oracle {least_s} s");
        assert!(ours_s * 10 <= least_s * 12, "M {nb_frag}: {ours_s} {least_s}");
    }
}

#[test]
fn everybody_completes_with_hardly_more_than_the_worst_one_needs() {
    for (nb_frag, seed) in [(100, 1), (100, 2), (432, 3), (432, 4), (2000, 5)] {
        let mut site = Site::new(nb_frag, 300, seed);
        let mut roll = site.roll();
        let (end, questions) =
            carry_out(&mut site, &mut roll, &GiveUp::default(), nb_frag / 10, MAX_FRAGMENTS / 2);
        let sent = u32::from(site.sent.last_n);
        let worst = site.listeners.iter().filter_map(|listener| listener.complete_at).max().unwrap();
        println!(
            "M {nb_frag}: {sent} fragments, the worst needed {worst}, {questions} questions, {end:?}: {}",
            roll.holdings()
        );
        assert_eq!((end, site.incomplete()), (End::Done, 0), "M {nb_frag}: {}", roll.holdings());
        assert!(sent * 100 <= u32::from(worst) * 105 + 3200, "M {nb_frag}: {sent} for {worst}");
        assert!(questions <= 9, "M {nb_frag}: {questions}");
    }
}

/// What a policy brings, and what it costs: at the same radio and pace for all.
#[derive(Debug)]
struct Cost {
    complete: usize,
    /// As far as somebody heard.
    known_done: u32,
    frames: u32,
    /// The shortest session for it.
    session_s: u64,
    /// Frames of a gateway that sends are frames that it does not hear.
    deaf_s: u64,
}

fn cost(site: &Site, roll: &Roll, frame_us: u64) -> Cost {
    Cost {
        complete: 300 - site.incomplete(),
        known_done: roll.holdings().done,
        frames: site.sent.frames,
        session_s: powers_s(site.clock_us),
        deaf_s: u64::from(site.sent.frames) * frame_us / 1_000_000,
    }
}

/// Fixed redundancy with a question at the end, which changes nothing for the devices (ChirpStack), and without (AWS).
#[test]
fn the_loop_completes_whom_a_fixed_redundancy_leaves_behind() {
    for (nb_frag, seed) in [(100, 11), (432, 12)] {
        let plan = plan(nb_frag, 10, Some(usual_window(300)));
        let radio = || Some((scheduler(), plan.request(group(None).policy)));
        let mut looped = Site { radio: radio(), ..Site::new(nb_frag, 300, seed) };
        let mut roll = looped.roll();
        carry_out(&mut looped, &mut roll, &GiveUp::default(), nb_frag / 10, MAX_FRAGMENTS / 2);
        let ours = cost(&looped, &roll, plan.airtime_us);
        let mut fixed = Site { radio: radio(), ..Site::new(nb_frag, 300, seed) };
        let mut fixed_roll = fixed.roll();
        fixed.send(nb_frag + nb_frag * 30 / 100);
        let unasked = cost(&fixed, &fixed_roll, plan.airtime_us);
        fixed.ask(Whom::All, &mut fixed_roll);
        let asked = cost(&fixed, &fixed_roll, plan.airtime_us);
        println!("M {nb_frag}: complete, known as done, frames, session s, deaf s");
        for (policy, cost) in [("ours", &ours), ("30 % and a question", &asked), ("30 %", &unasked)] {
            let Cost { complete, known_done, frames, session_s, deaf_s } = cost;
            println!("  {policy:20} {complete:4} {known_done:4} {frames:5} {session_s:6} {deaf_s:5}");
        }
        assert_eq!(ours.complete, 300);
        assert!(asked.complete < 295, "{asked:?}");
        // One question of which some answers are lost tells of fewer than there are.
        assert!((asked.known_done as usize) < asked.complete && unasked.known_done == 0);
    }
}

#[test]
fn a_device_that_never_answers_is_left_after_three_questions_and_is_not_called_done() {
    let mut site = Site::new(100, 20, 7);
    site.listeners[3].is_mute = true;
    let mut roll = site.roll();
    let (end, _) = carry_out(&mut site, &mut roll, &GiveUp::default(), 20, 1000);
    assert_eq!(end, End::Done);
    assert!(site.is_everybody_complete());
    assert_eq!(roll.holding(site.listeners[3].dev_eui), Some(Holding::Unheard));
}

#[test]
fn a_storm_of_300_answers_within_16_ms_silences_nobody_and_the_loop_completes_everybody() {
    let (mut on_air, mut heard) = (0, 0);
    for seed in 1..=30 {
        let mut site = Site { is_stormy: true, ..Site::new(100, 300, 40 + seed) };
        let mut roll = site.roll();
        site.send(110);
        let first = site.incomplete();
        let (end, questions) = go_on(&mut site, &mut roll, &GiveUp::default(), MAX_FRAGMENTS / 2);
        println!(
            "{first} of 300 missed something, {questions} questions, {:?} answers on the air and heard, {} fragments, {end:?}: {}",
            site.counted,
            site.sent.last_n,
            roll.holdings()
        );
        assert_eq!(site.incomplete(), 0, "seed {seed}: {}", roll.holdings());
        for listener in &site.listeners {
            let is_done = roll.holding(listener.dev_eui) == Some(Holding::Done);
            assert!(!is_done || listener.complete_at.is_some(), "seed {seed}");
        }
        (on_air, heard) = (on_air + site.counted.0, heard + site.counted.1);
    }
    assert!(heard * 10 < on_air, "most of them drown: {heard} of {on_air}");
}

#[test]
fn the_loop_ends_at_the_questions_airtime_or_fragments_that_are_allowed() {
    let ended = |give_up: GiveUp, room: u16| {
        let mut site = Site::new(100, 20, 8);
        let mut roll = site.roll();
        let end = carry_out(&mut site, &mut roll, &give_up, 0, room).0;
        (end, site.sent.last_n, roll.holdings().missing > 0)
    };
    assert_eq!(ended(GiveUp { questions: 1, ..GiveUp::default() }, 1000).0, End::Questions);
    assert_eq!(ended(GiveUp::default(), 10), (End::Fragments, 110, true));
    let airtime_us = Some(7 * AIRTIME_US);
    assert_eq!(ended(GiveUp { airtime_us, ..GiveUp::default() }, 1000), (End::Airtime, 107, true));
}

#[test]
fn a_device_that_is_too_far_behind_does_not_raise_what_the_others_get() {
    let sent = |max_behind: Option<u16>| {
        let mut site = Site::new(100, 100, 9);
        site.listeners[0].air = Channel::new(Loss::Random { ppm: 700_000 }, Random::new(1));
        let mut roll = site.roll();
        let (end, _) = carry_out(&mut site, &mut roll, &GiveUp { max_behind, ..GiveUp::default() }, 40, 4000);
        (end, site.sent.last_n, roll.holding(site.listeners[0].dev_eui).unwrap())
    };
    let (end, with_limit, holding) = sent(Some(30));
    assert_eq!(end, End::Done);
    assert!(matches!(holding, Holding::Missing(30..)), "{holding}");
    let (_, without, _) = sent(None);
    assert!(with_limit + 50 < without, "{with_limit} {without}");
}
