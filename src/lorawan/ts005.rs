//! TS005, remote multicast setup: groups and their sessions. Versions 1 and 2 have the same bytes; version 2 only
//! gives StartMissed its name, and devices of version 1 send that bit too. `version` is an argument only so that the
//! three packages have one interface.

use crate::lorawan::address::McAddr;
use crate::lorawan::command::CommandError;
use crate::lorawan::command::PackageVersion;
use crate::lorawan::command::Reader;
use crate::lorawan::command::Tail;
use crate::lorawan::command::TailCause;
use crate::lorawan::command::bit;
use crate::lorawan::command::fits;
use crate::lorawan::command::le24;
use crate::lorawan::command::parse_each;

/// Default FPort (TS005-1.0.0 4).
pub const FPORT: u8 = 200;
/// PackageIdentifier in PackageVersionAns (TS005-1.0.0 4.1).
pub const PACKAGE_ID: u8 = 2;
/// Groups a device can have at most, numbered from 0 (TS005-1.0.0 4.2).
pub const MAX_GROUPS: usize = 4;
/// TimeToStart of a device that cannot compute it, in practice one without a clock (TS005-1.0.0 4.5).
pub const TIME_TO_START_UNKNOWN: u32 = 0x00ff_ffff;

const MC_GROUP_ID_MAX: u32 = 3;
/// Unit of DLFrequ in Hz.
const FREQUENCY_STEP_HZ: u32 = 100;

/// Commands from the server to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// PackageVersionReq, answered by [`Answer::PackageVersion`] (TS005-1.0.0 4.1).
    PackageVersion,
    /// McGroupStatusReq (TS005-1.0.0 4.2). Send it alone, because some devices run its mask as a command.
    McGroupStatus {
        /// ReqGroupMask, 0..=15: with bit g set, the device reports group g.
        req_group_mask: u8,
    },
    /// McGroupSetupReq (TS005-1.0.0 4.3): defines a group and its McKey.
    McGroupSetup(McGroupSetupReq),
    /// McGroupDeleteReq (TS005-1.0.0 4.4): removes a group from the device.
    McGroupDelete {
        /// McGroupID of the group to remove, 0..=3.
        mc_group_id: u8,
    },
    /// McClassCSessionReq (TS005-1.0.0 4.5): opens a Class C session.
    McClassCSession(McClassCSessionReq),
    /// McClassBSessionReq (TS005-1.0.0 4.6): opens a Class B session.
    McClassBSession(McClassBSessionReq),
}

/// The fields of McGroupSetupReq (TS005-1.0.0 4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McGroupSetupReq {
    /// McGroupID of the group to define, 0..=3.
    pub mc_group_id: u8,
    /// McAddr, the address of the group.
    pub mc_addr: McAddr,
    /// McKey_encrypted, made by [`encrypt_mc_key`](crate::lorawan::encrypt_mc_key).
    pub mc_key_encrypted: [u8; 16],
    /// minMcFCount: the lowest counter that the device accepts.
    pub min_mc_fcount: u32,
    /// maxMcFCount: the first counter that the device no longer accepts. Some devices accept it too, so stay below.
    pub max_mc_fcount: u32,
}

/// The fields of McClassCSessionReq (TS005-1.0.0 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McClassCSessionReq {
    /// McGroupID of the session's group, 0..=3.
    pub mc_group_id: u8,
    /// SessionTime: start of the session, GPS seconds modulo 2^32.
    pub session_time: u32,
    /// TimeOut, 0..=15: the session lasts at most 2^TimeOut seconds.
    pub time_out: u8,
    /// DLFrequ in Hz, a multiple of 100 below 1.68 GHz.
    pub dl_frequency_hz: u32,
    /// DR: number of a data rate in the region's table.
    pub dr: u8,
}

/// The fields of McClassBSessionReq (TS005-1.0.0 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McClassBSessionReq {
    /// McGroupID of the session's group, 0..=3.
    pub mc_group_id: u8,
    /// SessionTime: start of the session, GPS seconds modulo 2^32, a multiple of 128.
    pub session_time: u32,
    /// Periodicity, 0..=7: a ping slot every 2^Periodicity seconds.
    pub periodicity: u8,
    /// TimeOut, 0..=15: the session lasts at most 128 x 2^TimeOut seconds.
    pub time_out: u8,
    /// DLFrequ in Hz, a multiple of 100 below 1.68 GHz; 0 selects the region's hopping.
    pub dl_frequency_hz: u32,
    /// DR: number of a data rate in the region's table.
    pub dr: u8,
}

/// Commands from the device to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// PackageVersionAns, the answer to [`Request::PackageVersion`] (TS005-1.0.0 4.1).
    PackageVersion {
        /// PackageIdentifier; [`PACKAGE_ID`] in a correct answer.
        package_identifier: u8,
        /// PackageVersion, read by [`PackageVersion::from_number`].
        package_version: u8,
    },
    /// McGroupStatusAns, the answer to [`Request::McGroupStatus`] (TS005-1.0.0 4.2).
    McGroupStatus {
        /// NbTotalGroups, 0..=7: groups defined on the device, reported or not.
        nb_total_groups: u8,
        /// The McAddr of each reported group, indexed by McGroupID.
        mc_addrs: [Option<McAddr>; MAX_GROUPS],
    },
    /// McGroupSetupAns, the answer to [`Request::McGroupSetup`] (TS005-1.0.0 4.3).
    McGroupSetup {
        /// McGroupID of the request, 0..=3.
        mc_group_id: u8,
        /// IDError: the device has no such group. Some devices set it when they were merely busy.
        id_error: bool,
    },
    /// McGroupDeleteAns, the answer to [`Request::McGroupDelete`] (TS005-1.0.0 4.4).
    McGroupDelete {
        /// McGroupID of the request, 0..=3.
        mc_group_id: u8,
        /// McGroupUndefined: there was no group to remove.
        mc_group_undefined: bool,
    },
    /// McClassCSessionAns, the answer to [`Request::McClassCSession`] (TS005-1.0.0 4.5).
    McClassCSession(McSessionAns),
    /// McClassBSessionAns, the answer to [`Request::McClassBSession`] (TS005-1.0.0 4.6).
    McClassBSession(McSessionAns),
}

/// McClassCSessionAns and McClassBSessionAns (TS005-1.0.0 4.5, 4.6; TS005-2.0.0 for StartMissed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McSessionAns {
    /// McGroupID of the request, 0..=3.
    pub mc_group_id: u8,
    /// DRError: the device has no such data rate.
    pub dr_error: bool,
    /// FreqError: the device cannot use this frequency.
    pub freq_error: bool,
    /// McGroupUndefined: the device has no such group. Some devices set it when the start was missed.
    pub mc_group_undefined: bool,
    /// StartMissed: the start of the session lies in the past.
    pub start_missed: bool,
    /// The two bits without a name, 0..=3. A device that sets one reports an error (TS005-2.0.0).
    pub reserved: u8,
    /// TimeToStart: seconds from the end of the answer to the start, or [`TIME_TO_START_UNKNOWN`]. Present exactly
    /// when the session was accepted, that is, when no error bit is set.
    pub time_to_start: Option<u32>,
}

impl Request {
    /// Appends the command, CID first.
    ///
    /// # Errors
    ///
    /// [`CommandError::Range`] when a value does not fit its bits, and [`CommandError::FrequencyStep`] when a
    /// frequency is not a multiple of 100 Hz.
    pub fn write(&self, _version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        match self {
            Request::PackageVersion => out.push(0x00),
            Request::McGroupStatus { req_group_mask } => {
                fits("ReqGroupMask", *req_group_mask, 15)?;
                out.extend([0x01, *req_group_mask]);
            }
            Request::McGroupSetup(setup) => {
                fits("McGroupID", setup.mc_group_id, MC_GROUP_ID_MAX)?;
                out.extend([0x02, setup.mc_group_id]);
                out.extend(setup.mc_addr.as_u32().to_le_bytes());
                out.extend(setup.mc_key_encrypted);
                out.extend(setup.min_mc_fcount.to_le_bytes());
                out.extend(setup.max_mc_fcount.to_le_bytes());
            }
            Request::McGroupDelete { mc_group_id } => {
                fits("McGroupID", *mc_group_id, MC_GROUP_ID_MAX)?;
                out.extend([0x03, *mc_group_id]);
            }
            Request::McClassCSession(session) => {
                // The same bytes, with Class B's Periodicity reserved.
                write_session(0x04, &session.with_periodicity(0), out)?;
            }
            Request::McClassBSession(session) => write_session(0x05, session, out)?,
        }
        Ok(())
    }

    /// Reads the commands of one downlink FRMPayload, in order, as far as they are understood.
    pub fn parse(bytes: &[u8], _version: PackageVersion) -> (Vec<Self>, Option<Tail>) {
        parse_each(bytes, Self::parse_one)
    }

    fn parse_one(cid: u8, reader: &mut Reader<'_>) -> Result<Self, TailCause> {
        Ok(match cid {
            0x00 => Request::PackageVersion,
            0x01 => Request::McGroupStatus { req_group_mask: reader.u8()? & 0x0f },
            0x02 => Request::McGroupSetup(McGroupSetupReq {
                mc_group_id: reader.u8()? & 0x03,
                mc_addr: McAddr::new(reader.u32()?),
                mc_key_encrypted: reader.array()?,
                min_mc_fcount: reader.u32()?,
                max_mc_fcount: reader.u32()?,
            }),
            0x03 => Request::McGroupDelete { mc_group_id: reader.u8()? & 0x03 },
            0x04 => Request::McClassCSession(parse_session(reader)?.without_periodicity()),
            0x05 => Request::McClassBSession(parse_session(reader)?),
            _ => return Err(TailCause::UnknownCid),
        })
    }
}

impl McClassCSessionReq {
    fn with_periodicity(self, periodicity: u8) -> McClassBSessionReq {
        let McClassCSessionReq { mc_group_id, session_time, time_out, dl_frequency_hz, dr } = self;
        McClassBSessionReq { mc_group_id, session_time, periodicity, time_out, dl_frequency_hz, dr }
    }
}

impl McClassBSessionReq {
    fn without_periodicity(self) -> McClassCSessionReq {
        let McClassBSessionReq { mc_group_id, session_time, time_out, dl_frequency_hz, dr, .. } = self;
        McClassCSessionReq { mc_group_id, session_time, time_out, dl_frequency_hz, dr }
    }
}

fn write_session(cid: u8, session: &McClassBSessionReq, out: &mut Vec<u8>) -> Result<(), CommandError> {
    fits("McGroupID", session.mc_group_id, MC_GROUP_ID_MAX)?;
    fits("Periodicity", session.periodicity, 7)?;
    fits("TimeOut", session.time_out, 15)?;
    fits("DLFrequ in Hz", session.dl_frequency_hz, 0x00ff_ffff * FREQUENCY_STEP_HZ)?;
    if !session.dl_frequency_hz.is_multiple_of(FREQUENCY_STEP_HZ) {
        return Err(CommandError::FrequencyStep(session.dl_frequency_hz));
    }
    out.extend([cid, session.mc_group_id]);
    out.extend(session.session_time.to_le_bytes());
    out.push(session.periodicity << 4 | session.time_out);
    out.extend(le24(session.dl_frequency_hz / FREQUENCY_STEP_HZ));
    out.push(session.dr);
    Ok(())
}

fn parse_session(reader: &mut Reader<'_>) -> Result<McClassBSessionReq, TailCause> {
    let mc_group_id = reader.u8()? & 0x03;
    let session_time = reader.u32()?;
    let timing = reader.u8()?;
    Ok(McClassBSessionReq {
        mc_group_id,
        session_time,
        periodicity: timing >> 4 & 0x07,
        time_out: timing & 0x0f,
        dl_frequency_hz: reader.u24()? * FREQUENCY_STEP_HZ,
        dr: reader.u8()?,
    })
}

impl Answer {
    /// Appends the command, CID first.
    ///
    /// # Errors
    ///
    /// [`CommandError::Range`] when a value does not fit its bits, and [`CommandError::Contradiction`] for a session
    /// answer whose TimeToStart and error bits disagree.
    pub fn write(&self, _version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        match self {
            Answer::PackageVersion { package_identifier, package_version } => {
                out.extend([0x00, *package_identifier, *package_version]);
            }
            Answer::McGroupStatus { nb_total_groups, mc_addrs } => {
                fits("NbTotalGroups", *nb_total_groups, 7)?;
                let told = || (0..).zip(mc_addrs).filter_map(|(id, mc_addr)| Some((id, (*mc_addr)?)));
                let ans_group_mask = told().fold(0, |mask, (id, _)| mask | 1 << id);
                out.extend([0x01, nb_total_groups << 4 | ans_group_mask]);
                for (mc_group_id, mc_addr) in told() {
                    out.push(mc_group_id);
                    out.extend(mc_addr.as_u32().to_le_bytes());
                }
            }
            Answer::McGroupSetup { mc_group_id, id_error } => {
                fits("McGroupID", *mc_group_id, MC_GROUP_ID_MAX)?;
                out.extend([0x02, u8::from(*id_error) << 2 | mc_group_id]);
            }
            Answer::McGroupDelete { mc_group_id, mc_group_undefined } => {
                fits("McGroupID", *mc_group_id, MC_GROUP_ID_MAX)?;
                out.extend([0x03, u8::from(*mc_group_undefined) << 2 | mc_group_id]);
            }
            Answer::McClassCSession(answer) => answer.write(0x04, out)?,
            Answer::McClassBSession(answer) => answer.write(0x05, out)?,
        }
        Ok(())
    }

    /// Reads the commands of one uplink FRMPayload, in order, as far as they are understood.
    pub fn parse(bytes: &[u8], _version: PackageVersion) -> (Vec<Self>, Option<Tail>) {
        parse_each(bytes, Self::parse_one)
    }

    fn parse_one(cid: u8, reader: &mut Reader<'_>) -> Result<Self, TailCause> {
        Ok(match cid {
            0x00 => {
                Answer::PackageVersion { package_identifier: reader.u8()?, package_version: reader.u8()? }
            }
            0x01 => parse_group_status(reader)?,
            0x02 => {
                let byte = reader.u8()?;
                Answer::McGroupSetup { mc_group_id: byte & 0x03, id_error: bit(byte, 2) }
            }
            0x03 => {
                let byte = reader.u8()?;
                Answer::McGroupDelete { mc_group_id: byte & 0x03, mc_group_undefined: bit(byte, 2) }
            }
            0x04 => Answer::McClassCSession(McSessionAns::parse(reader)?),
            0x05 => Answer::McClassBSession(McSessionAns::parse(reader)?),
            _ => return Err(TailCause::UnknownCid),
        })
    }
}

/// Reads McGroupStatusAns. The groups must come in ascending order, one for each bit of the mask.
fn parse_group_status(reader: &mut Reader<'_>) -> Result<Answer, TailCause> {
    let status = reader.u8()?;
    let mut mc_addrs = [None; MAX_GROUPS];
    for (mc_group_id, place) in (0..).zip(&mut mc_addrs) {
        if bit(status, mc_group_id) {
            if reader.u8()? & 0x03 != mc_group_id {
                return Err(TailCause::Malformed);
            }
            *place = Some(McAddr::new(reader.u32()?));
        }
    }
    Ok(Answer::McGroupStatus { nb_total_groups: status >> 4 & 0x07, mc_addrs })
}

impl McSessionAns {
    /// The six upper bits of the status byte, in their places.
    fn error_bits(&self) -> u8 {
        self.reserved << 6
            | u8::from(self.start_missed) << 5
            | u8::from(self.mc_group_undefined) << 4
            | u8::from(self.freq_error) << 3
            | u8::from(self.dr_error) << 2
    }

    fn write(&self, cid: u8, out: &mut Vec<u8>) -> Result<(), CommandError> {
        fits("McGroupID", self.mc_group_id, MC_GROUP_ID_MAX)?;
        fits("the reserved bits", self.reserved, 3)?;
        fits("TimeToStart", self.time_to_start.unwrap_or(0), TIME_TO_START_UNKNOWN)?;
        let errors = self.error_bits();
        if self.time_to_start.is_some() != (errors == 0) {
            return Err(CommandError::Contradiction("TimeToStart goes exactly with no error bit"));
        }
        out.extend([cid, errors | self.mc_group_id]);
        if let Some(seconds) = self.time_to_start {
            out.extend(le24(seconds));
        }
        Ok(())
    }

    /// Any of the six upper bits means that the device refused, and then no TimeToStart follows: not after
    /// StartMissed in version 1 either, where devices send that bit before it had a name.
    fn parse(reader: &mut Reader<'_>) -> Result<Self, TailCause> {
        let byte = reader.u8()?;
        let is_accepted = byte & 0xfc == 0;
        Ok(McSessionAns {
            mc_group_id: byte & 0x03,
            dr_error: bit(byte, 2),
            freq_error: bit(byte, 3),
            mc_group_undefined: bit(byte, 4),
            start_missed: bit(byte, 5),
            reserved: byte >> 6,
            time_to_start: if is_accepted { Some(reader.u24()?) } else { None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PackageVersion::V1;
    use PackageVersion::V2;

    const ACCEPTED: McSessionAns = McSessionAns {
        mc_group_id: 0,
        dr_error: false,
        freq_error: false,
        mc_group_undefined: false,
        start_missed: false,
        reserved: 0,
        time_to_start: Some(300),
    };

    #[test]
    fn any_upper_bit_of_a_session_answer_means_that_nothing_follows() {
        for index in 2..8 {
            for version in [V1, V2] {
                let (commands, tail) = Answer::parse(&[0x04, 1 << index, 0x00, 0x02, 0x02], version);
                let Some(Answer::McClassCSession(answer)) = commands.first() else { unreachable!() };
                assert_eq!(answer.time_to_start, None);
                assert_eq!(
                    commands[1..],
                    [Answer::PackageVersion { package_identifier: 2, package_version: 2 }]
                );
                assert_eq!(tail, None);
            }
        }
    }

    #[test]
    fn an_answer_without_its_status_byte_is_a_tail_and_what_came_before_holds() {
        let (commands, tail) = Answer::parse(&[0x02, 0x00, 0x04], V1);
        assert_eq!(commands, [Answer::McGroupSetup { mc_group_id: 0, id_error: false }]);
        assert_eq!(tail, Some(Tail { offset: 2, cid: 0x04, cause: TailCause::Short }));
    }

    #[test]
    fn an_answer_that_is_both_accepted_and_refused_is_not_written() {
        let write = |answer| Answer::McClassCSession(answer).write(V2, &mut Vec::new());
        assert_eq!(write(ACCEPTED), Ok(()));
        let both = McSessionAns { start_missed: true, ..ACCEPTED };
        let neither = McSessionAns { time_to_start: None, ..ACCEPTED };
        assert!(matches!(write(both), Err(CommandError::Contradiction(_))));
        assert!(matches!(write(neither), Err(CommandError::Contradiction(_))));
    }

    #[test]
    fn a_frequency_between_the_steps_is_refused_not_rounded() {
        let write = |dl_frequency_hz| {
            let session =
                McClassCSessionReq { mc_group_id: 0, session_time: 0, time_out: 0, dl_frequency_hz, dr: 0 };
            Request::McClassCSession(session).write(V1, &mut Vec::new())
        };
        assert_eq!(write(869_525_000), Ok(()));
        assert_eq!(write(869_525_050), Err(CommandError::FrequencyStep(869_525_050)));
        assert!(matches!(write(2_403_000_000), Err(CommandError::Range { .. })));
    }

    #[test]
    fn groups_in_another_order_than_the_mask_are_not_believed() {
        let (commands, tail) = Answer::parse(&[0x01, 0x11, 0x01, 1, 2, 3, 4], V1);
        assert_eq!(commands, []);
        assert_eq!(tail, Some(Tail { offset: 0, cid: 0x01, cause: TailCause::Malformed }));
    }
}
