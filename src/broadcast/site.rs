//! What is configured and stays as it is: the law, the groups, whose signatures count, whose turn it is.

use super::open_task::OpenTask;
use super::turn_rule::TurnRule;
use crate::campaign::Group;
use crate::region::Parameters;
use crate::signing::SigningTrust;
use crate::task::TaskId;
use std::collections::BTreeMap;

/// The gateway's settings, as far as campaigns are concerned. No Debug: groups hold keys.
pub struct Site {
    region: &'static Parameters,
    groups: Vec<Group>,
    turn_rule: TurnRule,
    trust_by_task: BTreeMap<String, SigningTrust>,
}

impl Site {
    /// The settings; `trust_by_task` names whose signatures count for single tasks, by their ids, instead of their
    /// group's trust.
    pub fn new(
        region: &'static Parameters,
        groups: Vec<Group>,
        turn_rule: TurnRule,
        trust_by_task: BTreeMap<String, SigningTrust>,
    ) -> Self {
        Site { region, groups, turn_rule, trust_by_task }
    }

    /// The law of the gateway's region.
    pub fn region(&self) -> &'static Parameters {
        self.region
    }

    /// Who has the air when several campaigns want it.
    pub fn turn_rule(&self) -> TurnRule {
        self.turn_rule
    }

    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Whose signatures count for a task: its own trust, or its group's.
    pub fn trust<'a>(&'a self, id: &TaskId, group: &'a Group) -> &'a SigningTrust {
        self.trust_by_task.get(id.as_str()).unwrap_or(&group.trust)
    }

    /// The group that the task names, the recorded one, or the only one there is.
    ///
    /// # Errors
    /// One line: the task names several groups, an unknown one, or none of several.
    pub fn group_of(&self, open_task: &OpenTask) -> Result<&Group, String> {
        let known = || self.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ");
        let named = match (open_task.resumed(), open_task.task().groups.as_slice()) {
            (Some(record), _) => Some(&record.group),
            (None, []) => None,
            (None, [name]) => Some(name),
            (None, names) => {
                return Err(format!("the task names {} groups: order one task per group", names.len()));
            }
        };
        match (named, self.groups.as_slice()) {
            (Some(name), _) => self.group(name).ok_or_else(|| {
                format!("multicast group {name:?} is not configured: the gateway has {}", known())
            }),
            (None, [only]) => Ok(only),
            (None, []) => Err("no [[group]] is configured: `fuotad group new` makes one".to_owned()),
            (None, _) => {
                Err(format!("the task names no group: set \"MulticastGroups\" to one of {}", known()))
            }
        }
    }
}
