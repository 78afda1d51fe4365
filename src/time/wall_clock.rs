//! Judges how far a wall clock is believed.
//!
//! A session is opened at a GPS time that devices were told, so a wall clock that steps without reason would send a
//! campaign to nobody. Of the wall clock only the line is believed on which it was when somebody spoke for it, that
//! is its offset from the monotonic clock. Slews bend the line. A step leaves it: then the monotonic clock carries
//! the time on, and the wall clock is believed again when it is back, when a witness speaks for where it stands now,
//! or when it has stood there for an hour.

use super::distrust::ClockTrust;
use super::distrust::Distrust;
use super::evidence::Evidence;
use super::gps_time::FLOOR_UNIX_US;
use super::gps_time::GpsTime;
use super::instant::Instant;
use super::receiver::Receiver;

/// Change between two readings above which it is a step and no slew, in microseconds.
pub(super) const JUMP_US: u64 = 1_000_000;
/// Time for which a clock that stepped before it was ever believed must stand still, in microseconds.
const SETTLE_US: u64 = 10_000_000;
/// Time for which a clock must stand still after a step without a witness, in microseconds.
pub(super) const STAND_US: u64 = 3_600_000_000;
/// Time for which the monotonic clock carries on a believed time, in microseconds: a crystal of 20 ppm is off
/// by 1.7 s then.
pub(super) const KEEP_US: u64 = 24 * 3_600_000_000;
/// Distance above which two sources of time contradict each other, in microseconds. A receiver's sentence comes up
/// to a second after the second that it names.
pub(super) const APART_US: u64 = 2_000_000;
/// A time that the monotonic clock carries on is drawn this close to the receiver that confirms it, microseconds.
const DRAWN_US: i64 = 1_000_000;

/// A wall clock under judgement, together with its witnesses.
#[derive(Clone, Debug)]
pub struct WallClock {
    trust: ClockTrust,
    receiver: Receiver,
    /// The time line on which the wall clock was believed last.
    line: Option<Line>,
    /// The time line on which the wall clock stands now.
    standing: Option<Standing>,
    /// The evidence of the last reading.
    evidence: Evidence,
    step_us: Option<i64>,
    distrust: Option<Distrust>,
}

/// A time line that was believed, as an offset from the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Wall clock minus monotonic clock, microseconds.
    offset_us: i64,
    /// Instant at which the time on it was believed last; `None` since it came into doubt.
    trusted_at: Option<Instant>,
}

/// The time line on which the wall clock stands, believed or not.
#[derive(Clone, Debug)]
struct Standing {
    /// Wall clock minus monotonic clock at the last reading, microseconds.
    offset_us: i64,
    since: Instant,
    /// The wall clock came here by a step and was not here from the start.
    is_stepped: bool,
    /// The evidence before the wall clock came here. A synchronisation sets the clock first and touches its file at
    /// once, so both may lie between two readings.
    before: Evidence,
}

/// One reading of the clocks, with the witnesses at that moment.
#[derive(Clone, Copy)]
struct Reading<'a> {
    mono: Instant,
    unix_us: i64,
    offset_us: i64,
    evidence: &'a Evidence,
    /// Time of the GPS receiver in Unix microseconds, while it is believed.
    received_us: Option<i64>,
    /// Whether the wall clock shows the receiver's time.
    agrees: bool,
}

impl WallClock {
    /// A wall clock that was not read yet.
    pub fn new(trust: ClockTrust) -> WallClock {
        WallClock {
            trust,
            receiver: Receiver::default(),
            line: None,
            standing: None,
            evidence: Evidence::NONE,
            step_us: None,
            distrust: Some(Distrust::Unread),
        }
    }

    /// Continues from a former process of this boot, which believed that it was `gps` at `mono`. A wall clock that
    /// stands elsewhere now has stepped since; `evidence` is the evidence that exists already.
    pub fn resume(&mut self, mono: Instant, gps: GpsTime, evidence: &Evidence) {
        let offset_us = gps.to_unix_us().saturating_sub(mono.as_us());
        self.line = Some(Line { offset_us, trusted_at: Some(mono) });
        let before = evidence.clone();
        self.standing = Some(Standing { offset_us, since: mono, is_stepped: false, before });
        self.evidence = evidence.clone();
    }

    /// Takes a report of our own GPS receiver: `unix_us` (Unix microseconds) at `at`.
    pub fn hear(&mut self, at: Instant, unix_us: i64) {
        self.receiver.hear(at, unix_us);
    }

    /// Takes one reading of both clocks, made at once (`wall_unix_us` in Unix microseconds), and the evidence as it
    /// was before them. Returns the GPS time when it is known.
    pub fn read(&mut self, mono: Instant, wall_unix_us: i64, evidence: &Evidence) -> Option<GpsTime> {
        let received_us = self.receiver.unix_us(mono);
        let reading = Reading {
            mono,
            unix_us: wall_unix_us,
            offset_us: wall_unix_us.saturating_sub(mono.as_us()),
            evidence,
            received_us,
            agrees: received_us.is_some_and(|us| us.abs_diff(wall_unix_us) <= APART_US),
        };
        self.stand(reading);
        let off_us = self.line.map(|line| (line, reading.offset_us.saturating_sub(line.offset_us)));
        match off_us.filter(|(_, off_us)| off_us.unsigned_abs() > JUMP_US) {
            Some((line, off_us)) => self.off_the_line(reading, line, off_us),
            None => self.on_the_line(reading),
        }
    }

    /// Reason why the wall clock is not followed; `None` when it is, or when a GPS receiver replaces it.
    pub fn distrust(&self) -> Option<Distrust> {
        self.distrust
    }

    /// Takes out the last step of the wall clock, whole seconds, positive is forward; `None` when
    /// there was none since.
    pub fn take_step(&mut self) -> Option<i64> {
        self.step_us.take().map(|us| us / 1_000_000)
    }

    /// Follows the wall clock to the time line on which it stands now.
    fn stand(&mut self, reading: Reading<'_>) {
        let moved_us =
            self.standing.as_ref().map(|standing| reading.offset_us.saturating_sub(standing.offset_us));
        let stepped_us = moved_us.filter(|us| us.unsigned_abs() > JUMP_US);
        match &mut self.standing {
            Some(standing) if stepped_us.is_none() => standing.offset_us = reading.offset_us,
            _ => {
                self.standing = Some(Standing {
                    offset_us: reading.offset_us,
                    since: reading.mono,
                    is_stepped: stepped_us.is_some(),
                    before: self.evidence.clone(),
                });
            }
        }
        self.step_us = stepped_us.or(self.step_us);
        if self.evidence != *reading.evidence {
            self.evidence = reading.evidence.clone();
        }
    }

    /// Judges a wall clock that did not step, or before anything was believed.
    fn on_the_line(&mut self, reading: Reading<'_>) -> Option<GpsTime> {
        let doubt = self.doubt(reading);
        let is_contradicted = reading.received_us.is_some() && !reading.agrees;
        if doubt.is_none() && !is_contradicted {
            return self.believe(reading);
        }
        if let Some(line) = &mut self.line {
            *line = Line { offset_us: reading.offset_us, trusted_at: None };
        }
        // A receiver beside a wall clock in doubt speaks for itself.
        let received_us = reading.received_us.filter(|_| doubt.is_some());
        self.distrust = match received_us {
            Some(_) => None,
            None => doubt.or(Some(Distrust::Contradicted)),
        };
        GpsTime::from_unix_us(received_us?)
    }

    /// Judges a wall clock that stands `off_us` away from the believed `line`.
    fn off_the_line(&mut self, reading: Reading<'_>, line: Line, off_us: i64) -> Option<GpsTime> {
        let step_s = off_us / 1_000_000;
        if let Some(received_us) = reading.received_us.filter(|_| !reading.agrees) {
            self.begin_anew(reading);
            return self.against_the_receiver(reading.mono, line, received_us, step_s);
        }
        let standing = self.standing.as_ref();
        let stood_us = standing.map_or(0, |standing| reading.mono.us_since(standing.since));
        let doubt = self.doubt(reading);
        if doubt.is_none() && (self.has_witness(reading) || stood_us >= STAND_US) {
            return self.believe(reading);
        }
        let believed_in_min = doubt.is_none().then(|| STAND_US.saturating_sub(stood_us).div_ceil(60_000_000));
        let age_us = line.trusted_at.map(|at| reading.mono.us_since(at));
        let distrust = match age_us {
            Some(..=KEEP_US) => Distrust::Stepped { step_s, believed_in_min },
            Some(_) => Distrust::KeptTooLong { step_s, believed_in_min },
            None => Distrust::SteppedInDoubt { step_s, believed_in_min },
        };
        self.distrust = Some(distrust);
        if !distrust.is_time_kept() {
            return None;
        }
        line.at(reading.mono)
    }

    /// Judges a receiver that contradicts the wall clock: the time before the step is right, or none is known.
    fn against_the_receiver(
        &mut self,
        mono: Instant,
        line: Line,
        received_us: i64,
        step_s: i64,
    ) -> Option<GpsTime> {
        let ahead_us = received_us.saturating_sub(mono.as_us()).saturating_sub(line.offset_us);
        if ahead_us.unsigned_abs() > APART_US {
            self.distrust = Some(Distrust::Contradicted);
            return None;
        }
        // The monotonic clock drifts. Drawn along by the receiver it is never too old.
        let drawn_us = ahead_us - ahead_us.clamp(-DRAWN_US, DRAWN_US);
        let line = Line { offset_us: line.offset_us.saturating_add(drawn_us), trusted_at: Some(mono) };
        self.line = Some(line);
        self.distrust = Some(Distrust::SteppedAgainstReceiver { step_s });
        line.at(mono)
    }

    /// Discards all evidence for where the wall clock stands until now.
    fn begin_anew(&mut self, reading: Reading<'_>) {
        if let Some(standing) = &mut self.standing {
            standing.since = reading.mono;
            if standing.before != *reading.evidence {
                standing.before = reading.evidence.clone();
            }
        }
    }

    fn believe(&mut self, reading: Reading<'_>) -> Option<GpsTime> {
        self.line = Some(Line { offset_us: reading.offset_us, trusted_at: Some(reading.mono) });
        self.distrust = None;
        GpsTime::from_unix_us(reading.unix_us)
    }

    /// Whether there was evidence for where the wall clock stands since it came there.
    fn has_witness(&self, reading: Reading<'_>) -> bool {
        let standing = self.standing.as_ref();
        reading.agrees || standing.is_some_and(|standing| reading.evidence.is_news_to(&standing.before))
    }

    /// Reason against the wall clock, steps away from the line aside.
    fn doubt(&self, reading: Reading<'_>) -> Option<Distrust> {
        if self.trust == ClockTrust::Never {
            return Some(Distrust::Forbidden);
        }
        if reading.unix_us < FLOOR_UNIX_US {
            return Some(Distrust::NeverSet);
        }
        if self.line.is_none() && self.is_settling(reading) {
            return Some(Distrust::Settling);
        }
        if self.trust == ClockTrust::Auto && reading.evidence.is_empty() && !reading.agrees {
            return Some(Distrust::NoEvidence);
        }
        None
    }

    fn is_settling(&self, reading: Reading<'_>) -> bool {
        let standing = self.standing.as_ref().filter(|standing| standing.is_stepped);
        standing.is_some_and(|standing| reading.mono.us_since(standing.since) < SETTLE_US)
            && !self.has_witness(reading)
    }
}

impl Line {
    fn at(self, mono: Instant) -> Option<GpsTime> {
        GpsTime::from_unix_us(mono.as_us().saturating_add(self.offset_us))
    }
}
