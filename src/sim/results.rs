//! What the devices of a group hold by the gateway's word, held against what they really hold.

use crate::answers::Holding;
use crate::answers::Holdings;
use crate::answers::Roll;
use crate::lorawan::Eui64;
use crate::report::Event;
use crate::report::Report;
use crate::task::TaskId;
use std::collections::BTreeMap;

/// What the devices of one group hold of its newest campaign, as the gateway knows it at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupResult {
    /// Name of the group.
    pub group: String,
    /// How many devices hold what.
    pub holdings: Holdings,
    /// Nobody is asked any more.
    pub is_final: bool,
    /// Devices that are called done and are not, a line each.
    pub breaches: Vec<String>,
}

/// The groups whose devices answer, and their campaigns that are not answered to the end.
pub(super) struct Results {
    /// Each with the number of its network server.
    groups: Vec<(String, usize)>,
    open: BTreeMap<TaskId, String>,
}

impl Results {
    /// For these groups, each behind the network server of this number.
    pub(super) fn new(groups: Vec<(String, usize)>) -> Results {
        Results { groups, open: BTreeMap::new() }
    }

    /// Each group with the number of its network server.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&str, usize)> {
        self.groups.iter().map(|(group, link)| (group.as_str(), *link))
    }

    /// Takes note of campaigns that are planned or answered.
    pub(super) fn read(&mut self, report: &Report) {
        let Some(task) = &report.task else { return };
        match &report.event {
            Event::Planned(planned) if self.groups.iter().any(|(group, _)| *group == planned.group) => {
                self.open.insert(task.clone(), planned.group.clone());
            }
            Event::Answered { .. } | Event::Refused { .. } => {
                self.open.remove(task);
            }
            _ => {}
        }
    }

    /// Whether the devices of all campaigns were asked to the end.
    pub(super) fn are_final(&self) -> bool {
        self.open.is_empty()
    }

    /// What `roll` says of the group, held against `devices`: the DevEUI and name of each, and whether it holds the image.
    pub(super) fn judge<'a>(
        &self,
        group: &str,
        roll: &Roll,
        devices: impl Iterator<Item = (Eui64, &'a str, bool)>,
    ) -> GroupResult {
        let lies = |(dev_eui, name, is_complete): (Eui64, &str, bool)| {
            let is_lie = roll.holding(dev_eui) == Some(Holding::Done) && !is_complete;
            is_lie.then(|| format!("{name} of group {group} is called done and is not"))
        };
        GroupResult {
            group: group.to_owned(),
            holdings: roll.holdings(),
            is_final: self.open.values().all(|open| open != group),
            breaches: devices.filter_map(lies).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::AnswerWindow;
    use crate::answers::Habit;
    use crate::answers::Sent;
    use crate::answers::Session;
    use crate::answers::Whom;
    use crate::lorawan::PackageVersion;

    #[test]
    fn a_device_that_is_called_done_and_is_not_is_a_breach() {
        let devices = [1, 2].map(|byte| Eui64::from_bytes([byte; 8]));
        let session = Session {
            frag_index: 0,
            nb_frag: 10,
            version: PackageVersion::V1,
            habit: Habit::AsMeant,
            crc32: None,
            window: AnswerWindow::default(),
        };
        let mut roll = Roll::new(session, devices);
        roll.set_sent(Sent { last_n: 12, frames: 12 });
        roll.ask(Whom::All);
        for device in devices {
            roll.tell(device);
            roll.hear(device, 1, &[0x01, 11, 0, 0, 0]).unwrap();
        }
        let results = Results::new(vec![("meters".to_owned(), 0)]);
        let [right, wrong] = devices;
        let judged =
            results.judge("meters", &roll, [(right, "one", true), (wrong, "two", false)].into_iter());
        assert_eq!((judged.holdings.done, judged.is_final), (2, true));
        assert_eq!(judged.breaches, ["two of group meters is called done and is not"]);
    }
}
