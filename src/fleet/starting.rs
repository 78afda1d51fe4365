//! When a campaign without a start begins, as its fleet decides it.

use super::device::Device;
use super::fleet::Fleet;
use super::fleet::Output;
use super::records;
use super::start_gate::Decision;
use super::start_gate::StartGate;
use super::start_gate::StartWhen;
use super::state::DeviceState;
use super::view::state;
use crate::store::FleetRecord;
use crate::time::Instant;
use crate::time::Now;

impl Fleet {
    /// Lets trials go on, and decides the campaign's start when it is time, where the group has a rule for that
    /// and the task has no start. Nothing happens while the campaign is put off.
    pub fn advance(&mut self, now: Now) {
        if self.shared.is_put_off {
            return;
        }
        self.advance_trials(now);
        if self.is_gate_due {
            self.weigh_trials(now);
        }
        self.decide(now);
    }

    fn decide(&mut self, now: Now) {
        let (Some(rule), Some(gps)) = (self.shared.rules.start_when, now.gps) else { return };
        let Some(setup) = self.shared.setup.as_ref().filter(|setup| !setup.channel.is_always) else { return };
        let is_latest = self.gate.is_some_and(|gate| gate.start.is_none() && gps >= gate.latest(&rule));
        if !setup.windows.is_empty() || !self.is_gate_due && !is_latest {
            return;
        }
        self.is_gate_due = false;
        let known = self.gate.filter(|gate| gate.setup == setup.digest());
        let Some(mut gate) = known else {
            self.keep_gate(StartGate::new(setup, gps));
            self.is_gate_due = true;
            return;
        };
        if let Some(start) = gate.start {
            // Decided in an earlier life.
            return self.outputs.push_back(Output::Start(start));
        }
        let context = self.shared.context(now);
        let is_told =
            |device: &&Device| matches!(state(device, &context), DeviceState::Told | DeviceState::Proved);
        let intervals = self.devices.iter().filter(is_told).map(|device| device.progress.habits.interval_s);
        let slowest_s =
            intervals.clone().max().filter(|_| intervals.clone().all(|interval_s| interval_s > 0));
        let readiness = self.readiness(now);
        let canaries = self.devices.iter().filter(is_told);
        let told_again = canaries.filter_map(|device| device.due(&context).told_again_by(gps)).max();
        match gate.decide(&rule, &readiness, slowest_s, gps, told_again) {
            Decision::Wait => {}
            Decision::Start(start) => {
                gate.start = Some(start);
                self.keep_gate(gate);
            }
            Decision::TooFew => self.outputs.push_back(Output::TooFewReady(readiness)),
        }
    }

    /// When a campaign without a start begins; `None` where it waits for one.
    pub fn start_when(&self) -> Option<&StartWhen> {
        self.shared.rules.start_when.as_ref()
    }

    /// When [`Fleet::advance`] wants to be called again although nothing happened.
    pub fn wake_at(&self, now: Now) -> Option<Instant> {
        if self.shared.is_put_off {
            return None;
        }
        self.gate_wakes_at(now).into_iter().chain(self.trials_wake_at(now)).min()
    }

    fn gate_wakes_at(&self, now: Now) -> Option<Instant> {
        let gate = self.gate.filter(|gate| gate.start.is_none())?;
        let latest = gate.latest(self.shared.rules.start_when.as_ref()?);
        self.shared.setup.as_ref().filter(|setup| setup.digest() == gate.setup)?;
        now.instant_of(latest).filter(|latest| *latest > now.mono)
    }

    fn keep_gate(&mut self, gate: StartGate) {
        self.gate = Some(gate);
        let id = records::id(self.key, records::START);
        self.outputs.push_back(Output::Save(FleetRecord { id, bytes: gate.to_bytes(self.key) }));
    }
}
