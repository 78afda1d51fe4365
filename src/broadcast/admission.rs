//! Whether a planned campaign can be fitted in beside those that were planned before it: said before anybody's
//! devices are told, not when their session is over.

use super::arming::begin_of;
use super::open_task::OpenTask;
use super::outbox::Outbox;
use super::task_book::TaskBook;
use super::turn_rule::Claim;
use super::turn_rule::Span;
use super::turn_rule::foresee;
use crate::campaign::Begin;
use crate::campaign::Plan;
use crate::report::Event;
use crate::report::Wait;
use crate::report::WaitReason;
use crate::task::TaskId;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;
use crate::time::Now;

/// A campaign ends with the packet forwarder's report after its last frame, which takes two intervals at most.
const LAST_REPORT_US: u64 = 60_000_000;

impl TaskBook {
    /// Admits the campaign of `id`, which is planned as `plan` to begin as `begin`; says so when it has to queue.
    ///
    /// # Errors
    /// One line: its group is still busy, its devices would stop listening before its turn is over, or it would
    /// take that turn from a campaign planned before it.
    pub fn admit(
        &self,
        now: Now,
        id: &TaskId,
        plan: &Plan,
        begin: &Begin,
        outbox: &mut Outbox,
    ) -> Result<(), String> {
        let others = || self.open().iter().filter(|(other, _)| *other != id);
        let same_key = |open_task: &&OpenTask| open_task.plan().is_some_and(|other| other.key == plan.key);
        let of_group: Vec<&TaskId> =
            others().filter(|(_, open_task)| same_key(open_task)).map(|(other, _)| other).collect();
        let Some(mine) = claim(now, id, begin, turn_us(plan), self.guard_us(&plan.group)) else {
            return match of_group.first() {
                None => Ok(()),
                Some(other) => Err(busy(plan, other, None)),
            };
        };
        let mut claims: Vec<Claim> =
            others().filter_map(|(other, open_task)| self.claim_of(now, other, open_task)).collect();
        let rank = |claim: &Claim| {
            let open_task = self.get(&claim.task);
            (
                !open_task.is_some_and(OpenTask::has_begun),
                opens(claim),
                open_task.map(|open_task| open_task.arrival()),
            )
        };
        claims.sort_by_key(rank);
        let without = foresee(self.site().turn_rule(), &claims);
        let at = claims.partition_point(|other| rank(other) < rank(&mine));
        claims.insert(at, mine);
        let with = foresee(self.site().turn_rule(), &claims);
        let my_span = with[at];
        for other in of_group {
            let its = claims.iter().position(|claim| claim.task == *other);
            // What missed its sessions gives way.
            if its.is_some_and(|at| claims[at].open.is_empty()) {
                continue;
            }
            let span = its.map(|at| with[at]);
            if span.is_none_or(|span| overlap(span, my_span)) {
                return Err(busy(plan, other, span.and_then(|span| utc(now, span.until_us?))));
            }
        }
        if my_span.until_us.is_none() {
            let mine = &claims[at];
            let open = Span {
                from_us: mine.open.first().map(|(from, _)| *from),
                until_us: mine.open.last().map(|(_, to)| *to),
            };
            let rivals: Vec<&str> = claims
                .iter()
                .zip(&with)
                .filter(|(claim, span)| claim.task != *id && overlap(**span, open))
                .map(|(claim, _)| claim.task.as_str())
                .collect();
            // Alone it has what its sessions leave; the plan's own checks are about that.
            let alone = foresee(self.site().turn_rule(), std::slice::from_ref(mine));
            if !rivals.is_empty() && alone[0].until_us.is_some() {
                return Err(format!(
                    "its sessions end before it can be sent beside {}: give a later StartTime or a larger session-timeout-exponent",
                    rivals.join(", ")
                ));
            }
        }
        if let Some(other) = displaced(&claims, at, &without, &with) {
            return Err(format!(
                "task {other} was planned before and its sessions would end before it is sent: give a StartTime after it"
            ));
        }
        let begins_us = opens(&claims[at]);
        if let Some(from_us) = my_span.from_us.filter(|from_us| *from_us > begins_us) {
            let ahead = claims[..at].last().map_or(id, |claim| &claim.task).clone();
            let until = now.mono.plus_us(from_us);
            let reason = Wait::until(WaitReason::Turn(ahead), until).sentence(now);
            outbox.report(now, Some(id), Event::Waiting { reason });
        }
        Ok(())
    }

    /// Another campaign of its group, where only the time of day can say whether the two are in each other's way, and
    /// nobody knows it yet.
    pub fn undecided(&self, now: Now, id: &TaskId, plan: &Plan, begin: &Begin) -> Option<&TaskId> {
        if now.gps.is_some() {
            return None;
        }
        let has_time = |begin: &Begin| matches!(begin, Begin::At(_) | Begin::Sessions(_));
        let of_group = self.open().iter().filter(|(other, open_task)| {
            *other != id && open_task.plan().is_some_and(|other| other.key == plan.key)
        });
        let mut undecided = of_group.filter(|(_, open_task)| {
            let other = open_task.plan().zip(self.site().group(&plan.group));
            let its = other.and_then(|(other, group)| begin_of(open_task, group, other).ok());
            has_time(begin) || its.is_some_and(|its| has_time(&its))
        });
        undecided.next().map(|(other, _)| other)
    }

    fn claim_of(&self, now: Now, id: &TaskId, open_task: &OpenTask) -> Option<Claim> {
        let plan = open_task.plan()?;
        let guard_us = self.guard_us(&plan.group);
        if let Some(campaign) = open_task.campaign() {
            return claim(now, id, campaign.calendar().begin(), campaign.need_us(), guard_us);
        }
        let group = self.site().group(&plan.group)?;
        let begin = begin_of(open_task, group, plan).ok()?;
        claim(now, id, &begin, turn_us(plan), guard_us)
    }

    fn guard_us(&self, group: &str) -> u64 {
        self.site().group(group).map_or(0, |group| group.guard_us)
    }
}

/// How long the turn of a campaign takes, microseconds: its frames, those that are made up for, and the report that ends it.
fn turn_us(plan: &Plan) -> u64 {
    let sending_us = plan.duration_us();
    sending_us.saturating_add(sending_us / 50).saturating_add(LAST_REPORT_US)
}

/// Why the campaign cannot be sent beside another one of its group.
fn busy(plan: &Plan, other: &TaskId, until: Option<String>) -> String {
    let until = until.map_or(String::new(), |until| format!(" until about {until}"));
    format!(
        "group {} has task {other}{until}, and its devices hold one fragmentation session (TS004 FragIndex 0): order this one for a StartTime after it, or again when it is over",
        plan.group
    )
}

/// What a campaign claims from `now` on; `None` while nobody knows when it begins.
fn claim(now: Now, id: &TaskId, begin: &Begin, need_us: u64, guard_us: u64) -> Option<Claim> {
    let open = match begin {
        Begin::Unknown => return None,
        Begin::AtOnce => vec![(0, u64::MAX)],
        Begin::At(start) => vec![(start.us_since(now.gps?), u64::MAX)],
        Begin::Sessions(sessions) => {
            let gps = now.gps?;
            let from_now = |(opens, closes): (GpsTime, GpsTime)| (opens.us_since(gps), closes.us_since(gps));
            sessions
                .iter()
                .map(|session| from_now(session.usable(guard_us)))
                .filter(|(from, to)| from < to)
                .collect()
        }
    };
    Some(Claim { task: id.clone(), open, need_us })
}

/// A task that is done in time without the claim at `at`, and not beside it.
fn displaced<'a>(claims: &'a [Claim], at: usize, without: &[Span], with: &[Span]) -> Option<&'a TaskId> {
    let mut others = claims.iter().zip(with).enumerate().filter(|(index, _)| *index != at).zip(without);
    let displaced =
        others.find(|((_, (_, with)), without)| without.until_us.is_some() && with.until_us.is_none());
    displaced.map(|((_, (claim, _)), _)| &claim.task)
}

fn opens(claim: &Claim) -> u64 {
    claim.open.first().map_or(0, |(from, _)| *from)
}

fn overlap(one: Span, other: Span) -> bool {
    let (Some(one_from), Some(other_from)) = (one.from_us, other.from_us) else { return true };
    one_from < other.until_us.unwrap_or(u64::MAX) && other_from < one.until_us.unwrap_or(u64::MAX)
}

fn utc(now: Now, us: u64) -> Option<String> {
    let whole_s = |gps: GpsTime| GpsTime::from_us(gps.as_us() / 1_000_000 * 1_000_000);
    Some(rfc3339_from_gps(whole_s(now.gps?.plus_us(us))))
}
