//! What the loop answers to whoever asks over a local socket.

use super::Driver;
use crate::daemon::control;
use crate::daemon::control::Ask;
use crate::daemon::control::Standing;
use crate::daemon::control::What;
use crate::daemon::server_socket::ServerSocketState;
use crate::daemon::snapshot::Snapshot;
use crate::daemon::view;
use crate::daemon::view::HostState;
use crate::task::TaskId;
use crate::time::Now;

/// Why a page can be written.
const ALWAYS: &str = "strings and numbers always serialise";

impl Driver {
    /// Whoever asked may be gone.
    pub(super) fn answer(&mut self, now: Now, ask: Ask) {
        let page = |driver: &mut Driver| {
            let mut snapshot = driver.snapshot(now);
            driver.memory.notes.fill(&mut snapshot);
            snapshot
        };
        match ask {
            Ask::Status(reply) => {
                let mut document = serde_json::to_vec(&page(self)).expect(ALWAYS);
                document.push(b'\n');
                let _ = reply.send(document);
            }
            Ask::Control(request, reply) => {
                let pending = &mut self.memory.pending;
                let (request, reply) = match control::command(&mut self.engine, now, request, reply, pending)
                {
                    Ok(()) => return self.carry_out(now),
                    Err(other) => other,
                };
                let line = control::answer(request, |what| match what {
                    What::Devices(about) => control::devices(&mut self.engine, now, &self.groups, &about),
                    // Orders are taken beside the driver, and words on tasks were.
                    What::Version | What::Status | What::Order(_) | What::Verb(..) => {
                        Ok(serde_json::to_value(page(self)).expect(ALWAYS))
                    }
                });
                let _ = reply.send(line);
            }
            Ask::Standing(ids, reply) => drop(reply.send(self.standing(now, &ids))),
        }
    }

    fn standing(&self, now: Now, ids: &[TaskId]) -> Standing {
        let all = self.engine.progress().map(|(task, _)| task.clone());
        let (open, others) = all.partition(|task| ids.contains(task));
        let over = ids.iter().filter(|task| self.engine.is_over(task)).cloned().collect();
        let unusable = self.engine.unusable_groups().map(|(group, why)| (group.to_owned(), why)).collect();
        Standing { open, over, others, unusable, gps: now.gps }
    }

    pub(super) fn snapshot(&self, now: Now) -> Snapshot {
        let server_sockets: Vec<ServerSocketState> = self.server_sockets.states().collect();
        let lns = self.lns.states();
        let around = HostState {
            started: self.started,
            region: self.region,
            listen: &self.listen,
            socket: self.socket.counts(),
            server_sockets: &server_sockets,
            distrust: self.clock.distrust(),
            gps: self.clock.gps_state(),
            lns: &lns,
            missing_image: &|task| self.memory.notes.missing_image(task),
            state_dir: &self.state_dir,
        };
        view::snapshot(&self.engine, now, around)
    }
}
