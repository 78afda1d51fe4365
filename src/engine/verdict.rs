//! Between the forwarder's words and the broadcaster's.

use crate::campaign::Refusal;
use crate::campaign::Verdict;
use crate::forwarder;
use crate::report::Event;

/// The forwarder's word in the campaign's terms.
pub(super) fn translate(verdict: forwarder::Verdict) -> Verdict {
    use forwarder::Refusal as Word;
    match verdict {
        forwarder::Verdict::Queued { start, .. } => Verdict::Queued { start },
        forwarder::Verdict::Silent { .. } => Verdict::Silent,
        forwarder::Verdict::Refused(word) => Verdict::Refused(match word {
            Word::TooLate => Refusal::TooLate,
            Word::TooEarly | Word::GpsUnlocked => Refusal::WrongCounter,
            Word::CollisionPacket => Refusal::Collision,
            Word::CollisionBeacon => Refusal::Beacon,
            Word::TxFreq => Refusal::Channel("TX_FREQ".to_owned()),
            Word::TxPower => Refusal::Channel("TX_POWER".to_owned()),
            // The words of ChirpStack's Concentratord and of forwarders that listen before they talk.
            Word::Other(text) if text.eq_ignore_ascii_case("DUTY_CYCLE_OVERFLOW") => Refusal::DutyCycle(text),
            Word::Other(text) if text.eq_ignore_ascii_case("SEND_LBT") => Refusal::Listening(text),
            Word::Other(text) => Refusal::Other(text),
        }),
    }
}

/// What of the link an operator would want to know.
pub(super) fn worth_reporting(event: forwarder::Event) -> Option<Event> {
    match event {
        forwarder::Event::Online { .. } => Some(Event::ForwarderOnline),
        forwarder::Event::Offline { .. } => Some(Event::ForwarderOffline),
        forwarder::Event::OtherSender { sender, served, is_configured } => Some(Event::OtherSender {
            heard: sender.gateway.to_string(),
            from: sender.from.to_string(),
            served: served.map(|served| served.to_string()),
            is_configured,
        }),
        forwarder::Event::CounterKnown { error_us } => Some(Event::CounterKnown { error_us }),
        forwarder::Event::CounterLost { why } => Some(Event::CounterLost { reason: why.to_string() }),
        _ => None,
    }
}
