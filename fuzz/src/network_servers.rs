//! What brokers of network servers publish: an event is of a device of ours, and a downlink goes back to where it came
//! from.

use super::refusal::checked;
use fuotad::lns::Audience;
use fuotad::lns::Dialect;
use fuotad::lns::Heard;
use fuotad::lns::ItemId;
use fuotad::lns::Listener;
use fuotad::lns::Push;
use fuotad::lns::Topics;
use fuotad::lorawan::Eui64;

const OURS: Eui64 = Eui64::from_bytes([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 1]);

/// Gives `data`, a topic and after a zero byte its payload, to a listener of each dialect, twice.
pub fn run(data: &[u8]) {
    let (topic, payload) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let topic = String::from_utf8_lossy(topic);
    for (dialect, application) in [(Dialect::ChirpStack, "a"), (Dialect::TheThingsStack, "a@t")] {
        let Ok(topics) = Topics::new(dialect, "", vec![application.to_owned()]) else {
            panic!("these can stand in a topic");
        };
        let mut listener = Listener::new(topics, Audience::new([(OURS, None)]));
        let heard = listener.hear(&topic, payload.get(1..).unwrap_or_default());
        assert_eq!(
            heard,
            listener.hear(&topic, payload.get(1..).unwrap_or_default()),
            "what was said twice is heard twice"
        );
        let Some(Heard::Event(event)) = checked(heard) else { continue };
        assert_eq!(event.device.dev_eui, OURS, "an event is of a device of ours");
        let item = ItemId::new(OURS, &[], 0);
        let push = Push { device: event.device, item, f_port: 200, payload: Vec::new(), expires_at: None };
        let device = topic.split_once(&format!("/{}/", push.device.device)).map(|(head, _)| head);
        let back = listener.topics().push(&push.device);
        assert!(device.is_some_and(|head| back.starts_with(head)), "{back} is where {topic} came from");
    }
}
