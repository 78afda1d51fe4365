//! TS004 on a device: setting up, taking fragments, telling how it stands.

use crate::fragment::DataFragment;
use crate::fragment::Layout;
use crate::lorawan::PackageVersion;
use crate::lorawan::ts004::Answer;
use crate::lorawan::ts004::FragCounts;
use crate::lorawan::ts004::FragSessionSetupAns;
use crate::lorawan::ts004::FragSessionSetupReq;
use crate::lorawan::ts004::FragSessionStatusAns;
use crate::lorawan::ts004::PACKAGE_ID;
use crate::lorawan::ts004::Request;
use crate::sim::device::block::Block;
use crate::sim::device::block::Outcome;
use crate::sim::device::block::Taken;
use crate::sim::device::end_device::Command;
use crate::sim::device::end_device::Device;
use crate::sim::device::end_device::Report;
use crate::sim::device::end_device::Source;
use crate::sim::device::stack::Counts;
use crate::sim::device::stack::Trailing;
use crate::time::Instant;

/// The command identifier of DataFragment (TS004-1.0.0 3).
pub(super) const DATA_FRAGMENT: u8 = 0x08;

impl Device {
    /// Carries out one command of TS004 other than DataFragment and returns its answer.
    pub(super) fn ts004(&mut self, at: Instant, source: Source, request: &Request) -> Option<Answer> {
        if let Request::FragSessionStatus { frag_index, participants } = *request {
            let status = self.frag_status(frag_index, participants)?;
            if source == Source::Unicast {
                return Some(Answer::FragSessionStatus(status));
            }
            // Many are asked at once, so each waits a time of its own.
            let report = Report::once(self.write_ts004(&Answer::FragSessionStatus(status)));
            self.report_later(at, report);
            return None;
        }
        if source != Source::Unicast {
            return None;
        }
        match request {
            Request::PackageVersion => Some(Answer::PackageVersion {
                package_identifier: PACKAGE_ID,
                package_version: self.package_version().number(),
            }),
            Request::FragSessionSetup(setup) => Some(self.set_up_block(setup)),
            Request::FragSessionDelete { frag_index } => {
                let there = self.block.take_if(|block| block.setup.frag_index == *frag_index);
                let session_does_not_exist = there.is_none();
                Some(Answer::FragSessionDelete { frag_index: *frag_index, session_does_not_exist })
            }
            Request::FragDataBlockReceived { frag_index } => {
                self.reports.retain(|report| report.block != Some(*frag_index));
                None
            }
            Request::FragSessionStatus { .. } => None,
        }
    }

    /// Takes the DataFragment at the head of `bytes`, as received with the frame that ended at `at`; how many
    /// bytes the stack takes it for.
    pub(super) fn data_fragment(&mut self, at: Instant, source: Source, bytes: &[u8]) -> usize {
        let rules = self.rules();
        let Some(block) = &mut self.block else {
            self.dropped += 1;
            return DataFragment::HEADER_LEN;
        };
        let len = DataFragment::HEADER_LEN + usize::from(block.setup.frag_size);
        let is_too_long = bytes.len() > len && rules.trailing == Trailing::SpoilsFragment;
        // Real stacks read a fragment that is too short from beyond its end: garbage, left out here.
        let whole = bytes.get(..len).filter(|_| !is_too_long);
        let Some(fragment) = whole.and_then(|bytes| DataFragment::parse(bytes).ok()) else {
            self.dropped += 1;
            return len;
        };
        let from_its_group = match source {
            Source::Multicast(id) if rules.checks_group_mask => block.setup.mc_group_bit_mask >> id & 1 == 1,
            _ => true,
        };
        if fragment.frag_index != block.setup.frag_index || !from_its_group {
            self.dropped += 1;
            return len;
        }
        if let Some(v2) = block.setup.v2 {
            self.session_cnt_prev[usize::from(fragment.frag_index)] = Some(v2.session_cnt);
        }
        let was_over = block.outcome.is_some();
        match block.take(rules, &self.settings.root_key, at, fragment.n, fragment.data) {
            Taken::Uncoded => self.deaf_until = Some(at.plus_us(self.settings.deaf_after_uncoded_us)),
            Taken::Coded => self.deaf_until = Some(at.plus_us(self.settings.deaf_after_coded_us)),
            Taken::Dropped => self.dropped += 1,
            Taken::TooLate => {}
        }
        if !was_over && let Some(outcome) = block.outcome.clone() {
            self.end_block(at, &outcome);
        }
        len
    }

    /// What the decoder's end sets off.
    fn end_block(&mut self, at: Instant, outcome: &Outcome) {
        let mic_error = match outcome {
            Outcome::OverCap { .. } => return,
            Outcome::WrongMic => true,
            Outcome::Complete { .. } => {
                self.listened_until_complete_us = Some(self.class_c_us(at));
                false
            }
        };
        let Some(setup) = self.block.as_ref().map(|block| &block.setup) else { return };
        if setup.v2.is_some_and(|v2| v2.ack_reception) {
            let frag_index = setup.frag_index;
            let bytes = self.write_ts004(&Answer::FragDataBlockReceived { frag_index, mic_error });
            let times = self.rules().block_reports;
            self.report_later(at, Report::of_block(frag_index, bytes, times));
        }
    }

    fn set_up_block(&mut self, setup: &FragSessionSetupReq) -> Answer {
        let FragSessionSetupReq { frag_index, nb_frag, frag_size, frag_algo, padding, .. } = *setup;
        let (max_fragments, max_size) = (self.settings.max_fragments, self.settings.max_fragment_size);
        let last_cnt = self.session_cnt_prev[usize::from(frag_index)];
        let is_replay = setup.v2.is_some_and(|v2| last_cnt.is_some_and(|last| v2.session_cnt <= last));
        let no_memory = nb_frag > max_fragments || frag_size > max_size;
        let layout = layout_of(nb_frag, frag_size, padding);
        let mut reasons = Vec::new();
        if no_memory {
            reasons.push(format!(
                "not enough memory ({max_fragments} x {max_size} B, needs {nb_frag} x {frag_size} B)"
            ));
        }
        if frag_algo != 0 {
            reasons.push(format!("FragAlgo {frag_algo} is not supported"));
        }
        if let (true, Some(v2), Some(last)) = (is_replay, setup.v2, last_cnt) {
            reasons.push(format!("SessionCnt {} is not above {last}", v2.session_cnt));
        }
        if layout.is_none() && reasons.is_empty() {
            // Real stacks accept it and never get an image.
            reasons.push(format!("{nb_frag} x {frag_size} B less {padding} B of padding is no image"));
        }
        let answer = FragSessionSetupAns {
            frag_index,
            session_cnt_replay: is_replay,
            wrong_descriptor: false,
            frag_index_not_supported: false,
            not_enough_memory: no_memory,
            encoding_unsupported: frag_algo != 0 || (layout.is_none() && !no_memory),
        };
        match layout {
            Some(layout) if reasons.is_empty() => {
                let (version, max_lost) = (self.settings.ts004_version, self.settings.max_lost);
                self.block = Some(Block::new(setup.clone(), layout, version, max_lost));
                self.listened_until_complete_us = None;
                self.accept(Command::FragSessionSetup);
            }
            _ => self.refuse(Command::FragSessionSetup, reasons.join(", ")),
        }
        Answer::FragSessionSetup(answer)
    }

    fn frag_status(&self, frag_index: u8, participants: bool) -> Option<FragSessionStatusAns> {
        let rules = self.rules();
        if let Some(block) = self.block.as_ref().filter(|block| block.setup.frag_index == frag_index) {
            return block.status(rules, participants);
        }
        let is_v2 = self.settings.ts004_version.number() >= 2;
        let is_short = is_v2 && rules.counts == Counts::AsMeant;
        let counts = FragCounts { frag_index, nb_frag_received: 0, missing_frag: 0 };
        participants.then_some(FragSessionStatusAns {
            memory_error: false,
            // LBM computes the MIC over nothing, as its count of missing ones is 0.
            mic_error: is_v2 && rules.counts == Counts::LastLessLost,
            session_does_not_exist: is_v2,
            counts: (!is_short).then_some(counts),
        })
    }

    /// An answer's bytes as this stack writes them.
    pub(super) fn write_ts004(&self, answer: &Answer) -> Vec<u8> {
        let mut bytes = Vec::new();
        let written = answer.write(self.package_version(), &mut bytes);
        debug_assert!(written.is_ok(), "{answer:?}: {written:?}");
        // LoRaMac-node, which has version 1 only, sends Received&Index high byte first and loses FragIndex in a shift of 8 bits by 14.
        let is_mangled =
            self.rules().counts == Counts::LastAndLost && self.package_version() == PackageVersion::V1;
        if let (Answer::FragSessionStatus(_), true, &[cid, low, high, missing, status]) =
            (answer, is_mangled, &bytes[..])
        {
            return vec![cid, high & 0x3f, low, missing, status];
        }
        bytes
    }
}

/// The cut of a setup that makes an image.
fn layout_of(nb_frag: u16, frag_size: u8, padding: u8) -> Option<Layout> {
    let padded = usize::from(nb_frag) * usize::from(frag_size);
    let layout = Layout::new(padded.checked_sub(usize::from(padding))?, usize::from(frag_size)).ok()?;
    (layout.nb_frag() == nb_frag).then_some(layout)
}
