//! What came of a world, for people and for JSON.

use super::device::State;
use super::lns::FieldSummary;
use super::network::NetworkCounts;
use super::referee::BandAir;
use super::referee::Verdict;
use super::results::GroupResult;
use crate::radio::Modulation;
use crate::relay::RelayCounts;
use crate::report::Event;
use crate::report::Planned;
use crate::report::Report;
use crate::time::GpsTime;
use crate::time::Instant;
use std::collections::BTreeMap;

/// The result of a simulated world.
#[derive(Clone, Debug)]
pub struct Summary {
    /// GPS time at the world's zero.
    pub zero: GpsTime,
    /// The seed it came from.
    pub seed: u64,
    /// When the world ended.
    pub end: Instant,
    /// The plan, if there was one.
    pub planned: Option<Planned>,
    /// Every report but those of single frames.
    pub reports: Vec<Report>,
    /// Frames of campaigns as the forwarder accepted them.
    pub frames: Vec<SentFrame>,
    /// What became of each device, in the script's order.
    pub devices: Vec<DeviceResult>,
    /// The referee's judgement of everything on the air.
    pub verdict: Verdict,
    /// Uplinks of other devices: offered to the gateway, and lost because it was sending.
    pub uplinks: (u64, u64),
    /// Of those lost, how many had each data rate.
    pub deaf_to: BTreeMap<Modulation, u64>,
    /// What became of the gateway's normal traffic, where there is a network server.
    pub network: Option<NetworkCounts>,
    /// What came of the set-ups through each network server; empty: devices were set up beforehand.
    pub fields: Vec<FieldSummary>,
    /// What the devices of each group hold by their answers, where these are heard.
    pub results: Vec<GroupResult>,
    /// What the relay counted in the gateway's last life.
    pub relay: RelayCounts,
    /// Frames that the forwarder accepted and never sent.
    pub swallowed: u64,
    /// Images that devices completed and that were those of the task they were set up for.
    pub completions: u64,
    /// Tasks that were refused or are over.
    pub over: u64,
    /// Lives of the gateway beyond the first.
    pub restarts: u32,
    /// Bytes written to the disk, 4 KiB for each synced page.
    pub disk_bytes: u64,
}

/// One frame of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentFrame {
    /// Frame number in its campaign.
    pub frame_no: u32,
    /// FCnt, 32 bits, that it carried.
    pub fcnt: u32,
    /// When it went on the air.
    pub start: Instant,
}

/// What a device made of it.
#[derive(Clone, Debug)]
pub struct DeviceResult {
    /// Name of the device in the script.
    pub name: String,
    /// Complete, or how far and why not.
    pub state: State,
    /// Fragments that its decoder took.
    pub heard: u32,
    /// Frames the air took from it.
    pub lost: u64,
    /// Uncoded fragments it was missing when the coded ones began.
    pub lost_uncoded: u16,
    /// Coded fragments its decoder used.
    pub coded_used: u16,
    /// Frames it missed because it was busy with the one before.
    pub missed_deaf: u32,
    /// Time its receiver was open, microseconds.
    pub listening_us: u64,
}

impl Summary {
    /// Devices that hold the image, and hold the right one.
    pub fn complete(&self) -> usize {
        self.verdict.devices_complete
    }

    /// What the referee of set-ups found wrong, and who is called done and is not.
    pub fn broken_promises(&self) -> impl Iterator<Item = &str> {
        let set_ups = self.fields.iter().flat_map(|field| &field.breaches);
        set_ups.chain(self.results.iter().flat_map(|result| &result.breaches)).map(String::as_str)
    }

    /// Airtime of everything, microseconds.
    pub fn airtime_us(&self) -> u64 {
        self.verdict.bands.iter().map(|band: &BandAir| band.airtime_us).sum()
    }

    /// The first thing that stopped a task, if anything did.
    pub fn refusal(&self) -> Option<&str> {
        self.reports.iter().find_map(|report| match &report.event {
            Event::Refused { reason } | Event::Halted { reason } => Some(reason.as_str()),
            _ => None,
        })
    }
}
