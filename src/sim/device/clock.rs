//! A device's clock and its setting by TS003.

use crate::lorawan::ts003::Answer;
use crate::lorawan::ts003::PACKAGE_ID;
use crate::lorawan::ts003::Request;
use crate::sim::device::end_device::Device;
use crate::time::Now;

const US_PER_S: i64 = 1_000_000;
const TOKEN_MASK: u8 = 0x0f;

impl Device {
    /// GPS time as this device believes, microseconds; 0 while it has none, as with the clocks of real stacks.
    pub(super) fn believed_us(&self, now: Now) -> u64 {
        now.gps.map_or(0, |gps| gps.as_us().saturating_add_signed(self.clock_error_us))
    }

    /// Carries out one command of TS003 and returns its answer.
    pub(super) fn ts003(&mut self, now: Now, request: &Request) -> Option<Answer> {
        let believed_s = (self.believed_us(now) / US_PER_S.unsigned_abs()) as u32;
        match *request {
            Request::PackageVersion => Some(Answer::PackageVersion {
                package_identifier: PACKAGE_ID,
                package_version: self.package_version().number(),
            }),
            Request::AppTime { time_correction, token_ans } => {
                if token_ans == self.time_token {
                    self.time_token = (self.time_token + 1) & TOKEN_MASK;
                    let correction_us = i64::from(time_correction) * US_PER_S;
                    self.clock_error_us = self.clock_error_us.saturating_add(correction_us);
                }
                None
            }
            Request::DeviceAppTimePeriodicity { .. } => Some(Answer::DeviceAppTimePeriodicity {
                not_supported: self.rules().own_periodicity,
                time: believed_s,
            }),
            // One request stands for all its repetitions.
            Request::ForceDeviceResync { nb_transmissions } => (nb_transmissions > 0).then_some({
                Answer::AppTime {
                    device_time: believed_s,
                    token_req: self.time_token,
                    ans_required: !self.rules().own_periodicity,
                }
            }),
        }
    }
}
