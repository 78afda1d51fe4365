//! What is configured and stays as it is: the law, the groups, whose signatures count, whose turn it is.

use super::open_task::OpenTask;
use super::turn_rule::TurnRule;
use crate::answers::Expected;
use crate::campaign::Group;
use crate::campaign::Redundancy;
use crate::json::shown_text;
use crate::region::Parameters;
use crate::signing::SigningTrust;
use crate::task::Task;
use std::collections::BTreeMap;

/// The gateway's settings, as far as campaigns are concerned. No Debug: groups hold keys.
pub struct Site {
    region: &'static Parameters,
    groups: Vec<Group>,
    turn_rule: TurnRule,
    trust_by_task: BTreeMap<String, SigningTrust>,
    means: Means,
}

/// What the gateway has to follow orders of a cloud with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Means {
    /// Whether images that are not on the gateway's disk can be fetched.
    pub fetches: bool,
    /// The gateway's own name among the targets of orders.
    pub name: Option<String>,
    /// The roles that it may take to read an image.
    pub roles: Vec<String>,
}

impl Means {
    /// What is to be said of an order that addresses somebody else.
    pub fn stranger(&self, targets: &[String]) -> Option<String> {
        let name_of = |target: &str| target.rsplit_once(":thing/").map(|(_, name)| name.to_owned());
        let names: Option<Vec<String>> = targets.iter().map(|target| name_of(target)).collect();
        // A group of things may hold this one.
        let names = names.filter(|names| !names.is_empty())?;
        let shown = names.iter().take(4).map(|name| shown_text(name)).collect::<Vec<_>>().join(", ");
        match &self.name {
            Some(own) if names.contains(own) => None,
            Some(own) => Some(format!(
                "targets names {shown}, and this gateway is {own:?}: it is broadcast here all the same, because the gateway was given it"
            )),
            None => Some(format!(
                "targets names {shown}; whether that is this gateway is not known (no thing-name is configured), and a broadcast reaches all devices of the group"
            )),
        }
    }

    /// What is to be said where an object is read with other rights than those of the role that the order names;
    /// `usable` is that role where it is of the order's own account.
    pub fn other_rights(&self, usable: Option<&str>, named: Option<&str>) -> Option<String> {
        let why = match (named, usable) {
            (None, _) => return None,
            (Some(_), Some(usable)) if self.roles.iter().any(|role| role == usable) => return None,
            (Some(_), Some(_)) => "is not in assume-roles of the configuration",
            (Some(_), None) => "is of another account than the order",
        };
        let role = shown_text(named.unwrap_or_default());
        Some(format!("FirmwareUpdateRole {role} {why}: the image is read with the gateway's own credentials"))
    }
}

impl Site {
    /// The settings; `trust_by_task` names whose signatures count for single tasks, by their ids, instead of their
    /// group's trust.
    pub fn new(
        region: &'static Parameters,
        groups: Vec<Group>,
        turn_rule: TurnRule,
        trust_by_task: BTreeMap<String, SigningTrust>,
        means: Means,
    ) -> Self {
        Site { region, groups, turn_rule, trust_by_task, means }
    }

    /// What the gateway has to follow orders of a cloud with.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// All groups of the gateway.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// This is expected of the devices of a group from its next plan on, where it is sent to leanly.
    pub fn expect(&mut self, group: &str, expected: Expected) {
        let is_it =
            |known: &&mut Group| known.name == group && matches!(known.redundancy, Redundancy::Lean(_));
        if let Some(group) = self.groups.iter_mut().find(is_it) {
            group.redundancy = Redundancy::Lean(Some(expected));
        }
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
    pub fn trust<'a>(&'a self, task: &Task, group: &'a Group) -> &'a SigningTrust {
        self.trust_by_task.get(task.document_id.as_str()).unwrap_or(&group.trust)
    }

    /// The group of an open task: the recorded one, or that of [`Site::group_of`].
    ///
    /// # Errors
    /// One line: there is no such group, or none of several is named.
    pub fn group_of_open(&self, open_task: &OpenTask) -> Result<&Group, String> {
        match open_task.resumed() {
            Some(record) => self.group(&record.group).ok_or_else(|| self.no_group(&record.group)),
            None => self.group_of(open_task.task()),
        }
    }

    fn no_group(&self, name: &str) -> String {
        format!(
            "the task names group {name:?}, which is no [[group]] of this gateway: set \"MulticastGroups\" to one of {}",
            self.known()
        )
    }

    fn known(&self) -> String {
        self.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The group that the task names, or the only one there is; of several groups each has a task ([`Task::per_group`]).
    ///
    /// # Errors
    /// One line: the task names an unknown group, or none of several.
    pub fn group_of(&self, task: &Task) -> Result<&Group, String> {
        match (task.groups.first(), self.groups.as_slice()) {
            (_, []) => Err("no [[group]] is configured: `fuotad group new` makes one".to_owned()),
            (Some(name), _) => self.group(name).ok_or_else(|| self.no_group(name)),
            (None, [only]) => Ok(only),
            (None, _) => {
                Err(format!("the task names no group: set \"MulticastGroups\" to one of {}", self.known()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(name: &str) -> String {
        format!("arn:cloud:things:eu-west-1:123456789012:thing/{name}")
    }

    #[test]
    fn an_order_for_another_thing_is_told_and_one_for_this_gateway_or_a_group_of_things_is_not() {
        let known = Means { name: Some("gw1".to_owned()), ..Means::default() };
        let said = known.stranger(&[thing("gw2")]).unwrap();
        assert!(said.contains("targets names \"gw2\", and this gateway is \"gw1\""), "{said}");
        assert_eq!(known.stranger(&[thing("gw2"), thing("gw1")]), None);
        assert_eq!(known.stranger(&[]), None);
        let group = "arn:cloud:things:eu-west-1:123456789012:thinggroup/gateways".to_owned();
        assert_eq!(known.stranger(&[thing("gw2"), group]), None);
        let said = Means::default().stranger(&[thing("gw2")]).unwrap();
        assert!(said.contains("not known (no thing-name is configured)"), "{said}");
    }

    #[test]
    fn a_role_that_is_not_taken_is_told_with_the_reason() {
        let (role, other) =
            ("arn:cloud:roles::123456789012:role/read", "arn:cloud:roles::999999999999:role/read");
        let listing = Means { roles: vec![role.to_owned()], ..Means::default() };
        assert_eq!(listing.other_rights(Some(role), Some(role)), None);
        assert_eq!(listing.other_rights(None, None), None);
        let said = Means::default().other_rights(Some(role), Some(role)).unwrap();
        assert!(said.contains("is not in assume-roles of the configuration"), "{said}");
        let said = listing.other_rights(None, Some(other)).unwrap();
        assert!(said.contains(other) && said.contains("of another account"), "{said}");
    }
}
