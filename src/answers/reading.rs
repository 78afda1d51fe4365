//! What one status answer says, by the habit of the stack that filled it.

use super::habit::Habit;
use super::holding::Failure;
use super::session::Sent;
use super::session::Session;
use crate::lorawan::PackageVersion;
use crate::lorawan::ts004::FragCounts;
use crate::lorawan::ts004::FragSessionStatusAns;

/// A decoder that took no fragment of so many sent ones is over, or hears nothing any more.
pub(super) const STILL_AFTER: u16 = 24;
/// Zephyr counts fragments, not independent ones: with so many more than NbFrag, repeats among them, it lacks none but
/// once in a hundred times.
const ZEPHYR_SURPLUS: u16 = 9;
/// MissingFrag at its upper end stands for more (TS004-1.0.0 3.2).
const SATURATED: u16 = 255;
/// Modulus of MissingFrag where a stack cuts it to a byte.
const BYTE: u16 = 256;

/// What an answer says about the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Every fragment is there, or mended.
    Complete,
    /// Everything is there, or the numbers look so.
    LooksComplete,
    /// So many independent fragments are missing.
    Missing(u16),
    Failed(Failure),
    /// There is no such session.
    NoSession,
}

/// Why a status answer says nothing about this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbelievable {
    /// It is about another FragIndex.
    OtherSession,
    /// More was received, or is missing, than was sent.
    MoreThanSent,
    /// Its numbers contradict each other.
    Contradiction,
    /// This stack has no such answer in this version.
    NoSuchAnswer,
}

/// The numbers of an answer as they came: equal ones long after each other are a sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u16,
    pub(super) missing: u8,
}

/// What a status answer says. `asked` is what was sent when the question was put, `sent` what was until now; `still` says
/// that the device gave the same numbers so long ago that it would have counted on.
pub(super) fn read(
    session: &Session,
    asked: Sent,
    sent: Sent,
    answer: &FragSessionStatusAns,
    still: bool,
) -> Result<Says, Unbelievable> {
    if answer.session_does_not_exist {
        return Ok(Says::NoSession);
    }
    let Some(counts) = answer.counts else { return Err(Unbelievable::Contradiction) };
    let is_mangled = matches!(session.habit, Habit::LoRaMacNode | Habit::Unknown);
    if counts.frag_index != session.frag_index && !is_mangled {
        return Err(Unbelievable::OtherSession);
    }
    let mut says = match session.habit {
        Habit::AsMeant => as_meant(session, sent, counts),
        Habit::LoRaMacNode if session.version == PackageVersion::V2 => Err(Unbelievable::NoSuchAnswer),
        Habit::LoRaMacNode => loramac_node(session, sent, counts),
        Habit::Lbm => lbm(session, asked, sent, counts),
        Habit::Zephyr => zephyr(session, sent, counts),
        Habit::Unknown => unknown(session, sent, counts),
    }?;
    let may_be_done = session.habit.stands_still_when_complete(counts.missing_frag);
    if still && may_be_done && matches!(says, Says::Missing(_)) {
        says = Says::LooksComplete;
    }
    let is_whole = matches!(says, Says::Complete | Says::LooksComplete);
    Ok(match () {
        () if answer.memory_error => Says::Failed(Failure::Memory),
        () if answer.mic_error && is_whole && counts.missing_frag == 0 => Says::Failed(Failure::Mic),
        () => says,
    })
}

fn as_meant(session: &Session, sent: Sent, counts: FragCounts) -> Result<Says, Unbelievable> {
    let FragCounts { nb_frag_received: received, missing_frag, .. } = counts;
    let missing = u16::from(missing_frag);
    if u32::from(received) > sent.frames || missing > session.nb_frag {
        return Err(Unbelievable::MoreThanSent);
    }
    if received == 0 && missing == 0 {
        return Ok(Says::NoSession);
    }
    let at_least = session.nb_frag.saturating_sub(received);
    if missing < at_least.min(SATURATED) {
        return Err(Unbelievable::Contradiction);
    }
    Ok(if missing == 0 { Says::Complete } else { Says::Missing(missing.max(at_least)) })
}

/// The last index processed, as LoRaMac-node sends it: high byte first, without FragIndex.
fn high_byte_first(counts: FragCounts) -> u16 {
    let sent = u16::from(counts.frag_index) << 14 | counts.nb_frag_received;
    sent.swap_bytes() & 0x3fff
}

fn loramac_node(session: &Session, sent: Sent, counts: FragCounts) -> Result<Says, Unbelievable> {
    let (last, lost) = (high_byte_first(counts), u16::from(counts.missing_frag));
    if last > sent.last_n || lost > last.min(session.nb_frag) {
        return Err(Unbelievable::MoreThanSent);
    }
    let nb_frag = session.nb_frag;
    if last == 0 {
        return Ok(Says::NoSession);
    }
    if last <= nb_frag {
        // It finishes on a coded fragment only.
        return Ok(Says::Missing((lost + nb_frag - last).max(1)));
    }
    // The count of lost ones is a byte.
    let is_certain = nb_frag < BYTE;
    Ok(match lost {
        0 if is_certain => Says::Complete,
        0 => Says::LooksComplete,
        // How many of the coded ones came is not told: most of them, by what was lost before.
        _ => {
            let (missing, _) = still_missing(nb_frag, lost, last - nb_frag);
            Says::Missing(missing.max(1))
        }
    })
}

fn lbm(session: &Session, asked: Sent, sent: Sent, counts: FragCounts) -> Result<Says, Unbelievable> {
    let (received, missing) = (counts.nb_frag_received, u16::from(counts.missing_frag));
    let nb_frag = session.nb_frag;
    if received > sent.last_n || missing > nb_frag {
        return Err(Unbelievable::MoreThanSent);
    }
    if received == 0 && missing == 0 {
        return Ok(Says::NoSession);
    }
    // Before the first coded fragment what is missing is what was not received.
    let uncoded = nb_frag.saturating_sub(received);
    // After it, no more than the uncoded ones lost, which are at most all that were sent and not counted.
    let lost_max = (sent.last_n - received).min(nb_frag);
    let most = uncoded.max(lost_max);
    if missing > most.max(1) {
        return Err(Unbelievable::Contradiction);
    }
    if most < BYTE {
        return Ok(if missing == 0 { Says::Complete } else { Says::Missing(missing) });
    }
    if uncoded > 0 && uncoded % BYTE == missing && asked.last_n <= nb_frag {
        return Ok(Says::Missing(uncoded));
    }
    // Of the numbers that the byte may stand for the one that a device which still counts would have now.
    let lost = asked.last_n.saturating_sub(received).min(nb_frag);
    let (expected, deviation) = still_missing(nb_frag, lost, asked.coded(nb_frag));
    let candidates =
        (0..=most / BYTE).map(|wraps| wraps * BYTE + missing).filter(|candidate| *candidate <= most);
    let nearest =
        candidates.filter(|candidate| *candidate > 0).min_by_key(|candidate| candidate.abs_diff(expected));
    Ok(match nearest {
        Some(nearest) if missing > 0 || nearest.abs_diff(expected) <= 4 * deviation + STILL_AFTER => {
            Says::Missing(nearest)
        }
        _ => Says::LooksComplete,
    })
}

/// What a device that lost `lost` of `nb_frag` misses after `coded` coded fragments, and its standard deviation.
fn still_missing(nb_frag: u16, lost: u16, coded: u16) -> (u16, u16) {
    let [m, lost, coded] = [nb_frag, lost, coded].map(u64::from);
    let came = coded * (m - lost) / m.max(1);
    let variance = came * lost / m.max(1);
    (lost.saturating_sub(came) as u16, variance.isqrt() as u16)
}

fn zephyr(session: &Session, sent: Sent, counts: FragCounts) -> Result<Says, Unbelievable> {
    let (received, missing) = (counts.nb_frag_received, u16::from(counts.missing_frag));
    if u32::from(received) > sent.frames {
        return Err(Unbelievable::MoreThanSent);
    }
    if received == 0 && missing == 0 {
        return Ok(Says::NoSession);
    }
    if session.nb_frag.saturating_sub(received).min(SATURATED) != missing {
        return Err(Unbelievable::Contradiction);
    }
    let wanted = session.nb_frag + ZEPHYR_SURPLUS;
    Ok(if received >= wanted { Says::LooksComplete } else { Says::Missing(wanted - received) })
}

/// Only what every stack would mean by it.
fn unknown(session: &Session, sent: Sent, counts: FragCounts) -> Result<Says, Unbelievable> {
    let (swapped, missing) = (high_byte_first(counts), u16::from(counts.missing_frag));
    let is_ours = counts.frag_index == session.frag_index;
    let plain = if is_ours { counts.nb_frag_received } else { u16::MAX };
    let most = sent.frames.max(u32::from(sent.last_n));
    let is_possible = |received: u16| u32::from(received) <= most;
    if !is_possible(plain) && !is_possible(swapped) || missing > session.nb_frag {
        return Err(Unbelievable::MoreThanSent);
    }
    if plain == 0 && missing == 0 {
        return Ok(Says::NoSession);
    }
    let looks_whole = |received: u16| is_possible(received) && received >= session.nb_frag;
    let received = [plain, swapped].into_iter().filter(|received| is_possible(*received)).max().unwrap_or(0);
    Ok(match missing {
        0 if looks_whole(plain) || looks_whole(swapped) => Says::LooksComplete,
        0 => Says::Missing(session.nb_frag.saturating_sub(received).max(1)),
        _ => Says::Missing(missing),
    })
}
