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
        let is_open = context.is_quiet() && progress.stop.is_none();
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
    /// The result of the device is wanted: it is asked for it at its next uplinks, while no session is to come, `questions`
    /// times in all since it was set up.
    pub fn want_result(&mut self, dev_eui: Eui64, questions: u8) {
        if let Some(index) = self.by_eui.get(&dev_eui) {
            self.devices[*index].questions_allowed = questions;
        }
    }

    /// Whether a question went to the device alone since it was set up.
    pub fn is_asked_alone(&self, dev_eui: Eui64) -> bool {
        self.by_eui.get(&dev_eui).is_some_and(|index| self.devices[*index].progress.questions > 0)
    }

    /// Whether the device was asked `questions` times, and nothing is on its way to it.
    pub fn is_asked_out(&self, dev_eui: Eui64, questions: u8) -> bool {
        let device = self.by_eui.get(&dev_eui).map(|index| &self.devices[*index].progress);
        device.is_none_or(|progress| {
            questions == 0 || progress.questions >= questions && progress.asked.is_none()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::batch::Batch;
    use crate::fleet::command::payload;
    use crate::fleet::member::Member;
    use crate::fleet::progress::Progress;
    use crate::fleet::rules::FleetRules;
    use crate::lns::Dialect;
    use crate::lns::ItemId;
    use crate::lns::Up;
    use crate::time::GpsTime;
    use crate::time::Instant;
    use crate::time::Now;

    const DEV_EUI: Eui64 = Eui64::from_bytes([7; 8]);

    fn device() -> Device {
        let member = Member {
            dev_eui: DEV_EUI,
            name: String::new(),
            mc_key_encrypted: [0; 16],
            session_mics: None,
            batch: Batch::default(),
        };
        let done = Step::FragSession.bit() | Step::FragVersion.bit();
        let mut device = Device::new(member, Progress { done, ts004: 2, ..Progress::default() });
        device.progress.habits.heard = 1;
        device.progress.habits.known = 1;
        device
    }

    fn at(s: u64, rules: &FleetRules) -> Context<'_> {
        let now = Now {
            mono: Instant::from_us(s as i64 * 1_000_000),
            gps: Some(GpsTime::from_us((1_400_000_000 + s) * 1_000_000)),
        };
        Context {
            now,
            setup: None,
            rules,
            frag_fport: 201,
            is_begun: true,
            has_sent: true,
            is_survey: false,
            is_put_off: false,
        }
    }

    fn up(f_cnt: u32, data: &[u8], sf: u8) -> Up {
        Up {
            f_cnt,
            f_port: 201,
            data: data.to_vec(),
            data_rate: None,
            modulation: Some(Modulation::LoRa { sf, bw_hz: 125_000 }),
            frequency_hz: None,
            confirmed: false,
            adr: None,
            receptions: Vec::new(),
            via_relay: false,
        }
    }

    #[test]
    fn a_data_block_that_was_reported_is_acknowledged_in_the_next_downlink_and_once() {
        let rules = FleetRules::new(Dialect::ChirpStack);
        let mut device = device();
        let context = at(100, &rules);
        assert_eq!(device.aside(&context), None);
        assert!(device.up(&context, &up(1, &[0x04, 0x00], 7), context.now.mono));
        assert_eq!(device.next(&context), Ok(Step::BlockAns));
        let bytes = payload(Step::BlockAns, &device.material(&context)).unwrap().unwrap();
        assert_eq!(bytes, (201, vec![0x04, 0x00]));
        device.push(&context, Step::BlockAns);
        assert_eq!(device.aside(&context), None);
        let item = Some(ItemId::new(DEV_EUI, &[0; 16], 0));
        device.sent(&context, item, item);
        assert_eq!(device.progress.asked, None, "no answer follows");
        assert!(device.up(&context, &up(2, &[0x04, 0x01], 7), context.now.mono));
        assert_eq!(device.aside(&context), None, "this is another session");
    }

    #[test]
    fn one_device_is_asked_no_oftener_than_its_data_rate_or_the_operator_allows() {
        let asked_after = |sf: u8, question_interval_s: Option<u32>| {
            let rules = FleetRules { question_interval_s, ..FleetRules::new(Dialect::ChirpStack) };
            let mut device = device();
            device.questions_allowed = 2;
            device.up(&at(0, &rules), &up(1, &[], sf), Instant::ZERO);
            assert_eq!(device.next(&at(0, &rules)), Ok(Step::Status));
            device.push(&at(0, &rules), Step::Status);
            device.progress.asked = None;
            let after = (0..10_000).find(|s| device.aside(&at(*s, &rules)).is_some());
            device.push(&at(5000, &rules), Step::Status);
            assert_eq!(device.aside(&at(90_000, &rules)), None, "two questions were allowed");
            after
        };
        assert_eq!([7, 10, 11, 12].map(|sf| asked_after(sf, None)), [600, 600, 3600, 3600].map(Some));
        assert_eq!([7, 12].map(|sf| asked_after(sf, Some(900))), [Some(900); 2]);
    }
}
