//! The answers of a campaign on disk.

use super::holding::Failure;
use super::lost::Counted;
use super::member::Member;
use super::member::Said;
use super::reading::Counts;
use super::reading::Says;
use super::session::Sent;
use crate::lorawan::Eui64;
use std::collections::BTreeMap;

/// Version 1 knows not what devices lost.
const VERSIONS: [u8; 2] = [1, 2];
const SENT_BYTES: usize = 6;
const HEAD_BYTES: usize = 2 + 2 * SENT_BYTES;
/// Of a device in either version.
const MEMBER_BYTES: [usize; 2] = [8 + 23, 8 + 27];

const IS_TOLD: u8 = 1;
const IS_LOST: u8 = 2;
const IS_CHECKED: u8 = 4;
const HAS_F_CNT: u8 = 8;

/// What was sent, what was sent at the newest question, and the devices.
type Known = (Sent, Option<Sent>, BTreeMap<Eui64, Member>);

/// Devices of one record: its file stays below 8 KiB.
pub(super) const DEVICES: usize = 200;

pub(super) fn write<'a>(
    sent: Sent,
    asked: Option<Sent>,
    members: impl Iterator<Item = (&'a Eui64, &'a Member)>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + DEVICES * MEMBER_BYTES[1]);
    bytes.extend([VERSIONS[1], u8::from(asked.is_some())]);
    for Sent { last_n, frames } in [sent, asked.unwrap_or_default()] {
        bytes.extend(last_n.to_le_bytes());
        bytes.extend(frames.to_le_bytes());
    }
    for (dev_eui, member) in members {
        bytes.extend(dev_eui.as_bytes());
        write_member(member, &mut bytes);
    }
    bytes
}

fn write_member(member: &Member, bytes: &mut Vec<u8>) {
    let flag = |is: bool, bit: u8| if is { bit } else { 0 };
    let flags = flag(member.is_told, IS_TOLD)
        | flag(member.is_lost, IS_LOST)
        | flag(member.is_checked, IS_CHECKED)
        | flag(member.f_cnt.is_some(), HAS_F_CNT);
    let number =
        |failure: Failure| Failure::ALL.iter().position(|one| *one == failure).map_or(0, |at| at as u8 + 1);
    let (says, detail) = match member.said.map(|said| said.says) {
        None => (0, 0),
        Some(Says::Complete) => (1, 0),
        Some(Says::LooksComplete) => (2, 0),
        Some(Says::Missing(fragments)) => (3, fragments),
        Some(Says::Failed(failure)) => (4, u16::from(number(failure))),
        Some(Says::NoSession) => (5, 0),
    };
    let said = member.said;
    let counts = said.map_or(Counts::default(), |said| said.counts);
    bytes.extend([flags, member.failure.map_or(0, number), member.unanswered, says]);
    bytes.extend(member.f_cnt.unwrap_or(0).to_le_bytes());
    let asked = said.map_or(Sent::default(), |said| said.asked);
    for number in [detail, counts.received, asked.last_n] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [asked.frames, said.map_or(0, |said| said.since)] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.push(counts.missing);
    let lost = member.counted.unwrap_or(Counted { lost: 0, of: 0 });
    bytes.extend(lost.lost.to_le_bytes());
    bytes.extend(lost.of.to_le_bytes());
}

/// Reads what [`write`] wrote, in this release or an earlier one; `None` for the bytes of a later version.
pub(super) fn read(bytes: &[u8]) -> Option<Known> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (&[version, has_asked], sents) = head.split_first_chunk()?;
    let layout = VERSIONS.iter().position(|known| *known == version)?;
    let sent = |at: usize| {
        let bytes = &sents[at * SENT_BYTES..];
        Some(Sent { last_n: u16_at(bytes, 0)?, frames: u32_at(bytes, 2)? })
    };
    let members = rest.chunks_exact(MEMBER_BYTES[layout]).filter_map(read_member).collect();
    Some((sent(0)?, sent(1).filter(|_| has_asked != 0), members))
}

fn read_member(bytes: &[u8]) -> Option<(Eui64, Member)> {
    let (dev_eui, rest) = bytes.split_first_chunk()?;
    let &[flags, failure, unanswered, says] = rest.first_chunk()?;
    let is = |bit: u8| flags & bit != 0;
    let failure_of = |number: u16| Failure::ALL.get(usize::from(number).checked_sub(1)?).copied();
    let detail = u16_at(rest, 8)?;
    let says = match says {
        1 => Some(Says::Complete),
        2 => Some(Says::LooksComplete),
        3 => Some(Says::Missing(detail)),
        4 => failure_of(detail).map(Says::Failed),
        5 => Some(Says::NoSession),
        _ => None,
    };
    let counts = Counts { received: u16_at(rest, 10)?, missing: *rest.get(22)? };
    let asked = Sent { last_n: u16_at(rest, 12)?, frames: u32_at(rest, 14)? };
    let since = u32_at(rest, 18)?;
    let counted = u16_at(rest, 23).zip(u16_at(rest, 25)).map(|(lost, of)| Counted { lost, of });
    let member = Member {
        is_told: is(IS_TOLD),
        is_lost: is(IS_LOST),
        is_checked: is(IS_CHECKED),
        failure: failure_of(u16::from(failure)),
        said: says.map(|says| Said { says, counts, asked, since }),
        counted: counted.filter(|counted| counted.of > 0),
        unanswered,
        has_answered: false,
        is_final: false,
        is_away: false,
        f_cnt: u32_at(rest, 4).filter(|_| is(HAS_F_CNT)),
    };
    Some((Eui64::from_bytes(*dev_eui), member))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
