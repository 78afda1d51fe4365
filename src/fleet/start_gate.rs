//! When a campaign without a start begins: as soon as enough of its devices are ready.

use super::readiness::Readiness;
use super::setup::Setup;
use crate::lorawan::KeyFingerprint;
use crate::time::GpsTime;

const VERSION: u8 = 2;
/// The slowest device is given so many of its usual distances of uplinks, in halves.
const HALF_INTERVALS: u64 = 5;
/// Who sent only once may send once a day, seconds.
const DAY_S: u32 = 86_400;
/// Nobody is told a session within less, microseconds.
const LEAD_MIN_US: u64 = 120_000_000;
/// Starts are multiples of this, microseconds.
const STEP_US: u64 = 10_000_000;

/// When a campaign without a start begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartWhen {
    /// So many of the devices are ready, per cent; those that cannot take part count as well.
    pub ready_percent: u8,
    /// At the latest moment so many must be, per cent; else there is no campaign.
    pub min_ready_percent: u8,
    /// The latest moment, microseconds after the campaign was planned.
    pub at_latest_us: u64,
}

/// How long devices need to be told a session, of which the slowest sends each `slowest_s` seconds, microseconds.
pub(super) fn lead_us(slowest_s: Option<u32>) -> u64 {
    (u64::from(slowest_s.unwrap_or(DAY_S)) * 1_000_000 * HALF_INTERVALS / 2).max(LEAD_MIN_US)
}

/// The first start from then on.
pub fn rounded(start: GpsTime) -> GpsTime {
    GpsTime::from_us(start.as_us().next_multiple_of(STEP_US))
}

/// What is to be done about a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// More devices are waited for.
    Wait,
    /// The campaign begins then.
    Start(GpsTime),
    /// Too few devices are ready.
    TooFew,
}

/// The start of one campaign, on disk: when it was planned, and what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartGate {
    /// The setup that it is of.
    pub(super) setup: [u8; 8],
    /// When the setup was seen first.
    pub(super) planned: GpsTime,
    /// The start that was decided, if one was.
    pub(super) start: Option<GpsTime>,
}

impl StartGate {
    /// What is to be done now, with `slowest_s` as the longest of the ready devices' usual distances of uplinks; `None`
    /// while one of them sent only once. Canaries, who are in a session of their own, can be told another by `told_again`.
    pub(super) fn decide(
        &self,
        rule: &StartWhen,
        ready: &Readiness,
        slowest_s: Option<u32>,
        gps: GpsTime,
        told_again: Option<GpsTime>,
    ) -> Decision {
        let is_latest = gps >= self.latest(rule);
        let wanted = if is_latest { rule.min_ready_percent } else { rule.ready_percent };
        let is_known = is_latest || slowest_s.is_some();
        match ready.has(wanted) && ready.told > 0 && is_known {
            true => {
                let start = gps.plus_us(lead_us(slowest_s)).max(told_again.unwrap_or(gps));
                Decision::Start(rounded(start))
            }
            false if is_latest => Decision::TooFew,
            false => Decision::Wait,
        }
    }

    /// The latest moment for a decision.
    pub(super) fn latest(&self, rule: &StartWhen) -> GpsTime {
        self.planned.plus_us(rule.at_latest_us)
    }

    /// Its bytes on disk.
    pub(super) fn to_bytes(self, key: KeyFingerprint) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(key.as_bytes());
        bytes.extend(self.setup);
        bytes.extend(self.planned.as_us().to_le_bytes());
        bytes.extend(self.start.map_or(0, GpsTime::as_us).to_le_bytes());
        bytes
    }

    /// Reads what [`StartGate::to_bytes`] wrote for the key.
    pub(super) fn from_bytes(key: KeyFingerprint, bytes: &[u8]) -> Option<StartGate> {
        let rest = bytes.strip_prefix(&[VERSION])?.strip_prefix(key.as_bytes())?;
        let (setup, rest) = rest.split_first_chunk()?;
        let (planned, rest) = rest.split_first_chunk()?;
        let start = u64::from_le_bytes(*rest.first_chunk()?);
        Some(StartGate {
            setup: *setup,
            planned: GpsTime::from_us(u64::from_le_bytes(*planned)),
            start: (start != 0).then(|| GpsTime::from_us(start)),
        })
    }

    /// The gate of a setup that is seen first.
    pub(super) fn new(setup: &Setup, planned: GpsTime) -> StartGate {
        StartGate { setup: setup.digest(), planned, start: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: StartWhen =
        StartWhen { ready_percent: 90, min_ready_percent: 50, at_latest_us: 7 * 86_400_000_000 };
    const GATE: StartGate =
        StartGate { setup: [1; 8], planned: GpsTime::from_us(1_400_000_000_000_000), start: None };

    fn decided(told: u32, after_us: u64) -> Decision {
        decided_with(told, after_us, Some(3600))
    }

    fn decided_with(told: u32, after_us: u64, slowest_s: Option<u32>) -> Decision {
        let ready = Readiness { devices: 10, told, ..Readiness::default() };
        GATE.decide(&RULE, &ready, slowest_s, GATE.planned.plus_us(after_us), None)
    }

    #[test]
    fn a_campaign_begins_when_enough_are_ready_and_the_slowest_of_them_can_still_be_told() {
        assert_eq!(decided(8, 1000), Decision::Wait);
        let Decision::Start(start) = decided(9, 1000) else { panic!("nine of ten are ready") };
        assert_eq!(start.as_us() % STEP_US, 0);
        assert!((9000..=9060).contains(&(start.us_since(GATE.planned) / 1_000_000)), "{start:?}");
    }

    #[test]
    fn at_the_latest_moment_fewer_do_and_too_few_end_it() {
        let latest_us = RULE.at_latest_us;
        assert_eq!(decided(5, latest_us - 1), Decision::Wait);
        assert!(matches!(decided(5, latest_us), Decision::Start(_)));
        assert_eq!(decided(4, latest_us), Decision::TooFew);
    }

    #[test]
    fn a_device_that_sent_only_once_is_waited_for_until_the_latest_moment() {
        assert_eq!(decided_with(10, 1000, None), Decision::Wait);
        let Decision::Start(start) = decided_with(10, RULE.at_latest_us, None) else { panic!("it is time") };
        assert!(start.us_since(GATE.planned) >= RULE.at_latest_us + 2 * 86_400_000_000);
    }

    #[test]
    fn a_gate_is_the_same_after_it_was_on_disk_and_another_keys_is_none() {
        let [key, other] = [1, 2].map(|byte| KeyFingerprint::from_bytes([byte; 16]));
        for gate in [GATE, StartGate { start: Some(GpsTime::from_us(7)), ..GATE }] {
            assert_eq!(StartGate::from_bytes(key, &gate.to_bytes(key)), Some(gate));
            assert_eq!(StartGate::from_bytes(other, &gate.to_bytes(key)), None);
            assert_eq!(StartGate::from_bytes(key, &gate.to_bytes(key)[..30]), None);
        }
    }
}
