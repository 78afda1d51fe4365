//! What `[[aws.task]]` and `[ota."ID"]` say of an order beyond AWS's own document.

use super::error::ConfigError;
use super::error::Mistakes;
use super::group::GroupConfig;
use crate::cloud::FuotaTaskJson;

/// Whether each of `names` is a group of ours.
pub(super) fn check_groups(place: &str, names: &[String], groups: &[GroupConfig]) -> Result<(), ConfigError> {
    let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let mut mistakes = Mistakes::default();
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !known.contains(&name.as_str())) {
        let message = format!("{name:?} is no [[group]]: there are {}", known.join(", "));
        mistakes.add(ConfigError::value(format!("{place}.multicast-groups[{index}]"), message));
    }
    mistakes.or(Some(()))
}

/// Whether the members of an order can be used. They mean what they mean in a task file, so the same reader judges them.
pub(super) fn check_members(place: &str, probe: FuotaTaskJson) -> Result<(), ConfigError> {
    probe.into_cloud_task().map(|_| ()).map_err(|error| {
        let text = error.to_string();
        let (member, message) = text.split_once(": ").unwrap_or(("", &text));
        let key = kebab(member.rsplit('.').next().unwrap_or(member));
        let key = if key.is_empty() { place.to_owned() } else { format!("{place}.{key}") };
        ConfigError::value(key, message)
    })
}

/// The key of a member of AWS's documents: `FragmentIntervalMS` is `fragment-interval-ms`.
fn kebab(member: &str) -> String {
    let mut key = String::new();
    let mut was_lower = false;
    for c in member.chars() {
        if c.is_ascii_uppercase() && was_lower {
            key.push('-');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        key.push(c.to_ascii_lowercase());
    }
    key
}
