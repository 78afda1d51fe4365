//! A meter: a device with its uplinks.

use super::script::MeterScript;
use crate::sim::device::Device;
use crate::sim::device::Settings;
use crate::sim::random::Random;
use crate::time::Now;

/// An answer needs so long at least and at most, microseconds.
const ANSWER_US: (u64, u64) = (1_200_000, 3_000_000);
/// Answers that wait for an uplink, at most.
const LATE_MAX: usize = 8;

/// One meter.
pub(super) struct Meter {
    pub(super) script: MeterScript,
    pub(super) dev_eui: String,
    settings: Settings,
    pub(super) device: Device,
    pub(super) f_cnt: u32,
    is_losing: bool,
    /// Answers that come with later uplinks.
    pub(super) late: Vec<(u8, Vec<u8>)>,
    /// The fields of the last group, fragmentation and session command that it accepted.
    pub(super) random: Random,
    pub(super) restarts: u64,
}

impl Meter {
    pub(super) fn new(script: MeterScript, dev_eui: String, settings: Settings, random: Random) -> Meter {
        let device = Device::new(settings.clone(), random.clone());
        Meter {
            script,
            dev_eui,
            settings,
            device,
            f_cnt: 0,
            is_losing: false,
            late: Vec::new(),
            random,
            restarts: 0,
        }
    }

    /// The distance to its next uplink, microseconds.
    pub(super) fn interval_us(&mut self) -> u64 {
        let interval_us = self.script.interval_s * 1_000_000;
        interval_us - interval_us / 40 + self.random.below(interval_us / 20)
    }

    /// Whether the air loses its next uplink: a run of losses ends with one in two.
    pub(super) fn loses_uplink(&mut self) -> bool {
        let loss_ppm = u64::from(self.script.loss_ppm);
        // The chance that a run begins makes runs of two on average come to the whole.
        let begins_ppm = (500_000 * loss_ppm).checked_div(1_000_000 - loss_ppm.min(999_999)).unwrap_or(0);
        let chance_ppm = if self.is_losing { 500_000 } else { begins_ppm as u32 };
        self.is_losing = loss_ppm > 0 && self.random.chance_ppm(chance_ppm);
        self.is_losing
    }

    /// It hears a downlink; its answers, and after how many microseconds each goes out. Late ones wait for an uplink.
    pub(super) fn downlink(&mut self, now: Now, f_port: u8, payload: &[u8]) -> Vec<(u64, u8, Vec<u8>)> {
        let mut answers = self.device.unicast(now, f_port, payload);
        let key = (f_port, payload.first().copied().unwrap_or_default());
        if let Some(bytes) = self.script.says.get(&key) {
            answers = if bytes.is_empty() { Vec::new() } else { vec![(f_port, bytes.clone())] };
        }
        let mut due = Vec::new();
        for (port, bytes) in answers {
            if self.random.chance_ppm(self.script.late_ppm) && self.late.len() < LATE_MAX {
                self.late.push((port, bytes));
            } else {
                due.push((self.random.range(ANSWER_US.0, ANSWER_US.1), port, bytes));
            }
        }
        due
    }

    /// It restarts: everything it was told is gone, and its counter begins anew.
    pub(super) fn restart(&mut self) {
        self.restarts += 1;
        self.device = Device::new(self.settings.clone(), self.random.split(self.restarts));
        self.f_cnt = 0;
        self.late.clear();
    }
}
