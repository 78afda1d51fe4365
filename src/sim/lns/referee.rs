//! The referee of set-ups: it reads every command for itself and knows what each device is.

use crate::time::GpsTime;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const GROUP_PORT: u8 = 200;
const FRAG_PORT: u8 = 201;
const CLOCK_PORT: u8 = 202;

/// What a command asks, or what an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    FragVersion,
    Group,
    FragSession,
    Clock,
    SetClock,
    Session,
    /// An answer to a session's command that casts doubt on the device's clock.
    Doubt,
}

/// What the referee knows of one device.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Good answers that are on the gateway's disk.
    answered: BTreeSet<Asked>,
    /// Good answers that came and may not be on disk yet.
    fresh: BTreeSet<Asked>,
    /// TS004's version was asked and told.
    version_told: bool,
    /// SessionTime and end of the session that the device accepted, GPS seconds.
    session: Option<(u64, u64)>,
    /// The session of the good answer, and when that came, GPS seconds.
    told: Option<(u64, u64)>,
    session_cnt: Option<u16>,
    /// minMcFCount and maxMcFCount that it was told last: another campaign has others.
    mc_fcounts: Vec<u8>,
    /// Whether this command was answered at least once since the last restart.
    first: BTreeSet<Asked>,
}

/// The judge of everything that the fleet publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct Referee {
    devices: BTreeMap<String, Known>,
    is_begun: bool,
    breaches: Vec<String>,
    /// Downlinks that an oracle needs, too: it knows each loss beforehand.
    oracle: u64,
}

impl Known {
    /// The device was told its session more than a day before the start, which is within the day now.
    fn was_told_long_ago(&self, gps_s: u64) -> bool {
        self.told.is_some_and(|(start_s, told_s)| told_s + DAY_S < start_s && start_s <= gps_s + DAY_S)
    }
}

const DAY_S: u64 = 86_400;

/// More breaches are counted only.
const BREACHES_MAX: usize = 20;

/// The commands in a payload: CID and the bytes behind it.
fn commands(f_port: u8, payload: &[u8], is_v2: bool) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut commands = Vec::new();
    let mut rest = payload;
    while let Some((&cid, behind)) = rest.split_first() {
        let len = match (f_port, cid) {
            (_, 0x00) => 0,
            (GROUP_PORT, 0x02) => 29,
            (GROUP_PORT, 0x04) => 10,
            (FRAG_PORT, 0x01 | 0x04) => 1,
            (FRAG_PORT, 0x02) if is_v2 => 16,
            (FRAG_PORT, 0x02) => 10,
            (CLOCK_PORT, 0x01) => 5,
            (CLOCK_PORT, 0x03) => 1,
            _ => return None,
        };
        commands.push((cid, behind.get(..len)?.to_vec()));
        rest = &behind[len..];
    }
    Some(commands)
}

/// Whether the time in an answer that was sent at `now` is within the guard of the truth, which for McClassCSessionAns
/// is the start of one of `sessions`.
pub(super) fn is_clock_right(
    f_port: u8,
    data: &[u8],
    now: GpsTime,
    guard_us: u64,
    mut sessions: impl Iterator<Item = GpsTime>,
) -> bool {
    let is_near = |us: u64, other_us: u64| us.abs_diff(other_us) <= guard_us;
    match (f_port, data) {
        (CLOCK_PORT, [.., 0x01, a, b, c, d, _]) => {
            is_near(u64::from(u32::from_le_bytes([*a, *b, *c, *d])) * 1_000_000, now.as_us())
        }
        (GROUP_PORT, [0x04, _, a, b, c]) => {
            let begins = now.plus_us(u64::from(u32::from_le_bytes([*a, *b, *c, 0])) * 1_000_000);
            sessions.any(|session| is_near(session.as_us(), begins.as_us()))
        }
        _ => true,
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Referee {
    fn breach(&mut self, text: String) {
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.push(text);
        }
    }

    pub(super) fn breaches(&self) -> &[String] {
        &self.breaches
    }

    pub(super) fn oracle(&self) -> u64 {
        self.oracle
    }

    pub(super) fn note(&mut self, breach: String) {
        self.breach(breach);
    }

    /// The first fragment was sent.
    pub(super) fn begin(&mut self) {
        self.is_begun = true;
    }

    /// An item of ours came into a queue that already holds `ours` of ours.
    pub(super) fn queued(&mut self, dev_eui: &str, ours: usize) {
        if ours > 0 {
            self.breach(format!("{dev_eui}: a second item of ours in the queue"));
        }
    }

    /// The fleet published a command at `gps_s`.
    pub(super) fn published(&mut self, dev_eui: &str, f_port: u8, payload: &[u8], is_v2: bool, gps_s: u64) {
        // Behind the question for it version 1 may be guessed.
        let is_told = self.devices.get(dev_eui).is_some_and(|known| known.version_told);
        let is_asked = (f_port, payload.first()) == (FRAG_PORT, Some(&0x00));
        let Some(commands) = commands(f_port, payload, is_v2 && is_told) else {
            return self.breach(format!("{dev_eui}: port {f_port} {payload:02x?} is wrong for its version"));
        };
        for (cid, fields) in commands {
            if (f_port, cid) == (FRAG_PORT, 0x01) && !self.is_begun {
                self.breach(format!("{dev_eui}: asked what it holds before the first fragment"));
            }
            let asked = match (f_port, cid) {
                (FRAG_PORT, 0x00) => Asked::FragVersion,
                (GROUP_PORT, 0x02) => Asked::Group,
                (FRAG_PORT, 0x02) => Asked::FragSession,
                (CLOCK_PORT, 0x03) => Asked::Clock,
                (CLOCK_PORT, 0x01) => Asked::SetClock,
                (GROUP_PORT, 0x04) => Asked::Session,
                _ => continue,
            };
            let known = self.devices.entry(dev_eui.to_owned()).or_default();
            if let Some(mc_fcounts) = fields.get(21..29).filter(|_| asked == Asked::Group)
                && known.mc_fcounts != mc_fcounts
            {
                known.mc_fcounts = mc_fcounts.to_vec();
                known.answered.remove(&asked);
                known.fresh.remove(&asked);
            }
            let mut wrong = Vec::new();
            let is_stale = asked == Asked::Session && known.was_told_long_ago(gps_s);
            let is_answered = known.answered.contains(&asked) && !is_stale;
            if asked != Asked::Session && is_answered {
                wrong.push("asked again although answered");
            }
            // A canary has a session of its own before the campaign's.
            let start = fields.get(1..5).filter(|_| asked == Asked::Session).map(number);
            if let Some((told, end)) = known.session.filter(|_| is_answered && start.is_some()) {
                match start == Some(told) {
                    true => wrong.push("asked again although answered"),
                    false if gps_s < end => wrong.push("another session is told before the last one is over"),
                    false => {}
                }
            }
            if asked == Asked::FragSession {
                if !known.version_told && !is_asked {
                    wrong.push("the version was not asked before");
                }
                if is_v2 && is_told {
                    let session_cnt = number(&fields[10..12]) as u16;
                    if known.session_cnt.is_some_and(|last| session_cnt < last) {
                        wrong.push("SessionCnt went back");
                    }
                    known.session_cnt = Some(session_cnt);
                }
            }
            if asked == Asked::Group && number(&fields[21..25]) >= number(&fields[25..29]) {
                wrong.push("minMcFCount is not below maxMcFCount");
            }
            for what in wrong {
                self.breach(format!("{dev_eui}: {asked:?}: {what}"));
            }
        }
    }

    /// A command of ours reaches its device at `gps_s`.
    pub(super) fn delivered(&mut self, dev_eui: &str, f_port: u8, payload: &[u8], gps_s: u64) {
        let is_in = |(start, end): (u64, u64)| (start..end).contains(&gps_s);
        let is_session = (f_port, payload.first()) == (GROUP_PORT, Some(&0x04));
        let is_frag = f_port == FRAG_PORT && matches!(payload, [0x02, ..] | [0x00, 0x02, ..]);
        if is_frag && self.is_begun {
            self.breach(format!("{dev_eui}: FragSessionSetupReq after the first fragment"));
        }
        let known = self.devices.entry(dev_eui.to_owned()).or_default();
        if is_session && known.session.is_some_and(is_in) {
            self.breach(format!("{dev_eui}: McClassCSessionReq inside a session"));
        } else if is_session && payload.len() == 11 {
            let start = number(&payload[2..6]);
            if known.session.is_some_and(|(told, _)| told != start) {
                known.answered.remove(&Asked::Session);
                known.fresh.remove(&Asked::Session);
            }
            known.session = Some((start, start + (1 << payload[6].min(15))));
        }
    }

    /// What of an uplink is a good answer. `is_clock_right`: the device's clock is, within the guard.
    pub(super) fn good(f_port: u8, data: &[u8], is_clock_right: bool) -> Vec<Asked> {
        let mut good = Vec::new();
        match (f_port, data) {
            (FRAG_PORT, [0x00, _, _, 0x02, status]) if status & 0x1f == 0 => {
                good.extend([Asked::FragVersion, Asked::FragSession]);
            }
            (FRAG_PORT, [0x00, ..]) => good.push(Asked::FragVersion),
            (FRAG_PORT, [0x02, status]) if status & 0x1f == 0 => good.push(Asked::FragSession),
            (GROUP_PORT, [0x02, status] | [0x00, _, _, 0x02, status]) if status & 0x04 == 0 => {
                good.push(Asked::Group);
            }
            (GROUP_PORT, [0x04, status, a, b, c])
                if status & 0xfc == 0 && [*a, *b, *c] != [0xff; 3] && is_clock_right =>
            {
                good.push(Asked::Session);
            }
            (GROUP_PORT, [0x04, ..]) => good.push(Asked::Doubt),
            (CLOCK_PORT, [0x01, ..] | [0x00, _, _, 0x01, ..]) if is_clock_right => good.push(Asked::Clock),
            _ => {}
        }
        good
    }

    /// A command was delivered and its answer reached the server: an oracle needs the first of each.
    pub(super) fn reached_server(
        &mut self,
        dev_eui: &str,
        f_port: u8,
        data: &[u8],
        is_clock_right: bool,
        gps_s: u64,
    ) {
        let known = self.devices.entry(dev_eui.to_owned()).or_default();
        let asked = Referee::good(f_port, data, is_clock_right);
        if asked.contains(&Asked::Session) {
            let is_other = known.told.zip(known.session).is_some_and(|((told, _), (start, _))| told != start);
            if is_other || known.was_told_long_ago(gps_s) {
                known.first.remove(&Asked::Session);
            }
            known.told = known.session.map(|(start_s, _)| (start_s, gps_s));
        }
        // A clock that is wrong costs a check, and a refusal one command, to an oracle, too.
        let is_setup = matches!((f_port, data.first()), (200, _) | (201, Some(0x02)) | (202, _));
        let is_bad = is_setup && asked.iter().all(|asked| *asked == Asked::Doubt);
        let is_new = |asked: &Asked| *asked != Asked::Doubt && known.first.insert(*asked);
        // What one downlink asks counts once.
        self.oracle += u64::from(is_bad) + u64::from(asked.into_iter().filter(is_new).count() > 0);
    }

    /// AppTimeAns was delivered: an oracle sends it, too.
    pub(super) fn clock_set(&mut self, dev_eui: &str) {
        self.oracle += 1;
        self.devices.entry(dev_eui.to_owned()).or_default().first.remove(&Asked::Session);
    }

    /// The uplink with these good answers came to the gateway.
    pub(super) fn told(&mut self, dev_eui: &str, good: Vec<Asked>) {
        let known = self.devices.entry(dev_eui.to_owned()).or_default();
        known.version_told |= good.contains(&Asked::FragVersion);
        if good.contains(&Asked::Doubt) {
            known.answered.remove(&Asked::Clock);
            known.fresh.remove(&Asked::Clock);
        }
        known.fresh.extend(good);
    }

    /// What came until now, as it is when a record is given to the disk.
    pub(super) fn fresh(&self) -> Vec<(String, BTreeSet<Asked>)> {
        let has_fresh = self.devices.iter().filter(|(_, known)| !known.fresh.is_empty());
        has_fresh.map(|(dev_eui, known)| (dev_eui.clone(), known.fresh.clone())).collect()
    }

    /// That is on disk.
    pub(super) fn kept(&mut self, fresh: Vec<(String, BTreeSet<Asked>)>) {
        for (dev_eui, asked) in fresh {
            let known = self.devices.entry(dev_eui).or_default();
            known.fresh.retain(|fresh| !asked.contains(fresh));
            known.answered.extend(asked);
        }
    }

    /// The process died: what was not on disk is not known to it.
    pub(super) fn died(&mut self) {
        self.devices.values_mut().for_each(|known| known.fresh.clear());
    }

    /// The gateway was told that the device joined.
    pub(super) fn joined(&mut self, dev_eui: &str) {
        let known = self.devices.entry(dev_eui.to_owned()).or_default();
        known.answered.retain(|asked| *asked == Asked::FragVersion);
        known.fresh.retain(|asked| *asked == Asked::FragVersion);
    }

    /// The device restarted and forgot everything.
    pub(super) fn restarted(&mut self, dev_eui: &str) {
        let known = self.devices.entry(dev_eui.to_owned()).or_default();
        known.session = None;
        known.first.retain(|asked| *asked == Asked::FragVersion);
    }

    /// The device's session may be told again: it was told too long before its start, or moved.
    pub(super) fn tell_again(&mut self) {
        self.devices.values_mut().for_each(|known| {
            known.answered.remove(&Asked::Session);
        });
    }
}
