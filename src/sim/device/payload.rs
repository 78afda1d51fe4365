//! Reading the commands of a payload, each stack in its own way.

use crate::lorawan::Tail;
use crate::lorawan::TailCause;
use crate::lorawan::ts003;
use crate::lorawan::ts004;
use crate::lorawan::ts005;
use crate::sim::device::end_device::Device;
use crate::sim::device::end_device::Source;
use crate::sim::device::fragments::DATA_FRAGMENT;
use crate::sim::device::stack::Trailing;
use crate::sim::device::stack::Unreadable;
use crate::time::Now;

impl Device {
    /// Runs a payload as the stack does; the answers, one behind the other.
    pub(super) fn application(&mut self, now: Now, fport: u8, payload: &[u8], source: Source) -> Vec<u8> {
        let may_set_up = source == Source::Unicast || self.rules().obeys_setup_by_multicast;
        match fport {
            ts004::FPORT => self.run_ts004(now, payload, source),
            ts005::FPORT if may_set_up => self.run_ts005(now, payload),
            ts003::FPORT if may_set_up => self.run_ts003(now, payload),
            _ => Vec::new(),
        }
    }

    fn run_ts003(&mut self, now: Now, payload: &[u8]) -> Vec<u8> {
        let version = self.package_version();
        let mut answers = Vec::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let (requests, tail) = ts003::Request::parse(rest, version);
            for request in &requests {
                if let Some(answer) = self.ts003(now, request) {
                    let written = answer.write(version, &mut answers);
                    debug_assert!(written.is_ok(), "{answer:?}: {written:?}");
                }
            }
            rest = self.after(rest, tail, &mut answers);
        }
        answers
    }

    fn run_ts005(&mut self, now: Now, payload: &[u8]) -> Vec<u8> {
        let version = self.package_version();
        let mut answers = Vec::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let (requests, tail) = ts005::Request::parse(rest, version);
            for request in &requests {
                if let Some(answer) = self.ts005(now, request) {
                    let written = answer.write(version, &mut answers);
                    debug_assert!(written.is_ok(), "{answer:?}: {written:?}");
                    let is_bad_channel = matches!(&answer, ts005::Answer::McClassCSession(answer) if answer.dr_error || answer.freq_error);
                    if self.rules().leaves_status_out && is_bad_channel {
                        answers.pop();
                    }
                } else {
                    // LoRaMac-node takes the mask of McGroupStatusReq for a command. What that does is left out.
                    return answers;
                }
            }
            rest = self.after(rest, tail, &mut answers);
        }
        answers
    }

    fn run_ts004(&mut self, now: Now, payload: &[u8], source: Source) -> Vec<u8> {
        let mut answers = Vec::new();
        let mut rest = payload;
        while let Some(&cid) = rest.first() {
            if cid == DATA_FRAGMENT {
                let len = self.data_fragment(now.mono, source, rest);
                rest = match self.rules().trailing {
                    Trailing::RunsAsCommands => rest.get(len..).unwrap_or_default(),
                    _ => &[],
                };
                continue;
            }
            let (requests, tail) = ts004::Request::parse(rest, self.package_version());
            for request in &requests {
                if let Some(answer) = self.ts004(now.mono, source, request) {
                    answers.extend(self.write_ts004(&answer));
                }
            }
            rest = match tail {
                Some(tail) if tail.cid == DATA_FRAGMENT => &rest[tail.offset..],
                _ => self.after(rest, tail, &mut answers),
            };
        }
        answers
    }

    /// What the stack reads on with where reading ended at `tail`.
    fn after<'a>(&self, rest: &'a [u8], tail: Option<Tail>, answers: &mut Vec<u8>) -> &'a [u8] {
        match (tail, self.rules().unreadable) {
            // A command cut short is read on beyond its end by LoRaMac-node: garbage, left out here.
            (Some(Tail { offset, cause: TailCause::UnknownCid, .. }), Unreadable::SkipsByte) => {
                &rest[offset + 1..]
            }
            (Some(_), Unreadable::SilencesAll) => {
                answers.clear();
                &[]
            }
            _ => &[],
        }
    }
}
