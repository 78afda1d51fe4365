//! The MQTT topics of the two dialects.

use crate::lns::dialect::Dialect;
use crate::lns::event::Address;

/// Which of a server's messages a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Up,
    Queued,
    Sent,
    Ack,
    Nack,
    Failed,
    Join,
    Log,
}

/// The ends of ChirpStack's event topics, `application/+/device/+/event/…`.
const CHIRPSTACK_KINDS: &[(&str, Kind)] =
    &[("up", Kind::Up), ("txack", Kind::Sent), ("ack", Kind::Ack), ("join", Kind::Join), ("log", Kind::Log)];

/// The ends of The Things Stack's topics, `v3/+/devices/+/…`.
const THE_THINGS_STACK_KINDS: &[(&str, Kind)] = &[
    ("up", Kind::Up),
    ("join", Kind::Join),
    ("down/queued", Kind::Queued),
    ("down/sent", Kind::Sent),
    ("down/ack", Kind::Ack),
    ("down/nack", Kind::Nack),
    ("down/failed", Kind::Failed),
];

/// A part of a topic that MQTT would take for something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} cannot stand in a topic: write it without `+`, `#`{slash} and control characters")]
pub struct TopicError {
    /// The part as it was given.
    pub part: String,
    /// Whether `/` is forbidden, too, as text for the message.
    slash: &'static str,
}

/// A topic of one of our applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topic<'a> {
    pub(super) application: &'a str,
    pub(super) device: &'a str,
    pub(super) kind: Kind,
}

/// The topics of one network server: which to subscribe to, what one means, where a downlink goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    dialect: Dialect,
    /// What stands before every topic, empty or with a slash behind it.
    prefix: String,
    /// As they stand in topics.
    applications: Vec<String>,
}

impl Topics {
    /// The topics of `applications`, as they stand in topics: UUIDs (ChirpStack) or `app@tenant` (The Things Stack).
    /// Before every topic stands `prefix`, with or without a slash at its end.
    ///
    /// # Errors
    /// [`TopicError`] with the first part that cannot stand in a topic.
    pub fn new(dialect: Dialect, prefix: &str, applications: Vec<String>) -> Result<Topics, TopicError> {
        let is_bad = |c: char| matches!(c, '+' | '#') || c.is_control();
        let refused = |part: &str, slash| TopicError { part: part.to_owned(), slash };
        if prefix.contains(is_bad) {
            return Err(refused(prefix, ""));
        }
        let is_no_level = |part: &&String| part.is_empty() || part.contains('/') || part.contains(is_bad);
        if let Some(part) = applications.iter().find(is_no_level) {
            return Err(refused(part, ", `/`"));
        }
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Topics { dialect, prefix, applications })
    }

    /// The dialect that these topics are of.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The applications as they stand in topics.
    pub fn applications(&self) -> &[String] {
        &self.applications
    }

    /// The topic filters to subscribe to.
    pub fn subscriptions(&self) -> Vec<String> {
        let kinds = kinds(self.dialect);
        let of = |application: &String| {
            let head = self.device_head(application, "+");
            kinds.iter().map(move |(end, _)| format!("{head}{}{end}", event_part(self.dialect)))
        };
        self.applications.iter().flat_map(of).collect()
    }

    /// The topic at which a downlink for the device is published.
    pub fn push(&self, to: &Address) -> String {
        let end = match self.dialect {
            Dialect::ChirpStack => "command/down",
            Dialect::TheThingsStack => "down/push",
        };
        format!("{}{end}", self.device_head(&to.application, &to.device))
    }

    /// What a topic is of; `None` if it is none of ours.
    pub(super) fn parse<'a>(&self, topic: &'a str) -> Option<Topic<'a>> {
        let mut levels = topic.strip_prefix(self.prefix.as_str())?.splitn(5, '/');
        let (root, application, devices, device, end) =
            (levels.next()?, levels.next()?, levels.next()?, levels.next()?, levels.next()?);
        if (root, devices) != roots(self.dialect) || !self.applications.iter().any(|ours| ours == application)
        {
            return None;
        }
        let end = end.strip_prefix(event_part(self.dialect))?;
        let (_, kind) = kinds(self.dialect).iter().find(|(name, _)| *name == end)?;
        Some(Topic { application, device, kind: *kind })
    }

    /// The part of a topic up to the device, with a slash behind it.
    fn device_head(&self, application: &str, device: &str) -> String {
        let (root, devices) = roots(self.dialect);
        format!("{}{root}/{application}/{devices}/{device}/", self.prefix)
    }
}

fn kinds(dialect: Dialect) -> &'static [(&'static str, Kind)] {
    match dialect {
        Dialect::ChirpStack => CHIRPSTACK_KINDS,
        Dialect::TheThingsStack => THE_THINGS_STACK_KINDS,
    }
}

/// The levels before the application and before the device.
fn roots(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::ChirpStack => ("application", "device"),
        Dialect::TheThingsStack => ("v3", "devices"),
    }
}

/// What stands between the device and the kind of an event.
fn event_part(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::ChirpStack => "event/",
        Dialect::TheThingsStack => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lorawan::Eui64;

    fn topics(dialect: Dialect, prefix: &str) -> Topics {
        Topics::new(dialect, prefix, vec!["app1".to_owned(), "app2@ttn".to_owned()]).unwrap()
    }

    #[test]
    fn each_application_has_its_subscriptions_and_each_is_understood() {
        for (dialect, prefix, first, count) in [
            (Dialect::ChirpStack, "", "application/app1/device/+/event/up", 10),
            (Dialect::ChirpStack, "eu/west/", "eu/west/application/app1/device/+/event/up", 10),
            (Dialect::TheThingsStack, "", "v3/app1/devices/+/up", 14),
            (Dialect::TheThingsStack, "x", "x/v3/app1/devices/+/up", 14),
        ] {
            let topics = topics(dialect, prefix);
            let subscriptions = topics.subscriptions();
            assert_eq!((subscriptions[0].as_str(), subscriptions.len()), (first, count));
            for subscription in &subscriptions {
                let topic = subscription.replace('+', "d1");
                let parsed = topics.parse(&topic).unwrap();
                assert_eq!(parsed.device, "d1");
            }
            // A level more, a level less, another application and another kind are none of ours.
            for strange in [
                first.replace('+', "a/b"),
                first.replace("/+", ""),
                first.replace("app1", "app3").replace('+', "d1"),
                first.replace('+', "d1") + "x",
                format!("y{}", first.replace('+', "d1")),
                String::new(),
            ] {
                assert_eq!(topics.parse(&strange), None, "{strange}");
            }
        }
    }

    #[test]
    fn a_downlink_is_published_where_the_device_is_and_never_replaces_a_queue() {
        let to = Address {
            dev_eui: Eui64::from_bytes([1; 8]),
            application: "app2@ttn".to_owned(),
            device: "meter-1".to_owned(),
        };
        let push = |dialect| topics(dialect, "p").push(&to);
        assert_eq!(push(Dialect::ChirpStack), "p/application/app2@ttn/device/meter-1/command/down");
        assert_eq!(push(Dialect::TheThingsStack), "p/v3/app2@ttn/devices/meter-1/down/push");
    }

    #[test]
    fn what_mqtt_would_take_for_something_else_is_refused() {
        for application in ["", "+", "a#", "a/b", "a\u{0}"] {
            let error = Topics::new(Dialect::ChirpStack, "", vec![application.to_owned()]).unwrap_err();
            assert!(error.to_string().contains("without `+`, `#`, `/`"), "{error}");
        }
        let error = Topics::new(Dialect::ChirpStack, "a/+", Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"a/+\" cannot stand in a topic: write it without `+`, `#` and control characters"
        );
    }
}
