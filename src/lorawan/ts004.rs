//! TS004, fragmented data block transport: its control commands. `DataFragment` (CID 0x08) must be alone in its
//! frame and belongs to the room `fragment`; here it is an unknown command.

use crate::lorawan::command::CommandError;
use crate::lorawan::command::PackageVersion;
use crate::lorawan::command::Reader;
use crate::lorawan::command::Tail;
use crate::lorawan::command::TailCause;
use crate::lorawan::command::bit;
use crate::lorawan::command::fits;
use crate::lorawan::command::parse_each;

/// Default FPort (TS004-1.0.0).
pub const FPORT: u8 = 201;
/// PackageIdentifier in PackageVersionAns (TS004-1.0.0).
pub const PACKAGE_ID: u8 = 3;
/// Highest NbFragReceived, a field of 14 bits of FragSessionStatusAns (TS004-1.0.0).
pub const NB_FRAG_RECEIVED_MAX: u16 = 0x3fff;

const FRAG_INDEX_MAX: u32 = 3;

/// Commands from the server to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// PackageVersionReq, answered by [`Answer::PackageVersion`] (TS004-1.0.0).
    PackageVersion,
    /// FragSessionStatusReq (TS004-1.0.0 and TS004-2.0.0); the only command that may be multicast.
    FragSessionStatus {
        /// FragIndex of the session asked about, 0..=3.
        frag_index: u8,
        /// `true`: every device answers; `false`: only devices that still miss fragments.
        participants: bool,
    },
    /// FragSessionSetupReq (TS004-1.0.0 and TS004-2.0.0).
    FragSessionSetup(FragSessionSetupReq),
    /// FragSessionDeleteReq (TS004-1.0.0 and TS004-2.0.0).
    FragSessionDelete {
        /// FragIndex of the session to delete, 0..=3.
        frag_index: u8,
    },
    /// FragDataBlockReceivedAns (TS004-2.0.0), version 2 only: the server received
    /// the device's FragDataBlockReceivedReq, [`Answer::FragDataBlockReceived`].
    FragDataBlockReceived {
        /// FragIndex of the reported session, 0..=3.
        frag_index: u8,
    },
}

/// FragSessionSetupReq (TS004-1.0.0 and TS004-2.0.0). The data block has NbFrag x FragSize - Padding bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragSessionSetupReq {
    /// FragIndex of the session to set up, 0..=3.
    pub frag_index: u8,
    /// McGroupBitMask, 0..=15: with bit g set, fragments may come from multicast group g.
    pub mc_group_bit_mask: u8,
    /// NbFrag: the number of uncoded fragments.
    pub nb_frag: u16,
    /// FragSize: bytes of every fragment.
    pub frag_size: u8,
    /// FragAlgo (FragmentationMatrix in version 1), 0..=7; 0 is the only code defined.
    pub frag_algo: u8,
    /// BlockAckDelay d, 0..=7: answers to a multicast status request come within 2^(d+4) seconds.
    pub block_ack_delay: u8,
    /// Padding: bytes at the end of the last uncoded fragment that are not part of the block.
    pub padding: u8,
    /// Descriptor: four bytes whose meaning the application defines.
    pub descriptor: [u8; 4],
    /// The fields of version 2; `None` for version 1.
    pub v2: Option<FragSessionSetupV2>,
}

/// The fields that version 2 added to FragSessionSetupReq (TS004-2.0.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragSessionSetupV2 {
    /// AckReception: the device sends [`Answer::FragDataBlockReceived`] when the block is complete.
    pub ack_reception: bool,
    /// SessionCnt: counts per device and FragIndex and must rise with every setup.
    pub session_cnt: u16,
    /// MIC of the data block, made by [`data_block_mic`](crate::lorawan::data_block_mic).
    pub mic: [u8; 4],
}

/// Commands from the device to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// PackageVersionAns, the answer to [`Request::PackageVersion`] (TS004-1.0.0).
    PackageVersion {
        /// PackageIdentifier; [`PACKAGE_ID`] in a correct answer.
        package_identifier: u8,
        /// PackageVersion, read by [`PackageVersion::from_number`].
        package_version: u8,
    },
    /// FragSessionStatusAns (TS004-1.0.0 and TS004-2.0.0).
    FragSessionStatus(FragSessionStatusAns),
    /// FragSessionSetupAns (TS004-1.0.0 and TS004-2.0.0).
    FragSessionSetup(FragSessionSetupAns),
    /// FragSessionDeleteAns (TS004-1.0.0 and TS004-2.0.0).
    FragSessionDelete {
        /// FragIndex of the request, 0..=3.
        frag_index: u8,
        /// SessionDoesNotExist: there was no session to delete.
        session_does_not_exist: bool,
    },
    /// FragDataBlockReceivedReq (TS004-2.0.0), version 2 only: the data block is complete.
    FragDataBlockReceived {
        /// FragIndex of the completed session, 0..=3.
        frag_index: u8,
        /// MICError: the block is complete, but its MIC is wrong.
        mic_error: bool,
    },
}

/// FragSessionStatusAns (TS004-1.0.0 and TS004-2.0.0). Device stacks count differently, so the numbers are a
/// hint and no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragSessionStatusAns {
    /// NotEnoughMatrixMemory: the device cannot solve the equations, so this session cannot succeed.
    pub memory_error: bool,
    /// MICError, version 2 only; it has a meaning only when nothing is missing.
    pub mic_error: bool,
    /// SessionDoesNotExist, which only version 2 has.
    pub session_does_not_exist: bool,
    /// The counters; `None` only in the one-byte form, which goes with `session_does_not_exist`.
    pub counts: Option<FragCounts>,
}

/// The counters of FragSessionStatusAns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragCounts {
    /// FragIndex of the session, 0..=3.
    pub frag_index: u8,
    /// NbFragReceived: fragments received of any kind, 0..=[`NB_FRAG_RECEIVED_MAX`].
    pub nb_frag_received: u16,
    /// MissingFrag: independent fragments still needed; 255 for more, though some devices wrap.
    pub missing_frag: u8,
}

/// FragSessionSetupAns (TS004-1.0.0 and TS004-2.0.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragSessionSetupAns {
    /// FragIndex of the request, 0..=3.
    pub frag_index: u8,
    /// SessionCntReplay: SessionCnt was used before. Version 2 only; ignored in version 1.
    pub session_cnt_replay: bool,
    /// WrongDescriptor: the application refuses the descriptor.
    pub wrong_descriptor: bool,
    /// FragSession index not supported: the device has no such session.
    pub frag_index_not_supported: bool,
    /// NotEnoughMemory: the block is larger than the device's memory.
    pub not_enough_memory: bool,
    /// EncodingUnsupported: the device does not know this FragAlgo.
    pub encoding_unsupported: bool,
}

impl FragSessionSetupAns {
    /// Whether the session is set up, that is, no error bit is set.
    pub fn is_accepted(&self) -> bool {
        self.error_bits() == 0
    }

    fn error_bits(&self) -> u8 {
        u8::from(self.session_cnt_replay) << 4
            | u8::from(self.wrong_descriptor) << 3
            | u8::from(self.frag_index_not_supported) << 2
            | u8::from(self.not_enough_memory) << 1
            | u8::from(self.encoding_unsupported)
    }
}

impl Request {
    /// Appends the command, CID first.
    ///
    /// # Errors
    ///
    /// [`CommandError::Range`] when a value does not fit its bits, [`CommandError::NotInVersion`] for a command
    /// or field that `version` lacks, and [`CommandError::Contradiction`] for a setup of version 2 without the
    /// fields of version 2.
    pub fn write(&self, version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        match self {
            Request::PackageVersion => out.push(0x00),
            Request::FragSessionStatus { frag_index, participants } => {
                fits("FragIndex", *frag_index, FRAG_INDEX_MAX)?;
                out.extend([0x01, frag_index << 1 | u8::from(*participants)]);
            }
            Request::FragSessionSetup(setup) => setup.write(version, out)?,
            Request::FragSessionDelete { frag_index } => {
                fits("FragIndex", *frag_index, FRAG_INDEX_MAX)?;
                out.extend([0x03, *frag_index]);
            }
            Request::FragDataBlockReceived { frag_index } => {
                only_v2("FragDataBlockReceivedAns", true, version)?;
                fits("FragIndex", *frag_index, FRAG_INDEX_MAX)?;
                out.extend([0x04, *frag_index]);
            }
        }
        Ok(())
    }

    /// Reads the commands of one downlink FRMPayload, in order, as far as they are understood.
    pub fn parse(bytes: &[u8], version: PackageVersion) -> (Vec<Self>, Option<Tail>) {
        parse_each(bytes, |cid, reader| Self::parse_one(cid, reader, version))
    }

    fn parse_one(cid: u8, reader: &mut Reader<'_>, version: PackageVersion) -> Result<Self, TailCause> {
        Ok(match (cid, version) {
            (0x00, _) => Request::PackageVersion,
            (0x01, _) => {
                let byte = reader.u8()?;
                Request::FragSessionStatus { frag_index: byte >> 1 & 0x03, participants: bit(byte, 0) }
            }
            (0x02, _) => Request::FragSessionSetup(FragSessionSetupReq::parse(reader, version)?),
            (0x03, _) => Request::FragSessionDelete { frag_index: reader.u8()? & 0x03 },
            (0x04, PackageVersion::V2) => Request::FragDataBlockReceived { frag_index: reader.u8()? & 0x03 },
            _ => return Err(TailCause::UnknownCid),
        })
    }
}

impl FragSessionSetupReq {
    fn write(&self, version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        only_v2("SessionCnt, MIC and AckReception", self.v2.is_some(), version)?;
        if version == PackageVersion::V2 && self.v2.is_none() {
            return Err(CommandError::Contradiction("a setup of package v2 needs its SessionCnt and MIC"));
        }
        fits("FragIndex", self.frag_index, FRAG_INDEX_MAX)?;
        fits("McGroupBitMask", self.mc_group_bit_mask, 15)?;
        fits("FragAlgo", self.frag_algo, 7)?;
        fits("BlockAckDelay", self.block_ack_delay, 7)?;
        let ack_reception = self.v2.is_some_and(|v2| v2.ack_reception);
        out.extend([0x02, self.frag_index << 4 | self.mc_group_bit_mask]);
        out.extend(self.nb_frag.to_le_bytes());
        out.push(self.frag_size);
        out.push(u8::from(ack_reception) << 6 | self.frag_algo << 3 | self.block_ack_delay);
        out.push(self.padding);
        out.extend(self.descriptor);
        if let Some(v2) = self.v2 {
            out.extend(v2.session_cnt.to_le_bytes());
            out.extend(v2.mic);
        }
        Ok(())
    }

    fn parse(reader: &mut Reader<'_>, version: PackageVersion) -> Result<Self, TailCause> {
        let session = reader.u8()?;
        let nb_frag = reader.u16()?;
        let frag_size = reader.u8()?;
        let control = reader.u8()?;
        let padding = reader.u8()?;
        let descriptor = reader.array()?;
        let v2 = match version {
            PackageVersion::V1 => None,
            PackageVersion::V2 => Some(FragSessionSetupV2 {
                ack_reception: bit(control, 6),
                session_cnt: reader.u16()?,
                mic: reader.array()?,
            }),
        };
        Ok(FragSessionSetupReq {
            frag_index: session >> 4 & 0x03,
            mc_group_bit_mask: session & 0x0f,
            nb_frag,
            frag_size,
            frag_algo: control >> 3 & 0x07,
            block_ack_delay: control & 0x07,
            padding,
            descriptor,
            v2,
        })
    }
}

impl Answer {
    /// Appends the command, CID first.
    ///
    /// # Errors
    ///
    /// [`CommandError::Range`] when a value does not fit its bits, [`CommandError::NotInVersion`] for a
    /// command or field that `version` lacks, and [`CommandError::Contradiction`] for a status answer that
    /// could not be read back.
    pub fn write(&self, version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        match self {
            Answer::PackageVersion { package_identifier, package_version } => {
                out.extend([0x00, *package_identifier, *package_version]);
            }
            Answer::FragSessionStatus(status) => status.write(version, out)?,
            Answer::FragSessionSetup(setup) => {
                fits("FragIndex", setup.frag_index, FRAG_INDEX_MAX)?;
                only_v2("SessionCntReplay", setup.session_cnt_replay, version)?;
                out.extend([0x02, setup.frag_index << 6 | setup.error_bits()]);
            }
            Answer::FragSessionDelete { frag_index, session_does_not_exist } => {
                fits("FragIndex", *frag_index, FRAG_INDEX_MAX)?;
                out.extend([0x03, u8::from(*session_does_not_exist) << 2 | frag_index]);
            }
            Answer::FragDataBlockReceived { frag_index, mic_error } => {
                only_v2("FragDataBlockReceivedReq", true, version)?;
                fits("FragIndex", *frag_index, FRAG_INDEX_MAX)?;
                out.extend([0x04, u8::from(*mic_error) << 2 | frag_index]);
            }
        }
        Ok(())
    }

    /// Reads the commands of one uplink FRMPayload, in order, as far as they are understood.
    ///
    /// "Session does not exist" comes as one byte (TS004-2.0.0) or, from devices in the field, with three
    /// more. The long form is taken when those three are zero counters: as a command of their own they would
    /// be the version 0 of a package, which does not exist.
    pub fn parse(bytes: &[u8], version: PackageVersion) -> (Vec<Self>, Option<Tail>) {
        parse_each(bytes, |cid, reader| Self::parse_one(cid, reader, version))
    }

    fn parse_one(cid: u8, reader: &mut Reader<'_>, version: PackageVersion) -> Result<Self, TailCause> {
        Ok(match (cid, version) {
            (0x00, _) => {
                Answer::PackageVersion { package_identifier: reader.u8()?, package_version: reader.u8()? }
            }
            (0x01, _) => Answer::FragSessionStatus(FragSessionStatusAns::parse(reader, version)?),
            (0x02, _) => {
                let byte = reader.u8()?;
                Answer::FragSessionSetup(FragSessionSetupAns {
                    frag_index: byte >> 6,
                    session_cnt_replay: bit(byte, 4) && version == PackageVersion::V2,
                    wrong_descriptor: bit(byte, 3),
                    frag_index_not_supported: bit(byte, 2),
                    not_enough_memory: bit(byte, 1),
                    encoding_unsupported: bit(byte, 0),
                })
            }
            (0x03, _) => {
                let byte = reader.u8()?;
                Answer::FragSessionDelete { frag_index: byte & 0x03, session_does_not_exist: bit(byte, 2) }
            }
            (0x04, PackageVersion::V2) => {
                let byte = reader.u8()?;
                Answer::FragDataBlockReceived { frag_index: byte & 0x03, mic_error: bit(byte, 2) }
            }
            _ => return Err(TailCause::UnknownCid),
        })
    }
}

impl FragSessionStatusAns {
    fn write(&self, version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        only_v2("MICError", self.mic_error, version)?;
        only_v2("SessionDoesNotExist", self.session_does_not_exist, version)?;
        if let Some(counts) = self.counts {
            fits("FragIndex", counts.frag_index, FRAG_INDEX_MAX)?;
            fits("NbFragReceived", counts.nb_frag_received, NB_FRAG_RECEIVED_MAX.into())?;
            if self.session_does_not_exist && (counts.nb_frag_received, counts.missing_frag) != (0, 0) {
                let zeros = "a session that does not exist has no counters, or counters of zero";
                return Err(CommandError::Contradiction(zeros));
            }
        } else if !self.session_does_not_exist {
            return Err(CommandError::Contradiction(
                "the status of a session that exists needs its counters",
            ));
        }
        let status = u8::from(self.session_does_not_exist) << 2
            | u8::from(self.mic_error) << 1
            | u8::from(self.memory_error);
        out.push(0x01);
        // The order was changed between the versions: the classic decoding mistake.
        if version == PackageVersion::V2 {
            out.push(status);
        }
        if let Some(counts) = self.counts {
            let received = u16::from(counts.frag_index) << 14 | counts.nb_frag_received;
            out.extend(received.to_le_bytes());
            out.push(counts.missing_frag);
        }
        if version == PackageVersion::V1 {
            out.push(status);
        }
        Ok(())
    }

    fn parse(reader: &mut Reader<'_>, version: PackageVersion) -> Result<Self, TailCause> {
        match version {
            PackageVersion::V1 => {
                let counts = FragCounts::parse(reader)?;
                let memory_error = bit(reader.u8()?, 0);
                Ok(FragSessionStatusAns {
                    memory_error,
                    mic_error: false,
                    session_does_not_exist: false,
                    counts: Some(counts),
                })
            }
            PackageVersion::V2 => {
                let status = reader.u8()?;
                let session_does_not_exist = bit(status, 2);
                let is_long = !session_does_not_exist
                    || matches!(reader.rest(), [0, index, 0, ..] if index & 0x3f == 0);
                let counts = if is_long { Some(FragCounts::parse(reader)?) } else { None };
                Ok(FragSessionStatusAns {
                    memory_error: bit(status, 0),
                    mic_error: bit(status, 1),
                    session_does_not_exist,
                    counts,
                })
            }
        }
    }
}

impl FragCounts {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, TailCause> {
        let received = reader.u16()?;
        Ok(FragCounts {
            frag_index: (received >> 14) as u8,
            nb_frag_received: received & NB_FRAG_RECEIVED_MAX,
            missing_frag: reader.u8()?,
        })
    }
}

/// Refuses a field that is `used` in version 1, which has no place for it.
fn only_v2(field: &'static str, used: bool, version: PackageVersion) -> Result<(), CommandError> {
    match version {
        PackageVersion::V1 if used => Err(CommandError::NotInVersion { field, version }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PackageVersion::V1;
    use PackageVersion::V2;

    const GONE: FragSessionStatusAns = FragSessionStatusAns {
        memory_error: false,
        mic_error: false,
        session_does_not_exist: true,
        counts: None,
    };

    fn written(answer: FragSessionStatusAns, version: PackageVersion) -> Result<Vec<u8>, CommandError> {
        let mut out = Vec::new();
        Answer::FragSessionStatus(answer).write(version, &mut out).map(|()| out)
    }

    #[test]
    fn a_session_that_does_not_exist_is_understood_in_one_byte_and_in_four() {
        let (short, tail) = Answer::parse(&[0x01, 0x04], V2);
        assert_eq!((short, tail), (vec![Answer::FragSessionStatus(GONE)], None));
        let (long, tail) = Answer::parse(&[0x01, 0x06, 0x00, 0x40, 0x00], V2);
        let counts = FragCounts { frag_index: 1, nb_frag_received: 0, missing_frag: 0 };
        let answer = FragSessionStatusAns { mic_error: true, counts: Some(counts), ..GONE };
        assert_eq!((long, tail), (vec![Answer::FragSessionStatus(answer)], None));
    }

    #[test]
    fn a_version_answer_behind_the_one_byte_form_is_not_swallowed() {
        let (commands, tail) = Answer::parse(&[0x01, 0x04, 0x00, 0x03, 0x02], V2);
        let version = Answer::PackageVersion { package_identifier: 3, package_version: 2 };
        assert_eq!((commands, tail), (vec![Answer::FragSessionStatus(GONE), version], None));
    }

    #[test]
    fn the_same_status_bytes_mean_different_things_in_the_two_versions() {
        let bytes = [0x01, 0x01, 0x02, 0x03, 0x00];
        let counts = |bytes: &[u8], version| match Answer::parse(bytes, version).0[..] {
            [Answer::FragSessionStatus(status)] => (status.memory_error, status.counts.unwrap()),
            _ => unreachable!("one status answer"),
        };
        let v1 = FragCounts { frag_index: 0, nb_frag_received: 0x0201, missing_frag: 3 };
        let v2 = FragCounts { frag_index: 0, nb_frag_received: 0x0302, missing_frag: 0 };
        assert_eq!(counts(&bytes, V1), (false, v1));
        assert_eq!(counts(&bytes, V2), (true, v2));
    }

    #[test]
    fn what_a_reader_could_not_tell_apart_is_not_written() {
        let counts = Some(FragCounts { frag_index: 0, nb_frag_received: 5, missing_frag: 0 });
        assert!(matches!(
            written(FragSessionStatusAns { counts, ..GONE }, V2),
            Err(CommandError::Contradiction(_))
        ));
        let exists = FragSessionStatusAns { session_does_not_exist: false, ..GONE };
        assert!(matches!(written(exists, V2), Err(CommandError::Contradiction(_))));
        assert!(matches!(written(GONE, V1), Err(CommandError::NotInVersion { .. })));
    }

    #[test]
    fn a_setup_is_not_written_for_the_other_version() {
        let mut setup = FragSessionSetupReq {
            frag_index: 0,
            mc_group_bit_mask: 1,
            nb_frag: 20,
            frag_size: 48,
            frag_algo: 0,
            block_ack_delay: 0,
            padding: 0,
            descriptor: [0; 4],
            v2: None,
        };
        let write = |setup: &FragSessionSetupReq, version| {
            let mut out = Vec::new();
            Request::FragSessionSetup(setup.clone()).write(version, &mut out).map(|()| out.len())
        };
        assert_eq!(write(&setup, V1), Ok(11));
        assert!(write(&setup, V2).is_err());
        setup.v2 = Some(FragSessionSetupV2 { ack_reception: true, session_cnt: 0, mic: [0; 4] });
        assert_eq!(write(&setup, V2), Ok(17));
        assert!(write(&setup, V1).is_err());
    }

    #[test]
    fn a_data_fragment_is_left_to_its_own_room() {
        let (commands, tail) = Request::parse(&[0x08, 0x01, 0x00, 0x01], V1);
        let cause = TailCause::UnknownCid;
        assert_eq!((commands, tail), (vec![], Some(Tail { offset: 0, cid: 0x08, cause })));
    }
}
