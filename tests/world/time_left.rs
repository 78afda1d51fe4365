//! The time that a campaign says is left, against the time that it then takes: a forwarder that takes every frame, and
//! a network server that wants the air, too.

use crate::support::small_world::group;
use crate::support::small_world::image;
use fuotad::campaign::Begin;
use fuotad::campaign::Campaign;
use fuotad::campaign::Group;
use fuotad::campaign::Handover;
use fuotad::campaign::Plan;
use fuotad::campaign::ProfileName;
use fuotad::campaign::Session;
use fuotad::campaign::Step;
use fuotad::campaign::Turn;
use fuotad::campaign::Verdict;
use fuotad::cloud::task_from_file;
use fuotad::image::Digest;
use fuotad::image::Image;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::schedule::Scheduler;
use fuotad::schedule::TxPolicy;
use fuotad::time::GpsTime;
use fuotad::time::Instant;
use fuotad::time::Now;

const START: GpsTime = GpsTime::from_us(1_479_369_618_000_000);

/// A campaign of `len` bytes at EU868 DR5, a scheduler, and a server whose frames come at a beat.
struct Bench {
    campaign: Campaign,
    scheduler: Scheduler,
    now: Now,
    /// Airtime of the server's frames and their distance, microseconds.
    server: (u64, u64),
    server_next: Instant,
    frames: u64,
}

impl Bench {
    fn new(group: Group, len: usize, server: (u64, u64)) -> Bench {
        let region = parameters(RfRegion::Eu868).unwrap();
        let bytes = image(len);
        let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
        let task = br#"{"FirmwareUpdateImage":"file:///i","RedundancyPercent":30}"#;
        let task = task_from_file(task, "task").unwrap();
        let mut scheduler = Scheduler::new(region.sub_bands, 100_000);
        let plan = Plan::new(&task, &group, &image, region, &scheduler, 2).unwrap();
        let mut campaign = Campaign::new(plan, group, image, None);
        campaign.calendar_mut().set_begin(Begin::AtOnce);
        // The server was there before.
        let from = Instant::from_us(3_600_000_000);
        let mut server_next = Instant::ZERO;
        while server_next < from && server.0 > 0 {
            scheduler.enter_other(server_next, Some(band(region)), server_next, server.0, server.0);
            server_next = server_next.plus_us(server.1);
        }
        let now = Now { mono: from, gps: Some(START) };
        Bench { campaign, scheduler, now, server, server_next, frames: 0 }
    }

    fn pass_to(&mut self, at: Instant) {
        let passed_us = at.us_since(self.now.mono);
        self.now = Now { mono: at, gps: self.now.gps.map(|gps| gps.plus_us(passed_us)) };
        let region = parameters(RfRegion::Eu868).unwrap();
        while self.server.0 > 0 && self.server_next <= at {
            let (airtime_us, every_us) = self.server;
            let start = self.server_next;
            self.scheduler.enter_other(at, Some(band(region)), start, airtime_us, airtime_us);
            self.server_next = self.server_next.plus_us(every_us);
        }
    }

    /// One step; a frame is taken. Whether the campaign goes on.
    fn go(&mut self) -> bool {
        let handover = Handover { lead_us: 350_000, lead_min_us: 150_000, gap_us: 45_000 };
        let turn = Turn { handover, covered: u32::MAX, id: self.frames, not_before: None };
        match self.campaign.step(self.now, &mut self.scheduler, turn) {
            Step::Transmit(transmit) => {
                let start = transmit.emission.start;
                self.campaign.verdict(
                    self.now.mono,
                    self.frames,
                    &Verdict::Queued { start },
                    &mut self.scheduler,
                );
                self.frames += 1;
            }
            Step::Wait(Some(at)) | Step::WaitForAir(at) | Step::Shut(at) => {
                let next = if self.server.0 > 0 { at.min(self.server_next) } else { at };
                self.pass_to(next.max(self.now.mono.plus_us(1)));
            }
            Step::Wait(None) if self.campaign.has_sent_all(self.now) => return false,
            step => panic!("{step:?}"),
        }
        true
    }

    fn left_us(&self) -> u64 {
        self.campaign.state(self.now, Some(&self.scheduler)).left_us.unwrap()
    }
}

fn band(region: &fuotad::region::Parameters) -> u8 {
    let channel = region.check(869_525_000, 5, fuotad::radio::Dbm::from_whole(27)).unwrap();
    channel.sub_band.0
}

/// The largest error of the time left from the first tenth to the last, parts of the truth.
fn worst_error(mut bench: Bench) -> f64 {
    let mut told = Vec::new();
    let frames = u64::from(bench.campaign.plan().frames());
    let mut asked = 0;
    while bench.go() {
        if bench.frames * 10 >= frames * (asked + 1) && asked < 9 {
            asked += 1;
            told.push((bench.now.mono, bench.left_us()));
        }
    }
    let end = bench.now.mono;
    let error = |(at, left_us): &(Instant, u64)| {
        let truth_us = end.us_since(*at) as f64;
        (*left_us as f64 - truth_us).abs() / truth_us
    };
    assert_eq!(told.len(), 9);
    told.iter().map(error).fold(0.0, f64::max)
}

fn burst(duty_share_ppm: u32, max_deaf_ppm: u32) -> Group {
    let policy = TxPolicy { duty_share_ppm, max_deaf_ppm, ..group().policy };
    Group { policy, profile: ProfileName::Unknown.profile(), ..group() }
}

#[test]
fn the_time_left_is_right_from_the_first_tenth_on_whatever_limits() {
    for (what, group, len, server) in [
        ("the devices", burst(1_000_000, 1_000_000), 40_000, (0, 1)),
        ("deafness", burst(1_000_000, 200_000), 40_000, (0, 1)),
        ("deafness beside a server", burst(1_000_000, 200_000), 40_000, (600_000, 10_000_000)),
        ("our share of the law", burst(200_000, 200_000), 60_000, (0, 1)),
        ("the law beside a server", burst(1_000_000, 1_000_000), 120_000, (1_000_000, 20_000_000)),
    ] {
        let error = worst_error(Bench::new(group, len, server));
        println!("{what}: at most {:.1} % off", error * 100.0);
        assert!(error < 0.2, "{what}: {error}");
    }
}

#[test]
fn a_session_is_not_left_while_it_lasts_although_nothing_fits_it_now() {
    let mut bench = Bench::new(burst(1_000_000, 1_000_000), 4_000, (0, 1));
    let session = |after_s: u64, exponent| Session { start: START.plus_us(after_s * 1_000_000), exponent };
    let sessions = vec![session(20, 10), session(2000, 10)];
    bench.campaign.calendar_mut().set_begin(Begin::Sessions(sessions.clone()));
    // A server spends the hour's law just before the session, and then most of it turns out never to have been sent.
    let region = parameters(RfRegion::Eu868).unwrap();
    let now = bench.now.mono;
    let spent = bench.scheduler.enter_other(now, Some(band(region)), now, 350_000_000, 1000);
    bench.pass_to(now.plus_us(40_000_000));
    assert!(bench.go());
    assert_eq!(bench.frames, 0);
    bench.now = Now { mono: now.plus_us(100_000_000), gps: Some(START.plus_us(100_000_000)) };
    bench.scheduler.refund(spent);
    while bench.go() {}
    let ended = bench.now.gps.unwrap();
    assert!(ended < sessions[0].end(), "it went on in the next session only");
}
