//! What a campaign takes from the battery of one device.
//!
//! A device keeps its receiver open for whole sessions: it does not know that nothing more comes. Beside that it writes
//! the image to flash and answers the commands of its set-up.

use serde::Deserialize;
use serde::Serialize;

/// How the devices of a group listen when no session of theirs runs (TS001-1.0.4, device classes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum DeviceClass {
    /// After their own uplinks only.
    #[default]
    A,
    /// In ping slots, too.
    B,
    /// Always: a session costs them nothing.
    C,
}

/// What is known of a device's battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Power {
    /// How it listens when no session runs.
    pub class: DeviceClass,
    /// What it takes while its receiver is open, microampere.
    pub receive_ua: u32,
    /// What its battery holds, milliampere hours.
    pub capacity_mah: u32,
}

/// SX1261 and SX1262 data sheet, table 3-6: 5.3 mA in boosted LoRa reception with DC-DC, and a sleeping microcontroller.
pub const RECEIVE_UA: u32 = 5_500;
/// An ER14505 cell (AA, Li-SOCl2), as meters have.
pub const CAPACITY_MAH: u32 = 2_400;
/// What writing and erasing flash takes, microampere, and how long it takes for a kilobyte, microseconds: STM32L4 data
/// sheet, 82 us for 8 bytes and 22 ms for a page of 2 KiB.
const FLASH_UA: u64 = 4_000;
const FLASH_US_PER_KB: u64 = 22_000;
/// Answers to PackageVersionReq, McGroupSetupReq, FragSessionSetupReq, the clock, McClassCSessionReq and a status question,
/// the slowest of each: 1.5 s at SF12 and 14 dBm, with 45 mA.
const ANSWERS: u64 = 6;
const ANSWER_US: u64 = 1_500_000;
const ANSWER_UA: u64 = 45_000;
const US_PER_HOUR: u128 = 3_600_000_000;

impl Default for Power {
    fn default() -> Self {
        Power { class: DeviceClass::A, receive_ua: RECEIVE_UA, capacity_mah: CAPACITY_MAH }
    }
}

impl Power {
    /// What an image of `image_len` bytes costs the device that pays most, microampere hours; its
    /// sessions last `sessions_us` together.
    pub fn image_uah(&self, sessions_us: u64, image_len: usize) -> u64 {
        let listening_us = if self.class == DeviceClass::C { 0 } else { sessions_us };
        let kilobytes = (image_len as u64).div_ceil(1000);
        let charge = |us: u64, ua: u64| u128::from(us) * u128::from(ua);
        let sum = charge(listening_us, u64::from(self.receive_ua))
            + charge(kilobytes * FLASH_US_PER_KB, FLASH_UA)
            + charge(ANSWERS * ANSWER_US, ANSWER_UA);
        u64::try_from(sum / US_PER_HOUR).unwrap_or(u64::MAX)
    }

    /// The part of the battery that is, parts per million.
    pub fn part_ppm(&self, uah: u64) -> u64 {
        uah.saturating_mul(1000) / u64::from(self.capacity_mah.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_pays_for_whole_sessions_flash_and_answers() {
        let power = Power { receive_ua: 5_000, ..Power::default() };
        let answers_uah = 112;
        assert_eq!(power.image_uah(0, 0), answers_uah);
        assert_eq!(power.image_uah(3_600_000_000, 0), 5_000 + answers_uah);
        assert_eq!(power.image_uah(0, 1_000_000), 112 + 24);
        assert_eq!(power.part_ppm(2_400), 1_000);
    }

    #[test]
    fn a_device_that_always_listens_pays_nothing_for_sessions() {
        let power = Power { class: DeviceClass::C, ..Power::default() };
        assert_eq!(power.image_uah(3_600_000_000, 0), Power::default().image_uah(0, 0));
    }
}
