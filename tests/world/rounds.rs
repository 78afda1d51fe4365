//! Fragments, questions and answers until every device is complete, against an oracle that sees every decoder.

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
use fuotad::fragment::Decoder;
use fuotad::fragment::Encoder;
use fuotad::fragment::Layout;
use fuotad::fragment::MAX_FRAGMENTS;
use fuotad::fragment::Progress;
use fuotad::fragment::Ts004Version;
use fuotad::lorawan::Eui64;
use fuotad::lorawan::PackageVersion;
use fuotad::sim::air::Channel;
use fuotad::sim::air::Loss;
use fuotad::sim::random::Random;

const ANSWERS_LOST_PPM: u32 = 200_000;
const AIRTIME_US: u64 = 100_000;

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
}

/// A group of devices that hear one campaign.
struct Site {
    draw: Random,
    encoder: Encoder,
    image: Vec<u8>,
    listeners: Vec<Listener>,
    sent: Sent,
    f_cnt: u32,
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
            }
        };
        let listeners = (0..devices).map(listener).collect();
        let encoder = Encoder::new(layout, Ts004Version::V1);
        Site { draw: draw.split(1 << 40), encoder, image, listeners, sent: Sent::default(), f_cnt: 0 }
    }

    fn roll(&self) -> Roll {
        let nb_frag = self.image.len() as u16;
        let session = Session {
            frag_index: 0,
            nb_frag,
            version: PackageVersion::V1,
            habit: Habit::AsMeant,
            crc32: None,
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

    /// Asks all who hear the question; the answers that are not lost.
    fn ask(&mut self, whom: Whom, roll: &mut Roll) {
        roll.set_sent(self.sent);
        roll.ask(whom);
        for listener in &mut self.listeners {
            let missing = match listener.decoder.progress() {
                Progress::Incomplete { missing } => missing.min(255) as u8,
                _ => 0,
            };
            let hears = listener.air.hears() && !listener.is_mute;
            let is_lost = self.draw.chance_ppm(ANSWERS_LOST_PPM);
            if hears && !is_lost && (missing > 0 || whom == Whom::All) {
                self.f_cnt += 1;
                let [low, high] = listener.received.to_le_bytes();
                roll.hear(listener.dev_eui, self.f_cnt, &[0x01, low, high, missing, 0]).unwrap();
            }
        }
    }

    fn is_everybody_complete(&self) -> bool {
        self.listeners.iter().all(|listener| listener.complete_at.is_some() || listener.is_mute)
    }
}

/// Carries the loop out after `ordered` coded fragments; its end and the questions it took.
fn carry_out(site: &mut Site, roll: &mut Roll, give_up: &GiveUp, ordered: u16, room: u16) -> (End, u16) {
    site.send(site.image.len() as u16 + ordered);
    let mut rounds = Rounds::new();
    loop {
        roll.set_sent(site.sent);
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

#[test]
fn everybody_completes_with_hardly_more_than_the_worst_one_needs() {
    for (nb_frag, seed) in [(100, 1), (100, 2), (432, 3), (432, 4), (2000, 5)] {
        let mut site = Site::new(nb_frag, 300, seed);
        let mut roll = site.roll();
        let (end, questions) =
            carry_out(&mut site, &mut roll, &GiveUp::default(), nb_frag / 10, MAX_FRAGMENTS / 2);
        let sent = u32::from(site.sent.last_n);
        let open = site.listeners.iter().filter(|listener| listener.complete_at.is_none()).count();
        assert_eq!((end, open), (End::Done, 0), "M {nb_frag}: {}", roll.holdings());
        let worst = site.listeners.iter().filter_map(|listener| listener.complete_at).max().unwrap();
        println!(
            "M {nb_frag}: {sent} fragments, the worst needed {worst}, {questions} questions: {}",
            roll.holdings()
        );
        assert!(sent * 100 <= u32::from(worst) * 105 + 3200, "M {nb_frag}: {sent} for {worst}");
        let done = roll.holdings().done;
        assert!(done >= 270, "M {nb_frag}: {}", roll.holdings());
        assert!(questions <= 9, "M {nb_frag}: {questions}");
    }
}

/// Fixed redundancy, once with a question at the end, which changes nothing for the devices, and once without.
#[test]
fn the_loop_completes_whom_a_fixed_redundancy_leaves_behind() {
    for (nb_frag, seed) in [(100, 11), (432, 12)] {
        let mut looped = Site::new(nb_frag, 300, seed);
        let mut roll = looped.roll();
        let (_, questions) =
            carry_out(&mut looped, &mut roll, &GiveUp::default(), nb_frag / 10, MAX_FRAGMENTS / 2);
        let mut fixed = Site::new(nb_frag, 300, seed);
        let mut fixed_roll = fixed.roll();
        fixed.send(nb_frag + nb_frag * 30 / 100);
        fixed.ask(Whom::All, &mut fixed_roll);
        let complete = |site: &Site| site.listeners.iter().filter(|one| one.complete_at.is_some()).count();
        println!(
            "M {nb_frag}, complete of 300 / fragments / questions: ours {} / {} / {questions}; 30 % and a question {} / {} / 1; 30 % {} / {} / 0",
            complete(&looped),
            looped.sent.frames,
            complete(&fixed),
            fixed.sent.frames,
            complete(&fixed),
            fixed.sent.frames
        );
        assert_eq!(complete(&looped), 300);
        assert!(complete(&fixed) < 295, "{}", complete(&fixed));
        // One question of which some answers are lost tells of fewer than there are.
        assert!((fixed_roll.holdings().done as usize) < complete(&fixed));
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
