//! The world of meters between its devices and the network server: uplinks, their windows, downlinks.

use super::agenda::Event;
use super::air::CHANNELS_HZ;
use super::air::airtime_us;
use super::air::max_len;
use super::app_server::Item;
use super::documents::Down;
use super::documents::Uplink;
use super::referee;
use super::referee::Referee;
use super::world::DEDUPLICATION_US;
use super::world::FILL_AFTER_US;
use super::world::GPS_START_US;
use super::world::LnsWorld;
use crate::time::GpsTime;

impl LnsWorld {
    pub(super) fn uplink(&mut self, index: usize, f_port: u8, data: Vec<u8>) {
        let channel = self.random.below(CHANNELS_HZ.len() as u64) as usize;
        let airtime_us = airtime_us(self.meters[index].script.sf, data.len());
        self.agenda.later(airtime_us, Event::UplinkEnd { meter: index, f_port, data, channel });
    }

    pub(super) fn uplink_end(&mut self, index: usize, f_port: u8, data: &[u8], channel: usize) {
        let began_us =
            self.agenda.now_us.saturating_sub(airtime_us(self.meters[index].script.sf, data.len()));
        let is_deaf = self.air.is_busy(began_us, self.agenda.now_us);
        let meter = &mut self.meters[index];
        let f_cnt = meter.f_cnt;
        meter.f_cnt += 1;
        // A deaf gateway hears none of the bursts either.
        if meter.loses_uplink() || is_deaf && meter.script.is_in_reach {
            return;
        }
        let uplink = Uplink {
            f_cnt,
            f_port,
            data,
            sf: meter.script.sf,
            frequency_hz: CHANNELS_HZ[channel],
            is_heard_here: meter.script.is_in_reach,
        };
        let published = self.documents.up(&meter.dev_eui, &uplink);
        let windows = self.sessions.iter().copied();
        let now = GpsTime::from_us(GPS_START_US + self.agenda.now_us);
        let is_clock_right =
            referee::is_clock_right(f_port, data, now, self.script.setup.channel.guard_us, windows);
        let dev_eui = self.meters[index].dev_eui.clone();
        let gps_s = self.gps_s();
        self.referee.reached_server(&dev_eui, f_port, data, is_clock_right, gps_s);
        let good = Referee::good(f_port, data, is_clock_right);
        let ended_us = self.agenda.now_us;
        self.agenda.now_us += DEDUPLICATION_US;
        self.publish(published, good);
        self.agenda.now_us = ended_us;
        self.agenda.later(DEDUPLICATION_US + FILL_AFTER_US, Event::Fill { meter: index, channel, ended_us });
    }

    pub(super) fn fill(&mut self, index: usize, channel: usize, ended_us: u64) {
        let meter = &self.meters[index];
        let dev_eui = meter.dev_eui.clone();
        let sf = meter.script.sf;
        let gps = GpsTime::from_us(GPS_START_US + self.agenda.now_us);
        let (item, told) = self.server.fill(&dev_eui, gps, max_len(sf));
        told.into_iter().for_each(|told| self.publish(told, Vec::new()));
        let Some(item) = item else { return };
        let told = match self.air.send(ended_us, channel, sf, item.down.payload.len()) {
            Some(sent) => {
                self.summary.airtime_us += sent.airtime_us;
                *self.summary.airtime_by_sf_us.entry(sf).or_default() += sent.airtime_us;
                self.agenda.at(sent.ends_us(), Event::Downlink { meter: index, item });
                self.server.sent(&dev_eui, sent.hz, sent.sf)
            }
            None => {
                self.summary.refused += 1;
                self.server.refused(&dev_eui)
            }
        };
        told.into_iter().for_each(|told| self.publish(told, Vec::new()));
    }

    pub(super) fn downlink(&mut self, index: usize, item: &Item) {
        let now = self.now();
        let meter = &mut self.meters[index];
        if meter.random.chance_ppm(meter.script.downlink_loss_ppm) || item.down.f_port < 200 {
            return;
        }
        let answers = meter.downlink(now, item.down.f_port, &item.down.payload);
        let dev_eui = meter.dev_eui.clone();
        let gps_s = self.gps_s();
        self.referee.delivered(&dev_eui, item.down.f_port, &item.down.payload, gps_s);
        if (item.down.f_port, item.down.payload.first()) == (202, Some(&0x01)) {
            self.referee.clock_set(&dev_eui);
        }
        for (after_us, f_port, data) in answers {
            self.agenda.later(after_us, Event::Answer { meter: index, f_port, data });
        }
    }

    /// Another application queues an item.
    pub(super) fn foreign(&mut self, index: usize) {
        let dev_eui = self.meters[index].dev_eui.clone();
        let down = Down { dev_eui, id: String::new(), f_port: 10, payload: vec![1, 2, 3], expires_at: None };
        if let Some(told) = self.server.push(Item { down, is_ours: false }) {
            self.publish(told, Vec::new());
        }
    }
}
