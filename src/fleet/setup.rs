//! What the devices of a group are told for one campaign.

use super::frag_session::FragSession;
use crate::lorawan::Eui64;
use crate::lorawan::McAddr;
use crate::lorawan::PackageVersion;
use crate::radio::Modulation;
use crate::report::Planned;
use crate::time::GpsTime;
use core::ops::Range;
use sha2::Digest;
use sha2::Sha256;
use std::collections::BTreeSet;

/// Some device stacks take the time-out of group 0 for every group, and hold one group only.
pub(super) const MC_GROUP_ID: u8 = 0;
/// The highest maxMcFCount: some stacks count 16 bits only.
const MAX_MC_FCOUNT: u32 = 65_535;
/// The few canaries of a batch answer within 32 s.
const CANARY_BLOCK_ACK_DELAY: u8 = 1;

/// One Class C session (TS005-1.0.0 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its start, a whole GPS second.
    pub start: GpsTime,
    /// TimeOut: it lasts 2^exponent seconds, 0 to 15.
    pub exponent: u8,
}

impl Window {
    /// The first moment after the session.
    pub fn end(self) -> GpsTime {
        self.start.plus_us(1_000_000 << self.exponent.min(15))
    }
}

/// The channel of a group's sessions, and what else the group settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// McAddr of the group.
    pub mc_addr: McAddr,
    /// Version of TS004 that the campaign's coded fragments are made for.
    pub ts004_version: PackageVersion,
    /// FPort of TS004's commands and fragments.
    pub frag_fport: u8,
    /// DLFrequ of the session, Hz.
    pub frequency_hz: u32,
    /// DR of the session.
    pub data_rate: u8,
    /// The modulation of that data rate.
    pub modulation: Modulation,
    /// The devices always listen: they are told no session.
    pub is_always: bool,
    /// How far a device's clock may be off, microseconds: the distance of frames from both edges of a session.
    pub guard_us: u64,
    /// BlockAckDelay, 0 to 7: answers to a question to the group come within 2^(BlockAckDelay + 4) s.
    pub block_ack_delay: u8,
}

/// What the devices of a group are told for one campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The task that the campaign carries out.
    pub task: String,
    /// The group and the channel of its sessions.
    pub channel: Channel,
    /// Counters for questions to canaries, all below the campaign's first.
    pub canary_fcnts: Range<u32>,
    /// minMcFCount: one below the first counter that is used.
    pub min_mc_fcount: u32,
    /// maxMcFCount: one above every counter that the campaign may ever use.
    pub max_mc_fcount: u32,
    /// NbFrag: number of uncoded fragments.
    pub nb_frag: u16,
    /// FragSize: bytes of a fragment.
    pub frag_size: u8,
    /// Padding: filler bytes of the last uncoded fragment.
    pub padding: u8,
    /// Descriptor: four bytes for the devices.
    pub descriptor: [u8; 4],
    /// SHA-256 of the image, for devices of TS004-2.0.0.
    pub image_sha256: Option<[u8; 32]>,
    /// The sessions, ascending; empty where the devices always listen, and while the start is not known.
    pub windows: Vec<Window>,
    /// The devices that it is for; `None` for all of the group. The others are told nothing of it.
    pub only: Option<BTreeSet<Eui64>>,
    /// Only coded fragments are sent, to devices that hold the fragmentation session: none is set up.
    pub is_coded_only: bool,
}

impl Setup {
    /// The setup for a planned campaign.
    pub fn new(task: &str, planned: &Planned, channel: Channel) -> Setup {
        let window = |(start, exponent): &(GpsTime, u8)| Window { start: *start, exponent: *exponent };
        let canary_fcnts = planned.first_fcnt.saturating_sub(planned.canary_fcnts)..planned.first_fcnt;
        Setup {
            task: task.to_owned(),
            channel,
            min_mc_fcount: canary_fcnts.start.saturating_sub(1),
            canary_fcnts,
            max_mc_fcount: planned.end_fcnt.saturating_add(1).min(MAX_MC_FCOUNT),
            nb_frag: planned.nb_frag,
            frag_size: planned.frag_size,
            padding: planned.padding,
            descriptor: planned.descriptor,
            image_sha256: planned.sha256.map(|sha256| *sha256.as_bytes()),
            windows: planned.sessions.iter().map(window).collect(),
            only: planned.only.as_deref().cloned(),
            is_coded_only: planned.is_coded_only,
        }
    }

    /// Whether it is for this device.
    pub fn is_for(&self, dev_eui: Eui64) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&dev_eui))
    }

    /// BlockAckDelay for a device; canaries answer sooner than a whole group could.
    pub(super) fn block_ack_delay_of(&self, is_candidate: bool) -> u8 {
        let of_group = self.channel.block_ack_delay;
        if is_candidate { of_group.min(CANARY_BLOCK_ACK_DELAY) } else { of_group }
    }

    /// The name of its fragmentation session in the devices' records.
    pub(super) fn frag_session(&self) -> [u8; 8] {
        let session = FragSession {
            version: self.channel.ts004_version,
            nb_frag: self.nb_frag,
            frag_size: self.frag_size,
            padding: self.padding,
            descriptor: self.descriptor,
            sha256: self.image_sha256,
        };
        session.digest()
    }

    /// The fragmentation session that its devices must hold already, where only coded fragments are sent.
    pub(super) fn kept_session(&self) -> Option<[u8; 8]> {
        self.is_coded_only.then(|| self.frag_session())
    }

    /// What devices hold of it besides the sessions: where it differs they are told anew.
    pub(super) fn digest(&self) -> [u8; 8] {
        let Channel { mc_addr, ts004_version, .. } = self.channel;
        let hash = Sha256::new()
            .chain_update(self.task.as_bytes())
            .chain_update(mc_addr.as_u32().to_le_bytes())
            .chain_update(self.min_mc_fcount.to_le_bytes())
            .chain_update(self.max_mc_fcount.to_le_bytes())
            .chain_update(self.nb_frag.to_le_bytes())
            .chain_update([self.frag_size, self.padding, ts004_version.number()])
            .chain_update(self.descriptor)
            .finalize();
        let mut digest = [0; 8];
        digest.copy_from_slice(&hash[..8]);
        digest
    }
}
