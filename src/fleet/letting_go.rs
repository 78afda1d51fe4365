//! A device that holds the image and is still in its session: the group is deleted there, in the window of an uplink that
//! came anyway, where its stack ends the session with it (TS005-1.0.0 4.4).

use super::device::Device;
use super::due::Context;
use super::fleet::Fleet;
use crate::lorawan::Eui64;

/// What is left of a session must be worth a downlink, seconds.
const WORTH_S: u32 = 60;

impl Device {
    /// Whether its group is to be deleted now.
    pub(super) fn is_to_let_go(&self, context: &Context<'_>) -> bool {
        let Some(gps) = context.now.gps.filter(|_| context.rules.deletes_group && context.is_begun) else {
            return false;
        };
        let is_wanted = self.holds_image && !self.is_let_go && self.progress.stop.is_none();
        let due = self.due(context);
        let left_s = due.told_until_s(gps).saturating_sub(gps.session_time());
        is_wanted && due.is_in_session(gps) && left_s >= WORTH_S
    }
}

impl Fleet {
    /// The device said whether it holds the image.
    pub fn holds_image(&mut self, dev_eui: Eui64, holds_image: bool) {
        if let Some(index) = self.by_eui.get(&dev_eui) {
            self.devices[*index].holds_image = holds_image;
        }
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
    use crate::fleet::step::Step;
    use crate::lns::Dialect;
    use crate::time::GpsTime;
    use crate::time::Instant;
    use crate::time::Now;

    const SESSION_S: u32 = 1_000_000_000;

    fn device() -> Device {
        let member = Member {
            dev_eui: Eui64::from_bytes([7; 8]),
            name: String::new(),
            mc_key_encrypted: [0; 16],
            session_mics: None,
            batch: Batch::default(),
        };
        let progress = Progress { session_told: SESSION_S, exponent_told: 9, ..Progress::default() };
        let mut device = Device::new(member, progress);
        device.holds_image = true;
        device
    }

    fn at(after_s: u32, rules: &FleetRules) -> Context<'_> {
        let gps = GpsTime::from_us(u64::from(SESSION_S + after_s) * 1_000_000);
        let now = Now { mono: Instant::from_us(i64::from(after_s) * 1_000_000), gps: Some(gps) };
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

    fn due(device: &Device, after_s: u32, deletes_group: bool) -> Option<Step> {
        let rules = FleetRules { deletes_group, ..FleetRules::new(Dialect::ChirpStack) };
        device.aside(&at(after_s, &rules))
    }

    #[test]
    fn a_device_that_holds_the_image_leaves_its_session_while_that_is_worth_a_downlink() {
        let mut device = device();
        let when = [0, 300, 452, 453, 512, 5000].map(|after_s| due(&device, after_s, true));
        assert_eq!(
            when,
            [Some(Step::McDelete), Some(Step::McDelete), Some(Step::McDelete), None, None, None]
        );
        assert_eq!(due(&device, 300, false), None, "its stack would listen on");
        device.holds_image = false;
        assert_eq!(due(&device, 300, true), None);
    }

    #[test]
    fn the_command_waits_in_no_queue_beyond_the_session_and_is_given_once() {
        let mut device = device();
        let rules = FleetRules { deletes_group: true, ..FleetRules::new(Dialect::ChirpStack) };
        let context = at(300, &rules);
        let bytes = payload(Step::McDelete, &device.material(&context)).unwrap();
        assert_eq!(bytes, Some((200, vec![0x03, 0x00])));
        assert_eq!(device.push(&context, Step::McDelete).expires_s, SESSION_S + 512);
        assert_eq!(device.aside(&context), None);
    }
}
