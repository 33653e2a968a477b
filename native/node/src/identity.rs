// SPDX-License-Identifier: Apache-2.0
//! The identity of this node: key pair, pins and certificate, each in memory with its copy on disk.
//!
//! Keeps: what memory says is on disk before anybody acts on it. Leaves to others: the decisions (`barrel_p2p_identity`), the files
//! (`barrel_p2p_store`).

use crate::clock::unix_ms;
use barrel_p2p_base::{CloseCode, Incarnation, NodeName, PublicKey};
use barrel_p2p_identity::hello::check;
use barrel_p2p_identity::{AuthMode, Context, Decision, Hello, Pin, PinLevel, Policy, TrustBook, TrustMode};
use barrel_p2p_net::{tls::UnusableCertificate, Credentials, Keeper, LiveCertificate};
use barrel_p2p_store::{CertDir, ErrorCode, KeyDir, StoreError, Warning};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Why an identity could not be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate on disk is none that TLS can use.
    #[error(transparent)]
    Certificate(#[from] UnusableCertificate),
    /// Another key is pinned for the node.
    #[error("{0}")]
    KeyMismatch(NodeName),
    /// A file or directory.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IdentityError {
    /// The word for Erlang, where it is an atom.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(_) => ErrorCode::CertificateCorrupt.name(),
            Self::KeyMismatch(_) => CloseCode::KeyMismatch.name(),
            Self::Store(error) => error.code(),
        }
    }
}

/// What may happen to a pin that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep it; another key is an error.
    Keep,
    /// Replace it.
    Replace,
}

/// When this process started an endpoint for the first time: what it has written since then it still has.
static FIRST_START_MS: OnceLock<u64> = OnceLock::new();

/// Keys, pins, policy and certificate of one node.
#[derive(Debug)]
pub struct Identity {
    key_dir: KeyDir,
    cert_dir: CertDir,
    common_name: String,
    certificate: Arc<LiveCertificate>,
    warnings: Vec<Warning>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    credentials: Arc<Credentials>,
    book: TrustBook,
    policy: Policy,
}

impl Identity {
    /// Opens both directories, making key pair and certificate on first use.
    pub fn open(key_dir: &Path, cert_dir: &Path, common_name: &str, policy: Policy) -> Result<Self, IdentityError> {
        let (key_dir, contents) = KeyDir::open(key_dir)?;
        let (cert_dir, certificate) = CertDir::open(cert_dir, common_name, unix_ms() / 1000)?;
        Ok(Self {
            key_dir,
            cert_dir,
            common_name: common_name.to_owned(),
            certificate: Arc::new(LiveCertificate::new(certificate.cert_der, certificate.key_der)?),
            warnings: contents.warnings,
            state: Mutex::new(State {
                credentials: Arc::new(Credentials { keys: contents.keys, rotation: contents.rotation }),
                book: contents.trust,
                policy,
            }),
        })
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.state().credentials.keys.public()
    }

    /// Where keys and pins are.
    pub fn key_dir(&self) -> &Path {
        self.key_dir.path()
    }

    /// Where the certificate is.
    pub fn cert_dir(&self) -> &Path {
        self.cert_dir.path()
    }

    /// What was odd in the key directory when it was opened.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// All pins.
    pub fn pins(&self) -> Vec<(NodeName, Pin)> {
        self.state().book.iter().map(|(name, pin)| (name.clone(), *pin)).collect()
    }

    /// The pin of a name.
    pub fn pin_of(&self, name: &NodeName) -> Option<Pin> {
        self.state().book.get(name).copied()
    }

    /// Pins a key by hand.
    pub fn pin(&self, name: NodeName, key: PublicKey, existing: Existing) -> Result<(), IdentityError> {
        let mut state = self.state();
        match state.book.get(&name) {
            Some(pin) if pin.key == key && existing == Existing::Keep => return Ok(()),
            Some(_) if existing == Existing::Keep => return Err(IdentityError::KeyMismatch(name)),
            Some(_) | None => {}
        }
        let level = match existing {
            Existing::Keep => PinLevel::Tofu,
            Existing::Replace => PinLevel::Permanent,
        };
        self.key_dir.store_pin(&name, &key)?;
        state.book.put(name, Pin { key, level, added_ms: unix_ms() });
        Ok(())
    }

    /// Forgets a pin.
    pub fn unpin(&self, name: &NodeName) -> Result<(), IdentityError> {
        let mut state = self.state();
        self.key_dir.delete_pin(name)?;
        state.book.remove(name);
        Ok(())
    }

    /// What happens to unknown names.
    pub fn trust_mode(&self) -> TrustMode {
        self.state().policy.mode
    }

    /// Changes it, for the next hello on.
    pub fn set_trust_mode(&self, mode: TrustMode) {
        self.state().policy.mode = mode;
    }

    /// Does a `cookie_only_nodes` pattern match the name?
    pub fn is_cookie_only(&self, name: &NodeName) -> bool {
        self.state().policy.is_cookie_only(name)
    }

    /// Takes a new key pair, which the old one vouches for; from the next hello on.
    pub fn rotate_keys(&self, backup: &Path) -> Result<(), IdentityError> {
        let mut state = self.state();
        let (keys, rotation) = self.key_dir.rotate(&state.credentials.keys, backup)?;
        state.credentials = Arc::new(Credentials { keys, rotation: Some(rotation) });
        Ok(())
    }

    /// Takes a new certificate, from the next TLS handshake on.
    pub fn rotate_certificate(&self, backup: &Path) -> Result<(), IdentityError> {
        let new = self.cert_dir.rotate(&self.common_name, unix_ms() / 1000, backup)?;
        self.certificate.replace(new.cert_der, new.key_der)?;
        Ok(())
    }

    // Memory follows the disk in one step, so a poisoned lock is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Identity {
    fn credentials(&self) -> Arc<Credentials> {
        self.state().credentials.clone()
    }

    fn auth_mode(&self) -> AuthMode {
        self.state().policy.auth
    }

    fn incarnation(&self) -> Incarnation {
        let mut random = [0; 8];
        // Without random bytes the start time alone still orders two starts.
        let _ = getrandom::fill(&mut random);
        let started_ms = unix_ms();
        let first_ms = *FIRST_START_MS.get_or_init(|| started_ms);
        Incarnation::new(started_ms, first_ms, u64::from_be_bytes(random))
    }

    fn certificate(&self) -> Arc<LiveCertificate> {
        self.certificate.clone()
    }

    fn judge(&self, hello: &Hello, context: &Context) -> Result<(), CloseCode> {
        let mut state = self.state();
        let decision = check::decide(hello, context, &state.book, &state.policy);
        match (decision, &hello.claim.name) {
            (Decision::Reject(code), _) => Err(code),
            (Decision::Pin | Decision::Repin, Some(name)) => {
                let key = hello.claim.public_key;
                self.key_dir.store_pin(name, &key).map_err(|_| CloseCode::InternalError)?;
                state.book.accept(name.clone(), key, unix_ms());
                Ok(())
            }
            (Decision::Accept | Decision::Pin | Decision::Repin, _) => Ok(()),
        }
    }
}
