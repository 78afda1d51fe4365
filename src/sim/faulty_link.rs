//! A wire that cannot be trusted: what happens to datagrams between two ends, in virtual time and from a seed.
//!
//! UDP promises nothing (RFC 768): datagrams get lost, come twice, late or out of order; what is cut or changed on
//! the way stands for a peer that writes nonsense.

use super::random::Random;
use crate::time::Instant;

/// What strikes a datagram, each by itself; shares in millionths, more than a million is always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultyLinkSettings {
    /// The datagram never arrives.
    pub lost_ppm: u32,
    /// The datagram arrives a second time.
    pub duplicated_ppm: u32,
    /// It is held back, so that later ones overtake it.
    pub reordered_ppm: u32,
    /// For how long at most, microseconds; at least 1.
    pub held_back_us: u64,
    /// It loses its end; how much is drawn, and it may be all of it.
    pub truncated_ppm: u32,
    /// One bit of it is turned over.
    pub flipped_ppm: u32,
    /// Least and most time on the way, microseconds. Whatever it is, who is not held back overtakes nobody.
    pub delay_us: (u64, u64),
}

/// A good wire on the loopback: 50 us, nothing else.
impl Default for FaultyLinkSettings {
    fn default() -> Self {
        FaultyLinkSettings {
            lost_ppm: 0,
            duplicated_ppm: 0,
            reordered_ppm: 0,
            held_back_us: 100_000,
            truncated_ppm: 0,
            flipped_ppm: 0,
            delay_us: (50, 50),
        }
    }
}

/// What happened on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultyLinkCounts {
    /// Datagrams that went in.
    pub sent: u64,
    /// Copies that came out.
    pub arrived: u64,
    /// Datagrams that never arrived.
    pub lost: u64,
    /// Datagrams that arrived a second time.
    pub duplicated: u64,
    /// Copies that were held back.
    pub reordered: u64,
    /// Copies that were cut short.
    pub truncated: u64,
    /// Copies with a bit turned over.
    pub flipped: u64,
}

/// One direction of a wire.
#[derive(Clone, Debug)]
pub struct FaultyLink {
    settings: FaultyLinkSettings,
    rng: Random,
    /// The latest arrival of what was not held back.
    newest: Instant,
    counts: FaultyLinkCounts,
}

impl FaultyLink {
    /// A wire with random numbers of its own.
    pub fn new(settings: FaultyLinkSettings, rng: Random) -> FaultyLink {
        FaultyLink { settings, rng, newest: Instant::from_us(i64::MIN), counts: FaultyLinkCounts::default() }
    }

    /// From now on other things strike; what is under way arrives as it was told.
    pub fn set(&mut self, settings: FaultyLinkSettings) {
        self.settings = settings;
    }

    /// A datagram goes in at `now`: when it arrives and as what; nothing, once or twice.
    pub fn pass(&mut self, now: Instant, bytes: &[u8]) -> Vec<(Instant, Vec<u8>)> {
        self.counts.sent += 1;
        if self.rng.chance_ppm(self.settings.lost_ppm) {
            self.counts.lost += 1;
            return Vec::new();
        }
        let is_twice = self.rng.chance_ppm(self.settings.duplicated_ppm);
        self.counts.duplicated += u64::from(is_twice);
        (0..1 + u8::from(is_twice)).map(|_| (self.arrival(now), self.damage(bytes))).collect()
    }

    /// What happened so far.
    pub fn counts(&self) -> FaultyLinkCounts {
        self.counts
    }

    fn arrival(&mut self, now: Instant) -> Instant {
        self.counts.arrived += 1;
        let (least_us, most_us) = self.settings.delay_us;
        let arrival = now.plus_us(self.rng.range(least_us, most_us)).max(self.newest);
        if self.rng.chance_ppm(self.settings.reordered_ppm) {
            self.counts.reordered += 1;
            return arrival.plus_us(self.rng.range(1, self.settings.held_back_us));
        }
        self.newest = arrival;
        arrival
    }

    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if self.rng.chance_ppm(self.settings.truncated_ppm) {
            self.counts.truncated += 1;
            bytes.truncate(self.rng.below(bytes.len() as u64) as usize);
        }
        if self.rng.chance_ppm(self.settings.flipped_ppm) && !bytes.is_empty() {
            self.counts.flipped += 1;
            let bit = self.rng.below(8 * bytes.len() as u64);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: i64 = 20_000;

    /// Numbered datagrams of 20 bytes, a millisecond apart: (arrival, number in the first bytes, all bytes).
    fn through(settings: FaultyLinkSettings) -> (Vec<(Instant, Vec<u8>)>, FaultyLinkCounts) {
        let mut wire = FaultyLink::new(settings, Random::new(7));
        let mut arrived = Vec::new();
        for n in 0..SENT {
            arrived.extend(wire.pass(Instant::from_us(n * 1000), &datagram(n)));
        }
        (arrived, wire.counts())
    }

    fn datagram(n: i64) -> Vec<u8> {
        [&n.to_be_bytes()[..], &[0xa5; 12]].concat()
    }

    fn number(bytes: &[u8]) -> i64 {
        i64::from_be_bytes(bytes[..8].try_into().unwrap())
    }

    fn numbers_by_arrival(mut arrived: Vec<(Instant, Vec<u8>)>) -> Vec<i64> {
        arrived.sort_by_key(|(at, _)| *at);
        arrived.iter().map(|(_, bytes)| number(bytes)).collect()
    }

    #[test]
    fn a_good_wire_changes_nothing_but_the_time() {
        let (arrived, counts) = through(FaultyLinkSettings::default());
        let expected: Vec<_> = (0..SENT).map(|n| (Instant::from_us(n * 1000 + 50), datagram(n))).collect();
        assert_eq!(arrived, expected);
        assert_eq!(counts, FaultyLinkCounts { sent: 20_000, arrived: 20_000, ..FaultyLinkCounts::default() });
    }

    #[test]
    fn every_tenth_is_lost() {
        let (arrived, counts) =
            through(FaultyLinkSettings { lost_ppm: 100_000, ..FaultyLinkSettings::default() });
        assert!((1_850..2_150).contains(&counts.lost), "{counts:?}");
        assert_eq!(arrived.len() as u64 + counts.lost, 20_000);
    }

    #[test]
    fn a_duplicate_is_the_same_datagram_again() {
        let (arrived, counts) =
            through(FaultyLinkSettings { duplicated_ppm: 300_000, ..FaultyLinkSettings::default() });
        assert!((5_700..6_300).contains(&counts.duplicated), "{counts:?}");
        assert_eq!(
            (arrived.len() as u64, counts.arrived),
            (20_000 + counts.duplicated, counts.sent + counts.duplicated)
        );
        let twice = arrived.windows(2).filter(|two| two[0].1 == two[1].1).count() as u64;
        assert_eq!(twice, counts.duplicated);
    }

    #[test]
    fn delay_alone_reorders_nothing_and_stays_in_its_bounds() {
        let delay_us = (0, 5_000);
        let (arrived, _) = through(FaultyLinkSettings { delay_us, ..FaultyLinkSettings::default() });
        for (n, (at, _)) in arrived.iter().enumerate() {
            let late_us = at.as_us() - n as i64 * 1000;
            assert!((0..=5_000).contains(&late_us), "{late_us}");
        }
        assert!(numbers_by_arrival(arrived).is_sorted());
    }

    #[test]
    fn what_is_held_back_is_overtaken() {
        let reordered_ppm = 300_000;
        let (arrived, counts) =
            through(FaultyLinkSettings { reordered_ppm, ..FaultyLinkSettings::default() });
        assert!((5_700..6_300).contains(&counts.reordered), "{counts:?}");
        let numbers = numbers_by_arrival(arrived);
        let backwards = numbers.windows(2).filter(|two| two[0] > two[1]).count();
        assert!(backwards > 3_000, "{backwards}");
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..SENT), "nothing is lost");
    }

    #[test]
    fn a_cut_datagram_is_the_beginning_of_the_whole_one() {
        let truncated_ppm = 1_000_000;
        let (arrived, counts) =
            through(FaultyLinkSettings { truncated_ppm, ..FaultyLinkSettings::default() });
        assert_eq!(counts.truncated, 20_000);
        let mut lengths = std::collections::BTreeSet::new();
        for (n, (_, bytes)) in arrived.iter().enumerate() {
            assert!(datagram(n as i64).starts_with(bytes));
            lengths.insert(bytes.len());
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_flip_turns_one_bit_anywhere() {
        let flipped_ppm = 1_000_000;
        let (arrived, counts) = through(FaultyLinkSettings { flipped_ppm, ..FaultyLinkSettings::default() });
        assert_eq!(counts.flipped, 20_000);
        let mut flipped = std::collections::BTreeSet::new();
        for (n, (_, bytes)) in arrived.iter().enumerate() {
            let changed: Vec<(usize, u8)> = bytes
                .iter()
                .zip(datagram(n as i64))
                .map(|(is, was)| is ^ was)
                .enumerate()
                .filter(|(_, bits)| *bits != 0)
                .collect();
            assert!(changed.len() == 1 && changed[0].1.count_ones() == 1, "{changed:?}");
            flipped.insert(changed[0]);
        }
        assert_eq!(flipped.len(), 160);
    }

    #[test]
    fn an_empty_datagram_survives_everything() {
        let always = 1_000_000;
        let settings = FaultyLinkSettings {
            duplicated_ppm: always,
            truncated_ppm: always,
            flipped_ppm: always,
            ..FaultyLinkSettings::default()
        };
        let mut wire = FaultyLink::new(settings, Random::new(7));
        let arrived = wire.pass(Instant::ZERO, &[]);
        assert_eq!((arrived.len(), wire.counts().flipped), (2, 0));
    }

    #[test]
    fn the_same_seed_has_the_same_faults_and_new_settings_hold_from_now_on() {
        let settings =
            FaultyLinkSettings { lost_ppm: 500_000, flipped_ppm: 500_000, ..FaultyLinkSettings::default() };
        assert_eq!(through(settings), through(settings));
        let mut wire = FaultyLink::new(settings, Random::new(7));
        wire.set(FaultyLinkSettings { lost_ppm: 1_000_000, ..settings });
        assert!((0..100).all(|n| wire.pass(Instant::ZERO, &datagram(n)).is_empty()));
    }
}
