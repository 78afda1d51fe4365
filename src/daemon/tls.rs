//! TLS towards the cloud and towards brokers: rustls with ring, who may vouch for a server, and our own certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::ConfigBuilder;
use rustls::RootCertStore;
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject as _;

/// A configuration that believes `roots` and has no certificate of its own yet.
///
/// # Errors
/// Never with the versions that are compiled in.
pub(super) fn client(
    roots: RootCertStore,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots))
}

/// The authorities of the system (`SSL_CERT_FILE`, `SSL_CERT_DIR`, else the usual places).
pub(super) fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Those who may vouch for a server by the file at `path`, PEM.
///
/// # Errors
/// What is wrong with the file; never its content.
pub(super) fn roots_in(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// The certificates in the file at `path`, PEM, at least one.
///
/// # Errors
/// What is wrong with the file; never its content.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all: Vec<_> = all.map_err(|error| pem_fault(&error))?;
    if all.is_empty() { Err("no certificate in PEM".to_owned()) } else { Ok(all) }
}

/// The private key in the file at `path`, PEM.
///
/// # Errors
/// What is wrong with the file; never its content.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| pem_fault(&error))
}

fn pem_fault(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "nothing in PEM that belongs there".to_owned(),
        _ => "not readable as PEM".to_owned(),
    }
}
