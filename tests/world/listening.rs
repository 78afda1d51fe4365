//! What devices pay: the sum of the sessions that they are told, against a search of all ways to cut the campaign, and
//! against the beat of ChirpStack.

use crate::support::scenarios::shipped;
use crate::support::small_world::assert_content;
use crate::support::small_world::group;
use crate::support::small_world::image;
use crate::support::small_world::run;
use fuotad::campaign::Group;
use fuotad::campaign::Plan;
use fuotad::campaign::ProfileName;
use fuotad::campaign::Session;
use fuotad::campaign::SessionLimits;
use fuotad::campaign::SessionRule;
use fuotad::cloud::task_from_file;
use fuotad::image::Digest;
use fuotad::image::Image;
use fuotad::radio::Dbm;
use fuotad::region::RfRegion;
use fuotad::region::parameters;
use fuotad::schedule::Kept;
use fuotad::schedule::Pattern;
use fuotad::schedule::Scheduler;
use fuotad::schedule::TxPolicy;
use fuotad::sim::device::State;
use fuotad::time::GpsTime;
use fuotad::time::Instant;

/// A campaign as it is sent by default: a frame 1 s / 1.5 s after the last, half a minute deaf at most, all of the law but
/// a tenth.
struct Case {
    region: RfRegion,
    frequency_hz: u32,
    data_rate: u8,
    len: usize,
    min_heard_ppm: u32,
}

impl Case {
    fn group(&self, sessions: SessionLimits) -> Group {
        let region = parameters(self.region).unwrap();
        let profile = ProfileName::Unknown.profile();
        let eirp = region.default_eirp(&group().terms, self.frequency_hz);
        Group {
            session: SessionRule::Windows { exponent: None, start: None },
            sessions,
            guard_us: profile.guard_us(),
            profile,
            frequency_hz: self.frequency_hz,
            data_rate: self.data_rate,
            eirp: eirp.min(Dbm::from_whole(27)),
            policy: TxPolicy { duty_share_ppm: 1_000_000, max_deaf_ppm: 500_000, pattern: Pattern::Burst },
            ..group()
        }
    }

    fn plan(&self, sessions: SessionLimits) -> Plan {
        let region = parameters(self.region).unwrap();
        let bytes = image(self.len);
        let image = Image::verify(bytes.clone(), Digest::of(&bytes)).unwrap();
        let task = br#"{"FirmwareUpdateImage":"file:///i","RedundancyPercent":30}"#;
        let task = task_from_file(task, "task").unwrap();
        let kept = Kept { server_reserve_ppm: 100_000, min_heard_ppm: self.min_heard_ppm };
        let scheduler = Scheduler::of(region, kept);
        Plan::new(&task, &self.group(sessions), &image, region, &scheduler, 2).unwrap()
    }

    /// The sum of session lengths and of sessions, seconds and number.
    fn listening(&self, sessions: SessionLimits) -> (u64, usize) {
        let sessions = self.plan(sessions).sessions(GpsTime::from_us(1_479_369_618_000_000));
        (sessions.iter().map(|session: &Session| session.length_us() / 1_000_000).sum(), sessions.len())
    }

    /// ChirpStack tells one session of 2^n s for a frame each 5 s; and whether the law has room for that.
    fn chirpstack(&self) -> (u64, bool) {
        let plan = self.plan(SessionLimits::default());
        let frames = u64::from(plan.frames() - u32::from(plan.repeats));
        let length_s = (5 * (frames + 1)).next_power_of_two();
        let region = parameters(self.region).unwrap();
        let band = &region.sub_bands[usize::from(plan.channel.sub_band.0)];
        (length_s, plan.airtime_us * 1_000_000 <= u64::from(band.duty_ppm) * 5_000_000)
    }

    /// How much of usual uplinks is heard beside that beat.
    fn chirpstack_heard_ppm(&self) -> u32 {
        let plan = self.plan(SessionLimits::default());
        let mix = parameters(self.region).unwrap().usual_uplinks();
        let lost_us = plan.airtime_us + mix.mean_us(5_000_000 - plan.airtime_us);
        1_000_000 - u32::try_from(lost_us / 5).unwrap()
    }

    /// The least sum of 2^n s over all multisets of up to `most` sessions, each burst on a radio that rested: found by
    /// trying them all, with a count of frames of its own.
    fn searched(&self, most: u32) -> u64 {
        let plan = self.plan(SessionLimits::default());
        let region = parameters(self.region).unwrap();
        let band = &region.sub_bands[usize::from(plan.channel.sub_band.0)];
        let budget_us = match band.duty_ppm {
            1_000_000 => u64::MAX,
            duty_ppm => band.window_us / 1_000_000 * u64::from(duty_ppm) * 9 / 10,
        };
        let in_window = budget_us / plan.airtime_us;
        // Guards, a report and an outage; a frame in fifty again.
        let kept_us = 2 * plan_guard_us() + 90_000_000;
        let uncoded = u64::from(plan.layout.nb_frag()) + u64::from(plan.repeats);
        let frames = u64::from(plan.frames());
        let mix = region.usual_uplinks();
        let slowest_us = mix.rates().iter().map(|rate| rate.airtime_us).max().unwrap();
        let in_minute = (30_000_000 / plan.airtime_us).max(1);
        // What a frame costs the mean uplink, after a pause of a second.
        let cost_us = plan.airtime_us + mix.mean_us(1_000_000);
        let in_hour = (3_600 * u64::from(1_000_000 - self.min_heard_ppm)) / cost_us;
        let scheduler =
            Scheduler::of(region, Kept { server_reserve_ppm: 100_000, min_heard_ppm: self.min_heard_ppm });
        let policy = self.group(SessionLimits::default()).policy;
        // What joins and confirmed messages ask of the holes beside so many frames in an hour.
        let open_of = |count: u64| {
            scheduler.open_us(plan.channel, plan.airtime_us, plan.airtime_us + 1_000_000, count, policy)
        };
        let opens: Vec<u64> = (0..=frames).map(open_of).collect();
        let took_us = |first: u64, count: u64| {
            let paced_us = |from: u64, count: u64| {
                let slow = count - uncoded.saturating_sub(from).min(count);
                count * plan.airtime_us + (count - slow) * 1_000_000 + slow * 1_500_000
            };
            // Full minutes of hearing, or full windows of the law, and what is left over at the devices' pace.
            let in_windows_us = |fit: u64, window_us: u64| {
                let full = count.saturating_sub(1) / fit.max(1);
                full * window_us + paced_us(first + full * fit, count - full * fit)
            };
            let spacing_us = plan.airtime_us + 1_000_000;
            let in_train = (20_000_000 - plan.airtime_us) / spacing_us + 1;
            let open_us = (in_train - 1) * 1_000_000u64.saturating_sub(slowest_us);
            let needed_us = opens[count as usize];
            let hole_us = if open_us < needed_us { slowest_us + needed_us - open_us } else { 1_000_000 };
            let train_us = in_train * spacing_us - 1_000_000 + hole_us;
            let by = [(in_minute, 60_000_000), (in_train, train_us), (in_hour, 3_600_000_000)];
            let heard_us =
                by.into_iter().map(|(fit, window_us)| in_windows_us(fit, window_us)).max().unwrap_or(0);
            paced_us(first, count).max(heard_us).max(in_windows_us(in_window, band.window_us))
        };
        let holds = |first: u64, exponent: u32| {
            let length_us = 1_000_000u64 << exponent;
            let fits = |count: &u64| {
                let took_us = took_us(first, *count);
                took_us + took_us / 50 + kept_us <= length_us
            };
            (0..=frames - first).rev().find(fits).unwrap_or(0)
        };
        // All multisets, the longest first: whoever holds more goes first.
        fn search(first: u64, longest: u32, left: u32, frames: u64, holds: &dyn Fn(u64, u32) -> u64) -> u64 {
            if first >= frames {
                return 0;
            }
            if left == 0 {
                return u64::MAX;
            }
            let one = |exponent: u32| {
                let count = holds(first, exponent);
                let rest = match count {
                    0 => u64::MAX,
                    _ => search(first + count, exponent, left - 1, frames, holds),
                };
                rest.saturating_add(1 << exponent)
            };
            (7..=longest).map(one).min().unwrap_or(u64::MAX)
        }
        search(0, 15, most, frames, &holds)
    }
}

fn up_to(most: u8, price_s: u64) -> SessionLimits {
    SessionLimits { most: Some(most), price_us: price_s * 1_000_000, further: false }
}

fn plan_guard_us() -> u64 {
    ProfileName::Unknown.profile().guard_us()
}

/// Five sizes at one data rate; the worst part of ChirpStack's seconds that ours are.
fn worst(region: RfRegion, frequency_hz: u32, data_rate: u8, is_held_to_theirs: bool) -> f64 {
    let mut worst = 0.0f64;
    for len in [10_000, 30_000, 60_000, 100_000, 140_000] {
        let mut case = Case { region, frequency_hz, data_rate, len, min_heard_ppm: 800_000 };
        if is_held_to_theirs {
            case.min_heard_ppm = case.chirpstack_heard_ppm();
        }
        let (theirs_s, is_lawful) = case.chirpstack();
        let (ours_s, sessions) = case.listening(up_to(8, 120));
        let (least_s, least_sessions) = case.listening(up_to(5, 0));
        let searched_s = case.searched(5);
        let frames = case.plan(SessionLimits::default()).frames() as f64;
        println!(
            "{region} DR{data_rate} {len} B, heard {:.1} %: {ours_s} s in {sessions} sessions ({:.2} frames/s), for nothing {least_s} s in {least_sessions}, searched {searched_s} s; ChirpStack {theirs_s} s{}: {:.2}",
            f64::from(case.min_heard_ppm) / 1e4,
            frames / ours_s as f64,
            if is_lawful { "" } else { " (over the law)" },
            ours_s as f64 / theirs_s as f64
        );
        assert!(
            least_s as f64 <= 1.1 * searched_s as f64,
            "{len} B: {least_s} s, where {searched_s} s would do"
        );
        worst = worst.max(ours_s as f64 / theirs_s as f64);
    }
    worst
}

#[test]
fn devices_listen_for_half_the_time_of_a_fixed_beat_and_no_longer_than_a_search_finds() {
    for is_held_to_theirs in [false, true] {
        let worst_dr5 = worst(RfRegion::Eu868, 869_525_000, 5, is_held_to_theirs);
        let worst_dr3 = worst(RfRegion::Eu868, 869_525_000, 3, is_held_to_theirs);
        let worst_us = worst(RfRegion::Us915, 923_300_000, 13, is_held_to_theirs);
        println!("worst: EU868 DR5 {worst_dr5:.2}, DR3 {worst_dr3:.2}, US915 DR13 {worst_us:.2}");
        assert!(worst_dr5 <= 0.5, "{worst_dr5}");
        assert!(worst_dr3 <= 0.75, "{worst_dr3}");
        assert!(worst_us <= 0.5, "{worst_us}");
    }
}

#[test]
fn the_first_campaign_of_the_readme_is_over_for_every_device_within_twenty_minutes() {
    let summary = run(shipped("eu868-100kb.toml"));
    assert_content(&summary, "the first campaign");
    let sessions = summary.planned.as_ref().unwrap().sessions.clone();
    let [(start, exponent)] = sessions[..] else { panic!("{sessions:?}") };
    assert!(exponent <= 11, "2^{exponent} s");
    let opens_us = start.us_since(summary.zero);
    let completed = summary.devices.iter().map(|device| match device.state {
        State::Complete { at, .. } => at.us_since(Instant::ZERO),
        ref other => panic!("{other:?}"),
    });
    let last_us = completed.max().unwrap() - opens_us;
    println!("the last device is done {} s after the start", last_us / 1_000_000);
    assert!(last_us <= 1_200_000_000, "{last_us}");
}

#[test]
fn twenty_kilobytes_at_the_slowest_rate_listen_in_bursts_with_sleep_between() {
    let case = Case {
        region: RfRegion::Eu868,
        frequency_hz: 869_525_000,
        data_rate: 0,
        len: 20_000,
        min_heard_ppm: 800_000,
    };
    let (ours_s, sessions) = case.listening(up_to(8, 0));
    let (one_s, _) = case.listening(SessionLimits::default());
    let searched_s = case.searched(6);
    println!(
        "EU868 DR0 20 kB: {ours_s} s in {sessions} sessions, searched {searched_s} s, one session {one_s} s"
    );
    assert!(ours_s as f64 <= 1.1 * searched_s as f64, "{ours_s} {searched_s}");
    assert!(ours_s < one_s);
}

#[test]
fn without_leave_for_more_a_campaign_gets_one_session_or_as_few_as_it_takes() {
    let one = Case {
        region: RfRegion::Eu868,
        frequency_hz: 869_525_000,
        data_rate: 3,
        len: 100_000,
        min_heard_ppm: 800_000,
    };
    assert_eq!(one.listening(SessionLimits::default()).1, 1);
    let long = Case {
        region: RfRegion::Eu868,
        frequency_hz: 869_525_000,
        data_rate: 0,
        len: 60_000,
        min_heard_ppm: 800_000,
    };
    let (_, sessions) = long.listening(SessionLimits::default());
    assert_eq!(sessions, 2);
}
