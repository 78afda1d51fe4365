//! Progress marks: how far each campaign has come and the pre-charged duty ledger, one page of a ring.

use std::collections::BTreeMap;

use crate::radio::MinuteLoad;
use crate::store::bytes::array;
use crate::store::range::SLOT_BYTES;
use crate::store::range::SLOTS;
use crate::store::record::RecordId;
use crate::store::ring::Form;
use crate::store::ring::HEADER_BYTES as RING_HEADER_BYTES;

/// The most campaigns one mark holds.
pub const CAMPAIGNS_MAX: usize = 16;

/// The ring of marks.
pub(super) const MARKS: Form = Form { name: "marks", magic: *b"FTMK", slots: SLOTS, slot_bytes: SLOT_BYTES };

/// GPS time, two counts, zeros.
const HEAD_BYTES: usize = 32 - RING_HEADER_BYTES;
const CAMPAIGN_BYTES: usize = 24;
/// At the page's end: the boot 16, the monotonic clock 8.
const BOOT_BYTES: usize = 24;
const BOOT_AT: usize = MARKS.room() - BOOT_BYTES;
const IS_CLEAN: u8 = 1;
const HAS_GPS: u8 = 2;
const HAS_BOOT: u8 = 4;
/// In a ring without a mark: it was made because the one before was gone.
pub(super) const AFTER_LOSS: u8 = 8;
const LOAD_BYTES: usize = 10;

/// A progress mark: the state from which a restart continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Made at an orderly stop: the ledger is exact, not pre-charged.
    pub clean: bool,
    /// GPS time in microseconds when the mark was made, if its source was trusted.
    pub gps_us: Option<u64>,
    /// The monotonic clock when the mark was made, in microseconds; it compares within one boot only, see
    /// [`Recovered::is_same_boot`](crate::store::Recovered::is_same_boot). `None` in marks of earlier releases.
    pub mono_us: Option<i64>,
    /// The campaigns that run, at most [`CAMPAIGNS_MAX`].
    pub campaigns: Vec<CampaignMark>,
    /// Airtime spent, by sub-band and minute. Where it does not fit a page the oldest minutes are counted as
    /// younger ones; no load is dropped.
    pub ledger: Vec<MinuteLoad>,
}

/// Progress of one campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampaignMark {
    /// Record id of the campaign's task.
    pub task: RecordId,
    /// The first frame number k that was not yet sent.
    pub next_frame: u32,
    /// Coded fragments added to make up for lost frames. (On disk in the field that earlier releases called
    /// `lost`: they wrote the same number there.)
    pub extra_coded: u32,
}

impl Mark {
    /// Flags and payload of its page. Campaigns beyond [`CAMPAIGNS_MAX`] are the caller's error and refused before.
    pub(super) fn encode(&self, boot_id: &[u8; 16]) -> (u8, Vec<u8>) {
        debug_assert!(self.campaigns.len() <= CAMPAIGNS_MAX);
        let campaigns = &self.campaigns[..self.campaigns.len().min(CAMPAIGNS_MAX)];
        let room = BOOT_AT - HEAD_BYTES - campaigns.len() * CAMPAIGN_BYTES;
        let ledger = fit_ledger(&self.ledger, room / LOAD_BYTES);
        let mut payload = Vec::with_capacity(MARKS.room());
        payload.extend(self.gps_us.unwrap_or(0).to_le_bytes());
        payload.extend((campaigns.len() as u16).to_le_bytes());
        payload.extend((ledger.len() as u16).to_le_bytes());
        payload.resize(HEAD_BYTES, 0);
        for campaign in campaigns {
            payload.extend(campaign.task.0);
            payload.extend(campaign.next_frame.to_le_bytes());
            payload.extend(campaign.extra_coded.to_le_bytes());
        }
        for load in ledger {
            payload.push(load.sub_band);
            payload.push(load.age_min);
            payload.extend(load.ours_us.to_le_bytes());
            payload.extend(load.total_us.to_le_bytes());
        }
        let mut flags = 0;
        flags |= if self.clean { IS_CLEAN } else { 0 };
        flags |= if self.gps_us.is_some() { HAS_GPS } else { 0 };
        if let Some(mono_us) = self.mono_us {
            flags |= HAS_BOOT;
            payload.resize(BOOT_AT, 0);
            payload.extend(boot_id);
            payload.extend(mono_us.to_le_bytes());
        }
        (flags, payload)
    }

    /// The mark of a page and the boot it was made in, unless its counts are beyond their bounds.
    pub(super) fn decode(flags: u8, payload: &[u8]) -> Option<(Mark, Option<[u8; 16]>)> {
        let campaigns_bytes = usize::from(u16::from_le_bytes(array(payload, 8))) * CAMPAIGN_BYTES;
        let ledger_bytes = usize::from(u16::from_le_bytes(array(payload, 10))) * LOAD_BYTES;
        if campaigns_bytes > CAMPAIGNS_MAX * CAMPAIGN_BYTES {
            return None;
        }
        let (campaigns, rest) = payload.get(HEAD_BYTES..)?.split_at_checked(campaigns_bytes)?;
        let campaign = |bytes: &[u8]| CampaignMark {
            task: RecordId(array(bytes, 0)),
            next_frame: u32::from_le_bytes(array(bytes, 16)),
            extra_coded: u32::from_le_bytes(array(bytes, 20)),
        };
        let load = |bytes: &[u8]| MinuteLoad {
            sub_band: bytes[0],
            age_min: bytes[1],
            ours_us: u32::from_le_bytes(array(bytes, 2)),
            total_us: u32::from_le_bytes(array(bytes, 6)),
        };
        let has_boot = flags & HAS_BOOT != 0;
        let mark = Mark {
            clean: flags & IS_CLEAN != 0,
            gps_us: (flags & HAS_GPS != 0).then(|| u64::from_le_bytes(array(payload, 0))),
            mono_us: has_boot.then(|| i64::from_le_bytes(array(payload, BOOT_AT + 16))),
            campaigns: campaigns.chunks(CAMPAIGN_BYTES).map(campaign).collect(),
            ledger: rest.get(..ledger_bytes)?.chunks(LOAD_BYTES).map(load).collect(),
        };
        Some((mark, has_boot.then(|| array(payload, BOOT_AT))))
    }
}

/// At most `capacity` loads (never fewer than one for each of 256 sub-bands), oldest first: too many minutes
/// are joined from the old end, each into the next younger one of its sub-band, so that load expires later
/// than in truth and never earlier. A sum stops at 71 minutes of airtime, more than any hour holds.
fn fit_ledger(loads: &[MinuteLoad], capacity: usize) -> Vec<MinuteLoad> {
    debug_assert!(capacity >= 256);
    let mut minutes: BTreeMap<(u8, u8), (u32, u32)> = BTreeMap::new();
    let add = |sum: &mut (u32, u32), ours_us: u32, total_us: u32| {
        *sum = (sum.0.saturating_add(ours_us), sum.1.saturating_add(total_us));
    };
    for load in loads {
        let sum = minutes.entry((load.age_min, load.sub_band)).or_default();
        add(sum, load.ours_us, load.total_us);
    }
    while minutes.len() > capacity {
        let younger = |&(age_min, sub_band): &(u8, u8)| {
            let mut below = minutes.range(..(age_min, sub_band)).rev();
            below.find(|((_, other), _)| *other == sub_band).map(|(key, _)| *key)
        };
        let pair = minutes.keys().rev().find_map(|key| Some((*key, younger(key)?)));
        let (old, young) = pair.expect("more loads than sub-bands, so one sub-band has two");
        if let Some((ours_us, total_us)) = minutes.remove(&old) {
            add(minutes.entry(young).or_default(), ours_us, total_us);
        }
    }
    let load = |(&(age_min, sub_band), &(ours_us, total_us)): (&(u8, u8), &(u32, u32))| MinuteLoad {
        sub_band,
        age_min,
        ours_us,
        total_us,
    };
    minutes.iter().rev().map(load).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(loads: impl Iterator<Item = MinuteLoad>) -> Mark {
        let campaign = CampaignMark { task: RecordId([7; 16]), next_frame: 300, extra_coded: 2 };
        Mark {
            clean: true,
            gps_us: Some(1),
            mono_us: Some(-5),
            campaigns: vec![campaign; CAMPAIGNS_MAX],
            ledger: loads.collect(),
        }
    }

    fn hour(sub_bands: u8) -> impl Iterator<Item = MinuteLoad> {
        let load = |sub_band, age_min| MinuteLoad { sub_band, age_min, ours_us: 1_000, total_us: 3_000 };
        (0..61).rev().flat_map(move |age| (0..sub_bands).rev().map(move |band| load(band, age)))
    }

    /// A mark that went through its page.
    fn read_back(mark: &Mark) -> Mark {
        let (flags, payload) = mark.encode(&[3; 16]);
        let (mark, boot_id) = Mark::decode(flags, &payload).unwrap();
        assert_eq!(boot_id, mark.mono_us.map(|_| [3; 16]));
        mark
    }

    #[test]
    fn a_mark_with_an_hour_of_five_sub_bands_and_all_campaigns_comes_back_as_it_was() {
        let written = mark(hour(5));
        assert!(written.encode(&[3; 16]).1.len() <= MARKS.room());
        assert_eq!(read_back(&written), written);
    }

    #[test]
    fn a_ledger_that_does_not_fit_grows_younger_and_loses_nothing() {
        let written = mark(hour(40));
        let read = read_back(&written);
        assert!(read.ledger.len() < written.ledger.len());
        for band in 0..40 {
            for youngest in 0..61 {
                let sum = |ledger: &[MinuteLoad]| -> u64 {
                    let of_band = ledger.iter().filter(|l| l.sub_band == band && l.age_min <= youngest);
                    of_band.map(|l| u64::from(l.ours_us) + (u64::from(l.total_us) << 32)).sum()
                };
                assert!(sum(&read.ledger) >= sum(&written.ledger), "band {band}, {youngest} min");
            }
        }
        let total = |ledger: &[MinuteLoad]| ledger.iter().map(|l| u64::from(l.total_us)).sum::<u64>();
        assert_eq!(total(&read.ledger), total(&written.ledger));
    }

    #[test]
    fn a_page_of_an_earlier_release_is_read() {
        let mut page = Vec::new();
        page.extend(*b"FTMK\x01\x00\x03\x03");
        page.extend(19_u64.to_le_bytes());
        page.extend(77_u64.to_le_bytes());
        page.extend([1, 0, 1, 0, 0, 0, 0, 0]);
        page.extend([[7; 16].as_slice(), &300_u32.to_le_bytes(), &2_u32.to_le_bytes()].concat());
        page.extend([[4, 9].as_slice(), &5_u32.to_le_bytes(), &6_u32.to_le_bytes()].concat());
        page.resize(SLOT_BYTES - 4, 0);
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        let mut file = vec![0; SLOTS * SLOT_BYTES];
        file[3 * SLOT_BYTES..4 * SLOT_BYTES].copy_from_slice(&page);
        let reading = MARKS.read(&file, Mark::decode);
        let campaign = CampaignMark { task: RecordId([7; 16]), next_frame: 300, extra_coded: 2 };
        let load = MinuteLoad { sub_band: 4, age_min: 9, ours_us: 5, total_us: 6 };
        let (gps_us, campaigns) = (Some(77), vec![campaign]);
        let mark = Mark { clean: true, gps_us, mono_us: None, campaigns, ledger: vec![load] };
        assert_eq!((reading.newest, reading.seq), (Some((mark, None)), 19));
    }

    proptest! {
        #[test]
        fn hostile_pages_never_panic(
            head in prop::collection::vec(any::<u8>(), 32),
            fill in any::<u8>(),
            length in 0..=2 * SLOT_BYTES,
        ) {
            let mut page = head;
            page[..6].copy_from_slice(b"FTMK\x01\x00");
            page.resize(SLOT_BYTES - 4, fill);
            page.extend(crc32c::crc32c(&page).to_le_bytes());
            page.resize(length, fill);
            let _ = MARKS.read(&page, Mark::decode);
        }
    }
}
