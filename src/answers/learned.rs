//! What the campaigns of a group taught of the frames that its devices lose, and what that means for the next one.

use super::lost::CampaignLoss;
use crate::lorawan::KeyFingerprint;
use crate::odds::coded_to_complete;
use core::fmt;

/// The format of the bytes on disk.
const VERSION: u8 = 1;
const CAMPAIGN_BYTES: usize = 9;
/// Campaigns that count; of older ones hardly anything is left in the average.
const CAMPAIGNS_MAX: usize = 8;
/// No less is expected, millionths: it asks for the same few fragments.
const LEAST_PPM: u32 = 3_000;
/// A device with the expected loss completes with what is sent before the first question with this probability.
const CONFIDENCE: f64 = 0.9;
/// Coded fragments before the first question, at least: some decoders end on one.
const CODED_MIN: u16 = 2;

/// What each of the newest campaigns of a group told, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    campaigns: Vec<Campaign>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Campaign {
    /// FCnt of its first frame, which names it.
    first_fcnt: u32,
    loss: CampaignLoss,
}

/// The loss that is expected of a group's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Nine in ten devices lose no more of the frames, millionths.
    pub loss_ppm: u32,
    /// Campaigns that it was learned from.
    pub campaigns: u8,
    /// No device was ever seen to miss anything when it was asked: it may be less.
    pub is_assumed: bool,
}

impl Learned {
    /// The campaign whose first frame has this counter told this; what it told before is forgotten.
    pub fn learn(&mut self, first_fcnt: u32, loss: CampaignLoss) {
        self.campaigns.retain(|campaign| campaign.first_fcnt != first_fcnt);
        self.campaigns.push(Campaign { first_fcnt, loss });
        let old = self.campaigns.len().saturating_sub(CAMPAIGNS_MAX);
        self.campaigns.drain(..old);
    }

    /// What is expected of the next campaign; `None` while nothing is known. Each campaign weighs as much as all before it.
    pub fn expected(&self) -> Option<Expected> {
        let mut expected: Option<(u32, bool)> = None;
        for Campaign { loss, .. } in &self.campaigns {
            expected = Some(match (*loss, expected) {
                (CampaignLoss::Measured(ppm), Some((known, false))) => (known.midpoint(ppm), false),
                (CampaignLoss::Measured(ppm), _) => (ppm, false),
                // Anything below it is as likely as anything else, by orders of magnitude.
                (CampaignLoss::AtMost(ppm), None) => {
                    ((u64::from(ppm) * u64::from(LEAST_PPM)).isqrt() as u32, true)
                }
                // The expected loss was too much. From many coded fragments nothing follows.
                (CampaignLoss::AtMost(ppm), Some((known, is_assumed))) if ppm / 2 < known => {
                    (known.min(ppm) / 4 * 3, is_assumed)
                }
                (CampaignLoss::AtMost(_), Some(known)) => known,
            });
        }
        expected.map(|(loss_ppm, is_assumed)| Expected {
            loss_ppm: loss_ppm.max(LEAST_PPM),
            campaigns: self.campaigns.len() as u8,
            is_assumed,
        })
    }

    /// Its bytes on disk, for the group with this key.
    pub fn to_bytes(&self, key: KeyFingerprint) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(key.as_bytes());
        for Campaign { first_fcnt, loss } in &self.campaigns {
            let (kind, ppm) = match loss {
                CampaignLoss::Measured(ppm) => (0, ppm),
                CampaignLoss::AtMost(ppm) => (1, ppm),
            };
            bytes.extend(first_fcnt.to_le_bytes());
            bytes.push(kind);
            bytes.extend(ppm.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Learned::to_bytes`] wrote; `None` for another key's bytes, and for those of another version.
    pub fn from_bytes(key: KeyFingerprint, bytes: &[u8]) -> Option<Learned> {
        let rest = bytes.strip_prefix(&[VERSION])?.strip_prefix(key.as_bytes())?;
        let mut learned = Learned::default();
        for [f0, f1, f2, f3, kind, p0, p1, p2, p3] in rest.as_chunks::<CAMPAIGN_BYTES>().0 {
            let ppm = u32::from_le_bytes([*p0, *p1, *p2, *p3]).min(1_000_000);
            let loss = if *kind == 0 { CampaignLoss::Measured(ppm) } else { CampaignLoss::AtMost(ppm) };
            learned.learn(u32::from_le_bytes([*f0, *f1, *f2, *f3]), loss);
        }
        Some(learned)
    }
}

impl Expected {
    /// Coded fragments before the first question, of an image of `nb_frag` fragments for which `ordered` are ordered.
    pub fn coded(&self, nb_frag: u16, ordered: u16) -> u16 {
        let missing = (u64::from(nb_frag) * u64::from(self.loss_ppm)).div_ceil(1_000_000) as u16;
        let coded = coded_to_complete(missing, f64::from(self.loss_ppm) / 1e6, CONFIDENCE);
        coded.max(CODED_MIN).min(ordered)
    }
}

/// The beginning of a sentence: what is expected, and why.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = f64::from(self.loss_ppm) / 1e4;
        let campaigns = match self.campaigns {
            1 => "last campaign".to_owned(),
            several => format!("last {several} campaigns"),
        };
        match self.is_assumed {
            false => {
                write!(f, "nine in ten devices lost at most {percent:.1} % of the frames in the {campaigns}")
            }
            true => write!(
                f,
                "no device was seen to miss anything in the {campaigns}, and {percent:.1} % of the frames are taken for lost"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CampaignLoss::AtMost;
    use CampaignLoss::Measured;

    const KEY: KeyFingerprint = KeyFingerprint::from_bytes([7; 16]);

    fn learned(losses: &[CampaignLoss]) -> Learned {
        let mut learned = Learned::default();
        for (first_fcnt, loss) in (2..).step_by(100).zip(losses) {
            learned.learn(first_fcnt, *loss);
        }
        learned
    }

    fn loss_ppm(losses: &[CampaignLoss]) -> Option<(u32, bool)> {
        learned(losses).expected().map(|expected| (expected.loss_ppm, expected.is_assumed))
    }

    #[test]
    fn newer_campaigns_weigh_more_and_one_that_is_told_again_counts_once() {
        assert_eq!(loss_ppm(&[]), None);
        assert_eq!(loss_ppm(&[Measured(20_000)]), Some((20_000, false)));
        assert_eq!(loss_ppm(&[Measured(20_000), Measured(100_000)]), Some((60_000, false)));
        assert_eq!(loss_ppm(&[Measured(100_000), Measured(20_000), Measured(20_000)]), Some((40_000, false)));
        assert_eq!(loss_ppm(&[Measured(0)]), Some((LEAST_PPM, false)));
        let mut again = learned(&[Measured(20_000), Measured(100_000)]);
        again.learn(102, Measured(40_000));
        assert_eq!(
            again.expected().map(|expected| (expected.loss_ppm, expected.campaigns)),
            Some((30_000, 2))
        );
        let many = learned(&[Measured(50_000); 20]);
        assert_eq!(many.campaigns.len(), CAMPAIGNS_MAX);
        assert_eq!(many.campaigns.last().map(|campaign| campaign.first_fcnt), Some(1902));
    }

    #[test]
    fn where_nobody_missed_anything_less_is_assumed_until_somebody_does() {
        let first = (u64::from(230_000_u32) * u64::from(LEAST_PPM)).isqrt() as u32;
        assert_eq!(loss_ppm(&[AtMost(230_000)]), Some((first, true)));
        // With as much redundancy again nothing new is known.
        assert_eq!(loss_ppm(&[AtMost(230_000), AtMost(230_000)]), Some((first, true)));
        let (next, is_assumed) = loss_ppm(&[AtMost(230_000), AtMost(first + 3_000)]).unwrap();
        assert!(next < first && is_assumed, "{next}");
        assert_eq!(loss_ppm(&[AtMost(230_000), Measured(80_000)]), Some((80_000, false)));
        assert_eq!(loss_ppm(&[Measured(80_000), AtMost(230_000)]), Some((80_000, false)));
        assert_eq!(loss_ppm(&[Measured(80_000), AtMost(90_000)]), Some((60_000, false)));
    }

    #[test]
    fn a_group_that_loses_little_gets_little_and_never_more_than_is_ordered() {
        let expected = |loss_ppm| Expected { loss_ppm, campaigns: 1, is_assumed: false };
        let coded = |loss_ppm, nb_frag, ordered| expected(loss_ppm).coded(nb_frag, ordered);
        assert!((23..=27).contains(&coded(21_000, 1000, 300)), "{}", coded(21_000, 1000, 300));
        assert!((130..=150).contains(&coded(200_000, 500, 500)), "{}", coded(200_000, 500, 500));
        assert_eq!(coded(200_000, 500, 100), 100);
        assert_eq!(coded(LEAST_PPM, 1, 300).max(CODED_MIN), coded(LEAST_PPM, 1, 300));
        assert_eq!((coded(0, 10, 300), coded(0, 10, 1)), (CODED_MIN, 1));
    }

    #[test]
    fn what_was_learned_is_the_same_after_it_was_on_disk_and_another_keys_is_left_alone() {
        let known = learned(&[AtMost(230_000), Measured(30_000)]);
        let bytes = known.to_bytes(KEY);
        assert_eq!(bytes.len(), 17 + 2 * CAMPAIGN_BYTES);
        assert_eq!(Learned::from_bytes(KEY, &bytes), Some(known));
        assert_eq!(Learned::from_bytes(KeyFingerprint::from_bytes([8; 16]), &bytes), None);
        assert_eq!(Learned::from_bytes(KEY, &[&[VERSION + 1], &bytes[1..]].concat()), None);
        assert_eq!(Learned::from_bytes(KEY, &[]), None);
    }

    #[test]
    fn what_is_expected_is_said_with_its_reason() {
        let expected =
            |campaigns, is_assumed| Expected { loss_ppm: 21_000, campaigns, is_assumed }.to_string();
        assert_eq!(
            expected(3, false),
            "nine in ten devices lost at most 2.1 % of the frames in the last 3 campaigns"
        );
        assert!(
            expected(1, true)
                .starts_with("no device was seen to miss anything in the last campaign, and 2.1 %")
        );
    }
}
