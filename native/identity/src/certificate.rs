// SPDX-License-Identifier: Apache-2.0
//! The certificate that TLS needs.
//!
//! Self-signed, ECDSA P-256. Nobody trusts it: a peer is believed because its hello is bound to the TLS channel.
//! Its dates matter only to tools that look at it, so it is still renewed in time.
//!
//! Keeps: certificate and key of a [`Certificate`] belong together. Leaves to others: files, and the TLS configuration.
//! The private key is drawn by the crypto provider (AWS-LC), which takes no random bytes from outside.

use std::fmt;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use time::OffsetDateTime;
use x509_cert::der::oid::db::rfc4519::ORGANIZATION_NAME;
use x509_cert::der::Decode;
use zeroize::Zeroizing;

/// A certificate with its private key, as text for disk and as bytes for TLS.
pub struct Certificate {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// The private key in PEM.
    pub key_pem: Zeroizing<String>,
    /// The certificate in DER.
    pub cert_der: CertificateDer<'static>,
    /// The private key in DER.
    pub key_der: PrivateKeyDer<'static>,
}

/// What can be read from a certificate without its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// When it expires, in seconds since the Unix epoch.
    pub not_after_s: u64,
    /// Made by [`Certificate::generate`], so it may be replaced without asking?
    pub self_made: bool,
}

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The date is none, or too far away.
    #[error("the clock is outside the range of certificates")]
    BadClock,
    /// The text holds no readable certificate.
    #[error("no readable certificate")]
    BadCertificate,
    /// The text holds no readable, unencrypted private key of a known kind.
    #[error("no readable private key")]
    BadKey,
    /// Making it failed.
    #[error("making a certificate failed: {0}")]
    Generation(#[from] rcgen::Error),
    /// Certificate and private key are of two pairs.
    #[error("certificate and private key do not belong together")]
    PairMismatch,
}

impl Certificate {
    /// Makes a certificate valid from five minutes before `now_s` (Unix seconds; clocks differ) for 365 days after it.
    /// `random` becomes the 127-bit serial number: fresh bytes of a cryptographic generator each time.
    pub fn generate(common_name: &str, now_s: u64, random: [u8; 16]) -> Result<Self, CertificateError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let cert = params(common_name, now_s, random)?.self_signed(&key)?;
        Ok(Self {
            cert_pem: cert.pem(),
            key_pem: Zeroizing::new(key.serialize_pem()),
            cert_der: cert.der().clone(),
            key_der: PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| CertificateError::BadKey)?,
        })
    }

    /// Reads a pair from text: the first certificate and the first private key (PKCS#8, SEC1 or PKCS#1), which must
    /// match.
    pub fn parse_pem(cert_pem: &str, key_pem: &str) -> Result<Self, CertificateError> {
        let cert_der = parse_cert(cert_pem)?;
        let key_der = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| CertificateError::BadKey)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let signing_key =
            provider.key_provider.load_private_key(key_der.clone_key()).map_err(|_| CertificateError::BadKey)?;
        match CertifiedKey::new(vec![cert_der.clone()], signing_key).keys_match() {
            Ok(()) => Ok(Self {
                cert_pem: cert_pem.to_owned(),
                key_pem: Zeroizing::new(key_pem.to_owned()),
                cert_der,
                key_der,
            }),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::PairMismatch),
            Err(_) => Err(CertificateError::BadCertificate),
        }
    }
}

/// Shows no key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("cert_der", &self.cert_der).finish_non_exhaustive()
    }
}

impl CertificateFacts {
    /// Reads the first certificate of the text.
    pub fn from_pem(cert_pem: &str) -> Result<Self, CertificateError> {
        let der = parse_cert(cert_pem)?;
        let cert = x509_cert::Certificate::from_der(&der).map_err(|_| CertificateError::BadCertificate)?;
        let tbs = cert.tbs_certificate();
        let self_made = tbs
            .subject()
            .iter()
            .any(|attribute| attribute.oid == ORGANIZATION_NAME && attribute.value.value() == ORGANIZATION.as_bytes());
        Ok(Self { not_after_s: tbs.validity().not_after.to_unix_duration().as_secs(), self_made })
    }

    /// Has it expired, or will it within 30 days?
    pub fn is_due(&self, now_s: u64) -> bool {
        self.not_after_s <= now_s.saturating_add(RENEW_BEFORE.as_secs())
    }
}

fn parse_cert(pem: &str) -> Result<CertificateDer<'static>, CertificateError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CertificateError::BadCertificate)
}

fn params(common_name: &str, now_s: u64, mut random: [u8; 16]) -> Result<CertificateParams, CertificateError> {
    let now = i64::try_from(now_s)
        .ok()
        .and_then(|now_s| OffsetDateTime::from_unix_timestamp(now_s).ok())
        .ok_or(CertificateError::BadClock)?;
    let mut params = CertificateParams::default();
    // rcgen writes UTCTime before 2050 and GeneralizedTime from then on (RFC 5280, 4.1.2.5).
    params.not_before = now.checked_sub(span(BACKDATED)).ok_or(CertificateError::BadClock)?;
    params.not_after = now.checked_add(span(VALIDITY)).ok_or(CertificateError::BadClock)?;
    random[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&random));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn span(duration: Duration) -> time::Duration {
    time::Duration::seconds(duration.as_secs() as i64)
}

/// Marks certificates that this code made.
const ORGANIZATION: &str = "Barrel P2P";
/// How far a peer's clock may be behind ours.
const BACKDATED: Duration = Duration::from_secs(300);
/// A year: renewal is automatic, so there is no reason for more.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);
/// Nodes that restart once a month never show an expired certificate.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

#[cfg(test)]
mod tests;
