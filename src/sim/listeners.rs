//! The devices that listen, each with its own way through the air.

use super::air::Channel;
use super::concentrator::Transmission;
use super::device::Device;
use super::random::Random;
use super::script::DeviceScript;
use super::summary::DeviceResult;
use crate::campaign::setup::SetupCommand;
use crate::time::Instant;
use crate::time::Now;

/// The command that begins another image.
const FRAG_SETUP: &str = "FragSessionSetupReq";
const FRAG_PORT: u8 = 201;

/// A device, its way through the air, and what became of it.
struct Listener {
    device: Device,
    channel: Channel,
    lost: u64,
    is_complete: bool,
    /// The task it was set up for last, and the one it is being set up for.
    task: Option<usize>,
    next_task: Option<usize>,
    /// When it sends of its own accord, as the world knows.
    report: Option<Instant>,
}

/// All devices, in the script's order.
pub(super) struct Listeners {
    listeners: Vec<Listener>,
    /// Who is complete may be asked.
    are_asked: bool,
}

/// An image that a device has completed.
pub(super) struct Completed<'a> {
    pub(super) device: &'a str,
    /// The task it was set up for.
    pub(super) task: Option<usize>,
    pub(super) image: &'a [u8],
}

impl Listeners {
    pub(super) fn new(scripts: &[DeviceScript], are_asked: bool, rng: &mut Random) -> Listeners {
        let listeners = scripts.iter().zip(100..).map(|(script, label)| Listener {
            channel: Channel::new(script.loss, rng.split(label)),
            device: Device::new(script.settings.clone(), rng.split(1_000_000 + label)),
            lost: 0,
            is_complete: false,
            task: None,
            next_task: None,
            report: None,
        });
        Listeners { listeners: listeners.collect(), are_asked }
    }

    /// The commands that a device gets from now on are those of this task.
    pub(super) fn serve(&mut self, index: usize, task: Option<usize>) {
        self.listeners[index].next_task = task;
    }

    /// A device gets a unicast command.
    pub(super) fn command(&mut self, now: Now, index: usize, command: &SetupCommand) {
        let listener = &mut self.listeners[index];
        if command.name == FRAG_SETUP {
            listener.is_complete = false;
            listener.task = listener.next_task;
        }
        listener.device.unicast(now, command.fport, &command.payload);
    }

    /// A device gets a downlink of a network server; what it answers.
    pub(super) fn unicast(
        &mut self,
        now: Now,
        index: usize,
        f_port: u8,
        payload: &[u8],
    ) -> Vec<(u8, Vec<u8>)> {
        let listener = &mut self.listeners[index];
        // FragSessionSetupReq, alone or behind PackageVersionReq, begins another image.
        if f_port == FRAG_PORT && matches!(payload, [0x02, ..] | [0x00, 0x02, ..]) {
            listener.is_complete = false;
            listener.task = listener.next_task;
        }
        listener.device.unicast(now, f_port, payload)
    }

    /// When the device sends of its own accord, unless that was told before.
    pub(super) fn new_report(&mut self, index: usize) -> Option<Instant> {
        let listener = &mut self.listeners[index];
        let due = listener.device.report_due();
        let is_new = due != listener.report;
        listener.report = due;
        due.filter(|_| is_new)
    }

    /// What a device sends of its own accord by now.
    pub(super) fn take_uplinks(&mut self, now: Now, index: usize) -> Vec<(u8, Vec<u8>)> {
        let device = &mut self.listeners[index].device;
        core::iter::from_fn(|| device.take_uplink(now)).collect()
    }

    /// A transmission has ended; what it completed.
    pub(super) fn hear(&mut self, now: Now, transmission: &Transmission) -> Vec<Completed<'_>> {
        let mut completed = Vec::new();
        for listener in &mut self.listeners {
            // The air is asked for every frame, so that completing early changes nothing for the others.
            let arrives = listener.channel.hears();
            if listener.is_complete && !self.are_asked {
                continue;
            }
            if !arrives {
                listener.lost += 1;
                continue;
            }
            listener.device.hear(now, transmission);
            if let Some(image) = listener.device.image().filter(|_| !listener.is_complete) {
                listener.is_complete = true;
                let device = listener.device.settings().name.as_str();
                completed.push(Completed { device, task: listener.task, image });
            }
        }
        completed
    }

    /// How many hold the image.
    pub(super) fn complete(&self) -> usize {
        self.listeners.iter().filter(|listener| listener.is_complete).count()
    }

    /// What became of each.
    pub(super) fn results(&self, now: Now) -> Vec<DeviceResult> {
        let result = |listener: &Listener| {
            let status = listener.device.status(now);
            DeviceResult {
                name: listener.device.settings().name.clone(),
                state: status.state,
                heard: status.heard,
                lost: listener.lost,
                lost_uncoded: status.lost_uncoded,
                coded_used: status.coded_used,
                missed_deaf: status.missed_deaf,
                listening_us: listener.device.listening_us(now),
            }
        };
        self.listeners.iter().map(result).collect()
    }
}
