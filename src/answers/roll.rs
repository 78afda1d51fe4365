//! Every device of a campaign and what it answered.

use super::bytes;
use super::crc32::REPORT_CID;
use super::habit::Habit;
use super::holding::Failure;
use super::holding::Holding;
use super::holding::Holdings;
use super::lost::CampaignLoss;
use super::lost::of_group;
use super::member::Member;
use super::reading::Counts;
use super::reading::Says;
use super::reading::Unbelievable;
use super::reading::read;
use super::session::Sent;
use super::session::Session;
use super::session::Whom;
use crate::lorawan::Eui64;
use crate::lorawan::ts004::Answer;
use crate::lorawan::ts004::FragSessionStatusAns;
use crate::odds::coded_to_complete;
use core::fmt;
use std::collections::BTreeMap;

/// A device is to be complete after the fragments sent for it with this probability; the others follow in the next round.
const CONFIDENCE: f64 = 0.7;
/// Where more than this part of the answers that can be heard were heard, others were lost among them.
const CROWDED: usize = 2;
/// Where all answers come in this part of the time for them, they are not spread over it: all devices answered at once, and
/// of most nothing was heard.
const AT_ONCE: u64 = 8;
/// Fewer answers than this come so early by chance, where answers were spread before.
const ENOUGH: usize = 3;
/// So many questions go by in which others may have been drowned: then silence counts again.
const DROWNED_QUESTIONS: u8 = 6;
/// A counter so far below the newest begins anew: the device was reset without a join.
const RESET_DISTANCE: u32 = 1024;

/// Why an answer was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disbelief {
    /// The device is none of the group's.
    Stranger,
    /// It was not told of this session.
    NotTold,
    /// Nobody asked it yet.
    NotAsked,
    /// The uplink came before, or behind a newer one.
    Old,
    /// The answer is about another session.
    OtherSession,
    /// It speaks of more fragments than were sent.
    MoreThanSent,
    /// Its numbers contradict each other.
    Contradiction,
    /// This stack has no such answer in this version.
    NoSuchAnswer,
}

/// One line for people.
impl fmt::Display for Disbelief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disbelief::Stranger => "the device is none of the group's",
            Disbelief::NotTold => "the device was not told of this session",
            Disbelief::NotAsked => "nobody asked the device",
            Disbelief::Old => "the uplink came before, or behind a newer one",
            Disbelief::OtherSession => "it is about another session",
            Disbelief::MoreThanSent => "it speaks of more fragments than were sent",
            Disbelief::Contradiction => "its numbers contradict each other",
            Disbelief::NoSuchAnswer => {
                "this stack has no such answer: compare `device-profile` and `ts004-version`"
            }
        })
    }
}

impl From<Unbelievable> for Disbelief {
    fn from(why: Unbelievable) -> Self {
        match why {
            Unbelievable::OtherSession => Disbelief::OtherSession,
            Unbelievable::MoreThanSent => Disbelief::MoreThanSent,
            Unbelievable::Contradiction => Disbelief::Contradiction,
            Unbelievable::NoSuchAnswer => Disbelief::NoSuchAnswer,
        }
    }
}

/// The devices of one campaign, what was sent to them and what they answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Roll {
    session: Session,
    members: BTreeMap<Eui64, Member>,
    sent: Sent,
    /// What was sent when the newest question was put; `None` before the first.
    asked: Option<Sent>,
    /// Who is to answer the newest question, while its answers come in.
    open: Option<Whom>,
    /// How long after the newest question the last of its answers came, microseconds.
    latest_us: Option<u64>,
    /// Answers were seen to be spread over their time; not kept on disk.
    are_spread: bool,
    /// Questions that were put while they were not; not kept on disk.
    drowned: u8,
}

impl Roll {
    /// The devices of a group before the first fragment; none is told yet.
    pub fn new(session: Session, devices: impl IntoIterator<Item = Eui64>) -> Roll {
        let members = devices.into_iter().map(|dev_eui| (dev_eui, Member::default())).collect();
        Roll {
            session,
            members,
            sent: Sent::default(),
            asked: None,
            open: None,
            latest_us: None,
            are_spread: false,
            drowned: 0,
        }
    }

    /// The session that is asked about.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What was sent until now.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Whether anything was sent.
    pub fn has_begun(&self) -> bool {
        self.sent.frames > 0
    }

    /// The device confirmed that it has the fragmentation session.
    pub fn tell(&mut self, dev_eui: Eui64) {
        if let Some(member) = self.members.get_mut(&dev_eui) {
            member.is_told = true;
        }
    }

    /// The device joined again after the first fragment: what its stack kept in RAM is gone.
    pub fn lose(&mut self, dev_eui: Eui64) {
        if let Some(member) = self.members.get_mut(&dev_eui) {
            (member.is_lost, member.f_cnt) = (self.sent.frames > 0, None);
        }
    }

    /// So much was sent by now.
    pub fn set_sent(&mut self, sent: Sent) {
        self.sent = sent;
    }

    /// A question was put.
    pub fn ask(&mut self, whom: Whom) {
        self.close();
        (self.asked, self.open) = (Some(self.sent), Some(whom));
        self.members.values_mut().for_each(|member| member.has_answered = false);
    }

    /// An answer came so long after the end of the newest question, microseconds.
    pub fn came(&mut self, after_us: u64) {
        self.latest_us = self.latest_us.max(Some(after_us));
    }

    /// The time for answers to the newest question is over. The silence of those who need not answer it says nothing, and
    /// nobody's does where so many answered, or all at once, that others were drowned.
    pub fn close(&mut self) {
        let Some(whom) = self.open.take() else { return };
        let window = self.session.window;
        let heard = self.members.values().filter(|member| member.has_answered).count();
        let latest_us = self.latest_us.take();
        let are_late = latest_us.is_none_or(|latest_us| latest_us >= window.us() / AT_ONCE);
        if heard > 0 && (are_late || heard >= ENOUGH) {
            self.are_spread = are_late;
        }
        if self.may_drown() {
            self.drowned += 1;
            return;
        }
        let are_few_heard = whom == Whom::Missing || !self.hears_all();
        if are_few_heard && heard > window.answers as usize / CROWDED {
            return;
        }
        let are_all_asked = whom == Whom::All || !self.hears_all();
        let is_quiet = |member: &&mut Member| member.is_open() && !member.is_away && !member.has_answered;
        for member in self.members.values_mut().filter(is_quiet) {
            if are_all_asked || matches!(member.holding(), Holding::Missing(_)) {
                member.unanswered = member.unanswered.saturating_add(1);
            }
        }
    }

    /// Whether answers may drown each other because all come at once: none were seen to be spread, in few questions yet, and
    /// there is more than one device that may give one.
    pub fn may_drown(&self) -> bool {
        let is_likely = !self.are_spread && self.drowned < DROWNED_QUESTIONS;
        is_likely && self.members.values().filter(|member| member.is_awaited()).nth(1).is_some()
    }

    /// Each device whose result is open may be asked alone from now on, and answers about what was sent until now.
    pub fn ask_each(&mut self) {
        self.close();
        self.asked = Some(self.sent);
    }

    /// A session runs that only some were told: nothing is asked of the others, and what those say is not final.
    pub fn open_session(&mut self, is_told: impl Fn(Eui64) -> bool) {
        for (dev_eui, member) in &mut self.members {
            (member.is_away, member.is_final) = (!is_told(*dev_eui), false);
        }
    }

    /// No session runs from now on.
    pub fn close_session(&mut self) {
        self.members.values_mut().for_each(|member| member.is_away = false);
    }

    /// The devices that are known to miss something, no more than `max_behind`, and are worth sending more for.
    pub fn behind_ones(&self, max_behind: Option<u16>) -> impl Iterator<Item = Eui64> {
        self.behind(max_behind).map(|(dev_eui, _, _)| dev_eui)
    }

    /// The devices that may miss something, whatever they said.
    pub fn open_ones(&self) -> impl Iterator<Item = Eui64> {
        self.members.iter().filter(|(_, member)| member.is_open()).map(|(dev_eui, _)| *dev_eui)
    }

    /// The device answered a question to it alone: what it says now is final.
    pub fn confirm(&mut self, dev_eui: Eui64) {
        if let Some(member) = self.members.get_mut(&dev_eui) {
            member.is_final = true;
        }
    }

    /// Whether the result of a device is open: it was not heard, or missed something before it was asked alone.
    pub fn is_open(&self, dev_eui: Eui64) -> bool {
        self.members.get(&dev_eui).is_some_and(|member| match member.holding() {
            Holding::Unheard => true,
            Holding::Missing(_) => !member.is_final,
            _ => false,
        })
    }

    /// Whether the result of some device is open.
    pub fn is_anybody_open(&self) -> bool {
        self.members.values().any(Member::is_open)
    }

    /// Whether somebody who is worth waiting for may still answer the newest question.
    pub fn is_answer_due(&self) -> bool {
        self.members.values().any(|member| member.is_awaited() && !member.has_answered)
    }

    /// Whether the answers of all who were told are heard in one window: else only those who miss something are asked.
    pub fn hears_all(&self) -> bool {
        let told = self.members.values().filter(|member| member.is_told).count();
        told <= self.session.window.answers as usize
    }

    /// Takes in the uplink `f_cnt` of a device with TS004's commands in `payload`.
    ///
    /// # Errors
    /// Why the first of its answers that was not believed was not.
    pub fn hear(&mut self, dev_eui: Eui64, f_cnt: u32, payload: &[u8]) -> Result<(), Disbelief> {
        let (session, sent) = (self.session, self.sent);
        let member = self.members.get_mut(&dev_eui).ok_or(Disbelief::Stranger)?;
        if member.f_cnt.is_some_and(|newest| f_cnt <= newest && newest - f_cnt < RESET_DISTANCE) {
            return Err(Disbelief::Old);
        }
        member.f_cnt = Some(f_cnt);
        if let [REPORT_CID, crc @ ..] = payload {
            return reported(member, &session, sent, crc);
        }
        let mut outcome = Ok(());
        for answer in Answer::parse(payload, session.version).0 {
            let heard = match answer {
                Answer::FragSessionStatus(status) => status_of(member, &session, self.asked, sent, &status),
                Answer::FragDataBlockReceived { frag_index, mic_error } => {
                    checked(member, &session, sent, frag_index, mic_error)
                }
                _ => Ok(()),
            };
            outcome = outcome.and(heard);
        }
        outcome
    }

    /// What the device holds; `None` for a stranger.
    pub fn holding(&self, dev_eui: Eui64) -> Option<Holding> {
        self.members.get(&dev_eui).map(Member::holding)
    }

    /// Every device and what it holds, by ascending DevEUI.
    pub fn each(&self) -> impl Iterator<Item = (Eui64, Holding)> {
        self.members.iter().map(|(dev_eui, member)| (*dev_eui, member.holding()))
    }

    /// How many hold what.
    pub fn holdings(&self) -> Holdings {
        self.members.values().map(Member::holding).collect()
    }

    /// Coded fragments that are still to be sent for the worst of the devices that miss no more than `max_behind`, by
    /// their newest answers; 0 when none is known to need any.
    pub fn demand(&self, max_behind: Option<u16>) -> u16 {
        let need = |(_, missing, member): (Eui64, u16, &Member)| {
            let loss = f64::from(member.loss_ppm(&self.session)) / 1e6;
            // What was sent after its answer did the same work.
            let since = member.said.map_or(0, |said| self.sent.frames.saturating_sub(said.asked.frames));
            coded_to_complete(missing, loss, CONFIDENCE).saturating_sub(since.min(u32::from(u16::MAX)) as u16)
        };
        match self.behind(max_behind).map(need).max().unwrap_or(0) {
            0 => 0,
            // A hundredth more costs less than another question.
            worst => worst.saturating_add((self.sent.frames / 100) as u16),
        }
    }

    /// Whether a device that answered the newest question misses something, and no more than `max_behind`.
    pub fn is_anybody_behind(&self, max_behind: Option<u16>) -> bool {
        self.behind(max_behind).any(|(_, _, member)| member.unanswered == 0)
    }

    /// Whether there is a device that is worth another question: it was told, may still complete, misses no more than
    /// `max_behind`, and left fewer than three questions unanswered.
    pub fn is_anybody_awaited(&self, max_behind: Option<u16>) -> bool {
        let unheard = |member: &Member| member.holding() == Holding::Unheard && member.is_awaited();
        self.behind(max_behind).next().is_some() || self.members.values().any(unheard)
    }

    /// Whether a device may miss something and has left too many questions unanswered for another.
    pub fn is_anybody_silent(&self) -> bool {
        self.members.values().any(|member| member.is_open() && !member.is_away && !member.is_awaited())
    }

    /// The devices that are known to miss something and are worth a question, with what they miss.
    fn behind(&self, max_behind: Option<u16>) -> impl Iterator<Item = (Eui64, u16, &Member)> {
        let members = self.members.iter().filter(|(_, member)| member.is_awaited());
        members.filter_map(move |(dev_eui, member)| match member.holding() {
            Holding::Missing(missing) if max_behind.is_none_or(|most| missing <= most) => {
                Some((*dev_eui, missing, member))
            }
            _ => None,
        })
    }

    /// What its devices tell of the frames that they lost; `None` where half of those that were told say nothing.
    pub fn loss(&self) -> Option<CampaignLoss> {
        let told = self.members.values().filter(|member| member.is_told && !member.is_lost).count();
        of_group(told, self.members.values().filter_map(|member| member.lost(&self.session, self.sent)))
    }

    /// Its bytes on disk, in parts of up to 200 devices; the session is not among them.
    pub fn parts(&self) -> impl Iterator<Item = Vec<u8>> {
        let parts = self.members.len().div_ceil(bytes::DEVICES).max(1);
        (0..parts).map(|part| {
            let members = self.members.iter().skip(part * bytes::DEVICES).take(bytes::DEVICES);
            bytes::write(self.sent, self.asked, members)
        })
    }

    /// The devices of one of [`Roll::parts`] and what they hold.
    pub fn of_part(bytes: &[u8]) -> Vec<(Eui64, Holding)> {
        let members = bytes::read(bytes).map(|(_, _, members)| members).unwrap_or_default();
        members.into_iter().map(|(dev_eui, member)| (dev_eui, member.holding())).collect()
    }

    /// Takes over one of [`Roll::parts`], for the devices that are still of the group.
    pub fn restore(&mut self, bytes: &[u8]) {
        if let Some((sent, asked, members)) = bytes::read(bytes) {
            (self.sent, self.asked) = (sent, asked);
            for (dev_eui, known) in members {
                if let Some(member) = self.members.get_mut(&dev_eui) {
                    *member = known;
                }
            }
        }
    }
}

fn status_of(
    member: &mut Member,
    session: &Session,
    asked: Option<Sent>,
    sent: Sent,
    status: &FragSessionStatusAns,
) -> Result<(), Disbelief> {
    let asked = asked.ok_or(Disbelief::NotAsked)?;
    if !member.is_told {
        return Err(Disbelief::NotTold);
    }
    let counts = status.counts.map_or(Counts::default(), |counts| Counts {
        received: counts.nb_frag_received,
        missing: counts.missing_frag,
    });
    let says = read(session, asked, sent, status, member.stands_still(counts, asked))?;
    let has_memory = !matches!(says, Says::NoSession);
    // Who counts was not restarted, or was set up again.
    member.is_lost &= !has_memory;
    member.say(session, says, counts, asked);
    Ok(())
}

/// FragDataBlockReceivedReq (TS004-2.0.0 3.5), which comes unasked.
fn checked(
    member: &mut Member,
    session: &Session,
    sent: Sent,
    frag_index: u8,
    mic_error: bool,
) -> Result<(), Disbelief> {
    may_be_whole(member, session, sent)?;
    if frag_index != session.frag_index {
        return Err(Disbelief::OtherSession);
    }
    member.check(mic_error.then_some(Failure::Mic));
    Ok(())
}

/// The CRC of LoRaMac-node's demonstration application, which comes unasked.
fn reported(member: &mut Member, session: &Session, sent: Sent, crc: &[u8]) -> Result<(), Disbelief> {
    let (Habit::LoRaMacNode, Some(crc32), Ok(crc)) = (session.habit, session.crc32, crc.try_into()) else {
        return Err(Disbelief::NoSuchAnswer);
    };
    may_be_whole(member, session, sent)?;
    member.check((u32::from_le_bytes(crc) != crc32).then_some(Failure::Crc));
    Ok(())
}

/// Whether a device can have the image by now.
fn may_be_whole(member: &Member, session: &Session, sent: Sent) -> Result<(), Disbelief> {
    match () {
        () if !member.is_told => Err(Disbelief::NotTold),
        () if sent.last_n < session.nb_frag => Err(Disbelief::MoreThanSent),
        () => Ok(()),
    }
}
