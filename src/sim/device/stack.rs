//! Where the stacks differ: one table for each.

use crate::lorawan::PackageVersion;
use core::fmt;
use core::str::FromStr;

/// The LoRaWAN software of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stack {
    /// LoRaMac-node with its LmHandler packages. Itself it has TS004-1.0.0 only; a device that is said to have
    /// version 2 speaks that under the same rules.
    LoRaMacNode,
    /// LoRa Basics Modem (SWL2001).
    Lbm,
    /// lora-rs for the group and its counters; the fragments belong to the application, here an ideal one.
    LoraRs,
    /// The LoRaWAN services of Zephyr.
    Zephyr,
    /// MultiTech's mDot and xDot: TS005 of version 2 beside TS004 of version 1.
    MultitechDot,
    /// What the documents ask for, without any limit.
    Ideal,
}

/// A name that is no stack's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is no device stack: write `loramac-node`, `lbm`, `lora-rs`, `zephyr`, `multitech-dot` or `ideal`"
)]
pub struct UnknownStack {
    /// The name, cut after 32 characters.
    pub name: String,
}

const NAMES: [(Stack, &str); 6] = [
    (Stack::LoRaMacNode, "loramac-node"),
    (Stack::Lbm, "lbm"),
    (Stack::LoraRs, "lora-rs"),
    (Stack::Zephyr, "zephyr"),
    (Stack::MultitechDot, "multitech-dot"),
    (Stack::Ideal, "ideal"),
];

impl FromStr for Stack {
    type Err = UnknownStack;

    fn from_str(name: &str) -> Result<Self, UnknownStack> {
        let found = NAMES.into_iter().find(|(_, known)| *known == name);
        found.map(|(stack, _)| stack).ok_or_else(|| UnknownStack { name: name.chars().take(32).collect() })
    }
}

/// As in scenarios: `loramac-node`, `lbm`, `lora-rs`, `zephyr`, `multitech-dot`, `ideal`.
impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.into_iter().find(|(stack, _)| stack == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl Stack {
    pub(super) fn rules(self) -> &'static Rules {
        match self {
            Stack::LoRaMacNode => &LORAMAC_NODE,
            Stack::Lbm => &LBM,
            Stack::LoraRs => &LORA_RS,
            Stack::Zephyr => &ZEPHYR,
            Stack::MultitechDot => &MULTITECH_DOT,
            Stack::Ideal => &IDEAL,
        }
    }
}

/// What one stack does where another does something else.
#[derive(Debug)]
pub(super) struct Rules {
    // Frame counters (TS005-1.0.0 4.3, TS001-1.0.4 4.3.1.5).
    /// The first frame's low half is the whole counter; else it is completed upwards from minMcFCount.
    pub first_at_face_value: bool,
    /// The low half is the whole counter for ever; the first frame must lie above minMcFCount, and 0 passes always.
    pub counts_16_bits: bool,
    /// A frame with maxMcFCount or more ends the session, its content lost.
    pub max_ends_session: bool,
    /// maxMcFCount itself is still accepted; the text excludes it.
    pub max_is_accepted: bool,
    /// minMcFCount above maxMcFCount means no bounds instead of no frames.
    pub inverted_bounds_are_none: bool,
    /// The counter is unknown again at every session's start, and the bounds are gone after its end.
    pub forgets_counter_with_session: bool,

    // TS005.
    /// A setup of a group does not touch its session; while that runs, not even address and keys.
    pub setup_spares_session: bool,
    /// The stack answers McGroupStatusReq (TS005-1.0.0 4.2).
    pub has_group_status: bool,
    /// Every session lasts as long as the one last told for group 0.
    pub time_out_of_group_0: bool,
    /// A start in the past is reported as McGroupUndefined, as there is no other bit.
    pub missed_is_undefined: bool,
    /// A bad data rate or frequency is answered without the status byte.
    pub leaves_status_out: bool,
    /// PackageVersion of TS005, where it is not that of TS004.
    pub setup_version: Option<PackageVersion>,
    /// Which bits of DR are looked at.
    pub dr_mask: u8,
    /// Has the data rates that only the latest RP002 brought.
    pub newest_data_rates: bool,
    /// Carries out commands of TS003 and TS005 on a multicast address too.
    pub obeys_setup_by_multicast: bool,

    // TS003.
    /// Decides itself when it asks for the time.
    pub own_periodicity: bool,

    // Reading commands.
    /// What a command that is not understood does.
    pub unreadable: Unreadable,
    /// What stands behind a DataFragment of FragSize bytes.
    pub trailing: Trailing,

    // TS004.
    /// A fragment below the last one seen is dropped, an uncoded one after the first coded one too.
    pub ascending: bool,
    /// Without loss, too, it takes a coded fragment to notice that nothing is missing.
    pub coded_ends_block: bool,
    /// The stack drops fragments from groups outside McGroupBitMask.
    pub checks_group_mask: bool,
    /// How FragSessionStatusAns is filled.
    pub counts: Counts,
    /// BlockAckDelay is taken for milliseconds.
    pub delays_in_ms: bool,
    /// FragDataBlockReceivedReq is sent at most so often.
    pub block_reports: u8,
    /// What the device says when more was lost than it can solve for.
    pub over_cap: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Its first byte is skipped.
    SkipsByte,
    /// Reading ends and nothing is answered, though what came before was done.
    SilencesAll,
    /// Reading ends; what came before is answered.
    EndsReading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailing {
    RunsAsCommands,
    IsIgnored,
    SpoilsFragment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// Last index processed, uncoded fragments lost so far. Version 1 with the two bytes of the first
    /// swapped and without FragIndex.
    LastAndLost,
    /// Last index processed less what was lost; what is missing modulo 256, and 1 for ever when nothing was lost.
    LastLessLost,
    /// As the documents say.
    AsMeant,
}

const LORAMAC_NODE: Rules = Rules {
    first_at_face_value: true,
    counts_16_bits: false,
    max_ends_session: false,
    max_is_accepted: true,
    inverted_bounds_are_none: false,
    forgets_counter_with_session: false,
    setup_spares_session: false,
    has_group_status: false,
    time_out_of_group_0: true,
    missed_is_undefined: true,
    leaves_status_out: false,
    setup_version: None,
    dr_mask: 0xff,
    newest_data_rates: false,
    obeys_setup_by_multicast: true,
    own_periodicity: true,
    unreadable: Unreadable::SkipsByte,
    trailing: Trailing::RunsAsCommands,
    ascending: true,
    coded_ends_block: true,
    checks_group_mask: false,
    counts: Counts::LastAndLost,
    delays_in_ms: false,
    block_reports: 1,
    over_cap: "reported `finished` with MatrixError 1",
};

const LBM: Rules = Rules {
    first_at_face_value: true,
    counts_16_bits: false,
    max_ends_session: false,
    max_is_accepted: true,
    inverted_bounds_are_none: true,
    forgets_counter_with_session: true,
    setup_spares_session: true,
    has_group_status: true,
    time_out_of_group_0: false,
    missed_is_undefined: false,
    leaves_status_out: false,
    setup_version: None,
    dr_mask: 0x0f,
    newest_data_rates: false,
    obeys_setup_by_multicast: false,
    own_periodicity: false,
    unreadable: Unreadable::SilencesAll,
    trailing: Trailing::IsIgnored,
    ascending: true,
    coded_ends_block: false,
    checks_group_mask: true,
    counts: Counts::LastLessLost,
    delays_in_ms: false,
    block_reports: 3,
    over_cap: "session failed, MemoryError 1",
};

const ZEPHYR: Rules = Rules { has_group_status: false, leaves_status_out: true, delays_in_ms: true, ..IDEAL };

const MULTITECH_DOT: Rules = Rules { setup_version: Some(PackageVersion::V2), ..IDEAL };

/// What is not known of it is as the documents ask.
const LORA_RS: Rules =
    Rules { counts_16_bits: true, max_ends_session: true, newest_data_rates: false, ..IDEAL };

const IDEAL: Rules = Rules {
    first_at_face_value: false,
    counts_16_bits: false,
    max_ends_session: false,
    max_is_accepted: false,
    inverted_bounds_are_none: false,
    forgets_counter_with_session: false,
    setup_spares_session: false,
    has_group_status: true,
    time_out_of_group_0: false,
    missed_is_undefined: false,
    leaves_status_out: false,
    setup_version: None,
    dr_mask: 0xff,
    newest_data_rates: true,
    obeys_setup_by_multicast: false,
    own_periodicity: false,
    unreadable: Unreadable::EndsReading,
    trailing: Trailing::SpoilsFragment,
    ascending: false,
    coded_ends_block: false,
    checks_group_mask: true,
    counts: Counts::AsMeant,
    delays_in_ms: false,
    block_reports: 1,
    over_cap: "session failed",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read_by_the_name_it_is_written_with() {
        for (stack, name) in NAMES {
            assert_eq!((name.parse(), stack.to_string().as_str()), (Ok(stack), name));
        }
        let error = "riot".parse::<Stack>().unwrap_err();
        assert_eq!(error, UnknownStack { name: "riot".to_owned() });
        assert_eq!("x".repeat(100).parse::<Stack>().unwrap_err().name.len(), 32);
    }
}
