// SPDX-License-Identifier: Apache-2.0
//! TLS for links: version 1.3 only, one provider, one ALPN name.
//!
//! The certificate only carries the key exchange: it is self-signed and nobody checks who issued it. Who a peer is follows from its hello,
//! which is bound to this very TLS channel by the exporter. The handshake signature is still verified, since without it a certificate
//! would not prove possession of its key.

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::Resumption;
use rustls::crypto::{aws_lc_rs, verify_tls12_signature, verify_tls13_signature, CryptoProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::sync::{Arc, PoisonError, RwLock};

/// The one application protocol that an endpoint speaks.
pub const ALPN: &[u8] = b"barrel-p2p/1";

/// The name a dialler sends. Every node accepts it: names are settled by the hello.
pub const SERVER_NAME: &str = "barrel-p2p";

/// A certificate that TLS cannot use.
#[derive(Debug, thiserror::Error)]
#[error("unusable certificate: {0}")]
pub struct UnusableCertificate(#[from] rustls::Error);

/// The certificate in use; it can be replaced while the endpoint runs.
#[derive(Debug)]
pub struct LiveCertificate {
    current: RwLock<Arc<CertifiedKey>>,
}

impl LiveCertificate {
    /// From DER.
    pub fn new(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<Self, UnusableCertificate> {
        Ok(Self { current: RwLock::new(Arc::new(certified(certificate, key)?)) })
    }

    /// Every TLS handshake from now on uses the new one.
    pub fn replace(
        &self,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), UnusableCertificate> {
        let next = Arc::new(certified(certificate, key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn certified(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, UnusableCertificate> {
    Ok(CertifiedKey::from_der(vec![certificate], key, &provider())?)
}

/// A certificate and TLS 1.3 are all it takes, so these cannot fail once the certificate was accepted; the error is passed on all the same.
pub fn server(certificate: Arc<LiveCertificate>) -> Result<quinn::ServerConfig, UnusableCertificate> {
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Links live long and a hello is bound to its own handshake, so resumption would save nothing.
    config.send_tls13_tickets = 0;
    let config = QuicServerConfig::try_from(config).map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(quinn::ServerConfig::with_crypto(Arc::new(config)))
}

/// A client that takes any certificate: who the server is follows from its hello.
pub fn client() -> Result<quinn::ClientConfig, UnusableCertificate> {
    let provider = Arc::new(provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    let config = QuicClientConfig::try_from(config).map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(quinn::ClientConfig::new(Arc::new(config)))
}

/// AWS-LC, with AES-128 first: 128 bits are enough for keys that live as long as a link, and fewer rounds cost less on every byte.
/// Where the processor has AVX-512 it takes 0.08 s to seal and open 1 GB in packets of 65,000 bytes, ring 0.17 s (of 1,452 bytes
/// 0.23 and 0.29 s). Messages of 1 MiB between two nodes on two cores: 2.9 GB/s instead of 2.0, and 1.12 s of CPU for each GB
/// beside a pinger instead of 1.33 (medians of five interleaved rounds).
fn provider() -> CryptoProvider {
    let cipher_suites = vec![
        aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
        aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() }
}

/// Accepts any certificate whose owner can sign with its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
