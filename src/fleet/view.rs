//! A device as people and programs see it.

use super::device::Device;
use super::due::Context;
use super::due::Hold;
use super::progress::Stop;
use super::state::DeviceState;
use super::step::Step;
use crate::answers::Holding;
use crate::lorawan::Eui64;
use serde::Serialize;

/// So many unanswered commands make a device silent.
const SILENT_TRIES: u8 = 6;
/// Without an uplink for so many of its intervals a device is silent.
const SILENT_INTERVALS: u64 = 4;

/// Who sent only once may send once a day, seconds.
const DAY_S: u64 = 86_400;

/// One device at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceView<'a> {
    /// DevEUI, 16 hex digits.
    #[serde(serialize_with = "as_text")]
    pub dev_eui: Eui64,
    /// Name of the device in the configuration.
    pub name: &'a str,
    /// How far it is, in our word.
    pub state: DeviceState,
    /// How far it is, in the word of AWS's FuotaDeviceStatus.
    pub aws: &'static str,
    /// Why it is not further, or why it cannot take part: one line.
    pub reason: String,
    /// The command on its way, or the one that is next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// PackageVersion of TS004, where the device told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts004: Option<u8>,
    /// PackageVersion of TS005, where the device told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts005: Option<u8>,
    /// PackageVersion of TS003, where the device told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts003: Option<u8>,
    /// The usual distance of two uplinks, seconds; 0 while it is not known.
    pub interval_s: u32,
    /// Of the last uplinks so many were heard here well enough.
    pub heard_here: u32,
    /// How many uplinks that is of, at most 10.
    pub heard_of: u8,
    /// Our downlinks for it so far.
    pub downlinks: u32,
    /// What it holds of the newest campaign's image, where its answers are heard; whoever hears them fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Holding>,
    /// The days until it is told, as far as its uplinks let one guess; 0 when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_to_told: Option<u32>,
}

/// Each step costs one uplink when the network server is quick; lost answers cost more.
const UPLINKS_TO_TOLD: u64 = 4;

impl<'a> DeviceView<'a> {
    pub(super) fn new(device: &'a Device, context: &Context<'_>) -> DeviceView<'a> {
        let progress = &device.progress;
        let state = state(device, context);
        let context = &context.of(device.member.dev_eui);
        let known = |version: u8| (version != 0).then_some(version);
        let next = device.next(context);
        let reason = match (state, next) {
            (DeviceState::Refused(refusal), _) => refusal.to_string(),
            (DeviceState::Conflict, _) => {
                "it answered what nobody here asked: another FUOTA is at work; stop that one, then `retry`"
                    .to_owned()
            }
            (DeviceState::LostState, Err(hold @ Hold::NotHeld)) => hold.sentence().to_owned(),
            (DeviceState::LostState, _) => {
                "it restarted after the first fragment and lost its session".to_owned()
            }
            (DeviceState::NotNeeded, _) => {
                "the newest campaign is for other devices of its group: it held the image before".to_owned()
            }
            (_, Err(hold)) => hold.sentence().to_owned(),
            (_, Ok(step)) => format!("{step} goes out after its next uplink"),
        };
        let step = progress.asked.map(|asked| asked.step).or(device.step(context).ok());
        let interval_s = u64::from(progress.habits.interval_s);
        let days = (UPLINKS_TO_TOLD * interval_s).div_ceil(86_400) as u32;
        let days_to_told = match state {
            DeviceState::Told | DeviceState::Proved => Some(0),
            DeviceState::Initial | DeviceState::Asked(_) if interval_s > 0 => Some(days),
            _ => None,
        };
        DeviceView {
            dev_eui: device.member.dev_eui,
            name: &device.member.name,
            state,
            aws: state.aws_word(),
            reason,
            command: step.map(|step| step.to_string()),
            ts004: known(progress.ts004),
            ts005: known(progress.ts005),
            ts003: known(progress.ts003),
            interval_s: progress.habits.interval_s,
            heard_here: progress.habits.heard.count_ones(),
            heard_of: progress.habits.known,
            downlinks: progress.next_item_no,
            result: None,
            days_to_told,
        }
    }
}

fn as_text<S: serde::Serializer>(dev_eui: &Eui64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(dev_eui)
}

/// How far the device is.
pub(super) fn state(device: &Device, context: &Context<'_>) -> DeviceState {
    let progress = &device.progress;
    if context.is_left_out(device.member.dev_eui) {
        return DeviceState::NotNeeded;
    }
    match progress.stop {
        Some(Stop::Refused(refusal)) => return DeviceState::Refused(refusal),
        Some(Stop::Conflict) => return DeviceState::Conflict,
        Some(Stop::LostState) => return DeviceState::LostState,
        None => {}
    }
    if device.step(context) == Err(Hold::NotHeld) {
        return DeviceState::LostState;
    }
    if device.is_told(context) {
        return if progress.is_proved { DeviceState::Proved } else { DeviceState::Told };
    }
    let (habits, now_s) = (progress.habits, context.now.gps.map_or(0, |gps| gps.session_time()));
    let quiet_s = u64::from(now_s.saturating_sub(habits.last_s));
    let interval_s = if habits.interval_s == 0 { DAY_S } else { u64::from(habits.interval_s) };
    let is_quiet = habits.last_s != 0 && quiet_s > SILENT_INTERVALS * interval_s;
    if habits.is_out_of_reach() {
        DeviceState::NotHeardHere
    } else if progress.tries >= SILENT_TRIES || is_quiet {
        DeviceState::Silent
    } else if let Some(asked) = progress.asked {
        DeviceState::Asked(asked.step)
    } else if progress.ever_asked == 0 {
        DeviceState::Initial
    } else {
        match device.step(context) {
            Ok(step) => DeviceState::Asked(step),
            Err(Hold::Unproved | Hold::Canary | Hold::Doubted) => DeviceState::Asked(Step::McSession),
            Err(_) => DeviceState::Initial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::state::Refusal;

    #[test]
    fn every_state_has_a_word_of_ours_and_one_of_aws() {
        for refusal in Refusal::ALL {
            assert_eq!(DeviceState::Refused(refusal).word(), "refused");
        }
        assert_eq!(DeviceState::Conflict.aws_word(), "Device_exist_in_conflict_fuota_task");
    }
}
