//! A multicast group as the gateway owns it, and what its devices can bear.

use super::listening::SessionLimits;
use super::power::Power;
use super::redundancy::Redundancy;
use crate::answers::AnswerWindow;
use crate::answers::Habit;
use crate::fragment::Ts004Version;
use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::Secret;
use crate::radio::Dbm;
use crate::region::Terms;
use crate::schedule::TxPolicy;
use crate::signing::SigningTrust;
use crate::time::GpsTime;
use core::fmt;
use serde::Deserialize;
use serde::Serialize;

/// A multicast group: address, keys, channel and manners. No Debug: it holds keys.
#[derive(Clone)]
pub struct Group {
    /// The name that tasks use.
    pub name: String,
    /// Multicast address (TS005-1.0.0 3.3).
    pub mc_addr: McAddr,
    /// What frames are made with.
    pub keys: McSessionKeys,
    /// The McKey, where the operator gave it: only `plan --setup` needs it, for McKey_encrypted.
    pub mc_key: Option<Secret>,
    /// First counter for a key that the journal does not know.
    pub first_fcnt: Option<u32>,
    /// Which parity lines the devices compute.
    pub ts004_version: Ts004Version,
    /// The FPort of DataFragment.
    pub fport: u8,
    /// When the devices listen.
    pub session: SessionRule,
    /// What the devices can bear.
    pub profile: DeviceProfile,
    /// Downlink frequency of the session, Hz.
    pub frequency_hz: u32,
    /// Downlink data rate of the session.
    pub data_rate: u8,
    /// Power that leaves the antenna.
    pub eirp: Dbm,
    /// What the operator declares about the channel.
    pub terms: Terms,
    /// Share of the air.
    pub policy: TxPolicy,
    /// Whose signatures let an image of this group on the air.
    pub trust: SigningTrust,
    /// An image from a cloud is taken without a digest or signature: the operator said so.
    pub accepts_unsigned: bool,
    /// How many sessions a campaign may have, and what each costs.
    pub sessions: SessionLimits,
    /// What a session takes from a device's battery.
    pub power: Power,
    /// An image is not looked at for what it looks like: the operator said so.
    pub takes_any_image: bool,
    /// Distance from both edges of a session, microseconds.
    pub guard_us: u64,
    /// Counters that are kept below a campaign's first, for questions to canaries: none, or as many as
    /// [`CANARY_FCNTS`](super::plan::CANARY_FCNTS) says.
    pub canary_fcnts: u32,
    /// Its devices are set up from here, through an `[[lns]]`.
    pub is_set_up_here: bool,
    /// When answers to a question come (BlockAckDelay of TS004); `None` where nobody hears them.
    pub answer_window: Option<AnswerWindow>,
    /// How many coded fragments are sent before the first question.
    pub redundancy: Redundancy,
}

/// When the devices of a group listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRule {
    /// Always: permanent Class C on the group's channel.
    Always,
    /// In sessions they are told (McClassCSessionReq).
    Windows {
        /// The length of each is 2^exponent seconds; `None`: as short as the campaign allows.
        exponent: Option<u8>,
        /// The first session's start where the task has none.
        start: Option<GpsTime>,
    },
}

/// How frames are handed over at the moment; the forwarder's side knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// A frame is handed over this long before its start, microseconds.
    pub lead_us: u64,
    /// Later than this is too late, microseconds.
    pub lead_min_us: u64,
    /// Free time between two frames, microseconds.
    pub gap_us: u64,
}

/// What is known of a device stack: how long it is deaf after a frame, and what its decoder can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceProfile {
    /// Its name in configurations.
    pub name: &'static str,
    /// End-to-start distance after an uncoded frame, microseconds: flash is written.
    pub gap_uncoded_us: u64,
    /// End-to-start distance after a coded frame, microseconds: equations are solved.
    pub gap_coded_us: u64,
    /// How often the last uncoded fragment is repeated, 0..=2.
    pub repeats: u8,
    /// The stock decoder's largest NbFrag and FragSize; `None` when unknown or set by the integrator.
    pub stock_caps: Option<(u16, u8)>,
    /// How many lost uncoded fragments the stock decoder can solve for; `None` when unknown.
    pub stock_max_lost: Option<MaxLost>,
    /// Its decoder says "complete" on a coded fragment only, even when nothing was lost.
    pub finishes_on_coded: bool,
    /// How it fills FragSessionStatusAns.
    pub habit: Habit,
    /// It remembers one session's start only, and not one far ahead.
    pub has_one_start_timer: bool,
    /// How far its clock may drift, parts per million.
    pub drift_ppm: u32,
    /// FragSize must be a multiple of this (flash word).
    pub frag_size_multiple: u8,
    /// The only version of TS004 that it has; `None` where builds differ.
    pub only_ts004: Option<Ts004Version>,
}

/// A decoder's limit of lost uncoded fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxLost {
    /// A number of fragments, whatever NbFrag is.
    Fragments(u16),
    /// A part of NbFrag, per cent.
    Percent(u16),
}

/// Devices switch their receivers at whole seconds, a second early or late, and some two.
const SWITCHING_US: u64 = 2_000_000;
/// Devices are told at most so long before their session, seconds.
pub const TOLD_BEFORE_S: u64 = 86_400;

impl DeviceProfile {
    /// How far frames stay away from the edges of a session that was told a day before at most, microseconds, whole
    /// seconds.
    pub fn guard_us(&self) -> u64 {
        (SWITCHING_US + u64::from(self.drift_ppm) * TOLD_BEFORE_S).div_ceil(1_000_000) * 1_000_000
    }

    /// The most lost uncoded fragments of `nb_frag` that the stock decoder can solve for; `None` when unknown.
    pub fn max_lost(&self, nb_frag: u16) -> Option<u16> {
        self.stock_max_lost.map(|max_lost| match max_lost {
            MaxLost::Fragments(fragments) => fragments,
            MaxLost::Percent(percent) => (u32::from(nb_frag) * u32::from(percent) / 100) as u16,
        })
    }
}

/// The first repeat of the last uncoded fragment comes at least this long after it, microseconds: a burst of
/// interference must not take both.
pub const REPEAT_DISTANCE_US: u64 = 5_000_000;

const UNKNOWN: DeviceProfile = DeviceProfile {
    name: "unknown",
    gap_uncoded_us: 1_000_000,
    gap_coded_us: 1_500_000,
    repeats: 1,
    stock_caps: None,
    stock_max_lost: None,
    finishes_on_coded: false,
    habit: Habit::Unknown,
    has_one_start_timer: false,
    drift_ppm: 50,
    frag_size_multiple: 1,
    only_ts004: None,
};

/// The stacks that are known, by their names in configurations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// Nothing is known: the widest gaps.
    #[default]
    Unknown,
    /// Semtech's LoRaMac-node.
    LoramacNode,
    /// Semtech's LoRa Basics Modem.
    Lbm,
    /// The LoRaWAN services of Zephyr.
    Zephyr,
    /// MultiTech's mDot and xDot.
    MultitechDot,
    /// Devices that need no time between frames, and count as TS004 says.
    Fast,
}

impl ProfileName {
    /// What is known of this stack.
    pub fn profile(self) -> DeviceProfile {
        match self {
            ProfileName::Unknown => UNKNOWN,
            ProfileName::LoramacNode => DeviceProfile {
                name: "loramac-node",
                habit: Habit::LoRaMacNode,
                finishes_on_coded: true,
                has_one_start_timer: true,
                repeats: 2,
                stock_caps: Some((21, 50)),
                stock_max_lost: Some(MaxLost::Fragments(5)),
                ..UNKNOWN
            },
            ProfileName::Lbm => DeviceProfile {
                name: "lbm",
                habit: Habit::Lbm,
                repeats: 2,
                stock_caps: Some((100, 242)),
                stock_max_lost: Some(MaxLost::Fragments(100)),
                ..UNKNOWN
            },
            ProfileName::Zephyr => DeviceProfile {
                name: "zephyr",
                habit: Habit::Zephyr,
                frag_size_multiple: 8,
                stock_max_lost: Some(MaxLost::Percent(20)),
                ..UNKNOWN
            },
            // The limit is that of an xDot; an mDot solves for 300.
            ProfileName::MultitechDot => DeviceProfile {
                name: "multitech-dot",
                gap_uncoded_us: 1_500_000,
                gap_coded_us: 3_000_000,
                stock_max_lost: Some(MaxLost::Fragments(150)),
                only_ts004: Some(Ts004Version::V1),
                ..UNKNOWN
            },
            ProfileName::Fast => DeviceProfile {
                name: "fast",
                habit: Habit::AsMeant,
                gap_uncoded_us: 0,
                gap_coded_us: 0,
                repeats: 0,
                ..UNKNOWN
            },
        }
    }
}

impl Default for DeviceProfile {
    fn default() -> Self {
        UNKNOWN
    }
}

impl fmt::Display for DeviceProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
impl Group {
    /// Meters in EU868 that always listen, at DR5.
    pub(super) fn example() -> Group {
        let mc_addr = McAddr::new(0x01c0_ffee);
        Group {
            name: "meters".to_owned(),
            mc_addr,
            keys: McSessionKeys::derive(&Secret::from_bytes([7; 16]), mc_addr),
            mc_key: None,
            first_fcnt: Some(2),
            ts004_version: Ts004Version::V1,
            fport: 201,
            session: SessionRule::Always,
            profile: DeviceProfile::default(),
            frequency_hz: 869_525_000,
            data_rate: 5,
            eirp: Dbm::from_whole(27),
            terms: Terms::default(),
            policy: TxPolicy::default(),
            accepts_unsigned: false,
            takes_any_image: false,
            is_set_up_here: false,
            answer_window: None,
            redundancy: Default::default(),
            canary_fcnts: 0,
            power: Default::default(),
            trust: SigningTrust::default(),
            sessions: SessionLimits::default(),
            guard_us: 10_000_000,
        }
    }
}
