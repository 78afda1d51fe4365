//! Progress marks: how far each campaign has come and the pre-charged duty ledger, one page of a ring.

use std::collections::BTreeMap;

use crate::store::range::SLOT_BYTES;
use crate::store::range::SLOTS;
use crate::store::range::array;
use crate::store::record::RecordId;

/// The most campaigns one mark holds.
pub const CAMPAIGNS_MAX: usize = 16;

/// The ring of marks.
pub(super) const MARKS: &str = "marks";

const MAGIC: [u8; 4] = *b"FTMK";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 32;
const CAMPAIGN_BYTES: usize = 24;
const LOAD_BYTES: usize = 10;
const CRC_AT: usize = SLOT_BYTES - 4;

/// What a restart goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Made at an orderly stop: the ledger is exact, not pre-charged.
    pub clean: bool,
    /// GPS time in microseconds when the mark was made, if its source was trusted.
    pub gps_us: Option<u64>,
    /// The campaigns that run, at most [`CAMPAIGNS_MAX`].
    pub campaigns: Vec<CampaignMark>,
    /// Airtime spent, by sub-band and minute. Where it does not fit a page the oldest minutes are counted as
    /// younger ones; no load is dropped.
    pub ledger: Vec<LedgerLoad>,
}

/// How far one campaign has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampaignMark {
    /// Its task.
    pub task: RecordId,
    /// The first frame number k that was not yet sent.
    pub next_k: u32,
    /// Frames the forwarder refused for good.
    pub lost: u32,
}

/// Airtime that started within one minute of one sub-band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerLoad {
    /// The sub-band's number in its region's table.
    pub sub_band: u8,
    /// Whole minutes before the mark.
    pub age_min: u8,
    /// Airtime of campaigns, in microseconds.
    pub ours_us: u32,
    /// Airtime of everything the transmitter sent, in microseconds.
    pub total_us: u32,
}

impl Mark {
    /// One page for `slot`. Campaigns beyond [`CAMPAIGNS_MAX`] are the caller's error and refused before.
    pub(super) fn page(&self, slot: usize, seq: u64) -> Vec<u8> {
        debug_assert!(self.campaigns.len() <= CAMPAIGNS_MAX);
        let campaigns = &self.campaigns[..self.campaigns.len().min(CAMPAIGNS_MAX)];
        let room = CRC_AT - HEADER_BYTES - campaigns.len() * CAMPAIGN_BYTES;
        let ledger = fit_ledger(&self.ledger, room / LOAD_BYTES);
        let mut page = Vec::with_capacity(SLOT_BYTES);
        page.extend(MAGIC);
        page.extend(VERSION.to_le_bytes());
        page.push(slot as u8);
        page.push(u8::from(self.clean) | u8::from(self.gps_us.is_some()) << 1);
        page.extend(seq.to_le_bytes());
        page.extend(self.gps_us.unwrap_or(0).to_le_bytes());
        page.extend((campaigns.len() as u16).to_le_bytes());
        page.extend((ledger.len() as u16).to_le_bytes());
        page.resize(HEADER_BYTES, 0);
        for campaign in campaigns {
            page.extend(campaign.task.0);
            page.extend(campaign.next_k.to_le_bytes());
            page.extend(campaign.lost.to_le_bytes());
        }
        for load in ledger {
            page.push(load.sub_band);
            page.push(load.age_min);
            page.extend(load.ours_us.to_le_bytes());
            page.extend(load.total_us.to_le_bytes());
        }
        debug_assert!(page.len() <= CRC_AT);
        page.resize(CRC_AT, 0);
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        page
    }
}

/// What the ring file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MarkReading {
    /// The newest mark; `None` if none was ever written or none can be read.
    pub(super) mark: Option<Mark>,
    /// Its number; 0 for none.
    pub(super) seq: u64,
    /// A newer mark may be lost: the slot that would hold it is unreadable.
    pub(super) is_damaged: bool,
    /// A whole page has this newer format version.
    pub(super) newer_version: Option<u16>,
}

impl MarkReading {
    pub(super) fn of(file: &[u8]) -> MarkReading {
        let mut reading = MarkReading::default();
        let mut readable = [false; SLOTS];
        for (slot, page) in file.chunks(SLOT_BYTES).take(SLOTS).enumerate() {
            match decode(page) {
                Decoded::Unreadable => {}
                Decoded::Newer(version) => reading.newer_version = Some(version),
                Decoded::Whole { mark, seq, slot_written } => {
                    readable[slot] = slot_written == slot;
                    if seq > reading.seq {
                        (reading.seq, reading.mark) = (seq, Some(mark));
                    }
                }
            }
        }
        // The mark after the newest goes into the next slot. If that slot can be read it was never written.
        let next_slot = (reading.seq.wrapping_add(1) % SLOTS as u64) as usize;
        reading.is_damaged = !readable[next_slot];
        reading
    }
}

/// A ring of empty marks.
pub(super) fn empty_ring() -> Vec<u8> {
    (0..SLOTS).map(|slot| Mark::default().page(slot, 0)).collect::<Vec<_>>().concat()
}

enum Decoded {
    Unreadable,
    Newer(u16),
    Whole { mark: Mark, seq: u64, slot_written: usize },
}

fn decode(page: &[u8]) -> Decoded {
    if page.len() != SLOT_BYTES {
        return Decoded::Unreadable;
    }
    let (body, crc) = page.split_at(CRC_AT);
    if !body.starts_with(&MAGIC) || crc32c::crc32c(body).to_le_bytes() != crc {
        return Decoded::Unreadable;
    }
    let version = u16::from_le_bytes(array(body, 4));
    if version > VERSION {
        return Decoded::Newer(version);
    }
    let seq = u64::from_le_bytes(array(body, 8));
    let campaigns_bytes = usize::from(u16::from_le_bytes(array(body, 24))) * CAMPAIGN_BYTES;
    let ledger_bytes = usize::from(u16::from_le_bytes(array(body, 26))) * LOAD_BYTES;
    let ledger_at = HEADER_BYTES + campaigns_bytes;
    if seq == u64::MAX
        || campaigns_bytes > CAMPAIGNS_MAX * CAMPAIGN_BYTES
        || ledger_at + ledger_bytes > CRC_AT
    {
        return Decoded::Unreadable;
    }
    let campaign = |bytes: &[u8]| CampaignMark {
        task: RecordId(array(bytes, 0)),
        next_k: u32::from_le_bytes(array(bytes, 16)),
        lost: u32::from_le_bytes(array(bytes, 20)),
    };
    let load = |bytes: &[u8]| LedgerLoad {
        sub_band: bytes[0],
        age_min: bytes[1],
        ours_us: u32::from_le_bytes(array(bytes, 2)),
        total_us: u32::from_le_bytes(array(bytes, 6)),
    };
    let flags = body[7];
    let mark = Mark {
        clean: flags & 1 != 0,
        gps_us: (flags & 2 != 0).then(|| u64::from_le_bytes(array(body, 16))),
        campaigns: body[HEADER_BYTES..ledger_at].chunks(CAMPAIGN_BYTES).map(campaign).collect(),
        ledger: body[ledger_at..ledger_at + ledger_bytes].chunks(LOAD_BYTES).map(load).collect(),
    };
    Decoded::Whole { mark, seq, slot_written: usize::from(body[6]) }
}

/// At most `capacity` loads (never fewer than one for each of 256 sub-bands), oldest first: too many minutes
/// are joined from the old end, each into the next younger one of its sub-band, so that load expires later
/// than in truth and never earlier. A sum stops at 71 minutes of airtime, more than any hour holds.
fn fit_ledger(loads: &[LedgerLoad], capacity: usize) -> Vec<LedgerLoad> {
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
    let load = |(&(age_min, sub_band), &(ours_us, total_us)): (&(u8, u8), &(u32, u32))| LedgerLoad {
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

    fn mark(loads: impl Iterator<Item = LedgerLoad>) -> Mark {
        let campaign = CampaignMark { task: RecordId([7; 16]), next_k: 300, lost: 2 };
        Mark {
            clean: true,
            gps_us: Some(1),
            campaigns: vec![campaign; CAMPAIGNS_MAX],
            ledger: loads.collect(),
        }
    }

    fn hour(sub_bands: u8) -> impl Iterator<Item = LedgerLoad> {
        let load = |sub_band, age_min| LedgerLoad { sub_band, age_min, ours_us: 1_000, total_us: 3_000 };
        (0..61).rev().flat_map(move |age| (0..sub_bands).rev().map(move |band| load(band, age)))
    }

    /// The ring after `seq` marks, the last of which is `mark`.
    fn ring_with(mark: &Mark, seq: u64) -> Vec<u8> {
        let mut ring = empty_ring();
        for earlier in 1..=seq {
            let slot = (earlier % SLOTS as u64) as usize;
            let empty = Mark::default();
            let page = if earlier == seq { mark } else { &empty }.page(slot, earlier);
            ring[slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES].copy_from_slice(&page);
        }
        ring
    }

    #[test]
    fn a_mark_with_an_hour_of_five_sub_bands_and_all_campaigns_comes_back_as_it_was() {
        let written = mark(hour(5));
        let reading = MarkReading::of(&ring_with(&written, 19));
        assert_eq!(reading.mark, Some(written));
        assert_eq!((reading.seq, reading.is_damaged), (19, false));
    }

    #[test]
    fn a_ledger_that_does_not_fit_grows_younger_and_loses_nothing() {
        let written = mark(hour(40));
        let read = MarkReading::of(&ring_with(&written, 1)).mark.unwrap();
        assert!(read.ledger.len() < written.ledger.len());
        for band in 0..40 {
            for youngest in 0..61 {
                let sum = |ledger: &[LedgerLoad]| -> u64 {
                    let of_band = ledger.iter().filter(|l| l.sub_band == band && l.age_min <= youngest);
                    of_band.map(|l| u64::from(l.ours_us) + (u64::from(l.total_us) << 32)).sum()
                };
                assert!(sum(&read.ledger) >= sum(&written.ledger), "band {band}, {youngest} min");
            }
        }
        let total = |ledger: &[LedgerLoad]| ledger.iter().map(|l| u64::from(l.total_us)).sum::<u64>();
        assert_eq!(total(&read.ledger), total(&written.ledger));
    }

    #[test]
    fn an_unreadable_slot_is_damage_only_where_a_newer_mark_could_stand() {
        let whole = ring_with(&mark(hour(1)), 4);
        for slot in 0..SLOTS {
            let mut ring = whole.clone();
            ring[slot * SLOT_BYTES + 100] ^= 1;
            let reading = MarkReading::of(&ring);
            assert_eq!(reading.is_damaged, slot == 4 || slot == 5, "slot {slot}");
            assert_eq!(reading.seq, if slot == 4 { 3 } else { 4 }, "slot {slot}");
        }
        assert!(MarkReading::of(&[]).is_damaged);
    }

    #[test]
    fn a_newer_format_is_told_apart_from_damage() {
        let mut ring = empty_ring();
        ring[4] = 2;
        let crc = crc32c::crc32c(&ring[..CRC_AT]).to_le_bytes();
        ring[CRC_AT..SLOT_BYTES].copy_from_slice(&crc);
        assert_eq!(MarkReading::of(&ring).newer_version, Some(2));
    }

    proptest! {
        #[test]
        fn hostile_pages_never_panic(
            head in prop::collection::vec(any::<u8>(), HEADER_BYTES),
            fill in any::<u8>(),
            length in 0..=2 * SLOT_BYTES,
        ) {
            let mut page = head;
            page[..4].copy_from_slice(&MAGIC);
            page[4..6].copy_from_slice(&VERSION.to_le_bytes());
            page.resize(CRC_AT, fill);
            page.extend(crc32c::crc32c(&page).to_le_bytes());
            page.resize(length, fill);
            let _ = MarkReading::of(&page);
        }
    }
}
