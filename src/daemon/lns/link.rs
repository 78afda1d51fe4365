//! One connection to a broker, made again and again for as long as the daemon lives.

use super::board::Board;
use super::board::LnsState;
use super::connection::options;
use super::mailbox::Mailbox;
use super::settings::LnsSettings;
use super::trouble::Trouble;
use crate::daemon::boot::random;
use crate::lns::Heard;
use crate::lns::Listener;
use crate::lns::Push;
use rumqttc::AsyncClient;
use rumqttc::Event;
use rumqttc::EventLoop;
use rumqttc::Packet;
use rumqttc::Publish;
use rumqttc::PublishOptions;
use rumqttc::QoS;
use rumqttc::SubscribeFilter;
use rumqttc::SubscribeReasonCode;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A connection is made again after so long, each time twice as long, less a random part of up to a half: gateways
/// that lost the same broker do not come back at the same moment.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait for the next attempt.
const RETRY_MAX: Duration = Duration::from_secs(120);
/// A connection that lasted so long begins with short waits again.
const STEADY: Duration = Duration::from_secs(60);
/// A connection that is not made within this, TLS and MQTT's own answer included, is given up, seconds.
const CONNECT_S: u64 = 20;
/// Requests that may wait for the client: a subscription and downlinks.
const REQUESTS_MAX: usize = 64;

/// How a session with the broker ended.
enum End {
    /// The daemon ends, and the connection with it.
    Finished,
    /// The connection could not be made, or broke.
    Trouble(Trouble),
}

/// One connection and its ends towards the driver.
pub struct Link {
    link: usize,
    settings: LnsSettings,
    listener: Listener,
    pushes: mpsc::Receiver<Push>,
    mailbox: Arc<Mailbox>,
    board: Arc<Board>,
    client_id: String,
    /// When the first subscription was taken.
    subscribed: Option<Instant>,
}

impl Link {
    /// The link numbered `link`, not yet connected.
    pub fn new(
        link: usize,
        settings: LnsSettings,
        pushes: mpsc::Receiver<Push>,
        mailbox: Arc<Mailbox>,
        board: Arc<Board>,
    ) -> Link {
        let listener = Listener::new(settings.topics.clone(), settings.audience.clone());
        let client_id =
            settings.client_id.clone().unwrap_or_else(|| format!("fuotad-{:016x}", random_number()));
        Link { link, settings, listener, pushes, mailbox, board, client_id, subscribed: None }
    }

    /// Keeps the connection until the driver's end is gone.
    pub async fn run(mut self) {
        let mut wait = RETRY_FIRST;
        loop {
            let started = Instant::now();
            let trouble = match self.session().await {
                End::Finished => return,
                End::Trouble(trouble) => trouble,
            };
            if started.elapsed() > STEADY {
                wait = RETRY_FIRST;
            }
            self.tell(trouble);
            if self.rest(jittered(wait, random_number())).await {
                return;
            }
            wait = (2 * wait).min(RETRY_MAX);
        }
    }

    /// Waits for the next attempt; downlinks that come meanwhile are dropped. Whether the daemon ends.
    async fn rest(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            match tokio::time::timeout_at(until, self.pushes.recv()).await {
                Ok(Some(_)) => self.board.change(self.link, |state| state.unpushed += 1),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// One connection from its beginning to its end.
    async fn session(&mut self) -> End {
        let options = match options(&self.settings, &self.client_id) {
            Ok(options) => options,
            Err(trouble) => return End::Trouble(trouble),
        };
        let (client, mut events) = AsyncClient::builder(options).capacity(REQUESTS_MAX).build();
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_S);
        events.set_network_options(network);
        let up_since = Cell::new(None);
        let Link { link, settings, listener, pushes, mailbox, board, .. } = self;
        let station = Station { link: *link, settings, mailbox, board, client: &client, up_since: &up_since };
        let subscribed = self.subscribed.unwrap_or_else(Instant::now);
        let end = tokio::select! {
            trouble = station.listen(events, listener) => End::Trouble(trouble),
            () = station.publish(pushes) => End::Finished,
            () = station.watch(subscribed + settings.silent_after) => End::Finished,
        };
        self.subscribed = self.subscribed.or(up_since.get());
        end
    }

    /// Shows why there is no connection, and logs it when it is something new.
    fn tell(&self, trouble: Trouble) {
        let Trouble { state, reason } = trouble;
        let name = &self.settings.name;
        self.board.change(self.link, |known| {
            if known.reason.as_ref() != Some(&reason) {
                tracing::warn!(lns = name, "lns {name}: {}: {reason}; tried again and again", state.as_str());
            }
            known.state = state.as_str().to_owned();
            known.reason = Some(reason);
        });
    }
}

/// What the parts of one session share.
struct Station<'a> {
    link: usize,
    settings: &'a LnsSettings,
    mailbox: &'a Mailbox,
    board: &'a Board,
    client: &'a AsyncClient,
    up_since: &'a Cell<Option<Instant>>,
}

impl Station<'_> {
    /// Drives the connection and listens until it breaks.
    async fn listen(&self, mut events: EventLoop, listener: &mut Listener) -> Trouble {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    if let Err(trouble) = self.subscribe() {
                        return trouble;
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(answer))) => {
                    if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                        let reason = "the broker does not let us listen: check applications, tenant and the rights of the user";
                        return Trouble::new(LnsState::SubscriptionRefused, reason);
                    }
                    self.is_up();
                }
                Ok(Event::Incoming(Packet::Publish(message))) => self.hear(listener, &message),
                Ok(_) => {}
                Err(error) => return Trouble::of(&error, self.settings, self.up_since.get().is_some()),
            }
        }
    }

    fn qos(&self) -> QoS {
        if self.settings.topics.dialect().is_acknowledged() { QoS::AtLeastOnce } else { QoS::AtMostOnce }
    }

    fn subscribe(&self) -> Result<(), Trouble> {
        let filters = self.settings.topics.subscriptions().into_iter();
        let filters = filters.map(|filter| SubscribeFilter::new(filter, self.qos()));
        self.client
            .try_subscribe_many(filters)
            .map_err(|error| Trouble::new(LnsState::SubscriptionRefused, error.to_string()))
    }

    fn is_up(&self) {
        self.up_since.set(Some(Instant::now()));
        let name = &self.settings.name;
        tracing::info!(lns = name, "lns {name}: connected to {}:{}", self.settings.host, self.settings.port);
        self.board.change(self.link, |state| {
            state.state = LnsState::Connected.as_str().to_owned();
            state.reason = None;
        });
    }

    fn hear(&self, listener: &mut Listener, message: &Publish) {
        // What a broker kept for whoever comes later is no news.
        let Ok(topic) = core::str::from_utf8(&message.topic) else { return };
        if message.retain {
            return;
        }
        let heard = listener.hear(topic, &message.payload);
        let dropped = match &heard {
            Ok(Heard::Event(event)) => self.mailbox.put(self.link, event.clone()),
            _ => None,
        };
        if let Some(link) = dropped {
            self.board.change(link, |state| state.dropped += 1);
        }
        self.board.change(self.link, |state| match heard {
            Ok(Heard::Event(_)) => {
                state.events += 1;
                if state.state == LnsState::Silent.as_str() {
                    state.state = LnsState::Connected.as_str().to_owned();
                    state.reason = None;
                }
            }
            Ok(Heard::Foreign) => state.foreign += 1,
            Ok(Heard::Unknown) => {}
            Err(error) => {
                if state.unreadable == 0 {
                    let (name, code) = (&self.settings.name, error.code());
                    tracing::warn!(
                        lns = name,
                        code,
                        "lns {name}: {topic}: {error}; such messages are counted"
                    );
                }
                state.unreadable += 1;
                state.last_unreadable = Some(format!("{}: {error}", error.code()));
            }
        });
    }

    /// Publishes downlinks until the driver's end is gone.
    async fn publish(&self, pushes: &mut mpsc::Receiver<Push>) {
        let topics = &self.settings.topics;
        let options = PublishOptions::new(self.qos());
        while let Some(push) = pushes.recv().await {
            let is_sent = self.up_since.get().is_some()
                && self
                    .client
                    .try_publish(topics.push(&push.device), push.document(topics.dialect()), options)
                    .is_ok();
            self.board.change(self.link, |state| match is_sent {
                true => state.pushed += 1,
                false => state.unpushed += 1,
            });
        }
    }

    /// Says once when nobody of ours was heard by `deadline`; it never ends.
    async fn watch(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
        if self.up_since.get().is_some() {
            self.board.change(self.link, |state| {
                if state.events > 0 {
                    return;
                }
                let reason = match state.foreign {
                    0 => "subscribed, and no message came: check applications, tenant and topic-prefix, and that the server publishes JSON".to_owned(),
                    foreign => format!("subscribed, and of {foreign} messages none was about a device of ours: check applications and the devices files"),
                };
                let name = &self.settings.name;
                tracing::warn!(lns = name, "lns {name}: silent: {reason}");
                state.state = LnsState::Silent.as_str().to_owned();
                state.reason = Some(reason);
            });
        }
        std::future::pending().await
    }
}

/// A random number; without randomness gateways only come back at the same moment.
fn random_number() -> u64 {
    let mut bytes = [0; 8];
    random(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes))
}

/// Between half of `wait` and the whole, so that gateways which lost a broker together do not come back together.
fn jittered(wait: Duration, random: u64) -> Duration {
    wait.mul_f64(1.0 - (random >> 33) as f64 / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_to_connect_again_are_spread_over_half_of_the_wait() {
        let wait = Duration::from_secs(120);
        let waits = [0, 1 << 61, 1 << 62, 1 << 63, u64::MAX]
            .map(|random| jittered(wait, random).as_secs_f64().round());
        assert_eq!(waits, [120.0, 112.0, 105.0, 90.0, 60.0]);
    }
}
