//! Which fragment numbers and frame counters a campaign takes.

use super::group::Group;
use super::plan_error::LAST_FCNT;
use super::plan_error::PlanError;
use super::sequence::Sequence;
use crate::fragment::MAX_FRAGMENTS;

/// The first frame counter that is ever used: some devices accept 0 for ever, and min = base - 1 must exist.
const FIRST_FCNT: u32 = 2;
/// Numbers of coded fragments for what devices ask for, and for those that are skipped on the way to questions.
const FOLLOW_UP: u32 = 512;
/// The least top-up budget in coded fragments.
const TOP_UP_MIN: u32 = 64;

/// The numbers of a campaign; its frame k has counter `base` + k.
pub(super) struct Numbers {
    /// Coded fragments, those of an earlier campaign that it goes on with among them.
    pub(super) coded: u16,
    /// Coded fragments beyond these that counters are reserved for.
    pub(super) top_up: u16,
    /// Counters below the first frame's, for questions to canaries.
    pub(super) canary_fcnts: u32,
    /// FCnt of frame 0, sent or not.
    pub(super) base: u32,
    /// The first frame that is sent.
    pub(super) from: u32,
    /// One past the last reserved FCnt.
    pub(super) end: u32,
}

impl Numbers {
    /// For `nb_frag` uncoded and `ordered` coded fragments, the first of these with number `coded_from` where an earlier
    /// campaign had those before; `free` is the first counter that the group has left.
    ///
    /// # Errors
    /// Fragment numbers or counters do not suffice. `None`: the image itself is too large.
    pub(super) fn new(
        group: &Group,
        (nb_frag, ordered): (u16, u32),
        coded_from: Option<u16>,
        free: u32,
    ) -> Result<Numbers, Option<PlanError>> {
        let before = u32::from(coded_from.map_or(0, |first| first.saturating_sub(1)));
        let coded = before + ordered;
        let room = u32::from(MAX_FRAGMENTS - nb_frag);
        if coded > room {
            let coded_from = before + 1;
            return Err((before > 0).then_some(PlanError::NoNumbersLeft { coded_from, nb_frag, ordered }));
        }
        let sequence = Sequence::new(nb_frag);
        let from = coded_from.map_or(0, |first| sequence.k_of_coded(first));
        // What goes on with an earlier campaign goes to devices whose keys that one proved.
        let canary_fcnts = if from == 0 { group.canary_fcnts } else { 0 };
        let first = free.max(FIRST_FCNT + from) + canary_fcnts;
        let len = |coded: u32| sequence.len(narrow(coded)) - from;
        let (needed, left) = (len(coded), (LAST_FCNT + 1).saturating_sub(first));
        if needed > left {
            return Err(Some(PlanError::OutOfCounters { needed, first }));
        }
        let asked_for = if group.answer_window.is_some() { FOLLOW_UP } else { 0 };
        let wanted = ((u32::from(nb_frag) + ordered).max(TOP_UP_MIN) + asked_for).min(room - coded);
        // Near the end of the counters the top-up is what is left of them.
        let top_up = (0..=wanted).rev().find(|more| len(coded + more) <= left).unwrap_or(0);
        let end = first + len(coded + top_up);
        let (coded, top_up) = (narrow(coded), narrow(top_up));
        Ok(Numbers { coded, top_up, canary_fcnts, base: first - from, from, end })
    }
}

/// Counts below [`MAX_FRAGMENTS`], checked before.
pub(super) fn narrow(count: u32) -> u16 {
    u16::try_from(count).unwrap_or(MAX_FRAGMENTS)
}
