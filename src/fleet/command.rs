//! The bytes of each command.

use super::frag_session::FRAG_INDEX;
use super::member::Member;
use super::progress::Progress;
use super::setup::Channel;
use super::setup::MC_GROUP_ID;
use super::setup::Setup;
use super::setup::Window;
use super::step::Step;
use crate::lorawan::CommandError;
use crate::lorawan::PackageVersion;
use crate::lorawan::ts003;
use crate::lorawan::ts004;
use crate::lorawan::ts005;

/// What a command is made of besides the device's progress.
#[derive(Clone, Copy)]
pub(super) struct Material<'a> {
    pub(super) member: &'a Member,
    pub(super) progress: &'a Progress,
    /// `None` in a survey.
    pub(super) setup: Option<&'a Setup>,
    pub(super) frag_fport: u8,
    /// The session to be told.
    pub(super) window: Option<Window>,
    /// The correction of the device's clock, seconds, and its token.
    pub(super) correction: (i32, u8),
}

/// FPort and FRMPayload of a command.
pub(super) type Payload = (u8, Vec<u8>);

/// SessionCnt and MIC for the image of the setup: of the count at hand, else of the first one above it; `None` where
/// there is none of either.
pub(super) fn session_mic(member: &Member, progress: &Progress, setup: &Setup) -> Option<(u16, [u8; 4])> {
    let mics = member.session_mics.as_ref()?;
    if setup.image_sha256 != Some(mics.sha256) || setup.descriptor != mics.descriptor {
        return None;
    }
    let is_asked = progress.has_asked(Step::FragSession);
    let is_usable = |session_cnt: u16| {
        progress.session_cnt.is_none_or(|last| session_cnt > last || is_asked && session_cnt == last)
    };
    mics.by_count().find(|(session_cnt, _)| is_usable(*session_cnt))
}

/// The command of `step`; `None` where something that it needs is missing.
///
/// # Errors
/// A field does not fit.
pub(super) fn payload(step: Step, from: &Material<'_>) -> Result<Option<Payload>, CommandError> {
    let mut bytes = Vec::new();
    let version = PackageVersion::from_number(from.progress.ts004).unwrap_or(PackageVersion::V1);
    let fport = match step {
        Step::FragVersion => {
            ts004::Request::PackageVersion.write(version, &mut bytes)?;
            from.frag_fport
        }
        Step::McGroup => {
            let Some(setup) = from.setup else { return Ok(None) };
            if from.progress.ts005 == 0 {
                ts005::Request::PackageVersion.write(version, &mut bytes)?;
            }
            let request = ts005::McGroupSetupReq {
                mc_group_id: MC_GROUP_ID,
                mc_addr: setup.channel.mc_addr,
                mc_key_encrypted: from.member.mc_key_encrypted,
                min_mc_fcount: setup.min_mc_fcount,
                max_mc_fcount: setup.max_mc_fcount,
            };
            ts005::Request::McGroupSetup(request).write(version, &mut bytes)?;
            ts005::FPORT
        }
        Step::FragSession => {
            let Some(setup) = from.setup else { return Ok(None) };
            let version = setup.channel.ts004_version;
            if !from.progress.has_version(version) {
                ts004::Request::PackageVersion.write(version, &mut bytes)?;
            }
            let v2 = match version {
                PackageVersion::V1 => None,
                PackageVersion::V2 => {
                    let Some((session_cnt, mic)) = session_mic(from.member, from.progress, setup) else {
                        return Ok(None);
                    };
                    Some(ts004::FragSessionSetupV2 { ack_reception: true, session_cnt, mic })
                }
            };
            let block_ack_delay = setup.block_ack_delay_of(from.progress.is_candidate);
            frag_session(setup, block_ack_delay, v2).write(version, &mut bytes)?;
            from.frag_fport
        }
        Step::ClockCheck => {
            if from.progress.ts003 == 0 {
                ts003::Request::PackageVersion.write(version, &mut bytes)?;
            }
            ts003::Request::ForceDeviceResync { nb_transmissions: 1 }.write(version, &mut bytes)?;
            ts003::FPORT
        }
        Step::SetClock => {
            let (time_correction, token_ans) = from.correction;
            ts003::Request::AppTime { time_correction, token_ans }.write(version, &mut bytes)?;
            ts003::FPORT
        }
        Step::Status => {
            let request = ts004::Request::FragSessionStatus { frag_index: FRAG_INDEX, participants: true };
            request.write(version, &mut bytes)?;
            from.frag_fport
        }
        Step::BlockAns => {
            ts004::Request::FragDataBlockReceived { frag_index: FRAG_INDEX }.write(version, &mut bytes)?;
            from.frag_fport
        }
        Step::McSession => {
            let (Some(setup), Some(window)) = (from.setup, from.window) else { return Ok(None) };
            mc_session(&setup.channel, window).write(version, &mut bytes)?;
            ts005::FPORT
        }
    };
    Ok(Some((fport, bytes)))
}

fn frag_session(setup: &Setup, block_ack_delay: u8, v2: Option<ts004::FragSessionSetupV2>) -> ts004::Request {
    ts004::Request::FragSessionSetup(ts004::FragSessionSetupReq {
        frag_index: FRAG_INDEX,
        mc_group_bit_mask: 1 << MC_GROUP_ID,
        nb_frag: setup.nb_frag,
        frag_size: setup.frag_size,
        frag_algo: 0,
        block_ack_delay,
        padding: setup.padding,
        descriptor: setup.descriptor,
        v2,
    })
}

fn mc_session(channel: &Channel, window: Window) -> ts005::Request {
    ts005::Request::McClassCSession(ts005::McClassCSessionReq {
        mc_group_id: MC_GROUP_ID,
        session_time: window.start.session_time(),
        time_out: window.exponent,
        dl_frequency_hz: channel.frequency_hz,
        dr: channel.data_rate,
    })
}
