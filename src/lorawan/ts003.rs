//! TS003, application layer clock synchronisation. Versions 1 and 2 have the same bytes; `version` is an argument
//! only so that the three packages have one interface.

use crate::lorawan::command::CommandError;
use crate::lorawan::command::PackageVersion;
use crate::lorawan::command::Reader;
use crate::lorawan::command::Tail;
use crate::lorawan::command::TailCause;
use crate::lorawan::command::bit;
use crate::lorawan::command::fits;
use crate::lorawan::command::parse_each;

/// Default FPort (TS003-1.0.0 3).
pub const FPORT: u8 = 202;
/// PackageIdentifier in PackageVersionAns (TS003-1.0.0 3.1).
pub const PACKAGE_ID: u8 = 1;

/// Commands from the server to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// PackageVersionReq, answered by [`Answer::PackageVersion`] (TS003-1.0.0 3.1).
    PackageVersion,
    /// AppTimeAns (TS003-1.0.0 3.2), the server's answer to [`Answer::AppTime`].
    AppTime {
        /// TimeCorrection: seconds to be added to the device's clock.
        time_correction: i32,
        /// TokenReq of the request, 0..=15.
        token_ans: u8,
    },
    /// DeviceAppTimePeriodicityReq (TS003-1.0.0 3.3): the device shall ask for the time every
    /// 128 x 2^period seconds.
    DeviceAppTimePeriodicity {
        /// Period, 0..=15: the exponent of the interval.
        period: u8,
    },
    /// ForceDeviceResyncReq, in version 2 ForceDeviceResyncCmd (TS003-1.0.0 3.4): the device shall ask
    /// for the time now.
    ForceDeviceResync {
        /// NbTransmissions: how often the device sends its AppTimeReq, 0..=7.
        nb_transmissions: u8,
    },
}

/// Commands from the device to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// PackageVersionAns, the answer to [`Request::PackageVersion`] (TS003-1.0.0 3.1).
    PackageVersion {
        /// PackageIdentifier; [`PACKAGE_ID`] in a correct answer.
        package_identifier: u8,
        /// PackageVersion, read by [`PackageVersion::from_number`].
        package_version: u8,
    },
    /// AppTimeReq (TS003-1.0.0 3.2), which the device sends of its own accord.
    AppTime {
        /// DeviceTime: the device's clock just before sending, GPS seconds modulo 2^32.
        device_time: u32,
        /// TokenReq, 0..=15, to be repeated in the answer.
        token_req: u8,
        /// AnsRequired: the device wants an answer even when its clock is right.
        ans_required: bool,
    },
    /// DeviceAppTimePeriodicityAns, the answer to [`Request::DeviceAppTimePeriodicity`] (TS003-1.0.0 3.3).
    DeviceAppTimePeriodicity {
        /// NotSupported: the device decides itself when it asks.
        not_supported: bool,
        /// Time: the device's clock, GPS seconds modulo 2^32.
        time: u32,
    },
}

impl Request {
    /// Appends the command, CID first.
    ///
    /// # Errors
    ///
    /// [`CommandError::Range`] when a field's value does not fit its bits. Nothing is appended then.
    pub fn write(&self, _version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        match *self {
            Request::PackageVersion => out.push(0x00),
            Request::AppTime { time_correction, token_ans } => {
                fits("TokenAns", token_ans, 15)?;
                out.push(0x01);
                out.extend(time_correction.to_le_bytes());
                out.push(token_ans);
            }
            Request::DeviceAppTimePeriodicity { period } => {
                fits("Period", period, 15)?;
                out.extend([0x02, period]);
            }
            Request::ForceDeviceResync { nb_transmissions } => {
                fits("NbTransmissions", nb_transmissions, 7)?;
                out.extend([0x03, nb_transmissions]);
            }
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
            0x01 => Request::AppTime {
                time_correction: i32::from_le_bytes(reader.array()?),
                token_ans: reader.u8()? & 0x0f,
            },
            0x02 => Request::DeviceAppTimePeriodicity { period: reader.u8()? & 0x0f },
            0x03 => Request::ForceDeviceResync { nb_transmissions: reader.u8()? & 0x07 },
            _ => return Err(TailCause::UnknownCid),
        })
    }
}

impl Answer {
    /// Appends the command, CID first.
    ///
    /// # Errors
    ///
    /// [`CommandError::Range`] when a field's value does not fit its bits. Nothing is appended then.
    pub fn write(&self, _version: PackageVersion, out: &mut Vec<u8>) -> Result<(), CommandError> {
        match *self {
            Answer::PackageVersion { package_identifier, package_version } => {
                out.extend([0x00, package_identifier, package_version]);
            }
            Answer::AppTime { device_time, token_req, ans_required } => {
                fits("TokenReq", token_req, 15)?;
                out.push(0x01);
                out.extend(device_time.to_le_bytes());
                out.push(token_req | u8::from(ans_required) << 4);
            }
            Answer::DeviceAppTimePeriodicity { not_supported, time } => {
                out.extend([0x02, u8::from(not_supported)]);
                out.extend(time.to_le_bytes());
            }
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
            0x01 => {
                let device_time = reader.u32()?;
                let param = reader.u8()?;
                Answer::AppTime { device_time, token_req: param & 0x0f, ans_required: bit(param, 4) }
            }
            0x02 => {
                Answer::DeviceAppTimePeriodicity { not_supported: bit(reader.u8()?, 0), time: reader.u32()? }
            }
            _ => return Err(TailCause::UnknownCid),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_too_large_is_refused_and_leaves_nothing_behind() {
        let mut out = vec![7];
        let request = Request::AppTime { time_correction: 0, token_ans: 16 };
        let refused = request.write(PackageVersion::V1, &mut out);
        assert_eq!(refused, Err(CommandError::Range { field: "TokenAns", value: 16, max: 15 }));
        assert_eq!(out, [7]);
    }

    #[test]
    fn reserved_bits_are_not_looked_at() {
        let (commands, tail) = Answer::parse(&[0x02, 0xfe, 1, 0, 0, 0], PackageVersion::V2);
        assert_eq!(commands, [Answer::DeviceAppTimePeriodicity { not_supported: false, time: 1 }]);
        assert_eq!(tail, None);
    }
}
