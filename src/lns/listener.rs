//! From a message of a broker to an event of a device of ours.

use crate::lns::audience::Audience;
use crate::lns::chirpstack;
use crate::lns::dialect::Dialect;
use crate::lns::event::Address;
use crate::lns::event::Event;
use crate::lns::read_error::ReadError;
use crate::lns::the_things_stack;
use crate::lns::topics::Kind;
use crate::lns::topics::Topic;
use crate::lns::topics::Topics;
use crate::lorawan::Eui64;

/// What a message was.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An event of one of our devices.
    Event(Event),
    /// A message about another device: its payload was not parsed.
    Foreign,
    /// The topic is none of those that were subscribed to.
    Unknown,
}

/// Who listens to one network server: its topics and our devices.
#[derive(Clone, Debug)]
pub struct Listener {
    topics: Topics,
    audience: Audience,
}

impl Listener {
    /// A listener to `topics` for the devices of `audience`.
    pub fn new(topics: Topics, audience: Audience) -> Listener {
        Listener { topics, audience }
    }

    /// The topics of the network server.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// What a message tells. The topic is judged first; the payload is parsed for our devices only.
    ///
    /// # Errors
    /// [`ReadError`], for a message about one of our devices that cannot be used.
    pub fn hear(&mut self, topic: &str, payload: &[u8]) -> Result<Heard, ReadError> {
        let Some(topic) = self.topics.parse(topic) else { return Ok(Heard::Unknown) };
        let Some(dev_eui) = self.device_of(topic, payload) else { return Ok(Heard::Foreign) };
        let (named, kind) = match self.topics.dialect() {
            Dialect::ChirpStack => {
                let (named, kind) = chirpstack::event(topic.kind, payload)?;
                (Some(named), kind)
            }
            Dialect::TheThingsStack => the_things_stack::event(topic.kind, payload)?,
        };
        if let Some(message) = named.filter(|named| *named != dev_eui) {
            return Err(ReadError::OtherDevice { topic: dev_eui, message });
        }
        if self.topics.dialect() == Dialect::TheThingsStack {
            self.audience.learn(dev_eui, topic.device);
        }
        let device =
            Address { dev_eui, application: topic.application.to_owned(), device: topic.device.to_owned() };
        Ok(Heard::Event(Event { device, kind }))
    }

    /// The device of ours that a message is about. The Things Stack's topics name no DevEUI: what an unknown
    /// device_id stands for is looked for in the bytes of uplinks and joins, which have it near their beginning.
    fn device_of(&self, topic: Topic<'_>, payload: &[u8]) -> Option<Eui64> {
        let dev_eui = match self.topics.dialect() {
            Dialect::ChirpStack => topic.device.parse().ok()?,
            Dialect::TheThingsStack => match self.audience.by_device_id(topic.device) {
                Some(known) => known,
                None if matches!(topic.kind, Kind::Up | Kind::Join) => written_dev_eui(payload)?,
                None => return None,
            },
        };
        self.audience.contains(dev_eui).then_some(dev_eui)
    }
}

/// How far into a payload the member `dev_eui` is looked for, bytes.
const DEV_EUI_WITHIN: usize = 1024;

/// The text of the first member `dev_eui`, found without parsing.
fn written_dev_eui(payload: &[u8]) -> Option<Eui64> {
    const NAME: &[u8] = b"\"dev_eui\"";
    let head = &payload[..payload.len().min(DEV_EUI_WITHIN)];
    let at = head.windows(NAME.len()).position(|window| window == NAME)?;
    let mut parts = head[at + NAME.len()..].splitn(3, |byte| *byte == b'"');
    let (_colon, digits) = (parts.next()?, parts.next()?);
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
