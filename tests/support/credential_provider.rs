//! A double of AWS IoT's credential provider on loopback: TLS that wants the device's certificate, temporary
//! credentials for it. Certificates for a hundred years lie in `tests/tls`; their authority's key is gone.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use fuotad::daemon::aws::IotCredentialSettings;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;

/// What it answers with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Credentials that are good for so many seconds.
    Credentials(i64),
    /// This status and body.
    Other(u16, &'static str),
    /// The connection ends after the handshake.
    Nothing,
}

/// The double. Dropping it ends it.
pub struct CredentialProvider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    reply: Reply,
    requests: Vec<String>,
    stopped: bool,
}

pub fn tls_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

impl CredentialProvider {
    pub fn start(reply: Reply) -> CredentialProvider {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared { reply, requests: Vec::new(), stopped: false }));
        let theirs = Arc::clone(&shared);
        let tls = Arc::new(tls());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if theirs.lock().unwrap().stopped {
                    return;
                }
                // Whoever is refused in the handshake hangs up.
                let _ = stream.and_then(|stream| serve(stream, &tls, &theirs));
            }
        });
        CredentialProvider { address, shared }
    }

    /// How a gateway is told of it.
    pub fn settings(&self) -> IotCredentialSettings {
        IotCredentialSettings {
            endpoint: format!("localhost:{}", self.address.port()),
            role_alias: "fuotad-read".to_owned(),
            thing_name: Some("gw1".to_owned()),
            certificate_file: tls_file("device.pem"),
            key_file: tls_file("device.key"),
            ca_file: Some(tls_file("ca.pem")),
        }
    }

    pub fn answer_with(&self, reply: Reply) {
        self.shared.lock().unwrap().reply = reply;
    }

    /// Head lines of the requests, each in one text.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }
}

impl Drop for CredentialProvider {
    fn drop(&mut self) {
        if let Ok(mut shared) = self.shared.lock() {
            shared.stopped = true;
        }
        // The listener looks up once more.
        let _ = TcpStream::connect(self.address);
    }
}

fn tls() -> ServerConfig {
    let certificate = |name: &str| CertificateDer::from_pem_file(tls_file(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca.pem")).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate("server.pem")], key)
        .unwrap()
}

fn serve(stream: TcpStream, tls: &Arc<ServerConfig>, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let (number, reply) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(head);
        (shared.requests.len(), shared.reply.clone())
    };
    let (status, body) = match reply {
        Reply::Nothing => return Ok(()),
        Reply::Other(status, body) => (status, body.to_owned()),
        Reply::Credentials(seconds) => {
            let end = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + seconds).unwrap();
            let body = serde_json::json!({"credentials": {
                "accessKeyId": format!("AKIDIOT{number}"), "secretAccessKey": "SECRET/CANARY+iot",
                "sessionToken": "TOKEN/CANARY+iot==", "expiration": end.to_string(),
            }});
            (200, body.to_string())
        }
    };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.get_mut().write_all(answer.as_bytes())?;
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush()
}
