//! The sessions that devices pay least for.
//!
//! Joins and confirmed messages get through beside a campaign where its holes are as long as the frames of an hour ask
//! for. Sessions that an hour lies between hold fewer of them, so shorter sessions may have shorter holes: each length of
//! holes is tried with as many frames as it is enough for.

use super::listening::Air;
use super::listening::Burst;
use super::listening::Frames;
use super::listening::SessionLimits;
use super::listening::over_us;
use super::listening::the_most;
use crate::schedule::Scheduler;
use crate::schedule::TxRequest;

/// The sessions of a campaign and how its frames are sent in them.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    /// The sessions; none where a session of the length that was ordered holds no frame.
    pub bursts: Vec<Burst>,
    /// What [`TxRequest::open_us`] is for its frames, microseconds.
    pub open_us: u64,
    /// How long the bursts take together, microseconds; `None` where one of them has no end.
    pub sending_us: Option<u64>,
}

impl Bursts {
    /// Whether devices pay no more for these than for the others.
    pub fn costs_no_more_than(&self, others: &Bursts, limits: (SessionLimits, Option<u64>)) -> bool {
        let cost_us = |of: &Bursts| cost_us(&of.bursts, limits.0, limits.1);
        cost_us(self) <= cost_us(others)
    }

    /// The least listening for frames that each are sent like `request`, on the radio of `empty`, which has sent nothing yet:
    /// in sessions of 2^`exponent` s where that is ordered, and over `within_us` after the start of the first where that can be.
    pub fn choose(
        empty: &Scheduler,
        request: TxRequest,
        frames: Frames,
        exponent: Option<u8>,
        (limits, within_us): (SessionLimits, Option<u64>),
    ) -> Bursts {
        let TxRequest { channel, airtime_us, policy, .. } = request;
        let open_us =
            |at_most: usize| empty.open_us(channel, airtime_us, frames.spacing_us[0], at_most as u64, policy);
        let most = usize::from(limits.most.filter(|_| exponent.is_none()).unwrap_or(1).max(1));
        let mut least = Bursts::default();
        let mut least_us = (true, u64::MAX);
        let mut at_most = frames.all;
        while at_most > 0 && at_most >= frames.all.div_ceil(most) {
            let open_us_here = open_us(at_most);
            let air = Air::new(empty, TxRequest { open_us: open_us_here, ..request }, frames, at_most);
            let bursts = air.sessions(exponent, limits, within_us);
            let cost_us = cost_us(&bursts, limits, within_us);
            if cost_us < least_us || at_most == frames.all {
                least_us = cost_us;
                least = Bursts { sending_us: sending_us(&air, &bursts), bursts, open_us: open_us_here };
            }
            at_most = the_most(at_most - 1, |frames| open_us(frames) < open_us_here);
        }
        least
    }
}

/// What devices pay for them, microseconds of listening; none, and those that are over too late, cost more than any that are not.
fn cost_us(bursts: &[Burst], limits: SessionLimits, within_us: Option<u64>) -> (bool, u64) {
    let price_us = bursts.iter().map(|burst| (1_000_000 << burst.exponent) + limits.price_us).sum();
    (bursts.is_empty() || within_us.is_some_and(|within_us| over_us(bursts) > within_us), price_us)
}

fn sending_us(air: &Air<'_>, bursts: &[Burst]) -> Option<u64> {
    let mut first = 0;
    let bursts_us = bursts.iter().map(|burst| {
        let burst_us = air.burst_us(first, burst.frames);
        first += burst.frames;
        burst_us
    });
    bursts_us.sum::<Option<u64>>().filter(|sending_us| *sending_us > 0)
}
