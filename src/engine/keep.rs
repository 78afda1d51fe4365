//! Between the broadcaster's words and the store's.

use crate::broadcast::Keep;
use crate::broadcast::KeyRange;
use crate::broadcast::MarkedCampaign;
use crate::broadcast::NotSaved;
use crate::broadcast::Restored;
use crate::broadcast::RestoredLedger;
use crate::schedule::MinuteLoad;
use crate::store::CampaignMark;
use crate::store::Change;
use crate::store::LedgerLoad;
use crate::store::Mark;
use crate::store::RangeState;
use crate::store::RecordId;
use crate::store::Recovered;
use crate::store::Reservation;
use crate::store::StoreError;
use crate::store::TaskRecord;
use crate::time::GpsTime;
use crate::time::Now;

/// What a store's "no" means for the engine: the journal's own refusals and a full disk cost one task, a disk
/// that failed costs everything.
pub fn not_saved(error: &StoreError) -> NotSaved {
    match error {
        StoreError::Files(_) | StoreError::Halted(_) => NotSaved::Broken(error.to_string()),
        _ => NotSaved::Refused(error.to_string()),
    }
}

/// What a wish to keep something is in the words of the store.
pub(super) fn change(keep: Keep, gps: Option<GpsTime>) -> Change {
    match keep {
        Keep::Record { record, bytes } => Change::Task(TaskRecord { id: RecordId(record), bytes }),
        Keep::Forget { record } => Change::ForgetTask(RecordId(record)),
        Keep::Reserve { key, mc_addr, base, end, plan_hash } => {
            Change::Reserve(Reservation { key, mc_addr, base, next_free: end, plan_hash })
        }
        Keep::Mark { clean, campaigns, minutes } => {
            let campaign = |marked: MarkedCampaign| CampaignMark {
                task: RecordId(marked.record),
                next_k: marked.next_k,
                lost: marked.made_up,
            };
            let load = |minute: MinuteLoad| LedgerLoad {
                sub_band: minute.sub_band,
                age_min: minute.age_min,
                ours_us: minute.ours_us,
                total_us: minute.total_us,
            };
            Change::Mark(Mark {
                clean,
                gps_us: gps.map(GpsTime::as_us),
                campaigns: campaigns.into_iter().map(campaign).collect(),
                ledger: minutes.into_iter().map(load).collect(),
            })
        }
    }
}

/// What the store recovered in the words of the broadcaster.
pub(super) fn restored(recovered: Recovered, now: Now) -> Restored {
    let range = |state: RangeState| match state {
        RangeState::Intact(newest) => known(newest, false),
        RangeState::Damaged { newest, .. } => known(newest, true),
        RangeState::Lost(why) => KeyRange::Lost(why),
    };
    // A store without any range never sent anything: there is no ledger to miss. A damaged newest mark was
    // cut while it was written: nothing was sent on its account, so the one before still covers the truth.
    let ledger_lost = recovered.mark.is_none() && !recovered.ranges.is_empty();
    let mark = recovered.mark;
    let campaign =
        |mark: &CampaignMark| MarkedCampaign { record: mark.task.0, next_k: mark.next_k, made_up: mark.lost };
    let minute = |load: &LedgerLoad| MinuteLoad {
        sub_band: load.sub_band,
        age_min: load.age_min,
        ours_us: load.ours_us,
        total_us: load.total_us,
    };
    Restored {
        ranges: recovered.ranges.into_iter().map(|(key, state)| (key, range(state))).collect(),
        records: recovered.tasks.into_iter().map(|record| (record.id.0, record.bytes)).collect(),
        campaigns: mark.iter().flat_map(|mark| mark.campaigns.iter().map(campaign)).collect(),
        ledger: mark.as_ref().map(|mark| {
            // Time without us counts only when both ends have a trusted clock.
            let ends = now.gps.zip(mark.gps_us.map(GpsTime::from_us));
            let elapsed_us = ends.map_or(0, |(now, then)| now.us_since(then));
            let minutes = mark.ledger.iter().map(minute).collect();
            RestoredLedger { elapsed_us, is_precharged: !mark.clean, minutes }
        }),
        ledger_lost,
    }
}

fn known(newest: Reservation, damaged: bool) -> KeyRange {
    let Reservation { base, next_free, plan_hash, .. } = newest;
    KeyRange::Known { base, next_free, plan_hash, damaged }
}
