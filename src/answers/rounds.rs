//! The loop: fragments, a question, its answers, and from them the next fragments.

use super::roll::Roll;
use super::session::Whom;
use core::fmt;

/// When a campaign stops although devices still miss fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GiveUp {
    /// After so many questions.
    pub questions: u16,
    /// After so much airtime of fragments beyond the ordered ones, microseconds; `None`: no limit.
    pub airtime_us: Option<u64>,
    /// Devices that miss more fragments than this are not waited for; `None`: all are.
    pub max_behind: Option<u16>,
    /// Devices whose result is open are asked alone for so long, microseconds.
    pub answers_us: u64,
    /// So many sessions more than planned are told to those who miss something.
    pub further_sessions: u16,
}

/// The default is two days, microseconds.
const ANSWERS_US: u64 = 172_800_000_000;
/// A device that misses something after so many further sessions hardly hears this gateway.
const FURTHER_SESSIONS: u16 = 3;

impl Default for GiveUp {
    fn default() -> Self {
        GiveUp {
            questions: 12,
            airtime_us: None,
            max_behind: None,
            answers_us: ANSWERS_US,
            further_sessions: FURTHER_SESSIONS,
        }
    }
}

impl GiveUp {
    /// The same where `fragments` of the ordered ones, each `airtime_us` long, are sent after the first question.
    pub fn with_ordered(self, fragments: u16, airtime_us: u64) -> GiveUp {
        let ordered_us = u64::from(fragments) * airtime_us;
        GiveUp { airtime_us: self.airtime_us.map(|most_us| most_us.saturating_add(ordered_us)), ..self }
    }
}

/// Why the loop is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody who answers misses anything.
    Done,
    /// The questions that were allowed are asked.
    Questions,
    /// The airtime that was allowed is used.
    Airtime,
    /// There are no more fragment numbers or frame counters.
    Fragments,
    /// The sessions that devices were told are over.
    Session,
    /// The devices cannot be asked together: each was asked alone.
    Alone,
}

impl End {
    const ALL: [End; 6] = [End::Done, End::Questions, End::Airtime, End::Fragments, End::Session, End::Alone];

    /// Its name in documents: one word.
    pub fn word(self) -> &'static str {
        match self {
            End::Done => "done",
            End::Questions => "questions",
            End::Airtime => "airtime",
            End::Fragments => "fragments",
            End::Session => "session",
            End::Alone => "alone",
        }
    }

    /// Its number on disk.
    pub fn number(self) -> u8 {
        End::ALL.iter().position(|end| *end == self).unwrap_or_default() as u8
    }

    /// The end with this number; what no release ever wrote is the first.
    pub fn from_number(number: u8) -> End {
        End::ALL.get(usize::from(number)).copied().unwrap_or(End::Done)
    }
}

/// The end of a sentence that begins with what devices hold.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Done => "nobody who answers misses anything",
            End::Questions => "the questions that `give-up` allows are asked",
            End::Airtime => "the airtime that `give-up` allows is used",
            End::Fragments => "there are no more fragment numbers or frame counters",
            End::Session => "the sessions are over",
            End::Alone => "each device was asked alone",
        })
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send so many coded fragments more, then look again.
    Send(u16),
    /// Send so many coded fragments more for those who fell silent, then look again.
    Part(u16),
    /// Put the question, and look again when its answers are in.
    Ask(Whom),
    /// Nothing more is to be done, and why.
    End(End),
}

/// How far the loop of one campaign is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// Questions that were put.
    pub questions: u16,
    /// Coded fragments that were sent beyond the ordered ones.
    pub extra: u16,
    /// The fragments that the newest answers asked for were sent, and no question was put since.
    pub is_question_due: bool,
    /// Those who fell silent got their last fragments.
    pub is_parted: bool,
}

/// Coded fragments for those who fell silent: most of them miss nothing, and the others little.
const PARTING: u16 = 16;

/// Where answers drown each other one coded fragment for so many uncoded ones is sent after each question, at least.
const IN_THE_DARK_EACH: u16 = 10;

impl Rounds {
    /// The loop as it begins, when the ordered fragments were sent: with a question.
    pub fn new() -> Rounds {
        Rounds { is_question_due: true, ..Rounds::default() }
    }

    /// What is to be done, with `room` coded fragments that may still be sent, each `airtime_us` long.
    pub fn next(&self, roll: &Roll, give_up: &GiveUp, room: u16, airtime_us: u64) -> Next {
        let max_behind = give_up.max_behind;
        // One question to all tells whether answers drown each other. If so, whoever was not heard may miss more.
        let is_in_the_dark = self.questions > 1 && roll.may_drown();
        let least = if is_in_the_dark { (roll.session().nb_frag / IN_THE_DARK_EACH).max(PARTING) } else { 0 };
        let wanted = if self.is_question_due { 0 } else { roll.demand(max_behind).max(least) };
        if wanted == 0 {
            return match roll.is_anybody_awaited(max_behind) {
                false if room > 0 && !self.is_parted && roll.is_anybody_silent() => {
                    Next::Part(PARTING.min(room))
                }
                false => Next::End(End::Done),
                true if self.questions >= give_up.questions => Next::End(End::Questions),
                true if self.questions == 1 && roll.may_drown() => Next::Ask(Whom::All),
                // While devices say what they miss, the others would only answer that they miss nothing.
                true if self.questions == 0 || !roll.hears_all() || roll.is_anybody_behind(max_behind) => {
                    Next::Ask(Whom::Missing)
                }
                true => Next::Ask(Whom::All),
            };
        }
        let used_us = u64::from(self.extra) * airtime_us;
        let left_us = give_up.airtime_us.map(|most_us| most_us.saturating_sub(used_us));
        let affordable = left_us.map_or(u64::from(room), |left_us| left_us / airtime_us.max(1));
        match u64::from(wanted.min(room)).min(affordable) as u16 {
            0 if room == 0 => Next::End(End::Fragments),
            0 => Next::End(End::Airtime),
            fragments => Next::Send(fragments),
        }
    }

    /// One more session comes. What devices miss is known from questions to each alone, unless ordered frames are left.
    pub fn begin_session(&mut self, is_cut: bool) {
        (self.is_question_due, self.is_parted) = (is_cut, false);
    }

    /// So many coded fragments were sent.
    pub fn sent(&mut self, fragments: u16) {
        self.extra = self.extra.saturating_add(fragments);
        self.is_question_due = true;
    }

    /// So many coded fragments were sent for those who fell silent.
    pub fn parted(&mut self, fragments: u16) {
        self.sent(fragments);
        self.is_parted = true;
    }

    /// A question was put and its answers are in.
    pub fn asked(&mut self) {
        self.questions = self.questions.saturating_add(1);
        self.is_question_due = false;
    }
}
