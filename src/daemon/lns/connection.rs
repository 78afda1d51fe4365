//! What one connection is made with. Files are read for each, so that a changed password needs no restart.

use super::board::LnsState;
use super::settings::LnsSettings;
use super::settings::LnsTls;
use super::trouble::Trouble;
use crate::daemon::io_words::io_words;
use crate::daemon::tls;
use crate::lns::MAX_DOCUMENT_BYTES;
use rumqttc::Broker;
use rumqttc::MqttOptions;
use rumqttc::TlsConfiguration;
use rumqttc::Transport;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio::net::TcpStream;

/// A silent connection is asked for a sign of life this often, seconds.
const KEEP_ALIVE_S: u16 = 30;
/// The largest packet that is taken: a message of the longest kind with its topic, and room for those that are refused.
const PACKET_BYTES_MAX: usize = 2 * MAX_DOCUMENT_BYTES;
/// The longest password; API keys of The Things Stack have about 100 characters.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The options of a connection.
///
/// # Errors
/// A file that cannot be used.
pub fn options(settings: &LnsSettings, client_id: &str) -> Result<MqttOptions, Trouble> {
    let mut options = MqttOptions::new(client_id, Broker::tcp(settings.host.as_str(), settings.port));
    options.set_keep_alive(KEEP_ALIVE_S);
    options.set_clean_session(true);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    let address = (settings.host.clone(), settings.port);
    options.set_socket_connector(move |_, _| {
        let (host, port) = address.clone();
        async move { TcpStream::connect((host.as_str(), port)).await }
    });
    if let Some(tls) = &settings.tls {
        let config = TlsConfiguration::from(client_config(tls)?);
        options.set_transport(Transport::tls_with_config(config));
    }
    match (&settings.user, &settings.password_file) {
        (Some(user), Some(path)) => {
            let password = password(path).map_err(|reason| unusable("password-file", path, &reason))?;
            options.set_credentials(user.as_str(), password);
        }
        (Some(user), None) => {
            options.set_username(user.as_str());
        }
        _ => {}
    }
    Ok(options)
}

fn client_config(settings: &LnsTls) -> Result<rustls::ClientConfig, Trouble> {
    let roots = match &settings.ca_file {
        Some(path) => tls::roots_in(path).map_err(|reason| unusable("ca-file", path, &reason))?,
        None => tls::system_roots(),
    };
    let impossible = |error: rustls::Error| Trouble::new(LnsState::FileUnusable, error.to_string());
    let client = tls::client(roots).map_err(impossible)?;
    let Some((certificate, key)) = &settings.certificate else { return Ok(client.with_no_client_auth()) };
    let chain = tls::certificates(certificate)
        .map_err(|reason| unusable("certificate-file", certificate, &reason))?;
    let private = tls::private_key(key).map_err(|reason| unusable("key-file", key, &reason))?;
    client
        .with_client_auth_cert(chain, private)
        .map_err(|error| unusable("key-file", key, &error.to_string()))
}

/// The password in a file, without the line's end.
fn password(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| io_words(&error))?;
    if metadata.mode() & 0o007 != 0 {
        return Err(format!("its mode is {:03o} and others can use it: chmod 640", metadata.mode() & 0o777));
    }
    if metadata.len() > PASSWORD_BYTES_MAX {
        return Err(format!("it has {} bytes, more than a password", metadata.len()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| io_words(&error))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() { Err("it is empty".to_owned()) } else { Ok(password.to_owned()) }
}

fn unusable(key: &str, path: &Path, reason: &str) -> Trouble {
    Trouble::new(LnsState::FileUnusable, format!("{key} {}: {reason}", path.display()))
}
