//! TLS of this side: rustls with ring, and who may vouch for a server.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::ConfigBuilder;
use rustls::RootCertStore;
use rustls::client::WantsClientCert;
use rustls::crypto::ring;

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
