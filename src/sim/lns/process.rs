//! The process with the fleet, which dies with its power and starts again on what its disk kept.

use super::documents::Documents;
use super::documents::OUR_GATEWAY;
use crate::fleet::Fleet;
use crate::fleet::FleetRules;
use crate::fleet::Member;
use crate::fleet::Setup;
use crate::lns::Audience;
use crate::lns::Listener;
use crate::lns::Topics;
use crate::lorawan::KeyFingerprint;
use crate::sim::disk::Disk;
use crate::sim::disk::PageFate;
use crate::sim::random::Random;
use crate::store::Change;
use crate::store::FleetRecord;
use crate::store::Store;

const BOOT: [u8; 16] = [0x5e; 16];

/// A fleet with its listener and its disk.
pub(super) struct Process {
    documents: Documents,
    rules: FleetRules,
    members: Vec<Member>,
    key: KeyFingerprint,
    /// `None` while the process is away.
    pub(super) fleet: Option<(Fleet, Listener)>,
    store: Option<Store<Disk>>,
    /// How often it started.
    pub(super) life: u64,
}

impl Process {
    pub(super) fn new(rules: FleetRules, members: Vec<Member>, key: KeyFingerprint) -> Process {
        let documents = Documents(rules.dialect);
        let rules = FleetRules { gateway_eui: OUR_GATEWAY.parse().ok(), ..rules };
        Process { documents, rules, members, key, fleet: None, store: None, life: 0 }
    }

    /// Starts on this disk.
    pub(super) fn start(&mut self, mut disk: Disk, setup: &Setup, is_begun: bool, random: &mut Random) {
        // A cut may come in the middle of a start, too.
        let (store, recovered) = loop {
            match Store::open(disk.clone(), BOOT) {
                Ok(opened) => break opened,
                Err(_) => disk = cut(disk, random),
            }
        };
        let frag_fport = setup.channel.frag_fport;
        let mut fleet =
            Fleet::new(self.key, frag_fport, self.rules.clone(), self.members.clone(), &recovered.fleets);
        fleet.set_up(Some(setup.clone()));
        if is_begun {
            fleet.begin();
        }
        let topics = Topics::new(self.rules.dialect, "", vec![self.documents.application().to_owned()]);
        let audience = Audience::new(self.members.iter().map(|member| (member.dev_eui, None)));
        self.life += 1;
        self.store = Some(store);
        self.fleet = topics.ok().map(|topics| (fleet, Listener::new(topics, audience)));
    }

    /// Starts again on what the power cut left of the disk.
    pub(super) fn restart(&mut self, setup: &Setup, is_begun: bool, random: &mut Random) {
        let disk = self.store.take().map(Store::into_files).unwrap_or_default();
        let disk = cut(disk, random);
        self.start(disk, setup, is_begun, random);
    }

    /// Gives a record to the disk; `false` when the power went.
    pub(super) fn save(&mut self, record: FleetRecord) -> bool {
        matches!(self.store.as_mut().map(|store| store.apply(&Change::Fleet(record))), Some(Ok(())))
    }

    /// Changing operations of its disk.
    pub(super) fn disk_operations(&self) -> u64 {
        self.store.as_ref().map_or(0, |store| store.files().operations())
    }

    /// Bytes that its disk was written.
    pub(super) fn written_bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, |store| store.files().written_bytes())
    }
}

/// The power is gone, and what was not synced may be, too.
fn cut(mut disk: Disk, random: &mut Random) -> Disk {
    disk.power_cut(&mut |_| if random.chance_ppm(500_000) { PageFate::Old } else { PageFate::New });
    disk
}
