//! Frames of one multicast group: what their headers say (TS001-1.0.4 4), which counters they spend, and
//! whether anyone had been told to listen (TS005-1.0.0 3.5).

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::collections::btree_map::Entry;

use sha2::Digest;
use sha2::Sha256;

use crate::sim::concentrator::Transmission;
use crate::sim::referee::breach::Breach;
use crate::sim::referee::breach::Breaches;
use crate::time::Instant;

/// MHDR of an unconfirmed data frame down, major version LoRaWAN R1: the only one a group may get.
const UNCONFIRMED_DOWN: u8 = 0x60;
/// FType bits of the MHDR, and the two of data frames down.
const FTYPE: u8 = 0xE0;
const DATA_DOWN: [u8; 2] = [UNCONFIRMED_DOWN, 0xA0];
const MIC_LEN: usize = 4;
/// FPorts of applications (TS001-1.0.4 4.3.2).
const FPORTS: core::ops::RangeInclusive<u8> = 1..=223;
/// A device is told a minimum of base - 1 >= 1 and a maximum of 65535; neither it nor what is below is sent.
const FCNTS: core::ops::RangeInclusive<u16> = 2..=65_534;

/// What a data frame down says in clear.
#[derive(Debug)]
pub(super) struct Header {
    mhdr: u8,
    pub(super) address: u32,
    fctrl: u8,
    fcnt: u16,
    fport: Option<u8>,
}

impl Header {
    /// `None` for everything but a data frame down.
    pub(super) fn read(phy_payload: &[u8]) -> Option<Header> {
        let &[mhdr, a, b, c, d, fctrl, low, high, ref rest @ ..] = phy_payload else { return None };
        DATA_DOWN.contains(&(mhdr & FTYPE)).then(|| Header {
            mhdr,
            address: u32::from_le_bytes([a, b, c, d]),
            fctrl,
            fcnt: u16::from_le_bytes([low, high]),
            fport: rest.first().copied().filter(|_| rest.len() > MIC_LEN),
        })
    }
}

/// A group under test.
#[derive(Debug, Default)]
pub(super) struct Group {
    always: bool,
    /// The sub-bands that the operator named for this group; `None`: the default ones.
    pub(super) sub_band: Option<&'static str>,
    /// DownlinkDwellTime is on in the devices.
    pub(super) downlink_dwell: bool,
    /// Announced sessions, start and end, by ascending start; those that ended are dropped.
    sessions: VecDeque<(Instant, Instant)>,
    /// Everything ever sent, by FCnt: at most 65536 entries.
    sent: BTreeMap<u16, Sent>,
    /// The highest FCnt since power came.
    highest: Option<u16>,
    repeated_in_a_row: u64,
}

#[derive(Debug)]
struct Sent {
    digest: u64,
    first: Instant,
}

impl Group {
    pub(super) fn listen_always(&mut self) {
        self.always = true;
    }

    pub(super) fn announce(&mut self, start: Instant, end: Instant, now: Option<Instant>) {
        self.sessions.retain(|&(_, end)| now.is_none_or(|now| now < end));
        let place = self.sessions.partition_point(|&(other, _)| other <= start);
        self.sessions.insert(place, (start, end));
    }

    pub(super) fn power_cycle(&mut self) {
        self.highest = None;
        self.repeated_in_a_row = 0;
    }

    /// Judges a frame that was on the air until `end`; answers how many known frames in a row it completes,
    /// zero when it is new.
    pub(super) fn judge(
        &mut self,
        header: &Header,
        transmission: &Transmission,
        end: Instant,
        breaches: &mut Breaches,
    ) -> u64 {
        let at = transmission.start;
        let Header { mhdr, address: mc_addr, fctrl, fcnt, fport } = *header;
        if mhdr != UNCONFIRMED_DOWN || fctrl != 0 || !fport.is_some_and(|fport| FPORTS.contains(&fport)) {
            breaches.add(Breach::GroupHeader { at, mc_addr, fcnt, mhdr, fctrl, fport });
        }
        if !FCNTS.contains(&fcnt) {
            breaches.add(Breach::ReservedFcnt { at, mc_addr, fcnt });
        }
        if let Some(highest) = self.highest.filter(|&highest| fcnt < highest) {
            breaches.add(Breach::FcntFell { at, mc_addr, fcnt, highest });
        }
        self.highest = self.highest.max(Some(fcnt));
        self.judge_session(header, at, end, breaches);

        let digest = digest_prefix(&transmission.phy_payload);
        let mut is_repeated = false;
        match self.sent.entry(fcnt) {
            Entry::Vacant(unused) => {
                unused.insert(Sent { digest, first: at });
            }
            Entry::Occupied(sent) if sent.get().digest == digest => is_repeated = true,
            Entry::Occupied(sent) => {
                breaches.add(Breach::FcntReused { at, mc_addr, fcnt, first: sent.get().first });
            }
        }
        self.repeated_in_a_row = if is_repeated { self.repeated_in_a_row + 1 } else { 0 };
        self.repeated_in_a_row
    }

    fn judge_session(&mut self, header: &Header, at: Instant, end: Instant, breaches: &mut Breaches) {
        if self.always {
            return;
        }
        // Frames come by ascending start: nothing can lie inside a session that has ended.
        while self.sessions.front().is_some_and(|&(_, session_end)| session_end <= at) {
            self.sessions.pop_front();
        }
        let begun = || self.sessions.iter().take_while(|&&(session_start, _)| session_start <= at);
        if begun().any(|&(_, session_end)| end <= session_end) {
            return;
        }
        let touched = self.sessions.iter().find(|&&(start, session_end)| start < end && at < session_end);
        breaches.add(Breach::OutsideSession {
            at,
            mc_addr: header.address,
            fcnt: header.fcnt,
            end,
            missed: touched.copied(),
        });
    }
}

/// The first 64 bits of the SHA-256 of a whole PHYPayload, MIC and all.
fn digest_prefix(phy_payload: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(phy_payload).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_ended_are_forgotten_even_when_the_group_is_silent() {
        let mut group = Group::default();
        for k in 0..10_000 {
            let start = Instant::from_us(k * 100);
            group.announce(start, start.plus_us(90), Some(start));
            assert!(group.sessions.len() <= 1);
        }
    }
}
