//! Questions to canaries in the world of meters: one frame under the group's key, which the meters open for themselves.

use super::agenda::Event;
use super::world::GPS_START_US;
use super::world::LnsWorld;
use crate::fleet::Question;
use crate::lorawan::PackageVersion;
use crate::lorawan::multicast_frame;
use crate::lorawan::ts004;
use crate::radio::Dbm;
use crate::radio::downlink_airtime_us;
use crate::sim::concentrator::Transmission;
use crate::time::Instant;
use crate::time::Now;

impl LnsWorld {
    /// The fleet wants canaries to be asked.
    pub(super) fn put_question(&mut self, question: &Question) {
        if !self.script.setup.canary_fcnts.contains(&question.fcnt) {
            self.referee.note(format!("FCnt {} is none for canaries", question.fcnt));
        }
        if !self.asked_fcnts.insert(question.fcnt) {
            self.referee.note(format!("FCnt {} was used before", question.fcnt));
        }
        let at_us = question.opens.as_us().saturating_sub(GPS_START_US).max(self.agenda.now_us);
        self.agenda.at(at_us, Event::Asked(*question));
    }

    /// The question is on the air: whoever is in a session and has the key hears it.
    pub(super) fn ask(&mut self, question: &Question) {
        let mut payload = Vec::new();
        let request = ts004::Request::FragSessionStatus { frag_index: 0, participants: true };
        let channel = self.script.setup.channel;
        let written = request.write(PackageVersion::V1, &mut payload).is_ok();
        let frame = multicast_frame(&self.keys, channel.mc_addr, question.fcnt, channel.frag_fport, &payload);
        let Some(phy_payload) = frame.ok().filter(|_| written) else { return };
        let start = self.now();
        let airtime_us = downlink_airtime_us(channel.modulation, phy_payload.len());
        let ended =
            Now { mono: start.mono.plus_us(airtime_us), gps: start.gps.map(|gps| gps.plus_us(airtime_us)) };
        if ended.gps.is_some_and(|gps| gps > question.closes) {
            self.referee.note(format!("FCnt {} comes after its session", question.fcnt));
        }
        self.summary.questions += 1;
        let transmission = Transmission {
            start: start.mono,
            airtime_us,
            frequency_hz: channel.frequency_hz,
            modulation: channel.modulation,
            eirp: Dbm::from_whole(14),
            phy_payload,
            inverted_iq: true,
            crc: false,
            preamble_symbols: 8,
        };
        for index in 0..self.meters.len() {
            let meter = &mut self.meters[index];
            if !meter.script.is_in_reach || meter.random.chance_ppm(meter.script.downlink_loss_ppm) {
                continue;
            }
            meter.device.hear(ended, &transmission);
            self.report_later(index);
        }
        if let (Some((fleet, _)), Some(gps)) = (&mut self.process.fleet, ended.gps) {
            fleet.asked(question.fcnt, gps);
        }
    }

    /// The meter sends what it was asked for.
    pub(super) fn report(&mut self, index: usize) {
        let now = self.now();
        while let Some((f_port, data)) = self.meters[index].device.take_uplink(now) {
            self.uplink(index, f_port, data);
        }
        self.report_later(index);
    }

    fn report_later(&mut self, index: usize) {
        let Some(due) = self.meters[index].device.report_due() else { return };
        let due_us = due.us_since(Instant::ZERO).max(self.agenda.now_us + 1);
        self.agenda.at(due_us, Event::Report(index));
    }
}
