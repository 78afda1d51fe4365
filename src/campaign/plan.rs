//! Everything that is settled before the first frame.

use super::bursts::Bursts;
use super::frag_size::frag_size;
use super::frag_size::too_many;
use super::frag_size::too_many_error;
use super::group::Group;
use super::group::REPEAT_DISTANCE_US;
use super::group::SessionRule;
use super::listening::Burst;
use super::listening::Frames;
use super::numbers::Numbers;
use super::numbers::narrow;
use super::plan_error::LAST_FCNT;
use super::plan_error::PlanError;
use super::sequence::Sequence;
use super::session::MAX_EXPONENT;
use super::session::Session;
use crate::forwarder::timing::GAP_US;
use crate::fragment::DataFragment;
use crate::fragment::Layout;
use crate::fragment::Ts004Version;
use crate::image::Image;
use crate::lorawan::FRAME_OVERHEAD;
use crate::lorawan::KeyFingerprint;
use crate::lorawan::McAddr;
use crate::radio::downlink_airtime_us;
use crate::radio::forwarder_airtime_us;
use crate::region::Channel;
use crate::region::Parameters;
use crate::region::RfRegion;
use crate::report::Decoded;
use crate::report::Lean;
use crate::report::Planned;
use crate::schedule::Pace;
use crate::schedule::PaceLimit;
use crate::schedule::Scheduler;
use crate::schedule::TxPolicy;
use crate::schedule::TxRequest;
use crate::task::Start;
use crate::task::Task;
use crate::task::redundancy_fragments;
use crate::time::GpsTime;
use crate::time::Instant;
use core::ops::Range;
use sha2::Digest as _;
use sha2::Sha256;

/// Version of everything that decides the bytes of a frame. It goes into the plan's hash: after a change of
/// the encoder or the sequence an old campaign is not resumed but planned anew with fresh counters.
pub const ENCODER_VERSION: u32 = 1;
/// Counters for questions to canaries, where a campaign has any. A number on disk: the counters that a journal holds for a
/// campaign begin so many below its first frame.
pub const CANARY_FCNTS: u32 = 64;
/// Questions that the last session has time for, and one fragment in so many that is asked for beyond the ordered ones: the
/// first that make it no longer than the last. That one serves where a further session may follow, else the one before.
const QUESTIONS: [(u64, Option<u32>); 3] = [(8, Some(10)), (5, Some(10)), (1, None)];
/// A mark covers at least this many frames.
const MARK_FRAMES: u32 = 32;
/// Marks are never closer than this, microseconds: a mark covers what is sent in that time.
const MARK_US: u64 = 10_000_000;

/// A campaign's fixed part: a pure function of task, group, image and first counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The name of the group.
    pub group: String,
    /// The multicast address of the group.
    pub mc_addr: McAddr,
    /// Whose counters are used.
    pub key: KeyFingerprint,
    /// The layout: NbFrag, FragSize and Padding.
    pub layout: Layout,
    /// Four bytes for the devices, from the task's Descriptor.
    pub descriptor: [u8; 4],
    /// The version of TS004 whose parity lines the devices compute.
    pub ts004_version: Ts004Version,
    /// The FPort of DataFragment.
    pub fport: u8,
    /// Number of the last coded fragment that the task asks for, or that comes before the first question.
    pub coded: u16,
    /// What comes before the first question where the group is sent to leanly.
    pub lean: Option<Lean>,
    /// Coded fragments kept to make up for frames that were lost on the way to the air, and for what devices ask for.
    pub top_up: u16,
    /// How often the last uncoded fragment is repeated.
    pub repeats: u8,
    /// Counters right below that of frame 0, for questions to canaries.
    pub canary_fcnts: u32,
    /// FCnt of frame 0.
    pub base: u32,
    /// Number of the first frame that is sent: those before it are an earlier campaign's.
    pub from: u32,
    /// One past the last reserved FCnt.
    pub end: u32,
    /// Where it is sent.
    pub channel: Channel,
    /// Exact airtime of one frame, microseconds.
    pub airtime_us: u64,
    /// Airtime as the forwarder's queue counts it, microseconds.
    pub queue_slot_us: u64,
    /// Start-to-start distance that law, manners and forwarder ask of everything in the sub-band, microseconds.
    pub min_spacing_us: u64,
    /// Start-to-start distance after an uncoded frame.
    pub pace_uncoded: Pace,
    /// Start-to-start distance after a coded frame.
    pub pace_coded: Pace,
    /// Its sessions, where the devices listen in sessions, with starts after that of the first.
    pub bursts: Vec<Burst>,
    /// What of its last session is kept for questions to its devices and their answers, microseconds: the same time serves
    /// an outage. 0 where they always listen, nobody hears their answers, or the length of the session is ordered.
    pub questions_us: u64,
    /// How long its bursts take together on an empty radio, microseconds, where they are known.
    sending_us: Option<u64>,
    /// For how much of a train and its hole slow uplinks are to be heard, microseconds; see [`Scheduler::open_us`].
    open_us: u64,
    /// What a burst may wait beyond these, microseconds; see [`Scheduler::waits_us`].
    pub waits_us: u64,
    /// What the image costs the battery of the device that pays most, microampere hours.
    pub image_uah: u64,
    /// Legal but unwise things.
    pub warnings: Vec<String>,
    /// What the counters are reserved for.
    pub hash: [u8; 32],
}

impl Plan {
    /// Settles everything for `task` on `group`, with `base` the first counter that the group has left.
    ///
    /// # Errors
    /// The first thing that cannot be done, with its number and the way out. Nothing is clamped silently.
    pub fn new(
        task: &Task,
        group: &Group,
        image: &Image,
        region: &Parameters,
        scheduler: &Scheduler,
        base: u32,
    ) -> Result<Plan, PlanError> {
        check_region(task, region)?;
        let channel = region.check_under(&group.terms, group.frequency_hz, group.data_rate, group.eirp)?;
        let payload = region.max_payload(&channel, group.terms.downlink_dwell)?;
        let frag_size = frag_size(task, group, region, &channel, payload)?;
        let layout = Layout::new(image.len(), frag_size)
            .map_err(|error| too_many(error, frag_size, task, group, image, payload))?;
        let nb_frag = layout.nb_frag();
        let ordered = redundancy_fragments(nb_frag, task.redundancy_percent);
        check_coded_only(task, ordered)?;
        let Numbers { coded, top_up, canary_fcnts, base, from, end } =
            Numbers::new(group, (nb_frag, ordered), task.coded_from, base).map_err(|error| {
                error.unwrap_or_else(|| too_many_error(frag_size, task, group, image, payload))
            })?;
        let lean = group.answer_window.and_then(|_| group.redundancy.lean(nb_frag, coded));
        // What is not sent before the first question may be after it: the numbers are kept.
        let spared = lean.map_or(0, |lean| lean.spared());
        let phy_len = frag_size + DataFragment::HEADER_LEN + FRAME_OVERHEAD;
        let airtime_us = downlink_airtime_us(channel.modulation, phy_len);
        let lawful = scheduler.pace(channel, airtime_us, GAP_US, group.policy)?;
        let ordered_us = task.fragment_interval.as_ref().map_or(0, |interval| interval.spacing_us);
        let pace = |gap_us: u64| {
            lawful.max(airtime_us + gap_us, PaceLimit::DeviceGap).max(ordered_us, PaceLimit::Interval)
        };
        let mut plan = Plan {
            group: group.name.clone(),
            mc_addr: group.mc_addr,
            key: group.keys.fingerprint(),
            layout,
            descriptor: task.frag_descriptor().unwrap_or_default(),
            ts004_version: group.ts004_version,
            fport: group.fport,
            coded: coded - spared,
            lean,
            top_up: top_up + spared,
            repeats: group.profile.repeats,
            canary_fcnts,
            base,
            from,
            end,
            channel,
            airtime_us,
            queue_slot_us: forwarder_airtime_us(channel.modulation, phy_len),
            min_spacing_us: lawful.spacing_us,
            pace_uncoded: pace(group.profile.gap_uncoded_us),
            pace_coded: pace(group.profile.gap_coded_us),
            bursts: Vec::new(),
            questions_us: 0,
            sending_us: None,
            open_us: 0,
            waits_us: 0,
            image_uah: 0,
            warnings: Vec::new(),
            hash: [0; 32],
        };
        let (spacing_us, frames) = (plan.pace_uncoded.spacing_us, u64::from(plan.frames()));
        plan.open_us = scheduler.open_us(channel, airtime_us, spacing_us, frames, group.policy);
        plan.waits_us = scheduler.waits_us(channel, airtime_us, spacing_us, frames, group.policy);
        if let SessionRule::Windows { exponent, start } = group.session {
            let exponent = task.session_timeout_exponent.or(exponent);
            let start = if let Some(Start::At(start)) = task.start { Some(start) } else { start };
            let within_us =
                task.finish_by.zip(start.map(whole_second)).map(|(end, start)| end.us_since(start));
            plan.listen(&scheduler.empty(), group, exponent, within_us);
        }
        plan.weigh(group, image.len());
        plan.warnings = plan.unwise_things(group);
        plan.hash = plan.hash(image);
        Ok(plan)
    }

    /// The order of frames.
    pub fn sequence(&self) -> Sequence {
        Sequence::new(self.layout.nb_frag())
    }

    /// FCnt of the first frame that is sent.
    pub fn first_fcnt(&self) -> u32 {
        self.base + self.from
    }

    /// The counters for questions to canaries.
    pub fn canary_fcnts(&self) -> Range<u32> {
        self.first_fcnt() - self.canary_fcnts..self.first_fcnt()
    }

    /// Frames that the task asks for, before the first question: uncoded, repeats and coded.
    pub fn frames(&self) -> u32 {
        self.uncoded() + u32::from(self.ordered_coded())
    }

    /// Uncoded frames and repeats that the task asks for.
    fn uncoded(&self) -> u32 {
        if self.from > 0 { 0 } else { u32::from(self.layout.nb_frag()) + u32::from(self.repeats) }
    }

    /// Coded fragments that the task asks for, before the first question.
    pub fn ordered_coded(&self) -> u16 {
        self.coded - self.coded_before()
    }

    /// Coded fragments with lower numbers than those that it sends.
    fn coded_before(&self) -> u16 {
        if self.from > 0 { narrow(self.sequence().coded_from(self.from) - 1) } else { 0 }
    }

    /// Coded fragments that the task orders and that are not sent before the first question.
    pub fn spared(&self) -> u16 {
        self.lean.map_or(0, |lean| lean.spared())
    }

    /// Frames that one mark covers: a former run may have sent so many beyond its last one.
    pub fn frames_of_a_mark(&self) -> u32 {
        frames_of_a_mark(self.pace_uncoded.spacing_us.min(self.pace_coded.spacing_us))
    }

    /// An upper bound of the time from the first frame's start to the last one's end, microseconds.
    pub fn duration_us(&self) -> u64 {
        if let Some(sending_us) = self.sending_us {
            return sending_us;
        }
        let uncoded = u64::from(self.uncoded());
        let repeats_us = if uncoded > 0 && self.repeats > 0 { REPEAT_DISTANCE_US } else { 0 };
        uncoded * self.pace_uncoded.spacing_us
            + u64::from(self.ordered_coded()) * self.pace_coded.spacing_us
            + repeats_us
            + self.waits_us
            + self.airtime_us
    }

    /// The sessions from `start` on, which is rounded up to a whole second; empty when a session holds no frame.
    pub fn sessions(&self, start: GpsTime) -> Vec<Session> {
        let start = whole_second(start);
        let session =
            |burst: &Burst| Session { start: start.plus_us(burst.after_us), exponent: burst.exponent };
        self.bursts.iter().map(session).collect()
    }

    /// What each of its frames asks of the radio, whenever it is sent.
    pub fn request(&self, policy: TxPolicy) -> TxRequest {
        TxRequest {
            channel: self.channel,
            airtime_us: self.airtime_us,
            queue_slot_us: self.queue_slot_us,
            earliest: Instant::ZERO,
            until: None,
            need_us: 0,
            gap_us: GAP_US,
            lead_us: 0,
            open_us: self.open_us,
            policy,
        }
    }

    /// Makes its one session twice as long, for an image of `image_len` bytes; false where it has several, or the group's
    /// operator or the longest session says no.
    pub fn lengthen(&mut self, group: &Group, image_len: usize) -> bool {
        let is_chosen = matches!(group.session, SessionRule::Windows { exponent: None, .. });
        match &mut self.bursts[..] {
            [burst] if is_chosen && burst.exponent < MAX_EXPONENT => burst.exponent += 1,
            _ => return false,
        }
        self.weigh(group, image_len);
        true
    }

    /// What its sessions cost a device's battery.
    fn weigh(&mut self, group: &Group, image_len: usize) {
        let sessions_us = self.bursts.iter().map(|burst| 1_000_000 << burst.exponent).sum();
        self.image_uah = group.power.image_uah(sessions_us, image_len);
    }

    /// Chooses the sessions, on a radio that has sent nothing yet.
    fn listen(&mut self, empty: &Scheduler, group: &Group, exponent: Option<u8>, within_us: Option<u64>) {
        let uncoded = self.uncoded() as usize;
        let window = group.answer_window;
        let questions_us = |questions: u64| window.map_or(0, |window| questions * window.us());
        let frames = |(questions, each): (u64, Option<u32>)| Frames {
            uncoded,
            all: uncoded + usize::from(self.ordered_coded()),
            spacing_us: [self.pace_uncoded.spacing_us, self.pace_coded.spacing_us],
            guard_us: group.guard_us,
            pause_us: if self.repeats > 0 { REPEAT_DISTANCE_US } else { 0 },
            // On a worse day than the last ones devices ask for what is ordered.
            asked_for: window.map_or(0, |_| {
                each.map_or(0, |each| self.frames() / each).max(self.spared().into()) as usize
            }),
            questions_us: questions_us(questions),
        };
        let request = self.request(group.policy);
        let limits = (group.sessions, within_us);
        let choose = |room: (u64, Option<u32>)| {
            (room.0, Bursts::choose(empty, request, frames(room), exponent, limits))
        };
        let [many, few, one] = QUESTIONS;
        // Where a further session is told to those who miss something, nobody else pays for them.
        let least = choose(if group.sessions.further { one } else { few });
        let roomier = [many, few].into_iter().filter(|_| window.is_some()).map(choose);
        let mut as_short = roomier.filter(|(_, bursts)| bursts.costs_no_more_than(&least.1, limits));
        let (questions, chosen) = as_short.next().unwrap_or(least);
        // An ordered length is kept as it is.
        let has_room = exponent.is_none() && !chosen.bursts.is_empty();
        self.questions_us = if has_room { questions_us(questions) } else { 0 };
        self.bursts = chosen.bursts;
        self.open_us = chosen.open_us;
        self.sending_us = chosen.sending_us;
    }

    /// The plan as a report shows it.
    pub fn planned(&self, sessions: &[Session], decoded: Decoded) -> Planned {
        Planned {
            group: self.group.clone(),
            key: self.key.to_string(),
            nb_frag: self.layout.nb_frag(),
            frag_size: u8::try_from(self.layout.frag_size()).unwrap_or(u8::MAX),
            padding: self.layout.padding(),
            descriptor: self.descriptor,
            crc32: None,
            sha256: None,
            coded: self.ordered_coded(),
            lean: self.lean,
            is_coded_only: self.from > 0,
            coded_before: self.coded_before(),
            only: None,
            first_fcnt: self.first_fcnt(),
            canary_fcnts: self.canary_fcnts,
            end_fcnt: self.end,
            airtime_us: self.airtime_us,
            spacing_us: self.pace_uncoded.spacing_us,
            limited_by: self.pace_uncoded.limit.to_string(),
            sessions: sessions.iter().map(|session| (session.start, session.exponent)).collect(),
            questions_us: self.questions_us,
            image_uah: self.image_uah,
            decoded,
            warnings: self.warnings.clone(),
        }
    }

    fn unwise_things(&self, group: &Group) -> Vec<String> {
        let mut warnings = Vec::new();
        let (nb_frag, frag_size) = (self.layout.nb_frag(), self.layout.frag_size());
        if !frag_size.is_multiple_of(8) {
            warnings.push(format!(
                "fragment size {frag_size} is not a multiple of 8: some devices write flash in 8-byte words"
            ));
        }
        let sessions = self.bursts.len();
        if sessions > usize::from(group.sessions.most.unwrap_or(1))
            && let Some(first) = self.bursts.first()
        {
            warnings.push(format!("it takes {sessions} sessions of up to 2^{} s: its devices must be told each after the one before; a larger session-timeout-exponent, a faster data rate or less redundancy needs fewer", first.exponent));
        }
        if nb_frag < 20 && self.coded > 0 {
            warnings.push(format!("{nb_frag} fragments are few: below 20 the code needs many extra ones (TS004 advises against it)"));
        }
        if self.ts004_version == Ts004Version::V2 && matches!(nb_frag % 4, 0 | 1) {
            warnings.push(format!("TS004 v2 with NbFrag {nb_frag}: a device that hears no uncoded fragment can never complete; a size with NbFrag mod 4 = 2 or 3 avoids it"));
        }
        if let Some((most, size)) = group.profile.stock_caps
            && (nb_frag > most || frag_size > usize::from(size))
        {
            warnings.push(format!("stock {} decoders hold {most} fragments of {size} B, this needs {nb_frag} of {frag_size} B: devices will refuse the setup unless built with more", group.profile));
        }
        if group.profile.finishes_on_coded && self.coded < 2 {
            warnings.push(format!("{} decoders finish on a coded fragment even when nothing was lost: order redundancy for at least 2", group.profile));
        }
        if self.coded == 0 {
            warnings.push("no redundancy: a device that loses one fragment can never complete".to_owned());
        }
        if self.end > LAST_FCNT - 5000 {
            warnings.push(format!("the counters of this key end at {LAST_FCNT} and this campaign takes them to {}: make a new key soon", self.end - 1));
        }
        warnings
    }

    /// SHA-256 over everything that decides a frame's bytes.
    fn hash(&self, image: &Image) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"fuotad plan");
        hash.update(ENCODER_VERSION.to_le_bytes());
        hash.update(image.digest().as_bytes());
        hash.update(self.key.as_bytes());
        hash.update(self.mc_addr.as_u32().to_le_bytes());
        hash.update(self.base.to_le_bytes());
        hash.update(self.layout.nb_frag().to_le_bytes());
        hash.update((self.layout.frag_size() as u64).to_le_bytes());
        hash.update([self.ts004_version.number(), self.fport, self.repeats]);
        hash.update(self.coded.to_le_bytes());
        if self.from > 0 {
            hash.update(self.from.to_le_bytes());
        }
        hash.finalize().into()
    }
}

/// Frames that one mark covers at the given spacing: what is sent in ten seconds, as marks are never closer.
fn frames_of_a_mark(spacing_us: u64) -> u32 {
    u32::try_from(MARK_US.div_ceil(spacing_us.max(1))).unwrap_or(u32::MAX).max(MARK_FRAMES)
}

/// Sessions begin at whole seconds.
pub(super) fn whole_second(start: GpsTime) -> GpsTime {
    GpsTime::from_us(start.as_us().div_ceil(1_000_000) * 1_000_000)
}

/// Whether coded fragments alone can be sent to the group, where the task asks for that.
fn check_coded_only(task: &Task, ordered: u32) -> Result<(), PlanError> {
    match task.coded_from {
        None => Ok(()),
        Some(_) if ordered == 0 => Err(PlanError::NothingToSend),
        Some(_) => Ok(()),
    }
}

/// Whether the task is for the gateway's region, where it names one.
///
/// # Errors
/// [`PlanError::WrongRegion`] or [`PlanError::UnknownRegion`].
pub fn check_region(task: &Task, region: &Parameters) -> Result<(), PlanError> {
    let Some(name) = &task.rf_region else { return Ok(()) };
    match name.parse::<RfRegion>() {
        Ok(ordered) if ordered == region.region => Ok(()),
        Ok(_) => Err(PlanError::WrongRegion { task: name.clone(), gateway: region.region }),
        Err(error) => Err(PlanError::UnknownRegion(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_covers_32_frames_or_those_of_ten_seconds() {
        assert_eq!(frames_of_a_mark(17_000_000), 32);
        assert_eq!(frames_of_a_mark(143_624), 70);
    }
}
