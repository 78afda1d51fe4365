//! The commands that prepare one device for a campaign, for an operator to queue in the network server: the
//! gateway itself never talks to a device alone.
//!
//! In order: McGroupSetupReq (TS005-1.0.0 4.3), FragSessionSetupReq (TS004-1.0.0 3.2, TS004-2.0.0 3.3), then one
//! McClassCSessionReq (TS005-1.0.0 4.5) per session; the next session's command is for after the one before. Where only
//! coded fragments are sent the devices keep group and fragmentation session, and are told sessions alone.

use super::group::Group;
use super::session::Session;
use crate::fragment::Ts004Version;
use crate::lorawan::CommandError;
use crate::lorawan::PackageVersion;
use crate::lorawan::RootKey;
use crate::lorawan::data_block_mic;
use crate::lorawan::encrypt_mc_key;
use crate::lorawan::mc_ke_key;
use crate::lorawan::ts004;
use crate::lorawan::ts005;
use crate::report::Planned;
use crate::time::GpsTime;
use thiserror::Error;

/// Some device stacks take the time-out of group 0 for every group, so group 0 it is.
const MC_GROUP_ID: u8 = 0;
/// All known decoders hold one fragmentation session; its index is 0.
const FRAG_INDEX: u8 = 0;
/// The last counter a device may accept: all of ours are below it.
const MAX_MC_FCOUNT: u32 = 65_535;

/// One unicast downlink that sets a device up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupCommand {
    /// The command's name in its document.
    pub name: &'static str,
    /// The port of its package.
    pub fport: u8,
    /// The FRMPayload, not yet encrypted.
    pub payload: Vec<u8>,
    /// Which session it announces (0-based), for McClassCSessionReq.
    pub session: Option<usize>,
}

/// Why the commands cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Only the McKey can be sent to a device.
    #[error("group {group} has session keys only: the setup commands need its McKey (`mc-key-file`)")]
    NoMcKey {
        /// The name of the group.
        group: String,
    },
    /// TS004 v2 needs a MIC of this image for each device.
    #[error("the devices file has no MIC of this image: run `fuotad prepare` with --image and --session-cnt")]
    NoMic,
    /// A field does not fit its command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// What the commands of one device need beyond the plan.
pub enum DeviceKeys<'a> {
    /// Everything is derived from the root key, at a desk.
    Root {
        /// GenAppKey (LoRaWAN 1.0.x) or AppKey (1.1).
        root_key: &'a RootKey,
        /// TS004 v2: the device's next session count.
        session_cnt: u16,
    },
    /// Everything was derived before: there is no root key here.
    Prepared {
        /// McKey_encrypted of the group for this device.
        mc_key_encrypted: [u8; 16],
        /// TS004 v2: the next session count, and the MIC of the image with it.
        mic: Option<(u16, [u8; 4])>,
    },
}

/// The commands for one device. `image` is needed for the data block's MIC of TS004 v2.
///
/// # Errors
/// The group's McKey is not known, or a field does not fit.
pub fn commands(
    planned: &Planned,
    group: &Group,
    image: &[u8],
    device: &DeviceKeys<'_>,
) -> Result<Vec<SetupCommand>, SetupError> {
    let mc_key_encrypted = match device {
        DeviceKeys::Root { root_key, .. } => {
            let mc_key = group.mc_key.as_ref();
            let mc_key = mc_key.ok_or_else(|| SetupError::NoMcKey { group: group.name.clone() })?;
            encrypt_mc_key(&mc_ke_key(&root_key.mc_root_key()), mc_key)
        }
        DeviceKeys::Prepared { mc_key_encrypted, .. } => *mc_key_encrypted,
    };
    let mut commands = Vec::new();
    if planned.is_coded_only {
        // Another FragSessionSetupReq would drop what the devices heard, and the group takes every counter of ours.
        return session_commands(planned, group);
    }
    let group_setup = ts005::Request::McGroupSetup(ts005::McGroupSetupReq {
        mc_group_id: MC_GROUP_ID,
        mc_addr: group.mc_addr,
        mc_key_encrypted,
        min_mc_fcount: planned.first_fcnt - 1,
        max_mc_fcount: MAX_MC_FCOUNT,
    });
    commands.push(remote_setup("McGroupSetupReq", &group_setup, None)?);

    let (version, v2) = match group.ts004_version {
        Ts004Version::V1 => (PackageVersion::V1, None),
        Ts004Version::V2 => {
            let (session_cnt, mic) = match device {
                DeviceKeys::Root { root_key, session_cnt } => {
                    let mic = data_block_mic(root_key, *session_cnt, FRAG_INDEX, planned.descriptor, image);
                    (*session_cnt, mic)
                }
                DeviceKeys::Prepared { mic, .. } => mic.ok_or(SetupError::NoMic)?,
            };
            let v2 = ts004::FragSessionSetupV2 { ack_reception: true, session_cnt, mic };
            (PackageVersion::V2, Some(v2))
        }
    };
    let frag_setup = ts004::Request::FragSessionSetup(ts004::FragSessionSetupReq {
        frag_index: FRAG_INDEX,
        mc_group_bit_mask: 1 << MC_GROUP_ID,
        nb_frag: planned.nb_frag,
        frag_size: planned.frag_size,
        frag_algo: 0,
        block_ack_delay: 0,
        padding: planned.padding,
        descriptor: planned.descriptor,
        v2,
    });
    let mut payload = Vec::new();
    frag_setup.write(version, &mut payload)?;
    let fport = group.fport;
    commands.push(SetupCommand { name: "FragSessionSetupReq", fport, payload, session: None });

    commands.extend(session_commands(planned, group)?);
    Ok(commands)
}

fn session_commands(planned: &Planned, group: &Group) -> Result<Vec<SetupCommand>, SetupError> {
    let sessions = planned.sessions.iter().enumerate();
    let command = |(index, (start, exponent)): (usize, &(GpsTime, u8))| {
        session_command(group, Session { start: *start, exponent: *exponent }, index)
    };
    sessions.map(command).collect()
}

/// McClassCSessionReq for one session, the `index`-th (0-based) of its campaign.
///
/// # Errors
/// The frequency does not fit its field.
pub fn session_command(group: &Group, session: Session, index: usize) -> Result<SetupCommand, SetupError> {
    let request = ts005::Request::McClassCSession(ts005::McClassCSessionReq {
        mc_group_id: MC_GROUP_ID,
        session_time: session.start.session_time(),
        time_out: session.exponent,
        dl_frequency_hz: group.frequency_hz,
        dr: group.data_rate,
    });
    remote_setup("McClassCSessionReq", &request, Some(index))
}

/// TS005 has the same bytes in both versions.
fn remote_setup(
    name: &'static str,
    request: &ts005::Request,
    session: Option<usize>,
) -> Result<SetupCommand, SetupError> {
    let mut payload = Vec::new();
    request.write(PackageVersion::V1, &mut payload)?;
    Ok(SetupCommand { name, fport: ts005::FPORT, payload, session })
}
