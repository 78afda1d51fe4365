//! How the devices of a campaign listen: in sessions whose lengths together are as short as the law, the radio
//! and the devices let them be.
//!
//! A session (TS005-1.0.0 3.5) lasts 2^n seconds and holds its burst of frames, what may be added to make up for lost
//! ones, one report interval of the forwarder and one outage of a minute, or the questions, and the guards at both ends. Devices stay to the
//! time-out, so it is the sum of the lengths that they pay, and a price for each session that they must be told.

use super::session::MAX_EXPONENT;
use super::session::MAX_SESSIONS;
use crate::schedule::Placement;
use crate::schedule::Scheduler;
use crate::schedule::TxRequest;
use crate::time::Instant;

/// A packet forwarder's report interval, the stock one, and an outage, microseconds.
const TROUBLE_US: u64 = 30_000_000 + 60_000_000;
/// One frame in so many is expected to be made up for.
const MADE_UP_EACH: u64 = 50;
/// Between two sessions when one would do with more air: devices leave Class C, and their clocks differ.
const BETWEEN_US: u64 = 60_000_000;
/// Between two sessions of which the second can be told only after the first: an uplink of each device.
const UPLINK_INTERVAL_US: u64 = 3_600_000_000;
/// More than the longest session, microseconds.
const HORIZON_US: u64 = 2 << (MAX_EXPONENT as u64) << 20;
/// As many sessions as an operator may allow.
pub const SESSIONS_ALLOWED_MAX: u8 = 64;

/// What a group's operator says about sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Sessions of one campaign, at most; `None`: one, or as few as it takes.
    pub most: Option<u8>,
    /// What one more session costs, as listening, microseconds.
    pub price_us: u64,
    /// Devices that miss something when the sessions are over are told further ones.
    pub further: bool,
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits { most: None, price_us: 120_000_000, further: false }
    }
}

/// One session of a campaign and its share of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Its start after that of the first one, microseconds, whole seconds.
    pub after_us: u64,
    /// It lasts 2^exponent seconds.
    pub exponent: u8,
    /// Frames that are planned for it.
    pub frames: usize,
}

/// The frames of a campaign and the pauses between and around them.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    /// Frames at the first spacing; the others have the second.
    pub uncoded: usize,
    /// Frames of both kinds together.
    pub all: usize,
    /// From one start to the next, microseconds.
    pub spacing_us: [u64; 2],
    /// Nothing is sent for so long at both ends of a session, microseconds.
    pub guard_us: u64,
    /// The pause before the first repeat of the last uncoded fragment, microseconds.
    pub pause_us: u64,
    /// What devices are expected to ask for after the last frame, frames.
    pub asked_for: usize,
    /// What questions take after the last frame, microseconds.
    pub questions_us: u64,
}

/// The frames of a campaign as an empty radio would send them from one start on.
#[derive(Clone, Debug)]
pub struct Air<'a> {
    scheduler: &'a Scheduler,
    request: TxRequest,
    frames: Frames,
    /// Frames in one session, at most: holes are as long as so many in an hour ask for.
    at_most: usize,
    /// When the m-th frame is over if all have the first spacing, and if all have the second, microseconds.
    ends_us: [Vec<u64>; 2],
}

impl<'a> Air<'a> {
    /// The frames, `at_most` in a session, on the radio of `scheduler`, which has sent nothing yet.
    pub fn new(scheduler: &'a Scheduler, request: TxRequest, frames: Frames, at_most: usize) -> Self {
        let ends_us = frames.spacing_us.map(|spacing_us| {
            let mut radio = scheduler.clone();
            let at_most = at_most + frames.asked_for;
            ends(&mut radio, &request, Instant::ZERO, HORIZON_US, at_most, |_| spacing_us)
        });
        Air { scheduler, request, frames, at_most, ends_us }
    }

    /// How long `frames` from number `first` on take on an empty radio, microseconds; `None`: longer than any session.
    pub fn burst_us(&self, first: usize, frames: usize) -> Option<u64> {
        let [one, two] = &self.ends_us;
        let uncoded = self.frames.uncoded.saturating_sub(first).min(frames);
        if uncoded == frames {
            return one.get(frames).copied();
        }
        let pause_us = if uncoded > 0 { self.frames.pause_us } else { 0 };
        Some(one.get(uncoded)? + two.get(frames)? - two.get(uncoded)? + pause_us)
    }

    /// The length that a session for them needs, microseconds; `room_us` is the longest that it may have.
    fn session_us(&self, first: usize, frames: usize, room_us: u64, is_ordered: bool) -> Option<u64> {
        let is_last = first + frames == self.frames.all && !is_ordered;
        let (asked_for, questions_us) =
            if is_last { (self.frames.asked_for, self.frames.questions_us) } else { (0, 0) };
        let burst_us = self.burst_us(first, frames + asked_for)?;
        // Where the operator ordered the length, what is kept for trouble is a fifth at most.
        let trouble_us = if is_ordered { TROUBLE_US.min(room_us / 5) } else { TROUBLE_US };
        // Questions are put in the time that no trouble took.
        Some(burst_us + burst_us / MADE_UP_EACH + trouble_us.max(questions_us) + 2 * self.frames.guard_us)
    }

    /// The most frames from `first` on that a session of 2^exponent s holds.
    pub fn capacity(&self, first: usize, exponent: u8, is_ordered: bool) -> usize {
        let length_us = 1_000_000u64 << exponent;
        let room_us = length_us.saturating_sub(2 * self.frames.guard_us);
        let fits = |frames: usize| {
            self.session_us(first, frames, room_us, is_ordered).is_some_and(|us| us <= length_us)
        };
        the_most(self.at_most.min(self.frames.all - first), fits)
    }

    /// The sessions of the campaign; empty when a session holds no frame. With `exponent` each has that length. Those that
    /// are over within `within_us` of the start, if any are; else those that are over first.
    pub fn sessions(
        &self,
        exponent: Option<u8>,
        limits: SessionLimits,
        within_us: Option<u64>,
    ) -> Vec<Burst> {
        if let Some(exponent) = exponent {
            return self.placed(&self.as_many_as_it_takes(exponent, true), BETWEEN_US);
        }
        let between_us = if limits.most.is_some() { UPLINK_INTERVAL_US } else { BETWEEN_US };
        let up_to = |most: u8| {
            let shape = self.shortest(SessionLimits { most: Some(most), ..limits });
            let shape = shape.unwrap_or_else(|| self.as_many_as_it_takes(MAX_EXPONENT, false));
            self.placed(&shape, between_us)
        };
        let most = limits.most.unwrap_or(1);
        let best = up_to(most);
        let Some(within_us) = within_us.filter(|within_us| over_us(&best) > *within_us) else { return best };
        // Fewer sessions listen for longer and are over sooner.
        let mut sooner: Vec<Vec<Burst>> = (1..most).rev().map(up_to).collect();
        match sooner.iter().position(|bursts| over_us(bursts) <= within_us) {
            Some(first) => sooner.swap_remove(first),
            None => sooner.into_iter().chain([best]).min_by_key(|bursts| over_us(bursts)).unwrap_or_default(),
        }
    }

    fn as_many_as_it_takes(&self, exponent: u8, is_ordered: bool) -> Vec<(u8, usize)> {
        let mut shape = Vec::new();
        let mut first = 0;
        while first < self.frames.all && shape.len() < MAX_SESSIONS {
            let frames = self.capacity(first, exponent, is_ordered);
            if frames == 0 {
                return Vec::new();
            }
            shape.push((exponent, frames));
            first += frames;
        }
        // The last one may end sooner.
        let last = shape.pop().map(|(exponent, frames)| {
            let suits = |shorter: &u8| self.capacity(self.frames.all - frames, *shorter, false) >= frames;
            (if is_ordered { exponent } else { (0..exponent).find(suits).unwrap_or(exponent) }, frames)
        });
        shape.into_iter().chain(last).collect()
    }

    /// The lengths with the least sum, prices included, in no more sessions than allowed.
    fn shortest(&self, limits: SessionLimits) -> Option<Vec<(u8, usize)>> {
        let most = usize::from(limits.most.unwrap_or(1).clamp(1, SESSIONS_ALLOWED_MAX));
        let exponents = 0..=MAX_EXPONENT;
        let rows = if most == 1 { 1 } else { self.frames.all };
        let holds: Vec<Vec<usize>> = (0..rows)
            .map(|first| exponents.clone().map(|exponent| self.capacity(first, exponent, false)).collect())
            .collect();
        // costs[first]: of the frames from there on, in as many sessions as there were rounds.
        let mut costs = vec![u64::MAX; self.frames.all + 1];
        costs[self.frames.all] = 0;
        let mut choices: Vec<Vec<u8>> = Vec::new();
        for _ in 0..most {
            let mut next = costs.clone();
            let mut choice = vec![u8::MAX; rows];
            for (first, holds) in holds.iter().enumerate() {
                for exponent in exponents.clone() {
                    let frames = holds[usize::from(exponent)];
                    let rest = if frames == 0 { u64::MAX } else { costs[first + frames] };
                    let cost = rest.saturating_add((1_000_000 << exponent) + limits.price_us);
                    if cost < next[first] {
                        (next[first], choice[first]) = (cost, exponent);
                    }
                }
            }
            let is_settled = next == costs;
            costs = next;
            choices.push(choice);
            if is_settled {
                break;
            }
        }
        let mut shape = Vec::new();
        let mut first = 0;
        // A round that found nothing better left its choice open: an earlier one has it.
        while first < self.frames.all {
            let round = choices.iter().rposition(|choice| choice[first] != u8::MAX)?;
            let exponent = choices[round][first];
            choices.truncate(round);
            shape.push((exponent, holds[first][usize::from(exponent)]));
            first += holds[first][usize::from(exponent)];
        }
        (shape.len() <= most).then_some(shape)
    }

    /// The sessions with their starts: each as early as the law leaves room for its burst.
    fn placed(&self, shape: &[(u8, usize)], between_us: u64) -> Vec<Burst> {
        let mut radio = self.scheduler.clone();
        let mut placed: Vec<Burst> = Vec::new();
        let (mut first, mut after_us) = (0, 0);
        let window_us = radio.window_us(self.request.channel);
        for (exponent, frames) in shape.iter().copied() {
            let length_us = 1_000_000u64 << exponent;
            let starts =
                [Some(after_us), placed.last().map(|burst| after_us.max(burst.after_us + window_us))];
            let fits = |start_us: &u64| {
                let mut radio = radio.clone();
                self.send(&mut radio, *start_us, length_us, first, frames) == frames
            };
            let latest_us = after_us + window_us;
            let start_us = starts.into_iter().flatten().map(whole_second).find(fits);
            let start_us = start_us.unwrap_or(whole_second(latest_us));
            self.send(&mut radio, start_us, length_us, first, frames);
            placed.push(Burst { after_us: start_us, exponent, frames });
            first += frames;
            after_us = start_us + length_us + between_us;
        }
        placed
    }

    /// Sends a burst in a session on `radio`; how many of its frames fitted.
    fn send(
        &self,
        radio: &mut Scheduler,
        start_us: u64,
        length_us: u64,
        first: usize,
        frames: usize,
    ) -> usize {
        let opens = Instant::ZERO.plus_us(start_us + self.frames.guard_us);
        let spacing =
            |frame: usize| self.frames.spacing_us[usize::from(first + frame >= self.frames.uncoded)];
        let room_us = length_us.saturating_sub(2 * self.frames.guard_us);
        ends(radio, &self.request, opens, room_us, frames, spacing).len() - 1
    }
}

/// The largest number up to `most` that is enough, where all smaller ones are, too; 0 where none is.
pub fn the_most(most: usize, is_enough: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if is_enough(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// When the last of them is over after the start of the first, microseconds.
pub fn over_us(bursts: &[Burst]) -> u64 {
    bursts.last().map_or(0, |last| last.after_us + (1_000_000 << last.exponent))
}

fn whole_second(us: u64) -> u64 {
    us.div_ceil(1_000_000) * 1_000_000
}

/// When each of `frames` is over after `from`, microseconds, as far as that is within `room_us`; the first entry is 0.
fn ends(
    radio: &mut Scheduler,
    request: &TxRequest,
    from: Instant,
    room_us: u64,
    frames: usize,
    spacing_us: impl Fn(usize) -> u64,
) -> Vec<u64> {
    let mut ends_us = vec![0];
    let mut earliest = from;
    for frame in 0..frames {
        let request = TxRequest { earliest, ..*request };
        let Placement::At(start) = radio.place(from, &request) else { break };
        let end_us = start.plus_us(request.airtime_us).us_since(from);
        if end_us > room_us {
            break;
        }
        radio.commit(start, &request);
        ends_us.push(end_us);
        earliest = start.plus_us(spacing_us(frame));
    }
    ends_us
}
