//! Questions to single devices after a campaign, what they hold, and the acknowledgement that TS004-2.0.0 devices wait for.

use super::device::Device;
use super::due::Context;
use super::fleet::Fleet;
use super::step::Step;
use crate::lorawan::Eui64;
use crate::radio::Modulation;

/// A device is asked alone so often, at most.
pub const QUESTIONS_ALONE: u8 = 5;
/// Between two questions to one device where the operator says nothing: seconds, at SF11 and SF12 and above them.
const USUAL_S: (u32, u32) = (3600, 600);
const SLOW_FROM_SF: u8 = 11;

impl Device {
    /// What is asked of the device, or told it, beside the set-up of a campaign.
    pub(super) fn aside(&self, context: &Context<'_>) -> Option<Step> {
        if self.owes_ack {
            return Some(Step::BlockAns);
        }
        let progress = &self.progress;
        let is_open = context.setup.is_none() && progress.stop.is_none();
        let is_left = progress.questions < self.questions_allowed && progress.has_done(Step::FragSession);
        let is_slow = match self.modulation {
            Some(Modulation::LoRa { sf, .. }) => sf >= SLOW_FROM_SF,
            Some(Modulation::Gfsk { .. }) => false,
            None => true,
        };
        let usual_s = if is_slow { USUAL_S.0 } else { USUAL_S.1 };
        let interval_s = context.rules.question_interval_s.unwrap_or(usual_s);
        let now_s = context.now.gps.map_or(0, |gps| gps.session_time());
        let is_time = progress.questions == 0 || now_s >= progress.question_s.saturating_add(interval_s);
        (is_open && is_left && is_time).then_some(Step::Status)
    }
}

impl Fleet {
    /// The result of the device is wanted: it is asked for it at its next uplinks, while no campaign is set up, `questions`
    /// times in all since it was set up.
    pub fn want_result(&mut self, dev_eui: Eui64, questions: u8) {
        if let Some(index) = self.by_eui.get(&dev_eui) {
            self.devices[*index].questions_allowed = questions;
        }
    }

    /// Whether the device was asked `questions` times, and nothing is on its way to it.
    pub fn is_asked_out(&self, dev_eui: Eui64, questions: u8) -> bool {
        let device = self.by_eui.get(&dev_eui).map(|index| &self.devices[*index].progress);
        device.is_none_or(|progress| {
            questions == 0 || progress.questions >= questions && progress.asked.is_none()
        })
    }
}
