//! The same image at every data rate that is legal on the group's frequency.

use super::chances::WANTED;
use crate::campaign::Group;
use crate::campaign::Plan;
use crate::campaign::Redundancy;
use crate::engine::Settings;
use crate::fragment::DataFragment;
use crate::image::Digest;
use crate::image::Image;
use crate::odds::Odds;
use crate::odds::Receiver;
use crate::radio::Modulation;
use crate::schedule::Scheduler;
use crate::task::Task;
use std::collections::BTreeMap;

/// The loss that the comparison assumes at every data rate, per cent.
pub const ASSUMED_LOSS_PERCENT: u8 = 10;
/// Codes of up to so many fragments are tried with several fragment sizes: there a smaller one can be cheaper.
const SMALL_CODE: usize = 64;
/// The fragment sizes tried for a small image.
const SIZES: usize = 4;
/// Fragment sizes that suit every device's flash.
const WORD: usize = 8;

/// One way to send the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Number of the downlink data rate (DR).
    pub data_rate: u8,
    /// FragmentSizeBytes of the task: bytes of a fragment.
    pub frag_size: usize,
    /// NbFrag: number of uncoded fragments.
    pub nb_frag: u16,
    /// RedundancyPercent with which almost all devices complete at the assumed loss.
    pub redundancy_percent: u8,
    /// Airtime of all frames, microseconds.
    pub airtime_us: u64,
    /// From the first frame to the last at the plan's pace, sessions aside, microseconds.
    pub duration_us: u64,
    /// What devices need for it beyond plain LoRa from SF7 on, which all have.
    pub needs: Option<&'static str>,
}

/// What not every device has.
fn needs(modulation: Modulation) -> Option<&'static str> {
    match modulation {
        Modulation::Gfsk { .. } => Some("FSK in the devices' stack"),
        Modulation::LoRa { sf: ..=6, .. } => {
            Some("an SX126x, LR11xx or newer radio, and a stack that knows SF5 and SF6")
        }
        Modulation::LoRa { .. } => None,
    }
}

/// The cheapest way at each legal data rate, the one with the least airtime first. A data rate at which no
/// redundancy of up to 100 % is enough is left out.
pub fn choices(settings: &Settings, task: &Task, group: &Group, bytes: &[u8]) -> Vec<Choice> {
    let Ok(image) = Image::verify(bytes.to_vec(), Digest::of(bytes)) else { return Vec::new() };
    let mut needed = Needed { group, by_nb_frag: BTreeMap::new() };
    let scheduler = Scheduler::of(settings.region, settings.kept);
    let mut choices = Vec::new();
    for rate in settings.region.data_rates {
        // What is ordered is compared, whatever comes before the first question.
        let redundancy = Redundancy::Ordered;
        let group = Group { data_rate: rate.dr, redundancy, ..group.clone() };
        let sizes = sizes(settings, &group, image.len());
        let at_size = |frag_size: usize| {
            let nb_frag = u16::try_from(image.len().div_ceil(frag_size)).ok()?;
            let coded = needed.coded(nb_frag)?;
            let percent = (u32::from(coded) * 100).div_ceil(u32::from(nb_frag));
            let task = Task {
                fragment_size_bytes: u16::try_from(frag_size).ok(),
                redundancy_percent: u8::try_from(percent).ok().filter(|percent| *percent <= 100)?,
                ..task.clone()
            };
            let plan = Plan::new(&task, &group, &image, settings.region, &scheduler, 0).ok()?;
            Some(Choice {
                data_rate: rate.dr,
                frag_size,
                nb_frag,
                redundancy_percent: task.redundancy_percent,
                airtime_us: u64::from(plan.frames()) * plan.airtime_us,
                duration_us: plan.duration_us(),
                needs: needs(rate.modulation),
            })
        };
        choices.extend(sizes.into_iter().filter_map(at_size).min_by_key(|choice| choice.airtime_us));
    }
    choices.sort_by_key(|choice| (choice.airtime_us, choice.duration_us));
    choices
}

/// Fragment sizes worth trying: the largest that fits, and for small images some smaller ones.
fn sizes(settings: &Settings, group: &Group, len: usize) -> Vec<usize> {
    let region = settings.region;
    let channel = region.check_under(&group.terms, group.frequency_hz, group.data_rate, group.eirp);
    let payload = channel.and_then(|channel| region.max_payload(&channel, group.terms.downlink_dwell));
    let largest = payload.map_or(0, |payload| payload - DataFragment::HEADER_LEN);
    let words = largest / WORD;
    let largest = if words > 0 { words * WORD } else { largest };
    if largest == 0 {
        return Vec::new();
    }
    if len.div_ceil(largest) > SMALL_CODE || words < SIZES {
        return vec![largest];
    }
    (1..=SIZES).rev().map(|part| words * part / SIZES * WORD).collect()
}

/// How many coded fragments it takes: a question about the code alone, so it is asked once for each.
struct Needed<'a> {
    group: &'a Group,
    by_nb_frag: BTreeMap<u16, Option<u16>>,
}

impl Needed<'_> {
    fn coded(&mut self, nb_frag: u16) -> Option<u16> {
        let group = self.group;
        *self.by_nb_frag.entry(nb_frag).or_insert_with(|| {
            let mut odds = Odds::new(nb_frag, group.ts004_version, group.profile.repeats).ok()?;
            let receiver = Receiver { max_lost: None, finishes_on_coded: group.profile.finishes_on_coded };
            odds.coded_needed(receiver, f64::from(ASSUMED_LOSS_PERCENT) / 100.0, WANTED)
        })
    }
}
