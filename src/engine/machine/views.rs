//! What the engine knows, for whoever looks: pages, logs, the simulated world. Nothing changes here.

use super::Engine;
use crate::answers::Roll;
use crate::broadcast::TaskState;
use crate::campaign::Progress;
use crate::engine::answering::Answering;
use crate::engine::clocks::ClockState;
use crate::fleet::Fleet;
use crate::forwarder::LinkState;
use crate::forwarder::OtherSender;
use crate::forwarder::ServerCounts;
use crate::relay::RelayCounts;
use crate::relay::ServerSettings;
use crate::report::WaitReason;
use crate::schedule::BandUse;
use crate::schedule::Scheduler;
use crate::task::TaskId;
use crate::time::Now;
use std::collections::BTreeMap;

impl Engine {
    /// The time that is believed now.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Our own clock and the forwarder's GPS.
    pub fn clocks(&self) -> ClockState {
        self.clocks.state(self.now.mono)
    }

    /// The packet forwarder as the link sees it.
    pub fn link(&self) -> LinkState {
        self.link.state(self.now.mono)
    }

    /// Who else sends to the packet forwarder's port and is not served, at most eight.
    pub fn other_senders(&self) -> impl Iterator<Item = OtherSender> {
        self.link.other_senders()
    }

    /// What was relayed between the forwarder and its network servers.
    pub fn relayed(&self) -> RelayCounts {
        self.relay.counts()
    }

    /// How often we refused a server's downlink, by reason.
    pub fn refused_downlinks(&self) -> &BTreeMap<&'static str, u64> {
        self.relay.refusals()
    }

    /// Each network server and its figures.
    pub fn servers(&self) -> impl Iterator<Item = (&ServerSettings, ServerCounts)> {
        self.relay.servers()
    }

    /// Airtime used in every sub-band with a limit.
    pub fn bands(&self) -> Vec<BandUse> {
        self.scheduler.bands(self.now.mono)
    }

    /// The devices of a group that are set up through a network server.
    pub fn fleet(&self, group: &str) -> Option<&Fleet> {
        self.fleets.of_group(group)
    }

    /// The devices of the group's newest campaign and what they hold, where their answers are heard and its ordered
    /// fragments were sent.
    pub fn answers(&self, group: &str) -> Option<&Roll> {
        self.loops.roll(group)
    }

    /// The newest campaign of each group whose answers are heard, once its ordered fragments were sent.
    pub fn answering(&self) -> impl Iterator<Item = Answering<'_>> {
        self.loops.answering()
    }

    /// Each group whose devices are set up through a network server.
    pub fn fleets(&self) -> impl Iterator<Item = (&str, &Fleet)> {
        self.fleets.each()
    }

    /// The shortest usual distance of the uplinks of a device behind this connection, seconds; `None` while none is known.
    pub fn shortest_interval_s(&self, link: usize) -> Option<u32> {
        self.fleets.shortest_interval_s(link)
    }

    /// How far each task that is not over is; `None` while it is not planned.
    pub fn progress(&self) -> impl Iterator<Item = (&TaskId, Option<Progress>)> {
        self.broadcaster.progress()
    }

    /// What of the groups was warned of since the start: each line once.
    pub fn warned(&self) -> &[String] {
        &self.warned
    }

    /// How each task that is not over stands.
    pub fn tasks(&self) -> impl Iterator<Item = TaskState> {
        self.states(Some(&self.scheduler))
    }

    /// The same without the time left, which is found by placing every frame and takes milliseconds.
    pub fn tasks_at_a_glance(&self) -> impl Iterator<Item = TaskState> {
        self.states(None)
    }

    fn states<'a>(&'a self, scheduler: Option<&'a Scheduler>) -> impl Iterator<Item = TaskState> + 'a {
        self.broadcaster.tasks(self.now, scheduler).map(|mut state| {
            // Where its devices decide about its start, they are what it waits for.
            if let Some((wait, _)) = &mut state.wait
                && wait.reason == WaitReason::NoStart
                && let Some(reason) = self.fleets.wait(self.now, &state.task)
            {
                wait.reason = reason;
                state.waiting = Some(wait.sentence(self.now));
            }
            // Who waits for the time is told why nobody knows it.
            if let Some((wait, _)) = &mut state.wait
                && let WaitReason::Clock { dispute, .. } = &mut wait.reason
            {
                *dispute = self.clocks().dispute;
                state.waiting = Some(wait.sentence(self.now));
            }
            state
        })
    }

    /// What of every duty budget is kept for network servers, parts per million.
    pub fn reserve_ppm(&self) -> u32 {
        self.scheduler.reserve_ppm()
    }

    /// The part of usual uplinks that is promised to be heard, and the part that was in the hour that ends now, parts per
    /// million; `None` where nothing is promised.
    pub fn hearing_ppm(&self) -> Option<(u32, u32)> {
        self.scheduler.hearing().promised_and_kept_ppm(self.now.mono)
    }

    /// Whether the task ran and is over, as far as that is remembered.
    pub fn is_over(&self, task: &TaskId) -> bool {
        self.broadcaster.is_over(task)
    }

    /// The groups whose counters cannot be used, as before their keys are enrolled, and the way out of each: one line.
    pub fn unusable_groups(&self) -> impl Iterator<Item = (&str, String)> {
        self.broadcaster.unusable_groups()
    }

    /// Finished tasks that are ordered again, which does nothing, and how each ended.
    pub fn ordered_again(&self) -> impl Iterator<Item = (&TaskId, &str)> {
        self.broadcaster.ordered_again()
    }

    /// Why nothing is sent any more, after storage failed.
    pub fn halted(&self) -> Option<&str> {
        self.broadcaster.halted()
    }
}
