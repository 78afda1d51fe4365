//! Settings of one device.

use crate::fragment::MAX_FRAG_SIZE;
use crate::fragment::MAX_FRAGMENTS;
use crate::fragment::Ts004Version;
use crate::lorawan::RootKey;
use crate::radio::Modulation;
use crate::region::Parameters;
use crate::sim::device::stack::Stack;

/// The properties and limits of one device.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in reports.
    pub name: String,
    /// The LoRaWAN stack that it runs.
    pub stack: Stack,
    /// Version of TS004, and with it of TS003 and TS005.
    pub ts004_version: Ts004Version,
    /// What it shares with whoever sets up its groups and blocks.
    pub root_key: RootKey,
    /// The region it was built for: it refuses other frequencies and data rates.
    pub region: &'static Parameters,
    /// Highest NbFrag its decoder has memory for.
    pub max_fragments: u16,
    /// Highest FragSize its decoder has memory for, bytes.
    pub max_fragment_size: u8,
    /// Most lost uncoded fragments its decoder can solve for.
    pub max_lost: u16,
    /// How long it hears nothing after an uncoded fragment, because it writes flash, microseconds.
    pub deaf_after_uncoded_us: u64,
    /// How long it hears nothing after a coded fragment, because it solves equations, microseconds.
    pub deaf_after_coded_us: u64,
    /// Listens there (frequency in Hz) from the moment a group is set up, whenever no session has it elsewhere.
    pub permanent_class_c: Option<(u32, Modulation)>,
    /// How far its clock is ahead of GPS time, microseconds; behind it when negative.
    pub clock_error_us: i64,
}

/// Below the gaps that the broadcaster keeps for stacks of which nobody knows better, 1 s and 1.5 s.
const DEAF_AFTER_UNCODED_US: u64 = 800_000;
const DEAF_AFTER_CODED_US: u64 = 1_200_000;

impl Settings {
    /// A device as its stack comes out of the box, TS004-1.0.0, with a perfect clock: LoRaMac-node holds 21 x 50
    /// bytes and solves for 5 lost fragments, LBM 100 x 242 bytes and as many lost; lora-rs leaves
    /// that to the application; the ideal device has no limits and is never deaf.
    pub fn stock(stack: Stack, name: String, root_key: RootKey, region: &'static Parameters) -> Settings {
        let (max_fragments, max_fragment_size, max_lost) = match stack {
            Stack::LoRaMacNode => (21, 50, 5),
            Stack::Lbm => (100, 242, 100),
            // An xDot; an mDot solves for 300.
            Stack::MultitechDot => (MAX_FRAGMENTS, MAX_FRAG_SIZE as u8, 150),
            Stack::LoraRs | Stack::Zephyr | Stack::Ideal => {
                (MAX_FRAGMENTS, MAX_FRAG_SIZE as u8, MAX_FRAGMENTS)
            }
        };
        let is_real = stack != Stack::Ideal;
        Settings {
            name,
            stack,
            ts004_version: Ts004Version::V1,
            root_key,
            region,
            max_fragments,
            max_fragment_size,
            max_lost,
            deaf_after_uncoded_us: if is_real { DEAF_AFTER_UNCODED_US } else { 0 },
            deaf_after_coded_us: if is_real { DEAF_AFTER_CODED_US } else { 0 },
            permanent_class_c: None,
            clock_error_us: 0,
        }
    }
}
