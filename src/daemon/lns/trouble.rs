//! Why there is no connection, in the operator's words.

use super::board::LnsState;
use super::settings::LnsSettings;
use crate::daemon::io_words::io_words;
use rumqttc::ConnectReturnCode;
use rumqttc::ConnectionError;
use rumqttc::StateError;
use rumqttc::TlsError;
use rustls::CertificateError;
use std::io;

/// Why a connection ended or could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What the connection is doing about it.
    pub state: LnsState,
    /// One line: what is wrong, and what to do about it.
    pub reason: String,
}

impl Trouble {
    /// The trouble with this state and reason.
    pub fn new(state: LnsState, reason: impl Into<String>) -> Trouble {
        Trouble { state, reason: reason.into() }
    }

    /// What the client says of a connection; `was_up`: it had been made.
    pub fn of(error: &ConnectionError, settings: &LnsSettings, was_up: bool) -> Trouble {
        let unreachable = |reason: String| {
            let state = if was_up { LnsState::ConnectionLost } else { LnsState::BrokerUnreachable };
            Trouble::new(state, reason)
        };
        match error {
            ConnectionError::ConnectionRefused(code) => refused(*code, settings),
            ConnectionError::Io(error)
            | ConnectionError::Tls(TlsError::Io(error))
            | ConnectionError::MqttState(
                StateError::Io(error) | StateError::Deserialization(rumqttc::Error::Io(error)),
            ) => match tls_error(error) {
                Some(error) => of_tls(error),
                None if !was_up && is_hung_up(error) => unreachable(closed(settings)),
                None => unreachable(io_words(error)),
            },
            ConnectionError::Tls(TlsError::TLS(error)) => of_tls(error),
            ConnectionError::Tls(TlsError::DNSName(_)) => Trouble::new(
                LnsState::CertificateRefused,
                format!("{} is no name that a certificate can have", settings.host),
            ),
            ConnectionError::MqttState(StateError::ConnectionAborted) if was_up => {
                unreachable("the broker closed the connection".to_owned())
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) => unreachable(closed(settings)),
            ConnectionError::NetworkTimeout | ConnectionError::MqttState(StateError::AwaitPingResp) => {
                unreachable("there was no answer in time".to_owned())
            }
            other => unreachable(other.to_string()),
        }
    }
}

fn is_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

fn closed(settings: &LnsSettings) -> String {
    let advice = match settings.tls {
        Some(_) => "does it speak TLS on this port, or ask for a certificate of ours?",
        None => "does it ask for TLS on this port (mqtts://)?",
    };
    format!("the broker closed the connection before it answered: {advice}")
}

fn refused(code: ConnectReturnCode, settings: &LnsSettings) -> Trouble {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            let who = match &settings.user {
                Some(user) => format!("the user {user:?}"),
                None => "a client without a user name".to_owned(),
            };
            Trouble::new(
                LnsState::WrongPassword,
                format!("the broker refuses {who}: check user and what stands in password-file"),
            )
        }
        ConnectReturnCode::BadClientId => Trouble::new(
            LnsState::Refused,
            "the broker refuses the client identifier: write client-id as it wants it",
        ),
        other => Trouble::new(LnsState::Refused, format!("the broker refuses the connection: {other:?}")),
    }
}

/// The error of TLS in one of the system's.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| tls_error(inner.downcast_ref()?))
}

fn of_tls(error: &rustls::Error) -> Trouble {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => Trouble::new(
            LnsState::CertificateExpired,
            "the broker's certificate has expired, by this gateway's clock",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Trouble::new(
            LnsState::CertificateRefused,
            "the broker's certificate is not valid yet, by this gateway's clock: is that right?",
        ),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Trouble::new(
            LnsState::CertificateRefused,
            "nobody who is believed vouches for the broker's certificate: write ca-file with its authority",
        ),
        rustls::Error::InvalidCertificate(error) => Trouble::new(
            LnsState::CertificateRefused,
            format!("the broker's certificate is refused: {error}"),
        ),
        rustls::Error::AlertReceived(alert) => Trouble::new(
            LnsState::OwnCertificateRefused,
            format!("the broker ends TLS with {alert:?}: check certificate-file and key-file"),
        ),
        other => Trouble::new(LnsState::CertificateRefused, format!("TLS fails: {other}")),
    }
}
