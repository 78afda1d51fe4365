//! What the service learned of the losses of its groups.

use crate::campaign::Group;
use crate::campaign::Redundancy;
use crate::engine::Settings;
use crate::engine::learned_of;
use crate::store::Recovered;

/// Lets each lean group expect what the service would. `recovered` is what that would find; `None` without a state folder.
pub fn learned_from(settings: &mut Settings, recovered: Option<&Recovered>) {
    for group in settings.groups.iter_mut().filter(|group| is_lean(group)) {
        let learned = recovered.map(|recovered| learned_of(group.keys.fingerprint(), &recovered.fleets));
        group.redundancy = Redundancy::Lean(learned.and_then(|learned| learned.expected()));
    }
}

/// What each lean group of `settings` expects, a line each.
pub fn lean_lines(settings: &Settings) -> Vec<String> {
    let line = |group: &Group| {
        let (Redundancy::Lean(expected), name) = (group.redundancy, &group.name) else { return None };
        Some(match expected {
            Some(expected) => format!("group {name}: lean: {expected}"),
            None => format!(
                "group {name}: lean: nothing is known yet of what it loses, so its next campaign sends what is ordered"
            ),
        })
    };
    settings.groups.iter().filter_map(line).collect()
}

fn is_lean(group: &Group) -> bool {
    matches!(group.redundancy, Redundancy::Lean(_))
}
