//! The size of fragments: what the task asks for, what fits, and what to order instead of too many.

use super::group::Group;
use super::plan_error::PlanError;
use crate::fragment::DataFragment;
use crate::fragment::FragmentError;
use crate::fragment::MAX_FRAGMENTS;
use crate::image::Image;
use crate::region::Channel;
use crate::region::Parameters;
use crate::region::RegionError;
use crate::task::Task;
use crate::task::redundancy_fragments;

/// The fragment size that the task asks for, or the largest that fits `payload` bytes and suits the devices.
pub(super) fn frag_size(
    task: &Task,
    group: &Group,
    region: &Parameters,
    channel: &Channel,
    payload: usize,
) -> Result<usize, PlanError> {
    let largest = payload - DataFragment::HEADER_LEN;
    let multiple = usize::from(group.profile.frag_size_multiple);
    let Some(size) = task.fragment_size_bytes else {
        return Ok(if largest >= 8 { largest - largest % 8 } else { largest });
    };
    if usize::from(size) > largest {
        let (dr, largest) = (group.data_rate, largest - largest % multiple);
        let because = what_limits(region, channel, group.terms.downlink_dwell, payload)?;
        return Err(PlanError::FragmentTooLarge { size, dr, largest, payload, because });
    }
    let size = usize::from(size);
    if !size.is_multiple_of(multiple) {
        let next = (size - size % multiple).max(multiple);
        return Err(PlanError::FragmentNotAligned { size, multiple, profile: group.profile.name, next });
    }
    Ok(size)
}

/// What keeps a downlink at `payload` bytes where the data rate itself has room for more; else nothing.
fn what_limits(
    region: &Parameters,
    channel: &Channel,
    dwell: bool,
    payload: usize,
) -> Result<String, RegionError> {
    let rate = region.data_rate(channel.dr)?;
    let sub_band = region.sub_band(channel.sub_band).filter(|_| payload < rate.max_payload(dwell));
    let limit = sub_band.and_then(|sub_band| Some((sub_band.max_tx_us?, sub_band)));
    Ok(match (limit, region.dwell_downlink_us) {
        (Some((limit_us, sub_band)), _) => format!(
            ", because one transmission may last {limit_us} us in sub-band {} ({})",
            sub_band.label, sub_band.clause
        ),
        (None, Some(limit_us)) if dwell && payload < rate.max_payload(false) => {
            format!(", because DownlinkDwellTime is on: {limit_us} us ({})", region.rp_name)
        }
        _ => String::new(),
    })
}

/// Turns the layout's "too many fragments" into advice that also knows the redundancy and the data rate.
pub(super) fn too_many(
    error: FragmentError,
    frag_size: usize,
    task: &Task,
    group: &Group,
    image: &Image,
    payload: usize,
) -> PlanError {
    match error {
        FragmentError::TooManyFragments { .. } | FragmentError::ImageTooLong { .. } => {
            too_many_error(frag_size, task, group, image, payload)
        }
        other => other.into(),
    }
}

/// So many fragments are more than an encoder and its devices count: which size would do.
pub(super) fn too_many_error(
    frag_size: usize,
    task: &Task,
    group: &Group,
    image: &Image,
    payload: usize,
) -> PlanError {
    let largest = payload - DataFragment::HEADER_LEN;
    let multiple = usize::from(group.profile.frag_size_multiple);
    let fits = |size: &usize| {
        let count = image.len().div_ceil(*size);
        u16::try_from(count).is_ok_and(|count| {
            u32::from(count) + redundancy_fragments(count, task.redundancy_percent)
                <= u32::from(MAX_FRAGMENTS)
        })
    };
    let nb_frag = image.len().div_ceil(frag_size);
    let coded = (nb_frag * usize::from(task.redundancy_percent)).div_ceil(100);
    match (1..=largest).filter(|size| size % multiple == 0).find(fits) {
        Some(smallest) => PlanError::TooManyFragments { nb_frag, coded, smallest },
        None => PlanError::ImageTooLarge { nb_frag, coded, dr: group.data_rate },
    }
}
