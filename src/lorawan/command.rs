//! The parts that the three packages share: versions, a parser of several commands in one FRMPayload, and the
//! range checks of fields.

use core::fmt;

use thiserror::Error;

/// The most commands that are read out of one FRMPayload: the shortest has one byte, and 242 bytes fit a frame.
pub const MAX_COMMANDS: usize = 242;

/// Version of an application package, from the device's PackageVersionAns. Ask before sending anything that
/// depends on it: a device of the other version may take the surplus bytes for further commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackageVersion {
    /// Version 1 of a package: TS003-1.0.0, TS004-1.0.0 or TS005-1.0.0.
    V1,
    /// Version 2 of a package: TS003-2.0.0, TS004-2.0.0 or TS005-2.0.0.
    V2,
}

impl PackageVersion {
    /// The version with this PackageVersion of PackageVersionAns; `None` for an unknown one.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(PackageVersion::V1),
            2 => Some(PackageVersion::V2),
            _ => None,
        }
    }

    /// The PackageVersion of PackageVersionAns, 1 or 2.
    pub const fn number(self) -> u8 {
        match self {
            PackageVersion::V1 => 1,
            PackageVersion::V2 => 2,
        }
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.number())
    }
}

/// The place where reading an FRMPayload ended before its last byte. The commands before it were read and are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{cause} (CID {cid:#04x} at byte {offset})")]
pub struct Tail {
    /// Index in the payload of the first byte not understood, a CID.
    pub offset: usize,
    /// The CID at that offset.
    pub cid: u8,
    /// The reason why the command there was not read.
    pub cause: TailCause,
}

/// Reasons why a command cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TailCause {
    /// The CID is no command of this package, version and direction. Its length is unknown, so nothing
    /// after it is read.
    #[error("unknown command")]
    UnknownCid,
    /// The payload ends inside the command.
    #[error("the command is cut short")]
    Short,
    /// The fields of the command contradict each other.
    #[error("the command contradicts itself")]
    Malformed,
    /// The payload holds more than [`MAX_COMMANDS`] commands.
    #[error("more commands than fit any frame")]
    TooMany,
}

/// Reasons why a command cannot be written. Nothing is written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The value is larger than its field's bits can hold.
    #[error("{field} = {value} does not fit; the highest value is {max}")]
    Range {
        /// Name of the field in its document.
        field: &'static str,
        /// The value to be written.
        value: u32,
        /// The largest value the field can hold.
        max: u32,
    },
    /// The frequency, in Hz, is not a multiple of 100 Hz, the step in which frequencies travel.
    #[error("{0} Hz is not a multiple of 100 Hz; round it to the channel")]
    FrequencyStep(u32),
    /// The command or field does not exist in this version of the package.
    #[error("{field} does not exist in package {version}; ask the device for its version first")]
    NotInVersion {
        /// Name of the field or command in its document.
        field: &'static str,
        /// The version in which it was to be written.
        version: PackageVersion,
    },
    /// Two fields that exclude each other; the text says which combinations are allowed.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Refuses a `value` above `max` with [`CommandError::Range`].
pub(super) fn fits(field: &'static str, value: impl Into<u32>, max: u32) -> Result<(), CommandError> {
    let value = value.into();
    if value <= max { Ok(()) } else { Err(CommandError::Range { field, value, max }) }
}

/// Reads one command after another until the bytes end or a command is not understood. `one` reads the fields
/// that follow the CID.
pub(super) fn parse_each<C>(
    bytes: &[u8],
    one: impl Fn(u8, &mut Reader<'_>) -> Result<C, TailCause>,
) -> (Vec<C>, Option<Tail>) {
    let mut commands = Vec::new();
    let mut reader = Reader { rest: bytes };
    while let Some((&cid, rest)) = reader.rest.split_first() {
        let offset = bytes.len() - reader.rest.len();
        if commands.len() == MAX_COMMANDS {
            return (commands, Some(Tail { offset, cid, cause: TailCause::TooMany }));
        }
        reader.rest = rest;
        match one(cid, &mut reader) {
            Ok(command) => commands.push(command),
            Err(cause) => return (commands, Some(Tail { offset, cid, cause })),
        }
    }
    (commands, None)
}

/// A cursor over little-endian fields; every read may end in [`TailCause::Short`].
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// The bytes not yet read.
    pub(super) fn rest(&self) -> &[u8] {
        self.rest
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], TailCause> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(TailCause::Short)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, TailCause> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, TailCause> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u24(&mut self) -> Result<u32, TailCause> {
        self.array().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, TailCause> {
        self.array().map(u32::from_le_bytes)
    }
}

/// Bit `index` of `byte`.
pub(super) fn bit(byte: u8, index: u8) -> bool {
    byte >> index & 1 == 1
}

/// The low three bytes of `value`, little endian.
pub(super) fn le24(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_fault_holds() {
        let one = |cid, reader: &mut Reader<'_>| match cid {
            1 => reader.u16(),
            _ => Err(TailCause::UnknownCid),
        };
        let tail = |offset, cid, cause| Some(Tail { offset, cid, cause });
        assert_eq!(parse_each(&[1, 2, 3], one), (vec![0x0302], None));
        assert_eq!(parse_each(&[1, 2, 3, 1, 2], one), (vec![0x0302], tail(3, 1, TailCause::Short)));
        assert_eq!(parse_each(&[1, 2, 3, 9, 2], one), (vec![0x0302], tail(3, 9, TailCause::UnknownCid)));
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let (commands, tail) = parse_each(&[0; 300], |_, _| Ok(()));
        assert_eq!(commands.len(), MAX_COMMANDS);
        assert_eq!(tail, Some(Tail { offset: 242, cid: 0, cause: TailCause::TooMany }));
    }

    #[test]
    fn versions_keep_their_numbers() {
        for version in [PackageVersion::V1, PackageVersion::V2] {
            assert_eq!(PackageVersion::from_number(version.number()), Some(version));
        }
        assert_eq!(PackageVersion::from_number(3), None);
    }
}
