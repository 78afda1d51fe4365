//! How each connection fares, for whoever shows it.

use super::settings::LnsSettings;
use crate::daemon::snapshot::LnsSnapshot;
use std::sync::Mutex;
use std::sync::PoisonError;

/// What a connection is doing. The words stand in `status` and in docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LnsState {
    /// The first connection is being made, or the next one after a loss.
    Connecting,
    /// Subscribed, and a device of ours was heard, or may be soon.
    Connected,
    /// Subscribed for long, and no device of ours was ever heard.
    Silent,
    /// There is no way to the broker, or nobody answers there.
    BrokerUnreachable,
    /// The broker refuses user or password.
    WrongPassword,
    /// The broker refuses the connection for another reason.
    Refused,
    /// The broker's certificate is too old.
    CertificateExpired,
    /// The broker's certificate is not believed for another reason.
    CertificateRefused,
    /// The broker refuses our certificate.
    OwnCertificateRefused,
    /// A file with a password, a certificate or a key cannot be used.
    FileUnusable,
    /// The broker refuses a subscription.
    SubscriptionRefused,
    /// The connection was there and broke.
    ConnectionLost,
}

impl LnsState {
    /// The word in `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            LnsState::Connecting => "connecting",
            LnsState::Connected => "connected",
            LnsState::Silent => "silent",
            LnsState::BrokerUnreachable => "broker-unreachable",
            LnsState::WrongPassword => "wrong-password",
            LnsState::Refused => "refused",
            LnsState::CertificateExpired => "certificate-expired",
            LnsState::CertificateRefused => "certificate-refused",
            LnsState::OwnCertificateRefused => "own-certificate-refused",
            LnsState::FileUnusable => "file-unusable",
            LnsState::SubscriptionRefused => "subscription-refused",
            LnsState::ConnectionLost => "connection-lost",
        }
    }
}

/// The state of every connection, shared by their thread and the driver.
#[derive(Debug)]
pub struct Board(Mutex<Vec<LnsSnapshot>>);

impl Board {
    /// The connections of these settings, none of them made yet.
    pub fn new(settings: &[LnsSettings]) -> Board {
        let snapshot = |settings: &LnsSettings| LnsSnapshot {
            name: settings.name.clone(),
            kind: settings.topics.dialect().name().to_owned(),
            broker: format!("{}:{}", settings.host, settings.port),
            state: LnsState::Connecting.as_str().to_owned(),
            ..LnsSnapshot::default()
        };
        Board(Mutex::new(settings.iter().map(snapshot).collect()))
    }

    /// Changes what is known of one connection.
    pub fn change(&self, link: usize, change: impl FnOnce(&mut LnsSnapshot)) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.get_mut(link).map(change);
    }

    /// All connections, in the order of the configuration.
    pub fn read(&self) -> Vec<LnsSnapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
