//! How far a device is, in our words and in those of AWS.

use super::step::Step;
use core::fmt;
use serde::Serialize;

/// How far one device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Nothing was asked yet.
    Initial,
    /// This gateway does not hear its uplinks well enough, so the device would not hear the session.
    NotHeardHere,
    /// A command of ours is not answered yet.
    Asked(Step),
    /// All answers were good; before a session is fixed, all but its own.
    Told,
    /// It answered a multicast frame of this key.
    Proved,
    /// It cannot take part.
    Refused(Refusal),
    /// It sends nothing, or leaves our commands unanswered.
    Silent,
    /// It restarted after it was told and lost what it was told.
    LostState,
    /// It answered what nobody here asked: another FUOTA is at work.
    Conflict,
    /// The campaign is for other devices of its group: it held the image before.
    NotNeeded,
}

/// Why a device cannot take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is behind a relay (TS011): it does not hear this gateway.
    Relay,
    /// It has another version of TS004 than the group's coded fragments are made for.
    FragVersion(u8),
    /// It has an unknown version of TS005.
    SetupVersion(u8),
    /// McGroupSetupAns: IDError, it has no such group.
    GroupId,
    /// FragSessionSetupAns: FragAlgo is not supported.
    FragAlgo,
    /// FragSessionSetupAns: not enough memory.
    Memory,
    /// FragSessionSetupAns: FragIndex is not supported.
    FragIndex,
    /// FragSessionSetupAns: the descriptor is wrong.
    Descriptor,
    /// FragSessionSetupAns: SessionCnt was used before, and no larger one is prepared.
    SessionCnt,
    /// TS004-2.0.0: no MIC is prepared for this image.
    NoMic,
    /// McClassCSessionAns: DRError, it has no such data rate.
    DataRate,
    /// McClassCSessionAns: FreqError, it cannot use the frequency.
    Frequency,
    /// McClassCSessionAns: the group is undefined although it was set up.
    GroupUndefined,
    /// Its clock stays wrong.
    Clock,
}

impl Refusal {
    /// Every refusal; the versions stand for any.
    pub const ALL: [Refusal; 14] = [
        Refusal::Relay,
        Refusal::FragVersion(0),
        Refusal::SetupVersion(0),
        Refusal::GroupId,
        Refusal::FragAlgo,
        Refusal::Memory,
        Refusal::FragIndex,
        Refusal::Descriptor,
        Refusal::SessionCnt,
        Refusal::NoMic,
        Refusal::DataRate,
        Refusal::Frequency,
        Refusal::GroupUndefined,
        Refusal::Clock,
    ];

    /// Its number on disk, from 1, and the version that belongs to it.
    pub(super) fn number(self) -> (u8, u8) {
        let same = |other: &Refusal| core::mem::discriminant(other) == core::mem::discriminant(&self);
        let index = Refusal::ALL.iter().position(same).unwrap_or_default();
        let version = match self {
            Refusal::FragVersion(version) | Refusal::SetupVersion(version) => version,
            _ => 0,
        };
        (index as u8 + 1, version)
    }

    /// The refusal with this number.
    pub(super) fn from_number(number: u8, version: u8) -> Option<Refusal> {
        Some(match *Refusal::ALL.get(usize::from(number).checked_sub(1)?)? {
            Refusal::FragVersion(_) => Refusal::FragVersion(version),
            Refusal::SetupVersion(_) => Refusal::SetupVersion(version),
            other => other,
        })
    }
}

/// One line: what, and the way out.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Relay => f.write_str("it is behind a relay and does not hear this gateway"),
            Refusal::FragVersion(0) => f.write_str("it has no TS004"),
            Refusal::FragVersion(version) => write!(
                f,
                "it has TS004 version {version}, not the group's: put it into a group with that `ts004-version`"
            ),
            Refusal::SetupVersion(version) => write!(f, "it has TS005 version {version}, which is unknown"),
            Refusal::GroupId => f.write_str("IDError: it has no multicast group 0"),
            Refusal::FragAlgo => f.write_str("it does not know FragAlgo 0"),
            Refusal::Memory => f.write_str("its decoder has not enough memory for this image"),
            Refusal::FragIndex => f.write_str("it has no fragmentation session 0"),
            Refusal::Descriptor => f.write_str("its application refuses the descriptor"),
            Refusal::SessionCnt => {
                f.write_str("SessionCnt was used before: prepare it again with larger counts")
            }
            Refusal::NoMic => {
                f.write_str("no MIC of this image is prepared for it (`fuotad prepare --image`)")
            }
            Refusal::DataRate => f.write_str("DRError: it cannot use the session's data rate"),
            Refusal::Frequency => f.write_str("FreqError: it cannot use the session's frequency"),
            Refusal::GroupUndefined => f.write_str("it says that the group is undefined after it was set up"),
            Refusal::Clock => f.write_str("its clock stays wrong or unknown"),
        }
    }
}

impl DeviceState {
    /// The state in one word of ours.
    pub fn word(self) -> &'static str {
        match self {
            DeviceState::Initial => "initial",
            DeviceState::NotHeardHere => "not-heard-here",
            DeviceState::Asked(_) => "asked",
            DeviceState::Told => "told",
            DeviceState::Proved => "proved",
            DeviceState::Refused(_) => "refused",
            DeviceState::Silent => "silent",
            DeviceState::LostState => "lost-state",
            DeviceState::Conflict => "conflict",
            DeviceState::NotNeeded => "not-needed",
        }
    }

    /// The state in the words of AWS's FuotaDeviceStatus.
    pub fn aws_word(self) -> &'static str {
        match self {
            DeviceState::Conflict => "Device_exist_in_conflict_fuota_task",
            DeviceState::NotNeeded => "Successful",
            DeviceState::Refused(refusal) => match refusal {
                Refusal::FragAlgo => "FragAlgo_unsupported",
                Refusal::Memory => "Not_enough_memory",
                Refusal::FragIndex => "FragIndex_unsupported",
                Refusal::Descriptor => "Wrong_descriptor",
                Refusal::SessionCnt => "SessionCnt_replay",
                Refusal::FragVersion(_) | Refusal::SetupVersion(_) => "Package_Not_Supported",
                _ => "Initial",
            },
            _ => "Initial",
        }
    }
}

impl Serialize for DeviceState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_same_after_it_was_on_disk() {
        for refusal in Refusal::ALL.into_iter().chain([Refusal::FragVersion(2), Refusal::SetupVersion(9)]) {
            let (number, version) = refusal.number();
            assert_eq!(Refusal::from_number(number, version), Some(refusal));
        }
        assert_eq!(Refusal::from_number(0, 0), None);
        assert_eq!(Refusal::from_number(15, 0), None);
    }
}
