//! The devices of one group: events in, pushes and records out.

use super::airtime_share::AirtimeShare;
use super::batch::Batch;
use super::command::payload;
use super::device::Device;
use super::due::Context;
use super::member::Member;
use super::progress::Progress;
use super::progress::Stop;
use super::proofs::Proofs;
use super::question::Question;
use super::readiness::Readiness;
use super::records;
use super::rules::FleetRules;
use super::setup::Setup;
use super::setup::Window;
use super::standing::Standing;
use super::start_gate::StartGate;
use super::state::Refusal;
use super::step::Step;
use crate::lns::Event;
use crate::lns::EventKind;
use crate::lns::ItemId;
use crate::lns::Push;
use crate::lorawan::Eui64;
use crate::lorawan::FRAME_OVERHEAD;
use crate::lorawan::KeyFingerprint;
use crate::store::FleetRecord;
use crate::store::RecordId;
use crate::time::GpsTime;
use crate::time::Instant;
use crate::time::Now;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// What a fleet wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable and answer with [`Fleet::saved`].
    Save(FleetRecord),
    /// Publish this downlink at the device's network server.
    Push(Push),
    /// Enough devices are ready: the campaign begins then.
    Start(GpsTime),
    /// Somebody else seems to answer AppTimeReq, too; told once.
    TwoAnswerTime,
    /// Ask the canaries, and say with [`Fleet::asked`] when that is over.
    Ask(Question),
    /// No canary of a batch answered: its root keys are probably wrong. The canaries' names, and how many devices it has.
    KeysDoubted {
        /// Names of the canaries that were asked.
        canaries: Vec<String>,
        /// Devices of the batch.
        devices: usize,
    },
    /// The start leaves no time for a proof of root keys: devices are told without one; told once for a campaign.
    Unproved,
    /// Too few devices are ready at the latest moment: there is no campaign.
    TooFewReady(Readiness),
}

/// So many downlinks of others after questions for the time are no chance.
const FOREIGN_ANSWERS: u32 = 3;

/// A push that waits until it is on disk.
struct Waiting {
    device: usize,
    item_no: u32,
    push: Push,
}

/// One record of up to 64 devices on its way to the disk.
#[derive(Default)]
pub(super) struct Shard {
    /// A save is on its way, with the pushes that wait for it.
    saving: Option<Vec<Waiting>>,
    is_changed: bool,
    /// Pushes that wait for the next save.
    waiting: Vec<Waiting>,
}

/// What all dialogues of a group share.
pub(super) struct Shared {
    pub(super) rules: FleetRules,
    pub(super) frag_fport: u8,
    pub(super) setup: Option<Setup>,
    /// The last setup, while there is no other: what became of the devices is still to be seen.
    pub(super) last: Option<Setup>,
    pub(super) is_begun: bool,
    pub(super) has_sent: bool,
    pub(super) is_survey: bool,
    pub(super) is_put_off: bool,
}

impl Shared {
    /// The same for whoever looks on: after a campaign with its setup.
    pub(super) fn shown(&self, now: Now) -> Context<'_> {
        Context { setup: self.setup.as_ref().or(self.last.as_ref()), ..self.context(now) }
    }

    pub(super) fn context(&self, now: Now) -> Context<'_> {
        Context {
            now,
            setup: self.setup.as_ref(),
            rules: &self.rules,
            frag_fport: self.frag_fport,
            is_begun: self.is_begun,
            has_sent: self.has_sent,
            is_survey: self.is_survey,
            is_put_off: self.is_put_off,
        }
    }
}

/// The devices of one group and their dialogues. No Debug: members hold key material.
pub struct Fleet {
    pub(super) key: KeyFingerprint,
    pub(super) shared: Shared,
    pub(super) devices: Vec<Device>,
    pub(super) by_eui: BTreeMap<Eui64, usize>,
    pub(super) share: AirtimeShare,
    pub(super) shards: Vec<Shard>,
    /// The start of the campaign, where it is ours to decide.
    pub(super) gate: Option<StartGate>,
    /// Which batches are proved, and the trials of others.
    pub(super) proofs: Proofs,
    /// Questions on their way to the air, by their counters.
    pub(super) questions: BTreeMap<u32, Batch>,
    /// Questions that wait for the save of proofs with that number.
    pub(super) unsaved_questions: Vec<(u64, Question)>,
    /// Saves of proofs that were begun and that were answered.
    pub(super) proof_saves: (u64, u64),
    /// Batches that there is no time to prove before the campaign.
    pub(super) released: BTreeSet<Batch>,
    /// Somebody was told the campaign's session without a proof.
    pub(super) is_told_unproved: bool,
    /// Downlinks of others that followed a question for the time which we answer.
    pub(super) foreign_answers: u32,
    /// Something changed since the start was looked at.
    pub(super) is_gate_due: bool,
    pub(super) outputs: VecDeque<Output>,
}

impl Fleet {
    /// The devices `members` of the group with the key `key`, with what the records of an earlier life say of them.
    /// `frag_fport` is the group's port of TS004. Of a device that is there twice the first counts.
    pub fn new(
        key: KeyFingerprint,
        frag_fport: u8,
        rules: FleetRules,
        members: Vec<Member>,
        records: &[FleetRecord],
    ) -> Fleet {
        let known = records::read(key, records);
        let record = |index| {
            let id = records::id(key, index);
            records.iter().find(|record| record.id == id).map(|record| record.bytes.as_slice())
        };
        let mut by_eui = BTreeMap::new();
        let mut devices = Vec::new();
        for member in members {
            if by_eui.contains_key(&member.dev_eui) {
                continue;
            }
            by_eui.insert(member.dev_eui, devices.len());
            let progress = known.get(&member.dev_eui).copied().unwrap_or_default();
            devices.push(Device::new(member, progress));
        }
        Fleet {
            key,
            share: AirtimeShare::new(rules.airtime),
            shared: Shared {
                rules,
                frag_fport,
                setup: None,
                last: None,
                is_begun: false,
                has_sent: false,
                is_survey: false,
                is_put_off: false,
            },
            shards: (0..devices.len().div_ceil(records::DEVICES)).map(|_| Shard::default()).collect(),
            gate: record(records::START).and_then(|bytes| StartGate::from_bytes(key, bytes)),
            proofs: record(records::PROOFS)
                .and_then(|bytes| Proofs::from_bytes(key, bytes))
                .unwrap_or_default(),
            questions: BTreeMap::new(),
            unsaved_questions: Vec::new(),
            proof_saves: (0, 0),
            released: BTreeSet::new(),
            is_told_unproved: false,
            foreign_answers: 0,
            is_gate_due: true,
            devices,
            by_eui,
            outputs: VecDeque::new(),
        }
    }

    /// The key that the devices share.
    pub fn key(&self) -> KeyFingerprint {
        self.key
    }

    /// The names of its records in the store.
    pub fn record_ids(&self) -> impl Iterator<Item = RecordId> {
        (0..self.shards.len())
            .chain([records::START, records::PROOFS])
            .map(|index| records::id(self.key, index))
    }

    /// How many devices there are.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there is such a device.
    pub fn has(&self, dev_eui: Eui64) -> bool {
        self.by_eui.contains_key(&dev_eui)
    }

    /// Whether there is no device.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The shortest usual distance of a device's uplinks, seconds; `None` while none is known.
    pub fn shortest_interval_s(&self) -> Option<u32> {
        let known = self.devices.iter().map(|device| device.progress.habits.interval_s);
        known.filter(|interval_s| *interval_s > 0).min()
    }

    /// The gateway whose receptions count.
    pub fn adopt(&mut self, gateway_eui: Eui64) {
        self.shared.rules.gateway_eui = Some(gateway_eui);
    }

    /// What is told now.
    pub fn setup(&self) -> Option<&Setup> {
        self.shared.setup.as_ref()
    }

    /// What is to be told from now on; `None` when there is no campaign. A setup that differs in more than its
    /// sessions begins the dialogues anew.
    pub fn set_up(&mut self, setup: Option<Setup>) {
        let digest = setup.as_ref().map(Setup::digest);
        if self.shared.setup.as_ref().map(Setup::digest) != digest {
            (self.shared.is_begun, self.is_told_unproved) = (false, false);
        }
        if let Some((setup, digest)) = setup.as_ref().zip(digest) {
            let others = self.devices.iter_mut().filter(|device| device.progress.setup != digest);
            let theirs = others.filter(|device| setup.is_for(device.member.dev_eui));
            theirs.for_each(|device| device.begin(digest, setup.kept_session()));
            self.note_held(setup);
        }
        if let Some(before) = self.shared.setup.take() {
            self.shared.last = Some(before);
        }
        self.shared.setup = setup;
        self.begin_trials();
    }

    /// What devices confirmed of this setup in an earlier release is the session that they hold.
    fn note_held(&mut self, setup: &Setup) {
        let digest = setup.digest();
        let is_its = |progress: &Progress| progress.setup == digest && progress.has_done(Step::FragSession);
        let theirs = self.devices.iter_mut().filter(|device| is_its(&device.progress));
        theirs.for_each(|device| device.progress.holds = setup.frag_session());
    }

    /// The campaign is put off: nothing more of it is told until it goes on. What was asked is still answered.
    pub fn put_off(&mut self, is_put_off: bool) {
        self.is_gate_due |= self.shared.is_put_off && !is_put_off;
        self.shared.is_put_off = is_put_off;
    }

    /// The sessions of the campaign are these now.
    pub fn move_windows(&mut self, windows: Vec<Window>) {
        if let Some(setup) = &mut self.shared.setup {
            setup.windows = windows;
        }
    }

    /// The first fragment was sent: no fragmentation session is set up any more.
    pub fn begin(&mut self) {
        let is_first = !self.shared.is_begun;
        (self.shared.is_begun, self.shared.has_sent) = (true, true);
        if is_first {
            self.stand();
        }
    }

    /// The devices are asked for their versions although nothing is to be set up.
    pub fn survey(&mut self) {
        self.shared.is_survey = true;
    }

    /// The device is asked again from the beginning, whatever it answered; `false` if there is no such device. What
    /// must not be repeated after the first fragment is not.
    pub fn retry(&mut self, dev_eui: Eui64) -> bool {
        let Some(index) = self.by_eui.get(&dev_eui).copied() else { return false };
        let kept_session = self.shared.setup.as_ref().and_then(Setup::kept_session);
        let progress = &mut self.devices[index].progress;
        let kept = if self.shared.is_begun { progress.done } else { 0 };
        let is_lost = progress.stop == Some(Stop::LostState);
        let setup = progress.setup;
        progress.begin(setup, kept_session);
        progress.stop = is_lost.then_some(Stop::LostState);
        progress.done = kept | progress.done & Step::FragSession.bit();
        self.try_again(index);
        self.change(index);
        true
    }

    /// Everything known of the device is forgotten but the numbers that must not be used twice; `false` if there
    /// is no such device.
    pub fn forget(&mut self, dev_eui: Eui64) -> bool {
        let Some(index) = self.by_eui.get(&dev_eui).copied() else { return false };
        let progress = &mut self.devices[index].progress;
        *progress = Progress {
            next_item_no: progress.next_item_no,
            session_cnt: progress.session_cnt,
            asked: progress.asked,
            setup: progress.setup,
            ..Progress::default()
        };
        self.change(index);
        true
    }

    /// Takes in an event of a network server. `ended` is when the uplink ended at our gateway, where it was heard.
    pub fn event(&mut self, now: Now, event: &Event, ended: Option<Instant>) {
        let Some(index) = self.by_eui.get(&event.device.dev_eui).copied() else { return };
        let ours = self.item(index);
        let context = self.shared.context(now).of(event.device.dev_eui);
        let device = &mut self.devices[index];
        let before = device.progress.lasting();
        device.address = Some(event.device.clone());
        let is_turn = match &event.kind {
            EventKind::Up(up) => device.up(&context, up, ended.unwrap_or(now.mono)),
            EventKind::Queued { item } => {
                device.queued(*item);
                false
            }
            EventKind::Sent { item, on } => {
                if let Some(on) = on {
                    self.share.sent(device.uplink_place(), *on);
                }
                device.sent(&context, *item, ours);
                if item.is_none() && device.has_asked_time() {
                    self.foreign_answers += 1;
                    if self.foreign_answers == FOREIGN_ANSWERS {
                        self.outputs.push_back(Output::TwoAnswerTime);
                    }
                }
                false
            }
            EventKind::Failed { item, code, .. } => {
                device.failed(*item, ours, code);
                false
            }
            EventKind::Join => {
                device.joined(&context);
                false
            }
            EventKind::Ack { .. } | EventKind::Nack { .. } | EventKind::Log { .. } => false,
        };
        self.heard(index);
        if is_turn {
            self.is_gate_due = true;
            if !self.shared.is_put_off {
                self.volunteer(now, index);
            }
            self.ask(now, index);
        }
        if self.devices[index].progress.lasting() != before {
            self.change(index);
        }
    }

    /// A record is durable, or not.
    pub fn saved(&mut self, record: RecordId, is_durable: bool) {
        if record == records::id(self.key, records::START) {
            let start = self.gate.and_then(|gate| gate.start).filter(|_| is_durable);
            self.outputs.extend(start.map(Output::Start));
            return;
        }
        if record == records::id(self.key, records::PROOFS) {
            return self.proofs_saved(is_durable);
        }
        let is_its = |index: &usize| records::id(self.key, *index) == record;
        let Some(index) = (0..self.shards.len()).find(is_its) else { return };
        let Some(pushes) = self.shards[index].saving.take() else { return };
        for Waiting { device, item_no, push } in pushes {
            if is_durable && self.devices[device].wants(item_no) {
                self.outputs.push_back(Output::Push(push));
            } else {
                self.devices[device].unpush();
                self.shards[index].is_changed = true;
            }
        }
        // What cannot be written now is written with the next change.
        if is_durable {
            self.save(index);
        }
    }

    /// The next thing that it wishes.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The device's next command, if one is due and there is airtime for it.
    fn ask(&mut self, now: Now, index: usize) {
        let dev_eui = self.devices[index].member.dev_eui;
        let context = self.shared.context(now).of(dev_eui);
        let device = &mut self.devices[index];
        let Some(address) = device.address.clone() else { return };
        let orphan = device.orphan(&context).filter(|_| !context.is_put_off);
        let Some(step) = orphan.map(|asked| asked.step).or(device.next(&context).ok()) else { return };
        if step == Step::FragSession && !self.devices[index].progress.has_asked(step) {
            self.devices[index].progress.is_candidate = self.is_candidate(now, index);
        }
        let context = self.shared.context(now).of(dev_eui);
        let device = &mut self.devices[index];
        let material = device.material(&context);
        // A field that does not fit is one of the group's, which was checked when it was planned.
        let Ok(made) = payload(step, &material) else { return };
        let Some((f_port, bytes)) = made else {
            device.progress.stop = Some(Stop::Refused(Refusal::NoMic));
            return;
        };
        let frame_bytes = bytes.len() + FRAME_OVERHEAD;
        let is_spent = orphan.is_none() && device.is_day_spent(&context);
        if is_spent || !self.share.take(now.mono, device.uplink_place(), frame_bytes) {
            return;
        }
        let is_unproved = matches!(device.standing, Standing::Waits | Standing::Released);
        if step == Step::McSession && is_unproved && !self.is_told_unproved {
            self.is_told_unproved = true;
            self.outputs.push_back(Output::Unproved);
        }
        let asked = orphan.unwrap_or_else(|| device.push(&context, step));
        let push = Push {
            item: ItemId::new(address.dev_eui, self.key.as_bytes(), u64::from(asked.item_no)),
            device: address,
            f_port,
            payload: bytes,
            expires_at: (asked.expires_s != u32::MAX).then(|| near_gps(asked.expires_s, now)).flatten(),
        };
        if orphan.is_some() {
            // It is on disk.
            device.push_again(&context);
            self.outputs.push_back(Output::Push(push));
            return;
        }
        self.shards[index / records::DEVICES].waiting.push(Waiting {
            device: index,
            item_no: asked.item_no,
            push,
        });
    }

    /// The item of ours that is on its way to the device.
    fn item(&self, index: usize) -> Option<ItemId> {
        let device = &self.devices[index];
        let asked = device.progress.asked?;
        Some(ItemId::new(device.member.dev_eui, self.key.as_bytes(), u64::from(asked.item_no)))
    }

    /// The device's record is to be written.
    pub(super) fn change(&mut self, index: usize) {
        let shard = index / records::DEVICES;
        self.shards[shard].is_changed = true;
        self.is_gate_due = true;
        self.save(shard);
    }

    /// Writes the record if it changed and no save of it is on its way.
    fn save(&mut self, index: usize) {
        let shard = &mut self.shards[index];
        if shard.saving.is_some() || !shard.is_changed {
            return;
        }
        shard.is_changed = false;
        shard.saving = Some(core::mem::take(&mut shard.waiting));
        let devices = self.devices.iter().skip(index * records::DEVICES).take(records::DEVICES);
        let bytes = records::write(self.key, devices.map(|device| (device.member.dev_eui, &device.progress)));
        self.outputs.push_back(Output::Save(FleetRecord { id: records::id(self.key, index), bytes }));
    }
}

/// The time with these GPS seconds modulo 2^32.
fn near_gps(seconds: u32, now: Now) -> Option<GpsTime> {
    now.gps.map(|gps| super::due::near(seconds, gps))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device costs: itself, its places in the maps of fleet and listener, and the texts of its address.
    #[test]
    fn five_thousand_devices_take_less_than_eight_mebibytes() {
        let application = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11";
        let texts = application.len() + "70b3d57ed0000001".len() + "a name of twenty-four.".len() + 24 * 4;
        let mics = 8 * 4;
        // A map is half full at worst.
        let places = 2 * size_of::<(Eui64, usize)>() + 2 * size_of::<(Eui64, Option<String>, String)>();
        let device = size_of::<Device>() + texts + mics + places;
        println!("{device} bytes for a device, {:.1} MiB for 5000", device as f64 * 5000.0 / 1048576.0);
        assert!(device * 5000 <= 8 << 20, "{device} bytes");
    }
}
