//! The scheduler of a new run, with the airtime that the last one left.

use crate::radio::MinuteLoad;
use crate::region::Parameters;
use crate::schedule::Kept;
use crate::schedule::Scheduler;
use crate::store::Mark;
use crate::store::Recovered;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;

/// The scheduler of the region. Its ledger holds what was on the air before, or counts as spent where nobody knows that.
pub(super) fn recovered_scheduler(
    region: &'static Parameters,
    kept: Kept,
    recovered: &Recovered,
    now: Now,
) -> Scheduler {
    let mut scheduler = Scheduler::of(region, kept);
    if let Some(mark) = &recovered.mark {
        restore_ledger(&mut scheduler, mark, recovered.is_same_boot, now);
    }
    if recovered.ledger_lost {
        scheduler.assume_spent(now.mono);
    }
    scheduler
}

/// Puts back what a mark says was on the air.
fn restore_ledger(scheduler: &mut Scheduler, mark: &Mark, is_same_boot: bool, now: Now) {
    // Nobody moves the monotonic clock of one boot. Across boots time counts only when both ends have a trusted clock.
    let ends = now.gps.zip(mark.gps_us.map(GpsTime::from_us));
    let elapsed_us = match mark.mono_us {
        Some(mono_us) if is_same_boot => now.mono.us_since(Instant::from_us(mono_us)),
        _ => ends.map_or(0, |(now, then)| now.us_since(then)),
    };
    // What a mark covered went out at any time between it and the end of that run, so as late as now.
    let is_open = |minute: &MinuteLoad| !mark.clean && minute.age_min == 0;
    let (open, past): (Vec<_>, Vec<_>) = mark.ledger.iter().copied().partition(is_open);
    scheduler.restore(now.mono, elapsed_us, &past);
    scheduler.restore(now.mono, 0, &open);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::Dbm;
    use crate::region::RfRegion;
    use crate::region::parameters;

    const NOW: Now = Now { mono: Instant::ZERO, gps: Some(GpsTime::from_us(1_400_000_000_000_000)) };

    /// Airtime that the ledger counts 40 minutes after a restart that came 30 minutes after a mark with 100 s.
    fn counted_after_a_restart(is_precharged: bool) -> u64 {
        let region = parameters(RfRegion::Eu868).unwrap();
        let sub_band = region.check(869_525_000, 5, Dbm::from_whole(27)).unwrap().sub_band.0;
        let ledger = vec![MinuteLoad { sub_band, age_min: 0, ours_us: 0, total_us: 100_000_000 }];
        let gps_us = NOW.gps.map(|gps| gps.as_us() - 1_800_000_000);
        let mark = Some(Mark { clean: !is_precharged, gps_us, ledger, ..Mark::default() });
        let scheduler =
            recovered_scheduler(region, Kept::default(), &Recovered { mark, ..Recovered::default() }, NOW);
        scheduler.bands(Instant::from_us(2_400_000_000)).iter().map(|band| band.total_us).sum()
    }

    #[test]
    fn what_a_mark_covered_counts_from_the_restart_on_and_what_was_sent_before_it_does_not() {
        assert_eq!(counted_after_a_restart(true), 100_000_000);
        assert_eq!(counted_after_a_restart(false), 0);
    }

    #[test]
    fn where_the_ledger_is_lost_every_limited_budget_counts_as_spent() {
        let region = parameters(RfRegion::Eu868).unwrap();
        let counted = |ledger_lost| {
            let recovered = Recovered { ledger_lost, ..Recovered::default() };
            let bands = recovered_scheduler(region, Kept::default(), &recovered, NOW).bands(NOW.mono);
            bands.iter().map(|band| band.total_us).min()
        };
        assert_eq!(counted(false), Some(0));
        assert!(counted(true).is_some_and(|us| us > 0));
    }
}
