//! What an uplink says to a dialogue.

use super::frag_session::FRAG_INDEX;
use super::setup::MC_GROUP_ID;
use crate::lns::Up;
use crate::lorawan::PackageVersion;
use crate::lorawan::ts003;
use crate::lorawan::ts004;
use crate::lorawan::ts005;

/// One answer of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// PackageVersionAns of TS004 with its PackageVersion.
    FragVersion(u8),
    /// PackageVersionAns of TS005 with its PackageVersion.
    SetupVersion(u8),
    /// PackageVersionAns of TS003 with its PackageVersion.
    ClockVersion(u8),
    /// McGroupSetupAns for the one group of ours.
    McGroup {
        /// IDError: the device has no such group.
        id_error: bool,
    },
    /// FragSessionSetupAns for the one session of ours.
    FragSession(ts004::FragSessionSetupAns),
    /// AppTimeReq, asked for or of the device's own accord.
    Time {
        /// DeviceTime, GPS seconds modulo 2^32.
        device_time: u32,
        /// TokenReq, which the answer repeats.
        token: u8,
        /// AnsRequired: the device waits for it.
        wants_answer: bool,
    },
    /// McClassCSessionAns for the one group of ours.
    McSession(ts005::McSessionAns),
    /// FragSessionStatusAns, which a question under the group's key brings, or one to the device alone.
    Status {
        /// Fragments of the group's key were received.
        has_received: bool,
    },
    /// FragDataBlockReceivedReq of TS004-2.0.0 for the one session of ours.
    BlockReceived,
    /// An answer to what no dialogue of ours asks: a delete, another group, another fragmentation session, Class B.
    Foreign,
}

/// The answers in an uplink, in order. `version` is that of the device's TS004, where it is known.
pub(super) fn answers(up: &Up, frag_fport: u8, version: PackageVersion) -> Vec<Answer> {
    match up.f_port {
        ts003::FPORT => ts003::Answer::parse(&up.data, version).0.iter().filter_map(clock).collect(),
        // Zephyr leaves the status byte out where data rate or frequency are wrong.
        ts005::FPORT if up.data == [0x04] => vec![Answer::McSession(without_status())],
        ts005::FPORT => ts005::Answer::parse(&up.data, version).0.iter().filter_map(group).collect(),
        port if port == frag_fport => {
            ts004::Answer::parse(&up.data, version).0.iter().filter_map(fragments).collect()
        }
        _ => Vec::new(),
    }
}

fn without_status() -> ts005::McSessionAns {
    ts005::McSessionAns {
        mc_group_id: MC_GROUP_ID,
        dr_error: true,
        freq_error: false,
        mc_group_undefined: false,
        start_missed: false,
        reserved: 0,
        time_to_start: None,
    }
}

fn clock(answer: &ts003::Answer) -> Option<Answer> {
    match *answer {
        ts003::Answer::PackageVersion { package_identifier, package_version } => {
            (package_identifier == ts003::PACKAGE_ID).then_some(Answer::ClockVersion(package_version))
        }
        ts003::Answer::AppTime { device_time, token_req, ans_required } => {
            Some(Answer::Time { device_time, token: token_req, wants_answer: ans_required })
        }
        ts003::Answer::DeviceAppTimePeriodicity { .. } => None,
    }
}

fn group(answer: &ts005::Answer) -> Option<Answer> {
    Some(match *answer {
        ts005::Answer::PackageVersion { package_identifier, package_version } => {
            return (package_identifier == ts005::PACKAGE_ID)
                .then_some(Answer::SetupVersion(package_version));
        }
        ts005::Answer::McGroupStatus { .. } => return None,
        ts005::Answer::McGroupSetup { mc_group_id: MC_GROUP_ID, id_error } => Answer::McGroup { id_error },
        ts005::Answer::McClassCSession(answer) if answer.mc_group_id == MC_GROUP_ID => {
            Answer::McSession(answer)
        }
        ts005::Answer::McGroupSetup { .. }
        | ts005::Answer::McGroupDelete { .. }
        | ts005::Answer::McClassCSession(_)
        | ts005::Answer::McClassBSession(_) => Answer::Foreign,
    })
}

fn fragments(answer: &ts004::Answer) -> Option<Answer> {
    Some(match *answer {
        ts004::Answer::PackageVersion { package_identifier, package_version } => {
            return (package_identifier == ts004::PACKAGE_ID).then_some(Answer::FragVersion(package_version));
        }
        ts004::Answer::FragSessionSetup(answer) if answer.frag_index == FRAG_INDEX => {
            Answer::FragSession(answer)
        }
        ts004::Answer::FragSessionSetup(_) | ts004::Answer::FragSessionDelete { .. } => Answer::Foreign,
        ts004::Answer::FragSessionStatus(status) => {
            let has_received = |counts: ts004::FragCounts| counts.nb_frag_received > 0;
            let has_received = !status.session_does_not_exist && status.counts.is_some_and(has_received);
            Answer::Status { has_received }
        }
        ts004::Answer::FragDataBlockReceived { frag_index, .. } => {
            return (frag_index == FRAG_INDEX).then_some(Answer::BlockReceived);
        }
    })
}
