//! One fragmentation session on a device (TS004-1.0.0 3, TS004-2.0.0 3).

use crate::fragment::Decoder;
use crate::fragment::Layout;
use crate::fragment::Progress;
use crate::fragment::Ts004Version;
use crate::lorawan::RootKey;
use crate::lorawan::data_block_mic;
use crate::lorawan::ts004::FragCounts;
use crate::lorawan::ts004::FragSessionSetupReq;
use crate::lorawan::ts004::FragSessionStatusAns;
use crate::lorawan::ts004::NB_FRAG_RECEIVED_MAX;
use crate::sim::device::stack::Counts;
use crate::sim::device::stack::Rules;
use crate::time::Instant;

/// The one fragmentation session a device holds: its stacks have one decoder for all values of FragIndex.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub setup: FragSessionSetupReq,
    pub heard: u32,
    pub first_heard: Option<Instant>,
    pub last_heard: Option<Instant>,
    pub outcome: Option<Outcome>,
    decoder: Decoder,
    /// A fragment of the session came, used or not.
    is_begun: bool,
    /// The last number that came before the outcome, used or not.
    last_n: u16,
    /// The lowest number still in order; M + 1 once no uncoded fragment is.
    in_order_from: u16,
    lost_uncoded: u16,
    /// MissingFrag as LBM counts it.
    missing: u16,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Complete { at: Instant },
    WrongMic,
    OverCap { lost: u16, cap: u16 },
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Uncoded,
    Coded,
    /// The fragment was not used.
    Dropped,
    /// The session was over before.
    TooLate,
}

impl Block {
    /// A session as set up, for an image cut as `layout`.
    pub fn new(setup: FragSessionSetupReq, layout: Layout, version: Ts004Version, max_lost: u16) -> Block {
        Block {
            decoder: Decoder::new(layout, version, max_lost),
            missing: setup.nb_frag,
            setup,
            heard: 0,
            first_heard: None,
            last_heard: None,
            outcome: None,
            is_begun: false,
            last_n: 0,
            in_order_from: 0,
            lost_uncoded: 0,
        }
    }

    /// Takes fragment `n`, which came with the frame that ended at `at`.
    pub fn take(&mut self, rules: &Rules, root: &RootKey, at: Instant, n: u16, data: &[u8]) -> Taken {
        if self.outcome.is_some() {
            return Taken::TooLate;
        }
        self.is_begun = true;
        self.last_n = n;
        if rules.ascending && n < self.in_order_from {
            return Taken::Dropped;
        }
        let Ok(progress) = self.decoder.receive(n, data) else { return Taken::Dropped };
        self.heard += 1;
        self.first_heard.get_or_insert(at);
        self.last_heard = Some(at);
        self.note_gap(n);
        let is_coded = n > self.setup.nb_frag;
        match progress {
            Progress::Complete if is_coded || !rules.coded_ends_block => {
                self.outcome = Some(self.judge(root, at));
            }
            Progress::LossCapExceeded { lost, cap } => {
                self.outcome = Some(Outcome::OverCap { lost, cap });
            }
            _ => {}
        }
        if is_coded { Taken::Coded } else { Taken::Uncoded }
    }

    /// The image, only when the session is complete in every respect.
    pub fn image(&self) -> Option<&[u8]> {
        matches!(self.outcome, Some(Outcome::Complete { .. })).then(|| self.decoder.image()).flatten()
    }

    pub fn lost_uncoded(&self) -> u16 {
        self.lost_uncoded
    }

    pub fn coded_used(&self) -> u16 {
        self.decoder.coded_used()
    }

    /// Independent fragments still needed.
    pub fn missing(&self) -> u16 {
        match self.decoder.progress() {
            Progress::Incomplete { missing } => missing,
            Progress::Complete => 0,
            Progress::LossCapExceeded { lost, .. } => lost,
        }
    }

    /// FragSessionStatusAns as this stack fills it; `None` when it keeps silent because only those that
    /// miss something are asked.
    pub fn status(&self, rules: &Rules, participants: bool) -> Option<FragSessionStatusAns> {
        let (received, missing) = match rules.counts {
            Counts::LastAndLost => (u32::from(self.last_n), self.lost_uncoded),
            Counts::LastLessLost => {
                // Before the first fragment even FragIndex is left out.
                (u32::from(self.last_n.saturating_sub(self.lost_uncoded)), self.missing)
            }
            Counts::AsMeant => (self.decoder.received(), self.missing().min(255)),
        };
        if missing == 0 && !participants {
            return None;
        }
        let is_blank = rules.counts == Counts::LastLessLost && !self.is_begun;
        let over_cap = matches!(self.outcome, Some(Outcome::OverCap { .. }));
        let wrong_mic = self.outcome == Some(Outcome::WrongMic);
        Some(FragSessionStatusAns {
            memory_error: over_cap,
            // LBM computes it only when its count is 0, so never when nothing was lost.
            mic_error: wrong_mic && missing == 0,
            session_does_not_exist: false,
            counts: Some(FragCounts {
                frag_index: if is_blank { 0 } else { self.setup.frag_index },
                nb_frag_received: received.min(u32::from(NB_FRAG_RECEIVED_MAX)) as u16,
                missing_frag: if is_blank { 0 } else { missing as u8 },
            }),
        })
    }

    /// Counts the uncoded fragments that were skipped, as LoRaMac-node and LBM do.
    fn note_gap(&mut self, n: u16) {
        let m = self.setup.nb_frag;
        let seen = self.in_order_from.min(m);
        self.lost_uncoded += (n - 1).min(m).saturating_sub(seen);
        let reached = self.in_order_from.max(n - 1);
        self.in_order_from = if reached < m { reached.max(n) } else { m + 1 };
        if n > m {
            self.missing = self.decoder.lost() - self.decoder.coded_used();
        } else if n < m || self.lost_uncoded > 0 {
            self.missing = m - n + self.lost_uncoded;
        }
    }

    fn judge(&self, root: &RootKey, at: Instant) -> Outcome {
        let (Some(v2), Some(image)) = (self.setup.v2, self.decoder.image()) else {
            return Outcome::Complete { at };
        };
        let FragSessionSetupReq { frag_index, descriptor, .. } = self.setup;
        if data_block_mic(root, v2.session_cnt, frag_index, descriptor, image) == v2.mic {
            Outcome::Complete { at }
        } else {
            Outcome::WrongMic
        }
    }
}
