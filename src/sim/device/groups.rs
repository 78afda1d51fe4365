//! TS005 on a device: groups and their Class C sessions.

use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::decrypt_mc_key;
use crate::lorawan::mc_ke_key;
use crate::lorawan::ts005::Answer;
use crate::lorawan::ts005::MAX_GROUPS;
use crate::lorawan::ts005::McClassCSessionReq;
use crate::lorawan::ts005::McGroupSetupReq;
use crate::lorawan::ts005::McSessionAns;
use crate::lorawan::ts005::PACKAGE_ID;
use crate::lorawan::ts005::Request;
use crate::lorawan::ts005::TIME_TO_START_UNKNOWN;
use crate::radio::Modulation;
use crate::region::Parameters;
use crate::sim::device::end_device::Command;
use crate::sim::device::end_device::Device;
use crate::sim::device::group::Group;
use crate::sim::device::group::Place;
use crate::sim::device::group::Session;
use crate::sim::device::group::Timetable;
use crate::sim::device::stack::Rules;
use crate::time::Now;

/// MHDR and MIC, the bytes of a frame outside MACPayload.
const PHY_OVERHEAD: usize = 5;
const US_PER_S: u64 = 1_000_000;

impl Device {
    /// Carries out one command of TS005 and returns its answer.
    pub(super) fn ts005(&mut self, now: Now, request: &Request) -> Option<Answer> {
        match request {
            Request::PackageVersion => Some(Answer::PackageVersion {
                package_identifier: PACKAGE_ID,
                package_version: self.rules().setup_version.unwrap_or(self.package_version()).number(),
            }),
            Request::McGroupStatus { req_group_mask } => self.group_status(*req_group_mask),
            Request::McGroupSetup(setup) => Some(self.set_up_group(now, setup)),
            Request::McGroupDelete { mc_group_id } => Some(self.delete_group(now, *mc_group_id)),
            Request::McClassCSession(session) => {
                Some(Answer::McClassCSession(self.tell_session(now, session)))
            }
            // Class B is not modelled: this device has no data rate for it.
            Request::McClassBSession(session) => {
                Some(Answer::McClassBSession(McSessionAns { dr_error: true, ..refusal(session.mc_group_id) }))
            }
        }
    }

    /// Both stacks count the groups that are set up, not those there is room for.
    fn group_status(&self, req_group_mask: u8) -> Option<Answer> {
        let mut mc_addrs = [None; MAX_GROUPS];
        for (id, (place, group)) in mc_addrs.iter_mut().zip(&self.groups).enumerate() {
            *place = group.as_ref().filter(|_| req_group_mask >> id & 1 == 1).map(|group| group.mc_addr);
        }
        let nb_total_groups = self.groups.iter().flatten().count() as u8;
        self.rules().has_group_status.then_some(Answer::McGroupStatus { nb_total_groups, mc_addrs })
    }

    fn set_up_group(&mut self, now: Now, setup: &McGroupSetupReq) -> Answer {
        let McGroupSetupReq { mc_group_id, mc_addr, .. } = *setup;
        if mc_addr == McAddr::new(0) {
            self.refuse(Command::McGroupSetup, "McAddr is 00000000".to_owned());
            return Answer::McGroupSetup { mc_group_id, id_error: true };
        }
        self.accept(Command::McGroupSetup);
        let rules = self.rules();
        let place = &mut self.groups[usize::from(mc_group_id)];
        let old = place.as_ref().map(|group| group.timetable).unwrap_or_default();
        let timetable = if rules.setup_spares_session {
            if old.running().is_some() {
                return Answer::McGroupSetup { mc_group_id, id_error: false };
            }
            old
        } else {
            self.listened_us += old.listening_us(now.mono);
            Timetable::default()
        };
        let mc_ke_key = mc_ke_key(&self.settings.root_key.mc_root_key());
        let mc_key = decrypt_mc_key(&mc_ke_key, &setup.mc_key_encrypted);
        *place = Some(Group {
            mc_addr,
            keys: McSessionKeys::derive(&mc_key, mc_addr),
            min_mc_fcount: setup.min_mc_fcount,
            max_mc_fcount: setup.max_mc_fcount,
            last_fcnt: None,
            timetable,
        });
        self.permanent_since.get_or_insert(now.mono);
        Answer::McGroupSetup { mc_group_id, id_error: false }
    }

    fn delete_group(&mut self, now: Now, mc_group_id: u8) -> Answer {
        let group = self.groups[usize::from(mc_group_id)].take();
        if let Some(group) = &group {
            self.listened_us += group.timetable.listening_us(now.mono);
        }
        Answer::McGroupDelete { mc_group_id, mc_group_undefined: group.is_none() }
    }

    fn tell_session(&mut self, now: Now, request: &McClassCSessionReq) -> McSessionAns {
        let rules = self.rules();
        if request.mc_group_id == 0 {
            self.time_out_of_group_0 = request.time_out;
        }
        let time_out = if rules.time_out_of_group_0 { self.time_out_of_group_0 } else { request.time_out };
        let believed_us = self.believed_us(now);
        // Seconds modulo 2^32 on both sides; a start must lie ahead.
        let ahead_s = request.session_time.wrapping_sub((believed_us / US_PER_S) as u32);
        let is_missed = ahead_s == 0 || ahead_s > i32::MAX.unsigned_abs();
        let dr = request.dr & rules.dr_mask;
        let place = place_of(self.settings.region, rules, request.dl_frequency_hz, dr);
        let group = self.groups[usize::from(request.mc_group_id)].as_mut();
        let mut answer = McSessionAns {
            dr_error: place.is_none(),
            freq_error: !has_frequency(self.settings.region, request.dl_frequency_hz),
            mc_group_undefined: group.is_none(),
            start_missed: is_missed,
            ..refusal(request.mc_group_id)
        };
        if let (Some(group), Some(place), false, false) = (group, place, answer.freq_error, is_missed) {
            let start = now.mono.plus_us(u64::from(ahead_s) * US_PER_S - believed_us % US_PER_S);
            let end = start.plus_us(US_PER_S << time_out);
            group.timetable.tell(Session { start, end, place });
            answer.time_to_start = Some(ahead_s.min(TIME_TO_START_UNKNOWN));
            self.accept(Command::McClassCSession);
            return answer;
        }
        self.refuse(Command::McClassCSession, reasons(request, &answer, believed_us));
        if rules.missed_is_undefined {
            let other = answer.dr_error || answer.freq_error || answer.mc_group_undefined;
            answer.mc_group_undefined |= is_missed && !other;
            answer.start_missed = false;
        }
        answer
    }

    /// Where a device listens permanently.
    pub(super) fn permanent_place(&self) -> Option<Place> {
        let (frequency_hz, modulation) = self.settings.permanent_class_c?;
        Some(place(self.settings.region, frequency_hz, modulation))
    }
}

/// An answer without any bit and without TimeToStart.
fn refusal(mc_group_id: u8) -> McSessionAns {
    McSessionAns {
        mc_group_id,
        dr_error: false,
        freq_error: false,
        mc_group_undefined: false,
        start_missed: false,
        reserved: 0,
        time_to_start: None,
    }
}

fn reasons(request: &McClassCSessionReq, answer: &McSessionAns, believed_us: u64) -> String {
    let McClassCSessionReq { mc_group_id, dl_frequency_hz, dr, session_time, .. } = *request;
    let mut reasons = Vec::new();
    if answer.mc_group_undefined {
        reasons.push(format!("group {mc_group_id} is not set up"));
    }
    if answer.freq_error {
        reasons.push(format!("{dl_frequency_hz} Hz is no downlink frequency here"));
    }
    if answer.dr_error {
        reasons.push(format!("DR{dr} is no downlink data rate here"));
    }
    if answer.start_missed {
        let late_s = ((believed_us / US_PER_S) as u32).wrapping_sub(session_time);
        reasons.push(format!("its start was {late_s} s ago by the device's clock"));
    }
    reasons.join(", ")
}

/// Inside the band and, where there are fixed downlink channels, on one of them.
fn has_frequency(region: &Parameters, frequency_hz: u32) -> bool {
    let is_in_band = (region.freq_min_hz..=region.freq_max_hz).contains(&frequency_hz);
    is_in_band
        && region.downlink_raster.is_none_or(|raster| {
            frequency_hz.checked_sub(raster.first_hz).is_some_and(|above_hz| {
                above_hz.is_multiple_of(raster.step_hz) && above_hz / raster.step_hz < raster.count
            })
        })
}

/// `None` when the device has no such data rate.
fn place_of(region: &Parameters, rules: &Rules, frequency_hz: u32, dr: u8) -> Option<Place> {
    let data_rate = region.data_rate(dr).ok()?;
    if data_rate.since.is_some() && !rules.newest_data_rates {
        return None;
    }
    let max_phy_len = data_rate.max_mac_payload + PHY_OVERHEAD;
    Some(Place { frequency_hz, modulation: data_rate.modulation, max_phy_len })
}

fn place(region: &Parameters, frequency_hz: u32, modulation: Modulation) -> Place {
    let rows = region.data_rates.iter().filter(|row| row.modulation == modulation);
    let max_phy_len = rows.map(|row| row.max_mac_payload + PHY_OVERHEAD).max().unwrap_or(usize::MAX);
    Place { frequency_hz, modulation, max_phy_len }
}
